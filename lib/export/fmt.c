/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers, times and addresses as text, without printf: it is slow, and its result depends on the locale. */
#include "export_pvt.h"

/* "00" to "99" */
#define TENS(t)                                                                                   \
	{t, '0'}, {t, '1'}, {t, '2'}, {t, '3'}, {t, '4'}, {t, '5'}, {t, '6'}, {t, '7'}, {t, '8'}, \
	{                                                                                         \
		t, '9'                                                                            \
	}
static const char pair[100][2] = {TENS('0'), TENS('1'), TENS('2'), TENS('3'), TENS('4'), TENS('5'),
	TENS('6'), TENS('7'), TENS('8'), TENS('9')};

static unsigned int
digits_of(uint64_t v)
{
	unsigned int n = 1;

	for (; v >= 10000; v /= 10000)
		n += 4;
	return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

size_t
fmt_u64(char *out, uint64_t v)
{
	unsigned int n = digits_of(v), at = n;

	for (; v >= 100; v /= 100)
		memcpy(out + (at -= 2), pair[v % 100], 2);
	if (v >= 10)
		memcpy(out, pair[v], 2);
	else
		out[0] = (char)('0' + v);
	return n;
}

/* The same of short numbers, many of which come in a row: without a branch. */
size_t
fmt_u16(char *out, uint16_t v)
{
	unsigned int n = 1 + (v >= 10) + (v >= 100) + (v >= 1000) + (v >= 10000);
	uint64_t hundreds = 0, ones = 0, five;

	memcpy(&hundreds, pair[v / 100 % 100], 2);
	memcpy(&ones, pair[v % 100], 2);
	five = ('0' + v / 10000u) | hundreds << 8 | ones << 24;
	five >>= 8 * (5 - n);
	memcpy(out, &five, sizeof(five));
	return n;
}

static char *
two(char *out, uint32_t v)
{
	memcpy(out, pair[v % 100], 2);
	return out + 2;
}

/* Days since 1970 -> year, month, day of the Gregorian calendar. A year is taken to begin in March, so that the leap
 * day is its last; 400 years are 146,097 days. Valid from the year 0 on. */
static void
civil(int64_t days, uint32_t *year, uint32_t *month, uint32_t *day)
{
	uint32_t z = (uint32_t)(days + 719468), era = z / 146097, doe = z % 146097;
	uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = yoe + era * 400 + (*month <= 2);
}

/* The 19 characters that both forms begin with. */
static char *
date_time(char *out, int64_t s)
{
	int64_t days = s >= 0 ? s / 86400 : -((86399 - s) / 86400);
	uint32_t left = (uint32_t)(s - days * 86400), y, m, d;

	civil(days, &y, &m, &d);
	out = two(two(out, y / 100), y % 100);
	*out++ = '-';
	out = two(out, m);
	*out++ = '-';
	out = two(out, d);
	*out++ = 'T';
	out = two(out, left / 3600);
	*out++ = ':';
	out = two(out, left / 60 % 60);
	*out++ = ':';
	return two(out, left % 60);
}

size_t
fmt_time(char *out, uint64_t ns)
{
	char *p = date_time(out, (int64_t)(ns / 1000000000));
	uint32_t us = (uint32_t)(ns % 1000000000 / 1000);

	*p++ = '.';
	p = two(two(two(p, us / 10000), us / 100), us);
	*p++ = 'Z';
	return (size_t)(p - out);
}

size_t
fmt_date(char *out, int64_t s)
{
	/* 0000-03-01, where civil() begins, and 9999-12-31T23:59:59 */
	s = PSI_MAX(PSI_MIN(s, 253402300799), -62162035200);
	return (size_t)(date_time(out, s) - out);
}

static size_t
fmt_ip4(char *out, const uint8_t *p)
{
	size_t n = 0;

	for (int i = 0; i < 4; i++) {
		if (i)
			out[n++] = '.';
		n += fmt_u64(out + n, p[i]);
	}
	return n;
}

static size_t
fmt_hex_group(char *out, uint32_t v)
{
	size_t n = 0;

	for (int shift = 12; shift >= 0; shift -= 4)
		if (n || v >> shift || !shift)
			out[n++] = "0123456789abcdef"[v >> shift & 15];
	return n;
}

/* RFC 5952: the first longest run of two or more zero groups becomes "::". IPv4-mapped ends in dots (section 5). */
static size_t
fmt_ip6(char *out, const uint8_t *p)
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
	int begin = -1, longest = 1, run = 0;
	size_t n = 0;

	if (memcmp(p, mapped, sizeof(mapped)) == 0) {
		memcpy(out, "::ffff:", 7);
		return 7 + fmt_ip4(out + 7, p + 12);
	}
	for (int i = 0; i < 8; i++) {
		run = p[2 * i] || p[2 * i + 1] ? 0 : run + 1;
		if (run > longest) {
			longest = run;
			begin = i + 1 - run;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == begin) {
			out[n++] = ':';
			i += longest - 1;
			if (i == 7)
				out[n++] = ':';
			continue;
		}
		if (i)
			out[n++] = ':';
		n += fmt_hex_group(out + n, (uint32_t)p[2 * i] << 8 | p[2 * i + 1]);
	}
	return n;
}

size_t
fmt_ip(char *out, const uint8_t *p, size_t len)
{
	return len == 4 ? fmt_ip4(out, p) : fmt_ip6(out, p);
}
