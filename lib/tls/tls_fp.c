/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_tls_fp.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define EXT_SERVER_NAME	       0
#define EXT_ALPN	       16
#define EXT_SUPPORTED_VERSIONS 43

#define DIGEST_MAX   32
#define JA4_HASH_LEN 12 /* hex characters kept of a SHA-256 */

/* Text in the making. Callers size their buffers for the longest input, so put() never has to refuse. */
struct text {
	char *at;
	const char *end;
};

static void
put(struct text *o, char c)
{
	PSI_ASSERT(o->at < o->end, "the buffer holds the longest fingerprint");
	*o->at++ = c;
}

static void
put_dec(struct text *o, uint16_t v)
{
	char digit[5];
	int n = 0;

	do {
		digit[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		put(o, digit[--n]);
}

static char
hex_digit(unsigned int nibble)
{
	return "0123456789abcdef"[nibble & 15];
}

static void
put_hex16(struct text *o, uint16_t v)
{
	for (int shift = 12; shift >= 0; shift -= 4)
		put(o, hex_digit(v >> shift));
}

bool
psi_tls_is_grease(uint16_t v)
{
	return (v & 0x0f0f) == 0x0a0a && v >> 8 == (v & 0xff);
}

/* ungreased copies one list of the hello without its GREASE values; returns how many are left. */
static uint16_t
ungreased(const struct psi_tls_hello *h, enum psi_tls_list l, uint16_t out[PSI_TLS_LIST_MAX])
{
	uint16_t cnt = 0;

	for (uint16_t i = 0; i < h->list[l].cnt; i++) {
		uint16_t v = h->v[h->list[l].at + i];

		if (!psi_tls_is_grease(v))
			out[cnt++] = v;
	}
	return cnt;
}

/* hex_digest writes the first len hex characters of a digest and a NUL. */
static int
hex_digest(const EVP_MD *md, const char *p, size_t n, char *out, unsigned int len)
{
	uint8_t raw[DIGEST_MAX];

	if (!EVP_Digest(p, n, raw, NULL, md, NULL))
		return PSI_E_UNSUPPORTED;
	for (unsigned int i = 0; i < len; i++)
		out[i] = hex_digit(i & 1 ? raw[i / 2] : raw[i / 2] >> 4);
	out[len] = 0;
	return PSI_OK;
}

/* ---- JA3 and JA3S: decimal numbers, lists joined by '-', fields by ',' ---- */

static void
put_ja3_list(struct text *o, const uint16_t *v, uint16_t cnt)
{
	for (uint16_t i = 0; i < cnt; i++) {
		if (i)
			put(o, '-');
		put_dec(o, v[i]);
	}
}

static int
ja3_end(struct text *o, const char *str, char md5[33])
{
	put(o, 0);
	return hex_digest(EVP_md5(), str, (size_t)(o->at - str) - 1, md5, 32);
}

/* hello_usable: an SSLv2-format hello has no extensions and 3-byte cipher kinds, which neither method has a form for. */
static int
hello_usable(const struct psi_tls *t)
{
	if (!(t->messages & PSI_MSG_CLIENT_HELLO) || t->note & PSI_TLS_SSL2_HELLO)
		return PSI_E_UNSUPPORTED;
	if (!t->hello.lists_end)
		return PSI_E_SHORT;
	return t->note & PSI_TLS_HELLO_CUT ? PSI_E_LIMIT : PSI_OK;
}

int
psi_tls_ja3(const struct psi_tls *t, char str[PSI_JA3_STR_MAX], char md5[33])
{
	static const uint8_t field[] = {
		PSI_TLS_L_CIPHERS, PSI_TLS_L_EXTENSIONS, PSI_TLS_L_GROUPS, PSI_TLS_L_POINT_FORMATS};
	struct text o = {str, str + PSI_JA3_STR_MAX};
	uint16_t v[PSI_TLS_LIST_MAX];
	int rc = hello_usable(t);

	if (rc)
		return rc;
	put_dec(&o, t->hello.version);
	for (size_t i = 0; i < PSI_COUNT(field); i++) {
		put(&o, ',');
		put_ja3_list(&o, v, ungreased(&t->hello, field[i], v));
	}
	return ja3_end(&o, str, md5);
}

/* server_version: the version field of the ServerHello itself. From TLS 1.3 draft 22 on that is frozen at TLS 1.2 and
 * the negotiated version stands in an extension. */
static uint16_t
server_version(const struct psi_tls *t)
{
	for (uint8_t i = 0; i < t->server_ext_cnt; i++)
		if (t->server_ext[i] == EXT_SUPPORTED_VERSIONS)
			return 0x0303;
	return t->version_raw ? t->version_raw : t->version;
}

int
psi_tls_ja3s(const struct psi_tls *t, char str[PSI_JA3_STR_MAX], char md5[33])
{
	struct text o = {str, str + PSI_JA3_STR_MAX};
	uint16_t v[PSI_COUNT(t->server_ext)], cnt = 0;

	if (!(t->messages & PSI_MSG_SERVER_HELLO) || t->version == 0x0002)
		return PSI_E_UNSUPPORTED;
	for (uint8_t i = 0; i < t->server_ext_cnt; i++)
		if (!psi_tls_is_grease(t->server_ext[i]))
			v[cnt++] = t->server_ext[i];
	put_dec(&o, server_version(t));
	put(&o, ',');
	put_dec(&o, t->cipher);
	put(&o, ',');
	put_ja3_list(&o, v, cnt);
	return ja3_end(&o, str, md5);
}

/* ---- JA4: a readable part, then two truncated hashes of sorted lists ---- */

static int
by_value(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static const char *
ja4_version(uint16_t version)
{
	switch (version) {
	case 0x0304: return "13";
	case 0x0303: return "12";
	case 0x0302: return "11";
	case 0x0301: return "10";
	case 0x0300: return "s3";
	case 0x0002: return "s2";
	}
	return "00";
}

/* highest_version: the highest of supported_versions when there is such a list, else the hello's own field. A draft's
 * number is higher than any release's and has no two letters of its own: "00". */
static uint16_t
highest_version(const struct psi_tls_hello *h)
{
	uint16_t v[PSI_TLS_LIST_MAX], cnt = ungreased(h, PSI_TLS_L_VERSIONS, v), max = 0;

	for (uint16_t i = 0; i < cnt; i++)
		max = PSI_MAX(max, v[i]);
	return cnt ? max : h->version;
}

static bool
alphanumeric(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* put_alpn: first and last character of the first name offered, "00" without one. When either is not a letter or
 * digit, the first and last digit of the name written in hex stand for it. */
static void
put_alpn(struct text *o, const struct psi_tls *t)
{
	uint8_t len = t->alpn_len ? t->client_alpns[0] : 0, first, last;

	if (!len || len >= t->alpn_len) {
		put(o, '0');
		put(o, '0');
		return;
	}
	first = t->client_alpns[1];
	last = t->client_alpns[len];
	if (alphanumeric(first) && alphanumeric(last)) {
		put(o, (char)first);
		put(o, (char)last);
	} else {
		put(o, hex_digit(first >> 4));
		put(o, hex_digit(last));
	}
}

static void
put_count(struct text *o, uint16_t cnt)
{
	uint16_t shown = PSI_MIN(cnt, 99);

	put(o, (char)('0' + shown / 10));
	put(o, (char)('0' + shown % 10));
}

static void
put_ja4_list(struct text *o, const uint16_t *v, uint16_t cnt)
{
	for (uint16_t i = 0; i < cnt; i++) {
		if (i)
			put(o, ',');
		put_hex16(o, v[i]);
	}
}

/* put_ja4_hash: of the sorted list and, behind '_', of the list in order; all zeros when the sorted one is empty. */
static int
put_ja4_hash(
	struct text *o, uint16_t *sorted, uint16_t cnt, const uint16_t *behind, uint16_t behind_cnt)
{
	char buf[PSI_TLS_LIST_MAX * 5 + 2], hex[JA4_HASH_LEN + 1] = "000000000000";
	struct text in = {buf, buf + sizeof(buf)};
	int rc = PSI_OK;

	if (cnt) {
		qsort(sorted, cnt, sizeof(*sorted), by_value);
		put_ja4_list(&in, sorted, cnt);
		if (behind_cnt) {
			put(&in, '_');
			put_ja4_list(&in, behind, behind_cnt);
		}
		rc = hex_digest(EVP_sha256(), buf, (size_t)(in.at - buf), hex, JA4_HASH_LEN);
	}
	put(o, '_');
	for (int i = 0; i < JA4_HASH_LEN; i++)
		put(o, hex[i]);
	return rc;
}

int
psi_tls_ja4(const struct psi_tls *t, char out[PSI_JA4_MAX])
{
	uint16_t cipher[PSI_TLS_LIST_MAX], ext[PSI_TLS_LIST_MAX], sigalg[PSI_TLS_LIST_MAX];
	uint16_t cipher_cnt, ext_cnt, sigalg_cnt, kept = 0;
	struct text o = {out, out + PSI_JA4_MAX};
	const char *version;
	bool sni = false;
	int rc = hello_usable(t);

	if (rc)
		return rc;
	cipher_cnt = ungreased(&t->hello, PSI_TLS_L_CIPHERS, cipher);
	ext_cnt = ungreased(&t->hello, PSI_TLS_L_EXTENSIONS, ext);
	sigalg_cnt = ungreased(&t->hello, PSI_TLS_L_SIGALGS, sigalg);
	for (uint16_t i = 0; i < ext_cnt; i++) {
		sni |= ext[i] == EXT_SERVER_NAME;
		if (ext[i] != EXT_SERVER_NAME && ext[i] != EXT_ALPN)
			ext[kept++] = ext[i];
	}
	version = ja4_version(highest_version(&t->hello));
	put(&o, 't');
	put(&o, version[0]);
	put(&o, version[1]);
	put(&o, sni ? 'd' : 'i');
	put_count(&o, cipher_cnt);
	put_count(&o, ext_cnt);
	put_alpn(&o, t);
	rc = put_ja4_hash(&o, cipher, cipher_cnt, NULL, 0);
	if (!rc)
		rc = put_ja4_hash(&o, ext, kept, sigalg, sigalg_cnt);
	put(&o, 0);
	return rc;
}
