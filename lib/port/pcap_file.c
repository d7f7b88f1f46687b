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

/* In front of each packet (draft-ietf-opsawg-pcap, section 5). */
struct record {
	uint32_t s, part;      /* its time */
	uint32_t len, on_wire; /* bytes that follow; that there were */
};

static_assert(sizeof(struct record) == PCAP_RECORD_HDR, "as in the file");

static inline uint32_t
get32(const struct pcap_file *f, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return f->swapped ? __builtin_bswap32(v) : v;
}

static inline struct record
get_record(const struct pcap_file *f, const uint8_t *p)
{
	struct record r;

	memcpy(&r, p, sizeof(r));
	if (psi_unlikely(f->swapped))
		r = (struct record){__builtin_bswap32(r.s), __builtin_bswap32(r.part),
			__builtin_bswap32(r.len), __builtin_bswap32(r.on_wire)};
	return r;
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

/* The record at hand is the next packet. */
static inline int
take(struct pcap_file *f, const struct record *r, struct capture_packet *p)
{
	/* Seconds are unsigned: after 2038 they need be. */
	p->ts_ns = r->s * 1000000000ull + (uint32_t)(r->part * f->to_ns);
	p->wire_len = r->on_wire;
	p->data = f->feed->at + PCAP_RECORD_HDR;
	p->cap_len = PSI_MIN(r->len, f->snap_len);
	p->link = f->link;
	p->in_block = true;
	f->feed->at += PCAP_RECORD_HDR + r->len;
	f->ops.at += PCAP_RECORD_HDR + r->len;
	return 1;
}

/* The record must be read first, is broken, or there is none. */
static __attribute__((noinline)) int
next_read(struct pcap_file *f, struct capture_packet *p, struct psi_err *err)
{
	struct feed *in = f->feed;
	size_t have = feed_want(in, PCAP_RECORD_HDR);
	struct record rec;

	if (have < PCAP_RECORD_HDR)
		return have || in->error ? cut_off(f, "header", PCAP_RECORD_HDR, have, err) : 0;
	rec = get_record(f, in->at);
	if (rec.len > CAPTURE_SNAP_MAX)
		return too_long(f, rec.len, err);
	have = feed_want(in, PCAP_RECORD_HDR + rec.len) - PCAP_RECORD_HDR;
	if (have < rec.len)
		return cut_off(f, "captured",
			have < f->snap_len ? PSI_MIN(rec.len, f->snap_len) : rec.len, have, err);
	return take(f, &rec, p);
}

static int
next(struct capture_reader *r, struct capture_packet *p, struct psi_err *err)
{
	struct pcap_file *f = (struct pcap_file *)r;
	size_t have = (size_t)(f->feed->end - f->feed->at);
	struct record rec;

	if (psi_likely(have >= PCAP_RECORD_HDR)) {
		rec = get_record(f, f->feed->at);
		if (psi_likely(rec.len <= have - PCAP_RECORD_HDR && rec.len <= CAPTURE_SNAP_MAX))
			return take(f, &rec, p);
	}
	return next_read(f, p, err);
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
