#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Man pages and completions that scripts/gen-man makes, against the table of `pinsight --help`, which stands in columns:
name from 2 on, what stands behind it up to the text's column.

    man_test.py GEN-MAN PINSIGHT
"""
import os
import subprocess
import sys
import tempfile

gen_man, pinsight = sys.argv[1:]
table = subprocess.run([pinsight, '--help'], stdout=subprocess.PIPE, check=True, text=True).stdout.split('\n\n')[2].split('\n')
column = table[0].index('read captures')
commands = {line.split()[0]: line[column:] for line in table}
assert len(commands) >= 11 and commands['stats'] == 'print the ledger of a running engine', commands

with tempfile.TemporaryDirectory() as d:
    subprocess.run([sys.executable, gen_man, pinsight, d], check=True)
    pages = sorted(x for x in os.listdir(d) if x.endswith('.1'))
    assert pages == sorted(['pinsight.1'] + ['pinsight-%s.1' % c for c in commands]), pages
    for command, text in commands.items():
        with open(os.path.join(d, 'pinsight-%s.1' % command), encoding='utf-8') as f:
            lines = f.read().replace('\\-', '-').split('\n')
        assert lines[lines.index('.SH NAME') + 1] == 'pinsight-%s - %s' % (command, text), (command, lines[:6])
        assert '.SH SYNOPSIS' in lines and '.SH EXIT STATUS' in lines, command
    for name in ('pinsight.bash', '_pinsight'):
        with open(os.path.join(d, name), encoding='utf-8') as f:
            script = f.read()
        assert all('\t%s) ' % c in script for c in commands), script
