/* SPDX-License-Identifier: BSD-3-Clause */
/* store_pvt.h: the keys seen of each host. store.c: in memory; store_file.c: the file. */
#ifndef STORE_PVT_H
#define STORE_PVT_H

#include "pins_pvt.h"
#include "psi_pins_store.h"

#define OWN_MAX	   1
#define DAY_S	   86400
#define LINE_BYTES 1024 /* bytes of a line, more than the longest that is written */
#define PENDING_MAX \
	(1u << 20) /* bytes that wait for a flush; beyond them the next one rewrites the file */

struct key {
	uint8_t spki[32];
	uint8_t issuer_dn[32];	/* SHA-256 of the issuer's whole name */
	uint8_t issuer_key[32]; /* all zero: not known */
	uint8_t root[32];	/* likewise */
	int64_t first_s, last_s;
	int64_t told_s; /* last_s as the file has it */
	bool own;
	char *issuer;
};

/* One host: in a chain of its bucket, and in the order of use. */
struct entry {
	struct entry *hash_next, *newer, *older;
	char *name;
	uint32_t len;
	uint32_t changes; /* new keys within the day that began at day_s */
	int64_t day_s;
	uint32_t key_cnt;
	struct key *key; /* as many */
};

struct psi_pins_store {
	struct entry **bucket;
	uint32_t bucket_cnt, max;
	struct entry *newest, *oldest;
	uint64_t seed;
	struct psi_pins_store_count count;
	char before_issuer[PSI_PINS_ISSUER_MAX]; /* what struct psi_pins_before points to */
	/* the file; fd -1: none */
	enum psi_pins_mode mode;
	char *path;
	int fd, lock_fd;
	uint64_t size;	/* of the file, as far as it has been read and written here */
	uint64_t lines; /* in it */
	uint64_t keys;	/* in memory */
	char *pending;	/* PENDING_MAX: lines to be appended */
	uint32_t pending_len;
	bool rewrite; /* pending is not all there is to say */
};

/* store_put: a key as a line of the file has it, or as learnt: an older record of the same key gives way. NULL without memory. */
struct key *
store_put(struct psi_pins_store *s, const char *host, uint32_t len, const struct key *k);
/* store_drop forgets a host. False when it was not known. */
bool store_drop(struct psi_pins_store *s, const char *host, uint32_t len);

/* store_line writes a key's line into out (LINE_BYTES bytes). Returns its length. */
uint32_t store_line(char *out, const char *host, const struct key *k);
/* store_later makes a key's line wait for the next flush. */
void store_later(struct psi_pins_store *s, const char *host, struct key *k);

/* store_parse reads whole lines, the file's beginning when at is 0. Returns the bytes of the lines read; what is behind
 * the last newline is left. Negative with the reason in err, line and byte counted from line and at. */
int64_t store_parse(struct psi_pins_store *s, const char *p, size_t len, uint64_t at, uint64_t line,
	struct psi_err *err);

int store_file_open(
	struct psi_pins_store *s, const struct psi_pins_store_config *cfg, struct psi_err *err);
void store_file_close(struct psi_pins_store *s);

#endif
