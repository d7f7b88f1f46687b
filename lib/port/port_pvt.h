/* SPDX-License-Identifier: BSD-3-Clause */
/* port_pvt.h: shared by the port's own .c files and its tests: the readers of capture formats behind one port. */
#ifndef PORT_PVT_H
#define PORT_PVT_H

#include "psi_port.h"

#include <stdio.h>

/* A packet as a capture holds it. data is the reader's, good until its next call. */
struct capture_packet {
	const uint8_t *data;
	uint64_t ts_ns;
	uint32_t cap_len, wire_len;
	enum psi_link link;
};

/* A reader: both formats look alike to the port. The stream stands at its start; the reader closes it in the end.
 * next: 1 a packet; 0 the end; negative an error, its text in err. Texts do not name the file. */
struct capture_reader {
	int (*next)(struct capture_reader *r, struct capture_packet *p, struct psi_err *err);
	void (*close)(struct capture_reader *r);
	uint64_t
		at; /* byte offset of the packet or block that comes next, or, after an error, that is at fault */
};

/* open_pcap_file: a pcap file, by libpcap. open_pcapng_file: a pcapng file. NULL with the reason in err; the stream is then
 * closed. */
struct capture_reader *open_pcap_file(FILE *f, struct psi_err *err);
struct capture_reader *open_pcapng_file(FILE *f, struct psi_err *err);

/* link_of: how a LINKTYPE_ value is to be read. False, with the reason in err, when it is not. */
bool link_of(int linktype, enum psi_link *link, struct psi_err *err);

#define CAPTURE_SNAP_MAX 262144 /* bytes of a packet at most, as libpcap has it */

#endif
