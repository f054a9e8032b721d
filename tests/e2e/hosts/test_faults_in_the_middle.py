"""Cables, power, sshd and host keys: a restart is made once, or not at all, and it is said why."""

from __future__ import annotations

import pytest

from tests.e2e.hosts.configs import SAMPLE, UNITS
from tests.e2e.hosts.machine import Machine
from tests.e2e.hosts.three_hosts import Fleet, now, write_known_hosts

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
UNIT = UNITS[SAMPLE]


def _over_the_limit(host: Machine) -> None:
    host.agent_does("grow", to_mib=210)


def test_a_network_cut_after_the_command_ends_in_one_restart(fleet: Fleet) -> None:
    host, began = fleet.host("host-b"), now()
    starts, commands = len(host.starts(UNIT)), host.restart_commands(UNIT)
    _over_the_limit(host)
    fleet.until("the new start", lambda: len(host.starts(UNIT)) == starts + 1)
    host.cut()
    try:
        fleet.until("the restart to go on blindly", lambda: _is_at(fleet, "host-b", "ready"))
        lost = 'up{job="memleash-exporter",host="host-b"} == 0'
        fleet.until("the exporter to be lost", lambda: fleet.query(lost))
    finally:
        host.mend()
    fleet.until("its end", lambda: "restarted" in fleet.outcomes("host-b", began))
    assert (len(host.starts(UNIT)), host.restart_commands(UNIT)) == (starts + 1, commands + 1)
    assert host.crashes(UNIT) == 0


def test_a_network_cut_before_the_command_restarts_nothing_until_it_is_back(fleet: Fleet) -> None:
    host, began = fleet.host("host-a"), now()
    starts = len(host.starts(UNIT))
    fleet.begin_task("host-a")
    _over_the_limit(host)
    fleet.until("the refusal", lambda: "tasks_running" in fleet.outcomes("host-a", began))
    host.cut()
    try:
        fleet.end_task("host-a")
        blind = {"facts_unavailable", "ssh_unreachable"}
        fleet.until("a blind refusal", lambda: blind & {*fleet.outcomes("host-a", began)})
        assert len(host.starts(UNIT)) == starts
    finally:
        host.mend()
    fleet.until("the restart", lambda: "restarted" in fleet.outcomes("host-a", began))
    assert len(host.starts(UNIT)) == starts + 1


def test_a_host_rebooted_in_the_middle_is_not_restarted_a_second_time(fleet: Fleet) -> None:
    host, began = fleet.host("host-a"), now()
    starts, commands = len(host.starts(UNIT)), host.restart_commands(UNIT)
    _over_the_limit(host)
    fleet.until("the new start", lambda: len(host.starts(UNIT)) == starts + 1)
    host.reboot()
    fleet.until("its end", lambda: "restarted" in fleet.outcomes("host-a", began))
    fleet.until_alerts_are_over()
    assert len(host.starts(UNIT)) == starts + 2  # ours, and the boot's
    assert host.restart_commands(UNIT) == commands + 1


def test_a_stopped_sshd_is_said_and_waited_for(fleet: Fleet) -> None:
    host, began = fleet.host("host-b"), now()
    starts = len(host.starts(UNIT))
    host.run("systemctl", "stop", "ssh.service")
    try:
        _over_the_limit(host)
        fleet.until("the refusal", lambda: "ssh_unreachable" in fleet.outcomes("host-b", began))
        assert len(host.starts(UNIT)) == starts
    finally:
        host.run("systemctl", "start", "ssh.service")
    fleet.until("the restart", lambda: "restarted" in fleet.outcomes("host-b", began))
    assert len(host.starts(UNIT)) == starts + 1


def test_a_changed_host_key_is_refused_until_someone_vouches_for_it(fleet: Fleet) -> None:
    host, began = fleet.host("host-b"), now()
    starts = len(host.starts(UNIT))
    key = "/etc/ssh/ssh_host_ed25519_key"
    host.run("sh", "-c", f"rm {key} {key}.pub && ssh-keygen -q -t ed25519 -N '' -f {key}")
    host.run("systemctl", "restart", "ssh.service")
    _over_the_limit(host)
    fleet.until("the refusal", lambda: "host_key_mismatch" in fleet.outcomes("host-b", began))
    blocked = 'memleash_responder_restart_blocked{host="host-b",reason="host_key_mismatch"} == 1'
    fleet.until("the metric that pages for it", lambda: fleet.query(blocked))
    assert len(host.starts(UNIT)) == starts

    write_known_hosts(fleet)
    fleet.until("the restart", lambda: "restarted" in fleet.outcomes("host-b", began))
    assert len(host.starts(UNIT)) == starts + 1


def test_a_responder_killed_in_the_middle_goes_on_and_restarts_once(fleet: Fleet) -> None:
    host, began = fleet.host("host-c"), now()
    starts, commands = len(host.starts(UNIT)), host.restart_commands(UNIT)
    crashes = fleet.control.crashes("memleash-responder.service")
    _over_the_limit(host)
    fleet.until("the new start", lambda: len(host.starts(UNIT)) == starts + 1)
    fleet.control.run("systemctl", "kill", "-s", "KILL", "memleash-responder.service")
    fleet.until("its end", lambda: "restarted" in fleet.outcomes("host-c", began))
    assert fleet.control.crashes("memleash-responder.service") == crashes + 1
    assert (len(host.starts(UNIT)), host.restart_commands(UNIT)) == (starts + 1, commands + 1)


def _is_at(fleet: Fleet, host: str, step: str) -> bool:
    line = f'restart_in_progress{{agent="{SAMPLE}",host="{host}",step="{step}"}}'
    return line in fleet.metrics()
