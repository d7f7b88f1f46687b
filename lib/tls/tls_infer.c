/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be told of a connection from the type, order and length of its records. Rules by id: infer_rules.def. */
#include "psi_tls.h"

#define TLS13	       0x0304
#define JSSE_PAD       16
#define TICKET_LEN_MAX 4096 /* no server known seals a session ticket as long as this */
#define LATE_MIN_NS    100000000u
#define LATE_FACTOR    10
#define CERT_RECORD_MAX \
	3 /* Certificate, CertificateVerify, and a third for a chain beyond one record */
#define GAP_RECORDS_MIN 5 /* with records missing: more than any handshake's share */

#define UNRELIABLE (PSI_TLS_GAP | PSI_TLS_CLIENT_ONLY | PSI_TLS_SERVER_ONLY)

/* ---- lengths under TLS 1.3 ---- */

struct suite {
	uint16_t tag, hash;
};

static struct suite
suite_of(uint16_t cipher)
{
	switch (cipher) {
#define SUITE13(id, tag, hash) \
	case id:               \
		return (struct suite){tag, hash};
#include "tls13_suites.def"
#undef SUITE13
	}
	return (struct suite){16, 32};
}

enum kind {
	KIND_OTHER,
#define REC13(sym, content, text) KIND_##sym,
#include "tls13_records.def"
#undef REC13
};

/* kind_of: the row of tls13_records.def that has this length, plain or padded. */
static enum kind
kind_of(struct suite s, uint16_t len)
{
	const int HASH = s.hash, body = len - 1 - s.tag;

#define REC13(sym, content, text)                              \
	if (body == (content) || body == (content) + JSSE_PAD) \
		return KIND_##sym;
#include "tls13_records.def"
#undef REC13
	return KIND_OTHER;
}

static bool
holds_finished(struct suite s, uint16_t len)
{
	return len >= 4 + s.hash + 1 + s.tag;
}

/* ---- the work in hand ---- */

struct work {
	const struct psi_tls *t;
	const struct psi_tls_end *end; /* never NULL */
	const struct psi_tls_side *side[PSI_DIR_CNT];
	struct psi_tls_facts *out;
	struct suite suite;
	uint16_t data_from;	   /* index of the client's first data record; UINT16_MAX: none */
	uint16_t finished_at;	   /* index of its Finished; UINT16_MAX: none */
	bool error[PSI_DIR_CNT];   /* an error alert, clear or not */
	bool closing[PSI_DIR_CNT]; /* a close_notify */
};

#define NOWHERE UINT16_MAX

static void
infer(struct work *w, uint32_t messages)
{
	w->out->inferred |= messages & ~w->out->messages;
	w->out->messages |= messages;
}

/* add_alert: one that only its length tells. A goodbye is no error, and behind data none counts as one (A3). */
static void
add_alert(struct work *w, enum psi_dir dir, uint16_t len, bool closing)
{
	struct psi_tls_facts *o = w->out;
	struct psi_tls_alert a = {.len = len,
		.dir = (uint8_t)dir,
		.flags = PSI_TLS_ALERT_ENCRYPTED | PSI_TLS_ALERT_INFERRED};

	a.flags |= closing ? PSI_TLS_ALERT_CLOSING : 0;
	a.flags |= w->data_from != NOWHERE ? PSI_TLS_ALERT_AFTER_DATA : 0;
	a.flags |= w->finished_at != NOWHERE ? PSI_TLS_ALERT_AFTER_FINISHED : 0;
	if (o->alert_cnt < PSI_TLS_ALERT_MAX)
		o->alert[o->alert_cnt++] = a;
	infer(w, dir == PSI_C2S ? PSI_MSG_CLIENT_ALERT : PSI_MSG_SERVER_ALERT);
	if (closing)
		w->closing[dir] = true;
	else
		w->error[dir] = true;
	if (!closing && w->data_from == NOWHERE)
		o->flags |= PSI_FLAG_ALERT_SEEN;
}

static bool
ended(const struct work *w)
{
	return w->end->end_ns[PSI_C2S] || w->end->end_ns[PSI_S2C];
}

static bool
says_goodbye(const struct psi_tls_alert *a)
{
	return a->code == 0 || a->code == 90; /* close_notify, user_canceled */
}

/* ---- alerts of type 21: rules A1 to A5 ---- */

/* answered: the other side sent an encrypted alert of the same length (A4). */
static bool
answered(const struct psi_tls_facts *o, const struct psi_tls_alert *a)
{
	for (uint8_t i = 0; i < o->alert_cnt; i++) {
		const struct psi_tls_alert *b = &o->alert[i];

		if (b->dir != a->dir && b->len == a->len && b->flags & PSI_TLS_ALERT_ENCRYPTED &&
			b->flags & PSI_TLS_ALERT_AFTER_FINISHED)
			return true;
	}
	return false;
}

static bool
is_closing(const struct work *w, const struct psi_tls_alert *a)
{
	if (!(a->flags & PSI_TLS_ALERT_ENCRYPTED))
		return says_goodbye(a);
	if (a->flags & PSI_TLS_ALERT_AFTER_DATA)
		return true;
	return a->flags & PSI_TLS_ALERT_AFTER_FINISHED && answered(w->out, a);
}

/* survived: a warning (<= 1.2) that the handshake went on after: no reason for anything that came later. */
static bool
survived(const struct work *w, const struct psi_tls_alert *a)
{
	return !(a->flags & PSI_TLS_ALERT_ENCRYPTED) && a->level == 1 && w->t->version != TLS13 &&
	       w->out->messages & PSI_MSG_CLIENT_FINISHED;
}

static void
judge_alerts(struct work *w)
{
	struct psi_tls_facts *o = w->out;

	for (uint8_t i = 0; i < o->alert_cnt; i++) {
		struct psi_tls_alert *a = &o->alert[i];

		o->messages |= a->dir == PSI_C2S ? PSI_MSG_CLIENT_ALERT : PSI_MSG_SERVER_ALERT;
		if (is_closing(w, a)) {
			a->flags |= PSI_TLS_ALERT_CLOSING;
			w->closing[a->dir] = true;
			continue;
		}
		o->flags |= PSI_FLAG_ALERT_SEEN;
		if (!survived(w, a))
			w->error[a->dir] = true;
	}
}

/* ---- TLS 1.2 and before ---- */

static bool
sent_after_ccs(const struct psi_tls_side *s, enum psi_content_type type)
{
	for (uint16_t i = 0; i < s->enc_cnt && i < PSI_TLS_RECORD_MAX; i++)
		if (s->enc_type[i] == type)
			return true;
	return false;
}

static void
conclude12(struct work *w)
{
	/* F1. Behind a ChangeCipherSpec that was not seen, an encrypted handshake record may be anything. */
	if (w->t->messages & PSI_MSG_CLIENT_CHANGE_CIPHER_SPEC &&
		sent_after_ccs(w->side[PSI_C2S], PSI_CT_HANDSHAKE))
		w->out->messages |= PSI_MSG_CLIENT_FINISHED;
	if (w->t->messages & PSI_MSG_SERVER_CHANGE_CIPHER_SPEC &&
		sent_after_ccs(w->side[PSI_S2C], PSI_CT_HANDSHAKE))
		w->out->messages |= PSI_MSG_SERVER_FINISHED;
	for (int d = 0; d < PSI_DIR_CNT; d++)
		w->out->app_bytes[d] = w->side[d]->app_bytes;
	judge_alerts(w);
}

/* ---- TLS 1.3: the client's side ---- */

static uint16_t
listed(const struct psi_tls_side *s)
{
	return PSI_MIN(s->enc_cnt, PSI_TLS_RECORD_MAX);
}

/* refused_early_data: how many of the client's records are (T9). None when it offered none: what stands before the
 * ServerHello then was put there by the capture. */
static uint16_t
refused_early_data(const struct work *w)
{
	return w->t->note & PSI_TLS_EARLY_DATA ? w->side[PSI_C2S]->enc_at_sh : 0;
}

static void
client_certificate(struct work *w, bool empty)
{
	w->out->evidence |= PSI_EVID_client_cert_asked;
	infer(w, PSI_MSG_CLIENT_CERTIFICATE);
	if (empty) {
		infer(w, PSI_MSG_CERTIFICATE_REQUEST); /* T8 */
	} else {
		w->out->evidence |= PSI_EVID_client_cert_sent;
		infer(w, PSI_MSG_CERTIFICATE_VERIFY);
	}
}

/* find_finished walks the client's records up to its Finished (T2, T3). A flight without a record of a Finished's
 * length put it in one record with the client's certificate, which is then the first that can hold one. */
static void
find_finished(struct work *w, uint16_t from)
{
	const struct psi_tls_side *c = w->side[PSI_C2S];
	uint16_t coalesced = NOWHERE;

	for (uint16_t i = from; i < listed(c) && i <= from + CERT_RECORD_MAX; i++) {
		switch (kind_of(w->suite, c->enc_len[i])) {
		case KIND_ALERT:
			if (i == from)
				add_alert(w, PSI_C2S, c->enc_len[i], false);
			else
				w->finished_at = coalesced;
			return;
		case KIND_EMPTY_CERT: client_certificate(w, true); break;
		case KIND_EMPTY_CERT_FIN:
			client_certificate(w, true);
			w->finished_at = i;
			return;
		case KIND_FINISHED:
			if (coalesced != NOWHERE)
				client_certificate(w, false);
			w->finished_at = i;
			return;
		case KIND_END_OF_EARLY_DATA:
		case KIND_OTHER:
			if (coalesced == NOWHERE && holds_finished(w->suite, c->enc_len[i]))
				coalesced = i;
			break;
		}
	}
	w->finished_at = coalesced;
	if (coalesced != NOWHERE)
		client_certificate(w, false);
}

/* find_finished_psk: after an accepted PSK no certificate is sent; what is neither alert, EndOfEarlyData nor Finished
 * is early data. */
static void
find_finished_psk(struct work *w)
{
	const struct psi_tls_side *c = w->side[PSI_C2S];

	for (uint16_t i = 0; i < listed(c); i++) {
		switch (kind_of(w->suite, c->enc_len[i])) {
		case KIND_ALERT:
			if (i == 0)
				add_alert(w, PSI_C2S, c->enc_len[i], false);
			return;
		case KIND_FINISHED: w->finished_at = i; return;
		case KIND_END_OF_EARLY_DATA: break;
		case KIND_EMPTY_CERT:
		case KIND_EMPTY_CERT_FIN:
		case KIND_OTHER:
			if (w->data_from == NOWHERE)
				w->data_from = i;
			break;
		}
	}
}

/* pads: whether the client pads its records, told by its Finished, whose plain length is known. */
static bool
pads(const struct work *w)
{
	int plain = 4 + w->suite.hash + 1 + w->suite.tag;

	return w->side[PSI_C2S]->enc_len[w->finished_at] == plain + JSSE_PAD;
}

/* only_goodbye: the client's records from index at are one or two of an alert's length, and no more (T4). A client
 * that did not pad its Finished does not pad its alert either: 16 bytes more are then a short request. */
static bool
only_goodbye(const struct work *w, uint16_t at)
{
	const struct psi_tls_side *c = w->side[PSI_C2S];
	int alert = 2 + 1 + w->suite.tag + (pads(w) ? JSSE_PAD : 0);

	if (c->enc_cnt == at || c->enc_cnt - at > 2 || c->enc_cnt > PSI_TLS_RECORD_MAX)
		return false;
	for (uint16_t i = at; i < c->enc_cnt; i++)
		if (c->enc_len[i] != alert)
			return false;
	return true;
}

static void
after_finished(struct work *w)
{
	const struct psi_tls_side *c = w->side[PSI_C2S];
	uint16_t at = w->finished_at + 1;

	infer(w, PSI_MSG_CLIENT_FINISHED | PSI_MSG_SERVER_FINISHED); /* T7 */
	if (w->data_from != NOWHERE || c->enc_cnt <= at)
		return;
	if (!only_goodbye(w, at)) {
		w->data_from = at; /* T5 */
		return;
	}
	for (uint16_t i = at; ended(w) && i < c->enc_cnt; i++)
		add_alert(w, PSI_C2S, c->enc_len[i], true); /* T4, and no error */
}

/* payload: what a sealed record of that length can carry. */
static uint64_t
payload(const struct work *w, uint16_t len)
{
	uint16_t over = 1 + w->suite.tag;

	return len > over ? len - over : 0;
}

/* behind_lists: what the records that the lists do not hold can carry together. */
static uint64_t
behind_lists(const struct work *w, const struct psi_tls_side *s)
{
	uint64_t listed_bytes = 0, cnt = s->enc_cnt - listed(s), over = cnt * (1 + w->suite.tag);

	for (uint16_t i = 0; i < listed(s); i++)
		listed_bytes += s->enc_len[i];
	return s->enc_bytes > listed_bytes + over ? s->enc_bytes - listed_bytes - over : 0;
}

/* client_data_bytes: all from the first data record on. */
static void
client_data_bytes(struct work *w)
{
	const struct psi_tls_side *c = w->side[PSI_C2S];
	uint64_t *sum = &w->out->app_bytes[PSI_C2S];

	for (uint16_t i = w->data_from; i < listed(c); i++)
		if (i != w->finished_at)
			*sum += payload(w, c->enc_len[i]);
	*sum += behind_lists(w, c);
}

/* ---- TLS 1.3: the server's side ---- */

/* has_flight: the server sent a protected record before which no alert came (T1). */
static bool
has_flight(const struct work *w)
{
	const struct psi_tls_side *s = w->side[PSI_S2C];

	return s->enc_cnt && kind_of(w->suite, s->enc_len[0]) != KIND_ALERT;
}

/* server_alert: a record of an alert's length, which no message of the server's flight and no ticket has. It is an
 * error in the flight itself, and behind it when a certificate was asked of the client, unless the client spoke
 * first; otherwise it says goodbye. */
static void
server_alert(struct work *w, uint16_t len, uint16_t peer)
{
	bool in_flight = w->finished_at == NOWHERE || peer <= w->finished_at;
	bool spoke = w->error[PSI_C2S] || w->closing[PSI_C2S];
	bool asked = w->out->evidence & PSI_EVID_client_cert_asked;

	add_alert(w, PSI_S2C, len, spoke || !(in_flight || asked));
}

/* after_client_data: behind the client's Finished too, because early data comes before the server's flight. */
static bool
after_client_data(const struct work *w, uint16_t peer)
{
	return w->data_from != NOWHERE && w->finished_at != NOWHERE &&
	       peer > PSI_MAX(w->data_from, w->finished_at);
}

static void
server_records(struct work *w)
{
	const struct psi_tls_side *s = w->side[PSI_S2C];
	bool data = false;

	for (uint16_t i = 0; i < listed(s); i++) {
		uint16_t len = s->enc_len[i], peer = s->enc_peer[i];
		bool finished = w->finished_at != NOWHERE && peer > w->finished_at;

		if (kind_of(w->suite, len) == KIND_ALERT) {
			if (!data)
				server_alert(w, len, peer);
			continue;
		}
		if (after_client_data(w, peer) || (finished && len > TICKET_LEN_MAX)) { /* T6 */
			data = true;
			w->out->app_bytes[PSI_S2C] += payload(w, len);
		}
	}
	if (s->enc_cnt > PSI_TLS_RECORD_MAX && after_client_data(w, s->last_enc_peer))
		data |= s->enc_cnt > PSI_TLS_RECORD_MAX + 1 ||
			kind_of(w->suite, s->last_enc_len) != KIND_ALERT;
	if (data) {
		infer(w, PSI_MSG_APP_DATA_FROM_SERVER);
		w->out->app_bytes[PSI_S2C] += behind_lists(w, s);
	}
}

/* with_gap: records are missing, so places mean nothing; only their number does. */
static void
with_gap(struct work *w)
{
	if (w->side[PSI_C2S]->enc_cnt >= GAP_RECORDS_MIN)
		infer(w, PSI_MSG_APP_DATA_FROM_CLIENT);
	if (w->side[PSI_S2C]->enc_cnt > PSI_TLS_RECORD_MAX)
		infer(w, PSI_MSG_APP_DATA_FROM_SERVER);
}

static void
conclude13(struct work *w)
{
	bool psk = w->t->note & PSI_TLS_PSK_ACCEPTED;

	judge_alerts(w);
	if (w->t->note & UNRELIABLE || !has_flight(w)) {
		w->out->evidence |= PSI_EVID_no_inference;
		if (w->t->note & UNRELIABLE)
			with_gap(w);
		else
			server_records(w);
		return;
	}
	if (psk) {
		w->out->evidence |= PSI_EVID_no_inference;
		find_finished_psk(w);
	} else {
		w->out->evidence |= PSI_EVID_cert_inferred;
		infer(w, PSI_MSG_SERVER_CERTIFICATE);
		if (!w->error[PSI_C2S])
			find_finished(w, refused_early_data(w));
	}
	if (w->finished_at != NOWHERE)
		after_finished(w);
	if (w->data_from != NOWHERE) {
		infer(w, PSI_MSG_APP_DATA_FROM_CLIENT);
		client_data_bytes(w);
	}
	server_records(w);
}

/* ---- evidence and flags: the same for every version ---- */

static uint64_t
act(uint64_t alert_ns, uint64_t end_ns)
{
	return alert_ns && (!end_ns || alert_ns < end_ns) ? alert_ns : end_ns;
}

/* server_acted_first: who alerted or ended first. An alert is the last thing that its sender says. */
static bool
server_acted_first(const struct work *w)
{
	uint64_t at[PSI_DIR_CNT];

	for (int d = 0; d < PSI_DIR_CNT; d++)
		at[d] = act(
			w->error[d] || w->closing[d] ? w->side[d]->last_ns : 0, w->end->end_ns[d]);
	return at[PSI_S2C] && (!at[PSI_C2S] || at[PSI_S2C] < at[PSI_C2S]);
}

/* about_client_cert: what a clear alert of the server says of the client's certificate. The codes that name a
 * certificate can mean no other; 40, 49 and 51 only when one was asked for, 40 only when none was given. */
static bool
about_client_cert(const struct work *w, const struct psi_tls_alert *a)
{
	bool asked = w->out->messages & PSI_MSG_CERTIFICATE_REQUEST;
	bool given = w->out->messages & PSI_MSG_CLIENT_CERTIFICATE &&
		     !(w->t->note & PSI_TLS_CLIENT_CERT_EMPTY);

	switch (a->code) {
	case 42:
	case 43:
	case 44:
	case 45:
	case 46:
	case 48:
	case 116: return true;
	case 49:
	case 51: return asked && given;
	case 40: return asked && !given;
	}
	return false;
}

/* server_alerts: the server's error alert counts when it came before the client's own and before the client's end. */
static void
server_alerts(struct work *w, bool server_first)
{
	struct psi_tls_facts *o = w->out;

	if (!w->error[PSI_S2C] || !server_first)
		return;
	o->evidence |= PSI_EVID_server_alert;
	for (uint8_t i = 0; i < o->alert_cnt; i++) {
		const struct psi_tls_alert *a = &o->alert[i];
		bool hidden = a->flags & PSI_TLS_ALERT_ENCRYPTED;

		if (a->dir != PSI_S2C || a->flags & PSI_TLS_ALERT_CLOSING)
			continue;
		if (hidden ? (o->evidence & PSI_EVID_client_cert_asked) != 0
			   : about_client_cert(w, a))
			o->evidence |= PSI_EVID_server_alert_cert;
	}
}

static void
client_alerts(struct work *w)
{
	struct psi_tls_facts *o = w->out;

	for (uint8_t i = 0; i < o->alert_cnt; i++) {
		const struct psi_tls_alert *a = &o->alert[i];

		if (a->dir != PSI_C2S || a->flags & PSI_TLS_ALERT_CLOSING)
			continue;
		if (a->flags & PSI_TLS_ALERT_ENCRYPTED) {
			o->evidence |= PSI_EVID_client_alert_hidden;
			continue;
		}
		if (!survived(w, a))
			o->evidence |= PSI_EVID_client_alert;
		switch (a->code) {
		case 42: o->flags |= PSI_FLAG_CLIENT_ALERT_SEEN_BAD_CERTIFICATE; break;
		case 46: o->flags |= PSI_FLAG_CLIENT_ALERT_SEEN_CERTIFICATE_UNKNOWN; break;
		case 48: o->flags |= PSI_FLAG_CLIENT_ALERT_SEEN_UNKNOWN_CA; break;
		}
	}
}

/* silent: after the server's flight the client sent nothing but, at most, a clear goodbye. */
static bool
silent(const struct work *w)
{
	const uint32_t answer = PSI_MSG_CLIENT_CERTIFICATE | PSI_MSG_CLIENT_KEY_EXCHANGE |
				PSI_MSG_CLIENT_FINISHED | PSI_MSG_APP_DATA_FROM_CLIENT;
	uint32_t m = w->out->messages;

	if (w->error[PSI_C2S] || m & answer || w->side[PSI_C2S]->enc_cnt ||
		w->t->note & PSI_TLS_HEARTBEAT)
		return false;
	if (w->t->version == TLS13)
		return w->out->evidence & PSI_EVID_cert_inferred;
	return m & PSI_MSG_SERVER_CERTIFICATE && m & PSI_MSG_SERVER_HELLO_DONE &&
	       !(m & PSI_MSG_CLIENT_CHANGE_CIPHER_SPEC);
}

/* ended_late: by the handshake's own measure, from the first byte of TLS to its last record (E1). */
static bool
ended_late(const struct work *w)
{
	const struct psi_tls *t = w->t;
	uint64_t c = w->end->end_ns[PSI_C2S], s = w->end->end_ns[PSI_S2C];
	uint64_t end = !c || (s && s < c) ? s : c, took;

	if (!end || !t->first_ns || t->last_hs_ns < t->first_ns || end < t->last_hs_ns)
		return false;
	took = t->last_hs_ns - t->first_ns;
	return end - t->last_hs_ns > PSI_MAX(took * LATE_FACTOR, (uint64_t)LATE_MIN_NS);
}

static void
note_end(struct work *w)
{
	uint64_t *e = &w->out->evidence;
	bool server_first = server_acted_first(w);

	if (server_first)
		*e |= PSI_EVID_server_first;
	if (w->end->rst[PSI_C2S])
		*e |= PSI_EVID_client_rst;
	if (w->end->fin[PSI_C2S])
		*e |= PSI_EVID_client_fin;
	if (w->end->end_ns[PSI_C2S] && w->end->end_ns[PSI_C2S] < w->t->last_hs_ns)
		*e |= PSI_EVID_early_end; /* E2 */
	if (ended_late(w))
		*e |= PSI_EVID_late_end;
	if (w->end->end_ns[PSI_C2S] && silent(w))
		*e |= PSI_EVID_client_silent_end;
	if (w->closing[PSI_C2S] && *e & PSI_EVID_client_finished && !(*e & PSI_EVID_client_data))
		*e |= PSI_EVID_client_close_notify;
	server_alerts(w, server_first);
}

static void
note_messages(struct work *w)
{
	const struct {
		uint32_t msg;
		uint64_t evidence, flag;
	} row[] = {
		{PSI_MSG_CLIENT_FINISHED, PSI_EVID_client_finished, 0},
		{PSI_MSG_SERVER_FINISHED, PSI_EVID_server_finished, 0},
		{PSI_MSG_APP_DATA_FROM_CLIENT, PSI_EVID_client_data, PSI_FLAG_APP_DATA_C2S},
		{PSI_MSG_APP_DATA_FROM_SERVER, PSI_EVID_server_data, PSI_FLAG_APP_DATA_S2C},
		{PSI_MSG_CERTIFICATE_REQUEST, PSI_EVID_client_cert_asked, 0},
	};
	struct psi_tls_facts *o = w->out;

	for (size_t i = 0; i < PSI_COUNT(row); i++) {
		if (!(o->messages & row[i].msg))
			continue;
		o->evidence |= row[i].evidence;
		o->flags |= row[i].flag;
	}
}

static void
note_parser(struct work *w)
{
	const struct psi_tls *t = w->t;
	uint64_t *e = &w->out->evidence;

	if (t->messages & PSI_MSG_SERVER_CERTIFICATE)
		*e |= PSI_EVID_cert_sent;
	if (t->messages & PSI_MSG_CLIENT_CERTIFICATE && !(t->note & PSI_TLS_CLIENT_CERT_EMPTY))
		*e |= PSI_EVID_client_cert_sent;
	if (t->note & PSI_TLS_GAP)
		*e |= PSI_EVID_gap;
	if (t->note & (PSI_TLS_RESUMED | PSI_TLS_PSK_ACCEPTED))
		*e |= PSI_EVID_resumed;
	if (t->note & (PSI_TLS_CLIENT_ONLY | PSI_TLS_SERVER_ONLY))
		*e |= PSI_EVID_one_sided;
}

void
psi_tls_conclude(const struct psi_tls *t, const struct psi_tls_end *end, struct psi_tls_facts *out)
{
	static const struct psi_tls_end going_on;
	unsigned int client = t->client == 1;
	struct work w = {.t = t,
		.end = end ? end : &going_on,
		.out = out,
		.side = {&t->side[client], &t->side[!client]},
		.suite = suite_of(t->cipher),
		.data_from = NOWHERE,
		.finished_at = NOWHERE};

	*out = (struct psi_tls_facts){.messages = t->messages, .alert_cnt = t->alert_cnt};
	if (t->version == TLS13 || !(t->note & PSI_TLS_NULL_CIPHER))
		out->messages &= ~(PSI_MSG_CLIENT_FINISHED | PSI_MSG_SERVER_FINISHED);
	if (t->version == TLS13 &&
		!(t->note & PSI_TLS_PSK_ACCEPTED)) /* refused early data is none */
		out->messages &= ~PSI_MSG_APP_DATA_FROM_CLIENT;
	memcpy(out->alert, t->alert, sizeof(out->alert));
	if (t->messages || t->alert_cnt || t->side[0].enc_cnt || t->side[1].enc_cnt)
		out->flags = PSI_FLAG_VALID;
	out->flags |= PSI_FLAG_INITIALIZED;
	note_parser(&w);
	if (t->version == TLS13)
		conclude13(&w);
	else
		conclude12(&w);
	note_messages(&w);
	client_alerts(&w);
	note_end(&w);
}
