/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_policy.h: all that the operator gave and that a reload replaces, as one generation.
 *
 * Built by whoever starts or reloads the engine, then handed to the collector, which alone uses it until it takes the
 * next one. What the engine learnt itself (chains, the population, keys on first use) is not in here: a reload
 * forgets nothing.
 * Thread: open and close on any one thread at a time; in between, the collector's. */
#ifndef PSI_POLICY_H
#define PSI_POLICY_H

#include "psi_base.h"
#include "psi_trust.h"

struct psi_policy {
	struct psi_trust *trust; /* what chains are checked against; NULL: their dates only */
};

struct psi_policy_config {
	struct psi_trust_config trust; /* roots NULL: the system's, or none where it has none */
};

/* psi_policy_open: a generation, or NULL with the reason in err. Takes time: roots are read, patterns compiled.
 * psi_policy_close frees it; NULL is fine. */
struct psi_policy *psi_policy_open(const struct psi_policy_config *cfg, struct psi_err *err);
void psi_policy_close(struct psi_policy *p);

#endif
