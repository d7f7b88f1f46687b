/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_pins.h: the operator's pinsets, and the host and certificates of a flow -> what the pinset says of them.
 *
 * A host belongs to at most one pinset, the one with the most specific pattern: the exact name, then the longest
 * wildcard, then the first regular expression; of equal ones the first in the file. "*.a.example" is one label before
 * a.example, as in certificates (RFC 9525 section 6.3); "**.a.example" is a.example and everything below it;
 * "/.../" is a regular expression in Hyperscan's syntax, looked for anywhere in the name unless ^ and $ say otherwise.
 * Letter case and one final dot of a host do not matter.
 * Pins are those of applications: SHA-256 of a SubjectPublicKeyInfo (RFC 7469 section 2.4) or of a whole certificate.
 * A pin holds wherever its key or certificate stands in the chain; that of a CA, not at the leaf.
 * The action `unpinned` takes no pins: a hole in a wildcard of another set.
 * Out of scope: keys seen before (psi_pins_store.h), reading what applications carry (psi_pins_import.h).
 * Thread: one object, one thread (the matcher has scratch memory). psi_pins_open compiles and reads files: set-up only. */
#ifndef PSI_PINS_H
#define PSI_PINS_H

#include "psi_base.h"
#include "psi_config.h"
#include "psi_vocab.h"

#define PSI_PINS_HOST_MAX 255 /* longer names belong to no pinset */

struct psi_pins_config {
	const char *file; /* where the sets come from, for messages; NULL or "": nowhere */
	const struct psi_config_pinset *set;
	uint32_t set_cnt;
	struct psi_config_strs own_ca; /* files, PEM or DER, of the operator's own inspection CAs */
};

struct psi_pins;

/* psi_pins_open: NULL with the reason in err: "FILE:LINE:COL: pins NAME: what is wrong, what was expected". Keeps nothing of cfg.
 * psi_pins_close: NULL is fine. */
struct psi_pins *psi_pins_open(const struct psi_pins_config *cfg, struct psi_err *err);
void psi_pins_close(struct psi_pins *p);

/* ---- per flow ---- */

struct psi_pins_cert {
	uint8_t spki_sha256[32]; /* all zero: the key could not be read; such a key is nobody's */
	uint8_t sha256[32];	 /* all zero: a raw public key (RFC 7250) */
};

/* The server's certificates as sent, leaf first. */
struct psi_pins_chain {
	const struct psi_pins_cert *cert;
	uint32_t cnt; /* 0: not visible */
	bool cut;     /* there were more of them: what is not found among these is no mismatch */
	/* The root that the chain leads to by signature, when it was found and not sent: applications pin roots, servers
	 * do not send them. */
	bool has_root;
	uint8_t root_spki_sha256[32];
};

struct psi_pin_result {
	enum psi_pin pin;	    /* NONE: no pinset for this host */
	enum psi_pin_action action; /* of the set */
	const char *set;	    /* its name, good until psi_pins_close; NULL with NONE */
	uint32_t set_idx;	    /* its index in the configuration */
	uint32_t
		depth; /* MATCH, BACKUP_MATCH: the certificate that matched, 0 the leaf; cnt: the root */
};

/* psi_pins_check: host are hostile bytes, host_len 0: none was named. time_s: seconds since 1970, against which expiry
 * is judged. Allocates nothing. */
void psi_pins_check(struct psi_pins *p, const uint8_t *host, uint32_t host_len,
	const struct psi_pins_chain *chain, int64_t time_s, struct psi_pin_result *out);

/* psi_pins_find: which set a host belongs to, by index; UINT32_MAX: none. */
uint32_t psi_pins_find(struct psi_pins *p, const uint8_t *host, uint32_t host_len);

struct psi_pins_der {
	const uint8_t *p;
	uint32_t len;
};

/* psi_pins_own_ca: whether the leaf leads, by signatures that were checked, to one of the operator's inspection CAs,
 * sent along or not. That such a CA merely stands in the list proves nothing. Costs a few hundred nanoseconds for a chain
 * that names none of them, up to a millisecond otherwise: ask once per distinct chain and keep the answer. */
bool psi_pins_own_ca(struct psi_pins *p, const struct psi_pins_der *cert, uint32_t cnt);

/* psi_pins_own_ca_cnt: inspection CAs loaded. */
uint32_t psi_pins_own_ca_cnt(const struct psi_pins *p);

/* ---- small things that others need too ---- */

/* psi_pins_parse_hash: "sha256/BASE64", "sha256//BASE64" (curl), "BASE64", or 64 hexadecimal digits with or without
 * colons (hex true) into out. NULL, or in words why not. */
const char *psi_pins_parse_hash(const char *text, bool hex, uint8_t out[32]);

#define PSI_PINS_B64_LEN 44
/* psi_pins_b64: 32 bytes as base64 with a NUL, into out (PSI_PINS_B64_LEN + 1). Returns out. */
const char *psi_pins_b64(const uint8_t hash[32], char *out);

/* psi_pins_check_host: whether text can stand in hosts. NULL, or in words why not. Regular expressions are not compiled. */
const char *psi_pins_check_host(const char *text);

#endif
