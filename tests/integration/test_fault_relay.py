# SPDX-License-Identifier: MIT
"""Faults that need a relay: slow gateways, slow replicas, replicas that answer with errors. On the shared fleet: each test
breaks one region for a moment, measures at its edge, and heals."""
import os
import signal
import subprocess
import time

import pytest

from faultkit import alive, fault, keeper_of, kill, root_only, tables
from fleetkit import SANITIZED
from waiting import until

REGION = "eastus"
GENEROUS = 5 if SANITIZED else 2  # seconds on top of what is asked for, on a loaded machine


def timed(fleet, path="/api/version"):
    begin = time.monotonic()
    answer = fleet.get(REGION, path, timeout=20, check=False)
    return time.monotonic() - begin, answer.status if answer else None


def statuses(fleet, n, path="/api/version"):
    """Statuses as the replicas gave them: those that the edge saw are in the header of a retried request, so ask the
    replicas' sockets themselves."""
    folder = (fleet.dir / REGION / "sock").resolve()
    found = []
    for _ in range(n):
        done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", folder / "backend-1.sock",
                               f"http://replica{path}"], capture_output=True, text=True, timeout=20)
        found.append(int(done.stdout))
    return found


def sockets(fleet):
    return sorted(p.name for p in (fleet.dir / REGION / "sock").resolve().iterdir() if p.name.startswith("backend"))


@root_only
def test_slow_gateway_for_connections_that_were_there_and_new_ones(fleet):
    assert timed(fleet)[1] == 200
    with fault(fleet, "gateway-slow", "--region", REGION, "--value", "300ms") as held:
        # connect (added to the first bytes), TLS, request: three round trips
        seconds, status = timed(fleet)
        assert status == 200 and 0.9 <= seconds < 0.9 + GENEROUS
        held.tell("value 30ms", "changed")
        seconds, status = timed(fleet)
        assert status == 200 and 0.09 <= seconds
        held.tell("end", "ended")
        assert min(timed(fleet)[0] for _ in range(5)) < 0.9
        held.tell("begin", "in force")
        # One kept connection, of the operator: its second request takes one round trip.
        done = subprocess.run(["curl", "-s", "--cacert", str(fleet.ca), "-o", "/dev/null", "-o", "/dev/null", "-w",
                               "%{num_connects} %{time_total}\n", *[fleet.url(REGION, "/api/version")] * 2],
                              capture_output=True, text=True, timeout=30)
        connects, seconds = done.stdout.splitlines()[1].split()
        assert connects == "0" and 0.03 <= float(seconds) < 0.03 + GENEROUS
        held.heal()
    assert timed(fleet)[0] < GENEROUS and tables() == []
    fleet.wait_healthy()


@root_only
def test_slow_gateway_heals_when_keeper_and_asker_are_killed(fleet):
    with fault(fleet, "gateway-slow", "--region", REGION, "--value", "200ms") as held:
        assert timed(fleet)[0] >= 0.6 and tables() != []
        keeper, below = keeper_of(held), held.below()
        assert {"nft", "wildcam-relay"} <= {name for _, name in below}
        kill(keeper, "wildcam-keeper")
        held.process.kill()
        held.process.wait()
        until(lambda: tables(keeper) == [], "the kernel has removed the rules")
        until(lambda: not any(alive(pid, name) for pid, name in below), "nothing is left running")
        until(lambda: timed(fleet)[1] == 200 and timed(fleet)[0] < 0.6, "it answers as before")
    fleet.wait_healthy()


def test_replicas_that_answer_with_errors(fleet):
    before = sockets(fleet)
    with fault(fleet, "replica-errors", "--region", REGION, "--program", "backend-1", "--value", "50%") as held:
        found = statuses(fleet, 60)
        assert 27 <= found.count(500) <= 33 and found.count(200) == 60 - found.count(500)
        assert statuses(fleet, 10, "/api/health") == [200] * 10
        # The edge asks another one: nobody outside sees an error.
        assert [timed(fleet)[1] for _ in range(20)] == [200] * 20
        held.tell("value 100%", "changed")
        assert statuses(fleet, 5) == [500] * 5
        held.tell("end", "ended")
        assert statuses(fleet, 5) == [200] * 5
        held.heal()
    assert sockets(fleet) == before and statuses(fleet, 3) == [200] * 3
    fleet.wait_healthy()


def test_slow_replicas_and_one_that_restarts_meanwhile(fleet):
    before = sockets(fleet)
    with fault(fleet, "replica-slow", "--region", REGION, "--value", "300ms") as held:
        seconds, status = timed(fleet)
        assert status == 200 and 0.3 <= seconds < 0.3 + GENEROUS
        old = fleet.programs(REGION)["backend-1"]["pid"]
        assert fleet.control(f"restart {REGION} backend-1")["ok"]

        def back():
            program = fleet.programs(REGION)["backend-1"]
            return program["state"] == "ready" and program["pid"] != old

        until(back, "the replica has started again", 30)
        until(lambda: timed(fleet)[0] >= 0.3, "it is slow again")
        assert statuses(fleet, 1) == [200]
        held.heal()
    assert sockets(fleet) == before
    assert min(timed(fleet)[0] for _ in range(5)) < 0.3
    fleet.wait_healthy()


def test_a_relay_that_ended_early_is_no_fault_that_lasted(fleet):
    before = sockets(fleet)
    with fault(fleet, "replica-errors", "--region", REGION, "--program", "backend-1", "--value", "100%") as held:
        held.kill_child("wildcam-relay")
        held.heal_early("the relay has ended")
    assert sockets(fleet) == before and statuses(fleet, 3) == [200] * 3
    fleet.wait_healthy()


@root_only
def test_a_slow_gateway_without_its_rules_did_not_last(fleet):
    with fault(fleet, "gateway-slow", "--region", REGION, "--value", "100ms") as held:
        keeper = keeper_of(held)
        held.kill_child("nft")
        held.heal_early("nft has ended")
    assert tables(keeper) == []
    fleet.wait_healthy()


@root_only
@pytest.mark.parametrize("options, child, why", [
    (["gateway-slow", "--value", "100ms"], "nft", "nft has ended"),
    (["gateway-slow", "--value", "100ms"], "wildcam-relay", "the relay has ended"),
    (["cut", "--to", "westus2"], "nft", ""),
])
def test_a_child_that_is_just_dying_when_asked_to_heal_did_not_last(fleet, options, child, why):
    region = ["--from", REGION] if options[0] == "cut" else ["--region", REGION]
    with fault(fleet, *options, *region) as held:
        keeper = keeper_of(held)
        os.kill(held.child(child), signal.SIGKILL)  # and at once, before the kernel may have ended it:
        held.heal_early(why)
    assert tables(keeper) == []
    fleet.wait_healthy()


def test_a_killed_relay_is_cleaned_up_by_the_next_keeper(fleet):
    before = sockets(fleet)
    with fault(fleet, "replica-errors", "--region", REGION, "--program", "backend-1", "--value", "100%") as held:
        held.kill_all()
    if sockets(fleet) != before:  # else the relay was quicker than our signal
        assert statuses(fleet, 1) == [0]
    with fault(fleet, "replica-errors", "--region", REGION, "--program", "backend-2", "--value", "0%") as held:
        assert statuses(fleet, 3) == [200] * 3
        held.heal()
    assert sockets(fleet) == before
    fleet.wait_healthy()
