# SPDX-License-Identifier: BSD-3-Clause
"""Labels against events: verdicts, findings, calibration. No output here; `score` and `accuracy` print.

A finding speaks of flows that ended before it, so it is applied as an operator would: the newest word on a subject
stands, and each refusal that its subject covers takes its class. What a flow said by itself about the certificate
(expired, revoked ...) is more precise than a finding that calls the host's certificate bad, and stays.
"""
import collections
import ipaddress
import json

CERTIFICATE = {"certificate_expired", "certificate_revoked", "certificate_unsupported", "bad_certificate"}
REFUSALS = CERTIFICATE | {"pinned", "unknown_ca", "certificate_unknown", "client_rejected"}
FINDINGS = {"host_pinned_for_client": "pinned", "client_distrusts_ca": "unknown_ca",
            "host_certificate_bad": "bad_certificate"}
LEVELS = ("strict", "lenient", "wire")
BELIEVED = 0.5  # a finding of less confidence is no longer asserted


def load(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def ip(text):
    return str(ipaddress.ip_address(text))


def key(src, sport, dst, dport):
    return ip(src), sport, ip(dst), dport


def level(label, verdict):
    """The narrowest level at which the verdict is right, None if at none."""
    if verdict == label["truth"]:
        return "strict"
    if verdict in label["acceptable"]:
        return "lenient"
    return "wire" if verdict in label.get("wire", []) else None


class Finding:
    def __init__(self, event):
        u = event.get("subject") or {}
        self.kind, self.confidence = event["class"], event.get("confidence", 0.0)
        self.client = ip(u["client"]) if u.get("client") else None
        self.sni, self.ja4, self.issuer = u.get("sni"), u.get("ja4"), u.get("issuer")
        self.subject = (self.kind, self.client, self.sni, self.ja4, self.issuer)
        self.reason = event.get("reason", "")

    def covers(self, flow):
        """flow: an event. An issuer that could not be seen contradicts nothing."""
        t = flow.get("tls") or {}
        return ((self.client is None or self.client == ip(flow["src_ip"])) and self.sni in (None, t.get("sni")) and
                self.ja4 in (None, t.get("ja4")) and
                (self.issuer is None or t.get("issuerdn") is None or self.issuer == t["issuerdn"]))


def standing(events):
    """The findings that stand at the end, one a subject."""
    last = {}
    for e in events:
        if e.get("event_type") == "finding" and e.get("class") in FINDINGS:
            f = Finding(e)
            last[f.subject] = f
    return [f for f in last.values() if f.confidence >= BELIEVED]


def apply(finding_class, verdict):
    """What a finding makes of a refusal."""
    new = FINDINGS[finding_class]
    return verdict if new == "bad_certificate" and verdict in CERTIFICATE else new


class Flow:
    """A labelled connection and what was said of it."""

    def __init__(self, label, event, findings):
        self.label, self.event = label, event
        self.alone = event["verdict"]["class"] if event else "missing"
        self.alone_confidence = event["verdict"].get("confidence", 0.0) if event else 0.0
        self.verdict, self.confidence = self.alone, self.alone_confidence
        self.findings = [f for f in findings if event and f.covers(event)]
        if self.alone in REFUSALS and self.findings:
            best = max(self.findings, key=lambda f: f.confidence)
            self.verdict, self.confidence = apply(best.kind, self.alone), best.confidence


def join(labels, events):
    """(flows, findings, labels left out) of one capture. The last event of a connection counts."""
    last = {}
    for e in events:
        if e.get("event_type") == "tls_flow":
            last[key(e["src_ip"], e["src_port"], e["dest_ip"], e["dest_port"])] = e
    findings = standing(events)
    valid = [l for l in labels if l.get("valid", True)]
    flows = [Flow(l, last.get(key(l["src"], l["sport"], l["dst"], l["dport"])), findings) for l in valid]
    return flows, findings, len(labels) - len(valid)


# -- verdicts ---------------------------------------------------------------------------------------------------------
def share(n, of):
    return n / of if of else None


def classes(flows, use=lambda f: f.verdict):
    """Precision and recall of each class; a class that is as right counts as the truth."""
    pairs = []
    for f in flows:
        v = use(f)
        pairs.append((f.label["truth"], f.label["truth"] if v in f.label["acceptable"] else v))
    out = {}
    for c in sorted({x for p in pairs for x in p}):
        right = sum(t == c and v == c for t, v in pairs)
        there, given = sum(t == c for t, _ in pairs), sum(v == c for _, v in pairs)
        out[c] = {"precision": share(right, given), "recall": share(right, there), "flows": there, "given": given}
    return out


def confusion(flows, use=lambda f: f.verdict):
    out = collections.defaultdict(collections.Counter)
    for f in flows:
        out[f.label["truth"]][use(f)] += 1
    return {t: dict(c) for t, c in sorted(out.items())}


def levels(flows, use=lambda f: f.verdict):
    """Share of flows that are right at each level."""
    n = collections.Counter()
    for f in flows:
        got = level(f.label, use(f))
        for i, name in enumerate(LEVELS):
            n[name] += got is not None and LEVELS.index(got) <= i
    return dict({name: share(n[name], len(flows)) for name in LEVELS}, flows=len(flows))


def by(flows, what):
    groups = collections.defaultdict(list)
    for f in flows:
        groups[what(f.label)].append(f)
    return {k: groups[k] for k in sorted(groups, key=str)}


def normal_refused(flows):
    normal = [f for f in flows if f.label["truth"] == "normal"]
    return [f for f in normal if f.verdict in REFUSALS], len(normal)


def alert_in_clear(flow):
    return any(a.get("dir") == "c2s" and not a.get("encrypted") for a in (flow.event or {}).get("alerts", []))


# -- findings, each once ----------------------------------------------------------------------------------------------
def kinds(label):
    """The findings that are right for a connection. Of a host that shows a self-signed certificate or half a chain both may
    be said: that its certificate is bad, and that its CA is not trusted."""
    right = [label["finding"][0]] if label.get("finding") else []
    for kind, c in FINDINGS.items():
        if c == label["truth"] or kind == "host_certificate_bad" and label["truth"] in CERTIFICATE:
            right.append(kind)
    return right


def truth_of(finding, flows):
    """What the labels say of a finding: what most of the failed connections that it covers should have led to."""
    votes = collections.Counter()
    for f in flows:
        if f.label["truth"] != "normal" and finding in f.findings:
            right = kinds(f.label)
            votes[finding.kind if finding.kind in right else (right or [f.label["truth"]])[0]] += 1
    return votes.most_common(1)[0][0] if votes else "normal"


def wanted(flows):
    """{what should be found: its flows}. A host with a bad certificate counts when two programs at least saw it."""
    out = collections.defaultdict(list)
    for f in flows:
        if f.label.get("finding"):
            out[tuple(f.label["finding"])].append(f)
    return {k: v for k, v in out.items()
            if k[0] != "host_certificate_bad" or len({(f.label["src"], f.label["client"]) for f in v}) > 1}


def about(flows):
    """What most of these connections are, for those who read of a finding that is wrong or missing."""
    out = {}
    for name in ("cause", "tls", "path", "client", "pin", "compared"):
        seen = collections.Counter(f.label.get(name) for f in flows)
        out[name] = seen.most_common(1)[0][0] if seen else None
    return out


def findings(joined):
    """joined: results of join(). Precision and recall of each finding class, and (confidence, right) of each finding."""
    out = {c: {"right": 0, "given": 0, "found": 0, "wanted": 0, "wrong": [], "missed": []} for c in FINDINGS}
    sure = []
    for flows, given, _ in joined:
        for f in given:
            t = truth_of(f, flows)
            o = out[f.kind]
            o["given"] += 1
            o["right"] += t == f.kind
            sure.append((f.confidence, t == f.kind))
            if t != f.kind:
                o["wrong"].append({"subject": f.subject[1:], "truth": t, "confidence": f.confidence, "reason": f.reason,
                                   **about([x for x in flows if f in x.findings])})
        for unit, its in wanted(flows).items():
            o = out[unit[0]]
            o["wanted"] += 1
            found = any(g.kind in kinds(f.label) for f in its for g in f.findings)
            o["found"] += found
            if not found:
                o["missed"].append({"unit": unit[1:], "flows": len(its), **about(its)})
    for o in out.values():
        o["precision"], o["recall"] = share(o["right"], o["given"]), share(o["found"], o["wanted"])
    return out, sure


# -- calibration ------------------------------------------------------------------------------------------------------
def reliability(sure, bins=10):
    """sure: (confidence, right). Rows of (from, to, n, mean confidence, share right), and the weighted mean gap."""
    rows, gap = [], 0.0
    for i in range(bins):
        lo, hi = i / bins, (i + 1) / bins
        inside = [(c, r) for c, r in sure if lo <= c < hi or i == bins - 1 and c == 1.0]
        if inside:
            said, was = sum(c for c, _ in inside) / len(inside), sum(r for _, r in inside) / len(inside)
            rows.append({"from": lo, "to": hi, "n": len(inside), "said": said, "was": was})
            gap += abs(said - was) * len(inside)
    return {"rows": rows, "gap": share(gap, len(sure))}


def report(joined):
    """All of it as one object."""
    flows = [f for fl, _, _ in joined for f in fl]
    refused, normal = normal_refused(flows)
    found, sure = findings(joined)
    clear = [f for f in flows if f.label["truth"] in CERTIFICATE and alert_in_clear(f)]
    return {
        "flows": len(flows), "left_out": sum(n for _, _, n in joined), "missing": sum(f.event is None for f in flows),
        "classes": classes(flows), "classes_alone": classes(flows, lambda f: f.alone),
        "levels": levels(flows), "levels_alone": levels(flows, lambda f: f.alone), "confusion": confusion(flows),
        "certificate_in_clear": dict(levels(clear), precision=classes_precision(flows, CERTIFICATE)),
        "normal_refused": {"flows": len(refused), "normal": normal, "share": share(len(refused), normal)},
        "findings": found,
        "calibration": {"findings": reliability(sure),
                        "flows": reliability([(f.alone_confidence, level(f.label, f.alone) is not None)
                                              for f in flows if f.event])},
        "by_client": {k: levels(v) for k, v in by(flows, lambda l: "%s, TLS %s" % (l["client"], l["tls"])).items()},
        "by_cause": {k: levels(v) for k, v in by(flows, lambda l: l.get("cause") or l.get("case")).items()},
        "by_path": {k: levels(v) for k, v in by(flows, lambda l: l["path"]).items()},
        "pinned_by_client": pinned_by(flows, lambda l: "%s, TLS %s" % (l["client"], l["tls"])),
        "pinned_by_way": pinned_by(flows, lambda l: "pin %s" % l.get("pin")),
        "pinned_by_comparison": pinned_by(flows, lambda l: "compared: %s" % l.get("compared")),
    }


def classes_precision(flows, some):
    """Of the flows whose alert is in clear and whose verdict is one of these, how many are right."""
    given = [f for f in flows if f.verdict in some and alert_in_clear(f)]
    return share(sum(level(f.label, f.verdict) in ("strict", "lenient") for f in given), len(given))


def pinned_by(flows, what):
    """Recall of pinned in each group of the pinned flows."""
    return {k: {"flows": len(v), "recall": share(sum(f.verdict == "pinned" for f in v), len(v))}
            for k, v in by([f for f in flows if f.label["truth"] == "pinned"], what).items()}
