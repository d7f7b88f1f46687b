/* SPDX-License-Identifier: BSD-3-Clause */
/* From the configuration to sizes: those that it names, and those that it leaves to us. */
#include "engine.h"

#include <stdlib.h>
#include <sys/random.h>

#define LARGE_PORT_MB 40 /* buffers for whole packets of an interface of Linux */
#define EAL_MB	      32 /* DPDK's own tables, rings, what allocating in pieces loses */

static uint32_t
ms_of(uint64_t ns)
{
	return (uint32_t)(ns / 1000000u);
}

unsigned int
sizes_identity(const struct psi_config *cfg)
{
	switch (cfg->flows.identity) {
	case PSI_CONFIG_IDENTITY_BOTH: return PSI_NET_ID_VLAN | PSI_NET_ID_TUNNEL;
	case PSI_CONFIG_IDENTITY_VLAN: return PSI_NET_ID_VLAN;
	case PSI_CONFIG_IDENTITY_TUNNEL: return PSI_NET_ID_TUNNEL;
	case PSI_CONFIG_IDENTITY_NONE: return 0;
	}
	return PSI_NET_ID_DEFAULT;
}

void
sizes_worker(const struct engine *e, const struct psi_config *cfg, unsigned int id,
	struct psi_worker_config *out)
{
	uint64_t random[3];

	psi_worker_defaults(out);
	out->huge = true;
	out->flow.max = cfg->flows.max;
	out->flow.timeout_ms[PSI_FLOW_CLOSED] = ms_of(cfg->flows.closed_timeout_ns);
	out->flow.timeout_ms[PSI_FLOW_HALF_OPEN] = ms_of(cfg->flows.half_open_timeout_ns);
	out->flow.timeout_ms[PSI_FLOW_OTHER] = ms_of(cfg->flows.other_timeout_ns);
	out->flow.timeout_ms[PSI_FLOW_ESTABLISHED] = ms_of(cfg->flows.established_timeout_ns);
	out->flow.timeout_ms[PSI_FLOW_HANDSHAKE] = ms_of(cfg->flows.handshake_timeout_ns);
	if (getrandom(random, sizeof(random), 0) == sizeof(random)) {
		memcpy(out->flow.hash_key, random, sizeof(out->flow.hash_key));
		out->frag.hash_seed = (uint32_t)random[2];
	}
	out->stream.early_max = cfg->streams.early_segments;
	out->stream.early_flow_max = cfg->streams.early_segments_flow;
	out->stream.early_flow_bytes = (uint32_t)cfg->streams.early_bytes_flow;
	out->stream.gap_wait_ms = ms_of(cfg->streams.gap_wait_ns);
	out->frag.max = cfg->fragments.datagrams;
	out->frag.mbuf_max = cfg->fragments.mbufs;
	out->frag.timeout_ns = cfg->fragments.timeout_ns;
	out->frag.socket = (int)rte_socket_id();
	out->conn_max = cfg->flows.connections;
	out->handshake_max = cfg->flows.handshakes;
	out->chain_max = cfg->certificates.messages;
	out->chain_seg_max = cfg->certificates.segments;
	out->linger_ms = ms_of(cfg->flows.linger_ns);
	out->identity = sizes_identity(cfg);
	out->report_other = cfg->events.not_tls;
	out->id = (uint8_t)id;
	(void)e;
}

/* Buffers that can be away at once, so that a port always finds one: in its queues, with the workers, on their way from
 * one worker to another, with the collector (certificates, as many as a worker may gather once more), in the cores' own
 * stocks. One less than a power of two is what a mempool likes. */
uint32_t
sizes_mbufs(const struct engine *e, const struct psi_config *cfg)
{
	uint64_t n = 0, size = 1024;
	uint64_t held = (uint64_t)cfg->streams.early_segments + cfg->fragments.mbufs +
			2ull * cfg->certificates.segments + 4ull * PSI_WORKER_BURST;

	if (cfg->mempool.mbufs != PSI_CONFIG_AUTO)
		return cfg->mempool.mbufs;
	for (uint32_t i = 0; i < cfg->ports_cnt; i++)
		n += (uint64_t)cfg->ports[i].descriptors *
		     (cfg->ports[i].queues ? cfg->ports[i].queues : e->worker_cnt);
	n += held * e->worker_cnt;
	n += (uint64_t)cfg->mempool.cache * (e->loop_cnt + 1) * 3 / 2;
	if (e->worker_cnt > 1)
		n += (uint64_t)e->worker_cnt * STEER_RING;
	while (size - 1 < n)
		size *= 2;
	return (uint32_t)PSI_MIN(size - 1, 16777215u);
}

uint16_t
sizes_mbuf_room(const struct psi_config *cfg)
{
	uint32_t mtu = 1500, room = 2048;

	if (cfg->mempool.mbuf_size != PSI_CONFIG_AUTO)
		return (uint16_t)cfg->mempool.mbuf_size;
	for (uint32_t i = 0; i < cfg->ports_cnt; i++)
		if (!cfg->ports[i].interface) /* of those, packets are copied into pieces */
			mtu = PSI_MAX(mtu, cfg->ports[i].mtu);
	while (room < mtu + 26) /* Ethernet, two VLAN tags, checksum */
		room += 64;
	return (uint16_t)room;
}

unsigned int
sizes_mem_mb(const struct engine *e, const struct psi_config *cfg)
{
	uint64_t each = sizes_mbuf_room(cfg) + RTE_PKTMBUF_HEADROOM + sizeof(struct rte_mbuf) + 192;
	uint64_t frags = ((uint64_t)cfg->fragments.datagrams * 2048u) * e->worker_cnt;
	uint64_t mb = (sizes_mbufs(e, cfg) * each + frags) / (1u << 20) + EAL_MB;

	if (cfg->eal.memory != PSI_CONFIG_AUTO)
		return (unsigned int)(cfg->eal.memory >> 20);
	for (uint32_t i = 0; i < cfg->ports_cnt; i++)
		if (cfg->ports[i].interface)
			mb += LARGE_PORT_MB;
	mb += (uint64_t)e->worker_cnt * e->worker_cnt * STEER_RING * 8 / (1u << 20);
	return (unsigned int)mb;
}
