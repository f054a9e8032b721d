"""Responders on one PostgreSQL, and a real host: sshd, exporter, agent, controller."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from demo.stack import configs
from demo.stack.http import answers
from demo.stack.layout import Pace
from demo.stack.observer import Observer
from demo.stack.ports import free_port
from demo.stack.postgres import Postgres, running_postgres
from demo.stack.processes import wait_until
from demo.stack.responder import Responder, alert, responder
from demo.stack.stack import Stack, prepared
from demo.stack.tools import find

NEEDED = ("controller", "exporter", "prometheus", "alertmanager", "sshd")
"""The parts of the stack that a restart needs."""


@dataclasses.dataclass(frozen=True)
class Site:
    """The host under test and how to put responders in charge of it."""

    stack: Stack
    postgres: Postgres
    folder: Path
    cleanup: ExitStack
    replicas: dict[str, Responder] = dataclasses.field(default_factory=dict)

    def config(self, **changes: Any) -> dict[str, Any]:
        """Return the stack's own responder configuration, on PostgreSQL and in a hurry."""
        file = self.stack.layout.folder / "responder.yml"
        config: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        config["database"] = self.postgres.url
        config["replicas"] = {"dead_after": "3s"}
        config["ssh"]["command_timeout"] = "5s"
        config["agents"][self.stack.layout.agent]["readiness"]["interval"] = "200ms"
        return config | changes

    def replica(
        self, name: str, *, halt_at: str | None = None, module: str | None = None, **changes: Any
    ) -> Responder:
        """Return a replica that is up.

        ``halt_at`` as demo.stack.faulty_responder has it; ``module`` is run in its stead.
        """
        one = responder(self.folder, free_port(), self.config(**changes), name)
        if halt_at is not None:
            one.become("demo.stack.faulty_responder", f"halt:{self.folder}", halt_at)
        elif module is not None:
            one.become(module)
        self.cleanup.callback(one.program.stop)
        one.program.start()
        self.replicas[name] = one
        return one

    @property
    def halted(self) -> Path:
        return self.folder / "halted"

    @property
    def go(self) -> Path:
        return self.folder / "go"

    @property
    def observer(self) -> Observer:
        return Observer(self.stack.layout)

    def starts(self) -> int:
        """Return how often the service was started, as its own log has it."""
        return len(self.observer.starts())

    def outcomes(self) -> list[str]:
        """Return the words of all requests, the oldest first; ``open`` has none yet."""
        query = "SELECT coalesce(outcome, 'open') FROM memleash_restarts ORDER BY requested_at"
        return self.postgres.query(query).split()

    def reasons(self) -> str:
        """Return why each request ended, one per line."""
        return self.postgres.query("SELECT outcome, reason FROM memleash_restarts")

    def over_the_limit(self) -> None:
        """Let the agent grow past its hard limit, and the exporter see it."""
        self.stack.agent_does("grow", to_mib=210)


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """Run the host and what it needs, in ``folder``; no replica yet."""
    pace = Pace(start_delay_seconds=0.5)
    with (
        running_postgres() as postgres,
        prepared(find(), folder / "stack", pace) as stack,
        ExitStack() as cleanup,
    ):
        service = (configs.SERVICE_SCRIPT, stack.layout.service, "start")
        subprocess.run(service, check=True, stdout=subprocess.DEVNULL)
        for name in NEEDED:
            stack.programs[name].start()
        wait_until("the agent to answer", lambda: answers(stack.layout.url("agent", "/host/echo")))
        replicas = folder / "replicas"
        replicas.mkdir()
        yield Site(stack, postgres, replicas, cleanup)


def halted_in_a_restart(
    site: Site, point: str, *, second: str | None = None, **changes: Any
) -> tuple[Responder, Responder]:
    """Return a replica that halted at ``point`` of a restart, and another that is up.

    ``second``: the module that the other runs, if it is not the responder's own. ``changes`` are
    to the configuration of both.
    """
    first = site.replica("first", halt_at=point, **changes)
    site.over_the_limit()
    about = alert(1, host=site.stack.layout.host, agent=site.stack.layout.agent)
    assert first.tell(about) == 202
    wait_until(f"the first replica to halt at {point}", site.halted.exists, seen=site.outcomes)
    return first, site.replica("second", module=second, **changes)


def final_words(site: Site) -> list[str]:
    """Wait until every request there is has its word, and return them, the oldest first."""
    wait_until(
        "the requests' words",
        lambda: site.outcomes() and "open" not in site.outcomes(),
        seen=site.outcomes,
    )
    return site.outcomes()


def is_restarted_once(site: Site) -> None:
    assert final_words(site) == ["restarted"], site.reasons()
    assert site.starts() == 2  # the first start, and one restart
    assert site.observer.controller_calls().count("undrain") >= 1
