/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rules of rte_flow a port would take that Pinsight could leave work to: drop what is never TLS, drop the packets of
 * one connection, the same but for those with SYN, FIN or RST. Nothing is sent, and every rule is taken away again.
 *
 *     flow_probe OPTION-OF-DPDK...
 *     flow_probe --no-huge --no-pci -m 64 --no-telemetry --vdev net_tap0
 *
 * Prints a line for each rule, with and without a counter: what rte_flow_validate says, and if it agrees, what
 * rte_flow_create and the counter's query say. docs/sizing.md has the answers of the drivers that need no network card.
 * Exit status: 0 asked, 1 there is no port that starts. */
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>

#define LAYERS_MAX 4

struct rule {
	const char *name;
	struct rte_flow_item items[LAYERS_MAX];
};

/* Documentation addresses (RFC 5737); a bit set in a mask is one that must be as in the spec. */
static const struct rte_flow_item_ipv4 icmp = {.hdr.next_proto_id = IPPROTO_ICMP},
				       icmp_mask = {.hdr.next_proto_id = 0xff},
				       pair = {.hdr = {.src_addr = RTE_BE32(0xc0000201),
						       .dst_addr = RTE_BE32(0xc6336401)}},
				       pair_mask = {.hdr = {.src_addr = UINT32_MAX,
							    .dst_addr = UINT32_MAX}};
static const struct rte_flow_item_udp quic = {.hdr.dst_port = RTE_BE16(443)},
				      quic_mask = {.hdr.dst_port = UINT16_MAX};
static const struct rte_flow_item_tcp
	ssh = {.hdr.dst_port = RTE_BE16(22)},
	ssh_mask = {.hdr.dst_port = UINT16_MAX},
	conn = {.hdr = {.src_port = RTE_BE16(443), .dst_port = RTE_BE16(20000)}},
	conn_mask = {.hdr = {.src_port = UINT16_MAX, .dst_port = UINT16_MAX}},
	bulk_mask = {.hdr = {.src_port = UINT16_MAX, .dst_port = UINT16_MAX, .tcp_flags = 0x07}};

#define ETH()                                  \
	{                                      \
		.type = RTE_FLOW_ITEM_TYPE_ETH \
	}
#define ANY(t)                                 \
	{                                      \
		.type = RTE_FLOW_ITEM_TYPE_##t \
	}
#define ITEM(t, s, m)                                                      \
	{                                                                  \
		.type = RTE_FLOW_ITEM_TYPE_##t, .spec = &(s), .mask = &(m) \
	}
#define END()                                  \
	{                                      \
		.type = RTE_FLOW_ITEM_TYPE_END \
	}

static const struct rule rules[] = {
	{"UDP over IPv4", {ETH(), ANY(IPV4), ANY(UDP), END()}},
	{"UDP over IPv6", {ETH(), ANY(IPV6), ANY(UDP), END()}},
	{"UDP to port 443", {ETH(), ANY(IPV4), ITEM(UDP, quic, quic_mask), END()}},
	{"ICMP", {ETH(), ITEM(IPV4, icmp, icmp_mask), END()}},
	{"TCP to port 22", {ETH(), ANY(IPV4), ITEM(TCP, ssh, ssh_mask), END()}},
	{"a TCP connection",
		{ETH(), ITEM(IPV4, pair, pair_mask), ITEM(TCP, conn, conn_mask), END()}},
	{"its packets without SYN, FIN, RST",
		{ETH(), ITEM(IPV4, pair, pair_mask), ITEM(TCP, conn, bulk_mask), END()}},
};

static const struct rte_flow_action drop[] = {
	{.type = RTE_FLOW_ACTION_TYPE_DROP}, {.type = RTE_FLOW_ACTION_TYPE_END}};
static const struct rte_flow_action count_drop[] = {{.type = RTE_FLOW_ACTION_TYPE_COUNT},
	{.type = RTE_FLOW_ACTION_TYPE_DROP}, {.type = RTE_FLOW_ACTION_TYPE_END}};

static const char *
said(int rc, const struct rte_flow_error *err)
{
	return rc == 0 ? "yes" : err->message ? err->message : rte_strerror(-rc);
}

static void
ask(uint16_t port, const struct rule *r, const struct rte_flow_action *actions, const char *what)
{
	const struct rte_flow_attr attr = {.ingress = 1};
	struct rte_flow_query_count seen = {0};
	struct rte_flow_error err = {0};
	int rc = rte_flow_validate(port, &attr, r->items, actions, &err);
	struct rte_flow *flow;

	printf("  %-34s %-15s validate: %s", r->name, what, said(rc, &err));
	if (rc == 0) {
		flow = rte_flow_create(port, &attr, r->items, actions, &err);
		printf("; create: %s", said(flow ? 0 : -rte_errno, &err));
		if (flow) {
			rc = rte_flow_query(port, flow, count_drop, &seen, &err);
			printf("; query: %s", said(rc, &err));
			rte_flow_destroy(port, flow, &err);
		}
	}
	putchar('\n');
}

static bool
start(uint16_t port, struct rte_mempool *pool)
{
	const struct rte_eth_conf conf = {0};

	return rte_eth_dev_configure(port, 1, 1, &conf) == 0 &&
	       rte_eth_rx_queue_setup(port, 0, 512, SOCKET_ID_ANY, NULL, pool) == 0 &&
	       rte_eth_tx_queue_setup(port, 0, 512, SOCKET_ID_ANY, NULL) == 0 &&
	       rte_eth_dev_start(port) == 0;
}

int
main(int argc, char **argv)
{
	struct rte_mempool *pool;
	char name[RTE_ETH_NAME_MAX_LEN];
	int asked = 0;
	uint16_t port;

	setlinebuf(stdout); /* what was said stays said, whatever a driver does */
	if (rte_eal_init(argc, argv) < 0)
		return 1;
	pool = rte_pktmbuf_pool_create(
		"probe", 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	RTE_ETH_FOREACH_DEV(port)
	{
		if (!pool || !start(port, pool) || rte_eth_dev_get_name_by_port(port, name) != 0)
			continue;
		printf("%s\n", name);
		for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
			ask(port, &rules[i], drop, "drop");
			ask(port, &rules[i], count_drop, "count and drop");
		}
		rte_eth_dev_stop(port);
		asked++;
	}
	rte_eal_cleanup();
	return asked ? 0 : 1;
}
