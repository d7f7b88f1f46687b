# SPDX-License-Identifier: BSD-3-Clause
"""Files as C arrays: embed.py OUT.c NAME=FILE... For each: const unsigned char NAME[] and const unsigned int NAME_len."""
import sys

with open(sys.argv[1], "w") as out:
    out.write('/* Written by embed.py. */\n#include "gen_pvt.h"\n')
    for arg in sys.argv[2:]:
        name, path = arg.split("=", 1)
        with open(path, "rb") as f:
            data = f.read()
        out.write("const unsigned int %s_len = %du;\nconst unsigned char %s[%d] = {\n" % (name, len(data), name, len(data)))
        for i in range(0, len(data), 24):
            out.write(",".join(map(str, data[i:i + 24])) + ",\n")
        out.write("};\n")
