# SPDX-License-Identifier: MIT
"""What clients may write into federated tables, and what must not be written: every type of column, odd names, keys that change,
statements that touch many rows or none, transactions that are rolled back, versions that a client brings; rows that no peer can
store; roles."""
import pytest

import rowskit
import rowspq
from rowskit import until

ODD = '"Odd ""Name"" with Blanks"'
LONG = "t" + "x" * 62  # 63 bytes: the longest name there is
LONG_COLUMN = "c" + "y" * 62


@pytest.fixture
def mesh(rows_mesh):
    yield rows_mesh
    for pair in list(rows_mesh.cuts):
        rows_mesh.restore(*pair)


@pytest.fixture
def key(rows_key):
    return rows_key()


@pytest.fixture(scope="module")
def typed(rows_mesh):
    rows_mesh.federate(
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s'); CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100); CREATE TYPE point3 AS (x int, y text);"
        "CREATE TABLE typed(id int PRIMARY KEY, b boolean, s smallint, i bigint, r real, d double precision, n numeric, nn numeric(10, 3), t text,"
        " c char(5), v varchar(20), y bytea, j json, jb jsonb, u uuid, ts timestamp, tz timestamptz, da date, ti time, iv interval, ia int[], ta text[][],"
        " m mood, ma mood[], p percent, ip inet, ci cidr, mac macaddr, rg int4range, bits bit varying(9), po point, row3 point3, x xml, tv tsvector,"
        f" \"select\" int, \"Ünïcode\" text, g bigint GENERATED ALWAYS AS (i * 2) STORED, {LONG_COLUMN} text)", "typed")
    rows_mesh.federate(f"CREATE TABLE {ODD}(\"The Key\" text PRIMARY KEY, \"sel'ect\" text UNIQUE, \"a\"\"b\" int)", ODD)
    rows_mesh.federate(f"CREATE TABLE {LONG}({LONG_COLUMN} bigint PRIMARY KEY, u text UNIQUE)", LONG)
    rows_mesh.federate("CREATE TABLE counted(id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT BY 10), name text, PRIMARY KEY (id));"
                        "DO $$ BEGIN EXECUTE format('ALTER SEQUENCE counted_id_seq RESTART WITH %s', wildcam.me()); END $$", "counted")
    rows_mesh.federate("CREATE TABLE bare(a int, b text, PRIMARY KEY (b, a))", "bare")
    return rows_mesh


def everywhere(mesh, query, wanted):
    for number, node in mesh.nodes.items():
        assert node.rows(query) == wanted, f"n{number}: {query}"


def journaled(mesh, table, where):
    return [int(node.value(f"SELECT count(*) FROM wildcam.journal_{mesh.number(table)} WHERE {where}")) for node in mesh.nodes.values()]


VALUES = {
    "NULL": {},
    "NaN and infinity": {"r": "'NaN'", "d": "'-Infinity'", "n": "'NaN'", "ts": "'infinity'", "tz": "'-infinity'", "da": "'infinity'"},
    "zero and minus zero": {"r": "'-0'", "d": "0", "n": "0.000", "nn": "-0.001"},
    "limits": {"s": "-32768", "i": "4611686018427387903", "d": "1.7976931348623157e308", "n": "1e-300", "r": "1.17549435e-38"},
    "empty texts": {"t": "''", "c": "''", "v": "''", "y": "''", "ia": "'{}'", "ta": "'{}'", "jb": "'{}'", "x": "''"},
    "texts": {"t": "E'tab\\t line\\n quote'' backslash\\\\ \\u00e9\\U0001F600'", "c": "'ab'", "v": "'\\N'", "\"Ünïcode\"": "'ß'", LONG_COLUMN: "'long'"},
    "bytes": {"y": "'\\x00ff10005c27'", "bits": "B'101'"},
    "json": {"j": "'{\"b\":1,  \"a\":[null,1e3], \"a\":2}'", "jb": "'{\"b\":1,\"a\":{\"c\":[1,\"\\\\u00e9\"]}}'"},
    "arrays": {"ia": "'[5:7]={1,NULL,3}'", "ta": "'{{a,\"b,\\\"c\"},{NULL,\"NULL\"}}'", "ma": "'{sad,NULL}'"},
    "enum, domain, composite": {"m": "'it''s'", "p": "100", "row3": "ROW(1, 'a,b')"},
    "times": {"ts": "'2024-02-29 23:59:59.999999'", "tz": "'4713-01-01 00:00 BC'", "ti": "'24:00'", "iv": "'1 mon -2 days 03:04:05.6'", "da": "'5874897-12-31'"},
    "networks": {"ip": "'::1/64'", "ci": "'10.0.0.0/8'", "mac": "'08:00:2b:01:02:03'", "u": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"},
    "others": {"rg": "'[1,5)'", "po": "'(1.5,-2)'", "x": "'<a b=\"1\">x</a>'", "tv": "'fat:2 cat:1A'", "\"select\"": "7", "b": "true"},
    "a mebibyte": {"t": "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 32768) g)",
                   "y": "decode((SELECT string_agg(md5(g::text), '') FROM generate_series(1, 65536) g), 'hex')"},
}


@pytest.mark.parametrize("what", VALUES)
def test_values_of_every_type_arrive_as_they_are(typed, key, what):
    values = VALUES[what]
    typed[1].run(f"INSERT INTO typed({', '.join(['id', *values])}) VALUES ({', '.join([str(key), *values.values()])})")
    typed.converge()
    typed.same("typed")
    query = f"SELECT to_jsonb(whole) - '_v' FROM typed whole WHERE id = {key}"
    written = typed[1].rows(query)
    assert len(written) == 1
    # a change of another column carries it along, a delete takes the whole row
    typed[2].run(f"UPDATE typed SET s = 1 WHERE id = {key}")
    typed.converge()
    typed.same("typed")
    everywhere(typed, f"SELECT to_jsonb(whole) - '_v' - 's' FROM typed whole WHERE id = {key}", [(typed[2].value(query.replace("- '_v'", "- '_v' - 's'")),)])
    typed[3].run(f"DELETE FROM typed WHERE id = {key}")
    typed.converge()
    everywhere(typed, query, [])
    typed.same("typed")


def test_quoted_names(typed, key):
    typed[1].run(f"INSERT INTO {ODD}(\"The Key\", \"sel'ect\", \"a\"\"b\") VALUES ('k{key}', 'u', 1)")
    typed.converge()
    typed[2].run(f"UPDATE {ODD} SET \"a\"\"b\" = 2, \"The Key\" = 'm{key}'")
    typed.converge()
    everywhere(typed, f"SELECT \"The Key\", \"sel'ect\", \"a\"\"b\" FROM {ODD}", [(f"m{key}", "u", "2")])
    typed[3].run(f"DELETE FROM {ODD}")
    typed.converge()
    typed.same(ODD)


def test_names_of_63_bytes(typed, key):
    typed.cut_all()
    typed[1].run(f"INSERT INTO {LONG} VALUES ({key}, 'same')")
    typed[2].run(f"INSERT INTO {LONG} VALUES ({key + 1}, 'same')")
    typed.restore_all()
    typed.converge()
    everywhere(typed, f"SELECT {LONG_COLUMN} FROM {LONG}", [(str(key + 1),)])
    typed[3].run(f"DELETE FROM {LONG}")
    typed.converge()
    everywhere(typed, f"SELECT {LONG_COLUMN} FROM {LONG}", [(str(key),)])
    typed.same(LONG)


def test_identity_columns_keep_their_numbers(typed):
    typed[2].run("INSERT INTO counted(name) VALUES ('a'), ('b')")
    typed.converge()
    typed[3].run("UPDATE counted SET name = 'c' WHERE name = 'b'; DELETE FROM counted WHERE name = 'a'")
    typed.converge()
    everywhere(typed, "SELECT id, name FROM counted", [("12", "c")])
    typed.same("counted")


def test_a_table_that_is_only_its_key(typed, key):
    typed[1].run(f"INSERT INTO bare VALUES ({key}, 'x'), ({key}, 'y')")
    typed.converge()
    typed[2].run(f"UPDATE bare SET b = 'z' WHERE a = {key} AND b = 'x'; DELETE FROM bare WHERE a = {key} AND b = 'y'")
    typed.converge()
    everywhere(typed, f"SELECT b FROM bare WHERE a = {key}", [("z",)])
    typed.same("bare")


def test_truncate_is_refused_and_says_what_to_do(mesh):
    for table in ("items", "accounts", "seen"):
        with pytest.raises(rowspq.Failed, match="DELETE"):
            mesh[1].run(f"TRUNCATE {table}")


def test_insert_only_rows_do_not_change(mesh, key):
    mesh[1].run("INSERT INTO seen(camera) VALUES (1)")
    for statement in ("UPDATE seen SET camera = 2", "DELETE FROM seen", "INSERT INTO seen(camera, _origin) VALUES (1, 2)"):
        with pytest.raises(rowspq.Failed):
            mesh[1].run(statement)
    mesh.converge()
    mesh.same("seen")


@pytest.mark.parametrize("ddl, reason", [
    ("CREATE TABLE refused(id int, t text)", "primary key"),
    ("CREATE TABLE refused(id int PRIMARY KEY, u int UNIQUE DEFERRABLE)", "deferr"),
    ("CREATE TABLE refused(id int PRIMARY KEY DEFERRABLE, u int)", "deferr"),
    ("CREATE TABLE refused(id int PRIMARY KEY, u int); CREATE UNIQUE INDEX ON refused(u) WHERE u > 0", "partial|unique"),
    ("CREATE TABLE refused(id int PRIMARY KEY, u text); CREATE UNIQUE INDEX ON refused(lower(u))", "expression|unique"),
    ("CREATE TABLE refused(id int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&))", "exclu"),
    ("CREATE UNLOGGED TABLE refused(id int PRIMARY KEY)", "unlogged|WAL|log"),
    ("CREATE TABLE refused(id int PRIMARY KEY) PARTITION BY RANGE (id)", "partition"),
    ("CREATE VIEW refused AS SELECT 1 AS id", "view|table"),
    ("CREATE TABLE refused(id serial PRIMARY KEY)", "refused_id_seq"),
    ("CREATE TABLE refused(id int PRIMARY KEY); CREATE OR REPLACE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
     "CREATE TRIGGER zzz_late BEFORE UPDATE ON refused FOR EACH ROW EXECUTE FUNCTION late()", "zzz_late"),
    ("CREATE TABLE refused(id int PRIMARY KEY, _v bigint)", "_v"),
])
def test_tables_that_cannot_converge_are_refused_with_the_reason(mesh, ddl, reason):
    mesh[1].run(ddl)
    try:
        with pytest.raises(AssertionError, match=f"(?i){reason}"):
            rowskit.rows_sql("table", 1, "n1", mesh[1].conninfo(), "999:lww:refused")
    finally:
        mesh[1].run("DROP VIEW refused" if "VIEW" in ddl else "DROP TABLE refused")


def test_on_conflict_journals_only_what_was_written(mesh, key):
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'a')")
    assert journaled(mesh, "items", f"id = {key}") == [1, 0, 0]
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'b') ON CONFLICT DO NOTHING")
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'b') ON CONFLICT (id) DO UPDATE SET name = 'c' WHERE items.qty > 5")
    assert journaled(mesh, "items", f"id = {key}") == [1, 0, 0]
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'b') ON CONFLICT (id) DO UPDATE SET name = 'd'")
    assert journaled(mesh, "items", f"id = {key}") == [2, 0, 0]
    mesh.converge()
    everywhere(mesh, f"SELECT name FROM items WHERE id = {key}", [("d",)])
    mesh.same("items")


def test_a_savepoint_that_is_rolled_back_leaves_nothing(mesh, key):
    mesh[1].run(f"BEGIN; INSERT INTO accounts(id, email) VALUES ({key}, 'a{key}'); SAVEPOINT s; UPDATE accounts SET balance = 5 WHERE id = {key};"
                f"DELETE FROM accounts WHERE id = {key}; INSERT INTO accounts(id, email) VALUES ({key + 1}, 'b{key}'); ROLLBACK TO s; COMMIT")
    assert journaled(mesh, "accounts", f"id IN ({key}, {key + 1})") == [1, 0, 0]
    mesh.converge()
    everywhere(mesh, f"SELECT id, balance FROM accounts WHERE id IN ({key}, {key + 1})", [(str(key), "0")])
    mesh.same("accounts")


def test_a_failed_statement_leaves_nothing(mesh, key):
    with pytest.raises(rowspq.Failed):
        mesh[1].run(f"INSERT INTO accounts(id, email, balance) VALUES ({key}, 'c{key}', 1), ({key + 1}, 'd{key}', -1)")
    assert journaled(mesh, "accounts", f"id IN ({key}, {key + 1})") == [0, 0, 0]


def test_copy(mesh, key):
    session = mesh[2].session()
    session.copy("COPY items(id, name, payload) FROM STDIN", "".join(f"{key + n}\trow {n}\t\\N\n" for n in range(50)))
    session.close()
    mesh.converge()
    everywhere(mesh, f"SELECT count(*), count(DISTINCT name), count(payload) FROM items WHERE id BETWEEN {key} AND {key + 49}", [("50", "50", "0")])
    mesh.same("items")


def test_one_statement_that_writes_a_row_many_times(mesh, key):
    """Writable CTEs and a function: each version of the row is above the last."""
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'x')")
    mesh[1].run(f"DO $$ BEGIN FOR i IN 1 .. 50 LOOP UPDATE items SET qty = i WHERE id = {key}; END LOOP; END $$")
    rows = mesh[1].rows(f"SELECT v, pv, qty FROM wildcam.journal_{mesh.number('items')} WHERE id = {key} ORDER BY v")
    assert [row[2] for row in rows] == [str(n) for n in range(51)]
    assert all(rows[n][1] == rows[n - 1][0] for n in range(1, 51)), "a version that does not name the one it replaced"
    mesh.converge()
    everywhere(mesh, f"SELECT qty FROM items WHERE id = {key}", [("50",)])


def test_merge_statement(mesh, key):
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'old'), ({key + 1}, 'gone')")
    mesh[1].run(f"MERGE INTO items i USING (VALUES ({key}, 'new'), ({key + 1}, NULL), ({key + 2}, 'more')) s(id, name) ON i.id = s.id "
                "WHEN MATCHED AND s.name IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET name = s.name "
                "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)")
    mesh.converge()
    everywhere(mesh, f"SELECT id, name FROM items WHERE id BETWEEN {key} AND {key + 2} ORDER BY id", [(str(key), "new"), (str(key + 2), "more")])
    mesh.same("items")


def test_deferred_foreign_keys(mesh, rows_key, key):
    if "deferred" not in mesh.tables:
        mesh.federate("CREATE TABLE deferred(id bigint PRIMARY KEY, up bigint REFERENCES deferred DEFERRABLE INITIALLY DEFERRED)", "deferred")
    mesh[1].run(f"BEGIN; INSERT INTO deferred VALUES ({key}, {key + 1}), ({key + 1}, {key}); COMMIT")
    mesh.converge()
    everywhere(mesh, f"SELECT count(*) FROM deferred WHERE id IN ({key}, {key + 1})", [("2",)])
    with pytest.raises(rowspq.Failed):
        mesh[1].run(f"BEGIN; INSERT INTO deferred VALUES ({key + 5}, {key + 6}); COMMIT")
    mesh.converge()
    everywhere(mesh, f"SELECT count(*) FROM deferred WHERE id = {key + 5}", [("0",)])
    mesh.same("deferred")


def test_on_update_cascade_and_set_null(mesh, key):
    if "lower" not in mesh.tables:
        mesh.federate("CREATE TABLE upper(id bigint PRIMARY KEY); CREATE TABLE lower(id bigint PRIMARY KEY, "
                      "up bigint REFERENCES upper ON UPDATE CASCADE ON DELETE SET NULL)", "upper", "lower")
    mesh[1].run(f"INSERT INTO upper VALUES ({key}); INSERT INTO lower VALUES ({key}, {key})")
    mesh.converge()
    mesh[2].run(f"UPDATE upper SET id = {key + 1} WHERE id = {key}")
    mesh.converge()
    everywhere(mesh, f"SELECT up FROM lower WHERE id = {key}", [(str(key + 1),)])
    mesh[3].run(f"DELETE FROM upper WHERE id = {key + 1}")
    mesh.converge()
    everywhere(mesh, f"SELECT up FROM lower WHERE id = {key}", [(None,)])
    mesh.same("upper", "lower")


@pytest.mark.parametrize("name", ["a_mine", "zz_mine"])
def test_a_trigger_of_the_users_own(mesh, key, name):
    """Runs where the client writes and nowhere else; what it made of the row is what travels."""
    table = f"own_{name}"
    mesh.federate(f"CREATE TABLE {table}(id bigint PRIMARY KEY, t text);"
                  f"CREATE OR REPLACE FUNCTION {table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.t := upper(NEW.t) || wildcam.me(); RETURN NEW; END $$;"
                  f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {table}()", table)
    mesh[1].run(f"INSERT INTO {table} VALUES ({key}, 'x')")
    mesh.converge()
    everywhere(mesh, f"SELECT t FROM {table} WHERE id = {key}", [("X1",)])
    mesh[2].run(f"UPDATE {table} SET t = 'y' WHERE id = {key}")
    mesh.converge()
    everywhere(mesh, f"SELECT t FROM {table} WHERE id = {key}", [("Y2",)])
    mesh.same(table)


def test_a_users_trigger_that_forbids_the_write(mesh, key):
    mesh.federate("CREATE TABLE forbidden(id bigint PRIMARY KEY, t text); CREATE OR REPLACE FUNCTION forbidden() RETURNS trigger LANGUAGE plpgsql AS "
                  "$$ BEGIN IF NEW.t = 'no' THEN RETURN NULL; END IF; RETURN NEW; END $$;"
                  "CREATE TRIGGER zz BEFORE INSERT OR UPDATE ON forbidden FOR EACH ROW EXECUTE FUNCTION forbidden()", "forbidden")
    mesh[1].run(f"INSERT INTO forbidden VALUES ({key}, 'yes'), ({key + 1}, 'no')")
    mesh[1].run(f"UPDATE forbidden SET t = 'no' WHERE id = {key}")
    mesh.converge()
    everywhere(mesh, "SELECT id, t FROM forbidden", [(str(key), "yes")])
    mesh.same("forbidden")


def test_a_version_that_a_client_brings(mesh, key):
    """From a dump, or a copy of another row: never the version of two contents, never below what was there."""
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'v1')")
    mesh.converge()
    old = mesh[1].value(f"SELECT _v FROM items WHERE id = {key}")
    mesh[2].run(f"UPDATE items SET name = 'v2', _v = {old} WHERE id = {key}")
    mesh.converge()
    everywhere(mesh, f"SELECT name FROM items WHERE id = {key}", [("v2",)])
    mesh[3].run(f"DELETE FROM items WHERE id = {key}; INSERT INTO items(id, name, _v) VALUES ({key}, 'dumped', {old})")
    mesh.converge()
    everywhere(mesh, f"SELECT name FROM items WHERE id = {key}", [("dumped",)])
    mesh[1].run(f"INSERT INTO items(id, name, _v) VALUES ({key + 1}, 'zero', 0), ({key + 2}, 'below', -5)")
    mesh.converge()
    everywhere(mesh, f"SELECT count(*) FROM items WHERE id BETWEEN {key} AND {key + 2} AND _v > {old}", [("3",)])
    mesh.same("items")


def test_refused_writes_say_why_and_nothing_is_written(mesh, key):
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'x')")
    mesh[1].run("SELECT wildcam.refuse('the clock is 3.2 s ahead')")
    try:
        for statement in (f"INSERT INTO items(id) VALUES ({key + 1})", f"UPDATE items SET name = 'y' WHERE id = {key}", f"DELETE FROM items WHERE id = {key}"):
            with pytest.raises(rowspq.Failed, match="3.2 s ahead") as refused:
                mesh[1].run(statement)
            assert refused.value.state == "55W01"
        assert mesh[1].value(f"SELECT name FROM items WHERE id = {key}") == "x"
        mesh[2].run(f"INSERT INTO items(id, name) VALUES ({key + 2}, 'from elsewhere')")
        mesh.converge()  # beats and what arrives go on
    finally:
        mesh[1].run("SELECT wildcam.allow()")
        mesh[1].clocked = False
    mesh[1].run(f"UPDATE items SET name = 'z' WHERE id = {key}")
    mesh.converge()
    everywhere(mesh, f"SELECT name FROM items WHERE id IN ({key}, {key + 2}) ORDER BY id", [("z",), ("from elsewhere",)])


def test_a_poison_row_becomes_a_dead_letter_and_the_stream_goes_on(mesh, key):
    """A check that only one node has: guarded, the row is put aside there, and comes in when the check is gone."""
    number = mesh.number("parents")
    mesh[2].run(f"ALTER TABLE parents ADD CONSTRAINT only_here CHECK (t <> 'poison') NOT VALID; SELECT wildcam.guard({number}, true)")
    try:
        mesh[1].run(f"INSERT INTO parents VALUES ({key}, 'poison'), ({key + 1}, 'good'); UPDATE parents SET t = 'poison' WHERE id = {key + 1};"
                    f"INSERT INTO parents VALUES ({key + 2}, 'behind')")
        mesh.converge()
        assert mesh[2].rows(f"SELECT id, t FROM parents WHERE id BETWEEN {key} AND {key + 2} ORDER BY id") == [(str(key + 1), "good"), (str(key + 2), "behind")]
        letters = mesh[2].rows(f"SELECT key->>'id', op, origin, sqlstate, message FROM wildcam.dead_letter WHERE number = {number} ORDER BY id")
        assert [letter[:4] for letter in letters] == [(str(key), "I", "1", "23514"), (str(key + 1), "U", "1", "23514")]
        assert all("only_here" in letter[4] for letter in letters)
        assert mesh[2].rows("SELECT * FROM wildcam.retry_dead_letters()") == [("0", "2")]
    finally:
        mesh[2].run("ALTER TABLE parents DROP CONSTRAINT only_here")
    assert mesh[2].rows("SELECT * FROM wildcam.retry_dead_letters()") == [("2", "0")]
    mesh[2].run(f"SELECT wildcam.guard({number}, false)")
    mesh.same("parents")


def test_a_letter_that_is_too_old_changes_nothing(mesh, key):
    number = mesh.number("parents")
    mesh[3].run(f"ALTER TABLE parents ADD CONSTRAINT only_here CHECK (t <> 'poison') NOT VALID; SELECT wildcam.guard({number}, true)")
    try:
        mesh[1].run(f"INSERT INTO parents VALUES ({key}, 'poison')")
        mesh.converge()
        mesh[1].run(f"UPDATE parents SET t = 'newer' WHERE id = {key}")
        mesh.converge()
    finally:
        mesh[3].run("ALTER TABLE parents DROP CONSTRAINT only_here")
    assert mesh[3].rows("SELECT * FROM wildcam.retry_dead_letters()") == [("1", "0")]
    mesh[3].run(f"SELECT wildcam.guard({number}, false)")
    everywhere(mesh, f"SELECT t FROM parents WHERE id = {key}", [("newer",)])
    mesh.same("parents")


def test_without_the_guard_the_stream_waits_and_loses_nothing(mesh, key):
    """The poison's cause goes away: the stream goes on by itself; meanwhile the other origins flow."""
    mesh[2].run("ALTER TABLE parents ADD CONSTRAINT only_here CHECK (t <> 'poison') NOT VALID")
    before = mesh[2].errors()
    try:
        mesh[1].run(f"INSERT INTO parents VALUES ({key}, 'poison'), ({key + 1}, 'behind')")
        until(lambda: mesh[2].errors() > before, "an apply error is counted")
        mesh[3].run(f"INSERT INTO parents VALUES ({key + 2}, 'of n3')")
        until(lambda: mesh[2].rows(f"SELECT 1 FROM parents WHERE id = {key + 2}"), "the other origin flows")
        assert not mesh[2].rows(f"SELECT 1 FROM parents WHERE id IN ({key}, {key + 1})")
    finally:
        mesh[2].run("ALTER TABLE parents DROP CONSTRAINT only_here")
    mesh.converge()
    everywhere(mesh, f"SELECT count(*) FROM parents WHERE id BETWEEN {key} AND {key + 2}", [("3",)])
    mesh.same("parents")


def test_a_big_transaction_does_not_stop_other_origins(mesh, key):
    mesh.cut(2, 1)
    mesh[1].run(f"INSERT INTO raced SELECT g, 'big' FROM generate_series({key} * 1000, {key} * 1000 + 29999) g")
    mesh.restore(2, 1)
    mesh[3].run(f"INSERT INTO items(id, name) VALUES ({key}, 'small')")
    until(lambda: mesh[2].rows(f"SELECT 1 FROM items WHERE id = {key}"), "the small one")
    assert mesh[2].value("SELECT count(*) FROM raced WHERE name = 'big'") == "0", "the big one was there first: nothing was shown"
    mesh.converge()
    assert mesh[2].value("SELECT count(*) FROM raced WHERE name = 'big'") == "30000"


def test_bulk_changes_are_split_by_a_helper(mesh, key):
    mesh[1].run(f"INSERT INTO items(id, name) SELECT g, 'split' FROM generate_series({key}, {key + 899}) g")
    number = mesh.number("items")
    before = mesh[1].value(f"SELECT count(DISTINCT xmin::text) FROM wildcam.journal_{number}")
    mesh[1].run(f"CALL wildcam.split('UPDATE items SET qty = 9 WHERE id BETWEEN {key} AND {key + 899}', 100)")
    after = mesh[1].value(f"SELECT count(DISTINCT xmin::text) FROM wildcam.journal_{number}")
    assert int(after) - int(before) > 1, "one transaction"
    mesh.converge()
    everywhere(mesh, f"SELECT count(*) FROM items WHERE qty = 9 AND id BETWEEN {key} AND {key + 899}", [("900",)])
    mesh[1].run(f"CALL wildcam.split('DELETE FROM items WHERE id BETWEEN {key} AND {key + 899}', 100)")
    mesh.converge()
    everywhere(mesh, f"SELECT count(*) FROM items WHERE id BETWEEN {key} AND {key + 899}", [("0",)])
    mesh.same("items")


def test_journals_are_emptied_while_a_peer_is_away(mesh, key):
    mesh.cut(2, 1)
    mesh[1].run(f"INSERT INTO items(id, name, payload) SELECT g, 'gc', repeat('p', 5000) FROM generate_series({key}, {key + 500}) g")
    mesh[1].run("SELECT * FROM wildcam.collect('0')")
    assert mesh[1].value(f"SELECT count(*) FROM wildcam.journal_{mesh.number('items')}") == "0"
    mesh[1].run(f"UPDATE items SET qty = 1 WHERE id BETWEEN {key} AND {key + 10}")
    mesh.restore(2, 1)
    mesh.converge()
    everywhere(mesh, f"SELECT count(*), sum(qty) FROM items WHERE id BETWEEN {key} AND {key + 500}", [("501", "11")])
    mesh.same("items", tombstones=False)


def test_tombstones_stay_until_every_node_has_everything(mesh, key):
    tombstone = f"SELECT count(*) FROM wildcam.tombstone_{mesh.number('items')} WHERE id = {key}"
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'x')")
    mesh.converge()
    mesh.cut(3, 2)
    mesh[2].run(f"UPDATE items SET name = 'older' WHERE id = {key}")
    mesh[1].run(f"DELETE FROM items WHERE id = {key}")
    for _ in range(3):
        for node in mesh.nodes.values():
            node.run("SELECT wildcam.beat(); SELECT * FROM wildcam.collect('0')")
    assert [node.value(tombstone) for node in mesh.nodes.values()] != ["0", "0", "0"]
    until(lambda: mesh[3].value(tombstone) == "1", "the delete at n3")
    mesh[3].run("SELECT wildcam.beat(); SELECT * FROM wildcam.collect('0')")
    assert mesh[3].value(tombstone) == "1", "collected while an older version was on its way"
    mesh.restore(3, 2)
    mesh.converge()
    everywhere(mesh, f"SELECT name FROM items WHERE id = {key}", [])

    def collected():
        for node in mesh.nodes.values():
            node.run("SELECT wildcam.beat(); SELECT * FROM wildcam.collect('0')")
        return [node.value(tombstone) for node in mesh.nodes.values()] == ["0", "0", "0"]

    until(collected, "the tombstone goes when everybody has everything")


def test_safe_stands_still_below_an_open_transaction(mesh, key):
    """A version that is stamped but not committed must not be below the announced moment."""
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'x')")
    session = mesh[1].session()
    try:
        session.run("BEGIN")
        session.run(f"UPDATE items SET name = 'open' WHERE id = {key}")
        version = int(session.value(f"SELECT _v FROM items WHERE id = {key}")) >> 8
        announced = [int(mesh[1].value("SELECT wildcam.beat()")) for _ in range(3)]
        assert max(announced) < version
        session.run("COMMIT")
    finally:
        session.close()
    until(lambda: int(mesh[1].value("SELECT wildcam.beat()")) >= version, "it moves on")
    mesh.converge()


def test_replay_brings_back_what_a_node_has_lost(mesh, key):
    """By its own old version: a newer write still wins."""
    number = mesh.number("items")
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'kept'), ({key + 1}, 'deleted'), ({key + 2}, 'newer')")
    mesh.converge()
    mesh[1].run(f"DELETE FROM items WHERE id = {key + 1}")
    mesh.converge()
    mesh[2].run(f"SET wildcam.apply = '1'; DELETE FROM items WHERE id = {key}; INSERT INTO items(id, name, _v) VALUES ({key + 1}, 'undead', 5);"
                f"DELETE FROM wildcam.tombstone_{number} WHERE id = {key + 1}; RESET wildcam.apply")
    mesh.cut_all()
    mesh[3].run(f"UPDATE items SET name = 'newest' WHERE id = {key + 2}")
    for n in range(3):
        assert mesh[1].value(f"SELECT wildcam.replay_{number}('{{\"id\": {key + n}}}')") is not None
    assert mesh[1].value(f"SELECT wildcam.replay_{number}('{{\"id\": {key + 9}}}')") is None
    mesh.restore_all()
    mesh.converge()
    everywhere(mesh, f"SELECT id, name FROM items WHERE id BETWEEN {key} AND {key + 2} ORDER BY id", [(str(key), "kept"), (str(key + 2), "newest")])
    mesh.same("items")


def test_merge_by_hand_is_idempotent_and_journals_nothing(mesh, key):
    number = mesh.number("accounts")
    row = f"jsonb_populate_record(NULL::accounts, '{{\"id\": {key}, \"email\": \"m{key}\", \"balance\": 3}}')"
    for node in mesh.nodes.values():
        for _ in range(2):
            node.run(f"SELECT wildcam.merge_{number}('I', 1000 << 8 | 2, 0, {row})")
    assert journaled(mesh, "accounts", f"id = {key}") == [0, 0, 0]
    everywhere(mesh, f"SELECT email, balance, _v FROM accounts WHERE id = {key}", [(f"m{key}", "3", str(1000 << 8 | 2))])
    for node in mesh.nodes.values():  # of a delete only the key is known
        node.run(f"SELECT wildcam.merge_{number}('D', 2000 << 8 | 2, 0, jsonb_populate_record(NULL::accounts, '{{\"id\": {key}}}'))")
    everywhere(mesh, f"SELECT 1 FROM accounts WHERE id = {key}", [])
    mesh.same("accounts")


@pytest.mark.parametrize("table", ["items", "accounts"])
def test_a_delete_of_an_unknown_key_needs_no_whole_row(mesh, key, table):
    """A NOT NULL column without a default and a check: the waiting dummy must not stop a stream."""
    number = mesh.number(table)
    for node in mesh.nodes.values():
        node.run(f"SELECT wildcam.merge_{number}('D', 2000 << 8 | 2, 0, jsonb_populate_record(NULL::{table}, '{{\"id\": {key}}}'))")
    everywhere(mesh, f"SELECT 1 FROM {table} WHERE id = {key}", [])
    mesh.same(table)


def test_receivers_first_a_column_is_added(mesh, key):
    if "grown" not in mesh.tables:
        mesh.federate("CREATE TABLE grown(id bigint PRIMARY KEY, t text)", "grown")
    mesh[1].run(f"INSERT INTO grown VALUES ({key}, 'before')")
    mesh.converge()
    number = mesh.number("grown")
    for node in mesh.nodes.values():  # expand everywhere, then publish: writes go on in between
        node.run("ALTER TABLE grown ADD COLUMN extra text DEFAULT 'none'")
        node.run(rowskit.rows_sql("table", node.number, node.region, node.conninfo(), f"{number}:lww:grown"))
        mesh[node.number % 3 + 1].run(f"INSERT INTO grown(id, t) VALUES ({key + node.number}, 'between')")
    mesh.publish()
    mesh[1].run(f"INSERT INTO grown VALUES ({key + 9}, 'after', DEFAULT, 'here')" if mesh[1].value(
        "SELECT ordinal_position FROM information_schema.columns WHERE table_name = 'grown' AND column_name = 'extra'") == "4"
                else f"INSERT INTO grown(id, t, extra) VALUES ({key + 9}, 'after', 'here')")
    mesh.converge()
    everywhere(mesh, f"SELECT t, extra FROM grown WHERE id = {key + 9}", [("after", "here")])
    everywhere(mesh, "SELECT count(*) FROM grown", [("5",)])


def test_the_generated_sql_can_run_again_at_any_time(mesh, key):
    mesh[1].run(f"INSERT INTO accounts(id, email) VALUES ({key}, 'again{key}')")
    mesh.converge()
    before = mesh[1].rows("SELECT incarnation FROM wildcam.mesh")
    for node in mesh.nodes.values():
        node.run(rowskit.rows_sql("base", node.number, node.region, f"cloud{(node.number - 1) % 3 + 1}", "test"))
        node.clocked = False
        for table in ("accounts", "items", "seen"):
            number, kind = mesh.tables[table]
            node.run(rowskit.rows_sql("table", node.number, node.region, node.conninfo(), f"{number}:{kind}:{table}"))
    mesh.publish()
    assert mesh[1].rows("SELECT incarnation FROM wildcam.mesh") == before
    mesh[2].run(f"UPDATE accounts SET balance = 4 WHERE id = {key}")
    mesh.converge()
    everywhere(mesh, f"SELECT balance FROM accounts WHERE id = {key}", [("4",)])
    mesh.same("accounts")


def test_analytics_user_reads_later_tables_too_and_writes_nothing(mesh, key):
    mesh[1].run("CREATE TABLE IF NOT EXISTS made_later(id int)")
    reader = mesh[1].session(user="analytics_user")
    try:
        reader.rows("SELECT count(*) FROM items")
        reader.rows("SELECT count(*) FROM made_later")
        for statement in ("INSERT INTO items(id) VALUES (1)", "UPDATE items SET qty = 1", "DELETE FROM items", "CREATE TABLE x(i int)",
                          "INSERT INTO made_later VALUES (1)", "SELECT wildcam.beat()", "SELECT wildcam.refuse('me')",
                          "INSERT INTO wildcam.node VALUES (9, 'x', 'y', 'active')", "SELECT * FROM wildcam.collect('0')"):
            with pytest.raises(rowspq.Failed):
                reader.run(statement)
        reader.run("SET default_transaction_read_only = off")  # a setting is no right
        for statement in ("INSERT INTO items(id) VALUES (1)", "DELETE FROM items", "INSERT INTO made_later VALUES (1)", "SELECT wildcam.refuse('me')",
                          "INSERT INTO wildcam.journal_1(v, origin, op) VALUES (1, 1, 'I')", "SET session_replication_role = replica"):
            with pytest.raises(rowspq.Failed) as refused:
                reader.run(statement)
            assert refused.value.state == "42501", statement
    finally:
        reader.close()


def test_a_client_with_no_rights_on_the_federation_may_write_its_table(mesh, key):
    mesh[1].run("DO $$ BEGIN CREATE ROLE application LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
                "GRANT SELECT, INSERT, UPDATE, DELETE ON items, accounts, seen TO application")
    client = mesh[1].session(user="application")
    try:
        client.run(f"INSERT INTO accounts(id, email) VALUES ({key}, 'r{key}'); UPDATE accounts SET email = 's{key}' WHERE id = {key};"
                   f"INSERT INTO items(id) VALUES ({key}); DELETE FROM items WHERE id = {key}; INSERT INTO seen(camera) VALUES (1)")
        for statement in (f"SELECT wildcam.replay_{mesh.number('items')}('{{\"id\": 1}}')", "SELECT * FROM wildcam.journal_1", "SELECT wildcam.allow()"):
            with pytest.raises(rowspq.Failed, match="permission denied"):
                client.run(statement)
    finally:
        client.close()
    mesh.converge()
    everywhere(mesh, f"SELECT email FROM accounts WHERE id = {key}", [(f"s{key}",)])
    mesh.same("accounts", "items", "seen")
