# SPDX-License-Identifier: MIT
"""What clients get from an edge: protocols, headers, cache, forwarding, and what strangers do not get."""
import pytest

import edgekit


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with edgekit.Fleet(tmp_path_factory.mktemp("edge")) as fleet:
        for region in ("us-west-2", "us-east-1"):
            fleet.edge(region)
        for edge in fleet.edges:
            edge.publish()
            edge.start()
        yield fleet


@pytest.fixture(scope="module")
def edge(fleet):
    return fleet.edges[0]


def test_serves_from_a_replica(edge):
    answer = edge.get("/api/detections")
    assert answer.status == 200
    assert answer.headers["wildcam-edge"] == "us-west-2"
    assert answer.headers["wildcam-region"] == "us-west-2"
    assert answer.headers["wildcam-replica"] == answer.json()["replica"]


def test_replicas_share_the_load(edge):
    with edgekit.Traffic(edge, clients=4, pause=0) as traffic:
        traffic.wait_for(400)
    assert not traffic.failed()
    counts = [edge.target(replica.name)["ok"] for replica in edge.replicas]
    assert min(counts) >= 20, "the busier one gets less, but no one nothing"


def test_forwards_what_no_replica_can_serve(fleet, edge):
    down = [{"name": r.name, "socket": str(r.socket), "state": "down"} for r in edge.replicas]
    edge.publish(replicas=down)
    before = edge.counters()
    answer = edge.request("POST", "/api/detections", body="{}")
    edge.publish()
    assert answer.status == 200
    assert answer.headers["wildcam-edge"] == "us-west-2"
    assert answer.headers["wildcam-region"] == "us-east-1"
    assert answer.headers["wildcam-replica"].startswith("us-east-1/")
    seen = dict((name.lower(), value) for name, value in answer.json()["headers"])
    assert seen["wildcam-hop"] == "1"
    assert seen["wildcam-peer"] == "gateway:us-west-2"
    assert seen["x-forwarded-for"].startswith("127.")
    assert answer.json()["body"] == "{}"
    after = edge.counters()
    assert after["forwarded"] == before["forwarded"] + 1
    assert after["retries"] == before["retries"], "nothing was tried before, so this is no retry"


def test_forwarding_does_not_fill_the_log(fleet, edge):
    """nginx writes a line for each request that asks an upstream in vain; a region without replicas may not do that."""
    edge.publish(replicas=[])
    log = edge.dir / "log/nginx.log"
    size = log.stat().st_size
    with edgekit.Traffic(edge, clients=4) as traffic, edgekit.Traffic(edge, 2, "POST", body="{}") as writes:
        traffic.wait_for(200)
    edge.publish(replicas=[], forward=[])
    with edgekit.Traffic(edge, 4, "POST", body="{}") as refused:
        refused.wait_for(200)
    edge.publish()
    assert not traffic.failed() and not writes.failed()
    assert {status for status, _ in refused.results} == {503}
    lines = log.read_bytes()[size:].decode().splitlines()
    assert len(lines) < 30, lines[:5]


def test_cached_answers_are_served_without_replicas(edge):
    target = "/static/kept.js"
    assert edge.get(target).headers["x-cache"] == "MISS"
    edge.publish(replicas=[], forward=[])
    states = [edge.get(target).headers["x-cache"] for _ in range(3)]
    refused = [edge.get(f"/static/other-{i}").status for i in range(3)]
    states += [edge.get(target).headers["x-cache"] for _ in range(3)]
    edge.publish()
    assert refused == [503] * 3
    assert states == ["HIT"] * 6


def test_forwarding_ends_after_one_hop(fleet, edge):
    """Both regions without replicas: the second edge does not send the request back."""
    other = fleet.edges[1]
    for e in fleet.edges:
        e.publish(replicas=[])
    try:
        before = edge.counters()["requests"], other.counters()["requests"]
        answer = edge.get("/api/detections")
        edgekit.until(lambda: other.counters()["requests"] == before[1] + 1, "one request at the other edge")
        assert edge.counters()["requests"] == before[0] + 1
    finally:
        for e in fleet.edges:
            e.publish()
    assert answer.status == 503
    assert answer.headers["retry-after"]


def test_closed_service_refuses_at_once_and_open_one_tries(fleet, edge):
    down = [{"name": r.name, "socket": str(r.socket), "state": "down"} for r in edge.replicas]
    edge.publish(replicas=down, forward=[])
    before = edge.counters()["no_target"]
    read = edge.get("/api/detections")
    write = edge.request("POST", "/api/detections", body="{}", headers={"Idempotency-Key": "closed-1"})
    after = edge.counters()["no_target"]
    edge.publish()
    assert read.status == 200, "reads are open: a replica that is called down is tried all the same"
    assert write.status == 503
    assert write.headers["retry-after"] == "1"
    assert "wildcam-shed" not in write.headers, "there is no lack of capacity"
    assert after == before + 1
    assert not [line for replica in edge.replicas for line in replica.executed() if "closed-1" in line]


def test_class_without_a_replica_is_forwarded(fleet, edge):
    """The region's database is gone: it reads, another region writes."""
    readers = [{"name": r.name, "socket": str(r.socket), "classes": 1} for r in edge.replicas]
    edge.publish(replicas=readers)
    read = edge.get("/api/detections").headers["wildcam-region"]
    write = edge.request("POST", "/api/detections", body="{}").headers["wildcam-region"]
    edge.publish()
    assert (read, write) == ("us-west-2", "us-east-1")


def test_weights_are_kept(edge):
    """Nine to one, as a canary gets it."""
    before = [edge.target(r.name)["ok"] for r in edge.replicas]
    edge.publish(replicas=[{"name": r.name, "socket": str(r.socket), "weight": w}
                           for r, w in zip(edge.replicas, (90, 10))])
    for _ in range(300):
        assert edge.get("/api/health").status == 200
    counts = [edge.target(r.name)["ok"] - b for r, b in zip(edge.replicas, before)]
    edge.publish()
    assert sum(counts) == 300
    assert 250 <= counts[0] <= 288


def test_own_headers_cannot_be_forged(edge):
    forged = {"Wildcam-Hop": "1", "Wildcam-Peer": "gateway:us-east-1", "wildcam_hop": "1", "X-Forwarded-For": "10.0.0.1",
              "Host": "evil.example"}
    answer = edge.get("/api/detections", headers=forged)
    seen = [(name.lower(), value) for name, value in answer.json()["headers"]]
    names = [name for name, _ in seen]
    assert "wildcam-hop" not in names and "wildcam-peer" not in names and "wildcam_hop" not in names
    assert "10.0.0.1" not in dict(seen)["x-forwarded-for"]
    assert dict(seen)["host"] == "api.wildcam.org"


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("given, kept", [
    (f"00-{TRACE}-{SPAN}-01", True),
    (f"00-{TRACE}-{SPAN}-00", True),
    (f"cc-{TRACE}-{SPAN}-01-more", True),
    (f"00-{TRACE}-{SPAN}-01-more", False),
    (f"ff-{TRACE}-{SPAN}-01", False),
    (f"00-{'0' * 32}-{SPAN}-01", False),
    (f"00-{TRACE}-{'0' * 16}-01", False),
    (f"00-{TRACE.upper()}-{SPAN}-01", False),
    (f"00-{TRACE}-{SPAN}", False),
    ("", False),
    (None, False),
])
def test_trace_context(edge, given, kept):
    answer = edge.get("/api/detections", headers={} if given is None else {"traceparent": given})
    sent = dict((n.lower(), v) for n, v in answer.json()["headers"])["traceparent"]
    version, trace, span, flags = sent.split("-")
    assert sent == answer.headers["traceparent"]
    assert version == "00" and len(trace) == 32 and len(span) == 16 and int(trace, 16) and int(span, 16)
    assert (trace == TRACE) == kept
    assert span != SPAN
    if kept:
        assert flags == given.split("-")[3]


def test_cache_keeps_what_the_origin_allows(edge):
    states = [[edge.get(f"/api/{name}").headers["x-cache"] for _ in range(2)]
              for name in ("cacheable", "private", "detections", "cacheable-cookie")]
    assert states == [["MISS", "HIT"], ["MISS", "MISS"], ["MISS", "MISS"], ["MISS", "HIT"]]
    assert edge.get("/api/health").headers["x-cache"] == "NONE"


def test_cache_is_not_for_the_authorized(edge):
    target = "/api/cacheable?authorized"
    states = [edge.get(target, headers={"Authorization": "Bearer x"}).headers["x-cache"] for _ in range(2)]
    assert states == ["BYPASS", "BYPASS"]
    assert edge.get(target).headers["x-cache"] == "MISS"


def test_static_files_are_immutable(edge):
    answers = [edge.get("/static/cookie.js") for _ in range(2)]
    assert [answer.headers["x-cache"] for answer in answers] == ["MISS", "HIT"]
    for answer in answers:
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "set-cookie" not in answer.headers
        assert answer.headers["wildcam-edge"] == "us-west-2"


def operator(fleet, name, role):
    return fleet.pki.issue(f"people/{role}-{name}", f"/O=wildcam/OU={role}/CN={name}", f"DNS:{name}", "clientAuth")


def test_purge_by_generation(fleet, edge):
    target = "/api/cacheable?purge"
    assert [edge.get(target).headers["x-cache"] for _ in range(2)] == ["MISS", "HIT"]
    refused = edge.request("POST", "/v1/edge/purge", port=8444, certificate=operator(fleet, "eve", "viewer"))
    assert refused.status == 403
    assert edge.get(target).headers["x-cache"] == "HIT"
    purged = edge.request("POST", "/v1/edge/purge", port=8444, certificate=operator(fleet, "ann", "operator"))
    assert purged.status == 200
    assert edge.get(target).headers["x-cache"] == "MISS"
    edge.publish(generation=7)
    assert edge.get(target).headers["x-cache"] == "MISS"
    assert edge.get(target).headers["x-cache"] == "HIT"
    edge.publish()


def test_plain_http_only_redirects(edge):
    import http.client
    connection = http.client.HTTPConnection(edge.address, 8480, timeout=5)
    connection.request("GET", "/api/detections?a=b")
    answer = connection.getresponse()
    assert answer.status == 308
    assert answer.getheader("Location") == f"https://{edge.address}:8443/api/detections?a=b"


def test_health_is_answered_without_replicas(edge):
    answer = edge.get("/.well-known/wildcam/health")
    assert (answer.status, answer.body, answer.headers["wildcam-edge"]) == (200, b"ok\n", "us-west-2")


def test_server_says_no_version(edge):
    for target in ("/api/detections", "/nowhere"):
        assert edge.get(target).headers["server"] == "nginx"


def test_security_headers(edge):
    for target in ("/api/detections", "/static/x"):
        headers = edge.get(target).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"].startswith("max-age=")
        assert "default-src 'none'" in headers["content-security-policy"]


def test_round_trip_times_of_clients_are_sampled(edge):
    before = edge.counters()["samples"]
    with edgekit.Traffic(edge, clients=2) as traffic:
        traffic.wait_for(20)
    assert edge.counters()["samples"] > before
