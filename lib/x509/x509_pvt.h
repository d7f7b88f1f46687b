/* SPDX-License-Identifier: BSD-3-Clause */
/* x509_pvt.h: the reader's state, shared by the .c files of this module.
 *
 * x509.c walks: it keeps a stack of the values that are open, takes the header of the next one, and asks the function
 * of the innermost value's role what the new one is: a value to enter, a leaf to gather, or bytes to pass over.
 * x509_leaf.c understands the leaves; x509_name.c writes names; x509_oid.c looks identifiers up. */
#ifndef X509_PVT_H
#define X509_PVT_H

#include "psi_cursor.h"
#include "psi_x509.h"

/* The plain hash functions of libcrypto, deprecated since 3.0: its EVP interface allocates at every start of a hash,
 * also in a context that is used again, and takes a context of unknown size. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#define X_SCRATCH 2048 /* bytes gathered of one leaf; what needs more is cut */

/* What an open value is. */
enum x_role {
	R_TOP, /* the bytes pushed: one certificate */
	R_CERT,
	R_TBS,
	R_VERSION,   /* [0] EXPLICIT */
	R_SIG_TBS,   /* AlgorithmIdentifier inside the signed part */
	R_SIG_OUTER, /* and outside of it */
	R_ISSUER,
	R_SUBJECT,
	R_RDN,
	R_ATV, /* AttributeTypeAndValue */
	R_VALIDITY,
	R_SPKI,
	R_KEY_ALG,
	R_KEY_BITS, /* content of subjectPublicKey, RSA only */
	R_RSA,	    /* RSAPublicKey */
	R_EC_PARAMS,
	R_EC_FIELD,
	R_EC_CHAR2,
	R_PARAMS,   /* of DSA and DH: the prime comes first */
	R_EXTS_TAG, /* [3] EXPLICIT */
	R_EXTS,
	R_EXT,
	R_EXT_VALUE, /* content of extnValue */
	R_BASIC,
	R_EKUS,
	R_AKI,
	R_SANS,
	R_SCT_LIST, /* from here on TLS, not DER: lengths of 2 bytes, no tags */
	R_SCTS,
};

/* What a leaf is. */
enum x_leaf {
	L_VERSION,
	L_SERIAL,
	L_SIG_TBS,
	L_SIG_OUTER,
	L_ATTR_TYPE,
	L_ATTR_VALUE,
	L_NOT_BEFORE,
	L_NOT_AFTER,
	L_KEY_ALG,
	L_CURVE,
	L_KEY_INT, /* the number whose size is the key's */
	L_CHAR2_M,
	L_EXT_OID,
	L_EXT_CRITICAL,
	L_BASIC_CA,
	L_BASIC_PATHLEN,
	L_KEY_USAGE,
	L_EKU,
	L_SKI,
	L_AKI,
	L_SAN,
};

enum x_ext {
	X_UNKNOWN,
	X_KNOWN,
	X_SAN,
	X_BASIC_CONSTRAINTS,
	X_KEY_USAGE,
	X_EKU,
	X_SKI,
	X_AKI,
	X_SCT
};

enum x_state { S_HEADER, S_LEAF, S_SKIP, S_DONE, S_FAILED };

struct x_frame {
	uint32_t left; /* content bytes behind the child in the making */
	uint8_t role;
	uint8_t at; /* which child comes next, as far as the role cares */
};

struct psi_x509_ctx {
	struct psi_x509 *out;
	uint8_t state, depth, tag, hdr_have, leaf;
	uint8_t ext, ext_seen; /* enum x_ext; bit per kind */
	bool ext_critical, part_on, rdn_cut;
	int32_t err;
	uint32_t left;	   /* of the leaf or of what is passed over */
	uint32_t leaf_len; /* of the whole leaf */
	uint32_t have;	   /* bytes of it in scratch */
	uint32_t rdn_len, name_len;
	uint8_t hdr[8]; /* of the value in the making, or of the leaf being gathered */
	struct x_frame stack[PSI_X509_DEPTH_MAX];
	const uint8_t *part_from; /* not hashed yet, in this push */
	SHA_CTX sha1;
	SHA256_CTX sha256;
	SHA256_CTX part; /* one part at a time: issuer, subject, SubjectPublicKeyInfo */
	uint8_t issuer_hash[32];
	uint8_t sig_len; /* content bytes of the inner signature algorithm's OID in sig */
	uint8_t sig[32];
	char attr[64]; /* type of the attribute in the making */
	bool attr_known;
	char rdn[PSI_X509_NAME_MAX];
	uint8_t scratch[X_SCRATCH];
};

/* A gathered leaf: len bytes of total. */
struct x_bytes {
	const uint8_t *p;
	uint32_t len, total;
};

/* x_leaf_done: the leaf x->leaf is whole, or as much of it as is kept. Returns PSI_OK or why it cannot be. */
int x_leaf_done(struct psi_x509_ctx *x, const struct x_bytes *b);

/* x_time: UTCTime (tag 0x17) or GeneralizedTime (0x18) as seconds since 1970 UTC, INT64_MIN when unreadable. */
int64_t x_time(uint8_t tag, const uint8_t *p, uint32_t len);

/* Names. x_name_begin: a new one. x_name_type and x_name_value: one attribute. x_name_rdn: an RDN is complete and goes
 * in front of name, PSI_X509_NAME_MAX bytes. */
void x_name_begin(struct psi_x509_ctx *x);
void x_name_type(struct psi_x509_ctx *x, const struct x_bytes *oid);
void x_name_value(struct psi_x509_ctx *x, const struct x_bytes *v);
void x_name_rdn(struct psi_x509_ctx *x, char *name);

/* Object identifiers, content bytes. The names are static; NULL, X_UNKNOWN, 0 or false when there is no row.
 * x_oid_dots: in dots into out, cut to cap; "#" and hex when it is no well-formed OID. */
const char *x_oid_attr(const uint8_t *p, uint32_t len);
const char *x_oid_sigalg(const uint8_t *p, uint32_t len);
bool x_oid_key(const uint8_t *p, uint32_t len, uint8_t *type, uint16_t *bits, const char **set);
const char *x_oid_curve(const uint8_t *p, uint32_t len, uint16_t *bits);
enum x_ext x_oid_ext(const uint8_t *p, uint32_t len);
uint16_t x_oid_eku(const uint8_t *p, uint32_t len);
void x_oid_dots(const uint8_t *p, uint32_t len, char *out, size_t cap);

#endif
