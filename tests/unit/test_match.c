/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules: what is found against Python's re (match_table.def); fields together, actions, bounds, complaints, the cache. */
#include "psi_unit.h"

#include "match_pvt.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "match_table.def"

#define PATTERNS PSI_COUNT(table_pattern)
#define VALUES	 PSI_COUNT(table_value)

static char folder[] = "/tmp/test_match.XXXXXX";

static int
set_up(void)
{
	return mkdtemp(folder) ? 0 : 1;
}

static int
tear_down(void)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	return rmdir(folder);
}

/* What was told. */
static struct {
	uint32_t bad, notes;
	char text[8192]; /* lines */
} told;

static void
listen(void *ctx, enum psi_match_news kind, const char *text)
{
	size_t at = strlen(told.text);

	told.bad += kind == PSI_MATCH_BAD;
	told.notes += kind == PSI_MATCH_NOTE;
	snprintf(told.text + at, sizeof(told.text) - at, "%s\n", text);
}

static struct psi_match *
try_open(const struct psi_config_rule *r, uint32_t cnt, const char *cache, struct psi_err *err)
{
	struct psi_match_config cfg = {
		.file = "p.yaml", .rule = r, .rule_cnt = cnt, .cache_dir = cache, .tell = listen};

	memset(&told, 0, sizeof(told));
	return psi_match_open(&cfg, err);
}

static struct psi_match *
open_rules(const struct psi_config_rule *r, uint32_t cnt)
{
	struct psi_err err = {""};
	struct psi_match *m = try_open(r, cnt, NULL, &err);

	CU_ASSERT_STRING_EQUAL(err.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	return m;
}

/* One value of one field, from an exact copy. */
static struct psi_match_hits
ask(struct psi_match *m, enum psi_rule_field field, const void *p, uint32_t len)
{
	uint8_t *copy = exact(p, len);
	struct psi_match_value v = {copy, len};
	struct psi_match_input in = {0};
	struct psi_match_hits out;

	in.field[field] = (struct psi_match_values){&v, 1};
	psi_match_flow(m, &in, &out);
	free(copy);
	return out;
}

static bool
hit_by(const struct psi_match_hits *h, const char *id)
{
	for (uint32_t i = 0; i < h->cnt; i++)
		if (strcmp(h->id[i], id) == 0)
			return true;
	return false;
}

static bool
found(uint32_t value, uint32_t pattern)
{
	return table_value[value].found[pattern / 32] >> pattern % 32 & 1;
}

static char id_text[2 * PATTERNS][12];

static const char *
id_of(uint32_t i)
{
	snprintf(id_text[i], sizeof(id_text[i]), "r%u", i);
	return id_text[i];
}

/* 24 at a time, so that no hit is beyond PSI_MATCH_HITS_MAX. */
static void
test_found(void)
{
	uint32_t differ = 0, hits = 0;

	for (uint32_t from = 0; from < PATTERNS; from += 24) {
		uint32_t cnt = PSI_MIN((uint32_t)PATTERNS - from, 24u);
		struct psi_config_rule r[24] = {{{0}}};
		struct psi_match *m;

		for (uint32_t i = 0; i < cnt; i++)
			r[i] = (struct psi_config_rule){
				.id = id_of(from + i), .issuer = {.text = table_pattern[from + i]}};
		m = open_rules(r, cnt);
		for (uint32_t v = 0; v < VALUES; v++) {
			struct psi_match_hits again,
				h = ask(m, PSI_RULE_ISSUER, table_value[v].p, table_value[v].len);

			CU_ASSERT_EQUAL(h.more, 0);
			hits += h.cnt;
			for (uint32_t i = 0; i < cnt; i++)
				differ += hit_by(&h, r[i].id) != found(v, from + i);
			again = ask(m, PSI_RULE_ISSUER, table_value[v].p, table_value[v].len);
			differ += again.cnt != h.cnt;
			for (uint32_t i = 0; i < h.cnt; i++)
				differ += again.id[i] != h.id[i];
		}
		psi_match_close(m);
	}
	CU_ASSERT_EQUAL(differ, 0);
	CU_ASSERT(hits > 600); /* the table has 634 */
}

/* The second time the answer is remembered, and is the same; so it is after other values took the place of the first. */
static void
test_remembered(void)
{
	struct psi_config_rule r[20] = {{{0}}};
	struct psi_match_count c;
	struct psi_match_hits h;
	uint8_t big[MEMO_VALUE_MAX + 1];
	struct psi_match *m;

	for (uint32_t i = 0; i < PSI_COUNT(r); i++)
		r[i] = (struct psi_config_rule){.id = id_of(i),
			.ja3 = {.text = i < MEMO_IDS ? "a" : "b"},
			.action = i == 3 ? PSI_RULE_IGNORE : PSI_RULE_TAG};
	r[2].alpn.text = "x";
	m = open_rules(r, PSI_COUNT(r));
	for (uint32_t i = 0; i < 2; i++) {
		h = ask(m, PSI_RULE_JA3, "a", 1);
		CU_ASSERT(h.cnt == MEMO_IDS - 1 && h.ignore && !hit_by(&h, "r2"));
	}
	psi_match_count(m, &c);
	CU_ASSERT(c.scans == 1 && c.remembered == 1);
	for (uint32_t i = 0; i < 2; i++) { /* one pattern more than a line has room for */
		h = ask(m, PSI_RULE_JA3, "ab", 2);
		CU_ASSERT(h.cnt == PSI_COUNT(r) - 1);
	}
	memset(big, 'a', sizeof(big));
	for (uint32_t i = 0; i < 2; i++) /* too long to be remembered */
		ask(m, PSI_RULE_JA3, big, sizeof(big));
	psi_match_count(m, &c);
	CU_ASSERT(c.scans == 5 && c.remembered == 1);
	for (uint32_t i = 0; i < 4 * MEMO_LINES; i++) {
		char text[16];
		bool a = i % 3 == 0;

		h = ask(m, PSI_RULE_JA3, text,
			(uint32_t)snprintf(text, sizeof(text), "%u%s", i, a ? "a" : ""));
		CU_ASSERT_FATAL(h.cnt == (a ? MEMO_IDS - 1 : 0));
	}
	h = ask(m, PSI_RULE_JA3, "a", 1);
	CU_ASSERT_EQUAL(h.cnt, MEMO_IDS - 1);
	psi_match_close(m);
}

/* Two and three fields: expected by the table, one look for each field. */
static void
test_and(void)
{
	struct psi_config_rule r[30] = {{{0}}};
	uint32_t differ = 0, both = 0, one = 0;
	struct psi_match *m;

	for (uint32_t i = 0; i < 30; i++) {
		r[i] = (struct psi_config_rule){.id = id_of(i),
			.issuer = {.text = table_pattern[i]},
			.subject = {.text = table_pattern[(i * 7 + 3) % PATTERNS]}};
		if (i % 3 == 0)
			r[i].ja4.text = table_pattern[(i * 5 + 1) % PATTERNS];
	}
	m = open_rules(r, 30);
	for (uint32_t n = 0; n < 4000; n++) {
		uint32_t a = n % VALUES, b = n * 31 / 7 % VALUES, c = n * 17 / 3 % VALUES;
		struct psi_match_value v[3] = {
			{(const uint8_t *)table_value[a].p, table_value[a].len},
			{(const uint8_t *)table_value[b].p, table_value[b].len},
			{(const uint8_t *)table_value[c].p, table_value[c].len}};
		struct psi_match_input in = {.field[PSI_RULE_ISSUER] = {&v[0], 1},
			.field[PSI_RULE_SUBJECT] = {&v[1], 1},
			.field[PSI_RULE_JA4] = {&v[2], 1}};
		struct psi_match_hits h;

		psi_match_flow(m, &in, &h);
		for (uint32_t i = 0; i < 30; i++) {
			bool x = found(a, i), y = found(b, (i * 7 + 3) % PATTERNS);
			bool z = i % 3 || found(c, (i * 5 + 1) % PATTERNS);

			differ += hit_by(&h, r[i].id) != (x && y && z);
			both += x && y && z;
			one += x != y;
		}
	}
	CU_ASSERT_EQUAL(differ, 0);
	CU_ASSERT(both > 50 && one > 500);
	psi_match_close(m);
}

/* A field that is absent cannot have what a rule asks for, and what one flow had does not count for the next. */
static void
test_and_flows(void)
{
	struct psi_config_rule r[] = {
		{.id = "both", .sni = {.text = "a"}, .ja3 = {.text = "b"}},
		{.id = "ja3", .ja3 = {.text = "b"}},
	};
	struct psi_match *m = open_rules(r, 2);
	struct psi_match_hits h;

	h = ask(m, PSI_RULE_SNI, "a", 1);
	CU_ASSERT_EQUAL(h.cnt, 0);
	h = ask(m, PSI_RULE_JA3, "b", 1);
	CU_ASSERT(h.cnt == 1 && hit_by(&h, "ja3"));
	h = ask(m, PSI_RULE_SNI, "a", 1);
	CU_ASSERT_EQUAL(h.cnt, 0);
	m->flow = UINT32_MAX; /* the number begins anew: nothing may be left of flow 1 */
	m->state[0] = (struct state){.flow = 1, .need = m->state[0].need, .got = 1 << PSI_RULE_SNI};
	h = ask(m, PSI_RULE_JA3, "b", 1);
	CU_ASSERT(m->flow == 1 && h.cnt == 1 && hit_by(&h, "ja3"));
	psi_match_close(m);
}

/* Several values: one of them is enough. Case and final dot of DNS names do not matter, of other fields they do. */
static void
test_values(void)
{
	struct psi_config_rule r[] = {
		{.id = "san", .san = {.text = "^b\\.example$"}},
		{.id = "sni", .sni = {.text = "\\.Example$"}},
		{.id = "issuer", .issuer = {.text = "Example$"}},
	};
	struct psi_match *m = open_rules(r, 3);
	static const uint8_t *const none = (const uint8_t *)"";
	struct psi_match_value san[] = {{(const uint8_t *)"a.example", 9}, {none, 0}, {NULL, 0},
		{(const uint8_t *)"B.EXAMPLE.", 10}, {(const uint8_t *)"b.example", 9}};
	struct psi_match_value sni = {(const uint8_t *)"www.eXample.", 12};
	struct psi_match_value issuer = {(const uint8_t *)"O=Example.", 10};
	struct psi_match_input in = {.field[PSI_RULE_SAN] = {san, 5},
		.field[PSI_RULE_SNI] = {&sni, 1},
		.field[PSI_RULE_ISSUER] = {&issuer, 1}};
	struct psi_match_hits h;

	psi_match_flow(m, &in, &h);
	CU_ASSERT(h.cnt == 2 && hit_by(&h, "san") && hit_by(&h, "sni"));
	h = ask(m, PSI_RULE_ISSUER, "O=Example", 9);
	CU_ASSERT(h.cnt == 1 && hit_by(&h, "issuer"));
	h = ask(m, PSI_RULE_ISSUER, "O=example", 9);
	CU_ASSERT_EQUAL(h.cnt, 0);
	h = ask(m, PSI_RULE_SNI, ".", 1);
	CU_ASSERT_EQUAL(h.cnt, 0);
	psi_match_close(m);
}

static void
test_bounds(void)
{
	static uint8_t big[PSI_MATCH_VALUE_MAX + 1];
	static struct psi_match_value many[PSI_MATCH_VALUES_MAX + 1];
	struct psi_config_rule r[] = {{.id = "x", .subject = {.text = "x$"}}};
	struct psi_match *m = open_rules(r, 1);
	struct psi_match_input in = {.field[PSI_RULE_SUBJECT] = {many, PSI_COUNT(many)}};
	struct psi_match_count c;
	struct psi_match_hits h;

	memset(big, 'x', sizeof(big));
	h = ask(m, PSI_RULE_SUBJECT, big, PSI_MATCH_VALUE_MAX);
	CU_ASSERT_EQUAL(h.cnt, 1);
	h = ask(m, PSI_RULE_SUBJECT, big, PSI_MATCH_VALUE_MAX + 1);
	CU_ASSERT_EQUAL(h.cnt, 0);
	psi_match_count(m, &c);
	CU_ASSERT_EQUAL(c.values_skipped, 1);
	for (uint32_t i = 0; i < PSI_COUNT(many); i++)
		many[i] = (struct psi_match_value){(const uint8_t *)"y", 1};
	many[PSI_MATCH_VALUES_MAX].p = big;
	psi_match_flow(m, &in, &h);
	CU_ASSERT_EQUAL(h.cnt, 0);
	many[PSI_MATCH_VALUES_MAX - 1].p = big;
	psi_match_flow(m, &in, &h);
	CU_ASSERT_EQUAL(h.cnt, 1);
	psi_match_count(m, &c);
	CU_ASSERT(c.values_skipped == 3 && c.flows == 4 && c.hits == 2);
	psi_match_close(m);
}

/* u: characters are of several bytes, and what is not UTF-8 is not shown to it. */
static void
test_utf8(void)
{
	struct psi_config_rule r[] = {
		{.id = "u", .subject = {.text = "/^CN=\\w{3}$/u"}},
		{.id = "ui", .subject = {.text = "/\xc3\x89/iu"}}, /* É */
		{.id = "bytes", .subject = {.text = "CN="}},
	};
	/* RFC 3629: too long, surrogate, beyond U+10FFFF, cut, lone continuation */
	static const char *const bad[] = {"CN=\xc0\xaf", "CN=\xe0\x80\xaf", "CN=\xed\xa0\x80",
		"CN=\xf4\x90\x80\x80", "CN=\xf0\x80\x80\xaf", "CN=\xe9", "CN=\xe2\x82", "CN=\x80",
		"CN=\xff"};
	struct psi_match *m = open_rules(r, 3);
	struct psi_match_count c;
	struct psi_match_hits h;

	h = ask(m, PSI_RULE_SUBJECT, "CN=\xc3\xa9t\xc3\xa9", 8); /* été */
	CU_ASSERT(h.cnt == 3 && hit_by(&h, "u") && hit_by(&h, "ui"));
	h = ask(m, PSI_RULE_SUBJECT, "CN=abcd", 7);
	CU_ASSERT(h.cnt == 1 && hit_by(&h, "bytes"));
	h = ask(m, PSI_RULE_SUBJECT, "CN=\xef\xbf\xbf\xf4\x8f\xbf\xbf\xed\x9f\xbf", 13);
	CU_ASSERT_EQUAL(h.cnt, 1);
	psi_match_count(m, &c);
	CU_ASSERT_EQUAL(c.not_utf8, 0);
	for (uint32_t i = 0; i < PSI_COUNT(bad); i++) {
		h = ask(m, PSI_RULE_SUBJECT, bad[i], (uint32_t)strlen(bad[i]));
		CU_ASSERT(h.cnt == 1 && hit_by(&h, "bytes"));
	}
	psi_match_count(m, &c);
	CU_ASSERT_EQUAL(c.not_utf8, PSI_COUNT(bad));
	psi_match_close(m);
}

static void
test_actions(void)
{
	struct psi_config_rule r[] = {
		{.id = "half", .sni = {.text = "h"}, .action = PSI_RULE_WEIGHT, .weight = 0.5},
		{.id = "tag", .sni = {.text = "t"}, .action = PSI_RULE_TAG, .weight = 7},
		{.id = "quarter", .sni = {.text = "q"}, .action = PSI_RULE_WEIGHT, .weight = 0.25},
		{.id = "ignore", .sni = {.text = "i"}, .action = PSI_RULE_IGNORE, .weight = 7},
		{.id = "six", .sni = {.text = "s"}, .action = PSI_RULE_WEIGHT, .weight = 6},
		{.id = "nine", .sni = {.text = "n"}, .action = PSI_RULE_WEIGHT, .weight = 9},
	};
	struct psi_match *m = open_rules(r, 6);
	struct psi_match_hits h;

	h = ask(m, PSI_RULE_SNI, "x", 1);
	CU_ASSERT(h.cnt == 0 && h.weight == 1 && !h.ignore);
	h = ask(m, PSI_RULE_SNI, "tqh", 3);
	CU_ASSERT(h.cnt == 3 && h.weight == 0.125 && !h.ignore);
	CU_ASSERT_STRING_EQUAL(h.id[0], "half"); /* the order of the file, not of the value */
	CU_ASSERT_STRING_EQUAL(h.id[1], "tag");
	CU_ASSERT_STRING_EQUAL(h.id[2], "quarter");
	h = ask(m, PSI_RULE_SNI, "ih", 2);
	CU_ASSERT(h.weight == 0.5 && h.ignore);
	h = ask(m, PSI_RULE_SNI, "sn", 2);
	CU_ASSERT_EQUAL(h.weight, PSI_MATCH_WEIGHT_MAX);
	psi_match_close(m);
}

/* More hits than are told: the first of the file are; all count. */
static void
test_many_hits(void)
{
	struct psi_config_rule r[PSI_MATCH_HITS_MAX + 8] = {{{0}}};
	char text[PSI_COUNT(r)][8];
	struct psi_match *m;
	struct psi_match_hits h;

	/* pattern i is found before pattern i - 1 */
	for (uint32_t i = 0; i < PSI_COUNT(r); i++) {
		snprintf(text[i], sizeof(text[i]), "%c", 'a' + (int)(PSI_COUNT(r) - 1 - i) / 2);
		r[i] = (struct psi_config_rule){.id = id_of(i), .ja4 = {.text = text[i]}};
	}
	r[PSI_COUNT(r) - 1].action = PSI_RULE_IGNORE;
	m = open_rules(r, PSI_COUNT(r));
	h = ask(m, PSI_RULE_JA4, "abcdefghijklmnopqrstuvwxyz", 26);
	CU_ASSERT(h.cnt == PSI_MATCH_HITS_MAX && h.more == 8 && h.ignore);
	for (uint32_t i = 0; i < h.cnt; i++)
		CU_ASSERT_STRING_EQUAL(h.id[i], r[i].id);
	psi_match_close(m);
}

/* Every one is told, with its place and Hyperscan's words (5.4: the texts are its own). */
static void
test_complaints(void)
{
	struct psi_config_rule r[] = {
		{.id = "ok", .at = {1, 1}, .sni = {"fine", {1, 9}}},
		{.id = "paren", .at = {2, 1}, .sni = {"/(/", {2, 9}}},
		{.id = "empty", .at = {3, 1}, .sni = {"a*", {3, 9}}},
		{.id = "back", .at = {4, 1}, .issuer = {"(a)\\1", {4, 9}}},
		{.id = "flag", .at = {5, 1}, .issuer = {"/a/k", {5, 9}}},
		{.id = "slash", .at = {6, 1}, .alpn = {"/a", {6, 9}}},
		{.id = "verb", .at = {7, 1}, .subject = {"(*UTF8)x", {7, 9}}},
		{.id = "nothing", .at = {8, 1}},
		{.id = "utf8", .at = {9, 1}, .subject = {"/\xff/u", {9, 9}}},
		{.id = "void", .at = {10, 1}, .subject = {"//i", {10, 9}}},
		{.id = "big", .at = {11, 1}, .san = {"x{40000}", {11, 9}}},
		{.id = "line", .at = {12, 1}, .ja4 = {"(\n\x1b", {12, 9}}},
	};
	static const char *const says[] = {
		"p.yaml:2:9: rule paren: sni: /(/: Hyperscan: Missing close parenthesis for group started at index 0.\n",
		"p.yaml:3:9: rule empty: sni: a*: Hyperscan: Pattern matches empty buffer",
		"p.yaml:4:9: rule back: issuer: (a)\\1: Hyperscan: Back-references are unsupported.\n",
		"p.yaml:5:9: rule flag: issuer: /a/k: unknown flag",
		"p.yaml:6:9: rule slash: alpn: /a: begins with / but has no closing /",
		"p.yaml:7:9: rule verb: subject: (*UTF8)x: (*...) at the beginning",
		"p.yaml:8:1: rule nothing: no pattern",
		"p.yaml:9:9: rule utf8: subject: /\xff/u: Hyperscan: Expression is not valid UTF-8.\n",
		"p.yaml:10:9: rule void: subject: //i: an empty pattern",
		"p.yaml:11:9: rule big: san: x{40000}: Hyperscan: Bounded repeat is too large.\n",
		"p.yaml:12:9: rule line: ja4: (??: Hyperscan: Missing close",
	};
	struct psi_err err = {""};

	CU_ASSERT_PTR_NULL(try_open(r, PSI_COUNT(r), folder, &err));
	for (uint32_t i = 0; i < PSI_COUNT(says); i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(told.text, says[i]));
	CU_ASSERT_EQUAL(told.bad, PSI_COUNT(says));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "(and 10 more)"));
	CU_ASSERT_PTR_NULL(strstr(told.text, "rule ok"));
}

/* Of a long pattern a message has whole characters. */
static void
test_shown(void)
{
	char text[SHOWN_MAX + 3];

	memset(text, 'a', sizeof(text));
	text[SHOWN_MAX] = 0;
	CU_ASSERT_EQUAL(shown(text), SHOWN_MAX);
	memcpy(text + SHOWN_MAX - 1, "\xc3\xa9", 3);
	CU_ASSERT_EQUAL(shown(text), SHOWN_MAX - 1);
	memset(text, 0x80, SHOWN_MAX + 2);
	CU_ASSERT_EQUAL(shown(text), 0);
}

static void
test_complaints_bounded(void)
{
	struct psi_config_rule *r = calloc(PSI_MATCH_COMPLAINTS_MAX + 20, sizeof(*r));
	struct psi_err err = {""};

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	for (uint32_t i = 0; i < PSI_MATCH_COMPLAINTS_MAX + 20; i++)
		r[i] = (struct psi_config_rule){.id = "x", .sni = {.text = "("}};
	CU_ASSERT_PTR_NULL(try_open(r, PSI_MATCH_COMPLAINTS_MAX + 20, NULL, &err));
	CU_ASSERT_EQUAL(told.bad, PSI_MATCH_COMPLAINTS_MAX);
	CU_ASSERT_PTR_NULL(try_open(r, PSI_MATCH_RULES_MAX + 1, NULL, &err));
	free(r);
}

static void
test_none(void)
{
	struct psi_match *m = open_rules(NULL, 0);
	struct psi_match_hits h = ask(m, PSI_RULE_SNI, "a.example", 9);

	CU_ASSERT(h.cnt == 0 && h.weight == 1 && !h.ignore);
	psi_match_close(m);
	psi_match_close(NULL);
}

/* ---- the cache ---- */

static const struct psi_config_rule cached_rules[] = {
	{.id = "a", .sni = {.text = "a"}, .subject = {.text = "/b/u"}},
	{.id = "b", .sni = {.text = "^c+$"}},
};

static uint32_t
sets_cached(const struct psi_config_rule *r, uint32_t cnt)
{
	struct psi_err err = {""};
	struct psi_match *m = try_open(r, cnt, folder, &err);
	struct psi_match_count c;
	struct psi_match_hits h;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	psi_match_count(m, &c);
	h = ask(m, PSI_RULE_SNI, "ccc", 3);
	CU_ASSERT_EQUAL(hit_by(&h, "b"), cnt == 2);
	psi_match_close(m);
	return c.sets_cached;
}

static void
sni_file(char *path, size_t size)
{
	snprintf(path, size, "%s/rules-sni.hsdb", folder);
}

static void
test_cache(void)
{
	struct psi_config_rule other[2];

	CU_ASSERT(sets_cached(cached_rules, 2) == 0 && told.notes == 0);
	CU_ASSERT(sets_cached(cached_rules, 2) == 2 && told.notes == 0);
	memcpy(other, cached_rules, sizeof(other));
	other[1].sni.text = "/^c+$/s"; /* only a flag differs */
	CU_ASSERT(sets_cached(other, 2) == 1 && told.notes == 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(told.text, "made from other patterns"));
	CU_ASSERT(sets_cached(other, 2) == 2 && told.notes == 0);
	CU_ASSERT(sets_cached(cached_rules, 1) ==
		  1); /* fewer patterns; the ones over subject are the same */
	CU_ASSERT(sets_cached(cached_rules, 2) == 1 && sets_cached(cached_rules, 2) == 2);
}

/* Whatever happened to the file: told, compiled anew, whole the next time. */
static void
expect_replaced(const char *why)
{
	CU_ASSERT_EQUAL(sets_cached(cached_rules, 2), 1);
	CU_ASSERT_EQUAL(told.notes, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(told.text, why));
	if (!strstr(told.text, why))
		puts(told.text);
	CU_ASSERT_EQUAL(sets_cached(cached_rules, 2), 2);
}

static void
flip(const char *path, long at)
{
	FILE *f = fopen(path, "r+b");
	int c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fseek(f, at, SEEK_SET);
	c = fgetc(f);
	fseek(f, at, SEEK_SET);
	fputc(c ^ 0x40, f);
	fclose(f);
}

static void
test_cache_damaged(void)
{
	char path[64], away[64];
	struct stat st;

	sni_file(path, sizeof(path));
	snprintf(away, sizeof(away), "%s/away", folder);
	sets_cached(cached_rules, 2);
	CU_ASSERT(sets_cached(cached_rules, 2) == 2 && stat(path, &st) == 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	flip(path, 0);
	expect_replaced("not a cache");
	flip(path, offsetof(struct cache_header, version));
	expect_replaced("another version");
	flip(path, offsetof(struct cache_header, key));
	expect_replaced("header is damaged");
	flip(path, sizeof(struct cache_header) + 100);
	expect_replaced("it is damaged");
	flip(path, st.st_size - 1);
	expect_replaced("it is damaged");
	CU_ASSERT_EQUAL(truncate(path, st.st_size - 1), 0);
	expect_replaced("length is not");
	CU_ASSERT_EQUAL(truncate(path, st.st_size + 1), 0);
	expect_replaced("length is not");
	CU_ASSERT_EQUAL(truncate(path, 10), 0);
	expect_replaced("shorter than its header");
	CU_ASSERT_EQUAL(truncate(path, 0), 0);
	expect_replaced("shorter than its header");
	CU_ASSERT_EQUAL(chmod(path, 0620), 0);
	expect_replaced("others may write");
	if (geteuid() == 0) { /* only root can give a file away */
		CU_ASSERT_EQUAL(chown(path, 65534, 65534), 0);
		expect_replaced("owner is another user");
	}
	CU_ASSERT_EQUAL(rename(path, away), 0);
	CU_ASSERT_EQUAL(symlink(away, path), 0); /* a good file, but behind a link */
	expect_replaced("symbolic links");
	CU_ASSERT(unlink(path) == 0 && mkfifo(path, 0600) == 0);
	expect_replaced("not a file");
}

/* cache_judge on every cut of a good file, from exact copies. */
static void
test_cache_cut(void)
{
	struct source s = {.cnt = 1,
		.text = (char *[]){(char[]){"a"}},
		.flags = (uint32_t[]){0},
		.id = (uint32_t[]){0}};
	uint8_t file[sizeof(struct cache_header) + 40];
	struct cache_header h = {
		.magic = "PSIHSDB", .version = 1, .header_len = sizeof(h), .len = 40};
	uint64_t key[2], other[2];
	uint8_t *copy;

	h.magic[7] = '\n';
	cache_key(&s, key);
	memset(file, 7, sizeof(file));
	memcpy(h.key, key, sizeof(key));
	h.sum[0] = XXH3_128bits(file + sizeof(h), 40).high64;
	h.sum[1] = XXH3_128bits(file + sizeof(h), 40).low64;
	h.header_sum = XXH3_64bits(&h, offsetof(struct cache_header, header_sum));
	memcpy(file, &h, sizeof(h));
	CU_ASSERT_PTR_NULL(cache_judge(file, sizeof(file), key));
	for (size_t len = 0; len < sizeof(file); len++) {
		copy = exact(file, len);
		CU_ASSERT_PTR_NOT_NULL(cache_judge(copy, len, key));
		free(copy);
	}
	for (size_t at = 0; at < sizeof(file); at++) {
		file[at] ^= 1;
		CU_ASSERT_PTR_NOT_NULL(cache_judge(file, sizeof(file), key));
		file[at] ^= 1;
	}
	s.flags[0] = HS_FLAG_DOTALL;
	cache_key(&s, other);
	CU_ASSERT(memcmp(key, other, sizeof(key)) != 0);
	CU_ASSERT_PTR_NOT_NULL(cache_judge(file, sizeof(file), other));
}

/* A folder that cannot be used costs a note and nothing else. */
static void
test_cache_folder(void)
{
	struct psi_err err = {""};
	struct psi_match *m;

	CU_ASSERT_EQUAL(chmod(folder, 0777), 0);
	m = try_open(cached_rules, 2, folder, &err);
	CU_ASSERT_PTR_NOT_NULL(m);
	CU_ASSERT_PTR_NOT_NULL(strstr(told.text, "others may write to it"));
	psi_match_close(m);
	CU_ASSERT_EQUAL(chmod(folder, 0700), 0);
	m = try_open(cached_rules, 2, "/nonexistent/a/b", &err);
	CU_ASSERT_PTR_NOT_NULL(m);
	CU_ASSERT_PTR_NOT_NULL(strstr(told.text, "/nonexistent/a/b: "));
	psi_match_close(m);
}

/* ---- host lists ---- */

static void
test_lists(void)
{
	char a[64], b[64], missing[64];
	struct psi_config_rule r[] = {
		{.id = "rule", .sni = {.text = "example"}, .action = PSI_RULE_TAG}};
	struct psi_config_host_list l[] = {
		{.id = "one", .file = a, .action = PSI_RULE_IGNORE},
		{.id = "two", .file = b, .action = PSI_RULE_WEIGHT, .weight = 0.5},
		{.id = "three", .at = {7, 5}, .file = missing},
	};
	struct psi_match_config cfg = {.file = "p.yaml",
		.rule = r,
		.rule_cnt = 1,
		.list = l,
		.list_cnt = 2,
		.tell = listen};
	struct psi_match_count c;
	struct psi_match_hits h;
	struct psi_match *m;
	struct psi_err err = {""};
	FILE *f;

	snprintf(a, sizeof(a), "%s/a.txt", folder);
	snprintf(b, sizeof(b), "%s/b.txt", folder);
	snprintf(missing, sizeof(missing), "%s/missing.txt", folder);
	f = fopen(a, "w");
	fputs("a.example\n", f);
	fclose(f);
	f = fopen(b, "w");
	fputs(".example\na.example\nA.Example.\n", f);
	fclose(f);
	memset(&told, 0, sizeof(told));
	m = psi_match_open(&cfg, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	h = ask(m, PSI_RULE_SNI, "A.example.", 10);
	CU_ASSERT(h.cnt == 3 && h.ignore && h.weight == 0.5);
	CU_ASSERT_STRING_EQUAL(h.id[0], "rule");
	CU_ASSERT_STRING_EQUAL(h.id[1], "one");
	CU_ASSERT_STRING_EQUAL(h.id[2], "two");
	h = ask(m, PSI_RULE_SNI, "b.example", 9);
	CU_ASSERT(h.cnt == 2 && !h.ignore && h.weight == 0.5);
	h = ask(m, PSI_RULE_SNI, "b.test", 6);
	CU_ASSERT(h.cnt == 0 && h.weight == 1);
	h = ask(m, PSI_RULE_SAN, "a.example", 9); /* lists are for the SNI */
	CU_ASSERT_EQUAL(h.cnt, 0);
	psi_match_count(m, &c);
	CU_ASSERT(c.names == 3 && c.names_twice == 1);
	psi_match_close(m);

	memset(&told, 0, sizeof(told));
	f = fopen(a, "w");
	fputs("fine.example\nb\xc3\xbc"
	      "cher.example\n",
		f);
	fclose(f);
	cfg.list_cnt = 3;
	CU_ASSERT_PTR_NULL(psi_match_open(&cfg, &err));
	CU_ASSERT_EQUAL(told.bad, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(told.text, "/a.txt:2:2: not ASCII"));
	CU_ASSERT_PTR_NOT_NULL(strstr(told.text, "p.yaml:7:5: host list three: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(told.text, "No such file"));
}

static CU_TestInfo tests[] = {
	{"what Python finds is found", test_found},
	{"remembered", test_remembered},
	{"all fields of a rule", test_and},
	{"one flow is not another", test_and_flows},
	{"several values, case, final dot", test_values},
	{"bounds", test_bounds},
	{"UTF-8", test_utf8},
	{"tag, ignore, weight", test_actions},
	{"more hits than room", test_many_hits},
	{"every bad pattern", test_complaints},
	{"long patterns in messages", test_shown},
	{"complaints are bounded", test_complaints_bounded},
	{"no rules", test_none},
	{"cache", test_cache},
	{"cache, damaged", test_cache_damaged},
	{"cache, cut anywhere", test_cache_cut},
	{"cache folder", test_cache_folder},
	{"host lists", test_lists},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "match", .pInitFunc = set_up, .pCleanupFunc = tear_down, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
