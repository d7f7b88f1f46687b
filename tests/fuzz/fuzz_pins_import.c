/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of applications, in the format that they look like and in each other one. Whatever the bytes: an error, or a list
 * whose YAML a configuration takes and whose pins compile. */
#include "psi_config.h"
#include "psi_pins_import.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

static void
on_note(void *ctx, const char *text)
{
	for (; *text; text++)
		MUST((uint8_t)*text >= 0x20 && (uint8_t)*text < 0x7f);
}

static void
read_back(const struct psi_pins_list *l)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct psi_config_source src = {.path = "f"};
	struct psi_err err = {""};
	struct psi_config *cfg;
	struct psi_pins_config pc = {.file = "f"};
	struct psi_pins *p;

	MUST(f && psi_pins_list_write(l, "p/", f) == 0 && fclose(f) == 0);
	src.text = text;
	src.len = len;
	cfg = psi_config_load(&src, &err);
	if (!cfg)
		fprintf(stderr, "%s\n%s\n", err.text, text);
	MUST(cfg);
	pc.set = cfg->pins;
	pc.set_cnt = cfg->pins_cnt;
	p = psi_pins_open(&pc, &err);
	if (!p)
		fprintf(stderr, "%s\n%s\n", err.text, text);
	MUST(p);
	psi_pins_close(p);
	psi_config_close(cfg);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	for (enum psi_pins_format f = PSI_PINS_FORMAT_AUTO; f < PSI_PINS_FORMAT_CNT; f++) {
		struct psi_pins_import in = {.file = "f",
			.p = data,
			.len = len,
			.format = f,
			.host = "h.example",
			.note = on_note};
		struct psi_pins_list *l = psi_pins_list_open();
		struct psi_err err = {""};
		int n;

		MUST(l);
		n = psi_pins_import(l, &in, &err);
		MUST(n > 0 || (n < 0 && err.text[0]));
		if (n > 0)
			read_back(l);
		psi_pins_list_close(l);
	}
	return 0;
}
