# SPDX-License-Identifier: MIT
"""A region at its capacity: what exceeds it is shed with 503 and Retry-After or served by a region that has room; it is nobody's
failure, and no request is tried again for it."""
import concurrent.futures
import time

import pytest

import edgekit

CAPACITY = 40  # requests per second; the burst is 8


def gateways(fleet, **more):
    """All gateways without a limit, changed by name: west={"capacity": 40}."""
    names = {edge.region: edge.address for edge in fleet.edges}
    return [{"region": region, "address": address, **more.get(region.replace("-", "_"), {})} for region, address in names.items()]


def ask(edge, n, method="GET", **options):
    """So many requests as fast as they can be asked for, one after the other on one connection: the answers."""
    connection = edge.open()
    try:
        answers = []
        for i in range(n):
            headers = {name: value.format(i) for name, value in options.get("headers", {}).items()}
            connection.request(method, f"/api/detections?{i}", body=options.get("body"), headers=headers)
            answers.append(edgekit.Answer(connection.getresponse()))
        return answers
    finally:
        connection.close()


def split(answers):
    served = [a for a in answers if a.status == 200]
    shed = [a for a in answers if a.headers.get("wildcam-shed") == "capacity"]
    assert len(served) + len(shed) == len(answers), {a.status for a in answers}
    return served, shed


@pytest.fixture
def fleet(tmp_path):
    with edgekit.Fleet(tmp_path) as fleet:
        for region in ("us-west-2", "us-east-1"):
            fleet.edge(region, replicas=2)
        for edge in fleet.edges:
            edge.publish()
            edge.start()
        yield fleet


def executed(edge):
    return sum(len(replica.executed()) for replica in edge.replicas)


def test_excess_is_shed_when_nobody_has_room(fleet):
    west, east = fleet.edges
    west.publish(gateways=gateways(fleet, us_west_2={"capacity": CAPACITY}, us_east_1={"load_ppm": 1000001}))
    before = west.counters()
    started = time.monotonic()
    answers = ask(west, 400) + ask(west, 60, "POST", body="{}") + ask(west, 60, "POST", body="{}", headers={"Idempotency-Key": "k-{}"})
    seconds = time.monotonic() - started
    served, shed = split(answers)
    counters = west.counters()
    assert len(served) <= CAPACITY * seconds + 8 + 1
    assert len(served) >= CAPACITY * seconds * 0.9 - 1, "and it goes on serving what it can"
    assert len(shed) > 100
    assert {a.status for a in shed} == {503}
    assert {a.headers["retry-after"] for a in shed} == {"1", "2", "3"}, "so that they do not come back together"
    assert counters["shed"] - before["shed"] == len(shed)
    assert counters["responses_5xx"] == before["responses_5xx"], "shed is no error"
    assert counters["retries"] == before["retries"]
    assert executed(west) == len(served), "what is shed is not executed"
    assert executed(east) == 0
    assert sum(west.target(r.name)[kind] for r in west.replicas for kind in ("error", "failure", "ejections")) == 0
    assert "no live upstreams" not in west.log_tail()


def test_capacity_nobody_knows_sheds_nothing(fleet):
    west = fleet.edges[0]
    west.publish(gateways=gateways(fleet, us_west_2={"capacity": 0}))
    assert {a.status for a in ask(west, 300)} == {200}
    assert west.counters()["shed"] == 0


def test_a_region_with_room_serves_the_excess(fleet):
    west, east = fleet.edges
    west.publish(gateways=gateways(fleet, us_west_2={"capacity": CAPACITY}, us_east_1={"load_ppm": 900000}))
    answers = ask(west, 200) + ask(west, 50, "POST", body="{}")
    assert {a.status for a in answers} == {200}
    assert {a.headers["wildcam-region"] for a in answers} == {"us-west-2", "us-east-1"}
    assert west.counters()["shed"] == 0
    assert west.counters()["forwarded"] == executed(east) > 100


def test_what_the_other_region_sheds_is_passed_on(fleet):
    """Both are full, whatever the plan expected: no third try, no evidence, connections stay."""
    west, east = fleet.edges
    full = gateways(fleet, us_west_2={"capacity": CAPACITY}, us_east_1={"capacity": CAPACITY})
    for edge in fleet.edges:
        edge.publish(gateways=full)
    before = east.counters()
    started = time.monotonic()
    served, shed = split(ask(west, 500))
    seconds = time.monotonic() - started
    assert len(served) <= 2 * (CAPACITY * seconds + 8 + 1)
    assert len(shed) > 100
    counters, peer = west.counters(), east.counters()
    assert counters["shed"] == len(shed)
    assert counters["responses_5xx"] == peer["responses_5xx"] == 0
    assert peer["shed"] == 0, "the edge that answers the client counts it"
    # one that shed is left alone for a quarter of a second: no request pays two ways for nothing
    assert 1 <= peer["shed_peer"] <= seconds * 4 + 2
    assert executed(east) == counters["forwarded"] - peer["shed_peer"]
    target = west.target("us-east-1")
    assert (target["error"], target["failure"], target["ejections"]) == (0, 0, 0)
    assert target["ok"] == executed(east), "shed is no success either"
    assert peer["connections"] - before["connections"] <= 2, "no handshake for each shed request"


def test_a_plain_post_that_the_other_region_sheds(fleet):
    """No request between edges shows through: the client gets the 503 that says when to come back, and it is counted."""
    west, east = fleet.edges
    full = gateways(fleet, us_west_2={"capacity": CAPACITY}, us_east_1={"capacity": CAPACITY})
    for edge in fleet.edges:
        edge.publish(gateways=full)
    served, shed = split(ask(west, 500, "POST", body="{}"))
    counters, peer = west.counters(), east.counters()
    assert peer["shed_peer"] >= 1 and executed(east) >= 1, "some went there, and some of them were shed"
    assert len(shed) > 100
    assert {a.status for a in shed} == {503}
    assert {a.headers["retry-after"] for a in shed} <= {"1", "2", "3"}
    assert counters["shed"] == len(shed)
    assert counters["responses_5xx"] == peer["responses_5xx"] == 0
    assert executed(west) + executed(east) == len(served)
    target = west.target("us-east-1")
    assert (target["error"], target["failure"], target["ejections"]) == (0, 0, 0)


def test_a_region_without_replicas_passes_on_what_is_shed(fleet):
    """Not by choice but for want of replicas all go to the other region: by arrival like its own, and never tried twice."""
    west, east = fleet.edges
    limits = gateways(fleet, us_east_1={"capacity": CAPACITY})
    west.publish(gateways=limits, replicas=[])
    east.publish(gateways=limits)
    before = east.counters()["connections"]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        started = time.monotonic()
        own, forwarded = pool.submit(ask, east, 300), pool.submit(ask, west, 300)
        (own_served, own_shed), (served, shed) = split(own.result()), split(forwarded.result())
        seconds = time.monotonic() - started
    assert len(own_served) + len(served) <= CAPACITY * seconds + 8 + 1
    assert len(own_shed) > 50 and len(shed) > 50
    assert own_served and served, "by arrival: nobody goes without"
    assert executed(east) == len(own_served) + len(served)
    assert east.counters()["shed_peer"] == len(shed)
    assert east.counters()["shed"] == len(own_shed)
    assert west.counters()["retries"] == 0
    assert west.target("us-east-1")["ejections"] == 0
    assert east.counters()["connections"] - before <= 3


def test_cached_answers_and_health_cost_nothing(fleet):
    west = fleet.edges[0]
    west.publish(gateways=gateways(fleet, us_west_2={"capacity": 1}, us_east_1={"load_ppm": 2000000}))
    assert west.get("/static/kept.js").headers["x-cache"] == "MISS"
    statuses = {west.get("/static/kept.js").headers["x-cache"] for _ in range(20)}
    health = {west.get("/.well-known/wildcam/health").status for _ in range(20)}
    served, shed = split(ask(west, 20))
    assert statuses == {"HIT"}
    assert health == {200}
    assert 6 <= len(served) <= 8, "seven of the burst's eight were left"
    assert len(shed) >= 12


def test_all_workers_share_one_bucket(tmp_path):
    with edgekit.Fleet(tmp_path) as fleet:
        west = fleet.edge("us-west-2", conf=lambda text: text.replace("worker_processes 1;", "worker_processes 3;"))
        west.publish(gateways=[{"region": "us-west-2", "address": west.address, "capacity": CAPACITY}])
        west.start()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            started = time.monotonic()
            answers = [a for batch in pool.map(lambda _: ask(west, 150), range(6)) for a in batch]
            seconds = time.monotonic() - started
        served, shed = split(answers)
        assert CAPACITY * seconds * 0.8 - 1 <= len(served) <= CAPACITY * seconds + 8 + 1
        busy = [west.counters(slot)["requests"] for slot in range(3)]
        assert sum(n > 0 for n in busy) >= 2, f"one worker did it all: {busy}"


def test_an_error_of_a_replica_is_not_taken_for_shed(fleet):
    """The status that edges use among themselves proves nothing when a replica says it."""
    west, east = fleet.edges
    for replica in east.replicas:
        replica.mode("status 529")
    west.publish(replicas=[])
    answer = west.get("/api/detections")
    assert answer.status in (502, 503)
    assert "wildcam-shed" not in answer.headers
    assert west.counters()["shed"] == 0
