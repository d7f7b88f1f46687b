/* SPDX-License-Identifier: BSD-3-Clause */
/* Expected figures are counted by hand from the events of each test. Host names: RFC 952, RFC 1123 section 2.1. */
#include "psi_unit.h"

#include "psi_report.h"
#include "report_pvt.h"

#include <stdio.h>

#define T(s) ((struct psi_report_text){s, sizeof(s) - 1})
#define SEC  1000000000ull

static struct psi_report *
opened(const struct psi_report_config *cfg)
{
	static const struct psi_report_config none;
	struct psi_report *r = psi_report_open(cfg ? cfg : &none, NULL);

	CU_ASSERT_FATAL(r != NULL);
	return r;
}

static struct psi_report_ip
ip4(uint8_t last)
{
	return (struct psi_report_ip){4, {192, 0, 2, last}};
}

static struct psi_report_event
flow(const char *host, uint8_t client, enum psi_class class, uint64_t s)
{
	return (struct psi_report_event){.kind = PSI_REPORT_FLOW,
		.time_ns = s * SEC,
		.client = ip4(client),
		.server = ip4(200),
		.server_port = 443,
		.host = {host, strlen(host)},
		.ja4 = T("t12d"),
		.class = class,
		.confidence = 0.8,
		.reason = T("Why.")};
}

static struct psi_report_event
finding(const char *class, const char *host, uint8_t client, double confidence, uint64_t s)
{
	struct psi_report_event e = {.kind = PSI_REPORT_FINDING,
		.time_ns = s * SEC,
		.first_ns = 1 * SEC,
		.last_ns = s * SEC,
		.finding = {class, strlen(class)},
		.host = {host, strlen(host)},
		.confidence = confidence,
		.seen = 4,
		.failed = 2,
		.ok = 2};

	if (client)
		e.client = ip4(client);
	return e;
}

static void
take(struct psi_report *r, struct psi_report_event e)
{
	psi_report_take(r, &e);
}

static uint32_t
rows(const struct psi_report *r, enum psi_report_section s, const struct psi_report_row **row)
{
	uint32_t cnt;

	*row = psi_report_rows(r, s, &cnt);
	return cnt;
}

static bool
is(struct psi_report_text t, const char *s)
{
	return t.len == strlen(s) && memcmp(t.p, s, t.len) == 0;
}

/* ---- findings and flows ---- */

static void
test_finding_takes_its_flows(void)
{
	struct psi_report *r = opened(NULL);
	const struct psi_report_row *row;

	take(r, flow("a.example", 1, PSI_CLASS_NORMAL, 10));
	take(r, flow("A.Example.", 2, PSI_CLASS_CLIENT_REJECTED, 11));
	take(r, flow("a.example", 2, PSI_CLASS_CLIENT_REJECTED, 12));
	take(r, flow("a.example", 3, PSI_CLASS_CLIENT_REJECTED,
			13)); /* of this client nothing was found */
	take(r, finding("host_pinned_for_client", "a.example", 2, 0.9, 14));
	CU_ASSERT_EQUAL(psi_report_finish(r), 0);
	CU_ASSERT_EQUAL(rows(r, PSI_REPORT_PINNED, &row), 1);
	CU_ASSERT(is(row->host, "a.example") && row->basis == PSI_REPORT_BY_FINDING);
	CU_ASSERT_EQUAL(row->refused, 2);
	CU_ASSERT_EQUAL(row->accepted, 1);
	CU_ASSERT_EQUAL(row->seen, 3);
	CU_ASSERT_EQUAL(row->clients, 1);
	CU_ASSERT_EQUAL(row->stacks, 1);
	CU_ASSERT_EQUAL(row->tries, 4);
	CU_ASSERT_EQUAL(row->first_ns, 1 * SEC);
	CU_ASSERT_EQUAL(row->last_ns, 14 * SEC);
	CU_ASSERT_DOUBLE_EQUAL(row->confidence, 0.9, 1e-9);
	CU_ASSERT_EQUAL(rows(r, PSI_REPORT_SUSPECTED, &row), 1);
	CU_ASSERT_EQUAL(row->refused, 1);
	CU_ASSERT_DOUBLE_EQUAL(row->confidence, 0.4, 1e-9); /* half of the flow's */
	psi_report_close(r);
}

static void
test_newest_word_stands(void)
{
	struct psi_report *r = opened(NULL);
	const struct psi_report_row *row;

	take(r, finding("host_pinned_for_client", "a.example", 2, 0.9, 20));
	take(r, finding("host_pinned_for_client", "a.example", 2, 0.6, 30));
	take(r, finding("host_pinned_for_client", "a.example", 2, 0.99, 25)); /* late, and older */
	take(r, finding("host_pinned_for_client", "b.example", 2, 0.9, 20));
	take(r, finding("host_pinned_for_client", "b.example", 2, 0, 21)); /* taken back */
	CU_ASSERT_EQUAL(psi_report_finish(r), 0);
	CU_ASSERT_EQUAL(rows(r, PSI_REPORT_PINNED, &row), 1);
	CU_ASSERT(is(row->host, "a.example"));
	CU_ASSERT_DOUBLE_EQUAL(row->confidence, 0.6, 1e-9);
	CU_ASSERT_EQUAL(psi_report_sum(r)->expired, 1);
	CU_ASSERT_EQUAL(psi_report_sum(r)->older, 3);
	psi_report_close(r);
}

static void
test_client_finding(void)
{
	struct psi_report *r = opened(NULL);
	const struct psi_report_row *row;

	take(r, flow("a.example", 5, PSI_CLASS_UNKNOWN_CA, 10));
	take(r, flow("b.example", 5, PSI_CLASS_UNKNOWN_CA, 11));
	take(r, flow("b.example", 6, PSI_CLASS_NORMAL, 11));
	take(r, finding("client_distrusts_ca", "a.example", 5, 0.95,
			12)); /* one client, told at each host */
	take(r, finding("client_distrusts_ca", "b.example", 5, 0.9, 12));
	take(r, finding("no_such_class", "c.example", 0, 0.95, 12));
	CU_ASSERT_EQUAL(psi_report_finish(r), 0);
	CU_ASSERT_EQUAL(rows(r, PSI_REPORT_DISTRUST, &row), 1);
	CU_ASSERT_EQUAL(row->refused, 2);
	CU_ASSERT_EQUAL(row->seen, 2);
	CU_ASSERT_EQUAL(row->client.b[3], 5);
	CU_ASSERT_EQUAL(rows(r, PSI_REPORT_SUSPECTED, &row), 0);
	CU_ASSERT_EQUAL(rows(r, PSI_REPORT_INTERCEPTION, &row), 1);
	CU_ASSERT(is(row->class, "no_such_class"));
	psi_report_close(r);
}

/* Every class goes somewhere: the sum over rows and counters is what was taken. */
static void
test_nothing_vanishes(void)
{
	struct psi_report *r = opened(NULL);
	const struct psi_report_sum *s;
	const struct psi_report_row *row;
	uint64_t in_rows = 0;

	for (int c = 0; c < PSI_CLASS_CNT; c++)
		take(r, flow("a.example", (uint8_t)c, (enum psi_class)c, 10));
	CU_ASSERT_EQUAL(psi_report_finish(r), 0);
	s = psi_report_sum(r);
	CU_ASSERT_EQUAL(s->flows, PSI_CLASS_CNT);
	CU_ASSERT_EQUAL(s->accepted + s->refused + s->failed + s->undecided, PSI_CLASS_CNT);
	CU_ASSERT_EQUAL(s->accepted, 1);
	CU_ASSERT_EQUAL(s->refused, 8);	  /* classes 2 to 9 */
	CU_ASSERT_EQUAL(s->failed, 2);	  /* client_certificate, handshake_failure */
	CU_ASSERT_EQUAL(s->undecided, 4); /* none, aborted, incomplete, not_tls */
	for (int sec = 0; sec < PSI_REPORT_SECTION_CNT; sec++)
		for (uint32_t n = rows(r, (enum psi_report_section)sec, &row); n; n--, row++)
			in_rows += row->refused;
	CU_ASSERT_EQUAL(in_rows, s->refused + s->failed);
	psi_report_close(r);
}

static void
test_order(void)
{
	struct psi_report *r = opened(NULL);
	const struct psi_report_row *row;

	for (int i = 0; i < 9; i++) /* many flows, one client */
		take(r, flow("loud.example", 1, PSI_CLASS_CLIENT_REJECTED, 10));
	for (uint8_t c = 1; c <= 3; c++)
		take(r, flow("wide.example", c, PSI_CLASS_CLIENT_REJECTED, 10));
	take(r, flow("c.example", 1, PSI_CLASS_CLIENT_REJECTED, 10));
	take(r, flow("b.example", 1, PSI_CLASS_CLIENT_REJECTED, 10));
	CU_ASSERT_EQUAL(psi_report_finish(r), 0);
	CU_ASSERT_EQUAL_FATAL(rows(r, PSI_REPORT_SUSPECTED, &row), 4);
	CU_ASSERT(is(row[0].host, "wide.example"));
	CU_ASSERT(is(row[1].host, "loud.example"));
	CU_ASSERT(is(row[2].host, "b.example"));
	CU_ASSERT(is(row[3].host, "c.example"));
	psi_report_close(r);
}

/* Every class that the engine can tell has its section: none falls to the one for what is not known. */
static void
test_every_class_has_a_section(void)
{
	static const char *const engine[] = {
#define FINDING(sym, value, name, text) name,
#include "../../lib/verdict/finding_classes.def"
#undef FINDING
	};
	static const char *const ours[] = {
#define FINDING(name, section) name,
#include "report_findings.def"
#undef FINDING
	};

	for (size_t i = 1; i < PSI_COUNT(engine); i++) { /* the first is none */
		size_t k = 0;

		while (k < PSI_COUNT(ours) && strcmp(ours[k], engine[i]) != 0)
			k++;
		CU_ASSERT(k < PSI_COUNT(ours));
	}
}

/* ---- bounds ---- */

static void
test_bounds(void)
{
	struct psi_report_config cfg = {
		.findings_max = 2, .pairs_max = 3, .names_max = 4096, .accepted_max = 8};
	struct psi_report *r = opened(&cfg);
	const struct psi_report_row *row;
	char host[32];

	for (int i = 0; i < 10; i++) {
		snprintf(host, sizeof(host), "h%d.example", i);
		take(r, flow(host, 1, PSI_CLASS_CLIENT_REJECTED, 10));
		take(r, flow(host, 2, PSI_CLASS_NORMAL, 10));
		take(r, finding("host_pinned_for_client", host, 1, 0.9, 10));
	}
	CU_ASSERT_EQUAL(psi_report_finish(r), 0);
	CU_ASSERT_EQUAL(psi_report_sum(r)->refused, 10);
	CU_ASSERT_EQUAL(psi_report_sum(r)->left_flows, 7);
	CU_ASSERT_EQUAL(psi_report_sum(r)->left_findings, 8);
	CU_ASSERT_EQUAL(rows(r, PSI_REPORT_PINNED, &row), 2);
	CU_ASSERT_EQUAL(rows(r, PSI_REPORT_SUSPECTED, &row), 1);
	/* 10 hosts, and the one client among the 8: at least 3 went */
	CU_ASSERT(psi_report_sum(r)->forgotten >= 3);
	psi_report_close(r);
}

static void
test_names_bound(void)
{
	struct psi_report_config cfg = {.names_max = 40};
	struct psi_report *r = opened(&cfg);

	take(r, flow("a.example", 1, PSI_CLASS_CLIENT_REJECTED, 10));
	take(r, flow("a-name-too-long-for-what-is-left.example", 1, PSI_CLASS_CLIENT_REJECTED, 10));
	CU_ASSERT_EQUAL(psi_report_finish(r), 0);
	CU_ASSERT_EQUAL(psi_report_sum(r)->left_flows, 1);
	psi_report_close(r);
}

/* ---- filters ---- */

static uint64_t
kept(struct psi_report_filter f)
{
	struct psi_report_config cfg = {.filter = f};
	struct psi_report *r = opened(&cfg);
	uint64_t n;

	take(r, flow("a.example", 1, PSI_CLASS_NORMAL, 10));
	take(r, flow("www.a.example", 2, PSI_CLASS_NORMAL, 20));
	take(r, flow("xa.example", 130, PSI_CLASS_NORMAL, 30));
	n = psi_report_sum(r)->flows;
	CU_ASSERT_EQUAL(n + psi_report_sum(r)->filtered, 3);
	psi_report_close(r);
	return n;
}

static void
test_filters(void)
{
	struct psi_report_filter f = {.client = ip4(0), .client_bits = 25};

	CU_ASSERT_EQUAL(kept((struct psi_report_filter){0}), 3);
	CU_ASSERT_EQUAL(kept((struct psi_report_filter){.since_ns = 20 * SEC}), 2);
	CU_ASSERT_EQUAL(kept((struct psi_report_filter){.host = T("a.example")}), 1);
	CU_ASSERT_EQUAL(kept((struct psi_report_filter){.host = T(".a.example")}), 2);
	CU_ASSERT_EQUAL(kept(f), 2); /* 192.0.2.0/25 */
	f.client = ip4(2);
	f.client_bits = 32;
	CU_ASSERT_EQUAL(kept(f), 1);
	f.client_bits = 0;
	CU_ASSERT_EQUAL(kept(f), 3);
}

static void
test_min_confidence(void)
{
	struct psi_report_config cfg = {.min_confidence = 0.7};
	struct psi_report *r = opened(&cfg);
	const struct psi_report_row *row;

	take(r, finding("host_pinned_for_client", "a.example", 1, 0.69, 10));
	take(r, finding("host_pinned_for_client", "b.example", 1, 0.7, 10));
	CU_ASSERT_EQUAL(psi_report_finish(r), 0);
	CU_ASSERT_EQUAL(rows(r, PSI_REPORT_PINNED, &row), 1);
	CU_ASSERT_EQUAL(psi_report_sum(r)->below, 1);
	psi_report_close(r);
}

/* ---- time ---- */

static void
test_times(void)
{
	struct psi_report_times t = {0};
	uint64_t sum = 0;

	rpt_times_add(&t, 1000 * SEC, PSI_REPORT_BIN_OK);
	rpt_times_add(&t, 1095 * SEC, PSI_REPORT_BIN_OK); /* the 96th bin of a second */
	CU_ASSERT_EQUAL(t.width_s, 1);
	CU_ASSERT_EQUAL(t.start_s, 1000);
	CU_ASSERT_EQUAL(t.used, 96);
	rpt_times_add(&t, 1096 * SEC, PSI_REPORT_BIN_REFUSED); /* 97 s: bins of two */
	CU_ASSERT_EQUAL(t.width_s, 2);
	CU_ASSERT_EQUAL(t.n[48][PSI_REPORT_BIN_REFUSED], 1);
	CU_ASSERT_EQUAL(t.n[47][PSI_REPORT_BIN_OK], 1);
	rpt_times_add(&t, 990 * SEC, PSI_REPORT_BIN_OK); /* before the first */
	CU_ASSERT_EQUAL(t.start_s, 990);
	CU_ASSERT_EQUAL(t.n[0][PSI_REPORT_BIN_OK], 1);
	CU_ASSERT_EQUAL(t.n[5][PSI_REPORT_BIN_OK], 1);
	rpt_times_add(&t, 0, PSI_REPORT_BIN_OTHER);
	rpt_times_add(&t, UINT64_MAX, PSI_REPORT_BIN_OTHER);
	for (uint32_t i = 0; i < t.used; i++)
		for (int k = 0; k < PSI_REPORT_BIN_CNT; k++)
			sum += t.n[i][k];
	CU_ASSERT_EQUAL(sum, 6);
}

/* ---- hosts to exempt ---- */

static const struct {
	const char *host;
	bool ok;
} hosts[] = {
	{"a.example", true},
	{"intranet", true},
	{"_dmarc.a-b.example", true},
	{"xn--bcher-kva.example", true},
	{"1and1.example", true},
	{"", false},
	{".", false},
	{"a..example", false},
	{"a.example.", false}, /* its dot is taken off before */
	{"-a.example", false},
	{"a-.example", false},
	{"*.example", false},
	{"A.example", false}, /* its case is folded before */
	{"b\xc3\xbc"
	 "cher.example",
		false},
	{"a b.example", false},
	{"evil\nacl all src all", false},
	{"a.example\"", false},
	{"a.example#", false},
	{"192.0.2.1", false},
	{"2001:db8::1", false},
	{"[2001:db8::1]", false},
	{"192.0.2.0x1", false},
	{"3221225985", false},
	{"a.example:443", false},
};

static void
test_host_names(void)
{
	char label[65], name[300];

	for (size_t i = 0; i < PSI_COUNT(hosts); i++) {
		size_t len = strlen(hosts[i].host);
		uint8_t *h = exact(hosts[i].host, len);
		bool ok = !psi_report_host_fault((struct psi_report_text){(char *)h, len});

		if (ok != hosts[i].ok)
			printf("\n%s\n", hosts[i].host);
		CU_ASSERT_EQUAL(ok, hosts[i].ok);
		free(h);
	}
	CU_ASSERT(psi_report_host_fault((struct psi_report_text){"a\0b", 3}) != NULL);
	memset(label, 'a', sizeof(label));
	CU_ASSERT(psi_report_host_fault((struct psi_report_text){label, 63}) == NULL);
	CU_ASSERT(psi_report_host_fault((struct psi_report_text){label, 64}) != NULL);
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 50 == 49 ? '.' : 'a';
	CU_ASSERT(psi_report_host_fault((struct psi_report_text){name, 253}) == NULL);
	CU_ASSERT(psi_report_host_fault((struct psi_report_text){name, 254}) != NULL);
}

static char listed[4096], refused[4096];

static void
on_refused(void *ctx, const char *host, const char *why)
{
	(void)ctx;
	strcat(strcat(refused, host), "\n");
}

static int
list(struct psi_report *r, enum psi_report_form form)
{
	struct psi_report_exempt x = {.form = form, .min_confidence = 0.8, .refused = on_refused};
	FILE *out = fmemopen(listed, sizeof(listed), "w");
	int n = psi_report_exempt_list(out, r, &x);

	fclose(out);
	return n;
}

/* Pinned and sure: listed, whoever explains it. Names that are none, and none that nobody asked for: not. */
static void
test_exempt(void)
{
	struct psi_report *r = opened(NULL);
	struct psi_report_event e = flow("c.example", 3, PSI_CLASS_PINNED, 10);

	take(r, finding("host_pinned_for_client", "b.example", 1, 0.8, 10));
	take(r, finding("host_pinned_for_client", "a.example", 1, 0.9, 10));
	take(r, finding("host_pinned_for_client", "unsure.example", 1, 0.79, 10));
	take(r, finding("host_pinned_for_client", "evil\nacl all src all", 1, 0.9, 10));
	take(r, finding("host_pinned_for_client", "*.example", 1, 0.9, 10));
	take(r, finding("host_pinned_for_client", "none", 1, 0.9, 10));
	take(r, finding("host_certificate_bad", "bad.example", 0, 0.9, 10));
	take(r, flow("suspected.example", 3, PSI_CLASS_CLIENT_REJECTED, 10));
	e.confidence = 0.95; /* the operator's own pins say so */
	e.pinset = T("app");
	take(r, e);
	CU_ASSERT_EQUAL(psi_report_finish(r), 0);
	refused[0] = '\0';
	CU_ASSERT_EQUAL(list(r, PSI_REPORT_FORM_SQUID), 3);
	CU_ASSERT(strstr(listed, "\na.example\n") != NULL);
	CU_ASSERT(strstr(listed, "\nb.example\n") > strstr(listed, "\na.example\n"));
	CU_ASSERT(strstr(listed, "\nc.example\n") != NULL);
	CU_ASSERT(strstr(listed, "src all") == NULL);
	CU_ASSERT_STRING_EQUAL(refused, "*.example\nevil\\x0Aacl all src all\nnone\n");
	CU_ASSERT_EQUAL(list(r, PSI_REPORT_FORM_PLAIN), 4); /* none is a name elsewhere */
	CU_ASSERT_EQUAL(
		list(r, PSI_REPORT_FORM_SSLSPLIT), 1); /* the only one whose server was seen */
	CU_ASSERT(strstr(listed, "192.0.2.200 comment \"c.example\"") != NULL);
	psi_report_close(r);
}

static CU_TestInfo tests[] = {
	{"a finding takes its flows, others are suspected", test_finding_takes_its_flows},
	{"the newest word of a finding stands", test_newest_word_stands},
	{"findings about clients, unknown findings", test_client_finding},
	{"every class of finding has a section", test_every_class_has_a_section},
	{"every flow is in a row or a counter", test_nothing_vanishes},
	{"most clients first", test_order},
	{"tables are bounded", test_bounds},
	{"names are bounded", test_names_bound},
	{"filters", test_filters},
	{"least confidence", test_min_confidence},
	{"bins of time widen and shift", test_times},
	{"host names", test_host_names},
	{"the list of hosts to exempt", test_exempt},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "report", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
