/* SPDX-License-Identifier: BSD-3-Clause */
/* export_pvt.h: what the writers share: UTF-8 of any origin, numbers and addresses as text. */
#ifndef PSI_EXPORT_PVT_H
#define PSI_EXPORT_PVT_H

#include "psi_base.h"

/* utf8_next takes the next character of [p,end), p < end. Returns the bytes taken, at least 1. *cp is the code point, or
 * UINT32_MAX when these bytes are not UTF-8: they are then one "maximal subpart" (Unicode 3.9), no character crosses its end. */
unsigned int utf8_next(const uint8_t *p, const uint8_t *end, uint32_t *cp);

/* cp_is_unsafe: a control character, or one that is invisible or changes the direction of the text around it: never to
 * be sent to a terminal as it is. */
bool cp_is_unsafe(uint32_t cp);

/* cp_width: columns of a terminal: 0 for combining marks, 2 for East Asian wide characters, else 1. */
unsigned int cp_width(uint32_t cp);

/* Of clean text (psi_text_clean). text_cols: its columns. text_cut_at: the bytes of its first columns, at most cols;
 * *used: how many they are. text_middle cuts it, in place, to at most cols columns, with "…" for what is left out of
 * its middle; text_tail with "…" at its end. Both return its columns. */
unsigned int text_cols(const char *s);
size_t text_cut_at(const char *s, size_t len, unsigned int cols, unsigned int *used);
unsigned int text_middle(char *s, unsigned int cols);
unsigned int text_tail(char *s, unsigned int cols);

/* Each writes at out and returns the characters written; no NUL. Room: fmt_u64 20, fmt_u16 8, fmt_ip 45, fmt_time 27,
 * fmt_date 20. fmt_ip: len 4 or 16. fmt_date clamps to the years 0 to 9999. */
size_t fmt_u64(char *out, uint64_t v);
size_t fmt_u16(char *out, uint16_t v);
size_t fmt_ip(char *out, const uint8_t *p, size_t len);
size_t fmt_time(char *out, uint64_t ns);
size_t fmt_date(char *out, int64_t s);

#endif
