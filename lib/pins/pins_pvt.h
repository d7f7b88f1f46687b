/* SPDX-License-Identifier: BSD-3-Clause */
/* pins_pvt.h: compiled pinsets. pins.c: per flow; pins_ctl.c: compiling; pins_regex.c: regular expressions; pins_ca.c:
 * inspection CAs; pins_text.c: hashes and host names as text. */
#ifndef PINS_PVT_H
#define PINS_PVT_H

#include "psi_pins.h"

#include <openssl/x509.h>

#define NONE UINT32_MAX

enum pin_kind {
	PIN_SPKI,
	PIN_CERT,
	PIN_CA,
	PIN_BACKUP,
};

/* Pins of a set are sorted by hash, so that one is found without asking each. */
struct pin {
	uint8_t hash[32];
	uint8_t kind; /* enum pin_kind */
};

struct pinset {
	char *name;
	enum psi_pin_action action;
	int64_t expires_s;
	uint32_t pin_cnt;
	struct pin *pin;
};

/* Which kind of pattern a name stands for: "a.example", "*.a.example", "**.a.example". */
enum host_kind {
	HOST_EXACT,
	HOST_LABEL,
	HOST_TREE,
};

/* Open addressing, at most half full; set NONE is free. Only the operator fills it: its hash needs no key. */
struct host {
	char *name; /* lower case, without "*." */
	uint32_t len;
	uint32_t set;
	uint8_t kind; /* enum host_kind */
};

struct own_ca {
	X509 *x;
	EVP_PKEY *key;
	uint8_t sha256[32];
	unsigned char *subject; /* DER of the name */
	int subject_len;
};

struct regexes; /* pins_regex.c */

struct psi_pins {
	struct pinset *set;
	uint32_t set_cnt;
	struct host *host;
	uint32_t host_mask;
	struct regexes *regexes; /* NULL: none */
	struct own_ca *ca;
	uint32_t ca_cnt;
};

/* host_fold: a name in lower case without its final dot, into out (PSI_PINS_HOST_MAX + 1 bytes, NUL-terminated).
 * Returns its length, 0 when it is empty or too long. */
uint32_t host_fold(const uint8_t *p, uint32_t len, char *out);
uint32_t host_hash(const char *name, uint32_t len, enum host_kind kind);

/* hash_is_sha1: a pin with "sha1/" in front, which a SHA-256 may begin with, too. */
bool hash_is_sha1(const char *text);

/* host_is_name: whether text is a host name, no pattern. NULL, or in words why not. */
const char *host_is_name(const char *text);

/* A regular expression on its way into the matcher. */
struct regex_source {
	const char *text; /* between the slashes */
	struct psi_config_at at;
	uint32_t set;
};

/* regexes_open compiles cnt of them, which stay in the caller's hands. NULL: *bad is the one at fault, and why is in
 * err without its place. */
struct regexes *
regexes_open(const struct regex_source *src, uint32_t cnt, uint32_t *bad, struct psi_err *err);
void regexes_close(struct regexes *r);
/* regexes_find: the set of the first of them that fits, NONE when none does. */
uint32_t regexes_find(struct regexes *r, const char *host, uint32_t len);

/* cas_load reads the files; 0 or -errno with the reason in err. */
int cas_load(struct psi_pins *p, const struct psi_pins_config *cfg, struct psi_err *err);
void cas_free(struct psi_pins *p);

#endif
