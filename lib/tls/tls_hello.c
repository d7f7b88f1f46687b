/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_hello.c: the steps of ClientHello, ServerHello and HelloRetryRequest, and the SSLv2 forms of the two hellos.
 * Hot. A step has been given its bytes by the machine in tls_msg.c, which has counted them already. */
#include "tls_pvt.h"

/* Extension types, IANA "TLS ExtensionType Values"; those that are read. */
enum {
	EXT_SERVER_NAME = 0,
	EXT_STATUS_REQUEST = 5,
	EXT_SUPPORTED_GROUPS = 10,
	EXT_EC_POINT_FORMATS = 11,
	EXT_SIGNATURE_ALGORITHMS = 13,
	EXT_ALPN = 16,
	EXT_SCT = 18,
	EXT_CLIENT_CERT_TYPE = 19,
	EXT_SERVER_CERT_TYPE = 20,
	EXT_ENCRYPT_THEN_MAC = 22,
	EXT_EXTENDED_MASTER_SECRET = 23,
	EXT_COMPRESS_CERTIFICATE = 27,
	EXT_RECORD_SIZE_LIMIT = 28,
	EXT_SESSION_TICKET = 35,
	EXT_KEY_SHARE_OLD = 40, /* drafts of 1.3 up to 22 */
	EXT_PRE_SHARED_KEY = 41,
	EXT_EARLY_DATA = 42,
	EXT_SUPPORTED_VERSIONS = 43,
	EXT_KEY_SHARE = 51,
	EXT_ECH_DRAFT_FIRST = 0xfe08,
	EXT_ECH = 0xfe0d,
	EXT_ESNI = 0xffce,
};

/* SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3). */
static const uint8_t hrr_random[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d,
	0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07,
	0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

/* Drafts, experiments of browsers and the numbers of Facebook's Fizz are TLS 1.3; version_raw keeps what was sent. */
static uint16_t
normal_version(uint16_t v)
{
	uint8_t major = v >> 8;

	return major == 0x7f || major == 0x7e || major == 0xfb ? 0x0304 : v;
}

/* ---- lists of the ClientHello ----
 * They are kept one behind the other in hello.v. The extension types come in between the others, so they are collected
 * from the top of v downwards and brought into place when the hello is complete. */

static void
list_begin(struct tls_in *x, enum psi_tls_list l, uint32_t len, enum tls_step element,
	enum tls_step after)
{
	struct psi_tls_hello *h = &x->t->hello;

	if (h->lists_begun & 1u << l) { /* a second one, which RFC 8446 section 4.2 forbids */
		x->t->note |= PSI_TLS_MALFORMED;
		x->s->step = TLS_S_REST;
		return;
	}
	h->lists_begun |= (uint8_t)(1u << l);
	x->s->list = (uint8_t)l;
	h->list[l].at = h->v_cnt;
	tls_open(x, len, element, after);
}

/* Room for up to cnt values more of the list at hand: their number, and where they go. */
static uint32_t
list_room(struct tls_in *x, uint32_t cnt, uint16_t **v)
{
	struct psi_tls_hello *h = &x->t->hello;
	uint32_t left = PSI_TLS_LIST_MAX - h->v_cnt - h->ext_cnt;

	if (cnt > left) {
		x->t->note |= PSI_TLS_HELLO_CUT;
		cnt = left;
	}
	*v = h->v + h->v_cnt;
	h->v_cnt = (uint16_t)(h->v_cnt + cnt);
	h->list[x->s->list].cnt = (uint16_t)(h->list[x->s->list].cnt + cnt);
	return cnt;
}

static void
list_add(struct tls_in *x, uint16_t value)
{
	uint16_t *v;

	if (list_room(x, 1, &v))
		*v = value;
}

static void
ext_add(struct tls_in *x, uint16_t type)
{
	struct psi_tls_hello *h = &x->t->hello;

	if (h->v_cnt + h->ext_cnt >= PSI_TLS_LIST_MAX) {
		x->t->note |= PSI_TLS_HELLO_CUT;
		return;
	}
	h->ext_cnt++;
	h->v[PSI_TLS_LIST_MAX - h->ext_cnt] = type;
}

void
tls_ch_end(struct psi_tls *t)
{
	struct psi_tls_hello *h = &t->hello;
	unsigned int n = h->ext_cnt;
	uint16_t *top = h->v + PSI_TLS_LIST_MAX - n;

	for (unsigned int i = 0; i < n / 2; i++) {
		uint16_t v = top[i];

		top[i] = top[n - 1 - i];
		top[n - 1 - i] = v;
	}
	if (!n)
		return;
	memmove(h->v + h->v_cnt, top, n * sizeof(h->v[0]));
	h->list[PSI_TLS_L_EXTENSIONS].at = h->v_cnt;
	h->list[PSI_TLS_L_EXTENSIONS].cnt = (uint16_t)n;
	h->v_cnt = (uint16_t)(h->v_cnt + n);
	h->ext_cnt = 0;
}

void
tls_on_l16_len(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	list_begin(x, x->s->list, psi_be16(p), TLS_S_L16, TLS_S_EXTRA);
}

void
tls_on_l16_len8(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	list_begin(x, x->s->list, p[0], TLS_S_L16, TLS_S_EXTRA);
}

void
tls_on_l16(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	uint16_t *v;
	uint32_t n = list_room(x, len / 2, &v);

	for (uint32_t i = 0; i < n; i++)
		v[i] = psi_be16(p + 2 * i);
}

void
tls_on_l8_len(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	list_begin(x, x->s->list, p[0], TLS_S_L8, TLS_S_EXTRA);
}

void
tls_on_l8(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	uint16_t *v;
	uint32_t n = list_room(x, len, &v);

	for (uint32_t i = 0; i < n; i++)
		v[i] = p[i];
}

/* ---- ClientHello ---- */

void
tls_on_ch_fix(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->hello.version = psi_be16(p);
	x->t->session_id_len[PSI_C2S] = p[34];
	if (p[34] > sizeof(x->t->session_id))
		x->t->note |= PSI_TLS_MALFORMED;
	tls_open(x, p[34], TLS_S_CH_SID, TLS_S_CH_CIPHERS);
}

void
tls_on_ch_sid(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	uint32_t off = x->s->span_off;

	if (off < sizeof(x->t->session_id))
		memcpy(x->t->session_id + off, p, PSI_MIN(len, sizeof(x->t->session_id) - off));
}

void
tls_on_ch_ciphers(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	list_begin(x, PSI_TLS_L_CIPHERS, psi_be16(p), TLS_S_L16, TLS_S_CH_COMP);
}

void
tls_on_ch_comp(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->hello.lists_end = 1;
	tls_open(x, p[0], TLS_S_REST, TLS_S_EXTS_LEN);
}

void
tls_on_exts_len(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	tls_open(x, psi_be16(p), TLS_S_EXT_HDR, TLS_S_EXTRA);
}

void
tls_on_sni_list(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	tls_open(x, psi_be16(p), TLS_S_SNI_HDR, TLS_S_EXTRA);
}

void
tls_on_sni_hdr(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	/* RFC 6066: only host_name (0) is defined, and one of a kind. */
	bool wanted = p[0] == 0 && !x->t->sni_len;

	tls_open(x, psi_be16(p + 1), wanted ? TLS_S_SNI_NAME : TLS_S_REST, TLS_S_SNI_HDR);
}

void
tls_on_sni_name(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	uint32_t off = x->s->span_off;

	if (off < PSI_TLS_SNI_MAX)
		memcpy(x->t->sni + off, p, PSI_MIN(len, PSI_TLS_SNI_MAX - off));
	if (tls_room(x->s)) /* half a name is not reported */
		return;
	if (off + len > PSI_TLS_SNI_MAX)
		x->t->note |= PSI_TLS_MALFORMED;
	x->t->sni_len = (uint8_t)PSI_MIN(off + len, PSI_TLS_SNI_MAX);
}

void
tls_on_alpn_list(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	tls_open(x, psi_be16(p), TLS_S_ALPN_LEN, TLS_S_EXTRA);
}

void
tls_on_alpn_len(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	bool fits = x->t->alpn_len + 1u + p[0] <= PSI_TLS_ALPN_MAX;

	if (fits)
		x->t->client_alpns[x->t->alpn_len] = p[0];
	else
		x->t->note |= PSI_TLS_ALPN_CUT;
	if (p[0] == 0)
		x->t->note |= PSI_TLS_MALFORMED;
	tls_open(x, p[0], fits ? TLS_S_ALPN_NAME : TLS_S_REST, TLS_S_ALPN_LEN);
}

void
tls_on_alpn_name(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	memcpy(x->t->client_alpns + x->t->alpn_len + 1 + x->s->span_off, p, len);
	if (!tls_room(x->s))
		x->t->alpn_len = (uint8_t)(x->t->alpn_len + 1 + x->s->span_off + len);
}

void
tls_on_ks_list(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	list_begin(x, PSI_TLS_L_KEY_SHARES, psi_be16(p), TLS_S_KS_HDR, TLS_S_EXTRA);
}

void
tls_on_ks_hdr(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	list_add(x, psi_be16(p));
	tls_open(x, psi_be16(p + 2), TLS_S_REST, TLS_S_KS_HDR);
}

void
tls_on_psk_list(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	tls_open(x, psi_be16(p), TLS_S_PSK_ID, TLS_S_REST); /* behind them the binders */
}

void
tls_on_psk_id(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	if (!x->t->psk_cnt++)
		x->t->psk_len = psi_be16(p);
	tls_open(x, psi_be16(p), TLS_S_REST, TLS_S_PSK_AGE);
}

void
tls_on_psk_age(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->s->step = TLS_S_PSK_ID;
}

void
tls_on_rec_limit(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->record_limit[tls_dir(x->t, x->side)] = psi_be16(p);
	x->s->step = TLS_S_EXTRA;
}

void
tls_on_ech_type(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	if (p[0] > 1) {
		x->t->note |= PSI_TLS_MALFORMED;
		x->s->step = TLS_S_REST;
		return;
	}
	x->t->ech.type = (uint8_t)(1 + p[0]);
	x->s->step = p[0] == 0 ? TLS_S_ECH_FIX : TLS_S_EXTRA;
}

void
tls_on_ech_fix(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->ech.kdf = psi_be16(p);
	x->t->ech.aead = psi_be16(p + 2);
	x->t->ech.config_id = p[4];
	x->t->ech.enc_len = psi_be16(p + 5);
	tls_open(x, psi_be16(p + 5), TLS_S_REST, TLS_S_ECH_PAYLOAD);
}

void
tls_on_ech_payload(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->ech.payload_len = psi_be16(p);
	tls_open(x, psi_be16(p), TLS_S_REST, TLS_S_EXTRA);
}

/* The first step of an extension that holds one of our lists. */
static enum tls_step
list_ext(struct tls_in *x, enum psi_tls_list l, enum tls_step step)
{
	x->s->list = (uint8_t)l;
	return step;
}

/* What an extension of the ClientHello says by being there, and how its content is read. */
static enum tls_step
ch_ext(struct tls_in *x, uint16_t type, uint16_t n)
{
	struct psi_tls *t = x->t;

	switch (type) {
	case EXT_SERVER_NAME: return TLS_S_SNI_LIST;
	case EXT_STATUS_REQUEST: t->note |= PSI_TLS_OCSP_REQUESTED; break;
	case EXT_SUPPORTED_GROUPS: return list_ext(x, PSI_TLS_L_GROUPS, TLS_S_L16_LEN);
	case EXT_EC_POINT_FORMATS: return list_ext(x, PSI_TLS_L_POINT_FORMATS, TLS_S_L8_LEN);
	case EXT_SIGNATURE_ALGORITHMS: return list_ext(x, PSI_TLS_L_SIGALGS, TLS_S_L16_LEN);
	case EXT_SUPPORTED_VERSIONS: return list_ext(x, PSI_TLS_L_VERSIONS, TLS_S_L16_LEN8);
	case EXT_KEY_SHARE:
	case EXT_KEY_SHARE_OLD: return TLS_S_KS_LIST;
	case EXT_ALPN: return TLS_S_ALPN_LIST;
	case EXT_COMPRESS_CERTIFICATE: t->note |= PSI_TLS_COMPRESS_OFFERED; break;
	case EXT_RECORD_SIZE_LIMIT: return TLS_S_REC_LIMIT;
	case EXT_SESSION_TICKET:
		t->ticket_len = n;
		t->note |= n ? PSI_TLS_TICKET_OFFERED : 0;
		break;
	case EXT_PRE_SHARED_KEY: t->note |= PSI_TLS_PSK_OFFERED; return TLS_S_PSK_LIST;
	case EXT_EARLY_DATA: t->note |= PSI_TLS_EARLY_DATA; break;
	case EXT_ESNI: t->note |= PSI_TLS_ESNI; break;
	case EXT_ECH: t->note |= PSI_TLS_ECH; return TLS_S_ECH_TYPE;
	}
	if (type >= EXT_ECH_DRAFT_FIRST && type < EXT_ECH)
		t->note |= PSI_TLS_ECH;
	return TLS_S_REST;
}

/* ---- ServerHello ---- */

void
tls_on_sh_fix(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	struct psi_tls *t = x->t;

	t->version_raw = psi_be16(p);
	t->server_ext_cnt = 0;
	if (memcmp(p + 2, hrr_random, sizeof(hrr_random)) == 0) {
		x->s->bits |= TLS_B_HRR;
		t->note |= PSI_TLS_HRR;
	}
	x->s->step = t->version_raw >> 8 == 0x7f ? TLS_S_SH_CIPHER13 : TLS_S_SH_SID_LEN;
}

void
tls_on_sh_sid_len(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	struct psi_tls *t = x->t;

	t->session_id_len[PSI_S2C] = p[0];
	x->s->bits &= (uint8_t)~TLS_B_SID_DIFF;
	if (p[0] != t->session_id_len[PSI_C2S] || p[0] > sizeof(t->session_id))
		x->s->bits |= TLS_B_SID_DIFF;
	tls_open(x, p[0], TLS_S_SH_SID, TLS_S_SH_CIPHER);
}

void
tls_on_sh_sid(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	if (x->s->bits & TLS_B_SID_DIFF)
		return;
	if (memcmp(x->t->session_id + x->s->span_off, p, len) != 0)
		x->s->bits |= TLS_B_SID_DIFF;
}

void
tls_on_sh_cipher(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->cipher = psi_be16(p);
	x->s->step = TLS_S_EXTS_LEN;
}

void
tls_on_sh_cipher13(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	tls_on_sh_cipher(x, p, len);
}

void
tls_on_sh_version(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->version_raw = psi_be16(p);
	x->s->step = TLS_S_EXTRA;
}

void
tls_on_sh_ks(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->group = psi_be16(p);
	x->s->step = TLS_S_REST; /* the key; nothing in a HelloRetryRequest */
}

void
tls_on_sh_alpn(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->alpn_sel_len = 0;
	if (p[2] > PSI_TLS_ALPN_MAX)
		x->t->note |= PSI_TLS_ALPN_CUT;
	if (psi_be16(p) != p[2] + 1u)
		x->t->note |= PSI_TLS_MALFORMED;
	tls_open(x, p[2], p[2] > PSI_TLS_ALPN_MAX ? TLS_S_REST : TLS_S_SH_ALPN_SEL, TLS_S_EXTRA);
}

void
tls_on_sh_alpn_sel(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	memcpy(x->t->alpn_sel + x->s->span_off, p, len);
	if (!tls_room(x->s))
		x->t->alpn_sel_len = (uint8_t)(x->s->span_off + len);
}

void
tls_on_sh_cert_type(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	if (p[0] == 2) { /* RawPublicKey */
		x->t->note |= PSI_TLS_RAW_KEY;
		x->t->raw_key |= 1 << PSI_S2C;
	}
	x->s->step = TLS_S_EXTRA;
}

void
tls_on_sh_client_type(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	if (p[0] == 2)
		x->t->raw_key |= 1 << PSI_C2S;
	x->s->step = TLS_S_EXTRA;
}

static enum tls_step
sh_ext(struct tls_in *x, uint16_t type)
{
	struct psi_tls *t = x->t;
	bool hrr = x->s->bits & TLS_B_HRR;

	if (!hrr && t->server_ext_cnt < PSI_COUNT(t->server_ext))
		t->server_ext[t->server_ext_cnt++] = type;
	switch (type) {
	case EXT_ALPN: return TLS_S_SH_ALPN;
	case EXT_SCT: t->note |= PSI_TLS_SCT_OFFERED; break;
	case EXT_CLIENT_CERT_TYPE: return TLS_S_SH_CLIENT_TYPE;
	case EXT_SERVER_CERT_TYPE: return TLS_S_SH_CERT_TYPE;
	case EXT_ENCRYPT_THEN_MAC: t->note |= PSI_TLS_ETM; break;
	case EXT_EXTENDED_MASTER_SECRET: t->note |= PSI_TLS_EMS; break;
	case EXT_RECORD_SIZE_LIMIT: return TLS_S_REC_LIMIT;
	case EXT_PRE_SHARED_KEY: t->note |= PSI_TLS_PSK_ACCEPTED | PSI_TLS_RESUMED; break;
	case EXT_SUPPORTED_VERSIONS: return TLS_S_SH_VERSION;
	case EXT_KEY_SHARE:
	case EXT_KEY_SHARE_OLD: return TLS_S_SH_KS;
	case EXT_ECH: t->note |= hrr ? PSI_TLS_ECH_HRR : 0; break;
	}
	return TLS_S_REST;
}

void
tls_on_ext_hdr(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	uint16_t type = psi_be16(p), n = psi_be16(p + 2);
	enum tls_step step;

	if (x->s->msg_type == PSI_HS_CLIENT_HELLO) {
		ext_add(x, type);
		step = ch_ext(x, type, n);
	} else {
		step = sh_ext(x, type);
	}
	tls_open(x, n, step, TLS_S_EXT_HDR);
}

/* Whether the suite leaves the data in clear (RFC 5246 appendix C, RFC 4492, 4785, 5489, 9150). */
static bool
is_null_cipher(uint16_t c)
{
	const char *name = psi_cipher_name(c);

	return name && (strstr(name, "_NULL_") || c == 0xc0b4 || c == 0xc0b5);
}

/* A ServerHello is over, whole or with a hole. The version is settled only now, since an extension may overrule the
 * field; with a hole, the value that stands for "look into the extension" settles nothing. */
void
tls_sh_end(struct tls_in *x)
{
	struct psi_tls *t = x->t;
	uint8_t bits = x->s->bits;

	if ((bits & TLS_B_CUT) && t->version_raw == 0x0303)
		t->version_raw = 0;
	t->version = normal_version(t->version_raw);
	if (bits & (TLS_B_CUT | TLS_B_HRR))
		return;
	t->side[0].enc_at_sh = t->side[0].enc_cnt;
	t->side[1].enc_at_sh = t->side[1].enc_cnt;
	if (t->version < 0x0304 && t->session_id_len[PSI_S2C] && !(bits & TLS_B_SID_DIFF))
		t->note |= PSI_TLS_RESUMED;
	if (t->version != 0x0002 && is_null_cipher(t->cipher))
		t->note |= PSI_TLS_NULL_CIPHER;
}

/* ---- SSLv2 ---- */

void
tls_on_v2_ch_fix(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	struct psi_tls *t = x->t;
	uint32_t ciphers = psi_be16(p + 3), sid = psi_be16(p + 5), challenge = psi_be16(p + 7);

	t->note |= PSI_TLS_SSL2_HELLO;
	t->hello.version = psi_be16(p + 1);
	t->session_id_len[PSI_C2S] = (uint8_t)PSI_MIN(sid, UINT8_MAX);
	if (ciphers + sid + challenge != tls_room(x->s))
		t->note |= PSI_TLS_MALFORMED;
	list_begin(x, PSI_TLS_L_CIPHERS, ciphers, TLS_S_V2_CIPHER, TLS_S_REST);
}

void
tls_on_v2_cipher(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += 3)
		if (p[i] == 0) /* RFC 5246 appendix E.2: the others are SSLv2's own */
			list_add(x, psi_be16(p + i + 1));
}

void
tls_on_v2_sh_fix(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	struct psi_tls *t = x->t;
	uint32_t n = psi_be16(p + 5);

	t->version_raw = 0x0002;
	if (p[1]) /* SESSION-ID-HIT */
		t->note |= PSI_TLS_RESUMED;
	if (n <= tls_room(x->s))
		tls_v2_cert_begin(x, n);
	tls_open(x, n, TLS_S_CERT, TLS_S_REST);
}
