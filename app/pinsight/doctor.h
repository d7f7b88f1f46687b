/* SPDX-License-Identifier: BSD-3-Clause */
/* doctor.h: what a machine has (facts), what that means for the engine (findings), and a configuration that fits it.
 *
 * Facts come from /proc, /sys and /dev below a folder, so that a test can make a machine of files.
 * Thread: one. */
#ifndef DOCTOR_H
#define DOCTOR_H

#include "psi_base.h"

#include <stdio.h>

#define DOCTOR_NIC_MAX	   64
#define DOCTOR_CORE_MAX	   1024
#define DOCTOR_FINDING_MAX 64
#define DOCTOR_RING	   "/dev/shm/pinsight.ring" /* as in pinsight.h */

struct doctor_nic {
	char name[32];	 /* interface; empty: it has none, since a driver of DPDK holds it */
	char pci[32];	 /* address; empty: no PCI device */
	char driver[32]; /* empty: none */
	int node;	 /* NUMA; -1: not told */
	bool up, carrier, default_route, loopback;
	int speed; /* Mbit/s; 0: not told */
	unsigned int rx_queues, mtu;
	int gro, lro; /* 1 on, 0 off, -1 not told */
};

struct doctor_facts {
	char model[80];
	unsigned int core_cnt; /* online */
	uint16_t core[DOCTOR_CORE_MAX];
	bool isolated[DOCTOR_CORE_MAX]; /* by number */
	unsigned int isolated_cnt, node_cnt;
	bool sse42, avx2, aes, constant_tsc, nonstop_tsc, x86;
	char governor[32];
	struct {
		uint64_t total, free; /* pages */
	} huge_2m, huge_1g;
	char huge_mount[128]; /* empty: no hugetlbfs */
	bool huge_writable;
	uint64_t mem_kb, shm_free; /* shm_free: bytes */
	uint64_t memlock;	   /* bytes; UINT64_MAX: no limit */
	bool iommu, vfio, vfio_noiommu, vfio_access;
	bool root, net_raw, ipc_lock;
	bool pmd_af_packet, pmd_af_xdp, pmd_pcap;
	bool roots; /* the system has a store of CAs */
	unsigned int nic_cnt;
	struct doctor_nic nic[DOCTOR_NIC_MAX];
};

/* doctor_facts reads them; what cannot be read counts as not there. base: "" or a folder in which /proc, /sys, /dev and
 * /etc are looked for. */
void doctor_facts(struct doctor_facts *f, const char *base);

enum doctor_level {
	DOCTOR_GOOD,
	DOCTOR_NOTE, /* worth knowing */
	DOCTOR_SLOW, /* works, but slower, or may lose packets */
	DOCTOR_BAD   /* the engine cannot run like this */
};

struct doctor_finding {
	enum doctor_level level;
	const char *area;
	char text[200], mend[240]; /* mend: the command that mends it; empty: none */
};

/* doctor_judge: findings, in the order in which a person would work on them. Returns how many. */
unsigned int
doctor_judge(const struct doctor_facts *f, struct doctor_finding out[DOCTOR_FINDING_MAX]);

/* doctor_config prints a configuration for this machine as YAML. */
void doctor_config(const struct doctor_facts *f, FILE *out);

/* doctor_port: the interface or device that the configuration takes: NULL when there is none but loopback. */
const struct doctor_nic *doctor_port(const struct doctor_facts *f);

#endif
