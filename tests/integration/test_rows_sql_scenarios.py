# SPDX-License-Identifier: MIT
"""The anomalies that meshes with "last update wins" by commit time are known for, each as a schedule of its own over three nodes:
what every node must end with, whatever the order of arrival. The letters are those of the literature's usual list."""
import pytest

from rowskit import until

BIG = "(SELECT string_agg(md5((g + {})::text), '') FROM generate_series(1, 1000) g)"


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


def item(mesh, key, number=1, name="v0"):
    mesh[number].run(f"INSERT INTO items(id, name) VALUES ({key}, '{name}')")
    mesh.converge()


def name_is(mesh, key, *names):
    everywhere(mesh, f"SELECT name FROM items WHERE id = {key}", [(n,) for n in names])
    mesh.same("items")


def arrived(node, query, what):
    until(lambda: node.rows(query), what)


def test_a_older_delete_meets_newer_update(mesh, key):
    item(mesh, key)
    mesh.cut_all()
    mesh[2].run(f"DELETE FROM items WHERE id = {key}")
    mesh[1].run(f"UPDATE items SET name = 'newer' WHERE id = {key}")
    mesh.restore_all()
    mesh.converge()
    name_is(mesh, key, "newer")


def test_a2_newer_delete_meets_older_update(mesh, key):
    item(mesh, key)
    mesh.cut_all()
    mesh[1].run(f"UPDATE items SET name = 'older' WHERE id = {key}")
    mesh[2].run(f"DELETE FROM items WHERE id = {key}")
    mesh.restore_all()
    mesh.converge()
    name_is(mesh, key)


def test_a3_delete_then_delete_and_insert_elsewhere(mesh, key):
    item(mesh, key)
    mesh.cut(1, 2)
    mesh[2].run(f"DELETE FROM items WHERE id = {key}")
    mesh[1].run(f"DELETE FROM items WHERE id = {key}; INSERT INTO items(id, name) VALUES ({key}, 'again')")
    mesh.restore(1, 2)
    mesh.converge()
    name_is(mesh, key, "again")


@pytest.mark.parametrize("table, columns", [("items", "id, name"), ("accounts", "id, email")])
def test_a4_two_deletes_leave_the_greater_tombstone(mesh, key, table, columns):
    mesh[1].run(f"INSERT INTO {table}({columns}) VALUES ({key}, 'd{key}')")
    mesh.converge()
    mesh.cut_all()
    for number in (3, 1, 2):
        mesh[number].run(f"DELETE FROM {table} WHERE id = {key}")
    mesh.restore_all()
    mesh.converge()
    everywhere(mesh, f"SELECT v & 255 FROM wildcam.tombstone_{mesh.number(table)} WHERE id = {key}", [("2",)])
    mesh.same(table)


def test_b_insert_arrives_after_its_delete(mesh, key):
    mesh.cut(2, 1)
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'x')")
    arrived(mesh[3], f"SELECT 1 FROM items WHERE id = {key}", "the row at n3")
    mesh[3].run(f"DELETE FROM items WHERE id = {key}")
    arrived(mesh[2], f"SELECT 1 FROM wildcam.tombstone_{mesh.number('items')} WHERE id = {key}", "the delete at n2")
    mesh.restore(2, 1)
    mesh.converge()
    name_is(mesh, key)


def test_b2_the_same_with_a_unique_key(mesh, key):
    mesh.cut(2, 1)
    mesh[1].run(f"INSERT INTO accounts(id, email) VALUES ({key}, 'b{key}')")
    arrived(mesh[3], f"SELECT 1 FROM accounts WHERE id = {key}", "the row at n3")
    mesh[3].run(f"DELETE FROM accounts WHERE id = {key}")
    arrived(mesh[2], f"SELECT 1 FROM wildcam.tombstone_{mesh.number('accounts')} WHERE id = {key}", "the delete at n2")
    mesh.restore(2, 1)
    mesh.converge()
    everywhere(mesh, f"SELECT 1 FROM accounts WHERE id = {key}", [])
    mesh.same("accounts")
    assert mesh[2].rows(f"SELECT kind FROM wildcam.ledger WHERE number = {mesh.number('accounts')} AND key = '{{\"id\": {key}}}'") == [("lost",)]


def test_c_update_overtakes_its_insert(mesh, key):
    mesh.cut(2, 1)
    mesh[1].run(f"INSERT INTO items(id, name) VALUES ({key}, 'v1')")
    arrived(mesh[3], f"SELECT 1 FROM items WHERE id = {key}", "the row at n3")
    mesh[3].run(f"UPDATE items SET name = 'v2' WHERE id = {key}")
    arrived(mesh[2], f"SELECT 1 FROM items WHERE id = {key} AND name = 'v2'", "the update at n2")
    mesh.restore(2, 1)
    mesh.converge()
    name_is(mesh, key, "v2")


def test_d_equal_times_the_greater_origin_wins(mesh, key):
    item(mesh, key)
    future = 1_900_000_000_000_000 + key
    mesh.cut_all()
    try:
        for number, node in mesh.nodes.items():
            mesh.clock(number, fixed_us=future)
            node.run(f"UPDATE items SET name = 'n{number}' WHERE id = {key}")
    finally:
        for number in mesh.nodes:
            mesh.clock(number)
    versions = {node.value(f"SELECT _v >> 8 FROM items WHERE id = {key}") for node in mesh.nodes.values()}
    assert versions == {str(future)}, "the three writes did not have one time"
    mesh.restore_all()
    mesh.converge()
    name_is(mesh, key, "n3")


def test_e_two_columns_changed_here_and_there_make_one_whole_row(mesh, key):
    item(mesh, key)
    mesh[1].run(f"UPDATE items SET payload = {BIG.format(0)} WHERE id = {key}")
    mesh.converge()
    before = mesh[1].value(f"SELECT md5(payload) FROM items WHERE id = {key}")
    mesh.cut_all()
    mesh[2].run(f"UPDATE items SET payload = {BIG.format(7)} WHERE id = {key}")
    mesh[1].run(f"UPDATE items SET name = 'later' WHERE id = {key}")
    mesh.restore_all()
    mesh.converge()
    everywhere(mesh, f"SELECT name, md5(payload) FROM items WHERE id = {key}", [("later", before)])
    mesh.same("items")


def test_f_one_unique_value_for_two_keys(mesh, key):
    other, email = key + 1, f"same{key}"
    parked = f"SELECT id FROM wildcam.parked_{mesh.number('accounts')} WHERE email = '{email}'"
    mesh.cut_all()
    mesh[1].run(f"INSERT INTO accounts(id, email, balance) VALUES ({key}, '{email}', 1)")
    mesh[2].run(f"INSERT INTO accounts(id, email, balance) VALUES ({other}, '{email}', 2)")
    mesh.restore_all()
    mesh.converge()
    everywhere(mesh, f"SELECT id FROM accounts WHERE email = '{email}'", [(str(other),)])
    everywhere(mesh, parked, [(str(key),)])
    mesh.same("accounts")
    # the value gets free: the older row comes back by itself, with its own version
    mesh[3].run(f"UPDATE accounts SET email = 'other{key}' WHERE id = {other}")
    mesh.converge()
    everywhere(mesh, f"SELECT id, balance FROM accounts WHERE id IN ({key}, {other}) ORDER BY id", [(str(key), "1"), (str(other), "2")])
    everywhere(mesh, parked, [])
    mesh.same("accounts")


def test_f2_the_holder_is_deleted(mesh, key):
    other, email = key + 1, f"held{key}"
    mesh.cut_all()
    mesh[1].run(f"INSERT INTO accounts(id, email) VALUES ({key}, '{email}')")
    mesh[2].run(f"INSERT INTO accounts(id, email) VALUES ({other}, '{email}')")
    mesh.restore_all()
    mesh.converge()
    mesh[1].run(f"DELETE FROM accounts WHERE id = {other}")
    mesh.converge()
    everywhere(mesh, f"SELECT id FROM accounts WHERE email = '{email}'", [(str(key),)])
    mesh.same("accounts")


def test_f3_a_parked_row_is_deleted_or_written_anew(mesh, key):
    other, email = key + 1, f"mine{key}"
    mesh.cut_all()
    mesh[1].run(f"INSERT INTO accounts(id, email) VALUES ({key}, '{email}')")
    mesh[2].run(f"INSERT INTO accounts(id, email) VALUES ({other}, '{email}')")
    mesh.restore_all()
    mesh.converge()
    # a client does not see the parked row and takes its key for something new: the new row stands for both
    mesh[3].run(f"INSERT INTO accounts(id, email) VALUES ({key}, 'new{key}')")
    mesh.converge()
    mesh[3].run(f"DELETE FROM accounts WHERE id = {other}")
    mesh.converge()
    everywhere(mesh, f"SELECT id, email FROM accounts WHERE id IN ({key}, {other})", [(str(key), f"new{key}")])
    mesh.same("accounts")


def test_f4_three_rows_and_two_unique_keys_make_a_chain(mesh, key):
    low, middle, high = key, key + 1, key + 2
    a, b, c, free = (key * 10 + k for k in range(4))
    mesh.cut_all()
    mesh[1].run(f"INSERT INTO slots(id, a, b, c, t) VALUES ({low}, {a}, {b}, 1, 'old')")
    mesh[2].run(f"INSERT INTO slots(id, a, b, c, t) VALUES ({middle}, {a}, {c}, 2, 'mid')")
    mesh[3].run(f"INSERT INTO slots(id, a, b, c, t) VALUES ({high}, {free}, {c}, 2, 'new')")
    mesh.restore_all()
    mesh.converge()
    # the newest hides the middle one, and with it what the middle one hid is visible
    everywhere(mesh, f"SELECT t FROM slots WHERE id BETWEEN {low} AND {high} ORDER BY id", [("old",), ("new",)])
    everywhere(mesh, f"SELECT t FROM wildcam.parked_{mesh.number('slots')} WHERE id BETWEEN {low} AND {high}", [("mid",)])
    mesh.same("slots")


def test_f5_values_are_swapped_in_one_place_and_taken_in_another(mesh, key):
    one, two = key, key + 1
    mesh[1].run(f"INSERT INTO accounts(id, email) VALUES ({one}, 'a{key}'), ({two}, 'b{key}')")
    mesh.converge()
    mesh.cut_all()
    mesh[1].run(f"BEGIN; UPDATE accounts SET email = 'tmp{key}' WHERE id = {one}; UPDATE accounts SET email = 'a{key}' WHERE id = {two};"
                f"UPDATE accounts SET email = 'b{key}' WHERE id = {one}; COMMIT")
    mesh[2].run(f"UPDATE accounts SET email = 'c{key}' WHERE id = {one}; INSERT INTO accounts(id, email) VALUES ({key + 2}, 'a{key}')")
    mesh.restore_all()
    mesh.converge()
    mesh.same("accounts")
    everywhere(mesh, f"SELECT id, email FROM accounts WHERE id BETWEEN {one} AND {key + 2} ORDER BY id",
               [(str(one), f"c{key}"), (str(key + 2), f"a{key}")])
    everywhere(mesh, f"SELECT id, email FROM wildcam.parked_{mesh.number('accounts')} WHERE id BETWEEN {one} AND {key + 2}", [(str(two), f"a{key}")])


def test_g_an_update_meets_the_key_taken_by_another_row(mesh, key):
    """Two regions insert the same key: one whole row wins."""
    mesh.cut_all()
    mesh[1].run(f"INSERT INTO items(id, name, qty) VALUES ({key}, 'first', 1)")
    mesh[2].run(f"INSERT INTO items(id, name, qty) VALUES ({key}, 'second', 2)")
    mesh.restore_all()
    mesh.converge()
    everywhere(mesh, f"SELECT name, qty FROM items WHERE id = {key}", [("second", "2")])
    mesh.same("items")


def test_h_older_update_after_vacuum_freeze(mesh, key):
    item(mesh, key)
    mesh.cut_all()
    mesh[1].run(f"UPDATE items SET name = 'older' WHERE id = {key}")
    mesh[2].run(f"UPDATE items SET name = 'newest' WHERE id = {key}")
    mesh[2].run("VACUUM (FREEZE) items")
    mesh.restore_all()
    mesh.converge()
    name_is(mesh, key, "newest")


def test_k_a_row_from_a_fast_clock_then_causally_later_writes(mesh, key):
    item(mesh, key)
    mesh.clock(1, ahead_us=14 * 3600 * 1_000_000)
    mesh[1].run(f"UPDATE items SET name = 'fast' WHERE id = {key}")
    mesh.converge()
    mesh.clock(1)
    mesh[2].run(f"UPDATE items SET name = 'later' WHERE id = {key}")
    mesh.converge()
    name_is(mesh, key, "later")
    mesh[2].run(f"DELETE FROM items WHERE id = {key}")
    mesh.converge()
    name_is(mesh, key)
    mesh[3].run(f"INSERT INTO items(id, name) VALUES ({key}, 'reborn')")
    mesh.converge()
    name_is(mesh, key, "reborn")


def test_k2_the_same_for_unique_values(mesh, key):
    """The row of the fast clock holds the value; who frees it and takes it anew has seen it."""
    other = key + 1
    mesh.clock(1, ahead_us=14 * 3600 * 1_000_000)
    mesh[1].run(f"INSERT INTO accounts(id, email) VALUES ({key}, 'k{key}')")
    mesh.converge()
    mesh.clock(1)
    mesh[2].run(f"BEGIN; DELETE FROM accounts WHERE id = {key}; INSERT INTO accounts(id, email) VALUES ({other}, 'k{key}'); COMMIT")
    mesh.converge()
    everywhere(mesh, f"SELECT id FROM accounts WHERE email = 'k{key}'", [(str(other),)])
    mesh.same("accounts")


@pytest.mark.parametrize("table, column", [("items", "name"), ("accounts", "email")])
def test_l_who_lost_is_in_the_ledger(mesh, key, table, column):
    mesh[1].run(f"INSERT INTO {table}(id, {column}) VALUES ({key}, 'v0')")
    mesh.converge()
    mesh.cut_all()
    mesh[1].run(f"UPDATE {table} SET {column} = 'loser' WHERE id = {key}")
    mesh[2].run(f"UPDATE {table} SET {column} = 'winner' WHERE id = {key}")
    mesh.restore_all()
    mesh.converge()
    everywhere(mesh, f"SELECT {column} FROM {table} WHERE id = {key}", [("winner",)])
    ledger = f"SELECT kind, \"row\"->>'{column}' FROM wildcam.ledger WHERE number = {mesh.number(table)} AND key = '{{\"id\": {key}}}'"
    assert mesh[1].rows(ledger) == [("over", "loser")]
    assert mesh[2].rows(ledger) == [("lost", "loser")]
    # a write that had seen what it replaces is no conflict
    mesh[3].run(f"UPDATE {table} SET {column} = 'calm' WHERE id = {key}")
    mesh.converge()
    assert len(mesh[1].rows(ledger)) == 1 and len(mesh[2].rows(ledger)) == 1
    mesh.same(table)


def test_o_an_update_that_breaks_a_unique_key_at_the_peers(mesh, key):
    one, two = key, key + 1
    mesh[1].run(f"INSERT INTO accounts(id, email) VALUES ({one}, 'o{key}'), ({two}, 'p{key}')")
    item(mesh, key)
    errors = mesh.errors()
    mesh.cut_all()
    mesh[1].run(f"UPDATE accounts SET email = 'x{key}' WHERE id = {one}")
    mesh[2].run(f"UPDATE accounts SET email = 'x{key}' WHERE id = {two}")
    mesh[1].run(f"UPDATE items SET name = 'behind' WHERE id = {key}")
    mesh.restore_all()
    mesh.converge()
    everywhere(mesh, f"SELECT id FROM accounts WHERE email = 'x{key}'", [(str(two),)])
    name_is(mesh, key, "behind")
    mesh.same("accounts")
    assert mesh.errors() - errors == 0, "a stream stopped for a unique key"


def test_p_key_change_against_update(mesh, key):
    new = key + 1
    item(mesh, key)
    mesh.cut_all()
    mesh[1].run(f"UPDATE items SET id = {new} WHERE id = {key}")
    mesh[2].run(f"UPDATE items SET name = 'updated' WHERE id = {key}")
    mesh.restore_all()
    mesh.converge()
    everywhere(mesh, f"SELECT id, name FROM items WHERE id IN ({key}, {new}) ORDER BY id", [(str(key), "updated"), (str(new), "v0")])
    mesh.same("items")


def test_p2_two_key_changes_to_one_key(mesh, key):
    one, two, new = key, key + 1, key + 2
    item(mesh, one, name="one")
    item(mesh, two, name="two")
    mesh.cut_all()
    mesh[1].run(f"UPDATE items SET id = {new} WHERE id = {one}")
    mesh[3].run(f"UPDATE items SET id = {new} WHERE id = {two}")
    mesh.restore_all()
    mesh.converge()
    everywhere(mesh, f"SELECT id, name FROM items WHERE id IN ({one}, {two}, {new})", [(str(new), "two")])
    mesh.same("items")


def test_p3_key_change_with_unique_values_and_back(mesh, key):
    new = key + 1
    mesh[1].run(f"INSERT INTO pairs(a, b, note) VALUES ({key}, 'x', 'n{key}')")
    mesh.converge()
    mesh[2].run(f"UPDATE pairs SET a = {new} WHERE a = {key}")
    mesh.converge()
    everywhere(mesh, f"SELECT a, b FROM pairs WHERE note = 'n{key}'", [(str(new), "x")])
    mesh[3].run(f"UPDATE pairs SET a = {key} WHERE a = {new}")
    mesh.converge()
    everywhere(mesh, f"SELECT a, b FROM pairs WHERE note = 'n{key}'", [(str(key), "x")])
    mesh.same("pairs")


def test_q_cascade_against_a_child_insert_leaves_the_same_orphan(mesh, key):
    mesh[1].run(f"INSERT INTO parents VALUES ({key}, 'p')")
    mesh.converge()
    mesh.cut_all()
    mesh[1].run(f"DELETE FROM parents WHERE id = {key}")
    mesh[2].run(f"INSERT INTO children VALUES ({key}, {key}, 'c')")
    mesh.restore_all()
    mesh.converge()
    everywhere(mesh, f"SELECT (SELECT count(*) FROM parents WHERE id = {key}), (SELECT count(*) FROM children WHERE parent = {key})", [("0", "1")])
    mesh.same("parents", "children")


def test_q2_cascade_reaches_every_child_once(mesh, key):
    mesh[1].run(f"INSERT INTO parents VALUES ({key}, 'p'); INSERT INTO children SELECT g, {key}, 'c' FROM generate_series({key}, {key + 4}) g")
    mesh.converge()
    mesh[2].run(f"DELETE FROM parents WHERE id = {key}")
    mesh.converge()
    everywhere(mesh, f"SELECT count(*) FROM children WHERE parent = {key}", [("0",)])
    mesh.same("parents", "children")
    assert mesh[2].value(f"SELECT count(*) FROM wildcam.tombstone_{mesh.number('children')} WHERE id BETWEEN {key} AND {key + 4}") == "5"
    first, last = mesh[2].rows(f"SELECT min(v) & 255, max(v) & 255 FROM wildcam.tombstone_{mesh.number('children')} WHERE id BETWEEN {key} AND {key + 4}")[0]
    assert (first, last) == ("2", "2"), "a cascade was run again where it arrived"


def test_r_bulk_statements(mesh, key):
    mesh[3].run(f"INSERT INTO items(id, name) SELECT g, 'bulk' FROM generate_series({key}, {key + 100}) g;"
                f"UPDATE items SET qty = qty + 1 WHERE id BETWEEN {key} AND {key + 100}; DELETE FROM items WHERE id BETWEEN {key + 91} AND {key + 100}")
    mesh.converge()
    everywhere(mesh, f"SELECT count(*), sum(qty), sum(len) FROM items WHERE id BETWEEN {key} AND {key + 100}", [("91", "91", "364")])
    mesh.same("items")


def test_s_copies_of_an_insert_only_row_meet(mesh, key):
    """The same key inserted in two regions: the lower origin's row stays everywhere."""
    row = f"00000000-0000-4000-8000-{key:012d}"
    mesh.cut_all()
    for number in (3, 2):
        mesh[number].run(f"INSERT INTO seen(id, camera, label) VALUES ('{row}', {number}, 'cat')")
    mesh.restore_all()
    mesh.converge()
    everywhere(mesh, f"SELECT camera, _origin FROM seen WHERE id = '{row}'", [("2", "2")])
    mesh.same("seen")


def test_u_nothing_travels_twice(mesh, key):
    """Three nodes, one write: each peer hears of it once, from its origin, and stores no journal row."""
    journal = f"wildcam.journal_{mesh.number('items')}"
    before = [int(node.value(f"SELECT count(*) FROM {journal}")) for node in mesh.nodes.values()]
    ledger = [int(node.value("SELECT count(*) FROM wildcam.ledger")) for node in mesh.nodes.values()]
    item(mesh, key)
    after = [int(node.value(f"SELECT count(*) FROM {journal}")) for node in mesh.nodes.values()]
    assert [b - a for a, b in zip(before, after)] == [1, 0, 0]
    assert ledger == [int(node.value("SELECT count(*) FROM wildcam.ledger")) for node in mesh.nodes.values()]
