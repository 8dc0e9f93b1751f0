# SPDX-License-Identifier: MIT
"""`wildcam rows init` on databases given by connection strings, as managed ones are: interrupted at every statement, with a
region away, with a wrong password, with another version; what the preflight names. And on a fleet that `up` made: federated by
itself, peers come in by certificate and as nobody else."""
import json
import os
import shutil
import signal
import subprocess

import fleetkit
import pytest
import rowskit
import rowspq
from rowskit import BUILD, until

NAMES = ["alpha", "beta", "gamma"]
SECRET = "geheim-und-lang"
HEAD = """
fleet: {name: test, domain: example.org, generation: 1, peak_load: 100}
clients:
  - {name: all, prefixes: [0.0.0.0/0, "::/0"], location: [45.0, -120.0], demand: 100 %}
clouds: [{name: aws}, {name: azure}, {name: gcp}]
services:
  - name: api
    routes: [{path: /api/*, cache: none}]
budgets:
  shares: {aws: 33 %, azure: 33 %, gcp: 34 %}
rows:
  tables: [{name: items}, {name: shop.orders, kind: insert-only}]
regions:
"""
REGION = """  - name: {name}
    cloud: {cloud}
    origin: {origin}
    location: [45.8, -119.7]
    capacity: 100
    gateway: {{address: 127.13{origin}.9.1}}
    database: "{dsn}"
"""
TABLES = ("CREATE TABLE items(id bigint PRIMARY KEY, name text UNIQUE); CREATE SCHEMA shop; "
          "CREATE TABLE shop.orders(id uuid PRIMARY KEY DEFAULT gen_random_uuid(), what text)")


class Servers(rowskit.Mesh):
    """Servers with tables and nothing else, and a state folder that names so many regions."""

    def __init__(self, size, settings=None, regions=3):
        super().__init__(size, settings)
        self.regions = regions

    def up(self):
        who = rowskit.run_user()
        for node in self.nodes.values():
            for folder in (node.folder, node.sockets):
                folder.mkdir(mode=0o700)
                os.chown(folder, who.pw_uid, who.pw_gid)
            subprocess.run(rowskit.unprivileged(rowskit.POSTGRES / "initdb", "-D", node.folder, "-U", "wildcam", "--no-sync", "-A", "trust",
                                                "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=4"), check=True, capture_output=True)
            with open(node.folder / "postgresql.conf", "a") as conf:
                conf.writelines(f"{key} = '{value}'\n" for key, value in self.settings.items())
            node.launch()
        text = HEAD
        for number, name in enumerate(NAMES[:self.regions], 1):
            dsn = f"host={self.folder}/s{number} user=wildcam dbname=wildcam"
            text += REGION.format(name=name, cloud=["aws", "azure", "gcp"][number - 1], origin=number, dsn=dsn)
            (self.folder / "run" / name).mkdir(parents=True)
            self.password(number, f"*:*:*:wildcam:{SECRET}")
        (self.folder / "run/fleet.yaml").write_text(text)
        for node in self.nodes.values():
            node.start()
            postgres = node.session(database="postgres")
            postgres.run("CREATE DATABASE wildcam")
            postgres.close()
            node.run(TABLES)
        return self

    def password(self, number, line):
        path = self.folder / "run" / NAMES[number - 1] / "pg.pass"
        path.write_text(line + "\n")
        path.chmod(0o600)

    def init(self, *options, code=0, environment=None):
        done = subprocess.run([BUILD / "wildcam-rows", "init", "--dir", self.folder / "run", *options], capture_output=True, text=True,
                              timeout=120, env={**os.environ, **(environment or {})})
        assert code is None or done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def report(self, code=0):
        answer = json.loads(self.init("--json", code=code).stdout)
        return {region["region"]: region for region in answer["regions"]}

    def killed_at(self, number):
        """The statement in which it was killed; None: it ended before. Sanitized programs want their runtime first."""
        log = self.folder / "statement"
        log.unlink(missing_ok=True)
        preload = fleetkit.preload(BUILD / "tests/integration/libkillat.so", "wildcam-rows")
        done = self.init(code=None, environment={"LD_PRELOAD": preload, "KILL_AT": str(number), "KILL_LOG": str(log)})
        if done.returncode == -signal.SIGKILL:
            return log.read_text()
        assert done.returncode == 0, done.stdout + done.stderr
        return None

    def slots(self):
        return sorted(tuple(row) for node in self.nodes.values() for row in node.rows("SELECT slot_name, active FROM pg_replication_slots"))


@pytest.fixture(scope="module")
def servers():
    with Servers(3) as servers:
        yield servers


def test_a_plan_changes_nothing_and_hides_passwords(servers):
    plan = servers.init("--plan", code=None).stdout
    for text in ("CREATE SCHEMA", "CREATE SUBSCRIPTION alpha_from_beta", "CREATE SUBSCRIPTION gamma_from_alpha", "items", "shop.orders", "***"):
        assert text in plan, text
    assert SECRET not in plan
    for node in servers.nodes.values():
        assert node.value("SELECT to_regnamespace('wildcam')") is None
        assert node.value("SELECT count(*) FROM pg_subscription") == "0"


@pytest.fixture(scope="module")
def pair():
    with Servers(2, regions=2) as pair:
        yield pair


def test_interrupted_at_every_change(pair):
    number, seen, changes = 1, set(), set()
    while (statement := pair.killed_at(number)) is not None:
        changes |= {word for word in ("CREATE SCHEMA", "CREATE PUBLICATION", "pg_create_logical_replication_slot", "CREATE SUBSCRIPTION",
                                      "journal_", "'filled'") if word in statement}
        if statement in seen:  # what a statement changed is there, so that the next one has its number now: those first
            number, seen = number + 1, set()
        seen.add(statement)
        assert number < 200
    assert len(changes) == 6, changes
    until(lambda: pair.slots() == [("alpha_from_beta", "t"), ("beta_from_alpha", "t")], "two slots, both of them read")
    for region in pair.report().values():
        assert region["changes"] == 0 and [link["state"] for link in region["links"]] == ["filled"], region
    pair[1].run("INSERT INTO items VALUES (1, 'one')")
    until(lambda: pair[2].value("SELECT name FROM items WHERE id = 1") == "one", "rows travel")


def test_a_second_run_changes_nothing(servers):
    assert all(region["subscriptions"] == 2 for region in servers.report().values())
    for region in servers.report().values():
        assert (region["changes"], region["tables"], region["subscriptions"], region["fills"]) == (0, 0, 0, 0), region
        assert region["problems"] == [] and region["error"] is None
    registry = {tuple(map(tuple, node.rows("SELECT origin, region, cloud, state, since FROM wildcam.node ORDER BY 1")))
                for node in servers.nodes.values()}
    assert len(registry) == 1 and len(next(iter(registry))) == 3
    numbers = {tuple(map(tuple, node.rows("SELECT number, schema, name, kind FROM wildcam.federated ORDER BY 1")))
               for node in servers.nodes.values()}
    assert len(numbers) == 1 and len(next(iter(numbers))) == 2


def test_rows_go_everywhere(servers):
    servers[1].run("INSERT INTO items VALUES (1, 'one')")
    servers[2].run("INSERT INTO shop.orders(what) VALUES ('tea')")
    for node in servers.nodes.values():
        until(lambda: node.value("SELECT name FROM items WHERE id = 1") == "one", f"{node.region} has the item")
        until(lambda: node.value("SELECT what FROM shop.orders") == "tea", f"{node.region} has the order")


def test_a_region_that_is_away_is_named_and_completed_later(servers):
    servers[3].stop()
    report = servers.report(code=3)
    assert not report["gamma"]["reachable"] and report["gamma"]["error"]
    assert report["alpha"]["error"] is None
    assert "gamma" in next(link["error"] for link in report["alpha"]["links"] if link["from"] == "gamma")
    servers[1].run("INSERT INTO items VALUES (2, 'two')")
    servers[3].start()
    servers.report()
    until(lambda: servers[3].value("SELECT name FROM items WHERE id = 2") == "two", "what was written meanwhile comes")


def test_a_lost_slot_is_made_anew_and_an_orphan_dropped(servers):
    servers[1].run("ALTER SUBSCRIPTION alpha_from_beta DISABLE")
    until(lambda: servers[2].value("SELECT active FROM pg_replication_slots WHERE slot_name = 'alpha_from_beta'") == "f", "nobody reads it")
    servers[2].run("SELECT pg_drop_replication_slot('alpha_from_beta')")
    servers[1].run("ALTER SUBSCRIPTION alpha_from_beta ENABLE")
    servers[2].run("INSERT INTO items VALUES (3, 'three')")
    servers[1].run("ALTER SUBSCRIPTION alpha_from_gamma DISABLE")
    servers[1].run("ALTER SUBSCRIPTION alpha_from_gamma SET (slot_name = NONE)")
    servers[1].run("DROP SUBSCRIPTION alpha_from_gamma")
    until(lambda: servers[3].value("SELECT active FROM pg_replication_slots WHERE slot_name = 'alpha_from_gamma'") == "f", "an orphan")
    restart = servers[3].value("SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'alpha_from_gamma'")
    report = servers.report()
    assert report["alpha"]["subscriptions"] == 2 and report["alpha"]["fills"] == 2
    assert servers[3].value("SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'alpha_from_gamma'") != restart
    until(lambda: servers[1].value("SELECT name FROM items WHERE id = 3") == "three", "the gap is filled")


def test_a_wrong_password_on_one_side_is_said_and_mended(servers):
    gamma = servers[3]
    gamma.run("SET password_encryption = 'scram-sha-256'; ALTER ROLE wildcam_replication PASSWORD 'richtig'")
    access = gamma.folder / "pg_hba.conf"
    old = access.read_text()
    access.write_text("local all wildcam_replication scram-sha-256\n" + old)
    gamma.run("SELECT pg_reload_conf()")
    try:
        servers.password(3, f"*:*:*:wildcam:{SECRET}\n*:*:*:wildcam_replication:falsch")
        report = servers.report(code=3)
        error = next(link["error"] for link in report["beta"]["links"] if link["from"] == "gamma")
        assert "password authentication failed" in error and "falsch" not in json.dumps(report)
        assert next(link["error"] for link in report["beta"]["links"] if link["from"] == "alpha") is None
        assert any("cannot come in" in problem for problem in report["gamma"]["problems"])
        servers.password(3, f"*:*:*:wildcam:{SECRET}\n*:*:*:wildcam_replication:richtig")
        report = servers.report()
        assert report["beta"]["changes"] == 1  # the connection of one subscription
        gamma.run("INSERT INTO items VALUES (4, 'four')")
        until(lambda: servers[2].value("SELECT name FROM items WHERE id = 4") == "four", "it comes with the new password")
        assert servers.report()["beta"]["changes"] == 0
    finally:
        access.write_text(old)
        gamma.run("SELECT pg_reload_conf()")


def test_another_version_is_refused(servers):
    servers[2].run("UPDATE wildcam.mesh SET sql_version = sql_version + 1")
    version = servers[2].value("SELECT sql_version FROM wildcam.mesh")
    servers[1].run("COMMENT ON SCHEMA wildcam IS 'of another text'")  # it is brought up to date all the same
    try:
        report = servers.report(code=3)
        error = next(link["error"] for link in report["alpha"]["links"] if link["from"] == "beta")
        assert f"version {version}" in error and "one version" in error
        assert report["alpha"]["error"] is None and report["alpha"]["changes"] >= 1
    finally:
        servers[2].run("UPDATE wildcam.mesh SET sql_version = sql_version - 1")
    servers.report()


SMALL = {"wal_level": "replica", "max_wal_senders": "2", "max_replication_slots": "1", "max_logical_replication_workers": "2",
         "max_worker_processes": "4", "max_connections": "15", "superuser_reserved_connections": "1"}


def test_settings_that_are_too_small_are_named_each():
    with Servers(1, SMALL, regions=3) as small:
        small[1].run("CREATE ROLE rds_superuser")
        small[1].run("CREATE ROLE half LOGIN")
        report = small.report(code=3)
        problems = report["alpha"]["problems"]
        for name in ("wal_level", "max_wal_senders", "max_replication_slots", "max_logical_replication_workers", "max_worker_processes",
                     "max_connections"):
            assert any(problem.startswith(name + " is ") and "parameter group" in problem for problem in problems), (name, problems)
        assert small[1].value("SELECT to_regnamespace('wildcam')") is None, "nothing was begun"
        assert not report["beta"]["reachable"] and not report["gamma"]["reachable"]
        path = small.folder / "run/fleet.yaml"
        path.write_text(path.read_text().replace("user=wildcam", "user=half", 1))
        problems = small.report(code=3)["alpha"]["problems"]
        for text in ("GRANT rds_superuser TO half", "GRANT rds_replication TO half", "CREATEROLE", "pg_monitor"):
            assert any(text in problem for problem in problems), (text, problems)


# --- a fleet that `up` made ---

def psql(fleet, region, sql, *options):
    return fleet.wildcam("psql", *options, region, "--", "-XqAtc", sql, check=False)


def federated(fleet):
    return fleet.wildcam("rows", "init", "--json", check=False, timeout=180).returncode == 0


def test_up_federates_by_itself(fleet):
    until(lambda: all(psql(fleet, region, "SELECT count(*) FROM wildcam.link WHERE state = 'filled'").stdout.strip() == "5"
                      for region in fleetkit.REGIONS), "every daemon has filled its links", 120)
    number = fleet.post_detection("us-east-1", "rows-init-1").json()["id"]
    for region in fleetkit.REGIONS:
        until(lambda: fleet.get(region, f"/api/detections/{number}").status == 200, f"{region} has it", 30)
    until(lambda: federated(fleet), "rows init finds everything done", 60)


def test_replication_shows_names_and_lags_while_idle(fleet):
    sql = ("SELECT application_name, state, coalesce(extract(epoch FROM replay_lag), -1), (SELECT count(*) FROM pg_stat_replication) "
           "FROM pg_stat_replication WHERE write_lag IS NULL OR flush_lag IS NULL OR replay_lag IS NULL OR state <> 'streaming' "
           "OR application_name !~ '^[a-z_0-9]+_from_us_west_2$'")
    calm = [0]

    def all_have_lags():
        calm[0] = calm[0] + 1 if psql(fleet, "us-west-2", sql).stdout.strip() == "" else 0
        return calm[0] == 40  # at changing distance to the beats
    until(all_have_lags, "40 looks in a row without an empty lag", 60)
    assert psql(fleet, "us-west-2", "SELECT count(*) FROM pg_stat_replication").stdout.strip() == "5"


def test_analytics_reads_all_and_writes_nothing(fleet):
    assert psql(fleet, "eastus", "CREATE TABLE later(a int); INSERT INTO later VALUES (1)").returncode == 0
    try:
        assert psql(fleet, "eastus", "SELECT a FROM later", "--analytics").stdout.strip() == "1"
        assert int(psql(fleet, "eastus", "SELECT count(*) FROM detections", "--analytics").stdout) > 0
        for sql in ("INSERT INTO later VALUES (2)", "DELETE FROM detections", "SELECT wildcam.beat()", "CREATE TABLE mine(a int)",
                    "SET default_transaction_read_only = off; DELETE FROM later"):
            done = psql(fleet, "eastus", sql, "--analytics")
            assert done.returncode != 0 and ("permission denied" in done.stderr or "read-only" in done.stderr), (sql, done.stderr)
    finally:
        psql(fleet, "eastus", "DROP TABLE later")


def test_peers_come_in_by_their_certificate_only(fleet, tmp_path):
    def attempt(user, certificate, database="wildcam"):
        place = f"host={fleet.address('eastus')} port=5432 dbname={database} user={user} sslmode=verify-full sslrootcert={fleet.ca}"
        for suffix in ("pem", "key"):
            shutil.copyfile(fleet.dir / f"pki/{certificate}.{suffix}", tmp_path / f"own.{suffix}")
            (tmp_path / f"own.{suffix}").chmod(0o600)
        try:
            connection = rowspq.connect(f"{place} sslcert={tmp_path}/own.pem sslkey={tmp_path}/own.key passfile={tmp_path}/none")
        except rowspq.Failed as error:
            return str(error)
        who = connection.value("SELECT current_user")
        connection.close()
        return who

    assert attempt("wildcam_rows", "us-west-2/peer") == "wildcam_rows"
    assert attempt("wildcam_replication", "us-west-2/peer") == "wildcam_replication"
    assert "certificate authentication failed" in attempt("wildcam_rows", "operator")
    assert "password" in attempt("wildcam", "us-west-2/peer")
    assert "rejects connection" in attempt("wildcam_rows", "us-west-2/peer", "postgres")
