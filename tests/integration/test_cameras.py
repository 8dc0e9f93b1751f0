# SPDX-License-Identifier: MIT
"""The cameras against two gateways that do what a test says: what is a reconnect, what a failed first try, what the one
retry saves, and what the ledger keeps. No fleet: the gateways and the agent's answer are stand-ins."""
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
import uuid

import pytest

import fleetfile

BUILD = pathlib.Path(os.environ.get("WILDCAM_BUILD", "build")).resolve()
CAMERAS = BUILD / "wildcam-cameras"
HOME, BACKUP = "us-west-2", "westus2"


def make_pki(folder, names):
    """A CA and one server certificate for the names."""
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
    openssl("req", *key, "-keyout", "edge.key", "-out", "edge.csr", "-subj", "/CN=edge")
    (folder / "ext").write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
    openssl("x509", "-req", "-in", "edge.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "ext", "-out", "edge.pem")


class Gateway:
    """Answers requests by what `behave(number, connection_number)` returns: a status, 'close', 'silent' or 'cut'."""

    def __init__(self, address, pki, region, behave):
        self.region, self.behave = region, behave
        self.requests, self.connections, self.seen = 0, 0, []
        self.resumed = 0
        self.lock = threading.Lock()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pki / "edge.pem", pki / "edge.key")
        self.listener = socket.create_server((address, 8443), backlog=64)
        self.ended = False
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while not self.ended:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        with self.lock:
            self.connections += 1
            number = self.connections
        try:
            if self.behave(0, number) == "no handshake":
                plain.recv(1)  # and nothing more, until the camera gives up
                while plain.recv(4096):
                    pass
                return
            with self.context.wrap_socket(plain, server_side=True) as conn:
                self.resumed += conn.session_reused
                for answered in range(1, 1000000):
                    request = self.read(conn)
                    if request is None:
                        return
                    with self.lock:
                        self.requests += 1
                        self.seen.append(request)
                    what = self.behave(answered, number)
                    if what == "close":
                        return
                    if what == "silent":
                        while conn.recv(4096):
                            pass
                        return
                    if what == "cut":
                        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                        return
                    self.answer(conn, what, request)
        except (OSError, ssl.SSLError):
            pass
        finally:
            plain.close()

    @staticmethod
    def read(conn):
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = conn.recv(4096)
            if not chunk:
                return None
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
        while len(body) < length:
            body += conn.recv(4096)
        return head + b"\r\n\r\n" + body

    def answer(self, conn, status, request):
        body = b"[]"
        if request.startswith(b"POST"):
            body = json.dumps({"id": str(uuid.uuid4())}).encode()
            status = 201 if status == 200 else status
        conn.sendall(b"HTTP/1.1 %d X\r\nWildcam-Region: %s\r\nContent-Length: %d\r\n\r\n" % (status, self.region.encode(), len(body)) + body)

    def close(self):
        self.ended = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Agent(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """GET /v1/why: everybody lives at HOME with BACKUP behind it."""
    daemon_threads = True

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = json.dumps({"gateway": HOME, "backup": {"gateway": BACKUP}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self):
            return "unix"

        def log_message(self, *args):
            pass


class Site:
    def __init__(self, folder, block, names=("api.wildcam.org", "backup.api.wildcam.org")):
        self.block, self.dir = block, folder / "run"
        self.pki = self.dir / "pki"
        self.pki.mkdir(parents=True)
        make_pki(self.pki, names)
        fleetfile.write(self.dir / "fleet.yaml", block)
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="wc", dir="/tmp"))
        self.gateways = []
        self.agent = Agent(str(self.sockets / "agent.sock"), Agent.Handler)
        threading.Thread(target=self.agent.serve_forever, daemon=True).start()
        for region in fleetfile.REGIONS:
            (self.dir / region).mkdir()
            (self.dir / region / "sock").symlink_to(self.sockets)

    def gateway(self, region, behave=lambda answered, connection: 200):
        self.gateways.append(Gateway(fleetfile.address(self.block, region), self.pki, region, behave))
        return self.gateways[-1]

    def run(self, *args, rate=100, duration="1s", connections=4, check=True):
        command = [CAMERAS, "--dir", self.dir, "--json", "--no-verify", "--rate", str(rate), "--duration", duration,
                   "--connections", str(connections), *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if not check:
            return done
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def close(self):
        for gateway in self.gateways:
            gateway.close()
        self.agent.shutdown()
        self.agent.server_close()
        shutil.rmtree(self.sockets, ignore_errors=True)


@pytest.fixture
def make_site(tmp_path):
    sites = []
    with fleetfile.claimed_block() as block:
        def make(**options):
            sites.append(Site(tmp_path, block, **options))
            return sites[-1]
        yield make
        for site in sites:
            site.close()


@pytest.fixture
def site(make_site):
    return make_site()


def test_a_healthy_home_gets_everything(site):
    home, backup = site.gateway(HOME), site.gateway(BACKUP)
    report = site.run(rate=200)
    assert report["requests"] == 200
    assert report["failed"] == report["failed_first_try"] == report["client_retries"] == report["reconnects"] == 0
    assert home.requests == 200 and backup.requests == 0
    assert home.connections == 4  # kept
    assert sum(r.startswith(b"POST") for r in home.seen) == report["acknowledged"] > 10
    assert report["homes"][0] == {"region": HOME, "cameras": 4}


def test_each_camera_has_its_address_and_name(site):
    home = site.gateway(HOME)
    seen = set()
    original = home.serve

    def serve(plain):
        seen.add(plain.getpeername()[0])
        original(plain)
    home.serve = serve
    site.run(connections=6)
    assert len(seen) == 6
    assert {address.rsplit(".", 2)[0] for address in seen} == {"127.100"}
    assert all(b"\r\nHost: api.wildcam.org\r\n" in request for request in home.seen)


def test_closing_a_kept_connection_is_a_reconnect_not_a_failure(site):
    home, backup = site.gateway(HOME, lambda answered, connection: "close" if answered == 6 else 200), site.gateway(BACKUP)
    report = site.run()
    assert report["requests"] == 100
    assert report["reconnects"] >= 10
    assert report["failed_first_try"] == report["failed"] == 0
    assert backup.requests == 0
    # What was said again is the same request, key included.
    posts = [r for r in home.seen if r.startswith(b"POST")]
    assert len(set(posts)) == report["acknowledged"] <= len(posts)
    assert home.resumed > 0


def test_closing_a_fresh_connection_is_a_failure_that_the_retry_saves(site):
    site.gateway(HOME, lambda answered, connection: "close")
    backup = site.gateway(BACKUP)
    report = site.run()
    assert report["failed_first_try"] == report["client_retries"] == report["requests"] == 100
    assert report["failed"] == report["reconnects"] == 0
    assert backup.requests == 100


def test_a_refused_home_costs_no_time(site):
    backup = site.gateway(BACKUP)
    report = site.run()
    assert report["failed_first_try"] == report["requests"]
    assert report["failed"] == 0
    assert backup.connections == 4
    assert report["p50_ms"] < 100


def test_a_silent_home_is_given_up_after_a_second(site):
    site.gateway(HOME, lambda answered, connection: "silent")
    site.gateway(BACKUP)
    report = site.run(rate=8, connections=8)
    assert report["failed_first_try"] == report["requests"] == 8
    assert report["failed"] == 0
    assert 1000 <= report["p50_ms"] < 1900


def test_a_home_without_tls_is_given_up_after_a_quarter_of_a_second(site):
    site.gateway(HOME, lambda answered, connection: "no handshake")
    site.gateway(BACKUP)
    report = site.run(rate=8, connections=8)
    assert report["failed_first_try"] == report["requests"] == 8
    assert report["failed"] == 0
    assert 250 <= report["p50_ms"] < 900


def test_an_answer_cut_short_is_a_failure(site):
    site.gateway(HOME, lambda answered, connection: "cut")
    site.gateway(BACKUP)
    report = site.run()
    assert report["failed_first_try"] == 100
    assert report["failed"] == 0


def test_a_server_error_is_retried_a_wrong_request_is_not(site):
    home = site.gateway(HOME, lambda answered, connection: 503)
    backup = site.gateway(BACKUP)
    report = site.run()
    assert report["client_retries"] == 100 and report["failed"] == 0
    home.behave = lambda answered, connection: 404
    before = backup.requests
    report = site.run()
    assert report["client_retries"] == 0 and report["failed"] == 100
    assert backup.requests == before


def test_a_write_without_a_key_is_said_once(site):
    home, backup = site.gateway(HOME, lambda answered, connection: 503), site.gateway(BACKUP)
    report = site.run("--reads", "0%", "--keyless", "100%")
    assert report["failed"] == report["requests"] == 100
    assert report["failed_idempotent"] == report["failed_first_try_idempotent"] == 0
    assert backup.requests == 0 and home.requests == 100
    assert not any(b"Idempotency-Key" in request for request in home.seen)


def test_everything_dead_ends_all_the_same(site):
    report = site.run()
    assert report["failed"] == report["requests"] == 100
    assert report["acknowledged"] == 0


def test_a_certificate_for_another_name_is_refused(make_site):
    site = make_site(names=("api.example.org",))
    home = site.gateway(HOME)
    report = site.run()
    assert report["failed"] == 100
    assert home.requests == 0


def test_a_foreign_ca_is_refused(site):
    home = site.gateway(HOME)
    other = site.dir / "other"
    other.mkdir()
    make_pki(other, ["x"])
    shutil.copy(other / "ca.pem", site.pki / "ca.pem")
    assert site.run()["failed"] == 100
    assert home.requests == 0


def test_the_ledger_keeps_every_run_and_survives_a_torn_tail(site):
    site.gateway(HOME)
    first = site.run("--reads", "0%")
    ledger = site.dir / "cameras.ledger"
    size = ledger.stat().st_size
    assert first["acknowledged"] == 100
    with ledger.open("ab") as file:
        file.write(b"\x40\x00\x00\x00torn")  # as a crash leaves it
    assert site.run("--reads", "0%")["acknowledged"] == 100
    assert ledger.stat().st_size == 2 * size
    # No backend answers here: what cannot be read is said to be lost, and the exit code says so too.
    done = subprocess.run([CAMERAS, "--dir", site.dir, "--verify", "--json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert json.loads(done.stdout)["lost"] == json.loads(done.stdout)["unanswered"] == 200


def test_sigterm_ends_the_run_with_its_report(site):
    site.gateway(HOME)
    ready, told = os.pipe()
    process = subprocess.Popen([CAMERAS, "--dir", site.dir, "--json", "--no-verify", "--duration", "0", "--rate", "100",
                                "--connections", "4", "--ready-fd", str(told)], pass_fds=[told], stdout=subprocess.PIPE, text=True)
    os.close(told)
    assert os.read(ready, 1) == b"R"
    os.close(ready)
    time.sleep(0.5)  # some traffic; nothing waits for this
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    report = json.loads(out)
    assert 0 < report["requests"] < 1000 and report["failed"] == 0


@pytest.mark.parametrize("args, message", [
    (["--rate", "0"], "must be above 0"),
    (["--rate", "x"], "option '--rate': 'x' is not a number up to 100000"),
    (["--duration", "5"], "option '--duration': '5' is not like '30s' or '0'"),
    (["--reads", "120%"], "option '--reads': '120%' is not a share like '80%'"),
    (["extra"], "unexpected argument 'extra'"),
])
def test_wrong_usage(site, args, message):
    done = site.run(*args, check=False)
    assert done.returncode == 2
    assert message in done.stderr and not done.stdout


def test_without_a_fleet_it_says_so(tmp_path):
    done = subprocess.run([CAMERAS, "--dir", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert "no fleet in" in done.stderr and "wildcam up" in done.stderr
