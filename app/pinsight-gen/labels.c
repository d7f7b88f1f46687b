/* SPDX-License-Identifier: BSD-3-Clause */
/* Labels: what each connection was made to be, as scripts/lab writes them and scripts/lab/score reads them. */
#include "pinsight_gen.h"

#include <arpa/inet.h>

static void
address(char out[INET6_ADDRSTRLEN], const uint8_t a[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};

	if (memcmp(a, mapped, sizeof(mapped)) == 0)
		inet_ntop(AF_INET, a + 12, out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, a, out, INET6_ADDRSTRLEN);
}

void
label_line(void *out, const struct psi_gen_label *l)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	bool alike = strcmp(l->truth, l->expected) == 0;

	address(src, l->addr[0]);
	address(dst, l->addr[1]);
	/* no text here holds anything that JSON would escape: all come from our own tables */
	fprintf(out,
		"{\"id\": \"gen/%llu\", \"src\": \"%s\", \"sport\": %u, \"dst\": \"%s\", \"dport\": %u, "
		"\"sni\": \"%s\", \"app\": \"%s\", \"client\": \"%s\", \"case\": \"%s\", \"cause\": \"%s\", \"path\": \"%s\", "
		"\"tls\": \"%s\", \"truth\": \"%s\", \"expected\": \"%s\", \"acceptable\": [], "
		"\"wire\": [%s%s%s]}\n",
		(unsigned long long)l->no, src, l->port[0], dst, l->port[1], l->sni, l->app,
		l->stack, l->what, l->what, l->path, l->tls, l->truth, l->expected,
		alike ? "" : "\"", alike ? "" : l->expected, alike ? "" : "\"");
}
