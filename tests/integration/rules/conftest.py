"""The project's own rules, routes and scrape jobs in a real Prometheus and Alertmanager.

One stack for each age (the machine's own, the newest) serves all tests; each test has hosts of its
own. Only addresses and times are replaced: what takes 15 s in a fleet takes 1 s here.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from demo.stack.configs import quick_rules
from demo.stack.http import answers, get
from demo.stack.ports import reserve_ports
from demo.stack.processes import Program, wait_until
from demo.stack.tools import Tools
from rules.lint import RULES
from tests.integration.rules.scraped_hosts import Fleet, serve
from tests.support.stacks import find_or_skip

MEMORY_GROUP_INTERVAL_SECONDS = 20  # 31 minutes in a fleet

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stack:
    """A running Prometheus and Alertmanager, and the fleet they look at."""

    fleet: Fleet
    prometheus: str
    alertmanager: str
    blackbox: str
    inventory: Path
    server: Program
    """The Prometheus."""

    def restart_prometheus(self) -> None:
        self.server.stop()
        self.server.start()

    def watch(self, *hosts: str) -> None:
        """Adds the hosts' exporters to the scrape targets."""
        known = {entry["labels"]["host"] for entry in yaml.safe_load(self.inventory.read_text())}
        entries = [
            {
                "targets": [self.fleet.address],
                "labels": {
                    "host": host,
                    "ssh_address": "127.0.0.1",
                    "zone": "z1",
                    "__metrics_path__": f"/hosts/{host}/metrics",
                },
            }
            for host in sorted(known | set(hosts))
        ]
        fresh = self.inventory.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(entries))
        fresh.replace(self.inventory)

    def query(self, expr: str) -> list[Config]:
        """Returns an instant query's samples."""
        answer = ask(f"{self.prometheus}/api/v1/query", query=expr)
        result: list[Config] = answer["data"]["result"]
        return result

    def value(self, expr: str) -> float | None:
        """Returns the one sample's value, or None when there is none."""
        result = self.query(expr)
        return float(result[0]["value"][1]) if result else None

    def alerts(self, name: str, **labels: str) -> list[Config]:
        """Returns Prometheus's active alerts of that name, pending ones too."""
        wanted = {"alertname": name, **labels}
        return [
            alert
            for alert in get(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
            if wanted.items() <= alert["labels"].items()
        ]

    def firing(self, name: str, **labels: str) -> bool:
        return any(alert["state"] == "firing" for alert in self.alerts(name, **labels))

    def evaluations(self, expr: str, count: int = 1) -> None:
        """Waits until `count` further evaluations of the rules have seen `expr` hold."""
        seen = 0
        last = ""

        def look() -> bool:
            nonlocal seen, last
            groups = get(f"{self.prometheus}/api/v1/rules")["data"]["groups"]
            stamp = str([group["lastEvaluation"] for group in groups])
            if stamp != last and self.query(expr):
                last, seen = stamp, seen + 1
            return seen > count

        wait_until(f"{expr} over {count} evaluations", look, seen=lambda: seen)


def ask(url: str, **values: str) -> Config:
    answer: Config = get(f"{url}?{urlencode(values)}")
    return answer


@pytest.fixture(scope="session", params=["stable", "newest"])
def tools(request: pytest.FixtureRequest) -> Tools:
    return find_or_skip(request.param)


@pytest.fixture(scope="session")
def stack(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with ExitStack() as running:
        ports = running.enter_context(reserve_ports())
        fleet = running.enter_context(serve(Fleet()))
        prometheus, alertmanager, cluster, blackbox = (f"127.0.0.1:{port}" for port in ports[:4])
        (folder / "hosts.yml").write_text("[]")
        fleet.list_targets({})
        fleet.pages["/responder/metrics"] = "memleash_responder_paused 0\n"
        for file in RULES.glob("*.rules.yml"):
            (folder / file.name).write_text(quick_rules(file.read_text()))
        write(folder / "alertmanager.yml", alertmanager_config(fleet))
        write(folder / "prometheus.yml", prometheus_config(folder, fleet, alertmanager))
        server = Program(
            "prometheus",
            [
                tools.prometheus,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address={prometheus}",
            ],
            folder / "prometheus.log",
            lambda: answers(f"http://{prometheus}/-/ready"),
        )
        for program in (
            Program(
                "alertmanager",
                [
                    tools.alertmanager,
                    f"--config.file={folder / 'alertmanager.yml'}",
                    f"--storage.path={folder / 'alertmanager'}",
                    f"--web.listen-address={alertmanager}",
                    f"--cluster.listen-address={cluster}",
                    "--cluster.settle-timeout=1s",
                ],
                folder / "alertmanager.log",
                lambda: answers(f"http://{alertmanager}/-/ready"),
            ),
            server,
            Program(
                "blackbox",
                [
                    tools.blackbox_exporter,
                    f"--config.file={RULES / 'blackbox.yml'}",
                    f"--web.listen-address={blackbox}",
                ],
                folder / "blackbox.log",
                lambda: answers(f"http://{blackbox}/-/healthy"),
            ),
        ):
            running.callback(program.stop)
            program.start()
        yield Stack(
            fleet=fleet,
            prometheus=f"http://{prometheus}",
            alertmanager=f"http://{alertmanager}",
            blackbox=f"http://{blackbox}",
            inventory=folder / "hosts.yml",
            server=server,
        )


def write(path: Path, config: Config) -> None:
    path.write_text(yaml.safe_dump(config, sort_keys=False))


def prometheus_config(folder: Path, fleet: Fleet, alertmanager: str) -> Config:
    config: Config = yaml.safe_load((RULES / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(folder / "*.rules.yml")]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    exporter, responder, ping = config["scrape_configs"]
    exporter["file_sd_configs"] = [{"files": [str(folder / "hosts.yml")], "refresh_interval": "1s"}]
    responder["static_configs"] = [{"targets": [fleet.address]}]
    responder["metrics_path"] = "/responder/metrics"
    ping.update({"scrape_interval": "1s", "scrape_timeout": "1s"})
    ping["http_sd_configs"] = [
        {"url": f"http://{fleet.address}/api/v1/sd/ping-targets", "refresh_interval": "1s"}
    ]
    # The fleet stands for the blackbox exporter too: it answers at /probe/<what is pinged>.
    ping["relabel_configs"] += [
        {"target_label": "__address__", "replacement": fleet.address},
        {
            "source_labels": ["__param_target"],
            "target_label": "__metrics_path__",
            "replacement": "/probe/$1",
        },
    ]
    return config


def alertmanager_config(fleet: Fleet) -> Config:
    config: Config = yaml.safe_load((RULES / "alertmanager.yml").read_text())
    for receiver in config["receivers"]:
        for webhook in receiver.get("webhook_configs", []):
            webhook["url"] = f"http://{fleet.address}/hooks/{receiver['name']}"
    (ours,) = config["route"]["routes"]
    ours.update({"group_wait": "1s", "group_interval": "2s"})
    responder, _, memory, _ = ours["routes"]
    responder.update({"group_interval": "1s", "repeat_interval": "5s"})
    memory["group_interval"] = f"{MEMORY_GROUP_INTERVAL_SECONDS}s"
    return config
