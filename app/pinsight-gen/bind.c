/* SPDX-License-Identifier: BSD-3-Clause */
/* A recorded connection under another name: the name in the ClientHello (RFC 6066 section 3) and in the certificates is
 * replaced, and every length around it: extension, extensions, handshake message, record; DER lengths, certificate, list.
 * Then the places of randoms, session ids and whatever else varies from connection to connection are written down. */
#include "gen_pvt.h"
#include "psi_cursor.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define ROOM 16384u /* bytes that a script may grow by: certificates and names are far shorter */

enum { CT_HANDSHAKE = 22, CLIENT_HELLO = 1, SERVER_HELLO = 2, CERTIFICATE = 11 };

/* The random of a HelloRetryRequest, RFC 8446 section 4.1.3; its first bytes suffice. */
static const uint8_t hrr_random[8] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11};

/* A script in the making. */
struct edit {
	struct script *s;
	struct step *st;   /* the turn at hand */
	uint32_t rec, msg; /* its record and handshake message: where their headers begin */
	uint32_t cap;	   /* of s->bytes */
	struct psi_err *err;
};

static void
add(uint8_t *p, int bytes, int32_t delta)
{
	uint32_t v = 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	v += (uint32_t)delta;
	for (int i = bytes; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

/* Replaces n bytes at `at`; everything behind moves, turns included. Lengths around are the caller's. */
static bool
splice(struct edit *e, uint32_t at, uint32_t n, const void *by, uint32_t by_len)
{
	struct script *s = e->s;
	int32_t delta = (int32_t)by_len - (int32_t)n;

	if (delta > 0 && s->len + (uint32_t)delta > e->cap) {
		psi_err_set(e->err, -ENOSPC, "the connection grows too long");
		return false;
	}
	memmove(s->bytes + at + by_len, s->bytes + at + n, s->len - at - n);
	memcpy(s->bytes + at, by, by_len);
	s->len += (uint32_t)delta;
	e->st->len += (uint32_t)delta;
	for (struct step *o = e->st + 1; o < s->step + s->step_cnt; o++)
		o->at += (uint32_t)delta;
	for (uint32_t i = 0; i < s->patch_cnt; i++)
		if (s->patch[i].at >= at + n)
			s->patch[i].at += (uint32_t)delta;
	return true;
}

/* The same inside the message at hand, whose length and record's follow. */
static bool
splice_msg(struct edit *e, uint32_t at, uint32_t n, const void *by, uint32_t by_len)
{
	int32_t delta = (int32_t)by_len - (int32_t)n;

	if (!splice(e, at, n, by, by_len))
		return false;
	add(e->s->bytes + e->msg + 1, 3, delta);
	add(e->s->bytes + e->rec + 3, 2, delta);
	return true;
}

static bool
patch(struct edit *e, enum patch_kind kind, uint32_t at, uint32_t len)
{
	struct script *s = e->s;

	if (s->patch_cnt == PATCH_MAX) {
		psi_err_set(e->err, -ENOSPC, "too many places vary in the connection");
		return false;
	}
	s->patch[s->patch_cnt++] = (struct patch){.kind = kind, .at = at, .len = len};
	return true;
}

/* The 8 digits behind an 'h' that begins name, wherever it stands in [at, end). */
static bool
patch_digits(struct edit *e, uint32_t at, uint32_t end, const char *name)
{
	uint32_t n = (uint32_t)strlen(name);

	for (; at + n <= end; at++) {
		if (memcmp(e->s->bytes + at, name, n) != 0)
			continue;
		if (!patch(e, PATCH_DIGITS, at + 1, 8))
			return false;
		at += n - 1;
	}
	return true;
}

/* ---- ClientHello, ServerHello ---- */

static bool
client_hello(struct edit *e, const struct bind *b, uint32_t end)
{
	struct script *s = e->s;
	struct psi_cursor c = psi_cursor(s->bytes + e->msg + 4, end - e->msg - 4), ext, body;
	const uint8_t *random, *exts;
	uint16_t n, type;
	uint8_t sid;

	if (!psi_take(&c, 2) || !(random = psi_take(&c, 32)) || !psi_take8(&c, &sid))
		return false;
	if (!patch(e, PATCH_CLIENT_RANDOM, (uint32_t)(random - s->bytes), 32) ||
		(sid && !patch(e, PATCH_CLIENT_SID, (uint32_t)(c.p - s->bytes), sid)))
		return false;
	psi_take(&c, sid);
	if (!psi_take16(&c, &n) || !psi_take(&c, n) || !psi_take8(&c, &sid) || !psi_take(&c, sid))
		return false;
	exts = c.p;
	if (!psi_take16(&c, &n) || !psi_sub(&c, n, &ext))
		return false;
	while (psi_take16(&ext, &type) && psi_take16(&ext, &n) && psi_sub(&ext, n, &body)) {
		uint32_t at = (uint32_t)(body.p - s->bytes), len = (uint32_t)strlen(b->host);

		if (type != 0 || n < 5)
			continue;
		snprintf(s->sni, sizeof(s->sni), "%s", b->host);
		add(s->bytes + at - 2, 2, (int32_t)len + 5 - n);
		add(s->bytes + at, 2, (int32_t)len + 5 - n);
		add(s->bytes + at + 3, 2, (int32_t)len + 5 - n);
		add(s->bytes + (exts - s->bytes), 2, (int32_t)len + 5 - n);
		return splice_msg(e, at + 5, n - 5u, b->host, len) &&
		       (!b->digits || patch_digits(e, at + 5, at + 5 + len, b->host));
	}
	return true;
}

/* Whether the server repeats the client's session id: resumption, or TLS 1.3. */
static bool
echoes(const struct script *s, const uint8_t *sid, uint32_t len)
{
	for (uint32_t i = 0; i < s->patch_cnt; i++)
		if (s->patch[i].kind == PATCH_CLIENT_SID && s->patch[i].len == len &&
			memcmp(s->bytes + s->patch[i].at, sid, len) == 0)
			return true;
	return false;
}

static bool
server_hello(struct edit *e, uint32_t end)
{
	uint32_t at = e->msg + 4 + 2;
	const uint8_t *b = e->s->bytes;

	if (end < at + 33 || end < at + 33 + b[at + 32])
		return false;
	/* the last 8 bytes may be a downgrade mark (RFC 8446 section 4.1.3): they stay */
	if (memcmp(b + at, hrr_random, sizeof(hrr_random)) != 0 &&
		!patch(e, PATCH_SERVER_RANDOM, at, 24))
		return false;
	return !b[at + 32] ||
	       patch(e, echoes(e->s, b + at + 33, b[at + 32]) ? PATCH_CLIENT_SID : PATCH_SERVER_SID,
		       at + 33, b[at + 32]);
}

/* ---- certificates ---- */

/* Where the contents of the DER element at p begin, and their length; false when it does not fit before end. */
static bool
der(const uint8_t *p, const uint8_t *end, const uint8_t **in, uint32_t *len, uint32_t *len_bytes)
{
	uint32_t n, v = 0;

	if (end - p < 2)
		return false;
	n = p[1] < 0x80 ? 0 : p[1] & 0x7f;
	if (n > 3 || end - p < 2 + (int)n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		v = v << 8 | p[2 + i];
	*len = n ? v : p[1];
	*len_bytes = n;
	*in = p + 2 + n;
	return *len <= (size_t)(end - *in);
}

/* DER copied with one name in place of another. */
struct renaming {
	const char *from, *to;
	uint32_t from_len, to_len, cnt;
	uint8_t *end; /* of the room for the copy */
};

#define DER_HEAD 4 /* bytes of tag and length at most: nothing here is longer than 65535 */

static uint32_t
put_der_head(uint8_t *p, uint8_t tag, uint32_t len)
{
	p[0] = tag;
	if (len < 0x80) {
		p[1] = (uint8_t)len;
		return 2;
	}
	if (len < 0x100) {
		p[1] = 0x81;
		p[2] = (uint8_t)len;
		return 3;
	}
	p[1] = 0x82;
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	return DER_HEAD;
}

/* The elements of [p, end) as a copy at out; its length, or -1 when they are not DER or do not fit. An OCTET STRING is
 * looked into, since extensions are DER in one. */
static int32_t
der_copy(struct renaming *r, const uint8_t *p, const uint8_t *end, uint8_t *out, int depth)
{
	uint8_t *o = out;

	while (p < end) {
		uint32_t len, n, before = r->cnt, head;
		const uint8_t *in, *from;
		int32_t inner = -1;

		if (depth > 16 || !der(p, end, &in, &len, &n) ||
			r->end - o < (int32_t)len + DER_HEAD)
			return -1;
		from = in;
		if (p[0] & 0x20 || p[0] == 4)
			inner = der_copy(r, in, in + len, o + DER_HEAD, depth + 1);
		if (inner < 0 && p[0] & 0x20)
			return -1;
		if (inner >= 0 && r->cnt > before) {
			from = o + DER_HEAD;
			n = (uint32_t)inner;
		} else if (len == r->from_len && memcmp(in, r->from, len) == 0) {
			from = (const uint8_t *)r->to;
			n = r->to_len;
			r->cnt++;
		} else {
			n = len;
		}
		if (r->end - o < (int32_t)n + DER_HEAD)
			return -1;
		head = put_der_head((uint8_t[DER_HEAD]){0}, p[0], n);
		memmove(o + head, from, n);
		put_der_head(o, p[0], n);
		o += head + n;
		p = in + len;
	}
	return (int32_t)(o - out);
}

/* The first certificate of the list: the old name gives way to the new one wherever it is a whole string. */
static bool
rename_leaf(struct edit *e, const char *from, const char *to)
{
	struct script *s = e->s;
	uint8_t out[8192];
	struct renaming r = {.from = from,
		.to = to,
		.from_len = (uint32_t)strlen(from),
		.to_len = (uint32_t)strlen(to),
		.end = out + sizeof(out)};
	uint32_t leaf = e->msg + 4 + 3 + 3, len = psi_be24(s->bytes + leaf - 3);
	int32_t n = der_copy(&r, s->bytes + leaf, s->bytes + leaf + len, out, 0);

	if (n < 0)
		return false;
	add(s->bytes + leaf - 3, 3, n - (int32_t)len);
	add(s->bytes + e->msg + 4, 3, n - (int32_t)len);
	return splice_msg(e, leaf, len, out, (uint32_t)n);
}

bool
leaf_sign(struct evp_pkey_st *key, const uint8_t *tbs, uint32_t len, uint8_t *sig, size_t sig_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = sig_len;
	bool ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		  EVP_DigestSign(ctx, sig, &n, tbs, len) == 1 && n == sig_len;

	EVP_MD_CTX_free(ctx);
	return ok;
}

/* Of the first certificate: the signed part, and the signature, which ends its last element, a BIT STRING. */
struct leaf {
	uint8_t *tbs, *sig;
	uint32_t tbs_len;
};

static bool
find_leaf(const struct edit *e, struct leaf *l)
{
	uint8_t *cert = e->s->bytes + e->msg + 4 + 3 + 3, *end = cert + psi_be24(cert - 3);
	const uint8_t *tbs, *in;
	uint32_t len, n;

	if (!der(cert, end, &tbs, &len, &n) || !der(tbs, end, &in, &len, &n) ||
		(size_t)(end - in) <= len + PATCH_LEN_MAX)
		return false;
	l->tbs = e->s->bytes + (tbs - e->s->bytes);
	l->tbs_len = (uint32_t)(in + len - tbs);
	l->sig = end - PATCH_LEN_MAX;
	return true;
}

/* The serial number of the first certificate, without its first byte, which keeps it positive and short. */
static bool
patch_serial(struct edit *e)
{
	uint32_t leaf = e->msg + 4 + 3 + 3, len, n;
	const uint8_t *b = e->s->bytes, *p = b + leaf, *end = p + psi_be24(p - 3), *in;

	if (!der(p, end, &in, &len, &n) || !der(in, end, &p, &len, &n) ||
		!der(p, end, &in, &len, &n))
		return false;
	p = p[0] == 0xa0 ? in + len : p; /* behind the version */
	if (!der(p, end, &in, &len, &n) || p[0] != 2 || len < 9)
		return false;
	return patch(e, PATCH_SERIAL, (uint32_t)(in - b) + 1, 8);
}

static bool
certificate(struct edit *e, const struct bind *b, uint32_t end)
{
	struct leaf l;

	if (!splice_msg(e, e->msg + 4, end - e->msg - 4, b->chain, b->chain_len))
		return false;
	if (!b->digits)
		return rename_leaf(e, PSI_GEN_CHAIN_NAME, b->host) && find_leaf(e, &l) &&
		       leaf_sign(b->key, l.tbs, l.tbs_len, l.sig, PATCH_LEN_MAX);
	end = e->msg + 4 + psi_be24(e->s->bytes + e->msg + 1);
	if (!patch_serial(e) || !patch_digits(e, e->msg + 4, end, b->host) || !find_leaf(e, &l))
		return false;
	e->s->tbs_at = (uint32_t)(l.tbs - e->s->bytes);
	e->s->tbs_len = l.tbs_len;
	return patch(e, PATCH_SIGNATURE, (uint32_t)(l.sig - e->s->bytes), PATCH_LEN_MAX);
}

/* ---- the whole connection ---- */

static bool
message(struct edit *e, const struct bind *b)
{
	const uint8_t *p = e->s->bytes + e->msg;
	uint32_t end = e->msg + 4 + psi_be24(p + 1);

	switch (p[0]) {
	case CLIENT_HELLO: return client_hello(e, b, end);
	case SERVER_HELLO: return server_hello(e, end);
	case CERTIFICATE: return e->st->from == 0 || certificate(e, b, end);
	default: return true;
	}
}

/* Handshake messages in clear, record by record; a message never spans two records in the recording. Behind
 * ChangeCipherSpec nothing is in clear. */
static bool
walk_turn(struct edit *e, const struct bind *b, bool hidden[2])
{
	struct script *s = e->s;

	for (e->rec = e->st->at; e->rec + 5 <= e->st->at + e->st->len;) {
		bool clear = s->bytes[e->rec] == CT_HANDSHAKE && !hidden[e->st->from];

		if (s->bytes[e->rec] == 20)
			hidden[e->st->from] = !memcmp(s->info->tls, "1.2", 3);
		for (e->msg = e->rec + 5;
			clear && e->msg + 4 <= e->rec + 5 + psi_be16(s->bytes + e->rec + 3);) {
			if (e->msg + 4 + psi_be24(s->bytes + e->msg + 1) >
					e->rec + 5 + psi_be16(s->bytes + e->rec + 3) ||
				!message(e, b))
				return false;
			e->msg += 4 + psi_be24(s->bytes + e->msg + 1);
		}
		e->rec += 5 + psi_be16(s->bytes + e->rec + 3);
	}
	return e->rec == e->st->at + e->st->len;
}

/* More requests go in front of the last goodbye: the client's first FIN, RST or alert behind the handshake. */
static bool
insert_app(struct script *s)
{
	uint32_t i = s->step_cnt;

	for (uint32_t k = 0; k < s->step_cnt && i == s->step_cnt; k++)
		if (s->step[k].kind != STEP_DATA)
			i = k;
	/* an alert is a turn of its own, or stands at the end of one: then it is sent before the rest, which nobody can
	 * tell in TLS 1.3 and a witness of 1.2 would take for an end; so it is cut off */
	while (i > 0 && s->step[i - 1].kind == STEP_DATA) {
		struct step *st = &s->step[i - 1];
		uint32_t at = st->at, last = at;

		while (at < st->at + st->len) {
			last = at;
			at += 5 + psi_be16(s->bytes + at + 3);
		}
		if (s->bytes[last] != 21 &&
			!(s->bytes[last] == 23 && psi_be16(s->bytes + last + 3) == 19))
			break;
		if (last == st->at) {
			memmove(st, st + 1, (s->step_cnt - i) * sizeof(*st));
			s->step_cnt--;
			i--;
		} else {
			st->len = last - st->at;
			break;
		}
	}
	if (s->step_cnt == STEP_MAX)
		return false;
	memmove(&s->step[i + 1], &s->step[i], (s->step_cnt - i) * sizeof(s->step[0]));
	s->step[i] = (struct step){.kind = STEP_APP};
	s->step_cnt++;
	return true;
}

static struct script *
copy(const struct script *s)
{
	struct script *n = malloc(sizeof(*n));

	if (!n)
		return NULL;
	*n = *s;
	n->bytes = malloc(s->len + ROOM);
	if (!n->bytes) {
		free(n);
		return NULL;
	}
	memcpy(n->bytes, s->bytes, s->len);
	return n;
}

struct script *
script_bind(const struct script *s, const struct bind *b, struct psi_err *err)
{
	struct edit e = {.s = copy(s), .err = err, .cap = s->len + ROOM};
	bool hidden[2] = {false, false};

	if (!e.s) {
		psi_err_set(err, -ENOMEM, "no memory for connections");
		return NULL;
	}
	for (uint32_t i = 0; i < e.s->step_cnt; i++) {
		e.st = &e.s->step[i];
		if (e.st->kind == STEP_DATA && !walk_turn(&e, b, hidden)) {
			psi_err_wrap(err, -EINVAL,
				"the recorded connection of port %u, turn %u, cannot be varied",
				s->info->port, i);
			script_free(e.s);
			return NULL;
		}
	}
	if (b->more && !insert_app(e.s)) {
		psi_err_set(err, -ENOSPC, "the connection has too many turns");
		script_free(e.s);
		return NULL;
	}
	return e.s;
}
