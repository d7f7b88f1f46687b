# SPDX-License-Identifier: BSD-3-Clause
"""The clients of the laboratory: how each is told whom to trust, what to pin and where to go.

A client prints what the server says, so that "hello from" in its output means that it got through. pins: how it can
check a pin: "in" the handshake, "after" it; every client can also be given a CA list of its own ("ca"). many: it takes
several hosts, comma between. crl: it can be told to look for revocation (mode "crl"). held: its captures are kept from
whoever tunes the engine.
"""
import base64
import functools
import os
import shutil
import subprocess
import tempfile

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
GET = b"GET / HTTP/1.0\r\n\r\n"
PY = "/usr/bin/python3"
JARS = "/usr/share/java/okhttp.jar:/usr/share/java/okio.jar"


class Client:
    def __init__(self, name, stack, needs, version, make, pins=(), build=None, ports=4, browser=False, many=False,
                 crl=False, held=False):
        self.name, self.stack, self.needs, self.version, self.make = name, stack, needs, version, make
        self.pins, self.build, self.ports, self.browser = pins, build, ports, browser
        self.many, self.crl, self.held = many, crl, held

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
    return lambda lab, host, ca, mode, spki, cert: (
        [*run, host, ca, mode, spki, cert] + ([lab.pki.path("crls.pem")] if mode == "crl" else []), b"")


def own(lab, name):
    return os.path.join(lab.build_dir, name)


def curl(version):
    def make(lab, host, ca, mode, spki, cert):
        pin = ["--pinnedpubkey", "sha256//" + spki] if mode == "after" else []
        crl = ["--crlfile", lab.pki.path("crls.pem")] if mode == "crl" else []
        return ["curl", "-q", "-sS", "--max-time", "10", version, "--cacert", ca, *pin, *crl] + [
            "https://%s/" % h for h in host.split(",")], b""
    return make


def s_client(lab, host, ca, mode, spki, cert):
    dane = []
    if mode == "in":
        dane = ["-dane_tlsa_domain", host, "-dane_tlsa_rrdata", "3 1 1 " + base64.b64decode(spki).hex()]
    if mode == "crl":
        dane = ["-crl_check_all", "-CRL", lab.pki.path("crls.pem")]
    return ["openssl", "s_client", "-quiet", "-connect", host + ":443", "-servername", host, "-CAfile", ca,
            "-verify_hostname", host, "-verify_return_error", *dane], GET


def gnutls(lab, host, ca, mode, spki, cert):
    # its standard input must stay open until the answer is there
    crl = ["--x509crlfile=" + lab.pki.path("crls.pem")] if mode == "crl" else []
    return ["sh", "-c", '{ printf "GET / HTTP/1.0\\r\\n\\r\\n"; sleep 0.5; } | exec gnutls-cli "$@"',
            "sh", "--x509cafile=" + ca, *crl, host], b""


def wget(lab, host, ca, mode, spki, cert):
    pin = ["--pinnedpubkey=sha256//" + spki] if mode == "after" else []
    if mode == "crl":
        pin = ["--crl-file=" + lab.pki.path("crls.pem")]
    return ["wget", "-q", "-O", "-", "-t", "1", "-T", "10", "--no-config", "--no-hsts", "--ca-certificate", ca, *pin,
            *("https://%s/" % h for h in host.split(","))], b""


def lftp(lab, host, ca, mode, spki, cert):
    return ["lftp", "-c", "set ssl:ca-file %s; set net:max-retries 1; set net:timeout 8; set xfer:log no; "
            "open https://%s/; cat index.html" % (ca, host)], b""


@functools.lru_cache(maxsize=None)
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
    if not os.path.exists(request):
        with open(request, "wb") as f:
            f.write(GET)
    return ["tstclnt", "-V", "tls1.2:tls1.3", "-d", "sql:" + nss_db(lab, ca)[1], "-h", host, "-p", "443", "-A",
            request], b""


def chromium(lab, host, ca, mode, spki, cert):
    home = nss_db(lab, ca)[0]
    # a profile a device; LAB_HOME is the device's own directory
    return ["sh", "-c", 'exec "$@" --user-data-dir="$LAB_HOME/chromium"', "sh", "env", "HOME=" + home, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            "--timeout=8000", "--dump-dom", "https://%s/" % host], b""


def go_build(lab):
    # the compiler's cache is kept: the standard library takes a minute
    cache = os.environ.get("GOCACHE", os.path.join(tempfile.gettempdir(), "pinlab.gocache"))
    for name in ("client", "gohttp"):
        subprocess.run(["go", "build", "-o", own(lab, name + ".bin"), os.path.join(HERE, name + ".go")], check=True,
                       env=dict(os.environ, GOCACHE=cache, GOFLAGS="-mod=mod"), cwd=lab.build_dir)


def java_build(lab):
    sources = [os.path.join(HERE, f) for f in ("Client.java", "OkClient.java", "HttpClient.java")]
    subprocess.run(["javac", "-d", lab.build_dir, "-cp", JARS, *sources], check=True)


def java(cls):
    return lambda lab, host, ca, mode, spki, cert: (
        ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", lab.build_dir + ":" + JARS, cls, host, ca, mode, spki, cert], b"")


def here(name):
    return os.path.join(HERE, name)


CLIENTS = [
    Client("curl", "OpenSSL", ["curl"], ["curl", "--version"], curl("--http1.1"), ["after"], many=True, crl=True),
    Client("curl-h2", "OpenSSL", ["curl"], ["curl", "--version"], curl("--http2"), ["after"], browser=True, many=True),
    Client("openssl", "OpenSSL", ["openssl"], ["openssl", "version"], s_client, ["in"], crl=True),
    Client("python", "OpenSSL", [PY], [PY, "--version"], script(PY, here("client.py")), ["after"], many=True, crl=True),
    Client("pyopenssl", "OpenSSL", [PY, "py:OpenSSL"],
           [PY, "-c", "import OpenSSL; print('pyOpenSSL', OpenSSL.__version__)"],
           script(PY, here("client_pyopenssl.py")), ["in"], held=True),
    Client("ruby", "OpenSSL", ["ruby"], ["ruby", "--version"], script("ruby", here("client.rb")), ["in"], held=True),
    Client("perl", "OpenSSL", ["perl", "/usr/share/perl5/IO/Socket/SSL.pm"], ["perl", "-e", "printf 'perl %vd', $^V"],
           script("perl", here("client.pl")), ["in", "after"], held=True),
    Client("php", "OpenSSL", ["php"], ["php", "--version"], script("php", here("client.php")), ["after"], held=True),
    Client("node", "OpenSSL", ["node"], ["node", "--version"], script("node", here("client.js")), ["after"], many=True),
    Client("gnutls-cli", "GnuTLS", ["gnutls-cli"], ["gnutls-cli", "--version"], gnutls, crl=True),
    Client("wget", "GnuTLS", ["wget"], ["wget", "--version"], wget, ["after"], many=True, crl=True),
    Client("curl-gnutls", "GnuTLS", [PY, "py:pycurl"],
           [PY, "-c", "import pycurl; print(pycurl.version)"], script(PY, here("client_pycurl.py")), ["after"]),
    Client("lftp", "GnuTLS", ["lftp"], ["lftp", "--version"], lftp, held=True),
    Client("tstclnt", "NSS", ["tstclnt", "certutil"], ["dpkg-query", "-W", "libnss3"], tstclnt),
    Client("go", "Go", ["go"], ["go", "version"], lambda lab, *a: ([own(lab, "client.bin"), *a], b""), ["in", "after"],
           go_build, many=True),
    Client("go-http", "Go", ["go"], ["go", "version"], lambda lab, *a: ([own(lab, "gohttp.bin"), *a], b""), ["in"],
           go_build, many=True),
    Client("java", "JSSE", ["java", "javac", *JARS.split(":")], ["java", "--version"], java("Client"), ["in", "after"],
           java_build, many=True),
    Client("java-http", "JSSE", ["java", "javac", *JARS.split(":")], ["java", "--version"], java("HttpClient"), ["in"],
           java_build, many=True),
    Client("okhttp", "JSSE", ["java", "javac", *JARS.split(":")], ["java", "--version"], java("OkClient"), ["after"],
           java_build, many=True, held=True),
    Client("chromium", "BoringSSL", ["chromium", "certutil"], ["dpkg-query", "-W", "chromium"], chromium, ports=24,
           browser=True, many=True),
]


def check(lab, what, hosts, ca):
    """The connections that carry nothing: see clients/check.py."""
    return [PY, here("check.py"), what, hosts, lab.pki.path(ca + ".pem")], b""
