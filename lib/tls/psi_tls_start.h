/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_tls_start.h: where in a connection TLS begins, told from content, never from ports: at once, behind a proxy's
 * words (HTTP CONNECT, SOCKS, PROXY header), or after another protocol's STARTTLS.
 *
 * It stands in front of psi_tls_push, for every connection:
 *
 *	psi_tls_start_init(&s), psi_tls_init(&t);
 *	...
 *	if (!psi_tls_start_done(&s, side)) {                          each piece of payload of a side, in order
 *		rc = psi_tls_start_push(&s, side, p, len, &consumed);
 *		if (rc == PSI_E_AGAIN)
 *			return;                                       still another protocol: watch on
 *		if (rc == PSI_E_NOT_TLS)
 *			give the flow up: not TLS, both sides;
 *		n = psi_tls_start_held(&s, side, &held);              PSI_OK: this side is TLS from here on
 *		if (n)                                                (nearly never: its first bytes were in earlier pieces)
 *			psi_tls_push(&t, side, held, n, ...);
 *		p += consumed, len -= consumed;
 *	}
 *	psi_tls_push(&t, side, p, len, ...);                          len may be 0: then there is nothing to push
 *
 * The two sides begin TLS each for itself, at different times. When TLS begins behind something else
 * (psi_tls_start_plain), the caller sets PSI_TLS_STARTTLS in t.note. A connection that begins with TLS costs the look at
 * one header. Only the first PSI_TLS_START_BYTES and _LINES of a side are watched.
 *
 * Out of scope: what these protocols say beside; a gateway's HTTP/2 CONNECT; GSSAPI within SOCKS5.
 * Thread: the caller's. Hot only for a connection's first packets. No allocation. */
#ifndef PSI_TLS_START_H
#define PSI_TLS_START_H

#include "psi_base.h"

#define PSI_TLS_START_BYTES  65536 /* of a side that are watched */
#define PSI_TLS_START_LINES  128   /* lines, tags or packets of a side that are watched */
#define PSI_TLS_START_BUF    264 /* longest packet that is looked into: SOCKS5 with a name of 255 */
#define PSI_TLS_START_TARGET 262 /* a name of 255, a colon, a port */

enum psi_tls_start_proto {
	PSI_START_NONE,
#define START(sym, name) PSI_START_##sym,
#include "tls_starts.def"
#undef START
};

struct psi_tls_start_side {
	uint32_t seen; /* bytes */
	uint32_t left; /* of a packet, still to be passed over */
	uint16_t lines;
	uint16_t have; /* bytes in its buf */
	uint8_t state;
	uint8_t proto;	 /* enum psi_tls_start_proto of this side, while it lasts */
	uint8_t relayed; /* its part of a tunnel's opening is over */
	uint8_t loose;	 /* text behind a hole: TLS may begin anywhere in the line */
	uint8_t held;	 /* bytes at the start of buf that belong to TLS */
};

/* The caller may read proto, via, asked and target. */
struct psi_tls_start {
	uint8_t proto; /* enum psi_tls_start_proto: TLS when nothing stood before it but `via`; NONE: not known yet */
	uint8_t via;   /* the tunnel: SOCKS4, SOCKS5 or PROXY; NONE without */
	uint8_t asked; /* the upgrade to TLS was asked for */
	uint8_t target_len;
	uint8_t opener; /* 1 + the side that opened the tunnel or sent the first request of a binary protocol */
	uint8_t over; /* given up */
	struct psi_tls_start_side side[2];
	/* What a connection that begins with TLS has no use for, and does not touch. */
	uint8_t buf[2][PSI_TLS_START_BUF];
	char target
		[PSI_TLS_START_TARGET]; /* "host:port" of CONNECT or SOCKS, raw bytes from the wire, not terminated */
};

void psi_tls_start_init(struct psi_tls_start *s);

/* psi_tls_start_push: the next bytes of a side that is not done.
 * Returns PSI_OK: this side is done, its TLS begins with psi_tls_start_held and then p[*consumed];
 * PSI_E_AGAIN: all of p was something else; PSI_E_NOT_TLS: there will be no TLS, for either side; sticky. */
int psi_tls_start_push(struct psi_tls_start *s, unsigned int side, const uint8_t *p, uint32_t len,
	uint32_t *consumed);

/* psi_tls_start_gap: len bytes of a side that is not done are missing.
 * Returns PSI_OK: nothing was seen of this side before and the peer speaks nothing else: it is taken for TLS, and the
 * caller gives the gap to psi_tls_gap; PSI_E_AGAIN: watch on (text: TLS is looked for in the middle of a line, too);
 * PSI_E_NOT_TLS: the protocol cannot be followed across the hole. */
int psi_tls_start_gap(struct psi_tls_start *s, unsigned int side, uint32_t len);

/* psi_tls_start_held: the bytes of earlier pieces that belong to TLS, at most 4. Good until s is used again. */
uint32_t psi_tls_start_held(const struct psi_tls_start *s, unsigned int side, const uint8_t **p);

/* psi_tls_start_done: TLS has begun on that side. psi_tls_start_plain: something else stood before it, on any side. */
bool psi_tls_start_done(const struct psi_tls_start *s, unsigned int side);
bool psi_tls_start_plain(const struct psi_tls_start *s);

/* psi_tls_start_name: of a protocol; NULL for NONE and for values that are none. Static storage. */
const char *psi_tls_start_name(enum psi_tls_start_proto p);

#endif
