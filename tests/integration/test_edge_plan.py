# SPDX-License-Identifier: MIT
"""The plan file: what is broken, old or foreign is refused while the last good plan goes on serving."""
import os
import signal
import time

import pytest

import edgekit


@pytest.fixture
def edge(tmp_path):
    with edgekit.Fleet(tmp_path) as fleet:
        edge = fleet.edge("us-west-2", replicas=1)
        yield edge


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1:]


BROKEN = {
    "corrupted": lambda good: flip(good, len(good) // 2),
    "corrupted header": lambda good: flip(good, 3),
    "truncated": lambda good: good[:-7],
    "longer": lambda good: good + b"x",
    "empty": lambda good: b"",
    "zeros": lambda good: bytes(len(good)),
    "garbage": lambda good: os.urandom(4096),
}


def test_broken_plans_are_refused_and_serving_goes_on(edge):
    edge.publish().start()
    for refused, (name, damage) in enumerate(BROKEN.items(), 1):
        write_broken(edge, damage)
        edgekit.until(lambda: edge.counters()["plan_refused"] == refused, f"{name} is refused: {edge.log_tail()}")
        assert edge.counters()["plan_number"] == 1, name
        assert edge.get("/api/detections").status == 200
    edge.publish()
    assert edge.get("/api/detections").headers["wildcam-plan"] == str(edge.number)


def write_broken(edge, damage):
    """A plan with a new number, broken on disk, then named by plan.now."""
    number = edge.write_plan("file")
    path = edge.plan_file(number)
    path.write_bytes(damage(path.read_bytes()))
    edgekit.run(edgekit.PLAN_TOOL, "now", edge.dir / "plan", number, 0)
    return number


def test_older_foreign_and_misnamed_plans_are_refused(edge):
    edge.number = 10
    edge.publish().start()
    number = edge.counters()["plan_number"]

    edge.write_plan(number=5)
    edgekit.until(lambda: edge.counters()["plan_refused"] == 1, "the older one is refused")
    assert "older" in edge.log_tail()

    edge.write_plan(region="elsewhere", gateways=[{"region": "elsewhere"}], forward=[])
    edgekit.until(lambda: edge.counters()["plan_refused"] == 2, "the foreign one is refused")
    assert "made for region 'elsewhere'" in edge.log_tail()

    wrong = edge.number + 50
    edge.plan_file(wrong).write_bytes(edge.plan_file(number).read_bytes())
    edgekit.run(edgekit.PLAN_TOOL, "now", edge.dir / "plan", wrong, 0)
    edgekit.until(lambda: edge.counters()["plan_refused"] == 3, "the misnamed one is refused")
    assert "it says that it is plan" in edge.log_tail()

    edgekit.run(edgekit.PLAN_TOOL, "now", edge.dir / "plan", edge.number + 99, 0)
    edgekit.until(lambda: edge.counters()["plan_refused"] == 4, "a plan that is not there")

    assert edge.counters()["plan_number"] == number
    assert edge.get("/api/detections").status == 200


def test_damaged_plan_now_is_ignored(edge):
    edge.publish().start()
    now = edge.dir / "plan/plan.now"
    for damage in BROKEN.values():
        now.write_bytes(damage(now.read_bytes() or bytes(64)))
        assert edge.get("/api/detections").status == 200
    now.unlink()
    time.sleep(0.6)  # it is opened again every half second
    assert edge.get("/api/detections").status == 200
    edge.publish()


def test_starts_from_the_newest_sound_plan_when_plan_now_is_damaged(edge):
    edge.publish()
    write_broken(edge, BROKEN["truncated"])
    (edge.dir / "plan/plan.now").write_bytes(b"nothing")
    edge.start()
    assert edgekit.until(lambda: edge.counters()["plan_number"], "a plan is in use") == 1
    assert edge.get("/api/detections").status == 200


def test_without_any_plan(edge):
    edge.start()
    answer = edge.get("/api/detections")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert edge.get("/.well-known/wildcam/health").status == 200
    edge.publish()
    assert edge.get("/api/detections").status == 200


def test_age_is_reported(edge):
    edge.publish().start()
    for _ in range(5):
        edgekit.run(edgekit.PLAN_TOOL, "now", edge.dir / "plan", edge.number, 0)
        time.sleep(0.1)
    assert edge.counters()["plan_age_ms"] < 1000
    # the agent is gone: the age grows with our own clock, the plan stays
    edgekit.until(lambda: edge.counters()["plan_age_ms"] >= 1500, "the age grows")
    operator = edge.fleet.pki.issue("people/op", "/O=wildcam/OU=viewer/CN=op", "DNS:op", "clientAuth")
    metrics = edge.get("/metrics/edge", port=8444, certificate=operator).body.decode()
    age = float(metrics.split('wildcam_edge_plan_age_seconds{region="us-west-2"} ')[1].split("\n")[0])
    assert 1.4 < age < 15
    assert f'wildcam_edge_plan_number{{region="us-west-2"}} {edge.number}\n' in metrics
    assert edge.get("/api/detections").status == 200
    # a heartbeat from another clock is a heartbeat
    edgekit.run(edgekit.PLAN_TOOL, "now", edge.dir / "plan", edge.number, 600000)
    edgekit.until(lambda: edge.counters()["plan_age_ms"] < 1000, "the heartbeat is back")


def test_stale_plan_at_start_is_used_and_called_stale(edge):
    edge.publish()
    edgekit.run(edgekit.PLAN_TOOL, "now", edge.dir / "plan", edge.number, 3600000)
    edge.start()
    assert edge.get("/api/detections").status == 200
    assert edge.counters()["plan_age_ms"] >= 3600000
    assert "no heartbeat of the agent" in edge.log_tail()


def test_plans_change_under_traffic(edge):
    edge.publish().start()
    with edgekit.Traffic(edge, clients=4, pause=0) as traffic:
        for _ in range(40):
            edge.publish()
        traffic.wait_for(100)
    assert not traffic.failed()
    assert edge.counters()["plan_reloads"] >= 41


def test_counters_without_a_folder(tmp_path):
    with edgekit.Fleet(tmp_path) as fleet:
        edge = fleet.edge("us-west-2", replicas=1)
        edge.write_plan()
        (edge.dir / "counters").rmdir()
        (edge.dir / "counters").write_text("a file")
        edge.start()
        edgekit.until(lambda: edge.get("/api/detections").status == 200, "it serves")
        assert "counters are kept in private memory" in edge.log_tail()


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk is a small tmpfs, which needs root")
def test_counters_on_a_full_disk(tmp_path):
    with edgekit.Fleet(tmp_path) as fleet:
        edge = fleet.edge("us-west-2", replicas=1)
        edge.write_plan()
        edge.command = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=16k none {edge.dir}/counters && exec \"$@\"", "sh"]
        edge.start()
        edgekit.until(lambda: edge.get("/api/detections").status == 200, "it serves")
        assert "no room for" in edge.log_tail()


def test_each_worker_has_its_own_counters(tmp_path):
    with edgekit.Fleet(tmp_path, {"workers: 1": "workers: 2"}) as fleet:
        edge = fleet.edge("us-west-2", replicas=1)
        edge.publish().start()
        edgekit.until(lambda: (edge.dir / "counters/edge-1").exists(), "two files")
        assert {edge.counters(slot)["pid"] for slot in (0, 1)} == set(edge.workers())
        before = set(edge.workers())
        os.kill(edge.process.pid, signal.SIGHUP)
        edgekit.until(lambda: not before & set(edge.workers()) and len(edge.workers()) == 2, "new workers alone")
        for _ in range(4):
            assert edge.get("/api/detections").status == 200
        files = [path.name for path in (edge.dir / "counters").iterdir()]
        pids = [edge.counters(int(name.split("-")[1]))["pid"] for name in files]
        assert set(edge.workers()) <= set(pids)
