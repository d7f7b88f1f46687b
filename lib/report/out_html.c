/* SPDX-License-Identifier: BSD-3-Clause */
/* The report as one HTML file: nothing is loaded from anywhere, and every name is escaped. */
#include "report_html.h"
#include "report_page.h"

/* ---- text ---- */

void
rpt_html(FILE *out, const char *clean)
{
	for (; *clean; clean++) {
		switch (*clean) {
		case '&': fputs("&amp;", out); break;
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '"': fputs("&quot;", out); break;
		case '\'': fputs("&#39;", out); break;
		default: fputc(*clean, out);
		}
	}
}

static void
put(FILE *out, struct psi_report_text t)
{
	char buf[SHOWN_MAX];

	rpt_html(out, rpt_shown(buf, t));
}

static unsigned long long
ull(uint64_t n)
{
	return n;
}

/* ---- rows ---- */

static void
detail(FILE *out, const char *what, struct psi_report_text t)
{
	if (!t.len)
		return;
	fprintf(out, "<dt>%s</dt><dd>", what);
	put(out, t);
	fputs("</dd>", out);
}

static void
detail_list(FILE *out, const char *what, const struct psi_report_text *t, uint32_t cnt)
{
	if (!cnt)
		return;
	fprintf(out, "<dt>%s</dt><dd>", what);
	for (uint32_t i = 0; i < cnt; i++) {
		fputs(i ? ", " : "", out);
		put(out, t[i]);
	}
	fputs("</dd>", out);
}

static void
clients(FILE *out, const struct psi_report_row *row)
{
	char a[FMT_MAX];

	if (!row->host.len || !row->client_egs)
		return;
	fputs("<dt>clients</dt><dd>", out);
	for (uint32_t i = 0; i < row->client_egs; i++)
		fprintf(out, "%s%s", i ? ", " : "", rpt_addr(a, &row->client_eg[i]));
	if (row->clients > row->client_egs)
		fprintf(out, " and %u more", row->clients - row->client_egs);
	fputs("</dd>", out);
}

static void
number(FILE *out, uint64_t n)
{
	fprintf(out, "<td class=\"n\" data-v=\"%llu\">%llu</td>", ull(n), ull(n));
}

static void
html_row(FILE *out, const struct psi_report_row *row)
{
	bool flows = row->refused > 0;
	char name[SHOWN_MAX], a[FMT_MAX];

	fputs("<tr><td class=\"name\">", out);
	rpt_html(out, rpt_subject(name, row));
	fputs("</td>", out);
	number(out, flows ? row->refused : row->tries_failed);
	number(out, flows ? row->seen : row->tries);
	number(out, row->clients);
	number(out, row->stacks);
	fprintf(out, "<td class=\"n\" data-v=\"%.3f\">%.0f %%</td>", row->confidence,
		row->confidence * 100);
	fprintf(out, "<td>%s</td><td class=\"why\">", rpt_when(a, row->last_ns));
	put(out, row->reason);
	fputs("<dl>", out);
	detail(out, "class", row->class);
	fprintf(out, "<dt>by</dt><dd>%s</dd>", rpt_basis(row->basis));
	detail_list(out, "evidence", row->evidence, row->evidence_cnt);
	clients(out, row);
	detail(out, "issuer", row->issuer);
	detail(out, "pinset", row->pinset);
	fprintf(out, "<dt>first seen</dt><dd>%s</dd></dl></td></tr>\n", rpt_when(a, row->first_ns));
}

static void
html_section(FILE *out, const struct psi_report *r, enum psi_report_section s,
	const struct psi_report_format *f)
{
	uint32_t cnt, limit;
	const struct psi_report_row *row = psi_report_rows(r, s, &cnt);

	if (!cnt)
		return;
	limit = rpt_row_limit(f, cnt);
	fprintf(out, "<section><h2 id=\"%s\">%s (%u)</h2>\n<p class=\"soft\">",
		psi_report_section_name(s), psi_report_section_title(s), cnt);
	rpt_html(out, psi_report_section_advice(s));
	fprintf(out,
		"</p>\n<div class=\"wide\"><table aria-labelledby=\"%s\"><thead><tr><th scope=\"col\">%s</th>"
		"<th scope=\"col\" class=\"n\">Refused</th><th scope=\"col\" class=\"n\">Flows</th>"
		"<th scope=\"col\" class=\"n\">Clients</th><th scope=\"col\" class=\"n\">Stacks</th>"
		"<th scope=\"col\" class=\"n\">Confidence</th><th scope=\"col\">Last seen, UTC</th>"
		"<th scope=\"col\">Why</th></tr></thead><tbody>\n",
		psi_report_section_name(s), s == PSI_REPORT_DISTRUST ? "Client" : "Host");
	for (uint32_t i = 0; i < limit; i++)
		html_row(out, &row[i]);
	fputs("</tbody></table></div>\n", out);
	if (limit < cnt)
		fprintf(out, "<p class=\"soft\">And %u more; --top=0 shows all.</p>\n",
			cnt - limit);
	fputs("</section>\n", out);
}

/* ---- head and foot ---- */

static void
tile(FILE *out, uint64_t n, const char *what)
{
	fprintf(out, "<li><b>%llu</b>%s</li>", ull(n), what);
}

static void
html_head(FILE *out, const struct psi_report_sum *s)
{
	char first[FMT_MAX], last[FMT_MAX];

	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "base-uri 'none'; form-action 'none'; style-src 'sha256-" STYLE_SHA256
	      "'; script-src 'sha256-" SCRIPT_SHA256 "'\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	      "<meta name=\"referrer\" content=\"no-referrer\">\n"
	      "<title>Pinsight report</title>\n<style>",
		out);
	fputs(page_style, out);
	fputs("</style></head>\n<body>\n<header><h1>Pinsight report</h1>", out);
	if (s->last_ns)
		fprintf(out, "<p class=\"soft\">%s to %s UTC</p>", rpt_when(first, s->first_ns),
			rpt_when(last, s->last_ns));
	fputs("\n<ul class=\"tiles\">", out);
	tile(out, s->flows, "flows");
	tile(out, s->accepted, "went through");
	tile(out, s->refused, "refused by the client");
	tile(out, s->failed, "failed otherwise");
	tile(out, s->undecided, "undecided");
	tile(out, s->events[PSI_REPORT_FINDING], "findings read");
	fputs("</ul></header>\n<main>\n", out);
}

static void
html_note(FILE *out, uint64_t n, const char *one, const char *many, const char *text)
{
	if (n)
		fprintf(out, "<p class=\"note\">%llu %s %s</p>\n", ull(n), n == 1 ? one : many,
			text);
}

static void
html_foot(FILE *out, const struct psi_report_sum *s, uint32_t rows)
{
	if (!rows)
		fputs("<p>Nothing to act on: no flow was refused.</p>\n", out);
	fputs("</main>\n<footer>\n", out);
	html_note(out, s->bad, "line", "lines", "could not be read.");
	html_note(
		out, s->lost, "event", "events", "missing in the input: its reader was too slow.");
	html_note(
		out, s->filtered, "flow or finding", "flows and findings", "kept out by filters.");
	html_note(out, s->below, "row", "rows", "below the least confidence asked for.");
	html_note(out, s->expired, "finding", "findings", "taken back, not shown.");
	html_note(out, s->left_flows, "refused or failed flow", "refused or failed flows",
		"in no row: the tables are full.");
	html_note(out, s->left_findings, "finding", "findings", "in no row: the tables are full.");
	html_note(out, s->forgotten, "host or client", "hosts or clients",
		"crowded out of the counts of accepted flows: Flows may be too low.");
	fputs("</footer>\n<script>", out);
	fputs(page_script, out);
	fputs("</script>\n</body></html>\n", out);
}

void
psi_report_html(FILE *out, const struct psi_report *r, const struct psi_report_format *f)
{
	uint32_t rows = 0, cnt;

	html_head(out, psi_report_sum(r));
	fputs("<div class=\"plots\">\n", out);
	rpt_plot_times(out, psi_report_times(r));
	rpt_plot_hosts(out, r);
	rpt_plot_confidence(out, r);
	fputs("</div>\n", out);
	for (int s = 0; s < PSI_REPORT_SECTION_CNT; s++) {
		html_section(out, r, (enum psi_report_section)s, f);
		psi_report_rows(r, (enum psi_report_section)s, &cnt);
		rows += cnt;
	}
	html_foot(out, psi_report_sum(r), rows);
}
