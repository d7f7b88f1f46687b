/* SPDX-License-Identifier: BSD-3-Clause */
/* Names as RFC 4514 strings. RDNs arrive least specific first and are written the other way round: each complete RDN
 * goes in front of what there is, so that a name too long loses its least specific end. */
#include "x509_pvt.h"

#define NAME_CAP (PSI_X509_NAME_MAX - 1)

static const char hex[] = "0123456789ABCDEF";

static void
put(struct psi_x509_ctx *x, const void *p, size_t len)
{
	size_t room = sizeof(x->rdn) - x->rdn_len;

	if (len > room)
		x->rdn_cut = true;
	len = PSI_MIN(len, room);
	memcpy(x->rdn + x->rdn_len, p, len);
	x->rdn_len += (uint32_t)len;
}

static void
put_hex(struct psi_x509_ctx *x, const uint8_t *p, size_t len, const char *lead)
{
	for (size_t i = 0; i < len && !x->rdn_cut; i++) {
		char pair[2] = {hex[p[i] >> 4], hex[p[i] & 15]};

		put(x, lead, strlen(lead));
		put(x, pair, 2);
	}
}

static uint32_t
utf8_put(uint32_t cp, uint8_t *out)
{
	if (cp < 0x80) {
		out[0] = (uint8_t)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (uint8_t)(0xc0 | cp >> 6);
		out[1] = (uint8_t)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (uint8_t)(0xe0 | cp >> 12);
		out[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | cp >> 18);
	out[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (cp & 0x3f));
	return 4;
}

static bool
is_scalar(uint32_t cp)
{
	return cp < 0x110000 && (cp < 0xd800 || cp > 0xdfff);
}

/* Each of these reads one character: bytes taken, or 0 when what stands there is none. */
static uint32_t
next_utf8(const uint8_t *p, uint32_t len, uint32_t *cp)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t n = p[0] < 0x80       ? 1
		     : p[0] >> 5 == 6  ? 2
		     : p[0] >> 4 == 14 ? 3
		     : p[0] >> 3 == 30 ? 4
				       : 0;

	if (!n || n > len)
		return 0;
	*cp = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (uint32_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		*cp = *cp << 6 | (p[i] & 0x3f);
	}
	return *cp >= least[n] && is_scalar(*cp) ? n : 0;
}

/* BMPString is UCS-2, but software that writes UTF-16 into it is common: surrogate pairs are joined. */
static uint32_t
next_bmp(const uint8_t *p, uint32_t len, uint32_t *cp)
{
	uint32_t hi, lo;

	if (len < 2)
		return 0;
	hi = (uint32_t)p[0] << 8 | p[1];
	*cp = hi;
	if (is_scalar(hi))
		return 2;
	if (len < 4 || hi > 0xdbff)
		return 0;
	lo = (uint32_t)p[2] << 8 | p[3];
	if (lo < 0xdc00 || lo > 0xdfff)
		return 0;
	*cp = 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00);
	return 4;
}

static uint32_t
next_universal(const uint8_t *p, uint32_t len, uint32_t *cp)
{
	if (len < 4)
		return 0;
	*cp = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return is_scalar(*cp) ? 4 : 0;
}

static uint32_t
next_latin1(const uint8_t *p, uint32_t len, uint32_t *cp)
{
	*cp = p[0];
	return 1;
}

/* How wide the characters of a string type are, and who reads them. NULL: not a string. The narrow types are all read
 * as Latin-1: T61String is that in practice, and so is what is wrongly put into the ASCII types. */
static uint32_t (*reader_of(uint8_t tag, uint32_t *width))(const uint8_t *, uint32_t, uint32_t *)
{
	*width = 1;
	switch (tag) {
	case 0x0c: return next_utf8;
	case 0x12: /* NumericString */
	case 0x13: /* PrintableString */
	case 0x14: /* T61String */
	case 0x16: /* IA5String */
	case 0x17: /* UTCTime and GeneralizedTime: odd in a name, but text */
	case 0x18:
	case 0x1a: return next_latin1; /* VisibleString */
	case 0x1c: *width = 4; return next_universal;
	case 0x1e: *width = 2; return next_bmp;
	}
	return NULL;
}

/* Characters that a terminal or a reader must not see raw: controls, line and paragraph separators, bidi and zero
 * width, tags, noncharacters. */
static bool
unsafe(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x61c ||
	       (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff || (cp >= 0xfff9 && cp <= 0xfffb) ||
	       (cp >= 0xfdd0 && cp <= 0xfdef) || (cp & 0xfffe) == 0xfffe ||
	       (cp >= 0xe0000 && cp <= 0xe007f);
}

static void
put_char(struct psi_x509_ctx *x, uint32_t cp, bool first, bool last)
{
	uint8_t raw[4];
	uint32_t n = utf8_put(cp, raw);

	if (unsafe(cp)) {
		put_hex(x, raw, n, "\\");
		return;
	}
	if ((cp < 0x80 && strchr("\"+,;<>\\", (int)cp)) || (first && (cp == ' ' || cp == '#')) ||
		(last && cp == ' '))
		put(x, "\\", 1);
	put(x, raw, n);
}

static void
put_text(struct psi_x509_ctx *x, const struct x_bytes *v,
	uint32_t (*next)(const uint8_t *, uint32_t, uint32_t *), uint32_t width)
{
	uint32_t at = 0;

	while (at < v->len && !x->rdn_cut) {
		uint32_t cp, n = next(v->p + at, v->len - at, &cp);

		if (n) {
			put_char(x, cp, at == 0, at + n == v->total);
		} else {
			n = PSI_MIN(width, v->len - at);
			put_hex(x, v->p + at, n, "\\");
		}
		at += n;
	}
}

void
x_name_begin(struct psi_x509_ctx *x)
{
	x->name_len = 0;
	x->rdn_len = 0;
	x->rdn_cut = false;
}

void
x_name_type(struct psi_x509_ctx *x, const struct x_bytes *oid)
{
	const char *name = x_oid_attr(oid->p, oid->len);

	x->attr_known = name != NULL;
	if (name)
		memcpy(x->attr, name, strlen(name) + 1);
	else
		x_oid_dots(oid->p, oid->len, x->attr, sizeof(x->attr));
}

/* v is the content; tag and header of the value are still in x->hdr. */
void
x_name_value(struct psi_x509_ctx *x, const struct x_bytes *v)
{
	uint32_t (*next)(const uint8_t *, uint32_t, uint32_t *);
	uint32_t width = 1;

	if (x->rdn_len)
		put(x, "+", 1);
	put(x, x->attr, strlen(x->attr));
	put(x, "=", 1);
	next = x->attr_known ? reader_of(x->tag, &width) : NULL;
	if (next && v->total % width == 0) {
		put_text(x, v, next, width);
	} else {
		put(x, "#", 1);
		put_hex(x, x->hdr, x->hdr_have, "");
		put_hex(x, v->p, v->len, "");
	}
	if (v->len < v->total)
		x->rdn_cut = true;
}

/* Bytes of the character or escape that p begins with. */
static uint32_t
token(const char *p)
{
	uint8_t c = (uint8_t)p[0];

	if (c == '\\')
		return p[1] && strchr(hex, p[1]) ? 3 : 2;
	return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* The string was cut anywhere: what is left of the last character or escape goes. */
static uint32_t
trim(char *name, uint32_t len)
{
	uint32_t at = 0;

	name[len] = 0;
	while (at < len && at + token(name + at) <= len)
		at += token(name + at);
	return at;
}

void
x_name_rdn(struct psi_x509_ctx *x, char *name)
{
	uint32_t front = PSI_MIN(x->rdn_len, (uint32_t)NAME_CAP);
	uint32_t sep = x->name_len && front && front < NAME_CAP ? 1 : 0;
	uint32_t keep = PSI_MIN(x->name_len, NAME_CAP - front - sep);
	bool cut = x->rdn_cut || front < x->rdn_len || keep < x->name_len;

	if (x->rdn_cut)
		sep = keep = 0; /* nothing may follow a value that has lost its end */
	memmove(name + front + sep, name, keep);
	memcpy(name, x->rdn, front);
	if (sep)
		name[front] = ',';
	x->name_len = front + sep + keep;
	if (cut) {
		x->out->note |= PSI_X509_NAME_CUT;
		x->name_len = trim(name, x->name_len);
	}
	name[x->name_len] = 0;
	x->rdn_len = 0;
	x->rdn_cut = false;
}
