#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Connections that carry nothing: check.py health|spare|cancel HOST[,HOST...] CAFILE.

health  a monitor: completes the handshake, says goodbye, asks nothing
spare   what browsers do: three connections to each host, one is used, the others are left idle for 2 s and closed
cancel  a user who leaves: goes away without a word when the first bytes of the server's answer are there
"""
import socket
import ssl
import sys
import time

what, hosts, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.set_alpn_protocols(["http/1.1"])


def connect(host):
    return context.wrap_socket(socket.create_connection((host, 443), timeout=10), server_hostname=host)


def health(host):
    s = connect(host)
    s.unwrap()
    s.close()


def spare(host):
    idle = [connect(host) for _ in range(2)]
    with connect(host) as s:
        s.sendall(b"GET / HTTP/1.0\r\nHost: %s\r\n\r\n" % host.encode())
        while s.recv(4096):
            pass
    time.sleep(2)
    for s in idle:
        s.close()


def cancel(host):
    raw = socket.create_connection((host, 443), timeout=10)
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(inward, outward, server_hostname=host).do_handshake()
    except ssl.SSLWantReadError:
        pass
    raw.sendall(outward.read())
    raw.recv(80)
    raw.close()


for name in hosts.split(","):
    try:
        {"health": health, "spare": spare, "cancel": cancel}[what](name)
        print("done with", name)
    except OSError as e:
        print(name, e)
