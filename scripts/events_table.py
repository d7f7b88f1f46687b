# SPDX-License-Identifier: BSD-3-Clause
"""lib/event/event_fields.def and event_types.def as Python objects, and the JSON Schema that follows from them."""
import os

from deftable import rows, table

EVENTS = {'FLOW': ['tls_handshake', 'tls_flow'], 'FINDING': ['finding'], 'STATS': ['stats'], 'GAP': ['gap']}
# Types of the header's views in JSON and where a schema says more than the type does.
DATE = r'[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}'
PATTERNS = {
    'TIME': '^' + DATE + r'\.[0-9]{6}Z$',
    'DATE': '^' + DATE + '$',
    'IP': '^[0-9a-f.:]+$',
    'HEX16': '^0x[0-9a-f]{4}$',
    'HEX32': '^0x[0-9a-f]{8}$',
    'HEX64': '^0x[0-9a-f]{16}$',
    'FINGERPRINT': '^([0-9a-f]{2}(:[0-9a-f]{2})*)?$',
    'SERIAL': '^([0-9A-F]{2}(:[0-9A-F]{2})*)?$',
    'SHA256': '^([0-9a-f]{2})*$',
    'BASE64': '^[A-Za-z0-9+/]*={0,2}$',
}
UNSIGNED = {'U16': 2**16 - 1, 'U32': 2**32 - 1, 'U64': 2**64 - 1}
# Where the names of a type stand: table, column of the name, names beside.
NAMES = {
    'MSGS': ('tls_messages.def', 0, []),
    'FLAGS': ('ssl_flags.def', 0, []),
    'CERTS': ('cert_status.def', 0, ['NOT_CHECKED']),
    'NOTES': ('tls_notes.def', 0, []),
    'EVIDENCE': ('evidence.def', 0, []),
    'CLASS': ('verdict_classes.def', 2, []),
    'ALERT': ('tls_alerts.def', 1, []),
}


class Row:
    def __init__(self, **kw):
        self.__dict__.update(kw)


class Events:
    def __init__(self, types, groups, names):
        self.types, self.groups, self.names = types, groups, names
        self.group = {g.symbol: g for g in groups}
        self.field = {f.symbol: f for g in groups for f in g.fields}

    def value_schema(self, f, strict):
        json = self.types[f.type].json
        if json == 'OBJECTS':
            return {'type': 'array', 'items': self.object_schema(self.group[f.of].fields, strict)}
        if json == 'COUNTERS':
            return {'type': 'object', 'additionalProperties': {'type': 'integer', 'minimum': 0}}
        if json == 'INTEGERS':
            return {'type': 'array', 'items': {'type': 'integer', 'minimum': 0, 'maximum': 65535}}
        text = {'type': 'string'}
        if f.type in PATTERNS:
            text['pattern'] = PATTERNS[f.type]
        if f.type in self.names:
            text['enum'] = self.names[f.type]
        if json == 'STRINGS':
            return {'type': 'array', 'items': text}
        if json == 'STRING':
            return text
        out = {'type': json.lower()}
        if f.type in UNSIGNED:
            out.update(minimum=0, maximum=UNSIGNED[f.type])
        return out

    def object_schema(self, fields, strict):
        top = {'type': 'object', 'properties': {}}
        if strict:
            top['additionalProperties'] = False
        for f in fields:
            at, parts = top, f.path.split('.')
            for part in parts[:-1]:
                inner = {'type': 'object', 'properties': {}}
                if strict:
                    inner['additionalProperties'] = False
                at = at['properties'].setdefault(part, inner)
            schema = self.value_schema(f, strict)
            schema['description'] = f.text
            at['properties'][parts[-1]] = schema
        return top

    def schema(self, strict=False):
        """strict: fields that are not in the table are errors. For the tests: readers ignore what they do not know."""
        kinds = []
        for symbol, names in EVENTS.items():
            s = self.object_schema(self.group['HEAD'].fields + self.group[symbol].fields, strict)
            s['title'] = self.group[symbol].text
            s['properties']['event_type'].update(enum=names)
            s['required'] = ['timestamp', 'event_type', 'seq']
            kinds.append(s)
        return {
            '$schema': 'https://json-schema.org/draft/2020-12/schema',
            'title': 'Pinsight events',
            'description': 'One event, one JSON object on one line. Written by scripts/gen-docs from the tables in lib/.',
            'oneOf': kinds,
        }


def load(root):
    base, event = os.path.join(root, 'lib', 'base'), os.path.join(root, 'lib', 'event')
    types = {}
    for name, length, json, text in table(os.path.join(event, 'event_types.def')):
        types[name] = Row(name=name, len=int(length), json=json, text=text)
    groups = []
    for macro, a in rows(os.path.join(event, 'event_fields.def')):
        if macro == 'GROUP':
            groups.append(Row(symbol=a[0], text=a[1], fields=[]))
        elif macro == 'FIELD':
            groups[-1].fields.append(Row(symbol=a[0], id=int(a[1]), type=a[2], path=a[3], text=a[4], of=None, shows=None))
        elif macro == 'OBJECTS':
            groups[-1].fields.append(Row(symbol=a[0], id=int(a[1]), type='OBJECTS', path=a[3], text=a[4], of=a[2], shows=None))
        elif macro == 'VIEW':
            groups[-1].fields.append(Row(symbol=a[0], id=None, type=a[2], path=a[3], text=a[4], of=None, shows=a[1]))
        else:
            raise ValueError('event_fields.def: unknown row %s' % macro)
    names = {}
    for t, (name, column, more) in NAMES.items():
        names[t] = more + [r[column] for r in table(os.path.join(base, name))]
    return Events(types, groups, names)
