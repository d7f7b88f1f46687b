/* SPDX-License-Identifier: BSD-3-Clause */
/* One writer and several readers in processes of their own; both are killed at random, without warning, and started
 * again. Every reader checks every event that it is given: its contents, which follow from its number and the writer's
 * generation, and its place: the one behind the last, or behind a gap that says so.
 *
 *     stress_ring SECONDS [READERS]
 *
 * Fails when a reader found something wrong, when one died by itself, or when nothing was read or lost: then it has not
 * tested anything. */
#include "psi_ring.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READERS_MAX 16

/* Shared by all processes. */
struct tally {
	_Atomic uint64_t written, read, lost, gaps, followed, wrong;
	_Atomic int stop;
};

static struct tally *tally;
static char path[64];

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x7fb5d329728ea185;
	x ^= x >> 27;
	x *= 0x81dadef4bc2dd44d;
	return x ^ x >> 33;
}

/* Event number seq of a generation: flow_id names it, the text's length and bytes follow from both. */
static const struct psi_event *
make(uint64_t *mem, uint64_t generation, uint64_t seq)
{
	uint64_t h = mix(generation * 1000003 + seq);
	uint8_t text[2048];
	struct psi_event_w w;
	uint32_t len = (uint32_t)(h % (h % 16 ? 300 : sizeof(text)));

	memset(text, (int)(h >> 24), len);
	psi_event_begin(&w, mem, 4096, PSI_EVENT_TLS_FLOW);
	psi_event_put_u64(&w, PSI_F_FLOW_ID, h);
	psi_event_put_bytes(&w, PSI_F_TLS_SNI, text, len);
	return psi_event_end(&w, seq, generation);
}

static void
writer(uint64_t generation)
{
	struct psi_ring_config cfg = {
		.path = path, .size = PSI_RING_SIZE_MIN, .generation = generation};
	struct psi_err err = {""};
	struct psi_ring_w *w;
	uint64_t mem[512];

	if (psi_ring_create(&w, &cfg, &err) != 0) {
		fprintf(stderr, "writer: %s\n", err.text);
		_exit(3);
	}
	for (uint64_t seq = 1; !tally->stop; seq++) {
		psi_ring_write(w, make(mem, generation, seq));
		atomic_fetch_add_explicit(&tally->written, 1, memory_order_relaxed);
		if (mix(seq) % 4096 == 0) /* now and then the readers catch up */
			usleep((useconds_t)(mix(seq + 1) % 3000));
	}
	psi_ring_close(w);
	_exit(0);
}

static void
wrong(const char *what, uint64_t generation, uint64_t seq)
{
	fprintf(stderr, "reader: %s at %llu of generation %llu\n", what, (unsigned long long)seq,
		(unsigned long long)generation);
	tally->wrong++;
	_exit(4);
}

/* expect: the number that comes next, 0 when it is not known yet. */
static void
check(const struct psi_event *e, uint64_t generation, uint64_t *expect)
{
	struct psi_event_r r;
	struct psi_value first, last;
	uint64_t mem[512];

	if (psi_event_check(e, e->len) != PSI_OK)
		wrong("not an event", generation, e->seq);
	psi_event_fields(e, &r);
	if (e->type == PSI_EVENT_GAP) {
		if (!psi_event_find(&r, PSI_F_GAP_FIRST, &first) ||
			!psi_event_find(&r, PSI_F_GAP_LAST, &last))
			wrong("a gap without its bounds", generation, e->seq);
		if (*expect && psi_value_u64(&first) != *expect)
			wrong("a gap that begins elsewhere", generation, psi_value_u64(&first));
		*expect = psi_value_u64(&last) + 1;
		tally->gaps++;
		tally->lost += psi_value_u64(&last) - psi_value_u64(&first) + 1;
		return;
	}
	if (*expect && e->seq != *expect)
		wrong("a number out of turn", generation, e->seq);
	if (memcmp(e, make(mem, generation, e->seq), e->len) != 0)
		wrong("other contents than were written", generation, e->seq);
	*expect = e->seq + 1;
	atomic_fetch_add_explicit(&tally->read, 1, memory_order_relaxed);
}

static void
reader(enum psi_ring_from from)
{
	struct psi_ring_status s;
	const struct psi_event *e;
	struct psi_ring_r *r;
	uint64_t expect = 0;

	while (psi_ring_open(&r, path, from, NULL) != 0)
		if (tally->stop)
			_exit(0);
	psi_ring_status(r, &s);
	for (;;) {
		enum psi_ring_rc rc = psi_ring_next(r, &e);

		if (rc == PSI_RING_EVENT) {
			check(e, s.generation, &expect);
			continue;
		}
		if (rc == PSI_RING_BAD)
			wrong("a broken ring", s.generation, expect);
		if (psi_ring_follow(r, NULL) == 1) {
			psi_ring_status(r, &s);
			expect =
				1; /* every generation begins with 1: what was overwritten before shows as a gap */
			tally->followed++;
		} else if (tally->stop) {
			psi_ring_shut(r);
			_exit(0);
		} else {
			usleep(100);
		}
	}
}

static pid_t
start(bool is_writer, uint64_t n)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody stays behind when the test is killed */
		if (getppid() != parent)
			_exit(0);
		if (is_writer)
			writer(n);
		else
			reader(n % 2 ? PSI_RING_OLDEST : PSI_RING_NEWEST);
	}
	return pid;
}

/* 0 when the process ended as it should: by our hand (killed), or with status 0. */
static int
reap(pid_t pid, bool killed)
{
	int status;

	if (killed)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return 1;
	return killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : status != 0;
}

static int
run(double seconds, unsigned int readers)
{
	pid_t reader_pid[READERS_MAX], writer_pid;
	uint64_t generation = 1, turns = 0, started = 0;
	struct timespec t0, t;
	double passed;
	int bad = 0;

	writer_pid = start(true, generation);
	for (unsigned int i = 0; i < readers; i++)
		reader_pid[i] = start(false, started++);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	do {
		uint64_t h = mix(turns++);

		usleep((useconds_t)(h % 20000));
		if (h >> 40 & 1) {
			unsigned int i = (unsigned int)(h >> 41) % readers;

			bad |= reap(reader_pid[i], true);
			reader_pid[i] = start(false, started++);
		}
		if ((h >> 50) % 4 == 0) {
			bad |= reap(writer_pid, true);
			writer_pid = start(true, ++generation);
		}
		clock_gettime(CLOCK_MONOTONIC, &t);
		passed = (double)(t.tv_sec - t0.tv_sec) + (double)(t.tv_nsec - t0.tv_nsec) / 1e9;
		/* a slow machine gets longer, until it has tested something */
	} while (!tally->wrong &&
		 (passed < seconds || (passed < 10 * seconds &&
					      !(tally->read && tally->lost && tally->followed))));
	tally->stop = 1;
	bad |= reap(writer_pid, false);
	for (unsigned int i = 0; i < readers; i++)
		bad |= reap(reader_pid[i], false);
	printf("%llu writers and %llu readers, all but the last killed: %llu events written, %llu read, "
	       "%llu lost in %llu gaps, %llu times followed, %llu wrong\n",
		(unsigned long long)generation, (unsigned long long)started,
		(unsigned long long)tally->written, (unsigned long long)tally->read,
		(unsigned long long)tally->lost, (unsigned long long)tally->gaps,
		(unsigned long long)tally->followed, (unsigned long long)tally->wrong);
	return bad || tally->wrong || !tally->read || !tally->lost || !tally->followed;
}

int
main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 3;
	unsigned int readers = argc > 2 ? (unsigned int)atoi(argv[2]) : 3;
	char dir[] = "/tmp/psi_ring.XXXXXX", name[96];
	int bad;

	tally = mmap(
		NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED || !mkdtemp(dir) || !readers || readers > READERS_MAX)
		return 2;
	snprintf(path, sizeof(path), "%s/ring", dir);
	bad = run(seconds, readers);
	unlink(path);
	snprintf(name, sizeof(name), "%s.lock", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s.new", path);
	unlink(name);
	rmdir(dir);
	return bad;
}
