"""What the API gives and takes: the OpenAPI document's schemas and the answers come from these.

Names, order and kinds of the fields are public. Sizes are bytes, times are moments.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from memleash_responder.adapters import reports
from memleash_responder.adapters.controllers.check import Finding
from memleash_responder.adapters.database import diagnoses
from memleash_responder.core import restarts
from memleash_responder.core.alerts import Remediation
from memleash_responder.core.facts import Host as KnownHost
from memleash_responder.core.facts import Unknown
from memleash_responder.core.guards import GUARDS
from memleash_responder.core.host_states import HostState
from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.moments import Moment
from memleash_responder.core.mutes import Claim, mute_in_force
from memleash_responder.core.outcomes import DIAGNOSIS_OUTCOMES, RESTART_OUTCOMES, Outcome, Refusal
from memleash_responder.core.pauses import DEFAULT, Pause
from memleash_responder.core.policy import Mode
from memleash_responder.core.storms import StormCount
from memleash_responder.core.untrusted import LINE_CHARACTERS
from memleash_responder.usecases import explain, fleet, overview
from memleash_responder.usecases.readings import Reading
from memleash_responder.usecases.shown_steps import StepProgress, step_states
from memleash_responder.web.api.json_schema import Keyword
from memleash_responder.web.api.parameters import DURATION, TEXT
from memleash_toolkit.values import NAME

T = TypeVar("T")

Size = Annotated[int, Keyword("minimum", 0)]
Force = Annotated[bool, Keyword("description", "Skip the busy and task checks, nothing else.")]
Purpose = Annotated[
    str,
    Keyword("pattern", TEXT),
    Keyword("maxLength", LINE_CHARACTERS),
    Keyword("description", "Why, whatever the agent holds; without it only above the hard limit."),
]
PauseName = Annotated[str, Keyword("pattern", f"^{NAME.pattern}$")]
PauseReason = Annotated[str, Keyword("pattern", TEXT), Keyword("maxLength", LINE_CHARACTERS)]
RestartOutcome = Annotated[Outcome, Keyword("enum", RESTART_OUTCOMES)]
DiagnosisOutcome = Annotated[Outcome, Keyword("enum", DIAGNOSIS_OUTCOMES)]

_NOTHING = Reading()


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Why a request is not served (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


@dataclasses.dataclass(frozen=True, slots=True)
class Mute:
    """Whether a host's pings are muted."""

    muted: bool
    until: Moment | None
    reason: str | None

    @classmethod
    def of(cls, claim: Claim | None) -> Mute:
        """Return the mute that ``claim`` makes."""
        return cls(True, claim.until, claim.reason) if claim else cls(False, None, None)


@dataclasses.dataclass(frozen=True, slots=True)
class Agent:
    """One agent of a host. What is not known is null."""

    mode: Mode
    up: bool | None
    started_at: Moment | None
    resident_bytes: Size | None
    limited_bytes: Annotated[
        Size | None, Keyword("description", "What the limits are held against.")
    ]
    alarm_threshold_bytes: Size | None
    hard_limit_bytes: Size | None
    busy: bool | None
    ready: bool | None
    seen_at: Moment | None
    unknown: str | None
    quarantined: str | None
    restart: str | None
    times_bought_seconds: Annotated[
        Sequence[float],
        Keyword(
            "description",
            "How long each restart of the last 30 days kept it below its limit, oldest first.",
        ),
    ]
    would_restart: bool
    verdict: RestartOutcome | None
    reason: str | None

    @classmethod
    def of(cls, row: fleet.Row) -> Agent:
        """Return the agent of ``row``."""
        unknown = row.reading.why if isinstance(row.reading, Unknown) else None
        reading = _NOTHING if isinstance(row.reading, Unknown) else row.reading
        verdict, reason = _words(row.refusal)
        return cls(
            mode=row.mode,
            up=reading.up,
            started_at=reading.start_time,
            resident_bytes=reading.resident_bytes,
            limited_bytes=reading.limited_bytes,
            alarm_threshold_bytes=reading.alarm_threshold_bytes,
            hard_limit_bytes=reading.hard_limit_bytes,
            busy=reading.busy,
            ready=reading.ready,
            seen_at=reading.seen_at,
            unknown=unknown,
            quarantined=row.quarantined,
            restart=row.restart_id,
            times_bought_seconds=row.times_bought,
            would_restart=row.refusal is None,
            verdict=verdict,
            reason=reason,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """A host of the inventory."""

    host: str
    state: HostState
    state_reason: str | None
    state_since: Annotated[
        Moment | None,
        Keyword("description", "Since when somebody says so; null where nobody knows."),
    ]
    maintenance: Maintenance | None
    next_reconnect_at: Moment | None
    labels: Mapping[str, str]
    mute: Mute
    agents: Mapping[str, Agent]

    @classmethod
    def of(cls, host: KnownHost, rows: Sequence[fleet.Row], known: fleet.Remembered) -> Host:
        """Return ``host`` with the agents of ``rows``."""
        record, standing = known.hosts.record(host.name), known.hosts.standing(host.name)
        return cls(
            host=host.name,
            state=standing.state,
            state_reason=standing.reason or None,
            state_since=standing.since,
            maintenance=known.hosts.maintenance.get(host.name),
            next_reconnect_at=record.next_attempt_at,
            labels=host.labels,
            mute=Mute.of(mute_in_force(known.claims.get(host.name, ()), known.now)),
            agents={row.agent: Agent.of(row) for row in rows},
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Restart:
    """A restart that was asked for, and how far it got."""

    id: str
    host: str
    agent: str
    requested_at: Moment
    requested_by: str
    forced: bool
    purpose: str
    not_before: Moment | None
    step: str
    fingerprint: str | None
    alert_started_at: Moment | None
    approval: Literal["approved", "denied"] | None
    approval_by: str | None
    resolved: bool
    command_sent_at: Moment | None
    waits_for: RestartOutcome | None
    waiting_since: Moment | None
    attempt: int
    outcome: RestartOutcome | None
    reason: str
    finished_at: Moment | None
    facts: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]]
    progress: Sequence[StepProgress]

    @classmethod
    def of(cls, restart: restarts.Restart) -> Restart:
        """Return ``restart`` as it is shown."""
        sent, waiting = restart.command_sent, restart.waiting_since
        return _alike(
            cls,
            restart,
            command_sent_at=sent and sent.at,
            waiting_since=waiting and waiting.at,
            progress=step_states(restart),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class GuardVerdict:
    """What one guard says now."""

    guard: Annotated[str, Keyword("enum", tuple(guard.name for guard in GUARDS))]
    passes: bool
    verdict: RestartOutcome | None
    reason: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """What a request made now would meet."""

    host: str
    agent: str
    would_restart: bool
    verdict: RestartOutcome | None
    reason: str | None
    guards: Sequence[GuardVerdict]
    storm: StormCount
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, host: str, agent: str, found: explain.Explanation) -> Explanation:
        """Return what was ``found`` about an agent."""
        return cls(
            host,
            agent,
            found.refusal is None,
            *_words(found.refusal),
            guards=[
                GuardVerdict(one.guard, one.refusal is None, *_words(one.refusal))
                for one in found.verdicts
            ],
            storm=found.storm_count,
            facts=found.facts,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class ControllerCheck:
    """What a controller answers about a host."""

    host: str
    controller: str
    passes: bool
    checks: Sequence[Finding]


@dataclasses.dataclass(frozen=True, slots=True)
class Alert:
    """An alert that was told, and the word for it when it was refused."""

    fingerprint: str
    starts_at: Moment
    alertname: str
    host: str
    agent: str
    remediation: Remediation | None
    status: Literal["firing", "resolved"]
    refused: RestartOutcome | None
    first_received_at: Moment
    last_received_at: Moment
    deliveries: int

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Alert:
        """Return the alert of a row of the record."""
        return cls(**row)


@dataclasses.dataclass(frozen=True, slots=True)
class Diagnosis:
    """A diagnosis that was asked for, and how far it got."""

    id: str
    host: str
    agent: str
    requested_at: Moment
    requested_by: str
    step: str
    rounds: int | None
    interval_seconds: float | None
    pace: str | None
    outcome: DiagnosisOutcome | None
    reason: str
    report: str | None
    """The time in its report's path."""
    finished_at: Moment | None

    @classmethod
    def of(cls, one: diagnoses.Diagnosis) -> Diagnosis:
        """Return a diagnosis as it is shown."""
        return _alike(cls, one, pace=one.pace or None, report=one.report or None)


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """A report that was fetched from a host."""

    host: str
    agent: str
    time: str
    taken_at: Moment
    size_bytes: int

    @classmethod
    def of(cls, report: reports.Report) -> Report:
        """Return the list's entry of ``report``."""
        return _alike(cls, report)


@dataclasses.dataclass(frozen=True, slots=True)
class Switched:
    """Whether restarts are paused now, and by which pauses."""

    paused: bool
    pauses: Sequence[Pause]


@dataclasses.dataclass(frozen=True, slots=True)
class HostPage:
    """One page of the hosts; next_offset is null on the last, as in every list."""

    hosts: Sequence[Host]
    next_offset: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class RestartPage:
    """One page of the restarts."""

    restarts: Sequence[Restart]
    next_offset: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class AlertPage:
    """One page of the alerts."""

    alerts: Sequence[Alert]
    next_offset: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class DiagnosisPage:
    """One page of the diagnoses."""

    diagnoses: Sequence[Diagnosis]
    next_offset: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class ReportPage:
    """One page of the reports."""

    reports: Sequence[Report]
    next_offset: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class MuteList:
    """The mutes in force."""

    mutes: Sequence[overview.HeldMute]


@dataclasses.dataclass(frozen=True, slots=True)
class QuarantineList:
    """The quarantined agents."""

    quarantine: Sequence[overview.QuarantinedAgent]


@dataclasses.dataclass(frozen=True, slots=True)
class RestartRequest:
    """Which agent a person asks to restart."""

    host: str
    agent: str
    force: Force = False
    reason: Purpose = ""
    at: Annotated[str, Keyword("format", "date-time")] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Denying:
    """For how long an agent is not restarted: until a time, for a duration, or while it lives."""

    until: Annotated[str, Keyword("format", "date-time")] | None = None
    for_: Annotated[str, Keyword("pattern", DURATION)] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PauseRequest:
    """A pause, and when it ends by itself: at a time, after a duration, or not at all."""

    name: PauseName = DEFAULT
    reason: PauseReason = ""
    until: Annotated[str, Keyword("format", "date-time")] | None = None
    for_: Annotated[str, Keyword("pattern", DURATION)] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ResumeRequest:
    """Which pause is to end."""

    name: PauseName = DEFAULT


@dataclasses.dataclass(frozen=True, slots=True)
class MaintenanceRequest:
    """Why a host is taken out of service, and when that ends by itself, as for a pause."""

    reason: Annotated[PauseReason, Keyword("minLength", 1)]
    until: Annotated[str, Keyword("format", "date-time")] | None = None
    for_: Annotated[str, Keyword("pattern", DURATION)] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class DiagnosisRequest:
    """Which agent a person asks a diagnosis of."""

    host: str
    agent: str


def cut(found: Sequence[T], limit: int, offset: int) -> tuple[Sequence[T], int | None]:
    """Return a page and next_offset, of a list of which one more than ``limit`` was looked for."""
    return found[:limit], offset + limit if len(found) > limit else None


def _words(refusal: Refusal | None) -> tuple[Outcome | None, str | None]:
    return (refusal.outcome, refusal.reason) if refusal else (None, None)


def _alike(model: type[T], source: object, **given: Any) -> T:
    """Return a ``model`` whose fields are those of ``source`` with the same name, or ``given``."""
    names = [field.name for field in dataclasses.fields(model)]  # type: ignore[arg-type]
    values = {name: getattr(source, name) for name in names if name not in given}
    return model(**values, **given)
