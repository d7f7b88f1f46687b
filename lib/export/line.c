/* SPDX-License-Identifier: BSD-3-Clause */
/* An event as one line for a person who watches them go by. */
#include "export_pvt.h"
#include "psi_export.h"
#include "psi_filter.h"

#include <stdio.h>

#define NAME_COLS   60 /* of a name from the wire */
#define REASON_COLS 400
#define RED	    "\033[1;31m"
#define PURPLE	    "\033[1;35m"
#define YELLOW	    "\033[33m"
#define DIM	    "\033[2m"
#define RESET	    "\033[0m"

struct line {
	char *out;
	size_t at;
	bool colour;
};

static void
put(struct line *l, const char *s)
{
	size_t n = PSI_MIN(strlen(s), (size_t)PSI_LINE_MAX - 2 - l->at);

	memcpy(l->out + l->at, s, n);
	l->at += n;
}

static void
put_coloured(struct line *l, const char *colour, const char *s)
{
	bool on = l->colour && *colour;

	put(l, on ? colour : "");
	put(l, s);
	put(l, on ? RESET : "");
}

static void
pad(struct line *l, unsigned int used, unsigned int cols)
{
	do
		put(l, " ");
	while (++used < cols);
}

static uint64_t
number(const struct psi_event_r *r, enum psi_field f)
{
	struct psi_value v;

	return psi_event_find(r, f, &v) ? psi_value_u64(&v) : 0;
}

/* A text of any origin, made fit to be printed; "-" when there is none. Returns its columns. */
static unsigned int
put_text(struct line *l, const struct psi_event_r *r, enum psi_field f, unsigned int cols)
{
	char clean[4 * REASON_COLS + 4];
	struct psi_value v;
	unsigned int used = 1;

	if (psi_event_find(r, f, &v) && v.len)
		used = psi_text_clean(clean, sizeof(clean), cols, v.p, v.len);
	else
		strcpy(clean, "-");
	put(l, clean);
	return used;
}

static unsigned int
put_ip(struct line *l, const struct psi_event_r *r, enum psi_field f)
{
	struct psi_value v;
	char s[48] = "-";

	if (psi_event_find(r, f, &v) && (v.len == 4 || v.len == 16))
		s[fmt_ip(s, v.p, v.len)] = '\0';
	put(l, s);
	return (unsigned int)strlen(s);
}

static void
put_percent(struct line *l, const struct psi_event_r *r, enum psi_field f)
{
	struct psi_value v;
	double sure = psi_event_find(r, f, &v) ? psi_value_f64(&v) : 0;
	char s[16] = "    ";

	if (sure > 0 && sure <= 1)
		snprintf(s, sizeof(s), "%3.0f%%", sure * 100);
	put(l, s);
	put(l, "  ");
}

static const char *
class_colour(enum psi_class c)
{
	if (c == PSI_CLASS_NORMAL || c == PSI_CLASS_NOT_TLS)
		return "";
	if (c == PSI_CLASS_PINNED)
		return PURPLE;
	return psi_class_is_refusal(c) ? RED : YELLOW;
}

static void
flow(struct line *l, const struct psi_event_r *r)
{
	uint64_t n = number(r, PSI_F_CLASS);
	enum psi_class class = n < PSI_CLASS_CNT ? (enum psi_class)n : PSI_CLASS_NONE;
	const char *name = psi_class_name(class);
	struct psi_value v;

	put_coloured(l, class_colour(class), name);
	pad(l, (unsigned int)strlen(name), 24);
	put_percent(l, r, PSI_F_CONFIDENCE);
	pad(l, put_ip(l, r, PSI_F_SRC_IP), 16);
	if (psi_event_find(r, PSI_F_TLS_SNI, &v) && v.len)
		pad(l, put_text(l, r, PSI_F_TLS_SNI, NAME_COLS), 32);
	else
		pad(l, put_ip(l, r, PSI_F_DEST_IP), 32);
	put_text(l, r, PSI_F_REASON, REASON_COLS);
}

static void
finding(struct line *l, const struct psi_event_r *r)
{
	uint64_t failed = number(r, PSI_F_FINDING_FAILED), ok = number(r, PSI_F_FINDING_OK);
	char counts[80];

	put(l, l->colour ? PURPLE : "");
	pad(l, put_text(l, r, PSI_F_FINDING_CLASS, 40), 24);
	put(l, l->colour ? RESET : "");
	put_percent(l, r, PSI_F_FINDING_CONFIDENCE);
	pad(l, put_ip(l, r, PSI_F_FINDING_CLIENT), 16);
	pad(l, put_text(l, r, PSI_F_FINDING_SNI, NAME_COLS), 32);
	put_text(l, r, PSI_F_FINDING_REASON, REASON_COLS);
	if (!failed && !ok)
		return; /* one flow sufficed, of whatever verdict */
	snprintf(counts, sizeof(counts), " (%llu refused, %llu accepted)",
		(unsigned long long)failed, (unsigned long long)ok);
	put(l, counts);
}

static void
stats(struct line *l, const struct psi_event_r *r)
{
	int64_t off =
		(int64_t)(number(r, PSI_F_STATS_LOST_PKTS) | number(r, PSI_F_STATS_LOST_FLOWS) |
			  number(r, PSI_F_STATS_LOST_RECS));
	char s[80];

	snprintf(s, sizeof(s), "stats                   %llu flows in the table, ledger ",
		(unsigned long long)number(r, PSI_F_STATS_FLOWS_ALIVE));
	put_coloured(l, DIM, s);
	put_coloured(l, off ? RED : DIM, off ? "NOT BALANCED" : "balanced");
}

static void
gap(struct line *l, const struct psi_event_r *r)
{
	char s[160];

	snprintf(s, sizeof(s),
		"gap                     %llu events were overwritten before they were read (seq %llu to %llu)",
		(unsigned long long)number(r, PSI_F_GAP_LOST),
		(unsigned long long)number(r, PSI_F_GAP_FIRST),
		(unsigned long long)number(r, PSI_F_GAP_LAST));
	put_coloured(l, YELLOW, s);
}

size_t
psi_line_event(const struct psi_event *e, bool colour, char out[PSI_LINE_MAX])
{
	struct line l = {.out = out, .colour = colour};
	struct psi_event_r r;
	char time[32];

	time[fmt_time(time, e->time_ns)] = '\0';
	time[23] = '\0'; /* ms will do */
	put_coloured(&l, DIM, time);
	put(&l, "  ");
	psi_event_fields(e, &r);
	switch (e->type) {
	case PSI_EVENT_TLS_HANDSHAKE:
	case PSI_EVENT_TLS_FLOW: flow(&l, &r); break;
	case PSI_EVENT_FINDING: finding(&l, &r); break;
	case PSI_EVENT_STATS: stats(&l, &r); break;
	case PSI_EVENT_GAP: gap(&l, &r); break;
	}
	out[l.at++] = '\n';
	out[l.at] = '\0';
	return l.at;
}
