/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight check: what is wrong with a configuration, all of it, without starting anything. */
#include "pinsight.h"

#include "psi_config.h"
#include "psi_export.h"
#include "psi_policy.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_MAX_COLS 100 /* of a line of the file that is shown */

struct check {
	const char *path;
	bool json, print, syntax;
	struct psi_config_override *ov;
	uint32_t ov_cnt, problems;
};

static const char help[] =
	"usage: pinsight check [OPTION...] FILE\n"
	"\n"
	"Says whether a configuration is good, or everything that is wrong with it: which line and column,\n"
	"what was expected, and the nearest key to one that does not exist. Starts nothing and changes\n"
	"nothing. Every key is explained in pinsight.yaml(5) and in the commented config/pinsight.yaml.\n"
	"\n"
	"  --set=KEY=VALUE  check with this key changed, as `pinsight run --set` does; may be given again\n"
	"  --syntax         keys and values only: neither read the files that are named nor compile patterns,\n"
	"                   as for a configuration that is meant for another machine\n"
	"  --print          print the whole configuration, defaults included, as YAML; a comment tells where\n"
	"                   each value came from that is not the default\n"
	"  --json           one JSON object on standard output, for programs: file, good, problems\n"
	"  -h, --help       this text\n"
	"\n"
	"Variables of the environment count as they do when the engine starts: PINSIGHT_RING_SIZE=128MiB is\n"
	"--set ring.size=128MiB. A list is written in brackets: --set 'ports=[{interface: eth0}]'.\n"
	"\n"
	"Exit status: 0 good; 1 something is wrong with it, or it cannot be read; 2 called wrongly.\n"
	"\n"
	"Examples:\n"
	"  pinsight check /etc/pinsight/pinsight.yaml\n"
	"  pinsight check --print --set ring.size=1GiB pinsight.yaml\n";

/* ---- problems ---- */

/* The line of the file, and a mark below the column, as compilers do. Lines that do not print as they are, or not in
 * one row, are left out. */
static void
show_line(const char *path, struct psi_config_at at)
{
	char line[LINE_MAX_COLS + 2], clean[4 * LINE_MAX_COLS + 8];
	struct stat st;
	FILE *f = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "rb") : NULL;
	uint32_t n = 1;
	int c = 0;

	while (f && n < at.line && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f && c != EOF && fgets(line, sizeof(line), f) && at.col <= LINE_MAX_COLS) {
		size_t len = strcspn(line, "\r\n");

		for (size_t i = 0; i < len; i++) /* a tab is one column of libyaml's */
			line[i] = line[i] == '\t' ? ' ' : line[i];
		psi_text_clean(clean, sizeof(clean), LINE_MAX_COLS, line, len);
		if (len < sizeof(line) - 1 && strlen(clean) == len)
			fprintf(stderr, "%6u | %s\n       | %*s\n", at.line, clean, (int)at.col,
				"^");
	}
	if (f)
		fclose(f);
}

static void
put_json(const char *text)
{
	char buf[8192];
	size_t at = 0;

	if (psi_json_str(buf, sizeof(buf), &at, text, strnlen(text, 1024)))
		fwrite(buf, 1, at, stdout);
}

static void
problem_json(struct check *k, const struct psi_config_problem *p)
{
	fputs(k->problems > 1 ? ",\n  {\"origin\":" : "\n  {\"origin\":", stdout);
	put_json(p->origin);
	if (p->at.line)
		printf(",\"line\":%u,\"column\":%u", p->at.line, p->at.col);
	fputs(",\"text\":", stdout);
	put_json(p->text);
	putchar('}');
}

static void
on_problem(void *ctx, const struct psi_config_problem *p)
{
	struct check *k = ctx;
	char text[4096], origin[4096];

	k->problems++;
	if (k->json) {
		problem_json(k, p);
		return;
	}
	psi_text_clean(text, sizeof(text), 1000, p->text, strlen(p->text));
	psi_text_clean(origin, sizeof(origin), 1000, p->origin, strlen(p->origin));
	if (!p->at.line) {
		fprintf(stderr, "%s: %s\n", origin, text);
		return;
	}
	fprintf(stderr, "%s:%u:%u: %s\n", origin, p->at.line, p->at.col, text);
	if (strcmp(p->origin, k->path) == 0)
		show_line(k->path, p->at);
}

/* ---- a good one ---- */

static void
row(const char *name, uint32_t cnt, const char *one, const char *more)
{
	printf("  %-11s %u %s\n", name, cnt, cnt == 1 ? one : more);
}

static void
summary(const struct check *k, const struct psi_config *cfg)
{
	char text[4096];

	printf("%s: good\n", k->path);
	row("changed", psi_config_changed(cfg), "key or list; all else is default",
		"keys and lists; all else is default");
	row("ports", cfg->ports_cnt, "port",
		cfg->ports_cnt ? "ports" : "ports: nothing to watch, name one under \"ports:\"");
	for (uint32_t i = 0; i < cfg->ports_cnt; i++) {
		psi_text_clean(
			text, sizeof(text), 80, cfg->ports[i].name, strlen(cfg->ports[i].name));
		printf("  %-11s   %s\n", "", text);
	}
	row("pins", cfg->pins_cnt, "set", "sets");
	row("rules", cfg->rules_cnt, "rule", "rules");
	row("host_lists", cfg->host_lists_cnt, "list", "lists");
}

/* ---- what only the modules can say of their values: files, certificates, pins, patterns ---- */

/* Their messages begin with where the value came from: "FILE:LINE:COL: ", "--set KEY: ". */
static void
on_policy(void *ctx, bool bad, const char *text)
{
	struct check *k = ctx;
	struct psi_config_problem p = {k->path, {0, 0}, text};
	const char *colon = strstr(text, ": ");
	size_t len = strlen(k->path);
	char origin[256];
	int used = 0;

	if (!bad)
		return;
	if (strncmp(text, k->path, len) == 0 &&
		sscanf(text + len, ":%u:%u: %n", &p.at.line, &p.at.col, &used) == 2 && used) {
		p.text = text + len + used;
	} else if (strncmp(text, k->path, len) == 0 && strncmp(text + len, ": ", 2) == 0) {
		p.text = text + len + 2;
	} else if (colon &&
		   (strncmp(text, "--set ", 6) == 0 || strncmp(text, "environment ", 12) == 0)) {
		snprintf(origin, sizeof(origin), "%.*s", (int)(colon - text), text);
		p.origin = origin;
		p.text = colon + 2;
	}
	on_problem(k, &p);
}

/* Compiles all that the engine would, without its cache, since checking leaves no trace. The last override is free for
 * that: open_overrides has room for the name of the program, too. */
static bool
check_policy(struct check *k, const struct psi_config_source *src)
{
	struct psi_config_source here = *src;
	struct psi_policy_listener listener = {on_policy, k};
	struct psi_err err = {""};
	struct psi_config *cfg;
	struct psi_policy *p;

	k->ov[here.ov_cnt++] = (struct psi_config_override){"rules_cache.path=\"\"", false};
	here.report = NULL;
	cfg = psi_config_load(&here, &err);
	p = cfg ? psi_policy_open(cfg, &listener, &err) : NULL;
	if (!p && !k->problems)
		on_policy(k, true, err.text);
	psi_policy_close(p);
	psi_config_close(cfg);
	return !k->problems;
}

static bool
check(struct check *k)
{
	struct psi_config_source src = {
		.path = k->path, .ov = k->ov, .ov_cnt = k->ov_cnt, .report = on_problem, .ctx = k};
	struct psi_config *cfg;
	bool good;

	if (k->json) {
		fputs("{\"file\":", stdout);
		put_json(k->path);
		fputs(",\"problems\":[", stdout);
	}
	cfg = psi_config_load(&src, NULL);
	good = cfg && (k->syntax || check_policy(k, &src));
	if (k->json)
		printf("%s],\"good\":%s}\n", k->problems ? "\n" : "", good ? "true" : "false");
	else if (good && k->print)
		psi_config_print(cfg, stdout);
	else if (good)
		summary(k, cfg);
	psi_config_close(cfg);
	return good;
}

/* ---- arguments ---- */

extern char **environ;

/* Room for every variable and every argument. */
static bool
open_overrides(struct check *k, int argc)
{
	uint32_t env = psi_config_env(environ, NULL, 0);

	k->ov = calloc(env + (uint32_t)argc, sizeof(*k->ov));
	if (!k->ov)
		return false;
	k->ov_cnt = psi_config_env(environ, k->ov, env);
	return true;
}

static int
parse(struct check *k, int argc, char **argv)
{
	static const struct option options[] = {{"set", required_argument, NULL, 's'},
		{"print", no_argument, NULL, 'p'}, {"syntax", no_argument, NULL, 'y'},
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (o) {
		case 's': k->ov[k->ov_cnt++] = (struct psi_config_override){optarg, false}; break;
		case 'p': k->print = true; break;
		case 'j': k->json = true; break;
		case 'y': k->syntax = true; break;
		case 'h': fputs(help, stdout); return 'h';
		case ':': return usage_error("check", "%s wants a value", argv[optind - 1]);
		default: return option_error("check", argv[optind - 1]);
		}
	}
	if (k->json && k->print)
		return usage_error("check", "--json and --print are two different outputs");
	if (argc - optind != 1)
		return usage_error(
			"check", argc == optind ? "name the file to check" : "name one file");
	k->path = argv[optind];
	return 0;
}

int
cmd_check(int argc, char **argv)
{
	struct check k = {0};
	bool good;
	int rc;

	if (!open_overrides(&k, argc)) {
		fprintf(stderr, "pinsight check: no memory\n");
		return EXIT_TROUBLE;
	}
	rc = parse(&k, argc, argv);
	if (rc) {
		free(k.ov);
		return rc == 'h' ? EXIT_DONE : rc;
	}
	good = check(&k);
	free(k.ov);
	if (fflush(stdout) != 0) {
		fprintf(stderr, "pinsight check: cannot write to standard output: %s\n",
			strerror(errno));
		return EXIT_TROUBLE;
	}
	return good ? EXIT_DONE : EXIT_TROUBLE;
}
