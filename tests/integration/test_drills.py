# SPDX-License-Identifier: MIT
"""Every drill in a short form, on one fleet with shorter holds and steps back. What must hold on any machine, however busy, is asserted
here; times are judged by the drills' own objectives on a quiet one (bench/drills/run). And: whatever ends a drill, everything is healed."""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

import clipage
import faultkit
import fleetkit
from fleetkit import REGIONS, WILDCAM, until

SLOW = 3 if fleetkit.SANITIZED else 1
RATE = "120" if SLOW == 1 else "60"
QUICK = {"return_step: 5s": "return_step: 500ms", "hold: 10s ": "hold: 2s "}
FLAGS = ["--rate", RATE, "--before", "1s", "--broken", "3s", "--deadline", "90s"]
NO_VERDICT = {"replica-hang", "two-clouds-down", "cloud-and-region-down", "agent-down", "database-down", "disk-full", "clock-jump",
              "split-brain", "loss", "upgrade"}
NO_LOSS = {"two-clouds-down", "cloud-and-region-down", "overload"}  # clients whose both gateways are dead, or shed ones


@pytest.fixture(scope="module")
def quick(state_root):
    """A fleet of its own, since drills leave it with other files, processes and wishes for moments."""
    folder = state_root / "drills"
    folder.mkdir(mode=0o755)
    with fleetkit.fleetfile.claimed_block() as block:
        fleet = fleetkit.Fleet(folder, block=block, replace=QUICK)
        try:
            fleet.up()
            yield fleet
        finally:
            fleet.wildcam("down", "--now", check=False, timeout=60)


def listed():
    out = subprocess.run([WILDCAM, "drill", "list", "--json"], capture_output=True, text=True, check=True).stdout
    drills = json.loads(out)
    for drill in drills:
        clipage.check("drill list", drill)
    return {drill["drill"]: drill for drill in drills}


DRILLS = listed()


def missed(report):
    return [(o["name"], o["value"], o["limit"]) for o in report["objectives"] if not o["held"]]


def run(fleet, *args, flags=FLAGS):
    done = fleet.wildcam("drill", *args, "--json", *flags, check=False, timeout=900 * SLOW)
    assert done.returncode in (0, 3), done.stderr + fleet.logs()
    return json.loads(done.stdout), done


def check(report, stderr):
    """True of every drill."""
    name = report["drill"]
    fields = {key: value for key, value in report.items() if key not in ("result", "reason")}
    clipage.check("drill", fields)
    assert report["not_recovered"] == "" and report["recovered_ms"] > 0, report["not_recovered"]
    assert report["duplicated_writes"] == report["lost_after_heal"] == 0, report
    assert report["wrong_verdicts"] == 0, missed(report)
    assert report["requests"]["total"] > 0 and report["acknowledged"] > 0
    if name in NO_VERDICT:
        assert report["taken_down"] == 0, missed(report)
    if name not in NO_LOSS:
        assert report["failed_idempotent"]["total"] == 0, report["failures"]
    return report


def checked_again(fleet, reports, done):
    """What failed once is drilled once more, alone: beside builds and other tests a client's second passes by itself."""
    bad = {}
    for report in reports:
        try:
            check(report, done.stderr)
        except AssertionError as error:
            bad[report["drill"]] = str(error)
    assert len(bad) <= 2, bad
    if bad:
        fleet.wait_healthy()
        again, done = run(fleet, "all", "--only", ",".join(bad))
        for report in again:
            if report["result"] != "skipped":
                assert report["result"] in ("held", "missed"), (report["reason"], bad)
                check(report, done.stderr)


def test_all_of_them(quick):
    quick.wait_healthy()
    reports, done = run(quick, "all")
    by_name = {}
    ran = []
    for report in reports:
        assert set(report) >= {"drill", "target", "result", "reason"}
        by_name.setdefault(report["drill"], []).append(report)
    assert set(by_name) == set(DRILLS)
    for name, runs in by_name.items():
        for report in runs:
            if not DRILLS[name]["possible"]:
                assert report["result"] == "skipped" and report["reason"] != ""
                continue
            assert report["result"] in ("held", "missed"), (name, report["reason"], done.stderr[-3000:])
            assert (report["result"] == "held") == (missed(report) == [])
            ran.append(report)
    checked_again(quick, ran, done)
    assert (done.returncode == 0) == all(r["result"] in ("held", "skipped") for r in reports)
    # What was broken was really broken, and what was seen is not what was done.
    for name in ("provider-down", "region-down", "provider-hang", "region-hang", "nginx-down"):
        report = by_name[name][0]
        assert report["rto_plan_ms"] is not None and report["taken_down"] >= 1, name
        assert report["failed_first_try"]["dead_edges"] > 0, name
    for name in ("two-clouds-down", "cloud-and-region-down"):
        assert by_name[name][0]["rto_plan_ms"] is not None, name
        assert len(by_name[name][0]["regions"]) == (4 if name[0] == "t" else 3)
    assert by_name["database-down"][0]["class_gone_ms"] is not None
    quick.wait_healthy()


@pytest.mark.parametrize("args, broken", [
    (["region-hang", "--region", "eastus"], lambda f: next(r for r in f.control("status")["regions"] if r["region"] == "eastus")["state"] == "hung"),
    (["provider-down", "--provider", "gcp"], lambda f: not f.inits()["us-west1"]),
    (["nginx-down", "--region", "westus2"], lambda f: f.programs("westus2")["nginx"]["state"] in ("stopped", "halted")),
    (["split-brain"], lambda f: "wildcam" in subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout),
])
def test_a_killed_drill_heals(quick, args, broken):
    if not DRILLS[args[0]]["possible"]:
        pytest.skip(DRILLS[args[0]]["why_not"])
    quick.wait_healthy()
    process = subprocess.Popen([WILDCAM, "drill", *args, "--dir", quick.dir, "--rate", RATE, "--before", "1s", "--broken", "60s"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        until(lambda: broken(quick), f"{args[0]} has begun", 90)
        other = quick.wildcam("drill", "agent-down", "--region", "eastus", check=False)
        assert other.returncode == 1 and "another drill runs" in other.stderr
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: not broken(quick), f"{args[0]} is healed", 30)
    quick.wait_healthy(60)
    cameras = subprocess.run(["pgrep", "-f", f"wildcam-cameras.*{quick.dir}"], capture_output=True, text=True)
    assert cameras.stdout == ""
    until(lambda: quick.wildcam("traffic", "list", check=False).stdout.find("drill") < 0, "the drill's wishes are gone", 20)


def test_the_lock_of_a_killed_drill_is_released_last(quick):
    if not DRILLS["split-brain"]["possible"]:
        pytest.skip(DRILLS["split-brain"]["why_not"])
    quick.wait_healthy()
    process = subprocess.Popen([WILDCAM, "drill", "split-brain", "--dir", quick.dir, "--rate", RATE, "--before", "1s", "--broken", "60s"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    wishes = lambda: "drill split-brain" in quick.wildcam("traffic", "list", check=False).stdout  # noqa: E731
    until(wishes, "wishes are made on each side", 90)
    keeper, guard = (next(pid for pid, name in faultkit.children_of(process.pid) if name == want) for want in ("wildcam-keeper", "wildcam-undo"))
    os.kill(keeper, signal.SIGSTOP)
    try:
        process.kill()
        process.wait()
        # The guard of before took its wishes back at once and ended, the cut still in force.
        end = time.monotonic() + 3
        while time.monotonic() < end:
            other = quick.wildcam("drill", "agent-down", "--region", "eastus", check=False)
            assert other.returncode == 1 and "another drill runs" in other.stderr, other.stderr
            assert faultkit.alive(guard, "wildcam-undo") and faultkit.tables(keeper)
    finally:
        os.kill(keeper, signal.SIGCONT)
    until(lambda: not faultkit.alive(keeper, "wildcam-keeper") and not faultkit.alive(guard, "wildcam-undo"), "both have ended", 60)
    assert faultkit.tables(keeper) == []
    quick.wait_healthy(60)
    until(lambda: not wishes(), "the drill's wishes are gone", 20)


@pytest.mark.skipif(os.getuid() != 0, reason="only root could write where the fleet's user may not")
def test_a_link_in_the_state_folder_leads_a_drill_of_root_nowhere(quick, state_root):
    quick.wait_healthy()
    trap, drills = state_root / "trap", quick.dir / "drills"
    trap.mkdir(mode=0o755)  # root's
    kept = quick.dir / "drills.kept"
    if drills.exists():
        drills.rename(kept)
    try:
        drills.symlink_to(trap)
        done = quick.wildcam("drill", "agent-down", "--region", "eastus", *FLAGS, check=False, timeout=200 * SLOW)
        assert done.returncode == 1 and f"{quick.dir}/drills" in done.stderr, done.stderr
        assert list(trap.iterdir()) == []
    finally:
        drills.unlink()
        if kept.exists():
            kept.rename(drills)
    owner = quick.dir.stat().st_uid
    run(quick, "agent-down", "--region", "eastus")
    assert drills.stat().st_uid == owner and {p.stat().st_uid for p in drills.iterdir()} == {owner}


def test_a_fault_that_ended_early_is_no_drill(quick):
    quick.wait_healthy()
    process = subprocess.Popen([WILDCAM, "drill", "agent-down", "--region", "westus2", "--dir", quick.dir, "--rate", RATE, "--before", "1s",
                                "--broken", "5s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: quick.programs("westus2")["agent"]["state"] == "halted" or process.poll() is not None, "the agent is down", 90)
    assert quick.control("resume westus2 agent")["ok"]
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 1 and stdout == "", stdout
    assert "'program-down' did not last until its end: 'agent' of region 'westus2' is " in stderr, stderr
    quick.wait_healthy(60)


def test_an_interrupted_list_shows_what_there_is(quick):
    quick.wait_healthy()
    process = subprocess.Popen([WILDCAM, "drill", "all", "--only", "agent-down,region-down", "--dir", quick.dir, "--json", *FLAGS],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: not quick.inits()["us-west-2"] or process.poll() is not None, "the region is killed", 90)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1 and "interrupted" in stderr
    report, = json.loads(stdout)
    assert (report["drill"], report["result"]) == ("region-down", "failed") and "interrupted" in report["reason"]
    quick.wait_healthy()


@pytest.fixture(scope="module")
def different_build(state_root):
    """A build whose programs and module have other bytes, as a real other one has."""
    folder = state_root / "different"
    folder.mkdir(mode=0o755)
    (folder / "note").write_text("another build")
    for name in ("wildcam-agent", "wildcam-backend", "wildcam-edge-conf", "wildcam-rows", "ngx_http_wildcam_module.so"):
        found = next(path for path in (fleetkit.BUILD / name, fleetkit.BUILD / "../lib/wildcam" / name) if path.exists())
        subprocess.run(["objcopy", "--add-section", f".note.other={folder}/note", found, folder / name], check=True)
        assert digest(found) != digest(folder / name)
    return folder


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


class Sightings:
    """Which build's files the processes of each region were seen to run."""

    def __init__(self, fleet):
        self.fleet, self.digests, self.found = fleet, {}, {}

    def digest(self, path):
        st = os.stat(path)
        key = (st.st_dev, st.st_ino)
        if key not in self.digests:
            self.digests[key] = digest(path)
        return self.digests[key]

    def look(self):
        for region in REGIONS:
            space = {os.readlink(f"/proc/{self.fleet.inits()[region]}/ns/pid")}
            for pid, name in fleetkit.processes_in(space):
                with contextlib.suppress(OSError, IndexError):
                    if name == "nginx":
                        maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
                        path = re.findall(r"(/\S*ngx_http_wildcam_module\.so)", maps)[0]
                    elif name in ("wildcam-agent", "wildcam-backend"):
                        path = f"/proc/{pid}/exe"
                    else:
                        continue
                    self.found.setdefault((region, name, self.digest(path)), set()).add(pid)


def test_an_upgrade_to_a_build_that_differs(quick, different_build):
    quick.wait_healthy()
    seen = Sightings(quick)
    seen.look()
    old = set(seen.found)
    process = subprocess.Popen([WILDCAM, "drill", "upgrade", "--to", different_build, "--dir", quick.dir, "--json", *FLAGS],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ended():
        seen.look()
        return process.poll() is not None

    until(ended, "the drill has ended", 400 * SLOW)
    stdout, stderr = process.communicate()
    assert process.returncode in (0, 3), stderr
    report = check(json.loads(stdout), stderr)
    replaced = [name for region in REGIONS for name in quick.programs(region) if name in ("agent", "nginx") or name.startswith("backend-")]
    assert report["programs_replaced"] == 2 * len(replaced) and report["failed"]["total"] == 0
    new = {"wildcam-agent": digest(different_build / "wildcam-agent"), "wildcam-backend": digest(different_build / "wildcam-backend"),
           "nginx": digest(different_build / "ngx_http_wildcam_module.so")}
    for region in REGIONS:
        backends = [name for name in quick.programs(region) if name.startswith("backend-")]
        for name, least in (("wildcam-agent", 1), ("wildcam-backend", len(backends)), ("nginx", 1)):
            assert len(seen.found.get((region, name, new[name]), ())) >= least, (region, name, seen.found)
    after = Sightings(quick)
    after.look()
    assert set(after.found) == old, "every program is the one of before"
    quick.wait_healthy()


def test_an_upgrade_names_the_program_that_is_not_ready(quick):
    quick.wait_healthy()
    assert quick.control("halt us-west-2 backend-2")["ok"]
    try:
        done = quick.wildcam("drill", "upgrade", "--rate", RATE, "--before", "1s", "--deadline", "10s", check=False, timeout=200 * SLOW)
        assert done.returncode == 1 and "'backend-2' of region 'us-west-2' is 'halted': not ready within 10 s" in done.stderr, done.stderr
    finally:
        assert quick.control("resume us-west-2 backend-2")["ok"]
    quick.wait_healthy(60)


def test_repeat(quick):
    quick.wait_healthy()
    reports, _ = run(quick, "replica-hang", "--region", "eastus", "--repeat", "2")
    assert len(reports) == 2 and reports[0]["seed"] != reports[1]["seed"]
    for report in reports:
        check(report, "")


@pytest.mark.parametrize("args, message", [
    (["all", "--only", "nonsense"], "'--only': unknown drill 'nonsense'"),
    (["all", "--region", "eastus"], "'drill all' chooses targets by itself"),
    (["flap", "--region", "eastus", "--probes"], "drill 'flap' takes no --probes; it takes: --region REGION"),
    (["partition", "--provider", "aws", "--region", "eastus"], "drill 'partition' takes --region REGION|--provider CLOUD"),
    (["cloud-and-region-down", "--provider", "aws", "--region", "us-west-2"], "'--region us-west-2' belongs to 'aws'"),
    (["two-clouds-down", "--provider", "aws"], "'--provider aws': allowed: aws, azure, gcp"),
    (["region-down", "--region", "eastus", "--repeat", "0"], "option '--repeat': '0' is not from 1 to"),
    (["region-down", "--region", "eastus", "--skip", "flap"], "--only and --skip go with 'drill all'"),
])
def test_wrong_usage_breaks_nothing(quick, args, message):
    done = quick.wildcam("drill", *args, check=False)
    assert done.returncode == 2 and message in done.stderr
    assert all(quick.inits().values())


def test_the_list(quick):
    text = quick.wildcam("drill", "list").stdout
    for name, drill in DRILLS.items():
        assert re.search(rf"^{name} +\d+ s +\d+ s ", text, re.M)
        assert drill["help"] in text
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs/reliability.md").read_text()
    assert [name for name in DRILLS if f"`{name}`" not in page] == []
