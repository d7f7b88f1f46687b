#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Hold our certificate fields against openssl's, over certificates generated here.

    x509_diff.py X509_DUMP X509_OPENSSL [--keep DIR] [--extra FILE.der ...] [-v]

Every certificate is put together here from raw DER, so that odd encodings can be written that no tool would write;
curve points come from openssl. Each is read by libcrypto (X509_OPENSSL prints as `openssl x509 -text` does), by the
plain parser below, by python3-cryptography where that is installed, and by X509_DUMP whole and in pieces. What openssl
reads, we must read, with the same values; what the parts were made of is known besides. Malformed ones (every
truncation, and mutations) must end in an error, or agree. Fixed seed. Exit status 0: all agree; 77: no openssl."""
import argparse
import calendar
import collections
import concurrent.futures
import hashlib
import ipaddress
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import warnings

try:
    from cryptography import x509 as cx
    from cryptography.x509.oid import ExtensionOID as XO
except ImportError:
    cx = None

WHOLE, CA, PATHLEN, NAME_CUT, SAN_CUT, NEGATIVE, TRAILING, NOT_DER = 1, 2, 4, 16, 32, 256, 512, 1024
EXT_MALFORMED = 2048
RND = random.Random(20240229)


# ---- writing DER ----

def tlv(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    if n < 0x80:
        return bytes([tag, n]) + body
    size = (n.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + n.to_bytes(size, "big") + body


def seq(*p):
    return tlv(0x30, *p)


def oid(dots):
    a = [int(x) for x in dots.split(".")]
    out = b""
    for v in [a[0] * 40 + a[1]] + a[2:]:
        b = [v & 127]
        while v >> 7:
            v >>= 7
            b.append(v & 127 | 128)
        out += bytes(reversed(b))
    return tlv(6, out)


def integer(v):
    return tlv(2, v.to_bytes((v if v >= 0 else v + 1).bit_length() // 8 + 1, "big", signed=True))


def bits(b, unused=0):
    return tlv(3, bytes([unused]), b)


def octets(b):
    return tlv(4, b)


NULL = tlv(5)


def alg(dots, params=b""):
    return seq(oid(dots), params)


def utf8(s):
    return tlv(12, s.encode())


def rdn(*avas):
    return tlv(0x31, *[seq(oid(t), v) for t, v in avas])


def name(*avas):
    return seq(*[rdn(a) for a in avas])


def ext(dots, value, critical=False):
    return seq(oid(dots), tlv(1, b"\xff") if critical else b"", octets(value))


ED25519 = seq(alg("1.3.101.112"), bits(bytes(range(32))))
ECDSA = alg("1.2.840.10045.4.3.2")
UTC0 = tlv(23, b"200101000000Z")
UTC1 = tlv(23, b"210101000000Z")
CN, OU = "2.5.4.3", "2.5.4.11"


def cert(serial=None, sig=ECDSA, issuer=None, validity=None, subject=None, spki=ED25519, exts=None, version=2, uid=b"",
         outer=None, tail=b""):
    tbs = seq(b"" if version is None else tlv(0xa0, integer(version)), serial or integer(0x1234), sig,
              issuer or name((CN, utf8("issuer"))), validity or seq(UTC0, UTC1), subject or name((CN, utf8("subject"))),
              spki, uid, b"" if exts is None else tlv(0xa3, seq(*exts)))
    return seq(tbs, outer or sig, bits(b"\x30\x06\x02\x01\x01\x02\x01\x01")) + tail


# ---- reading DER: plain, slow, for DER only ----

def parse(b, at=0):
    """one value: tag, start, content start, end"""
    n, p = b[at + 1], at + 2
    if n & 0x80:
        k = n & 0x7f
        n, p = int.from_bytes(b[p:p + k], "big"), p + k
    return b[at], at, p, p + n


def children(b, v):
    out, at = [], v[2]
    while at < v[3]:
        c = parse(b, at)
        out.append(c)
        at = c[3]
    return out


def spki_of(der):
    tbs = children(der, children(der, parse(der))[0])
    v = tbs[6] if tbs[0][0] == 0xa0 else tbs[5]
    return der[v[1]:v[3]]


# ---- the certificates ----

Case = collections.namedtuple("Case", "label der want")
cases = []


def add(label, der, **want):
    cases.append(Case(label, der, want))


def curve_names():
    out = subprocess.run(["openssl", "ecparam", "-list_curves"], capture_output=True, text=True, check=True).stdout
    return [m for m in re.findall(r"^ +(\S+?) *:", out, re.M) if not m.startswith("Oakley")]


def ec_spki(curve, *enc):
    """SubjectPublicKeyInfo of a fresh key: taken out of the SEC 1 private key, which has curve and point (SM2: in PKCS #8)"""
    der = subprocess.run(["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-outform", "DER", *enc],
                         capture_output=True, check=True).stdout
    parts = {c[0]: c for c in children(der, parse(der))}
    if 0x30 in parts:
        params = children(der, parts[0x30])[1]
        params = der[params[1]:params[3]]
        inner = der[parts[4][2]:parts[4][3]]
        point = [inner[c[2]:c[3]] for c in children(inner, parse(inner)) if c[0] == 0xa1][0]
    else:
        params, point = (der[parts[t][2]:parts[t][3]] for t in (0xa0, 0xa1))
    return seq(seq(oid("1.2.840.10045.2.1"), params), point)


def odd_number(n):
    return RND.getrandbits(n) | 1 << (n - 1) | 1


def add_keys(pool):
    names = curve_names()
    jobs = [(n, ()) for n in names] + [(n, ("-param_enc", "explicit")) for n in (
        "prime256v1", "secp256k1", "brainpoolP384r1", "sect163k1", "sect571r1", "secp521r1")]
    for (n, enc), spki in zip(jobs, pool.map(lambda j: ec_spki(j[0], *j[1]), jobs)):
        size = re.search(r"(?:sec[pt]|prime|brainpoolP|c2[pt]nb)(\d+)", n)  # the number in a name is the field's size
        want = {"bits": int(size.group(1))} if size else {}
        if enc:
            want["key"] = "EC-%s explicit" % size.group(1)
        add("ec %s %s" % (n, " ".join(enc)), cert(spki=spki), **want)
    for n in (512, 768, 1023, 1024, 1025, 2047, 2048, 3072, 4096, 8192, 16384):
        key = bits(seq(integer(odd_number(n)), integer(65537)))
        add("rsa %d" % n, cert(spki=seq(alg("1.2.840.113549.1.1.1", NULL), key)), key="RSA-%d" % n)
        if n < 4096:
            add("rsa-pss %d" % n, cert(spki=seq(alg("1.2.840.113549.1.1.10"), key)), key="RSA-PSS-%d" % n)
    for n in (1024, 2048, 3072):
        p, q, g = odd_number(n), odd_number(256), 2
        y = bits(integer(odd_number(n - 1)))
        add("dsa %d" % n, cert(spki=seq(alg("1.2.840.10040.4.1", seq(*map(integer, (p, q, g)))), y)), key="DSA-%d" % n)
        add("dh %d" % n, cert(spki=seq(alg("1.2.840.113549.1.3.1", seq(integer(p), integer(g))), y)), key="DH-%d" % n)
        add("dhx %d" % n, cert(spki=seq(alg("1.2.840.10046.2.1", seq(*map(integer, (p, g, q)))), y)), key="DH-%d" % n)
    add("dsa inherited", cert(spki=seq(alg("1.2.840.10040.4.1"), bits(integer(7)))), key="DSA-0")
    for dots, n, want in (("1.3.101.112", 32, "Ed25519"), ("1.3.101.113", 57, "Ed448"), ("1.3.101.110", 32, "X25519"),
                          ("1.3.101.111", 56, "X448"), ("1.2.643.7.1.1.1.1", 66, "GOST2012-256"),
                          ("1.2.643.7.1.1.1.2", 130, "GOST2012-512"), ("1.2.643.2.2.19", 66, "GOST2001-256"),
                          ("1.2.643.2.2.20", 130, "GOST94-1024"), ("2.16.840.1.101.3.4.3.17", 1312, "ML-DSA-44"),
                          ("2.16.840.1.101.3.4.3.18", 1952, "ML-DSA-65"), ("2.16.840.1.101.3.4.3.19", 2592, "ML-DSA-87"),
                          ("2.16.840.1.101.3.4.3.20", 32, "SLH-DSA-SHA2-128s"),
                          ("2.16.840.1.101.3.4.3.25", 64, "SLH-DSA-SHA2-256f"),
                          ("2.16.840.1.101.3.4.3.26", 32, "SLH-DSA-SHAKE-128s"),
                          ("2.16.840.1.101.3.4.3.31", 64, "SLH-DSA-SHAKE-256f"), ("1.2.3.4.5", 9, "1.2.3.4.5")):
        add("key " + want, cert(spki=seq(alg(dots), bits(RND.randbytes(n)))), key=want)


# what openssl prints for a signature algorithm, where we write another name
SIG_NAME = {"GOST R 34.10-2012 with GOST R 34.11-2012 (256 bit)": "id-tc26-signwithdigest-gost3410-2012-256",
            "GOST R 34.10-2012 with GOST R 34.11-2012 (512 bit)": "id-tc26-signwithdigest-gost3410-2012-512",
            "GOST R 34.11-94 with GOST R 34.10-2001": "id-GostR3411-94-with-GostR3410-2001",
            "GOST R 34.11-94 with GOST R 34.10-94": "id-GostR3411-94-with-GostR3410-94",
            # RFC 9881, RFC 9909: not known to OpenSSL 3.0
            "2.16.840.1.101.3.4.3.17": "ML-DSA-44", "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
            "2.16.840.1.101.3.4.3.19": "ML-DSA-87", "2.16.840.1.101.3.4.3.20": "SLH-DSA-SHA2-128s",
            "2.16.840.1.101.3.4.3.31": "SLH-DSA-SHAKE-256f"}


def add_signatures():
    for dots in ["1.2.840.113549.1.1.%d" % i for i in (2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 16)] + \
                ["1.2.840.10045.4.1"] + ["1.2.840.10045.4.3.%d" % i for i in (1, 2, 3, 4)] + \
                ["1.2.840.10040.4.3"] + ["2.16.840.1.101.3.4.3.%d" % i for i in (1, 2, 3, 4, 9, 10, 11, 12, 13, 14, 15, 16)] + \
                ["1.3.101.112", "1.3.101.113", "1.2.156.10197.1.501", "1.2.156.10197.1.504", "1.2.643.7.1.1.3.2",
                 "1.2.643.7.1.1.3.3", "1.2.643.2.2.3", "1.2.643.2.2.4", "1.3.14.3.2.29", "1.3.14.3.2.3", "1.3.36.3.3.1.2",
                 "2.16.840.1.101.3.4.3.17", "2.16.840.1.101.3.4.3.18", "2.16.840.1.101.3.4.3.19", "2.16.840.1.101.3.4.3.20",
                 "2.16.840.1.101.3.4.3.31", "1.2.3.4", "2.999.1.2.3"]:
        add("sig " + dots, cert(sig=alg(dots)))


def add_times():
    def both(a, b):
        return seq(a, b)
    g, u = (lambda s: tlv(24, s)), (lambda s: tlv(23, s))
    for t in (u(b"500101000000Z"), u(b"491231235959Z"), u(b"991231235959Z"), u(b"000101000000Z"), u(b"700101000000Z"),
              u(b"000229235959Z"), u(b"240229010203Z"), u(b"2001010000Z"), u(b"200101000000+0100"), u(b"200101000000-1130"),
              u(b"200230000000Z"), u(b"201301000000Z"), u(b"200101250000Z"), u(b"200101000060Z"), u(b"200101000000"),
              u(b""), u(b"x"), u(b"200101000000Zx"),
              g(b"20500101000000Z"), g(b"19491231235959Z"), g(b"19500101000000Z"), g(b"99991231235959Z"),
              g(b"00010101000000Z"), g(b"21000301000000Z"), g(b"21000229000000Z"), g(b"20000229000000Z"),
              g(b"20200101000000.5Z"), g(b"20200101000000.123+0100"), g(b"202001010000Z"), g(b"20200101000000"),
              g(b"18991231000000Z"), g(b"20240630235960Z")):
        add("time %r" % t[2:], cert(validity=both(t, g(b"20600101000000Z"))))
        add("time after %r" % t[2:], cert(validity=both(UTC0, t)))


def add_names():
    texts = ["plain", "", " ", "  two", "end ", "#hash", "a,b+c\"d\\e<f>g;h=i", "nul\0", "tab\tnl\n\x7f", "Müller", "日本語", "😀",
             "\u202eevil", "x" * 64, "a=b", "\\", "é" * 100]
    for s in texts:
        add("utf8 %r" % s[:20], cert(subject=name((CN, utf8(s)))))
        if all(ord(c) < 0x10000 for c in s):
            add("bmp %r" % s[:20], cert(subject=name((CN, tlv(30, s.encode("utf-16-be"))))))
        add("universal %r" % s[:20], cert(subject=name((CN, tlv(28, s.encode("utf-32-be"))))))
    for tag in (0x12, 0x13, 0x14, 0x16):
        add("tag %#x" % tag, cert(subject=name((CN, tlv(tag, b"12 abc-\xe9,\x01")), (OU, tlv(tag, b" 1 ")))))
    for tag, v in ((0x30, b"\5\0"), (3, b"\0\x55")):
        add("value tag %#x" % tag, cert(subject=name((CN, tlv(tag, v)))))
    for dots in ["2.5.4.%d" % i for i in range(3, 21)] + ["2.5.4.%d" % i for i in (41, 42, 43, 44, 45, 46, 65, 97, 127)] + \
            ["1.2.840.113549.1.9.1", "1.2.840.113549.1.9.2", "1.2.840.113549.1.9.8", "0.9.2342.19200300.100.1.1",
             "0.9.2342.19200300.100.1.25", "1.3.6.1.4.1.311.60.2.1.1", "1.3.6.1.4.1.311.60.2.1.2",
             "1.3.6.1.4.1.311.60.2.1.3", "1.2.643.100.1", "1.2.643.100.3", "1.2.643.3.131.1.1", "1.2.3", "2.999",
             "2.25.340282366920938463463374607431768211455"]:
        add("attribute " + dots, cert(subject=name((dots, utf8("v"))), issuer=name((dots, tlv(19, b"v")))))
    add("multi-valued", cert(subject=seq(rdn((OU, utf8("b")), (CN, utf8("a+b"))), rdn(("2.5.4.6", tlv(19, b"DE"))))))
    add("empty name", cert(subject=seq(), issuer=seq()))
    add("empty rdn", cert(subject=seq(tlv(0x31), rdn((CN, utf8("x"))))))
    add("self-issued", cert(subject=name((CN, utf8("a"))), issuer=name((CN, utf8("a")))))
    add("long name", cert(subject=name(*[(OU, utf8("%030d" % i)) for i in range(60)])))
    add("long value", cert(subject=name((OU, utf8("é" * 2000)))))
    # types that libcrypto does not take in a name, and what it does not print: expected by RFC 4514 alone
    for tag, v, want in ((0x1a, b"visible", "visible"), (0x17, b"200101000000Z", "200101000000Z"), (4, b"\1\2", "#04020102"),
                         (0x1b, b"gen", "#1B0367656E"), (0x19, b"gr", "#19026772"), (1, b"\xff", "#0101FF"),
                         (0x80, b"ctx", "#8003637478"), (2, b"\5", "#020105"), (12, b"a\xffb\xc3", r"a\FFb\C3"),
                         (30, b"\0a\0", "#1E03006100")):
        add("value tag %#x" % tag, cert(subject=name((CN, tlv(tag, v)))), subject="CN=" + want, refused=True)


SAN, BC, KU, EKU, SKI, AKI = "2.5.29.17", "2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.14", "2.5.29.35"
SCT = "1.3.6.1.4.1.11129.2.4.2"


def gn(kind, b):
    return tlv(0x80 | kind, b)


def sct_list(*items):
    body = b"".join(struct.pack(">H", len(i)) + i for i in items)
    return octets(struct.pack(">H", len(body)) + body)


def add_extensions():
    t, f = tlv(1, b"\xff"), tlv(1, b"\0")
    sans = [gn(2, b"a.example"), gn(2, b"*.b.example"), gn(7, b"\xc0\0\2\1"), gn(7, bytes(range(16))), gn(1, b"x@a.example"),
            gn(6, b"https://a.example/?x=1")]
    dirname = tlv(0xa4, name((CN, utf8("dir"))))
    other = tlv(0xa0, oid("1.2.3.4"), tlv(0xa0, utf8("other")))
    add("san plain", cert(exts=[ext(SAN, seq(*sans))]))
    add("san critical", cert(exts=[ext(SAN, seq(*sans), True)], subject=seq()))
    for i, s in enumerate(sans + [dirname, other, gn(8, oid("1.2.3")[2:])]):
        add("san %d" % i, cert(exts=[ext(SAN, seq(s))]))
    add("san all", cert(exts=[ext(SAN, seq(*sans, dirname, other, gn(8, oid("1.2.3")[2:])))]))
    add("san many", cert(exts=[ext(SAN, seq(*[gn(2, b"host-%d.example" % i) for i in range(150)]))]))
    add("san too many", cert(exts=[ext(SAN, seq(*[gn(2, b"host-%d.example" % i) for i in range(1000)]))]))
    add("san hostile", cert(exts=[ext(SAN, seq(gn(2, b"a\0b"), gn(2, b"\xff\n"), gn(2, b""), gn(7, b"\1\2\3")))]),
        san=[[2, "610062"], [2, "ff0a"], [2, ""], [7, "010203"]])
    for i, v in enumerate((seq(), seq(t), seq(f), seq(t, integer(0)), seq(t, integer(3)), seq(t, integer(127)),
                           seq(integer(1)), seq(tlv(1, b"\1")))):
        add("bc %d" % i, cert(exts=[ext(BC, v, True)]))
    for i in range(9):
        v = 0x8000 >> i
        add("ku %d" % i, cert(exts=[ext(KU, bits(bytes([v >> 8]) if i < 8 else struct.pack(">H", v), 7 - i if i < 8 else 7))]))
    add("ku some", cert(exts=[ext(KU, bits(b"\xa6", 1), True)]))
    add("ku all", cert(exts=[ext(KU, bits(b"\xff\x80", 7), True)]))
    add("ku none", cert(exts=[ext(KU, bits(b""))]))
    ekus = ["1.3.6.1.5.5.7.3.%d" % i for i in (1, 2, 3, 4, 8, 9)] + ["2.5.29.37.0", "1.3.6.1.4.1.311.10.3.4", "1.2.3.4"]
    for e in ekus:
        add("eku " + e, cert(exts=[ext(EKU, seq(oid(e)))]))
    add("eku all", cert(exts=[ext(EKU, seq(*map(oid, ekus)))]))
    for n in (0, 1, 8, 20, 32):
        add("ski %d" % n, cert(exts=[ext(SKI, octets(bytes(range(n))))]))
        add("aki %d" % n, cert(exts=[ext(AKI, seq(gn(0, bytes(range(n)))))]))
    add("aki issuer", cert(exts=[ext(AKI, seq(gn(0, b"\1\2"), tlv(0xa1, tlv(0xa4, name((CN, utf8("x"))))), gn(2, b"\5")))]))
    add("aki no key", cert(exts=[ext(AKI, seq(tlv(0xa1, tlv(0xa4, name((CN, utf8("x"))))), gn(2, b"\5")))]))
    sct = b"\0" + bytes(32) + struct.pack(">Q", 1600000000000) + b"\0\0\4\3\0\6" + b"\x30\4\2\0\2\0"
    for n in (1, 2, 3, 30):
        add("sct %d" % n, cert(exts=[ext(SCT, sct_list(*[sct] * n))]))
    add("unknown", cert(exts=[ext("1.2.3", NULL), ext("1.2.4", NULL, True)]))
    add("known", cert(exts=[ext("2.5.29.32", seq(seq(oid("2.23.140.1.2.1")))), ext("1.3.6.1.5.5.7.1.1", seq(seq(
        oid("1.3.6.1.5.5.7.48.1"), gn(6, b"http://ocsp.example")))), ext("2.5.29.30", seq(tlv(0xa0, seq(gn(2, b"x")))), True)]))
    add("critical false", cert(exts=[seq(oid(BC), f, octets(seq(t)))]))
    add("everything", cert(exts=[ext(BC, seq(t, integer(2)), True), ext(KU, bits(b"\x06", 1), True), ext(SAN, seq(*sans)),
                                 ext(EKU, seq(*map(oid, ekus))), ext(SKI, octets(b"k" * 20)), ext(AKI, seq(gn(0, b"a" * 20))),
                                 ext(SCT, sct_list(sct, sct))]))
    # content that does not parse: around it everything is read
    for i, (d, v) in enumerate(((SAN, b"\x30\x05\x82\x09abc"), (SAN, b""), (BC, b"\x30\x03\x01\x05\xff"), (KU, b"\4\1\1"),
                                (EKU, b"\x30\x02\x05\x00"), (SKI, b"\x30\0"), (AKI, b"\x30\x09"), (SCT, b"\4\2\0\1"))):
        add("broken extension %d" % i, cert(exts=[ext(d, v), ext("1.2.3", NULL)]), note=EXT_MALFORMED)


def add_forms():
    for v in (0, 1, 0x7f, 0x80, 0xff, 0x8000, (1 << 159) - 1, 1 << 159, (1 << 64) + 1, -1, -128, -129, -(1 << 63)):
        add("serial %x" % v, cert(serial=integer(v)))
    add("serial 30 bytes", cert(serial=integer(1 << 238)))
    for v in (None, 0, 1, 2):
        add("version %s" % v, cert(version=v))
    add("unique ids", cert(version=1, uid=tlv(0x81, b"\0\x55") + tlv(0x82, b"\0\xaa")))
    add("empty extensions", cert(exts=[]))
    add("sigalg differs", cert(outer=alg("1.2.840.113549.1.1.11", NULL)))
    add("sigalg null", cert(sig=alg("1.2.840.113549.1.1.11", NULL)))
    add("rsassa-pss parameters", cert(sig=alg("1.2.840.113549.1.1.10", seq(tlv(0xa0, alg("2.16.840.1.101.3.4.2.1"))))))
    add("long lengths", cert(serial=b"\x02\x81\x01\x05", subject=b"\x30\x82\x00\x00"), note=NOT_DER)
    add("trailing", cert(tail=b"behind"), note=TRAILING)
    add("big", cert(exts=[ext("1.2.3", bytes(100000))]))


# ---- the other readers ----

def run_openssl(tool, path):
    """a text for each certificate of the list, None where libcrypto refuses it"""
    out = subprocess.run([tool, path], capture_output=True, check=True).stdout
    texts, at = [], 0
    while at < len(out):
        n = struct.unpack(">I", out[at:at + 4])[0]
        texts.append(out[at + 4:at + 4 + n].decode("utf-8", "surrogateescape") if n else None)
        at += 4 + n
    return texts


MONTHS = {m: i + 1 for i, m in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())}
USAGES = ["Digital Signature", "Non Repudiation", "Key Encipherment", "Data Encipherment", "Key Agreement", "Certificate Sign",
          "CRL Sign", "Encipher Only", "Decipher Only"]
EKUS = {"TLS Web Server Authentication": 1, "TLS Web Client Authentication": 2, "Code Signing": 4, "E-mail Protection": 8,
        "Time Stamping": 16, "OCSP Signing": 32, "Any Extended Key Usage": 64}


def seconds(s):
    m = re.match(r"(\w{3}) +(\d+) (\d\d):(\d\d):(\d\d)(?:\.\d+)? (-?\d+)(?: GMT)?$", s)
    if not m:
        return None
    mon, day, h, mi, sec, year = m.groups()
    # timegm's calendar begins with year 1
    return calendar.timegm((int(year), MONTHS[mon], int(day), int(h), int(mi), int(sec)))


def grab(text, pattern, flags=re.M):
    m = re.search(pattern, text, flags)
    return m.group(1) if m else None


def after(text, heading):
    """the line below an extension's heading"""
    return grab(text, r"^ {12}%s: ?(?:critical)? *\n {16}(.*)$" % heading)


def openssl_fields(text):
    """field -> value as openssl has it; None: not told"""
    f = {"serial": int(grab(text, r"^serial=(.*)$"), 16),
         "sha1": grab(text, r"^sha1=(.*)$"),
         "version": int(grab(text, r"^ +Version: (?:Unknown \()?(-?\d+)")),
         "sigalg": grab(text, r"^ {8}Signature Algorithm: (.*)$").split("  ")[0],
         "issuer": grab(text, r"^ {8}Issuer: ?(.*)$"), "subject": grab(text, r"^ {8}Subject: ?(.*)$")}
    f["sigalg"] = SIG_NAME.get(f["sigalg"], f["sigalg"])
    for k, w in (("not_before", "Not Before: "), ("not_after", "Not After : ")):
        s = grab(text, r"^ +%s(.*)$" % w)
        f[k] = "bad" if s is None or "Bad time" in s else seconds(s)
    curve = grab(text, r"^ +NIST CURVE: (P-\d+)$") or grab(text, r"^ +ASN1 OID: (.*)$")
    if curve:
        f["curve"] = curve
    f["key_bits"] = grab(text, r"^ +(?:RSA |DH |)?Public-Key: \((\d+) bit")
    bc = after(text, "X509v3 Basic Constraints")
    f["ca"] = bool(bc and "CA:TRUE" in bc)
    f["pathlen"] = int(grab(bc or "", r"pathlen:(\d+)") or -1)
    ku = after(text, "X509v3 Key Usage")
    f["key_usage"] = sum(1 << USAGES.index(u) for u in (ku or "").split(", ") if u in USAGES)
    eku = after(text, "X509v3 Extended Key Usage")
    f["eku"] = 0
    for u in (eku or "").split(", "):
        f["eku"] |= EKUS.get(u, 128) if u else 0
    f["ski"] = (after(text, "X509v3 Subject Key Identifier") or "").replace(":", "").lower()
    aki = after(text, "X509v3 Authority Key Identifier") or ""
    f["aki"] = "" if aki.startswith("DirName") else aki.replace("keyid:", "").replace(":", "").lower()
    f["scts"] = len(re.findall(r"^ +Signed Certificate Timestamp:", text, re.M))
    f["san"] = after(text, "X509v3 Subject Alternative Name")
    return f


def split_name(s):
    """an RFC 4514 string as list of RDNs, each a sorted list of (type, bytes)"""
    out, cur, i = [], [bytearray()], 0
    b = s.encode("utf-8", "surrogateescape")
    if not b:
        return []
    rdns = [cur]
    while i < len(b):
        c = b[i]
        if c == 0x5c:
            if re.match(rb"[0-9A-Fa-f]{2}", b[i + 1:i + 3]):
                cur[-1].append(int(b[i + 1:i + 3], 16))
                i += 3
            else:
                cur[-1].append(b[i + 1])
                i += 2
            continue
        if c == 0x2b:
            cur.append(bytearray())
        elif c == 0x2c:
            cur = [bytearray()]
            rdns.append(cur)
        else:
            cur[-1].append(c)
        i += 1
    for r in rdns:
        out.append(sorted(tuple(bytes(a).partition(b"=")[::2]) for a in r))
    return out


def same_name(ours, theirs):
    # RFC 4514 writes STREET, openssl street; names without a short name in openssl 3.0 come as their long one
    theirs = re.sub(r"(^|,|\+)street=", r"\1STREET=", theirs)
    return split_name(ours) == split_name(theirs)


def san_text(kind, raw):
    if kind == 7:
        if len(raw) == 4:
            return "IP Address:" + str(ipaddress.ip_address(raw))
        return "IP Address:" + ":".join("%X" % v for v in struct.unpack(">8H", raw)) if len(raw) == 16 else None
    return {1: "email:", 2: "DNS:", 6: "URI:"}[kind] + raw.decode("latin-1") if kind != 4 else None


class Report:
    def __init__(self, verbose):
        self.fields, self.bad, self.verbose = collections.Counter(), 0, verbose

    def check(self, label, field, ok, ours, theirs):
        self.fields[field] += 1
        if not ok:
            self.bad += 1
            print("%s: %s: we %r, they %r" % (label, field, ours, theirs))


def against_openssl(r, label, c, text, mutated):
    f = openssl_fields(text)
    eq = lambda field, ours: r.check(label, field, ours == f[field], ours, f[field])
    if not c["note"] & TRAILING and not mutated:  # openssl hashes what it has parsed, written anew
        eq("sha1", c["sha1"])
    if len(c["serial"]) < 64:
        eq("serial", int.from_bytes(bytes.fromhex(c["serial"]), "big", signed=True))
    if c["version"] in (1, 2, 3):
        eq("version", c["version"])
    eq("sigalg", c["sigalg"])
    for k in ("subject", "issuer"):
        if c["note"] & NAME_CUT:
            r.check(label, k + " cut", f[k].startswith(c[k]), c[k], f[k])
        elif f[k] is not None:
            r.check(label, k, same_name(c[k], f[k]), c[k], f[k])
    for k in ("not_before", "not_after"):
        ours = "bad" if c[k] == -2 ** 63 else c[k]
        eq(k, ours)
    if "curve" in f:
        eq("curve", c["curve"])
    elif f["key_bits"] and c["curve"] != "explicit":  # for curves openssl gives bits of the order, we of the field
        r.check(label, "key_bits", c["key_bits"] == int(f["key_bits"]), c["key_bits"], f["key_bits"])
    if c["note"] & EXT_MALFORMED:
        return
    r.check(label, "ca", bool(c["note"] & CA) == f["ca"], c["note"], f["ca"])
    r.check(label, "pathlen", (c["pathlen"] if c["note"] & PATHLEN else -1) == f["pathlen"], c["pathlen"], f["pathlen"])
    if mutated and f["eku"] == 128:  # what does not parse is printed as bytes
        f["eku"] = c["eku"]
    for k in ("key_usage", "eku", "ski", "aki"):
        eq(k, c[k])
    if f["scts"] or not mutated:  # an SCT that does not parse is printed as bytes; we count what the list holds
        r.check(label, "scts", c["sct_cnt"] == f["scts"], c["sct_cnt"], f["scts"])
    if c["note"] & SAN_CUT or not re.match(r"DNS:|IP Address:|email:|URI:|DirName:|othername:|Registered ID:", f["san"] or ""):
        return  # printed as bytes when one of the names does not parse
    for kind, raw in c["san"]:
        t = san_text(kind, bytes.fromhex(raw))
        if t and re.match(r"[ -~]+$", t):
            r.check(label, "san", t in f["san"], t, f["san"])


def against_cryptography(r, label, c, der):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            p = cx.load_der_x509_certificate(der)
            ours = int.from_bytes(bytes.fromhex(c["serial"]), "big", signed=True)
            if len(c["serial"]) < 64 and ours > 0:
                r.check(label, "serial (2)", ours == p.serial_number, ours, p.serial_number)
            for k, d in (("not_before", p.not_valid_before), ("not_after", p.not_valid_after)):
                r.check(label, k + " (2)", c[k] == calendar.timegm(d.timetuple()), c[k], d)
            e = {x.oid: x.value for x in p.extensions}
    except Exception:  # it refuses more than we do; what it reads must agree
        return
    if XO.SUBJECT_ALTERNATIVE_NAME in e and not c["note"] & SAN_CUT:
        theirs = []
        for g in e[XO.SUBJECT_ALTERNATIVE_NAME]:
            if isinstance(g, cx.IPAddress):
                theirs.append([7, g.value.packed.hex()])
            elif isinstance(g, (cx.DNSName, cx.RFC822Name, cx.UniformResourceIdentifier)):
                kind = {cx.DNSName: 2, cx.RFC822Name: 1, cx.UniformResourceIdentifier: 6}[type(g)]
                theirs.append([kind, g.value.encode().hex()])
        mine = [s for s in c["san"] if s[0] != 4]
        r.check(label, "san (2)", mine == theirs, mine, theirs)
    if XO.BASIC_CONSTRAINTS in e:
        b = e[XO.BASIC_CONSTRAINTS]
        r.check(label, "ca (2)", bool(c["note"] & CA) == b.ca, c["note"], b)
    if XO.SUBJECT_KEY_IDENTIFIER in e:
        d = e[XO.SUBJECT_KEY_IDENTIFIER].digest
        r.check(label, "ski (2)", c["ski"] == d.hex(), c["ski"], d)
    if XO.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS in e:
        n = len(e[XO.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS])
        r.check(label, "scts (2)", c["sct_cnt"] == n, c["sct_cnt"], n)


# ---- the run ----

def dump(tool, folder, ders, *opts):
    path = os.path.join(folder, "list")
    with open(path, "wb") as f:
        for d in ders:
            f.write(struct.pack(">I", len(d)) + d)
    out = subprocess.run([tool, "-l", *opts, path], capture_output=True, check=True).stdout
    lines = [json.loads(line) for line in out.decode("utf-8").splitlines()]
    assert len(lines) == len(ders), "one line a certificate"
    return lines


def good_names(r, label, c):
    for k in ("subject", "issuer"):
        r.check(label, k + " printable", not re.search("[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", c[k]), c[k], None)


def truncations(r, tool, folder):
    for case in [c for c in cases if c.label in ("everything", "rsa 1024", "multi-valued")]:
        ders = [case.der[:n] for n in range(len(case.der))]
        for d, c in zip(ders, dump(tool, folder, ders)):
            label = "%s cut at %d" % (case.label, len(d))
            r.check(label, "truncated", c["err"] == "SHORT" and not c["note"] & WHOLE, c["err"], "SHORT")
            r.check(label, "sha256 of the part", c["sha256"] == hashlib.sha256(d).hexdigest(), c["sha256"], None)


def mutations(n):
    """one to three bytes changed, anywhere"""
    bases = [c.der for c in cases if c.label in ("everything", "san all", "rsa 1024", "multi-valued", "sct 2")]
    for i in range(n):
        d = bytearray(RND.choice(bases))
        for _ in range(RND.choice((1, 1, 1, 2, 3))):
            d[RND.randrange(len(d))] = RND.choice((0, 1, 0x80, 0xff, 0x30, RND.randrange(256)))
        cases.append(Case("mutation %d" % i, bytes(d), {"mutation": True}))


def as_made(r, case, c):
    """what the maker of the certificate knows"""
    label, want = case.label, case.want
    if "mutation" in want:
        return
    r.check(label, "read as made", c["err"] == "OK", c["err"], "OK")
    theirs = hashlib.sha256(spki_of(case.der)).hexdigest() if label != "long lengths" else c["spki_sha256"]
    r.check(label, "spki_sha256 as made", c["spki_sha256"] == theirs, c["spki_sha256"], theirs)
    for k in ("key", "subject", "san"):
        if k in want:
            r.check(label, k + " as made", c[k] == want[k], c[k], want[k])
    if "bits" in want:
        r.check(label, "field bits as made", c["key_bits"] == want["bits"], c["key_bits"], want["bits"])
    if "note" in want:
        r.check(label, "note as made", c["note"] & want["note"], c["note"], want["note"])


def against_readers(r, case, c, text):
    mutated = "mutation" in case.want
    # a mutation may say indefinite length, which openssl reads
    r.check(case.label, "read", c["err"] == "OK" or (mutated and c["err"] == "UNSUPPORTED"), c["err"], "read by openssl")
    if c["err"] != "OK":
        return 0
    against_openssl(r, case.label, c, text, mutated)
    if cx:
        against_cryptography(r, case.label, c, case.der)
    return 1


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("tool")
    ap.add_argument("openssl")
    ap.add_argument("--keep", help="folder to leave the certificates in")
    ap.add_argument("--extra", nargs="*", default=[], help="further certificates, DER")
    ap.add_argument("--mutations", type=int, default=80)
    ap.add_argument("-v", action="store_true", help="print what was compared")
    a = ap.parse_args()
    if not shutil.which("openssl"):
        print("no openssl")
        return 77
    started = time.monotonic()
    r = Report(a.v)
    folder = a.keep or tempfile.mkdtemp(prefix="x509-diff-")
    os.makedirs(folder, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        add_keys(pool)
    add_signatures()
    add_times()
    add_names()
    add_extensions()
    add_forms()
    generated = len(cases)
    mutations(a.mutations)
    for path in a.extra:
        with open(path, "rb") as f:
            add(path, f.read())
    if a.keep:
        for i, c in enumerate(cases):
            with open(os.path.join(folder, "%04d.der" % i), "wb") as f:
                f.write(c.der)
    ders = [c.der for c in cases]
    whole, bytewise, odd = (dump(a.tool, folder, ders, *o) for o in ((), ("-s", "1"), ("-s", "7")))
    texts = run_openssl(a.openssl, os.path.join(folder, "list"))
    assert len(texts) == len(cases)
    for case, text in zip(cases, texts):
        if "mutation" not in case.want:
            r.check(case.label, "openssl", (text is None) == ("refused" in case.want), case.want, "refused" if text is None else "read")
    read = 0
    for case, c, c1, c7, text in zip(cases, whole, bytewise, odd, texts):
        r.check(case.label, "split", c == c1 == c7, c, (c1, c7))
        r.check(case.label, "sha1 as made", c["sha1"] == hashlib.sha1(case.der).hexdigest(), c["sha1"], None)
        r.check(case.label, "sha256", c["sha256"] == hashlib.sha256(case.der).hexdigest(), c["sha256"], None)
        good_names(r, case.label, c)
        as_made(r, case, c)
        if text is not None:
            read += against_readers(r, case, c, text)
    truncations(r, a.tool, folder)
    if not a.keep:
        shutil.rmtree(folder)
    if a.v:
        for k, v in sorted(r.fields.items()):
            print("%-24s %6d" % (k, v))
    print("%d certificates generated, %d mutated, %d more; %d read by openssl and us; %d values compared, %d differ; %.1f s%s"
          % (generated, a.mutations, len(a.extra), read, sum(r.fields.values()), r.bad, time.monotonic() - started,
             "" if cx else "; python3-cryptography not installed"))
    return 1 if r.bad or generated < 200 else 0


if __name__ == "__main__":
    sys.exit(main())
