# SPDX-License-Identifier: BSD-3-Clause
"""Reads the .def tables of lib/: rows(path) yields (macro, [arguments]) for each row, strings without their quotes."""
import re

TOKEN = re.compile(r'/\*.*?\*/|"((?:[^"\\]|\\.)*)"|([A-Za-z_][A-Za-z_0-9]*|-?0[xX][0-9a-fA-F]+|-?\d+|\'.\')|([(),])|\s+', re.S)


def tokens(text, path):
    at = 0
    while at < len(text):
        m = TOKEN.match(text, at)
        if not m:
            raise ValueError('%s: cannot read %r' % (path, text[at:at + 20]))
        at = m.end()
        if m.group(1) is not None:
            yield 'string', m.group(1).replace('\\"', '"')
        elif m.group(2):
            yield 'word', m.group(2)
        elif m.group(3):
            yield m.group(3), m.group(3)


def rows(path):
    with open(path, encoding='utf-8') as f:
        toks = iter(list(tokens(f.read(), path)))
    for kind, macro in toks:
        if kind != 'word' or next(toks)[0] != '(':
            raise ValueError('%s: a row is NAME(arguments)' % path)
        args, parts = [], []
        for kind, value in toks:
            if kind in '),':
                args.append(''.join(parts))
                parts = []
                if kind == ')':
                    break
            else:
                parts.append(value)
        yield macro, args


def table(path):
    """rows of a table that has one kind of row"""
    return [args for _, args in rows(path)]
