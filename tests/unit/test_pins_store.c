/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys on first use. A key is a letter: the SHA-256 of it. Expected news by hand, from the rules of psi_pins_store.h. */
#include "psi_unit.h"

#include "store_pvt.h"

#include <errno.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define N(x) PSI_PINS_NEWS_##x
#define T0   1767225600 /* date -u -d 2026-01-01 +%s */

static char folder[] = "/tmp/test_pins_store.XXXXXX";
static char path[64], aside[64];

static void
clean(void)
{
	char p[80];

	for (size_t i = 0; i < 3; i++) {
		snprintf(p, sizeof(p), "%s%s", path, (const char *[]){"", ".new", ".lock"}[i]);
		unlink(p);
	}
	unlink(aside);
}

static int
set_up(void)
{
	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/keys", folder);
	snprintf(aside, sizeof(aside), "%s/aside", folder);
	return 0;
}

static int
tear_down(void)
{
	clean();
	return rmdir(folder);
}

static struct psi_pins_store *
open_mode(const char *at, uint32_t max, enum psi_pins_mode mode, struct psi_err *err)
{
	struct psi_pins_store_config cfg = {.path = at, .hosts_max = max, .mode = mode};

	return psi_pins_store_open(&cfg, err);
}

static struct psi_pins_store *
open_store(const char *at, uint32_t max)
{
	struct psi_err err = {""};
	struct psi_pins_store *s = open_mode(at, max, PSI_PINS_STORE_WRITE, &err);

	if (!s)
		printf("\n  %s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

/* What a host shows: its key, the issuer's name, the issuer's key and the root's as letters, 0 for not known. */
struct show {
	const char *host;
	char key;
	const char *issuer;
	char issuer_key, root;
	int64_t at; /* seconds after T0 */
	bool own;
};

static enum psi_pins_news
learn_before(struct psi_pins_store *s, struct show w, struct psi_pins_before *before)
{
	uint8_t key[32], issuer[32], root[32];
	size_t len = strlen(w.host);
	uint8_t *host = exact(w.host, len);
	struct psi_pins_seen seen = {.host = host, .host_len = (uint32_t)len, .spki_sha256 = key};
	enum psi_pins_news n;

	SHA256((const uint8_t *)&w.key, 1, key);
	SHA256((const uint8_t *)&w.issuer_key, 1, issuer);
	SHA256((const uint8_t *)&w.root, 1, root);
	seen.issuer = w.issuer;
	seen.issuer_sha256 = w.issuer_key ? issuer : NULL;
	seen.root_sha256 = w.root ? root : NULL;
	seen.own_ca = w.own;
	seen.time_s = T0 + w.at;
	n = psi_pins_learn(s, &seen, before);
	free(host);
	return n;
}

static enum psi_pins_news
learn(struct psi_pins_store *s, struct show w)
{
	return learn_before(s, w, NULL);
}

static long
file_size(void)
{
	struct stat st;

	return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

/* ---- news ---- */

static void
test_news(void)
{
	static const struct {
		struct show w;
		enum psi_pins_news news;
	} t[] = {
		{{"a.example", 'a', "CN=I"}, N(FIRST)}, {{"a.example", 'a', "CN=I"}, N(SAME)},
		{{"A.example.", 'a', "CN=I"}, N(SAME)}, {{"a.example", 'b', "CN=I"}, N(ROTATED)},
		{{"a.example", 'c', "CN=J"}, N(ISSUER_CHANGED)},
		{{"a.example", 'a', "CN=I"}, N(SAME)}, /* known keys taking turns */
		{{"a.example", 'c', "CN=J"}, N(SAME)},
		{{"a.example", 'd', "CN=I"}, N(ROTATED)}, /* any issuer that was known */
		/* the issuer's key tells more than its name */
		{{"b.example", 'a', "CN=I", 'i'}, N(FIRST)},
		{{"b.example", 'b', "CN=I", 'i'}, N(ROTATED)},
		{{"b.example", 'c', "CN=Renamed", 'i'}, N(ROTATED)},
		{{"b.example", 'd', "CN=I", 'x'}, N(ISSUER_CHANGED)},
		{{"b.example", 'e', "CN=I"}, N(ROTATED)}, /* nothing contradicts */
		/* another intermediate below the same trusted root */
		{{"c.example", 'a', "CN=R10", 'i', 'r'}, N(FIRST)},
		{{"c.example", 'b', "CN=R11", 'k', 'r'}, N(ROTATED)},
		{{"c.example", 'c', "CN=Other", 'l', 's'}, N(ISSUER_CHANGED)},
		{{"c.example", 'd', "CN=R10", 'm', 0},
			N(ISSUER_CHANGED)}, /* the name alone is forged soon */
	};
	struct psi_pins_store *s = open_store(NULL, 100);
	struct psi_pins_store_count n;

	for (size_t i = 0; i < PSI_COUNT(t); i++) {
		enum psi_pins_news news = learn(s, t[i].w);

		CU_ASSERT_EQUAL(news, t[i].news);
		if (news != t[i].news)
			printf("\n  %zu %s %c: %s\n", i, t[i].w.host, t[i].w.key,
				psi_pins_news_name(news));
	}
	psi_pins_store_count(s, &n);
	CU_ASSERT(n.hosts == 3 && n.learnt == 13 && n.rotated == 6 && n.issuer_changed == 4);
	psi_pins_store_close(s);
}

static void
test_before(void)
{
	struct psi_pins_store *s = open_store(NULL, 100);
	struct psi_pins_before b;
	uint8_t want[32];

	learn(s, (struct show){"a.example", 'a', "CN=Old", .at = 10});
	learn(s, (struct show){"a.example", 'a', "CN=Old", .at = 50});
	CU_ASSERT_EQUAL(learn_before(s, (struct show){"a.example", 'b', "CN=New", .at = 60}, &b),
		N(ISSUER_CHANGED));
	SHA256((const uint8_t *)"a", 1, want);
	CU_ASSERT(memcmp(b.spki_sha256, want, 32) == 0 && b.keys == 1);
	CU_ASSERT(b.first_s == T0 + 10 && b.last_s == T0 + 50);
	CU_ASSERT_STRING_EQUAL(b.issuer, "CN=Old");
	psi_pins_store_close(s);
}

/* Four keys are kept; the one unseen for longest gives way, and is news when it comes back. */
static void
test_several_keys(void)
{
	struct psi_pins_store *s = open_store(NULL, 100);
	struct show w = {"a.example", 'a', "CN=I"};

	CU_ASSERT_EQUAL(learn(s, w), N(FIRST));
	for (w.key = 'b'; w.key <= 'd'; w.key++, w.at++)
		CU_ASSERT_EQUAL(learn(s, w), N(ROTATED));
	for (int turn = 0; turn < 3; turn++)
		for (w.key = 'a'; w.key <= 'd'; w.key++, w.at++)
			CU_ASSERT_EQUAL(learn(s, w), N(SAME));
	w.key = 'e'; /* in the place of a */
	CU_ASSERT_EQUAL(learn(s, w), N(ROTATED));
	for (w.key = 'b'; w.key <= 'e'; w.key++)
		CU_ASSERT_EQUAL(learn(s, w), N(SAME));
	w.key = 'a';
	CU_ASSERT_EQUAL(learn(s, w), N(ROTATED));
	psi_pins_store_close(s);
}

static void
test_own_ca_is_apart(void)
{
	static const struct {
		char key;
		bool own;
		enum psi_pins_news news;
	} t[] = {
		{'a', false, N(FIRST)}, {'p', true, N(FIRST)}, {'p', true, N(SAME)},
		{'a', false, N(SAME)}, {'q', true, N(SAME)}, /* proxies make new keys */
		{'b', false, N(ROTATED)},		     /* from a, not from q */
		{'q', false, N(ROTATED)}, /* what the proxy showed is not the host's */
	};
	struct psi_pins_store *s = open_store(NULL, 100);
	struct psi_pins_store *t2 = open_store(NULL, 100);

	for (size_t i = 0; i < PSI_COUNT(t); i++)
		CU_ASSERT_EQUAL(
			learn(s, (struct show){"a.example", t[i].key, "CN=I", .own = t[i].own}),
			t[i].news);
	psi_pins_store_close(s);
	/* intercepted first: the host's own key is then its first */
	CU_ASSERT_EQUAL(learn(t2, (struct show){"a.example", 'p', "CN=P", .own = true}), N(FIRST));
	CU_ASSERT_EQUAL(learn(t2, (struct show){"a.example", 'a', "CN=I"}), N(FIRST));
	psi_pins_store_close(t2);
}

static void
test_churn(void)
{
	struct psi_pins_store *s = open_store(NULL, 100);
	struct psi_pins_store_count n;
	struct show w = {"a.example", 1, "CN=I"};

	CU_ASSERT_EQUAL(learn(s, w), N(FIRST));
	for (int i = 0; i < PSI_PINS_CHANGES_MAX; i++, w.at++) {
		w.key++;
		CU_ASSERT_EQUAL(learn(s, w), N(ROTATED));
	}
	for (int i = 0; i < 50; i++, w.at++) {
		w.key++;
		CU_ASSERT_EQUAL(learn(s, w), N(SAME));
	}
	psi_pins_store_count(s, &n);
	CU_ASSERT(n.churning == 50 && n.learnt == 1 + PSI_PINS_CHANGES_MAX);
	w.at += DAY_S;
	w.key++;
	CU_ASSERT_EQUAL(learn(s, w), N(ROTATED));
	psi_pins_store_close(s);
}

static void
test_least_recent_host_goes(void)
{
	struct psi_pins_store *s = open_store(NULL, 3);
	struct psi_pins_store_count n;

	for (char h = 'a'; h <= 'c'; h++)
		learn(s, (struct show){(char[]){h, 0}, 'k', "CN=I"});
	learn(s, (struct show){"a", 'k', "CN=I"});
	learn(s, (struct show){"d", 'k', "CN=I"}); /* b goes */
	CU_ASSERT_EQUAL(learn(s, (struct show){"a", 'k', "CN=I"}), N(SAME));
	CU_ASSERT_EQUAL(learn(s, (struct show){"c", 'k', "CN=I"}), N(SAME));
	CU_ASSERT_EQUAL(learn(s, (struct show){"d", 'k', "CN=I"}), N(SAME));
	CU_ASSERT_EQUAL(learn(s, (struct show){"b", 'k', "CN=I"}), N(FIRST));
	psi_pins_store_count(s, &n);
	CU_ASSERT(n.hosts == 3 && n.evicted == 2);
	psi_pins_store_close(s);
}

static void
test_names_that_are_none(void)
{
	static const char *const bad[] = {
		"a b", "*.a.example", "a..example", "a\nkey", "b\xc3\xbc", "/a/", ".", ".a"};
	struct psi_pins_store *s = open_store(NULL, 3);
	struct psi_pins_seen seen = {
		.host = (const uint8_t *)"a\0b", .host_len = 3, .issuer = "CN=I"};
	uint8_t key[32] = {1}, zero[32] = {0};
	struct psi_pins_store_count n;

	for (size_t i = 0; i < PSI_COUNT(bad); i++)
		CU_ASSERT_EQUAL(learn(s, (struct show){bad[i], 'k', "CN=I"}), N(NONE));
	seen.spki_sha256 = key;
	CU_ASSERT_EQUAL(psi_pins_learn(s, &seen, NULL), N(NONE));
	psi_pins_store_count(s, &n);
	CU_ASSERT(n.refused == PSI_COUNT(bad) + 1 && n.hosts == 0);
	CU_ASSERT_EQUAL(learn(s, (struct show){"", 'k', "CN=I"}), N(NONE)); /* no name at all */
	seen.host_len = 1;
	seen.spki_sha256 = zero; /* a key that could not be read */
	CU_ASSERT_EQUAL(psi_pins_learn(s, &seen, NULL), N(NONE));
	psi_pins_store_close(s);
}

/* ---- the file ---- */

static void
test_restart(void)
{
	struct psi_pins_store *s = open_store(path, 100);
	struct psi_pins_before b;

	learn(s, (struct show){"a.example", 'a', "CN=I \xc3\xa9,O=Two Words", 'i', 'r', .at = 5});
	learn(s, (struct show){"b.example", 'b', "CN=J"});
	learn(s, (struct show){"b.example", 'p', "CN=P", .own = true});
	CU_ASSERT_EQUAL(psi_pins_flush(s, NULL), 0);
	learn(s, (struct show){
			 "c.example", 'c', ""}); /* an issuer without a name; written at the end */
	psi_pins_store_close(s);
	s = open_store(path, 100);
	CU_ASSERT_EQUAL(learn(s, (struct show){"b.example", 'p', "CN=P", .own = true}), N(SAME));
	CU_ASSERT_EQUAL(learn(s, (struct show){"b.example", 'b', "CN=J"}), N(SAME));
	CU_ASSERT_EQUAL(learn(s, (struct show){"c.example", 'c', ""}), N(SAME));
	CU_ASSERT_EQUAL(
		learn_before(s, (struct show){"a.example", 'z', "CN=K", 'k', 'r', .at = 9}, &b),
		N(ROTATED));
	CU_ASSERT_STRING_EQUAL(b.issuer, "CN=I \xc3\xa9,O=Two Words");
	CU_ASSERT_EQUAL(b.first_s, T0 + 5);
	psi_pins_store_close(s);
	clean();
}

static void
test_long_issuer(void)
{
	struct psi_pins_store *s = open_store(path, 100);
	struct psi_pins_before b;
	char issuer[1024];

	memset(issuer, 'x', sizeof(issuer) - 1);
	issuer[sizeof(issuer) - 1] = 0;
	memcpy(issuer + PSI_PINS_ISSUER_MAX - 2, "\xe2\x82\xac", 3); /* on the cut: goes whole */
	learn(s, (struct show){"a.example", 'a', issuer});
	issuer[1000] = 'y'; /* the hash is of the whole name */
	CU_ASSERT_EQUAL(learn(s, (struct show){"a.example", 'b', issuer}), N(ISSUER_CHANGED));
	issuer[10] = '\n'; /* no line of its own */
	CU_ASSERT_EQUAL(learn(s, (struct show){"a.example", 'c', issuer}), N(ISSUER_CHANGED));
	psi_pins_store_close(s);
	s = open_store(path, 100);
	CU_ASSERT_EQUAL(
		learn_before(s, (struct show){"a.example", 'd', "CN=I"}, &b), N(ISSUER_CHANGED));
	CU_ASSERT_EQUAL(strlen(b.issuer), PSI_PINS_ISSUER_MAX - 2);
	CU_ASSERT_EQUAL(b.keys, 3);
	psi_pins_store_close(s);
	clean();
}

static void
write_file(const void *p, size_t len)
{
	FILE *f = fopen(path, "wb");

	CU_ASSERT_FATAL(f && fwrite(p, 1, len, f) == len && fclose(f) == 0);
}

/* A file as a store writes it, cut at every byte: what is whole is read, and what is learnt next is read again. */
static void
test_cut_anywhere(void)
{
	struct psi_pins_store *s = open_store(path, 100);
	static uint8_t all[4096];
	size_t len;
	FILE *f;

	psi_pins_flush(s, NULL);
	learn(s, (struct show){"a.example", 'a', "CN=I"});
	learn(s, (struct show){"b.example", 'b', "CN=I"});
	psi_pins_store_close(s);
	f = fopen(path, "rb");
	len = f ? fread(all, 1, sizeof(all), f) : 0;
	CU_ASSERT_FATAL(f && !fclose(f) && len > 200 && len < sizeof(all));
	for (size_t n = 0; n <= len; n++) {
		uint32_t lines = 0;
		struct psi_pins_store_count cnt;

		for (size_t i = 0; i < n; i++)
			lines += all[i] == '\n';
		write_file(all, n);
		s = open_store(path, 100);
		psi_pins_store_count(s, &cnt);
		CU_ASSERT_EQUAL(cnt.hosts, lines ? lines - 1 : 0);
		learn(s, (struct show){"c.example", 'c', "CN=I"});
		psi_pins_store_close(s);
		s = open_store(path, 100);
		CU_ASSERT_EQUAL(learn(s, (struct show){"c.example", 'c', "CN=I"}), N(SAME));
		psi_pins_store_count(s, &cnt);
		CU_ASSERT_EQUAL(cnt.hosts, lines ? lines : 1);
		psi_pins_store_close(s);
	}
	clean();
}

#define HEAD "# pinsight keys 1\n"
#define H    "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs="
#define GOOD "key a.example " H " " H " - - 1 2 CN=I\n"

static void
test_hostile_content(void)
{
	static const struct {
		const char *text, *why;
	} t[] = {
		{"GIF89a\n", ":1 (byte 0): expected '# pinsight keys 1'"},
		{"# pinsight keys 2\n", ":1 (byte 0): expected '# pinsight keys 1'"},
		{GOOD, ":1 (byte 0): expected '# pinsight keys 1'"},
		{HEAD "nonsense\n",
			":2 (byte 18): expected a line that begins with key, own or forget"},
		{HEAD GOOD "key\n", ":3 (byte 135): expected a host name"},
		{HEAD "key a..b " H " " H " - - 1 2 CN=I\n", "expected a host name"},
		{HEAD "key  a " H " " H " - - 1 2 CN=I\n", "expected a host name"},
		{HEAD "key a x " H " - - 1 2 CN=I\n", "expected a SHA-256 in base64"},
		{HEAD "key a - " H " - - 1 2 CN=I\n", "expected a SHA-256 in base64"},
		{HEAD "key a sha256/" H " " H " - - 1 2 CN=I\n", "expected a SHA-256 in base64"},
		{HEAD "key a " H " " H " x - 1 2 CN=I\n", "expected a SHA-256 in base64, or -"},
		{HEAD "key a " H " " H " - - one 2 CN=I\n", "expected a time in seconds"},
		{HEAD "key a " H " " H " - - 1 2x CN=I\n", "expected a time in seconds"},
		{HEAD "key a " H " " H " - - 1 99999999999999999999 CN=I\n",
			"expected a time in seconds"},
		{HEAD "key a " H " " H " - -\n", "expected a time in seconds"},
		{HEAD "forget\n", "expected a host name"},
	};
	struct psi_err err;
	char big[3000];

	for (size_t i = 0; i < PSI_COUNT(t); i++) {
		write_file(t[i].text, strlen(t[i].text));
		CU_ASSERT_PTR_NULL(open_mode(path, 10, PSI_PINS_STORE_WRITE, &err));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, t[i].why));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "move the file away"));
		if (!strstr(err.text, t[i].why))
			printf("\n  %s: %s\n", t[i].text, err.text);
		CU_ASSERT_EQUAL(file_size(), (long)strlen(t[i].text)); /* left as it was */
	}
	memset(big, 'x', sizeof(big));
	memcpy(big, HEAD "key ", strlen(HEAD) + 4);
	big[sizeof(big) - 1] = '\n';
	write_file(big, sizeof(big));
	CU_ASSERT_PTR_NULL(open_mode(path, 10, PSI_PINS_STORE_READ, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ":2 (byte 18): the line is too long"));
	write_file(HEAD "key \0\n", strlen(HEAD) + 6);
	CU_ASSERT_PTR_NULL(open_mode(path, 10, PSI_PINS_STORE_READ, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "found a NUL byte"));
	clean();
}

static void
test_quiet_hosts_write_nothing(void)
{
	struct psi_pins_store *s = open_store(path, 100);
	struct psi_pins_store_count n;
	struct show w = {"a.example", 'a', "CN=I"};
	long size;

	learn(s, w);
	psi_pins_flush(s, NULL);
	size = file_size();
	for (w.at = 1; w.at < DAY_S; w.at += 100) {
		learn(s, w);
		psi_pins_flush(s, NULL);
	}
	CU_ASSERT_EQUAL(file_size(), size);
	w.at = DAY_S;
	learn(s, w);
	psi_pins_flush(s, NULL);
	CU_ASSERT(file_size() > size);
	psi_pins_store_count(s, &n);
	CU_ASSERT(n.rewrites == 1 && n.writes == 1); /* the first one makes the file */
	psi_pins_store_close(s);
	clean();
}

/* A line a day for many years: the file is rewritten when it has grown to several times what it holds. */
static void
test_rewrite(void)
{
	struct psi_pins_store *s = open_store(path, 100);
	struct psi_pins_store_count n;
	struct show w = {"a.example", 'a', "CN=I"};
	struct stat st;

	for (int i = 0; i < 9000; i++, w.at += DAY_S) {
		learn(s, w);
		CU_ASSERT_EQUAL(psi_pins_flush(s, NULL), 0);
	}
	psi_pins_store_count(s, &n);
	CU_ASSERT(n.rewrites == 3 && n.hosts == 1 && n.write_errors == 0);
	psi_pins_store_close(s);
	CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	s = open_store(path, 100);
	w.at -= DAY_S;
	CU_ASSERT_EQUAL(learn(s, w), N(SAME));
	psi_pins_store_close(s);
	clean();
}

/* More news than waits in line. */
static void
test_much_news(void)
{
	struct psi_pins_store *s = open_store(path, 20000);
	struct psi_pins_store_count n;
	char host[32];

	psi_pins_flush(s, NULL);
	for (int i = 0; i < 10000; i++) {
		snprintf(host, sizeof(host), "h%d.example", i);
		learn(s, (struct show){host, 'a', "CN=I"});
	}
	psi_pins_store_close(s);
	s = open_store(path, 20000);
	psi_pins_store_count(s, &n);
	CU_ASSERT_EQUAL(n.hosts, 10000);
	psi_pins_store_close(s);
	/* a smaller bound: those that were seen last stay */
	s = open_store(path, 10);
	CU_ASSERT_EQUAL(learn(s, (struct show){"h9990.example", 'a', "CN=I"}), N(SAME));
	CU_ASSERT_EQUAL(learn(s, (struct show){"h9989.example", 'a', "CN=I"}), N(FIRST));
	psi_pins_store_close(s);
	clean();
}

static void
test_forget(void)
{
	struct psi_pins_store *s = open_store(path, 100);
	struct psi_err err = {""};

	learn(s, (struct show){"a.example", 'a', "CN=I"});
	learn(s, (struct show){"b.example", 'b', "CN=I"});
	psi_pins_flush(s, NULL);
	learn(s, (struct show){"c.example", 'c', "CN=I"});
	/* while an engine has the file */
	CU_ASSERT_EQUAL(psi_pins_store_forget(path, "A.example.", &err), 0);
	CU_ASSERT_EQUAL(psi_pins_store_forget(path, "x.example", &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "x.example is not in it"));
	CU_ASSERT_EQUAL(psi_pins_store_forget(path, "*.a.example", &err), -EINVAL);
	CU_ASSERT_EQUAL(psi_pins_flush(s, NULL), 0);
	CU_ASSERT_EQUAL(learn(s, (struct show){"a.example", 'z', "CN=Other"}), N(FIRST));
	CU_ASSERT_EQUAL(learn(s, (struct show){"b.example", 'b', "CN=I"}), N(SAME));
	CU_ASSERT_EQUAL(learn(s, (struct show){"c.example", 'c', "CN=I"}), N(SAME));
	psi_pins_store_close(s);
	/* behind a line that a crash cut */
	CU_ASSERT_FATAL(truncate(path, file_size() - 3) == 0);
	CU_ASSERT_EQUAL(psi_pins_store_forget(path, "b.example", &err), 0);
	s = open_store(path, 100);
	CU_ASSERT_EQUAL(learn(s, (struct show){"b.example", 'z', "CN=Other"}), N(FIRST));
	CU_ASSERT_EQUAL(learn(s, (struct show){"c.example", 'c', "CN=I"}), N(SAME));
	psi_pins_store_close(s);
	clean();
	CU_ASSERT_EQUAL(psi_pins_store_forget(path, "a.example", &err), -EINVAL);
}

static void
test_one_engine_a_file(void)
{
	struct psi_pins_store *s = open_store(path, 100), *r;
	struct psi_pins_store_count n;
	struct psi_err err = {""};

	learn(s, (struct show){"a.example", 'a', "CN=I"});
	psi_pins_flush(s, NULL);
	CU_ASSERT_PTR_NULL(open_mode(path, 100, PSI_PINS_STORE_WRITE, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "another engine has this file"));
	r = open_mode(path, 100, PSI_PINS_STORE_READ, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	psi_pins_store_count(r, &n);
	CU_ASSERT_EQUAL(n.hosts, 1);
	psi_pins_store_close(r);
	psi_pins_store_close(s);
	clean();
	CU_ASSERT_PTR_NULL(open_mode(path, 100, PSI_PINS_STORE_READ, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "No such file"));
	CU_ASSERT_PTR_NULL(open_mode("/nonexistent/keys", 100, PSI_PINS_STORE_WRITE, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "Its folder must exist"));
	CU_ASSERT_PTR_NULL(open_mode("/dev/null", 100, PSI_PINS_STORE_READ, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is not a regular file"));
}

/* Moved away under the engine: what is known is written to a new file. */
static void
test_moved_away(void)
{
	struct psi_pins_store *s = open_store(path, 100);

	learn(s, (struct show){"a.example", 'a', "CN=I"});
	psi_pins_flush(s, NULL);
	CU_ASSERT_FATAL(rename(path, aside) == 0);
	learn(s, (struct show){"b.example", 'b', "CN=I"});
	CU_ASSERT_EQUAL(psi_pins_flush(s, NULL), 0);
	psi_pins_store_close(s);
	s = open_store(path, 100);
	CU_ASSERT_EQUAL(learn(s, (struct show){"a.example", 'a', "CN=I"}), N(SAME));
	CU_ASSERT_EQUAL(learn(s, (struct show){"b.example", 'b', "CN=I"}), N(SAME));
	psi_pins_store_close(s);
	clean();
}

/* A disk that is full in the middle of a line. */
static void
test_full_disk(void)
{
	struct psi_pins_store *s = open_store(path, 100);
	struct rlimit old, small;
	struct psi_err err = {""};
	struct psi_pins_store_count n;
	long size;

	signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_FATAL(getrlimit(RLIMIT_FSIZE, &old) == 0);
	learn(s, (struct show){"a.example", 'a', "CN=I"});
	psi_pins_flush(s, NULL);
	size = file_size();
	small = (struct rlimit){(rlim_t)size + 10, old.rlim_max};
	CU_ASSERT_FATAL(setrlimit(RLIMIT_FSIZE, &small) == 0);
	learn(s, (struct show){"b.example", 'b', "CN=I"});
	CU_ASSERT(psi_pins_flush(s, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "cannot be written: File too large"));
	CU_ASSERT_EQUAL(file_size(), size);
	CU_ASSERT_FATAL(setrlimit(RLIMIT_FSIZE, &old) == 0);
	CU_ASSERT_EQUAL(psi_pins_flush(s, &err), 0);
	psi_pins_store_count(s, &n);
	CU_ASSERT_EQUAL(n.write_errors, 1);
	psi_pins_store_close(s);
	s = open_store(path, 100);
	CU_ASSERT_EQUAL(learn(s, (struct show){"b.example", 'b', "CN=I"}), N(SAME));
	psi_pins_store_close(s);
	clean();
}

static void
on_key(void *ctx, const struct psi_pins_known *k)
{
	char *text = ctx;

	sprintf(text + strlen(text), "%s%s %s;", k->own_ca ? "own " : "", k->host, k->issuer);
}

static void
test_each(void)
{
	struct psi_pins_store *s = open_store(NULL, 100);
	char text[256] = "";

	learn(s, (struct show){"a.example", 'a', "CN=I"});
	learn(s, (struct show){"a.example", 'b', "CN=J"});
	learn(s, (struct show){"b.example", 'p', "CN=P", .own = true});
	psi_pins_store_each(s, on_key, text);
	CU_ASSERT_STRING_EQUAL(text, "own b.example CN=P;a.example CN=I;a.example CN=J;");
	psi_pins_store_close(s);
	psi_pins_store_close(NULL);
}

static CU_TestInfo tests[] = {
	{"first, same, rotated, another issuer", test_news},
	{"what was there before", test_before},
	{"several keys in turn", test_several_keys},
	{"the operator's own CA is kept apart", test_own_ca_is_apart},
	{"hosts with ever new keys", test_churn},
	{"the host unseen for longest goes", test_least_recent_host_goes},
	{"names that are none", test_names_that_are_none},
	{"remembered across a restart", test_restart},
	{"issuers with long names", test_long_issuer},
	{"a file cut anywhere", test_cut_anywhere},
	{"hostile content", test_hostile_content},
	{"nothing new, nothing written", test_quiet_hosts_write_nothing},
	{"rewritten when it has grown", test_rewrite},
	{"more news than waits in line", test_much_news},
	{"forget", test_forget},
	{"one engine a file", test_one_engine_a_file},
	{"moved away", test_moved_away},
	{"a full disk", test_full_disk},
	{"each", test_each},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "pins_store", .pInitFunc = set_up, .pCleanupFunc = tear_down, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
