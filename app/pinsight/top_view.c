/* SPDX-License-Identifier: BSD-3-Clause */
/* The screen of pinsight top, as text at places. */
#include "top_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SILENCE_S  5  /* without a sign of life for so long, the engine counts as gone */
#define HALF	   44 /* where the right half begins */
#define HOST_COLS  26
#define CLASS_ROWS 7 /* of verdicts and hosts, on the smallest screen */

static void put(const struct top_paint *p, unsigned int row, unsigned int col, enum top_look look,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void
put(const struct top_paint *p, unsigned int row, unsigned int col, enum top_look look,
	const char *fmt, ...)
{
	char s[256];
	va_list ap;

	if (row >= p->rows || col >= p->cols)
		return;
	va_start(ap, fmt);
	vsnprintf(s, sizeof(s), fmt, ap);
	va_end(ap);
	p->text(p->ctx, row, col, look, s);
}

/* 1234567 -> "1.23M": at most five characters. */
static const char *
si(uint64_t v, char out[16])
{
	static const char unit[] = " kMGTPE";
	double d = (double)v;
	unsigned int u = 0;

	while (d >= 999.5 && u + 2 < sizeof(unit)) {
		d /= 1000;
		u++;
	}
	if (!u)
		snprintf(out, 16, "%.0f", d);
	else
		snprintf(out, 16, "%.*f%c", d < 9.995 ? 2 : d < 99.95 ? 1 : 0, d, unit[u]);
	return out;
}

static enum top_look
class_look(enum psi_class c)
{
	if (c == PSI_CLASS_PINNED)
		return TOP_PINNED;
	return psi_class_is_refusal(c) ? TOP_BAD : TOP_PLAIN;
}

static uint64_t
dropped(const uint64_t *count)
{
	uint64_t sum = count[PSI_STAT_rec_drop_full];

	for (enum psi_stat s = 0; s < PSI_STAT_CNT; s++)
		if (psi_stat_kind_of(s) == PSI_STAT_PKT_OUT && strstr(psi_stat_name(s), "_drop_"))
			sum += count[s];
	return sum;
}

static void
draw_head(const struct top_model *m, const struct psi_ring_status *ring, const char *path,
	uint64_t now_ns, bool paused, const struct top_paint *p)
{
	uint64_t silent = now_ns > ring->beat_ns ? (now_ns - ring->beat_ns) / 1000000000ull : 0;
	char a[16], b[16], c[16], d[16], e[16];
	uint64_t drop = dropped(m->sum);

	put(p, 0, 0, TOP_TITLE, "pinsight top");
	put(p, 0, 14, TOP_PLAIN, "%.40s", path);
	if (paused)
		put(p, 0, 60, TOP_TITLE, "paused");
	else if (ring->closed)
		put(p, 0, 60, TOP_BAD, "engine stopped");
	else if (silent > SILENCE_S)
		put(p, 0, 60, TOP_BAD, "silent for %s s", si(silent, a));
	else
		put(p, 0, 60, TOP_GOOD, "engine alive");
	if (!m->stats_ns) {
		put(p, 1, 0, TOP_DIM,
			"no stats event yet: the engine writes one each stats.interval");
		return;
	}
	put(p, 1, 0, TOP_PLAIN, "in     %s packets/s   %s bit/s   %s flows/s   %s TLS/s   %s alive",
		si(m->rate[PSI_STAT_pkt_rx], a), si(m->rate[PSI_STAT_pkt_rx_bytes] * 8, b),
		si(m->rate[PSI_STAT_flow_opened], c), si(m->rate[PSI_STAT_flow_tls], d),
		si(m->flows_alive, e));
	put(p, 2, 0, m->balanced ? TOP_GOOD : TOP_BAD, "ledger %s",
		m->balanced ? "balanced" : "NOT BALANCED");
	put(p, 2, 20, drop ? TOP_BAD : TOP_PLAIN, "dropped %s (%s/s)", si(drop, a),
		si(dropped(m->rate), b));
	put(p, 2, 42, m->sum[PSI_STAT_stream_gap] ? TOP_BAD : TOP_PLAIN, "gaps in streams %s",
		si(m->sum[PSI_STAT_stream_gap], a));
	if (ring->lost)
		put(p, 2, 64, TOP_BAD, "missed %s", si(ring->lost, a));
}

static unsigned int
draw_workers(const struct top_model *m, const struct top_paint *p, unsigned int row)
{
	unsigned int room = p->rows >= 40 ? 16 : p->rows >= 30 ? 8 : 4;
	unsigned int n = PSI_MIN(m->worker_cnt, room);
	char a[16], b[16], c[16], d[16], load[16], queue[16];

	if (!n)
		return row;
	put(p, row++, 0, TOP_TITLE, "%-8s%6s%7s%11s%9s%9s%10s%8s", "WORKER", "LCORE", "LOAD",
		"PACKETS/S", "BIT/S", "FLOWS/S", "DROPPED/S", "QUEUE");
	for (unsigned int i = 0; i < n; i++) {
		const struct top_worker *w = &m->worker[i];

		snprintf(load, sizeof(load), "-");
		if (w->load >= 0)
			snprintf(load, sizeof(load), "%.0f%%", PSI_MIN(w->load, 9.99) * 100);
		snprintf(queue, sizeof(queue), "-");
		if (w->queue_max)
			snprintf(queue, sizeof(queue), "%.0f%%",
				(double)PSI_MIN(w->queue, w->queue_max) * 100 /
					(double)w->queue_max);
		put(p, row++, 0, w->dropped ? TOP_BAD : TOP_PLAIN, "%-8u%6u%7s%11s%9s%9s%10s%8s",
			w->id, w->lcore, load, si(w->pkts, a), si(w->bytes * 8, b), si(w->flows, c),
			si(w->dropped, d), queue);
	}
	if (m->worker_cnt > n)
		put(p, row++, 0, TOP_DIM, "%u more", m->worker_cnt - n);
	return row;
}

static uint64_t
last_minute(const struct top_model *m, int class)
{
	uint64_t sum = 0;

	for (unsigned int s = 0; s < TOP_WINDOW; s++)
		sum += m->class_window[s][class];
	return sum;
}

static void
draw_verdicts(
	const struct top_model *m, const struct top_paint *p, unsigned int row, unsigned int rows)
{
	char a[16], b[16];

	put(p, row, 0, TOP_TITLE, "%-24s%8s%9s", "VERDICT", "MINUTE", "ALL");
	for (int c = PSI_CLASS_NORMAL; c < PSI_CLASS_CNT && rows > 1; c++) {
		if (!m->class_total[c])
			continue;
		rows--;
		put(p, ++row, 0, class_look((enum psi_class)c), "%-24s%8s%9s",
			psi_class_name((enum psi_class)c), si(last_minute(m, c), a),
			si(m->class_total[c], b));
	}
}

static int
by_refusals(const void *a, const void *b)
{
	const struct top_host *x = *(const struct top_host *const *)a;
	const struct top_host *y = *(const struct top_host *const *)b;

	if (x->refused != y->refused)
		return x->refused < y->refused ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void
draw_hosts(
	const struct top_model *m, const struct top_paint *p, unsigned int row, unsigned int rows)
{
	const struct top_host *sorted[TOP_HOST_CNT];
	unsigned int n = 0,
		     cols = p->cols > HALF + 36 ? PSI_MIN(p->cols - HALF - 10, 40u) : HOST_COLS;
	char a[16];

	for (unsigned int i = 0; i < TOP_HOST_CNT; i++)
		if (m->host[i].refused)
			sorted[n++] = &m->host[i];
	qsort(sorted, n, sizeof(*sorted), by_refusals);
	put(p, row, HALF, TOP_TITLE, "%-*s%8s", (int)cols, "HOST", "REFUSED");
	for (unsigned int i = 0; i < n && i + 1 < rows; i++)
		put(p, row + 1 + i, HALF, class_look(sorted[i]->last), "%-*.*s %7s", (int)cols,
			(int)cols, sorted[i]->name, si(sorted[i]->refused, a));
}

static void
draw_findings(const struct top_model *m, const struct top_paint *p, unsigned int row)
{
	uint64_t first = m->finding_cnt > TOP_FINDING_CNT ? m->finding_cnt - TOP_FINDING_CNT : 0;

	put(p, row++, 0, TOP_TITLE, "%-24s%6s  %-18s%s", "NEWEST FINDINGS", "SURE", "CLIENT",
		"HOST");
	if (!m->finding_cnt)
		put(p, row, 0, TOP_DIM, "none so far");
	for (uint64_t i = m->finding_cnt; i > first && row + 1 < p->rows; i--) {
		const struct top_finding *f = &m->finding[(i - 1) % TOP_FINDING_CNT];

		put(p, row++, 0, TOP_PLAIN, "%-24.24s%5.0f%%  %-18.18s%s", f->class,
			f->confidence * 100, f->client, f->host);
	}
}

void
top_draw(const struct top_model *m, const struct psi_ring_status *ring, const char *path,
	uint64_t now_ns, bool paused, const struct top_paint *p)
{
	unsigned int row, rows;

	draw_head(m, ring, path, now_ns, paused, p);
	row = draw_workers(m, p, 4);
	row += row > 4; /* an empty line behind a table */
	rows = PSI_MAX((p->rows > row + 8 ? p->rows - row - 1 : 8) * 3 / 5, CLASS_ROWS);
	rows = PSI_MIN(rows, PSI_CLASS_CNT + 1u);
	draw_verdicts(m, p, row, rows);
	draw_hosts(m, p, row, rows);
	draw_findings(m, p, row + rows + 1);
	put(p, p->rows - 1, 0, TOP_DIM,
		"q quit   p pause   r forget what was counted here   h help");
}
