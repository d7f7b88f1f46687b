/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys are made up once, with the objects around them: printing one is then a copy. */
#include "json_pvt.h"

#define ROWS_MAX 256 /* rows of all groups */

const struct json_key json_no_key;
static struct json_key keys[ROWS_MAX]; /* by row; constant once made */

/* Rows that share the first parts of their path stand together: such an object began with the row that it began with for
 * the row before. */
static uint64_t
object_of(uint16_t row, const char *path, size_t path_len, unsigned int depth,
	const struct json_key *before, const char *path_before)
{
	uint64_t id = 1u + row;

	if (before->depth > depth && strncmp(path, path_before, path_len) == 0)
		id = before->path >> 16 * depth & UINT16_MAX;
	return id << 16 * depth;
}

static void
make_key(struct json_key *k, const char *path, uint16_t row, const struct json_key *before,
	const char *path_before)
{
	const char *part = path, *dot;
	size_t n = 0, len;

	for (;; part = dot + 1) {
		dot = strchr(part, '.');
		len = dot ? (size_t)(dot - part) : strlen(part);
		PSI_ASSERT(n + len + 4 <= JSON_KEY_MAX && k->depth < JSON_DEPTH_MAX + !dot,
			"a key fits");
		k->off[k->depth] = (uint8_t)n;
		k->text[n++] = '"';
		memcpy(k->text + n, part, len);
		n += len;
		k->text[n++] = '"';
		k->text[n++] = ':';
		if (!dot)
			break;
		k->text[n++] = '{';
		k->path |= object_of(
			row, path, (size_t)(dot + 1 - path), k->depth, before, path_before);
		k->depth++;
	}
	k->len = (uint8_t)n;
}

__attribute__((constructor)) static void
make_keys(void)
{
	const struct psi_field_row *rows;
	size_t cnt;

	psi_field_rows(&cnt);
	PSI_ASSERT(cnt <= ROWS_MAX, "a key for each row");
	for (int g = 0, at = 0; g < PSI_G_CNT; g++) {
		rows = psi_field_group_rows((enum psi_field_group)g, &cnt);
		for (size_t i = 0; i < cnt; i++, at++)
			make_key(&keys[at], rows[i].path, (uint16_t)at,
				i ? &keys[at - 1] : &json_no_key, i ? rows[i - 1].path : "");
	}
}

const struct json_key *
json_keys(enum psi_field_group g)
{
	size_t cnt;

	return keys + (psi_field_group_rows(g, &cnt) - psi_field_rows(&cnt));
}
