#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/lab/score counts as its help says: score_test.py SCORE. Labels and events are made up here and the expected
figures are counted by hand; nothing of the engine takes part."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

SCORE = sys.argv[1]


def label(port, truth, acceptable=(), wire=(), finding=None, **more):
    return dict(dict(src="192.0.2.1", sport=port, dst="2001:db8:0:0::1", dport=443, client="c", tls="1.2", path="direct",
                     cause=truth, truth=truth, acceptable=list(acceptable), wire=list(wire), finding=finding), **more)


def event(port, verdict, sni="a.example", ja4="j", issuer="CN=Office", src="192.0.2.1", confidence=0.9, **more):
    tls = dict(sni=sni, ja4=ja4, **({"issuerdn": issuer} if issuer else {}))
    return dict(event_type="tls_flow", src_ip=src, src_port=port, dest_ip="2001:db8::1", dest_port=443, tls=tls,
                verdict={"class": verdict, "confidence": confidence}, **more)


def finding(kind, confidence=0.97, **subject):
    return {"event_type": "finding", "class": kind, "confidence": confidence, "subject": subject}


PIN, DISTRUST, BAD = "host_pinned_for_client", "client_distrusts_ca", "host_certificate_bad"


class Score(unittest.TestCase):
    def score(self, labels, events, *options):
        with tempfile.TemporaryDirectory() as d:
            names = [os.path.join(d, n) for n in ("labels", "events")]
            for name, rows in zip(names, (labels, events)):
                with open(name, "w") as f:
                    f.write("".join(json.dumps(r) + "\n" for r in rows))
            r = subprocess.run([sys.executable, SCORE, *names, "--plot", os.path.join(d, "p.svg"), *options],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            with open(os.path.join(d, "p.svg")) as f:
                self.assertTrue(f.read().startswith("<svg"))
            return r

    def text(self, *args):
        r = self.score(*args)
        return r.returncode, [" ".join(line.split()) for line in r.stdout.splitlines()]

    def figures(self, *args):
        r = self.score(*args, "--json", "-")
        return json.loads(r.stdout)

    def test_levels(self):
        labels = [label(n, "unknown_ca", ["bad_certificate"], ["client_rejected"]) for n in range(4)]
        events = [event(0, "unknown_ca"), event(1, "bad_certificate"), event(2, "client_rejected"), event(3, "normal")]
        rc, out = self.text(labels, events)
        self.assertEqual(rc, 0)
        self.assertIn("with findings 4 25.0% 50.0% 75.0%", out)
        self.assertIn("unknown_ca c 1.2 direct normal 1", out)

    def test_precision_and_recall(self):
        # normal: given twice, once right; pinned: there twice, never given... the third is given and right
        labels = [label(0, "normal"), label(1, "pinned"), label(2, "pinned")]
        r = self.figures(labels, [event(0, "normal"), event(1, "normal"), event(2, "pinned")])
        self.assertEqual(r["classes"]["normal"], {"precision": 0.5, "recall": 1.0, "flows": 1, "given": 2})
        self.assertEqual(r["classes"]["pinned"], {"precision": 1.0, "recall": 0.5, "flows": 2, "given": 1})

    def test_normal_called_refused(self):
        _, out = self.text([label(n, "normal") for n in range(4)],
                           [event(n, "normal") for n in range(3)] + [event(3, "client_rejected")])
        self.assertIn("normal called a refusal: 1 of 4, 25.0%", out)

    def test_missing_and_left_out(self):
        rc, out = self.text([label(0, "normal"), label(1, "normal", valid=False)], [])
        self.assertEqual(rc, 1)
        self.assertIn("1 connections, 1 labels left out, 1 without an event", out)
        self.assertIn("normal missing 1", out)

    def test_last_event_counts(self):
        r = self.figures([label(0, "normal")], [event(0, "aborted"), event(0, "normal")])
        self.assertEqual(r["levels"]["strict"], 1.0)

    def test_finding_is_applied_to_refusals_it_covers(self):
        unit = [PIN, "192.0.2.1", "c", "a.example"]
        labels = [label(n, "pinned", finding=unit) for n in range(6)] + [label(6, "normal")]
        f = finding(PIN, client="192.0.2.1", ja4="j", sni="a.example", issuer="CN=Office")
        events = [event(0, "client_rejected"), event(1, "unknown_ca"),
                  event(2, "client_rejected", issuer=None),          # TLS 1.3: the issuer is not visible
                  event(3, "client_rejected", sni="b.example"), event(4, "client_rejected", ja4="k"),
                  event(5, "client_rejected", issuer="CN=Other"), event(6, "normal"), f]
        r = self.figures(labels, events)
        self.assertEqual(r["classes"]["pinned"]["recall"], 0.5)
        self.assertEqual(r["classes_alone"]["pinned"]["recall"], 0.0)
        self.assertEqual(r["classes"]["normal"]["recall"], 1.0)

    def test_newest_word_stands(self):
        unit = [PIN, "192.0.2.1", "c", "a.example"]
        said = dict(client="192.0.2.1", sni="a.example")
        for last, recall in ((0.9, 1.0), (0.2, 0.0)):
            r = self.figures([label(0, "pinned", finding=unit)],
                             [event(0, "client_rejected"), finding(PIN, 0.6, **said), finding(PIN, last, **said)])
            self.assertEqual(r["classes"]["pinned"]["recall"], recall)
            self.assertEqual(r["findings"][PIN]["given"], int(recall))

    def test_findings_count_once(self):
        # three flows of one pinned application, two clients without the CA, one of them found; one false alarm
        labels = [label(n, "pinned", finding=[PIN, "192.0.2.1", "c", "a.example"]) for n in range(3)]
        labels += [label(n, "unknown_ca", finding=[DISTRUST, "192.0.2.%d" % n, "c"], src="192.0.2.%d" % n) for n in (8, 9)]
        labels += [label(20, "normal", src="192.0.2.7")]
        events = [event(n, "client_rejected") for n in range(3)]
        events += [event(n, "unknown_ca", src="192.0.2.%d" % n) for n in (8, 9)] + [event(20, "normal", src="192.0.2.7")]
        events += [finding(PIN, client="192.0.2.1", sni="a.example")] * 5
        events += [finding(DISTRUST, client="192.0.2.8"), finding(DISTRUST, client="192.0.2.7")]
        r = self.figures(labels, events)
        f = r["findings"]
        self.assertEqual((f[PIN]["given"], f[PIN]["right"], f[PIN]["wanted"], f[PIN]["found"]), (1, 1, 1, 1))
        self.assertEqual((f[DISTRUST]["given"], f[DISTRUST]["right"]), (2, 1))
        self.assertEqual((f[DISTRUST]["wanted"], f[DISTRUST]["found"]), (2, 1))
        self.assertEqual(f[DISTRUST]["wrong"][0]["truth"], "normal")
        self.assertEqual(f[DISTRUST]["missed"][0]["unit"], ["192.0.2.9", "c"])

    def test_finding_of_another_class_is_wrong(self):
        labels = [label(0, "unknown_ca", finding=[DISTRUST, "192.0.2.1", "c"])]
        r = self.figures(labels, [event(0, "unknown_ca"), finding(PIN, client="192.0.2.1")])
        self.assertEqual(r["findings"][PIN]["right"], 0)
        self.assertEqual(r["findings"][PIN]["wrong"][0]["truth"], DISTRUST)
        self.assertEqual(r["classes"]["unknown_ca"]["recall"], 0.0)

    def test_bad_host_wants_two_programs_and_keeps_the_precise_class(self):
        labels = [label(n, "certificate_expired", finding=[BAD, "a.example"], client=c) for n, c in enumerate("cc")]
        events = [event(0, "certificate_expired"), event(1, "client_rejected"), finding(BAD, sni="a.example")]
        r = self.figures(labels, events)
        self.assertEqual(r["findings"][BAD]["wanted"], 0)
        self.assertEqual(r["confusion"], {"certificate_expired": {"certificate_expired": 1, "bad_certificate": 1}})
        labels[1]["client"] = "d"
        self.assertEqual(self.figures(labels, events)["findings"][BAD]["found"], 1)

    def test_two_words_for_a_self_signed_certificate(self):
        labels = [label(n, "unknown_ca", finding=[BAD, "a.example"], client=c) for n, c in enumerate("cd")]
        events = [event(0, "unknown_ca"), event(1, "client_rejected"), finding(DISTRUST, sni="a.example")]
        f = self.figures(labels, events)["findings"]
        self.assertEqual((f[DISTRUST]["given"], f[DISTRUST]["right"], f[BAD]["wanted"], f[BAD]["found"]), (1, 1, 1, 1))

    def test_calibration(self):
        # ten findings say 0.8, five of them are right: the gap is 0.3
        labels = [label(n, "pinned" if n < 5 else "unknown_ca", src="192.0.2.%d" % n,
                        finding=[PIN, "192.0.2.%d" % n, "c", "a.example"] if n < 5 else [DISTRUST, "192.0.2.%d" % n, "c"])
                  for n in range(10)]
        events = [event(n, "client_rejected", src="192.0.2.%d" % n) for n in range(10)]
        events += [finding(PIN, 0.8, client="192.0.2.%d" % n) for n in range(10)]
        c = self.figures(labels, events)["calibration"]["findings"]
        self.assertEqual([(row["n"], row["was"]) for row in c["rows"]], [(10, 0.5)])
        self.assertAlmostEqual(c["gap"], 0.3)

    def test_bounds(self):
        labels, events = [label(n, "normal") for n in range(4)], [event(n, "normal") for n in range(3)]
        events.append(event(3, "client_rejected"))
        for option, rc in ((("--at-least", "normal.recall=0.75"), 0), (("--at-least", "normal.recall=0.76"), 1),
                           (("--at-most", "normal_refused=0.25"), 0), (("--at-most", "normal_refused=0.2"), 1),
                           (("--at-least", "findings.pinned.recall=0.1"), 1), (("--at-least", "nonsense=0.1"), 1)):
            self.assertEqual(self.score(labels, events, *option).returncode, rc, option)


unittest.main(argv=sys.argv[:1])
