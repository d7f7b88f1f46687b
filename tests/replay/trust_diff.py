#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Hold our chain status against `openssl verify`, over chains made here.

    trust_diff.py TRUST_DUMP [--keep DIR] [-v]

Each chain has the status and the findings that it was made to have, written down beside it; openssl must come to the
same conclusion with the same first error, unless the case says why not. Fixed dates, no clock. Exit status 0: all
agree; 77: no openssl."""
import argparse
import base64
import calendar
import concurrent.futures
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

from x509_diff import BC, CN, EKU, KU, NULL, SAN, alg, bits, children, ext, gn, integer, name, oid, parse, seq, tlv, utf8

T = True
DIR = None
KEYS = {}


def run(*cmd, data=None):
    return subprocess.run(cmd, input=data, capture_output=True, check=True).stdout


def path(n):
    return os.path.join(DIR, n)


def when(s):
    """"2024-06-01" as seconds"""
    return calendar.timegm(tuple(map(int, s.split("-"))) + (0, 0, 0))


def utc(s):
    return tlv(23, (s[2:].replace("-", "") + "000000Z").encode())


# ---- keys and signatures ----

KINDS = {"ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "p192": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-192"],
         "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
         "ed": ["-algorithm", "ED25519"]}
SIGS = {"ec": (alg("1.2.840.10045.4.3.2"), "-sha256"), "p192": (alg("1.2.840.10045.4.3.2"), "-sha256"),
        "rsa": (alg("1.2.840.113549.1.1.11", NULL), "-sha256"), "rsa1024": (alg("1.2.840.113549.1.1.11", NULL), "-sha256"),
        "sha1": (alg("1.2.840.113549.1.1.5", NULL), "-sha1"), "md5": (alg("1.2.840.113549.1.1.4", NULL), "-md5"),
        "ecsha1": (alg("1.2.840.10045.4.1"), "-sha1"), "ed": (alg("1.3.101.112"), None)}


def key(label, kind="ec"):
    if label not in KEYS:
        run("openssl", "genpkey", *KINDS[kind], "-out", path(label + ".key"))
        KEYS[label] = (kind, run("openssl", "pkey", "-in", path(label + ".key"), "-pubout", "-outform", "DER"))
    return KEYS[label]


def sign(label, how, data):
    if how == "ed":
        with open(path("tbs"), "wb") as f:
            f.write(data)
        return run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", path(label + ".key"), "-in", path("tbs"))
    return run("openssl", "dgst", SIGS[how][1], "-sign", path(label + ".key"), data=data)


SERIAL = [1000]
CA_EXTS = [ext(BC, seq(tlv(1, b"\xff")), True), ext(KU, bits(b"\x06", 1), True)]
HOST = "www.a.example"


def ca_exts(pathlen=None):
    return [ext(BC, seq(tlv(1, b"\xff"), integer(pathlen) if pathlen is not None else b""), True), CA_EXTS[1]]


def leaf_exts(host=HOST, eku="1.3.6.1.5.5.7.3.1"):
    e = [ext(SAN, seq(gn(2, host.encode())))] if host else []
    return e + ([ext(EKU, seq(oid(eku)))] if eku else [])


def make(subject, owner, issuer, signer, exts, start="2024-01-01", end="2024-12-31", how=None, version=2, bad=False):
    """a certificate for owner's key in subject's name, signed by signer's key in issuer's name"""
    how = how or key(signer)[0]
    SERIAL[0] += 1
    tbs = seq(tlv(0xa0, integer(version)) if version else b"", integer(SERIAL[0]), SIGS[how][0], name((CN, utf8(issuer))),
              seq(utc(start), utc(end)), name((CN, utf8(subject))), key(owner)[1], tlv(0xa3, seq(*exts)) if version else b"")
    sig = bytearray(sign(signer, how, tbs))
    if bad:
        sig[-1] ^= 1
    return seq(tbs, SIGS[how][0], bits(bytes(sig)))


def crl(issuer, signer, serials, at="2024-03-01"):
    revoked = seq(*[seq(integer(s), utc(at)) for s in serials]) if serials else b""
    tbs = seq(integer(1), SIGS["ec"][0], name((CN, utf8(issuer))), utc("2024-01-01"), utc("2030-01-01"), revoked)
    return seq(tbs, SIGS["ec"][0], bits(sign(signer, "ec", tbs)))


def serial_of(der):
    v = children(der, children(der, parse(der))[0])[1]
    return int.from_bytes(der[v[2]:v[3]], "big")


def pem(kind, ders):
    return "".join("-----BEGIN %s-----\n%s-----END %s-----\n" % (kind, base64.encodebytes(d).decode(), kind) for d in ders)


# ---- the chains ----

CASES = []


def case(label, chain, status, findings="", roots=None, at="2024-06-01", sni=HOST, crls=None, role="server", openssl=True):
    """openssl: True: must agree; a string: why it is not asked"""
    CASES.append(dict(label=label, chain=chain, status=set(status.split()), findings=set(findings.split()), roots=roots,
                      at=at if isinstance(at, int) else when(at), sni=sni, crls=crls, role=role, openssl=openssl))


def cases():
    for k, kind in (("R", "ec"), ("R2", "ec"), ("I", "ec"), ("I2", "ec"), ("L", "ec"), ("X", "ec"), ("W", "rsa1024"), ("Q", "p192"),
                    ("E", "ed"), ("A", "rsa")):
        key(k, kind)
    life = dict(start="2020-01-01", end="2030-01-01")
    root = make("Root", "R", "Root", "R", CA_EXTS, **life)
    root2 = make("Root 2", "R2", "Root 2", "R2", CA_EXTS, **life)
    inter = make("Inter", "I", "Root", "R", ca_exts(0), **life)
    leaf = make("leaf", "L", "Inter", "I", leaf_exts())

    def case_(*a, **k):
        case(*a, **dict(dict(roots=[root]), **k))

    def issued(label, status, findings="", exts=None, **k):
        """a leaf of that kind below Inter"""
        asked = {x: k.pop(x) for x in ("at", "sni", "role", "openssl", "crls") if x in k}
        case_(label, [make(k.pop("subject", "leaf"), k.pop("owner", "L"), "Inter", "I", leaf_exts() if exts is None else exts, **k), inter],
              status, findings, **asked)

    def through(label, status, findings="", at="2024-06-01", **k):
        """a leaf below an intermediate of that kind"""
        i = make("Via", k.pop("owner", "I2"), "Root", "R", k.pop("exts", CA_EXTS), **dict(life, **k))
        signer = [n for n in ("I2", "W", "A", "E") if KEYS[n][1] in i][0]
        case_(label, [make("leaf", "L", "Via", signer, leaf_exts()), i], status, findings, at=at)

    # the list
    case_("good", [leaf, inter], "VALID")
    case_("good, root sent", [leaf, inter, root], "VALID", "root_sent")
    case_("leaf below the root", [make("leaf", "L", "Root", "R", leaf_exts())], "VALID")
    case_("missing intermediate", [leaf], "INVALID_ISSUER", "missing_intermediate")
    case_("wrong order", [leaf, root, inter], "VALID", "wrong_order root_sent")
    i2 = make("Inter 2", "I2", "Root", "R", CA_EXTS, **life)
    i3 = make("Inter 3", "I", "Inter 2", "I2", CA_EXTS, **life)
    deep = make("leaf", "L", "Inter 3", "I", leaf_exts())
    case_("three levels", [deep, i3, i2], "VALID")
    case_("three levels, wrong order", [deep, i2, i3], "VALID", "wrong_order")
    case_("three levels, one missing", [deep, i3], "INVALID_ISSUER", "missing_intermediate")
    case_("three levels, the nearer missing", [deep, i2], "INVALID_ISSUER", "missing_intermediate extra_certificates")
    other = make("other", "X", "Inter", "I", leaf_exts("other.example"))
    case_("extra certificate", [leaf, inter, other], "VALID", "extra_certificates")
    case_("extra root", [leaf, inter, root2], "VALID", "extra_certificates root_sent")
    case_("leaf sent twice", [leaf, leaf, inter], "VALID", "extra_certificates")
    case_("garbage between", [leaf, b"\x30\x03abc", inter], "VALID", "malformed", openssl="openssl verify reads no broken file")
    case_("bytes behind the intermediate", [leaf, inter + b"x"], "INVALID_ISSUER", "malformed missing_intermediate",
          openssl="openssl verify ignores what stands behind")
    case_("garbage leaf", [b"\x30\x03abc", inter], "UNKNOWN", "malformed", openssl="no leaf")
    case_("empty leaf", [b"", inter], "UNKNOWN", "malformed", openssl="no leaf")
    case_("nothing sent", [], "UNKNOWN", openssl="no leaf")
    case_("no roots", [leaf, inter], "UNKNOWN", roots=[], openssl="it says: no issuer")

    # whose root
    own = make("Inter", "I", "Root 2", "R2", CA_EXTS, **life)
    case_("root of others", [leaf, own], "INVALID_ISSUER", "missing_intermediate")
    case_("root of others sent", [leaf, own, root2], "INVALID_ISSUER", "root_sent")
    case_("cross-signed, ours second", [leaf, own, inter], "VALID", "extra_certificates",
          openssl="it follows the first issuer that fits by name, and does not come back")
    case_("cross-signed, ours first", [leaf, inter, own], "VALID", "extra_certificates")
    case_("cross-signed, both roots ours", [leaf, own], "VALID", roots=[root, root2])
    self_ = make("leaf", "L", "leaf", "L", leaf_exts())
    case_("self-signed leaf", [self_], "SELF_SIGNED INVALID_ISSUER")
    case_("self-signed leaf, trusted", [self_], "SELF_SIGNED VALID", roots=[root, self_])
    case_("self-signed leaf, no roots", [self_], "SELF_SIGNED UNKNOWN", roots=[], openssl="it says: self-signed")
    case_("self-signed leaf, expired", [self_], "SELF_SIGNED INVALID_ISSUER EXPIRED", at="2025-06-01")
    case_("self-signed leaf, signature wrong", [make("leaf", "L", "leaf", "L", leaf_exts(), bad=T)], "INVALID_SIGNATURE INVALID_ISSUER",
          openssl="it does not check that signature")
    case_("name of the root, another key", [make("Root", "X", "Root", "X", leaf_exts())], "SELF_SIGNED INVALID_ISSUER")

    # signatures
    case_("leaf's signature wrong", [make("leaf", "L", "Inter", "I", leaf_exts(), bad=T), inter], "INVALID_SIGNATURE")
    case_("intermediate's signature wrong", [leaf, make("Inter", "I", "Root", "R", CA_EXTS, bad=T, **life)], "INVALID_SIGNATURE")
    case_("issuer's name, another key", [make("leaf", "L", "Inter", "X", leaf_exts()), inter], "INVALID_SIGNATURE")

    # dates
    issued("leaf expired", "EXPIRED", at="2025-06-01")
    issued("leaf not valid yet", "NOT_VALID_YET", at="2023-12-31")
    issued("first second", "VALID", at="2024-01-01")
    issued("last second", "VALID", at="2024-12-31", openssl="it ends a second before the end")
    issued("a second later", "EXPIRED", at=when("2024-12-31") + 1)
    through("intermediate expired", "EXPIRED", "issuer_dates", end="2024-03-01")
    through("intermediate not valid yet", "NOT_VALID_YET", "issuer_dates", start="2024-09-01")
    through("leaf and intermediate expired", "EXPIRED", end="2024-03-01", at="2025-06-01")
    through("leaf not valid yet, intermediate expired", "EXPIRED NOT_VALID_YET", "issuer_dates", end="2023-03-01", at="2023-06-01")
    old = make("Old Root", "R2", "Old Root", "R2", CA_EXTS, start="2010-01-01", end="2024-02-01")
    case_("root expired", [make("leaf", "L", "Old Root", "R2", leaf_exts())], "EXPIRED", "issuer_dates", roots=[old])
    case_("expired root, newer one of the same name", [make("leaf", "L", "Old Root", "R2", leaf_exts())], "VALID",
          roots=[old, make("Old Root", "R2", "Old Root", "R2", CA_EXTS, **life)])
    issued("398 days", "VALID", start="2024-01-01", end="2025-02-01")
    issued("399 days", "VALID", "long_validity", start="2024-01-01", end="2025-02-03")

    # names
    issued("wrong name", "VALID", "name_mismatch", sni="www.b.example")
    issued("letter case and final dot", "VALID", sni="WWW.a.EXAMPLE.")
    issued("no name asked for", "VALID", sni="-")
    wild = leaf_exts("*.a.example")
    issued("wildcard", "VALID", exts=wild)
    issued("wildcard, two labels", "VALID", "name_mismatch", exts=wild, sni="x.www.a.example")
    issued("wildcard, no label", "VALID", "name_mismatch", exts=wild, sni="a.example")
    issued("wildcard for a top level", "VALID", "name_mismatch", exts=leaf_exts("*.example"), sni="a.example")
    issued("part of a label", "VALID", "name_mismatch", exts=leaf_exts("w*.a.example"), openssl="it takes parts unless told not to")
    issued("common name only", "VALID", "name_in_cn_only", exts=leaf_exts(None), subject=HOST)
    issued("common name beside a DNS name", "VALID", "name_mismatch", exts=leaf_exts("b.example"), subject=HOST)

    # what it is for
    issued("EKU client", "UNKNOWN", "wrong_eku", exts=leaf_exts(eku="1.3.6.1.5.5.7.3.2"))
    issued("EKU client, for a client", "VALID", exts=leaf_exts(eku="1.3.6.1.5.5.7.3.2"), role="client", sni="-")
    issued("EKU server, for a client", "UNKNOWN", "wrong_eku", role="client", sni="-")
    issued("no EKU", "VALID", exts=leaf_exts(eku=None))
    issued("key usage: certificates only", "UNKNOWN", "wrong_eku", exts=leaf_exts() + [CA_EXTS[1]])
    issued("critical extension unknown", "UNKNOWN", "unknown_critical", exts=leaf_exts() + [ext("1.2.3.4", NULL, T)])
    through("EKU of the intermediate", "UNKNOWN", "wrong_eku", exts=CA_EXTS + [ext(EKU, seq(oid("1.3.6.1.5.5.7.3.4")))])
    through("critical extension unknown in the intermediate", "UNKNOWN", "unknown_critical", exts=CA_EXTS + [ext("1.2.3.4", NULL, T)])
    through("intermediate is no CA", "INVALID_ISSUER", "issuer_not_ca", exts=[ext(BC, seq(), T)])
    through("intermediate without constraints", "INVALID_ISSUER", "issuer_not_ca", exts=[ext("2.5.29.14", tlv(4, b"x"))])
    through("intermediate may not sign", "INVALID_ISSUER", "issuer_not_ca", exts=[CA_EXTS[0], ext(KU, bits(b"\x80", 7), T)])
    j = make("Inter 4", "X", "Inter", "I", CA_EXTS, **life)
    case_("path length exceeded", [make("leaf", "L", "Inter 4", "X", leaf_exts()), j, inter], "INVALID_ISSUER", "path_too_long")
    permit = ext("2.5.29.30", seq(tlv(0xa0, seq(gn(2, b"a.example")))), T)
    through("name constraint kept", "VALID", exts=CA_EXTS + [permit])
    through("name constraint broken", "INVALID_ISSUER", "name_constraint",
            exts=CA_EXTS + [ext("2.5.29.30", seq(tlv(0xa0, seq(gn(2, b"b.example")))), T)])

    # strength
    issued("RSA-1024", "VALID", "weak_key", owner="W")
    issued("P-192", "VALID", "weak_key", owner="Q")
    issued("SHA-1, ECDSA", "VALID", "weak_signature", how="ecsha1")
    through("RSA-1024 intermediate", "VALID", "weak_key", owner="W")
    through("RSA intermediate", "VALID", owner="A")
    through("Ed25519 intermediate", "VALID", owner="E")
    rsa = make("RSA Root", "A", "RSA Root", "A", CA_EXTS, how="sha1", **life)
    for how in ("sha1", "md5"):
        case_(how + ", RSA", [make("leaf", "L", "RSA Root", "A", leaf_exts(), how=how)], "VALID", "weak_signature", roots=[rsa])
    case_("SHA-1 in the root only", [make("leaf", "L", "RSA Root", "A", leaf_exts()), rsa], "VALID", "root_sent", roots=[rsa])
    case_("version 1", [make("leaf", "L", "Inter", "I", [], version=0), inter], "VALID", "name_mismatch")

    # revocation: against packet time, which openssl does not do
    gone = [crl("Inter", "I", [serial_of(leaf)])]
    case_("revoked", [leaf, inter], "REVOKED", crls=gone)
    case_("revoked later", [leaf, inter], "VALID", crls=gone, at="2024-02-01", openssl="it does not look at the date")
    case_("others revoked", [leaf, inter], "VALID", crls=[crl("Inter", "I", [1, 2, 3])])
    case_("CRL signed by another", [leaf, inter], "VALID", crls=[crl("Inter", "X", [serial_of(leaf)])],
          openssl="it counts a bad CRL as an error of the chain")
    case_("intermediate revoked", [leaf, inter], "REVOKED", crls=[crl("Root", "R", [serial_of(inter)])],
          openssl="it wants all the CRLs for that")


# ---- the run ----

def ask_openssl(c, i):
    if c["openssl"] is not True:
        return None
    w = lambda n, kind, ders: open(path("%d-%s" % (i, n)), "w").write(pem(kind, ders)) and path("%d-%s" % (i, n))
    cmd = ["openssl", "verify", "-purpose", "sslserver" if c["role"] == "server" else "sslclient", "-attime", str(c["at"]),
           "-no-CApath", "-no-CAstore", "-CAfile", w("roots", "CERTIFICATE", c["roots"])]
    if c["chain"][1:]:
        cmd += ["-untrusted", w("untrusted", "CERTIFICATE", c["chain"][1:])]
    if c["crls"]:
        cmd += ["-crl_check", "-CRLfile", w("crls", "X509 CRL", c["crls"])]
    leaf = w("leaf", "CERTIFICATE", c["chain"][:1])
    name_ = ["-verify_hostname", c["sni"].rstrip(".")] if c["sni"] != "-" else []
    p = subprocess.run(cmd + name_ + [leaf], capture_output=True, text=True)
    mismatch = "hostname mismatch" in p.stderr
    if mismatch:  # it says nothing else then
        p = subprocess.run(cmd + [leaf], capture_output=True, text=True)
    errors = [int(e) for e in re.findall(r"^error (\d+) at", p.stdout + p.stderr, re.M)]
    return p.returncode == 0, errors, mismatch


DATES = {9, 10}
REVOKED = 23
BITS = {18: "INVALID_ISSUER", 19: "INVALID_ISSUER", 20: "INVALID_ISSUER", 21: "INVALID_ISSUER", 7: "INVALID_SIGNATURE", 9: "NOT_VALID_YET",
        10: "EXPIRED", 23: "REVOKED", 26: "UNKNOWN", 34: "UNKNOWN", 79: "INVALID_ISSUER", 24: "INVALID_ISSUER", 25: "INVALID_ISSUER",
        47: "INVALID_ISSUER", 32: "INVALID_ISSUER"}


def compare(c, ours, theirs, say):
    n = 0
    for k in ("status", "findings"):
        n += 1
        if set(ours[k]) != c[k]:
            say("%s: %s: we %s, made as %s" % (c["label"], k, sorted(ours[k]), sorted(c[k])))
    if theirs is None:
        return n
    good, errors, mismatch = theirs
    if good != ("VALID" in ours["status"]):
        say("%s: openssl verify: %s %s, we %s" % (c["label"], good, errors, ours["status"]))
    for e in errors:
        n += 1
        if e == 26 and 79 in errors:  # no CA, hence unfit for the purpose: we say the first
            continue
        if BITS.get(e) not in ours["status"]:
            say("%s: openssl's error %d is not in %s" % (c["label"], e, ours["status"]))
    first = [e for e in errors if e not in DATES and e != REVOKED][:1]
    if first and ours["error"] != first[0]:
        say("%s: openssl's error %d, ours %d" % (c["label"], first[0], ours["error"]))
    if mismatch != ("name_mismatch" in ours["findings"]):
        say("%s: openssl on the name: %s, we %s" % (c["label"], mismatch, ours["findings"]))
    return n + 3


def main():
    global DIR
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("tool")
    ap.add_argument("--keep", help="folder to leave the chains in")
    ap.add_argument("-v", action="store_true", help="print each chain")
    a = ap.parse_args()
    if not shutil.which("openssl"):
        print("no openssl")
        return 77
    DIR = a.keep or tempfile.mkdtemp(prefix="trust-diff-")
    os.makedirs(DIR, exist_ok=True)
    cases()
    lines = []
    for i, c in enumerate(CASES):
        with open(path("%d.chain" % i), "wb") as f:
            f.write(b"".join(struct.pack(">I", len(d)) + d for d in c["chain"]))
        for n, kind in (("roots", "CERTIFICATE"), ("crls", "X509 CRL")):
            if c[n]:
                with open(path("%d.%s" % (i, n)), "w") as f:
                    f.write(pem(kind, c[n]))
        lines.append(" ".join([path("%d.roots" % i) if c["roots"] else "-", path("%d.crls" % i) if c["crls"] else "-", c["role"],
                               str(c["at"]), c["sni"], path("%d.chain" % i)]))
    out = run(a.tool, data="\n".join(lines).encode() + b"\n").decode().splitlines()
    assert len(out) == len(CASES), "one line a chain"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(ask_openssl, CASES, range(len(CASES))))
    bad, n = [], 0
    for c, line, t in zip(CASES, out, theirs):
        if a.v:
            print("%-45s %s %s" % (c["label"], line, t))
        n += compare(c, json.loads(line), t, bad.append)
    print("\n".join(bad) if bad else "", end="\n" if bad else "")
    asked = sum(t is not None for t in theirs)
    print("%d chains, %d of them verified by openssl too; %d values compared, %d differ" % (len(CASES), asked, n, len(bad)))
    if not a.keep:
        shutil.rmtree(DIR)
    return 1 if bad or asked < 40 else 0


if __name__ == "__main__":
    sys.exit(main())
