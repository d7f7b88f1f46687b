/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tables say of one stack's refusal of one host, as the probabilities of its causes. */
#include "population_pvt.h"

#include <math.h>

#define SOME	0.1f /* of a mass: seen within three half-lives */
#define WIDE	2.3f /* domains that have nothing to do with one another: three, of late */
#define MONITOR 1.3f /* domains that a monitor looks at: two, of late */
#define SEVERAL 1.3f /* more than one, of late */

static const struct {
	float w[CAUSE_CNT];
	uint64_t evidence;
} weight[SIG_CNT] = {
#define WEIGHT(sym, pinned, ca, cert, none, evidence, text) {{pinned, ca, cert, none}, evidence},
#include "weights.def"
#undef WEIGHT
};

static uint64_t
when(bool condition, uint64_t bit)
{
	return condition ? bit : 0;
}

static struct mass
mass(const struct row *r)
{
	return r ? r->own : (struct mass){0};
}

static struct mass
other(const struct row *r)
{
	return r ? r->other : (struct mass){0};
}

/* What remains of a row when what the pair itself put there is taken out. */
static struct mass
less(struct mass a, struct mass b)
{
	return (struct mass){fmaxf(a.ok - b.ok, 0), fmaxf(a.ref - b.ref, 0)};
}

/* A leaf's own share in the rows above it. */
static struct mass
share(struct psi_population *p, const struct row *leaf)
{
	return leaf ? (struct mass){pop_share(p, leaf->ok_ns), pop_share(p, leaf->ref_ns)}
		    : (struct mass){0};
}

static uint64_t
of_refusal(enum how how, unsigned int fault)
{
	static const uint64_t by_how[HOW_CNT] = {SIG(alert_48), SIG(alert_42), SIG(alert_46),
		SIG(alert_45), SIG(alert_fault), SIG(alert_other), SIG(own_check), SIG(hidden),
		SIG(after), SIG(goodbye), SIG(left), SIG(silent), SIG(unanswered)};

	return by_how[how] | when(fault & FAULT_EXPIRED, SIG(cert_expired)) |
	       when(fault & FAULT_SELF_SIGNED, SIG(cert_self_signed)) |
	       when(fault & FAULT_NAME, SIG(cert_name)) |
	       when(fault & FAULT_OTHER, SIG(cert_fault)) |
	       when(fault & FAULT_NONE, SIG(cert_clean));
}

/* The same certificate, shown to others. kinds: other stacks, each counted once however many clients it is on. */
static uint64_t
of_others(struct mass near, struct mass far, struct mass kin, struct mass kinds)
{
	bool accepted = near.ok > SOME || far.ok > SOME || kinds.ok > SOME;

	return when(near.ok > SOME, SIG(near_accepts)) |
	       when(near.ref > SOME && near.ok <= SOME, SIG(near_refuses)) |
	       when(far.ok > SOME, SIG(far_accepts)) |
	       when(kinds.ok > SOME && kinds.ok >= kinds.ref, SIG(most_accept)) |
	       when(kinds.ref > SOME && kinds.ref > kinds.ok, SIG(most_refuse)) |
	       when(kinds.ref > SEVERAL && !accepted, SIG(all_refuse)) |
	       when(kin.ok > SOME, SIG(kin_accepts)) |
	       when(kin.ref > SOME && kin.ok <= SOME, SIG(kin_refuses));
}

/* Other certificates of the issuer. */
static uint64_t
of_issuer(const struct psi_pop_who *id, struct mass own, struct mass near, struct mass domains)
{
	bool yes = own.ok > SOME, no = own.ref > SOME && !yes;
	bool wide = no && domains.ok <= SOME && domains.ref > WIDE;
	bool near_yes = near.ok > SOME, near_no = near.ref > SOME && !near_yes;

	if (!id->issuer_seen)
		return when(yes, SIG(accepts_family)) | when(no, SIG(refuses_family)) |
		       when(wide, SIG(refuses_widely_family)) |
		       when(near_yes, SIG(near_accepts_family)) |
		       when(near_no, SIG(near_refuses_family));
	return when(yes, SIG(accepts_issuer)) | when(no, SIG(refuses_issuer)) |
	       when(wide, SIG(refuses_widely)) | when(near_yes, SIG(near_accepts_issuer)) |
	       when(near_no, SIG(near_refuses_issuer));
}

/* What most of the others say who refuse a certificate that more refuse than accept. */
static enum vote
majority(const struct row *all, struct mass kinds, enum vote own, float own_share)
{
	enum vote most = VOTE_CNT;
	float n = SOME;

	for (int v = 0; all && kinds.ref > kinds.ok && v < VOTE_CNT; v++) {
		float others = all->vote[v] - (own == (enum vote)v ? own_share : 0);

		if (v == VOTE_EXPIRED) /* names a fault, where others send what they send for any */
			others *= 3;
		if (others > n) {
			n = others;
			most = (enum vote)v;
		}
	}
	return most;
}

static uint64_t
of_votes(enum vote v)
{
	static const uint64_t sig[VOTE_CNT + 1] = {
		SIG(others_say_48), SIG(others_say_expired), SIG(others_say_bad), 0};

	return sig[v];
}

static void
weigh(struct opinion *o)
{
	float sum[CAUSE_CNT] = {0}, all = 0, most = -1e9f;

	for (uint64_t left = o->signals; left; left &= left - 1) {
		int s = __builtin_ctzll(left);

		for (int c = 0; c < CAUSE_CNT; c++)
			sum[c] += weight[s].w[c];
		o->evidence |= weight[s].evidence;
	}
	for (int c = 0; c < CAUSE_CNT; c++) {
		if (sum[c] > most) {
			most = sum[c];
			o->top = (enum cause)c;
		}
	}
	for (int c = 0; c < CAUSE_CNT; c++)
		all += o->prob[c] = expf(sum[c] - most);
	for (int c = 0; c < CAUSE_CNT; c++)
		o->prob[c] /= all;
}

/* How often it refused, and whether the stack is one that uses nothing. all: of the stack, with domains. */
static uint64_t
of_attempts(enum how how, const struct row *leaf, const struct row *all)
{
	bool again = leaf && leaf->tries_ref > 1.5f, quiet = how >= HOW_AFTER;
	bool complete = quiet && how <= HOW_LEFT;

	return when(again, SIG(again)) | when(!again && quiet, SIG(once)) |
	       when(complete && all && all->other.ok <= SOME && all->tries_ref <= SOME &&
			       all->other.ref > MONITOR,
		       SIG(uses_nothing));
}

/* The host whatever it shows: what it shows to others may not be visible, or may be another certificate. */
static uint64_t
of_host(struct psi_population *p, const struct level *host, struct mass near, struct mass far)
{
	bool here = less(mass(host->client), share(p, host->leaf)).ok > SOME;
	bool there = less(mass(host->everyone), mass(host->client)).ok > SOME;

	return when(near.ok <= SOME && here, SIG(near_accepts_host)) |
	       when(near.ok <= SOME && far.ok <= SOME && !here && there, SIG(far_accepts_host));
}

/* Of the refusals in all, those in one. */
static float
part(float one, const struct row *all)
{
	return mass(all).ref <= 0 ? 1 : fminf(one / all->own.ref, 1);
}

/* Whether there was anything to compare with. That a stack accepts what looks alike from other hosts does not make a pin:
 * somebody must be seen to accept this host, or the issuer must show. */
static bool
has_comparison(const struct opinion *o)
{
	const uint64_t others = SIG(near_accepts) | SIG(far_accepts) | SIG(most_accept) |
				SIG(near_accepts_host) | SIG(far_accepts_host);
	const uint64_t refused = SIG(near_refuses) | SIG(most_refuse);
	const uint64_t refusals = SIG(near_refuses) | SIG(most_refuse) | SIG(kin_accepts) |
				  SIG(kin_refuses) | SIG(refuses_issuer) | SIG(refuses_family) |
				  SIG(near_accepts_issuer) | SIG(near_refuses_issuer) |
				  SIG(near_refuses_family) | SIG(accepts_here) | SIG(uses_nothing);

	/* nobody else was seen there: enough when it refuses again and again, and is at home with other hosts */
	if (o->signals & SIG(accepts_family) && o->signals & SIG(again) && !(o->signals & refused))
		return true;
	return o->signals &
	       (others | SIG(accepts_issuer) | (o->top == CAUSE_PINNED ? 0 : refusals));
}

void
pop_judge_rows(struct psi_population *p, const struct psi_pop_who *id, const struct flow_rows *rows,
	enum how how, unsigned int fault, struct opinion *o)
{
	const struct level at = rows->at;
	const struct issuer_rows iss = rows->iss;
	struct mass own, near, far, kin, kinds, iss_own;

	memset(o, 0, sizeof(*o));
	own = share(p, at.leaf);
	near = less(mass(at.client), own);
	far = less(mass(at.everyone), mass(at.client));
	kin = less(mass(at.kin), own);
	kinds = less(other(at.everyone), share(p, at.kin));
	iss_own = less(mass(iss.stack), own);
	o->vote = majority(at.everyone, kinds, pop_vote_of(how, fault), share(p, at.kin).ref);
	o->said = majority(at.everyone, other(at.everyone), VOTE_CNT, 0);
	o->signals =
		of_refusal(how, fault) | of_others(near, far, kin, kinds) |
		of_issuer(id, iss_own, less(mass(iss.client), mass(iss.stack)), other(iss.stack)) |
		of_votes(o->vote);
	o->signals |= when(own.ok > SOME, SIG(accepts_here));
	o->signals |= of_host(p, &rows->host, near, far) | of_attempts(how, at.leaf, iss.all);
	o->signals |= when(
		kinds.ok <= SOME && near.ok <= SOME && far.ok <= SOME &&
			less(mass(rows->host.everyone), share(p, rows->host.leaf)).ok <= SOME,
		SIG(unreached));
	o->attempts = (at.leaf ? at.leaf->tries_ref + at.leaf->tries_ok : 0) + near.ok + near.ref +
		      far.ok + far.ref + iss_own.ok + iss_own.ref;
	o->hosts_refused = mass(iss.stack).ok > SOME ? 0 : mass(iss.stack).ref;
	o->kin_clients = kin.ref + own.ref;
	o->scope = part(mass(at.leaf).ref, iss.pair);
	o->host_scope = part(at.everyone ? at.everyone->tries_ref : 0, iss.host);
	o->client_scope = id->issuer_seen ? 1 : part(mass(iss.stack).ref, iss.all);
	weigh(o);
	o->compared = has_comparison(o);
}

void
pop_judge(struct psi_population *p, const struct psi_pop_who *id, enum how how, unsigned int fault,
	struct opinion *o)
{
	struct flow_rows rows;

	pop_rows_find(p, id, &rows);
	pop_judge_rows(p, id, &rows, how, fault, o);
}
