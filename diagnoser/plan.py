"""What the collector is asked to do: JSON from the responder, checked here once more."""

import json
import typing

PROFILES = ("python", "native", "none")
KINDS = ("types", "sites")


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
    least_growth_bytes: int = 64 * 1024
    max_rss_bytes: int = 4 * 1024**3
    max_seconds: float = 2100.0
    max_cpu_seconds: int = 300
    max_report_bytes: int = 16 * 1024**2
    free_disk_bytes: int = 256 * 1024**2
    marker_root: str = "/run/memleash/busy"
    """Empty: no marker is held, since whoever asks holds the host in another way."""
    work_root: str = "/var/tmp/memleash-diagnose"


def parse(text: str) -> Plan:
    """Return the plan in ``text``. Raises ValueError that names the key."""
    raw = json.loads(text)
    unknown = set(raw) - set(Plan._fields)
    if unknown:
        raise ValueError("unknown keys: {}".format(", ".join(sorted(unknown))))
    plan = Plan(**dict(raw, kinds=tuple(raw.get("kinds", ("types",)))))
    for name in ("run", "agent"):
        value = getattr(plan, name)
        if not value or "/" in value or "\0" in value or value.startswith("."):
            raise ValueError(f"{name} {value!r} cannot be the name of a folder")
    if plan.profile not in PROFILES:
        raise ValueError(f"profile {plan.profile!r} must be one of {PROFILES}")
    if not set(plan.kinds) <= set(KINDS):
        raise ValueError(f"kinds {plan.kinds!r} must be of {KINDS}")
    if plan.rounds < 0 or plan.interval_seconds <= 0:
        raise ValueError("rounds must not be negative, interval_seconds more than 0")
    return plan
