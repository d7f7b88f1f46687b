/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules and host lists of the size that large operators have: what opening costs, and what a handshake costs.
 *   bench_match [PATTERNS [NAMES]]     10,000 and 1,000,000
 *   bench_match one [PATTERNS]         one database of all fields, or one a field
 * Times are of this process alone. Cycles are of the time-stamp counter, the median of many pieces, over HANDSHAKES different handshakes in turn. The
 * baseline is to read every byte of the same values in the same run. All generated, from one seed. */
#include "bench.h"
#include "psi_hosts.h"
#include "psi_match.h"

#include <hs.h>
#include <malloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANDSHAKES 20000
#define PIECE	   100
#define PIECES	   (HANDSHAKES / PIECE * 5)
#define SANS	   3

static uint64_t seed = 88172645463325252;

static uint32_t
pick(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % n;
}

/* ---- names and patterns ---- */

static char *
word(char *p, uint32_t parts)
{
	static const char *const part[] = {"ba", "co", "da", "el", "fi", "go", "hu", "in", "jo",
		"ka", "lo", "me", "net", "or", "pa", "qui", "ra", "se", "to", "ur", "ve", "web",
		"xa", "yo", "zen", "app", "dat", "cloud", "mail", "shop", "tech", "soft"};

	while (parts--)
		p = stpcpy(p, part[pick(PSI_COUNT(part))]);
	return p;
}

static const char *
top(void)
{
	static const char *const tops[] = {"com", "com", "com", "net", "org", "io", "de", "co.uk",
		"fr", "jp", "com.br", "info", "dev", "app"};

	return tops[pick(PSI_COUNT(tops))];
}

static char *
domain(char *p)
{
	p = word(p, 2 + pick(3));
	p += sprintf(p, ".%s", top());
	return p;
}

static char *
host(char *p)
{
	static const char *const first[] = {"www", "api", "cdn", "static", "mail", "img7", "a"};

	if (pick(4)) {
		p = pick(2) ? stpcpy(p, first[pick(PSI_COUNT(first))]) : word(p, 1 + pick(3));
		*p++ = '.';
	}
	return domain(p);
}

/* A domain as a pattern has it. */
static char *
escaped(char *p)
{
	char name[128];

	domain(name);
	for (const char *q = name; *q; q++) {
		if (*q == '.')
			*p++ = '\\';
		*p++ = *q;
	}
	*p = 0;
	return p;
}

/* Half suffixes; prefixes, alternations, any subdomain of some kind. */
static char *
host_pattern(void)
{
	char text[512], *p = text;
	uint32_t kind = pick(10);

	if (kind < 5) {
		p = escaped(stpcpy(p, "(^|\\.)"));
		stpcpy(p, "$");
	} else if (kind < 7) {
		p = word(stpcpy(p, "^"), 1 + pick(2));
		p = word(stpcpy(p, "[0-9]*\\."), 2 + pick(2));
		stpcpy(p, "\\.");
	} else if (kind < 9) {
		p = word(stpcpy(p, "^("), 2);
		p = word(stpcpy(p, "|"), 2);
		p = word(stpcpy(p, "|"), 2);
		p = word(stpcpy(p, ")[a-z0-9-]*\\."), 3);
		stpcpy(p, "\\.(com|net|org)$");
	} else {
		p = word(stpcpy(p, "\\."), 3);
		stpcpy(p, "\\.[a-z]{2,6}$");
	}
	return strdup(text);
}

static char *
name_pattern(void)
{
	char text[512], *p = stpcpy(text, "CN=");

	p = word(p, 2 + pick(2));
	p = stpcpy(p, pick(2) ? " (CA|Proxy|Root)( G[0-9])?," : "[^,]*,O=");
	word(p, 2);
	return strdup(text);
}

static char *
ja4_pattern(void)
{
	char text[64];

	sprintf(text, "^t1[23]d%02u%02uh[12]_%06x%06x_", 10 + pick(20), 5 + pick(15), pick(1 << 24),
		pick(1 << 24));
	return strdup(text);
}

/* ---- handshakes ---- */

struct shake {
	char sni[96], san[SANS][96], subject[160], issuer[160], ja4[40];
};

static struct shake *shakes;

static void
make_shakes(void)
{
	shakes = calloc(HANDSHAKES, sizeof(*shakes));
	if (!shakes)
		abort();
	for (uint32_t i = 0; i < HANDSHAKES; i++) {
		struct shake *s = &shakes[i];
		char *p;

		host(s->sni);
		for (uint32_t k = 0; k < SANS; k++)
			domain(s->san[k]);
		p = s->subject + sprintf(s->subject, "CN=%s,O=", s->san[0]);
		p = word(p, 3);
		strcpy(p, ",L=Springfield,C=US");
		p = word(stpcpy(s->issuer, "CN="), 3);
		sprintf(word(p + sprintf(p, " CA G%u,O=", pick(4)), 2), " Trust Services,C=US");
		sprintf(s->ja4, "t13d%02u%02uh2_%06x%06x_%06x%06x", 10 + pick(20), 5 + pick(15),
			pick(1 << 24), pick(1 << 24), pick(1 << 24), pick(1 << 24));
	}
}

static struct psi_match_value
value(const char *s)
{
	return (struct psi_match_value){(const uint8_t *)s, (uint32_t)strlen(s)};
}

/* What a handshake asks, its lengths known beforehand as a parser knows them. */
struct asked {
	struct psi_match_value sni, san[SANS], subject, issuer, ja4;
	struct psi_match_input in;
};

static struct asked *
make_asked(bool all)
{
	struct asked *v = calloc(HANDSHAKES, sizeof(*v));

	if (!v)
		abort();
	for (uint32_t i = 0; i < HANDSHAKES; i++) {
		struct asked *a = &v[i];

		a->sni = value(shakes[i].sni);
		a->in.field[PSI_RULE_SNI] = (struct psi_match_values){&a->sni, 1};
		if (!all)
			continue;
		for (uint32_t k = 0; k < SANS; k++)
			a->san[k] = value(shakes[i].san[k]);
		a->subject = value(shakes[i].subject);
		a->issuer = value(shakes[i].issuer);
		a->ja4 = value(shakes[i].ja4);
		a->in.field[PSI_RULE_SAN] = (struct psi_match_values){a->san, SANS};
		a->in.field[PSI_RULE_SUBJECT] = (struct psi_match_values){&a->subject, 1};
		a->in.field[PSI_RULE_ISSUER] = (struct psi_match_values){&a->issuer, 1};
		a->in.field[PSI_RULE_JA4] = (struct psi_match_values){&a->ja4, 1};
	}
	return v;
}

/* ---- measuring ---- */

static volatile uint64_t sink;

static void
touch(void *ctx, const struct asked *a)
{
	uint64_t sum = 0;

	for (uint32_t f = 0; f < PSI_RULE_FIELD_CNT; f++)
		for (uint32_t i = 0; i < a->in.field[f].cnt; i++)
			for (uint32_t k = 0; k < a->in.field[f].v[i].len; k++)
				sum += a->in.field[f].v[i].p[k];
	sink += sum;
}

static void
match(void *ctx, const struct asked *a)
{
	struct psi_match_hits hits;

	psi_match_flow(ctx, &a->in, &hits);
	sink += hits.cnt;
}

struct cost {
	double cycles, ns;
};

static int
by_cycles(const void *a, const void *b)
{
	double x = ((const struct cost *)a)->cycles, y = ((const struct cost *)b)->cycles;

	return x < y ? -1 : x > y;
}

/* Of handshakes [0,cnt) in turn, over and over: the median of pieces that are shorter than a time slice, so that what
 * else runs on the machine is left out where it can be. */
static struct cost
run(void (*fn)(void *, const struct asked *), void *ctx, const struct asked *v, uint32_t cnt)
{
	static struct cost c[PIECES];
	uint32_t k = 0;

	for (uint32_t r = 0; r < PIECES; r++) {
		double s = seconds(CLOCK_MONOTONIC);
		uint64_t t = ticks();

		for (uint32_t i = 0; i < PIECE; i++, k = k + 1 < cnt ? k + 1 : 0)
			fn(ctx, &v[k]);
		c[r].cycles = (double)(ticks() - t) / PIECE;
		c[r].ns = (seconds(CLOCK_MONOTONIC) - s) * 1e9 / PIECE;
	}
	qsort(c, PIECES, sizeof(*c), by_cycles);
	return c[PIECES / 2];
}

static void
print_cost(const char *what, struct cost c, struct cost base)
{
	printf("  %-44s %7.0f cycles %7.0f ns  %6.1f x reading it\n", what, c.cycles, c.ns,
		c.cycles / base.cycles);
}

static double
resident_mb(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long all = 0, here = 0;

	malloc_trim(0);
	if (f && fscanf(f, "%lu %lu", &all, &here) != 2)
		here = 0;
	if (f)
		fclose(f);
	return (double)here * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* ---- rules ---- */

static char cache[] = "/tmp/bench_match.XXXXXX";

static struct psi_match *
open_rules(const struct psi_config_rule *r, uint32_t cnt, const char *how)
{
	struct psi_match_config cfg = {.rule = r, .rule_cnt = cnt, .cache_dir = cache};
	double before = resident_mb(), start = seconds(CLOCK_PROCESS_CPUTIME_ID);
	struct psi_match_count c;
	struct psi_err err = {""};
	struct psi_match *m = psi_match_open(&cfg, &err);

	if (!m) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	psi_match_count(m, &c);
	printf("  %-9s %8.3f s CPU  databases %u, %.1f MB  scratch %.1f MB  resident +%.1f MB\n",
		how, seconds(CLOCK_PROCESS_CPUTIME_ID) - start, c.sets, (double)c.set_bytes / 1e6,
		(double)c.scratch_bytes / 1e6, resident_mb() - before);
	return m;
}

/* In a process of its own, so that what the compiler leaves behind is not counted for the object. */
static void
compile_apart(const struct psi_config_rule *r, uint32_t cnt)
{
	struct rusage u;
	int status = 1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		open_rules(r, cnt, "compiled");
		getrusage(RUSAGE_SELF, &u);
		printf("            resident %.1f MB at most while compiling\n",
			(double)u.ru_maxrss * 1024 / 1e6);
		fflush(stdout);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		exit(1);
}

static void
empty_cache(void)
{
	static const char *const name[] = {"sni", "subject", "issuer", "san", "alpn", "ja3", "ja4"};

	for (uint32_t i = 0; i < PSI_COUNT(name); i++) {
		char path[96];

		snprintf(path, sizeof(path), "%s/rules-%s.hsdb", cache, name[i]);
		unlink(path);
	}
}

static void
rules(const char *title, struct psi_config_rule *r, uint32_t cnt, bool all)
{
	struct asked *v = make_asked(all);
	struct psi_match_count before, after;
	struct psi_match *m;
	struct cost base;

	printf("%u patterns, %s\n", cnt, title);
	compile_apart(r, cnt);
	m = open_rules(r, cnt, "cached");
	base = run(touch, NULL, v, HANDSHAKES);
	print_cost("reading the values", base, base);
	psi_match_count(m, &before);
	print_cost("handshakes all different", run(match, m, v, HANDSHAKES), base);
	psi_match_count(m, &after);
	base = run(touch, NULL, v, 200);
	print_cost("reading the values of 200 handshakes", base, base);
	print_cost("200 handshakes over and over", run(match, m, v, 200), base);
	printf("  hits a handshake %.3f\n", (double)(after.hits - before.hits) / PIECE / PIECES);
	psi_match_close(m);
	empty_cache();
	free(v);
}

/* Rules have one pattern each, so that the number of both is the same. */
static void
bench_rules(uint32_t cnt)
{
	struct psi_config_rule *r = calloc(cnt, sizeof(*r));

	if (!r || !mkdtemp(cache))
		abort();
	for (uint32_t i = 0; i < cnt; i++)
		r[i] = (struct psi_config_rule){.id = "r", .sni = {.text = host_pattern()}};
	rules("all over SNI", r, cnt, false);
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t kind = i % 10;

		free((void *)(uintptr_t)r[i].sni.text);
		r[i].sni.text = NULL;
		if (kind < 6)
			r[i].sni.text = host_pattern();
		else if (kind < 7)
			r[i].san.text = host_pattern();
		else if (kind < 8)
			r[i].issuer.text = name_pattern();
		else if (kind < 9)
			r[i].subject.text = name_pattern();
		else
			r[i].ja4.text = ja4_pattern();
	}
	rules("6 of 10 over SNI, 1 each over SAN, issuer, subject, JA4; 3 SANs", r, cnt, true);
	rmdir(cache);
}

/* ---- host lists ---- */

static void
find(void *ctx, const struct asked *a)
{
	struct psi_host h;

	sink += psi_host_set(&h, a->sni.p, a->sni.len) && psi_hosts_find(ctx, &h);
}

static char *
make_list(uint32_t cnt, size_t *len)
{
	char *text = malloc((size_t)cnt * 128), *p = text;

	if (!text)
		abort();
	for (uint32_t i = 0; i < cnt; i++) {
		if (i % 2 == 0)
			p = stpcpy(p, ".");
		/* a number, so that nearly all are different */
		p = word(p, 1 + pick(3));
		p += sprintf(p, "%x.", i);
		p = domain(p);
		*p++ = '\n';
	}
	*len = (size_t)(p - text);
	return text;
}

static void
bench_hosts(uint32_t cnt)
{
	size_t len;
	char *text = make_list(cnt, &len), path[] = "/tmp/bench_hosts.XXXXXX";
	struct asked *v = make_asked(false);
	struct psi_hosts_count c;
	struct psi_hosts *h;
	struct cost base;
	double start, before;
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len || close(fd))
		abort();
	before = resident_mb();
	start = seconds(CLOCK_PROCESS_CPUTIME_ID);
	h = psi_hosts_open(path, NULL, NULL, NULL);
	if (!h)
		abort();
	psi_hosts_count(h, &c);
	printf("%u host names, half exact, half suffixes, file of %.1f MB\n", c.names,
		(double)len / 1e6);
	printf("  loaded    %8.3f s CPU  memory %.1f MB, %.1f bytes a name  resident +%.1f MB\n",
		seconds(CLOCK_PROCESS_CPUTIME_ID) - start, (double)c.bytes / 1e6,
		(double)c.bytes / c.names, resident_mb() - before);
	base = run(touch, NULL, v, HANDSHAKES);
	print_cost("reading the hosts", base, base);
	print_cost("hosts that are not there", run(find, h, v, HANDSHAKES), base);
	for (uint32_t i = 0; i < HANDSHAKES; i++) { /* names of the list, all over it */
		char *name = text + (size_t)pick((uint32_t)len);

		while (name > text && name[-1] != '\n')
			name--;
		if (*name == '.')
			name++;
		v[i].sni = (struct psi_match_value){(uint8_t *)name, (uint32_t)strcspn(name, "\n")};
	}
	base = run(touch, NULL, v, HANDSHAKES);
	print_cost("reading hosts that are", base, base);
	print_cost("hosts that are", run(find, h, v, HANDSHAKES), base);
	psi_hosts_close(h);
	unlink(path);
	free(text);
	free(v);
}

/* ---- one database of all fields? ---- */

static int
on_match(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags,
	void *ctx)
{
	sink++;
	return 0;
}

struct db {
	hs_database_t *db;
	hs_scratch_t *scratch;
};

static void
scan(struct db *d, const struct psi_match_value *v)
{
	hs_scan(d->db, (const char *)v->p, v->len, 0, d->scratch, on_match, NULL);
}

static void
scan_one(void *ctx, const struct asked *a)
{
	scan(ctx, &a->sni);
	scan(ctx, &a->issuer);
}

static void
scan_two(void *ctx, const struct asked *a)
{
	struct db *d = ctx;

	scan(&d[0], &a->sni);
	scan(&d[1], &a->issuer);
}

static void
compile(struct db *d, char **text, uint32_t cnt, const char *what)
{
	unsigned int *flags = calloc(cnt, sizeof(*flags)), *ids = calloc(cnt, sizeof(*ids));
	hs_compile_error_t *e = NULL;
	double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
	size_t bytes = 0;

	if (!flags || !ids)
		abort();
	for (uint32_t i = 0; i < cnt; i++) {
		flags[i] = HS_FLAG_SINGLEMATCH | HS_FLAG_CASELESS;
		ids[i] = i;
	}
	if (hs_compile_multi((const char *const *)text, flags, ids, cnt, HS_MODE_BLOCK, NULL,
		    &d->db, &e) != HS_SUCCESS ||
		hs_alloc_scratch(d->db, &d->scratch) != HS_SUCCESS)
		abort();
	hs_database_size(d->db, &bytes);
	printf("  %-20s %6u patterns  %7.2f s  %6.1f MB\n", what, cnt,
		seconds(CLOCK_PROCESS_CPUTIME_ID) - start, (double)bytes / 1e6);
	free(flags);
	free(ids);
}

static void
bench_one(uint32_t cnt)
{
	char **text = calloc(cnt, sizeof(*text));
	struct asked *v = make_asked(true);
	struct db one = {0}, two[2] = {{0}};
	struct cost base;

	if (!text)
		abort();
	for (uint32_t i = 0; i < cnt; i++)
		text[i] = i < cnt / 2 ? host_pattern() : name_pattern();
	printf("half over SNI, half over issuer\n");
	compile(&one, text, cnt, "one database");
	compile(&two[0], text, cnt / 2, "SNI only");
	compile(&two[1], text + cnt / 2, cnt - cnt / 2, "issuer only");
	base = run(touch, NULL, v, HANDSHAKES);
	print_cost("both values, one database", run(scan_one, &one, v, HANDSHAKES), base);
	print_cost("both values, one a field", run(scan_two, two, v, HANDSHAKES), base);
}

int
main(int argc, char **argv)
{
	bool one = argc > 1 && strcmp(argv[1], "one") == 0;

	make_shakes();
	if (one) {
		bench_one(argc > 2 ? (uint32_t)atoi(argv[2]) : 10000);
		return 0;
	}
	bench_rules(argc > 1 ? (uint32_t)atoi(argv[1]) : 10000);
	bench_hosts(argc > 2 ? (uint32_t)atoi(argv[2]) : 1000000);
	return 0;
}
