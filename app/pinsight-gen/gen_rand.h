/* SPDX-License-Identifier: BSD-3-Clause */
/* gen_rand.h: random numbers that are the same everywhere. splitmix64 (Steele, Lea, Flood 2014), public domain
 * constants; a stream for the generator, and one for each connection by its number. */
#ifndef GEN_RAND_H
#define GEN_RAND_H

#include <stdint.h>
#include <string.h>

struct gen_rand {
	uint64_t s;
};

static inline uint64_t
gen_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline uint64_t
gen_u64(struct gen_rand *r)
{
	return gen_mix(r->s += 0x9e3779b97f4a7c15u);
}

/* 0..n-1; the bias of at most n/2^32 is of no matter here. */
static inline uint32_t
gen_below(struct gen_rand *r, uint32_t n)
{
	return (uint32_t)((gen_u64(r) >> 32) * n >> 32);
}

/* [0,1) in steps of 2^-53 */
static inline double
gen_unit(struct gen_rand *r)
{
	return (double)(gen_u64(r) >> 11) * 0x1p-53;
}

/* len bytes that depend on key and what alone */
static inline void
gen_bytes(uint64_t key, uint64_t what, uint8_t *out, uint32_t len)
{
	struct gen_rand r = {gen_mix(key ^ what * 0xd6e8feb86659fd93u)};

	for (uint32_t i = 0; i < len; i += 8) {
		uint64_t v = gen_u64(&r);

		memcpy(out + i, &v, len - i < 8 ? len - i : 8);
	}
}

#endif
