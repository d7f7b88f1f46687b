/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_vocab.h"

/* Each switch below also proves that its table holds no value twice: the compiler refuses a duplicate case. */

uint32_t
psi_msg_of(uint8_t hs_type, enum psi_dir dir)
{
	switch (hs_type) {
#define HS(sym, type, name, letter, c2s, s2c) \
	case type:                            \
		return dir == PSI_C2S ? PSI_MSG_##c2s : PSI_MSG_##s2c;
#include "tls_handshake.def"
#undef HS
	}
	return PSI_MSG_HANDSHAKE_OTHER;
}

char
psi_hs_letter(uint8_t hs_type)
{
	switch (hs_type) {
#define HS(sym, type, name, letter, c2s, s2c) \
	case type:                            \
		return letter;
#include "tls_handshake.def"
#undef HS
	}
	return 'z';
}

const char *
psi_msg_name(uint32_t bit)
{
	switch (bit) {
#define MSG(sym, b) \
	case b:     \
		return #sym;
#include "tls_messages.def"
#undef MSG
	}
	return NULL;
}

const char *
psi_flag_name(uint64_t bit)
{
	switch (bit) {
#define FLAG(sym, b, text) \
	case b:            \
		return #sym;
#include "ssl_flags.def"
#undef FLAG
	}
	return NULL;
}

const char *
psi_cert_status_name(uint32_t bit)
{
	switch (bit) {
#define STATUS(sym, b) \
	case b:        \
		return #sym;
#include "cert_status.def"
#undef STATUS
	}
	return NULL;
}

const char *
psi_alert_name(uint8_t code)
{
	switch (code) {
#define ALERT(c, name, class) \
	case c:               \
		return name;
#include "tls_alerts.def"
#undef ALERT
	}
	return NULL;
}

const char *
psi_evidence_name(uint64_t bit)
{
	switch (bit) {
#define EVIDENCE(sym, b, text) \
	case b:                \
		return #sym;
#include "evidence.def"
#undef EVIDENCE
	}
	return NULL;
}

const char *
psi_evidence_text(uint64_t bit)
{
	switch (bit) {
#define EVIDENCE(sym, b, text) \
	case b:                \
		return text;
#include "evidence.def"
#undef EVIDENCE
	}
	return NULL;
}

const char *
psi_tls_note_name(uint32_t bit)
{
	switch (bit) {
#define NOTE(sym, b, text) \
	case b:            \
		return #sym;
#include "tls_notes.def"
#undef NOTE
	}
	return NULL;
}

enum psi_class
psi_alert_class(uint8_t code)
{
	switch (code) {
#define ALERT(c, name, class) \
	case c:               \
		return PSI_CLASS_##class;
#include "tls_alerts.def"
#undef ALERT
	}
	return PSI_CLASS_NONE;
}

const char *
psi_class_name(enum psi_class c)
{
	switch (c) {
#define CLASS(sym, value, name, refusal, text) \
	case PSI_CLASS_##sym:                  \
		return name;
#include "verdict_classes.def"
#undef CLASS
	case PSI_CLASS_CNT: break;
	}
	return NULL;
}

const char *
psi_class_text(enum psi_class c)
{
	switch (c) {
#define CLASS(sym, value, name, refusal, text) \
	case PSI_CLASS_##sym:                  \
		return text;
#include "verdict_classes.def"
#undef CLASS
	case PSI_CLASS_CNT: break;
	}
	return NULL;
}

const char *
psi_pin_name(enum psi_pin p)
{
	switch (p) {
#define PIN(sym, value, name, text) \
	case PSI_PIN_##sym:         \
		return name;
#include "pin_results.def"
#undef PIN
	case PSI_PIN_CNT: break;
	}
	return NULL;
}

const char *
psi_pin_text(enum psi_pin p)
{
	switch (p) {
#define PIN(sym, value, name, text) \
	case PSI_PIN_##sym:         \
		return text;
#include "pin_results.def"
#undef PIN
	case PSI_PIN_CNT: break;
	}
	return NULL;
}

bool
psi_class_is_refusal(enum psi_class c)
{
	switch (c) {
#define CLASS(sym, value, name, refusal, text) \
	case PSI_CLASS_##sym:                  \
		return refusal;
#include "verdict_classes.def"
#undef CLASS
	case PSI_CLASS_CNT: break;
	}
	return false;
}

const char *
psi_cipher_name(uint16_t id)
{
	switch (id) {
#define CIPHER(value, name) \
	case value:         \
		return name;
#include "tls_ciphers.def"
#undef CIPHER
	}
	return NULL;
}

const char *
psi_group_name(uint16_t id)
{
	switch (id) {
#define GROUP(value, name) \
	case value:        \
		return name;
#include "tls_groups.def"
#undef GROUP
	}
	return NULL;
}

const char *
psi_version_name(uint16_t version)
{
	switch (version) {
	case 0x0002: return "SSLv2";
	case 0x0300: return "SSLv3";
	case 0x0301: return "TLSv1";
	case 0x0302: return "TLS 1.1";
	case 0x0303: return "TLS 1.2";
	case 0x0304: return "TLS 1.3";
	}
	return NULL;
}
