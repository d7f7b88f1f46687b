/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_nic.h: live ports: DPDK's environment, a device by its PCI address, as a virtual device or as an interface of
 * Linux, its queues, its RSS, its own counters.
 *
 * A port is opened in two steps, because its NUMA node is known before the packet buffers are made: attach, then start.
 * Out of scope: who reads which queue, and what happens to packets (the engine's).
 * Thread: all but psi_nic_rx belongs to the thread that controls the engine; a queue is read by one thread. */
#ifndef PSI_NIC_H
#define PSI_NIC_H

#include "psi_base.h"
#include "psi_config.h"
#include "psi_stats.h"

#include <rte_mbuf.h>
#include <stdatomic.h>
#include <stdio.h>

/* ---- DPDK's environment ---- */

struct psi_eal_config {
	const struct psi_config *cfg; /* its sections eal, telemetry, log; its ports */
	const char *lcores;	      /* DPDK's --lcores */
	unsigned int mem_mb;	      /* what pools will take */
	FILE *log;		      /* where DPDK's own messages go; stays open */
};

struct psi_eal_news {
	bool huge;	/* memory is in huge pages */
	bool shared;	/* other DPDK processes (dpdk-pdump, dpdk-proc-info) can join */
	char note[256]; /* what the operator loses, and what would mend it; empty if nothing */
};

/* psi_eal_start: 0, or -errno with what is wrong in err. Once per process, main thread, which becomes the main lcore. */
int psi_eal_start(const struct psi_eal_config *cfg, struct psi_eal_news *news, struct psi_err *err);

/* psi_eal_log_level: how much DPDK says itself. */
void psi_eal_log_level(enum psi_config_level level);

/* psi_nic_pool: cnt packet buffers of room bytes, headroom included. NULL: rte_errno says why. */
struct rte_mempool *
psi_nic_pool(const char *name, unsigned int cnt, unsigned int cache, uint16_t room, int socket);

/* ---- a port ---- */

/* Who brings both directions of a connection to one queue. */
enum psi_nic_spread {
	PSI_NIC_ONE,	  /* there is one queue */
	PSI_NIC_RSS,	  /* the device, by a symmetric key that it says it uses */
	PSI_NIC_SCATTERED /* nobody: see spread_why */
};

struct psi_nic {
	char name[80]; /* for messages */
	uint16_t port, queue_cnt, desc_cnt;
	int socket; /* NUMA node, SOCKET_ID_ANY when it does not matter */
	enum psi_nic_spread spread;
	char spread_why[200];
	char driver[40];
	bool interrupts; /* queues can wake a thread that waits for them */
	struct rte_mempool
		*copy; /* packets are copied into buffers of this pool; NULL: they stay */
	struct rte_mempool
		*large;	   /* of an interface of Linux: one buffer holds a packet of any size */
	_Atomic bool gone; /* the device was taken away */
	/* The rest is the port's own. */
	char device[1200];    /* as DPDK takes it */
	char interface[16];   /* of Linux; "" if it is none */
	bool was_promiscuous; /* before we came */
	bool promiscuous;     /* set by us */
	bool started;
	uint64_t kernel_drops; /* so far: the kernel's counter begins anew at each look */
};

struct psi_nic_config {
	const struct psi_config_port *port;
	unsigned int index;   /* among the ports: makes names */
	unsigned int workers; /* as many queues are wanted */
	bool interrupts;      /* queues shall be able to wake a thread */
};

/* psi_nic_attach finds the device and how many queues it gets. psi_nic_start sets it going; pool: of its NUMA node, it
 * outlives the port. Both: 0, or -errno and in err what is wrong and what to do.
 * psi_nic_stop: no packets come any more. psi_nic_close gives the device back. */
int psi_nic_attach(struct psi_nic *n, const struct psi_nic_config *cfg, struct psi_err *err);
int psi_nic_start(struct psi_nic *n, const struct psi_nic_config *cfg, struct rte_mempool *pool,
	struct psi_err *err);
void psi_nic_stop(struct psi_nic *n);
void psi_nic_close(struct psi_nic *n);

/* psi_nic_rx: up to max packets of a queue, whole Ethernet frames, VLAN tags where they were on the wire. The mbufs are
 * the caller's. What had to be dropped is counted in st. Hot. */
uint16_t psi_nic_rx(
	struct psi_nic *n, uint16_t queue, struct rte_mbuf **m, uint16_t max, struct psi_stats *st);

/* psi_nic_waiting: packets in a queue that were not taken yet; negative where the driver does not count them. Hot. */
int psi_nic_waiting(const struct psi_nic *n, uint16_t queue);

/* psi_nic_counters: since the start. missed: no descriptor was free; errors: damaged frames; no_mbuf: no buffer was
 * free. 0, or -errno. */
struct psi_nic_counters {
	uint64_t rx, missed, errors, no_mbuf;
};
int psi_nic_counters(struct psi_nic *n, struct psi_nic_counters *c);

/* psi_nic_link: 1 up, 0 down, -ENODEV when the device is gone. speed_mbps: 0 unknown. */
int psi_nic_link(struct psi_nic *n, uint32_t *speed_mbps);

/* ---- RSS ---- */

/* psi_rss_key writes the symmetric key: 0x6d5a again and again. psi_rss_key_symmetric: whether a key brings both
 * directions of TCP connections to one hash, tried by software on addresses of both versions. */
void psi_rss_key(uint8_t *key, size_t len);
bool psi_rss_key_symmetric(const uint8_t *key, size_t len);

#endif
