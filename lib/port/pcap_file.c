/* SPDX-License-Identifier: BSD-3-Clause */
/* pcap files as all programs of the last twenty years write them (draft-ietf-opsawg-pcap): version 2.4, either byte
 * order, micro- or nanoseconds, a link type that we read. Packets stay where the feed has them. Whatever else calls
 * itself a pcap file, and every error in a file's header, is libpcap's (pcap_other.c); errors in a record are told in
 * its words. */
#include "port_pvt.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define MAGIC_US 0xa1b2c3d4u
#define MAGIC_NS 0xa1b23c4du

struct pcap_file {
	struct capture_reader ops;
	struct feed *feed;
	enum psi_link link;
	bool swapped;	   /* the file has the other byte order */
	uint32_t to_ns;	   /* what the part of a second is multiplied with */
	uint32_t snap_len; /* no more of a packet is handed on */
};

static inline uint32_t
get32(const struct pcap_file *f, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return f->swapped ? __builtin_bswap32(v) : v;
}

/* Of n bytes that were wanted only so many are there. */
static int
cut_off(const struct pcap_file *f, const char *what, uint32_t n, size_t got, struct psi_err *err)
{
	if (f->feed->error)
		return psi_err_set(
			err, -EBADMSG, "error reading dump file: %s", strerror(f->feed->error));
	return psi_err_set(err, -EBADMSG,
		"truncated dump file; tried to read %u %s bytes, only got %zu", n, what, got);
}

static int
too_long(const struct pcap_file *f, uint32_t len, struct psi_err *err)
{
	bool snap = len > f->snap_len;

	return psi_err_set(err, -EBADMSG, "invalid packet capture length %u, bigger than %s of %u",
		len, snap ? "snaplen" : "maximum", snap ? f->snap_len : CAPTURE_SNAP_MAX);
}

static int
next(struct capture_reader *r, struct capture_packet *p, struct psi_err *err)
{
	struct pcap_file *f = (struct pcap_file *)r;
	struct feed *in = f->feed;
	size_t have = feed_want(in, PCAP_RECORD_HDR);
	uint32_t len, size;

	if (psi_unlikely(have < PCAP_RECORD_HDR))
		return have || in->error ? cut_off(f, "header", PCAP_RECORD_HDR, have, err) : 0;
	len = get32(f, in->at + 8);
	if (psi_unlikely(len > CAPTURE_SNAP_MAX))
		return too_long(f, len, err);
	size = PCAP_RECORD_HDR + len;
	have = feed_want(in, size);
	if (psi_unlikely(have < size)) {
		have -= PCAP_RECORD_HDR;
		return cut_off(f, "captured", have < f->snap_len ? PSI_MIN(len, f->snap_len) : len,
			have, err);
	}
	/* Seconds are unsigned: after 2038 they need be. */
	p->ts_ns = get32(f, in->at) * 1000000000ull + (uint32_t)(get32(f, in->at + 4) * f->to_ns);
	p->wire_len = get32(f, in->at + 12);
	p->data = in->at + PCAP_RECORD_HDR;
	p->cap_len = PSI_MIN(len, f->snap_len);
	p->link = f->link;
	p->in_block = true;
	in->at += size;
	r->at += size;
	return 1;
}

static void
close_file(struct capture_reader *r)
{
	free(r);
}

/* Takes the file's header if it is of a kind that is read here. */
static bool
take_header(struct pcap_file *f)
{
	struct psi_err ignored;
	uint32_t magic;
	const uint8_t *h;

	if (feed_want(f->feed, PCAP_FILE_HDR) < PCAP_FILE_HDR)
		return false;
	h = f->feed->at;
	memcpy(&magic, h, sizeof(magic));
	f->swapped = magic == __builtin_bswap32(MAGIC_US) || magic == __builtin_bswap32(MAGIC_NS);
	magic = get32(f, h);
	if (magic != MAGIC_US && magic != MAGIC_NS)
		return false;
	if (memcmp(h + 4, f->swapped ? "\0\2\0\4" : "\2\0\4\0", 4) != 0)
		return false;
	/* The upper bits tell of check sequences behind the frames, which do no harm. */
	if (!link_of((int)(get32(f, h + 20) & 0x03ffffff), &f->link, &ignored))
		return false;
	f->to_ns = magic == MAGIC_US ? 1000 : 1;
	f->snap_len = get32(f, h + 16);
	if (!f->snap_len || f->snap_len > INT_MAX)
		f->snap_len = CAPTURE_SNAP_MAX;
	f->feed->at += PCAP_FILE_HDR;
	return true;
}

struct capture_reader *
open_pcap_file(struct feed *feed, struct psi_err *err)
{
	struct pcap_file *f = calloc(1, sizeof(*f));

	if (!f) {
		psi_err_set(err, -ENOMEM, "no memory");
		return NULL;
	}
	f->feed = feed;
	f->ops.next = next;
	f->ops.close = close_file;
	f->ops.at = PCAP_FILE_HDR;
	if (take_header(f))
		return &f->ops;
	free(f);
	return open_pcap_other(feed, err);
}
