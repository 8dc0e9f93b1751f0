# SPDX-License-Identifier: MIT
"""Durability two-clouds: a detection is acknowledged when a database of another cloud has it on disk. The other cloud is a
real PostgreSQL that subscribes under the name that the mesh would use."""
import concurrent.futures
import contextlib
import os
import signal
import time
import uuid

import pytest

import pgkit

SUBSCRIPTION = "westus2_from_us_west_2"
LOGICAL = "wal_level=logical\nmax_wal_senders=5\nmax_replication_slots=5\nwal_sender_timeout=2s\nwal_receiver_status_interval=1s\n"


def fleet_text(no_other_cloud):
    text = pgkit.FLEET.read_text()
    for old, new in (("durability: local ", "durability: two-clouds "), ("no_other_cloud: wait", f"no_other_cloud: {no_other_cloud}")):
        assert old in text
        text = text.replace(old, new)
    return text


class OtherCloud:
    """A database that subscribes to everything of the region."""

    def __init__(self, region):
        self.region = region
        folder = region.folder / "other"
        for path in (folder, folder / "pg", folder / "s"):
            path.mkdir(mode=0o700)
            if os.geteuid() == 0:
                pgkit.shutil.chown(path, "nobody", "nogroup")
        user = "nobody" if os.geteuid() == 0 else pgkit.subprocess.check_output(["id", "-un"], text=True).strip()
        self.database = pgkit.Database(folder / "pg", folder / "s", user)
        with open(folder / "pg" / "postgresql.conf", "a") as conf:
            conf.write(LOGICAL)
        for path in folder.glob("pg/pg_*.conf"):
            if os.geteuid() == 0:
                pgkit.shutil.chown(path, "nobody", "nogroup")
        self.database.start()
        self.database.sql("CREATE DATABASE wildcam", database="postgres")

    def subscribe(self):
        schema = pgkit.subprocess.run(pgkit.unprivileged("pg_dump", "-s", "-h", self.region.sockets, "-U", "wildcam", "-n", "public", "wildcam"),
                                      capture_output=True, text=True, check=True).stdout
        self.database.sql("DROP SCHEMA public CASCADE")
        self.database.sql("\n".join(line for line in schema.splitlines() if not line.startswith("\\")))  # psql's own lines
        self.region.database.sql("CREATE PUBLICATION p FOR TABLE public.detections WITH (publish = 'insert')")
        self.database.sql(f"CREATE SUBSCRIPTION {SUBSCRIPTION} CONNECTION 'host={self.region.sockets} user=wildcam dbname=wildcam' "
                          "PUBLICATION p WITH (copy_data = false, synchronous_commit = local)")
        pgkit.until(lambda: self.region.database.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1",
                    "the subscription streams")

    def cut(self):
        """Nothing is confirmed any more, and nothing says so: the link is silent."""
        for pid in self.database.processes():
            os.kill(pid, signal.SIGSTOP)

    def heal(self):
        for pid in self.database.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def pair(no_other_cloud):
    with pgkit.Region(fleet_text(no_other_cloud)) as region:
        with open(region.folder / "pg" / "postgresql.conf", "a") as conf:
            conf.write(LOGICAL)
        region.database.start()
        region.create_database()
        backend = region.backend(1).ready()
        other = OtherCloud(region)
        try:
            other.subscribe()
            yield backend, other
        finally:
            other.heal()
            other.database.kill()


@pytest.fixture(scope="module")
def waiting_pair():
    with pair("wait") as both:
        yield both


@pytest.fixture(scope="module")
def degrading_pair():
    with pair("degrade") as both:
        yield both


def post(backend, key):
    body = {"device": "cam-1", "taken_at": "2026-11-23T14:00:00Z", "species": "Lynx lynx", "confidence": 0.9}
    return backend.request("POST", "/api/detections", body, {"Idempotency-Key": key})


def count(database, ids):
    return int(database.sql("SELECT count(*) FROM detections WHERE id IN ('" + "','".join(ids) + "')"))


def test_what_is_acknowledged_is_in_the_other_cloud(waiting_pair):
    backend, other = waiting_pair
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(backend, str(uuid.uuid4())), range(200)))
    assert {answer.status for answer in answers} == {201}
    assert {answer.headers["Wildcam-Durability"] for answer in answers} == {"two-clouds"}
    assert count(other.database, [answer.json["id"] for answer in answers]) == 200


def test_wait_ends_with_503_and_the_row_stays(waiting_pair):
    backend, other = waiting_pair
    key = str(uuid.uuid4())
    assert post(backend, str(uuid.uuid4())).status == 201
    other.cut()
    started = time.monotonic()
    refused = post(backend, key)
    seconds = time.monotonic() - started
    again = post(backend, key)
    health = backend.health()
    other.heal()
    assert refused.status == 503 and refused.headers["Retry-After"]
    assert refused.json["error"]["code"] == "not_confirmed"
    assert 0.7 < seconds < 3, "it waited for its limit, and no longer"
    assert again.status == 503, "that the row is there already is no acknowledgement"
    assert {d["name"]: d["ok"] for d in health.json["dependencies"]} == {"postgresql": True, "other clouds": False}
    assert health.json["classes"] == {"read": True, "write": True}
    pgkit.until(lambda: post(backend, key).status == 200, "acknowledged as the same row once the other cloud has it")
    assert post(backend, key).headers["Wildcam-Durability"] == "two-clouds"
    pgkit.until(lambda: backend.health().json["dependencies"][1]["ok"], "health says that the other cloud confirms again")


def test_killed_after_the_acknowledgement(waiting_pair):
    """kill -9 of this cloud's database: whatever was acknowledged is in the other one."""
    backend, other = waiting_pair
    acknowledged, stop = [], []

    def client():
        while not stop:
            with contextlib.suppress(OSError, pgkit.http.client.HTTPException):
                answer = post(backend, str(uuid.uuid4()))
                if answer.status == 201:
                    acknowledged.append(answer.json["id"])

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(client) for _ in range(6)]
        pgkit.until(lambda: len(acknowledged) > 300, "300 are acknowledged")
        backend.region.database.kill()
        pgkit.until(lambda: not backend.health().json["classes"]["write"], "the backend sees that its database is gone")
        stop.append(True)
        for done in clients:
            done.result()
    # the survivor is asked at once: there is nobody left who could still send it anything
    assert count(other.database, acknowledged) == len(acknowledged)
    backend.region.database.start()
    backend.ready()


def test_degrade_acknowledges_and_says_so(degrading_pair):
    backend, other = degrading_pair
    assert post(backend, str(uuid.uuid4())).headers["Wildcam-Durability"] == "two-clouds"
    other.cut()
    first = post(backend, str(uuid.uuid4()))
    started = time.monotonic()
    second = post(backend, str(uuid.uuid4()))
    seconds = time.monotonic() - started
    metrics = backend.request("GET", "/metrics").body.decode()
    other.heal()
    assert (first.status, first.headers["Wildcam-Durability"]) == (201, "local")
    assert (second.status, second.headers["Wildcam-Durability"]) == (201, "local")
    assert seconds < 0.5, "once it is known that nobody confirms, nobody waits for it"
    unconfirmed = [line for line in metrics.splitlines() if line.startswith("wildcam_backend_unconfirmed_total{")]
    assert unconfirmed[0].split()[-1] == "2"
    pgkit.until(lambda: post(backend, str(uuid.uuid4())).headers["Wildcam-Durability"] == "two-clouds", "it waits again")


def test_one_cloud_alone_is_refused(tmp_path):
    """A fleet file with a single cloud cannot ask for two."""
    text = fleet_text("wait")
    head, rest = text.split("regions:\n", 1)
    first = rest.split("  - name: us-east-1", 1)[0]
    tail = rest[rest.index("\n# What is served"):]
    head = head.replace("  - name: azure\n  - name: gcp\n", "")
    with pgkit.Region(head + "regions:\n" + first + tail) as region:
        done = pgkit.subprocess.run(region.command("--replica", "1"), capture_output=True, text=True, timeout=20)
    assert done.returncode in (1, 2)
    assert "cloud" in done.stderr
