/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_base.h"

#include <stdarg.h>
#include <stdio.h>

const char *
psi_rc_name(int rc)
{
	switch (rc) {
	case PSI_OK: return "OK";
#define ERR(sym, value, text) \
	case value:           \
		return #sym;
#include "errors.def"
#undef ERR
	}
	return "?";
}

const char *
psi_rc_text(int rc)
{
	switch (rc) {
	case PSI_OK: return "success";
#define ERR(sym, value, text) \
	case value:           \
		return text;
#include "errors.def"
#undef ERR
	}
	return "unknown code";
}

/* A text that did not fit ends in "..." so that nobody takes the cut for the whole. */
static void
mark_cut(struct psi_err *err, size_t wanted)
{
	if (wanted >= sizeof(err->text))
		memcpy(err->text + sizeof(err->text) - 4, "...", 4);
}

int
psi_err_set(struct psi_err *err, int rc, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!err)
		return rc;
	va_start(ap, fmt);
	n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	mark_cut(err, n < 0 ? 0 : (size_t)n);
	return rc;
}

int
psi_err_wrap(struct psi_err *err, int rc, const char *fmt, ...)
{
	char inner[sizeof(err->text)];
	size_t used, inner_len;
	va_list ap;
	int n;

	if (!err)
		return rc;
	memcpy(inner, err->text, sizeof(inner));
	va_start(ap, fmt);
	n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strnlen(err->text, sizeof(err->text) - 1);
	inner_len = strnlen(inner, sizeof(inner) - 1);
	if (n >= 0 && inner_len)
		snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
	mark_cut(err, (n < 0 ? 0 : (size_t)n) + 2 + inner_len);
	return rc;
}
