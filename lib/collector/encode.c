/* SPDX-License-Identifier: BSD-3-Clause */
/* A flow, and the certificates in it, as event fields. */
#include "collector_pvt.h"
#include "psi_event_put.h"
#include "psi_net.h"

#include <arpa/inet.h>
#include <openssl/sha.h>

#define SSL2 0x0002 /* its suites have three bytes and no names here */

static const char *const side_name[3] = {NULL, "client", "server"}; /* by 1 + enum psi_dir */

static void
put_ip(struct psi_event_w *w, enum psi_field f, const uint8_t addr[16], bool ipv4)
{
	psi_put_bytes(w, f, ipv4 ? addr + 12 : addr, ipv4 ? 4 : 16);
}

static void
put_tunnels(struct psi_event_w *w, const struct psi_rec *r)
{
	for (unsigned int i = 0; i < r->tunnel_cnt; i++) {
		static const struct {
			enum psi_tunnel type;
			enum psi_field field;
		} ids[] = {
			{PSI_TUNNEL_VXLAN, PSI_F_TUNNEL_VNI},
			{PSI_TUNNEL_VXLAN_GPE, PSI_F_TUNNEL_VNI},
			{PSI_TUNNEL_GENEVE, PSI_F_TUNNEL_VNI},
			{PSI_TUNNEL_GRE, PSI_F_TUNNEL_KEY},
			{PSI_TUNNEL_GTPU, PSI_F_TUNNEL_TEID},
			{PSI_TUNNEL_MPLS, PSI_F_TUNNEL_LABEL},
			{PSI_TUNNEL_NVGRE, PSI_F_TUNNEL_VSID},
			{PSI_TUNNEL_PPPOE, PSI_F_TUNNEL_SESSION},
			{PSI_TUNNEL_ERSPAN, PSI_F_TUNNEL_SESSION},
			{PSI_TUNNEL_L2TPV3, PSI_F_TUNNEL_SESSION},
			{PSI_TUNNEL_L2TP, PSI_F_TUNNEL_SESSION},
		};

		psi_event_open(w, PSI_F_TUNNEL);
		psi_put_str(w, PSI_F_TUNNEL_TYPE, psi_tunnel_name(r->tunnel[i].type));
		for (size_t k = 0; k < PSI_COUNT(ids); k++)
			if (ids[k].type == r->tunnel[i].type)
				psi_put_u64(w, ids[k].field, r->tunnel[i].id);
		psi_event_close(w);
	}
}

static void
put_flow(struct psi_event_w *w, const struct psi_rec *r)
{
	static const char *const by[] = {[PSI_CLIENT_BY_HELLO] = "hello",
		[PSI_CLIENT_BY_SYN] = "syn",
		[PSI_CLIENT_BY_GUESS] = "guess"};

	psi_put_u64(w, PSI_F_FLOW_ID, r->flow_id);
	put_ip(w, PSI_F_SRC_IP, r->addr[PSI_C2S], r->ipv4);
	psi_put_u64(w, PSI_F_SRC_PORT, r->port[PSI_C2S]);
	put_ip(w, PSI_F_DEST_IP, r->addr[PSI_S2C], r->ipv4);
	psi_put_u64(w, PSI_F_DEST_PORT, r->port[PSI_S2C]);
	psi_put_str(w, PSI_F_PROTO, "TCP");
	if (r->vlan_cnt)
		psi_event_put_u16s(w, PSI_F_VLAN, r->vlan, r->vlan_cnt);
	put_tunnels(w, r);
	psi_put_u64(w, PSI_F_FLOW_START, r->start_ns);
	psi_put_u64(w, PSI_F_FLOW_END, r->end_ns);
	if (r->kind & PSI_REC_END)
		psi_put_str(w, PSI_F_FLOW_REASON, psi_rec_why_name(r->why));
	psi_put_str(w, PSI_F_FLOW_CLIENT_BY, by[r->client_by]);
	psi_put_u64(w, PSI_F_BYTES_C2S, r->bytes[PSI_C2S]);
	psi_put_u64(w, PSI_F_BYTES_S2C, r->bytes[PSI_S2C]);
	psi_put_u64(w, PSI_F_PKTS_C2S, r->pkts[PSI_C2S]);
	psi_put_u64(w, PSI_F_PKTS_S2C, r->pkts[PSI_S2C]);
	psi_put_u64(w, PSI_F_APP_C2S, r->app_bytes[PSI_C2S]);
	psi_put_u64(w, PSI_F_APP_S2C, r->app_bytes[PSI_S2C]);
}

/* µs from the last handshake record to ns; not put when it came before, or there was none. */
static void
put_after(struct psi_event_w *w, enum psi_field f, uint64_t ns, uint64_t hs_ns)
{
	if (ns && hs_ns && ns >= hs_ns)
		psi_put_u64(w, f, (ns - hs_ns) / 1000);
}

static void
put_tcp(struct psi_event_w *w, const struct psi_rec *r)
{
	psi_put_str(w, PSI_F_TCP_RST, side_name[r->tcp.first_rst]);
	psi_put_str(w, PSI_F_TCP_FIN, side_name[r->tcp.first_fin]);
	put_after(w, PSI_F_TCP_RST_AFTER, r->tcp.rst_ns, r->tcp.hs_ns);
	put_after(w, PSI_F_TCP_FIN_AFTER, r->tcp.fin_ns, r->tcp.hs_ns);
	psi_put_u64(w, PSI_F_TCP_SYN, r->tcp.syn != 0);
	psi_put_u64(w, PSI_F_TCP_RETRANS, r->tcp.retrans);
	psi_put_u64(w, PSI_F_TCP_OOO, r->tcp.ooo);
	psi_put_u64(w, PSI_F_TCP_GAPS, r->tcp.gaps);
	psi_put_u64(w, PSI_F_TCP_MIDSTREAM, r->tcp.midstream);
	if (r->tcp.conflict)
		psi_put_u64(w, PSI_F_TCP_CONFLICT, 1);
	if (r->tcp.acked_hole)
		psi_put_u64(w, PSI_F_TCP_ACKED_HOLE, 1);
	if (r->tcp.shed)
		psi_put_u64(w, PSI_F_TCP_SHED, 1);
}

static void
put_alerts(struct psi_event_w *w, const struct psi_rec *r)
{
	for (unsigned int i = 0; i < r->alert_cnt; i++) {
		const struct psi_rec_alert *a = &r->alert[i];

		psi_event_open(w, PSI_F_ALERTS);
		psi_put_str(w, PSI_F_ALERT_DIR, a->dir == PSI_C2S ? "c2s" : "s2c");
		if (!a->encrypted) {
			psi_put_u64(w, PSI_F_ALERT_LEVEL, a->level);
			psi_put_u64(w, PSI_F_ALERT_CODE, a->code);
		}
		psi_put_u64(w, PSI_F_ALERT_ENCRYPTED, a->encrypted);
		psi_put_u64(w, PSI_F_ALERT_INFERRED, a->inferred);
		psi_put_u64(w, PSI_F_ALERT_CLOSING, a->closing);
		if (a->len)
			psi_put_u64(w, PSI_F_ALERT_LEN, a->len);
		psi_event_close(w);
	}
}

static void
put_records(struct psi_event_w *w, enum psi_field f, const struct psi_rec *r, enum psi_dir d)
{
	if (r->enc_cnt[d])
		psi_put_bytes(w, f, r->enc_len[d],
			PSI_MIN(r->enc_cnt[d], PSI_REC_RECORD_MAX) * sizeof(r->enc_len[d][0]));
}

/* What the hellos and the ticket say in numbers; nothing for what was not sent. */
static void
put_sizes(struct psi_event_w *w, const struct psi_rec *r)
{
	if (r->messages & PSI_MSG_NEW_SESSION_TICKET) {
		psi_put_u64(w, PSI_F_TLS_TICKET_ISSUED_LEN, r->ticket_new_len);
		psi_put_u64(w, PSI_F_TLS_TICKET_LIFETIME, r->ticket_lifetime);
	}
	if (r->psk_cnt) {
		psi_put_u64(w, PSI_F_TLS_PSK_CNT, r->psk_cnt);
		psi_put_u64(w, PSI_F_TLS_PSK_LEN, r->psk_len);
	}
	if (r->record_limit[PSI_C2S])
		psi_put_u64(w, PSI_F_TLS_REC_LIMIT_C2S, r->record_limit[PSI_C2S]);
	if (r->record_limit[PSI_S2C])
		psi_put_u64(w, PSI_F_TLS_REC_LIMIT_S2C, r->record_limit[PSI_S2C]);
}

static void
put_ech(struct psi_event_w *w, const struct psi_rec *r)
{
	static const char *const type[] = {NULL, "outer", "inner"};

	if (r->note & PSI_TLS_ECH)
		psi_put_u64(w, PSI_F_TLS_ECH, 1);
	if (r->ech.type)
		psi_put_str(w, PSI_F_TLS_ECH_TYPE, type[r->ech.type]);
	if (r->ech.type != 1)
		return;
	psi_put_u64(w, PSI_F_TLS_ECH_CONFIG_ID, r->ech.config_id);
	psi_put_u64(w, PSI_F_TLS_ECH_KDF, r->ech.kdf);
	psi_put_u64(w, PSI_F_TLS_ECH_AEAD, r->ech.aead);
	psi_put_u64(w, PSI_F_TLS_ECH_ENC_LEN, r->ech.enc_len);
	psi_put_u64(w, PSI_F_TLS_ECH_PAYLOAD_LEN, r->ech.payload_len);
}

/* The stapled OCSP answer. */
static void
put_ocsp(struct psi_event_w *w, const struct psi_rec *r)
{
	static const char *const status[] = {NULL, "good", "revoked", "unknown"};
	static const char *const error[] = {NULL, "malformed_request", "internal_error",
		"try_later", NULL, "sig_required", "unauthorized"};

	if (!(r->note & PSI_TLS_OCSP_STAPLED))
		return;
	psi_put_u64(w, PSI_F_TLS_OCSP_STAPLED, 1);
	if (r->ocsp.status)
		psi_put_str(w, PSI_F_TLS_OCSP_STATUS, status[r->ocsp.status]);
	else if (r->ocsp.error < PSI_COUNT(error))
		psi_put_str(w, PSI_F_TLS_OCSP_STATUS, error[r->ocsp.error]);
	if (r->ocsp.serial_len)
		psi_put_bytes(w, PSI_F_TLS_OCSP_SERIAL, r->ocsp.serial, r->ocsp.serial_len);
	if (r->ocsp.this_update)
		psi_put_u64(w, PSI_F_TLS_OCSP_THIS, (uint64_t)r->ocsp.this_update);
	if (r->ocsp.next_update)
		psi_put_u64(w, PSI_F_TLS_OCSP_NEXT, (uint64_t)r->ocsp.next_update);
}

static void
put_hello(struct psi_event_w *w, const struct psi_rec *r)
{
	/* A draft is not the version it became: it has a number, but no name. */
	if (r->version_raw && r->version_raw != r->version)
		psi_put_u64(w, PSI_F_TLS_VERSION_RAW, r->version_raw);
	else if (r->version)
		psi_put_u64(w, PSI_F_TLS_VERSION, r->version);
	if (r->messages & PSI_MSG_SERVER_HELLO && r->version != SSL2)
		psi_put_u64(w, PSI_F_TLS_CIPHER, r->cipher);
	if (r->group)
		psi_put_u64(w, PSI_F_TLS_GROUP, r->group);
	if (r->sigscheme)
		psi_put_u64(w, PSI_F_TLS_SIGSCHEME, r->sigscheme);
	psi_event_put_fields(w, r->var, r->var_len);
	if (r->messages & PSI_MSG_CLIENT_HELLO) {
		psi_put_u64(w, PSI_F_TLS_SESSION_ID_C2S, r->session_id_len[PSI_C2S]);
		psi_put_u64(w, PSI_F_TLS_TICKET_LEN, r->ticket_len);
	}
	if (r->messages & PSI_MSG_SERVER_HELLO) {
		psi_put_u64(w, PSI_F_TLS_SESSION_ID_S2C, r->session_id_len[PSI_S2C]);
		psi_put_u64(w, PSI_F_TLS_RESUMED, (r->note & PSI_TLS_RESUMED) != 0);
	}
	put_sizes(w, r);
	put_ech(w, r);
	put_ocsp(w, r);
	if (r->note)
		psi_put_u64(w, PSI_F_TLS_NOTES, r->note);
}

static void
put_cert(struct psi_event_w *w, enum psi_field f, const void *fields, uint32_t len)
{
	psi_event_open(w, f);
	psi_event_put_fields(w, fields, len);
	psi_event_close(w);
}

static void
put_chain(struct psi_event_w *w, enum psi_field f, enum psi_field cut, const struct chain *c,
	bool record_cut)
{
	if (!c)
		return;
	if (c->cert_cnt)
		put_cert(w, f, c->leaf + c->leaf_len, c->first_len);
	for (uint32_t i = 1; i < c->cert_cnt; i++)
		put_cert(w, f, c->cert[i]->bytes, c->cert[i]->fields_len);
	if (c->cut || record_cut)
		psi_put_u64(w, cut, 1);
}

static void
put_chains(struct psi_event_w *w, const struct flow_view *v)
{
	const struct chain *server = v->chain[PSI_S2C];

	if (server && server->leaf_len)
		psi_event_put_fields(w, server->leaf, server->leaf_len);
	put_chain(w, PSI_F_TLS_CHAIN, PSI_F_TLS_CHAIN_CUT, server, v->rec->chain_cut[PSI_S2C]);
	put_chain(w, PSI_F_TLS_CLIENT_CHAIN, PSI_F_TLS_CLIENT_CHAIN_CUT, v->chain[PSI_C2S],
		v->rec->chain_cut[PSI_C2S]);
	psi_put_u64(w, PSI_F_TLS_CERT_STATUS, v->cert_status);
	for (uint32_t left = v->cert_findings; left; left &= left - 1)
		psi_put_str(w, PSI_F_TLS_CERT_FINDINGS, psi_trust_finding_name(left & -left));
}

static void
put_operator(struct psi_event_w *w, const struct flow_view *v)
{
	for (uint32_t i = 0; i < v->hits.cnt; i++)
		psi_put_str(w, PSI_F_RULES, v->hits.id[i]);
	if (v->pin.pin == PSI_PIN_NONE)
		return;
	psi_put_str(w, PSI_F_PINS_SET, v->pin.set);
	psi_put_str(w, PSI_F_PINS_RESULT, psi_pin_name(v->pin.pin));
	if (v->pin.pin == PSI_PIN_MATCH || v->pin.pin == PSI_PIN_BACKUP_MATCH)
		psi_put_u64(w, PSI_F_PINS_MATCHED, v->pin.depth);
}

void
encode_flow(struct psi_event_w *w, const struct flow_view *v)
{
	const struct psi_rec *r = v->rec;

	put_flow(w, r);
	put_tcp(w, r);
	if (r->kind & PSI_REC_HANDSHAKE) {
		put_hello(w, r);
		put_chains(w, v);
		psi_put_u64(w, PSI_F_FLAGS, r->flags);
		psi_put_u64(w, PSI_F_MESSAGES, r->messages & ~r->inferred);
		if (r->inferred)
			psi_put_u64(w, PSI_F_INFERRED, r->inferred);
		psi_event_put_bytes(w, PSI_F_SEQUENCE, r->seq, r->seq_len);
		put_alerts(w, r);
		put_records(w, PSI_F_RECORDS_C2S, r, PSI_C2S);
		put_records(w, PSI_F_RECORDS_S2C, r, PSI_S2C);
	}
	put_operator(w, v);
	psi_put_str(w, PSI_F_ERROR, r->err == PSI_OK ? "SUCCESS" : psi_rc_name(r->err));
	psi_put_u64(w, PSI_F_CLASS, v->verdict->class);
	psi_put_f64(w, PSI_F_CONFIDENCE, (double)v->verdict->confidence);
	psi_put_u64(w, PSI_F_EVIDENCE, v->verdict->evidence);
	psi_put_str(w, PSI_F_REASON, v->verdict->reason);
}

static void
put_time(struct psi_event_w *w, enum psi_field f, int64_t t)
{
	if (t != INT64_MIN)
		psi_event_put_u64(w, f, (uint64_t)t);
}

static void
put_sans(struct psi_event_w *w, enum psi_field f, const struct psi_x509 *c)
{
	enum psi_x509_san kind;
	char ip[INET6_ADDRSTRLEN];
	const uint8_t *p;
	uint32_t at = 0, len;

	while (psi_x509_san_next(c, &at, &kind, &p, &len))
		if (kind == PSI_SAN_DNS || kind == PSI_SAN_EMAIL || kind == PSI_SAN_URI)
			psi_event_put_bytes(w, f, p, len);
		else if (kind == PSI_SAN_IP && (len == 4 || len == 16))
			psi_event_put_str(
				w, f, inet_ntop(len == 4 ? AF_INET : AF_INET6, p, ip, sizeof(ip)));
}

static void
put_bit_names(struct psi_event_w *w, enum psi_field f, uint32_t bits, const char *const *name,
	uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (bits & 1u << i)
			psi_event_put_str(w, f, name[i]);
}

/* What the key may be used for. */
static void
put_usages(struct psi_event_w *w, const struct psi_x509 *c)
{
	/* RFC 5280 section 4.2.1.3, by bit; section 4.2.1.12, by bit of enum psi_x509_eku */
	static const char *const usage[] = {"digitalSignature", "nonRepudiation", "keyEncipherment",
		"dataEncipherment", "keyAgreement", "keyCertSign", "cRLSign", "encipherOnly",
		"decipherOnly"};
	static const char *const purpose[] = {"serverAuth", "clientAuth", "codeSigning",
		"emailProtection", "timeStamping", "OCSPSigning", "anyExtendedKeyUsage", "other"};

	put_bit_names(w, PSI_F_CERT_KEY_USAGE, c->key_usage, usage, PSI_COUNT(usage));
	put_bit_names(w, PSI_F_CERT_EKU, c->eku, purpose, PSI_COUNT(purpose));
}

void
encode_leaf(struct psi_event_w *w, const struct psi_x509 *c)
{
	psi_event_put_str(w, PSI_F_TLS_SUBJECT, c->subject);
	psi_event_put_str(w, PSI_F_TLS_ISSUERDN, c->issuer);
	psi_event_put_bytes(w, PSI_F_TLS_SERIAL, c->serial, c->serial_len);
	psi_event_put_bytes(w, PSI_F_TLS_FINGERPRINT, c->sha1, sizeof(c->sha1));
	put_time(w, PSI_F_TLS_NOTBEFORE, c->not_before);
	put_time(w, PSI_F_TLS_NOTAFTER, c->not_after);
	put_sans(w, PSI_F_TLS_SAN, c);
}

void
encode_raw_key(struct psi_event_w *w, const uint8_t *spki, uint32_t len, uint8_t hash[32])
{
	SHA256(spki, len, hash);
	psi_event_put_bytes(w, PSI_F_CERT_SPKI_SHA256, hash, SHA256_DIGEST_LENGTH);
	psi_event_put_u64(w, PSI_F_CERT_LEN, len);
	psi_event_put_str(w, PSI_F_CERT_TYPE, "raw_public_key");
}

void
encode_cert(struct psi_event_w *w, const struct psi_x509 *c)
{
	static const uint8_t no_key[32];
	char key[32];

	psi_event_put_str(w, PSI_F_CERT_SUBJECT, c->subject);
	psi_event_put_str(w, PSI_F_CERT_ISSUER, c->issuer);
	psi_event_put_bytes(w, PSI_F_CERT_SERIAL, c->serial, c->serial_len);
	psi_event_put_bytes(w, PSI_F_CERT_SHA1, c->sha1, sizeof(c->sha1));
	psi_event_put_bytes(w, PSI_F_CERT_SHA256, c->sha256, sizeof(c->sha256));
	if (memcmp(c->spki_sha256, no_key, sizeof(no_key)) != 0)
		psi_event_put_bytes(
			w, PSI_F_CERT_SPKI_SHA256, c->spki_sha256, sizeof(c->spki_sha256));
	put_time(w, PSI_F_CERT_NOTBEFORE, c->not_before);
	put_time(w, PSI_F_CERT_NOTAFTER, c->not_after);
	psi_event_put_u64(w, PSI_F_CERT_CA, (c->note & PSI_X509_CA) != 0);
	if (c->note & PSI_X509_HAS_PATHLEN)
		psi_event_put_u64(w, PSI_F_CERT_PATHLEN, c->pathlen);
	if (c->key_type != PSI_KEY_UNKNOWN)
		psi_event_put_str(w, PSI_F_CERT_KEY, psi_x509_key_name(c, key, sizeof(key)));
	psi_event_put_str(w, PSI_F_CERT_SIGALG, c->sigalg);
	put_sans(w, PSI_F_CERT_SAN, c);
	put_usages(w, c);
	psi_event_put_bytes(w, PSI_F_CERT_SKI, c->ski, c->ski_len);
	psi_event_put_bytes(w, PSI_F_CERT_AKI, c->aki, c->aki_len);
	psi_event_put_u64(w, PSI_F_CERT_SCTS, c->sct_cnt);
	psi_event_put_u64(w, PSI_F_CERT_LEN, c->len);
	if (c->err != PSI_OK)
		psi_event_put_str(w, PSI_F_CERT_ERROR, psi_rc_text(c->err));
}

void
encode_finding(struct psi_event_w *w, const struct psi_finding *f, const char *also)
{
	psi_event_put_str(w, PSI_F_FINDING_KIND, psi_finding_kind_name(f->kind));
	if (f->sni_len)
		psi_event_put_bytes(w, PSI_F_FINDING_SNI, f->sni, f->sni_len);
	if (f->client)
		put_ip(w, PSI_F_FINDING_CLIENT, f->client, f->client_ipv4);
	if (f->ja4_len)
		psi_event_put_bytes(w, PSI_F_FINDING_JA4, f->ja4, f->ja4_len);
	if (f->issuer_len)
		psi_event_put_bytes(w, PSI_F_FINDING_ISSUER, f->issuer, f->issuer_len);
	psi_event_put_str(w, PSI_F_FINDING_CLASS, psi_finding_name(f->class));
	psi_event_put_f64(w, PSI_F_FINDING_CONFIDENCE, (double)f->confidence);
	psi_event_put_u64(w, PSI_F_FINDING_SEEN, f->seen);
	psi_event_put_u64(w, PSI_F_FINDING_FAILED, f->failed);
	psi_event_put_u64(w, PSI_F_FINDING_OK, f->ok);
	psi_event_put_u64(w, PSI_F_FINDING_FIRST, f->first_ns);
	psi_event_put_u64(w, PSI_F_FINDING_LAST, f->last_ns);
	for (uint64_t left = f->evidence; left; left &= left - 1)
		psi_event_put_str(w, PSI_F_FINDING_EVIDENCE, psi_evidence_name(left & -left));
	psi_event_put_str(w, PSI_F_FINDING_EVIDENCE, also);
	psi_event_put_str(w, PSI_F_FINDING_REASON, f->reason);
}
