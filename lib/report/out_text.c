/* SPDX-License-Identifier: BSD-3-Clause */
/* The report for a person at a terminal: a line of figures for each row, its reason below. */
#include "report_pvt.h"

#include "psi_export.h"

#include <stdarg.h>

#define BOLD  "\033[1m"
#define DIM   "\033[2m"
#define RED   "\033[31m"
#define RESET "\033[0m"

/* Columns of the figures behind the name. */
#define FIGURES_COLS 48u
#define WIDTH_MIN    64u
#define INDENT	     6u

struct page {
	FILE *out;
	unsigned int width;
	bool colour;
	uint32_t top;
};

static void
style(const struct page *p, const char *code)
{
	if (p->colour)
		fputs(code, p->out);
}

/* Columns of clean text: what is clean stays as it is, but for the backslashes of what was escaped. */
static unsigned int
text_width(const char *text)
{
	char again[SHOWN_MAX];
	unsigned int cols = psi_text_clean(again, sizeof(again), SHOWN_MAX, text, strlen(text));

	for (; (text = strchr(text, '\\')); text++)
		cols -= 3; /* it was counted as \x5C */
	return cols;
}

/* Words of clean text, in lines of the page's width behind an indent. */
static void
wrap(const struct page *p, unsigned int indent, const char *text)
{
	unsigned int at = 0;
	char word[SHOWN_MAX];

	while (*text) {
		size_t n = PSI_MIN(strcspn(text, " "), sizeof(word) - 1);
		unsigned int cols;

		memcpy(word, text, n);
		word[n] = '\0';
		cols = text_width(word);
		if (at && at + 1 + cols > p->width) {
			fputc('\n', p->out);
			at = 0;
		}
		if (!at) {
			fprintf(p->out, "%*s", (int)indent, "");
			at = indent;
		} else {
			fputc(' ', p->out);
			at++;
		}
		fwrite(text, 1, n, p->out);
		at += cols;
		text += n;
		text += strspn(text, " ");
	}
	if (at)
		fputc('\n', p->out);
}

static void wrap_f(const struct page *p, unsigned int indent, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void
wrap_f(const struct page *p, unsigned int indent, const char *fmt, ...)
{
	char line[2 * SHOWN_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	wrap(p, indent, line);
}

/* ---- one row ---- */

static void
figures(const struct page *p, const struct psi_report_row *row)
{
	bool flows = row->refused > 0;
	char last[FMT_MAX], conf[8];

	rpt_when(last, row->last_ns);
	snprintf(conf, sizeof(conf), "%.0f%%", row->confidence * 100);
	fprintf(p->out, "%8llu%8llu%8u%7u%6s  %.11s\n",
		(unsigned long long)(flows ? row->refused : row->tries_failed),
		(unsigned long long)(flows ? row->seen : row->tries), row->clients, row->stacks,
		conf, strlen(last) > 16 ? last + 5 : last);
}

static void
name_and_figures(const struct page *p, const struct psi_report_row *row)
{
	unsigned int room = p->width - FIGURES_COLS - 4, cols;
	char name[SHOWN_MAX];

	rpt_subject(name, row);
	cols = text_width(name);
	fputs("  ", p->out);
	style(p, BOLD);
	fputs(name, p->out);
	style(p, RESET);
	if (cols > room) {
		fputs("\n  ", p->out);
		cols = 0;
	}
	fprintf(p->out, "%*s", (int)(room - cols), "");
	figures(p, row);
}

static void
reason(const struct page *p, const struct psi_report_row *row)
{
	char text[SHOWN_MAX], class[SHOWN_MAX];

	rpt_shown(text, row->reason);
	if (row->basis == PSI_REPORT_BY_FINDING && row->section != PSI_REPORT_INTERCEPTION)
		wrap(p, INDENT, text);
	else
		wrap_f(p, INDENT, "%s: %s", rpt_shown(class, row->class), text);
}

static void
evidence(const struct page *p, const struct psi_report_row *row)
{
	char line[SHOWN_MAX], one[SHOWN_MAX];
	size_t at = 0;

	if (!row->evidence_cnt || row->basis == PSI_REPORT_BY_FLOWS)
		return; /* of flows, the reason says it in words; the other formats have it */
	for (uint32_t i = 0; i < row->evidence_cnt; i++) {
		int n = snprintf(line + at, sizeof(line) - at, "%s%s", i ? ", " : "",
			rpt_shown(one, row->evidence[i]));

		if (n < 0 || at + (size_t)n >= sizeof(line))
			break;
		at += (size_t)n;
	}
	line[at] = '\0';
	style(p, DIM);
	wrap_f(p, INDENT, "evidence: %s", line);
	style(p, RESET);
}

static void
who(const struct page *p, const struct psi_report_row *row)
{
	char line[1024], addr[FMT_MAX], first[FMT_MAX], last[FMT_MAX], issuer[SHOWN_MAX];
	size_t at = 0;

	style(p, DIM);
	if (row->host.len && row->client_egs) {
		for (uint32_t i = 0; i < row->client_egs; i++)
			at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s", i ? ", " : "",
				rpt_addr(addr, &row->client_eg[i]));
		if (row->clients > row->client_egs)
			snprintf(line + at, sizeof(line) - at, " and %u more",
				row->clients - row->client_egs);
		wrap_f(p, INDENT, "clients: %s", line);
	}
	if (row->issuer.len)
		wrap_f(p, INDENT, "issuer: %s", rpt_shown(issuer, row->issuer));
	if (row->pinset.len)
		wrap_f(p, INDENT, "pinset: %s", rpt_shown(issuer, row->pinset));
	wrap_f(p, INDENT, "first %s, last %s UTC", rpt_when(first, row->first_ns),
		rpt_when(last, row->last_ns));
	style(p, RESET);
}

/* ---- sections ---- */

static void
heading(const struct page *p, enum psi_report_section s, uint32_t cnt)
{
	fputc('\n', p->out);
	style(p, BOLD);
	fprintf(p->out, "%s (%u)", psi_report_section_title(s), cnt);
	style(p, RESET);
	fputc('\n', p->out);
	wrap(p, 0, psi_report_section_advice(s));
	style(p, DIM);
	fprintf(p->out, "  %-*s%8s%8s%8s%7s%6s  %s\n", (int)(p->width - FIGURES_COLS - 4),
		s == PSI_REPORT_DISTRUST ? "CLIENT" : "HOST", "REFUSED", "FLOWS", "CLIENTS",
		"STACKS", "CONF", "LAST SEEN");
	style(p, RESET);
}

static void
section(const struct page *p, const struct psi_report *r, enum psi_report_section s)
{
	uint32_t cnt, shown_cnt;
	const struct psi_report_row *row = psi_report_rows(r, s, &cnt);

	if (!cnt)
		return;
	heading(p, s, cnt);
	shown_cnt = p->top ? PSI_MIN(p->top, cnt) : cnt;
	for (uint32_t i = 0; i < shown_cnt; i++) {
		name_and_figures(p, &row[i]);
		reason(p, &row[i]);
		evidence(p, &row[i]);
		who(p, &row[i]);
	}
	if (cnt > shown_cnt)
		fprintf(p->out, "  ... and %u more: --top 0 shows all\n", cnt - shown_cnt);
}

/* ---- head and foot ---- */

static void
head(const struct page *p, const struct psi_report_sum *s)
{
	char first[FMT_MAX], last[FMT_MAX];

	style(p, BOLD);
	fputs("Pinsight report", p->out);
	style(p, RESET);
	if (s->last_ns) {
		rpt_when(first, s->first_ns);
		rpt_when(last, s->last_ns);
		fprintf(p->out, ", %s to %s UTC", first,
			last + (strncmp(first, last, 11) == 0 ? 11 : 0));
	}
	fputc('\n', p->out);
	wrap_f(p, 0,
		"%llu flows: %llu went through, %llu refused by the client, %llu failed otherwise, "
		"%llu undecided. %llu findings read.",
		(unsigned long long)s->flows, (unsigned long long)s->accepted,
		(unsigned long long)s->refused, (unsigned long long)s->failed,
		(unsigned long long)s->undecided,
		(unsigned long long)s->events[PSI_REPORT_FINDING]);
}

static void
note(const struct page *p, uint64_t n, const char *one, const char *many, const char *text)
{
	if (n)
		wrap_f(p, 0, "Note: %llu %s %s", (unsigned long long)n, n == 1 ? one : many, text);
}

static void
foot(const struct page *p, const struct psi_report_sum *s, uint32_t suspected)
{
	fputc('\n', p->out);
	note(p, s->bad, "line", "lines", "could not be read; see the messages on standard error.");
	note(p, s->lost, "event", "events", "missing in the input: its reader was too slow.");
	note(p, s->filtered, "flow or finding", "flows and findings",
		"kept out by --since, --client or --host.");
	note(p, s->below, "row", "rows", "below --min-confidence, not shown.");
	note(p, s->expired, "finding", "findings", "taken back, not shown.");
	style(p, RED);
	note(p, s->left_flows, "refused or failed flow", "refused or failed flows",
		"in no row: the tables are full.");
	note(p, s->left_findings, "finding", "findings", "in no row: the tables are full.");
	style(p, RESET);
	note(p, s->forgotten, "host or client", "hosts or clients",
		"crowded out of the counts of accepted flows: FLOWS may be too low.");
	if (suspected && !s->events[PSI_REPORT_FINDING])
		wrap(p, 0,
			"There are no findings in the input, which compare clients and hosts: too little was "
			"seen for one, or \"pinsight read --json\" wrote the events without \"--all\".");
}

void
psi_report_text(FILE *out, const struct psi_report *r, const struct psi_report_format *f)
{
	struct page p = {.out = out,
		.width = PSI_MAX(f->width ? f->width : 80u, WIDTH_MIN),
		.colour = f->colour,
		.top = f->top};
	const struct psi_report_sum *s = psi_report_sum(r);
	uint32_t rows = 0, cnt = 0;

	head(&p, s);
	for (int i = 0; i < PSI_REPORT_SECTION_CNT; i++) {
		section(&p, r, (enum psi_report_section)i);
		psi_report_rows(r, (enum psi_report_section)i, &cnt);
		rows += cnt;
	}
	if (!rows && !s->flows && !s->events[PSI_REPORT_FINDING])
		wrap(&p, 0,
			"\nThere is no tls_flow or finding event in the input. \"pinsight read --json --all "
			"capture.pcap\" writes them of a capture, \"pinsight events --json\" of a running engine.");
	else if (!rows)
		fputs("\nNothing to act on: no flow was refused.\n", out);
	psi_report_rows(r, PSI_REPORT_SUSPECTED, &cnt);
	foot(&p, s, cnt);
}
