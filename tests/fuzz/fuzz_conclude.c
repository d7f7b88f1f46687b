/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of both sides -> parser -> conclusions, fingerprints and verdict. What must hold whatever came in: nothing is
 * inferred that is not among the messages, no end is seen where there was none, no single flow is called pinned, the
 * reason is printable and ends.
 * Input: one byte of ends (bits 0, 1 FIN and 2, 3 RST of each side), then chunks: a byte (bit 0 the side, bit 1 a gap
 * instead of bytes), a length byte, the bytes. */
#include "psi_tls_fp.h"
#include "psi_verdict.h"

#include <ctype.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

static void
feed(struct psi_tls *t, const uint8_t *p, size_t n)
{
	uint64_t now = 1000000;
	uint32_t skip;

	while (n >= 2) {
		uint32_t len = (uint32_t)PSI_MIN((size_t)p[1], n - 2);
		uint8_t *copy = malloc(len ? len : 1);

		now += 1000000;
		if (p[0] & 2) {
			psi_tls_gap(t, p[0] & 1, p[1], now, NULL, NULL, &skip);
			len = 0;
		} else if (copy && len) {
			memcpy(copy, p + 2, len);
			psi_tls_push(t, p[0] & 1, copy, len, now, NULL, NULL, &skip);
		}
		free(copy);
		p += 2 + len;
		n -= 2 + len;
	}
}

static void
judge(const struct psi_tls *t, const struct psi_tls_facts *f)
{
	struct psi_rec *r = calloc(1, sizeof(*r));
	struct psi_verdict v;

	if (!r)
		return;
	r->pkts[0] = r->pkts[1] = 1;
	r->flags = f->flags;
	r->messages = f->messages;
	r->evidence = f->evidence;
	r->note = t->note;
	r->version = t->version;
	r->alert_cnt = f->alert_cnt;
	for (unsigned int i = 0; i < f->alert_cnt; i++)
		r->alert[i] = (struct psi_rec_alert){.dir = f->alert[i].dir,
			.code = f->alert[i].code,
			.encrypted = (f->alert[i].flags & PSI_TLS_ALERT_ENCRYPTED) != 0,
			.closing = (f->alert[i].flags & PSI_TLS_ALERT_CLOSING) != 0};
	for (uint32_t status = 0; status < 0x200; status += 0x3f) {
		struct psi_verdict_known k = {
			.cert_status = status, .pin = status / 0x3f % PSI_PIN_CNT};

		psi_verdict_flow(r, &k, &v);
		MUST(v.class > PSI_CLASS_NONE && v.class < PSI_CLASS_CNT);
		MUST(v.class != PSI_CLASS_PINNED ||
			v.evidence & (PSI_EVID_pinset_mismatch | PSI_EVID_pinset_not_visible));
		MUST(v.confidence > 0 && v.confidence <= 1);
		MUST((v.evidence & r->evidence) == r->evidence);
		MUST(memchr(v.reason, 0, sizeof(v.reason)) && v.reason[0]);
		for (const char *c = v.reason; *c; c++)
			MUST(isprint((unsigned char)*c));
	}
	free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct psi_tls *t = malloc(sizeof(*t));
	struct psi_tls_end end = {0};
	struct psi_tls_facts f;
	char str[PSI_JA3_STR_MAX], md5[33], ja4[PSI_JA4_MAX];

	if (!t || !size) {
		free(t);
		return 0;
	}
	psi_tls_init(t);
	feed(t, data + 1, size - 1);
	psi_tls_conclude(t, NULL, &f);
	MUST(!(f.evidence &
		(PSI_EVID_client_fin | PSI_EVID_client_rst | PSI_EVID_client_silent_end |
			PSI_EVID_late_end | PSI_EVID_early_end)));
	for (int d = 0; d < PSI_DIR_CNT; d++) {
		end.fin[d] = data[0] >> d & 1;
		end.rst[d] = data[0] >> (2 + d) & 1;
		end.end_ns[d] = end.fin[d] || end.rst[d] ? (uint64_t)data[0] << 20 : 0;
	}
	psi_tls_conclude(t, &end, &f);
	MUST((f.inferred & ~f.messages) == 0);
	MUST(f.alert_cnt <= PSI_TLS_ALERT_MAX);
	judge(t, &f);
	if (psi_tls_ja3(t, str, md5) == PSI_OK)
		MUST(strlen(md5) == 32);
	if (psi_tls_ja3s(t, str, md5) == PSI_OK)
		MUST(strlen(md5) == 32);
	if (psi_tls_ja4(t, ja4) == PSI_OK)
		MUST(strlen(ja4) == 36);
	free(t);
	return 0;
}
