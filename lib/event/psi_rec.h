/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_rec.h: what a worker tells the collector of a flow. Plain memory, never leaves the process; what leaves is an
 * event (psi_event.h).
 *
 * A flow makes one record when its handshake is decided and one at its end; a flow that ends first makes a single
 * record that is both. Indices [2] are enum psi_dir: the worker has sorted out who is the client.
 * Thread: written by one worker, then owned by the collector. */
#ifndef PSI_REC_H
#define PSI_REC_H

#include "psi_base.h"
#include "psi_vocab.h"

enum psi_rec_kind {
	PSI_REC_HANDSHAKE = 1, /* tls and var are filled */
	PSI_REC_END = 2,       /* the flow is over: counters and tcp are final */
	PSI_REC_AGAIN = 4, /* with HANDSHAKE: such a record was made before, this one replaces it */
};

/* Why a flow is over. Names in lower case are what events say. */
enum psi_rec_why {
	PSI_WHY_OPEN,
	PSI_WHY_FIN,
	PSI_WHY_RST,
	PSI_WHY_IDLE,
	PSI_WHY_REUSED,
	PSI_WHY_EVICTED,
	PSI_WHY_STOP
};
const char *psi_rec_why_name(enum psi_rec_why why); /* "fin" */

#define PSI_REC_ALERT_MAX  8
#define PSI_REC_RECORD_MAX 8
#define PSI_REC_SEQ_MAX	   48
#define PSI_REC_VAR_MAX	   6656 /* bytes of var at most */

struct psi_rec_alert {
	uint16_t len;			      /* of the record */
	uint8_t dir;			      /* enum psi_dir */
	uint8_t level, code;		      /* 0 when encrypted */
	uint8_t encrypted, inferred, closing; /* 0 or 1 */
};

/* Pieces of var, which is made of finished event fields: whoever makes an event of the record copies it as it is. */
enum psi_rec_var {
	PSI_VAR_SNI,	      /* raw bytes */
	PSI_VAR_ALPN,	      /* selected, raw bytes */
	PSI_VAR_CLIENT_ALPNS, /* put as length-prefixed names; the piece is a run of event fields */
	PSI_VAR_JA3,
	PSI_VAR_JA3_STR,
	PSI_VAR_JA3S,
	PSI_VAR_JA3S_STR,
	PSI_VAR_JA4, /* text */
	PSI_VAR_CIPHERS,
	PSI_VAR_EXTENSIONS,
	PSI_VAR_GROUPS,
	PSI_VAR_POINT_FORMATS,
	PSI_VAR_SIGALGS,
	PSI_VAR_VERSIONS,
	PSI_VAR_KEY_SHARES,	/* lists of uint16_t, host order */
	PSI_VAR_STARTTLS,	/* text: the protocol before TLS */
	PSI_VAR_CONNECT_TARGET, /* raw bytes */
	PSI_VAR_CNT
};

struct psi_rec {
	uint32_t
		len; /* of the whole record: offsetof(var) + var in use, rounded up to 8; or PSI_REC_END_LEN */
	uint8_t kind; /* enum psi_rec_kind bits */
	uint8_t why;  /* enum psi_rec_why, END only */
	uint8_t worker;
	uint8_t ipv4; /* 1: addresses are IPv4-mapped */
	uint64_t flow_id;
	uint64_t start_ns, end_ns; /* first and last packet so far, since 1970 */
	uint8_t addr[2][16];
	uint16_t port[2];
	uint8_t proto; /* IPPROTO_TCP */
	uint8_t vlan_cnt, tunnel_cnt;
	uint8_t client_by; /* how the client was told: enum psi_client_by */
	uint16_t vlan[4];  /* outermost first */
	struct {
		uint32_t id;
		uint8_t type; /* enum psi_tunnel */
	} tunnel[4];
	uint64_t bytes[2]; /* of whole frames */
	uint32_t pkts[2];
	uint64_t app_bytes[2]; /* application-data payload after the handshake */

	struct {
		uint8_t first_rst, first_fin;		       /* 1 + enum psi_dir; 0 none */
		uint8_t syn;				       /* bit per direction: SYN seen */
		uint8_t midstream, conflict, acked_hole, shed; /* 0 or 1 */
		uint32_t gaps, retrans, ooo;		       /* both directions together */
		uint64_t rst_ns, fin_ns;		       /* when; 0 none */
		uint64_t hs_ns; /* last handshake record; 0 none (HANDSHAKE only) */
	} tcp;

	uint64_t flags; /* PSI_FLAG_*; of an END alone: PSI_FLAG_VALID when the flow was TLS */
	int16_t err;	/* PSI_OK, or what the engine could not do with this flow */
	uint8_t end_alerts
		[2]; /* END without HANDSHAKE: encrypted alerts since the handshake record */

	/* HANDSHAKE only, from here on: a record without it ends here, PSI_REC_END_LEN bytes long. */
	uint64_t evidence;	     /* PSI_EVID_*: what the verdict patterns are made of */
	uint32_t messages, inferred; /* enum psi_msg; inferred is a subset */
	uint32_t note;		     /* enum psi_tls_note */
	uint16_t version, version_raw, cipher, group, sigscheme;
	uint16_t session_id_len[2], ticket_len;
	uint16_t ticket_new_len;   /* of the ticket that the server issued in clear */
	uint32_t ticket_lifetime;  /* of it, seconds */
	uint16_t psk_cnt, psk_len; /* identities in pre_shared_key; bytes of the first */
	uint16_t record_limit[2];  /* record_size_limit; 0 absent */
	struct {
		uint16_t kdf, aead, enc_len, payload_len;
		uint8_t config_id, type; /* type: 1 outer, 2 inner, 0 absent or not readable */
	} ech;
	struct {
		uint8_t status; /* 1 good, 2 revoked, 3 unknown; 0 not read */
		uint8_t error;	/* responseStatus, 0 successful */
		uint8_t serial_len, serial[20];
		int64_t this_update, next_update; /* seconds since 1970; 0 absent */
	} ocsp;					  /* what the stapled answer says */
	uint8_t alert_cnt, seq_len;
	struct psi_rec_alert alert[PSI_REC_ALERT_MAX];
	uint16_t enc_cnt[2]; /* encrypted records seen; min(cnt, MAX) lengths follow */
	uint16_t enc_len[2][PSI_REC_RECORD_MAX];
	char seq[PSI_REC_SEQ_MAX];
	uint8_t has_chain[2]; /* 1: chain_key is that of this side's certificates */
	uint8_t chain_cut[2]; /* 1: they are not all there */
	uint64_t chain_key[2][2];
	struct {
		uint16_t off, len; /* within var; len 0: absent */
	} piece[PSI_VAR_CNT];
	uint16_t var_len; /* bytes of var in use, a multiple of 4 */
	uint8_t var[] __attribute__((aligned(8)));
};

enum psi_client_by { PSI_CLIENT_BY_HELLO, PSI_CLIENT_BY_SYN, PSI_CLIENT_BY_GUESS };
const char *psi_client_by_name(enum psi_client_by by); /* "hello", "syn", "guess" */

#define PSI_REC_MAX	(sizeof(struct psi_rec) + PSI_REC_VAR_MAX)
#define PSI_REC_END_LEN offsetof(struct psi_rec, evidence)

/* psi_rec_begin: an empty record, every field zero, len set. The record must be PSI_REC_MAX long when pieces follow.
 * psi_rec_put appends a piece and brings len along; each piece once. False, and nothing done, when var is full.
 * Pieces begin at multiples of 4, so that lists of uint16_t are read in place. */
void psi_rec_begin(struct psi_rec *r);
bool psi_rec_put(struct psi_rec *r, enum psi_rec_var v, const void *p, size_t len);

/* psi_rec_piece: bytes of a piece and their number; NULL when absent. */
const uint8_t *psi_rec_piece(const struct psi_rec *r, enum psi_rec_var v, uint32_t *len);

#endif
