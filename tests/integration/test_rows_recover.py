# SPDX-License-Identifier: MIT
"""`rows recover`: a region whose database was lost for good, or restored to an earlier point, while the others go on writing. Nothing that
was deleted meanwhile comes back, nothing that any other region had is lost, and what only the restored database has is kept."""
import json
import shutil
import subprocess

import pytest

import clipage
import rowslife
from rowsfleet import Writers
from rowskit import INSERT_ONLY
from waiting import until

DDL = ("CREATE TABLE items(id bigint PRIMARY KEY, name text, qty int NOT NULL DEFAULT 0, op text);"
       "CREATE TABLE accounts(id bigint PRIMARY KEY, email text UNIQUE);"
       "CREATE TABLE seen(id uuid PRIMARY KEY DEFAULT gen_random_uuid(), what text);")
ALL = [1, 2, 3]


@pytest.fixture(scope="module")
def life():
    with rowslife.Life(3) as life:
        life.begin(3, DDL, "items", "accounts")
        life.take("seen", INSERT_ONLY)
        for number in ALL:
            life[number].run(f"INSERT INTO items(id, name) SELECT g * 10 + {number}, 'old' FROM generate_series(1, 4000) g")
            life[number].run(f"INSERT INTO accounts SELECT g * 10 + {number}, 'e{number}-' || g FROM generate_series(1, 300) g")
            life[number].run("INSERT INTO seen(what) SELECT 'old' FROM generate_series(1, 1000)")
        life.converge(nodes=ALL)
        yield life


def write(node, n):
    key = n * 7919 % 4000 * 10 + n % 3 + 1
    return [f"UPDATE items SET qty = qty + 1 WHERE id = {key}", f"DELETE FROM items WHERE id = {key}",
            f"INSERT INTO items(id, name) VALUES ({key}, 'again') ON CONFLICT (id) DO UPDATE SET name = 'up'",
            f"UPDATE accounts SET email = 'u{node}-' || id WHERE id = {key % 3000}", "INSERT INTO seen(what) VALUES ('new')"][n % 5]


def collected(life, nodes):
    """Tombstones of everything so far are collected on these nodes."""
    def gone():
        life.beat(*nodes)
        life.beat(*nodes)
        for number in nodes:
            life[number].run("SELECT * FROM wildcam.collect('0')")
        return all(life[number].value(f"SELECT count(*) FROM wildcam.tombstone_{life.number('items')}") == "0" for number in nodes)
    until(gone, "tombstones are collected")


def copied(life, number):
    """The data folder as a backup of the stopped server has it."""
    life[number].stop()
    backup = life.folder / f"backup-{number}"
    shutil.rmtree(backup, ignore_errors=True)
    subprocess.run(["cp", "-a", life[number].folder, backup], check=True)
    life[number].start()
    return backup


def restored(life, number, backup):
    life[number].stop()
    shutil.rmtree(life[number].folder)
    subprocess.run(["cp", "-a", backup, life[number].folder], check=True)
    life[number].start()


def lost(life, number):
    life[number].stop()
    life.new(number)


def test_a_lost_database_comes_back_with_all_that_the_others_have(life):
    """n1 and n2 have different parts of n3's last writes: their union is what is left of it."""
    life.cut(2, 3)
    life[3].run("UPDATE items SET name = 'only n1' WHERE id = 13; DELETE FROM items WHERE id = 23; INSERT INTO accounts VALUES (9001, 'late')")
    life[3].run("INSERT INTO seen(what) VALUES ('only n1')")
    until(lambda: life[1].rows("SELECT 1 FROM seen WHERE what = 'only n1'"), "it arrives at n1")
    lost(life, 3)
    life.cuts.clear()
    life[3].run(DDL)
    with Writers(life, write, nodes=[1, 2]) as writers:
        refused = life.rows("recover", life.region(3), code=1)
        assert "its database is new" in refused.out and "not done" in refused.err
        answer = life.json("recover", life.region(3), "--yes")
        writers.more()
    clipage.check("rows recover", answer)
    assert (answer["state"], answer["emptied"], answer["kept"], answer["dead_letters"]) == ("active", False, 0, 0)
    life.all_same(ALL)
    for number in ALL:
        assert life[number].rows("SELECT name FROM items WHERE id = 13")[0][0] in ("only n1", "up", "again")
        assert life[number].rows("SELECT email FROM accounts WHERE id = 9001") == [("late",)]
        assert life.states(number) == {"1": "active", "2": "active", "3": "active"}
    life[3].run("INSERT INTO items(id, name) VALUES (500003, 'writes again'); UPDATE accounts SET email = 'mine' WHERE id = 9001")
    life.all_same(ALL)


def test_a_restored_database_brings_nothing_back(life):
    """Rows are deleted and their tombstones collected everywhere after the backup was taken."""
    life.all_same(ALL)
    backup = copied(life, 3)
    life[1].run("DELETE FROM items WHERE id BETWEEN 1000 AND 3000")
    life[3].run("DELETE FROM items WHERE id BETWEEN 3001 AND 5000; UPDATE accounts SET email = 'after ' || id WHERE id < 500")
    life[2].run("UPDATE accounts SET email = 'swap' WHERE id = 1011; UPDATE accounts SET email = 'free' WHERE id = 1001")
    life.all_same(ALL)
    collected(life, ALL)
    restored(life, 3, backup)
    assert int(life[3].value("SELECT count(*) FROM items WHERE id BETWEEN 1000 AND 5000")) > 400
    # on top of old rows, before anybody noticed: never left the region, and must not count
    life[3].run("UPDATE items SET name = 'stale write' WHERE id = 1011")
    life[3].run("INSERT INTO items(id, name) VALUES (600003, 'only here'); INSERT INTO seen(what) VALUES ('only here'); DELETE FROM accounts WHERE id = 2001")
    with Writers(life, lambda node, n: f"UPDATE items SET qty = qty + 1 WHERE id = {n % 90 * 10 + 1}", nodes=[1, 2]) as writers:
        killed = 0
        for moment in ("SELECT 1 FROM wildcam.node WHERE origin = 3 AND state = 'joining'",
                       "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name LIKE 'westus2%')",
                       "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'wildcam fill westus2%'"):
            killed += life.killed("recover", life.region(3), "--yes", after=lambda m=moment: life[1].rows(m))
        assert killed >= 2
        life.beat(*ALL)
        assert life[1].value("SELECT wildcam.floor()") == "0"
        answer = life.json("recover", life.region(3), "--yes")
        writers.more()
    life.all_same(ALL)
    for number in ALL:
        assert life[number].value("SELECT count(*) FROM items WHERE id BETWEEN 1000 AND 5000") == "0"
        assert life[number].rows("SELECT 1 FROM seen WHERE what = 'only here'") == []
    kept = {op: json.loads(row) for op, row in life[3].rows(f'SELECT op, "row" FROM wildcam.recovered_{life.number("seen")}')}
    assert kept["I"]["what"] == "only here"
    rows = life[3].rows(f"SELECT key->>'id', \"row\"->>'name' FROM wildcam.recovered_{life.number('items')} ORDER BY 1")
    assert ("600003", "only here") in rows and ("1011", "stale write") in rows, rows
    assert life[3].rows(f"SELECT op, key->>'id' FROM wildcam.recovered_{life.number('accounts')}") == [("D", "2001")]
    assert answer["state"] == "active"
    life[3].run("UPDATE accounts SET email = 'alive' WHERE id = 2001")
    life.all_same(ALL)


def test_a_backup_that_lacks_nothing_is_emptied_once(life):
    """The same without kills: what it says, and that a second run would do it again only when asked."""
    backup = copied(life, 3)
    life[1].run("INSERT INTO items(id, name) VALUES (610001, 'later')")
    life.converge(nodes=ALL)
    restored(life, 3, backup)
    before = life[3].value("SELECT incarnation FROM wildcam.mesh")
    answer = life.json("recover", life.region(3), "--yes")
    assert answer["emptied"] and answer["kept"] == 0
    assert life[3].value("SELECT incarnation FROM wildcam.mesh") != before
    life.all_same(ALL)
    assert life[3].rows("SELECT 1 FROM items WHERE id = 610001") == [("1",)]


def test_recover_needs_the_others(life):
    life[2].stop()
    refused = life.rows("recover", life.region(3), "--yes", code=1)
    assert life.region(2) in refused.err and "not reachable" in refused.err
    life[2].start()
    life.all_same(ALL)
