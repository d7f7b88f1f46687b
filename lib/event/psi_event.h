/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_event.h: an event as bytes: what the engine says to the world. Self-contained, position independent, read by
 * other processes and other versions: a header, then fields of id, length and value. A reader passes over ids that
 * it does not know. Every id is a row of event_fields.def; docs/events.md and the JSON keys come from there too.
 *
 * A field is id and length, 2 bytes each, the value, and zeros up to a multiple of 4. Numbers are little endian.
 * Strings are bytes as they came from the wire: whoever prints them escapes them. Numbers that have a name (cipher
 * suite, alert code) travel as numbers; whoever prints them looks the name up.
 * Thread: a writer or reader is used by one thread at a time; the bytes themselves are constant once finished. */
#ifndef PSI_EVENT_H
#define PSI_EVENT_H

#include "psi_base.h"
#include "psi_vocab.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "events are read and written in place");

#define PSI_EVENT_MAX	    65528 /* bytes of a whole event at most */
#define PSI_EVENT_VERSION   1
#define PSI_EVENT_DEPTH_MAX 4 /* objects inside objects */

enum psi_event_type {
	PSI_EVENT_TLS_HANDSHAKE = 1,
	PSI_EVENT_TLS_FLOW = 2,
	PSI_EVENT_FINDING = 3,
	PSI_EVENT_STATS = 4,
	PSI_EVENT_GAP = 5,
};
const char *psi_event_type_name(enum psi_event_type t); /* "tls_flow"; NULL for another value */

/* How a value is stored and printed: event_types.def. */
enum psi_field_type {
#define FTYPE(sym, bytes, json, text) PSI_FT_##sym,
#include "event_types.def"
#undef FTYPE
	PSI_FT_CNT
};

#define FIELD(sym, id, type, path, text)
#define OBJECTS(sym, id, group, path, text)
#define VIEW(sym, of, type, path, text)
#define GROUP(sym, text)

/* What a field stands in: an event, or an object inside one. */
enum psi_field_group {
#undef GROUP
#define GROUP(sym, text) PSI_G_##sym,
#include "event_fields.def"
#undef GROUP
#define GROUP(sym, text)
	PSI_G_CNT
};

/* One row a field. path is where it stands in JSON, parts joined by dots, relative to the object that holds it. */
enum psi_field {
	PSI_F_NONE = 0,
#undef FIELD
#undef OBJECTS
#define FIELD(sym, id, type, path, text)    PSI_F_##sym = id,
#define OBJECTS(sym, id, group, path, text) PSI_F_##sym = id,
#include "event_fields.def"
	/* What views of the header refer to. Never in a body. */
	PSI_F_HEAD_TIME = 0xfff0,
	PSI_F_HEAD_TYPE,
	PSI_F_HEAD_SEQ,
	PSI_F_HEAD_CUT,
};
#undef FIELD
#undef OBJECTS
#undef VIEW
#undef GROUP

struct psi_field_row {
	uint16_t id;  /* enum psi_field; of a view: the field it shows */
	uint8_t type; /* enum psi_field_type; of a view: the type it is shown as */
	uint8_t of;   /* OBJECTS: the group of the fields inside */
	bool view;    /* not stored: another look at field id */
	const char *symbol, *path, *text;
};

/* psi_field_rows: the table in the order of the .def, *cnt rows. psi_field_group_rows: those of one group.
 * psi_field_row_of: the row that stores an id; NULL for an unknown id. Static storage. */
const struct psi_field_row *psi_field_rows(size_t *cnt);
const struct psi_field_row *psi_field_group_rows(enum psi_field_group g, size_t *cnt);
const struct psi_field_row *psi_field_row_of(uint16_t id);

/* psi_field_bytes: bytes of a stored value of that type, 0 when they vary.
 * psi_event_group: what the fields of an event of type t are fields of. */
unsigned int psi_field_bytes(enum psi_field_type t);
enum psi_field_group psi_event_group(enum psi_event_type t);

/* psi_sigscheme_name: IANA name of a TLS signature scheme; NULL when not registered. */
const char *psi_sigscheme_name(uint16_t id);

/* The header of an event, 24 bytes. */
struct psi_event {
	uint32_t len;	  /* whole event, header included, a multiple of 8 */
	uint8_t type;	  /* enum psi_event_type */
	uint8_t version;  /* PSI_EVENT_VERSION */
	uint16_t flags;	  /* enum psi_event_flag */
	uint64_t seq;	  /* without holes in what the engine wrote */
	uint64_t time_ns; /* of the record, since 1970 */
	uint8_t body[];
};
enum psi_event_flag { PSI_EVENT_CUT = 1 /* fields were left out for want of room */ };
_Static_assert(sizeof(struct psi_event) == 24, "the header leaves the machine");

/* ---- writing: on the engine's path ---- */
struct psi_event_w {
	uint8_t *buf; /* the caller's, 8-aligned */
	uint32_t cap, at;
	uint16_t depth;	  /* objects open */
	uint16_t skipped; /* objects open that did not fit: what is put into them is left out */
	uint32_t open[PSI_EVENT_DEPTH_MAX]; /* where the objects in the making begin */
	bool cut;
};

/* begin ... puts ... end. A field that does not fit is left out and the event is marked CUT; nothing fails midway.
 * Fields may be put in any order; elements of an array are put in theirs. A field that is not an array is put once.
 * begin:     buf is 8-aligned and has cap bytes, at least 64; it belongs to the writer until end.
 * put_u64:   every type of fixed size but F64; v is cut to its size.
 * put_bytes: STR, STRS, IP, FINGERPRINT, SERIAL, SHA256, BASE64; p is read during the call only.
 * put_str:   the same of a NUL-terminated string; NULL: nothing is put.
 * put_fields: finished fields, len bytes, as another writer laid them out in its body.
 * put_u16s:  U16S, cnt values.
 * put_count: COUNTS, one member.
 * open, close: OBJECTS, one element; what is put between stands inside. They nest at most PSI_EVENT_DEPTH_MAX deep.
 * end:       returns the finished event, inside buf. */
void psi_event_begin(struct psi_event_w *w, void *buf, uint32_t cap, enum psi_event_type type);
void psi_event_put_u64(struct psi_event_w *w, enum psi_field f, uint64_t v);
void psi_event_put_f64(struct psi_event_w *w, enum psi_field f, double v);
void psi_event_put_bytes(struct psi_event_w *w, enum psi_field f, const void *p, size_t len);
void psi_event_put_str(struct psi_event_w *w, enum psi_field f, const char *s);
void psi_event_put_fields(struct psi_event_w *w, const void *fields, size_t len);
void psi_event_put_u16s(struct psi_event_w *w, enum psi_field f, const uint16_t *v, size_t cnt);
void psi_event_put_count(struct psi_event_w *w, enum psi_field f, const char *name, uint64_t v);
void psi_event_open(struct psi_event_w *w, enum psi_field f);
void psi_event_close(struct psi_event_w *w);
struct psi_event *psi_event_end(struct psi_event_w *w, uint64_t seq, uint64_t time_ns);

/* ---- reading: hostile bytes are expected ---- */
struct psi_event_r {
	const uint8_t *p, *end;
};
struct psi_value {
	uint16_t id;
	uint16_t len;
	const uint8_t *p; /* inside the event, 4-aligned when the event is */
};

/* psi_event_check: PSI_OK when the first bytes are a whole, well-formed event of a version and type that can be read;
 * SHORT, MALFORMED or UNSUPPORTED otherwise. All nested fields are checked; after OK the walk cannot fail.
 * p must be 8-aligned. */
int psi_event_check(const void *p, size_t len);
void psi_event_fields(const struct psi_event *e, struct psi_event_r *r);
/* psi_event_next: the next field; false behind the last. psi_event_enter: the fields inside an OBJECTS value. */
bool psi_event_next(struct psi_event_r *r, struct psi_value *v);
void psi_event_enter(const struct psi_value *v, struct psi_event_r *r);
/* psi_event_find: the first field of that id, at the level r stands on; r is not moved. */
bool psi_event_find(const struct psi_event_r *r, enum psi_field f, struct psi_value *v);
/* psi_event_sort: what r stands on, by rows of a group: bit i % 64 of has[i / 64] is set when row i of the group has a
 * field, at[i] bytes behind r->p the first of cnt[i]. A view has what its field has, and no bit. r is not moved. */
#define PSI_GROUP_ROWS_MAX 128 /* rows of the largest group: a multiple of 64 */
struct psi_sorted {
	uint64_t has[PSI_GROUP_ROWS_MAX / 64];
	uint16_t at[PSI_GROUP_ROWS_MAX];
	uint16_t cnt[PSI_GROUP_ROWS_MAX]; /* more than 1: elements of an array */
};
void psi_event_sort(const struct psi_event_r *r, enum psi_field_group g, struct psi_sorted *s);
/* Values as numbers: psi_value_u64 takes 1, 2, 4 or 8 bytes; another length reads as 0. */
uint64_t psi_value_u64(const struct psi_value *v);
double psi_value_f64(const struct psi_value *v);
/* psi_value_count: the number of a COUNTS member; its name is *name, *len bytes. */
uint64_t psi_value_count(const struct psi_value *v, const char **name, size_t *len);

#endif
