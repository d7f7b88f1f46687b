/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_port.h: where packets come from. A worker takes bursts of mbufs from a port and does not know of what kind it
 * is. This build has one kind, a capture file.
 *
 * Thread: a port is used by one thread. Set-up may block and fail; psi_port_rx is the hot call. */
#ifndef PSI_PORT_H
#define PSI_PORT_H

#include "psi_base.h"
#include "psi_net.h"

#include <rte_mbuf.h>

struct psi_port;

/* psi_port_pool_open: a pool of cnt mbufs with room for so many bytes each, headroom included, for one thread. It needs
 * no psi_eal_init. NULL without memory. psi_port_pool_close frees it, when all mbufs are back. */
struct rte_mempool *psi_port_pool_open(uint32_t cnt, uint16_t room);
void psi_port_pool_close(struct rte_mempool *pool);

/* psi_eal_init starts DPDK in this process without huge pages, root or PCI scan, and without a word on the terminal.
 * mem_mb: memory that it may give out. Returns 0, or -errno with what DPDK said in err. Once per process, main thread. */
int psi_eal_init(const char *program, unsigned int mem_mb, struct psi_err *err);

/* psi_port_open_pcap: FILE as a port; "-" is standard input. pool: where mbufs come from, outlives the port.
 * Reads pcap and pcapng. Returns the port; NULL with file and reason in err. */
struct psi_port *
psi_port_open_pcap(const char *path, struct rte_mempool *pool, struct psi_err *err);
void psi_port_close(struct psi_port *p);

/* psi_port_rx: up to max packets with the time of each (ns since 1970) and their link type, which is one for the
 * burst. The mbufs are the caller's from then on. pkt_len is what was captured; the bytes that the wire carried are
 * in wire_len.
 * Returns their number; 0 when there are none: for a capture that is its end (see psi_port_status). A burst of a
 * capture never spans a pause of more than PSI_PORT_BURST_NS, so that timeouts fall between bursts. Hot. */
#define PSI_PORT_BURST_NS 100000000ull
uint16_t psi_port_rx(struct psi_port *p, struct rte_mbuf **m, uint64_t *ts_ns, uint32_t *wire_len,
	uint16_t max, enum psi_link *link);

/* psi_port_status: 0 while packets may come, 1 at a clean end, -errno when reading failed, with file, byte offset and
 * reason in err. */
int psi_port_status(const struct psi_port *p, struct psi_err *err);

/* psi_port_done: share of the capture read so far, 0..1; negative when it cannot be told. */
double psi_port_done(const struct psi_port *p);

#endif
