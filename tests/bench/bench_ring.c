/* SPDX-License-Identifier: BSD-3-Clause */
/* What an event costs the ring's writer, alone and with readers in other processes, in CPU time, and how many events a
 * second the readers get, by the clock on the wall. Events of 824 bytes (a tls_flow of 56 fields) and of 200; beside it, as baseline, the same bytes copied
 * into a buffer of the ring's size without any order. The ring has 64 MiB.
 *
 *     bench_ring [READERS]... */
#include "bench.h"
#include "psi_ring.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RING_SIZE   (64ull << 20)
#define READERS_MAX 64

static struct {
	_Atomic uint64_t read[READERS_MAX], lost[READERS_MAX];
	_Atomic uint64_t ready;
} * shared;
static char path[64];
static uint64_t mem[1024];

/* CPU time of this process: what an event costs, however busy the machine is with other things. */
static double
cpu(void)
{
	return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static struct psi_event *
make(uint32_t len)
{
	static uint8_t text[4096];
	struct psi_event_w w;

	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_TLS_FLOW);
	psi_event_put_bytes(&w, PSI_F_TLS_SNI, text, len - 28);
	return psi_event_end(&w, 0, 0);
}

static void
reader(unsigned int i)
{
	struct psi_ring_status s;
	const struct psi_event *e;
	struct psi_ring_r *r;
	enum psi_ring_rc rc;
	uint64_t n = 0;

	if (psi_ring_open(&r, path, PSI_RING_NEWEST, NULL) != 0)
		_exit(1);
	shared->ready++;
	while ((rc = psi_ring_next(r, &e)) != PSI_RING_END)
		n += rc == PSI_RING_EVENT;
	psi_ring_status(r, &s);
	shared->read[i] = s.read;
	shared->lost[i] = s.lost;
	psi_ring_shut(r);
	_exit(n == 0);
}

static double
baseline(uint32_t len, uint64_t cnt)
{
	uint8_t *buf = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	double t = cpu();
	uint64_t at = 0;

	for (uint64_t i = 0; i < cnt; i++) {
		if (at + len > RING_SIZE)
			at = 0;
		memcpy(buf + at, mem, len);
		__asm__ volatile("" ::: "memory");
		at += len;
	}
	t = (cpu() - t) / (double)cnt * 1e9;
	munmap(buf, RING_SIZE);
	return t;
}

static void
run(uint32_t len, unsigned int readers, uint64_t cnt)
{
	struct psi_ring_config cfg = {.path = path, .size = RING_SIZE};
	struct psi_event *e = make(len);
	struct psi_ring_w *w;
	double t, used;
	uint64_t read = 0, lost = 0;

	if (psi_ring_create(&w, &cfg, NULL) != 0)
		exit(1);
	memset(shared, 0, sizeof(*shared));
	fflush(stdout);
	for (unsigned int i = 0; i < readers; i++)
		if (fork() == 0)
			reader(i);
	while (shared->ready < readers)
		usleep(1000);
	t = seconds(CLOCK_MONOTONIC);
	used = cpu();
	for (e->seq = 1; e->seq <= cnt; e->seq++)
		psi_ring_write(w, e);
	used = cpu() - used;
	psi_ring_close(w);
	while (wait(NULL) > 0)
		;
	t = seconds(CLOCK_MONOTONIC) - t;
	for (unsigned int i = 0; i < readers; i++) {
		read += shared->read[i];
		lost += shared->lost[i];
	}
	printf("  %2u readers: writer %6.1f ns an event", readers, used / (double)cnt * 1e9);
	if (readers)
		printf(", %5.2f M events/s to each reader, %.1f %% lost%s",
			(double)read / readers / t / 1e6,
			100.0 * (double)lost / (double)(read + lost),
			read + lost == cnt * readers ? "" : ", NOT ALL COUNTED");
	putchar('\n');
}

/* A full ring, read by this process with nobody writing: what an event costs a reader. */
static void
read_alone(uint32_t len)
{
	struct psi_ring_config cfg = {.path = path, .size = RING_SIZE};
	struct psi_event *e = make(len);
	const struct psi_event *got;
	struct psi_ring_w *w;
	struct psi_ring_r *r;
	double t, best = 1e9;
	uint64_t n;

	if (psi_ring_create(&w, &cfg, NULL) != 0)
		exit(1);
	for (e->seq = 1; e->seq <= RING_SIZE / len; e->seq++)
		psi_ring_write(w, e);
	psi_ring_close(w);
	for (int i = 0; i < 5; i++) {
		if (psi_ring_open(&r, path, PSI_RING_OLDEST, NULL) != 0)
			exit(1);
		t = cpu();
		for (n = 0; psi_ring_next(r, &got) == PSI_RING_EVENT; n++)
			;
		best = PSI_MIN(best, (cpu() - t) / (double)n);
		psi_ring_shut(r);
	}
	printf("  reader alone: %6.1f ns an event, check included\n", best * 1e9);
}

int
main(int argc, char **argv)
{
	static const uint32_t lens[] = {200, 824};
	char dir[] = "/dev/shm/psi_ring.XXXXXX", name[80];

	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || !mkdtemp(dir))
		return 2;
	snprintf(path, sizeof(path), "%s/ring", dir);
	for (size_t k = 0; k < PSI_COUNT(lens); k++) {
		make(lens[k]);
		printf("ring: events of %u bytes, %ld cores; copy alone (baseline) %.1f ns an event\n",
			lens[k], sysconf(_SC_NPROCESSORS_ONLN), baseline(lens[k], 2000000));
		read_alone(lens[k]);
		run(lens[k], 0, 4000000);
		for (int i = 1; i < argc; i++)
			if (atoi(argv[i]) <= READERS_MAX)
				run(lens[k], (unsigned int)atoi(argv[i]), 4000000);
		if (argc == 1)
			run(lens[k], 1, 4000000);
	}
	unlink(path);
	snprintf(name, sizeof(name), "%s.lock", path);
	unlink(name);
	rmdir(dir);
	return 0;
}
