/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_vocab.h: the words that everything else speaks: SSL flow messages and flags, alerts, certificate status,
 * verdict classes, handshake types. Each stands once, in a .def table beside this header.
 * Sources: Cisco eStreamer for messages, flags 0-2 and status; IANA TLS registries for types and alerts.
 * Thread: constants and pure functions; any thread. */
#ifndef PSI_VOCAB_H
#define PSI_VOCAB_H

#include "psi_base.h"

enum psi_msg {
#define MSG(sym, bit) PSI_MSG_##sym = bit,
#include "tls_messages.def"
#undef MSG
};

#define FLAG(sym, bit, text) static const uint64_t PSI_FLAG_##sym = bit;
#include "ssl_flags.def"
#undef FLAG

enum psi_hs_type {
#define HS(sym, type, name, letter, c2s, s2c) PSI_HS_##sym = type,
#include "tls_handshake.def"
#undef HS
};

enum psi_cert_status {
	PSI_CERT_NOT_CHECKED = 0,
#define STATUS(sym, bit) PSI_CERT_##sym = bit,
#include "cert_status.def"
#undef STATUS
};

enum psi_class {
#define CLASS(sym, value, name, refusal, text) PSI_CLASS_##sym = value,
#include "verdict_classes.def"
#undef CLASS
	PSI_CLASS_CNT
};

/* What the certificates of a flow are by the operator's pins. */
enum psi_pin {
#define PIN(sym, value, name, text) PSI_PIN_##sym = value,
#include "pin_results.def"
#undef PIN
	PSI_PIN_CNT
};

/* What a flow shows and what a verdict rests on, 64 bits. */
#define EVIDENCE(sym, bit, text) static const uint64_t PSI_EVID_##sym = bit;
#include "evidence.def"
#undef EVIDENCE

/* What else is known of a TLS flow. */
enum psi_tls_note {
#define NOTE(sym, bit, text) PSI_TLS_##sym = bit,
#include "tls_notes.def"
#undef NOTE
};

/* TLS content types (RFC 8446 section 5.1, RFC 6520). */
enum psi_content_type {
	PSI_CT_CHANGE_CIPHER_SPEC = 20,
	PSI_CT_ALERT = 21,
	PSI_CT_HANDSHAKE = 22,
	PSI_CT_APPLICATION_DATA = 23,
	PSI_CT_HEARTBEAT = 24,
};

/* psi_msg_of: the message bit of a handshake type sent in a direction; HANDSHAKE_OTHER for a type without a row.
 * psi_hs_letter: its letter, lower case; 'z' without a row. */
uint32_t psi_msg_of(uint8_t hs_type, enum psi_dir dir);
char psi_hs_letter(uint8_t hs_type);

/* Names. bit must be exactly one bit. NULL when the value has no row. Static storage. */
const char *psi_msg_name(uint32_t bit);
const char *psi_flag_name(uint64_t bit);
const char *psi_cert_status_name(uint32_t bit);
const char *psi_alert_name(uint8_t code);
const char *psi_evidence_name(uint64_t bit);
const char *psi_evidence_text(uint64_t bit);
const char *psi_tls_note_name(uint32_t bit);
const char *psi_class_name(enum psi_class c);
const char *psi_class_text(enum psi_class c);
const char *psi_pin_name(enum psi_pin p);
const char *psi_pin_text(enum psi_pin p);

/* psi_class_is_refusal: true when the class says that the client refused the server's certificate. */
bool psi_class_is_refusal(enum psi_class c);
/* psi_alert_class: the class that a clear alert of the client maps to, PSI_CLASS_NONE when it does not concern the
 * server's certificate. */
enum psi_class psi_alert_class(uint8_t code);

/* psi_cipher_name: IANA name of a TLS cipher suite; NULL when not registered.
 * psi_group_name: IANA name of a supported group ("x25519"); NULL when not registered.
 * psi_version_name: as EVE spells it ("TLS 1.2"); NULL for anything but SSLv2 (0x0002) to TLS 1.3 (0x0304). */
const char *psi_cipher_name(uint16_t id);
const char *psi_group_name(uint16_t id);
const char *psi_version_name(uint16_t version);

#endif
