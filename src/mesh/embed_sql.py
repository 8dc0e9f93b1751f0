#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""embed_sql.py OUTPUT INPUT...: the templates as C strings, named by their files. The head of a file (its
licence line and the comment after it) is for readers of the source and left out."""
import pathlib
import sys


def body(text):
    lines = text.splitlines()
    while lines and lines[0].startswith('--'):
        lines.pop(0)
    return '\n'.join(lines) + '\n'


def literal(line):
    return '    "' + line.replace('\\', '\\\\').replace('"', '\\"').replace('?', '\\?') + '\\n"\n'


def main():
    output, *inputs = sys.argv[1:]
    paths = sorted(pathlib.Path(i) for i in inputs)
    text = '// Made by embed_sql.py from src/mesh/sql.\n#include "mesh_template.h"\n\n'
    for path in paths:
        text += f'static const char {path.stem}[] =\n'
        text += ''.join(literal(line) for line in body(path.read_text()).splitlines()) + ';\n\n'
    text += 'const MeshTemplate mesh_templates[] = {\n'
    text += ''.join(f'    {{"{path.stem}", {path.stem}}},\n' for path in paths)
    text += f'}};\nconst uint32_t mesh_n_templates = {len(paths)};\n'
    pathlib.Path(output).write_text(text)


main()
