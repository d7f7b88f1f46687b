/* SPDX-License-Identifier: BSD-3-Clause */
/* The first byte of the input chooses the link layer, and whether the frame goes on in a second segment; the rest is
 * the frame. Beside the reads, the promises of psi_net.h are checked, and that the plain path of an Ethernet frame says
 * what the walk says. */
#include "psi_net.h"

#include "psi_cursor.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
check_order(const struct psi_pkt *o)
{
	int order = memcmp(o->tuple.addr[0], o->tuple.addr[1], 16);

	must(o->sender <= 1);
	must(order < 0 || (order == 0 && o->tuple.port[0] <= o->tuple.port[1]));
}

/* Behind a cooked header, which only the walk reads, the bytes from the EtherType on stand two further back. */
static void
check_twin(enum psi_net_rc rc, const struct psi_pkt *o, const uint8_t *p, uint32_t n,
	uint32_t frame_len)
{
	static uint8_t cooked[65536 + 2];
	struct psi_pkt twin;

	if (n < 14)
		return;
	memcpy(cooked + 14, p + 12, n - 12);
	must(psi_net_decode(
		     PSI_LINK_SLL, cooked, n + 2, frame_len + 2, PSI_NET_ID_DEFAULT, &twin) == rc ||
		psi_be16(p + 12) < 0x600); /* an 802.3 length, which a cooked frame does not have */
	if (rc != PSI_NET_TCP || psi_be16(p + 12) < 0x600)
		return;
	twin.payload_off -= 2;
	twin.l3_off -= 2;
	must(!memcmp(o, &twin, offsetof(struct psi_pkt, frag_id)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint32_t n, frame_len;
	enum psi_net_rc rc;
	struct psi_pkt o;

	if (!len || len > 65536)
		return 0;
	n = (uint32_t)len - 1;
	frame_len = data[0] & 0x80 ? n + 1500 : n;
	rc = psi_net_decode(
		(enum psi_link)(data[0] % 8 % 6), data + 1, n, frame_len, PSI_NET_ID_DEFAULT, &o);
	must((unsigned int)rc < PSI_NET_RC_CNT);
	if (data[0] % 8 % 6 == PSI_LINK_ETHERNET)
		check_twin(rc, &o, data + 1, n, frame_len);
	must(o.vlan_cnt <= PSI_NET_VLAN_MAX && o.tunnel_cnt <= PSI_NET_TUNNEL_MAX);
	if (rc != PSI_NET_TCP && rc != PSI_NET_UDP && rc != PSI_NET_FRAGMENT)
		return 0;
	must(o.l3_off < n && o.payload_cap <= o.payload_len);
	must(o.payload_off <= frame_len && o.payload_cap <= frame_len - o.payload_off);
	must((o.note & PSI_PKT_CUT) || o.payload_cap == o.payload_len);
	if (rc != PSI_NET_FRAGMENT)
		check_order(&o);
	return 0;
}
