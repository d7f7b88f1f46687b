#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""pinsight-bench over a little traffic: it says what it measured, and the ledger balances (exit status 0).

    tests/replay/bench_test.py BENCH

No figure is judged: how fast a machine is at test time says nothing.
"""
import json
import subprocess
import sys
import time

faults = 0
STAGES = ["receive", "decode", "flow", "worker", "collector", "ring", "json", "collector-alone"]


def check(ok, what):
    global faults
    if not ok:
        faults += 1
        print("FAULT: " + what)


def run(*args):
    r = subprocess.run([sys.argv[1], *args, "--json", "--no-huge"], capture_output=True, text=True)
    check(r.returncode == 0, "%s: %d %s" % (args, r.returncode, r.stderr))
    rows = [json.loads(line) for line in r.stdout.splitlines()]
    check(rows and rows[0]["type"] == "machine" and rows[0]["tsc_ghz"] > 0, "%s: no machine" % (args,))
    return rows[1:]


def stages():
    tiny = ["--packets", "8192", "--reps", "3", "--ring", "512", "--warm", "0", "--stages", ",".join(STAGES[1:])]
    for what, more in (("established", ["--flows", "500"]), ("https", ["--live", "200"]), ("handshakes", ["--chains", "50"]),
                       ("udp-flood", [])):
        rows = run(what, *tiny, *more)
        check([r["stage"] for r in rows] == STAGES, "%s: stages %s" % (what, [r["stage"] for r in rows]))
        for r in rows:
            check(0 < r["lowest"] <= r["cycles"] <= r["highest"], "%s: %s" % (what, r))
            check(abs(r["ratio"] - r["cycles"] / r["baseline"]) < 0.01, "%s: ratio of %s" % (what, r))
            # repetitions are of whole queues
            reps = 3 * (len(STAGES) - 1) if r["stage"] == "receive" else 3
            check(r["reps"] == reps and r["packets"] == reps * 8192, "%s: repetitions of %s" % (what, r))
        if what == "established":
            check(all(abs(r["bytes_per_packet"] - 60) < 0.1 for r in rows), "established: 64 bytes with FCS")
            check(rows[3]["rss_per_flow"] > 64, "established: memory of a flow: %s" % rows[3])
        if what == "handshakes":
            check(all(r["connections"] > 500 for r in rows), "handshakes: connections")
    # so many flows that a bucket of the table overflows, and a queue that goes on long behind the last handshake
    rows = run("established", "--flows", "20k", "--ring", "16384", "--packets", "16384", "--reps", "1", "--stages", "worker")
    check(rows[-1]["stage"] == "worker", "established: %s" % rows)
    # one tls_flow event a connection, two seconds of packet time behind its end
    rows = run("handshakes", "--packets", "60k", "--reps", "1", "--stages", "worker,collector", "--warm", "2.5", "--live", "50",
               "--pps", "20k")
    check(rows[1]["events"] == 0 and abs(rows[2]["events"] / rows[2]["connections"] - 1) < 0.1, "events of %s" % rows[2])


def sweep():
    rows = run("established", "--stages", "flow", "--packets", "4k", "--reps", "1", "--sweep", "flows=100,300,1k")
    check([(r["flows"], r["stage"]) for r in rows] ==
          [(n, s) for n in (100, 300, 1000) for s in ("receive", "flow")], "sweep of flows: %s" % rows)
    rows = run("udp-flood", "--stages", "decode", "--packets", "4k", "--reps", "1", "--sweep", "size=64,512,1518")
    check([r["bytes_per_packet"] for r in rows[1::2]] == [60, 508, 1514], "sweep of sizes")
    rows = run("handshakes", "--stages", "worker", "--packets", "4k", "--reps", "1", "--warm", "0", "--sweep", "workers=1,2")
    check([r["workers"] for r in rows] == [1, 1, 2, 2] and rows[3]["packets"] == 2 * rows[1]["packets"], "two workers")


def live():
    rows = run("latency", "--seconds", "0.2", "--live", "100")
    row = rows[-1]
    check(row["type"] == "latency" and row["events"] > 0, "latency: %s" % rows)
    check(0 < row["p50_us"] <= row["p90_us"] <= row["p99_us"] <= row["p999_us"] <= row["max_us"], "percentiles: %s" % row)
    bars = row["histogram_us"]
    check(sum(n for _, _, n in bars) == row["events"] and bars[0][2] and bars[-1][2], "histogram: %s" % bars)
    check(all(a[1] == b[0] for a, b in zip(bars, bars[1:])) and bars[-1][0] <= row["max_us"] < bars[-1][1], "histogram: %s" % row)
    rows = [r for r in run("overload", "--seconds", "0.05", "--reps", "1", "--live", "100") if r["type"] == "overload"]
    check([r["factor"] for r in rows] == [0.5, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 4, 0.5] * 2, "overload: %s" % rows)
    check([r["shed"] for r in rows] == [True] * 11 + [False] * 11, "overload: %s" % rows)
    check(all(0 <= r["lost"] <= 1 and r["done_pps"] >= 0 for r in rows), "overload: %s" % rows)
    check(all(r["shed_bulk"] == r["shed_new"] == 0 for r in rows if not r["shed"]), "overload: %s" % rows)
    row = run("ring", "--packets", "5k", "--reps", "3")[-1]
    check(row["type"] == "ring" and row["event_bytes"] > 500 and row["ring_ns"] > 0, "ring: %s" % row)


def wrong_calls():
    for args, word in ((["nonsense"], "nonsense"), (["--burst", "33"], "burst"), (["--stages", "nope"], "nope"),
                       (["--sweep", "colour=1"], "colour"), (["https", "--reps", "0"], "reps"), (["--bogus"], "bogus"),
                       (["https", "--live", "0"], "live"), (["--roots", "/nonexistent", "--stages", "collector"], "/nonexistent")):
        r = subprocess.run([sys.argv[1], *args, "--no-huge"], capture_output=True, text=True)
        check(r.returncode in (1, 2) and word in r.stderr, "%s: %d %s" % (args, r.returncode, r.stderr))


for part in (stages, sweep, live, wrong_calls):
    start = time.process_time(), time.time()
    part()
    print("%s: %.1f s" % (part.__name__, time.time() - start[1]))
print("%d faults" % faults)
sys.exit(1 if faults else 0)
