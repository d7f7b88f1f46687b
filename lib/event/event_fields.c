/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of psi_event.h, made from event_fields.def, event_types.def and tls_sigschemes.def. */
#include "event_pvt.h"

#define GROUP(sym, text)
#define FIELD(sym, id, type, path, text)
#define OBJECTS(sym, id, group, path, text)
#define VIEW(sym, of, type, path, text)

/* Where each row stands, and where each group begins: a GROUP line takes no place of its own. */
enum {
#undef GROUP
#undef FIELD
#undef OBJECTS
#undef VIEW
#define GROUP(sym, text)		    BEGIN_##sym, BEFORE_##sym = BEGIN_##sym - 1,
#define FIELD(sym, id, type, path, text)    ROW_##sym,
#define OBJECTS(sym, id, group, path, text) ROW_##sym,
#define VIEW(sym, of, type, path, text)	    ROW_##sym,
#include "event_fields.def"
	ROW_CNT
};

static const struct psi_field_row rows[] = {
#undef GROUP
#undef FIELD
#undef OBJECTS
#undef VIEW
#define GROUP(sym, text)
#define FIELD(sym, id, type, path, text) {id, PSI_FT_##type, 0, false, #sym, path, text},
#define OBJECTS(sym, id, group, path, text) \
	{id, PSI_FT_OBJECTS, PSI_G_##group, false, #sym, path, text},
#define VIEW(sym, of, type, path, text) {PSI_F_##of, PSI_FT_##type, 0, true, #sym, path, text},
#include "event_fields.def"
};
_Static_assert(PSI_COUNT(rows) == ROW_CNT, "one row a field");

const uint16_t psi_field_begins[PSI_G_CNT + 1] = {
#undef GROUP
#undef FIELD
#undef OBJECTS
#undef VIEW
#define GROUP(sym, text) BEGIN_##sym,
#define FIELD(sym, id, type, path, text)
#define OBJECTS(sym, id, group, path, text)
#define VIEW(sym, of, type, path, text)
#include "event_fields.def"
	ROW_CNT};

/* An id that stands twice initialises its place twice, which the compiler reports. */
const uint8_t psi_field_store[PSI_FIELD_ID_MAX + 1] = {
#undef GROUP
#undef FIELD
#undef OBJECTS
#define GROUP(sym, text)
#define FIELD(sym, id, type, path, text)    [id] = 1 + PSI_FT_##type,
#define OBJECTS(sym, id, group, path, text) [id] = 1 + PSI_FT_OBJECTS,
#include "event_fields.def"
};

const uint16_t psi_field_row1[PSI_FIELD_ID_MAX + 1] = {
#undef FIELD
#undef OBJECTS
#define FIELD(sym, id, type, path, text)    [id] = 1 + ROW_##sym,
#define OBJECTS(sym, id, group, path, text) [id] = 1 + ROW_##sym,
#include "event_fields.def"
};

const uint8_t psi_field_len[PSI_FT_CNT] = {
#define FTYPE(sym, bytes, json, text) [PSI_FT_##sym] = bytes,
#include "event_types.def"
#undef FTYPE
};

const struct psi_field_row *
psi_field_rows(size_t *cnt)
{
	*cnt = ROW_CNT;
	return rows;
}

const struct psi_field_row *
psi_field_group_rows(enum psi_field_group g, size_t *cnt)
{
	*cnt = (size_t)(psi_field_begins[g + 1] - psi_field_begins[g]);
	return rows + psi_field_begins[g];
}

const struct psi_field_row *
psi_field_row_of(uint16_t id)
{
	if (id > PSI_FIELD_ID_MAX || !psi_field_row1[id])
		return NULL;
	return &rows[psi_field_row1[id] - 1];
}

unsigned int
psi_field_bytes(enum psi_field_type t)
{
	return psi_field_len[t];
}

const char *
psi_event_type_name(enum psi_event_type t)
{
	switch (t) {
	case PSI_EVENT_TLS_HANDSHAKE: return "tls_handshake";
	case PSI_EVENT_TLS_FLOW: return "tls_flow";
	case PSI_EVENT_FINDING: return "finding";
	case PSI_EVENT_STATS: return "stats";
	case PSI_EVENT_GAP: return "gap";
	}
	return NULL;
}

enum psi_field_group
psi_event_group(enum psi_event_type t)
{
	switch (t) {
	case PSI_EVENT_TLS_HANDSHAKE:
	case PSI_EVENT_TLS_FLOW: return PSI_G_FLOW;
	case PSI_EVENT_FINDING: return PSI_G_FINDING;
	case PSI_EVENT_STATS: return PSI_G_STATS;
	case PSI_EVENT_GAP: return PSI_G_GAP;
	}
	return PSI_G_HEAD;
}

const char *
psi_sigscheme_name(uint16_t id)
{
	switch (id) {
#define SIGSCHEME(value, name) \
	case value:            \
		return name;
#include "tls_sigschemes.def"
#undef SIGSCHEME
	}
	return NULL;
}
