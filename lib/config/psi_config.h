/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_config.h: a YAML file, the environment and the command line -> one read-only struct.
 *
 * Every key stands in config_keys.def, which gives the struct, the parser, the defaults, the range checks, and, through
 * scripts/gen-docs, config/pinsight.yaml, the man page and the JSON Schema. YAML 1.1 by libyaml, one document, without
 * aliases. Numbers carry their units as people write them.
 * Out of scope: what only the owner of a value can judge (a pattern, a certificate, a core that is not there). For
 * those, values keep their place in the file, and psi_config_err says it.
 * Thread: a config is read-only once open; any thread may read it. */
#ifndef PSI_CONFIG_H
#define PSI_CONFIG_H

#include "psi_base.h"

#include <stdio.h>

#define PSI_CONFIG_FILE_MAX  (64u << 20) /* bytes of a file */
#define PSI_CONFIG_DEPTH_MAX 16		 /* lists and mappings within one another */
#define PSI_CONFIG_NODE_MAX  2000000	 /* values, keys, lists and mappings of a file */
#define PSI_CONFIG_ERROR_MAX 20		 /* problems of a file that are told */

/* ---- values ---- */

#define PSI_CONFIG_AUTO	     0	  /* of a count or a size that the operator leaves to the engine */
#define PSI_CONFIG_CORE_AUTO (-1) /* of a core */
#define PSI_CONFIG_NEVER     INT64_MAX /* of a date */

/* Where a value stands in cfg->path, 1-based, columns in characters; line 0: not in the file. */
struct psi_config_at {
	uint32_t line, col;
};

struct psi_config_strs {
	uint32_t cnt;
	const char *const *v;
	const struct psi_config_at *at; /* of each */
};

struct psi_config_core_list {
	uint32_t cnt; /* 0: auto */
	const uint16_t *v;
};

struct psi_config_pattern {
	const char *text; /* NULL: not asked. "/.../i" with flags, or a pattern without slashes */
	struct psi_config_at at;
};

/* The words that some keys take: enum psi_config_tri, _rss, _idle_policy, _identity, _level, psi_pin_action,
 * psi_rule_action. */
#define WORDS(type)	      enum type {
#define WORD(sym, word, text) sym,
#define END_WORDS \
	}         \
	;
#include "config_words.def"
#undef WORDS
#undef WORD
#undef END_WORDS

/* ---- entries of lists: fields as in config_keys.def, each with its place ---- */

struct psi_config_port {
	struct psi_config_at at;
	const char *device, *interface; /* one of them, the other NULL */
	const char *name;		/* never NULL */
	uint32_t queues;
	uint32_t descriptors;
	bool promiscuous;
	uint32_t mtu;
	enum psi_config_rss rss;
};

struct psi_config_pinset {
	struct psi_config_at at;
	const char *name;
	struct psi_config_strs hosts; /* "a.example", "*.a.example" or "/regex/" */
	struct psi_config_strs spki_sha256, backup_spki_sha256,
		ca_spki_sha256;		    /* base64, perhaps "sha256/" first */
	struct psi_config_strs cert_sha256; /* hex, perhaps with colons */
	int64_t expires_s;		    /* the first second without it; PSI_CONFIG_NEVER */
	enum psi_pin_action action;
};

enum psi_rule_field {
	PSI_RULE_SNI,
	PSI_RULE_SUBJECT,
	PSI_RULE_ISSUER,
	PSI_RULE_SAN,
	PSI_RULE_ALPN,
	PSI_RULE_JA3,
	PSI_RULE_JA4,
	PSI_RULE_FIELD_CNT
};

struct psi_config_rule {
	struct psi_config_at at;
	const char *id;
	union {
		struct psi_config_pattern pattern[PSI_RULE_FIELD_CNT];
		struct {
			struct psi_config_pattern sni, subject, issuer, san, alpn, ja3, ja4;
		};
	};
	enum psi_rule_action action;
	double weight; /* 1 unless action is PSI_RULE_WEIGHT */
};

struct psi_config_host_list {
	struct psi_config_at at;
	const char *id, *file;
	enum psi_rule_action action;
	double weight;
};

/* ---- the whole ----
 * Sections become members of their own name: cfg->ring.size, cfg->flows.linger_ns, each a struct psi_config_SECTION. Lists become an array and a count:
 * cfg->ports, cfg->ports_cnt. Texts that were not given are NULL. */

#define PSI_CONFIG_DECL_BOOL(n)	      bool n
#define PSI_CONFIG_DECL_COUNT(n)      uint32_t n
#define PSI_CONFIG_DECL_COUNT_AUTO(n) uint32_t n
#define PSI_CONFIG_DECL_SIZE(n)	      uint64_t n
#define PSI_CONFIG_DECL_SIZE_AUTO(n)  uint64_t n
#define PSI_CONFIG_DECL_DURATION(n)   uint64_t n##_ns
#define PSI_CONFIG_DECL_RATIO(n)      double n
#define PSI_CONFIG_DECL_NUMBER(n)     double n
#define PSI_CONFIG_DECL_MODE(n)	      uint32_t n
#define PSI_CONFIG_DECL_TEXT(n)	      const char *n
#define PSI_CONFIG_DECL_PATH(n)	      const char *n
#define PSI_CONFIG_DECL_TEXTS(n)      struct psi_config_strs n
#define PSI_CONFIG_DECL_PATHS(n)      struct psi_config_strs n
#define PSI_CONFIG_DECL_CORE(n)	      int32_t n
#define PSI_CONFIG_DECL_CORES(n)      struct psi_config_core_list n
#define PSI_CONFIG_DECL_DATE(n)	      int64_t n##_s
#define PSI_CONFIG_DECL_PATTERN(n)    struct psi_config_pattern n

#define SECTION(s, text)				 struct psi_config_##s {
#define KEY(s, k, type, def, min, max, unit, when, text) PSI_CONFIG_DECL_##type(k);
#define CHOICE(s, k, words, def, when, text)		 enum words k;
#define END(s) \
	}      \
	s;
#define OBJECTS(l, item, max, when, text) \
	const struct item *l;             \
	uint32_t l##_cnt;
#define FIELD(item, k, type, def, min, max, unit, text)
#define CHOICE_FIELD(item, k, words, def, text)
#define END_OBJECTS(l)
struct psi_config {
	const char *path; /* of the file, for messages; "" when there is none */
#include "config_keys.def"
};
#undef SECTION
#undef KEY
#undef CHOICE
#undef END
#undef OBJECTS
#undef FIELD
#undef CHOICE_FIELD
#undef END_OBJECTS

/* ---- reading ---- */

/* One key given outside of the file: "ring.size=64M" of the command line, or PINSIGHT_RING_SIZE=64M of the environment. A
 * list is written as in YAML, in brackets; one of texts also with commas. The command line counts more than the
 * environment, which counts more than the file; of several for one key the last. */
struct psi_config_override {
	const char *text; /* read during psi_config_open only */
	bool env;	  /* text is a variable of the environment */
};

/* psi_config_env: the variables of env (environ) that override a key: PINSIGHT_, a section and "_" begin their name.
 * Returns how many there are; at most max are written to ov, whose texts point into env. */
uint32_t psi_config_env(char *const *env, struct psi_config_override *ov, uint32_t max);

/* psi_config_open reads the file path, or no file when path is NULL: then all is default but what overrides say. A
 * relative path in the file is taken from the file's folder. Returns NULL with the first problem in err. */
struct psi_config *psi_config_open(const char *path, const struct psi_config_override *ov,
	uint32_t ov_cnt, struct psi_err *err);
void psi_config_close(struct psi_config *cfg);

/* One thing that is wrong. */
struct psi_config_problem {
	const char *origin; /* the file, "environment PINSIGHT_RING_SIZE" or "--set ring.size" */
	struct psi_config_at at;
	const char *text; /* one line: what is wrong, what was expected */
};

struct psi_config_source {
	const char *path; /* of the file; NULL: none */
	const char *text; /* its text when the caller has it already; NULL: it is read */
	size_t len;
	const struct psi_config_override *ov;
	uint32_t ov_cnt;
	/* Each problem, in the order found, at most PSI_CONFIG_ERROR_MAX of them; then one that says so. May be NULL. */
	void (*report)(void *ctx, const struct psi_config_problem *p);
	void *ctx;
};

/* psi_config_load: the same, with every problem reported. */
struct psi_config *psi_config_load(const struct psi_config_source *src, struct psi_err *err);

/* ---- an open config ---- */

/* psi_config_err puts "FILE:LINE:COL: ring.size: " and the text into err, where value points to a member of a section of
 * cfg, and the place is that of the value, wherever it came from. psi_config_err_at: the same for a place within a list.
 * Both return rc. */
int psi_config_err(const struct psi_config *cfg, const void *value, struct psi_err *err, int rc,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
int psi_config_err_at(const struct psi_config *cfg, struct psi_config_at at, struct psi_err *err,
	int rc, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* psi_config_print writes every key with its value as YAML that psi_config_open takes, and beside each that is not the
 * default where it came from. Returns false when out could not be written.
 * psi_config_changed: how many keys and lists are not the default. */
bool psi_config_print(const struct psi_config *cfg, FILE *out);
uint32_t psi_config_changed(const struct psi_config *cfg);

/* psi_config_diff: the keys whose values differ and that only a restart can change, as "ring.size, cores.workers" in
 * text, cut to size. Returns how many there are: 0 when a reload can do. */
uint32_t psi_config_diff(
	const struct psi_config *old, const struct psi_config *now, char *text, size_t size);

#endif
