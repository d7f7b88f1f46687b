#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The engine as a service, without root, huge pages or a network card: a capture through a port.

    tests/run/run_test.py PINSIGHT CAPTURES-DIR

What a flow's verdict must be comes from demo.labels.jsonl, fixed before the recording; which flows there are, from
tshark's reading (demo.golden.jsonl). Standard library only.
"""
import datetime
import ipaddress
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from engine import CPUS, Engine, PATIENCE, forget_dpdk, pcap_port  # noqa: E402

PINSIGHT, CAPTURES = sys.argv[1], sys.argv[2]
DEMO = os.path.join(CAPTURES, "demo.pcap")
PACKETS = 904  # capinfos -c demo.pcap


def addr(a):
    return str(ipaddress.ip_address(a))


def key(e):
    return (addr(e["src_ip"]), e["src_port"], addr(e["dest_ip"]), e["dest_port"])


def golden():
    with open(os.path.join(CAPTURES, "demo.golden.jsonl"), encoding="utf-8") as f:
        return {(addr(g["client"]), g["client_port"], addr(g["server"]), g["server_port"])
                for g in map(json.loads, f)}


def lasted(e):
    start, end = (datetime.datetime.strptime(e[k], "%Y-%m-%dT%H:%M:%S.%fZ") for k in ("start", "end"))
    return (end - start).total_seconds()


def read_verdicts():
    """What `pinsight read` says of the same packets, 100 ns apart: a port gives them without pause, and some verdicts rest
    on how long a side took to answer (docs/vocabulary.md, E1: not below 100 ms)."""
    with open(DEMO, "rb") as f:
        data = bytearray(f.read())
    struct.pack_into("<I", data, 0, 0xa1b23c4d)  # a pcap file with ns
    at, now = 24, int(time.time())
    for i in range(PACKETS):
        struct.pack_into("<II", data, at, now, 100 * i)
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    r = subprocess.run([PINSIGHT, "read", "--json", "--quiet", "--set",
                        "correlation.enabled=false", "-"], input=bytes(data), capture_output=True, timeout=PATIENCE,
                       check=True)
    return {key(e): e["verdict"]["class"] for e in map(json.loads, r.stdout.splitlines())}


def balanced(case, e):
    s = e.stats()
    case.assertEqual(s["ledger"], {"packets": 0, "flows": 0, "records": 0})
    case.assertIn("every packet, flow and record is accounted for", e.log())
    return s


class Demo(unittest.TestCase):
    def once(self, keys, *lines):
        # Each connection by itself: what the population knows depends on the order in which workers come by. And none is
        # told before the end, however long a worker is kept from its packets.
        with Engine(PINSIGHT, {**keys, "correlation.enabled": "false", "flows.linger": "60s"}, [pcap_port(DEMO)]) as e:
            e.wait_for_packets(PACKETS)
            self.assertEqual(e.stop(), 0, e.log())
            s = balanced(self, e)
            self.assertEqual(s["counters"]["pkt_rx"], PACKETS)
            self.assertEqual(s["counters"]["nic_rx"], PACKETS)
            flows = e.events("tls_flow")
            for line in lines:
                self.assertRegex(e.log(), line)
        self.assertEqual(len(flows), len({key(f) for f in flows}), "a flow was told twice")
        self.assertEqual({key(f) for f in flows}, golden())
        return s, flows

    def through(self, keys, *lines):
        for _ in range(5):  # a connection in whose midst the machine had other things to do says nothing
            s, flows = self.once(keys, *lines)
            at_once = [f for f in flows if lasted(f) < 0.1]
            if len(at_once) == len(flows):
                break
        want = read_verdicts()
        self.assertTrue(at_once)
        self.assertEqual({key(f): (f["verdict"]["class"], want[key(f)]) for f in at_once
                          if f["verdict"]["class"] != want[key(f)]}, {})
        return s

    def test_as_it_comes(self):
        self.through({})

    def test_one_core(self):
        c = CPUS[0]
        self.through({"cores.control": c, "cores.collector": c, "cores.workers": c},
                     r"core %d: worker 0, collector, control" % c)

    def test_two_workers(self):
        # One queue for two workers: software brings flows to their worker.
        s = self.through({"cores.workers": "[%d, %d]" % (CPUS[0], CPUS[-1])},
                         r"workers hand packets over by software: it has 1 of the 2 queues")
        self.assertGreater(s["counters"]["pkt_steered"], 0)
        self.assertEqual(len(s["workers"]), 2)
        for w in s["workers"]:  # both had flows: 62 of them land on one of two with a chance of 1 in 2^61
            self.assertGreater(w["counters"]["flow_opened"], 0)
        self.assertEqual(s["counters"]["pkt_steered"], s["workers"][1]["counters"]["pkt_rx"])


class Start(unittest.TestCase):
    def fails(self, status, pattern, *args):
        prefix = "pinsight-test-%d-start" % os.getpid()
        with tempfile.TemporaryDirectory() as d:
            r = subprocess.run([PINSIGHT, "run", "--set", "eal.file_prefix=" + prefix, "--set",
                                "ring.path=" + os.path.join(d, "ring"), *args], capture_output=True, timeout=PATIENCE,
                               env=dict(os.environ, XDG_RUNTIME_DIR=d))
        forget_dpdk(prefix)
        self.assertEqual(r.returncode, status, r.stderr.decode())
        self.assertRegex(r.stderr.decode(), pattern)

    def test_called_wrongly(self):
        self.fails(2, "there is no option '--bogus'", "--bogus")
        self.fails(2, "is not an option", "eth0")
        self.fails(2, "wants a value", "--config")
        self.fails(2, "is not the name of an interface", "--interface", "a b")

    def test_configuration(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "c.yaml")
            with open(path, "w", encoding="ascii") as f:
                f.write("ring:\n  sise: 4M\n")
            self.fails(1, r"c\.yaml:2:3: .*sise", "--config", path)
            self.fails(1, "no-such-file", "--config", os.path.join(d, "no-such-file"))

    def test_ports(self):
        self.fails(1, "no port to watch")
        self.fails(1, "port nosuchif0: there is no interface of that name", "--interface", "nosuchif0")
        self.fails(1, "port 0000:ff:1f.7: no driver of DPDK has this device", "--set",
                   'ports=[{device: "0000:ff:1f.7"}]')
        self.fails(1, "port net_bogus0: DPDK cannot make 'net_bogus0'", "--set", 'ports=[{device: net_bogus0}]')

    def test_cores(self):
        self.fails(1, "cores.workers: core 1023 is not one that this process may use", "--set", "cores.workers=1023")

    def test_ring_in_use(self):
        with Engine(PINSIGHT, {}, [pcap_port(DEMO)]) as e:
            self.fails(1, "another process writes this ring", "--set", "ring.path=" + e.ring, "--set",
                       "ports=[%s]" % pcap_port(DEMO))


class Reload(unittest.TestCase):
    def reload(self, e):
        return subprocess.run([PINSIGHT, "reload", "--ring=" + e.ring], capture_output=True, timeout=PATIENCE, text=True)

    def test_reload(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "c.yaml")

            def write(text):
                with open(path, "w", encoding="ascii") as f:
                    f.write(text)

            write("log: {level: info}\n")
            with Engine(PINSIGHT, {}, [pcap_port(DEMO)], config=path) as e:
                r = self.reload(e)
                self.assertEqual((r.returncode, r.stdout), (0, "done\n"), r.stderr + e.log())
                write("flows: {linger: 1s}\n")
                r = self.reload(e)
                self.assertEqual((r.returncode, r.stdout), (0, "done; only a restart changes: flows.linger\n"))
                write("flows: {max: many}\n")
                r = self.reload(e)
                self.assertEqual(r.returncode, 1)
                self.assertRegex(r.stdout, r"refused: .*c\.yaml:1:14: .*flows\.max")
                write("certificates: {roots: /no/such/roots.pem}\n")
                r = self.reload(e)
                self.assertEqual(r.returncode, 1)
                self.assertRegex(r.stdout, "refused: .*/no/such/roots.pem")
                self.assertEqual(e.telemetry("/pinsight/config")["generation"], 3)
                self.assertEqual(e.telemetry("/pinsight/config")["reloads_refused"], 2)
                e.wait_for_packets(PACKETS)
                self.assertEqual(e.stop(), 0)
                balanced(self, e)
                self.assertEqual({key(f) for f in e.events()}, golden())
            self.assertEqual(self.reload(e).returncode, 1)


class Life(unittest.TestCase):
    def test_telemetry(self):
        with Engine(PINSIGHT, {}, [pcap_port(DEMO)]) as e:
            e.wait_for_packets(PACKETS)
            self.assertEqual(e.telemetry("/pinsight/stats")["pkt_rx"], PACKETS)
            self.assertEqual(e.telemetry("/pinsight/workers")["0"]["pkt_rx"], PACKETS)
            self.assertEqual(e.telemetry("/pinsight/ports")["0"]["driver"], "net_pcap")
            self.assertRegex(e.telemetry("/pinsight/version"), r"^\d+\.\d+\.\d+$")
            self.assertEqual(e.stop(signal.SIGINT), 0)

    def test_killed(self):
        # Readers find all that was finished, and the next start takes the same file.
        with Engine(PINSIGHT, {}, [pcap_port(DEMO)]) as e:
            e.wait_for_packets(PACKETS)
            e.wait_for(lambda: len(e.events()) >= 40)  # closed flows are told after linger, 2 s
            e.freeze()  # or it tells more flows between the counting and the killing
            before = len(e.events())
            e.proc.kill()
            e.proc.wait()
            self.assertEqual(len(e.events()), before)
            with Engine(PINSIGHT, {"ring.path": e.ring}, [pcap_port(DEMO)]) as again:
                again.ring = e.ring
                again.wait_for_packets(PACKETS)
                self.assertEqual(again.stop(), 0)
                self.assertEqual({key(f) for f in e.events()}, golden())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
