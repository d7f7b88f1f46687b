#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The round that an operator makes, with real programs: clients behind an intercepting proxy, some of which pin; a capture;
pinsight read; pinsight report --exempt; the list loaded into the proxy; the same clients again. What pinned works now, what
did not is intercepted as before. For mitmproxy, squid and sslsplit, each in the form of list that it loads.

    exempt_test.py PINSIGHT [PROXY...]

Two network namespaces (clients; proxy and servers), gone with the test. Needs root; skipped (77) without it or without the
programs.
"""
import base64
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

PINSIGHT = os.path.abspath(sys.argv[1])
PROXIES = sys.argv[2:] or ['mitmproxy', 'squid', 'sslsplit']
PROGRAM = {'mitmproxy': 'mitmdump', 'squid': 'squid', 'sslsplit': 'sslsplit'}
CERTGEN = '/usr/lib/squid/security_file_certgen'
HOSTS = {'api.bank.example': '198.51.100.1', 'news.example': '198.51.100.2', 'shop.example': '198.51.100.3'}
PINNED = 'api.bank.example'
APPS = ['10.9.0.11', '10.9.0.12', '10.9.0.13']      # pin the bank's key
BROWSERS = ['10.9.0.21', '10.9.0.22']               # pin nothing
PORT = 9443
PATIENCE = 240      # seconds; only what hangs takes so long
END = b'the last packet of the capture'


def run(*cmd, **kw):
    p = subprocess.run(cmd, capture_output=True, timeout=PATIENCE, **kw)
    if p.returncode:
        sys.exit('%s\n%s%s' % (' '.join(cmd), p.stdout.decode(), p.stderr.decode()))
    return p.stdout


def skip(why):
    print('skipped:', why)
    sys.exit(77)


class Pki:
    def __init__(self, d):
        self.d = d
        for name, subject in (('public', '/CN=Test Public CA'), ('office', '/CN=Test Office CA')):
            run('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', subject, '-keyout',
                self(name + '.key'), '-out', self(name + '.crt'), '-addext', 'keyUsage=critical,keyCertSign,cRLSign')
        for host in HOSTS:
            run('openssl', 'req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=' + host, '-keyout', self(host + '.key'),
                '-out', self('csr'))
            with open(self('ext'), 'w') as f:
                f.write('subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n' % host)
            run('openssl', 'x509', '-req', '-in', self('csr'), '-CA', self('public.crt'), '-CAkey', self('public.key'),
                '-CAcreateserial', '-days', '20', '-extfile', self('ext'), '-out', self(host + '.crt'))
        self.join('both.pem', 'public.crt', 'office.crt')
        self.join('office.pem', 'office.key', 'office.crt')
        der = run('openssl', 'pkey', '-pubout', '-outform', 'DER', '-in', self(PINNED + '.key'))
        self.pin = 'sha256//' + base64.b64encode(hashlib.sha256(der).digest()).decode()
        os.chmod(d, 0o755)

    def __call__(self, name):
        return os.path.join(self.d, name)

    def join(self, out, *parts):
        with open(self(out), 'w') as f:
            for part in parts:
                with open(self(part)) as g:
                    f.write(g.read())


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '3')
        self.send_header('Connection', 'close')
        self.end_headers()
        self.wfile.write(b'ok\n')

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """The handshake is the handler's, in its thread: a client that fails it holds nobody up."""
    def finish_request(self, request, address):
        request.settimeout(PATIENCE)
        try:
            with self.tls.wrap_socket(request, server_side=True) as s:
                self.RequestHandlerClass(s, address, self)
        except OSError:
            pass

    def handle_error(self, *_):
        pass


def serve(pki):
    for host, address in HOSTS.items():
        s = Server((address, 443), Page)
        s.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        s.tls.load_cert_chain(pki(host + '.crt'), pki(host + '.key'))
        threading.Thread(target=s.serve_forever, daemon=True).start()


def wait_for(what, seen):
    end = time.monotonic() + PATIENCE
    while not seen():
        if time.monotonic() > end:
            sys.exit('waited in vain for ' + what)
        time.sleep(0.05)


class Net:
    """The clients' namespace is that of a sleeping process; it is linked to ours, where proxy and servers are."""
    def __init__(self):
        self.peer = subprocess.Popen(['unshare', '-n', 'sleep', '3600'])
        ours = os.readlink('/proc/self/ns/net')
        wait_for('a namespace', lambda: os.readlink('/proc/%d/ns/net' % self.peer.pid) != ours)
        run('ip', 'link', 'set', 'lo', 'up')
        run('ip', 'link', 'add', 'wire0', 'type', 'veth', 'peer', 'name', 'wire1')
        run('ip', 'link', 'set', 'wire1', 'netns', str(self.peer.pid))
        run('ip', 'addr', 'add', '10.9.0.1/24', 'dev', 'wire0')
        for address in HOSTS.values():
            run('ip', 'addr', 'add', address + '/32', 'dev', 'lo')
        run('ip', 'link', 'set', 'wire0', 'up')
        self('ip', 'link', 'set', 'lo', 'up')
        for address in APPS + BROWSERS:
            self('ip', 'addr', 'add', address + '/24', 'dev', 'wire1')
        self('ip', 'link', 'set', 'wire1', 'up')
        self('ip', 'route', 'add', 'default', 'via', '10.9.0.1')
        if shutil.which('ethtool'):     # segments as on a wire
            for dev, inside in (('wire0', False), ('wire1', True)):
                (self if inside else run)('ethtool', '-K', dev, 'tso', 'off', 'gso', 'off', 'gro', 'off', 'tx', 'off')

    def inside(self, *cmd):
        return ['nsenter', '-t', str(self.peer.pid), '-n', *cmd]

    def __call__(self, *cmd):
        return run(*self.inside(*cmd))

    def close(self):
        self.peer.kill()
        self.peer.wait()


def redirect():
    run('nft', '-f', '-', input=b'table ip lab {\n chain pre {\n  type nat hook prerouting priority -100\n'
        b'  tcp dport 443 redirect to :%d\n }\n}\n' % PORT)


def start(cmd, log, **kw):
    p = subprocess.Popen(cmd, stdout=log, stderr=log, **kw)
    end = time.monotonic() + PATIENCE
    while p.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(('10.9.0.1', PORT), 1).close()
            return p
        except OSError:
            time.sleep(0.1)
    log.seek(0)
    sys.exit('%s did not start\n%s' % (cmd[0], log.read().decode(errors='replace')))


def mitmproxy(pki, base, exempt, log):
    conf = os.path.join(base, 'conf')
    os.makedirs(conf, exist_ok=True)
    shutil.copy(pki('office.pem'), os.path.join(conf, 'mitmproxy-ca.pem'))
    if exempt:
        shutil.copy(exempt, os.path.join(conf, 'config.yaml'))
    return start(['mitmdump', '--mode', 'transparent', '--listen-host', '10.9.0.1', '-p', str(PORT), '--set', 'confdir=' + conf,
                  '--set', 'ssl_verify_upstream_trusted_ca=' + pki('public.crt')], log)


def squid(pki, base, exempt, log):
    db, conf = os.path.join(base, 'db'), os.path.join(base, 'squid.conf')
    if not os.path.exists(db):
        run(CERTGEN, '-c', '-s', db, '-M', '4MB')
    splice = ''
    if exempt:      # the two lines that the list itself asks for, with the list's own place
        with open(exempt) as f:
            wanted = [x[4:].strip() for x in f if x.startswith('#   ')]
        assert len(wanted) == 2, wanted
        splice = '\n'.join(wanted).replace('/etc/squid/pinned.list', exempt)
    with open(conf, 'w') as f:
        f.write('''https_port 10.9.0.1:%d intercept ssl-bump generate-host-certificates=on tls-cert=%s
http_port 127.0.0.1:3128
acl step1 at_step SslBump1
ssl_bump peek step1
%s
ssl_bump bump all
http_access allow all
tls_outgoing_options cafile=%s
sslcrtd_program %s -s %s -M 4MB
sslcrtd_children 2 startup=1
cache deny all
access_log none
cache_log %s/cache.log
pid_filename %s/squid.pid
coredump_dir %s
pinger_enable off
shutdown_lifetime 1 seconds
visible_hostname proxy.example
hosts_file %s/hosts
''' % (PORT, pki('office.pem'), splice, pki('public.crt'), CERTGEN, db, base, base, base, base))
    with open(os.path.join(base, 'hosts'), 'w') as f:       # it checks that a name belongs to the address
        f.writelines('%s %s\n' % (address, host) for host, address in HOSTS.items())
    run('chown', '-R', 'proxy:proxy', base)
    run('squid', '-k', 'parse', '-f', conf)
    return start(['squid', '-N', '-f', conf], log)


def sslsplit(pki, base, exempt, log):
    if exempt:
        run('nft', '-f', exempt)
        run('nft', '-f', exempt)        # again: it replaces itself
    return start(['sslsplit', '-D', '-u', 'root', '-k', pki('office.key'), '-c', pki('office.crt'), 'https', '10.9.0.1', str(PORT)],
                 log)


def stop(p):
    p.send_signal(signal.SIGTERM)
    try:
        p.wait(60)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()


def visit(net, pki, address, host, app):
    """Returns curl's exit status and who issued the certificate that it was shown."""
    cmd = ['curl', '-sv', '--noproxy', '*', '--max-time', '120', '--interface', address, '--cacert', pki('both.pem'), '--resolve',
           '%s:443:%s' % (host, HOSTS[host]), 'https://%s/' % host]
    if app:
        cmd += ['--tls-max', '1.2']
        if host == PINNED:
            cmd += ['--pinnedpubkey', pki.pin]
    p = subprocess.run(net.inside(*cmd), capture_output=True, timeout=PATIENCE)
    issuer = [x.split('issuer:')[1].strip() for x in p.stderr.decode().splitlines() if 'issuer:' in x]
    return p.returncode, (issuer or ['?'])[0]


def visits(net, pki):
    """{(kind of client, host): set of (exit status, issuer)} over two rounds, further apart than retries are folded."""
    seen = {}
    for i in range(2):
        if i:
            time.sleep(6)
        for host in ['news.example', 'shop.example', PINNED]:
            for address in APPS + BROWSERS:
                kind = 'app' if address in APPS else 'browser'
                seen.setdefault((kind, host), set()).add(visit(net, pki, address, host, kind == 'app'))
    return seen


class Dump:
    """tcpdump. The kernel gives it packets a block at a time, up to a second later, and what is in the block when it is
    stopped is lost: so the capture ends with a packet of its own, and nobody stops before that one is in the file."""
    def __init__(self, net, pcap):
        self.net, self.pcap = net, pcap
        self.proc = subprocess.Popen(net.inside('tcpdump', '-i', 'wire1', '-U', '-w', pcap, 'tcp port 443 or udp port 9'),
                                     stderr=subprocess.PIPE)
        self.proc.stderr.readline()

    def has_ended(self):
        with open(self.pcap, 'rb') as f:
            return END in f.read()

    def stop(self):
        self.net(sys.executable, '-c', 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(%r, ("10.9.0.1", 9))'
                 % END)
        wait_for('the end of the capture', self.has_ended)
        stop(self.proc)


def check(seen, what, want):
    for key, value in want.items():
        if seen[key] != {value}:
            sys.exit('%s: %s at %s: expected %s, saw %s' % (what, *key, value, seen[key]))


def expected(bank_app, bank_browser):
    office = (0, 'CN=Test Office CA')
    want = {(kind, host): office for kind in ('app', 'browser') for host in ('news.example', 'shop.example')}
    return {**want, ('app', PINNED): bank_app, ('browser', PINNED): bank_browser}


def tour(name, net, pki, d):
    base = os.path.join(d, name)
    os.makedirs(base)
    os.chmod(base, 0o755)
    pcap, events, exempt = (os.path.join(base, x) for x in ('capture.pcap', 'events.jsonl', 'exempt'))
    log = open(os.path.join(d, name + '.log'), 'w+b')
    proxy = globals()[name](pki, base, None, log)
    dump = Dump(net, pcap)
    seen = visits(net, pki)
    dump.stop()
    stop(proxy)
    # 90: CURLE_SSL_PINNEDPUBKEYNOTMATCH
    check(seen, name + ' before', expected((90, 'CN=Test Office CA'), (0, 'CN=Test Office CA')))

    with open(events, 'wb') as f:
        f.write(run(PINSIGHT, 'read', '--json', '--all', '--quiet', pcap))
    with open(exempt, 'wb') as f:
        f.write(run(PINSIGHT, 'report', '--exempt=' + name, events))
    listed = run(PINSIGHT, 'report', '--exempt=plain', events).decode()
    hosts = [x for x in listed.splitlines() if x and x[0] != '#']
    if hosts != [PINNED]:
        sys.exit('%s: expected the list %s, got %s\n%s' % (name, [PINNED], hosts, run(PINSIGHT, 'report', events).decode()))
    rows = json.loads(run(PINSIGHT, 'report', '--format=json', events))['rows']
    bank = [r for r in rows if r['section'] == 'pinned']
    assert len(bank) == 1 and sorted(bank[0]['client_examples']) == APPS, bank

    os.chmod(exempt, 0o644)
    proxy = globals()[name](pki, base, exempt, log)
    seen = visits(net, pki)
    stop(proxy)
    subprocess.run(['nft', 'delete', 'table', 'inet', 'pinsight_exempt'], stderr=subprocess.DEVNULL)
    check(seen, name + ' after', expected((0, 'CN=Test Public CA'), (0, 'CN=Test Public CA')))
    print('%s: %s refused before, exempt with confidence %.2f, works now; the others are still intercepted' % (
        name, PINNED, bank[0]['confidence']))


def main():
    if os.geteuid() != 0:
        skip('needs root: it makes network namespaces')
    missing = [p for p in ('curl', 'openssl', 'tcpdump', 'nft', 'ip', 'unshare', 'nsenter') if not shutil.which(p)]
    if missing:
        skip('needs ' + ', '.join(missing))
    if os.environ.get('PINSIGHT_E2E_INSIDE') != '1':
        probe = subprocess.run(['unshare', '-n', 'true'], capture_output=True)
        if probe.returncode:
            skip('cannot make a network namespace here')
        os.execvpe('unshare', ['unshare', '-n', sys.executable, *sys.argv], dict(os.environ, PINSIGHT_E2E_INSIDE='1'))
    proxies = [p for p in PROXIES if shutil.which(PROGRAM[p]) and (p != 'squid' or os.path.exists(CERTGEN))]
    for p in sorted(set(PROXIES) - set(proxies)):
        print('left out:', p, 'is not installed')
    if not proxies:
        skip('no intercepting proxy is installed')
    with tempfile.TemporaryDirectory() as d:
        pki = Pki(d)
        net = Net()
        try:
            serve(pki)
            redirect()
            for name in proxies:
                tour(name, net, pki, d)
        finally:
            net.close()


main()
