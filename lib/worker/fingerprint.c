/* SPDX-License-Identifier: BSD-3-Clause */
/* Fingerprints, computed once per distinct hello: a small direct-mapped cache keyed by a keyed 128-bit hash of all
 * that the fingerprints depend on. */
#include "worker_pvt.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t
seed(const struct psi_worker *w)
{
	return w->cfg.flow.hash_key[0] ^ w->cfg.flow.hash_key[1];
}

/* The entry for key, and whether it holds that key already. */
static bool
lookup(struct fp_entry *cache, uint32_t size, XXH128_hash_t k, struct fp_entry **e)
{
	*e = &cache[k.low64 % size];
	if ((*e)->key[0] == k.low64 && (*e)->key[1] == k.high64)
		return true;
	memset(*e, 0, sizeof(**e));
	(*e)->key[0] = k.low64;
	(*e)->key[1] = k.high64;
	return false;
}

/* Keeps the string when it fits; a longer one is not kept, the hash always is. */
static void
keep_string(struct fp_entry *e, const char *s)
{
	size_t n = strlen(s);

	if (n <= sizeof(e->ja3_str)) {
		memcpy(e->ja3_str, s, n);
		e->ja3_str_len = (uint16_t)n;
	}
}

/* JA3 and JA4 of the ClientHello. */
const struct fp_entry *
fp_client(struct psi_worker *w, const struct psi_tls *t)
{
	const struct psi_tls_hello *h = &t->hello;
	char str[PSI_JA3_STR_MAX];
	XXH3_state_t s;
	struct fp_entry *e;
	uint8_t extra[8];

	XXH3_INITSTATE(&s);
	XXH3_128bits_reset_withSeed(&s, seed(w));
	XXH3_128bits_update(&s, h, offsetof(struct psi_tls_hello, v) + h->v_cnt * sizeof(h->v[0]));
	/* JA4 also takes the first offered protocol, whether a name was sent, and the format of the hello. */
	memcpy(extra, &t->note, 4);
	extra[4] = t->sni_len != 0;
	extra[5] = t->alpn_len;
	extra[6] = extra[7] = 0;
	XXH3_128bits_update(&s, extra, sizeof(extra));
	XXH3_128bits_update(&s, t->client_alpns, t->alpn_len);
	if (lookup(w->fp, FP_CACHE, XXH3_128bits_digest(&s), &e))
		return e;
	if (psi_tls_ja3(t, str, e->ja3) == PSI_OK)
		keep_string(e, str);
	else
		e->ja3[0] = 0;
	if (psi_tls_ja4(t, e->ja4) != PSI_OK)
		e->ja4[0] = 0;
	return e;
}

/* JA3S of the ServerHello, in the ja3 fields. */
const struct fp_entry *
fp_server(struct psi_worker *w, const struct psi_tls *t)
{
	char str[PSI_JA3_STR_MAX];
	XXH3_state_t s;
	struct fp_entry *e;

	XXH3_INITSTATE(&s);
	XXH3_128bits_reset_withSeed(&s, seed(w));
	XXH3_128bits_update(&s, &t->version, sizeof(t->version));
	XXH3_128bits_update(&s, &t->version_raw, sizeof(t->version_raw));
	XXH3_128bits_update(&s, &t->cipher, sizeof(t->cipher));
	XXH3_128bits_update(&s, t->server_ext, t->server_ext_cnt * sizeof(t->server_ext[0]));
	if (lookup(w->fps, FP_CACHE, XXH3_128bits_digest(&s), &e))
		return e;
	if (psi_tls_ja3s(t, str, e->ja3) == PSI_OK)
		keep_string(e, str);
	else
		e->ja3[0] = 0;
	return e;
}
