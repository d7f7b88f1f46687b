/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_verdict.h: what one flow shows by itself -> class, confidence, evidence, and a sentence for a person.
 *
 * The patterns are those of docs/vocabulary.md, section "Verdict patterns"; `pinned` is never concluded from one flow
 * by itself: it takes the operator's pinset for the host. Confidence is a first estimate by pattern, stated in two tables (patterns.def, pin_patterns.def).
 * Thread: pure functions; any thread. */
#ifndef PSI_VERDICT_H
#define PSI_VERDICT_H

#include "psi_base.h"
#include "psi_rec.h"
#include "psi_vocab.h"

struct psi_verdict {
	enum psi_class class;
	float confidence;  /* 0..1 */
	uint64_t evidence; /* PSI_EVID_* bits, those of the record included */
	char reason[240];  /* one sentence, ASCII, NUL-terminated; holds nothing from the wire */
};

/* What others found out about the certificates of a flow. All zero: nothing. */
struct psi_verdict_known {
	uint32_t
		cert_status; /* enum psi_cert_status bits of the server's chain, PSI_CERT_NOT_CHECKED if unknown */
	enum psi_pin pin; /* the server's chain against the pinset for the host */
};

/* psi_verdict_flow judges a finished flow. r: a record with HANDSHAKE data (END's counters merged in). */
void psi_verdict_flow(
	const struct psi_rec *r, const struct psi_verdict_known *known, struct psi_verdict *out);

#endif
