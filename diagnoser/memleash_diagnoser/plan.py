"""What the diagnoser is asked to do: JSON from the responder, checked here once more."""

import json
import re
import signal
import typing

PROFILES = ("python", "native", "none")
KINDS = ("types", "sites")


class Signal(typing.NamedTuple):
    """A signal on which the agent tells of itself, and the log that it writes to then."""

    name: str
    """Without SIG: USR2, RTMIN+3."""
    log: str


class Command(typing.NamedTuple):
    """A command of the host that asks the agent; ``{pid}`` in its words is the agent's."""

    argv: typing.Tuple[str, ...]
    timeout: float
    """Seconds."""


class Plan(typing.NamedTuple):
    """One diagnosis. The responder has checked its own configuration; this is the host's check."""

    run: str
    """The name of this run's folder, given by the responder, so that asking twice starts one."""
    agent: str
    discover: str
    """How to find the process: systemd_unit, pidfile, cmdline or pid."""
    target: str
    """The unit, file, regular expression or pid."""
    profile: str = "python"
    start_time: typing.Optional[float] = None
    """Unix time the life to be diagnosed started; another life is refused."""
    kinds: typing.Tuple[str, ...] = ("types",)
    """What the hook counts: types, sites."""
    rounds: int = 5
    """0: facts and stacks alone."""
    interval_seconds: float = 300.0
    remote_exec: bool = False
    """Use sys.remote_exec of CPython 3.14, which writes the path of a script into the agent."""
    native_stacks: bool = False
    """Python: eu-stack shows the C frames too."""
    locals: bool = False
    signal: typing.Optional[Signal] = None
    urls: typing.Tuple[str, ...] = ()
    command: typing.Optional[Command] = None
    least_growth_bytes: int = 64 * 1024
    max_rss_bytes: int = 4 * 1024**3
    max_seconds: float = 2100.0
    max_cpu_seconds: int = 300
    max_report_bytes: int = 16 * 1024**2
    free_disk_bytes: int = 256 * 1024**2
    marker_root: str = "/run/memleash/busy"
    """Empty: no marker is held, since whoever asks holds the host in another way."""
    work_root: str = "/var/tmp/memleash-diagnose"


def signal_number(name: str) -> int:
    """Return the number of the signal called ``name``: USR2, RTMIN+3. Raises ValueError."""
    realtime = re.match(r"RTMIN\+(\d+)$", name)
    if realtime:
        number = signal.SIGRTMIN + int(realtime.group(1))
    else:
        number = signal.Signals.__members__.get("SIG" + name, 0)
    if not 0 < number <= signal.SIGRTMAX:
        raise ValueError(f"{name!r} is no signal")
    return int(number)


_ASKED: typing.Tuple[typing.Tuple[str, typing.Any], ...] = (
    ("signal", lambda raw: Signal(**raw)),
    ("command", lambda raw: Command(tuple(raw["argv"]), float(raw["timeout"]))),
)


def text(plan: Plan) -> str:
    """Return the text that ``parse`` makes ``plan`` of."""
    asked = {name: getattr(plan, name) for name, _ in _ASKED}
    given = {name: value._asdict() for name, value in asked.items() if value is not None}
    return json.dumps(dict(plan._asdict(), **given))


def parse(text: str) -> Plan:
    """Return the plan in ``text``. Raises ValueError that names the key."""
    raw = json.loads(text)
    unknown = set(raw) - set(Plan._fields)
    if unknown:
        raise ValueError("unknown keys: {}".format(", ".join(sorted(unknown))))
    asked = {name: kind(raw[name]) for name, kind in _ASKED if raw.get(name) is not None}
    lists = {name: tuple(raw[name]) for name in ("kinds", "urls") if name in raw}
    plan = Plan(**dict(raw, **lists, **asked))
    for name in ("run", "agent"):
        value = getattr(plan, name)
        if not value or "/" in value or "\0" in value or value.startswith("."):
            raise ValueError(f"{name} {value!r} cannot be the name of a folder")
    if plan.signal is not None:
        signal_number(plan.signal.name)
    if plan.profile not in PROFILES:
        raise ValueError(f"profile {plan.profile!r} must be one of {PROFILES}")
    if not set(plan.kinds) <= set(KINDS):
        raise ValueError(f"kinds {plan.kinds!r} must be of {KINDS}")
    if plan.rounds < 0 or plan.interval_seconds <= 0:
        raise ValueError("rounds must not be negative, interval_seconds more than 0")
    return plan
