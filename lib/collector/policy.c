/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_policy.h"

#include <errno.h>
#include <stdlib.h>

/* Without roots named, the system's; a system that has none is no reason to stop: chains are then UNKNOWN. */
static struct psi_trust *
open_trust(const struct psi_policy_config *cfg, struct psi_err *err)
{
	struct psi_trust_config tc = cfg->trust;
	struct psi_trust *t = psi_trust_open(&tc, err);

	if (!t && !tc.roots) {
		tc.roots = "";
		t = psi_trust_open(&tc, err);
	}
	return t;
}

struct psi_policy *
psi_policy_open(const struct psi_policy_config *cfg, struct psi_err *err)
{
	struct psi_policy *p = calloc(1, sizeof(*p));

	if (!p) {
		psi_err_set(err, -ENOMEM, "no memory for a policy");
		return NULL;
	}
	p->trust = open_trust(cfg, err);
	if (!p->trust) {
		psi_policy_close(p);
		return NULL;
	}
	return p;
}

void
psi_policy_close(struct psi_policy *p)
{
	if (!p)
		return;
	psi_trust_close(p->trust);
	free(p);
}
