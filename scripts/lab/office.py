# SPDX-License-Identifier: BSD-3-Clause
"""A company's network: a namespace a device, all of them on one switch, one gateway, and what stands behind it.

    device ns (dozens) ── br0 │ gateway ns (router; the proxy) │ g1 ── s0 │ server ns (nginx and others)

The capture is taken on br0, between the devices and whoever answers them. Each device runs its own list of jobs, one
after the other, and several devices run at the same time. A job is one start of a client program; it gets a range of
source ports of its own, so (device, port, destination) name what a connection was made to be before it is made.
"""
import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys

import labclients
import pinlab
from pinlab import NETS, run

PORTS_A_HOST = 8


class Office(pinlab.Lab):
    """hosts: {name: last number of its address}; devices: of plan.Device."""

    def __init__(self, hosts, devices, pki):
        super().__init__(hosts, [], pki=pki)
        self.devices = devices
        self.ns.update(("device%d" % d.number, "%s-%d" % (self.ns["client"], d.number)) for d in devices)
        del self.ns["client"]

    def _batch(self, ns, lines):
        run(["ip", "-n", ns, "-batch", "-"], input="\n".join(lines) + "\n")

    def _quiet(self, ns, dev):
        run(["ip", "netns", "exec", ns, "ethtool", "-K", dev, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro",
             "off"])

    def _wire(self):
        g, s = self.ns["gateway"], self.ns["server"]
        for n in self.ns.values():
            run(["ip", "netns", "add", n])
            run(["ip", "-n", n, "link", "set", "lo", "up"])
        run(["ip", "link", "add", "g1", "netns", g, "address", "02:00:00:00:01:01", "type", "veth", "peer", "name", "s0",
             "netns", s, "address", "02:00:00:00:01:02"])
        self._batch(g, ["link add br0 address 02:00:00:00:00:02 type bridge", "link set br0 up", "link set g1 up"])
        self._batch(s, ["link set s0 up"])
        for ns, dev in ((g, "g1"), (s, "s0")):
            self._quiet(ns, dev)
        # what the switch passes on must not go through the gateway's rules before the capture sees it
        run(["ip", "netns", "exec", g, "sh", "-c", "for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do "
             "[ ! -e $f ] || echo 0 > $f; done"])
        self._addr(g, "br0", 1, client=True)
        self._addr(g, "g1", 1, client=False)
        for n in sorted(set(self.hosts.values())):
            self._addr(s, "s0", n, client=False)
        run(["ip", "-n", s, "route", "add", "default", "via", NETS[4][1] % 1])
        run(["ip", "-n", s, "-6", "route", "add", "default", "via", NETS[6][1] % 1])
        run(["ip", "netns", "exec", g, "sh", "-c",
             "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"])
        for d in self.devices:
            self._plug(d)

    def _plug(self, d):
        ns, port = self.ns["device%d" % d.number], "p%d" % d.number
        run(["ip", "link", "add", "e0", "netns", ns, "address", "02:00:00:00:02:%02x" % d.number, "type", "veth", "peer",
             "name", port, "netns", self.ns["gateway"]])
        self._batch(self.ns["gateway"], ["link set %s master br0 up" % port])
        run(["ip", "-n", ns, "link", "set", "e0", "up"])
        self._quiet(ns, "e0")
        self._addr(ns, "e0", d.number, client=True)
        run(["ip", "-n", ns, "route", "add", "default", "via", NETS[4][0] % 1])
        run(["ip", "-n", ns, "-6", "route", "add", "default", "via", NETS[6][0] % 1])
        d.home = self.path("device%d" % d.number)
        d.next_port = 10000
        os.mkdir(d.home)

    def capture(self, out):
        return super().capture(out, where="gateway", dev="br0")

    def lose(self, percent):
        """Drops that share of the packets to and from the devices, so that TCP has to send again."""
        chance = "numgen random mod 10000 < %d drop" % (percent * 100)
        run(["ip", "netns", "exec", self.ns["gateway"], "nft", "-f", "-"], input="\n".join([
            "add table inet loss", "add chain inet loss i { type filter hook prerouting priority -300; }",
            "add chain inet loss o { type filter hook postrouting priority 300; }",
            "add rule inet loss i iifname br0 tcp dport 443 " + chance,
            "add rule inet loss o oifname br0 tcp sport 443 " + chance]) + "\n")

    def start(self, d, cmd, stdin, ports, timeout):
        """Runs a client on a device. Returns (ports, exit status, output)."""
        lo, d.next_port = d.next_port, d.next_port + ports
        before = "echo '%d %d' > /proc/sys/net/ipv4/ip_local_port_range && " % (lo, d.next_port - 1)
        full = self._inside("device%d" % d.number, cmd, self.path("hosts%d" % d.family), before)
        p = subprocess.Popen(full, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             env=dict(os.environ, HOME=d.home, LAB_HOME=d.home), start_new_session=True)
        try:
            out, rc = p.communicate(stdin, timeout)[0], p.returncode
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, rc = p.communicate()[0], -1
        return range(lo, d.next_port), rc, out.decode("utf-8", "replace")

    def redirect_hosts(self, port, hosts):
        """TCP 443 from the devices to these hosts goes to the proxy."""
        self.redirect([d.number for d in self.devices], port, [self.hosts[h] for h in hosts])

    # -- jobs --------------------------------------------------------------------------------------------------------
    def command(self, job):
        host = ",".join(job.hosts)
        if job.what:
            return labclients.check(self, job.what, host, job.ca)
        c = job.client
        if c.name == "chromium" and len(job.hosts) > 1:
            host = "%s/%s" % (job.hosts[0], job.page)
        command, stdin = c.command(self, host, job.ca, job.mode, job.pinned_key if job.mode in ("in", "after") else None)
        if job.cause == "resumed":
            state = os.path.join(job.device.home, "session")
            command = command + (["-sess_in", state] if os.path.exists(state) else ["-sess_out", state])
        if job.times > 1:
            command = ["sh", "-c", "n=$1; shift; for i in $(seq $n); do \"$@\"; done", "sh", str(job.times), *command]
        return command, stdin

    def run_job(self, job):
        command, stdin = self.command(job)
        ports = max(job.client.ports if job.client else 0, PORTS_A_HOST * len(job.hosts))
        if job.client and job.client.name == "chromium":
            ports = 16 * len(job.hosts) + 16
        job.ports, job.exit_status, job.output = self.start(job.device, command, stdin, ports, 30)

    def run_jobs(self, jobs, at_once=5, progress=print):
        queues = {d: [j for j in jobs if j.device is d] for d in self.devices}
        done = [0]

        def one_device(d):
            for j in queues[d]:
                self.run_job(j)
                done[0] += 1
                if done[0] % 100 == 0:
                    progress("%d of %d jobs" % (done[0], len(jobs)))

        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            # result() brings an exception of a thread back here
            for f in [pool.submit(one_device, d) for d in sorted(self.devices, key=lambda d: -len(queues[d]))]:
                f.result()


def connections(pcap):
    """(source, port, destination) of every connection in which the client said something, in the order of their SYNs."""
    seen = {}
    for line in run(["tcpdump", "-nn", "-t", "-q", "-r", pcap, "dst port 443"]).stdout.splitlines():
        words = line.split()
        if len(words) > 5 and words[2] == ">":
            src, port = words[1].rsplit(".", 1)
            k = src, int(port), words[3].rstrip(":").rsplit(".", 1)[0]
            seen[k] = seen.get(k, False) or words[5] != "0"
    return [k for k, spoke in seen.items() if spoke]
