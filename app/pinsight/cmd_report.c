/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight report: events -> what an operator takes away. */
#include "pinsight.h"

#include "psi_config.h"
#include "psi_export.h"
#include "psi_filter.h"
#include "psi_report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define COMPLAINTS_MAX 5
/* A host on the list is decrypted no more: that wants more certainty than a line in a report. */
#define EXEMPT_CONFIDENCE 0.8

static const char help[] =
	"usage: pinsight report [OPTION...] [FILE...]\n"
	"\n"
	"Reads events (JSON Lines, as 'pinsight read --json --all' writes them; without FILE or with -\n"
	"from standard input) and says what to do about them: which hosts are pinned and should be\n"
	"exempt from decryption, which clients do not trust the CA, which certificates are bad. What was\n"
	"refused without a cause that could be settled stands under \"suspected\".\n"
	"\n"
	"  --format=FORM         text (default), json, csv, or html: one file, for a browser\n"
	"  --exempt=FORM         instead of a report, the list of pinned hosts to exempt from decryption, for\n"
	"                        squid, mitmproxy, sslsplit, pan-os, fmc, or plain (docs/report.md)\n"
	"  --config=FILE         also list the hosts of its pinsets whose action is exempt\n"
	"  --top=N               rows of a section at most, 0: all (default: 20 in text, 500 in html)\n"
	"  --min-confidence=C    leave out rows of less confidence, 0 to 1 (default 0, of --exempt 0.8)\n"
	"  --since=WHEN          only what was seen since then: 2026-01-31T08:30:00Z, a day (UTC), or how\n"
	"                        long ago: 90s, 15m, 2h, 7d, 4w\n"
	"  --client=ADDR[/BITS]  only flows of these clients, and findings that concern them\n"
	"  --host=NAME           only this host; .example.com: it and every host below\n"
	"  --ring[=FILE]         read what the engine's ring holds now, in place of standard input\n"
	"                        (default " RING_PATH ")\n"
	"  -h, --help            this text\n"
	"\n"
	"Exit status: 0 all read; 1 some input could not be read (the rest is reported); 2 called wrongly.\n"
	"\n"
	"Examples:\n"
	"  pinsight read --json --all office.pcapng | pinsight report\n"
	"  pinsight report --ring --format=html > now.html\n"
	"  pinsight report --since=12h --format=csv /var/log/pinsight/*.jsonl > today.csv\n"
	"  pinsight report --exempt=squid events.jsonl > /etc/squid/pinned.list\n";

struct run {
	const char *ring;   /* NULL: files */
	const char *config; /* NULL: none */
	struct psi_report_config cfg;
	struct psi_report_format fmt;
	void (*write)(FILE *, const struct psi_report *, const struct psi_report_format *);
	struct psi_report *report;
	unsigned int complaints;
	int exempt;	  /* enum psi_report_form; -1: a report is asked for */
	uint32_t refused; /* hosts that the list could not take */
	bool top_given, min_given, dead;
	time_t progress_at;
};

/* ---- reading ---- */

/* Of lines that cannot be read, the first few are named. What they hold is not for a terminal. */
static void
complain(struct run *r, const struct psi_err *err)
{
	char text[4 * sizeof(err->text) + 4];

	if (++r->complaints > COMPLAINTS_MAX)
		return;
	psi_text_clean(text, sizeof(text), sizeof(text), err->text, strlen(err->text));
	fprintf(stderr, "pinsight report: %s\n", text);
}

/* On a terminal, once a second, from the third second on. */
static void
progress(struct run *r, const char *name, uint64_t bytes, bool done)
{
	time_t now;

	if (!isatty(STDERR_FILENO))
		return;
	now = time(NULL);
	if (!r->progress_at)
		r->progress_at = now + 2;
	if (now <= r->progress_at)
		return;
	if (done) {
		fprintf(stderr, "\r\033[K");
		return;
	}
	r->progress_at = now;
	fprintf(stderr, "\r\033[K%s: %.0f MB", name, (double)bytes / 1e6);
	fflush(stderr);
}

static void
pull(struct run *r, const struct psi_report_source *src, const char *name)
{
	struct psi_report_event e;
	struct psi_err err = {""};
	enum psi_report_rc rc;
	uint64_t n = 0;

	while ((rc = src->next(src->ctx, &e, &err)) != PSI_REPORT_END) {
		if (rc == PSI_REPORT_EVENT) {
			psi_report_take(r->report, &e);
		} else {
			psi_report_bad(r->report);
			complain(r, &err);
		}
		if (rc == PSI_REPORT_DEAD) {
			r->dead = true;
			break;
		}
		if (++n % 4096 == 0)
			progress(r, name, psi_report_json_bytes(src->ctx), false);
	}
	progress(r, name, 0, true);
}

static void
read_file(struct run *r, const char *path)
{
	bool std = strcmp(path, "-") == 0;
	FILE *in = std ? stdin : fopen(path, "rb");
	const char *name = std ? "standard input" : path;
	struct psi_report_source src = {.next = psi_report_json_next};

	if (!in) {
		fprintf(stderr, "pinsight report: %s: %s\n", path, strerror(errno));
		r->dead = true;
		return;
	}
	if (std && isatty(STDIN_FILENO))
		fprintf(stderr,
			"pinsight report: reading events from the terminal; see: pinsight report --help\n");
	src.ctx = psi_report_json_open(in, name);
	if (src.ctx) {
		pull(r, &src, name);
	} else {
		fprintf(stderr, "pinsight report: no memory to read %s\n", name);
		r->dead = true;
	}
	psi_report_json_close(src.ctx);
	if (!std)
		fclose(in);
}

static void
read_ring(struct run *r)
{
	struct psi_report_source src = {.next = psi_report_ring_next};
	struct psi_report_json *j = NULL;
	struct psi_err err = {""};
	int rc = psi_report_ring_open(&j, r->ring, &err);

	if (rc != 0) {
		fprintf(stderr, "pinsight report: %s%s\n", err.text,
			rc == -ENOENT
				? "\nIs the engine running (pinsight run), and with this ring?"
			: rc == -EACCES
				? "\nThe ring may be read by the engine's group: join it, or use sudo."
				: "");
		r->dead = true;
		return;
	}
	src.ctx = j;
	pull(r, &src, r->ring);
	psi_report_json_close(j);
}

/* ---- options ---- */

static bool
parse_number(const char *s, double max, double *out)
{
	char *end;

	*out = strtod(s, &end);
	return end != s && !*end && *out >= 0 && *out <= max;
}

static bool
parse_client(char *s, struct psi_report_filter *f)
{
	char *slash = strchr(s, '/');
	double bits;

	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, s, f->client.b) == 1)
		f->client.len = 4;
	else if (inet_pton(AF_INET6, s, f->client.b) == 1)
		f->client.len = 16;
	else
		return false;
	f->client_bits = f->client.len * 8u;
	if (!slash)
		return true;
	if (!parse_number(slash + 1, f->client_bits, &bits))
		return false;
	f->client_bits = (unsigned int)bits;
	return true;
}

static void
parse_host(char *s, struct psi_report_filter *f)
{
	if (s[0] == '*' && s[1] == '.')
		s++;
	for (char *p = s; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
	f->host.p = s;
	f->host.len = strlen(s);
}

static bool
parse_format(const char *s, struct run *r)
{
	static const struct {
		const char *name;
		void (*write)(FILE *, const struct psi_report *, const struct psi_report_format *);
	} formats[] = {
		{"text", psi_report_text},
		{"json", psi_report_json},
		{"csv", psi_report_csv},
		{"html", psi_report_html},
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(s, formats[i].name) == 0) {
			r->write = formats[i].write;
			return true;
		}
	return false;
}

static bool
parse_form(const char *s, int *form)
{
	for (*form = 0; *form < PSI_REPORT_FORM_CNT; ++*form)
		if (strcmp(s, psi_report_form_name((enum psi_report_form) * form)) == 0)
			return true;
	return false;
}

static int
parse(struct run *r, int argc, char **argv)
{
	static const struct option options[] = {{"format", required_argument, NULL, 'f'},
		{"exempt", required_argument, NULL, 'x'}, {"top", required_argument, NULL, 't'},
		{"min-confidence", required_argument, NULL, 'm'},
		{"since", required_argument, NULL, 's'}, {"client", required_argument, NULL, 'c'},
		{"host", required_argument, NULL, 'H'}, {"ring", optional_argument, NULL, 'R'},
		{"config", required_argument, NULL, 'C'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct psi_err err = {""};
	double d;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (o) {
		case 'f':
			if (!parse_format(optarg, r))
				return usage_error("report",
					"--format takes text, json, csv or html, not '%s'", optarg);
			break;
		case 'x':
			if (!parse_form(optarg, &r->exempt))
				return usage_error("report",
					"--exempt takes squid, mitmproxy, sslsplit, pan-os, fmc or "
					"plain, not '%s'",
					optarg);
			break;
		case 't':
			if (!parse_number(optarg, UINT32_MAX, &d))
				return usage_error(
					"report", "--top takes a number of rows, not '%s'", optarg);
			r->fmt.top = (uint32_t)d;
			r->top_given = true;
			break;
		case 'm':
			if (!parse_number(optarg, 1, &r->cfg.min_confidence))
				return usage_error("report",
					"--min-confidence takes a number from 0 to 1, not '%s'",
					optarg);
			r->min_given = true;
			break;
		case 's':
			if (psi_filter_since(&r->cfg.filter.since_ns, optarg,
				    (uint64_t)time(NULL) * 1000000000u, &err) != 0)
				return usage_error("report", "--since: %s", err.text);
			break;
		case 'c':
			if (!parse_client(optarg, &r->cfg.filter))
				return usage_error("report",
					"--client takes an address or a prefix (192.0.2.0/24), not "
					"'%s'",
					optarg);
			break;
		case 'C': r->config = optarg; break;
		case 'R': r->ring = optarg ? optarg : RING_PATH; break;
		case 'H': parse_host(optarg, &r->cfg.filter); break;
		case 'h': fputs(help, stdout); return 'h';
		case ':': return usage_error("report", "%s wants a value", argv[optind - 1]);
		default: return option_error("report", argv[optind - 1]);
		}
	}
	return 0;
}

/* ---- the command ---- */

static void
page(struct run *r)
{
	struct winsize ws;
	bool tty = isatty(STDOUT_FILENO);

	r->fmt.colour = tty && !getenv("NO_COLOR");
	r->fmt.width = 80;
	if (tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col)
		r->fmt.width = ws.ws_col > 132 ? 132 : ws.ws_col;
	if (!r->top_given && r->write == psi_report_text)
		r->fmt.top = 20;
	if (!r->top_given && r->write == psi_report_html)
		r->fmt.top = 500;
}

static void
on_refused(void *ctx, const char *host, const char *why)
{
	struct run *r = ctx;

	if (++r->refused <= 20)
		fprintf(stderr, "pinsight report: not listed: %s: %s\n", host, why);
}

/* The hosts that the configuration's pinsets exempt. NULL without memory. */
static struct psi_report_own *
own_hosts(const struct psi_config *cfg, uint32_t *cnt)
{
	struct psi_report_own *own;
	size_t n = 0;

	*cnt = 0;
	for (uint32_t i = 0; i < cfg->pins_cnt; i++)
		n += cfg->pins[i].hosts.cnt;
	own = calloc(n ? n : 1, sizeof(*own));
	for (uint32_t i = 0; own && i < cfg->pins_cnt; i++)
		for (uint32_t k = 0;
			cfg->pins[i].action == PSI_PIN_EXEMPT && k < cfg->pins[i].hosts.cnt; k++)
			own[(*cnt)++] =
				(struct psi_report_own){cfg->pins[i].hosts.v[k], cfg->pins[i].name};
	return own;
}

static bool
exempt(struct run *r, const struct psi_config *cfg)
{
	struct psi_report_exempt x = {.form = (enum psi_report_form)r->exempt,
		.min_confidence = r->min_given ? r->cfg.min_confidence : EXEMPT_CONFIDENCE,
		.refused = on_refused,
		.ctx = r};
	struct psi_report_own *own = NULL;
	int cnt = -1;

	if (cfg)
		x.own = own = own_hosts(cfg, &x.own_cnt);
	if (!cfg || own)
		cnt = psi_report_exempt_list(stdout, r->report, &x);
	free(own);
	if (r->refused > 20)
		fprintf(stderr, "pinsight report: and %u more that are not listed\n",
			r->refused - 20);
	if (cnt < 0)
		fprintf(stderr, "pinsight report: no memory for the list\n");
	else
		fprintf(stderr,
			"pinsight report: %d pinned host%s of confidence %.2f or more%s listed\n",
			cnt, cnt == 1 ? "" : "s", x.min_confidence,
			x.own_cnt ? ", or by pinset," : "");
	if (x.form == PSI_REPORT_FORM_FMC && cnt > 1000)
		fprintf(stderr,
			"pinsight report: FMC takes 1000 objects at a time: split the list\n");
	return cnt >= 0;
}

static bool
is_empty(const struct psi_report_sum *s)
{
	uint64_t lines = s->bad;

	for (unsigned int i = 0; i < PSI_REPORT_KIND_CNT; i++)
		lines += s->events[i];
	return !lines;
}

static int
report(struct run *r, const struct psi_config *cfg, int argc, char **argv)
{
	if (r->ring)
		read_ring(r);
	else if (optind == argc)
		read_file(r, "-");
	for (int i = optind; i < argc; i++)
		read_file(r, argv[i]);
	if (r->complaints > COMPLAINTS_MAX)
		fprintf(stderr, "pinsight report: and %u more lines that could not be read\n",
			r->complaints - COMPLAINTS_MAX);
	if (r->dead && is_empty(psi_report_sum(r->report)))
		return EXIT_TROUBLE; /* told; an empty report would look like one */
	if (psi_report_finish(r->report) != 0) {
		fprintf(stderr, "pinsight report: no memory for the rows\n");
		return EXIT_TROUBLE;
	}
	if (r->exempt >= 0) {
		if (!exempt(r, cfg))
			return EXIT_TROUBLE;
	} else {
		page(r);
		r->write(stdout, r->report, &r->fmt);
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "pinsight report: cannot write to standard output: %s\n",
			strerror(errno));
		return EXIT_TROUBLE;
	}
	return r->dead || r->complaints ? EXIT_TROUBLE : EXIT_DONE;
}

int
cmd_report(int argc, char **argv)
{
	struct run r = {.write = psi_report_text, .exempt = -1};
	struct psi_err err = {""};
	struct psi_config *cfg = NULL;
	int rc = parse(&r, argc, argv);

	if (rc)
		return rc == 'h' ? EXIT_DONE : rc;
	if (r.config && !(cfg = psi_config_open(r.config, NULL, 0, &err))) {
		fprintf(stderr, "pinsight report: %s\n", err.text);
		return EXIT_TROUBLE;
	}
	r.report = psi_report_open(&r.cfg, &err);
	if (!r.report) {
		fprintf(stderr, "pinsight report: %s\n", err.text);
		psi_config_close(cfg);
		return EXIT_TROUBLE;
	}
	rc = report(&r, cfg, argc, argv);
	psi_report_close(r.report);
	psi_config_close(cfg);
	return rc;
}
