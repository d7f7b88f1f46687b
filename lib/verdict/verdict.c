/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_verdict.h"

#define TLS12	     0x0303
#define TLS13	     0x0304
#define GREETING_MAX 512 /* bytes that a server may send unasked: HTTP/2 settings, a banner */

#define CONDITION(sym, bit, text) static const uint64_t COND_##sym = bit;
#include "conditions.def"
#undef CONDITION

#define EVIDENCE(sym, bit, text) \
	_Static_assert((bit) < 0x0001000000000000, "conditions.def begins above evidence.def");
#include "evidence.def"
#undef EVIDENCE

/* BY_CODE stands in patterns.def, SAME in pin_patterns.def where a class stands. */
#define PSI_CLASS_BY_CODE PSI_CLASS_CNT
#define PSI_CLASS_SAME	  PSI_CLASS_CNT

struct outcome {
	uint64_t pattern;
	enum psi_class class;
	float confidence;
	const char *reason;
};

/* ---- what a record says ---- */

static bool
says(const struct psi_rec *r, uint32_t messages)
{
	return (r->messages & messages) == messages;
}

static uint64_t
when(bool condition, uint64_t bit)
{
	return condition ? bit : 0;
}

/* certificate_alert: the client's first clear alert that speaks of the certificate; NULL when there is none. */
static const struct psi_rec_alert *
certificate_alert(const struct psi_rec *r)
{
	for (uint8_t i = 0; i < r->alert_cnt; i++) {
		const struct psi_rec_alert *a = &r->alert[i];

		if (a->dir == PSI_C2S && !a->encrypted &&
			psi_alert_class(a->code) != PSI_CLASS_NONE)
			return a;
	}
	return NULL;
}

/* own_check_alert: an alert of the client that OpenSSL derives from a verification error which is the application's own
 * (40, X509_V_ERR_APPLICATION_VERIFICATION) or none at all (80). Measured with a callback that refuses a name. Before
 * TLS 1.2 they say that the signature is below its security level. */
static bool
own_check_alert(const struct psi_rec *r)
{
	for (uint8_t i = 0; i < r->alert_cnt; i++) {
		const struct psi_rec_alert *a = &r->alert[i];

		if (a->dir == PSI_C2S && !a->encrypted && r->version >= TLS12 &&
			(a->code == 40 || a->code == 80))
			return true;
	}
	return false;
}

/* deciding_alert: the alert that a reason names: of the client if it sent an error, else of the server. */
static const struct psi_rec_alert *
deciding_alert(const struct psi_rec *r)
{
	const struct psi_rec_alert *a = certificate_alert(r);
	enum psi_dir dir = r->evidence & PSI_EVID_client_alert ? PSI_C2S : PSI_S2C;

	for (uint8_t i = 0; !a && i < r->alert_cnt; i++)
		if (r->alert[i].dir == dir && !r->alert[i].closing)
			a = &r->alert[i];
	return a;
}

/* has_hole: a hello longer than what is kept (LIMIT) costs fields, not the course of the handshake. */
static bool
has_hole(const struct psi_rec *r)
{
	return r->evidence & (PSI_EVID_gap | PSI_EVID_one_sided) ||
	       (r->err != PSI_OK && r->err != PSI_E_LIMIT) || r->note & PSI_TLS_LOST_SYNC ||
	       !says(r, PSI_MSG_CLIENT_HELLO) || r->tcp.gaps || r->tcp.acked_hole ||
	       !r->pkts[PSI_C2S] || !r->pkts[PSI_S2C];
}

/* was_full: the messages of pattern B that only a full handshake of TLS 1.2 or before has. */
static bool
was_full(const struct psi_rec *r)
{
	return r->version == TLS13 ||
	       says(r, PSI_MSG_CLIENT_KEY_EXCHANGE | PSI_MSG_CLIENT_CHANGE_CIPHER_SPEC |
			       PSI_MSG_SERVER_CHANGE_CIPHER_SPEC | PSI_MSG_SERVER_HELLO_DONE);
}

static uint64_t
conditions(const struct psi_rec *r)
{
	const uint64_t e = r->evidence, both = PSI_EVID_client_data | PSI_EVID_server_data;
	const uint64_t done = PSI_EVID_client_finished | PSI_EVID_server_finished;
	bool cert = e & (PSI_EVID_cert_sent | PSI_EVID_cert_inferred) && !(e & PSI_EVID_resumed);
	uint64_t c = 0;

	c |= when(cert, COND_cert);
	c |= when(cert && (r->version == TLS13 || says(r, PSI_MSG_SERVER_HELLO_DONE)), COND_flight);
	c |= when((e & done) == done, COND_done);
	c |= when((e & done) == done && was_full(r), COND_full);
	c |= when(e & both, COND_data);
	c |= when((e & both) == both, COND_used);
	c |= when(has_hole(r), COND_hole);
	c |= when(r->tcp.first_rst || r->tcp.first_fin, COND_end);
	c |= when(e & (PSI_EVID_client_rst | PSI_EVID_client_fin), COND_client_end | COND_end);
	c |= when(certificate_alert(r), COND_cert_code);
	c |= when(certificate_alert(r) && certificate_alert(r)->code == 48, COND_code_48);
	c |= when(own_check_alert(r), COND_code_own_check);
	c |= when((e & both) == PSI_EVID_server_data && r->app_bytes[PSI_S2C] &&
			  r->app_bytes[PSI_S2C] <= GREETING_MAX,
		COND_greeted);
	c |= when(r->messages & (PSI_MSG_CLIENT_KEY_EXCHANGE | PSI_MSG_CLIENT_CERTIFICATE |
					PSI_MSG_CLIENT_FINISHED),
		COND_answered);
	c |= when(!(r->flags & PSI_FLAG_VALID), COND_no_tls);
	c |= when(r->note & PSI_TLS_PEER_NOT_TLS, COND_peer_not_tls);
	return c;
}

/* weights: what is known of the certificate itself. */
static uint64_t
weights(const struct psi_verdict_known *known)
{
	static const uint64_t by_pin[PSI_PIN_CNT] = {
		[PSI_PIN_MATCH] = PSI_EVID_pinset_match,
		[PSI_PIN_BACKUP_MATCH] = PSI_EVID_pinset_match | PSI_EVID_pinset_backup,
		[PSI_PIN_MISMATCH] = PSI_EVID_pinset_mismatch,
		[PSI_PIN_EXPIRED] = PSI_EVID_pinset_expired,
		[PSI_PIN_NOT_VISIBLE] = PSI_EVID_pinset_not_visible,
	};
	uint32_t cert_status = known->cert_status;

	return when(cert_status & PSI_CERT_EXPIRED, PSI_EVID_cert_expired) |
	       when(cert_status & PSI_CERT_NOT_VALID_YET, PSI_EVID_cert_not_valid_yet) |
	       when(cert_status & PSI_CERT_SELF_SIGNED, PSI_EVID_cert_self_signed) |
	       when(cert_status & PSI_CERT_INVALID_SIGNATURE, PSI_EVID_cert_bad_signature) |
	       (known->pin < PSI_PIN_CNT ? by_pin[known->pin] : 0);
}

/* ---- the rules ---- */

static struct outcome
judge(uint64_t s)
{
#define E(sym) PSI_EVID_##sym
#define C(sym) COND_##sym
#define RULE(sym, need, without, pattern, class, confidence, reason) \
	if ((s & (need)) == (need) && !(s & (without)))              \
		return (struct outcome){pattern, PSI_CLASS_##class, confidence, reason};
#include "patterns.def"
#undef RULE
#undef C
#undef E
	PSI_ASSERT(false, "the last row of patterns.def fits everything");
	return (struct outcome){.class = PSI_CLASS_INCOMPLETE, .reason = ""};
}

/* What the pinset for the host makes of it. added: what goes behind the sentence. */
static void
heed_pins(struct outcome *o, uint64_t s, const char **added)
{
	const uint32_t from = 1u << o->class;

#define E(sym) PSI_EVID_##sym
#define C(sym) COND_##sym
#define K(sym) (1u << PSI_CLASS_##sym)
#define PIN_RULE(sym, from_any, need, without, to, sure, text)                           \
	if (from & (from_any) && (s & (need)) == (need) && !(s & (without))) {           \
		if (PSI_CLASS_##to == PSI_CLASS_SAME)                                    \
			*added = text;                                                   \
		else                                                                     \
			*o = (struct outcome){                                           \
				o->pattern, (enum psi_class)PSI_CLASS_##to, sure, text}; \
		return;                                                                  \
	}
#include "pin_patterns.def"
#undef PIN_RULE
#undef K
#undef C
#undef E
}

/* A refusal whose cause is hidden, of a certificate that is itself at fault: the client is right, and the fault is
 * the better guess. The first row that fits stands. */
static void
blame_certificate(struct outcome *o, uint32_t cert_status, const char **because)
{
	static const struct {
		uint32_t status;
		enum psi_class class;
		const char *text;
	} fault[] = {
		{PSI_CERT_REVOKED, PSI_CLASS_CERTIFICATE_REVOKED, " The certificate is revoked."},
		{PSI_CERT_EXPIRED, PSI_CLASS_CERTIFICATE_EXPIRED, " The certificate had expired."},
		{PSI_CERT_NOT_VALID_YET, PSI_CLASS_BAD_CERTIFICATE,
			" The certificate was not valid yet."},
		{PSI_CERT_INVALID_SIGNATURE, PSI_CLASS_BAD_CERTIFICATE,
			" A signature in its chain is wrong."},
		{PSI_CERT_SELF_SIGNED, PSI_CLASS_UNKNOWN_CA, " The certificate is self-signed."},
	};

	if (!psi_class_is_refusal(o->class))
		return;
	for (size_t i = 0; i < PSI_COUNT(fault); i++) {
		if (!(cert_status & fault[i].status))
			continue;
		*because = fault[i].text;
		if (o->class == PSI_CLASS_CLIENT_REJECTED)
			o->class = fault[i].class;
		return;
	}
}

/* ---- the sentence ---- */

struct text {
	char *at, *end; /* end: room for the NUL */
};

static void
add_part(struct text *o, const char *s, size_t n)
{
	n = PSI_MIN(n, (size_t)(o->end - o->at));
	memcpy(o->at, s, n);
	o->at += n;
	*o->at = 0;
}

static void
add(struct text *o, const char *s)
{
	add_part(o, s, strlen(s));
}

static void
add_alert(struct text *o, const struct psi_rec_alert *a)
{
	const char *name = a && !a->encrypted ? psi_alert_name(a->code) : NULL;
	char code[8] = {0};

	if (!a || a->encrypted) {
		add(o, "(encrypted)");
		return;
	}
	for (int i = 2, v = a->code; i >= 0; i--, v /= 10)
		code[i] = (char)('0' + v % 10);
	add(o, name ? name : "of unknown code");
	add(o, " (");
	add(o, code + (a->code < 10 ? 2 : a->code < 100 ? 1 : 0));
	add(o, ")");
}

static void
write_reason(struct psi_verdict *out, const char *reason, const char *because,
	const struct psi_rec_alert *a)
{
	struct text o = {out->reason, out->reason + sizeof(out->reason) - 1};
	const char *mark = strstr(reason, "%A");

	if (mark) {
		add_part(&o, reason, (size_t)(mark - reason));
		add_alert(&o, a);
		reason = mark + 2;
	}
	add(&o, reason);
	add(&o, because);
}

void
psi_verdict_flow(
	const struct psi_rec *r, const struct psi_verdict_known *known, struct psi_verdict *out)
{
	uint64_t evidence = r->evidence | weights(known) |
			    when(!r->pkts[PSI_C2S] || !r->pkts[PSI_S2C], PSI_EVID_one_sided);
	uint64_t all = evidence | conditions(r);
	struct outcome o = judge(all);
	const char *because = "";

	if (o.class == PSI_CLASS_BY_CODE)
		o.class = psi_alert_class(certificate_alert(r)->code);
	heed_pins(&o, all, &because);
	blame_certificate(&o, known->cert_status, &because);
	out->class = o.class;
	out->confidence = o.confidence;
	out->evidence = evidence | o.pattern;
	write_reason(out, o.reason, because, deciding_alert(r));
}
