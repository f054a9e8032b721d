"""The whole way of a mute: Prometheus scrapes hosts and pings them through the blackbox exporter.

Rules, routes and scrape jobs are the project's own; only addresses and times are replaced.

    python -m tests.integration.mutes.pinged stable

measures how soon after an agent got busy its host is muted, and prints it.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import yaml

from demo.stack.configs import quick_rules
from demo.stack.http import answers, get
from demo.stack.ports import free_port
from demo.stack.processes import Program, wait_until
from demo.stack.tools import REPOSITORY, find
from tests.integration.adapters import neighbours
from tests.integration.mutes import site as sites
from tests.integration.mutes.nodes import AGENT, Node
from tests.integration.mutes.site import Json, Site

RULES = REPOSITORY / "rules"


@dataclass
class Pinged:
    """A site whose hosts are scraped and pinged."""

    site: Site
    prometheus: str
    interval_seconds: float

    def query(self, expression: str) -> list[Json]:
        url = f"{self.prometheus}/api/v1/query?query={quote(expression)}"
        return list(get(url)["data"]["result"])

    def ping_targets(self) -> dict[str, Json]:
        """Return what Prometheus pings now, by host."""
        targets = get(f"{self.prometheus}/api/v1/targets?state=active")["data"]["activeTargets"]
        return {
            one["labels"]["host"]: one for one in targets if one["scrapePool"] == "memleash-ping"
        }

    def silenced(self, node: Node) -> bool:
        return bool(self.site.silences(node))

    def rounds(self, node: Node, count: int) -> None:
        """Wait for further scrapes of ``node``'s exporter; its pings have the same pace."""
        enough = len(node.scrapes) + count
        wait_until(f"{count} scrapes", lambda: len(node.scrapes) >= enough)


@contextlib.contextmanager
def running(
    folder: Path, age: str, *, interval_seconds: float = 1, from_files: bool = False
) -> Iterator[Pinged]:
    """Run a site with Prometheus and the blackbox exporter at this pace.

    Whom to ping the responder says, or the inventory's files where ``from_files``.
    """
    port = free_port()
    enforced = {AGENT: {"mode": "enforce", "restart_command": "false"}}
    asked = {"url": f"http://127.0.0.1:{port}"}
    with (
        sites.running(folder, age, prometheus=asked, agents=enforced) as site,
        contextlib.ExitStack() as cleanup,
    ):
        blackbox = f"127.0.0.1:{free_port()}"
        program = Program(
            "blackbox",
            [
                find(age).blackbox_exporter,
                f"--config.file={RULES / 'blackbox.yml'}",
                f"--web.listen-address={blackbox}",
            ],
            folder / "blackbox.log",
            lambda: answers(f"http://{blackbox}/-/healthy"),
        )
        cleanup.callback(program.stop)
        program.start()
        _route_to(site)
        for file in RULES.glob("*.rules.yml"):
            (folder / file.name).write_text(quick_rules(file.read_text()))
        config = _scrapes(site, blackbox, f"{interval_seconds:g}s")
        if from_files:
            _ping_from_files(config)
        text = yaml.safe_dump(config)
        url = neighbours.prometheus(cleanup, folder / "prometheus", age, text, port)
        yield Pinged(site, url, interval_seconds)


def _route_to(site: Site) -> None:
    """Have Alertmanager tell the responder, by the project's own routes."""
    config: dict[str, Any] = yaml.safe_load((RULES / "alertmanager.yml").read_text())
    receivers = {one["name"]: one for one in config["receivers"]}
    (webhook,) = receivers["responder"]["webhook_configs"]
    webhook["url"] = f"{site.responder.url}/api/v1/alertmanager"
    (site.alertmanager.folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
    site.alertmanager.stop()
    site.alertmanager.start()


def _scrapes(site: Site, blackbox: str, interval: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((RULES / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    config["rule_files"] = [str(site.folder / "*.rules.yml")]
    alertmanager = site.alertmanager.url.removeprefix("http://")
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    exporter, responder, ping = config["scrape_configs"]
    inventory = str(site.folder / "hosts.yml")
    exporter["file_sd_configs"] = [{"files": [inventory], "refresh_interval": "1s"}]
    responder["static_configs"] = [{"targets": [site.responder.url.removeprefix("http://")]}]
    ping.update(scrape_interval=interval, scrape_timeout="1s", params={"module": ["http_agent"]})
    listing = f"{site.responder.url}/api/v1/sd/ping-targets"
    ping["http_sd_configs"] = [{"url": listing, "refresh_interval": interval}]
    ping["relabel_configs"] += [
        {"source_labels": ["ping_url"], "target_label": "__param_target"},
        {"target_label": "__address__", "replacement": blackbox},
    ]
    return config


def _ping_from_files(config: dict[str, Any]) -> None:
    """Have the hosts to ping come from the exporters' files, as docs/prometheus.md says."""
    exporter, _, ping = config["scrape_configs"]
    del ping["http_sd_configs"]
    ping["file_sd_configs"] = exporter["file_sd_configs"]


# -- how soon ---------------------------------------------------------------------------------


def how_soon(pinged: Pinged) -> dict[str, float]:
    """Return the seconds from busy until each effect on a new host, and on the way back."""
    node = pinged.site.add()
    wait_until("pings", lambda: len(node.pings) > 1)
    began = time.time()
    node.busy = 1
    effects = {
        "the responder mutes it": lambda: pinged.site.mute(node)["muted"],
        "Alertmanager has the silence": lambda: pinged.silenced(node),
        "Prometheus pings it no more": lambda: node.name not in pinged.ping_targets(),
    }
    took = {name: _seconds_until(name, look, began) for name, look in effects.items()}
    took["the last ping came in"] = max(node.pings[-1] - began, 0)
    node.busy = 0
    began = time.time()
    back = f"idle until unmuted, {pinged.site.config['mute']['tail']} of it the tail"
    took[back] = _seconds_until("unmuted", lambda: not pinged.silenced(node), began)
    return took


def _seconds_until(name: str, look: Any, began: float) -> float:
    wait_until(name, look, every_seconds=0.02)
    return time.time() - began


def main() -> int:
    """Measure ten times at a pace of 5 s and print medians and maxima, in intervals too."""
    interval_seconds, rounds = 5.0, 10
    with (
        tempfile.TemporaryDirectory() as scratch,
        running(Path(scratch), sys.argv[1], interval_seconds=interval_seconds) as pinged,
    ):
        results = [how_soon(pinged) for _ in range(rounds)]
    print(f"{rounds} rounds; scrape, evaluation and refresh interval {interval_seconds:g} s")
    for name in results[0]:
        took = [one[name] for one in results]
        middle, most = median(took), max(took)
        print(
            f"{name}: median {middle:.1f} s ({middle / interval_seconds:.1f} intervals),"
            f" at most {most:.1f} s ({most / interval_seconds:.1f})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
