/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_cursor.h: a bounded view of bytes, read from the front. Every read checks first, then reads, then advances;
 * a read that does not fit leaves the cursor where it was and returns false (or NULL). Network byte order.
 * Thread: no shared state. The cursor never owns the bytes. */
#ifndef PSI_CURSOR_H
#define PSI_CURSOR_H

#include "psi_base.h"

struct psi_cursor {
	const uint8_t *p;   /* next byte */
	const uint8_t *end; /* one past the last; p <= end always */
};

static inline struct psi_cursor
psi_cursor(const void *p, size_t len)
{
	return (struct psi_cursor){(const uint8_t *)p, (const uint8_t *)p + len};
}

static inline size_t
psi_cursor_left(const struct psi_cursor *c)
{
	return (size_t)(c->end - c->p);
}

/* psi_take: the next n bytes, or NULL when fewer are left. */
static inline const uint8_t *
psi_take(struct psi_cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (n > psi_cursor_left(c))
		return NULL;
	c->p += n;
	return p;
}

static inline uint16_t
psi_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
psi_be24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t
psi_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline bool
psi_take8(struct psi_cursor *c, uint8_t *v)
{
	const uint8_t *p = psi_take(c, 1);

	if (!p)
		return false;
	*v = *p;
	return true;
}

static inline bool
psi_take16(struct psi_cursor *c, uint16_t *v)
{
	const uint8_t *p = psi_take(c, 2);

	if (!p)
		return false;
	*v = psi_be16(p);
	return true;
}

static inline bool
psi_take24(struct psi_cursor *c, uint32_t *v)
{
	const uint8_t *p = psi_take(c, 3);

	if (!p)
		return false;
	*v = psi_be24(p);
	return true;
}

static inline bool
psi_take32(struct psi_cursor *c, uint32_t *v)
{
	const uint8_t *p = psi_take(c, 4);

	if (!p)
		return false;
	*v = psi_be32(p);
	return true;
}

/* psi_sub: takes n bytes as a cursor of their own. False, and c unchanged, when fewer are left. */
static inline bool
psi_sub(struct psi_cursor *c, size_t n, struct psi_cursor *sub)
{
	const uint8_t *p = psi_take(c, n);

	if (!p)
		return false;
	*sub = psi_cursor(p, n);
	return true;
}

#endif
