#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""pinsight-gen: is its traffic what was asked for?

    tests/replay/gen_test.py GEN PINSIGHT TOP [--tshark]

The captures are read with pcapio (ours, independent of the generator), by `pinsight read`, and with --tshark by tshark,
which then also checks every checksum and length. Exit status 77, skipped, without tshark.
"""
import collections
import ipaddress
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
GEN, PINSIGHT, TOP = map(os.path.abspath, sys.argv[1:4])
sys.path.insert(0, os.path.join(TOP, "tests", "ref"))
import pcapio  # noqa: E402

faults = 0


def check(ok, what):
    global faults
    if not ok:
        faults += 1
        print("FAULT: " + what)


def gen(kind, out, *options):
    r = subprocess.run([GEN, kind, "-q", "-o", out, *options], capture_output=True, text=True)
    check(r.returncode == 0 and not r.stderr, "pinsight-gen %s %s: %s" % (kind, options, r.stderr))
    return out


def read(pcap, *options):
    """Events by (source, port), and the ledger's text. Each connection is judged by itself, as the labels are meant."""
    r = subprocess.run([PINSIGHT, "read", "--json", "--set", "correlation.enabled=false", *options, pcap],
                       capture_output=True, text=True)
    check(r.returncode == 0, "pinsight read: " + r.stderr)
    events = [json.loads(line) for line in r.stdout.splitlines()]
    check(len(re.findall("balanced", r.stderr)) == 3 and "MISSING" not in r.stderr, "the ledger: " + r.stderr)
    return {(e["src_ip"], e["src_port"]): e for e in events}, r.stderr


def labels(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def same_bytes():
    for kind, options in (("tcp", []), ("tcp", ["--open", "tls"]), ("https", []), ("handshakes", []), ("clients", []),
                          ("syn-flood", []), ("udp-flood", ["--stamp", "--size", "128"]), ("frag-flood", []),
                          ("tcp", ["--open", "none", "--flow-packets", "0", "--zipf", "1.1"])):
        options = options + ["--flows", "60", "--packets", "3000"]
        data = []
        for seed in ("5", "5", "6"):
            with open(gen(kind, "seed.pcap", "--seed", seed, *options), "rb") as f:
                data.append(f.read())
        check(data[0] == data[1], "%s: the same seed gives other bytes" % kind)
        check(data[0] != data[2], "%s: another seed gives the same bytes" % kind)
        check(len(data[0]) > 10000, "%s: %d bytes only" % (kind, len(data[0])))


def templates():
    """templates.def says of each recorded connection what the recording's labels say."""
    known = {l["sport"]: l for l in labels(os.path.join(TOP, "tests/captures/demo.labels.jsonl"))}
    with open(os.path.join(TOP, "app/pinsight-gen/templates.def")) as f:
        rows = re.findall(r"^TEMPLATE\((\d+), (\w+), +(.*)\)", f.read(), re.M)
    check(len(rows) > 20, "%d templates" % len(rows))
    truth = {"DIRECT": "normal", "PROXY": "normal", "PINNED": "pinned", "NO_CA": "unknown_ca"}
    for port, group, rest in rows:
        l, row = known[int(port)], re.findall('"([^"]*)"', rest)
        check(row == [l[k] for k in ("client", "case", "app", "path", "tls", "truth", "expected")],
              "template %s: %s, the recording %s" % (port, row, l))
        check(l["truth"] == truth[group] and (l["path"] == "direct") == (group == "DIRECT"), "group of %s" % port)


def verdicts():
    """Every connection is judged as it was made; shares and consistency as asked for."""
    gen("clients", "c.pcap", "--flows", "1500", "--clients", "40", "--pinned", "0.1", "--unknown-ca", "0.25", "--labels",
        "c.jsonl", "--ca", "ca.pem")
    events, _ = read("c.pcap", "--roots", "ca.pem")
    rows = labels("c.jsonl")
    check(len(rows) == 1500 and len(events) == 1500, "%d labels, %d events" % (len(rows), len(events)))
    for l in rows:
        e = events[l["src"], l["sport"]]
        check((e["dest_ip"], e["dest_port"]) == (l["dst"], 443), "server of %s" % l["id"])
        check(e["verdict"]["class"] == l["expected"], "%s: %s, made to be %s" % (l["id"], e["verdict"], l))
        check(e["tls"]["sni"] == l["sni"] and e["tls"]["version"] == "TLS " + l["tls"], "%s: %s" % (l["id"], e["tls"]))
        if e["tls"].get("chain"):
            check(e["tls"]["cert_status"] == ["VALID"] and e["tls"]["subject"] == "CN=" + l["sni"],
                  "%s: certificate %s %s" % (l["id"], e["tls"]["cert_status"], e["tls"]["subject"]))
    n = collections.Counter(l["truth"] for l in rows)
    # of 1500 drawn: three standard deviations are 35 and 51
    check(abs(n["pinned"] - 150) < 35 and abs(n["unknown_ca"] - 375) < 51, "shares: %s" % n)
    distrusting = {l["src"] for l in rows if l["truth"] == "unknown_ca"}
    check(len(distrusting) == 10, "%d clients of 40 without the CA" % len(distrusting))
    check(not any(l["truth"] != "unknown_ca" for l in rows if l["src"] in distrusting), "a client that cannot decide")
    check(not any("/" in l["sni"] for l in rows) and len({l["sni"] for l in rows}) == 64, "64 names")


def mix():
    """330 packets a connection, 800 to 900 bytes a packet."""
    gen("https", "h.pcap", "--flows", "300", "--labels", "h.jsonl", "--ca", "ca.pem", "--seed", "3")
    packets = pcapio.read("h.pcap")[1]
    mean = sum(len(p[2]) for p in packets) / len(packets)
    check(800 <= mean <= 900, "%.1f bytes a packet" % mean)
    check(300 <= len(packets) / 300 <= 360, "%.1f packets a connection" % (len(packets) / 300))
    check(all(b[0] > a[0] for a, b in zip(packets, packets[1:])), "time goes on")
    check(abs(packets[-1][0] - packets[0][0] - (len(packets) - 1) * 10000) < 2, "100,000 packets a second")
    events, _ = read("h.pcap", "--roots", "ca.pem")
    check(collections.Counter(e["verdict"]["class"] for e in events.values()) == {"normal": 300}, "all normal")
    for l in labels("h.jsonl"):
        check(events[l["src"], l["sport"]]["tls"]["sni"] == l["sni"], "name of " + l["id"])


def chains():
    gen("handshakes", "t.pcap", "--flows", "90", "--tls13", "0", "--chains", "30", "--labels", "t.jsonl", "--ca", "ca.pem")
    events, _ = read("t.pcap", "--roots", "ca.pem")
    seen = {e["tls"]["fingerprint"] for e in events.values()}
    check(len(events) == 90 and len(seen) == 30, "%d flows, %d distinct certificates of 30" % (len(events), len(seen)))
    check(len({e["tls"]["serial"] for e in events.values()}) == 30, "30 serial numbers")
    for l in labels("t.jsonl"):
        tls = events[l["src"], l["sport"]]["tls"]
        check(tls["cert_status"] == ["VALID"], "%s: %s" % (l["id"], tls["cert_status"]))
        check(len(tls["chain"]) == 3 and tls["subject"] == "CN=" + l["sni"] == "CN=" + tls["sni"], "%s: %s" % (l, tls))
    # more chains than are signed: the recorded signature stays
    gen("handshakes", "t.pcap", "--flows", "20", "--tls13", "0", "--chains", "10001")
    events, _ = read("t.pcap", "--roots", "ca.pem")
    check(all("INVALID_SIGNATURE" in e["tls"]["cert_status"] for e in events.values()) and len(events) == 20, "20 without")
    gen("handshakes", "t.pcap", "--flows", "60", "--tls13", "1", "--ipv6", "0.5")
    events, _ = read("t.pcap")
    check(collections.Counter(e["tls"]["version"] for e in events.values()) == {"TLS 1.3": 60}, "TLS 1.3 only")
    v6 = sum(ipaddress.ip_address(src).version == 6 for src, _ in events)
    check(10 < v6 < 50, "%d of 60 in IPv6" % v6)


def told(events, whole=True):
    return sorted((k, e["tls"].get("sni"), e["tls"].get("version"), e["verdict"]["class"],
                   whole and e["tls"].get("fingerprint")) for k, e in events.items())


def segments():
    """The same connections in other pieces are read the same."""
    base = ["--flows", "40", "--seed", "9"]
    want = told(read(gen("clients", "s.pcap", *base))[0])
    for options in (["--mss", "100"], ["--mss", "300", "--order", "reversed"], ["--mss", "77", "--order", "shuffled"],
                    ["--fragment", "576"], ["--fragment", "68", "--mss", "200"]):
        check(told(read(gen("clients", "s.pcap", *base, *options))[0]) == want, "read otherwise with %s" % options)
    # byte by byte: of a certificate only the bound of its pieces is kept, everything else is read
    got = told(read(gen("clients", "s.pcap", *base, "--mss", "1"))[0], False)
    check(got == [(*row[:4], False) for row in want], "read otherwise byte by byte")
    # more early segments than anybody keeps: whatever is made of it, nothing is lost uncounted
    read(gen("clients", "s.pcap", *base, "--mss", "1", "--order", "reversed"))


def tcp():
    gen("tcp", "t.pcap", "--flows", "500", "--flow-packets", "7")
    packets = pcapio.read("t.pcap")[1]
    flows = collections.Counter(tuple(sorted((d[26:30] + d[34:36], d[30:34] + d[36:38]))) for _, _, d in packets)
    check(len(packets) == 3500 and set(flows.values()) == {7} and len(flows) == 500, "500 flows of 7 packets")
    check({len(d) for _, _, d in packets} == {60, 62}, "60 bytes; 62 a SYN with its options")
    _, ledger = read("t.pcap")
    check("3,500  TCP packets" in ledger and re.search("Flows: 500 opened", ledger), "500 flows: " + ledger)
    gen("tcp", "t.pcap", "--open", "tls", "--flows", "50", "--live", "20", "--flow-packets", "0", "--packets", "200000")
    events, ledger = read("t.pcap")
    check(len(events) == 50 and "stream_gap" not in ledger, "50 TLS flows: " + ledger)
    # 53 of 64 bytes are headers and FCS; every record is 16401 bytes behind a header of 5; what the first packets were
    # is in the capture: so the records' bytes follow from the packets' number
    sent = collections.Counter()
    for _, _, d in pcapio.read("t.pcap")[1]:
        if len(d) == 60 and struct.unpack(">H", d[16:18])[0] == 46:
            sent[str(ipaddress.ip_address(d[26:30])), struct.unpack(">H", d[34:36])[0], d[34:36] != b"\x01\xbb"] += 6
    check(sum(sent.values()) > 1000000, "%d bytes in small packets" % sum(sent.values()))
    gen("tcp", "z.pcap", "--open", "none", "--flow-packets", "0", "--packets", "200000", "--flows", "1000", "--zipf", "1")
    n = collections.Counter(min(d[34:36], d[36:38]) + max(d[34:36], d[36:38]) + bytes(sorted(d[26:34]))
                            for _, _, d in pcapio.read("z.pcap")[1]).most_common()
    h = sum(1 / k for k in range(1, 1001))
    for k in (1, 2, 10):
        want = 200000 / k / h  # Zipf with exponent 1; standard deviation is below its root
        check(abs(n[k - 1][1] - want) < 6 * want ** 0.5, "rank %d: %d packets, not %.0f" % (k, n[k - 1][1], want))


def floods():
    for kind, row in (("syn-flood", "TCP packets"), ("udp-flood", "UDP packets"), ("frag-flood", "IP fragments")):
        _, ledger = read(gen(kind, "f.pcap", "--packets", "4000"))
        check(re.search("4,000 .*received, balanced", ledger) and row in ledger, "%s: %s" % (kind, ledger))
    gen("udp-flood", "f.pcap", "--packets", "100", "--size", "128", "--stamp", "--pps", "1M", "--burst", "10")
    times = [t for t, _, _ in pcapio.read("f.pcap")[1]]
    check([t - times[0] for t in times] == [i // 10 * 10000 for i in range(100)], "bursts of ten every 10 us")
    for i, (t, _, d) in enumerate(pcapio.read("f.pcap")[1]):
        check(len(d) == 124 and d[-24:] == b"PSISTAMP" + struct.pack(">QQ", i, t), "stamp %d" % i)


def port():
    """Through a DPDK port into a file: the same frames, at their rate."""
    options = ["--flows", "200", "--gbps", "0.1"]
    gen("handshakes", "p.pcap", *options)
    r = subprocess.run([GEN, "handshakes", *options, "--port", "net_pcap0", "--eal=--no-huge --no-pci --no-shconf "
                        "--no-telemetry -m 64 --vdev=net_pcap0,tx_pcap=tx.pcap --log-level=*:error"],
                       capture_output=True, text=True)
    if "net_pcap" in r.stderr and r.returncode:
        print("skipped: no net_pcap driver here: " + r.stderr)
        return
    check(r.returncode == 0, "port: " + r.stderr)
    check([d for _, _, d in pcapio.read("tx.pcap")[1]] == [d for _, _, d in pcapio.read("p.pcap")[1]], "other frames sent")
    check(" Mpps" in r.stderr, "port says no rate: " + r.stderr)


def stamped_tls():
    """A stamp in every small packet behind the handshakes, which stay what they are."""
    gen("tcp", "s.pcap", "--open", "tls", "--stamp", "--size", "128", "--flows", "20", "--flow-packets", "0", "--packets", "2000")
    events, _ = read("s.pcap")
    check(len(events) == 20 and all(e["tls"]["version"] == "TLS 1.3" for e in events.values()), "20 stamped TLS flows: %d" % len(events))
    packets = pcapio.read("s.pcap")[1]
    with_stamp = [i for i, p in enumerate(packets) if p[2][-24:-16] == b"PSISTAMP"]
    check(len(with_stamp) > 1500 and all(struct.unpack(">Q", packets[i][2][-16:-8])[0] == i for i in with_stamp), "%d stamps" % len(with_stamp))


def wrong_calls():
    for args, word in ((["nonsense", "-o", "x"], "nonsense"), (["tcp"], "where to"), (["tcp", "-o", "x", "--mss", "0"], "mss"),
                       (["https", "-o", "x", "--tls13", "2"], "tls13"), (["https", "-o", "x", "--flows", "3x"], "3x"),
                       (["syn-flood", "-o", "x", "--packets", "0"], "never ends"), (["https", "--bogus"], "bogus"),
                       (["clients", "-o", "x", "--pinned", "0.7", "--unknown-ca", "0.7"], "at most 1"),
                       (["tcp", "-o", "x", "--stamp"], "102 bytes"), (["https", "-o", "x", "--stamp", "--size", "128"], "tcp and floods"),
                       (["https", "-o", "/nonexistent/x"], "/nonexistent/x"), (["tcp", "-o", "x", "y"], "y")):
        r = subprocess.run([GEN, *args], capture_output=True, text=True)
        check(r.returncode in (1, 2) and word in r.stderr, "%s: %d %s" % (args, r.returncode, r.stderr))


# ---- tshark ----

def tshark(pcap, *options):
    r = subprocess.run(["tshark", "-n", "-r", pcap, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-o",
                        "udp.check_checksum:TRUE", *options], capture_output=True, text=True)
    check(r.returncode == 0, "tshark: " + r.stderr)
    return r.stdout.splitlines()


BAD = ("_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0 || udp.checksum.status == 0 || "
       "ip.len > frame.len || tcp.analysis.ack_lost_segment || tcp.analysis.lost_segment || tcp.analysis.retransmission || "
       "tcp.analysis.out_of_order || tls.alert_message.desc == 50")


def by_tshark():
    for kind, options in (("https", ["--flows", "60"]), ("clients", ["--flows", "200"]), ("handshakes", ["--flows", "200"]),
                          ("handshakes", ["--flows", "100", "--ipv6", "1"]), ("clients", ["--flows", "20", "--mss", "50"]),
                          ("clients", ["--flows", "50", "--fragment", "300"]), ("tcp", ["--flows", "300"]),
                          ("tcp", ["--open", "tls", "--flows", "30", "--flow-packets", "0", "--packets", "9000"]),
                          ("udp-flood", ["--packets", "500", "--size", "300", "--stamp"])):
        gen(kind, "t.pcap", "--labels", "t.jsonl", *options)
        # random bytes in UDP look like this or that protocol to tshark, by their ports
        bad = tshark("t.pcap", "-Y", BAD[len("_ws.malformed || "):] if kind == "udp-flood" else BAD)
        check(not bad, "%s %s: tshark objects to %d packets: %s" % (kind, options, len(bad), bad[:2]))
        if kind not in ("https", "clients", "handshakes"):
            continue
        rows = {(l["src"], str(l["sport"])): l for l in labels("t.jsonl")}
        hellos, names = collections.Counter(), set()
        for line in tshark("t.pcap", "-Y", "tls.handshake.type == 1", "-T", "fields", "-E", "separator=;", "-e", "ip.src",
                           "-e", "ipv6.src", "-e", "tcp.srcport", "-e", "tls.handshake.extensions_server_name",
                           "-e", "tls.handshake.random"):
            v4, v6, sport, sni, rnd = line.split(";")
            l = rows[v4 or v6, sport]
            check(sni == l["sni"], "%s %s: tshark reads %s, made to be %s" % (kind, options, sni, l["sni"]))
            hellos[v4 or v6, sport] += 1
            names.add((rnd, v4 or v6, sport))
        check(set(hellos) == set(rows), "%s: %d hellos of %d connections" % (kind, len(hellos), len(rows)))
        # a second hello, after HelloRetryRequest, repeats the random; no two connections share one
        check(len(names) == len(rows) == len({r for r, _, _ in names}), "%s: randoms" % kind)
    gen("handshakes", "t.pcap", "--flows", "50", "--tls13", "0", "--chains", "20")
    certs = [line.split(";") for line in tshark("t.pcap", "-Y", "tls.handshake.type == 11", "-T", "fields", "-E", "separator=;",
                                                "-e", "tls.handshake.certificate", "-e", "x509sat.uTF8String")]
    check(len(certs) == 50 and all(len(c[0].split(",")) == 3 for c in certs), "chains of three")
    check(len({c[0].split(",")[0] for c in certs}) == 20, "20 distinct leaves")


def main():
    by = "--tshark" in sys.argv
    if by and not shutil.which("tshark"):
        print("skipped: no tshark (apt-get install tshark)")
        return 77
    with tempfile.TemporaryDirectory() as d:
        os.chdir(d)
        for part in ([by_tshark] if by else [same_bytes, templates, verdicts, mix, chains, segments, tcp, floods, port,
                                             stamped_tls, wrong_calls]):
            part()
        os.chdir("/")
    print("%d faults" % faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
