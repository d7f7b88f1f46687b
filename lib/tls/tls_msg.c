/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_msg.c: the handshake layer: message headers, and the machine that runs the steps of tls_steps.def over bodies.
 * Hot: no allocation, no copy but of a fixed part that straddles two pieces.
 *
 * Invariants of a message being read (msg_hdr_have == TLS_MSG_HDR_LEN):
 * - msg_left bytes of it are still to come;
 * - region d (0 is the message itself) closes when msg_left reaches end[d]; end[d] >= end[d - 1]; end[0] is 0;
 * - step is what comes next in region `depth`, ret[depth] what follows behind it in the one around it. */
#include "tls_pvt.h"

struct step {
	uint8_t need;
	uint8_t may_end;
	uint8_t many;
	void (*fn)(struct tls_in *x, const uint8_t *p, uint32_t len);
};

static const struct step steps[TLS_S_CNT] = {
#define STEP(sym, n, e, m, fn) {n, e, m, tls_##fn},
#include "tls_steps.def"
#undef STEP
};

#define STEP(sym, n, e, m, fn) \
	_Static_assert((n) <= TLS_FIX_MAX, "fixed parts fit into their staging buffer");
#include "tls_steps.def"
#undef STEP
_Static_assert(sizeof(((struct psi_tls_side *)0)->fix) == TLS_FIX_MAX, "");
_Static_assert(PSI_COUNT(((struct psi_tls_side *)0)->end) == TLS_DEPTH_MAX + 1, "");

/* Bits come in pairs, the client's and the server's: those of side 0 and 1 while the client is not known. */
static uint32_t
turn_round(uint32_t m)
{
	static const uint32_t pair[][2] = {
		{PSI_MSG_CLIENT_ALERT, PSI_MSG_SERVER_ALERT},
		{PSI_MSG_CLIENT_CERTIFICATE, PSI_MSG_SERVER_CERTIFICATE},
		{PSI_MSG_CLIENT_CHANGE_CIPHER_SPEC, PSI_MSG_SERVER_CHANGE_CIPHER_SPEC},
		{PSI_MSG_CLIENT_FINISHED, PSI_MSG_SERVER_FINISHED},
		{PSI_MSG_APP_DATA_FROM_CLIENT, PSI_MSG_APP_DATA_FROM_SERVER},
	};
	uint32_t out = m;

	for (size_t i = 0; i < PSI_COUNT(pair); i++) {
		out &= ~(pair[i][0] | pair[i][1]);
		out |= m & pair[i][0] ? pair[i][1] : 0;
		out |= m & pair[i][1] ? pair[i][0] : 0;
	}
	return out;
}

void
tls_learn_client(struct psi_tls *t, unsigned int side)
{
	uint16_t n = t->alert_total[0];

	if (t->client >= 0)
		return;
	t->client = (int8_t)side;
	if (side == 0)
		return;
	t->messages = turn_round(t->messages);
	for (unsigned int i = 0; i < t->alert_cnt; i++)
		t->alert[i].dir ^= 1;
	t->alert_total[0] = t->alert_total[1];
	t->alert_total[1] = n;
	for (unsigned int i = 0; i < t->seq_len; i++)
		t->seq[i] ^= 0x20; /* ASCII: the other case */
}

void
tls_letter(struct psi_tls *t, unsigned int side, char lower)
{
	if (t->seq_len < PSI_TLS_SEQ_MAX)
		t->seq[t->seq_len++] = tls_dir(t, side) == PSI_C2S ? (char)(lower - 0x20) : lower;
}

void
tls_malformed(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;

	x->t->note |= PSI_TLS_MALFORMED;
	if (s->msg_type == PSI_HS_CLIENT_HELLO && s->depth == 0 && s->step != TLS_S_EXTS_LEN)
		x->t->note |= PSI_TLS_HELLO_BROKEN;
	s->depth = 0;
	s->step = TLS_S_REST;
}

void
tls_open(struct tls_in *x, uint32_t len, enum tls_step inside, enum tls_step after)
{
	struct psi_tls_side *s = x->s;

	if (len > tls_room(s)) {
		tls_malformed(x);
		return;
	}
	s->step = (uint8_t)after;
	s->span_off = 0;
	if (len == 0) {
		if (!steps[inside].may_end)
			x->t->note |= PSI_TLS_MALFORMED;
		return;
	}
	PSI_ASSERT(s->depth < TLS_DEPTH_MAX, "regions nest no deeper than the formats do");
	s->depth++;
	s->end[s->depth] = s->msg_left - len;
	s->ret[s->depth] = (uint8_t)after;
	s->step = (uint8_t)inside;
}

/* Closes the regions that end here. */
static void
close_regions(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;

	while (s->depth && tls_room(s) == 0) {
		if (s->fix_have || !steps[s->step].may_end)
			x->t->note |= PSI_TLS_MALFORMED;
		s->fix_have = 0;
		s->step = s->ret[s->depth--];
	}
}

/* A fixed part that is not there in one piece: as far as it goes. Returns how many bytes it took. */
static uint32_t
stage(struct tls_in *x, const struct step *st, const uint8_t *p, uint32_t len)
{
	struct psi_tls_side *s = x->s;
	uint32_t want = (uint32_t)(st->need - s->fix_have), n = PSI_MIN(len, want);

	if (want > tls_room(s)) {
		s->fix_have = 0;
		tls_malformed(x);
		return 0;
	}
	memcpy(s->fix + s->fix_have, p, n);
	s->fix_have = (uint8_t)(s->fix_have + n);
	s->msg_left -= n;
	if (s->fix_have == st->need) {
		s->fix_have = 0;
		st->fn(x, s->fix, st->need);
	}
	return n;
}

/* Runs one step, as far as len > 0 bytes go. Returns how many it took. */
static inline uint32_t
run_step(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	struct psi_tls_side *s = x->s;
	const struct step *st = &steps[s->step];
	uint32_t n = PSI_MIN(len, tls_room(s));

	if (!st->need) {
		s->msg_left -= n;
		st->fn(x, p, n);
		s->span_off = (uint16_t)(s->span_off + n);
		return n;
	}
	if (s->fix_have || n < st->need)
		return stage(x, st, p, len);
	n = st->many ? n - n % st->need : st->need;
	s->msg_left -= n;
	st->fn(x, p, n);
	return n;
}

/* Feeds the body of the current message. Returns how many bytes belonged to it. */
static uint32_t
feed_body(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	struct psi_tls_side *s = x->s;
	uint32_t n = PSI_MIN(len, s->msg_left), at = 0;

	while (at < n) {
		at += run_step(x, p + at, n - at);
		if (tls_room(s) == 0)
			close_regions(x);
	}
	return n;
}

static void
hello_request(struct psi_tls *t)
{
	if (t->messages & PSI_MSG_CLIENT_HELLO)
		t->note |= PSI_TLS_RENEGOTIATION;
}

/* The message is complete: what follows from that. */
static void
msg_end(struct tls_in *x)
{
	struct psi_tls *t = x->t;
	struct psi_tls_side *s = x->s;
	bool whole = !(s->bits & TLS_B_CUT), hrr = s->bits & TLS_B_HRR;

	if (s->depth || s->fix_have || !steps[s->step].may_end)
		tls_malformed(x);
	s->msg_hdr_have = 0;
	tls_cert_end(x, whole);
	if (s->msg_type == PSI_HS_CLIENT_HELLO)
		tls_ch_end(t);
	if (s->msg_type == PSI_HS_SERVER_HELLO)
		tls_sh_end(x);
	s->bits &= (uint8_t) ~(TLS_B_CUT | TLS_B_HRR);
	if (!whole)
		return;
	if (s->msg_type == PSI_HS_HELLO_REQUEST)
		hello_request(t);
	if (s->msg_type == PSI_HS_CERTIFICATE && tls_dir(t, x->side) == PSI_S2C)
		t->note &= ~(uint32_t)PSI_TLS_RESUMED; /* the echoed session id meant nothing */
	if (!hrr)
		t->messages |= psi_msg_of(s->msg_type, tls_dir(t, x->side));
	tls_letter(t, x->side, hrr ? 'j' : psi_hs_letter(s->msg_type));
}

/* The step that a message begins with. Of each hello only the first is read: the second one, after a
 * HelloRetryRequest, says the same but for the key share, and fingerprints are of the first. */
static enum tls_step
first_step(struct tls_in *x)
{
	struct psi_tls *t = x->t;

	switch (x->s->msg_type) {
	case PSI_HS_CLIENT_HELLO:
		if (!t->hello.begun) {
			t->hello.begun = 1;
			return TLS_S_CH_FIX;
		}
		if (!(t->note & PSI_TLS_HRR))
			t->note |= PSI_TLS_RENEGOTIATION;
		return TLS_S_REST;
	case PSI_HS_SERVER_HELLO:
		return t->messages & PSI_MSG_SERVER_HELLO ? TLS_S_REST : TLS_S_SH_FIX;
	case PSI_HS_HELLO_RETRY_REQUEST: t->note |= PSI_TLS_HRR; return TLS_S_REST;
	case PSI_HS_CERTIFICATE: return TLS_S_CERT;
	case PSI_HS_SERVER_KEY_EXCHANGE: return tls_ske_first(t);
	case PSI_HS_NEW_SESSION_TICKET: return TLS_S_NST_FIX;
	case PSI_HS_CERTIFICATE_STATUS: return TLS_S_STATUS_TYPE;
	}
	return TLS_S_REST;
}

/* Which side sent this, if the type of the message tells. */
static void
learn_from_type(struct tls_in *x)
{
	bool c = psi_msg_of(x->s->msg_type, PSI_C2S) != PSI_MSG_HANDSHAKE_OTHER;
	bool s = psi_msg_of(x->s->msg_type, PSI_S2C) != PSI_MSG_HANDSHAKE_OTHER;

	if (c != s)
		tls_learn_client(x->t, c ? x->side : !x->side);
}

/* Whether a record that begins so is clear handshake, when nothing before tells: the start of a flow, or behind a
 * hole. Encrypted records often begin with zeros (an explicit nonce), which would read as HelloRequest. Types that end
 * a flight fill their record; only the others may be followed by something in it. */
static bool
plausible(const struct psi_tls_side *s, uint8_t type, uint32_t len)
{
	uint32_t in_rec = (uint32_t)s->rec_len - TLS_MSG_HDR_LEN;
	bool fills = len >= in_rec;

	if (s->ccs) /* then only the ClientHello that answers a HelloRetryRequest is clear */
		return type == PSI_HS_CLIENT_HELLO && len >= 41 && len < TLS_MSG_LEN_MAX && fills;
	switch (type) {
	case PSI_HS_HELLO_REQUEST:
	case PSI_HS_SERVER_HELLO_DONE: return len == 0 && in_rec == 0;
	case PSI_HS_CLIENT_HELLO: return len >= 38 && len < TLS_MSG_LEN_MAX && fills;
	case PSI_HS_SERVER_HELLO: return len >= 38 && len < 0x4000;
	case PSI_HS_CERTIFICATE: return len >= 3 && len < TLS_MSG_LEN_MAX;
	case PSI_HS_SERVER_KEY_EXCHANGE: return len >= 8 && len < 0x4000;
	case PSI_HS_CERTIFICATE_REQUEST: return len >= 4 && len < 0x10000;
	case PSI_HS_CLIENT_KEY_EXCHANGE: return len >= 1 && len <= 0x1000 && len <= in_rec;
	case PSI_HS_CERTIFICATE_VERIFY: return len >= 8 && len < 0x2000 && len == in_rec;
	case PSI_HS_NEW_SESSION_TICKET: return len >= 6 && len < 0x10000 && fills;
	case PSI_HS_CERTIFICATE_STATUS: return len >= 4 && len < 0x10000;
	}
	return false;
}

/* A message header is complete. Returns false when it is none. */
static bool
msg_begin(struct tls_in *x, const uint8_t *h)
{
	struct psi_tls_side *s = x->s;
	uint8_t type = h[0];
	uint32_t len = psi_be24(h + 1);

	if (!(s->bits & TLS_B_SYNC) && !plausible(s, type, len))
		return false;
	/* A length that cannot be swallows what follows, as it would for a peer: nothing is guessed behind it. */
	if (len > TLS_MSG_LEN_MAX && type != PSI_HS_CERTIFICATE)
		x->t->note |= PSI_TLS_MALFORMED;
	s->bits |= TLS_B_SYNC;
	s->msg_type = type;
	s->msg_len = s->msg_left = len;
	s->depth = s->fix_have = 0;
	s->span_off = 0;
	s->list = 0;
	learn_from_type(x);
	s->step = (uint8_t)first_step(x);
	if (len == 0)
		msg_end(x);
	return true;
}

/* A whole message header, where it stands or, when it straddles two pieces, staged; NULL: it goes on. *n: bytes taken. */
static const uint8_t *
take_header(struct psi_tls_side *s, const uint8_t *p, uint32_t len, uint32_t *n)
{
	*n = PSI_MIN(len, (uint32_t)(TLS_MSG_HDR_LEN - s->msg_hdr_have));
	if (psi_unlikely(*n < TLS_MSG_HDR_LEN)) {
		memcpy(s->msg_hdr + s->msg_hdr_have, p, *n);
		p = s->msg_hdr;
	}
	s->msg_hdr_have = (uint8_t)(s->msg_hdr_have + *n);
	return s->msg_hdr_have == TLS_MSG_HDR_LEN ? p : NULL;
}

bool
tls_msg_feed(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	struct psi_tls_side *s = x->s;

	while (len) {
		const uint8_t *h;
		uint32_t n;

		if (s->msg_hdr_have == TLS_MSG_HDR_LEN) {
			n = feed_body(x, p, len);
			if (s->msg_left == 0)
				msg_end(x);
		} else {
			h = take_header(s, p, len, &n);
			if (h && !msg_begin(x, h)) {
				s->msg_hdr_have = 0;
				s->bits &= (uint8_t)~TLS_B_SYNC;
				return false;
			}
		}
		p += n;
		len -= n;
	}
	return true;
}

/* A hole in the message: what it holds cannot be read any more, where it ends is still known. */
static void
msg_cut(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;

	s->bits |= TLS_B_CUT;
	s->depth = s->fix_have = 0;
	s->step = TLS_S_REST;
	tls_cert_end(x, false);
}

bool
tls_msg_gap(struct tls_in *x, uint32_t len)
{
	struct psi_tls_side *s = x->s;
	uint32_t n;

	if (s->msg_hdr_have < TLS_MSG_HDR_LEN || s->msg_left < len) {
		tls_msg_abandon(x);
		return false;
	}
	msg_cut(x);
	n = PSI_MIN(len, s->msg_left);
	s->msg_left -= n;
	if (s->msg_left == 0)
		msg_end(x);
	return true;
}

void
tls_msg_abandon(struct tls_in *x)
{
	struct psi_tls_side *s = x->s;

	if (s->msg_hdr_have == TLS_MSG_HDR_LEN) {
		msg_cut(x);
		s->msg_left = 0;
		msg_end(x);
	}
	s->msg_hdr_have = 0;
	s->bits &= (uint8_t)~TLS_B_SYNC;
}

uint32_t
tls_msg_idle(const struct tls_in *x)
{
	const struct psi_tls_side *s = x->s;

	if (s->msg_hdr_have < TLS_MSG_HDR_LEN || s->depth)
		return 0;
	if (s->step == TLS_S_REST || (s->step == TLS_S_CERT && !x->ops))
		return s->msg_left;
	return 0;
}

void
tls_v2_begin(struct tls_in *x, uint8_t hs_type, uint32_t len)
{
	struct psi_tls_side *s = x->s;

	s->msg_hdr_have = TLS_MSG_HDR_LEN; /* the record header stood for it */
	s->msg_type = hs_type;
	s->msg_len = s->msg_left = len;
	s->depth = s->fix_have = 0;
	learn_from_type(x);
	if (hs_type != PSI_HS_CLIENT_HELLO) {
		s->step = TLS_S_V2_SH_FIX;
		return;
	}
	s->step = x->t->hello.begun ? TLS_S_REST : TLS_S_V2_CH_FIX;
	x->t->hello.begun = 1;
}

void
tls_v2_feed(struct tls_in *x, const uint8_t *p, uint32_t len)
{
	feed_body(x, p, len);
	if (x->s->msg_left == 0)
		msg_end(x);
}
