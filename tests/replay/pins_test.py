#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pinsight pins, as an operator calls it.

    tests/replay/pins_test.py PINSIGHT CORPUS

Certificates are made here by openssl, and what they hash to is asked of openssl:
    openssl x509 -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64
The files in CORPUS are written by hand from the formats' own documentation; what each must become is written down
beside it. Exit status 77: no openssl. Standard library only."""
import base64
import json
import os
import plistlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PINSIGHT, CORPUS = sys.argv[1], sys.argv[2]
DIR = tempfile.mkdtemp(prefix="pins_test.")

# printf a | openssl dgst -sha256 -binary | base64, and so on
A, B, C, D, E = ("ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=", "PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0=",
                 "Ln0sA6lQeuJl7PW1NWiFpTOTogKdJBOUmXJloaJa78Y=", "GKw+c0PwFokMUQ6T+TUmEWnZ4/VlQ2Qpgw+vCTT0+OQ=",
                 "P3m7e0NbBTIWUdrv03TNxoHcBvqmXjdOODN7iMoEbeo=")


def hexa(b64):
    return base64.b64decode(b64).hex()


def path(name):
    return os.path.join(DIR, name)


def write(name, data):
    with open(path(name), "wb") as f:
        f.write(data.encode() if isinstance(data, str) else data)
    return path(name)


def read(name):
    with open(path(name), "rb") as f:
        return f.read()


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout


def pins(*args, data=None):
    return subprocess.run([PINSIGHT, "pins", *args], input=data, capture_output=True, timeout=240)


def entries(yaml):
    """The pinsets of what import prints: a list of {name, hosts, ..., expires, action}; comments apart."""
    out, key = [], None
    lines = [x for x in yaml.splitlines() if not x.startswith("#")]
    assert lines[0] in ("pins:", "pins: []"), lines[0]
    for line in lines[1:]:
        m = re.fullmatch(r"- name: '(.*)'", line)
        if m:
            out.append({"name": m.group(1)})
            continue
        m = re.fullmatch(r"  (\w+):(?: (\S+))?", line)
        if m:
            key = m.group(1)
            out[-1][key] = m.group(2) or []
            continue
        m = re.fullmatch(r"  - '(.*)'", line)
        assert m, line
        out[-1][key].append(m.group(1))
    return out


def host_set(hosts, **more):
    return {"hosts": hosts, **more}


class Import(unittest.TestCase):
    maxDiff = None
    waiting = []

    def good(self, file, want, *args, notes=()):
        r = pins("import", file, *args)
        self.assertEqual(r.returncode, 0, r.stderr)
        got = entries(r.stdout.decode())
        names = [e.pop("name") for e in got]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual(got, want)
        told = r.stderr.decode()
        for n in notes:
            self.assertIn(n, told)
        self.assertEqual(len(told.splitlines()), len(notes), told)
        # the round trip: a configuration takes it, and the command that reads one does
        conf = write("import.yaml", r.stdout)
        self.assertEqual(subprocess.run([PINSIGHT, "check", conf], capture_output=True).returncode, 0)
        shown = pins("show", "--config", conf)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn(b"%d pinsets" % len(want), shown.stdout)
        return r.stdout.decode()

    def bad(self, data, why, *args):
        """one that must be refused; all that need no arguments are put to one run"""
        name = "bad" if args else "bad%d" % len(self.waiting)
        file = write(name, data)
        if args:
            self.refused([file], [why], *args)
        else:
            self.waiting.append((file, why.replace("bad:", name + ":")))

    def refused(self, files, whys, *args):
        r = pins("import", *args, *files)
        self.assertEqual(r.returncode, 1)
        self.assertEqual(r.stdout, b"")
        told = r.stderr.decode().splitlines()
        for file, why in zip(files, whys):
            self.assertTrue([x for x in told if file + ":" in x and why in x], (why, told))

    def corpus(self, name):
        return os.path.join(CORPUS, name)

    def test_android(self):
        bank = {"spki_sha256": [A, B], "expires": "2027-01-31"}
        self.good(self.corpus("android.xml"), [
            host_set(["**.bank.example", "pay.example"], **bank),
            host_set(["inherits.bank.example"], **bank),
            host_set(["**.own.bank.example"], spki_sha256=[C]),
            # an empty pin-set, and a domain-config beside: not pinned, though the wildcard covers them
            host_set(["**.open.bank.example", "static.bank.example"], action="unpinned"),
        ], notes=["android.xml:19: the application trusts CAs of its own, @raw/bank_ca", "(overridePins)",
                  "'2jmj7l5rSw0yVb/vlWAYkK/YBwk=' is left out: digest SHA-1", "the set of 'old.example' is left out"])

    IOS = [
        host_set(["a.example", "*.a.example"], ca_spki_sha256=[A]),
        host_set(["b.example"], spki_sha256=[B]),
        host_set(["**.c.example"], spki_sha256=[C, D], expires="2027-12-01"),
        # report.example is not enforced: a comment
        host_set(["open.c.example"], action="unpinned"),
    ]

    def test_ios(self):
        text = self.good(self.corpus("ios.plist"), self.IOS, notes=["one of 1 CA keys", "'report.example' (TSKEnforcePinning"])
        self.assertIn("# - name: 'report.example'", text)
        self.assertIn("#   - '%s'" % E, text)

    def test_ios_binary(self):
        """the same by another writer of binary plists"""
        with open(self.corpus("ios.plist"), "rb") as f:
            d = plistlib.load(f)
        file = write("Info.plist", plistlib.dumps(d, fmt=plistlib.FMT_BINARY, sort_keys=False))
        for f in (file, self.corpus("ios.bplist")):
            self.good(f, self.IOS, notes=["one of 1 CA keys", "'report.example' (TSKEnforcePinning"])

    def test_okhttp(self):
        self.good(self.corpus("Okhttp.java"), [
            host_set(["a.example"], spki_sha256=[A]),
            host_set(["www.a.example"], spki_sha256=[B, C]),  # and those of *.a.example
            host_set(["*.a.example"], spki_sha256=[C]),
            host_set(["**.tree.example"], spki_sha256=[D]),
        ], notes=[":16: the pin 'sha1/2jmj7l5rSw0yVb/vlWAYkK/YBwk=' is left out: SHA-1", ":19: pins are left out",
                  ":20: the pins of 'elsewhere.example' are not"])
        self.good(self.corpus("okhttp.kt"), [
            host_set(["kt.example"], spki_sha256=[A, B]),
            host_set(["raw.example"], spki_sha256=[C]),
        ])

    def test_hpkp(self):
        self.good(self.corpus("hpkp.header"), [host_set(["**.h.example"], spki_sha256=[A, B])], "--host=h.example",
                  notes=["for 5184000 seconds"])
        self.good(self.corpus("hpkp.list"), [
            host_set(["a.example"], spki_sha256=[A, B]),
            host_set(["b.example"], spki_sha256=[C]),
        ], notes=["for 100 seconds", "'sha1/2jmj7l5rSw0yVb/vlWAYkK/YBwk=' is left out"])

    def test_electron(self):
        self.good(self.corpus("electron.json"), [
            host_set(["**.a.example"], cert_sha256=[hexa(A), hexa(C)]),
            host_set(["b.example"], cert_sha256=[hexa(B)]),
        ], notes=["'b.example' is strict"])
        self.good(self.corpus("keys.json"), [
            host_set(["a.example"], spki_sha256=[A]),
            host_set(["**.b.example"], spki_sha256=[B], expires="2027-01-31"),
        ])

    def test_many_of_one_host(self):
        """20,000 sets that would all be called alike: in time, and each with a name of its own"""
        r = pins("import", write("many.json", json.dumps(
            [{"domain": "a.example", "fingerprints": ["sha256/%s=" % ("A" * 43)]}] * 20000).encode()))
        names = re.findall(r"(?m)^- name: (.*)$", r.stdout.decode())
        self.assertEqual((r.returncode, len(names), len(set(names))), (0, 20000, 20000))

    def test_several_files(self):
        r = pins("import", "--name=app/", self.corpus("keys.json"), self.corpus("okhttp.kt"), self.corpus("keys.json"))
        self.assertEqual(r.returncode, 0)
        self.assertEqual([e["name"] for e in entries(r.stdout.decode())],
                         ["app/a.example", "app/b.example", "app/kt.example", "app/raw.example", "app/a.example-2", "app/b.example-2"])
        r = pins("import", self.corpus("keys.json"), path("nonexistent"))
        self.assertEqual((r.returncode, len(entries(r.stdout.decode()))), (1, 2))
        self.assertIn(b"nonexistent: cannot be read: No such file", r.stderr)
        with open(self.corpus("keys.json"), "rb") as f:
            r = pins("import", "-", data=f.read())
        self.assertEqual((r.returncode, len(entries(r.stdout.decode()))), (0, 2))

    def test_hostile(self):
        head = '<?xml version="1.0"?>\n<network-security-config>\n'
        self.bad("", "is of no format that is known")
        self.bad("GIF89a", "is of no format that is known")
        self.bad(head, "bad:3:1: is not well-formed XML")
        self.bad("<html><body></html>", "is not well-formed XML")
        self.bad("<html/>", "bad:1: is no network security configuration: the outermost element is <html>")
        self.bad(head + "</network-security-config>", "holds no pins (read as android)")
        self.bad(head + "<domain-config><pin-set><pin digest='SHA-256'>" + A + "</pin></pin-set></domain-config></network-security-config>",
                 "bad:3: <domain-config> names no <domain>")
        pin = "<domain-config><domain>%s</domain>\n<pin-set expiration='%s'>\n<pin digest='SHA-256'>%s</pin></pin-set></domain-config></network-security-config>"
        self.bad(head + pin % ("a.example", "2027-01-31", "nonsense"), "bad:5: the pin 'nonsense' is not the base64 of 32 bytes")
        self.bad(head + pin % ("a.example", "tomorrow", A), "bad:4: 'tomorrow' is no date: expected one such as 2027-01-31")
        self.bad(head + pin % ("a.example", "2027-02-29", A), "'2027-02-29' is no date")
        self.bad(head + pin % ("*.example", "2027-01-31", A), "bad:3: '*.example' has a '*'")
        self.bad(head + pin % ("a<b/>", "2027-01-31", A), "bad:3: <domain> holds more than text")
        self.bad(head + "<domain-config>" * 300, "is not well-formed XML: Excessive depth")
        bomb = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><network-security-config>&b;</network-security-config>'
        self.bad(bomb, "declares XML entities")
        self.bad(bomb.encode("utf-16"), "declares XML entities", "--format=android")
        self.bad('<!DOCTYPE x SYSTEM "file:///etc/passwd"><network-security-config/>', "holds no pins")
        self.bad(b"\x03\x00\x08\x00" + bytes(60), "is compiled XML, as an APK holds it")
        self.bad("<plist><dict>", "is not well-formed XML")
        self.bad("<plist><array/></plist>", "is no Info.plist: expected <plist> with a <dict>")
        self.bad("<plist><dict/></plist>", "neither NSAppTransportSecurity/NSPinnedDomains nor TSKConfiguration/TSKPinnedDomains")
        self.bad("bplist00", "is a binary plist that contradicts itself")
        self.bad(b"bplist00" + b"\xff" * 64, "is a binary plist that contradicts itself")
        self.bad(self.nested_bplist(5000), "is a binary plist that contradicts itself or is larger")
        self.bad('{"a.example": [', "bad:1:15: is not JSON: ")
        self.bad('\n\n {"a": 1,}', "bad:3:")
        self.bad('{"a.example": ["sha256/x"]}', "the pin 'sha256/x' is not the base64 of 32 bytes")
        self.bad('{"a.example": ["sha256/x"], "a.example": []}', "duplicate object key")
        self.bad('[{"domain": "a.example"}]', "entry 1: expected")
        self.bad("[" * 100000, "is not JSON: maximum parsing depth reached")
        self.bad('.add("a.example", "sha256/x")', "bad:1:2: the pin 'sha256/x' is not the base64")
        self.bad('.add("a..example", "sha256/%s")' % A, "bad:1:2: 'a..example' is not a host name")
        self.bad("\npin-sha256=\"%s\"" % A, "bad:2:1: names no host: say whose pins these are with --host")
        self.bad("a.example pin-sha256=\"x\"", "bad:1:23: the pin 'x' is not the base64")
        self.bad("-----BEGIN CERTIFICATE-----\n", "block 1 is not well-formed PEM")
        self.bad("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 cannot be read")
        self.bad(b"\x30\x82\x01\x00", "certificate 1 cannot be read")
        self.bad(b" " * (16 << 20) + b" {}", "is larger than a file of pins can be: 16 MiB")
        self.bad("{}", "the host 'a b' is not a host name", "--host=a b")

        self.refused(*zip(*self.waiting))

    @staticmethod
    def nested_bplist(depth):
        """lists within one another, as plistlib cannot write them"""
        body, offsets = b"bplist00", []
        for i in range(depth):
            offsets.append(len(body))
            body += b"\xa1" + (i + 1).to_bytes(2, "big") if i + 1 < depth else b"\xa0"
        at = len(body)
        body += b"".join(o.to_bytes(4, "big") for o in offsets)
        return body + bytes(6) + bytes([4, 2]) + depth.to_bytes(8, "big") + bytes(8) + at.to_bytes(8, "big")


def spki_pin(cert):
    key = openssl("pkey", "-pubin", "-outform", "der", data=openssl("x509", "-in", cert, "-pubkey", "-noout"))
    return base64.b64encode(openssl("dgst", "-sha256", "-binary", data=key)).decode()


def cert_hash(cert):
    return openssl("x509", "-in", cert, "-noout", "-fingerprint", "-sha256").decode().strip().partition("=")[2]


def make(name, issuer, cn, ext, kind=("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    """a certificate name.pem with key name.key, by the openssl program"""
    write("ext", ext)
    args = ["req", "-nodes", *kind, "-keyout", path(name + ".key"), "-subj", "/CN=" + cn]
    if not issuer:
        openssl(*args, "-x509", "-days", "3650", "-out", path(name + ".pem"), "-addext", "basicConstraints=critical,CA:TRUE")
        return
    openssl(*args, "-out", path("csr"))
    openssl("x509", "-req", "-in", path("csr"), "-CA", path(issuer + ".pem"), "-CAkey", path(issuer + ".key"), "-days", "3650",
            "-extfile", path("ext"), "-out", path(name + ".pem"))


def make_chains():
    ca = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
    leaf = "subjectAltName=DNS:a.example,DNS:*.a.example,IP:192.0.2.1\nextendedKeyUsage=serverAuth\n"
    make("root", None, "Root", "")
    make("inter", "root", "Inter", ca)
    make("leaf", "inter", "a.example", leaf)
    make("next", "inter", "a.example", leaf, ("-newkey", "rsa:2048"))
    make("proxy", None, "Proxy", "")
    make("forged", "proxy", "a.example", leaf)
    write("chain.pem", b"some text between\n" + read("leaf.pem") + read("inter.pem"))
    write("next-chain.pem", read("next.pem") + read("inter.pem"))
    write("forged-chain.pem", read("forged.pem") + read("proxy.pem"))


class Certificates(unittest.TestCase):
    def config(self, text):
        return write("test.yaml", text)

    def check(self, host, chain, conf, result, depth=None):
        r = pins("test", "--config", conf, host, path(chain))
        out = r.stdout.decode()
        self.assertIn("result  %s: " % result, out, r.stderr)
        self.assertEqual(r.returncode, 0 if depth is not None else 1)
        if depth is not None:
            self.assertIn("depth   %d\n" % depth, out)
        return out

    def test_import_and_test(self):
        r = pins("import", path("chain.pem"))
        self.assertEqual(r.returncode, 0, r.stderr)
        e = entries(r.stdout.decode())
        self.assertEqual(e, [{"name": "a.example", "hosts": ["a.example", "*.a.example"], "spki_sha256": [spki_pin(path("leaf.pem"))],
                              "ca_spki_sha256": [spki_pin(path("inter.pem"))]}])
        conf = self.config(r.stdout.decode())
        out = self.check("a.example", "chain.pem", conf, "match", 0)
        self.assertIn("sha256//" + spki_pin(path("leaf.pem")), out)
        self.assertIn("sha256//" + spki_pin(path("inter.pem")), out)
        self.assertIn(cert_hash(path("leaf.pem")).replace(":", "").lower(), out)
        self.assertIn("pinset  a.example (%s:2)" % conf, out)
        self.check("www.a.example", "next-chain.pem", conf, "match", 1)  # another key below the same CA
        self.check("a.example", "forged-chain.pem", conf, "mismatch")
        self.check("b.example", "chain.pem", conf, "none")

    def test_import_der_and_ca(self):
        openssl("x509", "-in", path("leaf.pem"), "-outform", "der", "-out", path("leaf.der"))
        e = entries(pins("import", path("leaf.der")).stdout.decode())
        self.assertEqual([x["spki_sha256"] for x in e], [[spki_pin(path("leaf.pem"))]])
        r = pins("import", path("inter.pem"))
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"is that of a CA and names no host (CN=Inter): say whose pin it is with --host", r.stderr)
        e = entries(pins("import", "--host=b.example", path("inter.pem")).stdout.decode())
        self.assertEqual(e, [{"name": "b.example", "hosts": ["b.example"], "ca_spki_sha256": [spki_pin(path("inter.pem"))]}])

    def test_whole_certificate(self):
        conf = self.config("pins:\n- {name: c, hosts: [a.example], cert_sha256: ['%s']}\n" % cert_hash(path("leaf.pem")))
        self.check("a.example", "chain.pem", conf, "match", 0)
        self.check("a.example", "next-chain.pem", conf, "mismatch")

    def test_backup_and_expiry(self):
        pin = spki_pin(path("next.pem"))
        conf = self.config("pins:\n- {name: c, hosts: [a.example], spki_sha256: ['%s'], backup_spki_sha256: ['%s']}\n" % (A, pin))
        self.check("a.example", "next-chain.pem", conf, "backup_match", 0)
        self.check("a.example", "chain.pem", conf, "mismatch")
        conf = self.config("pins:\n- {name: c, hosts: [a.example], spki_sha256: ['%s'], expires: 2020-01-01}\n" % pin)
        self.check("a.example", "next-chain.pem", conf, "expired")
        self.assertIn(b"(expired)", pins("show", "--config", conf).stdout)

    def test_root_that_is_not_sent(self):
        pin = "pins:\n- {name: c, hosts: [a.example], ca_spki_sha256: ['sha256/%s']}\n" % spki_pin(path("root.pem"))
        out = self.check("a.example", "chain.pem", self.config("certificates: {roots: %s}\n" % path("root.pem") + pin), "match", 2)
        self.assertIn("2  the trusted root that it leads to\n   key          sha256//" + spki_pin(path("root.pem")), out)
        self.check("a.example", "chain.pem", self.config("certificates: {roots: %s}\n" % path("proxy.pem") + pin), "mismatch")

    def test_own_inspection_ca(self):
        conf = self.config("interception: {ca: [%s]}\npins: [{name: c, hosts: [a.example], spki_sha256: ['%s']}]\n" %
                           (path("proxy.pem"), spki_pin(path("leaf.pem"))))
        self.assertIn("one of your own inspection CAs", self.check("a.example", "forged-chain.pem", conf, "mismatch"))
        self.assertIn("one of your own inspection CAs", self.check("a.example", "forged.pem", conf, "mismatch"))
        self.assertNotIn("your own", self.check("a.example", "chain.pem", conf, "match", 0))
        write("lie.pem", read("leaf.pem") + read("proxy.pem"))  # sent along, signed nothing
        self.assertNotIn("your own", self.check("a.example", "lie.pem", conf, "match", 0))

    def test_show(self):
        conf = self.config("pins:\n- {name: one, hosts: [a.example, '*.b.example'], spki_sha256: ['%s', '%s'], expires: 2099-01-31}\n"
                           "- {name: two, hosts: [a.example], ca_spki_sha256: ['%s'], action: exempt}\n" % (A, B, C))
        r = pins("show", "--config", conf)
        self.assertEqual(r.returncode, 0)
        self.assertRegex(r.stdout.decode(), r"one +2 keys +2099-01-31 +report +a\.example \*\.b\.example\n")
        self.assertRegex(r.stdout.decode(), r"two +1 CA +never +exempt +a\.example\n")
        self.assertIn("%s:3: a.example of 'two' belongs to 'one', which comes first" % conf, r.stderr.decode())
        r = pins("show", "--config", self.config("pins:\n- {name: x, hosts: [a.example], spki_sha256: [bad]}\n"))
        self.assertEqual(r.returncode, 1)
        self.assertIn("test.yaml:2:47: pins x: 'bad' is not the base64 of 32 bytes", r.stderr.decode())

    def test_learned_and_forget(self):
        line = "key %s %s %s - - 1767225600 1769904000 %s\n"  # date -u -d 2026-01-01 +%s, 2026-02-01
        store = write("keys", "# pinsight keys 1\n" + line % ("a.example", A, B, "CN=I,O=Two Words") + line % ("b.example", C, D, "CN=\u202eJ"))
        r = pins("learned", "--store", store)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertRegex(r.stdout.decode(), r"a\.example +%s  2026-01-01  2026-02-01  CN=I,O=Two Words\n" % re.escape(A))
        self.assertNotIn("\u202e", r.stdout.decode())
        self.assertIn("2 hosts, 2 keys in " + store, r.stdout.decode())
        conf = self.config("pins_learn: {store: %s}\n" % store)
        self.assertEqual(pins("forget", "--config", conf, "A.example").returncode, 0)
        self.assertEqual(pins("forget", "--config", conf, "a.example").returncode, 1)
        out = pins("learned", "--config", conf).stdout.decode()
        self.assertNotIn("a.example", out)
        self.assertIn("1 hosts, 1 keys", out)
        r = pins("learned", "--store", write("keys", "# pinsight keys 1\nkey\n"))
        self.assertEqual(r.returncode, 1)
        self.assertIn("keys:2 (byte 18): expected a host name", r.stderr.decode())

    def test_called_wrongly(self):
        for args in ((), ("nonsense",), ("import",), ("import", "--format=xml", "x"), ("show", "x"), ("test", "x"), ("forget",),
                     ("learned", "x"), ("--nonsense",), ("import", "--host")):
            r = pins(*args)
            self.assertEqual(r.returncode, 2, args)
            self.assertIn(b"See: pinsight pins --help", r.stderr)
        r = pins("--help")
        self.assertEqual(r.returncode, 0)
        self.assertIn(b"pinsight pins forget", r.stdout)


if __name__ == "__main__":
    if not shutil.which("openssl"):
        print("skipped: no openssl")
        sys.exit(77)
    try:
        make_chains()
        result = unittest.main(argv=sys.argv[:1], exit=False, verbosity=1).result
    finally:
        shutil.rmtree(DIR)
    sys.exit(not result.wasSuccessful())
