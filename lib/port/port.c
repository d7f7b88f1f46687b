/* SPDX-License-Identifier: BSD-3-Clause */
/* A capture file as a port: mbufs point to where the packets were read to. When packets that are held have all blocks,
 * the following ones are copied into mbufs' own room, longer ones into chains of them, until a block is free again. */
#include "port_pvt.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct psi_port {
	struct feed *feed;
	struct capture_reader *reader;
	char *path;
	struct rte_mempool *pool;
	int status; /* see psi_port_status */
	struct psi_err err;
	off_t size; /* of the file; 0 when it cannot be told */
	uint64_t packets;
	struct capture_packet ahead; /* read, but not yet part of a burst */
	bool has_ahead;
};

bool
link_of(int linktype, enum psi_link *link, struct psi_err *err)
{
	static const struct {
		int linktype; /* LINKTYPE_ values of the capture formats */
		enum psi_link link;
	} table[] = {
		{1, PSI_LINK_ETHERNET}, {113, PSI_LINK_SLL}, {276, PSI_LINK_SLL2},
		{101, PSI_LINK_RAW}, {228, PSI_LINK_RAW}, /* IPv4 */
		{229, PSI_LINK_RAW},			  /* IPv6 */
		{0, PSI_LINK_NULL}, {108, PSI_LINK_NULL}, /* OpenBSD loopback */
		{9, PSI_LINK_PPP}, {50, PSI_LINK_PPP},	  /* PPP in HDLC-like framing */
	};
	const char *name = pcap_datalink_val_to_name(linktype);

	for (size_t i = 0; i < PSI_COUNT(table); i++) {
		if (table[i].linktype == linktype) {
			*link = table[i].link;
			return true;
		}
	}
	psi_err_set(err, 0,
		"link type %d (%s) is not read; Ethernet, Linux cooked v1 and v2, raw IP, null/loopback and PPP are",
		linktype, name ? name : "unnamed");
	return false;
}

/* The formats differ in their first byte. */
struct capture_reader *
open_capture(struct feed *f, struct psi_err *err)
{
	if (!feed_want(f, 1)) {
		psi_err_set(
			err, -ENODATA, "%s", f->error ? strerror(f->error) : "the file is empty");
		return NULL;
	}
	return *f->at == 0x0a ? open_pcapng_file(f, err) : open_pcap_file(f, err);
}

struct psi_port *
psi_port_open_pcap(const char *path, struct rte_mempool *pool, struct psi_err *err)
{
	struct psi_port *p = calloc(1, sizeof(*p));
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (!p || fd < 0 || !(p->path = strdup(path))) {
		psi_err_set(err, -errno, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		free(p);
		return NULL;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		p->size = st.st_size;
	p->pool = pool;
	p->feed = feed_open(fd, pool);
	if (p->feed)
		p->reader = open_capture(p->feed, err);
	else
		psi_err_set(err, -ENOBUFS, "no memory to read it into");
	if (!p->reader) {
		psi_err_wrap(err, -EIO, "%s: byte offset 0", path);
		psi_port_close(p);
		return NULL;
	}
	return p;
}

void
psi_port_close(struct psi_port *p)
{
	if (!p)
		return;
	if (p->reader)
		p->reader->close(p->reader);
	feed_close(p->feed);
	free(p->path);
	free(p);
}

static bool
read_ahead(struct psi_port *p)
{
	int rc;

	if (p->has_ahead)
		return true;
	if (p->status)
		return false;
	rc = p->reader->next(p->reader, &p->ahead, &p->err);
	p->has_ahead = rc == 1;
	if (rc == 1) {
		p->packets++;
		return true;
	}
	p->status = rc == 0 ? 1 : rc;
	if (rc < 0)
		psi_err_wrap(&p->err, rc, "%s: byte offset %llu, behind packet %llu", p->path,
			(unsigned long long)p->reader->at, (unsigned long long)p->packets);
	return false;
}

/* Puts the packet into a chain of mbufs that begins with first: by reference, or as a copy. False when the pool is
 * empty, which is a leak of ours: the worker bounds what it holds below the pool's size. */
static __attribute__((noinline)) bool
fill_chain(struct psi_port *p, struct rte_mbuf *first, const struct capture_packet *pkt)
{
	bool lent = pkt->in_block && pkt->cap_len && pool_has_block(p->pool);
	uint32_t left = pkt->cap_len, n;
	uint8_t *bytes = pkt->data;
	struct rte_mbuf *last = first;

	for (;;) {
		if (lent) {
			n = PSI_MIN(left, UINT16_MAX);
			pool_lend(p->pool, last, bytes, (uint16_t)n);
		} else {
			n = PSI_MIN(left, rte_pktmbuf_tailroom(last));
			memcpy(rte_pktmbuf_mtod(last, uint8_t *), bytes, n);
			last->data_len = (uint16_t)n;
		}
		bytes += n;
		left -= n;
		if (!left)
			return true;
		last->next = rte_pktmbuf_alloc(p->pool);
		if (!last->next)
			return false;
		last = last->next;
		first->nb_segs++;
	}
}

/* The same for nearly every packet: one mbuf that points to it. */
static inline bool
fill(struct psi_port *p, struct rte_mbuf *m, const struct capture_packet *pkt)
{
	uint32_t len = pkt->cap_len;

	rte_pktmbuf_reset(m);
	m->pkt_len = len;
	if (psi_unlikely(!pkt->in_block || !len || len > UINT16_MAX || !pool_has_block(p->pool)))
		return fill_chain(p, m, pkt);
	pool_lend(p->pool, m, pkt->data, (uint16_t)len);
	return true;
}

static void
out_of_buffers(struct psi_port *p)
{
	p->status = psi_err_set(&p->err, -ENOBUFS, "%s: out of packet buffers at packet %llu",
		p->path, (unsigned long long)p->packets);
	p->has_ahead = false;
}

uint16_t
psi_port_rx(struct psi_port *p, struct rte_mbuf **m, uint64_t *ts_ns, uint32_t *wire_len,
	uint16_t max, enum psi_link *link)
{
	uint16_t n = 0;

	if (rte_mempool_get_bulk(p->pool, (void **)m, max) != 0) {
		out_of_buffers(p);
		return 0;
	}
	while (n < max && read_ahead(p)) {
		uint64_t ts = p->ahead.ts_ns;

		if (n && (p->ahead.link != *link ||
				 (ts > ts_ns[0] && ts - ts_ns[0] > PSI_PORT_BURST_NS)))
			break;
		if (!fill(p, m[n], &p->ahead)) {
			out_of_buffers(p);
			break;
		}
		*link = p->ahead.link;
		ts_ns[n] = ts;
		wire_len[n] = p->ahead.wire_len;
		p->has_ahead = false;
		n++;
	}
	rte_pktmbuf_free_bulk(m + n, max - n);
	return n;
}

int
psi_port_status(const struct psi_port *p, struct psi_err *err)
{
	if (p->status < 0 && err)
		*err = p->err;
	return p->has_ahead ? 0 : p->status;
}

double
psi_port_done(const struct psi_port *p)
{
	return p->size > 0 ? (double)p->reader->at / (double)p->size : -1;
}
