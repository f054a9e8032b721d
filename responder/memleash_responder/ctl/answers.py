"""What the responder's API answers, as far as memleashctl shows it, and how it is checked.

The only place where an answer becomes a shape. Keys that are not listed are passed over, so that
a newer responder is understood; one that is missing or odd means that something else answered.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_LARGEST = 2**63


class NotUnderstood(Exception):
    """The answer is not what the responder would have said; the text names the place."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """An answer as a shape, and the JSON that it came as."""

    shape: T
    json: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Pause:
    """A pause that holds."""

    name: str
    by: str
    reason: str
    since: datetime
    until: datetime | None


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """Whether restarts are allowed now, and what needs a person."""

    version: str
    pauses: list[Pause]
    storm: str | None
    open_restarts: int
    awaiting_approval: int
    muted_hosts: int
    quarantined: int
    disconnected: list[str]
    maintenance: list[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Mute:
    """Whether a host's pings are silenced."""

    until: datetime | None


@dataclasses.dataclass(frozen=True, slots=True)
class Agent:
    """An agent of a host."""

    limited_bytes: int | None
    alarm_threshold_bytes: int | None
    hard_limit_bytes: int | None
    busy: bool | None
    would_restart: bool
    verdict: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """A host of the fleet."""

    host: str
    state: str
    mute: Mute
    agents: dict[str, Agent]
    state_reason: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Guard:
    """What one guard says now."""

    guard: str
    passes: bool
    reason: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class StormCount:
    """How many hosts are over their limits at once, and how many of them are a storm."""

    over: int
    hosts: int
    storm_from: int


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """What a request made now would meet."""

    would_restart: bool
    verdict: str | None
    reason: str | None
    guards: list[Guard]
    storm: StormCount


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One question to a controller, and its answer."""

    check: str
    passes: bool
    said: str
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class ControllerCheck:
    """What a controller answers about a host."""

    passes: bool
    checks: list[Finding]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """How far one step of a restart got."""

    step: str
    state: str
    seconds: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """What came back of the restart command over SSH."""

    exit_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a restart, as far as they are shown."""

    command: Command | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Restart:
    """A request for a restart."""

    id: str
    host: str
    agent: str
    requested_at: datetime
    requested_by: str
    forced: bool
    purpose: str
    not_before: datetime | None
    step: str
    approval: str | None
    approval_by: str | None
    command_sent_at: datetime | None
    outcome: str | None
    reason: str
    facts: Facts
    progress: list[Step]


@dataclasses.dataclass(frozen=True, slots=True)
class Counted:
    """How many requests of an agent ended with a word; None: they go on."""

    agent: str
    outcome: str | None
    requests: int
    hosts: int


@dataclasses.dataclass(frozen=True, slots=True)
class Observed:
    """How many requests of an agent would have ended with a word."""

    agent: str
    would_be: str
    requests: int
    hosts: int


@dataclasses.dataclass(frozen=True, slots=True)
class Bought:
    """How long restarts kept an agent below its limit."""

    agent: str
    restarts: int
    shortest_seconds: float
    median_seconds: float
    longest_seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """What was done, what would have been done, and whether it helped."""

    since: datetime
    total: int
    restarts: list[Counted]
    observed: list[Observed]
    bought: list[Bought]


@dataclasses.dataclass(frozen=True, slots=True)
class Quarantined:
    """An agent that a restart did not help."""

    host: str
    agent: str
    since: datetime
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class HeldMute:
    """A mute in force."""

    host: str
    until: datetime
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """A report that was fetched from a host."""

    host: str
    agent: str
    time: str
    taken_at: datetime
    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Diagnosis:
    """A request for a diagnosis, and how far it got."""

    id: str
    host: str
    agent: str
    step: str
    pace: str | None
    outcome: str | None
    reason: str
    report: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class HostState:
    """What a host's state is now."""

    host: str
    state: str


@dataclasses.dataclass(frozen=True, slots=True)
class Maintenance:
    """Why a host is out of service, and until when."""

    by: str
    reason: str
    until: datetime | None


@dataclasses.dataclass(frozen=True, slots=True)
class Switched:
    """The pauses that hold now."""

    pauses: list[Pause]


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Why the responder said no (RFC 9457)."""

    detail: str


def understood(kind: type[T], raw: Any, place: str = "the answer") -> T:
    """Return ``raw``, which came as JSON, as a ``kind``. Raises NotUnderstood."""
    return typing.cast(T, _understood(kind, raw, place))


def _understood(kind: Any, raw: Any, place: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _dataclass(typing.cast(type, kind), raw, place)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if raw is None else _understood(args[0], raw, place)
    if origin is list and isinstance(raw, list):
        return [_understood(args[0], one, f"{place}[{n}]") for n, one in enumerate(raw)]
    if origin is dict and isinstance(raw, dict):
        return {key: _understood(args[1], one, f"{place}[{key!r}]") for key, one in raw.items()}
    if origin is None:
        return _plain(kind, raw, place)
    raise NotUnderstood(f"{place} is no {origin.__name__}")


def _dataclass(kind: type, raw: Any, place: str) -> Any:
    if not isinstance(raw, dict):
        raise NotUnderstood(f"{place} is no object")
    kinds, values = typing.get_type_hints(kind), {}
    for field in dataclasses.fields(kind):
        if field.name in raw:
            values[field.name] = _understood(
                kinds[field.name], raw[field.name], f"{field.name} in {place}"
            )
        elif field.default is dataclasses.MISSING:
            raise NotUnderstood(f"{field.name} is missing in {place}")
    return kind(**values)


def _plain(kind: type, raw: Any, place: str) -> Any:
    if kind is object:
        return raw
    if kind is datetime:
        return _moment(raw, place)
    if kind is float and isinstance(raw, int | float) and not isinstance(raw, bool):
        fits = -_LARGEST < raw < _LARGEST and not math.isnan(raw)
    elif kind is int:
        fits = type(raw) is int and -_LARGEST < raw < _LARGEST
    else:
        fits = type(raw) is kind
    if fits:
        return raw
    raise NotUnderstood(f"{place} is no {kind.__name__} that makes sense")


def _moment(raw: Any, place: str) -> datetime:
    """Return a time in UTC, which moves the calendar's first and last hours off its ends."""
    try:
        moment = datetime.fromisoformat(raw)
        if moment.tzinfo is None:
            raise NotUnderstood(f"{place} is a time without a zone")
        return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise NotUnderstood(f"{place} is no time") from error
