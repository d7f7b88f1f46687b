#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/bench/report and plot over made-up results: does the page say what the results say?

    tests/replay/bench_report_test.py TOP
"""
import json
import os
import subprocess
import sys
import tempfile

TOP = os.path.abspath(sys.argv[1])
faults = 0


def check(ok, what):
    global faults
    if not ok:
        faults += 1
        print("FAULT: " + what)


def stage(part, scenario, name, cycles, **more):
    return dict({"type": "stage", "part": part, "scenario": scenario, "stage": name, "flows": 1000000, "live": 100, "size": 64,
                 "burst": 32, "ring": 1024, "workers": 1, "chains": 1000, "tls13": 0, "zipf": 0, "reps": 5, "cycles": cycles,
                 "lowest": cycles - 1, "highest": cycles + 1, "baseline": 20, "ratio": cycles / 20, "mpps": 2300 / cycles,
                 "gbps": 10, "bytes_per_packet": 60, "taken": 0.0, "load": 0.5, "revision": "r1"}, **more)


ROWS = [
    {"type": "machine", "part": "established", "cpu": "Some CPU", "tsc_ghz": 2.3, "cores": 4, "huge_pages": True, "load": 0.4,
     "counters": False, "time": 1796083200, "revision": "r1"},
    *[stage("established", "established", s, c) for s, c in (("receive", 20), ("decode", 40), ("flow", 70), ("collector", 121),
                                                            ("ring", 122))],
    stage("established", "established", "worker", 120, rss_per_flow=79.5),
    stage("established-10M", "established", "worker", 151, flows=10000000),
    stage("https", "https", "worker", 200, gbps=41),
    stage("https-live", "https", "worker", 300, gbps=39, live=260000),
    stage("handshakes", "handshakes", "worker", 900, connections_per_s=130000),
    stage("handshakes", "handshakes", "worker", 950, connections_per_s=40000, chains=1 << 28),
    stage("workers", "https", "worker", 200, mpps=10), stage("workers", "https", "worker", 200, mpps=19.6, workers=2),
    *[stage("sweep-flows", "established", "worker", c, flows=n) for n, c in ((10000, 80), (1000000, 100), (16000000, 130))],
    {"type": "ring", "part": "ring", "event_bytes": 800, "copy_ns": 100, "ring_ns": 150, "ratio": 1.5, "events_per_s": 6.6e6,
     "load": 0.3, "revision": "r1"},
    {"type": "capacity", "part": "latency", "pps": 3e6, "idle": 0.33, "revision": "r1"},
    {"type": "capacity", "part": "overload", "pps": 1e6, "idle": 0.5, "revision": "r1"},
    {"type": "latency", "part": "latency", "load": 0.8, "capacity_pps": 3e6, "events": 5000, "lost": 0, "p50_us": 10, "p90_us": 20,
     "p99_us": 900, "p999_us": 2000, "max_us": 3000, "sender_late_us": 5, "revision": "r1",
     "histogram_us": [[8.192, 16.384, 4000], [16.384, 32.768, 0], [524.288, 1048.576, 990], [2097.152, 4194.304, 10]]},
    *[{"type": "overload", "part": "overload", "shed": s, "shed_bulk": 0.1 * s, "shed_new": 0, "whole": 8, "factor": f, "capacity_pps": 1e6, "offered_pps": f * 1e6, "done_pps": min(f, 1) * 1e6,
       "lost": max(0, 1 - 1 / f), "lost_handshake": 0, "lost_bulk": 0.1, "lost_end": 0, "begun": 10, "told": 9, "last_loss_s": 1,
       "p99_us": 5, "revision": "r1"} for s in (True, False) for f in (0.5, 1, 2, 0.5)],
    {"type": "profile", "part": "profile", "what": "https", "function": "psi_net_decode", "share": 0.25, "samples": 4000, "revision": "r1"},
    {"type": "part", "part": "overload", "seconds": 1.0, "stolen": 0.03, "revision": "r1"},
    *[{"type": "reader", "part": "compare", "capture": "handshakes", "program": p, "packets": 1000, "reps": 3,
       "packets_per_cpu_s": r, "mib": 50, "revision": "r1"} for p, r in (("pinsight", 1.2e6), ("ndpiReader", 1e5), ("ndpiReader -C", 8e4))],
    {"type": "vdev", "part": "compare", "program": "testpmd rxonly", "packets_per_cpu_s": 5e6, "to_receive": 0.9, "revision": "r1"},
]
# what | measured | goal | at least | met: by the rows above and the goals of the project
WANT = [
    ("64 B, 1 M flows", "120 cycles | 100 | 134 | at least met"), ("10 M flows", "151 cycles | 120 | 150 | missed"),
    ("HTTPS mix", "41.0 Gbit/s | 40.0 | 25.0 | met"), ("260,000 connections", "39.0 Gbit/s | 40.0 | 25.0 | at least met"), ("1,000 distinct (worker)", "130,000 /s | 200,000 | 120,000 | at least met"),
    ("every chain distinct (worker)", "40,000 /s | 100,000 | 50,000 | missed"), ("memory of an established", "79.5 B | 80.0 | 96.0 | met"),
    ("collector alone, 1,000", "not measured | 1,000,000 | 500,000 | "), ("ring, a writer", "6,600,000 records/s | 5,000,000 | 2,000,000 | met"),
    ("two workers against one, HTTPS", "1.96 times | 1.95 | 1.85 | met"), ("handshake-heavy", "12.0 times | 13.0 | 9.00 | at least met"),
    ("handshakes | ndpiReader -C |", "| 0.80 |"), ("latency", "0.90 ms | 1.00 | 5.00 | met"),
]

with tempfile.TemporaryDirectory() as d:
    results, page, folder = (os.path.join(d, n) for n in ("r.jsonl", "page.md", "page"))
    with open(results, "w") as f:
        f.writelines(json.dumps(r) + "\n" for r in ROWS)
    r = subprocess.run([TOP + "/scripts/bench/plot", results, folder], capture_output=True, text=True)
    check(r.returncode == 0, "plot: " + r.stderr)
    if "no plots" in r.stdout:
        print("plots skipped: " + r.stdout.strip())
    else:
        made = sorted(os.listdir(folder))
        check(made == [n + ".svg" for n in ("latency", "overload", "readers", "stages", "sweep-flows", "workers")], "plots: %s" % made)
        for name in made:
            with open(os.path.join(folder, name)) as f:
                check("<svg" in f.read(), name)
    r = subprocess.run([TOP + "/scripts/bench/report", results, page], capture_output=True, text=True)
    check(r.returncode == 0, "report: " + r.stderr)
    with open(page) as f:
        text = f.read()
    for what, row in WANT:
        lines = [line for line in text.splitlines() if line.startswith("|") and what in line and row in line]
        check(lines, "no row '%s ... %s'" % (what, row))
    check("Some CPU, 4 cores" in text and "2026-12-01" in text and "revision r1" in text, "machine: " + text[600:900])
    check(text.count("waited for it 33 % of the time") == 1 and "50 % of the time" not in text, "a sender that was the slower one")
    check("850 bytes, 260,000 at once" in text, "the mix with many connections")
    check("`psi_net_decode` 25 %" in text and "the hypervisor took up to 3 %" in text, "profile, noise: " + text[-600:])
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        check("(page/%s)" % name in text, name + " is not shown")
print("%d faults" % faults)
sys.exit(1 if faults else 0)
