# SPDX-License-Identifier: MIT
"""Databases that come and go: bare servers and a state folder whose fleet.yaml names the first of them by connection strings, so that
`rows init`, `join`, `leave` and `recover` make and unmake everything themselves. No daemon runs; `beat` stands in for it.

    with rowslife.Life(4) as life:
        life.begin(3, "CREATE TABLE items(id bigint PRIMARY KEY, name text)", "items")
        life.known(4)                       # fleet.yaml names it too
        life.json("join", life.region(4), "--yes")
"""
import re
import shutil
import subprocess

import fleetfile
import rowsfleet
import rowskit

TRACE = ("SELECT count(*) FROM pg_subscription", "SELECT count(*) FROM pg_replication_slots", "SELECT count(*) FROM wildcam.watermark")


class Life(rowsfleet.Fleet):
    def up(self):
        who = rowskit.run_user()
        template = self.folder / "template"
        template.mkdir(mode=0o700)
        rowskit.os.chown(template, who.pw_uid, who.pw_gid)
        subprocess.run(rowskit.unprivileged(rowskit.POSTGRES / "initdb", "-D", template, "-U", rowskit.OWNER, "--no-sync", "-A", "trust",
                                            "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=4"), check=True, capture_output=True)
        with open(template / "postgresql.conf", "a") as conf:
            conf.writelines(f"{key} = '{value}'\n" for key, value in self.settings.items())
        self.dir.mkdir()
        for number, node in self.nodes.items():
            node.sockets.mkdir(mode=0o700)
            rowskit.os.chown(node.sockets, who.pw_uid, who.pw_gid)
            folder = self.dir / self.region(number)
            folder.mkdir()
            (folder / "pg.pass").write_text("*:*:*:*:unused\n")
            (folder / "pg.pass").chmod(0o600)
            self.new(number)
        return self

    def new(self, number):
        """A new, empty database server."""
        node = self[number]
        if node.process is not None and node.process.poll() is None:
            node.stop()
        shutil.rmtree(node.folder, ignore_errors=True)
        subprocess.run(["cp", "-a", self.folder / "template", node.folder], check=True)
        node.start()
        session = node.session(database="postgres")
        session.run(f"CREATE DATABASE {rowskit.DATABASE}")
        session.close()

    def region(self, number):
        return rowsfleet.NAMES[number - 1]

    def known(self, size):
        """fleet.yaml names the first `size` regions."""
        head, rest = fleetfile.SHIPPED.read_text().split("\nregions:\n", 1)
        regions, tail = re.split(r"\n(?=[a-z#])", rest, maxsplit=1)
        named = re.split(r"(?m)^(?=  - name: )", regions)[1:size + 1]
        for number, text in enumerate(named, 1):
            dsn = f"host={self[number].sockets} port=5432 user=wildcam dbname=wildcam"
            named[number - 1] = re.sub(r"database: local\b.*", f"database: '{dsn}'", text, count=1)
        (self.dir / "fleet.yaml").write_text(head + "\nregions:\n" + "".join(named).rstrip("\n") + "\n\n" + tail)

    def begin(self, size, ddl, *tables, kind=rowskit.LWW):
        self.known(size)
        for number in range(1, size + 1):
            self[number].run(ddl)
        self.rows("init")
        for table in tables:
            self.take(table, kind)

    def take(self, table, kind=rowskit.LWW):
        self.rows("federate", table, "--yes", *(["--insert-only"] if kind == rowskit.INSERT_ONLY else []))
        self.learn(table, kind)

    def beat(self, *nodes):
        for number in nodes:
            self[number].run("SELECT wildcam.beat()")

    def all_same(self, nodes, tombstones=True):
        self.converge(nodes=nodes)
        for table in self.tables:
            first = self.content(nodes[0], table, tombstones)
            for number in nodes[1:]:
                other = self.content(number, table, tombstones)
                for what in first:
                    difference = sorted(set(first[what]) ^ set(other[what]))
                    assert not difference, f"{table}: {what} of n{nodes[0]} and n{number}: {difference[:6]} ({len(difference)})"

    def states(self, number):
        return dict(self[number].rows("SELECT origin, state FROM wildcam.node"))
