/* SPDX-License-Identifier: BSD-3-Clause */
/* Distinct certificate chains: each parsed once, then found by the key that its worker computed. The least recently
 * used one goes when there is no more room. */
#include "collector_pvt.h"
#include "psi_cursor.h"

#include <errno.h>
#include <rte_mbuf.h>
#include <stdlib.h>

int
chains_open(struct chains *s, uint32_t max, struct psi_stats *stats)
{
	s->stats = stats;
	s->max = max;
	s->bucket_cnt = max < 1024 ? 1024 : max;
	s->bucket = calloc(s->bucket_cnt, sizeof(*s->bucket));
	s->bytes = malloc(CHAIN_LEN_MAX);
	s->scratch = aligned_alloc(8, PSI_EVENT_MAX);
	s->cert = malloc(CHAIN_CERT_MAX * sizeof(*s->cert));
	s->x509 = psi_x509_open();
	return s->cert && s->bucket && s->bytes && s->scratch && s->x509 ? 0 : -ENOMEM;
}

static struct chain **
slot(struct chains *s, const uint64_t key[2])
{
	struct chain **p = &s->bucket[key[0] % s->bucket_cnt];

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
chain_free(struct chain *c)
{
	if (c) {
		free(c->der);
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
	psi_x509_close(s->x509);
	free(s->bucket);
	free(s->bytes);
	free(s->cert);
	free(s->scratch);
}

struct chain *
chains_find(struct chains *s, const uint64_t key[2])
{
	struct chain *c = *slot(s, key);

	/* One that moved a short while ago stays where it is: to move it costs the lines of four others. */
	if (c && s->uses++ - c->moved_at >= s->max / 16 && c != s->newest) {
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
	__builtin_prefetch(&s->bucket[key[0] % s->bucket_cnt]);
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

/* Appends scratch's fields to the chain in the making. NULL, and the chain freed, without memory. */
static struct chain *
append(struct chains *s, struct chain *c, uint32_t len)
{
	struct chain *n = realloc(c, sizeof(*c) + c->len + len);

	if (!n) {
		chain_free(c);
		return NULL;
	}
	memcpy(n->blob + n->len, s->scratch + offsetof(struct psi_event, body), len);
	n->len += len;
	return n;
}

/* Keeps the certificates of the list as they were sent, for whoever checks their signatures. The last one may claim to
 * be longer than the message is. */
static bool
keep_der(struct chains *s, struct chain *c, uint32_t len)
{
	uint32_t at = 3, used = 0;

	c->der = malloc(len ? len : 1);
	for (uint32_t i = 0; c->der && i < c->cert_cnt; i++) {
		c->der_len[i] = PSI_MIN(psi_be24(s->bytes + at), len - at - 3);
		memcpy(c->der + used, s->bytes + at + 3, c->der_len[i]);
		used += c->der_len[i];
		at += 3 + c->der_len[i];
	}
	return c->der;
}

/* What pins and the population know a chain by: hashes of each certificate, and of the leaf its issuer and its first
 * DNS name. */
static struct chain *
keep_identity(struct chain *c, const struct psi_x509 *x)
{
	size_t pins_len = c->cert_cnt * sizeof(*c->pin), issuer_len;
	enum psi_x509_san kind = PSI_SAN_IP;
	const uint8_t *name = NULL;
	uint32_t at = 0, len = 0;

	if (!c->cert_cnt)
		return c;
	issuer_len = strlen(x->issuer);
	while (kind != PSI_SAN_DNS && psi_x509_san_next(x, &at, &kind, &name, &len))
		;
	len = kind == PSI_SAN_DNS ? len : 0;
	c->pin = malloc(pins_len + issuer_len + 1 + len);
	if (!c->pin)
		return NULL;
	for (uint32_t i = 0; i < c->cert_cnt; i++) {
		memcpy(c->pin[i].spki_sha256, x[i].spki_sha256, sizeof(c->pin[i].spki_sha256));
		memcpy(c->pin[i].sha256, x[i].sha256, sizeof(c->pin[i].sha256));
	}
	c->issuer = (char *)c->pin + pins_len;
	memcpy(c->issuer, x->issuer, issuer_len + 1);
	c->issuer_len = (uint32_t)issuer_len;
	c->name = c->issuer + issuer_len + 1;
	if (len)
		memcpy(c->name, name, len);
	c->name_len = len;
	return c;
}

/* Reads the message and keeps what its certificates say. A certificate of which bytes are missing is left out, whatever
 * its reader made of the rest. NULL without memory. */
static struct chain *
parse(struct chains *s, struct chain *c, uint32_t len)
{
	struct psi_x509_chain list;
	uint32_t at = 3;

	psi_x509_chain_begin(&list, s->x509, s->cert, CHAIN_CERT_MAX);
	psi_x509_chain_push(&list, s->bytes, len);
	c->broken = psi_x509_chain_end(&list) == PSI_E_MALFORMED;
	c->cut |= list.err == PSI_E_SHORT || list.cnt > list.kept;
	for (uint32_t i = 0; c && i < list.kept; i++) {
		const struct psi_x509 *x = &s->cert[i];

		psi_stat_inc(s->stats,
			x->err == PSI_OK ? PSI_STAT_cert_parsed : PSI_STAT_cert_malformed);
		if (x->len < psi_be24(s->bytes + at))
			break;
		at += 3 + x->len;
		if (i == 0) {
			c->not_before = x->not_before;
			c->not_after = x->not_after;
			c->serial_len = x->serial_len;
			memcpy(c->serial, x->serial, sizeof(c->serial));
			c = append(s, c, encode(s, encode_leaf, x));
			if (!c)
				break;
			c->leaf_len = c->len;
		}
		c->cert_len[c->cert_cnt] = encode(s, encode_cert, x);
		c = append(s, c, c->cert_len[c->cert_cnt++]);
	}
	if (c && (!keep_der(s, c, len) || !keep_identity(c, s->cert))) {
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
	c->cert_len[0] = encoded(&w);
	c->cert_cnt = 1;
	return append(s, c, encoded(&w));
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
	link_newest(s, c);
	s->cnt++;
}
