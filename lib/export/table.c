/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows as a table for a person. Rows are kept as clean text until every column's width is known. */
#include "export_pvt.h"
#include "psi_export.h"

#include <stdio.h>
#include <stdlib.h>

enum col { COL_TIME, COL_CLIENT, COL_HOST, COL_TLS, COL_MESSAGES, COL_ALERT, COL_VERDICT, COL_CNT };

static const char *const heading[COL_CNT] = {
	"TIME", "CLIENT", "HOST", "TLS", "MESSAGES", "ALERT", "VERDICT"};

#define CELL_MAX   256 /* bytes of a cell, NUL included */
#define CELL_COLS  60  /* columns of a cell */
#define REASON_MAX 512
#define BELOW_MAX  (REASON_MAX + 2 * CELL_MAX + 8)
#define GAP	   2 /* columns between two cells */
#define INDENT	   4 /* of a reason on a line of its own */

struct row {
	enum psi_class class;
	const char *alert_name; /* of the alert in COL_ALERT, NULL when it has none */
	unsigned int port_cols; /* of the client's port with its colon: what COL_CLIENT ends in */
	char cell[COL_CNT][CELL_MAX];
	char reason[REASON_MAX];
};

struct layout {
	unsigned int cols[COL_CNT]; /* 0: left out */
	bool port;		    /* the client with its port */
	bool reason;		    /* within the row, not on a line of its own */
};

struct psi_table {
	struct psi_table_config cfg;
	struct row **rows;
	size_t cnt;
	uint64_t passed_over; /* flows that went through, not shown */
	bool letters[128];    /* of the messages, lower case, that need an explanation */
	bool flowing; /* the bound was reached, or memory ended: rows are printed as they come */
	struct layout natural, layout;
	unsigned int natural_addr,
		natural_reason; /* columns of the client without its port, of the reason */
};

struct psi_table *
psi_table_open(const struct psi_table_config *cfg)
{
	struct psi_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->cfg = *cfg;
	t->rows = calloc(PSI_TABLE_ROWS_MAX, sizeof(*t->rows));
	if (!t->rows) {
		free(t);
		return NULL;
	}
	return t;
}

void
psi_table_close(struct psi_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->cnt; i++)
		free(t->rows[i]);
	free(t->rows);
	free(t);
}

/* ---- an event -> cells ---- */

static uint64_t
number(const struct psi_event_r *r, enum psi_field f)
{
	struct psi_value v;

	return psi_event_find(r, f, &v) ? psi_value_u64(&v) : 0;
}

static void
clean(char *out, const void *p, size_t len)
{
	psi_text_clean(out, CELL_MAX, CELL_COLS, p, len);
}

/* An address, in brackets when it is IPv6 and a port follows it. */
static size_t
address(char *out, const struct psi_event_r *r, enum psi_field f, bool port_follows)
{
	struct psi_value v;
	bool brackets;
	size_t n = 0;

	if (!psi_event_find(r, f, &v))
		return 0;
	brackets = v.len == 16 && port_follows;
	if (brackets)
		out[n++] = '[';
	n += fmt_ip(out + n, v.p, v.len);
	if (brackets)
		out[n++] = ']';
	return n;
}

static size_t
colon_port(char *out, uint64_t port)
{
	out[0] = ':';
	return 1 + fmt_u64(out + 1, port);
}

static void
fill_client(struct row *row, const struct psi_event_r *r)
{
	char *c = row->cell[COL_CLIENT];
	size_t n = address(c, r, PSI_F_SRC_IP, true);

	row->port_cols = (unsigned int)colon_port(c + n, number(r, PSI_F_SRC_PORT));
	c[n + row->port_cols] = '\0';
}

/* The name asked for, else the address; the port where it is not 443. */
static void
fill_host(struct row *row, const struct psi_event_r *r)
{
	char *c = row->cell[COL_HOST];
	uint64_t port = number(r, PSI_F_DEST_PORT);
	struct psi_value v;
	size_t n;

	if (psi_event_find(r, PSI_F_TLS_SNI, &v) && v.len) {
		clean(c, v.p, v.len);
		n = strlen(c);
	} else {
		n = address(c, r, PSI_F_DEST_IP, port != 443);
	}
	if (port != 443)
		n += colon_port(c + n, port);
	c[n] = '\0';
}

/* An alert that is worth a cell: not one that closes. */
static bool
is_error_alert(const struct psi_event_r *a)
{
	struct psi_value v;

	if (number(a, PSI_F_ALERT_CLOSING))
		return false;
	return !psi_event_find(a, PSI_F_ALERT_CODE, &v) || psi_value_u64(&v) != 0;
}

static void
fill_alert(struct row *row, const struct psi_event_r *r)
{
	struct psi_event_r at = *r, a;
	char *c = row->cell[COL_ALERT];
	unsigned int more = 0;
	struct psi_value v, d;
	size_t n = 0;

	while (psi_event_next(&at, &v)) {
		if (v.id != PSI_F_ALERTS)
			continue;
		psi_event_enter(&v, &a);
		if (!is_error_alert(&a) || more++)
			continue;
		if (psi_event_find(&a, PSI_F_ALERT_DIR, &d))
			n = (size_t)snprintf(c, CELL_MAX, "%s ",
				d.len == 3 && memcmp(d.p, "c2s", 3) == 0 ? "client" : "server");
		if (psi_event_find(&a, PSI_F_ALERT_CODE, &d)) {
			unsigned int code = (unsigned int)psi_value_u64(&d);
			const char *name = code <= UINT8_MAX ? psi_alert_name((uint8_t)code) : NULL;

			row->alert_name = name;
			n += (size_t)snprintf(
				c + n, CELL_MAX - n, "%u %s", code, name ? name : "?");
		} else {
			n += (size_t)snprintf(c + n, CELL_MAX - n, "(encrypted)");
		}
	}
	if (more > 1)
		snprintf(c + n, CELL_MAX - n, " +%u", more - 1);
}

static void
fill_verdict(struct row *row, const struct psi_event_r *r)
{
	const char *name = psi_class_name(row->class);
	struct psi_value v;
	double sure = 0;

	if (psi_event_find(r, PSI_F_CONFIDENCE, &v))
		sure = psi_value_f64(&v);
	if (sure > 0 && sure <= 1)
		snprintf(row->cell[COL_VERDICT], CELL_MAX, "%s %.0f%%", name, sure * 100);
	else
		snprintf(row->cell[COL_VERDICT], CELL_MAX, "%s", name);
}

static void
fill(struct row *row, const struct psi_event_r *r)
{
	struct psi_value v;
	const char *version;

	memset(row, 0, sizeof(*row));
	row->class = number(r, PSI_F_CLASS) < PSI_CLASS_CNT ? (enum psi_class)number(r, PSI_F_CLASS)
							    : PSI_CLASS_NONE;
	if (psi_event_find(r, PSI_F_FLOW_START, &v)) {
		char s[32];

		fmt_time(s, psi_value_u64(&v));
		memcpy(row->cell[COL_TIME], s + 11, 12); /* hours to ms */
	}
	fill_client(row, r);
	fill_host(row, r);
	version = psi_version_name((uint16_t)number(r, PSI_F_TLS_VERSION));
	if (version)
		snprintf(row->cell[COL_TLS], CELL_MAX, "%s",
			strncmp(version, "TLS ", 4) == 0 ? version + 4 : version);
	if (psi_event_find(r, PSI_F_SEQUENCE, &v))
		clean(row->cell[COL_MESSAGES], v.p, v.len);
	fill_alert(row, r);
	fill_verdict(row, r);
	if (psi_event_find(r, PSI_F_REASON, &v))
		psi_text_clean(row->reason, REASON_MAX, REASON_MAX, v.p, v.len);
}

/* ---- widths ---- */

static void
widen(unsigned int *cols, unsigned int to)
{
	*cols = PSI_MAX(*cols, to);
}

/* The client's address alone: a copy without the port, and without the brackets that only a port needs. */
static void
client_addr(char *out, const struct row *row)
{
	const char *c = row->cell[COL_CLIENT];
	size_t n = strlen(c) - row->port_cols;

	if (*c == '[') {
		c++;
		n -= 2;
	}
	memcpy(out, c, n);
	out[n] = '\0';
}

static void
measure(struct psi_table *t, const struct row *row)
{
	char addr[CELL_MAX];

	for (int c = 0; c < COL_CNT; c++)
		if (row->cell[c][0])
			widen(&t->natural.cols[c],
				PSI_MAX(text_cols(row->cell[c]), text_cols(heading[c])));
	client_addr(addr, row);
	widen(&t->natural_addr, text_cols(addr));
	widen(&t->natural_reason, text_cols(row->reason));
}

static unsigned int
total(const struct layout *l)
{
	unsigned int sum = 0;

	for (int c = 0; c < COL_CNT; c++)
		if (l->cols[c])
			sum += l->cols[c] + GAP;
	return sum ? sum - GAP : 0;
}

/* What gives way, in this order, until the row fits. A column is cut to so many columns, 0: left out. */
static const struct {
	enum col col;
	unsigned int cols;
} gives_way[] = {
	{COL_TIME, 0},
	{COL_HOST, 40},
	{COL_CLIENT, 0} /* its port */,
	{COL_MESSAGES, 16},
	{COL_HOST, 30},
	{COL_CLIENT, 24},
	{COL_MESSAGES, 0},
	{COL_HOST, 26},
	{COL_ALERT, 0},
	{COL_CLIENT, 18},
	{COL_TLS, 0},
	{COL_HOST, 8},
};

static void
give_way(struct psi_table *t, struct layout *l, enum col c, unsigned int cols)
{
	unsigned int over = total(l) - t->cfg.width;

	if (c == COL_CLIENT && !cols) {
		l->port = false;
		l->cols[c] = PSI_MAX(t->natural_addr, (unsigned int)strlen(heading[c]));
	} else if (cols && l->cols[c] > cols) { /* no more than needed */
		l->cols[c] = l->cols[c] - cols > over ? l->cols[c] - over : cols;
	} else if (!cols) {
		l->cols[c] = 0;
	}
}

static void
lay_out(struct psi_table *t)
{
	struct layout l = t->natural;

	l.port = true;
	for (size_t i = 0; i < PSI_COUNT(gives_way) && t->cfg.width && total(&l) > t->cfg.width;
		i++)
		give_way(t, &l, gives_way[i].col, gives_way[i].cols);
	l.reason = !t->cfg.width || total(&l) + GAP + t->natural_reason <= t->cfg.width;
	t->layout = l;
}

/* ---- printing ---- */

static const char *
class_colour(enum psi_class c)
{
	if (c == PSI_CLASS_PINNED)
		return "\033[1;35m";
	if (psi_class_is_refusal(c))
		return "\033[1;31m";
	if (c == PSI_CLASS_NORMAL)
		return "\033[32m";
	return "\033[33m";
}

static void
coloured(const struct psi_table *t, const char *colour, const char *s)
{
	if (t->cfg.colour && *colour)
		fprintf(t->cfg.out, "%s%s\033[0m", colour, s);
	else
		fputs(s, t->cfg.out);
}

/* Text on lines of its own, broken at spaces. */
static void
print_below(const struct psi_table *t, const char *s)
{
	unsigned int cols = t->cfg.width > INDENT + 20 ? t->cfg.width - INDENT : 20, used;
	char part[BELOW_MAX];

	while (*s) {
		size_t n = text_cut_at(s, strlen(s), cols, &used), space = n;

		while (s[n] && space > 0 && s[space] != ' ')
			space--;
		n = space ? space : n;
		memcpy(part, s, n);
		part[n] = '\0';
		fprintf(t->cfg.out, "%*s", INDENT, "");
		coloured(t, "\033[2m", part);
		fputc('\n', t->cfg.out);
		for (s += n; *s == ' '; s++)
			;
	}
}

/* What found no place in the row of a flow that did not go through: messages, alert, reason. An alert that the reason
 * names is not named twice. */
static void
print_rest(const struct psi_table *t, const struct row *row)
{
	const char *part[3] = {row->cell[COL_MESSAGES], row->cell[COL_ALERT], row->reason};
	bool named = row->alert_name && strstr(row->reason, row->alert_name);
	bool shown[3] = {
		t->layout.cols[COL_MESSAGES], t->layout.cols[COL_ALERT] || named, t->layout.reason};
	char below[BELOW_MAX];
	size_t n = 0;

	for (int i = 0; i < 3; i++)
		if (!shown[i] && part[i][0])
			n += (size_t)snprintf(
				below + n, sizeof(below) - n, "%s%s", n ? " · " : "", part[i]);
	if (n)
		print_below(t, below);
}

/* Spaces are put before the next cell, not behind each, so that no line ends in them. */
static void
print_cell(const struct psi_table *t, const struct row *row, enum col c, unsigned int *pad)
{
	unsigned int cols = t->layout.cols[c], used;
	char s[CELL_MAX];

	if (!cols)
		return;
	if (c == COL_CLIENT && !t->layout.port)
		client_addr(s, row);
	else
		memcpy(s, row->cell[c], sizeof(s));
	used = c == COL_HOST || c == COL_CLIENT ? text_middle(s, cols) : text_tail(s, cols);
	if (used) {
		fprintf(t->cfg.out, "%*s", (int)*pad, "");
		coloured(t, c == COL_VERDICT ? class_colour(row->class) : "", s);
		*pad = 0;
	}
	*pad += cols - used + GAP;
}

static void
print_row(const struct psi_table *t, const struct row *row)
{
	unsigned int pad = 0;

	for (int c = 0; c < COL_CNT; c++)
		print_cell(t, row, (enum col)c, &pad);
	if (t->layout.reason && row->reason[0])
		fprintf(t->cfg.out, "%*s%s", (int)pad, "", row->reason);
	fputc('\n', t->cfg.out);
	if (row->class != PSI_CLASS_NORMAL)
		print_rest(t, row);
}

static void
print_heading(const struct psi_table *t)
{
	char line[COL_CNT * (CELL_COLS + GAP) + 16];
	size_t n = 0, end = 0;

	for (int c = 0; c < COL_CNT; c++) {
		if (!t->layout.cols[c])
			continue;
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%-*.*s",
			(int)(t->layout.cols[c] + GAP), (int)t->layout.cols[c], heading[c]);
	}
	n += (size_t)snprintf(line + n, sizeof(line) - n, "%s",
		t->layout.reason && t->natural_reason ? "REASON" : "");
	for (size_t i = 0; i < n; i++)
		if (line[i] != ' ')
			end = i + 1;
	line[end] = '\0';
	coloured(t, "\033[1m", line);
	fputc('\n', t->cfg.out);
}

/* What the letters of the messages mean: Zeek's ssl_history. */
static const char *
letter_name(char letter)
{
	switch (letter) {
	case 'i': return "change_cipher_spec";
	case 'l': return "alert";
	case 'd': return "application_data";
	case 'b': return "heartbeat";
#define HS(sym, type, name, l, c2s, s2c) \
	case l:                          \
		return name;
#include "tls_handshake.def"
#undef HS
	}
	return "other";
}

static void
note_letters(struct psi_table *t, const struct row *row)
{
	for (const char *s = row->cell[COL_MESSAGES]; *s; s++)
		if ((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z'))
			t->letters[*s | 0x20] = true;
}

static void
print_legend(const struct psi_table *t)
{
	unsigned int width = t->cfg.width ? t->cfg.width : 120, at;

	fputc('\n', t->cfg.out);
	at = (unsigned int)fprintf(t->cfg.out, "Messages, upper case from the client:");
	for (char c = 'a'; c <= 'z'; c++) {
		const char *name = letter_name(c);
		unsigned int n = 4 + (unsigned int)strlen(name);

		if (!t->letters[(int)c])
			continue;
		if (at + n > width) {
			fprintf(t->cfg.out, "\n%*s", INDENT - 2, "");
			at = INDENT - 2;
		}
		at += (unsigned int)fprintf(t->cfg.out, "  %c %s", c, name);
	}
	fputc('\n', t->cfg.out);
}

static void
print_kept(struct psi_table *t)
{
	lay_out(t);
	print_heading(t);
	for (size_t i = 0; i < t->cnt; i++) {
		print_row(t, t->rows[i]);
		free(t->rows[i]);
	}
	t->cnt = 0;
}

void
psi_table_event(struct psi_table *t, const struct psi_event *e)
{
	struct psi_event_r r;
	struct row row, *kept;

	if (e->type != PSI_EVENT_TLS_FLOW)
		return;
	psi_event_fields(e, &r);
	fill(&row, &r);
	if (!t->cfg.all && (row.class == PSI_CLASS_NORMAL || row.class == PSI_CLASS_NOT_TLS)) {
		t->passed_over++;
		return;
	}
	note_letters(t, &row);
	if (!t->flowing) {
		measure(t, &row);
		kept = malloc(sizeof(*kept));
		if (kept) {
			*kept = row;
			t->rows[t->cnt++] = kept;
			if (t->cnt < PSI_TABLE_ROWS_MAX)
				return;
		}
		print_kept(t);
		t->flowing = true;
		if (kept)
			return;
	}
	print_row(t, &row);
}

void
psi_table_finish(struct psi_table *t)
{
	bool any = t->cnt || t->flowing;

	if (t->cnt)
		print_kept(t);
	if (any)
		print_legend(t);
	if (t->passed_over)
		fprintf(t->cfg.out, "%llu flow%s went through, not listed.\n",
			(unsigned long long)t->passed_over, t->passed_over == 1 ? "" : "s");
	else if (!any)
		fputs("No TLS connection was seen.\n", t->cfg.out);
	t->flowing = false;
}
