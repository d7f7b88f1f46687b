# SPDX-License-Identifier: BSD-3-Clause
"""lib/config/config_keys.def as Python objects, and the three forms that follow from it: the commented YAML file, the manual
page and the JSON Schema."""
import os
import re
import textwrap

from deftable import rows

SIZE = r'^[0-9][0-9_]*(\.[0-9]+)? *(B|K|KiB|kB|M|MiB|MB|G|GiB|GB|T|TiB|TB)$'
TIME = r'^[0-9][0-9_]*(\.[0-9]+)? *(ns|us|ms|s|m|min|h|d)$'
CORES = r'^[0-9]{1,4}(-[0-9]{1,4})?(, *[0-9]{1,4}(-[0-9]{1,4})?)*$'
TEXT_TYPES = ('TEXT', 'PATH', 'PATTERN')
LIST_TYPES = ('TEXTS', 'PATHS')


class Key:
    """a row KEY, CHOICE, FIELD or CHOICE_FIELD"""

    def __init__(self, name, kind, default, low, high, unit, when, text, words=None):
        self.name, self.kind, self.default, self.low, self.high = name, kind, default, low, high
        self.unit, self.when, self.text, self.words = unit, when, text, words
        self.required = default == 'required'

    @property
    def yaml_default(self):
        """as it stands in the file, or None"""
        if self.kind in LIST_TYPES and not self.default:
            return '[]'
        return None if self.required or not self.default else self.default


class Part:
    """a section, or a list with at_most entries"""

    def __init__(self, name, text, item=None, at_most=0, when=None):
        self.name, self.text, self.item, self.at_most, self.when = name, text, item, at_most, when
        self.keys = []


class Table:
    def __init__(self, root):
        folder = os.path.join(root, 'lib', 'config')
        self.expected = {a[0]: a[1] for _, a in rows(os.path.join(folder, 'config_types.def'))}
        self.words = {}
        for macro, a in word_rows(os.path.join(folder, 'config_words.def')):
            if macro == 'WORDS':
                words = self.words[a[0]] = []
            elif macro == 'WORD':
                words.append((a[1], a[2]))
        self.parts = []
        for macro, a in rows(os.path.join(folder, 'config_keys.def')):
            if macro == 'SECTION':
                self.parts.append(Part(*a))
            elif macro == 'OBJECTS':
                self.parts.append(Part(a[0], a[4], a[1], int(a[2]), a[3]))
            elif macro == 'KEY':
                self.parts[-1].keys.append(Key(*a[1:]))
            elif macro == 'CHOICE':
                _, name, words, default, when, text = a
                self.parts[-1].keys.append(Key(name, 'CHOICE', default, '', '', '', when, text, self.words[words]))
            elif macro == 'FIELD':
                self.parts[-1].keys.append(Key(*a[1:7], None, a[7]))
            elif macro == 'CHOICE_FIELD':
                _, name, words, default, text = a
                self.parts[-1].keys.append(Key(name, 'CHOICE', default, '', '', '', None, text, self.words[words]))

    # ---- what a key takes, in words ----

    def takes(self, k):
        if k.words:
            names = [w for w, _ in k.words]
            return ', '.join(names[:-1]) + ' or ' + names[-1]
        out = self.expected[k.kind]
        if k.kind in LIST_TYPES or k.kind in TEXT_TYPES or not k.low:
            return out
        return '%s: %s to %s%s' % (out, number(k.low), number(k.high), ' ' + k.unit if k.unit else '')

    def range(self, k):
        """the same, short; '' where the value beside it says enough"""
        if k.words:
            return self.takes(k)
        if k.kind in LIST_TYPES or k.kind in TEXT_TYPES or not k.low:
            return ''
        out = '%s to %s%s' % (number(k.low), number(k.high), ' ' + k.unit if k.unit else '')
        return out + ', or auto' if 'auto' in self.expected[k.kind] else out


def word_rows(path):
    """END_WORDS is no call: its line goes before the rows are read"""
    with open(path, encoding='utf-8') as f:
        text = f.read().replace('END_WORDS\n', '\n')
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
    for m in re.finditer(r'(\w+)\(((?:[^()"]|"(?:[^"\\]|\\.)*")*)\)', text):
        args = re.findall(r'"((?:[^"\\]|\\.)*)"|(\w+)', m.group(2))
        yield m.group(1), [a or b for a, b in args]


def number(text):
    return '{:,}'.format(int(text)) if text.isdigit() and len(text) > 4 and text[0] != '0' else text


# ---- the YAML file ----

HEAD = '''# The configuration of Pinsight. Written by scripts/gen-docs from lib/config/config_keys.def.
#
# Every key stands here with its default: a key that is left out means the same. Give at least one port, then
#   pinsight check FILE     says whether it is good
# Sizes take K, M, G, T or KiB, MiB, GiB, TiB (of 1024 each); times take ns, us, ms, s, m, h, d.
# Square brackets say what a key takes, and "restart" where a reload cannot change it. Any key can be given on the command
# line (--set ring.size=128MiB) or in the environment (PINSIGHT_RING_SIZE=128MiB) instead. Relative paths begin at this
# file's folder.
'''
EXAMPLES = {
    'ports': ['- interface: eth0', '- device: "0000:03:00.0"', '  queues: 4', '  mtu: 9000'],
    'pins': ['- name: bank', '  hosts: [bank.example, "*.bank.example"]', '  spki_sha256:',
             '    - sha256/r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=', '  expires: 2030-01-31', '  action: exempt'],
    'rules': ['- id: update-servers', "  sni: '/^(dl|update)[0-9]*\\.example$/i'", '  action: tag',
              '- id: lab', '  issuer: CN=Lab CA', '  action: ignore'],
    'host_lists': ['- id: ours', '  file: /etc/pinsight/ours.txt', '  action: tag'],
}


def wrap(text, lead, hang=''):
    """lines that begin with lead, all but the first also with hang"""
    return textwrap.wrap(text, 118, initial_indent=lead, subsequent_indent=lead + hang, break_long_words=False,
                         break_on_hyphens=False)


def key_lines(t, k, indent):
    notes = [n for n in (t.range(k), 'restart' if k.when == 'RESTART' else '') if n]
    out = wrap(k.text + (' [%s]' % '; '.join(notes) if notes else ''), indent + '# ')
    default = k.yaml_default
    if default is None:
        return out + ['%s# %s:' % (indent, k.name)]
    return out + ['%s%s: %s' % (indent, k.name, default)]


def entry_lines(t, k):
    notes = ['required' if k.required else 'default ' + k.yaml_default if k.yaml_default else 'optional']
    notes = [n for n in [t.range(k)] + notes if n]
    if k.kind in LIST_TYPES:
        notes = ['list', notes[-1]] if k.required else ['list']
    return wrap('%s (%s): %s' % (k.name, '; '.join(notes), k.text), '#   ', '  ')


def yaml_file(t):
    out = HEAD.rstrip('\n').split('\n')
    for p in t.parts:
        out += [''] + wrap(p.text + (' [restart]' if p.when == 'RESTART' else ''), '# ')
        if p.item:
            out.append('# Keys of an entry:')
            for k in p.keys:
                out += entry_lines(t, k)
            out += ['# For example:', '# %s:' % p.name] + ['#   ' + e for e in EXAMPLES[p.name]] + ['%s: []' % p.name]
        else:
            out.append(p.name + ':')
            for k in p.keys:
                out += key_lines(t, k, '  ')
    return '\n'.join(out) + '\n'


# ---- the manual page ----

MAN_HEAD = r'''.\" SPDX-License-Identifier: BSD-3-Clause
.\" Written by scripts/gen-docs from lib/config/config_keys.def. Do not edit.
.TH PINSIGHT.YAML 5 "" "Pinsight" "File formats"
.SH NAME
pinsight.yaml \- configuration of the Pinsight TLS metadata engine
.SH DESCRIPTION
.B pinsight.yaml
is a YAML document in UTF-8: sections with keys, and lists.
A key that is left out has its default.
An unknown key, a value of the wrong type or out of range, and a key given twice are errors, told with line and column.
.BI "pinsight check " FILE
tells them all without starting anything.
.PP
A single key can also be given on the command line
.RB ( "\-\-set ring.size=128MiB" )
or in the environment
.RB ( PINSIGHT_RING_SIZE=128MiB ).
The command line counts more than the environment, which counts more than the file.
Lists are then written in brackets as in YAML.
.PP
A relative path in the file begins at the file's folder.
.PP
Keys marked
.I restart
cannot be changed by a reload.
.SH VALUES
.TP
.B sizes
carry a unit: B; K, M, G, T or KiB, MiB, GiB, TiB, of 1024 each; kB, MB, GB, TB, of 1000 each.
.TP
.B times
carry a unit: ns, us, ms, s, m, h or d.
.TP
.B whole numbers
may have _ between their digits, and stand without quotes.
.TP
.B patterns
are regular expressions; /pattern/i has flags: i for any letter case, s for a dot that is any character, u for UTF-8.
.PP
Aliases, tags and several documents in one file are not taken.
'''
MAN_TAIL = r'''.SH FILES
.TP
.I /etc/pinsight/pinsight.yaml
where packages put it
.SH SEE ALSO
.BR pinsight (1)
'''


def roff(text):
    text = text.replace('\\', '\\e').replace('-', '\\-')
    text = re.sub(r'`([^`]*)`', r'\\fB\1\\fR', text)
    return "\\&" + text if text[:1] in ".'" else text


def man_page(t):
    out = MAN_HEAD
    for p in t.parts:
        out += '.SH %s\n%s\n' % (roff(p.name), roff(p.text))
        if p.item:
            out += 'A list of at most %s entries%s. Keys of an entry:\n' % (
                number(str(p.at_most)), ' (\\fIrestart\\fR)' if p.when == 'RESTART' else '')
        for k in p.keys:
            default = k.yaml_default
            say = 'required' if k.required else 'default ' + default if default else 'no default'
            out += '.TP\n.B %s\n%s\n' % (roff(k.name if p.item else p.name + '.' + k.name), roff(k.text))
            if k.words:
                out += '.RS\n' + ''.join('.TP\n.B %s\n%s\n' % (roff(w), roff(s)) for w, s in k.words) + '.RE\n.IP\n'
            else:
                out += 'Takes %s;\n' % roff(t.takes(k))
            out += '%s%s.\n' % (roff(say if k.words is None else say[0].upper() + say[1:]),
                                '; \\fIrestart\\fR' if k.when == 'RESTART' else '')
    return out + MAN_TAIL


# ---- the JSON Schema ----

def one_of(*options):
    return options[0] if len(options) == 1 else {'anyOf': list(options)}


def key_schema(k):
    auto = {'const': 'auto'}
    text = {'type': 'string', 'minLength': int(k.low or 0), 'maxLength': int(k.high or 0)} if k.kind in TEXT_TYPES else None
    entry = {'type': 'string', 'minLength': 1, 'maxLength': 4096}
    if k.words:
        names = [w for w, _ in k.words]
        # readers of YAML 1.1 take yes and no for true and false
        return {'enum': names + ([True, False] if 'yes' in names else [])}
    if k.kind == 'BOOL':
        return {'type': 'boolean'}
    if k.kind in ('COUNT', 'COUNT_AUTO', 'CORE'):
        n = {'type': 'integer', 'minimum': int(k.low), 'maximum': int(k.high)}
        return one_of(n) if k.kind == 'COUNT' else one_of(n, auto)
    if k.kind in ('SIZE', 'SIZE_AUTO'):
        s = {'type': 'string', 'pattern': SIZE}
        return one_of(s) if k.kind == 'SIZE' else one_of(s, auto)
    if k.kind == 'DURATION':
        return one_of({'type': 'string', 'pattern': TIME}, *([{'const': 0}] if re.match('^0[a-z]', k.low) else []))
    if k.kind == 'RATIO':
        return one_of({'type': 'number', 'minimum': 0, 'maximum': 1}, {'type': 'string', 'pattern': r'^[0-9]+(\.[0-9]+)?%$'})
    if k.kind == 'NUMBER':
        return {'type': 'number', 'minimum': float(k.low), 'maximum': float(k.high)}
    if k.kind == 'MODE':
        # readers of YAML 1.1 take 0640 for an octal number
        return one_of({'type': 'string', 'pattern': '^0[0-7]{3}$'},
                      {'type': 'integer', 'minimum': int(k.low, 8), 'maximum': int(k.high, 8)})
    if k.kind == 'DATE':
        return {'type': 'string', 'pattern': '^(never|[0-9]{4}-[0-9]{2}-[0-9]{2})$'}
    if k.kind in LIST_TYPES:
        return one_of({'type': 'array', 'items': entry, 'minItems': int(k.low), 'maxItems': int(k.high)}, entry)
    if k.kind == 'CORES':
        n = {'type': 'integer', 'minimum': 0, 'maximum': 1023}
        s = {'type': 'string', 'pattern': CORES}
        return one_of(n, s, auto, {'type': 'array', 'minItems': 1, 'items': one_of(n, s)})
    return text


def native(k):
    """the default as JSON has it"""
    if k.kind in ('COUNT', 'COUNT_AUTO') and k.default.isdigit():
        return int(k.default)
    if k.kind in ('RATIO', 'NUMBER'):
        return float(k.default)
    if k.kind == 'BOOL':
        return k.default == 'true'
    return [] if k.kind in LIST_TYPES and not k.default else k.default


def keys_schema(p):
    props = {}
    for k in p.keys:
        props[k.name] = dict(key_schema(k), description=k.text)
        if not k.required and (k.default or k.kind in LIST_TYPES):
            props[k.name]['default'] = native(k)
    out = {'type': 'object', 'additionalProperties': False, 'properties': props}
    required = [k.name for k in p.keys if k.required]
    if required:
        out['required'] = required
    return out


def schema(t):
    props = {}
    for p in t.parts:
        s = keys_schema(p)
        if p.item:
            if p.name == 'ports':
                s['oneOf'] = [{'required': ['device']}, {'required': ['interface']}]
            if p.name == 'rules':
                s['anyOf'] = [{'required': [k.name]} for k in p.keys if k.kind == 'PATTERN']
            if p.name == 'pins':
                pins = [{'required': [k.name], 'properties': {k.name: {'not': {'const': []}}}} for k in p.keys
                        if k.name.endswith('_sha256')]
                unpinned = {'required': ['action'], 'properties': {'action': {'const': 'unpinned'}}}
                s['oneOf'] = [{'anyOf': pins, 'not': unpinned}, {'allOf': [unpinned, {'not': {'anyOf': pins}}]}]
            s = {'type': 'array', 'maxItems': p.at_most, 'items': s}
        props[p.name] = dict(one_of(s, {'type': 'null'}), description=p.text)
    return {
        '$schema': 'http://json-schema.org/draft-07/schema#',
        'title': 'pinsight.yaml',
        'description': 'The configuration of Pinsight; written by scripts/gen-docs from lib/config/config_keys.def.',
        'type': 'object',
        'additionalProperties': False,
        'properties': props,
    }
