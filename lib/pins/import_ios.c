/* SPDX-License-Identifier: BSD-3-Clause */
/* Info.plist: Apple's own NSPinnedDomains, and TrustKit's TSKPinnedDomains. A binary plist is made XML by libplist; the XML is
 * read here, where lines are known and depth is bounded. */
#include "import_pvt.h"

#include <plist/plist.h>
#include <stdlib.h>

#define CONTAINERS_MAX \
	4096 /* lists and dictionaries of a binary plist: libplist goes down one by one */
#define BINARY_MAX (1u << 20)

/* ---- dictionaries ---- */

/* The value of a key; NULL when there is none. */
static const xmlNode *
dict_get(const xmlNode *dict, const char *key)
{
	const xmlNode *k = NULL;

	if (!dict || !xml_is(dict, "dict"))
		return NULL;
	for (const xmlNode *c = dict->children; c; c = c->next) {
		if (c->type != XML_ELEMENT_NODE)
			continue;
		if (k) {
			const xmlNode *t = k->children;

			if (t && !t->next && t->type == XML_TEXT_NODE &&
				strcmp((const char *)t->content, key) == 0)
				return c;
			k = NULL;
		} else if (xml_is(c, "key")) {
			k = c;
		}
	}
	return NULL;
}

/* Calls fn with every key and value. */
static void
dict_each(struct import *im, const xmlNode *dict,
	void (*fn)(struct import *im, const char *, const xmlNode *))
{
	char key[512] = "";
	bool have = false;

	if (!xml_is(dict, "dict")) {
		import_fail(im, xml_line(dict), 0, "found <%s>, expected a <dict> of domains",
			(const char *)dict->name);
		return;
	}
	FOR_ELEMENTS(c, dict)
	{
		if (have) {
			fn(im, key, c);
			have = false;
		} else if (xml_is(c, "key")) {
			char buf[512];
			const char *t = xml_text(im, c, buf, sizeof(buf));

			if (t)
				snprintf(key, sizeof(key), "%s", t);
			have = t;
		} else {
			import_fail(im, xml_line(c), 0, "found <%s>, expected a <key>",
				(const char *)c->name);
		}
	}
}

/* TrustKit takes booleans as true and false, as strings, and as numbers. */
static bool
truth(struct import *im, const xmlNode *dict, const char *key, bool otherwise)
{
	const xmlNode *v = dict_get(dict, key);
	char buf[16];
	const char *t;

	if (!v)
		return otherwise;
	if (xml_is(v, "true") || xml_is(v, "false"))
		return xml_is(v, "true");
	t = xml_text(im, v, buf, sizeof(buf));
	return t && (t[0] == 'Y' || t[0] == 'y' || t[0] == '1' || t[0] == 't' || t[0] == 'T');
}

/* ---- Apple ---- */

static void
read_identities(struct import *im, struct import_set *s, const xmlNode *list, enum pin_kind kind)
{
	char buf[512];

	FOR_ELEMENTS(c, list)
	{
		const xmlNode *v = dict_get(c, "SPKI-SHA256-BASE64");
		const char *t = v ? xml_text(im, v, buf, sizeof(buf)) : NULL;

		if (t)
			set_pin(im, s, xml_line(v), 0, kind, t);
		else
			import_fail(im, xml_line(c), 0,
				"found <%s>, expected a <dict> with SPKI-SHA256-BASE64",
				(const char *)c->name);
	}
}

/* Both lists: both must fit. A configuration's pins are alternatives, so the stricter one stands and the other is told. */
static void
read_apple(struct import *im, const char *domain, const xmlNode *d)
{
	const xmlNode *leaf = dict_get(d, "NSPinnedLeafIdentities"),
		      *ca = dict_get(d, "NSPinnedCAIdentities");
	struct import_set *s;

	if (!leaf && !ca) {
		import_fail(im, xml_line(d), 0,
			"the domain '%.100s' has neither NSPinnedLeafIdentities nor NSPinnedCAIdentities",
			domain);
		return;
	}
	s = set_add(im);
	if (!s || !set_host(im, s, xml_line(d), 0, "", domain))
		return;
	if (truth(im, d, "NSIncludesSubdomains", false))
		set_host(im, s, xml_line(d), 0, "*.", domain);
	if (leaf)
		read_identities(im, s, leaf, PIN_SPKI);
	else
		read_identities(im, s, ca, PIN_CA);
	if (leaf && ca && xmlChildElementCount((xmlNode *)(uintptr_t)ca))
		import_note(im, s, xml_line(ca),
			"the application wants one of these leaf keys and one of %lu CA keys, too, which are left out",
			xmlChildElementCount((xmlNode *)(uintptr_t)ca));
	set_close(im, xml_line(d));
}

/* ---- TrustKit ---- */

static bool
is_excluded(struct import *im, const xmlNode *d)
{
	return truth(im, d, "TSKExcludeSubdomainFromParentPolicy", false) ||
	       truth(im, d, "kSKExcludeSubdomainFromParentPolicy",
		       false); /* as some releases spell it */
}

static void
read_hashes(struct import *im, struct import_set *s, const xmlNode *list)
{
	char buf[512];

	FOR_ELEMENTS(c, list)
	{
		const char *t = xml_text(im, c, buf, sizeof(buf));

		if (t)
			set_pin(im, s, xml_line(c), 0, PIN_SPKI, t);
	}
}

static void
read_trustkit(struct import *im, const char *domain, const xmlNode *d)
{
	const xmlNode *hashes = dict_get(d, "TSKPublicKeyHashes"),
		      *expires = dict_get(d, "TSKExpirationDate");
	struct import_set *s;
	char buf[64];
	const char *t;

	if (is_excluded(im, d) || im->rc || !(s = set_add(im)))
		return;
	set_host(im, s, xml_line(d), 0, truth(im, d, "TSKIncludeSubdomains", false) ? "**." : "",
		domain);
	if (hashes)
		read_hashes(im, s, hashes);
	if (expires && (t = xml_text(im, expires, buf, sizeof(buf))))
		set_expires(im, s, xml_line(expires), t);
	s->off = !truth(im, d, "TSKEnforcePinning", true);
	if (s->off)
		import_note(im, s, xml_line(d),
			"the application only reports other keys for '%.100s' (TSKEnforcePinning is false), so the set is a comment",
			domain);
	if (dict_get(d, "TSKAdditionalTrustAnchors"))
		import_note(im, s, xml_line(d),
			"the application trusts CAs of its own, too (TSKAdditionalTrustAnchors)");
	set_close(im, xml_line(d));
}

static void
read_exclusion(struct import *im, const char *domain, const xmlNode *d)
{
	char name[PSI_PINS_HOST_MAX + 1];
	struct hole h = {name, xml_line(d)};

	if (!is_excluded(im, d) || host_is_name(domain))
		return;
	host_fold((const uint8_t *)domain, (uint32_t)strlen(domain), name);
	import_holes(im, &h, 1);
}

/* ---- the file ---- */

static void
read_plist(struct import *im, const xmlNode *root)
{
	const xmlNode *top = root && xml_is(root, "plist") ? root->children : NULL;
	const xmlNode *apple, *trustkit;

	while (top && top->type != XML_ELEMENT_NODE)
		top = top->next;
	if (!top || !xml_is(top, "dict")) {
		import_fail(im, root ? xml_line(root) : 0, 0,
			"is no Info.plist: expected <plist> with a <dict> in it");
		return;
	}
	apple = dict_get(dict_get(top, "NSAppTransportSecurity"), "NSPinnedDomains");
	trustkit = dict_get(dict_get(top, "TSKConfiguration"), "TSKPinnedDomains");
	if (!apple && !trustkit)
		import_fail(im, 0, 0,
			"holds no pins: neither NSAppTransportSecurity/NSPinnedDomains nor TSKConfiguration/TSKPinnedDomains");
	if (apple && !im->rc)
		dict_each(im, apple, read_apple);
	if (trustkit && !im->rc)
		dict_each(im, trustkit, read_trustkit);
	if (trustkit && !im->rc)
		dict_each(im, trustkit, read_exclusion);
}

static uint64_t
be(const uint8_t *p, uint32_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* Whether libplist can be given it: its offsets are inside, and what can be within one another is bounded. The trailer: 6
 * bytes unused, size of an offset, size of a reference, then count of objects, the first one, place of the offsets. */
static bool
is_sane_binary(const uint8_t *p, size_t len)
{
	const uint8_t *t = p + len - 32;
	uint64_t cnt, at;
	uint32_t size, containers = 0;

	if (len < 8 + 32 || len > BINARY_MAX)
		return false;
	size = t[6];
	cnt = be(t + 8, 8);
	at = be(t + 24, 8);
	if (size < 1 || size > 8 || at > len - 32 || cnt > (len - 32 - at) / size)
		return false;
	for (uint64_t i = 0; i < cnt; i++) {
		uint64_t off = be(p + at + i * size, size);

		if (off >= len - 32)
			return false;
		containers += p[off] >> 4 == 0xa || p[off] >> 4 == 0xc || p[off] >> 4 == 0xd;
	}
	return containers <= CONTAINERS_MAX;
}

static void
import_binary(struct import *im)
{
	plist_t plist = NULL;
	char *text = NULL;
	uint32_t len = 0;
	xmlDoc *doc;

	if (!is_sane_binary(im->in->p, im->in->len)) {
		import_fail(im, 0, 0,
			"is a binary plist that contradicts itself or is larger than an Info.plist: convert it with plutil -convert xml1");
		return;
	}
	im->no_lines = true;
	plist_from_bin((const char *)im->in->p, (uint32_t)im->in->len, &plist);
	if (plist)
		plist_to_xml(plist, &text, &len);
	plist_free(plist);
	if (!text || !len)
		import_fail(im, 0, 0,
			"is a binary plist that cannot be read: convert it with plutil -convert xml1");
	doc = im->rc ? NULL : xml_open(im, text, len);
	if (doc)
		read_plist(im, xmlDocGetRootElement(doc));
	xmlFreeDoc(doc);
	plist_to_xml_free(text);
}

void
import_ios(struct import *im)
{
	xmlDoc *doc;

	if (im->in->len >= 8 && memcmp(im->in->p, "bplist0", 7) == 0) {
		import_binary(im);
		return;
	}
	doc = xml_open(im, (const char *)im->in->p, im->in->len);
	if (doc)
		read_plist(im, xmlDocGetRootElement(doc));
	xmlFreeDoc(doc);
}
