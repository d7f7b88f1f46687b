/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_start.c: finds the first byte of TLS on each side of a connection.
 *
 * A side is cut into units: lines (or XML tags) of text protocols, packets of binary ones. Before each unit stands the
 * question whether TLS begins here (ST_EDGE); psi_tls_probe answers it. A unit is kept in buf as far as it fits, and
 * when it is complete the protocol learns from it. Units that are longer than buf are passed over uncopied. */
#include "psi_cursor.h"
#include "psi_tls.h"
#include "psi_tls_start.h"

enum state {
	ST_EDGE,   /* a unit begins, or TLS: buf holds what is there of its first bytes */
	ST_LINE,   /* in a line or tag */
	ST_PACKET, /* in the part of a packet that is kept */
	ST_PASS,   /* in the rest of it: left bytes */
	ST_TLS,
};

/* One call of push. */
struct in {
	struct psi_tls_start *s;
	struct psi_tls_start_side *a;
	uint8_t *buf; /* of a */
	struct psi_cursor c;
	const uint8_t *begin; /* of what was pushed */
	unsigned int side;
};

#define UNKNOWN_LINES_MAX 4 /* of text that no protocol here speaks */

static bool
is_tunnel(uint8_t proto)
{
	return proto == PSI_START_SOCKS4 || proto == PSI_START_SOCKS5;
}

static bool
is_text(uint8_t proto)
{
	switch ((enum psi_tls_start_proto)proto) {
	case PSI_START_NONE:
	case PSI_START_SMTP:
	case PSI_START_IMAP:
	case PSI_START_POP3:
	case PSI_START_FTP:
	case PSI_START_XMPP:
	case PSI_START_HTTP_CONNECT:
	case PSI_START_IRC:
	case PSI_START_NNTP:
	case PSI_START_SIEVE: return true;
	case PSI_START_TLS:
	case PSI_START_LDAP:
	case PSI_START_POSTGRESQL:
	case PSI_START_MYSQL:
	case PSI_START_SOCKS4:
	case PSI_START_SOCKS5:
	case PSI_START_RDP:
	case PSI_START_PROXY: break;
	}
	return false;
}

static void
set_proto(struct in *x, enum psi_tls_start_proto p)
{
	x->a->proto = (uint8_t)p;
	if (!is_tunnel((uint8_t)p) && p != PSI_START_PROXY)
		x->s->proto = (uint8_t)p;
}

/* The next unit is the first of what is within the tunnel. */
static void
begin_afresh(struct psi_tls_start_side *a)
{
	a->proto = PSI_START_NONE;
	a->lines = 0;
}

static void
set_target(struct psi_tls_start *s, const uint8_t *p, size_t n)
{
	n = PSI_MIN(n, PSI_MIN(sizeof(s->target), (size_t)UINT8_MAX));
	memcpy(s->target, p, n);
	s->target_len = (uint8_t)n;
}

/* ---- text ---- */

/* Whether the line begins with word, in whatever case (word is upper case). */
static bool
begins(const uint8_t *p, size_t n, const char *word)
{
	for (; *word; word++, p++, n--)
		if (!n || (*p >= 'a' && *p <= 'z' ? *p - 0x20 : *p) != *word)
			return false;
	return true;
}

/* Whether the line is this word and nothing else but an argument. */
static bool
is_word(const uint8_t *p, size_t n, const char *word)
{
	size_t k = strlen(word);

	return begins(p, n, word) && (n == k || p[k] == ' ' || p[k] == '\r' || p[k] == '\n');
}

/* The line behind its first word: the command of IMAP, the reason phrase of HTTP. */
static const uint8_t *
second_word(const uint8_t *p, size_t *n)
{
	const uint8_t *sp = memchr(p, ' ', *n);

	if (!sp)
		return NULL;
	*n -= (size_t)(sp + 1 - p);
	return sp + 1;
}

static bool
says(const uint8_t *p, size_t n, const char *word)
{
	size_t k = strlen(word);

	for (; n >= k; p++, n--)
		if (begins(p, n, word))
			return true;
	return false;
}

struct opening {
	const char *word;
	uint8_t proto;
};

/* Lines by which a protocol is known when nothing is known yet. */
static const struct opening openings[] = {
	{"CONNECT ", PSI_START_HTTP_CONNECT},
	{"EHLO ", PSI_START_SMTP},
	{"HELO ", PSI_START_SMTP},
	{"LHLO ", PSI_START_SMTP},
	{"220 ", PSI_START_SMTP}, /* or FTP: the first command will tell */
	{"220-", PSI_START_SMTP},
	{"AUTH TLS", PSI_START_FTP},
	{"AUTH SSL", PSI_START_FTP},
	{"* OK", PSI_START_IMAP},
	{"* PREAUTH", PSI_START_IMAP},
	{"+OK", PSI_START_POP3},
	{"STLS", PSI_START_POP3},
	{"CAPA\r", PSI_START_POP3},
	{"<?XML ", PSI_START_XMPP},
	{"<STREAM:STREAM ", PSI_START_XMPP},
	{"CAP LS", PSI_START_IRC},
	{"NICK ", PSI_START_IRC},
	{"NOTICE ", PSI_START_IRC},
	{":", PSI_START_IRC},
	{"200 ", PSI_START_NNTP},
	{"201 ", PSI_START_NNTP},
	{"\"IMPLEMENTATION\"", PSI_START_SIEVE},
};

/* Lines of protocols that never turn into TLS. */
static const char *const closings[] = {"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "PATCH ",
	"OPTIONS ", "PROPFIND ", "PRI * HTTP", "SSH-", "RTSP/", "SIP/", "REGISTER ", "INVITE "};

static int
classify_line(struct in *x, const uint8_t *p, size_t n)
{
	const uint8_t *w;
	size_t wn = n;

	for (size_t i = 0; i < PSI_COUNT(closings); i++)
		if (begins(p, n, closings[i]))
			return PSI_E_NOT_TLS;
	if (begins(p, n,
		    "HTTP/")) { /* an answer without its question: only that to CONNECT says so */
		if (!says(p, n, "CONNECT"))
			return PSI_E_NOT_TLS;
		set_proto(x, PSI_START_HTTP_CONNECT);
		return PSI_OK;
	}
	for (size_t i = 0; i < PSI_COUNT(openings); i++)
		if (begins(p, n, openings[i].word)) {
			set_proto(x, (enum psi_tls_start_proto)openings[i].proto);
			return PSI_OK;
		}
	w = second_word(p, &wn);
	if (w && (is_word(w, wn, "STARTTLS") || is_word(w, wn, "CAPABILITY"))) {
		set_proto(x, PSI_START_IMAP);
		return PSI_OK;
	}
	return x->a->lines > UNKNOWN_LINES_MAX ? PSI_E_NOT_TLS : PSI_OK;
}

static void
on_connect(struct in *x, const uint8_t *p, size_t n)
{
	const uint8_t *t = second_word(p, &n), *end;

	if (!t)
		return;
	end = memchr(t, ' ', n);
	set_target(x->s, t, end ? (size_t)(end - t) : n);
	x->s->asked = 1;
}

/* What a line of a known protocol says about the upgrade. */
static int
follow_line(struct in *x, const uint8_t *p, size_t n)
{
	struct psi_tls_start *s = x->s;
	const uint8_t *w;
	size_t wn = n;

	if (x->a->proto == PSI_START_SMTP && (begins(p, n, "AUTH TLS") || begins(p, n, "AUTH SSL")))
		set_proto(x, PSI_START_FTP);
	if (x->a->proto == PSI_START_SMTP && is_word(p, n, "DATA"))
		return PSI_E_NOT_TLS; /* the mail goes in clear */
	if (begins(p, n, "CONNECT ") && x->a->proto == PSI_START_HTTP_CONNECT)
		on_connect(x, p, n);
	if (is_word(p, n, "STARTTLS") || is_word(p, n, "STLS") || begins(p, n, "AUTH TLS") ||
		begins(p, n, "AUTH SSL") || begins(p, n, "<STARTTLS"))
		s->asked = 1;
	w = second_word(p, &wn);
	if (x->a->proto == PSI_START_IMAP && w && is_word(w, wn, "STARTTLS"))
		s->asked = 1;
	return PSI_OK;
}

/* A line or tag is complete, as far as buf holds it. */
static int
on_text(struct in *x)
{
	struct psi_tls_start_side *a = x->a;
	const uint8_t *p = x->buf;
	size_t n = a->have;
	int rc = PSI_OK;

	while (n && (p[n - 1] == '\n' || p[n - 1] == '\r'))
		n--;
	if (begins(p, n, "PROXY ") && a->lines == 1 && !x->s->via) {
		x->s->via = PSI_START_PROXY;
		begin_afresh(a);
		return PSI_OK;
	}
	if (a->proto == PSI_START_NONE)
		rc = classify_line(x, p, n);
	return rc == PSI_OK ? follow_line(x, p, n) : rc;
}

/* ---- packets ---- */

/* The whole length of the packet of which buf holds the beginning. 0: not known yet, -1: it is none. */
static int32_t
ldap_len(const uint8_t *b, size_t n)
{
	uint32_t len = 0;
	size_t k;

	if (n < 2)
		return 0;
	if (b[1] < 0x80)
		return 2 + b[1];
	k = b[1] & 0x7f;
	if (k < 1 || k > 4)
		return -1;
	if (n < 2 + k)
		return 0;
	for (size_t i = 0; i < k; i++)
		len = len << 8 | b[2 + i];
	return len > PSI_TLS_START_BYTES ? -1 : (int32_t)(2 + k + len);
}

static int32_t
socks4_len(const uint8_t *b, size_t n, bool opener)
{
	const uint8_t *nul;

	if (!opener)
		return 8;
	if (n < 9)
		return 0;
	nul = memchr(b + 8, 0, n - 8);
	if (nul && b[4] == 0 && b[5] == 0 && b[6] == 0 &&
		b[7] != 0) /* 4A: a name follows the user */
		nul = memchr(nul + 1, 0, n - (size_t)(nul + 1 - b));
	if (nul)
		return (int32_t)(nul + 1 - b);
	return n < PSI_TLS_START_BUF ? 0 : -1;
}

static int32_t
socks5_len(const uint8_t *b, size_t n, bool opener, bool first)
{
	if (n < 2)
		return 0;
	if (b[0] == 1) { /* RFC 1929: user and password, or the answer */
		if (!opener)
			return 2;
		return n < 3u + b[1] ? 0 : 3 + b[1] + b[2 + b[1]];
	}
	if (b[0] != 5)
		return -1;
	if (first)
		return opener ? 2 + b[1] : 2;
	if (n < 5)
		return 0;
	switch (b[3]) {
	case 1: return 4 + 4 + 2;
	case 3: return 4 + 1 + b[4] + 2;
	case 4: return 4 + 16 + 2;
	}
	return -1;
}

static int32_t
packet_len(const struct in *x)
{
	const struct psi_tls_start_side *a = x->a;
	bool opener = x->s->opener == x->side + 1;
	const uint8_t *b = x->buf;
	size_t n = a->have;

	switch ((enum psi_tls_start_proto)a->proto) {
	case PSI_START_LDAP: return b[0] != 0x30 ? -1 : ldap_len(b, n);
	case PSI_START_RDP:
		if (b[0] != 3 || (n >= 2 && b[1] != 0))
			return -1;
		return n < 4 ? 0 : psi_be16(b + 2) < 7 ? -1 : psi_be16(b + 2);
	case PSI_START_POSTGRESQL: return opener ? 8 : 1;
	case PSI_START_MYSQL: return n < 4 ? 0 : 4 + (b[0] | b[1] << 8 | b[2] << 16);
	case PSI_START_SOCKS4: return socks4_len(b, n, opener);
	case PSI_START_SOCKS5: return socks5_len(b, n, opener, a->lines == 0);
	case PSI_START_PROXY: return n < 16 ? 0 : 16 + psi_be16(b + 14);
	case PSI_START_NONE:
	case PSI_START_TLS:
	case PSI_START_SMTP:
	case PSI_START_IMAP:
	case PSI_START_POP3:
	case PSI_START_FTP:
	case PSI_START_XMPP:
	case PSI_START_HTTP_CONNECT:
	case PSI_START_IRC:
	case PSI_START_NNTP:
	case PSI_START_SIEVE: break;
	}
	return -1;
}

/* A number in decimal, as an address needs it. Returns how many digits. */
static size_t
decimal(char *o, unsigned int v)
{
	char d[5];
	size_t n = 0;

	do
		d[n++] = (char)('0' + v % 10);
	while ((v /= 10) && n < sizeof(d));
	for (size_t i = 0; i < n; i++)
		o[i] = d[n - 1 - i];
	return n;
}

static size_t
address(char *o, const uint8_t *p, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	if (len == 4) {
		for (size_t i = 0; i < 4; i++) {
			if (i)
				o[n++] = '.';
			n += decimal(o + n, p[i]);
		}
		return n;
	}
	o[n++] = '[';
	for (size_t i = 0; i < 16; i++) {
		if (i && i % 2 == 0)
			o[n++] = ':';
		o[n++] = hex[p[i] >> 4];
		o[n++] = hex[p[i] & 15];
	}
	o[n++] = ']';
	return n;
}

/* name: a name of len bytes, else an address of len bytes. */
static void
socks_target(struct psi_tls_start *s, bool name, const uint8_t *p, size_t len, const uint8_t *port)
{
	char t[PSI_TLS_START_TARGET];
	size_t n = len;

	if (name)
		memcpy(t, p, len);
	else
		n = address(t, p, len);
	t[n++] = ':';
	n += decimal(t + n, psi_be16(port));
	set_target(s, (const uint8_t *)t, n);
	s->asked = 1;
}

static void
on_socks4(struct in *x)
{
	const uint8_t *b = x->buf, *name;
	bool named = b[4] == 0 && b[5] == 0 && b[6] == 0 && b[7] != 0;

	if (x->s->opener == x->side + 1) {
		name = (const uint8_t *)memchr(b + 8, 0, x->a->have - 8u) + 1;
		if (named)
			socks_target(x->s, true, name, (size_t)(b + x->a->have - 1 - name), b + 2);
		else
			socks_target(x->s, false, b + 4, 4, b + 2);
	}
	x->a->relayed = 1;
	begin_afresh(x->a);
}

static void
on_socks5(struct in *x)
{
	const uint8_t *b = x->buf;
	size_t n = x->a->have;

	if (b[0] != 5 || x->a->lines == 1) /* the methods, or the password */
		return;
	if (x->s->opener == x->side + 1) {
		if (b[3] == 3)
			socks_target(x->s, true, b + 5, b[4], b + n - 2);
		else
			socks_target(x->s, false, b + 4, n - 6, b + n - 2);
	}
	x->a->relayed = 1;
	begin_afresh(x->a);
}

/* MySQL: the client asks by a packet that stops behind the flags, which have CLIENT_SSL set. */
static int
on_mysql(struct in *x)
{
	const uint8_t *b = x->buf;
	size_t n = x->a->have;

	if (x->s->opener == x->side + 1) /* the server, which speaks first */
		return x->a->lines == 1 ? PSI_OK : PSI_E_NOT_TLS;
	if (x->a->lines != 1 || n < 9 || n > 36 || !(b[5] & 0x08))
		return PSI_E_NOT_TLS;
	x->s->asked = 1;
	return PSI_OK;
}

static int
on_postgresql(struct in *x)
{
	static const uint8_t ssl[8] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f},
			     gss[8] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30};
	const uint8_t *b = x->buf;

	if (x->s->opener != x->side + 1)
		return *b == 'S' || *b == 'N' ? PSI_OK : PSI_E_NOT_TLS;
	if (memcmp(b, ssl, 8) == 0)
		x->s->asked = 1;
	else if (memcmp(b, gss, 8) != 0)
		return PSI_E_NOT_TLS;
	return PSI_OK;
}

/* A packet is complete; buf holds its beginning, or all of it. */
static int
on_packet(struct in *x)
{
	static const char oid[] = "1.3.6.1.4.1.1466.20037";
	struct psi_tls_start_side *a = x->a;

	switch (a->proto) {
	case PSI_START_LDAP:
		if (says(x->buf, a->have, oid))
			x->s->asked = 1;
		break;
	case PSI_START_RDP: /* the second packet of the client would be RDP without TLS */
		x->s->asked = 1;
		return a->lines > 1 ? PSI_E_NOT_TLS : PSI_OK;
	case PSI_START_POSTGRESQL: return on_postgresql(x);
	case PSI_START_MYSQL: return on_mysql(x);
	case PSI_START_SOCKS4: on_socks4(x); break;
	case PSI_START_SOCKS5: on_socks5(x); break;
	case PSI_START_PROXY:
		x->s->via = PSI_START_PROXY;
		begin_afresh(a);
		break;
	}
	return PSI_OK;
}

/* ---- a side's first unit ---- */

enum {
	MORE = -2,
	NOTHING = -1
}; /* beside enum psi_tls_start_proto, of which NONE stands for text */

/* What the first bytes of a side say, when they are not TLS. */
static int
classify(const struct in *x)
{
	static const uint8_t proxy2[12] = {
		0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
	const uint8_t *b = x->buf;
	size_t n = x->a->have;

	if (b[0] == 0x0d) {
		if (memcmp(b, proxy2, PSI_MIN(n, sizeof(proxy2))) != 0)
			return NOTHING;
		return n < sizeof(proxy2) ? MORE : PSI_START_PROXY;
	}
	if (n < 2)
		return MORE;
	if (b[0] == 3 && b[1] == 0)
		return PSI_START_RDP;
	if (!is_tunnel(x->s->via) && b[0] == 4 && b[1] == 1)
		return PSI_START_SOCKS4;
	if (!is_tunnel(x->s->via) && b[0] == 5 && b[1])
		return PSI_START_SOCKS5;
	if (b[0] == 'S' && b[1] == 0x16) /* the answer to a question that was not seen */
		return PSI_START_POSTGRESQL;
	if (b[1] == 0) { /* the length of a packet, in one order or the other */
		if (n < 5)
			return MORE;
		if (b[2] == 0 && b[3] == 0 && b[4] == 10)
			return PSI_START_MYSQL;
		return b[0] == 0 && b[2] == 0 && b[3] == 8 ? PSI_START_POSTGRESQL : NOTHING;
	}
	if (b[0] == 0x30) {
		if (n < 3)
			return MORE;
		return b[1] > 0x80 || (b[1] >= 5 && b[1] < 0x80 && b[2] == 2) ? PSI_START_LDAP
									      : NOTHING;
	}
	return b[0] >= 0x20 && b[0] < 0x7f ? PSI_START_NONE : NOTHING;
}

/* What a side speaks because the other one does. */
static uint8_t
inherited(const struct in *x)
{
	uint8_t peer = x->s->side[!x->side].proto;

	if (is_tunnel(x->s->via) && !x->a->relayed)
		return x->s->via;
	return is_tunnel(peer) || peer == PSI_START_PROXY ? PSI_START_NONE : peer;
}

/* ---- the states ---- */

static bool
first_unit(const struct in *x)
{
	return x->a->proto == PSI_START_NONE && x->a->lines == 0;
}

static bool
peer_is_tls(const struct in *x)
{
	return x->s->side[!x->side].state == ST_TLS;
}

/* TLS begins with the last `of` bytes that were taken. */
static int
hand_over(struct in *x, size_t of)
{
	size_t here = PSI_MIN(of, (size_t)(x->c.p - x->begin));

	if (x->s->proto == PSI_START_NONE)
		x->s->proto = PSI_START_TLS;
	x->a->held = (uint8_t)(of - here);
	x->a->state = ST_TLS;
	x->c.p -= here;
	return PSI_OK;
}

/* This side is nothing that we know. When the other one is TLS already, the TLS parser is to see it and say so. */
static int
fail(struct in *x)
{
	if (peer_is_tls(x))
		return hand_over(x, 0);
	x->s->over = 1;
	return PSI_E_NOT_TLS;
}

/* Whether the bytes in buf begin TLS. Records other than of the handshake are believed only where nothing else was
 * spoken, or from the answering side; SSLv2 hellos look like much else. */
static int
probe(const struct in *x)
{
	const uint8_t *b = x->buf;

	if ((b[0] & 0x80) && !first_unit(x) && !x->s->asked)
		return PSI_E_NOT_TLS;
	if (!(b[0] & 0x80) && b[0] != PSI_CT_HANDSHAKE && !first_unit(x) && !peer_is_tls(x))
		return PSI_E_NOT_TLS;
	return psi_tls_probe(b, x->a->have);
}

static int
begin_packets(struct in *x, enum psi_tls_start_proto p)
{
	x->s->opener = (uint8_t)(1 + x->side);
	if (is_tunnel((uint8_t)p))
		x->s->via = (uint8_t)p;
	set_proto(x, p);
	x->a->state = ST_PACKET;
	return PSI_OK;
}

static int
on_first(struct in *x)
{
	int p = inherited(x);

	if (p != PSI_START_NONE) {
		x->a->proto = (uint8_t)p;
		x->a->state = is_text((uint8_t)p) ? ST_LINE : ST_PACKET;
		return PSI_OK;
	}
	p = classify(x);
	if (p == MORE)
		return PSI_OK;
	if (p == NOTHING)
		return PSI_E_NOT_TLS;
	if (p == PSI_START_NONE) {
		x->a->state = ST_LINE;
		return PSI_OK;
	}
	begin_packets(x, (enum psi_tls_start_proto)p);
	if (p == PSI_START_POSTGRESQL && x->buf[0] == 'S') {
		x->s->opener = (uint8_t)(1 + !x->side);
		x->buf[0] = x->buf[1];
		x->a->have = 1;
		x->a->lines = 1;
		x->a->state = ST_EDGE;
	}
	return PSI_OK;
}

/* Text in which TLS may begin in the middle of a line: the byte it begins with does not occur in such text. */
static bool
loose(const struct psi_tls_start_side *a)
{
	return a->loose || a->proto == PSI_START_HTTP_CONNECT || a->proto == PSI_START_XMPP;
}

static bool
ends_line(const struct in *x, uint8_t c)
{
	if (x->a->proto == PSI_START_XMPP || (x->a->proto == PSI_START_NONE && x->buf[0] == '<'))
		return c == '>';
	return c == '\n';
}

/* Counts a unit that is complete, lets the protocol see it, and goes to the edge behind it. */
static int
unit_end(struct in *x, int (*see)(struct in *))
{
	struct psi_tls_start_side *a = x->a;

	if (++a->lines > PSI_TLS_START_LINES || see(x) != PSI_OK)
		return fail(x);
	a->have = 0;
	a->loose = 0;
	a->state = ST_EDGE;
	return PSI_E_AGAIN;
}

static int
on_edge(struct in *x)
{
	struct psi_tls_start_side *a = x->a;
	int rc;

	if (a->have == 0 && first_unit(x) && peer_is_tls(x) && x->s->proto == PSI_START_TLS &&
		!x->s->via)
		return hand_over(
			x, 0); /* the peer began with TLS: whatever this is, it answers that */
	/* Nearly always: TLS from the first byte on, its header in one piece. */
	if (a->have == 0 && first_unit(x) && psi_cursor_left(&x->c) >= 5 &&
		psi_tls_probe(x->c.p, 5) == PSI_OK)
		return hand_over(x, 0);
	x->buf[a->have++] = *psi_take(&x->c, 1);
	rc = probe(x);
	if (rc == PSI_OK)
		return hand_over(x, a->have);
	if (rc == PSI_E_AGAIN)
		return PSI_E_AGAIN;
	if (first_unit(x)) {
		if (on_first(x) != PSI_OK)
			return fail(x);
	} else if (!is_text(a->proto)) {
		a->state = ST_PACKET;
	} else if (x->buf[0] == PSI_CT_HANDSHAKE && !loose(a)) {
		return fail(x);
	} else {
		a->state = ST_LINE;
	}
	if (a->state == ST_LINE && ends_line(x, x->buf[a->have - 1]))
		return unit_end(x, on_text);
	return PSI_E_AGAIN;
}

/* A line longer than buf: what opens with one is known by its beginning. */
static bool
unknown(struct in *x)
{
	if (x->a->proto != PSI_START_NONE)
		return false;
	return classify_line(x, x->buf, x->a->have) != PSI_OK || x->a->proto == PSI_START_NONE;
}

static int
on_line(struct in *x)
{
	struct psi_tls_start_side *a = x->a;

	while (psi_cursor_left(&x->c)) {
		uint8_t c = *x->c.p;

		if (c == PSI_CT_HANDSHAKE && loose(a)) {
			a->have = 0;
			a->state = ST_EDGE;
			return PSI_E_AGAIN;
		}
		x->c.p++;
		if (a->have < PSI_TLS_START_BUF)
			x->buf[a->have++] = c;
		else if (unknown(x))
			return fail(x);
		if (ends_line(x, c))
			return unit_end(x, on_text);
	}
	return PSI_E_AGAIN;
}

static int
on_packet_bytes(struct in *x)
{
	struct psi_tls_start_side *a = x->a;

	for (;;) {
		int32_t len = packet_len(x);
		uint16_t want = (uint16_t)PSI_MIN(len, PSI_TLS_START_BUF);

		if (len < 0 || (len == 0 && a->have == PSI_TLS_START_BUF))
			return fail(x);
		if (len && a->have >= want) {
			if (a->have >= len)
				return unit_end(x, on_packet);
			a->left = (uint32_t)len - a->have;
			a->state = ST_PASS;
			return PSI_E_AGAIN;
		}
		if (!psi_cursor_left(&x->c))
			return PSI_E_AGAIN;
		x->buf[a->have++] = *psi_take(&x->c, 1);
	}
}

static int
on_pass(struct in *x)
{
	uint32_t n = (uint32_t)PSI_MIN((size_t)x->a->left, psi_cursor_left(&x->c));

	psi_take(&x->c, n);
	x->a->left -= n;
	return x->a->left ? PSI_E_AGAIN : unit_end(x, on_packet);
}

/* ---- the calls ---- */

void
psi_tls_start_init(struct psi_tls_start *s)
{
	memset(s, 0, offsetof(struct psi_tls_start, buf));
}

int
psi_tls_start_push(struct psi_tls_start *s, unsigned int side, const uint8_t *p, uint32_t len,
	uint32_t *consumed)
{
	struct in x = {s, &s->side[side], s->buf[side], psi_cursor(p, len), p, side};
	int rc = PSI_E_AGAIN;

	*consumed = 0;
	if (s->over)
		return PSI_E_NOT_TLS;
	while (rc == PSI_E_AGAIN && psi_cursor_left(&x.c))
		switch ((enum state)x.a->state) {
		case ST_EDGE: rc = on_edge(&x); break;
		case ST_LINE: rc = on_line(&x); break;
		case ST_PACKET: rc = on_packet_bytes(&x); break;
		case ST_PASS: rc = on_pass(&x); break;
		case ST_TLS: return PSI_OK;
		}
	*consumed = (uint32_t)(x.c.p - p);
	x.a->seen += *consumed;
	if (rc == PSI_E_AGAIN && x.a->seen > PSI_TLS_START_BYTES)
		return fail(&x);
	return rc;
}

int
psi_tls_start_gap(struct psi_tls_start *s, unsigned int side, uint32_t len)
{
	static const uint8_t nothing[1];
	struct in x = {s, &s->side[side], s->buf[side], psi_cursor(nothing, 0), nothing, side};
	struct psi_tls_start_side *a = x.a;

	if (s->over)
		return PSI_E_NOT_TLS;
	if (first_unit(&x) && a->have == 0 && inherited(&x) == PSI_START_NONE)
		return hand_over(&x, 0);
	if (a->state == ST_PASS && len < a->left) {
		a->left -= len;
		return PSI_E_AGAIN;
	}
	if (!is_text(a->proto) || a->proto == PSI_START_NONE)
		return fail(&x);
	a->have = 0;
	a->loose = 1;
	a->state = ST_LINE;
	return PSI_E_AGAIN;
}

uint32_t
psi_tls_start_held(const struct psi_tls_start *s, unsigned int side, const uint8_t **p)
{
	*p = s->buf[side];
	return s->side[side].held;
}

bool
psi_tls_start_done(const struct psi_tls_start *s, unsigned int side)
{
	return s->side[side].state == ST_TLS;
}

bool
psi_tls_start_plain(const struct psi_tls_start *s)
{
	return s->via || s->proto > PSI_START_TLS;
}

const char *
psi_tls_start_name(enum psi_tls_start_proto p)
{
	switch (p) {
	case PSI_START_NONE: break;
#define START(sym, name)      \
	case PSI_START_##sym: \
		return name;
#include "tls_starts.def"
#undef START
	}
	return NULL;
}
