/* SPDX-License-Identifier: BSD-3-Clause */
/* Hot: once per flow and list. */
#include "hosts_pvt.h"

bool
psi_host_set(struct psi_host *host, const uint8_t *p, uint32_t len)
{
	uint32_t i;

	host->labels = 0;
	if (len && p[len - 1] == '.')
		len--;
	if (!len || len > PSI_HOSTS_NAME_MAX)
		return false;
	for (i = 0; i < len; i++)
		if (!(host->name[i] = name_byte(p[i])))
			return false;
	host->name[len] = 0;
	host->len = len;
	for (uint32_t labels = 0, end = len;; end = i - 1) {
		for (i = end; i && host->name[i - 1] != '.'; i--)
			;
		if (i == end)
			return false; /* an empty label */
		host->at[++labels] = (uint8_t)i;
		if (!i) {
			host->labels = labels;
			return true;
		}
	}
}

/* Two passes, so that the slots of all suffixes are on their way from memory before the first is looked at. */
bool
psi_hosts_find(const struct psi_hosts *h, const struct psi_host *host)
{
	uint64_t hash[PSI_HOSTS_LABEL_MAX + 1];
	uint8_t labels[PSI_HOSTS_LABEL_MAX + 1];
	uint32_t cnt = 0;

	for (uint32_t n = 1; n <= host->labels; n++) {
		if (!(h->depth[n] & (n == host->labels ? SELF : BELOW)))
			continue;
		hash[cnt] = name_hash(h, host->name + host->at[n], host->len - host->at[n]);
		__builtin_prefetch(&h->slot[hash[cnt] & h->slot_mask]);
		labels[cnt++] = (uint8_t)n;
	}
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t at = host->at[labels[i]];
		const struct slot *s = name_slot(h, hash[i], host->name + at, host->len - at);

		if (s->ref & (labels[i] == host->labels ? SELF : BELOW))
			return true;
	}
	return false;
}

void
psi_hosts_count(const struct psi_hosts *h, struct psi_hosts_count *out)
{
	*out = (struct psi_hosts_count){
		.names = h->names,
		.twice = h->twice,
		.bytes = sizeof(*h) + h->text_len + (h->slot_mask + 1) * sizeof(*h->slot),
	};
}
