# SPDX-License-Identifier: MIT
"""Replicas that die, hang or fail under traffic: no idempotent request fails, nothing without a key is executed twice."""
import os
import signal
import time

import pytest

import edgekit

# what a hang may cost a request: 200 ms until the stall is seen, 20 ms of the tick, and a busy test machine
WORST_HANG = 0.5


@pytest.fixture
def edge(tmp_path):
    with edgekit.Fleet(tmp_path) as fleet:
        edge = fleet.edge("us-west-2", replicas=3)
        edge.publish()
        edge.start()
        yield edge


def test_kill_under_traffic(edge):
    with edgekit.Traffic(edge) as traffic:
        traffic.wait_for(300)
        edge.replicas[0].kill()
        traffic.wait_for(500)
        edge.replicas[0].start()
        edgekit.until(lambda: edge.target("us-west-2/1")["ok"] > 200, "the replica that came back serves again")
    assert not traffic.failed()
    assert traffic.worst() < WORST_HANG
    counters = edge.counters()
    assert counters["retries"] >= 1
    assert edge.target("us-west-2/1")["ejections"] >= 1


def test_hang_under_traffic(edge):
    with edgekit.Traffic(edge, clients=12) as traffic:
        traffic.wait_for(600)
        edge.replicas[0].stop()
        traffic.wait_for(600)
        edge.replicas[0].resume()
        traffic.wait_for(100)
    assert not traffic.failed()
    assert traffic.worst() < WORST_HANG
    assert edge.counters()["evacuated"] >= 1


def test_hang_under_writes_with_a_key(edge):
    with edgekit.Traffic(edge, 12, "POST", headers={"Idempotency-Key": "k-{}"}, body="{}") as traffic:
        traffic.wait_for(600)
        edge.replicas[0].stop()
        traffic.wait_for(600)
        edge.replicas[0].resume()
    assert not traffic.failed()
    assert traffic.worst() < WORST_HANG


@pytest.mark.parametrize("how", ["status 500", "status 503", "close"])
def test_failing_replica(edge, how):
    with edgekit.Traffic(edge) as traffic:
        traffic.wait_for(300)
        edge.replicas[0].mode(how)
        traffic.wait_for(500)
    assert not traffic.failed()
    assert edge.target("us-west-2/1")["ejections"] >= 1
    executed = len(edge.replicas[0].executed())
    with edgekit.Traffic(edge) as traffic:
        traffic.wait_for(300)
    assert not traffic.failed()
    # while it is ejected it gets a trial now and then, not its share
    assert len(edge.replicas[0].executed()) - executed < 50


def test_writes_without_a_key_are_executed_at_most_once(edge):
    """Whatever happens to the replicas: an answer may be lost, a second execution may not happen."""
    with edgekit.Traffic(edge, 8, "POST", target="/api/detections?{}", body="{}") as traffic:
        traffic.wait_for(200)
        edge.replicas[0].mode("status 500")
        traffic.wait_for(100)
        edge.replicas[1].stop()
        traffic.wait_for(100)
        edge.replicas[2].kill()
        time.sleep(0.2)
        edge.replicas[1].resume()
        edge.replicas[0].mode("ok")
    # each loop numbers its requests, so a target that occurs twice was executed twice
    lines = [line for replica in edge.replicas for line in replica.executed()]
    assert len(lines) == len(set(lines)), "executed twice"
    assert len(lines) > 200


def test_error_of_a_write_is_passed_on_as_it_is(edge):
    for replica in edge.replicas:
        replica.mode("status 500")
    answer = edge.request("POST", "/api/detections", body="{}")
    assert answer.status == 500
    assert answer.json()["replica"].startswith("us-west-2/"), "the replica's own text, not the edge's"
    assert sum(len(replica.executed()) for replica in edge.replicas) == 1


def test_all_replicas_fail_then_another_region_serves(tmp_path):
    with edgekit.Fleet(tmp_path) as fleet:
        edge, other = fleet.edge("us-west-2"), fleet.edge("us-east-1")
        for e in fleet.edges:
            e.publish()
            e.start()
        for replica in edge.replicas:
            replica.mode("status 503")
        answers = [edge.get("/api/detections") for _ in range(30)]
        keyed = edge.request("POST", "/api/detections", body="{}", headers={"Idempotency-Key": "a"})
        assert {answer.status for answer in answers} == {200}
        assert {answer.headers["wildcam-region"] for answer in answers} == {"us-east-1"}
        assert keyed.status == 200
        # once the replicas are ejected, requests go there without a try here
        retries = edge.counters()["retries"]
        assert edge.get("/api/detections").status == 200
        assert edge.counters()["retries"] <= retries + 1
        # and with the replicas killed, writes without a key too: no byte of them was sent
        for replica in edge.replicas:
            replica.kill()
        assert edge.request("POST", "/api/detections", body="{}").headers["wildcam-region"] == "us-east-1"
        assert other.counters()["requests"] >= 32


def test_replicas_that_fail_half_of_their_requests(tmp_path):
    """A grey failure: at first the edge retries within its budget and ejects; then the agent puts the replicas last."""
    with edgekit.Fleet(tmp_path) as fleet:
        edge, other = fleet.edge("us-west-2"), fleet.edge("us-east-1")
        for e in fleet.edges:
            e.publish()
            e.start()
        with edgekit.Traffic(edge) as traffic:
            traffic.wait_for(300)
            for replica in edge.replicas:
                replica.mode("some 500 0.5")
            traffic.wait_for(500)
            alone = len(traffic.failed())
            edge.publish(replicas=[{**replica, "state": "suspect"} for replica in edge.plan()["replicas"]])
            executed = sum(len(replica.executed()) for replica in edge.replicas)
            failed = len(traffic.failed())
            traffic.wait_for(500)
            assert len(traffic.failed()) <= failed + 8, "those that were under way"
        assert alone < 50, "ejection alone keeps most of it from the clients"
        assert sum(len(replica.executed()) for replica in edge.replicas) <= executed + 8
        # without another region they are used all the same: half of the answers are better than none
        edge.publish(replicas=[{**replica, "state": "suspect"} for replica in edge.plan()["replicas"]], forward=[])
        assert {edge.get("/api/detections").status for _ in range(40)} >= {200}
        assert other.counters()["requests"] > 500


def test_four_percent_of_errors_change_nothing(edge):
    """Retries hide them: three tries in a row fail once in 15,000 requests. A replica with three failures in a row is
    ejected for a second, as rarely; nobody stays away."""
    for replica in edge.replicas:
        replica.mode("some 500 0.04")
    with edgekit.Traffic(edge) as traffic:
        traffic.wait_for(1500)
        edgekit.until(lambda: min(len(replica.executed()) for replica in edge.replicas) > 400, "each replica has served 400")
    assert len(traffic.failed()) <= 4, "0.1 expected"


def test_other_gateway_hangs_under_forwarded_traffic(tmp_path):
    """Evacuation covers gateways: three regions, the first has no replicas, the second one falls silent."""
    with edgekit.Fleet(tmp_path) as fleet:
        edge, second, third = (fleet.edge(region, replicas=n) for region, n in
                               (("us-west-2", 0), ("us-east-1", 2), ("westus2", 2)))
        for e in fleet.edges:
            e.publish()
            e.start()
        with edgekit.Traffic(edge, clients=12) as traffic:
            traffic.wait_for(600)
            assert third.counters()["requests"] == 0, "all go to the first of the order"
            for pid in [second.process.pid, *second.workers()]:
                os.kill(pid, signal.SIGSTOP)
            traffic.wait_for(400)
            for pid in [second.process.pid, *second.workers()]:
                os.kill(pid, signal.SIGCONT)
        assert not traffic.failed()
        assert traffic.worst() < WORST_HANG
        assert third.counters()["requests"] > 100


def test_other_gateway_hangs_before_the_first_request(tmp_path):
    """No connection is pooled yet: the connect limit must cover the TLS handshake, since the kernel accepts for a stopped process."""
    with edgekit.Fleet(tmp_path) as fleet:
        edge, second, third = (fleet.edge(region, replicas=n) for region, n in
                               (("us-west-2", 0), ("us-east-1", 1), ("westus2", 1)))
        for e in fleet.edges:
            e.publish()
            e.start()
        stopped = [second.process.pid, *second.workers()]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        get = edge.get("/api/detections")
        post = edge.request("POST", "/api/detections", body="{}")
        seconds = time.monotonic() - started
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        assert get.headers["wildcam-region"] == "westus2"
        assert post.headers["wildcam-region"] == "westus2", "no byte was sent before the handshake ended"
        assert third.counters()["requests"] == 2
        assert seconds < 1.2


def test_gateway_without_a_good_certificate_is_not_used(tmp_path):
    """The second region answers with a certificate of another name: the request goes to the third one."""
    with edgekit.Fleet(tmp_path) as fleet:
        edge, second, third = (fleet.edge(region, replicas=n) for region, n in
                               (("us-west-2", 0), ("us-east-1", 1), ("westus2", 1)))
        fleet.pki.issue("us-east-1/edge", "/O=wildcam/OU=edge/CN=x", "DNS:somebody.else", "serverAuth")
        for e in (edge, third):
            e.publish()
            e.start()
        second.publish()
        second.process = edgekit.subprocess.Popen(["/usr/sbin/nginx", "-p", second.dir / "edge", "-e", second.dir / "log/nginx.log",
                                                   "-c", second.conf], start_new_session=True)
        edgekit.until(lambda: (second.dir / "counters/edge-0").exists(), "the second edge runs")
        answers = [edge.request("POST", "/api/detections", body="{}") for _ in range(5)]
        assert {answer.headers.get("wildcam-region") for answer in answers} == {"westus2"}
        assert second.counters()["requests"] == 0
        assert edge.target("us-east-1")["failure"] >= 1


def test_retry_budget_ends_a_storm(edge):
    """All replicas fail all requests: retries stay a share of requests instead of multiplying the load."""
    edge.publish(pick={"retry_budget_ppm": 100000, "retry_burst": 5, "eject_failures": 1000000})
    for replica in edge.replicas:
        replica.mode("status 500")
    with edgekit.Traffic(edge, clients=4, pause=0) as traffic:
        traffic.wait_for(400)
    counters = edge.counters()
    assert counters["retries"] <= len(traffic.results) * 0.1 + 5 + 1
    assert counters["retries_refused"] > 300
    executed = sum(len(replica.executed()) for replica in edge.replicas)
    assert executed == counters["retries"] + counters["requests"]


def test_requests_leave_a_target_that_the_plan_takes_away(edge):
    """Waiting requests move on as soon as the plan calls their replica down, long before a timeout."""
    edge.replicas[0].mode("wait 4")
    edge.publish(replicas=[edge.plan()["replicas"][0]])
    with edgekit.Traffic(edge, clients=2) as traffic:
        edgekit.until(lambda: edge.target("us-west-2/1")["inflight"] == 2, "both wait")
        edge.publish(replicas=[{**edge.plan()["replicas"][0], "state": "down"}, edge.plan()["replicas"][1]])
        traffic.wait_for(10)
    assert not traffic.failed()
    assert traffic.worst() < 3
    assert edge.counters()["evacuated"] == 2
