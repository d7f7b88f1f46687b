/* SPDX-License-Identifier: BSD-3-Clause */
/* A flow that is over is counted, then judged by what is counted. Hot: no allocation, no scan. */
#include "population_pvt.h"

#define SWEEP_EVERY 16 /* flows to one look at an older case, which costs as much as a flow */

/* ---- counting ---- */

/* Adds what a stack's acceptance or refusal is worth beyond what is left of its last one: a row above then holds the sum of
 * what is left of each stack's last, however often each came. */
static void
add(struct row *r, bool ok, float worth)
{
	if (r)
		*(ok ? &r->own.ok : &r->own.ref) += worth;
}

/* The same of what it counts beside. */
static void
add_other(struct row *r, bool ok, float worth)
{
	*(ok ? &r->other.ok : &r->other.ref) += worth;
}

static float
worth(struct psi_population *p, const struct row *leaf, bool ok)
{
	return 1 - pop_share(p, ok ? leaf->ok_ns : leaf->ref_ns);
}

static void
mark(const struct psi_population *p, struct row *leaf, bool ok)
{
	*(ok ? &leaf->ok_ns : &leaf->ref_ns) = p->now_ns;
}

enum vote
pop_vote_of(enum how how, unsigned int fault)
{
	if (how == HOW_45 || fault & FAULT_EXPIRED)
		return VOTE_EXPIRED;
	if (how == HOW_48 || fault & FAULT_SELF_SIGNED)
		return VOTE_48;
	return how == HOW_42 || how == HOW_46 || how == HOW_CERT || how == HOW_OTHER ||
			       fault & (FAULT_NAME | FAULT_OTHER)
		       ? VOTE_BAD
		       : VOTE_CNT;
}

static void
count_level(struct psi_population *p, struct level *l, bool ok, enum vote vote)
{
	float w = worth(p, l->leaf, ok), kind = worth(p, l->kin, ok);

	add(l->everyone, ok, w);
	add(l->client, ok, w);
	add(l->kin, ok, w);
	add_other(l->everyone, ok, kind);
	if (!ok && vote < VOTE_CNT)
		l->everyone->vote[vote] += kind;
	mark(p, l->kin, ok);
}

/* One attempt of a stack at a host. False: a retry of one that was counted. */
static bool
count_try(struct psi_population *p, struct row *leaf, bool ok, float weight)
{
	if (leaf->try_ns && p->now_ns - leaf->try_ns < p->cfg.retry_ns)
		return false;
	leaf->try_ns = p->now_ns;
	*(ok ? &leaf->tries_ok : &leaf->tries_ref) += weight;
	return true;
}

/* unused: a refusal that is a complete handshake without data, and may be none. */
static bool
count(struct psi_population *p, const struct psi_pop_who *id, const struct flow_rows *rows, bool ok,
	bool unused, enum vote vote, float weight)
{
	const struct issuer_rows *iss = &rows->iss;
	struct level at = rows->at, host = rows->host;
	bool counted;
	float w = worth(p, at.leaf, ok);

	add(iss->stack, ok, w);
	add(iss->client, ok, w);
	add(iss->all, ok, w);
	add(at.leaf, ok, 1);
	at.everyone->tries_ref += !ok;
	add(iss->pair, ok, 1);
	add(iss->host, ok, 1);
	add_other(iss->stack, ok, worth(p, iss->domain, ok));
	add_other(iss->all, ok, worth(p, iss->reach, ok));
	iss->all->tries_ref += !ok && !unused;
	mark(p, iss->domain, ok);
	mark(p, iss->reach, ok);
	count_level(p, &at, ok, vote);
	if (id->ctx)
		count_level(p, &host, ok, vote);
	counted = count_try(p, at.leaf, ok, weight);
	if (id->ctx)
		count_try(p, host.leaf, ok, weight);
	mark(p, at.leaf, ok);
	mark(p, host.leaf, ok);
	p->count.retries += !counted;
	return counted;
}

/* A CA that trusted roots do not know, nor the operator, vouches for one more domain. */
static void
count_issuer(struct psi_population *p, const struct psi_pop_flow *f, const struct psi_pop_who *id)
{
	struct row *domain, *all;

	if (!id->named || f->own_ca || !(f->cert_status & PSI_CERT_INVALID_ISSUER) ||
		f->cert_status & PSI_CERT_SELF_SIGNED)
		return;
	pop_rows_foreign(p, id, &domain, &all);
	add(all, true, worth(p, domain, true));
	mark(p, domain, true);
	pop_cases_issuer(p, f, id, all->own.ok);
}

/* Data went both ways on a connection of this stack to this host just now, resumed or not. */
static void
mark_used(struct row *leaf, uint64_t until_ns)
{
	leaf->used_ns = PSI_MAX(leaf->used_ns, until_ns);
}

/* An unused connection beside a used one of the same stack to the same host: opened in advance. used_ns is no earlier than
 * the start of this one when the two were there at the same time. */
static bool
has_twin(struct psi_population *p, const struct psi_pop_who *id, uint64_t start_ns)
{
	struct level host;

	pop_rows_level(p, id, 0, false, &host);
	return host.leaf && host.leaf->used_ns >= start_ns && host.leaf->used_ns;
}

/* ---- verdicts ---- */

static void
say(struct psi_verdict *v, enum psi_class class, float confidence, const char *reason)
{
	v->class = class;
	v->confidence = confidence;
	strncpy(v->reason, reason, sizeof(v->reason) - 1);
	v->reason[sizeof(v->reason) - 1] = 0;
}

/* What is wrong with a certificate, by what this client says, what shows, or what others say who refuse it. */
static enum psi_class
fault_class(enum psi_class by_itself, unsigned int fault, enum vote vote)
{
	switch (by_itself) {
	case PSI_CLASS_CERTIFICATE_EXPIRED:
	case PSI_CLASS_CERTIFICATE_REVOKED:
	case PSI_CLASS_CERTIFICATE_UNSUPPORTED: return by_itself;
	default: break;
	}
	return fault & FAULT_EXPIRED || vote == VOTE_EXPIRED ? PSI_CLASS_CERTIFICATE_EXPIRED
							     : PSI_CLASS_BAD_CERTIFICATE;
}

static const char *
why(const struct opinion *o)
{
	const uint64_t s = o->signals;

	switch (o->top) {
	case CAUSE_PINNED:
		if (s & SIG(near_accepts) && s & (SIG(accepts_issuer) | SIG(accepts_family)))
			return "This client stack refuses what the host shows, which another stack of the same client accepts; it accepts the issuer for other hosts: it pins this one.";
		if (s & (SIG(near_accepts) | SIG(near_accepts_host)))
			return "This client stack refuses what another stack of the same client accepts from this host: it accepts only certificates of its own choice.";
		if (s & (SIG(accepts_issuer) | SIG(accepts_family)))
			return "This client stack accepts the issuer for other hosts but refuses it for this one: it pins this host.";
		return "This client stack refuses what others accept from this host, in the way of applications that pin.";
	case CAUSE_CA:
		if (s & (SIG(refuses_issuer) | SIG(refuses_family)))
			return "This client refuses the issuer for other hosts as well, while others accept it: it does not trust the CA.";
		if (s & SIG(far_accepts))
			return "This client refuses what other clients accept from this host: it does not trust the CA.";
		return "Everyone refuses what this host shows, as clients do that do not know its CA.";
	case CAUSE_CERT: return "Nobody accepts what this host shows: its certificate is bad.";
	case CAUSE_NONE:
		if (s & SIG(uses_nothing))
			return "This client stack completes handshakes with several hosts and never sends data to any: rather a check of their health than a refusal.";
		return "The same client stack uses this host at other times, and nothing but an unused connection speaks of a refusal.";
	case CAUSE_CNT: break;
	}
	return "";
}

/* A verdict of a flow by itself gives way to a likelier cause, if others or other hosts were there to compare with. */
static void
sharpen(const struct psi_population *p, const struct opinion *o, enum how how, unsigned int fault,
	struct psi_verdict *v)
{
	static const float enough = 0.65f, surer = 0.8f, sure = 0.95f;
	const uint64_t elsewhere = SIG(refuses_issuer) | SIG(refuses_family) | SIG(near_refuses) |
				   SIG(all_refuse) | SIG(most_refuse);

	v->evidence |= o->evidence;
	if (v->class == PSI_CLASS_PINNED) /* the operator's pinset says so */
		return;
	if (!o->compared || o->prob[o->top] < enough ||
		o->attempts < (float)p->cfg.attempts_min - 0.5f)
		return;
	switch (o->top) {
	case CAUSE_PINNED:
		if (v->evidence & PSI_EVID_pinset_match) /* it was shown what it pins */
			break;
		if (how == HOW_SILENT && o->signals & SIG(once) && o->prob[o->top] < sure)
			break; /* a client that was interrupted looks the same */
		say(v, PSI_CLASS_PINNED, o->prob[o->top], why(o));
		break;
	case CAUSE_CA:
		if (!(o->signals & elsewhere) && o->prob[o->top] < surer)
			break; /* one host of one stack: nothing says that it is not the host */
		say(v, PSI_CLASS_UNKNOWN_CA, o->prob[o->top], why(o));
		break;
	case CAUSE_CERT: {
		enum psi_class c = fault_class(v->class, fault, o->vote);

		if (c != v->class)
			say(v, c, o->prob[o->top], why(o));
		break;
	}
	case CAUSE_NONE:
		if (o->signals & (SIG(uses_nothing) | SIG(accepts_here)) && how >= HOW_AFTER)
			say(v, PSI_CLASS_NORMAL, o->prob[o->top], why(o));
		break;
	case CAUSE_CNT: break;
	}
}

/* ---- a flow ---- */

/* The client sent data and left before any answer, after a full handshake: a request without interest in the answer, or a
 * client that verifies after it has sent. */
static bool
was_unanswered(const struct psi_rec *r)
{
	const uint64_t done =
		PSI_EVID_client_finished | PSI_EVID_server_finished | PSI_EVID_client_data;
	const uint64_t not = PSI_EVID_server_first | PSI_EVID_resumed | PSI_EVID_late_end |
			     PSI_EVID_gap | PSI_EVID_one_sided;

	return (r->evidence & done) == done && !(r->evidence & not ) &&
	       (!(r->evidence & PSI_EVID_server_data) || pop_tickets_only(r)) &&
	       r->evidence & (PSI_EVID_client_fin | PSI_EVID_client_rst) &&
	       r->evidence & (PSI_EVID_cert_sent | PSI_EVID_cert_inferred);
}

/* Which of the two it is, others tell: they get answers here, and this stack never does. */
static bool
speaks_of_refusal(const struct opinion *o)
{
	return !(o->signals & SIG(accepts_here)) &&
	       o->signals & (SIG(near_accepts) | SIG(far_accepts) | SIG(most_accept) |
				    SIG(near_accepts_host) | SIG(others_say_48) |
				    SIG(others_say_expired) | SIG(others_say_bad));
}

static void
refused(struct psi_population *p, const struct psi_pop_flow *f, struct psi_pop_who *id,
	struct psi_verdict *v)
{
	unsigned int fault = pop_fault_of(f);
	enum how how = pop_how_of(f->rec);
	struct flow_rows rows;
	struct opinion o;
	bool counted;

	if (how >= HOW_HIDDEN &&
		(f->rec->evidence & PSI_EVID_server_first || pop_cut_short(f->rec)))
		return; /* nobody knows what the client would have done */
	if (how >= HOW_AFTER && v->class != PSI_CLASS_PINNED && has_twin(p, id, f->rec->start_ns)) {
		p->count.idle++;
		v->evidence |= PSI_EVID_twin_used;
		say(v, PSI_CLASS_NORMAL, 0.95f,
			"The connection was closed unused, and the same client stack used another one to this host at the same time: opened in advance.");
		return;
	}
	p->count.refused++;
	count_issuer(p, f, id);
	pop_rows_make(p, f, id, &rows);
	counted = count(p, id, &rows, false, how >= HOW_AFTER && how <= HOW_LEFT,
		pop_vote_of(how, fault), f->weight);
	pop_judge_rows(p, id, &rows, how, fault, &o);
	if (p->sample)
		p->sample(p->sample_ctx, f, id, how, fault, &o);
	if (how == HOW_UNANSWERED && !speaks_of_refusal(&o))
		return;
	if (fault & FAULT_NAME)
		v->evidence |= PSI_EVID_cert_name_mismatch;
	sharpen(p, &o, how, fault, v);
	if (psi_class_is_refusal(v->class))
		pop_cases_flow(p, f, id, how, fault, &o, counted);
}

/* A resumed session shows no certificate that could be accepted, but that the host is used. */
static void
used(struct psi_population *p, const struct psi_pop_flow *f, const struct psi_pop_who *id)
{
	const uint64_t e = f->rec->evidence;
	struct flow_rows rows;

	if (e & PSI_EVID_resumed || !(e & (PSI_EVID_cert_sent | PSI_EVID_cert_inferred))) {
		pop_rows_level(p, id, 0, true, &rows.host);
		mark_used(rows.host.leaf, f->rec->end_ns);
		return;
	}
	p->count.accepted++;
	count_issuer(p, f, id);
	pop_rows_make(p, f, id, &rows);
	mark_used(rows.host.leaf, f->rec->end_ns);
	count(p, id, &rows, true, false, VOTE_CNT, f->weight);
}

/* A record that is no later than those before it comes a nanosecond behind them: rows that it touches are then the newest,
 * also where time stands still, and are not given up for others of its own. */
static void
pass(struct psi_population *p, const struct psi_pop_flow *f)
{
	p->now_ns = PSI_MAX(p->now_ns + 1, f->rec->end_ns);
}

void
psi_population_flow(struct psi_population *p, const struct psi_pop_flow *f, struct psi_verdict *v)
{
	struct psi_pop_who id;

	pass(p, f);
	if (f->weight > 0 && pop_identify(p, f, &id)) {
		p->count.flows++;
		if (v->class == PSI_CLASS_NORMAL && pop_was_used(f->rec))
			used(p, f, &id);
		else if (psi_class_is_refusal(v->class) ||
			 (v->class == PSI_CLASS_NORMAL && was_unanswered(f->rec)))
			refused(p, f, &id, v);
	}
	if (++p->turn % SWEEP_EVERY == 0)
		pop_cases_sweep(p, 1);
}

void
psi_population_used(struct psi_population *p, const struct psi_pop_flow *f)
{
	struct psi_pop_who id;

	pass(p, f);
	if (f->weight > 0 && pop_was_used(f->rec) && pop_identify(p, f, &id))
		used(p, f, &id);
}

void
psi_population_tick(struct psi_population *p, uint64_t now_ns)
{
	p->now_ns = PSI_MAX(p->now_ns, now_ns);
	pop_cases_sweep(p, 64);
}

void
psi_population_count(const struct psi_population *p, struct psi_population_count *out)
{
	*out = p->count;
}
