/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight rules: which of the configured rules and host lists a handshake would hit. */
#include "pinsight.h"

#include "psi_config.h"
#include "psi_export.h"
#include "psi_match.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rules {
	const char *path;
	bool json;
	struct psi_config_override *ov;
	uint32_t ov_cnt;
	/* Values given, of each field; room for as many as there are arguments. */
	struct psi_match_value *value[PSI_RULE_FIELD_CNT];
	uint32_t value_cnt[PSI_RULE_FIELD_CNT];
};

static const char help[] =
	"usage: pinsight rules test --config=FILE [--FIELD=VALUE...]\n"
	"\n"
	"Says which rules and host lists of a configuration a handshake with these values hits, and what\n"
	"is then done with its flow. Compiles every pattern and reads every list, so it also says all that\n"
	"is wrong with them. Starts nothing and changes nothing.\n"
	"\n"
	"  --config=FILE    the configuration\n"
	"  --set=KEY=VALUE  with this key changed, as `pinsight run --set` does; may be given again\n"
	"  --sni=NAME       the host name that the client asked for; host lists are compared with it\n"
	"  --subject=NAME   of the server's certificate, as in events: CN=www.example.org,O=Example,C=US\n"
	"  --issuer=NAME    of the server's certificate\n"
	"  --san=NAME       an alternative name; may be given again, as --alpn may\n"
	"  --alpn=NAME      an application protocol\n"
	"  --ja3=HASH       32 hexadecimal digits\n"
	"  --ja4=TEXT       such as t13d1516h2_8daaf6152771_02713d6af862\n"
	"  --json           one JSON object on standard output: rules, ignore, weight\n"
	"  -h, --help       this text\n"
	"\n"
	"Exit status: 0 asked, whether something was hit or not; 1 the configuration, a pattern or a list is\n"
	"bad; 2 called wrongly.\n"
	"\n"
	"Example:\n"
	"  pinsight rules test --config pinsight.yaml --sni www.example.org --issuer 'CN=Lab Proxy,O=Example'\n";

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	{"set", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'}, {"sni", required_argument, NULL, 256 + PSI_RULE_SNI},
	{"subject", required_argument, NULL, 256 + PSI_RULE_SUBJECT},
	{"issuer", required_argument, NULL, 256 + PSI_RULE_ISSUER},
	{"san", required_argument, NULL, 256 + PSI_RULE_SAN},
	{"alpn", required_argument, NULL, 256 + PSI_RULE_ALPN},
	{"ja3", required_argument, NULL, 256 + PSI_RULE_JA3},
	{"ja4", required_argument, NULL, 256 + PSI_RULE_JA4}, {0}};

/* ---- answering ---- */

static void
on_news(void *ctx, enum psi_match_news kind, const char *text)
{
	*(uint32_t *)ctx += kind == PSI_MATCH_BAD;
	fprintf(stderr, "%s%s\n", kind == PSI_MATCH_NOTE ? "note: " : "", text);
}

static void
row(const char *id, enum psi_rule_action action, double weight, const char *what,
	struct psi_config_at at)
{
	static const char *const name[] = {
		[PSI_RULE_TAG] = "tag", [PSI_RULE_IGNORE] = "ignore", [PSI_RULE_WEIGHT] = "weight"};
	char clean[4 * 128 + 4], text[48];
	unsigned int cols = psi_text_clean(clean, sizeof(clean), 100, id, strlen(id));

	if (action == PSI_RULE_WEIGHT)
		snprintf(text, sizeof(text), "weight %g", weight);
	else
		snprintf(text, sizeof(text), "%s", name[action]);
	printf("%s%*s  %-12s %s in line %u\n", clean, cols < 24 ? (int)(24 - cols) : 0, "", text,
		what, at.line);
}

/* Ids are told apart by the configuration's own check. */
static void
show_id(const struct psi_config *cfg, const char *id)
{
	for (uint32_t i = 0; i < cfg->rules_cnt; i++) {
		const struct psi_config_rule *r = &cfg->rules[i];

		if (strcmp(r->id, id) == 0)
			row(id, r->action, r->weight, "rule", r->at);
	}
	for (uint32_t i = 0; i < cfg->host_lists_cnt; i++) {
		const struct psi_config_host_list *l = &cfg->host_lists[i];

		if (strcmp(l->id, id) == 0)
			row(id, l->action, l->weight, "host list", l->at);
	}
}

static void
show(const struct psi_config *cfg, const struct psi_match_hits *h)
{
	for (uint32_t i = 0; i < h->cnt; i++)
		show_id(cfg, h->id[i]);
	if (h->more)
		printf("and %u more\n", h->more);
	if (!h->cnt)
		printf("no rule and no host list hits\n");
	else if (h->ignore)
		printf("the flow is ignored: no event is written of it, and it counts for no finding\n");
	else
		printf("the flow counts %g as evidence, where any other counts 1\n", h->weight);
}

static void
show_json(const struct psi_match_hits *h)
{
	char buf[1024];

	fputs("{\"rules\":[", stdout);
	for (uint32_t i = 0; i < h->cnt; i++) {
		size_t at = 0;

		if (psi_json_str(buf, sizeof(buf), &at, h->id[i], strlen(h->id[i])))
			printf("%s%.*s", i ? "," : "", (int)at, buf);
	}
	printf("],\"more\":%u,\"ignore\":%s,\"weight\":%g}\n", h->more,
		h->ignore ? "true" : "false", h->weight);
}

static bool
ask(const struct rules *k, const struct psi_config *cfg)
{
	uint32_t bad = 0;
	struct psi_match_config mc = {.file = cfg->path,
		.rule = cfg->rules,
		.rule_cnt = cfg->rules_cnt,
		.list = cfg->host_lists,
		.list_cnt = cfg->host_lists_cnt,
		.cache_dir = cfg->rules_cache.path,
		.cache_keep = true,
		.tell = on_news,
		.ctx = &bad};
	struct psi_err err = {""};
	struct psi_match *m = psi_match_open(&mc, &err);
	struct psi_match_input in;
	struct psi_match_hits hits;

	if (!m) {
		if (!bad)
			fprintf(stderr, "pinsight rules: %s\n", err.text);
		return false;
	}
	for (uint32_t f = 0; f < PSI_RULE_FIELD_CNT; f++)
		in.field[f] = (struct psi_match_values){k->value[f], k->value_cnt[f]};
	psi_match_flow(m, &in, &hits);
	if (k->json)
		show_json(&hits);
	else
		show(cfg, &hits);
	psi_match_close(m);
	return true;
}

static void
on_problem(void *ctx, const struct psi_config_problem *p)
{
	char text[4096];

	psi_text_clean(text, sizeof(text), 1000, p->text, strlen(p->text));
	fprintf(stderr, "%s:%u:%u: %s\n", p->origin, p->at.line, p->at.col, text);
}

static bool
test(const struct rules *k)
{
	struct psi_config_source src = {
		.path = k->path, .ov = k->ov, .ov_cnt = k->ov_cnt, .report = on_problem};
	struct psi_config *cfg = psi_config_load(&src, NULL);
	bool good = cfg && ask(k, cfg);

	psi_config_close(cfg);
	return good;
}

/* ---- arguments ---- */

extern char **environ;

static bool
open_room(struct rules *k, int argc)
{
	uint32_t env = psi_config_env(environ, NULL, 0);

	for (uint32_t f = 0; f < PSI_RULE_FIELD_CNT; f++)
		if (!(k->value[f] = calloc((size_t)argc + 1, sizeof(*k->value[f]))))
			return false;
	k->ov = calloc(env + (uint32_t)argc + 1, sizeof(*k->ov));
	if (!k->ov)
		return false;
	k->ov_cnt = psi_config_env(environ, k->ov, env);
	return true;
}

static void
close_room(struct rules *k)
{
	for (uint32_t f = 0; f < PSI_RULE_FIELD_CNT; f++)
		free(k->value[f]);
	free(k->ov);
}

static int
parse(struct rules *k, int argc, char **argv)
{
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (o >= 256) {
			uint32_t *cnt = &k->value_cnt[o - 256];

			k->value[o - 256][(*cnt)++] = (struct psi_match_value){
				(const uint8_t *)optarg, (uint32_t)strlen(optarg)};
			continue;
		}
		switch (o) {
		case 'c': k->path = optarg; break;
		case 's': k->ov[k->ov_cnt++] = (struct psi_config_override){optarg, false}; break;
		case 'j': k->json = true; break;
		case 'h': fputs(help, stdout); return 'h';
		case ':': return usage_error("rules", "%s wants a value", argv[optind - 1]);
		default: return option_error("rules", argv[optind - 1]);
		}
	}
	if (argc - optind != 1 || strcmp(argv[optind], "test") != 0)
		return usage_error("rules", "expected one word, \"test\"");
	if (!k->path)
		return usage_error("rules", "--config=FILE names the configuration to test");
	return 0;
}

int
cmd_rules(int argc, char **argv)
{
	struct rules k = {0};
	int rc = EXIT_TROUBLE;

	if (!open_room(&k, argc)) {
		fprintf(stderr, "pinsight rules: no memory\n");
	} else {
		rc = parse(&k, argc, argv);
		if (rc == 0)
			rc = test(&k) ? EXIT_DONE : EXIT_TROUBLE;
		else if (rc == 'h')
			rc = EXIT_DONE;
	}
	close_room(&k);
	if (fflush(stdout) != 0) {
		fprintf(stderr, "pinsight rules: cannot write to standard output: %s\n",
			strerror(errno));
		return EXIT_TROUBLE;
	}
	return rc;
}
