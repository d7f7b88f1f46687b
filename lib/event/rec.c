/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_rec.h"

const char *
psi_rec_why_name(enum psi_rec_why why)
{
	switch (why) {
	case PSI_WHY_OPEN: return "open";
	case PSI_WHY_FIN: return "fin";
	case PSI_WHY_RST: return "rst";
	case PSI_WHY_IDLE: return "idle";
	case PSI_WHY_REUSED: return "reused";
	case PSI_WHY_EVICTED: return "evicted";
	case PSI_WHY_STOP: return "stop";
	}
	return "?";
}

const char *
psi_client_by_name(enum psi_client_by by)
{
	switch (by) {
	case PSI_CLIENT_BY_HELLO: return "hello";
	case PSI_CLIENT_BY_SYN: return "syn";
	case PSI_CLIENT_BY_GUESS: return "guess";
	}
	return "?";
}

void
psi_rec_begin(struct psi_rec *r)
{
	memset(r, 0, sizeof(*r));
	r->len = (uint32_t)offsetof(struct psi_rec, var);
}

bool
psi_rec_put(struct psi_rec *r, enum psi_rec_var v, const void *p, size_t len)
{
	uint32_t at = (r->var_len + 1u) & ~1u; /* so that lists of uint16_t can be read in place */

	if (len > PSI_REC_VAR_MAX - at)
		return false;
	if (!len)
		return true;
	memcpy(r->var + at, p, len);
	r->piece[v].off = (uint16_t)at;
	r->piece[v].len = (uint16_t)len;
	r->var_len = (uint16_t)(at + len);
	r->len = (uint32_t)(offsetof(struct psi_rec, var) + at + len + 7) & ~7u;
	return true;
}

const uint8_t *
psi_rec_piece(const struct psi_rec *r, enum psi_rec_var v, uint32_t *len)
{
	*len = r->piece[v].len;
	return *len ? r->var + r->piece[v].off : NULL;
}
