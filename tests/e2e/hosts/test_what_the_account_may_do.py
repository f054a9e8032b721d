"""The documented account: it restarts its agents and can do nothing else."""

from __future__ import annotations

import pytest

from tests.e2e.docker import DockerFailed
from tests.e2e.hosts.configs import SAMPLE, UNITS
from tests.e2e.hosts.three_hosts import HARDENED, Fleet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def _ssh(fleet: Fleet, host: str, command: str, *options: str) -> str:
    """Run ``command`` on a host as the responder would, from control. Raises DockerFailed."""
    address = fleet.host(host).address
    mine = [
        *("-F", "/etc/memleash/ssh_config", "-i", "/etc/memleash/id_ed25519"),
        *("-o", "UserKnownHostsFile=/etc/memleash/known_hosts", "-o", "BatchMode=yes"),
        *("-o", "ConnectTimeout=5", *options),
    ]
    proxy = f"ssh {' '.join(mine)} -W %h:%p memleash@{fleet.host('jump').address}"
    through = ["-o", f"ProxyCommand={proxy}"] if host == "host-c" else []
    return fleet.control.run(
        "ssh", *mine, *through, f"memleash@{address}", command, user="memleash"
    )


def test_sudo_knows_the_restart_and_nothing_else(fleet: Fleet) -> None:
    assert UNITS[SAMPLE] in _ssh(fleet, "host-a", "sudo -n -l")
    for command in ("sudo -n id", "sudo -n systemctl stop sample-agent.service"):
        with pytest.raises(DockerFailed, match="password is required"):
            _ssh(fleet, "host-a", command)


def test_a_forced_command_refuses_every_other_word(fleet: Fleet) -> None:
    for command in ("id", "sudo -n systemctl restart sample-agent.service; id"):
        with pytest.raises(DockerFailed, match="refused: "):
            _ssh(fleet, HARDENED, command)


def test_there_is_no_way_into_the_far_network_but_the_jump_host(fleet: Fleet) -> None:
    far = fleet.host("host-c").address
    with pytest.raises(DockerFailed):
        fleet.control.run("timeout", "5", "bash", "-c", f"exec 3<>/dev/tcp/{far}/22")


def test_exporter_and_responder_run_without_privileges_from_the_wheel(fleet: Fleet) -> None:
    for machine, unit in (
        (fleet.host("host-a"), "memleash-exporter.service"),
        (fleet.control, "memleash-responder.service"),
    ):
        status = machine.run("cat", f"/proc/{machine.main_pid(unit)}/status")
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["Uid"].split()[0] != "0", unit
        assert int(facts["CapEff"], 16) == 0, unit
        assert facts["NoNewPrivs"] == "1", unit
        assert machine.crashes(unit) == 0 or unit == "memleash-responder.service"
    installed = fleet.host("host-a").run("/opt/memleash/bin/pip", "show", "-f", "memleash")
    assert "memleash_exporter/cli.py" in installed
