/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_base.h: what every module shares: result codes, error chains, the two directions of a flow, small macros.
 * Out of scope: anything that allocates, logs or knows a protocol.
 * Thread: everything here is free of state; any thread. */
#ifndef PSI_BASE_H
#define PSI_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define psi_likely(x)	__builtin_expect(!!(x), 1)
#define psi_unlikely(x) __builtin_expect(!!(x), 0)
#define PSI_COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define PSI_MIN(a, b)	((a) < (b) ? (a) : (b))
#define PSI_MAX(a, b)	((a) > (b) ? (a) : (b))

/* A broken promise between our own functions, with the invariant as its text. With NDEBUG it is checked by the compiler
 * only, so that what it names does not become unused. */
#ifdef NDEBUG
#define PSI_ASSERT(cond, invariant) ((void)sizeof((cond) && (invariant)))
#else
#define PSI_ASSERT(cond, invariant) assert((cond) && (invariant))
#endif

/* Result codes: 0 is success, negative values come from errors.def. */
enum psi_rc {
	PSI_OK = 0,
#define ERR(sym, value, text) PSI_E_##sym = value,
#include "errors.def"
#undef ERR
};

/* psi_rc_name: the symbol of a code ("MALFORMED"), "OK" for 0, "?" for a value not in the table.
 * psi_rc_text: its sentence. Static storage, never NULL. */
const char *psi_rc_name(int rc);
const char *psi_rc_text(int rc);

/* The two directions of a TLS flow. The client is who sent, or would send, the ClientHello. */
enum psi_dir { PSI_C2S = 0, PSI_S2C = 1 };
#define PSI_DIR_CNT 2

/* Set-up errors travel up as one line of text, each layer putting its context in front. The caller owns it. */
struct psi_err {
	char text
		[512]; /* NUL-terminated, empty if nothing went wrong, cut with "..." when longer */
};

/* psi_err_set writes the text; psi_err_wrap puts "context: " before what is there. Both always return rc, so that
 * `return psi_err_set(err, -EINVAL, "...")` reads well. err may be NULL. Any thread. */
int psi_err_set(struct psi_err *err, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int psi_err_wrap(struct psi_err *err, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
