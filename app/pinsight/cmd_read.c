/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight read: captures through the same worker and collector that a NIC feeds, on one core, in packet time. */
#include "pinsight.h"
#include "read_findings.h"

#include "psi_collector.h"
#include "psi_export.h"
#include "psi_port.h"
#include "psi_worker.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Above what psi_worker_defaults lets be held at once (4096 early segments, 4096 of
 * fragments, 3072 of certificates) and a burst of the longest packets (32 of 128). */
#define POOL_MBUFS   16384
#define MBUF_ROOM    (RTE_PKTMBUF_HEADROOM + 2048)
#define EAL_MEM_MB   32 /* for fragments */
#define QUEUE_BYTES  (1u << 20)
#define OVERRIDE_MAX 64
#define MANY_FLOWS   8192 /* for which the whole flow table is brought into memory at once */
#define OUT_BYTES    (256u << 10) /* written at once, from files */
#define LIVE_BYTES   4096	  /* the same from standard input */

struct run {
	bool json, all, quiet, failed_only;
	bool complained; /* of the configuration */
	struct rte_mempool *pool;
	struct psi_handoff queue;
	void *queue_mem;
	struct psi_worker *worker;
	struct psi_collector *collector;
	struct psi_policy *policy;
	struct psi_pins_store *keys; /* NULL: none are learnt */
	unsigned int identity;	     /* enum psi_net_identity */
	const char *config;	     /* file; NULL: none */
	struct psi_config_override ov[OVERRIDE_MAX];
	uint32_t ov_cnt;
	char roots[4200]; /* the override that --roots stands for */
	struct psi_config *cfg;
	struct psi_table *table;
	struct read_findings *findings; /* with the table */
	struct psi_json *json_writer;	/* with the buffer */
	char *json_buf;			/* OUT_BYTES, and room for one more event */
	size_t json_len, json_most;	/* bytes in it; from how many on they are written */
	uint64_t sum[PSI_STAT_CNT];	/* of the files read so far */
	uint64_t verdicts[PSI_CLASS_CNT];
	uint64_t last_ns; /* largest packet time of the recording, which may be several files */
	time_t progress_at;
	int write_errno; /* why events could not be written; 0: they could */
	bool opened;	 /* a file could be opened */
	bool touched;	 /* there were many flows */
};

static volatile sig_atomic_t
	interrupted; /* set by a signal handler: the one use that volatile has */

static void
on_signal(int sig)
{
	interrupted = sig;
}

static const char help[] =
	"usage: pinsight read [OPTION...] FILE...\n"
	"\n"
	"Reads captures (pcap or pcapng; - is standard input) and prints each TLS connection: who talked\n"
	"to which host, the handshake messages seen, alerts, and a verdict with its reason. Needs no root,\n"
	"no network card and no huge pages. Times are those of the packets; the same capture always gives\n"
	"the same output.\n"
	"\n"
	"  --json       JSON Lines on standard output, one tls_flow event a connection (docs/events.md)\n"
	"  --all        with --json: findings and stats events too, and connections that are not TLS (not_tls)\n"
	"  --failed     table: only connections that did not go through\n"
	"  --quiet      only the summary; with --json: only the events, no summary\n"
	"  --roots=PATH PEM file or folder of CAs that chains are checked against (default: the system's);\n"
	"               the result is tls.cert_status, and the verdict weighs a certificate that is bad itself\n"
	"  --config=FILE  pins, rules, own inspection CAs and bounds from a configuration (config/pinsight.yaml)\n"
	"  --set=KEY=VALUE  one key of it, as section.key\n"
	"  --identity=WHAT  what tells connections with the same addresses and ports apart: vlan,tunnel\n"
	"               (default), vlan, tunnel or none. none joins what two taps of one link tagged differently\n"
	"  -h, --help   this text\n"
	"\n"
	"Several files are read one after the other. One that begins where the one before ended (rotated\n"
	"captures) continues its connections.\n"
	"\n"
	"Exit status: 0 all read; 1 a file could not be read to its end (what came before is reported);\n"
	"2 called wrongly.\n"
	"\n"
	"Examples:\n"
	"  pinsight read office.pcapng\n"
	"  pinsight read --json office.pcapng | jq 'select(.verdict.class != \"normal\") | .tls.sni'\n"
	"  tcpdump -w - -c 100000 | pinsight read -\n";

/* ---- where events go ---- */

/* A signal that ends the reading does not end this: what was read until then is reported. stdio would give up. */
static void
write_json(struct run *r)
{
	for (size_t at = 0; at < r->json_len && !r->write_errno;) {
		ssize_t n = write(STDOUT_FILENO, r->json_buf + at, r->json_len - at);

		if (n >= 0)
			at += (size_t)n;
		else if (errno != EINTR)
			r->write_errno = errno;
	}
	r->json_len = 0;
}

static void
on_event(void *ctx, const struct psi_event *e)
{
	struct run *r = ctx;
	struct psi_event_r fields;
	struct psi_value v;
	int n;

	if (e->type == PSI_EVENT_TLS_FLOW && !(r->json && r->quiet)) { /* for the summary */
		psi_event_fields(e, &fields);
		if (psi_event_find(&fields, PSI_F_CLASS, &v) && psi_value_u64(&v) < PSI_CLASS_CNT)
			r->verdicts[psi_value_u64(&v)]++;
	}
	if (r->table)
		psi_table_event(r->table, e);
	if (r->findings)
		read_findings_event(r->findings, e);
	if (!r->json || r->write_errno || (e->type == PSI_EVENT_FINDING && !r->all))
		return;
	n = psi_json_write(r->json_writer, e, r->json_buf + r->json_len, PSI_JSON_MAX);
	PSI_ASSERT(n > 0, "PSI_JSON_MAX suffices for every event");
	r->json_len += (size_t)n;
	if (r->json_len >= r->json_most)
		write_json(r);
}

/* The queue is full: on one core, that is the collector's turn. */
static bool
make_room(void *ctx)
{
	struct run *r = ctx;

	return psi_collector_poll(r->collector, &r->queue, UINT32_MAX) > 0;
}

/* ---- set-up ---- */

static unsigned int
terminal_width(void)
{
	struct winsize ws;

	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 40 ? ws.ws_col : 80;
}

static int
open_output(struct run *r)
{
	struct psi_table_config cfg = {
		.out = stdout, .width = terminal_width(), .all = !r->failed_only};

	cfg.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	if (r->json && !((r->json_buf = malloc(OUT_BYTES + PSI_JSON_MAX)) &&
			       (r->json_writer = psi_json_open())))
		return -ENOMEM;
	if (!r->json && !r->quiet &&
		!((r->table = psi_table_open(&cfg)) && (r->findings = read_findings_open())))
		return -ENOMEM;
	return 0;
}

static bool
add_override(struct run *r, const char *text)
{
	if (r->ov_cnt == OVERRIDE_MAX)
		return false;
	r->ov[r->ov_cnt++].text = text;
	return true;
}

/* --roots as the override that it stands for: the path between quotes, as YAML has them. */
static void
set_roots(struct run *r, const char *path)
{
	size_t n = (size_t)snprintf(r->roots, sizeof(r->roots), "certificates.roots='");

	for (; *path && n + 3 < sizeof(r->roots); path++) {
		if (*path == '\'')
			r->roots[n++] = '\'';
		r->roots[n++] = *path;
	}
	r->roots[n++] = '\'';
	r->roots[n] = '\0';
}

static void
on_complaint(void *ctx, bool bad, const char *text)
{
	struct run *r = ctx;

	if (!bad)
		return;
	fprintf(stderr, "pinsight read: %s\n", text);
	r->complained = true;
}

/* The configuration, if any, and what the command line says in its place. A capture is read at any speed, so that
 * without one there is no bound on chains checked per second. */
static int
open_config(struct run *r, struct psi_err *err)
{
	if (!r->config)
		add_override(r, "certificates.checks=0");
	if (r->roots[0])
		add_override(r, r->roots);
	r->cfg = psi_config_open(r->config, r->ov, r->ov_cnt, err);
	return r->cfg ? 0 : -EINVAL;
}

static int
open_keys(struct run *r, struct psi_err *err)
{
	struct psi_pins_store_config kc = {.path = r->cfg->pins_learn.store,
		.hosts_max = r->cfg->pins_learn.hosts_max,
		.mode = PSI_PINS_STORE_WRITE};

	if (!r->cfg->pins_learn.enabled)
		return 0;
	r->keys = psi_pins_store_open(&kc, err);
	return r->keys ? 0 : -EINVAL;
}

/* Joining fragments is what DPDK is needed for. Starting it takes longer than reading a small capture: only when one
 * comes. */
static bool
start_dpdk(void)
{
	struct psi_err err = {""};

	if (psi_eal_init("pinsight", EAL_MEM_MB, &err) == 0)
		return true;
	fprintf(stderr, "pinsight read: IP fragments are left out: %s\n", err.text);
	return false;
}

static int
open_engine(struct run *r, struct psi_err *err)
{
	struct psi_policy_listener listener = {.tell = on_complaint, .ctx = r};
	struct psi_worker_config wc;
	struct psi_collector_config cc;

	if (open_config(r, err) != 0)
		return -EINVAL;
	r->pool = psi_port_pool_open(POOL_MBUFS, MBUF_ROOM);
	r->queue_mem = aligned_alloc(128, QUEUE_BYTES);
	if (!r->pool || !r->queue_mem || open_output(r) != 0)
		return psi_err_set(err, -ENOMEM, "no memory for packet buffers");
	psi_handoff_init(&r->queue, r->queue_mem, QUEUE_BYTES);
	if (!(r->policy = psi_policy_open(r->cfg, &listener, err)) || open_keys(r, err) != 0)
		return -EINVAL;
	psi_collector_defaults(&cc);
	cc.population = r->policy->population;
	cc.policy = r->policy;
	cc.keys = r->keys;
	cc.sink = on_event;
	cc.ctx = r;
	r->collector = psi_collector_open(&cc, err);
	psi_worker_defaults(&wc);
	wc.report_other = r->all;
	wc.identity = r->identity;
	wc.frag.prepare = start_dpdk;
	r->worker = psi_worker_open(&wc, &r->queue, make_room, r, err);
	return r->worker && r->collector ? 0 : -ENOMEM;
}

static void
close_engine(struct run *r)
{
	psi_worker_close(r->worker);
	psi_collector_close(r->collector);
	psi_policy_close(r->policy);
	psi_pins_store_close(r->keys);
	psi_config_close(r->cfg);
	psi_table_close(r->table);
	read_findings_close(r->findings);
	psi_port_pool_close(r->pool);
	free(r->queue_mem);
	psi_json_close(r->json_writer);
	free(r->json_buf);
}

/* ---- reading ---- */

/* On a terminal, once a second, from the second second on. */
static void
progress(struct run *r, const struct psi_port *port, const char *path, uint64_t packets, bool done)
{
	time_t now;
	double part;

	if (r->quiet || !isatty(STDERR_FILENO))
		return;
	now = time(NULL);
	if (!r->progress_at)
		r->progress_at = now + 1;
	if (done) {
		if (now > r->progress_at)
			fprintf(stderr, "\r\033[K");
		return;
	}
	if (now <= r->progress_at)
		return;
	r->progress_at = now;
	part = psi_port_done(port);
	if (part >= 0)
		fprintf(stderr, "\r\033[K%s: %3.0f %%, %.1f million packets", path, part * 100,
			(double)packets / 1e6);
	else
		fprintf(stderr, "\r\033[K%s: %.1f million packets", path, (double)packets / 1e6);
	fflush(stderr);
}

/* A file that begins before the one before ended is another recording: its connections are not continued. */
static void
begin_file(struct run *r, uint64_t first_ns)
{
	if (r->last_ns && first_ns < r->last_ns) {
		psi_worker_stop(r->worker);
		make_room(r);
		r->last_ns = 0;
	}
}

static int
read_file(struct run *r, const char *path)
{
	struct rte_mbuf *m[PSI_WORKER_BURST];
	uint64_t ts[PSI_WORKER_BURST], packets = 0;
	uint32_t wire[PSI_WORKER_BURST];
	struct psi_err err = {""};
	struct psi_port *port = psi_port_open_pcap(path, r->pool, &err);
	enum psi_link link;
	uint16_t n;
	int rc;

	if (!port) {
		fprintf(stderr, "pinsight read: %s\n", err.text);
		return EXIT_TROUBLE;
	}
	r->opened = true;
	while (!interrupted && (n = psi_port_rx(port, m, ts, wire, PSI_WORKER_BURST, &link)) > 0) {
		if (!packets)
			begin_file(r, ts[0]);
		for (uint16_t i = 0; i < n; i++)
			r->last_ns = PSI_MAX(r->last_ns, ts[i]);
		psi_worker_burst(r->worker, link, m, ts, wire, n);
		psi_collector_poll(r->collector, &r->queue, UINT32_MAX);
		packets += n;
		if (!r->touched && psi_stat_get(psi_worker_stats(r->worker),
					   PSI_STAT_flow_opened) >= MANY_FLOWS) {
			psi_worker_touch(r->worker);
			r->touched = true;
		}
		if (packets % 8192 < n)
			progress(r, port, path, packets, false);
	}
	progress(r, port, path, packets, true);
	rc = psi_port_status(port, &err);
	if (rc < 0 && !interrupted) /* else it is the wait for more that failed */
		fprintf(stderr, "pinsight read: %s; the %llu packets before are reported\n",
			err.text, (unsigned long long)packets);
	psi_port_close(port);
	return rc < 0 ? EXIT_TROUBLE : EXIT_DONE;
}

static void
finish(struct run *r)
{
	struct psi_ledger l = {.sum = r->sum, .classes = r->verdicts};

	l.colour = isatty(r->json ? STDERR_FILENO : STDOUT_FILENO) && !getenv("NO_COLOR");
	psi_worker_stop(r->worker);
	make_room(r);
	psi_collector_flush(r->collector);
	psi_stats_sum(psi_worker_stats(r->worker), r->sum);
	psi_stats_sum(psi_collector_stats(r->collector), r->sum);
	if (r->all && r->json)
		psi_collector_stats_event(
			r->collector, r->sum, psi_worker_alive(r->worker), r->last_ns);
	if (r->json)
		write_json(r);
	if (r->table)
		psi_table_finish(r->table);
	if (r->findings)
		read_findings_print(r->findings, stdout);
	l.flows_alive = psi_worker_alive(r->worker);
	if (!r->json || !r->quiet)
		psi_ledger_print(r->json ? stderr : stdout, &l);
}

static bool
parse_identity(const char *text, unsigned int *identity)
{
	static const struct {
		const char *text;
		unsigned int bits;
	} words[] = {
		{"vlan,tunnel", PSI_NET_ID_VLAN | PSI_NET_ID_TUNNEL},
		{"vlan", PSI_NET_ID_VLAN},
		{"tunnel", PSI_NET_ID_TUNNEL},
		{"none", 0},
	};

	for (size_t i = 0; i < PSI_COUNT(words); i++) {
		if (strcmp(text, words[i].text) == 0) {
			*identity = words[i].bits;
			return true;
		}
	}
	return false;
}

static int
parse(struct run *r, int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
		{"all", no_argument, NULL, 'a'}, {"quiet", no_argument, NULL, 'q'},
		{"failed", no_argument, NULL, 'f'}, {"roots", required_argument, NULL, 'r'},
		{"config", required_argument, NULL, 'c'}, {"set", required_argument, NULL, 's'},
		{"identity", required_argument, NULL, 'i'}, {"help", no_argument, NULL, 'h'}, {0}};
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (o) {
		case 'j': r->json = true; break;
		case 'a': r->all = true; break;
		case 'q': r->quiet = true; break;
		case 'f': r->failed_only = true; break;
		case 'c': r->config = optarg; break;
		case 'r': set_roots(r, optarg); break;
		case 's':
			if (r->ov_cnt > OVERRIDE_MAX - 4 || !add_override(r, optarg))
				return usage_error("read",
					"too many --set; put them into a file for --config");
			break;
		case 'i':
			if (!parse_identity(optarg, &r->identity))
				return usage_error("read",
					"--identity takes vlan,tunnel, vlan, tunnel or none, not '%s'",
					optarg);
			break;
		case 'h': fputs(help, stdout); return 'h';
		case ':': return usage_error("read", "%s wants a value", argv[optind - 1]);
		default: return option_error("read", argv[optind - 1]);
		}
	}
	if (r->json && r->failed_only)
		return usage_error(
			"read", "--failed is of the table; of --json, select by verdict.class");
	if (optind == argc)
		return usage_error("read", "name at least one capture file");
	return 0;
}

int
cmd_read(int argc, char **argv)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct run r = {.identity = PSI_NET_ID_DEFAULT};
	struct psi_err err = {""};
	int rc = parse(&r, argc, argv);
	bool live = false;

	if (rc)
		return rc == 'h' ? EXIT_DONE : rc;
	if (open_engine(&r, &err) != 0) {
		if (!r.complained) /* else it was told, with all else that is wrong */
			fprintf(stderr, "pinsight read: %s\n", err.text);
		close_engine(&r);
		return EXIT_TROUBLE;
	}
	/* What comes by standard input may be happening now, and is told sooner. */
	for (int i = optind; i < argc; i++)
		live |= strcmp(argv[i], "-") == 0;
	r.json_most = isatty(STDOUT_FILENO) ? 1 : live ? LIVE_BYTES : OUT_BYTES;
	if (!r.json && r.json_most == OUT_BYTES)
		setvbuf(stdout, NULL, _IOFBF, OUT_BYTES);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	for (int i = optind; i < argc && !interrupted; i++)
		rc |= read_file(&r, argv[i]);
	if (r.opened) /* else there is nothing to say beside what was wrong */
		finish(&r);
	if (interrupted) {
		fprintf(stderr,
			"pinsight read: interrupted; what was read until then is reported\n");
		rc = EXIT_TROUBLE;
	}
	if (r.write_errno || fflush(stdout) != 0) {
		fprintf(stderr, "pinsight read: cannot write to standard output: %s\n",
			strerror(r.write_errno ? r.write_errno : errno));
		rc = EXIT_TROUBLE;
	}
	if (r.keys && psi_pins_flush(r.keys, &err) != 0) {
		fprintf(stderr, "pinsight read: %s\n", err.text);
		rc = EXIT_TROUBLE;
	}
	close_engine(&r);
	return rc;
}
