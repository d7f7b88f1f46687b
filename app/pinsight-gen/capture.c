/* SPDX-License-Identifier: BSD-3-Clause */
/* A pcap with nanosecond stamps (draft-ietf-opsawg-pcap), little-endian, Ethernet. */
#include "pinsight_gen.h"

#include <errno.h>

#define BUFFER (1u << 20)

static void
put32(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static bool
put_head(FILE *f)
{
	uint8_t h[24] = {0};

	put32(h, 0xa1b23c4d);
	h[4] = 2;
	h[6] = 4;
	put32(h + 16, 262144);
	h[20] = 1;
	return fwrite(h, 1, sizeof(h), f) == sizeof(h);
}

static bool
put_frame(FILE *f, uint8_t *with_head, const struct psi_gen_packet *p)
{
	put32(with_head, p->ts_ns / 1000000000u);
	put32(with_head + 4, p->ts_ns % 1000000000u);
	put32(with_head + 8, p->len);
	put32(with_head + 12, p->len);
	return fwrite(with_head, 1, 16 + p->len, f) == 16 + p->len;
}

int
to_capture(const struct job *j, struct psi_gen *g, struct done *d, struct psi_err *err)
{
	bool to_stdout = strcmp(j->capture, "-") == 0, ok;
	FILE *f = to_stdout ? stdout : fopen(j->capture, "wb");
	uint8_t buf[16 + PSI_GEN_FRAME_MAX];
	struct psi_gen_packet p;

	if (!f)
		return psi_err_set(err, -errno, "%s: %s", j->capture, strerror(errno));
	setvbuf(f, NULL, _IOFBF, BUFFER);
	ok = put_head(f);
	while (ok && !stop_asked && psi_gen_next(g, buf + 16, &p)) {
		ok = put_frame(f, buf, &p);
		d->frames++;
		d->bytes += p.len;
		d->last_ns = p.ts_ns;
		if (d->frames % 65536 == 0)
			progress(j, d->frames, false);
	}
	progress(j, d->frames, true);
	ok = ok && fflush(f) == 0;
	if (!ok)
		psi_err_set(err, -errno, "%s: %s", j->capture, strerror(errno));
	if (!to_stdout && fclose(f) != 0 && ok)
		ok = psi_err_set(err, 0, "%s: %s", j->capture, strerror(errno));
	return ok ? 0 : -EIO;
}
