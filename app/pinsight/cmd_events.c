/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight events: the events of a running engine, as they are made. */
#include "pinsight.h"

#include "psi_export.h"
#include "psi_filter.h"
#include "psi_ring.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SILENCE_NS \
	5000000000ull /* after which a writer that should beat once a second counts as gone */

struct follow {
	const char *path;
	bool json, dump, wait, newest;
	uint64_t most; /* events to print; 0: no end */
	struct psi_filter filter;
	struct psi_ring_r *ring;
	uint64_t printed, gaps, lost;
	bool silent, write_failed;
	struct psi_json *writer; /* with json, if there is memory */
	char buf[PSI_JSON_MAX];
};

static volatile sig_atomic_t interrupted; /* set by a signal handler */

static void
on_signal(int sig)
{
	interrupted = sig;
}

static const char help[] =
	"usage: pinsight events [OPTION...]\n"
	"\n"
	"Prints what a running engine (pinsight run) sees, as it happens: one line a connection, and the\n"
	"findings about hosts and clients. Reading disturbs nobody: the engine never waits for a reader, and\n"
	"a reader that falls behind is told how many events it missed. Goes on when the engine is restarted.\n"
	"\n"
	"  --ring=FILE      the engine's ring (default " RING_PATH ")\n"
	"  --json           JSON Lines (docs/events.md)\n"
	"  --dump           print what the ring holds, then end\n"
	"  --new            begin with the next event, not with the oldest that the ring holds\n"
	"  --wait           wait for an engine that does not run yet\n"
	"  --count=N        end after N events\n"
	"\n"
	"Only some of them:\n"
	"  --verdict=CLASS[,CLASS...]  pinned, unknown_ca ... (docs/events.md); refused: every class in which\n"
	"                   the client refused a certificate; failed: everything but normal\n"
	"  --host=NAME      that host; .NAME: it and every name below it\n"
	"  --client=ADDR[/BITS]        that client, or those of a network\n"
	"  --type=TYPE[,TYPE...]       tls_flow and finding unless told otherwise; also tls_handshake, stats\n"
	"  --since=WHEN     2026-11-22T08:00:00Z, a day (UTC), or how long ago: 90s, 15m, 2h, 7d, 4w\n"
	"  -h, --help       this text\n"
	"\n"
	"Exit status: 0 done; 1 no ring, or it broke off; 2 called wrongly.\n"
	"\n"
	"Examples:\n"
	"  pinsight events --verdict=refused\n"
	"  pinsight events --json --type=finding | jq .subject.sni\n"
	"  pinsight events --dump --since=1h --host=.example.com\n";

/* ---- printing ---- */

static void
print(struct follow *f, const struct psi_event *e, bool colour)
{
	size_t n;
	int len;

	if (f->json) {
		len = psi_json_write(f->writer, e, f->buf, sizeof(f->buf));
		n = len > 0 ? (size_t)len : 0;
	} else {
		n = psi_line_event(e, colour, f->buf);
	}
	if (fwrite(f->buf, 1, n, stdout) != n)
		f->write_failed = true;
}

static void
on_event(struct follow *f, const struct psi_event *e, bool colour)
{
	struct psi_event_r r;
	struct psi_value v;

	if (!psi_filter_takes(&f->filter, e))
		return;
	if (e->type == PSI_EVENT_GAP) {
		psi_event_fields(e, &r);
		if (psi_event_find(&r, PSI_F_GAP_LOST, &v))
			f->lost += psi_value_u64(&v);
		f->gaps++;
	} else {
		f->printed++;
	}
	print(f, e, colour);
}

/* ---- following ---- */

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void
nap(unsigned int ms)
{
	struct timespec ts = {.tv_nsec = ms * 1000000l};

	nanosleep(&ts, NULL);
}

/* The engine tells that it lives; one that does not has crashed, or was stopped in a debugger. Told once. */
static void
listen(struct follow *f)
{
	struct psi_ring_status s;
	uint64_t now = now_ns();
	bool silent;

	psi_ring_status(f->ring, &s);
	silent = !s.closed && now > s.beat_ns && now - s.beat_ns > SILENCE_NS;
	if (silent && !f->silent)
		fprintf(stderr,
			"pinsight events: no sign of life of the engine for %llu s; waiting for it or its next start\n",
			(unsigned long long)((now - s.beat_ns) / 1000000000ull));
	f->silent = silent;
}

/* What to do when there is nothing to read: 1 read on, 0 done, -1 trouble. */
static int
idle(struct follow *f, enum psi_ring_rc rc, bool *ended)
{
	struct psi_err err = {""};
	int moved = psi_ring_follow(f->ring, &err);

	fflush(stdout);
	if (moved == 1) {
		*ended = false;
		return 1;
	}
	if (rc == PSI_RING_BAD) {
		fprintf(stderr, "pinsight events: %s is damaged, or no ring any more\n", f->path);
		return -1;
	}
	if (f->dump)
		return 0;
	if (rc == PSI_RING_END && !*ended)
		fprintf(stderr,
			"pinsight events: the engine has stopped; waiting for its next start (Ctrl-C ends this)\n");
	*ended = rc == PSI_RING_END;
	listen(f);
	nap(*ended ? 200 : 20);
	return 1;
}

static int
follow(struct follow *f)
{
	bool colour = !f->json && isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	const struct psi_event *e;
	bool ended = false;
	int go = 1;

	while (go > 0 && !interrupted && !f->write_failed && (!f->most || f->printed < f->most)) {
		enum psi_ring_rc rc = psi_ring_next(f->ring, &e);

		if (rc == PSI_RING_EVENT)
			on_event(f, e, colour);
		else
			go = idle(f, rc, &ended);
	}
	if (f->lost)
		fprintf(stderr, "pinsight events: %llu events were missed, in %llu gaps\n",
			(unsigned long long)f->lost, (unsigned long long)f->gaps);
	return go < 0 ? EXIT_TROUBLE : EXIT_DONE;
}

static int
open_ring(struct follow *f)
{
	struct psi_err err = {""};
	bool told = false;
	int rc;

	while ((rc = psi_ring_open(&f->ring, f->path, f->newest ? PSI_RING_NEWEST : PSI_RING_OLDEST,
			&err)) != 0) {
		if (rc != -ENOENT || !f->wait || interrupted) {
			fprintf(stderr, "pinsight events: %s%s\n", err.text,
				rc == -ENOENT
					? "\nIs the engine running (pinsight run), and with this ring (ring.path of its "
					  "configuration)? --wait waits for it."
				: rc == -EACCES
					? "\nThe ring may be read by the engine's group: join it, or use sudo."
					: "");
			return EXIT_TROUBLE;
		}
		if (!told)
			fprintf(stderr, "pinsight events: waiting for %s\n", f->path);
		told = true;
		nap(200);
	}
	return EXIT_DONE;
}

/* ---- arguments ---- */

static int
parse_filter(struct follow *f, int option, struct psi_err *err)
{
	switch (option) {
	case 'v': return psi_filter_classes(&f->filter, optarg, err);
	case 'H': return psi_filter_host(&f->filter, optarg, err);
	case 'c': return psi_filter_client(&f->filter, optarg, err);
	case 't': return psi_filter_types(&f->filter, optarg, err);
	default: return psi_filter_since(&f->filter.since_ns, optarg, now_ns(), err);
	}
}

static int
parse(struct follow *f, int argc, char **argv)
{
	static const struct option options[] = {{"ring", required_argument, NULL, 'r'},
		{"json", no_argument, NULL, 'j'}, {"dump", no_argument, NULL, 'd'},
		{"new", no_argument, NULL, 'n'}, {"wait", no_argument, NULL, 'w'},
		{"count", required_argument, NULL, 'N'}, {"verdict", required_argument, NULL, 'v'},
		{"host", required_argument, NULL, 'H'}, {"client", required_argument, NULL, 'c'},
		{"type", required_argument, NULL, 't'}, {"since", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'}, {0}};
	struct psi_err err = {""};
	char *end;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (o) {
		case 'r': f->path = optarg; break;
		case 'j': f->json = true; break;
		case 'd': f->dump = true; break;
		case 'n': f->newest = true; break;
		case 'w': f->wait = true; break;
		case 'N':
			f->most = strtoull(optarg, &end, 10);
			if (*end || !f->most || *optarg == '-')
				return usage_error("events",
					"--count takes a number from 1 on, not '%s'", optarg);
			break;
		case 'v':
		case 'H':
		case 'c':
		case 't':
		case 's':
			if (parse_filter(f, o, &err) != 0)
				return usage_error("events", "%s", err.text);
			break;
		case 'h': fputs(help, stdout); return 'h';
		case ':': return usage_error("events", "%s wants a value", argv[optind - 1]);
		default: return option_error("events", argv[optind - 1]);
		}
	}
	if (optind != argc)
		return usage_error("events",
			"'%s' is no option; captures are read by pinsight read", argv[optind]);
	if (!f->filter.types)
		f->filter.types = 1u << PSI_EVENT_TLS_FLOW | 1u << PSI_EVENT_FINDING;
	return 0;
}

int
cmd_events(int argc, char **argv)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct follow *f = calloc(1, sizeof(*f));
	int rc;

	if (!f) {
		fprintf(stderr, "pinsight events: no memory\n");
		return EXIT_TROUBLE;
	}
	f->path = RING_PATH;
	rc = parse(f, argc, argv);
	if (rc == 0) {
		sigaction(SIGINT, &act, NULL);
		sigaction(SIGTERM, &act, NULL);
		if (f->json)
			f->writer = psi_json_open();
		rc = open_ring(f);
		if (rc == EXIT_DONE)
			rc = follow(f);
		if (fflush(stdout) != 0 || f->write_failed) {
			fprintf(stderr, "pinsight events: cannot write to standard output: %s\n",
				strerror(errno));
			rc = EXIT_TROUBLE;
		}
	}
	psi_ring_shut(f->ring);
	psi_json_close(f->writer);
	free(f);
	return rc == 'h' ? EXIT_DONE : rc;
}
