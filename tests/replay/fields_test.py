#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""From the bytes of a handshake to its event: what the hellos, tickets, stapled answers and certificates say.

    tests/replay/fields_test.py PINSIGHT

Each connection is put together here from bytes, as the RFC beside it has it, over TCP segments of a chosen size.
Certificates, keys and OCSP answers are openssl's, and so is what is expected of them. Exit status 77: no openssl.
"""
import base64
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

PINSIGHT = sys.argv[1]
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ref"))
import make_captures  # noqa: E402
import pcapio  # noqa: E402

C, S = 0, 1  # who speaks
ALERT_CA = bytes.fromhex("0230")  # fatal, unknown_ca
T0 = 2145830400 * 10**9  # 2037-12-31: certificates made before that, for a hundred years, are valid


# ---- TLS, by the RFCs ----
def vec(width, *parts):
    b = b"".join(parts)
    return len(b).to_bytes(width, "big") + b


def u16(*v):
    return struct.pack("!%dH" % len(v), *v)


def ext(kind, *parts):
    return u16(kind) + vec(2, *parts)


def msg(kind, *parts):
    return bytes([kind]) + vec(3, *parts)


def record(kind, body, size=16384):
    return b"".join(bytes([kind, 3, 3]) + vec(2, body[i:i + size]) for i in range(0, len(body), size))


def handshake(*msgs, size=16384):
    return record(22, b"".join(msgs), size)


def client_hello(*exts, sid=b""):
    return msg(1, u16(0x303), bytes(range(32)), vec(1, sid), vec(2, u16(0xc02b, 0xc02f)), vec(1, b"\0"),
               vec(2, ext(0, vec(2, b"\0", vec(2, b"pin.example"))), *exts))


def server_hello(*exts, sid=b""):
    return msg(2, u16(0x303), bytes(range(32, 64)), vec(1, sid), u16(0xc02b), b"\0", vec(2, *exts))


def certificate(*ders):
    return msg(11, vec(3, *[vec(3, d) for d in ders]))


KEY_EXCHANGE = msg(12, b"\3", u16(0x17), vec(1, b"\4" + bytes(64)), u16(0x403), vec(2, bytes(70)))
DONE = msg(14)
CLIENT_KEY = msg(16, vec(1, b"\4" + bytes(64)))
CCS = record(20, b"\1")
FINISHED = record(22, bytes(40))  # sealed: an explicit nonce, 16 bytes, a tag


# ---- TCP ----
def capture(dialogue, mss=1448, only=None):
    """A connection over IPv4: its handshake, the dialogue in segments of at most mss bytes, FIN from both; or one side
    of it only."""
    model = make_captures.Segment.__new__(make_captures.Segment)
    model.__dict__.update(t=T0, macs=bytes.fromhex("020000000002020000000001"), v6=False, ident=1, win=65535, opts=b"")
    ends = {C: (b"\xc0\0\2\1", 40000), S: (b"\xc6\x33\x64\1", 443)}
    seq, out = {C: 1000, S: 5000}, []

    def send(who, flags, data=b""):
        (src, sport), (dst, dport) = ends[who], ends[1 - who]
        out.append(model.but(src=src, dst=dst, sport=sport, dport=dport, seq=seq[who], ack=seq[1 - who], flags=flags,
                             data=data))
        seq[who] += len(data) + bool(flags & (make_captures.SYN | make_captures.FIN))

    send(C, make_captures.SYN)
    send(S, make_captures.SYN | make_captures.ACK)
    send(C, make_captures.ACK)
    for who, data in dialogue:
        for i in range(0, len(data), mss):
            send(who, make_captures.ACK | make_captures.PSH, data[i:i + mss])
        send(1 - who, make_captures.ACK)
    send(C, make_captures.FIN | make_captures.ACK)
    send(S, make_captures.FIN | make_captures.ACK)
    send(C, make_captures.ACK)
    out = [s for s in make_captures.restamp(out, T0) if only is None or s.from_client() == (only == C)]
    return pcapio.pcap(make_captures.ethernet(out))


def read(dialogue, *options, mss=1448, only=None):
    """The one event of a connection."""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as f:
        f.write(capture(dialogue, mss, only))
        f.flush()
        r = subprocess.run([PINSIGHT, "read", "--json", "--quiet", *options, f.name], capture_output=True, timeout=240)
    assert r.returncode == 0, r.stderr
    e, = [json.loads(line) for line in r.stdout.splitlines()]
    return e


def refused(*flight, hello=None):
    """A TLS 1.2 connection whose client refuses the server's flight."""
    return [(C, handshake(hello or client_hello())), (S, handshake(*flight)), (C, record(21, ALERT_CA))]


# ---- openssl ----
class Files:
    """A CA, a leaf, and what openssl says of them."""

    def __init__(self, folder):
        self.folder = folder
        self.make("ca", "/CN=Test CA", "basicConstraints=critical,CA:TRUE", serial=1)
        self.make("leaf", "/CN=pin.example", "subjectAltName=DNS:pin.example,IP:192.0.2.7,IP:2001:db8::7,"
                  "URI:https://pin.example/,email:a@pin.example\nkeyUsage=digitalSignature,keyAgreement\n"
                  "extendedKeyUsage=serverAuth,clientAuth", serial=0x1001, ca="ca")

    def path(self, name):
        return os.path.join(self.folder, name)

    def ssl(self, *args):
        return subprocess.run(["openssl", *args], cwd=self.folder, capture_output=True, check=True, timeout=240).stdout

    def make(self, name, subject, extensions, serial, ca=None):
        with open(self.path("ext"), "w", encoding="ascii") as f:
            f.write(extensions + "\n")
        self.ssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name + ".key")
        self.ssl("req", "-new", "-key", name + ".key", "-subj", subject, "-out", name + ".csr")
        sign = ["-CA", ca + ".pem", "-CAkey", ca + ".key"] if ca else ["-signkey", name + ".key"]
        self.ssl("x509", "-req", "-in", name + ".csr", *sign, "-set_serial", str(serial), "-days", "36500",
                 "-extfile", "ext", "-out", name + ".pem")

    def der(self, name):
        return self.ssl("x509", "-in", name + ".pem", "-outform", "DER")

    def spki(self, name):
        return self.ssl("pkey", "-in", name + ".key", "-pubout", "-outform", "DER")

    def ocsp(self, serial, status):
        """openssl's answer for a serial number of the CA; status: V, R, or None where the index does not have it."""
        with open(self.path("index.txt"), "w", encoding="ascii") as f:
            if status:
                f.write("%s\t991231235959Z\t%s\t%04X\tunknown\t/CN=pin.example\n"
                        % (status, "260101000000Z" if status == "R" else "", serial))
        self.ssl("ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key",
                 "-issuer", "ca.pem", "-serial", "0x%04x" % serial, "-ndays", "7", "-respout", "answer.der")
        text = self.ssl("ocsp", "-respin", "answer.der", "-text", "-noverify").decode()
        with open(self.path("answer.der"), "rb") as f:
            return f.read(), text


def iso(text, label):
    """A date as openssl prints it, as events do."""
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    m, d, t, y = re.search(label + r": (\w+) +(\d+) ([\d:]+) (\d+) GMT", text).groups()
    return "%s-%02d-%02dT%s" % (y, months.index(m) + 1, int(d), t)


TMP = tempfile.TemporaryDirectory()
FILES = []  # made once


class WithCertificates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not FILES:
            FILES.append(Files(TMP.name))
        cls.files = FILES[0]
        cls.leaf, cls.ca = cls.files.der("leaf"), cls.files.der("ca")
        cls.roots = "--roots=" + cls.files.path("ca.pem")


class Sizes(unittest.TestCase):
    """Numbers of the hellos and the ticket."""

    def test_client_hello(self):
        hello = client_hello(
            ext(5, b"\1", u16(0), u16(0)), ext(11, vec(1, b"\0\1")), ext(18), ext(27, vec(1, u16(2))),
            ext(28, u16(4097)), ext(35, bytes(150)), ext(42),
            # RFC 9849 section 5: outer, HKDF-SHA256, AES-128-GCM, config id, encapsulated key, payload
            ext(0xfe0d, b"\0", u16(1, 1), b"\x5e", vec(2, bytes(32)), vec(2, bytes(208))),
            # RFC 8446 section 4.2.11: two identities, each with four bytes of age; two binders
            ext(41, vec(2, vec(2, bytes(120)), bytes(4), vec(2, bytes(7)), bytes(4)),
                vec(2, vec(1, bytes(32)), vec(1, bytes(32)))), sid=bytes(32))
        t = read([(C, handshake(hello))])["tls"]
        self.assertEqual(t["psk"], {"count": 2, "len": 120})
        self.assertEqual(t["record_size_limit"], {"c2s": 4097})
        self.assertEqual(t["session_id_len"], {"c2s": 32})
        self.assertEqual(t["ticket_len"], 150)
        self.assertEqual(t["client_handshake"]["ec_point_formats"], [0, 1])
        self.assertIs(t["ech"], True)
        self.assertEqual(t["ech_hello"], {"type": "outer", "config_id": 0x5e, "kdf": "0x0001", "aead": "0x0001",
                                          "enc_len": 32, "payload_len": 208})
        self.assertEqual({"PSK_OFFERED", "EARLY_DATA", "ECH", "TICKET_OFFERED", "COMPRESS_OFFERED", "OCSP_REQUESTED"},
                         set(t["notes"]))

    def test_inner_ech_and_nothing(self):
        t = read([(C, handshake(client_hello(ext(0xfe0d, b"\1"))))])["tls"]
        self.assertEqual(t["ech_hello"], {"type": "inner"})
        t = read([(C, handshake(client_hello()))])["tls"]
        for absent in ("psk", "record_size_limit", "ech", "ech_hello", "new_session_ticket", "ocsp_stapled"):
            self.assertNotIn(absent, t)

    def test_one_side_alone(self):
        dialogue = [(C, handshake(client_hello())), (S, handshake(server_hello()))]
        for side, note in ((None, None), (C, "CLIENT_ONLY"), (S, "SERVER_ONLY")):
            with self.subTest(note):
                e = read(dialogue, only=side)
                self.assertEqual({"CLIENT_ONLY", "SERVER_ONLY"} & set(e["tls"].get("notes", [])), {note} - {None})
                self.assertEqual("one_sided" in e["verdict"]["evidence"], side is not None)

    def test_server_hello_and_ticket(self):
        # RFC 6962 section 3.3.1, RFC 8449, RFC 5077 section 3.3: a lifetime of 7200 s, a ticket of 160 bytes
        t = read([
            (C, handshake(client_hello(ext(35)))),
            (S, handshake(server_hello(ext(18, vec(2, vec(2, bytes(40)))), ext(28, u16(16385)), ext(35), sid=bytes(32)),
                          certificate(b"\x30\0"), KEY_EXCHANGE, DONE)),
            (C, handshake(CLIENT_KEY) + CCS + FINISHED),
            (S, handshake(msg(4, struct.pack("!I", 7200), vec(2, bytes(160)))) + CCS + FINISHED)])["tls"]
        self.assertEqual(t["new_session_ticket"], {"len": 160, "lifetime": 7200})
        self.assertEqual(t["record_size_limit"], {"s2c": 16385})
        self.assertEqual(t["session_id_len"], {"c2s": 0, "s2c": 32})
        self.assertIn("SCT_OFFERED", t["notes"])
        self.assertEqual((t["group"], t["sigscheme"]), ("secp256r1", "ecdsa_secp256r1_sha256"))


class Stapled(WithCertificates):
    """RFC 6066 section 8 around openssl's answers."""

    def staple(self, answer, mss=1448):
        return read(refused(server_hello(ext(5)), certificate(self.leaf, self.ca), msg(22, b"\1", vec(3, answer)),
                            KEY_EXCHANGE, DONE, hello=client_hello(ext(5, b"\1", u16(0), u16(0)))), self.roots, mss=mss)

    def test_status(self):
        for serial, status, word in ((0x1001, "V", "good"), (0x1001, "R", "revoked"), (0x1001, None, "unknown")):
            with self.subTest(word):
                answer, text = self.files.ocsp(serial, status)
                self.assertIn("Cert Status: " + word, text)
                t = self.staple(answer)["tls"]
                self.assertIs(t["ocsp_stapled"], True)
                self.assertEqual(t["ocsp_status"], word)
                self.assertEqual(t["ocsp_serial"], "10:01")
                self.assertEqual(t["ocsp_this_update"], iso(text, "This Update"))
                self.assertEqual(t["ocsp_next_update"], iso(text, "Next Update"))
                revoked = word == "revoked"
                self.assertEqual(t["cert_status"], ["REVOKED"] if revoked else ["VALID"])
                self.assertEqual("revoked_by_staple" in t.get("cert_findings", []), revoked)

    def test_answer_about_another_certificate(self):
        answer, _ = self.files.ocsp(0x2002, "R")
        t = self.staple(answer)["tls"]
        self.assertEqual((t["ocsp_status"], t["ocsp_serial"]), ("revoked", "20:02"))
        self.assertEqual(t["cert_status"], ["VALID"])

    def test_small_segments_say_the_same(self):
        answer, _ = self.files.ocsp(0x1001, "R")
        self.assertEqual(self.staple(answer)["tls"], self.staple(answer, mss=37)["tls"])

    def test_no_answer(self):
        t = self.staple(bytes.fromhex("30030a0103"))["tls"]  # RFC 6960 section 4.2.1: tryLater
        self.assertEqual((t["ocsp_stapled"], t["ocsp_status"]), (True, "try_later"))
        self.assertEqual(t["cert_status"], ["VALID"])


class Certificates(WithCertificates):
    def test_fields_of_the_leaf(self):
        """What the extensions say, as they were asked of openssl."""
        t = read(refused(server_hello(), certificate(self.leaf, self.ca), KEY_EXCHANGE, DONE), self.roots)["tls"]
        names = ["pin.example", "192.0.2.7", "2001:db8::7", "https://pin.example/", "a@pin.example"]
        self.assertEqual(t["subjectaltname"], names)
        leaf, ca = t["chain"]
        self.assertEqual(leaf["subjectaltname"], names)
        self.assertEqual(leaf["key_usage"], ["digitalSignature", "keyAgreement"])
        self.assertEqual(leaf["ext_key_usage"], ["serverAuth", "clientAuth"])
        self.assertEqual((leaf["ca"], ca["ca"]), (False, True))
        self.assertNotIn("type", leaf)

    def client_auth(self, *ders):
        return read([(C, handshake(client_hello())),
                     (S, handshake(server_hello(), certificate(self.leaf), KEY_EXCHANGE,
                                   msg(13, vec(1, b"\x40"), vec(2, u16(0x403)), vec(2)), DONE)),
                     (C, handshake(certificate(*ders), CLIENT_KEY) + CCS + FINISHED),
                     (S, record(21, bytes.fromhex("0228")))])

    def test_client_chain(self):
        e = self.client_auth(self.ca, self.leaf)
        self.assertEqual([c["sha256"] for c in e["tls"]["client_chain"]],
                         [hashlib.sha256(d).hexdigest() for d in (self.ca, self.leaf)])
        self.assertEqual([c["sha256"] for c in e["tls"]["chain"]], [hashlib.sha256(self.leaf).hexdigest()])
        self.assertEqual(e["tls"]["subject"], "CN=pin.example")  # the server's
        self.assertIn("CLIENT_CERTIFICATE", e["ssl_flow"]["messages"])
        self.assertNotIn("CLIENT_CERT_EMPTY", e["tls"].get("notes", []))

    def test_empty_client_chain(self):
        e = self.client_auth()
        self.assertNotIn("client_chain", e["tls"])
        self.assertIn("CLIENT_CERTIFICATE", e["ssl_flow"]["messages"])
        self.assertIn("CLIENT_CERT_EMPTY", e["tls"]["notes"])

    def test_raw_public_keys(self):
        """RFC 7250: the key alone, whose hash is what pins are written in; nothing is made up about a certificate."""
        spki = self.files.spki("leaf")
        e = read([(C, handshake(client_hello(ext(19, vec(1, b"\2")), ext(20, vec(1, b"\2"))))),
                  (S, handshake(server_hello(ext(19, b"\2"), ext(20, b"\2")), msg(11, vec(3, spki)), KEY_EXCHANGE,
                                msg(13, vec(1, b"\x40"), vec(2, u16(0x403)), vec(2)), DONE)),
                  (C, handshake(msg(11, vec(3, spki)), CLIENT_KEY) + CCS + FINISHED),
                  (S, CCS + FINISHED)], self.roots)
        t = e["tls"]
        want = [{"spki_sha256": base64.b64encode(hashlib.sha256(spki).digest()).decode(), "len": len(spki),
                 "type": "raw_public_key"}]
        self.assertEqual(t["chain"], want)
        self.assertEqual(t["client_chain"], want)
        self.assertEqual(t["cert_status"], ["NOT_CHECKED"])
        self.assertIn("RAW_KEY", t["notes"])
        for absent in ("subject", "issuerdn", "serial", "notbefore", "chain_truncated"):
            self.assertNotIn(absent, t)
        self.assertIn("SERVER_CERTIFICATE", e["ssl_flow"]["messages"])


class BigChains(WithCertificates):
    """Certificate messages beyond what is kept: 64 pieces, 16 certificates."""

    def big(self, cnt, size, mss):
        """The leaf, then cnt further values of size bytes, which no reader takes for certificates but which are there."""
        ders = [self.leaf] + [b"\x30\x82" + vec(2, bytes([i]) * (size - 4)) for i in range(cnt)] + [self.ca]
        flight = handshake(server_hello(), certificate(*ders), KEY_EXCHANGE, DONE)
        e = read([(C, handshake(client_hello())), (S, flight), (C, record(21, ALERT_CA))], self.roots, mss=mss)
        # Whatever is kept of the chain, the rest of the connection is told in full.
        self.assertEqual(e["ssl_flow"]["messages"], ["CLIENT_ALERT", "CLIENT_HELLO", "SERVER_HELLO",
                                                     "SERVER_CERTIFICATE", "SERVER_KEY_EXCHANGE", "SERVER_HELLO_DONE"])
        self.assertEqual([(a["dir"], a["code"]) for a in e["alerts"]], [("c2s", 48)])
        self.assertEqual(e["verdict"]["class"], "unknown_ca")
        self.assertEqual(e["ssl_flow"]["error"], "SUCCESS")
        self.assertEqual((e["tls"]["sni"], e["tls"]["subject"]), ("pin.example", "CN=pin.example"))
        self.assertEqual(e["tls"]["group"], "secp256r1")
        kept = [c["sha256"] for c in e["tls"]["chain"]]
        self.assertEqual(kept, [hashlib.sha256(d).hexdigest() for d in ders[:len(kept)]])
        return e["tls"], len(ders)

    def test_whole_beyond_64_kilobytes(self):
        t, cnt = self.big(7, 11000, 1448)  # 77 KB in 54 segments of 5 records
        self.assertEqual(len(t["chain"]), cnt)
        self.assertNotIn("chain_truncated", t)

    def test_beyond_64_pieces(self):
        t, cnt = self.big(9, 15000, 1448)  # 135 KB in 94 segments
        self.assertIs(t["chain_truncated"], True)
        self.assertTrue(1 <= len(t["chain"]) < cnt)
        self.assertNotIn("INVALID_ISSUER", t["cert_status"])  # it was sent, only not kept
        self.assertNotIn("missing_intermediate", t.get("cert_findings", []))

    def test_small_segments(self):
        t, cnt = self.big(2, 5000, 100)
        self.assertIs(t["chain_truncated"], True)
        self.assertTrue(1 <= len(t["chain"]) < cnt)

    def test_many_certificates(self):
        t, cnt = self.big(30, 500, 1448)
        self.assertIs(t["chain_truncated"], True)
        self.assertEqual(len(t["chain"]), 16)
        self.assertLess(16, cnt)


if __name__ == "__main__":
    if not shutil.which("openssl"):
        print("skipped: no openssl")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
