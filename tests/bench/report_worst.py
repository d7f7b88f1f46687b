#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The events that cost `pinsight report` most memory: no two of one host, stack, reason or finding.

    tests/bench/report_worst.py [LINES] | /usr/bin/time -v pinsight report --format=json - > /dev/null
    tests/bench/report_worst.py --check PINSIGHT

Every line is a connection refused by a client of its own at a host of its own, every fourth the finding of a pinned host.
--check reads 375,000 of them, twice as many as the tables hold, and fails where a line is neither in a row nor counted as
left out, or the program took more than 512 MiB.
"""
import json
import os
import subprocess
import sys

TIME = "2026-03-02T08:00:00.000000Z"
PAIRS, FINDINGS = 131072, 32768  # that the program keeps: docs/design/report.md, Limits


def line(i):
    host = "%x.%s.example" % (i, "a-name-that-is-long" * 2)
    client = "10.%d.%d.%d" % (i >> 16 & 255, i >> 8 & 255, i & 255)
    reason = "Reason %x. " % i + "The client refused what it was shown, in words of no other line."
    if i % 4 == 3:
        return {"timestamp": TIME, "event_type": "finding", "subject": {"kind": "host_client", "sni": host, "client": client},
                "class": "host_pinned_for_client", "confidence": 0.9, "flows": {"seen": 3, "failed": 3, "ok": 0},
                "first_seen": TIME, "last_seen": TIME, "evidence": ["this_host_only"], "reason": reason}
    return {"timestamp": TIME, "event_type": "tls_flow", "src_ip": client, "dest_ip": "198.18.%d.%d" % (i >> 8 & 255, i & 255),
            "dest_port": 443, "tls": {"sni": host, "ja4": "t13d%04x%02xh2_%012x_%012x" % (i & 0xffff, i >> 16 & 255, i, i)},
            "verdict": {"class": "client_rejected", "confidence": 0.8, "evidence": ["pattern_b"], "reason": reason}}


def write(out, lines):
    for i in range(lines):
        out.write(json.dumps(line(i)) + "\n")


def check(program):
    lines = 375000
    p = subprocess.Popen([program, "report", "--format=json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    write(p.stdin, lines)
    p.stdin.close()
    out = json.loads(p.stdout.read())
    _, status, used = os.wait4(p.pid, 0)
    s = out["summary"]
    flows, findings = lines - lines // 4, lines // 4
    print("%d rows, %.1f s of CPU, %d MiB; %s" % (len(out["rows"]), used.ru_utime + used.ru_stime, used.ru_maxrss >> 10, s))
    assert os.waitstatus_to_exitcode(status) == 0
    assert s["flows_left_out"] == flows - PAIRS and s["findings_left_out"] == findings - FINDINGS, s
    assert sum(r["flows"]["refused"] for r in out["rows"]) == PAIRS and len(out["rows"]) == PAIRS + FINDINGS
    assert used.ru_maxrss < 512 << 10, "%d KiB" % used.ru_maxrss


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(sys.argv[2])
    else:
        try:
            write(sys.stdout, int(sys.argv[1]) if len(sys.argv) > 1 else 375000)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
