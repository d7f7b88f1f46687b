/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_x509.h: one X.509 certificate, its DER bytes in any split -> fields and hashes.
 *
 * A streaming reader: no allocation, no copy of the certificate, bounded nesting (PSI_X509_DEPTH_MAX) and output.
 * Followed: RFC 5280, RFC 4514 (names as strings), RFC 6962 (SCT list), X.690 (DER; lengths in more bytes than needed
 * are read and noted, BER's indefinite length is refused).
 * A certificate that breaks off or contradicts itself leaves what was read until then, and says so in err. What goes
 * wrong inside an extension or a key costs that extension or key only, as it does with other readers: see note.
 * Hashes are libcrypto's: of every byte pushed, and of the SubjectPublicKeyInfo.
 * Out of scope: signatures, chains and trust; see trust.
 * Thread: one context, one thread. */
#ifndef PSI_X509_H
#define PSI_X509_H

#include "psi_base.h"

#define PSI_X509_NAME_MAX   1024 /* bytes kept of subject and of issuer, with the NUL */
#define PSI_X509_SERIAL_MAX 32	 /* bytes kept of the serial number (RFC 5280 allows 20) */
#define PSI_X509_ID_MAX	    32	 /* bytes kept of a key identifier */
#define PSI_X509_SAN_MAX    8192 /* bytes kept of all subjectAltName entries together */
#define PSI_X509_DEPTH_MAX  12	 /* the grammar goes no deeper: the rest is passed over by length */

enum psi_x509_key {
	PSI_KEY_UNKNOWN,
	PSI_KEY_RSA,
	PSI_KEY_EC,
	PSI_KEY_ED25519,
	PSI_KEY_ED448,
	PSI_KEY_DSA,
	PSI_KEY_DH,
	PSI_KEY_RSA_PSS,
	PSI_KEY_GOST,
	PSI_KEY_SM2,
	PSI_KEY_ML_DSA,
	PSI_KEY_SLH_DSA,
	PSI_KEY_X25519,
	PSI_KEY_X448
};

enum psi_x509_note {
	PSI_X509_WHOLE = 1, /* read to the end without an error */
	PSI_X509_CA = 2,    /* basicConstraints cA TRUE */
	PSI_X509_HAS_PATHLEN = 4,
	PSI_X509_HAS_KEY_USAGE = 8,
	PSI_X509_NAME_CUT = 16,		 /* subject or issuer longer than kept */
	PSI_X509_SAN_CUT = 32,		 /* subjectAltName longer than kept */
	PSI_X509_SELF_ISSUED = 64,	 /* subject and issuer are the same bytes */
	PSI_X509_UNKNOWN_CRITICAL = 128, /* a critical extension that this reader does not know */
	PSI_X509_SERIAL_NEGATIVE = 256,
	PSI_X509_TRAILING = 512,       /* bytes behind the certificate */
	PSI_X509_NOT_DER = 1024,       /* a length in more bytes than needed */
	PSI_X509_EXT_MALFORMED = 2048, /* an extension, read as far as possible */
	PSI_X509_KEY_MALFORMED = 4096, /* likewise the key or its parameters */
	PSI_X509_EXT_TWICE = 8192, /* an extension of a kind that was there before: passed over */
	PSI_X509_SIGALG_DIFFERS = 16384, /* inside and outside of the signed part */
	PSI_X509_ID_CUT = 32768,	 /* serial number or key identifier longer than kept */
};

/* Kinds of subjectAltName (RFC 5280 GeneralName tag numbers). */
enum psi_x509_san {
	PSI_SAN_EMAIL = 1,
	PSI_SAN_DNS = 2,
	PSI_SAN_DIR = 4,
	PSI_SAN_URI = 6,
	PSI_SAN_IP = 7
};

enum psi_x509_eku {
	PSI_EKU_SERVER = 1,
	PSI_EKU_CLIENT = 2,
	PSI_EKU_CODE = 4,
	PSI_EKU_EMAIL = 8,
	PSI_EKU_TIME = 16,
	PSI_EKU_OCSP = 32,
	PSI_EKU_ANY = 64,
	PSI_EKU_OTHER = 128
};

/* The result. Names are RFC 4514 strings: last RDN first ("CN=www.example.org,O=Example,C=US"), the values of a
 * multi-valued RDN joined by + in the order sent; types without a row in oids.def as OID=#hex. They are valid UTF-8:
 * what does not decode, control characters, and characters that turn or hide text (bidi controls, zero width) stand as
 * \xx, byte by byte. A name that is cut lost its end, the least specific part, between two characters. */
struct psi_x509 {
	uint32_t len;	  /* bytes pushed */
	uint32_t note;	  /* enum psi_x509_note */
	int32_t err;	  /* PSI_OK or the PSI_E_* at which reading stopped */
	uint8_t version;  /* 1..3; 0 for one that makes no sense */
	uint8_t key_type; /* enum psi_x509_key */
	uint8_t pathlen;
	uint8_t serial_len;
	uint16_t key_bits;  /* bits of the modulus, prime or field; 0 unknown */
	uint16_t key_usage; /* bit i: KeyUsage bit i (RFC 5280 section 4.2.1.3) */
	uint16_t eku;	    /* enum psi_x509_eku */
	uint16_t sct_cnt;
	uint16_t san_len; /* bytes of san in use */
	uint16_t san_cnt; /* entries, those that were not kept included */
	uint8_t ski_len, aki_len;
	int64_t not_before, not_after; /* seconds since 1970 UTC; INT64_MIN when unreadable */
	/* Content bytes of the serial number as sent: a leading 00 is part of them. */
	uint8_t serial[PSI_X509_SERIAL_MAX];
	uint8_t ski[PSI_X509_ID_MAX], aki[PSI_X509_ID_MAX];
	/* spki: all zero when the key was not reached. */
	uint8_t sha1[20], sha256[32], spki_sha256[32];
	/* EC: name of the curve ("P-256"), "explicit", "implicit", or its OID. ML-DSA, SLH-DSA, GOST: the parameter set
	 * ("ML-DSA-65"). Unknown key: the algorithm's OID. */
	char curve[40];
	/* Of the signed part: "sha256WithRSAEncryption", or the OID when unknown. */
	char sigalg[48];
	char subject[PSI_X509_NAME_MAX], issuer[PSI_X509_NAME_MAX];
	/* Entries of: kind, length (2 bytes, host order, unaligned), bytes as sent. */
	uint8_t san[PSI_X509_SAN_MAX];
};

/* psi_x509_key_name: "RSA-2048", "P-256", "Ed25519", "ML-DSA-65" into out (48 bytes suffice); the OID of an unknown
 * key, "unknown" if the key was not reached. Returns out. */
const char *psi_x509_key_name(const struct psi_x509 *c, char *out, size_t cap);

/* psi_x509_san_next walks the kept SANs: of the kinds above, whole, in the order sent. An entry that does not fit is
 * counted and marked (PSI_X509_SAN_CUT), not shortened. *at starts at 0. Returns false behind the last. The bytes are hostile. */
bool psi_x509_san_next(const struct psi_x509 *c, uint32_t *at, enum psi_x509_san *kind,
	const uint8_t **p, uint32_t *len);

struct psi_x509_ctx; /* the reader: reusable, one certificate at a time */

/* psi_x509_open: a reader, or NULL without memory. psi_x509_close frees it. Set-up only. */
struct psi_x509_ctx *psi_x509_open(void);
void psi_x509_close(struct psi_x509_ctx *x);

/* psi_x509_begin starts a certificate whose fields go to out; out is the caller's and must live until _end.
 * psi_x509_push: the next bytes, any split; allocates nothing. Returns PSI_OK or the sticky error, which stops field
 * reading but not hashing.
 * psi_x509_end: no more bytes. Sets hashes, len, err, note. Returns out->err (PSI_E_SHORT when it broke off). */
void psi_x509_begin(struct psi_x509_ctx *x, struct psi_x509 *out);
int psi_x509_push(struct psi_x509_ctx *x, const uint8_t *p, uint32_t len);
int psi_x509_end(struct psi_x509_ctx *x);

#endif
