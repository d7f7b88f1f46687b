/* SPDX-License-Identifier: BSD-3-Clause */
/* Roots as nearly all of them are kept, read without libcrypto, which takes longer over a system's folder of them than over
 * a small capture. What is not as programs write it (RFC 7468 section 3, stricttextualmsg) is libcrypto's to read. */
#include "trust_pvt.h"

#include <xxhash.h>

#define LINE   64 /* characters of every line but the last */
#define MARK   "-----"
#define BEGIN  MARK "BEGIN CERTIFICATE" MARK "\n"
#define FINISH MARK "END CERTIFICATE" MARK

/* What a character stands for; 64 for one that stands for nothing. */
static unsigned int
digit_of(unsigned char c)
{
	static const unsigned char digits[256] = {
#define D(c, n) [c] = (n) + 1
		D('A', 0), D('B', 1), D('C', 2), D('D', 3), D('E', 4), D('F', 5), D('G', 6),
		D('H', 7), D('I', 8), D('J', 9), D('K', 10), D('L', 11), D('M', 12), D('N', 13),
		D('O', 14), D('P', 15), D('Q', 16), D('R', 17), D('S', 18), D('T', 19), D('U', 20),
		D('V', 21), D('W', 22), D('X', 23), D('Y', 24), D('Z', 25), D('a', 26), D('b', 27),
		D('c', 28), D('d', 29), D('e', 30), D('f', 31), D('g', 32), D('h', 33), D('i', 34),
		D('j', 35), D('k', 36), D('l', 37), D('m', 38), D('n', 39), D('o', 40), D('p', 41),
		D('q', 42), D('r', 43), D('s', 44), D('t', 45), D('u', 46), D('v', 47), D('w', 48),
		D('x', 49), D('y', 50), D('z', 51), D('0', 52), D('1', 53), D('2', 54), D('3', 55),
		D('4', 56), D('5', 57), D('6', 58), D('7', 59), D('8', 60), D('9', 61), D('+', 62),
		D('/', 63)
#undef D
	};

	return (digits[c] - 1u) & 127;
}

/* A line of n characters, a multiple of 4; padding may end the last. Returns where the bytes end, NULL when it is no such
 * line. */
static unsigned char *
decode_line(const char *s, size_t n, bool last, unsigned char *to)
{
	size_t pad = last && s[n - 1] == '=' ? 1 + (s[n - 2] == '=') : 0;
	unsigned int bad = 0;

	for (const char *end = s + n; s < end; s += 4) {
		bool padded = pad && s + 4 == end;
		unsigned int a = digit_of((unsigned char)s[0]), b = digit_of((unsigned char)s[1]);
		unsigned int c = padded && pad == 2 ? 0 : digit_of((unsigned char)s[2]);
		unsigned int d = padded ? 0 : digit_of((unsigned char)s[3]);
		unsigned int v = a << 18 | b << 12 | c << 6 | d;

		bad |= a | b | c | d;
		*to++ = (unsigned char)(v >> 16);
		*to++ = (unsigned char)(v >> 8);
		*to++ = (unsigned char)v;
	}
	return bad & 64 ? NULL : to - pad;
}

long
pem_next(const char **text, const char *end, unsigned char *der)
{
	const char *p = *text, *line;
	unsigned char *to = der;

	/* text between certificates is nobody's */
	while ((size_t)(end - p) < strlen(MARK) || memcmp(p, MARK, strlen(MARK)) != 0) {
		p = memchr(p, '\n', (size_t)(end - p));
		if (!p)
			return 0;
		p++;
	}
	if ((size_t)(end - p) < strlen(BEGIN) || memcmp(p, BEGIN, strlen(BEGIN)) != 0)
		return -1;
	for (p += strlen(BEGIN); p < end && *p != '-'; p = line + 1) {
		size_t n;

		line = memchr(p, '\n', PSI_MIN((size_t)(end - p), (size_t)LINE + 1));
		n = line ? (size_t)(line - p) : 0;
		if (n < 4 || n % 4 || line + 1 == end || (n < LINE && line[1] != '-'))
			return -1;
		to = decode_line(p, n, line[1] == '-', to);
		if (!to)
			return -1;
	}
	if ((size_t)(end - p) < strlen(FINISH) || memcmp(p, FINISH, strlen(FINISH)) != 0)
		return -1;
	p += strlen(FINISH);
	if (p < end && *p != '\n')
		return -1;
	*text = p + (p < end);
	return to == der ? -1 : to - der;
}

struct span {
	const unsigned char *p, *end;
};

/* The element at the beginning of s, which goes behind it. Returns its tag, or -1 for what is no DER. */
static int
element(struct span *s, struct span *content)
{
	int tag, class;
	long n;

	content->p = s->p;
	if (s->p >= s->end || ASN1_get_object(&content->p, &n, &tag, &class, s->end - s->p) & 0x81)
		return -1;
	content->end = content->p + n;
	s->p = content->end;
	return tag;
}

/* An attribute of a name, by its type and the ASCII letters and digits of its value: those are the same in all forms
 * that libcrypto takes for equal, whatever the kind of string, its case and its blanks. */
static uint64_t
attribute_key(struct span type, int tag, struct span value)
{
	unsigned int unit = tag == V_ASN1_BMPSTRING ? 2 : tag == V_ASN1_UNIVERSALSTRING ? 4 : 1;
	uint64_t h = XXH3_64bits(type.p, (size_t)(type.end - type.p));

	for (; value.end - value.p >= unit; value.p += unit) {
		uint32_t c = 0;

		for (unsigned int i = 0; i < unit; i++)
			c = c << 8 | value.p[i];
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			h = (h ^ c) * 0x100000001b3;
	}
	return h;
}

bool
name_key(const unsigned char *der, size_t len, uint64_t *key)
{
	struct span s = {der, der + len}, name, set, attribute, type, value;
	int tag;

	*key = 0;
	if (element(&s, &name) != V_ASN1_SEQUENCE)
		return false;
	while (name.p < name.end) {
		if (element(&name, &set) != V_ASN1_SET)
			return false;
		while (set.p < set.end) {
			if (element(&set, &attribute) != V_ASN1_SEQUENCE ||
				element(&attribute, &type) != V_ASN1_OBJECT ||
				(tag = element(&attribute, &value)) < 0)
				return false;
			*key += attribute_key(type, tag, value); /* in any order */
		}
	}
	return true;
}

bool
subject_key(const unsigned char *der, size_t len, uint64_t *key)
{
	struct span s = {der, der + len}, certificate, tbs, skipped;
	int left;

	if (element(&s, &certificate) != V_ASN1_SEQUENCE ||
		element(&certificate, &tbs) != V_ASN1_SEQUENCE)
		return false;
	/* version, which is [0] and may be absent, serialNumber, signature, issuer, validity */
	for (left = 5 - (tbs.p < tbs.end && *tbs.p != 0xa0); left > 0; left--)
		if (element(&tbs, &skipped) < 0)
			return false;
	return name_key(tbs.p, (size_t)(tbs.end - tbs.p), key);
}
