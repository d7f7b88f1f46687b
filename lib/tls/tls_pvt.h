/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_pvt.h: shared by the .c files of tls and by its tests.
 *
 * Two layers, each resumable by itself. tls_record.c finds records and hands the bytes of clear handshake records to
 * tls_msg.c, which knows nothing of records: a message may begin in one and end in another. */
#ifndef TLS_PVT_H
#define TLS_PVT_H

#include "psi_cursor.h"
#include "psi_tls.h"

#define TLS_HDR_LEN	5
#define TLS_MSG_HDR_LEN 4
#define TLS_REC_LEN_MAX (16384 + 2048) /* RFC 5246 section 6.2.3 */
#define TLS_MSG_LEN_MAX 0x20000 /* of a message other than Certificate: longer ones are not real */
#define TLS_FIX_MAX	48
#define TLS_DEPTH_MAX \
	4 /* regions of a message: extensions, one of them, its list, an entry of that */
#define TLS_RESYNC_MAX \
	65536 /* bytes of a side searched for a record header before it is given up */

/* Record layer: what comes next on a side. */
enum tls_state {
	TLS_START,   /* nothing seen yet */
	TLS_HDR,     /* a record header */
	TLS_CLEAR,   /* the body of a handshake record that can be read */
	TLS_ALERT,   /* the body of a clear alert */
	TLS_SKIP,    /* a body that is of no interest */
	TLS_V2_BODY, /* an SSLv2 hello */
	TLS_V2_HDR,  /* an SSLv2 record header */
	TLS_RESYNC,  /* position lost: a plausible record header is searched for */
	TLS_FAILED,  /* sticky, side.err says why */
};

/* psi_tls_side.bits */
enum tls_bit {
	TLS_B_SYNC =
		1, /* message boundaries are known: the next clear handshake byte begins or goes on with one */
	TLS_B_CUT = 2,	     /* the message being read has a hole */
	TLS_B_CERT = 4,	     /* cert_begin was called, cert_end not yet */
	TLS_B_HRR = 8,	     /* the ServerHello being read is a HelloRetryRequest */
	TLS_B_SID_DIFF = 16, /* its session id is not the client's */
	TLS_B_V2_HELLO =
		32, /* the hello came in SSLv2 format: the next record tells which format goes on */
	TLS_B_DATA = 64, /* an application-data record was seen */
};

enum tls_step {
#define STEP(sym, need, may_end, many, fn) TLS_S_##sym,
#include "tls_steps.def"
#undef STEP
	TLS_S_CNT
};

/* One call of push or gap. */
struct tls_in {
	struct psi_tls *t;
	struct psi_tls_side *s; /* &t->side[side] */
	const struct psi_tls_ops *ops;
	void *ctx;
	struct psi_cursor c; /* bytes still to be consumed */
	uint64_t now_ns;
	unsigned int side;
};

/* Bytes left in the innermost region. */
static inline uint32_t
tls_room(const struct psi_tls_side *s)
{
	return s->msg_left - s->end[s->depth];
}

static inline enum psi_dir
tls_dir(const struct psi_tls *t, unsigned int side)
{
	return t->client < 0 ? (enum psi_dir)side : (enum psi_dir)(side != (unsigned int)t->client);
}

/* TLS 1.3 as far as can be told. Without a ServerHello: whether it was offered and nothing has shown an older one. */
static inline bool
tls_is_13(const struct psi_tls *t)
{
	if (t->version)
		return t->version >= 0x0304;
	return t->hello.list[PSI_TLS_L_VERSIONS].cnt &&
	       !(t->messages & PSI_MSG_CLIENT_KEY_EXCHANGE);
}

/* tls_msg.c */
void tls_learn_client(struct psi_tls *t, unsigned int side);
void tls_letter(struct psi_tls *t, unsigned int side, char lower);
/* tls_msg_feed: the next len bytes of clear handshake, all of one record. Returns false when what follows of the record
 * cannot be read as messages. */
bool tls_msg_feed(struct tls_in *x, const uint8_t *p, uint32_t len);
/* tls_msg_gap: len bytes of clear handshake are missing. Returns as tls_msg_feed. */
bool tls_msg_gap(struct tls_in *x, uint32_t len);
/* tls_msg_abandon: where the message being read goes on is not known. */
void tls_msg_abandon(struct tls_in *x);
/* tls_msg_idle: bytes of the current message that nobody needs to see. */
uint32_t tls_msg_idle(const struct tls_in *x);
void tls_v2_begin(struct tls_in *x, uint8_t hs_type, uint32_t len);
void tls_v2_feed(struct tls_in *x, const uint8_t *p, uint32_t len);

/* tls_hello.c, tls_body.c: the steps. Steps that need bytes get exactly those, or several times as many when they are
 * `many`; the others get any number but 0. */
#define STEP(sym, need, may_end, many, fn) \
	void tls_##fn(struct tls_in *x, const uint8_t *p, uint32_t len);
#include "tls_steps.def"
#undef STEP
void tls_ch_end(struct psi_tls *t);
void tls_sh_end(struct tls_in *x);
enum tls_step tls_ske_first(const struct psi_tls *t);
void tls_v2_cert_begin(struct tls_in *x, uint32_t len);
void tls_cert_end(struct tls_in *x, bool whole);

/* For steps. tls_open: the next len bytes are a region, which begins with step `inside` and is followed by `after`. A
 * region that does not fit into the one around it is a malformed field; an empty one that must not be is noted. */
void tls_open(struct tls_in *x, uint32_t len, enum tls_step inside, enum tls_step after);
/* tls_malformed: a field ends beyond what is around it. A peer would stop here; the rest of the message is passed over. */
void tls_malformed(struct tls_in *x);

#endif
