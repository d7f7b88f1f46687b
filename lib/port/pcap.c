/* SPDX-License-Identifier: BSD-3-Clause */
/* A capture file as a port. libpcap reads, packets are copied into mbufs, longer ones into chains of them. */
#include "psi_port.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct psi_port {
	pcap_t *pcap;
	FILE *file; /* pcap's: for offsets */
	char *path;
	struct rte_mempool *pool;
	enum psi_link link;
	int status; /* see psi_port_status */
	struct psi_err err;
	off_t size; /* of the file; 0 when it cannot be told */
	uint64_t packets;
	/* A packet read ahead that did not belong to the burst before. */
	const uint8_t *ahead;
	struct pcap_pkthdr ahead_hdr;
};

static const struct {
	int dlt;
	enum psi_link link;
} link_types[] = {
	{DLT_EN10MB, PSI_LINK_ETHERNET},
	{DLT_LINUX_SLL, PSI_LINK_SLL},
	{DLT_LINUX_SLL2, PSI_LINK_SLL2},
	{DLT_RAW, PSI_LINK_RAW},
	{DLT_IPV4, PSI_LINK_RAW},
	{DLT_IPV6, PSI_LINK_RAW},
	{DLT_NULL, PSI_LINK_NULL},
	{DLT_LOOP, PSI_LINK_NULL},
	{DLT_PPP, PSI_LINK_PPP},
	{DLT_PPP_SERIAL, PSI_LINK_PPP},
};

static int
set_link(struct psi_port *p, struct psi_err *err)
{
	int dlt = pcap_datalink(p->pcap);
	const char *name = pcap_datalink_val_to_name(dlt);

	for (size_t i = 0; i < PSI_COUNT(link_types); i++) {
		if (link_types[i].dlt == dlt) {
			p->link = link_types[i].link;
			return 0;
		}
	}
	return psi_err_set(err, -EPROTONOSUPPORT,
		"%s: link type %d (%s) is not read; Ethernet, Linux cooked v1 and v2, raw IP, "
		"null/loopback and PPP are",
		p->path, dlt, name ? name : "unnamed");
}

/* libpcap begins some texts with the file's name, which ours have in front already. */
static const char *
without_path(const char *text, const char *path)
{
	size_t n = strlen(path);

	return strncmp(text, path, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

struct psi_port *
psi_port_open_pcap(const char *path, struct rte_mempool *pool, struct psi_err *err)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	struct psi_port *p = calloc(1, sizeof(*p));
	struct stat st;

	if (!p || !(p->path = strdup(path))) {
		psi_err_set(err, -ENOMEM, "%s: no memory", path);
		free(p);
		return NULL;
	}
	p->pool = pool;
	p->pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!p->pcap) {
		psi_err_set(err, -EIO, "%s: %s", path, without_path(text, path));
		psi_port_close(p);
		return NULL;
	}
	p->file = pcap_file(p->pcap);
	if (p->file && fstat(fileno(p->file), &st) == 0 && S_ISREG(st.st_mode))
		p->size = st.st_size;
	if (set_link(p, err) != 0) {
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
	if (p->pcap)
		pcap_close(p->pcap);
	free(p->path);
	free(p);
}

/* How far libpcap has read: the offset at which the next packet begins, or, after an error, near which it gave up. */
static long long
offset(const struct psi_port *p)
{
	return p->file ? (long long)ftello(p->file) : -1;
}

static bool
read_ahead(struct psi_port *p)
{
	struct pcap_pkthdr *h;
	long long before;
	int rc;

	if (p->ahead)
		return true;
	if (p->status)
		return false;
	before = offset(p);
	rc = pcap_next_ex(p->pcap, &h, &p->ahead);
	if (rc == 1) {
		p->ahead_hdr = *h;
		p->packets++;
		return true;
	}
	p->ahead = NULL;
	if (rc == PCAP_ERROR_BREAK) {
		p->status = 1;
		return false;
	}
	p->status = psi_err_set(&p->err, -EBADMSG, "%s: byte offset %lld, behind packet %llu: %s",
		p->path, before, (unsigned long long)p->packets,
		without_path(pcap_geterr(p->pcap), p->path));
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

	*link = p->link;
	while (n < max && read_ahead(p)) {
		/* With nanosecond precision asked for, tv_usec holds nanoseconds. */
		uint64_t ts = (uint64_t)p->ahead_hdr.ts.tv_sec * 1000000000ull +
			      (uint64_t)p->ahead_hdr.ts.tv_usec;

		if (n && ts > ts_ns[0] && ts - ts_ns[0] > PSI_PORT_BURST_NS)
			break;
		m[n] = to_mbuf(p, p->ahead, p->ahead_hdr.caplen);
		if (!m[n]) {
			p->status = psi_err_set(&p->err, -ENOBUFS,
				"%s: out of packet buffers at packet %llu", p->path,
				(unsigned long long)p->packets);
			break;
		}
		ts_ns[n] = ts;
		wire_len[n] = p->ahead_hdr.len;
		p->ahead = NULL;
		n++;
	}
	return n;
}

int
psi_port_status(const struct psi_port *p, struct psi_err *err)
{
	if (p->status < 0 && err)
		*err = p->err;
	return p->ahead && p->status == 1 ? 0 : p->status;
}

double
psi_port_done(const struct psi_port *p)
{
	long long at = offset(p);

	return p->size > 0 && at >= 0 ? (double)at / (double)p->size : -1;
}
