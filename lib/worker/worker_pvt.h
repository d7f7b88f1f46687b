/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_pvt.h: shared by the worker's own .c files. */
#ifndef WORKER_PVT_H
#define WORKER_PVT_H

#include "psi_pool.h"
#include "psi_rec.h"
#include "psi_tls.h"
#include "psi_tls_fp.h"
#include "psi_tls_skim.h"
#include "psi_tls_start.h"
#include "psi_worker.h"
#include "shed.h"

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

/* Bits of struct psi_flow.flags. */
enum flow_flag {
	FLOW_FIN_0 = 1, /* side 0 sent FIN; side 1: << 1 */
	FLOW_FIN_1 = 2,
	FLOW_RST = 4,
	FLOW_THIN =
		8, /* thin.c: no connection, the caller's part of the entry and the arrays are in use */
};

/* What an established flow is beside what its entry has room for (thin.c): in a lean entry, over psi_flow_lean.side and
 * .user, so that all of it is one cache line; for IPv6 and flows in tunnels in an array beside the table. dir: what
 * changes with the packets of a direction. more: the parts of struct thin_more. */
struct __attribute__((may_alias)) thin_side {
	uint64_t dir;
	uint32_t more;
	uint32_t last; /* a lean entry has an address here; side 0: the last part of thin_more */
};
struct thin {
	struct thin_side side[2];
};
enum { GAPS_BITS = 6, RETRANS_BITS = 8, OOO_BITS = 6, THIN_MORE = 3 };
struct thin_more {
	uint32_t id_low; /* of 40 bits */
	uint32_t id_high : 8, client : 2, syn_side : 2,
		retrans : RETRANS_BITS, ooo : OOO_BITS, gaps : GAPS_BITS;
	uint8_t note[2]; /* enum psi_stream_note, by side */
	uint8_t start_low[2];
};
_Static_assert(sizeof(struct thin_more) == THIN_MORE * sizeof(uint32_t), "parts of four bytes");
_Static_assert(
	offsetof(struct psi_flow_lean, side[0].user) == offsetof(struct thin, side[0].dir) &&
		offsetof(struct psi_flow_lean, side[1].user) ==
			offsetof(struct thin, side[1].dir) &&
		offsetof(struct psi_flow_lean, side[0].addr) == offsetof(struct thin, side[0].last),
	"a lean entry begins as a struct thin does");

/* What a connection is, beside its hot entry, from its first payload (or SYN, while there is room) until it is
 * established, and from its first surprise after that to its end. */
struct conn {
	/* Three cache lines that every packet of it needs. */
	struct psi_stream stream;
	uint32_t pkts[2]; /* by side, as are the next */
	uint32_t hs;	  /* index of its struct hs, PSI_POOL_NONE once given up */
	int8_t client;	  /* 0, 1, or -1 while not known */
	uint8_t not_tls;  /* bit per side */
	uint8_t is_tls;
	uint8_t told; /* 1: a HANDSHAKE record was made */
	uint64_t bytes[2], app[2];
	struct psi_flow *flow; /* its entry; entries do not move */
	uint64_t last_ns;
	int8_t syn_side;	      /* who sent the SYN without ACK, -1 unknown */
	uint8_t first_rst, first_fin; /* 1 + side; 0 none */
	uint8_t lingers;
	uint8_t no_room; /* 1: there was no struct hs when its payload began; none is taken later */
	uint8_t woken;	 /* 1: it was thin before; stream.side.start is a guess */
	uint8_t start_low[2]; /* then: the low byte of the true one */
	uint32_t next, prev;  /* in the list of lingering connections */

	struct psi_tls_skim skim; /* once the handshake is decided */
	uint64_t id;
	uint64_t start_ns, closed_ns;
	uint64_t rst_ns[2], fin_ns[2];
	struct psi_pkt first; /* for VLANs and tunnels: only those fields are used */
};
#define CONN_HOT offsetof(struct conn, skim)
_Static_assert(CONN_HOT <= 192, "three cache lines");

/* A certificate message on its way by: spans of it, by reference. */
struct chain {
	uint32_t len, want;
	uint16_t seg_cnt;
	uint8_t cut, raw, head_len;
	uint8_t head[8]; /* bytes in front of the spans that are in no mbuf */
	struct {
		const uint8_t *p;
		void *ref;
		uint32_t len;
	} seg[PSI_HANDOFF_SEG_MAX];
};

/* A handshake in progress. */
struct hs {
	uint8_t begun; /* bit per side: its TLS has begun, psi_tls_start_done */
	uint8_t has_chain[2], chain_cut[2];
	uint32_t chain
		[2]; /* by dir: index of its struct chain while the message passes, else PSI_POOL_NONE */
	struct psi_tls tls;
	uint64_t chain_key[2][2];
	struct psi_tls_start start;
};
#define HS_HOT (offsetof(struct hs, tls) + offsetof(struct psi_tls, ocsp))

/* Fingerprints of one distinct hello. */
struct fp_entry {
	uint64_t key[2];
	char ja3[33], ja4[PSI_JA4_MAX];
	uint16_t ja3_str_len;
	char ja3_str[1024];
};

#define FP_CACHE   1024 /* distinct ClientHello shapes remembered, and as many ServerHello shapes */
#define SENT_CACHE 8192 /* chains remembered as sent to the collector */

struct sent_entry {
	uint64_t key[2];
	uint64_t ts_ns;
};

struct psi_worker {
	struct psi_stats stats;
	struct psi_worker_config cfg;
	struct psi_flow_table *flows;
	struct psi_flow *base; /* its first entry */
	struct psi_stream_pool *streams;
	struct psi_frag *frags;
	struct psi_pool conns, hss, chains;
	struct psi_handoff *out;
	bool (*full)(void *ctx);
	void *full_ctx;
	uint64_t now_ns;  /* largest packet time seen */
	uint64_t now_ms;  /* the same in milliseconds */
	uint64_t ms_ns;	  /* when that millisecond began */
	uint64_t aged_ns; /* up to when the flow table was aged */
	uint64_t next_id;
	uint32_t chain_segs; /* mbufs held for chains */
	uint32_t linger_first, linger_last;
	struct thin *thin;   /* by the number of the flow's entry; not of lean ones */
	struct conn scratch; /* a thin flow for the time of a call */
	struct {
		uint64_t id, ns;
	} mark[256]; /* when flows began: of those whose id is a multiple of mark_step */
	uint32_t mark_cnt;
	uint64_t mark_step; /* a power of two */
	bool awake;	    /* tests only: no flow is made thin */
	struct fp_entry *fp;
	struct fp_entry *fps;
	struct sent_entry *sent;
	/* What the callbacks of stream and tls work on. */
	struct conn *cur;
	void *cur_ref;
	uint64_t cur_ns;
	/* The burst at hand. */
	struct psi_pkt pkt[PSI_WORKER_BURST] __attribute__((aligned(64)));
	uint32_t hash[PSI_WORKER_BURST];
	struct psi_flow *likely[PSI_WORKER_BURST]; /* the entry, unless the tag deceives */
	struct psi_flow nobody; /* likely, where no tag is right and the packet opens no flow */
	uint8_t rc[PSI_WORKER_BURST];
	uint32_t followed; /* packets of it so far, or of the last one, whose flow is not thin */
	struct shed shed;
	/* Memory of tables and pools, for close. */
	struct {
		void *p;
		size_t len;
	} area[12];
	unsigned int area_cnt;
};

/* conn.c: life of a connection. */
struct conn *
conn_open(struct psi_worker *w, struct psi_flow *f, const struct psi_pkt *p, uint64_t ts_ns);
void conn_payload(struct psi_worker *w, struct conn *c, struct rte_mbuf *m, const struct psi_pkt *p,
	uint64_t ts_ns);
void conn_tick(struct psi_worker *w, struct conn *c, uint64_t ts_ns);
void conn_closing(struct psi_worker *w, struct conn *c, uint64_t ts_ns);
/* why: of a flow that is not closed. */
void conn_end(struct psi_worker *w, struct conn *c, enum psi_rec_why why);
void conn_linger_expire(struct psi_worker *w, bool all);
extern const struct psi_stream_ops conn_stream_ops;

void conn_count(struct conn *c, const struct psi_pkt *p, uint32_t wire_len, uint64_t ts_ns);

/* thin.c: an established flow without a connection.
 * thin_packet: the next packet of one; false, and nothing done, when that takes more than a thin flow is.
 * thin_sleep makes a connection one if it fits; then it is given back, and c is no more.
 * thin_wake makes it a connection again; NULL without room: thin_blind then counts the packet, and ends the flow with
 *   a FIN or RST.
 * thin_end tells the end of one. thin_id: its number. */
bool thin_packet(struct psi_worker *w, struct psi_flow *f, const struct rte_mbuf *m,
	const struct psi_pkt *p, uint64_t ts_ns, uint32_t wire_len);
bool thin_sleep(struct psi_worker *w, struct conn *c);
struct conn *thin_wake(struct psi_worker *w, struct psi_flow *f);
void thin_blind(struct psi_worker *w, struct psi_flow *f, const struct psi_pkt *p, uint64_t ts_ns,
	uint32_t wire_len);
void thin_end(struct psi_worker *w, struct psi_flow *f, enum psi_rec_why why);
uint64_t thin_id(struct psi_worker *w, struct psi_flow *f);

/* worker.c: the flow table's callback; packets to their pools, those that are NULL left out. */
void worker_flow_gone(void *ctx, struct psi_flow *f, enum psi_flow_why why);
void worker_give_back(struct rte_mbuf **m, unsigned int n);

/* record.c: a connection as records. kind: enum psi_rec_kind bits. */
void record_make(struct psi_worker *w, struct conn *c, unsigned int kind, enum psi_rec_why why);

/* chain.c: certificates on their way to the collector. */
extern const struct psi_tls_ops chain_tls_ops;
void chain_drop(struct psi_worker *w, struct hs *h);

/* fingerprint.c */
const struct fp_entry *fp_client(struct psi_worker *w, const struct psi_tls *t);
const struct fp_entry *fp_server(struct psi_worker *w, const struct psi_tls *t);

/* A queue slot of len bytes; waits where waiting is possible. NULL: dropped, the caller counts. */
void *out_reserve(struct psi_worker *w, uint32_t len);

static inline struct hs *
hs_of(struct psi_worker *w, const struct conn *c)
{
	return c->hs == PSI_POOL_NONE ? NULL : psi_pool_at(&w->hss, c->hs);
}

static inline struct conn *
conn_of(struct psi_worker *w, const struct psi_flow *f)
{
	if (f->flags & FLOW_THIN || f->cold == PSI_FLOW_COLD_NONE)
		return NULL;
	return psi_pool_at(&w->conns, f->cold);
}

#endif
