/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_export.h: events -> text: JSON Lines by the event contract, and a table that a person reads at a glance.
 *
 * Runs in a reader, never in the engine. Names from the wire are hostile: whatever is printed is valid UTF-8 without
 * control characters, in JSON (RFC 8259, \u escapes) and on a terminal alike. A byte that is not UTF-8 is shown as the
 * four characters \xHH, so that nothing is lost; in JSON a backslash of the name itself stays one backslash.
 * Thread: one writer, one thread. */
#ifndef PSI_EXPORT_H
#define PSI_EXPORT_H

#include "psi_base.h"
#include "psi_event.h"
#include "psi_stats.h"

#include <stdio.h>

/* ---- JSON ---- */

/* psi_json_event writes e as one object on one line, newline included, into buf.
 * e: checked by psi_event_check. Returns the bytes written (no NUL), or PSI_E_LIMIT when cap does not suffice;
 * PSI_JSON_MAX always does. Keys stand in the order of event_fields.def; the bytes depend on e alone. */
#define PSI_JSON_MAX (8u * PSI_EVENT_MAX)
int psi_json_event(const struct psi_event *e, char *buf, size_t cap);

/* psi_json_write is psi_json_event for whoever writes many: j remembers the text of certificates that it wrote before.
 * psi_json_open: NULL without memory; at most 9 MiB. j may be NULL. Thread: one at a time a j. */
struct psi_json;
struct psi_json *psi_json_open(void);
void psi_json_close(struct psi_json *j);
int psi_json_write(struct psi_json *j, const struct psi_event *e, char *buf, size_t cap);

/* psi_json_str appends a JSON string with its quotes to buf at *at; false when it does not fit. For tests and for
 * what is not an event. */
bool psi_json_str(char *buf, size_t cap, size_t *at, const void *p, size_t len);

/* psi_text_clean copies hostile bytes as printable UTF-8, NUL-terminated: control characters, invisible ones, those
 * that turn the direction of writing, invalid sequences and the backslash become \xHH, byte by byte.
 * Returns the display columns written, at most cols; a longer text ends in "…". cap: bytes of out, 4*cols+4 suffice. */
unsigned int psi_text_clean(char *out, size_t cap, unsigned int cols, const void *p, size_t len);

/* ---- table ---- */
struct psi_table;

struct psi_table_config {
	FILE *out;
	bool colour;	    /* only for a terminal */
	unsigned int width; /* columns of the terminal; 0: as wide as needed */
	bool all;	    /* flows that went through, too */
};

/* psi_table_open, _close: NULL without memory. psi_table_event: a tls_flow event becomes a row, others are passed
 * over. Rows are printed by _finish, once every column's width is known, behind a heading. Bounded: beyond
 * PSI_TABLE_ROWS_MAX rows they are printed at once with the widths known until then.
 * Where the width does not suffice, time and the client's port are left out, long hosts and addresses are cut in the
 * middle, then messages, alert and at last the version leave the row. Messages, alert and reason of a flow that did not
 * go through then stand on a line of their own below it. */
#define PSI_TABLE_ROWS_MAX 4096
struct psi_table *psi_table_open(const struct psi_table_config *cfg);
void psi_table_event(struct psi_table *t, const struct psi_event *e);
void psi_table_finish(struct psi_table *t);
void psi_table_close(struct psi_table *t);

/* ---- closing summary ---- */

struct psi_ledger {
	const uint64_t *sum; /* PSI_STAT_CNT values: psi_stats_sum over every block */
	uint64_t flows_alive;
	const uint64_t *
		classes; /* flows of each verdict class, PSI_CLASS_CNT values; NULL: that part is left out */
	bool colour;
	bool verbose; /* rows that are zero, too */
};

/* psi_ledger_print: verdicts, then where every packet, flow and record went, and whether that accounts for all of
 * them. Returns true when every equation balances. */
bool psi_ledger_print(FILE *out, const struct psi_ledger *l);

#endif
