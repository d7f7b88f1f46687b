/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_tls_fp.h: fingerprints of a ClientHello and a ServerHello: JA3, JA3S (Salesforce, BSD-3-Clause) and JA4
 * (FoxIO, the client fingerprint only, BSD-3-Clause). JA4S, JA4X and the rest of JA4+ are not computed: their licence
 * forbids resale. GREASE values (RFC 8701) are dropped from every list.
 * Thread: pure functions; any thread. Not hot: results are cached per distinct hello by the caller. */
#ifndef PSI_TLS_FP_H
#define PSI_TLS_FP_H

#include "psi_tls.h"

#define PSI_JA3_STR_MAX 3200 /* longest JA3 string of PSI_TLS_LIST_MAX values, with its NUL */
#define PSI_JA4_MAX	40   /* JA4 is 36 characters */

/* psi_tls_ja3 / _ja3s: the string (NUL-terminated) and its MD5 in hex (32 characters and NUL).
 * Return PSI_OK, or why there is no fingerprint: PSI_E_LIMIT when the hello was cut (PSI_TLS_HELLO_CUT), PSI_E_SHORT
 * when it broke off within its cipher list (one that breaks off later is taken as far as it goes), PSI_E_UNSUPPORTED when there was no hello, when it came in SSLv2 format, or when libcrypto has no such digest. */
int psi_tls_ja3(const struct psi_tls *t, char str[PSI_JA3_STR_MAX], char md5[33]);
int psi_tls_ja3s(const struct psi_tls *t, char str[PSI_JA3_STR_MAX], char md5[33]);

/* psi_tls_ja4: "t13d1516h2_8daaf6152771_02713d6af862", NUL-terminated. Returns as psi_tls_ja3.
 * SNI counts as present when the extension is there, whatever it says. */
int psi_tls_ja4(const struct psi_tls *t, char out[PSI_JA4_MAX]);

/* psi_tls_is_grease: RFC 8701 section 2. */
bool psi_tls_is_grease(uint16_t v);

#endif
