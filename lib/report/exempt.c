/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of hosts to exempt from decryption, in the forms that interception proxies load. What it is made of comes
 * from the wire and goes into configuration files: a host is a host name by its letters or it is not written, and what
 * explains it is reduced to characters that mean nothing to anybody. */
#include "report_pvt.h"

#include <ctype.h>
#include <stdlib.h>

static const struct {
	const char *name, *text;
} forms[] = {
#define FORM(sym, name, text) {name, text},
#include "report_forms.def"
#undef FORM
};

const char *
psi_report_form_name(enum psi_report_form f)
{
	return forms[f].name;
}

const char *
psi_report_form_text(enum psi_report_form f)
{
	return forms[f].text;
}

/* ---- host names ---- */

static bool
is_label(const char *p, size_t len)
{
	if (!len || len > 63 || p[0] == '-' || p[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') || p[i] == '-' ||
			    p[i] == '_'))
			return false;
	return true;
}

/* What some resolver takes for a part of an IPv4 address: decimal, or hexadecimal behind 0x. */
static bool
is_number(const char *p, size_t len)
{
	bool hex = len >= 2 && p[0] == '0' && p[1] == 'x';

	for (size_t i = hex ? 2 : 0; i < len; i++)
		if (!isdigit((unsigned char)p[i]) && !(hex && isxdigit((unsigned char)p[i])))
			return false;
	return true;
}

const char *
psi_report_host_fault(struct psi_report_text host)
{
	const char *label = host.p, *end = host.p + host.len;

	if (!host.len)
		return "it is empty";
	if (host.len > 253)
		return "it is longer than a host name can be";
	if (memchr(host.p, ':', host.len))
		return "it is an address, not a name";
	for (;;) {
		const char *dot = memchr(label, '.', (size_t)(end - label));
		size_t len = (size_t)((dot ? dot : end) - label);

		if (!is_label(label, len))
			return "it is not a host name: letters, digits, hyphens and dots";
		if (!dot)
			return is_number(label, len) ? "it is an address, not a name" : NULL;
		label = dot + 1;
	}
}

/* ---- what to list ---- */

struct entry {
	const struct psi_report_row *row;
	char host[256]; /* checked; NUL-terminated */
};

static int
by_host(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->host, ((const struct entry *)b)->host);
}

static void
refuse(const struct psi_report_exempt *x, const struct psi_report_row *row, const char *why)
{
	char host[SHOWN_MAX];

	if (x->refused)
		x->refused(x->ctx, rpt_shown(host, row->host), why);
}

/* Squid takes the word none for connections without a name. */
static const char *
fault_of(const struct psi_report_exempt *x, const struct psi_report_row *row)
{
	if (row->host_is_addr)
		return "no name was sent, only the server's address is known";
	if (x->form == PSI_REPORT_FORM_SQUID && row->host.len == 4 &&
		memcmp(row->host.p, "none", 4) == 0)
		return "squid takes this word for something else";
	if (x->form == PSI_REPORT_FORM_SSLSPLIT && !row->server_egs)
		return "its servers' addresses were not seen";
	return psi_report_host_fault(row->host);
}

/* Sorted by name, so that two lists can be compared. */
static struct entry *
choose(const struct psi_report *r, const struct psi_report_exempt *x, uint32_t *cnt)
{
	uint32_t rows, n = 0;
	const struct psi_report_row *row = psi_report_rows(r, PSI_REPORT_PINNED, &rows);
	struct entry *e = calloc(rows ? rows : 1, sizeof(*e));

	*cnt = 0;
	if (!e)
		return NULL;
	for (uint32_t i = 0; i < rows; i++) {
		const char *fault;

		if (row[i].confidence < x->min_confidence || !row[i].host.len)
			continue;
		fault = fault_of(x, &row[i]);
		if (fault) {
			refuse(x, &row[i], fault);
			continue;
		}
		e[n].row = &row[i];
		memcpy(e[n].host, row[i].host.p, row[i].host.len);
		n++;
	}
	qsort(e, n, sizeof(*e), by_host);
	for (uint32_t i = 0; i < n; i++)
		if (!*cnt || strcmp(e[*cnt - 1].host, e[i].host) != 0)
			e[(*cnt)++] = e[i];
	return e;
}

/* ---- writing ---- */

/* Why, on one line, of letters, digits and a few marks that no configuration language minds. */
#define WHY_MAX 200
static const char *
why(char buf[WHY_MAX], const struct psi_report_row *row)
{
	bool flows = row->refused > 0;
	char day[FMT_MAX];
	int n = snprintf(buf, WHY_MAX, "pinned, confidence %.2f, refused %llu of %llu, ",
		row->confidence, (unsigned long long)(flows ? row->refused : row->tries_failed),
		(unsigned long long)(flows ? row->seen : row->tries));

	if (row->clients)
		n += snprintf(buf + n, WHY_MAX - (size_t)n, "by %u client%s, ", row->clients,
			row->clients == 1 ? "" : "s");
	snprintf(buf + n, WHY_MAX - (size_t)n, "last seen %.10s", rpt_when(day, row->last_ns));
	return buf;
}

/* The finding's own sentence; every other character becomes a space. */
#define SENTENCE_MAX 512
static const char *
sentence(char buf[SENTENCE_MAX], struct psi_report_text t)
{
	size_t n = PSI_MIN(t.len, (size_t)SENTENCE_MAX - 1);

	for (size_t i = 0; i < n; i++)
		buf[i] = isalnum((unsigned char)t.p[i]) || (t.p[i] && strchr(".,:;()%-_", t.p[i]))
				 ? t.p[i]
				 : ' ';
	buf[n] = '\0';
	return buf;
}

static void
comment(FILE *out, const char *mark, const struct psi_report_row *row)
{
	char w[WHY_MAX], s[SENTENCE_MAX];

	fprintf(out, "%s %s\n", mark, why(w, row));
	if (row->reason.len)
		fprintf(out, "%s %s\n", mark, sentence(s, row->reason));
}

static void
title(FILE *out, const struct psi_report_exempt *x, uint32_t cnt)
{
	fprintf(out,
		"# %u host%s to exempt from decryption, by pinsight report: pinned by some of their "
		"clients,\n# confidence at least %.2f.\n",
		cnt, cnt == 1 ? "" : "s", x->min_confidence);
}

static void
write_plain(FILE *out, const struct psi_report_exempt *x, const struct entry *e, uint32_t cnt)
{
	title(out, x, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		comment(out, "#", e[i].row);
		fprintf(out, "%s\n", e[i].host);
	}
}

static void
write_squid(FILE *out, const struct psi_report_exempt *x, const struct entry *e, uint32_t cnt)
{
	title(out, x, cnt);
	fputs("# In squid.conf, where this file is /etc/squid/pinned.list, behind the peek at step 1 and\n"
	      "# in front of the bump:\n"
	      "#   acl pinned ssl::server_name \"/etc/squid/pinned.list\"\n"
	      "#   ssl_bump splice pinned\n",
		out);
	for (uint32_t i = 0; i < cnt; i++) {
		comment(out, "#", e[i].row);
		fprintf(out, "%s\n", e[i].host);
	}
}

/* Regular expressions, which mitmproxy searches in the host and, since version 9, in host:port. */
static void
write_mitmproxy(FILE *out, const struct psi_report_exempt *x, const struct entry *e, uint32_t cnt)
{
	title(out, x, cnt);
	fputs("# For config.yaml in mitmproxy's folder (~/.mitmproxy).\n", out);
	fputs(cnt ? "ignore_hosts:\n" : "ignore_hosts: []\n", out);
	for (uint32_t i = 0; i < cnt; i++) {
		comment(out, "  #", e[i].row);
		fputs("  - '^", out);
		for (const char *p = e[i].host; *p; p++)
			fprintf(out, *p == '.' ? "\\." : "%c", *p);
		fputs("(:[0-9]+)?$'\n", out);
	}
}

static void
write_pan_os(FILE *out, const struct psi_report_exempt *x, const struct entry *e, uint32_t cnt)
{
	char w[WHY_MAX];

	(void)x;
	for (uint32_t i = 0; i < cnt; i++) {
		fprintf(out, "set shared ssl-decrypt ssl-exclude-cert %s exclude yes\n", e[i].host);
		fprintf(out, "set shared ssl-decrypt ssl-exclude-cert %s description \"%s\"\n",
			e[i].host, why(w, e[i].row));
	}
}

/* Names of objects have at most 64 characters: what is longer ends in a number of its own. */
static void
write_fmc(FILE *out, const struct psi_report_exempt *x, const struct entry *e, uint32_t cnt)
{
	(void)x;
	fputs("NAME,DN\r\n", out);
	for (uint32_t i = 0; i < cnt; i++) {
		if (strlen(e[i].host) <= 55)
			fprintf(out, "pinsight-%s,", e[i].host);
		else
			fprintf(out, "pinsight-%.44s-%u,", e[i].host, i + 1);
		fprintf(out, "CN=%s\r\n", e[i].host);
	}
}

/* ---- sslsplit: by address, for its 0.5.5 knows no list of hosts ---- */

struct element {
	struct psi_report_ip ip;
	const struct entry *e;
};

static int
by_ip(const void *a, const void *b)
{
	const struct element *x = a, *y = b;
	int c = memcmp(&x->ip, &y->ip, sizeof(x->ip));

	return c ? c : x->e < y->e ? -1 : x->e > y->e;
}

static void
write_set(FILE *out, const char *name, const char *type, const struct element *v, uint32_t cnt,
	uint8_t len)
{
	char a[FMT_MAX];
	bool any = false;

	fprintf(out, "\tset %s {\n\t\ttype %s\n", name, type);
	for (uint32_t i = 0; i < cnt; i++) {
		if (v[i].ip.len != len || (i && rpt_same_ip(&v[i].ip, &v[i - 1].ip)))
			continue;
		fputs(any ? ",\n" : "\t\telements = {\n", out);
		any = true;
		comment(out, "\t\t\t#", v[i].e->row);
		fprintf(out, "\t\t\t%s comment \"%.120s\"", rpt_addr(a, &v[i].ip), v[i].e->host);
	}
	fputs(any ? "\n\t\t}\n\t}\n" : "\t}\n", out);
}

static void
write_sslsplit(FILE *out, const struct psi_report_exempt *x, const struct entry *e, uint32_t cnt)
{
	struct element *v = calloc(cnt ? cnt : 1, PSI_REPORT_EXAMPLES * sizeof(*v));
	uint32_t n = 0;

	if (!v)
		return;
	for (uint32_t i = 0; i < cnt; i++)
		for (uint32_t k = 0; k < e[i].row->server_egs; k++)
			v[n++] = (struct element){e[i].row->server_eg[k], &e[i]};
	qsort(v, n, sizeof(*v), by_ip);
	title(out, x, cnt);
	fputs("# sslsplit 0.5.5 has no list of hosts to pass on. What does not reach it, it does not split:\n"
	      "# load this with nft -f, and the redirect that feeds sslsplit, be it of nft or iptables, is\n"
	      "# passed by for these addresses. Loading it again replaces it. Other hosts on the same\n"
	      "# addresses are exempt too.\n"
	      "table inet pinsight_exempt\n"
	      "delete table inet pinsight_exempt\n"
	      "table inet pinsight_exempt {\n",
		out);
	write_set(out, "pinned4", "ipv4_addr", v, n, 4);
	write_set(out, "pinned6", "ipv6_addr", v, n, 16);
	/* A translation to the address that is there already: no later chain translates again. */
	fputs("\tchain prerouting {\n"
	      "\t\ttype nat hook prerouting priority -101; policy accept;\n"
	      "\t\tip daddr @pinned4 meta l4proto tcp dnat ip to ip daddr\n"
	      "\t\tip6 daddr @pinned6 meta l4proto tcp dnat ip6 to ip6 daddr\n"
	      "\t}\n"
	      "}\n",
		out);
	free(v);
}

int
psi_report_exempt_list(FILE *out, const struct psi_report *r, const struct psi_report_exempt *x)
{
	uint32_t cnt;
	struct entry *e = choose(r, x, &cnt);

	if (!e)
		return -1;
	switch (x->form) {
	case PSI_REPORT_FORM_PLAIN: write_plain(out, x, e, cnt); break;
	case PSI_REPORT_FORM_SQUID: write_squid(out, x, e, cnt); break;
	case PSI_REPORT_FORM_MITMPROXY: write_mitmproxy(out, x, e, cnt); break;
	case PSI_REPORT_FORM_SSLSPLIT: write_sslsplit(out, x, e, cnt); break;
	case PSI_REPORT_FORM_PAN_OS: write_pan_os(out, x, e, cnt); break;
	case PSI_REPORT_FORM_FMC: write_fmc(out, x, e, cnt); break;
	case PSI_REPORT_FORM_CNT: break;
	}
	free(e);
	return (int)cnt;
}
