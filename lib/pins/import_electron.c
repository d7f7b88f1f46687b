/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON. electron-ssl-pinning (npm, 1.0.0) takes [{"domain": "*.a.example", "fingerprints": ["sha256/..."], "strict": false}]; its
 * fingerprints are Electron's Certificate.fingerprint, SHA-256 of the whole certificate, any of the chain but the root.
 * Others write {"a.example": ["sha256/..."]} or {"a.example": {"includeSubdomains": true, "publicKeyHashes": [...],
 * "expirationDate": "2027-01-31"}} (react-native-ssl-public-key-pinning), which are keys. */
#include "import_pvt.h"

#include <jansson.h>

/* Strings may hold NUL: no text of ours does. */
static const char *
text_of(const json_t *v)
{
	const char *t = json_string_value(v);

	return t && strlen(t) == json_string_length(v) ? t : NULL;
}

static void
read_hashes(struct import *im, struct import_set *s, const char *domain, const json_t *list,
	enum pin_kind kind)
{
	const json_t *v;
	size_t i;

	if (!json_is_array(list)) {
		import_fail(im, 0, 0, "the pins of '%.100s' are no list", domain);
		return;
	}
	json_array_foreach(list, i, v)
	{
		const char *t = text_of(v);

		if (!t)
			import_fail(im, 0, 0, "pin %zu of '%.100s' is no text", i + 1, domain);
		else
			set_pin(im, s, 0, 0, kind, t);
		if (im->rc)
			return;
	}
}

/* The domain with its wildcard: electron-ssl-pinning makes of "*." what fits the name itself and everything below. */
static bool
read_domain(struct import *im, struct import_set *s, const char *domain, bool tree)
{
	bool star = strncmp(domain, "*.", 2) == 0;

	return set_host(im, s, 0, 0, star || tree ? "**." : "", star ? domain + 2 : domain);
}

static void
read_entry(struct import *im, const json_t *e, size_t i)
{
	const char *domain = text_of(json_object_get(e, "domain"));
	const json_t *prints = json_object_get(e, "fingerprints");
	struct import_set *s;

	if (!domain || !prints) {
		import_fail(im, 0, 0,
			"entry %zu: expected {\"domain\": \"a.example\", \"fingerprints\": [\"sha256/...\"]}",
			i + 1);
		return;
	}
	s = set_add(im);
	if (!s || !read_domain(im, s, domain, false))
		return;
	read_hashes(im, s, domain, prints, PIN_CERT);
	if (json_is_true(json_object_get(e, "strict")))
		import_note(im, s, 0,
			"'%.100s' is strict: the application wants every certificate of the chain listed, not one",
			domain);
	set_close(im, 0);
}

static void
read_keys(struct import *im, const char *domain, const json_t *v)
{
	const char *expires = text_of(json_object_get(v, "expirationDate"));
	const json_t *hashes = json_is_array(v) ? v : json_object_get(v, "publicKeyHashes");
	struct import_set *s;

	if (!hashes) {
		import_fail(im, 0, 0,
			"'%.100s': expected a list of pins, or an object with publicKeyHashes",
			domain);
		return;
	}
	s = set_add(im);
	if (!s ||
		!read_domain(im, s, domain, json_is_true(json_object_get(v, "includeSubdomains"))))
		return;
	if (!expires || set_expires(im, s, 0, expires))
		read_hashes(im, s, domain, hashes, PIN_SPKI);
	set_close(im, 0);
}

static void
read_root(struct import *im, json_t *root)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_array(root)) {
		for (i = 0; i < json_array_size(root) && !im->rc; i++)
			read_entry(im, json_array_get(root, i), i);
		return;
	}
	if (text_of(json_object_get(root, "domain"))) {
		read_entry(im, root, 0);
		return;
	}
	json_object_foreach(root, key, v)
	{
		if (im->rc)
			return;
		read_keys(im, key, v);
	}
}

void
import_electron(struct import *im)
{
	const char *p = (const char *)im->in->p;
	size_t len = im->in->len;
	json_error_t e;
	json_t *root;

	if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
		p += 3;
		len -= 3;
	}
	root = json_loadb(p, len, JSON_REJECT_DUPLICATES, &e);
	if (!root) {
		import_fail(im, e.line > 0 ? (uint32_t)e.line : 0,
			e.column > 0 ? (uint32_t)e.column : 0, "is not JSON: %s", e.text);
		return;
	}
	read_root(im, root);
	json_decref(root);
}
