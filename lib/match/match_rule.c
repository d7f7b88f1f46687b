/* SPDX-License-Identifier: BSD-3-Clause */
/* Pattern texts as the operator writes them -> what Hyperscan's compiler takes. */
#include "match_pvt.h"

#include <stdlib.h>

const char *const field_name[PSI_RULE_FIELD_CNT] = {
	[PSI_RULE_SNI] = "sni",
	[PSI_RULE_SUBJECT] = "subject",
	[PSI_RULE_ISSUER] = "issuer",
	[PSI_RULE_SAN] = "san",
	[PSI_RULE_ALPN] = "alpn",
	[PSI_RULE_JA3] = "ja3",
	[PSI_RULE_JA4] = "ja4",
};

/* SINGLEMATCH: one call a pattern and value, however often it is found. A pattern that matches an empty value is refused,
 * for ALLOWEMPTY is not given: it would hit everything. Names in DNS have no case. */
static uint32_t
base_flags(enum psi_rule_field field)
{
	return HS_FLAG_SINGLEMATCH |
	       (field == PSI_RULE_SNI || field == PSI_RULE_SAN ? HS_FLAG_CASELESS : 0);
}

/* What is wrong with the form of a pattern, or NULL: then the bare expression is [*at,*at + *len) of text. */
static const char *
split(const char *text, const char **at, size_t *len, uint32_t *flags)
{
	const char *slash = strrchr(text, '/');

	*at = text;
	*len = strlen(text);
	if (*len > PSI_MATCH_PATTERN_MAX)
		return "longer than 8192 bytes";
	if (text[0] == '/') {
		if (slash == text)
			return "begins with / but has no closing /; expected /pattern/ or /pattern/flags";
		*at = text + 1;
		*len = (size_t)(slash - *at);
		for (const char *f = slash + 1; *f; f++) {
			switch (*f) {
			case 'i': *flags |= HS_FLAG_CASELESS; break;
			case 's': *flags |= HS_FLAG_DOTALL; break;
			case 'u': *flags |= HS_FLAG_UTF8 | HS_FLAG_UCP; break;
			default:
				return "unknown flag behind the last /; expected any of i (letter case does not matter), s (. is a newline too), u (UTF-8)";
			}
		}
	}
	if (!*len)
		return "an empty pattern; leave the key out where any value will do";
	/* These switch UTF-8 on for the database that the pattern is in, unseen. */
	if ((*at)[0] == '(' && (*at)[1] == '*')
		return "(*...) at the beginning is not taken; for (*UTF8) and (*UCP) use the flag u: /pattern/u";
	return NULL;
}

int
shown(const char *text)
{
	size_t len = strnlen(text, SHOWN_MAX + 1);

	if (len > SHOWN_MAX)
		for (len = SHOWN_MAX; len && ((uint8_t)text[len] & 0xc0) == 0x80; len--)
			;
	return (int)len;
}

static bool
push(struct source *s, const char *at, size_t len, uint32_t flags, uint32_t id)
{
	char *copy = strndup(at, len);

	if (!copy)
		return false;
	s->text[s->cnt] = copy;
	s->flags[s->cnt] = flags;
	s->id[s->cnt++] = id;
	return true;
}

bool
source_of(struct teller *t, enum psi_rule_field field, bool utf8, struct source *out)
{
	const struct psi_match_config *cfg = t->cfg;

	*out = (struct source){0};
	out->text = calloc(cfg->rule_cnt + 1, sizeof(*out->text));
	out->flags = calloc(cfg->rule_cnt + 1, sizeof(*out->flags));
	out->id = calloc(cfg->rule_cnt + 1, sizeof(*out->id));
	if (!out->text || !out->flags || !out->id)
		return false;
	for (uint32_t i = 0; i < cfg->rule_cnt; i++) {
		const struct psi_config_pattern *p = &cfg->rule[i].pattern[field];
		uint32_t flags = base_flags(field);
		const char *at, *why;
		size_t len;

		if (!p->text)
			continue;
		why = split(p->text, &at, &len, &flags);
		if (why && !utf8)
			complain(t, p->at, "rule %s: %s: %.*s: %s", cfg->rule[i].id,
				field_name[field], shown(p->text), p->text, why);
		if (why || !!(flags & HS_FLAG_UTF8) != utf8)
			continue;
		if (!push(out, at, len, flags, i))
			return false;
	}
	return true;
}

void
source_free(struct source *s)
{
	for (uint32_t i = 0; i < s->cnt; i++)
		free(s->text[i]);
	free(s->text);
	free(s->flags);
	free(s->id);
}
