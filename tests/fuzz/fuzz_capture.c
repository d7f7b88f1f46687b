/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a capture: each packet that is read lies within memory and bounds, and reading comes to an end; what
 * is not pcapng is read as libpcap does. The seeds are the awkward captures of tests/captures/edge. */
#include "port_pvt.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static struct feed *
feed_of(const uint8_t *data, size_t len)
{
	static struct rte_mempool *pool;
	struct feed *f;
	int fd = memfd_create("capture", 0);

	if (!pool)
		pool = psi_port_pool_open(1, RTE_PKTMBUF_HEADROOM);
	must(pool && fd >= 0 && write(fd, data, len) == (ssize_t)len);
	must(lseek(fd, 0, SEEK_SET) == 0);
	f = feed_open(fd, pool);
	must(f != NULL);
	return f;
}

/* libpcap has the same packets and the same last word. */
static void
same(struct capture_reader *r, struct capture_reader *twin, size_t len)
{
	struct psi_err err = {""}, twin_err = {""};
	struct capture_packet p, q;
	size_t n = 0;
	int rc, twin_rc;

	for (;;) {
		rc = r->next(r, &p, &err);
		twin_rc = twin->next(twin, &q, &twin_err);
		must(rc == twin_rc && strcmp(err.text, twin_err.text) == 0);
		if (rc != 1)
			break;
		must(p.cap_len <= CAPTURE_SNAP_MAX && ++n <= len);
		must(p.cap_len == q.cap_len && p.wire_len == q.wire_len && p.ts_ns == q.ts_ns &&
			p.link == q.link && memcmp(p.data, q.data, p.cap_len) == 0);
	}
	must(rc == 0 || err.text[0]);
}

static unsigned int
read_alone(struct capture_reader *r, size_t len)
{
	struct psi_err err = {""};
	struct capture_packet p;
	unsigned int sum = 0;
	size_t n = 0;
	int rc;

	while ((rc = r->next(r, &p, &err)) == 1) {
		must(p.cap_len <= CAPTURE_SNAP_MAX && ++n <= len);
		for (uint32_t i = 0; i < p.cap_len; i++)
			sum += p.data[i];
	}
	must(rc == 0 || (rc < 0 && err.text[0]));
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool pcapng = len && data[0] == 0x0a;
	struct feed *f = feed_of(data, len), *twin_feed = NULL;
	struct psi_err err = {""}, twin_err = {""};
	struct capture_reader *r = open_capture(f, &err), *twin = NULL;
	unsigned int sum = 0;

	must(r || err.text[0]);
	if (len && !pcapng) {
		twin_feed = feed_of(data, len);
		twin = open_pcap_other(twin_feed, &twin_err);
		must(!r == !twin && strcmp(err.text, twin_err.text) == 0);
	}
	if (r && twin)
		same(r, twin, len);
	else if (r)
		sum = read_alone(r, len);
	if (r)
		r->close(r);
	if (twin)
		twin->close(twin);
	feed_close(f);
	feed_close(twin_feed);
	return sum == UINT32_MAX;
}
