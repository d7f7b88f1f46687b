/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight pins: what hosts are known to show: brought in from applications, shown, tried, and what the engine has learnt. */
#include "pinsight.h"

#include "psi_config.h"
#include "psi_export.h"
#include "psi_pins.h"
#include "psi_pins_import.h"
#include "psi_pins_store.h"
#include "psi_trust.h"
#include "psi_x509.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONFIG_PATH "/etc/pinsight/pinsight.yaml"
#define CHAIN_MAX   32

struct pins {
	const char *config, *store, *host, *prefix;
	enum psi_pins_format format;
	int argc;
	char **argv; /* behind the options */
};

static const char help[] =
	"usage: pinsight pins import [--format=F] [--host=HOST] [--name=PREFIX] FILE...\n"
	"       pinsight pins show [--config=FILE]\n"
	"       pinsight pins test [--config=FILE] HOST CHAIN.pem\n"
	"       pinsight pins learned [--config=FILE | --store=FILE]\n"
	"       pinsight pins forget [--config=FILE | --store=FILE] HOST\n"
	"\n"
	"import   reads what applications carry and prints the `pins:` section of a configuration: Android's\n"
	"         network security configuration, iOS Info.plist (NSPinnedDomains, TrustKit), Java or Kotlin\n"
	"         source with OkHttp's CertificatePinner, pin-sha256 lines, electron-ssl-pinning JSON, and\n"
	"         certificates. What cannot be taken over is told on standard error; - is standard input\n"
	"show     the pinsets of a configuration: hosts, pins, until when\n"
	"test     what the pinset for HOST says of a chain, leaf first; prints its hashes as curl's\n"
	"         --pinnedpubkey takes them\n"
	"learned  the keys that hosts have shown (trust on first use)\n"
	"forget   makes a host's next key its first, also while an engine runs\n"
	"\n"
	"  --config=FILE  the configuration (default: " CONFIG_PATH ")\n"
	"  --store=FILE   the file of learnt keys (default: pins_learn.store of the configuration)\n"
	"  --format=F     android, ios, okhttp, hpkp, electron or pem; told by content unless given\n"
	"  --host=HOST    whose pins these are, where a file does not say\n"
	"  --name=PREFIX  goes before the names of the sets, to tell applications apart\n"
	"  -h, --help     this text\n"
	"\n"
	"Exit status: 0 done (test: the chain matches); 1 a file cannot be read or is at fault (test: it does\n"
	"not match); 2 called wrongly.\n"
	"\n"
	"Examples:\n"
	"  pinsight pins import --name=bank/ res/xml/network_security_config.xml >> pinsets.yaml\n"
	"  openssl s_client -connect a.example:443 -showcerts </dev/null >chain.pem\n"
	"  pinsight pins test a.example chain.pem\n";

static int
trouble(const struct psi_err *err)
{
	fprintf(stderr, "pinsight pins: %s\n", err->text);
	return EXIT_TROUBLE;
}

/* ---- reading files ---- */

/* All of a file, one byte more than max at most. NULL with the reason in err. */
static uint8_t *
slurp(const char *path, size_t max, size_t *len, struct psi_err *err)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	size_t cap = 65536;
	uint8_t *p = NULL, *n;

	*len = 0;
	while (f && (n = realloc(p, cap))) {
		p = n;
		*len += fread(p + *len, 1, cap - *len, f);
		if (*len < cap || *len > max)
			break;
		cap = PSI_MIN(cap * 2, max + 1);
	}
	if (!f || ferror(f) || !p) {
		psi_err_set(err, -EINVAL, "%s: cannot be read: %s", path,
			strerror(errno ? errno : EIO));
		free(p);
		p = NULL;
	}
	if (f && f != stdin)
		fclose(f);
	return p;
}

static struct psi_config *
open_config(const struct pins *o, struct psi_err *err)
{
	return psi_config_open(o->config ? o->config : CONFIG_PATH, NULL, 0, err);
}

/* The pins of a configuration, which stays open beside them. */
static struct psi_pins *
open_pins(const struct psi_config *cfg, struct psi_err *err)
{
	struct psi_pins_config pc = {.file = cfg->path,
		.set = cfg->pins,
		.set_cnt = cfg->pins_cnt,
		.own_ca = cfg->interception.ca};

	return psi_pins_open(&pc, err);
}

/* ---- import ---- */

static void
on_note(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "pinsight pins: %s\n", text);
}

static int
import_file(struct psi_pins_list *l, const struct pins *o, const char *path)
{
	struct psi_err err = {""};
	struct psi_pins_import in = {.file = strcmp(path, "-") == 0 ? "standard input" : path,
		.format = o->format,
		.host = o->host,
		.note = on_note};
	uint8_t *p = slurp(path, PSI_PINS_IMPORT_MAX, &in.len, &err);
	int n = -1;

	in.p = p;
	if (p)
		n = psi_pins_import(l, &in, &err);
	free(p);
	return n < 0 ? trouble(&err) : EXIT_DONE;
}

static int
run_import(struct pins *o)
{
	struct psi_pins_list *l;
	int rc = EXIT_DONE, good = 0;

	if (!o->argc)
		return usage_error("pins", "import: name at least one file");
	l = psi_pins_list_open();
	for (int i = 0; l && i < o->argc; i++) {
		int one = import_file(l, o, o->argv[i]);

		rc |= one;
		good += one == EXIT_DONE;
	}
	if (!l ||
		(good && (psi_pins_list_write(l, o->prefix, stdout) != 0 || fflush(stdout) != 0))) {
		fprintf(stderr, "pinsight pins: cannot write to standard output: %s\n",
			strerror(errno));
		rc = EXIT_TROUBLE;
	}
	psi_pins_list_close(l);
	return rc;
}

/* ---- show ---- */

static void
day_of(int64_t s, char out[16])
{
	time_t t = (time_t)s;
	struct tm tm;

	if (s == PSI_CONFIG_NEVER || !gmtime_r(&t, &tm) || !strftime(out, 16, "%Y-%m-%d", &tm))
		strcpy(out, "never");
}

static void
put_count(char *out, size_t cap, uint32_t cnt, const char *one, const char *many)
{
	size_t len = strlen(out);

	if (cnt)
		snprintf(out + len, cap - len, "%s%u %s", len ? ", " : "", cnt,
			cnt == 1 ? one : many);
}

static void
show_set(const struct psi_config_pinset *s, int name_width, time_t now)
{
	static const char *const action[] = {"report", "exempt", "ignore", "unpinned"};
	char pins[128] = "", day[16];

	put_count(pins, sizeof(pins), s->spki_sha256.cnt, "key", "keys");
	put_count(pins, sizeof(pins), s->cert_sha256.cnt, "certificate", "certificates");
	put_count(pins, sizeof(pins), s->ca_spki_sha256.cnt, "CA", "CAs");
	put_count(pins, sizeof(pins), s->backup_spki_sha256.cnt, "backup", "backups");
	day_of(s->expires_s, day);
	printf("%-*s  %-24s  %-19s %-8s  ", name_width, s->name, pins[0] ? pins : "none", day,
		action[s->action]);
	for (uint32_t i = 0; i < s->hosts.cnt; i++)
		printf("%s%s", i ? " " : "", s->hosts.v[i]);
	printf("%s\n", s->expires_s <= now ? "  (expired)" : "");
}

/* Exact names that another set has, too, or had first. */
static void
show_shadowed(const struct psi_config *cfg, struct psi_pins *p)
{
	for (uint32_t i = 0; i < cfg->pins_cnt; i++) {
		const struct psi_config_strs *h = &cfg->pins[i].hosts;

		for (uint32_t k = 0; k < h->cnt; k++) {
			uint32_t set;

			if (h->v[k][0] == '*' || h->v[k][0] == '/')
				continue;
			set = psi_pins_find(p, (const uint8_t *)h->v[k], (uint32_t)strlen(h->v[k]));
			if (set != i && set < cfg->pins_cnt)
				fprintf(stderr,
					"pinsight pins: %s:%u: %s of '%s' belongs to '%s', which comes first\n",
					cfg->path, h->at[k].line, h->v[k], cfg->pins[i].name,
					cfg->pins[set].name);
		}
	}
}

static int
run_show(struct pins *o)
{
	struct psi_err err = {""};
	struct psi_config *cfg = o->argc ? NULL : open_config(o, &err);
	struct psi_pins *p = cfg ? open_pins(cfg, &err) : NULL;
	int width = 4;

	if (o->argc)
		return usage_error("pins", "show takes no '%s'", o->argv[0]);
	for (uint32_t i = 0; p && i < cfg->pins_cnt; i++)
		width = PSI_MAX(width, (int)PSI_MIN(strlen(cfg->pins[i].name), 48u));
	if (p && cfg->pins_cnt)
		printf("%-*s  %-24s  %-19s %-8s  %s\n", width, "NAME", "PINS", "EXPIRES", "ACTION",
			"HOSTS");
	for (uint32_t i = 0; p && i < cfg->pins_cnt; i++)
		show_set(&cfg->pins[i], width, time(NULL));
	if (p) {
		printf("%u pinsets, %u inspection CAs of your own in %s\n", cfg->pins_cnt,
			psi_pins_own_ca_cnt(p), cfg->path);
		show_shadowed(cfg, p);
	}
	psi_pins_close(p);
	psi_config_close(cfg);
	return p ? EXIT_DONE : trouble(&err);
}

/* ---- test ---- */

struct chain {
	struct psi_x509_ctx *reader;
	struct psi_x509 x509[CHAIN_MAX];
	struct psi_pins_cert cert[CHAIN_MAX];
	struct psi_pins_der der[CHAIN_MAX];
	unsigned char *mem[CHAIN_MAX];
	uint32_t cnt;
};

static int
add_cert(struct chain *c, unsigned char *der, size_t len, const char *path, struct psi_err *err)
{
	struct psi_x509 *x = &c->x509[c->cnt];

	psi_x509_begin(c->reader, x);
	psi_x509_push(c->reader, der, (uint32_t)len);
	if (psi_x509_end(c->reader) != PSI_OK)
		return psi_err_set(err, -EINVAL, "%s: certificate %u cannot be read: %s", path,
			c->cnt + 1, psi_rc_text(x->err));
	memcpy(c->cert[c->cnt].spki_sha256, x->spki_sha256, 32);
	memcpy(c->cert[c->cnt].sha256, x->sha256, 32);
	c->der[c->cnt] = (struct psi_pins_der){der, (uint32_t)len};
	c->mem[c->cnt++] = der;
	return 0;
}

/* Certificates in PEM, whatever text is between them, as openssl s_client -showcerts prints them. */
static int
read_chain(struct chain *c, const char *path, struct psi_err *err)
{
	size_t len = 0;
	uint8_t *p = slurp(path, 4u << 20, &len, err);
	BIO *in = p ? BIO_new_mem_buf(p, (int)len) : NULL;
	char *label, *header;
	unsigned char *der;
	long n;
	int rc = p ? 0 : -EINVAL;

	c->reader = psi_x509_open();
	while (in && c->reader && !rc && c->cnt < CHAIN_MAX &&
		PEM_read_bio(in, &label, &header, &der, &n)) {
		bool cert = strcmp(label, PEM_STRING_X509) == 0;
		uint32_t before = c->cnt;

		if (cert)
			rc = add_cert(c, der, (size_t)n, path, err);
		if (c->cnt == before)
			OPENSSL_free(der);
		OPENSSL_free(label);
		OPENSSL_free(header);
	}
	BIO_free(in);
	free(p);
	ERR_clear_error();
	if (!rc && !c->cnt)
		rc = psi_err_set(err, -EINVAL, "%s: holds no certificate in PEM", path);
	return rc;
}

/* The root that the chain leads to, as the engine finds it. */
static void
find_root(const struct chain *c, const char *roots, struct psi_pins_chain *out)
{
	struct psi_trust_config tc = {.roots = roots, .cache_max = 1};
	struct psi_trust *t = psi_trust_open(&tc, NULL);
	struct psi_trust_query q = {.role = PSI_TRUST_SERVER, .time_s = time(NULL)};
	struct psi_trust_der der[CHAIN_MAX];
	struct psi_trust_result r;

	for (uint32_t i = 0; i < c->cnt; i++)
		der[i] = (struct psi_trust_der){c->der[i].p, c->der[i].len};
	if (t && psi_trust_check(t, &q, der, c->cnt, &r) && r.has_root) {
		out->has_root = true;
		memcpy(out->root_spki_sha256, r.root_spki_sha256, 32);
	}
	psi_trust_close(t);
}

static void
print_text(const char *s)
{
	char clean[PSI_X509_NAME_MAX * 4];

	psi_text_clean(clean, sizeof(clean), 200, s, strlen(s));
	printf("%s\n", clean);
}

static void
print_chain(const struct chain *c, const struct psi_pins_chain *chain)
{
	char b64[PSI_PINS_B64_LEN + 1];

	for (uint32_t i = 0; i < c->cnt; i++) {
		printf("\n%u  ", i);
		print_text(c->x509[i].subject);
		printf("   key          sha256//%s\n   certificate  ",
			psi_pins_b64(c->cert[i].spki_sha256, b64));
		for (int k = 0; k < 32; k++)
			printf("%02x", c->cert[i].sha256[k]);
		printf("\n");
	}
	if (chain->has_root)
		printf("\n%u  the trusted root that it leads to\n   key          sha256//%s\n",
			c->cnt, psi_pins_b64(chain->root_spki_sha256, b64));
}

static void
print_result(const struct psi_config *cfg, const struct pins *o, const struct psi_pin_result *r,
	bool own_ca)
{
	char host[PSI_PINS_HOST_MAX * 4];

	psi_text_clean(host, sizeof(host), 253, o->argv[0], strlen(o->argv[0]));
	printf("host    %s\n", host);
	if (r->set)
		printf("pinset  %s (%s:%u)\n", r->set, cfg->path, cfg->pins[r->set_idx].at.line);
	printf("result  %s: %s\n", psi_pin_name(r->pin), psi_pin_text(r->pin));
	if (r->pin == PSI_PIN_MATCH || r->pin == PSI_PIN_BACKUP_MATCH)
		printf("depth   %u\n", r->depth);
	if (own_ca)
		printf("issuer  one of your own inspection CAs\n");
}

static int
run_test(struct pins *o)
{
	struct psi_err err = {""};
	struct psi_config *cfg = o->argc == 2 ? open_config(o, &err) : NULL;
	struct psi_pins *p = cfg ? open_pins(cfg, &err) : NULL;
	struct chain *c = p ? calloc(1, sizeof(*c)) : NULL;
	struct psi_pin_result r = {.pin = PSI_PIN_NONE};
	int rc = EXIT_TROUBLE;

	if (o->argc != 2)
		return usage_error("pins", "test takes a host and a file of certificates");
	if (c && read_chain(c, o->argv[1], &err) == 0) {
		struct psi_pins_chain chain = {.cert = c->cert, .cnt = c->cnt};

		find_root(c, cfg->certificates.roots, &chain);
		psi_pins_check(p, (const uint8_t *)o->argv[0],
			(uint32_t)PSI_MIN(strlen(o->argv[0]), 4096u), &chain, time(NULL), &r);
		print_result(cfg, o, &r, psi_pins_own_ca(p, c->der, c->cnt));
		print_chain(c, &chain);
		rc = r.pin == PSI_PIN_MATCH || r.pin == PSI_PIN_BACKUP_MATCH ? EXIT_DONE
									     : EXIT_TROUBLE;
	} else {
		trouble(&err);
	}
	for (uint32_t i = 0; c && i < c->cnt; i++)
		OPENSSL_free(c->mem[i]);
	if (c)
		psi_x509_close(c->reader);
	free(c);
	psi_pins_close(p);
	psi_config_close(cfg);
	return rc;
}

/* ---- learnt keys ---- */

/* Where the store is: as said, else as the configuration says. The caller frees. */
static char *
store_path(const struct pins *o, struct psi_err *err)
{
	struct psi_config *cfg;
	char *path;

	if (o->store)
		return strdup(o->store);
	cfg = open_config(o, err);
	path = cfg ? strdup(cfg->pins_learn.store) : NULL;
	psi_config_close(cfg);
	return path;
}

static void
on_key(void *ctx, const struct psi_pins_known *k)
{
	char b64[PSI_PINS_B64_LEN + 1], first[16], last[16];

	day_of(k->first_s, first);
	day_of(k->last_s, last);
	printf("%-32s  %s  %s  %s  %s", k->host, psi_pins_b64(k->spki_sha256, b64), first, last,
		k->own_ca ? "(own CA) " : "");
	print_text(k->issuer);
	(*(uint32_t *)ctx)++;
}

static int
run_learned(struct pins *o)
{
	struct psi_err err = {""};
	char *path = o->argc ? NULL : store_path(o, &err);
	struct psi_pins_store_config sc = {
		.path = path, .hosts_max = 1u << 24, .mode = PSI_PINS_STORE_READ};
	struct psi_pins_store *s = path ? psi_pins_store_open(&sc, &err) : NULL;
	struct psi_pins_store_count n;
	uint32_t keys = 0;

	if (o->argc)
		return usage_error("pins", "learned takes no '%s'", o->argv[0]);
	if (s) {
		psi_pins_store_count(s, &n);
		if (n.hosts)
			printf("%-32s  %-44s  %-10s  %-10s  %s\n", "HOST", "KEY (SHA-256 of SPKI)",
				"FIRST", "LAST", "ISSUER");
		psi_pins_store_each(s, on_key, &keys);
		printf("%u hosts, %u keys in %s\n", n.hosts, keys, path);
	}
	psi_pins_store_close(s);
	free(path);
	return s ? EXIT_DONE : trouble(&err);
}

static int
run_forget(struct pins *o)
{
	struct psi_err err = {""};
	char *path = o->argc == 1 ? store_path(o, &err) : NULL;
	int rc = path ? psi_pins_store_forget(path, o->argv[0], &err) : -1;

	if (o->argc != 1)
		return usage_error("pins", "forget takes one host");
	if (rc == 0)
		printf("%s is forgotten; an engine that runs takes notice within its next interval\n",
			o->argv[0]);
	free(path);
	return rc == 0 ? EXIT_DONE : trouble(&err);
}

/* ---- arguments ---- */

static int
parse(struct pins *o, int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"store", required_argument, NULL, 's'}, {"format", required_argument, NULL, 'f'},
		{"host", required_argument, NULL, 'H'}, {"name", required_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'}, {0}};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (c) {
		case 'c': o->config = optarg; break;
		case 's': o->store = optarg; break;
		case 'H': o->host = optarg; break;
		case 'n': o->prefix = optarg; break;
		case 'f':
			o->format = psi_pins_format_of(optarg);
			if (o->format == PSI_PINS_FORMAT_CNT)
				return usage_error("pins",
					"--format takes android, ios, okhttp, hpkp, electron or pem, not '%s'",
					optarg);
			break;
		case 'h': fputs(help, stdout); return 'h';
		case ':': return usage_error("pins", "%s wants a value", argv[optind - 1]);
		default: return option_error("pins", argv[optind - 1]);
		}
	}
	o->argc = argc - optind;
	o->argv = argv + optind;
	return 0;
}

int
cmd_pins(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct pins *o);
	} commands[] = {
		{"import", run_import},
		{"show", run_show},
		{"test", run_test},
		{"learned", run_learned},
		{"forget", run_forget},
	};
	struct pins o = {.format = PSI_PINS_FORMAT_AUTO};
	int rc = parse(&o, argc, argv);

	if (rc)
		return rc == 'h' ? EXIT_DONE : rc;
	if (!o.argc)
		return usage_error("pins", "say what to do: import, show, test, learned or forget");
	for (size_t i = 0; i < PSI_COUNT(commands); i++) {
		if (strcmp(o.argv[0], commands[i].name) == 0) {
			o.argc--;
			o.argv++;
			return commands[i].run(&o);
		}
	}
	return usage_error(
		"pins", "there is no '%s': import, show, test, learned or forget", o.argv[0]);
}
