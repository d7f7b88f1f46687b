#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The program over captures: its events against tshark's reading and against labels fixed before the recording.

    tests/replay/engine_test.py PINSIGHT CAPTURES-DIR

Expected values come from demo.golden.jsonl (made by tshark, see tshark_flows.py) and demo.labels.jsonl (how each
connection was made); nothing here was taken from Pinsight's own output. Standard library only.
"""
import base64
import fcntl
import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest

PINSIGHT, CAPTURES = sys.argv[1], sys.argv[2]
DEMO = os.path.join(CAPTURES, "demo.pcap")

VERSIONS = {"SSLv3": "SSLv3", "TLS1.0": "TLSv1", "TLS1.1": "TLS 1.1", "TLS1.2": "TLS 1.2", "TLS1.3": "TLS 1.3"}
C2S = {"client_hello": "CLIENT_HELLO", "certificate": "CLIENT_CERTIFICATE",
       "client_key_exchange": "CLIENT_KEY_EXCHANGE", "certificate_verify": "CERTIFICATE_VERIFY"}
S2C = {"hello_request": "HELLO_REQUEST", "server_hello": "SERVER_HELLO", "certificate": "SERVER_CERTIFICATE",
       "server_key_exchange": "SERVER_KEY_EXCHANGE", "certificate_request": "CERTIFICATE_REQUEST",
       "server_hello_done": "SERVER_HELLO_DONE", "new_session_ticket": "NEW_SESSION_TICKET"}


def run(*args, **kw):
    return subprocess.run([PINSIGHT, "read", *args], capture_output=True, timeout=240, **kw)


def events(*args):
    r = run("--json", "--quiet", *args)
    if r.returncode:
        raise AssertionError("exit status %d: %s" % (r.returncode, r.stderr.decode()))
    return [json.loads(line) for line in r.stdout.splitlines()]


def load(name):
    with open(os.path.join(CAPTURES, name), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def addr(a):
    return str(ipaddress.ip_address(a))


class Demo(unittest.TestCase):
    """Every connection of the recording, against tshark and against its label."""

    @classmethod
    def setUpClass(cls):
        cls.flows = {}
        for e in events(DEMO):
            key = (addr(e["src_ip"]), e["src_port"], addr(e["dest_ip"]), e["dest_port"])
            assert key not in cls.flows, "reported twice: %s" % (key,)
            cls.flows[key] = e
        cls.golden = {(addr(g["client"]), g["client_port"], addr(g["server"]), g["server_port"]): g
                      for g in load("demo.golden.jsonl")}
        cls.labels = load("demo.labels.jsonl")

    def each(self, check):
        for key, g in self.golden.items():
            with self.subTest("%s:%d > %s:%d" % key):
                check(self.flows[key], g)

    def test_every_flow_once(self):
        self.assertEqual(sorted(self.flows), sorted(self.golden))

    def test_messages(self):
        def check(e, g):
            want = {C2S[m] for m in g["msgs"]["c2s"] if m in C2S} | {S2C[m] for m in g["msgs"]["s2c"] if m in S2C}
            seen = set(e["ssl_flow"]["messages"])
            self.assertFalse(seen & set(e["ssl_flow"].get("inferred", [])))  # never mixed
            self.assertEqual(want, seen & (set(C2S.values()) | set(S2C.values())))
            self.assertEqual(bool(g["ccs"]["c2s"]), "CLIENT_CHANGE_CIPHER_SPEC" in seen)
            self.assertEqual(bool(g["ccs"]["s2c"]), "SERVER_CHANGE_CIPHER_SPEC" in seen)

        self.each(check)

    def test_alerts(self):
        def check(e, g):
            clear = sorted((a["dir"], a["level"], a["code"]) for a in g["alerts"] if a["code"] is not None)
            alerts = e.get("alerts", [])
            self.assertEqual(clear, sorted((a["dir"], a["level"], a["code"]) for a in alerts if "code" in a))
            # Under TLS 1.3 an encrypted alert is not a record of type alert: tshark does not see one there.
            hidden = sorted(a["dir"] for a in g["alerts"] if a["code"] is None)
            self.assertEqual(hidden, sorted(a["dir"] for a in alerts if a.get("encrypted") and not a.get("inferred")))

        self.each(check)

    def test_hello_fields(self):
        def check(e, g):
            t = e["tls"]
            self.assertEqual(g.get("sni"), t.get("sni"))
            self.assertEqual(VERSIONS.get(g["versions"]["selected_name"]), t.get("version"))
            self.assertEqual(g.get("cipher"), t.get("cipher_id"))
            self.assertEqual(g.get("alpn_offered") or [], t.get("client_alpns", []))
            self.assertEqual(g.get("alpn_selected"), t.get("alpn"))
            self.assertEqual(g.get("ja3"), t.get("ja3", {}).get("hash"))
            self.assertEqual(g.get("ja3s"), t.get("ja3s", {}).get("hash"))

        self.each(check)

    def test_certificates(self):
        def check(e, g):
            chain = e["tls"].get("chain", [])
            self.assertEqual([c["sha256"] for c in g["certificates"]["s2c"]], [c["sha256"] for c in chain])
            self.assertEqual([c["spki_sha256"] for c in g["certificates"]["s2c"]], [c["spki_sha256"] for c in chain])
            for c in chain:
                self.assertEqual(len(base64.b64decode(c["spki_sha256"])), 32)

        self.each(check)

    def test_packets_and_ends(self):
        def check(e, g):
            self.assertEqual((g["packets"]["c2s"], g["packets"]["s2c"]), (e["pkts_toserver"], e["pkts_toclient"]))
            for field in ("rst", "fin"):
                first = g["tcp"]["first_" + field]
                want = {"c2s": "client", "s2c": "server"}[first["dir"]] if first else None
                self.assertEqual(want, e["tcp"].get(field))
            self.assertTrue(e["tcp"]["syn_seen"])
            self.assertFalse(e["tcp"]["midstream"])

        self.each(check)

    def test_verdicts_are_what_the_connections_were_made_to_be(self):
        for label in self.labels:
            with self.subTest(label["id"] + " " + label["case"]):
                e = self.flows[(addr(label["src"]), label["sport"], addr(label["dst"]), label["dport"])]
                got = e["verdict"]["class"]
                self.assertIn(got, [label["expected"], label["truth"]] + label["acceptable"], e["verdict"])
                evidence = label["shows"].get("evidence")
                if evidence:
                    self.assertIn(evidence, e["verdict"]["evidence"])
                if got == "pinned":  # never from one flow alone
                    self.assertTrue({"others_accept", "accepts_others"} & set(e["verdict"]["evidence"]), e["verdict"])

    def test_vocabulary_of_one_refusal(self):
        """A TLS 1.2 client that does not know the CA: Cisco's first symptom, bit by bit."""
        label = next(x for x in self.labels if x["case"] == "ca-not-trusted" and x["tls"] == "1.2"
                     and x["client"] == "curl")
        e = self.flows[(addr(label["src"]), label["sport"], addr(label["dst"]), label["dport"])]
        f = e["ssl_flow"]
        self.assertEqual(f["messages"], ["CLIENT_ALERT", "CLIENT_HELLO", "SERVER_HELLO", "SERVER_CERTIFICATE",
                                         "SERVER_KEY_EXCHANGE", "SERVER_HELLO_DONE"])
        self.assertEqual(f["messages_hex"], "0x0000017a")
        self.assertEqual(f["flags"], ["VALID", "INITIALIZED", "ALERT_SEEN", "CLIENT_ALERT_SEEN_UNKNOWN_CA"])
        self.assertEqual(f["flags_hex"], "0x0000000900000003")
        self.assertEqual(f["error"], "SUCCESS")
        self.assertEqual(f["sequence"][:5], "Csxkn")


class Output(unittest.TestCase):
    def test_same_bytes_every_time(self):
        a, b = run("--json", "--all", DEMO), run("--json", "--all", DEMO)
        self.assertTrue(a.stdout)
        self.assertEqual(a.stdout, b.stdout)

    def test_sequence_has_no_holes_and_ids_are_unique(self):
        ev = events("--all", DEMO)
        self.assertEqual([e["seq"] for e in ev], list(range(1, len(ev) + 1)))
        ids = [e["flow_id"] for e in ev if e["event_type"] == "tls_flow"]
        self.assertEqual(len(ids), len(set(ids)))

    def test_ledger_balances(self):
        stats = [e for e in events("--all", DEMO) if e["event_type"] == "stats"]
        self.assertEqual(len(stats), 1)
        self.assertEqual(stats[0]["ledger"], {"packets": 0, "flows": 0, "records": 0})
        with open(DEMO, "rb") as f:
            self.assertEqual(stats[0]["counters"]["pkt_rx"], count_packets(f.read()))

    def test_table_names_hosts_and_reasons(self):
        r = run(DEMO)
        self.assertEqual(r.returncode, 0)
        text = r.stdout.decode()
        for word in ("api.bank.example", "unknown_ca", "certificate_expired", "client_rejected", "normal"):
            self.assertIn(word, text)
        self.assertNotIn("\x1b", text)  # no colour but on a terminal
        self.assertEqual(r.stderr, b"")

    def test_failed_only(self):
        text = run("--failed", DEMO).stdout.decode()
        self.assertIn("unknown_ca", text)
        rows = [x for x in text.splitlines() if re.search(r"\bwww\.shop\.example\b.*\bnormal\b", x)]
        self.assertEqual(rows, [])

    def test_quiet(self):
        self.assertEqual(run("--json", "--quiet", DEMO).stderr, b"")
        self.assertNotIn(b"api.bank.example", run("--quiet", DEMO).stdout)

    def test_standard_input(self):
        with open(DEMO, "rb") as f:
            piped = run("--json", "--quiet", "-", stdin=f)
        self.assertEqual(piped.returncode, 0)
        self.assertEqual(piped.stdout, run("--json", "--quiet", DEMO).stdout)


def count_packets(pcap):
    """Records of a little-endian pcap file (the format's own arithmetic)."""
    at, n = 24, 0
    while at < len(pcap):
        at += 16 + int.from_bytes(pcap[at + 8:at + 12], "little")
        n += 1
    return n


class Files(unittest.TestCase):
    """Several files: those that follow each other in time are one recording."""

    def test_rotated_after_a_later_one(self):
        with open(DEMO, "rb") as f:
            whole = f.read()
        at, cut, later = 24, 0, bytearray(whole)
        while at < len(whole):
            second = int.from_bytes(whole[at:at + 4], "little") + 86400
            later[at:at + 4] = second.to_bytes(4, "little")
            at += 16 + int.from_bytes(whole[at + 8:at + 12], "little")
            cut = cut or (at if at > len(whole) // 2 else 0)
        with tempfile.TemporaryDirectory() as d:
            names = [os.path.join(d, n) for n in ("later", "first", "second")]
            for name, content in zip(names, (later, whole[:cut], whole[:24] + whole[cut:])):
                with open(name, "wb") as f:
                    f.write(content)
            self.assertEqual(len(events(*names)), 2 * len(load("demo.golden.jsonl")))


class Trouble(unittest.TestCase):
    """Files that are not what they should be: a clear line, what was read until then, exit status 1."""

    def refuse(self, content, *words):
        with tempfile.NamedTemporaryFile(suffix=".pcap") as f:
            f.write(content)
            f.flush()
            r = run("--json", f.name)
            self.assertEqual(r.returncode, 1)
            text = r.stderr.decode()
            self.assertIn(f.name, text)
            for w in words:
                self.assertIn(w, text)
            return r

    def test_missing_file(self):
        r = run("/nonexistent/x.pcap")
        self.assertEqual((r.returncode, r.stdout), (1, b""))  # nothing was read: no table, no ledger
        self.assertEqual(r.stderr, b"pinsight read: /nonexistent/x.pcap: No such file or directory\n")

    def test_empty_and_garbage(self):
        self.refuse(b"")
        self.refuse(b"this is no capture, but text\n" * 20, "neither a pcap nor a pcapng file")

    def test_link_type_that_is_not_read(self):
        head = bytes.fromhex("d4c3b2a1020004000000000000000000ffff0000") + (105).to_bytes(4, "little")  # 802.11
        self.refuse(head, "link type 105", "Ethernet")

    def test_cut_in_the_middle(self):
        with open(DEMO, "rb") as f:
            whole = f.read()
        # Just behind the header of the packet that the cut falls into.
        at = 24
        while at < len(whole) // 2:
            at += 16 + int.from_bytes(whole[at + 8:at + 12], "little")
        r = self.refuse(whole[:at + 16 + 3], "byte offset %d" % at)
        full = len(run("--json", "--quiet", DEMO).stdout.splitlines())
        self.assertTrue(0 < len(r.stdout.splitlines()) < full)

    def test_one_bad_file_of_two(self):
        r = run("--json", "--quiet", "/nonexistent/x.pcap", DEMO)
        self.assertEqual(r.returncode, 1)
        self.assertEqual(len(r.stdout.splitlines()), len(load("demo.golden.jsonl")))

    def test_usage(self):
        for args, said in (([], b"name at least one capture"), (["--nonsense", DEMO], b"no option '--nonsense'"),
                           (["-xh", DEMO], b"no option '-x'"), (["--roots"], b"--roots wants a value"),
                           (["--json=3", DEMO], b"'--json=3'"), (["--json", "--failed", DEMO], b"--failed")):
            r = run(*args)
            self.assertEqual((r.returncode, r.stdout), (2, b""))
            self.assertIn(said, r.stderr)
            self.assertIn(b"--help", r.stderr)
        r = run("--help")
        self.assertEqual(r.returncode, 0)
        self.assertIn(b"Examples", r.stdout)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            r = subprocess.run([PINSIGHT, "read", "--json", DEMO], stdout=full, stderr=subprocess.PIPE, timeout=240)
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"cannot write", r.stderr)

    def test_interrupted_while_it_waits(self):
        """a signal ends the wait for more of a capture: that is no fault of the capture"""
        with tempfile.TemporaryFile() as out:
            p = subprocess.Popen([PINSIGHT, "read", "--json", "--quiet", "-"], stdin=subprocess.PIPE, stdout=out,
                                 stderr=subprocess.PIPE)
            with open(DEMO, "rb") as capture:
                p.stdin.write(capture.read(200000))
            p.stdin.flush()
            left, state = b"....", ""
            while left != bytes(4) or state != "S":  # all of it was taken, and the process sleeps
                time.sleep(0.01)
                left = fcntl.ioctl(p.stdin, termios.FIONREAD, bytes(4))
                with open("/proc/%d/stat" % p.pid) as f:
                    state = f.read().rsplit(")", 1)[1].split()[0]
            p.send_signal(signal.SIGINT)
            p.wait(timeout=240)  # before the pipe is closed, which would end the wait, too
            said = p.communicate()[1]
            out.seek(0)
            self.assertTrue([json.loads(line) for line in out])
        self.assertEqual(p.returncode, 1)
        self.assertIn(b"interrupted; what was read until then is reported", said)
        self.assertNotIn(b"Interrupted system call", said)

    def test_interrupted_while_nobody_reads(self):
        """the pipe is full when the signal comes: all that was read is told when somebody reads on"""
        with tempfile.NamedTemporaryFile() as f:
            with open(DEMO, "rb") as capture:
                demo = capture.read()
            f.write(demo + demo[24:] * 9)
            f.flush()
            for args, stdin in ((["-"], f.name), ([f.name], os.devnull)):
                with open(stdin, "rb") as given:
                    p = subprocess.Popen([PINSIGHT, "read", "--json", "--quiet", *args], stdin=given,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                time.sleep(2)
                p.send_signal(signal.SIGINT)
                time.sleep(0.2)
                out, said = p.communicate(timeout=240)
                self.assertEqual(p.returncode, 1)
                self.assertIn(b"interrupted; what was read until then is reported", said)
                self.assertNotIn(b"cannot write", said)
                for line in out.splitlines():
                    json.loads(line)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
