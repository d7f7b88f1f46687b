/* SPDX-License-Identifier: BSD-3-Clause */
/* The input is the body of a ServerHello, and behind it whatever the server says next: two bytes give the length of the
 * hello, the rest is one more record of the handshake. The client has said what RFC 8448 prints as far as its suites. */
#include "tls_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t client_hello[] = {0x16, 0x03, 0x01, 0x00, 0x31, 0x01, 0x00, 0x00, 0x2d, 0x03,
	0x03, 0xcb, 0x34, 0xec, 0xb1, 0xe7, 0x81, 0x63, 0xba, 0x1c, 0x38, 0xc6, 0xda, 0xcb, 0x19,
	0x6a, 0x6d, 0xff, 0xa2, 0x1a, 0x8d, 0x99, 0x12, 0xec, 0x18, 0xa2, 0xef, 0x62, 0x83, 0x02,
	0x4d, 0xec, 0xe7, 0x00, 0x00, 0x06, 0x13, 0x01, 0x13, 0x03, 0x13, 0x02, 0x01, 0x00};

static void
server_record(struct fuzz_run *r, const uint8_t *p, size_t len, bool bytes, bool hello)
{
	size_t n = len + (hello ? 4 : 0);
	uint8_t h[9] = {
		22, 3, 3, (uint8_t)(n >> 8), (uint8_t)n, 2, 0, (uint8_t)(len >> 8), (uint8_t)len};

	fuzz_feed(r, 1, h, hello ? 9 : 5, bytes);
	fuzz_feed(r, 1, p, len, bytes);
}

static void
conversation(struct fuzz_run *r, const uint8_t *p, size_t len, bool bytes)
{
	size_t n;

	fuzz_feed(r, 0, client_hello, sizeof(client_hello), bytes);
	if (len < 2)
		return;
	n = PSI_MIN((size_t)(p[0] << 8 | p[1]), len - 2);
	server_record(r, p + 2, n, bytes, true);
	if (len - 2 > n)
		server_record(r, p + 2 + n, len - 2 - n, bytes, false);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 16000)
		fuzz_both(data, len, conversation);
	return 0;
}
