/* SPDX-License-Identifier: BSD-3-Clause */
/* Cycles per flow of psi_pins_check with 10,000 pinsets, of psi_pins_own_ca for a chain that names none of the CAs, and of
 * psi_pins_learn with 65,536 hosts, beside one hash-free walk over the host name (the baseline); and how long the file of
 * keys takes to be appended to, written anew and read. Best of ROUNDS. */
#include "bench.h"
#include "psi_pins.h"
#include "psi_pins_store.h"
#include "../unit/trust_certs.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS 20
#define BATCH  1000
#define SETS   10000
#define HOSTS  65536

struct work {
	struct psi_pins *pins;
	struct psi_pins_store *store;
	char host[BATCH][64];
	struct psi_pins_cert cert[3];
	uint32_t sink;
};

static void
fill(struct work *w, const char *before, const char *behind, int of)
{
	for (int i = 0; i < BATCH; i++)
		snprintf(w->host[i], sizeof(w->host[i]), "%s%d%s", before, i * 7919 % of, behind);
}

static void
walk(struct work *w, int i)
{
	for (const char *p = w->host[i]; *p; p++)
		w->sink = w->sink * 31 + (uint8_t)*p;
}

static void
check(struct work *w, int i)
{
	struct psi_pins_chain c = {.cert = w->cert, .cnt = 3};
	struct psi_pin_result r;

	psi_pins_check(w->pins, (const uint8_t *)w->host[i], (uint32_t)strlen(w->host[i]), &c,
		1767225600, &r);
	w->sink += r.pin;
}

static void
own_ca(struct work *w, int i)
{
	const struct psi_pins_der c[] = {
		{trust_leaf, sizeof(trust_leaf)}, {trust_leaf, sizeof(trust_leaf)}};

	w->sink += psi_pins_own_ca(w->pins, c, 2);
}

static void
learn_at(struct work *w, const char *host, int64_t time_s)
{
	static const uint8_t key[32] = {1};
	struct psi_pins_seen seen = {.host = (const uint8_t *)host,
		.host_len = (uint32_t)strlen(host),
		.spki_sha256 = key,
		.issuer = "CN=R11,O=Example Certificates,C=US",
		.time_s = time_s};

	w->sink += psi_pins_learn(w->store, &seen, NULL);
}

static void
learn(struct work *w, int i)
{
	learn_at(w, w->host[i], 1767225600);
}

static double
run(struct work *w, void (*fn)(struct work *, int))
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t t = ticks();

		for (int i = 0; i < BATCH; i++)
			fn(w, i);
		t = ticks() - t;
		best = PSI_MIN(best, t);
	}
	return (double)best / BATCH;
}

static struct psi_pins *
open_pins(const char *root)
{
	static char text[SETS * 200];
	char *at = text;
	struct psi_config_source src = {.path = "bench", .text = text};
	struct psi_config *cfg;
	struct psi_pins_config pc = {.file = "bench"};
	struct psi_pins *p;

	at += sprintf(at, "interception: {ca: [%s]}\npins:\n", root);
	for (int i = 0; i < SETS; i++)
		at += sprintf(at,
			"- {name: s%d, hosts: ['%sh%d.example'], spki_sha256: [ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=]}\n",
			i, i % 2 ? "**." : "", i);
	at += sprintf(at,
		"- {name: r, hosts: ['/^r[0-9]+\\.example$/'], spki_sha256: [ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=]}\n");
	src.len = (size_t)(at - text);
	cfg = psi_config_load(&src, NULL);
	if (!cfg)
		return NULL;
	pc.set = cfg->pins;
	pc.set_cnt = cfg->pins_cnt;
	pc.own_ca = cfg->interception.ca;
	p = psi_pins_open(&pc, NULL);
	psi_config_close(cfg);
	return p;
}

static bool
write_root(char *path)
{
	const uint8_t *p = trust_root;
	X509 *x = d2i_X509(NULL, &p, sizeof(trust_root));
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	bool ok = f && x && PEM_write_X509(f, x) && !fclose(f);

	X509_free(x);
	return ok;
}

static double
flush_ms(struct work *w)
{
	double t = seconds(CLOCK_MONOTONIC);

	if (psi_pins_flush(w->store, NULL) != 0)
		exit(1);
	return (seconds(CLOCK_MONOTONIC) - t) * 1000;
}

static void
bench_file(struct work *w, const char *path)
{
	struct psi_pins_store_config cfg = {
		.path = path, .hosts_max = HOSTS, .mode = PSI_PINS_STORE_WRITE};
	char host[64];
	double append, rewrite, t;

	unlink(path);
	w->store = psi_pins_store_open(&cfg, NULL);
	if (!w->store)
		exit(1);
	flush_ms(w);
	for (int i = 0; i < 1000; i++) {
		snprintf(host, sizeof(host), "new%d.example", i);
		learn_at(w, host, 1767225600);
	}
	append = flush_ms(w);
	for (int i = 0; i < HOSTS; i++) {
		snprintf(host, sizeof(host), "h%d.some.example", i);
		learn_at(w, host, 1767225600);
	}
	rewrite = flush_ms(w); /* more than waits in line */
	psi_pins_store_close(w->store);
	t = seconds(CLOCK_MONOTONIC);
	w->store = psi_pins_store_open(&cfg, NULL);
	t = (seconds(CLOCK_MONOTONIC) - t) * 1000;
	if (!w->store)
		exit(1);
	printf("file of keys: 1,000 new ones appended %.1f ms; %d hosts written anew %.0f ms, read %.0f ms\n",
		append, HOSTS, rewrite, t);
	fill(w, "h", ".some.example", HOSTS);
	printf("a key seen again, %d hosts: %.0f cycles\n", HOSTS, run(w, learn));
	psi_pins_store_close(w->store);
}

int
main(void)
{
	static struct work w;
	char root[] = "/tmp/bench_pins.XXXXXX", keys[64], more[80];
	double base;

	if (!write_root(root) || !(w.pins = open_pins(root)))
		return 1;
	unlink(root);
	printf("cycles per flow, best of %d batches of %d\n", ROUNDS, BATCH);
	fill(&w, "h", ".example", SETS);
	base = run(&w, walk);
	printf("walk over the name %.0f; %d pinsets, one is for the host %.0f (%.1f)", base, SETS,
		run(&w, check), run(&w, check) / base);
	fill(&w, "www.cdn", ".other.example", 100000);
	printf("; none is, expressions asked %.0f\n", run(&w, check));
	printf("own CA, a chain of 2 that names it not: %.0f\n", run(&w, own_ca));
	snprintf(keys, sizeof(keys), "%s.keys", root);
	bench_file(&w, keys);
	unlink(keys);
	snprintf(more, sizeof(more), "%s.lock", keys);
	unlink(more);
	psi_pins_close(w.pins);
	return w.sink == 1;
}
