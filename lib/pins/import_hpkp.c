/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines with pin-sha256="..." (RFC 7469 section 2.1): a header as curl -sI prints it, a line of a web server's configuration, or a list
 * with the host's name first. */
#include "import_pvt.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#define LINE_TEXT_MAX 65536

struct line {
	struct import *im;
	struct import_set *set;
	const char *text;
	uint32_t no;
};

/* The set of a host: one a file, so that a header may take several lines. */
static struct import_set *
set_of(struct import *im, const char *prefix, const char *host, uint32_t line)
{
	struct psi_pins_list *l = im->list;
	struct import_set *s = set_add(im);

	if (!s || !set_host(im, s, line, 1, prefix, host))
		return NULL;
	for (uint32_t i = im->first; i + 1 < l->cnt; i++) {
		if (strcmp(l->set[i].host[0], s->host[0]) == 0) {
			set_drop(im);
			return &l->set[i];
		}
	}
	return s;
}

/* The first word, when it is a host's name. */
static bool
host_of(const char *text, char out[PSI_PINS_HOST_MAX + 1])
{
	size_t n;

	text += strspn(text, " \t");
	n = strcspn(text, " \t:,;=");
	if (!n || n > PSI_PINS_HOST_MAX)
		return false;
	memcpy(out, text, n);
	out[n] = 0;
	return strchr(out, '.') && !host_is_name(out);
}

/* The pin behind pin-sha256, = and perhaps quotes. */
static void
take_pin(struct line *l, const char *at, bool sha1)
{
	const char *p = at + strcspn(at, "=;,\n");
	char text[128];
	size_t n;

	p += *p == '=';
	p += strspn(p, " \t\\\"'");
	n = strcspn(p, "\\\"' ;,\t");
	snprintf(text, sizeof(text), "%s%.*s", sha1 ? "sha1/" : "",
		(int)PSI_MIN(n, sizeof(text) - 8), p);
	set_pin(l->im, l->set, l->no, (uint32_t)(p - l->text) + 1, PIN_SPKI, text);
}

static void
take_line(struct line *l)
{
	bool tree = strcasestr(l->text, "includeSubDomains");
	char host[PSI_PINS_HOST_MAX + 1];
	const char *p;

	if (!strcasestr(l->text, "pin-sha"))
		return;
	if (!host_of(l->text, host)) {
		if (!l->im->in->host) {
			import_fail(l->im, l->no, 1,
				"names no host: say whose pins these are with --host");
			return;
		}
		snprintf(host, sizeof(host), "%s", l->im->in->host);
	}
	l->set = set_of(l->im, tree ? "**." : "", host, l->no);
	for (p = l->text; l->set && !l->im->rc && (p = strcasestr(p, "pin-sha")); p += 7) {
		if (strncasecmp(p, "pin-sha256", 10) == 0)
			take_pin(l, p + 10, false);
		else if (strncasecmp(p, "pin-sha1", 8) == 0)
			take_pin(l, p + 8, true);
	}
	if (l->set && strcasestr(l->text, "Report-Only")) {
		l->set->off = true;
		import_note(l->im, l->set, l->no,
			"Report-Only: other keys are only reported, so the set is a comment");
	}
	p = strcasestr(l->text, "max-age");
	if (l->set && p && !l->im->rc)
		import_note(l->im, l->set, l->no,
			"a browser keeps these pins for %llu seconds after a visit",
			strtoull(p + 7 + strspn(p + 7, "= \""), NULL, 10));
}

void
import_hpkp(struct import *im)
{
	const char *p = (const char *)im->in->p, *end = p + im->in->len;
	struct line l = {.im = im, .no = 1};
	char *text = malloc(LINE_TEXT_MAX);

	if (!text) {
		import_no_memory(im);
		return;
	}
	for (; p < end && !im->rc; l.no++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);

		if (n >= LINE_TEXT_MAX || memchr(p, 0, n)) {
			import_fail(im, l.no, 0,
				n >= LINE_TEXT_MAX ? "the line is too long"
						   : "holds a NUL byte: this is no text");
			break;
		}
		memcpy(text, p, n);
		text[n] = 0;
		l.text = text;
		take_line(&l);
		p += n + (nl != NULL);
	}
	free(text);
}
