/* SPDX-License-Identifier: BSD-3-Clause */
/* pinsight.h: the subcommands of the program. Each takes the arguments from its own name on (argv[0]) and returns an
 * exit status: 0 done, 1 done in part or failed, 2 called wrongly. */
#ifndef PINSIGHT_H
#define PINSIGHT_H

enum { EXIT_DONE = 0, EXIT_TROUBLE = 1, EXIT_USAGE = 2 };

#define RING_PATH "/dev/shm/pinsight.ring" /* where the ring is, unless told otherwise */

int cmd_doctor(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_pins(int argc, char **argv);
int cmd_read(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_rules(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_report(int argc, char **argv);

/* usage_error: one line on what is wrong and one on where help is; returns EXIT_USAGE. */
int usage_error(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* option_error: getopt_long met an option that is not there; arg: as it was written. Returns EXIT_USAGE. */
int option_error(const char *command, const char *arg);

#endif
