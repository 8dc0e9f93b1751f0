# SPDX-License-Identifier: MIT
"""A private PostgreSQL 15 on a UNIX socket, and replicas of wildcam-backend on it, in one temporary state folder. As root
everything runs as 'nobody' (PostgreSQL refuses root, and our programs are made to run unprivileged).

    with pgkit.Region() as region:
        region.database.start()
        backend = region.backend(1)
        backend.request("GET", "/api/health")
"""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import waiting

BUILD = pathlib.Path(os.environ.get("WILDCAM_BUILD", "build")).resolve()
FLEET = pathlib.Path(__file__).resolve().parents[2] / "fleet.yaml"
POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
NAME = "us-west-2"
DEADLINE = 20


def until(condition, what, deadline=DEADLINE):
    return waiting.until(condition, what, deadline)


def unprivileged(*command):
    drop = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    return [*drop, *(str(part) for part in command)]


class Database:
    def __init__(self, folder, sockets, user):
        self.folder, self.sockets, self.process = folder, sockets, None
        subprocess.run(unprivileged(POSTGRES / "initdb", "-D", folder, "-U", "wildcam", "--no-sync", "--wal-segsize=1",
                                    "--auth=reject", "-E", "UTF8", "--locale=C.UTF-8"), check=True, capture_output=True)
        self.write("pg_hba.conf", "local all all peer map=own\n")
        self.write("pg_ident.conf", f"own {user} wildcam\n")
        with open(folder / "postgresql.conf", "a") as conf:
            conf.write(f"listen_addresses=''\nunix_socket_directories='{sockets}'\nmax_connections=30\nshared_buffers=16MB\n"
                       "jit=off\nmax_wal_size=64MB\nmin_wal_size=2MB\nlog_statement=ddl\n")

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def start(self, wait=True):
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        (self.sockets / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        log = open(self.folder.parent / "postgres.log", "ab")
        self.process = subprocess.Popen(unprivileged(POSTGRES / "postgres", "-D", self.folder), stdout=log, stderr=log)
        if wait:
            until(self.answers, "PostgreSQL answers")
        return self

    def answers(self):
        if self.process.poll() is not None:  # of a killed predecessor, processes are still ending
            self.start(wait=False)
        done = subprocess.run(unprivileged(POSTGRES / "pg_isready", "-q", "-h", self.sockets, "-d", "postgres"))
        return done.returncode == 0

    def sql(self, text, database="wildcam"):
        done = subprocess.run(unprivileged("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.sockets, "-U", "wildcam",
                                           "-d", database, "-c", text), capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def processes(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def signal(self, number):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.signal(signal.SIGKILL)
        self.process.wait()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Backend:
    def __init__(self, region, number):
        self.region, self.number = region, number
        self.socket = region.sockets / f"backend-{number}.sock"
        self.log = region.folder / f"backend-{number}.log"
        self.process = None

    def start(self):
        log = open(self.log, "ab")
        self.process = subprocess.Popen(self.region.command("--replica", self.number), stdout=log, stderr=log)
        until(lambda: self.answers() or self.process.poll() is not None, "the backend answers")
        assert self.process.poll() is None, self.log.read_text()
        return self

    def answers(self):
        try:
            return self.request("GET", "/api/version").status == 200
        except OSError:
            return False

    def connect(self, timeout=10):
        return UnixConnection(self.socket, timeout)

    def request(self, method, path, body=None, headers=None, connection=None):
        own = connection or self.connect()
        try:
            own.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body),
                        headers or {})
            answer = own.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            if connection is None:
                own.close()

    def health(self):
        return self.request("GET", "/api/health")

    def ready(self):
        until(lambda: self.health().json["status"] == "ok", "health is ok")
        return self

    def logged(self, msg):
        return [line for line in map(json.loads, self.log.read_text().splitlines()) if line["msg"] == msg]

    def end(self):
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Region:
    def __init__(self, fleet=None):
        self.fleet_text = fleet or FLEET.read_text()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wildcam-pg-", dir=os.environ.get("TMPDIR", "/tmp")))
        self.folder.chmod(0o755)
        self.sockets = self.folder / "s"
        state = self.folder / "run" / NAME
        for folder in (self.sockets, state):
            folder.mkdir(parents=True)
        (state / "sock").symlink_to(self.sockets)
        (self.folder / "fleet.yaml").write_text(self.fleet_text)
        self.program = self.folder / "wildcam-backend"  # a copy: the build folder may be closed to 'nobody'
        shutil.copy(BUILD / "wildcam-backend", self.program)
        user = "nobody" if os.geteuid() == 0 else subprocess.check_output(["id", "-un"], text=True).strip()
        (self.folder / "pg").mkdir(mode=0o700)
        if os.geteuid() == 0:
            for path in (self.folder, self.sockets, self.folder / "pg"):
                shutil.chown(path, "nobody", "nogroup")
        self.database = Database(self.folder / "pg", self.sockets, user)
        if os.geteuid() == 0:
            for name in ("pg_hba.conf", "pg_ident.conf"):
                shutil.chown(self.folder / "pg" / name, "nobody", "nogroup")
        self.backends = []

    def command(self, *arguments):
        return unprivileged(self.program, "--fleet", self.folder / "fleet.yaml", "--dir", self.folder / "run",
                            "--region", NAME, *arguments)

    def create_database(self):
        self.database.sql("CREATE DATABASE wildcam", database="postgres")

    def backend(self, number):
        backend = Backend(self, number)
        self.backends.append(backend)
        return backend.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for backend in self.backends:
            backend.kill()
        self.database.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
