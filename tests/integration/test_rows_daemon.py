# SPDX-License-Identifier: MIT
"""The rows daemons on a mesh of three bare servers: it makes itself, and what breaks is found, said and mended. Every test leaves the
mesh as it found it."""
import json
import os
import pathlib
import signal

import pytest

import rowsdkit
import rowskit
import rowspq
from rowskit import until

WRONG_CLOCK = rowskit.BUILD / "tests/integration/libwrongclock.so"


ITEMS = "CREATE TABLE public.items(id bigint PRIMARY KEY, name text, qty int)"


@pytest.fixture(scope="module")
def mesh():
    with rowsdkit.Mesh(3) as mesh:
        mesh.settled()
        mesh.federate(ITEMS, "items")
        mesh.settled()
        yield mesh


@pytest.fixture
def key(mesh):
    """Ids that no other test has."""
    mesh.keys = getattr(mesh, "keys", 0) + 1000
    return mesh.keys


def has(mesh, number, key):
    return mesh[number].value(f"SELECT count(*) FROM items WHERE id = {key}") == "1"


def arrives(mesh, key, nodes=(1, 2, 3), deadline=60):
    for number in nodes:
        until(lambda: has(mesh, number, key), f"row {key} is at n{number}", deadline)


def descendants(pid):
    """The postmaster and what it started; each has a session of its own."""
    found = [pid]
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def test_the_mesh_makes_itself(mesh, key):
    for number in mesh.nodes:
        mesh[number].run(f"INSERT INTO items VALUES ({key + number}, 'from {number}', 1)")
    for number in mesh.nodes:
        arrives(mesh, key + number)
        assert mesh.daemon(number).get("/v1/ready")[0] == 200
    until(lambda: mesh.rows(1)["rpo_ms"] is not None and mesh.rows(1)["rpo"]["minute"]["p50_ms"] is not None, "RPO is measured")
    assert mesh.link(1, 2)["backlog_bytes"] is not None and mesh.link(1, 2)["clock_skew_ms"] is not None


def test_metrics(mesh):
    names = ("wildcam_rows_lag_seconds", "wildcam_rpo_seconds", "wildcam_rows_slot_retained_bytes", "wildcam_rows_conflicts_total")

    def missing():
        status, text = mesh.daemon(1).get("/metrics")
        assert status == 200
        return [name for name in names if f'\n{name}{{region="n1",cloud="cloud1"' not in text]

    until(lambda: missing() == [], "every metric has a value")


def test_a_change_that_cannot_be_applied_is_parked_and_the_stream_goes_on(mesh, key):
    """A constraint that only n2 has: the stream stands, within seconds the row is a dead letter and what follows arrives."""
    mesh[2].run("ALTER TABLE items ADD CONSTRAINT small CHECK (qty < 1000)")
    try:
        mesh[1].run(f"INSERT INTO items VALUES ({key}, 'poison', 5000)")
        mesh[1].run(f"INSERT INTO items VALUES ({key + 1}, 'good', 1)")
        arrives(mesh, key + 1)
        assert not has(mesh, 2, key)
        until(lambda: "dead_letters" in mesh.alarms(2), "the dead letter is an alarm")
        rows = mesh.rows(2)
        assert rows["dead_letters"] == 1 and "23514" in rows["dead_letter"] and "n1" in rows["dead_letter"], rows["dead_letter"]
        assert mesh.daemon(2).lines("changes are applied one by one") and mesh.daemon(2).lines("parked as dead letter")
        mesh.wait_link(2, 1, "streaming")
    finally:
        mesh[2].run("ALTER TABLE items DROP CONSTRAINT small")
    arrives(mesh, key)  # the table's shape has changed: it is tried again at once
    until(lambda: mesh.rows(2)["dead_letters"] == 0 and "dead_letters" not in mesh.alarms(2), "the dead letter has gone")
    mesh.same("items")


def test_a_disabled_subscription_is_said_and_left_alone(mesh, key):
    name = mesh.name(2, 3)
    mesh[2].run(f"ALTER SUBSCRIPTION {name} DISABLE")
    mesh.wait_link(2, 3, "disabled")
    assert "ENABLE" in mesh.link(2, 3)["why"]
    until(lambda: "disabled" in mesh.alarms(2), "it is an alarm")
    assert mesh[2].value(f"SELECT subenabled FROM pg_subscription WHERE subname = '{name}'") == "f"
    mesh[2].run(f"ALTER SUBSCRIPTION {name} ENABLE")
    mesh.settled()


def test_a_lost_slot_is_made_anew_and_filled(mesh, key):
    name = mesh.name(2, 1)
    mesh.cut(2, 1)
    mesh[1].run(f"SELECT pg_drop_replication_slot('{name}')")
    mesh[1].run(f"INSERT INTO items VALUES ({key}, 'no slot had it', 1)")
    mesh.restore(2, 1)
    arrives(mesh, key)
    until(lambda: mesh.daemon(2).lines("slot lost, the link is made anew"), "it is said")
    mesh.settled()
    assert mesh[1].value(f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{name}'") == "1"
    mesh[1].run(f"INSERT INTO items VALUES ({key + 1}, 'by the new one', 1)")
    arrives(mesh, key + 1)
    mesh.same("items")


def test_survivors_fill_the_gap_of_a_lost_region(mesh, key):
    """n3 gets nothing from n1 when n1 dies; n2 has its last row."""
    mesh.cut(3, 1)
    mesh[1].run(f"INSERT INTO items VALUES ({key}, 'only at n2', 1)")
    arrives(mesh, key, (2,))
    assert not has(mesh, 3, key)
    mesh[1].stop()
    arrives(mesh, key, (3,))
    assert mesh.daemon(3).lines("gap filled between survivors")
    mesh.restore(3, 1)
    mesh.wait_link(2, 1, "away")
    assert "silent" in mesh.alarms(2)
    mesh[1].start()
    mesh.settled()
    mesh.same("items")


def test_kill_9_of_a_daemon_changes_nothing(mesh, key):
    mesh.daemon(1).kill()
    mesh[1].run(f"INSERT INTO items VALUES ({key}, 'nobody watches', 1)")
    arrives(mesh, key)
    mesh.daemon(1).start()
    mesh.settled()
    mesh.daemon(2).kill()  # in the middle of making a link anew
    mesh.cut(2, 1)
    mesh[1].run(f"SELECT pg_drop_replication_slot('{mesh.name(2, 1)}')")
    mesh.restore(2, 1)
    mesh.daemon(2).start()
    until(lambda: mesh.link(2, 1)["state"] in ("slot-lost", "absent", "filling"), "it is found")
    mesh.daemon(2).kill()
    mesh.daemon(2).start()
    mesh.settled()
    mesh.same("items")


def test_a_hung_peer_stops_nothing_else(mesh, key):
    pids = descendants(mesh[2].process.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: mesh.link(1, 2)["state"] in ("away", "silent"), "n1 sees it")
        first = mesh[1].value("SELECT announced FROM wildcam.mesh")
        until(lambda: int(mesh[1].value("SELECT announced FROM wildcam.mesh")) > int(first) + 3_000_000, "n1 beats on")
        assert mesh.rows(1)["beats_missed"] == 0
        mesh[1].run(f"INSERT INTO items VALUES ({key}, 'around it', 1)")
        arrives(mesh, key, (3,))
        assert mesh.link(3, 1)["state"] == "streaming"
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    mesh.settled()
    arrives(mesh, key)


def test_a_clock_that_is_off_refuses_writes(mesh, key):
    mesh[3].stop()
    os.environ["LD_PRELOAD"], os.environ["WRONG_CLOCK_S"] = str(WRONG_CLOCK), "4"
    try:
        mesh[3].launch()
    finally:
        del os.environ["LD_PRELOAD"], os.environ["WRONG_CLOCK_S"]
    mesh[3].start()
    until(lambda: "clock" in mesh.alarms(3), "n3 sees its clock")
    rows = mesh.rows(3)
    assert 3500 < rows["clock_skew_ms"] < 4500 and rows["writes_refused"].startswith("the clock is +") and rows["state"] == "refusing", rows
    with pytest.raises(rowspq.Failed) as refused:
        mesh[3].run(f"INSERT INTO items VALUES ({key}, 'refused', 1)")
    assert refused.value.state == "55W01"
    mesh[1].run(f"INSERT INTO items VALUES ({key}, 'read only', 1)")
    arrives(mesh, key)  # it still reads
    assert "clock" not in mesh.alarms(1)
    mesh[3].stop()
    mesh[3].start()
    until(lambda: mesh.rows(3)["writes_refused"] is None, "writes are allowed again")
    mesh[3].run(f"INSERT INTO items VALUES ({key + 1}, 'allowed', 1)")
    arrives(mesh, key + 1)
    mesh.settled()


def test_a_restored_database_refuses_writes(mesh, key):
    mesh[3].stop()
    copy = mesh.folder / "earlier"
    rowsdkit.subprocess.run(["cp", "-a", mesh[3].folder, copy], check=True)
    mesh[3].start()
    mesh[3].run(f"INSERT INTO items VALUES ({key}, 'forgotten', 1)")
    arrives(mesh, key)
    until(lambda: int(mesh[1].value("SELECT safe FROM wildcam.watermark WHERE node = 1 AND origin = 3")) >
          int(mesh[1].value(f"SELECT _v >> 8 FROM items WHERE id = {key}")), "n1 has seen a later point")
    mesh.daemon(3).end()
    mesh[3].stop()
    rowsdkit.shutil.rmtree(mesh[3].folder)
    rowsdkit.subprocess.run(["cp", "-a", copy, mesh[3].folder], check=True)
    mesh[3].start()
    mesh.daemon(3).start()
    until(lambda: "restored" in mesh.alarms(3), "n3 knows that it is older")
    assert "wildcam rows recover n3" in mesh.rows(3)["writes_refused"]
    with pytest.raises(rowspq.Failed):
        mesh[3].run(f"INSERT INTO items VALUES ({key + 1}, 'refused', 1)")
    mesh.daemon(3).kill()  # the refusal stays
    with pytest.raises(rowspq.Failed):
        mesh[3].run(f"INSERT INTO items VALUES ({key + 1}, 'refused', 1)")
    mesh.daemon(3).start()
    until(lambda: "restored" in mesh.alarms(3), "and is known after a restart")


def test_an_empty_database_recovers_by_itself(mesh, key):
    """The last one with n3: what it wrote itself comes back from the others."""
    mesh.lose_database(3)
    mesh[3].run(ITEMS)  # as the application's own migrations do
    mesh.settled(deadline=120)
    until(lambda: mesh[3].value("SELECT count(*) FROM items") == mesh[1].value("SELECT count(*) FROM items"), "all rows are back", 60)
    until(lambda: mesh.rows(3)["writes_refused"] is None, "it takes writes again")
    mesh[3].run(f"INSERT INTO items VALUES ({key}, 'new life', 1)")
    arrives(mesh, key)
    mesh.same("items", tombstones=False)


def test_sigterm_ends_in_order(mesh):
    assert mesh.daemon(2).end() == 0
    assert mesh.daemon(2).lines("ended")
    assert not (mesh.daemon(2).sock / "rows.sock").exists()
    mesh.daemon(2).start()
    mesh.settled()


def test_rows_now_is_replaced(mesh):
    path = mesh.dir / "n1/rows.now"
    first = json.loads(path.read_text())
    until(lambda: json.loads(path.read_text())["at_ms"] > first["at_ms"], "rows.now is written again")
    assert set(first) == {"at_ms", "rpo_ms", "alarms"}
