"""The configuration of every part of the stack, as data, at a demo's intervals and limits.

Alerts, routes and scrape jobs are the project's own from rules/: only waiting times, addresses
and the way to ping are replaced, so that what the demo shows is what a fleet gets, sooner.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from typing import Any

import yaml

from demo.stack.layout import Layout
from demo.stack.sshd import Sshd
from demo.stack.tools import REPOSITORY
from memleash_toolkit.units import parse_duration

Config = dict[str, Any]

SERVICE_SCRIPT = REPOSITORY / "demo/service"
_RULES = REPOSITORY / "rules"


def write_all(layout: Layout, sshd: Sshd) -> None:
    """Write every configuration file into the layout's folder."""
    for folder in (layout.service, layout.busy, layout.rules, layout.logs):
        folder.mkdir(parents=True)
    (layout.service / "command").write_text(agent_command(layout), encoding="utf-8")
    for file in _RULES.glob("*.rules.yml"):
        text = quick_rules(file.read_text(encoding="utf-8"))
        (layout.rules / file.name).write_text(text, encoding="utf-8")
    for name, content in {
        layout.inventory.name: inventory(layout),
        "exporter.yml": exporter(layout),
        "blackbox.yml": blackbox(),
        "prometheus.yml": prometheus(layout),
        "alertmanager.yml": alertmanager(layout),
        "responder.yml": responder(layout, sshd),
    }.items():
        text = yaml.safe_dump(content, sort_keys=False)
        (layout.folder / name).write_text(text, encoding="utf-8")


def agent_command(layout: Layout) -> str:
    """Return the shell command line that runs the sample agent."""
    return shlex.join(
        [
            *("env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", "demo.agent"),
            *("--listen", layout.address("agent"), "--name", layout.agent),
            *("--busy-directory", str(layout.busy)),
            *("--start-delay", str(layout.pace.start_delay_seconds)),
            *("--end-with", str(os.getpid())),  # a stack that is killed leaves no agent behind
        ]
    )


def exporter(layout: Layout) -> Config:
    pace = {"timeout": "1s", "interval": "1s", "max_age": "3s"}
    status = {"url": layout.url("agent", "/status"), "field": "busy", **pace}
    return {
        "agents": [
            {
                "name": layout.agent,
                "discover": {"pidfile": str(layout.service / "agent.pid")},
                "limits": {
                    "alarm_threshold": layout.pace.alarm_threshold_bytes,
                    "hard_limit": layout.pace.hard_limit_bytes,
                },
                "busy": [{"markers": {}}, {"http": status}],
                "ready": {"http": {"url": layout.url("agent", "/host/echo"), **pace}},
            }
        ],
        "busy_markers_directory": str(layout.busy),
    }


def blackbox() -> Config:
    """Return the project's ping modules, less patient."""
    config = _ours("blackbox.yml")
    for module in config["modules"].values():
        module["timeout"] = "1s"
    return config


def inventory(layout: Layout) -> list[Config]:
    """Return the fleet in file_sd format: Prometheus and the responder read the same file."""
    labels = {"host": layout.host, "ssh_address": "127.0.0.1", "zone": "demo"}
    return [{"targets": [layout.address("exporter")], "labels": labels}]


def prometheus(layout: Layout) -> Config:
    """Return the project's scrape jobs, every second; the host's ping asks its agent."""
    config = _ours("prometheus.yml")
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(layout.rules / "*.yml")]
    config["alerting"]["alertmanagers"] = [_static(layout.address("alertmanager"))]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    jobs["memleash-exporter"]["file_sd_configs"] = [{"files": [str(layout.inventory)]}]
    jobs["memleash-responder"].update(_static(layout.address("responder")))
    ping = jobs["memleash-ping"]
    ping.update(
        {"scrape_interval": "1s", "scrape_timeout": "1s", "params": {"module": ["http_agent"]}}
    )
    ping["http_sd_configs"] = [
        {"url": layout.url("responder", "/api/v1/sd/ping-targets"), "refresh_interval": "1s"}
    ]
    ping["relabel_configs"] += [
        {"target_label": "__param_target", "replacement": layout.url("agent", "/host/echo")},
        {"target_label": "__address__", "replacement": layout.address("blackbox")},
    ]
    return config


def _static(address: str) -> Config:
    return {"static_configs": [{"targets": [address]}]}


def quick_rules(text: str) -> str:
    """Return the rules of ``text`` with every waiting time shortened as the scrape interval is.

    Prometheus's usual 15 s have become 1 s here, so `for: 1m` becomes 4 s: as many tries.
    """

    def shorter(match: re.Match[str]) -> str:
        seconds = max(1, round(parse_duration(match["time"]) / 15))
        return f"{match['key']} {seconds}s"

    return re.sub(
        r"^(?P<key>\s+(?:for|keep_firing_for):)\s*(?P<time>\w+)", shorter, text, flags=re.MULTILINE
    )


def alertmanager(layout: Layout) -> Config:
    """Return the project's routes with short waits; the people are the pager."""
    config = _ours("alertmanager.yml")
    receivers = {receiver["name"]: receiver for receiver in config["receivers"]}
    (responder_webhook,) = receivers["responder"]["webhook_configs"]
    responder_webhook["url"] = layout.url("responder", "/api/v1/alertmanager")
    (people_webhook,) = receivers["people"]["webhook_configs"]
    people_webhook["url"] = layout.url("pager", "/")
    _hasten(config["route"])
    return config


def _hasten(route: Config) -> None:
    route.update({"group_wait": "0s", "group_interval": "2s", "repeat_interval": "4s"})
    for child in route.get("routes", []):
        _hasten(child)


def responder(layout: Layout, sshd: Sshd) -> Config:
    pace = layout.pace
    return {
        "prometheus": {"url": layout.url("prometheus")},
        "alertmanager": {"urls": [layout.url("alertmanager")]},
        "database": f"sqlite:///{layout.folder / 'responder.db'}",
        "inventory": {"files": [str(layout.inventory)]},
        "ssh": {
            "user": sshd.user,
            "port": sshd.port,
            "identity_file": str(sshd.identity_file),
            "known_hosts_file": str(sshd.known_hosts_file),
            "connect_timeout": "5s",
            "command_timeout": "30s",
        },
        "controllers": [_controller(layout)],
        "agents": {layout.agent: _managed_agent(layout)},
        "reports": {"folder": str(layout.reports)},
        "exporter": {"timeout": "2s"},
        # A fleet of one: the one host over its limit is all of it, and no storm.
        "fleet": {"storm_fraction": 1},
        "mute": {
            "base": f"{pace.mute_base_seconds}s",
            "step_bytes": pace.mute_step_bytes,
            "longest": "10m",
            "max_hold": "30m",
            "tail": "2s",
            "interval": "1s",
        },
    }


def _controller(layout: Layout) -> Config:
    host = layout.url("controller", "/hosts/{host}")
    return {
        "name": "mn-1",
        "drain_url": f"{host}/drain",
        "undrain_url": f"{host}/undrain",
        "tasks_url": f"{host}/tasks",
        "reconnect_url": layout.url("controller", "/reconnect"),
        "timeout": "5s",
    }


def _managed_agent(layout: Layout) -> Config:
    return {
        "diagnose": _diagnose(layout),
        "mode": "enforce",
        "restart_command": shlex.join([str(SERVICE_SCRIPT), str(layout.service), "restart"]),
        "readiness": {"probes": 60, "timeout": "2s", "interval": "1s"},
        "reconnect_timeout": "30s",
        "guards": {
            "startup_grace": "1s",
            "cooldown": "10m",
            "wait_for_idle": "30s",
            "idle_interval": "1s",
            "retry_after": f"{layout.pace.retry_seconds}s",
        },
    }


def _ours(name: str) -> Config:
    config: Config = yaml.safe_load((_RULES / name).read_text(encoding="utf-8"))
    return config


def _diagnose(layout: Layout) -> Config:
    """Return how the agent is diagnosed: in short rounds, for a leak of a few KiB a second."""
    return {
        "discover": {"pidfile": str(layout.service / "agent.pid")},
        "rounds": 3,
        "interval": "2s",
        "min_growth": "4KiB",
        "min_free_disk": "1MiB",
        "python": sys.executable,
        "work_folder": str(layout.folder / "diagnose"),
        "busy_folder": str(layout.busy),
    }
