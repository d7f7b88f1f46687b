/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <rte_log.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static _Atomic int threshold = PSI_CONFIG_LEVEL_INFO;

static const struct {
	const char *name;
	int priority; /* of syslog */
} levels[] = {
	[PSI_CONFIG_LEVEL_ERROR] = {"error", 3},
	[PSI_CONFIG_LEVEL_WARN] = {"warn", 4},
	[PSI_CONFIG_LEVEL_INFO] = {"info", 6},
	[PSI_CONFIG_LEVEL_DEBUG] = {"debug", 7},
};

void
log_level(enum psi_config_level level)
{
	atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

/* Whether standard error is the journal itself: the variable alone may be inherited by who prints elsewhere. */
static bool
to_journal(void)
{
	const char *v = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return v && sscanf(v, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

static size_t
head(char *out, size_t cap, enum psi_config_level level, const char *part)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	if (to_journal())
		return (size_t)snprintf(out, cap, "<%d>%s: ", levels[level].priority, part);
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(out, cap, "%Y-%m-%dT%H:%M:%S", &tm);
	return n + (size_t)snprintf(out + n, cap - n, ".%03ldZ %-5s %s: ", ts.tv_nsec / 1000000,
			   levels[level].name, part);
}

void
log_line(enum psi_config_level level, const char *part, const char *fmt, ...)
{
	char line[1024];
	size_t n;
	va_list ap;

	if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	n = head(line, sizeof(line), level, part);
	va_start(ap, fmt);
	n += (size_t)vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	n = PSI_MIN(n, sizeof(line) - 2);
	for (size_t i = 0; i < n; i++) /* one line, whatever a name holds */
		if ((unsigned char)line[i] < ' ')
			line[i] = ' ';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody is there to be told */
}

/* ---- DPDK's lines ---- */

static char part_line[512]; /* what came of a line so far; the stream's lock guards it */
static size_t part_len;

/* The weight that DPDK gave the line; how much it says at all is its own to decide (log.dpdk). */
static enum psi_config_level
dpdk_level(void)
{
	int level = rte_log_cur_msg_loglevel();

	if (level <= (int)RTE_LOG_ERR)
		return PSI_CONFIG_LEVEL_ERROR;
	if (level == (int)RTE_LOG_WARNING)
		return PSI_CONFIG_LEVEL_WARN;
	return level <= (int)RTE_LOG_INFO ? PSI_CONFIG_LEVEL_INFO : PSI_CONFIG_LEVEL_DEBUG;
}

/* DPDK warns that it lacks what only clients of before 2020 could want, and that an interface such as lo cannot be given
 * its own address again; no level of its own turns that off. */
static bool
is_noise(const char *line)
{
	return strstr(line, "legacy socket not created") || strstr(line, "SIOCSIFHWADDR");
}

static ssize_t
on_write(void *cookie, const char *p, size_t len)
{
	(void)cookie;
	for (size_t i = 0; i < len; i++) {
		if (p[i] != '\n' && part_len < sizeof(part_line) - 1) {
			part_line[part_len++] = p[i];
		} else if (p[i] == '\n' && part_len) {
			part_line[part_len] = '\0';
			part_len = 0;
			if (!is_noise(part_line))
				log_line(dpdk_level(), "dpdk", "%s", part_line);
		}
	}
	return (ssize_t)len;
}

FILE *
log_stream(void)
{
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = on_write});

	if (f)
		setvbuf(f, NULL, _IOLBF, 1024);
	return f;
}
