/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of any origin as a JSON string: RFC 8259 section 7. What is plain is found and copied 16 bytes at a time. */
#include "export_pvt.h"
#include "json_pvt.h"
#include "psi_export.h"

#include <stdlib.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

static const char hex[] = "0123456789abcdef";

static bool
is_plain(uint8_t b)
{
	return b >= 0x20 && b < 0x7f && b != '"' && b != '\\';
}

#ifdef __SSE2__
/* A bit for each of 16 bytes that is not plain. Bytes from 0x80 on are negative, and so below 0x20. */
static unsigned int
special_of(__m128i x)
{
	__m128i low = _mm_cmplt_epi8(x, _mm_set1_epi8(0x20));
	__m128i del = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));
	__m128i quote = _mm_cmpeq_epi8(x, _mm_set1_epi8('"'));
	__m128i slash = _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'));

	return (unsigned int)_mm_movemask_epi8(
		_mm_or_si128(_mm_or_si128(low, del), _mm_or_si128(quote, slash)));
}
#endif

/* Copies what is plain at the beginning of [p,end). Returns how many bytes it was. */
static size_t
copy_plain(char *q, const uint8_t *p, const uint8_t *end, const uint8_t *readable)
{
	const uint8_t *begin = p;

#ifdef __SSE2__
	for (; p < end && readable - p >= 16; p += 16, q += 16) {
		__m128i x = _mm_loadu_si128((const void *)p);
		unsigned int special = special_of(x);

		_mm_storeu_si128((void *)q, x);
		if (special) {
			p += __builtin_ctz(special);
			break;
		}
	}
	if (p >= end)
		return (size_t)(end - begin);
	q += (p - begin) % 16; /* q stood where the last 16 began */
#else
	(void)readable;
#endif
	while (p < end && is_plain(*p))
		*q++ = (char)*p++;
	return (size_t)(p - begin);
}

static char *
u_escape(char *q, uint32_t unit)
{
	char s[6] = {'\\', 'u', hex[unit >> 12 & 15], hex[unit >> 8 & 15], hex[unit >> 4 & 15],
		hex[unit & 15]};

	memcpy(q, s, sizeof(s));
	return q + sizeof(s);
}

/* One character that is not plain ASCII; *p goes behind it. A byte that is no text becomes four characters: \xba. */
static char *
special(char *q, const uint8_t **p, const uint8_t *end)
{
	uint32_t cp;
	unsigned int n = utf8_next(*p, end, &cp);

	if (cp == UINT32_MAX) {
		for (unsigned int i = 0; i < n; i++, q += 5) {
			char s[5] = {'\\', '\\', 'x', hex[(*p)[i] >> 4], hex[(*p)[i] & 15]};

			memcpy(q, s, sizeof(s));
		}
	} else if (cp == '"' || cp == '\\') {
		*q++ = '\\';
		*q++ = (char)cp;
	} else if (!cp_is_unsafe(cp)) {
		memcpy(q, *p, n);
		q += n;
	} else if (cp < 0x10000) {
		q = u_escape(q, cp);
	} else {
		q = u_escape(q, 0xd800 + ((cp - 0x10000) >> 10));
		q = u_escape(q, 0xdc00 + (cp & 0x3ff));
	}
	*p += n;
	return q;
}

char *
json_str(char *q, const uint8_t *p, size_t n, const uint8_t *readable)
{
	const uint8_t *end = p + n;

	*q++ = '"';
	while (p < end) {
		size_t plain = copy_plain(q, p, end, readable);

		q += plain;
		p += plain;
		if (p < end)
			q = special(q, &p, end);
	}
	*q++ = '"';
	return q;
}

bool
psi_json_str(char *buf, size_t cap, size_t *at, const void *p, size_t len)
{
	char *s = malloc(JSON_STR_ROOM(len));
	size_t n = s ? (size_t)(json_str(s, p, len, (const uint8_t *)p + len) - s) : 0;
	bool fits = s && n <= cap - *at;

	if (fits) {
		memcpy(buf + *at, s, n);
		*at += n;
	}
	free(s);
	return fits;
}
