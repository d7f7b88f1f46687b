/* SPDX-License-Identifier: BSD-3-Clause */
/* The list as the `pins:` section of a configuration. All texts are quoted: YAML takes some plain ones for something else. */
#include "import_pvt.h"

#include <errno.h>
#include <stdlib.h>

#define NAME_MAX_LEN 128

struct name {
	char text[NAME_MAX_LEN]; /* empty: a free place */
	uint32_t last;		 /* number given to the latest set of this name */
};

struct writer {
	FILE *out;
	const char *prefix;
	const char *lead;  /* before each line: "# " in a set that is off */
	struct name *name; /* given so far: open addressing, at most half full */
	uint32_t name_mask;
};

static struct name *
name_slot(const struct writer *w, const char *text)
{
	uint32_t i = host_hash(text, (uint32_t)strlen(text), HOST_EXACT) & w->name_mask;

	while (w->name[i].text[0] && strcmp(w->name[i].text, text) != 0)
		i = (i + 1) & w->name_mask;
	return &w->name[i];
}

/* A set is called after its first host; of several with one, after a number, too. */
static void
name_of(struct writer *w, const struct import_set *s, char out[NAME_MAX_LEN])
{
	const char *host = s->host[0] + strspn(s->host[0], "*.");
	struct name *first, *n;
	size_t len;

	snprintf(
		out, NAME_MAX_LEN, "%.48s%.55s%s", w->prefix, host, s->unpinned ? "-unpinned" : "");
	len = strlen(out);
	first = n = name_slot(w, out);
	while (n->text[0]) {
		snprintf(out + len, NAME_MAX_LEN - len, "-%u", ++first->last);
		n = name_slot(w, out);
	}
	memcpy(n->text, out, strlen(out) + 1);
	n->last = 1;
}

/* In single quotes, where only the quote itself is special. */
static void
quoted(struct writer *w, const char *s)
{
	fputc('\'', w->out);
	for (; *s; s++) {
		if (*s == '\'')
			fputc('\'', w->out);
		fputc((uint8_t)*s < 0x20 ? '?' : *s, w->out);
	}
	fputc('\'', w->out);
}

static void
write_pins(struct writer *w, const struct import_set *s, enum pin_kind kind, const char *key)
{
	char text[3 * 32 + 1];
	bool first = true;

	for (uint32_t i = 0; i < s->pin_cnt; i++) {
		if (s->pin[i].kind != kind)
			continue;
		if (first)
			fprintf(w->out, "%s  %s:\n", w->lead, key);
		first = false;
		if (kind == PIN_CERT)
			for (uint32_t k = 0; k < 32; k++)
				snprintf(text + 2 * k, 3, "%02x", s->pin[i].hash[k]);
		else
			psi_pins_b64(s->pin[i].hash, text);
		fprintf(w->out, "%s  - '%s'\n", w->lead, text);
	}
}

static void
write_set(struct writer *w, const struct import_set *s)
{
	char name[NAME_MAX_LEN];

	w->lead = s->off ? "# " : "";
	name_of(w, s, name);
	for (uint32_t i = 0; i < s->note_cnt; i++)
		fprintf(w->out, "# %s\n", s->note[i]);
	fprintf(w->out, "%s- name: ", w->lead);
	quoted(w, name);
	fprintf(w->out, "\n%s  hosts:\n", w->lead);
	for (uint32_t i = 0; i < s->host_cnt; i++) {
		fprintf(w->out, "%s  - ", w->lead);
		quoted(w, s->host[i]);
		fputc('\n', w->out);
	}
	write_pins(w, s, PIN_SPKI, "spki_sha256");
	write_pins(w, s, PIN_CA, "ca_spki_sha256");
	write_pins(w, s, PIN_CERT, "cert_sha256");
	write_pins(w, s, PIN_BACKUP, "backup_spki_sha256");
	if (s->expires[0])
		fprintf(w->out, "%s  expires: %s\n", w->lead, s->expires);
	if (s->unpinned)
		fprintf(w->out, "%s  action: unpinned\n", w->lead);
}

int
psi_pins_list_write(const struct psi_pins_list *l, const char *prefix, FILE *out)
{
	struct writer w = {.out = out, .prefix = prefix ? prefix : ""};
	uint32_t on = 0, size = 2;

	while (size < 2 * l->cnt + 2)
		size *= 2;
	w.name_mask = size - 1;
	w.name = calloc(size, sizeof(*w.name));
	if (!w.name)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->cnt; i++)
		on += !l->set[i].off;
	fprintf(out, on ? "pins:\n" : "pins: []\n");
	for (uint32_t i = 0; i < l->cnt; i++)
		write_set(&w, &l->set[i]);
	free(w.name);
	return ferror(out) ? -EIO : 0;
}
