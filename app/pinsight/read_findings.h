/* SPDX-License-Identifier: BSD-3-Clause */
/* read_findings.h: what remains to be said below the table of `pinsight read`: the findings that stand at the end. */
#ifndef READ_FINDINGS_H
#define READ_FINDINGS_H

#include "psi_event.h"

#include <stdio.h>

struct read_findings;

/* read_findings_open: NULL without memory. read_findings_event takes every event and heeds findings. */
struct read_findings *read_findings_open(void);
void read_findings_close(struct read_findings *f);
void read_findings_event(struct read_findings *f, const struct psi_event *e);
/* read_findings_print writes a short list of each kind; nothing when nothing was found. */
void read_findings_print(const struct read_findings *f, FILE *out);

#endif
