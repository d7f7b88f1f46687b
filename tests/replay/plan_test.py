#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What scripts/lab/plan.py promises of a run, without running anything: plan_test.py SCRIPTS-LAB-DIR."""
import random
import sys
import unittest
from importlib.machinery import SourceFileLoader

LAB = sys.argv[1]
sys.dont_write_bytecode = True
sys.path.insert(0, LAB)
import labclients  # noqa: E402
import plan  # noqa: E402

RUNS = SourceFileLoader("run_lab", LAB + "/run-lab").load_module().RUNS


def make(name, seed):
    kind, tls, path, _, size = RUNS[name]
    clients = [c for c in labclients.CLIENTS if c.browser or c.held == (kind == "held")]
    return plan.Plan(name, tls, path, clients, random.Random("%s %d" % (name, seed)), **size)


def connections(p):
    """One connection a job and host, as if each job had been run."""
    for n, j in enumerate(p.jobs):
        j.ports, j.output = range(10000 + n, 10001 + n), "".join("hello from %s " % h for h in j.hosts)
        for h in j.hosts:
            l = p.label(j, h, {})
            yield l["src"], j.ports[0], l["dst"]


class Plans(unittest.TestCase):
    def each(self):
        for name in RUNS:
            for seed in (1, 2):
                with self.subTest(run=name, seed=seed):
                    yield make(name, seed)

    def test_addresses(self):
        for p in self.each():
            numbers = list(p.hosts.values()) + [d.number for d in p.devices]
            self.assertLess(max(numbers), 255)
            for group in (p.hosts.values(), [d.number for d in p.devices]):
                self.assertEqual(len(set(group)), len(group))

    def test_the_same_seed_is_the_same_company(self):
        a, b, c = make("squid13", 1), make("squid13", 1), make("squid13", 2)
        said = [[(j.device.number, j.hosts, j.ca, j.mode, j.times) for j in p.jobs] for p in (a, b, c)]
        self.assertEqual(said[0], said[1])
        self.assertNotEqual(said[0], said[2])

    def test_nobody_reaches_what_his_own_program_pins(self):
        """Else the two could not be told apart, and the label would be a matter of opinion."""
        for p in self.each():
            pins = {(j.device, j.client, h) for j in p.jobs if j.app for h in j.hosts}
            visits = {(j.device, j.client, h) for j in p.jobs if not j.app for h in j.hosts}
            self.assertFalse(pins & visits)

    def test_comparison_is_there(self):
        for p in self.each():
            visits = {(j.device, h) for j in p.jobs if not j.app for h in j.hosts}
            for j in (j for j in p.jobs if j.app):
                here, how = (j.device, j.app.host) in visits, j.app.compared
                elsewhere = any(h == j.app.host for _, h in visits)
                self.assertEqual(here, how == "device")
                if how in ("stack", "none"):
                    self.assertFalse(elsewhere)

    def test_labels(self):
        for p in self.each():
            rows = p.labels(list(connections(p)), {})
            self.assertEqual(len(rows), sum(len(j.hosts) for j in p.jobs))
            for l in rows:
                self.assertEqual((l["truth"], l["acceptable"], l["wire"]), plan.CAUSES[l["cause"]])
                self.assertEqual(l["finding"] is not None and l["finding"][0] == "host_pinned_for_client", l["truth"] == "pinned")
                if l["path"] == "direct":
                    self.assertNotIn(l["cause"], ("pin", "unknown-ca"))
                if l["cause"] == "unknown-ca":
                    self.assertFalse(l["trusts_proxy"])
                if l["needs_correlation"]:
                    self.assertEqual(l["truth"], "pinned")
            if p.path == "direct":
                self.assertTrue(any(l["cause"] == "pin-rotated" for l in rows))


unittest.main(argv=sys.argv[:1])
