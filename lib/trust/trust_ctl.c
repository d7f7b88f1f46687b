/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading. A folder is read whole, file by file: what libcrypto offers for folders looks for files at verification time,
 * by name hash. Files that hold nothing of the kind are passed over in a folder, and an error by themselves. */
#include "trust_pvt.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define SEEN_MAX 4096	   /* a power of 2 */
#define FILE_MAX (4 << 20) /* a file of more bytes is left to libcrypto */

/* What is being loaded. A folder like the system's has most things three times: by name, by hash, in one large file;
 * decoding one costs libcrypto 0.35 ms, so each is decoded once. The store itself would drop doubles, too late. */
struct loader {
	struct psi_trust *t;
	uint64_t seen[SEEN_MAX]; /* open addressing; 0 is free */
	uint32_t seen_cnt;
	bool may_wait; /* roots need not be decoded now */
	char *text;    /* of a file, twice text_cap bytes */
	size_t text_cap;
};

/* The number added, or -1 when the file cannot be opened. */
typedef int load_fn(struct loader *l, const char *path);

/* True the first time. Beyond the bound everything is new. The hash is no secret: whoever may write roots into the folder
 * is trusted. */
static bool
is_new(struct loader *l, const void *der, size_t len)
{
	uint64_t id = XXH3_64bits(der, len) | 1;
	uint32_t i;

	if (l->seen_cnt > SEEN_MAX / 4 * 3)
		return true;
	for (i = id % SEEN_MAX; l->seen[i]; i = (i + 1) % SEEN_MAX)
		if (l->seen[i] == id)
			return false;
	l->seen[i] = id;
	l->seen_cnt++;
	return true;
}

/* TRUSTED CERTIFICATE is openssl's form that says what a root is good for. */
static X509 *
decode(const char *label, const unsigned char *der, long len)
{
	if (strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0)
		return d2i_X509(NULL, &der, len);
	return strcmp(label, PEM_STRING_X509_TRUSTED) == 0 ? d2i_X509_AUX(NULL, &der, len) : NULL;
}

/* Keeps a root for later: der is taken over. False when it has to be decoded now. */
static bool
wait(struct psi_trust *t, unsigned char *der, long len)
{
	struct anchor *more;
	uint64_t key;

	if (!subject_key(der, (size_t)len, &key))
		return false;
	if (t->anchor_cnt % 64 == 0) {
		more = realloc(t->anchor, (t->anchor_cnt + 64) * sizeof(*more));
		if (!more)
			return false;
		t->anchor = more;
	}
	t->anchor[t->anchor_cnt++] = (struct anchor){key, der, len};
	return true;
}

/* The same of bytes that stay the caller's; decodes them now if it must. Returns how many roots it was: 1 or 0. */
static int
keep(struct psi_trust *t, const unsigned char *der, long len)
{
	unsigned char *mine = OPENSSL_memdup(der, (size_t)len);
	int n = mine && wait(t, mine, len);
	X509 *x;

	if (n)
		return n;
	OPENSSL_free(mine);
	x = d2i_X509(NULL, &der, len);
	n = x ? X509_STORE_add_cert(t->store, x) : 0;
	X509_free(x);
	return n;
}

static void
want(struct psi_trust *t, const X509_NAME *name, unsigned int depth)
{
	const unsigned char *der;
	uint64_t key = 0;
	size_t len;
	bool known = X509_NAME_get0_der(name, &der, &len) && name_key(der, len, &key);

	for (uint32_t i = 0; i < t->anchor_cnt; i++) {
		struct anchor *a = &t->anchor[i];
		const unsigned char *p = a->der;
		X509 *x;

		if (!p || (known && a->subject != key)) /* a name in BER may be anyone's */
			continue;
		x = d2i_X509(NULL, &p, a->len);
		OPENSSL_free(a->der);
		a->der = NULL;
		if (x && X509_STORE_add_cert(t->store, x) && depth)
			want(t, X509_get_issuer_name(x), depth - 1);
		X509_free(x);
	}
}

void
want_roots(struct psi_trust *t, const X509 *x)
{
	if (!t->anchor_cnt)
		return;
	want(t, X509_get_subject_name(x), PSI_TRUST_CHAIN_MAX);
	want(t, X509_get_issuer_name(x), PSI_TRUST_CHAIN_MAX);
}

/* The bytes of a file, in memory that l keeps, with room for as many behind them; -1 when it is not to be had. */
static ssize_t
read_file(struct loader *l, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;
	struct stat st;
	char *more;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_size < FILE_MAX) {
		if ((size_t)st.st_size > l->text_cap &&
			(more = realloc(l->text, 2 * (size_t)st.st_size))) {
			l->text = more;
			l->text_cap = (size_t)st.st_size;
		}
		if ((size_t)st.st_size <= l->text_cap)
			n = read(fd, l->text, (size_t)st.st_size);
	}
	close(fd);
	return n;
}

/* Roots that are to wait, from a file as programs write it; n: how many were added. False: what else is in it is libcrypto's
 * to read, to which those are not new any more. */
static bool
load_waiting(struct loader *l, const char *path, int *n)
{
	ssize_t size = read_file(l, path);
	const char *p = l->text, *end;
	unsigned char *der;
	long len;

	if (size <= 0 || memchr(p, 0, (size_t)size))
		return false;
	end = p + size;
	der = (unsigned char *)l->text + l->text_cap;
	while ((len = pem_next(&p, end, der)) > 0)
		*n += is_new(l, der, (size_t)len) ? keep(l->t, der, len) : 0;
	return len == 0;
}

static int
load_roots(struct loader *l, const char *path)
{
	unsigned char *der;
	char *label, *header;
	BIO *in;
	int n = 0;
	long len;

	if (l->may_wait && load_waiting(l, path, &n))
		return n;
	in = BIO_new_file(path, "r");
	if (!in)
		return -1;
	while (PEM_read_bio(in, &label, &header, &der, &len)) {
		bool fresh = is_new(l, der, (size_t)len);
		X509 *x = NULL;

		if (fresh && l->may_wait && strcmp(label, PEM_STRING_X509) == 0 &&
			wait(l->t, der, len)) {
			der = NULL;
			n++;
		} else {
			x = fresh ? decode(label, der, len) : NULL;
			n += x ? X509_STORE_add_cert(l->t->store, x) : 0;
		}
		X509_free(x);
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	BIO_free(in);
	return n;
}

static int
load_crls(struct loader *l, const char *path)
{
	BIO *in = BIO_new_file(path, "r");
	X509_CRL *crl;
	int n = 0;

	if (!in)
		return -1;
	while ((crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL))) {
		n += X509_STORE_add_crl(l->t->store, crl);
		X509_CRL_free(crl);
	}
	if (!n && BIO_seek(in, 0) == 0 && (crl = d2i_X509_CRL_bio(in, NULL))) {
		n += X509_STORE_add_crl(l->t->store, crl);
		X509_CRL_free(crl);
	}
	BIO_free(in);
	return n;
}

static int
load_folder(struct loader *l, const char *path, load_fn *load)
{
	DIR *d = opendir(path);
	char sub[4096];
	struct dirent *e;
	int sum = 0;

	if (!d)
		return -1;
	while ((e = readdir(d))) {
		struct stat st;
		uint64_t file[2];
		int n;

		if (e->d_name[0] == '.' ||
			snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name) >= (int)sizeof(sub))
			continue;
		if (stat(sub, &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		/* links to one file, by its name and by its subject's hash, need be read once */
		file[0] = st.st_dev;
		file[1] = st.st_ino;
		if (is_new(l, file, sizeof(file)) && (n = load(l, sub)) > 0)
			sum += n;
	}
	closedir(d);
	return sum;
}

static int
load(struct psi_trust *t, const char *path, load_fn *fn, const char *what, struct psi_err *err)
{
	struct loader *l = calloc(1, sizeof(*l));
	struct stat st;
	int n, why;

	if (!l)
		return psi_err_set(err, -ENOMEM, "%s: out of memory", path);
	l->t = t;
	/* A file is named by the operator: what cannot be decoded is an error now. CRLs may be of issuers that no chain names. */
	l->may_wait =
		fn == load_roots && !t->has_crls && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	n = stat(path, &st) != 0  ? -1
	    : S_ISDIR(st.st_mode) ? load_folder(l, path, fn)
				  : fn(l, path);
	why = errno;
	free(l->text);
	free(l);
	if (n < 0)
		return psi_err_set(err, -why, "%s: cannot be opened: %s", path, strerror(why));
	if (n == 0)
		return psi_err_set(err, -EINVAL, "%s: holds no %s", path, what);
	return 0;
}

/* A folder has many things twice, under names of their own and of their hash: what counts is what the store holds. */
static void
count_loaded(struct psi_trust *t)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(t->store);

	t->roots = t->anchor_cnt; /* none of them is in the store yet */
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509_LOOKUP_TYPE type = X509_OBJECT_get_type(sk_X509_OBJECT_value(all, i));

		t->roots += type == X509_LU_X509;
		t->crls += type == X509_LU_CRL;
	}
}

static int
load_all(struct psi_trust *t, const struct psi_trust_config *cfg, struct psi_err *err)
{
	const char *roots = cfg->roots ? cfg->roots : PSI_TRUST_SYSTEM_ROOTS;
	int rc = roots[0] ? load(t, roots, load_roots, "certificate in PEM", err) : 0;

	if (rc)
		return psi_err_wrap(err, rc, "trusted roots");
	if (cfg->crls && (rc = load(t, cfg->crls, load_crls, "CRL", err)))
		return psi_err_wrap(err, rc, "revocation lists");
	count_loaded(t);
	return 0;
}

static bool
make(struct psi_trust *t, const struct psi_trust_config *cfg)
{
	uint32_t buckets = 1;

	while (buckets < cfg->cache_max && buckets < 1u << 30)
		buckets *= 2;
	t->max = PSI_MAX(cfg->cache_max, 1u);
	t->ttl_s = cfg->ttl_s;
	t->checks_max = cfg->checks_max;
	t->has_crls = cfg->crls;
	t->second = INT64_MIN;
	t->bucket_mask = buckets - 1;
	t->newest = t->oldest = NONE;
	t->store = X509_STORE_new();
	t->reader = psi_x509_open();
	t->kinds = kinds_open();
	t->entry = calloc(t->max, sizeof(*t->entry));
	t->bucket = malloc(buckets * sizeof(*t->bucket));
	if (t->bucket)
		memset(t->bucket, 0xff, buckets * sizeof(*t->bucket));
	return t->store && t->reader && t->kinds && t->entry && t->bucket;
}

struct psi_trust *
psi_trust_open(const struct psi_trust_config *cfg, struct psi_err *err)
{
	struct psi_trust *t = calloc(1, sizeof(*t));

	if (!t || !make(t, cfg)) {
		psi_err_set(err, -ENOMEM, "certificate checks: out of memory for %u chains",
			cfg->cache_max);
		psi_trust_close(t);
		return NULL;
	}
	if (load_all(t, cfg, err)) {
		psi_trust_close(t);
		t = NULL;
	}
	ERR_clear_error();
	return t;
}

void
psi_trust_close(struct psi_trust *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->used; i++)
		free(t->entry[i].v.names);
	for (uint32_t i = 0; i < t->anchor_cnt; i++)
		OPENSSL_free(t->anchor[i].der);
	free(t->anchor);
	free(t->entry);
	free(t->bucket);
	kinds_close(t->kinds);
	psi_x509_close(t->reader);
	X509_STORE_free(t->store);
	free(t);
}
