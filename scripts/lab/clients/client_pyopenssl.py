#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""An HTTPS client on pyOpenSSL, which can refuse inside the handshake: client_pyopenssl.py HOST CAFILE none|in SPKI CERT."""
import hashlib
import socket
import sys

from OpenSSL import SSL, crypto

host, ca, mode, _, cert = sys.argv[1:]


def verify(conn, x, err, depth, ok):
    if ok and depth == 0 and mode == "in":
        return hashlib.sha256(crypto.dump_certificate(crypto.FILETYPE_ASN1, x)).hexdigest() == cert
    return bool(ok)


ctx = SSL.Context(SSL.TLS_CLIENT_METHOD)
ctx.load_verify_locations(ca)
ctx.set_verify(SSL.VERIFY_PEER, verify)
s = SSL.Connection(ctx, socket.create_connection((host, 443)))
s.set_tlsext_host_name(host.encode())
s.set_connect_state()
s.do_handshake()
s.sendall(b"GET / HTTP/1.0\r\nHost: %s\r\n\r\n" % host.encode())
try:
    while True:
        print(s.recv(4096).decode(), end="")
except (SSL.ZeroReturnError, SSL.SysCallError):
    pass
s.shutdown()
s.close()
