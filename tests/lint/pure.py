#!/usr/bin/python3
"""pure.py ALLOW LIBRARY...: undefined symbols of the core's library against an allow-list: no clock, no I/O, no locale, no
environment, no allocator but base's. Compiling core as plain C17 already hides clock_gettime; time() and getenv() are
standard C and would still compile. Names object and symbol."""
import subprocess
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        allowed = {line.split("#")[0].strip() for line in file} - {""}
    errors, defined, wanted = [], set(), []
    for library in sys.argv[2:]:
        text = subprocess.run(["nm", "-A", library], check=True, capture_output=True, text=True).stdout
        for line in text.splitlines():
            where, rest = line.rsplit(":", 1)
            fields = rest.split()
            if fields[-2] == "U":
                wanted.append((where, fields[-1]))
            elif fields[-2] in "TDBRVWC":
                defined.add(fields[-1])
    for where, symbol in wanted:
        name = symbol.split("@")[0]
        if name not in defined and name not in allowed:
            errors.append(f"{where}: '{name}' is not on the allow-list of the pure core")
    print("\n".join(errors) or f"{len(wanted)} undefined symbols, all allowed")
    return 1 if errors or not wanted else 0


sys.exit(main())
