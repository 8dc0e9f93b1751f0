# SPDX-License-Identifier: MIT
"""The command line: help, refusals, exit codes, what goes to which stream, every field of --json against docs/cli.md, and
the operator's hand on a running fleet."""
import json
import os
import pty
import re
import shutil
import subprocess
import time

import pytest

import clipage
import fleetkit
from fleetkit import REGIONS, WILDCAM, until

SLOW = 3 if fleetkit.SANITIZED else 1
EVERYWHERE = 2 * SLOW  # seconds for a wish to reach every agent
CLIENT, HOME = "127.100.33.1", "us-east-1"


def run(*args, cwd=None, env=None):
    return subprocess.run([WILDCAM, *map(str, args)], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, cwd=cwd,
                          env={**os.environ, **(env or {})})


def listed_verbs():
    """All verbs; one that has verbs of its own as these: 'rows init'."""
    verbs = re.findall(r"^  (\w+) ", run("help").stdout, re.M)
    own = re.findall(r"^  (\w+) ", run("rows", "--help").stdout, re.M)
    return [verb for verb in verbs if verb != "rows"] + [f"rows {verb}" for verb in own]


VERBS = listed_verbs()


def refused(done, code, *texts):
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    for text in texts:
        assert text in done.stderr, done.stderr
    assert "\033" not in done.stderr


# --- help ---
def test_the_page_has_every_verb():
    assert len(VERBS) >= 12
    assert set(clipage.verbs()) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_goes_to_stdout_and_fits(verb):
    done = run(*verb.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: wildcam ")
    assert max(map(len, done.stdout.splitlines())) <= 80, done.stdout
    if " " not in verb:
        assert run("help", verb).stdout == done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_has_every_option(verb):
    offered = set(re.findall(r"^  --([\w-]+)", run(*verb.split(), "--help").stdout, re.M)) - {"help"}
    told = set(re.findall(r"--([a-z][a-z-]*)", clipage.verbs()[verb]))
    assert offered <= told, "offered but not on the page"
    drills = {"provider", "region"} if verb == "drill" else set()
    assert set(re.findall(r"^\| `--([a-z-]+)", clipage.verbs()[verb], re.M)) | drills <= offered, "on the page but not offered"


def test_help_without_a_verb():
    for args in (["help"], ["--help"]):
        done = run(*args)
        assert (done.returncode, done.stderr) == (0, "")
        assert max(map(len, done.stdout.splitlines())) <= 80
    refused(run(), 2, "usage: wildcam VERB")
    assert run("version").stdout == run("--version").stdout != ""


# --- wrong usage ---
def test_unknown_verbs():
    for verb in ("frobnicate", "--frobnicate", "../wildcam", ""):
        refused(run(verb), 2, f"unknown verb '{verb}'", "HINT: 'wildcam help' lists the verbs")
    refused(run("help", "frobnicate"), 2, "unknown verb 'frobnicate'")


@pytest.mark.parametrize("verb", VERBS)
def test_unknown_options_name_the_allowed_ones(verb):
    refused(run(*verb.split(), "--frobnicate"), 2, "unknown option '--frobnicate'; allowed: ", "--help")


@pytest.mark.parametrize("args, text", [
    (["status", "--dir"], "option '--dir' needs a value"),
    (["status", "--json=yes"], "option '--json' takes no value"),
    (["status", "x"], "too many arguments"),
    (["why"], "option '--client': '' is no IPv4 or IPv6 address"),
    (["why", "--client", "300.1.1.1"], "'300.1.1.1' is no IPv4 or IPv6 address"),
    (["traffic"], "something is missing"),
    (["traffic", "frob"], "unknown action 'frob'; allowed: drain, never, pin, weight, release, reset, list"),
    (["traffic", "drain"], "usage: wildcam traffic drain REGION|CLOUD"),
    (["traffic", "pin", "10.0.0.0/8"], "usage: wildcam traffic pin PREFIX REGION"),
    (["region", "frob"], "unknown action 'frob'; allowed: kill, start, hang, resume, halt, unhalt, restart"),
    (["region", "kill"], "something is missing"),
    (["config"], "something is missing"),
    (["config", "frob"], "unknown action 'frob'; allowed: check, diff, push"),
    (["psql"], "something is missing"),
    (["drill"], "which drill?"),
    (["cameras", "x"], "unexpected argument 'x'"),
    (["version", "x"], "too many arguments"),
])
def test_wrong_usage_is_said(args, text):
    refused(run(*args), 2, text)


# --- no fleet ---
NEED_FLEET = {
    "status": [], "top": ["--once"], "why": ["--client", "10.0.0.1"], "traffic": ["drain", "aws", "--yes"], "region": ["kill", "eastus"],
    "psql": ["eastus"], "cameras": ["--duration", "1s"], "drill": ["region-down", "--region", "eastus"],
}


@pytest.mark.parametrize("verb", NEED_FLEET)
def test_without_a_fleet(verb, tmp_path):
    done = run(verb, *NEED_FLEET[verb], "--dir", tmp_path / "nothing")
    refused(done, 1, str(tmp_path / "nothing"), "HINT: ")
    refused(run(verb, *NEED_FLEET[verb], cwd=tmp_path), 1, str(tmp_path / "run"), "HINT: ")


@pytest.mark.parametrize("verb", NEED_FLEET)
def test_with_a_fleet_that_does_not_run(verb, tmp_path):
    shutil.copy(fleetkit.fleetfile.SHIPPED, tmp_path / "fleet.yaml")
    refused(run(verb, *NEED_FLEET[verb], "--dir", tmp_path), 1, "HINT: ")


def test_down_without_a_fleet_is_no_error(tmp_path):
    done = run("down", "--dir", tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and "no fleet runs" in done.stdout


def test_up_and_config_without_a_file(tmp_path):
    refused(run("up", cwd=tmp_path), 1, "fleet.yaml")
    refused(run("config", "check", cwd=tmp_path), 1, "fleet.yaml")
    refused(run("config", "diff", cwd=tmp_path), 1, "no fleet in", "HINT: ")


# --- JSON against the page ---
def test_units_stand_in_names():
    assert set(clipage.json_parts()) == {"status", "why", "replay", "doctor", "traffic", "config push", "config check", "drill",
                                         "drill all", "drill list", "fault list", "cameras", "region", "sim run", "sim search",
                                         "sim hours"} | {verb for verb in VERBS if verb.startswith("rows ")}
    for part in clipage.json_parts():
        for path, (_, _, unit) in clipage.fields(part).items():
            if unit:
                assert clipage.SUFFIXES[unit] in path.rsplit(".", 1)[-1], f"{part}: {path}"


def test_every_alarm_is_on_the_page():
    header = (clipage.PAGE.parents[1] / "src/agent/alarms.h").read_text()
    names = set(re.findall(r'X\(\w+, "(\w+)",', header)) | {"agents_disagree", "config_differs"}
    assert set(re.findall(r"^\| `(\w+)` \|", clipage.section("Alarms"), re.M)) == names


def test_config_check_json(tmp_path):
    done = run("config", "check", "--json", fleetkit.fleetfile.SHIPPED)
    view = json.loads(done.stdout)
    clipage.check("config check", view)
    assert done.returncode == 0 and view["good"] is True and view["regions"] == 6
    bad = fleetkit.fleetfile.write(tmp_path / "bad.yaml", 0, {"peak_load: 6000": "peak_load: lots"})
    done = run("config", "check", "--json", bad)
    view = json.loads(done.stdout)
    clipage.check("config check", view)
    assert done.returncode == 1 and view["good"] is False and view["regions"] is None
    assert [p["text"] in done.stderr for p in view["problems"] if not p["warning"]] == [True]
    refused(run("config", "diff", "--json"), 2, "belongs to 'config check'")


def test_why_json(fleet):
    fleet.wait_healthy()
    for args in ([], ["--class", "write"], ["--service", "api", "--region", "eastus"]):
        done = fleet.wildcam("why", "--client", CLIENT, "--json", *args)
        assert done.stderr == ""
        why = json.loads(done.stdout)
        clipage.check("why", why)
        assert why["gateway"] == HOME and why["order"] and why["reasons"]


def test_why_refuses_what_the_fleet_does_not_have(fleet):
    for args, text in ((["--service", "mars"], "unknown service 'mars'; allowed: api"),
                       (["--class", "both"], "unknown class 'both'; allowed: read, write"),
                       (["--region", "mars"], "unknown region 'mars'; allowed: us-west-2, us-east-1")):
        refused(fleet.wildcam("why", "--client", CLIENT, *args, check=False), 2, text)


def test_status_json_of_a_silent_region(fleet):
    fleet.wait_healthy()
    answer = json.loads(fleet.wildcam("region", "hang", "us-east1", "--json").stdout)
    clipage.check("region", answer)
    try:
        done = fleet.wildcam("status", "--json", check=False)
        human = fleet.wildcam("status", check=False)
    finally:
        fleet.wildcam("region", "resume", "us-east1")
    assert done.returncode == human.returncode == 3 and done.stderr == human.stderr == ""
    view = json.loads(done.stdout)
    clipage.check("status", view)
    silent = [r for r in view["regions"] if r["region"] == "us-east1"][0]
    assert silent["state"] == "unreachable" and silent["plan"] is None and silent["replicas"]["up"] is None
    assert "unreachable" in human.stdout
    fleet.wildcam("traffic", "reset", "fleet")
    fleet.wait_healthy(90)


def test_status_json_of_an_alarm(fleet):
    fleet.wait_healthy()
    path = fleet.dir / "eastus/fleet.yaml"
    good, log = path.read_text(), fleet.dir / "eastus/log/agent.log"

    def told():
        return log.read_text(errors="replace").count('"alarm raised"')
    before = told()
    try:
        path.write_text("nonsense: [")
        assert fleet.control("signal eastus agent HUP")["ok"]
        until(lambda: told() > before, "the alarm is raised")
    finally:
        path.write_text(good)
    view = fleet.status()
    clipage.check("status", view)
    assert [a["region"] for a in view["alarms"] if a["name"] == "config_rejected"] == ["eastus"]
    assert "alarm  eastus: new configuration refused" in fleet.wildcam("status").stdout
    fleet.wildcam("region", "signal", "eastus", "agent", "HUP")
    until(lambda: "config_rejected" not in [a["name"] for a in fleet.status()["alarms"]], "the alarm is over")


def test_cameras_json(fleet):
    fleet.wait_healthy()
    load = ["--rate", "40", "--connections", "12", "--duration", "1s", "--json"]
    for args in (load, [*load, "--no-verify"], ["--verify", "--json"]):
        done = fleet.wildcam("cameras", *args)
        clipage.check("cameras", json.loads(done.stdout))


def test_region_json_and_refusals(fleet):
    refused(fleet.wildcam("region", "kill", "mars", check=False), 2, "unknown region 'mars'", "HINT: Known: us-west-2")
    refused(fleet.wildcam("region", "signal", "eastus", "agent", "FROB", check=False), 2, "unknown signal", "HINT: Allowed: KILL")
    refused(fleet.wildcam("region", "restart", "eastus", "frob", check=False), 2, "no such program", "HINT: ")
    refused(fleet.wildcam("psql", "mars", check=False), 2, "unknown region 'mars'; allowed: us-west-2")


# --- colour ---
def on_a_terminal(*args, env=None):
    parent, child = pty.openpty()
    with subprocess.Popen([WILDCAM, *map(str, args)], stdin=subprocess.DEVNULL, stdout=child, stderr=child,
                          env={**os.environ, **(env or {})}):
        os.close(child)
        text = b""
        while True:
            try:
                chunk = os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            text += chunk
    os.close(parent)
    return text.decode()


def test_colour_only_on_a_terminal(fleet, tmp_path):
    fleet.wait_healthy()
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    plain = subprocess.run([WILDCAM, "status", "--dir", fleet.dir], capture_output=True, text=True, timeout=60, env=env)
    assert "\033" not in plain.stdout + plain.stderr
    assert "\033[32m" in on_a_terminal("status", "--dir", fleet.dir)
    assert "\033[31m" in on_a_terminal("status", "--dir", tmp_path)
    for args in (["status", "--dir", fleet.dir], ["status", "--dir", tmp_path]):
        assert "\033" not in on_a_terminal(*args, env={"NO_COLOR": "1"})
    assert "\033" not in on_a_terminal("status", "--json", "--dir", fleet.dir)


# --- the operator's hand ---
def gateway(fleet, client=CLIENT, region="us-east1"):
    """What another region's agent than the one that took the wish says."""
    done = fleet.wildcam("why", "--client", client, "--region", region, "--json", check=False)
    return json.loads(done.stdout)["gateway"] if done.returncode == 0 else None


def wishes(fleet):
    return [(i["kind"], i["target"]) for i in fleet.status()["intents"]]


def wish(fleet, *args, yes=True):
    done = fleet.wildcam("traffic", *args, *(["--yes"] if yes else []))
    assert "accepted by us-west-2" in done.stdout, done.stdout
    return done


@pytest.fixture
def calm(fleet):
    """A healthy fleet without wishes, before and after."""
    fleet.wait_healthy()
    assert wishes(fleet) == []
    yield fleet
    for _, target in wishes(fleet):
        fleet.wildcam("traffic", "release", target.split(":", 1)[1])
    fleet.wait_healthy()


def test_drain_and_release(calm):
    assert gateway(calm) == HOME
    refused(calm.wildcam("traffic", "drain", HOME, "--json", check=False), 2, "not done", "HINT: Without a terminal say --yes")
    done = wish(calm, "drain", HOME, "--reason", "new disks")
    assert re.search(r"drain region:us-east-1: \d+ of 12000 requests/s of capacity stay; load now about \d+ requests/s; "
                     r"fullest then: \S+, \d+ %", done.stdout)
    assert re.search(r"^us-east-1 +aws +2000/s +\d+/s +\d+ % +0 % +up +drained$", done.stdout, re.M)
    until(lambda: gateway(calm) not in (None, HOME), "another region's agent obeys", EVERYWHERE)
    human = calm.wildcam("status", check=False)
    assert human.returncode == 3 and re.search(r"^drain +region:us-east-1 +- +- +\w+ +new disks$", human.stdout, re.M)
    view = calm.status()
    clipage.check("status", view)
    assert [g["verdict"] for g in view["gateways"] if g["region"] == HOME] == ["drained"]
    why = calm.wildcam("why", "--client", CLIENT).stdout
    assert f"{HOME} is nearer but not first: drained" in why and f"drain of {HOME} by " in why and "new disks" in why
    wish(calm, "release", HOME, yes=False)
    until(lambda: gateway(calm) == HOME, "another region's agent obeys", EVERYWHERE)
    assert wishes(calm) == []
    assert calm.wildcam("status").returncode == 0


def test_pin(calm):
    client = "198.51.100.7"
    home = gateway(calm, client)
    other = [region for region in REGIONS if region != home][0]
    done = calm.wildcam("traffic", "pin", "198.51.100.0/24", other, "--yes", "--json", "--for", "10m")
    intent = json.loads(done.stdout)
    clipage.check("traffic", intent)
    assert intent["intents"][0]["region"] == other
    assert 500e9 < intent["intents"][0]["expires_ns"] - intent["intents"][0]["created_ns"] <= 600e9
    until(lambda: gateway(calm, client) == other, "another region's agent obeys", EVERYWHERE)
    assert gateway(calm, "198.51.101.7") is not None
    assert f"pinned it to {other}" in calm.wildcam("why", "--client", client).stdout
    assert re.search(rf"^pin +prefix:198\.51\.100\.0/24 +{other} +\d+ min ", calm.wildcam("status").stdout, re.M)
    wish(calm, "release", "198.51.100.0/24", yes=False)
    until(lambda: gateway(calm, client) == home, "another region's agent obeys", EVERYWHERE)


def test_weight(calm):
    def shares():
        return {g["region"]: g["share_ppm"] for g in calm.status()["gateways"]}
    until(lambda: set(shares().values()) == {1000000}, "full shares", 60)
    wish(calm, "weight", "westus2", "25%")
    until(lambda: shares()["westus2"] == 250000, "the share is cut", EVERYWHERE)
    assert re.search(r"^weight +region:westus2 +25\.0 % ", calm.wildcam("status").stdout, re.M)
    clipage.check("status", calm.status())
    wish(calm, "weight", "westus2", "50%")  # replaces
    until(lambda: shares()["westus2"] == 500000, "the newer one counts", EVERYWHERE)
    assert wishes(calm) == [("weight", "region:westus2")]
    listed = calm.wildcam("traffic", "list")
    assert re.search(r"^weight +region:westus2 +50\.0 % ", listed.stdout, re.M)
    clipage.check("traffic", json.loads(calm.wildcam("traffic", "list", "--json").stdout))
    wish(calm, "release", "westus2", yes=False)
    until(lambda: shares()["westus2"] == 1000000, "the share is whole", EVERYWHERE)


def test_a_wish_expires_by_itself(calm):
    wish(calm, "drain", HOME, "--for", "2s")
    begun = time.monotonic()
    until(lambda: gateway(calm) not in (None, HOME), "another region's agent obeys", EVERYWHERE)
    until(lambda: gateway(calm) == HOME, "it is over", 2 + EVERYWHERE)
    assert time.monotonic() - begun > 1
    until(lambda: wishes(calm) == [], "nobody shows it any more", EVERYWHERE)


@pytest.mark.parametrize("away", ["us-west-2", "eastus", "us-east1"])
def test_a_wish_is_made_while_a_region_is_away(calm, away):
    """The first one that is asked, one in the middle, the last one. Who was away hears of it when it is back."""
    def own_wishes():
        done = subprocess.run(["curl", "-s", "-m", "1", "--unix-socket", calm.dir / away / "sock/agent.sock", "http://agent/v1/intents"],
                              capture_output=True)
        return [i["target"] for i in json.loads(done.stdout or "{}").get("intents", []) if i["kind"] == "weight"]
    calm.control(f"signal {away} agent STOP")
    try:
        done = calm.wildcam("traffic", "weight", "westus2", "50%", "--reason", "away", "--yes")
        assert "accepted by" in done.stdout and "PLAN AFTER" in done.stdout
        assert wishes(calm) == [("weight", "region:westus2")]
        assert "away" in calm.wildcam("traffic", "list").stdout
    finally:
        calm.control(f"signal {away} agent CONT")
    until(lambda: own_wishes() == ["region:westus2"], "it has heard of it", 10 * SLOW)
    calm.wildcam("traffic", "release", "westus2")


def test_reset_and_a_release_of_nothing(calm):
    wish(calm, "reset", "fleet", yes=False)
    assert wishes(calm) == []  # an event, not a state
    assert calm.wildcam("traffic", "list").stdout == "no wish is in force\n"
    done = wish(calm, "release", "gcp", yes=False)
    assert "note: no wish is in force for 'cloud:gcp'" in done.stderr


@pytest.mark.parametrize("args, text", [
    (["drain", "mars"], "wrong target 'mars'; allowed: us-west-2, us-east-1, westus2, eastus, us-west1, us-east1, aws, azure, gcp"),
    (["drain", "fleet"], "wrong target 'fleet'; allowed: us-west-2"),
    (["never", "10.0.0.0/8"], "wrong target '10.0.0.0/8'; allowed: us-west-2"),
    (["weight", "aws", "50%"], "wrong target 'aws'; allowed: us-west-2, us-east-1, westus2, eastus, us-west1, us-east1\n"),
    (["weight", "eastus", "150%"], "'150%' is no share; allowed: 0% to 100%"),
    (["pin", "eastus", "eastus"], "wrong target 'eastus'; allowed: a prefix like 10.0.0.0/8"),
    (["pin", "10.0.0.1/8", "eastus"], "wrong target '10.0.0.1/8'"),
    (["pin", "10.0.0.0/8", "mars"], "wrong target 'mars'; allowed: us-west-2"),
    (["reset", "eastus"], "wrong target 'eastus'; allowed: fleet"),
    (["release", "mars"], "wrong target 'mars'; allowed: a prefix like 10.0.0.0/8, fleet, us-west-2"),
    (["drain", "eastus", "--for", "5"], "option '--for': '5' is no duration of 1s or more"),
    (["drain", "eastus", "--for", "10ms"], "option '--for': '10ms' is no duration of 1s or more"),
    (["drain", "eastus", "--for", "400d"], "expires_s"),
    (["drain", "eastus", "--reason", b"\xff".decode(errors="surrogateescape")], "option '--reason' is not UTF-8"),
])
def test_wrong_wishes_are_refused(fleet, args, text):
    done = fleet.wildcam("traffic", *args, "--yes", "--json", check=False)
    refused(done, 2, text)
    assert wishes(fleet) == []


def test_what_leaves_no_capacity_is_refused(calm):
    wish(calm, "never", "aws")
    wish(calm, "drain", "azure")
    until(lambda: [g["verdict"] for g in calm.status()["gateways"]] == ["never"] * 2 + ["drained"] * 2 + ["up"] * 2, "both are in force",
          EVERYWHERE)
    for kind in ("drain", "never"):
        refused(calm.wildcam("traffic", kind, "gcp", "--yes", "--json", check=False), 3,
                f"{kind} cloud:gcp: 0 of 12000 requests/s of capacity stay", "no region for read and write", "HINT: --force")
    assert calm.wildcam("traffic", "weight", "us-west1", "0%", "--yes").returncode == 0
    until(lambda: [g["share_ppm"] for g in calm.status()["gateways"] if g["region"] == "us-west1"] == [0], "in force", EVERYWHERE)
    refused(calm.wildcam("traffic", "weight", "us-east1", "0%", "--yes", "--json", check=False), 3, "no region for read and write")
    # Another wish for the same target replaces the one in force, so it counts by itself.
    assert "2000 of 12000" in calm.wildcam("traffic", "drain", "us-west1", "--yes").stdout
    forced = wish(calm, "drain", "gcp", "--force")
    assert "0 of 12000" in forced.stdout
    until(lambda: calm.status()["gateways"][5]["verdict"] == "drained", "in force", EVERYWHERE)
    assert calm.get("us-east1", "/api/detections").status == 200  # the last resort
