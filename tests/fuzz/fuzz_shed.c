/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker under pressure says of a frame that it has not decoded, and of the same frame behind the decoder: the
 * two must agree, and leave the same state behind, or half of a connection would be dropped.
 * Byte 0: the level. Byte 1: whether the segment ends in front of the frame's end. Then frames, each behind its length
 * in two bytes. */
#include "worker_pvt.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* One frame, both ways. What the plain look leaves to the decoder, it must have left alone. */
static void
judge(struct shed *early, struct shed *late, const uint8_t *p, uint16_t n, uint32_t frame_len,
	uint64_t now_ns)
{
	struct rte_mbuf m = {.buf_addr = (void *)(uintptr_t)p,
		.data_len = n,
		.pkt_len = frame_len,
		.nb_segs = 1};
	struct rte_mbuf *one = &m;
	unsigned int plain, behind = 0;
	struct shed_bits is;
	struct psi_pkt o;
	int rc;

	shed_plain(early, &one, 1, now_ns, &is);
	must(!((is.plain | is.bulk | is.fresh) & ~1u) && !(is.bulk & is.fresh));
	must(is.plain || !(is.bulk | is.fresh));
	plain = is.bulk ? SHED_BULK : is.fresh ? SHED_NEW : 0;
	rc = (int)psi_net_decode(PSI_LINK_ETHERNET, p, n, frame_len, PSI_NET_ID_DEFAULT, &o);
	if (rc == PSI_NET_TCP) {
		must(!is.plain || !o.tunnel_cnt);
		behind = shed_tcp(late, &m, &o, now_ns);
		if (!is.plain)
			plain = shed_tcp(early, &m, &o, now_ns);
		must(plain == behind);
	} else if (is.plain) { /* a length that the decoder refuses */
		must(rc == PSI_NET_MALFORMED || rc == PSI_NET_SHORT);
		*late = *early;
	}
	must(!memcmp(early, late, sizeof(*early)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct shed early, late;
	uint64_t now_ns = 1;
	bool cut;

	if (len < 2)
		return 0;
	memset(&early, 0, sizeof(early));
	early.level = data[0] % (SHED_LEVEL_MAX + 1);
	early.key[0] = 0x9e3779b97f4a7c15u;
	early.key[1] = 0xc2b2ae3d27d4eb4fu;
	late = early;
	cut = data[1] & 1;
	data += 2;
	len -= 2;
	for (; len > 2; now_ns++) {
		uint16_t n = (uint16_t)PSI_MIN((size_t)(data[0] << 8 | data[1]), len - 2);
		uint8_t *exact = malloc(n ? n : 1);

		must(exact);
		memcpy(exact, data + 2, n);
		judge(&early, &late, exact, n, cut ? n + 700u : n, now_ns);
		free(exact);
		data += 2 + n;
		len -= 2u + n;
	}
	return 0;
}
