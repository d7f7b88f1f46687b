/* SPDX-License-Identifier: BSD-3-Clause */
/* Names and addresses. Clients live in 10.0.0.0/8 and 2001:db8:1::/48, servers in 198.18.0.0/15, which RFC 2544 keeps
 * for benchmarks, and 2001:db8:2::/48. */
#include "gen_pvt.h"

#include <stdio.h>

#define PORTS_EACH 60000u /* source ports of a client, from 1024 on */

void
host_name(char *out, size_t cap, uint32_t n)
{
	static const char *const first[] = {
		"www", "api", "cdn", "static-assets", "mail", "login", "img", "t"};
	static const char *const second[] = {"shop.example", "bank.example", "news.example",
		"social.example", "office.example", "video-streaming.example", "a.example",
		"travel.example", "games.example", "health-insurance.example", "maps.example"};
	uint32_t f = n % PSI_COUNT(first), rest = n / PSI_COUNT(first);
	const char *s = second[rest % PSI_COUNT(second)];

	rest /= PSI_COUNT(second);
	if (rest)
		snprintf(out, cap, "%s%u.%s", first[f], rest, s);
	else
		snprintf(out, cap, "%s.%s", first[f], s);
}

/* The conn-th connection of client to server; a client's ports come round after PORTS_EACH of them. */
void
client_ends(struct ends *e, uint64_t conn, uint32_t client, uint32_t server, bool v6)
{
	uint16_t port = (uint16_t)(1024 + conn % PORTS_EACH);

	ends_v4(e, 10u << 24 | (client & 0xffffff), 198u << 24 | 18u << 16 | (server & 0x1ffff),
		port, 443);
	if (!v6)
		return;
	for (int i = 0; i < 2; i++) {
		uint8_t low[4];

		memcpy(low, e->addr[i] + 12, 4);
		memcpy(e->addr[i], (const uint8_t[]){0x20, 0x01, 0x0d, 0xb8, 0, (uint8_t)(1 + i)},
			6);
		memset(e->addr[i] + 6, 0, 6);
		memcpy(e->addr[i] + 12, low, 4);
	}
	e->v6 = true;
}
