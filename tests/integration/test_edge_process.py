# SPDX-License-Identifier: MIT
"""nginx as a process: killed workers come back, a killed master leaves nobody on the port, a reload loses nothing."""
import json
import os
import pathlib
import signal

import pytest

import edgekit


@pytest.fixture
def edge(tmp_path):
    with edgekit.Fleet(tmp_path) as fleet:
        edge = fleet.edge("us-west-2")
        edge.publish()
        edge.start()
        yield edge


def family(edge):
    master = edge.process.pid
    return [int(pid) for pid in pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_killed_worker_comes_back(edge):
    worker = edgekit.until(edge.workers, "a worker")[0]
    os.kill(worker, signal.SIGKILL)
    new = edgekit.until(lambda: [pid for pid in edge.workers() if pid != worker], "a new worker")[0]
    edgekit.until(lambda: edge.counters()["pid"] == new, "it has the counter file of the old one")
    edgekit.until(lambda: edge.get("/api/detections").status == 200, "it serves")


@pytest.mark.parametrize("stopped", [False, True])
def test_killed_master_leaves_no_process_and_no_port(edge, stopped):
    """Also when the worker is stopped and cannot handle any signal itself."""
    children = family(edge)
    assert children
    if stopped:
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
    edge.process.kill()
    edge.process.wait()
    edgekit.until(lambda: all(gone(pid) for pid in children), "all children are gone", 1)
    edge.start()
    assert edge.get("/api/detections").status == 200


def test_reload_under_traffic(edge):
    """A reload closes idle connections (a client repeats those requests), but no request is answered wrongly."""
    with edgekit.Traffic(edge, clients=6) as traffic:
        for _ in range(5):
            traffic.wait_for(60)
            before = edge.workers()
            os.kill(edge.process.pid, signal.SIGHUP)
            edgekit.until(lambda: not set(before) & set(edge.workers()), "the old worker left")
    wrong = [result for result in traffic.failed() if result[0] not in ("RemoteDisconnected", "ConnectionResetError")]
    assert not wrong
    assert len(traffic.failed()) < len(traffic.results) * 0.1


def test_broken_configuration_on_reload_changes_nothing(edge):
    edge.conf.write_text(edge.conf.read_text().replace("wildcam replicas;", "wildcam nonsense;"))
    os.kill(edge.process.pid, signal.SIGHUP)
    edgekit.until(lambda: '"wildcam" directive must be' in edge.log_tail(), "it says why")
    assert edge.get("/api/detections").status == 200


def test_an_edge_that_leaves_keeps_no_connection(edge):
    """Before it is replaced; named by its master's pid, so that the one that comes is not meant."""
    leaving = edge.dir / "counters/leaving"

    def kept():
        return edge.get("/api/detections").headers.get("connection", "").lower() != "close"
    leaving.write_text(f"{edge.process.pid + 1}\n")
    before = edge.counters()["sequence"]
    edgekit.until(lambda: edge.counters()["sequence"] > before + 5, "it has looked")
    assert kept()
    leaving.write_text(f"{edge.process.pid}\n")
    edgekit.until(lambda: not kept(), "its answers say so", 5)
    assert edge.get("/api/detections").status == 200
    leaving.unlink()


def test_quiet_end(edge):
    with edgekit.Traffic(edge, clients=2) as traffic:
        traffic.wait_for(20)
    edge.process.send_signal(signal.SIGQUIT)
    assert edge.process.wait(10) == 0


@pytest.mark.parametrize("broken, message", [
    (("wildcam_region us-west-2;", ""), '"wildcam_plan" needs "wildcam_region"'),
    (("wildcam_service api read write @", "wildcam_service api read never @"), "neither"),
    (("wildcam_service api read write @remote", "wildcam_service api read write remote"), "named location"),
    (("wildcam replicas; keepalive 256;", "keepalive 256; wildcam replicas;"), 'before "keepalive"'),
    (("wildcam_answer failed", "wildcam_answer nonsense"), "must be"),
])
def test_configuration_errors(tmp_path, broken, message):
    with edgekit.Fleet(tmp_path) as fleet:
        edge = fleet.edge("us-west-2", replicas=0)
        text = edge.conf.read_text()
        assert broken[0] in text
        edge.conf.write_text(text.replace(*broken))
        done = edgekit.subprocess.run(["/usr/sbin/nginx", "-t", "-p", edge.dir / "edge", "-e", "stderr", "-c", edge.conf],
                                      capture_output=True, text=True, timeout=20)
        assert done.returncode == 1
        assert message in done.stderr


def test_access_log_is_json(tmp_path):
    with edgekit.Fleet(tmp_path) as fleet:
        edge = fleet.edge("us-west-2")
        edgekit.run(edgekit.BUILD / "wildcam-edge-conf", "--fleet", fleet.file, "--dir", fleet.dir, "--region", "us-west-2",
                    "--access-log")
        edge.publish().start()
        edge.get('/api/detections?a="b\\c%22', headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
        log = edge.dir / "log/access.log"
        edgekit.until(lambda: log.exists() and log.read_text(), "a line is flushed")
        line = json.loads(log.read_text().splitlines()[-1])
    assert line["uri"] == '/api/detections?a="b\\c%22'
    assert (line["status"], line["region"], line["trace"]) == (200, "us-west-2", "a" * 32)
    assert line["replica"].startswith("us-west-2/")


def test_generator_writes_only_what_changed(tmp_path):
    with edgekit.Fleet(tmp_path) as fleet:
        edge = fleet.edge("us-west-2", replicas=0)
        command = [edgekit.BUILD / "wildcam-edge-conf", "--fleet", fleet.file, "--dir", fleet.dir, "--region", "us-west-2"]
        before = edge.conf.stat().st_ino
        edgekit.run(*command)
        assert edge.conf.stat().st_ino == before
        edgekit.run(*command, "--access-log")
        assert edge.conf.stat().st_ino != before


def test_generator_refuses(tmp_path):
    program = edgekit.BUILD / "wildcam-edge-conf"
    fleet = edgekit.fleetfile.write(tmp_path / "fleet.yaml", 1)
    odd = tmp_path / "a;b"
    for folder in (tmp_path / "run", odd):
        (folder / "us-west-2").mkdir(parents=True)
        (folder / "us-west-2/sock").symlink_to(tmp_path)
    for options, code, text in (
            (["--dir", tmp_path / "run"], 2, "'--region' is missing"),
            (["--dir", tmp_path / "run", "--region", "nowhere"], 1, "region 'nowhere'"),
            (["--dir", tmp_path / "run", "--region", "eastus"], 1, "no such link"),
            (["--dir", odd, "--region", "us-west-2"], 1, "nginx cannot be given this path"),
            (["--dir", tmp_path / "run", "--region", "us-west-2", "--module", "/nowhere.so", "--print", "more"], 2, "'more'")):
        done = edgekit.subprocess.run([program, "--fleet", fleet, *options], capture_output=True, text=True, timeout=20)
        assert (done.returncode, text in done.stderr) == (code, True), done.stderr
