/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_ocsp.c: CertificateStatus (RFC 6066 section 8, RFC 6961) and, of the OCSP answer in it, what it says of the first
 * certificate, which one that is, and for how long (RFC 6960 section 4.2.1). Its signature is not checked. Hot.
 *
 * The answer is walked along one path, in DER: values on the path are entered, those beside it passed over. A value that
 * is not the one expected ends the walk, and the status stays unknown. */
#include "tls_pvt.h"

enum action { ENTER, PASS, PASS_IF, STATUS, KEEP };

#define TIME_LEN 15 /* YYYYMMDDHHMMSSZ */

static const struct {
	uint8_t tag, mask; /* the value expected: its tag under the mask */
	uint8_t action;
	uint8_t step; /* KEEP: what reads it */
	uint8_t len;  /* KEEP: its only length; 0 any */
} path[] = {
	{0x30, 0xff, ENTER},			 /* OCSPResponse */
	{0x0a, 0xff, KEEP, TLS_S_OCSP_ERROR, 1}, /* responseStatus; unless 0 nothing follows */
	{0xa0, 0xff, ENTER},			 /* responseBytes */
	{0x30, 0xff, ENTER},
	{0x06, 0xff, PASS},  /* responseType */
	{0x04, 0xff, ENTER}, /* response: BasicOCSPResponse */
	{0x30, 0xff, ENTER},
	{0x30, 0xff, ENTER},   /* tbsResponseData */
	{0xa0, 0xff, PASS_IF}, /* version */
	{0xa0, 0xfc, PASS},    /* responderID: [1] or [2] */
	{0x18, 0xff, PASS},    /* producedAt */
	{0x30, 0xff, ENTER},   /* responses */
	{0x30, 0xff, ENTER},   /* the first of them */
	{0x30, 0xff, ENTER},   /* certID */
	{0x30, 0xff, PASS},    /* hashAlgorithm */
	{0x04, 0xff, PASS},
	{0x04, 0xff, PASS},			  /* of the issuer: hashes of name and key */
	{0x02, 0xff, KEEP, TLS_S_OCSP_SERIAL, 0}, /* serialNumber */
	{0x80, 0xdc, STATUS}, /* certStatus: good [0], revoked [1], unknown [2] */
	{0x18, 0xff, KEEP, TLS_S_OCSP_THIS, TIME_LEN}, /* thisUpdate */
	{0xa0, 0xff, ENTER},			       /* nextUpdate, which may be missing */
	{0x18, 0xff, KEEP, TLS_S_OCSP_NEXT, TIME_LEN},
};

/* Days since 1970 of a date of the Gregorian calendar; the year is taken to begin in March, which puts the leap day last. */
static int64_t
days(int64_t y, int64_t m, int64_t d)
{
	int64_t of_year;

	y -= m <= 2;
	of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468;
}

/* 0: not a time. */
static int64_t
der_time(const uint8_t *p)
{
	uint32_t v[7], two[2] = {0, 0}; /* year in two halves, month, day, hour, minute, second */

	for (unsigned int i = 0; i < 14; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		two[i & 1] = p[i] - '0';
		v[i / 2] = two[0] * 10 + two[1];
	}
	if (p[14] != 'Z' || v[2] - 1 > 11 || v[3] - 1 > 30 || v[4] > 23 || v[5] > 59 || v[6] > 59)
		return 0;
	return days(v[0] * 100 + v[1], v[2], v[3]) * 86400 + v[4] * 3600 + v[5] * 60 + v[6];
}

static void
on_status(struct tls_in *x, uint32_t len)
{
	uint8_t status = (uint8_t)(PSI_TLS_OCSP_GOOD + (x->s->der_tag & 3));

	if (status > PSI_TLS_OCSP_UNKNOWN)
		return;
	x->t->ocsp_status = status;
	if (status == PSI_TLS_OCSP_REVOKED)
		x->t->note |= PSI_TLS_OCSP_SAYS_REVOKED;
	tls_open(x, len, TLS_S_REST, TLS_S_OCSP_TAG); /* revoked: when and why */
}

static void
on_value(struct tls_in *x, uint32_t len)
{
	struct psi_tls_side *s = x->s;
	uint8_t tag = s->der_tag;
	enum tls_step keep;

	s->step = TLS_S_REST;
	if (path[s->list].action == PASS_IF && (tag & path[s->list].mask) != path[s->list].tag)
		s->list++;
	if ((tag & path[s->list].mask) != path[s->list].tag)
		return;
	switch ((enum action)path[s->list++].action) {
	case ENTER:
		if (len > tls_room(s))
			tls_malformed(x);
		else
			s->step = TLS_S_OCSP_TAG;
		break;
	case PASS:
	case PASS_IF: tls_open(x, len, TLS_S_REST, TLS_S_OCSP_TAG); break;
	case KEEP:
		keep = path[s->list - 1].step;
		if (path[s->list - 1].len && path[s->list - 1].len != len)
			keep = TLS_S_REST;
		tls_open(x, len, keep, s->list < PSI_COUNT(path) ? TLS_S_OCSP_TAG : TLS_S_REST);
		break;
	case STATUS: on_status(x, len); break;
	}
}

void
tls_on_status_type(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->s->step = TLS_S_REST;
	if (p[0] != 1 && p[0] != 2) /* ocsp, ocsp_multi */
		return;
	x->t->note |= PSI_TLS_OCSP_STAPLED;
	x->s->step = p[0] == 1 ? TLS_S_OCSP_LEN : TLS_S_OCSP_LIST;
}

/* One answer for each certificate of the chain, the server's first. */
void
tls_on_ocsp_list(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	tls_open(x, psi_be24(p), TLS_S_OCSP_LEN, TLS_S_EXTRA);
}

void
tls_on_ocsp_len(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->s->list = 0;
	tls_open(x, psi_be24(p), TLS_S_OCSP_TAG, TLS_S_REST);
}

void
tls_on_ocsp_tag(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->s->der_tag = p[0];
	switch (p[1]) {
	case 0x81: x->s->step = TLS_S_OCSP_DER1; break;
	case 0x82: x->s->step = TLS_S_OCSP_DER2; break;
	case 0x83: x->s->step = TLS_S_OCSP_DER3; break;
	default:
		if (p[1] < 0x80)
			on_value(x, p[1]);
		else
			x->s->step = TLS_S_REST;
	}
}

void
tls_on_ocsp_der1(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	on_value(x, p[0]);
}

void
tls_on_ocsp_der2(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	on_value(x, psi_be16(p));
}

void
tls_on_ocsp_der3(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	on_value(x, psi_be24(p));
}

void
tls_on_ocsp_error(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->ocsp.error = p[0];
	x->s->step = TLS_S_EXTRA;
}

void
tls_on_ocsp_serial(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	struct psi_tls_ocsp_answer *a = &x->t->ocsp;
	uint32_t off = x->s->span_off;

	if (off < sizeof(a->serial))
		memcpy(a->serial + off, p, PSI_MIN(len, sizeof(a->serial) - off));
	if (!tls_room(x->s) && off + len <= sizeof(a->serial))
		a->serial_len = (uint8_t)(off + len);
}

void
tls_on_ocsp_this(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->ocsp.this_update = der_time(p);
	x->s->step = TLS_S_EXTRA;
}

void
tls_on_ocsp_next(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->ocsp.next_update = der_time(p);
	x->s->step = TLS_S_EXTRA;
}
