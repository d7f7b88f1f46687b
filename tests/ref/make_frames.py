#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes tests/unit/net_frames.def: one golden frame per encapsulation, with what a decoder must find in it.

    /usr/bin/python3 tests/ref/make_frames.py [--seeds tests/corpus/decode] > tests/unit/net_frames.def

The expected values are those the frame is built from with scapy. Before anything is written, tshark reads every
frame, and its addresses, ports, sequence number, payload length, tags and tunnel ids must be the same; where tshark
cannot know (a cookie of unknown length), the frame says so with tshark=False or names what to leave out.
Needs python3-scapy and tshark.
"""
import os
import struct
import subprocess
import sys
import tempfile

import logging
logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
from scapy.all import (AH, CookedLinux, Dot1AD, Dot1Q, Ether, GRE, IP, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                       IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, LLC, PPP, PPPoE, Raw, SNAP, TCP, UDP, IPOption_RR, ICMP,
                       PadN, ARP, wrpcap)
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS
from scapy.layers.vxlan import VXLAN

DLT = {'ETHERNET': 1, 'SLL': 113, 'SLL2': 276, 'RAW': 101, 'NULL': 0, 'PPP': 9}
A4, B4, SP, DP = '192.0.2.1', '198.51.100.7', 40000, 443
A6, B6 = '2001:db8::1', '2001:db8:f::2'
SEQ, ACK, WIN, DATA = 0x11223344, 0x55667788, 4321, b'\x16\x03\x01\x00\x07pinsigh'
O4, P4 = '10.0.0.1', '10.0.0.2'  # outer addresses
O6, P6 = 'fd00::1', 'fd00::2'

frames = []


def add(name, pkt, link='ETHERNET', rc='TCP', src=A4, dst=B4, sport=SP, dport=DP, plen=len(DATA), vlan=(), tunnel=(),
        note=(), tshark=True, skip=(), seq=SEQ, flags=0x18):
    frames.append(dict(name=name, link=link, rc=rc, src=src, dst=dst, sport=sport, dport=dport, plen=plen,
                       vlan=list(vlan), tunnel=list(tunnel), note=list(note), tshark=tshark, skip=skip, seq=seq,
                       flags=flags, raw=bytes(pkt)))


def eth(**kw):
    return Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02', **kw)


def oui():
    """Addresses of a registered vendor: tshark guesses a pseudowire's control word by them."""
    return Ether(src='00:1b:21:00:00:01', dst='00:1b:21:00:00:02')


def tcp(**kw):
    return TCP(sport=SP, dport=DP, seq=SEQ, ack=ACK, window=WIN, flags='PA', **kw) / Raw(DATA)


def t4():
    return IP(src=A4, dst=B4) / tcp()


def t6():
    return IPv6(src=A6, dst=B6) / tcp()


def o4(**kw):
    return IP(src=O4, dst=P4, **kw)


def o6(**kw):
    return IPv6(src=O6, dst=P6, **kw)


def udp(dport, **kw):
    return UDP(sport=50000, dport=dport, **kw)


six = dict(src=A6, dst=B6)

# plain
add('ipv4', eth() / t4())
add('ipv4_reverse', eth() / IP(src=B4, dst=A4) / TCP(sport=DP, dport=SP, seq=SEQ, ack=ACK, window=WIN, flags='PA') /
    Raw(DATA), src=B4, dst=A4, sport=DP, dport=SP)
add('ipv6', eth() / t6(), **six)
add('ipv6_reverse', eth() / IPv6(src=B6, dst=A6) / TCP(sport=DP, dport=SP, seq=SEQ, ack=ACK, window=WIN, flags='PA') /
    Raw(DATA), src=B6, dst=A6, sport=DP, dport=SP)
add('ipv4_syn', eth() / IP(src=A4, dst=B4) / TCP(sport=SP, dport=DP, seq=SEQ, flags='S',
    options=[('MSS', 1460), ('SAckOK', b''), ('Timestamp', (1, 0)), ('NOP', None), ('WScale', 7)]), plen=0, flags=2)
add('ipv4_padded', bytes(eth() / IP(src=A4, dst=B4) / TCP(sport=SP, dport=DP, seq=SEQ, flags='A')) + bytes(6),
    plen=0, note=['PADDED'], flags=0x10)
add('ipv6_padded', bytes(eth() / t6()) + b'\xde\xad\xbe\xef', note=['PADDED'], **six)
add('ipv4_options', eth() / IP(src=A4, dst=B4, options=[IPOption_RR(routers=['1.2.3.4', '5.6.7.8'])]) / tcp())
add('ipv4_udp', eth() / IP(src=A4, dst=B4) / UDP(sport=SP, dport=DP) / Raw(b'x' * 20), rc='UDP', plen=20)
add('ipv6_udp', eth() / IPv6(src=A6, dst=B6) / UDP(sport=SP, dport=DP) / Raw(b'x' * 20), rc='UDP', plen=20, **six)
add('ipv4_same_ends', eth() / IP(src=A4, dst=A4) / TCP(sport=DP, dport=SP, seq=SEQ, ack=ACK, window=WIN, flags='PA') /
    Raw(DATA), src=A4, dst=A4, sport=DP, dport=SP)
add('llc_snap', Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02', type=len(t4()) + 8) /
    Raw(bytes(LLC(dsap=0xaa, ssap=0xaa, ctrl=3) / SNAP(OUI=0, code=0x800)) + bytes(t4())))
tso = IP(bytes(t4()))
tso.len = 0
add('ipv4_total_0', eth() / tso, tshark=True, skip=('plen',))

# VLAN
add('vlan', eth() / Dot1Q(vlan=100) / t4(), vlan=[100])
add('vlan6', eth() / Dot1Q(vlan=4094, prio=5) / t6(), vlan=[4094], **six)
add('vlan_padded', bytes(eth() / Dot1Q(vlan=100) / IP(src=A4, dst=B4) / TCP(sport=SP, dport=DP, seq=SEQ, flags='A')) +
    bytes(2), vlan=[100], plen=0, note=['PADDED'], flags=0x10)
add('vlan_priority_only', eth() / Dot1Q(vlan=0, prio=3) / t4(), vlan=[0])
add('qinq_8100', eth() / Dot1Q(vlan=200) / Dot1Q(vlan=100) / t4(), vlan=[200, 100])
add('qinq_88a8', eth() / Dot1AD(vlan=200) / Dot1Q(vlan=100) / t4(), vlan=[200, 100])
add('qinq_9100', eth(type=0x9100) / Raw(struct.pack('>HH', 300, 0x8100)) / Raw(bytes(Dot1Q(vlan=7) / t4())),
    vlan=[300, 7], skip=('vlan',))
add('vlan_x4', eth() / Dot1AD(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / Dot1Q(vlan=4) / t4(), vlan=[1, 2, 3, 4])
add('vlan_x5', eth() / Dot1AD(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / Dot1Q(vlan=4) / Dot1Q(vlan=5) / t6(),
    vlan=[1, 2, 3, 4, 5], **six)

# MPLS
add('mpls', eth() / MPLS(label=16, s=1, ttl=64) / t4(), tunnel=['MPLS:16'])
add('mpls6_stack', eth() / MPLS(label=1000, s=0, ttl=64) / MPLS(label=0xfffff, s=0, ttl=64) / MPLS(label=2, s=1, ttl=64) / t6(),
    tunnel=['MPLS:1000', 'MPLS:1048575', 'MPLS:2'], **six)
add('mpls_pw_cw', Raw(bytes(eth(type=0x8847)) + bytes(MPLS(label=77, s=0, ttl=9)) + bytes(MPLS(label=88, s=1, ttl=9)) +
    bytes(4) + bytes(oui() / t4())), tunnel=['MPLS:77', 'MPLS:88'])
add('mpls_pw_no_cw', Raw(bytes(eth(type=0x8847)) + bytes(MPLS(label=88, s=1, ttl=9)) + bytes(oui() / Dot1Q(vlan=12) / t6())),
    tunnel=['MPLS:88'], vlan=[12], **six)
add('mpls_pw_local_mac', Raw(bytes(eth(type=0x8847)) + bytes(MPLS(label=88, s=1, ttl=9)) +
    bytes(Ether(src='02:00:00:00:00:01', dst='a2:00:00:00:00:02') / t4())), tunnel=['MPLS:88'], tshark=False)
add('vlan_mpls', Raw(bytes(eth(type=0x8100)) + struct.pack('>HH', 5, 0x8847) + bytes(MPLS(label=19, s=1, ttl=2)) + bytes(t4())),
    vlan=[5], tunnel=['MPLS:19'])

# PPPoE, NSH
add('pppoe', eth() / PPPoE(sessionid=0x1234) / PPP(proto=0x21) / t4(), tunnel=['PPPOE:4660'])
add('vlan_pppoe6', eth() / Dot1Q(vlan=35) / PPPoE(sessionid=7) / PPP(proto=0x57) / t6(), vlan=[35], tunnel=['PPPOE:7'], **six)
add('nsh', Raw(bytes(eth(type=0x894f)) + bytes([0x0f, 0xc2, 2, 1]) + struct.pack('>I', 0x00002aff) + bytes(t4())))

add('pbb', Raw(bytes(eth(type=0x88a8)) + struct.pack('>HHI', 500, 0x88e7, 0x00010203) + bytes(eth() / Dot1Q(vlan=6) / t4())),
    vlan=[500, 6])
add('vntag', Raw(bytes(eth(type=0x8926)) + struct.pack('>IH', 0x00640001, 0x8100) + struct.pack('>HH', 21, 0x800) + bytes(t4())),
    vlan=[21])
add('cisco_metadata', Raw(bytes(eth(type=0x8909)) + struct.pack('>BBHHH', 1, 1, 1, 100, 0x86dd) + bytes(t6())), **six)

# IPv6 extension headers
add('ip6_hopopts', eth() / IPv6(src=A6, dst=B6) / IPv6ExtHdrHopByHop(options=[PadN(optdata=b'\0' * 4)]) / tcp(), **six)
add('ip6_dstopts', eth() / IPv6(src=A6, dst=B6) / IPv6ExtHdrDestOpt(options=[PadN(optdata=b'\0' * 12)]) / tcp(), **six)
add('ip6_routing', eth() / IPv6(src=A6, dst=B6) / IPv6ExtHdrRouting(type=4, segleft=0, addresses=['fd00::9']) / tcp(), **six)
add('ip6_ah', eth() / IPv6(src=A6, dst=B6) / AH(nh=6, payloadlen=4, spi=5, seq=1, icv=b'0' * 12) / tcp(), **six)
add('ip4_ah', eth() / IP(src=A4, dst=B4) / AH(nh=6, payloadlen=4, spi=5, seq=1, icv=b'0' * 12) / tcp())
add('ip6_all', eth() / IPv6(src=A6, dst=B6) / IPv6ExtHdrHopByHop(options=[PadN(optdata=b'\0' * 4)]) /
    IPv6ExtHdrDestOpt(options=[PadN(optdata=b'\0' * 4)]) / IPv6ExtHdrRouting(type=4, segleft=0, addresses=['fd00::9']) /
    IPv6ExtHdrFragment(id=9) / AH(nh=60, payloadlen=4, spi=5, seq=1, icv=b'0' * 12) / IPv6ExtHdrDestOpt(options=[PadN(optdata=b'\0' * 4)]) / tcp(),
    **six)
for nh, nm in ((135, 'mobility'), (139, 'hip'), (140, 'shim6')):
    # tshark reads these as ends, not as headers on the way
    add('ip6_' + nm, eth() / IPv6(src=A6, dst=B6, nh=nh) / Raw(bytes([6, 1]) + bytes(14)) / Raw(bytes(t6())[40:]),
        tshark=False, **six)
add('ip6_atomic_fragment', eth() / IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(id=0xabcdef01, offset=0, m=0) / tcp(), **six)

# fragments: payload length is the piece's
add('ip4_fragment_first', eth() / IP(src=A4, dst=B4, id=777, flags='MF') / Raw(bytes(tcp())[:24]), rc='FRAGMENT', plen=24,
    skip=('tcp',))
add('ip4_fragment_last', eth() / IP(src=A4, dst=B4, id=777, frag=3) / Raw(b'z' * 11), rc='FRAGMENT', plen=11, skip=('tcp',))
add('ip6_fragment_first', eth() / IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(nh=6, id=0xabcdef01, offset=0, m=1) /
    Raw(bytes(tcp())[:24]), rc='FRAGMENT', plen=24, skip=('tcp',), **six)
add('ip6_fragment_last', eth() / IPv6(src=A6, dst=B6) / IPv6ExtHdrDestOpt(options=[PadN(optdata=b'\0' * 4)]) /
    IPv6ExtHdrFragment(nh=6, id=0xabcdef01, offset=3, m=0) / Raw(b'z' * 11), rc='FRAGMENT', plen=11, skip=('tcp',), **six)

# IP in IP
add('ipip', eth() / o4() / t4(), tunnel=['IPIP:0'])
add('6in4', eth() / o4() / t6(), tunnel=['IPIP:0'], **six)
add('4in6', eth() / o6() / t4(), tunnel=['IPIP:0'])
add('6in6', eth() / o6() / t6(), tunnel=['IPIP:0'], **six)
add('4in6_dstopts', eth() / o6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b'\0' * 4)]) / t4(), tunnel=['IPIP:0'])
add('etherip', eth() / o4(proto=97) / Raw(b'\x30\0' + bytes(eth() / t4())))
add('srv6_ethernet', eth() / o6(nh=143) / Raw(bytes(eth() / t4())), tshark=False)
add('mpls_in_ip', eth() / o4(proto=137) / Raw(bytes(MPLS(label=30, s=1, ttl=9)) + bytes(t4())), tunnel=['MPLS:30'])

# GRE
add('gre', eth() / o4() / GRE() / t4(), tunnel=['GRE:0'])
add('gre6_in_6', eth() / o6() / GRE() / t6(), tunnel=['GRE:0'], **six)
add('gre_key', eth() / o4() / GRE(key_present=1, key=0xcafe0001) / t4(), tunnel=['GRE:%d' % 0xcafe0001])
add('gre_all', eth() / o4() / GRE(chksum_present=1, key_present=1, seqnum_present=1, key=42, sequence_number=9) / t4(),
    tunnel=['GRE:42'])
add('gre_checksum', eth() / o4() / GRE(chksum_present=1) / t6(), tunnel=['GRE:0'], **six)
add('gre_sequence', eth() / o4() / GRE(seqnum_present=1, sequence_number=9) / t4(), tunnel=['GRE:0'])
add('gretap', eth() / o4() / GRE(proto=0x6558) / eth() / Dot1Q(vlan=9) / t4(), tunnel=['GRE:0'], vlan=[9])
add('nvgre', eth() / o4() / GRE(proto=0x6558, key_present=1, key=0x12345678) / eth() / t4(), tunnel=['NVGRE:%d' % 0x123456],
    skip=('tunnel',))
add('gre_mpls', eth() / o4() / GRE(proto=0x8847) / Raw(bytes(MPLS(label=30, s=1, ttl=9)) + bytes(t4())),
    tunnel=['GRE:0', 'MPLS:30'])
add('gre_wccp2', eth() / o4(proto=47) / Raw(struct.pack('>HHI', 0, 0x883e, 0x01000000) + bytes(t4())), tunnel=['GRE:0'])
add('gre_wccp1', eth() / o4(proto=47) / Raw(struct.pack('>HH', 0, 0x883e) + bytes(t4())), tunnel=['GRE:0'])
add('gre_pptp', eth() / o4(proto=47) / Raw(struct.pack('>HHHHII', 0x3081, 0x880b, len(t4()) + 4, 21, 5, 6) + b'\xff\x03\0\x21' +
    bytes(t4())), tunnel=['GRE:21'], skip=('tunnel',))
add('erspan1', eth() / o4(proto=47) / Raw(struct.pack('>HH', 0, 0x88be) + bytes(eth() / t4())), tunnel=['ERSPAN:0'],
    skip=('tunnel',))
add('erspan2', eth() / o4(proto=47) / Raw(struct.pack('>HHI', 0x1000, 0x88be, 77) + struct.pack('>HHI', 0x1000 | 50, 0x1800 | 101, 3) +
    bytes(eth() / Dot1Q(vlan=50) / t4())), tunnel=['ERSPAN:101'], vlan=[50], skip=('vlan',))
add('erspan3', eth() / o4(proto=47) / Raw(struct.pack('>HHI', 0x1000, 0x22eb, 77) +
    struct.pack('>HHIHH', 0x2000 | 50, 1023, 0x01020304, 0, 0) + bytes(eth() / t6())), tunnel=['ERSPAN:1023'], skip=('vlan',), **six)
add('erspan3_subheader', eth() / o4(proto=47) / Raw(struct.pack('>HHI', 0x1000, 0x22eb, 77) +
    struct.pack('>HHIHHQ', 0x2000 | 50, 9, 0x01020304, 0, 1, 0x3 << 58) + bytes(eth() / t4())), tunnel=['ERSPAN:9'],
    skip=('vlan',))
add('erspan3_ip', eth() / o4(proto=47) / Raw(struct.pack('>HHI', 0x1000, 0x22eb, 77) +
    struct.pack('>HHIHH', 0x2000, 8, 0x01020304, 0, 2 << 10) + bytes(t4())), tunnel=['ERSPAN:8'], tshark=False)

# UDP tunnels
add('vxlan', eth() / o4() / udp(4789) / VXLAN(vni=5000, flags=8) / eth() / t4(), tunnel=['VXLAN:5000'])
add('vxlan_8472', eth() / o4() / udp(8472) / VXLAN(vni=0xffffff, flags=8) / eth() / Dot1Q(vlan=3) / t6(), vlan=[3],
    tunnel=['VXLAN:16777215'], **six)
add('vxlan_gbp', eth() / o6() / udp(4789) / VXLAN(vni=9, flags=0x88, gpid=7) / eth() / t4(), tunnel=['VXLAN:9'])
add('vxlan_vlan_both', eth() / Dot1Q(vlan=10) / o4() / udp(4789) / VXLAN(vni=1, flags=8) / eth() / Dot1Q(vlan=20) / t4(),
    vlan=[10, 20], tunnel=['VXLAN:1'])
add('vxlan_inner_padding', Raw(bytes(eth() / o4() / udp(4789) / VXLAN(vni=1, flags=8) / eth(type=0x800) /
    Raw(bytes(IP(src=A4, dst=B4) / TCP(sport=SP, dport=DP, seq=SEQ, flags='A')) + bytes(6)))), plen=0, tunnel=['VXLAN:1'],
    note=['PADDED'], flags=0x10)
add('vxlan_arp', eth() / o4() / udp(4789) / VXLAN(vni=1, flags=8) / eth() / ARP(), rc='OTHER_IP', tunnel=['VXLAN:1'], skip=('tcp',))
add('vxlan_no_flag', eth() / o4() / udp(4789) / VXLAN(vni=1, flags=0) / eth() / t4(), rc='UDP', src=O4, dst=P4, sport=50000,
    dport=4789, plen=8 + 14 + len(t4()), tshark=False)
for np, nm, inner, kw in ((1, 'ip4', t4(), {}), (2, 'ip6', t6(), six), (3, 'ether', eth() / t4(), {})):
    add('vxlan_gpe_' + nm, eth() / o4() / udp(4790) / Raw(bytes([0xc, 0, 0, np]) + struct.pack('>I', 77 << 8) + bytes(inner)),
        tunnel=['VXLAN_GPE:77'], **kw)
add('vxlan_gpe_nsh', eth() / o4() / udp(4790) / Raw(bytes([0xc, 0, 0, 4]) + struct.pack('>I', 77 << 8) + bytes([0x0f, 0xc2, 2, 3]) +
    struct.pack('>I', 0x00002aff) + bytes(eth() / t4())), tunnel=['VXLAN_GPE:77'])
add('vxlan_gpe_oam', eth() / o4() / udp(4790) / Raw(bytes([0xd, 0, 0, 1]) + struct.pack('>I', 77 << 8) + bytes(t4())), rc='UDP',
    src=O4, dst=P4, sport=50000, dport=4790, plen=8 + len(t4()), tshark=False)
add('geneve', eth() / o4() / udp(6081) / GENEVE(vni=0xabcdef, proto=0x6558) / eth() / t4(), tunnel=['GENEVE:%d' % 0xabcdef])
add('geneve_options_ip6', eth() / o6() / udp(6081) / Raw(bytes([3, 0x40, 0x86, 0xdd, 0, 0, 5, 0, 1, 2, 0x83, 2]) + bytes(8) + bytes(t6())),
    tunnel=['GENEVE:5'], **six)
add('geneve_oam', eth() / o4() / udp(6081) / Raw(bytes([0, 0x80, 0x65, 0x58, 0, 0, 5, 0]) + bytes(eth() / t4())), rc='UDP', src=O4,
    dst=P4, sport=50000, dport=6081, plen=8 + 14 + len(t4()), tshark=False)
add('gtpu', eth() / o4() / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=0xdeadbeef) / t4(), tunnel=['GTPU:%d' % 0xdeadbeef])
add('gtpu_seq', eth() / o4() / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=1, S=1, seq=3) / t6(), tunnel=['GTPU:1'], **six)
add('gtpu_ext', eth() / o4() / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=2, E=1, next_ex=0x85) /
    GTPPDUSessionContainer(type=0, QFI=9, ExtHdrLen=1) / t4(), tunnel=['GTPU:2'])
# 0x20: service class indicator, 0xc0: PDCP number (TS 29.281 table 5.2.1-3)
add('gtpu_ext_two', eth() / o4() / UDP(sport=2152, dport=2152) / Raw(struct.pack('>BBHIHBB', 0x36, 255, len(t4()) + 12, 3, 9, 0, 0x20) +
    bytes([1, 7, 0, 0xc0]) + bytes([1, 0, 5, 0]) + bytes(t4())), tunnel=['GTPU:3'])
add('gtpu_ethernet', eth() / o4() / UDP(sport=2152, dport=2152) / Raw(struct.pack('>BBHI', 0x30, 255, len(eth() / t4()), 4) +
    bytes(eth() / t4())), tunnel=['GTPU:4'], tshark=False)
add('gtpu_echo', eth() / o4() / UDP(sport=2152, dport=2152) / Raw(struct.pack('>BBHIHBB', 0x32, 1, 4, 0, 1, 0, 0)), rc='UDP', src=O4,
    dst=P4, sport=2152, dport=2152, plen=12, skip=('tunnel',))
add('mpls_in_udp', eth() / o4() / udp(6635) / Raw(bytes(MPLS(label=31, s=1, ttl=9)) + bytes(t4())), tunnel=['MPLS:31'])
add('gre_in_udp', eth() / o4() / udp(4754) / GRE(key_present=1, key=8) / t4(), tunnel=['GRE:8'])
add('l2tp2', eth() / o4() / UDP(sport=1701, dport=1701) / Raw(struct.pack('>HHHH', 0x4002, 8 + 4 + len(t4()), 11, 22) + b'\xff\x03\0\x21' +
    bytes(t4())), tunnel=['L2TP:22'])
add('l2tp2_all', eth() / o4() / UDP(sport=1701, dport=1701) / Raw(struct.pack('>HHHHHHH', 0x4a02, 14 + 3 + 4 + len(t4()), 11, 22, 1, 2, 3) +
    b'\0\0\0\xff\x03\0\x21' + bytes(t4())), tunnel=['L2TP:22'], tshark=False)
add('l2tp2_control', eth() / o4() / UDP(sport=1701, dport=1701) / Raw(struct.pack('>HHHHHH', 0xc802, 12, 11, 0, 1, 1)), rc='UDP', src=O4,
    dst=P4, sport=1701, dport=1701, plen=12, skip=('tunnel',))
add('l2tp3_ip', eth() / o4(proto=115) / Raw(struct.pack('>I', 0x01020304) + bytes(eth() / t4())), tunnel=['L2TPV3:%d' % 0x01020304],
    skip=('tcp', 'tunnel'))
add('l2tp3_ip_cookie_sublayer', eth() / o4(proto=115) / Raw(struct.pack('>IQI', 7, 0x1122334455667788, 0x40000001) + bytes(eth() / t6())),
    tunnel=['L2TPV3:7'], tshark=False, **six)
add('l2tp3_udp', eth() / o4() / udp(1701) / Raw(struct.pack('>III', 3 << 16, 9, 0) + bytes(eth() / t4())), tunnel=['L2TPV3:9'],
    tshark=False)

# tunnels in tunnels
add('nested_3', eth() / o4() / udp(4789) / VXLAN(vni=6, flags=8) / eth() / Dot1Q(vlan=8) / o6() / GRE(key_present=1, key=3) / o4() / t4(),
    vlan=[8], tunnel=['VXLAN:6', 'GRE:3', 'IPIP:0'])
deep = t4()
for _ in range(13):
    deep = o4() / deep
add('ipip_x13', eth() / deep, tunnel=['IPIP:0'] * 13, rc='DEPTH', tshark=False)
add('vlan_x16', Raw(bytes(12) + struct.pack('>HH', 0x8100, 1) * 16 + struct.pack('>H', 0x800) + bytes(t4())), vlan=[1] * 16, rc='DEPTH',
    tshark=False)

# other links
add('sll', CookedLinux(proto=0x800) / t4(), link='SLL')
add('sll_vlan6', Raw(bytes(CookedLinux(proto=0x8100)) + struct.pack('>HH', 44, 0x86dd) + bytes(t6())), link='SLL', vlan=[44], **six)
add('sll2', Raw(struct.pack('>HHIHBB8s', 0x86dd, 0, 3, 1, 0, 6, bytes(8)) + bytes(t6())), link='SLL2', **six)
add('raw4', t4(), link='RAW')
add('raw6', t6(), link='RAW', **six)
add('null_le', Raw(struct.pack('<I', 2) + bytes(t4())), link='NULL')
add('null_be', Raw(struct.pack('>I', 2) + bytes(t4())), link='NULL', tshark=False)
for af in (10, 24, 28, 30):
    add('null6_%d' % af, Raw(struct.pack('<I', af) + bytes(t6())), link='NULL', tshark=af in (24, 28, 30), **six)
add('ppp', Raw(b'\0\x21' + bytes(t4())), link='PPP')
add('ppp_hdlc6', Raw(b'\xff\x03\0\x57' + bytes(t6())), link='PPP', **six)
add('ppp_compressed', Raw(b'\x21' + bytes(t4())), link='PPP')
add('chdlc', Raw(b'\x0f\0\x08\0' + bytes(t4())), link='PPP', tshark=False)

# no flow
add('arp', eth() / ARP(), rc='NOT_IP', skip=('tcp',))
add('icmp', eth() / IP(src=A4, dst=B4) / ICMP(), rc='OTHER_IP', skip=('tcp',))
add('esp', eth() / IP(src=A4, dst=B4, proto=50) / Raw(bytes(40)), rc='OTHER_IP', skip=('tcp',))
add('stp', Raw(bytes.fromhex('0180c2000000' '020000000001' '0026' '424203') + bytes(35)), rc='NOT_IP', skip=('tcp',))
add('pppoe_lcp', eth() / PPPoE(sessionid=2) / PPP(proto=0xc021) / Raw(bytes(10)), rc='NOT_IP', tunnel=['PPPOE:2'], skip=('tcp',))
add('gre_pptp_ack', eth() / o4(proto=47) / Raw(struct.pack('>HHHHI', 0x2081, 0x880b, 0, 21, 6)), rc='OTHER_IP', skip=('tcp',))
add('ip6_jumbogram', Raw(bytes(eth(type=0x86dd)) + bytes(IPv6(src=A6, dst=B6, nh=0, plen=0)) +
    bytes([6, 0, 0xc2, 4]) + struct.pack('>I', 70000) + bytes(tcp())), rc='OTHER_IP', tshark=False)

# headers that contradict themselves
def bad(name, pkt, **kw):
    add(name, pkt, rc='MALFORMED', tshark=False, **kw)


def patched(pkt, at, val):
    b = bytearray(bytes(pkt))
    b[at] = val
    return bytes(b)


bad('ip4_version', patched(eth() / t4(), 14, 0x55))
bad('ip4_ihl_4', patched(eth() / t4(), 14, 0x44))
bad('ip4_ihl_beyond_length', eth() / IP(src=A4, dst=B4, ihl=15, len=50) / tcp())
bad('ip4_length_19', eth() / IP(src=A4, dst=B4, len=19) / tcp())
bad('ip4_no_room_for_tcp', eth() / IP(src=A4, dst=B4, len=39) / tcp())
bad('ip6_version', patched(eth() / t6(), 14, 0x40), )
bad('ip6_no_room_for_tcp', eth() / IPv6(src=A6, dst=B6, plen=19) / tcp())
bad('ip6_ext_beyond_length', eth() / IPv6(src=A6, dst=B6, plen=8) / IPv6ExtHdrHopByHop(len=1) / tcp())
bad('tcp_offset_4', patched(eth() / t4(), 14 + 20 + 12, 0x40))
bad('tcp_offset_beyond', patched(eth() / t4(), 14 + 20 + 12, 0xf0))
bad('udp_length_7', eth() / IP(src=A4, dst=B4) / UDP(len=7) / Raw(b'x' * 9))
bad('udp_length_beyond', eth() / IP(src=A4, dst=B4) / UDP(len=18) / Raw(b'x' * 9))
bad('ah_too_short', eth() / IP(src=A4, dst=B4) / AH(nh=6, payloadlen=0) / tcp())
bad('nsh_length_0', Raw(bytes(eth(type=0x894f)) + bytes([0, 0, 2, 1]) + bytes(4) + bytes(t4())))

FIELDS = ['ip.src', 'ip.dst', 'ipv6.src', 'ipv6.dst', 'tcp.srcport', 'tcp.dstport', 'tcp.seq_raw', 'tcp.ack_raw', 'tcp.flags',
          'tcp.len', 'tcp.window_size_value', 'udp.srcport', 'udp.dstport', 'udp.length', 'ieee8021ad.id', 'vlan.id', 'mpls.label', 'vxlan.vni', 'gtp.teid',
          'gre.key', 'geneve.vni', 'pppoe.session_id', 'erspan.spanid', 'l2tp.session', 'frame.protocols']
IDFIELD = {'MPLS': 'mpls.label', 'VXLAN': 'vxlan.vni', 'VXLAN_GPE': 'vxlan.vni', 'GTPU': 'gtp.teid', 'GRE': 'gre.key',
           'GENEVE': 'geneve.vni', 'PPPOE': 'pppoe.session_id', 'ERSPAN': 'erspan.spanid', 'L2TP': 'l2tp.session'}


def ask_tshark(link, group):
    """One dict of field -> list of values for each frame."""
    with tempfile.NamedTemporaryFile(suffix='.pcap', delete=False) as f:
        f.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, DLT[link]))
        for i, x in enumerate(group):
            f.write(struct.pack('<IIII', i, 0, len(x['raw']), len(x['raw'])) + x['raw'])
    cmd = ['tshark', '-n', '-r', f.name, '-o', 'tcp.relative_sequence_numbers:false', '-o', 'ip.defragment:false', '-o',
           'ipv6.defragment:false', '-d', 'udp.port==8472,vxlan', '-T', 'fields', '-E', 'separator=/t',
           '-E', 'occurrence=a', '-E', 'aggregator=,']
    for x in FIELDS:
        cmd += ['-e', x]
    out = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
    os.unlink(f.name)
    for line in out.rstrip('\n').split('\n'):
        yield {k: (v.split(',') if v else []) for k, v in zip(FIELDS, line.split('\t'))}


def number(s):
    return int(s, 0)


def compare(x, t):
    """Yields (what, ours, tshark's) for each difference."""
    v6 = ':' in x['src']
    if x['rc'] in ('TCP', 'UDP') and 'tcp' not in x['skip']:
        p = 'tcp' if x['rc'] == 'TCP' else 'udp'
        for what, field in (('src', 'ipv6.src' if v6 else 'ip.src'), ('dst', 'ipv6.dst' if v6 else 'ip.dst'),
                            ('sport', p + '.srcport'), ('dport', p + '.dstport')):
            got = t[field][-1] if t[field] else None
            if str(x[what]) != got:
                yield what, x[what], got
    if x['rc'] == 'TCP' and 'tcp' not in x['skip']:
        for what, field in (('seq', 'tcp.seq_raw'), ('plen', 'tcp.len'), ('flags', 'tcp.flags')):
            got = number(t[field][-1]) if t[field] else None
            if x[what] != got and what not in x['skip']:
                yield what, x[what], got
    if x['rc'] == 'UDP' and 'tcp' not in x['skip'] and x['plen'] + 8 != number(t['udp.length'][-1]):
        yield 'plen', x['plen'] + 8, t['udp.length']
    if x['rc'] not in ('TCP', 'UDP') and t['tcp.srcport'] and x['rc'] != 'FRAGMENT':
        yield 'no tcp', x['rc'], t['tcp.srcport']
    if 'vlan' not in x['skip'] and [str(v) for v in x['vlan']] != t['ieee8021ad.id'] + t['vlan.id']:
        yield 'vlan', x['vlan'], t['ieee8021ad.id'] + t['vlan.id']
    if 'tunnel' in x['skip']:
        return
    for kind, field in IDFIELD.items():
        want = [int(y.split(':')[1]) for y in x['tunnel'] if y.split(':')[0] == kind]
        if kind == 'VXLAN':
            want += [int(y.split(':')[1]) for y in x['tunnel'] if y.split(':')[0] == 'VXLAN_GPE']
        if kind == 'VXLAN_GPE':
            continue
        got = [number(y) for y in t[field]]
        if kind == 'GRE':  # 0 stands for no key
            want = [y for y in want if y]
        if want != got:
            yield kind, want, got


def check():
    bad = 0
    for link in DLT:
        group = [x for x in frames if x['link'] == link and x['tshark']]
        for x, t in zip(group, ask_tshark(link, group)):
            for what, ours, theirs in compare(x, t):
                print('%s: %s: %s, tshark says %s (%s)' % (x['name'], what, ours, theirs, t['frame.protocols']), file=sys.stderr)
                bad += 1
    return bad


def row(x):
    note = ' | '.join('PSI_PKT_' + n for n in x['note'] + ([] if ':' in x['src'] else ['IPV4'])) or '0'
    return 'FRAME(%s, %s, %s, "%s", %d, "%s", %d, 0x%x, 0x%x, %d, "%s", "%s", %s,\n      "%s")\n' % (
        x['name'], x['link'], x['rc'], x['src'], x['sport'], x['dst'], x['dport'], x['seq'], x['flags'], x['plen'],
        ' '.join(map(str, x['vlan'])), ' '.join(x['tunnel']), note, x['raw'].hex())


def main():
    if check():
        return 1
    print('/* Made by tests/ref/make_frames.py from scapy frames that tshark reads alike; do not edit.\n'
          ' * FRAME(name, link, result, source, port, destination, port, sequence, TCP flags, payload bytes, VLAN ids,\n'
          ' *       tunnels as KIND:id, notes, bytes in hex). */')
    for x in frames:
        sys.stdout.write(row(x))
    if '--seeds' in sys.argv:
        folder = sys.argv[sys.argv.index('--seeds') + 1]
        for x in frames:
            if len(x['raw']) < 1000:
                with open(os.path.join(folder, x['name']), 'wb') as f:
                    f.write(bytes([list(DLT).index(x['link'])]) + x['raw'])
    return 0


sys.exit(main())
