#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The configuration from outside: `pinsight check`, the file that is shipped, the examples of the docs, the manual page,
and the JSON Schema beside the parser.

    tests/replay/config_test.py PINSIGHT ROOT [--schema]

Expected places and sentences were written by hand. --schema: needs python3-jsonschema and python3-yaml, skips without.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PINSIGHT, ROOT = sys.argv[1], sys.argv[2]
SHIPPED = os.path.join(ROOT, 'config', 'pinsight.yaml')


def check(*args, env=None, text=None):
    """runs check on args, or on a file of text, which is called FILE in what comes back"""
    clean = {k: v for k, v in os.environ.items() if not k.startswith('PINSIGHT_')}
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'pinsight.yaml')
        if text is not None:
            with open(path, 'wb') as f:
                f.write(text if isinstance(text, bytes) else text.encode())
            args += (path,)
        r = subprocess.run([PINSIGHT, 'check', *args], capture_output=True, timeout=240, env=dict(clean, **(env or {})))
    return r.returncode, r.stdout.decode().replace(path, 'FILE'), r.stderr.decode().replace(path, 'FILE')


def examples():
    with open(os.path.join(ROOT, 'docs', 'configuration.md'), encoding='utf-8') as f:
        return re.findall(r'```yaml\n(.*?)```', f.read(), re.S)


class Check(unittest.TestCase):
    def test_shipped(self):
        rc, out, err = check(SHIPPED)
        self.assertEqual((rc, err), (0, ''))
        self.assertIn('pinsight.yaml: good\n  changed     0 keys and lists', out)

    def test_every_problem_is_told(self):
        rc, out, err = check(text='ring:\n  sise: 64M\n  size: 64\nports:\n  - interface: eth0\n    mtu: 12000\n')
        self.assertEqual((rc, out), (1, ''))
        self.assertEqual(err, '''\
FILE:2:3: ring.sise: there is no such key; did you mean ring.size?
     2 |   sise: 64M
       |   ^
FILE:3:9: ring.size: 64 has no unit: write B, KiB, MiB, GiB or TiB after the number
     3 |   size: 64
       |         ^
FILE:6:10: ports[].mtu: 12000 is too large; expected 64 to 9600 bytes
     6 |     mtu: 12000
       |          ^
''')

    def test_hostile_bytes_stay_off_the_terminal(self):
        rc, out, err = check(text=b'ring:\n  "a\\e[31m\xe2\x80\xae": 1\n')
        self.assertEqual((rc, out), (1, ''))
        self.assertNotIn('\x1b', err)
        self.assertNotIn('\u202e', err)
        self.assertTrue(err.startswith('FILE:2:3: ring.a\\x1B[31m\\xE2'))

    def test_origins(self):
        rc, _, err = check('--set', 'ring.size=1', text='', env={'PINSIGHT_FLOWS_LINGER': '2', 'PINSIGHT_EVENT_LIB': 'x'})
        self.assertEqual((rc, err), (1, '''\
environment PINSIGHT_FLOWS_LINGER: flows.linger: 2 has no unit: write ns, us, ms, s, m, h or d after the number
--set ring.size: ring.size: 1 has no unit: write B, KiB, MiB, GiB or TiB after the number
'''))

    def test_order(self):
        rc, out, _ = check('--print', '--set', 'ring.size=4MiB', text='ring: {size: 1MiB, mode: 0600}\n',
                           env={'PINSIGHT_RING_SIZE': '2MiB', 'PINSIGHT_STATS_INTERVAL': '1m'})
        self.assertEqual(rc, 0)
        self.assertIn('\n  size: 4MiB  # --set ring.size\n', out)
        self.assertIn('\n  mode: 0600  # line 1\n', out)
        self.assertIn('\n  interval: 1m  # environment PINSIGHT_STATS_INTERVAL\n', out)
        self.assertIn('\n  joins: 262144\n', out)

    def test_printed_is_good(self):
        for text in examples():
            rc, out, _ = check('--print', '--syntax', text=text)
            self.assertEqual(rc, 0)
            again = check('--print', '--syntax', text=out)
            self.assertEqual(again[0], 0)
            self.assertEqual([re.sub(r'  # line.*', '', line) for line in again[1].split('\n')[1:]],
                             [re.sub(r'  # line.*', '', line) for line in out.split('\n')[1:]])

    def test_json(self):
        rc, out, err = check('--json', text='ring:\n  sise: "\\"\\e"\n')
        self.assertEqual((rc, err), (1, ''))
        self.assertEqual(json.loads(out), {'file': 'FILE', 'good': False, 'problems': [
            {'origin': 'FILE', 'line': 2, 'column': 3,
             'text': 'ring.sise: there is no such key; did you mean ring.size?'}]})
        rc, out, _ = check('--json', '--set', 'x=1', text='')
        self.assertEqual(json.loads(out)['problems'][0], {'origin': '--set x', 'text': 'x: there is no such key'})
        rc, out, _ = check('--json', text='')
        self.assertEqual((rc, json.loads(out)), (0, {'file': 'FILE', 'good': True, 'problems': []}))

    def test_what_modules_say(self):
        """rules, pins and files are compiled and read as the engine does, all of them"""
        rc, out, err = check(text='certificates: {roots: /nonexistent}\nrules:\n  - {id: a, sni: "/x(/"}\n'
                             '  - {id: b, sni: "/y[/"}\npins: [{name: p, hosts: h, spki_sha256: abc}]\n')
        self.assertEqual((rc, out), (1, ''))
        lines = [line for line in err.split('\n') if line.startswith('FILE')]
        for line, want in zip(lines, ('FILE:1:23: certificates.roots: .*/nonexistent: .*No such file or directory',
                                      "FILE:5:41: pins p: 'abc' is not the base64 of 32 bytes.*",
                                      'FILE:3:18: rule a: sni: .*Missing close parenthesis.*',
                                      'FILE:4:18: rule b: sni: .*')):
            self.assertRegex(line, '^' + want)
        self.assertEqual(len(lines), 4)
        rc, _, err = check('--set', 'certificates.crls=/dev/null', text='')
        self.assertEqual(rc, 1)
        self.assertTrue(err.startswith('--set certificates.crls: certificates.crls: '))

    def test_leaves_no_trace(self):
        """the cache of compiled rules is the engine's alone"""
        with tempfile.TemporaryDirectory() as d:
            rc = check('--set', 'rules_cache.path=' + d, text='rules: [{id: a, sni: b}]\n')[0]
            self.assertEqual((rc, os.listdir(d)), (0, []))

    def test_called_wrongly(self):
        for args, said in (((), 'name the file to check'), (('a', 'b'), 'name one file'), (('--sett', 'a'), "'--sett'"),
                           (('--set',), '--set wants a value'), (('--json', '--print', 'a'), 'two different outputs')):
            rc, out, err = check(*args)
            self.assertEqual((rc, out), (2, ''))
            self.assertIn(said, err)
            self.assertIn('See: pinsight check --help', err)

    def test_unreadable(self):
        rc, _, err = check('/nonexistent/file')
        self.assertEqual((rc, err), (1, '/nonexistent/file: cannot read it: No such file or directory\n'))
        rc, _, err = check('/')
        self.assertEqual((rc, err), (1, '/: cannot read it: Is a directory\n'))

    def test_large(self):
        rc, _, err = check(text='# ' + 'x' * (65 << 20))
        self.assertEqual((rc, err), (1, 'FILE: larger than the 64 MiB that are read\n'))
        pins = ''.join('- {name: n%d, hosts: h%d.example, spki_sha256: x}\n' % (i, i) for i in range(20000))
        rc, out, _ = check('--syntax', text='pins:\n' + pins)
        self.assertEqual(rc, 0)
        self.assertIn('  pins        20000 sets\n', out)

    def test_help(self):
        rc, out, _ = check('--help')
        self.assertEqual(rc, 0)
        for option in ('--set', '--syntax', '--print', '--json'):
            self.assertIn(option, out)

    def test_examples(self):
        self.assertEqual(len(examples()), 3)
        for text in examples():
            rc, out, err = check('--syntax', text=text)
            self.assertEqual((rc, err), (0, ''))

    def test_list_examples(self):
        """the examples in the comments of the shipped file, uncommented"""
        with open(SHIPPED, encoding='utf-8') as f:
            text = f.read()
        found = re.findall(r'# For example:\n((?:# .*\n)+)(\w+): \[\]', text)
        self.assertEqual([name for _, name in found], ['ports', 'pins', 'rules', 'host_lists'])
        for example, _ in found:
            self.assertEqual(check('--syntax', text=re.sub('^# ', '', example, flags=re.M))[::2], (0, ''))

    def test_man(self):
        if not shutil.which('man') or not shutil.which('groff'):
            self.skipTest('man and groff are not there')
        r = subprocess.run(['man', '--warnings', '-E', 'UTF-8', '-l', '-Tutf8', 'docs/man/pinsight.yaml.5'], cwd=ROOT,
                           capture_output=True, env=dict(os.environ, MANWIDTH='100'), timeout=240)
        self.assertEqual((r.returncode, r.stderr), (0, b''))
        self.assertTrue(b'ring.size' in re.sub(b'.\\x08', b'', r.stdout))


# text, whether the schema sees what is wrong; None: the text is good
SAMPLES = [
    ('', None), ('ring:\n', None), ('ring: {size: 64M}', None), ('ring: {size: "64 MiB"}', None), ('ring: {mode: 0600}', None),
    ('ring: {mode: "0600"}', None), ('cores: {workers: 1-3, control: 0}', None), ('cores: {workers: [1, 3-5]}', None),
    ('cores: {workers: auto}', None), ('eal: {huge_pages: no, memory: auto}', None), ('events: {not_tls: yes}', None),
    ('flows: {linger: 0}', None), ('flows: {linger: 1.5s, max: 2_000_000}', None), ('interception: {ca: a.pem}', None),
    ('interception: {ca: [a.pem]}', None), ('correlation: {report_confidence: 95%}', None), ('mempool: {mbufs: auto}', None),
    ('correlation: {report_confidence: 1}', None), ('certificates: {roots: ""}', None), ('ports: [{interface: eth0}]', None),
    ('ports:\n', None), ('rules: [{id: a, sni: b, action: weight, weight: 0.5}]', None),
    ('pins: [{name: a, hosts: [b], cert_sha256: c, expires: 2027-01-31}]', None),
    ('pins: [{name: a, hosts: b, spki_sha256: [c], expires: never}]', None), ('host_lists: [{id: a, file: b}]', None),
    ('pins: [{name: a, hosts: b, action: unpinned}]', None),
    ('pins: [{name: a, hosts: b, spki_sha256: c, action: unpinned}]', True),
    ('rign: {}', True), ('ring: {sise: 1M}', True), ('ring: {size: 64}', True), ('ring: {size: 64Mb}', True),
    ('ring: 5', True), ('ring: []', True), ('pins: {}', True), ('pins: [a]', True), ('flows: {max: many}', True),
    ('flows: {max: "100"}', True), ('flows: {max: 31}', True), ('flows: {max: 1.5}', True), ('flows: {max: [1]}', True),
    ('flows: {max: }', True), ('idle: {policy: buzy}', True), ('events: {not_tls: 1}', True), ('flows: {linger: 3}', True),
    ('correlation: {report_confidence: 1.5}', True), ('cores: {control: 1-2}', True), ('cores: {workers: []}', True),
    ('cores: {control: 1024}', True), ('ports: [{mtu: 1500}]', True), ('ports: [{device: a, interface: b}]', True),
    ('ports: [{interface: abcdefghijklmnop}]', True), ('rules: [{id: a}]', True), ('rules: [{sni: a}]', True),
    ('rules: [{id: a, sni: b, action: weigh}]', True), ('rules: [{id: a, sni: b, action: weight, weight: 11}]', True),
    ('pins: [{name: a, hosts: b}]', True), ('pins: [{name: a, hosts: b, spki_sha256: []}]', True),
    ('pins: [{name: a, hosts: [], spki_sha256: a}]', True), ('pins: [{name: a, hosts: b, cert_sha256: c, expires: x}]', True),
    ('host_lists: [{id: a}]', True), ('- a', True), ('a', True), ('ring: {path: ""}', True),
    # what a schema cannot say
    ('ring: {size: 512K}', False), ('correlation: {report_confidence: 101%}', False), ('ring: {size: 1M, size: 1M}', False),
    ('cores: {workers: 5-2}', False), ('ports: [{interface: a}, {interface: a}]', False), ('flows: {max: 1000}', False),
    ('pins: [{name: a, hosts: b, cert_sha256: c, expires: 2027-02-29}]', False), ('ring: {path: "a\\eb"}', False),
    ('rules: [{id: a, sni: b, weight: 2}]', False), ('ring: &a {path: x}\nflows: *a', True),
]


class Schema(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(ROOT, 'docs', 'config.schema.json'), encoding='utf-8') as f:
            self.schema = json.load(f)
        cls = jsonschema.validators.validator_for(self.schema)
        cls.check_schema(self.schema)
        self.validator = cls(self.schema)

    def sees(self, text):
        data = yaml.load(text, Loader)
        return not self.validator.is_valid({} if data is None else data)

    def test_samples(self):
        for text, wrong in SAMPLES:
            with self.subTest(text):
                rc = check('--syntax', text=text)[0]
                if wrong is None:
                    self.assertEqual((rc, self.sees(text)), (0, False))
                else:
                    self.assertEqual((rc, self.sees(text)), (1, wrong))

    def test_shipped_and_examples(self):
        with open(SHIPPED, encoding='utf-8') as f:
            self.assertFalse(self.sees(f.read()))
        for text in examples():
            self.assertFalse(self.sees(text))

    def test_every_key_has_its_default(self):
        """the shipped file, as another reader of YAML sees it, holds the schema's defaults"""
        with open(SHIPPED, encoding='utf-8') as f:
            data = yaml.load(f, Loader)
        self.assertEqual(set(data), set(self.schema['properties']))
        for name, part in self.schema['properties'].items():
            props = part['anyOf'][0].get('properties')
            for key, s in (props or {}).items():
                if 'default' in s:
                    want = s['default']
                    want = {'yes': True, 'no': False}.get(want, want) if isinstance(want, str) else want
                    want = int(want, 8) if key == 'mode' else want
                    self.assertEqual(data[name][key], want, '%s.%s' % (name, key))


if sys.argv[3:] == ['--schema']:
    try:
        import jsonschema
        import yaml
    except ImportError as e:
        print('skipped: %s (python3-jsonschema, python3-yaml)' % e)
        sys.exit(77)

    class Loader(yaml.SafeLoader):
        """days stay texts, as JSON has them"""

    Loader.yaml_implicit_resolvers = {c: [r for r in v if r[0] != 'tag:yaml.org,2002:timestamp']
                                      for c, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
    del Check
else:
    del Schema

unittest.main(argv=sys.argv[:1])
