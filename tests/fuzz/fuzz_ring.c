/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring file of any contents. The input is: head, oldest, first_seq, closed and a mark, 8 bytes each, then 8 bytes of
 * place, then what stands there in the data, and again from the start of the data. Whatever it says, the reader gives
 * out sound events only, or stops. */
#include "ring_pvt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define TOTAL (RING_DATA_OFF + PSI_RING_SIZE_MIN)

static struct ring_file *file;
static char path[64];

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
make_file(void)
{
	int fd = memfd_create("ring", 0);

	must(fd >= 0 && ftruncate(fd, (off_t)TOTAL) == 0);
	file = mmap(NULL, TOTAL, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(file != MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	memcpy(file->magic, RING_MAGIC, sizeof(file->magic));
	file->version = RING_VERSION;
	file->data_off = RING_DATA_OFF;
	file->size = PSI_RING_SIZE_MIN;
}

static void
read_all(enum psi_ring_from from)
{
	const struct psi_event *e;
	struct psi_ring_status s;
	struct psi_ring_r *r;
	uint64_t copy;

	must(psi_ring_open(&r, path, from, NULL) == 0);
	for (int i = 0; i < 200; i++) {
		enum psi_ring_rc rc = psi_ring_next(r, &e);

		if (rc != PSI_RING_EVENT)
			break;
		must(psi_event_check(e, e->len) == PSI_OK);
		memcpy(&copy, (const uint8_t *)e + e->len - 8, 8); /* all of it is there */
	}
	psi_ring_status(r, &s);
	must(psi_ring_follow(r, NULL) == 0);
	psi_ring_shut(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *ring;
	uint64_t head[6], at;
	size_t n;

	if (!file)
		make_file();
	if (len < sizeof(head) || len > 8192)
		return 0;
	ring = (uint8_t *)file + RING_DATA_OFF;
	memcpy(head, data, sizeof(head));
	file->head = head[0];
	file->oldest = head[1];
	file->first_seq = head[2];
	file->closed = head[3] & 1;
	for (int i = 0; i < RING_MARKS; i++)
		file->mark[i] = head[4];
	at = head[5] % PSI_RING_SIZE_MIN;
	n = PSI_MIN(len - sizeof(head), PSI_RING_SIZE_MIN - at);
	memcpy(ring + at, data + sizeof(head), n);
	memcpy(ring, data + sizeof(head) + n, len - sizeof(head) - n);
	read_all(PSI_RING_OLDEST);
	read_all(PSI_RING_NEWEST);
	memset(ring + at, 0, n);
	memset(ring, 0, len - sizeof(head) - n);
	return 0;
}
