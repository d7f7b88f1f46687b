/* SPDX-License-Identifier: BSD-3-Clause */
/* Zipf by rejection-inversion (Hormann, Derflinger 1996): no table, so that it serves for any number of flows. */
#include "gen_pvt.h"

#include <math.h>

/* Integral of x^-s. */
static double
h(const struct zipf *z, double x)
{
	return fabs(1 - z->s) < 1e-9 ? log(x) : (pow(x, 1 - z->s) - 1) / (1 - z->s);
}

static double
h_inverse(const struct zipf *z, double y)
{
	return fabs(1 - z->s) < 1e-9 ? exp(y) : pow(1 + y * (1 - z->s), 1 / (1 - z->s));
}

void
zipf_init(struct zipf *z, uint32_t n, double s)
{
	z->n = n;
	z->s = s;
	z->h_x1 = h(z, 1.5) - 1;
	z->h_n = h(z, n + 0.5);
	z->cut = 2 - h_inverse(z, h(z, 2.5) - pow(2, -s));
}

uint32_t
zipf_next(const struct zipf *z, struct gen_rand *r)
{
	for (;;) {
		double u = z->h_n + gen_unit(r) * (z->h_x1 - z->h_n);
		double x = h_inverse(z, u), k = floor(x + 0.5);

		k = k < 1 ? 1 : k > z->n ? z->n : k;
		if (k - x <= z->cut || u >= h(z, k + 0.5) - pow(k, -z->s))
			return (uint32_t)k - 1;
	}
}
