# SPDX-License-Identifier: BSD-3-Clause
"""The clients of the laboratory: how each is told whom to trust, what to pin and where to go.

A client prints what the server says, so that "hello from" in its output means that it got through. pins: how it can
check a pin: "in" the handshake, "after" it; every client can also be given a CA list of its own ("ca").
"""
import base64
import os
import shutil
import subprocess

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
GET = b"GET / HTTP/1.0\r\n\r\n"
PY = "/usr/bin/python3"
JARS = "/usr/share/java/okhttp.jar:/usr/share/java/okio.jar"


class Client:
    def __init__(self, name, stack, needs, version, make, pins=(), build=None, ports=4, browser=False):
        self.name, self.stack, self.needs, self.version, self.make = name, stack, needs, version, make
        self.pins, self.build, self.ports, self.browser = pins, build, ports, browser

    def missing(self):
        """needs: programs, files, and py:MODULE for modules of Debian's Python."""
        return [n for n in self.needs if not self._there(n)]

    @staticmethod
    def _there(n):
        if n.startswith("py:"):
            return subprocess.run([PY, "-c", "import " + n[3:]], stderr=subprocess.DEVNULL).returncode == 0
        return os.path.exists(n) if n.startswith("/") else shutil.which(n) is not None

    def command(self, lab, host, ca, mode="none", cert=None):
        """cert: the leaf whose key is pinned. Returns (command, standard input)."""
        spki = lab.pki.spki(cert)[0] if cert else "-"
        return self.make(lab, host, lab.pki.path(ca + ".pem"), mode, spki, lab.pki.fingerprint(cert) if cert else "-")


def script(*run):
    """A client of our own under clients/, which take the same arguments."""
    return lambda lab, host, ca, mode, spki, cert: ([*run, host, ca, mode, spki, cert], b"")


def own(lab, name):
    return os.path.join(lab.build_dir, name)


def curl(version):
    def make(lab, host, ca, mode, spki, cert):
        pin = ["--pinnedpubkey", "sha256//" + spki] if mode == "after" else []
        return ["curl", "-q", "-sS", "--max-time", "10", version, "--cacert", ca, *pin, "https://%s/" % host], b""
    return make


def s_client(lab, host, ca, mode, spki, cert):
    dane = []
    if mode == "in":
        dane = ["-dane_tlsa_domain", host, "-dane_tlsa_rrdata", "3 1 1 " + base64.b64decode(spki).hex()]
    return ["openssl", "s_client", "-quiet", "-connect", host + ":443", "-servername", host, "-CAfile", ca,
            "-verify_hostname", host, "-verify_return_error", *dane], GET


def gnutls(lab, host, ca, mode, spki, cert):
    # its standard input must stay open until the answer is there
    return ["sh", "-c", '{ printf "GET / HTTP/1.0\\r\\n\\r\\n"; sleep 0.5; } | exec gnutls-cli --x509cafile="$1" "$2"',
            "sh", ca, host], b""


def wget(lab, host, ca, mode, spki, cert):
    pin = ["--pinnedpubkey=sha256//" + spki] if mode == "after" else []
    return ["wget", "-q", "-O", "-", "-t", "1", "-T", "10", "--no-config", "--no-hsts", "--ca-certificate", ca, *pin,
            "https://%s/" % host], b""


def lftp(lab, host, ca, mode, spki, cert):
    return ["lftp", "-c", "set ssl:ca-file %s; set net:max-retries 1; set net:timeout 8; set xfer:log no; "
            "open https://%s/; cat index.html" % (ca, host)], b""


def nss_db(lab, ca):
    """A certificate database with the CAs of a bundle, made once; also the one that Chromium looks at."""
    home = own(lab, "nss-" + os.path.basename(ca))
    db = os.path.join(home, ".pki", "nssdb")
    if not os.path.isdir(db):
        os.makedirs(db)
        subprocess.run(["certutil", "-N", "-d", "sql:" + db, "--empty-password"], check=True)
        for i, part in enumerate(open(ca).read().split("-----END CERTIFICATE-----")[:-1]):
            subprocess.run(["certutil", "-A", "-d", "sql:" + db, "-n", "ca%d" % i, "-t", "C,,"], check=True,
                           input=(part + "-----END CERTIFICATE-----\n").encode())
    return home, db


def tstclnt(lab, host, ca, mode, spki, cert):
    request = own(lab, "request")
    with open(request, "wb") as f:
        f.write(GET)
    return ["tstclnt", "-V", "tls1.2:tls1.3", "-d", "sql:" + nss_db(lab, ca)[1], "-h", host, "-p", "443", "-A",
            request], b""


def chromium(lab, host, ca, mode, spki, cert):
    home = nss_db(lab, ca)[0]
    return ["env", "HOME=" + home, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            "--user-data-dir=" + os.path.join(home, "profile"), "--dump-dom", "https://%s/" % host], b""


def go_build(lab):
    subprocess.run(["go", "build", "-o", own(lab, "goclient"), os.path.join(HERE, "client.go")], check=True,
                   env=dict(os.environ, GOCACHE=own(lab, "gocache"), GOFLAGS="-mod=mod"), cwd=lab.build_dir)


def java_build(lab):
    sources = [os.path.join(HERE, f) for f in ("Client.java", "OkClient.java")]
    subprocess.run(["javac", "-d", lab.build_dir, "-cp", JARS, *sources], check=True)


def java(cls):
    return lambda lab, host, ca, mode, spki, cert: (
        ["java", "-Xshare:auto", "-cp", lab.build_dir + ":" + JARS, cls, host, ca, mode, spki, cert], b"")


def here(name):
    return os.path.join(HERE, name)


CLIENTS = [
    Client("curl", "OpenSSL", ["curl"], ["curl", "--version"], curl("--http1.1"), ["after"]),
    Client("curl-h2", "OpenSSL", ["curl"], ["curl", "--version"], curl("--http2"), ["after"], browser=True),
    Client("openssl", "OpenSSL", ["openssl"], ["openssl", "version"], s_client, ["in"]),
    Client("python", "OpenSSL", [PY], [PY, "--version"], script(PY, here("client.py")), ["after"]),
    Client("pyopenssl", "OpenSSL", [PY, "py:OpenSSL"],
           [PY, "-c", "import OpenSSL; print('pyOpenSSL', OpenSSL.__version__)"],
           script(PY, here("client_pyopenssl.py")), ["in"]),
    Client("ruby", "OpenSSL", ["ruby"], ["ruby", "--version"], script("ruby", here("client.rb")), ["in"]),
    Client("perl", "OpenSSL", ["perl", "/usr/share/perl5/IO/Socket/SSL.pm"], ["perl", "-e", "printf 'perl %vd', $^V"],
           script("perl", here("client.pl")), ["in", "after"]),
    Client("php", "OpenSSL", ["php"], ["php", "--version"], script("php", here("client.php")), ["after"]),
    Client("node", "OpenSSL", ["node"], ["node", "--version"], script("node", here("client.js")), ["after"]),
    Client("gnutls-cli", "GnuTLS", ["gnutls-cli"], ["gnutls-cli", "--version"], gnutls),
    Client("wget", "GnuTLS", ["wget"], ["wget", "--version"], wget, ["after"]),
    Client("curl-gnutls", "GnuTLS", [PY, "py:pycurl"],
           [PY, "-c", "import pycurl; print(pycurl.version)"], script(PY, here("client_pycurl.py")), ["after"]),
    Client("lftp", "GnuTLS", ["lftp"], ["lftp", "--version"], lftp),
    Client("tstclnt", "NSS", ["tstclnt", "certutil"], ["dpkg-query", "-W", "libnss3"], tstclnt),
    Client("go", "Go", ["go"], ["go", "version"], lambda lab, *a: ([own(lab, "goclient"), *a], b""), ["in", "after"],
           go_build),
    Client("java", "JSSE", ["java", "javac", *JARS.split(":")], ["java", "--version"], java("Client"), ["in", "after"],
           java_build),
    Client("okhttp", "JSSE", ["java", "javac", *JARS.split(":")], ["java", "--version"], java("OkClient"), ["after"],
           java_build),
    Client("chromium", "BoringSSL", ["chromium", "certutil"], ["chromium", "--version"], chromium, ports=24,
           browser=True),
]
