/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_report.h: a stream of events -> the few lines that an operator acts on: which hosts are pinned, which clients do
 * not trust the CA, which certificates are bad, and the list of hosts to exempt from decryption.
 *
 * Runs in a reader, never in the engine. Events come from a source (JSON Lines, a ring), are added up in bounded
 * memory, and become rows when the source ends. Every flow that a client refused stands in some row, or in a counter of
 * what was left out. Names are hostile: the writers escape them, each as its format asks.
 * Thread: one. */
#ifndef PSI_REPORT_H
#define PSI_REPORT_H

#include "psi_base.h"
#include "psi_vocab.h"

#include <stdio.h>

/* ---- one event, whatever it came from ---- */

/* Bytes of any origin, not NUL-terminated; p may be NULL when len is 0. */
struct psi_report_text {
	const char *p;
	size_t len;
};

struct psi_report_ip {
	uint8_t len; /* 4, 16, or 0: not known */
	uint8_t b[16];
};

enum psi_report_kind {
	PSI_REPORT_FLOW,
	PSI_REPORT_FINDING,
	PSI_REPORT_HANDSHAKE,
	PSI_REPORT_STATS,
	PSI_REPORT_GAP,
	PSI_REPORT_OTHER, /* an event of a type that says nothing here */
	PSI_REPORT_KIND_CNT
};

#define PSI_REPORT_EVIDENCE_MAX 16

struct psi_report_event {
	enum psi_report_kind kind;
	uint64_t time_ns;
	struct psi_report_ip client, server;
	uint16_t server_port;
	struct psi_report_text host, ja4, issuer, reason;
	struct psi_report_text evidence[PSI_REPORT_EVIDENCE_MAX];
	uint32_t evidence_cnt;
	double confidence; /* 0..1 */
	/* of a flow */
	enum psi_class class;
	struct psi_report_text pinset;
	/* of a finding */
	struct psi_report_text finding; /* its class */
	struct psi_report_text subject; /* kind of its subject */
	uint64_t seen, failed, ok;
	uint64_t first_ns, last_ns;
	/* of a gap */
	uint64_t lost;
};

/* ---- where events come from ---- */

enum psi_report_rc {
	PSI_REPORT_EVENT = 1,
	PSI_REPORT_END = 0,
	PSI_REPORT_BAD = -1,  /* this one could not be read, err says why; there may be more */
	PSI_REPORT_DEAD = -2, /* reading failed for good, err says why */
};

/* next: the next event. What it points to is good until the next call. */
struct psi_report_source {
	enum psi_report_rc (*next)(void *ctx, struct psi_report_event *e, struct psi_err *err);
	void *ctx;
};

/* JSON Lines, as `pinsight read --json --all` writes them. A line longer than PSI_REPORT_LINE_MAX is passed over and
 * is BAD. name: for messages ("name:line: ..."); kept. in: read, not closed.
 * psi_report_json_open: NULL without memory. */
#define PSI_REPORT_LINE_MAX (1u << 20)
struct psi_report_json;
struct psi_report_json *psi_report_json_open(FILE *in, const char *name);
void psi_report_json_close(struct psi_report_json *j);
enum psi_report_rc psi_report_json_next(void *j, struct psi_report_event *e, struct psi_err *err);
/* Bytes and lines read so far. */
uint64_t psi_report_json_bytes(const struct psi_report_json *j);

/* What a ring holds at the moment, from its oldest event on. psi_report_ring_open: 0, or as psi_ring_open. Closed by
 * psi_report_json_close. */
int psi_report_ring_open(struct psi_report_json **j, const char *path, struct psi_err *err);
enum psi_report_rc psi_report_ring_next(void *j, struct psi_report_event *e, struct psi_err *err);

/* ---- adding up ---- */

struct psi_report_filter {
	uint64_t since_ns;	     /* 0: from the beginning */
	struct psi_report_ip client; /* len 0: every client */
	unsigned int client_bits;    /* of client that count */
	struct psi_report_text
		host; /* len 0: every host; ".a.example": a.example and what is below it */
};

/* Bounds, 0 for the default. Together they decide the memory: docs/design/report.md. */
struct psi_report_config {
	struct psi_report_filter filter;
	double min_confidence; /* rows below it are counted, not listed */
	uint32_t findings_max; /* 32768 distinct findings */
	uint32_t pairs_max;    /* 131072 distinct (host, client, stack) with trouble */
	uint32_t names_max;    /* 64 MiB of distinct names */
	uint32_t accepted_max; /* 524288 hosts and clients whose accepted flows are counted */
};

struct psi_report;

/* psi_report_open: NULL, and err, without memory. psi_report_take adds an event; nothing of e is kept.
 * psi_report_bad counts one that could not be read. psi_report_finish makes the rows; nothing is taken after it.
 * Returns 0 or -ENOMEM. */
struct psi_report *psi_report_open(const struct psi_report_config *cfg, struct psi_err *err);
void psi_report_close(struct psi_report *r);
void psi_report_take(struct psi_report *r, const struct psi_report_event *e);
void psi_report_bad(struct psi_report *r);
int psi_report_finish(struct psi_report *r);

/* ---- the result ---- */

enum psi_report_section {
#define SECTION(sym, name, title, advice) PSI_REPORT_##sym,
#include "report_sections.def"
#undef SECTION
	PSI_REPORT_SECTION_CNT
};
const char *psi_report_section_name(enum psi_report_section s);
const char *psi_report_section_title(enum psi_report_section s);
const char *psi_report_section_advice(enum psi_report_section s);

enum psi_report_basis {
	PSI_REPORT_BY_FINDING, /* many flows compared */
	PSI_REPORT_BY_PINSET,  /* a flow, and the pins that the operator gave */
	PSI_REPORT_BY_FLOWS,   /* flows by themselves: their cause is not settled */
};

#define PSI_REPORT_EXAMPLES 8

/* Texts are NUL-terminated too, good until psi_report_close; they may hold any bytes all the same. */
struct psi_report_row {
	enum psi_report_section section;
	enum psi_report_basis basis;
	struct psi_report_text class;
	struct psi_report_text host; /* empty: the row is about a client */
	bool host_is_addr;	     /* no name was sent: host is address and port of the server */
	struct psi_report_ip client; /* len 0: the row is about a host */
	struct psi_report_text issuer, reason, pinset;
	uint64_t seen, refused,
		accepted; /* flows. accepted: of this host or client, whoever refused */
	uint64_t tries, tries_failed, tries_ok; /* attempts, as the findings counted them */
	uint32_t clients, stacks;		/* distinct ones that refused */
	double confidence;
	uint64_t first_ns, last_ns; /* of the refusals */
	struct psi_report_text evidence[PSI_REPORT_EVIDENCE_MAX];
	uint32_t evidence_cnt;
	struct psi_report_ip client_eg[PSI_REPORT_EXAMPLES]; /* some of the clients */
	struct psi_report_text stack_eg[PSI_REPORT_EXAMPLES];
	struct psi_report_ip
		server_eg[PSI_REPORT_EXAMPLES]; /* addresses at which the host was seen */
	uint32_t client_egs, stack_egs, server_egs;
};

/* Flows by time, for a plot: bins of width_s seconds from start_s on. */
#define PSI_REPORT_BINS 96
enum {
	PSI_REPORT_BIN_OK,
	PSI_REPORT_BIN_REFUSED,
	PSI_REPORT_BIN_FAILED,
	PSI_REPORT_BIN_OTHER,
	PSI_REPORT_BIN_CNT
};
struct psi_report_times {
	uint64_t start_s, width_s;
	uint32_t used;
	uint64_t n[PSI_REPORT_BINS][PSI_REPORT_BIN_CNT];
};

struct psi_report_sum {
	uint64_t events[PSI_REPORT_KIND_CNT]; /* read */
	uint64_t bad;			      /* could not be read */
	uint64_t lost;			      /* missed by who wrote the input: gap events */
	uint64_t filtered;		      /* flows and findings that the filter kept out */
	uint64_t classes[PSI_CLASS_CNT];      /* flows that count, by verdict */
	uint64_t flows, refused, failed, accepted, undecided;
	uint64_t first_ns, last_ns; /* of the flows and findings that count */
	uint64_t expired, older;    /* findings: taken back; overtaken by a newer word */
	uint64_t below;		    /* rows under min_confidence */
	/* left out for want of room: */
	uint64_t left_flows, left_findings;
	uint64_t
		forgotten; /* hosts or clients whose accepted flows are not counted from their beginning */
	double min_confidence;
};

/* Of a finished report. Rows of a section stand in the order in which to look at them: most clients first, then most
 * refusals, then the surest. Static until psi_report_close. */
const struct psi_report_row *
psi_report_rows(const struct psi_report *r, enum psi_report_section s, uint32_t *cnt);
const struct psi_report_sum *psi_report_sum(const struct psi_report *r);
const struct psi_report_times *psi_report_times(const struct psi_report *r);

/* ---- writing it ---- */

struct psi_report_format {
	unsigned int width; /* text: columns */
	bool colour;	    /* text: only for a terminal */
	uint32_t top;	    /* rows of a section at most; 0: all */
};

/* Each writes a finished report. Errors of the stream are the caller's to see (ferror). */
void psi_report_text(FILE *out, const struct psi_report *r, const struct psi_report_format *f);
void psi_report_json(FILE *out, const struct psi_report *r, const struct psi_report_format *f);
void psi_report_csv(FILE *out, const struct psi_report *r, const struct psi_report_format *f);
void psi_report_html(FILE *out, const struct psi_report *r, const struct psi_report_format *f);

/* ---- hosts to exempt from decryption ---- */

enum psi_report_form {
#define FORM(sym, name, text) PSI_REPORT_FORM_##sym,
#include "report_forms.def"
#undef FORM
	PSI_REPORT_FORM_CNT
};
const char *psi_report_form_name(enum psi_report_form f);
const char *psi_report_form_text(enum psi_report_form f);

/* psi_report_host_fault: NULL when host is a host name that may stand in a configuration file: lower case letters,
 * digits, hyphens and underscores in labels of at most 63, 253 in all, and no address; else what is wrong. */
const char *psi_report_host_fault(struct psi_report_text host);

/* A host that the operator's own pinsets exempt whatever is seen: "a.example", "*.a.example" for one label more,
 * "**.a.example" for itself and all below; "/regular expression/" has no place in a list. */
struct psi_report_own {
	const char *host, *pinset;
};

struct psi_report_exempt {
	enum psi_report_form form;
	double min_confidence;
	const struct psi_report_own *own;
	uint32_t own_cnt;
	/* Called for each host that would be listed but cannot; host is fit to be shown. May be NULL. */
	void (*refused)(void *ctx, const char *host, const char *why);
	void *ctx;
};

/* psi_report_exempt_list writes the pinned hosts of at least min_confidence and the operator's own, by name. A
 * wildcard of the operator's is written where the form has one that means the same. Returns how many, -1 without
 * memory. */
int
psi_report_exempt_list(FILE *out, const struct psi_report *r, const struct psi_report_exempt *x);

#endif
