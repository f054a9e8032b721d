"""Which questions an agent's configuration asks in the background, and how each is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import assert_never

from memleash_exporter.adapters import probes
from memleash_exporter.adapters.background import BackgroundProbe
from memleash_exporter.adapters.systemd import Systemctl
from memleash_exporter.settings import (
    Agent,
    CommandBusy,
    CommandReady,
    HttpBusy,
    HttpReady,
    SystemdReady,
    TcpReady,
    UnixReady,
)
from memleash_toolkit.addresses import parse_host_and_port, parse_url

ProbeSettings = (
    HttpBusy | CommandBusy | HttpReady | TcpReady | UnixReady | CommandReady | SystemdReady
)


@dataclass(frozen=True, slots=True)
class ProbeKey:
    """Which background probe: equal keys survive a reload with their last answer."""

    agent: str
    settings: ProbeSettings
    unit: str | None = None
    """The agent's systemd unit, where the question is about that."""


def busy_key(agent: Agent, settings: HttpBusy | CommandBusy) -> ProbeKey:
    """Return the key of the busy source ``settings`` of ``agent``."""
    return ProbeKey(agent.name, settings)


def ready_key(agent: Agent) -> ProbeKey | None:
    """Return the key of the agent's readiness probe; None where nothing is asked for it."""
    given = None if agent.ready is None else agent.ready.given
    if isinstance(given, SystemdReady):
        return ProbeKey(agent.name, given, agent.discover.systemd_unit)
    if isinstance(given, HttpReady | TcpReady | UnixReady | CommandReady):
        return ProbeKey(agent.name, given)
    return None


def keys(agent: Agent) -> Iterator[ProbeKey]:
    """Yield the key of each probe that ``agent`` needs in the background."""
    for source in agent.busy:
        if isinstance(source.given, HttpBusy | CommandBusy):
            yield busy_key(agent, source.given)
    ready = ready_key(agent)
    if ready is not None:
        yield ready


def new_probe(key: ProbeKey, systemctl: Systemctl) -> BackgroundProbe:
    """Return the background probe for ``key``, not started."""
    return BackgroundProbe(
        f"{key.agent}/{type(key.settings).__name__}",
        _question(key, systemctl),
        interval=key.settings.interval,
        max_age=key.settings.max_age,
    )


def _question(key: ProbeKey, systemctl: Systemctl) -> Callable[[], bool]:
    settings, timeout = key.settings, key.settings.timeout
    match settings:
        case HttpBusy():
            url, field = parse_url(settings.url), settings.field
            return lambda: probes.http_busy(url, field, timeout)
        case CommandBusy() | CommandReady():
            argv = settings.argv
            return lambda: probes.command_says_yes(argv, timeout)
        case HttpReady():
            ready_url = parse_url(settings.url)
            return lambda: probes.http_ready(ready_url, timeout)
        case TcpReady():
            address = parse_host_and_port(settings.address)
            return lambda: probes.tcp_ready(address, timeout)
        case UnixReady():
            path = settings.path
            return lambda: probes.unix_ready(path, timeout)
        case SystemdReady():
            unit = key.unit or ""
            return lambda: probes.systemd_ready(systemctl, unit, timeout)
        case forgotten:
            assert_never(forgotten)
