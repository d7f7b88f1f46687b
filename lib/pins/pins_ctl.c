/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiling pinsets. Whatever is wrong is told with the place of the value in the file. */
#include "pins_pvt.h"

#include <errno.h>
#include <stdlib.h>

struct compiler {
	struct psi_pins *p;
	const struct psi_pins_config *cfg;
	struct regex_source *regex;
	uint32_t regex_cnt;
	struct psi_err *err;
};

static const char *
file_of(const struct psi_pins_config *cfg)
{
	return cfg->file && cfg->file[0] ? cfg->file : "pins";
}

/* "FILE:LINE:COL: pins NAME: 'VALUE' why". A value is the operator's own, but may be long. */
static int
refuse(struct compiler *c, const struct psi_config_pinset *set, struct psi_config_at at,
	const char *value, const char *why)
{
	return psi_err_set(c->err, -EINVAL, "%s:%u:%u: pins %s: '%.100s%s' %s", file_of(c->cfg),
		at.line, at.col, set->name, value, strlen(value) > 100 ? "..." : "", why);
}

static int
no_memory(struct compiler *c)
{
	return psi_err_set(c->err, -ENOMEM, "%s: out of memory for %u pinsets", file_of(c->cfg),
		c->cfg->set_cnt);
}

/* ---- pins ---- */

static int
pin_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct pin));
}

static int
add_pins(struct compiler *c, uint32_t i, const struct psi_config_strs *list, enum pin_kind kind)
{
	struct pinset *s = &c->p->set[i];

	for (uint32_t k = 0; k < list->cnt; k++) {
		struct pin *pin = &s->pin[s->pin_cnt];
		const char *why = psi_pins_parse_hash(list->v[k], kind == PIN_CERT, pin->hash);

		if (why)
			return refuse(c, &c->cfg->set[i], list->at[k], list->v[k], why);
		pin->kind = (uint8_t)kind;
		s->pin_cnt++;
	}
	return 0;
}

static int
compile_pins(struct compiler *c, uint32_t i)
{
	const struct psi_config_pinset *in = &c->cfg->set[i];
	struct pinset *s = &c->p->set[i];
	size_t cnt = (size_t)in->spki_sha256.cnt + in->cert_sha256.cnt + in->ca_spki_sha256.cnt +
		     in->backup_spki_sha256.cnt;
	int rc;

	s->name = strdup(in->name);
	s->action = in->action;
	s->expires_s = in->expires_s;
	s->pin = calloc(cnt ? cnt : 1, sizeof(*s->pin));
	if (!s->name || !s->pin)
		return no_memory(c);
	if ((rc = add_pins(c, i, &in->spki_sha256, PIN_SPKI)) ||
		(rc = add_pins(c, i, &in->cert_sha256, PIN_CERT)) ||
		(rc = add_pins(c, i, &in->ca_spki_sha256, PIN_CA)) ||
		(rc = add_pins(c, i, &in->backup_spki_sha256, PIN_BACKUP)))
		return rc;
	qsort(s->pin, s->pin_cnt, sizeof(*s->pin), pin_order);
	return 0;
}

/* ---- hosts ---- */

/* The first set that names a host keeps it. */
static int
add_host(struct compiler *c, uint32_t set, const char *text)
{
	enum host_kind kind = strncmp(text, "**.", 3) == 0  ? HOST_TREE
			      : strncmp(text, "*.", 2) == 0 ? HOST_LABEL
							    : HOST_EXACT;
	char name[PSI_PINS_HOST_MAX + 1];
	struct host *h;
	uint32_t i, len;

	text += kind == HOST_TREE ? 3 : kind == HOST_LABEL ? 2 : 0;
	len = host_fold((const uint8_t *)text, (uint32_t)strlen(text), name);
	for (i = host_hash(name, len, kind) & c->p->host_mask; c->p->host[i].name;
		i = (i + 1) & c->p->host_mask)
		if (c->p->host[i].len == len && c->p->host[i].kind == kind &&
			memcmp(c->p->host[i].name, name, len) == 0)
			return 0;
	h = &c->p->host[i];
	*h = (struct host){.name = strdup(name), .len = len, .set = set, .kind = (uint8_t)kind};
	return h->name ? 0 : no_memory(c);
}

static int
compile_hosts(struct compiler *c, uint32_t i)
{
	const struct psi_config_pinset *in = &c->cfg->set[i];
	int rc;

	if (!in->hosts.cnt)
		return psi_err_set(c->err, -EINVAL,
			"%s:%u:%u: pins %s: hosts is empty: expected at least one name such as a.example",
			file_of(c->cfg), in->at.line, in->at.col, in->name);
	for (uint32_t k = 0; k < in->hosts.cnt; k++) {
		const char *text = in->hosts.v[k], *why = psi_pins_check_host(text);

		if (why)
			return refuse(c, in, in->hosts.at[k], text, why);
		if (text[0] == '/')
			c->regex[c->regex_cnt++] = (struct regex_source){text, in->hosts.at[k], i};
		else if ((rc = add_host(c, i, text)))
			return rc;
	}
	return 0;
}

static int
compile_regexes(struct compiler *c)
{
	struct psi_err why = {""};
	uint32_t bad;

	if (!c->regex_cnt)
		return 0;
	c->p->regexes = regexes_open(c->regex, c->regex_cnt, &bad, &why);
	if (c->p->regexes)
		return 0;
	return refuse(
		c, &c->cfg->set[c->regex[bad].set], c->regex[bad].at, c->regex[bad].text, why.text);
}

/* ---- all ---- */

static bool
make(struct compiler *c)
{
	size_t hosts = 0, size = 2;

	for (uint32_t i = 0; i < c->cfg->set_cnt; i++)
		hosts += c->cfg->set[i].hosts.cnt;
	if (hosts > 1u << 28)
		return false;
	while (size < 2 * hosts + 2)
		size *= 2;
	c->p->set = calloc((size_t)c->cfg->set_cnt + 1, sizeof(*c->p->set));
	c->p->host = calloc(size, sizeof(*c->p->host));
	c->p->host_mask = (uint32_t)size - 1;
	c->regex = calloc(hosts + 1, sizeof(*c->regex));
	return c->p->set && c->p->host && c->regex;
}

static int
compile_all(struct compiler *c)
{
	int rc;

	if (!make(c))
		return no_memory(c);
	for (uint32_t i = 0; i < c->cfg->set_cnt; i++) {
		c->p->set_cnt = i + 1;
		if ((rc = compile_pins(c, i)) || (rc = compile_hosts(c, i)))
			return rc;
	}
	if ((rc = compile_regexes(c)))
		return rc;
	return cas_load(c->p, c->cfg, c->err);
}

struct psi_pins *
psi_pins_open(const struct psi_pins_config *cfg, struct psi_err *err)
{
	struct compiler c = {.p = calloc(1, sizeof(*c.p)), .cfg = cfg, .err = err};

	if (!c.p)
		no_memory(&c);
	else if (compile_all(&c)) {
		psi_pins_close(c.p);
		c.p = NULL;
	}
	free(c.regex);
	return c.p;
}

void
psi_pins_close(struct psi_pins *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->set_cnt; i++) {
		free(p->set[i].name);
		free(p->set[i].pin);
	}
	for (size_t i = 0; p->host && i <= p->host_mask; i++)
		free(p->host[i].name);
	free(p->set);
	free(p->host);
	regexes_close(p->regexes);
	cas_free(p);
	free(p);
}
