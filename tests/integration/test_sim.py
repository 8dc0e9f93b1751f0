# SPDX-License-Identifier: MIT
"""wildcam sim as a user runs it: through wildcam, with files, JSON, exit codes, and what docs/simulator.md says."""
import json
import pathlib
import re
import signal
import subprocess

import clipage
from fleetkit import BUILD
from waiting import until

WILDCAM = str(pathlib.Path(BUILD) / "wildcam")
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/simulator.md"


def sim(*args, cwd=None, timeout=120):
    return subprocess.run([WILDCAM, "sim", *map(str, args)], capture_output=True, text=True, timeout=timeout, cwd=cwd,
                          stdin=subprocess.DEVNULL)


def test_a_scenario_as_a_file_decides_the_same(tmp_path):
    exported = sim("run", "gateway-refuses", "--export")
    assert exported.returncode == 0
    file = tmp_path / "gateway.yaml"
    file.write_text(exported.stdout)
    named, read = (sim("run", *what, "--seed", 5, "--json") for what in (["gateway-refuses"], ["--scenario", file]))
    assert named.returncode == read.returncode == 0, read.stderr
    clipage.check("sim run", json.loads(named.stdout))
    one, other = (json.loads(done.stdout)["scenarios"] for done in (named, read))
    assert [s["digest"] for s in one] == [s["digest"] for s in other]
    assert one[0]["held"] and one[0]["transitions"] == 12
    timeline = sim("run", "--scenario", file)
    assert re.search(r"^ +20\.\d+ +-- +fault begins +refuse  us-east-1$", timeline.stdout, re.M)
    assert re.search(r"gateway held down +gateway:us-east-1", timeline.stdout)


def test_what_does_not_hold_is_said(tmp_path):
    wrong = sim("run", "gateway-refuses", "--export").stdout.replace("from: 21s, until: 52s", "from: 20s, until: 52s")
    file = tmp_path / "wrong.yaml"
    file.write_text(wrong)
    done = sim("run", "--scenario", file, "--quiet")
    assert done.returncode == 3
    assert "FAILED: gateway-refuses, 0.000 s after the fault, expectation 1: agent" in done.stdout
    replay = re.search(r"replay: wildcam sim (.*)", done.stdout)[1].split()
    assert sim(*replay, "--quiet").stdout == done.stdout
    told = json.loads(sim("run", "--scenario", file, "--json").stdout)
    assert told["scenarios"][0]["held"] is False and "expectation 1" in told["scenarios"][0]["problem"]


def test_wrong_files_and_names_are_refused(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("name: bad\ntext: t\nrun: 60s\nfaults:\n  - {kind: hang, at: [mars], from: 20s}\n")
    done = sim("run", "--scenario", file)
    assert done.returncode == 1 and f"{file}:5:23: name 'mars': no such region or cloud; allowed: aws" in done.stderr
    assert sim("run", "--scenario", tmp_path / "none.yaml").returncode == 1
    for args in (["run"], ["run", "nothing-like-it"], ["run", "--all", "quiet"], ["search", "--minutes", "x"], ["frob"]):
        done = sim(*args)
        assert done.returncode == 2 and "HINT: " in done.stderr or "is not a number" in done.stderr, args


def test_the_page_shows_a_file_that_runs_and_every_kind(tmp_path):
    file = tmp_path / "page.yaml"
    file.write_text(re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)[1])
    done = sim("run", "--scenario", file, "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    file.write_text("name: bad\ntext: t\nrun: 60s\nfaults:\n  - {kind: x, at: [aws], from: 20s}\n")
    kinds = re.search(r"allowed: (.*)", sim("run", "--scenario", file).stderr)[1].split(", ")
    table = PAGE.read_text().split("| fault | what | takes |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z-]+)`", table, re.M)) == set(kinds)


def test_search_finds_nothing_in_a_second(tmp_path):
    done = sim("search", "--seconds", 1, "--seed", 7, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout)
    assert told["found"] is None and told["schedules"] > 0 and told["virtual_ms"] > 0
    assert list(tmp_path.iterdir()) == []


def catches_sigint(pid):
    mask = re.search(r"^SigCgt:\s*(\w+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1]
    return int(mask, 16) >> (signal.SIGINT - 1) & 1


def test_interrupted_search_says_what_it_did(tmp_path):
    search = subprocess.Popen([WILDCAM, "sim", "search", "--minutes", "100", "--seed", "3", "--json"], cwd=tmp_path,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    until(lambda: catches_sigint(search.pid), "the search handles SIGINT")
    search.send_signal(signal.SIGINT)
    out, _ = search.communicate(timeout=60)
    assert search.returncode == 0
    assert json.loads(out)["found"] is None


def test_hours():
    done = sim("hours", "--hours", 100, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    clipage.check("sim hours", told)
    assert told["held"] and told["target_hours"] == 100 and sum(told["troubles"].values()) > 0
