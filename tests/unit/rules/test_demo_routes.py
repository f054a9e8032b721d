"""The compose demo's Alertmanager and Prometheus are the ones that we publish, only quicker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
PACE = ("group_wait", "group_interval", "repeat_interval")


def config(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def without_pace(route: dict[str, Any]) -> dict[str, Any]:
    """Return a route, and those below it, without its times."""
    kept = {name: value for name, value in route.items() if name not in PACE}
    return kept | {"routes": [without_pace(one) for one in route.get("routes", [])]}


def test_the_demo_sends_every_alert_where_the_published_routes_send_it() -> None:
    demo, published = config("docker/config/alertmanager.yml"), config("rules/alertmanager.yml")
    assert without_pace(demo["route"]) == without_pace(published["route"])
    assert demo["inhibit_rules"] == published["inhibit_rules"]


def test_the_demos_receivers_are_told_as_the_published_ones_are() -> None:
    demo, published = config("docker/config/alertmanager.yml"), config("rules/alertmanager.yml")
    by_name = {one["name"]: one for one in published["receivers"]}
    for receiver in demo["receivers"]:
        webhooks = by_name[receiver["name"]].get("webhook_configs", [])
        for ours, theirs in zip(receiver.get("webhook_configs", []), webhooks, strict=True):
            for setting in ("send_resolved", "max_alerts"):
                assert ours.get(setting) == theirs.get(setting), receiver["name"]


def test_the_demo_scrapes_under_the_job_names_that_the_rules_know() -> None:
    demo, published = config("docker/config/prometheus.yml"), config("rules/prometheus.yml")
    jobs = [{job["job_name"] for job in one["scrape_configs"]} for one in (demo, published)]
    assert jobs[0] <= jobs[1]
    assert {"memleash-exporter", "memleash-responder", "memleash-ping"} <= jobs[0]
