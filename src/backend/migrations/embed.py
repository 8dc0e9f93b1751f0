#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the numbered SQL files as a C table: embed.py OUTPUT FILE... (names NNNN_words.sql, 1, 2, 3 ... without a gap)."""
import hashlib
import os
import re
import sys


def literal(line):
    return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"'


def main():
    output, files = sys.argv[1], sorted(sys.argv[2:], key=os.path.basename)
    rows = []
    for expected, path in enumerate(files, 1):
        match = re.fullmatch(r"(\d{4})_([a-z0-9_]+)\.sql", os.path.basename(path))
        if match is None or int(match[1]) != expected:
            sys.exit(f"{path}: expected migration {expected:04}_NAME.sql")
        with open(path, encoding="ascii") as file:
            sql = file.read()
        lines = "\n        ".join(literal(line) for line in sql.splitlines())
        digest = hashlib.sha256(sql.encode()).hexdigest()
        rows.append(f'    {{{expected}, "{match[2]}", "{digest}",\n        {lines}}},\n')
    with open(output, "w", encoding="ascii") as file:
        file.write('#include "migrate.h"\n\nconst Migration MIGRATIONS[] = {\n' + "".join(rows) + "};\n"
                   "const unsigned N_MIGRATIONS = sizeof MIGRATIONS / sizeof MIGRATIONS[0];\n")


main()
