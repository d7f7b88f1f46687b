/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_hosts.h: a list of host names, a million if need be -> whether a host is on it.
 *
 * The list is text, a name a line; "#" at the beginning or behind a blank starts a comment; blanks around the name, CR
 * before LF and a byte order mark do not matter.
 *   a.example     that host
 *   *.a.example   every host below it, of any depth
 *   .a.example    both
 * Letter case and one final dot do not matter, in the list and in hosts asked for. Names are ASCII (RFC 1123, and "_");
 * others must be in the form that DNS has (RFC 5890: xn--...). An address is a name like any other.
 * A name is found by hash and then compared, so no host is ever taken for another.
 * Thread: a loaded list does not change: any number of threads. */
#ifndef PSI_HOSTS_H
#define PSI_HOSTS_H

#include "psi_base.h"

#define PSI_HOSTS_NAME_MAX	 253	    /* bytes of a name (RFC 1035) */
#define PSI_HOSTS_FILE_MAX	 (1u << 29) /* bytes of a list */
#define PSI_HOSTS_LABEL_MAX	 127
#define PSI_HOSTS_COMPLAINTS_MAX 100 /* after which reading stops */

/* A host taken apart, once for all lists. */
struct psi_host {
	uint32_t len, labels;		     /* labels 0: no host that a list could have */
	uint8_t at[PSI_HOSTS_LABEL_MAX + 1]; /* at[n]: where the last n labels begin */
	char name[PSI_HOSTS_NAME_MAX + 1];
};

struct psi_hosts_count {
	uint32_t names, twice; /* twice: lines that said nothing new */
	uint64_t bytes;	       /* of memory */
};

struct psi_hosts;

/* One complaint: "PATH:LINE:COLUMN: text". */
typedef void psi_hosts_tell(void *ctx, const char *text);

/* psi_hosts_open reads path. psi_hosts_parse reads len bytes at text instead; path is for messages. Bad lines are told.
 * Returns NULL when there was one, or when the file cannot be read, or without memory; err has the first reason. */
struct psi_hosts *
psi_hosts_open(const char *path, psi_hosts_tell *tell, void *ctx, struct psi_err *err);
struct psi_hosts *psi_hosts_parse(const char *path, const void *text, size_t len,
	psi_hosts_tell *tell, void *ctx, struct psi_err *err);
void psi_hosts_close(struct psi_hosts *h);

/* psi_host_set takes a host apart: any bytes. False when no list can have it (empty, too long, an empty label).
 * psi_hosts_find: whether the list has it. */
bool psi_host_set(struct psi_host *host, const uint8_t *p, uint32_t len);
bool psi_hosts_find(const struct psi_hosts *h, const struct psi_host *host);

void psi_hosts_count(const struct psi_hosts *h, struct psi_hosts_count *out);

#endif
