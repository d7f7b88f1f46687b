#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/lab/impair does to a capture what it says: impair_test.py IMPAIR CAPTURE. Nothing of the engine takes part."""
import collections
import importlib.machinery
import importlib.util
import os
import sys
import unittest

IMPAIR, CAPTURE = sys.argv[1], sys.argv[2]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ref"))
import pcapio  # noqa: E402

spec = importlib.util.spec_from_loader("impair", importlib.machinery.SourceFileLoader("impair", IMPAIR))
impair = importlib.util.module_from_spec(spec)
spec.loader.exec_module(impair)


def segment(flow, number):
    """An Ethernet frame with an IPv4 TCP header; the number is its payload."""
    ip = bytes([0x45]) + bytes(8) + b"\x06" + bytes(2) + b"\x0a\0\0\x01\x0a\0\0\x02"
    return number * 1000, 60, bytes(12) + b"\x08\0" + ip + flow.to_bytes(2, "big") + b"\x01\xbb" + bytes(16) + bytes([number])


def numbers(packets):
    return [p[2][-1] for p in packets]


class Impair(unittest.TestCase):
    def setUp(self):
        self.packets = pcapio.read(CAPTURE)[1]
        self.line = [segment(1, n) for n in range(10)]

    def test_nothing_asked_nothing_done(self):
        self.assertEqual(impair.spoil(self.packets)[0], self.packets)

    def test_loss(self):
        out, done = impair.spoil(self.packets, loss=0.2)
        self.assertEqual(len(out) + done["lost"], len(self.packets))
        # 904 packets at 0.2: 181 expected, standard deviation 12
        self.assertTrue(120 < done["lost"] < 240, done)
        self.assertEqual(impair.spoil(self.packets, loss=1.0)[0], [])

    def test_seed(self):
        self.assertEqual(impair.spoil(self.packets, loss=0.1, seed=7), impair.spoil(self.packets, loss=0.1, seed=7))
        self.assertNotEqual(impair.spoil(self.packets, loss=0.1, seed=7), impair.spoil(self.packets, loss=0.1, seed=8))

    def test_one_late(self):
        class First:
            def __init__(self):
                self.n = -1

            def random(self):
                self.n += 1
                return 0.0 if self.n == 2 else 1.0
        out, moved = impair.make_late(self.line, 3, 0.5, First())
        self.assertEqual((numbers(out), moved), ([0, 1, 3, 4, 5, 2, 6, 7, 8, 9], 1))
        # it bears the stamp of the packet that it follows
        self.assertEqual([p[0] for p in out[4:7]], [5000, 5000, 6000])

    def test_late_counts_its_own_direction(self):
        class First:
            n = 0

            def random(self):
                self.n += 1
                return 0.0 if self.n == 1 else 1.0
        mixed = [segment(n % 2, n) for n in range(8)]
        self.assertEqual(numbers(impair.make_late(mixed, 1, 0.5, First())[0]), [1, 2, 0, 3, 4, 5, 6, 7])

    def test_reorder_keeps_all_and_time(self):
        for n in (1, 8):
            out, done = impair.spoil(self.packets, reorder=n, share=0.3)
            self.assertEqual(collections.Counter(p[2] for p in out), collections.Counter(p[2] for p in self.packets))
            self.assertEqual([p[0] for p in out], sorted(p[0] for p in out))
            self.assertTrue(done["late"] > 100, done)

    def test_duplicate(self):
        out, done = impair.spoil(self.line, duplicate=1.0)
        self.assertEqual(numbers(out), [n for n in range(10) for _ in (0, 1)])
        self.assertEqual(done["duplicated"], 10)


unittest.main(argv=sys.argv[:1])
