"""The settings of controllers: a class for each kind, and what all kinds have in common.

A key of another kind is an unknown key. Secrets stand in files, which are read at each use.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from memleash_responder.core.facts import Host
from memleash_responder.core.libvirtd_choice import LibvirtdRule
from memleash_responder.core.matchers import parse_matcher
from memleash_responder.core.values import HostUrlTemplate, MatcherText, TimeZone, UrlTemplate
from memleash_responder.http_settings import (
    Authorization,
    BasicAuth,
    HttpConfig,
    HttpHeader,
    TlsConfig,
)
from memleash_toolkit.values import BaseUrl, ByKind, Duration, Line, Name, OneOrMore, Word


@dataclasses.dataclass(frozen=True, slots=True)
class ControllerSettings:
    """What every kind has: its name, whom it concerns, and how long a call may take."""

    name: Name = ""
    kind: str = ""
    hosts: OneOrMore[MatcherText] | None = None
    """Matchers on the inventory's labels: a host that one of them matches is its own. None: all."""
    agents: OneOrMore[Name] | None = None
    """The agents whose restarts concern it. None: all."""
    host_label: Word | None = None
    """The label of the inventory that holds its name for a host. None: the host's own name."""
    timeout: Duration = Duration(10)
    """For each call, however many requests it takes; a reconnect has the agent's own."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name is missing; it is required here")

    def has_host(self, host: Host) -> bool:
        """Whether a host is its own; one that left the inventory, and has no labels, may be."""
        if self.hosts is None or not host.labels:
            return True
        return any(parse_matcher(text).matches(host.labels) for text in self.hosts)

    def has_agent(self, agent: str) -> bool:
        """Whether the restarts of ``agent`` concern it."""
        return self.agents is None or agent in self.agents


@dataclasses.dataclass(frozen=True, slots=True)
class HttpControllerSettings(ControllerSettings):
    """JSON over HTTP, for a shim of one's own. ``{host}`` and ``{agent}`` are filled in."""

    kind: Literal["http"] = "http"
    drain_url: UrlTemplate | None = None
    undrain_url: UrlTemplate | None = None
    tasks_url: UrlTemplate | None = None
    reconnect_url: UrlTemplate | None = None
    state_url: HostUrlTemplate | None = None
    bearer_token_file: Path | None = None
    authorization: Authorization | None = None
    basic_auth: BasicAuth | None = None
    tls_config: TlsConfig = dataclasses.field(default_factory=TlsConfig)
    http_headers: dict[Name, HttpHeader] = dataclasses.field(default_factory=dict)
    restart_libvirtd: LibvirtdRule | None = None
    """Whether it is told to when it takes a host back; see LibvirtdRule."""

    def __post_init__(self) -> None:
        ControllerSettings.__post_init__(self)
        if (self.drain_url is None) != (self.undrain_url is None):
            raise ValueError("drain_url and undrain_url go together")
        given = (self.bearer_token_file, self.authorization, self.basic_auth)
        if sum(one is not None for one in given) > 1:
            raise ValueError("give one of bearer_token_file, authorization and basic_auth")

    @property
    def http_config(self) -> HttpConfig:
        """How to speak HTTP with it."""
        bearer = self.authorization
        if self.bearer_token_file is not None:
            bearer = Authorization(credentials_file=self.bearer_token_file)
        return HttpConfig(bearer, self.basic_auth, self.tls_config, self.http_headers)


class ZstackWork(enum.StrEnum):
    """Tasks of a host in ZStack that refuse a restart."""

    RUNNING = "running"
    """It is under way: a restart of kvmagent breaks it."""
    PENDING = "pending"
    """It waits for one that runs. It begins when that one ends, a restart or not."""


@dataclasses.dataclass(frozen=True, slots=True)
class ZstackSettings(ControllerSettings):
    """The management nodes of a ZStack, behind one address. Hosts are called by their UUIDs."""

    kind: Literal["zstack"] = "zstack"
    url: BaseUrl = dataclasses.field(kw_only=True)
    """Of the REST API, with its path: http://MN:8080/zstack/v1."""
    access_key_file: Path | None = None
    """One line, ``ID:SECRET``."""
    account: Word | None = None
    password_file: Path | None = None
    time_zone: TimeZone = "UTC"
    """That of the management nodes. ZStack compares the time of a signed request with their clocks
    and ignores its zone, unless its rest.checkTimeZone is set."""
    tls_config: TlsConfig = dataclasses.field(default_factory=TlsConfig)
    count: OneOrMore[ZstackWork] = (ZstackWork.RUNNING,)
    """What refuses a restart."""

    def __post_init__(self) -> None:
        ControllerSettings.__post_init__(self)
        if (self.account is None) != (self.password_file is None):
            raise ValueError("account and password_file go together")
        if (self.account is None) == (self.access_key_file is None):
            raise ValueError("give one of access_key_file and account")


class SlurmWork(enum.StrEnum):
    """Jobs of a node in Slurm that refuse a restart, by their state."""

    CONFIGURING = "configuring"
    """It is being started: its node boots, or the prolog runs."""
    COMPLETING = "completing"
    """It is being ended: the epilog runs."""
    RUNNING = "running"
    """It is under way. It survives a restart of slurmd."""
    SUSPENDED = "suspended"
    """It was stopped for a while, and holds its memory. It survives a restart of slurmd."""


@dataclasses.dataclass(frozen=True, slots=True)
class SlurmSettings(ControllerSettings):
    """A slurmctld, asked by Slurm's own commands on the responder's host."""

    kind: Literal["slurm"] = "slurm"
    bin_dir: Path = Path("/usr/bin")
    """Where scontrol and squeue are."""
    conf_file: Path | None = None
    """The slurm.conf that they read. None: the one that they find by themselves."""
    count: OneOrMore[SlurmWork] = (SlurmWork.CONFIGURING, SlurmWork.COMPLETING)
    """What refuses a restart."""


@dataclasses.dataclass(frozen=True, slots=True)
class SaltSettings(ControllerSettings):
    """A Salt master, asked by salt-api (rest_cherrypy). Hosts are called by their minions' ids."""

    kind: Literal["salt"] = "salt"
    url: BaseUrl = dataclasses.field(kw_only=True)
    """Of salt-api: https://MASTER:8000."""
    username: Word = dataclasses.field(kw_only=True)
    password_file: Path = dataclasses.field(kw_only=True)
    eauth: Word = "pam"
    """The backend of the master's external_auth that knows the user."""
    tls_config: TlsConfig = dataclasses.field(default_factory=TlsConfig)


class NovaWork(enum.StrEnum):
    """Work on a host in nova that refuses a restart."""

    SERVERS = "servers"
    """A server of the host has a task_state, or is being built."""
    MIGRATIONS = "migrations"
    """A migration from or to the host has not ended."""


class NovaInterface(enum.StrEnum):
    """Which endpoint of nova in Keystone's catalog."""

    PUBLIC = "public"
    """For users."""
    INTERNAL = "internal"
    """For the cloud's own services."""
    ADMIN = "admin"
    """For administrators; few clouds still have one."""


class DisabledByOthers(enum.StrEnum):
    """What a compute service is that somebody else has disabled."""

    MAINTENANCE = "maintenance"
    """Out of service: it is not restarted, and its host not pinged."""
    DRAINED = "drained"
    """In service, without new servers: it may be restarted, and stays disabled."""


@dataclasses.dataclass(frozen=True, slots=True)
class NovaSettings(ControllerSettings):
    """OpenStack's compute service. The names of keys are those of clouds.yaml."""

    kind: Literal["nova"] = "nova"
    auth_url: BaseUrl | None = None
    """Keystone's. None: there is none, and ``endpoint`` takes the token of ``token_file``."""
    username: Line | None = None
    password_file: Path | None = None
    user_domain_name: Line = "Default"
    project_name: Line | None = None
    project_domain_name: Line = "Default"
    application_credential_id: Word | None = None
    application_credential_secret_file: Path | None = None
    region_name: Line | None = None
    interface: NovaInterface = NovaInterface.PUBLIC
    endpoint: BaseUrl | None = None
    """Of nova, with its version. None: the one in Keystone's catalog."""
    token_file: Path | None = None
    tls_config: TlsConfig = dataclasses.field(default_factory=TlsConfig)
    count: OneOrMore[NovaWork] = tuple(NovaWork)
    """What refuses a restart."""
    disabled_by_others: DisabledByOthers = DisabledByOthers.MAINTENANCE

    def __post_init__(self) -> None:
        ControllerSettings.__post_init__(self)
        logins = (self.username, self.application_credential_id, self.token_file)
        if sum(one is not None for one in logins) != 1:
            raise ValueError("give one of username, application_credential_id and token_file")
        together = {
            "username": ("password_file", "project_name"),
            "application_credential_id": ("application_credential_secret_file",),
        }
        for login, others in together.items():
            for other in others:
                if (getattr(self, login) is None) != (getattr(self, other) is None):
                    raise ValueError(f"{login} and {other} go together")
        if self.token_file is None and self.auth_url is None:
            raise ValueError("auth_url is missing: a login needs it")
        if self.token_file is not None and (self.auth_url is not None or self.endpoint is None):
            raise ValueError("token_file needs endpoint, and no auth_url")
        if self.auth_url is not None and importlib.util.find_spec("keystoneauth1") is None:
            raise ValueError("auth_url needs keystoneauth1: install memleash[nova]")


KINDS: Mapping[str, type[ControllerSettings]] = {
    "http": HttpControllerSettings,
    "zstack": ZstackSettings,
    "slurm": SlurmSettings,
    "salt": SaltSettings,
    "nova": NovaSettings,
}
"""Every kind, and the class of its settings."""

Controller = Annotated[
    HttpControllerSettings | ZstackSettings | SlurmSettings | SaltSettings | NovaSettings,
    ByKind(KINDS, "http"),
]
"""The settings of one controller, of any kind."""


def warnings(controllers: Iterable[ControllerSettings]) -> list[str]:
    """Return which files of controllers are not there, for people who check a configuration."""
    return [
        f"controllers: {one.name}: {path}: {file} is not there: it cannot be asked"
        for one in controllers
        for path, file in _files(one)
        if not file.exists()
    ]


def _files(section: Any) -> Iterator[tuple[str, Path]]:
    """Yield the files that a section names, each with its place in it."""
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if isinstance(value, Path):
            yield field.name, value
        elif dataclasses.is_dataclass(value):
            yield from ((f"{field.name}.{place}", file) for place, file in _files(value))
