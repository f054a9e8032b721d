"""An agent whose unit has restarts and limits of its own: docs/systemd.md, tried."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from demo.stack.http import answers
from tests.e2e.docker import DockerFailed
from tests.e2e.hosts.configs import COLLECTD, MIB, SAMPLE, UNITS
from tests.e2e.hosts.machine import Machine
from tests.e2e.hosts.three_hosts import Fleet, now

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_TIGHT = "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=2\n"
_NET = "[Service]\nRestart=always\nMemoryMax=320M\nMemorySwapMax=0\nOOMPolicy=stop\n"
_WATCHED = """\
[Service]
Restart=always
WatchdogSec=10
ExecStart=
ExecStart=/usr/bin/python3 /opt/watched.py --listen 0.0.0.0:7070 --name sample-agent \
    --busy-directory /run/memleash/busy --start-delay 4
"""
_WATCHED_AGENT = """\
import os, pathlib, socket, threading, time
from demo.agent import main

def feed():
    dog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    while True:
        if not pathlib.Path("/run/hangs").exists():
            dog.sendto(b"WATCHDOG=1", os.environ["NOTIFY_SOCKET"])
        time.sleep(1)

threading.Thread(target=feed, daemon=True).start()
main()
"""


@contextlib.contextmanager
def drop_in(host: Machine, unit: str, text: str) -> Iterator[None]:
    """Have ``unit`` run with a drop-in, and as before when this is left."""
    file = f"/etc/systemd/system/{unit}.d/own.conf"
    host.container.write(file, text)
    _anew(host, unit)
    try:
        yield
    finally:
        host.run("rm", file)
        _anew(host, unit)


def _anew(host: Machine, unit: str) -> None:
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "reset-failed", unit)
    host.run("systemctl", "restart", unit)


def _is_ready(fleet: Fleet, agent: str) -> bool:
    return bool(fleet.query(f'memleash_agent_ready{{host="host-a",agent="{agent}"}} == 1'))


def test_a_restart_whose_command_clears_the_count_never_trips_the_start_limit(
    fleet: Fleet,
) -> None:
    """collectd's command does; its starts are used up by hand, before and after."""
    host, unit, began = fleet.host("host-a"), UNITS[COLLECTD], now()
    with drop_in(host, unit, _TIGHT):
        host.run("systemctl", "restart", unit)
        starts = len(host.starts(unit))
        fleet.until("collectd to be seen", lambda: _is_ready(fleet, COLLECTD))
        host.container.write("/run/leak", "40")
        held = f'memleash_agent_resident_memory_bytes{{host="host-a",agent="{COLLECTD}"}}'
        fleet.until("it to leak", lambda: fleet.query(f"{held} > {192 * MIB}"))
        host.container.write("/run/leak", "0")
        fleet.until("the restart", lambda: "restarted" in fleet.outcomes("host-a", began))
        assert (len(host.starts(unit)), host.crashes(unit)) == (starts + 1, 0)
        assert host.restart_commands(unit) >= 1
        host.run("systemctl", "restart", unit)
        with pytest.raises(DockerFailed, match="start of the service was attempted too often"):
            host.run("systemctl", "restart", unit)
    fleet.until("collectd to be back", lambda: _is_ready(fleet, COLLECTD))


def test_memory_max_catches_what_no_scrape_could_and_memleash_does_nothing(fleet: Fleet) -> None:
    host, unit = fleet.host("host-a"), UNITS[COLLECTD]
    with drop_in(host, unit, _NET):
        fleet.until("collectd to be seen", lambda: _is_ready(fleet, COLLECTD))
        commands = host.restart_commands(unit)
        host.container.write("/run/leak", "400")
        fleet.until("the kernel to kill it", lambda: host.crashes(unit) >= 1)
        host.container.write("/run/leak", "0")
        killed = host.run("journalctl", "-u", unit, "-o", "cat", "--no-pager")
        assert "status=9/KILL" in killed
        fleet.until("collectd to be back", lambda: _is_ready(fleet, COLLECTD))
        fleet.until_alerts_are_over()
        fleet.until_settled()
        assert host.restart_commands(unit) == commands


def test_a_watchdog_neither_disturbs_a_restart_nor_is_disturbed(fleet: Fleet) -> None:
    host, unit, began = fleet.host("host-a"), UNITS[SAMPLE], now()
    host.container.write("/opt/watched.py", _WATCHED_AGENT)
    echo = f"http://{host.address}:7070/host/echo"
    with drop_in(host, unit, _WATCHED):
        fleet.until("the watched agent to answer", lambda: answers(echo))
        fleet.until_settled()
        starts, commands = len(host.starts(unit)), host.restart_commands(unit)
        host.agent_does("grow", to_mib=210)
        fleet.until("the restart", lambda: "restarted" in fleet.outcomes("host-a", began))
        assert (len(host.starts(unit)), host.crashes(unit)) == (starts + 1, 0)

        host.container.write("/run/hangs", "")
        fleet.until("the watchdog to bite", lambda: host.crashes(unit) >= 1)
        host.run("rm", "/run/hangs")
        fleet.until_settled()
        assert host.restart_commands(unit) == commands + 1
