/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_tls.h: the bytes of one connection, in order -> TLS records, handshake messages, alerts and their fields.
 *
 * A witness, not a peer: it reads what both sides sent, checks no signature, and goes on watching where a peer would
 * close. Resumable: push takes any split, consumes all of it, keeps no pointer into it, allocates nothing.
 * Followed: RFC 6101 (SSL 3.0), RFC 2246, 4346, 5246 (TLS 1.0-1.2), RFC 8446 (1.3), draft-hickman-netscape-ssl
 * (SSLv2 and its ClientHello), RFC 6066 (SNI, OCSP), 7301 (ALPN), 8701 (GREASE), 5077 (tickets), RFC 9849 (ECH).
 * Out of scope: certificates (their bytes are handed on), QUIC, DTLS, decryption.
 * Thread: the caller's; a struct psi_tls is used by one thread at a time. */
#ifndef PSI_TLS_H
#define PSI_TLS_H

#include "psi_base.h"
#include "psi_vocab.h"

#define PSI_TLS_SNI_MAX	   255 /* bytes kept of host_name (RFC 1035: a name has at most 255) */
#define PSI_TLS_ALPN_MAX   128 /* bytes kept of the ALPN list, each name behind its length byte */
#define PSI_TLS_ALERT_MAX  8   /* alerts kept; all are counted */
#define PSI_TLS_RECORD_MAX 8   /* lengths of encrypted records kept per direction */
#define PSI_TLS_SEQ_MAX	   48  /* letters of the message sequence kept */
#define PSI_TLS_LIST_MAX   512 /* values kept of all lists of the ClientHello together */

struct psi_tls_alert {
	uint16_t len;  /* of the record: 2 is clear */
	uint8_t dir;   /* enum psi_dir */
	uint8_t level; /* 1 warning, 2 fatal; 0 when encrypted */
	uint8_t code;  /* 0 when encrypted: see flags */
	uint8_t flags; /* enum psi_tls_alert_flag */
};

enum psi_tls_alert_flag {
	PSI_TLS_ALERT_ENCRYPTED = 1,
	PSI_TLS_ALERT_INFERRED = 2,   /* not a record of type 21: concluded from length and place */
	PSI_TLS_ALERT_AFTER_DATA = 4, /* its sender or the peer had sent application data before */
	PSI_TLS_ALERT_AFTER_FINISHED = 8, /* both Finished were seen or inferred before */
	PSI_TLS_ALERT_CLOSING =
		16, /* read as a close_notify exchange: not an error (vocabulary rules b, c, d) */
};

/* The lists of the ClientHello, one behind the other in hello.v, in the order and with the values sent, GREASE included. */
enum psi_tls_list {
	PSI_TLS_L_CIPHERS,
	PSI_TLS_L_EXTENSIONS, /* types, in order */
	PSI_TLS_L_GROUPS,
	PSI_TLS_L_POINT_FORMATS,
	PSI_TLS_L_SIGALGS,
	PSI_TLS_L_VERSIONS,   /* supported_versions */
	PSI_TLS_L_KEY_SHARES, /* groups of the key_share entries */
	PSI_TLS_LIST_CNT
};

struct psi_tls_hello {
	uint16_t version;   /* legacy_version */
	uint16_t v_cnt;	    /* elements of v in use */
	uint16_t lists_end; /* 1: the cipher list was read to its end */
	struct {
		uint16_t at, cnt; /* v[at .. at+cnt) */
	} list[PSI_TLS_LIST_CNT];
	uint16_t v[PSI_TLS_LIST_MAX];
	uint16_t ext_cnt;    /* the parser's: extension types not yet in their place */
	uint8_t lists_begun; /* the parser's: a bit per list */
	uint8_t begun;	     /* a ClientHello was read, or part of one */
};

/* One side. The caller may read the fields with a comment; the others are the parser's own (tls_pvt.h). */
struct psi_tls_side {
	uint8_t state;
	uint8_t step;
	uint8_t depth;
	uint8_t rec_type;
	uint8_t hdr_have;
	uint8_t msg_hdr_have;
	uint8_t fix_have;
	uint8_t msg_type;
	uint8_t ccs; /* ChangeCipherSpec sent: under TLS <= 1.2 what follows is encrypted */
	uint8_t fin; /* Finished sent: <= 1.2 the first type-22 record after ccs; 1.3 the first record of its length */
	uint8_t bits;
	uint8_t list;
	uint8_t der_tag;
	uint8_t ret[5];
	uint8_t hdr[8];
	uint8_t msg_hdr[4];
	uint8_t fix[48];
	uint32_t end[5];
	uint16_t rec_version; /* of the last record; 0: none yet, 0x0002: SSLv2 */
	uint16_t rec_len;
	uint32_t rec_left;
	uint32_t msg_left;
	uint32_t msg_len;
	uint32_t resync_left;
	uint16_t span_off;
	uint16_t enc_cnt; /* encrypted records seen, ChangeCipherSpec not counted */
	uint16_t enc_len[PSI_TLS_RECORD_MAX];  /* lengths of the first, as in their headers */
	uint16_t enc_peer[PSI_TLS_RECORD_MAX]; /* those of the peer when this one came */
	uint8_t enc_type[PSI_TLS_RECORD_MAX];
	uint16_t enc_max;   /* longest of all of them */
	uint16_t enc_at_sh; /* enc_cnt at the ServerHello: the client's early data */
	uint16_t last_enc_len, last_enc_peer; /* of the last, which the lists may not hold */
	int16_t err;			      /* sticky */
	uint64_t last_ns;		      /* when the last record of any type began */
	uint64_t enc_bytes;		      /* sum of the lengths of all of them */
	uint64_t app_bytes; /* <= 1.2: application-data payload; 1.3: 0, see enc_* */
};

/* What the stapled OCSP answer says of the server's certificate, its signature unchecked. */
enum psi_tls_ocsp {
	PSI_TLS_OCSP_NONE,
	PSI_TLS_OCSP_GOOD,
	PSI_TLS_OCSP_REVOKED,
	PSI_TLS_OCSP_UNKNOWN
};

#define PSI_TLS_OCSP_SERIAL_MAX 20 /* RFC 5280 section 4.1.2.2 */
/* What else that answer says. Of the first certificate in it, which need not be the server's: see the serial number. */
struct psi_tls_ocsp_answer {
	uint8_t error; /* responseStatus (RFC 6960 section 4.2.1); 0: successful, or not read */
	uint8_t serial_len; /* 0 also when it is longer than kept */
	uint8_t serial
		[PSI_TLS_OCSP_SERIAL_MAX]; /* of the certificate that it speaks of: content bytes as sent */
	int64_t this_update, next_update; /* seconds since 1970; 0 absent or unreadable */
};

/* encrypted_client_hello of the outer ClientHello (RFC 9849 section 5). What is in it looks the same for a real one and
 * for GREASE. A server that answers it in a HelloRetryRequest (PSI_TLS_ECH_HRR) knows ECH, but may answer so to what
 * it rejects, too (section 7.1). */
struct psi_tls_ech {
	uint16_t kdf, aead;   /* HPKE identifiers */
	uint16_t enc_len;     /* bytes of the encapsulated key */
	uint16_t payload_len; /* bytes of the encrypted inner hello */
	uint8_t config_id;
	uint8_t type; /* 1 + ECHClientHelloType: 1 outer, 2 inner; 0 absent or not readable */
};

/* One connection. Zero-filled by psi_tls_init. The caller may read every field above `side`. While `client` is -1 the
 * directions in messages, alert, alert_total and seq are those of "side 0 is the client"; they are turned round when
 * it becomes known that side 1 is. */
struct psi_tls {
	int8_t client; /* which side is the client: 0, 1, or -1 while not known */
	uint8_t sni_len;
	uint8_t alpn_len; /* bytes of client_alpns */
	uint8_t alpn_sel_len;
	uint8_t alert_cnt; /* kept in alert[] */
	uint8_t seq_len;
	uint8_t session_id_len[PSI_DIR_CNT];
	uint16_t version;     /* negotiated, 0x0304 for drafts of 1.3; 0 unknown */
	uint16_t version_raw; /* as sent */
	uint16_t cipher;      /* valid with SERVER_HELLO in messages, but for SSLv2 */
	uint16_t group;	      /* of the key_share or the ServerKeyExchange; 0 unknown */
	uint16_t sigscheme;   /* of the ServerKeyExchange (TLS 1.2); 0 unknown */
	uint16_t ticket_len;  /* of the ClientHello's session_ticket */
	uint16_t alert_total[PSI_DIR_CNT];
	uint32_t messages;	  /* enum psi_msg bits that were seen */
	uint32_t note;		  /* enum psi_tls_note (psi_vocab.h) */
	uint64_t first_ns;	  /* first TLS byte */
	uint64_t last_hs_ns;	  /* last handshake or ChangeCipherSpec record */
	uint32_t ticket_lifetime; /* seconds, of the clear NewSessionTicket */
	uint16_t ticket_new_len;  /* of its ticket */
	uint16_t psk_len;	  /* of the first identity of the ClientHello's pre_shared_key */
	uint16_t psk_cnt;	  /* identities in it */
	uint16_t record_limit[PSI_DIR_CNT]; /* record_size_limit extension; 0 absent */
	uint8_t ocsp_status; /* enum psi_tls_ocsp; NONE also when it cannot be read */
	uint8_t raw_key; /* bit per enum psi_dir: that side's Certificate holds a raw public key, as the ServerHello settles */
	struct psi_tls_ocsp_answer ocsp;
	uint8_t session_id[32]; /* of the ClientHello */
	struct psi_tls_ech ech;
	struct psi_tls_alert alert[PSI_TLS_ALERT_MAX];
	/* Letters in the order seen, upper case client, not terminated: one a clear message (psi_hs_letter), i
	 * ChangeCipherSpec, l alert, b heartbeat, d the first application-data record of a side. */
	char seq[PSI_TLS_SEQ_MAX];
	uint8_t sni[PSI_TLS_SNI_MAX];		/* raw bytes from the wire: hostile */
	uint8_t client_alpns[PSI_TLS_ALPN_MAX]; /* length-prefixed, as sent */
	uint8_t alpn_sel[PSI_TLS_ALPN_MAX];
	struct psi_tls_hello hello;
	uint16_t server_ext[32]; /* extension types of the ServerHello, in order, for JA3S */
	uint8_t server_ext_cnt;
	struct psi_tls_side side[2];
};

/* Where certificate bytes go. dir: whose certificate. The bytes are the body of the Certificate message (TLS <= 1.2:
 * certificate_list with its 3-byte length in front), in order, in any split. The certificate of an SSLv2 SERVER-HELLO
 * comes in the same form, its two lengths made up. With raw_key of that dir the body is a SubjectPublicKeyInfo behind its
 * 3-byte length instead (RFC 7250 section 3). */
struct psi_tls_ops {
	void (*cert_begin)(void *ctx, enum psi_dir dir, uint32_t len);
	void (*cert_data)(void *ctx, enum psi_dir dir, const uint8_t *p, uint32_t len);
	void (*cert_end)(void *ctx, enum psi_dir dir,
		bool whole); /* whole: false when cut by a gap or the end */
};

/* psi_tls_init: a fresh connection. */
void psi_tls_init(struct psi_tls *t);

/* psi_tls_probe judges the first bytes of a side, before anything was pushed.
 * Returns PSI_OK: TLS or SSLv2 begins here; PSI_E_AGAIN: too few bytes to tell; PSI_E_NOT_TLS. */
int psi_tls_probe(const uint8_t *p, uint32_t len);

/* psi_tls_client: the caller's word on which side is the client, from the SYN say. Call it when no hello told
 * (t->client is -1): it turns the directions round where needed. Ignored once the client is known. */
void psi_tls_client(struct psi_tls *t, unsigned int side);

/* psi_tls_push: the next bytes of a side. Hot. ops may be NULL (certificates are then passed over).
 * skip: set to the number of bytes behind these that the parser does not need to see; it takes them as consumed.
 * Returns PSI_OK, or the sticky error of that side: LOST_SYNC, NOT_TLS. Message-level errors are not returned: they
 * set PSI_TLS_MALFORMED and reading goes on with the next message or record. */
int psi_tls_push(struct psi_tls *t, unsigned int side, const uint8_t *p, uint32_t len,
	uint64_t ts_ns, const struct psi_tls_ops *ops, void *ctx, uint32_t *skip);

/* psi_tls_gap: len bytes of a side are missing; len 0 says that an unknown number is, as at the start of a flow that
 * was already under way: that side then begins by looking for a record header. Within a record whose end is known reading goes on behind it (what
 * the hole covers of a message is given up); else that side resynchronises at the next plausible record header.
 * Returns and skip: as psi_tls_push. */
int psi_tls_gap(struct psi_tls *t, unsigned int side, uint32_t len, uint64_t ts_ns,
	const struct psi_tls_ops *ops, void *ctx, uint32_t *skip);

/* psi_tls_phase: how far the handshake has come. */
enum psi_tls_phase {
	PSI_TLS_PHASE_UNKNOWN,	 /* not told yet whether this is TLS */
	PSI_TLS_PHASE_HANDSHAKE, /* in it */
	PSI_TLS_PHASE_DECIDED, /* application data seen in both directions and the lengths that inference needs are
				  * there, or nothing more can be learned: the state may be given up */
};
enum psi_tls_phase psi_tls_phase(const struct psi_tls *t);

/* How the connection ended, for inference. Times in ns, 0: did not happen. */
struct psi_tls_end {
	uint64_t end_ns[PSI_DIR_CNT]; /* first FIN or RST of each direction */
	bool rst[PSI_DIR_CNT];
	bool fin[PSI_DIR_CNT];
};

/* What can be concluded at the end, or when the handshake is decided, from type, order and length of records.
 * Rules and their sources: tls_infer.c. */
struct psi_tls_facts {
	uint64_t flags;	   /* SSL flow flags, PSI_FLAG_* */
	uint64_t evidence; /* PSI_EVID_* bits: what was sent and how it ended; no patterns */
	uint32_t messages; /* seen and inferred */
	uint32_t inferred; /* those of them that are inferred */
	uint8_t alert_cnt;
	struct psi_tls_alert alert[PSI_TLS_ALERT_MAX]; /* seen and inferred, in order */
	uint64_t app_bytes
		[PSI_DIR_CNT]; /* records of application data: <= 1.2 their lengths, 1.3 those of the
					  * records that were concluded to be, less inner type and tag */
};

/* psi_tls_conclude applies the rules. end may be NULL: the connection goes on. Pure. */
void
psi_tls_conclude(const struct psi_tls *t, const struct psi_tls_end *end, struct psi_tls_facts *out);

#endif
