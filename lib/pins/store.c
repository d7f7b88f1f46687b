/* SPDX-License-Identifier: BSD-3-Clause */
/* What is remembered, in memory: a chained hash table of hosts, keyed at random because names come from the wire, and a
 * list from the latest to the one unseen for longest. */
#include "store_pvt.h"

#include <errno.h>
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static const uint8_t unknown[32];

/* ---- hosts ---- */

static struct entry **
slot(const struct psi_pins_store *s, const char *name, uint32_t len)
{
	struct entry **p = &s->bucket[XXH3_64bits_withSeed(name, len, s->seed) % s->bucket_cnt];

	while (*p && ((*p)->len != len || memcmp((*p)->name, name, len) != 0))
		p = &(*p)->hash_next;
	return p;
}

static void
unlink_use(struct psi_pins_store *s, struct entry *e)
{
	*(e->newer ? &e->newer->older : &s->newest) = e->older;
	*(e->older ? &e->older->newer : &s->oldest) = e->newer;
}

static void
link_newest(struct psi_pins_store *s, struct entry *e)
{
	e->newer = NULL;
	e->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = e;
	s->newest = e;
}

static void
entry_free(struct entry *e)
{
	if (!e)
		return;
	for (uint32_t i = 0; i < e->key_cnt; i++)
		free(e->key[i].issuer);
	free(e->key);
	free(e->name);
	free(e);
}

bool
store_drop(struct psi_pins_store *s, const char *host, uint32_t len)
{
	struct entry **p = slot(s, host, len), *e = *p;

	if (!e)
		return false;
	*p = e->hash_next;
	unlink_use(s, e);
	s->count.hosts--;
	s->keys -= e->key_cnt;
	entry_free(e);
	return true;
}

static struct entry *
entry_new(struct psi_pins_store *s, const char *host, uint32_t len)
{
	struct entry *e = calloc(1, sizeof(*e)), **p;

	if (!e || !(e->name = strndup(host, len))) {
		entry_free(e);
		return NULL;
	}
	e->len = len;
	if (s->count.hosts == s->max) {
		store_drop(s, s->oldest->name, s->oldest->len);
		s->count.evicted++;
	}
	p = slot(s, host, len);
	*p = e;
	link_newest(s, e);
	s->count.hosts++;
	return e;
}

/* The host's entry, now the latest; NULL when it is not known. */
static struct entry *
entry_of(struct psi_pins_store *s, const char *host, uint32_t len)
{
	struct entry *e = *slot(s, host, len);

	if (e && e != s->newest) {
		unlink_use(s, e);
		link_newest(s, e);
	}
	return e;
}

/* ---- keys ---- */

static struct key *
key_find(struct entry *e, const uint8_t spki[32], bool own)
{
	for (uint32_t i = 0; i < e->key_cnt; i++)
		if (e->key[i].own == own && memcmp(e->key[i].spki, spki, 32) == 0)
			return &e->key[i];
	return NULL;
}

static struct key *
key_latest(struct entry *e, bool own, uint32_t *cnt)
{
	struct key *k = NULL;

	*cnt = 0;
	for (uint32_t i = 0; i < e->key_cnt; i++) {
		if (e->key[i].own != own)
			continue;
		++*cnt;
		if (!k || e->key[i].last_s >= k->last_s)
			k = &e->key[i];
	}
	return k;
}

static struct key *
key_oldest(struct entry *e, bool own)
{
	struct key *k = NULL;

	for (uint32_t i = 0; i < e->key_cnt; i++)
		if (e->key[i].own == own && (!k || e->key[i].last_s < k->last_s))
			k = &e->key[i];
	return k;
}

/* A place for another key: of the same kind the one unseen for longest gives way when there are enough. */
static struct key *
key_room(struct psi_pins_store *s, struct entry *e, bool own)
{
	uint32_t cnt;
	struct key *k;

	key_latest(e, own, &cnt);
	if (cnt == (own ? OWN_MAX : PSI_PINS_KEYS_MAX)) {
		k = key_oldest(e, own);
		free(k->issuer);
		return k;
	}
	k = realloc(e->key, (e->key_cnt + 1) * sizeof(*k));
	if (!k)
		return NULL;
	e->key = k;
	s->keys++;
	return &e->key[e->key_cnt++];
}

struct key *
store_put(struct psi_pins_store *s, const char *host, uint32_t len, const struct key *in)
{
	struct entry *e = entry_of(s, host, len);
	struct key *k = e ? key_find(e, in->spki, in->own) : NULL;
	char *issuer = strdup(in->issuer);
	int64_t first_s = k ? PSI_MIN(k->first_s, in->first_s) : in->first_s;
	int64_t last_s = k ? PSI_MAX(k->last_s, in->last_s) : in->last_s;

	if (!e)
		e = entry_new(s, host, len);
	if (k)
		free(k->issuer);
	else if (e && issuer)
		k = key_room(s, e, in->own);
	if (!issuer || !k) {
		free(issuer);
		if (k)
			k->issuer = NULL;
		if (e && (k || !e->key_cnt))
			store_drop(s, host, len);
		return NULL;
	}
	*k = *in;
	k->issuer = issuer;
	k->first_s = first_s;
	k->last_s = last_s;
	return k;
}

/* ---- learning ---- */

static void
key_of(const struct psi_pins_seen *seen, struct key *k, char issuer[PSI_PINS_ISSUER_MAX])
{
	size_t len = strlen(seen->issuer), keep = PSI_MIN(len, (size_t)PSI_PINS_ISSUER_MAX - 1);

	while (keep < len && keep && ((uint8_t)seen->issuer[keep] & 0xc0) == 0x80)
		keep--; /* between two characters */
	for (size_t i = 0; i < keep; i++)
		issuer[i] = (uint8_t)seen->issuer[i] < 0x20 || seen->issuer[i] == 0x7f
				    ? '?'
				    : seen->issuer[i];
	issuer[keep] = 0;
	*k = (struct key){.first_s = seen->time_s, .last_s = seen->time_s, .own = seen->own_ca};
	k->issuer = issuer;
	memcpy(k->spki, seen->spki_sha256, 32);
	SHA256((const uint8_t *)seen->issuer, len, k->issuer_dn);
	if (seen->issuer_sha256)
		memcpy(k->issuer_key, seen->issuer_sha256, 32);
	if (seen->root_sha256)
		memcpy(k->root, seen->root_sha256, 32);
}

/* Both known, and equal. */
static bool
equal(const uint8_t a[32], const uint8_t b[32])
{
	return memcmp(a, unknown, 32) != 0 && memcmp(a, b, 32) == 0;
}

static bool
differ(const uint8_t a[32], const uint8_t b[32])
{
	return memcmp(a, unknown, 32) != 0 && memcmp(b, unknown, 32) != 0 && memcmp(a, b, 32) != 0;
}

static bool
same_issuer(const struct key *a, const struct key *b)
{
	if (equal(a->issuer_key, b->issuer_key) || equal(a->root, b->root))
		return true;
	return memcmp(a->issuer_dn, b->issuer_dn, 32) == 0 && !differ(a->issuer_key, b->issuer_key);
}

static enum psi_pins_news
classify(const struct entry *e, const struct key *k)
{
	for (uint32_t i = 0; i < e->key_cnt; i++)
		if (!e->key[i].own && same_issuer(&e->key[i], k))
			return PSI_PINS_NEWS_ROTATED;
	return PSI_PINS_NEWS_ISSUER_CHANGED;
}

/* The same key again: what was not known of its issuers is kept. The file hears of it once a day. */
static void
seen_again(
	struct psi_pins_store *s, struct entry *e, struct key *k, const struct psi_pins_seen *now)
{
	k->first_s = PSI_MIN(k->first_s, now->time_s);
	k->last_s = PSI_MAX(k->last_s, now->time_s);
	if (now->issuer_sha256 && memcmp(k->issuer_key, unknown, 32) == 0)
		memcpy(k->issuer_key, now->issuer_sha256, 32);
	if (now->root_sha256 && memcmp(k->root, unknown, 32) == 0)
		memcpy(k->root, now->root_sha256, 32);
	if (k->last_s - k->told_s >= DAY_S)
		store_later(s, e->name, k);
}

/* True when the host shows more new keys than are news. */
static bool
churns(struct entry *e, int64_t time_s)
{
	if (time_s - e->day_s >= DAY_S || time_s < e->day_s) {
		e->day_s = time_s;
		e->changes = 0;
	}
	return e->changes++ >= PSI_PINS_CHANGES_MAX;
}

/* The key may give way to the new one: its issuer is copied. */
static void
tell_before(
	struct psi_pins_store *s, const struct key *k, uint32_t cnt, struct psi_pins_before *out)
{
	if (!out)
		return;
	memcpy(s->before_issuer, k->issuer, strlen(k->issuer) + 1);
	memcpy(out->spki_sha256, k->spki, 32);
	out->issuer = s->before_issuer;
	out->first_s = k->first_s;
	out->last_s = k->last_s;
	out->keys = cnt;
}

/* Keys under the operator's own CA, which many proxies make anew for each start or connection. */
static enum psi_pins_news
learn_own(
	struct psi_pins_store *s, struct entry *e, const char *name, uint32_t len, struct key *now)
{
	uint32_t cnt = 0;
	struct key *old = e ? key_latest(e, true, &cnt) : NULL;
	int64_t first_s = old ? old->first_s : now->first_s,
		told_s = old ? old->told_s : INT64_MIN / 2;
	struct key *k;

	now->first_s = PSI_MIN(first_s, now->first_s);
	k = store_put(s, name, len, now);
	if (!k)
		return PSI_PINS_NEWS_NONE;
	k->told_s = told_s;
	if (k->last_s - told_s >= DAY_S)
		store_later(s, name, k);
	s->count.learnt += !old;
	return old ? PSI_PINS_NEWS_SAME : PSI_PINS_NEWS_FIRST;
}

static enum psi_pins_news
learn_new(struct psi_pins_store *s, struct entry *e, const char *name, uint32_t len,
	const struct key *now, struct psi_pins_before *before)
{
	enum psi_pins_news news = PSI_PINS_NEWS_FIRST;
	uint32_t cnt = 0;
	struct key *latest = e ? key_latest(e, false, &cnt) : NULL, *k;
	bool churning = cnt && churns(e, now->last_s);

	if (latest) {
		news = classify(e, now);
		tell_before(s, latest, cnt, before);
	}
	k = store_put(s, name, len, now);
	if (!k)
		return PSI_PINS_NEWS_NONE;
	s->count.churning += churning;
	if (churning)
		return PSI_PINS_NEWS_SAME;
	store_later(s, name, k);
	s->count.learnt++;
	s->count.rotated += news == PSI_PINS_NEWS_ROTATED;
	s->count.issuer_changed += news == PSI_PINS_NEWS_ISSUER_CHANGED;
	return news;
}

enum psi_pins_news
psi_pins_learn(
	struct psi_pins_store *s, const struct psi_pins_seen *seen, struct psi_pins_before *before)
{
	char name[PSI_PINS_HOST_MAX + 1], issuer[PSI_PINS_ISSUER_MAX];
	uint32_t len = host_fold(seen->host, seen->host_len, name);
	struct entry *e;
	struct key now, *k;

	if (!seen->host_len || memcmp(seen->spki_sha256, unknown, 32) == 0)
		return PSI_PINS_NEWS_NONE;
	if (!len || strlen(name) != len || host_is_name(name)) {
		s->count.refused++;
		return PSI_PINS_NEWS_NONE;
	}
	e = entry_of(s, name, len);
	k = e && !seen->own_ca ? key_find(e, seen->spki_sha256, false) : NULL;
	if (k) {
		seen_again(s, e, k, seen);
		return PSI_PINS_NEWS_SAME;
	}
	key_of(seen, &now, issuer);
	return seen->own_ca ? learn_own(s, e, name, len, &now)
			    : learn_new(s, e, name, len, &now, before);
}

const char *
psi_pins_news_name(enum psi_pins_news n)
{
	switch (n) {
	case PSI_PINS_NEWS_NONE: return "none";
	case PSI_PINS_NEWS_FIRST: return "first";
	case PSI_PINS_NEWS_SAME: return "same";
	case PSI_PINS_NEWS_ROTATED: return "rotated";
	case PSI_PINS_NEWS_ISSUER_CHANGED: return "issuer_changed";
	}
	return NULL;
}

/* ---- the whole ---- */

void
psi_pins_store_count(const struct psi_pins_store *s, struct psi_pins_store_count *out)
{
	*out = s->count;
}

void
psi_pins_store_each(const struct psi_pins_store *s,
	void (*fn)(void *ctx, const struct psi_pins_known *k), void *ctx)
{
	for (const struct entry *e = s->newest; e; e = e->older) {
		for (uint32_t i = 0; i < e->key_cnt; i++) {
			struct psi_pins_known k = {.host = e->name,
				.own_ca = e->key[i].own,
				.issuer = e->key[i].issuer,
				.first_s = e->key[i].first_s,
				.last_s = e->key[i].last_s};

			memcpy(k.spki_sha256, e->key[i].spki, 32);
			fn(ctx, &k);
		}
	}
}

static void
store_free(struct psi_pins_store *s)
{
	while (s->oldest)
		store_drop(s, s->oldest->name, s->oldest->len);
	free(s->bucket);
	free(s->pending);
	free(s->path);
	free(s);
}

struct psi_pins_store *
psi_pins_store_open(const struct psi_pins_store_config *cfg, struct psi_err *err)
{
	struct psi_pins_store *s = calloc(1, sizeof(*s));
	int rc = -ENOMEM;

	psi_err_set(err, rc, "keys on first use: out of memory for %u hosts", cfg->hosts_max);
	if (!s)
		return NULL;
	s->fd = s->lock_fd = -1;
	s->mode = cfg->mode;
	s->max = PSI_MAX(cfg->hosts_max, 1u);
	s->bucket_cnt = PSI_MIN(PSI_MAX(s->max, 1024u), 1u << 20);
	s->bucket = calloc(s->bucket_cnt, sizeof(*s->bucket));
	if (s->bucket && getrandom(&s->seed, sizeof(s->seed), 0) == (ssize_t)sizeof(s->seed))
		rc = cfg->path ? store_file_open(s, cfg, err) : 0;
	if (rc) {
		store_file_close(s);
		store_free(s);
		return NULL;
	}
	if (err)
		err->text[0] = 0;
	return s;
}

void
psi_pins_store_close(struct psi_pins_store *s)
{
	if (!s)
		return;
	psi_pins_flush(s, NULL);
	store_file_close(s);
	store_free(s);
}
