"""Responder: what it is told, what it decides, how long it takes, and how it is itself."""

from __future__ import annotations

from grafana import page, series
from grafana.parts import (
    AMBER,
    BLUE,
    FULL,
    GREEN,
    GREY,
    HALF,
    QUARTER,
    RED,
    SIXTH,
    THIRD,
    About,
    Column,
    Panel,
    Query,
    graph,
    number,
    rows,
    timeline,
)

_NONE_IS_GOOD = ((None, GREEN), (1, RED))
_SSH_WORDS = "ssh_unreachable|ssh_auth_failed|host_key_mismatch|command_failed"


def build() -> page.Page:
    """Return the dashboard."""
    return page.Page(
        uid="memleash-responder",
        title="memleash / Responder",
        description="The responder: notifications in, outcomes out, and its own health.",
        variables=page.choices(),
        rows=[
            ("Now", _now()),
            ("What it is told", _told()),
            ("What it decides", _outcomes()),
            ("How long it takes", _durations()),
            ("Hosts", _hosts()),
            ("Its own processes", _process()),
        ],
    )


def _now() -> list[Panel]:
    def figure(
        title: str, description: str, expr: str, steps: tuple[tuple[float | None, str], ...]
    ) -> Panel:
        about = About(title, description, "short", SIXTH, 4, (), steps)
        return number(about, Query(expr, title))

    up = series.responder("build_info")
    paused = About(
        "Paused",
        "Whether a person paused it: it restarts nothing.",
        "short",
        SIXTH,
        4,
        ("MemleashResponderPaused",),
        words={"0": ("no", GREEN), "1": ("yes", RED)},
    )
    return [
        number(
            About(
                "Replicas",
                "Responders that answer Prometheus.",
                "short",
                SIXTH,
                4,
                ("MemleashResponderDown",),
                ((None, RED), (1, GREEN)),
            ),
            Query(series.count(up)),
        ),
        number(paused, Query(f"max({series.responder('paused')})")),
        figure(
            "Storm",
            "1 while too much of the fleet is over the limit at once to blame the agents.",
            f"max({series.responder('storm')})",
            _NONE_IS_GOOD,
        ),
        figure(
            "Notifications waiting",
            "Stored and not handled yet.",
            f"max({series.responder('queue_length')})",
            ((None, GREEN), (100, AMBER), (1000, RED)),
        ),
        figure(
            "Restarts open",
            "Workflows that wait or are under way.",
            series.count(series.RESTARTING),
            ((None, BLUE),),
        ),
        figure(
            "Quarantined",
            "Agents that a restart did not help; a person has to clear them.",
            series.count(f"{series.QUARANTINED} == 1"),
            _NONE_IS_GOOD,
        ),
    ]


def _told() -> list[Panel]:
    notifications = series.responder("notifications_total")
    alerts = series.responder("alerts_total")
    refused = series.responder("alerts_refused_total")
    return [
        graph(
            About(
                "Notifications",
                "Calls by Alertmanager and how they were answered; unavailable ones come again.",
                "reqps",
                THIRD,
            ),
            Query(f"sum by (answer) (rate({notifications}[$__rate_interval]))", "{{answer}}"),
        ),
        graph(
            About("Alerts", "Alerts told, by name and status.", "short", THIRD),
            Query(
                f"sum by (alertname, status) (increase({alerts}[$__rate_interval]))",
                "{{alertname}} {{status}}",
            ),
            bars=True,
        ),
        graph(
            About(
                "Refused and waiting",
                "Alerts that name no known host or agent, and notifications not handled yet.",
                "short",
                THIRD,
            ),
            Query(f"sum by (reason) (increase({refused}[$__rate_interval]))", "{{reason}}"),
            Query(f"max({series.responder('queue_length')})", "waiting"),
        ),
    ]


def _outcomes() -> list[Panel]:
    restarts = series.responder("restarts_total", series.AGENT)
    ssh = series.responder("restarts_total", series.AGENT, f'outcome=~"{_SSH_WORDS}"')
    return [
        graph(
            About(
                "Outcomes by word",
                "Requests for a restart by the word that they ended with.",
                "short",
                HALF,
                runbooks=("AgentRestartFailed", "AgentRestartLoop"),
            ),
            Query(f"sum by (outcome) (increase({restarts}[$__rate_interval])) > 0", "{{outcome}}"),
            bars=True,
        ),
        graph(
            About(
                "SSH errors",
                "Requests that ended because the host could not be reached or the command failed.",
                "short",
                HALF,
                runbooks=("AgentRestartBlocked", "AgentRestartFailed"),
            ),
            Query(f"sum by (outcome) (increase({ssh}[$__rate_interval]))", "{{outcome}}"),
            bars=True,
        ),
        rows(
            About(
                "Last outcomes",
                "How and when the last request for each agent ended.",
                width=HALF,
                runbooks=("AgentRestartFailed",),
            ),
            [Column("Ended", f"{series.LAST_RESTART} * 1000", "dateTimeFromNow")],
            sort_by="Ended",
        ),
        timeline(
            About(
                "Blocked",
                "Agents that should be restarted while a refusal needs a person.",
                width=HALF,
                runbooks=("AgentRestartBlocked",),
                words={"1": ("blocked", RED)},
            ),
            Query(series.BLOCKED, "{{agent}} on {{host}}: {{reason}}"),
        ),
    ]


def _durations() -> list[Panel]:
    buckets = series.responder("restart_step_seconds_bucket")

    def quantile(share: float) -> str:
        rates = f"sum by (le, step) (rate({buckets}[$__rate_interval]))"
        return f"histogram_quantile({share}, {rates})"

    return [
        graph(
            About("Steps, median", "How long each step of a restart took: half were faster.", "s"),
            Query(quantile(0.5), "{{step}}"),
        ),
        graph(
            About(
                "Steps, 95th percentile", "How long each step took: one in twenty took longer.", "s"
            ),
            Query(quantile(0.95), "{{step}}"),
        ),
        timeline(
            About(
                "Workflows by step",
                "DBOS's open workflows: each restart as it goes through its steps.",
                width=FULL,
                words={"1": ("here", BLUE)},
            ),
            Query(series.RESTARTING, "{{agent}} on {{host}}: {{step}}"),
        ),
    ]


def _hosts() -> list[Panel]:
    states = series.responder("host_state", series.HOST)
    return [
        graph(
            About(
                "Hosts by state",
                "Connected hosts are in service; a restart wants one.",
                "short",
                HALF,
                runbooks=("AgentRestartFailed",),
            ),
            Query(f"sum by (state) (max by (host, state) ({states}))", "{{state}}"),
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


def _process() -> list[Panel]:
    def about(title: str, description: str, unit: str) -> About:
        return About(title, description, unit, QUARTER)

    failures = series.responder("failures_total")
    cpu = series.scraped("process_cpu_seconds_total")
    return [
        graph(
            about("Failures", "Background work that failed and is tried again, by part.", "short"),
            Query(f"sum by (part) (increase({failures}[$__rate_interval]))", "{{part}}"),
            Query(f"1 - min({series.responder('database_up')})", "database away"),
        ),
        graph(
            about("Memory", "What each responder and exporter holds.", "bytes"),
            Query(series.scraped("process_resident_memory_bytes"), "{{job}} {{instance}}"),
        ),
        graph(
            about("CPU", "CPU time used, in cores.", "short"),
            Query(f"rate({cpu}[$__rate_interval])", "{{job}} {{instance}}"),
        ),
        graph(
            about("Open files", "Open file descriptors.", "short"),
            Query(series.scraped("process_open_fds"), "{{job}} {{instance}}"),
        ),
    ]
