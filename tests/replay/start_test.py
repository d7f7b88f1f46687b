#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The program over connections in which another protocol stands before TLS, or is all there is.

    tests/replay/start_test.py PINSIGHT

Each capture is a refused connection of the demo with a dialogue put in front of its first TLS byte, on a port that says
nothing: the flow must be told as it is without the dialogue, with the protocol's name and the proxy's target beside.
The dialogues follow RFC 3207, 2595, 9051, 4217, 9110, 1928 and PostgreSQL's and HAProxy's own documents.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

PINSIGHT = sys.argv[1]
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ref"))
import make_captures  # noqa: E402
import pcapio  # noqa: E402

C, S = 0, 1  # who speaks

DIALOGUES = {
    "smtp": [(S, b"220 mail.example ESMTP\r\n"), (C, b"EHLO me\r\n"), (S, b"250-mail.example\r\n250 STARTTLS\r\n"),
             (C, b"STARTTLS\r\n"), (S, b"220 ready\r\n")],
    "imap": [(S, b"* OK ready\r\n"), (C, b"a1 STARTTLS\r\n"), (S, b"a1 OK begin\r\n")],
    "pop3": [(S, b"+OK ready\r\n"), (C, b"STLS\r\n"), (S, b"+OK begin\r\n")],
    "ftp": [(S, b"220 ready\r\n"), (C, b"AUTH TLS\r\n"), (S, b"234 begin\r\n")],
    "postgresql": [(C, bytes.fromhex("0000000804d2162f")), (S, b"S")],
    "http-connect": [(C, b"CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n"),
                     (S, b"HTTP/1.1 200 Connection established\r\n\r\n")],
    "socks5": [(C, bytes.fromhex("050100")), (S, bytes.fromhex("0500")),
               (C, b"\x05\x01\x00\x03\x0cshop.example\x01\xbb"), (S, bytes.fromhex("05000001000000000000"))],
    "proxy": [(C, b"PROXY TCP4 192.0.2.1 198.51.100.1 4000 443\r\n")],
}
TARGETS = {"http-connect": "shop.example:443", "socks5": "shop.example:443"}
OTHERS = {
    "http": [(C, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), (S, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
    "ssh": [(S, b"SSH-2.0-OpenSSH_9.2\r\n"), (C, b"SSH-2.0-OpenSSH_9.2\r\n")],
}


def with_dialogue(segments, dialogue, port=40001):
    """The connection with the dialogue in front of its first payload, sequence numbers moved on accordingly."""
    first = next(i for i, s in enumerate(segments) if s.data)
    model = {C: next(s for s in segments[first:] if s.from_client()),
             S: next(s for s in segments[first:] if not s.from_client())}
    moved, out = [0, 0], list(segments[:first])
    start = {C: segments[first].seq, S: segments[first].ack}
    for who, data in dialogue:
        out.append(model[who].but(data=data, seq=start[who] + moved[who], ack=start[1 - who] + moved[1 - who],
                                  flags=make_captures.PSH | make_captures.ACK))
        moved[who] += len(data)
    for s in segments[first:]:
        who = C if s.from_client() else S
        out.append(s.but(seq=s.seq + moved[who], ack=s.ack + moved[1 - who]))
    out = [s.but(dport=port) if s.from_client() else s.but(sport=port) for s in out]
    return make_captures.restamp(out, out[0].t)


def read(segments, *options):
    with tempfile.NamedTemporaryFile(suffix=".pcap") as f:
        f.write(pcapio.pcap(make_captures.ethernet(segments)))
        f.flush()
        r = subprocess.run([PINSIGHT, "read", "--json", "--quiet", *options, f.name], capture_output=True, timeout=240)
    assert r.returncode == 0, r.stderr
    return [json.loads(line) for line in r.stdout.splitlines()]


class Start(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        _, cls.segments = make_captures.Demo().flow(case="ca-not-trusted", client="python", path="mitmproxy")
        cls.plain = read(cls.segments)[0]

    def test_tls_behind_other_protocols(self):
        for name, dialogue in DIALOGUES.items():
            with self.subTest(name):
                flows = read(with_dialogue(self.segments, dialogue))
                self.assertEqual(len(flows), 1)
                e = flows[0]
                for key in ("ssl_flow", "alerts", "verdict"):
                    self.assertEqual(e[key], self.plain[key])
                self.assertEqual(e["tls"]["chain"], self.plain["tls"]["chain"])
                self.assertEqual(e["tls"]["ja4"], self.plain["tls"]["ja4"])
                self.assertEqual(e["tls"]["starttls"], name)
                self.assertEqual(e["tls"].get("connect_target"), TARGETS.get(name))

    def test_dialogue_in_single_bytes(self):
        pieces = [(who, data[i:i + 1]) for who, data in DIALOGUES["smtp"] for i in range(len(data))]
        e, = read(with_dialogue(self.segments, pieces))
        self.assertEqual(e["verdict"], self.plain["verdict"])
        self.assertEqual(e["tls"]["starttls"], "smtp")

    def test_not_tls(self):
        for name, dialogue in OTHERS.items():
            with self.subTest(name):
                segments = with_dialogue(self.segments, dialogue)  # what comes behind is not looked at any more
                self.assertEqual(read(segments), [])
                flows = [e for e in read(segments, "--all") if e["event_type"] == "tls_flow"]
                self.assertEqual([e["verdict"]["class"] for e in flows], ["not_tls"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
