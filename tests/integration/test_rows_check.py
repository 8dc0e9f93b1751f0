# SPDX-License-Identifier: MIT
"""`rows check`, `repair` and `why` on a mesh of three real databases: each kind of difference is planted behind the federation's back
and must be found, named and mended; under writes nothing may be reported that is not there."""
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import threading
import uuid

import pytest

import clipage
import fleetfile
import pgkit
import rowspq
import rowskit

ROWS = pgkit.BUILD / "wildcam-rows"
REGIONS = ["us-west-2", "us-east-1", "westus2"]  # nodes 1 to 3
QUIET = "SET wildcam.apply = '1'; "  # what follows is neither stamped nor journaled
TABLES = ("CREATE TABLE items(id bigint PRIMARY KEY, grp int, name text, j json, \"Odd \"\" Name\" int);"
          "CREATE TABLE accounts(id int PRIMARY KEY, email text NOT NULL UNIQUE, n int);"
          "CREATE TYPE mood AS ENUM ('good', 'bad');"
          "CREATE TABLE pairs(a int, b text, v int, m mood, PRIMARY KEY (a, b));"
          "CREATE TABLE keyed(id uuid PRIMARY KEY, n numeric);"
          "CREATE TABLE parents(id bigint PRIMARY KEY, t text);"
          "CREATE TABLE children(id bigint PRIMARY KEY, parent bigint REFERENCES parents ON DELETE CASCADE);")
NAMES = ["items", "accounts", "pairs", "keyed", "parents", "children"]


class Bench:
    def __init__(self, mesh):
        self.mesh, self.dir = mesh, mesh.folder / "run"
        self.dir.mkdir()
        text = fleetfile.SHIPPED.read_text()
        for node in mesh.nodes.values():
            dsn = f"host={node.sockets} user=wildcam dbname=wildcam options=-csearch_path=public"
            text = text.replace("database: local ", f"database: '{dsn}' ", 1) if "database: local " in text else text.replace(
                "database: local", f"database: '{dsn}'", 1)
        (self.dir / "fleet.yaml").write_text(text)

    def run(self, *args, code=None, env=None):
        done = subprocess.run([ROWS, args[0], "--dir", self.dir, *map(str, args[1:])], capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def check(self, *tables, code=None):
        report = json.loads(self.run("check", "--json", *tables, code=code).stdout)
        clipage.check("rows check", report)
        return report

    def found(self, *tables):
        return {(d["table"], d["key"]): d for d in self.check(*tables)["differences"]}

    def clean(self, *tables):
        report = self.check(*tables, code=0)
        assert all(t["complete"] for t in report["tables"])
        return report

    def repair(self, *args, code=0):
        report = json.loads(self.run("repair", "--json", "--yes", *args, code=code).stdout)
        clipage.check("rows repair", report)
        return report


def filled(mesh):
    """The tables of these tests in a mesh of three, with rows that are the same everywhere."""
    mesh.federate(TABLES, *NAMES)
    mesh.federate("CREATE TABLE detections(id uuid PRIMARY KEY, score float8, box jsonb, raw json)", "detections", kind=rowskit.INSERT_ONLY)
    mesh[1].run("INSERT INTO items SELECT g, g % 7, 'name' || g, '{\"a\": 1}', g FROM generate_series(1, 5000) g")
    mesh[1].run("INSERT INTO items(id) VALUES (-9223372036854775808), (9223372036854775807)")
    mesh[2].run("INSERT INTO accounts SELECT g, 'm' || g, 0 FROM generate_series(1, 500) g")
    mesh[3].run("INSERT INTO pairs SELECT g, 'b=,' || g, g, 'good' FROM generate_series(1, 500) g")
    mesh[3].run("INSERT INTO keyed SELECT md5(g::text)::uuid, g FROM generate_series(1, 3000) g")
    mesh[1].run("INSERT INTO parents SELECT g FROM generate_series(1, 50) g; INSERT INTO children SELECT g, g % 50 + 1 FROM generate_series(1, 200) g")
    for node in mesh.nodes.values():
        node.run(f"INSERT INTO detections SELECT md5('d' || g)::uuid, g / 3.0, '{{}}', '{{ }}' FROM generate_series({node.number * 1000}, "
                 f"{node.number * 1000 + 500}) g")
    mesh.converge()
    return Bench(mesh)


@pytest.fixture(scope="module")
def bench():
    with rowskit.Mesh(3) as mesh:
        yield filled(mesh)


@pytest.fixture(autouse=True)
def well_before(bench):
    bench.mesh.converge()
    yield


def verdict(bench, table, key, nodes):
    """The verdict of this row, which must blame exactly these nodes; nothing else may be found in the table."""
    report = bench.check(table)
    found = {(d["table"], d["key"]): d for d in report["differences"]}
    assert set(found) == {(table, key)}, report
    one = found[table, key]
    wrong = {c["region"] for c in one["copies"] if c["wrong"]}
    assert wrong == {REGIONS[n - 1] for n in nodes}, one
    return one["verdict"]


def mended(bench, table, code=0):
    report = bench.repair(table, code=code)
    bench.mesh.converge()
    bench.clean(table)
    bench.mesh.same(table, tombstones=False)
    return report


def test_a_mesh_that_is_well(bench):
    report = bench.clean()
    rows = {t["table"]: t["rows"] for t in report["tables"]}
    assert rows == {"items": 5002, "accounts": 500, "pairs": 500, "keyed": 3000, "parents": 50, "children": 200, "detections": 1503}
    assert [r["compared"] for r in report["regions"]] == [True] * 3 + [False] * 3
    assert "no such" in report["regions"][3]["why"] or report["regions"][3]["why"]
    done = bench.run("check", code=0)
    assert re.search(r"^items +lww +5002 ", done.stdout, re.M), done.stdout
    assert "nothing differs" in bench.run("repair", code=0).stdout


def md5(text):
    return str(uuid.UUID(hashlib.md5(text.encode()).hexdigest()))


PLANTS = {  # table, key, node, statement, verdict
    "content": ("items", "id=77", 2, "UPDATE items SET grp = grp + 1 WHERE id = 77", "damaged"),
    "one bit of text": ("items", "id=4999", 3, "UPDATE items SET name = 'oame4999' WHERE id = 4999", "damaged"),
    "json": ("items", "id=1", 1, "UPDATE items SET j = '{\"a\": 2}' WHERE id = 1", "damaged"),
    "null": ("items", "id=2", 1, "UPDATE items SET grp = NULL WHERE id = 2", "damaged"),
    "odd name": ("items", "id=3", 1, "UPDATE items SET \"Odd \"\" Name\" = 0 WHERE id = 3", "damaged"),
    "enum, composite key": ("pairs", "a=9,b=\"b=,9\"", 1, "UPDATE pairs SET m = 'bad' WHERE a = 9", "damaged"),
    "missing": ("items", "id=5000", 3, "DELETE FROM items WHERE id = 5000", "missing"),
    "missing, first key": ("items", "id=-9223372036854775808", 2, "DELETE FROM items WHERE id < 0", "missing"),
    "missing, last key": ("items", "id=9223372036854775807", 1, "DELETE FROM items WHERE id = 9223372036854775807", "missing"),
    "missing, uuid": ("keyed", "id=" + md5("1"), 2, "DELETE FROM keyed WHERE n = 1", "missing"),
    "missing, composite": ("pairs", "a=8,b=\"b=,8\"", 2, "DELETE FROM pairs WHERE a = 8", "missing"),
    "missing, parked table": ("accounts", "id=5", 1, "DELETE FROM accounts WHERE id = 5", "missing"),
    "stale": ("items", "id=79", 3, "UPDATE items SET name = 'old', _v = _v - 25600 WHERE id = 79", "stale"),
    "missing, insert-only": ("detections", "id=" + md5("d1001"), 2, "DELETE FROM detections WHERE id = md5('d1001')::uuid", "missing"),
    "damage, insert-only": ("detections", "id=" + md5("d2002"), 2, "UPDATE detections SET score = score * 2 WHERE id = md5('d2002')::uuid", "damaged"),
    "origin, insert-only": ("detections", "id=" + md5("d3003"), 3, "UPDATE detections SET _origin = 9 WHERE id = md5('d3003')::uuid", "stale"),
}


def test_what_is_planted_is_found_named_and_mended(bench):
    """All at once; the rows are different ones."""
    expected = {}
    for table, key, node, statement, verdict_of_it in PLANTS.values():
        bench.mesh[node].run(QUIET + statement)
        assert (table, key) not in expected
        expected[table, key] = (verdict_of_it, {REGIONS[node - 1]})
    for node in bench.mesh.nodes.values():
        node.run("RESET wildcam.apply")
    found = {where: (d["verdict"], {c["region"] for c in d["copies"] if c["wrong"]}) for where, d in bench.found().items()}
    assert found == expected
    report = bench.repair()
    assert {(a["table"], a["key"], a["verdict"], a["result"]) for a in report["actions"]} == {(*w, v, "done") for w, (v, _) in expected.items()}
    bench.mesh.converge()
    bench.clean()
    bench.mesh.same(*NAMES, "detections", tombstones=False)


def test_undeleted(bench):
    mesh = bench.mesh
    mesh[1].run("DELETE FROM items WHERE id = 80")
    mesh.converge()
    mesh[3].run(QUIET + "INSERT INTO items(id, name, _v) VALUES (80, 'zombie', 1)")
    mesh[3].run("RESET wildcam.apply")
    assert verdict(bench, "items", "id=80", [3]) == "undeleted"
    mended(bench, "items")
    assert mesh[3].rows("SELECT * FROM items WHERE id = 80") == []


def test_a_tombstone_that_is_missing(bench):
    mesh = bench.mesh
    mesh[1].run("DELETE FROM items WHERE id = 81")
    mesh.converge()
    mesh[2].run(f"DELETE FROM wildcam.tombstone_{mesh.number('items')} WHERE id = 81")
    assert verdict(bench, "items", "id=81", [2]) == "tombstone"
    mended(bench, "items")
    mesh.same("items")


def test_a_row_parked_for_nothing(bench):
    mesh, number = bench.mesh, bench.mesh.number("accounts")
    mesh[2].run(QUIET + f"WITH gone AS (DELETE FROM accounts WHERE id = 7 RETURNING *) "
                f"INSERT INTO wildcam.parked_{number}(id, email, n, _v) SELECT id, email, n, _v FROM gone")
    mesh[2].run("RESET wildcam.apply")
    assert verdict(bench, "accounts", "id=7", [2]) == "parked"
    mended(bench, "accounts")


def test_rows_that_are_parked_with_reason_are_no_difference(bench):
    mesh = bench.mesh
    mesh.cut_all()
    mesh[1].run("INSERT INTO accounts VALUES (1001, 'shared', 1)")
    mesh[2].run("INSERT INTO accounts VALUES (1002, 'shared', 2)")
    mesh.restore_all()
    mesh.converge()
    assert mesh[1].value(f"SELECT count(*) FROM wildcam.parked_{mesh.number('accounts')}") == "1"
    report = bench.clean("accounts")
    assert report["tables"][0]["parked"] == 1
    mesh[1].run("DELETE FROM accounts WHERE id IN (1001, 1002)")
    mesh[2].run("DELETE FROM accounts WHERE id IN (1001, 1002)")


def test_orphans(bench):
    mesh = bench.mesh
    mesh.cut_all()
    mesh[1].run("DELETE FROM parents WHERE id = 50; ")
    mesh[2].run("INSERT INTO children VALUES (9001, 50)")
    mesh.restore_all()
    mesh.converge()
    found = bench.found("children")
    assert [(d["key"], d["verdict"]) for d in found.values()] == [("id=9001", "orphan")]
    assert "(50)" in found["children", "id=9001"]["detail"]
    refused = bench.repair("children", code=3)
    assert refused["actions"][0]["result"] == "refused"
    bench.repair("children", "--delete-orphans")
    mesh.converge()
    bench.clean("children")


def test_a_tie_needs_a_region_to_prefer(bench):
    mesh = bench.mesh
    mesh[2].run(QUIET + "UPDATE items SET name = 'two' WHERE id = 90")
    mesh[3].run(QUIET + "UPDATE items SET name = 'three' WHERE id = 90")
    for node in (2, 3):
        mesh[node].run("RESET wildcam.apply")
    assert verdict(bench, "items", "id=90", [1, 2, 3]) == "damaged"
    report = bench.repair("items", code=3)
    assert report["actions"][0]["result"] == "refused" and "--prefer" in report["actions"][0]["action"]
    assert "unknown region 'nowhere'" in bench.run("repair", "items", "--prefer", "nowhere", code=2).stderr
    bench.repair("items", "--prefer", REGIONS[2])
    mesh.converge()
    assert {node.value("SELECT name FROM items WHERE id = 90") for node in mesh.nodes.values()} == {"three"}


def test_without_yes_nothing_is_changed(bench):
    mesh = bench.mesh
    mesh[2].run(QUIET + "DELETE FROM items WHERE id = 91")
    mesh[2].run("RESET wildcam.apply")
    done = bench.run("repair", "items", code=3)
    assert "id=91" in done.stdout and "sends its newest version once more" in done.stdout
    assert verdict(bench, "items", "id=91", [2]) == "missing"
    mended(bench, "items")


@contextlib.contextmanager
def writers(mesh, seed):
    """Changes of all kinds on all nodes until the block ends; gives the number of writes so far."""
    stop, count, failures = threading.Event(), [0], []

    def write(node):
        dice, session = random.Random(seed * 100 + node.number), node.session()
        while not stop.is_set():
            n = dice.randint(1, 300)
            text = dice.choice([
                f"UPDATE items SET grp = grp + 1 WHERE id = {n}", f"DELETE FROM items WHERE id = {n}",
                f"INSERT INTO items(id, name) VALUES ({n}, 'again') ON CONFLICT (id) DO UPDATE SET name = 'again'",
                f"UPDATE accounts SET email = 'm{dice.randint(1, 40)}' WHERE id = {n % 40}",
                f"INSERT INTO accounts VALUES ({n % 40}, 'm{dice.randint(1, 40)}', 0) ON CONFLICT DO NOTHING",
                f"DELETE FROM accounts WHERE id = {n % 40}",
                f"INSERT INTO detections VALUES (gen_random_uuid(), {n})",
                f"INSERT INTO keyed VALUES (md5('k' || {n})::uuid, 1) ON CONFLICT (id) DO UPDATE SET n = keyed.n + 1",
            ])
            try:
                session.run(text)
                count[0] += 1
            except rowspq.Failed as error:
                if error.state not in ("40P01", "23505"):
                    failures.append(str(error))
                    return
        session.close()

    threads = [threading.Thread(target=write, args=(node,)) for node in mesh.nodes.values()]
    for thread in threads:
        thread.start()
    try:
        yield count
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        mesh.converge()
    assert not failures, failures[:3]


def test_nothing_false_while_all_write_and_what_is_planted_is_found(bench):
    rounds = int(os.environ.get("WILDCAM_CHECK_ROUNDS", "4"))
    suspects = 0
    with writers(bench.mesh, 1) as count:
        for turn in range(rounds):
            report = bench.check(*[n for n in NAMES if n != "children"], "detections", code=0)
            suspects += sum(t["suspects"] for t in report["tables"])
        bench.mesh[2].run(QUIET + "UPDATE items SET name = 'planted' WHERE id = 4000")
        bench.mesh[2].run("RESET wildcam.apply")
        found = bench.found("items")
        assert [(key, d["verdict"]) for key, d in found.items()] == [(("items", "id=4000"), "damaged")]
        bench.repair("items")
    assert count[0] > 100 and suspects > 0  # the comparison really ran into writes
    bench.clean("items", "accounts", "detections", "keyed")
    bench.mesh.same("items", "accounts", "detections", "keyed", tombstones=False)


def test_fifty_planted_bits_are_found_each(bench):
    dice, planted = random.Random(5), {}
    for turn in range(50):
        node, row, bit = dice.randint(1, 3), dice.randint(1000, 4000), dice.randint(0, 30)
        if row in planted:
            continue
        planted[row] = node
        bench.mesh[node].run(QUIET + f"UPDATE items SET grp = coalesce(grp, 0) # (1 << {bit}) WHERE id = {row}")
    for node in bench.mesh.nodes.values():
        node.run("RESET wildcam.apply")
    found = bench.found("items")
    assert {int(key.removeprefix("id=")) for _, key in found} == set(planted)
    for (_, key), one in found.items():
        assert one["verdict"] == "damaged"
        assert [c["region"] for c in one["copies"] if c["wrong"]] == [REGIONS[planted[int(key.removeprefix("id="))] - 1]]
    mended(bench, "items")


def test_a_region_that_is_away_is_left_out_and_named(bench):
    mesh = bench.mesh
    mesh[3].stop()
    try:
        report = bench.check("items", code=0)
        assert [r["compared"] for r in report["regions"]][:3] == [True, True, False]
        mesh[2].run(QUIET + "DELETE FROM items WHERE id = 95")
        mesh[2].run("RESET wildcam.apply")
        assert verdict(bench, "items", "id=95", [2]) == "missing"
        bench.repair("items")
        mesh[2].stop()
        done = bench.run("check", "items", code=1)
        assert "fewer than two regions can be compared" in done.stderr and "HINT" in done.stderr
    finally:
        for node in (2, 3):
            mesh[node].start()
    mesh.converge()
    bench.clean("items")


def test_interrupted_and_resumed(bench):
    process = subprocess.Popen([ROWS, "check", "--dir", bench.dir, "--rate", "500", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    state = bench.dir / "rows/check.json"
    rowskit.until(state.exists, "a table is done")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1 and "interrupted" in err and "--resume" in err, err
    report = json.loads(out)
    done = {t["table"] for t in report["tables"] if t["complete"]}
    assert done and not report["complete"]
    again = json.loads(bench.run("check", "--json", "--resume", code=0).stdout)
    assert {t["table"] for t in again["tables"] if t["from_before"]} == done
    assert again["complete"] and not state.exists()
    assert "no interrupted check" in bench.run("check", "--resume", code=1).stderr


@pytest.mark.parametrize("args, text", [
    (["check", "nothing"], "table 'nothing' is not federated; federated: "),
    (["check", "--rate", "0"], "'0' is no number of rows"),
    (["check", "--frobnicate"], "unknown option '--frobnicate'"),
    (["repair", "nothing"], "table 'nothing' is not federated"),
])
def test_wrong_usage(bench, args, text):
    assert text in bench.run(*args, code=2).stderr


# --- why
def why(bench, table, key):
    answer = json.loads(bench.run("why", "--json", table, key, code=0).stdout)
    clipage.check("rows why", answer)
    return answer


def test_why_a_row_is_what_it_is(bench):
    mesh = bench.mesh
    mesh.cut_all()
    mesh[2].run("UPDATE items SET name = 'earlier' WHERE id = 3000")
    mesh[3].run("UPDATE items SET name = 'later' WHERE id = 3000")
    answer = why(bench, "items", "3000")
    assert [(v["region"], v["won"], json.loads(v["row"])["name"]) for v in answer["versions"][:3]] == [
        ("westus2", True, "later"), ("us-east-1", False, "earlier"), ("us-west-2", False, "name3000")]
    assert answer["versions"][0]["saw"] == answer["versions"][2]["version"]
    assert "had not seen this one: a conflict" in answer["versions"][1]["why"]
    assert [r["why"].split(":")[0] for r in answer["regions"][:3]] == ["has not got it yet", "has not got it yet", "has it"]
    mesh.restore_all()
    mesh.converge()
    answer = why(bench, "items", "id=3000")
    assert [r["why"] for r in answer["regions"][:3]] == ["has it"] * 3
    assert answer["versions"][0]["visible"] == REGIONS
    lost = [v for v in answer["versions"] if v["region"] == "us-east-1"]
    assert lost and lost[0]["ledger"], answer
    text = bench.run("why", "items", "3000", code=0).stdout
    assert "won: the greatest version of this key" in text and "later" in text


def test_why_deleted_parked_orphaned_and_from_elsewhere(bench):
    mesh = bench.mesh
    mesh.cut_all()
    mesh[1].run("INSERT INTO accounts VALUES (2001, 'one', 1)")
    mesh[2].run("INSERT INTO accounts VALUES (2002, 'one', 2)")
    mesh[1].run("DELETE FROM items WHERE id = 3001")
    mesh.restore_all()
    mesh.converge()
    parked = why(bench, "accounts", "2001")
    assert [r["state"] for r in parked["regions"][:3]] == ["parked"] * 3
    assert "the row id=2002 has one of its unique values with a greater version" in parked["versions"][0]["why"]
    gone = why(bench, "items", "3001")
    assert gone["versions"][0]["deleted"] and "us-west-2 deleted the row" in gone["versions"][0]["why"]
    assert [r["state"] for r in gone["regions"][:3]] == ["deleted"] * 3
    only = why(bench, "detections", md5("d1005"))
    assert [(v["region"], v["version"]) for v in only["versions"]] == [("us-west-2", None)]
    assert "the only copy" in only["versions"][0]["why"]
    assert why(bench, "pairs", 'b="b=,20",a=20')["key"] == 'a=20,b="b=,20"'
    mesh[1].run("DELETE FROM accounts WHERE id IN (2001, 2002)")
    mesh[2].run("DELETE FROM accounts WHERE id IN (2001, 2002)")


def test_why_says_what_should_be_there_and_is_not(bench):
    mesh = bench.mesh
    mesh[2].run(QUIET + "DELETE FROM items WHERE id = 3002")
    mesh[2].run("RESET wildcam.apply")
    answer = why(bench, "items", "3002")
    assert answer["regions"][1]["why"].startswith("should have it: everything of us-west-2")
    mended(bench, "items")


@pytest.mark.parametrize("args, code, text", [
    (["items", "x"], 2, "key 'x' does not fit the key's type"),
    (["items", "name=x"], 2, "does not fit"),
    (["pairs", "7"], 2, "does not name the table's key columns"),
    (["pairs", "a=1"], 2, "lacks a column"),
    (["pairs", "a=1,c=2"], 2, "does not name the table's key columns"),
    (["pairs", "a=1,b=\"x"], 2, "cannot be read"),
    (["items", "123456"], 1, "no region knows 'id=123456' of 'items'"),
    (["nothing", "1"], 2, "table 'nothing' is not federated"),
    (["items"], 2, "something is missing"),
])
def test_why_refuses(bench, args, code, text):
    assert text in bench.run("why", *args, code=code).stderr
