#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Engine and readers killed (SIGKILL) and started again at random, over one name of a ring: no reader misses an event
without being told, none gets a broken one.

    tests/run/kill_test.py PINSIGHT ENGINE_RING CAPTURES-DIR [SECONDS]

A machine on which nobody has read anything by then gets longer, up to ten times.

The engine is tests/run/engine_ring.c, which feeds itself. Each event has the number after the one before; else a gap stands
between them that names what is missing; or the numbers begin anew with 1, with a new start of the engine. Standard
library only.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

PINSIGHT, ENGINE, CAPTURES = sys.argv[1:4]
SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 20
READERS = 3


class Reader(threading.Thread):
    """One after the other, each killed after a moment."""

    def __init__(self, ring, over, seed):
        super().__init__()
        self.ring, self.over, self.random = ring, over, random.Random(seed)
        self.events = self.gaps = self.lost = self.starts = self.kills = 0
        self.wrong = []

    def check(self, line, prev):
        e = json.loads(line)  # a broken event would not have come out, or not as JSON
        first, last = e["seq"], e["seq"]
        if e["event_type"] == "gap":
            first, last = e["first"], e["last"]
            self.gaps += 1
            self.lost += e["lost"]
            if e["lost"] != last - first + 1:
                self.wrong.append("a gap of %d from %d to %d" % (e["lost"], first, last))
        else:
            self.events += 1
        if first == 1:
            self.starts += 1
        elif prev is not None and first != prev + 1:
            self.wrong.append("%d after %d (%s)" % (first, prev, e["event_type"]))
        return last

    def one(self):
        prev = None
        p = subprocess.Popen([PINSIGHT, "events", "--ring=" + self.ring, "--json", "--wait",
                              "--type=tls_flow,finding,stats,tls_handshake"], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
        killer = threading.Timer(self.random.uniform(0.5, 5), p.send_signal, [signal.SIGKILL])
        killer.start()
        for line in p.stdout:
            if not line.endswith(b"\n"):
                break  # cut by our own kill
            prev = self.check(line, prev)
        p.wait()
        killer.cancel()
        self.kills += 1

    def run(self):
        while not self.over.is_set():
            self.one()


def engines(ring, readers, rnd):
    """Starts and kills them; returns how many."""
    began, n = time.monotonic(), 0

    def enough():
        passed = time.monotonic() - began
        told = any(r.events for r in readers) and any(r.starts for r in readers)
        return passed >= SECONDS and (told or passed >= 10 * SECONDS)

    while not enough():
        p = subprocess.Popen([ENGINE, "serve", os.path.join(CAPTURES, "demo.pcap"), ring], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(rnd.uniform(1, 4))
        p.kill()
        if p.wait() != -signal.SIGKILL:
            sys.exit("the engine ended by itself")
        n += 1
        for top in ("/var/run/dpdk", "/tmp/dpdk", os.environ.get("XDG_RUNTIME_DIR", "/nowhere") + "/dpdk"):
            shutil.rmtree("%s/pinsight-test-%d" % (top, p.pid), ignore_errors=True)
    return n


def main():
    folder = tempfile.mkdtemp(prefix="pinsight-test-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    ring, over = os.path.join(folder, "ring"), threading.Event()
    readers = [Reader(ring, over, i) for i in range(READERS)]
    for r in readers:
        r.start()
    try:
        killed = engines(ring, readers, random.Random(1))
    finally:
        over.set()
        for r in readers:
            r.join()
        shutil.rmtree(folder)
    total = {k: sum(getattr(r, k) for r in readers) for k in ("events", "gaps", "lost", "starts", "kills")}
    wrong = [w for r in readers for w in r.wrong]
    print("%d engines killed; readers: %s; wrong: %d" % (killed, total, len(wrong)))
    for w in wrong[:20]:
        print(w)
    if wrong or not total["events"] or not total["starts"]:
        sys.exit(1)


main()
