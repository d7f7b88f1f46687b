/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng files (draft-ietf-opsawg-pcapng), read here because libpcap refuses a file whose interfaces differ in link
 * type, which is what capturing on "any" beside a named interface gives. Blocks that hold no packets are passed over. */
#include "port_pvt.h"

#include <errno.h>
#include <stdlib.h>

enum block {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET_OLD = 2,
	BLOCK_PACKET_SIMPLE = 3,
	BLOCK_PACKET = 6,
	BLOCK_SECTION = 0x0a0d0d0a,
};

#define MAGIC	      0x1a2b3c4du
#define BLOCK_LEN_MAX CAPTURE_RECORD_MAX /* of a block that is kept */
#define SKIP_LEN_MAX  (256u << 20) /* of one that is passed over: decryption secrets may be long */
#define IFACE_MAX     4096
#define OPT_TSRESOL   9
#define OPT_TSOFFSET  14

struct iface {
	enum psi_link link;
	bool readable;
	int linktype;
	uint32_t snap_len; /* 0: none */
	uint64_t units;	   /* of the time stamp in a second */
	uint64_t unit_ns;  /* of each, 0 where that is no whole number */
	int64_t offset_s;  /* seconds to add */
};

struct pcapng_file {
	struct capture_reader ops;
	struct feed *feed;
	uint64_t done; /* bytes taken so far */
	bool swapped;  /* the section has the other byte order */
	uint32_t iface_cnt;
	struct iface *iface;
	uint8_t *block; /* the body of the current one, where the feed has it */
};

/* ---- numbers in the section's byte order ---- */

static uint16_t
get16(const struct pcapng_file *f, const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return f->swapped ? __builtin_bswap16(v) : v;
}

static uint32_t
get32(const struct pcapng_file *f, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return f->swapped ? __builtin_bswap32(v) : v;
}

static uint64_t
get64(const struct pcapng_file *f, const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return f->swapped ? __builtin_bswap64(v) : v;
}

/* ---- blocks ---- */

/* The next n bytes at *p, until the next call. 1; 0 at the end of the file and none of them was there; negative when
 * it ends within them. */
static int
take_bytes(struct pcapng_file *f, size_t n, uint8_t **p, struct psi_err *err)
{
	size_t got = PSI_MIN(feed_want(f->feed, n), n);

	*p = f->feed->at;
	f->feed->at += got;
	f->done += got;
	if (psi_likely(got == n))
		return 1;
	if (f->feed->error)
		return psi_err_set(err, -EIO, "cannot read: %s", strerror(f->feed->error));
	if (!got)
		return 0;
	return psi_err_set(
		err, -EBADMSG, "the file ends within a block (%zu bytes of %zu are there)", got, n);
}

static int
skip_bytes(struct pcapng_file *f, uint32_t n, struct psi_err *err)
{
	uint8_t *p;

	while (n) {
		uint32_t piece = PSI_MIN(n, BLOCK_LEN_MAX);
		int rc = take_bytes(f, piece, &p, err);

		if (rc <= 0)
			return rc ? rc : psi_err_set(err, -EBADMSG, "the file ends within a block");
		n -= piece;
	}
	return 1;
}

/* A section header, behind its type: byte order, version, and the end of all interfaces known. */
static int
on_section(struct pcapng_file *f, struct psi_err *err)
{
	/* length, magic, version, and the first half of the section's length, which is not needed */
	uint8_t *h;
	uint32_t magic, len;
	int rc = take_bytes(f, 16, &h, err);

	if (rc <= 0)
		return rc ? rc
			  : psi_err_set(err, -EBADMSG, "the file ends within its section header");
	memcpy(&magic, h + 4, sizeof(magic));
	f->swapped = magic == __builtin_bswap32(MAGIC);
	if (!f->swapped && magic != MAGIC)
		return psi_err_set(err, -EBADMSG, "a section header without pcapng's magic number");
	if (get16(f, h + 8) != 1)
		return psi_err_set(err, -EBADMSG, "pcapng version %u.%u is not read, 1.0 is",
			get16(f, h + 8), get16(f, h + 10));
	len = get32(f, h);
	if (len < 28 || len % 4 || len > SKIP_LEN_MAX)
		return psi_err_set(err, -EBADMSG, "a section header of %u bytes", len);
	f->iface_cnt = 0;
	return skip_bytes(f, len - 20, err);
}

/* if_tsresol: the power of 10, or of 2 with the top bit set, by which a second is divided. */
static uint64_t
units_of(uint8_t resol)
{
	uint64_t u = 1;

	if (resol & 0x80)
		return (resol & 0x7f) < 63 ? 1ull << (resol & 0x7f) : 0;
	for (uint8_t i = 0; i < resol && u; i++)
		u = u <= UINT64_MAX / 10 ? u * 10 : 0;
	return u;
}

static int
on_interface(struct pcapng_file *f, uint32_t len, struct psi_err *err)
{
	struct iface *i;
	struct psi_err ignored;

	if (len < 8)
		return psi_err_set(err, -EBADMSG, "an interface description of %u bytes", len);
	if (f->iface_cnt == IFACE_MAX)
		return psi_err_set(
			err, -EBADMSG, "more than %u interfaces in a section", IFACE_MAX);
	i = &f->iface[f->iface_cnt++];
	*i = (struct iface){.linktype = get16(f, f->block),
		.snap_len = get32(f, f->block + 4),
		.units = 1000000};
	i->readable = link_of(i->linktype, &i->link, &ignored);
	for (uint32_t at = 8; len - at >= 4;) {
		uint16_t code = get16(f, f->block + at), n = get16(f, f->block + at + 2);
		const uint8_t *v = f->block + at + 4;
		uint32_t room = (n + 3u) & ~3u;

		if (!code || room > len - at - 4)
			break;
		if (code == OPT_TSRESOL && n == 1)
			i->units = units_of(v[0]);
		if (code == OPT_TSOFFSET && n == 8)
			i->offset_s = (int64_t)get64(f, v);
		at += 4 + room;
	}
	if (!i->units)
		return psi_err_set(err, -EBADMSG,
			"interface %u has an impossible time stamp resolution", f->iface_cnt - 1);
	i->unit_ns = 1000000000u % i->units ? 0 : 1000000000u / i->units;
	return 1;
}

static uint64_t
to_ns(const struct iface *i, uint64_t stamp)
{
	uint64_t s, part, ns;

	if (psi_likely(i->unit_ns)) /* no division */
		return stamp * i->unit_ns + (uint64_t)i->offset_s * 1000000000u;
	s = stamp / i->units;
	part = stamp % i->units;
	ns = (uint64_t)((__uint128_t)part * 1000000000u / i->units);
	return (s + (uint64_t)i->offset_s) * 1000000000u + ns;
}

/* The fields that all packet blocks have in common, checked and turned into a packet. */
static int
on_packet(struct pcapng_file *f, uint32_t iface, uint64_t stamp, uint32_t cap_len,
	uint32_t wire_len, uint32_t off, uint32_t len, struct capture_packet *p,
	struct psi_err *err)
{
	const struct iface *i = &f->iface[iface];

	if (iface >= f->iface_cnt)
		return psi_err_set(err, -EBADMSG,
			"a packet of interface %u, of which there is no description", iface);
	if (cap_len > len - off || cap_len > CAPTURE_SNAP_MAX)
		return psi_err_set(err, -EBADMSG,
			"a packet of %u bytes in a block with room for %u", cap_len, len - off);
	if (!i->readable) {
		enum psi_link unused;

		link_of(i->linktype, &unused, err);
		return -EPROTONOSUPPORT;
	}
	p->data = f->block + off;
	p->ts_ns = to_ns(i, stamp);
	p->cap_len = cap_len;
	p->wire_len = wire_len;
	p->link = i->link;
	p->in_block = true;
	return 2;
}

/* The body of a block, len bytes in f->block. 1: read on; 2: p is a packet; negative: err. */
static int
on_block(struct pcapng_file *f, uint32_t type, uint32_t len, struct capture_packet *p,
	struct psi_err *err)
{
	const uint8_t *b = f->block;
	uint32_t wire;

	switch (type) {
	case BLOCK_INTERFACE: return on_interface(f, len, err);
	case BLOCK_PACKET:
		if (len < 20)
			break;
		return on_packet(f, get32(f, b), (uint64_t)get32(f, b + 4) << 32 | get32(f, b + 8),
			get32(f, b + 12), get32(f, b + 16), 20, len, p, err);
	case BLOCK_PACKET_OLD:
		if (len < 20)
			break;
		return on_packet(f, get16(f, b), (uint64_t)get32(f, b + 4) << 32 | get32(f, b + 8),
			get32(f, b + 12), get32(f, b + 16), 20, len, p, err);
	case BLOCK_PACKET_SIMPLE: /* no time stamp, and as many bytes as the block or the snap length has */
		if (len < 4 || !f->iface_cnt)
			break;
		wire = get32(f, b);
		return on_packet(f, 0, 0,
			PSI_MIN(PSI_MIN(wire, len - 4),
				f->iface[0].snap_len ? f->iface[0].snap_len : wire),
			wire, 4, len, p, err);
	default: return 1;
	}
	return psi_err_set(err, -EBADMSG, "a packet block of %u bytes", len + 12);
}

static bool
is_kept(uint32_t type)
{
	return type == BLOCK_INTERFACE || type == BLOCK_PACKET || type == BLOCK_PACKET_OLD ||
	       type == BLOCK_PACKET_SIMPLE;
}

/* One block. 0 at a clean end of the file, else as on_block. */
static int
read_block(struct pcapng_file *f, struct capture_packet *p, struct psi_err *err)
{
	uint32_t type, len, again;
	uint8_t *h;
	int rc = take_bytes(f, 4, &h, err);

	if (rc <= 0)
		return rc;
	type = get32(f, h);
	if (type == BLOCK_SECTION) /* reads the same in both byte orders */
		return on_section(f, err);
	rc = take_bytes(f, 4, &h, err);
	if (rc <= 0)
		return rc ? rc : psi_err_set(err, -EBADMSG, "the file ends within a block");
	len = get32(f, h);
	if (len < 12 || len % 4 || len > (is_kept(type) ? BLOCK_LEN_MAX : SKIP_LEN_MAX))
		return psi_err_set(err, -EBADMSG, "a block of type 0x%x and %u bytes", type, len);
	if (!is_kept(type))
		return skip_bytes(f, len - 8, err);
	rc = take_bytes(f, len - 8, &f->block, err);
	if (rc <= 0)
		return rc ? rc : psi_err_set(err, -EBADMSG, "the file ends within a block");
	again = get32(f, f->block + len - 12);
	if (again != len)
		return psi_err_set(
			err, -EBADMSG, "a block of %u bytes ends as one of %u", len, again);
	return on_block(f, type, len - 12, p, err);
}

static int
next(struct capture_reader *r, struct capture_packet *p, struct psi_err *err)
{
	struct pcapng_file *f = (struct pcapng_file *)r;
	int rc;

	do {
		rc = read_block(f, p, err);
		if (rc >= 0)
			r->at = f->done;
	} while (rc == 1);
	return rc == 2 ? 1 : rc;
}

static void
close_file(struct capture_reader *r)
{
	struct pcapng_file *f = (struct pcapng_file *)r;

	free(f->iface);
	free(f);
}

struct capture_reader *
open_pcapng_file(struct feed *feed, struct psi_err *err)
{
	struct pcapng_file *f = calloc(1, sizeof(*f));

	if (f)
		f->iface = calloc(IFACE_MAX, sizeof(*f->iface));
	if (!f || !f->iface) {
		psi_err_set(err, -ENOMEM, "no memory");
		free(f);
		return NULL;
	}
	f->feed = feed;
	f->ops.next = next;
	f->ops.close = close_file;
	return &f->ops;
}
