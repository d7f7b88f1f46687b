/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON Lines, or a ring -> events. The bytes are hostile: a line has a bound, a value of the wrong kind is said by its key, and
 * nothing of a bad line is used. */
#include "report_pvt.h"

#include "psi_export.h"
#include "psi_filter.h"
#include "psi_ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

struct psi_report_json {
	FILE *in;
	char *name, *buf;
	size_t len, at; /* bytes in buf; of them taken */
	uint64_t line, bytes;
	struct psi_ring_r *ring; /* in place of in */
	json_t *root;		 /* what the event of the last call points into */
	bool eof;
};

_Static_assert(PSI_JSON_MAX <= PSI_REPORT_LINE_MAX, "a line has room for every event");

struct psi_report_json *
psi_report_json_open(FILE *in, const char *name)
{
	struct psi_report_json *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->in = in;
	j->name = strdup(name);
	j->buf = malloc(PSI_REPORT_LINE_MAX + 1);
	if (j->name && j->buf)
		return j;
	psi_report_json_close(j);
	return NULL;
}

void
psi_report_json_close(struct psi_report_json *j)
{
	if (!j)
		return;
	json_decref(j->root);
	psi_ring_shut(j->ring);
	free(j->name);
	free(j->buf);
	free(j);
}

uint64_t
psi_report_json_bytes(const struct psi_report_json *j)
{
	return j->bytes;
}

/* ---- values: what is absent stays as it is, what is of another kind is an error ---- */

/* A key of an object that is being read; the first that is wrong is remembered. */
struct reader {
	const char *wrong, *expected;
};

static void
wrong(struct reader *in, const char *key, const char *expected)
{
	if (!in->wrong) {
		in->wrong = key;
		in->expected = expected;
	}
}

static json_t *
get_object(struct reader *in, const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	if (v && !json_is_object(v)) {
		wrong(in, key, "an object");
		return NULL;
	}
	return v;
}

static void
get_text(struct reader *in, const json_t *o, const char *key, struct psi_report_text *t)
{
	const json_t *v = json_object_get(o, key);

	if (!v)
		return;
	if (!json_is_string(v)) {
		wrong(in, key, "a string");
		return;
	}
	t->p = json_string_value(v);
	t->len = json_string_length(v);
}

static double
get_number(struct reader *in, const json_t *o, const char *key, double max, const char *expected)
{
	const json_t *v = json_object_get(o, key);
	double d = v ? json_number_value(v) : 0;

	if (v && (!json_is_number(v) || !(d >= 0 && d <= max))) {
		wrong(in, key, expected);
		return 0;
	}
	return d;
}

static uint64_t
get_count(struct reader *in, const json_t *o, const char *key)
{
	return (uint64_t)get_number(in, o, key, 9007199254740992.0, "a count, 0 to 2^53");
}

static void
get_ip(struct reader *in, const json_t *o, const char *key, struct psi_report_ip *ip)
{
	struct psi_report_text t = {NULL, 0};

	get_text(in, o, key, &t);
	if (!t.p)
		return;
	if (strlen(t.p) == t.len && inet_pton(AF_INET, t.p, ip->b) == 1)
		ip->len = 4;
	else if (strlen(t.p) == t.len && inet_pton(AF_INET6, t.p, ip->b) == 1)
		ip->len = 16;
	else
		wrong(in, key, "an IPv4 or IPv6 address");
}

static void
get_time(struct reader *in, const json_t *o, const char *key, uint64_t *ns)
{
	struct psi_report_text t = {NULL, 0};

	get_text(in, o, key, &t);
	if (t.p && (strlen(t.p) != t.len || !psi_filter_time(t.p, ns)))
		wrong(in, key, "a time such as 2026-01-31T08:30:00.000000Z");
}

static void
get_evidence(struct reader *in, const json_t *o, struct psi_report_event *e)
{
	const json_t *a = json_object_get(o, "evidence"), *v;
	size_t i;

	if (a && !json_is_array(a))
		wrong(in, "evidence", "an array of strings");
	json_array_foreach(a, i, v)
	{
		if (!json_is_string(v)) {
			wrong(in, "evidence", "an array of strings");
			return;
		}
		if (e->evidence_cnt < PSI_REPORT_EVIDENCE_MAX)
			e->evidence[e->evidence_cnt++] = (struct psi_report_text){
				json_string_value(v), json_string_length(v)};
	}
}

/* ---- events ---- */

static void
get_class(struct reader *in, struct psi_report_text name, enum psi_class *class)
{
	for (int c = 0; c < PSI_CLASS_CNT; c++) {
		const char *s = psi_class_name((enum psi_class)c);

		if (s && strlen(s) == name.len && memcmp(s, name.p, name.len) == 0) {
			*class = (enum psi_class)c;
			return;
		}
	}
	wrong(in, "verdict.class", "a verdict class of docs/events.md");
}

/* Behind a proxy that was asked by name: what it was asked for, without the port, where the ClientHello names nobody. */
static void
get_target(struct reader *in, const json_t *tls, struct psi_report_event *e)
{
	struct psi_report_text t = {NULL, 0};
	const char *colon;

	get_text(in, tls, "connect_target", &t);
	if (!t.len)
		return;
	e->server.len = 0; /* the proxy's */
	if (e->host.len)
		return;
	colon = memrchr(t.p, ':', t.len);
	e->host = t;
	if (colon && memchr(t.p, ':', t.len) == colon)
		e->host.len = (size_t)(colon - t.p);
}

static void
read_flow(struct reader *in, const json_t *o, struct psi_report_event *e)
{
	json_t *tls = get_object(in, o, "tls"), *verdict = get_object(in, o, "verdict");
	struct psi_report_text class = {NULL, 0};

	get_ip(in, o, "src_ip", &e->client);
	get_ip(in, o, "dest_ip", &e->server);
	e->server_port = (uint16_t)get_number(in, o, "dest_port", 65535, "a port, 0 to 65535");
	if (!e->client.len || !e->server.len)
		wrong(in, e->client.len ? "dest_ip" : "src_ip", "an address");
	get_text(in, tls, "sni", &e->host);
	get_target(in, tls, e);
	get_text(in, tls, "ja4", &e->ja4);
	get_text(in, tls, "issuerdn", &e->issuer);
	get_text(in, get_object(in, o, "pins"), "set", &e->pinset);
	get_text(in, verdict, "class", &class);
	get_text(in, verdict, "reason", &e->reason);
	e->confidence = get_number(in, verdict, "confidence", 1, "a number, 0 to 1");
	get_evidence(in, verdict, e);
	get_class(in, class, &e->class);
}

static void
read_finding(struct reader *in, const json_t *o, struct psi_report_event *e)
{
	json_t *subject = get_object(in, o, "subject"), *flows = get_object(in, o, "flows");

	get_text(in, o, "class", &e->finding);
	if (!e->finding.len)
		wrong(in, "class", "the class of the finding");
	get_text(in, subject, "kind", &e->subject);
	get_text(in, subject, "sni", &e->host);
	get_text(in, subject, "ja4", &e->ja4);
	get_text(in, subject, "issuer", &e->issuer);
	get_ip(in, subject, "client", &e->client);
	if (!e->host.len && !e->client.len && !e->ja4.len && !e->issuer.len)
		wrong(in, "subject", "a host, client, stack or issuer");
	e->confidence = get_number(in, o, "confidence", 1, "a number, 0 to 1");
	e->seen = get_count(in, flows, "seen");
	e->failed = get_count(in, flows, "failed");
	e->ok = get_count(in, flows, "ok");
	e->first_ns = e->last_ns = e->time_ns;
	get_time(in, o, "first_seen", &e->first_ns);
	get_time(in, o, "last_seen", &e->last_ns);
	get_text(in, o, "reason", &e->reason);
	get_evidence(in, o, e);
}

static enum psi_report_kind
kind_of(struct psi_report_text t)
{
	static const struct {
		const char *name;
		enum psi_report_kind kind;
	} kinds[] = {
		{"tls_flow", PSI_REPORT_FLOW},
		{"finding", PSI_REPORT_FINDING},
		{"tls_handshake", PSI_REPORT_HANDSHAKE},
		{"stats", PSI_REPORT_STATS},
		{"gap", PSI_REPORT_GAP},
	};

	for (size_t i = 0; i < PSI_COUNT(kinds); i++)
		if (strlen(kinds[i].name) == t.len && memcmp(kinds[i].name, t.p, t.len) == 0)
			return kinds[i].kind;
	return PSI_REPORT_OTHER;
}

static void
read_event(struct reader *in, const json_t *o, struct psi_report_event *e)
{
	struct psi_report_text type = {NULL, 0};

	get_text(in, o, "event_type", &type);
	if (!type.len)
		wrong(in, "event_type", "the type of the event");
	e->kind = type.len ? kind_of(type) : PSI_REPORT_OTHER;
	if (e->kind != PSI_REPORT_FLOW && e->kind != PSI_REPORT_FINDING) {
		if (e->kind == PSI_REPORT_GAP)
			e->lost = get_count(in, o, "lost");
		return;
	}
	get_time(in, o, "timestamp", &e->time_ns);
	if (!e->time_ns)
		wrong(in, "timestamp", "a time such as 2026-01-31T08:30:00.000000Z");
	if (e->kind == PSI_REPORT_FLOW)
		read_flow(in, o, e);
	else
		read_finding(in, o, e);
}

/* ---- lines ---- */

/* The next line, without its newline, in [*p,*p+*len). False at the end. *cut: it was too long, and is passed over. */
static bool
next_line(struct psi_report_json *j, const char **p, size_t *len, bool *cut)
{
	*cut = false;
	for (;;) {
		char *nl = memchr(j->buf + j->at, '\n', j->len - j->at);

		if (nl || (j->eof && j->at < j->len)) {
			*p = j->buf + j->at;
			*len = nl ? (size_t)(nl - *p) : j->len - j->at;
			j->at += *len + (nl ? 1 : 0);
			j->line++;
			return true;
		}
		if (j->eof) {
			if (*cut)
				j->line++;
			*len = 0;
			return *cut;
		}
		if (j->len - j->at == PSI_REPORT_LINE_MAX) { /* full, and no end in sight */
			*cut = true;
			j->at = j->len;
		}
		memmove(j->buf, j->buf + j->at, j->len - j->at);
		j->len -= j->at;
		j->at = 0;
		size_t n = fread(j->buf + j->len, 1, PSI_REPORT_LINE_MAX - j->len, j->in);

		j->len += n;
		j->bytes += n;
		j->eof = n == 0;
	}
}

static bool
is_blank(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r')
			return false;
	return true;
}

/* One object, which e then points into. */
static enum psi_report_rc
read_object(struct psi_report_json *j, const char *p, size_t len, struct psi_report_event *e,
	struct psi_err *err)
{
	struct reader in = {0};
	json_error_t je;

	json_decref(j->root);
	memset(e, 0, sizeof(*e));
	j->root = json_loadb(p, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &je);
	if (!j->root) {
		psi_err_set(err, 0, "%s:%llu:%d: no JSON: %s", j->name, (unsigned long long)j->line,
			je.column, je.text);
		return PSI_REPORT_BAD;
	}
	if (!json_is_object(j->root))
		wrong(&in, "the line", "an object");
	else
		read_event(&in, j->root, e);
	if (in.wrong) {
		psi_err_set(err, 0, "%s:%llu: %s: expected %s", j->name,
			(unsigned long long)j->line, in.wrong, in.expected);
		return PSI_REPORT_BAD;
	}
	return PSI_REPORT_EVENT;
}

enum psi_report_rc
psi_report_json_next(void *ctx, struct psi_report_event *e, struct psi_err *err)
{
	struct psi_report_json *j = ctx;
	const char *p;
	size_t len;
	bool cut;

	do {
		if (!next_line(j, &p, &len, &cut)) {
			if (!ferror(j->in))
				return PSI_REPORT_END;
			psi_err_set(err, 0, "%s: cannot be read further", j->name);
			return PSI_REPORT_DEAD;
		}
	} while (!cut && is_blank(p, len));
	if (!cut)
		return read_object(j, p, len, e, err);
	psi_err_set(err, 0, "%s:%llu: longer than %u bytes, passed over", j->name,
		(unsigned long long)j->line, PSI_REPORT_LINE_MAX);
	return PSI_REPORT_BAD;
}

/* ---- a ring: each of its events by way of its JSON, so that both kinds of input mean the same ---- */

int
psi_report_ring_open(struct psi_report_json **j, const char *path, struct psi_err *err)
{
	struct psi_ring_r *ring = NULL;
	int rc = psi_ring_open(&ring, path, PSI_RING_OLDEST, err);

	if (rc != 0)
		return rc;
	*j = psi_report_json_open(NULL, path);
	if (!*j) {
		psi_ring_shut(ring);
		return psi_err_set(err, -ENOMEM, "no memory to read %s", path);
	}
	(*j)->ring = ring;
	return 0;
}

enum psi_report_rc
psi_report_ring_next(void *ctx, struct psi_report_event *e, struct psi_err *err)
{
	struct psi_report_json *j = ctx;
	const struct psi_event *ev;
	int n;

	switch (psi_ring_next(j->ring, &ev)) {
	case PSI_RING_EVENT: break;
	case PSI_RING_BAD:
		psi_err_set(err, 0, "%s: damaged, or no ring any more", j->name);
		return PSI_REPORT_DEAD;
	case PSI_RING_NONE:
	case PSI_RING_END: return PSI_REPORT_END;
	}
	n = psi_json_event(ev, j->buf, PSI_REPORT_LINE_MAX);
	PSI_ASSERT(n > 0, "a line has room for every event");
	j->line++;
	j->bytes += (uint64_t)n;
	return read_object(j, j->buf, (size_t)n, e, err);
}
