/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads events as bytes, one behind the other, from standard input, and writes them to the ring PATH. */
#include "psi_ring.h"

#include <stdio.h>

static uint64_t in[1 << 17];

int
main(int argc, char **argv)
{
	struct psi_ring_config cfg = {.path = argc == 2 ? argv[1] : "", .size = PSI_RING_SIZE_MIN};
	struct psi_err err = {""};
	struct psi_ring_w *w;
	size_t len, at = 0;

	if (psi_ring_create(&w, &cfg, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	len = fread(in, 1, sizeof(in), stdin);
	while (at < len) {
		const struct psi_event *e = (const void *)((const uint8_t *)in + at);

		if (psi_event_check(e, len - at) != PSI_OK) {
			fprintf(stderr, "at %zu: not an event\n", at);
			return 1;
		}
		psi_ring_write(w, e);
		at += e->len;
	}
	psi_ring_close(w);
	return 0;
}
