"""Two agents of one host over their limits at once, with room for both: one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.stack.fake_peers import CONTROLLERS
from demo.stack.http import Json
from demo.stack.loopback_hosts import Fleet, Member, running
from demo.stack.processes import wait_until
from demo.stack.responder import Responder, alert

pytestmark = pytest.mark.integration

KILLED_AT = ["never", "after:step:release"]
"""Where the responder is killed: never, or at the end of the first one's restart."""


def host_of(point: str) -> str:
    return f"host-{KILLED_AT.index(point)}"


def agents_of(host: str) -> list[str]:
    return [f"{host}-first", f"{host}-second"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    hosts = [host_of(point) for point in KILLED_AT]
    members = [Member(agent, labels={"host": host}) for host in hosts for agent in agents_of(host)]
    with running(tmp_path_factory.mktemp("two"), members) as fleet:
        yield fleet


def restarted(responder: Responder, host: str, agent: str) -> Json:
    """Return the agent's one request once it has its word."""
    path = f"/api/v1/restarts?host={host}&agent={agent}"

    def look() -> Json:
        found = responder.get(path)["restarts"]
        return found[0] if found and found[0]["outcome"] else None

    return wait_until(f"the request of {agent} to end", look, timeout_seconds=200)


@pytest.mark.parametrize("point", KILLED_AT)
def test_each_is_restarted_once_and_holds_the_host_until_it_is_back(
    fleet: Fleet, point: str
) -> None:
    host, agents = host_of(point), agents_of(host_of(point))
    fleet.start_agents(agents)
    with fleet.responder(host) as responder:
        responder.start(dies_at=None if point == "never" else point)
        responder.alert_of(*(alert(n, host=host, agent=agent) for n, agent in enumerate(agents)))
        if point != "never":
            responder.wait_dead()
            responder.start()
        requests = [restarted(responder, host, agent) for agent in agents]
        assert [one["outcome"] for one in requests] == ["restarted", "restarted"]
        assert [fleet.starts(agent) for agent in agents] == [2, 2]
        assert responder.state(host) == "connected"
        wait_until("nothing to stay silenced", lambda: not fleet.peers.silenced(host))
    for controller in CONTROLLERS:
        check_held_one_after_the_other(fleet, host, controller)


def check_held_one_after_the_other(fleet: Fleet, host: str, controller: str) -> None:
    """By the controller's own record: drained, taken back, undrained, and then the same again.

    A call that was on its way when the responder was killed comes twice.
    """
    calls = [call for one, call in fleet.peers.of(host) if one == controller and call != "tasks"]
    once = [call for before, call in zip([None, *calls], calls, strict=False) if call != before]
    assert once == ["drain", "reconnect", "undrain"] * 2
