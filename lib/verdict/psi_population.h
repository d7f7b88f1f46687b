/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_population.h: flows that are over -> what they say together: sharper verdicts, and findings.
 *
 * The comparison that a person makes by hand (the browser gets through, the application does not) is made for every
 * client stack (address and JA4) and every host under the certificate it was shown, all the time. How: docs/design/verdict.md.
 * Out of scope: what one flow shows by itself (psi_verdict.h), pins (psi_pins.h), where findings go.
 * Thread: one thread. Nothing is allocated after open; a flow costs a fixed number of table look-ups. Time is packet
 * time, and the same flows in the same order give the same findings. */
#ifndef PSI_POPULATION_H
#define PSI_POPULATION_H

#include "psi_base.h"
#include "psi_rec.h"
#include "psi_verdict.h"

/* What a finding says. */
enum psi_finding_class {
#define FINDING(sym, value, name, text) PSI_FINDING_##sym = value,
#include "finding_classes.def"
#undef FINDING
	PSI_FINDING_CNT
};
const char *psi_finding_name(enum psi_finding_class c); /* "host_pinned_for_client" */

/* Whom it speaks of; a subject's empty fields stand for all. */
enum psi_finding_kind {
	PSI_SUBJECT_HOST,	 /* sni, perhaps ja4 and issuer: whichever client */
	PSI_SUBJECT_CLIENT,	 /* client and ja4: whichever host */
	PSI_SUBJECT_HOST_CLIENT, /* sni, client and ja4 */
	PSI_SUBJECT_ISSUER,	 /* issuer alone */
};
const char *psi_finding_kind_name(enum psi_finding_kind k); /* "host_client" */

#define PSI_FINDING_NAME_MAX   256 /* bytes kept of a host's name */
#define PSI_FINDING_ISSUER_MAX 512 /* of an issuer's */
#define PSI_FINDING_JA4_MAX    40

/* A conclusion, or what became of it: the newest word on a subject and class stands. Confidence 0 takes it back. */
struct psi_finding {
	enum psi_finding_kind kind;
	enum psi_finding_class class;
	const char *sni, *ja4, *issuer; /* bytes from the wire; len 0: absent */
	uint32_t sni_len, ja4_len, issuer_len;
	const uint8_t *client;	   /* 16 bytes; NULL: absent */
	bool client_ipv4;	   /* it is an IPv4-mapped address */
	float confidence;	   /* 0..1 */
	uint64_t seen, failed, ok; /* distinct attempts that were counted */
	uint64_t first_ns, last_ns;
	uint64_t evidence; /* PSI_EVID_* bits */
	char reason[240];  /* one sentence, ASCII, NUL-terminated; holds nothing from the wire */
};

struct psi_population_config {
	uint32_t
		row_max; /* counted relations, 72 bytes each; a pair of stack and host takes up to 10 */
	uint32_t case_max;     /* refused pairs, and findings, whose names are kept: 1 KB each */
	uint64_t half_life_ns; /* in which what was seen loses half of its weight */
	uint64_t retry_ns;     /* attempts of a stack at a host within it count once */
	uint32_t
		attempts_min; /* distinct attempts, its own and those it is compared with, before anything is said */
	float report_confidence; /* from which on a finding is reported */
	uint64_t seed;		 /* of the tables' hashes; a live engine takes a random one */
	bool at_once; /* have all memory there before the first flow, in huge pages: for a live engine */
	/* A finding that formed, changed or is taken back. It is good during the call only. */
	void (*finding)(void *ctx, const struct psi_finding *f);
	void *ctx;
};

void psi_population_defaults(struct psi_population_config *cfg);
/* psi_population_footprint: bytes that open will allocate. */
size_t psi_population_footprint(const struct psi_population_config *cfg);

struct psi_population;

/* psi_population_open: NULL with the reason in err. psi_population_close frees it; NULL is fine. */
struct psi_population *
psi_population_open(const struct psi_population_config *cfg, struct psi_err *err);
void psi_population_close(struct psi_population *p);

/* psi_population_tune: from now on attempts_min and report_confidence are those of cfg; nothing else of it is read. */
void psi_population_tune(struct psi_population *p, const struct psi_population_config *cfg);

/* What a chain is compared by. */
struct psi_pop_chain {
	uint64_t named; /* its issuer */
	uint64_t shown; /* its key, issuer and number of certificates */
};

/* Who and what a flow is about, hashed. */
struct psi_pop_who {
	bool known;
	bool issuer_seen; /* issuer is of its name, not of what looks alike */
	uint16_t spare;	  /* 0: compared as bytes */
	uint32_t
		hidden_len; /* TLS 1.3: of the record that holds the certificates; 0: cannot be told */
	uint64_t of_chain; /* with which it was worked out */
	uint64_t client, ja4, stack, host;
	uint64_t
		domain; /* of the host: its last labels, as registries sell them, by rule of thumb */
	uint64_t ctx;	/* what was shown; 0: not visible */
	uint64_t named;	     /* the issuer, as far as a finding can name it; 0: it does not show */
	uint64_t issuer;     /* who signed it as this stack sees it */
	uint64_t issuer_any; /* and as any stack would */
};

#define PSI_POP_ROWS \
	15 /* relations of a flow; one more row has the lengths of its host's certificates */

/* What is kept from one record of a flow to the next. psi_pop_kept_none: nothing, before the first. */
struct psi_pop_kept {
	struct psi_pop_who who;
	bool has_rows;
	uint32_t row[PSI_POP_ROWS + 1]; /* where its relations were found: they may be gone since */
};

static inline void
psi_pop_kept_none(struct psi_pop_kept *k)
{
	k->who.known = k->has_rows = false;
	k->row[PSI_POP_ROWS] = 0;
}

/* Where the relations of a flow are kept, worked out a while before they are needed. */
struct psi_pop_ahead {
	struct psi_pop_who who;
	uint64_t key[PSI_POP_ROWS + 1];
	bool asked; /* for the rows, already */
};

/* What is known of a flow beside its record. */
struct psi_pop_flow {
	const struct psi_rec *rec; /* with HANDSHAKE data */
	const uint8_t *spki;	   /* SHA-256 of the key in the server's leaf; NULL: not visible */
	const char *issuer;	   /* of the leaf, bytes from the wire */
	const struct psi_pop_chain
		*chain; /* what psi_population_chain makes of this; NULL: it is worked out */
	struct psi_pop_kept *kept;	   /* NULL: nothing is */
	const struct psi_pop_ahead *ahead; /* what psi_population_ahead made of it; NULL: nothing */
	const uint8_t *cert_name;	   /* a name in the leaf, for hosts that no SNI names */
	uint32_t issuer_len, cert_name_len;
	uint32_t cert_cnt; /* certificates that the server sent */
	uint32_t
		cert_msg_len; /* bytes that the same chain takes as a TLS 1.3 Certificate message; 0: unknown */
	uint32_t cert_status; /* enum psi_cert_status bits */
	bool name_mismatch;   /* no name of the leaf is that of the SNI */
	bool wrong_use;	      /* the leaf is not meant for servers */
	bool own_ca;	      /* the operator's own inspection CA: that it intercepts is no news */
	float weight;	      /* of the attempt, 1 neutral; 0: the flow counts nowhere */
};

/* psi_population_chain works out what f's spki, issuer and cert_cnt are compared by: the same for all flows that show the
 * chain. */
void psi_population_chain(
	const struct psi_population *p, const struct psi_pop_flow *f, struct psi_pop_chain *out);

/* psi_population_ahead works out who a flow is about, or takes that from f->kept, and asks for the memory that leads to its
 * relations; psi_population_ahead_rows, once that is there, for the relations. Neither changes what is told: a caller that
 * has several records at hand calls the first for all of them, then the second, and then counts them. False: f cannot be
 * counted, or need not be, and *a is not to be used. */
bool psi_population_ahead(
	const struct psi_population *p, const struct psi_pop_flow *f, struct psi_pop_ahead *a);
void psi_population_ahead_rows(const struct psi_population *p, const struct psi_pop_ahead *a);

/* psi_population_flow counts a flow that is over. v: in, what it shows by itself; out, what it shows beside all that was
 * seen before: class, confidence, evidence and reason are changed where the population knows better. */
void
psi_population_flow(struct psi_population *p, const struct psi_pop_flow *f, struct psi_verdict *v);

/* psi_population_used counts a flow that goes on, once both sides have sent data; psi_population_flow may follow. */
void psi_population_used(struct psi_population *p, const struct psi_pop_flow *f);

/* psi_population_tick lets time pass where no flow ends; at least every few seconds in a live engine. */
void psi_population_tick(struct psi_population *p, uint64_t now_ns);

/* psi_population_flush judges all that is pending, at the end of a capture or of the engine. A scan of all cases. */
void psi_population_flush(struct psi_population *p);

struct psi_population_count {
	uint32_t rows, cases;		      /* in use */
	uint64_t flows, accepted, refused;    /* flows counted at all, and as what */
	uint64_t retries, idle;		      /* folded into one before; unused beside a used one */
	uint64_t rows_evicted, cases_evicted; /* least recently used, given up for others */
	uint64_t findings;		      /* told */
};
void psi_population_count(const struct psi_population *p, struct psi_population_count *out);

#endif
