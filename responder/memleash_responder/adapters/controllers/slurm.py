"""Controllers of the kind slurm: a slurmctld, whose agent is slurmd.

Slurm is asked by its own commands, which run on the responder's host: its REST API drains nodes
from 23.02 on only. The reason of a drain is the mark. A drain is ended by UNDRAIN and not by
RESUME, which would also take back a node that is down.
"""

from __future__ import annotations

import dataclasses
import enum
import os
import re
import subprocess
from collections.abc import Callable, Collection, Sequence

from memleash_responder.adapters.controllers.controller import (
    CallFailed,
    Target,
    Wait,
    is_ours,
    mark,
    name_there,
    task,
)
from memleash_responder.controller_settings import SlurmSettings
from memleash_responder.core.facts import Host, Task
from memleash_responder.core.host_states import HostState
from memleash_responder.core.untrusted import NAMES_LISTED, line

_POLL_SECONDS = 1.0
_CLOCK_SECONDS = 2.0
"""By how much a start time in whole seconds may be before that of the process."""
_NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""Of one node: brackets and commas would name more of them."""
_ALL_NODES = "ALL"
_JOBS_FORMAT, _JOBS_HEADER = "%i %T %j", "JOBID STATE NAME"


class _State(enum.StrEnum):
    """What a node is, and what is added to it."""

    IDLE = "IDLE"
    """It has no job."""
    MIXED = "MIXED"
    """Some of its CPUs have jobs."""
    ALLOCATED = "ALLOCATED"
    """All of its CPUs have jobs."""
    DOWN = "DOWN"
    """It is out of use: Slurm or an administrator said so."""


class _Flag(enum.StrEnum):
    """What is added to the state of a node and matters here."""

    DRAIN = "DRAIN"
    """It gets no new jobs."""
    MAINTENANCE = "MAINTENANCE"
    """A reservation for maintenance has begun."""
    NOT_RESPONDING = "NOT_RESPONDING"
    """Its slurmd did not answer, or has not yet."""
    POWERING_UP = "POWERING_UP"
    """It is being started."""
    POWERING_DOWN = "POWERING_DOWN"
    """It is being shut down."""
    POWERED_DOWN = "POWERED_DOWN"
    """It is switched off."""
    REBOOT_ISSUED = "REBOOT_ISSUED"
    """It is being rebooted."""


_AWAY = {_Flag.NOT_RESPONDING, _Flag.POWERING_DOWN, _Flag.POWERED_DOWN, _Flag.REBOOT_ISSUED}


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A node as Slurm shows it."""

    name: str
    state: str
    """Such as ``IDLE+DRAIN``."""
    reason: str
    """Why it is drained or down; empty where nobody said."""
    slurmd_started: float | None
    """Unix time by the node's own clock; None: no slurmd of it registered."""

    @property
    def base(self) -> str:
        """Return the state without what is added to it."""
        return self.state.partition("+")[0]

    @property
    def flags(self) -> frozenset[str]:
        """Return what is added to the state."""
        return frozenset(self.state.split("+")[1:])

    @property
    def host_state(self) -> HostState:
        """Return what memleash calls it. Raises CallFailed for a state that is not known."""
        if _Flag.MAINTENANCE in self.flags:
            return HostState.MAINTENANCE
        if self.base not in set(_State):
            raise CallFailed(f"node {self.name}: state {line(self.state)} is not known")
        if self.base == _State.DOWN or self.flags & _AWAY:
            return HostState.DISCONNECTED
        return HostState.CONNECTING if _Flag.POWERING_UP in self.flags else HostState.CONNECTED


def node_of(shown: str, name: str) -> Node:
    """Return the node ``name`` of what ``scontrol show node`` printed, times as unix times.

    Raises CallFailed where that is another node, or only half of one.
    """
    named = re.search(r"^NodeName=(\S+)", shown)
    state = re.search(r"^ +State=(\S+)", shown, re.MULTILINE)
    started = re.search(r" SlurmdStartTime=(\S+)", shown)
    if not named or not state or not started:
        raise CallFailed(f"scontrol show node {name}: half an answer")
    if named[1] != name:
        raise CallFailed(f"scontrol show node {name}: shows {line(named[1])}")
    reason = re.search(r"^ +Reason=(.*?)(?: \[\S+@\S+\])?$", shown, re.MULTILINE)
    known = float(started[1]) if started[1].isdecimal() else None
    return Node(name, state[1], reason[1] if reason else "", known)


def jobs_of(listed: str) -> list[Task]:
    """Return the jobs that squeue printed; whatever stands in a line is one.

    Raises CallFailed where the heading is missing.
    """
    heading, *lines = listed.splitlines() or [""]
    if heading != _JOBS_HEADER:
        raise CallFailed("squeue: half an answer")
    parts = [[*one.split(" ", 2), "", ""] for one in lines if one.strip()]
    return [task(job, f"{name} ({state.lower()})") for job, state, name, *_ in parts]


class SlurmController:
    """One controller of the kind slurm; see Controller."""

    knows_tasks = True
    knows_states = True

    def __init__(self, settings: SlurmSettings, hosts: Callable[[], Collection[Host]]) -> None:
        self.settings = settings
        self._hosts = hosts

    def state(self, host: Host, wait: Wait) -> HostState | None:
        """Return what Slurm calls ``host``. One that is drained is connected all the same."""
        return self._node(host, wait).host_state

    def drain(self, target: Target, wait: Wait) -> None:
        """Drain the node, where it is in use and nobody has drained it: it gets no new jobs."""
        node = self._node(target.host, wait)
        if _Flag.MAINTENANCE in node.flags:
            raise CallFailed(f"node {node.name} is in maintenance: it is left alone")
        if node.base == _State.DOWN:
            raise CallFailed(f"node {node.name} is down: it is left alone")
        if _Flag.DRAIN not in node.flags:
            reason = f"Reason={mark(target.restart_id)}"
            self._update(node, wait, "State=DRAIN", reason)

    def undrain(self, target: Target, wait: Wait) -> None:
        """End the drain of the node where the reason of it is ours."""
        node = self._node(target.host, wait)
        if _Flag.DRAIN in node.flags and is_ours(node.reason):
            self._update(node, wait, "State=UNDRAIN")

    def tasks(self, target: Target, wait: Wait) -> Sequence[Task]:
        """Return the jobs of the node that are in one of the states that count."""
        node = self._node(target.host, wait)
        states = ",".join(self.settings.count)
        return jobs_of(self._run(wait, "squeue", "-w", node.name, "-t", states, "-o", _JOBS_FORMAT))

    def reconnect(
        self,
        target: Target,
        wait: Wait,
        *,
        restart_libvirtd: bool,  # noqa: ARG002 - Slurm knows nothing of it
        life: float | None,
    ) -> None:
        """Wait until the new slurmd has registered: it does so by itself, nothing is asked for."""
        while True:
            try:
                node = self._node(target.host, wait)
                found = f"{node.state}, slurmd started at {node.slurmd_started}"
                if _is_back(node, life):
                    return
            except CallFailed as error:
                found = str(error)
            try:
                wait.pause(_POLL_SECONDS)
            except CallFailed as late:
                raise CallFailed(f"{late}: {found}") from late

    def doubt(self, agent: str, wait: Wait) -> str | None:
        """Return which hosts of the inventory Slurm does not know; ask for jobs on one."""
        hosts = list(self._hosts())
        if not hosts:
            return "the inventory has no host of its own"
        known = set(
            re.findall(r"^NodeName=(\S+)", self._run(wait, "scontrol", "show", "node"), re.M)
        )
        missing = [name for host in hosts if (name := self._name(host)) not in known]
        if missing:
            return f"it does not know {', '.join(missing[:NAMES_LISTED])}"
        self.tasks(Target(hosts[0], agent, ""), wait)
        return None

    def _name(self, host: Host) -> str:
        name = name_there(self.settings, host)
        if not _NODE_NAME.fullmatch(name) or name.upper() == _ALL_NODES:
            raise CallFailed(f"{line(name)} is not the name of one node")
        return name

    def _node(self, host: Host, wait: Wait) -> Node:
        name = self._name(host)
        return node_of(self._run(wait, "scontrol", "show", "node", name), name)

    def _update(self, node: Node, wait: Wait, *changes: str) -> None:
        self._run(wait, "scontrol", "update", f"NodeName={node.name}", *changes)

    def _run(self, wait: Wait, program: str, *arguments: str) -> str:
        """Return what a command of Slurm's printed. Raises CallFailed unless it ended well."""
        command = " ".join((program, *arguments))
        try:
            ran = subprocess.run(  # noqa: S603 - no shell, and names of one node only
                [str(self.settings.bin_dir / program), *arguments],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=wait.remaining_seconds(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CallFailed(f"{command}: {wait.late}") from None
        except OSError as error:
            raise CallFailed(f"{command}: {error}") from error
        if ran.returncode:
            said = line(" ".join(ran.stderr.decode(errors="replace").split()))
            raise CallFailed(f"{command}: ended with {ran.returncode}: {said}")
        return ran.stdout.decode(errors="replace")

    def _environment(self) -> dict[str, str]:
        """Return that of the commands: times as unix times, and no defaults of a user's."""
        kept = {key: text for key, text in os.environ.items() if not key.startswith("SQUEUE_")}
        conf = self.settings.conf_file
        return {
            **kept,
            "LC_ALL": "C",
            "SLURM_TIME_FORMAT": "%s",
            **({"SLURM_CONF": str(conf)} if conf else {}),
        }


def _is_back(node: Node, life: float | None) -> bool:
    if node.host_state is not HostState.CONNECTED or node.slurmd_started is None:
        return False
    return life is None or node.slurmd_started >= life - _CLOCK_SECONDS
