"""The limit stands in the rules alone, and Prometheus refuses the connection: nothing is done."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from demo.stack.loopback_hosts import Member, running

pytestmark = pytest.mark.integration

HOST = "node-1"


def test_prometheus_that_is_down_refuses_the_restart_and_says_so(tmp_path: Path) -> None:
    with (
        socket.socket() as closed,
        running(tmp_path, [Member(HOST, limit_from_prometheus=True)]) as fleet,
    ):
        closed.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        fleet.start_agent(HOST)
        with fleet.responder("only", prometheus={"url": url, "timeout": "1s"}) as responder:
            responder.start()
            responder.alert(HOST)
            request = responder.finished(HOST)
            assert request["outcome"] == "facts_unavailable"
            assert "refused" in request["reason"]
            assert responder.state(HOST) == "connected"
        assert fleet.starts(HOST) == 1
        assert fleet.peers.drained(HOST) == set()
