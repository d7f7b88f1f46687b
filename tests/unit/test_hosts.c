/* SPDX-License-Identifier: BSD-3-Clause */
/* Host lists: expected by hand, and by a slow twin that compares every entry with the host as text. */
#include "psi_unit.h"

#include "hosts_pvt.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>

static struct {
	uint32_t cnt;
	char text[16384];
} told;

static void
listen(void *ctx, const char *text)
{
	size_t at = strlen(told.text);

	told.cnt++;
	snprintf(told.text + at, sizeof(told.text) - at, "%s\n", text);
}

/* From an exact copy. */
static struct psi_hosts *
parse(const char *text, size_t len, struct psi_err *err)
{
	uint8_t *copy = exact(text, len);
	struct psi_hosts *h;

	memset(&told, 0, sizeof(told));
	h = psi_hosts_parse("list", copy, len, listen, NULL, err);
	free(copy);
	return h;
}

static struct psi_hosts *
good(const char *text)
{
	struct psi_err err = {""};
	struct psi_hosts *h = parse(text, strlen(text), &err);

	CU_ASSERT_STRING_EQUAL(err.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	return h;
}

static bool
has(const struct psi_hosts *h, const char *name)
{
	uint32_t len = (uint32_t)strlen(name);
	uint8_t *copy = exact(name, len);
	struct psi_host host;
	bool yes = psi_host_set(&host, copy, len) && psi_hosts_find(h, &host);

	free(copy);
	return yes;
}

static void
test_forms(void)
{
	struct psi_hosts *h = good("one.example\n"
				   ".both.example\n"
				   "*.below.example\n"
				   "TEST\n"
				   "10.0.0.1\n"
				   "_srv._tcp.a-b.example.\n");

	CU_ASSERT(has(h, "one.example") && has(h, "ONE.example") && has(h, "one.Example."));
	CU_ASSERT(!has(h, "x.one.example") && !has(h, "example") && !has(h, "zone.example"));
	CU_ASSERT(has(h, "both.example") && has(h, "x.both.example") && has(h, "y.X.both.example"));
	CU_ASSERT(!has(h, "xboth.example"));
	CU_ASSERT(!has(h, "below.example") && has(h, "x.below.example") &&
		  has(h, "y.x.below.example"));
	CU_ASSERT(has(h, "test") && !has(h, "a.test"));
	CU_ASSERT(has(h, "10.0.0.1") && !has(h, "1.10.0.0.1"));
	CU_ASSERT(has(h, "_srv._tcp.a-b.example"));
	CU_ASSERT(!has(h, "") && !has(h, ".") && !has(h, "..") && !has(h, ".one.example") &&
		  !has(h, "one..example") && !has(h, "one.example.."));
	CU_ASSERT(!has(h, "one.example ") && !has(h, "\xff.both.example"));
	psi_hosts_close(h);
}

static void
test_lines(void)
{
	struct psi_hosts *h = good("\xef\xbb\xbf# a list\n"
				   "\n"
				   "  a.example\t# why\r\n"
				   "\tb.example  \r\n"
				   "   # nothing\n"
				   "#c.example\n"
				   "\r\n"
				   "d.example #e.example\n"
				   "f.example"); /* no newline */
	struct psi_hosts_count c;

	psi_hosts_count(h, &c);
	CU_ASSERT(c.names == 4 && c.twice == 0);
	CU_ASSERT(has(h, "a.example") && has(h, "b.example") && has(h, "d.example") &&
		  has(h, "f.example"));
	CU_ASSERT(!has(h, "c.example") && !has(h, "e.example"));
	psi_hosts_close(h);
	h = good("");
	CU_ASSERT(!has(h, "a.example"));
	psi_hosts_close(h);
	h = good("# nothing\n");
	CU_ASSERT(!has(h, "a.example"));
	psi_hosts_close(h);
	psi_hosts_close(NULL);
}

static void
test_twice(void)
{
	struct psi_hosts *h = good("a.example\nA.EXAMPLE.\n*.a.example\n.a.example\nb.example\n");
	struct psi_hosts_count c;

	psi_hosts_count(h, &c);
	CU_ASSERT(c.names == 2 && c.twice == 2); /* the third line said something new */
	CU_ASSERT(has(h, "a.example") && has(h, "x.a.example") && !has(h, "x.b.example"));
	psi_hosts_close(h);
}

static void
test_bad_lines(void)
{
	static const char list[] = "ok.example\n"
				   "b\xc3\xbc"
				   "cher.example\n"	  /* 2:2 */
				   "  two words\n"	  /* 3:6 */
				   "a..example\n"	  /* 4:3 */
				   "a.*.example\n"	  /* 5:3 */
				   "https://a.example/\n" /* 6:6 */
				   "*\n"		  /* 7:1 */
				   "nul\0.example\n"	  /* 8:4 */
				   "0.0.0.0 ads.example\n"
				   "a.example..\n" /* 10:11 */
				   ".\n"
				   "*.\n"
				   "a$b\n";
	static const char *const says[] = {"list:2:2: not ASCII", "list:3:6: more than one word",
		"list:4:3: an empty label", "list:5:3: \"*\" stands for", "list:6:6: no host name",
		"list:7:1: \"*\" stands for", "list:8:4: a NUL byte", "list:9:8: more than one",
		"list:10:11: an empty label", "list:11:1: an empty", "list:12:3: an empty",
		"list:13:2: this character"};
	struct psi_err err = {""};

	CU_ASSERT_PTR_NULL(parse(list, sizeof(list) - 1, &err));
	CU_ASSERT_EQUAL(told.cnt, PSI_COUNT(says));
	for (uint32_t i = 0; i < PSI_COUNT(says); i++) {
		CU_ASSERT_PTR_NOT_NULL(strstr(told.text, says[i]));
		if (!strstr(told.text, says[i]))
			printf("%s\n in %s", says[i], told.text);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "list:2:2: not ASCII"));
}

/* A name of labels of 63 letters, len bytes in all. */
static void
long_name(char *out, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		out[i] = i % 64 == 63 ? '.' : 'a';
	out[len] = 0;
}

static void
test_lengths(void)
{
	char name[300], many[300] = "";
	struct psi_err err = {""};
	struct psi_hosts *h;

	long_name(name, 253); /* RFC 1035: 255 on the wire */
	h = good(name);
	CU_ASSERT(has(h, name));
	strcat(name, ".");
	CU_ASSERT(has(h, name));
	long_name(name, 254);
	CU_ASSERT(!has(h, name));
	psi_hosts_close(h);
	CU_ASSERT_PTR_NULL(parse(name, 254, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(told.text, "list:1:1: the name is longer than 253"));
	memset(name, 'a', 64);
	strcpy(name + 64, ".b");
	CU_ASSERT_PTR_NULL(parse(name, 66, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(told.text, "list:1:1: a label is longer than 63"));
	for (int i = 0; i < 127; i++)
		strcat(many, i ? ".b" : "b"); /* 127 labels: the most that fit */
	h = good(many);
	CU_ASSERT(has(h, many));
	psi_hosts_close(h);
	h = good("*.b\n");
	CU_ASSERT(has(h, many));
	psi_hosts_close(h);
}

static void
test_complaints_bounded(void)
{
	struct psi_err err = {""};
	char text[4 * PSI_HOSTS_COMPLAINTS_MAX];

	for (uint32_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 ? '\n' : '$';
	CU_ASSERT_PTR_NULL(parse(text, sizeof(text), &err));
	CU_ASSERT_EQUAL(told.cnt, PSI_HOSTS_COMPLAINTS_MAX);
}

static void
test_files(void)
{
	struct psi_err err = {""};
	char path[] = "/tmp/test_hosts.XXXXXX";
	int fd = mkstemp(path);
	struct psi_hosts *h;

	CU_ASSERT(fd >= 0 && write(fd, "a.example\n", 10) == 10 && close(fd) == 0);
	h = psi_hosts_open(path, listen, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	CU_ASSERT(has(h, "a.example"));
	psi_hosts_close(h);
	unlink(path);
	CU_ASSERT_PTR_NULL(psi_hosts_open(path, listen, NULL, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "cannot be read: No such file"));
	CU_ASSERT_PTR_NULL(psi_hosts_open("/tmp", listen, NULL, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "expected a file"));
}

/* ---- the twin ---- */

#define ENTRIES 300

static uint64_t seed = 88172645463325252; /* Marsaglia's example */

static uint32_t
pick(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % n;
}

/* From a small alphabet, so that names are often equal to, or end in, one another. */
static void
any_name(char *out, uint32_t least)
{
	uint32_t labels = least + pick(3);

	for (uint32_t i = 0; i < labels; i++) {
		uint32_t len = 1 + pick(2);

		for (uint32_t k = 0; k < len; k++)
			*out++ = "abAB-"[pick(5)];
		*out++ = '.';
	}
	out[-1] = 0;
}

static bool
slow(const char entry[][40], const char *host)
{
	size_t len = strlen(host);

	for (uint32_t i = 0; i < ENTRIES; i++) {
		const char *e = entry[i], *bare = e[0] == '*' ? e + 2 : e[0] == '.' ? e + 1 : e;
		size_t bare_len = strlen(bare);

		if (e[0] != '*' && strcasecmp(bare, host) == 0)
			return true;
		if (bare != e && len > bare_len && host[len - bare_len - 1] == '.' &&
			strcasecmp(host + len - bare_len, bare) == 0)
			return true;
	}
	return false;
}

static void
test_twin(void)
{
	static char entry[ENTRIES][40], text[ENTRIES * 40];
	uint32_t differ = 0, yes = 0, asked = 0;

	for (uint32_t round = 0; round < 20; round++) {
		char *p = text;
		struct psi_hosts *h;

		for (uint32_t i = 0; i < ENTRIES; i++) {
			char *q =
				stpcpy(entry[i], (const char *[]){"", "", "", ".", "*."}[pick(5)]);

			any_name(q, q == entry[i] ? 1 : 3);
			p += sprintf(p, "%s\n", entry[i]);
		}
		h = good(text);
		for (uint32_t i = 0; i < 2000; i++) {
			char host[40];
			bool want;

			any_name(host, 1 + pick(4));
			want = slow((const char(*)[40])entry, host);
			differ += has(h, host) != want;
			yes += want;
			asked++;
		}
		psi_hosts_close(h);
	}
	CU_ASSERT_EQUAL(differ, 0);
	CU_ASSERT(yes > asked / 10 && yes < asked / 10 * 9);
}

/* Two names with one tag and one place, by force: each is still itself only. */
static void
test_collision(void)
{
	struct psi_hosts *h = good("one.example\n");
	struct psi_host host;
	const char *other = "two.example";
	struct slot *from, *to;
	uint64_t hash;

	CU_ASSERT(psi_host_set(&host, (const uint8_t *)other, (uint32_t)strlen(other)));
	hash = name_hash(h, other, strlen(other));
	from = name_slot(h, name_hash(h, "one.example", 11), "one.example", 11);
	to = &h->slot[hash & h->slot_mask];
	CU_ASSERT(from->ref != 0);
	*to = (struct slot){(uint32_t)(hash >> 32), from->ref};
	CU_ASSERT(!psi_hosts_find(h, &host));
	psi_hosts_close(h);
}

static CU_TestInfo tests[] = {
	{"exact, suffix, both", test_forms},
	{"comments, blanks, line ends", test_lines},
	{"names said twice", test_twice},
	{"every bad line", test_bad_lines},
	{"lengths", test_lengths},
	{"complaints are bounded", test_complaints_bounded},
	{"files", test_files},
	{"as the slow twin", test_twin},
	{"a hash is not a name", test_collision},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "hosts", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
