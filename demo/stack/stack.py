"""The stack: one host with its agent and exporter, and all that watches over it, on loopback.

    with prepared(tools.find("stable"), folder) as stack:
        stack.start()

Every part is a real process. Parts are Programs and can be stopped, killed and started one by
one; the agent is a service, as on a real host, and is restarted over SSH only.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from demo.stack import configs, sshd
from demo.stack.http import Json, answers, post
from demo.stack.layout import Layout, Pace, Ports
from demo.stack.own_programs import ENVIRONMENT, ours
from demo.stack.ports import reserve_ports
from demo.stack.processes import Program, wait_until
from demo.stack.tools import Tools


@dataclass(frozen=True, slots=True)
class Stack:
    """The parts of a layout. What they say is the Observer's to ask."""

    layout: Layout
    programs: dict[str, Program]
    """By name, in the order in which they are started; stopped the other way round."""

    def start(self) -> None:
        """Start every part and wait until each answers. Raises ProgramFailed, NotInTime."""
        self._service("start")
        for program in self.programs.values():
            program.start()
        wait_until(
            "the agent to answer its health check",
            lambda: answers(self.layout.url("agent", "/host/echo")),
            seen=lambda: (self.layout.service / "agent.log").read_text(encoding="utf-8")[-1000:],
        )

    def stop(self) -> None:
        """Stop every part. What would act on the host goes first, the host last."""
        for program in reversed(self.programs.values()):
            program.stop()
        self._service("stop")

    def _service(self, action: str) -> None:
        command = (configs.SERVICE_SCRIPT, self.layout.service, action)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def agent_does(self, what: str, **arguments: Json) -> Json:
        """Have the agent grow or dump; see demo.agent."""
        return post(self.layout.url("agent", f"/{what}"), arguments)


@contextmanager
def prepared(tools: Tools, folder: Path, pace: Pace | None = None) -> Iterator[Stack]:
    """Write every configuration into ``folder``, which must not exist or be empty.

    Nothing of the stack runs any more when this is left.
    """
    with reserve_ports() as free:
        ports = Ports(*free[: len(fields(Ports))])
        layout = Layout(folder.absolute(), ports, pace or Pace())
        server = sshd.configure(tools.sshd, layout.folder / "ssh", ports.sshd)
        configs.write_all(layout, server)
        stack = Stack(layout, _programs(layout, tools, server))
        with ExitStack() as cleanup:
            cleanup.callback(stack.stop)
            yield stack


def _programs(layout: Layout, tools: Tools, server: sshd.Sshd) -> dict[str, Program]:
    def program(part: str, health: str, *argv: str | Path) -> Program:
        log = layout.logs / f"{part}.log"
        return Program(
            part,
            argv,
            log,
            lambda: answers(layout.url(part, health)),
            ENVIRONMENT,
        )

    def served(part: str, health: str, *argv: str | Path) -> Program:
        """Return a program with Prometheus's usual flags."""
        config = f"--config.file={layout.folder / part}.yml"
        listen = f"--web.listen-address={layout.address(part)}"
        return program(part, health, *argv, config, listen)

    def demo(part: str, health: str, *argv: str) -> Program:
        listen = f"--listen={layout.address(part)}"
        return program(part, health, sys.executable, "-m", f"demo.{part}", listen, *argv)

    def memleash(part: str) -> Program:
        config, log = layout.folder / f"{part}.yml", layout.logs / f"{part}.log"
        return ours(part, config, getattr(layout.ports, part), log)

    alertmanager_storage = f"--storage.path={layout.folder / 'alertmanager'}"
    prometheus_storage = f"--storage.tsdb.path={layout.folder / 'prometheus'}"
    parts = [
        demo("pager", "/pages"),
        demo("controller", "/calls", f"--agent-url={layout.url('agent', '/host/echo')}"),
        memleash("exporter"),
        served("blackbox", "/-/healthy", tools.blackbox_exporter),
        served(
            *("alertmanager", "/-/ready", tools.alertmanager),
            *(alertmanager_storage, "--cluster.listen-address="),
        ),
        served("prometheus", "/-/ready", tools.prometheus, prometheus_storage),
        server.program,
        memleash("responder"),
    ]
    return {part.name: part for part in parts}
