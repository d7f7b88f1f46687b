#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/bench/rfc2544 over trials that are made up: does the search end where the loss begins?

    tests/replay/rfc2544_test.py RFC2544
"""
import json
import subprocess
import sys
import tempfile

faults = 0
# argv: rate seconds limit flaky; loses what is above limit; its sender cannot do more than 900,000
FAKE = """
import random, sys
rate, seconds, limit, kind = float(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
sent = int(min(rate, 900000 if kind == "slow" else 1e12) * seconds)
lost = max(0, int(sent - limit * seconds))
if kind == "flaky" and seconds > 1 and rate > 0.9 * limit:
    lost += 1
if kind == "broken":
    sys.exit(3)
print("some other line")
print("sent %d received %d" % (sent, sent - lost) if kind != "silent" else "nothing")
"""


def check(ok, what):
    global faults
    if not ok:
        faults += 1
        print("FAULT: " + what)


def search(fake, limit, kind, *options):
    r = subprocess.run([sys.argv[1], "--max", "1e6", "--seconds", "1", "--final-seconds", "5", "--json", *options, "--",
                        sys.executable, fake, "{rate}", "{seconds}", str(limit), kind], capture_output=True, text=True)
    return r.returncode, json.loads(r.stdout) if r.stdout else None, r.stderr


with tempfile.NamedTemporaryFile("w", suffix=".py") as f:
    f.write(FAKE)
    f.flush()
    for limit in (123456, 500000, 777777):
        rc, got, err = search(f.name, limit, "plain")
        check(rc == 0 and limit - 10000 <= got["rate"] <= limit, "limit %d: %s %s" % (limit, got and got["rate"], err))
        check([s["seconds"] for s in got["steps"]][-3:] == [5, 5, 5] and len(got["steps"]) < 14, "steps: %s" % got)
    rc, got, _ = search(f.name, 2e6, "plain")
    check(rc == 0 and got["rate"] == 1e6 and len(got["steps"]) == 4, "all of it: %s" % got)
    # loses one frame in long trials above nine tenths: gives way until it passes
    rc, got, _ = search(f.name, 500000, "flaky")
    check(rc == 0 and 430000 <= got["rate"] <= 450000, "flaky: %s" % got["rate"])
    rc, got, _ = search(f.name, 500000, "plain", "--loss", "0.1")
    check(rc == 0 and 545000 <= got["rate"] <= 555556, "a tenth may be lost: %s" % got["rate"])
    # what the sender cannot send has not been received; it may be 1 % short
    rc, got, _ = search(f.name, 2e6, "slow")
    check(rc == 0 and 890000 <= got["rate"] <= 909100 and got["sender_limit"] == 900000, "slow sender: %s" % got)
    rc, got, _ = search(f.name, 0, "plain")
    check(rc == 1 and got["rate"] == 0, "nothing passes: %s" % got)
    for kind, word in (("broken", "exits with 3"), ("silent", "no line")):
        rc, got, err = search(f.name, 1, kind)
        check(rc == 1 and word in err, "%s: %s" % (kind, err))
    r = subprocess.run([sys.argv[1], "--max", "1", "--", "true"], capture_output=True, text=True)
    check(r.returncode == 2 and "{rate}" in r.stderr, "no {rate}: %s" % r.stderr)

print("%d faults" % faults)
sys.exit(1 if faults else 0)
