/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight run: the engine, until a signal ends it. pinsight reload: tells it to read its configuration again. */
#include "engine.h"
#include "pinsight.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define OVERRIDE_MAX 256

extern char **environ;

static const char help[] =
	"usage: pinsight run [--config FILE] [--interface NAME]... [--set KEY=VALUE]...\n"
	"\n"
	"Watches ports until SIGINT or SIGTERM, and writes what it sees into a ring that `pinsight events`,\n"
	"`pinsight stats` and programs of your own read. SIGHUP, or `pinsight reload`, reads the\n"
	"configuration again without losing a packet. Messages go to standard error, and so does the ledger\n"
	"of all packets, flows and records at the end.\n"
	"\n"
	"  --config FILE    the configuration, YAML; every key with its default is in config/pinsight.yaml\n"
	"  --set KEY=VALUE  one key, as section.key; counts more than the file and the environment\n"
	"                   (PINSIGHT_SECTION_KEY=VALUE)\n"
	"  --interface NAME watch this interface of Linux: short for a port in the configuration\n"
	"  -h, --help       this text\n"
	"\n"
	"Exit status: 0 stopped in order, every packet, flow and record accounted for; 1 could not start, or\n"
	"the ledger does not balance; 2 called wrongly.\n"
	"\n"
	"Examples:\n"
	"  sudo pinsight run --interface eth0\n"
	"  pinsight run --config /etc/pinsight/pinsight.yaml --set log.level=debug\n"
	"  pinsight run --set 'ports=[{device: \"net_pcap0,rx_pcap=office.pcap\"}]'\n";

struct options {
	const char *config;
	struct psi_config_override ov[OVERRIDE_MAX];
	uint32_t ov_cnt, ports;
	char interfaces[1024];
};

/* --interface, given once or more, as one override of `ports`. */
static bool
add_interface(struct options *o, const char *name)
{
	size_t n = strlen(o->interfaces);

	if (!name[0] ||
		strspn(name,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@:-") !=
			strlen(name))
		return false;
	if (n) /* takes the place of the bracket that closed it */
		n--;
	n += (size_t)snprintf(o->interfaces + n, sizeof(o->interfaces) - n,
		"%s{interface: \"%s\"}]", n ? ", " : "ports=[", name);
	return n < sizeof(o->interfaces);
}

static int
parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"set", required_argument, NULL, 's'}, {"interface", required_argument, NULL, 'i'},
		{"help", no_argument, NULL, 'h'}, {0}};
	int c;

	o->ov_cnt = psi_config_env(environ, o->ov, OVERRIDE_MAX / 2);
	if (o->ov_cnt > OVERRIDE_MAX / 2)
		return usage_error("run",
			"%u variables PINSIGHT_SECTION_KEY in the environment; at most %u are taken",
			o->ov_cnt, OVERRIDE_MAX / 2);
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (c) {
		case 'c': o->config = optarg; break;
		case 's':
			if (o->ov_cnt >= OVERRIDE_MAX - 1)
				return usage_error("run", "too many --set; put them into a file");
			o->ov[o->ov_cnt++].text = optarg;
			break;
		case 'i':
			if (!add_interface(o, optarg))
				return usage_error(
					"run", "'%s' is not the name of an interface", optarg);
			break;
		case 'h': fputs(help, stdout); return 'h';
		case ':': return usage_error("run", "%s wants a value", argv[optind - 1]);
		default: return option_error("run", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return usage_error("run",
			"'%s' is not an option; an interface is watched with --interface %s",
			argv[optind], argv[optind]);
	if (o->interfaces[0])
		o->ov[o->ov_cnt++].text = o->interfaces;
	return 0;
}

/* At the start, every problem of the file; when it reloads, they go the same way. */
static void
on_problem(void *ctx, const struct psi_config_problem *p)
{
	(void)ctx;
	if (p->at.line)
		log_error("config", "%s:%u:%u: %s", p->origin, p->at.line, p->at.col, p->text);
	else
		log_error("config", "%s: %s", p->origin, p->text);
}

int
cmd_run(int argc, char **argv)
{
	static struct options o;
	static struct engine e;
	struct psi_config *cfg;
	struct psi_err err = {""};
	bool balanced;
	int rc = parse(&o, argc, argv);

	if (rc)
		return rc == 'h' ? EXIT_DONE : rc;
	e.config_path = o.config;
	e.ov = o.ov;
	e.ov_cnt = o.ov_cnt;
	e.on_problem = on_problem;
	cfg = engine_config(&e, &err);
	if (!cfg)
		return EXIT_TROUBLE; /* told, each problem on a line */
	engine_block_signals();	     /* before DPDK makes threads, which inherit it */
	if (engine_open(&e, cfg, &err) != 0) {
		log_error("engine", "does not start: %s", err.text);
		return EXIT_TROUBLE;
	}
	balanced = engine_run(&e);
	engine_close(&e);
	return balanced ? EXIT_DONE : EXIT_TROUBLE;
}

/* ---- pinsight reload ---- */

#define RELOAD_WAIT_S 30

static const char reload_help[] =
	"usage: pinsight reload [--ring FILE]\n"
	"\n"
	"Tells a running engine to read its configuration again, and waits for what becomes of it. No packet\n"
	"is lost and no flow forgotten. A configuration with an error changes nothing; what only a restart\n"
	"can change is named.\n"
	"\n"
	"  --ring FILE  the ring of that engine (default: " RING_PATH ")\n"
	"  -h, --help   this text\n"
	"\n"
	"Exit status: 0 the new configuration is in place; 1 it was refused, or no engine answers; 2 called\n"
	"wrongly.\n";

static int
wait_for_answer(const char *path, const struct psi_ring_engine *before)
{
	struct timespec ts = {.tv_nsec = 20000000};
	struct psi_ring_engine now;
	struct psi_err err = {""};

	for (int i = 0; i < RELOAD_WAIT_S * 50; i++) {
		if (psi_ring_ask(path, &now, &err) != 0 || now.pid != before->pid) {
			fprintf(stderr, "pinsight reload: the engine ended meanwhile\n");
			return EXIT_TROUBLE;
		}
		if (now.reloads != before->reloads) {
			printf("%s\n", now.said);
			return strncmp(now.said, "done", 4) == 0 ? EXIT_DONE : EXIT_TROUBLE;
		}
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	}
	fprintf(stderr, "pinsight reload: the engine (process %d) did not answer for %d s\n",
		now.pid, RELOAD_WAIT_S);
	return EXIT_TROUBLE;
}

int
cmd_reload(int argc, char **argv)
{
	static const struct option options[] = {
		{"ring", required_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *path = RING_PATH;
	struct psi_ring_engine engine;
	struct psi_err err = {""};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (c) {
		case 'r': path = optarg; break;
		case 'h': fputs(reload_help, stdout); return EXIT_DONE;
		case ':': return usage_error("reload", "%s wants a value", argv[optind - 1]);
		default: return option_error("reload", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return usage_error("reload", "'%s' is not an option", argv[optind]);
	if (psi_ring_ask(path, &engine, &err) != 0) {
		fprintf(stderr, "pinsight reload: %s\n", err.text);
		return EXIT_TROUBLE;
	}
	if (kill(engine.pid, SIGHUP) != 0) {
		fprintf(stderr, "pinsight reload: process %d: %s\n", engine.pid, strerror(errno));
		return EXIT_TROUBLE;
	}
	return wait_for_answer(path, &engine);
}
