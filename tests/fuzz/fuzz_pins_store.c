/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of keys. Whatever the bytes: an error that says where, or a store that writes what it read in lines that read
 * back to the same. */
#include "store_pvt.h"

#include <stdlib.h>

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

struct dump {
	char *p;
	size_t len;
};

/* What a store holds as a file of its own. */
static struct dump
dump_of(const struct psi_pins_store *s)
{
	struct dump d = {.p = malloc(64 + s->keys * LINE_BYTES)};

	MUST(d.p);
	memcpy(d.p, "# pinsight keys 1\n", 18);
	d.len = 18;
	for (const struct entry *e = s->oldest; e; e = e->newer) {
		MUST(e->key_cnt && e->key_cnt <= PSI_PINS_KEYS_MAX + OWN_MAX);
		MUST(strlen(e->name) == e->len && !host_is_name(e->name));
		for (uint32_t i = 0; i < e->key_cnt; i++)
			d.len += store_line(d.p + d.len, e->name, &e->key[i]);
	}
	return d;
}

static struct psi_pins_store *
make(void)
{
	struct psi_pins_store_config cfg = {.hosts_max = 8};
	struct psi_pins_store *s = psi_pins_store_open(&cfg, NULL);

	MUST(s);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct psi_pins_store *s = make(), *again = make();
	struct psi_err err = {""};
	int64_t n = store_parse(s, (const char *)data, len, 0, 1, &err);
	struct dump d = dump_of(s), e;

	MUST(n <= (int64_t)len && (n >= 0) == !err.text[0]);
	MUST(s->count.hosts <= 8);
	MUST(store_parse(again, d.p, d.len, 0, 1, &err) == (int64_t)d.len);
	e = dump_of(again);
	MUST(e.len == d.len && memcmp(d.p, e.p, d.len) == 0);
	free(d.p);
	free(e.p);
	psi_pins_store_close(s);
	psi_pins_store_close(again);
	return 0;
}
