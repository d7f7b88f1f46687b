/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows of all kinds in any order -> the population. What must hold whatever came in: every number is one, none is below
 * 0, tables stay within their bounds; a verdict keeps a class, a confidence of 0 to 1 and a printable reason; a finding has
 * a subject, is told as changed only when it did, and is taken back only when it stood.
 * Input: a byte (bit 0 small tables), then steps of 12 bytes: client, stack, host, issuer, how (evidence bits), alert, class,
 * certificate status, records, minutes since the last flow, how long it took, weight. */
#include "population_pvt.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

#define STEP 12

static void
is_reason(const char *reason, size_t max)
{
	MUST(memchr(reason, 0, max));
	for (const char *c = reason; *c; c++)
		MUST(isprint((unsigned char)*c));
}

static void
on_finding(void *ctx, const struct psi_finding *f)
{
	++*(uint32_t *)ctx;
	MUST(f->class > PSI_FINDING_NONE && f->class < PSI_FINDING_CNT &&
		psi_finding_name(f->class));
	MUST(psi_finding_kind_name(f->kind));
	MUST(f->confidence >= 0 && f->confidence <= 1);
	MUST(f->sni_len || f->client || (f->kind == PSI_SUBJECT_ISSUER && f->issuer_len));
	MUST(f->sni_len < PSI_FINDING_NAME_MAX && f->ja4_len <= PSI_FINDING_JA4_MAX &&
		f->issuer_len <= PSI_FINDING_ISSUER_MAX);
	MUST(f->seen == f->failed + f->ok && f->first_ns <= f->last_ns);
	is_reason(f->reason, sizeof(f->reason));
	MUST(f->reason[0]);
}

static bool
is_count(float f)
{
	return isfinite(f) && f >= 0;
}

static void
check_tables(const struct psi_population *p)
{
	struct psi_population_count n;

	psi_population_count(p, &n);
	MUST(n.rows <= p->line_cnt * WAYS && n.cases <= p->case_line_cnt * WAYS);
	MUST(n.accepted + n.refused + n.idle >= n.retries);
	for (uint32_t i = 0; i < p->line_cnt * WAYS; i++) {
		const struct row *r = &p->row[i];

		MUST(is_count(r->own.ok) && is_count(r->own.ref));
		MUST(is_count(r->tries_ok) && is_count(r->tries_ref));
		if (!(r->key & KEY_OTHER))
			continue;
		MUST(is_count(r->other.ok) && is_count(r->other.ref));
		for (int v = 0; v < VOTE_CNT; v++)
			MUST(is_count(r->vote[v]));
	}
}

static void
step(struct psi_population *p, const uint8_t *b, uint64_t *now)
{
	static const uint64_t evidence[8] = {PSI_EVID_cert_sent, PSI_EVID_client_finished,
		PSI_EVID_server_finished, PSI_EVID_client_data, PSI_EVID_server_data,
		PSI_EVID_client_fin, PSI_EVID_client_close_notify, PSI_EVID_resumed};
	static const char *const issuer[] = {"", "CN=Proxy", "CN=Public", ""};
	struct psi_rec *r = calloc(1, PSI_REC_MAX);
	uint8_t spki[32] = {0};
	struct psi_verdict v = {.class = (enum psi_class)(1 + b[6] % (PSI_CLASS_CNT - 1)),
		.confidence = 0.5f,
		.reason = "as it was"};
	struct psi_pop_flow f = {.rec = r,
		.cert_status = b[7],
		.name_mismatch = b[7] & 1,
		.cert_cnt = b[7] >> 6,
		.weight = (float)(b[11] & 3)};
	char name[16] = "hN.dN.example";

	if (!r)
		return;
	psi_rec_begin(r);
	*now += (uint64_t)b[9] * 60000000000ull / 16;
	r->end_ns = *now;
	r->start_ns = *now - (uint64_t)b[10] * 100000000ull;
	r->kind = PSI_REC_HANDSHAKE | PSI_REC_END;
	r->ipv4 = b[0] & 1;
	r->addr[PSI_C2S][15] = b[0] & 15;
	r->version = b[3] & 3 ? 0x0303 : 0x0304;
	r->cipher = 0x1301;
	for (int i = 0; i < 8; i++)
		r->evidence |= b[4] >> i & 1 ? evidence[i] : 0;
	r->alert_cnt = b[5] ? 1 : 0;
	r->alert[0] = (struct psi_rec_alert){.dir = b[5] >> 7, .code = b[5] & 127};
	r->enc_cnt[PSI_S2C] = b[8] % 10;
	for (int i = 0; i < PSI_REC_RECORD_MAX; i++)
		r->enc_len[PSI_S2C][i] = i == 3 ? 53 : (uint16_t)(b[8] * 16 + i);
	if (b[2] & 64) {
		name[1] = (char)('a' + (b[2] & 7));
		name[4] = (char)('a' + (b[2] >> 3 & 3));
		psi_rec_put(r, PSI_VAR_SNI, name, (b[2] & 128) ? 2 : 13);
	}
	if (b[1] & 64)
		psi_rec_put(r, PSI_VAR_JA4, b, 1 + (b[1] & 1));
	f.issuer = issuer[b[3] & 3];
	f.issuer_len = (uint32_t)strlen(f.issuer);
	spki[0] = b[3] >> 2;
	f.spki = f.issuer_len ? spki : NULL;
	if (b[11] & 128)
		psi_population_used(p, &f);
	psi_population_flow(p, &f, &v);
	MUST(v.class > PSI_CLASS_NONE && v.class < PSI_CLASS_CNT);
	MUST(v.confidence >= 0 && v.confidence <= 1);
	is_reason(v.reason, sizeof(v.reason));
	free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct psi_population_config cfg;
	struct psi_population *p;
	struct psi_err err;
	uint64_t now = 1700000000ull * 1000000000ull;
	uint32_t told = 0, steps = 0;

	if (!size)
		return 0;
	psi_population_defaults(&cfg);
	cfg.row_max = data[0] & 1 ? 1 : 4096;
	cfg.case_max = data[0] & 1 ? 1 : 256;
	cfg.finding = on_finding;
	cfg.ctx = &told;
	p = psi_population_open(&cfg, &err);
	MUST(p);
	for (data++, size--; size >= STEP; data += STEP, size -= STEP, steps++)
		step(p, data, &now);
	check_tables(p);
	psi_population_flush(p);
	psi_population_tick(p, now + 1000ull * 86400 * 1000000000);
	for (int i = 0; i < 8; i++)
		psi_population_tick(p, now);
	check_tables(p);
	/* each flow, and the end, tells of its pair and what is wider; then all is taken back */
	MUST(told <= 6 * (steps + 1) + 2 * p->case_line_cnt * WAYS);
	psi_population_close(p);
	return 0;
}
