/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_pins_store.h: trust on first use. The keys that each host has shown are remembered, across restarts, and a key
 * that was never seen is news.
 *
 * A host may use several keys at once (a content network, a rotation under way): the last PSI_PINS_KEYS_MAX are kept, so that
 * known keys taking turns are no news. Keys under the operator's own inspection CA are kept apart and never replace those
 * of the host itself. Certificates are visible before TLS 1.3 only; other flows teach nothing.
 * On disk: one text file, a line a key, appended to by psi_pins_flush and rewritten beside itself and renamed when it has
 * grown to several times what it holds. A line that a crash cut short at the end is dropped; anything else that is
 * not as it should be is an error that says where.
 * Limits: hosts_max, the one unseen for longest goes first. A first key that was an interceptor's is taken for the
 * host's own.
 * Thread: one object, one thread. Another process may psi_pins_store_forget while an engine has the file: the engine takes
 * notice with its next flush. */
#ifndef PSI_PINS_STORE_H
#define PSI_PINS_STORE_H

#include "psi_pins.h"

#define PSI_PINS_KEYS_MAX    4
#define PSI_PINS_ISSUER_MAX  160 /* bytes kept of an issuer's name, with the NUL */
#define PSI_PINS_CHANGES_MAX 8	 /* new keys of one host that are news within a day */

enum psi_pins_mode {
	PSI_PINS_STORE_WRITE, /* the engine: the file is made when missing, and no other engine may have it */
	PSI_PINS_STORE_READ, /* somebody who looks: nothing is written; a missing file is an error */
};

struct psi_pins_store_config {
	const char *path;   /* NULL: in memory only */
	uint32_t hosts_max; /* at least 1 */
	enum psi_pins_mode mode;
};

struct psi_pins_store;

/* psi_pins_store_open: NULL with the reason in err, with line and byte where the content is at fault, and what to do. Set-up only.
 * psi_pins_store_close flushes, rewrites a file that has much to drop, and frees; NULL is fine. */
struct psi_pins_store *
psi_pins_store_open(const struct psi_pins_store_config *cfg, struct psi_err *err);
void psi_pins_store_close(struct psi_pins_store *s);

/* ---- learning ---- */

enum psi_pins_news {
	PSI_PINS_NEWS_NONE,    /* nothing to learn from: no name, or one that is none; no key */
	PSI_PINS_NEWS_FIRST,   /* the host was not known */
	PSI_PINS_NEWS_SAME,    /* a key that it has shown before */
	PSI_PINS_NEWS_ROTATED, /* another key, vouched for by an issuer of one shown before */
	PSI_PINS_NEWS_ISSUER_CHANGED, /* another key, and another issuer */
};
const char *psi_pins_news_name(enum psi_pins_news n); /* "rotated" */

/* What is seen of a host. */
struct psi_pins_seen {
	const uint8_t *host; /* hostile bytes */
	uint32_t host_len;
	const uint8_t *spki_sha256; /* of the leaf; 32 bytes */
	const char *issuer;	    /* of the leaf, as psi_x509.h writes it */
	const uint8_t
		*issuer_sha256; /* SPKI of the certificate that follows the leaf; NULL: not sent */
	const uint8_t *
		root_sha256; /* SPKI of the trusted root that the chain leads to by signature; NULL: to none */
	bool own_ca; /* psi_pins_own_ca: the operator's interception */
	int64_t time_s;
};

/* The key that the host showed last before this one. Good until the next call on the store. */
struct psi_pins_before {
	uint8_t spki_sha256[32];
	const char *issuer;
	int64_t first_s, last_s;
	uint32_t keys; /* known before */
};

/* psi_pins_learn: news of a host, remembered at once in memory and on disk with the next flush. Each key is news once.
 * Under own_ca the news is FIRST or SAME. before: filled with ROTATED and ISSUER_CHANGED; may be NULL. Issuers are the
 * same when their names are and nothing contradicts, when their keys are, or when both chains lead to the same trusted
 * root. A host that shows new keys all the time (PSI_PINS_CHANGES_MAX a day) is SAME until the next day, counted churning.
 * Touches no file; allocates only for what is new, and without memory the news is NONE. */
enum psi_pins_news psi_pins_learn(
	struct psi_pins_store *s, const struct psi_pins_seen *seen, struct psi_pins_before *before);

/* psi_pins_flush writes what has been learnt since: one append, seldom a rewrite (docs/design/pins.md says how long
 * it takes). 0, or a negative errno with the reason in err; what could not be written is tried again next time. */
int psi_pins_flush(struct psi_pins_store *s, struct psi_err *err);

struct psi_pins_store_count {
	uint32_t hosts;
	uint64_t learnt, rotated, issuer_changed;
	uint64_t evicted;  /* hosts forgotten to make room */
	uint64_t refused;  /* names that are none */
	uint64_t churning; /* new keys of hosts that show new ones all the time */
	uint64_t writes, rewrites, write_errors;
};
void psi_pins_store_count(const struct psi_pins_store *s, struct psi_pins_store_count *out);

/* ---- looking ---- */

struct psi_pins_known {
	const char *host;
	bool own_ca;
	uint8_t spki_sha256[32];
	const char *issuer;
	int64_t first_s, last_s;
};

/* psi_pins_store_each calls fn for every key of every host, the latest host first. */
void psi_pins_store_each(const struct psi_pins_store *s,
	void (*fn)(void *ctx, const struct psi_pins_known *k), void *ctx);

/* psi_pins_store_forget appends to the file at path that host is to be forgotten, whoever else has it open. Returns
 * 0; -ENOENT when the host is not in it; another negative errno with the reason in err. */
int psi_pins_store_forget(const char *path, const char *host, struct psi_err *err);

#endif
