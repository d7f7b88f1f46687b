/* SPDX-License-Identifier: BSD-3-Clause */
#include "x509_pvt.h"

#include <stdio.h>
#include <stdlib.h>

struct psi_x509_ctx *
psi_x509_open(void)
{
	return calloc(1, sizeof(struct psi_x509_ctx));
}

void
psi_x509_close(struct psi_x509_ctx *x)
{
	free(x);
}

const char *
psi_x509_key_name(const struct psi_x509 *c, char *out, size_t cap)
{
	static const char *const family[] = {
		[PSI_KEY_RSA] = "RSA",
		[PSI_KEY_EC] = "EC",
		[PSI_KEY_ED25519] = "Ed25519",
		[PSI_KEY_ED448] = "Ed448",
		[PSI_KEY_DSA] = "DSA",
		[PSI_KEY_DH] = "DH",
		[PSI_KEY_RSA_PSS] = "RSA-PSS",
		[PSI_KEY_X25519] = "X25519",
		[PSI_KEY_X448] = "X448",
	};
	const char *name = c->key_type < PSI_COUNT(family) ? family[c->key_type] : NULL;

	switch ((enum psi_x509_key)c->key_type) {
	case PSI_KEY_RSA:
	case PSI_KEY_DSA:
	case PSI_KEY_DH:
	case PSI_KEY_RSA_PSS: snprintf(out, cap, "%s-%u", name, c->key_bits); break;
	case PSI_KEY_ED25519:
	case PSI_KEY_ED448:
	case PSI_KEY_X25519:
	case PSI_KEY_X448: snprintf(out, cap, "%s", name); break;
	case PSI_KEY_EC:
		if (strcmp(c->curve, "explicit") == 0)
			snprintf(out, cap, "EC-%u explicit", c->key_bits);
		else
			snprintf(out, cap, "%s", c->curve[0] ? c->curve : name);
		break;
	case PSI_KEY_GOST:
	case PSI_KEY_SM2:
	case PSI_KEY_ML_DSA:
	case PSI_KEY_SLH_DSA:
	case PSI_KEY_UNKNOWN: snprintf(out, cap, "%s", c->curve[0] ? c->curve : "unknown"); break;
	}
	return out;
}

bool
psi_x509_san_next(const struct psi_x509 *c, uint32_t *at, enum psi_x509_san *kind,
	const uint8_t **p, uint32_t *len)
{
	uint16_t n;

	if (*at + 3 > c->san_len)
		return false;
	*kind = (enum psi_x509_san)c->san[*at];
	memcpy(&n, c->san + *at + 1, sizeof(n));
	*p = c->san + *at + 3;
	*len = n;
	*at += 3u + n;
	return true;
}
