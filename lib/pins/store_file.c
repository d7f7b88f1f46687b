/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of keys: a line a key, the last word on a key counts. The engine appends; when the file has grown to several
 * times what is in memory, or more is to be said than waits in line, it is written anew beside itself, synced and renamed.
 * So at any moment the file is whole but for an appended line that a crash may have cut.
 *
 *     # pinsight keys 1
 *     key HOST SPKI ISSUER-NAME-HASH ISSUER-KEY ROOT-KEY FIRST LAST ISSUER...
 *     own ...                   the same, under the operator's own inspection CA
 *     forget HOST
 *
 * Hashes are base64, "-" where unknown, times seconds since 1970. */
#include "store_pvt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX  (2u << 30) /* bytes of a file that is read at all */
#define SLACK	  4096	     /* lines that a file may have beyond four times its keys */
#define WRITE_BUF (256u << 10)

static const char head[] =
	"# pinsight keys 1: keys that hosts have shown; see pinsight pins learned\n";

/* ---- lines ---- */

static const char *
hash_text(const uint8_t h[32], char out[PSI_PINS_B64_LEN + 1])
{
	static const uint8_t unknown[32];

	return memcmp(h, unknown, 32) == 0 ? "-" : psi_pins_b64(h, out);
}

uint32_t
store_line(char *out, const char *host, const struct key *k)
{
	char h[4][PSI_PINS_B64_LEN + 1];
	int n = snprintf(out, LINE_BYTES, "%s %s %s %s %s %s %" PRId64 " %" PRId64 " %s\n",
		k->own ? "own" : "key", host, hash_text(k->spki, h[0]),
		hash_text(k->issuer_dn, h[1]), hash_text(k->issuer_key, h[2]),
		hash_text(k->root, h[3]), k->first_s, k->last_s, k->issuer);

	PSI_ASSERT(n > 0 && n < LINE_BYTES, "name, hashes, times and issuer are bounded");
	return (uint32_t)n;
}

void
store_later(struct psi_pins_store *s, const char *host, struct key *k)
{
	k->told_s = k->last_s;
	if (!s->pending)
		return;
	if (s->pending_len + LINE_BYTES > PENDING_MAX) {
		s->rewrite = true;
		return;
	}
	s->pending_len += store_line(s->pending + s->pending_len, host, k);
	s->lines++;
}

/* ---- reading ---- */

struct line {
	char text[LINE_BYTES];
	char *at; /* what is left of it */
	const char *why;
};

/* The next word, or NULL. */
static char *
word(struct line *l)
{
	char *w = l->at, *end = strchr(w, ' ');

	if (!*w)
		return NULL;
	if (end)
		*end = 0;
	l->at = end ? end + 1 : w + strlen(w);
	return *w ? w : NULL;
}

static bool
word_hash(struct line *l, uint8_t out[32], bool may_lack)
{
	const char *w = word(l);

	if (w && may_lack && strcmp(w, "-") == 0)
		return true;
	if (w && strlen(w) == PSI_PINS_B64_LEN && !psi_pins_parse_hash(w, false, out))
		return true;
	l->why = may_lack ? "expected a SHA-256 in base64, or -" : "expected a SHA-256 in base64";
	return false;
}

static bool
word_time(struct line *l, int64_t *out)
{
	const char *w = word(l);
	char *end;

	errno = 0;
	if (w && ((w[0] >= '0' && w[0] <= '9') || w[0] == '-')) {
		*out = strtoll(w, &end, 10);
		if (!*end && !errno && *out > INT64_MIN / 4 && *out < INT64_MAX / 4)
			return true;
	}
	l->why = "expected a time in seconds since 1970";
	return false;
}

static char *
word_host(struct line *l)
{
	char *w = word(l);

	if (w && strlen(w) <= PSI_PINS_HOST_MAX && !host_is_name(w)) {
		char folded[PSI_PINS_HOST_MAX + 1];
		uint32_t len = host_fold((const uint8_t *)w, (uint32_t)strlen(w), folded);

		memcpy(w, folded, len + 1);
		return w;
	}
	l->why = "expected a host name";
	return NULL;
}

static bool
read_key(struct psi_pins_store *s, struct line *l, bool own)
{
	struct key k = {.own = own};
	const char *host = word_host(l);

	if (!host || !word_hash(l, k.spki, false) || !word_hash(l, k.issuer_dn, false) ||
		!word_hash(l, k.issuer_key, true) || !word_hash(l, k.root, true) ||
		!word_time(l, &k.first_s) || !word_time(l, &k.last_s))
		return false;
	k.told_s = k.last_s;
	k.issuer = l->at;
	if (strlen(k.issuer) >= PSI_PINS_ISSUER_MAX) {
		l->why = "the issuer's name is longer than one that is written";
		return false;
	}
	l->why = "out of memory";
	return store_put(s, host, (uint32_t)strlen(host), &k);
}

static bool
read_line(struct psi_pins_store *s, struct line *l)
{
	const char *w, *host;

	l->at = l->text;
	if (l->text[0] == '#' || !l->text[0])
		return true;
	w = word(l);
	if (w && (strcmp(w, "key") == 0 || strcmp(w, "own") == 0))
		return read_key(s, l, w[0] == 'o');
	if (w && strcmp(w, "forget") == 0) {
		host = word_host(l);
		if (host)
			store_drop(s, host, (uint32_t)strlen(host));
		return host;
	}
	l->why = "expected a line that begins with key, own or forget";
	return false;
}

int64_t
store_parse(struct psi_pins_store *s, const char *p, size_t len, uint64_t at, uint64_t line,
	struct psi_err *err)
{
	size_t done = 0;
	const char *end;
	struct line l;

	while ((end = memchr(p + done, '\n', len - done))) {
		size_t n = (size_t)(end - (p + done));
		bool fits = n < sizeof(l.text) && !memchr(p + done, 0, n);

		l.why = n < sizeof(l.text) ? "expected text, found a NUL byte"
					   : "the line is too long";
		if (fits) {
			memcpy(l.text, p + done, n);
			l.text[n] = 0;
			if (done + at == 0 && strncmp(l.text, "# pinsight keys 1", 17) != 0) {
				fits = false;
				l.why = "expected '# pinsight keys 1': this is no file of keys, or of another version";
			}
		}
		if (!fits || !read_line(s, &l))
			return psi_err_set(err, -EINVAL,
				"%s:%" PRIu64 " (byte %" PRIu64
				"): %s. To begin anew, move the file away: hosts are then learnt afresh",
				s->path ? s->path : "keys", line, at + done, l.why);
		done += n + 1;
		line++;
		s->lines++;
	}
	return (int64_t)done;
}

/* Reads the file from s->size on; a line that does not end stays for the next time. */
static int
read_on(struct psi_pins_store *s, uint64_t file_size, struct psi_err *err)
{
	size_t len = file_size - s->size, have = 0;
	char *p;
	int64_t n;

	if (file_size > FILE_MAX)
		return psi_err_set(err, -EFBIG,
			"%s: is larger than any file of keys: 2 GiB. Move it away to begin anew",
			s->path);
	p = malloc(len ? len : 1);
	if (!p)
		return psi_err_set(err, -ENOMEM, "%s: out of memory for %zu bytes", s->path, len);
	while (have < len) {
		ssize_t r = pread(s->fd, p + have, len - have, (off_t)(s->size + have));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		have += (size_t)r;
	}
	n = store_parse(s, p, have, s->size, s->lines + 1, err);
	free(p);
	if (n < 0)
		return (int)n;
	s->size += (uint64_t)n;
	return 0;
}

/* ---- writing ---- */

static int
write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

struct writer {
	int fd, rc;
	char *buf;
	uint32_t len;
	uint64_t size, lines;
};

static void
put(struct writer *w, const char *p, uint32_t len)
{
	if (w->len + len > WRITE_BUF) {
		w->rc = w->rc ? w->rc : write_all(w->fd, w->buf, w->len);
		w->len = 0;
	}
	memcpy(w->buf + w->len, p, len);
	w->len += len;
	w->size += len;
	w->lines++;
}

/* Everything in memory, the host unseen for longest first, so that reading it back gives the same order. */
static int
write_snapshot(const struct psi_pins_store *s, struct writer *w)
{
	char line[LINE_BYTES];

	put(w, head, sizeof(head) - 1);
	for (const struct entry *e = s->oldest; e && !w->rc; e = e->newer)
		for (uint32_t i = 0; i < e->key_cnt; i++)
			put(w, line, store_line(line, e->name, &e->key[i]));
	w->rc = w->rc ? w->rc : write_all(w->fd, w->buf, w->len);
	if (!w->rc && fsync(w->fd) != 0)
		w->rc = -errno;
	return w->rc;
}

static void
sync_folder(const char *path)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	int fd;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

/* The new file is locked before it gets its name, so that nobody appends to it unseen. */
static int
rewrite(struct psi_pins_store *s)
{
	struct writer w = {.fd = -1, .buf = malloc(WRITE_BUF)};
	char path[4096 + 8];

	snprintf(path, sizeof(path), "%s.new", s->path);
	w.rc = w.buf ? 0 : -ENOMEM;
	if (!w.rc &&
		(w.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
			 0600)) < 0)
		w.rc = -errno;
	if (!w.rc && flock(w.fd, LOCK_EX | LOCK_NB) != 0)
		w.rc = -errno;
	if (!w.rc)
		write_snapshot(s, &w);
	if (!w.rc && rename(path, s->path) != 0)
		w.rc = -errno;
	free(w.buf);
	if (w.rc) {
		if (w.fd >= 0) {
			close(w.fd);
			unlink(path);
		}
		return w.rc;
	}
	sync_folder(s->path);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = w.fd;
	s->size = w.size;
	s->lines = w.lines;
	s->pending_len = 0;
	s->rewrite = false;
	s->count.rewrites++;
	return 0;
}

/* What was written of a line that did not fit is taken back. */
static int
append(struct psi_pins_store *s)
{
	int rc = write_all(s->fd, s->pending, s->pending_len);

	if (rc) {
		if (ftruncate(s->fd, (off_t)s->size) != 0)
			s->rewrite = true;
		return rc;
	}
	s->size += s->pending_len;
	s->pending_len = 0;
	s->count.writes++;
	return 0;
}

static bool
is_same_file(const struct psi_pins_store *s, uint64_t *size)
{
	struct stat a, b;

	if (fstat(s->fd, &a) != 0 || stat(s->path, &b) != 0)
		return false;
	*size = (uint64_t)a.st_size;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool
overgrown(const struct psi_pins_store *s)
{
	return s->lines > 4 * s->keys + SLACK;
}

/* Under the file's lock: what others have appended is read first, then ours goes behind it. */
static int
flush_locked(struct psi_pins_store *s, struct psi_err *err)
{
	uint64_t size = 0;
	int rc = 0;

	if (!is_same_file(s, &size))
		s->rewrite = true; /* moved away or removed: what is known is written again */
	else if (size > s->size)
		rc = read_on(s, size, err);
	else if (size < s->size)
		s->rewrite = true;
	if (rc)
		return rc;
	if (s->rewrite || overgrown(s))
		rc = rewrite(s);
	else if (s->pending_len)
		rc = append(s);
	return rc ? psi_err_set(err, rc, "%s: cannot be written: %s", s->path, strerror(-rc)) : 0;
}

int
psi_pins_flush(struct psi_pins_store *s, struct psi_err *err)
{
	int rc, fd = s->fd;

	if (fd < 0 || s->mode != PSI_PINS_STORE_WRITE)
		return 0;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? 0 /* somebody appends: next time */
					    : psi_err_set(err, -errno, "%s: cannot be locked: %s",
						      s->path, strerror(errno));
	rc = flush_locked(s, err);
	flock(s->fd, LOCK_UN);
	s->count.write_errors += rc != 0;
	return rc;
}

/* ---- opening ---- */

/* One engine a file, told by a lock on a file beside it, which stays when the other is renamed. */
static int
take(struct psi_pins_store *s, struct psi_err *err)
{
	char path[4096 + 8];

	snprintf(path, sizeof(path), "%s.lock", s->path);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return psi_err_set(err, -errno,
			"%s: cannot be made: %s. Its folder must exist and be writable", path,
			strerror(errno));
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return psi_err_set(err, -EBUSY,
			"%s: another engine has this file; give each its own pins_learn.store",
			s->path);
	return 0;
}

/* What a crash cut short is dropped, so that the next line begins where one does. */
static int
cut_tail(struct psi_pins_store *s, uint64_t size, struct psi_err *err)
{
	if (s->mode != PSI_PINS_STORE_WRITE)
		return 0;
	if (size > s->size && ftruncate(s->fd, (off_t)s->size) != 0)
		return psi_err_set(
			err, -errno, "%s: cannot be written: %s", s->path, strerror(errno));
	s->rewrite = s->size == 0 || overgrown(s);
	s->pending = malloc(PENDING_MAX);
	return s->pending ? 0 : psi_err_set(err, -ENOMEM, "%s: out of memory", s->path);
}

int
store_file_open(
	struct psi_pins_store *s, const struct psi_pins_store_config *cfg, struct psi_err *err)
{
	bool write = cfg->mode == PSI_PINS_STORE_WRITE;
	struct stat st;
	int rc;

	if (!cfg->path[0] || strlen(cfg->path) > 4000)
		return psi_err_set(
			err, -EINVAL, "the path of a file of keys has 1 to 4000 characters");
	s->path = strdup(cfg->path);
	if (!s->path)
		return -ENOMEM;
	if (write && (rc = take(s, err)))
		return rc;
	s->fd = open(s->path,
		write ? O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
	if (s->fd < 0 || fstat(s->fd, &st) != 0)
		return psi_err_set(
			err, -errno, "%s: cannot be opened: %s", s->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return psi_err_set(err, -EINVAL, "%s: is not a regular file", s->path);
	rc = read_on(s, (uint64_t)st.st_size, err);
	return rc ? rc : cut_tail(s, (uint64_t)st.st_size, err);
}

void
store_file_close(struct psi_pins_store *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	s->fd = s->lock_fd = -1;
}

/* ---- forgetting ---- */

/* Opens path and locks it; a file that was renamed away meanwhile is let go. */
static int
open_locked(const char *path)
{
	for (int tries = 0; tries < 100; tries++) {
		int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
		struct stat a, b;

		if (fd < 0 || flock(fd, LOCK_EX) != 0) {
			int rc = -errno;

			if (fd >= 0)
				close(fd);
			return rc;
		}
		if (fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
			a.st_dev == b.st_dev)
			return fd;
		close(fd);
	}
	return -EBUSY;
}

static bool
file_has(const char *path, const char *name, uint32_t len, int *rc, struct psi_err *err)
{
	struct psi_pins_store_config cfg = {
		.path = path, .hosts_max = 1u << 24, .mode = PSI_PINS_STORE_READ};
	struct psi_pins_store *s = psi_pins_store_open(&cfg, err);
	bool has = s && store_drop(s, name, len);

	*rc = s ? -ENOENT : -EINVAL;
	psi_pins_store_close(s);
	return has;
}

/* A line that a crash cut short is dropped, lest ours be taken for its end. */
static int
cut_last_line(int fd)
{
	char end[LINE_BYTES];
	struct stat st;
	ssize_t n;
	char *nl;

	if (fstat(fd, &st) != 0)
		return -errno;
	n = pread(fd, end, sizeof(end), st.st_size > LINE_BYTES ? st.st_size - LINE_BYTES : 0);
	nl = n > 0 ? memrchr(end, '\n', (size_t)n) : NULL;
	if (nl && nl + 1 < end + n && ftruncate(fd, st.st_size - (end + n - nl - 1)) != 0)
		return -errno;
	return 0;
}

int
psi_pins_store_forget(const char *path, const char *host, struct psi_err *err)
{
	char name[PSI_PINS_HOST_MAX + 1], line[LINE_BYTES];
	uint32_t len =
		host_fold((const uint8_t *)host, (uint32_t)PSI_MIN(strlen(host), 4096u), name);
	int fd, rc;

	if (!len || host_is_name(name))
		return psi_err_set(err, -EINVAL, "'%.100s' is not a host name", host);
	if (!file_has(path, name, len, &rc, err))
		return rc == -ENOENT ? psi_err_set(err, rc, "%s: %s is not in it", path, name) : rc;
	fd = open_locked(path);
	if (fd < 0)
		return psi_err_set(err, fd, "%s: cannot be written: %s", path, strerror(-fd));
	rc = cut_last_line(fd);
	rc = rc ? rc
		: write_all(fd, line, (size_t)snprintf(line, sizeof(line), "forget %s\n", name));
	close(fd);
	return rc ? psi_err_set(err, rc, "%s: cannot be written: %s", path, strerror(-rc)) : 0;
}
