/* SPDX-License-Identifier: BSD-3-Clause */
/* Which events somebody wants to see. */
#include "psi_filter.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

/* ---- a person's text ---- */

/* The next word of a list with commas; false behind the last. */
static bool
next_word(const char **at, const char **word, size_t *len)
{
	if (!*at)
		return false;
	*word = *at;
	*len = strcspn(*at, ",");
	*at = (*at)[*len] ? *at + *len + 1 : NULL;
	return true;
}

static bool
is(const char *word, size_t len, const char *name)
{
	return name && strlen(name) == len && memcmp(word, name, len) == 0;
}

int
psi_filter_types(struct psi_filter *f, const char *text, struct psi_err *err)
{
	const char *word;
	size_t len;

	while (next_word(&text, &word, &len)) {
		uint32_t bit = 0;

		for (int t = PSI_EVENT_TLS_HANDSHAKE; t <= PSI_EVENT_GAP; t++)
			if (is(word, len, psi_event_type_name((enum psi_event_type)t)))
				bit = 1u << t;
		if (!bit)
			return psi_err_set(err, -EINVAL,
				"there is no event type '%.*s': tls_handshake, tls_flow, finding, stats and gap are",
				(int)PSI_MIN(len, 40u), word);
		f->types |= bit;
	}
	return 0;
}

static uint32_t
classes_of(const char *word, size_t len)
{
	uint32_t bits = 0;

	for (int c = PSI_CLASS_NORMAL; c < PSI_CLASS_CNT; c++) {
		enum psi_class class = (enum psi_class)c;
		bool fine = class == PSI_CLASS_NORMAL || class == PSI_CLASS_NOT_TLS;

		if (is(word, len, psi_class_name(class)) ||
			(is(word, len, "refused") && psi_class_is_refusal(class)) ||
			(is(word, len, "failed") && !fine))
			bits |= 1u << c;
	}
	return bits;
}

int
psi_filter_classes(struct psi_filter *f, const char *text, struct psi_err *err)
{
	const char *word;
	size_t len;

	while (next_word(&text, &word, &len)) {
		uint32_t bits = classes_of(word, len);

		if (!bits)
			return psi_err_set(err, -EINVAL,
				"there is no verdict '%.*s': pinned, unknown_ca, bad_certificate, normal ... are "
				"(docs/events.md), and refused or failed for several at once",
				(int)PSI_MIN(len, 40u), word);
		f->classes |= bits;
	}
	return 0;
}

int
psi_filter_host(struct psi_filter *f, const char *text, struct psi_err *err)
{
	if (text[0] == '*' && text[1] == '.')
		text++;
	f->below = text[0] == '.';
	f->host = text + f->below;
	if (!*f->host || strchr(f->host, '*'))
		return psi_err_set(err, -EINVAL,
			"a host is a name such as a.example, or .a.example for all below it, not '%s'",
			text);
	return 0;
}

int
psi_filter_client(struct psi_filter *f, const char *text, struct psi_err *err)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	size_t len = strcspn(text, "/");
	unsigned long bits = 128, most = 128;
	char addr[INET6_ADDRSTRLEN], *end;

	if (len >= sizeof(addr))
		goto bad;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (inet_pton(AF_INET, addr, f->client + 12) == 1) {
		memcpy(f->client, mapped, sizeof(mapped));
		most = 32;
	} else if (inet_pton(AF_INET6, addr, f->client) != 1) {
		goto bad;
	}
	if (text[len]) {
		bits = strtoul(text + len + 1, &end, 10);
		if (!isdigit((unsigned char)text[len + 1]) || *end || bits > most)
			goto bad;
		bits += 128 - most;
	}
	/* A prefix of no bits is every IPv4 client, or every client. */
	f->client_bits = (uint8_t)bits;
	return 0;
bad:
	return psi_err_set(err, -EINVAL,
		"a client is an address or a prefix, 10.0.0.7, 10.0.0.0/8 or 2001:db8::/32, not '%s'",
		text);
}

/* ---- an event ---- */

static bool
host_fits(const struct psi_filter *f, const struct psi_value *v)
{
	size_t len = v->len, want = strlen(f->host);
	const char *p = (const char *)v->p;

	if (len && p[len - 1] == '.')
		len--;
	if (len < want || strncasecmp(p + len - want, f->host, want) != 0)
		return false;
	return len == want || (f->below && p[len - want - 1] == '.');
}

static bool
client_fits(const struct psi_filter *f, const struct psi_value *v)
{
	uint8_t addr[16] = {[10] = 0xff, [11] = 0xff};
	unsigned int whole = f->client_bits / 8, rest = f->client_bits % 8;

	if (v->len != 4 && v->len != 16)
		return false;
	memcpy(addr + 16 - v->len, v->p, v->len);
	if (memcmp(addr, f->client, whole) != 0)
		return false;
	return !rest || (addr[whole] ^ f->client[whole]) >> (8 - rest) == 0;
}

/* What a finding says of the flows it speaks of. */
static uint32_t
finding_classes(const struct psi_value *v)
{
	static const struct {
		const char *finding;
		enum psi_class class;
	} means[] = {
		{"host_pinned_for_client", PSI_CLASS_PINNED},
		{"client_distrusts_ca", PSI_CLASS_UNKNOWN_CA},
		{"host_certificate_bad", PSI_CLASS_BAD_CERTIFICATE},
	};

	for (size_t i = 0; i < PSI_COUNT(means); i++)
		if (is((const char *)v->p, v->len, means[i].finding))
			return 1u << means[i].class;
	return 0;
}

static bool
class_fits(const struct psi_filter *f, const struct psi_event_r *r, bool finding)
{
	struct psi_value v;

	if (finding)
		return psi_event_find(r, PSI_F_FINDING_CLASS, &v) &&
		       f->classes & finding_classes(&v);
	return psi_event_find(r, PSI_F_CLASS, &v) && psi_value_u64(&v) < PSI_CLASS_CNT &&
	       f->classes & 1u << psi_value_u64(&v);
}

bool
psi_filter_takes(const struct psi_filter *f, const struct psi_event *e)
{
	bool finding = e->type == PSI_EVENT_FINDING;
	struct psi_event_r r;
	struct psi_value v;

	if (e->type == PSI_EVENT_GAP)
		return true;
	if ((f->types && !(f->types & 1u << e->type)) || e->time_ns < f->since_ns)
		return false;
	psi_event_fields(e, &r);
	if (f->classes && !class_fits(f, &r, finding))
		return false;
	if (f->host && !(psi_event_find(&r, finding ? PSI_F_FINDING_SNI : PSI_F_TLS_SNI, &v) &&
			       host_fits(f, &v)))
		return false;
	return !f->client_bits ||
	       (psi_event_find(&r, finding ? PSI_F_FINDING_CLIENT : PSI_F_SRC_IP, &v) &&
		       client_fits(f, &v));
}
