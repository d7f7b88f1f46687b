/* SPDX-License-Identifier: BSD-3-Clause */
/* top_model.h: what pinsight top knows of a running engine, gathered from its events; and the screen made of it, as text.
 *
 * Bounded: the hosts refused most often, the newest findings, one minute of verdicts.
 * Thread: one. */
#ifndef TOP_MODEL_H
#define TOP_MODEL_H

#include "psi_event.h"
#include "psi_ring.h"
#include "psi_stats.h"

#define TOP_HOST_CNT	1024 /* hosts remembered: a power of two */
#define TOP_FINDING_CNT 16
#define TOP_WORKER_CNT	64
#define TOP_WINDOW	60 /* seconds */
#define TOP_NAME_MAX	64

struct top_host {
	char name[TOP_NAME_MAX]; /* clean text; empty: a free place */
	uint64_t refused;
	enum psi_class last;
};

struct top_finding {
	uint64_t time_ns;
	double confidence;
	char class[32], host[TOP_NAME_MAX], client[48];
};

struct top_worker {
	unsigned int id, lcore;
	double load;			      /* 0..1; negative: not told */
	uint64_t pkts, bytes, flows, dropped; /* per second */
	uint64_t queue, queue_max;
};

struct top_model {
	uint64_t class_total[PSI_CLASS_CNT];
	uint32_t class_window[TOP_WINDOW][PSI_CLASS_CNT];
	uint64_t window_s; /* the second that was counted last */
	struct top_host host[TOP_HOST_CNT];
	uint64_t hosts_forgotten;
	struct top_finding finding[TOP_FINDING_CNT]; /* a circle */
	uint64_t finding_cnt;
	/* of the newest stats event */
	uint64_t stats_ns, flows_alive;
	uint64_t sum[PSI_STAT_CNT], rate[PSI_STAT_CNT];
	bool balanced, has_rates;
	struct top_worker worker[TOP_WORKER_CNT];
	unsigned int worker_cnt;
};

/* top_reset forgets everything. top_tick: now_s, seconds of a clock that never goes back. top_event takes an event. */
void top_reset(struct top_model *m);
void top_tick(struct top_model *m, uint64_t now_s);
void top_event(struct top_model *m, const struct psi_event *e);

/* How a part of the screen is to look. */
enum top_look { TOP_PLAIN, TOP_TITLE, TOP_GOOD, TOP_BAD, TOP_PINNED, TOP_DIM };

/* What draws: text at a place, cut at the edge by the view; rows from 0. */
struct top_paint {
	void (*text)(
		void *ctx, unsigned int row, unsigned int col, enum top_look look, const char *s);
	void *ctx;
	unsigned int rows, cols;
};

/* top_draw draws m in rows x cols, from 80 x 24 up; what does not fit is left out, least important first. */
void top_draw(const struct top_model *m, const struct psi_ring_status *ring, const char *path,
	uint64_t now_ns, bool paused, const struct top_paint *p);

#endif
