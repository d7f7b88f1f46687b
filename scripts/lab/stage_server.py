#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A server, or something on the way to it, that gives up: stage_server.py MODE ADDRESS... (port 443)

close-hello   closes when the ClientHello has come
reset-hello   resets then
reset-flight  passes bytes to and from port 8443 of the same address and resets both when the server's flight is through
close-flight  closes then
reset-finish  waits for the client's answer to the flight, which goes no further, and resets then
close-finish  closes then
"""
import selectors
import socket
import struct
import sys
import threading
import time


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def relay(mode, client, address):
    with socket.create_connection((address, 8443)) as server:
        server.sendall(client.recv(16384))
        server.settimeout(0.05)
        got = b""
        try:
            while True:
                part = server.recv(16384)
                if not part:
                    break
                got += part
        except socket.timeout:
            pass
        if mode.endswith("finish"):
            client.sendall(got)
            client.recv(16384)
        else:
            # all but the last byte: the client still waits for the end of the flight when the end comes
            client.sendall(got[:-1])
        time.sleep(0.05)
    reset(client) if mode.startswith("reset") else client.close()


def serve(mode, s, address):
    try:
        if not mode.endswith("hello"):
            relay(mode, s, address)
            return
        s.recv(16384)
        reset(s) if mode == "reset-hello" else s.close()
    except OSError:
        s.close()


def main():
    mode, addresses = sys.argv[1], sys.argv[2:]
    sel = selectors.DefaultSelector()
    for a in addresses:
        l = socket.create_server((a, 443), family=socket.AF_INET6 if ":" in a else socket.AF_INET, backlog=16)
        sel.register(l, selectors.EVENT_READ, a)
    while True:
        for key, _ in sel.select():
            s, _ = key.fileobj.accept()
            threading.Thread(target=serve, args=(mode, s, key.data), daemon=True).start()


main()
