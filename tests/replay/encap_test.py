#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The program over the bundled recording, each of its packets wrapped in tags and tunnels or cut into fragments: the
events must be those of the recording, but for the tags, the tunnels and what was counted on the wire.

    tests/replay/encap_test.py PINSIGHT CAPTURES-DIR

Headers are written here by hand from their RFCs, independently of the decoder. Standard library only.
"""
import concurrent.futures
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest

PINSIGHT, CAPTURES = sys.argv[1], sys.argv[2]
ETH = bytes.fromhex('020000000001020000000002')


def packets(path):
    """(time, IP packet) of an Ethernet capture in this machine's byte order, microseconds."""
    with open(path, 'rb') as f:
        data = f.read()
    assert data[:4] == struct.pack('<I', 0xa1b2c3d4) and struct.unpack('<I', data[20:24])[0] == 1
    at = 24
    while at < len(data):
        sec, usec, cap, _ = struct.unpack('<IIII', data[at:at + 16])
        frame = data[at + 16:at + 16 + cap]
        at += 16 + cap
        v6 = frame[12:14] == b'\x86\xdd'
        n = struct.unpack('>H', frame[18:20])[0] + 40 if v6 else struct.unpack('>H', frame[16:18])[0]
        yield (sec, usec), frame[14:14 + n]


def write(path, frames):
    with open(path, 'wb') as f:
        f.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for (sec, usec), frame in frames:
            f.write(struct.pack('<IIII', sec, usec, len(frame), len(frame)) + frame)


def ethertype(ip):
    return b'\x86\xdd' if ip[0] >> 4 == 6 else b'\x08\x00'


def ether(ip, tags=b''):
    return ETH + tags + ethertype(ip) + ip


def outer4(proto, payload, ident=0):
    return struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(payload), ident, 0, 64, proto, 0) + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + payload


def outer6(proto, payload):
    return struct.pack('>IHBB', 6 << 28, len(payload), proto, 64) + bytes(15) + b'\x01' + bytes(15) + b'\x02' + payload


def udp(port, payload):
    return struct.pack('>HHHH', 50000, port, 8 + len(payload), 0) + payload


def tag(kind, vid):
    return struct.pack('>HH', kind, vid)


def pieces4(ip, size, ident):
    hdr, payload = bytearray(ip[:20]), ip[20:]
    assert ip[0] == 0x45
    for off in range(0, len(payload), size):
        part = payload[off:off + size]
        more = 0x2000 if off + size < len(payload) else 0
        hdr[2:8] = struct.pack('>HHH', 20 + len(part), ident & 0xffff, off // 8 | more)
        yield bytes(hdr) + part


def pieces6(ip, size, ident):
    hdr, payload = bytearray(ip[:40]), ip[40:]
    nh, hdr[6] = hdr[6], 44
    for off in range(0, len(payload), size):
        part = payload[off:off + size]
        hdr[4:6] = struct.pack('>H', 8 + len(part))
        yield bytes(hdr) + struct.pack('>BBHI', nh, 0, off | (off + size < len(payload)), ident) + part


def pieces(ip, size, ident):
    """Fragments of a packet, itself when it is short: at most eight, as many as are put together."""
    v6 = ip[0] >> 4 == 6
    if len(ip) - (40 if v6 else 20) <= size:
        return [ip]
    return list((pieces6 if v6 else pieces4)(ip, size, ident))


def each(wrap):
    return lambda n, ip, rnd: [wrap(ip)]


def shuffled(n, ip, rnd):
    p = pieces(ip, 200, n)
    rnd.shuffle(p)
    return [ether(x) for x in p]


def repeated(n, ip, rnd):
    p = pieces(ip, 504, n)
    return [ether(x) for x in p[:-1] + p[:-1] + p[-1:]]


def vxlan(vni, frame):
    return udp(4789, struct.pack('>II', 0x08000000, vni << 8) + frame)


def vxlan_inside_cut(n, ip, rnd):
    return [ether(outer4(17, vxlan(7, ether(x)))) for x in pieces(ip, 800, n)]


def vxlan_outside_cut(n, ip, rnd):
    return [ether(x) for x in pieces(outer4(17, vxlan(7, ether(ip))), 1000, n)]


def gtp(n, ip, rnd):
    """TEIDs differ by direction, as they do: here by the source address."""
    src = ip[8:24] if ip[0] >> 4 == 6 else ip[12:16]
    teid = 0x1000 + (sum(src) & 0xff)
    return [ether(outer4(17, udp(2152, struct.pack('>BBHI', 0x30, 255, len(ip), teid) + ip)))]


def gtp_session(n, ip, rnd):
    """With the PDU session container of 5G (TS 38.415)."""
    head = struct.pack('>BBHIHBBBBBB', 0x34, 255, len(ip) + 8, 9, 0, 0, 0x85, 1, 0, 5, 0)
    return [ether(outer4(17, udp(2152, head + ip)))]


# name: (frames of a packet, VLANs, tunnels as events have them; None: not compared)
VARIANTS = {
    'fragments in any order': (shuffled, None, None),
    'fragments repeated': (repeated, None, None),
    'QinQ': (each(lambda ip: ether(ip, tag(0x88a8, 200) + tag(0x8100, 100))), [200, 100], None),
    'four tags': (each(lambda ip: ether(ip, b''.join(tag(0x8100, v) for v in (1, 2, 3, 4)))), [1, 2, 3, 4], None),
    'MPLS, two labels': (each(lambda ip: ETH + b'\x88\x47' + struct.pack('>II', 100 << 12 | 64, 200 << 12 | 0x140) + ip), None,
                         [{'type': 'mpls', 'label': 100}, {'type': 'mpls', 'label': 200}]),
    'PPPoE': (each(lambda ip: ETH + b'\x88\x64' + struct.pack('>BBHH', 0x11, 0, 77, len(ip) + 2) +
                   (b'\0\x57' if ip[0] >> 4 == 6 else b'\0\x21') + ip), None, [{'type': 'pppoe', 'session': 77}]),
    'GRE with a key over IPv6': (each(lambda ip: ether(outer6(47, b'\x20\0' + ethertype(ip) + struct.pack('>I', 42) + ip))), None,
                                 [{'type': 'gre', 'key': 42}]),
    'IP in IP': (each(lambda ip: ether(outer4(41 if ip[0] >> 4 == 6 else 4, ip))), None, [{'type': 'ipip'}]),
    'VXLAN, tagged outside and inside': (each(lambda ip: ether(outer4(17, vxlan(5000, ether(ip, tag(0x8100, 20)))), tag(0x8100, 10))),
                                         [10, 20], [{'type': 'vxlan', 'vni': 5000}]),
    'Geneve': (each(lambda ip: ether(outer4(17, udp(6081, struct.pack('>BBHI', 1, 0, 0x6558, 8 << 8) + bytes(4) + ether(ip))))), None,
               [{'type': 'geneve', 'vni': 8}]),
    'GTP-U, a TEID a direction': (gtp, None, None),
    'GTP-U with extension header': (gtp_session, None, [{'type': 'gtp', 'teid': 9}]),
    'ERSPAN II': (each(lambda ip: ether(outer4(47, struct.pack('>HHIHHI', 0x1000, 0x88be, 1, 0x1000, 5, 0) + ether(ip)))), None,
                  [{'type': 'erspan', 'session': 5}]),
    'VXLAN, fragments inside': (vxlan_inside_cut, None, [{'type': 'vxlan', 'vni': 7}]),
    'VXLAN, fragments outside': (vxlan_outside_cut, None, [{'type': 'vxlan', 'vni': 7}]),
}
WIRE = ('bytes_toserver', 'bytes_toclient', 'pkts_toserver', 'pkts_toclient', 'vlan', 'tunnel')


def events(path):
    r = subprocess.run([PINSIGHT, 'read', '--json', path], capture_output=True, timeout=240)
    assert r.returncode == 0, r.stderr.decode()
    return [json.loads(line) for line in r.stdout.splitlines()], r.stderr.decode()


def without_wire(e):
    return {k: v for k, v in e.items() if k not in WIRE}


class Encap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory()
        cls.recording = list(packets(os.path.join(CAPTURES, 'demo.pcap')))
        paths = {}
        for k, (name, (frames, _, _)) in enumerate(VARIANTS.items()):
            rnd = random.Random(k)
            paths[name] = os.path.join(cls.tmp.name, '%d.pcap' % k)
            write(paths[name], [(t, f) for n, (t, ip) in enumerate(cls.recording) for f in frames(n, ip, rnd)])
        cls.plain, _ = events(os.path.join(CAPTURES, 'demo.pcap'))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            cls.got = dict(zip(paths, pool.map(events, paths.values())))

    @classmethod
    def tearDownClass(cls):
        cls.tmp.cleanup()

    def test_same_events(self):
        self.assertGreater(len(self.plain), 10)
        for name, (got, _) in self.got.items():
            with self.subTest(name):
                self.assertEqual([without_wire(e) for e in got], [without_wire(e) for e in self.plain])

    def test_tags_and_tunnels(self):
        for name, (_, vlans, tunnels) in VARIANTS.items():
            for e in self.got[name][0]:
                with self.subTest(name, flow=e.get('flow_id')):
                    if e['event_type'] == 'tls_flow':
                        self.assertEqual(e.get('vlan'), vlans)
                        if tunnels is not None:
                            self.assertEqual([{k: v for k, v in t.items() if k != 'id'} for t in e.get('tunnel', [])], tunnels)

    def test_ledger(self):
        for name, (_, report) in self.got.items():
            with self.subTest(name):
                self.assertRegex(report, r'Packets: [\d,]+ received, balanced')
                if 'fragments' in name:
                    self.assertRegex(report, r'\d+ +datagrams put together from IP fragments')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
