/* SPDX-License-Identifier: BSD-3-Clause */
/* Dialogues as the RFCs print them (named beside each), up to the point where TLS begins. The bytes of a ClientHello's
 * and a ServerHello's record stand for TLS. Every dialogue is fed whole, byte by byte, and cut at every point. */
#include "psi_unit.h"

#include "psi_tls.h"
#include "psi_tls_start.h"

#include <stdio.h>

#define CH "\x16\x03\x01\x00\xc4\x01\x00\x00\xc0\x03\x03"
#define SH "\x16\x03\x03\x00\x5a\x02\x00\x00\x56\x03\x03"

struct piece {
	int side; /* 0 client, 1 server; -1 ends the list */
	const char *p;
	size_t len;
	int gap; /* bytes lost instead */
};
#define C(text)                              \
	{                                    \
		0, text, sizeof(text) - 1, 0 \
	}
#define S(text)                              \
	{                                    \
		1, text, sizeof(text) - 1, 0 \
	}
#define LOST(s, n)            \
	{                     \
		s, NULL, 0, n \
	}
#define END                    \
	{                      \
		-1, NULL, 0, 0 \
	}

struct dialogue {
	const char *name;
	uint8_t proto, via;
	const char *target;
	int at[2]; /* where TLS begins, -1: nowhere */
	bool over;
	struct piece piece[12];
};

static const struct dialogue dialogues[] = {
	{"TLS at once", PSI_START_TLS, 0, "", {0, 0}, false, {C(CH), S(SH), END}},
	{"TLS at once, the server first", PSI_START_TLS, 0, "", {0, 0}, false, {S(SH), C(CH), END}},
	{"an SSLv2 hello", PSI_START_TLS, 0, "", {0, 0}, false,
		{C("\x80\x22\x01\x03\x01\x00\x09"), S(SH), END}},
	{"joined in the middle", PSI_START_TLS, 0, "", {0, -1}, false,
		{C("\x17\x03\x03\x00\x20"), END}},
	{"TLS to a web server without it", PSI_START_TLS, 0, "", {0, 0}, false,
		{C(CH), S("HTTP/1.1 400 Bad Request\r\n"), END}},
	{"SMTP, RFC 3207 section 5", PSI_START_SMTP, 0, "", {26, 83}, false,
		{S("220 mail.imc.org SMTP service ready\r\n"), C("EHLO mail.ietf\r\n"),
			S("250-mail.imc.org\r\n250-8BITMIME\r\n"), C("STARTTLS\r\n"),
			S("220 Go ahead\r\n"), C(CH), S(SH), END}},
	{"SMTP", PSI_START_SMTP, 0, "", {18, 29}, false,
		{S("220 m\r\n"), C("EHLO a\r\n"), S("250 TLS\r\n"), C("starttls\r\n"),
			S("220 Go ahead\n"), C(CH), S(SH), END}},
	{"SMTP that stays in clear", PSI_START_SMTP, 0, "", {-1, -1}, true,
		{S("220 m\r\n"), C("HELO a\r\n"), S("250 m\r\n"), C("DATA\r\n"), END}},
	{"IMAP, RFC 9051 section 6.2.1", PSI_START_IMAP, 0, "", {32, 107}, false,
		{S("* OK IMAP\r\n"), C("a001 CAPABILITY\r\n"),
			S("* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n"),
			S("a001 OK CAPABILITY\r\n"), C("a002 STARTTLS\r\n"),
			S("a002 OK Begin TLS\r\n12345678\r\n"), C(CH), S(SH), END}},
	{"POP3, RFC 2595 section 4", PSI_START_POP3, 0, "", {6, 32}, false,
		{S("+OK POP3\r\n"), C("STLS\r\n"), S("+OK Begin TLS negoti\r\n"), C(CH), S(SH),
			END}},
	{"FTP, RFC 4217 section 12", PSI_START_FTP, 0, "", {10, 16}, false,
		{S("220 x\r\n"), C("AUTH TLS\r\n"), S("234 OK.\r\n"), C(CH), S(SH), END}},
	{"XMPP, RFC 6120 section 9", PSI_START_XMPP, 0, "", {101, 78}, false,
		{C("<?xml version='1.0'?><stream:stream to='a'>"), S("<stream:stream><features/>"),
			C("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'\n     />\n"),
			S("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\r\n"), C(CH), S(SH),
			END}},
	{"IRC", PSI_START_IRC, 0, "", {20, 14}, false,
		{C("CAP LS\r\n"), C("STARTTLS\r\n\r\n"), S(":s 670 a :ok\r\n"), C(CH), S(SH), END}},
	{"HTTP CONNECT, RFC 9110 section 9.3.6", PSI_START_HTTP_CONNECT, 0,
		"server.example.com:443", {69, 39}, false,
		{C("CONNECT server.example.com:443 HTTP/1.1\r\nHost: server.example.com\r\n\r\n"),
			S("HTTP/1.1 200 Connection established\r\n\r\n"), C(CH), S(SH), END}},
	{"HTTP CONNECT refused once, with a body", PSI_START_HTTP_CONNECT, 0, "a:443", {52, 52},
		false,
		{C("CONNECT a:443 HTTP/1.1\r\n\r\n"), S("HTTP/1.1 407 No\r\n\r\n<p>no"),
			C("CONNECT a:443 HTTP/1.1\r\n\r\n"), S("HTTP/1.1 200 OK\r\n\r\n123456789"),
			C(CH), S(SH), END}},
	{"plain HTTP", PSI_START_NONE, 0, "", {-1, -1}, true, {C("GET / HTTP/1.1\r\n"), END}},
	{"SSH", PSI_START_NONE, 0, "", {-1, -1}, true, {S("SSH-2.0-OpenSSH_9.2\r\n"), END}},
	{"PostgreSQL", PSI_START_POSTGRESQL, 0, "", {8, 1}, false,
		{C("\0\0\0\x08\x04\xd2\x16\x2f"), S("S"), C(CH), S(SH), END}},
	{"PostgreSQL, GSSAPI asked first", PSI_START_POSTGRESQL, 0, "", {16, 2}, false,
		{C("\0\0\0\x08\x04\xd2\x16\x30"), S("N"), C("\0\0\0\x08\x04\xd2\x16\x2f"), S("S"),
			C(CH), S(SH), END}},
	{"PostgreSQL that stays in clear", PSI_START_POSTGRESQL, 0, "", {-1, -1}, true,
		{C("\0\0\0\x08\x04\xd2\x16\x2f"), S("N"), C("\0\0\0\x54\0\x03\0\0user\0a"), END}},
	{"PostgreSQL's answer alone", PSI_START_POSTGRESQL, 0, "", {-1, 1}, false,
		{S("S" SH), END}},
	{"MySQL", PSI_START_MYSQL, 0, "", {36, 14}, false,
		{S("\x0a\0\0\0\x0a"
		   "8.0.1\0abc"),
			C("\x20\0\0\x01\x85\xae\xff\x19\0\0\0\x01\x21"
			  "12345678901234567890123"),
			C(CH), S(SH), END}},
	{"MySQL that stays in clear", PSI_START_MYSQL, 0, "", {-1, -1}, true,
		{S("\x0a\0\0\0\x0a"
		   "8.0.1\0abc"),
			C("\x20\0\0\x01\x85\xa6\xff\x19\0\0\0\x01\x21"
			  "12345678901234567890123"),
			END}},
	{"LDAP, RFC 4511 section 4.14", PSI_START_LDAP, 0, "", {31, 14}, false,
		{C("\x30\x1d\x02\x01\x01\x77\x18\x80\x16"
		   "1.3.6.1.4.1.1466.20037"),
			S("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0"), C(CH), S(SH),
			END}},
	{"LDAP, long lengths", PSI_START_LDAP, 0, "", {43, 14}, false,
		{C("\x30\x84\0\0\0\x25\x02\x01\x01\x77\x84\0\0\0\x1c\x80\x84\0\0\0\x16"
		   "1.3.6.1.4.1.1466.20037"),
			S("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0"), C(CH), S(SH),
			END}},
	{"RDP, MS-RDPBCGR section 4.1.1", PSI_START_RDP, 0, "", {19, 19}, false,
		{C("\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0"),
			S("\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\0\x08\0\x01\0\0\0"), C(CH), S(SH),
			END}},
	{"SOCKS5 with a name, RFC 1928", PSI_START_TLS, PSI_START_SOCKS5, "example.com:443",
		{21, 12}, false,
		{C("\x05\x01\0"), S("\x05\0"),
			C("\x05\x01\0\x03\x0b"
			  "example.com"
			  "\x01\xbb"),
			S("\x05\0\0\x01\0\0\0\0\0\0"), C(CH), S(SH), END}},
	{"SOCKS5 with a password, RFC 1929, and IPv6", PSI_START_TLS, PSI_START_SOCKS5,
		"[2001:0db8:0000:0000:0000:0000:0000:0001]:8443", {33, 26}, false,
		{C("\x05\x02\0\x02"), S("\x05\x02"), C("\x01\x02me\x02pw"), S("\x01\0"),
			C("\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\xfb"),
			S("\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), C(CH), S(SH), END}},
	{"SOCKS4", PSI_START_TLS, PSI_START_SOCKS4, "93.184.216.34:443", {11, 8}, false,
		{C("\x04\x01\x01\xbb\x5d\xb8\xd8\x22me\0"), S("\0\x5a\0\0\0\0\0\0"), C(CH), S(SH),
			END}},
	{"SOCKS4A, STARTTLS inside", PSI_START_POP3, PSI_START_SOCKS4, "pop:110", {19, 26}, false,
		{C("\x04\x01\0\x6e\0\0\0\x01\0pop\0"), S("\0\x5a\0\0\0\0\0\0"), S("+OK POP3\r\n"),
			C("STLS\r\n"), S("+OK go\r\n"), C(CH), S(SH), END}},
	{"PROXY version 1", PSI_START_TLS, PSI_START_PROXY, "", {45, 0}, false,
		{C("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n" CH), S(SH), END}},
	{"PROXY version 2", PSI_START_TLS, PSI_START_PROXY, "", {28, 0}, false,
		{C("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
		   "\xc0\0\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb" CH),
			S(SH), END}},
	{"garbage", PSI_START_NONE, 0, "", {-1, -1}, true, {C("\x07\x99\x31"), END}},
	{"nearly TLS", PSI_START_NONE, 0, "", {-1, -1}, true, {C("\x16\x03\x07"), END}},
	{"a hole where a side begins", PSI_START_TLS, 0, "", {0, 0}, false,
		{LOST(0, 100), S(SH), END}},
	{"a hole in text", PSI_START_SMTP, 0, "", {32, 46}, false,
		{S("220 m\r\n"), C("EHLO a\r\n"), LOST(1, 30), LOST(0, 20), C("abcd" CH),
			S("o ahead\r\n" SH), END}},
	{"a hole in packets", PSI_START_MYSQL, 0, "", {-1, -1}, true,
		{S("\x0a\0\0\0\x0a"
		   "8.0.1\0abc"),
			LOST(0, 20), END}},
};

struct result {
	struct psi_tls_start s;
	int at[2], seen[2];
	bool over;
};

static void
feed(struct result *r, unsigned int side, const char *p, size_t n)
{
	uint32_t consumed = 0;
	const uint8_t *held;
	uint8_t *q;
	int rc;

	if (!n)
		return;
	q = exact(p, n);
	if (!r->over && !psi_tls_start_done(&r->s, side)) {
		rc = psi_tls_start_push(&r->s, side, q, (uint32_t)n, &consumed);
		if (rc == PSI_OK)
			r->at[side] = r->seen[side] + (int)consumed -
				      (int)psi_tls_start_held(&r->s, side, &held);
		else if (rc == PSI_E_AGAIN)
			CU_ASSERT_EQUAL(consumed, n);
		r->over = rc == PSI_E_NOT_TLS;
	}
	r->seen[side] += (int)n;
	free(q);
}

static void
lose(struct result *r, unsigned int side, int n)
{
	int rc = psi_tls_start_gap(&r->s, side, (uint32_t)n);

	if (rc == PSI_OK)
		r->at[side] = r->seen[side];
	r->over = rc == PSI_E_NOT_TLS;
	r->seen[side] += n;
}

static void
run(struct result *r, const struct dialogue *d, size_t cut)
{
	size_t at = 0;

	*r = (struct result){.at = {-1, -1}};
	psi_tls_start_init(&r->s);
	for (const struct piece *p = d->piece; p->side >= 0; p++) {
		unsigned int side = (unsigned int)p->side;
		size_t here = cut > at + 1 ? PSI_MIN(cut - 1 - at, p->len) : 0;

		if (p->gap) {
			lose(r, side, p->gap);
		} else if (cut == 1) {
			for (size_t i = 0; i < p->len; i++)
				feed(r, side, p->p + i, 1);
		} else {
			feed(r, side, p->p, here);
			feed(r, side, p->p + here, p->len - here);
		}
		at += p->len;
	}
}

static void
check(const struct result *r, const struct dialogue *d)
{
	CU_ASSERT_EQUAL(r->s.proto, d->proto);
	CU_ASSERT_EQUAL(r->s.via, d->via);
	CU_ASSERT_EQUAL(r->at[0], d->at[0]);
	CU_ASSERT_EQUAL(r->at[1], d->at[1]);
	CU_ASSERT_EQUAL(r->over, d->over);
	CU_ASSERT(r->s.target_len == strlen(d->target) &&
		  memcmp(r->s.target, d->target, r->s.target_len) == 0);
	CU_ASSERT_EQUAL(psi_tls_start_plain(&r->s), d->via || d->proto > PSI_START_TLS);
}

static void
test_dialogues(void)
{
	struct result *r = malloc(sizeof(*r));

	for (size_t i = 0; i < PSI_COUNT(dialogues); i++) {
		const struct dialogue *d = &dialogues[i];
		size_t total = 0;

		for (const struct piece *p = d->piece; p->side >= 0; p++)
			total += p->len;
		for (size_t cut = 0; cut <= total; cut++) {
			unsigned int before = CU_get_number_of_failures();

			run(r, d, cut);
			check(r, d);
			if (CU_get_number_of_failures() != before) {
				fprintf(stderr,
					"(%s, cut %zu: proto %u via %u at %d %d over %d target %.*s)\n",
					d->name, cut, r->s.proto, r->s.via, r->at[0], r->at[1],
					r->over, r->s.target_len, r->s.target);
				break;
			}
		}
	}
	free(r);
}

/* Text that never asks for TLS is given up by lines, and by bytes. */
static void
test_bounds(void)
{
	struct result *r = malloc(sizeof(*r));
	char line[1000];
	int n = 0;

	run(r, &(struct dialogue){.piece = {S("220 m\r\n"), END}}, 0);
	for (n = 0; n < 1000 && !r->over; n++)
		feed(r, 0, "NOOP\r\n", 6);
	CU_ASSERT_EQUAL(n, PSI_TLS_START_LINES + 1);
	CU_ASSERT(r->s.over);

	memset(line, 'a', sizeof(line));
	run(r, &(struct dialogue){.piece = {S("220 m\r\n"), END}}, 0);
	for (n = 0; n < 1000 && !r->over; n++)
		feed(r, 0, line, sizeof(line));
	CU_ASSERT_EQUAL(n, 66);

	run(r, &(struct dialogue){.piece = {END}}, 0);
	for (n = 0; n < 1000 && !r->over; n++)
		feed(r, 0, "hello world\r\n", 13);
	CU_ASSERT_EQUAL(n, 5); /* four lines that nobody speaks are believed, not five */
	free(r);
}

static void
test_names(void)
{
	CU_ASSERT_STRING_EQUAL(psi_tls_start_name(PSI_START_HTTP_CONNECT), "http-connect");
	CU_ASSERT_STRING_EQUAL(psi_tls_start_name(PSI_START_TLS), "tls");
	CU_ASSERT_PTR_NULL(psi_tls_start_name(PSI_START_NONE));
	CU_ASSERT_PTR_NULL(psi_tls_start_name(99));
}

static CU_TestInfo start_tests[] = {
	{"dialogues", test_dialogues},
	{"bounds", test_bounds},
	{"names", test_names},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "tls_start", .pTests = start_tests},
	CU_SUITE_INFO_NULL,
};
