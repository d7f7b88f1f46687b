#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The program over a corpus of captures with golden flows made by an independent reader.

    tests/replay/corpus.py PINSIGHT CORPUS GOLDEN-DIFF [--show]

CORPUS holds FOLDER/NAME.pcap[ng] and golden/FOLDER__NAME.jsonl; GOLDEN-DIFF is the program that compares one capture's
events with its golden file (--json: counts). Prints the share of agreeing fields over all captures; --show, each
disagreement. Exit status 1 when a flow is not reported, or less than 99.5 % of any field agree but for fields of which
one single value differs. Says "skipped" when there is no corpus.
"""
import collections
import glob
import json
import os
import subprocess
import sys
import tempfile


def main():
    args = [a for a in sys.argv[1:] if a != "--show"]
    if len(args) != 3:
        sys.exit(__doc__)
    pinsight, corpus, diff = args
    goldens = sorted(glob.glob(os.path.join(corpus, "golden", "*.jsonl")))
    if not goldens or not os.path.exists(diff):
        print("corpus: skipped, %s is not there" % (corpus if not goldens else diff))
        return 0
    fields, flows, missing, captures = collections.OrderedDict(), 0, 0, 0
    for golden in goldens:
        folder, name = os.path.basename(golden)[:-len(".jsonl")].split("__", 1)
        capture = next(f for f in (os.path.join(corpus, folder, name + end) for end in (".pcap", ".pcapng"))
                       if os.path.exists(f))
        with tempfile.NamedTemporaryFile() as events:
            r = subprocess.run([pinsight, "read", "--json", "--quiet", capture], stdout=events, stderr=subprocess.PIPE)
            if r.returncode:
                print("%s: exit status %d: %s" % (capture, r.returncode, r.stderr.decode()))
            count = json.loads(subprocess.run([sys.executable, diff, golden, events.name, "--json"],
                                              stdout=subprocess.PIPE).stdout)
            if "--show" in sys.argv:
                text = subprocess.run([sys.executable, diff, golden, events.name], stdout=subprocess.PIPE).stdout
                for line in text.decode().splitlines():
                    if " > " in line:
                        print("%s/%s: %s" % (folder, name, line))
        captures += bool(count["flows"])
        flows += count["flows"]
        missing += count["missing"]
        for field, c in count["fields"].items():
            f = fields.setdefault(field, [0, 0])
            f[0] += c["agree"]
            f[1] += c["compared"]
    for field, (agree, n) in fields.items():
        print("  %-22s %5d of %5d  %7.3f %%" % (field, agree, n, 100 * agree / n))
    agree, n = (sum(f[i] for f in fields.values()) for i in (0, 1))
    print("corpus: %d captures, %d flows, %d not reported, %d of %d fields agree (%.2f %%)"
          % (captures, flows, missing, agree, n, 100 * agree / n))
    return 1 if missing or any(n - a > 1 and a < 0.995 * n for a, n in fields.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
