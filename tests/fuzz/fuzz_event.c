/* SPDX-License-Identifier: BSD-3-Clause */
/* The first byte of the input: bit 7 set, the rest is an event as it stands; else it is the body of one, whose type the
 * lower bits choose. Whatever psi_event_check lets through must print as one line of strict JSON (RFC 8259) in strict
 * UTF-8 (RFC 3629) without control characters, and as a table without escapes. */
#include "psi_export.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char text[PSI_JSON_MAX];

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* ---- a judge of JSON that shares nothing with the writer ---- */

static const char *value(const char *p, const char *end, int depth);

/* A UTF-8 character of two bytes or more: RFC 3629 section 4. */
static const char *
utf8(const char *s, const char *end)
{
	const uint8_t *p = (const uint8_t *)s;
	uint32_t n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2, cp = *p & (0xffu >> (n + 1));

	must(*p >= 0xc2 && *p <= 0xf4 && (size_t)(end - s) >= n);
	for (uint32_t i = 1; i < n; i++) {
		must((p[i] & 0xc0) == 0x80);
		cp = cp << 6 | (p[i] & 0x3f);
	}
	must(cp >= (n == 2 ? 0x80u : n == 3 ? 0x800u : 0x10000u) && cp <= 0x10ffff);
	must(cp < 0xd800 || cp > 0xdfff);
	must(cp >= 0xa0 && (cp < 0x2028 || cp > 0x202e));
	return s + n;
}

static const char *
string(const char *p, const char *end)
{
	must(p < end && *p++ == '"');
	while (must(p < end), *p != '"') {
		if ((uint8_t)*p >= 0x80) {
			p = utf8(p, end);
		} else if (*p == '\\') {
			must(end - p >= 2 && strchr("\"\\u", p[1]));
			if (p[1] == 'u') {
				must(end - p >= 6);
				for (int i = 2; i < 6; i++)
					must(strchr("0123456789abcdef", p[i]) && p[i]);
				p += 4;
			}
			p += 2;
		} else {
			must(*p >= 0x20 && *p != 0x7f);
			p++;
		}
	}
	return p + 1;
}

static const char *
digits(const char *p, const char *end)
{
	must(p < end && *p >= '0' && *p <= '9');
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static const char *
number(const char *p, const char *end)
{
	const char *q;

	if (*p == '-')
		p++;
	q = digits(p, end);
	must(*p != '0' || q == p + 1);
	return q < end && *q == '.' ? digits(q + 1, end) : q;
}

static const char *
members(const char *p, const char *end, char close, int depth)
{
	must(depth < 12);
	if (p < end && *p == close)
		return p + 1;
	for (;;) {
		if (close == '}') {
			p = string(p, end);
			must(p < end && *p++ == ':');
		}
		p = value(p, end, depth);
		must(p < end);
		if (*p == close)
			return p + 1;
		must(*p++ == ',');
	}
}

static const char *
value(const char *p, const char *end, int depth)
{
	static const char *const words[] = {"true", "false", "null"};

	must(p < end);
	if (*p == '{' || *p == '[')
		return members(p + 1, end, *p == '{' ? '}' : ']', depth + 1);
	if (*p == '"')
		return string(p, end);
	for (size_t i = 0; i < PSI_COUNT(words); i++)
		if (strncmp(p, words[i], strlen(words[i])) == 0)
			return p + strlen(words[i]);
	return number(p, end);
}

/* ---- */

static void
check_json(const struct psi_event *e)
{
	static struct psi_json *writer;
	static char again[PSI_JSON_MAX];
	int n = psi_json_event(e, text, sizeof(text) - 1);

	if (!writer)
		writer = psi_json_open();
	must(n > 2 && text[n - 1] == '\n');
	for (int i = 0; i < 2; i++) { /* new to that writer, and remembered by it */
		must(psi_json_write(writer, e, again, sizeof(again)) == n);
		must(memcmp(text, again, (size_t)n) == 0);
	}
	text[n] = '\0';
	must(value(text, text + n - 1, 0) == text + n - 1);
	must(psi_json_event(e, text, (size_t)n - 1) == PSI_E_LIMIT);
}

static void
check_table(const struct psi_event *e, unsigned int width)
{
	static FILE *sink;
	static char out[1 << 16];
	struct psi_table_config cfg = {.width = width, .all = true};
	struct psi_table *t;
	long n;

	if (!sink)
		sink = fmemopen(out, sizeof(out), "w");
	must(sink != NULL);
	rewind(sink);
	cfg.out = sink;
	t = psi_table_open(&cfg);
	must(t != NULL);
	psi_table_event(t, e);
	psi_table_finish(t);
	psi_table_close(t);
	fflush(sink);
	n = ftell(sink);
	for (long i = 0; i < n; i++)
		must((uint8_t)out[i] >= 0x20 || out[i] == '\n');
}

static unsigned int
count(struct psi_event_r r, unsigned int depth)
{
	struct psi_event_r in;
	struct psi_value v;
	unsigned int n = 0;

	must(depth <= PSI_EVENT_DEPTH_MAX);
	while (psi_event_next(&r, &v)) {
		const struct psi_field_row *row = psi_field_row_of(v.id);

		n++;
		if (row && row->type == PSI_FT_OBJECTS) {
			psi_event_enter(&v, &in);
			n += count(in, depth + 1);
		}
	}
	must(r.p <= r.end && (depth == 0 || r.p == r.end));
	return n;
}

static void
one_event(const struct psi_event *e, size_t len, unsigned int width)
{
	struct psi_event_r r;

	if (psi_event_check(e, len) != PSI_OK)
		return;
	psi_event_fields(e, &r);
	must(count(r, 0) <= e->len / 4);
	check_json(e);
	check_table(e, width);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t body = len ? len - 1 : 0, total;
	struct psi_event *e;

	if (!len || len > 40000)
		return 0;
	if (data[0] & 0x80) {
		e = malloc(body ? body : 1);
		must(e != NULL);
		memcpy(e, data + 1, body);
		one_event(e, body, 80);
	} else {
		total = sizeof(*e) + ((body + 7) & ~(size_t)7);
		e = calloc(1, total);
		must(e != NULL);
		*e = (struct psi_event){.len = (uint32_t)total,
			.type = data[0] % 5 + 1,
			.version = PSI_EVENT_VERSION,
			.flags = data[0] >> 6,
			.time_ns = 1700000000000000000};
		memcpy(e->body, data + 1, body);
		one_event(e, total, data[0] & 32 ? 0 : 60);
	}
	free(e);
	return 0;
}
