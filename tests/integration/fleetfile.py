# SPDX-License-Identifier: MIT
"""Fleet files for tests: the shipped fleet.yaml with other addresses, so that several fleets can run
side by side on one machine. Region r of cloud c gets 127.(10 * block + c).r.1 instead of 127.c.r.1; the
clouds keep a /16 each, as partitions need it. Text is replaced, nothing else: what is tested is the
shipped file.

    with fleetfile.claimed_block() as block:
        path = fleetfile.write(tmp_path / "fleet.yaml", block, replace={"failures: 3": "failures: 5"})
        fleetfile.address(block, "us-east-1")        # "127.11.2.1"
"""
import contextlib
import fcntl
import pathlib
import re
import socket
import tempfile

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "fleet.yaml"
BLOCKS = [b for b in range(1, 25) if b != 10]  # block 10 would give 127.100, the drills' clients
PORTS = (8443, 8480, 8444, 5300, 5432)
REGIONS = {
    "us-west-2": (1, 1), "us-east-1": (1, 2),
    "westus2": (2, 1), "eastus": (2, 2),
    "us-west1": (3, 1), "us-east1": (3, 2),
}


def address(block, region):
    """Address of a region's edge; block 0 is the shipped file's own."""
    cloud, number = REGIONS[region]
    return f"127.{10 * block + cloud}.{number}.1"


def text(block, replace=None, port_offset=0):
    """The fleet file's text. Each key of `replace` must occur in the shipped file."""
    result = SHIPPED.read_text()
    for old, new in (replace or {}).items():
        if old not in result:
            raise ValueError(f"'{old}' is not in {SHIPPED}")
        result = result.replace(old, new)
    result, n = re.subn(r"\b127\.([1-3])\.([12])\.1\b",
                        lambda m: f"127.{10 * block + int(m[1])}.{m[2]}.1", result)
    if n < len(REGIONS):
        raise ValueError("the shipped file has other addresses than expected")
    if port_offset:
        result = re.sub(r"\b(https|http|peer|dns|database_port): (\d+)",
                        lambda m: f"{m[1]}: {int(m[2]) + port_offset}", result)
    return result


def write(path, block, replace=None, port_offset=0):
    path = pathlib.Path(path)
    path.write_text(text(block, replace, port_offset))
    return path


def is_free(block, port_offset=0):
    for region in REGIONS:
        for port in PORTS:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address(block, region), port + port_offset))
                except OSError:
                    return False
    return True


@contextlib.contextmanager
def claimed_block():
    """A block that no other test of this machine uses, held by a file lock until the end."""
    for block in BLOCKS:
        path = pathlib.Path(tempfile.gettempdir()) / f"wildcam-test-block-{block}.lock"
        try:
            lock = open(path, "w")
        except PermissionError:  # of another user
            continue
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if is_free(block):
                yield block
                return
    raise RuntimeError("no free block of addresses for a test fleet")
