# SPDX-License-Identifier: MIT
"""wildcam-relay, the real program between a real client and a real server: what it delays, what it spoils, what it passes
on (ends, resets, back pressure), and that it leaves nothing behind."""
import contextlib
import http.client
import os
import pwd
import select
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

from fleetkit import BUILD
from waiting import until

RELAY = BUILD / "wildcam-relay"
MS = 1_000_000
NOBODY = pwd.getpwnam("nobody")
SERVER = "127.99.1.1"  # no fleet of the tests has it
HEALTH = "/api/health"


class Relay:
    def __init__(self, *args):
        user = ["--user", f"{NOBODY.pw_uid}:{NOBODY.pw_gid}"] if os.getuid() == 0 else []
        self.process = subprocess.Popen([RELAY, *args, *user], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().split()
        assert line and line[0] == "ready", (line, self.process.wait())
        self.ports = [int(port) for port in line[1:]]

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.stdin.close()
        return self.process.wait(timeout=10)


@contextlib.contextmanager
def relaying(*args):
    relay = Relay(*args)
    try:
        yield relay
    finally:
        if relay.process.poll() is None:
            relay.process.kill()
        relay.process.wait()
        relay.process.stdout.close()


@contextlib.contextmanager
def listening(address=(SERVER, 0), family=socket.AF_INET):
    with socket.socket(family) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(4096)
        server.settimeout(10)
        yield server


@contextlib.contextmanager
def tcp_relay(*options):
    """A server, a relay before it, and a function that makes a connection: (client, server's side)."""
    with listening() as server:
        name = "%s:%d" % server.getsockname()
        with relaying("--tcp", f"{SERVER}:0", "--to", name, *options) as relay:
            made = []

            def connect(source="127.99.2.7"):
                client = socket.create_connection((SERVER, relay.ports[0]), 10, (source, 0))
                side, _ = server.accept()
                side.settimeout(10)
                made.extend([client, side])
                return client, side

            yield relay, connect
            for s in made:
                s.close()


def seconds(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def exact(sock, size):
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        assert chunk, f"ended after {len(data)} of {size} bytes"
        data += chunk
    return data


def ping(client, side):
    client.sendall(b"ping")
    assert exact(side, 4) == b"ping"
    side.sendall(b"pong")
    assert exact(client, 4) == b"pong"


def test_the_server_sees_the_client_itself():
    with tcp_relay() as (_, connect):
        _, side = connect("127.99.2.7")
        assert side.getpeername()[0] == "127.99.2.7"


def test_delay_of_a_round_trip_for_all_connections_at_once():
    with tcp_relay() as (relay, connect):
        early = connect()
        ping(*early)
        assert relay.tell(f"delay {80 * MS}") == "ok"
        assert 0.08 <= seconds(lambda: ping(*early)) < 1
        late = connect()
        # The handshake of connect cannot be held: its round trip comes with the first bytes.
        assert 0.16 <= seconds(lambda: ping(*late)) < 2
        assert 0.08 <= seconds(lambda: ping(*late)) < 1
        assert relay.tell("delay 0") == "ok"
        assert min(seconds(lambda: ping(*late)) for _ in range(20)) < 0.04


def test_a_shorter_delay_acts_on_what_is_held():
    with tcp_relay() as (relay, connect):
        client, side = connect()
        ping(client, side)
        relay.tell(f"delay {600_000 * MS}")
        client.sendall(b"held")
        assert select.select([side], [], [], 0.1)[0] == []
        relay.tell("delay 0")
        assert exact(side, 4) == b"held"


def test_half_close_both_ways():
    with tcp_relay() as (relay, connect):
        client, side = connect()
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert exact(side, 8) == b"question" and side.recv(1) == b""
        side.sendall(b"answer")
        side.close()
        assert exact(client, 6) == b"answer" and client.recv(1) == b""
        client.close()
        until(lambda: relay.tell("links") == "ok 0", "the relay has let the connection go")


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_is_passed_on_after_what_was_sent_before(who):
    with tcp_relay() as (relay, connect):
        client, side = connect()
        ping(client, side)
        breaking, other = (client, side) if who == "client" else (side, client)
        breaking.sendall(b"last")
        assert exact(other, 4) == b"last"
        reset(breaking)
        with pytest.raises(ConnectionResetError):
            other.recv(1)
        until(lambda: relay.tell("links") == "ok 0", "the relay has let the connection go")


def test_a_reset_takes_its_time_too():
    with tcp_relay() as (relay, connect):
        client, side = connect()
        ping(client, side)
        relay.tell(f"delay {200 * MS}")
        reset(client)
        with pytest.raises(ConnectionResetError):
            assert seconds(lambda: select.select([side], [], [])) >= 0.09
            side.recv(1)


def test_a_server_that_refuses():
    with listening() as server:
        name = "%s:%d" % server.getsockname()
    with relaying("--tcp", f"{SERVER}:0", "--to", name) as relay:
        with pytest.raises(ConnectionResetError):  # by connect already, or after it
            with socket.create_connection((SERVER, relay.ports[0]), 10, ("127.99.2.7", 0)) as client:
                client.recv(1)


def test_back_pressure_reaches_the_sender():
    with tcp_relay() as (relay, connect):
        client, side = connect()
        client.setblocking(False)
        sent = 0
        block = os.urandom(65536)
        quiet = 0
        while quiet < 3:  # nobody reads: the sender must come to a stand, whatever the kernel holds
            try:
                sent += client.send(block[:65536 - sent % 65536] if sent % 65536 else block)
                quiet = 0
            except BlockingIOError:
                quiet += select.select([], [client], [], 0.2)[1] == []
            assert sent < 64 << 20, "the relay takes everything"
        with open(f"/proc/{relay.process.pid}/status") as status:
            memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        assert memory < 32 << 10  # KiB
        client.setblocking(True)
        reader = threading.Thread(target=client.sendall, args=(b"end",))
        reader.start()
        data = exact(side, sent + 3)
        reader.join()
        assert len(data) == sent + 3 and data.endswith(b"end")


def test_two_thousand_connections():
    with tcp_relay() as (relay, connect):
        pairs = [connect(f"127.99.2.{1 + i % 200}") for i in range(2000)]
        assert relay.tell("links") == "ok 2000"
        relay.tell(f"delay {50 * MS}")
        for client, _ in pairs:
            client.sendall(b"hello")
        for _, side in pairs:
            assert exact(side, 5) == b"hello"


def test_wrong_commands_and_usage():
    with tcp_relay() as (relay, _):
        for wrong in ["", "delay", "delay -1", "delay 601000000000", "errors 1000001", "x" * 1000]:
            assert relay.tell(wrong).startswith("error allowed:"), wrong
        assert relay.tell("delay 5") == "ok"
    for args in [[], ["--tcp", "127.0.0.1:0"], ["--tcp", "127.0.0.1:0", "--to", "nowhere"], ["--in-place", "/" + "x" * 103]]:
        done = subprocess.run([RELAY, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
        assert done.returncode in (1, 2) and "wildcam-relay:" in done.stderr, args


@pytest.mark.skipif(os.getuid() != 0, reason="only root has rights to give up")
def test_root_becomes_somebody_else():
    done = subprocess.run([RELAY, "--tcp", "127.0.0.1:0", "--to", "127.0.0.1:1"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and "started as root" in done.stderr
    for options, capabilities in [((), 0), (("--mark", "77"), 1 << 12)]:  # CAP_NET_ADMIN
        with tcp_relay(*options) as (relay, _):
            with open(f"/proc/{relay.process.pid}/status") as file:
                status = dict(line.split(":\t", 1) for line in file)
            assert status["Uid"].split() == [str(NOBODY.pw_uid)] * 4
            assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == capabilities
            assert status["Groups"].split() == []


def test_ends_with_its_stdin_and_lets_a_connection_finish():
    with tcp_relay() as (relay, connect):
        client, side = connect()
        ping(client, side)
        relay.process.stdin.close()
        with pytest.raises(OSError):
            while True:  # it stops listening
                socket.create_connection((SERVER, relay.ports[0]), 10).close()
        ping(client, side)
        client.close()
        side.close()
        assert relay.process.wait(timeout=10) == 0


# --- HTTP on UNIX sockets ---

def answer(sock, name, counts):
    """One connection of a small HTTP/1.1 server: answers with the request's target, chunked when it ends with 'c'."""
    with contextlib.suppress(OSError), sock, sock.makefile("rb") as file:
        while line := file.readline():
            method, target, _ = line.decode().split()
            length = chunked = 0
            while (header := file.readline()) not in (b"\r\n", b""):
                key, _, value = header.decode().partition(":")
                length = int(value) if key.lower() == "content-length" else length
                chunked = chunked or key.lower() == "transfer-encoding"
            body = file.read(length)
            while chunked and (size := int(file.readline(), 16)) >= 0:
                body += file.read(size)
                file.readline()
                if size == 0:
                    break
            counts[target] = counts.get(target, 0) + 1
            text = f"{name} {method} {target} ".encode() + body
            if target.endswith("c"):
                middle = len(text) // 2
                pieces = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (text[:middle], text[middle:], b""))
                sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces)
            else:
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + (text if method != "HEAD" else b""))


class Backend:
    """A replica: listens as ours do (a new socket renamed over the old one)."""

    def __init__(self, path, name="one"):
        self.path, self.counts, self.name = path, {}, name
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path) + ".n")
        os.chmod(str(path) + ".n", 0o600)
        if os.getuid() == 0:
            os.chown(str(path) + ".n", NOBODY.pw_uid, NOBODY.pw_gid)
        self.server.listen(128)
        os.rename(str(path) + ".n", path)
        self.sides = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                side, _ = self.server.accept()
                self.sides.append(side)
                threading.Thread(target=answer, args=(side, self.name, self.counts), daemon=True).start()

    def die(self):
        """As after SIGKILL: listener and connections gone, the file stays."""
        for sock in [self.server, *self.sides]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("replica", timeout=10)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.path)

    def ask(self, method, target, **options):
        self.request(method, target, **options)
        response = self.getresponse()
        return response.status, response.read()


@pytest.fixture
def folder(state_root):
    folder = state_root / f"relay-{time.monotonic_ns()}"
    folder.mkdir(mode=0o700)
    os.chown(folder, *((NOBODY.pw_uid, NOBODY.pw_gid) if os.getuid() == 0 else (-1, -1)))
    return folder


@pytest.fixture
def replica(folder):
    backend = Backend(folder / "backend-1.sock")
    yield backend
    backend.die()


def test_http_answers_are_late_and_requests_are_framed(folder, replica):
    with relaying("--http", str(folder / "front.sock"), "--to", str(replica.path)) as relay:
        client = UnixHttp(folder / "front.sock")
        assert client.ask("GET", "/a") == (200, b"one GET /a ")
        relay.tell(f"delay {60 * MS}")
        for ask in [("GET", "/b"), ("POST", "/c"), ("HEAD", "/d"), ("GET", HEALTH)]:
            begin = time.monotonic()
            assert client.ask(*ask)[0] == 200
            assert 0.06 <= time.monotonic() - begin < 1, ask
        relay.tell("delay 0")
        body = os.urandom(300_000)
        assert client.ask("POST", "/big", body=body)[1] == b"one POST /big " + body
        assert client.ask("POST", "/bigc", body=iter([body, body]), encode_chunked=True,
                          headers={"Transfer-Encoding": "chunked"})[1] == b"one POST /bigc " + body + body
        client.close()


def test_http_errors_by_share_and_never_for_health(folder, replica):
    with relaying("--http", str(folder / "front.sock"), "--to", str(replica.path)) as relay:
        client = UnixHttp(folder / "front.sock")
        relay.tell("errors 500000")
        statuses = [client.ask("POST", "/x", body=b"abc")[0] for _ in range(200)]
        assert 97 <= statuses.count(500) <= 103 and statuses.count(200) == 200 - statuses.count(500)
        assert replica.counts["/x"] == statuses.count(200)  # a spoiled request does not reach the replica
        assert all(client.ask("GET", HEALTH)[0] == 200 for _ in range(50))
        relay.tell("errors 1000000")
        status, body = client.ask("GET", "/y")
        assert status == 500 and b"error" in body
        assert client.ask("HEAD", "/y") == (500, b"")
        assert client.ask("POST", "/bigc", body=iter([b"x" * 70000]), encode_chunked=True,
                          headers={"Transfer-Encoding": "chunked"})[0] == 500
        relay.tell("errors 0")
        assert all(client.ask("GET", "/z")[0] == 200 for _ in range(50))
        client.close()


def test_http_pipelined_requests_keep_their_order(folder, replica):
    with relaying("--http", str(folder / "front.sock"), "--to", str(replica.path)) as relay:
        relay.tell("errors 500000")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(folder / "front.sock"))
            client.settimeout(10)
            client.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(40))
                           + b"GET /last HTTP/1.1\r\nConnection: close\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            data = b""
            while chunk := client.recv(65536):
                data += chunk
        assert data.count(b"HTTP/1.1 ") == 41
        served = [int(word[1:]) for word in data.decode().split() if word.startswith("/") and word[1:].isdigit()]
        assert served == sorted(served) and 18 <= len(served) <= 22


def test_what_is_no_http_goes_through_untouched(folder):
    path = folder / "backend-1.sock"
    with listening(str(path), socket.AF_UNIX) as server:
        path.chmod(0o666)
        with relaying("--http", str(folder / "front.sock"), "--to", str(path)) as relay:
            relay.tell("errors 1000000")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(folder / "front.sock"))
                side, _ = server.accept()
                for text in [b"EHLO relay\r\n", b"GET / HTTP/1.1\r\n\r\n", os.urandom(100_000)]:
                    sender = threading.Thread(target=client.sendall, args=(text,))
                    sender.start()
                    assert exact(side, len(text)) == text
                    sender.join()
                    side.sendall(text[:100])
                    assert exact(client, len(text[:100])) == text[:100]
                side.close()
                assert client.recv(1) == b""


def serves(path, name, status=200):
    client = UnixHttp(path)
    try:
        got = client.ask("GET", "/who")
        return got[0] == status and (status != 200 or got[1].startswith(name))
    except OSError:
        return False
    finally:
        client.close()


def test_in_place_takes_and_gives_back(folder, replica):
    before = os.stat(replica.path)
    with relaying("--in-place", str(replica.path)) as relay:
        now = os.stat(replica.path)
        assert now.st_ino != before.st_ino and os.stat(str(replica.path) + ".real").st_ino == before.st_ino
        assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == \
            (before.st_uid, before.st_gid, stat.S_IMODE(before.st_mode))
        relay.tell("errors 1000000")
        kept = UnixHttp(replica.path)
        assert kept.ask("GET", "/a")[0] == 500
        assert relay.tell("release") == "ok"
        assert os.stat(replica.path).st_ino == before.st_ino
        assert kept.ask("GET", "/a")[0] == 500  # a connection that it still holds
        assert serves(replica.path, b"one")
        assert relay.end() == 0  # the idle connection does not hold it up
        assert sorted(os.listdir(folder)) == ["backend-1.sock"]
        kept.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_in_place_gives_back_when_it_is_told_to_end(folder, replica, how):
    with relaying("--in-place", str(replica.path)) as relay:
        relay.process.send_signal(how)
        assert relay.process.wait(timeout=10) == 0
    assert sorted(os.listdir(folder)) == ["backend-1.sock"]
    assert serves(replica.path, b"one")


def test_in_place_over_a_replica_that_dies_and_comes_back(folder, replica):
    with relaying("--in-place", str(replica.path)) as relay:
        relay.tell("errors 1000000")
        assert serves(replica.path, b"", 500)
        replica.die()

        def refused():
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(str(replica.path)) != 0
        until(refused, "a dead replica's socket refuses: else it could not start again")
        again = Backend(replica.path, "two")
        until(lambda: serves(replica.path, b"", 500), "the relay has taken the new socket's place")
        relay.tell("errors 0")
        assert serves(replica.path, b"two")
        assert relay.end() == 0
    assert sorted(os.listdir(folder)) == ["backend-1.sock"]
    assert serves(replica.path, b"two")
    again.die()
