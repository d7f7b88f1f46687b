/* SPDX-License-Identifier: BSD-3-Clause */
/* Many TLS connections at once: which one sends next is drawn, and one that ends makes room for the next. */
#include "gen_pvt.h"

#include <errno.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#define SERVERS	    4096u
#define SIGN_CHAINS 10000u /* distinct chains that are signed: 0.4 ms each, and 257 bytes */

static bool
wanted(const struct psi_gen_config *c, const struct template_info *t)
{
	bool v13 = t->tls[2] == '3';

	switch (c->kind) {
	case PSI_GEN_HTTPS: return t->group == DIRECT && (v13 ? c->tls13 > 0 : c->tls13 < 1);
	case PSI_GEN_CLIENTS: return t->group != DIRECT;
	case PSI_GEN_HANDSHAKES: return t->port == 20000 || t->port == 20010;
	default: return t->port == 20000; /* TCP that opens with TLS */
	}
}

/* The i-th template that a connection may have, of a group, and of a version where that counts. */
static uint32_t
draw(const struct psi_gen *g, struct gen_rand *r, enum group group, int v13)
{
	uint32_t all[64], n = 0;

	for (uint32_t i = 0; i < template_cnt && n < PSI_COUNT(all); i++)
		if (g->tpl[i] && template_info[i].group == group &&
			(v13 < 0 || (template_info[i].tls[2] == '3') == v13))
			all[n++] = i;
	PSI_ASSERT(n > 0, "templates of every group and version are there");
	return all[gen_below(r, n)];
}

/* The script of a template and a host, bound when it is first asked for. */
static const struct script *
script_of(struct psi_gen *g, uint32_t row, uint32_t host)
{
	struct script **s = &g->script[row * g->host_cnt + host];
	bool chains = g->cfg.kind == PSI_GEN_HANDSHAKES;
	struct bind b = {.chain = g->chain,
		.chain_len = g->chain_len,
		.key = g->key,
		.digits = chains,
		.more = g->cfg.kind == PSI_GEN_HTTPS};
	char name[64];

	if (*s)
		return *s;
	host_name(name, sizeof(name), host);
	b.host = chains ? PSI_GEN_CHAIN_NAME : name;
	*s = script_bind(g->tpl[row], &b, &g->err);
	return *s;
}

/* ---- what a connection is ---- */

/* Clients behind a proxy. Whether a client has the proxy's CA is its own affair and always the same; so is which
 * application pins which host: the first hosts are those of the pinning applications. */
static uint32_t
client_case(struct psi_gen *g, struct conn *c, uint32_t *client, uint32_t *host)
{
	uint32_t pin_hosts = PSI_MAX(g->host_cnt / 8, 1u);

	/* the shares are of connections, and clients are all as busy: so they are of clients, too */
	*client = gen_below(&c->rand, g->cfg.clients);
	if ((double)*client + 0.5 < g->cfg.unknown_ca * g->cfg.clients) {
		*host = gen_below(&c->rand, g->host_cnt);
		return draw(g, &c->rand, NO_CA, -1);
	}
	if (gen_unit(&c->rand) * (1 - g->cfg.unknown_ca) < g->cfg.pinned) {
		*host = gen_below(&c->rand, pin_hosts);
		return draw(g, &c->rand, PINNED, -1);
	}
	*host = gen_below(&c->rand, g->host_cnt);
	return draw(g, &c->rand, PROXY, -1);
}

static uint32_t
what_for(struct psi_gen *g, struct conn *c, uint32_t *client, uint32_t *server, uint32_t *host)
{
	int v13 = gen_unit(&c->rand) < g->cfg.tls13;

	*client = (uint32_t)(c->no / 60000);
	*host = 0;
	switch (g->cfg.kind) {
	case PSI_GEN_CLIENTS: {
		uint32_t row = client_case(g, c, client, host);

		*server = *host;
		return row;
	}
	case PSI_GEN_HTTPS:
		*client = gen_below(&c->rand, 1u << 16);
		*server = *host = gen_below(&c->rand, g->host_cnt);
		return draw(g, &c->rand, DIRECT, v13);
	case PSI_GEN_HANDSHAKES:
		/* every chain once before any comes again */
		c->chain = gen_below(&c->rand, g->cfg.chains);
		if (!v13 && g->shown < g->cfg.chains)
			c->chain = g->shown++;
		*server = c->chain % SERVERS;
		return draw(g, &c->rand, DIRECT, v13);
	default: *server = (uint32_t)(c->no % 64); return draw(g, &c->rand, DIRECT, 1);
	}
}

static void
tell(const struct psi_gen *g, const struct conn *c)
{
	const struct template_info *t = c->script->info;
	struct psi_gen_label l = {.no = c->no,
		.app = t->app,
		.stack = t->stack,
		.what = t->what,
		.path = t->path,
		.tls = t->tls,
		.truth = t->truth,
		.expected = t->expected};
	char sni[64];

	if (!g->cfg.label)
		return;
	snprintf(sni, sizeof(sni), "%s", c->script->sni);
	if (g->cfg.kind == PSI_GEN_HANDSHAKES)
		snprintf(sni, sizeof(sni), "h%08x%s", c->chain, c->script->sni + 9);
	l.sni = sni;
	memcpy(l.addr, c->ends.addr, sizeof(l.addr));
	memcpy(l.port, c->ends.port, sizeof(l.port));
	g->cfg.label(g->cfg.ctx, &l);
}

/* About how many packets a connection is long: so many that the mean is as asked, from a tenth of that on. */
static uint32_t
budget(const struct psi_gen *g, struct gen_rand *r)
{
	double mean = g->cfg.flow_packets, u = gen_unit(r), e = 0;

	/* the sum of two uniform variables over [0, 0.9 mean), so that no logarithm's last bit decides */
	e = (u + gen_unit(r)) * 0.9 * mean;
	return (uint32_t)(0.1 * mean + e);
}

/* The signature of the leaf that c shows, made when it is first shown. */
static bool
sign(struct psi_gen *g, struct conn *c)
{
	const struct script *s = c->script;
	struct signature *sig = &g->signature[c->chain];
	uint8_t tbs[4096];

	if (!sig->made) {
		if (s->tbs_len > sizeof(tbs))
			return false;
		conn_script_bytes(c, s->tbs_at, s->tbs_len, tbs);
		sig->made = leaf_sign(g->key, tbs, s->tbs_len, sig->bytes, sizeof(sig->bytes));
	}
	c->sig = sig->bytes;
	return sig->made;
}

static bool
begin(struct psi_gen *g, struct conn *c)
{
	uint32_t client, server, host, row;

	memset(c, 0, sizeof(*c));
	c->no = g->begun;
	c->key = conn_key(g, c->no);
	c->rand.s = ~c->key;
	row = what_for(g, c, &client, &server, &host);
	c->script = script_of(g, row, host);
	if (!c->script)
		return false;
	if (g->signature && c->script->tbs_len && !sign(g, c)) {
		psi_err_set(&g->err, -EINVAL, "a certificate cannot be signed");
		return false;
	}
	client_ends(&c->ends, c->no, client, server,
		g->cfg.ipv6 > 0 && gen_unit(&c->rand) < g->cfg.ipv6);
	c->seq[0] = (uint32_t)c->key;
	c->seq[1] = (uint32_t)(c->key >> 32);
	c->budget = budget(g, &c->rand);
	c->open_only = g->cfg.kind == PSI_GEN_TCP;
	g->begun++;
	tell(g, c);
	return true;
}

/* ---- the mix ---- */

static int
load_chain(struct psi_gen *g, struct psi_err *err)
{
	bool proxy = g->cfg.kind == PSI_GEN_CLIENTS;
	const unsigned char *key = proxy ? gen_proxy_key : gen_chain_key;
	uint32_t len = proxy ? gen_proxy_der_len : gen_chain_der_len;

	g->chain = malloc(3 + len);
	if (!g->chain)
		return psi_err_set(err, -ENOMEM, "no memory for certificates");
	/* the list's own length in front (RFC 5246 section 7.4.2) */
	memcpy(g->chain, (const uint8_t[]){(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len},
		3);
	memcpy(g->chain + 3, proxy ? gen_proxy_der : gen_chain_der, len);
	g->chain_len = 3 + len;
	g->key = d2i_AutoPrivateKey(NULL, &key, proxy ? gen_proxy_key_len : gen_chain_key_len);
	return g->key ? 0
		      : psi_err_set(err, -EINVAL, "the key that signs certificates cannot be read");
}

int
mix_open(struct psi_gen *g, struct psi_err *err)
{
	struct psi_gen_config *c = &g->cfg;

	g->host_cnt = c->kind == PSI_GEN_HTTPS || c->kind == PSI_GEN_CLIENTS ? c->hosts : 1;
	g->tpl = calloc(template_cnt, sizeof(*g->tpl));
	g->script = calloc((size_t)template_cnt * g->host_cnt, sizeof(*g->script));
	g->conn = calloc(c->live, sizeof(*g->conn));
	if (!g->tpl || !g->script || !g->conn)
		return psi_err_set(err, -ENOMEM, "no memory for %u connections at once", c->live);
	if (load_chain(g, err) != 0)
		return -EINVAL;
	if (c->kind == PSI_GEN_HANDSHAKES && c->chains <= SIGN_CHAINS &&
		!(g->signature = calloc(c->chains, sizeof(*g->signature))))
		return psi_err_set(err, -ENOMEM, "no memory for signatures");
	for (uint32_t i = 0; i < template_cnt; i++) {
		if (!wanted(c, &template_info[i]))
			continue;
		g->tpl[i] = template_load(&template_info[i], err);
		/* bound once here, so that a template that cannot be is known at once */
		if (!g->tpl[i] || !script_of(g, i, 0)) {
			if (g->tpl[i])
				*err = g->err;
			return -EINVAL;
		}
	}
	while (g->live < c->live && g->begun < c->flows)
		if (!begin(g, &g->conn[g->live++]))
			return psi_err_set(err, -ENOMEM, "%s", g->err.text);
	return 0;
}

void
mix_close(struct psi_gen *g)
{
	for (uint32_t i = 0; g->tpl && i < template_cnt; i++)
		script_free(g->tpl[i]);
	for (uint32_t i = 0; g->script && i < template_cnt * g->host_cnt; i++)
		script_free(g->script[i]);
	free(g->tpl);
	free(g->script);
	free(g->conn);
	free(g->chain);
	free(g->signature);
	EVP_PKEY_free(g->key);
}

/* Who sends next: drawn once a train of packets. */
static struct conn *
turn_of(struct psi_gen *g)
{
	if (!g->cur_left || g->cur >= g->live) {
		g->cur = gen_below(&g->rand, g->live);
		g->cur_left = g->cfg.train > 1 ? 1 + gen_below(&g->rand, 2 * g->cfg.train - 1) : 1;
	}
	g->cur_left--;
	return &g->conn[g->cur];
}

uint32_t
mix_next(struct psi_gen *g, uint8_t *f, uint64_t *flow)
{
	struct conn *c;
	uint32_t n;

	while (g->live) {
		c = turn_of(g);
		*flow = c->no;
		n = conn_next(c, &g->play, f);
		if (n)
			return n;
		g->cur_left = 0;
		if (c->open_only)
			small_opened(g, c);
		if (g->begun < g->cfg.flows) {
			if (!begin(g, c))
				return 0;
		} else {
			*c = g->conn[--g->live];
		}
	}
	return 0;
}
