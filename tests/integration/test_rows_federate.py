# SPDX-License-Identifier: MIT
"""`wildcam rows federate`: tables go into the federation and out of it while clients write, whatever is killed on the way."""
import pytest

import clipage
import rowsfleet
import rowskit
from rowsfleet import Writers
from waiting import until


@pytest.fixture(scope="module")
def fleet():
    with rowsfleet.Fleet(3) as fleet:
        yield fleet


def create(fleet, ddl):
    for node in fleet.nodes.values():
        node.run(ddl)


def count(fleet, table, wanted):
    """Every node has so many rows."""
    found = {number: node.value(f"SELECT count(*) FROM {table}") for number, node in fleet.nodes.items()}
    assert set(found.values()) == {str(wanted)}, found


def insert(table):
    return lambda node, n: f"INSERT INTO {table}(id, name) VALUES ({n * 10 + node}, 'n{node}')"


def test_rows_that_are_there(fleet):
    create(fleet, 'CREATE TABLE there(id bigint PRIMARY KEY, name text, "Ünt" numeric, v int)')
    fleet[1].run("INSERT INTO there SELECT g, 'one', 1.50, g FROM generate_series(1, 100) g")
    fleet[2].run("INSERT INTO there SELECT g, 'two', 1.5, g FROM generate_series(51, 150) g")
    fleet[3].run("INSERT INTO there SELECT g, 'one', 1.50, g FROM generate_series(1, 20) g")
    asked = fleet.rows("federate", "there", code=1)
    assert "50 differ" in asked.out and "us-east-1" in asked.out and "not done" in asked.err
    assert fleet[1].value("SELECT count(*) FROM wildcam.federated WHERE name = 'there'") == "0"
    answer = fleet.json("federate", "there", "--yes")
    clipage.check("rows federate", answer)
    assert (answer["keys"], answer["differing"], answer["changed"]) == (150, 50, True)
    assert [region["rows"] for region in answer["regions"]] == [100, 100, 20]
    fleet.learn("there")
    fleet.settle("there")
    count(fleet, "there WHERE name = 'two'", 100)
    count(fleet, "there WHERE name = 'one'", 50)
    again = fleet.json("federate", "public.there", "--yes")
    assert not again["changed"] and again["links"] == 0 and again["number"] == answer["number"]


@pytest.mark.parametrize("table, columns, options", [
    ("written", "id bigint PRIMARY KEY, name text", []),
    ("written_once", "id bigint PRIMARY KEY, name text", ["--insert-only"]),
    ("written_unique", "id bigint PRIMARY KEY, name text, other int UNIQUE", []),
])
def test_nothing_written_meanwhile_is_lost(fleet, table, columns, options):
    create(fleet, f"CREATE TABLE {table}({columns})")
    with Writers(fleet, insert(table)) as writers:
        fleet.rows("federate", table, "--yes", *options)
        writers.more()
    fleet.learn(table, rowskit.INSERT_ONLY if options else rowskit.LWW)
    fleet.settle(table)
    count(fleet, table, sum(writers.written.values()))


def test_killed_anywhere(fleet):
    """SIGKILL at every step's first sign; the next run ends it, and clients' rows of all that time are everywhere."""
    create(fleet, "CREATE TABLE killed(id bigint PRIMARY KEY, name text)")
    number = int(fleet[1].value("SELECT coalesce(max(number), 0) + 1 FROM wildcam.federated"))
    signs = [
        (1, f"SELECT to_regclass('wildcam.journal_{number}') IS NOT NULL"),
        (2, f"SELECT to_regclass('wildcam.journal_{number}') IS NOT NULL"),
        (1, f"SELECT EXISTS (SELECT FROM pg_publication_tables WHERE tablename = 'journal_{number}')"),
        (3, f"SELECT EXISTS (SELECT FROM pg_publication_tables WHERE tablename = 'journal_{number}')"),
        (1, f"SELECT EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = to_regclass('wildcam.journal_{number}'))"),
        (2, f"SELECT EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = to_regclass('wildcam.journal_{number}'))"),
        (3, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name ~ 'fill')"),
    ]
    with Writers(fleet, insert("killed")) as writers:
        killed = sum(fleet.killed("federate", "killed", "--yes", after=lambda: fleet[node].value(sign) == "t") for node, sign in signs)
        assert killed >= 4, "too few of the runs were killed before their end"
        writers.more()
        fleet.rows("federate", "killed", "--yes")
        writers.more()
    fleet.learn("killed")
    fleet.settle("killed")
    count(fleet, "killed", sum(writers.written.values()))
    assert {node.value("SELECT count(*) FROM wildcam.link WHERE state <> 'filled'") for node in fleet.nodes.values()} <= {"0", "2"}


def test_what_does_not_fit_is_refused_before_anything_changes(fleet):
    create(fleet, "CREATE TABLE keyless(a int); CREATE TABLE unequal(id int PRIMARY KEY, a int); CREATE TABLE late(id int PRIMARY KEY);"
                  "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                  "CREATE TRIGGER zzz BEFORE UPDATE ON late FOR EACH ROW EXECUTE FUNCTION touch()")
    fleet[2].run("ALTER TABLE unequal ALTER a TYPE bigint; CREATE TABLE alone(id int PRIMARY KEY)")
    fleet[3].run("CREATE ROLE somebody; CREATE TABLE foreign_owner(id int PRIMARY KEY); ALTER TABLE foreign_owner OWNER TO somebody")
    before = fleet[1].value("SELECT count(*) FROM wildcam.federated")
    for table, words in {"keyless": "primary key", "unequal": "us-east-1: differs from us-west-2", "late": "'zzz' sorts behind ours",
                         "alone": "us-west-2: has no such table", "wildcam.node": "table of the federation itself"}.items():
        error = fleet.rows("federate", table, "--yes", code=1).err
        assert words in error, error
    assert fleet[1].value("SELECT count(*) FROM wildcam.federated") == before
    assert fleet[1].value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'unequal'::regclass AND attname = '_v'") == "0"
    create(fleet, "CREATE TABLE plain(id int PRIMARY KEY); CREATE TABLE child(id int PRIMARY KEY, p int REFERENCES plain)")
    assert "not federated" in fleet.rows("federate", "child", "--yes").err
    assert "federated as last-write-wins already" in fleet.rows("federate", "child", "--insert-only", "--yes", code=1).err


def test_every_region_must_be_there(fleet):
    create(fleet, "CREATE TABLE absent(id bigint PRIMARY KEY, name text)")
    fleet[3].stop()
    try:
        assert "westus2" in fleet.rows("federate", "absent", "--yes", code=1).err
        assert fleet[1].value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'absent'::regclass AND attname = '_v'") == "0"
    finally:
        fleet[3].start()
    fleet.rows("federate", "absent", "--yes")
    fleet[3].run("INSERT INTO absent VALUES (1, 'back')")
    fleet.converge()
    count(fleet, "absent", 1)


def test_out_again_only_when_nothing_needs_it_any_more(fleet):
    """A row on its way would stop the stream for ever if its journal went first: the verb waits for it."""
    create(fleet, "CREATE TABLE leaving(id bigint PRIMARY KEY, name text)")
    fleet.rows("federate", "leaving", "--yes")
    number = fleet[1].value("SELECT number FROM wildcam.federated WHERE name = 'leaving'")
    stumbles = fleet.stumbles()
    fleet.cut(2, 1)
    fleet[1].run("INSERT INTO leaving VALUES (1, 'on its way')")
    process = fleet.start_rows("federate", "leaving", "--drop", "--yes")
    until(lambda: fleet[3].value(f"SELECT count(*) FROM pg_publication_tables WHERE tablename = 'journal_{number}'") == "0", "unpublished")
    fleet.restore(2, 1)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    fleet.converge()
    assert fleet.stumbles() == stumbles
    count(fleet, "leaving", 1)
    assert {node.value(f"SELECT to_regclass('wildcam.journal_{number}') IS NULL") for node in fleet.nodes.values()} == {"t"}
    for node in fleet.nodes.values():  # an ordinary table again
        node.run("UPDATE leaving SET name = 'here'; TRUNCATE leaving")
    assert "not federated" in fleet.rows("federate", "leaving", "--drop", "--yes", code=1).err
