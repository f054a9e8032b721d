"""What the release before left in its queue of DBOS's is gone on with by this one."""

from __future__ import annotations

import pytest

from demo.stack.loopback_hosts import Member, running

pytestmark = pytest.mark.integration

LEFT_AT = (
    "after:RestartWorkflow.begin",  # queued, and not begun
    "after:step:hold",  # the host is held, and that is not recorded
    "after:record:verify",
    "after:SentCommands.note_sent",  # noted as sent, and not sent
)


def test_it_goes_on_where_it_was_and_restarts_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    hosts = {point: f"left-{number}" for number, point in enumerate(LEFT_AT)}
    members = [Member(host) for host in hosts.values()]
    with running(tmp_path_factory.mktemp("former") / "fleet", members) as fleet:
        fleet.start_agents(hosts.values())
        for point, host in hosts.items():
            with fleet.responder(host) as responder:
                responder.become("tests.support.former_release", "die", point)
                responder.program.start()
                responder.alert(host)
                responder.wait_dead()
                responder.start()
                ended = responder.finished(host)
                assert ended["outcome"] == "restarted", (point, ended)
                assert fleet.starts(host) == 2
                assert fleet.peers.drained(host) == set()
