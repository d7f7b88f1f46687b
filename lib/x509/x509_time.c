/* SPDX-License-Identifier: BSD-3-Clause */
/* Times. RFC 5280 allows YYMMDDHHMMSSZ and YYYYMMDDHHMMSSZ only; X.680's longer and shorter forms are read as well,
 * because clients read them: no seconds, fractions (GeneralizedTime), and an offset in place of Z. */
#include "x509_pvt.h"

struct clock {
	int year, month, day, hour, min, sec;
};

/* Days since 1970-01-01 of a proleptic Gregorian date: years are counted from March, so that the leap day is last. */
static int64_t
days(int year, int month, int day)
{
	int y = month <= 2 ? year - 1 : year;
	int era = (y >= 0 ? y : y - 399) / 400;
	int yoe = y - era * 400;
	int doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return (int64_t)era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static bool
valid(const struct clock *c)
{
	static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;

	if (c->month < 1 || c->month > 12 || c->hour > 23 || c->min > 59 || c->sec > 59)
		return false;
	return c->day >= 1 && c->day <= month_days[c->month - 1] + (c->month == 2 && leap);
}

/* Two digits; -1 when they are not there. */
static int
two(struct psi_cursor *c)
{
	const uint8_t *p = psi_take(c, 2);

	if (!p || p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	return (p[0] - '0') * 10 + (p[1] - '0');
}

static bool
digit_next(const struct psi_cursor *c)
{
	return c->p < c->end && *c->p >= '0' && *c->p <= '9';
}

static bool
take_fraction(struct psi_cursor *c)
{
	if (c->p == c->end || *c->p != '.')
		return true;
	c->p++;
	if (!digit_next(c))
		return false;
	while (digit_next(c))
		c->p++;
	return true;
}

/* The zone, which ends the text: seconds that local time is ahead of UTC. Without one the time has no meaning. */
static bool
take_zone(struct psi_cursor *c, int *ahead)
{
	const uint8_t *sign = psi_take(c, 1);
	int hour, min;

	*ahead = 0;
	if (!sign)
		return false;
	if (*sign == 'Z')
		return c->p == c->end;
	if (*sign != '+' && *sign != '-')
		return false;
	hour = two(c);
	min = two(c);
	if (hour < 0 || hour > 12 || min < 0 || min > 59 || c->p != c->end)
		return false;
	*ahead = (hour * 3600 + min * 60) * (*sign == '+' ? 1 : -1);
	return true;
}

int64_t
x_time(uint8_t tag, const uint8_t *p, uint32_t len)
{
	struct psi_cursor c = psi_cursor(p, len);
	struct clock t = {0};
	int century, ahead;

	if (tag == 0x18) {
		century = two(&c);
		t.year = two(&c);
		if (century < 0 || t.year < 0)
			return INT64_MIN;
		t.year += century * 100;
	} else {
		t.year = two(&c);
		t.year += t.year < 0 ? 0 : t.year < 50 ? 2000 : 1900;
	}
	t.month = two(&c);
	t.day = two(&c);
	t.hour = two(&c);
	t.min = two(&c);
	if (digit_next(&c))
		t.sec = two(&c);
	if (t.year < 0 || t.month < 0 || t.day < 0 || t.hour < 0 || t.min < 0 || t.sec < 0 ||
		!valid(&t))
		return INT64_MIN;
	if ((tag == 0x18 && !take_fraction(&c)) || !take_zone(&c, &ahead))
		return INT64_MIN;
	return days(t.year, t.month, t.day) * 86400 + t.hour * 3600 + t.min * 60 + t.sec - ahead;
}
