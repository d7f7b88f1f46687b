/* SPDX-License-Identifier: BSD-3-Clause */
/* Hashes and host names as people write them. */
#include "pins_pvt.h"

static int
b64_value(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'	      ? 62
	       : c == '/'	      ? 63
				      : -1;
}

static int
hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

bool
hash_is_sha1(const char *t)
{
	return strncmp(t, "sha1/", 5) == 0 && strlen(t) != PSI_PINS_B64_LEN;
}

/* 43 characters and "=". The two bits of the last one that stand for nothing may be anything. */
static const char *
parse_b64(const char *t, uint8_t out[32])
{
	uint32_t acc = 0, have = 0, n = 0;
	size_t len = strlen(t);

	if (hash_is_sha1(t))
		return "is a SHA-1 pin; only SHA-256 is supported";
	if (len != PSI_PINS_B64_LEN && strncmp(t, "sha256/", 7) == 0) {
		t += 7;
		len -= 7;
	}
	if (len == PSI_PINS_B64_LEN + 1 && t[0] == '/') { /* curl: "sha256//" */
		t++;
		len--;
	}
	if (len != PSI_PINS_B64_LEN || t[PSI_PINS_B64_LEN - 1] != '=')
		return "is not the base64 of 32 bytes: 44 characters, the last one '='";
	for (uint32_t i = 0; i < PSI_PINS_B64_LEN - 1; i++) {
		int v = b64_value(t[i]);

		if (v < 0)
			return "is not base64: only letters, digits, '+' and '/' are, and '=' at the end";
		acc = acc << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(acc >> have);
		}
	}
	return NULL;
}

static const char *
parse_hex(const char *t, uint8_t out[32])
{
	for (uint32_t i = 0; i < 32; i++) {
		int hi = hex_value(t[0]), lo = hi < 0 ? -1 : hex_value(t[1]);

		if (lo < 0)
			return "is not a SHA-256 in hexadecimal: 64 digits, with or without colons between bytes";
		out[i] = (uint8_t)(hi << 4 | lo);
		t += 2;
		if (*t == ':' && i < 31)
			t++;
	}
	return *t ? "is longer than a SHA-256 in hexadecimal: 64 digits, with or without colons between bytes"
		  : NULL;
}

const char *
psi_pins_parse_hash(const char *text, bool hex, uint8_t out[32])
{
	return hex ? parse_hex(text, out) : parse_b64(text, out);
}

const char *
psi_pins_b64(const uint8_t hash[32], char *out)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *o = out;

	for (uint32_t i = 0; i < 30; i += 3) {
		uint32_t v = (uint32_t)hash[i] << 16 | (uint32_t)hash[i + 1] << 8 | hash[i + 2];

		*o++ = digit[v >> 18];
		*o++ = digit[v >> 12 & 63];
		*o++ = digit[v >> 6 & 63];
		*o++ = digit[v & 63];
	}
	*o++ = digit[hash[30] >> 2];
	*o++ = digit[(hash[30] & 3) << 4 | hash[31] >> 4];
	*o++ = digit[(hash[31] & 15) << 2];
	*o++ = '=';
	*o = 0;
	return out;
}

/* ---- host names ---- */

uint32_t
host_fold(const uint8_t *p, uint32_t len, char *out)
{
	if (len && p[len - 1] == '.')
		len--;
	if (len > PSI_PINS_HOST_MAX)
		return 0;
	for (uint32_t i = 0; i < len; i++)
		out[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] + 32 : p[i]);
	out[len] = 0;
	return len;
}

/* FNV-1a over the kind and the name. */
uint32_t
host_hash(const char *name, uint32_t len, enum host_kind kind)
{
	uint32_t h = (2166136261u ^ (uint32_t)kind) * 16777619u;

	for (uint32_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h ^ h >> 15;
}

static bool
is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

const char *
host_is_name(const char *t)
{
	size_t len = strlen(t), label = 0;

	if (len && t[len - 1] == '.')
		len--;
	if (!len)
		return "is empty: expected a host name such as a.example";
	if (len > 253)
		return "is longer than a host name can be: 253 characters";
	for (size_t i = 0; i < len; i++) {
		if (t[i] == '*')
			return "has a '*' that is no whole first label: expected *.a.example, **.a.example or "
			       "/regular expression/";
		if ((uint8_t)t[i] >= 0x80)
			return "has letters beyond ASCII: write the name as it stands in TLS, as xn--...";
		if (t[i] == '.' ? label == 0 : !is_label_char(t[i]))
			return "is not a host name: expected a.example, *.a.example, **.a.example or /regular "
			       "expression/";
		label = t[i] == '.' ? 0 : label + 1;
		if (label > 63)
			return "has a label of more than 63 characters";
	}
	return NULL;
}

const char *
psi_pins_check_host(const char *t)
{
	size_t len = strlen(t);

	if (t[0] == '/') {
		if (len < 3 ||
			(t[len - 1] != '/' && !(len > 3 && t[len - 1] == 'i' && t[len - 2] == '/')))
			return "is not a regular expression between slashes: expected /.../";
		/* (*UTF8) would have Hyperscan trust hosts, which are hostile bytes, to be UTF-8. */
		if (t[1] == '(' && t[2] == '*')
			return "begins with (*...), which is not taken: host names are ASCII";
		return NULL;
	}
	if (strncmp(t, "**.", 3) == 0)
		t += 3;
	else if (strncmp(t, "*.", 2) == 0)
		t += 2;
	return host_is_name(t);
}
