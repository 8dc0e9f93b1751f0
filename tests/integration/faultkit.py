# SPDX-License-Identifier: MIT
"""Faults for tests, by the injectors that drills use: `wildcam fault NAME --commands` holds one, and heals it when the test
leaves the block, also when it fails.

    with faultkit.fault(fleet, "cut", "--from", "aws", "--to", "gcp") as held:
        ...                                      # in force
        held.tell("value 20%", "changed")        # of kinds with a value; "end" -> "ended", "begin" -> "in force"
        held.heal()                              # asserts that it heals
"""
import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

from fleetkit import WILDCAM
from waiting import until

root_only = pytest.mark.skipif(os.getuid() != 0, reason="nftables and mounts need root")


class Fault:
    """In force when made."""

    def __init__(self, fleet, name, *options):
        command = [WILDCAM, "fault", name, "--dir", str(fleet.dir), "--commands", *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.expect("in force")

    def expect(self, line):
        got = self.process.stdout.readline().strip()
        assert got == line, f"'{got}' instead of '{line}': {self.process.stderr.read() if not got else ''}"

    def tell(self, command, answer):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        self.expect(answer)

    def heal(self):
        self.process.stdin.close()
        self.expect("healed")
        assert self.process.wait(timeout=60) == 0, self.process.stderr.read()

    def heal_early(self, why):
        """Asks it to heal, and asserts that it says that the fault was over before."""
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 1
        said = self.process.stderr.read()
        assert "did not last until its end: " + why in said and "s after its begin)" in said, said

    def child(self, name):
        return next(pid for pid, found in self.below() if found == name)

    def below(self):
        """(pid, name) of the keeper and what it runs."""
        return children_of(self.process.pid)

    def kill_child(self, name):
        """SIGKILL of one of the keeper's children. Returns when it has ended."""
        kill(self.child(name), name)

    def kill_asker(self):
        """SIGKILL of the one who asked; the keeper heals and ends. Returns when it has ended."""
        below = self.below()
        assert [name for _, name in below].count("wildcam-keeper") == 1
        self.process.kill()
        self.process.wait()
        until(lambda: not any(alive(pid, name) for pid, name in below), "the keeper has healed and ended", 60)

    def kill_keeper(self):
        """SIGKILL of the keeper: what the kernel does not heal stays broken. Its children die with it."""
        below = self.below()
        kill(self.child("wildcam-keeper"), "wildcam-keeper")
        assert self.process.wait(timeout=60) == 1
        until(lambda: not any(alive(pid, name) for pid, name in below), "its children have died", 10)

    def kill_all(self):
        """SIGKILL of the keeper, its children and the one who asked, in this order. Returns when all have ended."""
        below = sorted(self.below(), key=lambda item: item[1] != "wildcam-keeper")
        for pid, _ in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        until(lambda: not any(alive(pid, name) for pid, name in below), "nothing of it is left running", 10)


@contextlib.contextmanager
def fault(fleet, name, *options):
    made = Fault(fleet, name, *options)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.terminate()
            made.process.wait(timeout=90)
        for pipe in (made.process.stdin, made.process.stdout, made.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def children_of(pid):
    """(pid, name) of everything below a process."""
    found, fresh = [], [pid]
    while fresh:
        parent = fresh.pop()
        for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            for child in map(int, task.read_text().split()):
                found.append((child, pathlib.Path(f"/proc/{child}/comm").read_text().strip()))
                fresh.append(child)
    return found


def kill(pid, name):
    """SIGKILL. The kernel ends a process some time after that; this returns when it has."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid, name), f"{name} ({pid}) has ended", 10)


def alive(pid, name):
    """Is this process still there, not a zombie and not another one with its number?"""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return f"({name})" in text and text.rpartition(")")[2].split()[0] not in "ZX"


def tables(keeper=None):
    """nftables tables of faults, of this keeper if given; other tests and fleets may have some."""
    text = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    want = f"wildcam_fault_{keeper}_" if keeper else "wildcam_fault_"
    return [line.split()[-1] for line in text.splitlines() if want in line]


def keeper_of(held):
    return next(pid for pid, name in held.below() if name == "wildcam-keeper")
