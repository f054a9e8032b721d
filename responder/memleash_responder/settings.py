"""The responder's configuration file: every key, its default beside it, checked before use.

Everything else in the package sees only a Settings. Secrets stand in files and never print.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from memleash_responder.controller_settings import Controller, HttpControllerSettings
from memleash_responder.core.access import Access, Links
from memleash_responder.core.diagnosis_settings import Diagnose
from memleash_responder.core.facts import Host
from memleash_responder.core.libvirtd_choice import LibvirtdChoice, LibvirtdRule, choose_libvirtd
from memleash_responder.core.policy import Fleet, Guards, Mode, Mute, RestartPolicy
from memleash_responder.core.restart_windows import parse_window
from memleash_responder.core.values import (
    AlertSelector,
    DatabaseUrl,
    UrlPath,
    WindowText,
)
from memleash_responder.http_settings import HttpConfig
from memleash_responder.notify_settings import Notify
from memleash_toolkit import settings as toolkit_settings
from memleash_toolkit.values import (
    BaseUrl,
    Command,
    Count,
    Duration,
    Name,
    OneOrMore,
    Port,
    Size,
    Word,
)

MIB = 1024**2


@dataclasses.dataclass(frozen=True, slots=True)
class Prometheus(HttpConfig):
    """Where the rules are evaluated, or Thanos, Mimir, VictoriaMetrics in its place."""

    url: BaseUrl = "http://127.0.0.1:9090"
    timeout: Duration = Duration(10)


@dataclasses.dataclass(frozen=True, slots=True)
class Alertmanager(HttpConfig):
    """The peers of one Alertmanager cluster. A silence is posted to one of them."""

    urls: OneOrMore[BaseUrl] = ("http://127.0.0.1:9093",)
    timeout: Duration = Duration(10)


@dataclasses.dataclass(frozen=True, slots=True)
class Exporter(HttpConfig):
    """How to scrape the hosts' exporters; their addresses stand in the inventory."""

    scheme: Literal["http", "https"] = "http"
    metrics_path: UrlPath = "/metrics"
    timeout: Duration = Duration(5)


@dataclasses.dataclass(frozen=True, slots=True)
class InventorySettings:
    """Files in Prometheus's file_sd format; globs are allowed in the last part, as there."""

    files: OneOrMore[Path]


@dataclasses.dataclass(frozen=True, slots=True)
class Ssh:
    """How to reach the hosts. Host keys are always checked."""

    user: Word | None = None
    port: Port | None = None
    identity_file: Path | None = None
    known_hosts_file: Path | None = None
    config_file: Path | None = None
    connect_timeout: Duration = Duration(10)
    """For each of: TCP connect, banner, authentication, opening the channel."""
    command_timeout: Duration = Duration(60)
    pty: bool = False
    """For hosts whose sudo has ``requiretty``: commands get a terminal, and stderr is in stdout."""


@dataclasses.dataclass(frozen=True, slots=True)
class Readiness:
    """How long a new life may take to answer."""

    probes: Count = 60
    timeout: Duration = Duration(10)
    interval: Duration = Duration(1)


@dataclasses.dataclass(frozen=True, slots=True)
class Agent:
    """What may be done about one kind of agent, and how."""

    restart_command: Command
    mode: Mode = Mode.OBSERVE
    readiness: Readiness = dataclasses.field(default_factory=Readiness)
    reconnect_timeout: Duration = Duration(1800)
    guards: Guards = dataclasses.field(default_factory=Guards)
    windows: tuple[WindowText, ...] | None = None
    """When its restarts may begin. None: as for the fleet; empty: at any time."""
    block_while_firing: tuple[AlertSelector, ...] = ()
    """Beside those of the fleet."""
    restart_libvirtd: LibvirtdRule | None = None
    """Over the controllers' own settings."""
    diagnose: Diagnose | None = None
    """None: no evidence is taken of it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Retention:
    """How much of the past is kept."""

    age: Duration = Duration(90 * 86400)
    restarts: Count = 10_000
    alerts: Count = 100_000


@dataclasses.dataclass(frozen=True, slots=True)
class Replicas:
    """How replicas on one PostgreSQL know of each other."""

    dead_after: Duration = Duration(20)
    """A replica that gives no sign for so long has its work taken over."""

    @property
    def heartbeat(self) -> float:
        """The seconds between two signs: several may be late before the work is taken over."""
        return self.dead_after / 6


@dataclasses.dataclass(frozen=True, slots=True)
class Webhook:
    """What a notification may weigh, and how many may wait."""

    max_body_bytes: Size = Size(32 * MIB)
    max_backlog: Count = 10_000
    """Notifications stored and not yet handled; beyond it Alertmanager is told to try again."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReportSettings:
    """Where the reports of diagnoses are kept, and how many."""

    folder: Path = Path("/var/lib/memleash/reports")
    keep_per_agent: Count = 10
    """On each host."""
    keep_bytes: Size = Size(1024**3)
    """All together; the oldest go first."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """The whole file."""

    inventory: InventorySettings
    agents: dict[Name, Agent]
    prometheus: Prometheus = dataclasses.field(default_factory=Prometheus)
    alertmanager: Alertmanager = dataclasses.field(default_factory=Alertmanager)
    database: DatabaseUrl = "sqlite:////var/lib/memleash/responder.db"
    ssh: Ssh = dataclasses.field(default_factory=Ssh)
    controllers: tuple[Controller, ...] = ()
    exporter: Exporter = dataclasses.field(default_factory=Exporter)
    fleet: Fleet = dataclasses.field(default_factory=Fleet)
    mute: Mute = dataclasses.field(default_factory=Mute)
    retention: Retention = dataclasses.field(default_factory=Retention)
    replicas: Replicas = dataclasses.field(default_factory=Replicas)
    webhook: Webhook = dataclasses.field(default_factory=Webhook)
    reports: ReportSettings = dataclasses.field(default_factory=ReportSettings)
    access: Access = dataclasses.field(default_factory=Access)
    links: Links = dataclasses.field(default_factory=Links)
    notify: tuple[Notify, ...] = ()

    def __post_init__(self) -> None:
        for key, named in (("controllers", self.controllers), ("notify", self.notify)):
            names = [one.name for one in named]
            if len(set(names)) != len(names):
                raise ValueError(f"{key}: names must differ: {', '.join(names)}")


def restart_policy(settings: Settings, agent: str) -> RestartPolicy:
    """Return what the guards of the configured ``agent`` go by."""
    configured = settings.agents[agent]
    fleet = settings.fleet
    windows = fleet.windows if configured.windows is None else configured.windows
    return RestartPolicy(
        configured.mode,
        configured.guards,
        fleet,
        tuple(map(parse_window, windows)),
        (*fleet.block_while_firing, *configured.block_while_firing),
    )


def libvirtd_choices(settings: Settings, host: Host, agent: str) -> dict[str, LibvirtdChoice]:
    """Return what each controller that reconnects is told about libvirtd, by its name."""
    of_agent = settings.agents[agent].restart_libvirtd
    return {
        one.name: choose_libvirtd(host.labels, of_agent, one.restart_libvirtd)
        for one in settings.controllers
        if isinstance(one, HttpControllerSettings)
        and one.reconnect_url is not None
        and one.has_host(host)
        and one.has_agent(agent)
    }


def counted_seconds(settings: Settings) -> float:
    """Return how far back any cooldown or budget counts restarts."""
    guards = [agent.guards for agent in settings.agents.values()]
    return max([3600.0, *(max(one.cooldown, one.per) for one in guards)])


def load(file: Path) -> Settings:
    """Read the configuration ``file``. Raises ConfigError."""
    return toolkit_settings.load(Settings, file)
