/* SPDX-License-Identifier: BSD-3-Clause */
/* The walk through a certificate. Invariants:
 *  - stack[i].left counts the bytes of value i that lie behind the value open above it, so what is left of value i
 *    altogether is the sum of left from i to the top, plus what is left of a leaf;
 *  - an inner length is checked against the outer's left before it is taken from it; a value is closed when its left
 *    is 0 and no header has begun;
 *  - a header costs at least two bytes of input, a leaf is copied at most once: time is linear in the bytes pushed. */
#include "x509_pvt.h"

enum {
	T_BOOLEAN = 0x01,
	T_INTEGER = 0x02,
	T_BITS = 0x03,
	T_OCTETS = 0x04,
	T_OID = 0x06,
	T_UTC = 0x17,
	T_GENERAL = 0x18,
	T_SEQ = 0x30,
	T_SET = 0x31,
	T_CTX = 0x80,	   /* [n] primitive */
	T_CTX_CONS = 0xa0, /* [n] constructed */
};

static struct x_frame *
top(struct psi_x509_ctx *x)
{
	return &x->stack[x->depth - 1];
}

/* The three answers to "what is this value?". */
static int
enter(struct psi_x509_ctx *x, enum x_role role, uint32_t len)
{
	PSI_ASSERT(x->depth < PSI_X509_DEPTH_MAX, "the grammar bounds the depth");
	x->stack[x->depth++] = (struct x_frame){.left = len, .role = (uint8_t)role};
	x->hdr_have = 0;
	return PSI_OK;
}

static int
leaf(struct psi_x509_ctx *x, enum x_leaf what, uint32_t len)
{
	x->leaf = (uint8_t)what;
	x->leaf_len = x->left = len;
	x->have = 0;
	x->state = S_LEAF;
	return PSI_OK;
}

static int
pass(struct psi_x509_ctx *x, uint32_t len)
{
	x->left = len;
	x->hdr_have = 0;
	x->state = S_SKIP;
	return PSI_OK;
}

/* Parts that are hashed by themselves. The header is in hdr, the rest follows as it is consumed. */
static int
enter_part(struct psi_x509_ctx *x, enum x_role role, uint32_t len, const uint8_t *from)
{
	SHA256_Init(&x->part);
	SHA256_Update(&x->part, x->hdr, x->hdr_have);
	x->part_on = true;
	x->part_from = from;
	return enter(x, role, len);
}

static void
part_end(struct psi_x509_ctx *x, const uint8_t *to, uint8_t hash[32])
{
	SHA256_Update(&x->part, x->part_from, (size_t)(to - x->part_from));
	SHA256_Final(hash, &x->part);
	x->part_on = false;
}

/* ---- the grammar: one function a role says what its next child is ---- */

static int
in_cert(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	switch (f->at++) {
	case 0: return x->tag == T_SEQ ? enter(x, R_TBS, len) : PSI_E_MALFORMED;
	case 1: return x->tag == T_SEQ ? enter(x, R_SIG_OUTER, len) : PSI_E_MALFORMED;
	case 2: return x->tag == T_BITS ? pass(x, len) : PSI_E_MALFORMED;
	}
	return PSI_E_MALFORMED;
}

static int
in_tbs_tail(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	uint8_t tag = x->tag & 0xdf; /* unique identifiers may come constructed in BER */

	if (tag == (T_CTX | 1) && f->at < 8) {
		f->at = 8;
		return pass(x, len);
	}
	if (tag == (T_CTX | 2) && f->at < 9) {
		f->at = 9;
		return pass(x, len);
	}
	if (x->tag == (T_CTX_CONS | 3) && f->at < 10) {
		f->at = 10;
		return enter(x, R_EXTS_TAG, len);
	}
	return PSI_E_MALFORMED;
}

static int
in_tbs(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len, const uint8_t *at)
{
	if (f->at == 0) {
		f->at = 1;
		if (x->tag == T_CTX_CONS)
			return enter(x, R_VERSION, len);
		x->out->version = 1;
	}
	if (f->at > 6)
		return in_tbs_tail(x, f, len);
	if (x->tag != (f->at == 1 ? T_INTEGER : T_SEQ))
		return PSI_E_MALFORMED;
	switch (f->at++) {
	case 1: return leaf(x, L_SERIAL, len);
	case 2: return enter(x, R_SIG_TBS, len);
	case 3: x_name_begin(x); return enter_part(x, R_ISSUER, len, at);
	case 4: return enter(x, R_VALIDITY, len);
	case 5: x_name_begin(x); return enter_part(x, R_SUBJECT, len, at);
	}
	return enter_part(x, R_SPKI, len, at);
}

static int
in_algorithm(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len, enum x_leaf what)
{
	if (f->at++ == 0)
		return x->tag == T_OID ? leaf(x, what, len) : PSI_E_MALFORMED;
	return f->at == 2 ? pass(x, len) : PSI_E_MALFORMED;
}

static int
in_key_alg(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	uint8_t type = x->out->key_type;

	if (f->at != 1)
		return in_algorithm(x, f, len, L_KEY_ALG);
	f->at = 2;
	if (type == PSI_KEY_EC && x->tag == T_OID)
		return leaf(x, L_CURVE, len);
	if (type == PSI_KEY_EC) {
		memcpy(x->out->curve, x->tag == T_SEQ ? "explicit" : "implicit",
			sizeof("explicit"));
		return x->tag == T_SEQ ? enter(x, R_EC_PARAMS, len) : pass(x, len);
	}
	if ((type == PSI_KEY_DSA || type == PSI_KEY_DH) && x->tag == T_SEQ)
		return enter(x, R_PARAMS, len);
	return pass(x, len);
}

/* The curve in full: version, field { type, prime or { m, ... } }, coefficients, generator. Only the field is read. */
static int
in_ec_params(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	return f->at++ == 1 && x->tag == T_SEQ ? enter(x, R_EC_FIELD, len) : pass(x, len);
}

static int
in_ec_field(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	if (f->at++ != 1)
		return pass(x, len);
	return x->tag == T_INTEGER ? leaf(x, L_KEY_INT, len)
	       : x->tag == T_SEQ   ? enter(x, R_EC_CHAR2, len)
				   : PSI_E_MALFORMED;
}

static int
in_first_integer(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len, enum x_leaf what)
{
	if (f->at)
		return pass(x, len);
	f->at = 1;
	return x->tag == T_INTEGER ? leaf(x, what, len) : PSI_E_MALFORMED;
}

static int
in_spki(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	uint8_t type = x->out->key_type;

	if (f->at++ == 0)
		return x->tag == T_SEQ ? enter(x, R_KEY_ALG, len) : PSI_E_MALFORMED;
	if (f->at != 2 || x->tag != T_BITS)
		return PSI_E_MALFORMED;
	return type == PSI_KEY_RSA || type == PSI_KEY_RSA_PSS ? enter(x, R_KEY_BITS, len)
							      : pass(x, len);
}

/* What stands in front of the key inside its BIT STRING, the number of unused bits, is read as a header of one byte. */
static int
in_key_bits(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	switch (f->at++) {
	case 0: x->hdr_have = 0; return x->tag <= 7 ? PSI_OK : PSI_E_MALFORMED;
	case 1: return x->tag == T_SEQ ? enter(x, R_RSA, len) : PSI_E_MALFORMED;
	}
	return PSI_E_MALFORMED;
}

static int
in_atv(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	switch (f->at++) {
	case 0: return x->tag == T_OID ? leaf(x, L_ATTR_TYPE, len) : PSI_E_MALFORMED;
	case 1: return leaf(x, L_ATTR_VALUE, len);
	}
	return PSI_E_MALFORMED;
}

static int
in_validity(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	if (f->at > 1 || (x->tag != T_UTC && x->tag != T_GENERAL))
		return PSI_E_MALFORMED;
	return leaf(x, f->at++ ? L_NOT_AFTER : L_NOT_BEFORE, len);
}

static int
in_ext(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	if (f->at == 0) {
		f->at = 1;
		x->ext_critical = false;
		return x->tag == T_OID ? leaf(x, L_EXT_OID, len) : PSI_E_MALFORMED;
	}
	if (f->at == 1 && x->tag == T_BOOLEAN) {
		f->at = 2;
		return leaf(x, L_EXT_CRITICAL, len);
	}
	if (f->at > 2 || x->tag != T_OCTETS)
		return PSI_E_MALFORMED;
	f->at = 3;
	if (x->ext == X_UNKNOWN && x->ext_critical)
		x->out->note |= PSI_X509_UNKNOWN_CRITICAL;
	if (x->ext <= X_KNOWN)
		return pass(x, len);
	if (x->ext_seen & 1 << (x->ext - X_SAN)) {
		x->out->note |= PSI_X509_EXT_TWICE;
		return pass(x, len);
	}
	x->ext_seen |= (uint8_t)(1 << (x->ext - X_SAN));
	return enter(x, R_EXT_VALUE, len);
}

static int
in_ext_value(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	if (f->at++)
		return PSI_E_MALFORMED;
	switch ((enum x_ext)x->ext) {
	case X_SAN: return x->tag == T_SEQ ? enter(x, R_SANS, len) : PSI_E_MALFORMED;
	case X_BASIC_CONSTRAINTS: return x->tag == T_SEQ ? enter(x, R_BASIC, len) : PSI_E_MALFORMED;
	case X_KEY_USAGE: return x->tag == T_BITS ? leaf(x, L_KEY_USAGE, len) : PSI_E_MALFORMED;
	case X_EKU: return x->tag == T_SEQ ? enter(x, R_EKUS, len) : PSI_E_MALFORMED;
	case X_SKI: return x->tag == T_OCTETS ? leaf(x, L_SKI, len) : PSI_E_MALFORMED;
	case X_AKI: return x->tag == T_SEQ ? enter(x, R_AKI, len) : PSI_E_MALFORMED;
	case X_SCT: return x->tag == T_OCTETS ? enter(x, R_SCT_LIST, len) : PSI_E_MALFORMED;
	case X_UNKNOWN:
	case X_KNOWN: break;
	}
	return PSI_E_MALFORMED;
}

static int
in_basic(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	if (x->tag == T_BOOLEAN && f->at == 0) {
		f->at = 1;
		return leaf(x, L_BASIC_CA, len);
	}
	if (x->tag == T_INTEGER && f->at < 2) {
		f->at = 2;
		return leaf(x, L_BASIC_PATHLEN, len);
	}
	return PSI_E_MALFORMED;
}

static int
in_aki(struct psi_x509_ctx *x, struct x_frame *f, uint32_t len)
{
	if (x->tag == T_CTX && f->at == 0) {
		f->at = 1;
		return leaf(x, L_AKI, len);
	}
	return (x->tag & 0xc0) == T_CTX ? pass(x, len) : PSI_E_MALFORMED;
}

static int
in_sans(struct psi_x509_ctx *x, uint32_t len)
{
	if (x->out->san_cnt < UINT16_MAX)
		x->out->san_cnt++;
	switch (x->tag) {
	case T_CTX | PSI_SAN_EMAIL:
	case T_CTX | PSI_SAN_DNS:
	case T_CTX | PSI_SAN_URI:
	case T_CTX | PSI_SAN_IP:
	case T_CTX_CONS | PSI_SAN_DIR: return leaf(x, L_SAN, len);
	}
	return (x->tag & 0xc0) == T_CTX ? pass(x, len) : PSI_E_MALFORMED;
}

/* A complete header: x->tag, and the content's length. at: the first content byte. */
static int
on_value(struct psi_x509_ctx *x, uint32_t len, const uint8_t *at)
{
	struct x_frame *f = top(x);

	switch ((enum x_role)f->role) {
	case R_TOP: return x->tag == T_SEQ ? enter(x, R_CERT, len) : PSI_E_MALFORMED;
	case R_CERT: return in_cert(x, f, len);
	case R_TBS: return in_tbs(x, f, len, at);
	case R_VERSION: return f->at ? PSI_E_MALFORMED : in_first_integer(x, f, len, L_VERSION);
	case R_SIG_TBS: return in_algorithm(x, f, len, L_SIG_TBS);
	case R_SIG_OUTER: return in_algorithm(x, f, len, L_SIG_OUTER);
	case R_ISSUER:
	case R_SUBJECT: return x->tag == T_SET ? enter(x, R_RDN, len) : PSI_E_MALFORMED;
	case R_RDN: return x->tag == T_SEQ ? enter(x, R_ATV, len) : PSI_E_MALFORMED;
	case R_ATV: return in_atv(x, f, len);
	case R_VALIDITY: return in_validity(x, f, len);
	case R_SPKI: return in_spki(x, f, len);
	case R_KEY_ALG: return in_key_alg(x, f, len);
	case R_KEY_BITS: return in_key_bits(x, f, len);
	case R_RSA:
	case R_PARAMS: return in_first_integer(x, f, len, L_KEY_INT);
	case R_EC_PARAMS: return in_ec_params(x, f, len);
	case R_EC_FIELD: return in_ec_field(x, f, len);
	case R_EC_CHAR2: return in_first_integer(x, f, len, L_CHAR2_M);
	case R_EXTS_TAG:
		return x->tag == T_SEQ && !f->at++ ? enter(x, R_EXTS, len) : PSI_E_MALFORMED;
	case R_EXTS: return x->tag == T_SEQ ? enter(x, R_EXT, len) : PSI_E_MALFORMED;
	case R_EXT: return in_ext(x, f, len);
	case R_EXT_VALUE: return in_ext_value(x, f, len);
	case R_BASIC: return in_basic(x, f, len);
	case R_EKUS: return x->tag == T_OID ? leaf(x, L_EKU, len) : PSI_E_MALFORMED;
	case R_AKI: return in_aki(x, f, len);
	case R_SANS: return in_sans(x, len);
	case R_SCT_LIST: return f->at++ ? PSI_E_MALFORMED : enter(x, R_SCTS, len);
	case R_SCTS: x->out->sct_cnt += x->out->sct_cnt < UINT16_MAX; return pass(x, len);
	}
	return PSI_E_MALFORMED;
}

/* ---- the end of a value ---- */

/* How many children a value must have had; 0 where none is needed. */
static uint8_t
least(enum x_role role)
{
	switch (role) {
	case R_CERT:
	case R_EXT: return 3;
	case R_TBS: return 7;
	case R_ATV:
	case R_VALIDITY:
	case R_SPKI:
	case R_KEY_BITS:
	case R_EC_PARAMS:
	case R_EC_FIELD: return 2;
	case R_VERSION:
	case R_SIG_TBS:
	case R_SIG_OUTER:
	case R_KEY_ALG:
	case R_RSA:
	case R_EC_CHAR2:
	case R_PARAMS:
	case R_EXTS_TAG:
	case R_EXT_VALUE:
	case R_SCT_LIST: return 1;
	default: return 0;
	}
}

static int
close_value(struct psi_x509_ctx *x, const uint8_t *at)
{
	struct psi_x509 *o = x->out;
	struct x_frame *f = top(x);
	uint8_t hash[32];

	if (f->at < least((enum x_role)f->role))
		return PSI_E_MALFORMED;
	switch ((enum x_role)f->role) {
	case R_CERT: x->state = S_DONE; break;
	case R_RDN: x_name_rdn(x, f[-1].role == R_ISSUER ? o->issuer : o->subject); break;
	case R_ISSUER: part_end(x, at, x->issuer_hash); break;
	case R_SUBJECT:
		part_end(x, at, hash);
		o->note |=
			memcmp(hash, x->issuer_hash, sizeof(hash)) == 0 ? PSI_X509_SELF_ISSUED : 0;
		break;
	case R_SPKI: part_end(x, at, o->spki_sha256); break;
	default: break;
	}
	x->depth--;
	return PSI_OK;
}

/* What is wrong inside an extension or a key is opaque to everything around it: reading goes on behind. */
static uint32_t
opaque(enum x_role role)
{
	switch (role) {
	case R_EXT_VALUE: return PSI_X509_EXT_MALFORMED;
	case R_KEY_BITS:
	case R_EC_PARAMS:
	case R_PARAMS: return PSI_X509_KEY_MALFORMED;
	default: return 0;
	}
}

static int
stumble(struct psi_x509_ctx *x, int rc)
{
	uint32_t rest = x->state == S_LEAF ? x->left : 0;

	for (uint8_t d = x->depth; d > 0; d--) {
		uint32_t note = opaque((enum x_role)x->stack[d - 1].role);

		rest += x->stack[d - 1].left;
		if (note) {
			x->out->note |= note;
			x->depth = (uint8_t)(d - 1);
			return pass(x, rest);
		}
	}
	x->part_on = false;
	x->state = S_FAILED;
	x->err = rc;
	return rc;
}

/* ---- bytes ---- */

/* Bytes that the header needs, as far as can be told from what is there; negative when it is none. */
static int
head_need(const struct psi_x509_ctx *x, const struct x_frame *f)
{
	if (f->role >= R_SCT_LIST)
		return 2;
	if (f->role == R_KEY_BITS && f->at == 0)
		return 1;
	if (x->hdr_have < 2)
		return 2;
	if ((x->hdr[0] & 0x1f) == 0x1f || x->hdr[1] == 0x80)
		return PSI_E_UNSUPPORTED; /* tags above 30, indefinite length */
	if (x->hdr[1] < 0x80)
		return 2;
	return x->hdr[1] <= 0x84 ? 2 + (x->hdr[1] & 0x7f) : PSI_E_MALFORMED;
}

/* Tag and length of a complete header. */
static uint32_t
head_length(struct psi_x509_ctx *x, const struct x_frame *f)
{
	uint32_t len = 0;

	x->tag = x->hdr[0];
	if (f->role >= R_SCT_LIST)
		return (uint32_t)x->hdr[0] << 8 | x->hdr[1];
	if (x->hdr_have < 2)
		return 0;
	if (x->hdr[1] < 0x80)
		return x->hdr[1];
	for (uint8_t i = 2; i < x->hdr_have; i++)
		len = len << 8 | x->hdr[i];
	if (x->hdr[2] == 0 || len < 0x80)
		x->out->note |= PSI_X509_NOT_DER;
	return len;
}

static int
on_header(struct psi_x509_ctx *x, struct psi_cursor *in)
{
	struct x_frame *f = top(x);
	uint32_t len;
	int need, rc;

	if (!f->left && !x->hdr_have)
		return close_value(x, in->p);
	while (need = head_need(x, f), need > x->hdr_have) {
		if (!f->left)
			return PSI_E_MALFORMED;
		if (in->p == in->end)
			return PSI_E_AGAIN;
		x->hdr[x->hdr_have++] = *in->p++;
		f->left--;
	}
	if (need < 0)
		return need;
	len = head_length(x, f);
	if (len > f->left)
		return PSI_E_MALFORMED;
	f->left -= len;
	rc = on_value(x, len, in->p);
	if (rc != PSI_OK)
		f->left += len; /* not entered: stumble() counts on it */
	return rc;
}

static int
on_leaf(struct psi_x509_ctx *x, struct psi_cursor *in)
{
	uint32_t n = (uint32_t)PSI_MIN((size_t)x->left, psi_cursor_left(in));
	struct x_bytes b = {.total = x->leaf_len};
	uint32_t room;
	int rc;

	if (n == x->leaf_len) { /* whole, and in one piece */
		b.p = in->p;
	} else {
		room = PSI_MIN(n, X_SCRATCH - x->have);
		memcpy(x->scratch + x->have, in->p, room);
		x->have += room;
		b.p = x->scratch;
	}
	in->p += n;
	x->left -= n;
	if (x->left)
		return PSI_E_AGAIN;
	b.len = PSI_MIN(b.total, (uint32_t)X_SCRATCH);
	rc = x_leaf_done(x, &b);
	x->hdr_have = 0;
	if (rc == PSI_OK)
		x->state = S_HEADER;
	return rc;
}

static int
on_skip(struct psi_x509_ctx *x, struct psi_cursor *in)
{
	uint32_t n = (uint32_t)PSI_MIN((size_t)x->left, psi_cursor_left(in));

	in->p += n;
	x->left -= n;
	if (x->left)
		return PSI_E_AGAIN;
	x->state = S_HEADER;
	return PSI_OK;
}

static int
on_done(struct psi_x509_ctx *x, struct psi_cursor *in)
{
	if (in->p < in->end)
		x->out->note |= PSI_X509_TRAILING;
	in->p = in->end;
	return PSI_E_AGAIN;
}

static int
walk(struct psi_x509_ctx *x, struct psi_cursor *in)
{
	int rc = PSI_OK;

	while (rc != PSI_E_AGAIN) {
		switch ((enum x_state)x->state) {
		case S_HEADER: rc = on_header(x, in); break;
		case S_LEAF: rc = on_leaf(x, in); break;
		case S_SKIP: rc = on_skip(x, in); break;
		case S_DONE: rc = on_done(x, in); break;
		case S_FAILED: return x->err;
		}
		if (rc < 0 && rc != PSI_E_AGAIN)
			rc = stumble(x, rc);
	}
	return PSI_OK;
}

void
psi_x509_begin(struct psi_x509_ctx *x, struct psi_x509 *out)
{
	memset(out, 0, offsetof(struct psi_x509, san));
	out->not_before = out->not_after = INT64_MIN;
	x->out = out;
	x->state = S_HEADER;
	x->depth = 1;
	x->stack[0] = (struct x_frame){.left = UINT32_MAX, .role = R_TOP};
	x->hdr_have = x->ext_seen = x->sig_len = 0;
	x->part_on = false;
	x->err = PSI_OK;
	SHA1_Init(&x->sha1);
	SHA256_Init(&x->sha256);
}

int
psi_x509_push(struct psi_x509_ctx *x, const uint8_t *p, uint32_t len)
{
	struct psi_cursor in = psi_cursor(p, len);

	if (!len)
		return x->err;
	x->out->len += len;
	SHA1_Update(&x->sha1, p, len);
	SHA256_Update(&x->sha256, p, len);
	x->part_from = p;
	walk(x, &in);
	if (x->part_on)
		SHA256_Update(&x->part, x->part_from, (size_t)(in.p - x->part_from));
	return x->err;
}

int
psi_x509_end(struct psi_x509_ctx *x)
{
	struct psi_x509 *o = x->out;

	SHA1_Final(o->sha1, &x->sha1);
	SHA256_Final(o->sha256, &x->sha256);
	if (x->state == S_DONE)
		o->note |= PSI_X509_WHOLE;
	else if (!x->err)
		x->err = PSI_E_SHORT;
	o->err = x->err;
	return o->err;
}
