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
#include "psi_config.h"
#include "psi_match.h"
#include "psi_pins.h"
#include "psi_population.h"
#include "psi_trust.h"

struct psi_policy {
	struct psi_trust *trust; /* what chains are checked against; NULL: their dates only */
	struct psi_pins *pins;	 /* pinsets and own inspection CAs; NULL: none of either */
	struct psi_match *match; /* rules and host lists; NULL: none of either */
	struct psi_population_config
		population;  /* thresholds; of bounds, those at the start stand */
	uint64_t generation; /* of each policy opened in this process another one, never 0 */
};

/* What goes wrong, and what an operator may want in the log, beside the error that ends it all. */
struct psi_policy_listener {
	void (*tell)(void *ctx, bool bad,
		const char *text); /* one line without newline; NULL: nobody listens */
	void *ctx;
};

/* psi_policy_open: a generation from a configuration, which it does not keep, or NULL with the reason in err. Reads
 * files, compiles patterns, takes up to seconds. The system's own store of CAs (the default of certificates.roots) may be
 * missing: chains are then UNKNOWN. psi_policy_close frees it; NULL is fine. */
struct psi_policy *psi_policy_open(const struct psi_config *cfg,
	const struct psi_policy_listener *listener, struct psi_err *err);
void psi_policy_close(struct psi_policy *p);

#endif
