/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates. The key of a leaf is a pin for the names that it has, those of CAs behind it are CA pins of the same set: a chain as
 * servers send it becomes one pinset, several leaves become several. */
#include "import_pvt.h"
#include "psi_x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#define CERTS_MAX 1024

struct pem {
	struct import *im;
	struct psi_x509_ctx *reader;
	struct psi_x509 cert;
	struct import_set *set; /* of the leaf before */
	uint32_t cnt;
};

static void
add_names(struct pem *m, struct import_set *s)
{
	enum psi_x509_san kind;
	const uint8_t *p;
	uint32_t at = 0, len;

	if (m->im->in->host) {
		set_host(m->im, s, 0, 0, "", m->im->in->host);
		return;
	}
	while (psi_x509_san_next(&m->cert, &at, &kind, &p, &len) && !m->im->rc) {
		char name[512];
		bool star = len > 2 && p[0] == '*' && p[1] == '.';

		if (kind != PSI_SAN_DNS || len >= sizeof(name) || memchr(p, 0, len))
			continue;
		memcpy(name, p + 2 * star, len - 2 * star);
		name[len - 2 * star] = 0;
		if (host_is_name(name))
			import_note(m->im, s, 0,
				"the name '%.100s' of the certificate is left out: it %s", name,
				host_is_name(name));
		else
			set_host(m->im, s, 0, 0, star ? "*." : "", name);
	}
}

/* A new set for a leaf, or for CAs that no leaf precedes. */
static struct import_set *
begin_set(struct pem *m)
{
	m->set = set_add(m->im);
	if (!m->set)
		return NULL;
	if (m->cert.note & PSI_X509_CA && !m->im->in->host)
		import_fail(m->im, 0, 0,
			"certificate %u is that of a CA and names no host (%.100s): say whose pin it is with --host",
			m->cnt, m->cert.subject);
	else
		add_names(m, m->set);
	if (!m->im->rc && !m->set->host_cnt)
		import_fail(m->im, 0, 0,
			"certificate %u names no host (%.100s): say whose pin it is with --host",
			m->cnt, m->cert.subject);
	return m->im->rc ? NULL : m->set;
}

static void
add_cert(struct pem *m, const uint8_t *der, size_t len)
{
	static const uint8_t unread[32];
	bool ca;

	if (++m->cnt > CERTS_MAX || len > UINT32_MAX) {
		import_fail(m->im, 0, 0, "more than %d certificates", CERTS_MAX);
		return;
	}
	psi_x509_begin(m->reader, &m->cert);
	psi_x509_push(m->reader, der, (uint32_t)len);
	if (psi_x509_end(m->reader) != PSI_OK || memcmp(m->cert.spki_sha256, unread, 32) == 0) {
		import_fail(m->im, 0, 0, "certificate %u cannot be read: %s", m->cnt,
			psi_rc_text(m->cert.err));
		return;
	}
	ca = m->cert.note & PSI_X509_CA;
	if ((!ca || !m->set) && !begin_set(m))
		return;
	set_hash(m->im, m->set, 0, ca ? PIN_CA : PIN_SPKI, m->cert.spki_sha256);
}

/* Returns how many PEM blocks there were, certificates or not. */
static uint32_t
read_pem(struct pem *m)
{
	BIO *in = BIO_new_mem_buf(m->im->in->p, (int)m->im->in->len);
	char *label, *header;
	unsigned char *der;
	uint32_t blocks = 0;
	long len;

	if (!in) {
		import_no_memory(m->im);
		return 0;
	}
	while (!m->im->rc && PEM_read_bio(in, &label, &header, &der, &len)) {
		blocks++;
		if (strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0)
			add_cert(m, der, (size_t)len);
		else
			import_note(m->im, NULL, 0,
				"a %.60s is left out: only certificates are read", label);
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	if (!m->im->rc && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		import_fail(m->im, 0, 0, "block %u is not well-formed PEM", blocks + 1);
	BIO_free(in);
	ERR_clear_error();
	return blocks;
}

void
import_pem(struct import *im)
{
	struct pem m = {.im = im, .reader = psi_x509_open()};

	ERR_clear_error();
	if (!m.reader)
		import_no_memory(im);
	else if (im->in->len && im->in->p[0] == 0x30)
		add_cert(&m, im->in->p, im->in->len);
	else if (!read_pem(&m))
		import_fail(im, 0, 0, "holds no certificate: expected PEM or DER");
	psi_x509_close(m.reader);
}
