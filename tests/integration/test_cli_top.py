# SPDX-License-Identifier: MIT
"""`wildcam top` in a real terminal (a pseudo one): it draws, obeys keys and size, never waits for a dead agent, and gives the
terminal back on every way out."""
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import pytest

from fleetkit import REGIONS, WILDCAM, until

ENTER, LEAVE = b"\033[?1049h", b"\033[?1049l"


class Screen:
    def __init__(self, fleet, rows=24, columns=80):
        self.outer, self.inner = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.inner)
        self.seen = b""
        self.process = subprocess.Popen([WILDCAM, "top", "--dir", fleet.dir], stdin=self.inner, stdout=self.inner,
                                        stderr=subprocess.PIPE, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.set_blocking(self.outer, False)

    def resize(self, rows, columns):
        fcntl.ioctl(self.outer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        try:
            self.seen += os.read(self.outer, 65536)
        except (BlockingIOError, OSError):
            pass
        return self.seen

    def frame(self):
        """The newest whole frame without colours."""
        frames = re.findall(rb"\033\[H(.*?)\033\[J", self.read(), re.S)
        return re.sub(rb"\033\[[0-9;]*[mK]", b"", frames[-1]).decode() if frames else ""

    def shows(self, text, deadline=10):
        until(lambda: text in self.frame(), f"the screen shows {text!r}", deadline)

    def press(self, keys):
        os.write(self.outer, keys)

    def ends(self, deadline=2.0):
        begun = time.monotonic()
        until(lambda: (self.read(), self.process.poll())[1] is not None, "top ends", deadline)
        self.read()
        return time.monotonic() - begun

    def assert_given_back(self):
        assert self.seen.rindex(LEAVE) > self.seen.rindex(ENTER) and self.seen.count(LEAVE) == self.seen.count(ENTER)
        assert termios.tcgetattr(self.inner) == self.before

    def close(self):
        self.process.kill()
        self.process.communicate()
        os.close(self.outer)
        os.close(self.inner)


@pytest.fixture
def screen(fleet):
    fleet.wait_healthy(90)
    made = Screen(fleet)
    yield made
    made.close()


def test_keys_and_sizes(fleet, screen):
    screen.shows("6 of 6 up")
    assert ENTER in screen.seen and termios.tcgetattr(screen.inner)[3] & termios.ECHO == 0
    frame = screen.frame()
    assert all(region in frame for region in REGIONS) and ">us-west-2" in frame
    assert max(map(len, frame.split("\r\n"))) <= 80 and len(frame.split("\r\n")) <= 24
    screen.press(b"\033[B")
    screen.shows(">us-east-1", 2)
    screen.press(b"j")
    screen.shows(">westus2", 2)
    screen.shows("decisions of westus2", 3)
    screen.press(b"k\033[A")
    screen.shows(">us-west-2", 2)
    screen.press(b"s")
    screen.shows("sort: requests", 2)
    screen.resize(10, 40)
    until(lambda: "CLASSES" not in screen.frame() and max(map(len, screen.frame().split("\r\n"))) <= 40, "the frame is smaller", 3)
    assert len(screen.frame().split("\r\n")) <= 10 and "us-east1" in screen.frame()
    screen.press(b"q")
    screen.ends()
    assert screen.process.returncode == 0
    screen.assert_given_back()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGABRT])
def test_signals_give_the_terminal_back(screen, number):
    screen.shows("6 of 6 up")
    screen.process.send_signal(number)
    screen.ends()
    assert screen.process.returncode == (0 if number != signal.SIGABRT else -number)
    screen.assert_given_back()


def test_a_stopped_one_comes_back(screen):
    screen.shows("6 of 6 up")
    screen.process.send_signal(signal.SIGTSTP)
    until(lambda: screen.read().count(LEAVE) == 1, "the terminal is free", 3)
    assert termios.tcgetattr(screen.inner) == screen.before
    screen.process.send_signal(signal.SIGCONT)
    until(lambda: screen.read().count(ENTER) == 2, "it is back", 3)
    screen.press(b"q")
    screen.ends()
    screen.assert_given_back()


def test_a_hung_agent_keeps_nobody_waiting(fleet, screen):
    screen.shows("6 of 6 up")
    fleet.control("signal eastus agent STOP")
    try:
        screen.shows("(silent)", 5)
        screen.press(b"s")
        screen.shows("sort: requests", 1)
        once = fleet.wildcam("top", "--once", timeout=10)
        assert "(silent)" in once.stdout and "us-east1" in once.stdout
        screen.press(b"q")
        assert screen.ends() < 1
        screen.assert_given_back()
    finally:
        fleet.control("signal eastus agent CONT")
    fleet.wait_healthy(90)


def test_without_a_terminal_it_is_plain_text(fleet):
    fleet.wait_healthy(90)
    done = fleet.wildcam("top", "--once", env={"COLUMNS": "100"})
    assert done.stderr == "" and "\033" not in done.stdout and max(map(len, done.stdout.splitlines())) <= 100
    assert "6 of 6 up" in done.stdout and re.search(r"^ us-west-2 .* \d+ ", done.stdout, re.M)
    process = subprocess.Popen([WILDCAM, "top", "--dir", fleet.dir], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    frames = 0
    for line in process.stdout:
        frames += line.startswith("wildcam ")
        if frames == 3:
            break
    process.terminate()
    assert process.wait(timeout=5) == 0 and "\033" not in process.stdout.read()


def test_without_a_fleet(tmp_path):
    done = subprocess.run([WILDCAM, "top", "--once", "--dir", tmp_path], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "no fleet in" in done.stderr
