# SPDX-License-Identifier: MIT
"""Every kind of fault is really in force, and really healed: at its end, when the one who asked is killed, and, where the
kernel does it, when the keeper is killed too. (Relays: test_fault_relay.py.) On the shared fleet; what is broken is mostly
one region, so that there is one flap to wait for at the end."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

import clipage
import fleetkit
from faultkit import fault, keeper_of, root_only, tables
from fleetkit import SANITIZED, WILDCAM
from waiting import until

REGION = "us-east1"
SLOW = 3 if SANITIZED else 1
CAMERA = "127.100.7.7"
needs_faketime = pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")


@pytest.fixture(scope="module", autouse=True)
def whole_again(fleet):
    yield
    fleet.wait_healthy(120)


def region_up(fleet, region=REGION):
    def up():
        return next(r for r in fleet.control("status")["regions"] if r["region"] == region)["state"] == "up"
    until(up, f"every program of {region} is ready", 60 * SLOW)


def connects(source, target, port=8443, timeout=0.7):
    """'yes', 'silence' or 'refused': a TCP connection from this address."""
    with socket.socket() as s:
        s.settimeout(timeout)
        s.bind((source, 0))
        try:
            s.connect((target, port))
            return "yes"
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silence"


def states(fleet, region, name=None):
    """State letters of the region's processes (of that name), without its init."""
    init = fleet.inits()[region]
    space, found = os.readlink(f"/proc/{init}/ns/pid"), []
    for pid, comm in fleetkit.processes_in({space}):
        if pid != init and name in (None, comm):
            text = pathlib.Path(f"/proc/{pid}/stat").read_text()
            found.append(text.rpartition(")")[2].split()[0])
    return found


def sql(fleet, region, text):
    return subprocess.run(["psql", "-h", str((fleet.dir / region / "sock").resolve()), "-U", "wildcam", "-d", "wildcam", "-Atc", text],
                          capture_output=True, text=True, timeout=60)


# --- packets ---
@root_only
def test_a_cut_drops_what_goes_between_the_sides_and_nothing_else(fleet):
    a, b, aws = (fleet.address(r) for r in ("us-west-2", "us-west1", "us-east-1"))
    assert connects(a, b) == connects(b, a) == "yes"
    with fault(fleet, "cut", "--from", "us-west-2", "--to", "us-west1") as held:
        assert connects(a, b) == connects(b, a) == connects(a, b, 8444) == "silence"
        assert connects(CAMERA, a) == connects(CAMERA, b) == connects(a, aws) == connects(aws, b) == connects(a, a) == "yes"
        rules = subprocess.run(["nft", "list", "table", "inet", tables(keeper_of(held))[0]], capture_output=True, text=True).stdout
        assert "flags owner" in rules and re.findall(r"counter packets (\d+)", rules) != [] and \
            all(int(n) > 0 for n in re.findall(r"counter packets (\d+)", rules)), rules
        held.tell("end", "ended")
        assert connects(a, b) == "yes"
        held.tell("begin", "in force")
        assert connects(a, b) == "silence"
        held.heal()
    assert connects(a, b) == connects(b, a) == "yes"


@root_only
def test_one_way_means_that_one_side_cannot_open_connections(fleet):
    a, b = fleet.address("us-west-2"), fleet.address("us-west1")
    with fault(fleet, "cut", "--from", "us-west-2", "--to", "us-west1", "--one-way") as held:
        assert connects(a, b) == connects(a, b, 5432) == "silence" and connects(b, a) == "yes"
        held.heal()
    with fault(fleet, "cut", "--from", "us-west-2", "--to", "us-west1", "--port", "5432") as held:
        assert connects(a, b, 5432) == connects(b, a, 5432) == "silence"
        assert connects(a, b) == connects(b, a) == "yes"
        held.heal()


@root_only
def test_loss_takes_its_share_and_can_be_changed(fleet):
    a, b = fleet.address("us-west-2"), fleet.address("us-west1")
    with fault(fleet, "loss", "--from", "us-west-2", "--to", "us-west1", "--one-way", "--port", "5432", "--value", "50%") as held:
        # A first packet that is lost comes again after a second.
        tries = [connects(a, b, 5432, timeout=0.5) for _ in range(30)]
        assert 4 <= tries.count("silence") <= 26, tries  # wrong once in a million
        assert connects(a, b) == "yes"
        held.tell("value 100%", "changed")
        assert connects(a, b, 5432) == "silence" and connects(b, a) == "yes"
        held.tell("value 0%", "changed")
        assert [connects(a, b, 5432) for _ in range(10)] == ["yes"] * 10
        held.heal()


@root_only
def test_a_cut_goes_with_the_one_who_asked_and_with_the_keeper(fleet):
    a, b = fleet.address("us-west-2"), fleet.address("us-west1")
    with fault(fleet, "cut", "--from", "us-west-2", "--to", "us-west1") as held:
        keeper = keeper_of(held)
        assert connects(a, b) == "silence"
        held.kill_asker()
        assert tables(keeper) == [] and connects(a, b) == "yes"
    with fault(fleet, "cut", "--from", "us-west-2", "--to", "us-west1") as held:
        keeper = keeper_of(held)
        held.kill_keeper()
        until(lambda: tables(keeper) == [], "the kernel has removed the rules", 5)
        assert connects(a, b) == "yes"


# --- programs and regions ---
def test_a_hung_program_hangs_with_its_workers(fleet):
    region_up(fleet)
    camera, edge = CAMERA, fleet.address(REGION)
    with fault(fleet, "program-hang", "--region", REGION, "--program", "nginx") as held:
        found = states(fleet, REGION, "nginx")
        assert len(found) >= 2 and set(found) == {"T"}
        assert connects(camera, edge) == "yes", "the kernel still accepts"
        assert fleet.get(REGION, "/api/version", timeout=1, check=False) is None, "and nobody answers"
        assert "T" not in states(fleet, REGION, "wildcam-agent")
        held.tell("end", "ended")
        assert fleet.get(REGION, "/api/version").status == 200
        held.tell("begin", "in force")
        held.kill_asker()
    assert "T" not in states(fleet, REGION)
    assert fleet.get(REGION, "/api/version").status == 200


def test_backends_with_a_session_of_their_own_hang_too(fleet):
    region_up(fleet)
    with fault(fleet, "program-hang", "--region", REGION, "--program", "postgres") as held:
        found = states(fleet, REGION, "postgres")
        assert len(found) > 5 and set(found) == {"T"}
        held.heal()
    assert "T" not in states(fleet, REGION)
    assert sql(fleet, REGION, "select 1").stdout == "1\n"


def test_a_program_that_is_down_stays_down_until_healed(fleet):
    region_up(fleet)
    before = fleet.programs(REGION)["backend-1"]["pid"]
    with fault(fleet, "program-down", "--region", REGION, "--program", "backend-1") as held:
        program = fleet.programs(REGION)["backend-1"]
        assert program["pid"] == 0 and program["state"] == "halted"
        assert len(states(fleet, REGION, "wildcam-backend")) == 1
        assert fleet.get(REGION, "/api/version").status == 200, "the other one serves"
        held.kill_asker()
    region_up(fleet)
    assert fleet.programs(REGION)["backend-1"]["pid"] not in (0, before)


def test_a_hung_region_and_a_killed_one(fleet):
    region_up(fleet)
    camera, edge = CAMERA, fleet.address(REGION)
    with fault(fleet, "hang", "--region", REGION) as held:
        until(lambda: set(states(fleet, REGION)) == {"T"}, "all its processes are stopped", 5)
        assert fleet.get(REGION, "/api/version", timeout=1, check=False) is None
        held.heal()
    until(lambda: "T" not in states(fleet, REGION), "they go on", 5)
    assert fleet.get(REGION, "/api/version").status == 200
    with fault(fleet, "kill", "--region", REGION) as held:
        assert connects(camera, edge) == "refused" and fleet.inits()[REGION] == 0
        other = subprocess.run([WILDCAM, "fault", "kill", "--region", REGION, "--dir", fleet.dir], capture_output=True, text=True)
        assert other.returncode == 1 and f"region '{REGION}' is down already" in other.stderr
        assert fleet.inits()[REGION] == 0, "nothing was healed that another one broke"
        held.kill_asker()
        assert fleet.inits()[REGION] != 0
    region_up(fleet)
    assert fleet.get(REGION, "/api/version").status == 200


# --- the clock ---
@needs_faketime
def test_a_clock_jumps_while_the_program_runs(fleet):
    region_up(fleet)

    def offset():
        region = next(r for r in fleet.status()["regions"] if r["region"] == REGION)
        return region["clock_offset_ms"] or 0  # its peers' clocks minus its own

    with fault(fleet, "clock", "--region", REGION, "--value", "20s") as held:
        pid = fleet.programs(REGION)["agent"]["pid"]
        until(lambda: -21000 < offset() < -19000, "it is 20 s ahead", 20 * SLOW)
        held.tell("value -7s", "changed")
        until(lambda: 6000 < offset() < 8000, "it is 7 s behind", 20 * SLOW)
        held.tell("end", "ended")
        until(lambda: abs(offset()) < 1000, "it is right again", 20 * SLOW)
        assert fleet.programs(REGION)["agent"]["pid"] == pid, "one process saw all of it"
        held.heal()
    region_up(fleet)
    for host_pid in fleetkit.host_pids({os.readlink(f"/proc/{fleet.inits()[REGION]}/ns/pid")}, "wildcam-agent"):
        assert b"faketime" not in pathlib.Path(f"/proc/{host_pid}/environ").read_bytes()
    assert not list((fleet.dir / REGION / "sock").resolve().glob("clock-*"))


@needs_faketime
def test_what_an_operator_added_to_the_environment_is_there_during_and_after(fleet):
    region_up(fleet)

    def environments():
        space = {os.readlink(f"/proc/{fleet.inits()[REGION]}/ns/pid")}
        pid, = fleetkit.host_pids(space, "wildcam-agent")
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")

    assert fleet.control(f"environment {REGION} agent WILDCAM_KEPT=yes WILDCAM_MORE=1,2")["ok"]
    try:
        with fault(fleet, "clock", "--region", REGION, "--value", "20s") as held:
            assert {b"WILDCAM_KEPT=yes", b"WILDCAM_MORE=1,2"} <= set(environments())
            assert any(b"FAKETIME_TIMESTAMP_FILE" in word for word in environments())
            held.heal()
        region_up(fleet)
        assert {b"WILDCAM_KEPT=yes", b"WILDCAM_MORE=1,2"} <= set(environments())
        assert not any(b"FAKETIME" in word or b"faketime" in word for word in environments())
        assert fleet.control(f"added {REGION} agent")["environment"] == "WILDCAM_KEPT=yes WILDCAM_MORE=1,2"
    finally:
        assert fleet.control(f"environment {REGION} agent")["ok"] and fleet.control(f"restart {REGION} agent")["ok"]
    assert fleet.control(f"added {REGION} agent")["environment"] == ""
    region_up(fleet)


# --- the disk ---
def no_disk_is_left(fleet):
    assert not list((fleet.dir / REGION).glob("pg.*[!s]")), "only pg and pg.pass"
    supervisor = fleet.control("status")["pid"]
    for pid in ("self", supervisor):
        assert str(fleet.dir) not in "".join(
            line for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines() if "wildcam-disk" in line)


@root_only
def test_a_full_disk_is_full_and_loses_nothing(fleet):
    region_up(fleet)
    assert sql(fleet, REGION, "create table if not exists public.fault_test (line text)").returncode == 0
    assert sql(fleet, REGION, "insert into public.fault_test values ('before')").returncode == 0
    log = fleet.dir / REGION / "log" / "postgres.log"
    before = len(log.read_text(errors="replace"))
    try:
        with fault(fleet, "disk-full", "--region", REGION) as held:
            # At once and without any load: it has used up its log segments, and cannot recover either.
            until(lambda: "No space left on device" in log.read_text(errors="replace")[before:], "PostgreSQL finds no space", 10 * SLOW)
            until(lambda: sql(fleet, REGION, "insert into public.fault_test values ('lost')").returncode != 0, "it has left", 10 * SLOW)
            held.tell("end", "ended")
            until(lambda: sql(fleet, REGION, "insert into public.fault_test values ('during')").returncode == 0,
                  "there is space again", 30 * SLOW)
            held.heal()
        assert sql(fleet, REGION, "select line from public.fault_test").stdout == "before\nduring\n"
        no_disk_is_left(fleet)
        # Both killed: the next keeper of whatever kind finds it and brings it back first.
        with fault(fleet, "disk-full", "--region", REGION) as held:
            held.tell("end", "ended")
            until(lambda: sql(fleet, REGION, "insert into public.fault_test values ('left')").returncode == 0, "it works", 30 * SLOW)
            held.kill_keeper()
        assert (fleet.dir / REGION / "pg.small").exists()
        done = fleet.wildcam("fault", "program-hang", "--region", "eastus", "--program", "agent", "--for", "1ms")
        assert "bringing back" in done.stderr and REGION in done.stderr
        region_up(fleet)
        assert sql(fleet, REGION, "select line from public.fault_test").stdout == "before\nduring\nleft\n"
        no_disk_is_left(fleet)
    finally:
        region_up(fleet)
        assert sql(fleet, REGION, "drop table public.fault_test").returncode == 0


# --- faults that are over before their end ---
@root_only
def test_rules_that_went_with_their_owner_are_no_cut_that_lasted(fleet):
    a, b = fleet.address("us-west-2"), fleet.address("us-west1")
    with fault(fleet, "cut", "--from", "us-west-2", "--to", "us-west1") as held:
        held.kill_child("nft")
        until(lambda: connects(a, b) == "yes", "the kernel has removed the rules", 5)
        held.heal_early("nft has ended")


@pytest.mark.parametrize("options, ends, why", [
    (["kill"], "start {region}", "region '{region}' is "),
    (["hang"], "cont {region}", "region '{region}' is "),
    (["program-down", "--program", "backend-1"], "resume {region} backend-1", "'backend-1' of region '{region}' is "),
    (["program-hang", "--program", "backend-1"], "signal {region} backend-1 KILL", "1 of 1 processes of 'backend-1'"),
])
def test_what_somebody_else_healed_did_not_last(fleet, options, ends, why):
    region_up(fleet)
    with fault(fleet, *options, "--region", REGION) as held:
        before = fleet.programs(REGION)["backend-1"]["pid"]
        assert fleet.control(ends.format(region=REGION))["ok"]
        if options[0] == "program-hang":
            until(lambda: fleet.programs(REGION)["backend-1"]["pid"] != before, "it is killed", 5)
        held.heal_early(why.format(region=REGION))
    region_up(fleet)
    assert "T" not in states(fleet, REGION)


@root_only
def test_a_ballast_that_went_is_no_full_disk(fleet):
    region_up(fleet)
    with fault(fleet, "disk-full", "--region", REGION) as held:
        (fleet.dir / REGION / "pg.small" / "ballast").unlink()
        held.heal_early(f"the small disk of region '{REGION}'")
    region_up(fleet)
    no_disk_is_left(fleet)


@needs_faketime
def test_a_program_that_lost_its_library_has_the_right_clock(fleet):
    region_up(fleet)
    with fault(fleet, "clock", "--region", REGION, "--value", "20s") as held:
        old = fleet.programs(REGION)["agent"]["pid"]
        assert fleet.control(f"environment {REGION} agent")["ok"] and fleet.control(f"restart {REGION} agent")["ok"]
        until(lambda: (lambda p: p["state"] == "ready" and p["pid"] != old)(fleet.programs(REGION)["agent"]), "it has started again", 30 * SLOW)
        held.heal_early(f"'agent' of region '{REGION}' was started without libfaketime")
    region_up(fleet)


def test_a_loss_is_said_once(fleet):
    region_up(fleet)
    with fault(fleet, "program-down", "--region", REGION, "--program", "backend-2") as held:
        assert fleet.control(f"resume {REGION} backend-2")["ok"]
        held.process.stdin.write("end\n")
        held.process.stdin.flush()
        assert held.process.wait(timeout=60) == 1
        assert held.process.stderr.read().count("did not last") == 1
    region_up(fleet)


# --- the verb ---
def test_the_list_keeps_its_contract(fleet):
    listed = json.loads(fleet.wildcam("fault", "list", "--json").stdout)
    text = fleet.wildcam("fault", "list").stdout
    page = clipage.section("fault", 2)
    assert len(listed) >= 11
    for item in listed:
        clipage.check("fault list", item)
        assert item["name"] in text and f"`{item['name']}`" in page


@pytest.mark.parametrize("options, code, says", [
    (["nosuch"], 2, "known: kill"),
    (["kill", "--region", "mars"], 2, "allowed: us-west-2"),
    (["program-down", "--region", REGION], 2, "needs a program"),
    (["program-down", "--region", REGION, "--program", "nosuch"], 1, "no program 'nosuch'"),
    (["hang", "--region", REGION, "--for", "soon"], 2, "not like '5s'"),
    (["hang"], 2, "needs regions"),
    ([], 2, "which fault?"),
])
def test_wrong_words_break_nothing(fleet, options, code, says):
    done = fleet.wildcam("fault", *options, check=False)
    assert done.returncode == code and says in done.stderr and "in force" not in done.stdout


@root_only
def test_without_root_it_says_so():
    run = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", WILDCAM, "fault", "list", "--json"]
    found = {f["name"]: f for f in json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout)}
    assert found["kill"]["possible"] and found["kill"]["why_not"] is None
    assert not found["cut"]["possible"] and "needs root" in found["cut"]["why_not"] and "HINT:" in found["cut"]["why_not"]


def test_it_ends_by_itself_and_when_asked(fleet):
    region_up(fleet)
    done = fleet.wildcam("fault", "program-hang", "--region", REGION, "--program", "agent", "--for", "50ms")
    assert done.stdout == "in force\nhealed\n" and done.stderr == ""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with fault(fleet, "program-hang", "--region", REGION, "--program", "agent") as held:
            held.process.send_signal(number)
            held.expect("healed")
            assert held.process.wait(timeout=20) == 0
    with fault(fleet, "program-hang", "--region", REGION, "--program", "agent") as held:
        os.kill(keeper_of(held), signal.SIGTERM)  # told to go: it heals first
        assert held.process.wait(timeout=20) == 1
    assert "T" not in states(fleet, REGION)
