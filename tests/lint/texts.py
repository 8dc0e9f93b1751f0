#!/usr/bin/python3
"""texts.py ROOT: rules of the house that grep can hold: licence line and design comment at the top of each C file, a README or
header comment for each room, file and function sizes, links in documents, no word of the workshop in the product."""
import pathlib
import re
import subprocess
import sys

FILE_LIMIT = 800       # a god file; ours are around 250
FUNCTION_LIMIT = 120   # look twice above 100; a parser or dispatch table says why
FORBIDDEN = re.compile(r"/work/|\bfindings/|\bprototypes/|subagent|\bTODO\b|\bFIXME\b|\bXXX\b", re.IGNORECASE)


def tracked(root):
    text = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True).stdout
    return [root / name for name in text.splitlines() if (root / name).is_file()]


def check_c(path, relative, text, errors):
    lines = text.splitlines()
    if not lines or lines[0] != "// SPDX-License-Identifier: MIT":
        errors.append(f"{relative}:1: first line must be '// SPDX-License-Identifier: MIT'")
    elif len(lines) < 2 or not lines[1].startswith(("// ", "/*")):
        errors.append(f"{relative}:2: no design comment")
    if len(lines) > FILE_LIMIT:
        errors.append(f"{relative}: {len(lines)} lines, allowed: {FILE_LIMIT}")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            if number - start > FUNCTION_LIMIT:
                errors.append(f"{relative}:{start}: function of {number - start} lines, allowed: {FUNCTION_LIMIT}")
            start = None


def check_links(path, relative, text, root, errors):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
            errors.append(f"{relative}: link to '{target}', which does not exist")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    errors, count = [], 0
    for path in tracked(root):
        relative = path.relative_to(root).as_posix()
        if "/corpus/" in relative or relative.startswith("tests/lint/"):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        count += 1
        for number, line in enumerate(text.splitlines(), 1):
            word = FORBIDDEN.search(line)
            if word:
                errors.append(f"{relative}:{number}: '{word.group(0)}' has no place here")
        if path.suffix in (".c", ".h"):
            check_c(path, relative, text, errors)
        elif path.suffix == ".md":
            check_links(path, relative, text, root, errors)
    for room in sorted((root / "src").iterdir()):
        if room.is_dir() and not (room / "README.md").exists():
            errors.append(f"src/{room.name}: no README.md")
    print("\n".join(errors) or f"{count} files read, nothing to complain about")
    return 1 if errors or count == 0 else 0


sys.exit(main())
