# SPDX-License-Identifier: MIT
"""Clients that do what nobody thought of: triggers that are newer than the federation's, snapshots that are too old, clocks that step
back within a transaction, versions out of range, search paths that lead elsewhere; and databases of an older program. What is taken must
arrive everywhere; what cannot be followed must be refused."""
import pytest

import rowskit
import rowspq


@pytest.fixture
def mesh(rows_mesh):
    yield rows_mesh
    for pair in list(rows_mesh.cuts):
        rows_mesh.restore(*pair)


@pytest.fixture
def key(rows_key):
    return rows_key()


def everywhere(mesh, query, wanted):
    for number, node in mesh.nodes.items():
        assert node.rows(query) == wanted, f"n{number}: {query}"


def generate(node, mesh, table):
    """What `wildcam rows init` does, and the daemon at its start."""
    node.run(rowskit.rows_sql("table", node.number, node.region, node.conninfo(), f"{mesh.number(table)}:lww:{table}"))


TRIGGER = ("CREATE OR REPLACE FUNCTION {0}_{1}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {2} RETURN NEW; END $$;"
           "CREATE TRIGGER a_{1} BEFORE UPDATE ON {0} FOR EACH ROW EXECUTE FUNCTION {0}_{1}()")


@pytest.mark.parametrize("what, change, wanted", [("key", "NEW.id := NEW.id + 1;", ("1", "k{0}", "after")), ("value", "NEW.u := 'n' || NEW.id;", ("0", "n{0}", "after"))])
def test_a_newer_trigger_changes_a_key_behind_the_statement(mesh, key, what, change, wanted):
    """PostgreSQL fires AFTER UPDATE OF by what the statement names: until the federation knows of the trigger, its changes are refused."""
    table = f"newer_{what}"
    mesh.federate(f"CREATE TABLE {table}(id bigint PRIMARY KEY, u text UNIQUE, t text)", table)
    mesh[1].run(f"INSERT INTO {table} VALUES ({key}, 'k{key}', 'before')")
    mesh.converge()
    mesh[1].run(TRIGGER.format(table, what, change))
    with pytest.raises(rowspq.Failed, match=f"a_{what}.*{table}"):
        mesh[1].run(f"UPDATE {table} SET t = 'after' WHERE id = {key}")
    mesh.converge()
    everywhere(mesh, f"SELECT id, u, t FROM {table}", [(str(key), f"k{key}", "before")])
    generate(mesh[1], mesh, table)
    mesh[1].run(f"UPDATE {table} SET t = 'after' WHERE id = {key}")
    mesh.converge()
    everywhere(mesh, f"SELECT id, u, t FROM {table}", [(str(key + int(wanted[0])), wanted[1].format(key), wanted[2])])
    mesh.same(table)


def test_a_newer_trigger_that_changes_no_key_is_fine(mesh, key):
    mesh.federate("CREATE TABLE newer_fine(id bigint PRIMARY KEY, u text UNIQUE, t text)", "newer_fine")
    mesh[1].run(f"INSERT INTO newer_fine VALUES ({key}, NULL, 'x')" + ";" + TRIGGER.format("newer_fine", "t", "NEW.t := upper(NEW.t);"))
    mesh[1].run(f"UPDATE newer_fine SET t = 'y' WHERE id = {key}")
    mesh.converge()
    everywhere(mesh, "SELECT id, t FROM newer_fine", [(str(key), "Y")])
    mesh.same("newer_fine")


def test_a_trigger_that_forbids_updates_does_not_hide_a_row_that_takes_an_old_key(mesh, key):
    """The new row is stamped above the tombstone by an update: when that is forbidden, so is the row."""
    mesh.federate("CREATE TABLE still(id bigint PRIMARY KEY, t text);" + TRIGGER.format("still", "never", "RETURN NULL;"), "still")
    mesh[1].run(f"INSERT INTO still VALUES ({key}, 'old')")
    mesh.clock(1, ahead_us=3_600_000_000)
    mesh[1].run(f"DELETE FROM still WHERE id = {key}")
    mesh.clock(1)
    mesh.converge()
    with pytest.raises(rowspq.Failed, match="forbids"):
        mesh[2].run(f"INSERT INTO still VALUES ({key}, 'new')")
    mesh.converge()
    everywhere(mesh, "SELECT * FROM still", [])
    mesh.same("still")


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("table, columns, how", [("items", "id, name", "INSERT"), ("accounts", "id, email", "INSERT"), ("items", "id, name", "UPDATE")])
def test_a_snapshot_older_than_the_tombstone(mesh, key, level, table, columns, how):
    """The delete came from a fast clock after the snapshot was taken: an insert that cannot see it would be below it."""
    mesh[2].run(f"INSERT INTO {table}({columns}) VALUES ({key}, 't{key}')")
    mesh.converge()
    session = mesh[1].session()
    try:
        if how == "UPDATE":
            mesh[1].run(f"INSERT INTO {table}({columns}) VALUES ({key + 1}, 'u{key}')")
        session.run(f"BEGIN ISOLATION LEVEL {level}")
        session.rows(f"SELECT count(*) FROM {table}")
        mesh.clock(2, ahead_us=3_600_000_000)
        mesh[2].run(f"DELETE FROM {table} WHERE id = {key}")
        mesh.clock(2)
        mesh.converge()
        with pytest.raises(rowspq.Failed) as refused:
            session.run(f"INSERT INTO {table}({columns}) VALUES ({key}, 'v{key}')" if how == "INSERT" else f"UPDATE {table} SET id = {key} WHERE id = {key + 1}")
        assert refused.value.state == "40001"
        session.run(f"ROLLBACK; BEGIN ISOLATION LEVEL {level}; INSERT INTO {table}({columns}) VALUES ({key}, 'v{key}'), ({key + 2}, 'w{key}'); COMMIT")
    finally:
        session.close()
    mesh.converge()
    everywhere(mesh, f"SELECT count(*) FROM {table} WHERE id IN ({key}, {key + 2})", [("2",)])
    mesh.same(table)


def test_a_snapshot_older_than_the_parked_row(mesh, key):
    """The key's row was parked after the snapshot was taken, by one of a fast clock: who takes the key must know it."""
    mesh.clock(2, ahead_us=3_600_000_000)
    mesh[2].run(f"INSERT INTO accounts(id, email) VALUES ({key}, 'p{key}')")
    mesh.clock(2)
    mesh.converge()
    session = mesh[1].session()
    try:
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
        session.rows("SELECT count(*) FROM accounts")
        mesh.clock(3, ahead_us=7_200_000_000)
        mesh.cut(3, 2)
        mesh[3].run(f"SET wildcam.apply = '1'; DELETE FROM accounts WHERE id = {key}; RESET wildcam.apply")  # as if it had not come yet
        mesh[3].run(f"INSERT INTO accounts(id, email) VALUES ({key + 1}, 'p{key}')")
        mesh.clock(3)
        mesh.restore(3, 2)
        mesh[2].run(f"SELECT wildcam.replay_{mesh.number('accounts')}('{{\"id\": {key}}}')")
        mesh.converge()
        assert mesh[1].rows(f"SELECT id FROM wildcam.parked_{mesh.number('accounts')} WHERE email = 'p{key}'") == [(str(key),)]
        with pytest.raises(rowspq.Failed) as refused:
            session.run(f"INSERT INTO accounts(id, email) VALUES ({key}, 'q{key}')")
        assert refused.value.state == "40001"
    finally:
        session.close()
    mesh.converge()
    mesh.same("accounts")


def test_a_clock_that_steps_back_within_a_transaction(mesh, key):
    session = mesh[1].session()
    try:
        session.run(f"BEGIN; INSERT INTO accounts(id, email) VALUES ({key}, 'a{key}'), ({key + 1}, 'b{key}')")
        mesh.clock(1, ahead_us=-3_600_000_000)
        session.run(f"UPDATE accounts SET balance = 1 WHERE id = {key}; DELETE FROM accounts WHERE id = {key + 1}")
        session.run(f"INSERT INTO accounts(id, email) VALUES ({key + 1}, 'c{key}'), ({key + 2}, 'd{key}'); UPDATE accounts SET id = {key + 3} WHERE id = {key}")
        session.run("COMMIT")
    finally:
        session.close()
        mesh.clock(1)
    mesh.converge()
    everywhere(mesh, f"SELECT id, email FROM accounts WHERE id BETWEEN {key} AND {key + 3} ORDER BY id",
               [(str(key + 1), f"c{key}"), (str(key + 2), f"d{key}"), (str(key + 3), f"a{key}")])
    mesh.same("accounts")


def test_a_version_out_of_range_is_an_error(mesh, key):
    """Not one that has become negative: peers would take it for the oldest there is."""
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'x')")
    for statement in (f"UPDATE items SET name = 'y', _v = 9223372036854775807 WHERE id = {key}",
                      f"INSERT INTO items(id, name, _v) VALUES ({key + 1}, 'y', 9223372036854775807)"):
        with pytest.raises(rowspq.Failed) as refused:
            mesh[1].run(statement)
        assert refused.value.state == "22003"
    mesh.converge()
    everywhere(mesh, f"SELECT id, name FROM items WHERE id IN ({key}, {key + 1})", [(str(key), "x")])
    mesh.same("items")


def test_statements_that_move_keys_along(mesh, key):
    """Each key is given up by one row and taken by the next, within one statement."""
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'a'), ({key + 1}, 'b'), ({key + 2}, 'c')")
    mesh.converge()
    mesh[1].run(f"UPDATE items SET id = id - 1 WHERE id BETWEEN {key} AND {key + 2}")
    mesh[2].run(f"WITH gone AS (DELETE FROM accounts RETURNING id) SELECT count(*) FROM gone; INSERT INTO accounts(id, email) VALUES ({key}, 'm{key}')")
    mesh.converge()
    everywhere(mesh, f"SELECT id, name FROM items WHERE id BETWEEN {key - 1} AND {key + 2} ORDER BY id", [(str(key - 1), "a"), (str(key), "b"), (str(key + 1), "c")])
    mesh[2].run(f"WITH gone AS (DELETE FROM items WHERE id = {key} RETURNING *) INSERT INTO items(id, name, _v) SELECT id, name || 'b', _v FROM gone")
    mesh[2].run(f"MERGE INTO accounts a USING (VALUES ({key})) s(id) ON a.id = s.id WHEN MATCHED THEN UPDATE SET id = a.id + 1, balance = 3")
    mesh[3].run(f"INSERT INTO items(id, name) VALUES ({key - 1}, 'x') ON CONFLICT (id) DO UPDATE SET id = {key + 5}, name = EXCLUDED.name")
    mesh.converge()
    everywhere(mesh, f"SELECT id, name FROM items WHERE id BETWEEN {key - 1} AND {key + 9} ORDER BY id", [(str(key), "bb"), (str(key + 1), "c"), (str(key + 5), "x")])
    everywhere(mesh, f"SELECT id, balance FROM accounts WHERE email = 'm{key}'", [(str(key + 1), "3")])
    mesh.same("items", "accounts")


def test_copy_brings_versions(mesh, key):
    session = mesh[2].session()
    session.copy("COPY accounts(id, email, _v) FROM STDIN", f"{key}\ty{key}\t0\n{key + 1}\tz{key}\t{1 << 40 | 3}\n")
    session.close()
    mesh.converge()
    everywhere(mesh, f"SELECT count(*), count(DISTINCT _v) FROM accounts WHERE id IN ({key}, {key + 1}) AND _v & 255 = 2", [("2", "2")])
    mesh.same("accounts")


def test_a_clients_search_path_leads_nowhere(mesh, key):
    """Functions with their owner's rights run in the client's session: its operators must not get into them."""
    if "aimed" not in mesh.tables:
        mesh.federate("CREATE TABLE aimed(k text, n varchar(9), m bigint UNIQUE, u varchar(20) UNIQUE, v text, PRIMARY KEY (k, n))", "aimed")
    mesh[1].run("CREATE SCHEMA evil; CREATE TABLE evil.log(who text, what text); CREATE ROLE mallory LOGIN; GRANT USAGE, CREATE ON SCHEMA evil TO mallory;"
                "GRANT INSERT ON evil.log TO PUBLIC; GRANT SELECT, INSERT, UPDATE, DELETE ON aimed TO mallory")
    types = ["bigint", "text", "varchar", "smallint", "int"]
    client = mesh[1].session(user="mallory")
    try:
        for left, right in [(a, b) for a in types for b in types if a == b or {a, b} <= {"bigint", "smallint", "int"}]:
            for n, operator in enumerate(["=", "<>", "<", ">", "<=", ">="]):
                client.run(f"CREATE FUNCTION evil.f{n}_{left}_{right}({left}, {right}) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
                           f"INSERT INTO evil.log VALUES (current_user, '{left} {operator} {right}'); RETURN $1 OPERATOR(pg_catalog.{operator}) $2; END $$;"
                           f"CREATE OPERATOR evil.{operator} (FUNCTION = evil.f{n}_{left}_{right}, LEFTARG = {left}, RIGHTARG = {right})")
        for name, arguments in [("current_setting", "text"), ("current_setting", "text, boolean"), ("clock_timestamp", ""), ("transaction_timestamp", "")]:
            result = "text" if "setting" in name else "timestamptz"
            call = {"text": "$1", "text, boolean": "$1, $2", "": ""}[arguments]
            client.run(f"CREATE FUNCTION evil.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql AS $$ BEGIN "
                       f"INSERT INTO evil.log VALUES (current_user, '{name}'); RETURN pg_catalog.{name}({call}); END $$")
        client.run("SET search_path = evil, pg_catalog, public")
        for level in ("READ COMMITTED", "REPEATABLE READ"):
            client.run(f"BEGIN ISOLATION LEVEL {level}; INSERT INTO public.aimed(k, n, m, u) VALUES ('k', 'n', 1, 'u'), ('k2', 'n', 2, NULL)")
            client.run("UPDATE public.aimed SET v = 'x'; COMMIT; UPDATE public.aimed SET k = 'k3', u = 'w', m = 5 WHERE m = 1; DELETE FROM public.aimed;"
                       "INSERT INTO public.aimed(k, n, _v) VALUES ('k', 'n', 5); DELETE FROM public.aimed")
        by = {who for who, in mesh[1].rows("SELECT DISTINCT who FROM evil.log")}
        assert by == {"mallory"}, mesh[1].rows("SELECT DISTINCT who, what FROM evil.log")
    finally:
        client.close()
        mesh[1].run("DROP SCHEMA evil CASCADE; DROP OWNED BY mallory; DROP ROLE mallory")
    mesh.converge()
    mesh.same("aimed")


def test_a_database_of_an_older_program(mesh, key):
    """Its journal has another order of columns, its triggers have conditions; in the other regions it is new."""
    number = max(n for n, _ in mesh.tables.values()) + 1
    mesh.everywhere("CREATE TABLE elder(t text, n smallint, id bigint PRIMARY KEY, u text UNIQUE, d double precision)")
    mesh[2].run(f"ALTER TABLE elder ADD COLUMN _v bigint NOT NULL DEFAULT 258; INSERT INTO elder VALUES ('was', 1, {key}, 'u', 0.5);"
                f"CREATE TABLE wildcam.journal_{number}(v bigint NOT NULL, pv bigint, origin smallint NOT NULL, op \"char\" NOT NULL, t text, n smallint, id bigint)")
    for kind, moment in (("update", "BEFORE UPDATE"), ("insert", "AFTER INSERT"), ("key_old", "AFTER UPDATE"), ("release_update", "AFTER UPDATE")):
        mesh[2].run(f"CREATE OR REPLACE FUNCTION wildcam.{kind}_{number}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
                    f"CREATE TRIGGER zz_wildcam_{kind} {moment} ON elder FOR EACH ROW WHEN (current_setting('wildcam.apply', true) IS DISTINCT FROM '1') "
                    f"EXECUTE FUNCTION wildcam.{kind}_{number}()")
    mesh.federate(None, "elder")
    mesh.fill(1, 2)
    mesh.fill(3, 2)
    assert mesh.number("elder") == number
    mesh[2].run(f"UPDATE elder SET t = 'is', d = 1.5, n = 7 WHERE id = {key}; INSERT INTO elder VALUES ('more', 2, {key + 1}, 'w', NULL)")
    mesh.converge()
    mesh[1].run(f"UPDATE elder SET id = {key + 2} WHERE id = {key + 1}")
    mesh[3].run(f"UPDATE elder SET u = 'x' WHERE id = {key}")
    mesh.converge()
    everywhere(mesh, "SELECT id, t, n, u, d FROM elder ORDER BY id", [(str(key), "is", "7", "x", "1.5"), (str(key + 2), "more", "2", "w", None)])
    mesh.same("elder")
    triggers = "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'elder'::regclass AND NOT tgisinternal ORDER BY 1"
    assert mesh[2].rows(triggers) == mesh[1].rows(triggers)


def test_a_link_that_is_not_filled_moves_no_watermark(mesh):
    """What its stream has brought is less than what was before it: nothing that could still be needed may be collected."""
    mark = "SELECT lsn FROM wildcam.watermark WHERE node = 2 AND origin = 1"
    mesh.converge()
    mesh[2].run(f"INSERT INTO wildcam.link(origin, subscription, state) VALUES (1, '{mesh.name(2, 1)}', 'subscribed') ON CONFLICT (origin) DO UPDATE SET state = 'subscribed'")
    try:
        before = mesh[2].value(mark)
        mesh[1].run("INSERT INTO parents(id, t) VALUES (-77, 'behind the beat') ON CONFLICT DO NOTHING; SELECT wildcam.beat(); UPDATE parents SET t = 'x' WHERE id = -77")
        rowskit.until(lambda: mesh[2].rows("SELECT 1 FROM parents WHERE id = -77 AND t = 'x'"), "what came after the beat")
        assert mesh[2].value(mark) == before
        mesh[2].run("UPDATE wildcam.link SET state = 'filled' WHERE origin = 1")
        mesh.converge()
        assert mesh[2].value(mark) != before
    finally:
        mesh[2].run("DELETE FROM wildcam.link WHERE origin = 1")
        mesh[1].run("DELETE FROM parents WHERE id = -77")


def test_there_is_no_floor_while_a_watermark_is_missing(mesh):
    mesh.converge()
    mesh.converge()  # what everybody has of everybody is known everywhere
    rowskit.until(lambda: int(mesh[1].value("SELECT wildcam.floor()")) > 0, "a floor")
    mesh[1].run("INSERT INTO wildcam.node(origin, region, cloud, state) VALUES (9, 'n9', 'cloud1', 'joining')")
    try:
        assert mesh[1].value("SELECT wildcam.floor()") == "0"
    finally:
        mesh[1].run("DELETE FROM wildcam.node WHERE origin = 9")
    assert int(mesh[1].value("SELECT wildcam.floor()")) > 0
