/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_verdict.h: what one flow shows by itself -> class, confidence, evidence, and a sentence for a person.
 *
 * The patterns are those of docs/vocabulary.md, section "Verdict patterns"; `pinned` is never concluded from one
 * flow. Confidence is a first estimate by pattern, stated in one table (patterns.def).
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

/* psi_verdict_flow judges a finished flow. r: a record with HANDSHAKE data (END's counters merged in).
 * cert_status: enum psi_cert_status bits of the server's chain, PSI_CERT_NOT_CHECKED if unknown. */
void psi_verdict_flow(const struct psi_rec *r, uint32_t cert_status, struct psi_verdict *out);

#endif
