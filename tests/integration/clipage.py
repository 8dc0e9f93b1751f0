# SPDX-License-Identifier: MIT
"""docs/cli.md as a test reads it: the tables of its JSON part are the truth about fields and types, so page and programs
cannot drift apart.

    clipage.check("status", json.loads(stdout))      # exactly the fields of '### status --json', with their types
"""
import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/cli.md"
SPLIT = ("total", "surviving_edges", "dead_edges")
SUFFIXES = {"ms": "_ms", "us": "_us", "ns": "_ns", "ppm": "_ppm", "requests/s": "_rps"}


def section(title, level=3):
    """The text under the heading, with the smaller headings below it."""
    text = PAGE.read_text()
    match = re.search(rf"^{'#' * level} {re.escape(title)}\n(.*?)(?=^#{{2,{level}}} |\Z)", text, re.M | re.S)
    assert match, f"docs/cli.md has no part '{title}'"
    return match[1]


def verbs():
    """Verb -> text of its part. Every big heading is a verb, or several, but for two."""
    found = {}
    for title in re.findall(r"^## (.*)$", PAGE.read_text(), re.M):
        if title not in ("What holds for every verb", "Operations"):
            for verb in title.split(", "):
                found[verb] = section(title, 2)
    return found


def json_parts():
    return re.findall(r"^### (.*) --json$", PAGE.read_text(), re.M)


def fields(name):
    """Path -> (types, optional, unit) of one JSON part. 'regions[].ports.https' is a path."""
    found = {}
    for line in section(f"{name} --json").splitlines():
        row = re.fullmatch(r"\| `([^`]+)` \|([^|]+)\|([^|]*)\|(.*)\|", line)
        if row:
            types, _, rest = row[2].strip().partition(", ")
            assert rest in ("", "optional"), line
            assert row[1] not in found, f"{row[1]} is there twice"
            found[row[1]] = (set(types.split(" or ")), rest == "optional", row[3].strip())
    assert found, f"no table in '### {name} --json'"
    return found


def kind(value):
    if value is None:
        return "null"
    for types, word in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "text")):
        if isinstance(value, types):
            return word
    return "split" if set(value) == set(SPLIT) else "object"


def fits(value, types):
    word = kind(value)
    if word == "split":
        return "split" in types and all(kind(v) in ("integer", "number") for v in value.values())
    return word in types or (word == "integer" and "number" in types)


def check(name, value):
    """Every field of `value` is on the page with this type, and every field of the page is there."""
    _check(fields(name), "", value)


def _check(table, path, value):
    children = {}
    for full in table:
        if full.startswith(path) and re.fullmatch(r"\w+(\[\])?", full[len(path):]):
            children[full[len(path):].removesuffix("[]")] = full
    missing = {key for key, full in children.items() if key not in value and not table[full][1]}
    assert not missing, f"'{path}': on the page but not printed: {sorted(missing)}"
    unknown = set(value) - set(children)
    assert not unknown, f"'{path}': printed but not on the page: {sorted(unknown)}"
    for key, item in value.items():
        full = children[key]
        types = table[full][0]
        if full.endswith("[]"):
            assert isinstance(item, list), full
        for one in item if full.endswith("[]") else [item]:
            assert fits(one, types), f"'{full}' is {one!r}, the page says {sorted(types)}"
            if kind(one) == "object":
                _check(table, full + ".", one)
