# SPDX-License-Identifier: MIT
"""`wildcam config push` on a running fleet: region by region, refused before anything is touched, taken back by itself when a
region is worse than before, by Ctrl-C, and after a kill. Every test leaves the fleet with the file that it began with."""
import json
import pathlib
import signal
import subprocess

import pytest

import clipage
import fleetkit
from fleetkit import REGIONS, WILDCAM, until

SLOW = 3 if fleetkit.SANITIZED else 1
WATCH = "1s"


def write(fleet, name, generation, **changes):
    """The fleet's file with a higher generation; changes: `old: new` texts."""
    text = (fleet.dir / "fleet.yaml").read_text()
    for old, new in {"generation: 1 ": f"generation: {generation} ", **changes.get("replace", {})}.items():
        assert old in text, old
        text = text.replace(old, new)
    path = fleet.dir.parent / name
    path.write_text(text)
    return path


def push(fleet, *args, code=0):
    done = fleet.wildcam("config", "push", *map(str, args), "--json", check=False, timeout=200)
    assert done.returncode == code, done.stderr + done.stdout
    report = json.loads(done.stdout)
    clipage.check("config push", report)
    return report, done.stderr


def copies(fleet):
    return {(fleet.dir / region / "fleet.yaml").read_text() for region in REGIONS}


def running(fleet):
    return {r["config_hash"] for r in fleet.status()["regions"]}


def alarms(fleet):
    return [a["name"] for a in fleet.status()["alarms"]]


@pytest.fixture
def accepted(fleet):
    """The accepted file's text; it is what runs before and after."""
    fleet.wait_healthy(90)
    text = (fleet.dir / "fleet.yaml").read_text()
    assert copies(fleet) == {text} and len(running(fleet)) == 1
    yield text
    assert (fleet.dir / "fleet.yaml").read_text() == text and copies(fleet) == {text}
    fleet.wait_healthy(90)


def begin(fleet, path):
    """A push that has given the file to its first region and watches it."""
    process = subprocess.Popen([WILDCAM, "config", "push", path, "--dir", fleet.dir, "--yes", "--watch", "60s"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.rstrip().endswith("runs it"):
            return process, line.split()[2]
    raise AssertionError(process.stderr.read())


def test_region_by_region_and_on(fleet, accepted):
    path = write(fleet, "good.yaml", 2, replace={"  hold: 10s": "  hold: 11s", "read_timeout: 5s": "read_timeout: 6s"})
    report, _ = push(fleet, path, "--region", "eastus", "--watch", WATCH, "--yes")
    assert report["result"] == "staged" and report["failure"] is None
    assert [r["region"] for r in report["regions"] if r["given"]] == ["eastus"]
    assert len(running(fleet)) == 2 and "config_differs" in alarms(fleet)
    assert (fleet.dir / "fleet.yaml").read_text() == accepted
    # A second push says what runs where, and does nothing.
    again = fleet.wildcam("config", "push", str(path), "--yes", check=False)
    assert again.returncode == 3 and "half-way" in again.stderr and "--continue" in again.stderr
    assert again.stdout.count(report["to_hash"]) == 2 and again.stdout.count(report["from_hash"]) >= 10
    report, _ = push(fleet, "--continue", "--watch", WATCH, "--yes")
    assert report["result"] == "pushed" and all(r["given"] and not r["back"] for r in report["regions"])
    assert running(fleet) == {report["to_hash"]} and alarms(fleet) == []
    for region in REGIONS:
        assert "proxy_read_timeout 6000ms" in (fleet.dir / region / "edge/nginx.conf").read_text()
        assert fleet.get(region, "/.well-known/wildcam/health").headers["wildcam-config"] in (
            fleet.dir / region / "edge/nginx.conf").read_text()
    assert (fleet.dir / "fleet.yaml").read_text() == path.read_text()
    assert push(fleet, path)[0]["result"] == "unchanged"
    # Back to what it was, as a push of its own; the lower generation is only noted.
    old = fleet.dir.parent / "old.yaml"
    old.write_text(accepted)
    report, errors = push(fleet, old, "--watch", WATCH, "--yes")
    assert report["result"] == "pushed" and "note: fleet.generation is 1, and 2 runs" in errors
    given = [line.split()[2] for line in errors.splitlines() if line.endswith("runs it")]
    clouds = [fleetkit.fleetfile.REGIONS[region][0] for region in given]
    assert sorted(given) == sorted(REGIONS)
    assert clouds[0] == clouds[1] and clouds[2] == clouds[3] and clouds[4] == clouds[5], "cloud by cloud"


def test_what_needs_a_restart_is_refused(fleet, accepted):
    path = write(fleet, "restart.yaml", 2, replace={"replicas: 2": "replicas: 3", "domain: wildcam.org": "domain: example.org",
                                                    "  hold: 10s": "  hold: 11s"})
    report, errors = push(fleet, path, "--yes", code=3)
    assert report["result"] == "refused" and "restart" in report["reason"]
    assert len(report["restart"]) == 7 and not any("hold" in line for line in report["restart"])
    assert not any(r["given"] for r in report["regions"]) and "wildcam up --fleet" in errors


def test_without_a_yes_or_with_a_bad_file_nothing_is_done(fleet, accepted):
    path = write(fleet, "good.yaml", 2)
    done = fleet.wildcam("config", "push", str(path), check=False)
    assert done.returncode == 2 and "say --yes" in done.stderr and "Order, each watched for 15 s: " in done.stdout
    path.write_text("nonsense: [")
    assert fleet.wildcam("config", "push", str(path), "--yes", check=False).returncode == 1
    for args, text in (([path, "--watch", "0s"], "no duration"), (["--back", "--continue"], "not both"),
                       ([path, "--continue"], "takes no file"), ([path, "--region", "nowhere"], "unknown region")):
        done = fleet.wildcam("config", "push", *map(str, args), check=False)
        assert done.returncode == 2 and text in done.stderr, done.stderr


def test_a_region_that_is_not_well_stops_it_before_it_begins(fleet, accepted):
    path = write(fleet, "good.yaml", 2)
    assert fleet.control("halt us-west1 backend-2")["ok"]
    try:
        until(lambda: not fleet.healthy(), "a replica is missing")
        report, _ = push(fleet, path, "--yes", code=3)
        assert report["result"] == "refused" and "us-west1 is not healthy" in report["reason"]
    finally:
        assert fleet.control("resume us-west1 backend-2")["ok"]


def test_a_file_that_hurts_comes_back_by_itself(fleet, accepted):
    """A slip of the pen that `config check` takes: 10 instead of 2000 requests/s. The first region's plan is full at once."""
    path = write(fleet, "bad.yaml", 2, replace={"capacity: 2000": "capacity: 10"})
    assert fleet.wildcam("config", "check", str(path), "--dir", "x", check=False).returncode == 0
    cameras = subprocess.Popen([WILDCAM, "cameras", "--dir", fleet.dir, "--rate", "180", "--connections", "12", "--duration", "15s",
                                "--no-verify", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        until(lambda: all(g["load_rps"] > 0 for g in fleet.status()["gateways"]), "traffic is everywhere", 10 * SLOW)
        report, errors = push(fleet, path, "--region", "us-east-1", "--watch", "8s", "--yes", code=3)
        assert report["result"] == "back" and report["failure"]["region"] == "us-east-1"
        assert report["failure"]["check"] in ("load", "errors", "retries", "alarms"), report["failure"]
        assert [r["region"] for r in report["regions"] if r["given"]] == ["us-east-1"]
        assert all(r["back"] == r["given"] for r in report["regions"])
        assert "us-east-1: " in errors and "every region runs the old file again" in errors
        assert running(fleet) == {report["from_hash"]}
    finally:
        traffic = json.loads(cameras.communicate(timeout=60)[0])
    assert traffic["failed_idempotent"] == 0, traffic


def test_ctrl_c_takes_it_back(fleet, accepted):
    process, region = begin(fleet, write(fleet, "good.yaml", 2, replace={"  hold: 10s": "  hold: 11s"}))
    assert len(running(fleet)) == 2
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30 * SLOW)
    assert process.returncode == 1 and "interrupted; every region runs the old file" in errors
    assert f"{region} " in out and len(running(fleet)) == 1 and "config_differs" not in alarms(fleet)


def test_a_killed_push_loses_nothing(fleet, accepted):
    path = write(fleet, "good.yaml", 2, replace={"  hold: 10s": "  hold: 11s"})
    process, region = begin(fleet, path)
    locked = fleet.wildcam("config", "push", str(path), "--yes", check=False)
    assert locked.returncode == 1 and "another push is on its way" in locked.stderr
    process.kill()
    process.communicate()
    # The region goes on with the new file, also after its agent was started anew.
    assert fleet.control(f"restart {region} agent")["ok"]
    until(lambda: len(running(fleet) - {None}) == 2 and fleet.healthy(), "old and new side by side", 30 * SLOW)
    assert "config_differs" in alarms(fleet)
    report, errors = push(fleet, path, "--yes", code=3)
    assert report["result"] == "refused" and "half-way" in report["reason"] and region in errors
    report, _ = push(fleet, "--back")
    assert report["result"] == "back" and [r["region"] for r in report["regions"] if r["back"]] == [region]
    assert running(fleet) == {report["from_hash"]} and push(fleet, "--back")[0]["result"] == "unchanged"


def test_a_continued_push_that_fails_takes_back_all(fleet, accepted):
    path = write(fleet, "good.yaml", 2, replace={"  hold: 10s": "  hold: 11s"})
    push(fleet, path, "--region", "eastus", "--watch", WATCH, "--yes")
    process = subprocess.Popen([WILDCAM, "config", "push", "--continue", "--dir", fleet.dir, "--yes", "--watch", "60s", "--json"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def listens():
        caught = pathlib.Path(f"/proc/{process.pid}/status").read_text().partition("SigCgt:")[2].split()[0]
        return int(caught, 16) & 1 << (signal.SIGINT - 1)
    until(listens, "it is past its questions")
    process.send_signal(signal.SIGINT)  # before it has given the file to anyone
    out, errors = process.communicate(timeout=30 * SLOW)
    report = json.loads(out)
    clipage.check("config push", report)
    assert process.returncode == 1 and report["result"] == "back", errors
    assert [r["region"] for r in report["regions"] if r["given"] and r["back"]] == ["eastus"]
    assert copies(fleet) == {accepted} and running(fleet) == {report["from_hash"]}
