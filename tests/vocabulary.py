#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every name of the vocabulary tables stands in docs/vocabulary.md, with its value. usage: vocabulary.py SOURCE_ROOT"""
import re
import sys

root = sys.argv[1]
page = open(root + "/docs/vocabulary.md", encoding="utf-8").read()
cells = {tuple(c.strip(" `") for c in line.split("|")[1:3]) for line in page.splitlines() if line.startswith("| ")}
first = {c[0] for c in cells}
missing, seen = [], 0


def rows(table, pattern):
    global seen
    found = re.findall(pattern, open(root + "/lib/base/" + table + ".def", encoding="utf-8").read(), re.M)
    seen += len(found)
    if not found:
        missing.append("no row read from " + table)
    return found


for table in "ssl_flags", "tls_messages", "cert_status":
    for name, value in rows(table, r"^[A-Z]+\((\w+),\s*(0x[0-9a-f]+)"):
        if (value, name) not in cells:
            missing.append("%s %s %s" % (table, value, name))
for code, name, cls in rows("tls_alerts", r'^ALERT\((\d+),\s*"(\w+)",\s*(\w+)\)'):
    if (code, name) not in cells:
        missing.append("alert %s %s" % (code, name))
    line = next((x for x in page.splitlines() if x.startswith("| %s | %s |" % (code, name))), "")
    if cls != "NONE" and "`%s`" % cls.lower() not in line:
        missing.append("alert %s: class %s" % (code, cls.lower()))
for _, name in rows("verdict_classes", r'^CLASS\((\w+),\s*\d+,\s*"(\w+)"'):
    if name != "none" and name not in first:
        missing.append("class " + name)
for name in rows("evidence", r"^EVIDENCE\((pattern_\w+)"):
    if name not in first:
        missing.append("pattern " + name)
for line in missing:
    print("docs/vocabulary.md lacks: " + line)
print("%d rows of the tables looked up, %d missing" % (seen, len(missing)))
sys.exit(1 if missing else 0)
