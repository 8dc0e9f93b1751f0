# SPDX-License-Identifier: MIT
"""What the measurements of this folder share: the arguments, a time limit, the table of figures with their goals, loads by pgbench, and
which processes the CPU went to. Servers live below TMPDIR (/dev/shm when that is not set and has room) and end with the command,
whatever ends it; a figure that could not be measured is exit code 1, a goal that is missed is not.

    options = rowsbench.begin(__doc__)
    figures = rowsbench.Figures("apply")
    rowsbench.measure(lambda: ..., options, figures)"""
import argparse
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
TICKS = os.sysconf("SC_CLK_TCK")
# Nothing of the disk, nothing that comes by itself: what is measured is the CPU's work.
SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "8GB", "checkpoint_timeout": "1h", "autovacuum": "off", "wal_retrieve_retry_interval": "10ms",
            "logical_decoding_work_mem": "64MB", "max_connections": "100"}


class NotMeasured(Exception):
    """The reason is for the user; nothing is wrong in this program."""


def begin(doc, *extra):
    """Parses the arguments; `extra` are (name, keywords) of argparse. Afterwards rowskit and its friends can be imported."""
    parser = argparse.ArgumentParser(prog=pathlib.Path(sys.argv[0]).name, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="the build folder")
    parser.add_argument("--quick", action="store_true", help="a look: below 40 s on a quiet machine, larger errors")
    parser.add_argument("--limit", type=float, default=0, metavar="S", help="give up after so many seconds (240)")
    parser.add_argument("--markdown", action="store_true", help="the table as docs/benchmarks.md has it")
    for name, keywords in extra:
        parser.add_argument(name, **keywords)
    options = parser.parse_args()
    build = pathlib.Path(options.build).resolve()
    for program in ("wildcam-rows", "tests/rows/rows-sql"):
        if not (build / program).exists():
            parser.error(f"{build / program} is not there: build it first")
    os.environ["WILDCAM_BUILD"], os.environ["PATH"] = str(build), PATH
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(ROOT / "tests/integration"))
    import rowskit
    if "TMPDIR" in os.environ:
        rowskit.memory_folder = lambda: os.environ["TMPDIR"]
    return options


def _end(number, _frame):
    raise NotMeasured("the time limit: not done" if number == signal.SIGALRM else f"ended by signal {number}")


def measure(work, options, figures, limit=240):
    """Runs work(), then prints the table; the way out of the program."""
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    signal.setitimer(signal.ITIMER_REAL, options.limit or limit)
    begun, code = time.monotonic(), 0
    try:
        work()
    except KeyboardInterrupt:
        code = 130
    except (NotMeasured, AssertionError, OSError, subprocess.SubprocessError) as error:
        code = 1
        print(f"{figures.name}: not measured: {error}", file=sys.stderr)
    except Exception as error:  # a server's word, mostly; the place helps
        code = 1
        where = error.__traceback__
        while where.tb_next is not None and str(ROOT / "bench") in where.tb_next.tb_frame.f_code.co_filename:
            where = where.tb_next
        print(f"{figures.name}: not measured: {type(error).__name__}: {error} (line {where.tb_lineno})", file=sys.stderr)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    say("")
    figures.print(options, time.monotonic() - begun)
    sys.exit(code)


def say(text):
    """Progress: one line on a terminal, one a step elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(f"  {text}", file=sys.stderr, flush=True)


class Figures:
    """One line a figure: what, measured, goal, whether it holds, how it came about."""

    def __init__(self, name):
        self.name, self.lines = name, []

    def add(self, what, value, form="{:,.0f}", least=None, most=None, how=""):
        goal = f">= {form.format(least)}" if least is not None else f"<= {form.format(most)}" if most is not None else ""
        held = "" if not goal else "ok" if (value >= least if least is not None else value <= most) else "missed"
        self.lines.append((what, form.format(value), goal, held, how))

    def hold(self, what, held, yes="yes", no="NO"):
        """Something that must be so, or the figures mean nothing."""
        self.lines.append((what, yes if held else no, yes, "ok" if held else "missed", ""))
        if not held:
            raise NotMeasured(f"{what}: {no}")

    def print(self, options, seconds):
        if options.markdown:
            for what, value, goal, held, how in self.lines:
                print(f"| {what} | {value} | {goal}{' (missed)' if held == 'missed' else ''} | {how} |")
            return
        lines = [(self.name, "measured", "goal", "", "")] + self.lines
        wide = [max(len(line[at]) for line in lines) for at in range(4)]
        for line in lines:
            print(f"{line[0]:{wide[0]}}  {line[1]:>{wide[1]}}  {line[2]:>{wide[2]}}  {line[3]:{wide[3]}}  {line[4]}".rstrip())
        print(f"{'':{wide[0]}}  {seconds:.0f} s in all, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)


class Load:
    """pgbench on one server; `rate` in transactions a second, None: as fast as it goes. As a context it is killed on the way out."""

    def __init__(self, node, script, seconds, clients=4, rate=None, options=()):
        import rowskit
        self.seconds, self.words = seconds, None
        self.process = subprocess.Popen(
            rowskit.unprivileged(rowskit.POSTGRES / "pgbench", "-h", node.sockets, "-U", rowskit.OWNER, "-n", "-M", "prepared", "-c", clients, "-j",
                                 min(2, clients), "-T", max(1, round(seconds)), *(["-R", rate] if rate else []), *options, "-f", script, rowskit.DATABASE),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PGOPTIONS": "-csearch_path=public"})

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def done(self):
        """Transactions that were done; waits for the end. Clients that died of a deadlock would be missing: no measurement."""
        try:
            out, err = self.process.communicate(timeout=self.seconds + 120)
        finally:
            self.process.kill()
        for line in out.splitlines():
            if line.startswith("tps = "):
                self.tps = float(line.split()[2])
            if line.startswith("number of transactions actually"):
                self.n = int(line.split()[-1].split("/")[0])
        if self.process.returncode != 0 or not hasattr(self, "n") or self.n == 0:
            raise NotMeasured(f"pgbench: {err.strip().splitlines()[-1] if err.strip() else out.strip()}")
        return self.n


def loads(nodes, script, seconds, rate=None, clients=2):
    """Loads on all of these nodes at once; the transactions they did together."""
    running = []
    try:
        for node in nodes:
            running.append(Load(node, script, seconds, clients, rate / len(nodes) if rate else None, ("--max-tries", "20")))
        return sum(load.done() for load in running)
    finally:
        for load in running:
            load.__exit__()


def script_of(mesh, name, text):
    path = mesh.folder / f"{name}.sql"
    path.write_text(text + "\n")
    return path


def stat(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu(pid):
    """CPU seconds of one process."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def ended_cpu(node):
    """CPU seconds of all of a server's processes that have ended: what clients cost once they are gone."""
    fields = stat(node.process.pid)
    return (int(fields[13]) + int(fields[14])) / TICKS


def cpu_by_kind(mesh):
    """{kind: CPU seconds so far} of all servers, by what PostgreSQL calls its processes."""
    spent = {"clients": 0, "walsenders": 0, "apply workers": 0}
    for node in mesh.nodes.values():
        spent["clients"] += ended_cpu(node)
        for pid in pathlib.Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split():
            try:
                title = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
                seconds = cpu(pid)
            except OSError:
                continue
            kind = "walsenders" if "walsender" in title else "apply workers" if "replication worker" in title else "clients"
            spent[kind] += seconds
    return spent


def middle(values):
    return statistics.median(values)
