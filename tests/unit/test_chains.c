/* SPDX-License-Identifier: BSD-3-Clause */
/* Chains that share issuers, held against a slow twin here that reads each certificate where it stands. */
#include "psi_unit.h"

#include "collector_pvt.h"
#include "psi_cursor.h"
#include "trust_certs.h"

#include <rte_mbuf.h>

static struct psi_stats stats;
static struct chains *s;

static void
open_chains(uint32_t max)
{
	s = calloc(1, sizeof(*s));
	CU_ASSERT_FATAL(s && chains_open(s, max, &stats) == 0);
}

static void
close_chains(void)
{
	chains_close(s);
	free(s);
}

/* As a worker hands it over; the body in one span of an mbuf that somebody else holds, too. */
static void
add(uint64_t key, const uint8_t *body, uint32_t len)
{
	union {
		struct psi_handoff_chain m;
		uint8_t room[sizeof(struct psi_handoff_chain) + 32];
	} u = {.m = {.key = {key, ~key}, .len = len, .seg_cnt = 1}};
	static struct rte_mbuf held;
	uint8_t *p = exact(body, len);

	rte_mbuf_refcnt_set(&held, 2);
	u.m.seg[0].p = p;
	u.m.seg[0].len = len;
	u.m.seg[0].ref = &held;
	chains_add(s, &u.m);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(&held), 1);
	free(p);
}

static struct chain *
find(uint64_t key)
{
	return chains_find(s, (const uint64_t[]){key, ~key});
}

static struct chain *
send(uint64_t key, const uint8_t *body, uint32_t len)
{
	add(key, body, len);
	return find(key);
}

static void
put24(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 16);
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)v;
}

/* One of 3 certificates, of which a byte of the serial number is variable; kind 3: none at all, 4: cut, 5: not DER. */
static uint32_t
put_cert(uint8_t *to, uint32_t kind, uint8_t number)
{
	static const struct {
		const uint8_t *p;
		uint32_t len;
	} cert[] = {{trust_leaf, sizeof(trust_leaf)}, {trust_inter, sizeof(trust_inter)},
		{trust_root, sizeof(trust_root)}};
	uint32_t n = kind == 3 ? 0 : cert[kind % 3].len - (kind == 4 ? 20 : 0);

	put24(to, n);
	memcpy(to + 3, cert[kind % 3].p, n);
	if (n)
		to[3 + 14] = number; /* behind 30 82 xx xx 30 .. xx a0 03 02 01 02 02 02 */
	if (kind == 5)
		to[3 + 40] ^= 0x81;
	return 3 + n;
}

static uint32_t
put_list(uint8_t *to, uint32_t cnt, const uint32_t *kind, const uint8_t *number)
{
	uint32_t n = 3;

	for (uint32_t i = 0; i < cnt; i++)
		n += put_cert(to + n, kind[i], number[i]);
	put24(to, n - 3);
	return n;
}

/* What a chain must be, read by psi_x509_chain alone, whose own tests are elsewhere. */
static void
check(const struct chain *c, const uint8_t *body, uint32_t len)
{
	static struct psi_x509 x[CHAIN_CERT_MAX];
	static uint8_t event[PSI_EVENT_MAX] __attribute__((aligned(8)));
	uint64_t parsed = psi_stat_get(&stats, PSI_STAT_cert_parsed),
		 malformed = psi_stat_get(&stats, PSI_STAT_cert_malformed);
	struct psi_x509_ctx *reader = psi_x509_open();
	struct psi_x509_chain list;
	uint32_t at = 3, cnt = 0, n;
	struct psi_event_w w;

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	psi_x509_chain_begin(&list, reader, x, CHAIN_CERT_MAX);
	psi_x509_chain_push(&list, body, len);
	CU_ASSERT_EQUAL(c->broken, psi_x509_chain_end(&list) == PSI_E_MALFORMED);
	CU_ASSERT_EQUAL(c->cut, list.err == PSI_E_SHORT || list.cnt > list.kept);
	for (uint32_t i = 0; i < list.kept; i++) {
		const struct cert *got = c->cert[i];
		const uint8_t *fields;

		x[i].err == PSI_OK ? parsed-- : malformed--;
		if (x[i].len < psi_be24(body + at))
			break;
		cnt++;
		CU_ASSERT_FATAL(i < c->cert_cnt);
		fields = i ? got->bytes : c->leaf + c->leaf_len;
		psi_event_begin(&w, event, sizeof(event), PSI_EVENT_TLS_FLOW);
		encode_cert(&w, &x[i]);
		n = w.at - (uint32_t)offsetof(struct psi_event, body);
		CU_ASSERT_FATAL(
			(i ? got->fields_len : c->first_len) == n && got->der_len == x[i].len);
		CU_ASSERT_EQUAL(memcmp(fields, event + offsetof(struct psi_event, body), n), 0);
		CU_ASSERT_EQUAL(memcmp(cert_der(got), body + at + 3, x[i].len), 0);
		CU_ASSERT_EQUAL(memcmp(c->pin[i].sha256, x[i].sha256, 32), 0);
		CU_ASSERT_EQUAL(memcmp(c->pin[i].spki_sha256, x[i].spki_sha256, 32), 0);
		at += 3 + x[i].len;
	}
	CU_ASSERT_EQUAL(c->cert_cnt, cnt);
	CU_ASSERT(parsed == 0 && malformed == 0); /* counted as often as seen */
	if (cnt) {
		psi_event_begin(&w, event, sizeof(event), PSI_EVENT_TLS_FLOW);
		encode_leaf(&w, &x[0]);
		n = w.at - (uint32_t)offsetof(struct psi_event, body);
		CU_ASSERT(c->leaf_len == n &&
			  memcmp(c->leaf, event + offsetof(struct psi_event, body), n) == 0);
		CU_ASSERT(c->not_before == x[0].not_before && c->not_after == x[0].not_after);
		CU_ASSERT_STRING_EQUAL(c->issuer, x[0].issuer);
	}
	psi_x509_close(reader);
}

static void
test_shared(void)
{
	static uint8_t body[4096];
	const uint32_t kind[] = {0, 1, 2};
	const struct chain *a, *b, *c;
	uint32_t len;

	open_chains(8);
	len = put_list(body, 3, kind, (const uint8_t[]){1, 1, 1});
	a = send(1, body, len);
	len = put_list(body, 3, kind, (const uint8_t[]){2, 1, 1});
	b = send(2, body, len);
	len = put_list(body, 3, kind, (const uint8_t[]){2, 2, 1});
	c = send(3, body, len);
	CU_ASSERT(a->cert[0] != b->cert[0] && b->cert[0] != c->cert[0]);
	CU_ASSERT(a->cert[1] == b->cert[1] && b->cert[1] != c->cert[1]);
	CU_ASSERT(a->cert[2] == b->cert[2] && b->cert[2] == c->cert[2]);
	CU_ASSERT_EQUAL(a->cert[2]->refs, 4);
	close_chains();
}

static uint32_t
random_below(uint32_t n)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 11) % n;
}

/* Lists of anything, cut anywhere, with lengths that lie; few chains are kept, so that issuers outlive them. */
static void
test_any_list(void)
{
	static uint8_t body[16384];

	open_chains(5);
	for (uint64_t k = 1; k < 4000; k++) {
		uint32_t cnt = random_below(k % 10 ? 5 : 20), kind[20], len;
		uint8_t number[20];

		for (uint32_t i = 0; i < cnt; i++) {
			kind[i] = random_below(6);
			number[i] = (uint8_t)random_below(6);
		}
		len = put_list(body, cnt, kind, number);
		if (random_below(4) == 0)
			body[random_below(PSI_MIN(len, 6u))] ^= (uint8_t)(1 << random_below(8));
		if (random_below(4) == 0)
			len = random_below(len + 1);
		memset(&stats, 0, sizeof(stats));
		check(send(k, body, len), body, len);
	}
	close_chains();
}

/* More issuers than there is room for: those not used go, none is lost to the chains that have it. */
static void
test_flood(void)
{
	static uint8_t body[4096];
	uint32_t kept = 0, len;

	open_chains(3000);
	for (uint32_t i = 0; i < 3000; i++) {
		put_list(body, 2, (const uint32_t[]){0, 1}, (const uint8_t[]){1, (uint8_t)i});
		body[3 + 3 + sizeof(trust_leaf) + 3 + 200] = (uint8_t)(i >> 8);
		len = 3 + 3 + sizeof(trust_leaf) + 3 + sizeof(trust_inter);
		memset(&stats, 0, sizeof(stats));
		check(send(1 + i, body, len), body, len);
	}
	for (int i = 0; i < ISSUER_SETS * ISSUER_WAYS; i++)
		kept += s->issuer[i / ISSUER_WAYS][i % ISSUER_WAYS] != NULL;
	CU_ASSERT(kept > 800 && kept <= 1024);
	close_chains();
}

/* One that is found again and again stays, however many new ones come in between: a new one is a use, too. */
static void
test_in_use(void)
{
	static uint8_t body[16];
	uint32_t len = put_list(body, 0, NULL, NULL), lost = 0;

	open_chains(320);
	add(1, body, len);
	for (uint64_t k = 2; k < 4000; k++) {
		add(k, body, len);
		if (k % 40 == 0)
			lost += !find(1);
	}
	CU_ASSERT_EQUAL(lost, 0);
	close_chains();
}

static CU_TestInfo tests[] = {
	{"issuers are shared", test_shared},
	{"any list, against a slow twin", test_any_list},
	{"more issuers than there is room for", test_flood},
	{"a chain in use stays", test_in_use},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "chains", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
