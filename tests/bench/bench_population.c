/* SPDX-License-Identifier: BSD-3-Clause */
/* CPU time per flow record in the population: so many clients with four stacks each, as many hosts, drawn
 * at random; one in ten is a refusal. Beside it a baseline that makes the same records and gives them to nobody.
 * bench_population [CLIENTS...], 1 K and 100 K without. */
#include "bench.h"
#include "psi_population.h"

#include <stdio.h>
#include <stdlib.h>

enum { FLOWS = 400000 };

static uint64_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 32) * n >> 32);
}

/* A flow of one of so many clients to one of so many hosts; TLS 1.2 under one of 16 issuers. */
static void
make(struct psi_rec *r, struct psi_pop_flow *f, struct psi_verdict *v, uint32_t clients, uint32_t n)
{
	static const char *const ja4[] = {"t13d1516h2_8daaf6152771_02713d6af862",
		"t13d3112h2_e8f1e7e78f70_8d633dac7124", "t13d2912h2_723694b0fccc_288f874c93d6",
		"t12d128h1_d34a8e72043a_eb7b15dfd2d3"};
	static char issuer[] = "CN=Issuing CA 00,O=Example,C=US";
	static uint8_t spki[32];
	const uint64_t done =
		PSI_EVID_cert_sent | PSI_EVID_client_finished | PSI_EVID_server_finished;
	uint32_t client = random_below(clients), host = random_below(clients);
	bool refuses = random_below(10) == 0;
	char name[40];

	psi_rec_begin(r);
	r->kind = PSI_REC_HANDSHAKE | PSI_REC_END;
	r->version = 0x0303;
	memcpy(r->addr[PSI_C2S] + 12, &client, 4);
	r->end_ns = 1700000000ull * 1000000000ull + n * 100000ull;
	r->start_ns = r->end_ns - 50000000;
	r->evidence = done |
		      (refuses ? PSI_EVID_client_fin : PSI_EVID_client_data | PSI_EVID_server_data);
	psi_rec_put(r, PSI_VAR_SNI, name,
		(size_t)snprintf(name, sizeof(name), "host%u.domain%u.example", host, host % 997));
	psi_rec_put(r, PSI_VAR_JA4, ja4[random_below(4)], 36);
	memcpy(spki, &host, 4);
	issuer[14] = (char)('0' + host % 16);
	*f = (struct psi_pop_flow){.rec = r,
		.spki = spki,
		.issuer = issuer,
		.issuer_len = sizeof(issuer) - 1,
		.cert_cnt = 2,
		.weight = 1};
	*v = (struct psi_verdict){.class = refuses ? PSI_CLASS_CLIENT_REJECTED : PSI_CLASS_NORMAL,
		.confidence = 0.7f};
}

/* CPU seconds of all flows. */
static double
run(struct psi_population *p, uint32_t clients)
{
	struct psi_rec *r = aligned_alloc(64, (PSI_REC_MAX + 63) & ~(size_t)63);
	double from = seconds(CLOCK_THREAD_CPUTIME_ID);
	struct psi_pop_flow f;
	struct psi_verdict v;

	for (uint32_t n = 0; n < FLOWS; n++) {
		make(r, &f, &v, clients, n);
		if (p)
			psi_population_flow(p, &f, &v);
		else
			__asm__ volatile("" ::"r"(r) : "memory");
	}
	free(r);
	return seconds(CLOCK_THREAD_CPUTIME_ID) - from;
}

static void
bench(uint32_t clients)
{
	struct psi_population_config cfg;
	struct psi_population_count n;
	struct psi_population *p;
	struct psi_err err = {""};
	double base, cost;

	psi_population_defaults(&cfg);
	cfg.at_once = true;
	cfg.row_max = 8u << 20;
	cfg.case_max = 1u << 16;
	p = psi_population_open(&cfg, &err);
	if (!p) {
		printf("population: %s\n", err.text);
		return;
	}
	seed = 1;
	base = run(NULL, clients);
	seed = 1;
	run(p, clients);
	cost = run(p, clients);
	psi_population_count(p, &n);
	printf("%8u clients, %8u hosts: %5.0f ns a flow record, %5.0f to make it; %u relations, %u cases, %.0f MB\n",
		clients, clients, (cost - base) * 1e9 / FLOWS, base * 1e9 / FLOWS, n.rows, n.cases,
		(double)psi_population_footprint(&cfg) / 1e6);
	psi_population_close(p);
}

int
main(int argc, char **argv)
{
	printf("population: %d flow records, one in ten a refusal, after as many before them\n",
		FLOWS);
	for (int i = 1; i < argc; i++)
		bench((uint32_t)strtoul(argv[i], NULL, 10));
	if (argc < 2) {
		bench(1000);
		bench(100000);
	}
	return 0;
}
