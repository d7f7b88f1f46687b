/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_unit.h"

#include "psi_base.h"
#include "psi_cursor.h"
#include "psi_pool.h"
#include "psi_vocab.h"

#include <stdio.h>

static void
test_cursor_reads_network_order(void)
{
	static const uint8_t raw[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	uint8_t *p = exact(raw, sizeof(raw));
	struct psi_cursor c = psi_cursor(p, sizeof(raw));
	uint8_t v8;
	uint16_t v16;
	uint32_t v24, v32;

	CU_ASSERT(psi_take8(&c, &v8) && v8 == 1);
	CU_ASSERT(psi_take16(&c, &v16) && v16 == 0x0203);
	CU_ASSERT(psi_take24(&c, &v24) && v24 == 0x040506);
	CU_ASSERT(psi_take32(&c, &v32) && v32 == 0x0708090a);
	CU_ASSERT_EQUAL(psi_cursor_left(&c), 0);
	free(p);
}

static void
test_cursor_refuses_without_moving(void)
{
	uint8_t *p = exact("abc", 3);
	struct psi_cursor c = psi_cursor(p, 3), sub = {0};
	uint32_t v32;

	CU_ASSERT_FALSE(psi_take32(&c, &v32));
	CU_ASSERT_PTR_NULL(psi_take(&c, SIZE_MAX));
	CU_ASSERT_FALSE(psi_sub(&c, 4, &sub));
	CU_ASSERT_EQUAL(psi_cursor_left(&c), 3);
	CU_ASSERT(psi_sub(&c, 2, &sub));
	CU_ASSERT_EQUAL(psi_cursor_left(&sub), 2);
	CU_ASSERT_EQUAL(psi_cursor_left(&c), 1);
	free(p);
}

static void
test_errors_have_names(void)
{
	CU_ASSERT_STRING_EQUAL(psi_rc_name(PSI_OK), "OK");
	CU_ASSERT_STRING_EQUAL(psi_rc_name(PSI_E_MALFORMED), "MALFORMED");
	CU_ASSERT_STRING_EQUAL(psi_rc_name(12345), "?");
	CU_ASSERT(strlen(psi_rc_text(PSI_E_LIMIT)) > 0);
}

static void
test_err_chain(void)
{
	struct psi_err e = {""};
	char big[2000];

	CU_ASSERT_EQUAL(psi_err_set(&e, -22, "bad value %d", 7), -22);
	CU_ASSERT_EQUAL(psi_err_wrap(&e, -22, "line %d", 3), -22);
	CU_ASSERT_STRING_EQUAL(e.text, "line 3: bad value 7");
	CU_ASSERT_EQUAL(psi_err_set(NULL, -1, "x"), -1);

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	psi_err_set(&e, -1, "%s", big);
	CU_ASSERT_EQUAL(strlen(e.text), sizeof(e.text) - 1);
	CU_ASSERT_STRING_EQUAL(e.text + sizeof(e.text) - 4, "...");
}

/* Values published by Cisco (eStreamer, SSL flow messages and status) and by IANA. */
static void
test_vocabulary_values(void)
{
	CU_ASSERT_EQUAL(PSI_MSG_CLIENT_HELLO, 0x8);
	CU_ASSERT_EQUAL(PSI_MSG_SERVER_FINISHED, 0x8000);
	CU_ASSERT_EQUAL(PSI_MSG_APP_DATA_FROM_SERVER, 0x80000);
	CU_ASSERT_EQUAL(PSI_FLAG_VALID, 1);
	CU_ASSERT_EQUAL(PSI_FLAG_ALERT_SEEN, 1ull << 32);
	CU_ASSERT_EQUAL(PSI_CERT_EXPIRED, 0x40);
	CU_ASSERT_STRING_EQUAL(psi_alert_name(48), "unknown_ca");
	CU_ASSERT_STRING_EQUAL(psi_alert_name(121), "ech_required");
	CU_ASSERT_PTR_NULL(psi_alert_name(1));
	CU_ASSERT_STRING_EQUAL(psi_cipher_name(0x1301), "TLS_AES_128_GCM_SHA256");
	CU_ASSERT_STRING_EQUAL(psi_cipher_name(0xc02f), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
	CU_ASSERT_PTR_NULL(psi_cipher_name(0x0a0a));
	CU_ASSERT_STRING_EQUAL(psi_group_name(29), "x25519");
	CU_ASSERT_STRING_EQUAL(psi_version_name(0x0301), "TLSv1");
	CU_ASSERT_STRING_EQUAL(psi_version_name(0x0304), "TLS 1.3");
	CU_ASSERT_PTR_NULL(psi_version_name(0x0305));
}

static void
test_vocabulary_relations(void)
{
	CU_ASSERT_EQUAL(psi_msg_of(11, PSI_C2S), PSI_MSG_CLIENT_CERTIFICATE);
	CU_ASSERT_EQUAL(psi_msg_of(11, PSI_S2C), PSI_MSG_SERVER_CERTIFICATE);
	CU_ASSERT_EQUAL(psi_msg_of(22, PSI_S2C), PSI_MSG_HANDSHAKE_OTHER);
	CU_ASSERT_EQUAL(psi_msg_of(99, PSI_S2C), PSI_MSG_HANDSHAKE_OTHER);
	CU_ASSERT_EQUAL(psi_hs_letter(1), 'c');
	CU_ASSERT_EQUAL(psi_hs_letter(99), 'z');
	CU_ASSERT_EQUAL(psi_alert_class(48), PSI_CLASS_UNKNOWN_CA);
	CU_ASSERT_EQUAL(psi_alert_class(51), PSI_CLASS_CLIENT_REJECTED);
	CU_ASSERT_EQUAL(psi_alert_class(40), PSI_CLASS_NONE);
	CU_ASSERT(psi_class_is_refusal(PSI_CLASS_PINNED));
	CU_ASSERT_FALSE(psi_class_is_refusal(PSI_CLASS_NORMAL));
	CU_ASSERT_STRING_EQUAL(psi_class_name(PSI_CLASS_CLIENT_REJECTED), "client_rejected");
	CU_ASSERT_STRING_EQUAL(psi_pin_name(PSI_PIN_BACKUP_MATCH), "backup_match");
	CU_ASSERT_PTR_NULL(psi_pin_name(PSI_PIN_CNT));
	CU_ASSERT_PTR_NULL(psi_pin_text(PSI_PIN_CNT));
}

/* Every bit of a table is one bit, and no two rows share one. */
static void
test_bits_are_distinct(void)
{
	uint64_t seen = 0;

#define ONE(bit)                                               \
	do {                                                   \
		CU_ASSERT_EQUAL(__builtin_popcountll(bit), 1); \
		CU_ASSERT_EQUAL(seen &(bit), 0);               \
		seen |= (bit);                                 \
	} while (0);
#define MSG(sym, bit) ONE(bit)
#include "tls_messages.def"
	CU_ASSERT_EQUAL(seen, 0xfffff);
	seen = 0;
#define FLAG(sym, bit, text) ONE(bit)
#include "ssl_flags.def"
	seen = 0;
#define EVIDENCE(sym, bit, text) ONE(bit)
#include "evidence.def"
	seen = 0;
#define NOTE(sym, bit, text) ONE(bit)
#include "tls_notes.def"
	CU_ASSERT(seen != 0);
}

static void
test_pool_gives_each_once(void)
{
	struct psi_pool p;
	void *mem = malloc(psi_pool_footprint(24, 3));
	uint32_t a, b, c;

	psi_pool_init(&p, mem, 24, 3);
	a = psi_pool_take(&p);
	b = psi_pool_take(&p);
	c = psi_pool_take(&p);
	CU_ASSERT(a != b && b != c && a != c);
	CU_ASSERT(psi_pool_at(&p, a) != psi_pool_at(&p, b));
	CU_ASSERT_EQUAL(psi_pool_take(&p), PSI_POOL_NONE);
	CU_ASSERT_EQUAL(p.used, 3);
	psi_pool_give(&p, b);
	CU_ASSERT_EQUAL(psi_pool_take(&p), b);
	free(mem);
}

static CU_TestInfo base_tests[] = {
	{"a cursor reads network order", test_cursor_reads_network_order},
	{"a cursor refuses without moving", test_cursor_refuses_without_moving},
	{"errors have names", test_errors_have_names},
	{"error texts chain and say when they are cut", test_err_chain},
	{"vocabulary has the published values", test_vocabulary_values},
	{"vocabulary relates types, alerts and classes", test_vocabulary_relations},
	{"bits are distinct", test_bits_are_distinct},
	{"a pool gives each object once", test_pool_gives_each_once},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "base", .pTests = base_tests},
	CU_SUITE_INFO_NULL,
};
