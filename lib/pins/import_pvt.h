/* SPDX-License-Identifier: BSD-3-Clause */
/* import_pvt.h: pinsets on their way from an application's file into a configuration. import.c: the list, which format it is;
 * import_yaml.c: writing; one file a format. */
#ifndef IMPORT_PVT_H
#define IMPORT_PVT_H

#include "pins_pvt.h"
#include "psi_pins_import.h"

#define SETS_MAX  65536 /* of a file; what a configuration takes */
#define HOSTS_MAX 4096	/* of a set; they are compared one by one */
#define PINS_MAX  4096	/* of a set and kind */

struct import_set {
	enum psi_pins_format format;
	char **host;
	struct pin *pin;
	char **note;
	uint32_t host_cnt, pin_cnt, note_cnt;
	char expires[11]; /* "2027-01-31"; empty: never */
	bool unpinned;	  /* a hole: no pins */
	bool off;	  /* the application does not enforce it: written as a comment */
};

struct psi_pins_list {
	struct import_set *set;
	uint32_t cnt;
};

struct import {
	struct psi_pins_list *list;
	const struct psi_pins_import *in;
	struct psi_err *err;
	uint32_t first; /* set of this file */
	bool no_lines;	/* those that are known are not of the file */
	int rc;		/* the first failure */
};

/* import_fail: "FILE:LINE:COL: text" (line, col 0: not known) becomes the outcome unless there is one; returns -EINVAL. */
int import_fail(struct import *im, uint32_t line, uint32_t col, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int import_no_memory(struct import *im);

/* import_note tells the caller, and the reader of set unless NULL. */
void import_note(struct import *im, struct import_set *set, uint32_t line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* set_add: an empty set; NULL and im->rc set when there are too many. Sets move when one is added. */
struct import_set *set_add(struct import *im);
/* set_drop: the last one was not meant. set_close: the last one is complete; without a pin it goes, and a note says so. */
void set_drop(struct import *im);
void set_close(struct import *im, uint32_t line);

/* set_host: prefix ("", "*.", "**.") and name, which is checked. set_pin: text by psi_pins_parse_hash; SHA-1 pins become a note. Both return false
 * with im->rc set. Doubles are dropped. */
bool set_host(struct import *im, struct import_set *s, uint32_t line, uint32_t col,
	const char *prefix, const char *name);
bool set_pin(struct import *im, struct import_set *s, uint32_t line, uint32_t col,
	enum pin_kind kind, const char *text);
bool set_hash(struct import *im, struct import_set *s, uint32_t line, enum pin_kind kind,
	const uint8_t hash[32]);
/* set_expires: a text that begins with a day. False with im->rc set when it does not. */
bool set_expires(struct import *im, struct import_set *s, uint32_t line, const char *text);

/* import_holes: names that are not pinned, though a wildcard of this file covers them, become sets of their own. */
struct hole {
	char *name;
	uint32_t line;
};
void import_holes(struct import *im, const struct hole *hole, uint32_t cnt);
/* pattern_covers: whether a pattern is for every name that another is for. */
bool pattern_covers(const char *pattern, const char *other);

/* One format each. */
void import_android(struct import *im);
void import_ios(struct import *im);
void import_okhttp(struct import *im);
void import_hpkp(struct import *im);
void import_electron(struct import *im);
void import_pem(struct import *im);

/* ---- XML, for two of them ---- */

#include <libxml/parser.h>

/* xml_open parses p; NULL with im->rc set. Free with xmlFreeDoc. */
xmlDoc *xml_open(struct import *im, const char *p, size_t len);
uint32_t xml_line(const xmlNode *n);
bool xml_is(const xmlNode *n, const char *name);
/* xml_text: the text of an element, trimmed, into buf. NULL with im->rc set when it is longer than buf or has elements in it. */
const char *xml_text(struct import *im, const xmlNode *n, char *buf, size_t cap);
/* xml_attr: an attribute's value, into buf; NULL when absent. */
const char *xml_attr(const xmlNode *n, const char *name, char *buf, size_t cap);

#define FOR_ELEMENTS(c, parent)                                          \
	for (xmlNode *c = (parent)->children; c && !im->rc; c = c->next) \
		if (c->type == XML_ELEMENT_NODE)

#endif
