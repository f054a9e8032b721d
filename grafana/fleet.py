"""Fleet: who is near the limits, who grows, who is busy or muted, who was restarted."""

from __future__ import annotations

from grafana import page, series
from grafana.parts import (
    AMBER,
    BLUE,
    FULL,
    GREEN,
    GREY,
    HALF,
    RED,
    SIXTH,
    About,
    Column,
    Panel,
    Query,
    bars,
    graph,
    number,
    rows,
    timeline,
)

ALERTS = (
    "AgentMemoryAboveThreshold",
    "AgentMemoryGrowing",
    "AgentMemoryHardLimitPredicted",
    "AgentMemoryFleet",
    "AgentMemoryHardLimitExceeded",
    "AgentBusy",
    "AgentBusyTooLong",
    "HostPingFailed",
    "AgentDown",
    "AgentNotReady",
    "AgentSampleFailed",
    "AgentRestartFailed",
    "AgentRestartAwaitsApproval",
    "AgentRestartBlocked",
    "AgentRestartLoop",
    "MemleashExporterDown",
    "MemleashResponderDown",
    "MemleashResponderPaused",
    "MemleashStorm",
)
"""All that the rules can say."""

_NONE_IS_GOOD = ((None, GREEN), (1, RED))
_SHARE_STEPS = ((None, GREEN), (0.7, AMBER), (1, RED))
_YES_NO = {"0": ("no", GREY), "1": ("yes", AMBER)}
_READY = {"0": ("no", RED), "1": ("yes", GREEN)}


def build() -> page.Page:
    """Return the dashboard."""
    return page.Page(
        uid="memleash-fleet",
        title="memleash / Fleet",
        description="Which agents are near their limits, and what memleash did about it.",
        variables=page.choices(),
        rows=[
            ("Now", _now()),
            ("Who is near the limits", _near()),
            ("Who grows", _growers()),
            ("What fires", _alerts()),
            ("Busy and muted", _quiet()),
            ("Restarts", _restarts()),
            ("What watches", _watchers()),
        ],
    )


def _now() -> list[Panel]:
    def figure(title: str, description: str, expr: str, *runbooks: str, bad: bool = True) -> Panel:
        steps = _NONE_IS_GOOD if bad else ((None, BLUE),)
        about = About(title, description, "short", SIXTH, 4, runbooks, steps)
        return number(about, Query(expr, title))

    return [
        figure(
            "Agents watched",
            "Agents that were found running.",
            series.count(f"{series.by_agent(series.agent('up'))} == 1"),
            bad=False,
        ),
        figure(
            "Over the hard limit",
            "Agents that hold more than their hard limit: the responder restarts them.",
            series.count(series.OVER_LIMIT),
            "AgentMemoryHardLimitExceeded",
        ),
        figure(
            "Above the threshold",
            "Agents that hold more than the lower of their two limits.",
            series.count(series.OVER_ALARM),
            "AgentMemoryAboveThreshold",
        ),
        figure(
            "Busy",
            "Agents that say or show that interrupting them is wrong now.",
            series.count(f"{series.BUSY} == 1"),
            "AgentBusy",
            "AgentBusyTooLong",
            bad=False,
        ),
        figure(
            "Muted hosts",
            "Hosts whose pings are silenced.",
            f"max({series.responder('mutes_active')}) or vector(0)",
            bad=False,
        ),
        figure(
            "Not connected",
            "Hosts being restarted, that a restart left out of service, or whose pings fail."
            " Those in maintenance are not counted.",
            series.count(series.NOT_CONNECTED),
            "AgentRestartFailed",
        ),
    ]


def _near() -> list[Panel]:
    columns = [
        Column("Memory", series.LIMITED, "bytes"),
        Column("Of hard limit", series.SHARE_OF_LIMIT, "percentunit", steps=_SHARE_STEPS),
        Column("Hard limit", series.LIMIT, "bytes"),
        Column("Growth", series.GROWTH, "binBps"),
        Column("To the limit", series.TO_LIMIT, "s", steps=((None, RED), (4 * 3600, GREEN))),
        Column("Busy", series.BUSY, "short", words=_YES_NO),
        Column("Ready", series.READY, "short", words=_READY),
        Column("Running since", f"{series.STARTED} * 1000", "dateTimeFromNow"),
    ]
    return [
        rows(
            About(
                "Agents",
                "Every agent with its memory, its limit and its state; the fullest first. "
                "A row leads to the agent's own page.",
                width=FULL,
                height=9,
                runbooks=("AgentMemoryAboveThreshold", "AgentMemoryHardLimitExceeded"),
            ),
            columns,
            sort_by="Of hard limit",
        ),
        graph(
            About(
                "Share of the hard limit",
                "Limited memory over the hard limit; at 100 % an agent is restarted.",
                "percentunit",
                FULL,
                9,
                steps=_SHARE_STEPS,
            ),
            Query(f"topk(20, {series.SHARE_OF_LIMIT})", "{{agent}} on {{host}}"),
        ),
    ]


def _growers() -> list[Panel]:
    return [
        bars(
            About(
                "Top growers",
                "The ten steepest slopes of the past ten minutes.",
                "binBps",
                runbooks=("AgentMemoryGrowing",),
                steps=((None, BLUE),),
            ),
            Query(f"topk(10, {series.GROWTH} > 0)", "{{agent}} on {{host}}"),
        ),
        bars(
            About(
                "Time to the limit",
                "The ten agents that reach their hard limit first if they go on growing as now.",
                "s",
                runbooks=("AgentMemoryHardLimitPredicted",),
                steps=((None, RED), (4 * 3600, GREEN)),
            ),
            Query(f"bottomk(10, {series.TO_LIMIT})", "{{agent}} on {{host}}"),
        ),
    ]


def _alerts() -> list[Panel]:
    names = "|".join(ALERTS)
    firing = f'ALERTS{{alertstate="firing", alertname=~"{names}"}}'
    columns = [Column("Firing", f"max by (alertname, severity, host, agent) ({firing})", "short")]
    description = "Alerts that fire now. The panel's links lead to what to do about each."
    about = About("Firing alerts", description, width=FULL, height=6, runbooks=ALERTS)
    return [rows(about, columns, sort_by="alertname")]


def _quiet() -> list[Panel]:
    return [
        timeline(
            About(
                "Busy",
                "When each agent was busy; a gap is when nobody could tell.",
                width=HALF,
                runbooks=("AgentBusy", "AgentBusyTooLong"),
                words={"0": ("idle", GREEN), "1": ("busy", AMBER)},
            ),
            Query(series.BUSY, "{{agent}} on {{host}}"),
        ),
        timeline(
            About(
                "Muted",
                "When each host's pings were silenced.",
                width=HALF,
                runbooks=("HostPingFailed",),
                words={"0": ("ending", GREY), "1": ("muted", BLUE)},
            ),
            Query(series.MUTED, "{{host}}"),
        ),
    ]


def _restarts() -> list[Panel]:
    restarts = series.responder("restarts_total", series.AGENT)
    return [
        graph(
            About(
                "Outcomes",
                "Requests for a restart by the word that they ended with.",
                "short",
                runbooks=("AgentRestartFailed", "AgentRestartLoop"),
            ),
            Query(f"sum by (outcome) (increase({restarts}[$__rate_interval])) > 0", "{{outcome}}"),
            bars=True,
        ),
        rows(
            About(
                "Last outcomes",
                "How and when the last request for each agent ended.",
                runbooks=("AgentRestartAwaitsApproval", "AgentRestartBlocked"),
            ),
            [Column("Ended", f"{series.LAST_RESTART} * 1000", "dateTimeFromNow")],
            sort_by="Ended",
        ),
    ]


def _watchers() -> list[Panel]:
    return [
        timeline(
            About(
                "Agents up",
                "Whether each agent's process was found; a gap is when it could not be told.",
                runbooks=("AgentDown", "AgentSampleFailed", "MemleashExporterDown"),
                words={"0": ("down", RED), "1": ("up", GREEN)},
            ),
            Query(series.by_agent(series.agent("up")), "{{agent}} on {{host}}"),
        ),
        graph(
            About(
                "Time to look at an agent",
                "How long the exporter takes for each agent; the slowest ten.",
                "s",
                runbooks=("AgentSampleFailed",),
            ),
            Query(
                f"topk(10, {series.by_agent(series.agent('sample_duration_seconds'))})",
                "{{agent}} on {{host}}",
            ),
        ),
    ]
