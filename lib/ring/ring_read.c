/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader. What it reads may be overwritten under its hands, and the file may hold anything: every length is judged
 * before it is used, and only a private copy is given out.
 *
 * Order of the loads for one record (the writer's side is in ring_write.c):
 *   1. head, acquire: what begins before it was whole at some time
 *   2. the words of the record, relaxed
 *   3. an acquire fence: if a word of step 2 came from a later record, step 4 sees the oldest that was moved for it
 *   4. oldest, relaxed: beyond our position, what was read is void
 * The first word, which holds the length, is judged so by itself before the rest is read. */
#include "ring_pvt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct psi_ring_r {
	struct ring_file *f; /* mapped read-only */
	ring_word *data;
	uint64_t size, total; /* as judged when it was opened: the file could change them */
	uint64_t generation;
	uint64_t at;	 /* position of the next record */
	uint64_t expect; /* seq that comes next, when known */
	bool expects;
	bool from_start; /* the first event of this generation comes next: psi_ring_follow */
	bool held;	 /* copy holds the event behind a gap */
	bool bad;
	uint64_t read, lost, unknown;
	dev_t dev;
	ino_t ino;
	char *path;
	uint64_t gap[16];
	uint64_t copy[PSI_EVENT_MAX / 8];
};

/* ---- reading ---- */

/* Whether what was read at r->at before this call is void. Steps 3 and 4. */
static bool
overtaken(const struct psi_ring_r *r)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&r->f->oldest, memory_order_relaxed) > r->at;
}

/* A place to go on after being overtaken: a record about half a ring behind the oldest one, so that the writer does not
 * overtake us again at once; the oldest where no such mark is known. */
static void
jump(struct psi_ring_r *r)
{
	uint64_t oldest = atomic_load_explicit(&r->f->oldest, memory_order_acquire);
	uint64_t section = (oldest + r->size / 2) / (r->size / RING_MARKS);
	uint64_t mark =
		atomic_load_explicit(&r->f->mark[section % RING_MARKS], memory_order_acquire);
	uint64_t head = atomic_load_explicit(&r->f->head, memory_order_acquire);

	r->at = mark > oldest && mark < head ? mark : oldest;
}

enum took { TOOK_EVENT, TOOK_NOTHING, TOOK_PAD, TOOK_OVERTAKEN, TOOK_BAD };

/* The record at r->at, copied. */
static enum took
take(struct psi_ring_r *r)
{
	uint64_t head = atomic_load_explicit(&r->f->head, memory_order_acquire); /* 1. */
	const ring_word *src = ring_at(r->data, r->size, r->at);
	uint64_t word, left = r->size - (r->at & (r->size - 1));
	uint32_t len;

	/* After a jump, oldest may be newer than this head: the rest comes with the next look. */
	if (head <= r->at)
		return TOOK_NOTHING;
	word = atomic_load_explicit(&src[0], memory_order_relaxed); /* 2. */
	if (overtaken(r))
		return TOOK_OVERTAKEN;
	len = RECORD_LEN(word);
	if (len % 8 || len < 8 || len > left || len > head - r->at)
		return TOOK_BAD;
	if (RECORD_TYPE(word) == 0) {
		r->at += len;
		return len == left ? TOOK_PAD : TOOK_BAD;
	}
	if (len < sizeof(struct psi_event) || len > PSI_EVENT_MAX)
		return TOOK_BAD;
	r->copy[0] = word;
	for (uint32_t i = 1; i < len / 8; i++)
		r->copy[i] = atomic_load_explicit(&src[i], memory_order_relaxed); /* 2. */
	if (overtaken(r))
		return TOOK_OVERTAKEN;
	r->at += len;
	return TOOK_EVENT;
}

/* A gap event for the seqs [first,last], at the time of the event behind it. */
static const struct psi_event *
make_gap(struct psi_ring_r *r, uint64_t first, uint64_t last, uint64_t time_ns)
{
	struct psi_event_w w;

	psi_event_begin(&w, r->gap, sizeof(r->gap), PSI_EVENT_GAP);
	psi_event_put_u64(&w, PSI_F_GAP_LOST, last - first + 1);
	psi_event_put_u64(&w, PSI_F_GAP_FIRST, first);
	psi_event_put_u64(&w, PSI_F_GAP_LAST, last);
	return psi_event_end(&w, last, time_ns);
}

/* The event in copy is next: itself, or first the gap before it. NULL: not for this reader. */
static const struct psi_event *
give(struct psi_ring_r *r)
{
	const struct psi_event *e = (const void *)r->copy;

	if (r->from_start) {
		r->from_start = false;
		r->expects = true;
		r->expect = atomic_load_explicit(&r->f->first_seq, memory_order_relaxed);
	}
	if (r->expects && e->seq > r->expect && !r->held) {
		r->held = true;
		r->lost += e->seq - r->expect;
		return make_gap(r, r->expect, e->seq - 1, e->time_ns);
	}
	r->held = false;
	r->expects = true;
	r->expect = e->seq + 1;
	if (psi_event_check(e, sizeof(r->copy)) != PSI_OK) {
		r->unknown++;
		return NULL;
	}
	r->read++;
	return e;
}

static enum psi_ring_rc
nothing(struct psi_ring_r *r)
{
	/* Closed is stored behind the last head: read in this order, nothing is left unread. */
	if (!atomic_load_explicit(&r->f->closed, memory_order_acquire))
		return PSI_RING_NONE;
	return atomic_load_explicit(&r->f->head, memory_order_relaxed) > r->at ? PSI_RING_NONE
									       : PSI_RING_END;
}

enum psi_ring_rc
psi_ring_next(struct psi_ring_r *r, const struct psi_event **e)
{
	if (r->held) {
		*e = give(r);
		if (*e)
			return PSI_RING_EVENT;
	}
	/* Overtaken again and again: a bound, so that the caller stays in charge. */
	for (int tries = 0; tries < 64 && !r->bad; tries++)
		switch (take(r)) {
		case TOOK_EVENT:
			*e = give(r);
			if (*e)
				return PSI_RING_EVENT;
			break;
		case TOOK_NOTHING: return nothing(r);
		case TOOK_PAD: break;
		case TOOK_OVERTAKEN: jump(r); break;
		case TOOK_BAD: r->bad = true; break;
		}
	return r->bad ? PSI_RING_BAD : PSI_RING_NONE;
}

void
psi_ring_status(const struct psi_ring_r *r, struct psi_ring_status *s)
{
	uint64_t head = atomic_load_explicit(&r->f->head, memory_order_acquire);
	uint64_t first = atomic_load_explicit(&r->f->first_seq, memory_order_relaxed);
	uint64_t newest = atomic_load_explicit(&r->f->newest_seq, memory_order_relaxed);

	*s = (struct psi_ring_status){.generation = r->generation,
		.size = r->size,
		.beat_ns = atomic_load_explicit(&r->f->beat_ns, memory_order_relaxed),
		.written = head ? newest - first + 1 : 0,
		.read = r->read,
		.lost = r->lost,
		.unknown = r->unknown,
		.behind = head > r->at ? head - r->at : 0,
		.closed = atomic_load_explicit(&r->f->closed, memory_order_relaxed) != 0};
}

/* ---- opening ---- */

static int
judge_header(const struct ring_file *f, uint64_t file_size, const char *path, struct psi_err *err)
{
	if (memcmp(f->magic, RING_MAGIC, sizeof(f->magic)) != 0)
		return psi_err_set(err, -EPROTO, "%s: not a ring", path);
	if (f->version != RING_VERSION)
		return psi_err_set(err, -EPROTO,
			"%s: a ring of version %u, this program reads version %u", path, f->version,
			RING_VERSION);
	if (f->data_off != RING_DATA_OFF || f->size < PSI_RING_SIZE_MIN ||
		f->size > PSI_RING_SIZE_MAX || (f->size & (f->size - 1)) ||
		file_size != RING_DATA_OFF + f->size)
		return psi_err_set(
			err, -EPROTO, "%s: the ring's header contradicts its size", path);
	return 0;
}

static void
unmap(struct psi_ring_r *r)
{
	if (r->f)
		munmap(r->f, r->total);
	r->f = NULL;
}

/* Maps the file behind fd. r is unchanged unless 0 is returned. */
static int
map_old(struct psi_ring_r *r, int fd, struct psi_err *err)
{
	struct ring_file *f;
	struct stat st;
	int rc;

	if (fstat(fd, &st) != 0)
		return psi_err_set(err, -errno, "%s: %s", r->path, strerror(errno));
	if (st.st_size < (off_t)(RING_DATA_OFF + PSI_RING_SIZE_MIN))
		return psi_err_set(err, -EPROTO, "%s: not a ring: too short", r->path);
	f = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (f == MAP_FAILED)
		return psi_err_set(err, -errno, "%s: cannot map it: %s", r->path, strerror(errno));
	rc = judge_header(f, (uint64_t)st.st_size, r->path, err);
	if (rc != 0) {
		munmap(f, (size_t)st.st_size);
		return rc;
	}
	unmap(r);
	r->f = f;
	r->total = (uint64_t)st.st_size;
	r->size = f->size;
	r->generation = f->generation;
	r->data = (ring_word *)(void *)((uint8_t *)f + RING_DATA_OFF);
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	return 0;
}

static int
open_ring(struct psi_ring_r *r, struct psi_err *err)
{
	int fd = open(r->path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return psi_err_set(err, -errno, "%s: %s", r->path, strerror(errno));
	rc = map_old(r, fd, err);
	close(fd);
	return rc;
}

/* Goes to the end of what is there now. The last records are read on the way, for the seq that comes next: it is known
 * even if the writer overtakes us before the first psi_ring_next. */
static void
to_newest(struct psi_ring_r *r)
{
	uint64_t head = atomic_load_explicit(&r->f->head, memory_order_acquire);
	uint64_t oldest = atomic_load_explicit(&r->f->oldest, memory_order_acquire);
	uint64_t section = (head - 8) / (r->size / RING_MARKS), mark;

	if (!head) {
		r->from_start = true;
		return;
	}
	mark = atomic_load_explicit(&r->f->mark[section % RING_MARKS], memory_order_acquire);
	r->at = mark > oldest && mark < head ? mark : oldest;
	if (head > r->at && head - r->at > r->size) { /* no writer says so: it would take years */
		r->bad = true;
		return;
	}
	while (r->at < head)
		switch (take(r)) {
		case TOOK_EVENT:
			r->expects = true;
			r->expect = ((const struct psi_event *)(const void *)r->copy)->seq + 1;
			break;
		case TOOK_PAD: break;
		case TOOK_OVERTAKEN: jump(r); break;
		case TOOK_NOTHING: return;
		case TOOK_BAD: r->bad = true; return;
		}
}

int
psi_ring_open(
	struct psi_ring_r **out, const char *path, enum psi_ring_from from, struct psi_err *err)
{
	struct psi_ring_r *r = calloc(1, sizeof(*r));
	int rc = -ENOMEM;

	*out = NULL;
	if (r)
		r->path = strdup(path);
	if (r && r->path)
		rc = open_ring(r, err);
	else
		psi_err_set(err, rc, "%s: no memory", path);
	if (rc != 0) {
		psi_ring_shut(r);
		return rc;
	}
	r->at = atomic_load_explicit(&r->f->oldest, memory_order_acquire);
	if (from == PSI_RING_NEWEST)
		to_newest(r);
	*out = r;
	return 0;
}

void
psi_ring_shut(struct psi_ring_r *r)
{
	if (!r)
		return;
	unmap(r);
	free(r->path);
	free(r);
}

int
psi_ring_follow(struct psi_ring_r *r, struct psi_err *err)
{
	struct stat st;
	int rc;

	if (stat(r->path, &st) != 0)
		return errno == ENOENT
			       ? 0
			       : psi_err_set(err, -errno, "%s: %s", r->path, strerror(errno));
	if (st.st_dev == r->dev && st.st_ino == r->ino)
		return 0;
	/* In this order: once a new file is there, the old writer is gone and its head is the last. */
	if (r->held || (!r->bad && atomic_load_explicit(&r->f->head, memory_order_acquire) > r->at))
		return 0;
	rc = open_ring(r, err);
	if (rc != 0)
		return rc;
	/* Of a new generation every event is ours: what has been overwritten already counts as lost. */
	r->at = 0;
	r->read = 0;
	r->bad = false;
	r->expects = false;
	r->from_start = true;
	return 1;
}
