/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_tls_skim.h: an established TLS connection, of which only record headers are read: payload bytes, closing alerts.
 *
 * What psi_tls.h keeps for a handshake is thousands of bytes; this is a few dozen, and asks for five bytes a record.
 * Followed: the record layers of RFC 5246 section 6.2.1 and RFC 8446 section 5.1.
 * Thread: the caller's. Hot. */
#ifndef PSI_TLS_SKIM_H
#define PSI_TLS_SKIM_H

#include "psi_tls.h"

struct psi_tls_skim_side {
	uint64_t
		app_bytes; /* payload of application-data records since the handshake was decided */
	uint16_t alert_cnt; /* records of type 21 since then */
	uint8_t hdr_have;   /* bytes of a header that straddles two spans */
	uint8_t lost;	    /* 1: the place of the next header is not known */
	uint8_t hdr[5];
};

struct psi_tls_skim {
	struct psi_tls_skim_side side[2];
};

/* psi_tls_skim_init goes on where the parser of a decided handshake stands. */
void psi_tls_skim_init(struct psi_tls_skim *s, const struct psi_tls *t);

/* psi_tls_skim_push: the next bytes of a side. Returns how many bytes behind them need not be seen, at most 18432.
 * psi_tls_skim_gap: bytes were lost; reading goes on at the next span that begins like a record. Returns 0. */
uint32_t psi_tls_skim_push(struct psi_tls_skim_side *d, const uint8_t *p, uint32_t len);
uint32_t psi_tls_skim_gap(struct psi_tls_skim_side *d);

#endif
