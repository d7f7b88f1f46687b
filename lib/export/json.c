/* SPDX-License-Identifier: BSD-3-Clause */
/* Events as JSON, by event_fields.def. The fields of an object are first sorted by row, then printed in the order of
 * the rows, so that equal events give equal bytes whatever order they were written in.
 *
 * Before a value is printed there is room for the longest that it can become, so that what prints it counts nothing. */
#include "export_pvt.h"
#include "json_pvt.h"
#include "psi_export.h"

#include <stdlib.h>

#define BIT_ROOM      48  /* the name of a bit, with quotes and a comma */
#define OBJECT_MIN    128 /* bytes below which a text is made anew sooner than found: of an object */
#define LIST_MIN      16  /* of a list of numbers */
#define KIND_U16S     PSI_G_CNT /* what json_memo.c calls a list; objects by their group */
#define ROW_ROOM      (64 * BIT_ROOM + 2 * JSON_KEY_ROOM) /* whatever is not text of the wire */
#define VALUE_ROOM(n) (ROW_ROOM + JSON_STR_ROOM(n))

struct out {
	const char *end;
	const uint8_t *readable; /* the end of the event */
	struct psi_json *memo;	 /* NULL: none */
	bool full;		 /* sticky: something was left out */
};

static bool
has_room(struct out *o, const char *q, size_t n)
{
	if (psi_likely(n <= (size_t)(o->end - q)))
		return true;
	o->full = true;
	return false;
}

/* ---- values ---- */

/* A number of 1, 2, 4 or 8 bytes; the field behind shorter ones is filled up to 4. */
static uint64_t
number(const struct psi_value *v)
{
	uint64_t n = 0;

	if (v->len == 8)
		memcpy(&n, v->p, 8);
	else
		memcpy(&n, v->p, 4);
	return v->len < 8 ? n & ((1ull << 8 * v->len) - 1) : n;
}

static char *
put(char *q, const char *s, size_t n)
{
	memcpy(q, s, n);
	return q + n;
}

/* A name of ours: plain ASCII. */
static char *
put_name(char *q, const char *s)
{
	*q++ = '"';
	q = put(q, s, strlen(s));
	*q++ = '"';
	return q;
}

static char *
put_u64(char *q, uint64_t v)
{
	return q + fmt_u64(q, v);
}

static char *
put_i64(char *q, int64_t v)
{
	if (v < 0)
		*q++ = '-';
	return put_u64(q, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* Six places, no trailing zeros. What has no place in JSON, or is too large to be a confidence or a rate, is null. */
static char *
put_f64(char *q, double d)
{
	uint64_t micro;
	char frac[7] = ".";
	size_t n = 6;

	if (!(d > -1e12 && d < 1e12))
		return put(q, "null", 4);
	micro = (uint64_t)((d < 0 ? -d : d) * 1e6 + 0.5);
	if (d < 0 && micro)
		*q++ = '-';
	q = put_u64(q, micro / 1000000);
	micro %= 1000000;
	if (!micro)
		return q;
	for (int i = 6; i > 0; i--, micro /= 10)
		frac[i] = (char)('0' + micro % 10);
	while (frac[n] == '0')
		n--;
	return put(q, frac, n + 1);
}

static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";

static char *
put_hex(char *q, uint64_t v, unsigned int digits)
{
	q = put(q, "\"0x", 3);
	for (unsigned int shift = 4 * digits; shift;)
		*q++ = lower[v >> (shift -= 4) & 15];
	*q++ = '"';
	return q;
}

/* Pairs of hexadecimal digits. */
static char *
put_bytes(char *q, const uint8_t *p, size_t len, const char digits[16])
{
	*q++ = '"';
	for (size_t i = 0; i < len; i++) {
		*q++ = digits[p[i] >> 4];
		*q++ = digits[p[i] & 15];
	}
	*q++ = '"';
	return q;
}

/* With colons between them. */
static char *
put_octets(char *q, const uint8_t *p, size_t len, const char digits[16])
{
	*q++ = '"';
	for (size_t i = 0; i < len; i++, q += 3) {
		q[0] = digits[p[i] >> 4];
		q[1] = digits[p[i] & 15];
		q[2] = ':';
	}
	q -= len > 0; /* no colon behind the last */
	*q++ = '"';
	return q;
}

/* RFC 4648 section 4. */
static char *
put_base64(char *q, const uint8_t *p, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	*q++ = '"';
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
			     (left > 2 ? p[i + 2] : 0);

		*q++ = digits[v >> 18];
		*q++ = digits[v >> 12 & 63];
		*q++ = left > 1 ? digits[v >> 6 & 63] : '=';
		*q++ = left > 2 ? digits[v & 63] : '=';
	}
	*q++ = '"';
	return q;
}

static char *
put_u16s(char *q, const uint8_t *p, size_t len)
{
	char *begin = q;

	for (size_t i = 0; i + 1 < len; i += 2) {
		uint16_t n;

		memcpy(&n, p + i, sizeof(n));
		*q++ = ',';
		q += fmt_u16(q, n);
	}
	q += q == begin;
	*begin = '['; /* for the first comma */
	*q++ = ']';
	return q;
}

/* ---- names ---- */

/* Names of bits: "NAME", with a comma; empty for a bit without one. Made once. */
static struct bit_text {
	uint8_t len;
	char text[BIT_ROOM];
} bit_text[PSI_FT_CNT][64];

static const char *
bit_name(enum psi_field_type t, unsigned int bit)
{
	uint64_t v = 1ull << bit;

	switch (t) {
	case PSI_FT_FLAGS: return psi_flag_name(v);
	case PSI_FT_EVIDENCE: return psi_evidence_name(v);
	case PSI_FT_MSGS: return bit < 32 ? psi_msg_name((uint32_t)v) : NULL;
	case PSI_FT_CERTS: return bit < 32 ? psi_cert_status_name((uint32_t)v) : NULL;
	case PSI_FT_NOTES: return bit < 32 ? psi_tls_note_name((uint32_t)v) : NULL;
	default: return NULL;
	}
}

__attribute__((constructor)) static void
make_bit_texts(void)
{
	for (int t = 0; t < PSI_FT_CNT; t++)
		for (unsigned int bit = 0; bit < 64; bit++) {
			struct bit_text *b = &bit_text[t][bit];
			const char *name = bit_name((enum psi_field_type)t, bit);

			if (!name)
				continue;
			PSI_ASSERT(strlen(name) + 3 <= BIT_ROOM, "the name of a bit fits");
			b->len = (uint8_t)(put_name(b->text, name) - b->text);
			b->text[b->len++] = ',';
		}
}

/* Names of the bits set, lowest first; a bit without a name shows in the hexadecimal view only. */
static char *
put_bits(char *q, enum psi_field_type t, uint64_t v)
{
	char *begin = q++;

	*begin = '[';
	if (t == PSI_FT_CERTS && !v)
		q = put(q, "\"NOT_CHECKED\",", 14);
	for (; v; v &= v - 1) {
		const struct bit_text *b = &bit_text[t][__builtin_ctzll(v)];

		memcpy(q, b->text, BIT_ROOM);
		q += b->len;
	}
	q -= q[-1] == ',';
	*q++ = ']';
	return q;
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

/* ---- arrays ---- */

static char *put_group(struct out *o, char *q, enum psi_field_group g, struct psi_event_r *in,
	const struct psi_event *head);

static char *
put_object(struct out *o, char *q, enum psi_field_group g, const struct psi_value *v)
{
	struct psi_event_r in;

	psi_event_enter(v, &in);
	return put_group(o, q, g, &in, NULL);
}

static bool
comes_again(const struct out *o, const struct psi_value *v, uint32_t min)
{
	return o->memo && v->len >= min;
}

/* An object of group kind, or a list of numbers, whose text depends on nothing but its bytes: copied when it is known. */
static char *
put_again(struct out *o, char *q, unsigned int kind, const struct psi_value *v)
{
	struct json_memo_key k = {.kind = kind, .p = v->p, .len = v->len};
	char *begin = q;
	const char *text;
	size_t n;

	if ((text = json_memo_find(o->memo, &k, &n)))
		return has_room(o, q, n + ROW_ROOM) ? put(q, text, n) : q;
	q = kind == KIND_U16S ? put_u16s(q, v->p, v->len)
			      : put_object(o, q, (enum psi_field_group)kind, v);
	if (!o->full)
		json_memo_add(o->memo, &k, begin, (size_t)(q - begin));
	return q;
}

static char *
put_element(struct out *o, char *q, const struct psi_field_row *row, const struct psi_value *v)
{
	const char *name;
	size_t len;
	uint64_t n;

	if (row->type == PSI_FT_OBJECTS)
		return comes_again(o, v, OBJECT_MIN) ? put_again(o, q, row->of, v)
						     : put_object(o, q, row->of, v);
	if (row->type == PSI_FT_STRS)
		return json_str(q, v->p, v->len, o->readable);
	n = psi_value_count(v, &name, &len);
	q = json_str(q, (const uint8_t *)name, len, o->readable);
	*q++ = ':';
	return put_u64(q, n);
}

/* The elements of an array: v is the first of cnt, the further ones follow in the same object, which ends at end. */
static char *
put_elements(struct out *o, char *q, const struct psi_field_row *row, struct psi_value v,
	uint32_t cnt, const uint8_t *end)
{
	struct psi_event_r rest = {.p = v.p + ((v.len + 3u) & ~3u), .end = end};

	*q++ = row->type == PSI_FT_COUNTS ? '{' : '[';
	q = put_element(o, q, row, &v);
	while (--cnt) {
		do
			psi_event_next(&rest, &v);
		while (v.id != row->id);
		if (!has_room(o, q, VALUE_ROOM(v.len)))
			break;
		*q++ = ',';
		q = put_element(o, q, row, &v);
	}
	*q++ = row->type == PSI_FT_COUNTS ? '}' : ']';
	return q;
}

/* ---- objects ---- */

static char *
put_time(char *q, uint64_t ns)
{
	*q++ = '"';
	q += fmt_time(q, ns);
	*q++ = '"';
	return q;
}

static char *
put_date(char *q, int64_t s)
{
	*q++ = '"';
	q += fmt_date(q, s);
	*q++ = '"';
	return q;
}

static char *
put_ip(char *q, const struct psi_value *v)
{
	*q++ = '"';
	q += fmt_ip(q, v->p, v->len);
	*q++ = '"';
	return q;
}

static char *
put_bool(char *q, bool yes)
{
	return yes ? put(q, "true", 4) : put(q, "false", 5);
}

static char *
put_value(struct out *o, char *q, const struct psi_field_row *row, const struct psi_value *v,
	uint32_t cnt, const uint8_t *end)
{
	enum psi_field_type t = (enum psi_field_type)row->type;

	switch (t) {
	case PSI_FT_U16:
	case PSI_FT_U32:
	case PSI_FT_U64: return put_u64(q, number(v));
	case PSI_FT_I64: return put_i64(q, (int64_t)number(v));
	case PSI_FT_F64: return put_f64(q, psi_value_f64(v));
	case PSI_FT_BOOL: return put_bool(q, number(v) != 0);
	case PSI_FT_STR: return json_str(q, v->p, v->len, o->readable);
	case PSI_FT_TIME: return put_time(q, number(v));
	case PSI_FT_DATE: return put_date(q, (int64_t)number(v));
	case PSI_FT_IP: return put_ip(q, v);
	case PSI_FT_MSGS:
	case PSI_FT_FLAGS:
	case PSI_FT_CERTS:
	case PSI_FT_NOTES:
	case PSI_FT_EVIDENCE: return put_bits(q, t, number(v));
	case PSI_FT_CLASS:
	case PSI_FT_ALERT:
	case PSI_FT_VERSION:
	case PSI_FT_CIPHER:
	case PSI_FT_NAMED_GROUP:
	case PSI_FT_SIGSCHEME: return put_name(q, number_name(t, number(v))); /* see put_row */
	case PSI_FT_HEX16: return put_hex(q, number(v), 4);
	case PSI_FT_HEX32: return put_hex(q, number(v), 8);
	case PSI_FT_HEX64: return put_hex(q, number(v), 16);
	case PSI_FT_FINGERPRINT: return put_octets(q, v->p, v->len, lower);
	case PSI_FT_SERIAL: return put_octets(q, v->p, v->len, upper);
	case PSI_FT_SHA256: return put_bytes(q, v->p, v->len, lower);
	case PSI_FT_BASE64: return put_base64(q, v->p, v->len);
	case PSI_FT_U16S:
		return comes_again(o, v, LIST_MIN) ? put_again(o, q, KIND_U16S, v)
						   : put_u16s(q, v->p, v->len);
	case PSI_FT_STRS:
	case PSI_FT_COUNTS:
	case PSI_FT_OBJECTS: return put_elements(o, q, row, *v, cnt, end);
	case PSI_FT_CNT: break;
	}
	return q;
}

/* Whether there is anything to print: a number without a name has none where only the name would stand. */
static bool
says(const struct psi_field_row *row, const struct psi_value *v)
{
	return !is_named(row->type) || number_name(row->type, number(v));
}

/* What the header says; *last is the key printed last. */
static char *
put_head(char *q, const struct json_key **last, const struct psi_event *e)
{
	const struct json_key *keys = json_keys(PSI_G_HEAD);
	const struct psi_field_row *rows;
	size_t cnt;

	rows = psi_field_group_rows(PSI_G_HEAD, &cnt);
	for (size_t i = 0; i < cnt; i++) {
		if (rows[i].id == PSI_F_HEAD_CUT && !(e->flags & PSI_EVENT_CUT))
			continue;
		q = json_key(q, *last, &keys[i]);
		*last = &keys[i];
		switch (rows[i].id) {
		case PSI_F_HEAD_TIME: q = put_time(q, e->time_ns); break;
		case PSI_F_HEAD_TYPE: q = put_name(q, psi_event_type_name(e->type)); break;
		case PSI_F_HEAD_SEQ: q = put_u64(q, e->seq); break;
		case PSI_F_HEAD_CUT: q = put_bool(q, true); break;
		}
	}
	return q;
}

static struct psi_value
value_at(const uint8_t *p)
{
	struct psi_value v = {.p = p + 4};

	memcpy(&v.id, p, 2);
	memcpy(&v.len, p + 2, 2);
	return v;
}

/* head: the event when this is its outermost object, whose header then comes first. */
static char *
put_group(struct out *o, char *q, enum psi_field_group g, struct psi_event_r *in,
	const struct psi_event *head)
{
	const struct json_key *keys = json_keys(g), *last = &json_no_key;
	const struct psi_field_row *rows;
	struct psi_sorted sorted;
	char *begin = q;
	size_t cnt;

	if (head)
		q = put_head(q, &last, head);
	rows = psi_field_group_rows(g, &cnt);
	psi_event_sort(in, g, &sorted);
	for (size_t w = 0; w < PSI_COUNT(sorted.has); w++)
		for (uint64_t left = sorted.has[w]; left; left &= left - 1) {
			size_t i = 64 * w + (size_t)__builtin_ctzll(left);
			struct psi_value v = value_at(in->p + sorted.at[i]);
			uint32_t elements = sorted.cnt[i];

			do { /* the field, and the views of it that stand behind it */
				if (!has_room(o, q, VALUE_ROOM(v.len)) || !says(&rows[i], &v))
					continue;
				q = json_key(q, last, &keys[i]);
				last = &keys[i];
				q = put_value(o, q, &rows[i], &v, elements, in->end);
			} while (++i < cnt && rows[i].view);
		}
	q += q == begin;
	*begin = '{'; /* for the first comma */
	memcpy(q, "}}}}", JSON_DEPTH_MAX + 1);
	return q + last->depth + 1;
}

/* ---- events ---- */

/* PSI_E_LIMIT also when less than what a value might take is left behind the text. */
static int
print(struct psi_json *memo, const struct psi_event *e, char *buf, size_t cap)
{
	struct out o = {.end = buf + cap, .memo = memo};
	struct psi_event_r in;
	char *q;

	psi_event_fields(e, &in);
	o.readable = in.end;
	if (!has_room(&o, buf, ROW_ROOM))
		return PSI_E_LIMIT;
	q = put_group(&o, buf, psi_event_group(e->type), &in, e);
	*q++ = '\n';
	return o.full ? PSI_E_LIMIT : (int)(q - buf);
}

int
psi_json_write(struct psi_json *j, const struct psi_event *e, char *buf, size_t cap)
{
	int n = print(j, e, buf, cap);
	char *whole;

	if (n > 0 || cap >= PSI_JSON_MAX || !(whole = malloc(PSI_JSON_MAX)))
		return n;
	n = print(j, e, whole, PSI_JSON_MAX);
	if (n > 0 && (size_t)n > cap)
		n = PSI_E_LIMIT;
	if (n > 0)
		memcpy(buf, whole, (size_t)n);
	free(whole);
	return n;
}

int
psi_json_event(const struct psi_event *e, char *buf, size_t cap)
{
	return psi_json_write(NULL, e, buf, cap);
}
