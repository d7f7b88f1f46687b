/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is freed all at once. */
#include "config_pvt.h"

#include <stdlib.h>

#define BLOCK_LEN 65536

struct arena_block {
	struct arena_block *next;
	size_t used, len;
	uint64_t mem[];
};

void *
cfg_arena_get(struct arena *a, size_t len)
{
	struct arena_block *b = a->blocks;
	void *p;

	len = (len + 7) & ~(size_t)7;
	if (!b || b->len - b->used < len) {
		size_t room = PSI_MAX(len, (size_t)BLOCK_LEN);

		b = calloc(1, sizeof(*b) + room);
		if (!b) {
			a->failed = true;
			return NULL;
		}
		b->len = room;
		b->next = a->blocks;
		a->blocks = b;
	}
	p = (uint8_t *)b->mem + b->used;
	b->used += len;
	return p;
}

char *
cfg_arena_text(struct arena *a, const char *p, size_t len)
{
	char *t = cfg_arena_get(a, len + 1);

	if (t && len)
		memcpy(t, p, len);
	return t;
}

void
cfg_arena_free(struct arena *a)
{
	struct arena_block *next;

	for (struct arena_block *b = a->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	a->blocks = NULL;
}
