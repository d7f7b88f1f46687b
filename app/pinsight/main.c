/* SPDX-License-Identifier: BSD-3-Clause */
#include "pinsight.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *args, *text;
} commands[] = {
	{"read", cmd_read, "FILE...",
		"read captures, print TLS connections and what became of them"},
	{"check", cmd_check, "FILE", "say whether a configuration is good, and what is wrong"},
	{"run", cmd_run, "", "watch ports: the engine"},
	{"reload", cmd_reload, "", "tell a running engine to read its configuration again"},
	{"rules", cmd_rules, "test", "say which rules and host lists a handshake hits"},
	{"pins", cmd_pins, "WHAT", "bring in, show and try pinsets; list keys that were learnt"},
	{"events", cmd_events, "", "print the events of a running engine as they are made"},
	{"doctor", cmd_doctor, "",
		"tell whether this machine is fit for the engine, and how to make it so"},
	{"top", cmd_top, "", "show a running engine at a glance"},
	{"stats", cmd_stats, "", "print the ledger of a running engine"},
	{"report", cmd_report, "[FILE...]",
		"say what to do about refused connections: pinned hosts, hosts to exempt"},
};
#define COMMAND_CNT (sizeof(commands) / sizeof(commands[0]))

static const char intro[] =
	"pinsight tells which TLS connections were refused by the client, and why: because it pins\n"
	"another certificate, does not trust the CA, or finds the certificate bad. It only watches; it\n"
	"decrypts nothing.\n"
	"\n"
	"usage: pinsight COMMAND [OPTION...] [ARGUMENT...]\n"
	"\n";
static const char outro[] = "\n"
			    "  pinsight COMMAND --help    explains a command\n"
			    "  pinsight --version         prints the version\n"
			    "\n"
			    "Try: pinsight read capture.pcap\n";

static void
help(FILE *to)
{
	fputs(intro, to);
	for (size_t i = 0; i < COMMAND_CNT; i++)
		fprintf(to, "  %-6s %-10s %s\n", commands[i].name, commands[i].args,
			commands[i].text);
	fputs(outro, to);
}

int
usage_error(const char *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "pinsight%s%s: ", command ? " " : "", command ? command : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nSee: pinsight %s%s--help\n", command ? command : "", command ? " " : "");
	return EXIT_USAGE;
}

int
option_error(const char *command, const char *arg)
{
	if (optopt && optopt < 128 && strncmp(arg, "--", 2) != 0)
		return usage_error(command, "there is no option '-%c'", optopt);
	return usage_error(command, "there is no option '%s'", arg);
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		help(stdout);
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("pinsight %s\n", PSI_VERSION);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < COMMAND_CNT; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return usage_error(NULL, "there is no command '%s'", argv[1]);
}
