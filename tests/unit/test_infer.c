/* SPDX-License-Identifier: BSD-3-Clause */
/* Expected values are worked out by hand from RFC 8446 (lengths: content + 1 + tag) and docs/vocabulary.md. Each rule
 * stands beside its near misses: the same connection with one condition turned round. */
#include "psi_unit.h"

#include "psi_tls.h"
#include "tls_script.h"

#include <stdio.h>

#define GCM128	 0x1301 /* tag 16, hash 32: alert 19, Finished 53 */
#define GCM256	 0x1302 /* tag 16, hash 48: alert 19, Finished 69 */
#define CCM8	 0x1305 /* tag 8, hash 32: alert 11, Finished 45 */
#define TLS12	 0x0303
#define TLS13	 0x0304
#define FULL_GCM 0xc02f

#define VALID_INIT (PSI_FLAG_VALID | PSI_FLAG_INITIALIZED)

/* Messages beside the flight, for short rows. */
#define CERT13 PSI_MSG_SERVER_CERTIFICATE
#define FIN    (PSI_MSG_CLIENT_FINISHED | PSI_MSG_SERVER_FINISHED)
#define CDATA  PSI_MSG_APP_DATA_FROM_CLIENT
#define SDATA  PSI_MSG_APP_DATA_FROM_SERVER
#define CALERT PSI_MSG_CLIENT_ALERT
#define SALERT PSI_MSG_SERVER_ALERT
#define MTLS   (PSI_MSG_CLIENT_CERTIFICATE | PSI_MSG_CERTIFICATE_VERIFY)
#define MTLS0  (PSI_MSG_CLIENT_CERTIFICATE | PSI_MSG_CERTIFICATE_REQUEST)

#define E(sym) PSI_EVID_##sym
#define F(sym) PSI_FLAG_##sym

struct row {
	const char *line;
	uint16_t cipher;
	uint32_t note;
	uint32_t inferred;
	uint64_t flags;	   /* beside VALID and INITIALIZED */
	uint64_t evidence; /* all of it */
};

static void
check(const struct row *r, uint16_t version, uint32_t flight)
{
	/* Before 1.3 a Finished is told by its record's type and place: seen, not inferred (F1). */
	uint32_t seen = version < TLS13 ? r->inferred & FIN : 0, inferred = r->inferred & ~seen;

	for (int8_t side = 0; side < 2; side++) {
		struct psi_tls_facts f;
		struct script s;
		bool ok;

		script_run(&s, side, version, r->cipher, flight, r->note, r->line);
		psi_tls_conclude(&s.t, &s.end, &f);
		ok = f.inferred == inferred && f.flags == (r->flags | VALID_INIT) &&
		     f.evidence == r->evidence && (f.messages & r->inferred) == r->inferred;
		CU_ASSERT(ok);
		if (!ok)
			printf("\n  %s (side %d): inferred %x not %x, flags %llx not %llx, "
			       "evidence %llx not %llx\n",
				r->line, side, f.inferred, inferred, (unsigned long long)f.flags,
				(unsigned long long)(r->flags | VALID_INIT),
				(unsigned long long)f.evidence, (unsigned long long)r->evidence);
	}
}

#define CHECK_ALL(rows, version, flight)             \
	for (size_t i = 0; i < PSI_COUNT(rows); i++) \
	check(&rows[i], version, flight)

/* ---- TLS 1.3 ---- */

static void
test_13_alert_instead_of_finished(void)
{
	const uint64_t hidden = E(cert_inferred) | E(client_alert_hidden) | E(client_fin);
	const struct row rows[] = {
		{"S1200 C19 CF SF", GCM128, 0, CERT13 | CALERT, F(ALERT_SEEN), hidden},
		{"S1200 C35 CF SF", GCM128, 0, CERT13 | CALERT, F(ALERT_SEEN), hidden}, /* JSSE */
		{"S1200 C19 CF SF", GCM256, 0, CERT13 | CALERT, F(ALERT_SEEN), hidden},
		{"S1200 C11 CF SF", CCM8, 0, CERT13 | CALERT, F(ALERT_SEEN), hidden},
		{"Sk S1200 Ck C19 CF SF", GCM128, 0, CERT13 | CALERT, F(ALERT_SEEN), hidden},
		{"S1200 C19 C19 CF", GCM128, 0, CERT13 | CALERT, F(ALERT_SEEN), hidden},
		/* 20 bytes, or 19 under the suite with the short tag, hold no alert, no Finished and no certificate. */
		{"S1200 C20 CF SF", GCM128, 0, CERT13, 0, E(cert_inferred) | E(client_fin)},
		{"S1200 C19 CF SF", CCM8, 0, CERT13, 0, E(cert_inferred) | E(client_fin)},
		{"S1200 C11 CF SF", GCM128, 0, CERT13, 0, E(cert_inferred) | E(client_fin)},
		/* No server flight: nothing can have been refused. */
		{"C19 CF SF", GCM128, 0, 0, 0, E(no_inference) | E(client_fin)},
		/* The server alerted in place of its flight. */
		{"S19 CF", GCM128, 0, SALERT, F(ALERT_SEEN),
			E(no_inference) | E(client_fin) | E(server_first) | E(server_alert)},
		/* A resumed session: the alert is certain, but not about a certificate. */
		{"S100 C19 CF", GCM128, PSI_TLS_PSK_ACCEPTED, CALERT, F(ALERT_SEEN),
			E(no_inference) | E(resumed) | E(client_alert_hidden) | E(client_fin)},
		/* A hole: places mean nothing. */
		{"S1200 C19 CF SF", GCM128, PSI_TLS_GAP, 0, 0,
			E(no_inference) | E(gap) | E(client_fin)},
	};

	CHECK_ALL(rows, TLS13, FLIGHT13);
}

static void
test_13_finished_then_nothing(void)
{
	const uint64_t done = E(cert_inferred) | E(client_finished) | E(server_finished);
	const struct row rows[] = {
		{"S1200 C53 CF", GCM128, 0, CERT13 | FIN, 0, done | E(client_fin)},
		{"S1200 C69 CR", GCM256, 0, CERT13 | FIN, 0, done | E(client_rst)},
		{"S1200 C69 CR", GCM128, 0, CERT13 | FIN, 0, done | E(client_rst)}, /* JSSE */
		{"S1200 C85 CR", GCM256, 0, CERT13 | FIN, 0, done | E(client_rst)}, /* JSSE */
		{"S1200 C45 CR", CCM8, 0, CERT13 | FIN, 0, done | E(client_rst)},
		/* 53 under SHA-384 is shorter than any Finished. */
		{"S1200 C53 CR", GCM256, 0, CERT13, 0, E(cert_inferred) | E(client_rst)},
		/* Tickets behind it are no data. */
		{"S1200 C53 S250 S250 CR", GCM128, 0, CERT13 | FIN, 0, done | E(client_rst)},
		/* A record longer than any ticket is. */
		{"S1200 C53 S8000 CR", GCM128, 0, CERT13 | FIN | SDATA, F(APP_DATA_S2C),
			done | E(server_data) | E(client_rst)},
		/* As long, but part of the flight. */
		{"S1200 S8000 C53 CR", GCM128, 0, CERT13 | FIN, 0, done | E(client_rst)},
	};

	CHECK_ALL(rows, TLS13, FLIGHT13);
}

static void
test_13_goodbye(void)
{
	const uint64_t done = E(cert_inferred) | E(client_finished) | E(server_finished);
	const uint64_t bye = done | E(client_close_notify) | E(client_fin);
	const struct row rows[] = {
		{"S1200 C53 C19 CF", GCM128, 0, CERT13 | FIN | CALERT, 0, bye},
		{"S1200 C69 C35 C35 CF", GCM128, 0, CERT13 | FIN | CALERT, 0, bye}, /* JSSE */
		{"S1200 C53 S250 C19 CF", GCM128, 0, CERT13 | FIN | CALERT, 0, bye},
		{"S1200 C53 C19 S19 CF", GCM128, 0, CERT13 | FIN | CALERT | SALERT, 0, bye},
		/* Not ended: the record may be two bytes of data as well as an alert. */
		{"S1200 C53 C19", GCM128, 0, CERT13 | FIN, 0, done},
		/* One byte longer, or one record more: data. */
		{"S1200 C53 C20 CF", GCM128, 0, CERT13 | FIN | CDATA, F(APP_DATA_C2S),
			done | E(client_data) | E(client_fin)},
		{"S1200 C53 C19 C19 C19 CF", GCM128, 0, CERT13 | FIN | CDATA, F(APP_DATA_C2S),
			done | E(client_data) | E(client_fin)},
		{"S1200 C53 C100 C19 CF", GCM128, 0, CERT13 | FIN | CDATA, F(APP_DATA_C2S),
			done | E(client_data) | E(client_fin)},
		/* A client that did not pad its Finished pads no alert: 16 bytes more are a request of 18 bytes. */
		{"S1200 C53 C35 CF", GCM128, 0, CERT13 | FIN | CDATA, F(APP_DATA_C2S),
			done | E(client_data) | E(client_fin)},
		{"S1200 C69 C35 CF", GCM256, 0, CERT13 | FIN | CDATA, F(APP_DATA_C2S),
			done | E(client_data) | E(client_fin)},
		/* The server said it first. */
		{"S1200 C53 S19 SF CF", GCM128, 0, CERT13 | FIN | SALERT, 0,
			done | E(client_fin) | E(server_first)},
	};

	CHECK_ALL(rows, TLS13, FLIGHT13);
}

static void
test_13_data(void)
{
	const uint64_t done = E(cert_inferred) | E(client_finished) | E(server_finished);
	const uint64_t both = done | E(client_data) | E(server_data);
	const struct row rows[] = {
		{"S1200 C53 S250 S250 C200 S500 C19 CF", GCM128, 0, CERT13 | FIN | CDATA | SDATA,
			F(APP_DATA_C2S) | F(APP_DATA_S2C), both | E(client_fin)},
		/* The tickets came before the request: no answer was seen. */
		{"S1200 C53 S250 S250 C200 CF", GCM128, 0, CERT13 | FIN | CDATA, F(APP_DATA_C2S),
			done | E(client_data) | E(client_fin)},
		/* The answer is a goodbye only. */
		{"S1200 C53 C200 S19 CF", GCM128, 0, CERT13 | FIN | CDATA | SALERT, F(APP_DATA_C2S),
			done | E(client_data) | E(client_fin) | E(server_first)},
		/* More records than the lists hold. */
		{"S50 S900 S300 S53 C53 S250 S250 C200 S300 S300 S9000 S9000 CF", GCM128, 0,
			CERT13 | FIN | CDATA | SDATA, F(APP_DATA_C2S) | F(APP_DATA_S2C),
			both | E(client_fin)},
		{"S50 S60 S900 S300 S53 S54 C53 S250 S250 C200 S19 CF", GCM128, 0,
			CERT13 | FIN | CDATA, F(APP_DATA_C2S),
			done | E(client_data) | E(client_fin)},
		{"S50 S60 S900 S300 S53 S54 C53 S250 S250 C200 S500 CF", GCM128, 0,
			CERT13 | FIN | CDATA | SDATA, F(APP_DATA_C2S) | F(APP_DATA_S2C),
			both | E(client_fin)},
	};

	CHECK_ALL(rows, TLS13, FLIGHT13);
}

static void
test_13_client_certificate(void)
{
	const uint64_t done = E(cert_inferred) | E(client_finished) | E(server_finished);
	const uint64_t asked = done | E(client_cert_asked), sent = asked | E(client_cert_sent);
	const struct row rows[] = {
		/* Certificate, CertificateVerify (RSA-2048: 8 + 256 + 17), Finished in records of their own. */
		{"S1500 C900 C281 C53 C19 CF", GCM128, 0, CERT13 | FIN | MTLS | CALERT, 0,
			sent | E(client_close_notify) | E(client_fin)},
		{"S1500 C900 C281 C53 C200 CF", GCM128, 0, CERT13 | FIN | MTLS | CDATA,
			F(APP_DATA_C2S), sent | E(client_data) | E(client_fin)},
		/* All in one record. */
		{"S1500 C1200 CF", GCM128, 0, CERT13 | FIN | MTLS, 0, sent | E(client_fin)},
		{"S1500 C1200 C19 CF", GCM128, 0, CERT13 | FIN | CALERT, 0,
			done | E(client_close_notify) | E(client_fin)},
		{"S1500 C1200 C300 CF", GCM128, 0, CERT13 | FIN | MTLS | CDATA, F(APP_DATA_C2S),
			sent | E(client_data) | E(client_fin)},
		/* Asked for, and none given: 8 + 17, padded 41; with Finished in the same record 8 + 36 + 17. */
		{"S1500 C25 C53 CF", GCM128, 0, CERT13 | FIN | MTLS0, 0, asked | E(client_fin)},
		{"S1500 C41 C69 CF", GCM128, 0, CERT13 | FIN | MTLS0, 0, asked | E(client_fin)},
		{"S1500 C61 CF", GCM128, 0, CERT13 | FIN | MTLS0, 0, asked | E(client_fin)},
		{"S1500 C77 CF", GCM256, 0, CERT13 | FIN | MTLS0, 0, asked | E(client_fin)},
		{"S1500 C17 C45 CF", CCM8, 0, CERT13 | FIN | MTLS0, 0, asked | E(client_fin)},
		/* The server refuses it: an alert behind the client's Finished. */
		{"S1500 C25 C53 S19 SF CF", GCM128, 0, CERT13 | FIN | MTLS0 | SALERT, F(ALERT_SEEN),
			asked | E(server_alert) | E(server_alert_cert) | E(server_first) |
				E(client_fin)},
		{"S1500 C900 C281 C53 S19 SF CF", GCM128, 0, CERT13 | FIN | MTLS | SALERT,
			F(ALERT_SEEN),
			sent | E(server_alert) | E(server_alert_cert) | E(server_first) |
				E(client_fin)},
		/* It sent its request in the meantime: behind data no alert counts as an error in the flags. */
		{"S1500 C25 C53 C200 S19 SF CF", GCM128, 0, CERT13 | FIN | MTLS0 | CDATA | SALERT,
			F(APP_DATA_C2S),
			asked | E(client_data) | E(server_alert) | E(server_alert_cert) |
				E(server_first) | E(client_fin)},
		/* The same alert when the client had already gone. */
		{"S1500 C900 C281 C53 CF S19 SF", GCM128, 0, CERT13 | FIN | MTLS | SALERT,
			F(ALERT_SEEN), sent | E(client_fin)},
	};

	CHECK_ALL(rows, TLS13, FLIGHT13);
}

static void
test_13_early_data(void)
{
	const uint64_t done = E(client_finished) | E(server_finished);
	struct script s;
	struct psi_tls_facts f;
	const struct row rows[] = {
		/* Accepted: data, EndOfEarlyData (4 + 17), Finished. */
		{"C300 S100 C21 C53 CF", GCM128, PSI_TLS_EARLY_DATA | PSI_TLS_PSK_ACCEPTED,
			FIN | CDATA, F(APP_DATA_C2S),
			done | E(no_inference) | E(resumed) | E(client_data) | E(client_fin)},
		{"S100 C21 C53 CF", GCM128, PSI_TLS_EARLY_DATA | PSI_TLS_PSK_ACCEPTED, FIN, 0,
			done | E(no_inference) | E(resumed) | E(client_fin)},
		/* A PSK without early data, then data. */
		{"S100 C53 C200 S300 CF", GCM128, PSI_TLS_PSK_ACCEPTED, FIN | CDATA | SDATA,
			F(APP_DATA_C2S) | F(APP_DATA_S2C),
			done | E(no_inference) | E(resumed) | E(client_data) | E(server_data) |
				E(client_fin)},
	};

	CHECK_ALL(rows, TLS13, FLIGHT13);
	/* Refused: what came before the ServerHello does not count. */
	script_run(&s, 0, TLS13, GCM128, FLIGHT13, PSI_TLS_EARLY_DATA, "C300 C300 S1200 C19 CF");
	s.t.side[0].enc_at_sh = 2;
	psi_tls_conclude(&s.t, &s.end, &f);
	CU_ASSERT_EQUAL(f.inferred, CERT13 | CALERT);
	CU_ASSERT_EQUAL(f.evidence, E(cert_inferred) | E(client_alert_hidden) | E(client_fin));
	/* None was offered: a capture that puts the client's records before the ServerHello. */
	script_run(&s, 0, TLS13, GCM128, FLIGHT13, 0, "C53 C99 S1200 S300 CF");
	s.t.side[0].enc_at_sh = 2;
	psi_tls_conclude(&s.t, &s.end, &f);
	CU_ASSERT_EQUAL(f.inferred, CERT13 | FIN | CDATA | SDATA);
}

static void
test_13_clear_alert(void)
{
	const struct row rows[] = {
		{"S1200 C!48 CF", GCM128, 0, CERT13,
			F(ALERT_SEEN) | F(CLIENT_ALERT_SEEN_UNKNOWN_CA),
			E(cert_inferred) | E(client_alert) | E(client_fin)},
		{"S1200 C!42 CR", GCM128, 0, CERT13,
			F(ALERT_SEEN) | F(CLIENT_ALERT_SEEN_BAD_CERTIFICATE),
			E(cert_inferred) | E(client_alert) | E(client_rst)},
		{"S1200 C!45 CF", GCM128, 0, CERT13, F(ALERT_SEEN),
			E(cert_inferred) | E(client_alert) | E(client_fin)},
		/* Warning or fatal is all one under TLS 1.3. */
		{"S1200 C?46 CF", GCM128, 0, CERT13,
			F(ALERT_SEEN) | F(CLIENT_ALERT_SEEN_CERTIFICATE_UNKNOWN),
			E(cert_inferred) | E(client_alert) | E(client_fin)},
		{"S1200 C?90 C?0 CF", GCM128, 0, CERT13, 0,
			E(cert_inferred) | E(client_silent_end) | E(client_fin)},
		/* The server's afterthought, sealed, when the client has gone. */
		{"S1200 C!48 CF S19 SF", GCM128, 0, CERT13 | SALERT,
			F(ALERT_SEEN) | F(CLIENT_ALERT_SEEN_UNKNOWN_CA),
			E(cert_inferred) | E(client_alert) | E(client_fin)},
	};

	CHECK_ALL(rows, TLS13, FLIGHT13);
}

static void
test_13_silent_end(void)
{
	const struct row rows[] = {
		{"S1200 CF SF", GCM128, 0, CERT13, 0,
			E(cert_inferred) | E(client_silent_end) | E(client_fin)},
		{"Sk S1200 Ck CR", GCM128, 0, CERT13, 0,
			E(cert_inferred) | E(client_silent_end) | E(client_rst)},
		{"S1200 SF CF", GCM128, 0, CERT13, 0,
			E(cert_inferred) | E(client_silent_end) | E(client_fin) | E(server_first)},
		{"S1200 SF", GCM128, 0, CERT13, 0, E(cert_inferred) | E(server_first)},
		{"S1200", GCM128, 0, CERT13, 0, E(cert_inferred)},
		{"CF SF", GCM128, 0, 0, 0, E(no_inference) | E(client_fin)},
		{"S100 CF", GCM128, PSI_TLS_PSK_ACCEPTED, 0, 0,
			E(no_inference) | E(resumed) | E(client_fin)},
	};

	CHECK_ALL(rows, TLS13, FLIGHT13);
}

static void
test_13_lengths_name_one_row(void)
{
	/* {tag, hash} of every suite in tls13_suites.def; no two kinds may share a length, padded or not. */
	static const int suites[][2] = {
#define SUITE13(id, tag, hash) {tag, hash},
#include "tls13_suites.def"
#undef SUITE13
	};

	for (size_t i = 0; i < PSI_COUNT(suites); i++) {
		const int HASH = suites[i][1];
		const int len[] = {
#define REC13(sym, content, text) (content), (content) + 16,
#include "tls13_records.def"
#undef REC13
		};

		for (size_t a = 0; a < PSI_COUNT(len); a++)
			for (size_t b = a + 1; b < PSI_COUNT(len); b++)
				CU_ASSERT_NOT_EQUAL(len[a], len[b]);
	}
}

/* ---- TLS 1.2 and before ---- */

static void
test_12_clear_alert(void)
{
	const uint64_t sent = E(cert_sent);
	const struct row rows[] = {
		{"C!48 CF", FULL_GCM, 0, 0, F(ALERT_SEEN) | F(CLIENT_ALERT_SEEN_UNKNOWN_CA),
			sent | E(client_alert) | E(client_fin)},
		{"C!42 CR", FULL_GCM, 0, 0, F(ALERT_SEEN) | F(CLIENT_ALERT_SEEN_BAD_CERTIFICATE),
			sent | E(client_alert) | E(client_rst)},
		{"C!46 CF", FULL_GCM, 0, 0,
			F(ALERT_SEEN) | F(CLIENT_ALERT_SEEN_CERTIFICATE_UNKNOWN),
			sent | E(client_alert) | E(client_fin)},
		{"C!51 CF", FULL_GCM, 0, 0, F(ALERT_SEEN), sent | E(client_alert) | E(client_fin)},
		/* The three flags are the client's alone: from the server 48 speaks of the client's certificate. */
		{"S!48 SF CF", FULL_GCM, 0, 0, F(ALERT_SEEN),
			sent | E(server_alert) | E(server_alert_cert) | E(server_first) |
				E(client_fin) | E(client_silent_end)},
		{"S!40 SF CF", FULL_GCM, 0, 0, F(ALERT_SEEN),
			sent | E(server_alert) | E(server_first) | E(client_fin) |
				E(client_silent_end)},
		/* A goodbye in clear is none of them. */
		{"C?0 CF", FULL_GCM, 0, 0, 0, sent | E(client_silent_end) | E(client_fin)},
		{"C?90 CF", FULL_GCM, 0, 0, 0, sent | E(client_silent_end) | E(client_fin)},
		/* The server's alert when the client has gone is no evidence, though it was seen. */
		{"CF S!50 SF", FULL_GCM, 0, 0, F(ALERT_SEEN),
			sent | E(client_silent_end) | E(client_fin)},
		/* A warning that the handshake went on after. */
		{"S?112 Cx Ck Ch40 Sk Sh40 CR", FULL_GCM, 0, FIN, F(ALERT_SEEN),
			sent | E(client_finished) | E(server_finished) | E(client_rst)},
	};

	CHECK_ALL(rows, TLS12, FLIGHT12);
}

static void
test_12_server_alert_about_client_certificate(void)
{
	const uint64_t base = E(cert_sent) | E(client_cert_asked) | E(server_alert) |
			      E(server_first) | E(client_fin);
	const uint32_t asked = FLIGHT12 | PSI_MSG_CERTIFICATE_REQUEST;
	const struct row given[] = {
		{"S!51 SF CF", FULL_GCM, 0, 0, F(ALERT_SEEN),
			base | E(client_cert_sent) | E(server_alert_cert)},
		{"S!40 SF CF", FULL_GCM, 0, 0, F(ALERT_SEEN), base | E(client_cert_sent)},
		{"S!40 SF CF", FULL_GCM, PSI_TLS_CLIENT_CERT_EMPTY, 0, F(ALERT_SEEN),
			base | E(server_alert_cert)},
		{"S!51 SF CF", FULL_GCM, PSI_TLS_CLIENT_CERT_EMPTY, 0, F(ALERT_SEEN), base},
		{"S!116 SF CF", FULL_GCM, PSI_TLS_CLIENT_CERT_EMPTY, 0, F(ALERT_SEEN),
			base | E(server_alert_cert)},
		{"S!50 SF CF", FULL_GCM, 0, 0, F(ALERT_SEEN), base | E(client_cert_sent)},
	};

	CHECK_ALL(given, TLS12, asked | PSI_MSG_CLIENT_CERTIFICATE);
}

static void
test_12_finished(void)
{
	const uint64_t sent = E(cert_sent), done = sent | E(client_finished) | E(server_finished);
	const struct row rows[] = {
		{"Cx Ck Ch40 Sk Sh40 CR", FULL_GCM, 0, FIN, 0, done | E(client_rst)},
		{"Cx Ck Ch40 CR", FULL_GCM, 0, PSI_MSG_CLIENT_FINISHED, 0,
			sent | E(client_finished) | E(client_rst)},
		{"Cx Ck CR", FULL_GCM, 0, 0, 0, sent | E(client_rst)},
		{"Cx Ck Ch40 Sk Sh40 Cd100 Sd500 CF", FULL_GCM, 0, FIN,
			F(APP_DATA_C2S) | F(APP_DATA_S2C),
			done | E(client_data) | E(server_data) | E(client_fin)},
	};

	CHECK_ALL(rows, TLS12, FLIGHT12);
}

static void
test_12_encrypted_alert(void)
{
	const uint64_t done = E(cert_sent) | E(client_finished) | E(server_finished);
	const struct row rows[] = {
		/* Answered in kind: a goodbye. */
		{"Cx Ck Ch40 Sk Sh40 Ca26 Sa26 CF", FULL_GCM, 0, FIN, 0,
			done | E(client_close_notify) | E(client_fin)},
		/* Not answered, or by another length: it may be a refusal. */
		{"Cx Ck Ch40 Sk Sh40 Ca26 CF", FULL_GCM, 0, FIN, F(ALERT_SEEN),
			done | E(client_alert_hidden) | E(client_fin)},
		{"Cx Ck Ch40 Sk Sh40 Ca26 Sa48 CF", FULL_GCM, 0, FIN, F(ALERT_SEEN),
			done | E(client_alert_hidden) | E(client_fin)},
		/* Before the server's Finished: no goodbye even if answered. */
		{"Cx Ck Ch40 Ca26 Sk Sh40 Sa26 CF", FULL_GCM, 0, FIN, F(ALERT_SEEN),
			done | E(client_alert_hidden) | E(client_fin)},
		/* After data: no error. */
		{"Cx Ck Ch40 Sk Sh40 Cd99 Ca26 CF", FULL_GCM, 0, FIN, F(APP_DATA_C2S),
			done | E(client_data) | E(client_fin)},
		/* The server's goodbye first, the client's answer. */
		{"Cx Ck Ch40 Sk Sh40 Sa26 Ca26 CF", FULL_GCM, 0, FIN, 0,
			done | E(client_close_notify) | E(client_fin) | E(server_first)},
	};

	CHECK_ALL(rows, TLS12, FLIGHT12);
}

static void
test_12_silent_end(void)
{
	const struct row whole[] = {
		{"CF SF", FULL_GCM, 0, 0, 0, E(cert_sent) | E(client_silent_end) | E(client_fin)},
		{"Cx CF SF", FULL_GCM, 0, 0, 0, E(cert_sent) | E(client_fin)},
		{"Ck CF SF", FULL_GCM, 0, 0, 0, E(cert_sent) | E(client_fin)},
		{"SF CF", FULL_GCM, 0, 0, 0,
			E(cert_sent) | E(client_silent_end) | E(client_fin) | E(server_first)},
	};
	const struct row cut = {"CF SF", FULL_GCM, 0, 0, 0, E(cert_sent) | E(client_fin)};
	const struct row none = {"CF SF", FULL_GCM, 0, 0, 0, E(client_fin)};

	CHECK_ALL(whole, TLS12, FLIGHT12);
	check(&cut, TLS12, FLIGHT12 & ~PSI_MSG_SERVER_HELLO_DONE);
	check(&none, TLS12, FLIGHT12 & ~PSI_MSG_SERVER_CERTIFICATE);
}

/* ---- what comes out ---- */

static void
test_alerts_are_marked(void)
{
	struct psi_tls_facts f;
	struct script s;

	script_run(&s, 0, TLS13, GCM128, FLIGHT13, 0, "S1200 C53 C19 S19 CF");
	psi_tls_conclude(&s.t, &s.end, &f);
	CU_ASSERT_EQUAL(f.alert_cnt, 2);
	CU_ASSERT_EQUAL(f.alert[0].dir, PSI_C2S);
	CU_ASSERT_EQUAL(f.alert[0].len, 19);
	CU_ASSERT_EQUAL(f.alert[0].code, 0);
	CU_ASSERT_EQUAL(f.alert[0].flags, PSI_TLS_ALERT_ENCRYPTED | PSI_TLS_ALERT_INFERRED |
						  PSI_TLS_ALERT_AFTER_FINISHED |
						  PSI_TLS_ALERT_CLOSING);
	CU_ASSERT_EQUAL(f.alert[1].dir, PSI_S2C);

	/* An encrypted alert of type 21 was seen, not inferred. */
	script_run(&s, 0, TLS12, FULL_GCM, FLIGHT12, 0, "Cx Ck Ch40 Ca26 CF");
	psi_tls_conclude(&s.t, &s.end, &f);
	CU_ASSERT_EQUAL(f.alert_cnt, 1);
	CU_ASSERT_EQUAL(f.alert[0].flags, PSI_TLS_ALERT_ENCRYPTED);
	CU_ASSERT_EQUAL(f.inferred, 0);
	CU_ASSERT(f.messages & PSI_MSG_CLIENT_FINISHED);
}

/* Payload is the length in the header less 17, one byte of type and the tag. */
static void
test_app_bytes(void)
{
	static const struct {
		uint16_t version;
		const char *line;
		uint64_t c2s, s2c;
	} row[] = {
		{TLS13, "S1200 C53 S250 C117 S517 C19 CF", 100 + 2, 500},
		{TLS13, "S1200 C53 S250 S250 CF", 0, 0},
		{TLS13, "S1200 C53 C19 CF", 0, 0},
		/* Two of the client's and two of the server's stand behind the eight that are listed. */
		{TLS13, "S1200 C53 C117 C117 C117 C117 C117 C117 C117 C217 C317 S37 S37 S37 S37 S37 S37 S37 S417 S517",
			7 * 100 + 200 + 300, 7 * 20 + 400 + 500},
		{TLS12, "Cx Ck Ch40 Sk Sh40 Cd99 Sd500 Sd12 Ca26 CF", 99, 512},
	};

	for (size_t i = 0; i < PSI_COUNT(row); i++) {
		struct psi_tls_facts f;
		struct script s;

		script_run(&s, 0, row[i].version, GCM128,
			row[i].version == TLS13 ? FLIGHT13 : FLIGHT12, 0, row[i].line);
		psi_tls_conclude(&s.t, &s.end, &f);
		CU_ASSERT_EQUAL(f.app_bytes[PSI_C2S], row[i].c2s);
		CU_ASSERT_EQUAL(f.app_bytes[PSI_S2C], row[i].s2c);
	}
}

static void
test_without_end(void)
{
	struct psi_tls_facts f;
	struct script s;

	script_run(&s, 1, TLS13, GCM128, FLIGHT13, 0, "S1200 C19");
	psi_tls_conclude(&s.t, NULL, &f);
	CU_ASSERT_EQUAL(f.evidence, E(cert_inferred) | E(client_alert_hidden));
	CU_ASSERT_EQUAL(f.flags, VALID_INIT | F(ALERT_SEEN));
}

static void
test_nothing_seen(void)
{
	struct psi_tls t = {.client = -1};
	struct psi_tls_facts f;

	psi_tls_conclude(&t, NULL, &f);
	CU_ASSERT_EQUAL(f.flags, PSI_FLAG_INITIALIZED);
	CU_ASSERT_EQUAL(f.evidence, 0);
	CU_ASSERT_EQUAL(f.messages, 0);
	CU_ASSERT_EQUAL(f.alert_cnt, 0);
}

/* More alerts than are kept, on a side with more records than are kept. */
static void
test_full_lists(void)
{
	struct psi_tls_facts f;
	struct script s;

	script_run(&s, 0, TLS13, GCM128, FLIGHT13, 0,
		"S?112 S?112 S?112 S?112 S?112 S?112 S?112 S1200 C53 C19 CF");
	s.t.alert[s.t.alert_cnt++] = s.t.alert[0];
	psi_tls_conclude(&s.t, &s.end, &f);
	CU_ASSERT_EQUAL(f.alert_cnt, PSI_TLS_ALERT_MAX);
	CU_ASSERT(f.evidence & E(client_close_notify));
}

/* More than 100 ms and ten handshakes (E1). The handshake below takes 6 ms, so 100 ms decide; with a start 30 ms earlier
 * it takes 36 ms, and 360 decide. */
static void
test_late_end(void)
{
	static const struct {
		uint64_t earlier_ms, end_ms;
		bool late;
	} row[] = {{0, 100, false}, {0, 101, true}, {30, 101, false}, {30, 360, false},
		{30, 361, true}};

	for (size_t i = 0; i < PSI_COUNT(row); i++)
		for (int dir = 0; dir < PSI_DIR_CNT; dir++) {
			struct psi_tls_facts f;
			struct script s;

			script_run(&s, 0, TLS12, FULL_GCM, FLIGHT12, 0, "Cx Ck Ch40 Sk Sh40 CF SF");
			CU_ASSERT_EQUAL(s.t.last_hs_ns - s.t.first_ns, 6 * MS);
			s.t.first_ns -= row[i].earlier_ms * MS;
			s.end.end_ns[dir] = s.t.last_hs_ns + row[i].end_ms * MS;
			s.end.end_ns[!dir] = s.t.last_hs_ns + 1000 * MS;
			psi_tls_conclude(&s.t, &s.end, &f);
			CU_ASSERT_EQUAL(!!(f.evidence & E(late_end)), row[i].late);
		}
}

static void
test_early_end(void)
{
	const uint64_t done = E(cert_sent) | E(client_finished) | E(server_finished);
	const struct row rows[] = {
		{"Cx Ck Ch40 CF Sk Sh40", FULL_GCM, 0, FIN, 0, done | E(client_fin) | E(early_end)},
		{"Cx Ck Ch40 Sk CR Sh40", FULL_GCM, 0, FIN, 0, done | E(client_rst) | E(early_end)},
		{"Cx Ck Ch40 Sk Sh40 CF", FULL_GCM, 0, FIN, 0, done | E(client_fin)},
		{"Cx Ck Ch40 SF Sk Sh40", FULL_GCM, 0, FIN, 0, done | E(server_first)},
	};

	CHECK_ALL(rows, TLS12, FLIGHT12);
}

/* What the parser keeps of the last record, which inference needs beside the lists. */
static void
test_last_record(void)
{
	static const uint8_t alert[] = {21, 3, 3, 0, 4, 1, 2, 3, 4}, ccs[] = {20, 3, 3, 0, 1, 1};
	struct psi_tls *t = malloc(sizeof(*t));
	uint32_t skip;

	psi_tls_init(t);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(psi_tls_push(t, 0, alert, sizeof(alert), 5 * MS, NULL, NULL, &skip),
			PSI_OK);
	CU_ASSERT_EQUAL(
		psi_tls_push(t, 1, alert, sizeof(alert), 6 * MS, NULL, NULL, &skip), PSI_OK);
	CU_ASSERT_EQUAL(psi_tls_push(t, 1, ccs, sizeof(ccs), 7 * MS, NULL, NULL, &skip), PSI_OK);
	CU_ASSERT_EQUAL(t->side[0].last_enc_len, 4);
	CU_ASSERT_EQUAL(t->side[0].last_enc_peer, 0);
	CU_ASSERT_EQUAL(t->side[0].last_ns, 5 * MS);
	CU_ASSERT_EQUAL(t->side[1].last_enc_peer, 2);
	CU_ASSERT_EQUAL(t->side[1].last_ns, 7 * MS);
	free(t);
}

static CU_TestInfo tests[] = {
	{"1.3: alert in place of Finished", test_13_alert_instead_of_finished},
	{"1.3: Finished, then nothing", test_13_finished_then_nothing},
	{"1.3: Finished, then goodbye", test_13_goodbye},
	{"1.3: application data", test_13_data},
	{"1.3: client certificate", test_13_client_certificate},
	{"1.3: early data and PSK", test_13_early_data},
	{"1.3: clear alert", test_13_clear_alert},
	{"1.3: silent end", test_13_silent_end},
	{"1.3: a length names one row", test_13_lengths_name_one_row},
	{"1.2: clear alert", test_12_clear_alert},
	{"1.2: server alert about a client certificate",
		test_12_server_alert_about_client_certificate},
	{"1.2: Finished", test_12_finished},
	{"1.2: encrypted alert", test_12_encrypted_alert},
	{"1.2: silent end", test_12_silent_end},
	{"alerts are marked", test_alerts_are_marked},
	{"bytes of data", test_app_bytes},
	{"no end", test_without_end},
	{"nothing seen", test_nothing_seen},
	{"full lists", test_full_lists},
	{"late end", test_late_end},
	{"early end", test_early_end},
	{"the last record", test_last_record},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "infer", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
