# SPDX-License-Identifier: MIT
"""`rows join` and `rows leave`: databases come into the mesh and go while all others are written to, whatever is killed on the way."""
import pytest

import clipage
import rowslife
from rowsfleet import Writers
from rowskit import INSERT_ONLY
from waiting import until

DDL = ("CREATE TABLE items(id bigint PRIMARY KEY, name text, qty int NOT NULL DEFAULT 0, v int);"
       "CREATE TABLE accounts(id bigint PRIMARY KEY, email text UNIQUE);"
       "CREATE TABLE parents(id bigint PRIMARY KEY, t text); "
       "CREATE TABLE children(id bigint PRIMARY KEY, parent bigint REFERENCES parents ON DELETE CASCADE);"
       "CREATE TABLE seen(id uuid PRIMARY KEY DEFAULT gen_random_uuid(), what text);")
TABLES = ["children", "items", "accounts", "parents"]


@pytest.fixture(scope="module")
def life():
    with rowslife.Life(5) as life:
        life.begin(3, DDL, *TABLES)
        life.take("seen", INSERT_ONLY)
        life[1].run("INSERT INTO items(id, name) SELECT g, 'old' FROM generate_series(1, 30000) g")
        life[2].run("INSERT INTO accounts SELECT g, 'e' || g FROM generate_series(1, 2000) g")
        life[3].run("INSERT INTO parents SELECT g FROM generate_series(1, 300) g; INSERT INTO children SELECT g, g FROM generate_series(1, 300) g")
        life[3].run("INSERT INTO seen(what) SELECT 'old' FROM generate_series(1, 5000)")
        life.converge(nodes=[1, 2, 3])
        life[2].run("DELETE FROM items WHERE id % 17 = 0")
        yield life


def write(node, n):
    key = n * 7919 % 30000 + node
    return [f"UPDATE items SET qty = qty + 1 WHERE id = {key}", f"DELETE FROM items WHERE id = {key}",
            f"INSERT INTO items(id, name) VALUES ({key}, 'again') ON CONFLICT (id) DO UPDATE SET name = 'up'",
            f"UPDATE accounts SET email = 'n' || (id % 300 + {node}) WHERE id = {key % 2000} AND NOT EXISTS "
            f"(SELECT 1 FROM accounts WHERE email = 'n' || ({key % 2000} % 300 + {node}))",
            "INSERT INTO seen(what) VALUES ('new')", f"DELETE FROM parents WHERE id = {key % 300}"][n % 6]


def tolerant(node, n):
    """A unique value may be taken meanwhile: that is no failure of the mesh."""
    return f"DO $$ BEGIN {write(node, n)}; EXCEPTION WHEN unique_violation THEN NULL; END $$"


def test_join_under_writes_ends_equal(life):
    life.known(4)
    with Writers(life, tolerant, nodes=[1, 2, 3]) as writers:
        asked = life.rows("join", life.region(4), code=1)
        assert "lacks 5 federated tables" in asked.out and "public.items" in asked.out and "not done" in asked.err
        answer = life.json("join", life.region(4), "--yes")
        writers.more()
    clipage.check("rows join", answer)
    assert answer["state"] == "active" and not answer["already"] and answer["dead_letters"] == 0 and answer["rows"] > 30000
    assert {fill["from"] for fill in answer["fills"] if fill["to"] == life.region(4)} == {life.region(n) for n in (1, 2, 3)}
    life.all_same([1, 2, 3, 4])
    for number in (1, 2, 3, 4):
        assert life.states(number) == {"1": "active", "2": "active", "3": "active", "4": "active"}
    life[4].run("INSERT INTO items(id, name) VALUES (900001, 'from four'); UPDATE items SET name = 'four' WHERE id = 5")
    life.all_same([1, 2, 3, 4])
    assert life[1].value("SELECT name FROM items WHERE id = 900001") == "from four"
    assert life.json("join", life.region(4), "--yes")["already"]


def test_while_it_joins_nobody_collects_and_it_takes_no_writes(life):
    """Killed before it is done, and gone on with."""
    life.known(5)
    life.converge(nodes=[1, 2, 3, 4])
    life.beat(1, 2, 3, 4)
    until(lambda: int(life[1].value("SELECT wildcam.floor()")) > 0, "a floor")
    killed = 0
    for moment in ("SELECT 1 FROM wildcam.node WHERE origin = 5", "SELECT 1 FROM pg_replication_slots WHERE slot_name LIKE 'us_west1%'",
                   "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'wildcam fill us-west1%'"):
        killed += life.killed("join", life.region(5), "--yes", after=lambda m=moment: life[2].rows(m))
        if life[2].rows("SELECT 1 FROM wildcam.node WHERE origin = 5 AND state = 'joining'"):
            assert life[1].rows("SELECT 1 FROM wildcam.node WHERE origin = 5") == [] or life[1].value("SELECT wildcam.floor()") == "0"
    assert killed >= 2
    assert life.states(2)["5"] == "joining"
    if life[5].rows("SELECT 1 FROM wildcam.mesh WHERE refused IS NOT NULL") and life[5].value("SELECT to_regclass('wildcam.journal_2')"):
        with pytest.raises(Exception, match="takes no writes"):
            life[5].run("INSERT INTO items(id) VALUES (77777777)")
    with Writers(life, tolerant, nodes=[1, 2, 3, 4]) as writers:
        life.rows("join", life.region(5), "--yes")
        writers.more()
    life.all_same([1, 2, 3, 4, 5])


def test_leave_fetches_the_last_row_and_leaves_nothing_behind(life):
    with Writers(life, tolerant, nodes=[1, 2, 3]) as writers:
        life[5].run("INSERT INTO items(id, name) SELECT g, 'last' FROM generate_series(800000, 800500) g")
        answer = life.json("leave", life.region(5), "--yes")
        writers.more()
    clipage.check("rows leave", answer)
    assert answer["complete"] and answer["known_until"] is None and answer["state"] == "left"
    for number in (1, 2, 3, 4):
        assert life[number].value("SELECT count(*) FROM items WHERE name = 'last'") == "501"
        assert life.states(number)["5"] == "left"
        assert [life[number].value(query) for query in rowslife.TRACE[:2]] == ["3", "3"]
        assert life[number].rows("SELECT 1 FROM wildcam.link WHERE origin = 5") == []
    assert [life[5].value(query) for query in rowslife.TRACE] == ["0", "0", "0"]
    with pytest.raises(Exception, match="has left the mesh"):
        life[5].run("DELETE FROM items WHERE id = 1")
    life.all_same([1, 2, 3, 4])
    life.beat(1, 2, 3, 4)
    until(lambda: int(life[1].value("SELECT wildcam.floor()")) > 0, "the floor moves without it")


def test_a_node_that_left_stays_out(life):
    refused = life.rows("join", life.region(5), "--yes", code=1)
    assert "never returns" in refused.err and "origin" in refused.err
    life.rows("init", code=3)
    assert life[1].rows("SELECT 1 FROM pg_subscription WHERE subname LIKE '%us_west1%'") == []
    assert life[5].rows("SELECT 1 FROM pg_subscription") == []
    again = life.json("leave", life.region(5), "--yes")
    assert again["state"] == "left"


def test_leave_of_a_lost_region_says_what_may_be_missing(life):
    """n4 dies; n1 has more of it than the others: after it they all have what n1 had."""
    life.known(4)
    life.converge(nodes=[1, 2, 3, 4])
    for subscriber in (2, 3):
        life.cut(subscriber, 4)
    life[4].run("INSERT INTO items(id, name) VALUES (700001, 'only n1 has it'); DELETE FROM items WHERE id = 6")
    life[4].run("INSERT INTO seen(what) VALUES ('only n1')")
    until(lambda: life[1].rows("SELECT 1 FROM items WHERE id = 700001"), "it arrives at n1")
    life[4].stop()
    refused = life.rows("leave", life.region(4), "--yes", code=1)
    assert "cannot be fetched" in refused.err and "--force" in refused.err and life.states(1)["4"] == "active"
    assert life.killed("leave", life.region(4), "--yes", "--force", after=lambda: life.states(2)["4"] == "leaving")
    answer = life.json("leave", life.region(4), "--yes", "--force")
    life.cuts.clear()
    assert not answer["complete"] and answer["known_until"].startswith("20")
    for number in (1, 2, 3):
        assert life[number].rows("SELECT name FROM items WHERE id = 700001") == [("only n1 has it",)]
        assert life[number].rows("SELECT 1 FROM items WHERE id = 6") == []
        assert life[number].value("SELECT count(*) FROM seen WHERE what = 'only n1'") == "1"
        assert [life[number].value(query) for query in rowslife.TRACE[:2]] == ["2", "2"]
    life.all_same([1, 2, 3])
