#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/lab/score counts as its help says: score_test.py SCORE. Events are made up here, nothing of the engine takes part."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

SCORE = sys.argv[1]


def label(port, truth, acceptable=(), wire=(), **more):
    return dict(src="192.0.2.1", sport=port, dst="2001:db8:0:0::1", dport=443, client="c", tls="1.2", path="direct",
                cause=truth, truth=truth, acceptable=list(acceptable), wire=list(wire), **more)


def event(port, verdict):
    return dict(event_type="tls_flow", src_ip="192.0.2.1", src_port=port, dest_ip="2001:db8::1", dest_port=443,
                verdict={"class": verdict})


class Score(unittest.TestCase):
    def score(self, labels, events):
        with tempfile.TemporaryDirectory() as d:
            names = [os.path.join(d, n) for n in ("labels", "events")]
            for name, rows in zip(names, (labels, events)):
                with open(name, "w") as f:
                    f.write("".join(json.dumps(r) + "\n" for r in rows))
            r = subprocess.run([sys.executable, SCORE, *names], stdout=subprocess.PIPE, text=True)
            return r.returncode, [" ".join(line.split()) for line in r.stdout.splitlines()]

    def test_levels(self):
        labels = [label(n, "unknown_ca", ["bad_certificate"], ["client_rejected"]) for n in range(4)]
        rc, out = self.score(labels, [event(0, "unknown_ca"), event(1, "bad_certificate"), event(2, "client_rejected"),
                                      event(3, "normal")])
        self.assertEqual(rc, 0)
        self.assertIn("unknown_ca 4 25.0% 50.0% 75.0%", out)
        self.assertIn("unknown_ca c 1.2 direct normal 1", out)

    def test_precision(self):
        _, out = self.score([label(0, "normal"), label(1, "pinned")], [event(0, "normal"), event(1, "normal")])
        self.assertIn("normal 2 50.0% 50.0% 50.0%", out)

    def test_normal_called_refused(self):
        _, out = self.score([label(n, "normal") for n in range(4)],
                            [event(n, "normal") for n in range(3)] + [event(3, "client_rejected")])
        self.assertIn("normal called a refusal: 1 of 4, 25.00 %", out)

    def test_missing_and_left_out(self):
        rc, out = self.score([label(0, "normal"), label(1, "normal", valid=False)], [])
        self.assertEqual(rc, 1)
        self.assertIn("1 connections, 1 labels left out", out)
        self.assertIn("normal missing 1", out)

    def test_last_event_counts(self):
        _, out = self.score([label(0, "normal")], [event(0, "aborted"), event(0, "normal")])
        self.assertIn("normal 1 100.0% 100.0% 100.0%", out)


unittest.main(argv=sys.argv[:1])
