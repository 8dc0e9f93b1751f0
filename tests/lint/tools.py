#!/usr/bin/python3
"""tools.py format|tidy|tidy-deep ROOT [BUILD]: clang-format over every C file, clang-tidy over every source that the build
compiles, one per processor at a time. Prints what to do about it.

tidy follows at most 20,000 states of each function's paths, which takes an eighth of the time of tidy-deep; that one has the
analyzer's own limit (225,000) and runs in `make soak`."""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys


def format_check(root):
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h"], cwd=root, check=True,
                           capture_output=True, text=True).stdout.split()
    names = [name for name in names if (root / name).exists()]
    done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *names], cwd=root, capture_output=True, text=True)
    if done.returncode:
        files = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "error:" in line})
        print("not formatted ('make format' mends it):\n" + "\n".join(files))
    return done.returncode or (0 if names else 1)


SHORT = ["--extra-arg=" + word for word in ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=20000")]


def tidy_one(build, path, deep):
    done = subprocess.run(["clang-tidy-14", "--quiet", "-p", build, *([] if deep else SHORT), path], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return path, done.returncode, "\n".join(lines)


def tidy(root, build, deep):
    database = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    sources = sorted({os.path.normpath(os.path.join(entry["directory"], entry["file"])) for entry in database})
    sources = [path for path in sources if path.startswith((str(root / "src"), str(root / "sim"))) and "/src/edge/ngx" not in path
               and not path.startswith(str(pathlib.Path(build).resolve()))]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for path, code, text in pool.map(lambda path: tidy_one(build, path, deep), sources):
            if code:
                bad += 1
                print(text)
    print(f"{len(sources)} sources, {bad} with findings")
    return 1 if bad or not sources else 0


root = pathlib.Path(sys.argv[2]).resolve()
sys.exit(format_check(root) if sys.argv[1] == "format" else tidy(root, sys.argv[3], sys.argv[1] == "tidy-deep"))
