/* SPDX-License-Identifier: BSD-3-Clause */
/* The list as the `pins:` section of a configuration. All texts are quoted: YAML takes some plain ones for something else. */
#include "import_pvt.h"

#include <errno.h>
#include <stdlib.h>

struct writer {
	FILE *out;
	const char *prefix;
	const char *lead; /* before each line: "# " in a set that is off */
	char **name;	  /* given so far */
	uint32_t name_cnt;
};

static bool
is_taken(const struct writer *w, const char *name)
{
	for (uint32_t i = 0; i < w->name_cnt; i++)
		if (strcmp(w->name[i], name) == 0)
			return true;
	return false;
}

/* A set is called after its first host; of several with one, after a number, too. */
static bool
name_of(struct writer *w, const struct import_set *s, char out[128])
{
	const char *host = s->host[0] + strspn(s->host[0], "*.");
	char *copy;

	for (uint32_t n = 1;; n++) {
		const char *hole = s->unpinned ? "-unpinned" : "";

		if (n == 1)
			snprintf(out, 128, "%.48s%.60s%s", w->prefix, host, hole);
		else
			snprintf(out, 128, "%.48s%.60s%s-%u", w->prefix, host, hole, n);
		if (!is_taken(w, out))
			break;
	}
	copy = strdup(out);
	if (copy)
		w->name[w->name_cnt++] = copy;
	return copy;
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

static bool
write_set(struct writer *w, const struct import_set *s)
{
	char name[128];

	w->lead = s->off ? "# " : "";
	if (!name_of(w, s, name))
		return false;
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
	return true;
}

int
psi_pins_list_write(const struct psi_pins_list *l, const char *prefix, FILE *out)
{
	struct writer w = {.out = out, .prefix = prefix ? prefix : ""};
	uint32_t on = 0;
	bool ok;

	w.name = calloc((size_t)l->cnt + 1, sizeof(*w.name));
	ok = w.name;
	for (uint32_t i = 0; i < l->cnt; i++)
		on += !l->set[i].off;
	fprintf(out, on ? "pins:\n" : "pins: []\n");
	for (uint32_t i = 0; i < l->cnt && ok; i++)
		ok = write_set(&w, &l->set[i]);
	for (uint32_t i = 0; i < w.name_cnt; i++)
		free(w.name[i]);
	free(w.name);
	return !ok ? -ENOMEM : ferror(out) ? -EIO : 0;
}
