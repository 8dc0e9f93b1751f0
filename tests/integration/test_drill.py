# SPDX-License-Identifier: MIT
"""Drills against the whole fleet: what they break is really dead, they heal it, and their report keeps its contract."""
import json
import pathlib
import re
import signal
import subprocess

import pytest

import clipage
import fleetkit
from fleetkit import BUILD, REGIONS, WILDCAM, until

SLOW = 3 if fleetkit.SANITIZED else 1
RATE = ["--rate", "300" if SLOW == 1 else "100"]
SPLIT = [path for path, (types, _, _) in clipage.fields("drill").items() if types == {"split"} and "." not in path]


def drill(fleet, *args, **options):
    return fleet.wildcam("drill", *args, "--json", *RATE, check=False, timeout=300, **options)


def check(fleet, done, dead):
    """What must hold on any machine, however slow; times are judged by the drill's own objectives."""
    assert done.returncode in (0, 3), done.stderr + fleet.logs()
    report = json.loads(done.stdout)
    clipage.check("drill", report)
    assert all(set(report[name]) == {"total", "surviving_edges", "dead_edges"} for name in SPLIT)
    assert report["regions"] == dead
    assert report["requests"]["surviving_edges"] > 0 and report["requests"]["dead_edges"] > 0
    # Dead means dead: its clients' first tries failed, and the retry saved them.
    assert report["failed_first_try"]["dead_edges"] > 0
    assert report["failed_first_try_idempotent"]["surviving_edges"] == 0, report["failures"]
    assert report["failed_idempotent"]["total"] == 0, report["failures"]
    assert report["acknowledged"] > 0
    assert report["duplicated_writes"] == report["lost_after_heal"] == 0
    assert report["not_recovered"] == "" and report["recovered_ms"] > 0
    assert 0 < report["rto_plan_ms"] <= 1000 * SLOW
    assert report["rpo_ms"] <= 5000 * SLOW
    assert report["converged_ms"] <= 10000 * SLOW and report["rows_differ"] == 0
    assert (done.returncode == 0) == all(o["held"] for o in report["objectives"])
    return report


def test_region_down(fleet):
    fleet.wait_healthy()
    inits = fleet.inits()
    report = check(fleet, drill(fleet, "region-down", "--region", "eastus"), ["eastus"])
    assert report["target"] == "eastus"
    after = fleet.inits()
    assert [region for region in REGIONS if inits[region] != after[region]] == ["eastus"]
    stored = sorted((fleet.dir / "drills").glob("*-region-down.json"))[-1]
    assert json.loads(stored.read_text()) == report


def test_provider_down(fleet):
    fleet.wait_healthy()
    check(fleet, drill(fleet, "provider-down", "--provider", "aws"), ["us-west-2", "us-east-1"])
    fleet.wait_healthy()


def test_an_interrupted_drill_heals(fleet):
    fleet.wait_healthy()
    process = subprocess.Popen([WILDCAM, "drill", "region-down", "--region", "us-east1", "--dir", fleet.dir, *RATE],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: fleet.inits()["us-east1"] in (0, None), "the region is killed", 90)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1 and "interrupted" in stderr
    fleet.wait_healthy()
    cameras = subprocess.run(["pgrep", "-f", f"wildcam-cameras.*{fleet.dir}"], capture_output=True, text=True)
    assert cameras.stdout == ""


def test_cameras_against_the_fleet(fleet):
    fleet.wait_healthy()
    done = fleet.wildcam("cameras", "--json", "--duration", "3s", *RATE)
    report = json.loads(done.stdout)
    assert report["failed"] == 0 and report["lost"] == 0 and report["duplicated_writes"] == 0
    assert report["acknowledged"] > 0
    assert [home["region"] for home in report["homes"]] == REGIONS
    assert all(home["cameras"] > 0 for home in report["homes"])  # a drill of any region has clients there


@pytest.mark.parametrize("args, message", [
    (["nonsense"], "unknown drill 'nonsense'"),
    ([], "which drill?"),
    (["provider-down"], "allowed: aws, azure, gcp"),
    (["provider-down", "--provider", "ibm"], "'--provider ibm': allowed: aws, azure, gcp"),
    (["region-down", "--region", "mars"], "'--region mars': allowed: us-west-2"),
    (["region-down", "--region", "eastus", "--broken", "5"], "option '--broken': '5' is not like '5s'"),
])
def test_wrong_usage(fleet, args, message):
    done = fleet.wildcam("drill", *args, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert fleet.inits() and all(fleet.inits().values())


@pytest.mark.parametrize("program", ["cameras", "drill"])
def test_the_page_documents_every_option_and_field(program):
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs/cli.md").read_text()
    text = subprocess.run([BUILD / f"wildcam-{program}", "--help"], capture_output=True, text=True, check=True).stdout
    options = re.findall(r"^  (--[\w-]+)", text, re.M)
    assert len(options) > 5
    assert [o for o in options if o != "--help" and o not in page] == []


def test_list_names_every_drill():
    out = subprocess.run([BUILD / "wildcam-drill", "list"], capture_output=True, text=True, check=True).stdout
    assert "provider-down" in out and "region-down" in out


def test_without_a_supervisor_nothing_is_broken(tmp_path):
    done = subprocess.run([BUILD / "wildcam-drill", "region-down", "--region", "eastus", "--dir", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1 and "no fleet in" in done.stderr
