# SPDX-License-Identifier: MIT
"""rowskit's bare servers with a daemon for each: a mesh that makes itself. Regions n1, n2 ... in clouds of their own, given to the
daemons by DSN in a small fleet.yaml; nothing else of a fleet runs.

    with rowsdkit.Mesh(3) as mesh:
        mesh.settled()                       # all links stream, says everybody
        mesh.rows(1)["links"]                # GET /v1/rows of n1's daemon
        mesh.daemon(1).kill()
"""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess

import rowskit
from rowskit import until

BLOCK = int(os.environ.get("WILDCAM_TEST_BLOCK", "14"))
FLEET = """\
fleet: {{name: small, domain: example.org, generation: 1, peak_load: 10}}
clients:
  - {{name: world, prefixes: [0.0.0.0/0, "::/0"], location: [0.0, 0.0], demand: 100 %}}
clouds:
{clouds}
regions:
{regions}
services:
  - name: api
    routes:
      - {{path: "/*", get: read, other: write, cache: none}}
    all_down: {{read: open, write: closed}}
    latency_budget: 1ms
budgets:
  monthly: 1 USD
  shares: {{{shares}}}
"""
REGION = """\
  - name: n{n}
    cloud: cloud{n}
    origin: {n}
    location: [{n}.0, 0.0]
    capacity: 100
    replicas: 1
    gateway: {{address: 127.{net}.1.{n}, https: 8443, http: 8480, peer: 8444, dns: 5300}}
    database: "host={sockets} user=wildcam dbname=wildcam"
    database_port: 5432
    store: dir
"""


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path, timeout=5):
        super().__init__("rows", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    def __init__(self, mesh, number):
        self.mesh, self.number, self.process = mesh, number, None
        self.sock = mesh.folder / f"d{number}"
        self.log = mesh.folder / f"rows{number}.log"

    def start(self, env=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                rowskit.unprivileged(rowskit.BUILD / "wildcam-rows", "serve", "--fleet", self.mesh.dir / "fleet.yaml", "--dir", self.mesh.dir,
                                     "--region", f"n{self.number}"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env={**os.environ, **(env or {})})

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        """By SIGTERM; its exit code."""
        self.process.terminate()
        return self.process.wait(20)

    def get(self, path):
        connection = UnixHttp(self.sock / "rows.sock")
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def lines(self, message):
        found = []
        for line in self.log.read_text().splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                if entry["msg"] == message:
                    found.append(entry)
        return found


class Mesh(rowskit.Mesh):
    """Bare servers; their daemons do the rest."""

    def __init__(self, size, settings=None):
        super().__init__(size, settings)
        self.dir = self.folder / "run"
        self.daemons = {number: Daemon(self, number) for number in self.nodes}

    def up(self):
        who = rowskit.run_user()
        self.bare()
        self.dir.mkdir()
        for number, node in self.nodes.items():
            region = self.dir / f"n{number}"
            region.mkdir()
            (region / "log").mkdir()
            (region / "log/postgres.log").symlink_to(node.log)
            self.daemons[number].sock.mkdir(mode=0o755)
            (region / "sock").symlink_to(self.daemons[number].sock)
            (region / "pg.pass").write_text("*:*:*:*:x\n")
            (region / "pg.pass").chmod(0o600)
            for path in (region, region / "log", region / "pg.pass", self.daemons[number].sock):
                os.chown(path, who.pw_uid, who.pw_gid)
        (self.dir / "fleet.yaml").write_text(FLEET.format(
            clouds="".join(f"  - name: cloud{n}\n" for n in self.nodes),
            shares=", ".join(f"cloud{n}: {100 // self.size + (100 % self.size if n == 1 else 0)} %" for n in self.nodes),
            regions="".join(REGION.format(n=n, net=10 * BLOCK % 250 + 1, sockets=node.sockets) for n, node in self.nodes.items())))
        for daemon in self.daemons.values():
            daemon.start()
        return self

    def bare(self):
        """Servers with an empty database each."""
        who = rowskit.run_user()
        template = self.template = self.folder / "template"
        template.mkdir(mode=0o700)
        os.chown(template, who.pw_uid, who.pw_gid)
        subprocess.run(rowskit.unprivileged(rowskit.POSTGRES / "initdb", "-D", template, "-U", rowskit.OWNER, "--no-sync", "-A", "trust", "-E", "UTF8",
                                            "--locale=C.UTF-8", "--wal-segsize=4"), check=True, capture_output=True)
        with open(template / "postgresql.conf", "a") as conf:
            conf.writelines(f"{key} = '{value}'\n" for key, value in self.settings.items())
        for node in self.nodes.values():
            node.sockets.mkdir(mode=0o700)
            os.chown(node.sockets, who.pw_uid, who.pw_gid)
            subprocess.run(["cp", "-a", template, node.folder], check=True)
            node.launch()
        for node in self.nodes.values():
            node.start()
            self.make_database(node)

    def make_database(self, node):
        session = node.session(database="postgres")
        session.run(f"CREATE DATABASE {rowskit.DATABASE}")
        session.close()

    def lose_database(self, number):
        """Its data folder is gone for good; a new one is empty."""
        node = self[number]
        node.stop()
        shutil.rmtree(node.folder)
        subprocess.run(["cp", "-a", self.template, node.folder], check=True)
        node.launch()
        node.start()
        self.make_database(node)

    def down(self):
        for daemon in self.daemons.values():
            if daemon.process is not None and daemon.process.poll() is None:
                daemon.process.send_signal(signal.SIGCONT)
                daemon.kill()
        super().down()

    def daemon(self, number):
        return self.daemons[number]

    # --- what they say
    def rows(self, number):
        try:
            status, body = self.daemons[number].get("/v1/rows")
        except OSError:
            return None
        return json.loads(body) if status == 200 else None

    def link(self, subscriber, publisher):
        rows = self.rows(subscriber) or {"links": []}
        return next((link for link in rows["links"] if link["from"] == f"n{publisher}"), {"state": "?", "why": None})

    def alarms(self, number):
        return {alarm["name"]: alarm["text"] for alarm in (self.rows(number) or {"alarms": []})["alarms"]}

    def wait_link(self, subscriber, publisher, state, deadline=60):
        until(lambda: self.link(subscriber, publisher)["state"] == state, f"n{subscriber}_from_n{publisher} is {state}", deadline)

    def settled(self, deadline=90, nodes=None):
        nodes = nodes or list(self.nodes)

        def open_ends():
            found = []
            for i in nodes:
                assert self.daemons[i].process.poll() is None, self.daemons[i].log.read_text()[-2000:]
                for j in nodes:
                    if i != j and self.link(i, j)["state"] != "streaming":
                        found.append((i, j, self.link(i, j)))
            return found
        try:
            until(lambda: not open_ends(), "all links stream", deadline)
        except AssertionError as error:
            if "not within" not in str(error):
                raise
            found = [(i, j, link["state"], link["why"]) for i, j, link in open_ends()]
            logs = "\n".join(self.daemons[i].log.read_text()[-1500:] for i in {i for i, _, _, _ in found})
            raise AssertionError(f"not all links stream: {found}\n{logs}") from None

    def verb(self, *arguments):
        return subprocess.run([rowskit.BUILD / "wildcam-rows", *map(str, arguments), "--dir", self.dir], capture_output=True, text=True, timeout=60)

    def federate(self, ddl, *tables, kind=rowskit.LWW, nodes=None):
        """By the verb, as an operator would."""
        for node in self.nodes.values():
            node.run(ddl)
        for table in tables:
            done = self.verb("federate", table, "--yes", *(["--insert-only"] if kind == rowskit.INSERT_ONLY else []))
            assert done.returncode == 0, done.stderr
            self.tables[table] = (int(self[1].value(f"SELECT number FROM wildcam.federated WHERE name = '{table}'")), kind)
