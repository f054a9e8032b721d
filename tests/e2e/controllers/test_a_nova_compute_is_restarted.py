"""A real nova-compute that leaks: alert, guards, drain, restart over SSH, proof, undrain."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.controllers.openstack import HOST, OTHER_HOST, UNIT, OpenStack
from tests.e2e.controllers.watched_openstack import LIMIT_BYTES, watched
from tests.e2e.hosts.three_hosts import Fleet, now

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
_CHECK = ("/opt/memleash/bin/memleashctl", "controller", "check", "openstack", "--host", HOST)


@pytest.fixture
def fleet(openstack: OpenStack, control_image: str) -> Iterator[Fleet]:
    with watched(openstack, control_image) as fleet:
        yield fleet


def test_it_is_restarted_once_the_migration_is_over_and_every_server_survives(
    fleet: Fleet, openstack: OpenStack
) -> None:
    machine, began = openstack.machine, now()
    stays, moves = openstack.boot("stays"), openstack.boot("moves")
    starts = len(machine.starts(UNIT))
    openstack.hold()
    openstack.migrate_live(moves)

    machine.container.write("/run/leak", "20")
    resident = f'memleash_agent_resident_memory_bytes{{host="{HOST}"}}'
    fleet.until("it to leak", lambda: fleet.query(f"{resident} > {LIMIT_BYTES}"))
    machine.run("rm", "/run/leak")
    fleet.until("the refusal", lambda: "tasks_running" in fleet.outcomes(HOST, began))
    refused = next(one for one in fleet.restarts(HOST, began) if one["outcome"] == "tasks_running")
    assert "migrating moves" in refused["reason"]
    assert len(machine.starts(UNIT)) == starts

    openstack.let_go()
    reasons = set()

    def is_restarted() -> bool:
        reasons.add(openstack.service()["disabled_reason"])
        return "restarted" in fleet.outcomes(HOST, began)

    fleet.until("the restart", is_restarted)
    (restart,) = (one for one in fleet.restarts(HOST, began) if one["outcome"] == "restarted")
    assert f"memleash: {restart['id']}" in reasons
    assert len(machine.starts(UNIT)) == starts + 1
    assert machine.restart_commands(UNIT) == 1
    assert machine.crashes(UNIT) == 0
    assert fleet.state(HOST) == "connected"
    service = openstack.service()
    assert (service["status"], service["state"]) == ("enabled", "up")
    for server, host in ((stays, HOST), (moves, OTHER_HOST)):
        shown = openstack.server(server)
        assert (shown["status"], shown["OS-EXT-SRV-ATTR:host"]) == ("ACTIVE", host)
    control_says = fleet.control.run(*_CHECK)
    assert "none is running" in control_says
    assert "its answers seem good" in control_says
