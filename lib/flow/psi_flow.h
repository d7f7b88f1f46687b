/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_flow.h: the flow table of one worker: tuple -> 64-byte entry, bounded, aged a little at a time.
 *
 * 32-way buckets: a 16-bit tag a way is compared first, all tags of a bucket in one cache line, then always the full
 * tuple. The hash is keyed per start, so that nobody outside can aim at one bucket. A full bucket gives up what is past
 * its timeout, else its least valuable entry, in the order of enum psi_flow_state below (closed first, a live handshake
 * last), of the same state the one silent for longest (of up to 8 looked at).
 * Out of scope: what a flow means. What is the caller's in an entry is never read here.
 * Thread: the worker that owns the table; no function may be called from another. */
#ifndef PSI_FLOW_H
#define PSI_FLOW_H

#include "psi_base.h"
#include "psi_net.h"
#include "psi_stats.h"

#define PSI_FLOW_COLD_NONE UINT32_MAX

/* Least valuable first: the order of eviction. Each state has its own timeout. */
enum psi_flow_state {
	PSI_FLOW_FREE, /* no flow in this way */
	PSI_FLOW_CLOSED, /* FIN from both sides or RST: kept a while so that stray packets open no new flow */
	PSI_FLOW_HALF_OPEN,   /* SYN seen, no payload yet */
	PSI_FLOW_OTHER,	      /* not TLS, or not to be followed any further */
	PSI_FLOW_ESTABLISHED, /* TLS past its handshake */
	PSI_FLOW_HANDSHAKE,   /* TLS in its handshake, or payload whose protocol is not told yet */
	PSI_FLOW_STATE_CNT
};

/* The same of an IPv4 flow outside of tunnels, where 28 bytes say no more than that: in a lean entry they are the
 * caller's. */
struct psi_flow_lean {
	struct {
		uint32_t user[3]; /* ten zeros and two of 0xff */
		uint32_t addr;
	} side[2];
	uint32_t ports;
	uint32_t user; /* tunnel_id: 0 */
	uint32_t end;  /* vlan, tunnel: none, proto */
};
_Static_assert(sizeof(struct psi_flow_lean) == sizeof(struct psi_tuple), "one over the other");

#define PSI_FLOW_LEAN 0x80 /* of flags: see psi_flow_lean */

/* The hot entry: one cache line. */
struct psi_flow {
	union {
		struct psi_tuple tuple;	   /* the table's: never written by the caller */
		struct psi_flow_lean lean; /* when PSI_FLOW_LEAN is in flags */
	};
	uint32_t last_ms; /* time of the last psi_flow_touch, low 32 bits of milliseconds */
	union {
		struct {
			uint8_t state; /* enum psi_flow_state; change it with psi_flow_set_state */
			uint8_t flags; /* caller's but for PSI_FLOW_LEAN, 0 in a new entry */
			uint16_t user16; /* caller's, 0 in a new entry */
			uint32_t cold;	 /* caller's, PSI_FLOW_COLD_NONE in a new entry */
		};
		uint64_t word; /* these four, to be read and written at once */
	};
	uint32_t user[2]; /* caller's, 0 in a new entry */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct psi_flow) == 64, "one cache line a flow");

struct psi_flow_config {
	uint32_t max; /* flows at most; rounded up to a whole number of buckets */
	uint32_t timeout_ms
		[PSI_FLOW_STATE_CNT]; /* silence after which a flow of that state is given up; FREE unused */
	uint64_t hash_key[2]; /* random per start; fixed in tests */
};

struct psi_flow_table;

/* Why an entry leaves the table; the callback is told. */
enum psi_flow_why { PSI_FLOW_WHY_IDLE, PSI_FLOW_WHY_EVICTED, PSI_FLOW_WHY_STOP };

/* Called once for every entry that the table itself gives up, before it is freed. Must not call the table. */
typedef void psi_flow_gone_fn(void *ctx, struct psi_flow *f, enum psi_flow_why why);

/* ---- set-up: may fail, not hot ---- */

/* psi_flow_footprint: bytes that a table of cfg needs, 67.1 a flow; 0 if cfg cannot be met: max is 0 or above 2^28, a
 *   timeout is 2^31 ms or more.
 * psi_flow_init: lays the table out in mem, which is zeroed, footprint bytes long, aligned to 64, and belongs to the
 * caller, who keeps it for the table's life. stats: the worker's block, outlives the table, which counts
 * only flow_evicted_handshake in it: whose flow it is and how it ends is the caller's to count. gone may not be NULL.
 * Returns the table (inside mem); NULL when cfg cannot be met. */
size_t psi_flow_footprint(const struct psi_flow_config *cfg);
struct psi_flow_table *psi_flow_init(void *mem, const struct psi_flow_config *cfg,
	struct psi_stats *stats, psi_flow_gone_fn *gone, void *ctx);

/* psi_flow_stop gives up every entry, in table order, why STOP. */
void psi_flow_stop(struct psi_flow_table *t);

/* ---- hot ---- */

/* psi_flow_hash: the hash of a tuple under this table's key.
 * psi_flow_prefetch: asks for the bucket's tags; psi_flow_prefetch_entry: for the entry that they point to, and returns
 * it: nothing to rely on, but see psi_flow_is. NULL: they point to none. If the flow can be in the next bucket, its tags
 * are asked for; psi_flow_prefetch_far, when they are there, does the same with them. If they do not know it either: where
 * a new one would go, with all that is written then, if make is true, else NULL. */
uint32_t psi_flow_hash(const struct psi_flow_table *t, const struct psi_tuple *key);
void psi_flow_prefetch(const struct psi_flow_table *t, uint32_t hash);
struct psi_flow *psi_flow_prefetch_entry(const struct psi_flow_table *t, uint32_t hash);
struct psi_flow *psi_flow_prefetch_far(const struct psi_flow_table *t, uint32_t hash, bool make);

/* psi_flow_prefetch_state: for what psi_flow_set_state of f will write beside the entry. */
void psi_flow_prefetch_state(const struct psi_flow_table *t, const struct psi_flow *f);

/* Both tuples are the same, 44 bytes as six words that overlap. */
static inline uint64_t
psi_flow_word(const struct psi_tuple *key, size_t off)
{
	uint64_t v;

	memcpy(&v, (const uint8_t *)key + off, sizeof(v));
	return v;
}

static inline bool
psi_flow_same(const struct psi_tuple *a, const struct psi_tuple *b)
{
	return !((psi_flow_word(a, 0) ^ psi_flow_word(b, 0)) |
		 (psi_flow_word(a, 8) ^ psi_flow_word(b, 8)) |
		 (psi_flow_word(a, 16) ^ psi_flow_word(b, 16)) |
		 (psi_flow_word(a, 24) ^ psi_flow_word(b, 24)) |
		 (psi_flow_word(a, 32) ^ psi_flow_word(b, 32)) |
		 (psi_flow_word(a, 36) ^ psi_flow_word(b, 36)));
}

static inline uint32_t
psi_flow_half(const struct psi_tuple *key, size_t off)
{
	uint32_t v;

	memcpy(&v, (const uint8_t *)key + off, sizeof(v));
	return v;
}

/* The bytes that a lean entry lacks are in key what they are in every such flow (RFC 4291 section 2.5.5.2). */
static inline bool
psi_flow_may_lean(const struct psi_tuple *key)
{
	static const uint8_t mapped[4] = {0, 0, 0xff, 0xff};
	uint32_t m;

	memcpy(&m, mapped, sizeof(m));
	return !(psi_flow_word(key, 0) | psi_flow_word(key, 16) | (psi_flow_half(key, 8) ^ m) |
		 (psi_flow_half(key, 24) ^ m) | key->tunnel_id);
}

static inline bool
psi_flow_same_lean(const struct psi_flow_lean *f, const struct psi_tuple *key)
{
	return !((f->side[0].addr ^ psi_flow_half(key, 12)) |
		       (f->side[1].addr ^ psi_flow_half(key, 28)) |
		       (f->ports ^ psi_flow_half(key, 32)) | (f->end ^ psi_flow_half(key, 40))) &&
	       psi_flow_may_lean(key);
}

/* psi_flow_is: whether f, an entry of the table, free or not, is the live one of key. What psi_flow_prefetch_entry
 * returned mostly is, and asking that first saves the search. */
static inline bool
psi_flow_is(const struct psi_flow *f, const struct psi_tuple *key)
{
	return f->state != PSI_FLOW_FREE &&
	       (f->flags & PSI_FLOW_LEAN ? psi_flow_same_lean(&f->lean, key)
					 : psi_flow_same(&f->tuple, key));
}

/* A lean entry gives the caller 28 bytes more: of each side user and user_more, and user. Only entries of IPv4 flows
 * outside of tunnels can be lean.
 * psi_flow_slim makes f one; false, and nothing changed, when it cannot be. psi_flow_whole makes it none again; those
 * bytes are lost. psi_flow_tuple: its tuple, lean or not. */
bool psi_flow_slim(struct psi_flow *f);
void psi_flow_whole(struct psi_flow *f);
struct psi_tuple psi_flow_tuple(const struct psi_flow *f);

/* psi_flow_find: the live entry of key, or NULL. The pointer is good until the next psi_flow_get, _age or _stop. */
struct psi_flow *
psi_flow_find(struct psi_flow_table *t, const struct psi_tuple *key, uint32_t hash);

/* psi_flow_get: the entry of key, made in state when there is none (*made tells). A full bucket gives up its least
 * valuable entry (gone, EVICTED, or IDLE if it was past its timeout) unless all in it are worth more than `state`:
 * then NULL.
 * now_ms: never decreases between calls on t. */
struct psi_flow *psi_flow_get(struct psi_flow_table *t, const struct psi_tuple *key, uint32_t hash,
	enum psi_flow_state state, uint64_t now_ms, bool *made);

/* psi_flow_touch: the flow was active now. psi_flow_set_state: changes state, and with it timeout and value. */
static inline void
psi_flow_touch(struct psi_flow *f, uint64_t now_ms)
{
	f->last_ms = (uint32_t)now_ms;
}

void psi_flow_set_state(struct psi_flow_table *t, struct psi_flow *f, enum psi_flow_state state);

/* psi_flow_free: the caller is done with f. gone is not called. */
void psi_flow_free(struct psi_flow_table *t, struct psi_flow *f);

/* psi_flow_age looks at the next `budget` buckets in turn and gives up (gone, IDLE) what has been silent for longer
 * than its state's timeout. Returns entries given up. Call it once a burst; every bucket must get
 * its turn within 2^31 ms.
 * psi_flow_age_all looks at all of them: for a capture whose clock jumps. */
uint32_t psi_flow_age(struct psi_flow_table *t, uint64_t now_ms, uint32_t budget);
uint32_t psi_flow_age_all(struct psi_flow_table *t, uint64_t now_ms);

/* psi_flow_base: the first of psi_flow_slots entries, which lie side by side: an entry has a number for all of its life,
 * and the caller may keep more of a flow in an array of its own. psi_flow_at: the entry of a number, NULL when it is
 * free. psi_flow_next: the number of the first one in use from number i on, psi_flow_slots when there is none. */
struct psi_flow *psi_flow_base(const struct psi_flow_table *t);
uint32_t psi_flow_slots(const struct psi_flow_table *t);
struct psi_flow *psi_flow_at(struct psi_flow_table *t, uint32_t i);
uint32_t psi_flow_next(const struct psi_flow_table *t, uint32_t i);

/* psi_flow_buckets: how many there are, 32 flows each: a round of psi_flow_age.
 * psi_flow_alive: entries in use, closed ones included. Any thread. */
uint32_t psi_flow_buckets(const struct psi_flow_table *t);
uint32_t psi_flow_alive(const struct psi_flow_table *t);

#endif
