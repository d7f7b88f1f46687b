/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_ocsp.c: CertificateStatus (RFC 6066 section 8, RFC 6961) and, of the OCSP answer in it, what it says of the first
 * certificate (RFC 6960 section 4.2.1). Its signature is not checked. Hot.
 *
 * The answer is walked along one path, in DER: values on the path are entered, those beside it passed over. A value that
 * is not the one expected ends the walk, and the status stays unknown. */
#include "tls_pvt.h"

enum action { ENTER, PASS, PASS_IF, STATUS };

static const struct {
	uint8_t tag, mask; /* the value expected: its tag under the mask */
	uint8_t action;
} path[] = {
	{0x30, 0xff, ENTER},			  /* OCSPResponse */
	{0x0a, 0xff, PASS},			  /* responseStatus; unless 0 nothing follows */
	{0xa0, 0xff, ENTER},			  /* responseBytes */
	{0x30, 0xff, ENTER}, {0x06, 0xff, PASS},  /* responseType */
	{0x04, 0xff, ENTER},			  /* response: BasicOCSPResponse */
	{0x30, 0xff, ENTER}, {0x30, 0xff, ENTER}, /* tbsResponseData */
	{0xa0, 0xff, PASS_IF},			  /* version */
	{0xa0, 0xfc, PASS},			  /* responderID: [1] or [2] */
	{0x18, 0xff, PASS},			  /* producedAt */
	{0x30, 0xff, ENTER},			  /* responses */
	{0x30, 0xff, ENTER},			  /* the first of them */
	{0x30, 0xff, PASS},			  /* certID */
	{0x80, 0xdc, STATUS}, /* certStatus: good [0], revoked [1], unknown [2] */
};

static void
on_value(struct tls_in *x, uint32_t len)
{
	struct psi_tls_side *s = x->s;
	uint8_t tag = s->der_tag;

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
	case STATUS:
		x->t->ocsp_status = (uint8_t)(PSI_TLS_OCSP_GOOD + (tag & 3));
		if (x->t->ocsp_status == PSI_TLS_OCSP_REVOKED)
			x->t->note |= PSI_TLS_OCSP_SAYS_REVOKED;
		break;
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
