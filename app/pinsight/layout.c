/* SPDX-License-Identifier: BSD-3-Clause */
/* Which core does what. Roles that fall on the same core share one loop there. */
#include "engine.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

/* Of interfaces of Linux more workers than this cost more memory than they bring. */
#define WORKERS_OF_INTERFACES 4

struct cpus {
	cpu_set_t set;
	unsigned int cnt;
	uint16_t v[CPU_SETSIZE];
};

static void
allowed_cpus(struct cpus *c)
{
	c->cnt = 0;
	CPU_ZERO(&c->set);
	if (sched_getaffinity(0, sizeof(c->set), &c->set) != 0)
		CPU_SET(0, &c->set);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &c->set))
			c->v[c->cnt++] = (uint16_t)i;
}

static int
check_cpu(const struct cpus *c, const struct psi_config *cfg, const void *key, int cpu,
	struct psi_err *err)
{
	if (cpu >= 0 && cpu < CPU_SETSIZE && CPU_ISSET(cpu, &c->set))
		return 0;
	return psi_config_err(cfg, key, err, -EINVAL,
		"core %d is not one that this process may use; it has %u, from %u to %u", cpu,
		c->cnt, c->v[0], c->v[c->cnt - 1]);
}

/* The cores of workers that the operator did not name: all but those of control and collector, if there are others. */
static unsigned int
auto_workers(const struct cpus *c, const struct psi_config *cfg, int control, int collector,
	uint16_t *out)
{
	unsigned int n = 0, max = ENGINE_WORKER_MAX;
	bool interfaces = true;

	for (uint32_t i = 0; i < cfg->ports_cnt; i++)
		interfaces &= cfg->ports[i].interface != NULL;
	if (interfaces)
		max = WORKERS_OF_INTERFACES;
	for (unsigned int i = 0; i < c->cnt && n < max; i++)
		if (c->v[i] != control && c->v[i] != collector)
			out[n++] = c->v[i];
	if (!n)
		out[n++] = (uint16_t)collector;
	return n;
}

static struct engine_loop *
loop_on(struct engine *e, unsigned int cpu)
{
	struct engine_loop *l;

	for (unsigned int i = 0; i < e->loop_cnt; i++)
		if (e->loop[i].cpu == cpu)
			return &e->loop[i];
	l = &e->loop[e->loop_cnt];
	*l = (struct engine_loop){
		.e = e, .index = e->loop_cnt, .cpu = cpu, .lcore = e->loop_cnt + 1};
	e->loop_cnt++;
	return l;
}

static int
choose(const struct psi_config *cfg, const struct cpus *c, int *control, int *collector,
	uint16_t *workers, unsigned int *cnt, struct psi_err *err)
{
	int rc;

	*control = cfg->cores.control == PSI_CONFIG_CORE_AUTO ? c->v[0] : cfg->cores.control;
	*collector = cfg->cores.collector;
	if (*collector ==
		PSI_CONFIG_CORE_AUTO) /* control is hardly ever awake: only many cores make it worth one */
		*collector = c->cnt >= 8 ? c->v[1] : c->v[0];
	if ((rc = check_cpu(c, cfg, &cfg->cores.control, *control, err)) != 0 ||
		(rc = check_cpu(c, cfg, &cfg->cores.collector, *collector, err)) != 0)
		return rc;
	*cnt = cfg->cores.workers.cnt;
	if (!*cnt) {
		*cnt = auto_workers(c, cfg, *control, *collector, workers);
		return 0;
	}
	if (*cnt > ENGINE_WORKER_MAX)
		return psi_config_err(cfg, &cfg->cores.workers, err, -EINVAL,
			"%u workers are more than the %u that there can be", *cnt,
			ENGINE_WORKER_MAX);
	for (unsigned int i = 0; i < *cnt; i++) {
		workers[i] = cfg->cores.workers.v[i];
		rc = check_cpu(c, cfg, &cfg->cores.workers, workers[i], err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
layout_make(struct engine *e, const struct psi_config *cfg, struct psi_err *err)
{
	uint16_t workers[ENGINE_WORKER_MAX];
	struct cpus c;
	unsigned int cnt;
	int collector, rc;

	allowed_cpus(&c);
	rc = choose(cfg, &c, &e->control_cpu, &collector, workers, &cnt, err);
	if (rc != 0)
		return rc;
	e->worker = aligned_alloc(128, cnt * ((sizeof(*e->worker) + 127) & ~(size_t)127));
	e->loop = calloc(cnt + 1, sizeof(*e->loop));
	if (!e->worker || !e->loop)
		return psi_err_set(err, -ENOMEM, "no memory");
	memset(e->worker, 0, cnt * sizeof(*e->worker));
	e->worker_cnt = cnt;
	for (unsigned int i = 0; i < cnt; i++) {
		struct engine_loop *l = loop_on(e, workers[i]);

		e->worker[i] = (struct engine_worker){.e = e,
			.id = i,
			.cpu = workers[i],
			.with_collector = workers[i] == collector};
		l->worker[l->worker_cnt++] = &e->worker[i];
	}
	e->collector.e = e;
	loop_on(e, (unsigned int)collector)->collector = &e->collector;
	return 0;
}

void
layout_lcores(const struct engine *e, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "0@%d", e->control_cpu);

	for (unsigned int i = 0; i < e->loop_cnt && n < cap; i++)
		n += (size_t)snprintf(out + n, cap - n, ",%u@%u", e->loop[i].lcore, e->loop[i].cpu);
}
