/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight-gen: synthetic traffic into a capture or through a port. */
#include "pinsight_gen.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <openssl/pem.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_TROUBLE = 1, EXIT_USAGE = 2 };

volatile int stop_asked;

static const char help[] =
	"usage: pinsight-gen KIND -o FILE [OPTION...]\n"
	"       pinsight-gen KIND --port DEVICE --eal='...' [OPTION...]\n"
	"\n"
	"Makes traffic to test and measure with: into a capture (pcap, nanoseconds), or through a DPDK port\n"
	"at a rate. The same options give the same bytes. TLS comes from recorded connections under other\n"
	"addresses, names and randoms; nothing in it can be decrypted. docs/gen.md says more.\n"
	"\n"
	"Kinds:\n"
	"  tcp         small TCP packets over --flows flows\n"
	"  https       TLS connections with requests and answers, about 330 packets each\n"
	"  handshakes  TLS connections that end soon after their handshake\n"
	"  clients     clients behind an intercepting proxy, some of which refuse it; see --labels\n"
	"  syn-flood, udp-flood, frag-flood\n"
	"              SYNs, small datagrams, first fragments without a second\n"
	"\n"
	"Where to:\n"
	"  -o FILE               a capture; - is standard output\n"
	"  --port DEVICE         a DPDK port by name, as 0000:3b:00.0 or net_null0\n"
	"  --eal='WORDS'         DPDK's own options, as '-l 2-3 -a 0000:3b:00.0'\n"
	"  --labels FILE         what each connection is, a JSON object a line, as scripts/lab/score reads it\n"
	"  --ca FILE             PEM of the CA of its servers (clients: of the proxy), for pinsight read --roots\n"
	"\n"
	"How much (numbers may end in k, M or G):\n"
	"  --flows N             flows, or connections in all (1000)\n"
	"  --packets N           end after so many; needed where traffic never ends by itself\n"
	"  --seconds S           --port: end after so long\n"
	"  --live N              connections that are open at once (100; tcp: all)\n"
	"  --flow-packets N      packets of a connection: exact for tcp, 0 without end; the mean for https\n"
	"  --train N             packets of one connection in a row, in the mean (1: the worst for caches)\n"
	"\n"
	"How fast:\n"
	"  --pps N, --gbps N     the rate (100 k packets a second); Gbit/s count everything on the wire\n"
	"  --burst N             so many at once, then the pause that makes up for it\n"
	"  --start SECONDS       time of the first packet in a capture, since 1970\n"
	"\n"
	"What it looks like:\n"
	"  --seed N              other random numbers (1)\n"
	"  --open none|syn|tls   tcp: flows begin in the middle, with SYN, or with a TLS handshake, all of\n"
	"                        them before the first small packet (syn)\n"
	"  --zipf S              tcp without end: popularity of flows, exponent S; 0 is all alike\n"
	"  --size BYTES          tcp and floods: of a frame, FCS included (64)\n"
	"  --tls13 SHARE         https, handshakes: of TLS 1.3 (0.7); the rest is TLS 1.2\n"
	"  --chains N            handshakes: distinct chains of three certificates (1000); signed up to 10 k\n"
	"  --hosts N             https, clients: names (64)\n"
	"  --clients N           clients: addresses (50)\n"
	"  --pinned SHARE        clients: connections of applications that pin their host's key (0.05)\n"
	"  --unknown-ca SHARE    clients: of clients that do not trust the proxy's CA (0.1)\n"
	"  --ipv6 SHARE          TLS: of connections (0)\n"
	"  --mss BYTES           TLS: payload of a segment at most (1460); 1 is the worst\n"
	"  --order in|reversed|shuffled   TLS: the segments of a turn\n"
	"  --fragment BYTES      IPv4: fragments of at most so many bytes\n"
	"  --stamp               tcp, floods: time and number into the last 24 bytes (--size 102 and up)\n"
	"  --no-checksums        leave them 0: faster\n"
	"\n"
	"  -q, --quiet           no word but errors\n"
	"  -h, --help            this text\n"
	"\n"
	"Exit status: 0 done; 1 it could not be done; 2 called wrongly.\n"
	"\n"
	"Examples:\n"
	"  pinsight-gen https --flows 2k -o https.pcap\n"
	"  pinsight-gen clients --flows 5k --labels labels.jsonl -o office.pcap\n"
	"  pinsight-gen tcp --open tls --flows 1M --flow-packets 0 --packets 60M --pps 14.88M --port 0000:3b:00.0 --eal='-l 2-3'\n";

static const char *const kinds[PSI_GEN_KIND_CNT] = {[PSI_GEN_TCP] = "tcp",
	[PSI_GEN_HTTPS] = "https",
	[PSI_GEN_HANDSHAKES] = "handshakes",
	[PSI_GEN_CLIENTS] = "clients",
	[PSI_GEN_SYN_FLOOD] = "syn-flood",
	[PSI_GEN_UDP_FLOOD] = "udp-flood",
	[PSI_GEN_FRAG_FLOOD] = "frag-flood"};

static void
on_signal(int sig)
{
	stop_asked = sig;
}

static int __attribute__((format(printf, 1, 2))) usage_error(const char *fmt, ...)
{
	va_list ap;

	fputs("pinsight-gen: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\nSee: pinsight-gen --help\n", stderr);
	return EXIT_USAGE;
}

void
progress(const struct job *j, uint64_t frames, bool end)
{
	static time_t at;
	time_t now;

	if (j->quiet || !isatty(STDERR_FILENO))
		return;
	now = time(NULL);
	if (!at)
		at = now + 1;
	if (end && now > at)
		fprintf(stderr, "\r\033[K");
	if (end || now <= at)
		return;
	at = now;
	fprintf(stderr, "\r\033[K%.1f million frames", (double)frames / 1e6);
	fflush(stderr);
}

/* ---- arguments ---- */

static bool
number(const char *s, double *v)
{
	static const char suffix[] = "kMG";
	char *end;
	const char *k;

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

/* The index of a word in a list; -1 when it is none of them. */
static int
word(const char *s, const char *const *list, int cnt)
{
	for (int i = 0; i < cnt; i++)
		if (list[i] && strcmp(s, list[i]) == 0)
			return i;
	return -1;
}

enum opt {
	O_FLOWS = 256,
	O_PACKETS,
	O_SECONDS,
	O_LIVE,
	O_FLOW_PACKETS,
	O_TRAIN,
	O_PPS,
	O_GBPS,
	O_BURST,
	O_START,
	O_SEED,
	O_ZIPF,
	O_SIZE,
	O_TLS13,
	O_CHAINS,
	O_HOSTS,
	O_CLIENTS,
	O_PINNED,
	O_UNKNOWN_CA,
	O_IPV6,
	O_MSS,
	O_FRAGMENT,
	O_NUMBERS, /* those before are numbers */
	O_OPEN,
	O_ORDER,
	O_PORT,
	O_EAL,
	O_LABELS,
	O_CA,
	O_STAMP,
	O_NO_CHECKSUMS,
};

static const struct option options[] = {{"flows", 1, NULL, O_FLOWS},
	{"connections", 1, NULL, O_FLOWS}, {"packets", 1, NULL, O_PACKETS},
	{"seconds", 1, NULL, O_SECONDS}, {"live", 1, NULL, O_LIVE},
	{"flow-packets", 1, NULL, O_FLOW_PACKETS}, {"train", 1, NULL, O_TRAIN},
	{"pps", 1, NULL, O_PPS}, {"gbps", 1, NULL, O_GBPS}, {"burst", 1, NULL, O_BURST},
	{"start", 1, NULL, O_START}, {"seed", 1, NULL, O_SEED}, {"zipf", 1, NULL, O_ZIPF},
	{"size", 1, NULL, O_SIZE}, {"tls13", 1, NULL, O_TLS13}, {"chains", 1, NULL, O_CHAINS},
	{"hosts", 1, NULL, O_HOSTS}, {"clients", 1, NULL, O_CLIENTS}, {"pinned", 1, NULL, O_PINNED},
	{"unknown-ca", 1, NULL, O_UNKNOWN_CA}, {"ipv6", 1, NULL, O_IPV6}, {"mss", 1, NULL, O_MSS},
	{"fragment", 1, NULL, O_FRAGMENT}, {"open", 1, NULL, O_OPEN}, {"order", 1, NULL, O_ORDER},
	{"port", 1, NULL, O_PORT}, {"eal", 1, NULL, O_EAL}, {"labels", 1, NULL, O_LABELS},
	{"ca", 1, NULL, O_CA}, {"stamp", 0, NULL, O_STAMP},
	{"no-checksums", 0, NULL, O_NO_CHECKSUMS}, {"output", 1, NULL, 'o'},
	{"quiet", 0, NULL, 'q'}, {"help", 0, NULL, 'h'}, {0}};

static const char *
option_name(int o)
{
	for (const struct option *p = options; p->name; p++)
		if (p->val == o)
			return p->name;
	return "?";
}

/* A whole number for a 32-bit field; false when it is too large or has a fraction. */
static bool
whole(double v, uint32_t *out)
{
	if (v > UINT32_MAX || v != floor(v))
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool
set_number(struct job *j, int o, double v)
{
	struct psi_gen_config *g = &j->gen;

	switch (o) {
	case O_FLOWS: return whole(v, &g->flows);
	case O_LIVE: return whole(v, &g->live);
	case O_FLOW_PACKETS: return whole(v, &g->flow_packets);
	case O_TRAIN: return whole(v, &g->train);
	case O_BURST: return whole(v, &g->burst);
	case O_SIZE: return whole(v, &g->frame);
	case O_CHAINS: return whole(v, &g->chains);
	case O_HOSTS: return whole(v, &g->hosts);
	case O_CLIENTS: return whole(v, &g->clients);
	case O_MSS: return whole(v, &g->mss);
	case O_FRAGMENT: return whole(v, &g->fragment);
	case O_PACKETS: g->packets = (uint64_t)v; return v < 1e18 && v == floor(v);
	case O_SEED: g->seed = (uint64_t)v; return v < 1e15 && v == floor(v);
	case O_START: g->start_ns = (uint64_t)(v * 1e9); return v < 4e9;
	case O_SECONDS: j->seconds = v; return true;
	case O_ZIPF: g->zipf = v; return true;
	case O_TLS13: g->tls13 = v; return true;
	case O_PINNED: g->pinned = v; return true;
	case O_UNKNOWN_CA: g->unknown_ca = v; return true;
	case O_IPV6: g->ipv6 = v; return true;
	case O_PPS:
		g->pps = v;
		g->gbps = 0;
		return true;
	case O_GBPS:
		g->gbps = v;
		g->pps = 0;
		return true;
	default: return false;
	}
}

static int
set(struct job *j, int o, char **argv)
{
	static const char *const opens[] = {"none", "syn", "tls"}, *const orders[] = {"in",
									   "reversed", "shuffled"};
	double v;
	int w;

	if (o < O_NUMBERS && o >= O_FLOWS) {
		if (!number(optarg, &v) || !set_number(j, o, v))
			return usage_error("--%s does not take '%s'", option_name(o), optarg);
		return 0;
	}
	switch (o) {
	case 'o': j->capture = optarg; return 0;
	case 'q': j->quiet = true; return 0;
	case 'h': fputs(help, stdout); return 'h';
	case O_PORT: j->port = optarg; return 0;
	case O_EAL: j->eal = optarg; return 0;
	case O_LABELS: j->labels = optarg; return 0;
	case O_CA: j->ca = optarg; return 0;
	case O_STAMP: j->gen.stamp = true; return 0;
	case O_NO_CHECKSUMS: j->gen.checksums = false; return 0;
	case O_OPEN:
		w = word(optarg, opens, 3);
		if (w < 0)
			return usage_error("--open takes none, syn or tls, not '%s'", optarg);
		j->gen.open = (enum psi_gen_open)w;
		return 0;
	case O_ORDER:
		w = word(optarg, orders, 3);
		if (w < 0)
			return usage_error(
				"--order takes in, reversed or shuffled, not '%s'", optarg);
		j->gen.order = (enum psi_gen_order)w;
		return 0;
	case ':': return usage_error("%s wants a value", argv[optind - 1]);
	default: return usage_error("there is no option '%s'", argv[optind - 1]);
	}
}

static int
parse(struct job *j, int argc, char **argv)
{
	int kind, o, rc;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(help, stdout);
		return 'h';
	}
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("pinsight-gen %s\n", PSI_VERSION);
		return 'h';
	}
	kind = argc > 1 ? word(argv[1], kinds, PSI_GEN_KIND_CNT) : -1;
	if (kind < 0)
		return argc > 1 ? usage_error("there is no kind of traffic called '%s'", argv[1])
				: usage_error("say what kind of traffic");
	psi_gen_defaults(&j->gen, (enum psi_gen_kind)kind);
	opterr = 0;
	optind = 2;
	while ((o = getopt_long(argc, argv, ":o:qh", options, NULL)) != -1) {
		rc = set(j, o, argv);
		if (rc)
			return rc;
	}
	if (optind < argc)
		return usage_error("'%s' is too much; a capture is named with -o", argv[optind]);
	if (!j->capture == !j->port)
		return usage_error("say where to: -o FILE or --port DEVICE");
	return 0;
}

static int
write_ca(const struct job *j, struct psi_err *err)
{
	uint32_t len;
	const uint8_t *p = psi_gen_ca(j->gen.kind, &len);
	X509 *x = d2i_X509(NULL, &p, len);
	FILE *f = fopen(j->ca, "w");
	bool ok = x && f && PEM_write_X509(f, x) == 1;

	if (f && fclose(f) != 0)
		ok = false;
	X509_free(x);
	return ok ? 0 : psi_err_set(err, -EIO, "%s: %s", j->ca, strerror(errno));
}

static int
run(struct job *j, struct psi_err *err)
{
	FILE *labels = NULL;
	struct done d = {0};
	struct psi_gen *g;
	int rc;

	if (j->ca && write_ca(j, err) != 0)
		return -EIO;
	if (j->labels && !(labels = fopen(j->labels, "w")))
		return psi_err_set(err, -errno, "%s: %s", j->labels, strerror(errno));
	if (labels) {
		j->gen.label = label_line;
		j->gen.ctx = labels;
	}
	g = psi_gen_open(&j->gen, err);
	rc = !g ? -EINVAL : j->port ? to_port(j, g, &d, err) : to_capture(j, g, &d, err);
	if (labels && (ferror(labels) | fclose(labels)) && rc == 0)
		rc = psi_err_set(err, -EIO, "%s: could not be written", j->labels);
	if (rc == 0 && !j->quiet && !j->port)
		fprintf(stderr, "%llu frames, %.1f bytes each, %llu connections, %.3f s\n",
			(unsigned long long)d.frames,
			d.frames ? (double)d.bytes / (double)d.frames : 0,
			(unsigned long long)psi_gen_begun(g),
			(double)(d.last_ns - j->gen.start_ns) / 1e9);
	psi_gen_close(g);
	return rc;
}

int
main(int argc, char **argv)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct job j = {0};
	struct psi_err err = {""};
	int rc = parse(&j, argc, argv);

	if (rc)
		return rc == 'h' ? EXIT_DONE : rc;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (run(&j, &err) != 0) {
		fprintf(stderr, "pinsight-gen: %s\n", err.text);
		return EXIT_TROUBLE;
	}
	return EXIT_DONE;
}
