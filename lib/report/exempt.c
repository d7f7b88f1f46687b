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

enum wild { WILD_NONE, WILD_ONE /* one label more */, WILD_BELOW /* itself and all below */ };

struct entry {
	const struct psi_report_row *row; /* NULL: the operator's own */
	const char *pinset;
	enum wild wild;
	char host[256]; /* checked; NUL-terminated */
};

static int
by_host(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = strcmp(x->host, y->host);

	if (c || (c = (int)x->wild - (int)y->wild))
		return c;
	return !x->row - !y->row; /* what was seen says more than that it was asked for */
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

/* Which wildcards a form can say without listing more than was asked for. */
static bool
form_has(enum psi_report_form form, enum wild wild)
{
	switch (form) {
	case PSI_REPORT_FORM_MITMPROXY: return true;
	case PSI_REPORT_FORM_SQUID:
	case PSI_REPORT_FORM_FMC: return wild != WILD_ONE;
	case PSI_REPORT_FORM_PAN_OS: return wild != WILD_BELOW;
	case PSI_REPORT_FORM_PLAIN:
	case PSI_REPORT_FORM_SSLSPLIT:
	case PSI_REPORT_FORM_CNT: break;
	}
	return wild == WILD_NONE;
}

static void
choose_own(const struct psi_report_exempt *x, const struct psi_report_own *own, struct entry *e,
	uint32_t *n)
{
	char buf[SHOWN_MAX];
	const char *host = own->host, *fault = NULL;
	enum wild wild = strncmp(host, "**.", 3) == 0 ? WILD_BELOW
			 : host[0] == '*'	      ? WILD_ONE
						      : WILD_NONE;
	struct psi_report_text t;

	host += wild == WILD_BELOW ? 3 : wild == WILD_ONE ? 2 : 0;
	t = (struct psi_report_text){host, strlen(host)};
	if (own->host[0] == '/')
		fault = "a regular expression of the pinset cannot be listed";
	else if (x->form == PSI_REPORT_FORM_SSLSPLIT)
		fault = "this form goes by address, and the pinset names none";
	else if (!form_has(x->form, wild))
		fault = "this form has no wildcard that means the same";
	else
		fault = psi_report_host_fault(t);
	if (fault) {
		t = (struct psi_report_text){own->host, strlen(own->host)};
		if (x->refused)
			x->refused(x->ctx, rpt_shown(buf, t), fault);
		return;
	}
	e[*n] = (struct entry){.pinset = own->pinset, .wild = wild};
	memcpy(e[(*n)++].host, host, t.len);
}

/* Whether a wildcard of the sorted list takes e in already. Squid refuses a list in which a name stands twice so, and FMC
 * one with two objects of a name. */
static bool
is_covered(const struct entry *list, uint32_t cnt, const struct entry *e)
{
	struct entry key = {.wild = WILD_BELOW};

	for (const char *p = e->host; p; p = strchr(p, '.')) {
		if (*p == '.')
			p++;
		if (p == e->host && e->wild == WILD_BELOW)
			continue; /* itself */
		strcpy(key.host, p);
		if (bsearch(&key, list, cnt, sizeof(*list), by_host))
			return true;
	}
	return false;
}

static uint32_t
drop_covered(struct entry *list, uint32_t cnt)
{
	uint32_t n = 0, kept = 0;
	bool *covered = calloc(cnt ? cnt : 1, sizeof(*covered));

	if (!covered)
		return cnt;
	for (n = 0; n < cnt; n++)
		covered[n] = is_covered(list, cnt, &list[n]);
	for (n = 0; n < cnt; n++)
		if (!covered[n])
			list[kept++] = list[n];
	free(covered);
	return kept;
}

/* Sorted by name, so that two lists can be compared. */
static struct entry *
choose(const struct psi_report *r, const struct psi_report_exempt *x, uint32_t *cnt)
{
	uint32_t rows, n = 0;
	const struct psi_report_row *row = psi_report_rows(r, PSI_REPORT_PINNED, &rows);
	struct entry *e = calloc((size_t)rows + x->own_cnt + 1, sizeof(*e));

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
	for (uint32_t i = 0; i < x->own_cnt; i++)
		choose_own(x, &x->own[i], e, &n);
	qsort(e, n, sizeof(*e), by_host);
	for (uint32_t i = 0; i < n; i++)
		if (!*cnt || strcmp(e[*cnt - 1].host, e[i].host) != 0 ||
			e[*cnt - 1].wild != e[i].wild)
			e[(*cnt)++] = e[i];
	*cnt = drop_covered(e, *cnt);
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
comment(FILE *out, const char *mark, const struct entry *e)
{
	char w[WHY_MAX], s[SENTENCE_MAX];

	if (!e->row) {
		struct psi_report_text set = {e->pinset, strlen(e->pinset)};

		fprintf(out, "%s by pinset %s\n", mark, sentence(s, set));
		return;
	}
	fprintf(out, "%s %s\n", mark, why(w, e->row));
	if (e->row->reason.len)
		fprintf(out, "%s %s\n", mark, sentence(s, e->row->reason));
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
		comment(out, "#", &e[i]);
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
		comment(out, "#", &e[i]);
		fprintf(out, "%s%s\n", e[i].wild ? "." : "", e[i].host);
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
		comment(out, "  #", &e[i]);
		fprintf(out, "  - '^%s",
			e[i].wild == WILD_BELOW ? "([^.]+\\.)*"
			: e[i].wild == WILD_ONE ? "[^.]+\\."
						: "");
		for (const char *p = e[i].host; *p; p++)
			fprintf(out, *p == '.' ? "\\." : "%c", *p);
		fputs("(:[0-9]+)?$'\n", out);
	}
}

static void
write_pan_os(FILE *out, const struct psi_report_exempt *x, const struct entry *e, uint32_t cnt)
{
	char w[WHY_MAX], s[SENTENCE_MAX];

	(void)x;
	for (uint32_t i = 0; i < cnt; i++) {
		const char *star = e[i].wild ? "*." : "";
		struct psi_report_text set = {e[i].pinset, e[i].row ? 0 : strlen(e[i].pinset)};

		fprintf(out, "set shared ssl-decrypt ssl-exclude-cert %s%s exclude yes\n", star,
			e[i].host);
		fprintf(out, "set shared ssl-decrypt ssl-exclude-cert %s%s description \"%s%s\"\n",
			star, e[i].host, e[i].row ? "" : "by pinset ",
			e[i].row ? why(w, e[i].row) : sentence(s, set));
	}
}

/* Names of objects have at most 64 characters: what is longer ends in a number of its own. "*." takes any number of
 * labels here, and at least one. */
static void
write_fmc_object(FILE *out, const struct entry *e, uint32_t i, const char *star)
{
	if (strlen(e->host) <= 50)
		fprintf(out, "pinsight-%s%s,", *star ? "all." : "", e->host);
	else
		fprintf(out, "pinsight-%s%.38s-%u,", *star ? "all." : "", e->host, i + 1);
	fprintf(out, "CN=%s%s\r\n", star, e->host);
}

static void
write_fmc(FILE *out, const struct psi_report_exempt *x, const struct entry *e, uint32_t cnt)
{
	(void)x;
	fputs("NAME,DN\r\n", out);
	for (uint32_t i = 0; i < cnt; i++) {
		write_fmc_object(out, &e[i], i, "");
		if (e[i].wild == WILD_BELOW)
			write_fmc_object(out, &e[i], i, "*.");
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
		comment(out, "\t\t\t#", v[i].e);
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
		for (uint32_t k = 0; e[i].row && k < e[i].row->server_egs; k++)
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
