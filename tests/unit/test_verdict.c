/* SPDX-License-Identifier: BSD-3-Clause */
/* Expected classes and patterns: docs/vocabulary.md, section on verdict patterns, applied by hand to connections that
 * are written as lines (tls_script.h). Each pattern stands beside its near misses. */
#include "psi_unit.h"

#include "psi_verdict.h"
#include "tls_script.h"

#include <stdio.h>

#define GCM128	 0x1301
#define TLS12	 0x0303
#define TLS13	 0x0304
#define FULL_GCM 0xc02f

#define P(sym)	 PSI_EVID_pattern_##sym
#define PATTERNS (P(a) | P(b) | P(a_hidden) | P(a_silent) | P(b2))

#define DONE12 "Cx Ck Ch40 Sk Sh40 "

/* record_of does what a worker does with the facts of a connection that is over. */
static void
record_of(struct psi_rec *r, const struct script *s)
{
	struct psi_tls_facts f;

	psi_tls_conclude(&s->t, &s->end, &f);
	memset(r, 0, sizeof(*r));
	r->kind = PSI_REC_HANDSHAKE | PSI_REC_END;
	r->start_ns = s->start_ns;
	r->end_ns = s->now_ns;
	r->pkts[0] = r->pkts[1] = 5;
	r->tcp.hs_ns = s->t.last_hs_ns;
	for (int d = 0; d < PSI_DIR_CNT; d++)
		r->app_bytes[d] = s->t.side[d].app_bytes;
	r->tcp.first_fin = s->fin_ns ? 1 + s->first_fin : 0;
	r->tcp.first_rst = s->rst_ns ? 1 + s->first_rst : 0;
	r->flags = f.flags;
	r->messages = f.messages;
	r->inferred = f.inferred;
	r->evidence = f.evidence;
	r->note = s->t.note;
	r->version = s->t.version;
	r->cipher = s->t.cipher;
	r->alert_cnt = f.alert_cnt;
	for (int i = 0; i < f.alert_cnt; i++)
		r->alert[i] = (struct psi_rec_alert){.len = f.alert[i].len,
			.dir = f.alert[i].dir,
			.level = f.alert[i].level,
			.code = f.alert[i].code,
			.encrypted = !!(f.alert[i].flags & PSI_TLS_ALERT_ENCRYPTED),
			.inferred = !!(f.alert[i].flags & PSI_TLS_ALERT_INFERRED),
			.closing = !!(f.alert[i].flags & PSI_TLS_ALERT_CLOSING)};
}

struct row {
	const char *line;
	uint64_t pattern;
	enum psi_class class;
	uint32_t note;
};

static const struct psi_verdict_known nothing_known;

static void
judge_known(const struct row *row, uint16_t version, uint32_t flight,
	const struct psi_verdict_known *known, struct psi_verdict *v)
{
	struct psi_rec *r = malloc(sizeof(*r));
	struct script s;

	script_run(
		&s, 0, version, version == TLS13 ? GCM128 : FULL_GCM, flight, row->note, row->line);
	record_of(r, &s);
	psi_verdict_flow(r, known, v);
	free(r);
}

static void
judge(const struct row *row, uint16_t version, uint32_t flight, uint32_t status,
	struct psi_verdict *v)
{
	judge_known(row, version, flight, &(struct psi_verdict_known){.cert_status = status}, v);
}

static void
check(const struct row *row, uint16_t version, uint32_t flight, uint32_t status)
{
	struct psi_verdict v;
	bool ok;

	judge(row, version, flight, status, &v);
	ok = v.class == row->class && (v.evidence & PATTERNS) == row->pattern;
	CU_ASSERT(ok);
	if (!ok)
		printf("\n  %s: %s, patterns %llx, expected %s, %llx (%s)\n", row->line,
			psi_class_name(v.class), (unsigned long long)(v.evidence & PATTERNS),
			psi_class_name(row->class), (unsigned long long)row->pattern, v.reason);
	CU_ASSERT(v.confidence > 0 && v.confidence <= 1);
	CU_ASSERT(strlen(v.reason) > 20 && strlen(v.reason) < sizeof(v.reason) - 1);
	CU_ASSERT_PTR_NULL(strchr(v.reason, '%'));
	CU_ASSERT_NOT_EQUAL(v.class, PSI_CLASS_PINNED); /* never from one flow by itself */
}

#define CHECK_ALL(rows, version, flight, status)     \
	for (size_t i = 0; i < PSI_COUNT(rows); i++) \
	check(&rows[i], version, flight, status)

static void
test_a_12(void)
{
	static const struct row rows[] = {
		{"C!48 CF", P(a), PSI_CLASS_UNKNOWN_CA},
		{"C!48 CR", P(a), PSI_CLASS_UNKNOWN_CA},
		{"C!42 CF", P(a), PSI_CLASS_BAD_CERTIFICATE},
		{"C!43 CF", P(a), PSI_CLASS_CERTIFICATE_UNSUPPORTED},
		{"C!44 CF", P(a), PSI_CLASS_CERTIFICATE_REVOKED},
		{"C!45 CF", P(a), PSI_CLASS_CERTIFICATE_EXPIRED},
		{"C!46 CF", P(a), PSI_CLASS_CERTIFICATE_UNKNOWN},
		{"C!49 CF", P(a), PSI_CLASS_CLIENT_REJECTED},
		{"C!51 CF", P(a), PSI_CLASS_CLIENT_REJECTED},
		{"C!113 CF", P(a), PSI_CLASS_CLIENT_REJECTED},
		{"C!48 CF S!50 SF", P(a), PSI_CLASS_UNKNOWN_CA}, /* the server's afterthought */
		/* No code of a certificate. */
		{"C!47 CF", P(a), PSI_CLASS_HANDSHAKE_FAILURE},
		{"C!50 CF", P(a), PSI_CLASS_HANDSHAKE_FAILURE},
		/* What OpenSSL sends when a callback of the application refuses. */
		{"C!80 CF", P(a), PSI_CLASS_CLIENT_REJECTED},
		{"C!40 CF", P(a), PSI_CLASS_CLIENT_REJECTED},
		{"C!40", 0, PSI_CLASS_HANDSHAKE_FAILURE},
		/* The client did not end. */
		{"C!48", 0, PSI_CLASS_UNKNOWN_CA},
		{"C!48 SF", 0, PSI_CLASS_UNKNOWN_CA},
		/* Packets are missing. */
		{"C!48 CF", 0, PSI_CLASS_UNKNOWN_CA, PSI_TLS_GAP},
		/* Data one way, both ways. */
		{"Cd99 C!48 CF", 0, PSI_CLASS_ABORTED},
		{DONE12 "Cd99 Sd99 C!48 CF", 0, PSI_CLASS_NORMAL},
	};
	static const struct row no_cert = {"C!48 CF", 0, PSI_CLASS_HANDSHAKE_FAILURE};
	static const struct row no_done = {"C!48 CF", 0, PSI_CLASS_UNKNOWN_CA};

	CHECK_ALL(rows, TLS12, FLIGHT12, 0);
	check(&no_cert, TLS12, FLIGHT12 & ~PSI_MSG_SERVER_CERTIFICATE, 0);
	check(&no_done, TLS12, FLIGHT12 & ~PSI_MSG_SERVER_HELLO_DONE, 0);
	check(&rows[0], TLS12, FLIGHT12 & ~PSI_MSG_SERVER_KEY_EXCHANGE, 0); /* RSA key transport */
}

static void
test_a_13(void)
{
	static const struct row rows[] = {
		{"S1200 C!48 CF", P(a), PSI_CLASS_UNKNOWN_CA},
		{"S1200 C!42 CR", P(a), PSI_CLASS_BAD_CERTIFICATE},
		{"S1200 C!48 CF S19 SF", P(a), PSI_CLASS_UNKNOWN_CA},
		/* No server flight: no certificate. */
		{"C!48 CF", 0, PSI_CLASS_HANDSHAKE_FAILURE},
		{"S1200 C!48 CF", 0, PSI_CLASS_HANDSHAKE_FAILURE, PSI_TLS_PSK_ACCEPTED},
	};

	CHECK_ALL(rows, TLS13, FLIGHT13, 0);
}

static void
test_b_12(void)
{
	static const struct row rows[] = {
		{DONE12 "CR", P(b), PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "CF SF", P(b), PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "CF CR", P(b), PSI_CLASS_CLIENT_REJECTED},
		/* The server's Finished is missing, or the client's. */
		{"Cx Ck Ch40 Sk CR", 0, PSI_CLASS_ABORTED},
		{"Cx Ck Sk Sh40 CR", 0, PSI_CLASS_ABORTED},
		/* An abbreviated handshake: no ClientKeyExchange. */
		{"Ck Ch40 Sk Sh40 CR", 0, PSI_CLASS_NORMAL},
		{DONE12 "CR", 0, PSI_CLASS_NORMAL, PSI_TLS_RESUMED},
		/* Data in either direction. */
		{DONE12 "Cd99 CR", 0, PSI_CLASS_NORMAL},
		{DONE12 "Sd600 CR", 0, PSI_CLASS_NORMAL},
		{DONE12 "Cd99 Sd99 CR", 0, PSI_CLASS_NORMAL},
		/* The server ended first; nobody did. */
		{DONE12 "SF CF", 0, PSI_CLASS_NORMAL},
		{DONE12 "SR", 0, PSI_CLASS_NORMAL},
		{DONE12, 0, PSI_CLASS_NORMAL},
		/* The server's settings or banner and no request: refused, but not by the pattern. */
		{DONE12 "Sd75 CR", 0, PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "Sd75 Ca26 CF", 0, PSI_CLASS_CLIENT_REJECTED},
		{"Cx Ck Ch40 Sk Ca26 Sh40 Sd75 CR", 0, PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "Sd512 CR", 0, PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "Sd513 CR", 0, PSI_CLASS_NORMAL},
		{DONE12 "Sd75", 0, PSI_CLASS_NORMAL},
		{DONE12 "Sd75 SF CF", 0, PSI_CLASS_NORMAL},
		{DONE12 "Sd75 C. CF", 0, PSI_CLASS_NORMAL},
		{DONE12 "Sd75 CR", 0, PSI_CLASS_NORMAL, PSI_TLS_RESUMED},
		{DONE12 "Sd75 CR", 0, PSI_CLASS_INCOMPLETE, PSI_TLS_GAP},
		/* The client left while the server's Finished was on its way. */
		{"Cx Ck Ch40 CF Sk Sh40", 0, PSI_CLASS_ABORTED},
		/* Late: ten seconds idle. */
		{DONE12 "C. CF", 0, PSI_CLASS_NORMAL},
		{DONE12 "CR", 0, PSI_CLASS_INCOMPLETE, PSI_TLS_GAP},
	};

	CHECK_ALL(rows, TLS12, FLIGHT12, 0);
	check(&(struct row){DONE12 "CR", 0, PSI_CLASS_NORMAL}, TLS12,
		FLIGHT12 & ~PSI_MSG_SERVER_CERTIFICATE, 0);
}

static void
test_b_13(void)
{
	static const struct row rows[] = {
		{"S1200 C53 CR", P(b), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 C69 CF SF", P(b), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 C53 S250 S250 CR", P(b), PSI_CLASS_CLIENT_REJECTED}, /* tickets */
		{"S1200 C53 C100 CR", 0, PSI_CLASS_NORMAL},
		{"S1200 C53 C100 S500 CR", 0, PSI_CLASS_NORMAL},
		{"S1200 C53 SF CF", 0, PSI_CLASS_NORMAL},
		{"S1200 C53 C. CF", 0, PSI_CLASS_NORMAL},
		{"S1200 C53 CR", 0, PSI_CLASS_NORMAL, PSI_TLS_PSK_ACCEPTED},
		{"S1200 C53 CR", 0, PSI_CLASS_INCOMPLETE, PSI_TLS_GAP},
	};

	CHECK_ALL(rows, TLS13, FLIGHT13, 0);
}

static void
test_a_hidden(void)
{
	static const struct row v12[] = {
		{"Cx Ck Ch40 Ca26 CF", P(a_hidden), PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "Ca26 CF", P(a_hidden), PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "Ca26 SF CF", P(a_hidden), PSI_CLASS_CLIENT_REJECTED}, /* it just closes */
		{DONE12 "Ca26 Sa26 CF", P(b2), PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "Cd99 Ca26 CF", 0, PSI_CLASS_NORMAL},
		{DONE12 "C. Ca26 CF", 0, PSI_CLASS_NORMAL},
		{DONE12 "Ca26", 0, PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "Ca26 CF", 0, PSI_CLASS_HANDSHAKE_FAILURE, PSI_TLS_RESUMED},
		{DONE12 "Ca26 CF", 0, PSI_CLASS_INCOMPLETE, PSI_TLS_GAP},
	};
	static const struct row v13[] = {
		{"S1200 C19 CF", P(a_hidden), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 Ck C19 CR", P(a_hidden), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 C35 CF", P(a_hidden), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 C53 C19 CF", P(b2), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 C22 CF", 0, PSI_CLASS_ABORTED},
		{"C19 CF", 0, PSI_CLASS_ABORTED},
		{"S1200 C19 CF", 0, PSI_CLASS_HANDSHAKE_FAILURE, PSI_TLS_PSK_ACCEPTED},
		{"S1200 C19 CF", 0, PSI_CLASS_INCOMPLETE, PSI_TLS_GAP},
	};

	CHECK_ALL(v12, TLS12, FLIGHT12, 0);
	CHECK_ALL(v13, TLS13, FLIGHT13, 0);
}

static void
test_a_silent(void)
{
	static const struct row v12[] = {
		{"CF SF", P(a_silent), PSI_CLASS_CLIENT_REJECTED},
		{"CR", P(a_silent), PSI_CLASS_CLIENT_REJECTED},
		{"C?0 CF", P(a_silent), PSI_CLASS_CLIENT_REJECTED},
		{"CF S!50 SF", P(a_silent), PSI_CLASS_CLIENT_REJECTED},
		{"Cx CF", 0, PSI_CLASS_ABORTED},
		/* Not right behind the flight: Java's HttpClient takes its time. Nobody opens half a handshake in advance. */
		{"C. CF SF", P(a_silent), PSI_CLASS_CLIENT_REJECTED},
		{"CF", 0, PSI_CLASS_ABORTED, PSI_TLS_HEARTBEAT}, /* it did send something */
		{"SF CF", 0, PSI_CLASS_ABORTED},
		{"S!40 SF CF", 0, PSI_CLASS_HANDSHAKE_FAILURE},
		{"", 0, PSI_CLASS_INCOMPLETE},
		{"CF", 0, PSI_CLASS_INCOMPLETE, PSI_TLS_GAP},
	};
	static const struct row v13[] = {
		{"S1200 CF SF", P(a_silent), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 Ck CF", P(a_silent), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 SF CF", 0, PSI_CLASS_ABORTED},
		{"S1200 C. CF", P(a_silent), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 CF", 0, PSI_CLASS_ABORTED, PSI_TLS_PSK_ACCEPTED},
		{"CF", 0, PSI_CLASS_ABORTED},
	};

	CHECK_ALL(v12, TLS12, FLIGHT12, 0);
	check(&(struct row){"CF", 0, PSI_CLASS_ABORTED}, TLS12,
		FLIGHT12 & ~PSI_MSG_SERVER_HELLO_DONE, 0);
	CHECK_ALL(v13, TLS13, FLIGHT13, 0);
}

static void
test_b2(void)
{
	static const struct row v12[] = {
		{DONE12 "Ca26 Sa26 CF", P(b2), PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "Ca48 Sa48 CR", P(b2), PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "Sa26 Ca26 CF", 0, PSI_CLASS_NORMAL},
		{DONE12 "C. Ca26 Sa26 CF", 0, PSI_CLASS_NORMAL},
		{DONE12 "Ca26 Sa26 CF", 0, PSI_CLASS_NORMAL, PSI_TLS_RESUMED},
	};
	static const struct row v13[] = {
		{"S1200 C53 C19 CF", P(b2), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 C69 C35 C35 CF", P(b2), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 C53 C19 S19 CF", P(b2), PSI_CLASS_CLIENT_REJECTED},
		{"S1200 C53 C100 C19 CF", 0, PSI_CLASS_NORMAL},
		{"S1200 C53 S19 C19 CF", 0, PSI_CLASS_NORMAL},
		{"S1200 C53 C. C19 CF", 0, PSI_CLASS_NORMAL},
	};

	CHECK_ALL(v12, TLS12, FLIGHT12, 0);
	CHECK_ALL(v13, TLS13, FLIGHT13, 0);
}

static void
test_server_alerts(void)
{
	const uint32_t asked = FLIGHT12 | PSI_MSG_CERTIFICATE_REQUEST | PSI_MSG_CLIENT_CERTIFICATE;
	static const struct row hello[] = {
		{"S!40 SF CF", 0, PSI_CLASS_HANDSHAKE_FAILURE},
		{"S!70 SF CF", 0, PSI_CLASS_HANDSHAKE_FAILURE},
		{"S!112 SF", 0, PSI_CLASS_HANDSHAKE_FAILURE},
		{"S!120 SF", 0, PSI_CLASS_HANDSHAKE_FAILURE},
		{"SF CF", 0, PSI_CLASS_ABORTED},
		{"CF", 0, PSI_CLASS_ABORTED},
		{"CR S!40 SF", 0, PSI_CLASS_ABORTED},
		/* The server hung up without a word; what the client says to that is no reason. */
		{"SF C!50 CF", 0, PSI_CLASS_ABORTED},
		{"SR C!80 CF", 0, PSI_CLASS_ABORTED},
		{"C!50 CF SF", 0, PSI_CLASS_HANDSHAKE_FAILURE},
	};
	static const struct row cert[] = {
		{"Cx S!42 SF CF", 0, PSI_CLASS_CLIENT_CERTIFICATE},
		{"Cx S!45 SF CF", 0, PSI_CLASS_CLIENT_CERTIFICATE},
		{"Cx S!48 SF CF", 0, PSI_CLASS_CLIENT_CERTIFICATE},
		{"Cx S!40 SF CF", 0, PSI_CLASS_CLIENT_CERTIFICATE, PSI_TLS_CLIENT_CERT_EMPTY},
		{"Cx S!116 SF CF", 0, PSI_CLASS_CLIENT_CERTIFICATE, PSI_TLS_CLIENT_CERT_EMPTY},
		{"Cx S!40 SF CF", 0, PSI_CLASS_HANDSHAKE_FAILURE},
		/* The server's alert came first: the client's, behind it, only answers. */
		{"Cx Ck Ch40 S!40 Ca26 CF SF", 0, PSI_CLASS_CLIENT_CERTIFICATE,
			PSI_TLS_CLIENT_CERT_EMPTY},
		{"Cx Ck Ch40 S!42 Ca26 CF SF", 0, PSI_CLASS_CLIENT_CERTIFICATE},
		{"Cx SF CF", 0, PSI_CLASS_CLIENT_CERTIFICATE},
	};
	static const struct row v13[] = {
		{"S1200 C900 C281 C53 S19 SF CF", 0, PSI_CLASS_CLIENT_CERTIFICATE},
		{"S1200 C25 C53 C200 S19 SF CF", 0, PSI_CLASS_CLIENT_CERTIFICATE},
		{"S1200 C25 C53 C200 S500 S19 SF CF", 0,
			PSI_CLASS_NORMAL},			   /* it did get an answer */
		{"S1200 C53 C200 S19 SF CF", 0, PSI_CLASS_NORMAL}, /* nothing was asked of it */
		{"S19 SF CF", 0, PSI_CLASS_HANDSHAKE_FAILURE},
	};

	CHECK_ALL(hello, 0, PSI_MSG_CLIENT_HELLO, 0);
	CHECK_ALL(cert, TLS12, asked, 0);
	check(&(struct row){"Cx SF CF", 0, PSI_CLASS_ABORTED}, TLS12, FLIGHT12, 0);
	CHECK_ALL(v13, TLS13, FLIGHT13, 0);
}

/* The client is right: the fault of the certificate is the better guess where the client's own reason is hidden, and
 * changes nothing where the client names one. */
static void
test_certificate_at_fault(void)
{
	static const struct {
		uint32_t status;
		enum psi_class class;
		uint64_t evidence;
	} row[] = {
		{PSI_CERT_NOT_CHECKED, PSI_CLASS_CLIENT_REJECTED, 0},
		{PSI_CERT_VALID, PSI_CLASS_CLIENT_REJECTED, 0},
		{PSI_CERT_INVALID_ISSUER, PSI_CLASS_CLIENT_REJECTED, 0},
		{PSI_CERT_EXPIRED, PSI_CLASS_CERTIFICATE_EXPIRED, PSI_EVID_cert_expired},
		{PSI_CERT_EXPIRED | PSI_CERT_SELF_SIGNED, PSI_CLASS_CERTIFICATE_EXPIRED,
			PSI_EVID_cert_expired | PSI_EVID_cert_self_signed},
		{PSI_CERT_NOT_VALID_YET, PSI_CLASS_BAD_CERTIFICATE, PSI_EVID_cert_not_valid_yet},
		{PSI_CERT_INVALID_SIGNATURE, PSI_CLASS_BAD_CERTIFICATE,
			PSI_EVID_cert_bad_signature},
		{PSI_CERT_SELF_SIGNED, PSI_CLASS_UNKNOWN_CA, PSI_EVID_cert_self_signed},
		{PSI_CERT_REVOKED, PSI_CLASS_CERTIFICATE_REVOKED, 0},
	};
	const uint64_t all = PSI_EVID_cert_expired | PSI_EVID_cert_not_valid_yet |
			     PSI_EVID_cert_self_signed | PSI_EVID_cert_bad_signature;

	for (size_t i = 0; i < PSI_COUNT(row); i++) {
		struct row hidden = {"CF SF", P(a_silent), row[i].class};
		struct row clear = {"C!46 CF", P(a), PSI_CLASS_CERTIFICATE_UNKNOWN};
		struct row used = {DONE12 "Cd99 Sd99 CF", 0, PSI_CLASS_NORMAL};
		struct psi_verdict v;

		check(&hidden, TLS12, FLIGHT12, row[i].status);
		check(&clear, TLS12, FLIGHT12, row[i].status);
		check(&used, TLS12, FLIGHT12, row[i].status);
		judge(&hidden, TLS12, FLIGHT12, row[i].status, &v);
		CU_ASSERT_EQUAL(v.evidence & all, row[i].evidence);
	}
}

/* With the operator's pinset. Expected classes by hand: a mismatch turns a refusal that leaves its cause open into
 * `pinned`, a match leaves it as it was, and a cause that the client gave in clear stands. */
static void
test_pins(void)
{
#define PIN(sym) PSI_PIN_##sym
	static const struct {
		const char *line;
		uint16_t version;
		enum psi_pin pin;
		enum psi_class class;
		uint32_t status;
		uint32_t note;
	} t[] = {
		{"C!48 CF", TLS12, PIN(MISMATCH), PSI_CLASS_PINNED},
		{"C!42 CF", TLS12, PIN(MISMATCH), PSI_CLASS_PINNED},
		{"C!46 CF", TLS12, PIN(MISMATCH), PSI_CLASS_PINNED},
		{"C!80 CF", TLS12, PIN(MISMATCH), PSI_CLASS_PINNED},
		{"C!45 CF", TLS12, PIN(MISMATCH), PSI_CLASS_CERTIFICATE_EXPIRED},
		{"C!44 CF", TLS12, PIN(MISMATCH), PSI_CLASS_CERTIFICATE_REVOKED},
		{"C!43 CF", TLS12, PIN(MISMATCH), PSI_CLASS_CERTIFICATE_UNSUPPORTED},
		{"C!47 CF", TLS12, PIN(MISMATCH), PSI_CLASS_HANDSHAKE_FAILURE},
		{"Cx Ck Ch40 Ca26 CF", TLS12, PIN(MISMATCH), PSI_CLASS_PINNED},
		{"CF SF", TLS12, PIN(MISMATCH), PSI_CLASS_PINNED},
		{DONE12 "CR", TLS12, PIN(MISMATCH), PSI_CLASS_PINNED},
		{DONE12 "Sd75 CR", TLS12, PIN(MISMATCH), PSI_CLASS_PINNED},
		{DONE12 "CR", TLS12, PIN(MISMATCH), PSI_CLASS_PINNED, PSI_CERT_EXPIRED},
		/* Nobody refused anything, whatever the pins say. */
		{DONE12 "Cd99 Sd99 CR", TLS12, PIN(MISMATCH), PSI_CLASS_NORMAL},
		{DONE12 "C. CF", TLS12, PIN(MISMATCH), PSI_CLASS_NORMAL},
		{"Cx S!42 SF CF", TLS12, PIN(MISMATCH), PSI_CLASS_CLIENT_CERTIFICATE},
		{DONE12 "CR", TLS12, PIN(MISMATCH), PSI_CLASS_INCOMPLETE, 0, PSI_TLS_GAP},
		/* The genuine key. */
		{"C!48 CF", TLS12, PIN(MATCH), PSI_CLASS_UNKNOWN_CA},
		{DONE12 "CR", TLS12, PIN(MATCH), PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "CR", TLS12, PIN(BACKUP_MATCH), PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "CR", TLS12, PIN(MATCH), PSI_CLASS_CERTIFICATE_EXPIRED, PSI_CERT_EXPIRED},
		/* No certificate to compare. */
		{"S1200 C19 CF", TLS13, PIN(NOT_VISIBLE), PSI_CLASS_PINNED},
		{"S1200 C53 CR", TLS13, PIN(NOT_VISIBLE), PSI_CLASS_PINNED},
		{"S1200 CF SF", TLS13, PIN(NOT_VISIBLE), PSI_CLASS_PINNED},
		{"S1200 C!48 CF", TLS13, PIN(NOT_VISIBLE), PSI_CLASS_UNKNOWN_CA},
		{"S1200 C19 CF", TLS13, PIN(NOT_VISIBLE), PSI_CLASS_HANDSHAKE_FAILURE, 0,
			PSI_TLS_PSK_ACCEPTED},
		{"S1200 C53 C100 S500 CR", TLS13, PIN(NOT_VISIBLE), PSI_CLASS_NORMAL},
		/* A pinset out of date, or none. */
		{DONE12 "CR", TLS12, PIN(EXPIRED), PSI_CLASS_CLIENT_REJECTED},
		{DONE12 "CR", TLS12, PIN(NONE), PSI_CLASS_CLIENT_REJECTED},
	};

	for (size_t i = 0; i < PSI_COUNT(t); i++) {
		struct row row = {.line = t[i].line, .note = t[i].note};
		struct psi_verdict_known known = {.cert_status = t[i].status, .pin = t[i].pin};
		struct psi_verdict v, plain;

		judge_known(&row, t[i].version, t[i].version == TLS13 ? FLIGHT13 : FLIGHT12, &known,
			&v);
		known.pin = PIN(NONE);
		judge_known(&row, t[i].version, t[i].version == TLS13 ? FLIGHT13 : FLIGHT12, &known,
			&plain);
		CU_ASSERT_EQUAL(v.class, t[i].class);
		if (v.class != t[i].class)
			printf("\n  %s with %s: %s (%s)\n", t[i].line, psi_pin_name(t[i].pin),
				psi_class_name(v.class), v.reason);
		CU_ASSERT(v.confidence > 0 && v.confidence <= 1);
		CU_ASSERT(strlen(v.reason) > 20 && strlen(v.reason) < sizeof(v.reason) - 1);
		CU_ASSERT_PTR_NULL(strchr(v.reason, '%'));
		CU_ASSERT_EQUAL(v.evidence & PATTERNS, plain.evidence & PATTERNS);
		if (v.class != PSI_CLASS_PINNED)
			CU_ASSERT(v.class == plain.class && v.confidence == plain.confidence);
		CU_ASSERT_EQUAL(v.evidence & ~plain.evidence,
			t[i].pin == PIN(MATCH) ? PSI_EVID_pinset_match
			: t[i].pin == PIN(BACKUP_MATCH)
				? PSI_EVID_pinset_match | PSI_EVID_pinset_backup
			: t[i].pin == PIN(MISMATCH)    ? PSI_EVID_pinset_mismatch
			: t[i].pin == PIN(EXPIRED)     ? PSI_EVID_pinset_expired
			: t[i].pin == PIN(NOT_VISIBLE) ? PSI_EVID_pinset_not_visible
						       : 0);
	}
#undef PIN
}

static void
test_holes(void)
{
	struct psi_rec *r = malloc(sizeof(*r));
	struct psi_verdict v;
	struct script s;

	for (int i = 0; i < 7; i++) {
		script_run(&s, 0, TLS12, FULL_GCM, FLIGHT12, 0, DONE12 "CR");
		record_of(r, &s);
		switch (i) {
		case 0: r->pkts[PSI_S2C] = 0; break;
		case 1: r->evidence |= PSI_EVID_one_sided; break;
		case 2: r->tcp.gaps = 1; break;
		case 3: r->tcp.acked_hole = 1; break;
		case 4: r->err = PSI_E_FULL; break;
		case 5: r->note |= PSI_TLS_LOST_SYNC; break;
		case 6: r->messages &= ~PSI_MSG_CLIENT_HELLO; break;
		}
		psi_verdict_flow(r, &nothing_known, &v);
		CU_ASSERT_EQUAL(v.class, PSI_CLASS_INCOMPLETE);
		CU_ASSERT_EQUAL(!!(v.evidence & PSI_EVID_one_sided), i < 2);
		/* Data both ways settles it all the same. */
		r->evidence |= PSI_EVID_client_data | PSI_EVID_server_data;
		psi_verdict_flow(r, &nothing_known, &v);
		CU_ASSERT_EQUAL(v.class, PSI_CLASS_NORMAL);
	}
	free(r);
}

static void
test_cut_hello_is_no_hole(void)
{
	struct psi_rec *r = malloc(sizeof(*r));
	struct psi_verdict v;
	struct script s;

	script_run(&s, 0, TLS12, FULL_GCM, FLIGHT12, PSI_TLS_HELLO_CUT, "CF SF");
	record_of(r, &s);
	r->err = PSI_E_LIMIT;
	psi_verdict_flow(r, &nothing_known, &v);
	CU_ASSERT_EQUAL(v.class, PSI_CLASS_CLIENT_REJECTED);
	free(r);
}

static void
test_not_tls(void)
{
	struct psi_rec *r = calloc(1, sizeof(*r));
	struct psi_verdict v;

	psi_verdict_flow(r, &nothing_known, &v);
	CU_ASSERT_EQUAL(v.class, PSI_CLASS_NOT_TLS);
	check(&(struct row){"SF CF", 0, PSI_CLASS_HANDSHAKE_FAILURE, PSI_TLS_PEER_NOT_TLS}, 0,
		PSI_MSG_CLIENT_HELLO, 0);
	free(r);
}

static void
test_reason(void)
{
	struct psi_verdict v;

	judge(&(struct row){"C!48 CF"}, TLS12, FLIGHT12, PSI_CERT_SELF_SIGNED, &v);
	CU_ASSERT_STRING_EQUAL(v.reason,
		"The client refused the server's certificate with alert unknown_ca (48) and ended the "
		"connection: it does not know the CA, or it accepts only its own. The certificate "
		"is self-signed.");
	judge_known(&(struct row){DONE12 "Ca26 Sa26 CF"}, TLS12, FLIGHT12,
		&(struct psi_verdict_known){.pin = PSI_PIN_MATCH}, &v);
	CU_ASSERT_STRING_EQUAL(v.reason,
		"The client completed the handshake, then said goodbye at once without sending anything, "
		"as applications do that check the certificate themselves. The server's key is one of "
		"the host's pinset: pinning is not the cause.");
	judge(&(struct row){"S!40 SF CF"}, TLS12, FLIGHT12, 0, &v);
	CU_ASSERT_STRING_EQUAL(
		v.reason, "The server broke the handshake off with alert handshake_failure (40).");
	judge(&(struct row){"S!200 SF CF"}, TLS12, FLIGHT12, 0, &v);
	CU_ASSERT_STRING_EQUAL(
		v.reason, "The server broke the handshake off with alert of unknown code (200).");
	judge(&(struct row){"S19 SF CF"}, TLS13, FLIGHT13, 0, &v);
	CU_ASSERT_STRING_EQUAL(
		v.reason, "The server broke the handshake off with alert (encrypted).");
}

static CU_TestInfo tests[] = {
	{"A, TLS 1.2", test_a_12},
	{"A, TLS 1.3", test_a_13},
	{"B, TLS 1.2", test_b_12},
	{"B, TLS 1.3", test_b_13},
	{"A-hidden", test_a_hidden},
	{"A-silent", test_a_silent},
	{"B2", test_b2},
	{"server alerts", test_server_alerts},
	{"certificate at fault", test_certificate_at_fault},
	{"pins", test_pins},
	{"holes", test_holes},
	{"a cut hello is no hole", test_cut_hello_is_no_hole},
	{"not TLS", test_not_tls},
	{"reason", test_reason},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "verdict", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
