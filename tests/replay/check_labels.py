#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds the labels of a recorded capture against tshark's reading of it: was recorded what was meant to be recorded?

    tests/replay/check_labels.py LABELS.jsonl GOLDEN.jsonl

A label states how the connection was made; GOLDEN (tshark_flows.py) what the wire shows. Both know nothing of Pinsight.
Every label must find its flow, every flow its label, and the flow must show the alert, the ending, the version and the
data that the case stands for. Exit status 1 and a line for each that does not.
"""
import collections
import json
import sys

CERT_ALERT = {"unknown_ca": 48, "bad_certificate": 42, "certificate_expired": 45}
REFUSED = set(CERT_ALERT) | {"client_rejected", "handshake_failure", "client_certificate"}


def load(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


class Shown:
    """What one flow shows, by RFC 8446 and 5246 arithmetic on record types and lengths alone."""

    def __init__(self, g):
        self.g = g
        self.t13 = "tls13" in g["flags"]
        tag = 8 if g["cipher"] == "0x1305" else 16
        self.alert = 2 + 1 + tag
        self.finished = 4 + (48 if g["cipher"] == "0x1302" else 32) + 1 + tag
        self.c2s = [n for t, n in g["records"]["c2s"] if t == 23]
        self.clear = [(a["dir"], a["level"], a["code"]) for a in g["alerts"] if a["code"] is not None]

    def client_finished(self):
        if self.t13:
            return self.finished in self.c2s
        return self.g["ccs"]["c2s"] == 1 and "encrypted" in self.g["msgs"]["c2s"]

    def after_finished(self):
        """Lengths of the client's protected records after its Finished; before TLS 1.3: (type, length) of them."""
        if self.t13:
            return self.c2s[self.c2s.index(self.finished) + 1:] if self.client_finished() else []
        rec = [tuple(r) for r in self.g["records"]["c2s"]]
        at = [i for i, r in enumerate(rec) if r[0] == 20]
        return rec[at[0] + 2:] if at else []

    def client_data(self):
        if self.t13:
            return any(n != self.alert for n in self.after_finished())
        return self.g["app_data"]["c2s"]["records"] > 0

    def server_data(self):
        return self.g["app_data"]["s2c"]["records"] > 0 and (not self.t13 or self.client_data())

    def client_ends(self):
        tcp = self.g["tcp"]
        return any(e and e["dir"] == "c2s" for e in (tcp["first_rst"], tcp["first_fin"])) or bool(self.after_finished())

    def evidence(self):
        """The one refusal pattern that the flow shows, or None."""
        if self.client_data() or self.clear or not self.client_ends():
            return None
        after = self.after_finished()
        if self.client_finished():
            if not self.t13 and self.g["app_data"]["s2c"]["records"]:
                return None
            bye = [self.alert] if self.t13 else [r for r in after if r[0] == 21 and r[1] > 2]
            if not after or after != bye:
                return None if after else "pattern_b"
            # Before 1.3 only the peer's answer in kind tells a goodbye from an alert whose code is hidden.
            answered = self.t13 or [r for r in self.g["records"]["s2c"] if tuple(r) in after]
            return "pattern_b2" if answered else "pattern_a_hidden"
        if self.t13 and self.c2s[:1] == [self.alert]:
            return "pattern_a_hidden"
        return "pattern_a_silent" if not self.c2s and not self.g["ccs"]["c2s"] or self.t13 and not self.c2s else None


def wire_faults(label, g):
    """What holds for every label, however the capture was spoilt."""
    s, want = Shown(g), label["shows"]
    if g["versions"]["selected_name"] not in (None, "TLS" + label["tls"]):
        yield "version %s" % g["versions"]["selected_name"]
    if g["sni"] != label["sni"]:
        yield "sni %s" % g["sni"]
    if "alert" in want and tuple(want["alert"]) not in s.clear:
        yield "alerts %s" % s.clear
    if "evidence" in want and s.evidence() != want["evidence"]:
        yield "evidence %s" % s.evidence()
    for key in ("hrr", "resumed"):
        if key in want and g[key] != want[key]:
            yield "%s %s" % (key, g[key])


def class_faults(label, g):
    """What the expected class needs."""
    s, expected = Shown(g), label["expected"]
    if expected == "incomplete":
        if g["complete"] and label["status"] != "partial":
            yield "nothing is missing"
        return
    if not g["complete"]:
        yield "segments are missing"
    if g["versions"]["selected_name"] is None and expected != "handshake_failure":
        yield "no ServerHello"
    if expected == "normal" and (s.clear or not (s.client_finished() and s.client_data() and s.server_data())):
        yield "no data in both directions, or an alert %s" % s.clear
    if expected in REFUSED and expected != "client_certificate" and s.client_data():
        yield "the client sent data"
    code = CERT_ALERT.get(expected)
    if code is not None and ("c2s", 2, code) not in s.clear:
        yield "no alert %d of the client" % code


def flat(rows):
    """A line of edge.labels.jsonl speaks of one file and the flows in it, one of demo.labels.jsonl of one flow."""
    for r in rows:
        for f in r.get("flows", [r]):
            yield dict(f, name=r.get("file") or r["id"] + " " + r["case"], file=r.get("file"),
                       status=r.get("status", "ok"))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    labels, golden = list(flat(load(sys.argv[1]))), load(sys.argv[2])
    flows, bad = collections.defaultdict(list), 0
    for g in golden:
        flows[g.get("file"), g["client"], g["client_port"], g["server"], g["server_port"]].append(g)
    for l in labels:
        mine = flows[l["file"], l["src"], l["sport"], l["dst"], l["dport"]]
        g = mine.pop(0) if mine else None
        for f in ["not in the capture"] if g is None else [*wire_faults(l, g), *class_faults(l, g)]:
            print("%s: %s; the label says %s, %s" % (l["name"], f, l["expected"], json.dumps(l["shows"])))
            bad += 1
    for k, rest in flows.items():
        for _ in rest:
            print("%s %s:%d > %s:%d has no label" % k)
            bad += 1
    print("%d labels, %d faults" % (len(labels), bad))
    return 1 if bad or not labels else 0


if __name__ == "__main__":
    sys.exit(main())
