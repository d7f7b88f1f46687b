/* SPDX-License-Identifier: BSD-3-Clause */
/* Expected bytes are written out by hand from the layout in psi_event.h. */
#include "psi_unit.h"

#include "event_pvt.h"
#include "psi_rec.h"

#include <stdio.h>

static uint64_t buf[PSI_EVENT_MAX / 8];

/* ---- the table ---- */

static void
test_ids_and_paths_are_unique(void)
{
	static const struct psi_field_row *by_id[PSI_FIELD_ID_MAX + 1];
	size_t cnt, n;
	const struct psi_field_row *rows = psi_field_rows(&cnt);

	CU_ASSERT_FATAL(cnt > 100);
	for (size_t i = 0; i < cnt; i++) {
		CU_ASSERT(strlen(rows[i].text) > 0);
		if (rows[i].view)
			continue;
		CU_ASSERT_FATAL(rows[i].id > 0 && rows[i].id <= PSI_FIELD_ID_MAX);
		CU_ASSERT_PTR_NULL(by_id[rows[i].id]);
		by_id[rows[i].id] = &rows[i];
		CU_ASSERT_PTR_EQUAL(psi_field_row_of(rows[i].id), &rows[i]);
	}
	for (int g = 0; g < PSI_G_CNT; g++) {
		const struct psi_field_row *r = psi_field_group_rows(g, &n);

		CU_ASSERT(
			n > 0 && n <= PSI_GROUP_ROWS_MAX); /* psi_event_sort has no room for more */
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < i; k++)
				CU_ASSERT_STRING_NOT_EQUAL(r[i].path, r[k].path);
	}
	CU_ASSERT_PTR_NULL(psi_field_row_of(0));
	CU_ASSERT_PTR_NULL(psi_field_row_of(UINT16_MAX));
}

/* parent: the first n parts of a path, dot included; 0 when it has fewer. */
static size_t
parent(const char *path, int n)
{
	const char *p = path;

	while (n-- > 0) {
		p = strchr(p, '.');
		if (!p)
			return 0;
		p++;
	}
	return (size_t)(p - path);
}

/* Else the JSON would hold a key twice. */
static void
test_parents_stand_together(void)
{
	for (int g = 0; g < PSI_G_CNT; g++) {
		size_t n, len;
		const struct psi_field_row *r = psi_field_group_rows(g, &n);

		for (size_t i = 0; i < n; i++)
			for (int depth = 1; (len = parent(r[i].path, depth)) > 0; depth++) {
				bool left = false;

				for (size_t k = i; k < n; k++) {
					bool same = strncmp(r[k].path, r[i].path, len) == 0;

					left |= !same;
					if (same && left)
						printf("\n%s is apart from %s\n", r[k].path,
							r[i].path);
					CU_ASSERT_FALSE(same && left);
				}
			}
	}
}

static void
test_contract_is_kept(void)
{
	static const struct {
		uint16_t id;
		const char *path;
	} want[] = {
		/* A published id or path never changes: this list only grows. */
		{1, "flow_id"},
		{2, "src_ip"},
		{3, "src_port"},
		{4, "dest_ip"},
		{5, "dest_port"},
		{6, "proto"},
		{20, "tls.version"},
		{22, "tls.sni"},
		{25, "tls.cipher"},
		{44, "tls.ja4"},
		{67, "tls.chain"},
		{80, "ssl_flow.flags"},
		{81, "ssl_flow.messages"},
		{90, "alerts"},
		{100, "tcp.rst"},
		{120, "bytes_toserver"},
		{140, "verdict.class"},
		{143, "verdict.reason"},
		{172, "code"},
		{184, "sha256"},
		{185, "spki_sha256"},
		{215, "class"},
		{235, "counters"},
		{255, "lost"},
	};

	for (size_t i = 0; i < PSI_COUNT(want); i++) {
		const struct psi_field_row *r = psi_field_row_of(want[i].id);

		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		CU_ASSERT_STRING_EQUAL(r->path, want[i].path);
	}
	CU_ASSERT_EQUAL(psi_field_bytes(PSI_FT_CIPHER), 2);
	CU_ASSERT_EQUAL(psi_field_bytes(PSI_FT_STR), 0);
	CU_ASSERT_STRING_EQUAL(psi_event_type_name(PSI_EVENT_TLS_FLOW), "tls_flow");
	CU_ASSERT_PTR_NULL(psi_event_type_name(0));
	CU_ASSERT_PTR_NULL(psi_event_type_name(6));
	CU_ASSERT_EQUAL(psi_event_group(PSI_EVENT_TLS_HANDSHAKE), PSI_G_FLOW);
	/* RFC 8446 section 4.2.3 */
	CU_ASSERT_STRING_EQUAL(psi_sigscheme_name(0x0804), "rsa_pss_rsae_sha256");
	CU_ASSERT_PTR_NULL(psi_sigscheme_name(0x0a0a));
}

/* ---- writing ---- */

static void
test_bytes(void)
{
	static const uint8_t want[] = {
		72, 0, 0, 0, 2, 1, 0, 0,		/* len, tls_flow, version 1, no flags */
		7, 0, 0, 0, 0, 0, 0, 0,			/* seq */
		8, 0, 0, 0, 0, 0, 0, 0,			/* time */
		3, 0, 2, 0, 0xbb, 0x01, 0, 0,		/* src_port 443, padded */
		22, 0, 3, 0, 'a', '.', 'b', 0,		/* sni */
		90, 0, 8, 0, 172, 0, 2, 0, 48, 0, 0, 0, /* alerts: one with code 48 */
		1, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8,	/* flow_id */
		28, 0, 1, 0, 1, 0, 0, 0, /* session_resumed, padded to 4; the event's end is at 8 */
	};
	struct psi_event_w w;
	struct psi_event *e;

	memset(buf, 0xee, sizeof(buf));
	psi_event_begin(&w, buf, sizeof(buf), PSI_EVENT_TLS_FLOW);
	psi_event_put_u64(&w, PSI_F_SRC_PORT, 443);
	psi_event_put_str(&w, PSI_F_TLS_SNI, "a.b");
	psi_event_put_str(&w, PSI_F_TLS_ALPN, NULL);
	psi_event_open(&w, PSI_F_ALERTS);
	psi_event_put_u64(&w, PSI_F_ALERT_CODE, 48);
	psi_event_close(&w);
	psi_event_put_u64(&w, PSI_F_FLOW_ID, 0x0807060504030201);
	psi_event_put_u64(&w, PSI_F_TLS_RESUMED, 1);
	e = psi_event_end(&w, 7, 8);
	CU_ASSERT_PTR_EQUAL(e, buf);
	CU_ASSERT_EQUAL_FATAL(e->len, sizeof(want));
	CU_ASSERT(memcmp(e, want, sizeof(want)) == 0);
	CU_ASSERT_EQUAL(psi_event_check(buf, sizeof(buf)), PSI_OK);
}

static void
test_end_is_padded(void)
{
	struct psi_event_w w;
	struct psi_event_r r;
	struct psi_value v;
	struct psi_event *e;

	memset(buf, 0xee, sizeof(buf));
	psi_event_begin(&w, buf, sizeof(buf), PSI_EVENT_GAP);
	psi_event_put_u64(&w, PSI_F_GAP_LOST, 3); /* 12 bytes: 36 in all, 40 with the end */
	e = psi_event_end(&w, 0, 0);
	CU_ASSERT_EQUAL(e->len, 40);
	CU_ASSERT_EQUAL(psi_event_check(buf, 40), PSI_OK);
	psi_event_fields(e, &r);
	CU_ASSERT(psi_event_next(&r, &v));
	CU_ASSERT_FALSE(psi_event_next(&r, &v));
}

static void
test_read_back(void)
{
	static const uint16_t vlans[] = {100, 4094};
	struct psi_event_w w;
	struct psi_event_r r, in;
	struct psi_value v;
	const char *name;
	size_t len;

	psi_event_begin(&w, buf, sizeof(buf), PSI_EVENT_TLS_FLOW);
	psi_event_put_u16s(&w, PSI_F_VLAN, vlans, 2);
	psi_event_put_f64(&w, PSI_F_CONFIDENCE, 0.75);
	psi_event_put_bytes(&w, PSI_F_TLS_CLIENT_ALPNS, "h2", 2);
	psi_event_put_bytes(&w, PSI_F_TLS_CLIENT_ALPNS, "http/1.1", 8);
	psi_event_open(&w, PSI_F_TLS_CHAIN);
	psi_event_put_str(&w, PSI_F_CERT_SUBJECT, "CN=leaf");
	psi_event_close(&w);
	psi_event_open(&w, PSI_F_TLS_CHAIN);
	psi_event_close(&w);
	psi_event_fields(psi_event_end(&w, 1, 2), &r);
	CU_ASSERT(psi_event_find(&r, PSI_F_CONFIDENCE, &v));
	CU_ASSERT_EQUAL(psi_value_f64(&v), 0.75);
	CU_ASSERT_EQUAL(psi_value_count(&v, &name, &len), psi_value_u64(&v));
	CU_ASSERT_EQUAL(len, 0);
	CU_ASSERT(psi_event_find(&r, PSI_F_VLAN, &v));
	CU_ASSERT_EQUAL(v.len, 4);
	CU_ASSERT_EQUAL(psi_value_u64(&v), 100 | 4094 << 16);
	CU_ASSERT(psi_event_find(&r, PSI_F_TLS_CLIENT_ALPNS, &v));
	CU_ASSERT(v.len == 2 && memcmp(v.p, "h2", 2) == 0);
	CU_ASSERT_EQUAL(psi_value_f64(&v), 0);
	CU_ASSERT(psi_event_find(&r, PSI_F_TLS_CHAIN, &v));
	psi_event_enter(&v, &in);
	CU_ASSERT(psi_event_next(&in, &v));
	CU_ASSERT(v.id == PSI_F_CERT_SUBJECT && v.len == 7 && memcmp(v.p, "CN=leaf", 7) == 0);
	CU_ASSERT_EQUAL(psi_value_u64(&v), 0);
	CU_ASSERT_FALSE(psi_event_next(&in, &v));
	CU_ASSERT_FALSE(psi_event_find(&r, PSI_F_TLS_SNI, &v));

	psi_event_begin(&w, buf, sizeof(buf), PSI_EVENT_STATS);
	psi_event_put_count(&w, PSI_F_STATS_COUNTERS, "pkt_rx", 1ull << 40);
	psi_event_fields(psi_event_end(&w, 1, 2), &r);
	CU_ASSERT(psi_event_next(&r, &v));
	CU_ASSERT_EQUAL(psi_value_count(&v, &name, &len), 1ull << 40);
	CU_ASSERT(len == 6 && memcmp(name, "pkt_rx", 6) == 0);
}

/* With every room from the least to enough: always a sound event, marked when something is missing. */
static void
test_no_room(void)
{
	static const uint8_t sha[32] = {1};
	uint32_t full = 0;

	for (uint32_t cap = 256; cap >= 64; cap--) {
		uint64_t *mem = malloc((cap + 7) & ~7u);
		struct psi_event_w w;
		struct psi_event *e;

		CU_ASSERT_PTR_NOT_NULL_FATAL(mem);
		psi_event_begin(&w, mem, cap, PSI_EVENT_TLS_FLOW);
		psi_event_put_u64(&w, PSI_F_SRC_PORT, 443);
		for (int i = 0; i < 2; i++) {
			psi_event_open(&w, PSI_F_TLS_CHAIN);
			psi_event_put_bytes(&w, PSI_F_CERT_SHA256, sha, sizeof(sha));
			psi_event_put_str(&w, PSI_F_CERT_SUBJECT, "CN=x");
			psi_event_close(&w);
		}
		psi_event_put_str(&w, PSI_F_TLS_SNI, "example.com");
		e = psi_event_end(&w, 0, 0);
		CU_ASSERT(e->len <= cap);
		CU_ASSERT_EQUAL(psi_event_check(mem, cap), PSI_OK);
		if (!full)
			full = e->len;
		CU_ASSERT_EQUAL(e->flags, e->len < full ? PSI_EVENT_CUT : 0);
		free(mem);
	}
	CU_ASSERT_EQUAL(full, 24 + 8 + 2 * (4 + 36 + 8) + 16);
}

static void
test_too_long(void)
{
	static uint8_t big[70000];
	struct psi_event_w w;
	struct psi_event *e;

	psi_event_begin(&w, buf, UINT32_MAX,
		PSI_EVENT_TLS_FLOW); /* more than an event may have is not used */
	psi_event_put_bytes(&w, PSI_F_TLS_SNI, big, sizeof(big));
	psi_event_put_bytes(&w, PSI_F_TLS_SNI, big, PSI_EVENT_MAX - 24 - 4);
	e = psi_event_end(&w, 0, 0);
	CU_ASSERT_EQUAL(e->len, PSI_EVENT_MAX);
	CU_ASSERT_EQUAL(e->flags, PSI_EVENT_CUT);
	CU_ASSERT_EQUAL(psi_event_check(buf, sizeof(buf)), PSI_OK);
}

/* ---- reading what is wrong ---- */

/* An event around the bytes of a body, from an exact-size heap copy. */
static int
check_body(const void *body, uint32_t len)
{
	uint64_t *mem = malloc(24 + len);
	struct psi_event *e = (void *)mem;
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mem);
	*e = (struct psi_event){
		.len = 24 + len, .type = PSI_EVENT_TLS_FLOW, .version = PSI_EVENT_VERSION};
	memcpy(e->body, body, len);
	rc = psi_event_check(mem, 24 + len);
	free(mem);
	return rc;
}

static void
test_bad_header(void)
{
	struct psi_event e = {.len = 24, .type = PSI_EVENT_GAP, .version = PSI_EVENT_VERSION};
	struct psi_event bad;

	CU_ASSERT_EQUAL(psi_event_check(&e, 24), PSI_OK);
	for (size_t n = 0; n < 24; n++)
		CU_ASSERT_EQUAL(psi_event_check(&e, n), PSI_E_SHORT);
	bad = e, bad.len = 32;
	CU_ASSERT_EQUAL(psi_event_check(&bad, 24), PSI_E_SHORT);
	bad = e, bad.len = 16;
	CU_ASSERT_EQUAL(psi_event_check(&bad, 24), PSI_E_MALFORMED);
	bad = e, bad.len = 0;
	CU_ASSERT_EQUAL(psi_event_check(&bad, 24), PSI_E_MALFORMED);
	bad = e, bad.len = 28;
	CU_ASSERT_EQUAL(psi_event_check(&bad, 24), PSI_E_MALFORMED);
	bad = e, bad.len = PSI_EVENT_MAX + 8;
	CU_ASSERT_EQUAL(psi_event_check(&bad, 24), PSI_E_MALFORMED);
	bad = e, bad.version = 2;
	CU_ASSERT_EQUAL(psi_event_check(&bad, 24), PSI_E_UNSUPPORTED);
	bad = e, bad.type = 6;
	CU_ASSERT_EQUAL(psi_event_check(&bad, 24), PSI_E_UNSUPPORTED);
}

static void
test_bad_fields(void)
{
	static const struct {
		const char *what;
		uint8_t body[24];
		uint32_t len;
		int rc;
	} c[] = {
		{"unknown id", {0xff, 0x7f, 4, 0, 1, 2, 3, 4}, 8, PSI_OK},
		{"end mark", {0xff, 0x7f, 0, 0, 0, 0, 0, 0}, 8, PSI_OK},
		{"end mark before the end", {0, 0, 0, 0, 0xff, 0x7f, 0, 0}, 8, PSI_E_MALFORMED},
		{"end mark with a length", {0xff, 0x7f, 0, 0, 0, 0, 4, 0}, 8, PSI_E_MALFORMED},
		{"value over the end", {22, 0, 5, 0, 'a', 'b', 'c', 'd'}, 8, PSI_E_MALFORMED},
		{"length 65535", {22, 0, 255, 255, 'a', 'b', 'c', 'd'}, 8, PSI_E_MALFORMED},
		{"number of another size", {3, 0, 4, 0, 1, 2, 3, 4}, 8, PSI_E_MALFORMED},
		{"number without a value", {3, 0, 0, 0, 28, 0, 0, 0}, 8, PSI_E_MALFORMED},
		{"IPv4", {2, 0, 4, 0, 192, 0, 2, 1}, 8, PSI_OK},
		{"address of 3 bytes", {2, 0, 3, 0, 192, 0, 2, 1}, 8, PSI_E_MALFORMED},
		{"half a number in an array", {7, 0, 3, 0, 1, 0, 2, 0}, 8, PSI_E_MALFORMED},
		{"empty array", {7, 0, 0, 0, 0, 0, 0, 0}, 8, PSI_OK},
		{"counter of 7 bytes", {235, 0, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0}, 16,
			PSI_E_MALFORMED},
		{"counter without a name", {235, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0}, 16,
			PSI_OK},
		{"object", {90, 0, 4, 0, 0xff, 0x7f, 0, 0}, 8, PSI_OK},
		{"object of odd length", {90, 0, 3, 0, 0xff, 0x7f, 0, 0}, 8, PSI_E_MALFORMED},
		{"end mark in an object", {90, 0, 4, 0, 0, 0, 0, 0}, 8, PSI_E_MALFORMED},
		{"field over its object's end",
			{90, 0, 8, 0, 22, 0, 8, 0, 1, 2, 3, 4, 0xff, 0x7f, 0, 0}, 16,
			PSI_E_MALFORMED},
		{"4 objects deep", {90, 0, 12, 0, 90, 0, 8, 0, 90, 0, 4, 0, 90, 0, 0, 0}, 16,
			PSI_OK},
		{"5 objects deep",
			{90, 0, 16, 0, 90, 0, 12, 0, 90, 0, 8, 0, 90, 0, 4, 0, 90, 0, 0, 0, 0, 0, 0,
				0},
			24, PSI_E_MALFORMED},
	};

	for (size_t i = 0; i < PSI_COUNT(c); i++) {
		int rc = check_body(c[i].body, c[i].len);

		if (rc != c[i].rc)
			printf("\n%s: %s\n", c[i].what, psi_rc_name(rc));
		CU_ASSERT_EQUAL(rc, c[i].rc);
	}
}

/* ---- records within the process ---- */

static void
test_rec_pieces(void)
{
	static uint64_t mem[PSI_REC_MAX / 8 + 1];
	static const struct {
		uint16_t id, len;
		const char *p;
	} want[] = {{PSI_F_TLS_SNI, 3, "a.b"}, {PSI_F_TLS_CH_CIPHERS, 4, NULL},
		{PSI_F_TLS_CLIENT_ALPNS, 2, "h2"}, {PSI_F_TLS_CLIENT_ALPNS, 8, "http/1.1"},
		{PSI_F_TLS_JA3_STR, PSI_REC_VAR_MAX - 40, NULL}};
	struct psi_event_r fields;
	struct psi_value value;
	static const uint8_t big[PSI_REC_VAR_MAX];
	static const uint16_t ciphers[] = {0x1301, 0xc02f};
	struct psi_rec *r = (void *)mem;
	const uint8_t *p;
	uint32_t len;

	memset(mem, 0xee, sizeof(mem));
	psi_rec_begin(r);
	CU_ASSERT_EQUAL(r->len, offsetof(struct psi_rec, var));
	CU_ASSERT_PTR_NULL(psi_rec_piece(r, PSI_VAR_SNI, &len));
	CU_ASSERT_EQUAL(len, 0);
	/* each behind id and length, 4 bytes, and filled up to a multiple of 4 */
	CU_ASSERT(psi_rec_put(r, PSI_VAR_SNI, "a.b", 3));
	CU_ASSERT_EQUAL(r->len, offsetof(struct psi_rec, var) + 8);
	CU_ASSERT(psi_rec_put(r, PSI_VAR_ALPN, NULL, 0));
	CU_ASSERT(psi_rec_put(r, PSI_VAR_CIPHERS, ciphers, sizeof(ciphers)));
	CU_ASSERT_EQUAL(r->len, offsetof(struct psi_rec, var) + 16);
	CU_ASSERT(psi_rec_put(r, PSI_VAR_CLIENT_ALPNS, "\2h2\10http/1.1\7cut", 16));
	CU_ASSERT_EQUAL(r->len, offsetof(struct psi_rec, var) + 16 + 8 + 12 + 4);
	CU_ASSERT_EQUAL(r->var_len, 36);
	CU_ASSERT_FALSE(psi_rec_put(r, PSI_VAR_JA3_STR, big, PSI_REC_VAR_MAX - 39));
	CU_ASSERT_FALSE(psi_rec_put(r, PSI_VAR_JA3_STR, big, SIZE_MAX));
	CU_ASSERT(psi_rec_put(r, PSI_VAR_JA3_STR, big, PSI_REC_VAR_MAX - 40));
	CU_ASSERT_EQUAL(r->len, PSI_REC_MAX);
	CU_ASSERT_FALSE(psi_rec_put(r, PSI_VAR_JA4, "x", 1));
	/* var is a run of fields: RFC 7301 section 3.1 has the names behind a length byte */
	fields = (struct psi_event_r){r->var, r->var + r->var_len};
	for (size_t i = 0; i < PSI_COUNT(want); i++) {
		CU_ASSERT_FATAL(psi_event_next(&fields, &value));
		CU_ASSERT_EQUAL(value.id, want[i].id);
		CU_ASSERT_EQUAL_FATAL(value.len, want[i].len);
		CU_ASSERT(!want[i].p || memcmp(value.p, want[i].p, value.len) == 0);
	}
	CU_ASSERT_FALSE(psi_event_next(&fields, &value));
	p = psi_rec_piece(r, PSI_VAR_SNI, &len);
	CU_ASSERT(p && len == 3 && memcmp(p, "a.b", 3) == 0);
	p = psi_rec_piece(r, PSI_VAR_CIPHERS, &len);
	CU_ASSERT(p && len == 4 && memcmp(p, ciphers, 4) == 0 && (uintptr_t)p % 2 == 0);
	CU_ASSERT_PTR_NULL(psi_rec_piece(r, PSI_VAR_ALPN, &len));
}

static void
test_rec_names(void)
{
	CU_ASSERT_STRING_EQUAL(psi_rec_why_name(PSI_WHY_FIN), "fin");
	CU_ASSERT_STRING_EQUAL(psi_rec_why_name(PSI_WHY_STOP), "stop");
	CU_ASSERT_STRING_EQUAL(psi_rec_why_name(99), "?");
	CU_ASSERT_STRING_EQUAL(psi_client_by_name(PSI_CLIENT_BY_SYN), "syn");
	CU_ASSERT_STRING_EQUAL(psi_client_by_name(99), "?");
}

static CU_TestInfo table_tests[] = {
	{"ids and paths are unique", test_ids_and_paths_are_unique},
	{"rows with the same parents stand together", test_parents_stand_together},
	{"published ids and names are kept", test_contract_is_kept},
	CU_TEST_INFO_NULL,
};

/* Fields made by one writer stand in another's event as if it had put them itself. */
static void
test_put_fields(void)
{
	uint64_t a[32], b[32], direct[32];
	struct psi_event_w w;
	struct psi_event *e, *d;
	uint32_t len;

	psi_event_begin(&w, a, sizeof(a), PSI_EVENT_TLS_FLOW);
	psi_event_put_str(&w, PSI_F_CERT_SUBJECT, "CN=a");
	psi_event_put_u64(&w, PSI_F_CERT_LEN, 700);
	len = w.at - (uint32_t)offsetof(struct psi_event, body);

	psi_event_begin(&w, b, sizeof(b), PSI_EVENT_TLS_FLOW);
	psi_event_open(&w, PSI_F_TLS_CHAIN);
	psi_event_put_fields(&w, (uint8_t *)a + offsetof(struct psi_event, body), len);
	psi_event_close(&w);
	e = psi_event_end(&w, 1, 2);

	psi_event_begin(&w, direct, sizeof(direct), PSI_EVENT_TLS_FLOW);
	psi_event_open(&w, PSI_F_TLS_CHAIN);
	psi_event_put_str(&w, PSI_F_CERT_SUBJECT, "CN=a");
	psi_event_put_u64(&w, PSI_F_CERT_LEN, 700);
	psi_event_close(&w);
	d = psi_event_end(&w, 1, 2);
	CU_ASSERT_EQUAL_FATAL(e->len, d->len);
	CU_ASSERT_EQUAL(memcmp(e, d, e->len), 0);

	psi_event_begin(&w, b, 64, PSI_EVENT_TLS_FLOW);
	psi_event_put_fields(&w, a, 64); /* 24 bytes of header and 64 do not fit into 64 */
	CU_ASSERT_EQUAL(psi_event_end(&w, 1, 2)->flags, PSI_EVENT_CUT);
}

static CU_TestInfo write_tests[] = {
	{"an event is these bytes", test_bytes},
	{"an event ends at a multiple of 8", test_end_is_padded},
	{"what was put is read back", test_read_back},
	{"a field without room is left out, whole", test_no_room},
	{"an event has at most PSI_EVENT_MAX bytes", test_too_long},
	{"finished fields can be copied in", test_put_fields},
	CU_TEST_INFO_NULL,
};

static CU_TestInfo read_tests[] = {
	{"headers that are wrong", test_bad_header},
	{"fields that are wrong", test_bad_fields},
	CU_TEST_INFO_NULL,
};

static CU_TestInfo rec_tests[] = {
	{"pieces of a record", test_rec_pieces},
	{"names", test_rec_names},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "event: table", .pTests = table_tests},
	{.pName = "event: writing", .pTests = write_tests},
	{.pName = "event: reading", .pTests = read_tests},
	{.pName = "event: records", .pTests = rec_tests},
	CU_SUITE_INFO_NULL,
};
