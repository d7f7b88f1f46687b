/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of pinsets being imported, and which format a file is. */
#include "import_pvt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

/* ---- messages ---- */

static void
place(const struct import *im, uint32_t line, uint32_t col, char *out, size_t cap)
{
	if (im->no_lines)
		line = 0;
	if (line && col)
		snprintf(out, cap, "%.200s:%u:%u", im->in->file, line, col);
	else if (line)
		snprintf(out, cap, "%.200s:%u", im->in->file, line);
	else
		snprintf(out, cap, "%.200s", im->in->file);
}

/* What stands in a file may stand in a message, but not steer a terminal or end a comment's line. */
static void
tame(char *s)
{
	for (; *s; s++)
		if ((uint8_t)*s < 0x20 || (uint8_t)*s >= 0x7f)
			*s = '?';
}

int
import_fail(struct import *im, uint32_t line, uint32_t col, const char *fmt, ...)
{
	char at[256], text[400];
	va_list ap;

	if (im->rc)
		return im->rc;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tame(text);
	place(im, line, col, at, sizeof(at));
	return im->rc = psi_err_set(im->err, -EINVAL, "%s: %s", at, text);
}

int
import_no_memory(struct import *im)
{
	return im->rc = psi_err_set(im->err, -ENOMEM, "%s: out of memory", im->in->file);
}

/* Makes room for one more of size bytes at *p, which has cnt; doubles at powers of 2. */
static bool
grow(struct import *im, void *pp, uint32_t cnt, size_t size)
{
	void **p = pp, *n;

	if (cnt & (cnt - 1))
		return true;
	n = realloc(*p, (cnt ? 2 * (size_t)cnt : 1) * size);
	if (!n) {
		import_no_memory(im);
		return false;
	}
	*p = n;
	return true;
}

void
import_note(struct import *im, struct import_set *set, uint32_t line, const char *fmt, ...)
{
	char at[256], text[400], all[700];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tame(text);
	place(im, line, 0, at, sizeof(at));
	snprintf(all, sizeof(all), "%s: %s", at, text);
	if (im->in->note)
		im->in->note(im->in->ctx, all);
	if (!set || !grow(im, &set->note, set->note_cnt, sizeof(*set->note)))
		return;
	set->note[set->note_cnt] = strdup(text);
	if (set->note[set->note_cnt])
		set->note_cnt++;
	else
		import_no_memory(im);
}

/* ---- sets ---- */

struct import_set *
set_add(struct import *im)
{
	struct psi_pins_list *l = im->list;

	if (l->cnt == SETS_MAX) {
		import_fail(im, 0, 0, "more pinsets than a configuration takes: %d", SETS_MAX);
		return NULL;
	}
	if (im->rc || !grow(im, &l->set, l->cnt, sizeof(*l->set)))
		return NULL;
	l->set[l->cnt] = (struct import_set){.format = im->in->format};
	return &l->set[l->cnt++];
}

static void
set_free(struct import_set *s)
{
	for (uint32_t i = 0; i < s->host_cnt; i++)
		free(s->host[i]);
	for (uint32_t i = 0; i < s->note_cnt; i++)
		free(s->note[i]);
	free(s->host);
	free(s->note);
	free(s->pin);
}

void
set_drop(struct import *im)
{
	set_free(&im->list->set[--im->list->cnt]);
}

void
set_close(struct import *im, uint32_t line)
{
	const struct import_set *s = &im->list->set[im->list->cnt - 1];

	if (im->rc || s->pin_cnt)
		return;
	import_note(im, NULL, line,
		"the set of '%.100s' is left out: it has no pin that is supported",
		s->host_cnt ? s->host[0] : "");
	set_drop(im);
}

bool
set_host(struct import *im, struct import_set *s, uint32_t line, uint32_t col, const char *prefix,
	const char *name)
{
	char text[PSI_PINS_HOST_MAX + 8], folded[PSI_PINS_HOST_MAX + 1];
	size_t len = strlen(name);
	const char *why = host_is_name(name);

	if (why) {
		import_fail(im, line, col, "'%.100s' %s", name, why);
		return false;
	}
	host_fold((const uint8_t *)name, (uint32_t)len, folded);
	snprintf(text, sizeof(text), "%s%s", prefix, folded);
	for (uint32_t i = 0; i < s->host_cnt; i++)
		if (strcmp(s->host[i], text) == 0)
			return true;
	if (s->host_cnt == HOSTS_MAX) {
		import_fail(im, line, col, "more hosts in one set than are read: %d", HOSTS_MAX);
		return false;
	}
	if (!grow(im, &s->host, s->host_cnt, sizeof(*s->host)))
		return false;
	s->host[s->host_cnt] = strdup(text);
	if (!s->host[s->host_cnt])
		return import_no_memory(im) == 0;
	s->host_cnt++;
	return true;
}

bool
set_hash(struct import *im, struct import_set *s, uint32_t line, enum pin_kind kind,
	const uint8_t hash[32])
{
	uint32_t same = 0;

	for (uint32_t i = 0; i < s->pin_cnt; i++) {
		if (s->pin[i].kind != kind)
			continue;
		if (memcmp(s->pin[i].hash, hash, 32) == 0)
			return true;
		same++;
	}
	if (same == PINS_MAX) {
		import_fail(im, line, 0, "more pins in one set than a configuration takes: %d",
			PINS_MAX);
		return false;
	}
	if (!grow(im, &s->pin, s->pin_cnt, sizeof(*s->pin)))
		return false;
	memcpy(s->pin[s->pin_cnt].hash, hash, 32);
	s->pin[s->pin_cnt++].kind = (uint8_t)kind;
	return true;
}

bool
set_pin(struct import *im, struct import_set *s, uint32_t line, uint32_t col, enum pin_kind kind,
	const char *text)
{
	uint8_t hash[32];
	const char *why;

	if (hash_is_sha1(text)) {
		import_note(
			im, s, line, "the pin '%.40s' is left out: SHA-1 is not supported", text);
		return true;
	}
	why = psi_pins_parse_hash(text, false, hash);
	if (why) {
		import_fail(im, line, col, "the pin '%.100s' %s", text, why);
		return false;
	}
	return set_hash(im, s, line, kind, hash);
}

bool
set_expires(struct import *im, struct import_set *s, uint32_t line, const char *t)
{
	static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day, n = 0;

	if (sscanf(t, "%4d-%2d-%2d%n", &year, &month, &day, &n) != 3 || n != 10 ||
		(t[10] && t[10] != 'T') || year < 1970 || month < 1 || month > 12 || day < 1 ||
		day > days[month - 1] ||
		(month == 2 && day == 29 && (year % 4 || (year % 100 == 0 && year % 400)))) {
		import_fail(im, line, 0, "'%.40s' is no date: expected one such as 2027-01-31", t);
		return false;
	}
	snprintf(s->expires, sizeof(s->expires), "%04u-%02u-%02u", (unsigned int)year % 10000u,
		(unsigned int)month % 100u, (unsigned int)day % 100u);
	return true;
}

/* ---- wildcards ---- */

/* Behind name, a label boundary, suffix. */
static bool
below(const char *name, const char *suffix, bool itself)
{
	size_t n = strlen(name), s = strlen(suffix);

	if (n == s)
		return itself && strcmp(name, suffix) == 0;
	return n > s && name[n - s - 1] == '.' && strcmp(name + n - s, suffix) == 0;
}

bool
pattern_covers(const char *pattern, const char *other)
{
	const char *name = other + strspn(other, "*.");
	bool one = strncmp(other, "*.", 2) == 0, tree = strncmp(other, "**.", 3) == 0;

	if (strncmp(pattern, "**.", 3) == 0)
		return below(name, pattern + 3, true);
	if (strncmp(pattern, "*.", 2) == 0)
		return !one && !tree && strchr(name, '.') &&
		       strcmp(strchr(name, '.') + 1, pattern + 2) == 0;
	return strcmp(pattern, other) == 0;
}

static bool
is_covered(const struct import *im, const char *name, uint32_t until)
{
	for (uint32_t i = im->first; i < until; i++)
		for (uint32_t k = 0; k < im->list->set[i].host_cnt; k++)
			if (pattern_covers(im->list->set[i].host[k], name))
				return true;
	return false;
}

void
import_holes(struct import *im, const struct hole *hole, uint32_t cnt)
{
	uint32_t until = im->list->cnt;
	struct import_set *s = NULL;

	for (uint32_t i = 0; i < cnt && !im->rc; i++) {
		const char *tree = strncmp(hole[i].name, "**.", 3) == 0 ? "**." : "";

		if (!is_covered(im, hole[i].name, until))
			continue;
		if (!s && !(s = set_add(im)))
			return;
		s->unpinned = true;
		set_host(im, s, hole[i].line, 0, tree, hole[i].name + strlen(tree));
	}
}

/* ---- formats ---- */

static const struct {
	const char *name;
	void (*import)(struct import *im);
} formats[PSI_PINS_FORMAT_CNT] = {
	[PSI_PINS_FORMAT_AUTO] = {"auto", NULL},
	[PSI_PINS_FORMAT_ANDROID] = {"android", import_android},
	[PSI_PINS_FORMAT_IOS] = {"ios", import_ios},
	[PSI_PINS_FORMAT_OKHTTP] = {"okhttp", import_okhttp},
	[PSI_PINS_FORMAT_HPKP] = {"hpkp", import_hpkp},
	[PSI_PINS_FORMAT_ELECTRON] = {"electron", import_electron},
	[PSI_PINS_FORMAT_PEM] = {"pem", import_pem},
};

const char *
psi_pins_format_name(enum psi_pins_format f)
{
	return f < PSI_PINS_FORMAT_CNT ? formats[f].name : NULL;
}

enum psi_pins_format
psi_pins_format_of(const char *name)
{
	enum psi_pins_format f = PSI_PINS_FORMAT_AUTO;

	while (f < PSI_PINS_FORMAT_CNT && strcmp(formats[f].name, name) != 0)
		f++;
	return f;
}

static bool
has(const uint8_t *p, size_t len, const char *what)
{
	return memmem(p, len, what, strlen(what));
}

static enum psi_pins_format
sniff(const uint8_t *p, size_t len)
{
	if (len >= 8 && memcmp(p, "bplist0", 7) == 0)
		return PSI_PINS_FORMAT_IOS;
	if (len >= 4 && memcmp(p, "\x03\x00\x08\x00", 4) == 0)
		return PSI_PINS_FORMAT_ANDROID;
	if (len >= 4 && p[0] == 0x30 && (p[1] == 0x82 || p[1] == 0x81))
		return PSI_PINS_FORMAT_PEM;
	if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
		p += 3;
		len -= 3;
	}
	for (; len && strchr(" \t\r\n", *p) && *p; len--)
		p++;
	if (len && *p == '<')
		return has(p, len, "<plist") ? PSI_PINS_FORMAT_IOS : PSI_PINS_FORMAT_ANDROID;
	if (len && (*p == '{' || *p == '['))
		return PSI_PINS_FORMAT_ELECTRON;
	if (has(p, len, "-----BEGIN "))
		return PSI_PINS_FORMAT_PEM;
	if (has(p, len, "CertificatePinner"))
		return PSI_PINS_FORMAT_OKHTTP;
	if (has(p, len, "pin-sha256") || has(p, len, "pin-sha1"))
		return PSI_PINS_FORMAT_HPKP;
	return has(p, len, "sha256/") || has(p, len, "sha1/") ? PSI_PINS_FORMAT_OKHTTP
							      : PSI_PINS_FORMAT_AUTO;
}

struct psi_pins_list *
psi_pins_list_open(void)
{
	return calloc(1, sizeof(struct psi_pins_list));
}

void
psi_pins_list_close(struct psi_pins_list *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < l->cnt; i++)
		set_free(&l->set[i]);
	free(l->set);
	free(l);
}

/* Sets of which every pin was left out, or that had none. */
static void
sweep(struct import *im)
{
	struct psi_pins_list *l = im->list;
	uint32_t i = im->first;

	while (i < l->cnt && !im->rc) {
		struct import_set s = l->set[i];

		if (s.pin_cnt || s.unpinned) {
			i++;
			continue;
		}
		memmove(&l->set[i], &l->set[i + 1], (l->cnt - i - 1) * sizeof(s));
		l->set[l->cnt - 1] = s;
		set_close(im, 0);
	}
}

int
psi_pins_import(struct psi_pins_list *l, const struct psi_pins_import *given, struct psi_err *err)
{
	struct psi_pins_import in = *given;
	struct import im = {.list = l, .in = &in, .err = err, .first = l->cnt};
	const char *why = in.host ? host_is_name(in.host) : NULL;

	if (in.format == PSI_PINS_FORMAT_AUTO)
		in.format = sniff(in.p, PSI_MIN(in.len, (size_t)PSI_PINS_IMPORT_MAX));
	if (in.len > PSI_PINS_IMPORT_MAX)
		import_fail(&im, 0, 0, "is larger than a file of pins can be: %u MiB",
			PSI_PINS_IMPORT_MAX >> 20);
	else if (why)
		import_fail(&im, 0, 0, "the host '%.100s' %s", in.host, why);
	else if (in.format >= PSI_PINS_FORMAT_CNT || !formats[in.format].import)
		import_fail(&im, 0, 0,
			"is of no format that is known here; if it is one, name it: --format android, ios, okhttp, hpkp, electron or pem");
	else
		formats[in.format].import(&im);
	sweep(&im);
	if (!im.rc && l->cnt == im.first)
		import_fail(&im, 0, 0, "holds no pins (read as %s)", formats[in.format].name);
	while (im.rc && l->cnt > im.first)
		set_drop(&im);
	return im.rc ? im.rc : (int)(l->cnt - im.first);
}
