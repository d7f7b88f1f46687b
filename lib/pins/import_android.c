/* SPDX-License-Identifier: BSD-3-Clause */
/* Android's network security configuration. A domain-config without a pin-set of its own has that of the one around it;
 * the most specific domain decides alone, so one without pins is a hole in what covers it. debug-overrides do not count in what
 * is shipped. A pin may be of any certificate of the chain. */
#include "import_pvt.h"

#include <stdlib.h>
#include <strings.h>

struct android {
	struct import *im;
	struct hole *hole;
	uint32_t hole_cnt;
};

static const xmlNode *
child(const xmlNode *n, const char *name)
{
	for (const xmlNode *c = n->children; c; c = c->next)
		if (c->type == XML_ELEMENT_NODE && xml_is(c, name))
			return c;
	return NULL;
}

static bool
is_true(const xmlNode *n, const char *attr)
{
	char buf[16];
	const char *v = xml_attr(n, attr, buf, sizeof(buf));

	return v && strcasecmp(v, "true") == 0;
}

/* ---- pins ---- */

static void
read_pin(struct import *im, struct import_set *s, const xmlNode *pin)
{
	char digest[32], buf[512];
	const char *d = xml_attr(pin, "digest", digest, sizeof(digest)), *text;

	text = xml_text(im, pin, buf, sizeof(buf));
	if (!text)
		return;
	if (!d) {
		import_fail(
			im, xml_line(pin), 0, "<pin> has no digest: expected digest=\"SHA-256\"");
		return;
	}
	if (strcasecmp(d, "SHA-256") != 0) {
		import_note(im, s, xml_line(pin),
			"the pin '%.60s' is left out: digest %.20s is not supported, only SHA-256",
			text, d);
		return;
	}
	set_pin(im, s, xml_line(pin), 0, PIN_SPKI, text);
}

static void
read_pins(struct import *im, struct import_set *s, const xmlNode *pins)
{
	char buf[64];
	const char *expires = xml_attr(pins, "expiration", buf, sizeof(buf));

	if (expires && !set_expires(im, s, xml_line(pins), expires))
		return;
	FOR_ELEMENTS(c, pins)
	{
		if (xml_is(c, "pin"))
			read_pin(im, s, c);
	}
}

/* ---- trust anchors ---- */

/* CAs that the application brings along: without the system's it accepts only those, as if it pinned them. */
static void
read_anchors(struct import *im, struct import_set *s, const xmlNode *config)
{
	const xmlNode *anchors = child(config, "trust-anchors");
	char buf[256];

	if (!anchors)
		return;
	FOR_ELEMENTS(c, anchors)
	{
		const char *src =
			xml_is(c, "certificates") ? xml_attr(c, "src", buf, sizeof(buf)) : NULL;

		if (src && src[0] == '@')
			import_note(im, s, xml_line(c),
				"the application trusts CAs of its own, %.100s: import that file too, with --host",
				src);
		if (src && is_true(c, "overridePins"))
			import_note(im, s, xml_line(c),
				"certificates under the CAs of '%.60s' are accepted whatever the pins (overridePins)",
				src);
	}
}

/* ---- domains ---- */

static void
add_hole(struct android *a, const char *prefix, const char *name, uint32_t line)
{
	struct hole *h =
		a->hole_cnt < HOSTS_MAX ? realloc(a->hole, (a->hole_cnt + 1) * sizeof(*h)) : NULL;
	size_t len = strlen(prefix) + strlen(name) + 1;
	char *copy = malloc(len);

	if (h)
		a->hole = h;
	if (!h || !copy) {
		free(copy);
		import_fail(
			a->im, line, 0, "more domains without pins than are read: %d", HOSTS_MAX);
		return;
	}
	snprintf(copy, len, "%s%s", prefix, name);
	for (char *c = copy; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
	h[a->hole_cnt++] = (struct hole){copy, line};
}

static void
read_domain(struct android *a, struct import_set *s, const xmlNode *domain, bool pinned)
{
	const char *prefix = is_true(domain, "includeSubdomains") ? "**." : "";
	char buf[512];
	const char *name = xml_text(a->im, domain, buf, sizeof(buf));

	if (!name)
		return;
	if (pinned)
		set_host(a->im, s, xml_line(domain), 0, prefix, name);
	else if (!host_is_name(name))
		add_hole(a, prefix, name, xml_line(domain));
}

static void
read_config(struct android *a, const xmlNode *config, const xmlNode *inherited)
{
	const xmlNode *own = child(config, "pin-set"), *pins = own ? own : inherited;
	bool pinned = pins && child(pins, "pin");
	struct import *im = a->im;
	struct import_set *s = pinned ? set_add(im) : NULL;

	if (pinned && !s)
		return;
	FOR_ELEMENTS(c, config)
	{
		if (xml_is(c, "domain"))
			read_domain(a, s, c, pinned);
	}
	if (!im->rc && !child(config, "domain"))
		import_fail(im, xml_line(config), 0, "<domain-config> names no <domain>");
	read_anchors(im, s, config);
	if (pinned && !im->rc) {
		read_pins(im, s, pins);
		set_close(im, xml_line(pins));
	}
	FOR_ELEMENTS(c, config)
	{
		if (xml_is(c, "domain-config"))
			read_config(a, c, pins);
	}
}

static void
read_root(struct android *a, const xmlNode *root)
{
	struct import *im = a->im;

	if (!root || !xml_is(root, "network-security-config")) {
		import_fail(im, root ? xml_line(root) : 0, 0,
			"is no network security configuration: the outermost element is <%s>, expected <network-security-config>",
			root ? (const char *)root->name : "");
		return;
	}
	FOR_ELEMENTS(c, root)
	{
		if (xml_is(c, "domain-config"))
			read_config(a, c, NULL);
		else if (xml_is(c, "base-config"))
			read_anchors(im, NULL, c);
	}
}

void
import_android(struct import *im)
{
	struct android a = {.im = im};
	xmlDoc *doc;

	if (im->in->len >= 4 && memcmp(im->in->p, "\x03\x00\x08\x00", 4) == 0) {
		import_fail(im, 0, 0,
			"is compiled XML, as an APK holds it; turn it into text first, as apktool d does");
		return;
	}
	doc = xml_open(im, (const char *)im->in->p, im->in->len);
	if (!doc)
		return;
	read_root(&a, xmlDocGetRootElement(doc));
	import_holes(im, a.hole, a.hole_cnt);
	for (uint32_t i = 0; i < a.hole_cnt; i++)
		free(a.hole[i].name);
	free(a.hole);
	xmlFreeDoc(doc);
}
