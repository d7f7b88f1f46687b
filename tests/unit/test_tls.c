/* SPDX-License-Identifier: BSD-3-Clause */
/* Every flight below is fed whole, byte by byte, and cut at every point, and each time held against the same expected
 * values. Those come from the RFC named beside the bytes, or follow from how the flight was put together here. */
#include "psi_unit.h"

#include "psi_cursor.h"
#include "psi_tls.h"
#include "tls_recorded.h"

#include <stdio.h>

/* ---- building flights ---- */

struct buf {
	size_t len;
	uint8_t b[40000];
};

static void
put(struct buf *o, const void *p, size_t n)
{
	PSI_ASSERT(o->len + n <= sizeof(o->b), "flights of the tests fit");
	if (n)
		memcpy(o->b + o->len, p, n);
	o->len += n;
}

static void
put8(struct buf *o, unsigned int v)
{
	uint8_t b = (uint8_t)v;

	put(o, &b, 1);
}

static void
put16(struct buf *o, unsigned int v)
{
	put8(o, v >> 8);
	put8(o, v);
}

static void
put24(struct buf *o, unsigned int v)
{
	put8(o, v >> 16);
	put16(o, v);
}

static void
fill(struct buf *o, unsigned int v, size_t n)
{
	while (n--)
		put8(o, v);
}

static void
hex(struct buf *o, const char *s)
{
	for (unsigned int v; *s; s += 2) {
		while (*s == ' ')
			s++;
		CU_ASSERT_EQUAL_FATAL(sscanf(s, "%2x", &v), 1);
		put8(o, v);
	}
}

/* A length of w bytes that is filled in by close_len. */
static size_t
open_len(struct buf *o, int w)
{
	fill(o, 0, (size_t)w);
	return o->len;
}

static void
close_len(struct buf *o, size_t at, int w)
{
	size_t n = o->len - at;

	for (int i = 1; i <= w; i++, n >>= 8)
		o->b[at - (size_t)i] = (uint8_t)n;
}

static size_t
rec(struct buf *o, unsigned int type, unsigned int version)
{
	put8(o, type);
	put16(o, version);
	return open_len(o, 2);
}

static void
rec_end(struct buf *o, size_t at)
{
	close_len(o, at, 2);
}

static size_t
msg(struct buf *o, unsigned int type)
{
	put8(o, type);
	return open_len(o, 3);
}

static void
msg_end(struct buf *o, size_t at)
{
	close_len(o, at, 3);
}

static size_t
ext(struct buf *o, unsigned int type)
{
	put16(o, type);
	return open_len(o, 2);
}

static void
rec_fill(struct buf *o, unsigned int type, unsigned int len)
{
	size_t r = rec(o, type, 0x0303);

	fill(o, 0xee, len);
	rec_end(o, r);
}

static void
ccs(struct buf *o)
{
	hex(o, "140303000101");
}

static void
simple_msg(struct buf *o, unsigned int type, unsigned int len)
{
	size_t r = rec(o, 22, 0x0303), m = msg(o, type);

	fill(o, 0x5a, len);
	msg_end(o, m);
	rec_end(o, r);
}

/* ---- running them ---- */

struct step {
	unsigned int side;
	const struct buf *b;
};

struct certs {
	uint32_t announced[2], len[2];
	int begun[2], whole[2];
	uint8_t head[2][16];
};

struct run {
	struct psi_tls t;
	struct certs c;
	int rc[2];
	uint32_t skipped;
};

static void
on_begin(void *ctx, enum psi_dir dir, uint32_t len)
{
	struct certs *c = ctx;

	c->begun[dir]++;
	c->announced[dir] = len;
	c->len[dir] = 0;
	c->whole[dir] = -1;
}

static void
on_data(void *ctx, enum psi_dir dir, const uint8_t *p, uint32_t len)
{
	struct certs *c = ctx;

	CU_ASSERT(len > 0);
	for (uint32_t i = 0; i < len && c->len[dir] + i < sizeof(c->head[dir]); i++)
		c->head[dir][c->len[dir] + i] = p[i];
	c->len[dir] += len;
}

static void
on_end(void *ctx, enum psi_dir dir, bool whole)
{
	((struct certs *)ctx)->whole[dir] = whole;
}

static const struct psi_tls_ops ops = {on_begin, on_data, on_end};

/* Pushes [p, p + n), honouring skip as a caller does. */
static void
push(struct run *r, unsigned int side, const uint8_t *p, size_t n, uint32_t *skip)
{
	uint32_t s = (uint32_t)PSI_MIN(n, (size_t)*skip);
	uint8_t *q;

	*skip -= s;
	r->skipped += s;
	if (n == s)
		return;
	q = exact(p + s, n - s);
	r->rc[side] = psi_tls_push(&r->t, side, q, (uint32_t)(n - s), 7, &ops, &r->c, skip);
	free(q);
}

/* cut: 0 feeds every step whole, 1 byte by byte; from 2 on: whole but for one cut behind byte cut - 1 of all. */
static void
run(struct run *r, const struct step *st, size_t n, size_t cut)
{
	uint32_t skip[2] = {0, 0};
	size_t at = 0;

	memset(r, 0, sizeof(*r));
	psi_tls_init(&r->t);
	for (size_t i = 0; i < n; i++) {
		const struct buf *b = st[i].b;
		unsigned int s = st[i].side;
		size_t here = cut > at + 1 ? PSI_MIN(cut - 1 - at, b->len) : 0;

		if (cut == 1) {
			for (size_t k = 0; k < b->len; k++)
				push(r, s, b->b + k, 1, &skip[s]);
		} else {
			push(r, s, b->b, here, &skip[s]);
			push(r, s, b->b + here, b->len - here, &skip[s]);
		}
		at += b->len;
	}
}

/* Runs a check over every way of cutting. */
static void
all_ways(const struct step *st, size_t n, void (*check)(const struct run *))
{
	struct run *r = malloc(sizeof(*r));
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += st[i].b->len;
	for (size_t cut = 0; cut <= total; cut++) {
		unsigned int before = CU_get_number_of_failures();

		run(r, st, n, cut);
		check(r);
		if (CU_get_number_of_failures() != before) {
			fprintf(stderr, "(fed with cut %zu)\n", cut);
			break;
		}
	}
	free(r);
}

static bool
seq_is(const struct psi_tls *t, const char *want)
{
	return t->seq_len == strlen(want) && memcmp(t->seq, want, t->seq_len) == 0;
}

static bool
list_is(const struct psi_tls *t, enum psi_tls_list l, size_t n, const uint16_t *want)
{
	return t->hello.list[l].cnt == n &&
	       memcmp(t->hello.v + t->hello.list[l].at, want, n * sizeof(*want)) == 0;
}

#define LIST_IS(t, l, ...) \
	CU_ASSERT(list_is(t, l, sizeof((uint16_t[]){__VA_ARGS__}) / 2, (uint16_t[]){__VA_ARGS__}))
#define BYTES_ARE(p, len, text) CU_ASSERT((len) == sizeof(text) - 1 && memcmp(p, text, len) == 0)

/* ---- RFC 8448 section 3: a TLS 1.3 handshake, the bytes as published ---- */

static const char ch_8448[] = "16030100c4010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec"
			      "18a2ef6283024dece7000006130113031302"
			      "010000910000000b0009000006736572766572ff01000100000a00140012001d0017"
			      "0018001901000101010201030104002300"
			      "00003300260024001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae"
			      "4d5413691e529aaf2c002b000302030400"
			      "0d0020001e0403050306030203080408050806040105010601020104020502060202"
			      "02002d00020101001c00024001";
static const char sh_8448[] =
	"160303005a020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e269280013"
	"0100002e0033"
	"0024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304";

/* The rest of that handshake as lengths: server flight 17 03 03 02 a2, client Finished 35, then data 43 and 43, and
 * close_notify 13 each way (hexadecimal, RFC 8448 section 3). */
static void
check_8448(const struct run *r)
{
	const struct psi_tls *t = &r->t;
	static const uint16_t c2s[] = {0x35, 0x43, 0x13}, s2c[] = {0x2a2, 0xde, 0x43, 0x13};

	CU_ASSERT(r->rc[0] == PSI_OK && r->rc[1] == PSI_OK);
	CU_ASSERT_EQUAL(t->client, 1);
	CU_ASSERT_EQUAL(t->messages, PSI_MSG_CLIENT_HELLO | PSI_MSG_SERVER_HELLO);
	CU_ASSERT_EQUAL(t->version, 0x0304);
	CU_ASSERT_EQUAL(t->version_raw, 0x0304);
	CU_ASSERT_EQUAL(t->cipher, 0x1301);
	CU_ASSERT_EQUAL(t->group, 0x001d);
	CU_ASSERT_EQUAL(t->hello.version, 0x0303);
	BYTES_ARE(t->sni, t->sni_len, "server");
	LIST_IS(t, PSI_TLS_L_CIPHERS, 0x1301, 0x1303, 0x1302);
	LIST_IS(t, PSI_TLS_L_EXTENSIONS, 0, 0xff01, 10, 35, 51, 43, 13, 45, 28);
	LIST_IS(t, PSI_TLS_L_GROUPS, 0x1d, 0x17, 0x18, 0x19, 0x100, 0x101, 0x102, 0x103, 0x104);
	LIST_IS(t, PSI_TLS_L_SIGALGS, 0x0403, 0x0503, 0x0603, 0x0203, 0x0804, 0x0805, 0x0806,
		0x0401, 0x0501, 0x0601, 0x0201, 0x0402, 0x0502, 0x0602, 0x0202);
	LIST_IS(t, PSI_TLS_L_VERSIONS, 0x0304);
	LIST_IS(t, PSI_TLS_L_KEY_SHARES, 0x001d);
	CU_ASSERT_EQUAL(t->hello.list[PSI_TLS_L_POINT_FORMATS].cnt, 0);
	CU_ASSERT_EQUAL(t->record_limit[PSI_C2S], 0x4001);
	CU_ASSERT_EQUAL(t->server_ext_cnt, 2);
	CU_ASSERT(t->server_ext[0] == 51 && t->server_ext[1] == 43);
	CU_ASSERT_EQUAL(t->note, 0);
	CU_ASSERT_EQUAL(t->side[1].enc_cnt, 3);
	CU_ASSERT_EQUAL(memcmp(t->side[1].enc_len, c2s, sizeof(c2s)), 0);
	CU_ASSERT_EQUAL(t->side[0].enc_cnt, 4);
	CU_ASSERT_EQUAL(memcmp(t->side[0].enc_len, s2c, sizeof(s2c)), 0);
	CU_ASSERT_EQUAL(t->side[0].enc_peer[0], 0);
	CU_ASSERT_EQUAL(t->side[1].enc_peer[0], 1);
	CU_ASSERT_EQUAL(t->side[1].enc_peer[1], 2);
	CU_ASSERT_EQUAL(t->side[0].enc_peer[2], 2);
	CU_ASSERT_EQUAL(t->side[0].enc_bytes, 0x2a2 + 0xde + 0x43 + 0x13);
	CU_ASSERT_EQUAL(t->side[0].enc_max, 0x2a2);
	CU_ASSERT_EQUAL(t->side[1].fin, 1);
	CU_ASSERT_EQUAL(t->side[1].app_bytes, 0);
	CU_ASSERT_EQUAL(t->alert_cnt, 0);
	CU_ASSERT(seq_is(t, "CsdD"));
	CU_ASSERT_EQUAL(psi_tls_phase(t), PSI_TLS_PHASE_DECIDED);
	CU_ASSERT(t->first_ns == 7 && t->last_hs_ns == 7);
}

static void
test_rfc8448(void)
{
	static struct buf ch, sh, fin, nst, data, reply, bye, bye_s;
	struct step st[] = {{1, &ch}, {0, &sh}, {1, &fin}, {0, &nst}, {1, &data}, {0, &reply},
		{1, &bye}, {0, &bye_s}};

	hex(&ch, ch_8448);
	hex(&sh, sh_8448);
	rec_fill(&sh, 23, 0x2a2);
	rec_fill(&fin, 23, 0x35);
	rec_fill(&nst, 23, 0xde);
	rec_fill(&data, 23, 0x43);
	rec_fill(&reply, 23, 0x43);
	rec_fill(&bye, 23, 0x13);
	rec_fill(&bye_s, 23, 0x13);
	all_ways(st, PSI_COUNT(st), check_8448);
}

/* ---- TLS 1.2, full handshake with everything that may stand in it, several messages a record ---- */

static const uint8_t sid[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
	20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};

static void
client_hello_body(struct buf *o, const uint8_t *id, size_t id_len)
{
	size_t l, e;

	put16(o, 0x0303);
	fill(o, 0x11, 32);
	put8(o, (unsigned int)id_len);
	put(o, id, id_len);
	hex(o, "0008 0a0a c02f c030 009c 01 00");
	l = open_len(o, 2);
	e = ext(o, 0x1a1a);
	close_len(o, e, 2);
	e = ext(o, 0);
	hex(o, "0010 00 000d"), put(o, "pin.example.c", 13);
	close_len(o, e, 2);
	e = ext(o, 16);
	hex(o, "000c 02 6832 08"), put(o, "http/1.1", 8);
	close_len(o, e, 2);
	e = ext(o, 11);
	hex(o, "03 00 01 02");
	close_len(o, e, 2);
	e = ext(o, 10);
	hex(o, "0004 001d 0017");
	close_len(o, e, 2);
	e = ext(o, 35);
	fill(o, 0x77, 150);
	close_len(o, e, 2);
	e = ext(o, 5);
	hex(o, "01 0000 0000");
	close_len(o, e, 2);
	close_len(o, l, 2);
}

static void
client_hello(struct buf *o, const uint8_t *id, size_t id_len)
{
	size_t r = rec(o, 22, 0x0301), m = msg(o, 1);

	client_hello_body(o, id, id_len);
	msg_end(o, m);
	rec_end(o, r);
}

static void
server_hello(struct buf *o, unsigned int version, unsigned int cipher, const uint8_t *id,
	size_t id_len, const char *exts)
{
	size_t m = msg(o, 2), l;

	put16(o, version);
	fill(o, 0x22, 32);
	put8(o, (unsigned int)id_len);
	put(o, id, id_len);
	put16(o, cipher);
	put8(o, 0);
	l = open_len(o, 2);
	hex(o, exts);
	close_len(o, l, 2);
	msg_end(o, m);
}

static void
check_full_12(const struct run *r)
{
	const struct psi_tls *t = &r->t;

	CU_ASSERT(r->rc[0] == PSI_OK && r->rc[1] == PSI_OK);
	CU_ASSERT_EQUAL(t->client, 0);
	/* All but HELLO_REQUEST, the alerts and Finished, which is inferred elsewhere. */
	CU_ASSERT_EQUAL(
		t->messages, 0xfffff & ~(uint32_t)(PSI_MSG_HELLO_REQUEST | PSI_MSG_CLIENT_ALERT |
						   PSI_MSG_SERVER_ALERT | PSI_MSG_CLIENT_FINISHED |
						   PSI_MSG_SERVER_FINISHED));
	CU_ASSERT_EQUAL(t->version, 0x0303);
	CU_ASSERT_EQUAL(t->cipher, 0xc02f);
	CU_ASSERT_EQUAL(t->group, 0x0017);
	CU_ASSERT_EQUAL(t->sigscheme, 0x0401);
	BYTES_ARE(t->sni, t->sni_len, "pin.example.c");
	BYTES_ARE(t->client_alpns, t->alpn_len, "\x02h2\x08http/1.1");
	BYTES_ARE(t->alpn_sel, t->alpn_sel_len, "h2");
	LIST_IS(t, PSI_TLS_L_CIPHERS, 0x0a0a, 0xc02f, 0xc030, 0x009c);
	LIST_IS(t, PSI_TLS_L_EXTENSIONS, 0x1a1a, 0, 16, 11, 10, 35, 5);
	LIST_IS(t, PSI_TLS_L_POINT_FORMATS, 0, 1, 2);
	LIST_IS(t, PSI_TLS_L_GROUPS, 0x1d, 0x17);
	CU_ASSERT(t->server_ext_cnt == 3 && t->server_ext[0] == 0xff01 && t->server_ext[1] == 16);
	CU_ASSERT_EQUAL(t->ticket_len, 150);
	CU_ASSERT_EQUAL(t->ticket_lifetime, 7200);
	CU_ASSERT_EQUAL(t->ticket_new_len, 160);
	CU_ASSERT(t->session_id_len[PSI_C2S] == 0 && t->session_id_len[PSI_S2C] == 32);
	CU_ASSERT_EQUAL(t->note, PSI_TLS_TICKET_OFFERED | PSI_TLS_OCSP_REQUESTED |
					 PSI_TLS_OCSP_STAPLED | PSI_TLS_EMS);
	CU_ASSERT(seq_is(t, "CsxukrnXGYItiDd"));
	CU_ASSERT(t->side[0].ccs && t->side[1].ccs && t->side[0].fin && t->side[1].fin);
	CU_ASSERT(t->side[0].enc_cnt == 2 && t->side[0].enc_len[0] == 40 &&
		  t->side[0].enc_type[0] == 22);
	CU_ASSERT(t->side[0].enc_len[1] == 100 && t->side[0].enc_type[1] == 23);
	CU_ASSERT(t->side[0].app_bytes == 100 && t->side[1].app_bytes == 16408);
	CU_ASSERT(r->c.begun[PSI_S2C] == 1 && r->c.announced[PSI_S2C] == 1206 &&
		  r->c.len[PSI_S2C] == 1206);
	CU_ASSERT(r->c.whole[PSI_S2C] == 1 && psi_be24(r->c.head[PSI_S2C]) == 1203);
	CU_ASSERT(r->c.begun[PSI_C2S] == 1 && r->c.len[PSI_C2S] == 26 && r->c.whole[PSI_C2S] == 1);
	CU_ASSERT_EQUAL(psi_tls_phase(t), PSI_TLS_PHASE_DECIDED);
}

static void
server_flight_12(struct buf *o)
{
	size_t r = rec(o, 22, 0x0303), m;

	server_hello(o, 0x0303, 0xc02f, sid, 32, "ff01000100 00100005000302 6832 00170000");
	m = msg(o, 11);
	put24(o, 1203), put24(o, 1200);
	fill(o, 0x30, 600);
	rec_end(o, r); /* the Certificate goes on in the next record */
	r = rec(o, 22, 0x0303);
	fill(o, 0x31, 600);
	msg_end(o, m);
	/* msg_end counted the header of the second record too: put the length right. */
	o->b[m - 2] = 1206 >> 8, o->b[m - 1] = 1206 & 0xff;
	m = msg(o, 22);
	hex(o, "01 000005 30030a0106");
	msg_end(o, m);
	m = msg(o, 12);
	hex(o, "03 0017 04 aabbccdd 0401 0003 010203");
	msg_end(o, m);
	m = msg(o, 13);
	hex(o, "01 01 0002 0401 0000");
	msg_end(o, m);
	m = msg(o, 14);
	msg_end(o, m);
	rec_end(o, r);
}

static void
client_answer_12(struct buf *o)
{
	size_t r = rec(o, 22, 0x0303), m = msg(o, 11);

	put24(o, 23), put24(o, 20);
	fill(o, 0x32, 20);
	msg_end(o, m);
	rec_end(o, r);
	simple_msg(o, 16, 66);
	simple_msg(o, 15, 100);
	ccs(o);
	rec_fill(o, 22, 40);
}

static void
test_full_12(void)
{
	static struct buf ch, flight, answer, fin, req, resp;
	struct step st[] = {{0, &ch}, {1, &flight}, {0, &answer}, {1, &fin}, {0, &req}, {1, &resp}};
	size_t r, m;

	client_hello(&ch, NULL, 0);
	server_flight_12(&flight);
	client_answer_12(&answer);
	r = rec(&fin, 22, 0x0303);
	m = msg(&fin, 4);
	hex(&fin, "00001c20 00a0");
	fill(&fin, 0x44, 160);
	msg_end(&fin, m);
	rec_end(&fin, r);
	ccs(&fin);
	rec_fill(&fin, 22, 40);
	rec_fill(&req, 23, 100);
	rec_fill(&resp, 23, 16408);
	all_ways(st, PSI_COUNT(st), check_full_12);
}

/* ---- resumption ---- */

static void
check_resumed(const struct run *r)
{
	CU_ASSERT(r->t.note & PSI_TLS_RESUMED);
	CU_ASSERT_EQUAL(r->t.messages & PSI_MSG_SERVER_CERTIFICATE, 0);
	CU_ASSERT(r->t.messages & PSI_MSG_SERVER_CHANGE_CIPHER_SPEC);
	CU_ASSERT(seq_is(&r->t, "CsiI"));
	CU_ASSERT(r->t.side[0].fin && r->t.side[1].fin);
}

/* RFC 5246 section 7.3, figure 2: by session id; RFC 5077: by ticket, the server need not echo an id. */
static void
test_resumption_12(void)
{
	for (int ticket = 0; ticket < 2; ticket++) {
		static struct buf ch, flight, fin;
		struct step st[] = {{0, &ch}, {1, &flight}, {0, &fin}};
		size_t r;

		ch.len = flight.len = fin.len = 0;
		client_hello(&ch, sid, 32);
		r = rec(&flight, 22, 0x0303);
		server_hello(&flight, 0x0303, 0xc02f, sid, ticket ? 0 : 32, "");
		rec_end(&flight, r);
		ccs(&flight);
		rec_fill(&flight, 22, 40);
		ccs(&fin);
		rec_fill(&fin, 22, 40);
		all_ways(st, PSI_COUNT(st), check_resumed);
	}
}

static void
check_other_id(const struct run *r)
{
	CU_ASSERT_EQUAL(r->t.note & PSI_TLS_RESUMED, 0);
	CU_ASSERT_EQUAL(r->t.session_id_len[PSI_S2C], 32);
}

static void
test_other_session_id_is_no_resumption(void)
{
	static struct buf ch, flight;
	struct step st[] = {{0, &ch}, {1, &flight}};
	uint8_t other[32];
	size_t r;

	memcpy(other, sid, 32);
	other[31] ^= 1;
	client_hello(&ch, sid, 32);
	r = rec(&flight, 22, 0x0303);
	server_hello(&flight, 0x0303, 0xc02f, other, 32, "");
	rec_end(&flight, r);
	all_ways(st, PSI_COUNT(st), check_other_id);
}

/* ---- TLS 1.3: HelloRetryRequest, PSK, drafts ---- */

static void
check_hrr(const struct run *r)
{
	const struct psi_tls *t = &r->t;

	CU_ASSERT_EQUAL(t->note, PSI_TLS_HRR | PSI_TLS_ECH_HRR);
	CU_ASSERT_EQUAL(t->messages, PSI_MSG_CLIENT_HELLO | PSI_MSG_SERVER_HELLO |
					     PSI_MSG_CLIENT_CHANGE_CIPHER_SPEC |
					     PSI_MSG_SERVER_CHANGE_CIPHER_SPEC);
	CU_ASSERT(seq_is(t, "CjiICs"));
	CU_ASSERT_EQUAL(t->version, 0x0304);
	CU_ASSERT_EQUAL(t->cipher, 0x1302);
	CU_ASSERT_EQUAL(t->group, 0x18);
	BYTES_ARE(t->sni, t->sni_len, "server");
	LIST_IS(t, PSI_TLS_L_CIPHERS, 0x1301, 0x1303, 0x1302); /* of the first hello, once */
	CU_ASSERT_EQUAL(t->server_ext_cnt, 2);
}

/* RFC 8446 sections 4.1.3, 4.1.4 and D.4: the random is SHA-256("HelloRetryRequest"), ChangeCipherSpec right after. */
static void
test_hello_retry(void)
{
	static struct buf ch, hrr, ch2, sh;
	struct step st[] = {{0, &ch}, {1, &hrr}, {0, &ch2}, {1, &sh}};
	size_t r;

	hex(&ch, ch_8448);
	hex(&hrr, "1603030044 02000040 0303 "
		  "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c 00 1302 00"
		  "0018 002b00020304 003300020018 fe0d00081122334455667788");
	ccs(&hrr);
	ccs(&ch2);
	hex(&ch2, ch_8448);
	r = rec(&sh, 22, 0x0303);
	server_hello(&sh, 0x0303, 0x1302, NULL, 0, "002b00020304 0033000800180004aabbccdd");
	rec_end(&sh, r);
	all_ways(st, PSI_COUNT(st), check_hrr);
}

static uint16_t want_raw;

static void
check_draft(const struct run *r)
{
	CU_ASSERT_EQUAL(r->t.version, 0x0304);
	CU_ASSERT_EQUAL(r->t.version_raw, want_raw);
	CU_ASSERT_EQUAL(r->t.cipher, 0x1301);
	CU_ASSERT_EQUAL(r->t.group, 0x1d);
	CU_ASSERT_EQUAL(r->t.note, PSI_TLS_PSK_ACCEPTED | PSI_TLS_RESUMED);
	CU_ASSERT(r->t.server_ext_cnt >= 2);
	CU_ASSERT_EQUAL(r->t.side[1].enc_cnt, 1);
}

/* draft-ietf-tls-tls13-18 section 4.1.3: version, random, cipher, extensions, no session id; key_share was 40. */
static void
test_drafts(void)
{
	static const char *sh[] = {
		"7f12 4242424242424242424242424242424242424242424242424242424242424242 1301"
		"0012 0028 0008 001d 0004 aabbccdd 0029 0002 0000",
		"0303 4242424242424242424242424242424242424242424242424242424242424242 00 1301 00"
		"0018 0033 0008 001d 0004 aabbccdd 002b 0002 7f17 0029 0002 0000",
		"0303 4242424242424242424242424242424242424242424242424242424242424242 00 1301 00"
		"0018 002b 0002 fb1a 0033 0008 001d 0004 aabbccdd 0029 0002 0000",
		"0303 4242424242424242424242424242424242424242424242424242424242424242 00 1301 00"
		"0018 002b 0002 7e01 0028 0008 001d 0004 aabbccdd 0029 0002 0000",
	};
	static const uint16_t raw[] = {0x7f12, 0x7f17, 0xfb1a, 0x7e01};

	for (size_t i = 0; i < PSI_COUNT(sh); i++) {
		static struct buf ch, b;
		struct step st[] = {{0, &ch}, {1, &b}};
		size_t r, m;

		ch.len = b.len = 0;
		hex(&ch, ch_8448);
		r = rec(&b, 22, 0x0301);
		m = msg(&b, 2);
		hex(&b, sh[i]);
		msg_end(&b, m);
		rec_end(&b, r);
		rec_fill(&b, 23, 500);
		want_raw = raw[i];
		all_ways(st, PSI_COUNT(st), check_draft);
	}
}

/* ---- alerts ---- */

static void
check_alert_13(const struct run *r)
{
	const struct psi_tls_alert *a = r->t.alert;

	CU_ASSERT_EQUAL(r->t.alert_cnt, 1);
	CU_ASSERT(a->dir == PSI_C2S && a->level == 2 && a->code == 48 && a->flags == 0 &&
		  a->len == 2);
	CU_ASSERT(r->t.messages & PSI_MSG_CLIENT_ALERT);
	CU_ASSERT(r->t.alert_total[PSI_C2S] == 1 && r->t.alert_total[PSI_S2C] == 0);
	CU_ASSERT(seq_is(&r->t, "CsdL"));
	CU_ASSERT_EQUAL(psi_tls_phase(&r->t), PSI_TLS_PHASE_HANDSHAKE);
}

/* What OpenSSL does under TLS 1.3: unknown_ca in clear, without ChangeCipherSpec. */
static void
test_clear_alert_13(void)
{
	static struct buf ch, sh, al;
	struct step st[] = {{1, &ch}, {0, &sh}, {1, &al}};

	hex(&ch, ch_8448);
	hex(&sh, sh_8448);
	rec_fill(&sh, 23, 800);
	hex(&al, "15030300020230");
	all_ways(st, PSI_COUNT(st), check_alert_13);
}

static void
check_alerts_12(const struct run *r)
{
	const struct psi_tls_alert *a = r->t.alert;
	const uint8_t late = PSI_TLS_ALERT_AFTER_FINISHED;

	CU_ASSERT_EQUAL(r->t.alert_cnt, 3);
	CU_ASSERT(a[0].dir == PSI_S2C && a[0].level == 1 && a[0].code == 112 && a[0].flags == 0);
	CU_ASSERT(a[1].dir == PSI_C2S && a[1].flags == (PSI_TLS_ALERT_ENCRYPTED | late) &&
		  a[1].len == 26);
	CU_ASSERT(a[2].dir == PSI_S2C &&
		  a[2].flags == (PSI_TLS_ALERT_ENCRYPTED | late | PSI_TLS_ALERT_AFTER_DATA));
	CU_ASSERT(a[1].code == 0 && a[1].level == 0);
	CU_ASSERT(seq_is(&r->t, "lCsxnGIiLDl"));
}

/* The server's warning comes first here, so that directions must be turned round when the hello tells the client. */
static void
test_alerts_12(void)
{
	static struct buf al, ch, sh, cl, fin, bye, bye_s;
	struct step st[] = {
		{0, &al}, {1, &ch}, {0, &sh}, {1, &cl}, {0, &fin}, {1, &bye}, {0, &bye_s}};
	size_t r, m;

	hex(&al, "15030300020170");
	client_hello(&ch, NULL, 0);
	r = rec(&sh, 22, 0x0303);
	server_hello(&sh, 0x0303, 0x009c, NULL, 0, "");
	m = msg(&sh, 11);
	put24(&sh, 13), put24(&sh, 10), fill(&sh, 0x30, 10);
	msg_end(&sh, m);
	m = msg(&sh, 14);
	msg_end(&sh, m);
	rec_end(&sh, r);
	simple_msg(&cl, 16, 130);
	ccs(&cl);
	rec_fill(&cl, 22, 40);
	ccs(&fin);
	rec_fill(&fin, 22, 40);
	rec_fill(&bye, 21, 26);
	rec_fill(&bye, 23, 30);
	rec_fill(&bye_s, 21, 26);
	all_ways(st, PSI_COUNT(st), check_alerts_12);
}

/* ---- SSLv2 ---- */

/* RFC 5246 appendix E.2: version 3.1, two ciphers of three bytes and one of SSLv2's own, challenge of 16. */
static const char v2_hello[] =
	"8022 01 0301 0009 0000 0010 00002f 010080 000035 000102030405060708090a0b0c0d0e0f";

static void
check_v2_hello(const struct run *r)
{
	const struct psi_tls *t = &r->t;

	CU_ASSERT(r->rc[0] == PSI_OK && r->rc[1] == PSI_OK);
	CU_ASSERT_EQUAL(t->note, PSI_TLS_SSL2_HELLO);
	CU_ASSERT_EQUAL(t->hello.version, 0x0301);
	LIST_IS(t, PSI_TLS_L_CIPHERS, 0x002f, 0x0035);
	CU_ASSERT_EQUAL(t->version, 0x0301);
	CU_ASSERT_EQUAL(t->messages, PSI_MSG_CLIENT_HELLO | PSI_MSG_SERVER_HELLO |
					     PSI_MSG_CLIENT_KEY_EXCHANGE |
					     PSI_MSG_CLIENT_CHANGE_CIPHER_SPEC);
	CU_ASSERT(seq_is(t, "CsGI"));
}

static void
test_v2_hello(void)
{
	static struct buf ch, sh, rest;
	struct step st[] = {{0, &ch}, {1, &sh}, {0, &rest}};
	size_t r;

	hex(&ch, v2_hello);
	r = rec(&sh, 22, 0x0301);
	server_hello(&sh, 0x0301, 0x002f, NULL, 0, "");
	rec_end(&sh, r);
	simple_msg(&rest, 16, 130);
	ccs(&rest);
	all_ways(st, PSI_COUNT(st), check_v2_hello);
}

static void
check_v2(const struct run *r)
{
	const struct psi_tls *t = &r->t;

	CU_ASSERT(r->rc[0] == PSI_OK && r->rc[1] == PSI_OK);
	CU_ASSERT_EQUAL(t->version, 0x0002);
	CU_ASSERT_EQUAL(t->messages, PSI_MSG_CLIENT_HELLO | PSI_MSG_SERVER_HELLO);
	CU_ASSERT(t->side[0].enc_cnt == 2 && t->side[0].enc_len[0] == 10 &&
		  t->side[0].enc_len[1] == 33);
	CU_ASSERT(t->side[1].enc_cnt == 1 && t->side[1].enc_len[0] == 5);
	CU_ASSERT(r->c.whole[PSI_S2C] == 1 && r->c.announced[PSI_S2C] == 10 &&
		  r->c.len[PSI_S2C] == 10);
	CU_ASSERT_EQUAL(memcmp(r->c.head[PSI_S2C], "\0\0\7\0\0\4CERT", 10), 0);
}

/* draft-hickman-netscape-ssl section 5.5: SERVER-HELLO 4, hit, type, version, three lengths, certificate, ciphers,
 * connection id. Then a record with a two-byte header, and one with padding (three bytes). */
static void
test_v2_proper(void)
{
	static struct buf ch, sh, cl, sv;
	struct step st[] = {{0, &ch}, {1, &sh}, {0, &cl}, {1, &sv}};

	hex(&ch, "801f 01 0002 0006 0000 0010 010080 0700c0 000102030405060708090a0b0c0d0e0f");
	hex(&sh, "8014 04 00 01 0002 0004 0003 0002 43455254 010080 c1c2");
	hex(&cl, "800a 02"), fill(&cl, 1, 9);
	hex(&cl, "0021 03"), fill(&cl, 2, 33);
	hex(&sv, "8005 0102030405");
	all_ways(st, PSI_COUNT(st), check_v2);
}

/* ---- what is not TLS ---- */

static void
test_probe(void)
{
	static const struct {
		const char *hex;
		int rc;
	} row[] = {
		{"16", PSI_E_AGAIN},
		{"160301", PSI_E_AGAIN},
		{"1603010200", PSI_OK},
		{"1703030013", PSI_OK},
		{"1503030002", PSI_OK},
		{"1603040200", PSI_OK},
		{"1603050200", PSI_E_NOT_TLS},
		{"1602010200", PSI_E_NOT_TLS},
		{"160301ffff", PSI_E_NOT_TLS},
		{"1603010000", PSI_E_NOT_TLS},
		{"1303010200", PSI_E_NOT_TLS},
		{"1903010200", PSI_E_NOT_TLS},
		{"801f010002", PSI_OK},
		{"8022010301", PSI_OK},
		{"8022010400", PSI_E_NOT_TLS},
		{"8022020002", PSI_E_NOT_TLS},
		{"8003010002", PSI_E_NOT_TLS},
		{"8014040001", PSI_OK},
		{"8014040201", PSI_E_NOT_TLS},
		{"474554202f", PSI_E_NOT_TLS},
		{"5353482d32", PSI_E_NOT_TLS},
		{"00", PSI_E_NOT_TLS},
		{"", PSI_E_AGAIN},
	};

	for (size_t i = 0; i < PSI_COUNT(row); i++) {
		struct buf b = {0};
		uint8_t *p;

		hex(&b, row[i].hex);
		p = exact(b.b, b.len);
		CU_ASSERT_EQUAL(psi_tls_probe(p, (uint32_t)b.len), row[i].rc);
		free(p);
	}
}

static void
check_peer_not_tls(const struct run *r)
{
	CU_ASSERT(r->rc[0] == PSI_OK && r->rc[1] == PSI_E_NOT_TLS);
	CU_ASSERT_EQUAL(r->t.note & PSI_TLS_PEER_NOT_TLS, PSI_TLS_PEER_NOT_TLS);
	CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_CLIENT_HELLO);
	CU_ASSERT_EQUAL(r->t.side[1].err, PSI_E_NOT_TLS);
}

static void
test_http_answer(void)
{
	static struct buf ch, http;
	struct step st[] = {{0, &ch}, {1, &http}}, swapped[] = {{1, &http}, {0, &ch}};

	client_hello(&ch, NULL, 0);
	put(&http, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	all_ways(st, 2, check_peer_not_tls);
	all_ways(swapped, 2, check_peer_not_tls);
}

static void
check_lost(const struct run *r)
{
	CU_ASSERT_EQUAL(r->rc[1], PSI_E_LOST_SYNC);
	CU_ASSERT_EQUAL(r->rc[0], PSI_OK);
	CU_ASSERT(r->t.note & PSI_TLS_LOST_SYNC);
	CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_CLIENT_HELLO | PSI_MSG_SERVER_HELLO);
}

/* RFC 5246 section 6.2.3: a record holds at most 2^14 + 2048 bytes. */
static void
test_lost_sync(void)
{
	static const char *bad[] = {"1603034801", "4702030010", "1602030010", "1a03030010"};

	for (size_t i = 0; i < PSI_COUNT(bad); i++) {
		static struct buf ch, sh;
		struct step st[] = {{0, &ch}, {1, &sh}};
		size_t r;

		ch.len = sh.len = 0;
		client_hello(&ch, NULL, 0);
		r = rec(&sh, 22, 0x0303);
		server_hello(&sh, 0x0303, 0xc02f, NULL, 0, "");
		rec_end(&sh, r);
		hex(&sh, bad[i]);
		fill(&sh, 0x16, 100);
		all_ways(st, PSI_COUNT(st), check_lost);
	}
}

/* ---- malformed fields ---- */

static void
check_bad_sni(const struct run *r)
{
	CU_ASSERT(r->rc[0] == PSI_OK);
	CU_ASSERT_EQUAL(r->t.note & PSI_TLS_MALFORMED, PSI_TLS_MALFORMED);
	CU_ASSERT_EQUAL(r->t.sni_len, 0);
	CU_ASSERT_EQUAL(r->t.note & PSI_TLS_HELLO_BROKEN, 0);
	LIST_IS(&r->t, PSI_TLS_L_EXTENSIONS, 0); /* a peer would stop here */
	CU_ASSERT_EQUAL(r->t.hello.list[PSI_TLS_L_GROUPS].cnt, 0);
	CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_CLIENT_HELLO);
}

static void
test_malformed_extension(void)
{
	static const char *bad[] = {
		"0000 0006 0009 00 0007 41", "0000 0006 0004 00 0002 41", "0000 0001 00"};

	for (size_t i = 0; i < PSI_COUNT(bad); i++) {
		static struct buf ch;
		struct step st[] = {{0, &ch}};
		size_t r, m, e;

		ch.len = 0;
		r = rec(&ch, 22, 0x0301);
		m = msg(&ch, 1);
		put16(&ch, 0x0303);
		fill(&ch, 1, 32);
		hex(&ch, "00 0002 c02f 01 00");
		e = open_len(&ch, 2);
		hex(&ch, bad[i]);
		hex(&ch, "000a 0004 0002 001d");
		close_len(&ch, e, 2);
		msg_end(&ch, m);
		rec_end(&ch, r);
		all_ways(st, 1, check_bad_sni);
	}
}

static void
check_bad_ciphers(const struct run *r)
{
	CU_ASSERT_EQUAL(r->t.note, PSI_TLS_MALFORMED | PSI_TLS_HELLO_BROKEN);
	CU_ASSERT_EQUAL(r->t.hello.list[PSI_TLS_L_CIPHERS].cnt, 0);
	CU_ASSERT_EQUAL(r->t.hello.list[PSI_TLS_L_EXTENSIONS].cnt, 0);
	/* the record layer is unharmed: the next record is read */
	CU_ASSERT_EQUAL(r->t.alert_cnt, 1);
	CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_CLIENT_HELLO | PSI_MSG_CLIENT_ALERT);
}

static void
test_malformed_cipher_list(void)
{
	static struct buf ch;
	struct step st[] = {{0, &ch}};
	size_t r = rec(&ch, 22, 0x0301), m = msg(&ch, 1);

	put16(&ch, 0x0303);
	fill(&ch, 1, 32);
	hex(&ch, "00 fffe c02f 01 00");
	msg_end(&ch, m);
	rec_end(&ch, r);
	hex(&ch, "15030300020232");
	all_ways(st, 1, check_bad_ciphers);
}

static void
check_swallowed(const struct run *r)
{
	CU_ASSERT(r->t.note & PSI_TLS_MALFORMED);
	CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_SERVER_HELLO | PSI_MSG_SERVER_CERTIFICATE |
					       PSI_MSG_SERVER_CHANGE_CIPHER_SPEC);
	CU_ASSERT_EQUAL(r->t.side[1].fin, 1);
}

/* A Certificate that says to be shorter than it is: behind its end stands no message header. The length read there
 * swallows the ServerHelloDone, as it would for a peer; what is not handshake in clear goes on. */
static void
test_wrong_message_length(void)
{
	static struct buf b;
	struct step st[] = {{1, &b}};
	size_t r = rec(&b, 22, 0x0303);

	server_hello(&b, 0x0303, 0x009c, NULL, 0, "");
	hex(&b, "0b 000100"), fill(&b, 0x30, 600);
	rec_end(&b, r);
	simple_msg(&b, 14, 0);
	ccs(&b);
	rec_fill(&b, 22, 40);
	all_ways(st, 1, check_swallowed);
}

/* ---- caps ---- */

static void
check_caps(const struct run *r)
{
	const struct psi_tls *t = &r->t;

	CU_ASSERT(t->note & PSI_TLS_HELLO_CUT);
	CU_ASSERT(t->note & PSI_TLS_ALPN_CUT);
	CU_ASSERT(t->note & PSI_TLS_MALFORMED); /* a host name of 300 bytes */
	CU_ASSERT_EQUAL(t->sni_len, PSI_TLS_SNI_MAX);
	CU_ASSERT_EQUAL(t->sni[254], 'n');
	CU_ASSERT_EQUAL(t->alpn_len, 101); /* whole names only */
	CU_ASSERT_EQUAL(t->hello.v_cnt, PSI_TLS_LIST_MAX);
	CU_ASSERT_EQUAL(t->hello.v[0], 0x1300);
	CU_ASSERT_EQUAL(t->messages, PSI_MSG_CLIENT_HELLO);
}

static void
test_caps(void)
{
	static struct buf ch;
	struct step st[] = {{0, &ch}};
	struct run *r = malloc(sizeof(*r));
	size_t l, at, m;

	at = rec(&ch, 22, 0x0301), m = msg(&ch, 1);
	put16(&ch, 0x0303);
	fill(&ch, 1, 32);
	put8(&ch, 0);
	put16(&ch, 1000);
	for (unsigned int i = 0; i < 500; i++)
		put16(&ch, 0x1300 + i);
	hex(&ch, "01 00");
	l = open_len(&ch, 2);
	hex(&ch, "0000 0131 012f 00 012c"), fill(&ch, 'n', 300);
	hex(&ch, "0010 00ca 00c8 64"), fill(&ch, 'a', 100);
	put8(&ch, 98), fill(&ch, 'b', 98);
	for (unsigned int i = 0; i < 30; i++)
		put16(&ch, 0x5000 + i), put16(&ch, 0);
	close_len(&ch, l, 2);
	msg_end(&ch, m);
	rec_end(&ch, at);
	for (size_t cut = 0; cut < 2; cut++) {
		run(r, st, 1, cut);
		check_caps(r);
	}
	free(r);
}

/* A flight of many alerts and messages: what is kept is bounded, what is counted is not. */
static void
test_many(void)
{
	static struct buf b;
	struct step st[] = {{0, &b}};
	struct run *r = malloc(sizeof(*r));

	client_hello(&b, NULL, 0);
	for (int i = 0; i < 100; i++)
		hex(&b, "15030300020100");
	run(r, st, 1, 0);
	CU_ASSERT_EQUAL(r->t.alert_cnt, PSI_TLS_ALERT_MAX);
	CU_ASSERT_EQUAL(r->t.alert_total[PSI_C2S], 100);
	CU_ASSERT_EQUAL(r->t.seq_len, PSI_TLS_SEQ_MAX);
	free(r);
}

/* ---- gaps ---- */

static void
begin(struct run *r)
{
	memset(r, 0, sizeof(*r));
	psi_tls_init(&r->t);
}

static uint32_t
give(struct run *r, unsigned int side, const uint8_t *p, size_t n)
{
	uint32_t skip = 0;

	push(r, side, p, n, &skip);
	return skip;
}

static uint32_t
lose(struct run *r, unsigned int side, uint32_t n)
{
	uint32_t skip = 0;

	r->rc[side] = psi_tls_gap(&r->t, side, n, 9, &ops, &r->c, &skip);
	return skip;
}

/* A hole within the Certificate: the message is given up, what follows in the same flight is read. */
static void
test_gap_in_certificate(void)
{
	static struct buf f;
	struct run *r = malloc(sizeof(*r));
	size_t hello = 4 + 2 + 32 + 1 + 32 + 3 + 2 + 18, lost_at = 5 + hello + 4 + 6 + 100;
	uint32_t skip;

	f.len = 0;
	server_flight_12(&f);
	begin(r);
	give(r, 1, f.b, lost_at);
	CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_SERVER_HELLO);
	CU_ASSERT_EQUAL(r->c.len[PSI_S2C], 106);
	skip = lose(r, 1, 200);
	CU_ASSERT_EQUAL(r->c.whole[PSI_S2C], 0);
	push(r, 1, f.b + lost_at + 200, f.len - lost_at - 200, &skip);
	CU_ASSERT_EQUAL(r->rc[1], PSI_OK);
	CU_ASSERT_EQUAL(r->t.messages,
		PSI_MSG_SERVER_HELLO | PSI_MSG_HANDSHAKE_OTHER | PSI_MSG_SERVER_KEY_EXCHANGE |
			PSI_MSG_CERTIFICATE_REQUEST | PSI_MSG_SERVER_HELLO_DONE);
	CU_ASSERT_EQUAL(r->c.len[PSI_S2C], 106);
	CU_ASSERT(r->t.note & PSI_TLS_GAP);
	CU_ASSERT_EQUAL(r->t.group, 0x0017);
	CU_ASSERT(seq_is(&r->t, "sukrn"));
	free(r);
}

/* A hole over the end of a record, at every length: behind it the next record header at the start of a piece is found. */
static void
test_gap_over_records(void)
{
	static struct buf f;
	struct run *r = malloc(sizeof(*r));
	size_t tail;

	f.len = 0;
	server_flight_12(&f);
	tail = f.len;
	simple_msg(&f, 14, 0);
	ccs(&f);
	rec_fill(&f, 22, 40);
	for (size_t from = 0; from < tail - 1; from++) {
		begin(r);
		give(r, 1, f.b, from);
		lose(r, 1, (uint32_t)(tail - from));
		give(r, 1, f.b + tail, f.len - tail);
		CU_ASSERT_EQUAL(r->rc[1], PSI_OK);
		CU_ASSERT(r->t.messages & PSI_MSG_SERVER_HELLO_DONE);
		CU_ASSERT(r->t.note & PSI_TLS_GAP);
		CU_ASSERT_EQUAL(r->t.side[1].ccs, 1);
		CU_ASSERT_EQUAL(r->t.side[1].enc_cnt, 1);
		CU_ASSERT(r->c.begun[PSI_S2C] == 0 || r->c.whole[PSI_S2C] >= 0);
	}
	free(r);
}

/* A hole in what nobody reads costs nothing. */
static void
test_gap_in_data(void)
{
	static struct buf f;
	struct run *r = malloc(sizeof(*r));
	uint32_t skip;

	f.len = 0;
	rec_fill(&f, 23, 1000);
	begin(r);
	skip = give(r, 0, f.b, 105);
	CU_ASSERT_EQUAL(skip, 900);
	f.len = 0;
	rec_fill(&f, 23, 50);
	skip = give(r, 0, f.b, f.len);
	CU_ASSERT_EQUAL(skip, 0);
	CU_ASSERT_EQUAL(r->t.side[0].app_bytes, 1050);
	CU_ASSERT_EQUAL(r->t.note, 0);
	free(r);
}

/* Joined in the middle: nothing is believed before a record header whose successor is one too. */
static void
test_midstream(void)
{
	static struct buf f;
	struct run *r = malloc(sizeof(*r));

	f.len = 0;
	fill(&f, 0x17, 20);
	hex(&f, "17030300"); /* looks like a header, but what would be the next one is not */
	fill(&f, 0x99, 300);
	rec_fill(&f, 23, 60);
	rec_fill(&f, 21, 26);
	begin(r);
	lose(r, 1, 0);
	give(r, 1, f.b, f.len);
	CU_ASSERT_EQUAL(r->rc[1], PSI_OK);
	CU_ASSERT_EQUAL(r->t.side[1].app_bytes, 60);
	CU_ASSERT_EQUAL(r->t.alert_cnt, 1);
	CU_ASSERT_EQUAL(r->t.client, -1);
	CU_ASSERT_EQUAL(r->t.alert[0].dir, 1);
	psi_tls_client(&r->t, 1);
	CU_ASSERT_EQUAL(r->t.alert[0].dir, PSI_C2S);
	CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_CLIENT_ALERT | PSI_MSG_APP_DATA_FROM_CLIENT);
	CU_ASSERT(seq_is(&r->t, "DL"));
	free(r);
}

static void
test_resync_is_bounded(void)
{
	static struct buf f;
	struct run *r = malloc(sizeof(*r));
	int rc = PSI_OK;

	f.len = 0;
	fill(&f, 0x99, 1000);
	begin(r);
	lose(r, 0, 0);
	for (int i = 0; i < 65 && rc == PSI_OK; i++) {
		give(r, 0, f.b, f.len);
		rc = r->rc[0];
	}
	CU_ASSERT_EQUAL(rc, PSI_OK);
	for (int i = 0; i < 2; i++)
		give(r, 0, f.b, f.len);
	CU_ASSERT_EQUAL(r->rc[0], PSI_E_LOST_SYNC);
	free(r);
}

/* An encrypted handshake record seen without what went before: an explicit nonce of zeros, or a byte that happens to
 * be the type of a message, is not one (RFC 5288 section 3). */
static void
test_encrypted_is_not_read(void)
{
	static const char *body[] = {"0000000000000000 0102030405060708",
		"02000000 00000000 0102030405060708", "0e000000 00000000 0102030405060708"};

	for (size_t i = 0; i < PSI_COUNT(body); i++) {
		static struct buf f;
		struct run *r = malloc(sizeof(*r));
		size_t at;

		f.len = 0;
		at = rec(&f, 22, 0x0303);
		hex(&f, body[i]);
		fill(&f, 0xcc, 24);
		rec_end(&f, at);
		rec_fill(&f, 23, 90);
		begin(r);
		give(r, 0, f.b, f.len);
		CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_APP_DATA_FROM_CLIENT);
		CU_ASSERT_EQUAL(r->t.client, -1);
		CU_ASSERT_EQUAL(r->t.side[0].enc_len[0], f.len - 5 - 95);
		free(r);
	}
}

/* ---- more of the record layer ---- */

static void
check_fragments(const struct run *r)
{
	CU_ASSERT_EQUAL(r->rc[0], PSI_OK);
	CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_CLIENT_HELLO);
	BYTES_ARE(r->t.sni, r->t.sni_len, "pin.example.c");
	LIST_IS(&r->t, PSI_TLS_L_EXTENSIONS, 0x1a1a, 0, 16, 11, 10, 35, 5);
	CU_ASSERT_EQUAL(r->t.note, PSI_TLS_TICKET_OFFERED | PSI_TLS_OCSP_REQUESTED);
}

/* A ClientHello over many records. The first must hold the message header, which is how it is told from noise. */
static void
test_hello_over_records(void)
{
	static struct buf m, b;
	struct step st[] = {{0, &b}};
	size_t at;

	at = msg(&m, 1);
	client_hello_body(&m, sid, 32);
	msg_end(&m, at);
	for (size_t size = 7; size < 64; size += 19) {
		b.len = 0;
		for (size_t i = 0; i < m.len; i += size) {
			at = rec(&b, 22, 0x0301);
			put(&b, m.b + i, PSI_MIN(size, m.len - i));
			rec_end(&b, at);
		}
		all_ways(st, 1, check_fragments);
	}
}

static void
check_heartbeat(const struct run *r)
{
	CU_ASSERT_EQUAL(r->rc[0], PSI_OK);
	CU_ASSERT(r->t.note & PSI_TLS_HEARTBEAT);
	CU_ASSERT(r->t.note & PSI_TLS_RENEGOTIATION);
	CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_CLIENT_HELLO | PSI_MSG_HELLO_REQUEST);
	CU_ASSERT(seq_is(&r->t, "CBhC"));
}

/* RFC 6520 heartbeat in clear; RFC 5246 section 7.4.1.1 HelloRequest; a second ClientHello. */
static void
test_heartbeat_and_renegotiation(void)
{
	static struct buf ch, hr, ch2;
	struct step st[] = {{0, &ch}, {1, &hr}, {0, &ch2}};

	client_hello(&ch, NULL, 0);
	hex(&ch, "1803030003014000");
	hex(&hr, "160303000400000000");
	client_hello(&ch2, NULL, 0);
	all_ways(st, PSI_COUNT(st), check_heartbeat);
}

static void
check_empty_cert(const struct run *r)
{
	CU_ASSERT(r->t.note & PSI_TLS_CLIENT_CERT_EMPTY);
	CU_ASSERT(r->t.messages & PSI_MSG_CLIENT_CERTIFICATE);
	CU_ASSERT(r->c.announced[PSI_C2S] == 3 && r->c.whole[PSI_C2S] == 1);
}

static void
test_empty_client_certificate(void)
{
	static struct buf ch, cert;
	struct step st[] = {{0, &ch}, {0, &cert}};

	client_hello(&ch, NULL, 0);
	hex(&cert, "1603030007 0b000003 000000");
	all_ways(st, 2, check_empty_cert);
}

static void
check_dhe(const struct run *r)
{
	CU_ASSERT_EQUAL(r->t.sigscheme, 0x0601);
	CU_ASSERT_EQUAL(r->t.group, 0);
	CU_ASSERT_EQUAL(r->t.note, 0);
	CU_ASSERT(r->t.messages & PSI_MSG_SERVER_KEY_EXCHANGE);
}

/* RFC 5246 section 7.4.3: p, g and Ys, each with two bytes of length, then the signature. */
static void
test_dhe_key_exchange(void)
{
	static struct buf b;
	struct step st[] = {{1, &b}};
	size_t r = rec(&b, 22, 0x0303), m;

	server_hello(&b, 0x0303, 0x009e, NULL, 0, "");
	m = msg(&b, 12);
	hex(&b, "0003 aaaaaa 0001 02 0004 bbbbbbbb 0601 0002 cccc");
	msg_end(&b, m);
	rec_end(&b, r);
	all_ways(st, 1, check_dhe);
}

static void
check_psk_list(const struct run *r)
{
	CU_ASSERT_EQUAL(r->t.note, PSI_TLS_PSK_OFFERED);
	CU_ASSERT_EQUAL(r->t.psk_cnt, 2);
	CU_ASSERT_EQUAL(r->t.psk_len, 3);
}

/* RFC 8446 section 4.2.11: two identities of 3 and 5 bytes, each followed by 4 bytes of age; binders. */
static void
test_psk_list(void)
{
	static struct buf ch;
	struct step st[] = {{0, &ch}};
	size_t r = rec(&ch, 22, 0x0301), m = msg(&ch, 1), e;

	put16(&ch, 0x0303);
	fill(&ch, 1, 32);
	hex(&ch, "00 0002 1301 01 00");
	e = open_len(&ch, 2);
	hex(&ch, "0029 001a 0014 0003a1a2a3 00000001 0005b1b2b3b4b5 00000002 0002 0100");
	close_len(&ch, e, 2);
	msg_end(&ch, m);
	rec_end(&ch, r);
	all_ways(st, 1, check_psk_list);
}

static void
check_raw_keys(const struct run *r)
{
	CU_ASSERT_EQUAL(r->t.raw_key, 1 << PSI_C2S | 1 << PSI_S2C);
	CU_ASSERT_EQUAL(r->t.note, PSI_TLS_RAW_KEY);
	CU_ASSERT(r->c.begun[PSI_S2C] == 1 && r->c.len[PSI_S2C] == 8);
}

/* RFC 7250 section 3: client_certificate_type 19 and server_certificate_type 20, both RawPublicKey (2). */
static void
test_raw_keys(void)
{
	static struct buf b;
	struct step st[] = {{1, &b}};
	size_t r = rec(&b, 22, 0x0303), m;

	server_hello(&b, 0x0303, 0xc02f, NULL, 0, "0013000102 0014000102");
	m = msg(&b, 11);
	hex(&b, "000005 3003020100");
	msg_end(&b, m);
	rec_end(&b, r);
	all_ways(st, 1, check_raw_keys);
}

static void
check_ech(const struct run *r)
{
	const struct psi_tls_ech *e = &r->t.ech;

	CU_ASSERT(r->t.note == PSI_TLS_ECH);
	CU_ASSERT(e->type == 1 && e->kdf == 1 && e->aead == 1 && e->config_id == 0x5e &&
		  e->enc_len == 4);
	CU_ASSERT_EQUAL(e->payload_len, 6);
}

/* RFC 9849 section 5: outer(0), HKDF-SHA256 (1), AES-128-GCM (1), config id, enc, payload. */
static void
test_ech(void)
{
	static struct buf ch;
	struct step st[] = {{0, &ch}};
	size_t r = rec(&ch, 22, 0x0301), m = msg(&ch, 1), e;

	put16(&ch, 0x0303);
	fill(&ch, 1, 32);
	hex(&ch, "00 0002 1301 01 00");
	e = open_len(&ch, 2);
	hex(&ch, "fe0d 0014 00 0001 0001 5e 0004 a1a2a3a4 0006 b1b2b3b4b5b6");
	close_len(&ch, e, 2);
	msg_end(&ch, m);
	rec_end(&ch, r);
	all_ways(st, 1, check_ech);
}

/* Answers of `openssl ocsp` 3.0 to its own requests, with the status and the serial number that `openssl ocsp -text`
 * prints for them. It also prints for each that has one: This Update Nov 22 07:17:25 2026, Next Update a day later, which
 * date(1) says are the seconds below. */
#define OCSP_THIS 1795331845
#define OCSP_NEXT 1795418245
static const struct ocsp_case {
	uint8_t status;
	const char *hex;
	uint8_t error, serial_len;
	uint8_t serial[2];
	int64_t this_update, next_update;
} ocsp[] = {
	{PSI_TLS_OCSP_GOOD,
		"3081fa0a0100a081f43081f106092b06010505073001010481e33081e0308188a10f300d310b3009"
		"06035504030c026361180f32303236313132323037313732355a30643062303a300906052b0e0302"
		"1a0500041411048cd20cb3592307d019fd0889562b62d36492041459923980eecfbca4868690b2ff"
		"a8c09a618bbbf10201018000180f32303236313132323037313732355aa011180f32303236313132"
		"333037313732355a300a06082a8648ce3d040302034700304402202bdbb816dcb7611418a0e4b613"
		"ad7bff9ed21c2aa1ade7bf7fb5dcbe8416c6bc02205a5b4693505ac53a7810a48d9fb658cfe03142"
		"27063410fcb8d0dfe77bb81c96",
		0, 1, {1}, OCSP_THIS, OCSP_NEXT},
	{PSI_TLS_OCSP_REVOKED,
		"308201130a0100a082010c3082010806092b06010505073001010481fa3081f730819ea10f300d31"
		"0b300906035504030c026361180f32303236313132323037313732355a307a3078303a300906052b"
		"0e03021a0500041411048cd20cb3592307d019fd0889562b62d36492041459923980eecfbca48686"
		"90b2ffa8c09a618bbbf1020102a116180f32303236313132323037313732345aa0030a0101180f32"
		"303236313132323037313732355aa011180f32303236313132333037313732355a300a06082a8648"
		"ce3d040302034800304502205e4d6713a1c72e8099ce7d3bfc06e29de732f571de4a11d823918ca3"
		"0a5564b4022100ce9dd5c7c27b3895754486d82958070f6c7b83903b909c1c1f719ff866b2e332",
		0, 1, {2}, OCSP_THIS, OCSP_NEXT},
	{PSI_TLS_OCSP_UNKNOWN, /* its responder is told by key, the others' by name */
		"308201040a0100a081fe3081fb06092b06010505073001010481ed3081ea308190a2160414599239"
		"80eecfbca4868690b2ffa8c09a618bbbf1180f32303236313132323037313732355a30653063303b"
		"300906052b0e03021a0500041411048cd20cb3592307d019fd0889562b62d36492041459923980ee"
		"cfbca4868690b2ffa8c09a618bbbf1020200998200180f32303236313132323037313732355aa011"
		"180f32303236313132333037313732355a300a06082a8648ce3d0403020349003046022100e39ec4"
		"881565eefbebe2bfea9c21625847cfb049bdff2568f365a04e1290502c02210092fdbf3c087f7d06"
		"22abfd35fa018c7b152f0723c65f449856a2fd008976e984",
		0, 2, {0, 0x99}, OCSP_THIS, OCSP_NEXT},
	/* RFC 6960 section 4.2.1 by hand: key responder, no nextUpdate, 29 February 2000 (951827696 by date(1)). */
	{PSI_TLS_OCSP_GOOD,
		"305c0a0100a057305506092b0601050507300101044830463044a2020400180f3230303030323239"
		"3132333435365a302d302b3016300506032b0e030403aaaaaa0403bbbbbb02030a0b0c8000180f32"
		"303030303232393132333435365a",
		0, 3, {0x0a, 0x0b}, 951827696, 0},
	{PSI_TLS_OCSP_NONE, "30030a0106",
		.error = 6}, /* RFC 6960 section 4.2.1: unauthorized, no answer */
	{PSI_TLS_OCSP_NONE, "3082ffff0a0100"},
};

static const struct ocsp_case *want_ocsp;

static void
check_ocsp(const struct run *r)
{
	const struct psi_tls_ocsp_answer *a = &r->t.ocsp;

	CU_ASSERT_EQUAL(r->t.ocsp_status, want_ocsp->status);
	CU_ASSERT(r->t.note & PSI_TLS_OCSP_STAPLED);
	CU_ASSERT_EQUAL(!!(r->t.note & PSI_TLS_OCSP_SAYS_REVOKED),
		want_ocsp->status == PSI_TLS_OCSP_REVOKED);
	CU_ASSERT_EQUAL(a->error, want_ocsp->error);
	CU_ASSERT_EQUAL(a->serial_len, want_ocsp->serial_len);
	CU_ASSERT_EQUAL(memcmp(a->serial, want_ocsp->serial, 2), 0);
	CU_ASSERT_EQUAL(a->this_update, want_ocsp->this_update);
	CU_ASSERT_EQUAL(a->next_update, want_ocsp->next_update);
	CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_HANDSHAKE_OTHER | PSI_MSG_SERVER_HELLO_DONE);
}

/* RFC 6066 section 8: type and one answer; RFC 6961: a list of them, of which the first counts. */
static void
test_ocsp(void)
{
	for (size_t i = 0; i < 2 * PSI_COUNT(ocsp); i++) {
		static struct buf b;
		struct step st[] = {{1, &b}};
		size_t r, m, l, a;

		b.len = 0;
		r = rec(&b, 22, 0x0303), m = msg(&b, 22);
		put8(&b, i & 1 ? 2 : 1);
		l = i & 1 ? open_len(&b, 3) : 0;
		a = open_len(&b, 3);
		hex(&b, ocsp[i / 2].hex);
		close_len(&b, a, 3);
		if (l) {
			a = open_len(&b, 3);
			hex(&b, ocsp[1].hex);
			close_len(&b, a, 3);
			close_len(&b, l, 3);
		}
		msg_end(&b, m);
		rec_end(&b, r);
		simple_msg(&b, 14, 0);
		want_ocsp = &ocsp[i / 2];
		all_ways(st, 1, check_ocsp);
	}
}

/* ---- recorded from openssl ---- */

static void
all_ways_recorded(const struct recorded *c, size_t n, void (*check)(const struct run *))
{
	static struct buf b[12];
	struct step st[12];

	CU_ASSERT_FATAL(n <= PSI_COUNT(b));
	for (size_t i = 0; i < n; i++) {
		b[i].len = 0;
		hex(&b[i], c[i].hex);
		st[i] = (struct step){c[i].side, &b[i]};
	}
	all_ways(st, n, check);
}

/* AES-GCM adds 24 bytes to a record under TLS 1.2 (RFC 5288 section 3): "hello\n" becomes 30, "hi\n" 27, an alert 26. */
static void
check_recorded_12(const struct run *r)
{
	const struct psi_tls *t = &r->t;
	static const uint16_t exts[] = {0xff01, 11, 35, 16, 23}, c2s[] = {40, 30, 150, 26},
			      s2c[] = {40, 27, 26};
	const uint8_t flags =
		PSI_TLS_ALERT_ENCRYPTED | PSI_TLS_ALERT_AFTER_DATA | PSI_TLS_ALERT_AFTER_FINISHED;

	CU_ASSERT(r->rc[0] == PSI_OK && r->rc[1] == PSI_OK);
	CU_ASSERT(seq_is(t, "CsxknGItiDdlL"));
	CU_ASSERT(t->version == 0x0303 && t->cipher == 0xc02b && t->group == 0x001d &&
		  t->sigscheme == 0x0403);
	BYTES_ARE(t->sni, t->sni_len, "pin.example.org");
	BYTES_ARE(t->alpn_sel, t->alpn_sel_len, "h2");
	LIST_IS(t, PSI_TLS_L_EXTENSIONS, 0, 11, 10, 35, 16, 22, 23, 13);
	LIST_IS(t, PSI_TLS_L_GROUPS, 0x1d, 0x17);
	CU_ASSERT(t->server_ext_cnt == 5 && memcmp(t->server_ext, exts, sizeof(exts)) == 0);
	CU_ASSERT(t->ticket_lifetime == 7200 && t->ticket_new_len == 176);
	CU_ASSERT_EQUAL(t->note, PSI_TLS_EMS | PSI_TLS_RENEGOTIATION);
	CU_ASSERT(t->side[0].enc_cnt == 4 && memcmp(t->side[0].enc_len, c2s, sizeof(c2s)) == 0);
	CU_ASSERT(t->side[1].enc_cnt == 3 && memcmp(t->side[1].enc_len, s2c, sizeof(s2c)) == 0);
	CU_ASSERT(t->alert_cnt == 2 && t->alert[0].dir == PSI_S2C && t->alert[1].dir == PSI_C2S);
	CU_ASSERT(
		t->alert[0].flags == flags && t->alert[1].flags == flags && t->alert[0].len == 26);
	CU_ASSERT(r->c.whole[PSI_S2C] == 1 && r->c.len[PSI_S2C] == 3 + 3 + 262);
}

/* Server flight in records of 23, 292, 96 and 69: EncryptedExtensions, Certificate, CertificateVerify, Finished. */
static void
check_recorded_13(const struct run *r)
{
	const struct psi_tls *t = &r->t;
	static const uint16_t s2c[] = {23, 292, 96, 69};

	CU_ASSERT(seq_is(t, "CsidL"));
	CU_ASSERT(t->version == 0x0304 && t->cipher == 0x1302 && t->group == 0x001d);
	CU_ASSERT(t->side[1].enc_cnt == 4 && memcmp(t->side[1].enc_len, s2c, sizeof(s2c)) == 0);
	CU_ASSERT_EQUAL(t->side[0].enc_cnt, 0);
	CU_ASSERT(t->alert_cnt == 1 && t->alert[0].dir == PSI_C2S && t->alert[0].level == 2 &&
		  t->alert[0].code == 48);
	CU_ASSERT_EQUAL(t->note, 0);
}

static void
check_recorded_12_alert(const struct run *r)
{
	const struct psi_tls *t = &r->t;

	CU_ASSERT(seq_is(t, "CsxknL"));
	CU_ASSERT(t->alert_cnt == 1 && t->alert[0].dir == PSI_C2S && t->alert[0].level == 2 &&
		  t->alert[0].code == 48);
	CU_ASSERT(t->alert[0].flags == 0 && t->version == 0x0303 && t->cipher == 0xc02b);
	CU_ASSERT(r->c.whole[PSI_S2C] == 1);
}

static void
test_recorded(void)
{
	all_ways_recorded(recorded_tls12, PSI_COUNT(recorded_tls12), check_recorded_12);
	all_ways_recorded(recorded_tls13, PSI_COUNT(recorded_tls13), check_recorded_13);
	all_ways_recorded(
		recorded_tls12alert, PSI_COUNT(recorded_tls12alert), check_recorded_12_alert);
}

/* A TLS 1.2 client seen alone: what follows its ChangeCipherSpec is not read, though nobody said which version. */
static void
check_client_alone(const struct run *r)
{
	CU_ASSERT_EQUAL(r->t.messages, PSI_MSG_CLIENT_HELLO | PSI_MSG_CLIENT_KEY_EXCHANGE |
					       PSI_MSG_CLIENT_CHANGE_CIPHER_SPEC |
					       PSI_MSG_APP_DATA_FROM_CLIENT);
	CU_ASSERT_EQUAL(r->t.side[0].fin, 1);
	CU_ASSERT(r->t.side[0].enc_cnt == 2 && r->t.side[0].enc_len[0] == 40);
	CU_ASSERT_EQUAL(r->t.side[0].app_bytes, 70);
	CU_ASSERT_EQUAL(r->t.version, 0);
}

static void
test_client_alone(void)
{
	static struct buf b;
	struct step st[] = {{0, &b}};

	client_hello(&b, NULL, 0);
	simple_msg(&b, 16, 66);
	ccs(&b);
	rec_fill(&b, 22, 40);
	rec_fill(&b, 23, 70);
	all_ways(st, 1, check_client_alone);
}

/* The bulk of data never reaches the parser: of a record of 16 KB in pieces of 100 bytes, one piece does. */
static void
test_skip(void)
{
	static struct buf b;
	struct run *r = malloc(sizeof(*r));
	uint32_t skip = 0;

	b.len = 0;
	for (int i = 0; i < 2; i++)
		rec_fill(&b, 23, 16000);
	begin(r);
	for (size_t i = 0; i < b.len; i += 100)
		push(r, 0, b.b + i, PSI_MIN(100, b.len - i), &skip);
	CU_ASSERT_EQUAL(r->t.side[0].app_bytes, 32000);
	CU_ASSERT(r->skipped >= 32000 - 200);
	free(r);
}

static CU_TestInfo tls_tests[] = {
	{"RFC 8448 handshake", test_rfc8448},
	{"full TLS 1.2 handshake", test_full_12},
	{"resumption by id and by ticket", test_resumption_12},
	{"another session id is no resumption", test_other_session_id_is_no_resumption},
	{"HelloRetryRequest", test_hello_retry},
	{"drafts and experiments of TLS 1.3", test_drafts},
	{"clear alert under TLS 1.3", test_clear_alert_13},
	{"alerts under TLS 1.2, directions", test_alerts_12},
	{"ClientHello in SSLv2 format", test_v2_hello},
	{"SSLv2 proper", test_v2_proper},
	{"probe", test_probe},
	{"the peer answers in plain text", test_http_answer},
	{"lost record sync", test_lost_sync},
	{"a malformed extension ends the reading of the message", test_malformed_extension},
	{"a malformed cipher list costs the message only", test_malformed_cipher_list},
	{"a wrong message length", test_wrong_message_length},
	{"caps", test_caps},
	{"many alerts", test_many},
	{"a hole in the Certificate", test_gap_in_certificate},
	{"holes over record ends", test_gap_over_records},
	{"a hole in data", test_gap_in_data},
	{"joined in the middle", test_midstream},
	{"the search for a header is bounded", test_resync_is_bounded},
	{"encrypted handshake records are not read", test_encrypted_is_not_read},
	{"ClientHello over many records", test_hello_over_records},
	{"heartbeat, HelloRequest, second hello", test_heartbeat_and_renegotiation},
	{"empty client certificate", test_empty_client_certificate},
	{"finite-field key exchange", test_dhe_key_exchange},
	{"ECH", test_ech},
	{"PSK identities", test_psk_list},
	{"raw public keys", test_raw_keys},
	{"stapled OCSP answers", test_ocsp},
	{"recorded from openssl", test_recorded},
	{"a client seen alone", test_client_alone},
	{"data is skipped", test_skip},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "tls", .pTests = tls_tests},
	CU_SUITE_INFO_NULL,
};
