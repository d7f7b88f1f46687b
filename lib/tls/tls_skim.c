/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_tls_skim.h"
#include "psi_cursor.h"

#define HDR_LEN	   5
#define RECORD_MAX (16384 + 2048) /* RFC 5246 section 6.2.3 */

void
psi_tls_skim_init(struct psi_tls_skim *s, const struct psi_tls *t)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < 2; i++) {
		s->side[i].hdr_have = PSI_MIN(t->side[i].hdr_have, (uint8_t)HDR_LEN);
		memcpy(s->side[i].hdr, t->side[i].hdr, s->side[i].hdr_have);
		s->side[i].lost = t->side[i].err != 0;
	}
}

static bool
plausible(const uint8_t *h)
{
	return h[0] >= PSI_CT_CHANGE_CIPHER_SPEC && h[0] <= PSI_CT_HEARTBEAT && h[1] == 3 &&
	       h[2] <= 4 && psi_be16(h + 3) <= RECORD_MAX;
}

/* One header. Returns the length of its record's body; marks the side lost when it is no header. */
static uint32_t
on_header(struct psi_tls_skim_side *d, const uint8_t *h)
{
	uint32_t len = psi_be16(h + 3);

	if (!plausible(h)) {
		d->lost = 1;
		return 0;
	}
	if (h[0] == PSI_CT_APPLICATION_DATA)
		d->app_bytes += len;
	else if (h[0] == PSI_CT_ALERT && d->alert_cnt < UINT16_MAX)
		d->alert_cnt++;
	return len;
}

uint32_t
psi_tls_skim_push(struct psi_tls_skim_side *d, const uint8_t *p, uint32_t len)
{
	if (d->lost) { /* segments often begin with a record: that is where sync is found again */
		if (len < HDR_LEN || !plausible(p))
			return 0;
		d->lost = 0;
		d->hdr_have = 0;
	}
	while (len) {
		uint32_t body, take = PSI_MIN(len, (uint32_t)(HDR_LEN - d->hdr_have));

		memcpy(d->hdr + d->hdr_have, p, take);
		d->hdr_have = (uint8_t)(d->hdr_have + take);
		p += take;
		len -= take;
		if (d->hdr_have < HDR_LEN)
			return 0;
		d->hdr_have = 0;
		body = on_header(d, d->hdr);
		if (d->lost)
			return 0;
		if (body >= len)
			return body - len;
		p += body;
		len -= body;
	}
	return 0;
}

uint32_t
psi_tls_skim_gap(struct psi_tls_skim_side *d)
{
	d->lost = 1;
	d->hdr_have = 0;
	return 0;
}
