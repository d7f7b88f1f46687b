/* SPDX-License-Identifier: BSD-3-Clause */
/* report_html.h: what the page and its plots share. */
#ifndef PSI_REPORT_HTML_H
#define PSI_REPORT_HTML_H

#include "report_pvt.h"

/* rpt_html escapes what rpt_shown() has made fit: for element content and for attributes in double quotes. */
void rpt_html(FILE *out, const char *clean);

/* Figures with inline SVG; each also says in words what it shows. Nothing where there is nothing to plot. */
void rpt_plot_times(FILE *out, const struct psi_report_times *t);
void rpt_plot_hosts(FILE *out, const struct psi_report *r);
void rpt_plot_confidence(FILE *out, const struct psi_report *r);

#endif
