# SPDX-License-Identifier: MIT
"""wildcam-backend on a real PostgreSQL 15: the API, keys and conflicts, faults of the database, drain, migrations."""
import concurrent.futures
import hashlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time
import uuid

import pytest

import pgkit

DIGEST = hashlib.sha256(b"image").hexdigest()


def detection(**changes):
    body = {"device": "cam-1", "taken_at": "2026-11-23T14:00:00.123456Z", "species": "Lynx lynx", "confidence": 0.9,
            "image_digest": DIGEST}
    body.update(changes)
    return {name: value for name, value in body.items() if value is not None}


@pytest.fixture(scope="module")
def region():
    with pgkit.Region() as region:
        region.database.start()
        region.create_database()
        yield region


@pytest.fixture(scope="module")
def backend(region):
    return region.backend(1).ready()


def post(backend, body, key=None, **more):
    return backend.request("POST", "/api/detections", body, {"Idempotency-Key": key} if key else {}, **more)


def new_key():
    return str(uuid.uuid4())


def derived(text):
    digest = bytearray(hashlib.sha256(text).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


def test_health_and_version(backend):
    health = backend.health()
    assert health.status == 200
    assert health.json == {"status": "ok", "classes": {"read": True, "write": True},
                           "dependencies": [{"name": "postgresql", "classes": ["read", "write"], "ok": True, "detail": ""},
                                            {"name": "other clouds", "classes": [], "ok": True, "detail": ""}]}
    assert health.headers["Wildcam-Replica"] == "us-west-2/1"
    assert health.headers["Wildcam-Region"] == "us-west-2"
    version = backend.request("GET", "/api/version")
    assert version.headers["Cache-Control"] == "public, max-age=300"
    assert version.json["name"] == "wildcam-backend"


def test_created_then_same_then_conflict(backend, region):
    key = new_key()
    first = post(backend, detection(latitude=47.5, longitude=-121.25), key)
    assert first.status == 201
    row = first.json
    assert row == detection(id=row["id"], latitude=47.5, longitude=-121.25, origin=1)
    assert row["id"] == derived(b"wildcam/detection/key\0" + row["device"].encode() + b"\0" + key.encode())
    assert first.headers["Location"] == f"/api/detections/{row['id']}"
    assert first.headers["Cache-Control"] == "no-store"
    again = post(backend, detection(latitude=47.5, longitude=-121.25), key)
    assert (again.status, again.json) == (200, row)
    other = post(backend, detection(latitude=47.5, longitude=-121.25, species="Puma concolor"), key)
    assert other.status == 409
    assert other.json["error"]["code"] == "other_content"
    assert region.database.sql(f"SELECT species, _origin FROM detections WHERE id = '{row['id']}'") == "Lynx lynx|1"
    got = backend.request("GET", f"/api/detections/{row['id']}")
    assert (got.status, got.json) == (200, row)
    assert backend.request("GET", f"/api/detections/{row['id'].upper()}").status == 200


def test_without_key_the_content_is_the_key(backend):
    body = detection(device="cam-content", taken_at="2026-01-02T03:04:05.5Z")
    first = post(backend, body)
    assert first.status == 201
    assert first.json["taken_at"] == "2026-01-02T03:04:05.500000Z"
    assert first.json["id"] == derived(b"wildcam/detection/content\0cam-content\x001767323045500000\0" + DIGEST.encode())
    assert post(backend, body).status == 200
    assert post(backend, {**body, "confidence": 0.1}).status == 409


@pytest.mark.parametrize("confidence", [0, 1, 0.1, 1e-7, 0.30000000000000004, 5e-324])
def test_numbers_come_back_exactly(backend, confidence):
    key = new_key()
    assert post(backend, detection(confidence=confidence), key).json["confidence"] == confidence
    assert post(backend, detection(confidence=confidence), key).status == 200


def test_text_comes_back_exactly(backend):
    for species in ("Müller's \"gibbon\" \\ 猫 😀", "'; DROP TABLE detections; --", "a" * 128):
        assert post(backend, detection(species=species), new_key()).json["species"] == species


BAD = [
    ("", "$", "expected near end of file"),
    ("[]", "$", "is no object"),
    ("{}x", "$", "end of file expected"),
    ('{"device": "a", "device": "b"}', "$", "duplicate object key"),
    (b'{"device": "\xff"}', "$", "unable to decode byte 0xff"),
    ("[" * 5000, "$", "depth"),
    (detection(extra=1), "$", "unknown key 'extra'"),
    (detection(device=None), "$.device", "is missing"),
    (detection(device=7), "$.device", "is no string"),
    (detection(device=""), "$.device", "is empty"),
    (detection(device="../etc"), "$.device", "begins with a dot"),
    (detection(device="a/b"), "$.device", "not allowed"),
    (detection(device="a" * 65), "$.device", "too long"),
    (detection(taken_at="2026-02-30T00:00:00Z"), "$.taken_at", "is no such time"),
    (detection(taken_at="2026-02-03 00:00:00"), "$.taken_at", "is no such time"),
    (detection(taken_at="1969-12-31T23:59:59Z"), "$.taken_at", "is no such time"),
    (detection(species="a\nb"), "$.species", "control character"),
    (detection(species="a" * 129), "$.species", "too long"),
    (detection(confidence=1.01), "$.confidence", "out of range"),
    (detection(confidence=-1e-9), "$.confidence", "out of range"),
    (detection(confidence="0.5"), "$.confidence", "is no number"),
    ('{"device": "a", "confidence": NaN}', "$", "near 'NaN'"),
    ('{"device": "a", "confidence": 1e999}', "$", "overflow"),
    (detection(latitude=1), "$.longitude", "is missing"),
    (detection(latitude=91, longitude=0), "$.latitude", "out of range"),
    (detection(image_digest="abc"), "$.image_digest", "SHA-256"),
    (detection(image_digest=DIGEST.upper()), "$.image_digest", "SHA-256"),
    (detection(image_digest=None), "$.image_digest", "Idempotency-Key"),
]


@pytest.mark.parametrize("body,path,what", BAD, ids=range(len(BAD)))
def test_bad_requests_say_what_is_wrong(backend, body, path, what):
    answer = post(backend, body)
    assert answer.status == 400
    error = answer.json["error"]
    assert error["code"] == "bad_request"
    assert error["path"] == path
    assert what in error["what"]
    assert error["allowed"]
    assert error["message"] == f"{error['path']} {error['what']}; allowed: {error['allowed']}"


@pytest.mark.parametrize("key", ["a" * 129, "a b", "ä"])
def test_bad_keys(backend, key):
    answer = backend.request("POST", "/api/detections", detection(), {"Idempotency-Key": key.encode("latin-1")})
    assert answer.status == 400
    assert answer.json["error"]["path"] == "Idempotency-Key"


def test_an_empty_key_is_refused(backend):
    assert backend.request("POST", "/api/detections", detection(), {"Idempotency-Key": ""}).status == 400


def test_too_large_and_wrong_method(backend):
    assert post(backend, detection(species="a" * 70000)).status == 413
    answer = backend.request("DELETE", "/api/detections")
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST, GET"
    assert backend.request("GET", "/api/nothing").json["error"]["code"] == "unknown_path"


def test_list_pages_and_filters(backend):
    ids = []
    for i in range(7):
        ids.append(post(backend, detection(device="cam-list", taken_at=f"2026-03-01T00:00:{i // 2:02}Z",
                                           image_digest=f"{i:064x}")).json["id"])
    seen, before = [], ""
    for _ in range(10):
        page = backend.request("GET", f"/api/detections?device=cam-list&limit=3{before}").json
        seen += [(row["taken_at"], row["id"]) for row in page["detections"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert seen == sorted(seen, reverse=True)
    assert sorted(row for _, row in seen) == sorted(ids)
    everything = backend.request("GET", "/api/detections?limit=100").json["detections"]
    assert set(ids) <= {row["id"] for row in everything}
    assert len(backend.request("GET", f"/api/detections?limit=2&before={everything[0]['id']}").json["detections"]) == 2
    last = min(seen)[1]
    assert backend.request("GET", f"/api/detections?device=cam-list&before={last}").json == {"detections": [], "next": None}
    assert backend.request("GET", "/api/detections?device=nobody").json["detections"] == []


@pytest.mark.parametrize("query,status", [
    ("limit=0", 400), ("limit=101", 400), ("limit=-1", 400), ("limit=1x", 400), ("limit=", 400), ("before=1", 400),
    (f"before={uuid.UUID(int=0)}", 404), ("device=%27%20OR%201%3D1", 400), ("device=a%00b", 400), ("device=%ff", 400), ("device=", 400)])
def test_list_queries(backend, query, status):
    assert backend.request("GET", f"/api/detections?{query}").status == status


@pytest.mark.parametrize("path", ["1", "", "00000000-0000-0000-0000-00000000000g", "../health", "%00"])
def test_ids_that_are_none(backend, path):
    assert backend.request("GET", f"/api/detections/{path}").status == 404


def test_traceparent_is_echoed_when_it_is_one(backend):
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert backend.request("GET", "/api/health", headers={"traceparent": good}).headers["traceparent"] == good
    assert backend.request("GET", "/api/health", headers={"traceparent": good.upper()}).headers["traceparent"] is None


def test_one_key_from_many_clients_is_one_row(backend, region):
    second = region.backend(2).ready()
    for round_ in range(5):
        key, gate = new_key(), threading.Barrier(16)

        def send(i):
            gate.wait()
            return post((backend, second)[i % 2], detection(device=f"cam-race-{round_}"), key)

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(send, range(16)))
        assert sorted(answer.status for answer in answers) == [200] * 15 + [201]
        assert len({answer.json["id"] for answer in answers}) == 1
        assert region.database.sql(f"SELECT count(*) FROM detections WHERE device = 'cam-race-{round_}'") == "1"
    assert second.end() == 0


def test_same_key_other_content_at_once(backend):
    key, gate = new_key(), threading.Barrier(8)

    def send(i):
        gate.wait()
        return post(backend, detection(confidence=i / 8), key).status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(send, range(8))) == [201] + [409] * 7


def test_pipelined_requests_of_one_connection(backend):
    connection = backend.connect()
    for i in range(50):
        assert post(backend, detection(), new_key(), connection=connection).status == 201
    connection.close()


def test_acknowledged_means_synchronous_commit(backend, region):
    region.database.sql("ALTER DATABASE wildcam SET synchronous_commit = off")
    fresh = region.backend(3).ready()
    try:
        region.database.sql("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.species := "
                            "current_setting('synchronous_commit'); RETURN NEW; END $$; CREATE TRIGGER note BEFORE INSERT "
                            "ON detections FOR EACH ROW EXECUTE FUNCTION note()")
        assert post(fresh, detection(), new_key()).json["species"] == "on"
    finally:
        region.database.sql("DROP TRIGGER note ON detections; DROP FUNCTION note; "
                            "ALTER DATABASE wildcam RESET synchronous_commit")
        assert fresh.end() == 0


def test_metrics(backend):
    text = backend.request("GET", "/metrics")
    assert text.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    body = text.body.decode()
    assert 'http_requests_total{status="201",method="POST",route="/api/detections",region="us-west-2",cloud="aws"}' in body
    assert 'http_request_duration_seconds_bucket{method="GET",route="/api/detections/*"' in body
    assert 'wildcam_backend_class_available{region="us-west-2",cloud="aws",class="write"} 1' in body
    check = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr


def test_read_only_database_loses_class_write(backend, region):
    region.database.sql("ALTER DATABASE wildcam SET default_transaction_read_only = on")
    region.database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'wildcam%'")
    try:
        pgkit.until(lambda: backend.health().json["classes"] == {"read": True, "write": False}, "only class read is left")
        answer = backend.health()
        assert answer.status == 200
        assert answer.json["status"] == "degraded"
        assert answer.json["dependencies"][0]["detail"] == "the database only reads"
        assert post(backend, detection(), new_key()).status == 503
        assert backend.request("GET", "/api/detections").status == 200
    finally:
        region.database.sql("ALTER DATABASE wildcam RESET default_transaction_read_only", database="postgres")
        region.database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'wildcam%'")
    backend.ready()


def test_locked_table_is_503_within_the_limit(backend, region):
    locker = subprocess.Popen(pgkit.unprivileged("psql", "-Xqh", region.sockets, "-U", "wildcam", "wildcam"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        locker.stdin.write("BEGIN; LOCK TABLE detections; SELECT 'locked';\n")
        locker.stdin.flush()
        while "locked" not in locker.stdout.readline():
            pass
        begun = time.monotonic()
        answer = post(backend, detection(), new_key())
        assert time.monotonic() - begun < 4  # two limits of 1 s, on a busy machine
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.json["error"]["code"] == "database_unavailable"
    finally:
        locker.stdin.close()
        locker.wait()
    pgkit.until(lambda: post(backend, detection(), new_key()).status == 201, "writes again")


def test_killed_database_comes_back(backend, region):
    key = new_key()
    assert post(backend, detection(), key).status == 201
    region.database.kill()
    begun = time.monotonic()
    pgkit.until(lambda: backend.health().status == 503, "health without a class", 2)
    assert backend.health().json["classes"] == {"read": False, "write": False}
    assert backend.health().json["dependencies"][0]["detail"]
    answer = post(backend, detection(), new_key())
    assert answer.status == 503
    assert backend.request("GET", "/api/detections").status == 503
    assert backend.request("GET", "/api/version").status == 200
    assert time.monotonic() - begun < 5
    region.database.start()
    begun = time.monotonic()
    backend.ready()
    assert time.monotonic() - begun < 5
    assert post(backend, detection(), key).status == 200  # nothing that was acknowledged is lost
    assert backend.process.poll() is None


def test_killed_database_under_load_loses_nothing(backend, region):
    acknowledged, statuses, stop = [], [], threading.Event()

    def write():
        while not stop.is_set():
            key = new_key()
            answer = post(backend, detection(), key)
            statuses.append(answer.status)
            if answer.status == 201:
                acknowledged.append(answer.json["id"])

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        mark = len(acknowledged)
        pgkit.until(lambda: len(acknowledged) > mark + 100, "writes flow")
        region.database.kill()
        pgkit.until(lambda: statuses[-1] == 503, "writes are refused")
        region.database.start()
    mark = len(acknowledged)
    pgkit.until(lambda: len(acknowledged) > mark + 100, "writes flow again")
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {201, 503}
    stored = set(region.database.sql("SELECT id FROM detections").split())
    assert [row for row in acknowledged if row not in stored] == []


def test_hung_database_is_503_and_comes_back(backend, region):
    backend.ready()
    region.database.signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert post(backend, detection(), new_key()).status == 503
        assert time.monotonic() - begun < 4  # two limits of 1 s, on a busy machine
        pgkit.until(lambda: backend.health().status == 503, "health without a class", 3)
    finally:
        region.database.signal(signal.SIGCONT)
    backend.ready()
    assert post(backend, detection(), new_key()).status == 201


def test_clients_that_leave_harm_nobody(backend):
    for _ in range(100):
        connection = backend.connect()
        connection.request("POST", "/api/detections", json.dumps(detection()), {"Idempotency-Key": new_key()})
        connection.close()
    assert backend.health().status == 200


def test_drain_answers_what_runs(region, backend):
    third = region.backend(4).ready()
    locker = subprocess.Popen(pgkit.unprivileged("psql", "-Xqh", region.sockets, "-U", "wildcam", "wildcam"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    locker.stdin.write("BEGIN; LOCK TABLE detections IN SHARE MODE; SELECT 'locked';\n")
    locker.stdin.flush()
    while "locked" not in locker.stdout.readline():
        pass
    connection = third.connect()
    connection.request("POST", "/api/detections", json.dumps(detection()), {"Idempotency-Key": new_key()})
    waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'detections'::regclass AND NOT granted"
    pgkit.until(lambda: region.database.sql(waiting) == "1", "the insert waits for the lock")
    third.process.send_signal(signal.SIGTERM)
    pgkit.until(lambda: not third.socket.exists(), "nothing listens any more")
    locker.stdin.close()
    locker.wait()
    answer = connection.getresponse()
    assert answer.status == 201
    assert answer.headers["Connection"] == "close"
    connection.close()
    assert third.process.wait(timeout=10) == 0
    assert third.logged("ended")


def test_second_replica_of_the_same_number_is_refused(region, backend):
    done = subprocess.run(region.command("--replica", "1"), capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "another program accepts connections on" in done.stderr
    assert backend.health().status == 200


def test_killed_backend_starts_again_at_its_socket(region, backend):
    fifth = region.backend(5).ready()
    fifth.kill()
    assert fifth.socket.exists()
    assert fifth.start().ready().end() == 0


@pytest.mark.parametrize("arguments,code,text", [
    (["--help"], 0, "usage: wildcam-backend"),
    (["--replica", "0"], 2, "allowed: 1 to 64"),
    (["--replica", "65"], 2, "allowed: 1 to 64"),
    ([], 2, "--replica is missing"),
    (["--replica", "1", "x"], 2, "unexpected operand 'x'"),
    (["--region", "mars", "--replica", "1"], 2, "no region 'mars'"),
    (["--nonsense"], 2, "--nonsense"),
])
def test_command_line(region, arguments, code, text):
    done = subprocess.run(region.command(*arguments), capture_output=True, text=True, timeout=20)
    assert done.returncode == code
    assert text in (done.stdout if code == 0 else done.stderr)


def test_migrate_once(region, backend):
    done = subprocess.run(region.command("--migrate"), capture_output=True, text=True, timeout=20)
    assert done.returncode == 0
    assert json.loads(done.stderr.splitlines()[-1])["applied"] == 0
    assert region.database.sql("SELECT number, name FROM wildcam.migrations ORDER BY number") == "1|detections\n2|confirmed"


def test_edited_migration_is_refused(region, backend):
    region.database.sql("UPDATE wildcam.migrations SET digest = 'x' || digest")
    try:
        done = subprocess.run(region.command("--migrate"), capture_output=True, text=True, timeout=20)
        assert done.returncode == 1
        assert "migration 1 'detections' was applied to this database with another text" in done.stderr
    finally:
        region.database.sql("UPDATE wildcam.migrations SET digest = substr(digest, 2)")


def test_starts_before_its_database_and_migrates_at_once_with_others():
    with pgkit.Region() as region:
        backends = [region.backend(n) for n in (1, 2, 3)]
        answer = backends[0].health()
        assert answer.status == 503
        assert post(backends[0], detection(), new_key()).status == 503
        region.database.start()
        pgkit.until(lambda: "does not exist" in backends[0].health().json["dependencies"][0]["detail"], "the reason is told")
        region.create_database()
        for backend in backends:
            backend.ready()
            assert post(backend, detection(), new_key()).status == 201
        assert region.database.sql("SELECT count(*) FROM wildcam.migrations") == "2"
        applied = sum(entry["migrations_applied"] for backend in backends for entry in backend.logged("database open"))
        assert applied == 2
        assert [backend.end() for backend in backends] == [0, 0, 0]
