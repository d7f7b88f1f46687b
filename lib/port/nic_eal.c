/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment for live ports: huge pages if there are enough of them, the lcores that the engine laid out, only
 * those devices that are asked for. */
#include "nic_pvt.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#define ARGS_MAX 128

struct args {
	char *v[ARGS_MAX + 1];
	int n;
};

static void
add(struct args *a, const char *text)
{
	char *copy = a->n < ARGS_MAX ? strdup(text) : NULL;

	if (copy)
		a->v[a->n++] = copy;
}

static uint64_t
number_in(const char *dir, const char *name, const char *file)
{
	char path[512];
	unsigned long long v = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, name, file);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%llu", &v) != 1)
			v = 0;
		fclose(f);
	}
	return v;
}

/* Megabytes in free huge pages of any size. */
static uint64_t
huge_free_mb(void)
{
	static const char dir[] = "/sys/kernel/mm/hugepages";
	DIR *d = opendir(dir);
	uint64_t kb = 0;

	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));)
		if (strncmp(e->d_name, "hugepages-", 10) == 0)
			kb += number_in(dir, e->d_name, "free_hugepages") *
			      strtoull(e->d_name + 10, NULL, 10);
	closedir(d);
	return kb / 1024;
}

static bool
huge_mounted(void)
{
	FILE *f = fopen("/proc/mounts", "re");
	char line[1024];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found |= strstr(line, " hugetlbfs ") != NULL;
	if (f)
		fclose(f);
	return found;
}

/* How memory is taken, and what is said of it. */
static int
choose_memory(const struct psi_eal_config *c, struct args *a, struct psi_eal_news *news,
	struct psi_err *err)
{
	enum psi_config_tri want = c->cfg->eal.huge_pages;
	uint64_t have = huge_free_mb();
	char mem[16];

	news->huge = want != PSI_CONFIG_TRI_NO && have >= c->mem_mb;
	if (want == PSI_CONFIG_TRI_YES && !news->huge)
		return psi_config_err(c->cfg, &c->cfg->eal.huge_pages, err, -ENOMEM,
			"%u MiB of huge pages are needed, %llu are free; "
			"`echo %u > /proc/sys/vm/nr_hugepages` gives them",
			c->mem_mb, (unsigned long long)have, c->mem_mb / 2 + 16);
	if (!news->huge) {
		add(a, "--no-huge");
		add(a, "-m");
		snprintf(mem, sizeof(mem), "%u", c->mem_mb);
		add(a, mem);
		if (want != PSI_CONFIG_TRI_NO)
			snprintf(news->note, sizeof(news->note),
				"no huge pages: packets cost more, NICs of PCI and dpdk-pdump do not work. "
				"`echo %u > /proc/sys/vm/nr_hugepages` would give them",
				c->mem_mb / 2 + 16);
		return 0;
	}
	news->shared = huge_mounted();
	if (!news->shared) {
		add(a, "--in-memory");
		snprintf(news->note, sizeof(news->note),
			"huge pages, but no file system for them: dpdk-pdump and dpdk-proc-info cannot join. "
			"`mount -t hugetlbfs none /dev/hugepages` would let them");
	}
	return 0;
}

bool
nic_is_pci(const char *device)
{
	unsigned int a, b, c, d;
	int n = 0;

	if (!device)
		return false;
	if (sscanf(device, "%4x:%2x:%2x.%1x%n", &a, &b, &c, &d, &n) == 4 && n)
		return device[n] == '\0' || device[n] == ',';
	n = 0;
	return sscanf(device, "%2x:%2x.%1x%n", &b, &c, &d, &n) == 3 && n &&
	       (device[n] == '\0' || device[n] == ',');
}

/* Of the devices on the PCI bus only those that are asked for are touched. */
static void
choose_devices(const struct psi_config *cfg, struct args *a)
{
	bool any = false;

	for (uint32_t i = 0; i < cfg->ports_cnt; i++) {
		if (!nic_is_pci(cfg->ports[i].device))
			continue;
		add(a, "-a");
		add(a, cfg->ports[i].device);
		any = true;
	}
	if (!any)
		add(a, "--no-pci");
}

static const uint32_t level_of[] = {
	[PSI_CONFIG_LEVEL_ERROR] = RTE_LOG_ERR,
	[PSI_CONFIG_LEVEL_WARN] = RTE_LOG_WARNING,
	[PSI_CONFIG_LEVEL_INFO] = RTE_LOG_INFO,
	[PSI_CONFIG_LEVEL_DEBUG] = RTE_LOG_DEBUG,
};

void
psi_eal_log_level(enum psi_config_level level)
{
	rte_log_set_level_pattern("*", level_of[level]);
}

static void
add_level(struct args *a, enum psi_config_level level)
{
	char text[32];

	snprintf(text, sizeof(text), "--log-level=*:%u", level_of[level]);
	add(a, text);
}

int
psi_eal_start(const struct psi_eal_config *c, struct psi_eal_news *news, struct psi_err *err)
{
	const struct psi_config *cfg = c->cfg;
	struct args a = {0};
	int rc;

	*news = (struct psi_eal_news){0};
	add(&a, "pinsight");
	add(&a, "--lcores");
	add(&a, c->lcores);
	add(&a, "--file-prefix");
	add(&a, cfg->eal.file_prefix);
	if (!cfg->telemetry.enabled)
		add(&a, "--no-telemetry");
	add_level(&a, cfg->log.dpdk);
	choose_devices(cfg, &a);
	rc = choose_memory(c, &a, news, err);
	for (uint32_t i = 0; i < cfg->eal.args.cnt; i++)
		add(&a, cfg->eal.args.v[i]);
	if (rc == 0) {
		char *argv[ARGS_MAX + 1]; /* DPDK turns its arguments around */

		memcpy(argv, a.v, sizeof(argv));
		eal_runtime_dir();
		rte_openlog_stream(c->log);
		if (eal_init_quietly(a.n, argv) < 0)
			rc = psi_err_set(err, -EIO,
				"DPDK does not start (%s): the lines of dpdk before this one say why",
				rte_strerror(rte_errno));
	}
	while (a.n > 0)
		free(a.v[--a.n]);
	return rc;
}
