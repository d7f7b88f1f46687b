/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_trust.h: a certificate chain as sent -> its status against the operator's roots, and what else is odd about it.
 *
 * libcrypto builds and checks the path (RFC 5280); that part does not depend on the flow and is done once per distinct
 * chain, then kept in a bounded LRU for a time. Of leaves that one CA issued by one template only the first has its path
 * checked; of the others, the signature. What depends on the flow is judged per call from what is kept: dates and
 * revocation against packet time, names against the SNI (RFC 6125, RFC 9525).
 * Status bits are those of cert_status.def, each true by itself:
 *   VALID              a path to one of our roots, nothing against it now. With SELF_SIGNED: the leaf itself is a root
 *   SELF_SIGNED        the leaf's issuer is its subject and its own key verifies its signature
 *   INVALID_ISSUER     no path to our roots, or through an issuer that may not issue
 *   INVALID_SIGNATURE  a signature of the path does not verify with the issuer's key, which is at hand
 *   EXPIRED, NOT_VALID_YET  the leaf or an issuer of the path (finding issuer_dates), at packet time; ends are inclusive
 *   REVOKED            by a CRL of ours whose own signature is good, at or before packet time
 *   UNKNOWN            the leaf cannot be read, there are no roots, or it is refused for a reason that has no bit here:
 *                      see the findings
 * Out of scope: OCSP, fetching missing issuers, certificate transparency.
 * Thread: one trust object, one thread. Allocates, and may take a millisecond: never on the packet path. */
#ifndef PSI_TRUST_H
#define PSI_TRUST_H

#include "psi_base.h"
#include "psi_vocab.h"

#define PSI_TRUST_CHAIN_MAX 32 /* certificates of a list that are looked at; the rest is ignored */

enum psi_trust_finding {
#define FINDING(sym, bit, text) PSI_TRUST_##sym = bit,
#include "trust_findings.def"
#undef FINDING
};

/* psi_trust_finding_name, _text: of exactly one bit; NULL when it has no row. */
const char *psi_trust_finding_name(uint32_t bit);
const char *psi_trust_finding_text(uint32_t bit);

struct psi_trust_config {
	const char *
		roots; /* a PEM file, or a folder of them; NULL: PSI_TRUST_SYSTEM_ROOTS; "": none at all */
	const char *crls;   /* the same of CRLs, PEM or DER; NULL: none */
	uint32_t cache_max; /* chains kept; at least 1 */
	uint32_t ttl_s; /* seconds of packet time after which a chain is checked anew; 0: never */
	uint32_t
		checks_max; /* by libcrypto per second of packet time, each takes about 0.5 ms; 0: no bound */
};
#define PSI_TRUST_SYSTEM_ROOTS "/etc/ssl/certs"

enum psi_trust_role {
	PSI_TRUST_SERVER,
	PSI_TRUST_CLIENT
}; /* whose chain: what it must be meant for */

struct psi_trust_der {
	const uint8_t *p;
	uint32_t len;
};

/* What is asked. sni_len 0: no name is asked for. */
struct psi_trust_query {
	uint64_t key[2]; /* of the chain: the worker's hash */
	enum psi_trust_role role;
	const uint8_t *sni; /* hostile bytes */
	uint32_t sni_len;
	int64_t time_s; /* packet time, seconds since 1970 */
};

struct psi_trust_result {
	uint32_t status;   /* enum psi_cert_status bits; NOT_CHECKED (0) only beyond checks_max */
	uint32_t findings; /* enum psi_trust_finding bits */
	int32_t error;	   /* libcrypto's first complaint, dates aside (X509_V_ERR_*); 0: none */
	uint32_t path_cnt; /* certificates in the path that was built, root included */
	bool has_root;	   /* the path ends at one of our roots; sent along or not, its key is: */
	uint8_t root_spki_sha256[32];
};

struct psi_trust_count {
	uint32_t roots, crls; /* loaded */
	uint32_t cached;
	uint64_t hits, misses, evicted;
	uint64_t refused; /* not checked: beyond checks_max */
	uint64_t
		alike; /* of misses: answered by one signature, from a chain that differs in its leaf's particulars */
};

struct psi_trust;

/* psi_trust_open loads roots and CRLs, all of them now: no file is read later. Returns NULL when a path cannot be read
 * or holds nothing of the kind, or without memory: err tells. Set-up only. psi_trust_close frees it; NULL is fine. */
struct psi_trust *psi_trust_open(const struct psi_trust_config *cfg, struct psi_err *err);
void psi_trust_close(struct psi_trust *t);

/* psi_trust_find: the answer from the cache. False when the chain is not there or its time is over: ask _check. */
bool
psi_trust_find(struct psi_trust *t, const struct psi_trust_query *q, struct psi_trust_result *out);

/* psi_trust_check: the answer, from the cache or by checking chain, cnt certificates as sent, leaf first, whose bytes are
 * read during the call only. cnt 0, or a leaf that cannot be read: UNKNOWN. Returns false, and status NOT_CHECKED, when
 * this second's checks are used up: whoever sends a new chain with each connection costs no more than that. */
bool psi_trust_check(struct psi_trust *t, const struct psi_trust_query *q,
	const struct psi_trust_der *chain, uint32_t cnt, struct psi_trust_result *out);

/* psi_trust_want asks for the memory that psi_trust_find will need, the first of its lines at step 0, those that were found
 * by way of them at step 1, and then at 2. Nothing is changed. */
void psi_trust_want(const struct psi_trust *t, const uint64_t key[2], unsigned int step);

void psi_trust_count(const struct psi_trust *t, struct psi_trust_count *out);

/* psi_trust_name_matches: whether a presented DNS name (a subjectAltName) vouches for host. Letter case and one final dot
 * of host do not matter; "*" stands for exactly the first label, and two more must follow (RFC 9525 section 6.3). */
bool psi_trust_name_matches(
	const uint8_t *presented, uint32_t presented_len, const uint8_t *host, uint32_t host_len);

#endif
