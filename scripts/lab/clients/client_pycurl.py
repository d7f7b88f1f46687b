#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""An HTTPS client on libcurl with GnuTLS, as Debian builds pycurl: client_pycurl.py HOST CAFILE none|after SPKI CERT."""
import sys

import pycurl

host, ca, mode, spki, _ = sys.argv[1:]
if "GnuTLS" not in pycurl.version:
    sys.exit("pycurl is not built on GnuTLS: " + pycurl.version)
c = pycurl.Curl()
c.setopt(c.URL, "https://%s/" % host)
c.setopt(c.CAINFO, ca)
c.setopt(c.TIMEOUT, 10)
c.setopt(c.WRITEFUNCTION, lambda b: sys.stdout.write(b.decode()))
if mode == "after":
    c.setopt(c.PINNEDPUBLICKEY, "sha256//" + spki)
c.perform()
c.close()
