/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_model.h"

#include "psi_export.h"

#include <arpa/inet.h>
#include <stdio.h>

#define PROBE 8 /* places that a host may have */

void
top_reset(struct top_model *m)
{
	memset(m, 0, sizeof(*m));
	m->balanced = true;
}

void
top_tick(struct top_model *m, uint64_t now_s)
{
	/* Seconds in which nothing came are seconds, too. */
	while (m->window_s < now_s) {
		m->window_s =
			now_s - m->window_s > TOP_WINDOW ? now_s - TOP_WINDOW + 1 : m->window_s + 1;
		memset(m->class_window[m->window_s % TOP_WINDOW], 0, sizeof(m->class_window[0]));
	}
}

/* ---- flows ---- */

static void
name_of(const struct psi_event_r *r, enum psi_field name, enum psi_field ip, char *out, size_t cap)
{
	struct psi_value v;
	char text[4 * TOP_NAME_MAX + 4] = "-";

	if (psi_event_find(r, name, &v) && v.len)
		psi_text_clean(text, sizeof(text), 40, v.p, v.len);
	else if (ip && psi_event_find(r, ip, &v) && (v.len == 4 || v.len == 16))
		inet_ntop(v.len == 4 ? AF_INET : AF_INET6, v.p, text, sizeof(text));
	snprintf(out, cap, "%s", text);
}

static uint32_t
hash(const char *s)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

/* The host's place, or a free one, or that of the host refused least among those it may have. */
static void
count_host(struct top_model *m, const char *name, enum psi_class class)
{
	struct top_host *least = NULL;
	uint32_t at = hash(name);

	for (unsigned int i = 0; i < PROBE; i++, at++) {
		struct top_host *h = &m->host[at & (TOP_HOST_CNT - 1)];

		if (strcmp(h->name, name) == 0) {
			least = h;
			break;
		}
		if (!least || h->refused < least->refused)
			least = h;
	}
	if (strcmp(least->name, name) != 0) {
		m->hosts_forgotten += least->refused != 0;
		snprintf(least->name, sizeof(least->name), "%s", name);
		least->refused = 0;
	}
	least->refused++;
	least->last = class;
}

static void
on_flow(struct top_model *m, const struct psi_event_r *r)
{
	struct psi_value v;
	uint64_t n = psi_event_find(r, PSI_F_CLASS, &v) ? psi_value_u64(&v) : PSI_CLASS_CNT;
	char name[TOP_NAME_MAX];

	if (n >= PSI_CLASS_CNT)
		return;
	m->class_total[n]++;
	m->class_window[m->window_s % TOP_WINDOW][n]++;
	if (psi_class_is_refusal((enum psi_class)n)) {
		name_of(r, PSI_F_TLS_SNI, PSI_F_DEST_IP, name, sizeof(name));
		count_host(m, name, (enum psi_class)n);
	}
}

static void
on_finding(struct top_model *m, const struct psi_event *e, const struct psi_event_r *r)
{
	struct top_finding *f = &m->finding[m->finding_cnt++ % TOP_FINDING_CNT];
	struct psi_value v;

	f->time_ns = e->time_ns;
	f->confidence = psi_event_find(r, PSI_F_FINDING_CONFIDENCE, &v) ? psi_value_f64(&v) : 0;
	name_of(r, PSI_F_FINDING_CLASS, PSI_F_NONE, f->class, sizeof(f->class));
	name_of(r, PSI_F_FINDING_SNI, PSI_F_NONE, f->host, sizeof(f->host));
	name_of(r, PSI_F_NONE, PSI_F_FINDING_CLIENT, f->client, sizeof(f->client));
}

/* ---- stats ---- */

static void
set_count(uint64_t *to, const struct psi_value *v)
{
	const char *name;
	size_t len;
	uint64_t n = psi_value_count(v, &name, &len);

	for (enum psi_stat s = 0; s < PSI_STAT_CNT; s++)
		if (strlen(psi_stat_name(s)) == len && memcmp(psi_stat_name(s), name, len) == 0)
			to[s] = n;
}

static bool
is_drop(enum psi_stat s)
{
	return strstr(psi_stat_name(s), "_drop_") && strncmp(psi_stat_name(s), "pkt_", 4) == 0;
}

static uint64_t
drops(const uint64_t *count)
{
	uint64_t sum = 0;

	for (enum psi_stat s = 0; s < PSI_STAT_CNT; s++)
		if (is_drop(s))
			sum += count[s];
	return sum;
}

static void
on_worker(struct top_model *m, const struct psi_value *object)
{
	struct top_worker *w = &m->worker[m->worker_cnt++];
	uint64_t rate[PSI_STAT_CNT] = {0};
	struct psi_event_r r;
	struct psi_value v;

	*w = (struct top_worker){.load = -1};
	psi_event_enter(object, &r);
	while (psi_event_next(&r, &v)) {
		switch (v.id) {
		case PSI_F_WORKER_ID: w->id = (unsigned int)psi_value_u64(&v); break;
		case PSI_F_WORKER_LCORE: w->lcore = (unsigned int)psi_value_u64(&v); break;
		case PSI_F_WORKER_LOAD: w->load = psi_value_f64(&v); break;
		case PSI_F_WORKER_QUEUE: w->queue = psi_value_u64(&v); break;
		case PSI_F_WORKER_QUEUE_MAX: w->queue_max = psi_value_u64(&v); break;
		case PSI_F_WORKER_RATES: set_count(rate, &v); break;
		}
	}
	w->pkts = rate[PSI_STAT_pkt_rx];
	w->bytes = rate[PSI_STAT_pkt_rx_bytes];
	w->flows = rate[PSI_STAT_flow_opened];
	w->dropped = drops(rate);
}

/* An engine that says no rates is counted from one stats event to the next. */
static void
rates(struct top_model *m, const uint64_t *before, uint64_t before_ns)
{
	uint64_t ns = m->stats_ns - before_ns;

	if (m->has_rates || !before_ns || m->stats_ns <= before_ns)
		return;
	for (enum psi_stat s = 0; s < PSI_STAT_CNT; s++)
		m->rate[s] =
			m->sum[s] < before[s]
				? 0
				: (uint64_t)((double)(m->sum[s] - before[s]) * 1e9 / (double)ns);
}

static void
on_stats(struct top_model *m, const struct psi_event *e, struct psi_event_r r)
{
	uint64_t before[PSI_STAT_CNT], before_ns = m->stats_ns, off = 0;
	struct psi_value v;

	memcpy(before, m->sum, sizeof(before));
	memset(m->sum, 0, sizeof(m->sum));
	memset(m->rate, 0, sizeof(m->rate));
	m->stats_ns = e->time_ns;
	m->worker_cnt = 0;
	m->has_rates = false;
	while (psi_event_next(&r, &v)) {
		switch (v.id) {
		case PSI_F_STATS_FLOWS_ALIVE: m->flows_alive = psi_value_u64(&v); break;
		case PSI_F_STATS_LOST_PKTS:
		case PSI_F_STATS_LOST_FLOWS:
		case PSI_F_STATS_LOST_RECS: off |= psi_value_u64(&v); break;
		case PSI_F_STATS_COUNTERS: set_count(m->sum, &v); break;
		case PSI_F_STATS_RATES:
			set_count(m->rate, &v);
			m->has_rates = true;
			break;
		case PSI_F_STATS_WORKERS:
			if (m->worker_cnt < TOP_WORKER_CNT)
				on_worker(m, &v);
			break;
		}
	}
	m->balanced = !off;
	rates(m, before, before_ns);
}

void
top_event(struct top_model *m, const struct psi_event *e)
{
	struct psi_event_r r;

	psi_event_fields(e, &r);
	switch (e->type) {
	case PSI_EVENT_TLS_FLOW: on_flow(m, &r); break;
	case PSI_EVENT_FINDING: on_finding(m, e, &r); break;
	case PSI_EVENT_STATS: on_stats(m, e, r); break;
	}
}
