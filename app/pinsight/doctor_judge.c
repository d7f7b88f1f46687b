/* SPDX-License-Identifier: BSD-3-Clause */
/* What the facts mean for the engine, and the command that mends what is wrong. */
#include "doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define HUGE_MB_WANTED 512	     /* for tables and packets of a small box */
#define SHM_WANTED     (80ull << 20) /* the ring as it is by default, and DPDK's own */
#define MEM_KB_WANTED  (1ull << 20)

struct list {
	struct doctor_finding *at;
	unsigned int cnt;
};

static void say(struct list *l, enum doctor_level level, const char *area, const char *mend,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void
say(struct list *l, enum doctor_level level, const char *area, const char *mend, const char *fmt,
	...)
{
	struct doctor_finding *f;
	va_list ap;

	if (l->cnt == DOCTOR_FINDING_MAX)
		return;
	f = &l->at[l->cnt++];
	*f = (struct doctor_finding){.level = level, .area = area};
	snprintf(f->mend, sizeof(f->mend), "%s", mend);
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

static void
judge_cpu(const struct doctor_facts *f, struct list *l)
{
	say(l, DOCTOR_GOOD, "cpu", "", "%s, %u core%s, %u NUMA node%s",
		f->model[0] ? f->model : "a processor that does not say its name", f->core_cnt,
		f->core_cnt == 1 ? "" : "s", PSI_MAX(f->node_cnt, 1u), f->node_cnt > 1 ? "s" : "");
	if (f->x86 && !f->sse42)
		say(l, DOCTOR_BAD, "cpu", "",
			"no SSE4.2, without which Debian's DPDK does not start");
	else if (f->x86 && !f->avx2)
		say(l, DOCTOR_SLOW, "cpu", "",
			"no AVX2: rules and tables run on narrower instructions");
	if (f->x86 && !(f->constant_tsc && f->nonstop_tsc))
		say(l, DOCTOR_NOTE, "cpu", "",
			"the time stamp counter may change its pace: times of packets may drift between two "
			"looks at the clock (constant_tsc, nonstop_tsc not told)");
	if (f->core_cnt == 1)
		say(l, DOCTOR_SLOW, "cpu", "", "one core: worker and collector take turns on it");
	else if (f->core_cnt == 2)
		say(l, DOCTOR_NOTE, "cpu", "",
			"two cores: one worker, and the collector beside everything else");
	if (f->core_cnt > 2 && !f->isolated_cnt)
		say(l, DOCTOR_NOTE, "cpu",
			"add isolcpus=2-N nohz_full=2-N rcu_nocbs=2-N to GRUB_CMDLINE_LINUX in "
			"/etc/default/grub, then: sudo update-grub && sudo reboot",
			"no isolated cores: Linux runs other things on a worker's core, and its queue must "
			"hold what arrives meanwhile");
	if (f->governor[0] && strcmp(f->governor, "performance") != 0)
		say(l, DOCTOR_NOTE, "cpu",
			"echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
			"frequency governor is %s: a core that wakes up is slow for a while",
			f->governor);
}

static void
judge_memory(const struct doctor_facts *f, struct list *l)
{
	uint64_t huge_mb = f->huge_2m.free * 2 + f->huge_1g.free * 1024;
	char mend[240];

	if (f->mem_kb && f->mem_kb < MEM_KB_WANTED)
		say(l, DOCTOR_SLOW, "memory", "",
			"%llu MB of memory: lower flows.max and mempool.mbufs",
			(unsigned long long)(f->mem_kb >> 10));
	snprintf(mend, sizeof(mend), "sudo sysctl -w vm.nr_hugepages=%u", HUGE_MB_WANTED / 2);
	if (!f->huge_2m.total && !f->huge_1g.total)
		say(l, DOCTOR_SLOW, "memory", mend,
			"no huge pages: tables and packets lie in pages of 4 KiB, and NICs bound to vfio "
			"need an IOMMU in virtual-address mode");
	else if (huge_mb < HUGE_MB_WANTED)
		say(l, DOCTOR_SLOW, "memory", mend,
			"%llu MB of huge pages free; %u MB suit a small box",
			(unsigned long long)huge_mb, HUGE_MB_WANTED);
	else
		say(l, DOCTOR_GOOD, "memory", "", "%llu MB of huge pages free",
			(unsigned long long)huge_mb);
	if ((f->huge_2m.total || f->huge_1g.total) && !f->huge_mount[0])
		say(l, DOCTOR_NOTE, "memory",
			"sudo mkdir -p /dev/hugepages && sudo mount -t hugetlbfs none /dev/hugepages",
			"hugetlbfs is not mounted: dpdk-pdump and dpdk-proc-info cannot join the engine");
	else if (f->huge_mount[0] && !f->huge_writable && f->huge_2m.total + f->huge_1g.total)
		say(l, DOCTOR_SLOW, "memory", "",
			"%s may not be written by this user: run the engine as the user of its systemd unit, or as root",
			f->huge_mount);
	if (f->shm_free && f->shm_free < SHM_WANTED)
		say(l, DOCTOR_BAD, "memory",
			"sudo mount -o remount,size=256M /dev/shm; or set ring.size and ring.path",
			"%llu MB free in /dev/shm: the ring takes 64 MB as it is by default",
			(unsigned long long)(f->shm_free >> 20));
	if (f->memlock < (64u << 20) && !f->root && !f->ipc_lock)
		say(l, DOCTOR_NOTE, "limits", "ulimit -l unlimited (LimitMEMLOCK= in the unit)",
			"%llu KB may be locked: a NIC bound to vfio needs the memory of all packets",
			(unsigned long long)(f->memlock >> 10));
}

static void
judge_rights(const struct doctor_facts *f, struct list *l)
{
	if (!f->net_raw)
		say(l, DOCTOR_BAD, "rights",
			"sudo pinsight run ..., or sudo setcap cap_net_raw,cap_net_admin+ep $(which pinsight)",
			"no CAP_NET_RAW: an interface of Linux cannot be opened");
	else
		say(l, DOCTOR_GOOD, "rights", "",
			"interfaces of Linux may be opened (CAP_NET_RAW)");
	if (!f->roots)
		say(l, DOCTOR_NOTE, "trust", "sudo apt-get install ca-certificates",
			"no CAs in /etc/ssl/certs: chains cannot be checked, unless certificates.roots "
			"names others");
	if (!f->pmd_af_packet)
		say(l, DOCTOR_SLOW, "dpdk", "sudo apt-get install libdpdk-dev",
			"DPDK has no driver for interfaces of Linux (net_af_packet)");
}

static void
judge_vfio(const struct doctor_facts *f, struct list *l, bool has_pci)
{
	if (!has_pci)
		return;
	if (!f->vfio) {
		say(l, DOCTOR_NOTE, "vfio", "sudo modprobe vfio-pci",
			"vfio-pci is not loaded: only interfaces of Linux can be used");
		return;
	}
	if (!f->iommu && !f->vfio_noiommu)
		say(l, DOCTOR_SLOW, "vfio",
			"add intel_iommu=on iommu=pt (or amd_iommu=on) to GRUB_CMDLINE_LINUX, and switch "
			"VT-d on in the firmware",
			"no IOMMU: vfio-pci refuses devices");
	else if (!f->iommu)
		say(l, DOCTOR_NOTE, "vfio", "",
			"vfio runs without an IOMMU: a NIC can reach all memory");
	if (!f->vfio_access)
		say(l, DOCTOR_SLOW, "vfio",
			"sudo chgrp pinsight /dev/vfio/* && sudo chmod g+rw /dev/vfio/*",
			"/dev/vfio may not be opened by this user");
}

static void
judge_offloads(const struct doctor_nic *n, struct list *l)
{
	char mend[240];

	if (n->gro != 1 && n->lro != 1)
		return;
	snprintf(mend, sizeof(mend), "sudo ethtool -K %s gro off lro off", n->name);
	say(l, DOCTOR_NOTE, "nic", mend,
		"%s joins packets before anyone sees them (%s%s%s): counts of packets and gaps are not "
		"those of the wire",
		n->name, n->gro == 1 ? "GRO" : "", n->gro == 1 && n->lro == 1 ? ", " : "",
		n->lro == 1 ? "LRO" : "");
}

static void
judge_nic(const struct doctor_nic *n, const struct doctor_nic *chosen, struct list *l)
{
	char speed[32] = "", mend[240] = "";

	if (n->loopback)
		return;
	if (!n->name[0]) {
		say(l, DOCTOR_GOOD, "nic", "", "%s is held by %s, ready for DPDK, NUMA node %d",
			n->pci, n->driver, PSI_MAX(n->node, 0));
		return;
	}
	if (n->speed)
		snprintf(speed, sizeof(speed), ", %d Mbit/s", n->speed);
	if (!n->up)
		snprintf(mend, sizeof(mend), "sudo ip link set %s up", n->name);
	say(l, n->up ? DOCTOR_GOOD : DOCTOR_NOTE, "nic", mend,
		"%s%s%s%s%s, %u receive queue%s%s%s%s", n->name, n->pci[0] ? " at " : "", n->pci,
		n->driver[0] ? ", driver " : "", n->driver, n->rx_queues,
		n->rx_queues == 1 ? "" : "s", speed,
		n->up ? (n->carrier ? "" : ", no link") : ", down",
		n->default_route ? ", carries this machine's own traffic: do not give it to vfio"
				 : "");
	if (n == chosen)
		judge_offloads(n, l);
}

unsigned int
doctor_judge(const struct doctor_facts *f, struct doctor_finding out[DOCTOR_FINDING_MAX])
{
	const struct doctor_nic *chosen = doctor_port(f);
	struct list l = {.at = out};
	bool has_pci = false;

	for (unsigned int i = 0; i < f->nic_cnt; i++)
		has_pci |= f->nic[i].pci[0] != '\0';
	judge_cpu(f, &l);
	judge_memory(f, &l);
	judge_rights(f, &l);
	judge_vfio(f, &l, has_pci);
	for (unsigned int i = 0; i < f->nic_cnt; i++)
		judge_nic(&f->nic[i], chosen, &l);
	if (!chosen)
		say(&l, DOCTOR_SLOW, "nic", "", "no network interface but loopback");
	return l.cnt;
}

/* ---- the configuration ---- */

/* What one would listen on: a device bound for it; else an interface that is up and not the machine's own way out;
 * else any that is up. */
static int
worth(const struct doctor_nic *n)
{
	if (n->loopback)
		return 0;
	if (!n->name[0])
		return 100 + n->speed / 1000;
	return 1 + (n->up ? 40 : 0) + (n->carrier ? 20 : 0) + (n->default_route ? 0 : 10) +
	       (n->pci[0] ? 5 : 0);
}

const struct doctor_nic *
doctor_port(const struct doctor_facts *f)
{
	const struct doctor_nic *best = NULL;

	for (unsigned int i = 0; i < f->nic_cnt; i++)
		if (worth(&f->nic[i]) > (best ? worth(best) : 0))
			best = &f->nic[i];
	return best;
}

/* Cores of workers: those isolated; else all but the first two; else the last. */
static void
print_workers(const struct doctor_facts *f, FILE *out, const struct doctor_nic *nic)
{
	unsigned int most = nic && !nic->name[0] ? 8 : PSI_MAX(nic ? nic->rx_queues : 1, 1u), n = 0;

	fputs("  workers: [", out);
	for (unsigned int i = 0; i < f->core_cnt && n < most; i++)
		if (f->isolated_cnt ? f->isolated[f->core[i]] : i >= PSI_MIN(2u, f->core_cnt - 1))
			fprintf(out, "%s%u", n++ ? ", " : "", f->core[i]);
	fputs("]\n", out);
}

void
doctor_config(const struct doctor_facts *f, FILE *out)
{
	const struct doctor_nic *n = doctor_port(f);
	uint64_t huge_mb = f->huge_2m.free * 2 + f->huge_1g.free * 1024;
	bool huge = huge_mb >= HUGE_MB_WANTED && (f->huge_writable || !f->huge_mount[0]);
	bool none = !f->huge_2m.total && !f->huge_1g.total;

	fputs("# For this machine, by pinsight doctor. Every other key: config/pinsight.yaml, pinsight.yaml(5).\n",
		out);
	fprintf(out, "eal:\n  huge_pages: %s\n", huge ? "true" : none ? "false" : "auto");
	if (f->core_cnt > 1) {
		fprintf(out, "cores:\n  control: %u\n  collector: %u\n", f->core[0],
			f->core_cnt > 2 ? f->core[1] : f->core[0]);
		print_workers(f, out, n);
	}
	fputs("ports:\n", out);
	if (n && !n->name[0])
		fprintf(out, "  - device: \"%s\"\n", n->pci);
	else
		fprintf(out, "  - interface: %s\n", n ? n->name : "lo");
	if (n && n->mtu > 1500)
		fprintf(out, "    mtu: %u\n", PSI_MIN(n->mtu, 9600u));
	fprintf(out, "flows:\n  max: %u\n", f->mem_kb > (8ull << 20) ? 1048576 : 131072);
	if (f->mem_kb <= (8ull << 20))
		fputs("  connections: 65536\n", out);
	fputs("ring:\n  path: " DOCTOR_RING "\n", out);
	if (!f->roots)
		fputs("certificates:\n  roots: \"\"\n", out);
}
