# SPDX-License-Identifier: MIT
"""A mesh of bare PostgreSQL 15 servers for the tests of the federation's SQL: no fleet, no daemon, no TLS. `wildcam-rows` would do what
`Mesh.up` does here: the generated SQL (tests/rows/rows_sql.c prints it), the registry, one subscription for each pair.

    with rowskit.Mesh(3) as mesh:
        mesh.federate("CREATE TABLE items(id bigint PRIMARY KEY, name text)", "items")
        mesh[1].run("INSERT INTO items VALUES (1, 'x')")
        mesh.cut(2, 1)                 # node 2 hears nothing of node 1
        mesh.restore(2, 1)
        mesh.converge()
        mesh.same()

Servers run on UNIX sockets, as user 'wildcam' when we are root, without fsync, below one temporary folder. They die with us (parent
death signal), whatever ends us. Clocks: `mesh.clock(2, ahead_us=5_000_000)` moves what node 2's SQL takes for the time; the generated
functions stay as they are, only their clock_timestamp() is exchanged."""
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

import rowspq
import waiting

BUILD = pathlib.Path(os.environ.get("WILDCAM_BUILD", "build")).resolve()
POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
DATABASE, OWNER = "wildcam", "wildcam"
LWW, INSERT_ONLY = "lww", "insert-only"
DEADLINE = float(os.environ.get("WILDCAM_ROWS_DEADLINE", "60"))
SETTINGS = {
    "listen_addresses": "", "wal_level": "logical", "fsync": "off", "full_page_writes": "off", "shared_buffers": "24MB", "max_connections": "60",
    "max_wal_senders": "20", "max_replication_slots": "20", "max_logical_replication_workers": "12", "max_worker_processes": "24",
    "wal_retrieve_retry_interval": "50ms", "wal_receiver_status_interval": "1s", "deadlock_timeout": "100ms", "jit": "off",
    "max_slot_wal_keep_size": "10GB",
    "max_wal_size": "256MB", "checkpoint_timeout": "30min", "autovacuum_naptime": "60s", "log_min_messages": "warning",
    "unix_socket_permissions": "0700", "log_line_prefix": "%m %b %a ", "logical_decoding_work_mem": "16MB",
}


def until(condition, what, deadline=DEADLINE):
    return waiting.until(condition, what, deadline)


def run_user():
    """Who PostgreSQL runs as: it refuses root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in ("wildcam", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise RuntimeError("neither user 'wildcam' nor 'nobody'")


def unprivileged(*command):
    who = run_user()
    drop = [] if os.geteuid() != 0 else ["--reuid", str(who.pw_uid), "--regid", str(who.pw_gid), "--clear-groups"]
    return ["setpriv", *drop, "--pdeathsig", "QUIT", *(str(part) for part in command)]


def memory_folder():
    """Where six databases are thrown away fastest."""
    memory = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    return "/dev/shm" if memory is not None and memory.f_bavail * memory.f_frsize > 4 << 30 else "/tmp"


def rows_sql(*arguments):
    """What the generator prints."""
    done = subprocess.run([BUILD / "tests/rows/rows-sql", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"rows-sql {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


class Node:
    """One server. `session()` opens a connection of its own; rows, value, run use one that is kept."""

    def __init__(self, mesh, number):
        self.mesh, self.number, self.region = mesh, number, f"n{number}"
        self.folder, self.sockets = mesh.folder / f"n{number}", mesh.folder / f"s{number}"
        self.process, self.kept, self.log = None, None, mesh.folder / f"n{number}.log"
        self.clocked = False

    def conninfo(self, user=OWNER, database=DATABASE, application="test"):
        return f"host={self.sockets} user={user} dbname={database} application_name={application} options=-csearch_path=public"

    def launch(self):
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        (self.sockets / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(unprivileged(POSTGRES / "postgres", "-D", self.folder, "-k", self.sockets), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    def answers(self, database="postgres"):
        if self.process.poll() is not None:  # processes of a killed predecessor were still ending
            self.launch()
        try:
            rowspq.connect(self.conninfo(database=database)).close()
            return True
        except rowspq.Failed:
            return False

    def start(self):
        if self.process is None or self.process.poll() is not None:
            self.launch()
        until(self.answers, f"{self.region} answers")

    def stop(self, number=signal.SIGQUIT):
        """As a killed machine: nothing is written on the way out. With fsync off what was acknowledged survives in the page cache."""
        self.forget()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)

    def forget(self):
        if self.kept is not None:
            self.kept.close()
            self.kept = None

    def session(self, user=OWNER, database=DATABASE, application="test"):
        return rowspq.connect(self.conninfo(user, database, application))

    def _kept(self):
        if self.kept is None:
            self.kept = self.session()
        return self.kept

    def _retried(self, method, text):
        """Deadlocks with apply workers are for the client to repeat; the federation promises no more."""
        for _ in range(20):
            try:
                return getattr(self._kept(), method)(text)
            except rowspq.Failed as error:
                if not error.state:
                    self.forget()
                if error.state != "40P01":
                    raise
            except AssertionError:  # it hangs: others need a session that does not
                self.forget()
                raise
        raise AssertionError(f"{self.region}: only deadlocks: {text}")

    def rows(self, text):
        return self._retried("rows", text)

    def value(self, text):
        return self._retried("value", text)

    def run(self, text):
        return self._retried("run", text)

    def last_error(self):
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if "ERROR" in line or "FATAL" in line]
        return lines[-1][-300:] if lines else "no error"

    def errors(self):
        """Apply errors of all its subscriptions so far."""
        return int(self.value("SELECT coalesce(sum(apply_error_count), 0) FROM pg_stat_subscription_stats"))


class Mesh:
    def __init__(self, size, settings=None, folder=None):
        self.size, self.settings = size, {**SETTINGS, **(settings or {})}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wildcam-rows-", dir=folder or memory_folder()))
        self.folder.chmod(0o755)
        self.nodes = {number: Node(self, number) for number in range(1, size + 1)}
        self.tables, self.cuts = {}, set()

    def __getitem__(self, number):
        return self.nodes[number]

    def __enter__(self):
        try:
            return self.up()
        except BaseException:
            self.down()
            raise

    def __exit__(self, *error):
        self.down()

    def pairs(self):
        return [(i, j) for i in self.nodes for j in self.nodes if i != j]

    def everywhere(self, text):
        for node in self.nodes.values():
            node.run(text)

    # --- servers
    def up(self):
        who = run_user()
        template = self.folder / "template"
        template.mkdir(mode=0o700)
        os.chown(template, who.pw_uid, who.pw_gid)
        subprocess.run(unprivileged(POSTGRES / "initdb", "-D", template, "-U", OWNER, "--no-sync", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                                    "--wal-segsize=4"), check=True, capture_output=True)
        with open(template / "postgresql.conf", "a") as conf:
            conf.writelines(f"{key} = '{value}'\n" for key, value in self.settings.items())
        for node in self.nodes.values():
            node.sockets.mkdir(mode=0o700)
            os.chown(node.sockets, who.pw_uid, who.pw_gid)
            subprocess.run(["cp", "-a", template, node.folder], check=True)
            node.launch()
        shutil.rmtree(template)
        for node in self.nodes.values():
            node.start()
            with_postgres = node.session(database="postgres")
            with_postgres.run(f"CREATE DATABASE {DATABASE}")
            with_postgres.close()
            node.run(rows_sql("roles"))
            node.run(rows_sql("base", node.number, node.region, f"cloud{(node.number - 1) % 3 + 1}", "test"))
        self.register()
        self.publish()
        for i, j in self.pairs():
            self.link(i, j)
        return self

    def down(self):
        for node in self.nodes.values():
            node.forget()
            if node.process is not None and node.process.poll() is None:
                node.process.send_signal(signal.SIGQUIT)
        for node in self.nodes.values():
            if node.process is not None:
                try:
                    node.process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(node.process.pid, signal.SIGKILL)
                    node.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- the federation
    def register(self):
        """What the daemon writes: who is in the mesh."""
        for node in self.nodes.values():
            for other in self.nodes.values():
                node.run(f"INSERT INTO wildcam.node(origin, region, cloud, state, since) VALUES ({other.number}, '{other.region}', "
                         f"'cloud{(other.number - 1) % 3 + 1}', 'active', now()) ON CONFLICT (origin) DO UPDATE SET state = 'active'")

    def publish(self):
        numbers = [f"{number}:{kind}:{table}" for table, (number, kind) in self.tables.items()]
        for node in self.nodes.values():
            node.run(rows_sql("publication", node.number, node.region, node.conninfo(), *numbers))

    def name(self, subscriber, publisher):
        return f"{self.nodes[subscriber].region}_from_{self.nodes[publisher].region}"

    def link(self, i, j):
        name = self.name(i, j)
        self[i].run(f"CREATE SUBSCRIPTION {name} CONNECTION '{self[j].conninfo(application=name)}' PUBLICATION wildcam "
                    "WITH (copy_data = false, synchronous_commit = local, streaming = off, disable_on_error = false)")

    def federate(self, ddl, *tables, kind=LWW, nodes=None):
        """Creates tables on all nodes and federates them. `tables` are SQL names; {origin} in the ddl is each node's own."""
        for node in self.nodes.values():
            if ddl:
                node.run(ddl.replace("{origin}", str(node.number)))
        for table in tables:
            number = self.tables[table][0] if table in self.tables else max((n for n, _ in self.tables.values()), default=0) + 1
            for node in self.nodes.values():
                node.run(rows_sql("table", node.number, node.region, node.conninfo(), f"{number}:{kind}:{table}"))
            self.tables[table] = (number, kind)  # not before: what failed here must not fail all that follows
        self.refresh()

    def refresh(self):
        self.publish()
        for i, j in self.pairs():
            self[i].run(f"ALTER SUBSCRIPTION {self.name(i, j)} REFRESH PUBLICATION WITH (copy_data = false)")

    def number(self, table):
        return self.tables[table][0]

    # --- links and clocks
    def cut(self, subscriber, publisher):
        name = self.name(subscriber, publisher)
        self[subscriber].run(f"ALTER SUBSCRIPTION {name} DISABLE")
        self.cuts.add((subscriber, publisher))
        until(lambda: not self[subscriber].rows(f"SELECT 1 FROM pg_stat_subscription WHERE subname = '{name}' AND pid IS NOT NULL"), f"{name} ends")
        publisher = self[publisher]
        if publisher.process.poll() is None:
            until(lambda: publisher.value(f"SELECT active FROM pg_replication_slots WHERE slot_name = '{name}'") == "f", f"slot {name} is free")

    def restore(self, subscriber, publisher):
        self[subscriber].run(f"ALTER SUBSCRIPTION {self.name(subscriber, publisher)} ENABLE")
        self.cuts.discard((subscriber, publisher))

    def cut_all(self):
        for i, j in self.pairs():
            self[i].run(f"ALTER SUBSCRIPTION {self.name(i, j)} DISABLE")
        for i, j in self.pairs():
            self.cut(i, j)

    def restore_all(self):
        for i, j in self.pairs():
            self.restore(i, j)

    def clock(self, number, ahead_us=0, steps_us=1, fixed_us=None):
        """What this node takes for the time from now on: `ahead_us` off, only every `steps_us`, or always the same. A moment that
        has passed, such as the start of a transaction, stays what the clock said then."""
        node = self[number]
        if not node.clocked:
            node.run("CREATE SCHEMA IF NOT EXISTS test; CREATE TABLE IF NOT EXISTS test.clock(since timestamptz PRIMARY KEY, ahead interval, step bigint, fixed timestamptz);"
                     "TRUNCATE test.clock; INSERT INTO test.clock VALUES ('-infinity', '0', 1, NULL);"
                     "CREATE OR REPLACE FUNCTION test.at(moment timestamptz) RETURNS timestamptz VOLATILE LANGUAGE sql SECURITY DEFINER "
                     "SET search_path = pg_catalog AS $$ SELECT coalesce(fixed, to_timestamp((date_part('epoch', moment + ahead) * 1000000)::bigint "
                     "/ step * step / 1000000.0)) FROM test.clock WHERE since <= moment ORDER BY since DESC LIMIT 1 $$")
            for name in ("stamp(bigint)", "beat()", "is_own(bigint, bigint)"):
                text = node.value(f"SELECT pg_get_functiondef('wildcam.{name}'::regprocedure)")
                changed, n = re.subn(r"(?:pg_catalog\.)?\b(?:clock|transaction)_timestamp\(\)|\ba\.xact_start\b", r"test.at(\g<0>)", text)
                assert n, f"wildcam.{name} asks no clock: {text}"
                node.run(changed)
            node.clocked = True
        fixed = "NULL" if fixed_us is None else f"to_timestamp({fixed_us} / 1000000.0)"
        # Known before it begins: nobody may stamp by the old rule after the new one was in force.
        while node.value(f"WITH n AS (INSERT INTO test.clock VALUES (clock_timestamp() + interval '20 ms', {ahead_us} * interval '1 us', {steps_us}, {fixed})"
                         " RETURNING since) SELECT 1 FROM n") and node.value("SELECT max(since) < clock_timestamp() FROM test.clock") == "t":
            pass
        until(lambda: node.value("SELECT max(since) < clock_timestamp() FROM test.clock") == "t", "the clock has changed")
        if ahead_us == 0 and fixed_us is None:  # right again: as if it had never announced anything from the future
            node.run("UPDATE wildcam.mesh SET announced = 0")

    def fill(self, taker, giver, before=None):
        """What a new link does besides the stream: all versions whose origin is the giver, merged at the taker."""
        source = self[giver].session()
        source.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = []
        for table, (number, kind) in self.tables.items():
            if kind == INSERT_ONLY:
                found += [(number, table, "I", "0", row) for row, in source.rows(f"SELECT to_jsonb(x) FROM {table} x WHERE _origin = {giver}")]
                continue
            found += [(number, table, "D", v, row) for v, row in source.rows(
                f"SELECT v, to_jsonb(x) - 'v' FROM wildcam.tombstone_{number} x WHERE v & 255 = {giver}")]
            found += [(number, table, "U", v, row) for v, row in source.rows(
                f"SELECT _v, to_jsonb(x) FROM {table} x WHERE _v & 255 = {giver} ORDER BY _v DESC")]
            if source.value(f"SELECT to_regclass('wildcam.parked_{number}')"):
                found += [(number, table, "U", v, row) for v, row in source.rows(
                    f"SELECT _v, to_jsonb(x) - 'at' FROM wildcam.parked_{number} x WHERE _v & 255 = {giver} ORDER BY _v DESC")]
        source.run("COMMIT")
        source.close()
        if before:
            before()
        for number, table, op, v, row in found:
            self[taker].run(f"SELECT wildcam.merge_{number}('{op}', {v}, NULL, jsonb_populate_record(NULL::{table}, {rowspq.quoted(row)}))")

    # --- what must hold
    def converge(self, deadline=DEADLINE, nodes=None):
        """Everything that had been committed anywhere when this was called is applied everywhere."""
        nodes = nodes or list(self.nodes)
        wanted = {}
        for i in nodes:
            self[i].run("SELECT wildcam.beat()")
            wanted[i] = self[i].value("SELECT pg_current_wal_insert_lsn()")
        for i in nodes:
            self[i].run("SELECT wildcam.beat()")
        late = lambda: [(i, j) for i in nodes for j in nodes if i != j and not self[i].rows(
            f"SELECT 1 FROM wildcam.watermark WHERE node = {i} AND origin = {j} AND lsn >= '{wanted[j]}'")]
        try:
            until(lambda: not late(), "converged", deadline)
        except AssertionError:
            raise AssertionError(f"not converged in {deadline} s: {late()}; last words: " +
                                 "; ".join(f"{node.region}: {node.last_error()}" for node in self.nodes.values())) from None

    def content(self, number, table, tombstones=True):
        """{kind: sorted rows as text} of what one node has of a table, whoever asks."""
        node, (index, kind) = self[number], self.tables[table]
        if kind == INSERT_ONLY:
            return {"rows": node.rows(f"SELECT x::text FROM {table} x ORDER BY 1")}
        found = {"rows": node.rows(f"SELECT x::text FROM {table} x ORDER BY 1")}
        if tombstones:
            found["tombstones"] = node.rows(f"SELECT x::text FROM wildcam.tombstone_{index} x ORDER BY 1")
        if node.value(f"SELECT to_regclass('wildcam.parked_{index}')"):
            found["parked"] = node.rows(f"SELECT (to_jsonb(x) - 'at')::text FROM wildcam.parked_{index} x ORDER BY 1")
        return found

    def same(self, *tables, tombstones=True):
        """Rows, tombstones and parked rows are the same on every node, and no parked row could be visible."""
        for table in tables or self.tables:
            first = self.content(1, table, tombstones)
            for number in self.nodes:
                other = self.content(number, table, tombstones)
                for what in first:
                    difference = sorted(set(first[what]) ^ set(other[what]))
                    assert first[what] == other[what], f"{table}: {what} differ between n1 and n{number}: {difference[:6]} ({len(difference)})"
                if "parked" in first:
                    swept = self[number].value(f"SELECT wildcam.sweep_{self.number(table)}()")
                    assert swept == "0", f"{table}: sweep found {swept} on n{number}"

    def settle(self, *tables):
        self.converge()
        self.same(*tables)

    def errors(self):
        return sum(node.errors() for node in self.nodes.values())


TABLES = {
    "items": "id bigint PRIMARY KEY, grp int, name text, qty int NOT NULL DEFAULT 0, payload text, at timestamptz DEFAULT now(), "
             "len int GENERATED ALWAYS AS (length(name)) STORED",
    "accounts": "id bigint PRIMARY KEY, email text NOT NULL UNIQUE, balance int NOT NULL DEFAULT 0 CHECK (balance >= 0)",
    "slots": "id bigint PRIMARY KEY, a int UNIQUE, b int, c int, t text, UNIQUE (b, c)",
    "parents": "id bigint PRIMARY KEY, t text",
    "children": "id bigint PRIMARY KEY, parent bigint REFERENCES parents ON DELETE CASCADE, t text",
    "pairs": "a int, b text, note text UNIQUE, n int, PRIMARY KEY (a, b)",
    "raced": "id bigint PRIMARY KEY, name text",
    "raced_mail": "id bigint PRIMARY KEY, email text NOT NULL UNIQUE",
    "raced_slots": "id bigint PRIMARY KEY, a int UNIQUE, b int, c int, UNIQUE (b, c)",
}


def standard_tables(mesh):
    """The tables that most tests use."""
    mesh.federate("".join(f"CREATE TABLE {name}({columns});" for name, columns in TABLES.items()), *TABLES)
    mesh.federate("CREATE TABLE seen(id uuid PRIMARY KEY DEFAULT gen_random_uuid(), camera int, label text, at timestamptz DEFAULT now())",
                  "seen", kind=INSERT_ONLY)
