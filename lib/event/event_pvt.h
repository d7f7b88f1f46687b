/* SPDX-License-Identifier: BSD-3-Clause */
/* event_pvt.h: what writer and reader share. */
#ifndef PSI_EVENT_PVT_H
#define PSI_EVENT_PVT_H

#include "psi_event.h"

#define FIELD_HDR	 4u  /* id and length */
#define PSI_FIELD_ID_MAX 511 /* highest id that event_fields.def may use */

/* How an id is stored: 1 + enum psi_field_type, 0 for an id without a row. */
extern const uint8_t psi_field_store[PSI_FIELD_ID_MAX + 1];
/* The row of an id: 1 + where it stands in psi_field_rows, 0 for an id without a row. Where the rows of each group begin, and
 * those of the last end. */
extern const uint16_t psi_field_row1[PSI_FIELD_ID_MAX + 1];
extern const uint16_t psi_field_begins[PSI_G_CNT + 1];
/* Bytes of a value of each type, 0 when they vary. */
extern const uint8_t psi_field_len[PSI_FT_CNT];

/* A field's bytes, header and padding included. */
static inline uint32_t
field_size(uint32_t len)
{
	return FIELD_HDR + ((len + 3) & ~3u);
}

#endif
