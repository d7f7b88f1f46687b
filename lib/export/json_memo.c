/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts that come again. They stand one behind the other, each behind the bytes that it is the text of, and the
 * newest overwrites the oldest. What is found is compared byte by byte: a hash that somebody made to collide costs time
 * and nothing else. */
#include "json_pvt.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define STORE_BYTES (8u << 20)
#define KEPT_MAX    (STORE_BYTES / 64) /* bytes of one, with its text */
#define SETS	    4096
#define WAYS	    2 /* a cache line */

struct slot {
	uint64_t hash;
	uint64_t at; /* bytes stored before it, since the start */
	uint32_t len, text_len;
	uint32_t kind;
};

struct psi_json {
	uint64_t stored; /* bytes, since the start; skipped ones included */
	struct slot slot[SETS][WAYS];
	char store[STORE_BYTES];
};

struct psi_json *
psi_json_open(void)
{
	return calloc(1, sizeof(struct psi_json));
}

void
psi_json_close(struct psi_json *j)
{
	free(j);
}

static bool
is_kept(const struct psi_json *j, const struct slot *s)
{
	return j->stored - s->at <= STORE_BYTES;
}

const char *
json_memo_find(struct psi_json *j, struct json_memo_key *k, size_t *n)
{
	struct slot *set;
	const char *bytes;

	k->hash = XXH3_64bits_withSeed(k->p, k->len, k->kind);
	set = j->slot[k->hash % SETS];
	for (struct slot *s = set; s < set + WAYS; s++) {
		bytes = j->store + s->at % STORE_BYTES;
		if (s->hash != k->hash || s->len != k->len || s->kind != k->kind ||
			!is_kept(j, s) || memcmp(bytes, k->p, k->len) != 0)
			continue;
		*n = s->text_len;
		return bytes + k->len;
	}
	return NULL;
}

void
json_memo_add(struct psi_json *j, const struct json_memo_key *k, const char *text, size_t n)
{
	struct slot *set = j->slot[k->hash % SETS], *s = set;
	size_t size = k->len + n, left = STORE_BYTES - j->stored % STORE_BYTES;
	char *bytes;

	if (!k->len || size > KEPT_MAX)
		return;
	if (size > left)
		j->stored += left;
	for (struct slot *other = set + 1; other < set + WAYS; other++)
		if (other->at < s->at || !other->len)
			s = other;
	*s = (struct slot){.hash = k->hash,
		.at = j->stored,
		.len = k->len,
		.text_len = (uint32_t)n,
		.kind = k->kind};
	bytes = j->store + j->stored % STORE_BYTES;
	memcpy(bytes, k->p, k->len);
	memcpy(bytes + k->len, text, n);
	j->stored += size;
}
