"""One container as a real host, and what its own systemd says happened on it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from demo.stack.http import Json, post
from demo.stack.processes import wait_until
from tests.e2e.docker import Container, DockerFailed, docker

_UNIT_STARTED = "39f53479d3a045ac8e11786248231fbf"
"""The journal's message id of a unit that has started (systemd's SD_MESSAGE_UNIT_STARTED)."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A container with systemd as its first process."""

    container: Container
    network: str
    address: str

    @property
    def name(self) -> str:
        return self.container.name

    def run(self, *command: str, user: str = "root", stdin: str = "") -> str:
        return self.container.run(*command, user=user, stdin=stdin)

    def wait_booted(self) -> None:
        """Wait until systemd has done all that it does at boot."""

        def done() -> bool:
            try:
                self.run("systemctl", "is-active", "--quiet", "multi-user.target")
            except DockerFailed:
                return False
            return True

        wait_until(f"{self.name} to boot", done, timeout_seconds=180)

    # -- what its systemd says ----------------------------------------------------------------

    def starts(self, unit: str) -> list[float]:
        """Return when ``unit`` was started, boots included, oldest first, as unix times."""
        fields = "--output-fields=MESSAGE_ID"
        lines = self.run("journalctl", "-u", unit, "-o", "json", fields, "--no-pager").splitlines()
        entries = [json.loads(line) for line in lines]
        return [
            int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            for entry in entries
            if entry.get("MESSAGE_ID") == _UNIT_STARTED
        ]

    def crashes(self, unit: str) -> int:
        """Return how often systemd itself had to start ``unit`` again since its last start."""
        return int(self.run("systemctl", "show", "--value", "-p", "NRestarts", unit))

    def restart_commands(self, unit: str) -> int:
        """Return how often sudo ran the restart of ``unit``, by sudo's own record."""
        log = self.run("journalctl", "_COMM=sudo", "-o", "cat", "--no-pager")
        command = f"COMMAND=/usr/bin/systemctl restart {unit}"
        return sum(line.endswith(command) for line in log.splitlines())

    def control_groups(self) -> str:
        """Return where this machine's systemd keeps its control groups.

        A container in the host's namespace of groups sees all of the host's, and its own systemd
        works below the container's: what is /sys/fs/cgroup on a machine made of metal.
        """
        for line in self.run("cat", "/proc/1/cgroup").splitlines():
            _, hierarchy, group = line.split(":", 2)
            if group.endswith("/init.scope"):
                top = "/sys/fs/cgroup/systemd" if hierarchy == "name=systemd" else "/sys/fs/cgroup"
                return top + group.removesuffix("/init.scope")
        raise DockerFailed(f"{self.name}: its first process is no systemd")

    def main_pid(self, unit: str) -> int:
        return int(self.run("systemctl", "show", "--value", "-p", "MainPID", unit))

    # -- what is done to it -------------------------------------------------------------------

    def agent_does(self, what: str, **arguments: Json) -> Json:
        """Have the sample agent grow or dump; see demo.agent."""
        return post(f"http://{self.address}:7070/{what}", arguments)

    def cut(self) -> None:
        """Pull the network cable."""
        docker("network", "disconnect", self.network, self.name)

    def mend(self) -> None:
        """Plug it in again: the same address as before."""
        docker("network", "connect", "--ip", self.address, self.network, self.name)

    def reboot(self) -> None:
        docker("restart", "--time", "20", self.name)
        self.wait_booted()
