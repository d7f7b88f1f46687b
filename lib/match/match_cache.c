/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache folder. hs_deserialize_database believes most of what it is given, so nothing reaches it but a file that only
 * this user or root can have written, that is whole, and that was made from these patterns by this Hyperscan for this
 * processor. The checksum is against accidents; against people there are owner and permissions only. */
#include "match_pvt.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC	     "PSIHSDB\n"
#define VERSION	     1u
#define CACHE_MAX    (1ull << 30)
#define NAME_MAX_TMP (CACHE_NAME_MAX + 32)

/* A number first, so that no two lists of texts are the same bytes. */
static void
key_add(XXH3_state_t *x, const void *p, size_t len)
{
	uint64_t n = len;

	XXH3_128bits_update(x, &n, sizeof(n));
	XXH3_128bits_update(x, p, len);
}

void
cache_key(const struct source *s, uint64_t key[2])
{
	hs_platform_info_t here = {0};
	uint32_t mode = HS_MODE_BLOCK, pointer = sizeof(void *);
	XXH3_state_t *x = XXH3_createState();
	XXH128_hash_t sum;

	PSI_ASSERT(x, "a state of some hundred bytes was there");
	hs_populate_platform(&here);
	XXH3_128bits_reset(x);
	key_add(x, hs_version(), strlen(hs_version()));
	key_add(x, &here, sizeof(here));
	key_add(x, &mode, sizeof(mode));
	key_add(x, &pointer, sizeof(pointer));
	key_add(x, s->flags, s->cnt * sizeof(*s->flags));
	key_add(x, s->id, s->cnt * sizeof(*s->id));
	for (uint32_t i = 0; i < s->cnt; i++)
		key_add(x, s->text[i], strlen(s->text[i]));
	sum = XXH3_128bits_digest(x);
	XXH3_freeState(x);
	key[0] = sum.high64;
	key[1] = sum.low64;
}

const char *
cache_judge(const uint8_t *p, size_t len, const uint64_t key[2])
{
	struct cache_header h;
	XXH128_hash_t sum;

	if (len < sizeof(h))
		return "it is shorter than its header";
	memcpy(&h, p, sizeof(h));
	if (memcmp(h.magic, MAGIC, sizeof(h.magic)) != 0)
		return "it is not a cache of rules";
	if (h.version != VERSION || h.header_len != sizeof(h))
		return "it is of another version or byte order";
	if (h.header_sum != XXH3_64bits(&h, offsetof(struct cache_header, header_sum)))
		return "its header is damaged";
	if (h.key[0] != key[0] || h.key[1] != key[1])
		return "it was made from other patterns, by another Hyperscan or for another processor";
	if (h.len != len - sizeof(h))
		return "its length is not what its header says";
	sum = XXH3_128bits(p + sizeof(h), h.len);
	if (sum.high64 != h.sum[0] || sum.low64 != h.sum[1])
		return "it is damaged";
	return NULL;
}

/* Ours or root's, and nobody else may write it. In a folder that all may write to and whose entries only their owners may
 * replace (the sticky bit) the file's own owner decides. */
static const char *
not_ours(const struct stat *st, bool folder)
{
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return "its owner is another user";
	if (st->st_mode & 022 && !(folder && st->st_mode & S_ISVTX))
		return "others may write to it (chmod go-w)";
	return NULL;
}

/* Returns the folder, opened and made if need be, or -1 after a note. */
static int
open_folder(struct teller *t)
{
	const char *path = t->cfg->cache_dir;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *why;
	struct stat st;

	if (fd < 0 && errno == ENOENT && t->cfg->cache_keep)
		return -1;
	if (fd < 0 && errno == ENOENT && mkdir(path, 0700) == 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		note(t, "rules: cache folder %s: %s", path, strerror(errno));
		return -1;
	}
	why = fstat(fd, &st) ? strerror(errno) : not_ours(&st, true);
	if (why) {
		note(t, "rules: cache folder %s is not used: %s", path, why);
		close(fd);
		return -1;
	}
	return fd;
}

static bool
read_whole(int fd, uint8_t *p, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = read(fd, p + at, len - at);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* The file's bytes from malloc, or NULL and why; *why NULL: there is none. */
static uint8_t *
read_file(int dir, const char *name, size_t *len, const char **why)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint8_t *p = NULL;
	struct stat st;

	*why = NULL;
	if (fd < 0) {
		if (errno != ENOENT)
			*why = strerror(errno);
		return NULL;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		*why = "it is not a file";
	else if (!(*why = not_ours(&st, false)) && (uint64_t)st.st_size > CACHE_MAX)
		*why = "it is larger than 1 GiB";
	if (!*why) {
		*len = (size_t)st.st_size;
		p = malloc(*len + 1);
		if (!p || !read_whole(fd, p, *len)) {
			*why = p ? "it cannot be read to its end" : "out of memory";
			free(p);
			p = NULL;
		}
	}
	close(fd);
	return p;
}

hs_database_t *
cache_read(struct teller *t, const char *name, const uint64_t key[2])
{
	int dir = open_folder(t);
	hs_database_t *db = NULL;
	const char *why;
	uint8_t *p;
	size_t len;

	if (dir < 0)
		return NULL;
	p = read_file(dir, name, &len, &why);
	close(dir);
	if (p && !(why = cache_judge(p, len, key)) &&
		hs_deserialize_database((const char *)p + sizeof(struct cache_header),
			len - sizeof(struct cache_header), &db) != HS_SUCCESS)
		why = "Hyperscan does not take it";
	free(p);
	if (why)
		note(t, "rules: cache file %s/%s is not used: %s", t->cfg->cache_dir, name, why);
	return db;
}

static bool
write_whole(int fd, const void *p, size_t len)
{
	const uint8_t *from = p;

	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, from + at, len - at);

		if (n < 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* Under another name first: whoever opens the file finds an old one or a new one, both whole. */
static bool
write_file(int dir, const char *name, const struct cache_header *h, const char *p)
{
	char tmp[NAME_MAX_TMP];
	bool done;
	int fd;

	snprintf(tmp, sizeof(tmp), ".%s.%ld.tmp", name, (long)getpid());
	unlinkat(dir, tmp, 0);
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	done = write_whole(fd, h, sizeof(*h)) && write_whole(fd, p, h->len) && fsync(fd) == 0;
	done = close(fd) == 0 && done;
	done = done && renameat(dir, tmp, dir, name) == 0;
	if (!done)
		unlinkat(dir, tmp, 0);
	return done;
}

void
cache_write(struct teller *t, const char *name, const uint64_t key[2], const hs_database_t *db)
{
	struct cache_header h = {.version = VERSION, .header_len = sizeof(h)};
	XXH128_hash_t sum;
	char *p = NULL;
	size_t len;
	int dir;

	if (hs_serialize_database(db, &p, &len) != HS_SUCCESS)
		return;
	memcpy(h.magic, MAGIC, sizeof(h.magic));
	h.key[0] = key[0];
	h.key[1] = key[1];
	h.len = len;
	sum = XXH3_128bits(p, len);
	h.sum[0] = sum.high64;
	h.sum[1] = sum.low64;
	h.header_sum = XXH3_64bits(&h, offsetof(struct cache_header, header_sum));
	dir = open_folder(t);
	if (dir >= 0 && !write_file(dir, name, &h, p))
		note(t, "rules: cache file %s/%s cannot be written: %s", t->cfg->cache_dir, name,
			strerror(errno));
	if (dir >= 0)
		close(dir);
	free(p);
}
