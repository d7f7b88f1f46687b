/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules and host lists, four ways by the first byte:
 *   0  hostile values against fixed rules: the same twice, and the expected one by a plain search
 *   1  a pattern (a length byte, the bytes) as two rules over two fields, then a value: told what is wrong, or usable
 *   2  a cache file's bytes: what is taken is whole, and of the key asked for
 *   3  a host list: what is said of bad lines is bounded; each good line's own name is found */
#include "match_pvt.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdlib.h>

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint32_t told;

static void
count_news(void *ctx, enum psi_match_news kind, const char *text)
{
	MUST(text[0] && strlen(text) < 512);
	told += kind == PSI_MATCH_BAD;
}

static void
count_lines(void *ctx, const char *text)
{
	count_news(ctx, PSI_MATCH_BAD, text);
}

static struct psi_match *
open_rules(const struct psi_config_rule *r, uint32_t cnt)
{
	struct psi_match_config cfg = {
		.file = "fuzz", .rule = r, .rule_cnt = cnt, .tell = count_news};
	struct psi_err err = {""};
	struct psi_match *m;

	told = 0;
	m = psi_match_open(&cfg, &err);
	MUST(!m == !!told && !m == !!err.text[0]);
	return m;
}

static void
same(const struct psi_match_hits *a, const struct psi_match_hits *b)
{
	MUST(a->cnt == b->cnt && a->more == b->more && a->ignore == b->ignore &&
		a->weight == b->weight);
	for (uint32_t i = 0; i < a->cnt; i++)
		MUST(a->id[i] == b->id[i]);
}

/* The same bytes in every field, cut in two values by the byte 0xfe. */
static void
ask(struct psi_match *m, const uint8_t *p, size_t len, struct psi_match_hits *out)
{
	const uint8_t *cut = len ? memchr(p, 0xfe, len) : NULL;
	uint32_t first = (uint32_t)(cut ? (size_t)(cut - p) : len);
	struct psi_match_value v[2] = {{p, first}, {p + first, (uint32_t)len - first}};
	struct psi_match_input in;
	struct psi_match_hits again;

	for (uint32_t f = 0; f < PSI_RULE_FIELD_CNT; f++)
		in.field[f] = (struct psi_match_values){v, cut ? 2 : 1};
	psi_match_flow(m, &in, out);
	psi_match_flow(m, &in, &again);
	same(out, &again);
	MUST(out->cnt <= PSI_MATCH_HITS_MAX && out->weight >= 0 &&
		out->weight <= PSI_MATCH_WEIGHT_MAX);
}

static void
values(const uint8_t *p, size_t len)
{
	static const struct psi_config_rule rule[] = {
		{.id = "needle", .issuer = {.text = "/ab\\.c/i"}},
		{.id = "both", .sni = {.text = "ab"}, .subject = {.text = "/x.y/s"}},
		{.id = "u", .subject = {.text = "/\\w.\\W/u"}},
		{.id = "ends", .san = {.text = "^a.*b$"}, .action = PSI_RULE_WEIGHT, .weight = 2},
		{.id = "any", .ja4 = {.text = "/./s"}, .action = PSI_RULE_IGNORE},
	};
	static struct psi_match *m;
	struct psi_match_hits out;
	bool want = false, got = false;

	if (!m)
		MUST(m = open_rules(rule, PSI_COUNT(rule)));
	if (len > PSI_MATCH_VALUE_MAX)
		return;
	ask(m, p, len, &out);
	for (size_t i = 0; i + 4 <= len; i++)
		want |= (p[i] | 32) == 'a' && (p[i + 1] | 32) == 'b' && p[i + 2] == '.' &&
			(p[i + 3] | 32) == 'c';
	for (uint32_t i = 0; i < out.cnt; i++)
		got |= strcmp(out.id[i], "needle") == 0;
	MUST(got == want && out.ignore == (len > 0));
}

static void
pattern(const uint8_t *p, size_t len)
{
	char text[64], slashed[64 + 4];
	size_t n = len ? PSI_MIN((size_t)p[0] % sizeof(text), len - 1) : 0;
	struct psi_config_rule rule[] = {
		{.id = "a", .sni = {.text = text}},
		{.id = "b", .issuer = {.text = slashed}, .sni = {.text = text}},
	};
	struct psi_match_hits out;
	struct psi_match *m;

	if (!n)
		return;
	memcpy(text, p + 1, n);
	text[n] = 0;
	slashed[0] = '/';
	memcpy(slashed + 1, text, n + 1);
	strcat(slashed, "/u");
	m = open_rules(rule, 2);
	if (m && len - 1 - n <= PSI_MATCH_VALUE_MAX)
		ask(m, p + 1 + n, len - 1 - n, &out);
	psi_match_close(m);
}

/* As it is, and with the sums that its bytes should have, so that the other checks are reached. */
static void
cache(uint8_t *p, size_t len)
{
	struct cache_header h;
	XXH128_hash_t sum;
	uint64_t key[2];

	memcpy(key, "0123456789abcdef", sizeof(key));
	MUST(len >= sizeof(h) || cache_judge(p, len, key));
	if (len < sizeof(h) || cache_judge(p, len, key) == NULL)
		return;
	memcpy(&h, p, sizeof(h));
	sum = XXH3_128bits(p + sizeof(h), len - sizeof(h));
	h.sum[0] = sum.high64;
	h.sum[1] = sum.low64;
	h.header_sum = XXH3_64bits(&h, offsetof(struct cache_header, header_sum));
	memcpy(p, &h, sizeof(h));
	if (!cache_judge(p, len, key))
		MUST(h.len == len - sizeof(h) && h.key[0] == key[0] && h.key[1] == key[1]);
}

static void
hosts(const uint8_t *p, size_t len)
{
	struct psi_err err = {""};
	struct psi_hosts *h;
	struct psi_host host;

	told = 0;
	h = psi_hosts_parse("fuzz", p, len, count_lines, NULL, &err);
	MUST(!h == !!told && !h == !!err.text[0] && told <= PSI_HOSTS_COMPLAINTS_MAX);
	for (size_t at = 0, end; h && at < len; at = end + 1) {
		const uint8_t *nl = memchr(p + at, '\n', len - at);

		end = nl ? (size_t)(nl - p) : len;
		/* a line of nothing but a name: exact */
		if (psi_host_set(&host, p + at, (uint32_t)(end - at)))
			MUST(psi_hosts_find(h, &host));
	}
	if (psi_host_set(&host, p, (uint32_t)len) && h)
		psi_hosts_find(h, &host);
	psi_hosts_close(h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy;

	if (!len || len > 1 << 16)
		return 0;
	copy = malloc(len);
	MUST(copy);
	memcpy(copy, data + 1, len - 1);
	switch (data[0] % 4) {
	case 0: values(copy, len - 1); break;
	case 1: pattern(copy, len - 1); break;
	case 2: cache(copy, len - 1); break;
	case 3: hosts(copy, len - 1); break;
	}
	free(copy);
	return 0;
}
