/* SPDX-License-Identifier: BSD-3-Clause */
/* ring_pvt.h: the file. All numbers are little endian; a reader of another version refuses it.
 *
 * Positions count bytes since the ring's start and never wrap (2^64 bytes last longer than the machine); a position p
 * stands at data[p % size]. A record is an event, whole and contiguous. Where the next one does not fit before the end
 * of the data, a pad stands: its first 8 bytes are those of an event of type 0, its length reaches to the end. */
#ifndef PSI_RING_PVT_H
#define PSI_RING_PVT_H

#include "psi_ring.h"

#include <stdatomic.h>

#define RING_MAGIC    "PSIRING"
#define RING_VERSION  1
#define RING_DATA_OFF 4096
#define RING_MARKS    16

/* One writer, any readers. What changes stands on lines of its own, away from what does not. */
struct ring_file {
	/* Constant once the file has its name. */
	char magic[8];
	uint32_t version;
	uint32_t data_off; /* where the data begin */
	uint64_t size;	   /* of the data, a power of two */
	uint64_t generation;

	/* Everything in [oldest,head) is whole. The writer moves oldest before it overwrites, head after it has
	 * written. See ring.c for the order. */
	_Atomic uint64_t head __attribute__((aligned(128)));
	_Atomic uint64_t oldest __attribute__((aligned(128)));

	_Atomic uint64_t first_seq
		__attribute__((aligned(128))); /* of this generation; valid when head > 0 */
	_Atomic uint64_t newest_seq;
	_Atomic uint64_t beat_ns;
	_Atomic uint64_t closed;

	/* The first record that begins in each sixteenth of the data, for readers that were overtaken. */
	_Atomic uint64_t mark[RING_MARKS] __attribute__((aligned(128)));
};
_Static_assert(sizeof(struct ring_file) <= RING_DATA_OFF, "the data begin behind the header");

/* The first 8 bytes of a record, as one word: see struct psi_event. */
#define RECORD_LEN(word)  ((uint32_t)(word))
#define RECORD_TYPE(word) ((uint8_t)((word) >> 32))

typedef _Atomic uint64_t ring_word;

/* ring_engine.c */
void ring_tell(int fd, uint64_t reloads, const char *said);

static inline ring_word *
ring_at(ring_word *data, uint64_t size, uint64_t pos)
{
	return data + (pos & (size - 1)) / 8;
}

#endif
