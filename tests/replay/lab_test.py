#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The bundled small laboratory: verdicts and findings against labels fixed before the recording.

    tests/replay/lab_test.py PINSIGHT CAPTURES-DIR SCRIPTS-LAB-DIR

Where the bounds are those that the project sets itself for the whole laboratory, see docs/accuracy.md, they must hold here
too; the others keep what has been reached.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

PINSIGHT, CAPTURES, LAB = sys.argv[1:4]
RUNS = ["small12", "small13"]
AT_LEAST = ["findings.pinned.precision=0.98", "findings.pinned.recall=0.95", "pinned.precision=0.97", "pinned.recall=0.95",
            "unknown_ca.precision=0.89", "unknown_ca.recall=0.95", "certificate=0.93", "normal.precision=0.99"]
AT_MOST = ["missing=0", "normal_refused=0.021"]
BOUNDS = [x for b in AT_LEAST for x in ("--at-least", b)] + [x for b in AT_MOST for x in ("--at-most", b)]


def labels_of(run):
    return os.path.join(CAPTURES, "lab", run + ".labels.jsonl")


class Lab(unittest.TestCase):
    def test_score(self):
        with tempfile.TemporaryDirectory() as d:
            files = []
            for run in RUNS:
                events = os.path.join(d, run)
                with open(events, "wb") as f:
                    subprocess.run([PINSIGHT, "read", "--json", "--all", "--quiet", os.path.join(CAPTURES, "lab", run + ".pcap")],
                                   stdout=f, check=True, timeout=240)
                files += [labels_of(run), events]
            r = subprocess.run([sys.executable, os.path.join(LAB, "score"), *files, *BOUNDS], capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, r.stderr + r.stdout)

    def test_flat_labels(self):
        """The same connections in the flat form; those that are not valid are left out."""
        for run in RUNS:
            with open(labels_of(run), encoding="utf-8") as f:
                rows = [l for l in map(json.loads, f) if l["valid"]]
            r = subprocess.run([sys.executable, os.path.join(LAB, "labels"), labels_of(run)], capture_output=True, text=True,
                               check=True)
            flat = [json.loads(line) for line in r.stdout.splitlines()]
            self.assertEqual([(l["src"], l["sport"]) for l in flat], [(l["src"], l["sport"]) for l in rows])
            self.assertEqual(sum(l["expected"] == "pinned" for l in flat), sum(l["truth"] == "pinned" for l in rows))
            self.assertLessEqual({l["expected"] for l in flat}, {"pinned", "unknown_ca", "bad_certificate", "expired", "normal",
                                                                 "certificate_unknown", "handshake_failure", "other"})


class Demo(unittest.TestCase):
    """What clients show when they are compared, in the bundled recording: the last word of each finding of which 0.8 or more
    is sure, as `pinsight report --exempt` takes it, against what the programs were made to do."""

    def test_findings(self):
        with open(os.path.join(CAPTURES, "demo.labels.jsonl"), encoding="utf-8") as f:
            labels = [json.loads(line) for line in f]
        out = subprocess.run([PINSIGHT, "read", "--json", "--all", "--quiet", os.path.join(CAPTURES, "demo.pcap")], capture_output=True,
                             check=True, timeout=240).stdout
        last = {}
        for e in map(json.loads, out.splitlines()):
            if e["event_type"] == "finding":
                last[e["class"], json.dumps(e["subject"])] = e
        told = {c: {(e["subject"].get("sni"), e["subject"].get("client")) for (k, _), e in last.items()
                    if k == c and e["confidence"] >= 0.8} for c, _ in last}
        proxied = [l for l in labels if l["path"] != "direct"]
        pinned = {(l["sni"], l["src"]) for l in proxied if l["truth"] == "pinned"}
        # an application that tries again and again; those that tried once or twice may stay unsaid
        often = {p for p in pinned if p[0] == "api.bank.example"}
        self.assertEqual(len(often), 4)
        self.assertLessEqual(often, told["host_pinned_for_client"])
        self.assertLessEqual(told["host_pinned_for_client"], pinned)
        self.assertEqual({host for host, _ in told["host_pinned_for_client"]}, {"api.bank.example", "chat.example"})
        self.assertEqual({client for _, client in told["client_distrusts_ca"]}, {l["src"] for l in proxied if l["truth"] == "unknown_ca"})
        self.assertEqual(told["host_certificate_expired"], {("expired.example", None)})
        self.assertEqual(told["host_certificate_bad"], {(l["sni"], None) for l in labels if l["truth"] == "bad_certificate"})


unittest.main(argv=sys.argv[:1])
