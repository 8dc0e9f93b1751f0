# SPDX-License-Identifier: MIT
"""`wildcam rows migrate`: schema changes go through the mesh while clients write, regions are away and the verb is killed."""
import pytest

import clipage
import rowsfleet
import rowspq
from rowsfleet import Writers
from waiting import until


@pytest.fixture(scope="module")
def fleet():
    with rowsfleet.Fleet(3) as fleet:
        yield fleet


def table(fleet, name, columns="id bigint PRIMARY KEY, name text", *options):
    for node in fleet.nodes.values():
        node.run(f"CREATE TABLE {name}({columns})")
    fleet.rows("federate", name, "--yes", *options)
    fleet.learn(name, "insert-only" if options else "lww")


def migrate(fleet, text, *options, code=0):
    return fleet.rows("migrate", fleet.sql(text), "--yes", *options, code=code)


def count(fleet, what, wanted):
    found = {number: node.value(f"SELECT count(*) FROM {what}") for number, node in fleet.nodes.items()}
    assert set(found.values()) == {str(wanted)}, found


def columns(node, name):
    return node.value(f"SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute WHERE attrelid = '{name}'::regclass AND attnum > 0 "
                      "AND NOT attisdropped")


@pytest.mark.parametrize("name, options", [("grown", []), ("grown_once", ["--insert-only"])])
def test_a_new_column_while_clients_write(fleet, name, options):
    table(fleet, name, "id bigint PRIMARY KEY, name text", *options)
    open_at = {}

    def one(node, n):
        if node in open_at:
            return f"INSERT INTO {name}(id, name, v) VALUES ({n * 10 + node}, 'n', 'own')"
        return f"INSERT INTO {name}(id, name) VALUES ({n * 10 + node}, 'n')"

    stumbles = fleet.stumbles()
    with Writers(fleet, one) as writers:
        answer = fleet.json("migrate", fleet.sql(f"ALTER TABLE {name} ADD COLUMN v text NOT NULL DEFAULT 'it''s';"), "--yes")
        clipage.check("rows migrate", answer)
        assert answer["finished"] and answer["ran"] == 9
        open_at.update({number: True for number in fleet.nodes})
        writers.more()
    fleet.settle(name)
    count(fleet, name, sum(writers.written.values()))
    assert int(fleet[1].value(f"SELECT count(*) FROM {name} WHERE v = 'own'")) >= 20
    assert fleet.stumbles() == stumbles, "no stream has stumbled"


def test_closed_until_every_region_sends_it(fleet):
    """The order cannot be got wrong: with a region away the column is there, and nobody can write what that region would lose."""
    table(fleet, "closed")
    fleet[1].run("INSERT INTO closed VALUES (1, 'x')")
    fleet.converge()
    change = fleet.sql("ALTER TABLE closed ADD COLUMN extra int;\nCREATE INDEX closed_extra ON closed(extra)")
    fleet[3].stop()
    try:
        done = fleet.rows("migrate", change, "--yes", code=3)
        assert "westus2" in done.err
        assert columns(fleet[1], "closed") == "_v extra id name"
        for sql in ("UPDATE closed SET extra = 1", "INSERT INTO closed VALUES (2, 'y', DEFAULT, 5)"):
            with pytest.raises(rowspq.Failed, match="not open yet"):
                fleet[2].run(sql)
        fleet[1].run("UPDATE closed SET name = 'z'")
        fleet[2].run("INSERT INTO closed(id, name) VALUES (3, 'w')")
        assert "not finished" in migrate(fleet, "DROP TABLE IF EXISTS nothing", code=1).err
        assert fleet[1].value(f"SELECT attnames::text FROM pg_publication_tables WHERE tablename = 'journal_{fleet.number('closed')}'") == \
            "{v,pv,origin,op,id,name}"
        assert fleet[1].value("SELECT to_regclass('closed_extra') IS NULL") == "t"
    finally:
        fleet[3].start()
    for node in fleet.nodes.values():
        node.run("CREATE TABLE too_early(id int PRIMARY KEY)")
    assert "not finished" in fleet.rows("federate", "too_early", "--yes", code=1).err
    fleet[3].run("UPDATE closed SET name = 'third' WHERE id = 1")  # it does not know the column yet
    done = fleet.rows("migrate", change, "--yes")
    assert "closed_extra" not in done.err and "us-west-2" in done.err
    fleet[3].run("UPDATE closed SET extra = 7 WHERE id = 3")
    fleet.settle("closed")
    count(fleet, "closed WHERE extra = 7", 1)
    count(fleet, "closed WHERE name = 'third'", 1)
    assert "done before" in fleet.rows("migrate", change, "--yes").out


def test_a_column_goes_after_its_last_row(fleet):
    """Rows that still carry it are on their way to a region that hears late: dropped earlier, that stream would stop for ever."""
    table(fleet, "shrunk", "id bigint PRIMARY KEY, name text, old text NOT NULL")
    stumbles = fleet.stumbles()
    fleet[1].run("INSERT INTO shrunk VALUES (1, 'x', 'o')")
    fleet.converge()
    fleet.cut(2, 1)
    fleet[1].run("INSERT INTO shrunk SELECT g, 'y', 'o' FROM generate_series(2, 50) g")
    process = fleet.start_rows("migrate", fleet.sql("ALTER TABLE shrunk DROP COLUMN old"), "--yes")
    until(lambda: fleet[3].value("SELECT array_length(done, 1) FROM wildcam.migration_run WHERE finished IS NULL") == "2", "two of three phases")
    assert columns(fleet[2], "shrunk") == "_v id name old"
    for number, node in fleet.nodes.items():
        node.run(f"INSERT INTO shrunk(id, name) VALUES ({100 + number}, 'without')")
    fleet.restore(2, 1)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    fleet.settle("shrunk")
    count(fleet, "shrunk", 53)
    assert {columns(node, "shrunk") for node in fleet.nodes.values()} == {"_v id name"}
    assert fleet.stumbles() == stumbles


def test_a_unique_key_comes_and_goes(fleet):
    table(fleet, "mails", "id bigint PRIMARY KEY, mail text")
    fleet[1].run("INSERT INTO mails VALUES (1, 'a'), (2, 'a')")
    fleet.converge()
    error = migrate(fleet, "CREATE UNIQUE INDEX mails_mail ON mails(mail)", code=1).err
    assert "1 rows have a value that another row has" in error
    fleet[2].run("UPDATE mails SET mail = 'b' WHERE id = 2")
    fleet.converge()

    def one(node, n):  # two regions use the same values
        return f"INSERT INTO mails VALUES ({n * 10 + node + 10}, 'm{n}') ON CONFLICT DO NOTHING"

    fleet[2].cuts = set()
    fleet.cut(3, 1)
    fleet[1].run("INSERT INTO mails VALUES (5, 'same')")
    fleet[3].run("INSERT INTO mails VALUES (6, 'same')")  # the later one
    fleet.cut(1, 3)
    process = fleet.start_rows("migrate", fleet.sql("CREATE UNIQUE INDEX mails_mail ON mails(mail)"), "--yes")
    fleet.restore(3, 1)
    fleet.restore(1, 3)
    out, err = process.communicate(timeout=90)
    if process.returncode == 1 and "another row has" in err:  # both had arrived by then: correct, and said
        fleet[1].run("UPDATE mails SET mail = 'other' WHERE id = 5")
        fleet.converge()
        migrate(fleet, "CREATE UNIQUE INDEX mails_mail ON mails(mail); -- again")
    else:
        assert process.returncode == 0, err
    with Writers(fleet, one, [1, 2]) as writers:
        writers.more(5)
    fleet.settle("mails")
    number = fleet.number("mails")
    parked = int(fleet[1].value(f"SELECT count(*) FROM wildcam.parked_{number}"))
    visible = int(fleet[1].value("SELECT count(*) FROM mails"))
    migrate(fleet, "DROP INDEX mails_mail")
    fleet.converge()
    fleet.same("mails")
    count(fleet, "mails", visible + parked)


def test_losers_that_were_written_on_the_way_are_parked(fleet):
    """Between the check and the index two regions commit the same value: the older row is parked, everywhere the same one."""
    table(fleet, "raced_key", "id bigint PRIMARY KEY, n int")
    change = fleet.sql("CREATE UNIQUE INDEX raced_key_n ON raced_key(n)")
    node, number = fleet[2], fleet.number("raced_key")
    holder = node.session()
    holder.run("BEGIN; INSERT INTO raced_key VALUES (1, 7)")  # not committed: the check cannot see it, the index waits
    fleet[1].run("INSERT INTO raced_key VALUES (2, 7)")
    fleet.converge(nodes=[1, 3])
    process = fleet.start_rows("migrate", change, "--yes")
    until(lambda: node.value("SELECT EXISTS (SELECT FROM wildcam.migration_run WHERE '0.0' = ANY (done) AND finished IS NULL)") == "t" or
          process.poll() is not None or fleet[1].value("SELECT to_regclass('raced_key_n') IS NOT NULL") == "t" or
          node.value("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'wildcam rows migrate')") == "t",
          "the migration has begun")
    holder.run("COMMIT")
    holder.close()
    _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    fleet.settle("raced_key")
    count(fleet, "raced_key", 1)
    count(fleet, f"wildcam.parked_{number}", 1)


def test_a_check_is_obeyed_before_it_can_refuse_what_arrives(fleet):
    table(fleet, "checked", "id bigint PRIMARY KEY, qty int")
    stumbles = fleet.stumbles()
    fleet[1].run("INSERT INTO checked VALUES (1, -1)")
    fleet.converge()
    change = "ALTER TABLE checked ADD CONSTRAINT positive CHECK (checked.qty > 0 AND qty <> 13) NOT VALID;\n" \
             "ALTER TABLE checked VALIDATE CONSTRAINT positive"
    assert "rows violate it" in migrate(fleet, change, code=1).err
    fleet[2].run("UPDATE checked SET qty = 2")
    fleet.converge()
    fleet.cut(3, 1)
    fleet[1].run("INSERT INTO checked VALUES (2, 5)")
    process = fleet.start_rows("migrate", fleet.sql(change), "--yes")
    until(lambda: fleet[3].value("SELECT EXISTS (SELECT FROM wildcam.migration_run WHERE '0.0' = ANY (done) AND finished IS NULL)") == "t",
          "local writers are held to it")
    with pytest.raises(rowspq.Failed, match="positive"):
        fleet[3].run("INSERT INTO checked VALUES (3, 13)")
    assert fleet[3].value("SELECT count(*) FROM pg_constraint WHERE conname = 'positive'") == "0"
    fleet.restore(3, 1)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    fleet.settle("checked")
    assert fleet.stumbles() == stumbles
    count(fleet, "pg_constraint WHERE conname = 'positive' AND convalidated", 1)
    count(fleet, "pg_trigger WHERE tgrelid = 'checked'::regclass AND tgname ~ 'migrating'", 0)


def test_killed_anywhere(fleet):
    table(fleet, "cut_short")
    change = fleet.sql("ALTER TABLE cut_short ADD COLUMN a int DEFAULT 3;\nALTER TABLE cut_short DROP COLUMN name;\n"
                       "CREATE UNIQUE INDEX cut_short_id ON cut_short(id, a);\nCREATE TABLE made(id int PRIMARY KEY);\n"
                       "CREATE INDEX CONCURRENTLY cut_short_a ON cut_short(a);")
    marks = [(1, "0.0"), (2, "0.1"), (3, "0.2"), (1, "1.1"), (2, "1.2"), (1, "2.0"), (3, "2.1"), (2, "3.0"), (1, "4.0")]

    def reached(node, mark):
        if fleet[node].value("SELECT to_regclass('wildcam.migration_run') IS NULL") == "t":
            return False
        return fleet[node].value(f"SELECT EXISTS (SELECT FROM wildcam.migration_run WHERE '{mark}' = ANY (done) AND file = '{change}')") == "t"

    with Writers(fleet, lambda node, n: f"INSERT INTO cut_short(id) VALUES ({n * 10 + node})") as writers:
        killed = sum(fleet.killed("migrate", change, "--yes", after=lambda: reached(*mark)) for mark in marks)
        assert killed >= 5, "too few of the runs were killed before their end"
        fleet.rows("migrate", change, "--yes")
        writers.more()
    fleet.settle("cut_short")
    count(fleet, "cut_short WHERE a = 3", sum(writers.written.values()))
    assert {columns(node, "cut_short") for node in fleet.nodes.values()} == {"_v a id"}
    count(fleet, "pg_index WHERE indexrelid IN (to_regclass('cut_short_id'), to_regclass('cut_short_a')) AND indisvalid", 2)


def test_what_cannot_go_on_is_abandoned_between_two_statements(fleet):
    table(fleet, "stuck")
    fleet[2].run("CREATE TABLE holder(stuck_name int)")
    fleet[2].run("ALTER TABLE holder RENAME TO stuck_name")  # the index cannot be made there
    change = fleet.sql("ALTER TABLE stuck ADD COLUMN a int;\nCREATE INDEX stuck_name ON stuck(name)")
    assert "us-east-1" in fleet.rows("migrate", change, "--yes", code=1).err
    assert "done by halves" in fleet.rows("migrate", change, "--abandon", code=1).err
    fleet[1].run("CREATE TABLE other_name(id int)")
    other = fleet.sql("CREATE TABLE other_name(id int);")
    fleet[2].run("DROP TABLE stuck_name")
    fleet.rows("migrate", change, "--yes")
    fleet[1].run("DROP TABLE other_name")
    broken = fleet.sql("ALTER TABLE stuck ADD COLUMN b int;\nALTER TABLE stuck ADD CONSTRAINT stuck_fk FOREIGN KEY (a) REFERENCES nowhere NOT VALID")
    assert "nowhere" in fleet.rows("migrate", broken, "--yes", code=1).err
    assert "not finished" in fleet.rows("migrate", other, "--yes", code=1).err
    assert "abandoned" in fleet.rows("migrate", broken, "--abandon").out
    assert columns(fleet[3], "stuck") == "_v a b id name"
    fleet.rows("migrate", other, "--yes")


def test_plan_changes_nothing(fleet):
    table(fleet, "planned")
    change = fleet.sql("ALTER TABLE planned ADD COLUMN a int;\nDROP TABLE IF EXISTS nowhere;\nCREATE TYPE mood AS ENUM ('so');\n"
                       "ALTER TYPE mood ADD VALUE 'la';\nCOMMENT ON TABLE planned IS 'x'")
    done = fleet.rows("migrate", change, "--plan")
    assert "closed for writers: 0 of 3 regions have it" in done.out and "begins when all have the one before" in done.out
    assert columns(fleet[1], "planned") == "_v id name"
    fleet.rows("migrate", change, "--yes")
    count(fleet, "pg_enum WHERE enumlabel = 'la'", 1)


@pytest.mark.parametrize("text, words", [
    ("ALTER TABLE refused ADD COLUMN at timestamptz DEFAULT now()", "no constant"),
    ("ALTER TABLE refused ADD COLUMN name int", "has this column already"),
    ("ALTER TABLE refused DROP COLUMN id", "primary key"),
    ("ALTER TABLE refused DROP COLUMN none", "no such column"),
    ("ALTER TABLE none ADD COLUMN a int", "no such table"),
    ("DROP TABLE refused", "--drop"),
    ("CREATE UNIQUE INDEX i ON refused(lower(name))", "on an expression"),
    ("CREATE UNIQUE INDEX i ON refused(name) WHERE id > 1", "WHERE"),
    ("CREATE UNIQUE INDEX CONCURRENTLY i ON refused(name)", "CONCURRENTLY"),
    ("ALTER TABLE refused ADD COLUMN good int; DROP INDEX nowhere", "no such index"),
])
def test_refused_before_anything_changes(fleet, text, words):
    if fleet[1].value("SELECT to_regclass('refused') IS NULL") == "t":
        table(fleet, "refused")
    code = 2 if words == "no constant" else 1
    assert words in migrate(fleet, text, code=code).err
    assert columns(fleet[1], "refused") == "_v id name"
    assert fleet[1].value("SELECT count(*) FROM wildcam.migration_run WHERE finished IS NULL") == "0"
