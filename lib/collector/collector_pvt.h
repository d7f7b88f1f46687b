/* SPDX-License-Identifier: BSD-3-Clause */
/* collector_pvt.h: shared by the collector's own .c files. */
#ifndef COLLECTOR_PVT_H
#define COLLECTOR_PVT_H

#include "psi_collector.h"
#include "psi_population.h"
#include "psi_pins_store.h"
#include "psi_rec.h"
#include "psi_verdict.h"
#include "psi_x509_chain.h"

#define CHAIN_CERT_MAX 16	     /* certificates of one chain that are kept */
#define CHAIN_LEN_MAX  (256u * 1024) /* bytes of one chain that are read */

struct psi_collector;

/* A certificate, read once: issuers recur in many chains, which then share it. bytes: its fields as they stand in an
 * element of a chain, ready to be copied, then the certificate as sent. A leaf has its fields in the chain. */
struct cert {
	uint64_t hash, used; /* of an issuer that is kept for other chains */
	uint32_t refs;
	uint32_t fields_len, der_len; /* der_len 0: a raw public key */
	bool sound;		      /* read to its end without an error */
	struct psi_pins_cert pin;
	uint8_t bytes[] __attribute__((aligned(8)));
};

static inline const uint8_t *
cert_der(const struct cert *x)
{
	return x->bytes + x->fields_len;
}

/* Issuers kept for other chains: in sets, of which the one not used for longest goes. */
#define ISSUER_SETS 256
#define ISSUER_WAYS 4

/* A distinct chain, parsed once. What each flow asks of it comes first: chains_want_first. */
struct chain {
	uint64_t key[2];
	struct chain *hash_next, *newer, *older; /* in the hash table; in order of use */
	uint64_t moved_at; /* when it last moved in that order, in uses of any chain */
	uint32_t cert_cnt;
	uint32_t leaf_len;    /* the leaf's own tls.* fields */
	uint32_t first_len;   /* behind them: those of its element of the chain */
	uint16_t cut, broken; /* 1: not all bytes were there; the list contradicts itself */
	uint8_t raw;	      /* 1: a raw public key (RFC 7250), which nobody vouches for */
	bool is_seen;
	bool own_ca; /* as of the policy of own_ca_generation */
	uint8_t serial_len;
	uint64_t own_ca_generation;
	struct psi_pop_flow seen;    /* what the population wants to know of it, once is_seen */
	struct psi_pop_chain hashed; /* and what it makes of that */
	struct cert *cert[CHAIN_CERT_MAX];
	/* One allocation: hashes of each certificate, then of the leaf its issuer, NUL-terminated, and its first DNS name.
	 * NULL when there is no certificate; a raw key has its hash alone. */
	struct psi_pins_cert *pin;
	char *issuer, *name;
	uint32_t issuer_len, name_len;
	int64_t not_before, not_after; /* of the leaf, seconds since 1970; INT64_MIN unreadable */
	uint8_t serial[PSI_X509_SERIAL_MAX]; /* of the leaf */
	uint8_t leaf[] __attribute__((aligned(8)));
};

struct chains {
	struct psi_stats *stats;
	struct psi_x509_ctx *x509;
	struct chain **bucket;
	uint32_t bucket_cnt /* a power of two */, cnt, max;
	uint64_t uses;
	struct chain *newest, *oldest;
	uint8_t *bytes;		/* CHAIN_LEN_MAX: one chain in one piece */
	struct psi_x509 *x509s; /* two, as they are read: the leaf, an issuer */
	uint8_t *scratch;	/* an event in which certificates are encoded */
	struct cert *issuer[ISSUER_SETS][ISSUER_WAYS];
	uint64_t issuer_uses;
};

int chains_open(struct chains *s, uint32_t max, struct psi_stats *stats);
void chains_close(struct chains *s);
/* Parses what a worker sent, unless it is known, and releases the references. */
void chains_add(struct chains *s, const struct psi_handoff_chain *m);
/* The chain of a key, NULL when it is not (or no longer) known. chains_look does not count it as used.
 * chains_want asks for the memory that leads to it, chains_want_first for the chain that it probably is. */
struct chain *chains_find(struct chains *s, const uint64_t key[2]);
struct chain *chains_look(struct chains *s, const uint64_t key[2]);
void chains_want(const struct chains *s, const uint64_t key[2]);
void chains_want_first(const struct chains *s, const uint64_t key[2]);

/* Handshake data that waits for the end of its flow. */
struct join {
	uint64_t flow_id;
	struct join *hash_next, *newer, *older;
	struct psi_pop_kept kept;      /* what the population made of it */
	struct psi_trust_result trust; /* of its server's chain */
	uint64_t trust_generation;     /* the policy that said so; 0: nobody was asked */
	uint32_t units;		       /* of memory */
	struct psi_rec rec;	       /* with its pieces behind it */
};

#define JOIN_UNIT  256 /* joins are a multiple of so many bytes long */
#define JOIN_SIZES ((sizeof(struct join) + PSI_REC_VAR_MAX) / JOIN_UNIT + 2)
#define JOIN_SLAB  (2u << 20) /* a huge page, from which new ones are cut */

struct joins {
	struct psi_stats *stats;
	struct join **bucket;
	uint32_t bucket_cnt /* a power of two */, cnt, max;
	struct join *newest, *oldest;
	struct join
		*spare[JOIN_SIZES]; /* by size in units: those that were freed, linked by older */
	struct slab {
		struct slab *before;
	} * slab; /* the newest, which is cut from at slab_at */
	uint32_t slab_at, slab_cnt, slab_max;
};

int joins_open(struct joins *s, uint32_t max, struct psi_stats *stats);
void joins_close(struct joins *s);
/* The join that now waits, nothing known of it yet; NULL without memory, counted. */
struct join *joins_put(struct joins *s, const struct psi_rec *r);
/* Takes the data of a flow out; NULL when there is none. The caller frees it with joins_free. */
struct join *joins_take(struct joins *s, uint64_t flow_id);
void joins_free(struct joins *s, struct join *j);
/* joins_look: the join of a flow, which goes on waiting. joins_want asks for the memory that leads to it, joins_want_first
 * for the join that it probably is. */
struct join *joins_look(struct joins *s, uint64_t flow_id);
void joins_want(const struct joins *s, uint64_t flow_id);
void joins_want_first(const struct joins *s, uint64_t flow_id);

/* What there is to say of a flow. chain, by dir: NULL when unknown. */
struct flow_view {
	const struct psi_rec *rec;
	struct chain *chain[2];
	const struct psi_pop_ahead *ahead; /* NULL: nothing was worked out before */
	struct join
		*join; /* keeps what is known from the first record to the last; NULL: only one */
	uint32_t cert_status; /* of the server's chain, of its staple, too */
	const struct psi_trust_result
		*trust; /* what was said of that chain; NULL: nobody was asked */
	struct psi_trust_result trust_here; /* where it stands when no join keeps it */
	struct psi_pin_result pin;
	/* Not beside the status: the compiler would copy both in one word where trust has just written two, and the load
	 * would wait until those are in memory. */
	uint32_t cert_findings;
	struct psi_match_hits hits;
	bool own_ca;
	enum psi_pins_news
		news; /* what the host's key teaches; PSI_PINS_NEWS_NONE until it was asked */
	const struct psi_verdict *verdict;
};

/* ahead.c: records that wait in a queue, whose memory is asked for before the first of them is looked at. */
#define AHEAD_MAX 8
struct ahead {
	void *p; /* in the queue */
	uint32_t len;
	enum psi_handoff_type type;
	bool has_pop; /* pop is good */
	struct join *
		join; /* good until the first record is taken: what waits for it; NULL: nothing does, or it begins */
	const struct psi_rec
		*whole; /* likewise: all that there is to know of the flow; NULL: not enough */
	struct psi_pop_ahead pop;
};
uint32_t look_ahead(struct psi_collector *c, const struct psi_handoff *q, struct ahead a[AHEAD_MAX],
	uint32_t max);

/* known.c: fills in all but verdict. host_of: the name that a flow is for; NULL when it names none.
 * learn_key: the host's key into the store of keys seen, if there is one. */
void know(struct psi_collector *c, struct flow_view *v, const struct psi_rec *r, struct join *j,
	const struct psi_pop_ahead *ahead);
const uint8_t *host_of(const struct psi_rec *r, uint32_t *len);
void learn_key(struct psi_collector *c, struct flow_view *v);

/* news.c: findings that this flow suffices for. */
void tell_news(struct psi_collector *c, const struct flow_view *v);
/* collector.c: what the population wants to know of a flow, its record and its chain alone. */
void as_population_looks(const struct psi_collector *c, const struct psi_rec *r,
	struct chain *chain, struct psi_pop_flow *f);
/* collector.c: a finding as an event. also: evidence that has no bit; NULL: none. */
void tell_finding(struct psi_collector *c, const struct psi_finding *f, const char *also);

/* Findings about hosts that are not told again within a day: a power of two. */
#define TOLD_CNT 4096
struct told {
	uint64_t key, at_ns;
};

void encode_flow(struct psi_event_w *w, const struct flow_view *v);
void encode_finding(struct psi_event_w *w, const struct psi_finding *f, const char *also);
/* One certificate as fields: those inside an element of a chain; those that stand for the leaf directly under tls. */
void encode_cert(struct psi_event_w *w, const struct psi_x509 *c);
void encode_raw_key(struct psi_event_w *w, const uint8_t *spki, uint32_t len, uint8_t hash[32]);
void encode_leaf(struct psi_event_w *w, const struct psi_x509 *c);

struct psi_collector {
	struct psi_stats stats;
	struct psi_collector_config cfg;
	struct chains chains;
	struct joins joins;
	struct psi_population *population; /* NULL: every flow is judged by itself */
	struct told told[TOLD_CNT];
	uint64_t seq, now_ns; /* now_ns: the latest packet heard of */
	uint64_t buf[PSI_EVENT_MAX / 8 + 1];
};

#endif
