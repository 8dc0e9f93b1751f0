#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""edge_replica.py SOCKET NAME FOLDER: a stand-in for a backend, for tests of the edge. Says what it got.

FOLDER/mode says how to behave (read for every request): "ok"; "status 503"; "some 500 0.5": that share of them; "wait 0.05" seconds before the answer;
"close" without an answer. FOLDER/log gets a line for every request that was executed: method, target, Idempotency-Key."""
import asyncio
import json
import os
import pathlib
import random
import sys


class Replica:
    def __init__(self, name, folder):
        self.name = name
        self.mode = folder / "mode"
        self.log = open(folder / "log", "a", buffering=1)

    async def read_request(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = [line.partition(": ")[::2] for line in lines[1:] if line]
        by_name = {name.lower(): value for name, value in headers}
        body = await reader.readexactly(int(by_name.get("content-length", 0)))
        return method, target, headers, by_name, body

    async def serve(self, reader, writer):
        try:
            while True:
                method, target, headers, by_name, body = await self.read_request(reader)
                try:
                    mode = self.mode.read_text().split()
                except FileNotFoundError:
                    mode = ["ok"]
                if mode[0] == "close":
                    return
                if mode[0] == "wait":
                    await asyncio.sleep(float(mode[1]))
                self.log.write(f"{method} {target} {by_name.get('idempotency-key', '-')}\n")
                bad = mode[0] == "status" or (mode[0] == "some" and random.random() < float(mode[2]))
                status = int(mode[1]) if bad else 200
                answer = json.dumps({"replica": self.name, "method": method, "target": target, "headers": headers,
                                     "body": body.decode("latin-1")}).encode()
                extra = "".join(f"{line}\r\n" for line in self.extra_headers(target))
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nWildcam-Replica: {self.name}\r\n"
                             f"{extra}Content-Length: {len(answer)}\r\n\r\n".encode() + (b"" if method == "HEAD" else answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @staticmethod
    def extra_headers(target):
        if "cacheable" in target:
            return ["Cache-Control: public, max-age=60"]
        if "private" in target:
            return ["Cache-Control: private, max-age=60"]
        return ["Set-Cookie: a=b"] if "cookie" in target else []


async def main():
    path, name, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    if os.path.exists(path):
        os.unlink(path)
    replica = Replica(name, folder)
    server = await asyncio.start_unix_server(replica.serve, path, backlog=1024)
    (folder / "ready").write_text("")
    await server.serve_forever()


asyncio.run(main())
