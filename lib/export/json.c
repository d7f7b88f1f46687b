/* SPDX-License-Identifier: BSD-3-Clause */
/* Events as JSON, by event_fields.def. The fields of an object are first sorted by row, then printed in the order of
 * the rows, so that equal events give equal bytes whatever order they were written in. */
#include "export_pvt.h"
#include "psi_export.h"

/* Room for one value that is not text, its quotes and a comma included. */
#define VALUE_MAX 64
#define ROWS_MAX  160 /* rows of the largest group: a test compares */

struct out {
	char *p, *end;
	bool full; /* sticky: something did not fit */
};

static void
put(struct out *o, const char *s, size_t n)
{
	if (psi_unlikely(n > (size_t)(o->end - o->p))) {
		o->full = true;
		o->end = o->p;
		return;
	}
	memcpy(o->p, s, n);
	o->p += n;
}

static void
put_char(struct out *o, char c)
{
	put(o, &c, 1);
}

/* ---- strings ---- */

static void
put_u_escape(struct out *o, uint32_t unit)
{
	static const char hex[] = "0123456789abcdef";
	char s[6] = {'\\', 'u', hex[unit >> 12 & 15], hex[unit >> 8 & 15], hex[unit >> 4 & 15],
		hex[unit & 15]};

	put(o, s, sizeof(s));
}

static bool
is_plain(uint8_t b)
{
	return b >= 0x20 && b < 0x7f && b != '"' && b != '\\';
}

/* A byte that is no text, as four characters: \xba. */
static void
put_raw_byte(struct out *o, uint8_t b)
{
	static const char hex[] = "0123456789abcdef";
	char s[5] = {'\\', '\\', 'x', hex[b >> 4], hex[b & 15]};

	put(o, s, sizeof(s));
}

/* One character that is not plain ASCII. Returns its bytes. */
static unsigned int
put_special(struct out *o, const uint8_t *p, const uint8_t *end)
{
	uint32_t cp;
	unsigned int n = utf8_next(p, end, &cp);

	if (cp == UINT32_MAX) {
		for (unsigned int i = 0; i < n; i++)
			put_raw_byte(o, p[i]);
	} else if (cp == '"' || cp == '\\') {
		put_char(o, '\\');
		put_char(o, (char)cp);
	} else if (!cp_is_unsafe(cp)) {
		put(o, (const char *)p, n);
	} else if (cp < 0x10000) {
		put_u_escape(o, cp);
	} else {
		put_u_escape(o, 0xd800 + ((cp - 0x10000) >> 10));
		put_u_escape(o, 0xdc00 + (cp & 0x3ff));
	}
	return n;
}

static void
put_str(struct out *o, const void *s, size_t len)
{
	const uint8_t *p = s, *end = p + len, *run;

	put_char(o, '"');
	while (p < end) {
		for (run = p; p < end && is_plain(*p); p++)
			;
		put(o, (const char *)run, (size_t)(p - run));
		if (p < end)
			p += put_special(o, p, end);
	}
	put_char(o, '"');
}

/* A name of ours: plain ASCII. */
static void
put_name(struct out *o, const char *s)
{
	put_char(o, '"');
	put(o, s, strlen(s));
	put_char(o, '"');
}

bool
psi_json_str(char *buf, size_t cap, size_t *at, const void *p, size_t len)
{
	struct out o = {.p = buf + *at, .end = buf + cap};

	put_str(&o, p, len);
	if (o.full)
		return false;
	*at = (size_t)(o.p - buf);
	return true;
}

/* ---- values ---- */

static void
put_u64(struct out *o, uint64_t v)
{
	char s[20];

	put(o, s, fmt_u64(s, v));
}

static void
put_i64(struct out *o, int64_t v)
{
	if (v < 0)
		put_char(o, '-');
	put_u64(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* Six places, no trailing zeros. What has no place in JSON, or is too large to be a confidence or a rate, is null. */
static void
put_f64(struct out *o, double d)
{
	uint64_t micro;
	char frac[7] = ".";
	size_t n = 6;

	if (!(d > -1e12 && d < 1e12)) {
		put(o, "null", 4);
		return;
	}
	micro = (uint64_t)((d < 0 ? -d : d) * 1e6 + 0.5);
	if (d < 0 && micro)
		put_char(o, '-');
	put_u64(o, micro / 1000000);
	micro %= 1000000;
	if (!micro)
		return;
	for (int i = 6; i > 0; i--, micro /= 10)
		frac[i] = (char)('0' + micro % 10);
	while (frac[n] == '0')
		n--;
	put(o, frac, n + 1);
}

static void
put_hex(struct out *o, uint64_t v, unsigned int digits)
{
	char s[20] = "\"0x";

	for (unsigned int i = 0; i < digits; i++)
		s[3 + i] = "0123456789abcdef"[v >> 4 * (digits - 1 - i) & 15];
	s[3 + digits] = '"';
	put(o, s, 4 + digits);
}

static void
put_quoted(struct out *o, const char *s, size_t n)
{
	put_char(o, '"');
	put(o, s, n);
	put_char(o, '"');
}

static void
put_bytes(struct out *o, const struct psi_value *v, const char *digits, bool colons)
{
	put_char(o, '"');
	for (unsigned int i = 0; i < v->len; i++) {
		if (colons && i)
			put_char(o, ':');
		put_char(o, digits[v->p[i] >> 4]);
		put_char(o, digits[v->p[i] & 15]);
	}
	put_char(o, '"');
}

/* RFC 4648 section 4. */
static void
put_base64(struct out *o, const uint8_t *p, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	put_char(o, '"');
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
			     (left > 2 ? p[i + 2] : 0);
		char s[4] = {digits[v >> 18], digits[v >> 12 & 63],
			left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};

		put(o, s, sizeof(s));
	}
	put_char(o, '"');
}

static const char *
bit_name(enum psi_field_type t, uint64_t bit)
{
	switch (t) {
	case PSI_FT_MSGS: return psi_msg_name((uint32_t)bit);
	case PSI_FT_FLAGS: return psi_flag_name(bit);
	case PSI_FT_CERTS: return psi_cert_status_name((uint32_t)bit);
	case PSI_FT_NOTES: return psi_tls_note_name((uint32_t)bit);
	case PSI_FT_EVIDENCE: return psi_evidence_name(bit);
	default: return NULL;
	}
}

/* Names of the bits set, lowest first; a bit without a name shows in the hexadecimal view only. */
static void
put_bits(struct out *o, enum psi_field_type t, uint64_t v)
{
	bool comma = false;

	put_char(o, '[');
	if (t == PSI_FT_CERTS && !v)
		put_name(o, "NOT_CHECKED");
	for (; v; v &= v - 1) {
		const char *name = bit_name(t, v & (0 - v));

		if (!name)
			continue;
		if (comma)
			put_char(o, ',');
		comma = true;
		put_name(o, name);
	}
	put_char(o, ']');
}

static void
put_u16s(struct out *o, const struct psi_value *v)
{
	put_char(o, '[');
	for (unsigned int i = 0; i + 1 < v->len; i += 2) {
		uint16_t n;

		memcpy(&n, v->p + i, sizeof(n));
		if (i)
			put_char(o, ',');
		put_u64(o, n);
	}
	put_char(o, ']');
}

/* The name of a number that is printed as nothing but its name. */
static const char *
number_name(enum psi_field_type t, uint64_t v)
{
	switch (t) {
	case PSI_FT_CLASS: return v < PSI_CLASS_CNT ? psi_class_name((enum psi_class)v) : NULL;
	case PSI_FT_ALERT: return v <= UINT8_MAX ? psi_alert_name((uint8_t)v) : NULL;
	case PSI_FT_VERSION: return psi_version_name((uint16_t)v);
	case PSI_FT_CIPHER: return psi_cipher_name((uint16_t)v);
	case PSI_FT_NAMED_GROUP: return psi_group_name((uint16_t)v);
	case PSI_FT_SIGSCHEME: return psi_sigscheme_name((uint16_t)v);
	default: return NULL;
	}
}

static bool
is_named(enum psi_field_type t)
{
	return t == PSI_FT_CLASS || t == PSI_FT_ALERT || t == PSI_FT_VERSION ||
	       t == PSI_FT_CIPHER || t == PSI_FT_NAMED_GROUP || t == PSI_FT_SIGSCHEME;
}

static void put_group(struct out *o, enum psi_field_group g, struct psi_event_r *in,
	const struct psi_event *head);

/* The elements of an array: v is the first, further ones follow in the same object, which ends at end. */
static void
put_elements(struct out *o, const struct psi_field_row *row, struct psi_value v, const uint8_t *end)
{
	struct psi_event_r rest = {.p = v.p + ((v.len + 3u) & ~3u), .end = end}, in;
	const char *name;
	size_t len;

	put_char(o, row->type == PSI_FT_COUNTS ? '{' : '[');
	for (;;) {
		if (row->type == PSI_FT_OBJECTS) {
			psi_event_enter(&v, &in);
			put_char(o, '{');
			put_group(o, row->of, &in, NULL);
			put_char(o, '}');
		} else if (row->type == PSI_FT_COUNTS) {
			uint64_t n = psi_value_count(&v, &name, &len);

			put_str(o, name, len);
			put_char(o, ':');
			put_u64(o, n);
		} else {
			put_str(o, v.p, v.len);
		}
		do
			if (!psi_event_next(&rest, &v))
				goto done;
		while (v.id != row->id);
		put_char(o, ',');
	}
done:
	put_char(o, row->type == PSI_FT_COUNTS ? '}' : ']');
}

static void
put_value(struct out *o, const struct psi_field_row *row, const struct psi_value *v,
	const uint8_t *end)
{
	char s[VALUE_MAX];

	switch ((enum psi_field_type)row->type) {
	case PSI_FT_U16:
	case PSI_FT_U32:
	case PSI_FT_U64: put_u64(o, psi_value_u64(v)); break;
	case PSI_FT_I64: put_i64(o, (int64_t)psi_value_u64(v)); break;
	case PSI_FT_F64: put_f64(o, psi_value_f64(v)); break;
	case PSI_FT_BOOL:
		if (psi_value_u64(v))
			put(o, "true", 4);
		else
			put(o, "false", 5);
		break;
	case PSI_FT_STR: put_str(o, v->p, v->len); break;
	case PSI_FT_TIME: put_quoted(o, s, fmt_time(s, psi_value_u64(v))); break;
	case PSI_FT_DATE: put_quoted(o, s, fmt_date(s, (int64_t)psi_value_u64(v))); break;
	case PSI_FT_IP: put_quoted(o, s, fmt_ip(s, v->p, v->len)); break;
	case PSI_FT_MSGS:
	case PSI_FT_FLAGS:
	case PSI_FT_CERTS:
	case PSI_FT_NOTES:
	case PSI_FT_EVIDENCE: put_bits(o, row->type, psi_value_u64(v)); break;
	case PSI_FT_CLASS:
	case PSI_FT_ALERT:
	case PSI_FT_VERSION:
	case PSI_FT_CIPHER:
	case PSI_FT_NAMED_GROUP:
	case PSI_FT_SIGSCHEME: put_name(o, number_name(row->type, psi_value_u64(v))); break;
	case PSI_FT_HEX16: put_hex(o, psi_value_u64(v), 4); break;
	case PSI_FT_HEX32: put_hex(o, psi_value_u64(v), 8); break;
	case PSI_FT_HEX64: put_hex(o, psi_value_u64(v), 16); break;
	case PSI_FT_FINGERPRINT: put_bytes(o, v, "0123456789abcdef", true); break;
	case PSI_FT_SERIAL: put_bytes(o, v, "0123456789ABCDEF", true); break;
	case PSI_FT_SHA256: put_bytes(o, v, "0123456789abcdef", false); break;
	case PSI_FT_BASE64: put_base64(o, v->p, v->len); break;
	case PSI_FT_U16S: put_u16s(o, v); break;
	case PSI_FT_STRS:
	case PSI_FT_COUNTS:
	case PSI_FT_OBJECTS: put_elements(o, row, *v, end); break;
	case PSI_FT_CNT: break;
	}
}

/* ---- objects ---- */

/* Where in the paths the writer stands: path[0..len) is open, len ends behind a dot. */
struct place {
	const char *path;
	size_t len;
	bool comma; /* something stands before in the innermost object */
};

/* Closes objects until len bytes of the path are left open. */
static void
close_to(struct out *o, struct place *at, size_t len)
{
	for (size_t i = len; i < at->len; i++)
		if (at->path[i] == '.') {
			put_char(o, '}');
			at->comma = true;
		}
	at->len = len;
}

/* The key of a row, with the objects around it closed and opened as its path asks. */
static void
put_key(struct out *o, struct place *at, const char *path)
{
	const char *part = path, *dot;
	size_t same = 0;

	for (size_t i = 0; i < at->len && path[i] == at->path[i]; i++)
		if (path[i] == '.')
			same = i + 1;
	close_to(o, at, same);
	at->path = path;
	for (part += same; (dot = strchr(part, '.')); part = dot + 1) {
		if (at->comma)
			put_char(o, ',');
		put_quoted(o, part, (size_t)(dot - part));
		put(o, ":{", 2);
		at->comma = false;
	}
	at->len = (size_t)(part - path);
	if (at->comma)
		put_char(o, ',');
	at->comma = true;
	put_name(o, part);
	put_char(o, ':');
}

/* What a view of the header stands for. */
static void
put_head(
	struct out *o, struct place *at, const struct psi_field_row *row, const struct psi_event *e)
{
	char s[VALUE_MAX];

	if (row->id == PSI_F_HEAD_CUT && !(e->flags & PSI_EVENT_CUT))
		return;
	put_key(o, at, row->path);
	switch (row->id) {
	case PSI_F_HEAD_TIME: put_quoted(o, s, fmt_time(s, e->time_ns)); break;
	case PSI_F_HEAD_TYPE: put_name(o, psi_event_type_name(e->type)); break;
	case PSI_F_HEAD_SEQ: put_u64(o, e->seq); break;
	case PSI_F_HEAD_CUT: put(o, "true", 4); break;
	}
}

/* The first value of every row of a group; a row that has none keeps p NULL. */
static void
sort_values(struct psi_event_r in, const struct psi_field_row *rows, size_t cnt,
	struct psi_value *first)
{
	struct psi_value v;

	for (size_t i = 0; i < cnt; i++)
		first[i].p = NULL;
	while (psi_event_next(&in, &v)) {
		const struct psi_field_row *row = psi_field_row_of(v.id);

		if (row && row >= rows && row < rows + cnt && !first[row - rows].p)
			first[row - rows] = v;
	}
}

/* Braces are the caller's. head: the event when this is its outermost object, whose header then comes first. */
static void
put_group(
	struct out *o, enum psi_field_group g, struct psi_event_r *in, const struct psi_event *head)
{
	struct place at = {.path = ""};
	struct psi_value first[ROWS_MAX];
	const struct psi_field_row *rows;
	size_t cnt;

	if (head) {
		rows = psi_field_group_rows(PSI_G_HEAD, &cnt);
		for (size_t i = 0; i < cnt; i++)
			put_head(o, &at, &rows[i], head);
	}
	rows = psi_field_group_rows(g, &cnt);
	sort_values(*in, rows, cnt, first);
	for (size_t i = 0; i < cnt; i++) {
		const struct psi_field_row *stored =
			rows[i].view ? psi_field_row_of(rows[i].id) : &rows[i];
		const struct psi_value *v = &first[stored - rows];

		if (!v->p ||
			(is_named(rows[i].type) && !number_name(rows[i].type, psi_value_u64(v))))
			continue;
		put_key(o, &at, rows[i].path);
		put_value(o, &rows[i], v, in->end);
	}
	close_to(o, &at, 0);
}

int
psi_json_event(const struct psi_event *e, char *buf, size_t cap)
{
	struct out o = {.p = buf, .end = buf + cap};
	struct psi_event_r in;

	psi_event_fields(e, &in);
	put_char(&o, '{');
	put_group(&o, psi_event_group(e->type), &in, e);
	put(&o, "}\n", 2);
	return o.full ? PSI_E_LIMIT : (int)(o.p - buf);
}
