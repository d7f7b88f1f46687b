/* SPDX-License-Identifier: BSD-3-Clause */
/* What the machine has, from /proc, /sys and /dev. */
#include "doctor.h"

#include <ctype.h>
#include <dirent.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TEXT_MAX      4096
#define NET_PCI_CLASS "0x02" /* PCI base class "network controller" */

struct where {
	const char *base;
	char path[512];
};

static const char *
at(struct where *w, const char *fmt, const char *a, const char *b)
{
	int n = snprintf(w->path, sizeof(w->path), "%s", w->base);

	n = PSI_MIN(n, (int)sizeof(w->path) - 1);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(w->path + n, sizeof(w->path) - (size_t)n, fmt, a, b);
#pragma GCC diagnostic pop
	return w->path;
}

/* The text of a small file, without the newline at its end; empty when it cannot be read. */
static const char *
text_of(const char *path, char out[TEXT_MAX])
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(out, 1, TEXT_MAX - 1, f) : 0;

	if (f)
		fclose(f);
	while (n && isspace((unsigned char)out[n - 1]))
		n--;
	out[n] = '\0';
	return out;
}

static long
number_of(const char *path, long without)
{
	char text[TEXT_MAX], *end;
	long v = strtol(text_of(path, text), &end, 10);

	return end == text ? without : v;
}

static bool
is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void
copy(char *out, size_t cap, const char *s)
{
	size_t n = strnlen(s, cap - 1);

	memcpy(out, s, n);
	out[n] = '\0';
}

/* The last part of what a link points to; empty when there is none. */
static void
link_name(const char *path, char *out, size_t cap)
{
	char target[512];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *slash;

	out[0] = '\0';
	if (n <= 0)
		return;
	target[n] = '\0';
	slash = strrchr(target, '/');
	copy(out, cap, slash ? slash + 1 : target);
}

/* ---- processor ---- */

/* "0-3,8" -> each number. */
static void
each_core(const char *list, void (*take)(struct doctor_facts *, unsigned long),
	struct doctor_facts *f)
{
	while (isdigit((unsigned char)*list)) {
		char *end;
		unsigned long from = strtoul(list, &end, 10), to = from;

		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		for (; from <= to && from < DOCTOR_CORE_MAX; from++)
			take(f, from);
		list = *end == ',' ? end + 1 : end;
	}
}

static void
take_online(struct doctor_facts *f, unsigned long core)
{
	if (f->core_cnt < DOCTOR_CORE_MAX)
		f->core[f->core_cnt++] = (uint16_t)core;
}

static void
take_isolated(struct doctor_facts *f, unsigned long core)
{
	f->isolated_cnt += !f->isolated[core];
	f->isolated[core] = true;
}

static bool
has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = strstr(list, word); p; p = strstr(p + 1, word))
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || !p[len] || p[len] == '\n'))
			return true;
	return false;
}

static void
cpu(struct doctor_facts *f, struct where *w)
{
	char line[TEXT_MAX], text[TEXT_MAX];
	FILE *info = fopen(at(w, "/proc/cpuinfo%s%s", "", ""), "r");

	while (info && fgets(line, sizeof(line), info)) {
		char *value = strchr(line, ':');

		if (!value)
			continue;
		value += 1 + strspn(value + 1, " ");
		value[strcspn(value, "\n")] = '\0';
		if (strncmp(line, "model name", 10) == 0 && !f->model[0])
			copy(f->model, sizeof(f->model), value);
		if (strncmp(line, "flags", 5) == 0) {
			f->x86 = true;
			f->sse42 = has_word(value, "sse4_2");
			f->avx2 = has_word(value, "avx2");
			f->aes = has_word(value, "aes");
			f->constant_tsc = has_word(value, "constant_tsc");
			f->nonstop_tsc = has_word(value, "nonstop_tsc");
			break;
		}
	}
	if (info)
		fclose(info);
	each_core(
		text_of(at(w, "/sys/devices/system/cpu/online%s%s", "", ""), text), take_online, f);
	each_core(text_of(at(w, "/sys/devices/system/cpu/isolated%s%s", "", ""), text),
		take_isolated, f);
	text_of(at(w, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor%s%s", "", ""), text);
	copy(f->governor, sizeof(f->governor), text);
	for (f->node_cnt = 0; f->node_cnt < 64; f->node_cnt++) {
		snprintf(text, sizeof(text), "%u", f->node_cnt);
		if (!is_there(at(w, "/sys/devices/system/node/node%s%s", text, "")))
			break;
	}
}

/* ---- memory ---- */

static void
memory(struct doctor_facts *f, struct where *w)
{
	char line[TEXT_MAX], device[128], mount[128], type[32];
	FILE *m = fopen(at(w, "/proc/meminfo%s%s", "", ""), "r");
	struct rlimit limit;
	struct statvfs vfs;

	while (m && fgets(line, sizeof(line), m))
		if (sscanf(line, "MemTotal: %llu", (unsigned long long *)&f->mem_kb) == 1)
			break;
	if (m)
		fclose(m);
	f->huge_2m.total = (uint64_t)number_of(
		at(w, "/sys/kernel/mm/hugepages/hugepages-2048kB/%s%s", "nr_hugepages", ""), 0);
	f->huge_2m.free = (uint64_t)number_of(
		at(w, "/sys/kernel/mm/hugepages/hugepages-2048kB/%s%s", "free_hugepages", ""), 0);
	f->huge_1g.total = (uint64_t)number_of(
		at(w, "/sys/kernel/mm/hugepages/hugepages-1048576kB/%s%s", "nr_hugepages", ""), 0);
	f->huge_1g.free = (uint64_t)number_of(
		at(w, "/sys/kernel/mm/hugepages/hugepages-1048576kB/%s%s", "free_hugepages", ""),
		0);
	m = fopen(at(w, "/proc/mounts%s%s", "", ""), "r");
	while (m && fgets(line, sizeof(line), m))
		if (sscanf(line, "%127s %127s %31s", device, mount, type) == 3 &&
			strcmp(type, "hugetlbfs") == 0 && !f->huge_mount[0])
			copy(f->huge_mount, sizeof(f->huge_mount), mount);
	if (m)
		fclose(m);
	f->huge_writable = f->huge_mount[0] && access(at(w, "%s%s", f->huge_mount, ""), W_OK) == 0;
	if (statvfs(at(w, "/dev/shm%s%s", "", ""), &vfs) == 0)
		f->shm_free = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	f->memlock = UINT64_MAX;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		f->memlock = limit.rlim_cur;
}

/* ---- devices and rights ---- */

static bool
folder_has_entries(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool any = false;

	while (d && (e = readdir(d)))
		any |= e->d_name[0] != '.';
	if (d)
		closedir(d);
	return any;
}

static void
rights(struct doctor_facts *f, struct where *w)
{
	char line[TEXT_MAX], text[TEXT_MAX];
	unsigned long long caps = 0;
	FILE *s = fopen(at(w, "/proc/self/status%s%s", "", ""), "r");

	while (s && fgets(line, sizeof(line), s))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (s)
		fclose(s);
	f->root = geteuid() == 0;
	f->net_raw = caps >> CAP_NET_RAW & 1;
	f->ipc_lock = caps >> CAP_IPC_LOCK & 1;
	f->iommu = folder_has_entries(at(w, "/sys/kernel/iommu_groups%s%s", "", ""));
	f->vfio = is_there(at(w, "/sys/bus/pci/drivers/vfio-pci%s%s", "", ""));
	text_of(at(w, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode%s%s", "", ""), text);
	f->vfio_noiommu = text[0] == 'Y' || text[0] == '1';
	f->vfio_access = access(at(w, "/dev/vfio/vfio%s%s", "", ""), R_OK | W_OK) == 0;
}

/* A poll-mode driver is a file of DPDK's plug-in folder, whose name ends in the version of the interface. */
static bool
has_pmd(struct where *w, const char *name)
{
	char file[64];

	snprintf(file, sizeof(file), "librte_net_%s.so", name);
	return is_there(at(w, RTE_EAL_PMD_PATH "/%s%s", file, ""));
}

/* ---- interfaces ---- */

static int
ethtool_value(int sock, const char *name, unsigned int cmd)
{
	struct ethtool_value v = {.cmd = cmd};
	struct ifreq req = {.ifr_data = (void *)&v};

	copy(req.ifr_name, sizeof(req.ifr_name), name);
	return sock >= 0 && ioctl(sock, SIOCETHTOOL, &req) == 0 ? (int)v.data : -1;
}

static bool
has_default_route(struct where *w, const char *name)
{
	char line[TEXT_MAX], ifname[64];
	unsigned int dest;
	FILE *r = fopen(at(w, "/proc/net/route%s%s", "", ""), "r");
	bool found = false;

	while (r && fgets(line, sizeof(line), r))
		if (sscanf(line, "%63s %x", ifname, &dest) == 2 && !dest &&
			strcmp(ifname, name) == 0)
			found = true;
	if (r)
		fclose(r);
	return found;
}

static unsigned int
count_queues(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	unsigned int n = 0;

	while (d && (e = readdir(d)))
		n += strncmp(e->d_name, "rx-", 3) == 0;
	if (d)
		closedir(d);
	return n;
}

static void
interface(struct doctor_facts *f, struct where *w, const char *name, int sock)
{
	struct doctor_nic *n = &f->nic[f->nic_cnt++];
	char device[64], text[TEXT_MAX];
	int flags;

	*n = (struct doctor_nic){.gro = -1, .lro = -1};
	copy(n->name, sizeof(n->name), name);
	n->node = (int)number_of(at(w, "/sys/class/net/%s/device/numa_node%s", name, ""), -1);
	n->mtu = (unsigned int)number_of(at(w, "/sys/class/net/%s/mtu%s", name, ""), 0);
	n->speed = (int)PSI_MAX(number_of(at(w, "/sys/class/net/%s/speed%s", name, ""), 0), 0);
	n->carrier = number_of(at(w, "/sys/class/net/%s/carrier%s", name, ""), 0) == 1;
	n->loopback = number_of(at(w, "/sys/class/net/%s/type%s", name, ""), 1) ==
		      772; /* ARPHRD_LOOPBACK */
	n->up = strtoul(text_of(at(w, "/sys/class/net/%s/flags%s", name, ""), text), NULL, 16) &
		IFF_UP;
	n->rx_queues = count_queues(at(w, "/sys/class/net/%s/queues%s", name, ""));
	n->default_route = has_default_route(w, name);
	link_name(
		at(w, "/sys/class/net/%s/device/driver%s", name, ""), n->driver, sizeof(n->driver));
	link_name(at(w, "/sys/class/net/%s/device%s", name, ""), device, sizeof(device));
	if (strlen(device) == 12 && device[4] == ':' && device[7] == ':')
		copy(n->pci, sizeof(n->pci), device);
	if (w->base[0])
		return; /* the kernel is asked about this machine only */
	n->gro = ethtool_value(sock, name, ETHTOOL_GGRO);
	flags = ethtool_value(sock, name, ETHTOOL_GFLAGS);
	n->lro = flags < 0 ? -1 : (flags & ETH_FLAG_LRO) != 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct doctor_nic *x = a, *y = b;
	int by = strcmp(x->name, y->name);

	return by ? by : strcmp(x->pci, y->pci);
}

static void
interfaces(struct doctor_facts *f, struct where *w)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	DIR *d = opendir(at(w, "/sys/class/net%s%s", "", ""));
	struct dirent *e;

	while (d && (e = readdir(d)) && f->nic_cnt < DOCTOR_NIC_MAX)
		if (e->d_name[0] != '.' &&
			is_there(at(w, "/sys/class/net/%s/mtu%s", e->d_name, "")))
			interface(f, w, e->d_name, sock);
	if (d)
		closedir(d);
	if (sock >= 0)
		close(sock);
}

/* Network controllers that have no interface, since vfio-pci or uio holds them. */
static void
bound_devices(struct doctor_facts *f, struct where *w)
{
	DIR *d = opendir(at(w, "/sys/bus/pci/devices%s%s", "", ""));
	char text[TEXT_MAX];
	struct dirent *e;

	while (d && (e = readdir(d)) && f->nic_cnt < DOCTOR_NIC_MAX) {
		struct doctor_nic n = {.gro = -1, .lro = -1};

		text_of(at(w, "/sys/bus/pci/devices/%s/class%s", e->d_name, ""), text);
		link_name(at(w, "/sys/bus/pci/devices/%s/driver%s", e->d_name, ""), n.driver,
			sizeof(n.driver));
		if (strncmp(text, NET_PCI_CLASS, 4) != 0 ||
			(strcmp(n.driver, "vfio-pci") != 0 && strcmp(n.driver, "igb_uio") != 0 &&
				strcmp(n.driver, "uio_pci_generic") != 0))
			continue;
		copy(n.pci, sizeof(n.pci), e->d_name);
		n.node = (int)number_of(
			at(w, "/sys/bus/pci/devices/%s/numa_node%s", e->d_name, ""), -1);
		f->nic[f->nic_cnt++] = n;
	}
	if (d)
		closedir(d);
}

void
doctor_facts(struct doctor_facts *f, const char *base)
{
	struct where w = {.base = base};

	memset(f, 0, sizeof(*f));
	cpu(f, &w);
	memory(f, &w);
	rights(f, &w);
	f->pmd_af_packet = has_pmd(&w, "af_packet");
	f->pmd_af_xdp = has_pmd(&w, "af_xdp");
	f->pmd_pcap = has_pmd(&w, "pcap");
	f->roots = folder_has_entries(at(&w, "/etc/ssl/certs%s%s", "", ""));
	interfaces(f, &w);
	bound_devices(f, &w);
	qsort(f->nic, f->nic_cnt, sizeof(f->nic[0]), by_name);
}
