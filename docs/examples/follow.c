/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints the events of a running engine as JSON Lines, until it stops.
 *
 *     cc follow.c -o follow $(pkg-config --cflags --libs pinsight-event)
 *     ./follow /dev/shm/pinsight.ring */
#include <psi_export.h>
#include <psi_ring.h>

#include <stdio.h>
#include <unistd.h>

static char line[PSI_JSON_MAX];

int
main(int argc, char **argv)
{
	const struct psi_event *e;
	struct psi_err err = {""};
	struct psi_ring_r *r;

	if (argc != 2 || psi_ring_open(&r, argv[1], PSI_RING_OLDEST, &err) != 0) {
		fprintf(stderr, "%s\n", argc == 2 ? err.text : "usage: follow RING");
		return 1;
	}
	for (;;) {
		enum psi_ring_rc rc = psi_ring_next(r, &e);

		if (rc == PSI_RING_EVENT) { /* an event, or a gap that says what we missed */
			int n = psi_json_event(e, line, sizeof(line));

			fwrite(line, 1, n > 0 ? (size_t)n : 0, stdout);
			continue;
		}
		fflush(stdout);
		if (psi_ring_follow(r, &err) == 1) /* the engine was started again */
			continue;
		if (rc != PSI_RING_NONE)
			break;
		usleep(1000); /* nothing new: look again in a millisecond */
	}
	psi_ring_shut(r);
	return 0;
}
