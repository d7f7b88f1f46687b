/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_script.h: a connection as a line of text, so that a test of what is concluded from it reads like a trace.
 *
 * Words, in the order in which they crossed the wire; upper or lower case first letter is the sender:
 *   C19  S1200     a sealed record of the client or the server: its length (TLS 1.3: type 23)
 *   Ca26 Ch40 Cd99 the same with a type: alert, handshake, data (TLS 1.2 after ChangeCipherSpec)
 *   C!48 C?112     a clear alert, fatal or warning, by code
 *   CF   CR        FIN, RST
 *   Ck             ChangeCipherSpec
 *   Cx             the client's ClientKeyExchange
 *   C.             a pause of ten seconds before what follows
 * One word is one millisecond; the ServerHello came at the first. */
#ifndef TLS_SCRIPT_H
#define TLS_SCRIPT_H

#include "psi_tls.h"

#include <stdlib.h>
#include <string.h>

#define MS 1000000ull

#define FLIGHT12                                                                    \
	(PSI_MSG_CLIENT_HELLO | PSI_MSG_SERVER_HELLO | PSI_MSG_SERVER_CERTIFICATE | \
		PSI_MSG_SERVER_KEY_EXCHANGE | PSI_MSG_SERVER_HELLO_DONE)
#define FLIGHT13 (PSI_MSG_CLIENT_HELLO | PSI_MSG_SERVER_HELLO)

struct script {
	struct psi_tls t;
	struct psi_tls_end end;
	uint64_t start_ns, now_ns, fin_ns, rst_ns;
	enum psi_dir first_fin, first_rst;
};

static inline void
script_sealed(struct script *s, enum psi_dir dir, uint8_t type, uint16_t len)
{
	struct psi_tls *t = &s->t;
	unsigned int client = t->client == 1, at = dir == PSI_C2S ? client : !client;
	struct psi_tls_side *me = &t->side[at], *peer = &t->side[!at];

	if (me->enc_cnt < PSI_TLS_RECORD_MAX) {
		me->enc_type[me->enc_cnt] = type;
		me->enc_len[me->enc_cnt] = len;
		me->enc_peer[me->enc_cnt] = peer->enc_cnt;
	}
	me->enc_cnt++;
	me->enc_bytes += len;
	me->last_enc_len = len;
	me->last_enc_peer = peer->enc_cnt;
}

static inline void
script_alert(struct script *s, enum psi_dir dir, struct psi_tls_alert a)
{
	struct psi_tls *t = &s->t;
	uint32_t data = PSI_MSG_APP_DATA_FROM_CLIENT | PSI_MSG_APP_DATA_FROM_SERVER;
	bool finished = true;

	for (int i = 0; i < 2; i++)
		finished &= t->side[i].enc_cnt && t->side[i].enc_type[0] == PSI_CT_HANDSHAKE;
	if (t->messages & data)
		a.flags |= PSI_TLS_ALERT_AFTER_DATA;
	if (finished)
		a.flags |= PSI_TLS_ALERT_AFTER_FINISHED;
	a.dir = dir;
	t->messages |= dir == PSI_C2S ? PSI_MSG_CLIENT_ALERT : PSI_MSG_SERVER_ALERT;
	t->alert[t->alert_cnt++] = a;
}

static inline void
script_word(struct script *s, const char *w)
{
	enum psi_dir dir = w[0] == 'C' ? PSI_C2S : PSI_S2C;
	struct psi_tls *t = &s->t;
	unsigned int client = t->client == 1, at = dir == PSI_C2S ? client : !client;
	uint16_t n = (uint16_t)atoi(w + 1 + !(w[1] >= '0' && w[1] <= '9'));
	bool fin = w[1] == 'F', rst = w[1] == 'R';

	s->now_ns += w[1] == '.' ? 10000 * MS : MS;
	if (!fin && !rst && w[1] != '.')
		t->side[at].last_ns = s->now_ns;
	switch (w[1]) {
	case 'F':
	case 'R':
		s->end.fin[dir] |= fin;
		s->end.rst[dir] |= rst;
		if (!s->end.end_ns[dir])
			s->end.end_ns[dir] = s->now_ns;
		if (fin && !s->fin_ns)
			s->fin_ns = s->now_ns, s->first_fin = dir;
		if (rst && !s->rst_ns)
			s->rst_ns = s->now_ns, s->first_rst = dir;
		break;
	case '.': break;
	case 'k':
		t->messages |= dir == PSI_C2S ? PSI_MSG_CLIENT_CHANGE_CIPHER_SPEC
					      : PSI_MSG_SERVER_CHANGE_CIPHER_SPEC;
		t->last_hs_ns = s->now_ns;
		break;
	case 'x': t->messages |= PSI_MSG_CLIENT_KEY_EXCHANGE; break;
	case '!':
		script_alert(
			s, dir, (struct psi_tls_alert){.len = 2, .level = 2, .code = (uint8_t)n});
		break;
	case '?':
		script_alert(
			s, dir, (struct psi_tls_alert){.len = 2, .level = 1, .code = (uint8_t)n});
		break;
	case 'a':
		script_alert(
			s, dir, (struct psi_tls_alert){.len = n, .flags = PSI_TLS_ALERT_ENCRYPTED});
		script_sealed(s, dir, PSI_CT_ALERT, n);
		break;
	case 'h':
		script_sealed(s, dir, PSI_CT_HANDSHAKE, n);
		t->last_hs_ns = s->now_ns;
		break;
	case 'd':
		t->messages |= dir == PSI_C2S ? PSI_MSG_APP_DATA_FROM_CLIENT
					      : PSI_MSG_APP_DATA_FROM_SERVER;
		t->side[at].app_bytes += n;
		script_sealed(s, dir, PSI_CT_APPLICATION_DATA, n);
		break;
	default: script_sealed(s, dir, PSI_CT_APPLICATION_DATA, n);
	}
}

/* script_run: client_side is which side of the struct the client is, 0 or 1: nothing may depend on it. */
static inline void
script_run(struct script *s, int8_t client_side, uint16_t version, uint16_t cipher,
	uint32_t messages, uint32_t note, const char *line)
{
	char copy[256], *save = NULL;

	memset(s, 0, sizeof(*s));
	s->t.client = client_side;
	s->t.version = version;
	s->t.cipher = cipher;
	s->t.messages = messages;
	s->t.note = note;
	s->start_ns = 1000 * MS;
	s->now_ns = s->start_ns + MS;
	s->t.first_ns = s->start_ns;
	s->t.last_hs_ns = s->now_ns;
	strncpy(copy, line, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = 0;
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		script_word(s, w);
}

#endif
