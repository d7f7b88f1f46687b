/* SPDX-License-Identifier: BSD-3-Clause */
/* A file, and behind its first NUL, if it has one, overrides, each ended by a NUL: "E..." of the environment, else of the
 * command line. What is accepted must print as a file that is accepted and says the same; what is refused must say why
 * in at most PSI_CONFIG_ERROR_MAX + 1 lines of UTF-8 or of an argument's bytes, with a place inside the text. */
#include "config_pvt.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define OV_MAX 8

struct seen {
	uint32_t problems, lines;
};

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
on_problem(void *ctx, const struct psi_config_problem *p)
{
	struct seen *s = ctx;

	s->problems++;
	must(p->text[0] && p->origin[0]);
	must(!p->at.line == !p->at.col);
	must(p->at.line <= s->lines);
}

static struct psi_config *
load(const char *text, size_t len, const struct psi_config_override *ov, uint32_t ov_cnt)
{
	struct seen s = {0, 2};
	struct psi_config_source src = {.path = "/f",
		.text = text,
		.len = len,
		.ov = ov,
		.ov_cnt = ov_cnt,
		.report = on_problem,
		.ctx = &s};
	struct psi_err err = {""};
	struct psi_config *c;

	for (size_t i = 0; i < len; i++)
		s.lines += text[i] == '\n' || text[i] == '\r' || (text[i] & 0x80);
	c = psi_config_load(&src, &err);
	must(!c == (s.problems > 0) && !c == (err.text[0] != '\0'));
	must(s.problems <= PSI_CONFIG_ERROR_MAX + 1);
	return c;
}

static void
prints_as_same(const struct psi_config *c)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	struct psi_config *again;

	must(f && psi_config_print(c, f));
	fclose(f);
	again = load(out, len, NULL, 0);
	must(again != NULL);
	must(psi_config_diff(c, again, NULL, 0) == 0);
	must(psi_config_changed(c) == psi_config_changed(again));
	psi_config_close(again);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct psi_config_override ov[OV_MAX];
	char *copy = malloc(len + 1), *text, *p, *end;
	struct psi_config *c;
	size_t text_len;
	uint32_t n = 0;

	must(copy != NULL);
	memcpy(copy, data, len);
	copy[len] = '\0';
	end = copy + len;
	text_len = strlen(copy);
	text = malloc(text_len ? text_len : 1);
	must(text != NULL);
	memcpy(text, copy, text_len);
	for (p = copy + text_len + 1; p < end && n < OV_MAX; p += strlen(p) + 1)
		if (*p != 'E')
			ov[n++] = (struct psi_config_override){p, false};
		else if (strncmp(p + 1, "PINSIGHT_", 9) == 0)
			ov[n++] = (struct psi_config_override){p + 1, true};
	c = load(text, text_len, ov, n);
	if (c)
		prints_as_same(c);
	psi_config_close(c);
	free(text);
	free(copy);
	return 0;
}
