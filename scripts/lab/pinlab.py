# SPDX-License-Identifier: BSD-3-Clause
"""The laboratory: three network namespaces, a PKI, real servers, real interception proxies, a capture.

    client ns ── c0/g0 ── gateway ns (router; sslsplit, mitmproxy) ── g1/s0 ── server ns (nginx, openssl s_server)

The capture is taken on c0: what a client and whoever answers it say to each other, in frames as on a wire (offloads are
switched off). A connection is named before it runs: its client gets a source address and a range of source ports of its
own, so the label of a flow follows from how it was made and never from how the flow looks.

Everything lives in the namespaces and in one temporary directory; both are gone when the `with` block ends.
"""
import base64
import functools
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PORTS_PER_CASE = 4
NETS = {4: ("192.0.2.%d", "198.51.100.%d", "192.0.2.1", "198.51.100.0/24"),
        6: ("2001:db8:0:1::%x", "2001:db8:0:2::%x", "2001:db8:0:1::1", "2001:db8:0:2::/64")}


def run(cmd, check=True, **kw):
    """Runs a command of the set-up; a failure ends the program with what the command said."""
    p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if check and p.returncode != 0:
        raise RuntimeError("%s\nexit status %d\n%s" % (" ".join(map(str, cmd)), p.returncode, p.stdout))
    return p


def need(programs):
    """programs: {program: Debian package}. Ends with the apt line when some are missing; installs nothing."""
    if os.geteuid() != 0:
        sys.exit("needs root: it makes network namespaces")
    missing = sorted({pkg for prog, pkg in programs.items() if not shutil.which(prog)})
    if missing:
        sys.exit("missing programs; install them with\n  apt-get install --no-install-recommends " + " ".join(missing))


def version_of(cmd):
    """First line of what a program says of itself."""
    p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return (p.stdout.strip().splitlines() or ["?"])[0]


class Pki:
    """A public root with an issuing CA, an inspection CA that nobody but the office trusts, and leaves of every kind."""

    CONF = """
[ca]
default_ca = x
[x]
database = %(dir)s/index.txt
new_certs_dir = %(dir)s
rand_serial = yes
default_md = sha256
policy = p
copy_extensions = copy
unique_subject = no
default_crl_days = 30
[p]
organizationName = optional
commonName = supplied
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[clientonly]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
"""

    def __init__(self, directory):
        self.dir = directory
        os.makedirs(directory)
        open(self.path("index.txt"), "w").close()
        with open(self.path("ca.cnf"), "w") as f:
            f.write(self.CONF % {"dir": directory})
        self.ca("root", "/O=Example Trust/CN=Example Public Root")
        self.ca("issuing", "/O=Example Trust/CN=Example Issuing CA", by="root")
        self.ca("inspection", "/O=Example Office/CN=Example Office Inspection CA")
        self.bundle("public.pem", "root.crt")
        self.bundle("office.pem", "root.crt", "inspection.crt")

    def path(self, name):
        return os.path.join(self.dir, name)

    def bundle(self, out, *parts):
        with open(self.path(out), "w") as f:
            for p in parts:
                f.write(open(self.path(p)).read())
        return self.path(out)

    def key(self, name, kind):
        spec = {"ec": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]}
        run(["openssl", "genpkey", "-algorithm"] + spec[kind] + ["-out", self.path(name + ".key")])

    def sign(self, name, subject, by, ext, san=None, start=-86400, end=90 * 86400, kind="ec"):
        self.key(name, kind)
        # req insists on a distinguished_name section even when -subj is given
        with open(self.path("req.cnf"), "w") as f:
            f.write("[req]\ndistinguished_name = d\n[d]\n")
        csr = ["openssl", "req", "-new", "-config", self.path("req.cnf"), "-key", self.path(name + ".key"), "-subj",
               subject, "-out", self.path(name + ".csr")]
        if san:
            csr += ["-addext", "subjectAltName=" + san]
        run(csr)
        stamp = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + s)) for s in (start, end)]
        who = ["-selfsign", "-keyfile", self.path(name + ".key")] if by is None else [
            "-cert", self.path(by + ".crt"), "-keyfile", self.path(by + ".key")]
        run(["openssl", "ca", "-batch", "-notext", "-config", self.path("ca.cnf"), "-extensions", ext, "-startdate",
             stamp[0], "-enddate", stamp[1], "-in", self.path(name + ".csr"), "-out", self.path(name + ".crt")] + who)

    def ca(self, name, subject, by=None):
        self.sign(name, subject, by, "root", end=3650 * 86400)

    def leaf(self, name, host, chain=True, by="issuing", **kw):
        """A server certificate for host, and NAME.chain as the server sends it."""
        self.sign(name, "/CN=" + host, by, kw.pop("ext", "leaf"), san="DNS:" + host, **kw)
        self.bundle(name + ".chain", *([name + ".crt"] + (["issuing.crt"] if chain and by else [])))

    def revoke(self, name, by="issuing"):
        """Revokes a leaf, and makes crls.pem (both CAs of the public chain) and NAME.ocsp, the answer to staple."""
        as_ca = ["openssl", "ca", "-config", self.path("ca.cnf"), "-cert", self.path(by + ".crt"), "-keyfile",
                 self.path(by + ".key")]
        run(as_ca + ["-revoke", self.path(name + ".crt")])
        for ca in (by, "root"):
            run(["openssl", "ca", "-config", self.path("ca.cnf"), "-cert", self.path(ca + ".crt"), "-keyfile",
                 self.path(ca + ".key"), "-gencrl", "-out", self.path(ca + ".crl")])
        self.bundle("crls.pem", by + ".crl", "root.crl")
        run(["openssl", "ocsp", "-issuer", self.path(by + ".crt"), "-cert", self.path(name + ".crt"), "-no_nonce",
             "-reqout", self.path(name + ".ask")])
        run(["openssl", "ocsp", "-index", self.path("index.txt"), "-CA", self.path(by + ".crt"), "-rsigner",
             self.path(by + ".crt"), "-rkey", self.path(by + ".key"), "-reqin", self.path(name + ".ask"), "-ndays", "30",
             "-respout", self.path(name + ".ocsp")])

    @functools.lru_cache(maxsize=None)
    def spki(self, name):
        """SHA-256 of the public key: (base64, hex)."""
        der = subprocess.run(["openssl", "pkey", "-in", self.path(name + ".key"), "-pubout", "-outform", "DER"],
                             stdout=subprocess.PIPE, check=True).stdout
        h = hashlib.sha256(der)
        return base64.b64encode(h.digest()).decode(), h.hexdigest()

    @functools.lru_cache(maxsize=None)
    def fingerprint(self, name):
        """SHA-256 of the certificate, hex."""
        der = subprocess.run(["openssl", "x509", "-in", self.path(name + ".crt"), "-outform", "DER"],
                             stdout=subprocess.PIPE, check=True).stdout
        return hashlib.sha256(der).hexdigest()


class Lab:
    """hosts: {name: last number of its address}; clients: the last numbers of the clients' addresses."""

    def __init__(self, hosts, clients, first_port=20000, pki=None):
        """pki: one made earlier, when several laboratories share it."""
        self.hosts, self.clients, self.next_port = hosts, clients, first_port
        self.procs, self.pki = [], pki
        tag = "psi%d" % os.getpid()
        self.ns = {k: "%s-%s" % (tag, k) for k in ("client", "gateway", "server")}

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="pinlab.")
        # A signal must not leave namespaces behind: turn it into an exception that __exit__ sees.
        for s in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(s, lambda *a: sys.exit("stopped by a signal"))
        try:
            os.chmod(self.dir, 0o755)
            self.pki = self.pki or Pki(self.path("pki"))
            self.build_dir = self.path("build")
            os.mkdir(self.build_dir)
            self._wire()
            self._hosts_files()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        for p in reversed(self.procs):
            self._stop(p)
        for n in self.ns.values():
            run(["ip", "netns", "del", n], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    @staticmethod
    def _stop(p):
        if p.poll() is None:
            p.send_signal(signal.SIGINT if p.polite else signal.SIGTERM)
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()

    # -- the network -------------------------------------------------------------------------------------------------
    def _wire(self):
        c, g, s = (self.ns[k] for k in ("client", "gateway", "server"))
        for n in (c, g, s):
            run(["ip", "netns", "add", n])
            run(["ip", "-n", n, "link", "set", "lo", "up"])
        for i, (a, na, b, nb) in enumerate((("c0", c, "g0", g), ("g1", g, "s0", s))):
            run(["ip", "link", "add", a, "netns", na, "address", "02:00:00:00:%02x:01" % i, "type", "veth",
                 "peer", "name", b, "netns", nb, "address", "02:00:00:00:%02x:02" % i])
            for dev, n in ((a, na), (b, nb)):
                run(["ip", "-n", n, "link", "set", dev, "up"])
                run(["ip", "netns", "exec", n, "ethtool", "-K", dev, "tx", "off", "rx", "off", "tso", "off", "gso",
                     "off", "gro", "off"])
        self._addr(g, "g0", 1, client=True)
        self._addr(g, "g1", 1, client=False)
        for n in self.clients:
            self._addr(c, "c0", n, client=True)
        for n in sorted(set(self.hosts.values())):
            self._addr(s, "s0", n, client=False)
        run(["ip", "-n", s, "route", "add", "default", "via", NETS[4][1] % 1])
        run(["ip", "-n", s, "-6", "route", "add", "default", "via", NETS[6][1] % 1])
        run(["ip", "netns", "exec", g, "sh", "-c",
             "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"])

    @staticmethod
    def _addr(ns, dev, n, client):
        side = 0 if client else 1
        run(["ip", "-n", ns, "addr", "add", NETS[4][side] % n + "/24", "dev", dev])
        run(["ip", "-n", ns, "-6", "addr", "add", NETS[6][side] % n + "/64", "dev", dev, "nodad"])

    def _hosts_files(self):
        for v in (4, 6):
            with open(self.path("hosts%d" % v), "w") as f:
                f.write("127.0.0.1 localhost\n::1 localhost\n")
                for name, n in self.hosts.items():
                    f.write("%s %s\n" % (NETS[v][1] % n, name))

    def redirect(self, clients, port, destinations=None):
        """TCP 443 from these clients goes to the proxy: IPv4 to port, IPv6 to port + 1."""
        rules = ["add table inet lab", "add chain inet lab pre { type nat hook prerouting priority -100; }"]
        for v, word in ((4, "ip"), (6, "ip6")):
            src = ", ".join(NETS[v][0] % n for n in clients)
            dst = "" if not destinations else "%s daddr { %s } " % (
                word, ", ".join(NETS[v][1] % n for n in destinations))
            rules.append("add rule inet lab pre %s saddr { %s } %stcp dport 443 redirect to :%d"
                         % (word, src, dst, port + (v == 6)))
        run(["ip", "netns", "exec", self.ns["gateway"], "nft", "-f", "-"], input="\n".join(rules) + "\n")

    # -- programs ----------------------------------------------------------------------------------------------------
    def spawn(self, where, cmd, name, polite=False, ready=None):
        """Starts a server in a namespace and waits until it listens on the ports of `ready`."""
        log = open(self.path(name + ".log"), "w")
        p = subprocess.Popen(self._inside(where, cmd, self.path("hosts4")), stdout=log, stderr=log,
                             stdin=subprocess.DEVNULL, start_new_session=True)
        p.polite = polite
        self.procs.append(p)
        for port in ready or ():
            self._wait_listen(where, port, p, name)
        return p

    def _inside(self, where, cmd, hosts, before=""):
        return ["ip", "netns", "exec", self.ns[where], "sh", "-c",
                "mount --bind %s /etc/hosts && %s exec \"$@\"" % (hosts, before), "sh"] + [str(c) for c in cmd]

    def _wait_listen(self, where, port, proc, name):
        for _ in range(200):
            out = run(["ip", "netns", "exec", self.ns[where], "ss", "-Hltn", "sport = :%d" % port]).stdout
            if out.strip():
                return
            if proc.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("%s does not listen on port %d:\n%s" % (name, port, open(self.path(name + ".log")).read()))

    def client(self, cmd, address, family, stdin=b"", timeout=15, ports=PORTS_PER_CASE):
        """Runs a client with its own source address and ports. Returns (ports, exit status, output)."""
        lo = self.next_port
        self.next_port += ports
        hi = lo + ports - 1
        src, _, gw, net = NETS[family]
        before = "echo '%d %d' > /proc/sys/net/ipv4/ip_local_port_range && ip -%d route replace %s via %s src %s &&" % (
            lo, hi, family, net, gw, src % address)
        full = self._inside("client", cmd, self.path("hosts%d" % family), before)
        p = subprocess.Popen(full, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             env=dict(os.environ, HOME=self.dir), start_new_session=True)
        try:
            out, rc = p.communicate(stdin, timeout)[0], p.returncode
        except subprocess.TimeoutExpired:
            # with all that it started: a client may be a shell with a pipe, or a browser with a dozen processes
            os.killpg(p.pid, signal.SIGKILL)
            out, rc = p.communicate()[0], -1
        return range(lo, hi + 1), rc, out.decode("utf-8", "replace")

    def capture(self, out, where="client", dev="c0"):
        # immediate mode: otherwise the kernel keeps the last packets for up to a second, and the end is lost
        p = self.spawn(where, ["tcpdump", "-i", dev, "-s", "0", "-U", "--immediate-mode", "-B", "8192", "-Z", "root", "-w", out,
                               "tcp"], "tcpdump", polite=True)
        for _ in range(200):
            if "listening on" in open(self.path("tcpdump.log")).read():
                return p
            time.sleep(0.05)
        raise RuntimeError("tcpdump does not start:\n" + open(self.path("tcpdump.log")).read())

    def end_capture(self, p):
        time.sleep(0.5)
        self._stop(p)
        said = open(self.path("tcpdump.log")).read()
        if "0 packets dropped by kernel" not in said:
            raise RuntimeError("the capture is not whole:\n" + said)

    # -- servers and proxies -----------------------------------------------------------------------------------------
    def nginx(self, sites, protocols="TLSv1.2 TLSv1.3"):
        """sites: list of dict(host, cert, options): one address a host, port 443."""
        body = []
        for s in sites:
            n = self.hosts[s["host"]]
            body.append("""server {
  listen %s:443 ssl http2; listen [%s]:443 ssl http2; server_name %s;
  ssl_certificate %s; ssl_certificate_key %s; %s
  location / { return 200 "hello from %s\\n"; } %s
}""" % (NETS[4][1] % n, NETS[6][1] % n, s["host"], self.pki.path(s["cert"] + ".chain"),
                self.pki.path(s["cert"] + ".key"), s.get("options", ""), s["host"],
                s.get("pages", "")))
        tmp = "".join("%s_temp_path %s; " % (k, self.path("ngx_" + k))
                      for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(self.path("nginx.conf"), "w") as f:
            f.write("""daemon off; user root; worker_processes 1; pid %s; error_log %s;
events { worker_connections 256; }
http { access_log off; default_type text/plain; server_tokens off; %s
ssl_protocols %s; ssl_session_timeout 1h; ssl_session_tickets on;
%s
}
""" % (self.path("nginx.pid"), self.path("nginx.err"), tmp, protocols, "\n".join(body)))
        return self.spawn("server", ["nginx", "-c", self.path("nginx.conf"), "-e", self.path("nginx.err")], "nginx",
                          ready=[443])

    def sslsplit(self, port, name="sslsplit", options=()):
        return self.spawn("gateway", ["sslsplit", "-D", "-u", "root", "-k", self.pki.path("inspection.key"), "-c",
                                      self.pki.path("inspection.crt"), *options, "https", "0.0.0.0", port, "https",
                                      "::", port + 1], name, ready=[port, port + 1])

    def squid(self, port, name="squid", options=""):
        """Squid as an intercepting proxy; it makes certificates in a helper and drops to the user proxy."""
        base = self.path(name)
        os.makedirs(base)
        self.pki.bundle("inspection.pem", "inspection.crt", "inspection.key")
        run(["/usr/lib/squid/security_file_certgen", "-c", "-s", os.path.join(base, "db"), "-M", "4MB"])
        with open(os.path.join(base, "squid.conf"), "w") as f:
            for addr, p in (("0.0.0.0", port), ("[::]", port + 1)):
                f.write("https_port %s:%d intercept ssl-bump generate-host-certificates=on tls-cert=%s %s\n" % (
                    addr, p, self.pki.path("inspection.pem"), options))
            f.write("""http_port 127.0.0.1:3128
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
http_access allow all
tls_outgoing_options cafile=%s
sslcrtd_program /usr/lib/squid/security_file_certgen -s %s/db -M 4MB
sslcrtd_children 3 startup=1
cache deny all
access_log none
cache_log %s/cache.log
pid_filename %s/squid.pid
coredump_dir %s
pinger_enable off
shutdown_lifetime 1 seconds
visible_hostname proxy.example
""" % (self.pki.path("public.pem"), base, base, base, base))
        run(["chown", "-R", "proxy:proxy", base])
        return self.spawn("gateway", ["squid", "-N", "-f", os.path.join(base, "squid.conf")], name,
                          ready=[port, port + 1])

    def mitmproxy(self, port, name="mitmproxy", options=()):
        conf = self.path(name + ".conf")
        os.makedirs(conf)
        with open(os.path.join(conf, "mitmproxy-ca.pem"), "w") as f:
            for part in ("inspection.key", "inspection.crt"):
                f.write(open(self.pki.path(part)).read())
        procs = []
        for host, p in (("0.0.0.0", port), ("::", port + 1)):
            procs.append(self.spawn("gateway", [
                "mitmdump", "--mode", "transparent", "--listen-host", host, "--listen-port", p, "--set",
                "confdir=" + conf, "--set", "ssl_verify_upstream_trusted_ca=" + self.pki.path("public.pem"),
                *options], "%s%d" % (name, p), ready=[p]))
        return procs


def write_jsonl(path, rows):
    with open(path, "w") as f:
        for r in rows:
            f.write(json.dumps(r, ensure_ascii=False) + "\n")
