/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_x509_chain.h: the body of a TLS <= 1.2 Certificate message, in any split -> its certificates, each read by
 * psi_x509.h. The body is certificate_list: 3 bytes of length, then per certificate 3 bytes of length and its DER
 * (RFC 5246 section 7.4.2). The first `max` certificates are read into the caller's array; the rest is only counted.
 * Thread: one splitter, one thread. Allocates nothing. */
#ifndef PSI_X509_CHAIN_H
#define PSI_X509_CHAIN_H

#include "psi_x509.h"

struct psi_x509_chain {
	struct psi_x509_ctx *reader; /* the caller's */
	struct psi_x509 *out;	     /* the caller's array of max */
	uint32_t max;
	uint32_t cnt;  /* certificates that began, those not kept included */
	uint32_t kept; /* of them in out, the last one perhaps broken off (its err says so) */
	int32_t err;   /* PSI_OK; MALFORMED: lengths contradict each other; SHORT: broke off */
	uint32_t list_left, cert_left; /* private from here on */
	uint8_t state, hdr_have;
	uint8_t hdr[3];
};

/* psi_x509_chain_begin: a new message. reader and out must live until _end; max may be 0.
 * psi_x509_chain_push: the next bytes, any split. Returns PSI_OK or the sticky error.
 * psi_x509_chain_end: no more bytes. Returns err. Without an error every certificate was whole as the list has it, which
 * says nothing of what is inside: see the err of each. */
void psi_x509_chain_begin(
	struct psi_x509_chain *c, struct psi_x509_ctx *reader, struct psi_x509 *out, uint32_t max);
int psi_x509_chain_push(struct psi_x509_chain *c, const uint8_t *p, uint32_t len);
int psi_x509_chain_end(struct psi_x509_chain *c);

#endif
