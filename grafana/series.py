"""The series that the dashboards show, each narrowed to what is selected on the page.

Scraped series carry ``job``. Recorded ones (``memleash:…``) do not: the rules bring them down to
host and agent, so that one host scraped twice is still one host.
"""

from __future__ import annotations

HOST, AGENT = 'host=~"$host"', 'agent=~"$agent"'


def agent(name: str, *matchers: str) -> str:
    """Return ``memleash_agent_<name>`` of the selected agents, by the exporters selected."""
    return scraped(f"memleash_agent_{name}", HOST, AGENT, *matchers)


def recorded(name: str) -> str:
    """Return ``memleash:<name>`` of the selected agents."""
    return f"memleash:{name}{{{HOST}, {AGENT}}}"


def responder(name: str, *matchers: str) -> str:
    """Return ``memleash_responder_<name>`` with further ``matchers``."""
    return scraped(f"memleash_responder_{name}", *matchers)


def scraped(name: str, *matchers: str) -> str:
    """Return any scraped series of the selected jobs with further ``matchers``."""
    inside = ", ".join(['job=~"$job"', *matchers])
    return f"{name}{{{inside}}}"


def by_agent(series: str) -> str:
    """Return one series for each agent, however many say the same of it."""
    return f"max by (host, agent) ({series})"


def by_host(series: str) -> str:
    return f"max by (host) ({series})"


RESIDENT = by_agent(agent("resident_memory_bytes"))
LIMITED = by_agent(recorded("agent_limited_memory_bytes"))
THRESHOLD = recorded("agent_memory_alarm_threshold_bytes") + " > 0"
LIMIT = recorded("agent_memory_hard_limit_bytes") + " > 0"
SHARE_OF_LIMIT = f"{LIMITED} / on (host, agent) ({LIMIT})"
OVER_LIMIT = f"{LIMITED} > on (host, agent) ({LIMIT})"
OVER_ALARM = f"{LIMITED} > on (host, agent) {recorded('agent_memory_alarm_bytes')}"
GROWTH = by_agent(recorded("agent_memory_growth_bytes_per_second"))
TO_LIMIT = f"min by (host, agent) ({recorded('agent_memory_seconds_to_hard_limit')})"
BUSY = by_agent(agent("busy"))
READY = by_agent(agent("ready"))
STARTED = by_agent(agent("start_time_seconds"))
MUTED = f"{by_host(responder('mute_deadline_timestamp_seconds', HOST))} > bool time()"
RESTARTING = f"max by (host, agent, step) ({responder('restart_in_progress', HOST, AGENT)})"
LAST_RESTART = (
    f"max by (host, agent, outcome) ({responder('last_restart_timestamp_seconds', HOST, AGENT)})"
)
BLOCKED = f"max by (host, agent, reason) ({responder('restart_blocked', HOST, AGENT)})"
NOT_CONNECTED = by_host(responder("host_state", HOST, 'state=~"connecting|disconnected"')) + " == 1"
QUARANTINED = by_agent(responder("quarantined", HOST, AGENT))


def count(condition: str) -> str:
    """Return how many series there are, 0 for none."""
    return f"count({condition}) or vector(0)"
