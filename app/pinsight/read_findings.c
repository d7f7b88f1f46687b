/* SPDX-License-Identifier: BSD-3-Clause */
#include "read_findings.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define SUBJECT_MAX 1024 /* findings remembered; a capture with more is one for `pinsight report` */
#define LINES_MAX   12	 /* of one list */
#define TEXT_MAX    96
#define HOLDS	    0.5

/* The lists, in the order in which they are printed. by_client: what a line names is the client, else the host. */
static const struct list {
	const char *class, *title;
	bool by_client;
} lists[] = {
	{"host_pinned_for_client",
		"Pinned hosts: applications accept only certificates of their own choice", false},
	{"client_distrusts_ca", "Clients that do not trust the CA", true},
	{"host_certificate_bad", "Hosts whose certificate is bad", false},
	{"host_certificate_expired", "Hosts whose certificate has expired", false},
};

struct subject {
	unsigned int list;
	char host[TEXT_MAX], client[INET6_ADDRSTRLEN], ja4[48], issuer[TEXT_MAX];
	double confidence;
	uint64_t failed;
};

struct read_findings {
	uint32_t cnt, left_out;
	struct subject s[SUBJECT_MAX];
};

struct read_findings *
read_findings_open(void)
{
	return calloc(1, sizeof(struct read_findings));
}

void
read_findings_close(struct read_findings *f)
{
	free(f);
}

/* Text of a field, fit for a terminal; empty when absent. */
static void
take_text(const struct psi_event_r *r, enum psi_field field, char *to, size_t max)
{
	struct psi_value v;
	size_t n = 0;

	if (psi_event_find(r, field, &v))
		for (; n < v.len && n < max - 1; n++)
			to[n] = v.p[n] > ' ' - 1 && v.p[n] < 0x7f ? (char)v.p[n] : '?';
	to[n] = 0;
}

static void
take_address(const struct psi_event_r *r, char to[INET6_ADDRSTRLEN])
{
	struct psi_value v;

	to[0] = 0;
	if (psi_event_find(r, PSI_F_FINDING_CLIENT, &v) && (v.len == 4 || v.len == 16))
		inet_ntop(v.len == 4 ? AF_INET : AF_INET6, v.p, to, INET6_ADDRSTRLEN);
}

static bool
same_subject(const struct subject *a, const struct subject *b)
{
	return a->list == b->list && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->client, b->client) == 0 && strcmp(a->ja4, b->ja4) == 0 &&
	       strcmp(a->issuer, b->issuer) == 0;
}

void
read_findings_event(struct read_findings *f, const struct psi_event *e)
{
	struct psi_event_r r;
	struct psi_value v;
	struct subject s = {0};
	char class[40];
	uint32_t i;

	if (e->type != PSI_EVENT_FINDING)
		return;
	psi_event_fields(e, &r);
	take_text(&r, PSI_F_FINDING_CLASS, class, sizeof(class));
	while (s.list < PSI_COUNT(lists) && strcmp(class, lists[s.list].class) != 0)
		s.list++;
	if (s.list == PSI_COUNT(lists))
		return;
	take_text(&r, PSI_F_FINDING_SNI, s.host, sizeof(s.host));
	take_text(&r, PSI_F_FINDING_JA4, s.ja4, sizeof(s.ja4));
	take_text(&r, PSI_F_FINDING_ISSUER, s.issuer, sizeof(s.issuer));
	take_address(&r, s.client);
	if (psi_event_find(&r, PSI_F_FINDING_CONFIDENCE, &v))
		s.confidence = psi_value_f64(&v);
	if (psi_event_find(&r, PSI_F_FINDING_FAILED, &v))
		s.failed = psi_value_u64(&v);
	for (i = 0; i < f->cnt && !same_subject(&f->s[i], &s); i++)
		;
	if (i == SUBJECT_MAX) {
		f->left_out++;
		return;
	}
	f->cnt += i == f->cnt;
	f->s[i] = s;
}

static const char *
line_of(const struct subject *s)
{
	return lists[s->list].by_client ? s->client : s->host;
}

/* Whether an earlier finding that holds has the same line. */
static bool
is_first(const struct read_findings *f, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++)
		if (f->s[i].list == f->s[at].list && f->s[i].confidence >= HOLDS &&
			strcmp(line_of(&f->s[i]), line_of(&f->s[at])) == 0)
			return false;
	return true;
}

static void
print_line(const struct read_findings *f, uint32_t at, FILE *out)
{
	double most = 0;
	uint64_t failed = 0;

	for (uint32_t i = at; i < f->cnt; i++) {
		const struct subject *s = &f->s[i];

		if (s->list != f->s[at].list || s->confidence < HOLDS ||
			strcmp(line_of(s), line_of(&f->s[at])) != 0)
			continue;
		most = s->confidence > most ? s->confidence : most;
		failed += s->failed;
	}
	fprintf(out, "  %-48s refused %4llu time%s  confidence %.2f\n", line_of(&f->s[at]),
		(unsigned long long)failed, failed == 1 ? " " : "s", most);
}

void
read_findings_print(const struct read_findings *f, FILE *out)
{
	bool any = false;

	for (unsigned int l = 0; l < PSI_COUNT(lists); l++) {
		uint32_t cnt = 0;

		for (uint32_t i = 0; i < f->cnt; i++) {
			if (f->s[i].list != l || f->s[i].confidence < HOLDS || !is_first(f, i))
				continue;
			if (cnt++ == 0)
				any = fprintf(out, "\n%s\n", lists[l].title) > 0;
			if (cnt <= LINES_MAX)
				print_line(f, i, out);
		}
		if (cnt > LINES_MAX)
			fprintf(out,
				"  and %u more: pinsight read --json --all FILE | pinsight report\n",
				cnt - LINES_MAX);
	}
	if (any)
		fputc('\n', out);
}
