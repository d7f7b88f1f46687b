/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_handoff.h"

#include <errno.h>

/* In front of every record. room: from this header to the next one. */
struct head {
	uint32_t room;
	uint16_t type; /* enum psi_handoff_type, SKIP when nothing follows until the ring's end */
	uint16_t spare;
	uint32_t len;
	uint32_t spare2;
};
_Static_assert(sizeof(struct head) == 16, "records stay 8-aligned");
#define SKIP 0

#define LINE  64
#define AHEAD 4096 /* bytes behind the last record that are asked for before they are written */

static struct head *
head_at(const struct psi_handoff *h, uint64_t pos)
{
	return (struct head *)(void *)(h->mem + (pos & (h->size - 1)));
}

static uint32_t
room_of(uint32_t len)
{
	return (uint32_t)sizeof(struct head) + ((len + 15u) & ~15u);
}

int
psi_handoff_init(struct psi_handoff *h, void *mem, size_t size)
{
	if (size < 65536 || (size & (size - 1)))
		return -EINVAL;
	memset(h, 0, sizeof(*h));
	h->mem = mem;
	h->size = size;
	return 0;
}

void *
psi_handoff_reserve(struct psi_handoff *h, uint32_t len)
{
	uint64_t tail = atomic_load_explicit(&h->tail, memory_order_relaxed);
	uint64_t to_end = h->size - (tail & (h->size - 1));
	uint32_t room = room_of(len);
	uint64_t want = room <= to_end ? room : to_end + room;

	if (tail + want - h->head_seen > h->size) {
		h->head_seen = atomic_load_explicit(&h->head, memory_order_acquire);
		if (tail + want - h->head_seen > h->size)
			return NULL;
	}
	h->reserved = 0;
	if (room >
		to_end) { /* the rest of the ring is passed over: rooms are multiples of 16, so a header fits */
		*head_at(h, tail) = (struct head){.room = (uint32_t)to_end, .type = SKIP};
		h->reserved = to_end;
	}
	return head_at(h, tail + h->reserved) + 1;
}

/* For writing: a line that the reader's core has is taken from it. */
static inline void
ask_for(uint8_t *p)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*p));
#else
	__builtin_prefetch(p, 1);
#endif
}

/* The ring comes round to memory that no cache holds any more, or only the reader's. Each line is asked for once. */
static void
ask_ahead(struct psi_handoff *h, uint64_t tail)
{
	if (h->asked < tail)
		h->asked = tail & ~(uint64_t)(LINE - 1);
	for (; h->asked < tail + AHEAD; h->asked += LINE)
		ask_for(h->mem + (h->asked & (h->size - 1)));
}

void
psi_handoff_commit(struct psi_handoff *h, enum psi_handoff_type type, uint32_t len)
{
	uint64_t tail = atomic_load_explicit(&h->tail, memory_order_relaxed) + h->reserved;

	*head_at(h, tail) = (struct head){.room = room_of(len), .type = (uint16_t)type, .len = len};
	h->reserved = 0;
	atomic_store_explicit(&h->tail, tail + room_of(len), memory_order_release);
	ask_ahead(h, tail + room_of(len));
}

uint64_t
psi_handoff_oldest(const struct psi_handoff *h)
{
	return atomic_load_explicit(&h->head, memory_order_relaxed);
}

void *
psi_handoff_look(
	const struct psi_handoff *h, uint64_t *pos, enum psi_handoff_type *type, uint32_t *len)
{
	const struct head *r;

	if (*pos == atomic_load_explicit(&h->tail, memory_order_acquire))
		return NULL;
	r = head_at(h, *pos);
	if (r->type == SKIP) { /* always published together with the record behind it */
		*pos += r->room;
		r = head_at(h, *pos);
	}
	*pos += r->room;
	*type = (enum psi_handoff_type)r->type;
	*len = r->len;
	return (void *)(uintptr_t)(r + 1);
}

void *
psi_handoff_peek(struct psi_handoff *h, enum psi_handoff_type *type, uint32_t *len)
{
	uint64_t head = atomic_load_explicit(&h->head, memory_order_relaxed);
	const struct head *r;

	if (head == atomic_load_explicit(&h->tail, memory_order_acquire))
		return NULL;
	r = head_at(h, head);
	if (r->type == SKIP) { /* always published together with the record behind it */
		head += r->room;
		atomic_store_explicit(&h->head, head, memory_order_release);
		r = head_at(h, head);
	}
	*type = (enum psi_handoff_type)r->type;
	*len = r->len;
	return head_at(h, head) + 1;
}

void
psi_handoff_consume(struct psi_handoff *h)
{
	uint64_t head = atomic_load_explicit(&h->head, memory_order_relaxed);

	if (head_at(h, head)->type == SKIP)
		head += head_at(h, head)->room;
	atomic_store_explicit(&h->head, head + head_at(h, head)->room, memory_order_release);
}
