/* SPDX-License-Identifier: BSD-3-Clause */
/* report_pvt.h: the tables in which events are added up, and what the writers share. */
#ifndef PSI_REPORT_PVT_H
#define PSI_REPORT_PVT_H

#include "psi_report.h"

/* Hashes are keyed by random bytes: names come from the wire, and nobody shall craft collisions. */
#define HASH_KEY_LEN 192
struct rpt_hash_key {
	uint8_t b[HASH_KEY_LEN];
};
uint64_t rpt_hash(const struct rpt_hash_key *k, const void *p, size_t len);

/* Records of one size that begin with their key; bytes of the key are compared, so padding must be zero. They move when
 * the table grows: a pointer is good until the next rpt_tab_get. */
struct rpt_tab {
	const struct rpt_hash_key *key;
	uint8_t *rec;
	uint32_t *slot; /* 0: free; else 1 + index of a record */
	uint32_t cnt, cap, max, slot_cnt;
	uint32_t rec_size, key_size;
};
void rpt_tab_init(struct rpt_tab *t, const struct rpt_hash_key *key, uint32_t rec_size,
	uint32_t key_size, uint32_t max);
void rpt_tab_fini(struct rpt_tab *t);
/* The record of a key; *made when it is new, zero beyond its key. NULL when there is no room. */
void *rpt_tab_get(struct rpt_tab *t, const void *key, bool *made);
void *rpt_tab_find(const struct rpt_tab *t, const void *key);
static inline void *
rpt_tab_at(const struct rpt_tab *t, uint32_t i)
{
	return t->rec + (size_t)i * t->rec_size;
}

/* Distinct names, each once. An id is good for ever; 0 is the empty name. */
struct rpt_names {
	const struct rpt_hash_key *key;
	char *bytes;
	uint32_t *slot;
	uint32_t len, cap, max, cnt, slot_cnt;
};
#define NAME_NONE UINT32_MAX
void rpt_names_init(struct rpt_names *n, const struct rpt_hash_key *key, uint32_t max);
void rpt_names_fini(struct rpt_names *n);
/* NAME_NONE: no room. A name longer than NAME_LEN_MAX is cut there. */
#define NAME_LEN_MAX 1023u
uint32_t rpt_names_id(struct rpt_names *n, const char *p, size_t len);
struct psi_report_text rpt_names_text(const struct rpt_names *n, uint32_t id);

/* Counts by hash in fixed memory; what is counted least goes first when a bucket is full. */
struct rpt_counts {
	struct {
		uint64_t hash, n;
	} * cell;
	uint32_t cnt; /* a power of two */
	uint64_t forgotten;
};
int rpt_counts_init(struct rpt_counts *c, uint32_t cnt);
void rpt_counts_fini(struct rpt_counts *c);
void rpt_counts_add(struct rpt_counts *c, uint64_t hash);
uint64_t rpt_counts_get(const struct rpt_counts *c, uint64_t hash);

void rpt_times_add(struct psi_report_times *t, uint64_t time_ns, unsigned int what);

/* ---- records ---- */

/* A subject as the findings name it; the newest word on it. */
struct rpt_finding {
	struct {
		uint32_t class, host, ja4, issuer; /* names */
		struct psi_report_ip client;
		uint8_t pad[3];
	} key;
	uint32_t reason;
	uint64_t time_ns, seen, failed, ok, first_ns, last_ns;
	double confidence;
	uint32_t evidence[PSI_REPORT_EVIDENCE_MAX];
	uint8_t evidence_cnt, section;
	bool expired;
};
_Static_assert(sizeof(((struct rpt_finding *)0)->key) == 36, "a key has no padding");

/* Flows in trouble of one client stack at one host. */
#define PAIR_SERVERS 4
enum pair_group { PAIR_REFUSED, PAIR_CLIENT_CERT, PAIR_FAILED };
struct rpt_pair {
	struct {
		uint32_t host, ja4; /* names */
		struct psi_report_ip client;
		uint8_t group;	 /* enum pair_group */
		uint8_t is_addr; /* host is an address: no name was sent */
		uint8_t pad;
	} key;
	uint32_t reason, issuer, pinset;
	uint64_t n, pinned; /* flows; of them: pinned by the operator's pinset */
	uint64_t first_ns, last_ns, evidence;
	double confidence; /* of the surest flow, whose class and reason these are */
	uint8_t class, servers;
	struct psi_report_ip server[PAIR_SERVERS]; /* the first few of its addresses */
};
_Static_assert(sizeof(((struct rpt_pair *)0)->key) == 28, "a key has no padding");

struct rpt_row_key {
	uint32_t section, class, host, issuer;
	struct psi_report_ip client;
	uint8_t is_addr, pad[2];
};
_Static_assert(sizeof(struct rpt_row_key) == 36, "a key has no padding");

/* Who refused in a row, one for each (row, client, stack): sorted and counted at the end. */
struct rpt_member {
	uint32_t row, ja4;
	struct psi_report_ip client;
	uint8_t pad[3];
};

struct psi_report {
	struct psi_report_config cfg;
	struct psi_report_sum sum;
	struct psi_report_times times;
	struct rpt_hash_key key;
	struct rpt_names names;
	struct rpt_tab findings, pairs;
	struct rpt_counts accepted;
	/* made by psi_report_finish */
	struct rpt_tab building; /* struct building */
	struct rpt_member *member;
	uint32_t member_cnt, member_max;
	struct psi_report_row *row; /* by section */
	uint32_t row_begin[PSI_REPORT_SECTION_CNT + 1];
};

/* ---- what the writers share ---- */

/* Room for a name made fit to be shown. */
#define SHOWN_MAX (4 * (NAME_LEN_MAX + 1) + 4)
const char *rpt_shown(char buf[SHOWN_MAX], struct psi_report_text t);
/* rpt_when: "2026-11-22 08:30:00"; rpt_rfc3339: "2026-11-22T08:30:00.123456Z". fmt_ip: by inet_ntop. 48 bytes suffice. */
#define FMT_MAX 48
const char *rpt_when(char buf[FMT_MAX], uint64_t ns);
const char *rpt_rfc3339(char buf[FMT_MAX], uint64_t ns);
const char *rpt_addr(char buf[FMT_MAX], const struct psi_report_ip *ip);
bool rpt_same_ip(const struct psi_report_ip *a, const struct psi_report_ip *b);
/* What a row is about: a host, a client, or an issuer alone; and in a word. */
const char *rpt_subject(char buf[SHOWN_MAX], const struct psi_report_row *row);
uint32_t rpt_row_limit(const struct psi_report_format *f, uint32_t cnt);
/* "flows", "pinset" or "finding". */
const char *rpt_basis(enum psi_report_basis b);

#endif
