/* SPDX-License-Identifier: BSD-3-Clause */
/* What DPDK's driver for packet sockets does not tell of an interface of Linux: whether it is there, and what the kernel
 * dropped because a socket was full. */
#include "nic_pvt.h"

#include <dirent.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static short
flags_of(const char *interface)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {0};
	short flags = 0;

	if (fd < 0)
		return 0;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCGIFFLAGS, &r) == 0)
		flags = r.ifr_flags;
	close(fd);
	return flags;
}

bool
nic_linux_there(const char *interface)
{
	return if_nametoindex(interface) != 0;
}

bool
nic_linux_running(const char *interface)
{
	return flags_of(interface) & IFF_RUNNING;
}

bool
nic_linux_promiscuous(const char *interface)
{
	return flags_of(interface) & IFF_PROMISC;
}

int
nic_linux_check(const char *interface, struct psi_err *err)
{
	int fd;

	if (!nic_linux_there(interface))
		return psi_err_set(err, -ENODEV,
			"there is no interface of that name; `ip -br link` lists those there are");
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == EPERM || errno == EACCES)
		return psi_err_set(err, -errno,
			"reading an interface takes root, or the capabilities CAP_NET_RAW and CAP_NET_ADMIN");
	return psi_err_set(err, -errno, "packet sockets: %s", strerror(errno));
}

/* Packets that one socket lost since its last answer; 0 if it is none of ours on that interface. */
static uint64_t
drops_of(int fd, unsigned int if_index)
{
	struct sockaddr_ll a = {0};
	struct tpacket_stats st = {0};
	socklen_t len = sizeof(a);
	int domain = 0;

	if (getsockname(fd, (struct sockaddr *)&a, &len) != 0 || a.sll_family != AF_PACKET ||
		a.sll_ifindex != (int)if_index)
		return 0;
	len = sizeof(domain);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 || domain != AF_PACKET)
		return 0;
	len = sizeof(st);
	return getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0 ? st.tp_drops : 0;
}

uint64_t
nic_linux_drops(const char *interface)
{
	unsigned int if_index = if_nametoindex(interface);
	DIR *d = if_index ? opendir("/proc/self/fd") : NULL;
	uint64_t n = 0;

	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			n += drops_of(atoi(e->d_name), if_index);
	closedir(d);
	return n;
}
