# SPDX-License-Identifier: MIT
"""The whole local fleet: it comes up, says what it is, heals what is killed, and leaves nothing behind."""
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import uuid

import pytest

import fleetkit
from fleetkit import REGIONS, WILDCAM, until

SLOW = 3 if fleetkit.SANITIZED else 1
ROOT = os.getuid() == 0


# --- it runs, and says so ---
def test_every_region_answers_from_its_own_replicas(fleet):
    for region in REGIONS:
        answer = fleet.get(region, "/api/detections")
        assert answer.status == 200
        assert answer.headers["wildcam-edge"] == region
        assert answer.headers["wildcam-region"] == region


def test_status_json_keeps_its_contract(fleet):
    fleet.wait_healthy()
    view = fleet.status()
    assert set(view) == {"generation", "regions", "gateways", "intents", "alarms"}
    assert [r["region"] for r in view["regions"]] == REGIONS
    for region in view["regions"]:
        assert {"region", "cloud", "origin", "address", "ports", "state", "classes", "plan", "plan_age_ms", "replicas",
                "rpo_ms", "clock_offset_ms", "config_hash"} <= set(region)
        assert region["classes"] == ["read", "write"]
        assert region["replicas"]["up"] == region["replicas"]["want"] >= 2
    for gateway in view["gateways"]:
        assert {"region", "verdict", "since_ms", "votes", "reasons"} <= set(gateway)
        assert gateway["verdict"] == "up" and gateway["votes"]["down"] == 0


def test_a_second_up_says_what_runs(fleet):
    done = fleet.wildcam("up", "--fleet", str(fleet.file), check=False, env=fleetkit.LOWERED)
    assert done.returncode == 1
    assert str(fleet.supervisor()) in done.stdout and "us-west-2" in done.stdout
    assert "runs already" in done.stderr and "HINT:" in done.stderr
    assert fleet.healthy()


def test_programs_have_no_privileges(fleet):
    uids, capabilities = set(), set()
    for pid, _ in fleetkit.processes_in(fleet.namespaces()):
        try:
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue  # it ended meanwhile
        uids |= set(re.search(r"^Uid:\s+(.*)$", text, re.M)[1].split())
        if ROOT:  # a normal user's init has some, in its own user namespace
            capabilities.add(re.search(r"^CapEff:\s+(\w+)$", text, re.M)[1])
    assert len(uids) == 1 and "0" not in uids
    assert not ROOT or capabilities == {"0" * 16}


def test_private_files_are_private(fleet):
    for path in [*fleet.dir.glob("pki/**/*.key"), *fleet.dir.glob("*/pg.pass")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((fleet.dir / "supervisor.sock").stat().st_mode) == 0o600
    for link in fleet.dir.glob("*/sock"):
        assert stat.S_IMODE(link.resolve().stat().st_mode) == 0o700


def test_connections_between_regions_have_the_regions_addresses(fleet):
    addresses = {fleet.address(r) for r in REGIONS}
    listing = subprocess.run(["ss", "-Htn", "state", "established"], capture_output=True, text=True, check=True).stdout
    pairs = [[end.rsplit(":", 1)[0] for end in line.split()[-2:]] for line in listing.splitlines()]
    between = [p for p in pairs if p[1] in addresses and p[0] in addresses]
    assert between, "no connection between regions at all"
    ours = {str(p) for p, _ in fleetkit.processes_in(fleet.namespaces())}
    owners = subprocess.run(["ss", "-Htnp", "state", "established", "src", "127.0.0.1"], capture_output=True, text=True,
                            check=True).stdout
    leaks = [line for line in owners.splitlines() if any(f"pid={pid}," in line for pid in ours)]
    assert leaks == []


def test_postgresql_refuses_plain_text_and_strangers(fleet):
    def connect(options, password):
        return subprocess.run(["psql", f"host={fleet.address('us-west-2')} user=wildcam dbname=wildcam {options}", "-tAc", "select 1"],
                              capture_output=True, text=True, env={**os.environ, "PGPASSWORD": password})
    password = (fleet.dir / "us-west-2/pg.pass").read_text().strip().rsplit(":", 1)[1]
    trusted = f"sslmode=verify-full sslrootcert={fleet.ca}"
    assert connect(trusted, password).stdout.strip() == "1"
    assert connect("sslmode=disable", password).returncode != 0
    assert "authentication failed" in connect(trusted, "wrong").stderr


def test_psql_opens_the_database_as_its_owner(fleet):
    done = fleet.wildcam("psql", "eastus", "--", "-tAc", "select current_user || '@' || current_database()")
    assert done.stdout.strip() == "wildcam@wildcam"
    assert fleet.wildcam("psql", "nowhere", check=False).returncode == 2


def test_why_names_gateway_backup_and_reasons(fleet):
    fleet.wait_healthy()
    why = json.loads(fleet.wildcam("why", "--client", "127.100.33.1", "--json").stdout)
    assert why["gateway"] == "us-east-1" and why["backup"]["cloud"] != "aws"
    assert len(why["order"]) == 6 and why["reasons"]
    text = fleet.wildcam("why", "--client", "127.100.33.1").stdout
    assert "gets us-east-1" in text and "backup" in text
    bad = fleet.wildcam("why", "--client", "127.100.33", check=False)
    assert bad.returncode == 2 and "127.100.33" in bad.stderr


def test_a_drain_moves_clients_and_a_release_brings_them_back(fleet):
    fleet.wait_healthy()

    def gateways():
        found = set()
        for region in REGIONS:
            done = fleet.wildcam("why", "--client", "127.100.33.1", "--region", region, "--json", check=False)
            found.add(json.loads(done.stdout)["gateway"] if done.returncode == 0 else None)
        return found
    assert gateways() == {"us-east-1"}
    refused = fleet.wildcam("traffic", "drain", "us-east-1", check=False)
    assert refused.returncode == 2 and "--yes" in refused.stderr
    done = fleet.wildcam("traffic", "drain", "us-east-1", "--reason", "test", "--for", "5m", "--yes")
    assert "capacity stay" in done.stdout and "accepted" in done.stdout
    until(lambda: None not in gateways() and "us-east-1" not in gateways(), "every agent moves the client")
    intents = fleet.status()["intents"]
    assert [(i["kind"], i["target"], i["reason"]) for i in intents if i["kind"] != "release"] == \
        [("drain", "region:us-east-1", "test")]
    fleet.wildcam("traffic", "release", "us-east-1")
    until(lambda: gateways() == {"us-east-1"}, "the client is back", 60)


@pytest.mark.parametrize("args,message", [
    (("drain", "nowhere", "--yes"), "'nowhere'"),
    (("drain", "10.0.0.0/8", "--yes"), "'10.0.0.0/8'"),
    (("pin", "us-west-2", "us-west-2", "--yes"), "prefix"),
    (("weight", "us-west-2", "200%", "--yes"), "'200%'"),
    (("drain", "us-west-2", "--for", "soon", "--yes"), "'soon'"),
    (("explode", "us-west-2"), "'explode'"),
    (("drain",), "HINT: usage"),
])
def test_traffic_refuses_nonsense(fleet, args, message):
    done = fleet.wildcam("traffic", *args, check=False)
    assert done.returncode == 2 and message in done.stderr
    assert all(i["kind"] == "release" for i in fleet.status()["intents"])


# --- what is killed comes back ---
def restarts(fleet, region, program):
    return fleet.programs(region)[program]["restarts"]


@pytest.mark.parametrize("program", ["agent", "backend-1", "nginx", "postgres"])
def test_a_killed_program_is_started_again(fleet, program):
    fleet.wait_healthy()
    before, pid = restarts(fleet, "westus2", program), fleet.programs("westus2")[program]["pid"]
    assert fleet.control(f"signal westus2 {program} KILL")["ok"]
    until(lambda: restarts(fleet, "westus2", program) > before, f"{program} is started again")
    until(lambda: fleet.programs("westus2")[program]["state"] == "ready", f"{program} is ready")
    assert fleet.programs("westus2")[program]["pid"] != pid
    fleet.wait_healthy(60)
    assert fleet.get("westus2", "/api/detections").headers["wildcam-edge"] == "westus2"


def test_no_worker_survives_its_nginx_master(fleet):
    fleet.wait_healthy()
    init = fleet.inits()["eastus"]
    namespace = {os.readlink(f"/proc/{init}/ns/pid")}
    old = set(fleetkit.host_pids(namespace, "nginx"))
    assert len(old) >= 2
    fleet.control("signal eastus nginx KILL")
    until(lambda: fleet.programs("eastus")["nginx"]["state"] == "ready" and
          not old & set(fleetkit.host_pids(namespace, "nginx")), "the old workers are gone")
    fleet.wait_healthy(60)


def test_a_killed_nginx_worker_is_replaced(fleet):
    fleet.wait_healthy()
    namespace = {os.readlink(f"/proc/{fleet.inits()['eastus']}/ns/pid")}

    def title(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
            return b""

    def workers():
        return {pid for pid in fleetkit.host_pids(namespace, "nginx") if b"worker process" in title(pid)}

    old, before = until(workers, "nginx has a worker"), restarts(fleet, "eastus", "nginx")
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    until(lambda: workers() and not workers() & old, "nginx has a new worker")
    answer = until(lambda: fleet.get("eastus", "/api/detections", check=False), "the edge answers")
    assert answer.headers["wildcam-edge"] == "eastus"
    assert restarts(fleet, "eastus", "nginx") == before, "the master did it, not we"


def test_edges_serve_while_their_agent_is_dead(fleet):
    fleet.wait_healthy()
    fleet.control("signal us-west1 agent STOP")
    try:
        assert fleet.get("us-west1", "/api/detections").status == 200
    finally:
        fleet.control("signal us-west1 agent CONT")
    fleet.wait_healthy(60)


def test_reads_and_writes_go_on_while_a_database_is_dead(fleet):
    fleet.wait_healthy()
    for _ in range(3):
        fleet.control("signal us-east1 postgres KILL")
        answer = fleet.get("us-east1", "/api/detections")
        assert answer.status in (200, 503)  # its own, another region's, or a refusal by class
    fleet.wait_healthy(60)


def test_restart_is_no_failure(fleet):
    fleet.wait_healthy()
    before = fleet.programs("us-west-2")["backend-2"]
    fleet.control("restart us-west-2 backend-2")
    until(lambda: fleet.programs("us-west-2")["backend-2"]["pid"] not in (0, before["pid"]), "a new process")
    fleet.wait_healthy(60)


def test_a_killed_region_stays_down_until_it_is_started_and_a_hung_one_resumes(fleet):
    fleet.wait_healthy()
    namespace = {os.readlink(f"/proc/{fleet.inits()['us-east-1']}/ns/pid")}
    assert fleet.control("kill us-east-1")["ok"]
    assert fleetkit.processes_in(namespace) == []
    view = fleet.status()
    assert [r["state"] for r in view["regions"] if r["region"] == "us-east-1"] == ["unreachable"]
    assert not fleet.healthy()
    assert fleet.control("start us-east-1")["ok"]
    assert fleet.control("stop us-west1")["ok"]
    states = {pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()[0]
              for p, name in fleetkit.processes_in({os.readlink(f"/proc/{fleet.inits()['us-west1']}/ns/pid")})
              if not name.startswith("wc:")}
    assert states == {"T"}
    assert fleet.control("cont us-west1")["ok"]
    fleet.wildcam("traffic", "reset", "fleet")
    fleet.wait_healthy(90)


def test_a_region_whose_init_dies_is_started_again(fleet):
    fleet.wait_healthy()
    old = fleet.inits()["eastus"]
    os.kill(old, signal.SIGKILL)
    until(lambda: fleet.inits()["eastus"] not in (0, old), "a new init")
    fleet.wildcam("traffic", "reset", "fleet")
    fleet.wait_healthy(90)


@pytest.mark.parametrize("command,message", [
    ("kill nowhere", "unknown region"), ("kill", "no region"), ("nonsense", "unknown command"),
    ("restart us-west-2 nothing", "no such program"), ("signal us-west-2 agent WHATEVER", "unknown signal"),
    ("signal us-west-2", "no such program"), ("", "unknown command"), ("kill " + "x" * 900, "unknown region")])
def test_the_control_socket_refuses_nonsense(fleet, command, message):
    answer = fleet.control(command)
    assert answer["ok"] is False and message in answer["error"]


def test_the_control_socket_drops_endless_lines(fleet):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(str(fleet.dir / "supervisor.sock"))
        with pytest.raises(OSError):
            for _ in range(100):
                s.sendall(b"x" * 1024)
            assert s.recv(1) != b"", "the connection is closed"
            raise AssertionError("not closed")
    assert fleet.control("status")["ok"]


# --- the command line ---
VERBS = ["up", "down", "status", "why", "traffic", "region", "config", "psql", "help", "version"]


@pytest.mark.parametrize("verb", VERBS)
def test_help_goes_to_stdout_and_fits_80_columns(verb):
    for args in ([verb, "--help"], ["help", verb]):
        done = subprocess.run([WILDCAM, *args], capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "" and "usage: wildcam" in done.stdout
        assert max(len(line) for line in done.stdout.splitlines()) <= 80
    wrong = subprocess.run([WILDCAM, verb, "--frobnicate"], capture_output=True, text=True)
    assert wrong.returncode == 2 and wrong.stdout == ""
    assert "'--frobnicate'" in wrong.stderr and "HINT:" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 2, "a specific message, not the whole help"


def test_the_front_page_lists_every_verb():
    done = subprocess.run([WILDCAM, "help"], capture_output=True, text=True, check=True)
    for verb in [*VERBS, "cameras", "drill"]:
        assert f"\n  {verb} " in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    unknown = subprocess.run([WILDCAM, "frobnicate"], capture_output=True, text=True)
    assert unknown.returncode == 2 and "unknown verb 'frobnicate'" in unknown.stderr


def test_verbs_without_a_fleet_say_so(tmp_path):
    for args in (["status"], ["why", "--client", "10.0.0.1"], ["psql", "x"], ["region", "kill", "x"]):
        done = subprocess.run([WILDCAM, *args, "--dir", tmp_path / "none"], capture_output=True, text=True)
        assert done.returncode == 1 and done.stdout == "" and "no fleet" in done.stderr
    done = subprocess.run([WILDCAM, "down", "--dir", tmp_path / "none"], capture_output=True, text=True)
    assert done.returncode == 0 and "no fleet" in done.stdout


def test_config_check_and_diff(tmp_path):
    good, changed, bad = tmp_path / "good.yaml", tmp_path / "changed.yaml", tmp_path / "bad.yaml"
    text = fleetkit.fleetfile.SHIPPED.read_text()
    good.write_text(text)
    changed.write_text(text.replace("location: [39.0, -98.0]", "location: [33.0, -80.0]"))
    bad.write_text(text.replace("peak_load: 6000", "peak_load: many"))
    run = lambda *a: subprocess.run([WILDCAM, "config", *a], capture_output=True, text=True)
    assert run("check", good).returncode == 0
    done = run("check", bad)
    assert done.returncode == 1 and f"{bad}:" in done.stderr and "'many'" in done.stderr
    done = run("diff", changed, "--from", good)
    assert done.returncode == 0 and "clients.world.location" in done.stdout and "us-east1" in done.stdout
    assert run("diff", good, "--from", good).stdout == "no difference\n"
    assert run("explode").returncode == 2


# --- it ends, and leaves nothing behind ---
def ended(fleet, namespaces, within):
    """Ports free and processes gone, within this many seconds."""
    until(lambda: not fleetkit.processes_in(namespaces), "every process has gone", within)
    until(lambda: not fleet.ports_taken(), "every port is free", within)


def test_killed_it_leaves_nothing_and_starts_again_with_its_data(own_fleets):
    fleet = own_fleets("killed")
    fleet.up()
    key = str(uuid.uuid4())
    written = fleet.post_detection("us-west-2", key)
    assert written.status in (200, 201), written.body
    namespaces = fleet.namespaces()
    assert len(namespaces) == 6
    assert fleet.control("upgrade us-west-2 nginx", timeout=80)["ok"]  # nor a master that another one made
    assert fleet.control("halt us-east1 backend-1")["ok"]
    fleet.control("stop eastus us-west1")  # a stopped region must not survive, either
    os.kill(fleet.supervisor(), signal.SIGKILL)
    began = time.monotonic()
    ended(fleet, namespaces, 1)
    assert time.monotonic() - began < 1
    fleet.up()
    rows = json.loads(fleet.get("us-west-2", "/api/detections").body)["detections"]
    assert len(rows) == 1
    namespaces = fleet.namespaces()
    fleet.control("stop westus2")
    fleet.down()
    assert fleetkit.processes_in(namespaces) == [] and fleet.ports_taken() == []
    assert fleet.wildcam("status", check=False).returncode == 1


def start_front(fleet):
    front = subprocess.Popen([*fleet.prefix, WILDCAM, "up", "--fleet", fleet.file, "--dir", fleet.dir], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, start_new_session=True)
    lines = []
    while True:
        line = front.stdout.readline()
        assert line, "".join(lines)
        lines.append(line)
        if "Ctrl-C ends" in line:
            return front, "".join(lines)


def test_in_the_foreground_it_ends_with_its_front(own_fleets):
    fleet = own_fleets("front")
    front, output = start_front(fleet)
    for region in REGIONS:
        assert f"{region:12} healthy" in output
    assert output.count("/wildcam ") == 2 and "curl --cacert" in output
    namespaces = fleet.namespaces()
    front.send_signal(signal.SIGINT)
    rest, _ = front.communicate(timeout=30)
    assert front.returncode == 0 and "the fleet has ended" in rest
    assert fleetkit.processes_in(namespaces) == [] and fleet.ports_taken() == []
    assert "database system is shut down" in (fleet.dir / "us-west-2/log/postgres.log").read_text()

    front, _ = start_front(fleet)
    namespaces = fleet.namespaces()
    front.kill()
    ended(fleet, namespaces, 1)
    front.communicate()


def test_a_taken_port_is_said_with_its_owner(own_fleets):
    fleet = own_fleets("taken")
    code = f"import socket,time; s=socket.create_server(('{fleet.address('eastus')}', 8443)); print(1, flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        done = fleet.wildcam("up", "--fleet", str(fleet.file), "--detach", check=False, env=fleetkit.LOWERED)
    finally:
        other.kill()
        other.wait()
    assert done.returncode == 1
    assert f"{fleet.address('eastus')}:8443 is taken by 'python3" in done.stderr and f"pid {other.pid}" in done.stderr
    assert "HINT:" in done.stderr
    assert not (fleet.dir / "supervisor.sock").exists(), "nothing was started"


def test_one_clock_is_ten_minutes_off(own_fleets):
    fleet = own_fleets("clock")
    library = fleetkit.preload(fleetkit.BUILD / "tests/integration/libwrongclock.so", "wildcam-agent")
    front = subprocess.Popen(  # it will not call this fleet healthy: nobody waits for that
        [WILDCAM, "up", "--fleet", fleet.file, "--dir", fleet.dir, "--detach"], stdout=subprocess.DEVNULL, env={
            **os.environ, "WILDCAM_ENVIRONMENT": f"westus2/agent:LD_PRELOAD={library};westus2/agent:WRONG_CLOCK_S=600"})

    def settled():
        done = fleet.wildcam("status", "--json", check=False)
        if done.returncode == 1:
            return False  # not begun
        regions = {r["region"]: r for r in json.loads(done.stdout)["regions"]}
        return regions["westus2"]["classes"] == ["read"] and \
            all(regions[r]["classes"] == ["read", "write"] for r in REGIONS if r != "westus2")
    try:
        until(settled, "the region with the wrong clock alone loses the class write", 40 * SLOW)
    finally:
        front.terminate()
        front.wait()
    verdicts = {g["region"]: g["verdict"] for g in fleet.status()["gateways"]}
    assert set(verdicts.values()) == {"up"}, "a wrong clock is no reason to remove a gateway"
    assert fleet.get("westus2", "/api/detections").status == 200
    written = fleet.post_detection("westus2", str(uuid.uuid4()))
    assert written.status in (200, 201) and written.headers["wildcam-region"] != "westus2"


@pytest.mark.skipif(not ROOT, reason="only root has folders that the run user cannot reach")
def test_a_state_folder_that_only_root_reaches(own_fleets):
    with tempfile.TemporaryDirectory(prefix="wildcam-private-") as closed:  # 0700 of root, like /root
        fleet = own_fleets("root", root=pathlib.Path(closed))
        try:
            fleet.up()
            assert fleet.control("upgrade us-east1 nginx", timeout=80)["ok"]
            assert fleet.get("us-east1", "/api/detections").status == 200
            assert fleet.healthy()
            mounts = pathlib.Path("/proc/self/mounts").read_text()
            assert "/run/wildcam/" not in mounts, "nothing is mounted outside"
            namespaces = fleet.namespaces()
            os.kill(fleet.supervisor(), signal.SIGKILL)
            ended(fleet, namespaces, 1)
        finally:  # before the folder goes, and the fleet's socket with it
            fleet.wildcam("down", "--now", check=False)


@pytest.mark.skipif(not ROOT, reason="the other tests are this one")
def test_a_normal_user_without_any_privilege(own_fleets):
    fleet = own_fleets("user", chown=(65534, 65534),
                       prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                               "--bounding-set=-all", "--no-new-privs"])
    fleet.up()
    for program in ("nginx", "agent", "backend-1"):
        assert fleet.control(f"upgrade westus2 {program}", timeout=80)["ok"]
    for command in ("halt", "resume"):
        assert fleet.control(f"{command} westus2 postgres")["ok"]
    assert fleet.get("westus2", "/api/detections").status == 200
    namespaces = fleet.namespaces()
    fleet.control("stop westus2")
    os.kill(fleet.supervisor(), signal.SIGKILL)
    ended(fleet, namespaces, 1)


def test_long_and_odd_folders(own_fleets):
    fleet = own_fleets("a folder with spaces and " + "x" * 120)
    fleet.up()
    assert fleet.get("us-west1", "/api/detections").status == 200
    fleet.down()
