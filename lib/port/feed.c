/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of a file, read in large pieces into blocks that mbufs may point into. What a block's end cuts in two is
 * copied to the start of the next block: a few hundred bytes in half a million. */
#include "port_pvt.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_BYTES (128u << 10) /* at once */
/* A block is left when so much of it was taken, after two reads; the rest is for long records. What is read into, two
 * blocks in turn, and what the worker needs stay in a core's cache, and packets that are held, and with them their
 * blocks, take less memory. */
#define LEAVE_BYTES READ_BYTES

/* Under AddressSanitizer what was not read yet must not be looked at either. */
#if defined(__SANITIZE_ADDRESS__)
#define FEED_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FEED_POISON 1
#endif
#endif
#ifdef FEED_POISON
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)	  ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

static_assert(BLOCK_BYTES >= CAPTURE_RECORD_MAX, "a block holds the longest record");

struct feed *
feed_open(int fd, struct rte_mempool *pool)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (f)
		f->block = pool_block_take(pool);
	if (!f || !f->block) {
		close(fd);
		free(f);
		return NULL;
	}
	f->pool = pool;
	f->fd = fd;
	f->at = f->end = f->block;
	return f;
}

void
feed_close(struct feed *f)
{
	if (!f)
		return;
	close(f->fd);
	ASAN_UNPOISON_MEMORY_REGION(f->block, pool_block_bytes(f->pool));
	pool_block_drop(f->pool, f->block);
	free(f);
}

/* The rest goes to the start of another block; of this one when there is no other, which then has nothing lent. */
static void
next_block(struct feed *f)
{
	size_t rest = (size_t)(f->end - f->at);
	uint8_t *b = pool_block_take(f->pool);

	ASAN_UNPOISON_MEMORY_REGION(f->block, pool_block_bytes(f->pool));
	memmove(b ? b : f->block, f->at, rest);
	if (b) {
		pool_block_drop(f->pool, f->block);
		f->block = b;
	}
	f->at = f->block;
	f->end = f->at + rest;
}

size_t
feed_fill(struct feed *f, size_t n)
{
	size_t size = pool_block_bytes(f->pool);

	PSI_ASSERT(n <= size, "a block holds the longest record");
	if (f->error || f->ended)
		return (size_t)(f->end - f->at);
	if ((size_t)(f->block + size - f->at) < n || f->at - f->block >= LEAVE_BYTES)
		next_block(f);
	while ((size_t)(f->end - f->at) < n) {
		size_t room = (size_t)(f->block + size - f->end);
		ssize_t got;

		ASAN_UNPOISON_MEMORY_REGION(f->end, room);
		got = read(f->fd, f->end, PSI_MIN(room, READ_BYTES));
		if (got > 0)
			f->end += got;
		ASAN_POISON_MEMORY_REGION(f->end, (size_t)(f->block + size - f->end));
		if (got > 0)
			continue;
		f->ended = got == 0;
		f->error = got < 0 ? errno : 0;
		break;
	}
	return (size_t)(f->end - f->at);
}
