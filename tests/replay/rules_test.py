#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pinsight rules test, from a configuration and lists as an operator writes them. Expected: by hand.
   rules_test.py PINSIGHT"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

CONFIG = r"""rules_cache:
  path: cache
rules:
  - id: update-servers
    sni: '(^|\.)(update|swcdn)[0-9]*\.vendor\.example$'
  - id: scanners
    ja4: '^t13d1715h2_'
    sni: '/^health[0-9]+\./'
    action: ignore
  - id: lab-proxy
    issuer: '/CN=Lab Proxy( G[0-9])?/i'
    action: weight
    weight: 0.5
  - id: names
    san: '^b\.example$'
    alpn: '^h2$'
host_lists:
  - id: banks
    file: banks.txt
    action: weight
    weight: 0.5
"""
LIST = "# banks\nbank.example\n*.vendor.example\n"

# arguments, then (rules, ignore, weight)
ASKED = [
    (["--sni", "www.example"], ([], False, 1)),
    ([], ([], False, 1)),
    (["--sni", "Update3.vendor.example."], (["update-servers", "banks"], False, 0.5)),
    (["--sni", "update.vendor.example", "--issuer", "O=x,cn=lab proxy G7"], (["update-servers", "lab-proxy", "banks"], False, 0.25)),
    (["--sni", "vendor.example"], ([], False, 1)),
    (["--sni", "BANK.example"], (["banks"], False, 0.5)),
    (["--sni", "health12.x"], ([], False, 1)),
    (["--ja4", "t13d1715h2_x"], ([], False, 1)),
    (["--sni", "health12.x", "--ja4", "t13d1715h2_x"], (["scanners"], True, 1)),
    (["--san", "a.example", "--san", "B.example", "--alpn", "http/1.1", "--alpn", "h2"], (["names"], False, 1)),
    (["--san", "a.example", "--alpn", "h2"], ([], False, 1)),
]

bad = 0


def expect(what, got, want):
    global bad
    if got != want:
        bad += 1
        print(f"{what}: got {got!r}, expected {want!r}")


def run(*args):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PINSIGHT_")}
    return subprocess.run([sys.argv[1], "rules", *args], capture_output=True, text=True, env=env)


def main():
    with tempfile.TemporaryDirectory() as d:
        config, names = pathlib.Path(d) / "p.yaml", pathlib.Path(d) / "banks.txt"
        config.write_text(CONFIG)
        names.write_text(LIST)
        at = ["test", "--config", str(config)]
        for args, want in ASKED:
            r = run(*at, "--json", *args)
            expect(f"{args} status", r.returncode, 0)
            got = json.loads(r.stdout)
            expect(f"{args}", (got["rules"], got["ignore"], got["weight"]), want)
        expect("nothing is written", (pathlib.Path(d) / "cache").exists(), False)

        text = run(*at, "--sni", "health1.x", "--ja4", "t13d1715h2_").stdout.splitlines()
        expect("text", [t.split() for t in text], [["scanners", "ignore", "rule", "in", "line", "6"],
                                                   "the flow is ignored: no event is written of it, and it counts for no finding".split()])

        config.write_text(CONFIG.replace("health[0-9]+", "health(").replace("^h2$", "h2*|"))
        names.write_text(LIST + "b\u00fccher.example\n", encoding="utf-8")
        r = run(*at)
        expect("bad patterns and list: status", r.returncode, 1)
        for says in (f"{config}:8:10: rule scanners: sni: /^health(\\./: Hyperscan: Missing close parenthesis",
                     f"{config}:16:11: rule names: alpn: h2*|: Hyperscan: Pattern matches empty buffer", f"{names}:4:2: not ASCII"):
            expect(says, says in r.stderr, True)
        names.unlink()
        config.write_text(CONFIG)
        r = run(*at)
        expect("no list", (r.returncode, f"{config}:18:5: host list banks:" in r.stderr and "No such file" in r.stderr), (1, True))

        for args in ([], ["test"], ["try", "--config", "x"], ["test", "--config"], ["test", "--config", "x", "y"],
                     ["test", "--colour", "--config", "x"]):
            r = run(*args)
            expect(f"{args}", (r.returncode, "See: pinsight rules --help" in r.stderr), (2, True))
        expect("help", run("--help").stdout.startswith("usage: pinsight rules test"), True)
    if bad:
        sys.exit(f"{bad} differ")
    print(f"{len(ASKED)} questions answered as expected")


main()
