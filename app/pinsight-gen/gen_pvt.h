/* SPDX-License-Identifier: BSD-3-Clause */
/* gen_pvt.h: shared by the generator's own .c files. */
#ifndef GEN_PVT_H
#define GEN_PVT_H

#include "gen_rand.h"
#include "psi_gen.h"

/* Files compiled in by embed.py. */
#define EMBEDDED(name)                     \
	extern const unsigned char name[]; \
	extern const unsigned int name##_len
EMBEDDED(gen_demo_pcap);
EMBEDDED(gen_chain_der);
EMBEDDED(gen_chain_key);
EMBEDDED(gen_proxy_der);
EMBEDDED(gen_proxy_key);
#define PSI_GEN_CHAIN_NAME "h00000000.bench.example" /* in both leaves */

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

#define ETH_LEN 14
#define TCP_LEN 20

/* ---- frame.c: headers around a payload that stands in its place already ---- */

/* Who talks to whom. side 0: the client. */
struct ends {
	uint8_t addr[2][16];
	uint16_t port[2];
	bool v6;
};

struct seg {
	unsigned int from; /* side */
	uint8_t flags;
	uint32_t seq, ack, len; /* len: of the payload */
	uint16_t id;		/* IPv4 identification */
};

uint32_t frame_payload_off(bool v6);
/* The frame's length: at least 60, padded with zeros. A SYN gets options and no payload. */
uint32_t frame_tcp(uint8_t *f, const struct ends *e, const struct seg *s, bool checksums);
uint32_t frame_udp(uint8_t *f, const struct ends *e, uint32_t len, uint16_t id, bool checksums);
/* IPv4 header checksum, and that of TCP or UDP behind it, anew. */
void frame_checksums(uint8_t *f, uint32_t len);
/* Piece n of an IPv4 frame in fragments of at most max bytes of IP packet; 0 when there is none. */
uint32_t frame_fragment(
	const uint8_t *f, uint32_t len, uint32_t max, uint32_t n, uint8_t *out, bool checksums);
void ends_v4(struct ends *e, uint32_t client, uint32_t server, uint16_t cport, uint16_t sport);

/* ---- template.c: recorded connections as turns ---- */

enum group { DIRECT, PROXY, PINNED, NO_CA, GROUP_CNT };

struct template_info {
	uint16_t port;
	enum group group;
	const char *stack, *what, *app, *path, *tls, *truth, *expected;
};
extern const struct template_info template_info[];
extern const uint32_t template_cnt;

enum step_kind {
	STEP_DATA,
	STEP_APP, /* where more requests and answers go */
	STEP_FIN,
	STEP_RST
};

/* What one side does before the other's turn. */
struct step {
	enum step_kind kind;
	uint8_t from, flags; /* flags of FIN and RST */
	uint32_t at, len;    /* DATA: within the script's bytes */
};

/* Bytes that differ from connection to connection. */
enum patch_kind {
	PATCH_CLIENT_RANDOM,
	PATCH_SERVER_RANDOM,
	PATCH_CLIENT_SID,
	PATCH_SERVER_SID,
	PATCH_DIGITS,
	PATCH_SERIAL,
	PATCH_SIGNATURE
};
struct patch {
	enum patch_kind kind;
	uint32_t at, len;
};

#define STEP_MAX      48
#define PATCH_MAX     24
#define PATCH_LEN_MAX 256 /* a signature of RSA-2048 */

/* A template bound to a host: what a connection plays. */
struct script {
	const struct template_info *info;
	char sni[64];
	uint32_t step_cnt, patch_cnt, len;
	struct step step[STEP_MAX];
	struct patch patch[PATCH_MAX];
	uint32_t tbs_at, tbs_len; /* what PATCH_SIGNATURE signs; length 0: no leaf varies */
	uint8_t *bytes;
};

/* The recorded connection of a client's port, as it is. NULL when the recording has no such connection or one that
 * does not fit; err says which. script_free frees it. */
struct script *template_load(const struct template_info *info, struct psi_err *err);
void script_free(struct script *s);

/* ---- bind.c: another host, other certificates; where the randoms are ---- */

/* A copy of s for host. chain: the body of the Certificate message that is to stand in place of its own (TLS 1.2), its
 * leaf under that name and signed with key; or, with digits, as it is, and every leaf, and name in the ClientHello, to
 * be varied when it is sent (PATCH_SERIAL, PATCH_DIGITS). more: a STEP_APP before the end.
 * NULL with the reason in err. */
struct bind {
	const char *host;
	const uint8_t *chain;
	uint32_t chain_len;
	struct evp_pkey_st *key;
	bool digits, more;
};
struct script *script_bind(const struct script *s, const struct bind *b, struct psi_err *err);
/* The signature of a certificate's signed part: RSA, PKCS #1 v1.5 with SHA-256 (RFC 8017 section 8.2), which has no random
 * part, so that the same bytes give the same signature. False when it is not sig_len long. */
bool
leaf_sign(struct evp_pkey_st *key, const uint8_t *tbs, uint32_t len, uint8_t *sig, size_t sig_len);

/* ---- conn.c: one connection, frame by frame ---- */

struct conn {
	const struct script *script;
	struct ends ends;
	uint64_t no, key;
	uint32_t seq[2], acked[2]; /* next to send; acknowledged by the other side */
	uint32_t step, at, segs;   /* at: segments of this step sent */
	uint32_t chain;
	const uint8_t *sig; /* of the chain's leaf; NULL: the one in the script stays */
	uint32_t made,
		budget;	  /* packets so far; of HTTPS, as many as there may be before it ends */
	uint32_t app_len; /* of the request or answer at hand, its record headers included */
	uint16_t app_req; /* requests begun */
	uint8_t app_from, syn;	   /* syn: packets of the three-way handshake sent */
	uint8_t unacked_from, fin; /* fin: bit per side */
	uint32_t unacked;	   /* segments of unacked_from since the last acknowledgement */
	bool open_only; /* stops before FIN or RST, with the sequence numbers where they are */
	struct gen_rand rand;
};

/* What all connections share. */
struct play {
	uint32_t mss;
	enum psi_gen_order order;
	bool checksums;
	enum psi_gen_part part; /* of the frame made last */
	uint8_t *filler;	/* FILLER bytes, and as many again as a segment can be */
};
#define FILLER 65536u

/* len bytes of c's script from `at`, as this connection has them. */
void conn_script_bytes(const struct conn *c, uint32_t at, uint32_t len, uint8_t *out);
/* The next frame; 0 when the connection is over. */
uint32_t conn_next(struct conn *c, struct play *p, uint8_t *f);

/* ---- zipf.c ---- */
struct zipf {
	double s, h_x1, h_n, cut;
	uint32_t n;
};
void zipf_init(struct zipf *z, uint32_t n, double s);
uint32_t zipf_next(const struct zipf *z, struct gen_rand *r); /* 0..n-1, 0 the most popular */

/* ---- kinds ---- */
struct signature {
	bool made;
	uint8_t bytes[PATCH_LEN_MAX];
};

struct psi_gen {
	struct psi_gen_config cfg;
	struct gen_rand rand;
	struct play play;
	uint64_t made;	  /* frames */
	uint64_t wire_at; /* their bytes on the wire */
	uint64_t burst_ns;
	/* mix.c: connections at once */
	struct conn *conn;
	uint32_t live, cur, cur_left;
	uint64_t begun;
	struct script **tpl;	  /* as recorded, by row of templates.def */
	struct script **script;	  /* bound: by row and host */
	uint32_t host_cnt, shown; /* shown: distinct chains so far */
	uint8_t *chain;		  /* body of the Certificate message */
	uint32_t chain_len;
	struct evp_pkey_st *key;
	struct signature *signature; /* of the leaf of each chain; NULL: they are not signed */
	/* small.c: flows of small packets */
	struct small *small;
	uint32_t *slot, slots, small_begun; /* flows that come to an end: those that are going on */
	uint32_t small_seq[2];		    /* bytes that a flow's handshake takes */
	struct zipf zipf;
	bool opening;
	/* a frame that goes out in fragments */
	uint8_t whole[PSI_GEN_FRAME_MAX];
	uint32_t whole_len, piece;
	uint64_t whole_flow;
	struct psi_err err; /* of what goes wrong while it runs */
};

/* The seed of everything in a flow or connection. */
static inline uint64_t
conn_key(const struct psi_gen *g, uint64_t no)
{
	return gen_mix(g->cfg.seed * 0x9e3779b97f4a7c15u ^ gen_mix(no + 1));
}

int mix_open(struct psi_gen *g, struct psi_err *err);
void mix_close(struct psi_gen *g);
uint32_t mix_next(struct psi_gen *g, uint8_t *f, uint64_t *flow);

int small_open(struct psi_gen *g, struct psi_err *err);
void small_close(struct psi_gen *g);
void small_opened(struct psi_gen *g, const struct conn *c);
uint32_t small_next(struct psi_gen *g, uint8_t *f, uint64_t *flow);

uint32_t flood_next(struct psi_gen *g, uint8_t *f, uint64_t *flow);

/* names.c */
void host_name(char *out, size_t cap, uint32_t n);
void client_ends(struct ends *e, uint64_t conn, uint32_t client, uint32_t server, bool v6);

#endif
