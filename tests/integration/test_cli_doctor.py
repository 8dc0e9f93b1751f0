# SPDX-License-Identifier: MIT
"""`wildcam doctor`: things are broken for real, the doctor names them, and where its fix is a command it is run as it stands."""
import json
import os
import resource
import shutil
import socket
import subprocess

import pytest

import clipage
import fleetfile
import fleetkit
from fleetkit import BUILD, REGIONS, WILDCAM, until

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can break this")


def examine(*args, program=WILDCAM, prefix=(), **more):
    done = subprocess.run([*prefix, program, "doctor", "--json", *map(str, args)], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, **more)
    assert done.returncode in (0, 3), done.stderr
    report = json.loads(done.stdout)
    clipage.check("doctor", report)
    assert report["bad"] == sum(f["level"] == "bad" for f in report["findings"]) and (done.returncode == 3) == (report["bad"] > 0)
    assert all((f["fix"] == "") == (f["level"] == "ok") and "\n" not in f["fix"] for f in report["findings"])
    return report


def found(report, check, level, *texts):
    """The one finding of this check and level that has these texts."""
    hits = [f for f in report["findings"] if f["check"] == check and f["level"] == level and all(t in f["text"] for t in texts)]
    assert len(hits) == 1, (check, level, texts, [f for f in report["findings"] if f["level"] != "ok"])
    return hits[0]


def levels(report, check):
    return {f["level"] for f in report["findings"] if f["check"] == check}


def mend(fleet, finding):
    """Runs the fix as a shell would, with this build; which fleet is in it."""
    command = finding["fix"]
    assert not command.startswith("wildcam ") or f" --dir {fleet.dir}" in command
    subprocess.run(command, shell=True, check=True, capture_output=True, timeout=60,
                   env={**os.environ, "PATH": f"{BUILD}:/usr/sbin:/usr/bin:/sbin:/bin"})


@pytest.fixture
def well(fleet):
    fleet.wait_healthy(90)
    until(lambda: not any(f["level"] == "bad" for f in examine("--dir", fleet.dir)["findings"]), "the doctor finds nothing bad", 30)
    yield fleet
    fleet.wait_healthy(90)


# --- a running fleet ---
def test_a_well_fleet(well):
    report = examine("--dir", well.dir)
    assert report["running"] and report["bad"] == 0
    checks = [f["check"] for f in report["findings"]]
    for check in ("programs", "nginx", "nginx-module", "postgresql", "namespaces", "secrets", "certificates", "leftovers", "push",
                  "region-programs", "stopped", "agents", "gateways", "plans", "replicas", "clocks", "peers", "alarms", "databases"):
        assert check in checks
    text = well.wildcam("doctor")
    assert "0 bad, " in text.stdout and "\033" not in text.stdout and text.stderr == ""


def test_a_password_for_everybody(well):
    path = well.dir / "eastus/pg.pass"
    path.chmod(0o644)
    finding = found(examine("--dir", well.dir), "secrets", "bad", "eastus/pg.pass", "644")
    mend(well, finding)
    assert path.stat().st_mode & 0o777 == 0o600 and levels(examine("--dir", well.dir), "secrets") == {"ok"}


def test_a_halted_backend(well):
    assert well.control("halt us-west1 backend-2")["ok"]
    until(lambda: not well.healthy(), "the replica is missed")
    report = examine("--dir", well.dir)
    found(report, "replicas", "bad", "us-west1", "1 of 2")
    mend(well, found(report, "region-programs", "bad", "us-west1", "backend-2"))
    well.wait_healthy()


@root_only
def test_a_stopped_agent(well):
    assert well.control("signal westus2 agent STOP")["ok"]
    report = until(lambda: (r := examine("--dir", well.dir)) and "bad" in levels(r, "agents") and r, "it is silent", 20)
    found(report, "agents", "bad", "westus2", "does not answer")
    mend(well, found(report, "stopped", "bad", "westus2", "wildcam-agent"))


def test_a_database_that_may_forget(well):
    psql = ["psql", "us-east1", "--", "-c", "ALTER SYSTEM SET synchronous_commit = 'off'", "-c", "SELECT pg_reload_conf()"]
    well.wildcam(*psql)
    report = until(lambda: (r := examine("--dir", well.dir)) and "bad" in levels(r, "databases") and r, "it is seen", 10)
    mend(well, found(report, "databases", "bad", "us-east1", "synchronous_commit is 'off'"))
    until(lambda: levels(examine("--dir", well.dir), "databases") == {"ok"}, "it is durable again", 10)
    well.wildcam("psql", "us-east1", "--", "-c", "ALTER SYSTEM RESET synchronous_commit", "-c", "SELECT pg_reload_conf()")


def test_leftovers_of_a_killed_drill(well):
    real = (well.dir / "eastus/sock").resolve() / "backend-9.sock.real"
    disk = well.dir / "westus2/pg.kept"
    real.touch()
    disk.mkdir()
    try:
        report = examine("--dir", well.dir)
        assert found(report, "leftovers", "warn", "backend-9.sock.real")["fix"] == (
            f"wildcam region --dir {well.dir} restart eastus backend-9")
        found(report, "leftovers", "bad", "pg.kept")
    finally:
        real.unlink()
        disk.rmdir()


def test_a_push_left_half_way(well):
    path = well.dir / "us-east1/fleet.yaml"
    good = path.read_text()
    try:
        path.write_text(good + "# changed\n")
        finding = found(examine("--dir", well.dir), "push", "warn", "1 regions have another fleet.yaml")
        assert finding["fix"] == f"wildcam config --dir {well.dir} push --back"
        path.write_text("nonsense: [")
        found(examine("--dir", well.dir), "push", "bad", "1 regions")
    finally:
        path.write_text(good)


def test_a_stranger_at_the_peers_door(well):
    before = levels(examine("--dir", well.dir), "peers")
    subprocess.run(["curl", "-s", "-k", "-o", "/dev/null", f"https://{well.address('us-west-2')}:8444/v1/status"], timeout=10)
    report = until(lambda: (r := examine("--dir", well.dir)) and [f for f in r["findings"] if "us-west-2 has refused" in f["text"]] and r,
                   "it is counted", 10)
    finding = found(report, "peers", "warn", "us-west-2 has refused", "certificate")
    assert finding["fix"].endswith("us-west-2/log/refused.log") and before <= {"ok", "warn"}
    mend(well, finding)


# --- a machine ---
def test_a_taken_port(tmp_path):
    with fleetfile.claimed_block() as block, socket.socket() as taken:
        path = fleetfile.write(tmp_path / "fleet.yaml", block)
        args = ("--dir", tmp_path / "run", "--fleet", path)
        assert levels(examine(*args), "ports") == {"ok"}
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((fleetfile.address(block, "eastus"), 8444))
        taken.listen(1)
        report = examine(*args)
        found(report, "ports", "bad", "eastus: ", ":8444 is taken by ", f"pid {os.getpid()}")
        assert not report["running"]


def test_missing_programs(tmp_path):
    shutil.copy(WILDCAM, tmp_path / "wildcam")
    report = examine("--dir", tmp_path / "run", program=tmp_path / "wildcam")
    assert {f["fix"] for f in report["findings"] if f["check"] == "programs"} == {"make"}
    found(report, "programs", "bad", "wildcam-agent is not there")


def test_a_module_of_another_nginx(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("wildcam", "wildcam-agent", "wildcam-backend", "wildcam-edge-conf", "wildcam-cameras", "wildcam-drill", "wildcam-rows", "srcbind.so"):
        os.symlink(BUILD / name, folder / name)
    (folder / "wildcam").unlink()
    shutil.copy(WILDCAM, folder / "wildcam")
    module = (BUILD / "ngx_http_wildcam_module.so").read_bytes()
    assert module.count(b"8,4,8,0011") >= 1
    (folder / "ngx_http_wildcam_module.so").write_bytes(module.replace(b"8,4,8,0011", b"8,4,8,1111"))
    report = examine("--dir", tmp_path / "run", program=folder / "wildcam")
    found(report, "nginx-module", "bad", "nginx refuses our module", "binary compatible")


def test_few_open_files(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
    finding = found(examine("--dir", tmp_path / "run", preexec_fn=limit), "limits", "warn", "1000 open files")
    assert finding["fix"].startswith("ulimit -Hn ")


@root_only
def test_without_the_right_to_make_namespaces(tmp_path):
    report = examine("--dir", tmp_path / "run", prefix=["setpriv", "--bounding-set=-sys_admin"])
    found(report, "namespaces", "bad", "no region can be made")


@root_only
def test_a_small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    shell = 'mount -t tmpfs -o size=16m,nr_inodes=50 tmpfs "$0" && exec "$@"'
    report = examine("--dir", folder / "run", prefix=["unshare", "-m", "sh", "-c", shell, folder])
    found(report, "disk", "bad", "MiB free at", "PostgreSQL")
    found(report, "disk", "bad", "more files can be made")


def test_certificates_that_nobody_renews(tmp_path):
    folder = tmp_path / "run"
    for place in [folder / "pki", *(folder / "pki" / region for region in REGIONS)]:
        place.mkdir(parents=True, exist_ok=True)
    fleetfile.write(folder / "fleet.yaml", 3, replace={"lifetime: 24h": "lifetime: 90d", "renew_before: 8h": "renew_before: 60d"})
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                    "-days", "2", "-keyout", folder / "pki/ca.key", "-out", folder / "pki/ca.pem"], check=True, capture_output=True)
    for region in REGIONS:
        for name in ("edge", "peer", "pg"):
            shutil.copy(folder / "pki/ca.pem", folder / f"pki/{region}/{name}.pem")
    (folder / "pki/eastus/pg.pem").write_text("nothing")
    report = examine("--dir", folder)
    found(report, "certificates", "warn", "us-west-2/edge.pem", "was not renewed")
    found(report, "certificates", "bad", "eastus/pg.pem")
    found(report, "certificates", "bad", "operator.pem")


def test_a_bad_file(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(fleetfile.text(3, {"origin: 6": "origin: 5"}))
    finding = found(examine("--dir", tmp_path / "run", "--fleet", path), "fleet.yaml", "bad", "origin")
    assert finding["fix"] == f"wildcam config check {path}"
    assert examine("--dir", tmp_path / "run", cwd=tmp_path)["bad"] >= 1
