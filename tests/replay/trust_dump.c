/* SPDX-License-Identifier: BSD-3-Clause */
/* trust_dump: what psi_trust makes of chains. Reads lines of: roots (- for none), CRLs (- for none), role (server or
 * client), time, SNI (- for none), and a file of certificates, each behind its length in 4 bytes, big endian. Prints one
 * JSON object a line. Each chain is asked twice, fresh and from the cache: both answers must be the same. */
#include "psi_trust.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t
read_chain(const char *path, struct psi_trust_der *chain, uint32_t max)
{
	FILE *f = fopen(path, "rb");
	uint8_t head[4];
	uint32_t n = 0;

	while (f && n < max && fread(head, 1, 4, f) == 4) {
		uint32_t len = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 |
			       (uint32_t)head[2] << 8 | head[3];
		uint8_t *p = malloc(len + !len);

		if (!p || fread(p, 1, len, f) != len)
			abort();
		chain[n++] = (struct psi_trust_der){.p = p, .len = len};
	}
	if (f)
		fclose(f);
	return n;
}

static void
names(const char *key, uint32_t bits, const char *(*name)(uint32_t))
{
	const char *sep = "";

	printf(",\"%s\":[", key);
	for (uint32_t bit = 1; bit; bit <<= 1)
		if (bits & bit) {
			printf("%s\"%s\"", sep, name(bit) ? name(bit) : "?");
			sep = ",";
		}
	putchar(']');
}

static bool
one(const char *roots, const char *crls, const char *role, int64_t time_s, const char *sni,
	const char *file)
{
	struct psi_trust_config cfg = {.roots = roots[0] == '-' ? "" : roots,
		.crls = crls[0] == '-' ? NULL : crls,
		.cache_max = 4,
		.ttl_s = 60};
	struct psi_trust_query q = {.key = {1, 2},
		.role = role[0] == 'c' ? PSI_TRUST_CLIENT : PSI_TRUST_SERVER,
		.sni = (const uint8_t *)sni,
		.sni_len = sni[0] == '-' ? 0 : (uint32_t)strlen(sni),
		.time_s = time_s};
	struct psi_trust_result r, again = {.status = 0};
	struct psi_trust_der chain[PSI_TRUST_CHAIN_MAX];
	struct psi_err err = {""};
	struct psi_trust *t = psi_trust_open(&cfg, &err);
	uint32_t n;

	if (!t) {
		fprintf(stderr, "%s\n", err.text);
		return false;
	}
	n = read_chain(file, chain, PSI_TRUST_CHAIN_MAX);
	psi_trust_check(t, &q, chain, n, &r);
	if (!psi_trust_find(t, &q, &again) || again.status != r.status ||
		again.findings != r.findings)
		return false;
	printf("{\"error\":%d,\"path_cnt\":%u", r.error, r.path_cnt);
	names("status", r.status, psi_cert_status_name);
	names("findings", r.findings, psi_trust_finding_name);
	puts("}");
	while (n--)
		free((void *)(uintptr_t)chain[n].p);
	psi_trust_close(t);
	return true;
}

int
main(void)
{
	char roots[512], crls[512], role[16], sni[256], file[512];
	int64_t time_s;

	while (scanf("%511s %511s %15s %" SCNd64 " %255s %511s", roots, crls, role, &time_s, sni,
		       file) == 6)
		if (!one(roots, crls, role, time_s, sni, file))
			return 1;
	return 0;
}
