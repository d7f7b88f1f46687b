/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_x509_chain.h"

#include "psi_cursor.h"

enum { C_LIST_LEN, C_CERT_LEN, C_CERT, C_BROKEN };

static int
break_off(struct psi_x509_chain *c, int rc)
{
	c->state = C_BROKEN;
	c->err = rc;
	return rc;
}

/* Stages the 3 bytes of a length. False when they are not all there yet. */
static bool
length(struct psi_x509_chain *c, struct psi_cursor *in)
{
	while (c->hdr_have < 3 && in->p < in->end)
		c->hdr[c->hdr_have++] = *in->p++;
	return c->hdr_have == 3;
}

static bool
reading(const struct psi_x509_chain *c)
{
	return c->cnt <= c->max;
}

static int
cert_end(struct psi_x509_chain *c)
{
	c->state = C_CERT_LEN;
	if (reading(c))
		psi_x509_end(c->reader);
	return PSI_OK;
}

/* A certificate longer than what the list has left is read as far as the list goes. */
static int
on_cert_len(struct psi_x509_chain *c, struct psi_cursor *in)
{
	if (!c->hdr_have && !c->list_left)
		return in->p < in->end ? break_off(c, PSI_E_MALFORMED) : PSI_E_AGAIN;
	if (c->list_left < 3)
		return break_off(c, PSI_E_MALFORMED);
	if (!length(c, in))
		return PSI_E_AGAIN;
	c->hdr_have = 0;
	c->list_left -= 3;
	c->cert_left = psi_be24(c->hdr);
	if (c->cert_left > c->list_left) {
		c->err = PSI_E_MALFORMED;
		c->cert_left = c->list_left;
	}
	c->list_left -= c->cert_left;
	c->cnt++;
	if (reading(c)) {
		psi_x509_begin(c->reader, &c->out[c->cnt - 1]);
		c->kept = c->cnt;
	}
	c->state = C_CERT;
	return PSI_OK;
}

static int
on_cert(struct psi_x509_chain *c, struct psi_cursor *in)
{
	uint32_t n = (uint32_t)PSI_MIN((size_t)c->cert_left, psi_cursor_left(in));

	if (reading(c))
		psi_x509_push(c->reader, in->p, n);
	in->p += n;
	c->cert_left -= n;
	return c->cert_left ? PSI_E_AGAIN : cert_end(c);
}

void
psi_x509_chain_begin(
	struct psi_x509_chain *c, struct psi_x509_ctx *reader, struct psi_x509 *out, uint32_t max)
{
	*c = (struct psi_x509_chain){.reader = reader, .out = out, .max = max, .state = C_LIST_LEN};
}

int
psi_x509_chain_push(struct psi_x509_chain *c, const uint8_t *p, uint32_t len)
{
	struct psi_cursor in = psi_cursor(p, len);
	int rc = PSI_OK;

	while (rc == PSI_OK)
		switch (c->state) {
		case C_LIST_LEN:
			if (!length(c, &in))
				return c->err;
			c->hdr_have = 0;
			c->list_left = psi_be24(c->hdr);
			c->state = C_CERT_LEN;
			break;
		case C_CERT_LEN: rc = on_cert_len(c, &in); break;
		case C_CERT: rc = on_cert(c, &in); break;
		default: return c->err;
		}
	return c->err;
}

int
psi_x509_chain_end(struct psi_x509_chain *c)
{
	bool over = c->state == C_CERT_LEN && !c->hdr_have && !c->list_left;

	if (c->state == C_CERT)
		cert_end(c);
	if (c->state != C_BROKEN && !over && !c->err)
		c->err = PSI_E_SHORT;
	return c->err;
}
