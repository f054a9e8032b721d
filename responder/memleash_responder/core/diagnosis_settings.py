"""What evidence is taken of an agent, and within which limits, as the configuration says."""

from __future__ import annotations

import dataclasses
import re
from typing import Literal

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
