/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_record.c: the record layer of both sides: headers, what each record says by its type, length and order, and
 * where to look no further. Hot.
 *
 * Invariants of a side: in TLS_CLEAR, TLS_ALERT, TLS_SKIP and TLS_V2_BODY rec_left > 0 bytes of the current record
 * are still to come; in TLS_START, TLS_HDR and TLS_V2_HDR hdr[0 .. hdr_have) is what is there of a header. */
#include "tls_pvt.h"

static int
fail(struct tls_in *x, int rc)
{
	x->s->state = TLS_FAILED;
	x->s->err = (int16_t)rc;
	if (rc == PSI_E_LOST_SYNC)
		x->t->note |= PSI_TLS_LOST_SYNC;
	tls_msg_abandon(x);
	return rc;
}

static uint32_t
first_bit(uint32_t if_client, uint32_t if_server, enum psi_dir dir)
{
	return dir == PSI_C2S ? if_client : if_server;
}

/* ---- telling what it is ---- */

/* The five bytes of a record header at a place where we believe one, or a prefix of them. */
static bool
header_plausible(const uint8_t *p, size_t n)
{
	uint16_t len;

	if (n >= 1 && (p[0] < PSI_CT_CHANGE_CIPHER_SPEC || p[0] > PSI_CT_HEARTBEAT))
		return false;
	if (n >= 2 && p[1] != 3)
		return false;
	if (n >= 3 && p[2] > 4)
		return false;
	if (n < TLS_HDR_LEN)
		return true;
	len = psi_be16(p + 3);
	switch (p[0]) {
	case PSI_CT_CHANGE_CIPHER_SPEC: return len >= 1 && len < 256;
	case PSI_CT_ALERT: return len >= 2 && len < 512;
	case PSI_CT_HANDSHAKE: return len >= 1 && len <= TLS_REC_LEN_MAX;
	}
	return len <= TLS_REC_LEN_MAX;
}

/* The first five bytes of an SSLv2 CLIENT-HELLO or SERVER-HELLO, or a prefix of them. Shortest possible hellos:
 * the fixed part, one cipher and a challenge of 16 bytes; the fixed part alone. */
static bool
v2_plausible(const uint8_t *p, size_t n)
{
	uint16_t len;

	if (n >= 1 && !(p[0] & 0x80))
		return false;
	if (n < 3)
		return true;
	len = (uint16_t)((p[0] & 0x7f) << 8 | p[1]);
	if (p[2] == 4)
		return len >= 11 && (n < 4 || p[3] <= 1) && (n < 5 || p[4] <= 1);
	if (p[2] != 1 || len < 9 + 3 + 16)
		return false;
	if (n < 5)
		return n < 4 || p[3] == 0 || p[3] == 3;
	return (p[3] == 0 && p[4] == 2) || (p[3] == 3 && p[4] <= 4);
}

int
psi_tls_probe(const uint8_t *p, uint32_t len)
{
	size_t n = PSI_MIN(len, TLS_HDR_LEN);

	if (!header_plausible(p, n) && !v2_plausible(p, n))
		return PSI_E_NOT_TLS;
	return n < TLS_HDR_LEN ? PSI_E_AGAIN : PSI_OK;
}

/* ---- what a record says ---- */

static bool
in_handshake(const struct psi_tls *t)
{
	return psi_tls_phase(t) != PSI_TLS_PHASE_DECIDED;
}

static void
note_gap(struct psi_tls *t)
{
	if (in_handshake(t))
		t->note |= PSI_TLS_GAP;
}

/* Length of a Finished record without padding (RFC 8446 section 5.2: 4 + hash + 1 + tag). */
static uint16_t
finished_len(uint16_t cipher)
{
	return (uint16_t)(4 + (cipher == 0x1302 ? 48 : 32) + 1 + (cipher == 0x1305 ? 8 : 16));
}

/* TLS 1.3: the handshake goes on until the client's Finished, which is told by its length, padded by 16 or not. */
static void
see_13(struct tls_in *x)
{
	struct psi_tls *t = x->t;
	uint16_t f = finished_len(t->cipher);

	if (!(t->messages & PSI_MSG_SERVER_HELLO) || t->client < 0 || t->side[t->client].fin)
		return;
	t->last_hs_ns = x->now_ns;
	if (x->side == (unsigned int)t->client && (x->s->rec_len == f || x->s->rec_len == f + 16))
		x->s->fin = 1;
}

/* Keeps the length and place of an encrypted record. */
static void
add_encrypted(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;

	if (s->enc_cnt < PSI_TLS_RECORD_MAX) {
		s->enc_len[s->enc_cnt] = s->rec_len;
		s->enc_type[s->enc_cnt] = s->rec_type;
		s->enc_peer[s->enc_cnt] = x->t->side[!x->side].enc_cnt;
	}
	if (s->enc_cnt < UINT16_MAX)
		s->enc_cnt++;
	s->last_enc_len = s->rec_len;
	s->last_enc_peer = x->t->side[!x->side].enc_cnt;
	s->enc_bytes += s->rec_len;
	s->enc_max = PSI_MAX(s->enc_max, s->rec_len);
}

static enum tls_state
on_ccs(struct tls_in *x)
{
	struct psi_tls *t = x->t;
	struct psi_tls_side *s = x->s;
	enum psi_dir dir = tls_dir(t, x->side);
	uint32_t server_said = PSI_MSG_SERVER_CERTIFICATE | PSI_MSG_SERVER_KEY_EXCHANGE |
			       PSI_MSG_SERVER_HELLO_DONE;

	t->last_hs_ns = x->now_ns;
	t->messages |= first_bit(
		PSI_MSG_CLIENT_CHANGE_CIPHER_SPEC, PSI_MSG_SERVER_CHANGE_CIPHER_SPEC, dir);
	tls_letter(t, x->side, 'i');
	if (s->ccs && s->rec_len > 1)
		t->note |= PSI_TLS_RENEGOTIATION;
	s->ccs = 1;
	/* An abbreviated handshake: the server goes straight from its hello (and ticket) to ChangeCipherSpec. */
	if (dir == PSI_S2C && t->version && t->version < 0x0304 &&
		(t->messages & PSI_MSG_SERVER_HELLO) && !(t->messages & server_said) &&
		!(t->note & PSI_TLS_GAP))
		t->note |= PSI_TLS_RESUMED;
	return TLS_SKIP;
}

/* An alert is kept with what went before it; whether it is an error is for tls_infer.c to say. */
static void
add_alert(struct tls_in *x, uint8_t level, uint8_t code, uint8_t flags)
{
	struct psi_tls *t = x->t;
	enum psi_dir dir = tls_dir(t, x->side);

	if (t->messages & (PSI_MSG_APP_DATA_FROM_CLIENT | PSI_MSG_APP_DATA_FROM_SERVER))
		flags |= PSI_TLS_ALERT_AFTER_DATA;
	if (t->side[0].fin && t->side[1].fin)
		flags |= PSI_TLS_ALERT_AFTER_FINISHED;
	if (t->alert_cnt < PSI_TLS_ALERT_MAX)
		t->alert[t->alert_cnt++] = (struct psi_tls_alert){.len = x->s->rec_len,
			.dir = dir,
			.level = level,
			.code = code,
			.flags = flags};
	if (t->alert_total[dir] < UINT16_MAX)
		t->alert_total[dir]++;
	t->messages |= first_bit(PSI_MSG_CLIENT_ALERT, PSI_MSG_SERVER_ALERT, dir);
	tls_letter(t, x->side, 'l');
}

static enum tls_state
on_alert_hdr(struct tls_in *x)
{
	if (x->s->rec_len == 2)
		return TLS_ALERT;
	if (x->s->rec_len < 2) {
		x->t->note |= PSI_TLS_MALFORMED;
		return TLS_SKIP;
	}
	add_alert(x, 0, 0, PSI_TLS_ALERT_ENCRYPTED);
	add_encrypted(x);
	return TLS_SKIP;
}

/* An encrypted handshake record (TLS <= 1.2): the first one is Finished; one after both is a new handshake. */
static enum tls_state
on_hidden_handshake(struct tls_in *x)
{
	if (!x->s->ccs)
		; /* joined late: nothing says what it is */
	else if (!x->s->fin)
		x->s->fin = 1;
	else if (x->t->side[!x->side].fin)
		x->t->note |= PSI_TLS_RENEGOTIATION;
	add_encrypted(x);
	return TLS_SKIP;
}

static enum tls_state
on_handshake_hdr(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;

	x->t->last_hs_ns = x->now_ns;
	if (s->ccs && x->t->version && !tls_is_13(x->t))
		return on_hidden_handshake(x);
	/* ChangeCipherSpec without a version: a TLS 1.2 client seen alone, or 1.3 whose HelloRetryRequest is missing. */
	if (s->ccs && !x->t->version)
		s->bits &= (uint8_t)~TLS_B_SYNC;
	if (!(s->bits & TLS_B_SYNC) && s->rec_len < TLS_MSG_HDR_LEN)
		return on_hidden_handshake(x);
	return TLS_CLEAR;
}

static enum tls_state
on_data_hdr(struct tls_in *x)
{
	struct psi_tls *t = x->t;
	struct psi_tls_side *s = x->s;

	if (!(s->bits & TLS_B_DATA))
		tls_letter(t, x->side, 'd');
	s->bits |= TLS_B_DATA;
	if (tls_is_13(t)) {
		add_encrypted(x);
		see_13(x);
		return TLS_SKIP;
	}
	if (s->ccs)
		add_encrypted(x);
	s->app_bytes += s->rec_len;
	t->messages |= first_bit(
		PSI_MSG_APP_DATA_FROM_CLIENT, PSI_MSG_APP_DATA_FROM_SERVER, tls_dir(t, x->side));
	return TLS_SKIP;
}

/* A record header is complete. */
static int
open_record(struct tls_in *x, const uint8_t *h)
{
	struct psi_tls_side *s = x->s;
	enum tls_state next = TLS_SKIP;

	s->hdr_have = 0;
	s->rec_type = h[0];
	s->rec_version = psi_be16(h + 1);
	s->rec_len = psi_be16(h + 3);
	s->rec_left = s->rec_len;
	s->last_ns = x->now_ns;
	if (s->rec_type < PSI_CT_CHANGE_CIPHER_SPEC || s->rec_type > PSI_CT_HEARTBEAT ||
		h[1] != 3 || s->rec_len > TLS_REC_LEN_MAX)
		return fail(x, PSI_E_LOST_SYNC);
	switch ((enum psi_content_type)s->rec_type) {
	case PSI_CT_CHANGE_CIPHER_SPEC: next = on_ccs(x); break;
	case PSI_CT_ALERT: next = on_alert_hdr(x); break;
	case PSI_CT_HANDSHAKE: next = on_handshake_hdr(x); break;
	case PSI_CT_APPLICATION_DATA: next = on_data_hdr(x); break;
	case PSI_CT_HEARTBEAT:
		x->t->note |= PSI_TLS_HEARTBEAT;
		tls_letter(x->t, x->side, 'b');
		break;
	}
	s->state = s->rec_left ? next : TLS_HDR;
	return PSI_OK;
}

/* ---- the states ---- */

static int on_start(struct tls_in *x);
static int on_hdr(struct tls_in *x);
static int on_clear(struct tls_in *x);
static int on_alert(struct tls_in *x);
static int on_skip(struct tls_in *x);
static int on_v2_body(struct tls_in *x);
static int on_v2_hdr(struct tls_in *x);
static int on_resync(struct tls_in *x);

static int
run(struct tls_in *x)
{
	int rc = PSI_OK;

	while (rc == PSI_OK && psi_cursor_left(&x->c))
		switch ((enum tls_state)x->s->state) {
		case TLS_START: rc = on_start(x); break;
		case TLS_HDR: rc = on_hdr(x); break;
		case TLS_CLEAR: rc = on_clear(x); break;
		case TLS_ALERT: rc = on_alert(x); break;
		case TLS_SKIP: rc = on_skip(x); break;
		case TLS_V2_BODY: rc = on_v2_body(x); break;
		case TLS_V2_HDR: rc = on_v2_hdr(x); break;
		case TLS_RESYNC: rc = on_resync(x); break;
		case TLS_FAILED: return x->s->err;
		}
	return rc;
}

/* Takes bytes into hdr until it holds want. */
static bool
stage(struct tls_in *x, uint8_t want)
{
	struct psi_tls_side *s = x->s;
	size_t n = PSI_MIN((size_t)(want - s->hdr_have), psi_cursor_left(&x->c));

	memcpy(s->hdr + s->hdr_have, psi_take(&x->c, n), n);
	s->hdr_have = (uint8_t)(s->hdr_have + n);
	return s->hdr_have == want;
}

/* A whole record header, where it stands or, when it straddles two pieces, staged. NULL: it goes on. */
static const uint8_t *
take_header(struct tls_in *x)
{
	if (psi_likely(!x->s->hdr_have && psi_cursor_left(&x->c) >= TLS_HDR_LEN))
		return psi_take(&x->c, TLS_HDR_LEN);
	return stage(x, TLS_HDR_LEN) ? x->s->hdr : NULL;
}

/* The rest of the current record in this piece: at most max bytes. */
static const uint8_t *
take_body(struct tls_in *x, uint32_t *n)
{
	*n = (uint32_t)PSI_MIN((size_t)x->s->rec_left, psi_cursor_left(&x->c));
	x->s->rec_left -= *n;
	return psi_take(&x->c, *n);
}

static int
not_tls(struct tls_in *x)
{
	const struct psi_tls_side *peer = &x->t->side[!x->side];

	if (peer->rec_version)
		x->t->note |= PSI_TLS_PEER_NOT_TLS;
	return fail(x, PSI_E_NOT_TLS);
}

static void
begin(struct tls_in *x)
{
	struct psi_tls_side *peer = &x->t->side[!x->side];

	if (!x->t->first_ns)
		x->t->first_ns = x->now_ns;
	if (peer->err == PSI_E_NOT_TLS)
		x->t->note |= PSI_TLS_PEER_NOT_TLS;
}

static int
v2_begin(struct tls_in *x, const uint8_t *h)
{
	struct psi_tls_side *s = x->s;
	uint32_t len = (uint32_t)(h[0] & 0x7f) << 8 | h[1];

	s->hdr_have = 0;
	s->rec_version = 0x0002;
	s->rec_len = (uint16_t)len;
	s->rec_left = len - 3;
	s->state = TLS_V2_BODY;
	x->t->last_hs_ns = x->now_ns;
	tls_v2_begin(x, h[2] == 1 ? PSI_HS_CLIENT_HELLO : PSI_HS_SERVER_HELLO, len);
	tls_v2_feed(x, h + 2, 3); /* what was needed to tell is part of the message */
	return PSI_OK;
}

static int
on_start(struct tls_in *x)
{
	const uint8_t *h = take_header(x);
	int rc = h ? psi_tls_probe(h, TLS_HDR_LEN) : psi_tls_probe(x->s->hdr, x->s->hdr_have);

	if (rc == PSI_E_AGAIN)
		return PSI_OK;
	if (rc != PSI_OK)
		return not_tls(x);
	begin(x);
	return h[0] & 0x80 ? v2_begin(x, h) : open_record(x, h);
}

static int
on_hdr(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;
	const uint8_t *h;

	if ((s->bits & TLS_B_V2_HELLO) && !s->hdr_have && (x->c.p[0] < 20 || x->c.p[0] > 24)) {
		s->state = TLS_V2_HDR; /* no record of SSLv3 or later: the session is SSLv2 */
		return PSI_OK;
	}
	h = take_header(x);
	if (!h)
		return PSI_OK;
	s->bits &= (uint8_t)~TLS_B_V2_HELLO;
	return open_record(x, h);
}

static int
on_clear(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;
	uint32_t n;
	const uint8_t *p = take_body(x, &n);

	if (!tls_msg_feed(x, p, n)) {
		on_hidden_handshake(x);
		s->state = TLS_SKIP;
	}
	if (!s->rec_left)
		s->state = TLS_HDR;
	return PSI_OK;
}

static int
on_alert(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;

	if (!stage(x, 2))
		return PSI_OK;
	s->hdr_have = 0;
	s->rec_left = 0;
	s->state = TLS_HDR;
	add_alert(x, s->hdr[0], s->hdr[1], 0);
	return PSI_OK;
}

static int
on_skip(struct tls_in *x)
{
	uint32_t n;

	take_body(x, &n);
	if (!x->s->rec_left)
		x->s->state = x->s->rec_version == 0x0002 ? TLS_V2_HDR : TLS_HDR;
	return PSI_OK;
}

static int
on_v2_body(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;
	uint32_t n;
	const uint8_t *p = take_body(x, &n);

	tls_v2_feed(x, p, n);
	if (s->rec_left)
		return PSI_OK;
	s->bits |= TLS_B_SYNC;
	if (s->msg_type == PSI_HS_CLIENT_HELLO) {
		s->bits |= TLS_B_V2_HELLO;
		s->state = TLS_HDR;
	} else {
		s->state = TLS_V2_HDR;
	}
	return PSI_OK;
}

/* draft-hickman-netscape-ssl section 4.1: two bytes, or three when there is padding. */
static int
on_v2_hdr(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;
	uint8_t want = s->hdr_have && !(s->hdr[0] & 0x80) ? 3 : 2;

	if (!stage(x, s->hdr_have ? want : 1) || s->hdr_have == 1)
		return PSI_OK;
	s->hdr_have = 0;
	s->rec_version = 0x0002;
	s->rec_type = 0;
	s->rec_len = (uint16_t)((s->hdr[0] & (want == 2 ? 0x7f : 0x3f)) << 8 | s->hdr[1]);
	s->rec_left = s->rec_len;
	add_encrypted(x);
	s->state = s->rec_left ? TLS_SKIP : TLS_V2_HDR;
	return PSI_OK;
}

/* Whether a record header stands at p: itself plausible, and so is what follows the record as far as it is in sight.
 * Out of sight it is believed only where a segment begins, since stacks put records there. */
static bool
resync_here(const uint8_t *p, size_t left, bool at_start)
{
	size_t next;

	if (left < TLS_HDR_LEN || !header_plausible(p, TLS_HDR_LEN))
		return false;
	next = TLS_HDR_LEN + psi_be16(p + 3);
	if (next > left)
		return at_start;
	if (left - next < TLS_HDR_LEN && left != next && !at_start)
		return false;
	return header_plausible(p + next, PSI_MIN(left - next, TLS_HDR_LEN));
}

static int
on_resync(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;
	size_t left = psi_cursor_left(&x->c);

	for (size_t i = 0; i < left; i++) {
		if (!resync_here(x->c.p + i, left - i, i == 0))
			continue;
		psi_take(&x->c, i);
		s->state = TLS_HDR;
		begin(x);
		return PSI_OK;
	}
	psi_take(&x->c, left);
	if (left >= s->resync_left)
		return fail(x, PSI_E_LOST_SYNC);
	s->resync_left -= (uint32_t)left;
	return PSI_OK;
}

/* ---- the calls ---- */

void
psi_tls_init(struct psi_tls *t)
{
	memset(t, 0, sizeof(*t));
	t->client = -1;
}

void
psi_tls_client(struct psi_tls *t, unsigned int side)
{
	tls_learn_client(t, side);
}

/* Bytes behind the current position that need not be seen. */
static uint32_t
skippable(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;
	uint32_t n;

	if (s->state == TLS_SKIP) {
		n = s->rec_left;
		s->state = s->rec_version == 0x0002 ? TLS_V2_HDR : TLS_HDR;
		s->rec_left = 0;
		return n;
	}
	if (s->state != TLS_CLEAR)
		return 0;
	n = tls_msg_idle(x);
	if (n <=
		s->rec_left) /* the header of the next message is in this record, or begins the next one */
		return 0;
	n = s->rec_left;
	s->msg_left -= n;
	s->rec_left = 0;
	s->state = TLS_HDR;
	return n;
}

int
psi_tls_push(struct psi_tls *t, unsigned int side, const uint8_t *p, uint32_t len, uint64_t ts_ns,
	const struct psi_tls_ops *ops, void *ctx, uint32_t *skip)
{
	struct tls_in x = {t, &t->side[side], ops, ctx, psi_cursor(p, len), ts_ns, side};
	int rc = x.s->err ? x.s->err : run(&x);

	*skip = rc == PSI_OK ? skippable(&x) : 0;
	return rc;
}

/* A hole in the body of the current record, not beyond its end. */
static void
gap_in_record(struct tls_in *x, uint32_t len)
{
	struct psi_tls_side *s = x->s;

	s->rec_left -= len;
	if (s->state == TLS_CLEAR) {
		note_gap(x->t);
		if (!tls_msg_gap(x, len))
			s->state = TLS_SKIP;
	} else if (s->state == TLS_ALERT) {
		note_gap(x->t);
		s->hdr_have = 0;
		s->state = TLS_SKIP;
	}
	if (!s->rec_left)
		s->state = s->rec_version == 0x0002 ? TLS_V2_HDR : TLS_HDR;
}

int
psi_tls_gap(struct psi_tls *t, unsigned int side, uint32_t len, uint64_t ts_ns,
	const struct psi_tls_ops *ops, void *ctx, uint32_t *skip)
{
	struct psi_tls_side *s = &t->side[side];
	struct tls_in x = {t, s, ops, ctx, {NULL, NULL}, ts_ns, side};
	bool body = s->state == TLS_CLEAR || s->state == TLS_ALERT || s->state == TLS_SKIP;

	*skip = 0;
	if (s->err)
		return s->err;
	if (body && len && len <= s->rec_left) {
		gap_in_record(&x, len);
		*skip = skippable(&x);
		return PSI_OK;
	}
	note_gap(t);
	tls_msg_abandon(&x);
	s->hdr_have = 0;
	s->rec_left = 0;
	if (s->rec_version == 0x0002) /* its headers are two bytes that look like any others */
		return fail(&x, PSI_E_LOST_SYNC);
	s->state = TLS_RESYNC;
	if (!s->resync_left)
		s->resync_left = TLS_RESYNC_MAX;
	return PSI_OK;
}

/* ---- phase ---- */

/* TLS 1.3: the client's application data is certain when a record behind its Finished is longer than any closing
 * alert, the server's when it sent something behind that. Eight records of each side are enough in any case. */
static bool
data_both_13(const struct psi_tls *t)
{
	const struct psi_tls_side *c, *s;
	uint16_t f = finished_len(t->cipher);
	bool fin = false;

	if (t->client < 0 || !(t->messages & PSI_MSG_SERVER_HELLO))
		return false;
	c = &t->side[t->client];
	s = &t->side[!t->client];
	for (unsigned int i = c->enc_at_sh; i < PSI_MIN(c->enc_cnt, PSI_TLS_RECORD_MAX); i++) {
		if (fin && c->enc_len[i] > 2 + 1 + 16 + 16 && s->enc_cnt > c->enc_peer[i])
			return true;
		fin |= c->enc_len[i] == f || c->enc_len[i] == f + 16;
	}
	return c->enc_cnt >= PSI_TLS_RECORD_MAX && s->enc_cnt >= PSI_TLS_RECORD_MAX;
}

enum psi_tls_phase
psi_tls_phase(const struct psi_tls *t)
{
	const uint32_t both = PSI_MSG_APP_DATA_FROM_CLIENT | PSI_MSG_APP_DATA_FROM_SERVER;
	const struct psi_tls_side *a = &t->side[0], *b = &t->side[1];

	if (a->err && b->err)
		return PSI_TLS_PHASE_DECIDED;
	if (!a->rec_version && !b->rec_version)
		return PSI_TLS_PHASE_UNKNOWN;
	if ((t->messages & both) == both || data_both_13(t))
		return PSI_TLS_PHASE_DECIDED;
	if (t->version == 0x0002 && a->enc_cnt >= 4 && b->enc_cnt >= 4)
		return PSI_TLS_PHASE_DECIDED;
	return PSI_TLS_PHASE_HANDSHAKE;
}
