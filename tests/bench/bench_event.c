/* SPDX-License-Identifier: BSD-3-Clause */
/* What one tls_flow event of 56 fields costs to write, to check and to print as JSON, beside a baseline that copies as
 * many bytes as the event has. Nanoseconds an event, best of many rounds of a batch. */
#include "bench.h"
#include "psi_export.h"

#include <stdio.h>

#define BATCH  256
#define ROUNDS 200

static uint64_t mem[1024], copy[1024];
static char text[PSI_JSON_MAX];
static unsigned int fields;

static void
put_numbers(struct psi_event_w *w, uint64_t i)
{
	static const enum psi_field f[] = {
		PSI_F_FLOW_ID,
		PSI_F_SRC_PORT,
		PSI_F_DEST_PORT,
		PSI_F_FLOW_START,
		PSI_F_FLOW_END,
		PSI_F_TLS_VERSION,
		PSI_F_TLS_CIPHER,
		PSI_F_TLS_GROUP,
		PSI_F_TLS_RESUMED,
		PSI_F_TLS_ECH,
		PSI_F_TLS_SESSION_ID_C2S,
		PSI_F_TLS_SESSION_ID_S2C,
		PSI_F_TLS_NOTES,
		PSI_F_TLS_NOTBEFORE,
		PSI_F_TLS_NOTAFTER,
		PSI_F_TLS_CERT_STATUS,
		PSI_F_FLAGS,
		PSI_F_MESSAGES,
		PSI_F_INFERRED,
		PSI_F_TCP_RST_AFTER,
		PSI_F_TCP_SYN,
		PSI_F_TCP_RETRANS,
		PSI_F_TCP_OOO,
		PSI_F_TCP_GAPS,
		PSI_F_TCP_MIDSTREAM,
		PSI_F_BYTES_C2S,
		PSI_F_BYTES_S2C,
		PSI_F_PKTS_C2S,
		PSI_F_PKTS_S2C,
		PSI_F_APP_C2S,
		PSI_F_APP_S2C,
		PSI_F_EVIDENCE,
	};
	static const uint64_t v[] = {
		1,
		50000,
		443,
		1700000000000000000,
		1700000001000000000,
		0x303,
		0xc02f,
		29,
		0,
		0,
		32,
		32,
		0x4000,
		1690000000,
		1720000000,
		0x12,
		0x100000003,
		0x5ffa,
		0,
		1234,
		1,
		0,
		1,
		0,
		0,
		2345,
		6789,
		12,
		14,
		0,
		0,
		0x1447,
	};
	_Static_assert(PSI_COUNT(f) == PSI_COUNT(v), "a value each");

	for (size_t k = 0; k < PSI_COUNT(f); k++)
		psi_event_put_u64(w, f[k], v[k]);
	psi_event_put_u64(w, PSI_F_CLASS, PSI_CLASS_UNKNOWN_CA);
	psi_event_put_f64(w, PSI_F_CONFIDENCE, 0.9);
	fields = PSI_COUNT(f) + 2;
	(void)i;
}

static void
put_texts(struct psi_event_w *w)
{
	static const uint8_t ip[4] = {192, 0, 2, 1}, sha[32] = {1, 2, 3};
	static const uint16_t lens[] = {40, 1234, 281, 53};

	psi_event_put_bytes(w, PSI_F_SRC_IP, ip, 4);
	psi_event_put_bytes(w, PSI_F_DEST_IP, ip, 4);
	psi_event_put_str(w, PSI_F_PROTO, "TCP");
	psi_event_put_str(w, PSI_F_FLOW_REASON, "rst");
	psi_event_put_str(w, PSI_F_TLS_SNI, "app.backend.example.com");
	psi_event_put_str(w, PSI_F_TLS_ALPN, "h2");
	psi_event_put_str(w, PSI_F_TLS_CLIENT_ALPNS, "h2");
	psi_event_put_str(w, PSI_F_TLS_CLIENT_ALPNS, "http/1.1");
	psi_event_put_str(w, PSI_F_TLS_JA3, "cd08e31494f9531f560d64c695473da9");
	psi_event_put_str(w, PSI_F_TLS_JA3S, "f4febc55ea12b31ae17cfb7e614afda8");
	psi_event_put_str(w, PSI_F_TLS_JA4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	psi_event_put_str(w, PSI_F_TLS_SUBJECT, "CN=*.backend.example.com,O=Example Inc.,C=US");
	psi_event_put_str(w, PSI_F_TLS_ISSUERDN, "CN=Example Issuing CA 3,O=Example Trust,C=US");
	psi_event_put_bytes(w, PSI_F_TLS_FINGERPRINT, sha, 20);
	psi_event_put_str(w, PSI_F_TLS_SAN, "*.backend.example.com");
	psi_event_put_str(w, PSI_F_SEQUENCE, "CsxknL");
	psi_event_put_str(w, PSI_F_ERROR, "SUCCESS");
	psi_event_open(w, PSI_F_ALERTS);
	psi_event_put_str(w, PSI_F_ALERT_DIR, "c2s");
	psi_event_put_u64(w, PSI_F_ALERT_CODE, 48);
	psi_event_close(w);
	psi_event_put_u16s(w, PSI_F_RECORDS_C2S, lens, 1);
	psi_event_put_str(
		w, PSI_F_REASON, "The client answered the certificate with alert unknown_ca.");
	fields += 22;
}

static struct psi_event *
encode(uint64_t i)
{
	struct psi_event_w w;

	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_TLS_FLOW);
	put_numbers(&w, i);
	put_texts(&w);
	return psi_event_end(&w, i, 1700000000123456789);
}

enum what { COPY, ENCODE, CHECK, JSON };

static double
run(enum what what, struct psi_event *e)
{
	double best = 1e18;
	volatile uint64_t sink = 0;

	for (int r = 0; r < ROUNDS; r++) {
		double t = (seconds(CLOCK_MONOTONIC) * 1e9);

		for (uint64_t i = 0; i < BATCH; i++)
			switch (what) {
			case COPY:
				memcpy(copy, mem, e->len);
				__asm__ volatile("" ::: "memory");
				break;
			case ENCODE: sink += encode(i)->len; break;
			case CHECK: sink += (uint64_t)psi_event_check(e, e->len); break;
			case JSON: sink += (uint64_t)psi_json_event(e, text, sizeof(text)); break;
			}
		best = PSI_MIN(best, ((seconds(CLOCK_MONOTONIC) * 1e9) - t) / BATCH);
	}
	(void)sink;
	return best;
}

int
main(void)
{
	struct psi_event *e = encode(0);
	double base = run(COPY, e), w = run(ENCODE, e), c = run(CHECK, e), j = run(JSON, e);

	printf("event: %u fields, %u bytes, %d bytes of JSON; batches of %d\n", fields, e->len,
		psi_json_event(e, text, sizeof(text)), BATCH);
	printf("  copy (baseline)  %7.1f ns\n", base);
	printf("  write            %7.1f ns\n", w);
	printf("  check            %7.1f ns\n", c);
	printf("  print as JSON    %7.1f ns\n", j);
	return 0;
}
