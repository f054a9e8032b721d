"""One real host with the agents of two real controllers, under units as their packages have them.

Salt's master and all of memleash but the exporter run on this side, as the demo's stack on
loopback; slurmctld runs on the host itself. What the recipes of docs/controllers.md say is used.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from demo.stack.http import CallFailed, Json, call, get
from demo.stack.observer import Observer
from demo.stack.processes import wait_until
from demo.stack.stack import Stack, prepared
from demo.stack.tools import REPOSITORY, Tools
from tests.e2e.conftest import CACHE
from tests.e2e.controllers.salt import BIN, Master, running_master
from tests.e2e.docker import DockerFailed, docker, start
from tests.e2e.hosts import configs, documented
from tests.e2e.hosts.machine import Machine
from tests.e2e.hosts.three_hosts import AS_A_HOST

NODE = "node-1"
SLURMD, MINION = "slurmd", "salt-minion"
UNITS = {SLURMD: "slurmd.service", MINION: "salt-minion.service"}
RECIPES = {
    SLURMD: "Slurm, from the host to the controller",
    MINION: "Salt, from the host to the controller",
}
_NETWORK, _SUBNET = "memleash-controlled", "10.88.3.0/24"
_GATEWAY, _ADDRESS = "10.88.3.1", "10.88.3.31"
_PARTS = ("alertmanager", "prometheus", "responder")
_GUARDS = {
    "startup_grace": "1s",
    "cooldown": "1s",
    "wait_for_idle": "2m",
    "idle_interval": "1s",
    "retry_after": "3s",
}
_SLURM_CONF = f"""\
ClusterName=memleash
SlurmctldHost={NODE}({_ADDRESS})
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation=/var/lib/slurm/state
SlurmdSpoolDir=/var/lib/slurm/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
ReturnToService=2
NodeName={NODE} NodeAddr={_ADDRESS} CPUs=1
PartitionName=all Nodes=ALL Default=YES State=UP
"""
# What matters in the unit of Salt's packages.
_MINION_UNIT = f"""\
[Unit]
Description=The Salt Minion
[Service]
KillMode=process
Type=notify
NotifyAccess=all
LimitNOFILE=8192
ExecStart={BIN}/salt-minion
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, slots=True)
class Controlled:
    """The host, its controllers, and those who watch over it."""

    machine: Machine
    salt: Master
    stack: Stack
    agents: dict[str, Any] = field(default_factory=dict)
    """The exporter's entry of each."""

    @property
    def observer(self) -> Observer:
        return Observer(self.stack.layout)

    def change_agent(self, agent: str, **changes: object) -> None:
        """Change the exporter's entry of an agent, and have it read."""
        self.agents[agent] |= changes
        text = configs.exporter(*self.agents.values())
        self.machine.container.write("/etc/memleash/exporter.yml", text)
        self.machine.run("systemctl", "reload-or-restart", "memleash-exporter.service")

    def change_controller(self, name: str, **changes: object) -> None:
        """Change the responder's settings of a controller, and have them read."""
        file = self.stack.layout.folder / "responder.yml"
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        (controller,) = (one for one in config["controllers"] if one["name"] == name)
        controller |= changes
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        call("POST", self.stack.layout.url("responder", "/-/reload"))

    def restart_with(self, agent: str, outcome: str) -> Json:
        """Return the newest restart of an agent that ended with ``outcome``, or None."""
        restarts = self.observer.restarts()
        return next(
            (one for one in restarts if (one["agent"], one["outcome"]) == (agent, outcome)), None
        )

    def until(self, what: str, look: Callable[[], Any]) -> Any:
        """Wait for ``look`` to be true, through answers that do not come; return it."""

        def patient() -> Any:
            try:
                return look()
            except (CallFailed, DockerFailed):
                return None

        def seen() -> object:
            return [
                (one["agent"], one["outcome"], one.get("reason"))
                for one in self.observer.restarts()[:8]
            ]

        return wait_until(what, patient, timeout_seconds=180, every_seconds=0.3, seen=seen)

    def slurm(self, program: str, *arguments: str) -> str:
        """Return what one of Slurm's commands prints on the host."""
        return self.machine.run(program, *arguments)


def recipe(agent: str, file: str) -> Any:
    """Return a file of the recipe for an agent."""
    page = (REPOSITORY / "docs/controllers.md").read_text(encoding="utf-8")
    section = page.partition(f"### {RECIPES[agent]}\n")[2]
    found = re.search(rf"```yaml\n# /etc/memleash/{file}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return yaml.safe_load(found[1])


@contextmanager
def running_controlled(image: str, tools: Tools, folder: Path) -> Iterator[Controlled]:
    """Run the host and what watches over it; nothing of it is there when this is left."""
    with ExitStack() as cleanup:
        docker("network", "create", "--subnet", _SUBNET, "--gateway", _GATEWAY, _NETWORK)
        cleanup.callback(docker, "network", "rm", _NETWORK)
        # What states wait for is a file of the master's folder.
        place = ["--network", _NETWORK, "--ip", _ADDRESS, "-v", f"{folder}:{folder}"]
        container = start(NODE, image, [*AS_A_HOST, *place, *_salt_mounts()])
        cleanup.callback(container.remove)
        machine = Machine(container, _NETWORK, _ADDRESS)
        salt = cleanup.enter_context(running_master(folder / "salt", interface=_GATEWAY))
        stack = cleanup.enter_context(prepared(tools, folder / "stack"))
        machine.wait_booted()
        controlled = Controlled(machine, salt, stack)
        _set_up_agents(controlled)
        _set_up_responder(controlled, folder)
        for part in _PARTS:
            stack.programs[part].start()
        yield controlled


def _salt_mounts() -> list[str]:
    """Return the options that put Salt, and the Python it was installed with, on the host."""
    home = Path(sys.base_prefix)
    seen = (
        [CACHE / "salt"] if home in (Path("/usr"), Path("/usr/local")) else [CACHE / "salt", home]
    )
    return [option for path in seen for option in ("-v", f"{path}:{path}:ro")]


def _set_up_agents(controlled: Controlled) -> None:
    machine, write = controlled.machine, controlled.machine.container.write
    machine.run("mkdir", "-p", "/var/lib/slurm/state", "/var/lib/slurm/spool")
    write("/etc/slurm/slurm.conf", _SLURM_CONF)
    minion = controlled.salt.minion_config(Path("/"), master=_GATEWAY)
    write("/etc/salt/minion", yaml.safe_dump(minion))
    write("/etc/systemd/system/salt-minion.service", _MINION_UNIT)
    write("/etc/sudoers.d/memleash", documented.sudoers(*UNITS.values()), mode="440")
    machine.run("visudo", "-c", "-q")
    drop_in = configs.EXPORTER_DROP_IN.format(control_groups=machine.control_groups())
    write("/etc/systemd/system/memleash-exporter.service.d/container.conf", drop_in)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "enable", "--now", "slurmctld.service", *UNITS.values())
    for agent in UNITS:
        (entry,) = recipe(agent, "exporter.yml")["agents"]
        off = {**entry.get("limits", {}), "alarm_threshold": 0, "hard_limit": 0}
        controlled.agents[agent] = entry
        controlled.change_agent(agent, limits=off)


def _set_up_responder(controlled: Controlled, folder: Path) -> None:
    """Have the stack's responder watch over the host, as the recipes say."""
    machine, layout = controlled.machine, controlled.stack.layout
    public = (layout.folder / "ssh/login_key.pub").read_text(encoding="ascii").strip()
    keys = "/home/memleash/.ssh/authorized_keys"
    line = documented.authorized_key(public, forced=False)
    machine.container.write(keys, line, mode="600", owner="memleash")
    host_key = machine.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub").strip()
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"{_ADDRESS} {host_key}\n", encoding="ascii")
    labels = {"host": NODE, "ssh_address": _ADDRESS, "minion_id": NODE}
    inventory = [{"targets": [f"{_ADDRESS}:10058"], "labels": labels}]
    layout.inventory.write_text(yaml.safe_dump(inventory), encoding="utf-8")

    conf = folder / "slurm.conf"
    conf.write_text(_SLURM_CONF, encoding="utf-8")
    settings = controlled.salt.settings()
    ours = {
        "hpc": {"conf_file": str(conf)},
        "salt": {
            "url": settings.url,
            "username": settings.username,
            "password_file": str(settings.password_file),
            "eauth": settings.eauth,
        },
    }
    file = layout.folder / "responder.yml"
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    config["ssh"] |= {"user": "memleash", "port": 22, "known_hosts_file": str(known_hosts)}
    config["controllers"], config["agents"] = [], {}
    for agent in UNITS:
        shown = recipe(agent, "responder.yml")
        config["controllers"] += [one | ours[one["name"]] for one in shown["controllers"]]
        managed = shown["agents"][agent] | {"mode": "enforce", "guards": _GUARDS}
        config["agents"][agent] = managed
    file.write_text(yaml.safe_dump(config), encoding="utf-8")


def state_of_host(controlled: Controlled) -> str:
    """Return what the responder calls the host."""
    url = controlled.stack.layout.url("responder", f"/api/v1/hosts/{NODE}")
    return str(get(url)["state"])
