/* SPDX-License-Identifier: BSD-3-Clause */
#include "x509_pvt.h"

#include <stdio.h>

/* A table is walked in order; length and last byte differ first, so most rows cost two compares. */
static inline bool
same(const char *der, size_t der_len, const uint8_t *p, uint32_t len)
{
	return len == der_len && p[len - 1] == (uint8_t)der[der_len - 1] &&
	       memcmp(p, der, der_len) == 0;
}

struct name_row {
	const char *der;
	uint16_t len, bits;
	const char *name;
};

static const struct name_row attrs[] = {
#define ATTR(der, dots, name) {der, sizeof(der) - 1, 0, name},
#include "oids.def"
};

static const struct name_row sigalgs[] = {
#define SIGALG(der, dots, name) {der, sizeof(der) - 1, 0, name},
#include "oids.def"
};

static const struct name_row curves[] = {
#define CURVE(der, dots, name, bits) {der, sizeof(der) - 1, bits, name},
#include "oids.def"
};

static const struct name_row *
find(const struct name_row *row, size_t cnt, const uint8_t *p, uint32_t len)
{
	for (size_t i = 0; i < cnt; i++)
		if (same(row[i].der, row[i].len, p, len))
			return &row[i];
	return NULL;
}

const char *
x_oid_attr(const uint8_t *p, uint32_t len)
{
	const struct name_row *r = find(attrs, PSI_COUNT(attrs), p, len);

	return r ? r->name : NULL;
}

const char *
x_oid_sigalg(const uint8_t *p, uint32_t len)
{
	const struct name_row *r = find(sigalgs, PSI_COUNT(sigalgs), p, len);

	return r ? r->name : NULL;
}

const char *
x_oid_curve(const uint8_t *p, uint32_t len, uint16_t *bits)
{
	const struct name_row *r = find(curves, PSI_COUNT(curves), p, len);

	*bits = r ? r->bits : 0;
	return r ? r->name : NULL;
}

bool
x_oid_key(const uint8_t *p, uint32_t len, uint8_t *type, uint16_t *bits, const char **set)
{
	static const struct {
		const char *der;
		uint16_t len, bits;
		uint8_t type;
		const char *set;
	} row[] = {
#define KEYALG(der, dots, type, bits, set) {der, sizeof(der) - 1, bits, type, set},
#include "oids.def"
	};

	for (size_t i = 0; i < PSI_COUNT(row); i++)
		if (same(row[i].der, row[i].len, p, len)) {
			*type = row[i].type;
			*bits = row[i].bits;
			*set = row[i].set;
			return true;
		}
	return false;
}

enum x_ext
x_oid_ext(const uint8_t *p, uint32_t len)
{
#define EXT(der, dots, what)                    \
	if (same(der, sizeof(der) - 1, p, len)) \
		return what;
#include "oids.def"
	return X_UNKNOWN;
}

uint16_t
x_oid_eku(const uint8_t *p, uint32_t len)
{
#define EKU(der, dots, bit)                     \
	if (same(der, sizeof(der) - 1, p, len)) \
		return bit;
#include "oids.def"
	return PSI_EKU_OTHER;
}

/* Appends v in decimal. Arcs of 128 bits exist: 2.25.UUID. */
static void
put_arc(char *out, size_t cap, size_t *at, unsigned __int128 v)
{
	char digits[40];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + (unsigned int)(v % 10));
		v /= 10;
	} while (v);
	while (n && *at + 1 < cap)
		out[(*at)++] = digits[--n];
}

/* False when an arc is cut off, padded, or beyond 128 bits. */
static bool
arcs(const uint8_t *p, uint32_t len, char *out, size_t cap)
{
	unsigned __int128 v = 0;
	size_t at = 0;
	bool fresh = true, first = true;

	for (uint32_t i = 0; i < len; i++) {
		if ((fresh && p[i] == 0x80) || v >> 121)
			return false;
		v = v << 7 | (p[i] & 0x7f);
		fresh = !(p[i] & 0x80);
		if (!fresh)
			continue;
		if (first) {
			unsigned int top = v < 80 ? (unsigned int)v / 40 : 2;

			put_arc(out, cap, &at, top);
			v -= top * 40;
			first = false;
		}
		if (at + 1 < cap)
			out[at++] = '.';
		put_arc(out, cap, &at, v);
		v = 0;
	}
	out[at] = 0;
	return fresh && !first;
}

void
x_oid_dots(const uint8_t *p, uint32_t len, char *out, size_t cap)
{
	size_t at = 1;

	if (arcs(p, len, out, cap))
		return;
	out[0] = '#';
	for (uint32_t i = 0; i < len && at + 2 < cap; i++, at += 2)
		snprintf(out + at, 3, "%02X", p[i]);
	out[at] = 0;
}
