/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as JSON Lines: read, added up in small tables, written in every format and form. What comes out holds no
 * control character, and a list of hosts holds none but host names. */
#include "psi_report.h"

#include <stdio.h>
#include <stdlib.h>

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char out[1 << 20];

static size_t
written(FILE *f)
{
	long n;

	fflush(f);
	n = ftell(f);
	rewind(f);
	return n > 0 ? (size_t)n : 0;
}

static void
check_text(size_t n, bool crlf)
{
	for (size_t i = 0; i < n; i++)
		must((uint8_t)out[i] >= 0x20 || out[i] == '\n' || out[i] == '\t' ||
			(crlf && out[i] == '\r'));
}

/* Every line of the plain form is a comment or a host name. */
static void
check_hosts(size_t n)
{
	for (size_t i = 0; i < n;) {
		const char *nl = memchr(out + i, '\n', n - i);
		size_t len;

		must(nl != NULL);
		len = (size_t)(nl - out) - i;
		must(out[i] == '#' ||
			!psi_report_host_fault((struct psi_report_text){out + i, len}));
		i += len + 1;
	}
}

static void
write_all(FILE *f, const struct psi_report *r)
{
	struct psi_report_format fmt = {.width = 80};
	struct psi_report_exempt x = {.min_confidence = 0};

	psi_report_text(f, r, &fmt);
	check_text(written(f), false);
	psi_report_json(f, r, &fmt);
	check_text(written(f), false);
	psi_report_csv(f, r, &fmt);
	check_text(written(f), true);
	for (int form = 0; form < PSI_REPORT_FORM_CNT; form++) {
		size_t n;

		x.form = (enum psi_report_form)form;
		must(psi_report_exempt_list(f, r, &x) >= 0);
		n = written(f);
		check_text(n, true);
		if (form == PSI_REPORT_FORM_PLAIN)
			check_hosts(n);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct psi_report_config cfg = {
		.findings_max = 8, .pairs_max = 8, .names_max = 2048, .accepted_max = 16};
	static FILE *f;
	struct psi_report_event e;
	struct psi_report_json *j;
	struct psi_err err = {""};
	struct psi_report *r;
	enum psi_report_rc rc;
	FILE *in;

	if (!len || len > 60000)
		return 0;
	if (!f)
		f = fmemopen(out, sizeof(out), "w");
	in = fmemopen((void *)(uintptr_t)data, len, "rb");
	must(f && in);
	j = psi_report_json_open(in, "fuzz");
	r = psi_report_open(&cfg, &err);
	must(j && r);
	while ((rc = psi_report_json_next(j, &e, &err)) != PSI_REPORT_END) {
		if (rc == PSI_REPORT_EVENT)
			psi_report_take(r, &e);
		else
			psi_report_bad(r);
		must(rc != PSI_REPORT_DEAD);
	}
	must(psi_report_finish(r) == 0);
	write_all(f, r);
	psi_report_close(r);
	psi_report_json_close(j);
	fclose(in);
	return 0;
}
