/* SPDX-License-Identifier: BSD-3-Clause */
/* RSS: the key that is the same for both directions, and whether a device really uses it. Toeplitz hashing is linear in
 * its input, and a key of period 16 bits gives the same for two words of 16 bits, or of 32, that change places: Woo and
 * Park, "Scalable TCP session monitoring with symmetric receive-side scaling", 2012. */
#include "nic_pvt.h"

#include <rte_thash.h>

void
psi_rss_key(uint8_t *key, size_t len)
{
	for (size_t i = 0; i < len; i++)
		key[i] = i % 2 ? 0x5a : 0x6d;
}

static uint32_t
hash_words(const uint32_t *w, unsigned int n, const uint8_t *key)
{
	union {
		uint32_t w[10];
		uint8_t b[40];
	} k;

	uint32_t in[9];

	memcpy(k.b, key, sizeof(k.b));
	memcpy(in, w, n * sizeof(*w));
	return rte_softrss(in, n, k.b);
}

/* A connection of n address words a side, one way and the other. */
static bool
same_both_ways(const uint32_t *a, const uint32_t *b, unsigned int n, const uint8_t *key)
{
	uint32_t there[9], back[9];

	memcpy(there, a, n * 4);
	memcpy(there + n, b, n * 4);
	there[2 * n] = 0xc35001bb; /* port 50000 to 443 */
	memcpy(back, b, n * 4);
	memcpy(back + n, a, n * 4);
	back[2 * n] = 0x01bbc350;
	return hash_words(there, 2 * n + 1, key) == hash_words(back, 2 * n + 1, key);
}

bool
psi_rss_key_symmetric(const uint8_t *key, size_t len)
{
	static const uint32_t addr[][4] = {
		{0x0a000001, 0x5db8d822, 0x00000001, 0x00000002},
		{0xc0a80a17, 0x20010db8, 0xfffefdfc, 0x80000001},
		{0x08080808, 0x00000000, 0x00000001, 0x7fffffff},
		{0xffffffff, 0x12345678, 0x9abcdef0, 0x0f1e2d3c},
	};

	if (len < 40)
		return false;
	for (size_t i = 0; i < PSI_COUNT(addr); i++)
		for (size_t j = 0; j < PSI_COUNT(addr); j++)
			if (i != j && (!same_both_ways(addr[i], addr[j], 1, key) ||
					      !same_both_ways(addr[i], addr[j], 4, key)))
				return false;
	return true;
}

static void
scattered(struct psi_nic *n, const char *why)
{
	n->spread = PSI_NIC_SCATTERED;
	snprintf(n->spread_why, sizeof(n->spread_why), "%s", why);
}

void
nic_rss_ask(struct psi_nic *n, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf,
	uint8_t *key)
{
	struct rte_eth_rss_conf *rss = &conf->rx_adv_conf.rss_conf;
	uint64_t tcp = info->flow_type_rss_offloads &
		       (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP);

	if (n->queue_cnt < 2) {
		n->spread = PSI_NIC_ONE;
		return;
	}
	if (!info->flow_type_rss_offloads) {
		scattered(n, "its driver has no RSS");
		return;
	}
	rss->rss_key_len = info->hash_key_size ? info->hash_key_size : 40;
	rss->rss_key_len = PSI_MIN(rss->rss_key_len, (uint8_t)NIC_RSS_KEY_MAX);
	psi_rss_key(key, rss->rss_key_len);
	rss->rss_key = key;
	rss->rss_hf =
		info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	n->spread = PSI_NIC_RSS;
	if (!tcp) /* then by addresses alone, which is symmetric as well */
		snprintf(n->spread_why, sizeof(n->spread_why),
			"it spreads by addresses alone: connections of one pair of hosts share a worker");
}

void
nic_rss_verify(struct psi_nic *n)
{
	uint8_t key[NIC_RSS_KEY_MAX] = {0};
	struct rte_eth_rss_conf conf = {.rss_key = key, .rss_key_len = sizeof(key)};

	if (n->spread != PSI_NIC_RSS)
		return;
	if (rte_eth_dev_rss_hash_conf_get(n->port, &conf) != 0)
		return; /* it does not tell: what arrives will */
	if (!conf.rss_hf)
		scattered(n, "its driver took the RSS key, but does not hash");
	else if (conf.rss_key_len >= 40 && !psi_rss_key_symmetric(key, conf.rss_key_len))
		scattered(n, "it kept an RSS key of its own, which is not symmetric");
}
