/* SPDX-License-Identifier: BSD-3-Clause */
/* trust_pvt.h: shared by the .c files of this module. trust.c: cache and the judgement per call; trust_path.c: libcrypto's
 * part, once per chain; trust_kind.c: chains that differ from one checked before in their leaf's particulars only;
 * trust_leaf.c: reads those; trust_name.c: names; trust_ctl.c: loading. */
#ifndef TRUST_PVT_H
#define TRUST_PVT_H

#include "psi_trust.h"
#include "psi_x509.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#define NONE UINT32_MAX

/* What is known of a chain whatever the flow. */
struct verdict {
	uint32_t status;   /* without VALID, EXPIRED, NOT_VALID_YET, REVOKED: those are per call */
	uint32_t findings; /* without name_*, issuer_dates */
	int32_t error;
	uint32_t path_cnt;
	bool has_root;
	uint8_t root_spki[32];	    /* SHA-256; of the last in the path */
	int64_t leaf_from, leaf_to; /* the leaf's validity */
	int64_t path_from, path_to; /* during which all its issuers are valid */
	int64_t revoked_at;	    /* INT64_MAX: not */
	bool names_cut;		    /* not all names are kept: none may be called missing */
	bool has_dns; /* a DNS name among the subjectAltNames: the common name does not count */
	uint32_t names_len;
	uint8_t *
		names; /* DNS names, each behind its length in 2 bytes, host order; the common name last if !has_dns */
};

struct entry {
	uint64_t key[2];
	enum psi_trust_role role;
	int64_t checked_s;
	uint64_t moved_at;  /* when it was last put in front, in hits and misses */
	uint32_t hash_next; /* next entry in the bucket */
	uint32_t newer, older;
	struct verdict v;
};

/* A root of a folder, of which most are never asked for: decoding one costs libcrypto 0.35 ms, so that it waits until a
 * chain names its subject. */
struct anchor {
	uint64_t subject;   /* subject_key */
	unsigned char *der; /* NULL: in the store */
	long len;
};

struct kinds;

struct psi_trust {
	X509_STORE *store;
	struct anchor *anchor;
	uint32_t anchor_cnt;
	bool has_crls;
	struct psi_x509_ctx *reader;
	struct psi_x509 fields; /* of the certificate being looked at */
	uint32_t roots, crls;
	int64_t ttl_s;
	uint32_t max, used, bucket_mask;
	uint32_t newest, oldest;
	uint64_t hits, misses, evicted, refused, alike;
	struct kinds *kinds;
	uint32_t checks_max, checks; /* in this second */
	int64_t second;
	uint32_t *bucket;
	struct entry *entry;
};

/* path_check fills v from a chain. v->names is allocated, or NULL. */
void path_check(struct psi_trust *t, enum psi_trust_role role, int64_t time_s,
	const struct psi_trust_der *chain, uint32_t cnt, struct verdict *v);

/* seconds: since 1970, INT64_MIN when unreadable. long_validity: the finding, or 0; ca: the certificate may issue. */
int64_t seconds(const ASN1_TIME *at);
uint32_t long_validity(bool ca, int64_t from, int64_t to);

#define LEAF_SAME_MAX 2048

/* A leaf as trust_leaf.c reads it. */
struct leaf {
	uint8_t same[LEAF_SAME_MAX]; /* what decides over its path, alike in all leaves of a kind */
	uint32_t same_len;
	int curve;		    /* NID of its key's; NID_undef: RSA */
	struct psi_trust_der point; /* of such a key */
	struct psi_trust_der names; /* subjectAltName's entries */
	struct psi_trust_der signed_part, sig;
	int64_t from, to;
};

/* leaf_read: false for all but everyday leaves: then nothing in l counts. l points into the bytes.
 * leaf_names: its DNS names as struct verdict keeps them, at most names.len bytes; returns how many. */
bool leaf_read(struct leaf *l, const struct psi_trust_der *der);
uint32_t leaf_names(const struct leaf *l, uint8_t *to);

/* kind_check: path_check's answer, if that has been given for a leaf of this kind with the same issuers. False: ask
 * path_check. kind_learn: what path_check found, of the chain that kind_check was asked about just before. */
struct kinds *kinds_open(void);
void kinds_close(struct kinds *s);
uint32_t kinds_cnt(const struct kinds *s);
bool kind_check(struct psi_trust *t, enum psi_trust_role role, int64_t time_s,
	const struct psi_trust_der *chain, uint32_t cnt, struct verdict *v);
void kind_learn(struct psi_trust *t, int64_t time_s, X509 *leaf, STACK_OF(X509) * others,
	STACK_OF(X509) * path, const struct verdict *v);

/* pem_next: the next certificate of a PEM text [*text,end), *text goes behind it. der: room for as many bytes as the text has.
 * Returns its bytes, 0 when there is none, -1 when libcrypto is to be asked: the text is not as programs write it, or
 * holds something else. */
long pem_next(const char **text, const char *end, unsigned char *der);
/* name_key: of a Name in DER. What libcrypto takes for equal names have equal keys, and few others. subject_key: of a
 * certificate's subject. False when there is none where it must be. */
bool name_key(const unsigned char *der, size_t len, uint64_t *key);
bool subject_key(const unsigned char *der, size_t len, uint64_t *key);

/* want_roots decodes the roots that a path through x, if only its name, may need. */
void want_roots(struct psi_trust *t, const X509 *x);

/* name_put: one name into a verdict's list at at; returns where the next goes. */
uint32_t name_put(uint8_t *to, uint32_t at, const uint8_t *p, uint32_t len);
/* names_of keeps the leaf's names (t->fields has been read) in v. names_judge: the name_ findings for a host. */
void names_of(const struct psi_trust *t, const X509 *leaf, struct verdict *v);
uint32_t names_judge(const struct verdict *v, const uint8_t *host, uint32_t len);

#endif
