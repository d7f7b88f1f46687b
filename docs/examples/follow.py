#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Prints who was refused, from the events of a running engine, until it stops. No compiled step: ctypes and libpinsight-event.

    follow.py RING [--json]     --json: every event as it is
"""
import ctypes
import json
import os
import sys
import time

lib = ctypes.CDLL(os.environ.get('PINSIGHT_EVENT_LIB', 'libpinsight-event.so.0'))
lib.psi_ring_open.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
lib.psi_ring_next.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]
lib.psi_ring_follow.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
lib.psi_ring_shut.argtypes = [ctypes.c_void_p]
lib.psi_json_event.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
EVENT, NONE, OLDEST = 1, 0, 0


def events(path):
    """every event as a line of JSON; a gap is an event, too"""
    ring, event = ctypes.c_void_p(), ctypes.c_void_p()
    err = ctypes.create_string_buffer(512)
    if lib.psi_ring_open(ctypes.byref(ring), path.encode(), OLDEST, err):
        sys.exit(err.value.decode())
    line = ctypes.create_string_buffer(8 * 65528)
    while True:
        rc = lib.psi_ring_next(ring, ctypes.byref(event))
        if rc == EVENT:
            n = lib.psi_json_event(event, line, len(line))
            yield ctypes.string_at(line, max(n, 0)).decode()
        elif lib.psi_ring_follow(ring, None) == 1:
            continue  # the engine was started again
        elif rc == NONE:
            time.sleep(0.001)
        else:
            break
    lib.psi_ring_shut(ring)


def main():
    for text in events(sys.argv[1]):
        if '--json' in sys.argv:
            sys.stdout.write(text)
            continue
        e = json.loads(text)
        if e['event_type'] == 'tls_flow' and e.get('verdict', {}).get('class', 'normal') != 'normal':
            host = e.get('tls', {}).get('sni') or e.get('dest_ip')
            print(e.get('src_ip'), host, e['verdict']['class'], e['verdict'].get('reason', ''), flush=True)


if __name__ == '__main__':
    main()
