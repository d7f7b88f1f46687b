/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight_gen.h: shared by the program's own .c files. */
#ifndef PINSIGHT_GEN_H
#define PINSIGHT_GEN_H

#include "psi_gen.h"

#include <stdio.h>

/* What a run is asked for. */
struct job {
	struct psi_gen_config gen;
	const char *capture, *labels, *ca, *port, *eal; /* NULL: not asked for */
	double seconds; /* of a port; 0: as long as there are frames */
	bool quiet;
};

struct done {
	uint64_t frames, bytes, last_ns;
};

extern volatile int stop_asked; /* a signal came: the one use that volatile has */

/* capture.c: frames into a pcap with ns stamps; "-" is standard output. 0, or -errno with the reason in err. */
int to_capture(const struct job *j, struct psi_gen *g, struct done *d, struct psi_err *err);

/* labels.c: one JSON object a connection, in the format of scripts/lab. */
void label_line(void *out, const struct psi_gen_label *l);

/* port.c: frames through a DPDK port, each burst at its time. */
int to_port(const struct job *j, struct psi_gen *g, struct done *d, struct psi_err *err);

/* main.c: on a terminal, once a second from the second second on. */
void progress(const struct job *j, uint64_t frames, bool end);

#endif
