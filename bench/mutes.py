"""What mutes cost when much of a fleet is busy at once: `python -m bench.mutes`.

A responder on SQLite, a real Alertmanager, and 1,000 hosts that are all busy (see mutes_hosts), of
which 0, 10 and 50 % accept and never answer. For each share:

1. The share hangs, and AgentBusy is told of all hosts: how long until Alertmanager has a silence of
   each host that answers.
2. All answer, and have their silences. Then the share hangs, and for two and a half minutes (two
   renewals of a silence) everything is counted: what Alertmanager and exporters are asked, what is
   committed to the database, and how late the hosts that answer are looked at and renewed. After
   20 s the hanging hosts' alerts resolve, as they do when Prometheus has no fresh sample.

Writes bench/mutes.json. Leaves with 1 when one that answers was late: not looked at for three
intervals, or with a silence that had less than half of ``mute.base`` left.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import struct
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import yaml

from bench.mutes_hosts import AGENT, address, hangs
from bench.restart import cpu_seconds
from demo.http_server import Reply, Request, serving
from demo.stack.http import answers
from demo.stack.own_programs import ENVIRONMENT
from demo.stack.ports import free_port
from demo.stack.processes import NotInTime, Program, wait_until
from demo.stack.responder import UNUSED, Responder, alert, responder
from demo.stack.tools import find

RESULT = Path(__file__).with_suffix(".json")
BASE_SECONDS, INTERVAL_SECONDS = 300, 15
"""The defaults of ``mute``."""
LONGEST_SECONDS_BETWEEN_LOOKS = 3 * INTERVAL_SECONDS
LEAST_SECONDS_LEFT = BASE_SECONDS / 2
RESOLVED_AFTER_SECONDS = 20


def main() -> int:
    """Measure each share, write the figures, and say whether a host that answers was late."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--shares", type=int, nargs="+", default=[0, 10, 50])
    options = parser.parse_args()
    rows = {}
    for percent in options.shares:
        load = os.getloadavg()[0]
        with (
            tempfile.TemporaryDirectory(prefix="memleash-bench-") as folder,
            running(Path(folder), options.hosts) as site,
        ):
            rows[f"{percent} % hang"] = {"load_before": load, **measured(site, percent, options)}
        print(percent, json.dumps(rows[f"{percent} % hang"], indent=2), flush=True)
    result = {"command": "python -m bench.mutes", "hosts": options.hosts, **rows}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    late = [share for share, row in rows.items() if is_late(row)]
    print(f"late among those that answer: {', '.join(late) or 'none'}")
    return 1 if late else 0


def is_late(row: dict[str, Any]) -> bool:
    """Whether a host that answers was looked at or renewed late."""
    between = float(row["longest_seconds_between_looks"])
    left = float(row["least_seconds_left_of_a_silence"])
    return between > LONGEST_SECONDS_BETWEEN_LOOKS or left < LEAST_SECONDS_LEFT


@dataclass(frozen=True)
class Site:
    """What runs, and what is seen of it."""

    responder: Responder
    database: Path
    hosts: int
    hosts_url: str
    alertmanager_url: str
    asked: Counter[str]
    """What was asked of Alertmanager, by kind."""

    def hang(self, percent: int) -> None:
        """Have a share of the hosts hang, and the others answer."""
        urllib.request.urlopen(f"{self.hosts_url}/hang/{percent}", b"", timeout=60).close()

    def looks(self) -> dict[str, list[float]]:
        """Return when each host was asked since the last ``hang``, by name."""
        with urllib.request.urlopen(f"{self.hosts_url}/asked", timeout=60) as answer:
            by_address = json.load(answer)
        return {name(n): by_address.get(address(n), []) for n in range(self.hosts)}

    def tell(self, status: str, numbers: list[int]) -> None:
        """Tell the responder of AgentBusy on hosts."""
        labels = {"alertname": "AgentBusy", "remediation": "mute", "agent": AGENT}
        alerts = (alert(n, host=name(n), status=status, **labels) for n in numbers)
        told = self.responder.tell(*alerts)
        if told not in (200, 202):
            raise RuntimeError(f"the webhook answered {told}")

    def seconds_left(self) -> dict[str, float]:
        """Return how long the active silence of each host lasts yet, by Alertmanager's word."""
        url = f"{self.alertmanager_url}/api/v2/silences"
        with urllib.request.urlopen(url, timeout=60) as answer:
            silences, now = json.load(answer), time.time()
        return {
            matcher["value"]: datetime.fromisoformat(silence["endsAt"]).timestamp() - now
            for silence in silences
            for matcher in silence["matchers"]
            if matcher["name"] == "host" and silence["status"]["state"] == "active"
        }


def name(number: int) -> str:
    """Return a host's name."""
    return f"node-{number}"


def measured(site: Site, percent: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one share of hanging hosts."""
    everyone = list(range(site.hosts))
    hanging = [n for n in everyone if hangs(n, percent)]
    answering = {name(n) for n in everyone if not hangs(n, percent)}
    site.hang(percent)
    silenced_after = told_until_silenced(site, everyone, answering)
    site.hang(0)
    told_until_silenced(site, hanging, {name(n) for n in everyone})
    time.sleep(INTERVAL_SECONDS)
    site.hang(percent)
    counts = counted(site, hanging, answering, options.seconds)
    return {"seconds_until_silenced": silenced_after, **counts}


def told_until_silenced(site: Site, numbers: list[int], hosts: set[str]) -> float | None:
    """Tell of ``numbers``; return the seconds until ``hosts`` have silences, None: not in time."""
    began = time.monotonic()
    site.tell("firing", numbers)
    with contextlib.suppress(NotInTime):
        wait_until(
            "the silences",
            lambda: hosts <= site.seconds_left().keys(),
            timeout_seconds=400,
            every_seconds=0.25,
        )
        return round(time.monotonic() - began, 1)
    return None


def counted(site: Site, hanging: list[int], answering: set[str], seconds: float) -> dict[str, Any]:
    """Return what is asked and written a minute, and how late hosts that answer are."""
    commits = Commits(site.database)
    before, cpu_before = Counter(site.asked), cpu_seconds(site.responder.pid)
    least: dict[str, float] = dict.fromkeys(answering, float("inf"))
    began, resolved = time.monotonic(), False
    while (elapsed := time.monotonic() - began) < seconds:
        left = site.seconds_left()
        least = {host: min(least[host], left.get(host, 0.0)) for host in answering}
        if hanging and not resolved and elapsed > RESOLVED_AFTER_SECONDS:
            resolved = True
            site.tell("resolved", hanging)
        for _ in range(8):
            time.sleep(0.25)
            commits.look()
    minutes = (time.monotonic() - began) / 60
    asked, looks = site.asked - before, site.looks()
    gaps = [
        later - one
        for host in answering
        for one, later in zip([began, *looks[host]], [*looks[host], time.monotonic()], strict=True)
    ]
    ended = time.monotonic()
    return {
        "minutes": round(minutes, 2),
        "alertmanager_calls_a_minute": {
            kind: round(count / minutes) for kind, count in sorted(asked.items())
        },
        "exporter_calls_a_minute": {
            "answering": round(sum(len(looks[host]) for host in answering) / minutes),
            "hanging": round(sum(len(looks[name(n)]) for n in hanging) / minutes),
        },
        "database_commits_a_minute": round(commits.count / minutes),
        "responder_cpu_share": round(
            (cpu_seconds(site.responder.pid) - cpu_before) / (ended - began), 3
        ),
        "longest_seconds_between_looks": round(max(gaps), 1),
        "least_seconds_left_of_a_silence": round(min(least.values()), 1),
    }


@dataclass
class Commits:
    """Counts the transactions in SQLite's write-ahead log. Format: sqlite.org/fileformat2.html"""

    database: Path
    count: int = 0
    _salt: bytes = b""
    _offset: int = 32

    def __post_init__(self) -> None:
        """Skip what was committed before."""
        self.look()
        self.count = 0

    def look(self) -> None:
        """Count what was committed since the last look; a log that began anew has a new salt."""
        with self.database.with_name(f"{self.database.name}-wal").open("rb") as log:
            head = log.read(32)
            if len(head) < 32:
                return
            page_bytes, salt = struct.unpack(">I", head[8:12])[0], head[16:24]
            if salt != self._salt:
                self._salt, self._offset = salt, 32
            log.seek(self._offset)
            while len(frame := log.read(24 + page_bytes)) == 24 + page_bytes:
                if frame[8:16] != salt:
                    return
                self._offset += len(frame)
                self.count += struct.unpack(">I", frame[4:8])[0] != 0


@contextlib.contextmanager
def running(folder: Path, hosts: int) -> Iterator[Site]:
    """Run a responder, an Alertmanager and the hosts."""
    with contextlib.ExitStack() as cleanup:
        hosts_port, alertmanager_port = free_port(), free_port()
        programs = [_hosts(folder, hosts_port), _alertmanager(folder, alertmanager_port)]
        for program in programs:
            program.start()
            cleanup.callback(program.stop)
        asked: Counter[str] = Counter()
        proxy = cleanup.enter_context(serving(_counting(alertmanager_port, asked)))
        inventory = [
            {"targets": [f"{address(n)}:{hosts_port}"], "labels": {"host": name(n)}}
            for n in range(hosts)
        ]
        (folder / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
        config = {
            "database": f"sqlite:///{folder / 'responder.db'}",
            "inventory": {"files": [str(folder / "hosts.yml")]},
            "prometheus": {"url": f"http://{UNUSED}"},
            "alertmanager": {"urls": [proxy.url]},
            "agents": {AGENT: {"restart_command": "false"}},
        }
        one = responder(folder, free_port(), config)
        one.program.start()
        cleanup.callback(one.program.stop)
        hosts_url, url = (f"http://127.0.0.1:{port}" for port in (hosts_port, alertmanager_port))
        yield Site(one, folder / "responder.db", hosts, hosts_url, url, asked)


def _hosts(folder: Path, port: int) -> Program:
    argv: list[str | Path] = [sys.executable, "-m", "bench.mutes_hosts", str(port)]
    url = f"http://127.0.0.1:{port}/asked"
    return Program("hosts", argv, folder / "hosts.log", lambda: answers(url), ENVIRONMENT)


def _alertmanager(folder: Path, port: int) -> Program:
    config = folder / "alertmanager.yml"
    config.write_text("route: {receiver: people}\nreceivers: [{name: people}]\n", encoding="utf-8")
    argv: list[str | Path] = [
        find().alertmanager,
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}/-/ready"
    return Program("alertmanager", argv, folder / "alertmanager.log", lambda: answers(url))


def _counting(port: int, asked: Counter[str]) -> Any:
    """Return what passes a request on to the Alertmanager at ``port``, and counts it by kind."""
    counting = threading.Lock()

    def answer(request: Request) -> Reply:
        kind = "/".join(request.route.split("/")[:4])  # without the id of a silence
        with counting:
            asked[f"{request.method} {kind}"] += 1
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(request.method, request.path, request.body, headers)
            got = connection.getresponse()
            return Reply(got.status, got.read())
        finally:
            connection.close()

    return answer


if __name__ == "__main__":
    sys.exit(main())
