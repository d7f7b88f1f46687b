/* SPDX-License-Identifier: BSD-3-Clause */
/* Set-up and end of a live port: may block and fail. */
#include "nic_pvt.h"

#include <rte_dev.h>
#include <rte_errno.h>

#include <errno.h>
#include <stdlib.h>

/* ---- finding the device ---- */

static int
attach_pci(struct psi_nic *n, struct psi_err *err)
{
	char address[32];

	snprintf(address, sizeof(address), "%.*s", (int)strcspn(n->device, ","), n->device);
	if (rte_eth_dev_get_port_by_name(address, &n->port) == 0)
		return 0;
	return psi_err_set(err, -ENODEV,
		"no driver of DPDK has this device. `dpdk-devbind.py --status` shows who has it; "
		"`dpdk-devbind.py --bind=vfio-pci %s` gives it to DPDK",
		address);
}

static int
attach_virtual(struct psi_nic *n, struct psi_err *err)
{
	char name[64];
	int rc = rte_dev_probe(n->device);

	if (rc != 0)
		return psi_err_set(err, rc,
			"DPDK cannot make '%s' (%s): the lines of dpdk before this one say why",
			n->device, rte_strerror(-rc));
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(n->device, ","), n->device);
	if (rte_eth_dev_get_port_by_name(name, &n->port) == 0)
		return 0;
	return psi_err_set(err, -ENODEV, "'%s' is not a network device of DPDK", name);
}

/* An interface of Linux becomes a virtual device, with frames for whatever the kernel joins. */
static int
attach_interface(struct psi_nic *n, const struct psi_nic_config *cfg, struct psi_err *err)
{
	unsigned int queues = cfg->port->queues ? cfg->port->queues : cfg->workers;
	char name[32];
	int rc = nic_linux_check(n->interface, err);

	if (rc != 0)
		return rc;
	n->was_promiscuous = nic_linux_promiscuous(n->interface);
	snprintf(name, sizeof(name), "interface%u", cfg->index);
	n->large = psi_nic_pool(name, NIC_LARGE_CNT, 0, NIC_LARGE_ROOM, SOCKET_ID_ANY);
	if (!n->large)
		return psi_err_set(
			err, -ENOMEM, "no memory for %u buffers of 64 KiB", NIC_LARGE_CNT);
	snprintf(n->device, sizeof(n->device),
		"net_af_packet_if%u,iface=%s,qpairs=%u,blocksz=%u,framesz=%u,framecnt=%u",
		cfg->index, n->interface, queues, NIC_FRAME_BLOCK, NIC_FRAME, NIC_FRAME_CNT);
	return attach_virtual(n, err);
}

static int
on_removed(uint16_t port, enum rte_eth_event_type type, void *ctx, void *ret)
{
	struct psi_nic *n = ctx;

	(void)port, (void)type, (void)ret;
	atomic_store_explicit(&n->gone, true, memory_order_relaxed);
	return 0;
}

int
psi_nic_attach(struct psi_nic *n, const struct psi_nic_config *cfg, struct psi_err *err)
{
	const struct psi_config_port *p = cfg->port;
	struct rte_eth_dev_info info;
	uint32_t want = p->queues ? p->queues : cfg->workers;
	int rc;

	memset(n, 0, sizeof(*n));
	snprintf(n->name, sizeof(n->name), "%.*s", (int)strcspn(p->name, ","), p->name);
	snprintf(n->device, sizeof(n->device), "%s", p->device ? p->device : "");
	snprintf(n->interface, sizeof(n->interface), "%s", p->interface ? p->interface : "");
	n->port = RTE_MAX_ETHPORTS;
	if (n->interface[0])
		rc = attach_interface(n, cfg, err);
	else
		rc = nic_is_pci(n->device) ? attach_pci(n, err) : attach_virtual(n, err);
	if (rc == 0 && (rc = rte_eth_dev_info_get(n->port, &info)) != 0)
		psi_err_set(err, rc, "its driver does not answer (%s)", rte_strerror(-rc));
	if (rc != 0) {
		psi_nic_close(n);
		return psi_err_wrap(err, rc, "port %s", n->name);
	}
	snprintf(n->driver, sizeof(n->driver), "%s", info.driver_name);
	/* Its driver reads the first ring for each that the peer does not have: packets would come twice. */
	if (!p->queues && strcmp(n->driver, "net_memif") == 0)
		want = 1;
	n->socket = rte_eth_dev_socket_id(n->port);
	n->queue_cnt = (uint16_t)PSI_MIN(want, (uint32_t)info.max_rx_queues);
	n->queue_cnt = PSI_MIN(n->queue_cnt, (uint16_t)cfg->workers);
	n->desc_cnt = (uint16_t)PSI_MIN(p->descriptors, 65535u);
	rte_eth_dev_callback_register(n->port, RTE_ETH_EVENT_INTR_RMV, on_removed, n);
	return 0;
}

/* ---- setting it going ---- */

/* Packet sockets of the kernel: setting the MTU there would change the interface itself. */
static bool
is_packet_socket(const struct psi_nic *n)
{
	return strcmp(n->driver, "net_af_packet") == 0;
}

/* Nothing is ever sent, but some drivers want queues for it: those of virtual devices as many as for receiving (memif
 * tells its peer, tap insists), some NICs one. */
static bool
try_of(const struct psi_nic *n, const struct rte_eth_dev_info *info, int i, uint16_t *tx)
{
	const uint16_t of_pci[] = {0, 1, n->queue_cnt}, of_virtual[] = {n->queue_cnt, 0, 1};

	*tx = nic_is_pci(n->device) ? of_pci[i] : of_virtual[i];
	return *tx <= info->max_tx_queues;
}

static int
configure(struct psi_nic *n, const struct psi_nic_config *cfg, struct rte_eth_dev_info *info,
	const struct rte_mempool *pool, struct psi_err *err)
{
	struct rte_eth_conf conf = {0};
	uint8_t key[NIC_RSS_KEY_MAX];
	uint32_t room = rte_pktmbuf_data_room_size((struct rte_mempool *)(uintptr_t)pool) -
			RTE_PKTMBUF_HEADROOM;
	uint16_t tx = 0;
	int rc = -EINVAL;

	nic_rss_ask(n, info, &conf, key);
	if (!is_packet_socket(n)) {
		conf.rxmode.mtu = (uint32_t)cfg->port->mtu;
		if (info->max_mtu && conf.rxmode.mtu > info->max_mtu)
			return psi_err_set(err, -EINVAL, "its mtu is %u at most, %u is asked for",
				info->max_mtu, cfg->port->mtu);
	}
	if (cfg->port->mtu + 26 > room && info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER)
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	conf.intr_conf.rxq = cfg->interrupts;
	for (int i = 0; rc != 0 && i < 6; i++) {
		/* Drivers without interrupts of queues may refuse to have them. */
		conf.intr_conf.rxq = cfg->interrupts && i < 3;
		if (!try_of(n, info, i % 3, &tx))
			continue;
		rc = rte_eth_dev_configure(n->port, n->queue_cnt, tx, &conf);
	}
	if (rc != 0)
		return psi_err_set(err, rc, "its driver refuses %u receive queues (%s)",
			n->queue_cnt, rte_strerror(-rc));
	n->interrupts = conf.intr_conf.rxq;
	n->desc_cnt = (uint16_t)PSI_MIN(cfg->port->descriptors, 65535u);
	rte_eth_dev_adjust_nb_rx_tx_desc(n->port, &n->desc_cnt, NULL);
	if (tx &&
		(rc = rte_eth_tx_queue_setup(n->port, 0, 512, (unsigned int)n->socket, NULL)) != 0)
		return psi_err_set(err, rc, "a queue for sending (%s)", rte_strerror(-rc));
	return 0;
}

static void
be_promiscuous(struct psi_nic *n, const struct psi_config_port *p)
{
	if (!p->promiscuous || n->was_promiscuous)
		return;
	/* A virtual device without the notion takes all packets anyway. */
	n->promiscuous = rte_eth_promiscuous_enable(n->port) == 0;
}

int
psi_nic_start(struct psi_nic *n, const struct psi_nic_config *cfg, struct rte_mempool *pool,
	struct psi_err *err)
{
	struct rte_mempool *rx_pool = n->large ? n->large : pool;
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(n->port, &info);

	if (rc == 0)
		rc = configure(n, cfg, &info, rx_pool, err);
	for (uint16_t q = 0; rc == 0 && q < n->queue_cnt; q++) {
		rc = rte_eth_rx_queue_setup(
			n->port, q, n->desc_cnt, (unsigned int)n->socket, NULL, rx_pool);
		if (rc != 0)
			psi_err_set(err, rc, "receive queue %u with %u descriptors (%s)", q,
				n->desc_cnt, rte_strerror(-rc));
	}
	if (rc != 0)
		return psi_err_wrap(err, rc, "port %s", n->name);
	n->copy = n->large ? pool : NULL;
	rc = rte_eth_dev_start(n->port);
	if (rc != 0)
		return psi_err_set(err, rc, "port %s: its driver does not start it (%s)", n->name,
			rte_strerror(-rc));
	n->started = true;
	be_promiscuous(n, cfg->port);
	nic_rss_verify(n);
	return 0;
}

void
psi_nic_stop(struct psi_nic *n)
{
	struct psi_nic_counters c;

	if (!n->started)
		return;
	n->started = false;
	psi_nic_counters(n, &c); /* the last look at what the kernel dropped */
	if (n->promiscuous)
		rte_eth_promiscuous_disable(n->port);
	rte_eth_dev_stop(n->port);
}

void
psi_nic_close(struct psi_nic *n)
{
	psi_nic_stop(n);
	if (n->port < RTE_MAX_ETHPORTS && rte_eth_dev_is_valid_port(n->port)) {
		rte_eth_dev_callback_unregister(n->port, RTE_ETH_EVENT_INTR_RMV, on_removed, n);
		rte_eth_dev_close(n->port);
	}
	n->port = RTE_MAX_ETHPORTS;
	rte_mempool_free(n->large);
	n->large = NULL;
}

/* ---- what it says of itself ---- */

int
psi_nic_counters(struct psi_nic *n, struct psi_nic_counters *c)
{
	struct rte_eth_stats st;
	int rc = rte_eth_stats_get(n->port, &st);

	if (n->interface[0])
		n->kernel_drops += nic_linux_drops(n->interface);
	if (rc != 0)
		return rc;
	*c = (struct psi_nic_counters){.rx = st.ipackets,
		.missed = st.imissed + n->kernel_drops,
		.errors = st.ierrors,
		.no_mbuf = st.rx_nombuf};
	return 0;
}

int
psi_nic_link(struct psi_nic *n, uint32_t *speed_mbps)
{
	struct rte_eth_link link = {0};

	*speed_mbps = 0;
	if (atomic_load_explicit(&n->gone, memory_order_relaxed) ||
		(n->interface[0] && !nic_linux_there(n->interface)))
		return -ENODEV;
	if (n->interface[0]) /* its driver in DPDK 22.11 always says up */
		return nic_linux_running(n->interface);
	if (rte_eth_link_get_nowait(n->port, &link) != 0)
		return -ENODEV;
	if (link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		*speed_mbps = link.link_speed;
	return link.link_status == RTE_ETH_LINK_UP;
}
