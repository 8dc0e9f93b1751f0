# SPDX-License-Identifier: MIT
"""rowskit's bare servers with a state folder around them, as `wildcam up` would leave it: so the verbs of `wildcam rows` find the
regions of the shipped fleet.yaml. Only the first `size` regions are in the mesh.

    with rowsfleet.Fleet(3) as fleet:
        done = fleet.rows("federate", "items", "--yes")
        fleet.rows("migrate", fleet.sql("ALTER TABLE items ADD COLUMN a int"), "--yes", code=3)
"""
import json
import os
import signal
import subprocess
import threading

import fleetfile
import rowskit
import rowspq
import waiting

NAMES = list(fleetfile.REGIONS)


class Fleet(rowskit.Mesh):
    def __init__(self, size, settings=None):
        super().__init__(size, settings)
        for number, node in self.nodes.items():
            node.region = NAMES[number - 1].replace("-", "_")  # as subscriptions are called
        self.dir, self.files = self.folder / "run", 0

    def up(self):
        super().up()
        self.dir.mkdir()
        fleetfile.write(self.dir / "fleet.yaml", int(os.environ.get("WILDCAM_TEST_BLOCK", "17")))
        for number, node in self.nodes.items():
            (self.dir / NAMES[number - 1]).mkdir()
            (self.dir / NAMES[number - 1] / "sock").symlink_to(node.sockets)
        for i, j in self.pairs():
            self[i].run(f"INSERT INTO wildcam.link(origin, subscription, state) VALUES ({j}, '{self.name(i, j)}', 'filled')")
        return self

    def sql(self, text):
        self.files += 1
        path = self.folder / f"change-{self.files}.sql"
        path.write_text(text)
        return path

    def start_rows(self, *arguments):
        return subprocess.Popen([rowskit.BUILD / "wildcam-rows", arguments[0], "--dir", self.dir, *map(str, arguments[1:])], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def rows(self, *arguments, code=0):
        done = self.start_rows(*arguments)
        done.out, done.err = done.communicate(timeout=180)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.out}\n{done.err}"
        return done

    def json(self, *arguments, code=0):
        return json.loads(self.rows(*arguments, "--json", code=code).out)

    def learn(self, table, kind=rowskit.LWW):
        """What `federate` did, for rowskit's comparisons."""
        self.tables[table] = (int(self[1].value(f"SELECT number FROM wildcam.federated WHERE name = '{table}'")), kind)

    def stumbles(self):
        """What stopped a stream so far, but for deadlocks with a change of the table: those pass."""
        passing = ("deadlock detected", "could not connect", "could not receive data", "terminating")
        return [line for node in self.nodes.values() for line in node.log.read_text(errors="replace").splitlines()
                if "logical replication worker" in line and "ERROR:" in line and not any(word in line for word in passing)]

    def killed(self, *arguments, after):
        """Runs the verb and kills it by SIGKILL as soon as after() is true, or at its end. True: it was killed."""
        process = self.start_rows(*arguments)
        try:
            waiting.until(lambda: after() or process.poll() is not None, f"{arguments}: the moment to kill it", 60)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        return process.returncode == -signal.SIGKILL


class Writers:
    """Clients that write all the while, one a node, retrying what may be retried. `one(node, n)` gives the n-th statement."""

    def __init__(self, fleet, one, nodes=None):
        self.fleet, self.one, self.stop, self.written = fleet, one, threading.Event(), {}
        self.failed = []
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in nodes or fleet.nodes]

    def _run(self, number):
        session = self.fleet[number].session()
        try:
            self.written[number] = 0
            while not self.stop.is_set():
                try:
                    session.run(self.one(number, self.written[number]))
                    self.written[number] += 1
                except rowspq.Failed as error:
                    if error.state not in ("40P01", "40001", "55P03"):
                        self.failed.append(f"n{number}: {error}")
                        return
        finally:
            session.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        waiting.until(lambda: len(self.written) == len(self.threads) and all(self.written.values()) or self.failed, "all clients write")
        return self

    def __exit__(self, *error):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        if error[0] is None:
            assert not self.failed, self.failed

    def more(self, rows=10):
        """Waits until every client has written that many more."""
        before = dict(self.written)
        waiting.until(lambda: self.failed or all(self.written[n] >= before[n] + rows for n in before), "clients go on")
        assert not self.failed, self.failed
