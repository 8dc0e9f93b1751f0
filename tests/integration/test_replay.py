# SPDX-License-Identifier: MIT
"""The recorded past: which gateway a client got then, and whether the cores decide the same again."""
import datetime
import json
import shutil

import clipage
from fleetkit import REGIONS, until

CLIENT = "203.0.113.7"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def why(fleet, *args, check=True):
    done = fleet.wildcam("why", "--client", CLIENT, "--json", *args, check=check)
    return json.loads(done.stdout) if done.returncode == 0 else done


def test_why_at_tells_what_why_told_then(fleet):
    fleet.wait_healthy()

    def steady():
        """What is told before and after a moment was told in it: measured latency may change the order at any time."""
        first, at, second = why(fleet), now(), why(fleet)
        return (first, at) if [g["gateway"] for g in first["order"]] == [g["gateway"] for g in second["order"]] else None

    before, moment = until(steady, "the order stays for a moment", 20)
    home = before["gateway"]
    fleet.wildcam("traffic", "drain", home, "--yes", "--reason", "test of the past")
    try:
        until(lambda: why(fleet)["gateway"] != home, "the drain is in force", 20)
        during, later = why(fleet), now()
    finally:
        fleet.wildcam("traffic", "release", home)
    until(lambda: why(fleet)["gateway"] == home, "the drain is over", 20)
    past = why(fleet, "--at", moment)
    clipage.check("why", past)
    assert past["at"].startswith(moment[:19]) and past["region"] == REGIONS[0]
    for field in ("gateway", "cloud", "address", "port", "group", "service", "class"):
        assert past[field] == before[field], field
    assert [g["gateway"] for g in past["order"]] == [g["gateway"] for g in before["order"]]
    assert past["backup"]["gateway"] == before["backup"]["gateway"]
    assert past["reasons"] and any("chosen" in r["text"] for r in past["reasons"])
    drained = why(fleet, "--at", later, "--region", "eastus")
    assert drained["region"] == "eastus" and drained["gateway"] == during["gateway"]
    assert [g["verdict"] for g in drained["order"] if g["gateway"] == home] == ["drained"]
    human = fleet.wildcam("why", "--client", CLIENT, "--at", moment).stdout
    assert f"by the plan of {REGIONS[0]}" in human and home in human


def test_why_at_refuses_other_times(fleet):
    for at, code, text in (("noon", 2, "is no time like"), ("2199-01-01T00:00:00Z", 2, "is in the future"),
                           ("2001-01-01T00:00:00Z", 1, "plans were recorded since")):
        done = why(fleet, "--at", at, check=False)
        assert done.returncode == code and text in done.stderr, done.stderr


def test_replay_of_the_running_fleet(fleet):
    fleet.wait_healthy()
    done = fleet.wildcam("replay", "--json", timeout=300)
    report = json.loads(done.stdout)
    clipage.check("replay", report)
    assert sorted(r["region"] for r in report["regions"]) == sorted(REGIONS)
    for region in report["regions"]:
        assert region["same"] and region["damaged"] == 0, region
        assert region["events"] > 100 and region["plans"] > 0 and region["decisions"] > 5, region


def test_replay_of_a_damaged_copy(fleet, tmp_path):
    """A flipped byte costs what follows in its segment, and is said; it is no difference and no crash."""
    copy = tmp_path / "records"
    shutil.copytree(fleet.dir / "westus2/records", copy)
    segment = sorted(copy.glob("events.*"))[0]
    data = bytearray(segment.read_bytes())
    data[len(data) * 3 // 4] ^= 0x10
    segment.write_bytes(data)
    done = fleet.wildcam("replay", str(copy), "--json", timeout=300)
    [result] = json.loads(done.stdout)["regions"]
    assert result["damaged"] == 1 and result["same"] and result["events"] > 0
    shutil.rmtree(copy)
    copy.mkdir()
    done = fleet.wildcam("replay", str(copy), check=False)
    assert done.returncode == 1 and "no recordings" in done.stderr
