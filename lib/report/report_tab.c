/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded tables with open addressing. They grow by doubling up to their bound, and nothing is ever taken out. */
#include "report_pvt.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(HASH_KEY_LEN >= XXH3_SECRET_SIZE_MIN, "the key is long enough");

uint64_t
rpt_hash(const struct rpt_hash_key *k, const void *p, size_t len)
{
	return XXH3_64bits_withSecret(p, len, k->b, sizeof(k->b));
}

/* ---- records ---- */

void
rpt_tab_init(struct rpt_tab *t, const struct rpt_hash_key *key, uint32_t rec_size,
	uint32_t key_size, uint32_t max)
{
	*t = (struct rpt_tab){.key = key, .rec_size = rec_size, .key_size = key_size, .max = max};
}

void
rpt_tab_fini(struct rpt_tab *t)
{
	free(t->rec);
	free(t->slot);
	t->rec = NULL;
	t->slot = NULL;
}

/* The slot of a key: that of its record, or the free one where it belongs. Half the slots are free, so there is one. */
static uint32_t
tab_slot(const struct rpt_tab *t, const void *key)
{
	uint32_t mask = t->slot_cnt - 1, i = (uint32_t)rpt_hash(t->key, key, t->key_size) & mask;

	while (t->slot[i] && memcmp(rpt_tab_at(t, t->slot[i] - 1), key, t->key_size) != 0)
		i = (i + 1) & mask;
	return i;
}

static bool
tab_grow(struct rpt_tab *t)
{
	uint32_t cap = t->cap ? PSI_MIN(t->cap * 2, t->max) : PSI_MIN(64u, t->max), slots = 128;
	uint32_t *slot;
	uint8_t *rec;

	while (slots < cap * 2)
		slots *= 2;
	rec = realloc(t->rec, (size_t)cap * t->rec_size);
	if (!rec)
		return false;
	t->rec = rec;
	slot = calloc(slots, sizeof(*slot));
	if (!slot)
		return false;
	free(t->slot);
	t->slot = slot;
	t->slot_cnt = slots;
	t->cap = cap;
	for (uint32_t i = 0; i < t->cnt; i++)
		slot[tab_slot(t, rpt_tab_at(t, i))] = i + 1;
	return true;
}

void *
rpt_tab_find(const struct rpt_tab *t, const void *key)
{
	uint32_t i;

	if (!t->cnt)
		return NULL;
	i = tab_slot(t, key);
	return t->slot[i] ? rpt_tab_at(t, t->slot[i] - 1) : NULL;
}

void *
rpt_tab_get(struct rpt_tab *t, const void *key, bool *made)
{
	uint8_t *rec = rpt_tab_find(t, key);

	*made = false;
	if (rec)
		return rec;
	if (t->cnt == t->max || (t->cnt == t->cap && !tab_grow(t)))
		return NULL;
	t->slot[tab_slot(t, key)] = t->cnt + 1;
	rec = rpt_tab_at(t, t->cnt++);
	memset(rec, 0, t->rec_size);
	memcpy(rec, key, t->key_size);
	*made = true;
	return rec;
}

/* ---- names: two bytes of length, the bytes, a NUL; an id is where its bytes begin ---- */

void
rpt_names_init(struct rpt_names *n, const struct rpt_hash_key *key, uint32_t max)
{
	*n = (struct rpt_names){.key = key, .max = max};
}

void
rpt_names_fini(struct rpt_names *n)
{
	free(n->bytes);
	free(n->slot);
	n->bytes = NULL;
	n->slot = NULL;
}

struct psi_report_text
rpt_names_text(const struct rpt_names *n, uint32_t id)
{
	uint16_t len;

	if (!id || id == NAME_NONE)
		return (struct psi_report_text){"", 0};
	memcpy(&len, n->bytes + id - 2, sizeof(len));
	return (struct psi_report_text){n->bytes + id, len};
}

static uint32_t
names_slot(const struct rpt_names *n, const char *p, size_t len)
{
	uint32_t mask = n->slot_cnt - 1, i = (uint32_t)rpt_hash(n->key, p, len) & mask;

	for (; n->slot[i]; i = (i + 1) & mask) {
		struct psi_report_text t = rpt_names_text(n, n->slot[i]);

		if (t.len == len && memcmp(t.p, p, len) == 0)
			break;
	}
	return i;
}

static bool
names_rehash(struct rpt_names *n)
{
	uint32_t slots = n->slot_cnt ? n->slot_cnt * 2 : 256;
	uint32_t *slot = calloc(slots, sizeof(*slot));

	if (!slot)
		return false;
	free(n->slot);
	n->slot = slot;
	n->slot_cnt = slots;
	for (uint32_t at = 0, i = 0; i < n->cnt; i++) {
		uint16_t len;

		memcpy(&len, n->bytes + at, sizeof(len));
		slot[names_slot(n, n->bytes + at + 2, len)] = at + 2;
		at += 2u + len + 1u;
	}
	return true;
}

static bool
names_room(struct rpt_names *n, uint32_t want)
{
	uint32_t cap = n->cap ? n->cap : 4096;
	char *bytes;

	if (want > n->max - n->len)
		return false;
	while (cap - n->len < want)
		cap = cap > n->max / 2 ? n->max : cap * 2;
	if (cap != n->cap) {
		bytes = realloc(n->bytes, cap);
		if (!bytes)
			return false;
		n->bytes = bytes;
		n->cap = cap;
	}
	return (n->cnt + 1) * 2 <= n->slot_cnt || names_rehash(n);
}

/* The longest part of at most NAME_LEN_MAX bytes that does not end amid a character. */
static size_t
cut(const char *p, size_t len)
{
	if (len <= NAME_LEN_MAX)
		return len;
	len = NAME_LEN_MAX;
	while (len && ((uint8_t)p[len] & 0xc0) == 0x80)
		len--;
	return len;
}

uint32_t
rpt_names_id(struct rpt_names *n, const char *p, size_t len)
{
	uint16_t stored;
	uint32_t i, at;

	len = cut(p, len);
	if (!len)
		return 0;
	if (n->slot_cnt) {
		i = names_slot(n, p, len);
		if (n->slot[i])
			return n->slot[i];
	}
	if (!names_room(n, (uint32_t)len + 3))
		return NAME_NONE;
	at = n->len + 2;
	stored = (uint16_t)len;
	memcpy(n->bytes + n->len, &stored, sizeof(stored));
	memcpy(n->bytes + at, p, len);
	n->bytes[at + len] = '\0';
	n->slot[names_slot(n, p, len)] = at;
	n->len = at + (uint32_t)len + 1;
	n->cnt++;
	return at;
}

/* ---- counts ---- */

#define BUCKET 8u

int
rpt_counts_init(struct rpt_counts *c, uint32_t cnt)
{
	c->cnt = BUCKET;
	while (c->cnt < cnt && c->cnt < 1u << 31)
		c->cnt *= 2;
	c->forgotten = 0;
	c->cell = calloc(c->cnt, sizeof(*c->cell));
	return c->cell ? 0 : -1;
}

void
rpt_counts_fini(struct rpt_counts *c)
{
	free(c->cell);
	c->cell = NULL;
}

void
rpt_counts_add(struct rpt_counts *c, uint64_t hash)
{
	uint32_t base = (uint32_t)hash & (c->cnt - 1) & ~(BUCKET - 1), least = base;

	for (uint32_t i = base; i < base + BUCKET; i++) {
		if (c->cell[i].n && c->cell[i].hash == hash) {
			c->cell[i].n++;
			return;
		}
		if (c->cell[i].n < c->cell[least].n)
			least = i;
	}
	if (c->cell[least].n)
		c->forgotten++;
	c->cell[least].hash = hash;
	c->cell[least].n = 1;
}

uint64_t
rpt_counts_get(const struct rpt_counts *c, uint64_t hash)
{
	uint32_t base = (uint32_t)hash & (c->cnt - 1) & ~(BUCKET - 1);

	for (uint32_t i = base; i < base + BUCKET; i++)
		if (c->cell[i].n && c->cell[i].hash == hash)
			return c->cell[i].n;
	return 0;
}
