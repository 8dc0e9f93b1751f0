# SPDX-License-Identifier: MIT
"""The module under valgrind: Debian's nginx loads no sanitized module, so this is what looks for wrong memory accesses in it.
Everything at once: plans that change, replicas that die, hang and fail, forwarding, refused plans, keys, a reload."""
import os
import signal

import edgekit


def test_no_wrong_access(tmp_path):
    with edgekit.Fleet(tmp_path) as fleet:
        edge, other = fleet.edge("us-west-2"), fleet.edge("us-east-1")
        logs = tmp_path / "valgrind"
        logs.mkdir()
        edge.command = ["valgrind", "--error-exitcode=9", f"--log-file={logs}/%p", "--num-callers=30"]
        for e in fleet.edges:
            e.publish()
            e.start()
        with edgekit.Traffic(edge, 4) as reads, edgekit.Traffic(edge, 2, "POST", headers={"Idempotency-Key": "k{}"}, body="{}") as writes:
            reads.wait_for(100)
            edge.replicas[0].stop()
            reads.wait_for(100)
            edge.publish(replicas=[{**edge.plan()["replicas"][0], "state": "down"}, edge.plan()["replicas"][1]])
            edge.replicas[1].mode("status 500")
            reads.wait_for(100)
            edge.replicas[1].kill()
            reads.wait_for(100)
            edge.replicas[0].resume()
            edge.publish()
            edge.plan_file(edge.number + 1).write_bytes(b"broken")
            edgekit.run(edgekit.PLAN_TOOL, "now", edge.dir / "plan", edge.number + 1, 0)
            edge.number += 1
            reads.wait_for(100)
            edge.publish(replicas=[], forward=[])
            reads.wait_for(20)
            edge.publish()
            os.kill(edge.process.pid, signal.SIGHUP)
            reads.wait_for(100)
        assert len(writes.results) > 50
        edge.process.send_signal(signal.SIGQUIT)
        edge.process.wait(30)
        texts = [path.read_text() for path in logs.iterdir()]
    assert len(texts) >= 3, "master and workers"
    for text in texts:
        assert "ERROR SUMMARY: 0 errors" in text, text
