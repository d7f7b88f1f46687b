/* SPDX-License-Identifier: BSD-3-Clause */
/* A capture file as a port: packets are copied into mbufs, longer ones into chains of them. */
#include "port_pvt.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct psi_port {
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

/* open_reader tells the formats apart by their first byte and gives it back. */
static struct capture_reader *
open_reader(FILE *f, struct psi_err *err)
{
	int c = getc(f);

	if (c == EOF) {
		psi_err_set(err, -ENODATA, "%s", ferror(f) ? strerror(errno) : "the file is empty");
		fclose(f);
		return NULL;
	}
	ungetc(c, f);
	return c == 0x0a ? open_pcapng_file(f, err) : open_pcap_file(f, err);
}

struct psi_port *
psi_port_open_pcap(const char *path, struct rte_mempool *pool, struct psi_err *err)
{
	struct psi_port *p = calloc(1, sizeof(*p));
	FILE *f = strcmp(path, "-") == 0 ? fdopen(dup(STDIN_FILENO), "rb") : fopen(path, "rb");
	struct stat st;

	if (!p || !f || !(p->path = strdup(path))) {
		psi_err_set(err, -errno, "%s: %s", path, strerror(errno));
		if (f)
			fclose(f);
		free(p);
		return NULL;
	}
	if (fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode))
		p->size = st.st_size;
	p->pool = pool;
	p->reader = open_reader(f, err);
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

/* Copies a packet into a chain of mbufs. NULL when the pool is empty, which is a leak of ours: the worker bounds what
 * it holds below the pool's size. */
static struct rte_mbuf *
to_mbuf(struct psi_port *p, const uint8_t *bytes, uint32_t len)
{
	struct rte_mbuf *first = rte_pktmbuf_alloc(p->pool), *last = first;

	if (!first)
		return NULL;
	for (;;) {
		uint32_t n = PSI_MIN(len, rte_pktmbuf_tailroom(last));

		memcpy(rte_pktmbuf_mtod(last, uint8_t *), bytes, n);
		last->data_len = (uint16_t)n;
		first->pkt_len += n;
		bytes += n;
		len -= n;
		if (!len)
			return first;
		last->next = rte_pktmbuf_alloc(p->pool);
		if (!last->next) {
			rte_pktmbuf_free(first);
			return NULL;
		}
		last = last->next;
		first->nb_segs++;
	}
}

uint16_t
psi_port_rx(struct psi_port *p, struct rte_mbuf **m, uint64_t *ts_ns, uint32_t *wire_len,
	uint16_t max, enum psi_link *link)
{
	uint16_t n = 0;

	while (n < max && read_ahead(p)) {
		uint64_t ts = p->ahead.ts_ns;

		if (n && (p->ahead.link != *link ||
				 (ts > ts_ns[0] && ts - ts_ns[0] > PSI_PORT_BURST_NS)))
			break;
		m[n] = to_mbuf(p, p->ahead.data, p->ahead.cap_len);
		if (!m[n]) {
			p->status = psi_err_set(&p->err, -ENOBUFS,
				"%s: out of packet buffers at packet %llu", p->path,
				(unsigned long long)p->packets);
			p->has_ahead = false;
			break;
		}
		*link = p->ahead.link;
		ts_ns[n] = ts;
		wire_len[n] = p->ahead.wire_len;
		p->has_ahead = false;
		n++;
	}
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
