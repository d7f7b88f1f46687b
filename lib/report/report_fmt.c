/* SPDX-License-Identifier: BSD-3-Clause */
/* What the writers share: names of sections, times, addresses, names made fit to be shown. */
#include "report_pvt.h"

#include "psi_export.h"

#include <arpa/inet.h>
#include <time.h>

static const struct {
	const char *name, *title, *advice;
} sections[] = {
#define SECTION(sym, name, title, advice) {name, title, advice},
#include "report_sections.def"
#undef SECTION
};

const char *
psi_report_section_name(enum psi_report_section s)
{
	return sections[s].name;
}

const char *
psi_report_section_title(enum psi_report_section s)
{
	return sections[s].title;
}

const char *
psi_report_section_advice(enum psi_report_section s)
{
	return sections[s].advice;
}

const char *
rpt_basis(enum psi_report_basis b)
{
	static const char *const name[] = {"finding", "pinset", "flows"};

	return name[b];
}

const char *
rpt_shown(char buf[SHOWN_MAX], struct psi_report_text t)
{
	psi_text_clean(buf, SHOWN_MAX, SHOWN_MAX, t.p, t.len);
	return buf;
}

/* Years past 9999 have no place in RFC 3339. */
static void
calendar(uint64_t ns, struct tm *tm)
{
	time_t s = (time_t)PSI_MIN(ns / 1000000000u, 253402300799u);

	gmtime_r(&s, tm);
}

const char *
rpt_when(char buf[FMT_MAX], uint64_t ns)
{
	struct tm tm;

	if (!ns)
		return strcpy(buf, "-");
	calendar(ns, &tm);
	strftime(buf, FMT_MAX, "%Y-%m-%d %H:%M:%S", &tm);
	return buf;
}

const char *
rpt_rfc3339(char buf[FMT_MAX], uint64_t ns)
{
	struct tm tm;
	size_t n;

	calendar(ns, &tm);
	n = strftime(buf, FMT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, FMT_MAX - n, ".%06uZ", (unsigned int)(ns % 1000000000u / 1000u));
	return buf;
}

const char *
rpt_addr(char buf[FMT_MAX], const struct psi_report_ip *ip)
{
	if (!ip->len || !inet_ntop(ip->len == 4 ? AF_INET : AF_INET6, ip->b, buf, FMT_MAX))
		return strcpy(buf, "-");
	return buf;
}

bool
rpt_same_ip(const struct psi_report_ip *a, const struct psi_report_ip *b)
{
	return a->len == b->len && memcmp(a->b, b->b, a->len) == 0;
}

const char *
rpt_subject(char buf[SHOWN_MAX], const struct psi_report_row *row)
{
	if (row->host.len)
		return rpt_shown(buf, row->host);
	if (row->client.len)
		return rpt_addr(buf, &row->client);
	return row->issuer.len ? rpt_shown(buf, row->issuer) : strcpy(buf, "-");
}

uint32_t
rpt_row_limit(const struct psi_report_format *f, uint32_t cnt)
{
	return f->top ? PSI_MIN(f->top, cnt) : cnt;
}
