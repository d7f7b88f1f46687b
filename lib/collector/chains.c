/* SPDX-License-Identifier: BSD-3-Clause */
/* Distinct certificate chains: each parsed once, then found by the key that its worker computed. The least recently
 * used one goes when there is no more room. Issuers recur in many of them: they are found by their bytes, and shared. */
#include "collector_pvt.h"
#include "psi_cursor.h"

#include <errno.h>
#include <rte_mbuf.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

int
chains_open(struct chains *s, uint32_t max, struct psi_stats *stats)
{
	s->stats = stats;
	s->max = max;
	for (s->bucket_cnt = 1024; s->bucket_cnt < max && s->bucket_cnt < 1u << 31;)
		s->bucket_cnt *= 2;
	s->bucket = calloc(s->bucket_cnt, sizeof(*s->bucket));
	s->bytes = malloc(CHAIN_LEN_MAX);
	s->scratch = aligned_alloc(8, PSI_EVENT_MAX);
	s->x509s = malloc(2 * sizeof(*s->x509s));
	s->x509 = psi_x509_open();
	return s->x509s && s->bucket && s->bytes && s->scratch && s->x509 ? 0 : -ENOMEM;
}

/* The key is a keyed hash already. */
static struct chain **
bucket_of(const struct chains *s, const uint64_t key[2])
{
	return &s->bucket[key[0] & (s->bucket_cnt - 1)];
}

static struct chain **
slot(struct chains *s, const uint64_t key[2])
{
	struct chain **p = bucket_of(s, key);

	while (*p && ((*p)->key[0] != key[0] || (*p)->key[1] != key[1]))
		p = &(*p)->hash_next;
	return p;
}

static void
unlink_use(struct chains *s, struct chain *c)
{
	*(c->newer ? &c->newer->older : &s->newest) = c->older;
	*(c->older ? &c->older->newer : &s->oldest) = c->newer;
}

static void
link_newest(struct chains *s, struct chain *c)
{
	c->moved_at = s->uses;
	c->newer = NULL;
	c->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = c;
	s->newest = c;
}

static void
cert_free(struct cert *x)
{
	if (x && !--x->refs)
		free(x);
}

static void
chain_free(struct chain *c)
{
	if (c) {
		for (uint32_t i = 0; i < c->cert_cnt; i++)
			cert_free(c->cert[i]);
		free(c->pin);
	}
	free(c);
}

static void
drop(struct chains *s, struct chain **p)
{
	struct chain *c = *p;

	*p = c->hash_next;
	unlink_use(s, c);
	s->cnt--;
	chain_free(c);
}

void
chains_close(struct chains *s)
{
	while (s->oldest)
		drop(s, slot(s, s->oldest->key));
	for (int i = 0; i < ISSUER_SETS * ISSUER_WAYS; i++)
		cert_free(s->issuer[i / ISSUER_WAYS][i % ISSUER_WAYS]);
	psi_x509_close(s->x509);
	free(s->bucket);
	free(s->bytes);
	free(s->x509s);
	free(s->scratch);
}

struct chain *
chains_find(struct chains *s, const uint64_t key[2])
{
	struct chain *c = *slot(s, key);

	/* One that moved a short while ago stays where it is: to move it costs the lines of four others. */
	if (c && s->uses++ - c->moved_at >= s->max / 4 && c != s->newest) {
		unlink_use(s, c);
		link_newest(s, c);
	}
	return c;
}

struct chain *
chains_look(struct chains *s, const uint64_t key[2])
{
	return *slot(s, key);
}

void
chains_want(const struct chains *s, const uint64_t key[2])
{
	__builtin_prefetch(bucket_of(s, key));
}

void
chains_want_first(const struct chains *s, const uint64_t key[2])
{
	const struct chain *c = *bucket_of(s, key);

	for (uint32_t at = 0; c && at < offsetof(struct chain, cert[3]); at += 64)
		__builtin_prefetch((const uint8_t *)c + at);
}

/* The message body in one piece; what is beyond CHAIN_LEN_MAX is left out. Gives the references back. */
static uint32_t
gather(struct chains *s, const struct psi_handoff_chain *m)
{
	uint32_t len = m->head_len;

	memcpy(s->bytes, m->head, len);
	for (uint16_t i = 0; i < m->seg_cnt; i++) {
		uint32_t n = PSI_MIN(m->seg[i].len, CHAIN_LEN_MAX - len);

		memcpy(s->bytes + len, m->seg[i].p, n);
		len += n;
		rte_pktmbuf_free_seg(m->seg[i].ref);
	}
	return len;
}

static uint32_t
encoded(const struct psi_event_w *w)
{
	return w->at - (uint32_t)offsetof(struct psi_event, body);
}

/* One certificate's fields, encoded into scratch; returns how many bytes they take from scratch's body on. */
static uint32_t
encode(struct chains *s, void (*fn)(struct psi_event_w *, const struct psi_x509 *),
	const struct psi_x509 *x)
{
	struct psi_event_w w;

	psi_event_begin(&w, s->scratch, PSI_EVENT_MAX, PSI_EVENT_TLS_FLOW);
	fn(&w, x);
	return encoded(&w);
}

/* A certificate of fields_len bytes of fields, which stand in scratch, and its own bytes. NULL without memory. */
static struct cert *
cert_make(struct chains *s, uint32_t fields_len, const uint8_t *der, uint32_t der_len)
{
	struct cert *x = malloc(sizeof(*x) + fields_len + der_len);

	if (!x)
		return NULL;
	*x = (struct cert){.refs = 1, .fields_len = fields_len, .der_len = der_len};
	memcpy(x->bytes, s->scratch + offsetof(struct psi_event, body), fields_len);
	memcpy(x->bytes + fields_len, der, der_len);
	return x;
}

static void
read_x509(struct chains *s, struct psi_x509 *f, const uint8_t *der, uint32_t len)
{
	psi_x509_begin(s->x509, f);
	psi_x509_push(s->x509, der, len);
	psi_x509_end(s->x509);
	psi_stat_inc(s->stats, f->err == PSI_OK ? PSI_STAT_cert_parsed : PSI_STAT_cert_malformed);
}

static struct cert *
cert_of(struct chains *s, const struct psi_x509 *f, uint32_t fields_len, const uint8_t *der,
	uint32_t len)
{
	struct cert *x = cert_make(s, fields_len, der, len);

	if (!x)
		return NULL;
	x->sound = f->err == PSI_OK;
	memcpy(x->pin.spki_sha256, f->spki_sha256, sizeof(x->pin.spki_sha256));
	memcpy(x->pin.sha256, f->sha256, sizeof(x->pin.sha256));
	return x;
}

/* Where an issuer is kept: true. Or where it is to be kept, in place of what may be there. */
static bool
find_issuer(struct chains *s, uint64_t hash, const uint8_t *der, uint32_t len, struct cert ***at)
{
	struct cert **set = s->issuer[hash % ISSUER_SETS];

	*at = set;
	for (int i = 0; i < ISSUER_WAYS; i++) {
		struct cert *x = set[i];

		if (x && x->hash == hash && x->der_len == len &&
			memcmp(cert_der(x), der, len) == 0) {
			*at = &set[i];
			return true;
		}
		if (**at && (!x || x->used < (**at)->used))
			*at = &set[i];
	}
	return false;
}

/* A certificate behind the leaf, read anew or not. The reference is the caller's. */
static struct cert *
issuer_of(struct chains *s, const uint8_t *der, uint32_t len)
{
	uint64_t hash = XXH3_64bits(der, len);
	struct cert **at, *x;

	if (find_issuer(s, hash, der, len, &at)) {
		x = *at;
		psi_stat_inc(s->stats, x->sound ? PSI_STAT_cert_parsed : PSI_STAT_cert_malformed);
	} else {
		read_x509(s, &s->x509s[1], der, len);
		x = cert_of(s, &s->x509s[1], encode(s, encode_cert, &s->x509s[1]), der, len);
		if (!x)
			return NULL;
		x->hash = hash;
		cert_free(*at);
		*at = x;
	}
	x->used = ++s->issuer_uses;
	x->refs++;
	return x;
}

/* What pins and the population know a chain by: hashes of each certificate, and of the leaf its issuer and its first
 * DNS name. */
static bool
keep_identity(struct chain *c, const struct psi_x509 *x)
{
	size_t pins_len = c->cert_cnt * sizeof(*c->pin), issuer_len;
	enum psi_x509_san kind = PSI_SAN_IP;
	const uint8_t *name = NULL;
	uint32_t at = 0, len = 0;

	if (!c->cert_cnt)
		return true;
	issuer_len = strlen(x->issuer);
	while (kind != PSI_SAN_DNS && psi_x509_san_next(x, &at, &kind, &name, &len))
		;
	len = kind == PSI_SAN_DNS ? len : 0;
	c->pin = malloc(pins_len + issuer_len + 1 + len);
	if (!c->pin)
		return false;
	for (uint32_t i = 0; i < c->cert_cnt; i++)
		c->pin[i] = c->cert[i]->pin;
	c->issuer = (char *)c->pin + pins_len;
	memcpy(c->issuer, x->issuer, issuer_len + 1);
	c->issuer_len = (uint32_t)issuer_len;
	c->name = c->issuer + issuer_len + 1;
	if (len)
		memcpy(c->name, name, len);
	c->name_len = len;
	return true;
}

/* The chain with the fields in scratch: the leaf's own, then those of its element. NULL, and the chain freed, without
 * memory. */
static struct chain *
with_fields(struct chains *s, struct chain *c, uint32_t leaf_len, uint32_t first_len)
{
	struct chain *n = realloc(c, sizeof(*c) + leaf_len + first_len);

	if (!n) {
		chain_free(c);
		return NULL;
	}
	memcpy(n->leaf, s->scratch + offsetof(struct psi_event, body), leaf_len + first_len);
	n->leaf_len = leaf_len;
	n->first_len = first_len;
	return n;
}

/* The leaf: its fields into the chain, and itself. The chain is another then; NULL, and the chain freed, without
 * memory. */
static struct chain *
keep_leaf(struct chains *s, struct chain *c, const uint8_t *der, uint32_t len)
{
	const struct psi_x509 *x = &s->x509s[0];
	struct psi_event_w w;
	uint32_t own;
	struct chain *n;

	psi_event_begin(&w, s->scratch, PSI_EVENT_MAX, PSI_EVENT_TLS_FLOW);
	encode_leaf(&w, x);
	own = encoded(&w);
	encode_cert(&w, x);
	n = with_fields(s, c, own, encoded(&w) - own);
	if (!n)
		return NULL;
	n->not_before = x->not_before;
	n->not_after = x->not_after;
	n->serial_len = x->serial_len;
	memcpy(n->serial, x->serial, sizeof(n->serial));
	n->cert[0] = cert_of(s, x, 0, der, len);
	if (!n->cert[0]) {
		chain_free(n);
		return NULL;
	}
	n->cert_cnt = 1;
	return n;
}

/* The certificates of the list, of which cnt began before its end. One of which bytes are missing is left out, whatever
 * its reader makes of the rest. NULL, and the chain freed, without memory. */
static struct chain *
read_list(struct chains *s, struct chain *c, uint32_t len, uint32_t cnt)
{
	uint32_t at = 3, end = PSI_MIN(len, 3 + psi_be24(s->bytes));

	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t claimed = psi_be24(s->bytes + at), n = PSI_MIN(claimed, end - at - 3);
		const uint8_t *der = s->bytes + at + 3;

		if (i == 0 || n < claimed)
			read_x509(s, &s->x509s[i != 0], der, n);
		if (n < claimed)
			break;
		at += 3 + n;
		if (i == 0) {
			c = keep_leaf(s, c, der, n);
			if (!c)
				return NULL;
			continue;
		}
		c->cert[i] = issuer_of(s, der, n);
		if (!c->cert[i]) {
			chain_free(c);
			return NULL;
		}
		c->cert_cnt++;
	}
	return c;
}

/* Reads the message and keeps what its certificates say. NULL without memory. */
static struct chain *
parse(struct chains *s, struct chain *c, uint32_t len)
{
	struct psi_x509_chain list; /* of which nothing is read yet, only counted */
	uint32_t cnt;

	psi_x509_chain_begin(&list, s->x509, NULL, 0);
	psi_x509_chain_push(&list, s->bytes, len);
	c->broken = psi_x509_chain_end(&list) == PSI_E_MALFORMED;
	cnt = PSI_MIN(list.cnt, (uint32_t)CHAIN_CERT_MAX);
	c->cut |= list.err == PSI_E_SHORT || list.cnt > cnt;
	if (cnt)
		c = read_list(s, c, len, cnt);
	if (c && !keep_identity(c, s->x509s)) {
		chain_free(c);
		c = NULL;
	}
	return c;
}

/* RFC 7250 section 3: a SubjectPublicKeyInfo behind its length. NULL without memory. */
static struct chain *
parse_raw(struct chains *s, struct chain *c, uint32_t len)
{
	struct psi_event_w w;

	c->raw = 1;
	c->broken = !c->cut && (len < 4 || psi_be24(s->bytes) != len - 3);
	if (c->cut || c->broken)
		return c;
	psi_event_begin(&w, s->scratch, PSI_EVENT_MAX, PSI_EVENT_TLS_FLOW);
	c->pin = calloc(1, sizeof(*c->pin)); /* of a key alone, which no certificate is about */
	if (!c->pin) {
		chain_free(c);
		return NULL;
	}
	encode_raw_key(&w, s->bytes + 3, len - 3, c->pin->spki_sha256);
	c = with_fields(s, c, 0, encoded(&w));
	if (!c)
		return NULL;
	c->cert[0] = cert_make(s, 0, s->bytes, 0);
	if (!c->cert[0]) {
		chain_free(c);
		return NULL;
	}
	c->cert_cnt = 1;
	return c;
}

void
chains_add(struct chains *s, const struct psi_handoff_chain *m)
{
	struct chain **p = slot(s, m->key), *c;
	uint32_t len = gather(s, m);

	if (*p)
		return;
	if (s->cnt == s->max && s->oldest) {
		drop(s, slot(s, s->oldest->key));
		psi_stat_inc(s->stats, PSI_STAT_chain_evicted);
	}
	c = calloc(1, sizeof(*c));
	if (c) {
		c->not_before = c->not_after = INT64_MIN;
		c->cut = m->cut || len < m->len;
		c = m->raw ? parse_raw(s, c, len) : parse(s, c, len);
	}
	if (!c) {
		psi_stat_inc(s->stats, PSI_STAT_chain_evicted);
		return;
	}
	memcpy(c->key, m->key, sizeof(c->key));
	p = slot(s, m->key);
	c->hash_next = NULL;
	*p = c;
	s->uses++;
	link_newest(s, c);
	s->cnt++;
}
