/* SPDX-License-Identifier: BSD-3-Clause */
/* The regular expressions of all pinsets as one Hyperscan database: a host name, which is hostile, is read once and
 * without backtracking, whatever the expressions are. */
#include "pins_pvt.h"

#include <errno.h>
#include <hs/hs.h>
#include <stdlib.h>

struct regexes {
	hs_database_t *db;
	hs_scratch_t *scratch;
	uint32_t cnt;
	uint32_t *set; /* by expression, in the order of the file */
};

struct sources {
	char **text;
	unsigned int *flags, *id;
};

static void
sources_free(struct sources *s, uint32_t cnt)
{
	for (uint32_t i = 0; s->text && i < cnt; i++)
		free(s->text[i]);
	free(s->text);
	free(s->flags);
	free(s->id);
}

static bool
sources_make(struct sources *s, const struct regex_source *src, uint32_t cnt)
{
	s->text = calloc(cnt, sizeof(*s->text));
	s->flags = calloc(cnt, sizeof(*s->flags));
	s->id = calloc(cnt, sizeof(*s->id));
	if (!s->text || !s->flags || !s->id)
		return false;
	for (uint32_t i = 0; i < cnt; i++) {
		size_t len = strlen(src[i].text);

		s->text[i] = strndup(src[i].text + 1, len - (src[i].text[len - 1] == 'i') - 2);
		s->flags[i] = HS_FLAG_CASELESS | HS_FLAG_SINGLEMATCH;
		s->id[i] = i;
		if (!s->text[i])
			return false;
	}
	return true;
}

static bool
compile(struct regexes *r, const struct sources *s, uint32_t cnt, uint32_t *bad,
	struct psi_err *err)
{
	hs_compile_error_t *e = NULL;

	if (hs_compile_multi((const char *const *)s->text, s->flags, s->id, cnt, HS_MODE_BLOCK,
		    NULL, &r->db, &e) == HS_SUCCESS)
		return true;
	*bad = e && e->expression >= 0 ? (uint32_t)e->expression : 0;
	psi_err_set(err, -EINVAL, "%s", e ? e->message : "Hyperscan gives no reason");
	hs_free_compile_error(e);
	return false;
}

struct regexes *
regexes_open(const struct regex_source *src, uint32_t cnt, uint32_t *bad, struct psi_err *err)
{
	struct regexes *r = calloc(1, sizeof(*r));
	struct sources s = {0};
	bool ok = false;

	*bad = 0;
	psi_err_set(err, -ENOMEM, "out of memory for %u expressions", cnt);
	if (hs_valid_platform() != HS_SUCCESS)
		psi_err_set(err, -ENOTSUP, "Hyperscan needs a processor with SSSE3");
	else if (r && sources_make(&s, src, cnt) && (r->set = malloc(cnt * sizeof(*r->set))))
		ok = compile(r, &s, cnt, bad, err) &&
		     hs_alloc_scratch(r->db, &r->scratch) == HS_SUCCESS;
	sources_free(&s, cnt);
	if (!ok) {
		regexes_close(r);
		return NULL;
	}
	r->cnt = cnt;
	for (uint32_t i = 0; i < cnt; i++)
		r->set[i] = src[i].set;
	return r;
}

void
regexes_close(struct regexes *r)
{
	if (!r)
		return;
	hs_free_scratch(r->scratch);
	hs_free_database(r->db);
	free(r->set);
	free(r);
}

static int
on_match(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags,
	void *ctx)
{
	uint32_t *first = ctx;

	*first = PSI_MIN(*first, (uint32_t)id);
	return 0;
}

uint32_t
regexes_find(struct regexes *r, const char *host, uint32_t len)
{
	uint32_t first = NONE;

	hs_scan(r->db, host, len, 0, r->scratch, on_match, &first);
	return first < r->cnt ? r->set[first] : NONE;
}
