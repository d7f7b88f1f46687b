/* SPDX-License-Identifier: BSD-3-Clause */
/* pcap files of the kinds that are rare (older versions, patched headers), and the words for what is wrong with a
 * file's header: by libpcap, which reads the feed as a stream. */
#include "port_pvt.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>

struct pcap_other {
	struct capture_reader ops;
	pcap_t *pcap;
	enum psi_link link;
};

static int
next(struct capture_reader *r, struct capture_packet *p, struct psi_err *err)
{
	struct pcap_other *f = (struct pcap_other *)r;
	struct pcap_pkthdr *h;
	const u_char *data;
	int rc = pcap_next_ex(f->pcap, &h, &data);

	if (rc == PCAP_ERROR_BREAK)
		return 0;
	if (rc != 1)
		return psi_err_set(err, -EBADMSG, "%s", pcap_geterr(f->pcap));
	/* With nanosecond precision asked for, tv_usec holds nanoseconds. libpcap reads both as signed 32 bits: the file's
	 * seconds are unsigned, and after 2038 they need be. */
	p->ts_ns = (uint32_t)h->ts.tv_sec * 1000000000ull + (uint32_t)h->ts.tv_usec;
	p->data = (uint8_t *)(uintptr_t)data;
	p->cap_len = h->caplen;
	p->wire_len = h->len;
	p->link = f->link;
	p->in_block = false;
	r->at += PCAP_RECORD_HDR + h->caplen;
	return 1;
}

static void
close_file(struct capture_reader *r)
{
	struct pcap_other *f = (struct pcap_other *)r;

	pcap_close(f->pcap); /* and with it the stream */
	free(f);
}

/* The feed as a stream, for reading only. */
static ssize_t
read_feed(void *cookie, char *p, size_t n)
{
	struct feed *feed = cookie;
	size_t have = feed_want(feed, 1);

	if (!have && feed->error) {
		errno = feed->error;
		return -1;
	}
	n = PSI_MIN(n, have);
	memcpy(p, feed->at, n);
	feed->at += n;
	return (ssize_t)n;
}

static pcap_t *
open_libpcap(struct feed *feed, struct psi_err *err)
{
	FILE *stream = fopencookie(feed, "rb", (cookie_io_functions_t){.read = read_feed});
	char text[PCAP_ERRBUF_SIZE] = "no memory";
	pcap_t *p = NULL;

	if (stream)
		p = pcap_fopen_offline_with_tstamp_precision(
			stream, PCAP_TSTAMP_PRECISION_NANO, text);
	if (p)
		return p;
	if (stream)
		fclose(stream);
	psi_err_set(err, -EIO, "%s",
		strstr(text, "unknown file format") ? "neither a pcap nor a pcapng file" : text);
	return NULL;
}

struct capture_reader *
open_pcap_other(struct feed *feed, struct psi_err *err)
{
	struct pcap_other *f = calloc(1, sizeof(*f));
	int dlt;

	if (!f) {
		psi_err_set(err, -ENOMEM, "no memory");
		return NULL;
	}
	f->pcap = open_libpcap(feed, err);
	if (!f->pcap) {
		free(f);
		return NULL;
	}
	f->ops.next = next;
	f->ops.at = PCAP_FILE_HDR;
	f->ops.close = close_file;
	/* libpcap's number for raw IP differs from the one in files. */
	dlt = pcap_datalink(f->pcap);
	if (!link_of(dlt == DLT_RAW ? 101 : dlt, &f->link, err)) {
		close_file(&f->ops);
		return NULL;
	}
	return &f->ops;
}
