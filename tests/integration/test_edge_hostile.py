# SPDX-License-Identifier: MIT
"""What strangers try: old TLS, oversized and malformed requests, smuggling, traversal, many and slow connections, wrong
certificates on the listener between regions."""
import collections
import resource
import socket
import ssl
import subprocess
import time

import pytest

import edgekit


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with edgekit.Fleet(tmp_path_factory.mktemp("edge"), {"client_header_timeout: 10s": "client_header_timeout: 1s",
                                                         "client_body_timeout: 10s": "client_body_timeout: 1s",
                                                         "connections_per_client: 1000": "connections_per_client: 20",
                                                         "max_body: 16MiB": "max_body: 64KiB"}) as fleet:
        edge = fleet.edge("us-west-2")
        edge.agent = edgekit.Replica(edge.sockets / "agent.sock", "agent", fleet.dir / "replica-agent")
        edge.replicas.append(edge.agent)  # so that it ends with the others
        edge.publish(replicas=edge.plan()["replicas"][:2])
        edge.start()
        yield fleet


@pytest.fixture(scope="module")
def edge(fleet):
    return fleet.edges[0]


def executed(edge):
    return collections.Counter(line for replica in edge.replicas for line in replica.executed())


def new_lines(edge, before):
    return list((executed(edge) - before).elements())


def s_client(edge, *options, port=8443):
    done = subprocess.run(["openssl", "s_client", "-connect", f"{edge.address}:{port}", "-CAfile", edge.fleet.pki.folder / "ca.pem", *options],
                          input="", capture_output=True, text=True, timeout=10)
    return done.stdout


def test_tls_versions_and_suites(edge):
    weak = "DEFAULT:@SECLEVEL=0"
    assert "Cipher is TLS_AES" in s_client(edge, "-tls1_3")
    assert "Cipher is ECDHE-ECDSA" in s_client(edge, "-tls1_2")
    assert "Cipher is (NONE)" in s_client(edge, "-tls1_1", "-cipher", weak)
    assert "Cipher is (NONE)" in s_client(edge, "-tls1", "-cipher", weak)
    for suite in ("AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA"):
        assert "Cipher is (NONE)" in s_client(edge, "-tls1_2", "-cipher", suite), suite
    assert "Verify return code: 0" in s_client(edge, "-tls1_3", "-verify_hostname", "api.wildcam.org")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_protocols(edge, version, protocol):
    with edge.connect(version=version, alpn=[protocol]) as connection:
        assert connection.selected_alpn_protocol() == protocol
        assert connection.version() == ("TLSv1.3" if version == ssl.TLSVersion.TLSv1_3 else "TLSv1.2")


def test_http2_serves(edge):
    out = edgekit.run("curl", "-s", "--http2", "--cacert", edge.fleet.pki.folder / "ca.pem", "-w", "\n%{http_version} %{http_code}",
                      f"https://{edge.address}:8443/api/detections")
    assert out.endswith("\n2 200")


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else None


GET = b"GET /api/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("head, status", [
    # two ideas of where the body ends
    (b"POST /api/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd", 400),
    (b"POST /api/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400),
    (b"POST /api/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 4\r\n\r\nabcd", 400),
    (b"POST /api/a HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd", 400),
    (b"POST /api/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0x4\r\n\r\nabcd", 400),
    (b"POST /api/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET, 400),
    (b"POST /api/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + GET, 400),
    (b"POST /api/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + GET, 501),
    (b"POST /api/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + GET, 501),
    (b"POST /api/a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET, 400),
    (b"POST /api/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + GET, 400),
    (b"POST /api/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + GET, 400),
    # malformed lines
    (b"GET /api/a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    (b"GET /api/a HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    (b"GET /api/a HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", 400),
    (b"GET /api/a\x00b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /api/a HTTP/1.1\r\n\r\n", 400),
    (b"GET /api/a HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    (b"get /api/a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"TRACE /api/a HTTP/1.1\r\nHost: x\r\n\r\n", 405),
])
def test_malformed_requests_are_refused(edge, head, status):
    before = executed(edge)
    assert status_of(edge.raw(head)) == status
    assert not [line for line in new_lines(edge, before) if "smuggled" in line]


def test_bare_line_feeds_smuggle_nothing(edge):
    """nginx takes a bare line feed as a line's end; what it sends on is its own well-formed request."""
    before = executed(edge)
    edge.raw(b"GET /api/bare HTTP/1.1\nHost: x\nConnection: close\nX: a\n\n")
    edge.raw(b"POST /api/body HTTP/1.1\nHost: x\nConnection: close\nContent-Length: %d\n\n" % len(GET) + GET)
    lines = new_lines(edge, before)
    assert sorted(line.split()[1] for line in lines) == ["/api/bare", "/api/body"]


@pytest.mark.parametrize("target", [
    "/static/../../etc/passwd", "/static/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2fetc/passwd", "/static/..\\..\\etc\\passwd",
    "//.well-known//wildcam/report", "/api/../.well-known/wildcam/report", "/api/%2e%2e/.well-known/wildcam/report",
    "/%2ewell-known/wildcam/report", "/.well-known/wildcam/report", "/v1/status", "/metrics", "/api%00/", "/", "/x",
])
def test_reserved_and_outside_paths_are_not_reached(edge, target):
    before = executed(edge)
    answer = edge.raw(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    if status_of(answer) == 200:  # a replica may see an odd name below /static/, as a name, and nothing else
        assert all(line.split()[1].startswith("/static/") for line in new_lines(edge, before))
    else:
        assert status_of(answer) in (400, 404)
        assert not new_lines(edge, before)
    assert not edge.agent.executed()


def test_oversized_requests(edge):
    before = executed(edge)
    line = "x" * 5000
    assert edge.get("/api/detections?" + line).status == 414
    assert edge.get("/api/detections", headers={"X-Long": line}).status == 400
    assert edge.get("/api/detections", headers={f"X-{i}": "x" * 3000 for i in range(6)}).status == 400
    assert edge.request("POST", "/api/detections", body="x" * 70000).status == 413
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    assert status_of(edge.raw(b"POST /api/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 3)) == 413
    assert not new_lines(edge, before)
    assert edge.request("POST", "/api/detections", body="x" * 60000).json()["body"] == "x" * 60000


def test_slow_headers_and_bodies_are_cut_off(edge):
    """Each sends a byte now and then; nginx counts from the start of the header."""
    slow = [edge.connect() for _ in range(50)]
    for connection in slow[:40]:
        connection.sendall(b"GET /api/detections HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    for connection in slow[40:]:
        connection.sendall(b"POST /api/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    started = time.monotonic()
    left = set(slow)
    while left and time.monotonic() - started < 10:
        for connection in list(left):
            try:
                connection.settimeout(0.001)
                if connection in slow[:40]:
                    connection.sendall(b"x")
                if connection.recv(4096) == b"":
                    left.discard(connection)
            except (TimeoutError, ssl.SSLWantReadError):
                pass
            except OSError:
                left.discard(connection)
        time.sleep(0.1)
        assert edge.get("/.well-known/wildcam/health").status == 200
    assert not left, f"{len(left)} were never closed"
    assert time.monotonic() - started < 6
    assert not [line for line in executed(edge) if "/api/slow" in line]


def test_many_requests_of_one_client(edge):
    """20 at once are allowed here; the 21st is told so, another address is not."""
    for replica in edge.replicas[:2]:
        replica.mode("wait 1")
    try:
        waiting = []
        for _ in range(20):
            connection = edge.open()
            connection.request("GET", "/api/waits")
            waiting.append(connection)
        targets = [replica.name for replica in edge.replicas[:2]]
        edgekit.until(lambda: sum(edge.target(name)["inflight"] for name in targets) == 20, "20 requests wait")
        assert edge.get("/api/one-more").status == 429
        other = edge.open(source="127.0.0.9")
        other.request("GET", "/api/one-more")
        assert edgekit.Answer(other.getresponse()).status == 200
        assert {edgekit.Answer(connection.getresponse()).status for connection in waiting} == {200}
    finally:
        for replica in edge.replicas[:2]:
            replica.mode("ok")


def test_ten_thousand_idle_connections(tmp_path):
    """500 after their TLS handshake, the others before it (a handshake costs this test more than the edge)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 11000:
        pytest.skip(f"only {hard} open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle = []
    try:
        with edgekit.Fleet(tmp_path, {"client_header_timeout: 10s": "client_header_timeout: 60s"}) as fleet:
            edge = fleet.edge("us-west-2")
            edge.publish().start()
            for i in range(500):
                idle.append(edge.connect(source=f"127.0.{i % 200 + 1}.1"))
            for i in range(9500):
                idle.append(socket.create_connection((edge.address, 8443), source_address=(f"127.0.{i % 200 + 1}.1", 0)))
            started = time.monotonic()
            assert edge.get("/api/detections").status == 200
            assert time.monotonic() - started < 1
            idle[0].sendall(b"GET /api/detections HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in idle[0].recv(4096)
            assert len(edge.workers()) == 1
            for connection in idle:
                connection.close()
            assert edge.get("/api/detections").status == 200
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# The listener between regions.

def issue(fleet, name, unit, usage="clientAuth", **options):
    return fleet.pki.issue(f"strangers/{name.replace(',', '_').replace('=', '_')}-{unit}-{usage}", f"/O=wildcam/OU={unit}/CN={name}",
                           "DNS:x", usage, **options)


def refused(edge, certificate, verdict):
    """A request with this certificate is answered 403, counted, and has its line in refused.log. Without any certificate it is
    only counted: strangers must not fill the disk."""
    log = edge.dir / "log/refused.log"
    lines = len(log.read_text().splitlines()) if log.exists() else 0
    before = edge.counters()["peer_refused"]
    for target in ("/api/detections", "/.well-known/wildcam/report", "/v1/status", "/metrics"):
        assert edge.get(target, port=8444, certificate=certificate).status == 403
    edgekit.until(lambda: edge.counters()["peer_refused"] == before + 4, "it is counted")
    if certificate is None:
        assert not log.exists() or len(log.read_text().splitlines()) == lines
        return
    edgekit.until(lambda: len(log.read_text().splitlines()) == lines + 4, "it is logged")
    assert all(verdict in line for line in log.read_text().splitlines()[lines:]), log.read_text()
    assert not edge.agent.executed()


def test_peers_without_a_good_certificate_are_refused_and_counted(fleet, edge):
    refused(edge, None, None)
    refused(edge, issue(fleet, "us-east-1", "gateway", expired=True), "FAILED:certificate has expired")
    refused(edge, issue(fleet, "us-east-2", "gateway", authority="foreign"), "FAILED:unable to verify")
    refused(edge, issue(fleet, "us-east-1", "gateway", "serverAuth"), "FAILED:unsuitable certificate purpose")
    refused(edge, issue(fleet, "no-region-of-ours", "gateway"), "SUCCESS")
    refused(edge, issue(fleet, "us-east-1,OU=gateway", "viewer"), "SUCCESS")
    refused(edge, issue(fleet, "us-east-1", "stranger"), "SUCCESS")


def test_roles(fleet, edge):
    people = {role: issue(fleet, "pat", role) for role in ("viewer", "operator", "admin")}
    gateway = issue(fleet, "us-east-1", "gateway")
    allowed = [
        ("GET", "/v1/status", {"viewer", "operator", "admin"}),
        ("POST", "/v1/intents", {"operator", "admin"}),
        ("DELETE", "/v1/intents/1", {"operator", "admin"}),
        ("GET", "/metrics", {"viewer", "operator", "admin"}),
        ("GET", "/metrics/edge", {"viewer", "operator", "admin"}),
        ("POST", "/.well-known/wildcam/report", {"gateway"}),
        ("GET", "/api/detections", {"gateway"}),
        ("GET", "/.well-known/wildcam/other", set()),
    ]
    for method, target, roles in allowed:
        for role, certificate in {**people, "gateway": gateway}.items():
            answer = edge.request(method, target, port=8444, certificate=certificate, headers={"Wildcam-Peer": "admin:eve"})
            assert (answer.status == 200) == (role in roles), (method, target, role, answer.status)
            if answer.status == 200 and target != "/metrics/edge":
                seen = [value for name, value in answer.json()["headers"] if name.lower() == "wildcam-peer"]
                assert seen == ["gateway:us-east-1" if role == "gateway" else f"{role}:pat"]


def test_peer_listener_keeps_no_sessions(fleet, edge):
    certificate = issue(fleet, "us-east-1", "gateway")
    assert "New, TLSv1.3" in s_client(edge, "-tls1_3", "-cert", certificate[0], "-key", certificate[1], port=8444)
    out = s_client(edge, "-tls1_2", "-reconnect", "-cert", certificate[0], "-key", certificate[1], port=8444)
    assert "New, TLSv1.2" in out and "Reused, TLSv1.2" not in out
    public = s_client(edge, "-tls1_2", "-reconnect")
    assert "Reused, TLSv1.2" in public, "the check above can fail"


def test_answers_of_the_agent_are_passed_on_as_they_are(fleet, edge):
    edge.agent.mode("status 503")
    answer = edge.get("/v1/ready", port=8444, certificate=issue(fleet, "pat", "viewer"))
    edge.agent.mode("ok")
    assert answer.status == 503
    assert answer.json()["replica"] == "agent"
