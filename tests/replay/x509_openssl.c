/* SPDX-License-Identifier: BSD-3-Clause */
/* x509_openssl: the other reader of x509_diff.py, without a process a certificate. Reads a file of certificates, each
 * behind its length in 4 bytes, big endian, and writes for each, behind its length likewise, what
 * `openssl x509 -serial -fingerprint -text -nameopt RFC2253,-esc_msb,utf8` would; nothing if libcrypto refuses it. */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
print(BIO *out, X509 *x)
{
	BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	char *digits = serial ? BN_bn2hex(serial) : NULL;
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	int ok = digits && X509_digest(x, EVP_sha1(), md, &n);

	BIO_printf(out, "serial=%s\nsha1=", ok ? digits : "");
	for (unsigned int i = 0; i < n; i++)
		BIO_printf(out, "%02x", md[i]);
	BIO_puts(out, "\n");
	BN_free(serial);
	OPENSSL_free(digits);
	return ok &&
	       X509_print_ex(out, x, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB, 0);
}

static void
one(const unsigned char *p, long len)
{
	BIO *out = BIO_new(BIO_s_mem());
	X509 *x = d2i_X509(NULL, &p, len);
	char *text;
	long n = 0;

	if (x && print(out, x))
		n = BIO_get_mem_data(out, &text);
	putchar((int)(n >> 24 & 255));
	putchar((int)(n >> 16 & 255));
	putchar((int)(n >> 8 & 255));
	putchar((int)(n & 255));
	if (n)
		fwrite(text, 1, (size_t)n, stdout);
	X509_free(x);
	BIO_free(out);
}

int
main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
	unsigned char head[4];

	if (!f)
		return 2;
	while (fread(head, 1, 4, f) == 4) {
		uint32_t len = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 |
			       (uint32_t)head[2] << 8 | head[3];
		unsigned char *p = len < 1 << 28 ? malloc(len + !len) : NULL;

		if (!p || fread(p, 1, len, f) != len)
			return 2;
		one(p, (long)len);
		free(p);
	}
	fclose(f);
	return 0;
}
