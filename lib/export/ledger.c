/* SPDX-License-Identifier: BSD-3-Clause */
/* The closing summary: verdicts, and the ledger of packets, flows and records. */
#include "export_pvt.h"
#include "psi_export.h"

static void
grouped(char *out, uint64_t v)
{
	char s[20];
	size_t n = fmt_u64(s, v);

	for (size_t i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*out++ = ',';
		*out++ = s[i];
	}
	*out = '\0';
}

static void
line(const struct psi_ledger *l, FILE *out, uint64_t v, const char *text)
{
	char num[32];

	if (!v && !l->verbose)
		return;
	grouped(num, v);
	fprintf(out, "%14s  %s\n", num, text);
}

static void
lines_of(const struct psi_ledger *l, FILE *out, enum psi_stat_kind kind)
{
	for (enum psi_stat c = 0; c < PSI_STAT_CNT; c++)
		if (psi_stat_kind_of(c) == kind)
			line(l, out, l->sum[c], psi_stat_text(c));
}

/* One equation: its heading with the sum and the judgement, then what it is made of. */
static bool
equation(const struct psi_ledger *l, FILE *out, const char *what, const char *verb,
	enum psi_stat_kind in, uint64_t alive)
{
	int64_t off = psi_stats_balance(l->sum, in, alive);
	uint64_t total = 0;
	char num[32];

	for (enum psi_stat c = 0; c < PSI_STAT_CNT; c++)
		if (psi_stat_kind_of(c) == in)
			total += l->sum[c];
	grouped(num, total);
	fprintf(out, "%s: %s %s", what, num, verb);
	if (off == 0) {
		fputs(", balanced\n", out);
	} else {
		grouped(num, off < 0 ? 0 - (uint64_t)off : (uint64_t)off);
		fprintf(out, ", %sNOT BALANCED: %s %s%s\n", l->colour ? "\033[1;31m" : "", num,
			off > 0 ? "unaccounted for" : "accounted for twice",
			l->colour ? "\033[0m" : "");
	}
	lines_of(l, out, in + 1);
	return off == 0;
}

static void
verdicts(const struct psi_ledger *l, FILE *out)
{
	uint64_t total = 0;
	char num[32], text[128];

	for (int c = 0; c < PSI_CLASS_CNT; c++)
		total += l->classes[c];
	grouped(num, total);
	fprintf(out, "TLS flows: %s reported\n", num);
	for (int c = 0; c < PSI_CLASS_CNT; c++) {
		snprintf(text, sizeof(text), "%-24s %s", psi_class_name(c), psi_class_text(c));
		line(l, out, l->classes[c], text);
	}
}

bool
psi_ledger_print(FILE *out, const struct psi_ledger *l)
{
	bool ok = true;

	if (l->classes)
		verdicts(l, out);
	ok &= equation(l, out, "Packets", "received", PSI_STAT_PKT_IN, 0);
	ok &= equation(l, out, "Flows", "opened", PSI_STAT_FLOW_IN, l->flows_alive);
	line(l, out, l->flows_alive, "alive");
	ok &= equation(l, out, "Flow records", "made", PSI_STAT_REC_IN, 0);
	fputs("Of these:\n", out);
	lines_of(l, out, PSI_STAT_INFO);
	return ok;
}
