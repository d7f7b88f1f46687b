/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader: for bytes of any origin. */
#include "event_pvt.h"

/* A field's id and length; false when they, or the value they announce, do not fit before end. */
static bool
field_at(const uint8_t *p, const uint8_t *end, struct psi_value *v)
{
	if ((size_t)(end - p) < FIELD_HDR)
		return false;
	memcpy(&v->id, p, 2);
	memcpy(&v->len, p + 2, 2);
	v->p = p + FIELD_HDR;
	return field_size(v->len) <= (size_t)(end - p);
}

/* Whether the length of a value suits its type. An id without a row may have any. */
static bool
len_fits(const struct psi_value *v)
{
	unsigned int store = v->id <= PSI_FIELD_ID_MAX ? psi_field_store[v->id] : 0;

	if (!store)
		return true;
	if (psi_field_len[store - 1])
		return v->len == psi_field_len[store - 1];
	switch (store - 1) {
	case PSI_FT_IP: return v->len == 4 || v->len == 16;
	case PSI_FT_U16S: return v->len % 2 == 0;
	case PSI_FT_COUNTS: return v->len >= 8;
	case PSI_FT_OBJECTS: return v->len % 4 == 0;
	}
	return true;
}

static bool
is_object(const struct psi_value *v)
{
	return v->id <= PSI_FIELD_ID_MAX && psi_field_store[v->id] == 1 + PSI_FT_OBJECTS;
}

/* The fields in [p,end), a multiple of 4 bytes. Only the event itself (depth 0) may end in a field of id 0. */
static bool
fields_are_sound(const uint8_t *p, const uint8_t *end, unsigned int depth)
{
	struct psi_value v;

	for (; p < end; p += field_size(v.len)) {
		if (!field_at(p, end, &v))
			return false;
		if (v.id == PSI_F_NONE)
			return depth == 0 && v.len == 0 && v.p == end;
		if (!len_fits(&v))
			return false;
		if (is_object(&v) && (depth == PSI_EVENT_DEPTH_MAX ||
					     !fields_are_sound(v.p, v.p + v.len, depth + 1)))
			return false;
	}
	return true;
}

int
psi_event_check(const void *p, size_t len)
{
	const struct psi_event *e = p;

	PSI_ASSERT((uintptr_t)p % 8 == 0, "events are aligned");
	if (len < sizeof(*e))
		return PSI_E_SHORT;
	if (e->len < sizeof(*e) || e->len > PSI_EVENT_MAX || e->len % 8)
		return PSI_E_MALFORMED;
	if (e->version != PSI_EVENT_VERSION || !psi_event_type_name(e->type))
		return PSI_E_UNSUPPORTED;
	if (e->len > len)
		return PSI_E_SHORT;
	if (!fields_are_sound(e->body, (const uint8_t *)p + e->len, 0))
		return PSI_E_MALFORMED;
	return PSI_OK;
}

void
psi_event_fields(const struct psi_event *e, struct psi_event_r *r)
{
	r->p = e->body;
	r->end = (const uint8_t *)e + e->len;
}

bool
psi_event_next(struct psi_event_r *r, struct psi_value *v)
{
	if (!field_at(r->p, r->end, v) || v->id == PSI_F_NONE)
		return false;
	r->p += field_size(v->len);
	return true;
}

void
psi_event_enter(const struct psi_value *v, struct psi_event_r *r)
{
	r->p = v->p;
	r->end = v->p + v->len;
}

bool
psi_event_find(const struct psi_event_r *r, enum psi_field f, struct psi_value *v)
{
	struct psi_event_r at = *r;

	while (psi_event_next(&at, v))
		if (v->id == f)
			return true;
	return false;
}

void
psi_event_sort(const struct psi_event_r *r, enum psi_field_group g, struct psi_sorted *s)
{
	unsigned int begin = psi_field_begins[g], cnt = psi_field_begins[g + 1] - begin;
	struct psi_value one;

	memset(s->has, 0, sizeof(s->has));
	for (const uint8_t *p = r->p; field_at(p, r->end, &one) && one.id != PSI_F_NONE;
		p += field_size(one.len)) {
		unsigned int row1 = one.id <= PSI_FIELD_ID_MAX ? psi_field_row1[one.id] : 0;
		unsigned int i = row1 - 1 - begin; /* of an id without a row: more than any cnt */
		uint64_t bit = 1ull << i % 64;

		if (i >= cnt)
			continue;
		if (s->has[i / 64] & bit) {
			s->cnt[i]++;
			continue;
		}
		s->has[i / 64] |= bit;
		s->at[i] = (uint16_t)(p - r->p);
		s->cnt[i] = 1;
	}
}

uint64_t
psi_value_u64(const struct psi_value *v)
{
	uint64_t n = 0;

	if (v->len == 1 || v->len == 2 || v->len == 4 || v->len == 8)
		memcpy(&n, v->p, v->len);
	return n;
}

double
psi_value_f64(const struct psi_value *v)
{
	double d = 0;

	if (v->len == sizeof(d))
		memcpy(&d, v->p, sizeof(d));
	return d;
}

uint64_t
psi_value_count(const struct psi_value *v, const char **name, size_t *len)
{
	uint64_t n = 0;

	*name = "";
	*len = 0;
	if (v->len < sizeof(n))
		return 0;
	memcpy(&n, v->p, sizeof(n));
	*name = (const char *)v->p + sizeof(n);
	*len = v->len - sizeof(n);
	return n;
}
