/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_rec.h"
#include "event_pvt.h"

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

static const uint16_t field_of[PSI_VAR_CNT] = {
	[PSI_VAR_SNI] = PSI_F_TLS_SNI,
	[PSI_VAR_ALPN] = PSI_F_TLS_ALPN,
	[PSI_VAR_CLIENT_ALPNS] = PSI_F_TLS_CLIENT_ALPNS,
	[PSI_VAR_JA3] = PSI_F_TLS_JA3,
	[PSI_VAR_JA3_STR] = PSI_F_TLS_JA3_STR,
	[PSI_VAR_JA3S] = PSI_F_TLS_JA3S,
	[PSI_VAR_JA3S_STR] = PSI_F_TLS_JA3S_STR,
	[PSI_VAR_JA4] = PSI_F_TLS_JA4,
	[PSI_VAR_CIPHERS] = PSI_F_TLS_CH_CIPHERS,
	[PSI_VAR_EXTENSIONS] = PSI_F_TLS_CH_EXTS,
	[PSI_VAR_GROUPS] = PSI_F_TLS_CH_GROUPS,
	[PSI_VAR_POINT_FORMATS] = PSI_F_TLS_CH_POINT_FORMATS,
	[PSI_VAR_SIGALGS] = PSI_F_TLS_CH_SIGALGS,
	[PSI_VAR_VERSIONS] = PSI_F_TLS_CH_VERSIONS,
	[PSI_VAR_KEY_SHARES] = PSI_F_TLS_CH_KEY_SHARES,
	[PSI_VAR_STARTTLS] = PSI_F_TLS_STARTTLS,
	[PSI_VAR_CONNECT_TARGET] = PSI_F_TLS_CONNECT_TARGET,
};

/* Gives the place behind it. */
static uint8_t *
put_field(uint8_t *at, uint16_t field, const void *p, uint16_t len)
{
	uint32_t size = field_size(len);

	memset(at + size - 4, 0, 4);
	memcpy(at, &field, sizeof(field));
	memcpy(at + sizeof(field), &len, sizeof(len));
	memcpy(at + FIELD_HDR, p, len);
	return at + size;
}

/* Names behind a length byte each: a field each. What comes behind one that is longer than what is left is left out. */
static bool
put_names(struct psi_rec *r, const uint8_t *p, size_t len)
{
	uint8_t *at = r->var + r->var_len;
	uint32_t need = 0;
	size_t used = 0;

	for (; used < len && p[used] < len - used; used += 1u + p[used])
		need += field_size(p[used]);
	if (need > PSI_REC_VAR_MAX - (uint32_t)r->var_len)
		return false;
	r->piece[PSI_VAR_CLIENT_ALPNS].off = r->var_len;
	r->piece[PSI_VAR_CLIENT_ALPNS].len = (uint16_t)need;
	for (size_t i = 0; i < used; i += 1u + p[i])
		at = put_field(at, PSI_F_TLS_CLIENT_ALPNS, p + i + 1, p[i]);
	return true;
}

static bool
put_piece(struct psi_rec *r, enum psi_rec_var v, const void *p, size_t len)
{
	uint32_t left = PSI_REC_VAR_MAX - (uint32_t)r->var_len;

	if (len > left || field_size((uint32_t)len) > left)
		return false;
	put_field(r->var + r->var_len, field_of[v], p, (uint16_t)len);
	r->piece[v].off = (uint16_t)(r->var_len + FIELD_HDR);
	r->piece[v].len = (uint16_t)len;
	return true;
}

bool
psi_rec_put(struct psi_rec *r, enum psi_rec_var v, const void *p, size_t len)
{
	bool names = v == PSI_VAR_CLIENT_ALPNS;

	if (!len)
		return true;
	if (!(names ? put_names(r, p, len) : put_piece(r, v, p, len)))
		return false;
	r->var_len = (uint16_t)(names ? r->var_len + r->piece[v].len
				      : r->var_len + field_size((uint32_t)len));
	r->len = (uint32_t)(offsetof(struct psi_rec, var) + r->var_len + 7) & ~7u;
	return true;
}

const uint8_t *
psi_rec_piece(const struct psi_rec *r, enum psi_rec_var v, uint32_t *len)
{
	*len = r->piece[v].len;
	return *len ? r->var + r->piece[v].off : NULL;
}
