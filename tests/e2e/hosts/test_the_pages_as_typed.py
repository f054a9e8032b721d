"""From nothing to a guarded restart by the pages of docs/, counted by the host itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.stack.processes import wait_until
from tests.e2e.hosts.newcomer import AGENT, NODE, UNIT, Newcomer, newcomer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def typed(images: dict[str, str]) -> Iterator[Newcomer]:
    with newcomer(images["newcomer"]) as machines:
        yield machines


def test_observing_tells_and_restarts_nothing(typed: Newcomer) -> None:
    typed.node.agent_does("grow", to_mib=250)
    wait_until(
        "the refusal to be told",
        lambda: "observe" in typed.memleashctl("restarts list"),
        seen=lambda: typed.memleashctl(f"explain {NODE} {AGENT}"),
    )
    assert len(typed.node.starts(UNIT)) == 1
    assert typed.node.restart_commands(UNIT) == 0


def test_a_muted_host_is_not_pinged_at_all(typed: Newcomer) -> None:
    wait_until("pings", lambda: typed.pings() > 1)
    typed.node.run("systemd-run", "--unit=upgrade", "memleash-busy", AGENT, "--", "sleep", "600")
    wait_until("the mute", lambda: NODE in typed.memleashctl("mutes"))
    wait_until("no target", lambda: not typed.scrape_targets("memleash-ping"))
    before = typed.pings()
    typed.scraped(times=3)  # as often as it would have been pinged
    assert typed.pings() == before
    typed.node.run("systemctl", "stop", "upgrade")
    wait_until("pings again", lambda: typed.pings() > before + 1)
    assert NODE not in typed.memleashctl("mutes")


def test_enforcing_restarts_it_once(typed: Newcomer) -> None:
    enforce = "\\g<0>\n    mode: enforce\n    guards: {startup_grace: 10s}"
    typed.edit("/etc/memleash/responder.yml", ("restart_command: .*", enforce))
    typed.watch.run("systemctl", "reload", "memleash-responder")
    told = wait_until(
        "the new settings", lambda: typed.memleashctl(f"restart {NODE} {AGENT} --wait")
    )
    assert "restarted" in told
    assert len(typed.node.starts(UNIT)) == 2
    assert typed.node.restart_commands(UNIT) == 1
