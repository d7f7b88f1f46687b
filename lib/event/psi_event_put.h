/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_event_put.h: the writer's puts for those who name the field where they call: the compiler then knows its length and
 * padding, and nothing is looked up. What they do, and for which types, is said of their namesakes in psi_event.h.
 * Thread: as psi_event.h. Hot. */
#ifndef PSI_EVENT_PUT_H
#define PSI_EVENT_PUT_H

#include "psi_event.h"

#define PSI_FIELD_HDR 4u /* id and length */

/* psi_field_fixed: bytes of a value of field f; 0 when they vary, or for an id without a row. */
static inline unsigned int
psi_field_fixed(enum psi_field f)
{
	enum {
#define FTYPE(sym, bytes, json, text) LEN_##sym = (bytes),
#include "event_types.def"
#undef FTYPE
	};

	switch (f) {
#define GROUP(sym, text)
#define FIELD(sym, id, type, path, text) \
	case PSI_F_##sym:                \
		return LEN_##type;
#define OBJECTS(sym, id, group, path, text)
#define VIEW(sym, of, type, path, text)
#include "event_fields.def"
#undef GROUP
#undef FIELD
#undef OBJECTS
#undef VIEW
	default: return 0;
	}
}

/* psi_put_room appends a field's header and gives the place of its value, len bytes; NULL when it does not fit. The cap
 * is a multiple of 8 and every field one of 4, so that the 4 bytes which may be needed behind the last always fit. */
static inline uint8_t *
psi_put_room(struct psi_event_w *w, enum psi_field f, size_t len)
{
	uint8_t *p = w->buf + w->at;
	uint32_t size = PSI_FIELD_HDR + (((uint32_t)len + 3) & ~3u), hdr;

	if (psi_unlikely(len > UINT16_MAX || w->skipped || size > w->cap - w->at)) {
		w->cut = true;
		return NULL;
	}
	hdr = (uint32_t)f | (uint32_t)len << 16;
	memset(p + size - 4, 0, 4);
	memcpy(p, &hdr, 4);
	w->at += size;
	return p + PSI_FIELD_HDR;
}

/* psi_put_fixed: v as a value of len bytes: 1, 2, 4 or 8. */
static inline void
psi_put_fixed(struct psi_event_w *w, enum psi_field f, unsigned int len, uint64_t v)
{
	uint8_t *p = psi_put_room(w, f, len);

	PSI_ASSERT(len, "a field of fixed size");
	if (psi_unlikely(!p))
		return;
	if (len == 8) {
		memcpy(p, &v, 8);
	} else { /* 1, 2 or 4 bytes, and the zeros behind them: one store */
		uint32_t v32 = (uint32_t)v & (UINT32_MAX >> (32 - 8 * len));

		memcpy(p, &v32, 4);
	}
}

static inline void
psi_put_u64(struct psi_event_w *w, enum psi_field f, uint64_t v)
{
	psi_put_fixed(w, f, psi_field_fixed(f), v);
}

static inline void
psi_put_f64(struct psi_event_w *w, enum psi_field f, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	psi_put_fixed(w, f, sizeof(bits), bits);
}

static inline void
psi_put_bytes(struct psi_event_w *w, enum psi_field f, const void *src, size_t len)
{
	uint8_t *p = psi_put_room(w, f, len);

	if (p && len)
		memcpy(p, src, len);
}

static inline void
psi_put_str(struct psi_event_w *w, enum psi_field f, const char *s)
{
	if (s)
		psi_put_bytes(w, f, s, strlen(s));
}

#endif
