/* SPDX-License-Identifier: BSD-3-Clause */
/* A text that trust_pem.c reads without libcrypto is read by libcrypto alike; of a certificate in it, the subject's key is
 * that of the name which libcrypto finds. */
#include "trust_pvt.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <stdlib.h>

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

static void
check_subject(const unsigned char *der, long len)
{
	const unsigned char *p = der, *name;
	X509 *x = d2i_X509(NULL, &p, len);
	uint64_t key, want;
	size_t n;

	if (!subject_key(der, (size_t)len, &key) || !x) {
		X509_free(x);
		return;
	}
	MUST(X509_NAME_get0_der(X509_get_subject_name(x), &name, &n) && name_key(name, n, &want));
	MUST(key == want);
	X509_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = p + size;
	unsigned char *der, *want;
	char *label, *header;
	BIO *in;
	long n, m;

	if (!size || memchr(data, 0, size))
		return 0; /* trust_ctl.c leaves that to libcrypto */
	der = malloc(size);
	in = BIO_new_mem_buf(data, (int)size);
	MUST(der && in);
	while ((n = pem_next(&p, end, der)) > 0) {
		MUST(PEM_read_bio(in, &label, &header, &want, &m) == 1);
		MUST(m == n && memcmp(der, want, (size_t)n) == 0 && !*header);
		check_subject(der, n);
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_free(want);
	}
	if (n == 0 && PEM_read_bio(in, &label, &header, &want, &m))
		abort();
	ERR_clear_error();
	BIO_free(in);
	free(der);
	return 0;
}
