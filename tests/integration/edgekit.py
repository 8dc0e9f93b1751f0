# SPDX-License-Identifier: MIT
"""Edges for tests: real nginx with the real module and the generated configuration, in a temporary state folder, in front
of stand-in replicas; plans come from plan_tool instead of an agent.

    with edgekit.Fleet(tmp_path) as fleet:
        edge = fleet.edge("us-west-2", replicas=2)
        edge.publish()
        edge.get("/api/detections").status
"""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import fleetfile
import waiting

BUILD = pathlib.Path(os.environ.get("WILDCAM_BUILD", "build")).resolve()
HERE = pathlib.Path(__file__).resolve().parent
PLAN_TOOL = BUILD / "tests/integration/plan_tool"
DOMAIN = "wildcam.org"
DEADLINE = 15


def until(condition, what, deadline=DEADLINE):
    return waiting.until(condition, what, deadline)


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


class Pki:
    """Certificates by the openssl command: own ones, and wrong ones that the product would never issue."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        for name in ("ca", "foreign"):
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/O=wildcam/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, subject, names, usage, authority="ca", expired=False):
        out = self.folder / name
        out.parent.mkdir(exist_ok=True)
        request, extensions = f"{out}.csr", f"{out}.ext"
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
            "-keyout", f"{out}.key", "-out", request)
        pathlib.Path(extensions).write_text(
            f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n"
            f"subjectAltName={names}\n")
        command = ["openssl", "x509", "-req", "-in", request, "-CA", self.folder / f"{authority}.pem", "-CAkey",
                   self.folder / f"{authority}.key", "-CAcreateserial", "-extfile", extensions, "-out", f"{out}.pem"]
        if not expired:
            run(*command, "-days", "2")
        else:
            self.issue_expired(out, request, usage, names, authority)
        return f"{out}.pem", f"{out}.key"

    def issue_expired(self, out, request, usage, names, authority):
        """`openssl x509` of 3.0 has no start date; `openssl ca` has."""
        settings = pathlib.Path(f"{out}.cnf")
        settings.write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={out}.db\nserial={out}.srl\nnew_certs_dir={self.folder}\n"
            f"certificate={self.folder}/{authority}.pem\nprivate_key={self.folder}/{authority}.key\ndefault_md=sha256\n"
            "policy=p\nx509_extensions=x\n[p]\norganizationName=optional\norganizationalUnitName=optional\n"
            "commonName=supplied\n[x]\nbasicConstraints=critical,CA:FALSE\n"
            f"extendedKeyUsage={usage}\nsubjectAltName={names}\n")
        pathlib.Path(f"{out}.db").write_text("")
        pathlib.Path(f"{out}.srl").write_text("77\n")
        run("openssl", "ca", "-batch", "-notext", "-preserveDN", "-config", settings, "-in", request, "-out", f"{out}.pem",
            "-startdate", "20200101000000Z", "-enddate", "20200102000000Z")


class Replica:
    def __init__(self, socket_path, name, folder):
        self.socket, self.name, self.folder = socket_path, name, folder
        folder.mkdir(parents=True)
        self.process = None
        self.start()

    def start(self):
        (self.folder / "ready").unlink(missing_ok=True)
        self.process = subprocess.Popen([sys.executable, HERE / "edge_replica.py", self.socket, self.name, self.folder])
        until((self.folder / "ready").exists, f"{self.name} is ready")

    def mode(self, text):
        temporary = self.folder / "mode.new"
        temporary.write_text(text)
        temporary.rename(self.folder / "mode")

    def executed(self):
        return (self.folder / "log").read_text().splitlines()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Edge:
    def __init__(self, fleet, region, replicas, conf=None):
        self.fleet, self.region = fleet, region
        self.dir = fleet.dir / region
        self.address = fleetfile.address(fleet.block, region)
        self.dir.mkdir()
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="wce-"))
        (self.dir / "sock").symlink_to(self.sockets)
        fleet.issue_for(region, self.address)
        self.replicas = [Replica(self.sockets / f"backend-{i}.sock", f"{region}/{i}", fleet.dir / f"replica-{region}-{i}")
                         for i in range(1, replicas + 1)]
        run(BUILD / "wildcam-edge-conf", "--fleet", fleet.file, "--dir", fleet.dir, "--region", region)
        self.conf = self.dir / "edge/nginx.conf"
        if conf:
            self.conf.write_text(conf(self.conf.read_text()))
        self.number = 0
        self.process = None
        self.command = []  # put before nginx

    def start(self):
        self.process = subprocess.Popen([*self.command, "/usr/sbin/nginx", "-p", self.dir / "edge", "-e", self.dir / "log/nginx.log", "-c", self.conf],
                                        start_new_session=True)
        until(self.answers, f"nginx of {self.region} answers: {self.log_tail()}")
        return self

    def answers(self):
        assert self.process.poll() is None, f"nginx ended: {self.log_tail()}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get("/.well-known/wildcam/health").status == 200
        return False

    def log_tail(self):
        log = self.dir / "log/nginx.log"
        return log.read_text()[-2000:] if log.exists() else ""

    def plan(self, **changes):
        """The plan as plan_tool wants it; `changes` replace whole keys."""
        others = [edge for edge in self.fleet.edges if edge is not self]
        plan = {
            "region": self.region,
            "gateways": [{"region": edge.region, "address": edge.address} for edge in self.fleet.edges],
            "replicas": [{"name": replica.name, "socket": str(replica.socket)} for replica in self.replicas],
            "forward": [edge.region for edge in others],
        }
        plan.update(changes)
        return plan

    def write_plan(self, verb="plan", **changes):
        self.number += 1
        plan = self.plan(**changes)
        plan.setdefault("number", self.number)
        run(PLAN_TOOL, verb, self.dir / "plan", input=json.dumps(plan))
        return plan["number"]

    def publish(self, **changes):
        """Publishes a plan and waits until every worker uses it."""
        number = self.write_plan(**changes)
        if self.process:
            until(lambda: self.counters()["plan_number"] == number, f"plan {number} is in use: {self.log_tail()}", 5)
        return self

    def plan_file(self, number):
        return self.dir / "plan" / run(PLAN_TOOL, "name", number).strip()

    def counters(self, slot=0):
        return json.loads(run(PLAN_TOOL, "counters", self.dir / f"counters/edge-{slot}"))

    def target(self, name):
        return self.counters()["targets"].get(run(PLAN_TOOL, "hash", name).strip())

    def context(self, certificate=None, version=None):
        context = ssl.create_default_context(cafile=str(self.fleet.pki.folder / "ca.pem"))
        if certificate:
            context.load_cert_chain(*certificate)
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def connect(self, port=8443, certificate=None, source=None, timeout=10, version=None, alpn=None):
        raw = socket.create_connection((self.address, port), timeout=timeout, source_address=(source, 0) if source else None)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = self.context(certificate, version)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context.wrap_socket(raw, server_hostname=f"{self.region}.gateway.{DOMAIN}")

    def open(self, port=8443, certificate=None, source=None, timeout=10):
        connection = http.client.HTTPConnection(self.address, port, timeout=timeout)
        connection.auto_open = 0  # it would connect without TLS
        connection.sock = self.connect(port, certificate, source, timeout)
        return connection

    def request(self, method, target, body=None, headers=None, **options):
        connection = self.open(**options)
        try:
            connection.request(method, target, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, target, **options):
        return self.request("GET", target, **options)

    def raw(self, data, timeout=5):
        """Sends bytes as they are; everything that comes back until the edge closes."""
        received = b""
        with self.connect(timeout=timeout) as connection:
            connection.sendall(data)
            with contextlib.suppress(OSError):
                while chunk := connection.recv(65536):
                    received += chunk
        return received

    def workers(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = []
        for pid in children.read_text().split():
            with contextlib.suppress(FileNotFoundError):
                if b"worker process" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
        return found

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        for replica in self.replicas:
            replica.kill()
        shutil.rmtree(self.sockets, ignore_errors=True)


class Fleet:
    def __init__(self, folder, replace=None):
        self.dir = pathlib.Path(folder) / "run"
        self.dir.mkdir(parents=True)
        self.edges = []
        self.replace = replace
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.block = self.stack.enter_context(fleetfile.claimed_block())
        self.file = fleetfile.write(self.dir / "fleet.yaml", self.block, self.replace)
        self.pki = Pki(self.dir / "pki")
        return self

    def __exit__(self, *_):
        for edge in self.edges:
            edge.close()
        self.stack.close()

    def issue_for(self, region, address):
        self.pki.issue(f"{region}/edge", f"/O=wildcam/OU=edge/CN={region}",
                       f"IP:{address},DNS:{region}.gateway.{DOMAIN},DNS:api.{DOMAIN},DNS:backup.api.{DOMAIN}", "serverAuth")
        self.pki.issue(f"{region}/peer", f"/O=wildcam/OU=gateway/CN={region}", f"DNS:{region}.gateway.{DOMAIN}", "clientAuth")

    def edge(self, region, replicas=2, conf=None):
        edge = Edge(self, region, replicas, conf)
        self.edges.append(edge)
        return edge


class Traffic:
    """Clients in closed loops, each on a connection of its own; stopped at the end of the with block."""

    def __init__(self, edge, clients=8, method="GET", target="/api/detections", headers=None, body=None, pause=0.005):
        self.edge, self.method, self.target, self.headers, self.body = edge, method, target, headers, body
        self.pause = pause
        self.results = []  # (status or exception's name, seconds)
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.loop, args=(i,)) for i in range(clients)]

    def loop(self, number):
        connection, sequence = None, 0
        while not self.stopping.is_set():
            sequence += 1
            name = f"{number}-{sequence}"
            headers = {header: value.format(name) for header, value in (self.headers or {}).items()}
            started = time.monotonic()
            try:
                if connection is None or connection.sock is None:
                    connection = self.edge.open()
                    started = time.monotonic()
                connection.request(self.method, self.target.format(name), body=self.body, headers=headers)
                status = Answer(connection.getresponse()).status
            except (OSError, http.client.HTTPException) as error:
                status, connection = type(error).__name__, None
            self.results.append((status, time.monotonic() - started))
            time.sleep(self.pause)
        if connection:
            connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def failed(self):
        return [result for result in self.results if result[0] != 200]

    def worst(self):
        return max(seconds for _, seconds in self.results)

    def wait_for(self, more):
        """Until so many more requests were answered."""
        goal = len(self.results) + more
        until(lambda: len(self.results) >= goal, f"{more} more requests")
