/* SPDX-License-Identifier: BSD-3-Clause */
/* hosts_pvt.h: shared by hosts.c (asking) and hosts_load.c (reading a list). */
#ifndef HOSTS_PVT_H
#define HOSTS_PVT_H

#include "psi_hosts.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* What a line asks for. */
#define SELF  1u /* the name itself */
#define BELOW 2u /* every name below it */
#define ASKS  3u

/* One name: 8 bytes, 8 to a cache line. ref 0: free. A name always asks for something, so ref of one is never 0. */
struct slot {
	uint32_t tag; /* the half of the hash that does not say where the slot is */
	uint32_t ref; /* where the name begins in text, times 4, plus what it asks for */
};

/* The file itself, read whole, becomes the store of names: comments and blanks squeezed out, each name in lower case and
 * ended by a NUL where its newline was. */
struct psi_hosts {
	struct slot *slot; /* slot_mask + 1 of them, open addressing, at most two thirds in use */
	char *text;
	size_t text_len;
	uint64_t slot_mask;
	uint64_t key; /* of the hash; random, so that nobody can choose hosts that collide */
	uint32_t names, twice;
	uint8_t depth[PSI_HOSTS_LABEL_MAX +
		      1]; /* [n]: what names of n labels ask for, all together */
};

/* A byte of a name in lower case; 0: no name has it. The dot between labels is one of them. */
static inline char
name_byte(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c | 0x20);
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_')
		return (char)c;
	return 0;
}

static inline uint64_t
name_hash(const struct psi_hosts *h, const char *name, size_t len)
{
	return XXH3_64bits_withSeed(name, len, h->key);
}

/* The slot of name, or the free one where it belongs. */
static inline struct slot *
name_slot(const struct psi_hosts *h, uint64_t hash, const char *name, size_t len)
{
	for (uint64_t i = hash & h->slot_mask;; i = (i + 1) & h->slot_mask) {
		struct slot *s = &h->slot[i];
		size_t at = s->ref >> 2;

		if (!s->ref)
			return s;
		/* every stored name has its NUL, so one that ends before len differs there at the latest */
		if (s->tag == (uint32_t)(hash >> 32) && strncmp(h->text + at, name, len) == 0 &&
			h->text[at + len] == 0)
			return s;
	}
}

#endif
