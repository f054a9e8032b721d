"""The exporter's settings: what a configuration file may say, and its defaults.

Validated once when read; the rest of the package sees only these classes.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from memleash_toolkit.values import (
    Duration,
    HostAndPort,
    HttpUrl,
    Line,
    Name,
    OneOrMore,
    Pattern,
    Service,
    SizeOrZero,
)

MIB = 1024**2

CONFIG_FILE = Path("/etc/memleash/exporter.yml")
"""Where the configuration file is when no flag says so."""

BUSY_MARKERS_DIRECTORY = Path("/run/memleash/busy")
"""Where markers are looked for and put: one directory per agent below it."""


@dataclass(frozen=True, slots=True)
class Discover:
    """How the agent's main process is found: by exactly one of these."""

    systemd_unit: Service | None = None
    pidfile: Path | None = None
    cmdline: Pattern | None = None
    """Searched for in the arguments joined by spaces."""

    def __post_init__(self) -> None:
        _exactly_one(self, "systemd_unit", "pidfile", "cmdline")


class LimitsOf(enum.StrEnum):
    """Which memory the limits are held against."""

    MAIN = "main"
    """The main process's VmRSS."""
    TREE = "tree"
    """VmRSS of the main process and all its descendants, summed up."""
    ANONYMOUS = "anonymous"
    """The main process's RssAnon and VmSwap: what it allocated, swapped out or not."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Which memory is limited, and this host's override of the rules' limits; 0 is off."""

    of: LimitsOf = LimitsOf.MAIN
    alarm_threshold: SizeOrZero | None = None
    hard_limit: SizeOrZero | None = None

    def warnings(self) -> list[str]:
        """Return what is allowed and hardly meant."""
        odd = [
            f"{name} {size} is under 1MiB: was a unit forgotten?"
            for name, size in (
                ("alarm_threshold", self.alarm_threshold),
                ("hard_limit", self.hard_limit),
            )
            if size and size < MIB
        ]
        if self.alarm_threshold and self.hard_limit and self.alarm_threshold > self.hard_limit:
            odd.append("alarm_threshold is over hard_limit: the alarm is at hard_limit")
        return odd


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """What is asked in the background, one answer every so often."""

    timeout: Duration = Duration(2.0)
    interval: Duration = Duration(5.0)
    max_age: Duration = Duration(15.0)

    def __post_init__(self) -> None:
        if self.max_age < self.timeout + self.interval:
            raise ValueError(
                "max_age must be at least timeout + interval, or words expire too early"
            )


@dataclass(frozen=True, slots=True)
class Markers:
    """Busy while a live marker file is in the agent's directory."""


@dataclass(frozen=True, slots=True)
class HttpBusy(Paced):
    """Busy while ``field`` (dots go deeper) of the JSON at ``url`` is true, or a number over 0."""

    url: HttpUrl
    field: Line = "busy"


@dataclass(frozen=True, slots=True)
class Children:
    """Busy while a descendant's command line matches."""

    cmdline: Pattern


@dataclass(frozen=True, slots=True)
class CommandBusy(Paced):
    """Busy when ``argv`` exits 0, idle when it exits 1, as with pgrep or grep; else unknown."""

    argv: OneOrMore[str]

    def __post_init__(self) -> None:
        _check_program(self.argv)
        Paced.__post_init__(self)


@dataclass(frozen=True, slots=True)
class FilesBusy:
    """Busy while a file that ``glob`` matches is there, no older than ``max_age``.

    A file whose content names a process counts only while that process lives.
    """

    glob: Path
    """Wildcards may stand in the file's name only."""
    max_age: Duration = Duration(3600.0)

    def __post_init__(self) -> None:
        if any(character in str(self.glob.parent) for character in "*?["):
            raise ValueError("glob may have wildcards in the file's name only, not in its folder")


BusyKind = Markers | HttpBusy | Children | CommandBusy | FilesBusy
"""Every kind of busy source; collector/busy_sources.py says how each is asked."""


@dataclass(frozen=True, slots=True)
class BusySource:
    """One of the places to ask whether the agent is busy."""

    markers: Markers | None = None
    http: HttpBusy | None = None
    children: Children | None = None
    command: CommandBusy | None = None
    files: FilesBusy | None = None

    def __post_init__(self) -> None:
        _exactly_one(self, *self.__slots__)

    @property
    def kind(self) -> str:
        """The name of the one that is given."""
        return next(kind for kind in self.__slots__ if getattr(self, kind) is not None)

    @property
    def given(self) -> BusyKind:
        """The one that is given."""
        given: BusyKind = getattr(self, self.kind)
        return given


@dataclass(frozen=True, slots=True)
class HttpReady(Paced):
    """Ready while ``url`` answers with a status of 200 to 299."""

    url: HttpUrl


@dataclass(frozen=True, slots=True)
class TcpReady(Paced):
    """Ready while ``address`` (host:port) accepts a connection. May be given as that text alone."""

    address: HostAndPort

    @classmethod
    def from_text(cls, text: HostAndPort) -> TcpReady:
        """Return the probe of ``text`` at the default pace."""
        return cls(text)


@dataclass(frozen=True, slots=True)
class UnixReady(Paced):
    """Ready while the stream socket at ``path`` accepts a connection. May be given as a path."""

    path: Path

    @classmethod
    def from_text(cls, text: Path) -> UnixReady:
        """Return the probe of the socket at ``text`` at the default pace."""
        return cls(text)


@dataclass(frozen=True, slots=True)
class CommandReady(Paced):
    """Ready when ``argv`` exits 0, not ready when it exits 1; else unknown."""

    argv: OneOrMore[str]

    def __post_init__(self) -> None:
        _check_program(self.argv)
        Paced.__post_init__(self)


class ActiveState(enum.StrEnum):
    """The state of a systemd unit that counts as ready."""

    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class SystemdReady(Paced):
    """Ready while systemd calls the agent's unit ``state``. May be given as that state alone.

    A unit of ``Type=notify`` is active once the agent has said that it is ready; one of another
    type as soon as its process runs, which proves little.
    """

    state: ActiveState

    @classmethod
    def from_text(cls, text: ActiveState) -> SystemdReady:
        """Return the probe for the state ``text`` at the default pace."""
        return cls(text)


ReadyKind = HttpReady | TcpReady | UnixReady | CommandReady | SystemdReady | Duration
"""Every kind of readiness probe; collector/readiness.py says how each is asked."""


@dataclass(frozen=True, slots=True)
class Ready:
    """How to see that the agent answers: by exactly one of these."""

    http: HttpReady | None = None
    tcp: TcpReady | None = None
    unix: UnixReady | None = None
    command: CommandReady | None = None
    systemd: SystemdReady | None = None
    alive_for: Duration | None = None
    """Ready once its process is so old: a weak proof, for an agent that answers nobody."""

    def __post_init__(self) -> None:
        _exactly_one(self, *self.__slots__)

    @property
    def given(self) -> ReadyKind:
        """The one that is given."""
        given: ReadyKind = next(
            getattr(self, kind) for kind in self.__slots__ if getattr(self, kind) is not None
        )
        return given


@dataclass(frozen=True, slots=True)
class Agent:
    """A watched process."""

    name: Name
    discover: Discover
    limits: Limits = Limits()
    include_children: bool = False
    busy: tuple[BusySource, ...] = ()
    ready: Ready | None = None

    def __post_init__(self) -> None:
        if self.ready and self.ready.systemd and self.discover.systemd_unit is None:
            raise ValueError("ready.systemd needs discover.systemd_unit: it asks about that unit")

    def warnings(self) -> list[str]:
        """Return what a responder cannot do for this agent, and what is hardly meant."""
        missing = self.limits.warnings()
        if not self.busy:
            missing.append("no busy source: whether it is busy is unknown, so nothing restarts it")
        if self.ready is None:
            missing.append("no ready probe: a restart could not be proven, so nothing restarts it")
        return [f"{self.name}: {one}" for one in missing]

    def named_sources(self) -> list[tuple[str, BusySource]]:
        """Return the busy sources with their label: the kind, the second of a kind ``http_2``."""
        count: Counter[str] = Counter()
        named = []
        for source in self.busy:
            count[source.kind] += 1
            number = count[source.kind]
            named.append((source.kind if number == 1 else f"{source.kind}_{number}", source))
        return named


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration file."""

    agents: tuple[Agent, ...]
    busy_markers_directory: Path = BUSY_MARKERS_DIRECTORY

    def __post_init__(self) -> None:
        for name, count in Counter(agent.name for agent in self.agents).items():
            if count > 1:
                raise ValueError(f"agents: the name {name!r} is given {count} times")


def _exactly_one(settings: object, *names: str) -> None:
    given = [name for name in names if getattr(settings, name) is not None]
    if len(given) != 1:
        raise ValueError(
            f"give exactly one of {', '.join(names)}; given: {', '.join(given) or 'none'}"
        )


def _check_program(argv: tuple[str, ...]) -> None:
    if not argv[0].startswith("/"):
        raise ValueError("argv must begin with the absolute path of a program")
