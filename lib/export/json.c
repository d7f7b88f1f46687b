/* SPDX-License-Identifier: BSD-3-Clause */
/* Events as JSON, by event_fields.def. The fields of an object are first sorted by row, then printed in the order of
 * the rows, so that equal events give equal bytes whatever order they were written in. Keys are made up once, with the
 * objects around them. */
#include "export_pvt.h"
#include "psi_export.h"

#define VALUE_MAX 64 /* one value that is not text, its quotes and a comma included */
#define KEY_MAX	  64 /* a key and the objects that begin with it, as text. Asserted, as those below */
#define DEPTH_MAX 3   /* objects inside the one that a row stands in */
#define ROWS_MAX  256 /* rows of all groups */

struct out {
	char *p, *end;
	bool full; /* sticky: something did not fit */
	char spare[KEY_MAX + VALUE_MAX];
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

/* Where n bytes, n <= sizeof(spare), can be written: in the text, or beside it when less may do and there is not more.
 * What was written there, up to end, is then part of the text. */
static char *
room(struct out *o, size_t n)
{
	return psi_likely(n <= (size_t)(o->end - o->p)) ? o->p : o->spare;
}

static void
wrote(struct out *o, const char *begin, char *end)
{
	if (psi_likely(begin == o->p))
		o->p = end;
	else
		put(o, begin, (size_t)(end - begin));
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

/* Whether each of 8 bytes is plain. The usual trick: (x - 0x01..) & ~x & 0x80.. has a bit when a byte of x is 0, and with
 * 0x20 in place of 0x01 when one is below 0x20. */
static bool
are_plain(uint64_t x)
{
	const uint64_t ones = UINT64_MAX / 255, tops = ones << 7;
	uint64_t quote = x ^ ones * '"', slash = x ^ ones * '\\', del = x ^ ones * 0x7f;

	return !((x | ((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) |
			 ((slash - ones) & ~slash) | ((del - ones) & ~del)) &
		 tops);
}

/* Copies what is plain at the beginning of [p,end); as many bytes fit at q. Returns how many it was. */
static size_t
copy_plain(char *q, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *begin = p;
	uint64_t x;

	for (; end - p >= 8; p += 8, q += 8) {
		memcpy(&x, p, 8);
		if (!are_plain(x))
			break;
		memcpy(q, &x, 8);
	}
	while (p < end && is_plain(*p))
		*q++ = (char)*p++;
	return (size_t)(p - begin);
}

static void
put_str(struct out *o, const void *s, size_t len)
{
	const uint8_t *p = s, *end = p + len, *run;

	put_char(o, '"');
	while (p < end) {
		if (psi_likely(end - p <= o->end - o->p)) {
			size_t n = copy_plain(o->p, p, end);

			o->p += n;
			p += n;
		} else {
			for (run = p; p < end && is_plain(*p); p++)
				;
			put(o, (const char *)run, (size_t)(p - run));
		}
		if (p < end)
			p += put_special(o, p, end);
	}
	put_char(o, '"');
}

/* A name of ours: plain ASCII. */
static void
put_name(struct out *o, const char *s)
{
	size_t n = strlen(s);

	if (psi_unlikely(n + 2 > (size_t)(o->end - o->p))) {
		o->full = true;
		o->end = o->p;
		return;
	}
	*o->p++ = '"';
	memcpy(o->p, s, n);
	o->p += n;
	*o->p++ = '"';
}

bool
psi_json_str(char *buf, size_t cap, size_t *at, const void *p, size_t len)
{
	struct out o;

	o.p = buf + *at;
	o.end = buf + cap;
	o.full = false;
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
	char *q = room(o, 20);

	wrote(o, q, q + fmt_u64(q, v));
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

#define CHUNK \
	32 /* bytes of a value written at once: as hexadecimal 3 characters each, as numbers 6 for two */

/* Pairs of hexadecimal digits, with colons between them or without. */
static void
put_bytes(struct out *o, const struct psi_value *v, const char digits[16], bool colons)
{
	put_char(o, '"');
	for (unsigned int i = 0, end; i < v->len; i = end) {
		char *begin = room(o, 3 * CHUNK), *q = begin;

		end = PSI_MIN(i + CHUNK, (unsigned int)v->len);
		for (unsigned int k = i; k < end; k++) {
			q[0] = digits[v->p[k] >> 4];
			q[1] = digits[v->p[k] & 15];
			q[2] = ':'; /* written over, or not */
			q += 2 + (colons && k + 1u < v->len);
		}
		wrote(o, begin, q);
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
	for (unsigned int i = 0, end; i + 1 < v->len; i = end) {
		char *begin = room(o, 6 * CHUNK / 2), *q = begin;
		uint16_t n;

		end = PSI_MIN(i + CHUNK, v->len & ~1u);
		for (unsigned int k = i; k < end; k += 2) {
			memcpy(&n, v->p + k, sizeof(n));
			if (k)
				*q++ = ',';
			q += fmt_u64(q, n);
		}
		wrote(o, begin, q);
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

/* The elements of an array: v is the first of cnt, the further ones follow in the same object, which ends at end. */
static void
put_elements(struct out *o, const struct psi_field_row *row, struct psi_value v, uint32_t cnt,
	const uint8_t *end)
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
		if (!--cnt)
			break;
		do
			psi_event_next(&rest, &v);
		while (v.id != row->id);
		put_char(o, ',');
	}
	put_char(o, row->type == PSI_FT_COUNTS ? '}' : ']');
}

static void
put_value(struct out *o, const struct psi_field_row *row, const struct psi_value *v, uint32_t cnt,
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
	case PSI_FT_SIGSCHEME: break; /* see put_row */
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
	case PSI_FT_OBJECTS: put_elements(o, row, *v, cnt, end); break;
	case PSI_FT_CNT: break;
	}
}

/* ---- keys ---- */

/* A row's key, with the objects that it stands in: "tls":{"sni": */
struct key {
	uint8_t len, depth;
	uint8_t off[DEPTH_MAX +
		    1]; /* where to begin when so many of the objects are open already */
	uint16_t object[DEPTH_MAX]; /* which ones they are: each by the row that it begins with */
	char text[2 * KEY_MAX];	    /* KEY_MAX of it are copied, from wherever it begins */
};
static struct key keys[ROWS_MAX]; /* by row; constant once made */

static void
make_key(struct key *k, const char *path, uint16_t row, const struct key *before,
	const char *path_before)
{
	const char *part = path, *dot;
	size_t n = 0, len;

	for (;; part = dot + 1) {
		dot = strchr(part, '.');
		len = dot ? (size_t)(dot - part) : strlen(part);
		PSI_ASSERT(n + len + 4 <= KEY_MAX && k->depth < DEPTH_MAX + !dot, "a key fits");
		k->off[k->depth] = (uint8_t)n;
		k->text[n++] = '"';
		memcpy(k->text + n, part, len);
		n += len;
		k->text[n++] = '"';
		k->text[n++] = ':';
		if (!dot)
			break;
		k->text[n++] = '{';
		/* rows that share the first parts of their path stand together */
		k->object[k->depth] =
			before && before->depth > k->depth &&
					strncmp(path, path_before, (size_t)(dot + 1 - path)) == 0
				? before->object[k->depth]
				: row;
		k->depth++;
	}
	k->len = (uint8_t)n;
}

__attribute__((constructor)) static void
make_keys(void)
{
	const struct psi_field_row *rows;
	size_t cnt, all;

	psi_field_rows(&all);
	PSI_ASSERT(all <= ROWS_MAX, "a key for each row");
	for (int g = 0, at = 0; g < PSI_G_CNT; g++) {
		rows = psi_field_group_rows((enum psi_field_group)g, &cnt);
		for (size_t i = 0; i < cnt; i++, at++)
			make_key(&keys[at], rows[i].path, (uint16_t)at, i ? &keys[at - 1] : NULL,
				i ? rows[i - 1].path : NULL);
	}
}

/* ---- objects ---- */

/* The key behind the one printed last in an object (NULL: none), with objects closed and opened as its path asks. */
static void
put_key(struct out *o, const struct key **last, const struct key *k)
{
	char *begin = room(o, DEPTH_MAX + 1 + KEY_MAX), *q = begin;
	unsigned int same = 0;

	if (*last) {
		while (same < (*last)->depth && same < k->depth &&
			(*last)->object[same] == k->object[same])
			same++;
		for (unsigned int d = (*last)->depth; d > same; d--)
			*q++ = '}';
		*q++ = ',';
	}
	memcpy(q, k->text + k->off[same], KEY_MAX);
	wrote(o, begin, q + k->len - k->off[same]);
	*last = k;
}

/* What a view of the header stands for. */
static void
put_head(struct out *o, const struct key **last, const struct key *k,
	const struct psi_field_row *row, const struct psi_event *e)
{
	char s[VALUE_MAX];

	if (row->id == PSI_F_HEAD_CUT && !(e->flags & PSI_EVENT_CUT))
		return;
	put_key(o, last, k);
	switch (row->id) {
	case PSI_F_HEAD_TIME: put_quoted(o, s, fmt_time(s, e->time_ns)); break;
	case PSI_F_HEAD_TYPE: put_name(o, psi_event_type_name(e->type)); break;
	case PSI_F_HEAD_SEQ: put_u64(o, e->seq); break;
	case PSI_F_HEAD_CUT: put(o, "true", 4); break;
	}
}

static void
put_row(struct out *o, const struct key **last, const struct key *k,
	const struct psi_field_row *row, const struct psi_sorted *v, const uint8_t *end)
{
	const char *name;

	if (!is_named(row->type)) {
		put_key(o, last, k);
		put_value(o, row, &v->first, v->cnt, end);
	} else if ((name = number_name(row->type, psi_value_u64(&v->first)))) {
		put_key(o, last, k);
		put_name(o, name);
	}
}

/* Braces are the caller's. head: the event when this is its outermost object, whose header then comes first. */
static void
put_group(
	struct out *o, enum psi_field_group g, struct psi_event_r *in, const struct psi_event *head)
{
	struct psi_sorted sorted[PSI_GROUP_ROWS_MAX];
	uint64_t has[PSI_GROUP_ROWS_MAX / 64];
	const struct psi_field_row *rows, *all;
	const struct key *last = NULL;
	size_t cnt;

	all = psi_field_rows(&cnt);
	if (head) {
		rows = psi_field_group_rows(PSI_G_HEAD, &cnt);
		for (size_t i = 0; i < cnt; i++)
			put_head(o, &last, &keys[rows + i - all], &rows[i], head);
	}
	rows = psi_field_group_rows(g, &cnt);
	psi_event_sort(in, g, sorted, has);
	for (size_t w = 0; w < PSI_COUNT(has); w++)
		for (; has[w]; has[w] &= has[w] - 1) {
			size_t i = 64 * w + (size_t)__builtin_ctzll(has[w]);

			put_row(o, &last, &keys[rows + i - all], &rows[i], &sorted[i], in->end);
		}
	for (unsigned int d = last ? last->depth : 0; d > 0; d--)
		put_char(o, '}');
}

int
psi_json_event(const struct psi_event *e, char *buf, size_t cap)
{
	struct psi_event_r in;
	struct out o;

	o.p = buf;
	o.end = buf + cap;
	o.full = false;
	psi_event_fields(e, &in);
	put_char(&o, '{');
	put_group(&o, psi_event_group(e->type), &in, e);
	put(&o, "}\n", 2);
	return o.full ? PSI_E_LIMIT : (int)(o.p - buf);
}
