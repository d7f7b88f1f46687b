#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The simulation in scripts/bench/sizing against queueing theory: the mean time in an M[X]/D/1 queue (batches at random times,
constant service) is s + rho s / (2 (1 - rho)) + s (E[X^2] / E[X] - 1) / (2 (1 - rho)); Gross, Harris: Fundamentals of Queueing
Theory, bulk input."""
import importlib.machinery
import importlib.util
import random
import sys

loader = importlib.machinery.SourceFileLoader("sizing", sys.argv[1])
sizing = importlib.util.module_from_spec(importlib.util.spec_from_loader("sizing", loader))
loader.exec_module(sizing)

BATCH = (1, 1, 2, 2, 3, 6)
faults = 0


def check(ok, text):
    global faults
    if not ok:
        faults += 1
        print("FAULT: " + text)


def run(rho, workers, seed, room=4 << 20, seconds=1.0):
    cost = {"record": 20000, "record_new": 20000}
    return sizing.simulate(workers, rho * 2e9 / 20000 / workers, cost, 0.0, 2.0, room, seconds, random.Random(seed))


for rho in (0.3, 0.7, 0.9):
    s = 20000 / 2e9 * 1e6
    mean = sum(BATCH) / len(BATCH)
    squares = sum(x * x for x in BATCH) / len(BATCH)
    want = s + rho * s / (2 * (1 - rho)) + s * (squares / mean - 1) / (2 * (1 - rho))
    got = [run(rho, 8, seed) for seed in range(4)]
    average = sum(g[4] for g in got) / len(got)
    check(abs(average / want - 1) < 0.1, "load %.1f: mean %.1f us, theory %.1f us" % (rho, average, want))
    check(all(abs(g[0] - rho) < 0.03 and g[1] == 0 and g[2] <= g[3] for g in got), "load %.1f: %s" % (rho, got))
check(run(0.7, 4, 1) == run(0.7, 4, 1) and run(0.7, 4, 1) != run(0.7, 4, 2), "the seed decides")
# twice of what it takes, queues of 10 records: half is dropped
lost = run(2.0, 4, 1, room=10 * sizing.RECORD_BYTES)[1]
check(abs(lost - 0.5) < 0.03, "overload: %.3f dropped" % lost)
print("%d faults" % faults)
sys.exit(1 if faults else 0)
