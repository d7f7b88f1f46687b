/* SPDX-License-Identifier: BSD-3-Clause */
/* The plots of the HTML report, as inline SVG: bars alone, coloured by the page's style. */
#include "report_html.h"

#include "psi_export.h"

#define WIDE   480u
#define HIGH   180u
#define LEFT   46u
#define BOTTOM 22u
#define TOP    16u
#define HOSTS  10u

static void
figure(FILE *out, const char *caption, unsigned int high)
{
	fprintf(out,
		"<figure><figcaption>%s</figcaption><svg viewBox=\"0 0 %u %u\" role=\"img\" "
		"aria-label=\"%s\">",
		caption, WIDE, high, caption);
}

static void
figure_end(FILE *out)
{
	fputs("</svg></figure>\n", out);
}

static void
rect(FILE *out, const char *class, double x, double y, double w, double h)
{
	fprintf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
		class, x, y, w, h);
}

static void
label(FILE *out, double x, double y, const char *anchor, const char *text)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	rpt_html(out, text);
	fputs("</text>", out);
}

static void
label_count(FILE *out, double x, double y, const char *anchor, uint64_t n)
{
	char s[24];

	snprintf(s, sizeof(s), "%llu", (unsigned long long)n);
	label(out, x, y, anchor, s);
}

static void
axis(FILE *out, unsigned int high, uint64_t max)
{
	fprintf(out, "<path class=\"axis\" d=\"M%u %uV%uH%u\" fill=\"none\"/>", LEFT, TOP,
		high - BOTTOM, WIDE);
	label_count(out, LEFT - 4, TOP + 6, "end", max);
	label(out, LEFT - 4, high - BOTTOM, "end", "0");
}

/* ---- flows by time ---- */

static const char *const bin_class[PSI_REPORT_BIN_CNT] = {"ok", "refused", "failed", "other"};

static uint64_t
bin_sum(const uint64_t *n)
{
	uint64_t sum = 0;

	for (int k = 0; k < PSI_REPORT_BIN_CNT; k++)
		sum += n[k];
	return sum;
}

static void
legend(FILE *out)
{
	static const char *const text[PSI_REPORT_BIN_CNT] = {
		"went through", "refused", "failed otherwise", "undecided"};

	for (unsigned int k = 0; k < PSI_REPORT_BIN_CNT; k++) {
		rect(out, bin_class[k], LEFT + k * 108.0, HIGH + 4, 9, 9);
		label(out, LEFT + k * 108.0 + 13, HIGH + 12, "start", text[k]);
	}
}

void
rpt_plot_times(FILE *out, const struct psi_report_times *t)
{
	double w = (double)(WIDE - LEFT) / (t->used ? t->used : 1), h = HIGH - BOTTOM - TOP;
	char from[FMT_MAX], to[FMT_MAX];
	uint64_t max = 1;

	if (!t->used)
		return;
	for (uint32_t i = 0; i < t->used; i++)
		max = PSI_MAX(max, bin_sum(t->n[i]));
	figure(out, "Flows by time", HIGH + 18);
	axis(out, HIGH, max);
	for (uint32_t i = 0; i < t->used; i++) {
		double y = HIGH - BOTTOM;

		for (int k = 0; k < PSI_REPORT_BIN_CNT; k++) {
			double part = (double)t->n[i][k] / (double)max * h;

			y -= part;
			if (part > 0)
				rect(out, bin_class[k], LEFT + i * w, y, PSI_MAX(w - 0.5, 0.5),
					part);
		}
	}
	label(out, LEFT, HIGH - 8, "start", rpt_when(from, t->start_s * 1000000000u));
	label(out, WIDE, HIGH - 8, "end",
		rpt_when(to, (t->start_s + t->used * t->width_s) * 1000000000u));
	legend(out);
	figure_end(out);
}

/* ---- hosts that are refused most ---- */

static uint64_t
refusals(const struct psi_report_row *row)
{
	return row->refused ? row->refused : row->tries_failed;
}

/* The few rows about a host with the most refusals, largest first. */
static uint32_t
worst(const struct psi_report *r, const struct psi_report_row *top[HOSTS])
{
	uint32_t n = 0, cnt;

	for (int s = 0; s <= PSI_REPORT_SUSPECTED; s++) {
		const struct psi_report_row *row =
			psi_report_rows(r, (enum psi_report_section)s, &cnt);

		for (; cnt; cnt--, row++) {
			uint32_t at = n;

			if (!row->host.len || !refusals(row))
				continue;
			while (at && refusals(row) > refusals(top[at - 1]))
				at--;
			if (at == HOSTS)
				continue;
			n = PSI_MIN(n + 1, HOSTS);
			memmove(top + at + 1, top + at, (n - at - 1) * sizeof(top[0]));
			top[at] = row;
		}
	}
	return n;
}

void
rpt_plot_hosts(FILE *out, const struct psi_report *r)
{
	const struct psi_report_row *top[HOSTS];
	uint32_t n = worst(r, top);
	double w = WIDE - 200 - 50, max;

	if (!n)
		return;
	max = (double)refusals(top[0]);
	figure(out, "Hosts refused most", n * 20 + 6);
	for (uint32_t i = 0; i < n; i++) {
		double y = 4 + i * 20.0, part = (double)refusals(top[i]) / max * w;
		char name[128];

		psi_text_clean(name, sizeof(name), 30, top[i]->host.p, top[i]->host.len);
		label(out, 196, y + 12, "end", name);
		rect(out, "refused", 200, y, PSI_MAX(part, 1.0), 15);
		label_count(out, 204 + part, y + 12, "start", refusals(top[i]));
	}
	figure_end(out);
}

/* ---- how sure the rows are ---- */

void
rpt_plot_confidence(FILE *out, const struct psi_report *r)
{
	uint64_t n[10] = {0}, max = 0;
	double w = (double)(WIDE - LEFT) / 10, h = HIGH - BOTTOM - TOP;
	uint32_t cnt;

	for (int s = 0; s < PSI_REPORT_SECTION_CNT; s++) {
		const struct psi_report_row *row =
			psi_report_rows(r, (enum psi_report_section)s, &cnt);

		for (; cnt; cnt--, row++)
			n[PSI_MIN((unsigned int)(row->confidence * 10), 9u)]++;
	}
	for (int i = 0; i < 10; i++)
		max = PSI_MAX(max, n[i]);
	if (!max)
		return;
	figure(out, "Rows by confidence", HIGH);
	axis(out, HIGH, max);
	for (int i = 0; i < 10; i++) {
		double part = (double)n[i] / (double)max * h;

		rect(out, "ok", LEFT + i * w + 2, HIGH - BOTTOM - part, w - 4, part);
		if (n[i])
			label_count(out, LEFT + i * w + w / 2, HIGH - BOTTOM - part - 3, "middle",
				n[i]);
	}
	for (int i = 0; i <= 10; i += 5) {
		char s[8];

		snprintf(s, sizeof(s), "%d %%", i * 10);
		label(out, LEFT + i * w, HIGH - 8, i == 10 ? "end" : "middle", s);
	}
	figure_end(out);
}
