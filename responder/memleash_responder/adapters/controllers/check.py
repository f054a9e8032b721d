"""The harmless part of the conformance suite, against a live controller: it only asks.

A question passes when its answer can be used, whichever it is: a host with a running task passes.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from memleash_responder.adapters.controllers.controller import (
    FAILURES,
    NO_HOST,
    CallFailed,
    Controller,
    Target,
    Wait,
    name_there,
)
from memleash_responder.core.facts import Host
from memleash_responder.core.untrusted import NAMES_LISTED, line

Question = Callable[[Controller, Host, str], str]


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One question to a controller, and its answer."""

    check: str
    passes: bool
    said: str
    """The answer, or why there is none."""
    seconds: float
    """How long it took."""


def check(client: Controller, host: Host, agent: str) -> list[Finding]:
    """Ask every question about a host of the controller's own, all at once."""
    with ThreadPoolExecutor(len(QUESTIONS), "check") as pool:
        asked = [
            pool.submit(_answer, name, question, client, host, agent)
            for name, question in QUESTIONS.items()
        ]
        return [one.result() for one in asked]


def _answer(name: str, ask: Question, client: Controller, host: Host, agent: str) -> Finding:
    began = time.monotonic()
    try:
        said, passes = ask(client, host, agent), True
    except FAILURES as error:
        said, passes = str(error), False
    return Finding(name, passes, line(said), time.monotonic() - began)


def _name(client: Controller, host: Host, _agent: str) -> str:
    if not client.settings.has_host(host):
        raise CallFailed("the host is not its own: no matcher of `hosts` matches it")
    return f"the controller calls it {name_there(client.settings, host)}"


def _state(client: Controller, host: Host, _agent: str) -> str:
    if not client.knows_states:
        return "it has no state_url, so it is not asked"
    state = client.state(host, _wait(client))
    return "it says nothing of this host: not its own" if state is None else str(state)


def _tasks(client: Controller, host: Host, agent: str) -> str:
    if not client.knows_tasks:
        return "it has no tasks_url, so it is not asked"
    running = client.tasks(Target(host, agent, ""), _wait(client))
    names = ", ".join(task.name for task in running[:NAMES_LISTED])
    return f"{len(running)} running: {names}" if running else "none is running"


def _unknown_host(client: Controller, host: Host, agent: str) -> str:
    """Ask about a host that does not exist: to have nothing to say of it is the good answer."""
    label = client.settings.host_label
    labels = {**host.labels, "host": NO_HOST, **({label: NO_HOST} if label else {})}
    nobody = Host(NO_HOST, "", "", labels)
    for ask in (_state_of, _running_of):
        try:
            said = ask(client, nobody, agent)
        except FAILURES:
            continue
        if said:
            raise CallFailed(f"of {NO_HOST}, which does not exist, it says: {said}")
    return f"it knows nothing of {NO_HOST}, which does not exist"


def _state_of(client: Controller, host: Host, _agent: str) -> str:
    state = client.state(host, _wait(client)) if client.knows_states else None
    return "" if state is None else str(state)


def _running_of(client: Controller, host: Host, agent: str) -> str:
    if not client.knows_tasks:
        return ""
    running = client.tasks(Target(host, agent, ""), _wait(client))
    return f"{len(running)} tasks run" if running else ""


def _settings(client: Controller, _host: Host, agent: str) -> str:
    doubt = client.doubt(agent, _wait(client)) if client.knows_tasks else None
    if doubt is not None:
        raise CallFailed(doubt)
    return "its answers seem good"


def _wait(client: Controller) -> Wait:
    return Wait.of(client.settings.timeout)


QUESTIONS: Mapping[str, Question] = {
    "name": _name,
    "state": _state,
    "tasks": _tasks,
    "unknown host": _unknown_host,
    "settings": _settings,
}
"""By what they are about."""
