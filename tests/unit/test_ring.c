/* SPDX-License-Identifier: BSD-3-Clause */
/* Writer and reader in one process, in turns: what each state of the ring must show. Two processes at once are
 * tests/stress/stress_ring.c; the order of loads and stores is tests/ref/ring_model.py. */
#include "psi_unit.h"

#include "ring_pvt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/psi_ring.XXXXXX", path[64];
static uint64_t mem[PSI_EVENT_MAX / 8];
static uint8_t bytes[PSI_EVENT_MAX];

static struct psi_ring_w *
create(uint64_t generation)
{
	struct psi_ring_config cfg = {
		.path = path, .size = 1, .generation = generation, .now_ns = 5};
	struct psi_ring_w *w;
	struct psi_err err = {""};

	if (psi_ring_create(&w, &cfg, &err) != 0)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	return w;
}

static struct psi_ring_r *
open_ring(enum psi_ring_from from)
{
	struct psi_ring_r *r;
	struct psi_err err = {""};

	if (psi_ring_open(&r, path, from, &err) != 0)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	return r;
}

/* An event of len bytes whose contents follow from seq. */
static const struct psi_event *
event(uint64_t seq, uint32_t len)
{
	struct psi_event_w w;

	memset(bytes, (int)(seq * 7 + 1), sizeof(bytes));
	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_TLS_FLOW);
	if (len > 32)
		psi_event_put_bytes(&w, PSI_F_TLS_SNI, bytes, len - 28);
	return psi_event_end(&w, seq, seq * 1000);
}

static void
write_many(struct psi_ring_w *w, uint64_t from, uint64_t to, uint32_t len)
{
	for (uint64_t seq = from; seq <= to; seq++)
		psi_ring_write(w, event(seq, len));
}

/* The next event is number seq, whole. */
static bool
is_next(struct psi_ring_r *r, uint64_t seq, uint32_t len)
{
	const struct psi_event *e = NULL;

	return psi_ring_next(r, &e) == PSI_RING_EVENT && e->type == PSI_EVENT_TLS_FLOW &&
	       e->seq == seq && memcmp(e, event(seq, len), e->len) == 0;
}

static enum psi_ring_rc
next(struct psi_ring_r *r)
{
	const struct psi_event *e;

	return psi_ring_next(r, &e);
}

static uint64_t
number(const struct psi_event *e, enum psi_field f)
{
	struct psi_event_r in;
	struct psi_value v;

	psi_event_fields(e, &in);
	return psi_event_find(&in, f, &v) ? psi_value_u64(&v) : 0;
}

/* The next event is a gap over [first,last]. */
static bool
is_gap(struct psi_ring_r *r, uint64_t first, uint64_t last)
{
	const struct psi_event *e = NULL;

	return psi_ring_next(r, &e) == PSI_RING_EVENT && psi_event_check(e, e->len) == PSI_OK &&
	       e->type == PSI_EVENT_GAP && e->seq == last && number(e, PSI_F_GAP_FIRST) == first &&
	       number(e, PSI_F_GAP_LAST) == last && number(e, PSI_F_GAP_LOST) == last - first + 1;
}

static void
test_write_and_read(void)
{
	struct psi_ring_w *w = create(1);
	struct psi_ring_r *r = open_ring(PSI_RING_OLDEST);
	struct psi_ring_status s;

	CU_ASSERT_EQUAL(next(r), PSI_RING_NONE);
	psi_ring_write(w, event(7, 100));
	psi_ring_write(w, event(8, 24));
	CU_ASSERT(is_next(r, 7, 100));
	psi_ring_status(r, &s);
	CU_ASSERT(s.generation == 1 && s.size == PSI_RING_SIZE_MIN && s.written == 2 &&
		  s.read == 1 && s.lost == 0);
	CU_ASSERT(s.behind == 24 && s.beat_ns == 5 && !s.closed);
	CU_ASSERT(is_next(r, 8, 24));
	CU_ASSERT_EQUAL(next(r), PSI_RING_NONE);
	psi_ring_beat(w, 6);
	psi_ring_write(w, event(9, 64));
	psi_ring_close(w);
	psi_ring_status(r, &s);
	CU_ASSERT(s.closed && s.beat_ns == 6);
	CU_ASSERT(is_next(r, 9, 64));
	CU_ASSERT_EQUAL(next(r), PSI_RING_END);
	CU_ASSERT_EQUAL(next(r), PSI_RING_END);
	psi_ring_shut(r);
}

/* Many laps with every length, read at once: nothing is lost, at no place of the seam. */
static void
test_laps(void)
{
	struct psi_ring_w *w = create(1);
	struct psi_ring_r *r = open_ring(PSI_RING_OLDEST);
	struct psi_ring_status s;
	uint64_t seq = 0;

	for (uint32_t len = 24; len <= PSI_EVENT_MAX; len += len < 4096 ? 8 : 4096 - 8, seq++) {
		psi_ring_write(w, event(seq, len));
		CU_ASSERT(is_next(r, seq, len));
	}
	for (int i = 0; i < 64; i++, seq++) {
		psi_ring_write(w, event(seq, PSI_EVENT_MAX));
		CU_ASSERT(is_next(r, seq, PSI_EVENT_MAX));
	}
	psi_ring_status(r, &s);
	CU_ASSERT(s.lost == 0 && s.read == seq && s.behind == 0);
	psi_ring_shut(r);
	psi_ring_close(w);
}

/* 1 MiB holds 1024 events of 1 KiB exactly. */
static void
test_overtaken(void)
{
	struct psi_ring_w *w = create(1);
	struct psi_ring_r *r = open_ring(PSI_RING_OLDEST), *all = open_ring(PSI_RING_OLDEST), *late;
	struct psi_ring_status s;

	write_many(w, 1, 1, 1024);
	CU_ASSERT(is_next(r, 1, 1024));
	CU_ASSERT(is_next(all, 1, 1024));
	write_many(w, 2, 1025, 1024); /* the ring holds 2 to 1025: nothing is lost yet */
	CU_ASSERT(is_next(all, 2, 1024));
	write_many(w, 1026, 1100, 1024); /* the ring holds 77 to 1100 */
	/* Event n begins at n - 1 KiB. r goes on at the first event of the 64 KiB that hold the place half a ring
	 * behind the oldest: 76 + 512 = 588 KiB is in those from 576 KiB on. */
	CU_ASSERT(is_gap(r, 2, 576));
	CU_ASSERT(is_next(r, 577, 1024));
	for (uint64_t seq = 578; seq <= 1100; seq++)
		CU_ASSERT(is_next(r, seq, 1024));
	CU_ASSERT_EQUAL(next(r), PSI_RING_NONE);
	psi_ring_status(r, &s);
	CU_ASSERT_EQUAL(s.lost, 575);
	CU_ASSERT_EQUAL(s.read + s.lost, s.written);
	late = open_ring(
		PSI_RING_OLDEST); /* a new reader has missed nothing, it begins with what is there */
	CU_ASSERT(is_next(late, 77, 1024));
	psi_ring_shut(late);
	psi_ring_shut(all);
	psi_ring_shut(r);
	psi_ring_close(w);
}

/* Whatever the lengths and however far behind: read and lost are all that was written. */
static void
test_lost_is_exact(void)
{
	struct psi_ring_w *w = create(1);
	struct psi_ring_r *r = open_ring(PSI_RING_NEWEST);
	const struct psi_event *e;
	struct psi_ring_status s;
	uint64_t seq = 100, got = 0, gaps = 0, rnd = 12345;

	for (int round = 0; round < 60; round++) {
		uint64_t more = 0;

		for (int k = 0; k < 300; k++, more++) {
			rnd = rnd * 6364136223846793005u + 1442695040888963407u;
			psi_ring_write(w, event(seq++, 24 + (uint32_t)(rnd >> 33) % 12000 / 8 * 8));
		}
		for (uint64_t k = 0; k < (rnd >> 40) % 200; k++)
			if (psi_ring_next(r, &e) == PSI_RING_EVENT) {
				if (e->type == PSI_EVENT_GAP)
					gaps += number(e, PSI_F_GAP_LOST);
				else
					got++;
			}
	}
	while (psi_ring_next(r, &e) == PSI_RING_EVENT) {
		CU_ASSERT_EQUAL(psi_event_check(e, e->len), PSI_OK);
		if (e->type == PSI_EVENT_GAP)
			gaps += number(e, PSI_F_GAP_LOST);
		else
			got++;
	}
	psi_ring_status(r, &s);
	CU_ASSERT(gaps > 0 && gaps == s.lost && got == s.read);
	CU_ASSERT_EQUAL(got + gaps, seq - 100);
	CU_ASSERT_EQUAL(s.written, seq - 100);
	psi_ring_shut(r);
	psi_ring_close(w);
}

static void
test_newest(void)
{
	struct psi_ring_w *w = create(1);
	struct psi_ring_r *r;

	write_many(w, 1, 2000, 1024);
	r = open_ring(PSI_RING_NEWEST);
	CU_ASSERT_EQUAL(next(r), PSI_RING_NONE);
	write_many(w, 2001, 2001, 1024);
	CU_ASSERT(is_next(r, 2001, 1024));
	psi_ring_shut(r);
	/* Overtaken before its first look, it still knows where it began. */
	r = open_ring(PSI_RING_NEWEST);
	write_many(w, 2002, 4000, 1024);
	CU_ASSERT(is_gap(r, 2002, 3456)); /* (4000 - 1024 + 512) / 64 * 64 */
	psi_ring_shut(r);
	psi_ring_close(w);
}

static void
test_follow(void)
{
	struct psi_ring_w *w = create(1);
	struct psi_ring_r *r = open_ring(PSI_RING_OLDEST);
	struct psi_ring_status s;

	write_many(w, 1, 3, 64);
	CU_ASSERT(is_next(r, 1, 64));
	CU_ASSERT_EQUAL(psi_ring_follow(r, NULL), 0);
	psi_ring_close(w);
	w = create(2);
	write_many(w, 501, 503, 64);
	CU_ASSERT_EQUAL(psi_ring_follow(r, NULL), 0); /* the old one is finished first */
	CU_ASSERT(is_next(r, 2, 64));
	CU_ASSERT(is_next(r, 3, 64));
	CU_ASSERT_EQUAL(next(r), PSI_RING_END);
	CU_ASSERT_EQUAL(psi_ring_follow(r, NULL), 1);
	CU_ASSERT_EQUAL(psi_ring_follow(r, NULL), 0);
	CU_ASSERT(is_next(r, 501, 64));
	psi_ring_status(r, &s);
	CU_ASSERT(s.generation == 2 && s.written == 3 && s.read == 1 && s.lost == 0);
	psi_ring_close(w);
	/* What a new generation has overwritten before the reader came is lost, and counted. */
	w = create(3);
	write_many(w, 1, 2000, 1024);
	CU_ASSERT(is_next(r, 502, 64));
	CU_ASSERT(is_next(r, 503, 64));
	CU_ASSERT_EQUAL(psi_ring_follow(r, NULL), 1);
	CU_ASSERT(is_gap(r, 1, 1472)); /* (2000 - 1024 + 512) / 64 * 64 */
	CU_ASSERT(is_next(r, 1473, 1024));
	psi_ring_close(w);
	unlink(path);
	CU_ASSERT_EQUAL(psi_ring_follow(r, NULL), 0);
	psi_ring_shut(r);
}

static void
test_refusals(void)
{
	struct psi_ring_config cfg = {.path = path, .size = 1};
	struct psi_ring_w *w = create(1), *second;
	struct psi_err err = {""};
	struct psi_ring_r *r;
	struct stat st;

	CU_ASSERT_EQUAL(psi_ring_create(&second, &cfg, &err), -EBUSY);
	CU_ASSERT_PTR_NULL(second);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "another process writes this ring"));
	CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0640);
	psi_ring_close(w);
	unlink(path);
	CU_ASSERT_EQUAL(psi_ring_open(&r, path, PSI_RING_OLDEST, &err), -ENOENT);
	CU_ASSERT_PTR_NULL(r);
	cfg.path = "/nonexistent/ring";
	CU_ASSERT_EQUAL(psi_ring_create(&w, &cfg, &err), -ENOENT);
	CU_ASSERT_EQUAL(psi_ring_open(&r, "/dev/null", PSI_RING_OLDEST, &err), -EPROTO);
	psi_ring_close(NULL);
	psi_ring_shut(NULL);
}

/* ---- files that lie ---- */

static struct ring_file *
map_file(void)
{
	int fd = open(path, O_RDWR);
	void *p = mmap(
		NULL, RING_DATA_OFF + PSI_RING_SIZE_MIN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	CU_ASSERT_FATAL(p != MAP_FAILED);
	return p;
}

static void
test_bad_header(void)
{
	struct ring_file *f, saved;
	struct psi_err err = {""};
	struct psi_ring_r *r;

	psi_ring_close(create(1));
	f = map_file();
	memcpy(&saved, f, sizeof(saved));
	f->magic[0] = 'X';
	CU_ASSERT_EQUAL(psi_ring_open(&r, path, PSI_RING_OLDEST, &err), -EPROTO);
	memcpy(f, &saved, sizeof(saved));
	f->version++;
	CU_ASSERT_EQUAL(psi_ring_open(&r, path, PSI_RING_OLDEST, &err), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "version 2"));
	memcpy(f, &saved, sizeof(saved));
	f->size *= 2;
	CU_ASSERT_EQUAL(psi_ring_open(&r, path, PSI_RING_OLDEST, &err), -EPROTO);
	f->size = 0;
	CU_ASSERT_EQUAL(psi_ring_open(&r, path, PSI_RING_OLDEST, &err), -EPROTO);
	munmap(f, RING_DATA_OFF + PSI_RING_SIZE_MIN);
}

/* A word in the place of the second record's first: what the reader must say. */
static enum psi_ring_rc
with_word(uint64_t word, uint64_t head)
{
	struct psi_ring_w *w = create(1);
	struct psi_ring_r *r = open_ring(PSI_RING_OLDEST);
	struct ring_file *f = map_file();
	enum psi_ring_rc rc;

	write_many(w, 1, 3, 64);
	*(uint64_t *)(void *)((uint8_t *)f + RING_DATA_OFF + 64) = word;
	if (head)
		f->head = head;
	CU_ASSERT(is_next(r, 1, 64));
	rc = next(r);
	if (rc == PSI_RING_BAD)
		CU_ASSERT_EQUAL(next(r), PSI_RING_BAD);
	munmap(f, RING_DATA_OFF + PSI_RING_SIZE_MIN);
	psi_ring_shut(r);
	psi_ring_close(w);
	return rc;
}

static void
test_bad_records(void)
{
	const uint64_t flow = 2ull << 32 | 1ull << 40;

	CU_ASSERT_EQUAL(with_word(flow | 64, 0), PSI_RING_EVENT);
	CU_ASSERT_EQUAL(with_word(flow | 0, 0), PSI_RING_BAD);
	CU_ASSERT_EQUAL(with_word(flow | 8, 0), PSI_RING_BAD);
	CU_ASSERT_EQUAL(with_word(flow | 60, 0), PSI_RING_BAD);
	CU_ASSERT_EQUAL(with_word(flow | 136, 0), PSI_RING_BAD); /* beyond head */
	CU_ASSERT_EQUAL(with_word(flow | 0xfffffff8, UINT64_MAX), PSI_RING_BAD);
	CU_ASSERT_EQUAL(with_word(flow | (PSI_EVENT_MAX + 8), UINT64_MAX), PSI_RING_BAD);
	CU_ASSERT_EQUAL(with_word(64, 0), PSI_RING_BAD); /* a pad that does not reach the end */
	/* Not an event of ours, but of a sound length: passed over. The third follows. */
	CU_ASSERT_EQUAL(with_word(99ull << 32 | 1ull << 40 | 64, 0), PSI_RING_EVENT);
	CU_ASSERT_EQUAL(with_word(flow | 64, 64), PSI_RING_NONE);
}

static int
make_dir(void)
{
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/ring", dir);
	return 0;
}

static int
drop_dir(void)
{
	char name[80];

	unlink(path);
	snprintf(name, sizeof(name), "%s.lock", path);
	unlink(name);
	return rmdir(dir);
}

static CU_TestInfo ring_tests[] = {
	{"what is written is read, until the writer closes", test_write_and_read},
	{"lap after lap, every length", test_laps},
	{"a reader that was overtaken", test_overtaken},
	{"read and lost are all that was written", test_lost_is_exact},
	{"a reader that begins with the newest", test_newest},
	{"a reader follows the writer's restart", test_follow},
	{"what is refused", test_refusals},
	{"headers that lie", test_bad_header},
	{"records that lie", test_bad_records},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "ring", .pInitFunc = make_dir, .pCleanupFunc = drop_dir, .pTests = ring_tests},
	CU_SUITE_INFO_NULL,
};
