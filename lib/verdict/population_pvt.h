/* SPDX-License-Identifier: BSD-3-Clause */
/* population_pvt.h: the population's tables, shared by its .c files and its white-box test. */
#ifndef POPULATION_PVT_H
#define POPULATION_PVT_H

#include "psi_population.h"

#define WAYS 8 /* rows of one key line; the least recently used of them makes room */

/* How a client refuses, most telling first. */
enum how {
	HOW_48,
	HOW_42,
	HOW_46,
	HOW_45,
	HOW_CERT, /* 43, 44: a fault of the certificate, and no catch-all */
	HOW_OTHER,
	HOW_OWN_CHECK,
	HOW_HIDDEN,
	HOW_AFTER, /* an encrypted alert behind both Finished: a refusal, or a goodbye that nobody answered */
	HOW_GOODBYE,
	HOW_LEFT,
	HOW_SILENT,
	HOW_UNANSWERED, /* sent data, left before any answer: some send before they verify */
	HOW_CNT
};

/* Of what the refusers of one certificate say in clear. */
enum vote { VOTE_48, VOTE_EXPIRED, VOTE_BAD, VOTE_CNT };

/* What is wrong with a certificate, as far as it shows. */
enum fault {
	FAULT_EXPIRED = 1,
	FAULT_SELF_SIGNED = 2,
	FAULT_NAME = 4,
	FAULT_OTHER = 8,
	FAULT_NONE = 16 /* it shows, and nothing is wrong */
};

enum cause { CAUSE_PINNED, CAUSE_CA, CAUSE_CERT, CAUSE_NONE, CAUSE_CNT };

/* The rows of weights.def, by place. */
enum signal {
#define WEIGHT(sym, pinned, ca, cert, none, evidence, text) SIG_##sym,
#include "weights.def"
#undef WEIGHT
	SIG_CNT
};
_Static_assert(SIG_CNT <= 64, "signals are bits of one word");
#define SIG(sym) (1ull << SIG_##sym)

/* How many accept and how many refuse, each weighing 1 when it last did and half of that a half-life later. */
struct mass {
	float ok, ref;
};

/* A relation of somebody to something, counted. 64 bytes. */
struct row {
	uint64_t at_ns;	 /* as of when what is counted is */
	struct mass own; /* of whatever is one level below; leaf, pair, host: of flows */
	float tries_ok,
		tries_ref; /* leaf: distinct attempts; else refusals: everyone, certain ones: all */
	union {
		struct {			/* of what is counted once in another row */
			uint64_t ok_ns, ref_ns; /* when last; 0 never */
			uint64_t
				used_ns; /* leaf: last time that data went both ways, resumed sessions included */
			uint64_t try_ns; /* leaf: the attempt that was counted last */
		};
		struct { /* of a row that counts something else, too: its key has KEY_OTHER */
			struct mass other; /* everyone: kinds; stack, all: domains */
			float vote
				[VOTE_CNT]; /* everyone: of the kinds that refuse, what they say */
		};
	};
	uint64_t key;
};
_Static_assert(sizeof(struct row) == 64, "a row is a cache line");

#define KEY_OTHER (1ull << 63)

/* What tells whether a row is there, and which one makes room, without touching the rows themselves. */
struct row_line {
	uint32_t tag[WAYS]; /* the upper half of a row's key; 0: free */
	uint32_t used
		[WAYS]; /* when last touched, in units of 2^USED_SHIFT ns: they wrap after 52 days */
};
#define USED_SHIFT 20
_Static_assert(sizeof(struct row_line) == 64, "a line of rows is a cache line");

/* One refused pair, or a conclusion about more than one: with names, and what was told of it. */
struct pcase {
	uint64_t key;	  /* 0: free */
	uint64_t used_ns; /* when last touched: the oldest of a line makes room */
	struct psi_pop_who id;
	uint64_t first_ns, last_ns, failed;
	uint64_t ok_of; /* an issuer: domains it vouches for */
	enum psi_finding_kind kind;
	enum psi_finding_class class; /* GROUP cases: what they say */
	uint8_t how, fault, ipv4;
	uint8_t told_class;
	float told_confidence;
	uint64_t told_failed;
	uint8_t client[16];
	uint16_t sni_len, ja4_len, issuer_len;
	char sni[PSI_FINDING_NAME_MAX], ja4[PSI_FINDING_JA4_MAX], issuer[PSI_FINDING_ISSUER_MAX];
};

struct opinion {
	uint64_t signals;  /* SIG() bits */
	uint64_t evidence; /* PSI_EVID_* bits of them */
	float prob[CAUSE_CNT];
	enum cause top;
	bool compared;	/* something of others, or of other hosts, was there to compare with */
	float attempts; /* distinct, that it rests on */
	float scope; /* share of the refusals which the subject of a finding covers that it speaks of */
	float host_scope, client_scope; /* the same when the subject is the host, or the client */
	enum vote said;	     /* what refusers say, this one too: the same for all of them */
	enum vote vote;	     /* what refusers say; VOTE_CNT: nothing */
	float hosts_refused; /* by this stack under this issuer */
	float kin_clients;   /* clients on which this stack refuses this */
};

struct psi_population {
	struct psi_population_config cfg;
	struct psi_population_count count;
	uint64_t now_ns;
	float half_life;   /* of cfg */
	uint64_t fresh_ns; /* what is no older weighs 1, to the last bit of a float */
	struct {
		uint64_t now_ns, at_ns;
		float left;
	} share; /* the last answer: rows that a flow touched together age together */
	uint32_t line_cnt, case_line_cnt; /* powers of two */
	struct row_line *line;
	struct row *row;     /* WAYS for each line */
	struct pcase *cases; /* WAYS for each line of theirs */
	uint64_t *
		case_busy; /* a bit each: whether its key is not 0, so that free ones are not touched */
	struct {
		void *mem;
		size_t len;
	} area[4];	/* what they are in */
	uint32_t turn;	/* flows, for the sweep */
	uint32_t sweep; /* the case to look at next */
	/* who learns or checks the weights hears of each refusal; else NULL */
	void (*sample)(void *ctx, const struct psi_pop_flow *f, const struct psi_pop_who *id,
		enum how how, unsigned int fault, const struct opinion *o);
	void *sample_ctx;
};

__extension__ typedef unsigned __int128 u128;

static inline uint64_t
pop_mix(uint64_t a, uint64_t b)
{
	u128 m = (u128)(a ^ 0x9e3779b97f4a7c15ull) * (b ^ 0xd1b54a32d192ed03ull);

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* ---- rows.c ---- */

/* The rows of one level: a certificate, or all of a host's (ctx 0). */
struct level {
	union {
		struct {
			struct row *leaf; /* this stack on this client */
			struct row
				*everyone; /* any stack on any client; other: kinds, a stack counted
						 once on however many clients */
			struct row *client; /* any stack on this client */
			struct row *kin;    /* this stack on any client */
		};
		struct row *row[4];
	};
};
/* The rows about an issuer. */
struct issuer_rows {
	struct row *stack; /* other: domains, each counted once */
	struct row *client;
	struct row *all;    /* the stack at any issuer; other: domains, each counted once */
	struct row *domain; /* the stack, the issuer and one domain */
	struct row *reach;  /* the stack and one domain, whatever the issuer */
	struct row *pair;   /* the stack and the host under this issuer */
	struct row *host;   /* anybody and the host under it */
};
/* All rows of a flow; those of at are those of host when what was shown is not visible. */
struct flow_rows {
	union {
		struct {
			struct level host, at;
			struct issuer_rows iss;
		};
		struct row *row[PSI_POP_ROWS];
	};
};
_Static_assert(
	sizeof(struct flow_rows) == PSI_POP_ROWS * sizeof(struct row *), "row[] names them all");
uint64_t pop_hash(uint64_t seed, const void *p, size_t len);
void pop_rows_keys(
	const struct psi_population *p, const struct psi_pop_who *id, uint64_t key[PSI_POP_ROWS]);
/* Ask for the lines of keys, then for the rows that these name. */
void pop_rows_want_lines(const struct psi_population *p, const uint64_t *key, uint32_t cnt);
void pop_rows_want_rows(const struct psi_population *p, const uint64_t *key, uint32_t cnt);
/* Ask for all rows that were kept, which needs no lines. */
void pop_rows_want_kept(const struct psi_population *p, const struct psi_pop_kept *kept);
/* The rows, NULL where there is none and none is to be made. Others that are made later may take their place. */
void pop_rows_level(struct psi_population *p, const struct psi_pop_who *id, uint64_t ctx, bool make,
	struct level *out);
void pop_rows_find(struct psi_population *p, const struct psi_pop_who *id, struct flow_rows *out);
/* The same of a flow that is counted: all are there, or made. */
void pop_rows_make(struct psi_population *p, const struct psi_pop_flow *f,
	const struct psi_pop_who *id, struct flow_rows *out);
/* A host's certificates of a length, once they were seen in clear. Its words stand for other things: ok_ns the ctx, ref_ns
 * the issuer. */
uint64_t pop_rows_shape_key(const struct psi_population *p, uint64_t host, uint32_t msg_len);
struct row *pop_rows_shape(struct psi_population *p, uint64_t host, uint32_t msg_len);
struct row *pop_rows_make_shape(
	struct psi_population *p, uint64_t host, uint32_t msg_len, struct psi_pop_kept *kept);
/* An issuer that trusted roots do not know, and the domains that it vouches for. */
void pop_rows_foreign(struct psi_population *p, const struct psi_pop_who *id, struct row **domain,
	struct row **all);
float pop_share(struct psi_population *p, uint64_t at_ns);

/* ---- judge.c ---- */

/* What a refuser says of the certificate; VOTE_CNT: nothing that can be heard. */
enum vote pop_vote_of(enum how how, unsigned int fault);

void pop_judge(struct psi_population *p, const struct psi_pop_who *id, enum how how,
	unsigned int fault, struct opinion *out);
/* The same of rows that were found already. */
void pop_judge_rows(struct psi_population *p, const struct psi_pop_who *id,
	const struct flow_rows *rows, enum how how, unsigned int fault, struct opinion *out);

/* ---- cases.c ---- */
void
pop_cases_flow(struct psi_population *p, const struct psi_pop_flow *f, const struct psi_pop_who *id,
	enum how how, unsigned int fault, const struct opinion *o, bool counted);
/* An issuer vouches for so many domains that have nothing to do with one another. */
void pop_cases_issuer(struct psi_population *p, const struct psi_pop_flow *f,
	const struct psi_pop_who *id, float domains);
void pop_cases_sweep(struct psi_population *p, uint32_t n);

/* ---- identify.c ---- */
void pop_host_name(const struct psi_pop_flow *f, char *name, uint16_t *len);
/* False: no ClientHello was seen, so nobody knows which stack it was. */
bool pop_identify(struct psi_population *p, const struct psi_pop_flow *f, struct psi_pop_who *id);
unsigned int pop_fault_of(const struct psi_pop_flow *f);
enum how pop_how_of(const struct psi_rec *r);
bool pop_cut_short(const struct psi_rec *r);
bool pop_tickets_only(const struct psi_rec *r);
/* Data went both ways. */
bool pop_was_used(const struct psi_rec *r);

#endif
