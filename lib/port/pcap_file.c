/* SPDX-License-Identifier: BSD-3-Clause */
/* pcap files, by libpcap. */
#include "port_pvt.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>

#define FILE_HDR \
	24 /* bytes in front of the first packet, and in front of each (draft-ietf-opsawg-pcap) */
#define RECORD_HDR 16

struct pcap_file {
	struct capture_reader ops;
	pcap_t *pcap;
	enum psi_link link;
};

static int
next(struct capture_reader *r, struct capture_packet *p, struct psi_err *err)
{
	struct pcap_file *f = (struct pcap_file *)r;
	struct pcap_pkthdr *h;
	int rc = pcap_next_ex(f->pcap, &h, &p->data);

	if (rc == PCAP_ERROR_BREAK)
		return 0;
	if (rc != 1)
		return psi_err_set(err, -EBADMSG, "%s", pcap_geterr(f->pcap));
	/* With nanosecond precision asked for, tv_usec holds nanoseconds. libpcap reads both as signed 32 bits: the file's
	 * seconds are unsigned, and after 2038 they need be. */
	p->ts_ns = (uint32_t)h->ts.tv_sec * 1000000000ull + (uint32_t)h->ts.tv_usec;
	p->cap_len = h->caplen;
	p->wire_len = h->len;
	p->link = f->link;
	r->at += RECORD_HDR + h->caplen;
	return 1;
}

static void
close_file(struct capture_reader *r)
{
	struct pcap_file *f = (struct pcap_file *)r;

	pcap_close(f->pcap); /* and with it the stream */
	free(f);
}

struct capture_reader *
open_pcap_file(FILE *stream, struct psi_err *err)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	struct pcap_file *f = calloc(1, sizeof(*f));
	int dlt;

	if (f)
		f->pcap = pcap_fopen_offline_with_tstamp_precision(
			stream, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!f || !f->pcap) {
		if (strstr(text, "unknown file format"))
			psi_err_set(err, -EIO, "neither a pcap nor a pcapng file");
		else
			psi_err_set(err, -EIO, "%s", f ? text : "no memory");
		fclose(stream);
		free(f);
		return NULL;
	}
	f->ops.next = next;
	f->ops.at = FILE_HDR;
	f->ops.close = close_file;
	/* libpcap's number for raw IP differs from the one in files. */
	dlt = pcap_datalink(f->pcap);
	if (!link_of(dlt == DLT_RAW ? 101 : dlt, &f->link, err)) {
		close_file(&f->ops);
		return NULL;
	}
	return &f->ops;
}
