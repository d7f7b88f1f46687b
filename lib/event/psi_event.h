/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_event.h: an event as bytes: what the engine says to the world. Self-contained, position independent, read by
 * other processes and other versions: a header, then fields of id, length and value. A reader passes over ids that
 * it does not know. Every id is a row of event_fields.def; docs/events.md and the JSON keys come from there too.
 *
 * Numbers are little endian whatever the machine. Strings are bytes as they came from the wire: whoever prints them
 * escapes them.
 * Thread: a writer or reader is used by one thread at a time; the bytes themselves are constant once finished. */
#ifndef PSI_EVENT_H
#define PSI_EVENT_H

#include "psi_base.h"
#include "psi_vocab.h"

#define PSI_EVENT_MAX	  65528 /* bytes of a whole event at most */
#define PSI_EVENT_VERSION 1

enum psi_event_type {
	PSI_EVENT_TLS_HANDSHAKE = 1,
	PSI_EVENT_TLS_FLOW = 2,
	PSI_EVENT_FINDING = 3,
	PSI_EVENT_STATS = 4,
	PSI_EVENT_GAP = 5,
};
const char *psi_event_type_name(enum psi_event_type t); /* "tls_flow" */

/* How a value is stored. */
enum psi_field_type {
	PSI_FT_U64,   /* 8 bytes */
	PSI_FT_F64,   /* 8 bytes, IEEE 754 */
	PSI_FT_BOOL,  /* 1 byte */
	PSI_FT_STR,   /* bytes */
	PSI_FT_TIME,  /* 8 bytes, ns since 1970 */
	PSI_FT_IP,    /* 4 or 16 bytes */
	PSI_FT_MSGS,  /* 4 bytes, enum psi_msg bits: printed as array of names */
	PSI_FT_FLAGS, /* 8 bytes, PSI_FLAG_* bits: likewise */
	PSI_FT_CERTS, /* 4 bytes, enum psi_cert_status bits: likewise; 0 is ["NOT_CHECKED"] */
	PSI_FT_HEX32, PSI_FT_HEX64, PSI_FT_HEX16, /* printed as "0x..." */
	PSI_FT_FINGERPRINT, /* bytes, printed as hex with colons */
	PSI_FT_SHA256,	    /* bytes, printed as plain hex */
	PSI_FT_BASE64,	    /* bytes, printed as base64 */
	PSI_FT_U16S,  /* array of 2-byte numbers */
	PSI_FT_STRS,  /* one string of an array: the field is repeated, in order */
	PSI_FT_OBJ,   /* fields of its own inside: one object */
	PSI_FT_OBJS,  /* likewise: one element of an array of objects, the field is repeated */
};

/* One row a field. path is where it stands in JSON, parts joined by dots, relative to the object that holds it. */
enum psi_field {
#define FIELD(sym, id, type, path, text) PSI_F_##sym = id,
#include "event_fields.def"
#undef FIELD
};

struct psi_field_row {
	uint16_t id;
	uint8_t type;
	const char *symbol, *path, *text;
};

/* psi_field_rows: the table in the order of the .def, *cnt rows. psi_field_row_of: one row; NULL for an unknown id. */
const struct psi_field_row *psi_field_rows(size_t *cnt);
const struct psi_field_row *psi_field_row_of(uint16_t id);

/* The header of an event, 24 bytes. */
struct psi_event {
	uint32_t len;	  /* whole event, header included, a multiple of 8 */
	uint8_t type;	  /* enum psi_event_type */
	uint8_t version;  /* PSI_EVENT_VERSION */
	uint16_t flags;	  /* enum psi_event_flag */
	uint64_t seq;	  /* without holes in what the engine wrote */
	uint64_t time_ns; /* of the record */
	uint8_t body[];
};
enum psi_event_flag { PSI_EVENT_CUT = 1 /* fields were left out for want of room */ };

/* ---- writing ---- */
struct psi_event_w {
	uint8_t *buf; /* the caller's, 8-aligned */
	uint32_t cap, at, depth;
	uint32_t open[4]; /* where the objects in the making begin */
	bool cut;
};

/* begin ... puts ... end. A field that does not fit is left out and the event is marked CUT; nothing fails midway.
 * psi_event_end returns the finished event, inside buf. Objects nest at most 4 deep. */
void psi_event_begin(struct psi_event_w *w, void *buf, uint32_t cap, enum psi_event_type type);
void psi_event_put_u64(struct psi_event_w *w, enum psi_field f, uint64_t v); /* every number type and TIME, BOOL */
void psi_event_put_f64(struct psi_event_w *w, enum psi_field f, double v);
void psi_event_put_bytes(struct psi_event_w *w, enum psi_field f, const void *p, size_t len);
void psi_event_put_str(struct psi_event_w *w, enum psi_field f, const char *s); /* NULL: nothing is put */
void psi_event_open(struct psi_event_w *w, enum psi_field f); /* OBJ or OBJS */
void psi_event_close(struct psi_event_w *w);
struct psi_event *psi_event_end(struct psi_event_w *w, uint64_t seq, uint64_t time_ns);

/* ---- reading: hostile bytes are expected ---- */
struct psi_event_r {
	const uint8_t *p, *end;
};
struct psi_value {
	uint16_t id;
	uint16_t len;
	const uint8_t *p; /* inside the event, unaligned */
};

/* psi_event_check: PSI_OK when the first bytes are a whole, well-formed event of a version that can be read;
 * SHORT, MALFORMED or UNSUPPORTED otherwise. All nested fields are checked; after OK the walk cannot fail. */
int psi_event_check(const void *p, size_t len);
void psi_event_fields(const struct psi_event *e, struct psi_event_r *r);
/* psi_event_next: the next field; false behind the last. psi_event_enter: the fields inside an object value. */
bool psi_event_next(struct psi_event_r *r, struct psi_value *v);
void psi_event_enter(const struct psi_value *v, struct psi_event_r *r);
/* psi_event_find: the first field of that id, at the level r stands on; r is not moved. */
bool psi_event_find(const struct psi_event_r *r, enum psi_field f, struct psi_value *v);
/* Values as numbers; a value of another length than the type's reads as 0. */
uint64_t psi_value_u64(const struct psi_value *v);
double psi_value_f64(const struct psi_value *v);

#endif
