"""Whether to diagnose an agent now, and how: pure decisions, and the numbers behind them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence
from typing import Literal

from memleash_responder.core.facts import AgentFacts, Process, Unknown, running, same_life
from memleash_responder.core.outcomes import Mode, Outcome, Refusal
from memleash_responder.core.pauses import Pause, why_paused
from memleash_toolkit.units import format_size
from memleash_toolkit.values import (
    Command,
    Count,
    Duration,
    HttpUrl,
    Line,
    OneOrMore,
    Pattern,
    Service,
    Size,
    SizeOrZero,
)

GIB = 1024**3
MIB = 1024**2
LONGEST_COMMAND_SECONDS = 300


WITH_REPORT = frozenset({Outcome.DIAGNOSED, Outcome.INCOMPLETE})
"""Words after which there is a report."""

TRY_AGAIN = frozenset(
    {
        Outcome.PAUSED,
        Outcome.OBSERVE_MODE,
        Outcome.HOST_BUSY,
        Outcome.FACTS_UNAVAILABLE,
        Outcome.SSH_UNREACHABLE,
        Outcome.SSH_AUTH_FAILED,
        Outcome.HOST_KEY_MISMATCH,
        Outcome.DISK_FULL,
    }
)
"""Words after which nothing was done to the agent: a later alert may ask for the same life."""


@dataclasses.dataclass(frozen=True, slots=True)
class Discover:
    """How the diagnoser finds the agent's main process on the host; exactly one is given."""

    systemd_unit: Service | None = None
    pidfile: Line | None = None
    cmdline: Pattern | None = None
    """A regular expression that one process's command line matches."""

    def __post_init__(self) -> None:
        if len(self.given()) != 1:
            raise ValueError("give one of systemd_unit, pidfile and cmdline")

    def given(self) -> dict[str, str]:
        """Return the one way that is given, by name."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value}


@dataclasses.dataclass(frozen=True, slots=True)
class AgentSignal:
    """A signal on which the agent tells of itself, and the log that it writes to then."""

    name: str
    """USR1, USR2, QUIT or RTMIN+n; sent only while the kernel says that the agent catches it."""
    log: Line
    """Its new lines are fetched."""

    def __post_init__(self) -> None:
        if not _ASKING_SIGNAL.fullmatch(self.name):
            raise ValueError(
                f"signal {self.name!r} must be USR1, USR2, QUIT or RTMIN+1 to RTMIN+30"
            )
        if not self.log.startswith("/"):
            raise ValueError(f"log {self.log!r} must be an absolute path")


_ASKING_SIGNAL = re.compile(r"USR1|USR2|QUIT|RTMIN\+([1-9]|[12]\d|30)")


@dataclasses.dataclass(frozen=True, slots=True)
class AgentCommand:
    """A command that asks the agent, run on its host by the diagnoser."""

    argv: OneOrMore[Line]
    """``{pid}`` in a word is the agent's pid."""
    timeout: Duration = Duration(10)

    def __post_init__(self) -> None:
        if not self.argv[0].startswith("/"):
            raise ValueError(f"argv must begin with an absolute path, not {self.argv[0]!r}")
        if self.timeout > LONGEST_COMMAND_SECONDS:
            raise ValueError(f"timeout must be at most {LONGEST_COMMAND_SECONDS} s")


@dataclasses.dataclass(frozen=True, slots=True)
class Diagnose:
    """What evidence is taken of one kind of agent, and within which limits."""

    discover: Discover
    profile: Literal["python", "native", "none"] = "python"
    growth: tuple[Literal["types", "sites"], ...] = ("types",)
    """Python: what is counted. Sites cost memory and speed for as long as the rounds last."""
    rounds: Count = 5
    interval: Duration = Duration(300)
    remote_exec: bool = False
    """CPython 3.14: let ``sys.remote_exec`` write the path of a script into the agent."""
    native_stacks: bool = False
    """Python: C frames too, for which each thread is stopped for a moment."""
    locals: bool = False
    """py-spy also shows local variables, which may hold what is nobody's business."""
    signal: AgentSignal | None = None
    urls: tuple[HttpUrl, ...] = ()
    """What the agent says of its memory: fetched on the host; no redirect is followed."""
    command: AgentCommand | None = None
    min_growth: SizeOrZero = Size(64 * 1024)
    """What grew by less in all rounds together is not told."""
    max_rss: Size = Size(4 * GIB)
    min_free_disk: SizeOrZero = Size(256 * MIB)
    before_restart: bool = False
    """Take stacks and facts, without rounds, in a restart before its command."""
    before_restart_timeout: Duration = Duration(60)
    """The most that a restart waits for evidence."""
    require_evidence: bool = False
    """A restart waits for the evidence of this life, for so long at most."""
    python: Command = "python3"
    """The host's Python; with sudo where the SSH user may not trace the agent."""
    work_folder: Line = "/var/tmp/memleash-diagnose"  # noqa: S108 - checked on the host to be its own
    busy_folder: Line = "/run/memleash/busy"
    """Where the exporter looks for busy markers."""

    def __post_init__(self) -> None:
        if self.rounds > 100:
            raise ValueError(f"rounds {self.rounds} must be from 1 to 100")
        for folder in (self.work_folder, self.busy_folder):
            if not folder.startswith("/") or ".." in folder.split("/"):
                raise ValueError(f"{folder!r} must be an absolute path without ..")


@dataclasses.dataclass(frozen=True, slots=True)
class DiagnosisSituation:
    """The facts that a decision rests on, all read for it."""

    agent: AgentFacts | Unknown
    mode: Mode
    pauses: tuple[Pause, ...]
    """Those that hold."""
    diagnosed_lives: Collection[float]
    """Start times of this agent's lives on this host that had their diagnosis."""
    maintenance: str | None
    """Why the host is out of service; None: it is not."""
    under_way: str | None
    """What else is under way on the host; None: nothing."""
    asked_by_person: bool = False
    """A person may ask again for the same life, and in the mode observe: nothing is changed."""


def may_be_diagnosed(situation: DiagnosisSituation, settings: Diagnose | None) -> Process | Refusal:
    """Return the process to diagnose now, or why not. Unknown means no."""
    if settings is None:
        return Refusal(Outcome.NOT_CONFIGURED, "the agent has no diagnose in the configuration")
    paused = why_paused(situation.pauses)
    if paused is not None:
        return Refusal(Outcome.PAUSED, paused)
    if situation.maintenance is not None:
        return Refusal(Outcome.MAINTENANCE, situation.maintenance)
    process = running(situation.agent)
    if isinstance(process, Unknown):
        return Refusal(Outcome.FACTS_UNAVAILABLE, process.why)
    had_it = any(same_life(process.start_time, life) for life in situation.diagnosed_lives)
    if had_it and not situation.asked_by_person:
        return Refusal(Outcome.ALREADY_DIAGNOSED, "this life of the process was diagnosed before")
    if process.resident_bytes > settings.max_rss:
        held, most = format_size(process.resident_bytes), format_size(settings.max_rss)
        return Refusal(Outcome.TOO_LARGE, f"RSS is {held}, over max_rss {most}")
    if situation.under_way is not None:
        return Refusal(Outcome.HOST_BUSY, situation.under_way)
    if situation.mode is Mode.OBSERVE and not situation.asked_by_person:
        return Refusal(Outcome.OBSERVE_MODE, "every check passed; the mode is observe")
    return process


@dataclasses.dataclass(frozen=True, slots=True)
class DiagnosisStepResult:
    """How a diagnosis stands after a step, as the engine records it."""

    outcome: Outcome | None = None
    """None: it goes on."""
    reason: str = ""
    artifact: str = ""
    """The time in the report's path, once it is here."""

    @classmethod
    def of(cls, raw: Sequence[str]) -> DiagnosisStepResult:
        """Return what was recorded as JSON, by this release or one before it."""
        outcome, reason, artifact = raw
        return cls(Outcome(outcome) if outcome else None, reason, artifact)

    def recorded(self) -> list[str]:
        """Return it as JSON."""
        return [self.outcome or "", self.reason, self.artifact]
