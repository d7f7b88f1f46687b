/* SPDX-License-Identifier: BSD-3-Clause */
/* The operator's own inspection CAs. Most chains name none of them, which is told from the bytes of their issuers; only
 * one that does is decoded and its signatures are checked. */
#include "pins_pvt.h"
#include "psi_cursor.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

#define CA_MAX	   1024
#define CHAIN_MAX  16 /* certificates of a chain that are looked at */
#define VERIFY_MAX 16 /* signatures that are checked for one chain */

/* ---- loading ---- */

static bool
add_ca(struct psi_pins *p, X509 *x)
{
	struct own_ca *ca = realloc(p->ca, (p->ca_cnt + 1) * sizeof(*ca));
	unsigned int len;

	if (!ca)
		return false;
	p->ca = ca;
	ca += p->ca_cnt;
	*ca = (struct own_ca){.x = x, .key = X509_get_pubkey(x)};
	ca->subject_len = i2d_X509_NAME(X509_get_subject_name(x), &ca->subject);
	if (!ca->key || ca->subject_len <= 0 || !X509_digest(x, EVP_sha256(), ca->sha256, &len)) {
		EVP_PKEY_free(ca->key);
		OPENSSL_free(ca->subject);
		return false;
	}
	p->ca_cnt++;
	return true;
}

/* One certificate more from in; NULL at the end, or when what follows is none. */
static X509 *
next_cert(BIO *in, bool first)
{
	X509 *x = PEM_read_bio_X509(in, NULL, NULL, NULL);

	if (!x && first && BIO_seek(in, 0) == 0)
		x = d2i_X509_bio(in, NULL);
	return x;
}

static int
load_file(struct psi_pins *p, const char *path, const char **why)
{
	BIO *in = BIO_new_file(path, "r");
	uint32_t before = p->ca_cnt;
	bool bad = false;
	X509 *x;

	*why = strerror(errno);
	if (!in)
		return -EINVAL;
	*why = "holds no certificate: expected PEM or DER";
	while (p->ca_cnt < CA_MAX && (x = next_cert(in, p->ca_cnt == before))) {
		if (!add_ca(p, x)) {
			X509_free(x);
			*why = "holds a certificate whose key cannot be read";
			bad = true;
			break;
		}
	}
	if (!bad && p->ca_cnt > before && p->ca_cnt < CA_MAX &&
		ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		*why = "holds something behind its first certificates that is damaged";
		bad = true;
	}
	BIO_free(in);
	return !bad && p->ca_cnt > before ? 0 : -EINVAL;
}

int
cas_load(struct psi_pins *p, const struct psi_pins_config *cfg, struct psi_err *err)
{
	const char *file = cfg->file && cfg->file[0] ? cfg->file : "interception";

	for (uint32_t i = 0; i < cfg->own_ca.cnt; i++) {
		const char *path = cfg->own_ca.v[i], *why;
		int rc = load_file(p, path, &why);

		ERR_clear_error();
		if (rc)
			return psi_err_set(err, rc, "%s:%u:%u: interception.ca: %s: %s", file,
				cfg->own_ca.at[i].line, cfg->own_ca.at[i].col, path, why);
	}
	return 0;
}

void
cas_free(struct psi_pins *p)
{
	for (uint32_t i = 0; i < p->ca_cnt; i++) {
		X509_free(p->ca[i].x);
		EVP_PKEY_free(p->ca[i].key);
		OPENSSL_free(p->ca[i].subject);
	}
	free(p->ca);
}

uint32_t
psi_pins_own_ca_cnt(const struct psi_pins *p)
{
	return p->ca_cnt;
}

/* ---- per chain ---- */

/* The header of a DER value with the tag wanted; body: its content. */
static bool
der_enter(struct psi_cursor *c, uint8_t tag, struct psi_cursor *body)
{
	uint8_t t, n;
	uint32_t len = 0;

	if (!psi_take8(c, &t) || t != tag || !psi_take8(c, &n))
		return false;
	if (n < 0x80)
		return psi_sub(c, n, body);
	if (n == 0x80 || n > 0x83)
		return false;
	for (n &= 0x7f; n; n--) {
		uint8_t b;

		if (!psi_take8(c, &b))
			return false;
		len = len << 8 | b;
	}
	return psi_sub(c, len, body);
}

/* The issuer's name as it stands in a certificate, header included (RFC 5280 section 4.1). */
static bool
issuer_of(const struct psi_pins_der *d, struct psi_pins_der *out)
{
	struct psi_cursor c = psi_cursor(d->p, d->len), cert, tbs, skip;
	const uint8_t *from;

	if (!der_enter(&c, 0x30, &cert) || !der_enter(&cert, 0x30, &tbs))
		return false;
	if (psi_cursor_left(&tbs) && *tbs.p == 0xa0 && !der_enter(&tbs, 0xa0, &skip))
		return false;
	if (!der_enter(&tbs, 0x02, &skip) || !der_enter(&tbs, 0x30, &skip))
		return false;
	from = tbs.p;
	if (!der_enter(&tbs, 0x30, &skip))
		return false;
	*out = (struct psi_pins_der){from, (uint32_t)(tbs.p - from)};
	return true;
}

static const struct own_ca *
ca_of(const struct psi_pins *p, const struct psi_pins_der *d, uint32_t from)
{
	struct psi_pins_der name;

	if (!issuer_of(d, &name))
		return NULL;
	for (uint32_t i = from; i < p->ca_cnt; i++)
		if ((uint32_t)p->ca[i].subject_len == name.len &&
			memcmp(p->ca[i].subject, name.p, name.len) == 0)
			return &p->ca[i];
	return NULL;
}

struct walk {
	struct psi_pins *p;
	const struct psi_pins_der *der;
	uint32_t cnt, verified;
	X509 *x[CHAIN_MAX];
};

static X509 *
decoded(struct walk *w, uint32_t i)
{
	const unsigned char *p = w->der[i].p;

	if (!w->x[i])
		w->x[i] = d2i_X509(NULL, &p, (long)w->der[i].len);
	return w->x[i];
}

static bool
signed_by(struct walk *w, X509 *x, EVP_PKEY *key)
{
	return key && w->verified++ < VERIFY_MAX && X509_verify(x, key) == 1;
}

static bool
signed_by_own(struct walk *w, uint32_t i)
{
	const struct own_ca *ca = ca_of(w->p, &w->der[i], 0);

	for (; ca; ca = ca_of(w->p, &w->der[i], (uint32_t)(ca - w->p->ca) + 1))
		if (decoded(w, i) && signed_by(w, w->x[i], ca->key))
			return true;
	return false;
}

/* Another certificate of the list whose key signed that at i; cnt when there is none. */
static uint32_t
signer_in_list(struct walk *w, uint32_t i)
{
	for (uint32_t k = 1; decoded(w, i) && k < w->cnt; k++)
		if (k != i && decoded(w, k) &&
			X509_NAME_cmp(X509_get_issuer_name(w->x[i]),
				X509_get_subject_name(w->x[k])) == 0 &&
			signed_by(w, w->x[i], X509_get0_pubkey(w->x[k])))
			return k;
	return w->cnt;
}

static bool
leads_to_own(struct walk *w)
{
	uint32_t at = 0;

	for (uint32_t steps = 0; steps < w->cnt && at < w->cnt; steps++) {
		if (signed_by_own(w, at))
			return true;
		at = signer_in_list(w, at);
	}
	return false;
}

bool
psi_pins_own_ca(struct psi_pins *p, const struct psi_pins_der *cert, uint32_t cnt)
{
	struct walk w = {.p = p, .der = cert, .cnt = PSI_MIN(cnt, (uint32_t)CHAIN_MAX)};
	bool named = false, own;

	for (uint32_t i = 0; p->ca_cnt && i < w.cnt && !named; i++)
		named = ca_of(p, &cert[i], 0);
	if (!named)
		return false;
	own = leads_to_own(&w);
	for (uint32_t i = 0; i < w.cnt; i++)
		X509_free(w.x[i]);
	ERR_clear_error();
	return own;
}
