# SPDX-License-Identifier: MIT
"""A whole local fleet for tests: `wildcam up --detach` in a folder of its own, and what tests need to look at it.

    fleet = fleetkit.Fleet(folder, block=0)     # block 0: the shipped addresses 127.c.r.1 (fleetfile.py)
    fleet.up()
    fleet.get("us-west-2", "/api/detections").status
    fleet.control("kill us-west-2")
    fleet.wait_healthy()
    fleet.down()
"""
import json
import os
import pathlib
import re
import socket
import subprocess

import fleetfile
from waiting import until

BUILD = pathlib.Path(os.environ.get("WILDCAM_BUILD", "build")).resolve()
WILDCAM = BUILD / "wildcam"
REGIONS = list(fleetfile.REGIONS)
SANITIZED = "san" in BUILD.name  # slower by a factor of about three


def preload(library, program):
    """Value of LD_PRELOAD for a program of ours; a sanitizer's runtime wants to be first."""
    if b"__asan_init" not in (BUILD / program).read_bytes():
        return str(library)
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return f"{runtime.stdout.strip()}:{library}"


# For an `up` that ends with an error after root has lowered itself: the leak check cannot attach to such a process.
LOWERED = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Fleet:
    def __init__(self, folder, block=0, replace=None, prefix=()):
        self.dir = pathlib.Path(folder) / "run"
        self.block = block
        self.prefix = list(prefix)  # command in front of `wildcam`, e.g. to become another user
        self.file = pathlib.Path(folder) / "fleet.yaml"
        self.file.write_text(fleetfile.text(block, replace))
        self.file.chmod(0o644)
        self.ca = self.dir / "pki/ca.pem"

    # --- verbs ---
    def wildcam(self, *args, check=True, timeout=120, env=None, stdin=subprocess.DEVNULL):
        verb, rest = args[0], list(args[1:])
        options = [] if "--dir" in rest else ["--dir", str(self.dir)]
        at = rest.index("--") if "--" in rest else len(rest)
        command = self.prefix + [str(WILDCAM), verb] + rest[:at] + options + rest[at:]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=stdin,
                              env={**os.environ, **(env or {})})
        assert not check or done.returncode == 0, f"{command} -> {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done

    def up(self, env=None):
        return self.wildcam("up", "--fleet", str(self.file), "--detach", env=env, timeout=180)

    def down(self):
        return self.wildcam("down", timeout=60)

    def status(self):
        return json.loads(self.wildcam("status", "--json", check=False).stdout)

    def control(self, command, timeout=20):
        """One command to the supervisor's socket, its answer as a dict."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            folder = os.open(self.dir, os.O_PATH)  # the path may be longer than a socket's may be
            try:
                s.connect(f"/proc/self/fd/{folder}/supervisor.sock")
            finally:
                os.close(folder)
            s.sendall(command.encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                chunk = s.recv(65536)
                assert chunk, "the supervisor closed the connection"
                data += chunk
        return json.loads(data)

    def programs(self, region):
        """name -> {state, pid, restarts, ...} of one region."""
        for item in self.control("status")["regions"]:
            if item["region"] == region:
                return {p["name"]: p for p in item["programs"]}
        raise AssertionError(region)

    def inits(self):
        return {r["region"]: r["init_pid"] for r in self.control("status")["regions"]}

    def healthy(self):
        return self.wildcam("status", check=False).returncode == 0

    def wait_healthy(self, deadline=40):
        until(self.healthy, "all regions are healthy", deadline * (3 if SANITIZED else 1))

    def logs(self, lines=4):
        text = []
        for path in sorted(self.dir.glob("*/log/*.log")) + [self.dir / "supervisor.log"]:
            if path.exists() and path.stat().st_size:
                tail = path.read_text(errors="replace").splitlines()[-lines:]
                text.append(f"-- {path}\n" + "\n".join(tail))
        return "\n".join(text)[-8000:]

    # --- requests ---
    def address(self, region):
        return fleetfile.address(self.block, region)

    def url(self, region, path, port=8443):
        return f"https://{self.address(region)}:{port}{path}"

    def get(self, region, path, *curl, timeout=5, check=True):
        """GET by curl from the region's edge. None when there was no answer (check=False)."""
        done = subprocess.run(["curl", "-s", "-i", "--cacert", str(self.ca), "-m", str(timeout), *curl,
                               self.url(region, path)], capture_output=True, timeout=timeout + 10)
        if done.returncode != 0:
            assert not check, f"curl {region} {path}: {done.returncode}"
            return None
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if ": " in line)}
        return Answer(int(lines[0].split()[1]), headers, body)

    def post_detection(self, region, key, device="cam-test"):
        body = {"device": device, "taken_at": "2026-11-23T12:00:00Z", "species": "lynx", "confidence": 0.9}
        return self.get(region, "/api/detections", "-X", "POST", "-H", "Content-Type: application/json", "-H",
                        f"Idempotency-Key: {key}", "-d", json.dumps(body))

    # --- what is left ---
    def namespaces(self):
        """The PID namespaces of the regions, to look for leftovers after their end."""
        return {os.readlink(f"/proc/{pid}/ns/pid") for pid in self.inits().values() if pid}

    def supervisor(self):
        return int((self.dir / "supervisor.pid").read_text().split()[0])

    def ports_taken(self):
        taken = []
        for region in REGIONS:
            for port in (8443, 8444, 8480, 5432):
                with socket.socket() as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    try:
                        s.bind((self.address(region), port))
                        s.listen(1)
                    except OSError:
                        taken.append((region, port))
        return taken


def processes_in(namespaces):
    """(pid, name) of living processes in these PID namespaces. Zombies hold nothing and wait for their parent."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, state = re.match(r"\d+ \((.*)\) (\w)", (entry / "stat").read_text(), re.S).groups()
                if state != "Z" and os.readlink(entry / "ns/pid") in namespaces:
                    found.append((int(entry.name), name))
            except OSError:
                pass
    return found


def host_pids(namespaces, name):
    return [pid for pid, comm in processes_in(namespaces) if comm == name]
