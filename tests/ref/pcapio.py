# SPDX-License-Identifier: BSD-3-Clause
"""Capture files, read and written by hand: classic pcap in both byte orders and both resolutions, and pcapng.

Standard library only; used to make and to spoil captures, never by the engine. A packet is (time in ns, bytes on the
wire, captured bytes). Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""
import struct

MAGIC_US, MAGIC_NS = 0xa1b2c3d4, 0xa1b23c4d


def read(path):
    """Reads a classic pcap. Returns (link type, list of packets); a file cut short is an error."""
    with open(path, "rb") as f:
        data = f.read()
    for order in "<>":
        magic = struct.unpack_from(order + "I", data)[0] if len(data) >= 24 else None
        if magic in (MAGIC_US, MAGIC_NS):
            break
    else:
        raise ValueError("%s: not a pcap file" % path)
    unit = 1000 if magic == MAGIC_US else 1
    link = struct.unpack_from(order + "I", data, 20)[0] & 0x0fffffff
    packets, off = [], 24
    while off < len(data):
        if len(data) - off < 16:
            raise ValueError("%s: cut short in the header at byte %d" % (path, off))
        sec, frac, cap, wire = struct.unpack_from(order + "IIII", data, off)
        off += 16
        if len(data) - off < cap:
            raise ValueError("%s: cut short in the packet at byte %d" % (path, off - 16))
        packets.append((sec * 10**9 + frac * unit, wire, data[off:off + cap]))
        off += cap
    return link, packets


def pcap(packets, link=1, order="<", ns=False, snaplen=262144):
    """The bytes of a classic pcap."""
    out = [struct.pack(order + "IHHiIII", MAGIC_NS if ns else MAGIC_US, 2, 4, 0, 0, snaplen, link)]
    for t, wire, data in packets:
        out.append(struct.pack(order + "IIII", t // 10**9, t % 10**9 // (1 if ns else 1000), len(data), wire) + data)
    return b"".join(out)


def _pad(b):
    return b + bytes(-len(b) % 4)


def _block(order, kind, body):
    n = 12 + len(body)
    return struct.pack(order + "II", kind, n) + body + struct.pack(order + "I", n)


def _opts(order, *pairs):
    """Options that have a value, and the end mark if there are any."""
    out = [struct.pack(order + "HH", code, len(value)) + _pad(value) for code, value in pairs if value is not None]
    return b"".join(out + [bytes(4)]) if out else b""


def ng_section(order="<", comment=None):
    return _block(order, 0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1) + _opts(order, (1, comment)))


def ng_interface(link, order="<", digits=6):
    """An interface description; its time stamps count 10**-digits seconds (no option when 6: that is the default)."""
    resolution = bytes([digits]) if digits != 6 else None
    return _block(order, 1, struct.pack(order + "HHI", link, 0, 0) + _opts(order, (9, resolution)))


def ng_packet(packet, interface=0, order="<", digits=6, comment=None):
    t, wire, data = packet
    stamp = t // 10**(9 - digits)
    return _block(order, 6, struct.pack(order + "IIIII", interface, stamp >> 32, stamp & 0xffffffff, len(data), wire)
                  + _pad(data) + _opts(order, (1, comment)))


def ng_unknown(order="<"):
    """A block of a type that nobody has defined: readers skip it by its length."""
    return _block(order, 0x40000001, b"skip me please..")
