/* SPDX-License-Identifier: BSD-3-Clause */
/* XML by libxml2: nothing is fetched, no entity is expanded, and a document that declares any is refused. Without
 * XML_PARSE_HUGE libxml2 bounds depth (256) and length of texts itself. */
#include "import_pvt.h"

/* libxml2 ends its messages with a newline. */
static void
fail_xml(struct import *im, const xmlError *e)
{
	char text[256];

	snprintf(text, sizeof(text), "%s", e && e->message ? e->message : "cannot be read");
	text[strcspn(text, "\n")] = 0;
	import_fail(im, e && e->line > 0 ? (uint32_t)e->line : 0,
		e && e->int2 > 0 ? (uint32_t)e->int2 : 0, "is not well-formed XML: %s", text);
}

xmlDoc *
xml_open(struct import *im, const char *p, size_t len)
{
	xmlParserCtxt *ctx;
	xmlDoc *doc;

	if (memmem(p, len, "<!ENTITY", 8)) {
		import_fail(im, 0, 0, "declares XML entities, which such a file has no use for");
		return NULL;
	}
	ctx = xmlNewParserCtxt();
	if (!ctx) {
		import_no_memory(im);
		return NULL;
	}
	doc = xmlCtxtReadMemory(ctx, p, (int)len, NULL, NULL,
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA);
	if (!doc)
		fail_xml(im, xmlCtxtGetLastError(ctx));
	else if (doc->intSubset && doc->intSubset->entities) {
		import_fail(im, 0, 0, "declares XML entities, which such a file has no use for");
		xmlFreeDoc(doc);
		doc = NULL;
	}
	xmlFreeParserCtxt(ctx);
	return doc;
}

uint32_t
xml_line(const xmlNode *n)
{
	long line = xmlGetLineNo((xmlNode *)(uintptr_t)n);

	return line > 0 ? (uint32_t)line : 0;
}

bool
xml_is(const xmlNode *n, const char *name)
{
	return strcmp((const char *)n->name, name) == 0;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char *
trimmed(char *s)
{
	size_t n;

	while (is_space(*s))
		s++;
	for (n = strlen(s); n && is_space(s[n - 1]);)
		s[--n] = 0;
	return s;
}

const char *
xml_text(struct import *im, const xmlNode *n, char *buf, size_t cap)
{
	size_t len = 0;

	for (const xmlNode *c = n->children; c; c = c->next) {
		size_t more;

		if (c->type == XML_COMMENT_NODE)
			continue;
		if (c->type != XML_TEXT_NODE && c->type != XML_CDATA_SECTION_NODE) {
			import_fail(im, xml_line(n), 0, "<%s> holds more than text",
				(const char *)n->name);
			return NULL;
		}
		more = strlen((const char *)c->content);
		if (more >= cap - len) {
			import_fail(im, xml_line(n), 0, "the text of <%s> is too long",
				(const char *)n->name);
			return NULL;
		}
		memcpy(buf + len, c->content, more);
		len += more;
	}
	buf[len] = 0;
	return trimmed(buf);
}

const char *
xml_attr(const xmlNode *n, const char *name, char *buf, size_t cap)
{
	xmlChar *v = xmlGetNoNsProp(n, (const xmlChar *)name);

	if (!v)
		return NULL;
	snprintf(buf, cap, "%s", (const char *)v);
	xmlFree(v);
	return trimmed(buf);
}
