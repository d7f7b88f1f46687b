#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes the small awkward captures under tests/captures/edge/ from three connections of the demo.

    tests/ref/make_captures.py            writes them and edge.labels.jsonl
    tests/ref/make_captures.py --check    exit status 1 unless what is there is what would be written

Everything is built here from bytes: link-layer headers, tags, fragments, segments, checksums. The result is the same in
every run. What a capture must yield follows from how it was made and stands in edge.labels.jsonl; tshark's reading of
the same files (tshark_flows.py) is edge.golden.jsonl.
"""
import json
import os
import random
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import pcapio  # noqa: E402

CAPTURES = os.path.join(HERE, "..", "captures")
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


# -- packets ---------------------------------------------------------------------------------------------------------
def checksum(b):
    s = sum(struct.unpack("!%dH" % ((len(b) + 1) // 2), b + bytes(len(b) % 2)))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


class Segment:
    """One TCP segment, taken apart; frame() puts it together again with right lengths and checksums."""

    def __init__(self, packet):
        self.t, _, b = packet
        self.macs, kind = b[:12], struct.unpack_from("!H", b, 12)[0]
        ip = b[14:]
        self.v6 = kind == 0x86dd
        if self.v6:
            self.ident, total, at = 0, 40 + struct.unpack_from("!H", ip, 4)[0], 40
            self.src, self.dst = ip[8:24], ip[24:40]
        else:
            total, self.ident = struct.unpack_from("!HH", ip, 2)
            self.src, self.dst, at = ip[12:16], ip[16:20], (ip[0] & 15) * 4
        tcp = ip[at:total]
        self.sport, self.dport, self.seq, self.ack = struct.unpack_from("!HHII", tcp)
        self.flags, self.win = tcp[13], struct.unpack_from("!H", tcp, 14)[0]
        self.opts, self.data = tcp[20:(tcp[12] >> 4) * 4], tcp[(tcp[12] >> 4) * 4:]

    def but(self, **changes):
        s = Segment.__new__(Segment)
        s.__dict__.update(self.__dict__, **changes)
        return s

    def from_client(self):
        return self.dport == 443

    def tcp(self):
        n = 20 + len(self.opts)
        head = struct.pack("!HHIIBBHHH", self.sport, self.dport, self.seq & 0xffffffff, self.ack & 0xffffffff, n << 2,
                           self.flags, self.win, 0, 0) + self.opts
        size = n + len(self.data)
        pseudo = struct.pack("!IHBB", size, 0, 0, 6) if self.v6 else struct.pack("!BBH", 0, 6, size)
        sum16 = checksum(self.src + self.dst + pseudo + head + self.data)
        return head[:16] + struct.pack("!H", sum16) + head[18:] + self.data

    def ip(self, payload=None, options=b"", ext=b"", frag=None):
        """options: IPv4 options. ext: IPv6 extension headers, hop-by-hop first. frag: (offset in bytes, more)."""
        payload = self.tcp() if payload is None else payload
        if self.v6:
            body = ext + payload
            return struct.pack("!IHBB", 0x60000000, len(body), 0 if ext else 6, 64) + self.src + self.dst + body
        field = 0x4000 if frag is None else frag[0] // 8 | (0x2000 if frag[1] else 0)
        h = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), self.ident, field,
                        64, 6, 0) + self.src + self.dst + options
        return h[:10] + struct.pack("!H", checksum(h)) + h[12:] + payload

    def frame(self, tags=(), ip=None):
        """tags: (ethertype of the tag, VLAN id), outermost first."""
        t = b"".join(struct.pack("!HH", tpid, vid) for tpid, vid in tags)
        return self.macs + t + (b"\x86\xdd" if self.v6 else b"\x08\x00") + (self.ip() if ip is None else ip)


def packet(s, data=None):
    data = s.frame() if data is None else data
    return s.t, len(data), data


def ethernet(segments, **kw):
    return [packet(s, s.frame(**kw)) for s in segments]


def split(segments, size):
    """Every payload cut into segments of at most size bytes."""
    out = []
    for s in segments:
        for off in range(0, max(len(s.data), 1), size):
            last = off + size >= len(s.data)
            out.append(s.but(seq=s.seq + off, data=s.data[off:off + size],
                             flags=s.flags if last else s.flags & ~(FIN | PSH)))
    return out


def restamp(segments, t0):
    """Stamps in the order of the file."""
    return [s.but(t=t0 + i * 50000) for i, s in enumerate(segments)]


def reversed_runs(segments, n):
    """Runs of up to n data segments of one side, each run backwards; what carries no data stays in its place."""
    out, run = [], []
    for s in segments:
        if run and (len(run) == n or not s.data or run[0].from_client() != s.from_client()):
            out, run = out + run[::-1], []
        if s.data:
            run.append(s)
        else:
            out.append(s)
    return out + run[::-1]


def fragments(s, size=104):
    """The frames of one segment in IP fragments of size bytes."""
    whole, out = s.tcp(), []
    for o in range(0, len(whole), size):
        part, more = whole[o:o + size], o + size < len(whole)
        if s.v6:
            ip = s.ip(part, ext=struct.pack("!BBHI", 6, 0, o | more, 0x12345678))
            ip = ip[:6] + b"\x2c" + ip[7:]
        else:
            ip = s.ip(part, frag=(o, more))
        out.append(packet(s, s.frame(ip=ip)))
    return out


class Demo:
    """The connections of the demo, by what they are, not by where they stand."""

    def __init__(self):
        with open(os.path.join(CAPTURES, "demo.labels.jsonl")) as f:
            self.labels = [json.loads(line) for line in f]
        self.segments = [Segment(p) for p in pcapio.read(os.path.join(CAPTURES, "demo.pcap"))[1]]

    def flow(self, **want):
        label = next(x for x in self.labels if all(x[k] == v for k, v in want.items()))
        return label, [s for s in self.segments if label["sport"] in (s.sport, s.dport)]


# -- the captures ----------------------------------------------------------------------------------------------------
class Maker:
    # what is left to say when the part that decides it is missing
    CUT = dict(expected="incomplete", acceptable=["aborted"], shows={})

    def __init__(self):
        demo = Demo()
        # refused: TLS 1.2, IPv4, clear alert 48.  used: TLS 1.2, IPv6.  dane: TLS 1.3, IPv4, clear alert 42.
        self.label, self.segs = demo.flow(case="ca-not-trusted", client="python", path="mitmproxy")
        self.label6, self.segs6 = demo.flow(case="intercepted", client="curl", path="mitmproxy", tls="1.2")
        self.dane_label, self.dane = demo.flow(case="pin-in-handshake", path="mitmproxy")
        is_alert = [s.data[:1] == b"\x15" for s in self.segs]
        self.alert_at = is_alert.index(True)
        self.files, self.labels = {}, []

    def add(self, name, data, what, flows=None, status="ok", **more):
        """flows: labels, or (label, changed fields); the refused connection when not given.
        status: ok; partial: a fault after packets that must still be reported; error: nothing to report."""
        rows = []
        for f in [self.label] if flows is None else flows:
            label, changes = f if isinstance(f, tuple) else (f, {})
            row = {"of": label["id"]}
            row.update({k: label[k] for k in ("src", "sport", "dst", "dport", "sni", "tls", "expected", "acceptable")})
            row["shows"] = {k: v for k, v in label["shows"].items() if k == "alert"}
            row.update(changes)
            rows.append(row)
        assert len(data) < 10240 and name not in self.files, name
        self.files[name] = data
        self.labels.append(dict(file="edge/" + name, what=what, status=status, flows=rows, **more))

    def file_formats(self):
        eth = ethernet(self.segs)
        odd = [(t + 7 * i + 123, w, d) for i, (t, w, d) in enumerate(eth)]
        self.add("ns.pcap", pcapio.pcap(odd, ns=True), "classic pcap with ns stamps")
        self.add("big-endian.pcap", pcapio.pcap(eth, order=">"), "big-endian classic pcap")
        self.add("big-endian-ns.pcap", pcapio.pcap(odd, order=">", ns=True), "big-endian, ns stamps")
        self.add("ns.pcapng", b"".join([pcapio.ng_section(), pcapio.ng_interface(1, digits=9)]
                                       + [pcapio.ng_packet(p, digits=9) for p in odd]), "pcapng with ns stamps")
        blocks = [pcapio.ng_packet(p, order=">", comment=b"a comment" if i == 3 else None) for i, p in enumerate(eth)]
        blocks.insert(4, pcapio.ng_unknown(">"))
        self.add("big-endian.pcapng", b"".join(
            [pcapio.ng_section(">", b"made by hand"), pcapio.ng_interface(1, ">")] + blocks),
            "big-endian pcapng with comments and a block of unknown type")
        half = len(eth) // 2
        self.add("two-sections.pcapng", b"".join(
            [pcapio.ng_section(), pcapio.ng_interface(1)] + [pcapio.ng_packet(p) for p in eth[:half]]
            + [pcapio.ng_section(), pcapio.ng_interface(1, digits=9)]
            + [pcapio.ng_packet(p, digits=9) for p in eth[half:]]),
            "pcapng of two sections, as cat makes it; stamps of the second in ns")
        shift = self.segs[0].t - self.segs6[0].t
        both = sorted([(s, 0) for s in self.segs] + [(s.but(t=s.t + shift), 1) for s in self.segs6],
                      key=lambda x: x[0].t)
        blocks = [pcapio.ng_section(), pcapio.ng_interface(1), pcapio.ng_interface(101, digits=9)]
        blocks += [pcapio.ng_packet(packet(s, s.ip() if i else None), i, digits=9 if i else 6) for s, i in both]
        self.add("two-links.pcapng", b"".join(blocks),
                 "pcapng of two interfaces: Ethernet in us, raw IP in ns, interleaved", [self.label, self.label6],
                 status_acceptable=["error"], note="libpcap gives up at a second link type")

    def link_types(self):
        for v, label, segs in ((4, self.label, self.segs), (6, self.label6, self.segs6)):
            proto = 0x86dd if v == 6 else 0x0800
            out = lambda s: 4 if s.from_client() else 0  # noqa: E731
            # 24, 28 and 30 are IPv6 in the BSDs, FreeBSD and macOS; a null header has the byte order of its file
            for name, link, head, what in (
                    ("sll", 113, lambda s: struct.pack("!HHH8sH", out(s), 1, 6, s.macs[6:12], proto),
                     "Linux cooked capture v1"),
                    ("sll2", 276, lambda s: struct.pack("!HHIHBB8s", proto, 0, 2, 1, out(s), 6, s.macs[6:12]),
                     "Linux cooked capture v2"),
                    ("raw", 101, lambda s: b"", "raw IP"),
                    ("ip", 229 if v == 6 else 228, lambda s: b"", "IP of one version, by link type"),
                    ("null", 0, lambda s: struct.pack("<I", 30 if v == 6 else 2), "BSD loopback"),
                    ("loop", 108, lambda s: struct.pack("!I", 24 if v == 6 else 2), "OpenBSD loopback")):
                self.add("%s-v%d.pcap" % (name, v), pcapio.pcap([packet(s, head(s) + s.ip()) for s in segs], link),
                         "%s, IPv%d" % (what, v), [label])
        self.add("null-big-endian.pcap", pcapio.pcap(
            [packet(s, struct.pack(">I", 2) + s.ip()) for s in self.segs], 0, ">"), "BSD loopback, big-endian file")
        self.add("ieee802-11.pcap", pcapio.pcap(ethernet(self.segs[:2]), 105), "a link type that is not read", [],
                 "error")

    def broken_files(self):
        whole, at = pcapio.pcap(ethernet(self.segs)), [24]
        for s in self.segs:
            at.append(at[-1] + 16 + len(s.frame()))
        alert, cut = at[self.alert_at], [(self.label, self.CUT)]
        self.add("cut-in-packet.pcap", whole[:-10], "ends inside the last packet", None, "partial", offset=at[-2])
        self.add("cut-in-header.pcap", whole[:alert + 7], "ends inside the header of the packet with the alert", cut,
                 "partial", offset=alert)
        self.add("absurd-length.pcap", whole[:alert + 8] + struct.pack("<II", 0x7ffffff0, 0x7ffffff0)
                 + whole[alert + 16:], "a packet that claims 2 GB", cut, "partial", offset=alert)
        self.add("no-packets.pcap", whole[:24], "a file header and nothing else", [])
        for name, data, what in (("header-cut.pcap", whole[:11], "ends inside the file header"),
                                 ("empty.pcap", b"", "no byte at all"),
                                 ("garbage.bin", random.Random(1).randbytes(700), "random bytes"),
                                 ("text.txt", b"This is not a capture.\n" * 20, "a text file")):
            self.add(name, data, what, [], "error", offset=0)
        head = pcapio.ng_section() + pcapio.ng_interface(1)
        blocks = [pcapio.ng_packet(p) for p in ethernet(self.segs)]
        self.add("cut-in-packet.pcapng", (head + b"".join(blocks))[:-20], "pcapng that ends inside the last block",
                 None, "partial", offset=len(head + b"".join(blocks[:-1])))
        before, bad = head + b"".join(blocks[:self.alert_at]), blocks[self.alert_at]
        self.add("bad-trailer.pcapng", before + bad[:-4] + struct.pack("<I", len(bad) + 4),
                 "a pcapng block whose two lengths differ", cut, "partial", offset=len(before))

    def frames(self):
        for name, tags, what in (
                ("vlan", [(0x8100, 42)], "802.1Q"), ("qinq", [(0x88a8, 100), (0x8100, 42)], "802.1ad"),
                ("vlan3", [(0x9100, 7), (0x8100, 100), (0x8100, 42)], "three tags, the outermost 0x9100")):
            self.add(name + ".pcap", pcapio.pcap(ethernet(self.segs, tags=tags)), what,
                     [(self.label, {"vlan": [vid for _, vid in tags]})])
        padded = []
        for s in self.segs:
            # without TCP options, or no frame is short enough to need padding
            f = s.but(opts=b"").frame()
            f += (b"\x15\x03\x03\x00\x02\x02" * 4)[:max(0, 60 - len(f))]
            padded.append(packet(s, f + b"\xde\xad\xbe\xef"))
        self.add("padded.pcap", pcapio.pcap(padded), "short frames padded with what looks like an alert, and an FCS")
        self.add("ip-options.pcap", pcapio.pcap(
            [packet(s, s.frame(ip=s.ip(options=b"\x94\x04\x00\x00"))) for s in self.segs]),
            "IPv4 with the router alert option")
        ext = b"".join(struct.pack("!BBBB4s", after, 0, 1, 4, bytes(4)) for after in (60, 6))
        self.add("ip6-ext.pcap", pcapio.pcap([packet(s, s.frame(ip=s.ip(ext=ext))) for s in self.segs6]),
                 "IPv6 with hop-by-hop and destination options", [self.label6])
        self.add("snaplen.pcap", pcapio.pcap([(t, w, d[:96]) for t, w, d in ethernet(self.segs)], snaplen=96),
                 "frames cut at 96 bytes: no hello is whole", [(self.label, dict(
                     expected="incomplete", acceptable=["aborted", "unknown_ca"], sni=None, shows={}))])
        for name, label, segs, what in (
                ("ip-frag", self.label, self.segs, "IPv4"), ("ip6-frag", self.label6, self.segs6, "IPv6")):
            hello = next(s for s in segs if s.data)
            for suffix, order, how in (("", 1, ""), ("-reversed", -1, ", the last one first")):
                out = [p for s in segs for p in (fragments(s)[::order] if s is hello else [packet(s)])]
                self.add(name + suffix + ".pcap", pcapio.pcap(out), "ClientHello in %s fragments%s" % (what, how),
                         [label])

    def put(self, name, segments, what, flows=None, **more):
        """A capture of the refused connection's segments in this order."""
        self.add(name + ".pcap", pcapio.pcap(ethernet(restamp(segments, self.segs[0].t))), what, flows, **more)

    def tcp_order(self):
        cut = split(self.segs, 90)
        self.put("segments", cut, "segments of at most 90 bytes")
        self.put("bytewise-alert", [x for s in self.segs for x in (split([s], 1) if s.data[:1] == b"\x15" else [s])],
                 "the alert in segments of one byte")
        self.put("reordered", reversed_runs(cut, 4), "runs of four segments backwards")
        self.put("duplicated", [x for s in cut for x in [s] * (1 + bool(s.data))], "every data segment twice")
        over = []
        for p, s in zip([None] + cut, cut):
            over.append(s)
            if p is not None and p.data and s.data and p.from_client() == s.from_client():
                k = len(p.data) // 2
                over.append(p.but(seq=p.seq + k, data=p.data[k:] + s.data[:len(s.data) // 2]))
        self.put("overlapping", over, "retransmissions with other borders, same bytes")
        gone = [i for i, s in enumerate(cut) if s.data and not s.from_client()][3]
        rest = cut[:gone] + cut[gone + 1:]
        self.put("lost", rest, "a segment of the server's certificate is not there",
                 [(self.label, dict(expected="incomplete", acceptable=["unknown_ca"]))])
        late = next(i for i, s in enumerate(rest) if s.from_client() and s.data[:1] == b"\x15")
        self.put("lost-and-sent-again", rest[:late] + [cut[gone]] + rest[late:],
                 "the same segment, late, before the client's alert")
        other = cut[gone].but(data=bytes(x ^ 0xff for x in cut[gone].data))
        self.put("conflict", cut[:gone + 1] + [other] + cut[gone + 1:],
                 "a second copy of a segment with other bytes: the first one counts")

    def tcp_ends(self):
        segs = self.segs
        syn = next(s for s in segs if s.flags & SYN and s.from_client())
        answer = next(s for s in segs if s.flags & SYN and not s.from_client())
        wrap = []
        for s in segs:
            mine, other = (syn, answer) if s.from_client() else (answer, syn)
            wrap.append(s.but(seq=s.seq - mine.seq + 0xffffff80,
                              ack=s.ack - other.seq + 0xffffff80 if s.flags & ACK else 0))
        self.put("sequence-wrap", wrap, "both sequence numbers pass 2**32 inside the hellos")
        hello = next(i for i, s in enumerate(segs) if s.data)
        self.put("no-syn", segs[hello:], "the capture begins with the ClientHello")
        self.put("answer-first", [answer] + [s for s in segs if s is not answer], "the SYN-ACK stands before the SYN")
        self.put("client-side-only", [s for s in segs if s.from_client()], "only the client's packets",
                 [(self.label, dict(expected="incomplete", acceptable=["unknown_ca"]))])
        self.put("server-side-only", [s for s in segs if not s.from_client()], "only the server's packets",
                 [(self.label, dict(self.CUT, sni=None))])
        blind = segs[hello].but(flags=RST, seq=segs[hello].seq + 0x40000000, data=b"", opts=b"", ack=0)
        self.put("blind-reset", segs[:hello + 1] + [blind] + segs[hello + 1:],
                 "a reset far outside the window does not end the connection")
        ends = {k: self.label[k] for k in ("src", "sport", "dst", "dport")}
        later = segs[-1].t + 2 * 10**9 - self.dane[0].t
        again = [s.but(t=s.t + later, src=syn.src if s.from_client() else syn.dst,
                       dst=syn.dst if s.from_client() else syn.src, sport=syn.sport if s.from_client() else 443,
                       dport=443 if s.from_client() else syn.sport) for s in self.dane]
        self.add("port-reuse.pcap", pcapio.pcap(ethernet(segs + again)),
                 "two connections one after the other between the same ports", [self.label, (self.dane_label, ends)])

    def make(self):
        self.file_formats()
        self.link_types()
        self.broken_files()
        self.frames()
        self.tcp_order()
        self.tcp_ends()
        files = {os.path.join("edge", k): v for k, v in self.files.items()}
        files["edge.labels.jsonl"] = "".join(json.dumps(x) + "\n" for x in self.labels).encode()
        return files


def stale(files):
    """Names of files that are not what is made here."""
    for name, data in files.items():
        path = os.path.join(CAPTURES, name)
        if not os.path.exists(path) or open(path, "rb").read() != data:
            yield name
    for name in sorted(os.listdir(os.path.join(CAPTURES, "edge"))):
        if os.path.join("edge", name) not in files:
            yield os.path.join("edge", name)


def main():
    files = Maker().make()
    print("%d captures, %d bytes" % (len(files) - 1, sum(map(len, files.values()))))
    if sys.argv[1:] == ["--check"]:
        bad = list(stale(files))
        for name in bad:
            print("%s is not what make_captures.py makes" % name)
        return 1 if bad else 0
    os.makedirs(os.path.join(CAPTURES, "edge"), exist_ok=True)
    for name, data in files.items():
        with open(os.path.join(CAPTURES, name), "wb") as f:
            f.write(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
