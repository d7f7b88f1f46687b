/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_pins_import.h: the files in which applications carry their pins -> the `pins:` section of a configuration.
 *
 * Formats, told by content unless named:
 *   android   network security configuration, a file in res/xml, as text (developer.android.com, "Network security configuration")
 *   ios       Info.plist, XML or binary: NSAppTransportSecurity/NSPinnedDomains (Apple, "Information Property List") and
 *             TSKConfiguration/TSKPinnedDomains (TrustKit, docs/getting-started.md)
 *   okhttp    Java or Kotlin source with CertificatePinner.Builder().add("host", "sha256/...") (OkHttp, class CertificatePinner)
 *   hpkp      lines with pin-sha256="..." (RFC 7469 section 2.1)
 *   electron  JSON of electron-ssl-pinning, [{"domain", "fingerprints"}], of whole certificates; and {"host": ["sha256/..."]}
 *   pem       certificates, PEM or DER
 * What cannot be said in a configuration, or is not supported (SHA-1), is told as a note, on the set and to the caller, and
 * never dropped in silence.
 * Every file is hostile: bounded in size and depth, no entity is expanded, nothing is fetched.
 * Thread: one list, one thread. Allocates. */
#ifndef PSI_PINS_IMPORT_H
#define PSI_PINS_IMPORT_H

#include "psi_pins.h"

#include <stdio.h>

#define PSI_PINS_IMPORT_MAX (16u << 20) /* bytes of a file */

enum psi_pins_format {
	PSI_PINS_FORMAT_AUTO,
	PSI_PINS_FORMAT_ANDROID,
	PSI_PINS_FORMAT_IOS,
	PSI_PINS_FORMAT_OKHTTP,
	PSI_PINS_FORMAT_HPKP,
	PSI_PINS_FORMAT_ELECTRON,
	PSI_PINS_FORMAT_PEM,
	PSI_PINS_FORMAT_CNT
};

/* psi_pins_format_name: "android"; NULL without one. psi_pins_format_of: by name; _CNT when there is none. */
const char *psi_pins_format_name(enum psi_pins_format f);
enum psi_pins_format psi_pins_format_of(const char *name);

struct psi_pins_import {
	const char *file; /* for messages and comments */
	const uint8_t *p; /* its bytes */
	size_t len;
	enum psi_pins_format format;
	const char *host; /* for formats that name none (hpkp, pem); NULL: not given */
	void (*note)(void *ctx,
		const char *text); /* "FILE:LINE: what the operator should know"; may be NULL */
	void *ctx;
};

struct psi_pins_list;

/* psi_pins_list_open: an empty list; NULL without memory. psi_pins_list_close: NULL is fine. */
struct psi_pins_list *psi_pins_list_open(void);
void psi_pins_list_close(struct psi_pins_list *l);

/* psi_pins_import adds what a file holds. Returns how many pinsets, or a negative errno with the reason in err, with line and
 * column where the format has them; the list is then as it was. A file that holds no pins is an error. */
int psi_pins_import(struct psi_pins_list *l, const struct psi_pins_import *in, struct psi_err *err);

/* psi_pins_list_write prints the list as YAML. prefix goes before each name; NULL: nothing. Returns 0, or -errno. */
int psi_pins_list_write(const struct psi_pins_list *l, const char *prefix, FILE *out);

#endif
