#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The JSON writer against a slow twin. Events are encoded here by the layout of psi_event.h and the tables, printed by
event2json, and compared key by key, order included, with what Python's own libraries make of the same values.

    test_events.py ROOT EVENT2JSON [--schema]

--schema: hold the output against docs/events.schema.json instead, in its strict form. Needs python3-jsonschema, skips without.
"""
import base64
import datetime
import ipaddress
import json
import os
import random
import struct
import subprocess
import sys
import unicodedata

sys.dont_write_bytecode = True
ROOT, TOOL = sys.argv[1], sys.argv[2]
sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import events_table  # noqa: E402
from deftable import table  # noqa: E402

EV = events_table.load(ROOT)
TYPE_NO = {'tls_handshake': 1, 'tls_flow': 2, 'finding': 3, 'stats': 4, 'gap': 5}
GROUP = {name: g for g, names in events_table.EVENTS.items() for name in names}
EPOCH = datetime.datetime(1970, 1, 1)


def base(name):
    return table(os.path.join(ROOT, 'lib', 'base', name))


BITS = {
    'MSGS': [(int(b, 16), n) for n, b in base('tls_messages.def')],
    'FLAGS': [(int(b, 16), n) for n, b, _ in base('ssl_flags.def')],
    'CERTS': [(int(b, 16), n) for n, b in base('cert_status.def')],
    'NOTES': [(int(b, 16), n) for n, b, _ in base('tls_notes.def')],
    'EVIDENCE': [(int(b, 16), n) for n, b, _ in base('evidence.def')],
}
NAMED = {
    'CIPHER': {int(v, 16): n for v, n in base('tls_ciphers.def')},
    'NAMED_GROUP': {int(v, 16): n for v, n in base('tls_groups.def')},
    'SIGSCHEME': {int(v, 16): n for v, n in table(os.path.join(ROOT, 'lib', 'event', 'tls_sigschemes.def'))},
    'ALERT': {int(v): n for v, n, _ in base('tls_alerts.def')},
    'CLASS': {int(r[1]): r[2] for r in base('verdict_classes.def')},
    # RFC 5246, RFC 8446 and so on; the spelling is EVE's
    'VERSION': {2: 'SSLv2', 0x300: 'SSLv3', 0x301: 'TLSv1', 0x302: 'TLS 1.1', 0x303: 'TLS 1.2', 0x304: 'TLS 1.3'},
}

# Bytes that have broken JSON writers and terminals.
HOSTILE = [
    b'', b'"', b'\\', b'\\"', b'\\u0041', b'\0', b'a\0b', b'\x7f', b'\x1b[31mred', b'\x1b]0;title\x07', b'\r\n\t\b\f', b'</script>',
    b'\xc0\xaf', b'\xc1\xbf', b'\xe0\x80\xaf', b'\xf0\x80\x80\xaf', b'\xf8\x88\x80\x80\x80', b'\xfc', b'\xfe', b'\xff\xff',
    b'\xed\xa0\x80', b'\xed\xbf\xbf', b'\xed\xa0\xbd\xed\xb2\xa9', b'\xf4\x90\x80\x80', b'\xf7\xbf\xbf\xbf', b'\xf4\x8f\xbf\xbf',
    b'\xc2', b'\xe2\x82', b'\xf0\x9f\x98', b'\xe2\x82A', b'\xf0\x9fA', b'\x80', b'\xbf\xbf', b'a\x80b', b'\xe1\x80\xe2\xf0\x91\x92\xf1\xbfA',
    '\u0080\u009f\u009b31m\u00a0\u00ad'.encode(), '\u2028\u2029'.encode(), '\u202ekcab\u202c\u2066x\u2069\u200f\u061c'.encode(),
    '\ufeff\u200b\ufffe\uffff\ufffd'.encode(), '\U000e0041\U000e007f\U0001d173'.encode(), 'bücher.example'.encode(), '例え.テスト'.encode(),
    '😀\U0010ffff'.encode(), 'e\u0301'.encode(), b'x' * 3000, b'\xff' * 300, b'\x01' * 300,
]


def some_bytes(rnd):
    kind = rnd.randrange(4)
    if kind == 0:
        return rnd.choice(HOSTILE)
    if kind == 1:
        return bytes(rnd.randrange(256) for _ in range(rnd.randrange(40)))
    if kind == 2:
        return b''.join(rnd.choice(HOSTILE[:-3]) for _ in range(rnd.randrange(5)))
    return ''.join(chr(rnd.choice([rnd.randrange(0x80), rnd.randrange(0xd800), rnd.randrange(0xe000, 0x110000)]))
                   for _ in range(rnd.randrange(30))).encode()


def number(rnd, bits):
    return rnd.choice([0, 1, 2**bits - 1, 2**(bits - 1), rnd.getrandbits(bits), rnd.getrandbits(bits) >> rnd.randrange(bits)])


def random_value(rnd, f):
    t, n = f.type, EV.types[f.type].len
    if t in NAMED:
        return rnd.choice(list(NAMED[t]) + [number(rnd, 16)])
    if t in BITS:
        return rnd.choice([0, 2**(8 * n) - 1, rnd.getrandbits(8 * n), rnd.getrandbits(8 * n) & rnd.getrandbits(8 * n)])
    if t == 'BOOL':
        return rnd.randrange(2)
    if t == 'I64':
        return number(rnd, 64) - 2**63
    if t == 'F64':
        return rnd.choice([0.0, 1.0, 0.5, 1e-7, 0.1, 1 / 3, 123456.789, -2.25, rnd.random(), float('inf'), float('nan'), 1e300])
    if t == 'DATE':
        return rnd.choice([0, -1, rnd.randrange(-62135596800, 253402300800), 253402300799, -62135596800, 951782400, 951868799])
    if t == 'IP':
        a = bytes(rnd.randrange(256) if rnd.randrange(3) else 0 for _ in range(rnd.choice([4, 16])))
        return rnd.choice([a, a, bytes(16), bytes(10) + b'\xff\xff\xc0\x00\x02\x01', bytes(15) + b'\1', b'\x20\x01\x0d\xb8' + bytes(12)])
    if t == 'U16S':
        return [number(rnd, 16) for _ in range(rnd.randrange(9))]
    if t == 'COUNTS':
        return [(some_bytes(rnd) + b'%d' % i, number(rnd, 64)) for i in range(1 + rnd.randrange(4))]
    if t == 'STRS':
        return [some_bytes(rnd) for _ in range(1 + rnd.randrange(4))]
    if t == 'OBJECTS':
        return [random_fields(rnd, f.of) for _ in range(1 + rnd.randrange(3))]
    if n:
        return number(rnd, 8 * n)
    return some_bytes(rnd)


def random_fields(rnd, group):
    share = rnd.random()
    return {f.symbol: random_value(rnd, f) for f in EV.group[group].fields if not f.shows and rnd.random() < share}


# ---- the layout ----

def field(fid, value):
    return struct.pack('<HH', fid, len(value)) + value + bytes(-len(value) % 4)


def stored(f, v):
    """the fields that hold value v of f"""
    t = f.type
    if t == 'OBJECTS':
        values = [fields_bytes(None, x) for x in v]
    elif t == 'STRS':
        values = v
    elif t == 'COUNTS':
        values = [struct.pack('<Q', n) + name for name, n in v]
    elif t == 'U16S':
        values = [struct.pack('<%dH' % len(v), *v)]
    elif t == 'F64':
        values = [struct.pack('<d', v)]
    elif isinstance(v, bytes):
        values = [v]
    else:
        values = [(v % 2**(8 * EV.types[t].len)).to_bytes(EV.types[t].len, 'little')]
    return [field(f.id, x) for x in values]


def fields_bytes(rnd, fields):
    """rnd: mix fields of different ids, and fields that nobody knows, as other writers may"""
    lists = [stored(EV.field[s], v) for s, v in fields.items()]
    if rnd:
        lists += [[field(0x7000 + rnd.randrange(9), some_bytes(rnd))] for _ in range(rnd.randrange(3))]
    out = []
    while lists:
        one = rnd.choice(lists) if rnd else lists[0]
        out.append(one.pop(0))
        if not one:
            lists.remove(one)
    return b''.join(out)


def event_bytes(rnd, name, fields, seq, time_ns, flags):
    body = fields_bytes(rnd, fields)
    body += bytes(-len(body) % 8)
    return struct.pack('<IBBHQQ', 24 + len(body), TYPE_NO[name], 1, flags, seq, time_ns) + body


# ---- what the JSON must be ----

ABSENT = object()


def colons(v, upper):
    text = ':'.join('%02x' % b for b in v)
    return text.upper() if upper else text


def shown(f, t, v):
    """value v of field f, printed as type t"""
    if t in NAMED:
        return NAMED[t].get(v, ABSENT)
    if t in BITS:
        names = [n for b, n in sorted(BITS[t]) if v & b]
        return ['NOT_CHECKED'] if t == 'CERTS' and v == 0 else names
    if t.startswith('HEX'):
        return '0x%0*x' % (int(t[3:]) // 4, v)
    if t == 'BOOL':
        return bool(v)
    if t == 'F64':
        return None if v != v or abs(v) >= 1e12 else round(v, 6)
    if t == 'TIME':
        d = EPOCH + datetime.timedelta(seconds=v // 10**9)
        return d.strftime('%Y-%m-%dT%H:%M:%S.') + '%06dZ' % (v % 10**9 // 1000)
    if t == 'DATE':
        d = EPOCH + datetime.timedelta(seconds=v)
        return '%04d' % d.year + d.strftime('-%m-%dT%H:%M:%S')
    if t == 'IP':
        a = ipaddress.ip_address(v)
        if a.version == 6 and a.ipv4_mapped:
            return '::ffff:' + str(a.ipv4_mapped)
        return str(a)
    if t in ('FINGERPRINT', 'SERIAL'):
        return colons(v, t == 'SERIAL')
    if t == 'SHA256':
        return v.hex()
    if t == 'BASE64':
        return base64.b64encode(v).decode()
    if t == 'STRS':
        return [x.decode('utf-8', 'backslashreplace') for x in v]
    if t == 'COUNTS':
        return [(name.decode('utf-8', 'backslashreplace'), n) for name, n in v]
    if t == 'OBJECTS':
        return [expected(f.of, x) for x in v]
    return v.decode('utf-8', 'backslashreplace') if isinstance(v, bytes) else v


def expected(group, fields, head=None):
    """as the pairs that json makes of an object, in order"""
    out = []
    for f in (EV.group['HEAD'].fields if head else []) + EV.group[group].fields:
        source = f.shows or f.symbol
        values = dict(fields, **(head or {}))
        if source not in values:
            continue
        v = values[source] if f.shows and f.shows.startswith('HEAD_') and f.type != 'TIME' else shown(f, f.type, values[source])
        if v is ABSENT:
            continue
        at, parts = out, f.path.split('.')
        for part in parts[:-1]:
            if not at or at[-1][0] != part:
                at.append((part, []))
            at = at[-1][1]
        at.append((parts[-1], v))
    return out


def check_line(line):
    """nothing that a terminal would obey: by Unicode's own properties"""
    for c in line:
        assert unicodedata.category(c) not in ('Cc', 'Zl', 'Zp'), 'control character %r' % c
        assert unicodedata.bidirectional(c) not in ('LRE', 'RLE', 'PDF', 'LRO', 'RLO', 'LRI', 'RLI', 'FSI', 'PDI', 'BN'), \
            'invisible character %r' % c


def pairs(p):
    assert len(p) == len(dict(p)), 'a key stands twice: %s' % [k for k, _ in p]
    return p


def no_nan(fields):
    """fields, at every depth, without numbers that JSON has no form for"""
    return {s: [no_nan(o) for o in v] if isinstance(v, list) and v and isinstance(v[0], dict) else v
            for s, v in fields.items() if EV.field[s].type != 'F64' or shown(None, 'F64', v) is not None}


def make(cnt, sane):
    rnd = random.Random(20)
    for i in range(cnt):
        name = rnd.choice(list(TYPE_NO))
        fields = random_fields(rnd, GROUP[name])
        if sane:
            fields = no_nan(fields)
        seq, time_ns, flags = number(rnd, 64), number(rnd, 64), rnd.randrange(2)
        head = {'HEAD_TIME': time_ns, 'HEAD_TYPE': name, 'HEAD_SEQ': seq}
        if flags:
            head['HEAD_CUT'] = True
        yield event_bytes(rnd, name, fields, seq, time_ns, flags), expected(GROUP[name], fields, head)


def run(events):
    out = subprocess.run([TOOL], input=b''.join(events), stdout=subprocess.PIPE, check=True).stdout.decode('utf-8')
    assert out.endswith('\n')
    return out[:-1].split('\n')


def twin():
    made = list(make(800, False))
    lines = run(b for b, _ in made)
    assert len(lines) == len(made)
    for line, (_, want) in zip(lines, made):
        check_line(line)
        got = json.loads(line, object_pairs_hook=pairs)
        if got != want:
            sys.exit('expected %r\n     got %r' % (want, got))
    for raw in HOSTILE:
        line, = run([event_bytes(None, 'tls_flow', {'TLS_SNI': raw}, 1, 2, 0)])
        check_line(line)
        assert json.loads(line)['tls']['sni'] == raw.decode('utf-8', 'backslashreplace'), raw
    print('%d events equal' % (len(made) + len(HOSTILE)))


def schema():
    try:
        import jsonschema
    except ImportError:
        print('skipped: python3-jsonschema is not installed')
        sys.exit(77)
    strict = EV.schema(strict=True)
    with open(os.path.join(ROOT, 'docs', 'events.schema.json'), encoding='utf-8') as f:
        published = json.load(f)
    cls = jsonschema.validators.validator_for(strict)
    cls.check_schema(published)
    validators = [cls(strict), cls(published)]
    docs = [json.loads(line) for line in run(b for b, _ in make(120, True))]
    for d in docs:
        for v in validators:
            v.validate(d)
    for bad in ({'event_type': 'gap', 'seq': 1}, dict(docs[0], event_type='other'), dict(docs[0], seq='1')):
        for v in validators:
            assert not v.is_valid(bad), bad
    assert not validators[0].is_valid(dict(docs[0], unknown=1))
    assert validators[1].is_valid(dict(docs[0], unknown=1))
    print('%d events valid' % len(docs))


if __name__ == '__main__':
    schema() if '--schema' in sys.argv else twin()
