/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer. Hot: the collector writes every event through it. */
#include "event_pvt.h"
#include "psi_event_put.h"

void
psi_event_begin(struct psi_event_w *w, void *buf, uint32_t cap, enum psi_event_type type)
{
	struct psi_event *e = buf;

	PSI_ASSERT(cap >= 64 && (uintptr_t)buf % 8 == 0, "room for a header, aligned");
	*w = (struct psi_event_w){.buf = buf, .at = sizeof(*e)};
	w->cap = PSI_MIN(cap, (uint32_t)PSI_EVENT_MAX) & ~7u;
	*e = (struct psi_event){.type = (uint8_t)type, .version = PSI_EVENT_VERSION};
}

static bool
stored_as(enum psi_field f, enum psi_field_type t)
{
	return f <= PSI_FIELD_ID_MAX && psi_field_store[f] == 1 + t;
}

void
psi_event_put_u64(struct psi_event_w *w, enum psi_field f, uint64_t v)
{
	unsigned int store = f <= PSI_FIELD_ID_MAX ? psi_field_store[f] : 0;
	unsigned int len = store ? psi_field_len[store - 1] : 0;

	PSI_ASSERT(len, "a field of fixed size");
	if (psi_likely(len))
		psi_put_fixed(w, f, len, v);
}

void
psi_event_put_f64(struct psi_event_w *w, enum psi_field f, double v)
{
	PSI_ASSERT(stored_as(f, PSI_FT_F64), "a field of type F64");
	psi_put_f64(w, f, v);
}

void
psi_event_put_bytes(struct psi_event_w *w, enum psi_field f, const void *src, size_t len)
{
	PSI_ASSERT(f <= PSI_FIELD_ID_MAX && psi_field_store[f] &&
			   !psi_field_len[psi_field_store[f] - 1],
		"a field of varying size");
	psi_put_bytes(w, f, src, len);
}

void
psi_event_put_str(struct psi_event_w *w, enum psi_field f, const char *s)
{
	if (s)
		psi_event_put_bytes(w, f, s, strlen(s));
}

void
psi_event_put_fields(struct psi_event_w *w, const void *fields, size_t len)
{
	PSI_ASSERT(len % 4 == 0, "fields are multiples of 4");
	if (w->skipped || len > w->cap - w->at) {
		w->cut = true;
		return;
	}
	memcpy(w->buf + w->at, fields, len);
	w->at += (uint32_t)len;
}

void
psi_event_put_u16s(struct psi_event_w *w, enum psi_field f, const uint16_t *v, size_t cnt)
{
	PSI_ASSERT(stored_as(f, PSI_FT_U16S), "a field of type U16S");
	psi_event_put_bytes(w, f, v, cnt * sizeof(*v));
}

void
psi_event_put_count(struct psi_event_w *w, enum psi_field f, const char *name, uint64_t v)
{
	size_t len = strlen(name);
	uint8_t *p;

	PSI_ASSERT(stored_as(f, PSI_FT_COUNTS), "a field of type COUNTS");
	p = psi_put_room(w, f, sizeof(v) + len);
	if (p) {
		memcpy(p, &v, sizeof(v));
		memcpy(p + sizeof(v), name, len);
	}
}

void
psi_event_open(struct psi_event_w *w, enum psi_field f)
{
	uint32_t at = w->at;

	PSI_ASSERT(stored_as(f, PSI_FT_OBJECTS), "a field of type OBJECTS");
	PSI_ASSERT(w->depth < PSI_EVENT_DEPTH_MAX, "objects nest to the bound");
	if (w->depth == PSI_EVENT_DEPTH_MAX || !psi_put_room(w, f, 0)) {
		w->cut = true;
		w->skipped++;
		return;
	}
	w->open[w->depth++] = at;
}

void
psi_event_close(struct psi_event_w *w)
{
	uint32_t at, len;

	if (w->skipped) {
		w->skipped--;
		return;
	}
	PSI_ASSERT(w->depth, "open and close go in pairs");
	if (!w->depth)
		return;
	at = w->open[--w->depth];
	len = w->at - at - PSI_FIELD_HDR;
	w->buf[at + 2] = (uint8_t)len;
	w->buf[at + 3] = (uint8_t)(len >> 8);
}

struct psi_event *
psi_event_end(struct psi_event_w *w, uint64_t seq, uint64_t time_ns)
{
	struct psi_event *e = (struct psi_event *)(void *)w->buf;

	PSI_ASSERT(!w->depth && !w->skipped, "every object is closed");
	while (w->depth || w->skipped)
		psi_event_close(w);
	if (w->at % 8) { /* id 0: the end */
		memset(w->buf + w->at, 0, 4);
		w->at += 4;
	}
	e->len = w->at;
	e->flags = w->cut ? PSI_EVENT_CUT : 0;
	e->seq = seq;
	e->time_ns = time_ns;
	return e;
}
