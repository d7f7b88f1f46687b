/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers with units, shares, file modes and days: text -> number and back. */
#include "config_pvt.h"

#include <math.h>
#include <stdio.h>

/* ---- numbers ---- */

struct unit {
	const char *name;
	double factor;
};

/* K and KiB are 1024 as everywhere with memory; kB is 1000. */
static const struct unit size_units[] = {
	{"B", 1},
	{"K", 0x1p10},
	{"KiB", 0x1p10},
	{"kB", 1e3},
	{"M", 0x1p20},
	{"MiB", 0x1p20},
	{"MB", 1e6},
	{"G", 0x1p30},
	{"GiB", 0x1p30},
	{"GB", 1e9},
	{"T", 0x1p40},
	{"TiB", 0x1p40},
	{"TB", 1e12},
	{NULL, 0},
};
static const struct unit time_units[] = {
	{"ns", 1},
	{"us", 1e3},
	{"ms", 1e6},
	{"s", 1e9},
	{"m", 60e9},
	{"min", 60e9},
	{"h", 3600e9},
	{"d", 86400e9},
	{NULL, 0},
};

/* [0-9]+ with _ between digits as in YAML 1.1, then perhaps a fraction; *end: what follows. Not strtod, which would take
 * "inf", "0x10" and the locale's comma. Digits beyond the 18th change nothing that anyone could mean. */
bool
cfg_number_digits(const char *s, bool fraction, double *out, const char **end)
{
	double v = 0, scale = 1;
	const char *p = s;
	unsigned int n = 0;

	for (; (*p >= '0' && *p <= '9') || (*p == '_' && p > s && p[1] >= '0' && p[1] <= '9');
		p++) {
		if (*p == '_')
			continue;
		if (++n > 18)
			return false;
		v = v * 10 + (*p - '0');
	}
	if (!n || (n > 1 && *s == '0'))
		return false;
	if (fraction && *p == '.' && p[1] >= '0' && p[1] <= '9') {
		for (p++; *p >= '0' && *p <= '9' && n <= 18; p++, n++) {
			v = v * 10 + (*p - '0');
			scale *= 10;
		}
	}
	*out = v / scale;
	*end = p;
	return true;
}

static bool
with_unit(const char *text, const struct unit *units, double *out, const char *example,
	struct psi_err *why)
{
	const char *rest;

	if (!cfg_number_digits(text, true, out, &rest))
		return false;
	while (*rest == ' ')
		rest++;
	if (!*rest && *out == 0)
		return true;
	if (!*rest) {
		psi_err_set(why, 0, "%s has no unit: %s", text, example);
		return false;
	}
	for (; units->name; units++) {
		if (strcmp(rest, units->name) == 0) {
			*out *= units->factor;
			return true;
		}
	}
	psi_err_set(why, 0, "'%s' is no unit: %s", rest, example);
	return false;
}

static bool
parse_size(const char *text, double *out, struct psi_err *why)
{
	if (!with_unit(
		    text, size_units, out, "write B, KiB, MiB, GiB or TiB after the number", why))
		return false;
	if (*out == floor(*out))
		return true;
	psi_err_set(why, 0, "%s is no whole number of bytes", text);
	return false;
}

static bool
parse_mode(const char *text, double *out)
{
	uint32_t v = 0;

	if (text[0] != '0' || strlen(text) != 4)
		return false;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '7')
			return false;
		v = v << 3 | (uint32_t)(*p - '0');
	}
	*out = v;
	return true;
}

bool
cfg_number_parse(enum key_type type, const char *text, double *out, struct psi_err *why)
{
	bool is_auto = strcmp(text, "auto") == 0;
	const char *rest = "";

	*out = 0;
	switch (type) {
	case TYPE_COUNT_AUTO:
		if (is_auto)
			return true;
		return cfg_number_digits(text, false, out, &rest) && !*rest;
	case TYPE_COUNT: return cfg_number_digits(text, false, out, &rest) && !*rest;
	case TYPE_SIZE_AUTO:
		if (is_auto)
			return true;
		return parse_size(text, out, why);
	case TYPE_SIZE: return parse_size(text, out, why);
	case TYPE_DURATION:
		return with_unit(text, time_units, out,
			"write ns, us, ms, s, m, h or d after the number", why);
	case TYPE_RATIO:
		if (!cfg_number_digits(text, true, out, &rest))
			return false;
		if (strcmp(rest, "%") == 0)
			*out /= 100;
		return !*rest || strcmp(rest, "%") == 0;
	case TYPE_NUMBER: return cfg_number_digits(text, true, out, &rest) && !*rest;
	case TYPE_MODE: return parse_mode(text, out);
	case TYPE_CORE:
		*out = PSI_CONFIG_CORE_AUTO;
		if (is_auto)
			return true;
		return cfg_number_digits(text, false, out, &rest) && !*rest;
	default: return false;
	}
}

/* ---- dates: RFC 3339 full-date ---- */

static bool
two(const char *p, uint32_t *v)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*v = (uint32_t)(p[0] - '0') * 10 + (uint32_t)(p[1] - '0');
	return true;
}

/* Days from 1970-01-01 of the proleptic Gregorian calendar, years counted from March. */
static int64_t
days(int64_t y, uint32_t m, uint32_t d)
{
	int64_t yoe, doy;

	y -= m <= 2;
	yoe = y % 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return y / 400 * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

bool
cfg_date_parse(const char *text, int64_t *out, struct psi_err *why)
{
	static const uint32_t month[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	uint32_t c, y, m, d;
	bool leap;

	*out = PSI_CONFIG_NEVER;
	if (strcmp(text, "never") == 0)
		return true;
	if (strlen(text) != 10 || !two(text, &c) || !two(text + 2, &y) || text[4] != '-' ||
		!two(text + 5, &m) || text[7] != '-' || !two(text + 8, &d))
		return false;
	y += c * 100;
	if (y < 1970) {
		psi_err_set(why, 0, "%s is before 1970", text);
		return false;
	}
	leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	if (m < 1 || m > 12 || d < 1 || d > month[m - 1] + (m == 2 && leap)) {
		psi_err_set(why, 0, "there is no day %s", text);
		return false;
	}
	*out = days(y, m, d) * 86400;
	return true;
}

/* ---- back to text, such that it is read as the same ---- */

static void
print_unit(double v, const struct unit *units, const char *const *names, char *out, size_t size)
{
	const struct unit *best = units;

	for (; *names; names++)
		for (const struct unit *u = units; u->name; u++)
			if (strcmp(u->name, *names) == 0 && v >= u->factor &&
				fmod(v, u->factor) == 0)
				best = u;
	snprintf(out, size, "%.0f%s", v / best->factor, best->name);
}

/* As few digits as stand for this number alone. */
static void
print_share(double v, char *out, size_t size)
{
	const char *rest;
	double back;

	for (int digits = 0; digits <= 17; digits++) {
		snprintf(out, size, "%.*f", digits, v);
		if (cfg_number_digits(out, true, &back, &rest) && back == v)
			return;
	}
}

void
cfg_number_print(enum key_type type, double v, char *out, size_t size)
{
	static const char *const sizes[] = {"KiB", "MiB", "GiB", "TiB", NULL};
	static const char *const times[] = {"us", "ms", "s", "m", "h", "d", NULL};

	if (((type == TYPE_SIZE_AUTO || type == TYPE_COUNT_AUTO) && v == PSI_CONFIG_AUTO) ||
		(type == TYPE_CORE && v == PSI_CONFIG_CORE_AUTO))
		snprintf(out, size, "auto");
	else if (type == TYPE_SIZE || type == TYPE_SIZE_AUTO)
		print_unit(v, size_units, sizes, out, size);
	else if (type == TYPE_DURATION)
		print_unit(v, time_units, times, out, size);
	else if (type == TYPE_RATIO || type == TYPE_NUMBER)
		print_share(v, out, size);
	else if (type == TYPE_MODE)
		snprintf(out, size, "%04o", (unsigned int)v);
	else
		snprintf(out, size, "%.0f", v);
}

/* The reverse of days(), by trying. */
void
cfg_date_print(int64_t v, char *out, size_t size)
{
	int64_t day = v / 86400, y = 1970;
	uint32_t m = 1;

	if (v == PSI_CONFIG_NEVER) {
		snprintf(out, size, "never");
		return;
	}
	while (days(y + 1, 1, 1) <= day)
		y++;
	while (m < 12 && days(y, m + 1, 1) <= day)
		m++;
	snprintf(out, size, "%04d-%02u-%02u", (int)y, m, (uint32_t)(day - days(y, m, 1)) + 1);
}
