#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The example readers, in C and in Python, print what was written to a ring, and say what they missed.

    test_examples.py ROOT EVENT2JSON EVENTS2RING FOLLOW_C LIBRARY
"""
import json
import os
import subprocess
import sys
import tempfile

TO_RING, FOLLOW_C, LIBRARY = sys.argv[3:6]
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import test_events as twin  # noqa: E402  (takes ROOT and EVENT2JSON from the command line)

FOLLOW_PY = [sys.executable, os.path.join(twin.ROOT, 'docs', 'examples', 'follow.py')]


with open(LIBRARY, 'rb') as f:
    # A sanitizer's run-time must be loaded before everything else, which python does not do.
    PYTHON_TOO = b'__asan_init' not in f.read()


def out(args):
    env = dict(os.environ, PINSIGHT_EVENT_LIB=LIBRARY)
    return subprocess.run(args, stdout=subprocess.PIPE, check=True, env=env).stdout.decode()


def flow(seq, **fields):
    return twin.event_bytes(None, 'tls_flow', fields, seq, 10**18 + seq, 0)


with tempfile.TemporaryDirectory() as tmp:
    ring = os.path.join(tmp, 'ring')
    some = [flow(1, TLS_SNI=b'a.example', CLASS=2, REASON=b'Because.'), flow(2, TLS_SNI=b'b.example', CLASS=1), flow(3)]
    subprocess.run([TO_RING, ring], input=b''.join(some), check=True)
    want = '\n'.join(twin.run(some)) + '\n'
    assert out([FOLLOW_C, ring]) == want
    if PYTHON_TOO:
        assert out(FOLLOW_PY + [ring, '--json']) == want
        assert out(FOLLOW_PY + [ring]) == 'None a.example pinned Because.\n'
    # A hole in the numbers is what a reader that was overtaken sees.
    subprocess.run([TO_RING, ring], input=flow(1) + flow(5), check=True)
    lines = [json.loads(x) for x in out([FOLLOW_C, ring]).splitlines()]
    assert [x['seq'] for x in lines] == [1, 4, 5]
    assert lines[1] == {'timestamp': '2001-09-09T01:46:40.000000Z', 'event_type': 'gap', 'seq': 4,
                        'lost': 3, 'first': 2, 'last': 4}
    if PYTHON_TOO:
        assert out(FOLLOW_PY + [ring, '--json']) == out([FOLLOW_C, ring])
print('examples agree' if PYTHON_TOO else 'the C example agrees; python skipped: the library has a sanitizer in it')
