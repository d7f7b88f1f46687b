/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection as a record for the collector. The one place that knows both tls and event. */
#include "worker_pvt.h"

#include <netinet/in.h>

_Static_assert(PSI_REC_ALERT_MAX == PSI_TLS_ALERT_MAX && PSI_REC_RECORD_MAX == PSI_TLS_RECORD_MAX &&
		       PSI_REC_SEQ_MAX == PSI_TLS_SEQ_MAX,
	"records carry what the parser keeps");

/* Which side is the client: told by a ClientHello, else who sent the SYN, else whose port is the higher one. */
static unsigned int
client_side(const struct conn *c, uint8_t *by)
{
	const struct psi_tuple *t = &c->first.tuple;

	*by = PSI_CLIENT_BY_HELLO;
	if (c->client >= 0)
		return (unsigned int)c->client;
	*by = PSI_CLIENT_BY_SYN;
	if (c->syn_side >= 0)
		return (unsigned int)c->syn_side;
	*by = PSI_CLIENT_BY_GUESS;
	return t->port[1] > t->port[0];
}

static void
fill_flow(struct psi_rec *r, const struct conn *c, const unsigned int side[2])
{
	const struct psi_pkt *p = &c->first;

	r->flow_id = c->id;
	r->start_ns = c->start_ns;
	r->end_ns = c->last_ns;
	r->ipv4 = (p->note & PSI_PKT_IPV4) != 0;
	r->proto = IPPROTO_TCP;
	r->vlan_cnt = p->vlan_cnt;
	memcpy(r->vlan, p->vlan, sizeof(r->vlan));
	r->tunnel_cnt = p->tunnel_cnt;
	for (unsigned int i = 0; i < p->tunnel_cnt; i++) {
		r->tunnel[i].id = p->tunnel[i].id;
		r->tunnel[i].type = p->tunnel[i].type;
	}
	for (int d = 0; d < PSI_DIR_CNT; d++) {
		unsigned int s = side[d];

		memcpy(r->addr[d], p->tuple.addr[s], 16);
		r->port[d] = p->tuple.port[s];
		r->bytes[d] = c->bytes[s];
		r->pkts[d] = c->pkts[s];
		r->app_bytes[d] = c->app[s] + c->skim.side[s].app_bytes;
		r->end_alerts[d] = (uint8_t)PSI_MIN(c->skim.side[s].alert_cnt, UINT8_MAX);
	}
}

static void
fill_tcp(struct psi_worker *w, struct psi_rec *r, const struct conn *c, const unsigned int side[2])
{
	unsigned int note = 0;

	for (int d = 0; d < PSI_DIR_CNT; d++) {
		const struct psi_stream_side *s = &c->stream.side[side[d]];

		if (c->first_rst == 1 + side[d])
			r->tcp.first_rst = (uint8_t)(1 + d);
		if (c->first_fin == 1 + side[d])
			r->tcp.first_fin = (uint8_t)(1 + d);
		if (s->note & PSI_STREAM_SYN)
			r->tcp.syn |= (uint8_t)(1 << d);
		note |= s->note;
		r->tcp.gaps += s->gap_cnt;
		r->tcp.retrans += s->retrans;
		r->tcp.ooo += s->ooo;
	}
	r->tcp.midstream = !r->tcp.syn;
	r->tcp.conflict = (note & PSI_STREAM_CONFLICT) != 0;
	r->tcp.acked_hole = (note & PSI_STREAM_ACKED_HOLE) != 0;
	r->tcp.shed = shed_since(&w->shed, &c->first.tuple, c->start_ns);
	if (c->first_rst)
		r->tcp.rst_ns = c->rst_ns[c->first_rst - 1];
	if (c->first_fin)
		r->tcp.fin_ns = c->fin_ns[c->first_fin - 1];
}

static void
fill_conclusions(
	struct psi_rec *r, const struct psi_tls *t, struct conn *c, const unsigned int side[2])
{
	struct psi_tls_end end = {0};
	struct psi_tls_facts f;

	for (int d = 0; d < PSI_DIR_CNT; d++) {
		uint64_t fin = c->fin_ns[side[d]], rst = c->rst_ns[side[d]];

		end.fin[d] = fin != 0;
		end.rst[d] = rst != 0;
		end.end_ns[d] = fin && rst ? PSI_MIN(fin, rst) : fin + rst;
	}
	psi_tls_conclude(t, &end, &f);
	for (int d = 0; d < PSI_DIR_CNT; d++) {
		c->app[side[d]] = f.app_bytes[d];
		r->app_bytes[d] = f.app_bytes[d] + c->skim.side[side[d]].app_bytes;
	}
	r->flags = f.flags;
	r->messages = f.messages;
	r->inferred = f.inferred;
	r->evidence = f.evidence;
	r->alert_cnt = f.alert_cnt;
	for (unsigned int i = 0; i < f.alert_cnt; i++) {
		const struct psi_tls_alert *a = &f.alert[i];

		r->alert[i] = (struct psi_rec_alert){.len = a->len,
			.dir = a->dir,
			.level = a->level,
			.code = a->code,
			.encrypted = (a->flags & PSI_TLS_ALERT_ENCRYPTED) != 0,
			.inferred = (a->flags & PSI_TLS_ALERT_INFERRED) != 0,
			.closing = (a->flags & PSI_TLS_ALERT_CLOSING) != 0};
	}
}

static void
put_list(struct psi_rec *r, enum psi_rec_var v, const struct psi_tls_hello *h, enum psi_tls_list l)
{
	psi_rec_put(r, v, h->v + h->list[l].at, h->list[l].cnt * sizeof(h->v[0]));
}

static void
fill_pieces(struct psi_worker *w, struct psi_rec *r, const struct psi_tls *t)
{
	const struct fp_entry *e;

	psi_rec_put(r, PSI_VAR_SNI, t->sni, t->sni_len);
	psi_rec_put(r, PSI_VAR_ALPN, t->alpn_sel, t->alpn_sel_len);
	psi_rec_put(r, PSI_VAR_CLIENT_ALPNS, t->client_alpns, t->alpn_len);
	if (t->messages & PSI_MSG_CLIENT_HELLO) {
		e = fp_client(w, t);
		psi_rec_put(r, PSI_VAR_JA3, e->ja3, strlen(e->ja3));
		psi_rec_put(r, PSI_VAR_JA3_STR, e->ja3_str, e->ja3_str_len);
		psi_rec_put(r, PSI_VAR_JA4, e->ja4, strlen(e->ja4));
	}
	if (t->messages & PSI_MSG_SERVER_HELLO) {
		e = fp_server(w, t);
		psi_rec_put(r, PSI_VAR_JA3S, e->ja3, strlen(e->ja3));
		psi_rec_put(r, PSI_VAR_JA3S_STR, e->ja3_str, e->ja3_str_len);
	}
	put_list(r, PSI_VAR_CIPHERS, &t->hello, PSI_TLS_L_CIPHERS);
	put_list(r, PSI_VAR_EXTENSIONS, &t->hello, PSI_TLS_L_EXTENSIONS);
	put_list(r, PSI_VAR_GROUPS, &t->hello, PSI_TLS_L_GROUPS);
	put_list(r, PSI_VAR_POINT_FORMATS, &t->hello, PSI_TLS_L_POINT_FORMATS);
	put_list(r, PSI_VAR_SIGALGS, &t->hello, PSI_TLS_L_SIGALGS);
	put_list(r, PSI_VAR_VERSIONS, &t->hello, PSI_TLS_L_VERSIONS);
	put_list(r, PSI_VAR_KEY_SHARES, &t->hello, PSI_TLS_L_KEY_SHARES);
}

/* What stood before TLS: the tunnel that led here, or the protocol that was upgraded. */
static void
fill_start(struct psi_rec *r, const struct psi_tls_start *s)
{
	const char *name = psi_tls_start_name(s->proto == PSI_START_TLS ? s->via : s->proto);

	if (name)
		psi_rec_put(r, PSI_VAR_STARTTLS, name, strlen(name));
	psi_rec_put(r, PSI_VAR_CONNECT_TARGET, s->target, s->target_len);
}

static void
fill_ech(struct psi_rec *r, const struct psi_tls_ech *e)
{
	r->ech.type = e->type;
	r->ech.kdf = e->kdf;
	r->ech.aead = e->aead;
	r->ech.enc_len = e->enc_len;
	r->ech.payload_len = e->payload_len;
	r->ech.config_id = e->config_id;
}

static void
fill_ocsp(struct psi_rec *r, const struct psi_tls *t)
{
	_Static_assert(sizeof(r->ocsp.serial) == sizeof(t->ocsp.serial), "copied as bytes");
	r->ocsp.status = t->ocsp_status;
	r->ocsp.error = t->ocsp.error;
	r->ocsp.serial_len = t->ocsp.serial_len;
	memcpy(r->ocsp.serial, t->ocsp.serial, sizeof(r->ocsp.serial));
	r->ocsp.this_update = t->ocsp.this_update;
	r->ocsp.next_update = t->ocsp.next_update;
}

static void
fill_tls(struct psi_worker *w, struct psi_rec *r, const struct hs *h, struct conn *c,
	const unsigned int side[2])
{
	const struct psi_tls *t = &h->tls;

	fill_conclusions(r, t, c, side);
	r->note = t->note;
	r->version = t->version;
	r->version_raw = t->version_raw;
	r->cipher = t->cipher;
	r->group = t->group;
	r->sigscheme = t->sigscheme;
	r->ticket_len = t->ticket_len;
	r->ticket_new_len = t->ticket_new_len;
	r->ticket_lifetime = t->ticket_lifetime;
	r->psk_cnt = t->psk_cnt;
	r->psk_len = t->psk_len;
	fill_ech(r, &t->ech);
	fill_ocsp(r, t);
	r->tcp.hs_ns = t->last_hs_ns;
	r->seq_len = t->seq_len;
	memcpy(r->seq, t->seq, t->seq_len);
	for (int d = 0; d < PSI_DIR_CNT; d++) {
		const struct psi_tls_side *s = &t->side[side[d]];

		r->session_id_len[d] = t->session_id_len[d];
		r->record_limit[d] = t->record_limit[d];
		r->enc_cnt[d] = s->enc_cnt;
		memcpy(r->enc_len[d], s->enc_len, sizeof(r->enc_len[d]));
		r->has_chain[d] = h->has_chain[d];
		r->chain_cut[d] = h->chain_cut[d];
		memcpy(r->chain_key[d], h->chain_key[d], sizeof(r->chain_key[d]));
		if (s->err && r->err == PSI_OK)
			r->err = s->err;
	}
	if (t->note & PSI_TLS_HELLO_CUT && r->err == PSI_OK)
		r->err = PSI_E_LIMIT;
	fill_pieces(w, r, t);
	if (psi_tls_start_plain(&h->start))
		fill_start(r, &h->start);
}

/* What only one side showed is said less surely: the conclusions ask for this note. */
static void
note_sides(struct psi_tls *t, const struct conn *c, const unsigned int side[2])
{
	t->note &= ~(uint32_t)(PSI_TLS_CLIENT_ONLY | PSI_TLS_SERVER_ONLY);
	if (!c->pkts[side[PSI_S2C]])
		t->note |= PSI_TLS_CLIENT_ONLY;
	if (!c->pkts[side[PSI_C2S]])
		t->note |= PSI_TLS_SERVER_ONLY;
}

void
record_make(struct psi_worker *w, struct conn *c, unsigned int kind, enum psi_rec_why why)
{
	struct psi_rec *r = out_reserve(w, PSI_REC_MAX);
	struct hs *h = kind & PSI_REC_HANDSHAKE ? hs_of(w, c) : NULL;
	uint32_t len = kind & PSI_REC_HANDSHAKE ? sizeof(*r) : PSI_REC_END_LEN;
	unsigned int side[PSI_DIR_CNT];
	uint8_t by;

	psi_stat_inc(&w->stats, PSI_STAT_rec_made);
	if (kind & PSI_REC_HANDSHAKE && c->told)
		kind |= PSI_REC_AGAIN;
	if (kind & PSI_REC_HANDSHAKE)
		c->told = 1;
	if (!r) {
		psi_stat_inc(&w->stats, PSI_STAT_rec_drop_full);
		return;
	}
	memset(r, 0, len);
	side[PSI_C2S] = client_side(c, &by);
	side[PSI_S2C] = !side[PSI_C2S];
	r->kind = (uint8_t)kind;
	r->why = (uint8_t)why;
	r->worker = w->cfg.id;
	r->client_by = by;
	fill_flow(r, c, side);
	fill_tcp(w, r, c, side);
	if (h && c->is_tls) {
		note_sides(&h->tls, c, side);
		if (h->tls.client < 0) /* bits and alerts so far stand by side: now by direction */
			psi_tls_client(&h->tls, side[PSI_C2S]);
		fill_tls(w, r, h, c, side);
	} else if (c->is_tls) { /* told before, or nothing known but that */
		r->flags = PSI_FLAG_VALID;
		if (c->no_room)
			r->err = PSI_E_FULL;
	}
	if (!r->len)
		r->len = len;
	psi_handoff_commit(w->out, PSI_HANDOFF_FLOW, r->len);
}
