/* SPDX-License-Identifier: BSD-3-Clause */
/* Points in time, as events and people write them. */
#include "psi_filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NS	  1000000000ull
#define TIME_LAST 253402300799 /* 9999-12-31T23:59:59Z */

static int
two_digits(const char **p)
{
	int n;

	if (!isdigit((unsigned char)(*p)[0]) || !isdigit((unsigned char)(*p)[1]))
		return -1;
	n = ((*p)[0] - '0') * 10 + (*p)[1] - '0';
	*p += 2;
	return n;
}

/* "Z", "+hh:mm", or "+hhmm" as EVE has it: seconds to add for UTC. */
static bool
read_zone(const char **p, int *seconds)
{
	int sign = **p == '-' ? 1 : -1, h, m;

	*seconds = 0;
	if (*(*p)++ == 'Z')
		return true;
	if ((*p)[-1] != '+' && (*p)[-1] != '-')
		return false;
	h = two_digits(p);
	*p += h >= 0 && **p == ':';
	m = h < 0 ? -1 : two_digits(p);
	*seconds = sign * (h * 3600 + m * 60);
	return m >= 0;
}

bool
psi_filter_time(const char *text, uint64_t *ns)
{
	struct tm tm = {0};
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	uint64_t frac = 0, unit = NS / 10;
	int zone;
	int64_t t;

	if (!p)
		return false;
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p); p++, unit /= 10)
			frac += (uint64_t)(*p - '0') * unit;
	if (!*p || !read_zone(&p, &zone) || *p)
		return false;
	t = timegm(&tm) + zone;
	if (t < 0 || t > TIME_LAST)
		return false;
	*ns = (uint64_t)t * NS + frac;
	return true;
}

static bool
read_day(const char *text, uint64_t *ns)
{
	char whole[24];

	if (strlen(text) != 10)
		return false;
	snprintf(whole, sizeof(whole), "%sT00:00:00Z", text);
	return psi_filter_time(whole, ns);
}

static bool
read_age(const char *text, uint64_t *seconds)
{
	static const struct {
		char unit;
		uint32_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	char *end;
	unsigned long n = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : 0;

	if (!isdigit((unsigned char)*text) || !end[0] || end[1] || n > 1000000000)
		return false;
	for (size_t i = 0; i < PSI_COUNT(units); i++) {
		if (units[i].unit == *end) {
			*seconds = (uint64_t)n * units[i].seconds;
			return true;
		}
	}
	return false;
}

int
psi_filter_since(uint64_t *since_ns, const char *text, uint64_t now_ns, struct psi_err *err)
{
	uint64_t age;

	if (read_age(text, &age))
		*since_ns = age < now_ns / NS ? now_ns - age * NS : 1;
	else if (!psi_filter_time(text, since_ns) && !read_day(text, since_ns))
		return psi_err_set(err, -EINVAL,
			"a time is 2026-11-22T08:00:00Z, a day (UTC) 2026-11-22, or how long ago as "
			"90s, 15m, 2h, 7d or 4w, not '%s'",
			text);
	*since_ns = PSI_MAX(*since_ns, 1u);
	return 0;
}
