/* SPDX-License-Identifier: BSD-3-Clause */
/* log.h: messages of the running engine, one line each on standard error: time, weight, part, what happened. To systemd's
 * journal, which has a time of its own, a line goes with the priority it knows instead.
 * Thread: any but a worker in its loop; a line is written whole. */
#ifndef LOG_H
#define LOG_H

#include "psi_config.h"

#include <stdio.h>

/* log_level: from which weight on. */
void log_level(enum psi_config_level level);

void log_line(enum psi_config_level level, const char *part, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(part, ...) log_line(PSI_CONFIG_LEVEL_ERROR, part, __VA_ARGS__)
#define log_warn(part, ...)  log_line(PSI_CONFIG_LEVEL_WARN, part, __VA_ARGS__)
#define log_info(part, ...)  log_line(PSI_CONFIG_LEVEL_INFO, part, __VA_ARGS__)
#define log_debug(part, ...) log_line(PSI_CONFIG_LEVEL_DEBUG, part, __VA_ARGS__)

/* log_stream: what DPDK writes there becomes lines of part "dpdk". NULL without memory. */
FILE *log_stream(void);

#endif
