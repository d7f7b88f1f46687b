/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_gen.h: synthetic traffic, frame by frame: what pinsight-gen writes and what pinsight-bench measures with.
 *
 * A generator is a function of its configuration: the same one gives the same frames, byte for byte, on every machine.
 * TLS comes from recorded connections (templates.def), bound to other addresses, ports, randoms, session ids and names;
 * sequence numbers and every length around a name are made anew.
 * Out of scope: real key exchange (nothing here can be decrypted, and what servers sign in it does not verify); reacting to anybody.
 * Thread: a generator belongs to one thread. */
#ifndef PSI_GEN_H
#define PSI_GEN_H

#include "psi_base.h"

#define PSI_GEN_FRAME_MAX 1600 /* bytes that psi_gen_next may write */
#define PSI_GEN_FCS	  4    /* of a frame on the wire, never in memory */
#define PSI_GEN_WIRE	  24 /* what a frame takes on the wire beside its bytes: preamble, FCS, gap */

enum psi_gen_kind {
	PSI_GEN_TCP,	    /* small TCP packets over many flows */
	PSI_GEN_HTTPS,	    /* TLS connections with requests and answers */
	PSI_GEN_HANDSHAKES, /* TLS connections that end soon after their handshake */
	PSI_GEN_CLIENTS,    /* clients behind a proxy, some of which refuse it */
	PSI_GEN_SYN_FLOOD,
	PSI_GEN_UDP_FLOOD,
	PSI_GEN_FRAG_FLOOD, /* first fragments of datagrams that never get whole */
	PSI_GEN_KIND_CNT
};

/* How a flow of PSI_GEN_TCP begins. */
enum psi_gen_open {
	PSI_GEN_OPEN_NONE, /* in the middle */
	PSI_GEN_OPEN_SYN,  /* three-way handshake */
	PSI_GEN_OPEN_TLS, /* that and a TLS handshake, all flows' before the first small packet; these are then parts of
			    * long records */
};

/* In what order the segments of one side's turn are sent. */
enum psi_gen_order { PSI_GEN_IN_ORDER, PSI_GEN_REVERSED, PSI_GEN_SHUFFLED };

/* One connection, as it is told to whoever wants labels. Texts are static or good during the call. */
struct psi_gen_label {
	uint64_t no;
	uint8_t addr[2][16]; /* client, server; IPv4 as ::ffff:a.b.c.d */
	uint16_t port[2];
	const char *sni, *app, *stack, *what, *path, *tls, *truth, *expected;
};

struct psi_gen_config {
	enum psi_gen_kind kind;
	uint64_t seed;
	uint64_t
		packets; /* the end; 0: when all flows are done, which only TLS and TCP with SYN ever are */
	uint32_t flows; /* flows, or connections in all */
	uint32_t live;	/* connections at once */
	uint32_t train; /* packets of one connection in a row, in the mean */
	double zipf;	/* TCP: exponent of the flows' popularity; 0 all alike */
	enum psi_gen_open open;
	uint32_t frame; /* TCP and floods: bytes of a frame with FCS, 64..1518 */
	uint32_t
		flow_packets; /* TCP with SYN: packets of a flow; HTTPS: of a connection, in the mean */
	uint32_t mss;	      /* TLS: payload bytes of a segment at most */
	enum psi_gen_order order; /* TLS */
	uint32_t fragment;	  /* IP fragments of at most that many bytes; 0: none */
	uint32_t chains;	  /* HANDSHAKES: distinct chains of three certificates in TLS 1.2 */
	double tls13;		  /* share of TLS 1.3: HTTPS and HANDSHAKES */
	double ipv6;		  /* share of IPv6: TLS */
	uint32_t hosts, clients;  /* CLIENTS; hosts: HTTPS too */
	double pinned,
		unknown_ca; /* CLIENTS: shares of connections by applications that pin, of clients without the CA */
	bool checksums; /* IP, TCP and UDP checksums right, not 0 */
	bool stamp; /* floods and TCP: time and number in the last 24 bytes (struct psi_gen_stamp) */
	uint64_t start_ns; /* time of the first frame */
	double pps, gbps;  /* the rate, one of them; gbps counts PSI_GEN_WIRE */
	uint32_t burst;	   /* frames sent back to back at a time */
	void (*label)(void *ctx,
		const struct psi_gen_label *l); /* told of each connection as it begins */
	void *ctx;
};

/* In the last bytes of a stamped frame, network order. */
struct psi_gen_stamp {
	uint8_t magic[8]; /* "PSISTAMP" */
	uint64_t no, ns;
};

/* What a frame is to its connection. */
enum psi_gen_part {
	PSI_GEN_BULK, /* small packets, floods, requests and answers, with their acknowledgements */
	PSI_GEN_HANDSHAKE, /* SYN, and everything recorded up to the end */
	PSI_GEN_END,	   /* FIN, RST */
	PSI_GEN_PART_CNT
};

struct psi_gen_packet {
	uint32_t len;	/* of the frame, without FCS */
	uint64_t ts_ns; /* when it is due */
	uint64_t flow;	/* its flow or connection, in the order in which they began */
	enum psi_gen_part part;
};

struct psi_gen;

/* psi_gen_defaults: a sensible configuration of a kind.
 * psi_gen_open: NULL with the reason in err. psi_gen_close frees it; g may be NULL. */
void psi_gen_defaults(struct psi_gen_config *cfg, enum psi_gen_kind kind);
struct psi_gen *psi_gen_open(const struct psi_gen_config *cfg, struct psi_err *err);
void psi_gen_close(struct psi_gen *g);

/* psi_gen_next writes the next frame (Ethernet, at most PSI_GEN_FRAME_MAX bytes) and describes it. False at the end. */
bool psi_gen_next(struct psi_gen *g, uint8_t *frame, struct psi_gen_packet *p);

/* psi_gen_opening: PSI_GEN_OPEN_TLS: true while flows are still being opened.
 * psi_gen_begun: connections begun so far. */
bool psi_gen_opening(const struct psi_gen *g);
uint64_t psi_gen_begun(const struct psi_gen *g);

/* psi_gen_ca: the certificate, DER, of the CA that vouches for the servers of a kind: of CLIENTS the proxy's. */
const uint8_t *psi_gen_ca(enum psi_gen_kind kind, uint32_t *len);

#endif
