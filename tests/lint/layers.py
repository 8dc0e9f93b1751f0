#!/usr/bin/python3
"""layers.py ROOT: holds every #include "..." against the may-use table of ARCHITECTURE.md. The table is the truth: a row is
'| `room` | `a`, `b` |'. A room that has no row, or a row that has no folder, is an error too."""
import pathlib
import re
import sys

ROW = re.compile(r"^\|\s*`([\w/]+)`\s*\|([^|]*)\|")


def read_table(path):
    table = {}
    inside = False
    for line in path.read_text().splitlines():
        if line.startswith("## "):
            inside = line == "## Layers"
        row = ROW.match(line) if inside else None
        if row:
            table[row.group(1)] = set(re.findall(r"`([\w/]+)`", row.group(2)))
    return table


def room_of(path, rooms):
    """The room with the longest name that holds the path."""
    return max((room for room in rooms if path == room or path.startswith(room + "/")), key=len, default=None)


def main():
    root = pathlib.Path(sys.argv[1])
    table = read_table(root / "ARCHITECTURE.md")
    errors = [] if table else ["ARCHITECTURE.md: no table under '## Layers'"]
    files = sorted(path for top in ("src", "sim") for path in (root / top).rglob("*.[ch]"))
    names = {}
    for path in files:
        relative = path.relative_to(root).as_posix()
        where = relative.removeprefix("src/")
        room = room_of(where, table)
        if room is None:
            errors.append(f"{relative}: its folder has no row in ARCHITECTURE.md")
        elif path.suffix == ".h":
            names.setdefault(path.name, set()).add(room)
    for path in files:
        relative = path.relative_to(root).as_posix()
        room = room_of(relative.removeprefix("src/"), table)
        if room is None:
            continue
        allowed = table[room] | {room}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            include = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            owners = names.get(pathlib.PurePath(include.group(1)).name, set()) if include else set()
            if owners and not owners & allowed and "all" not in allowed:
                errors.append(f"{relative}:{number}: '{room}' may not use '{', '.join(sorted(owners))}' ({include.group(1)})")
    for room in table:
        if not (root / "src" / room).is_dir() and not (root / room).is_dir():
            errors.append(f"ARCHITECTURE.md: row '{room}' has no folder")
    print("\n".join(errors) or f"{len(files)} files, {len(table)} rooms: all includes allowed")
    return 1 if errors or not files else 0


sys.exit(main())
