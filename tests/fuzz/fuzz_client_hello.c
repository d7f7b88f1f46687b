/* SPDX-License-Identifier: BSD-3-Clause */
/* The input is the body of a ClientHello; the headers around it are right. */
#include "tls_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
conversation(struct fuzz_run *r, const uint8_t *p, size_t len, bool bytes)
{
	uint8_t h[9] = {22, 3, 1, (uint8_t)((len + 4) >> 8), (uint8_t)(len + 4), 1, 0,
		(uint8_t)(len >> 8), (uint8_t)len};

	fuzz_feed(r, 1, h, sizeof(h), bytes);
	fuzz_feed(r, 1, p, len, bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 16000)
		fuzz_both(data, len, conversation);
	return 0;
}
