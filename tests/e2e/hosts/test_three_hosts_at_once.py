"""The whole story on three hosts at once, counted by their own systemd."""

from __future__ import annotations

import pytest

from tests.e2e.hosts.configs import SAMPLE, UNITS
from tests.e2e.hosts.three_hosts import HOSTS, Fleet, now

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
UNIT = UNITS[SAMPLE]
_BUSY_SECONDS = 20


def test_each_is_restarted_once_and_one_at_a_time_when_that_is_safe(fleet: Fleet) -> None:
    """host-a is busy, host-b has a task, host-c is neither; all pass their limits together."""
    began = now()
    starts = {host.name: len(host.starts(UNIT)) for host in fleet.hosts}
    fleet.begin_task("host-b")
    fleet.host("host-a").agent_does("grow", mib_per_second=40)
    fleet.host("host-a").agent_does("dump", seconds=_BUSY_SECONDS)
    busy_until = now() + _BUSY_SECONDS
    for name in ("host-b", "host-c"):
        fleet.host(name).agent_does("grow", to_mib=210)

    fleet.until("host-c restarted", lambda: "restarted" in fleet.outcomes("host-c", began))
    fleet.until("host-a restarted", lambda: "restarted" in fleet.outcomes("host-a", began))
    fleet.until("host-b refused", lambda: "tasks_running" in fleet.outcomes("host-b", began))
    assert len(fleet.host("host-b").starts(UNIT)) == starts["host-b"]

    task_ended = now()
    fleet.end_task("host-b")
    fleet.until("host-b restarted", lambda: "restarted" in fleet.outcomes("host-b", began))
    fleet.until_alerts_are_over()
    fleet.until_settled()

    for host in fleet.hosts:
        assert len(host.starts(UNIT)) == starts[host.name] + 1, host.name
        assert host.crashes(UNIT) == 0
        assert fleet.outcomes(host.name, began).count("restarted") == 1
    assert fleet.host("host-a").starts(UNIT)[-1] >= busy_until - 1
    assert fleet.host("host-b").starts(UNIT)[-1] >= task_ended
    _assert_one_at_a_time(fleet, began)


def _assert_one_at_a_time(fleet: Fleet, since: float) -> None:
    """By the controller's record: the time from a host's last drain to its start and undrain."""
    spans = []
    for name in HOSTS:
        started = fleet.host(name).starts(UNIT)[-1]
        drained = max(
            at for at, path in fleet.calls("drain", since) if _is(path, name, started, at)
        )
        undrained = min(
            at for at, path in fleet.calls("undrain", since) if name in path and at > started
        )
        spans.append((drained, undrained))
    for (_, ended), (begins, _) in zip(sorted(spans), sorted(spans)[1:], strict=False):
        assert ended <= begins, spans


def _is(path: str, host: str, started: float, at: float) -> bool:
    return f"/{host}/" in path and at < started
