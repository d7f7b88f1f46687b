#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The slow twin of lib/match's patterns: Python's re, over bytes, says which pattern is found in which value.
   match_table.py          prints tests/unit/match_table.def
   match_table.py --check  compares the file with what would be printed; fails when they differ
Only what means the same to re and to PCRE is used: no Unicode classes, no re-only syntax."""
import pathlib
import random
import re
import sys

PATTERNS = [  # (pattern, flags)
    (r"example", ""), (r"^example", ""), (r"example$", ""), (r"^example\.com$", ""), (r"\.example\.com$", ""),
    (r"(^|\.)example\.com$", ""), (r"EXAMPLE", "i"), (r"EXAMPLE", ""), (r"^[a-z]+\.[a-z]+$", ""), (r"^[a-z]+\.[a-z]+$", "i"),
    (r"a.c", ""), (r"a.c", "s"), (r"^.{5}$", ""), (r"^.{5}$", "s"), (r"[0-9]{3,}", ""), (r"^cdn[0-9]*\.", ""),
    (r"^(www|mail|ftp)\.", ""), (r"^(www|mail|ftp)\.", "i"), (r"CN=[^,]*,O=Example( Inc\.?)?", ""), (r"O=Exam.le", "i"),
    (r"\x00", ""), (r"\xff", ""), (r"[\x80-\xff]", ""), (r"[^\x00-\x7f]+$", ""), (r"\n", ""), (r"^h2$", ""),
    (r"^http/1\.[01]$", ""), (r"h(2|3)", ""), (r"^t1[23]d", ""), (r"_[0-9a-f]{12}_", ""), (r"(ab){2,3}", ""),
    (r"(ab){2,3}$", ""), (r"x?y+z", ""), (r"\bwww\b", ""), (r"[^a-z.]", ""), (r"-", ""), (r"\.\.", ""), (r"\s", ""),
    (r"(a|b|c)(d|e|f)(g|h|i)", ""), (r"^(?:[a-z0-9-]+\.){3}com$", ""), (r"q.*z", ""), (r"q.*z", "s"), (r"\\", ""),
    (r"\d+-\d+", ""), (r"^\W", ""), (r"s+$", "i"), (r"e{2}", ""), (r"^a(b(c(d)?)?)?e$", ""),
]

VALUES = [
    b"example.com", b"www.example.com", b"WWW.EXAMPLE.COM", b"example", b"Example.Com", b"notexample.com", b"example.com.evil.test",
    b"mail.example.org", b"ftp.a.b.com", b"cdn17.static.example.net", b"cdn.x", b"a\nc", b"abc", b"aXc", b"a\x00c", b"12345", b"1234\n",
    b"123", b"12", b"CN=x,O=Example Inc.,C=US", b"CN=Proxy CA,O=Example", b"O=EXAMPLE,CN=y", b"cn=x,o=exam\nle", b"\x00", b"\xff\xfe",
    b"caf\xc3\xa9", b"caf\xe9", b"\xed\xa0\x80", b"h2", b"h3", b"http/1.1", b"http/1.0", b"http/2", b"t13d1516h2_8daaf6152771_02713d6af862",
    b"t12d0506_abcdef012345_0", b"ababab", b"ababx", b"abab\n", b"yz", b"xyyyz", b"a-www-b", b"awwwb", b"a..b", b" lead", b"tab\tin",
    b"adg", b"cfi", b"a.b.c.com", b"a.b.com", b"qz", b"q\nz", b"q" + b"-" * 300 + b"z", b"back\\slash", b"555-0199", b"-x", b"SSss", b"tree",
    b"abe", b"abcde", b"abde", b"ae", b"." * 63, b"\r\n",
]


def flags_of(text):
    return sum({"i": re.I, "s": re.S}[c] for c in text)


def more_values():
    """Values by chance, from pieces of the others, so that hits and misses are both many."""
    rng = random.Random(5)
    pieces = [v[i:i + rng.randint(1, 9)] for v in VALUES for i in range(0, len(v), 7)]
    return [b"".join(rng.choice(pieces) for _ in range(rng.randint(1, 5))) for _ in range(140)]


def c_text(b):
    return '"' + "".join(chr(c) if 32 <= c < 127 and chr(c) not in '"\\?' else f"\\{c:03o}" for c in b) + '"'


def table():
    values = VALUES + more_values()
    out = ["/* SPDX-License-Identifier: BSD-3-Clause */",
           "/* Written by tests/ref/match_table.py: what Python's re finds. Do not edit. */", "",
           "static const char *const table_pattern[] = {"]
    for p, f in PATTERNS:
        out.append("\t" + c_text(f"/{p}/{f}".encode()) + ",")
    out += ["};", "", "/* found: bit i of word i / 32: pattern i is found in it */", "static const struct {", "\tconst char *p;", "\tuint32_t len;",
            f"\tuint32_t found[{(len(PATTERNS) + 31) // 32}];", "} table_value[] = {"]
    for v in values:
        words = [0] * ((len(PATTERNS) + 31) // 32)
        for i, (p, f) in enumerate(PATTERNS):
            if re.search(p.encode(), v, flags_of(f)):
                words[i // 32] |= 1 << i % 32
        out.append(f"\t{{{c_text(v)}, {len(v)}, {{" + ", ".join(f"0x{w:08x}" for w in words) + "}},")
    return "\n".join(out + ["};", ""])


def main():
    text = table()
    if sys.argv[1:] == ["--check"]:
        path = pathlib.Path(__file__).resolve().parent.parent / "unit" / "match_table.def"
        if path.read_text() != text:
            sys.exit(f"{path} is stale: tests/ref/match_table.py > {path}")
        print("tests/unit/match_table.def is what it should be")
    else:
        print(text, end="")


main()
