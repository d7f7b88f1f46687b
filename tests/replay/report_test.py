#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pinsight report over events written by hand, tests/report/*.jsonl. The figures were counted from them by hand, small.txt
was written by hand; CSV and JSON are read back by Python's own modules.

    report_test.py PINSIGHT EVENTS2RING
"""
import base64
import csv
import hashlib
import html.parser
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

PINSIGHT, EVENTS2RING = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'report')


def report(*args, stdin=None, status=0):
    p = subprocess.run([PINSIGHT, 'report', *args], input=stdin, capture_output=True, cwd=HERE, timeout=240)
    assert p.returncode == status, (args, p.returncode, p.stderr.decode())
    return p.stdout.decode(), p.stderr.decode()


def flow(**kw):
    e = {'timestamp': '2026-03-02T08:00:00.000000Z', 'event_type': 'tls_flow', 'src_ip': '192.0.2.1', 'dest_ip': '192.0.2.2',
         'dest_port': 443, 'verdict': {'class': 'client_rejected', 'confidence': 0.8, 'evidence': [], 'reason': 'Why.'}}
    e.update(kw)
    return json.dumps(e).encode() + b'\n'


class Page(html.parser.HTMLParser):
    """Elements in order, their attributes, and the text of each; void and unclosed elements are told apart."""
    VOID = {'meta', 'rect', 'path', 'br'}

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.cells, self.body = [], [], [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag == 'tr':
            self.cells.append([])
        if tag == 'td':
            self.cells[-1].append('')
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.VOID:    # <rect/> calls this too
            return
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if self.open and self.open[-1] in ('style', 'script', 'title'):
            self.body[self.open[-1]] = self.body.get(self.open[-1], '') + data
        elif 'td' in self.open:
            self.cells[-1][-1] += data


# section, host, flows seen, refused, accepted, clients, stacks, confidence: counted in events.jsonl by hand
WANT = [
    ('interception', 'wiki.example', 0, 0, 0, 0, 0, 0.9),
    ('pinned', 'api.bank.example', 4, 3, 1, 2, 1, 0.97),
    ('pinned', "=cmd|' /c calc'!a0", 1, 1, 0, 1, 1, 0.99),
    ('pinned', 'mail.example', 1, 1, 0, 1, 1, 0.95),
    ('distrust', None, 2, 2, 0, 1, 1, 0.99),
    ('bad_certificate', 'old.example', 1, 1, 0, 1, 1, 0.95),
    ('suspected', '198.51.100.7:8443', 1, 1, 0, 1, 1, 0.35),
    ('client_certificate', 'vpn.example', 1, 1, 0, 1, 1, 0.9),
    ('handshake_failure', 'only13.example', 1, 1, 0, 1, 1, 0.9),
]


class Report(unittest.TestCase):
    def test_text(self):
        out, err = report('small.jsonl')
        with open(os.path.join(HERE, 'small.txt')) as f:
            self.assertEqual(out, f.read())
        self.assertEqual(err, '')
        for line in report('events.jsonl')[0].splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_text_holds_nothing_that_a_terminal_obeys(self):
        out, _ = report('events.jsonl')
        self.assertIn('\\x1B[31m', out)
        self.assertFalse([c for c in out if ord(c) < 32 and c != '\n' or ord(c) == 127])

    def test_json(self):
        doc = json.loads(report('--format=json', 'events.jsonl')[0])
        got = [(r['section'], r.get('host'), r['flows']['seen'], r['flows']['refused'], r['flows']['accepted'], r['clients'],
                r['stacks'], r['confidence']) for r in doc['rows']]
        self.assertEqual(got, WANT)
        s = doc['summary']
        self.assertEqual((s['flows'], s['accepted'], s['refused'], s['failed'], s['undecided']), (13, 1, 9, 2, 1))
        self.assertEqual((s['findings'], s['findings_expired'], s['events_lost'], s['events_ignored']), (7, 1, 7, 4))
        self.assertEqual(s['classes'], {'normal': 1, 'pinned': 2, 'unknown_ca': 2, 'certificate_expired': 1, 'client_rejected': 4,
                                        'client_certificate': 1, 'handshake_failure': 1, 'aborted': 1})
        bank = doc['rows'][1]
        self.assertEqual(bank['client_examples'], ['192.0.2.11', '192.0.2.12'])
        self.assertEqual(bank['server_examples'], ['198.51.100.1', '198.51.100.2'])
        self.assertEqual(bank['attempts'], {'seen': 6, 'failed': 3, 'ok': 3})
        self.assertEqual(bank['evidence'], ['this_host_only', 'others_accept'])
        self.assertEqual((bank['first_seen'], bank['last_seen']), ('2026-03-02T08:00:02.000000Z', '2026-03-02T08:00:04.000000Z'))
        self.assertEqual(bank['reason'], 'It refuses this host alone.')
        self.assertEqual(doc['rows'][2]['reason'], '<script>alert("1")</script>\x1b[31m')
        self.assertEqual(doc['rows'][4]['client'], '2001:db8::20')

    def test_csv(self):
        text, _ = report('--format=csv', 'events.jsonl')
        self.assertTrue(all(line.endswith('\r') for line in text.split('\n')[:-1]))
        rows = list(csv.DictReader(io.StringIO(text, newline=''), strict=True))
        self.assertEqual([(r['section'], r['host'] or None, int(r['flows_seen']), int(r['flows_refused']), int(r['flows_accepted']),
                           int(r['clients']), int(r['stacks']), float(r['confidence'])) for r in rows],
                         [(s, "'" + h if h and h[0] == '=' else h, *rest) for s, h, *rest in WANT])

    def test_csv_runs_nothing(self):
        for first in '=+-@':
            rows = list(csv.reader(io.StringIO(report('--format=csv', stdin=flow(tls={'sni': first + 'x'}))[0])))
            self.assertEqual(rows[1][3], "'" + first + 'x')
        for bad in ('\t=x', '\r=x', ' x', 'a"b', 'a\nb', 'a,b'):
            rows = list(csv.reader(io.StringIO(report('--format=csv', stdin=flow(tls={'sni': bad}))[0])))
            self.assertEqual(len(rows), 2)
            self.assertEqual(len(rows[1]), 20)
            self.assertNotIn(rows[1][3][:1], list('=+-@\t\r'))

    def test_bad_lines(self):
        out, err = report('bad.jsonl', status=1)
        lines = err.splitlines()
        for n, what in ((1, 'no JSON'), (2, 'the line: expected an object'), (3, 'timestamp: expected'), (4, 'src_ip: expected'),
                        (5, 'verdict.class: expected')):
            self.assertIn('bad.jsonl:%d:' % n, lines[n - 1])
            self.assertIn(what, lines[n - 1])
        self.assertIn('and 2 more lines', lines[5])
        self.assertIn('1 flows: 1 went through', out)
        self.assertIn('7 lines could not be read', out)
        self.assertIn('no-such-file', report('no-such-file', 'small.jsonl', status=1)[1])

    def test_hostile_lines(self):
        good = flow(tls={'sni': 'ok.example'})
        long = b'{"event_type":"tls_flow","x":"' + b'x' * (3 << 20) + b'"}\n'
        out, err = report('-', stdin=good + long + good + b'[' * 100000 + b'\n' + b'\xff\xfe\n' + good.rstrip(), status=1)
        self.assertIn('standard input:2: longer than 1048576 bytes', err)
        self.assertIn('3 flows: 0 went through, 3 refused', out)
        self.assertIn('3 lines could not be read', out)
        self.assertFalse([c for c in err if ord(c) < 32 and c != '\n'])

    def test_filters(self):
        def flows(*args):
            return json.loads(report('--format=json', *args, 'events.jsonl')[0])['summary']['flows']
        self.assertEqual(flows('--client=192.0.2.11'), 2)
        self.assertEqual(flows('--client=192.0.2.0/28'), 4)     # .10, .11 twice, .12
        self.assertEqual(flows('--client=2001:db8::/32'), 2)
        self.assertEqual(flows('--host=API.bank.example'), 4)
        self.assertEqual(flows('--host=.bank.example'), 4)
        self.assertEqual(flows('--since=2026-03-02T08:02:00Z'), 7)
        self.assertEqual(flows('--since=2026-03-03'), 0)
        with open(os.path.join(HERE, 'events.jsonl'), 'rb') as f:
            old = f.read().replace(b'"2026-', b'"2001-')        # of the past, whenever this runs
        for age, want in (('1h', 0), ('4w', 0), ('5000w', 13)):
            doc = json.loads(report('--format=json', '--since=' + age, stdin=old)[0])
            self.assertEqual(doc['summary']['flows'], want, age)
        doc = json.loads(report('--format=json', '--client=192.0.2.11', 'events.jsonl')[0])
        self.assertEqual([(r['section'], r['host'], r['clients']) for r in doc['rows']], [('pinned', 'api.bank.example', 1)])
        doc = json.loads(report('--format=json', '--min-confidence=0.95', 'events.jsonl')[0])
        self.assertEqual([r['confidence'] for r in doc['rows']], [0.97, 0.99, 0.95, 0.99, 0.95])
        self.assertEqual(doc['summary']['rows_below_min_confidence'], 4)
        self.assertEqual(len(json.loads(report('--format=json', '--top=1', 'events.jsonl')[0])['rows']), 7)
        self.assertIn('... and 2 more', report('--top=1', 'events.jsonl')[0])

    def test_usage(self):
        for args in (['--format=pdf'], ['--top=x'], ['--min-confidence=2'], ['--since=soon'], ['--client=me'], ['--client=192.0.2.1/33'],
                     ['--exempt=iis'], ['--no-such'], ['--top']):
            out, err = report(*args, stdin=b'', status=2)
            self.assertEqual(out, '')
            self.assertIn('See: pinsight report --help', err)
        out, _ = report('--help')
        self.assertLessEqual(max(map(len, out.splitlines())), 100)
        self.assertIn('no tls_flow or finding event', report(stdin=b'')[0])

    # HTML

    def test_html(self):
        text, _ = report('--format=html', 'events.jsonl')
        page = Page(text)
        self.assertEqual(page.open, [])
        rows = [c for c in page.cells if c]
        self.assertEqual([(c[0], int(c[1])) for c in rows if c[0] in ('api.bank.example', '2001:db8::20', 'vpn.example')],
                         [('api.bank.example', 3), ('2001:db8::20', 2), ('vpn.example', 1)])
        self.assertEqual(len(rows), 9)
        self.assertIn('<script>alert("1")</script>\\x1B[31m', rows[2][7])
        self.assertEqual(sum(t == 'svg' for t, _ in page.seen), 3)
        # nothing from elsewhere, no inline handler, one style and one script, and these are the ones the policy names
        for tag, attrs in page.seen:
            self.assertFalse([a for a in attrs if a.startswith('on') or a in ('src', 'href', 'style', 'action')], (tag, attrs))
            self.assertNotIn(tag, ('link', 'img', 'iframe', 'object', 'base', 'form'))
        policy = [a['content'] for t, a in page.seen if a.get('http-equiv') == 'Content-Security-Policy'][0]
        self.assertIn("default-src 'none'", policy)
        for what in ('style', 'script'):
            self.assertEqual(sum(t == what for t, _ in page.seen), 1)
            digest = base64.b64encode(hashlib.sha256(page.body[what].encode()).digest()).decode()
            self.assertIn("%s-src 'sha256-%s'" % (what, digest), policy)

    def test_html_of_nothing(self):
        self.assertEqual(Page(report('--format=html', stdin=b'')[0]).open, [])

    def test_html_in_a_browser(self):
        chromium = shutil.which('chromium')
        if not chromium:
            self.skipTest('no chromium')
        hostile = b''.join(flow(tls={'sni': s}) for s in
                           ('<script>document.title="owned"</script>', '"><img src=x onerror=document.title="owned">',
                            "'-alert(1)-'", '</script><script>document.title="owned"</script>', '&lt;b&gt;', '<!--', ']]>'))
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as d:  # its helpers may still write there
            path = os.path.join(d, 'r.html')
            with open(path, 'w') as f:
                f.write(report('--format=html', stdin=hostile)[0])
            try:
                p = subprocess.run([chromium, '--headless', '--no-sandbox', '--disable-gpu', '--user-data-dir=' + d, '--dump-dom',
                                    'file://' + path], capture_output=True, timeout=120)
            except subprocess.TimeoutExpired:
                self.skipTest('chromium does not come to an end here')
        dom = p.stdout.decode()
        if p.returncode or '<html' not in dom:
            self.skipTest('chromium does not run here')
        page = Page(dom)
        self.assertEqual(page.body['title'], 'Pinsight report')
        self.assertEqual(sum(t == 'script' for t, _ in page.seen), 1)
        self.assertEqual(sum(t == 'img' for t, _ in page.seen), 0)
        self.assertEqual(sum(t == 'button' for t, _ in page.seen), 8)   # our own script ran: a button a heading
        self.assertEqual(sorted(c[0] for c in page.cells if c),
                         sorted(['<script>document.title="owned"</script>', '"><img src=x onerror=document.title="owned">',
                                 "'-alert(1)-'", '</script><script>document.title="owned"</script>', '&lt;b&gt;', '<!--', ']]>']))

    # A ring: events as bytes, by the layout of psi_event.h and the ids of event_fields.def.

    def test_ring(self):
        def field(fid, value):
            return struct.pack('<HH', fid, len(value)) + value + bytes(-len(value) % 4)

        def event(kind, seq, fields):
            body = b''.join(fields)
            body += bytes(-len(body) % 8) if len(body) % 8 == 0 else struct.pack('<HH', 0, 0)
            return struct.pack('<IBBHQQ', 24 + len(body), kind, 1, 0, seq, 1772438400000000000) + body
        one = event(2, 1, [field(2, bytes([192, 0, 2, 11])), field(4, bytes([198, 51, 100, 1])), field(5, struct.pack('<H', 443)),
                           field(22, b'API.bank.example'), field(44, b't12d_app'), field(140, struct.pack('<H', 9)),
                           field(141, struct.pack('<d', 0.8)), field(143, b'Left at once.')])
        two = event(3, 2, [field(210, b'host_client'), field(211, b'api.bank.example'), field(212, bytes([192, 0, 2, 11])),
                           field(215, b'host_pinned_for_client'), field(216, struct.pack('<d', 0.9)), field(222, b'this_host_only')])
        with tempfile.TemporaryDirectory() as d:
            ring = os.path.join(d, 'ring')
            subprocess.run([EVENTS2RING, ring], input=one + two, check=True, timeout=240)
            doc = json.loads(report('--format=json', '--ring=' + ring)[0])
        self.assertEqual([(r['section'], r['host'], r['flows']['refused'], r['confidence'], r['evidence']) for r in doc['rows']],
                         [('pinned', 'api.bank.example', 1, 0.9, ['this_host_only'])])
        self.assertIn('Is the engine running', report('--ring=/nonexistent/ring', status=1)[1])

    # The forms. What real programs make of them: e2e/exempt_test.py.

    def lines(self, form, n=2):
        out, err = report('--exempt=' + form, 'events.jsonl')
        self.assertIn("not listed: =cmd|' /c calc'!a0: it is not a host name", err)
        self.assertIn('%d pinned host' % n, err)
        return out.splitlines()

    def test_plain(self):
        self.assertEqual([x for x in self.lines('plain') if x[0] != '#'], ['api.bank.example', 'mail.example'])

    def test_squid(self):
        self.assertEqual([x for x in self.lines('squid') if x[0] != '#'], ['api.bank.example', 'mail.example'])

    def test_mitmproxy(self):
        got = [x for x in self.lines('mitmproxy') if x.strip()[0] != '#']
        self.assertEqual(got, ['ignore_hosts:', "  - '^api\\.bank\\.example(:[0-9]+)?$'", "  - '^mail\\.example(:[0-9]+)?$'"])

    def test_sslsplit(self):
        got = [x.strip().rstrip(',') for x in self.lines('sslsplit', 1)]
        self.assertEqual([x for x in got if x.startswith('198.')],
                         ['198.51.100.1 comment "api.bank.example"', '198.51.100.2 comment "api.bank.example"'])

    def test_pan_os(self):
        got = self.lines('pan-os')
        self.assertEqual([x for x in got if x.endswith('exclude yes')],
                         ['set shared ssl-decrypt ssl-exclude-cert %s exclude yes' % h for h in ('api.bank.example', 'mail.example')])
        self.assertTrue(all(x.count('"') in (0, 2) for x in got))

    def test_fmc(self):
        self.assertEqual(list(csv.reader(self.lines('fmc'))),
                         [['NAME', 'DN'], ['pinsight-api.bank.example', 'CN=api.bank.example'], ['pinsight-mail.example', 'CN=mail.example']])

    def test_own_pinsets(self):
        """Hosts and wildcards of pinsets whose action is exempt; each form says them or says that it cannot."""
        pin = 'A' * 43 + '='
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, 'p.yaml')
            with open(path, 'w') as f:
                f.write('pins:\n')
                for name, hosts, action in (('own', '[own.example, "*.one.example", "**.all.example", "a.all.example", all.example, "/x[0-9].example/"]', 'exempt'),
                                            ('other', '[other.example]', 'report')):
                    f.write('  - name: %s\n    hosts: %s\n    spki_sha256: [%s]\n    action: %s\n' % (name, hosts, pin, action))

            def lines(form):
                out, err = report('--exempt=' + form, '--config=' + path, 'small.jsonl')
                return [x for x in out.splitlines() if x.strip()[:1] != '#'], err.count('not listed')
            self.assertEqual(lines('plain'), (['a.all.example', 'all.example', 'api.bank.example', 'own.example'], 3))
            self.assertEqual(lines('squid'), (['.all.example', 'api.bank.example', 'own.example'], 2))
            self.assertEqual(lines('mitmproxy')[0][1:], ["  - '^([^.]+\\.)*all\\.example(:[0-9]+)?$'", "  - '^api\\.bank\\.example(:[0-9]+)?$'",
                                                         "  - '^[^.]+\\.one\\.example(:[0-9]+)?$'", "  - '^own\\.example(:[0-9]+)?$'"])
            self.assertEqual(lines('fmc'), (['NAME,DN', 'pinsight-all.example,CN=all.example', 'pinsight-all.all.example,CN=*.all.example',
                                             'pinsight-api.bank.example,CN=api.bank.example', 'pinsight-own.example,CN=own.example'], 2))
            self.assertEqual([x.split()[4] for x in lines('pan-os')[0] if x.endswith('yes')],
                             ['a.all.example', 'all.example', 'api.bank.example', '*.one.example', 'own.example'])
            self.assertEqual(lines('sslsplit')[1], 6)
        self.assertIn('nonexistent', report('--exempt=plain', '--config=/nonexistent', 'small.jsonl', status=1)[1])

    def test_exempt_confidence(self):
        out, err = report('--exempt=plain', '--min-confidence=0.96', 'events.jsonl')
        self.assertEqual([x for x in out.splitlines() if x[0] != '#'], ['api.bank.example'])


if __name__ == '__main__':
    unittest.main()
