/* SPDX-License-Identifier: BSD-3-Clause */
/* The population's set-up and its names. */
#include "population_pvt.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define TABLE_ALIGN (2u << 20)
#define ROW_MIN	    512
#define ROW_MAX	    (1u << 30)
#define CASE_MIN    64
#define CASE_MAX    (1u << 24)

const char *
psi_finding_name(enum psi_finding_class c)
{
	switch (c) {
#define FINDING(sym, value, name, text) \
	case PSI_FINDING_##sym:         \
		return name;
#include "finding_classes.def"
#undef FINDING
	case PSI_FINDING_CNT: break;
	}
	return NULL;
}

const char *
psi_finding_kind_name(enum psi_finding_kind k)
{
	switch (k) {
	case PSI_SUBJECT_HOST: return "host";
	case PSI_SUBJECT_CLIENT: return "client";
	case PSI_SUBJECT_HOST_CLIENT: return "host_client";
	case PSI_SUBJECT_ISSUER: return "issuer";
	}
	return NULL;
}

void
psi_population_defaults(struct psi_population_config *cfg)
{
	*cfg = (struct psi_population_config){.row_max = 1u << 18,
		.case_max = 1u << 14,
		.half_life_ns = 86400ull * 1000000000,
		.retry_ns = 2ull * 1000000000,
		.attempts_min = 2,
		.report_confidence = 0.6f};
}

/* Lines of WAYS each, a power of two of them: as many as max has room for, and a few at least. */
static uint32_t
lines(uint32_t max, uint32_t lo, uint32_t hi)
{
	uint32_t n = 1;

	max = PSI_MIN(PSI_MAX(max, lo), hi);
	while (n * 2 * WAYS <= max)
		n *= 2;
	return n;
}

size_t
psi_population_footprint(const struct psi_population_config *cfg)
{
	size_t rows = lines(cfg->row_max, ROW_MIN, ROW_MAX),
	       cases = lines(cfg->case_max, CASE_MIN, CASE_MAX);

	return sizeof(struct psi_population) +
	       rows * (sizeof(struct row_line) + WAYS * sizeof(struct row)) +
	       cases * WAYS * sizeof(struct pcase);
}

/* Zeroed. A first touch of a page in the middle of a flow costs more than the flow: who wants it at once has all pages
 * there from the start, huge ones where the system has some to give. */
static void *
table(struct psi_population *p, unsigned int i, size_t len)
{
	uint8_t *mem = mmap(NULL, len + TABLE_ALIGN, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		return NULL;
	p->area[i].mem = mem;
	p->area[i].len = len + TABLE_ALIGN;
	mem += -(uintptr_t)mem % TABLE_ALIGN;
	if (p->cfg.at_once) {
		madvise(mem, len, MADV_HUGEPAGE); /* no is an answer, too */
		memset(mem, 0, len);
	}
	return mem;
}

struct psi_population *
psi_population_open(const struct psi_population_config *cfg, struct psi_err *err)
{
	struct psi_population *p = calloc(1, sizeof(*p));

	if (!p || !cfg->half_life_ns) {
		psi_err_set(err, p ? -EINVAL : -ENOMEM,
			p ? "a half-life of nothing" : "no memory for the population");
		free(p);
		return NULL;
	}
	p->cfg = *cfg;
	p->half_life = (float)cfg->half_life_ns;
	/* 2^-(2^-25) is 0.69 * 2^-25 below 1, less than half of the last place of a float there. */
	p->fresh_ns = cfg->half_life_ns >> 25;
	p->line_cnt = lines(cfg->row_max, ROW_MIN, ROW_MAX);
	p->case_line_cnt = lines(cfg->case_max, CASE_MIN, CASE_MAX);
	p->line = table(p, 0, p->line_cnt * sizeof(*p->line));
	p->row = table(p, 1, (size_t)p->line_cnt * WAYS * sizeof(*p->row));
	p->cases = table(p, 2, (size_t)p->case_line_cnt * WAYS * sizeof(*p->cases));
	p->case_busy = table(p, 3, (size_t)p->case_line_cnt * WAYS / 8);
	if (!p->line || !p->row || !p->cases || !p->case_busy) {
		psi_err_set(err, -ENOMEM, "no memory for the population's tables: %zu bytes",
			psi_population_footprint(cfg));
		psi_population_close(p);
		return NULL;
	}
	return p;
}

void
psi_population_tune(struct psi_population *p, const struct psi_population_config *cfg)
{
	p->cfg.attempts_min = cfg->attempts_min;
	p->cfg.report_confidence = cfg->report_confidence;
}

void
psi_population_close(struct psi_population *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < PSI_COUNT(p->area); i++)
		if (p->area[i].mem)
			munmap(p->area[i].mem, p->area[i].len);
	free(p);
}
