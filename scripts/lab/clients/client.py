#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""An HTTPS client on Python's ssl: client.py HOST[,HOST...] CAFILE none|after|crl SPKI CERT [CRLS]."""
import hashlib
import socket
import ssl
import sys

hosts, ca, mode, _, cert = sys.argv[1:6]


def visit(host):
    context = ssl.create_default_context(cafile=ca)
    if mode == "crl":
        context.load_verify_locations(sys.argv[6])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    raw = socket.create_connection((host, 443), timeout=10)
    with context.wrap_socket(raw, server_hostname=host) as s:
        if mode == "after" and hashlib.sha256(s.getpeercert(True)).hexdigest() != cert:
            print("pinned certificate does not match")
            return 1
        s.sendall(b"GET / HTTP/1.0\r\nHost: %s\r\n\r\n" % host.encode())
        while True:
            got = s.recv(4096)
            if not got:
                return 0
            print(got.decode(), end="")


bad = 0
for name in hosts.split(","):
    try:
        bad += visit(name)
    except OSError as e:
        print(name, e)
        bad += 1
sys.exit(bad > 0)
