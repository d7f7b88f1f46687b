#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""An independent reading of a capture: one JSON object per TCP flow that carries TLS, taken from tshark's dissection.

    tests/replay/tshark_flows.py CAPTURE... > GOLDEN.jsonl

Nothing of Pinsight takes part. tshark (4.0) reassembles and dissects, the key hashes come from `openssl x509`; this script
sorts what they say by flow. Keys and secrets are not used, so everything after ChangeCipherSpec counts as encrypted.

file             the capture's name below tests/captures, given only when there are several
client, server   the client is the sender of the ClientHello, else of the first SYN
msgs             clear handshake messages in stream order; `encrypted` is a handshake record that cannot be read
events           the same with ccs, alert, app_data in their places
records          content type and length of each record, as on the wire, in stream order
complete         every byte that was sent or acknowledged between the first packet and the last is in the capture
alerts           level and code when in clear, both null when encrypted
"""
import base64
import collections
import hashlib
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

HANDSHAKE = {0: "hello_request", 1: "client_hello", 2: "server_hello", 4: "new_session_ticket", 11: "certificate",
             12: "server_key_exchange", 13: "certificate_request", 14: "server_hello_done", 15: "certificate_verify",
             16: "client_key_exchange", 20: "finished", 22: "certificate_status"}
HRR_RANDOM = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
VERSIONS = {0x0300: "SSLv3", 0x0301: "TLS1.0", 0x0302: "TLS1.1", 0x0303: "TLS1.2", 0x0304: "TLS1.3"}
OPTIONS = ("tcp.desegment_tcp_streams:TRUE", "tcp.reassemble_out_of_order:TRUE",
           "tls.desegment_ssl_records:TRUE", "tls.desegment_ssl_application_data:TRUE", "ip.defragment:TRUE")


def pdml(capture):
    cmd = ["tshark", "-n", "-2", "-r", capture, "-T", "pdml", "-Y", "tcp"]
    for o in OPTIONS:
        cmd += ["-o", o]
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    root = None
    try:
        for event, el in ET.iterparse(p.stdout, ("start", "end")):
            if root is None:
                root = el
            if event == "end" and el.tag == "packet":
                yield el
                root.clear()
    except ET.ParseError:
        # tshark prints nothing at all for a file that is no capture
        if root is not None:
            raise
    p.wait()


def shows(el, name):
    """Values of all fields of that name below el, in document order."""
    return [f.get("show") for f in el.iter("field") if f.get("name") == name]


def one(el, name, default=None):
    v = shows(el, name)
    return v[0] if v else default


def num(text):
    return None if text is None else int(text, 0)


def spki_sha256(der):
    pub = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-pubkey"], input=der,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pub, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode() if der else None


class Bytes:
    """Which sequence numbers of one direction are in the capture, and which ought to be."""

    def __init__(self):
        self.base, self.runs, self.top = None, [], 0

    def _rel(self, seq):
        if self.base is None:
            self.base = seq
        return (seq - self.base + 2**31) % 2**32 - 2**31

    def seen(self, seq, held, size):
        at = self._rel(seq)
        if held:
            self.runs.append((at, at + held))
        self.top = max(self.top, at + size)

    def acked(self, seq):
        self.top = max(self.top, self._rel(seq))

    def whole(self):
        end = 0
        for a, b in sorted(self.runs):
            if a > end:
                return False
            end = max(end, b)
        return end >= self.top


class Flow:
    def __init__(self, number):
        self.number, self.ends = number, None
        self.syn = self.hello = None
        self.msgs, self.events, self.records = ({"c2s": [], "s2c": []} for _ in range(3))
        self.certs = {"c2s": [], "s2c": []}
        self.alerts, self.rst, self.fin, self.hrr = [], None, None, False
        self.client, self.serv, self.tls = {}, {}, False
        self.packets, self.bytes = {"c2s": 0, "s2c": 0}, {"c2s": Bytes(), "s2c": Bytes()}

    def packet(self, geninfo, ip, tcp, tls_layers):
        frame = num(one(geninfo, "num"))
        src = (one(ip, "ip.src") or one(ip, "ipv6.src"), num(one(tcp, "tcp.srcport")))
        dst = (one(ip, "ip.dst") or one(ip, "ipv6.dst"), num(one(tcp, "tcp.dstport")))
        if self.ends is None:
            # whoever opened is the client until a ClientHello says otherwise
            ack = one(tcp, "tcp.flags.syn") == one(tcp, "tcp.flags.ack") == "1"
            self.ends = (dst, src) if ack else (src, dst)
        first_hello = [t for t in tls_layers if "1" in shows(t, "tls.handshake.type")]
        if first_hello and self.hello is None:
            self.hello = src
            if self.ends[0] != src:
                self.swap(src, dst)
        d = "c2s" if src == self.ends[0] else "s2c"
        self.packets[d] += 1
        if one(tcp, "tcp.flags.reset") == "1" and self.rst is None:
            self.rst = {"dir": d, "frame": frame}
        if one(tcp, "tcp.flags.fin") == "1" and self.fin is None:
            self.fin = {"dir": d, "frame": frame}
        self.sequence(d, geninfo, tcp)
        for layer in tls_layers:
            for rec in layer.iter("field"):
                if rec.get("name") == "tls.record":
                    self.record(d, rec)

    def sequence(self, d, geninfo, tcp):
        cut = num(one(geninfo, "caplen")) < num(one(geninfo, "len"))
        seq, size = num(one(tcp, "tcp.seq_raw")), num(one(tcp, "tcp.len"))
        syn, fin, reset, ack = (one(tcp, "tcp.flags." + f) == "1" for f in ("syn", "fin", "reset", "ack"))
        if reset:
            return
        # a FIN takes a number like a byte
        self.bytes[d].seen(seq + syn, 0 if cut else size + fin, size + fin)
        if ack:
            self.bytes["s2c" if d == "c2s" else "c2s"].acked(num(one(tcp, "tcp.ack_raw")))

    def swap(self, src, dst):
        self.ends = (src, dst)
        for m in (self.msgs, self.events, self.records, self.certs, self.packets, self.bytes):
            m["c2s"], m["s2c"] = m["s2c"], m["c2s"]
        for x in self.alerts + [e for e in (self.rst, self.fin) if e]:
            x["dir"] = "s2c" if x["dir"] == "c2s" else "c2s"

    def record(self, d, rec):
        self.tls = True
        ctype = num(one(rec, "tls.record.opaque_type") or one(rec, "tls.record.content_type"))
        self.records[d].append([ctype, num(one(rec, "tls.record.length"))])
        if ctype == 20:
            self.events[d].append("ccs")
        elif ctype == 21:
            level, code = num(one(rec, "tls.alert_message.level")), num(one(rec, "tls.alert_message.desc"))
            self.alerts.append({"dir": d, "level": level, "code": code})
            self.events[d].append("alert")
        elif ctype == 23:
            self.events[d].append("app_data")
        elif ctype == 22:
            self.handshake(d, rec)

    def handshake(self, d, rec):
        clear = [f for f in rec.iter("field") if f.get("name") == "tls.handshake" and
                 any(k.get("name") == "tls.handshake.type" for k in f)]
        if "ccs" in self.events[d] and self.hrr:
            # TLS 1.3, a CCS for middleboxes after HelloRetryRequest: the second hellos are still in clear
            clear = [m for m in clear if num(one(m, "tls.handshake.type")) in (1, 2)]
        elif "ccs" in self.events[d]:
            clear = []
        if not clear:
            self.msgs[d].append("encrypted")
            self.events[d].append("encrypted")
            return
        for m in clear:
            kind = num(one(m, "tls.handshake.type"))
            name = HANDSHAKE.get(kind, "handshake_%d" % kind)
            if kind == 2 and (one(m, "tls.handshake.random") or "").replace(":", "") == HRR_RANDOM:
                name, self.hrr = "hello_retry_request", True
            self.msgs[d].append(name)
            self.events[d].append(name)
            if kind == 1 and not self.client:
                self.client_hello(m)
            elif name == "server_hello" and not self.serv:
                self.server_hello(m)
            elif kind == 11:
                for f in m.iter("field"):
                    if f.get("name") == "tls.handshake.certificate":
                        self.certs[d].append(bytes.fromhex(f.get("value")))

    def client_hello(self, m):
        self.client = {
            "sni": one(m, "tls.handshake.extensions_server_name"),
            "alpn": shows(m, "tls.handshake.extensions_alpn_str"), "ja3": one(m, "tls.handshake.ja3"),
            "versions": [num(v) for v in shows(m, "tls.handshake.extensions.supported_version")],
            "session_id": one(m, "tls.handshake.session_id", "").replace(":", "")}

    def server_hello(self, m):
        ext = [num(v) for v in shows(m, "tls.handshake.extension.type")]
        sel = num(one(m, "tls.handshake.extensions.supported_version"))
        sid = one(m, "tls.handshake.session_id", "").replace(":", "")
        self.serv = {
            "version": sel or num(one(m, "tls.handshake.version")), "cipher": num(one(m, "tls.handshake.ciphersuite")),
            "alpn": one(m, "tls.handshake.extensions_alpn_str"), "ja3s": one(m, "tls.handshake.ja3s"),
            "psk": 41 in ext, "sid": sid}

    def resumed(self):
        """By what the ServerHello says: a PSK accepted, or before TLS 1.3 the client's own session id come back."""
        if not self.serv:
            return None
        if self.serv["version"] == 0x0304:
            return self.serv["psk"]
        return bool(self.serv["sid"]) and self.serv["sid"] == self.client.get("session_id")

    def row(self):
        v = self.serv.get("version")
        data = {d: [n for t, n in self.records[d] if t == 23] for d in ("c2s", "s2c")}
        return collections.OrderedDict(
            proto="tls", client=self.ends[0][0], client_port=self.ends[0][1], server=self.ends[1][0],
            server_port=self.ends[1][1], tcp_stream=self.number, packets=self.packets, 
            complete=all(b.whole() for b in self.bytes.values()),
            sni=self.client.get("sni"), alpn_offered=self.client.get("alpn", []), alpn_selected=self.serv.get("alpn"),
            versions={"selected": v and "0x%04x" % v, "selected_name": VERSIONS.get(v)},
            flags=["tls13"] if v == 0x0304 else [],
            cipher=None if not self.serv else "0x%04x" % self.serv["cipher"], ja3=self.client.get("ja3"),
            ja3s=self.serv.get("ja3s"), hrr=self.hrr, resumed=self.resumed(), msgs=self.msgs, events=self.events,
            ccs={d: self.events[d].count("ccs") for d in ("c2s", "s2c")}, records=self.records, alerts=self.alerts,
            app_data={d: {"records": len(data[d]), "bytes": sum(data[d])} for d in ("c2s", "s2c")},
            certificates={d: [{"sha256": hashlib.sha256(c).hexdigest(), "spki_sha256": spki_sha256(c)}
                              for c in self.certs[d]] for d in ("c2s", "s2c")},
            tcp={"first_rst": self.rst, "first_fin": self.fin})


def flows(capture):
    table = collections.OrderedDict()
    for pkt in pdml(capture):
        protos = collections.defaultdict(list)
        for p in pkt.findall("proto"):
            protos[p.get("name")].append(p)
        if not protos["tcp"]:
            continue
        tcp, ip = protos["tcp"][-1], (protos["ip"] + protos["ipv6"])[-1]
        stream = num(one(tcp, "tcp.stream"))
        flow = table.setdefault(stream, Flow(stream))
        flow.packet(protos["geninfo"][0], ip, tcp, protos["tls"])
    return [f.row() for f in table.values() if f.tls]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in sys.argv[1:]:
        for row in flows(path):
            if len(sys.argv) > 2:
                row["file"] = os.path.join(os.path.basename(os.path.dirname(path)), os.path.basename(path))
                row.move_to_end("file", last=False)
            print(json.dumps(row))


if __name__ == "__main__":
    main()
