#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""An HTTPS client on Python's ssl: client.py HOST CAFILE none|after SPKI CERT."""
import hashlib
import socket
import ssl
import sys

host, ca, mode, _, cert = sys.argv[1:]
raw = socket.create_connection((host, 443), timeout=10)
with ssl.create_default_context(cafile=ca).wrap_socket(raw, server_hostname=host) as s:
    if mode == "after" and hashlib.sha256(s.getpeercert(True)).hexdigest() != cert:
        sys.exit("pinned certificate does not match")
    s.sendall(b"GET / HTTP/1.0\r\nHost: %s\r\n\r\n" % host.encode())
    while True:
        got = s.recv(4096)
        if not got:
            break
        print(got.decode(), end="")
