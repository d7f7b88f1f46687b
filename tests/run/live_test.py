#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The engine on ports that another process or the kernel feeds. What a machine cannot do is skipped, and said.

    tests/run/live_test.py PINSIGHT CAPTURES-DIR

Memif, Vhost: DPDK's testpmd (Debian: dpdk-dev) sends the bundled recording; which flows there are comes from tshark
(demo.golden.jsonl). Interfaces: openssl's clients and server in two network namespaces, over a bridge that forwards
everything everywhere, so that a third port sees both directions; what each client does is fixed here. Needs root for
that. Standard library only.
"""
import ipaddress
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from engine import CPUS, Engine, PATIENCE, forget_dpdk  # noqa: E402

PINSIGHT, CAPTURES = sys.argv[1], sys.argv[2]
DEMO = os.path.join(CAPTURES, "demo.pcap")
PACKETS = 904  # capinfos -c demo.pcap
# Names of this process's own: others may run the same test on this machine. Of an interface 15 characters at most.
PID = os.getpid()
TAP, BRIDGE, SEEN, HUB, NS = "psit%d" % PID, "psib%d" % PID, "psis%d" % PID, "psih%d" % PID, "psin%d" % PID
TESTPMD = shutil.which("dpdk-testpmd")


def addr(a):
    return str(ipaddress.ip_address(a))


def key(e):
    return (addr(e["src_ip"]), e["src_port"], addr(e["dest_ip"]), e["dest_port"])


def golden():
    with open(os.path.join(CAPTURES, "demo.golden.jsonl"), encoding="utf-8") as f:
        return {(addr(g["client"]), g["client_port"], addr(g["server"]), g["server_port"])
                for g in map(json.loads, f)}


class Testpmd:
    """Sends the recording out of a virtual device, when told to."""

    def __init__(self, device, prefix):
        self.prefix = prefix
        cpus = [CPUS[0], CPUS[-1]]
        self.proc = subprocess.Popen(
            [TESTPMD, "--no-huge", "--no-pci", "-m", "256", "--lcores", "0@%d,1@%d" % tuple(cpus),
             "--file-prefix", prefix, "--no-telemetry", "--vdev", "net_pcap0,rx_pcap=" + DEMO, "--vdev", device, "--",
             "-i", "--no-flush-rx", "--forward-mode=io", "--total-num-mbufs=16384", "--txd=1024"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)

    def __enter__(self):
        return self

    def say(self, line):
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()

    def __exit__(self, *exc):
        try:
            self.say("quit")
            self.proc.wait(PATIENCE)
        except (OSError, subprocess.TimeoutExpired):
            self.proc.kill()
            self.proc.wait()
        self.proc.stdin.close()
        forget_dpdk(self.prefix)


@unittest.skipUnless(TESTPMD, "dpdk-testpmd is not installed")
class Processes(unittest.TestCase):
    def over(self, here, there, keys=None, says="engine: running"):
        with tempfile.TemporaryDirectory(prefix="pinsight-test-") as d, \
                Engine(PINSIGHT, keys, ['{device: "%s", name: peer}' % here.format(d=d)]) as e, \
                Testpmd(there.format(d=d), e.name + "-t") as t:
            e.wait_for_log(r"port: peer: link up")
            t.say("start")
            e.wait_for_packets(PACKETS)
            self.assertEqual(e.stop(), 0, e.log())
            s = e.stats()
            self.assertEqual(s["ledger"], {"packets": 0, "flows": 0, "records": 0})
            self.assertEqual(s["counters"]["pkt_rx"], PACKETS)
            self.assertEqual({key(f) for f in e.events()}, golden())
            self.assertRegex(e.log(), says)
            return s

    def test_memif(self):
        self.over("net_memif0,role=server,socket={d}/m,socket-abstract=no",
                  "net_memif0,role=client,socket={d}/m,socket-abstract=no")

    def test_memif_two_workers(self):
        s = self.over("net_memif0,role=server,socket={d}/m,socket-abstract=no",
                      "net_memif0,role=client,socket={d}/m,socket-abstract=no",
                      {"cores.workers": "[%d, %d]" % (CPUS[0], CPUS[-1])})
        self.assertGreater(s["counters"]["pkt_steered"], 0)

    def test_memif_interrupt(self):  # its driver says that it has interrupts, but not before the peer comes
        self.over("net_memif0,role=server,socket={d}/m,socket-abstract=no",
                  "net_memif0,role=client,socket={d}/m,socket-abstract=no", {"idle.policy": "interrupt"},
                  r"core \d+ cannot wait for interrupts: it sleeps instead")

    def test_vhost(self):
        self.over("net_vhost0,iface={d}/v", "net_virtio_user0,path={d}/v,queue_size=1024")


@unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/dev/net/tun"), "takes root and /dev/net/tun")
class Tap(unittest.TestCase):
    @unittest.skipIf(len(CPUS) < 2, "one core: it also collects, and polls for that")
    def test_interrupt(self):
        with Engine(PINSIGHT, {"idle.policy": "interrupt", "log.dpdk": "error"},
                    ['{device: "net_tap0,iface=%s"}' % TAP]) as e:
            e.wait_for_log(r"core \d+ can wait for interrupts")
            ipv6 = "/proc/sys/net/ipv6/conf/%s/disable_ipv6" % TAP
            if os.path.exists(ipv6):
                with open(ipv6, "w", encoding="ascii") as f:
                    f.write("1")  # no packets of the kernel's own

            def taken():
                return e.telemetry("/pinsight/stats")["pkt_rx"]

            had = taken()
            with open(DEMO, "rb") as f, socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
                s.bind((TAP, 0))
                f.read(24)
                for i in range(PACKETS):
                    if i % 100 == 0:  # the interface's queue is short, and drops what does not fit
                        e.wait_for(lambda: taken() >= had + i)
                    s.send(f.read(struct.unpack_from("<I", f.read(16), 8)[0]))
            e.wait_for_packets(had + PACKETS)
            self.assertEqual(e.stop(), 0, e.log())
            self.assertEqual({key(f) for f in e.events()}, golden())


def ip(*args):
    return subprocess.run(["ip", *args], capture_output=True, timeout=PATIENCE, text=True)


def network_works():
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("openssl"):
        return False
    ok = ip("netns", "add", NS + "a").returncode == 0
    ip("netns", "del", NS + "a")
    ok = ok and ip("link", "add", BRIDGE, "type", "bridge", "ageing_time", "0").returncode == 0
    ip("link", "del", BRIDGE)
    return ok


class Network:
    """Two namespaces, a and b, on a bridge that is a hub; interface SEEN sees what passes."""

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        self.do("link", "add", BRIDGE, "type", "bridge", "ageing_time", "0")
        for i, n in enumerate("ab"):
            self.do("netns", "add", NS + n)
            self.do("link", "add", BRIDGE + n, "type", "veth", "peer", "name", "e0", "netns", NS + n)
            self.do("link", "set", BRIDGE + n, "master", BRIDGE, "up")
            self.do("-n", NS + n, "addr", "add", "10.9.9.%d/24" % (i + 1), "dev", "e0")
            self.do("-n", NS + n, "link", "set", "e0", "up")
        self.do("link", "add", HUB, "type", "veth", "peer", "name", SEEN)
        self.do("link", "set", HUB, "master", BRIDGE, "up")
        self.do("link", "set", SEEN, "up")
        self.do("link", "set", BRIDGE, "up")

    def do(self, *args):
        r = ip(*args)
        if r.returncode:
            raise AssertionError("ip %s: %s" % (" ".join(args), r.stderr))

    def inside(self, n, *args):
        return ["ip", "netns", "exec", NS + n, *args]

    def __exit__(self, *exc):
        for n in "ab":
            ip("netns", "del", NS + n)
        ip("link", "del", HUB)
        ip("link", "del", BRIDGE)


@unittest.skipUnless(network_works(), "takes root, network namespaces, bridges and openssl")
class Interfaces(unittest.TestCase):
    CLIENTS = 6  # of each kind

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="pinsight-test-")
        cls.cert, cls.key = os.path.join(cls.dir, "c.pem"), os.path.join(cls.dir, "k.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", cls.key, "-out", cls.cert,
                        "-days", "2", "-subj", "/CN=tap.example", "-addext", "subjectAltName=DNS:tap.example"],
                       check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)

    def client(self, net, *more):
        subprocess.run(net.inside("a", "openssl", "s_client", "-connect", "10.9.9.2:4433", "-servername", "tap.example",
                                  "-tls1_2", "-verify_return_error", "-quiet", *more),
                       input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, timeout=PATIENCE)

    def watch(self, port, keys=None):
        with Network() as net, Engine(PINSIGHT, keys, [port]) as e:
            server = subprocess.Popen(net.inside("b", "openssl", "s_server", "-accept", "10.9.9.2:4433", "-key", self.key,
                                                 "-cert", self.cert, "-www", "-quiet"),
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

            def listens():  # port 4433 is 1151 in hexadecimal, state 0A is LISTEN
                return re.search(r":1151 \S+ 0A", subprocess.run(net.inside("b", "cat", "/proc/net/tcp"), capture_output=True,
                                                                 text=True).stdout)

            try:
                e.wait_for(listens)
                for _ in range(self.CLIENTS):
                    self.client(net, "-CAfile", self.cert)
                    self.client(net, "-no-CAfile", "-no-CApath", "-no-CAstore")
                e.wait_for(lambda: len(e.events()) >= 2 * self.CLIENTS)
            finally:
                server.kill()
                server.wait()
            self.assertEqual(e.stop(), 0, e.log())
            s = e.stats()
            self.assertEqual(s["ledger"], {"packets": 0, "flows": 0, "records": 0})
            flows = e.events()
            # openssl answers a certificate that it cannot build a chain for with unknown_ca (48), RFC 5246 section 7.2.2.
            classes = sorted(f["verdict"]["class"] for f in flows)
            self.assertEqual(classes, ["normal"] * self.CLIENTS + ["unknown_ca"] * self.CLIENTS)
            self.assertEqual({f["tls"]["sni"] for f in flows}, {"tap.example"})
            self.assertTrue(all(f["src_ip"] == "10.9.9.1" for f in flows))
            return s

    def test_interface(self):
        self.watch("{interface: %s}" % SEEN)
        self.assertNotIn("PROMISC", ip("link", "show", SEEN).stdout)

    def test_interface_two_workers(self):
        self.watch("{interface: %s}" % SEEN, {"cores.workers": "[%d, %d]" % (CPUS[0], CPUS[-1])})

    def test_af_xdp(self):
        self.watch('{device: "net_af_xdp0,iface=%s"}' % SEEN)

    def test_gone(self):
        with Network() as net, Engine(PINSIGHT, {}, ["{interface: %s}" % SEEN]) as e:
            e.wait_for_log("port: %s: link up" % SEEN)
            self.assertIn("PROMISC", ip("link", "show", SEEN).stdout)
            net.do("link", "set", SEEN, "down")
            e.wait_for_log("warn  port: %s: link down" % SEEN)
            net.do("link", "del", SEEN)
            e.wait_for_log("error port: %s is gone" % SEEN)
            self.assertEqual(e.stop(), 0, e.log())


if __name__ == "__main__":
    p = unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2, exit=False)
    if not p.result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if p.result.testsRun == len(p.result.skipped) else 0)
