# SPDX-License-Identifier: MIT
"""libpq by ctypes, as much as the tests of the databases need: sessions that stay open, values as text, statements that are sent
and waited for later. The driver packages of Python are no dependency of this project, libpq is.

    session = rowspq.connect("host=/tmp/x dbname=wildcam user=wildcam")
    session.rows("SELECT id, name FROM items")      # [("1", "x"), ("2", None)]
    session.send("UPDATE ..."); session.finish()     # finish gives the rows or raises what the server said
"""
import ctypes
import ctypes.util
import select
import time

lib = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
for name, result, arguments in [
        ("PQconnectdb", "p", "s"), ("PQstatus", "i", "p"), ("PQerrorMessage", "s", "p"), ("PQfinish", "v", "p"), ("PQexec", "p", "ps"),
        ("PQresultStatus", "i", "p"), ("PQresultErrorMessage", "s", "p"), ("PQresultErrorField", "s", "pi"), ("PQntuples", "i", "p"),
        ("PQnfields", "i", "p"), ("PQgetvalue", "s", "pii"), ("PQgetisnull", "i", "pii"), ("PQclear", "v", "p"), ("PQsendQuery", "i", "ps"),
        ("PQgetResult", "p", "p"), ("PQisBusy", "i", "p"), ("PQconsumeInput", "i", "p"), ("PQsocket", "i", "p"), ("PQputCopyData", "i", "psi"),
        ("PQputCopyEnd", "i", "ps"), ("PQbackendPID", "i", "p"), ("PQcmdTuples", "s", "p"), ("PQsetNoticeProcessor", "v", "ppp")]:
    kinds = {"p": ctypes.c_void_p, "s": ctypes.c_char_p, "i": ctypes.c_int, "v": None}
    function = getattr(lib, name)
    function.restype, function.argtypes = kinds[result], [kinds[a] for a in arguments]

SILENT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)(lambda context, text: None)
OK, GOOD = 0, {0, 1, 2}  # CONNECTION_OK; empty query, command, tuples
COPY_IN, SQLSTATE = 4, ord("C")


class Failed(Exception):
    """What the server said. `state` is the SQLSTATE, "" when the connection was lost."""

    def __init__(self, text, state=""):
        super().__init__(text.strip())
        self.state = state


def quoted(value):
    """A value as an SQL literal."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def connect(conninfo):
    return Session(conninfo)


class Session:
    def __init__(self, conninfo):
        self.handle = lib.PQconnectdb(conninfo.encode())
        if lib.PQstatus(self.handle) != OK:
            text = lib.PQerrorMessage(self.handle).decode(errors="replace")
            self.close()
            raise Failed(text)
        lib.PQsetNoticeProcessor(self.handle, ctypes.cast(SILENT, ctypes.c_void_p), None)
        self.pid = lib.PQbackendPID(self.handle)

    def close(self):
        if self.handle:
            lib.PQfinish(self.handle)
            self.handle = None

    def _take(self, result):
        """Rows of a result, which is freed."""
        if not result:
            raise Failed(lib.PQerrorMessage(self.handle).decode(errors="replace"))
        try:
            if lib.PQresultStatus(result) not in GOOD:
                state = lib.PQresultErrorField(result, SQLSTATE) or b""
                raise Failed(lib.PQresultErrorMessage(result).decode(errors="replace"), state.decode())
            self.touched = int(lib.PQcmdTuples(result) or 0)
            fields = range(lib.PQnfields(result))
            return [tuple(None if lib.PQgetisnull(result, i, k) else lib.PQgetvalue(result, i, k).decode() for k in fields)
                    for i in range(lib.PQntuples(result))]
        finally:
            lib.PQclear(result)

    def rows(self, text, deadline=60):
        """Never inside libpq while the server works: a signal must reach Python, and a statement that hangs must be named."""
        self.send(text)
        end = time.monotonic() + deadline
        while self.busy(0.2):
            if time.monotonic() > end:
                raise AssertionError(f"not within {deadline} s: {text[:300]}")
        return self.finish()

    def value(self, text):
        rows = self.rows(text)
        return rows[0][0] if rows else None

    def run(self, text):
        """Runs and forgets rows; how many were touched by the last statement."""
        self.rows(text)
        return self.touched

    def copy(self, text, data):
        result = lib.PQexec(self.handle, text.encode())
        status = lib.PQresultStatus(result)
        if status != COPY_IN:
            self._take(result)
            raise AssertionError(f"no COPY FROM STDIN: {text}")
        lib.PQclear(result)
        encoded = data.encode()
        lib.PQputCopyData(self.handle, encoded, len(encoded))
        lib.PQputCopyEnd(self.handle, None)
        return self.finish()

    def send(self, text):
        if not lib.PQsendQuery(self.handle, text.encode()):
            raise Failed(lib.PQerrorMessage(self.handle).decode(errors="replace"))

    def busy(self, wait=0):
        """A sent statement has not ended yet, `wait` seconds from now."""
        while lib.PQisBusy(self.handle):
            if not select.select([lib.PQsocket(self.handle)], [], [], wait)[0]:
                return True
            if not lib.PQconsumeInput(self.handle):
                return False
        return False

    def finish(self):
        """Waits for the sent statement: the rows of its last part, or the first failure."""
        rows, failed = [], None
        while True:
            result = lib.PQgetResult(self.handle)
            if not result:
                break
            try:
                rows = self._take(result)
            except Failed as error:
                failed = failed or error
                if not error.state:
                    break
        if failed:
            raise failed
        return rows
