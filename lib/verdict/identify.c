/* SPDX-License-Identifier: BSD-3-Clause */
/* Who a flow is about, what it was shown, and how it refused that. */
#include "population_pvt.h"

#define TLS13	      0x0304
#define AES256_SHA384 0x1302
#define CCM8	      0x1305
#define TICKET_MAX    512
#define SMALL_EE      200    /* EncryptedExtensions alone; longer: with more in one record */
#define AT_ONCE_NS    100000 /* no answer comes so soon */

/* What the lengths of a TLS 1.3 server's first records say, where each message has a record of its own. */
struct shape {
	uint16_t cert; /* length of the Certificate record; 0: cannot be told */
	uint16_t
		verify; /* of CertificateVerify, which goes by the key; ECDSA's vary by two and are put together */
	uint16_t ee; /* of EncryptedExtensions */
};

static uint16_t
verify_class(uint16_t len)
{
	static const struct {
		uint16_t lo, hi;
	} ecdsa[] = {{93, 98}, {126, 131},
		{160, 166}}; /* P-256, P-384, P-521: 4+4+1+16 and the signature's DER */

	for (size_t i = 0; i < PSI_COUNT(ecdsa); i++)
		if (len >= ecdsa[i].lo && len <= ecdsa[i].hi)
			return ecdsa[i].lo;
	return len;
}

/* EncryptedExtensions, perhaps CertificateRequest, Certificate, CertificateVerify, Finished (RFC 8446 section 2): the place
 * of the last, which has a length of its own (psi_tls_conclude knows the same; JSSE pads by 16). 0: cannot be told. */
static int
finished_at(const struct psi_rec *r)
{
	uint16_t tag = r->cipher == CCM8 ? 8 : 16;
	uint16_t fin = (uint16_t)(4 + (r->cipher == AES256_SHA384 ? 48 : 32) + 1 + tag);
	const uint16_t *len = r->enc_len[PSI_S2C];
	int n = PSI_MIN(r->enc_cnt[PSI_S2C], PSI_REC_RECORD_MAX);

	for (int i = 3; r->version == TLS13 && i < n && i <= 4; i++)
		if ((len[i] == fin || len[i] == fin + 16) && len[i - 2] > len[0] &&
			len[i - 2] > 200)
			return i;
	return 0;
}

static struct shape
shape_of(const struct psi_rec *r)
{
	const uint16_t *len = r->enc_len[PSI_S2C];
	int fin = finished_at(r);

	return fin ? (struct shape){len[fin - 2], verify_class(len[fin - 1]), len[0]}
		   : (struct shape){0};
}

/* What a TLS 1.3 server sent behind its Finished may be no answer but session tickets, though it came behind the client's
 * data: one or two records of equal length, no longer than a ticket, and a client that did not wait for any. */
bool
pop_tickets_only(const struct psi_rec *r)
{
	const uint16_t *len = r->enc_len[PSI_S2C];
	int first = finished_at(r) + 1, n = r->enc_cnt[PSI_S2C] - first;

	return first > 1 && (n == 1 || n == 2) && first + n <= PSI_REC_RECORD_MAX &&
	       len[first] <= TICKET_MAX && len[first] == len[first + n - 1] &&
	       r->tcp.first_fin == 1 + PSI_C2S && r->tcp.fin_ns <= r->tcp.hs_ns + AT_ONCE_NS;
}

bool
pop_was_used(const struct psi_rec *r)
{
	const uint64_t both = PSI_EVID_client_data | PSI_EVID_server_data;

	return (r->evidence & both) == both && !pop_tickets_only(r);
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static uint16_t
put_hex16(char *s, unsigned int v)
{
	static const char digit[] = "0123456789abcdef";
	uint16_t n = 0;

	for (int shift = 12; shift >= 0; shift -= 4)
		if (v >> shift || !shift)
			s[n++] = digit[v >> shift & 15];
	return n;
}

static uint16_t
put_dec(char *s, unsigned int v)
{
	uint16_t n = 0;

	for (unsigned int d = 100; d; d /= 10)
		if (v >= d || d == 1)
			s[n++] = (char)('0' + v / d % 10);
	return n;
}

/* An address as text, without the shortening of zeros: it is a name like any other here. */
static uint16_t
put_address(char *s, const uint8_t a[16], bool ipv4)
{
	uint16_t n = 0;

	for (int i = ipv4 ? 12 : 0; i < 16; i += ipv4 ? 1 : 2) {
		if (n)
			s[n++] = ipv4 ? '.' : ':';
		n = (uint16_t)(n + (ipv4 ? put_dec(s + n, a[i])
					 : put_hex16(s + n, (unsigned int)a[i] << 8 | a[i + 1])));
	}
	return n;
}

void
pop_host_name(const struct psi_pop_flow *f, char *name, uint16_t *len)
{
	static const enum psi_rec_var from[] = {PSI_VAR_SNI, PSI_VAR_CONNECT_TARGET};
	const uint8_t *p = NULL;
	uint32_t n = 0;

	for (size_t i = 0; i < PSI_COUNT(from) && !p; i++)
		p = psi_rec_piece(f->rec, from[i], &n);
	if (!p && f->cert_name_len) {
		p = f->cert_name;
		n = f->cert_name_len;
	}
	if (!p) {
		*len = put_address(name, f->rec->addr[PSI_S2C], f->rec->ipv4);
		return;
	}
	*len = (uint16_t)PSI_MIN(n, (uint32_t)PSI_FINDING_NAME_MAX - 1);
	for (uint16_t i = 0; i < *len; i++)
		name[i] = lower((char)p[i]);
}

/* The last two labels, three where the last two are short ("co.uk"): names of one owner, mostly. An address, or a name with
 * its port, stands for itself. */
static uint64_t
domain_of(uint64_t seed, const char *name, uint16_t len)
{
	uint16_t dot[3] = {0}, cnt = 0, from = 0;

	for (uint16_t i = len; i-- > 0 && cnt < 3;)
		if (name[i] == '.')
			dot[cnt++] = i;
	if (cnt >= 2)
		from = (uint16_t)(dot[1] + 1);
	if (cnt >= 2 && len - dot[0] <= 3 && dot[0] - dot[1] <= 4)
		from = cnt == 3 ? (uint16_t)(dot[2] + 1) : 0;
	if (len && name[len - 1] >= '0' && name[len - 1] <= '9')
		from = 0;
	return pop_hash(seed, name + from, len - from);
}

/* The same certificates are shown in clear by TLS 1.2 and hidden by TLS 1.3, where they have the length that the clear ones
 * foretell: then it is known what was shown, and who issued it. */
static void
link_versions(struct psi_population *p, const struct psi_pop_flow *f, struct psi_pop_who *id)
{
	uint16_t tail = f->rec->cipher == CCM8 ? 9 : 17; /* content type and tag */
	struct row *r;

	if (f->spki && f->cert_msg_len && id->issuer_seen) {
		r = pop_rows_make_shape(p, id->host, f->cert_msg_len, f->kept);
		r->ok_ns = id->ctx;
		r->ref_ns = id->issuer;
	} else if (!f->spki && id->hidden_len > tail) {
		r = pop_rows_shape(p, id->host, id->hidden_len - tail);
		if (!r || !r->ok_ns)
			return;
		id->ctx = r->ok_ns;
		id->issuer = id->issuer_any = r->ref_ns;
		id->issuer_seen = true;
	}
}

void
psi_population_chain(
	const struct psi_population *p, const struct psi_pop_flow *f, struct psi_pop_chain *out)
{
	out->named = f->issuer_len ? pop_hash(p->cfg.seed, f->issuer, f->issuer_len) : 0;
	out->shown = f->spki ? pop_mix(pop_hash(p->cfg.seed, f->spki, 32),
				       pop_mix(out->named, f->cert_cnt)) |
				       1
			     : 0;
}

/* What of a chain may change whom a flow is about: its issuer and key, and a name, where it shows no more than that. */
static uint64_t
chain_mark(const struct psi_pop_flow *f, const struct psi_pop_chain *chain)
{
	return chain->named + chain->shown + f->cert_name_len;
}

static void
work_out(const struct psi_population *p, const struct psi_pop_flow *f,
	const struct psi_pop_chain *chain, const uint8_t *ja4, uint32_t ja4_len,
	struct psi_pop_who *id)
{
	const struct psi_rec *r = f->rec;
	struct shape shape = shape_of(r);
	char name[PSI_FINDING_NAME_MAX];
	uint16_t name_len;

	pop_host_name(f, name, &name_len);
	id->known = true;
	id->spare = 0;
	id->client = pop_hash(p->cfg.seed, r->addr[PSI_C2S], 16);
	id->ja4 = pop_hash(p->cfg.seed, ja4, ja4_len);
	id->stack = pop_mix(id->client, id->ja4);
	id->host = pop_hash(p->cfg.seed, name, name_len);
	id->domain = domain_of(p->cfg.seed, name, name_len);
	id->issuer_seen = f->issuer_len > 0;
	id->hidden_len = shape.cert;
	id->named = chain->named;
	if (f->spki)
		id->ctx = chain->shown;
	else
		id->ctx = shape.cert ? pop_mix(shape.cert, shape.verify) | 1 : 0;
	if (id->issuer_seen) {
		/* one that sends fewer certificates than with other hosts is not accepted alike */
		id->issuer = id->issuer_any = pop_mix(id->named, f->cert_cnt);
	} else {
		id->issuer_any = pop_mix(1, shape.verify);
		id->issuer = pop_mix(id->issuer_any, (uint64_t)r->cipher << 16 | shape.ee);
	}
	id->of_chain = chain_mark(f, chain);
}

/* Worked out before, or now; not yet linked. False: no ClientHello was seen, so nobody knows which stack it was. */
static bool
who_of(const struct psi_population *p, const struct psi_pop_flow *f, struct psi_pop_who *id)
{
	uint32_t ja4_len;
	const uint8_t *ja4 = psi_rec_piece(f->rec, PSI_VAR_JA4, &ja4_len);
	struct psi_pop_chain chain;
	uint64_t of_chain;

	if (!ja4)
		return false;
	if (f->chain)
		chain = *f->chain;
	else
		psi_population_chain(p, f, &chain);
	of_chain = chain_mark(f, &chain);
	if (f->kept && f->kept->who.known && f->kept->who.of_chain == of_chain)
		*id = f->kept->who;
	else if (f->ahead && f->ahead->who.of_chain == of_chain)
		*id = f->ahead->who;
	else
		work_out(p, f, &chain, ja4, ja4_len, id);
	return true;
}

bool
psi_population_ahead(
	const struct psi_population *p, const struct psi_pop_flow *f, struct psi_pop_ahead *a)
{
	if (!pop_was_used(f->rec) || !who_of(p, f, &a->who))
		return false;
	pop_rows_keys(p, &a->who, a->key);
	a->key[PSI_POP_ROWS] = pop_rows_shape_key(p, a->who.host, f->cert_msg_len);
	a->asked = f->kept && f->kept->has_rows;
	if (a->asked)
		pop_rows_want_kept(p, f->kept);
	else
		pop_rows_want_lines(p, a->key, PSI_POP_ROWS + 1);
	return true;
}

void
psi_population_ahead_rows(const struct psi_population *p, const struct psi_pop_ahead *a)
{
	if (!a->asked)
		pop_rows_want_rows(p, a->key, PSI_POP_ROWS + 1);
}

bool
pop_identify(struct psi_population *p, const struct psi_pop_flow *f, struct psi_pop_who *id)
{
	if (!who_of(p, f, id))
		return false;
	if (f->kept)
		f->kept->who = *id;
	link_versions(p, f, id);
	return true;
}

unsigned int
pop_fault_of(const struct psi_pop_flow *f)
{
	uint32_t s = f->cert_status;
	unsigned int fault;

	fault = (s & PSI_CERT_EXPIRED ? FAULT_EXPIRED : 0u) |
		(s & PSI_CERT_SELF_SIGNED ? FAULT_SELF_SIGNED : 0u) |
		(f->name_mismatch ? FAULT_NAME : 0u) |
		(s & (PSI_CERT_INVALID_SIGNATURE | PSI_CERT_REVOKED | PSI_CERT_NOT_VALID_YET) ||
					f->wrong_use
				? FAULT_OTHER
				: 0u);
	return fault || !f->spki ? fault : FAULT_NONE;
}

/* A client that left before the server had said all cannot have judged it: TLS 1.3, a record each, and no Finished yet. */
bool
pop_cut_short(const struct psi_rec *r)
{
	const uint16_t *len = r->enc_len[PSI_S2C];

	return r->version == TLS13 && r->enc_cnt[PSI_S2C] < 4 && len[0] < SMALL_EE &&
	       !finished_at(r);
}

/* The client's first clear alert that may speak of the certificate, else how it went. */
enum how
pop_how_of(const struct psi_rec *r)
{
	const uint64_t done = PSI_EVID_client_finished | PSI_EVID_server_finished;

	for (unsigned int i = 0; i < r->alert_cnt; i++) {
		const struct psi_rec_alert *a = &r->alert[i];

		if (a->dir != PSI_C2S || a->encrypted || a->closing)
			continue;
		switch (a->code) {
		case 48: return HOW_48;
		case 42: return HOW_42;
		case 46: return HOW_46;
		case 45: return HOW_45;
		case 43:
		case 44: return HOW_CERT;
		case 40:
		case 80: return HOW_OWN_CHECK;
		default: break;
		}
		if (psi_alert_class(a->code) != PSI_CLASS_NONE)
			return HOW_OTHER;
	}
	if (r->evidence & PSI_EVID_client_alert_hidden)
		return (r->evidence & done) == done ? HOW_AFTER : HOW_HIDDEN;
	if (r->evidence & PSI_EVID_client_close_notify)
		return HOW_GOODBYE;
	if (r->evidence & PSI_EVID_client_data)
		return HOW_UNANSWERED;
	return r->evidence & PSI_EVID_client_finished ? HOW_LEFT : HOW_SILENT;
}
