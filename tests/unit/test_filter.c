/* SPDX-License-Identifier: BSD-3-Clause */
/* Which events a filter takes, and the line that is printed of one. Times are from date(1), prefixes are worked out by
 * hand from RFC 4632 and RFC 4291. */
#include "psi_unit.h"

#include "psi_filter.h"

static uint64_t mem[512];

static const struct psi_event *
flow(const char *host, const uint8_t *ip, size_t ip_len, enum psi_class class, uint64_t t)
{
	struct psi_event_w w;

	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_TLS_FLOW);
	if (host)
		psi_event_put_str(&w, PSI_F_TLS_SNI, host);
	psi_event_put_bytes(&w, PSI_F_SRC_IP, ip, ip_len);
	psi_event_put_u64(&w, PSI_F_CLASS, class);
	psi_event_put_f64(&w, PSI_F_CONFIDENCE, 0.97);
	psi_event_put_str(&w, PSI_F_REASON, "Because.");
	return psi_event_end(&w, 1, t);
}

static const struct psi_event *
finding(const char *class)
{
	static const uint8_t ip[4] = {10, 1, 2, 3};
	struct psi_event_w w;

	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_FINDING);
	psi_event_put_str(&w, PSI_F_FINDING_SNI, "app.example");
	psi_event_put_bytes(&w, PSI_F_FINDING_CLIENT, ip, sizeof(ip));
	psi_event_put_str(&w, PSI_F_FINDING_CLASS, class);
	psi_event_put_f64(&w, PSI_F_FINDING_CONFIDENCE, 0.98);
	psi_event_put_u64(&w, PSI_F_FINDING_FAILED, 3);
	psi_event_put_u64(&w, PSI_F_FINDING_OK, 1);
	psi_event_put_str(&w, PSI_F_FINDING_REASON, "Others get through.");
	return psi_event_end(&w, 2, 0);
}

static const uint8_t v4[4] = {10, 1, 2, 3};
static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

static bool
takes_client(const char *text, const uint8_t *ip, size_t len)
{
	struct psi_filter f = {0};

	CU_ASSERT_EQUAL(psi_filter_client(&f, text, NULL), 0);
	return psi_filter_takes(&f, flow("a.example", ip, len, PSI_CLASS_NORMAL, 0));
}

static void
test_client(void)
{
	static const char *const bad[] = {"", "10", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",
		"::/129", "10.0.0.0/8x", "a.example", "2001:db8::1::/3",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"};
	struct psi_filter f = {0};
	struct psi_err err = {""};

	CU_ASSERT(takes_client("10.1.2.3", v4, 4));
	CU_ASSERT(!takes_client("10.1.2.4", v4, 4));
	CU_ASSERT(takes_client("10.1.2.2/31", v4, 4));
	CU_ASSERT(!takes_client("10.1.2.4/31", v4, 4));
	CU_ASSERT(takes_client("10.1.0.0/21", v4, 4));
	CU_ASSERT(!takes_client("10.1.8.0/21", v4, 4));
	CU_ASSERT(takes_client("0.0.0.0/0", v4, 4));
	CU_ASSERT(!takes_client("0.0.0.0/0", v6, 16));
	CU_ASSERT(takes_client("2001:db8::/32", v6, 16));
	CU_ASSERT(takes_client("2001:db8::1", v6, 16));
	CU_ASSERT(!takes_client("2001:db8::2", v6, 16));
	CU_ASSERT(!takes_client("2001:db9::/32", v6, 16));
	CU_ASSERT(takes_client("::/0", v4, 4));
	CU_ASSERT(!takes_client("10.0.0.0/8", v6, 16));
	for (size_t i = 0; i < PSI_COUNT(bad); i++) {
		CU_ASSERT(psi_filter_client(&f, bad[i], &err) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "10.0.0.0/8"));
	}
}

static bool
takes_host(const char *text, const char *host)
{
	struct psi_filter f = {0};

	CU_ASSERT_EQUAL(psi_filter_host(&f, text, NULL), 0);
	return psi_filter_takes(&f, flow(host, v4, 4, PSI_CLASS_NORMAL, 0));
}

static void
test_host(void)
{
	static const char *const bad[] = {"", ".", "*", "*.", "a.*.example"};
	struct psi_filter f = {0};

	CU_ASSERT(takes_host("a.example", "A.Example"));
	CU_ASSERT(takes_host("a.example", "a.example."));
	CU_ASSERT(!takes_host("a.example", "b.a.example"));
	CU_ASSERT(!takes_host("a.example", NULL));
	CU_ASSERT(takes_host(".a.example", "a.example"));
	CU_ASSERT(takes_host(".a.example", "c.b.a.example"));
	CU_ASSERT(takes_host("*.a.example", "b.a.example"));
	CU_ASSERT(!takes_host(".a.example", "ba.example"));
	for (size_t i = 0; i < PSI_COUNT(bad); i++)
		CU_ASSERT(psi_filter_host(&f, bad[i], NULL) < 0);
}

static bool
takes_class(const char *text, const struct psi_event *e)
{
	struct psi_filter f = {0};

	CU_ASSERT_EQUAL(psi_filter_classes(&f, text, NULL), 0);
	return psi_filter_takes(&f, e);
}

#define FLOW(class) flow("a.example", v4, 4, PSI_CLASS_##class, 0)

static void
test_class(void)
{
	struct psi_filter f = {0};

	CU_ASSERT(takes_class("pinned", FLOW(PINNED)));
	CU_ASSERT(!takes_class("pinned", FLOW(NORMAL)));
	CU_ASSERT(takes_class("pinned,normal", FLOW(NORMAL)));
	CU_ASSERT(takes_class("refused", FLOW(CERTIFICATE_EXPIRED)));
	CU_ASSERT(takes_class("refused", FLOW(CLIENT_REJECTED)));
	CU_ASSERT(!takes_class("refused", FLOW(HANDSHAKE_FAILURE)));
	CU_ASSERT(takes_class("failed", FLOW(HANDSHAKE_FAILURE)));
	CU_ASSERT(!takes_class("failed", FLOW(NORMAL)));
	CU_ASSERT(!takes_class("failed", FLOW(NOT_TLS)));
	CU_ASSERT(takes_class("pinned", finding("host_pinned_for_client")));
	CU_ASSERT(takes_class("unknown_ca", finding("client_distrusts_ca")));
	CU_ASSERT(takes_class("refused", finding("host_certificate_bad")));
	CU_ASSERT(!takes_class("refused", finding("key_changed")));
	CU_ASSERT(psi_filter_classes(&f, "pinned,", NULL) < 0);
	CU_ASSERT(psi_filter_classes(&f, "none", NULL) < 0);
	CU_ASSERT(psi_filter_classes(&f, "pin", NULL) < 0);
}

static void
test_types(void)
{
	struct psi_filter f = {0};
	struct psi_event_w w;

	CU_ASSERT_EQUAL(psi_filter_types(&f, "finding,stats", NULL), 0);
	CU_ASSERT(psi_filter_takes(&f, finding("key_changed")));
	CU_ASSERT(!psi_filter_takes(&f, FLOW(PINNED)));
	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_GAP);
	CU_ASSERT(psi_filter_takes(&f, psi_event_end(&w, 3, 0)));
	CU_ASSERT(psi_filter_types(&f, "flow", NULL) < 0);
	/* A finding has host and client under other names. */
	f = (struct psi_filter){0};
	CU_ASSERT_EQUAL(psi_filter_host(&f, "app.example", NULL), 0);
	CU_ASSERT_EQUAL(psi_filter_client(&f, "10.1.2.3", NULL), 0);
	CU_ASSERT(psi_filter_takes(&f, finding("key_changed")));
	CU_ASSERT(!psi_filter_takes(&f, FLOW(PINNED)));
}

/* date -u -d '2026-03-02T08:00:00Z' +%s: 1772438400 */
static void
test_time(void)
{
	const uint64_t ns1 = 1000000000ull;
	uint64_t ns;

	CU_ASSERT(psi_filter_time("2026-03-02T08:00:00Z", &ns) && ns == 1772438400 * ns1);
	CU_ASSERT(psi_filter_time("2026-03-02T08:00:00.25Z", &ns) &&
		  ns == 1772438400 * ns1 + ns1 / 4);
	CU_ASSERT(
		psi_filter_time("2026-03-02T09:30:00.000000+0130", &ns) && ns == 1772438400 * ns1);
	CU_ASSERT(psi_filter_time("2026-03-02T07:00:00-01:00", &ns) && ns == 1772438400 * ns1);
	CU_ASSERT_FALSE(psi_filter_time("2026-03-02T08:00:00", &ns));
	CU_ASSERT_FALSE(psi_filter_time("2026-03-02T08:00:00Zx", &ns));
	CU_ASSERT_FALSE(psi_filter_time("2026-13-02T08:00:00Z", &ns));
	CU_ASSERT_FALSE(psi_filter_time("1969-12-31T23:59:59Z", &ns));
	CU_ASSERT_FALSE(psi_filter_time("2026-03-02T08:00:00+", &ns));
	CU_ASSERT_FALSE(psi_filter_time("2026-03-02T08:00:00+1", &ns));
	CU_ASSERT_FALSE(psi_filter_time("2026-03-02T08:00:00+01:", &ns));
	CU_ASSERT_FALSE(psi_filter_time("2026-03-02T08:00:00+-1-2", &ns));
	CU_ASSERT_FALSE(psi_filter_time("1970-01-01T00:00:00+0001", &ns));
	CU_ASSERT_FALSE(psi_filter_time("", &ns));
}

static void
test_since(void)
{
	static const char *const bad[] = {"", "5", "5y", "s", "-5s", "2026-11-2", "2026-11-32",
		"2026-11-22T08:00:00", "2026-13-22T08:00:00Z", "1969-01-01T00:00:00Z",
		"99999999999d"};
	const uint64_t ns = 1000000000ull, now = 1000000 * ns;
	struct psi_filter f = {0};

	/* date -u -d 2026-11-22T08:00:00Z +%s: 1795334400 */
	CU_ASSERT_EQUAL(psi_filter_since(&f.since_ns, "2026-11-22T08:00:00Z", now, NULL), 0);
	CU_ASSERT_EQUAL(f.since_ns, 1795334400 * ns);
	CU_ASSERT_EQUAL(psi_filter_since(&f.since_ns, "2026-11-22T08:00:00.123Z", now, NULL), 0);
	CU_ASSERT_EQUAL(f.since_ns, 1795334400 * ns + 123 * ns / 1000);
	CU_ASSERT_EQUAL(psi_filter_since(&f.since_ns, "2026-11-22T09:00:00+01:00", now, NULL), 0);
	CU_ASSERT_EQUAL(f.since_ns, 1795334400 * ns);
	CU_ASSERT_EQUAL(psi_filter_since(&f.since_ns, "2026-11-22", now, NULL), 0);
	CU_ASSERT_EQUAL(f.since_ns, 1795305600 * ns); /* date -u -d 2026-11-22 +%s */
	CU_ASSERT_EQUAL(psi_filter_since(&f.since_ns, "1w", now, NULL), 0);
	CU_ASSERT_EQUAL(f.since_ns, 395200 * ns);
	CU_ASSERT_EQUAL(psi_filter_since(&f.since_ns, "90s", now, NULL), 0);
	CU_ASSERT_EQUAL(f.since_ns, 999910 * ns);
	CU_ASSERT_EQUAL(psi_filter_since(&f.since_ns, "2h", now, NULL), 0);
	CU_ASSERT_EQUAL(f.since_ns, 992800 * ns);
	CU_ASSERT(psi_filter_takes(&f, flow("a.example", v4, 4, PSI_CLASS_NORMAL, 992800 * ns)));
	CU_ASSERT(
		!psi_filter_takes(&f, flow("a.example", v4, 4, PSI_CLASS_NORMAL, 992800 * ns - 1)));
	CU_ASSERT_EQUAL(psi_filter_since(&f.since_ns, "30d", now, NULL), 0); /* before 1970 */
	CU_ASSERT_EQUAL(f.since_ns, 1);
	for (size_t i = 0; i < PSI_COUNT(bad); i++)
		CU_ASSERT(psi_filter_since(&f.since_ns, bad[i], now, NULL) < 0);
}

static void
test_line(void)
{
	char out[PSI_LINE_MAX];
	static char longest[3000];

	psi_line_event(flow("a.example", v4, 4, PSI_CLASS_PINNED, 1795334400123456789), false, out);
	CU_ASSERT_STRING_EQUAL(out,
		"2026-11-22T08:00:00.123  pinned                   97%  10.1.2.3        "
		"a.example                       Because.\n");
	psi_line_event(finding("host_pinned_for_client"), false, out);
	CU_ASSERT_STRING_EQUAL(out,
		"1970-01-01T00:00:00.000  host_pinned_for_client   98%  10.1.2.3        "
		"app.example                     Others get through. (3 refused, 1 accepted)\n");
	/* Names from the wire do not steer the terminal. */
	psi_line_event(flow("\033[31m\n", v6, 16, PSI_CLASS_NORMAL, 0), false, out);
	CU_ASSERT_PTR_NULL(strchr(out, '\033'));
	CU_ASSERT_PTR_EQUAL(strchr(out, '\n'), out + strlen(out) - 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\\x1B[31m\\x0A"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "2001:db8::1"));
	memset(longest, 0x01, sizeof(longest) - 1);
	CU_ASSERT(psi_line_event(flow(longest, v4, 4, PSI_CLASS_PINNED, 0), true, out) <
		  PSI_LINE_MAX);
}

static CU_TestInfo tests[] = {
	{"clients and their networks", test_client},
	{"hosts and what is below them", test_host},
	{"verdicts, of flows and of findings", test_class},
	{"types of events", test_types},
	{"times of RFC 3339", test_time},
	{"times", test_since},
	{"a line of text", test_line},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "export: filter", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
