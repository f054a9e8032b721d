"""A person's force goes past a controller that is down, at the drain as at the tasks."""

from __future__ import annotations

import pytest

from demo.stack.fake_peers import Reply
from demo.stack.http import post
from demo.stack.loopback_hosts import Member, running
from demo.stack.processes import wait_until

pytestmark = pytest.mark.integration

DOWN = Reply({"error": "down"}, status=503)
WORK = Reply({"running": [{"id": "7", "name": "migrate"}]})


def test_force_goes_past_a_dead_controller_and_tasks_and_the_record_names_them(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    host = "node-1"
    folder = tmp_path_factory.mktemp("force") / "fleet"
    with running(folder, [Member(host)]) as fleet, fleet.responder("force") as responder:
        fleet.start_agent(host)
        fleet.mark_busy(host)
        fleet.peers.faults.update(
            {
                ("mn-2 drain", host): [DOWN],
                ("mn-2 tasks", host): [DOWN],
                ("mn-1 tasks", host): [WORK],
                ("mn-2 undrain", host): [DOWN, Reply({})],
            }
        )
        responder.start()
        asked = {"host": host, "agent": host, "force": True}
        post(f"{responder.url}/api/v1/restarts", asked)
        ended = responder.finished(host)
        assert ended["outcome"] == "restarted", ended
        past = {
            step: {one["outcome"]: one["reason"] for one in seen["gone_past"]}
            for step, seen in ended["facts"].items()
            if isinstance(seen, dict) and "gone_past" in seen
        }
        assert past.keys() == {"admit", "hold", "verify", "restart"}
        assert "mn-2" in past["hold"]["controller_unreachable"]
        assert "mn-2" in past["verify"]["controller_unreachable"]
        assert past["restart"].keys() == {"busy"}
        assert fleet.starts(host) == 2
        wait_until("the undrain that mn-2 is owed", lambda: not fleet.peers.drained(host))
