/* SPDX-License-Identifier: BSD-3-Clause */
/* Text of any origin, made fit for a person's terminal. */
#include "export_pvt.h"
#include "psi_export.h"

/* Unicode table 3-7: which second byte a lead byte allows, and how many bytes follow it. */
static unsigned int
lead(uint8_t b, uint8_t *lo, uint8_t *hi)
{
	*lo = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
	*hi = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
	if (b >= 0xc2 && b <= 0xdf)
		return 1;
	if (b >= 0xe0 && b <= 0xef)
		return 2;
	if (b >= 0xf0 && b <= 0xf4)
		return 3;
	return 0;
}

unsigned int
utf8_next(const uint8_t *p, const uint8_t *end, uint32_t *cp)
{
	unsigned int more, n = 1;
	uint8_t lo, hi;

	if (*p < 0x80) {
		*cp = *p;
		return 1;
	}
	more = lead(*p, &lo, &hi);
	*cp = more ? *p & (0x3fu >> more) : UINT32_MAX;
	for (; n <= more; n++, lo = 0x80, hi = 0xbf) {
		if (p + n == end || p[n] < lo || p[n] > hi) {
			*cp = UINT32_MAX;
			return n;
		}
		*cp = *cp << 6 | (p[n] & 0x3f);
	}
	return n;
}

struct range {
	uint32_t lo, hi;
};

static bool
in_ranges(uint32_t cp, const struct range *r, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		if (cp >= r[i].lo && cp <= r[i].hi)
			return true;
	return false;
}

bool
cp_is_unsafe(uint32_t cp)
{
	/* controls, then what is invisible, breaks lines or turns the direction of writing */
	static const struct range unsafe[] = {
		{0x00, 0x1f},
		{0x7f, 0x9f},
		{0xad, 0xad},
		{0x61c, 0x61c},
		{0x180e, 0x180e},
		{0x200b, 0x200f},
		{0x2028, 0x202e},
		{0x2060, 0x206f},
		{0xfeff, 0xfeff},
		{0xfff9, 0xfffb},
		{0x1bca0, 0x1bca3},
		{0x1d173, 0x1d17a},
		{0xe0000, 0xe0fff},
	};

	return in_ranges(cp, unsafe, PSI_COUNT(unsafe));
}

unsigned int
cp_width(uint32_t cp)
{
	static const struct range none[] = {
		{0x300, 0x36f},
		{0x483, 0x489},
		{0x591, 0x5bd},
		{0x610, 0x61a},
		{0x64b, 0x65f},
		{0x6d6, 0x6dc},
		{0x900, 0x902},
		{0x93c, 0x93c},
		{0x941, 0x948},
		{0x94d, 0x94d},
		{0xe31, 0xe31},
		{0xe34, 0xe3a},
		{0xe47, 0xe4e},
		{0x1ab0, 0x1aff},
		{0x1dc0, 0x1dff},
		{0x20d0, 0x20ff},
		{0x302a, 0x302d},
		{0x3099, 0x309a},
		{0xfe00, 0xfe0f},
		{0xfe20, 0xfe2f},
	};
	static const struct range wide[] = {
		{0x1100, 0x115f},
		{0x231a, 0x231b},
		{0x2e80, 0x303e},
		{0x3041, 0xa4cf},
		{0xa960, 0xa97f},
		{0xac00, 0xd7a3},
		{0xf900, 0xfaff},
		{0xfe30, 0xfe6f},
		{0xff00, 0xff60},
		{0xffe0, 0xffe6},
		{0x1f300, 0x1f64f},
		{0x1f680, 0x1f6ff},
		{0x1f900, 0x1f9ff},
		{0x20000, 0x3fffd},
	};

	if (cp < 0x300)
		return 1;
	if (in_ranges(cp, none, PSI_COUNT(none)))
		return 0;
	return in_ranges(cp, wide, PSI_COUNT(wide)) ? 2 : 1;
}

/* The next character of [*p,end) in its printable form, at most 4 bytes a byte, into out. The backslash is escaped as
 * well, so that two different texts never look the same. Returns its bytes; *cols its columns. */
static unsigned int
clean_next(const uint8_t **p, const uint8_t *end, char *out, unsigned int *cols)
{
	uint32_t cp;
	unsigned int n = utf8_next(*p, end, &cp);

	if (cp != UINT32_MAX && cp != '\\' && !cp_is_unsafe(cp)) {
		memcpy(out, *p, n);
		*p += n;
		*cols = cp_width(cp);
		return n;
	}
	for (unsigned int i = 0; i < n; i++) {
		uint8_t b = (*p)[i];

		out[4 * i] = '\\';
		out[4 * i + 1] = 'x';
		out[4 * i + 2] = "0123456789ABCDEF"[b >> 4];
		out[4 * i + 3] = "0123456789ABCDEF"[b & 15];
	}
	*p += n;
	*cols = 4 * n;
	return 4 * n;
}

static const char ellipsis[] = "…"; /* 3 bytes, 1 column */

unsigned int
psi_text_clean(char *out, size_t cap, unsigned int cols, const void *text, size_t len)
{
	const uint8_t *p = text, *end = p + len;
	unsigned int used = 0, back_used = 0, w;
	size_t at = 0, back = 0; /* back: where the text can be cut to make room for the ellipsis */
	char c[16];

	if (!cap)
		return 0;
	while (p < end) {
		unsigned int n = clean_next(&p, end, c, &w);

		if (used + w > cols || at + n + sizeof(ellipsis) > cap)
			goto cut;
		memcpy(out + at, c, n);
		at += n;
		used += w;
		if (used < cols) {
			back = at;
			back_used = used;
		}
	}
	out[at] = '\0';
	return used;
cut:
	if (!cols || back + sizeof(ellipsis) > cap) {
		out[0] = '\0';
		return 0;
	}
	memcpy(out + back, ellipsis, sizeof(ellipsis));
	return back_used + 1;
}

size_t
text_cut_at(const char *s, size_t len, unsigned int cols, unsigned int *used)
{
	const uint8_t *p = (const uint8_t *)s, *end = p + len;
	uint32_t cp;

	*used = 0;
	while (p < end) {
		unsigned int n = utf8_next(p, end, &cp), w = cp_width(cp);

		if (*used + w > cols)
			break;
		*used += w;
		p += n;
	}
	return (size_t)(p - (const uint8_t *)s);
}

unsigned int
text_cols(const char *s)
{
	unsigned int cols;

	text_cut_at(s, strlen(s), UINT32_MAX, &cols);
	return cols;
}

unsigned int
text_middle(char *s, unsigned int cols)
{
	unsigned int total = text_cols(s), head_used, drop, dropped, mark = cols ? 1 : 0;
	size_t len = strlen(s), head, tail;

	if (total <= cols)
		return total;
	if (cols < 2) {
		memcpy(s, mark ? "." : "", mark + 1);
		return mark;
	}
	head = text_cut_at(s, len, (cols - 1) * 2 / 5, &head_used);
	/* What goes is at least total + 1 - cols columns; a wide character may take one more. */
	drop = total + 1 - cols;
	tail = head + text_cut_at(s + head, len - head, drop, &dropped);
	while (tail < len && (dropped < drop || tail - head < sizeof(ellipsis) - 1)) {
		uint32_t cp;

		tail += utf8_next((uint8_t *)s + tail, (uint8_t *)s + len, &cp);
		dropped += cp_width(cp);
	}
	memmove(s + head + sizeof(ellipsis) - 1, s + tail, len - tail + 1);
	memcpy(s + head, ellipsis, sizeof(ellipsis) - 1);
	return total - dropped + 1;
}

unsigned int
text_tail(char *s, unsigned int cols)
{
	size_t len = strlen(s), at;
	unsigned int used, total = text_cols(s);

	if (total <= cols)
		return total;
	at = cols ? text_cut_at(s, len, cols - 1, &used) : 0;
	if (!cols || at + sizeof(ellipsis) >
			     len + 1) { /* no room for its 3 bytes in place of what goes */
		s[at] = '\0';
		return cols ? used : 0;
	}
	memcpy(s + at, ellipsis, sizeof(ellipsis));
	return used + 1;
}
