/* SPDX-License-Identifier: BSD-3-Clause */
/* json_pvt.h: the parts of the JSON writer: strings, keys, and texts that come again.
 * What is written goes to q and beyond, without a look at how much room there is: that is the caller's. Copies may be of a
 * fixed length, and so longer than what is kept of them. Each returns the end of what it wrote. */
#ifndef PSI_JSON_PVT_H
#define PSI_JSON_PVT_H

#include "psi_event.h"
#include "psi_export.h"

/* ---- strings ---- */

/* json_str: n bytes of any origin, with quotes. Bytes up to readable, not before p + n, may be looked at. */
#define JSON_STR_ROOM(n) (6 * (size_t)(n) + 18)
char *json_str(char *q, const uint8_t *p, size_t n, const uint8_t *readable);

/* ---- keys ---- */

#define JSON_KEY_MAX \
	64 /* a key and the objects that begin with it, as text. Asserted, as those below */
#define JSON_DEPTH_MAX 3 /* objects inside the one that a row stands in */
#define JSON_KEY_ROOM  (JSON_DEPTH_MAX + 1 + JSON_KEY_MAX)

/* A row's key, with the objects that it stands in: "tls":{"sni": */
struct json_key {
	uint64_t
		path; /* the objects, 16 bits each, the outermost lowest: 1 + the row that it begins with; 0: none */
	uint8_t depth; /* how many they are */
	uint8_t len;
	uint8_t off[JSON_DEPTH_MAX + 1]; /* where to begin when so many of them are open already */
	char text[2 * JSON_KEY_MAX]; /* JSON_KEY_MAX of it are copied, from wherever it begins */
};

/* json_keys: those of a group's rows. json_no_key: what stands before an object's first. */
const struct json_key *json_keys(enum psi_field_group g);
extern const struct json_key json_no_key;

/* A comma and a key, behind the key printed before it in the same object; objects are closed and opened as its path asks. */
static inline char *
json_key(char *q, const struct json_key *before, const struct json_key *k)
{
	static const char closing[2 * JSON_DEPTH_MAX + 2] = "}}},";
	uint64_t differ = before->path ^ k->path;
	unsigned int same = differ ? (unsigned int)__builtin_ctzll(differ) / 16 : k->depth;
	unsigned int ends = before->depth - same;

	memcpy(q, closing + JSON_DEPTH_MAX - ends, JSON_DEPTH_MAX + 1);
	q += ends + 1;
	memcpy(q, k->text + k->off[same], JSON_KEY_MAX);
	return q + k->len - k->off[same];
}

/* ---- texts that come again ---- */

/* The text of an object, and of a list, depends on nothing but its kind and its bytes: certificates of busy servers and lists
 * of common clients come again and again. struct psi_json holds them; the oldest make room. */
struct json_memo_key {
	uint32_t kind; /* whatever tells apart what the same bytes may stand for */
	uint32_t len;
	const uint8_t *p;
	uint64_t hash; /* of all that; set by _find, for _add */
};

/* find: the text of those bytes, *n characters, good until the next add; NULL when it is not known. add: what find did not
 * know. */
const char *json_memo_find(struct psi_json *j, struct json_memo_key *k, size_t *n);
void json_memo_add(struct psi_json *j, const struct json_memo_key *k, const char *text, size_t n);

#endif
