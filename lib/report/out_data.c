/* SPDX-License-Identifier: BSD-3-Clause */
/* The report for programs: JSON, and CSV for spreadsheets. */
#include "report_pvt.h"

#include "psi_export.h"

/* ---- JSON ---- */

static void
put_str(FILE *out, struct psi_report_text t)
{
	char buf[6 * (NAME_LEN_MAX + 1) + 2];
	size_t at = 0;

	if (psi_json_str(buf, sizeof(buf), &at, t.p, t.len))
		fwrite(buf, 1, at, out);
	else
		fputs("null", out);
}

static void
put_cstr(FILE *out, const char *s)
{
	put_str(out, (struct psi_report_text){s, strlen(s)});
}

static void
put_ips(FILE *out, const char *key, const struct psi_report_ip *ip, uint32_t cnt)
{
	char a[FMT_MAX];

	fprintf(out, ",\"%s\":[", key);
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(out, "%s\"%s\"", i ? "," : "", rpt_addr(a, &ip[i]));
	fputc(']', out);
}

static void
put_texts(FILE *out, const char *key, const struct psi_report_text *t, uint32_t cnt)
{
	fprintf(out, ",\"%s\":[", key);
	for (uint32_t i = 0; i < cnt; i++) {
		if (i)
			fputc(',', out);
		put_str(out, t[i]);
	}
	fputc(']', out);
}

static void
put_named(FILE *out, const char *key, struct psi_report_text t)
{
	if (!t.len)
		return;
	fprintf(out, ",\"%s\":", key);
	put_str(out, t);
}

static void
json_row(FILE *out, const struct psi_report_row *row)
{
	char a[FMT_MAX], b[FMT_MAX];

	fprintf(out, "{\"section\":\"%s\",\"basis\":\"%s\"", psi_report_section_name(row->section),
		rpt_basis(row->basis));
	put_named(out, "class", row->class);
	put_named(out, "host", row->host);
	if (row->host_is_addr)
		fputs(",\"host_is_address\":true", out);
	if (row->client.len)
		fprintf(out, ",\"client\":\"%s\"", rpt_addr(a, &row->client));
	put_named(out, "issuer", row->issuer);
	put_named(out, "pinset", row->pinset);
	fprintf(out, ",\"confidence\":%.3f", row->confidence);
	fprintf(out, ",\"flows\":{\"seen\":%llu,\"refused\":%llu,\"accepted\":%llu}",
		(unsigned long long)row->seen, (unsigned long long)row->refused,
		(unsigned long long)row->accepted);
	fprintf(out, ",\"attempts\":{\"seen\":%llu,\"failed\":%llu,\"ok\":%llu}",
		(unsigned long long)row->tries, (unsigned long long)row->tries_failed,
		(unsigned long long)row->tries_ok);
	fprintf(out, ",\"clients\":%u,\"stacks\":%u", row->clients, row->stacks);
	put_ips(out, "client_examples", row->client_eg, row->client_egs);
	put_texts(out, "stack_examples", row->stack_eg, row->stack_egs);
	put_ips(out, "server_examples", row->server_eg, row->server_egs);
	fprintf(out, ",\"first_seen\":\"%s\",\"last_seen\":\"%s\"", rpt_rfc3339(a, row->first_ns),
		rpt_rfc3339(b, row->last_ns));
	put_texts(out, "evidence", row->evidence, row->evidence_cnt);
	put_named(out, "reason", row->reason);
	fputc('}', out);
}

static void
json_number(FILE *out, const char *key, uint64_t n, bool more)
{
	fprintf(out, "\"%s\":%llu%s", key, (unsigned long long)n, more ? "," : "");
}

static void
json_summary(FILE *out, const struct psi_report_sum *s)
{
	char a[FMT_MAX], b[FMT_MAX];
	bool comma = false;

	fputs("{\"summary\":{", out);
	if (s->last_ns)
		fprintf(out, "\"first\":\"%s\",\"last\":\"%s\",", rpt_rfc3339(a, s->first_ns),
			rpt_rfc3339(b, s->last_ns));
	json_number(out, "flows", s->flows, true);
	json_number(out, "accepted", s->accepted, true);
	json_number(out, "refused", s->refused, true);
	json_number(out, "failed", s->failed, true);
	json_number(out, "undecided", s->undecided, true);
	json_number(out, "findings", s->events[PSI_REPORT_FINDING], true);
	json_number(out, "findings_expired", s->expired, true);
	json_number(out, "events_ignored",
		s->events[PSI_REPORT_HANDSHAKE] + s->events[PSI_REPORT_STATS] +
			s->events[PSI_REPORT_GAP] + s->events[PSI_REPORT_OTHER],
		true);
	json_number(out, "events_lost", s->lost, true);
	json_number(out, "bad_lines", s->bad, true);
	json_number(out, "filtered", s->filtered, true);
	json_number(out, "rows_below_min_confidence", s->below, true);
	json_number(out, "flows_left_out", s->left_flows, true);
	json_number(out, "findings_left_out", s->left_findings, true);
	json_number(out, "accepted_forgotten", s->forgotten, true);
	fprintf(out, "\"min_confidence\":%.3f,\"classes\":{", s->min_confidence);
	for (int c = 0; c < PSI_CLASS_CNT; c++) {
		if (!s->classes[c])
			continue;
		fputs(comma ? "," : "", out);
		comma = true;
		put_cstr(out, psi_class_name((enum psi_class)c));
		fprintf(out, ":%llu", (unsigned long long)s->classes[c]);
	}
	fputs("}},\n", out);
}

void
psi_report_json(FILE *out, const struct psi_report *r, const struct psi_report_format *f)
{
	json_summary(out, psi_report_sum(r));
	fputs("\"rows\":[", out);
	for (int s = 0, first = 1; s < PSI_REPORT_SECTION_CNT; s++) {
		uint32_t cnt;
		const struct psi_report_row *row =
			psi_report_rows(r, (enum psi_report_section)s, &cnt);

		for (uint32_t i = 0; i < rpt_row_limit(f, cnt); i++, first = 0) {
			fputs(first ? "\n" : ",\n", out);
			json_row(out, &row[i]);
		}
	}
	fputs("\n]}\n", out);
}

/* ---- CSV: RFC 4180, and nothing that a spreadsheet takes for a formula ---- */

/* A text that a spreadsheet would run begins with an apostrophe. Control characters are escaped before, so a tab or
 * a carriage return cannot stand in front. */
static void
csv_text(FILE *out, struct psi_report_text t, bool more)
{
	char buf[SHOWN_MAX];
	const char *p = rpt_shown(buf, t);

	fputc('"', out);
	if (*p && strchr("=+-@", *p))
		fputc('\'', out);
	for (; *p; p++) {
		if (*p == '"')
			fputc('"', out);
		fputc(*p, out);
	}
	fputs(more ? "\"," : "\"", out);
}

static void
csv_cstr(FILE *out, const char *s)
{
	csv_text(out, (struct psi_report_text){s, strlen(s)}, true);
}

static void
csv_joined(FILE *out, const struct psi_report_text *t, uint32_t cnt)
{
	char buf[NAME_LEN_MAX + 1];
	size_t at = 0;

	for (uint32_t i = 0; i < cnt && at + t[i].len + 1 < sizeof(buf); i++) {
		if (i)
			buf[at++] = ' ';
		memcpy(buf + at, t[i].p, t[i].len);
		at += t[i].len;
	}
	csv_text(out, (struct psi_report_text){buf, at}, true);
}

static void
csv_row(FILE *out, const struct psi_report_row *row)
{
	char a[FMT_MAX];

	csv_cstr(out, psi_report_section_name(row->section));
	csv_cstr(out, rpt_basis(row->basis));
	csv_text(out, row->class, true);
	csv_text(out, row->host, true);
	csv_cstr(out, row->client.len ? rpt_addr(a, &row->client) : "");
	csv_text(out, row->issuer, true);
	csv_text(out, row->pinset, true);
	fprintf(out, "%.3f,%llu,%llu,%llu,%llu,%llu,%llu,%u,%u,", row->confidence,
		(unsigned long long)row->seen, (unsigned long long)row->refused,
		(unsigned long long)row->accepted, (unsigned long long)row->tries,
		(unsigned long long)row->tries_failed, (unsigned long long)row->tries_ok,
		row->clients, row->stacks);
	csv_cstr(out, rpt_rfc3339(a, row->first_ns));
	csv_cstr(out, rpt_rfc3339(a, row->last_ns));
	csv_joined(out, row->evidence, row->evidence_cnt);
	csv_text(out, row->reason, false);
	fputs("\r\n", out);
}

void
psi_report_csv(FILE *out, const struct psi_report *r, const struct psi_report_format *f)
{
	fputs("section,basis,class,host,client,issuer,pinset,confidence,flows_seen,flows_refused,"
	      "flows_accepted,attempts_seen,attempts_failed,attempts_ok,clients,stacks,first_seen,"
	      "last_seen,evidence,reason\r\n",
		out);
	for (int s = 0; s < PSI_REPORT_SECTION_CNT; s++) {
		uint32_t cnt;
		const struct psi_report_row *row =
			psi_report_rows(r, (enum psi_report_section)s, &cnt);

		for (uint32_t i = 0; i < rpt_row_limit(f, cnt); i++)
			csv_row(out, &row[i]);
	}
}
