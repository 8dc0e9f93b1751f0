# SPDX-License-Identifier: MIT
"""What clients get from an edge: protocols, headers, cache, forwarding, and what strangers do not get."""
import pytest

import edgekit


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with edgekit.Fleet(tmp_path_factory.mktemp("edge")) as fleet:
        for region in ("us-west-2", "us-east-1"):
            fleet.edge(region)
        for edge in fleet.edges:
            edge.publish()
            edge.start()
        yield fleet


@pytest.fixture(scope="module")
def edge(fleet):
    return fleet.edges[0]


def test_serves_from_a_replica(edge):
    answer = edge.get("/api/detections")
    assert answer.status == 200
    assert answer.headers["wildcam-edge"] == "us-west-2"
    assert answer.headers["wildcam-region"] == "us-west-2"
    assert answer.headers["wildcam-replica"] == answer.json()["replica"]
