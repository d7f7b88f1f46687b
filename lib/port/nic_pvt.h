/* SPDX-License-Identifier: BSD-3-Clause */
/* nic_pvt.h: shared by the .c files of live ports. */
#ifndef NIC_PVT_H
#define NIC_PVT_H

#include "psi_nic.h"

#include <rte_ethdev.h>

#define NIC_RSS_KEY_MAX 128

/* Frames of an interface of Linux: what the kernel joined (GRO) comes as one packet of up to 64 KiB. 8 of them fill a
 * block of whole pages, as PACKET_RX_RING wants it. */
#define NIC_FRAME	65024
#define NIC_FRAME_BLOCK (8 * NIC_FRAME)
#define NIC_FRAME_CNT	512
#define NIC_LARGE_ROOM	65535
#define NIC_LARGE_CNT	511

/* nic_rss.c: nic_rss_ask puts what is wanted into conf; key, NIC_RSS_KEY_MAX bytes, lives until the port is configured.
 * nic_rss_verify looks at what a started port made of it. */
void nic_rss_ask(struct psi_nic *n, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf,
	uint8_t *key);
void nic_rss_verify(struct psi_nic *n);

/* nic_linux.c: nic_linux_check: whether the interface is there and may be read. nic_linux_drops: packets that the kernel
 * dropped because our sockets on it were full, since the last look. */
int nic_linux_check(const char *interface, struct psi_err *err);
bool nic_linux_there(const char *interface);
bool nic_linux_running(const char *interface);
bool nic_linux_promiscuous(const char *interface);
uint64_t nic_linux_drops(const char *interface);

/* nic_eal.c: whether that is an address on the PCI bus. */
bool nic_is_pci(const char *device);

/* eal.c */
int eal_init_quietly(int argc, char **argv);
void eal_runtime_dir(void);

#endif
