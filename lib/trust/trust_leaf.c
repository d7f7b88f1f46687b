/* SPDX-License-Identifier: BSD-3-Clause */
/* An everyday leaf, read strictly. What libcrypto looks at when it builds and checks a path is the same, byte for byte, in
 * all leaves of one kind: it goes into `same`. The rest is what differs from leaf to leaf: serial number, dates, subject,
 * key, names, key identifier, timestamps of logs and the signature. Of each it is made sure that libcrypto can decode it
 * and that its content makes no difference to a path: what is unusual in any way is not read at all (false), and goes to
 * libcrypto. */
#include "trust_pvt.h"

#include "psi_cursor.h"

#include <openssl/obj_mac.h>

#include <time.h>

enum {
	T_BOOLEAN = 0x01,
	T_INTEGER = 0x02,
	T_BITS = 0x03,
	T_OCTETS = 0x04,
	T_OID = 0x06,
	T_UTF8 = 0x0c,
	T_PRINTABLE = 0x13,
	T_IA5 = 0x16,
	T_UTC = 0x17,
	T_GENERAL = 0x18,
	T_SEQ = 0x30,
	T_SET = 0x31,
	T_EMAIL = 0x81, /* of GeneralName */
	T_DNS = 0x82,
	T_URI = 0x86,
	T_IP = 0x87,
	T_VERSION = 0xa0,
	T_EXTS = 0xa3,
};

#define NAME_MAX_FOLDED 512  /* bytes of a name that is compared with another */
#define SAN_ENTRY_MAX	2047 /* psi_x509 keeps entries up to this, */
#define SAN_KEPT_MAX	8192 /* and so much of all of them, 3 bytes each included */

/* A value: all of it, and a cursor over its content. */
struct tlv {
	const uint8_t *all;
	uint8_t tag;
	struct psi_cursor in;
};

/* The next value, of any tag, its length in DER's only form and below 64 KB. */
static bool
next(struct psi_cursor *c, struct tlv *v)
{
	const uint8_t *p = psi_take(c, 2);
	uint32_t len;

	if (!p)
		return false;
	v->all = p;
	v->tag = p[0];
	len = p[1];
	if (len == 0x81 && (p = psi_take(c, 1)))
		len = p[0] >= 0x80 ? p[0] : UINT32_MAX;
	else if (len == 0x82 && (p = psi_take(c, 2)))
		len = psi_be16(p) >= 0x100 ? psi_be16(p) : UINT32_MAX;
	else if (len >= 0x80)
		return false;
	return psi_sub(c, len, &v->in);
}

static bool
get(struct psi_cursor *c, uint8_t tag, struct tlv *v)
{
	return next(c, v) && v->tag == tag;
}

static bool
done(const struct psi_cursor *c)
{
	return c->p == c->end;
}

static bool
holds(const struct psi_cursor *c, const void *p, size_t len)
{
	return psi_cursor_left(c) == len && memcmp(c->p, p, len) == 0;
}

/* Adds bytes, behind their length, to what all leaves of the kind have in common. */
static bool
common(struct leaf *l, const uint8_t *p, size_t len)
{
	uint16_t n = (uint16_t)len;

	if (len + sizeof(n) > sizeof(l->same) - l->same_len)
		return false;
	memcpy(l->same + l->same_len, &n, sizeof(n));
	memcpy(l->same + l->same_len + sizeof(n), p, len);
	l->same_len += (uint32_t)(sizeof(n) + len);
	return true;
}

static bool
common_value(struct leaf *l, const struct tlv *v)
{
	return common(l, v->all, (size_t)(v->in.end - v->all));
}

/* An INTEGER in as few bytes as possible. */
static bool
is_integer(const struct psi_cursor *c)
{
	const uint8_t *p = c->p;
	size_t n = psi_cursor_left(c);

	return n == 1 || (n > 1 && !(p[0] == 0 && p[1] < 0x80) && !(p[0] == 0xff && p[1] >= 0x80));
}

static bool
is_oid(const struct psi_cursor *c)
{
	bool fresh = true;

	for (const uint8_t *p = c->p; p < c->end; p++) {
		if (fresh && *p == 0x80)
			return false;
		fresh = *p < 0x80;
	}
	return fresh && !done(c);
}

/* ---- names ---- */

/* One attribute an RDN, a common type of string; ascii: nothing but printable ASCII in it. to gets the text without
 * spaces and letter case: names that libcrypto takes for the same are the same there. */
static bool
fold(struct psi_cursor name, bool ascii, uint8_t to[NAME_MAX_FOLDED], uint32_t *len)
{
	struct tlv rdn, atv, oid, text;
	uint32_t n = 0;

	while (!done(&name)) {
		if (!get(&name, T_SET, &rdn) || !get(&rdn.in, T_SEQ, &atv) || !done(&rdn.in) ||
			!get(&atv.in, T_OID, &oid) || !is_oid(&oid.in) || !next(&atv.in, &text) ||
			!done(&atv.in) || done(&text.in) ||
			(text.tag != T_UTF8 && text.tag != T_PRINTABLE && text.tag != T_IA5) ||
			psi_cursor_left(&oid.in) + psi_cursor_left(&text.in) + 1 >
				NAME_MAX_FOLDED - n)
			return false;
		memcpy(to + n, oid.in.p, psi_cursor_left(&oid.in));
		n += (uint32_t)psi_cursor_left(&oid.in);
		for (const uint8_t *p = text.in.p; p < text.in.end; p++) {
			if (ascii && (*p < 0x20 || *p > 0x7e))
				return false;
			to[n] = *p >= 'A' && *p <= 'Z' ? (uint8_t)(*p | 0x20) : *p;
			n += *p > 0x20;
		}
		to[n++] = 0;
	}
	*len = n;
	return true;
}

/* Two names that nobody takes for the same. */
static bool
differ(const struct psi_cursor *subject, const struct psi_cursor *issuer)
{
	uint8_t a[NAME_MAX_FOLDED], b[NAME_MAX_FOLDED];
	uint32_t n, m;

	return fold(*subject, true, a, &n) && fold(*issuer, false, b, &m) &&
	       (n != m || memcmp(a, b, n) != 0);
}

/* ---- dates ---- */

/* The two forms that RFC 5280 allows. */
static bool
read_time(struct psi_cursor *c, int64_t *s)
{
	struct tlv v;
	struct tm tm, same;
	int d[7] = {0}, n;

	if (!next(c, &v) || (v.tag != T_UTC && v.tag != T_GENERAL))
		return false;
	n = v.tag == T_UTC ? 6 : 7;
	if (psi_cursor_left(&v.in) != 2u * (unsigned int)n + 1 || v.in.end[-1] != 'Z')
		return false;
	for (int i = 0; i < 2 * n; i++) {
		int digit = v.in.p[i] - '0';

		if (digit < 0 || digit > 9)
			return false;
		d[i / 2 + (7 - n)] = d[i / 2 + (7 - n)] * 10 + digit;
	}
	if (v.tag == T_UTC)
		d[0] = d[1] < 50 ? 20 : 19;
	tm = (struct tm){.tm_year = d[0] * 100 + d[1] - 1900,
		.tm_mon = d[2] - 1,
		.tm_mday = d[3],
		.tm_hour = d[4],
		.tm_min = d[5],
		.tm_sec = d[6]};
	same = tm;
	*s = timegm(&tm);
	/* timegm brings what there is not, as the 31st of June, to what there is */
	return tm.tm_year >= 50 && tm.tm_mon == same.tm_mon && tm.tm_mday == same.tm_mday &&
	       tm.tm_hour == same.tm_hour && tm.tm_min == same.tm_min && tm.tm_sec == same.tm_sec;
}

/* ---- keys ---- */

/* RFC 3279 section 2.3.1: two numbers, of which the first is positive and as long as it says. */
static bool
read_rsa(struct leaf *l, struct psi_cursor *bits)
{
	struct tlv key, modulus, exponent;
	uint16_t len;

	if (!get(bits, T_SEQ, &key) || !done(bits) || !get(&key.in, T_INTEGER, &modulus) ||
		!get(&key.in, T_INTEGER, &exponent) || !done(&key.in) || !is_integer(&exponent.in))
		return false;
	len = (uint16_t)psi_cursor_left(&modulus.in);
	return len > 1 && modulus.in.p[0] == 0 && modulus.in.p[1] >= 0x80 &&
	       common(l, (const uint8_t *)&len, sizeof(len)) && common_value(l, &exponent);
}

static bool
read_key(struct leaf *l, struct psi_cursor *c)
{
	static const uint8_t rsa[] = {
		0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0};
#define EC 0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06
	static const uint8_t p256[] = {EC, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
	static const uint8_t p384[] = {EC, 5, 0x2b, 0x81, 0x04, 0x00, 0x22};
	static const uint8_t p521[] = {EC, 5, 0x2b, 0x81, 0x04, 0x00, 0x23};
#undef EC
	static const struct {
		const uint8_t *alg;
		uint8_t alg_len, number_len;
		int nid;
	} curve[] = {{p256, sizeof(p256), 32, NID_X9_62_prime256v1},
		{p384, sizeof(p384), 48, NID_secp384r1}, {p521, sizeof(p521), 66, NID_secp521r1}};
	struct tlv alg, bits;
	uint8_t unused;

	if (!get(c, T_SEQ, &alg) || !get(c, T_BITS, &bits) || !done(c) ||
		!psi_take8(&bits.in, &unused) || unused || !common_value(l, &alg))
		return false;
	l->curve = NID_undef;
	if (holds(&alg.in, rsa, sizeof(rsa)))
		return read_rsa(l, &bits.in);
	for (size_t i = 0; i < PSI_COUNT(curve); i++)
		if (holds(&alg.in, curve[i].alg, curve[i].alg_len)) {
			l->curve = curve[i].nid;
			l->point = (struct psi_trust_der){
				bits.in.p, (uint32_t)psi_cursor_left(&bits.in)};
			return l->point.len == 1 + 2u * curve[i].number_len && l->point.p[0] == 4;
		}
	return false;
}

/* ---- extensions ---- */

/* DNS names, at least one; addresses and URIs may be among them. */
static bool
read_names(struct leaf *l, struct psi_cursor value)
{
	uint32_t kept = 0, names = 0;
	struct tlv list, name;

	if (l->names.p || !get(&value, T_SEQ, &list) || !done(&value))
		return false;
	l->names = (struct psi_trust_der){list.in.p, (uint32_t)psi_cursor_left(&list.in)};
	while (!done(&list.in)) {
		if (!next(&list.in, &name) || (name.tag != T_DNS && name.tag != T_EMAIL &&
						      name.tag != T_URI && name.tag != T_IP))
			return false;
		names += name.tag == T_DNS;
		kept += 3 + (uint32_t)psi_cursor_left(&name.in);
		if (psi_cursor_left(&name.in) > SAN_ENTRY_MAX || kept > SAN_KEPT_MAX)
			return false;
	}
	return names > 0;
}

static bool
is_octets(struct psi_cursor value)
{
	struct tlv v;

	return get(&value, T_OCTETS, &v) && done(&value);
}

static bool
read_extension(struct leaf *l, struct psi_cursor *c)
{
	static const uint8_t names[] = {0x55, 0x1d, 0x11}, key_id[] = {0x55, 0x1d, 0x0e},
			     logged[] = {
				     0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02};
	struct tlv oid, value;

	if (!get(c, T_OID, &oid) || !common_value(l, &oid) || !next(c, &value))
		return false;
	if (value.tag == T_BOOLEAN && (!common_value(l, &value) || !next(c, &value)))
		return false;
	if (value.tag != T_OCTETS || !done(c))
		return false;
	if (holds(&oid.in, names, sizeof(names)))
		return read_names(l, value.in);
	if (holds(&oid.in, key_id, sizeof(key_id)))
		return is_octets(value.in);
	return holds(&oid.in, logged, sizeof(logged)) || common_value(l, &value);
}

static bool
read_extensions(struct leaf *l, struct psi_cursor c)
{
	struct tlv ext;

	while (!done(&c))
		if (!get(&c, T_SEQ, &ext) || !read_extension(l, &ext.in))
			return false;
	return l->names.p;
}

/* ---- the whole ---- */

static bool
read_signed_part(struct leaf *l, struct psi_cursor c)
{
	struct tlv version, serial, alg, issuer, life, subject, key, exts, list;

	return get(&c, T_VERSION, &version) && common_value(l, &version) &&
	       get(&c, T_INTEGER, &serial) && is_integer(&serial.in) && get(&c, T_SEQ, &alg) &&
	       common_value(l, &alg) && get(&c, T_SEQ, &issuer) && common_value(l, &issuer) &&
	       get(&c, T_SEQ, &life) && read_time(&life.in, &l->from) &&
	       read_time(&life.in, &l->to) && done(&life.in) && get(&c, T_SEQ, &subject) &&
	       differ(&subject.in, &issuer.in) && get(&c, T_SEQ, &key) && read_key(l, &key.in) &&
	       get(&c, T_EXTS, &exts) && done(&c) && get(&exts.in, T_SEQ, &list) &&
	       done(&exts.in) && read_extensions(l, list.in);
}

bool
leaf_read(struct leaf *l, const struct psi_trust_der *der)
{
	struct psi_cursor c = psi_cursor(der->p, der->len);
	struct tlv cert, tbs, alg, sig;
	uint8_t unused;

	l->same_len = 0;
	l->names.p = NULL;
	if (!get(&c, T_SEQ, &cert) || !done(&c) || !get(&cert.in, T_SEQ, &tbs) ||
		!get(&cert.in, T_SEQ, &alg) || !get(&cert.in, T_BITS, &sig) || !done(&cert.in) ||
		!psi_take8(&sig.in, &unused) || unused)
		return false;
	l->signed_part = (struct psi_trust_der){tbs.all, (uint32_t)(tbs.in.end - tbs.all)};
	l->sig = (struct psi_trust_der){sig.in.p, (uint32_t)psi_cursor_left(&sig.in)};
	return common_value(l, &alg) && read_signed_part(l, tbs.in);
}

uint32_t
leaf_names(const struct leaf *l, uint8_t *to)
{
	struct psi_cursor c = psi_cursor(l->names.p, l->names.len);
	struct tlv name;
	uint32_t len = 0;

	while (next(&c, &name))
		if (name.tag == T_DNS)
			len = name_put(to, len, name.in.p, (uint32_t)psi_cursor_left(&name.in));
	return len;
}
