/* SPDX-License-Identifier: BSD-3-Clause */
/* What the leaves of a certificate mean. One function a kind; tags have been judged by x509.c. */
#include "x509_pvt.h"

#include <stdio.h>

/* Copies at most cap bytes, marks what is cut, returns how many. */
static uint8_t
keep(struct psi_x509_ctx *x, uint8_t *to, uint32_t cap, const struct x_bytes *b)
{
	uint32_t n = PSI_MIN(cap, b->len);

	if (n < b->total)
		x->out->note |= PSI_X509_ID_CUT;
	memcpy(to, b->p, n);
	return (uint8_t)n;
}

/* A small non-negative INTEGER; UINT32_MAX when it is larger, false when it is negative or empty. */
static bool
small(const struct x_bytes *b, uint32_t *v)
{
	uint32_t sum = 0;

	if (!b->total || b->p[0] & 0x80)
		return false;
	for (uint32_t i = 0; i < b->len && sum != UINT32_MAX; i++)
		sum = sum >> 24 ? UINT32_MAX : sum << 8 | b->p[i];
	*v = b->len < b->total ? UINT32_MAX : sum;
	return true;
}

/* Bits of a positive INTEGER, leading zero bits not counted. */
static uint16_t
bits(const struct x_bytes *b)
{
	uint32_t zero = 0, n;

	while (zero < b->len && !b->p[zero])
		zero++;
	if (zero == b->len)
		return 0;
	n = b->total - zero;
	return n > 8191 ? UINT16_MAX : (uint16_t)(n * 8 - (uint32_t)__builtin_clz(b->p[zero]) + 24);
}

static int
version(struct psi_x509_ctx *x, const struct x_bytes *b)
{
	uint32_t v = UINT32_MAX;

	if (!b->total)
		return PSI_E_MALFORMED;
	small(b, &v);
	x->out->version = v < UINT8_MAX ? (uint8_t)(v + 1) : 0;
	return PSI_OK;
}

static int
serial(struct psi_x509_ctx *x, const struct x_bytes *b)
{
	if (!b->total)
		return PSI_E_MALFORMED;
	x->out->serial_len = keep(x, x->out->serial, sizeof(x->out->serial), b);
	if (b->p[0] & 0x80)
		x->out->note |= PSI_X509_SERIAL_NEGATIVE;
	return PSI_OK;
}

/* Every arc ends, and none begins with a padding byte: who else reads certificates refuses the rest, too. */
static int
oid_form(const struct x_bytes *b)
{
	bool fresh = true;

	if (!b->total || b->len < b->total)
		return PSI_E_MALFORMED;
	for (uint32_t i = 0; i < b->len; i++) {
		if (fresh && b->p[i] == 0x80)
			return PSI_E_MALFORMED;
		fresh = !(b->p[i] & 0x80);
	}
	return fresh ? PSI_OK : PSI_E_MALFORMED;
}

static int
sig_inner(struct psi_x509_ctx *x, const struct x_bytes *b)
{
	const char *name = x_oid_sigalg(b->p, b->len);

	if (name)
		snprintf(x->out->sigalg, sizeof(x->out->sigalg), "%s", name);
	else
		x_oid_dots(b->p, b->len, x->out->sigalg, sizeof(x->out->sigalg));
	x->sig_len = (uint8_t)PSI_MIN(b->len, (uint32_t)sizeof(x->sig));
	memcpy(x->sig, b->p, x->sig_len);
	return PSI_OK;
}

static int
sig_outer(struct psi_x509_ctx *x, const struct x_bytes *b)
{
	uint32_t n = PSI_MIN(b->len, (uint32_t)sizeof(x->sig));

	if (n != x->sig_len || memcmp(b->p, x->sig, n) != 0)
		x->out->note |= PSI_X509_SIGALG_DIFFERS;
	return PSI_OK;
}

static int
key_alg(struct psi_x509_ctx *x, const struct x_bytes *b)
{
	struct psi_x509 *o = x->out;
	const char *set;

	if (x_oid_key(b->p, b->len, &o->key_type, &o->key_bits, &set))
		snprintf(o->curve, sizeof(o->curve), "%s", set);
	else
		x_oid_dots(b->p, b->len, o->curve, sizeof(o->curve));
	return PSI_OK;
}

static int
curve(struct psi_x509_ctx *x, const struct x_bytes *b)
{
	struct psi_x509 *o = x->out;
	const char *name = x_oid_curve(b->p, b->len, &o->key_bits);

	if (name)
		snprintf(o->curve, sizeof(o->curve), "%s", name);
	else
		x_oid_dots(b->p, b->len, o->curve, sizeof(o->curve));
	if (name && strcmp(name, "SM2") == 0)
		o->key_type = PSI_KEY_SM2;
	return PSI_OK;
}

static int
char2_m(struct psi_x509_ctx *x, const struct x_bytes *b)
{
	uint32_t v;

	if (!small(b, &v))
		return PSI_E_MALFORMED;
	x->out->key_bits = (uint16_t)PSI_MIN(v, (uint32_t)UINT16_MAX);
	return PSI_OK;
}

static int
pathlen(struct psi_x509_ctx *x, const struct x_bytes *b)
{
	uint32_t v;

	if (!small(b, &v))
		return PSI_E_MALFORMED;
	x->out->pathlen = (uint8_t)PSI_MIN(v, 255u);
	x->out->note |= PSI_X509_HAS_PATHLEN;
	return PSI_OK;
}

/* A BIT STRING: the number of unused bits at its end, then bit 0 in the highest place. */
static int
key_usage(struct psi_x509_ctx *x, const struct x_bytes *b)
{
	if (!b->total || b->p[0] > 7 || (b->total == 1 && b->p[0]))
		return PSI_E_MALFORMED;
	for (uint32_t i = 0; i < 16 && i + b->p[0] < (b->total - 1) * 8; i++)
		if (b->p[1 + i / 8] & 0x80 >> i % 8)
			x->out->key_usage |= (uint16_t)(1 << i);
	x->out->note |= PSI_X509_HAS_KEY_USAGE;
	return PSI_OK;
}

static int
san(struct psi_x509_ctx *x, const struct x_bytes *b)
{
	struct psi_x509 *o = x->out;
	uint16_t len = (uint16_t)b->len;
	uint8_t *p = o->san + o->san_len;

	if (b->len < b->total || b->len + 3u > sizeof(o->san) - o->san_len) {
		o->note |= PSI_X509_SAN_CUT;
		return PSI_OK;
	}
	p[0] = x->tag & 0x1f;
	memcpy(p + 1, &len, 2);
	memcpy(p + 3, b->p, len);
	o->san_len += (uint16_t)(3 + len);
	return PSI_OK;
}

int
x_leaf_done(struct psi_x509_ctx *x, const struct x_bytes *b)
{
	struct psi_x509 *o = x->out;

	switch ((enum x_leaf)x->leaf) {
	case L_VERSION: return version(x, b);
	case L_SERIAL: return serial(x, b);
	case L_SIG_TBS: return oid_form(b) ? PSI_E_MALFORMED : sig_inner(x, b);
	case L_SIG_OUTER: return oid_form(b) ? PSI_E_MALFORMED : sig_outer(x, b);
	case L_ATTR_TYPE: x_name_type(x, b); return oid_form(b);
	case L_ATTR_VALUE: x_name_value(x, b); return PSI_OK;
	case L_NOT_BEFORE: o->not_before = x_time(x->tag, b->p, b->len); return PSI_OK;
	case L_NOT_AFTER: o->not_after = x_time(x->tag, b->p, b->len); return PSI_OK;
	case L_KEY_ALG: return oid_form(b) ? PSI_E_MALFORMED : key_alg(x, b);
	case L_CURVE: return oid_form(b) ? PSI_E_MALFORMED : curve(x, b);
	case L_KEY_INT: o->key_bits = bits(b); return o->key_bits ? PSI_OK : PSI_E_MALFORMED;
	case L_CHAR2_M: return char2_m(x, b);
	case L_EXT_OID: x->ext = (uint8_t)x_oid_ext(b->p, b->len); return oid_form(b);
	case L_EXT_CRITICAL: x->ext_critical = b->total == 1 && b->p[0]; return PSI_OK;
	case L_BASIC_CA: o->note |= b->total == 1 && b->p[0] ? PSI_X509_CA : 0; return PSI_OK;
	case L_BASIC_PATHLEN: return pathlen(x, b);
	case L_KEY_USAGE: return key_usage(x, b);
	case L_EKU: o->eku |= oid_form(b) ? 0 : x_oid_eku(b->p, b->len); return oid_form(b);
	case L_SKI: o->ski_len = keep(x, o->ski, sizeof(o->ski), b); return PSI_OK;
	case L_AKI: o->aki_len = keep(x, o->aki, sizeof(o->aki), b); return PSI_OK;
	case L_SAN: return san(x, b);
	}
	return PSI_E_MALFORMED;
}
