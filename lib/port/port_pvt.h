/* SPDX-License-Identifier: BSD-3-Clause */
/* port_pvt.h: shared by the .c files of capture ports and their tests: blocks of a file in memory, the bytes of a file
 * as they are fed through them, and the readers of capture formats behind one port. */
#ifndef PORT_PVT_H
#define PORT_PVT_H

#include "psi_port.h"

/* ---- blocks: memory that a file is read into and that mbufs point into, so that no packet is copied (pool.c) ----
 *
 * A block is free, or in use by the feed that fills it, by mbufs, or by both; it is free again when the last of them is
 * done. Packets are lent only while a block is free (pool_has_block), so that a feed which finds none has nothing lent
 * of its own and can go on in the block that it has. One feed a pool at a time. */
#define BLOCK_BYTES (1u << 19) /* holds the longest record of any format, see CAPTURE_RECORD_MAX */
#define BLOCK_CNT   32

/* What a pool has: its mbufs, as a stack, and its blocks. mempool's pool_data. */
struct pool_stack {
	uint8_t *mem; /* the elements, each behind its header */
	uint8_t *blocks;
	size_t blocks_len; /* all together */
	uint32_t block_shift;
	uint32_t free_block_cnt;
	uint8_t free_block[BLOCK_CNT]; /* indices; the last one freed is taken first */
	uint32_t
		block_use[BLOCK_CNT]; /* the mbufs that point into it, and the feed that fills it */
	uint32_t made, cnt;
	void *free[];
};

/* pool_open: psi_port_pool_open with blocks of another size or number, for tests. block_bytes is a power of two. */
struct rte_mempool *
pool_open(uint32_t cnt, uint16_t room, uint32_t block_bytes, uint32_t block_cnt);
/* pool_block_take: a free block, the caller's until pool_block_drop. NULL when there is none. */
uint8_t *pool_block_take(struct rte_mempool *mp);
void pool_block_drop(struct rte_mempool *mp, uint8_t *block);

static inline uint32_t
pool_block_bytes(const struct rte_mempool *mp)
{
	const struct pool_stack *s = mp->pool_data;

	return 1u << s->block_shift;
}

static inline bool
pool_has_block(const struct rte_mempool *mp)
{
	const struct pool_stack *s = mp->pool_data;

	return s->free_block_cnt > 0;
}

/* pool_lend: m's bytes are the len > 0 at p, in a block; m holds the block until it goes back to the pool. */
static inline void
pool_lend(struct rte_mempool *mp, struct rte_mbuf *m, uint8_t *p, uint16_t len)
{
	struct pool_stack *s = mp->pool_data;

	s->block_use[(size_t)(p - s->blocks) >> s->block_shift]++;
	m->buf_addr = p;
	m->buf_len = len;
	m->data_off = 0;
	m->data_len = len;
}

/* ---- feed: the bytes of a file, in order (feed.c) ---- */

struct feed {
	struct rte_mempool *pool;
	int fd;
	int error;	/* errno of the read that failed, 0 */
	bool ended;	/* nothing follows what is in memory */
	uint8_t *block; /* in which [at,end) lies: read, and not yet taken */
	uint8_t *at, *end;
};

/* feed_open: takes fd over. NULL when the pool has no block free. */
struct feed *feed_open(int fd, struct rte_mempool *pool);
void feed_close(struct feed *f);
size_t feed_fill(struct feed *f, size_t n);

/* feed_want: at least n <= pool_block_bytes bytes at f->at in one piece, good until the next call. Returns how many
 * there are; fewer than n at the end of the file, or when reading failed (f->error). The caller moves f->at on. */
static inline size_t
feed_want(struct feed *f, size_t n)
{
	size_t have = (size_t)(f->end - f->at);

	return psi_likely(have >= n) ? have : feed_fill(f, n);
}

/* ---- readers ---- */

/* A packet as a capture holds it. data is the reader's, good until its next call. */
struct capture_packet {
	uint8_t *data;
	uint64_t ts_ns;
	uint32_t cap_len, wire_len;
	enum psi_link link;
	bool in_block; /* data lies in the feed's block */
};

/* A reader: all formats look alike to the port. The feed stands at its start, and is the port's.
 * next: 1 a packet; 0 the end; negative an error, its text in err. Texts do not name the file. */
struct capture_reader {
	int (*next)(struct capture_reader *r, struct capture_packet *p, struct psi_err *err);
	void (*close)(struct capture_reader *r);
	uint64_t
		at; /* byte offset of the packet or block that comes next, or, after an error, that is at fault */
};

/* open_pcap_file: a pcap file of the kinds that are common; open_pcap_other: of any kind that libpcap reads.
 * open_pcapng_file: a pcapng file. open_capture tells them apart. NULL with the reason in err. */
struct capture_reader *open_pcap_file(struct feed *f, struct psi_err *err);
struct capture_reader *open_pcap_other(struct feed *f, struct psi_err *err);
struct capture_reader *open_pcapng_file(struct feed *f, struct psi_err *err);
struct capture_reader *open_capture(struct feed *f, struct psi_err *err);

/* link_of: how a LINKTYPE_ value is to be read. False, with the reason in err, when it is not. */
bool link_of(int linktype, enum psi_link *link, struct psi_err *err);

#define CAPTURE_SNAP_MAX 262144 /* bytes of a packet at most, as libpcap has it */
/* of a packet and what a format puts around it: a pcapng block with its options */
#define CAPTURE_RECORD_MAX (CAPTURE_SNAP_MAX + 65536u)
#define PCAP_FILE_HDR	   24 /* bytes in front of the first packet (draft-ietf-opsawg-pcap) */
#define PCAP_RECORD_HDR	   16 /* and in front of each */

#endif
