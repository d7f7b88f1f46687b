#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The program over awkward captures: byte orders, link types, fragments, cut files, spoilt streams.

    tests/replay/edge_test.py PINSIGHT CAPTURES-DIR

What each file must yield stands in edge.labels.jsonl, which make_captures.py wrote when it made the files and
check_labels.py holds against tshark. Standard library only.
"""
import concurrent.futures
import ipaddress
import json
import os
import subprocess
import sys
import tempfile
import unittest

PINSIGHT, CAPTURES = sys.argv[1], sys.argv[2]


def addr(a):
    return str(ipaddress.ip_address(a))


def read(label):
    path = os.path.join(CAPTURES, label["file"])
    return path, subprocess.run([PINSIGHT, "read", "--json", "--all", "--quiet", path], capture_output=True, timeout=240)


class Edge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(CAPTURES, "edge.labels.jsonl"), encoding="utf-8") as f:
            cls.labels = [json.loads(line) for line in f]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            cls.results = list(pool.map(read, cls.labels))

    def each(self, check):
        for label, (path, r) in zip(self.labels, self.results):
            with self.subTest("%s: %s" % (label["file"], label["what"])):
                check(label, path, r, [json.loads(line) for line in r.stdout.splitlines()])

    def test_status(self):
        def check(label, path, r, _):
            text = r.stderr.decode()
            if label["status"] == "ok":
                self.assertEqual((r.returncode, text), (0, ""))
                return
            self.assertEqual(r.returncode, 1)
            self.assertIn(path, text)
            if "offset" in label:
                self.assertIn("byte offset %d" % label["offset"], text)

        self.each(check)

    def test_flows(self):
        def check(label, _, r, events):
            flows = [e for e in events if e["event_type"] == "tls_flow" and e["verdict"]["class"] != "not_tls"]
            want = [(addr(f["src"]), f["sport"], addr(f["dst"]), f["dport"]) for f in label["flows"]]
            got = [(addr(e["src_ip"]), e["src_port"], addr(e["dest_ip"]), e["dest_port"]) for e in flows]
            self.assertEqual(sorted(want), sorted(got))
            for key, f in zip(want, label["flows"]):
                e = flows.pop(next(i for i, x in enumerate(flows)
                                   if (addr(x["src_ip"]), x["src_port"], addr(x["dest_ip"]), x["dest_port"]) == key))
                self.assertIn(e["verdict"]["class"], [f["expected"]] + f["acceptable"], e["verdict"])
                if "alert" in f["shows"]:
                    self.assertIn(f["shows"]["alert"],
                                  [[a["dir"], a["level"], a["code"]] for a in e.get("alerts", []) if "code" in a])
                if f["expected"] != "incomplete":
                    self.assertEqual(f["sni"], e["tls"].get("sni"))

        self.each(check)

    def test_ledger(self):
        def check(label, _, r, events):
            stats = [e for e in events if e["event_type"] == "stats"]
            # A file that could not be opened as a capture leaves nothing to account for.
            want = [] if label["status"] == "error" else [{"packets": 0, "flows": 0, "records": 0}]
            self.assertEqual([s["ledger"] for s in stats], want)

        self.each(check)

    def test_identity(self):
        """The same packets tagged with two VLANs by turns: two flows by default, one when the tag does not count."""
        sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ref"))
        import make_captures
        import pcapio
        _, segments = make_captures.Demo().flow(case="ca-not-trusted", client="python", path="mitmproxy")
        frames = [make_captures.packet(s, s.frame(tags=((0x8100, 10 + s.from_client()),))) for s in segments]
        with tempfile.NamedTemporaryFile(suffix=".pcap") as f:
            f.write(pcapio.pcap(frames))
            f.flush()
            for option, flows in (("vlan,tunnel", 2), ("vlan", 2), ("tunnel", 1), ("none", 1)):
                r = subprocess.run([PINSIGHT, "read", "--json", "--quiet", "--identity=" + option, f.name],
                                   capture_output=True, timeout=240)
                self.assertEqual((r.returncode, len(r.stdout.splitlines())), (0, flows), option)
        r = subprocess.run([PINSIGHT, "read", "--identity=mac", "x"], capture_output=True, timeout=240)
        self.assertEqual(r.returncode, 2)
        self.assertIn(b"not 'mac'", r.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
