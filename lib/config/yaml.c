/* SPDX-License-Identifier: BSD-3-Clause */
/* YAML text -> a tree of bounded depth and size, with the place of each node, or a message that an operator understands.
 * libyaml reads; the bytes are looked at before it, because it has no line for what is no UTF-8. */
#include "config_pvt.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

struct reader {
	struct arena *a;
	struct problems *pr;
	const char *origin;
	const char *text;
	size_t len;
	bool in_file;
	uint32_t nodes;
	yaml_parser_t p;
};

static struct psi_config_at
at_of(const struct reader *r, yaml_mark_t m)
{
	if (!r->in_file)
		return (struct psi_config_at){0, 0};
	return (struct psi_config_at){(uint32_t)m.line + 1, (uint32_t)m.column + 1};
}

/* ---- bytes ---- */

/* Neither overlong nor a surrogate. */
size_t
cfg_utf8_next(const uint8_t *p, size_t left, uint32_t *cp)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = *p < 0x80   ? 1
		   : *p < 0xc2 ? 0
		   : *p < 0xe0 ? 2
		   : *p < 0xf0 ? 3
		   : *p < 0xf5 ? 4
			       : 0;

	if (!n || n > left)
		return 0;
	*cp = n == 1 ? *p : *p & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (p[i] & 0x3f);
	}
	return *cp < least[n] || *cp > 0x10ffff || (*cp >= 0xd800 && *cp <= 0xdfff) ? 0 : n;
}

/* What YAML 1.1 section 5.1 lets stand in a file. */
static bool
printable(uint32_t cp)
{
	return cp == '\t' || cp == '\n' || cp == '\r' || (cp >= 0x20 && cp <= 0x7e) || cp == 0x85 ||
	       (cp >= 0xa0 && cp <= 0xfffd) || cp >= 0x10000;
}

static bool
bytes_good(struct reader *r)
{
	const uint8_t *p = (const uint8_t *)r->text, *end = p + r->len;
	struct psi_config_at at = {1, 1};
	uint32_t cp = 0;

	while (p < end) {
		size_t n = cfg_utf8_next(p, (size_t)(end - p), &cp);

		if (!n || !printable(cp)) {
			if (!r->in_file)
				at.line = at.col = 0;
			if (!n)
				cfg_problem(r->pr, r->origin, at,
					"byte 0x%02x is not UTF-8; expected text in UTF-8", *p);
			else
				cfg_problem(r->pr, r->origin, at,
					"control character U+%04X; expected text", cp);
			return false;
		}
		p += n;
		if (cp == '\n' || (cp == '\r' && (p == end || *p != '\n')))
			at = (struct psi_config_at){at.line + 1, 1};
		else
			at.col++;
	}
	return true;
}

/* ---- libyaml's complaints, for operators ---- */

static const struct {
	const char *problem, *text;
	bool from_context; /* the place to mend is where the unfinished thing began */
} complaints[] = {
	{"mapping values are not allowed in this context",
		"a second ':' in one line, or a line indented deeper than the one above it; expected \"key: value\", with quotes around a value that holds ': '",
		false},
	{"did not find expected key",
		"expected \"key: value\" or the end of this part: this line is indented unlike the others of its part, or a quote or bracket above it is wrong",
		false},
	{"did not find expected '-' indicator",
		"expected \"- \" and a further entry of the list, or the end of it: this line is indented unlike the others of the list",
		false},
	{"could not find expected ':'", "expected \"key: value\"", true},
	{"found unexpected end of stream", "a quote that is not closed", true},
	{"found unexpected document indicator",
		"a quote that is not closed before the document ends", true},
	{"did not find expected ',' or ']'",
		"a [ whose list goes wrong before its ]; expected entries with commas between them",
		true},
	{"did not find expected ',' or '}'",
		"a { whose mapping goes wrong before its }; expected \"key: value\" with commas between them",
		true},
	{"did not find expected alphabetic or numeric character",
		"a value that begins with * or & needs quotes", true},
	{"did not find expected node content", "a value is missing here", false},
	{"found undefined tag handle",
		"tags (!) are not taken; put a value that begins with ! in quotes", true},
	{"found duplicate %YAML directive", "directives (%) are not taken", false},
	{"found unknown escape character",
		"a backslash that begins no escape YAML knows; in 'single quotes' a backslash is itself",
		false},
};

static void
complain(struct reader *r)
{
	yaml_mark_t m = r->p.problem_mark;
	const char *what = r->p.problem ? r->p.problem : "cannot be read as YAML";
	char at = m.index < r->len ? r->text[m.index] : '\0';

	if (r->p.error == YAML_MEMORY_ERROR) {
		cfg_problem(r->pr, r->origin, at_of(r, m), "no memory");
		return;
	}
	if (strcmp(what, "found character that cannot start any token") == 0) {
		if (at == '\t')
			cfg_problem(r->pr, r->origin, at_of(r, m),
				"a tab; YAML is indented with spaces only");
		else
			cfg_problem(r->pr, r->origin, at_of(r, m),
				"a value cannot begin with %c; put it in quotes", at);
		return;
	}
	for (size_t i = 0; i < PSI_COUNT(complaints); i++) {
		if (strcmp(what, complaints[i].problem) != 0)
			continue;
		if (complaints[i].from_context && r->p.context)
			m = r->p.context_mark;
		cfg_problem(r->pr, r->origin, at_of(r, m), "%s", complaints[i].text);
		return;
	}
	cfg_problem(r->pr, r->origin, at_of(r, m), "%s%s%s", what, r->p.context ? " " : "",
		r->p.context ? r->p.context : "");
}

/* ---- nodes ---- */

static bool
next(struct reader *r, yaml_event_t *e)
{
	if (yaml_parser_parse(&r->p, e))
		return true;
	complain(r);
	return false;
}

static bool
refuse(struct reader *r, const yaml_event_t *e, const char *why)
{
	cfg_problem(r->pr, r->origin, at_of(r, e->start_mark), "%s", why);
	return false;
}

static bool
no_tag(struct reader *r, const yaml_event_t *e, const yaml_char_t *tag)
{
	return !tag ||
	       refuse(r, e, "tags (!) are not taken; put a value that begins with ! in quotes");
}

static bool
scalar(struct reader *r, const yaml_event_t *e, struct node *n)
{
	const char *v = (const char *)e->data.scalar.value;

	n->kind = NODE_SCALAR;
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (memchr(v, '\0', e->data.scalar.length))
		return refuse(r, e, "the character NUL; expected text");
	n->text = cfg_arena_text(r->a, v, e->data.scalar.length);
	return n->text || refuse(r, e, "no memory");
}

static struct node *node(struct reader *r, yaml_event_t *e, unsigned int depth);

/* One entry of a list or map; the event is freed. Returns 0 at the end, -1 after a problem. */
static int
entry(struct reader *r, yaml_event_t *e, bool map, unsigned int depth, struct node **out)
{
	struct node *k = NULL, *n;

	if (e->type == YAML_SEQUENCE_END_EVENT || e->type == YAML_MAPPING_END_EVENT)
		return 0;
	if (map) {
		k = node(r, e, depth);
		if (!k)
			return -1;
		if (k->kind != NODE_SCALAR) {
			cfg_problem(r->pr, r->origin, k->at, "%s where a key is expected",
				node_words[k->kind]);
			return -1;
		}
		yaml_event_delete(e);
		memset(e, 0, sizeof(*e));
		if (!next(r, e))
			return -1;
	}
	n = node(r, e, depth);
	if (!n)
		return -1;
	if (k) {
		n->key = k->text;
		n->key_at = k->at;
	}
	*out = n;
	return 1;
}

static bool
entries(struct reader *r, struct node *of, bool map, unsigned int depth)
{
	struct node **last = &of->child;
	int rc;

	do {
		yaml_event_t e = {0};

		if (!next(r, &e))
			return false;
		rc = entry(r, &e, map, depth, last);
		yaml_event_delete(&e);
		if (rc > 0)
			last = &(*last)->next;
	} while (rc > 0);
	return rc == 0;
}

/* The node that e begins. */
static struct node *
node(struct reader *r, yaml_event_t *e, unsigned int depth)
{
	struct node *n = cfg_arena_get(r->a, sizeof(*n));
	bool good = false;

	if (!n || ++r->nodes > PSI_CONFIG_NODE_MAX) {
		refuse(r, e, n ? "too many values" : "no memory");
		return NULL;
	}
	n->at = at_of(r, e->start_mark);
	if (depth > PSI_CONFIG_DEPTH_MAX) {
		refuse(r, e, "too many lists and mappings within one another");
		return NULL;
	}
	switch (e->type) {
	case YAML_SCALAR_EVENT: good = no_tag(r, e, e->data.scalar.tag) && scalar(r, e, n); break;
	case YAML_SEQUENCE_START_EVENT:
		n->kind = NODE_LIST;
		good = no_tag(r, e, e->data.sequence_start.tag) && entries(r, n, false, depth + 1);
		break;
	case YAML_MAPPING_START_EVENT:
		n->kind = NODE_MAP;
		good = no_tag(r, e, e->data.mapping_start.tag) && entries(r, n, true, depth + 1);
		break;
	case YAML_ALIAS_EVENT:
		good = refuse(
			r, e, "a value that begins with * needs quotes (aliases are not taken)");
		break;
	default: good = refuse(r, e, "expected a value"); break;
	}
	return good ? n : NULL;
}

static bool
begins_node(yaml_event_type_t t)
{
	return t == YAML_SCALAR_EVENT || t == YAML_SEQUENCE_START_EVENT ||
	       t == YAML_MAPPING_START_EVENT || t == YAML_ALIAS_EVENT;
}

/* An empty document is an empty mapping. */
static struct node *
document(struct reader *r)
{
	struct node *n = NULL;
	yaml_event_type_t type;
	bool good = true;

	do {
		yaml_event_t e = {0};

		if (!next(r, &e))
			return NULL;
		type = e.type;
		if (type == YAML_DOCUMENT_START_EVENT && n)
			good = refuse(r, &e, "a second document; expected one");
		else if (begins_node(type))
			good = (n = node(r, &e, 1)) != NULL;
		yaml_event_delete(&e);
	} while (good && type != YAML_STREAM_END_EVENT);
	if (!good)
		return NULL;
	if (!n) {
		n = cfg_arena_get(r->a, sizeof(*n));
		if (n)
			n->kind = NODE_MAP;
	}
	return n;
}

struct node *
cfg_tree_read(struct arena *a, struct problems *pr, const char *origin, const char *text,
	size_t len, bool in_file)
{
	struct reader r = {
		.a = a, .pr = pr, .origin = origin, .text = text, .len = len, .in_file = in_file};
	struct node *n;

	if (!bytes_good(&r))
		return NULL;
	if (!yaml_parser_initialize(&r.p)) {
		cfg_problem(pr, origin, (struct psi_config_at){0, 0}, "no memory");
		return NULL;
	}
	yaml_parser_set_encoding(&r.p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.p, (const unsigned char *)text, len);
	n = document(&r);
	yaml_parser_delete(&r.p);
	return n;
}

bool
cfg_node_is_null(const struct node *n)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	for (size_t i = 0; i < PSI_COUNT(words); i++)
		if (n->kind == NODE_SCALAR && n->plain && strcmp(n->text, words[i]) == 0)
			return true;
	return false;
}
