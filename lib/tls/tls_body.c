/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_body.c: the steps that any message may use, and those of the messages other than the hellos. Hot. */
#include "tls_pvt.h"

void
tls_on_rest(struct tls_in *x, const uint8_t *p, uint32_t len)
{
}

void
tls_on_extra(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->note |= PSI_TLS_MALFORMED;
}

/* ---- Certificate ---- */

static void
cert_begin(struct tls_in *x, uint32_t len)
{
	x->s->bits |= TLS_B_CERT;
	if (x->ops)
		x->ops->cert_begin(x->ctx, tls_dir(x->t, x->side), len);
}

void
tls_on_cert(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	if (!(x->s->bits & TLS_B_CERT)) {
		cert_begin(x, x->s->msg_len);
		/* TLS <= 1.2: nothing but the length of an empty list. */
		if (x->s->msg_len == 3 && tls_dir(x->t, x->side) == PSI_C2S)
			x->t->note |= PSI_TLS_CLIENT_CERT_EMPTY;
	}
	if (x->ops)
		x->ops->cert_data(x->ctx, tls_dir(x->t, x->side), p, len);
}

void
tls_cert_end(struct tls_in *x, bool whole)
{
	if (!(x->s->bits & TLS_B_CERT))
		return;
	x->s->bits &= (uint8_t)~TLS_B_CERT;
	if (x->ops)
		x->ops->cert_end(x->ctx, tls_dir(x->t, x->side), whole);
}

/* SSLv2 sends one certificate without the two lengths of later versions. */
void
tls_v2_cert_begin(struct tls_in *x, uint32_t len)
{
	uint8_t hdr[6] = {(uint8_t)((len + 3) >> 16), (uint8_t)((len + 3) >> 8), (uint8_t)(len + 3),
		(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

	if (!len)
		return;
	cert_begin(x, len + 6);
	if (x->ops)
		x->ops->cert_data(x->ctx, tls_dir(x->t, x->side), hdr, sizeof(hdr));
}

/* ---- ServerKeyExchange ---- */

/* The form depends on the key exchange of the suite; forms that tell us nothing are passed over. */
enum tls_step
tls_ske_first(const struct psi_tls *t)
{
	const char *name = psi_cipher_name(t->cipher);

	if (!name || !(t->messages & PSI_MSG_SERVER_HELLO) || strstr(name, "_PSK_"))
		return TLS_S_REST;
	if (strncmp(name, "TLS_ECDHE_", 10) == 0 || strncmp(name, "TLS_ECDH_anon_", 14) == 0)
		return TLS_S_SKE_CURVE;
	if (strncmp(name, "TLS_DHE_", 8) == 0)
		return TLS_S_SKE_DH;
	return TLS_S_REST;
}

/* SignatureAndHashAlgorithm came with TLS 1.2, and only where something is signed. */
static enum tls_step
after_params(const struct psi_tls *t)
{
	const char *name = psi_cipher_name(t->cipher);

	return t->version == 0x0303 && name && !strstr(name, "_anon_") ? TLS_S_SKE_SIG : TLS_S_REST;
}

void
tls_on_ske_curve(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	if (p[0] != 3) { /* named_curve; explicit ones are forbidden by RFC 8422 */
		x->s->step = TLS_S_REST;
		return;
	}
	x->t->group = psi_be16(p + 1);
	x->s->step = TLS_S_SKE_POINT;
}

void
tls_on_ske_point(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	tls_open(x, p[0], TLS_S_REST, after_params(x->t));
}

void
tls_on_ske_dh(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	bool last = x->s->list++ == 2;

	tls_open(x, psi_be16(p), TLS_S_REST, last ? after_params(x->t) : TLS_S_SKE_DH);
}

void
tls_on_ske_sig(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->sigscheme = psi_be16(p);
	tls_open(x, psi_be16(p + 2), TLS_S_REST, TLS_S_EXTRA);
}

/* ---- NewSessionTicket ---- */

void
tls_on_nst_fix(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	x->t->ticket_lifetime = psi_be32(p);
	x->t->ticket_new_len = psi_be16(p + 4);
	tls_open(x, psi_be16(p + 4), TLS_S_REST, TLS_S_EXTRA);
}
