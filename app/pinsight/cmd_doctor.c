/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight doctor: whether this machine is fit for the engine, and how to make it so. */
#include "doctor.h"
#include "pinsight.h"

#include "psi_export.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"usage: pinsight doctor [OPTION...]\n"
	"\n"
	"Looks at this machine the way the engine will: processor and cores, huge pages, memory, IOMMU and\n"
	"vfio, network interfaces, rights. Says what is in the way and the command that mends it, then prints\n"
	"a configuration that works here. Changes nothing. Needs no root, but sees a little more with it.\n"
	"\n"
	"  --config      print only the configuration: pinsight doctor --config > pinsight.yaml\n"
	"  --json        findings as JSON Lines\n"
	"  --base=DIR    look for /proc, /sys, /dev and /etc below DIR, another machine's copied there\n"
	"  -h, --help    this text\n"
	"\n"
	"Exit status: 0 the engine can run; 1 something is in its way; 2 called wrongly.\n";

static const struct {
	const char *mark, *name, *colour;
} levels[] = {
	[DOCTOR_GOOD] = {"ok  ", "good", "\033[32m"},
	[DOCTOR_NOTE] = {"note", "note", "\033[36m"},
	[DOCTOR_SLOW] = {"slow", "slow", "\033[33m"},
	[DOCTOR_BAD] = {"BAD ", "bad", "\033[1;31m"},
};

/* Text behind first, from column col on, broken at spaces before column 100. */
static void
wrapped(const char *text, int col, const char *first)
{
	int left = col + (int)strlen(first), at = left;

	fputs(first, stdout);
	while (*text) {
		size_t n = strcspn(text, " ");

		if (at > left && at + 1 + (int)n > 100)
			at = printf("\n%*s", left, "") - 1;
		else if (at > left)
			at += printf(" ");
		at += printf("%.*s", (int)n, text);
		text += n + (text[n] == ' ');
	}
	putchar('\n');
}

static void
print(const struct doctor_finding *f, unsigned int cnt)
{
	bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");

	for (unsigned int i = 0; i < cnt; i++, f++) {
		printf("%s%s%s  %-8s", colour ? levels[f->level].colour : "", levels[f->level].mark,
			colour ? "\033[0m" : "", f->area);
		wrapped(f->text, 14, "");
		if (f->mend[0]) {
			printf("%14s", "");
			wrapped(f->mend, 14, "mend: ");
		}
	}
}

static void
print_json(const struct doctor_finding *f, unsigned int cnt)
{
	char s[4096];

	for (unsigned int i = 0; i < cnt; i++, f++) {
		const char *value[] = {levels[f->level].name, f->area, f->text, f->mend};
		static const char *const key[] = {"level", "area", "text", "mend"};

		for (int k = 0; k < 4 && (value[k][0] || k < 3); k++) {
			size_t at = 0;

			if (psi_json_str(s, sizeof(s), &at, value[k], strlen(value[k])))
				printf("%s\"%s\":%.*s", k ? "," : "{", key[k], (int)at, s);
		}
		puts("}");
	}
}

int
cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = {{"config", no_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'}, {"base", required_argument, NULL, 'b'},
		{"help", no_argument, NULL, 'h'}, {0}};
	static struct doctor_facts facts;
	static struct doctor_finding finding[DOCTOR_FINDING_MAX];
	bool config = false, json = false;
	const char *base = "";
	unsigned int cnt, bad = 0;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (o) {
		case 'c': config = true; break;
		case 'j': json = true; break;
		case 'b': base = optarg; break;
		case 'h': fputs(help, stdout); return EXIT_DONE;
		case ':': return usage_error("doctor", "%s wants a value", argv[optind - 1]);
		default: return option_error("doctor", argv[optind - 1]);
		}
	}
	if (optind != argc)
		return usage_error("doctor", "'%s' is no option", argv[optind]);
	doctor_facts(&facts, base);
	cnt = doctor_judge(&facts, finding);
	for (unsigned int i = 0; i < cnt; i++)
		bad += finding[i].level == DOCTOR_BAD;
	if (json)
		print_json(finding, cnt);
	else if (!config)
		print(finding, cnt);
	if (!json && !config)
		puts("\nA configuration for this machine (pinsight doctor --config > pinsight.yaml):\n");
	if (!json)
		doctor_config(&facts, stdout);
	if (!json && !config)
		puts("\nThen: pinsight check pinsight.yaml && sudo pinsight run --config pinsight.yaml");
	return bad ? EXIT_TROUBLE : EXIT_DONE;
}
