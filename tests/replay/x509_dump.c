/* SPDX-License-Identifier: BSD-3-Clause */
/* x509_dump: reads certificates (DER files, or with -l files that hold many, each behind its length in 4 bytes, big
 * endian) and prints what psi_x509 makes of each as one JSON object a line. x509_diff.py holds that against other
 * readers. With -s N the bytes are pushed N at a time. */
#include "psi_x509.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void
put_hex(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", p[i]);
}

static void
hex(const char *key, const uint8_t *p, size_t len)
{
	printf(",\"%s\":\"", key);
	put_hex(p, len);
	putchar('"');
}

/* Our strings promise to be free of control characters: only quote and backslash mean something to JSON. */
static void
text(const char *key, const char *s)
{
	printf(",\"%s\":\"", key);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar(*s);
	}
	putchar('"');
}

static void
sans(const struct psi_x509 *c)
{
	enum psi_x509_san kind;
	const uint8_t *p;
	uint32_t at = 0, len;
	const char *sep = "";

	printf(",\"san_cnt\":%u,\"san\":[", c->san_cnt);
	for (; psi_x509_san_next(c, &at, &kind, &p, &len); sep = ",") {
		printf("%s[%d,\"", sep, (int)kind);
		put_hex(p, len);
		printf("\"]");
	}
	putchar(']');
}

static void
print(const struct psi_x509 *c)
{
	char key[48];

	printf("{\"len\":%u,\"err\":\"%s\",\"note\":%u,\"version\":%u", c->len, psi_rc_name(c->err),
		c->note, c->version);
	printf(",\"key_type\":%u,\"key_bits\":%u,\"key_usage\":%u,\"eku\":%u", c->key_type,
		c->key_bits, c->key_usage, c->eku);
	printf(",\"sct_cnt\":%u,\"pathlen\":%u", c->sct_cnt, c->pathlen);
	printf(",\"not_before\":%" PRId64 ",\"not_after\":%" PRId64, c->not_before, c->not_after);
	text("key", psi_x509_key_name(c, key, sizeof(key)));
	text("curve", c->curve);
	text("sigalg", c->sigalg);
	text("subject", c->subject);
	text("issuer", c->issuer);
	hex("serial", c->serial, c->serial_len);
	hex("ski", c->ski, c->ski_len);
	hex("aki", c->aki, c->aki_len);
	hex("sha1", c->sha1, sizeof(c->sha1));
	hex("sha256", c->sha256, sizeof(c->sha256));
	hex("spki_sha256", c->spki_sha256, sizeof(c->spki_sha256));
	sans(c);
	puts("}");
}

static void
dump(struct psi_x509_ctx *x, const uint8_t *p, uint32_t len, uint32_t step)
{
	struct psi_x509 out;

	psi_x509_begin(x, &out);
	for (uint32_t at = 0; at < len; at += PSI_MIN(step, len - at))
		psi_x509_push(x, p + at, PSI_MIN(step, len - at));
	psi_x509_end(x);
	print(&out);
}

/* Each certificate from a heap copy of its exact size, so that a sanitizer sees any read beyond. */
static bool
dump_list(struct psi_x509_ctx *x, const uint8_t *p, size_t len, uint32_t step)
{
	while (len >= 4) {
		uint32_t n =
			(uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
		uint8_t *one;

		if (n > len - 4 || !(one = malloc(n + !n)))
			return false;
		memcpy(one, p + 4, n);
		dump(x, one, n, step);
		free(one);
		p += 4 + n;
		len -= 4 + n;
	}
	return len == 0;
}

static bool
dump_file(struct psi_x509_ctx *x, const char *path, bool list, uint32_t step)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p = NULL;
	bool ok = false;
	long len = -1;

	if (f && fseek(f, 0, SEEK_END) == 0 && (len = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0)
		p = malloc((size_t)len + !len);
	if (p && fread(p, 1, (size_t)len, f) == (size_t)len) {
		ok = true;
		if (list)
			ok = dump_list(x, p, (size_t)len, step);
		else
			dump(x, p, (uint32_t)len, step);
	}
	if (!ok)
		fprintf(stderr, "x509_dump: cannot read %s\n", path);
	free(p);
	if (f)
		fclose(f);
	return ok;
}

int
main(int argc, char **argv)
{
	struct psi_x509_ctx *x = psi_x509_open();
	uint32_t step = UINT32_MAX;
	bool list = false, ok = x != NULL;
	int opt;

	while ((opt = getopt(argc, argv, "ls:")) != -1) {
		if (opt == 'l')
			list = true;
		else if (opt == 's' && atoi(optarg) > 0)
			step = (uint32_t)atoi(optarg);
		else
			ok = false;
	}
	for (int i = optind; ok && i < argc; i++)
		ok = dump_file(x, argv[i], list, step);
	psi_x509_close(x);
	return ok ? 0 : 2;
}
