# SPDX-License-Identifier: MIT
"""Fixtures of all integration tests. `fleet` is one whole fleet of six regions for the session, at the shipped addresses
127.c.r.1; a test that breaks something heals it again (fleet.wait_healthy) before it ends. `own_fleets` makes fleets that
a test may kill, at addresses of their own."""
import itertools
import os
import pathlib
import shutil
import tempfile

import pytest

import fleetfile
import fleetkit
import rowskit

# `make check` runs the suite twice, with plain programs and with sanitized ones, and sets WILDCAM_SHARE. What takes long is in
# one of the two then: what depends on time with plain programs, what hands our programs hostile or odd input with sanitized ones.
PLAIN = ["test_agent.py", "test_drills.py", "test_drill.py::test_provider_down", "test_fleet.py", "test_cli.py", "test_cli_push.py", "test_edge_memory.py",
         "test_edge_serving.py", "test_upgrade.py", "test_fault_relay.py", "test_cli_doctor.py", "test_rows_init.py", "test_rows_sql"]
SANITIZED = ["test_backend.py", "test_fault.py", "test_relay.py", "test_sim.py", "test_replay.py", "test_cli_top.py",
             "test_edge_hostile.py", "test_rows_fill.py", "test_rows_check.py"]
# Minutes each: `make soak` runs them (WILDCAM_SHARE=long), `make check` does not.
LONG = ["test_rows_daemon.py", "test_rows_federate.py", "test_rows_join.py", "test_rows_migrate.py", "test_rows_recover.py"]


def left_out(item, share):
    def among(names):
        return any(item.nodeid.split("/")[-1].startswith(name) for name in names)
    if share == "long":
        return not among(LONG)
    return among(LONG) or among({"plain": SANITIZED, "sanitized": PLAIN}[share])


def pytest_collection_modifyitems(config, items):
    share = os.environ.get("WILDCAM_SHARE")
    others = [i for i in items if left_out(i, share)] if share else []
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [i for i in items if i not in others]


@pytest.fixture(scope="session")
def state_root():
    """A folder that the run user can reach, whoever we are; pytest's own are 0700. In memory when there is room: six
    databases are 6,000 files, and removing those from a busy disk takes longer than most tests."""
    memory = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    roomy = memory is not None and memory.f_bavail * memory.f_frsize > 4 << 30
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wildcam-test-", dir="/dev/shm" if roomy else "/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def fleet(state_root):
    folder = state_root / "fleet"
    folder.mkdir()
    fleet = fleetkit.Fleet(folder, block=int(os.environ.get("WILDCAM_TEST_BLOCK", "0")))
    try:
        fleet.up()
        namespaces = fleet.namespaces()
        yield fleet
        namespaces |= fleet.namespaces()
    finally:
        down = fleet.wildcam("down", check=False, timeout=60)
    assert down.returncode == 0, down.stderr
    try:
        fleetkit.until(lambda: not fleetkit.processes_in(namespaces), "every process has gone", 5)
    except AssertionError as error:
        raise AssertionError(f"{error}; left: {fleetkit.processes_in(namespaces)}; down said: {down.stderr}") from None
    assert fleet.ports_taken() == []


@pytest.fixture
def own_fleets(state_root):
    """own_fleets(name, **options) -> Fleet that is not started yet; ended after the test, whatever it did."""
    made = []
    with fleetfile.claimed_block() as block:
        def make(name, root=None, **options):
            folder = (root or state_root) / name
            folder.mkdir(mode=0o755)
            if "chown" in options:
                os.chown(folder, *options.pop("chown"))
            made.append(fleetkit.Fleet(folder, block=block, **options))
            return made[-1]

        yield make
        for fleet in made:
            if fleet.dir.exists():
                fleet.wildcam("down", "--now", check=False, timeout=30)
            shutil.rmtree(fleet.dir.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def rows_mesh():
    """Three bare databases in one mesh, for all tests of the federation's SQL: rowskit.TABLES are federated."""
    with rowskit.Mesh(3) as mesh:
        rowskit.standard_tables(mesh)
        yield mesh


@pytest.fixture(scope="session")
def rows_key():
    """rows_key(): a number below which and 1,000 above which no other test has keys."""
    return itertools.count(1000, 1000).__next__
