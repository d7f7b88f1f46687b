/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenarios by hand: who did what to which host, and what a person who reads the list must conclude. Each expectation is
 * argued beside it. */
#include "psi_unit.h"

#include "population_pvt.h"

#include <math.h>
#include <stdio.h>

#define SEC 1000000000ull
#define T0  (1700000000 * SEC)

/* What a client did: 'k' got data; 'r' got data on a resumed session; '8' '2' '6' '5' a clear alert 48, 42, 46, 45;
 * 'h' an encrypted alert; 'g' a goodbye after the handshake; 'b' left after the handshake; 's' left in it. */
struct step {
	const char *client, *stack, *host;
	const char *issuer; /* NULL: TLS 1.3, where none shows */
	char did;
	uint32_t at_s; /* when it ended */
	uint32_t took_s;
	uint32_t cert_len; /* bytes of the one certificate sent in clear; 0: not said */
	uint16_t cert_rec; /* TLS 1.3: length of the Certificate record; 0: cannot be told */
	uint32_t cert_status;
	bool name_mismatch;
	bool goes_on; /* it has not ended: its first record of two */
	struct psi_pop_kept *kept;
};

struct told {
	char sni[64], client[16], ja4[40], issuer[64];
	enum psi_finding_kind kind;
	enum psi_finding_class class;
	float confidence;
	uint64_t failed, ok;
};

struct world {
	struct psi_population *p;
	struct told told[4096];
	uint32_t cnt;
};

static void
on_finding(void *ctx, const struct psi_finding *f)
{
	struct world *w = ctx;
	struct told *t = &w->told[w->cnt];

	CU_ASSERT_FATAL(w->cnt < PSI_COUNT(w->told));
	CU_ASSERT(f->confidence >= 0 && f->confidence <= 1);
	CU_ASSERT(strlen(f->reason) > 20 && strlen(f->reason) < sizeof(f->reason) - 1);
	memset(t, 0, sizeof(*t));
	if (f->sni_len)
		memcpy(t->sni, f->sni, PSI_MIN(f->sni_len, sizeof(t->sni) - 1));
	if (f->ja4_len)
		memcpy(t->ja4, f->ja4, PSI_MIN(f->ja4_len, sizeof(t->ja4) - 1));
	if (f->issuer_len)
		memcpy(t->issuer, f->issuer, PSI_MIN(f->issuer_len, sizeof(t->issuer) - 1));
	if (f->client)
		memcpy(t->client, f->client + 12, 4);
	t->kind = f->kind;
	t->class = f->class;
	t->confidence = f->confidence;
	t->failed = f->failed;
	t->ok = f->ok;
	w->cnt++;
}

static void
begin(struct world *w, void (*change)(struct psi_population_config *))
{
	struct psi_population_config cfg;
	struct psi_err err = {""};

	memset(w, 0, sizeof(*w));
	psi_population_defaults(&cfg);
	cfg.row_max = 1 << 16;
	cfg.case_max = 1 << 12;
	cfg.finding = on_finding;
	cfg.ctx = w;
	if (change)
		change(&cfg);
	w->p = psi_population_open(&cfg, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w->p);
}

static void
end(struct world *w)
{
	psi_population_close(w->p);
	w->p = NULL;
}

static void
say_did(struct psi_rec *r, char did, struct psi_verdict *v)
{
	const uint64_t done = PSI_EVID_client_finished | PSI_EVID_server_finished;
	uint8_t code = 0;

	v->class = PSI_CLASS_CLIENT_REJECTED;
	r->evidence |= PSI_EVID_client_fin;
	switch (did) {
	case 'r': r->evidence |= PSI_EVID_resumed; /* fall through */
	case 'k':
		r->evidence |= done | PSI_EVID_client_data | PSI_EVID_server_data;
		v->class = PSI_CLASS_NORMAL;
		break;
	case '8': code = 48; break;
	case '2': code = 42; break;
	case '6': code = 46; break;
	case '5': code = 45; break;
	case 'h': r->evidence |= PSI_EVID_client_alert_hidden; break;
	case 'g': r->evidence |= done | PSI_EVID_client_close_notify; break;
	case 'b': r->evidence |= done; break;
	case 'u':
		r->evidence |= done | PSI_EVID_client_data;
		v->class = PSI_CLASS_NORMAL;
		break;
	default: break;
	}
	if (!code)
		return;
	r->evidence |= PSI_EVID_client_alert;
	r->alert[r->alert_cnt++] =
		(struct psi_rec_alert){.dir = PSI_C2S, .level = 2, .code = code, .len = 2};
	v->class = psi_alert_class(code);
}

/* One flow; what the population makes of its verdict. */
static enum psi_class
flow(struct world *w, const struct step *s, struct psi_verdict *v)
{
	struct psi_rec *r = calloc(1, PSI_REC_MAX);
	struct psi_pop_flow f = {.rec = r,
		.cert_status = s->cert_status,
		.name_mismatch = s->name_mismatch,
		.kept = s->kept,
		.weight = 1};
	uint8_t spki[32] = {0};

	psi_rec_begin(r);
	r->kind = PSI_REC_HANDSHAKE | PSI_REC_END;
	r->ipv4 = 1;
	r->addr[PSI_C2S][10] = r->addr[PSI_C2S][11] = 0xff;
	memcpy(r->addr[PSI_C2S] + 12, s->client, PSI_MIN(strlen(s->client), (size_t)4));
	r->end_ns = T0 + s->at_s * SEC;
	r->start_ns = r->end_ns - s->took_s * SEC - SEC / 10;
	r->evidence = s->issuer ? PSI_EVID_cert_sent : PSI_EVID_cert_inferred;
	r->version = s->issuer ? 0x0303 : 0x0304;
	r->cipher = s->issuer ? 0xc02f : 0x1301;
	if (s->cert_rec) { /* EncryptedExtensions, Certificate, CertificateVerify (RSA-2048), Finished (SHA-256) */
		const uint16_t len[] = {27, s->cert_rec, 281, 53};

		r->enc_cnt[PSI_S2C] = 4;
		memcpy(r->enc_len[PSI_S2C], len, sizeof(len));
	}
	if (s->host[0])
		psi_rec_put(r, PSI_VAR_SNI, s->host, strlen(s->host));
	psi_rec_put(r, PSI_VAR_JA4, s->stack, strlen(s->stack));
	memset(v, 0, sizeof(*v));
	say_did(r, s->did, v);
	v->confidence = 0.7f;
	if (s->issuer) {
		snprintf((char *)spki, sizeof(spki), "%.14s|%.14s", s->host, s->issuer);
		f.spki = spki;
		f.cert_msg_len = s->cert_len ? 8 + 5 + s->cert_len : 0;
		f.issuer = s->issuer;
		f.issuer_len = (uint32_t)strlen(s->issuer);
	}
	if (s->goes_on)
		psi_population_used(w->p, &f);
	else
		psi_population_flow(w->p, &f, v);
	free(r);
	return v->class;
}

static enum psi_class
play(struct world *w, const struct step *s, size_t n)
{
	struct psi_verdict v;
	enum psi_class last = PSI_CLASS_NONE;

	for (size_t i = 0; i < n; i++)
		last = flow(w, &s[i], &v);
	return last;
}
#define PLAY(w, ...)                          \
	play(w, (struct step[]){__VA_ARGS__}, \
		sizeof((struct step[]){__VA_ARGS__}) / sizeof(struct step))

/* The newest word on a subject; NULL when nothing was said. Empty strings of the query match any. */
static const struct told *
newest(const struct world *w, enum psi_finding_class class, const char *sni, const char *client,
	const char *ja4)
{
	for (uint32_t i = w->cnt; i-- > 0;) {
		const struct told *t = &w->told[i];

		if (t->class == class && (!*sni || strcmp(t->sni, sni) == 0) &&
			(!*client || strcmp(t->client, client) == 0) &&
			(!*ja4 || strcmp(t->ja4, ja4) == 0))
			return t;
	}
	return NULL;
}

/* Whether a class is held of anything at the end. */
static bool
held(const struct world *w, enum psi_finding_class class)
{
	const struct told *t = newest(w, class, "", "", "");

	return t && t->confidence >= 0.5f;
}

/* The operator's own test: the browser on the same device gets through under the proxy's CA, and the application gets
 * through to other hosts under it, but never to this one. It pins this host. */
static void
test_pin_beside_browser(void)
{
	struct world w;
	const struct told *t;

	begin(&w, NULL);
	PLAY(&w, {"10.1", "browser", "bank", "Proxy CA", 'k', 10},
		{"10.1", "browser", "news", "Proxy CA", 'k', 20},
		{"10.1", "app", "news", "Proxy CA", 'k', 30});
	CU_ASSERT_EQUAL(PLAY(&w, {"10.1", "app", "bank", "Proxy CA", 'b', 40}), PSI_CLASS_PINNED);
	t = newest(&w, PSI_FINDING_PINNED, "bank", "10.1", "app");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(t->kind, PSI_SUBJECT_HOST_CLIENT);
	CU_ASSERT(t->confidence > 0.9f);
	CU_ASSERT_STRING_EQUAL(t->issuer, "Proxy CA");
	CU_ASSERT_EQUAL(t->failed, 1);
	CU_ASSERT_EQUAL(w.cnt, 1);
	end(&w);
}

/* An application with a CA list of its own refuses all of its hosts under the proxy's CA with alert 48, while the browser of
 * the same device accepts that CA: the device trusts it, the application does not ask the device. That is pinning. */
static void
test_own_ca_list(void)
{
	struct world w;

	begin(&w, NULL);
	PLAY(&w, {"10.1", "browser", "a.chat.example", "Proxy CA", 'k', 10},
		{"10.1", "browser", "b.chat.example", "Proxy CA", 'k', 20},
		{"10.1", "browser", "c.chat.example", "Proxy CA", 'k', 30},
		{"10.1", "app", "a.chat.example", "Proxy CA", '8', 40},
		{"10.1", "app", "b.chat.example", "Proxy CA", '8', 50});
	CU_ASSERT_EQUAL(
		PLAY(&w, {"10.1", "app", "c.chat.example", "Proxy CA", '8', 60}), PSI_CLASS_PINNED);
	CU_ASSERT(held(&w, PSI_FINDING_PINNED));
	CU_ASSERT_FALSE(held(&w, PSI_FINDING_DISTRUSTS_CA));
	end(&w);
}

/* A program that refuses hosts which have nothing to do with one another, and which the browser beside it reaches: nobody
 * pins the whole web. It has a CA store of its own that lacks the proxy's CA. */
static void
test_stranger(void)
{
	static const char *const host[] = {
		"www.shop.example", "static.news.test", "mail.office.invalid", "maps.travel.org"};
	struct world w;
	struct psi_verdict v;

	begin(&w, NULL);
	for (uint32_t i = 0; i < 4; i++)
		PLAY(&w, {"10.1", "browser", host[i], "Proxy CA", 'k', 10 + 10 * i});
	for (uint32_t i = 0; i < 4; i++)
		flow(&w, &(struct step){"10.1", "java", host[i], "Proxy CA", '6', 100 + 10 * i},
			&v);
	CU_ASSERT_EQUAL(v.class, PSI_CLASS_UNKNOWN_CA);
	psi_population_flush(w.p);
	CU_ASSERT_FALSE(held(&w, PSI_FINDING_PINNED));
	CU_ASSERT(held(&w, PSI_FINDING_DISTRUSTS_CA));
	end(&w);
}

/* A monitor completes handshakes everywhere, sends nothing anywhere, says goodbye. It refuses nothing. */
static void
test_health_check(void)
{
	static const char *const host[] = {
		"www.shop.example", "static.news.test", "mail.office.invalid", "maps.travel.org"};
	struct world w;
	struct psi_verdict v;

	begin(&w, NULL);
	for (uint32_t i = 0; i < 4; i++)
		PLAY(&w, {"10.1", "browser", host[i], "CA", 'k', 10 + 10 * i});
	for (uint32_t i = 0; i < 8; i++)
		flow(&w, &(struct step){"10.1", "monitor", host[i % 4], "CA", 'g', 100 + 10 * i},
			&v);
	CU_ASSERT_EQUAL(v.class, PSI_CLASS_NORMAL);
	psi_population_flush(w.p);
	CU_ASSERT_FALSE(held(&w, PSI_FINDING_PINNED));
	end(&w);
}

/* A device without the proxy's CA: whatever runs on it refuses every host, while another device with the same browser gets
 * through to the same hosts. One finding about the client, not one a host. */
static void
test_distrusts(void)
{
	struct world w;
	const struct told *t;

	begin(&w, NULL);
	PLAY(&w, {"10.1", "browser", "a", "Proxy CA", 'k', 10},
		{"10.1", "browser", "b", "Proxy CA", 'k', 20},
		{"10.1", "browser", "c", "Proxy CA", 'k', 30},
		{"10.2", "browser", "a", "Proxy CA", '8', 40},
		{"10.2", "browser", "b", "Proxy CA", '8', 50});
	CU_ASSERT_EQUAL(
		PLAY(&w, {"10.2", "browser", "c", "Proxy CA", '8', 60}), PSI_CLASS_UNKNOWN_CA);
	t = newest(&w, PSI_FINDING_DISTRUSTS_CA, "", "10.2", "browser");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(t->kind, PSI_SUBJECT_CLIENT);
	CU_ASSERT_STRING_EQUAL(t->sni, "");
	CU_ASSERT(t->confidence > 0.8f);
	CU_ASSERT_FALSE(held(&w, PSI_FINDING_PINNED));
	end(&w);
}

/* Everyone refuses one host, and all of them accept its issuer elsewhere: its certificate is bad, and since they say
 * expired it is that. Said once, of the host. */
static void
test_everyone_refuses(void)
{
	static const char *const stack[] = {"s1", "s2", "s3", "s4"};
	struct world w;
	const struct told *t;
	uint32_t of_host = 0;

	begin(&w, NULL);
	for (uint32_t i = 0; i < 4; i++) {
		char client[5] = {'1', '0', '.', (char)('1' + i), 0};

		PLAY(&w, {client, stack[i], "good", "Public CA", 'k', 10 + i},
			{client, stack[i], "old", "Public CA", '5', 50 + i});
	}
	t = newest(&w, PSI_FINDING_CERTIFICATE_EXPIRED, "old", "", "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(t->kind, PSI_SUBJECT_HOST);
	CU_ASSERT(t->confidence > 0.8f);
	CU_ASSERT_STRING_EQUAL(t->ja4, "");
	CU_ASSERT_STRING_EQUAL(t->client, "");
	for (uint32_t i = 0; i < w.cnt; i++)
		of_host += w.told[i].class == PSI_FINDING_CERTIFICATE_EXPIRED;
	CU_ASSERT(of_host <= 2); /* formed, perhaps strengthened: not one a client */
	CU_ASSERT_FALSE(held(&w, PSI_FINDING_PINNED));
	end(&w);
}

/* The same, but what they say is the catch-all 42 and nothing is wrong with its dates: bad, not expired. One client of the
 * five takes no care and accepts, which does not make pins of the other four. */
static void
test_careless_acceptor(void)
{
	static const char *const stack[] = {"s1", "s2", "s3", "s4"};
	struct world w;

	begin(&w, NULL);
	PLAY(&w, {"10.9", "careless", "bad", "Public CA", 'k', 5});
	for (uint32_t i = 0; i < 4; i++) {
		char client[5] = {'1', '0', '.', (char)('1' + i), 0};

		PLAY(&w, {client, stack[i], "good", "Public CA", 'k', 10 + i},
			{client, stack[i], "bad", "Public CA", '2', 50 + i, .name_mismatch = true});
	}
	CU_ASSERT(held(&w, PSI_FINDING_CERTIFICATE_BAD));
	CU_ASSERT_FALSE(held(&w, PSI_FINDING_PINNED));
	CU_ASSERT_FALSE(held(&w, PSI_FINDING_CERTIFICATE_EXPIRED));
	end(&w);
}

/* A CA that no root vouches for signs hosts of eight domains: that is no host's CA, but somebody on the way. Told once. Not
 * of the operator's own CA, nor of a company whose CA signs many hosts of its one domain. */
static void
test_interception(void)
{
	struct world w;
	struct psi_verdict v;
	uint32_t told = 0;
	char host[32];

	begin(&w, NULL);
	for (uint32_t i = 0; i < 20; i++) {
		snprintf(host, sizeof(host), "h%u.corp.example", i);
		flow(&w,
			&(struct step){"10.1", "browser", host, "Corp CA", 'k', 10 + 10 * i,
				.cert_status = PSI_CERT_INVALID_ISSUER},
			&v);
	}
	CU_ASSERT_EQUAL(w.cnt, 0);
	for (uint32_t i = 0; i < 20; i++) {
		snprintf(host, sizeof(host), "www.domain%c.example", 'a' + i % 10);
		flow(&w,
			&(struct step){"10.1", "browser", host, "Middle CA", 'k', 500 + 10 * i,
				.cert_status = PSI_CERT_INVALID_ISSUER},
			&v);
		if (i == 6)
			CU_ASSERT_EQUAL(w.cnt, 0);
	}
	for (uint32_t i = 0; i < w.cnt; i++)
		told += w.told[i].class == PSI_FINDING_INTERCEPTION_SEEN;
	CU_ASSERT_EQUAL(told, 1);
	CU_ASSERT_EQUAL(w.told[0].kind, PSI_SUBJECT_ISSUER);
	CU_ASSERT_STRING_EQUAL(w.told[0].issuer, "Middle CA");
	end(&w);
}

/* NAT: behind one address a browser that gets through, an application that pins, and nothing else. The stacks are told
 * apart by JA4, so the browser's success does not hide the application's failure, nor the other way round. */
static void
test_nat(void)
{
	struct world w;
	struct psi_verdict v;

	begin(&w, NULL);
	PLAY(&w, {"nat1", "browser", "bank", "Proxy CA", 'k', 10},
		{"nat1", "app", "news", "Proxy CA", 'k', 15},
		{"nat1", "app", "bank", "Proxy CA", 'g', 20});
	CU_ASSERT_EQUAL(
		flow(&w, &(struct step){"nat1", "browser", "bank", "Proxy CA", 'k', 30}, &v),
		PSI_CLASS_NORMAL);
	CU_ASSERT_EQUAL(flow(&w, &(struct step){"nat1", "app", "bank", "Proxy CA", 'g', 40}, &v),
		PSI_CLASS_PINNED);
	end(&w);
}

/* A client seen once: the same application, whose kind accepts the issuer elsewhere and is refused this host on other
 * clients, while browsers get through. It pins here, too. */
static void
test_one_shot(void)
{
	struct world w;

	begin(&w, NULL);
	PLAY(&w, {"10.1", "browser", "bank", "Proxy CA", 'k', 10},
		{"10.1", "app", "bank", "Proxy CA", 'g', 20},
		{"10.2", "app", "bank", "Proxy CA", 'g', 30},
		{"10.3", "browser", "bank", "Proxy CA", 'k', 40});
	CU_ASSERT_EQUAL(PLAY(&w, {"10.4", "app", "bank", "Proxy CA", 'g', 50}), PSI_CLASS_PINNED);
	end(&w);
}

/* One flow and nothing to compare it with: what the flow shows stands, and nothing is found. */
static void
test_alone(void)
{
	struct world w;

	begin(&w, NULL);
	CU_ASSERT_EQUAL(
		PLAY(&w, {"10.1", "app", "bank", "Proxy CA", 'b', 10}), PSI_CLASS_CLIENT_REJECTED);
	CU_ASSERT_EQUAL(
		PLAY(&w, {"10.1", "app2", "other", "CA 2", '2', 1000}), PSI_CLASS_BAD_CERTIFICATE);
	psi_population_flush(w.p);
	CU_ASSERT_EQUAL(w.cnt, 0);
	end(&w);
}

/* TLS 1.3: the certificate does not show, but its record's length does. Direct visitors of the host are shown another one
 * than those behind the proxy; that they get data says nothing of the proxy's. The browser behind the proxy does. */
static void
test_tls13_shape(void)
{
	struct world w;
	struct level at;
	struct psi_pop_who id = {0};

	begin(&w, NULL);
	PLAY(&w, {"10.1", "browser", "bank", NULL, 'k', 10, .cert_rec = 900},
		{"10.1", "browser", "news", NULL, 'k', 11, .cert_rec = 905},
		{"10.1", "app", "news", NULL, 'k', 12, .cert_rec = 905},
		{"10.9", "browser", "bank", NULL, 'k', 13, .cert_rec = 2100});
	CU_ASSERT_EQUAL(PLAY(&w, {"10.1", "app", "bank", NULL, 'g', 20, .cert_rec = 900}),
		PSI_CLASS_PINNED);
	id.host = pop_hash(w.p->cfg.seed, "bank", 4);
	pop_rows_level(w.p, &id, pop_mix(900, 281) | 1, false, &at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at.everyone);
	CU_ASSERT_DOUBLE_EQUAL(
		at.everyone->own.ok, 1, 0.01); /* the one behind the proxy, not the direct one */
	CU_ASSERT_DOUBLE_EQUAL(at.everyone->own.ref, 1, 0.01);
	end(&w);
}

/* The proxy's certificate of a host is seen in clear once, under TLS 1.2: 900 bytes in one certificate are a message of
 * 8 + 5 + 900, and a record of 17 more. Under TLS 1.3 that record is known to hold what the browser accepts. */
static void
test_versions(void)
{
	struct world w;

	begin(&w, NULL);
	PLAY(&w, {"10.1", "browser", "bank", "Proxy CA", 'k', 10, .cert_len = 900},
		{"10.1", "app", "news", "Proxy CA", 'k', 12, .cert_len = 900});
	CU_ASSERT_EQUAL(PLAY(&w, {"10.1", "app", "bank", NULL, 'g', 20, .cert_rec = 930},
				{"10.1", "app", "bank", NULL, 'g', 30, .cert_rec = 930}),
		PSI_CLASS_PINNED);
	CU_ASSERT(held(&w, PSI_FINDING_PINNED));
	end(&w);
}

/* A browser opens two connections and uses one. The other is no refusal, since it stood beside the used one; one that
 * stands alone a minute later may be. */
static void
test_idle_twin(void)
{
	struct world w;
	struct psi_verdict v;

	begin(&w, NULL);
	PLAY(&w, {"10.1", "browser", "a", "CA", 'k', 10, .took_s = 3});
	CU_ASSERT_EQUAL(
		flow(&w, &(struct step){"10.1", "browser", "a", "CA", 'b', 12, .took_s = 4}, &v),
		PSI_CLASS_NORMAL);
	CU_ASSERT(v.evidence & PSI_EVID_twin_used);
	CU_ASSERT_EQUAL(
		flow(&w, &(struct step){"10.1", "browser", "a", "CA", 'b', 90, .took_s = 1}, &v),
		PSI_CLASS_CLIENT_REJECTED);
	/* an alert is no idle connection, whatever stood beside it */
	PLAY(&w, {"10.1", "browser", "b", "CA", 'k', 100, .took_s = 3});
	CU_ASSERT_NOT_EQUAL(
		flow(&w, &(struct step){"10.1", "browser", "b", "CA", '8', 101, .took_s = 2}, &v),
		PSI_CLASS_NORMAL);
	end(&w);
}

/* Resumed sessions show no certificate: a thousand of them are no acceptance. */
static void
test_resumed(void)
{
	struct world w;
	struct psi_population_count n;

	begin(&w, NULL);
	for (uint32_t i = 0; i < 1000; i++)
		PLAY(&w, {"10.1", "browser", "bank", "CA", 'r', 10 + i});
	PLAY(&w, {"10.1", "app", "bank", "CA", 'b', 2000});
	psi_population_count(w.p, &n);
	CU_ASSERT_EQUAL(n.accepted, 0);
	CU_ASSERT_EQUAL(w.cnt, 0);
	end(&w);
}

/* Ten thousand retries, ten a second: a thousand seconds, of which every other begins a new attempt. What is said of it:
 * it formed, and it was confirmed by four times as many attempts, up to 500 of them. Log base 4 of 500 is 4.5. */
static void
test_noisy_client(void)
{
	struct world w;
	struct psi_verdict v;
	struct psi_population_count n;
	const struct told *t;

	begin(&w, NULL);
	PLAY(&w, {"10.1", "browser", "bank", "Proxy CA", 'k', 1},
		{"10.1", "app", "news", "Proxy CA", 'k', 2});
	for (uint32_t i = 0; i < 10000; i++)
		flow(&w, &(struct step){"10.1", "app", "bank", "Proxy CA", 'b', 10 + i / 10}, &v);
	CU_ASSERT_EQUAL(v.class, PSI_CLASS_PINNED);
	psi_population_count(w.p, &n);
	CU_ASSERT_EQUAL(n.refused, 10000);
	CU_ASSERT(n.retries > 9450 && n.retries < 9550);
	CU_ASSERT(w.cnt >= 1 && w.cnt <= 7);
	psi_population_flush(w.p);
	t = newest(&w, PSI_FINDING_PINNED, "bank", "10.1", "app");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT(t->failed >= 450 && t->failed <= 550);
	end(&w);
}

/* A half-life later an acceptance weighs half; when refusals are more than three of them old the finding is taken back. */
static void
test_ageing(void)
{
	const uint32_t day = 86400;
	struct world w;
	struct level at;
	struct psi_pop_who id = {0};
	const struct told *t;

	begin(&w, NULL);
	PLAY(&w, {"10.1", "browser", "bank", "Proxy CA", 'k', 10},
		{"10.1", "app", "news", "Proxy CA", 'k', 20},
		{"10.1", "app", "bank", "Proxy CA", 'b', 30});
	CU_ASSERT(held(&w, PSI_FINDING_PINNED));
	psi_population_tick(w.p, T0 + (10ull + day) * SEC);
	id.host = pop_hash(w.p->cfg.seed, "bank", 4);
	id.client = 0;
	pop_rows_level(w.p, &id, 0, false, &at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at.everyone);
	CU_ASSERT_DOUBLE_EQUAL(at.everyone->own.ok, 0.5, 0.001);
	for (int i = 0; i < 100; i++) /* enough ticks to go round all cases */
		psi_population_tick(w.p, T0 + (uint64_t)(4 * day + (uint32_t)i) * SEC);
	t = newest(&w, PSI_FINDING_PINNED, "bank", "10.1", "app");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(t->confidence, 0);
	CU_ASSERT_FALSE(held(&w, PSI_FINDING_PINNED));
	end(&w);
}

/* Evidence that comes later takes effect: first only the application is seen to fail; then the browser gets through. */
static void
test_later_evidence(void)
{
	struct world w;

	begin(&w, NULL);
	PLAY(&w, {"10.1", "app", "news", "Proxy CA", 'k', 10},
		{"10.1", "app", "bank", "Proxy CA", '2', 20});
	PLAY(&w, {"10.1", "browser", "bank", "Proxy CA", 'k', 30},
		{"10.1", "browser", "news", "Proxy CA", 'k', 40});
	psi_population_flush(w.p);
	CU_ASSERT(held(&w, PSI_FINDING_PINNED));
	end(&w);
}

static void
small(struct psi_population_config *cfg)
{
	cfg->row_max = 1; /* raised to the least there is */
	cfg->case_max = 1;
}

/* A full table gives up what was not seen for longest, counts that, and goes on. */
static void
test_full(void)
{
	struct world w;
	struct psi_verdict v;
	struct psi_population_count n;
	char host[16];

	begin(&w, small);
	for (uint32_t i = 0; i < 20000; i++) {
		snprintf(host, sizeof(host), "h%u", i);
		flow(&w, &(struct step){"10.1", "app", host, "CA", i % 3 ? 'k' : '8', 10 + i}, &v);
		CU_ASSERT_FATAL(v.confidence >= 0 && v.confidence <= 1);
		w.cnt = 0;
	}
	psi_population_count(w.p, &n);
	CU_ASSERT(n.rows <= 512 && n.cases <= 64);
	CU_ASSERT(n.rows_evicted > 10000 && n.cases_evicted > 6000);
	CU_ASSERT_EQUAL(n.flows, 20000);
	end(&w);
}

/* How often a stack got data from a host under what it was shown, now: 0 when no row says so. */
static float
accepted(struct world *w, const struct psi_pop_who *id)
{
	struct level at;

	pop_rows_level(w->p, id, id->ctx, false, &at);
	return at.leaf ? at.leaf->own.ok : 0;
}

/* Two records of a flow are counted in the same rows, found once. Rows that were given up in between are made anew, and
 * whoever has their places now is left alone. */
static void
test_kept(void)
{
	const struct step first = {.client = "10.1",
		.stack = "app",
		.host = "bank",
		.issuer = "CA",
		.did = 'k',
		.at_s = 10,
		.goes_on = true};
	struct psi_pop_kept kept;
	struct psi_verdict v;
	struct psi_population_count n, before;
	struct world w;
	struct step s = first;
	char host[16];

	begin(&w, small);
	psi_pop_kept_none(&kept);
	s.kept = &kept;
	flow(&w, &s, &v);
	CU_ASSERT_FATAL(kept.has_rows);
	psi_population_count(w.p, &before);
	s.goes_on = false;
	s.at_s = 20;
	flow(&w, &s, &v);
	psi_population_count(w.p, &n);
	CU_ASSERT(n.rows == before.rows && n.rows_evicted == 0);
	CU_ASSERT_DOUBLE_EQUAL(accepted(&w, &kept.who), 2, 0.001);
	s = first;
	psi_pop_kept_none(&kept);
	s.kept = &kept;
	flow(&w, &s, &v);
	for (uint32_t i = 0; i < 2000; i++) {
		snprintf(host, sizeof(host), "h%u", i);
		flow(&w, &(struct step){"10.2", "app", host, "CA", 'k', 30 + i}, &v);
	}
	CU_ASSERT_EQUAL(accepted(&w, &kept.who), 0);
	s.goes_on = false;
	s.at_s = 3000;
	flow(&w, &s, &v);
	CU_ASSERT_EQUAL(accepted(&w, &kept.who), 1);
	end(&w);
}

/* A leaf of which nothing can be read but its name, come after the first record of its flow: the host goes by that. */
static void
test_late_name(void)
{
	struct psi_rec *r = calloc(1, PSI_REC_MAX);
	struct psi_pop_kept kept;
	struct psi_pop_flow f = {.rec = r, .kept = &kept};
	struct psi_pop_who before, after, anew;
	struct world w;

	begin(&w, NULL);
	psi_rec_begin(r);
	psi_rec_put(r, PSI_VAR_JA4, "app", 3);
	psi_pop_kept_none(&kept);
	CU_ASSERT(pop_identify(w.p, &f, &before));
	f.cert_name = (const uint8_t *)"host.example";
	f.cert_name_len = 12;
	CU_ASSERT(pop_identify(w.p, &f, &after));
	f.kept = NULL;
	CU_ASSERT(pop_identify(w.p, &f, &anew));
	CU_ASSERT(after.host == anew.host && after.host != before.host);
	free(r);
	end(&w);
}

static bool
is_time(uint64_t ns)
{
	return !ns || (ns >= T0 && ns < T0 + 100 * SEC);
}

/* Tables that are full, and time that stands still, as when a capture of yesterday is read behind one of today: no flow
 * gives up a row of its own for another, which would count there what means something else. */
static void
test_no_time(void)
{
	struct world w;
	struct psi_verdict v;
	char host[16];

	begin(&w, small);
	for (uint32_t i = 0; i < 2000; i++) {
		snprintf(host, sizeof(host), "h%u", i);
		flow(&w, &(struct step){"10.2", "app", host, "CA", i % 2 ? 'k' : '8', 30}, &v);
	}
	for (uint32_t i = 0; i < w.p->line_cnt * WAYS; i++) {
		const struct row *r = &w.p->row[i];

		CU_ASSERT(!(r->key & KEY_OTHER) ||
			  (r->other.ok >= 0 && r->other.ok <= 2000 && r->other.ref >= 0 &&
				  r->other.ref <= 2000));
		CU_ASSERT(r->key & KEY_OTHER || (is_time(r->ok_ns) && is_time(r->ref_ns) &&
							is_time(r->used_ns) && is_time(r->try_ns)));
	}
	end(&w);
}

/* Hosts that no SNI names go by the server's address, those of a proxy's CONNECT by what was asked for. */
static void
test_names(void)
{
	struct psi_rec *r = calloc(1, PSI_REC_MAX);
	struct psi_pop_flow f = {.rec = r};
	char name[PSI_FINDING_NAME_MAX];
	uint16_t len;

	psi_rec_begin(r);
	r->ipv4 = 1;
	memcpy(r->addr[PSI_S2C] + 12, (uint8_t[]){192, 0, 2, 105}, 4);
	pop_host_name(&f, name, &len);
	CU_ASSERT(len == 11 && memcmp(name, "192.0.2.105", 11) == 0);
	r->ipv4 = 0;
	memcpy(r->addr[PSI_S2C],
		(uint8_t[]){0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xab, 1}, 16);
	pop_host_name(&f, name, &len);
	CU_ASSERT(len == 23 && memcmp(name, "2001:db8:0:0:0:0:0:ab01", 23) == 0);
	f.cert_name = (const uint8_t *)"In.Cert";
	f.cert_name_len = 7;
	pop_host_name(&f, name, &len);
	CU_ASSERT(len == 7 && memcmp(name, "in.cert", 7) == 0);
	psi_rec_put(r, PSI_VAR_CONNECT_TARGET, "Proxy.Asked:443", 15);
	pop_host_name(&f, name, &len);
	CU_ASSERT(len == 15 && memcmp(name, "proxy.asked:443", 15) == 0);
	psi_rec_put(r, PSI_VAR_SNI, "WWW.Example", 11);
	pop_host_name(&f, name, &len);
	CU_ASSERT(len == 11 && memcmp(name, "www.example", 11) == 0);
	free(r);
}

static CU_TestInfo tests[] = {
	{"a pin beside a browser", test_pin_beside_browser},
	{"an application's own CA list", test_own_ca_list},
	{"a program that distrusts the CA", test_stranger},
	{"a health check", test_health_check},
	{"a client that distrusts the CA", test_distrusts},
	{"everyone refuses", test_everyone_refuses},
	{"everyone but one who takes no care", test_careless_acceptor},
	{"interception", test_interception},
	{"NAT", test_nat},
	{"a client seen once", test_one_shot},
	{"nothing to compare with", test_alone},
	{"TLS 1.3 by the lengths", test_tls13_shape},
	{"what TLS 1.2 shows of TLS 1.3", test_versions},
	{"idle beside a used one", test_idle_twin},
	{"resumptions", test_resumed},
	{"a noisy client", test_noisy_client},
	{"ageing", test_ageing},
	{"evidence that comes later", test_later_evidence},
	{"tables full", test_full},
	{"two records of a flow", test_kept},
	{"a name that comes late", test_late_name},
	{"tables full, no time", test_no_time},
	{"names of hosts", test_names},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "population", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
