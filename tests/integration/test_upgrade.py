# SPDX-License-Identifier: MIT
"""One program of a region: halted, resumed, given another environment, replaced by another build under traffic."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import pytest

import fleetkit
from fleetkit import BUILD, SANITIZED, WILDCAM, until

SLOW = 3 if SANITIZED else 1
PROGRAMS = ["wildcam-agent", "wildcam-backend", "wildcam-edge-conf", "wildcam-rows", "ngx_http_wildcam_module.so"]
UPGRADED = ["agent", "backend-1", "backend-2", "nginx"]


@pytest.fixture
def folder():
    """For another build's programs: where the run user can reach and execute them."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="wildcam-programs-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def other_build(folder):
    for name in PROGRAMS:
        shutil.copy(BUILD / name, folder / name)
    return folder


def done(answer):
    assert answer["ok"], answer
    return answer


def refused(answer, text, failed=True):
    assert not answer["ok"] and text in answer["error"] and answer["failed"] == failed, answer
    return answer


def namespace(fleet, region):
    return {os.readlink(f"/proc/{fleet.inits()[region]}/ns/pid")}


def processes(fleet, region, name):
    return fleetkit.host_pids(namespace(fleet, region), name)


def host_pid(fleet, region, program):
    """The process that the supervisor means, as this machine numbers it."""
    wanted = fleet.programs(region)[program]["pid"]
    for pid, _ in fleetkit.processes_in(namespace(fleet, region)):
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1]) == wanted:
            return pid
    raise AssertionError((region, program, wanted))


def environ(fleet, region, program):
    text = pathlib.Path(f"/proc/{host_pid(fleet, region, program)}/environ").read_bytes().decode()
    return dict(entry.split("=", 1) for entry in text.split("\0") if entry)


def is_ready(fleet, region, program):
    return fleet.programs(region)[program]["state"] == "ready"


def modules(pid):
    try:
        maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):  # a worker that has just ended
        return set()
    return {line.split(maxsplit=5)[5] for line in maps.splitlines() if "ngx_http_wildcam_module" in line}


def healed(fleet):
    for intent in fleet.status()["intents"]:
        assert intent["kind"] == "release", intent
    fleet.wildcam("traffic", "reset", "fleet")
    fleet.wait_healthy(90)


# --- halt and resume ---
@pytest.mark.parametrize("program,name", [("nginx", "nginx"), ("postgres", "postgres"), ("backend-2", None)])
def test_a_halted_program_is_gone_with_its_children_until_it_is_resumed(fleet, program, name):
    fleet.wait_healthy()
    before = fleet.programs("eastus")
    assert name is None or len(processes(fleet, "eastus", name)) >= 2
    done(fleet.control(f"halt eastus {program}"))
    try:
        after = fleet.programs("eastus")
        assert after[program]["state"] == "halted" and after[program]["pid"] == 0
        assert name is None or processes(fleet, "eastus", name) == []
        for other in set(before) - {program}:
            assert after[other]["pid"] == before[other]["pid"], "only the one was meant"
        assert [r["state"] for r in fleet.control("status")["regions"] if r["region"] == "eastus"] == ["starting"]
        done(fleet.control(f"halt eastus {program}"))
        refused(fleet.control(f"restart eastus {program}"), "halted")
        refused(fleet.control(f"upgrade eastus {program}"), "hand over" if program == "postgres" else "halted")
        assert fleet.programs("eastus")[program]["state"] == "halted"
    finally:
        done(fleet.control(f"resume eastus {program}"))
    until(lambda: is_ready(fleet, "eastus", program), f"{program} is ready", 20 * SLOW)
    done(fleet.control(f"resume eastus {program}"))
    assert fleet.programs("eastus")[program]["restarts"] == before[program]["restarts"] + 1
    healed(fleet)


def test_halted_clients_are_refused_at_once(fleet):
    fleet.wait_healthy()
    done(fleet.control("halt us-east1 nginx"))
    try:
        for port in (8443, 8444, 8480):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((fleet.address("us-east1"), port), timeout=5)
    finally:
        done(fleet.control("resume us-east1 nginx"))
    until(lambda: is_ready(fleet, "us-east1", "nginx"), "nginx is ready", 20 * SLOW)
    healed(fleet)


def test_a_program_that_is_stopped_or_in_backoff_can_be_halted(fleet, other_build):
    fleet.wait_healthy()
    done(fleet.control("signal us-east1 backend-1 STOP"))
    done(fleet.control("halt us-east1 backend-1"))
    (other_build / "wildcam-backend").write_text("#!/bin/sh\nexit 7\n")
    done(fleet.control(f"programs us-east1 {other_build}"))
    done(fleet.control("resume us-east1 backend-1"))
    until(lambda: fleet.programs("us-east1")["backend-1"]["state"] == "backoff", "it does not start")
    refused(fleet.control("upgrade us-east1 backend-1"), "not ready")
    done(fleet.control("halt us-east1 backend-1"))
    assert fleet.programs("us-east1")["backend-1"]["state"] == "halted"
    done(fleet.control("programs us-east1"))
    done(fleet.control("resume us-east1 backend-1"))
    until(lambda: is_ready(fleet, "us-east1", "backend-1"), "it is ready", 20 * SLOW)
    healed(fleet)


def test_a_region_that_starts_anew_forgets_halts_but_not_changes(fleet):
    fleet.wait_healthy()
    done(fleet.control("halt westus2 agent"))
    done(fleet.control("environment westus2 backend-1 WILDCAM_KEPT=yes"))
    refused(fleet.control("halt westus2 edge-conf"), "step")
    done(fleet.control("kill westus2"))
    for command in ("halt", "resume", "upgrade"):
        refused(fleet.control(f"{command} westus2 agent"), "does not run")
    done(fleet.control("environment westus2 agent WILDCAM_WHILE_DOWN=1"))
    done(fleet.control("start westus2"))
    until(lambda: all(p["state"] in ("ready", "done") for p in fleet.programs("westus2").values()), "all run", 40 * SLOW)
    assert environ(fleet, "westus2", "backend-1")["WILDCAM_KEPT"] == "yes"
    assert environ(fleet, "westus2", "agent")["WILDCAM_WHILE_DOWN"] == "1"
    for program in ("agent", "backend-1"):
        done(fleet.control(f"environment westus2 {program}"))
        done(fleet.control(f"upgrade westus2 {program}"))
    assert not {"WILDCAM_KEPT", "WILDCAM_WHILE_DOWN"} & (set(environ(fleet, "westus2", "backend-1")) | set(environ(fleet, "westus2", "agent")))
    healed(fleet)


def test_a_hung_region_refuses_and_says_so(fleet):
    fleet.wait_healthy()
    done(fleet.control("stop us-west1"))
    try:
        for command in ("halt", "resume", "upgrade"):
            assert "cont" in refused(fleet.control(f"{command} us-west1 agent"), "hangs")["hint"]
    finally:
        done(fleet.control("cont us-west1"))
    healed(fleet)


# --- environment and programs ---
def test_added_environment_holds_from_the_next_start_on(fleet):
    fleet.wait_healthy()
    before = environ(fleet, "us-east-1", "postgres")

    def after(*words):
        fleet.wildcam("region", "environment", "us-east-1", "postgres", *words)
        old = fleet.programs("us-east-1")["postgres"]
        fleet.wildcam("region", "restart", "us-east-1", "postgres")
        until(lambda: fleet.programs("us-east-1")["postgres"]["pid"] not in (0, old["pid"]) and
              is_ready(fleet, "us-east-1", "postgres"), "it has been restarted", 30 * SLOW)
        return environ(fleet, "us-east-1", "postgres")
    assert after("WILDCAM_A=1", "WILDCAM_B=x=y,z") == {**before, "WILDCAM_A": "1", "WILDCAM_B": "x=y,z"}
    assert after("WILDCAM_SOURCE=127.0.0.99") == {**before, "WILDCAM_SOURCE": "127.0.0.99"}, "in its place"
    assert after() == before
    healed(fleet)


@pytest.mark.parametrize("command,text,failed", [
    ("environment us-west-2 agent NONSENSE", "NAME=VALUE", False),
    ("environment us-west-2 agent A=1 b c", "NAME=VALUE", False),
    ("environment us-west-2 agent 1A=1", "no name", False),
    ("environment us-west-2 agent =1", "no name", False),
    ("environment us-west-2 agent A=\x01", "control character", False),
    ("environment us-west-2 agent A=" + "x" * 2000, "2002 bytes", True),
    ("environment us-west-2 agent " + " ".join(f"A{i}=1" for i in range(17)), "more than 16", True),
    ("environment us-west-2 pg-setup A=1", "pg-setup", False),
    ("environment us-west-2 nothing A=1", "no such program", False),
    ("environment nowhere agent A=1", "unknown region", False),
    ("programs us-west-2 relative/path", "absolute", False),
    ("programs us-west-2 /usr/bin", "wildcam-agent", True),
    ('programs us-west-2 /tmp/"', "nginx reads", False),
    ("programs us-west-2 /" + "x" * 1000, "too long", False),
    ("programs", "unknown region", False),
    ("upgrade us-west-2 postgres", "hand over", True),
    ("upgrade us-west-2 migrate", "step", True),
    ("upgrade us-west-2", "no such program", False),
    ("upgrade us-west-2 agent now", "too many words", False),
    ("halt us-west-2 pg-setup", "step", True),
    ("resume nowhere agent", "unknown region", False)])
def test_nonsense_is_refused_with_its_reason(fleet, command, text, failed):
    refused(fleet.control(command), text, failed)


def test_a_refusal_names_what_there_is(fleet):
    assert "Known: agent, pg-setup, postgres" in fleet.control("halt us-west-2 x")["hint"]
    assert "us-east1" in fleet.control("halt x agent")["hint"]
    failed = fleet.wildcam("region", "upgrade", "us-west-2", "postgres", check=False)
    assert failed.returncode == 1 and "restart" in failed.stderr
    wrong = fleet.wildcam("region", "environment", "us-west-2", "agent", "A=b c", check=False)
    assert wrong.returncode == 2 and "spaces are not supported" in wrong.stderr
    wrong = fleet.wildcam("region", "unhalt", "us-west-2", "nothing", check=False)
    assert wrong.returncode == 2 and "Known: agent" in wrong.stderr


# --- upgrade ---
class Traffic:
    """`wildcam cameras` until it is told to end; its report."""

    def __init__(self, fleet, *options):
        reading, writing = os.pipe()
        self.process = subprocess.Popen(
            [WILDCAM, "cameras", "--dir", fleet.dir, "--rate", "60", "--duration", "0", "--keyless", "50%", "--json",
             "--ready-fd", str(writing), *options], stdout=subprocess.PIPE, text=True, pass_fds=[writing])
        os.close(writing)
        assert os.read(reading, 1), "traffic flows"
        os.close(reading)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        text, _ = self.process.communicate(timeout=60)
        return json.loads(text)


def upgrade_all(fleet, region):
    for program in UPGRADED:
        pid = fleet.programs(region)[program]["pid"]
        done(fleet.control(f"upgrade {region} {program}", timeout=80))
        after = fleet.programs(region)[program]
        assert after["pid"] not in (0, pid) and after["state"] == "ready"


def test_every_program_is_replaced_by_another_build_under_traffic(fleet, other_build):
    fleet.wait_healthy()
    old = set(processes(fleet, "us-west-2", "nginx"))
    traffic = Traffic(fleet)
    try:
        fleet.wildcam("region", "programs", "us-west-2", str(other_build))
        upgrade_all(fleet, "us-west-2")
        for program in UPGRADED[:3]:
            assert pathlib.Path(os.readlink(f"/proc/{host_pid(fleet, 'us-west-2', program)}/exe")).parent == other_build
        master = host_pid(fleet, "us-west-2", "nginx")
        until(lambda: not old & set(processes(fleet, "us-west-2", "nginx")), "the old nginx has finished", 20)
        assert modules(master) == {str(other_build / PROGRAMS[-1])}, "the new module, and only that"
        for pid in processes(fleet, "us-west-2", "nginx"):
            assert modules(pid) <= modules(master)
        pid_file = fleet.dir / "us-west-2/edge/nginx.pid"
        until(lambda: pid_file.exists() and int(pid_file.read_text()) == fleet.programs("us-west-2")["nginx"]["pid"], "its pid file")
        assert fleet.control("signal us-west-2 nginx HUP")["ok"]
        answer = fleet.get("us-west-2", "/api/detections")
        assert answer.status == 200 and answer.headers["wildcam-edge"] == "us-west-2"
        assert host_pid(fleet, "us-west-2", "nginx") == master

        fleet.wildcam("region", "programs", "us-west-2")
        upgrade_all(fleet, "us-west-2")
        until(lambda: {m for pid in processes(fleet, "us-west-2", "nginx") for m in modules(pid)} ==
              {str(BUILD / PROGRAMS[-1])}, "all are back", 20)
    finally:
        fleet.control("programs us-west-2")
        report = traffic.end()
    assert report["requests"] > 100
    assert report["failed"] == 0 and report["lost"] == 0, report
    healed(fleet)


def test_no_connection_is_refused_while_nginx_is_replaced(fleet):
    """New connections all the while: the kernel never sees the listeners closed."""
    fleet.wait_healthy()
    stop, results = threading.Event(), []

    def connect():
        while not stop.is_set():
            try:
                with socket.create_connection((fleet.address("us-east-1"), 8480), timeout=10) as s:
                    s.sendall(b"GET / HTTP/1.1\r\nHost: api.wildcam.org\r\nConnection: close\r\n\r\n")
                    results.append(s.recv(16)[:12])
            except OSError as error:
                results.append(error)
    threads = [threading.Thread(target=connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(results) > 50, "connections are made")
        for _ in range(2):
            old = set(processes(fleet, "us-east-1", "nginx"))
            done(fleet.control("upgrade us-east-1 nginx", timeout=80))
            until(lambda: not old & set(processes(fleet, "us-east-1", "nginx")), "the old nginx has finished", 20)
        count = len(results)
        until(lambda: len(results) > count + 50, "connections are made")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(results) == {b"HTTP/1.1 308"}
    fleet.wait_healthy(60)


@pytest.mark.parametrize("broken,text", [("ngx_http_wildcam_module.so", "the old one goes on"), ("wildcam-edge-conf", "edge-conf ended")])
def test_an_nginx_that_does_not_start_leaves_the_old_one_alone(fleet, other_build, broken, text):
    fleet.wait_healthy()
    before, conf = fleet.programs("westus2")["nginx"], (fleet.dir / "westus2/edge/nginx.conf").read_text()
    (other_build / broken).write_text("#!/bin/false\n")
    done(fleet.control(f"programs westus2 {other_build}"))
    try:
        refused(fleet.control("upgrade westus2 nginx", timeout=80), text)
        assert fleet.programs("westus2")["nginx"] == before
        assert (fleet.dir / "westus2/edge/nginx.conf").read_text() == conf
        assert not (fleet.dir / "westus2/edge/nginx.conf.before").exists()
        assert int((fleet.dir / "westus2/edge/nginx.pid").read_text()) == before["pid"]
        assert fleet.get("westus2", "/api/detections").status == 200
    finally:
        done(fleet.control("programs westus2"))
    done(fleet.control("upgrade westus2 nginx", timeout=80))


def test_an_agent_that_does_not_start_is_said_and_tried_again(fleet, other_build):
    fleet.wait_healthy()
    (other_build / "wildcam-agent").write_text("#!/bin/sh\nexit 7\n")
    done(fleet.control(f"programs westus2 {other_build}"))
    refused(fleet.control("upgrade westus2 agent", timeout=80), "code 7")
    assert fleet.get("westus2", "/api/detections").status == 200, "the edge goes on with its plan"
    done(fleet.control("programs westus2"))
    until(lambda: is_ready(fleet, "westus2", "agent"), "the next try is the old program", 20 * SLOW)
    healed(fleet)


def test_a_region_killed_or_hung_during_an_upgrade_answers_at_once(fleet, other_build):
    fleet.wait_healthy()
    (other_build / "wildcam-agent").write_text("#!/bin/sh\nexec sleep 1000\n")
    done(fleet.control(f"programs eastus {other_build}"))
    for command, text in (("stop", "hung meanwhile"), ("kill", "ended meanwhile")):
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(fleet.control("upgrade eastus agent", timeout=80)))
        pid = fleet.programs("eastus")["agent"]["pid"]
        waiting.start()
        until(lambda: fleet.programs("eastus")["agent"]["pid"] not in (0, pid), "the new agent has been started")
        if command == "stop":
            refused(fleet.control("upgrade eastus agent"), "under way")
        done(fleet.control(f"{command} eastus"))
        waiting.join(timeout=5)
        refused(answers[0], text)
        if command == "stop":
            done(fleet.control("cont eastus"))
            done(fleet.control("programs eastus"))
            fleet.control("restart eastus agent")
            until(lambda: is_ready(fleet, "eastus", "agent"), "the agent is back", 20 * SLOW)
            done(fleet.control(f"programs eastus {other_build}"))
    done(fleet.control("programs eastus"))
    done(fleet.control("start eastus"))
    healed(fleet)
