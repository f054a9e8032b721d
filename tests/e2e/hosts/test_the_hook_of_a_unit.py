"""A drop-in of its unit gives an agent the hook, as docs/diagnoses.md says; its code stays."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from demo.stack.processes import wait_until
from demo.stack.tools import REPOSITORY
from tests.e2e.docker import DockerFailed, start
from tests.e2e.hosts.machine import Machine
from tests.e2e.hosts.three_hosts import AS_A_HOST

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

UNIT = "leaky.service"
UNIT_FILE = """\
[Service]
ExecStart=/usr/bin/python3 /opt/leaky.py
"""
AGENT = """\
import signal, time
signal.signal(signal.SIGUSR2, lambda *_: None)
KEPT = []
while True:
    KEPT.extend([0] * 20 for _ in range(20))
    time.sleep(0.01)
"""
HOOK_FOLDER = "/usr/local/lib/memleash-hook"
PLAN = {
    "run": "r1",
    "agent": "leaky",
    "discover": "systemd_unit",
    "target": UNIT,
    "rounds": 3,
    "interval_seconds": 1,
    "free_disk_bytes": 1,
    "work_root": "/var/tmp/work",
}


@pytest.fixture
def machine(images: dict[str, str]) -> Iterator[Machine]:
    """A host of its own, with the agent as a unit."""
    container = start("hooked", images["host"], AS_A_HOST)
    try:
        machine = Machine(container, "bridge", "")
        machine.wait_booted()
        container.write(f"/etc/systemd/system/{UNIT}", UNIT_FILE)
        container.write("/opt/leaky.py", AGENT)
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", UNIT)
        yield machine
    finally:
        container.remove()


def has_the_hook(machine: Machine) -> bool:
    try:
        fds = machine.run("ls", "-l", f"/proc/{machine.main_pid(UNIT)}/fd")
    except DockerFailed:
        return False
    return "memfd:memleash-hook" in fds


def test_its_next_life_has_the_hook(machine: Machine) -> None:
    packaged = REPOSITORY / "packaging/hook"
    write = machine.container.write
    write(
        f"{HOOK_FOLDER}/memleash_hook.py",
        (REPOSITORY / "diagnoser/memleash_diagnoser/hook.py").read_text(),
    )
    write(f"{HOOK_FOLDER}/sitecustomize.py", (packaged / "sitecustomize.py").read_text())
    drop_in = (packaged / "memleash-hook.conf").read_text()
    write(f"/etc/systemd/system/{UNIT}.d/memleash-hook.conf", drop_in)
    machine.run("systemctl", "daemon-reload")
    assert not has_the_hook(machine)

    machine.run("systemctl", "restart", UNIT)
    wait_until("the agent to have the hook", lambda: has_the_hook(machine), timeout_seconds=60)
    machine.run("mkdir", "-p", "/var/tmp/work/r1")
    collect = ("/opt/memleash/bin/python", "-m", "memleash_diagnoser", "collect", json.dumps(PLAN))
    machine.run(*collect)

    report = json.loads(machine.run("cat", "/var/tmp/work/r1/report/report.json"))
    assert report["way"] == "own hook"
    assert report["containers"][0]["name"] == "__main__.KEPT"
    assert machine.run("systemctl", "is-active", UNIT).strip() == "active"
