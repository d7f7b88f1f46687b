/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_ring.h: the engine's only exit: a file, mapped by one writer and by any number of readers in other processes.
 *
 * The writer never waits and never looks at a reader: what is oldest is written over. A reader maps the file read-only,
 * copies one event at a time and learns exactly how many it missed when it falls behind: their number stands in an
 * event of type gap, in its place among the others.
 * Each start of the writer makes a new file under the same name, with a number of its own: its generation. A reader
 * finishes the old file, then moves on with psi_ring_follow. After a crash of the writer the file holds every event
 * that was finished; after a crash of a reader nothing has changed.
 * Out of scope: waking readers. They look when they like; psi_ring_next makes no system call.
 * Layout and the argument why this is right: docs/design/ring.md.
 * Thread: a writer or reader is used by one thread at a time. */
#ifndef PSI_RING_H
#define PSI_RING_H

#include "psi_base.h"
#include "psi_event.h"

#define PSI_RING_SIZE_MIN (1ull << 20) /* bytes for events, a power of two: 16 of the longest */
#define PSI_RING_SIZE_MAX (1ull << 40)

/* ---- writer: the collector ---- */
struct psi_ring_w;

struct psi_ring_config {
	const char *path;
	uint64_t size;	     /* bytes for events; rounded up to a power of two */
	unsigned int mode;   /* of the file: 0640 */
	uint64_t generation; /* larger than that of any start before: the time in ns will do */
	uint64_t now_ns;     /* since 1970: the first heartbeat */
};

/* psi_ring_create makes the file and puts it in the place of an older one. Set-up only. Memory for the whole ring is
 * taken at once, so that a full disk is an error here and not a signal later.
 * Returns 0; -EBUSY when another process writes a ring of that name; another -errno. err says what failed. */
int psi_ring_create(struct psi_ring_w **w, const struct psi_ring_config *cfg, struct psi_err *err);

/* psi_ring_write appends an event. Hot: no system call, no lock, no wait. e->seq must be 1 more than that of the event
 * before; the first one's is free. */
void psi_ring_write(struct psi_ring_w *w, const struct psi_event *e);

/* psi_ring_beat: the writer is alive at now_ns. To be called at least once a second. */
void psi_ring_beat(struct psi_ring_w *w, uint64_t now_ns);

/* psi_ring_close: no more events will come. The file stays, for readers to finish it. w may be NULL. */
void psi_ring_close(struct psi_ring_w *w);

/* psi_ring_tell: what others can ask of the process that writes the ring, psi_ring_engine's fields. It stands in the lock
 * file. Set-up and control only: may be called while another thread writes. */
void psi_ring_tell(struct psi_ring_w *w, uint64_t reloads, const char *said);

/* psi_ring_ask: who writes the ring of that name. Any process that may read the lock file. 0; -ESRCH when nobody does;
 * another -errno. */
struct psi_ring_engine {
	int pid;
	uint64_t reloads; /* so far, those refused included */
	char said[512];	  /* of the last one: "done", or what was wrong */
};
int psi_ring_ask(const char *path, struct psi_ring_engine *e, struct psi_err *err);

/* ---- reader ---- */
struct psi_ring_r;

enum psi_ring_from {
	PSI_RING_OLDEST, /* begin with the oldest event there is */
	PSI_RING_NEWEST, /* begin with the next one to come */
};

/* psi_ring_open maps the ring of that name. Returns 0; -ENOENT when there is none (yet); -EPROTO when the file is not
 * a ring, or one of another version; another -errno. err says what failed.
 * psi_ring_shut ends it; r may be NULL. */
int psi_ring_open(
	struct psi_ring_r **r, const char *path, enum psi_ring_from from, struct psi_err *err);
void psi_ring_shut(struct psi_ring_r *r);

enum psi_ring_rc {
	PSI_RING_EVENT =
		1, /* *e is the next event, sound by psi_event_check, or a gap in their sequence */
	PSI_RING_NONE = 0, /* nothing new */
	PSI_RING_END =
		-1, /* nothing will come: the writer closed the ring and all of it was read */
	PSI_RING_BAD = -2, /* what stands in the file is no ring any more; sticky */
};

/* psi_ring_next: the next event. *e is the reader's, good until its next call. Never waits. An event of a type or
 * version that this reader does not know is passed over and counted. */
enum psi_ring_rc psi_ring_next(struct psi_ring_r *r, const struct psi_event **e);

/* psi_ring_follow: after NONE, END or BAD: moves on to the ring that a new start of the writer has put in place.
 * What was not read before of the old one is finished first. One stat() when there is nothing new.
 * Returns 1 when it moved, 0 when there is nothing to move to, -errno as psi_ring_open. */
int psi_ring_follow(struct psi_ring_r *r, struct psi_err *err);

struct psi_ring_status {
	uint64_t generation, size;
	uint64_t beat_ns;	/* last sign of life of the writer */
	uint64_t written, read; /* events of this generation: written; read by this reader */
	uint64_t lost, unknown; /* by this reader, ever: missed; passed over */
	uint64_t behind;	/* bytes that wait for this reader */
	bool closed;		/* by the writer */
};
void psi_ring_status(const struct psi_ring_r *r, struct psi_ring_status *s);

#endif
