# SPDX-License-Identifier: MIT
"""Random histories of a mesh, and what must come of them. A seed gives a plan: writes of every kind on few keys by two clients in each
region, transactions that stay open, links cut, slots lost and filled, servers killed, clocks off and stepping, collection, VACUUM. The plan
is the same each time; how the streams interleave with it is not. Afterwards all is mended, and every node must hold what the oracle
says, which knows only the set of versions that were journaled: the greatest of each key, and of these the greedy choice by version.

    history = rowshistory.History(mesh)          # federates its tables once
    history.run(seed)                            # raises Differs with what is wrong"""
import collections
import json
import random

import rowskit
import rowspq
from rowskit import until

KEYS, VALUES = 8, 5
EXPECTED = {"40P01", "23505", "23503", "40001", "55P03"}  # deadlock, unique, foreign key, serialization, lock timeout
HOUR = 3600 * 1_000_000

Table = collections.namedtuple("Table", "name key uniques columns")
TABLES = [
    Table("items", ["id"], [], ["id", "grp", "name", "qty", "payload"]),
    Table("accounts", ["id"], [["email"]], ["id", "email", "balance"]),
    Table("slots", ["id"], [["a"], ["b", "c"]], ["id", "a", "b", "c", "t"]),
    Table("parents", ["id"], [], ["id", "t"]),
    Table("children", ["id"], [], ["id", "parent", "t"]),
    Table("pairs", ["a", "b"], [["note"]], ["a", "b", "note", "n"]),
]


class Differs(AssertionError):
    pass


# --- the plan
def write(r, n):
    """One client's statements, sent at once: one transaction."""
    key, other, text = r.randint(1, KEYS), r.randint(1, KEYS), f"'w{n}'"
    mail = lambda: f"'e{r.randint(1, VALUES)}'"
    maybe = lambda high: r.choice(["NULL", *map(str, range(1, high + 1))])
    note = lambda: r.choice(["NULL", f"'o{r.randint(1, VALUES)}'"])
    pair = f"a = {r.randint(1, 3)} AND b = '{r.choice('xy')}'"
    return r.choices([
        f"INSERT INTO items(id, name, qty) VALUES ({key}, {text}, {n})",
        f"INSERT INTO items(id, name) VALUES ({key}, {text}) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name",
        f"INSERT INTO items(id, name) VALUES ({key}, {text}) ON CONFLICT DO NOTHING",
        f"UPDATE items SET qty = {n}, name = {text} WHERE id = {key}",
        f"UPDATE items SET payload = repeat('p{n} ', 3000) WHERE id = {key}",
        f"DELETE FROM items WHERE id = {key}",
        f"DELETE FROM items WHERE id = {key}; INSERT INTO items(id, name) VALUES ({key}, {text})",
        f"UPDATE items SET id = {other} WHERE id = {key}",
        f"UPDATE items SET qty = qty + 1 WHERE id BETWEEN {key} AND {other}",
        f"INSERT INTO accounts(id, email, balance) VALUES ({key}, {mail()}, {n}) ON CONFLICT (id) DO UPDATE SET balance = EXCLUDED.balance",
        f"INSERT INTO accounts(id, email, balance) VALUES ({key}, {mail()}, {n}) ON CONFLICT DO NOTHING",
        f"UPDATE accounts SET email = {mail()} WHERE id = {key}",
        f"UPDATE accounts SET balance = {n} WHERE id = {key}",
        f"UPDATE accounts SET email = 't' || id WHERE id = {key}; UPDATE accounts SET email = {mail()} WHERE id = {other}; "
        f"UPDATE accounts SET email = {mail()} WHERE id = {key}",
        f"UPDATE accounts SET id = {other} WHERE id = {key}",
        f"DELETE FROM accounts WHERE id = {key}",
        f"INSERT INTO slots(id, a, b, c, t) VALUES ({key}, {maybe(6)}, {maybe(3)}, {maybe(2)}, {text}) ON CONFLICT (id) DO UPDATE SET t = EXCLUDED.t",
        f"UPDATE slots SET a = {maybe(6)}, c = {maybe(2)} WHERE id = {key}",
        f"UPDATE slots SET b = {maybe(3)} WHERE id = {key}",
        f"DELETE FROM slots WHERE id = {key}",
        f"INSERT INTO parents VALUES ({key}, {text}) ON CONFLICT DO NOTHING; INSERT INTO children VALUES ({other}, {key}, {text}) "
        "ON CONFLICT (id) DO UPDATE SET t = EXCLUDED.t",
        f"UPDATE children SET parent = {key} WHERE id = {other}",
        f"DELETE FROM parents WHERE id = {key}",
        f"UPDATE parents SET t = {text} WHERE id = {key}",
        f"INSERT INTO pairs(a, b, note, n) VALUES ({r.randint(1, 3)}, '{r.choice('xy')}', {note()}, {n}) ON CONFLICT DO NOTHING",
        f"UPDATE pairs SET note = {note()} WHERE {pair}",
        f"UPDATE pairs SET a = {r.randint(1, 3)}, n = {n} WHERE {pair}",
        f"DELETE FROM pairs WHERE {pair}",
        f"INSERT INTO seen(camera, label) VALUES ({n}, {text})",
        f"UPDATE items SET qty = {n} WHERE id = {key}; DELETE FROM accounts WHERE id = {other}; INSERT INTO pairs(a, b, n) VALUES "
        f"({r.randint(1, 3)}, 'x', {n}) ON CONFLICT (a, b) DO UPDATE SET n = EXCLUDED.n",
    ], weights=[3, 4, 1, 4, 1, 3, 2, 2, 1, 4, 2, 4, 2, 2, 1, 3, 4, 3, 2, 2, 3, 1, 1, 1, 3, 2, 2, 2, 2, 2])[0]


def plan(seed, size, length):
    """[(what, ...)]: the whole history. Nothing here depends on what happens."""
    r = random.Random(seed)
    collecting = r.random() < 0.5  # clocks that step back would break what was announced: wildcam-rows refuses writes then
    steps = [("clock", i, *clock(r)) for i in range(1, size + 1)] if r.random() < 0.7 else []
    cuts, dead, lost = set(), set(), set()
    pairs = [(i, j) for i in range(1, size + 1) for j in range(1, size + 1) if i != j]
    calm = r.random() < 0.2  # some histories are without faults: nothing but conflicts
    for n in range(length):
        up = [i for i in range(1, size + 1) if i not in dead]
        x = r.random() if not calm else r.uniform(0.3, 1)
        free = [p for p in pairs if p not in lost and p[0] not in dead and p[1] not in dead]
        if x < 0.09 and [p for p in free if p not in cuts]:
            chosen = r.choice([p for p in free if p not in cuts])
            cuts.add(chosen)
            steps.append(("cut", *chosen))
        elif x < 0.15 and [p for p in free if p in cuts]:
            chosen = r.choice([p for p in free if p in cuts])
            cuts.discard(chosen)
            steps.append(("restore", *chosen))
        elif x < 0.155 and free:
            chosen = r.choice(free)
            lost.add(chosen)
            cuts.discard(chosen)
            steps.append(("lose", *chosen))
        elif x < 0.17 and [p for p in lost if p[0] in up and p[1] in up]:
            chosen = r.choice(sorted(p for p in lost if p[0] in up and p[1] in up))
            lost.discard(chosen)
            steps.append(("relink", *chosen))
        elif x < 0.18 and len(dead) < size - 1:
            chosen = r.choice(up)
            dead.add(chosen)
            steps.append(("kill", chosen))
        elif x < 0.22 and dead:
            chosen = r.choice(sorted(dead))
            dead.discard(chosen)
            steps.append(("start", chosen))
        elif x < 0.25:
            steps.append(("clock", r.choice(up), *clock(r, forwards=collecting)))
        elif x < 0.26:
            steps.append(("freeze", r.choice(up)))
        elif x < 0.34:
            steps.append(("beat", *up))
        elif x < 0.40 and collecting:
            steps.append(("collect", r.choice(up)))
        elif x < 0.45:
            steps.append(("hold", r.choice(up), write(r, n)))
        elif x < 0.50:
            steps.append(("end", r.choice(["COMMIT", "COMMIT", "ROLLBACK"])))
        elif x < 0.53 and not cuts and not dead and not lost:
            steps.append(("converge",))
        else:
            steps.append(("write", r.choice(up), r.randrange(2), write(r, n)))
    return collecting, steps


def clock(r, forwards=False):
    """(ahead, step): how a clock is off from now on."""
    if forwards:
        return ("more", r.choice([0, 1000, 1_000_000, HOUR]), 1)
    return ("at", r.choice([0, 0, 2_000_000, -2_000_000, 500, HOUR, -HOUR]), r.choice([1, 1, 1, 50_000]))


# --- running it
class History:
    def __init__(self, mesh):
        self.mesh = mesh
        if "items" not in mesh.tables:
            rowskit.standard_tables(mesh)
        for node in mesh.nodes.values():
            mesh.clock(node.number)
            node.run("CREATE TABLE IF NOT EXISTS test.archive(number int, v bigint, op text, row jsonb)")
            for table in TABLES:
                number = mesh.number(table.name)
                node.run(f"CREATE OR REPLACE FUNCTION test.archive_{number}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
                         f"INSERT INTO test.archive VALUES ({number}, NEW.v, NEW.op, to_jsonb(NEW) - '{{v,pv,origin,op}}'::text[]); RETURN NULL; END $$;"
                         f"CREATE OR REPLACE TRIGGER archive AFTER INSERT ON wildcam.journal_{number} FOR EACH ROW EXECUTE FUNCTION test.archive_{number}()")
        self.sessions, self.held, self.lost, self.ahead = {}, {}, set(), {}
        self.done = collections.Counter()

    def reset(self):
        """All empty again. Everything has been applied everywhere: nothing is on its way."""
        names = [t.name for t in TABLES] + ["seen"]
        inside = [f"wildcam.{kind}_{self.mesh.number(t.name)}" for t in TABLES for kind in ("journal", "tombstone", "parked")
                  if kind != "parked" or t.uniques]
        for node in self.mesh.nodes.values():
            node.run(f"SET session_replication_role = replica; TRUNCATE {', '.join(names + inside)}, wildcam.ledger, wildcam.dead_letter, "
                     "wildcam.watermark, wildcam.link, test.archive; UPDATE wildcam.mesh SET announced = 0; RESET session_replication_role")
            self.mesh.clock(node.number)
            node.run("DELETE FROM test.clock WHERE since < (SELECT max(since) FROM test.clock)")
            self.ahead[node.number] = 0
            node.run("CHECKPOINT")  # a killed server replays, and its slots decode again, all since the last one
        self.done = collections.Counter()

    def run(self, seed, length=None, told=None):
        collecting, steps = plan(seed, self.mesh.size, length or random.Random(seed).randint(40, 220))
        self.reset()
        self.mesh.converge()  # everybody knows everybody's watermarks: there is a floor
        try:
            for number, step in enumerate(steps):
                if told:
                    told(number, step)
                try:
                    getattr(self, "do_" + step[0])(*step[1:])
                except rowspq.Failed as error:
                    raise Differs(f"step {number} {step}: {error} [{error.state}]") from None
        finally:
            self.mend()
        self.mesh.converge()
        try:
            self.judge(collecting)
        except AssertionError as error:
            raise Differs(str(error)) from None

    def mend(self):
        for node in self.mesh.nodes.values():
            node.start()
        for session in list(self.held):
            self.end(session, "COMMIT")
        for session in self.sessions.values():
            self.finish(session)
            session.close()
        self.sessions = {}
        for pair in list(self.mesh.cuts):
            self.mesh.restore(*pair)
        for pair in list(self.lost):
            self.do_relink(*pair)

    # steps
    def session(self, node, which):
        key = (node, which)
        if key not in self.sessions:
            self.sessions[key] = self.mesh[node].session()
            self.sessions[key].where = key
            self.sessions[key].sent = False
        return self.sessions[key]

    def finish(self, session):
        """Waits for what was sent; whoever waits for a transaction that is held open ends it."""
        if not session.sent:
            return
        while session.busy():
            try:
                until(lambda: not session.busy(), "a statement ends", 0.2 if self.held else 30)
            except AssertionError:
                if not self.held:
                    raise Differs(f"a client of n{session.where[0]} waits for ever") from None
                self.end(next(iter(self.held)), "COMMIT")
        session.sent = False
        try:
            session.finish()
            self.done["written"] += 1
        except rowspq.Failed as error:
            if error.state and error.state not in EXPECTED:
                raise
            self.done[error.state or "lost"] += 1
            if not error.state:
                self.drop(session)

    def drop(self, session):
        self.held.pop(session, None)
        self.sessions.pop(session.where, None)
        session.close()

    def end(self, session, how):
        self.held.pop(session, None)
        self.finish(session)
        if session.handle:
            session.send(how)
            session.sent = True
            self.finish(session)

    def do_write(self, node, which, text):
        self.finish(self.session(node, which))
        session = self.session(node, which)
        session.send(text)
        session.sent = True

    def do_hold(self, node, text):
        session = self.session(node, "held")
        if session in self.held:
            self.end(session, "COMMIT")
            session = self.session(node, "held")
        self.finish(session)
        session = self.session(node, "held")
        self.held[session] = True
        session.send("BEGIN")
        session.sent = True
        self.finish(session)
        if session.handle:
            session.send(text)
            session.sent = True

    def do_end(self, how):
        if self.held:
            self.end(next(iter(self.held)), how)

    def do_cut(self, i, j):
        self.quiet_ddl(i, lambda: self.mesh.cut(i, j))

    def do_restore(self, i, j):
        self.mesh.restore(i, j)

    def quiet_ddl(self, i, action):
        """An apply worker that waits for a client's row ends only when that client does."""
        for session in [s for s in self.held if s.where[0] == i]:
            self.end(session, "COMMIT")
        action()

    def do_lose(self, i, j):
        """The slot is gone, and what it had not delivered with it."""
        if (i, j) not in self.mesh.cuts:
            self.do_cut(i, j)
        self.mesh.cuts.discard((i, j))
        name = self.mesh.name(i, j)
        self.mesh[i].run(f"INSERT INTO wildcam.link(origin, subscription, state) VALUES ({j}, '{name}', 'new') ON CONFLICT (origin) DO UPDATE SET state = 'new'")
        self.mesh[i].run(f"DROP SUBSCRIPTION {name}")
        self.lost.add((i, j))

    def do_relink(self, i, j):
        self.free_rows()  # a new slot waits for the end of every transaction
        for session in list(self.sessions.values()):
            self.finish(session)
        self.mesh.link(i, j)
        self.mesh[i].run(f"UPDATE wildcam.link SET state = 'subscribed' WHERE origin = {j}")
        self.mesh[j].run("SELECT wildcam.beat()")
        self.mesh.fill(i, j, before=self.free_rows)
        self.mesh[i].run(f"UPDATE wildcam.link SET state = 'filled' WHERE origin = {j}")
        self.lost.discard((i, j))

    def free_rows(self):
        for session in list(self.held):
            self.end(session, "COMMIT")

    def do_kill(self, i):
        self.mesh[i].stop()
        for session in [s for key, s in self.sessions.items() if key[0] == i]:
            self.drop(session)

    def do_start(self, i):
        self.mesh[i].start()

    def do_clock(self, i, how, ahead, steps):
        self.ahead[i] = ahead if how == "at" else self.ahead[i] + ahead
        self.mesh.clock(i, ahead_us=self.ahead[i], steps_us=steps)

    def do_freeze(self, i):
        self.mesh[i].run("VACUUM (FREEZE) items, accounts")

    def do_beat(self, *nodes):
        for i in nodes:
            self.mesh[i].run("SELECT wildcam.beat()")

    def do_collect(self, i):
        self.mesh[i].run("SELECT wildcam.beat()")
        found = self.mesh[i].rows("SELECT tombstones FROM wildcam.collect('0')")
        self.done["collected"] += int(found[0][0])

    def do_converge(self):
        for session in list(self.held):
            self.end(session, "COMMIT")
        for session in list(self.sessions.values()):
            self.finish(session)
        self.mesh.converge()

    # --- what must have come of it
    def judge(self, collecting):
        for node in self.mesh.nodes.values():
            letters = node.rows("SELECT number, key, sqlstate, message FROM wildcam.dead_letter")
            assert not letters, f"dead letters on n{node.number}: {letters[:3]}"
        for table in TABLES:
            wanted, parked, tombs = self.oracle(table)
            number = self.mesh.number(table.name)
            for node in self.mesh.nodes.values():
                at = f"{table.name} on n{node.number}"
                generated = "- 'len' - 'at'" if table.name == "items" else ""
                have = {key_of(table, json.loads(row)): (int(v), json.loads(row)) for v, row in
                        node.rows(f"SELECT _v, to_jsonb(x) - '_v' {generated} FROM {table.name} x")}
                difference(at, have, wanted)
                if table.uniques:
                    have = {key_of(table, json.loads(row)): (int(v), json.loads(row)) for v, row in
                            node.rows(f"SELECT _v, to_jsonb(x) - '_v' - 'at' FROM wildcam.parked_{number} x")}
                    difference(f"parked {at}", have, parked)
                have = {key_of(table, json.loads(row)): int(v) for v, row in node.rows(f"SELECT v, to_jsonb(x) - 'v' FROM wildcam.tombstone_{number} x")}
                if not collecting:
                    difference(f"tombstones {at}", have, tombs)
                for key, v in have.items():
                    assert tombs.get(key) == v or (collecting and v < tombs.get(key, 0)), f"tombstone of {at}: {key} {v}, journaled was {tombs.get(key)}"
                assert node.value(f"SELECT wildcam.sweep_{number}()") == "0", f"sweep found something: {at}"
        self.mesh.same("seen")

    def oracle(self, table):
        """(visible, parked, tombstones) of a table by the set of journaled versions alone."""
        best, tombs = {}, {}
        for node in self.mesh.nodes.values():
            for v, op, row in node.rows(f"SELECT v, op, row FROM test.archive WHERE number = {self.mesh.number(table.name)}"):
                v, row = int(v), {k: c for k, c in json.loads(row).items() if k != "c_at"}
                key = key_of(table, row)
                if op == "D":
                    tombs[key] = max(v, tombs.get(key, 0))
                if key not in best or best[key][0] < v:
                    best[key] = (v, op, row)
        wanted, parked, taken = {}, {}, set()
        for key, (v, op, row) in sorted(best.items(), key=lambda item: (item[1][0], item[0]), reverse=True):
            if op == "D":
                continue
            values = [(n, tuple(row[c] for c in unique)) for n, unique in enumerate(table.uniques) if all(row[c] is not None for c in unique)]
            if any(value in taken for value in values):
                parked[key] = (v, row)
            else:
                taken.update(values)
                wanted[key] = (v, row)
        return wanted, parked, tombs


def key_of(table, row):
    return tuple(row[column] for column in table.key)


def difference(at, have, wanted):
    wrong = [(key, have.get(key), wanted.get(key)) for key in {*have, *wanted} if have.get(key) != wanted.get(key)]
    assert not wrong, f"{at}: {len(wrong)} keys; (key, there, by the oracle): {str(wrong[:3])[:600]}"
