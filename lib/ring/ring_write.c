/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer. Hot: psi_ring_write.
 *
 * Order of the stores for one record, and what each is for (the reader's side is in ring_read.c):
 *   1. oldest, relaxed: what begins before it is about to be overwritten
 *   2. a release fence: whoever sees a byte of step 3 and then passes an acquire fence sees step 1 as well
 *   3. the words of the record, relaxed
 *   4. head, release: whoever reads it with acquire sees step 3 whole */
#include "ring_pvt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct psi_ring_w {
	struct ring_file *f;
	ring_word *data;
	uint64_t size, head,
		oldest; /* the writer's own copies: it never reads back what readers could not change */
	uint64_t section; /* of the last record that was marked */
	bool begun;
	int lock; /* file descriptor that holds the lock of this name */
};

/* ---- hot ---- */

/* Moves oldest so far that writing up to end overwrites nothing behind it. The writer trusts the lengths it reads:
 * nobody else can write to them. */
static void
make_room(struct psi_ring_w *w, uint64_t end)
{
	uint64_t oldest = w->oldest;

	while (oldest + w->size < end) {
		uint64_t word = atomic_load_explicit(
			ring_at(w->data, w->size, oldest), memory_order_relaxed);

		oldest += RECORD_LEN(word);
	}
	if (oldest != w->oldest) {
		w->oldest = oldest;
		atomic_store_explicit(&w->f->oldest, oldest, memory_order_relaxed); /* 1. */
	}
}

static void
put_words(struct psi_ring_w *w, uint64_t pos, const uint64_t *src, uint32_t len)
{
	ring_word *dst = ring_at(w->data, w->size, pos);

	for (uint32_t i = 0; i < len / 8; i++)
		atomic_store_explicit(&dst[i], src[i], memory_order_relaxed); /* 3. */
}

static void
mark(struct psi_ring_w *w, uint64_t pos)
{
	uint64_t section = pos / (w->size / RING_MARKS);

	if (section == w->section && pos)
		return;
	w->section = section;
	atomic_store_explicit(&w->f->mark[section % RING_MARKS], pos, memory_order_relaxed);
}

void
psi_ring_write(struct psi_ring_w *w, const struct psi_event *e)
{
	uint64_t pos = w->head, left = w->size - (pos & (w->size - 1));
	uint64_t pad = e->len > left ? left : 0;

	PSI_ASSERT(e->len >= sizeof(*e) && e->len <= PSI_EVENT_MAX && e->len % 8 == 0,
		"a finished event");
	make_room(w, pos + pad + e->len);
	atomic_thread_fence(memory_order_release); /* 2. */
	if (pad) {
		atomic_store_explicit(ring_at(w->data, w->size, pos), pad, memory_order_relaxed);
		pos += pad;
	}
	put_words(w, pos, (const uint64_t *)(const void *)e, e->len);
	mark(w, pos);
	if (!w->begun) {
		w->begun = true;
		atomic_store_explicit(&w->f->first_seq, e->seq, memory_order_relaxed);
	}
	atomic_store_explicit(&w->f->newest_seq, e->seq, memory_order_relaxed);
	w->head = pos + e->len;
	atomic_store_explicit(&w->f->head, w->head, memory_order_release); /* 4. */
}

void
psi_ring_beat(struct psi_ring_w *w, uint64_t now_ns)
{
	atomic_store_explicit(&w->f->beat_ns, now_ns, memory_order_relaxed);
}

/* ---- set-up ---- */

static uint64_t
power_of_two(uint64_t n)
{
	uint64_t p = PSI_RING_SIZE_MIN;

	while (p < n && p < PSI_RING_SIZE_MAX)
		p *= 2;
	return p;
}

/* The name belongs to one writer at a time: PATH.lock is locked as long as it lives, whatever way it ends. */
static int
take_name(const char *path, struct psi_err *err)
{
	char name[4096];
	int fd, rc;

	if (snprintf(name, sizeof(name), "%s.lock", path) >= (int)sizeof(name))
		return psi_err_set(err, -ENAMETOOLONG, "%s: the name is too long", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return psi_err_set(err, -errno, "%s: %s", name, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
	psi_err_set(err, rc, "%s: %s", path,
		rc == -EBUSY ? "another process writes this ring" : strerror(errno));
	close(fd);
	return rc;
}

static void
fill_header(struct ring_file *f, const struct psi_ring_config *cfg, uint64_t size)
{
	memcpy(f->magic, RING_MAGIC, sizeof(f->magic));
	f->version = RING_VERSION;
	f->data_off = RING_DATA_OFF;
	f->size = size;
	f->generation = cfg->generation;
	atomic_store_explicit(&f->beat_ns, cfg->now_ns, memory_order_relaxed);
}

/* Maps the file fd, which is new and empty. */
static int
map_new(struct psi_ring_w *w, int fd, const struct psi_ring_config *cfg, const char *name,
	struct psi_err *err)
{
	uint64_t total = RING_DATA_OFF + w->size;
	int rc = posix_fallocate(fd, 0, (off_t)total);

	if (rc)
		return psi_err_set(err, -rc, "%s: no room for %llu bytes: %s", name,
			(unsigned long long)total, strerror(rc));
	if (fchmod(fd, cfg->mode ? cfg->mode : 0640) != 0)
		return psi_err_set(err, -errno, "%s: %s", name, strerror(errno));
	w->f = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (w->f == MAP_FAILED) {
		w->f = NULL;
		return psi_err_set(err, -errno, "%s: cannot map it: %s", name, strerror(errno));
	}
	w->data = (ring_word *)(void *)((uint8_t *)w->f + RING_DATA_OFF);
	fill_header(w->f, cfg, w->size);
	return 0;
}

/* A file is finished under another name and then takes its place, so that a reader never opens half a ring, and readers
 * of the old one keep it. */
static int
make_file(struct psi_ring_w *w, const struct psi_ring_config *cfg, struct psi_err *err)
{
	char name[4096];
	int fd, rc;

	snprintf(name, sizeof(name), "%s.new", cfg->path);
	unlink(name);
	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return psi_err_set(err, -errno, "%s: %s", name, strerror(errno));
	rc = map_new(w, fd, cfg, name, err);
	close(fd);
	if (rc == 0 && rename(name, cfg->path) != 0)
		rc = psi_err_set(err, -errno, "%s: %s", cfg->path, strerror(errno));
	if (rc != 0)
		unlink(name);
	return rc;
}

int
psi_ring_create(struct psi_ring_w **out, const struct psi_ring_config *cfg, struct psi_err *err)
{
	struct psi_ring_w *w = calloc(1, sizeof(*w));
	int rc;

	*out = NULL;
	if (!w)
		return psi_err_set(err, -ENOMEM, "%s: no memory", cfg->path);
	w->size = power_of_two(cfg->size);
	w->lock = take_name(cfg->path, err);
	rc = w->lock < 0 ? w->lock : make_file(w, cfg, err);
	if (rc != 0) {
		psi_ring_close(w);
		return rc;
	}
	ring_tell(w->lock, 0, "");
	*out = w;
	return 0;
}

void
psi_ring_tell(struct psi_ring_w *w, uint64_t reloads, const char *said)
{
	ring_tell(w->lock, reloads, said);
}

void
psi_ring_close(struct psi_ring_w *w)
{
	if (!w)
		return;
	if (w->f) {
		/* A reader that sees it, with acquire, sees the last head as well. */
		atomic_store_explicit(&w->f->closed, 1, memory_order_release);
		munmap(w->f, RING_DATA_OFF + w->size);
	}
	if (w->lock >= 0)
		close(w->lock);
	free(w);
}
