# SPDX-License-Identifier: MIT
"""Six agents behind six real edges (nginx with mutual TLS) and stand-in replicas: reports, verdicts, plans on disk, intents,
reload, faults of files, clocks and certificates. No supervisor and no database are needed."""
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time

import pytest

import edgekit
import fleetfile
import fleetkit
from edgekit import BUILD

REGIONS = list(fleetfile.REGIONS)
PATIENCE = 60  # a busy machine proves nothing; only what never happens fails
PRELOAD = BUILD / "tests/integration/libwrongclock.so"


def until(condition, what, deadline=PATIENCE):
    return edgekit.until(condition, what, deadline)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class ReplicaHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        classes = self.server.classes
        status = 200
        body = json.dumps({"status": "ok", "classes": classes, "dependencies": []}).encode()
        if self.path == "/api/health" and not any(classes.values()):
            status = 503
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def handle(self):
        with contextlib.suppress(OSError):  # an impatient client is no error here
            super().handle()


class StandIn(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A replica that answers its health and everything else in this process."""
    daemon_threads = True

    def __init__(self, path):
        pathlib.Path(path).unlink(missing_ok=True)
        self.classes = {"read": True, "write": True}
        super().__init__(str(path), ReplicaHandler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class Agent:
    def __init__(self, planet, edge, fleet_file=None):
        self.planet, self.edge, self.region = planet, edge, edge.region
        self.fleet_file = pathlib.Path(fleet_file or planet.fleet.file)
        self.log_path = edge.dir / "log/agent.log"
        self.process = None

    def start(self, environment=None):
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(
                [BUILD / "wildcam-agent", "--fleet", self.fleet_file, "--dir", self.planet.fleet.dir, "--region", self.region],
                stderr=log, env={**os.environ, **(environment or {})})
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                return self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                return "hung"
        return self.process.returncode if self.process else None

    def restart(self, environment=None):
        self.stop()
        return self.start(environment)

    def request(self, method, target, body=None, headers=None):
        connection = UnixConnection(self.edge.sockets / "agent.sock")
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            connection.request(method, target, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def get(self, target):
        status, body = self.request("GET", target)
        assert status == 200, (target, status, body)
        return json.loads(body)

    def status(self):
        return self.get("/v1/status")

    def metrics(self):
        status, body = self.request("GET", "/metrics")
        assert status == 200
        return body.decode()

    def metric(self, name, **labels):
        for line in self.metrics().splitlines():
            if line.split("{")[0] == name and all(f'{key}="{value}"' in line for key, value in labels.items()):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no metric {name} {labels}")

    def is_ready(self):
        assert self.process.poll() is None, f"{self.region} ended: {self.log_path.read_text()[-2000:]}"
        with contextlib.suppress(OSError):
            return self.request("GET", "/v1/ready")[0] == 200
        return False

    def verdict(self, region):
        return next(g["verdict"] for g in self.status()["gateways"] if g["region"] == region)

    def alarms(self):
        return {alarm["name"]: alarm["text"] for alarm in self.status()["alarms"]}

    def wish(self, **intent):
        return self.request("POST", "/v1/intents", intent)

    def plan_now(self):
        return (self.edge.dir / "plan/plan.now").read_bytes()


class Planet:
    def __init__(self, fleet):
        self.fleet = fleet
        self.replicas, self.agents = {}, {}

    def start(self):
        for region in REGIONS:
            edge = self.fleet.edge(region, replicas=0).start()
            self.replicas[region] = [StandIn(edge.sockets / f"backend-{i}.sock") for i in (1, 2)]
        for edge in self.fleet.edges:  # all gateways are there before the first agent looks
            self.agents[edge.region] = Agent(self, edge).start()
        until(lambda: all(a.is_ready() for a in self.agents.values()), "all agents are ready")
        self.settle()

    def settle(self, deadline=2 * PATIENCE):
        """Until every agent sees every gateway up with its full share."""
        def settled():
            for agent in self.agents.values():
                status = agent.status()
                if status["region"]["alone"] or any(
                        g["verdict"] != "up" or g["share_ppm"] != 1000000 or len(g["classes"]) != 2 for g in status["gateways"]):
                    return False
            return True
        until(settled, "the fleet is whole", deadline)

    def others(self, *regions):
        return [agent for region, agent in self.agents.items() if region not in regions]

    def freezes(self):
        """How often any agent's loop stood still: times of a machine that is too busy prove nothing."""
        return sum(agent.metric("wildcam_loop_gaps_total") for agent in self.agents.values())

    def reset_flaps(self):
        """So that the next fault's hold is the first one's."""
        agent = self.agents[REGIONS[0]]
        status, body = agent.wish(kind="reset_flaps", target="fleet", author="test", reason="next test")
        assert status == 201, body

    def close(self):
        for agent in self.agents.values():
            agent.stop()
        for servers in self.replicas.values():
            for server in servers:
                server.close()


@pytest.fixture(scope="module")
def planet(tmp_path_factory):
    # Returns are slow on purpose; here they need not take as long.
    faster = {"up_time: 2s": "up_time: 1s", "hold: 10s": "hold: 2s", "return_step: 5s": "return_step: 1s"}
    with edgekit.Fleet(tmp_path_factory.mktemp("planet"), faster) as fleet:
        planet = Planet(fleet)
        try:
            planet.start()
            yield planet
        finally:
            planet.close()


def signal_edge(edge, number):
    """To nginx's master and workers."""
    os.killpg(edge.process.pid, number)


# --- What is said ---

def test_fleet_agrees(planet):
    until(lambda: len({a.status()["region"]["fleet_digest"] for a in planet.agents.values()}) == 1, "equal facts, equal plans")
    for region, agent in planet.agents.items():
        status = agent.status()
        own = status["region"]
        assert own["region"] == region and own["state"] == "up" and own["replicas"] == {"want": 2, "up": 2}
        assert own["fresh_observers"] == 6 and own["classes"] == ["read", "write"] and own["rpo_ms"] is None
        assert own["plan_age_ms"] < 2000 and own["ports"]["https"] == 8443
        assert status["generation"] == 1
        until(lambda: not agent.alarms(), "no alarm is left")
        assert [g["votes"]["up"] for g in status["gateways"]] == [6] * 6
        assert abs(own["clock_offset_ms"]) < 400


def test_plan_reaches_edge(planet):
    agent = planet.agents["us-west-2"]
    number = agent.status()["region"]["plan"]
    until(lambda: agent.status()["region"]["edge"]["oldest_plan"] == number, "the workers use the newest plan")
    answer = agent.edge.get("/api/detections")
    assert answer.status == 200 and answer.headers["wildcam-region"] == "us-west-2"
    first = agent.plan_now()
    until(lambda: agent.plan_now() != first, "the heartbeat moves")
    names = sorted(p.name for p in (agent.edge.dir / "plan").glob("plan.*"))
    assert len([n for n in names if n != "plan.now"]) <= 4
    plan = agent.get("/v1/plan")
    assert plan["number"] == number and plan["own"] == "us-west-2" and len(plan["routes"]) == 4 * 11


def test_why(planet):
    agent = planet.agents["us-east1"]
    answer = agent.get("/v1/why?client=127.100.1.1&service=api&class=read")
    assert (answer["group"], answer["gateway"]) == ("drill-us-west-2", "us-west-2")
    assert answer["address"] == fleetfile.address(planet.fleet.block, "us-west-2")
    assert answer["backup"]["cloud"] != "aws"
    assert [entry["gateway"] for entry in answer["order"]][0] == "us-west-2" and len(answer["order"]) == 6
    assert any("drill-us-west-2" in reason["text"] for reason in answer["reasons"])
    for query, what in (("", "client"), ("?client=x", "client"), ("?client=1.2.3.4&service=no", "service"),
                        ("?client=1.2.3.4&class=no", "class")):
        status, body = agent.request("GET", "/v1/why" + query)
        assert status == 400 and what in body.decode()


def test_api_of_each_cloud(planet):
    agent = planet.agents["westus2"]
    for cloud in ("aws", "azure", "gcp"):
        assert agent.get(f"/v1/clouds/{cloud}")["verdict"] == "up"
    assert agent.request("GET", "/v1/clouds/none")[0] == 404
    assert agent.request("DELETE", "/v1/status")[0] == 405
    assert agent.request("GET", "/v1/none")[0] == 404
    assert agent.request("GET", "/v1/records?limit=x")[0] == 400
    assert len(agent.get("/v1/records?limit=3")["records"]) == 3


def test_metrics(planet):
    agent = planet.agents["us-west1"]
    text = agent.metrics()
    for name in ("wildcam_gateway_verdict", "wildcam_plan_age_seconds", "wildcam_failovers_total", "wildcam_edge_retries_total",
                 "wildcam_probe_seconds_bucket", "wildcam_peer_refused_total", "http_requests_total"):
        assert re.search(rf"^{name}\{{", text, re.M), name
    assert not re.search(r"^up\b", text, re.M)
    assert agent.metric("wildcam_gateway_verdict", gateway="eastus", region="us-west1", cloud="gcp") == 1
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr


def test_memory(planet):
    def pss():
        rollup = pathlib.Path(f"/proc/{planet.agents['us-west-2'].process.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1])
    if b"__asan_init" in (BUILD / "wildcam-agent").read_bytes():
        pytest.skip("sanitizers need memory of their own")
    until(lambda: pss() <= 6144, f"at most 6 MiB, not {pss()} KiB")  # what the start took goes back


# --- Who may speak ---

def test_reports_need_a_verified_peer(planet):
    agent = planet.agents["us-west-2"]
    before = {reason: agent.metric("wildcam_peer_refused_total", reason=reason) for reason in ("identity", "mismatch", "format")}
    path = "/.well-known/wildcam/report"
    good = agent.request("POST", path, "{}", {"Wildcam-Peer": "gateway:eastus"})
    assert good[0] == 400  # no report
    assert agent.request("POST", path, "{}")[0] == 403
    for peer in ("gateway:nowhere", "gateway:us-west-2", "viewer:eastus", "gateway:", "eastus"):
        assert agent.request("POST", path, "{}", {"Wildcam-Peer": peer})[0] == 403, peer
    # A real report, but under another's name.
    status, report = agent.request("POST", path, "{}", {"Wildcam-Peer": "gateway:eastus"})
    edge = planet.agents["eastus"].edge
    certificate = tuple(str(planet.fleet.dir / f"pki/eastus/peer.{end}") for end in ("pem", "key"))
    other = planet.agents["us-east1"]
    body = json.dumps(sample_report(planet, "us-east1"))
    status, text = agent.request("POST", path, body, {"Wildcam-Peer": "gateway:eastus"})
    assert status == 403 and b"us-east1" in text
    assert agent.request("POST", path, body, {"Wildcam-Peer": "gateway:us-east1"})[0] == 200
    assert agent.request("POST", path, "x" * 70000, {"Wildcam-Peer": "gateway:us-east1"})[0] == 413
    after = {reason: agent.metric("wildcam_peer_refused_total", reason=reason) for reason in before}
    assert after["identity"] == before["identity"] + 6
    assert after["mismatch"] == before["mismatch"] + 1 and after["format"] > before["format"]
    # Through nginx: the public port does not know the path, the inter-region one wants the certificate.
    assert agent.edge.request("POST", path, body).status == 404
    assert agent.edge.request("POST", path, body, port=8444).status in (400, 403)
    wrong = agent.edge.request("POST", path, body, port=8444, certificate=certificate)
    assert wrong.status == 403
    assert other.process.poll() is None and edge.process.poll() is None


def sample_report(planet, region):
    """A report as that region's agent makes it now, taken from its answer to a peer."""
    agent = planet.agents[region]
    peer = planet.agents["westus2"] if region != "westus2" else planet.agents["eastus"]
    own = {"version": 1, "region": peer.region}
    # The answer to any valid report is a report: make a minimal one from what the schema requires.
    minimal = {"version": 1, "region": peer.region, "boot": "00000000000000ff", "sequence": 1, "generation": 1,
               "config_hash": "0" * 16, "plan": "0" * 16, "plan_fleet_digest": "0" * 16, "wall_ns": time.time_ns(),
               "stamp_ns": 1, "echo_boot": "0" * 16, "echo_ns": 0, "echo_held_ns": 0, "capacity_rps": 1, "load_rps": 0,
               "replicas": {"want": 2, "up": 2}, "replicas_want": 2, "replicas_up": 2, "services": [], "intents": [],
               "views": [{"observer": peer.region, "boot": "00000000000000ff", "sequence": 1, "age_ns": 0, "sick": False,
                          "alone": True, "votes": []}]}
    status, body = agent.request("POST", "/.well-known/wildcam/report", minimal, {"Wildcam-Peer": f"gateway:{peer.region}"})
    assert status == 200, (status, body, own)
    report = json.loads(body)
    assert report["region"] == region
    return report


def test_roles(planet):
    agent = planet.agents["us-west-2"]
    wish = json.dumps({"kind": "reset_flaps", "target": "fleet"})
    for peer, read, write in (("viewer:ann", 200, 403), ("operator:ben", 200, 201), ("admin:eve", 200, 201),
                              ("gateway:eastus", 403, 403), ("", 403, 403), ("root", 403, 403)):
        assert agent.request("GET", "/v1/status", headers={"Wildcam-Peer": peer})[0] == read, peer
        status, body = agent.request("POST", "/v1/intents", wish, {"Wildcam-Peer": peer})
        assert status == write, (peer, body)
    assert json.loads(agent.request("POST", "/v1/intents", wish, {"Wildcam-Peer": "operator:ben"})[1])["intents"][0]["author"] == "ben"


# --- Faults of gateways ---

def test_killed_gateway(planet):
    planet.reset_flaps()
    victim, freezes = planet.agents["us-east-1"].edge, planet.freezes()
    started = time.monotonic()
    signal_edge(victim, signal.SIGKILL)
    victim.process.wait()
    took = {}
    try:
        def all_hold():
            for agent in planet.others():
                if agent.region not in took and agent.verdict("us-east-1") == "down":
                    took[agent.region] = time.monotonic() - started
            return len(took) == len(REGIONS)
        until(all_hold, "every agent holds the killed gateway")
        print("held after", {region: f"{seconds:.2f}" for region, seconds in took.items()})
        assert max(took.values()) < 2 or planet.freezes() > freezes  # 1 s is the promise
        agent = planet.agents["us-west-2"]
        answer = agent.get("/v1/why?client=127.100.40.1")
        assert answer["group"] == "drill-us-east-1" and answer["gateway"] != "us-east-1"
        assert answer["order"][-1]["gateway"] == "us-east-1"  # last resort
        reason = next(r for r in answer["reasons"] if r["text"].startswith("us-east-1 is nearer"))
        assert "down" in reason["text"] and reason["at_ms_ago"] < 60000
        assert agent.request("GET", "/v1/clouds/aws")[0] == 200
        assert agent.metric("wildcam_gateway_verdict", gateway="us-east-1") == 0
        assert agent.metric("wildcam_failovers_total") >= 1
    finally:
        victim.start()
    planet.settle()


def test_killed_cloud(planet):
    planet.reset_flaps()
    agent = planet.agents["us-west-2"]
    victims = [planet.agents[region].edge for region in ("us-west1", "us-east1")]
    for victim in victims:
        signal_edge(victim, signal.SIGKILL)
        victim.process.wait()
    try:
        until(lambda: agent.request("GET", "/v1/clouds/gcp")[0] == 503, "the cloud's verdict is down")
        assert agent.get("/v1/clouds/aws")["verdict"] == "up"
    finally:
        for victim in victims:
            victim.start()
    planet.settle()


def test_hung_gateway(planet):
    planet.reset_flaps()
    victim, freezes = planet.agents["eastus"].edge, planet.freezes()
    started = time.monotonic()
    signal_edge(victim, signal.SIGSTOP)
    try:
        until(lambda: all(a.verdict("eastus") == "down" for a in planet.others("eastus")), "every other agent holds it")
        took = time.monotonic() - started
        print(f"held after {took:.2f} s")
        assert took < 4 or planet.freezes() > freezes  # 2.5 s is the promise
    finally:
        signal_edge(victim, signal.SIGCONT)
    planet.settle()


def test_replicas_and_classes(planet):
    agent = planet.agents["westus2"]
    for server in planet.replicas["westus2"]:
        server.classes = {"read": True, "write": False}
    try:
        def read_only(other):
            return next(g["classes"] for g in other.status()["gateways"] if g["region"] == "westus2") == ["read"]
        until(lambda: all(read_only(a) for a in planet.agents.values()), "everybody knows that it reads only")
        answer = planet.agents["us-east1"].get("/v1/why?client=127.100.70.1&class=write")
        assert answer["group"] == "drill-westus2" and answer["gateway"] != "westus2"
        assert planet.agents["us-east1"].get("/v1/why?client=127.100.70.1&class=read")["gateway"] == "westus2"
        assert agent.verdict("westus2") == "up"
    finally:
        for server in planet.replicas["westus2"]:
            server.classes = {"read": True, "write": True}
    planet.settle()


def test_evidence(planet):
    """What the edge counts becomes metrics and the own load."""
    agent = planet.agents["us-west-2"]
    before = agent.metric("wildcam_edge_requests_total")
    with edgekit.Traffic(agent.edge, clients=4, pause=0.02):
        until(lambda: agent.metric("wildcam_edge_requests_total") > before + 20, "the requests are counted")
        def load():
            return next(g["load_rps"] for g in agent.status()["gateways"] if g["region"] == "us-west-2")
        until(lambda: load() > 0, "the own load is known")
    until(lambda: load() == 0, "the load is gone")


# --- Certificates that are wrong ---

def with_files_issuer(planet, agent):
    """Starts the agent so that it leaves certificates alone."""
    own_file = planet.fleet.dir / f"files-{agent.region}.yaml"
    own_file.write_text(planet.fleet.file.read_text().replace("issuer: local", "issuer: files"))
    agent.fleet_file = own_file
    agent.restart()
    until(agent.is_ready, "the agent is back")


def restore_issuer(planet, agent, saved):
    for path, text in saved.items():
        path.write_bytes(text)
    agent.edge.process.send_signal(signal.SIGHUP)
    agent.fleet_file = planet.fleet.file
    agent.restart()
    until(agent.is_ready, "the agent is back")
    planet.settle()


def replace_pair(planet, region, name, usage):
    """An expired pair of our own CA; returns what was there."""
    folder = planet.fleet.dir / "pki" / region
    saved = {folder / f"{name}.{end}": (folder / f"{name}.{end}").read_bytes() for end in ("pem", "key")}
    unit = "gateway" if name == "peer" else "edge"
    made = planet.fleet.pki.issue(f"{region}/expired-{name}", f"/O=wildcam/OU={unit}/CN={region}",
                                  f"DNS:{region}.gateway.{edgekit.DOMAIN}", usage, expired=True)
    for path, source in zip(saved, made):
        path.write_bytes(pathlib.Path(source).read_bytes())
    return saved


def test_expired_gateway_certificate(planet):
    """A gateway that shows an expired certificate is down for everybody: its clients would refuse it too."""
    planet.reset_flaps()
    agent = planet.agents["us-west1"]
    with_files_issuer(planet, agent)
    saved = replace_pair(planet, "us-west1", "edge", "serverAuth")
    try:
        agent.edge.process.send_signal(signal.SIGHUP)
        until(lambda: all(a.verdict("us-west1") == "down" for a in planet.agents.values()), "everybody holds it")
        observer = planet.agents["us-west-2"]
        failure = next(g["probe_failure"] for g in observer.status()["gateways"] if g["region"] == "us-west1")
        assert "certificate has expired" in failure
        assert "certificate has expired" in observer.log_path.read_text()
    finally:
        restore_issuer(planet, agent, saved)


def test_expired_peer_certificate(planet):
    """Its reports are refused and counted; the other direction still brings them across."""
    agent, other = planet.agents["eastus"], planet.agents["us-west-2"]
    with_files_issuer(planet, agent)
    before = other.metric("wildcam_peer_refused_total", reason="certificate")
    failed = agent.metric("wildcam_reports_failed_total", gateway="us-west-2")
    saved = replace_pair(planet, "eastus", "peer", "clientAuth")
    try:
        agent.process.send_signal(signal.SIGHUP)
        until(lambda: agent.metric("wildcam_reports_failed_total", gateway="us-west-2") > failed + 5, "its reports fail")
        until(lambda: other.metric("wildcam_peer_refused_total", reason="certificate") > before, "they are counted")
        end = time.monotonic() + 3  # longer than a vote stays fresh
        until(lambda: time.monotonic() > end and all(a.status()["region"]["fresh_observers"] == 6 for a in planet.agents.values()),
              "everybody still hears everybody")
    finally:
        restore_issuer(planet, agent, saved)


# --- Faults of agents and their files ---

def test_agent_killed(planet):
    agent = planet.agents["us-west1"]
    planet.settle()
    before = agent.status()["region"]["plan"]
    agent.kill()
    # The edge goes on with its last good plan.
    for _ in range(20):
        assert agent.edge.get("/api/detections").status == 200
    heartbeat = agent.plan_now()
    agent.start()
    until(agent.is_ready, "the agent is back")
    assert agent.status()["region"]["plan"] == before  # it stands until the agent knows as much again
    until(lambda: agent.status()["region"]["plan"] > before, "a newer plan")
    assert agent.plan_now() != heartbeat
    planet.settle()


def test_drain(planet):
    agent = planet.agents["us-west1"]
    connection = UnixConnection(agent.edge.sockets / "agent.sock")
    connection.request("GET", "/v1/ready")
    connection.getresponse().read()
    assert agent.stop() == 0
    heartbeat = agent.plan_now()
    connection.close()
    agent.start()
    until(agent.is_ready, "the agent is back")
    until(lambda: agent.plan_now() != heartbeat, "the heartbeat moves")
    planet.settle()


def test_bad_configuration_changes_nothing(planet):
    agent = planet.agents["us-west-2"]
    own_file = planet.fleet.dir / "one.yaml"
    own_file.write_text(planet.fleet.file.read_text())
    agent.fleet_file = own_file
    agent.restart()
    until(agent.is_ready, "the agent is back")
    good = own_file.read_text()
    try:
        own_file.write_text(good.replace("failures: 3", "failures: many"))
        agent.process.send_signal(signal.SIGHUP)
        until(lambda: "config_rejected" in agent.alarms(), "the alarm")
        assert "failures" in agent.alarms()["config_rejected"]
        assert agent.status()["generation"] == 1
        log = agent.log_path.read_text()
        assert re.search(r'one\.yaml:\d+:\d+: .*failures', log)
        # A good one: regions on different generations keep working.
        own_file.write_text(good.replace("generation: 1 ", "generation: 2 "))
        agent.process.send_signal(signal.SIGHUP)
        until(lambda: agent.status()["generation"] == 2, "the new generation")
        assert "config_rejected" not in agent.alarms()
        def told(other):
            gateways = {g["region"]: g for g in other.status()["gateways"]}
            return gateways["us-west-2"]["generation"] == 2 and gateways["eastus"]["generation"] == 1
        until(lambda: all(told(a) for a in planet.others("us-west-2")), "the others know")
        planet.settle()
    finally:
        agent.fleet_file = planet.fleet.file
        agent.restart()
        until(agent.is_ready, "the agent is back")
    planet.settle()


def test_intents_travel_and_stay(planet):
    agent = planet.agents["us-west-2"]
    status, body = agent.wish(kind="drain", target="region:eastus", author="test", reason="maintenance", expires_s=600)
    assert status == 201, body
    try:
        until(lambda: all(a.verdict("eastus") == "drained" for a in planet.agents.values()), "everybody drains it")
        far = planet.agents["us-east1"]
        assert [i["reason"] for i in far.status()["intents"] if i["target"] == "region:eastus"] == ["maintenance"]
        far.kill()
        kept = json.loads((far.edge.dir / "plan/intents.json").read_text())
        assert "maintenance" in json.dumps(kept)
        far.start()
        until(far.is_ready, "the agent is back")
        assert "region:eastus" in [i["target"] for i in far.get("/v1/intents")["intents"] if i["kind"] == "drain"]
    finally:
        planet.agents["westus2"].wish(kind="release", target="region:eastus", author="test", reason="done")
    planet.settle()


def test_intents_are_checked(planet):
    agent = planet.agents["us-west-2"]
    for wish, what in (({"kind": "explode", "target": "fleet"}, "kind"), ({"kind": "drain"}, "target"),
                       ({"kind": "drain", "target": "region:nowhere"}, "nowhere"), ({"kind": "drain", "target": "cloud:none"}, "none"),
                       ({"kind": "pin", "target": "prefix:10.0.0.1/8", "region": "eastus"}, ""),
                       ({"kind": "pin", "target": "prefix:10.0.0.0/8", "region": "nowhere"}, "nowhere"),
                       ({"kind": "weight", "target": "region:eastus", "value_ppm": 2000000}, "value_ppm"),
                       # what peers would refuse, and every report that carries it
                       ({"kind": "weight", "target": "cloud:aws", "value_ppm": 500000}, "does not fit"),
                       ({"kind": "drain", "target": "fleet"}, "does not fit"),
                       ({"kind": "drain", "target": "region:eastus", "expires_s": -5}, "expires_s"),
                       ({"kind": "drain", "target": "region:eastus", "reason": "x" * 5000}, "reason"),
                       ({"kind": "drain", "target": "region:eastus", "reason": "a\x1b[2J"}, "control character 0x1b"),
                       ({"kind": "drain", "target": "region:eastus", "author": "a\nb"}, "control character 0x0a")):
        status, body = agent.wish(**wish)
        assert status == 400 and what in body.decode(), (wish, status, body)
    assert agent.request("POST", "/v1/intents", "no json")[0] == 400
    assert agent.request("POST", "/v1/intents", "x" * 70000)[0] == 413
    assert agent.verdict("eastus") == "up"


def test_pin(planet):
    agent = planet.agents["us-west-2"]
    assert agent.wish(kind="pin", target="prefix:127.100.40.0/24", region="westus2", author="test", reason="a look")[0] == 201
    try:
        far = planet.agents["us-east1"]
        until(lambda: far.get("/v1/why?client=127.100.40.9")["gateway"] == "westus2", "the pin is obeyed")
        reasons = far.get("/v1/why?client=127.100.40.9")["reasons"]
        assert any("pinned it to westus2" in r["text"] and "a look" in r["facts"] for r in reasons)
        assert far.get("/v1/why?client=127.100.41.9")["gateway"] == "us-east-1"
    finally:
        agent.wish(kind="release", target="prefix:127.100.40.0/24", author="test", reason="seen")
    until(lambda: far.get("/v1/why?client=127.100.40.9")["gateway"] == "us-east-1", "the pin is gone")


def test_full_disk(planet):
    """Played by the limit on a file's size: no plan, no recording, no log line can be written any more."""
    agent = planet.agents["us-east1"]
    planet.settle()
    resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    try:
        status = until(lambda: (s := agent.status()["region"])["plan"] == s["plan_newest"] and s, "nothing is being written")
        number = status["plan"]
        assert agent.wish(kind="pin", target="prefix:127.100.50.0/24", region="eastus", author="test", reason="full")[0] == 201
        until(lambda: "plan_not_written" in agent.alarms(), "the alarm")
        until(lambda: "recording_not_written" in agent.alarms(), "the other alarm")
        status = agent.status()["region"]
        assert status["plan"] == number and status["plan_newest"] > number
        until(lambda: agent.status()["region"]["plan_age_ms"] > 1000, "the plan's age rises")
        heartbeat = agent.plan_now()
        assert agent.edge.get("/api/detections").status == 200  # the last good plan serves
        time.sleep(0.6)  # longer than two heartbeats
        assert agent.plan_now() == heartbeat
    finally:
        resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        agent.wish(kind="release", target="prefix:127.100.50.0/24", author="test", reason="space again")
    until(lambda: not agent.alarms(), "the alarms are over")
    until(lambda: agent.status()["region"]["plan"] > number, "the newest plan is on disk")


def test_lost_plan_folder(planet):
    agent = planet.agents["us-east1"]
    agent.stop()
    before = max(p.name for p in (agent.edge.dir / "plan").glob("plan.0*")) if list((agent.edge.dir / "plan").glob("plan.0*")) \
        else max(p.name for p in (agent.edge.dir / "plan").glob("plan.[0-9a-f]*"))
    shutil.rmtree(agent.edge.dir / "plan")
    agent.start()
    until(agent.is_ready, "the agent is back")
    until(lambda: "plan." + agent.status()["region"]["plan"] > before, "numbers rise")
    number = agent.status()["region"]["plan"]
    until(lambda: agent.status()["region"]["edge"]["oldest_plan"] >= number, "the edge takes it")
    assert agent.metric("wildcam_edge_plans_refused_total") == 0
    planet.settle()


def test_garbage_in_counters(planet):
    agent = planet.agents["us-west-2"]
    path = agent.edge.dir / "counters/edge-60"
    path.write_bytes(os.urandom(5000))
    try:
        until(lambda: "evidence" in agent.alarms(), "the alarm")
        assert agent.edge.get("/api/detections").status == 200
        assert agent.verdict("us-west-2") == "up"
    finally:
        path.unlink()
    until(lambda: "evidence" not in agent.alarms(), "the alarm is over")


def test_wrong_clock(planet):
    """One agent's wall clock is 10 minutes ahead: verdicts do not care, its writes are withdrawn, and it says so."""
    agent = planet.agents["westus2"]
    agent.restart({"LD_PRELOAD": fleetkit.preload(PRELOAD, "wildcam-agent"), "WRONG_CLOCK_S": "600"})
    try:
        until(agent.is_ready, "the agent is back")
        until(lambda: "clock_skew" in agent.alarms(), "the alarm")
        assert abs(agent.status()["region"]["clock_offset_ms"]) > 500000
        assert agent.wish(kind="drain", target="region:eastus", author="test", reason="x")[0] == 503
        others = planet.others("westus2")
        until(lambda: all(a.verdict(r) == "up" for a in others for r in REGIONS), "nobody is held")
        classes = [g["classes"] for g in others[0].status()["gateways"] if g["region"] == "westus2"]
        until(lambda: all("write" not in g["classes"] for a in others for g in a.status()["gateways"] if g["region"] == "westus2"),
              f"its class write is gone ({classes})")
        digests = lambda: {a.status()["region"]["fleet_digest"] for a in planet.agents.values()}
        until(lambda: len(digests()) == 1, "the plans agree all the same")
        victim = planet.agents["us-east-1"].edge  # and a verdict is reached as ever
        planet.reset_flaps()
        signal_edge(victim, signal.SIGKILL)
        victim.process.wait()
        until(lambda: all(a.verdict("us-east-1") == "down" for a in planet.agents.values()), "everybody holds it")
        victim.start()
    finally:
        agent.restart()
        until(agent.is_ready, "the agent is back")
    planet.settle()


def test_certificates_are_renewed(planet):
    agent = planet.agents["us-east-1"]
    issued = planet.fleet.dir / "pki/us-east-1/peer.pem"
    before = issued.read_bytes()
    serial = agent.edge.connect().getpeercert()["serialNumber"]
    own_file = planet.fleet.dir / "short.yaml"
    text = planet.fleet.file.read_text()
    lifetime = re.search(r"lifetime: *(\S+)", text)[0]
    renew = re.search(r"renew_before: *(\S+)", text)[0]
    own_file.write_text(text.replace(lifetime, "lifetime: 1h").replace(renew, "renew_before: 59m").replace("generation: 1 ", "generation: 2 "))
    agent.fleet_file = own_file
    agent.restart()
    try:
        until(agent.is_ready, "the agent is back")
        # What is there has a day left; take it away, so that it has to be issued.
        for name in ("peer.pem", "edge.pem"):
            path = planet.fleet.dir / "pki/us-east-1" / name
            if path.exists():
                path.unlink()
        until(lambda: issued.exists() and issued.read_bytes() != before, "a new certificate")
        until(lambda: agent.edge.connect().getpeercert()["serialNumber"] != serial, "nginx serves the new one")
        assert agent.metric("wildcam_certificate_expiry_timestamp_seconds", certificate="peer") < time.time() + 3700
        until(lambda: agent.status()["region"]["fresh_observers"] == 6, "the peers accept it")
    finally:
        agent.fleet_file = planet.fleet.file
        agent.restart()
        until(agent.is_ready, "the agent is back")
    planet.settle()


# --- Recordings ---

def test_recordings_replay(planet):
    """What each core was given since its start makes a fresh core decide the same."""
    for region, agent in planet.agents.items():
        records = agent.edge.dir / "records"
        done = subprocess.run([BUILD / "wildcam", "replay", records, "--json"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (region, done.stdout, done.stderr)
        [result] = json.loads(done.stdout)["regions"]
        assert result["same"] and result["region"] == region
        assert result["events"] > 100 and result["decisions"] > 10 and result["plans"] > 2, (region, result)


# --- Starting ---

def start_alone(planet, *arguments):
    return subprocess.run([BUILD / "wildcam-agent", *arguments], capture_output=True, text=True, timeout=20)


def test_usage(planet):
    done = start_alone(planet, "--help")
    assert done.returncode == 0 and "--region" in done.stdout and max(map(len, done.stdout.splitlines())) <= 80
    assert start_alone(planet).returncode == 2
    done = start_alone(planet, "--colour", "red")
    assert done.returncode == 2 and "colour" in done.stderr
    done = start_alone(planet, "--fleet", planet.fleet.file, "--dir", planet.fleet.dir, "--region", "nowhere")
    assert done.returncode == 1 and "nowhere" in done.stderr
    done = start_alone(planet, "--fleet", "/nowhere.yaml", "--dir", planet.fleet.dir, "--region", "eastus")
    assert done.returncode == 1 and "/nowhere.yaml" in done.stderr


def test_second_agent_is_refused(planet):
    done = start_alone(planet, "--fleet", planet.fleet.file, "--dir", planet.fleet.dir, "--region", "eastus")
    assert done.returncode == 1 and "agent.sock" in done.stderr
    assert planet.agents["eastus"].is_ready()
