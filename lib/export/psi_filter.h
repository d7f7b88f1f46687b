/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_filter.h: which events somebody wants to see, and one line of text for each.
 *
 * Runs in a reader. Texts of a person are judged here, with an error that says what would have been right.
 * Thread: a filter is constant once made; any thread. */
#ifndef PSI_FILTER_H
#define PSI_FILTER_H

#include "psi_base.h"
#include "psi_event.h"

struct psi_filter {
	uint32_t types;	     /* a bit per enum psi_event_type; 0: all. Gaps are always taken */
	uint32_t classes;    /* a bit per enum psi_class; 0: all */
	uint64_t since_ns;   /* events of that time and later; 0: all */
	const char *host;    /* see psi_filter_host; NULL: all. The caller's */
	bool below;	     /* host and every name below it */
	uint8_t client[16];  /* IPv4 as ::ffff:a.b.c.d */
	uint8_t client_bits; /* of client that count; 0: all clients */
};

/* Each reads a person's text into f. Returns 0, or -EINVAL with what would have been right in err.
 * types:   event types by name, with commas: "tls_flow,finding"
 * classes: verdict classes by name, with commas; "refused" stands for all in which a client refused a certificate, and
 *          "failed" for all but normal and not_tls. Findings are selected by what they say of a flow's verdict
 * host:    "a.example", or with ".a.example" or "*.a.example" that name and all below it; letter case does not matter.
 *          text must outlive f
 * client:  an address, or a prefix: "10.0.0.0/8", "2001:db8::/32"
 * since:   RFC 3339 ("2026-11-22T08:00:00Z"), a day ("2026-11-22"), which begins at midnight UTC, or how long ago: "90s",
 *          "15m", "2h", "7d", "4w"; now_ns: since 1970. At least 1, for 0 is all of time */
int psi_filter_types(struct psi_filter *f, const char *text, struct psi_err *err);
int psi_filter_classes(struct psi_filter *f, const char *text, struct psi_err *err);
int psi_filter_host(struct psi_filter *f, const char *text, struct psi_err *err);
int psi_filter_client(struct psi_filter *f, const char *text, struct psi_err *err);
int psi_filter_since(uint64_t *since_ns, const char *text, uint64_t now_ns, struct psi_err *err);

/* psi_filter_time: a time of RFC 3339, its zone also as "+hhmm", as ns since 1970; false for anything else, and for times
 * before 1970 or after 9999. */
bool psi_filter_time(const char *text, uint64_t *ns);

/* psi_filter_takes: e was checked by psi_event_check. A filter of host, client or class takes no event that has none. */
bool psi_filter_takes(const struct psi_filter *f, const struct psi_event *e);

/* psi_line_event writes e as one line for a person, newline included, NUL-terminated. Columns line up from event to
 * event as long as names are of ordinary length. colour: with the terminal's codes. Returns the bytes, less than
 * PSI_LINE_MAX, which is the room that out must have. */
#define PSI_LINE_MAX 4096
size_t psi_line_event(const struct psi_event *e, bool colour, char out[PSI_LINE_MAX]);

#endif
