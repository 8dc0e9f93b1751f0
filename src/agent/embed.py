#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a file's bytes as a C array: embed.py INPUT OUTPUT SYMBOL HEADER."""
import sys

source, target, symbol, header = sys.argv[1:]
data = open(source, "rb").read()
with open(target, "w", encoding="ascii") as out:
    out.write(f'// Generated from {source.rsplit("/", 1)[-1]}.\n#include "{header}"\n\n')
    out.write(f"const unsigned char {symbol}[] = {{\n")
    for at in range(0, len(data), 16):
        out.write("    " + ", ".join(str(byte) for byte in data[at : at + 16]) + ",\n")
    out.write(f"}};\nconst size_t {symbol}_LEN = sizeof({symbol});\n")
