/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a capture: each packet that is read lies within memory and bounds, and reading comes to an end. The
 * seeds are the awkward captures of tests/captures/edge. */
#include "port_pvt.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	FILE *f = len ? fmemopen((void *)(uintptr_t)data, len, "rb") : NULL;
	struct psi_err err = {""};
	struct capture_reader *r;
	struct capture_packet p;
	unsigned int sum = 0;
	size_t n = 0;
	int rc;

	if (!f)
		return 0;
	r = data[0] == 0x0a ? open_pcapng_file(f, &err) : open_pcap_file(f, &err);
	if (!r) {
		must(err.text[0]);
		return 0;
	}
	while ((rc = r->next(r, &p, &err)) == 1) {
		must(p.cap_len <= CAPTURE_SNAP_MAX && ++n <= len);
		for (uint32_t i = 0; i < p.cap_len; i++)
			sum += p.data[i];
	}
	must(rc == 0 || (rc < 0 && err.text[0]));
	r->close(r);
	return sum == UINT32_MAX;
}
