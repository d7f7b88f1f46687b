/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading a list. First the lines: each good name is moved to the front of the text, behind the one before it, which
 * always fits, because a name needs one byte more than its letters and so did its line. Then, with the number known, the
 * table. Between the two a name carries what it asks for in the byte that will be its NUL. */
#include "hosts_pvt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct loader {
	struct psi_hosts *h;
	const char *path;
	psi_hosts_tell *tell;
	void *ctx;
	struct psi_err *err;
	uint32_t line, bad;
	const char *line_at; /* where it begins */
};

/* Returns 0, so that a caller's name is not taken. */
static uint32_t
complain(struct loader *l, const char *where, const char *what)
{
	char text[sizeof(l->err->text)];
	uint32_t col = (uint32_t)(where - l->line_at) + 1;

	snprintf(text, sizeof(text), "%s:%u:%u: %s", l->path, l->line, col, what);
	if (!l->bad++)
		psi_err_set(l->err, -EINVAL, "%s", text);
	if (l->tell)
		l->tell(l->ctx, text);
	return 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* What is wrong with a byte that no name has. */
static const char *
why_not(uint8_t c)
{
	if (c >= 0x80)
		return "not ASCII: write the name as DNS has it, in punycode (xn--...)";
	if (c == 0)
		return "a NUL byte; is this a text file?";
	if (is_blank((char)c))
		return "more than one word; expected one name a line";
	if (c == '*')
		return "\"*\" stands for whole labels and only in front: \"*.a.example\"";
	if (c == ':' || c == '/')
		return "no host name; expected a name without scheme, port and path";
	return "this character is not in host names; letters, digits, \"-\", \"_\" and \".\" are";
}

/* The letters of [p,end) to out. Returns false after saying what is wrong. out may be p, or before it. */
static bool
take_name(struct loader *l, const char *p, const char *end, char *out)
{
	const char *label = p;

	for (const char *q = p; q <= end; q++) {
		char c = q < end ? name_byte((uint8_t)*q) : '.';

		if (!c)
			return complain(l, q, why_not((uint8_t)*q));
		if (c == '.' && q == label)
			return complain(
				l, q, "an empty label; expected letters or digits around each dot");
		if (c == '.' && q - label > 63)
			return complain(l, label, "a label is longer than 63 characters");
		if (c == '.')
			label = q + 1;
		if (q < end)
			*out++ = c;
	}
	return true;
}

/* One line without its newline. Returns the bytes written at out, its last being what the name asks for. */
static uint32_t
take_line(struct loader *l, const char *p, const char *end, char *out)
{
	uint8_t asks = SELF;
	uint32_t labels = 1, len;

	while (p < end && is_blank(*p))
		p++;
	for (const char *q = p; q < end; q++)
		if (*q == '#' && (q == p || is_blank(q[-1])))
			end = q;
	while (end > p && is_blank(end[-1]))
		end--;
	if (p == end)
		return 0;
	if (end - p >= 2 && p[0] == '*' && p[1] == '.')
		asks = BELOW, p += 2;
	else if (*p == '.' && end - p > 1)
		asks = ASKS, p++;
	if (end - p > 1 && end[-1] == '.')
		end--;
	if (end - p > PSI_HOSTS_NAME_MAX)
		return complain(l, p, "the name is longer than 253 characters");
	if (!take_name(l, p, end, out))
		return 0;
	len = (uint32_t)(end - p);
	for (uint32_t i = 0; i < len; i++)
		labels += out[i] == '.';
	l->h->depth[labels] |= asks;
	out[len] = (char)asks;
	return len + 1;
}

/* All lines of [p,end), which is h->text. Sets text_len and names. */
static void
take_lines(struct loader *l, const char *p, const char *end)
{
	char *out = l->h->text;

	if (end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	while (p < end && l->bad < PSI_HOSTS_COMPLAINTS_MAX) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		uint32_t used;

		l->line++;
		l->line_at = p;
		used = take_line(l, p, nl ? nl : end, out);
		out += used;
		l->h->names += used > 0;
		p = nl ? nl + 1 : end;
	}
	l->h->text_len = (size_t)(out - l->h->text);
}

static void
add(struct psi_hosts *h, char *name, size_t len, uint32_t asks)
{
	uint64_t hash = name_hash(h, name, len);
	struct slot *s;

	name[len] = 0;
	s = name_slot(h, hash, name, len);
	if ((s->ref & asks) == asks) {
		h->twice++;
		h->names--;
	} else if (s->ref) {
		h->names--;
		s->ref |= asks;
	} else {
		*s = (struct slot){(uint32_t)(hash >> 32), (uint32_t)(name - h->text) << 2 | asks};
	}
}

static bool
make_table(struct psi_hosts *h)
{
	uint64_t cnt = 16;

	while (cnt * 2 < (uint64_t)h->names * 3)
		cnt *= 2;
	h->slot_mask = cnt - 1;
	h->slot = calloc(cnt, sizeof(*h->slot));
	if (!h->slot)
		return false;
	for (char *p = h->text, *end = p + h->text_len; p < end;) {
		char *q = p;

		while ((uint8_t)*q > ASKS)
			q++;
		add(h, p, (size_t)(q - p), (uint8_t)*q);
		p = q + 1;
	}
	return true;
}

/* Takes text, from malloc, len + 1 bytes, over. */
static struct psi_hosts *
load(const char *path, char *text, size_t len, psi_hosts_tell *tell, void *ctx, struct psi_err *err)
{
	struct psi_hosts *h = calloc(1, sizeof(*h));
	struct loader l = {.h = h, .path = path, .tell = tell, .ctx = ctx, .err = err};
	char *fit;

	if (!h) {
		free(text);
		psi_err_set(err, -ENOMEM, "%s: out of memory", path);
		return NULL;
	}
	h->text = text;
	if (getrandom(&h->key, sizeof(h->key), 0) != sizeof(h->key))
		psi_err_set(err, -(l.bad = EIO), "%s: the system gives no random numbers", path);
	else
		take_lines(&l, text, text + len);
	fit = l.bad ? NULL : realloc(text, h->text_len + 1);
	if (fit)
		h->text = fit;
	if (!l.bad && !make_table(h))
		psi_err_set(
			err, -(l.bad = ENOMEM), "%s: out of memory for %u names", path, h->names);
	if (l.bad) {
		psi_hosts_close(h);
		return NULL;
	}
	return h;
}

struct psi_hosts *
psi_hosts_parse(const char *path, const void *text, size_t len, psi_hosts_tell *tell, void *ctx,
	struct psi_err *err)
{
	char *copy = len <= PSI_HOSTS_FILE_MAX ? malloc(len + 1) : NULL;

	if (!copy) {
		psi_err_set(err, -ENOMEM, "%s: out of memory for %zu bytes", path, len);
		return NULL;
	}
	if (len)
		memcpy(copy, text, len);
	return load(path, copy, len, tell, ctx, err);
}

/* The whole of fd, a file, from malloc and with room for one byte more. */
static char *
read_all(int fd, size_t *len, const char **why)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		*why = "expected a file of names, one a line";
		return NULL;
	}
	if ((uint64_t)st.st_size > PSI_HOSTS_FILE_MAX) {
		*why = "larger than 512 MiB; split it into several lists";
		return NULL;
	}
	text = malloc((size_t)st.st_size + 1);
	*why = "out of memory";
	for (*len = 0; text && *len < (size_t)st.st_size; *len += (size_t)n) {
		n = read(fd, text + *len, (size_t)st.st_size - *len);
		if (n == 0)
			break; /* it became shorter: what is there counts */
		if (n < 0) {
			*why = strerror(errno);
			free(text);
			return NULL;
		}
	}
	return text;
}

struct psi_hosts *
psi_hosts_open(const char *path, psi_hosts_tell *tell, void *ctx, struct psi_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *why = fd < 0 ? strerror(errno) : NULL;
	char *text;
	size_t len;

	text = fd < 0 ? NULL : read_all(fd, &len, &why);
	if (fd >= 0)
		close(fd);
	if (!text) {
		psi_err_set(err, -EINVAL, "%s: cannot be read: %s", path, why);
		return NULL;
	}
	return load(path, text, len, tell, ctx, err);
}

void
psi_hosts_close(struct psi_hosts *h)
{
	if (!h)
		return;
	free(h->slot);
	free(h->text);
	free(h);
}
