/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight top: a running engine at a glance. ncurses paints; what is painted comes from top_view.c. */
#include "pinsight.h"
#include "top_model.h"

#include <curses.h>
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ONCE_ROWS 24
#define ONCE_COLS 80
#define EVENT_MAX 200000 /* events between two looks at the keyboard */

struct top {
	const char *path;
	bool once, paused, helping;
	unsigned int refresh_ms;
	struct psi_ring_r *ring;
	struct top_model model;
};

static volatile sig_atomic_t interrupted; /* set by a signal handler */

static void
on_signal(int sig)
{
	interrupted = sig;
}

static const char help[] =
	"usage: pinsight top [OPTION...]\n"
	"\n"
	"Shows a running engine at a glance, in a terminal of 80 by 24 or larger: what comes in, whether the\n"
	"ledger balances, each worker's load and queue, verdicts, the hosts refused most often, and the newest\n"
	"findings. Counts begin with the oldest event in the ring.\n"
	"\n"
	"  --ring=FILE     the engine's ring (default " RING_PATH ")\n"
	"  --refresh=MS    milliseconds from picture to picture, 100 to 60000 (default 1000)\n"
	"  --once          print one picture, 80 by 24, and end; for scripts and for mail\n"
	"  -h, --help      this text\n"
	"\n"
	"Keys: q quit; p pause the picture; r forget what was counted here; h what the columns mean.\n"
	"\n"
	"Exit status: 0 done; 1 no ring, or it broke off; 2 called wrongly.\n";

static const char *const help_screen[] = {"What the columns mean", "",
	"  in       packets, bits and flows per second over the last stats.interval",
	"  ledger   whether every packet, flow and record is accounted for",
	"  dropped  packets and records that were refused, for whatever reason: pinsight stats",
	"           says where",
	"  missed   events that this program did not read in time; the engine is not disturbed",
	"  LOAD     share of time in which the worker had packets to work on",
	"  QUEUE    how full its queue to the collector is",
	"  MINUTE   flows that ended in the last minute with this verdict", "",
	"  A host in purple was called pinned last, one in red was refused for another cause.",
	"  The list of hosts to exempt from decryption: pinsight report --exempt=plain", "",
	"Any key goes back.", NULL};

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* ---- one picture as lines ---- */

static void
text_line(void *ctx, unsigned int row, unsigned int col, enum top_look look, const char *s)
{
	char(*line)[ONCE_COLS + 1] = ctx;
	size_t n = PSI_MIN(strlen(s), (size_t)(ONCE_COLS - col));

	(void)look;
	memcpy(line[row] + col, s, n);
}

static void
print_once(struct top *t)
{
	char line[ONCE_ROWS][ONCE_COLS + 1];
	struct top_paint p = {.text = text_line, .ctx = line, .rows = ONCE_ROWS, .cols = ONCE_COLS};
	struct psi_ring_status status;

	memset(line, ' ', sizeof(line));
	psi_ring_status(t->ring, &status);
	top_draw(&t->model, &status, t->path, clock_ns(CLOCK_REALTIME), false, &p);
	for (unsigned int i = 0; i + 1 < ONCE_ROWS; i++) { /* the last line is about keys */
		unsigned int n = ONCE_COLS;

		while (n && line[i][n - 1] == ' ')
			n--;
		printf("%.*s\n", (int)n, line[i]);
	}
}

/* ---- the screen ---- */

static void
paint(void *ctx, unsigned int row, unsigned int col, enum top_look look, const char *s)
{
	attr_t attr = look == TOP_PLAIN ? A_NORMAL : look == TOP_DIM ? A_DIM : A_BOLD;

	(void)ctx;
	attrset(attr | (has_colors() ? COLOR_PAIR(look) : 0));
	mvaddnstr((int)row, (int)col, s, COLS - (int)col);
	attrset(A_NORMAL);
}

static void
draw(struct top *t)
{
	struct top_paint p = {
		.text = paint, .rows = (unsigned int)LINES, .cols = (unsigned int)COLS};
	struct psi_ring_status status;

	erase();
	if (t->helping) {
		for (int i = 0; help_screen[i] && i < LINES; i++)
			mvaddnstr(i, 0, help_screen[i], COLS);
	} else if (p.rows < 12 || p.cols < 60) {
		mvaddnstr(0, 0, "pinsight top wants 80 by 24", COLS);
	} else {
		psi_ring_status(t->ring, &status);
		top_draw(&t->model, &status, t->path, clock_ns(CLOCK_REALTIME), t->paused, &p);
	}
	refresh();
}

static void
open_screen(void)
{
	setlocale(LC_ALL, "");
	initscr();
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	if (!has_colors() || getenv("NO_COLOR"))
		return;
	start_color();
	use_default_colors();
	init_pair(TOP_PLAIN, -1, -1);
	init_pair(TOP_TITLE, COLOR_CYAN, -1);
	init_pair(TOP_GOOD, COLOR_GREEN, -1);
	init_pair(TOP_BAD, COLOR_RED, -1);
	init_pair(TOP_PINNED, COLOR_MAGENTA, -1);
	init_pair(TOP_DIM, -1, -1);
}

/* False: it is time to leave. */
static bool
on_key(struct top *t, int key)
{
	if (t->helping && key != ERR && key != KEY_RESIZE) {
		t->helping = false;
		return key != 'q';
	}
	switch (key) {
	case 'q': return false;
	case 'p': t->paused = !t->paused; break;
	case 'r': top_reset(&t->model); break;
	case 'h':
	case '?': t->helping = true; break;
	}
	return true;
}

/* ---- events ---- */

/* Takes what there is, at most EVENT_MAX of it. False when the ring is damaged. */
static bool
take(struct top *t)
{
	struct psi_err err = {""};
	const struct psi_event *e;
	enum psi_ring_rc rc = PSI_RING_EVENT;

	for (unsigned int n = 0; n < EVENT_MAX && rc == PSI_RING_EVENT; n++) {
		rc = psi_ring_next(t->ring, &e);
		if (rc == PSI_RING_EVENT)
			top_event(&t->model, e);
	}
	if (rc != PSI_RING_EVENT && psi_ring_follow(t->ring, &err) == 1)
		return true;
	return rc != PSI_RING_BAD;
}

static int
watch(struct top *t)
{
	bool sound = true, stay = true;

	open_screen();
	timeout((int)t->refresh_ms);
	while (stay && sound && !interrupted) {
		if (!t->paused) {
			top_tick(&t->model, clock_ns(CLOCK_MONOTONIC) / 1000000000ull);
			sound = take(t);
		}
		draw(t);
		stay = on_key(t, getch());
	}
	endwin();
	if (!sound)
		fprintf(stderr, "pinsight top: %s is damaged, or no ring any more\n", t->path);
	return sound ? EXIT_DONE : EXIT_TROUBLE;
}

static int
parse(struct top *t, int argc, char **argv)
{
	static const struct option options[] = {{"ring", required_argument, NULL, 'r'},
		{"refresh", required_argument, NULL, 'f'}, {"once", no_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'}, {0}};
	unsigned long ms;
	char *end;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (o) {
		case 'r': t->path = optarg; break;
		case 'o': t->once = true; break;
		case 'f':
			ms = strtoul(optarg, &end, 10);
			if (*end || end == optarg || ms < 100 || ms > 60000)
				return usage_error("top",
					"--refresh takes milliseconds from 100 to 60000, not '%s'",
					optarg);
			t->refresh_ms = (unsigned int)ms;
			break;
		case 'h': fputs(help, stdout); return 'h';
		case ':': return usage_error("top", "%s wants a value", argv[optind - 1]);
		default: return option_error("top", argv[optind - 1]);
		}
	}
	if (optind != argc)
		return usage_error("top", "'%s' is no option", argv[optind]);
	if (!t->once && !isatty(STDOUT_FILENO))
		return usage_error(
			"top", "standard output is no terminal; --once prints one picture");
	return 0;
}

int
cmd_top(int argc, char **argv)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct top *t = calloc(1, sizeof(*t));
	struct psi_err err = {""};
	int rc;

	if (!t) {
		fprintf(stderr, "pinsight top: no memory\n");
		return EXIT_TROUBLE;
	}
	t->path = RING_PATH;
	t->refresh_ms = 1000;
	top_reset(&t->model);
	rc = parse(t, argc, argv);
	if (rc == 0 && psi_ring_open(&t->ring, t->path, PSI_RING_OLDEST, &err) != 0) {
		fprintf(stderr,
			"pinsight top: %s\nIs the engine running (pinsight run)? --ring names another ring.\n",
			err.text);
		rc = EXIT_TROUBLE;
	} else if (rc == 0 && t->once) {
		take(t);
		print_once(t);
	} else if (rc == 0) {
		sigaction(SIGINT, &act, NULL);
		sigaction(SIGTERM, &act, NULL);
		rc = watch(t);
	}
	psi_ring_shut(t->ring);
	free(t);
	return rc == 'h' ? EXIT_DONE : rc;
}
