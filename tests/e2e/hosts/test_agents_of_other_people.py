"""Agents from Debian's packages, which nobody here wrote: collectd leaks, Zabbix's is busy."""

from __future__ import annotations

import pytest

from tests.e2e.hosts import configs
from tests.e2e.hosts.configs import COLLECTD, MIB, UNITS, ZABBIX
from tests.e2e.hosts.machine import Machine
from tests.e2e.hosts.three_hosts import Fleet, now

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_a_leaking_collectd_is_restarted_and_holds_little_again(fleet: Fleet) -> None:
    host, unit, began = fleet.host("host-a"), UNITS[COLLECTD], now()
    starts = len(host.starts(unit))
    resident = f'memleash_agent_resident_memory_bytes{{host="host-a",agent="{COLLECTD}"}}'
    host.container.write("/run/leak", "40")
    fleet.until("it to leak", lambda: fleet.query(f"{resident} > {192 * MIB}"))
    host.container.write("/run/leak", "0")
    fleet.until("the restart", lambda: "restarted" in fleet.outcomes("host-a", began))
    fleet.until("it to hold little", lambda: fleet.query(f"{resident} < {64 * MIB}"))
    assert len(host.starts(unit)) == starts + 1
    assert host.crashes(unit) == 0


def test_a_zabbix_agent_is_spared_while_busy_then_quarantined_for_a_limit_set_too_low(
    fleet: Fleet,
) -> None:
    host, unit, began = fleet.host("host-b"), UNITS[ZABBIX], now()
    starts = len(host.starts(unit))
    ask_slow_item(host)
    busy = f'memleash_agent_busy{{host="host-b",agent="{ZABBIX}"}}'
    fleet.until("it to be busy", lambda: fleet.query(f"{busy} == 1"))
    _set_limit(host, "1MiB")
    over = f'ALERTS{{alertname="AgentMemoryHardLimitExceeded",agent="{ZABBIX}"}}'
    fleet.until("it to be over its limit", lambda: fleet.query(over))
    assert len(host.starts(unit)) == starts

    fleet.until("the restart", lambda: "restarted" in fleet.outcomes("host-b", began))
    fleet.until("the quarantine", lambda: "quarantined" in fleet.outcomes("host-b", began))
    assert len(host.starts(unit)) == starts + 1
    assert host.run("systemctl", "is-active", unit).strip() == "active"
    _set_limit(host, "0")


def ask_slow_item(host: Machine) -> None:
    """Ask the Zabbix agent for an item that takes 12 s, and do not wait for it."""
    script = (
        "import socket,struct,sys,time\n"
        "s = socket.create_connection(('127.0.0.1', 10050))\n"
        "item = b'slow.item'\n"
        "s.sendall(b'ZBXD\\x01' + struct.pack('<Q', len(item)) + item)\n"
        "s.settimeout(60)\n"
        "s.recv(1)\n"
    )
    host.run("systemd-run", "--quiet", "/usr/bin/python3", "-c", script)


def _set_limit(host: Machine, limit: str) -> None:
    settings = configs.exporter(configs.sample_agent(), configs.zabbix_agent(limit))
    host.container.write("/etc/memleash/exporter.yml", settings)
    host.run("systemctl", "reload", "memleash-exporter.service")
