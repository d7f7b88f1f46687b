/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight stats: the ledger of a running engine, once. */
#include "pinsight.h"

#include "psi_export.h"
#include "psi_ring.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct stats {
	const char *path;
	bool json, verbose;
	unsigned int wait_s;
	struct psi_ring_r *ring;
	struct psi_event *last; /* a copy; NULL: none yet */
};

static const char help[] =
	"usage: pinsight stats [OPTION...]\n"
	"\n"
	"Prints the ledger of a running engine once: what became of every packet, flow and record since its\n"
	"start, and whether that accounts for all of them. Comes from the newest stats event in the ring.\n"
	"\n"
	"  --ring=FILE   the engine's ring (default " RING_PATH ")\n"
	"  --json        the stats event itself, as a line of JSON (docs/events.md)\n"
	"  --verbose     counters that are zero, too\n"
	"  --wait=SEC    how long to wait for the first stats event (default 15; the engine writes one each\n"
	"                stats.interval)\n"
	"  -h, --help    this text\n"
	"\n"
	"Exit status: 0 the ledger balances; 1 it does not, or there is none; 2 called wrongly.\n";

/* The newest stats event that the ring holds; waits for one when there is none. */
static int
find(struct stats *s, struct psi_err *err)
{
	time_t end = time(NULL) + s->wait_s;
	const struct timespec nap = {.tv_nsec = 20000000};
	const struct psi_event *e;
	enum psi_ring_rc rc;

	for (;;) {
		while ((rc = psi_ring_next(s->ring, &e)) == PSI_RING_EVENT) {
			if (e->type != PSI_EVENT_STATS)
				continue;
			free(s->last);
			s->last = malloc(e->len);
			if (!s->last)
				return psi_err_set(err, -ENOMEM, "no memory");
			memcpy(s->last, e, e->len);
		}
		if (s->last)
			return 0;
		if (rc == PSI_RING_BAD)
			return psi_err_set(err, -EPROTO, "%s is damaged", s->path);
		if (rc == PSI_RING_END || time(NULL) >= end)
			return psi_err_set(err, -ENOENT, "%s holds no stats event%s", s->path,
				rc == PSI_RING_END ? ", and its engine has stopped"
						   : " yet; --wait=SEC waits longer");
		nanosleep(&nap, NULL);
	}
}

static void
sum(const struct psi_event *e, uint64_t sum[PSI_STAT_CNT])
{
	struct psi_event_r r;
	struct psi_value v;
	const char *name;
	uint64_t n;
	size_t len;

	psi_event_fields(e, &r);
	while (psi_event_next(&r, &v)) {
		if (v.id != PSI_F_STATS_COUNTERS)
			continue;
		n = psi_value_count(&v, &name, &len);
		for (enum psi_stat s = 0; s < PSI_STAT_CNT; s++)
			if (strlen(psi_stat_name(s)) == len &&
				memcmp(psi_stat_name(s), name, len) == 0)
				sum[s] = n;
	}
}

static int
print(const struct stats *s)
{
	uint64_t counters[PSI_STAT_CNT] = {0};
	struct psi_ledger l = {.sum = counters, .verbose = s->verbose};
	struct psi_event_r r;
	struct psi_value v;
	char text[32];

	psi_event_fields(s->last, &r);
	if (psi_event_find(&r, PSI_F_STATS_FLOWS_ALIVE, &v))
		l.flows_alive = psi_value_u64(&v);
	l.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	sum(s->last, counters);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC",
		gmtime(&(time_t){(time_t)(s->last->time_ns / 1000000000ull)}));
	printf("As of %s, since the engine's start:\n", text);
	return psi_ledger_print(stdout, &l) ? EXIT_DONE : EXIT_TROUBLE;
}

static int
print_json(const struct stats *s)
{
	char *buf = malloc(PSI_JSON_MAX);
	int n = buf ? psi_json_event(s->last, buf, PSI_JSON_MAX) : 0;
	bool ok = n > 0 && fwrite(buf, 1, (size_t)n, stdout) == (size_t)n;

	free(buf);
	return ok ? EXIT_DONE : EXIT_TROUBLE;
}

static int
parse(struct stats *s, int argc, char **argv)
{
	static const struct option options[] = {{"ring", required_argument, NULL, 'r'},
		{"json", no_argument, NULL, 'j'}, {"verbose", no_argument, NULL, 'v'},
		{"wait", required_argument, NULL, 'w'}, {"help", no_argument, NULL, 'h'}, {0}};
	unsigned long sec;
	char *end;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (o) {
		case 'r': s->path = optarg; break;
		case 'j': s->json = true; break;
		case 'v': s->verbose = true; break;
		case 'w':
			sec = strtoul(optarg, &end, 10);
			if (*end || end == optarg || *optarg == '-' || sec > 86400)
				return usage_error("stats",
					"--wait takes seconds from 0 to 86400, not '%s'", optarg);
			s->wait_s = (unsigned int)sec;
			break;
		case 'h': fputs(help, stdout); return 'h';
		case ':': return usage_error("stats", "%s wants a value", argv[optind - 1]);
		default: return option_error("stats", argv[optind - 1]);
		}
	}
	if (optind != argc)
		return usage_error("stats", "'%s' is no option", argv[optind]);
	return 0;
}

int
cmd_stats(int argc, char **argv)
{
	struct stats s = {.path = RING_PATH, .wait_s = 15};
	struct psi_err err = {""};
	int rc = parse(&s, argc, argv);

	if (rc)
		return rc == 'h' ? EXIT_DONE : rc;
	if (psi_ring_open(&s.ring, s.path, PSI_RING_OLDEST, &err) != 0 || find(&s, &err) != 0) {
		fprintf(stderr, "pinsight stats: %s\n", err.text);
		if (!s.ring)
			fprintf(stderr,
				"Is the engine running (pinsight run)? --ring names another ring.\n");
		rc = EXIT_TROUBLE;
	} else {
		rc = s.json ? print_json(&s) : print(&s);
	}
	free(s.last);
	psi_ring_shut(s.ring);
	return rc;
}
