/* SPDX-License-Identifier: BSD-3-Clause */
/* The lock file beside a ring also says who holds it: "PID RELOADS TEXT", one line, written over in place. It is the lock
 * that counts: whatever stands in a file that nobody holds is old. */
#include "ring_pvt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

void
ring_tell(int fd, uint64_t reloads, const char *said)
{
	char line[600];
	int n = snprintf(line, sizeof(line), "%d %llu %.500s\n", (int)getpid(),
		(unsigned long long)reloads, said);

	/* One write, so that no reader sees a mixture; what is left of a longer line before goes after it. */
	if (pwrite(fd, line, (size_t)n, 0) != n || ftruncate(fd, n) != 0)
		return; /* a full disk: nobody is told, nothing else is lost */
}

static int
parse(const char *line, struct psi_ring_engine *e)
{
	unsigned long long reloads;
	int at = 0;

	if (sscanf(line, "%d %llu %n", &e->pid, &reloads, &at) < 2 || e->pid <= 0)
		return -EPROTO;
	e->reloads = reloads;
	snprintf(e->said, sizeof(e->said), "%.*s", (int)strcspn(line + at, "\n"), line + at);
	return 0;
}

int
psi_ring_ask(const char *path, struct psi_ring_engine *e, struct psi_err *err)
{
	char name[4096], line[640];
	ssize_t n;
	int fd;

	if (snprintf(name, sizeof(name), "%s.lock", path) >= (int)sizeof(name))
		return psi_err_set(err, -ENAMETOOLONG, "%s: the name is too long", path);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return psi_err_set(err, -errno, "%s: %s", name, strerror(errno));
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0) {
		if (fd >= 0)
			close(fd);
		return psi_err_set(err, -ESRCH, "%s: no engine writes this ring", path);
	}
	n = pread(fd, line, sizeof(line) - 1, 0);
	close(fd);
	line[n > 0 ? n : 0] = '\0';
	if (parse(line, e) != 0)
		return psi_err_set(
			err, -EPROTO, "%s: does not say which process writes the ring", name);
	return 0;
}
