/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight-bench: what a packet, a handshake and a flow cost, stage by stage, without a network card. */
#include "bench_pvt.h"

#include <rte_eal.h>

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

enum { EXIT_DONE = 0, EXIT_TROUBLE = 1, EXIT_USAGE = 2 };

static const char help[] =
	"usage: pinsight-bench [WHAT] [OPTION...]\n"
	"\n"
	"Measures the engine over traffic made in memory, without a network card: cycles of the time-stamp\n"
	"counter a packet, of the thread's own CPU time, stage by stage, each in turns with a baseline that\n"
	"receives and frees the same packets. Checks in every run that no packet, flow or record is missing.\n"
	"\n"
	"What:\n"
	"  established  packets of --flows TLS connections past their handshake, 64 bytes (default)\n"
	"  https        connections of 330 packets, 850 bytes\n"
	"  handshakes   full handshakes: TLS 1.2, three certificates, --chains distinct\n"
	"  new-flows    TCP flows of 10 small packets\n"
	"  syn-flood, udp-flood\n"
	"  ring         events into the ring alone\n"
	"  latency      from the last packet of a pattern to the ring, at --load of what the engine can take\n"
	"  overload     what is lost, dropped and told at half to four times of that: with what the engine drops\n"
	"               in its own order, and without; the median of --reps repetitions of --seconds each\n"
	"  trial        --rate packets a second for --seconds; says how many were sent and received\n"
	"  port         stages over the DPDK port --port, as --eal='--vdev=net_pcap0,rx_pcap=F,infinite_rx=1'\n"
	"  pcap         reading the file --port with libpcap, and no more\n"
	"\n"
	"Stages (--stages, names with commas; all but json, collector-alone and shed by default):\n"
	"  receive    the baseline: take a burst from the queue, free it\n"
	"  decode     and read the headers          flow   and find the flow\n"
	"  worker     all of a worker; its records are thrown away\n"
	"  collector  and all of the collector; its events are thrown away\n"
	"  ring       and each event into the ring  json   or each event as JSON\n"
	"  collector-alone   the collector only, over what a worker made while the clock stood\n"
	"  shed       a worker under overload at its worst: bulk and half of the connections are dropped\n"
	"\n"
	"Options (numbers may end in k, M or G):\n"
	"  --flows N       established: connections (100 k; 1 M and 10 M take memory and minutes)\n"
	"  --live N        https, handshakes: connections at once (10 k, 1 k)\n"
	"  --chains N      handshakes: distinct chains (1000); 0: each another\n"
	"  --tls13 SHARE   of TLS 1.3 (https 0.7, handshakes 0)\n"
	"  --size BYTES    established, floods: frame with FCS (64)\n"
	"  --zipf S        established: popularity of flows\n"
	"  --train N       packets of a connection in a row (1)\n"
	"  --workers N     cores, each with its own traffic (1)\n"
	"  --burst N       packets taken at once (32)\n"
	"  --ring N        packets in the receive queue (1024)\n"
	"  --packets N     of a repetition (1 M)      --reps N   repetitions (5)\n"
	"  --warm SECONDS  of packet time that pass before anything counts (https 3, handshakes 2.5): a\n"
	"                  connection is told of two seconds after its end\n"
	"  --pps N         of packet time, by which timeouts go (10 M; https 5 M, handshakes 2 M)\n"
	"  --sweep WHAT=V,V,...   flows, burst, size, workers, live or chains: a table each\n"
	"  --roots FILE    PEM of CAs that chains are checked against (that of the traffic); '' for none\n"
	"  --config FILE, --set KEY=VALUE   the collector's policy: pins, rules, certificates (docs: pinsight check)\n"
	"  --load SHARE    latency: of the highest rate (0.8)   --seconds S   latency, overload: each (3)\n"
	"  --pin           each worker on a CPU of its own     --no-huge   leave huge pages alone\n"
	"  --seed N        other traffic\n"
	"  --json          a JSON object a line, for scripts/bench/report\n"
	"  -h, --help      this text\n"
	"\n"
	"Huge pages, if there are (as root; give them back with 0):\n"
	"  echo 256 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages\n"
	"\n"
	"Exit status: 0 measured; 1 it could not be, or the ledger did not balance; 2 called wrongly.\n"
	"\n"
	"Examples:\n"
	"  pinsight-bench established --flows 1M --pin\n"
	"  pinsight-bench handshakes --chains 0 --stages worker,collector-alone\n"
	"  pinsight-bench established --stages worker --sweep flows=10k,100k,1M,4M --json\n";

static int __attribute__((format(printf, 1, 2))) usage_error(const char *fmt, ...)
{
	va_list ap;

	fputs("pinsight-bench: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\nSee: pinsight-bench --help\n", stderr);
	return EXIT_USAGE;
}

/* ---- arguments ---- */

static bool
number(const char *s, double *v)
{
	static const char suffix[] = "kMG";
	const char *k;
	char *end;

	errno = 0;
	*v = strtod(s, &end);
	if (end == s || errno || !isfinite(*v) || *v < 0)
		return false;
	if (*end && (k = strchr(suffix, *end))) {
		*v *= pow(1000, (double)(k - suffix + 1));
		end++;
	}
	return !*end;
}

static void
defaults(struct options *o, enum scenario s)
{
	static const enum psi_gen_kind kind[SC_CNT] = {[SC_ESTABLISHED] = PSI_GEN_TCP,
		[SC_HTTPS] = PSI_GEN_HTTPS,
		[SC_HANDSHAKES] = PSI_GEN_HANDSHAKES,
		[SC_NEW_FLOWS] = PSI_GEN_TCP,
		[SC_SYN_FLOOD] = PSI_GEN_SYN_FLOOD,
		[SC_UDP_FLOOD] = PSI_GEN_UDP_FLOOD};
	struct psi_gen_config *g = &o->gen;

	o->scenario = s;
	o->burst = 32;
	o->ring = 1024;
	o->workers = 1;
	o->reps = 5;
	o->packets = 1000000;
	o->load = 0.8;
	o->seconds = 3;
	o->stages = (1u << ST_SHED) - 1 - (1u << ST_JSON) - (1u << ST_ALONE);
	psi_gen_defaults(g, kind[s]);
	g->checksums = false; /* nobody checks them */
	g->flows = 1u << 28;
	g->packets = s < SC_SYN_FLOOD ? 0 : UINT64_MAX;
	g->pps = 10e6; /* of packet time, which is what timeouts go by */
	switch (s) {
	case SC_ESTABLISHED:
		g->open = PSI_GEN_OPEN_TLS;
		g->flow_packets = 0;
		g->packets = UINT64_MAX;
		g->flows = 100000;
		break;
	case SC_HTTPS:
		g->live = 10000;
		g->pps = 5e6;
		o->warm = 3;
		break;
	case SC_HANDSHAKES:
		g->live = 1000;
		g->tls13 = 0;
		g->pps = 2e6;
		o->warm = 2.5;
		break;
	case SC_NEW_FLOWS: g->live = 1000; break;
	default: g->flows = 0; break;
	}
}

/* Sets what a sweep may change, too. */
static bool
set_number(struct options *o, const char *name, double v)
{
	struct psi_gen_config *g = &o->gen;
	uint32_t n = v < UINT32_MAX ? (uint32_t)v : 0;

	if (strcmp(name, "flows") == 0)
		g->flows = n;
	else if (strcmp(name, "live") == 0)
		g->live = n;
	else if (strcmp(name, "chains") == 0)
		g->chains = n ? n : 1u << 28;
	else if (strcmp(name, "size") == 0)
		g->frame = n;
	else if (strcmp(name, "train") == 0)
		g->train = n;
	else if (strcmp(name, "workers") == 0)
		o->workers = n;
	else if (strcmp(name, "burst") == 0)
		o->burst = n;
	else if (strcmp(name, "ring") == 0)
		o->ring = n;
	else if (strcmp(name, "reps") == 0)
		o->reps = n;
	else if (strcmp(name, "packets") == 0)
		o->packets = (uint64_t)v;
	else if (strcmp(name, "seed") == 0)
		g->seed = (uint64_t)v;
	else if (strcmp(name, "tls13") == 0)
		g->tls13 = v;
	else if (strcmp(name, "zipf") == 0)
		g->zipf = v;
	else if (strcmp(name, "load") == 0)
		o->load = v;
	else if (strcmp(name, "pps") == 0)
		g->pps = v;
	else if (strcmp(name, "warm") == 0)
		o->warm = v;
	else if (strcmp(name, "rate") == 0)
		o->rate = v;
	else if (strcmp(name, "seconds") == 0)
		o->seconds = v;
	else
		return false;
	return true;
}

static int
set_stages(struct options *o, char *list)
{
	char *save = NULL;

	o->stages = 1u << ST_RECEIVE;
	for (char *w = strtok_r(list, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		int s = 0;

		while (s < ST_CNT && strcmp(stage_name((enum stage)s), w) != 0)
			s++;
		if (s == ST_CNT)
			return usage_error("there is no stage '%s'", w);
		o->stages |= 1u << s;
	}
	return 0;
}

static int
parse_what(struct options *o, int argc, char **argv)
{
	static const struct {
		const char *name;
		enum scenario scenario;
		enum mode mode;
	} more[] = {{"latency", SC_HTTPS, MODE_LATENCY}, {"overload", SC_HTTPS, MODE_OVERLOAD},
		{"trial", SC_HTTPS, MODE_TRIAL}, {"port", SC_HTTPS, MODE_PORT},
		{"pcap", SC_HTTPS, MODE_PCAP}, {"ring", SC_HANDSHAKES, MODE_RING}};

	defaults(o, SC_ESTABLISHED);
	if (argc < 2 || argv[1][0] == '-')
		return 1;
	for (int s = 0; s < SC_CNT; s++) {
		if (strcmp(argv[1], scenario_name((enum scenario)s)) == 0) {
			defaults(o, (enum scenario)s);
			return 2;
		}
	}
	for (size_t i = 0; i < PSI_COUNT(more); i++) {
		if (strcmp(argv[1], more[i].name) == 0) {
			defaults(o, more[i].scenario);
			o->mode = more[i].mode;
			if (o->mode ==
				MODE_RING) /* flows are told of two seconds after their end: few packets */
				o->gen.pps = 50000;
			return 2;
		}
	}
	return -1;
}

static int
check(const struct options *o)
{
	if (o->burst < 1 || o->burst > PSI_WORKER_BURST)
		return usage_error("--burst: 1 to %u", PSI_WORKER_BURST);
	if (o->ring < o->burst || o->ring > 65536)
		return usage_error("--ring: from a burst to 65536 packets");
	if (o->workers < 1 || o->workers > LANES_MAX)
		return usage_error("--workers: 1 to %u", LANES_MAX);
	if (o->reps < 1 || o->reps > REPS_MAX)
		return usage_error("--reps: 1 to %u", REPS_MAX);
	if (o->packets < o->ring)
		return usage_error("--packets: at least what the queue holds, %u", o->ring);
	if ((o->mode == MODE_PORT || o->mode == MODE_PCAP) && !o->port)
		return usage_error("--port: which?");
	if (o->mode == MODE_TRIAL && o->rate <= 0)
		return usage_error("--rate: packets a second");
	if (o->load <= 0 || o->load > 10 || o->seconds <= 0)
		return usage_error("--load: 0 to 10; --seconds: above 0");
	return 0;
}

static int
parse(struct options *o, int argc, char **argv)
{
	enum { NUMBER = 256, STAGES, SWEEP, ROOTS, CONFIG, SET, PORT, EAL };
	static const struct option opts[] = {{"flows", 1, NULL, NUMBER}, {"live", 1, NULL, NUMBER},
		{"chains", 1, NULL, NUMBER}, {"tls13", 1, NULL, NUMBER}, {"size", 1, NULL, NUMBER},
		{"zipf", 1, NULL, NUMBER}, {"train", 1, NULL, NUMBER}, {"workers", 1, NULL, NUMBER},
		{"burst", 1, NULL, NUMBER}, {"ring", 1, NULL, NUMBER}, {"packets", 1, NULL, NUMBER},
		{"reps", 1, NULL, NUMBER}, {"load", 1, NULL, NUMBER}, {"seconds", 1, NULL, NUMBER},
		{"seed", 1, NULL, NUMBER}, {"warm", 1, NULL, NUMBER}, {"pps", 1, NULL, NUMBER},
		{"stages", 1, NULL, STAGES}, {"sweep", 1, NULL, SWEEP}, {"roots", 1, NULL, ROOTS},
		{"rate", 1, NULL, NUMBER}, {"port", 1, NULL, PORT}, {"eal", 1, NULL, EAL},
		{"config", 1, NULL, CONFIG}, {"set", 1, NULL, SET}, {"pin", 0, NULL, 'p'},
		{"no-huge", 0, NULL, 'n'}, {"json", 0, NULL, 'j'}, {"help", 0, NULL, 'h'}, {0}};
	int c, i, rc;
	double v;

	optind = parse_what(o, argc, argv);
	if (optind < 0)
		return usage_error("there is nothing called '%s' to measure", argv[1]);
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", opts, &i)) != -1) {
		rc = 0;
		switch (c) {
		case NUMBER:
			if (!number(optarg, &v) || !set_number(o, opts[i].name, v))
				rc = usage_error("--%s does not take '%s'", opts[i].name, optarg);
			break;
		case STAGES: rc = set_stages(o, optarg); break;
		case SWEEP: o->sweep = optarg; break;
		case PORT: o->port = optarg; break;
		case EAL: o->eal = optarg; break;
		case CONFIG: o->config = optarg; break;
		case SET:
			if (o->set_cnt == SET_MAX)
				rc = usage_error("--set: at most %d of them", SET_MAX);
			else
				o->set[o->set_cnt++] = optarg;
			break;
		case ROOTS: o->roots = optarg; break;
		case 'p': o->pin = true; break;
		case 'n': o->no_huge = true; break;
		case 'j': o->json = true; break;
		case 'h': fputs(help, stdout); return 'h';
		case ':': rc = usage_error("%s wants a value", argv[optind - 1]); break;
		default: rc = usage_error("there is no option '%s'", argv[optind - 1]); break;
		}
		if (rc)
			return rc;
	}
	if (optind < argc)
		return usage_error("'%s' is too much", argv[optind]);
	return check(o);
}

/* ---- running ---- */

static int
run_once(const struct options *o, struct psi_err *err)
{
	static struct result res[ST_CNT];
	uint32_t cnt;
	int rc;

	switch (o->mode) {
	case MODE_LATENCY:
	case MODE_OVERLOAD:
	case MODE_TRIAL: return run_live(o, err);
	case MODE_PORT: return run_port(o, err);
	case MODE_PCAP: return run_pcap(o, err);
	case MODE_RING: return run_ring(o, err);
	case MODE_STAGES: break;
	}
	rc = measure(o, res, &cnt, err);
	if (rc == 0)
		report_rows(o, res, cnt);
	return rc;
}

/* The values of a sweep; *most: the largest number of workers among them. */
struct sweep {
	char name[16];
	double v[64];
	uint32_t cnt;
};

static int
parse_sweep(const struct options *o, struct sweep *s)
{
	static const char *const can[] = {"flows", "burst", "size", "workers", "live", "chains"};
	char text[512], *save = NULL, *v;
	bool known = false;

	snprintf(text, sizeof(text), "%s", o->sweep);
	v = strchr(text, '=');
	if (v)
		*v++ = 0;
	for (size_t i = 0; i < PSI_COUNT(can); i++)
		known = known || strcmp(text, can[i]) == 0;
	if (!v || !known)
		return usage_error(
			"--sweep takes flows, burst, size, workers, live or chains, '=' and values, not '%s'",
			o->sweep);
	snprintf(s->name, sizeof(s->name), "%.15s", text);
	for (char *w = strtok_r(v, ",", &save); w && s->cnt < PSI_COUNT(s->v);
		w = strtok_r(NULL, ",", &save))
		if (!number(w, &s->v[s->cnt++]))
			return usage_error("--sweep: '%s' is no number", w);
	return s->cnt ? 0 : usage_error("--sweep: no values");
}

static int
run(const struct options *o, const struct sweep *s, struct psi_err *err)
{
	int rc = 0;

	machine_print(o);
	if (!s->cnt)
		return run_once(o, err);
	for (uint32_t i = 0; i < s->cnt && rc == 0; i++) {
		struct options one = *o;

		set_number(&one, s->name, s->v[i]);
		rc = check(&one) ? -EINVAL : run_once(&one, err);
	}
	return rc;
}

static int
failed(const struct psi_err *err)
{
	fprintf(stderr, "pinsight-bench: %s\n", err->text);
	return EXIT_TROUBLE;
}

int
main(int argc, char **argv)
{
	static struct options o;
	struct sweep s = {.cnt = 0};
	struct psi_err err = {""};
	uint32_t workers, ring, mb;
	int rc = parse(&o, argc, argv);

	if (rc == 0 && o.sweep)
		rc = parse_sweep(&o, &s);
	if (rc)
		return rc == 'h' ? EXIT_DONE : rc;
	if (o.mode != MODE_STAGES)
		o.warm = PSI_MAX(o.warm, 4 * o.seconds);
	workers = o.mode == MODE_LATENCY || o.mode == MODE_OVERLOAD || o.mode == MODE_TRIAL
			  ? 2
			  : o.workers;
	ring = o.ring;
	for (uint32_t i = 0; i < s.cnt; i++)
		if (strcmp(s.name, "workers") == 0)
			workers = PSI_MAX(workers, (uint32_t)s.v[i]);
	if (o.mode == MODE_PCAP) /* has no use for DPDK */
		return run_pcap(&o, &err) == 0 ? EXIT_DONE : failed(&err);
	/* a buffer is 2.5 KiB all told, and pools come and go */
	mb = o.mode == MODE_PORT ? 192 : 64 + workers * (16384 + 2 * ring) * 3 / 1024;
	if (machine_start(&o, workers, mb, &err) != 0 || run(&o, &s, &err) != 0)
		rc = failed(&err);
	rte_eal_cleanup();
	return rc;
}
