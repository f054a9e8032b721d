"""Agent: one agent's life. Its memory against both limits, and all that happened to it."""

from __future__ import annotations

from grafana import page, series
from grafana.parts import (
    AMBER,
    BLUE,
    FULL,
    GREEN,
    GREY,
    RED,
    SIXTH,
    THIRD,
    About,
    Column,
    Panel,
    Query,
    graph,
    line,
    number,
    rows,
    shown_as,
    timeline,
)

_SHARE_STEPS = ((None, GREEN), (0.7, AMBER), (1, RED))
_YES_NO = {"0": ("no", GREEN), "1": ("yes", AMBER)}
_BY_MARKER = series.by_agent(series.agent("busy_source", 'source="markers"'))
_READY = {"0": ("no", RED), "1": ("yes", GREEN)}


def build() -> page.Page:
    """Return the dashboard."""
    return page.Page(
        uid="memleash-agent",
        title="memleash / Agent",
        description="One agent on one host: its memory, when it was busy, and its restarts.",
        variables=page.choices(several=False),
        annotations=[
            page.Mark(
                "New life",
                f"{series.STARTED} > time() - 30",
                BLUE,
                "{{agent}} started",
                "A new process on {{host}}.",
            ),
            page.Mark(
                "Outcome",
                f"{series.LAST_RESTART} > time() - 30",
                AMBER,
                "{{outcome}}",
                "How a request to restart {{agent}} on {{host}} ended.",
            ),
            page.Mark(
                "Diagnosis or dump",
                f"{_BY_MARKER} == 1",
                GREY,
                "busy by a marker",
                "A diagnosis, a dump or other work holds a busy marker for {{agent}} on {{host}}.",
            ),
        ],
        rows=[
            ("Now", _now()),
            ("Memory", _memory()),
            ("What it was doing", _doing()),
            ("Restarts", _restarts()),
            ("Process", _process()),
        ],
    )


def _now() -> list[Panel]:
    def about(title: str, description: str, unit: str, *runbooks: str) -> About:
        return About(title, description, unit, SIXTH, 4, runbooks, ((None, BLUE),))

    share = About(
        "Of the hard limit",
        "The memory that is limited, over the hard limit in force.",
        "percentunit",
        SIXTH,
        4,
        ("AgentMemoryHardLimitExceeded",),
        _SHARE_STEPS,
    )
    busy = About(
        "Busy", "Whether it is busy now.", "short", SIXTH, 4, ("AgentBusy",), words=_YES_NO
    )
    ready = About(
        "Ready",
        "Whether it answers its readiness probe.",
        "short",
        SIXTH,
        4,
        ("AgentNotReady",),
        words=_READY,
    )
    return [
        number(
            about("Memory", "What the limits are held against.", "bytes"), Query(series.LIMITED)
        ),
        number(share, Query(series.SHARE_OF_LIMIT)),
        number(
            about(
                "To the limit",
                "When it reaches the hard limit if it goes on growing as now.",
                "s",
                "AgentMemoryHardLimitPredicted",
            ),
            Query(series.TO_LIMIT),
        ),
        number(busy, Query(series.BUSY)),
        number(ready, Query(series.READY)),
        number(
            about("Running for", "Age of its main process.", "s", "AgentDown"),
            Query(f"time() - {series.STARTED}"),
        ),
    ]


def _memory() -> list[Panel]:
    memory = graph(
        About(
            "Memory and its limits",
            "What the limits are held against, the limits in force, and the main process's memory.",
            "bytes",
            FULL,
            11,
            ("AgentMemoryAboveThreshold", "AgentMemoryHardLimitExceeded"),
        ),
        Query(series.LIMITED, "limited"),
        Query(series.RESIDENT, "resident"),
        Query(series.by_agent(series.agent("anonymous_memory_bytes")), "anonymous"),
        Query(series.by_agent(series.agent("swap_bytes")), "swap"),
        Query(series.THRESHOLD, "alarm threshold"),
        Query(series.LIMIT, "hard limit"),
    )
    memory.override_by_name("alarm threshold", line(AMBER))
    memory.override_by_name("hard limit", line(RED))
    growth = graph(
        About(
            "Growth",
            "The slope of its limited memory over the past ten minutes of this life.",
            "binBps",
            FULL,
            6,
            ("AgentMemoryGrowing",),
        ),
        Query(series.GROWTH, "growth"),
    )
    return [memory, growth]


def _doing() -> list[Panel]:
    states = timeline(
        About(
            "Busy, mute and readiness",
            "Each band is a state over time; a gap is when nobody could tell.",
            width=FULL,
            height=9,
            runbooks=("AgentBusy", "AgentBusyTooLong", "AgentNotReady", "HostPingFailed"),
            words=_YES_NO,
        ),
        Query(series.by_agent(series.agent("up")), "running"),
        Query(series.READY, "ready"),
        Query(series.BUSY, "busy"),
        Query(f"max by (source) ({series.agent('busy_source')})", "busy by {{source}}"),
        Query(series.MUTED, "pings muted"),
        Query(series.RESTARTING, "restart: {{step}}"),
    )
    good = [shown_as(_READY)]
    return [states.override_by_name("running", good).override_by_name("ready", good)]


def _restarts() -> list[Panel]:
    return [
        rows(
            About(
                "Last outcome",
                "How and when the last request for a restart ended.",
                width=THIRD,
                runbooks=("AgentRestartFailed", "AgentRestartLoop"),
            ),
            [Column("Ended", f"{series.LAST_RESTART} * 1000", "dateTimeFromNow")],
            sort_by="Ended",
        ),
        timeline(
            About(
                "Host state",
                "What the controllers count on: a restart wants a connected host.",
                width=THIRD,
                runbooks=("AgentRestartFailed",),
                words={"0": ("no", GREY), "1": ("yes", BLUE)},
            ),
            Query(f"max by (state) ({series.responder('host_state', series.HOST)})", "{{state}}"),
        ),
        number(
            About(
                "Quarantined",
                "Whether a restart did not help, so that no more are made until a person says so.",
                "short",
                THIRD,
                8,
                ("AgentRestartBlocked",),
                words=_YES_NO,
            ),
            Query(f"max({series.QUARANTINED}) or vector(0)"),
        ),
    ]


def _process() -> list[Panel]:
    def about(title: str, description: str, unit: str) -> About:
        return About(title, description, unit, THIRD)

    cpu = series.agent("cpu_seconds_total")
    return [
        graph(
            about("CPU", "CPU time used, in cores.", "short"),
            Query(f"max by (host, agent) (rate({cpu}[$__rate_interval]))", "cores"),
        ),
        graph(
            about("Threads", "Threads of the main process.", "short"),
            Query(series.by_agent(series.agent("threads")), "threads"),
        ),
        graph(
            about("Open files", "Open file descriptors of the main process.", "short"),
            Query(series.by_agent(series.agent("open_fds")), "open files"),
        ),
    ]
