"""The program as its users run it: flags, reload, disturbances, and what it touches."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics

from demo.stack.processes import wait_until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
Run = Callable[..., Any]


def config(*agents: dict[str, object]) -> dict[str, object]:
    return {"agents": list(agents)}


def itself(name: str = "a", **more: object) -> dict[str, object]:
    """Return an agent that is surely down: no process of that description runs."""
    return {"name": name, "discover": {"cmdline": "^no-such-agent$"}, **more}


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "memleash_exporter", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )


def test_every_page_answers(run_exporter: Run) -> None:
    exporter = run_exporter(config(itself("agent-1")))
    assert exporter.get("/-/healthy") == (200, "memleash-exporter is healthy.\n")
    assert exporter.get("/-/ready") == (200, "memleash-exporter is ready.\n")
    status, page = exporter.get("/")
    assert status == 200
    assert "<li>agent-1</li>" in page
    for path in re.findall(r'href="([^"]+)"', page):
        assert exporter.get(path)[0] == 200
    assert exporter.get("/none")[0] == 404
    assert exporter.get("/metrics", method="POST")[0] == 405
    assert exporter.get("/-/reload")[0] == 405


def test_a_scrape_is_told_in_the_format_and_compression_that_are_asked_for(
    run_exporter: Run,
) -> None:
    exporter = run_exporter(config(itself()))
    wanted = {"Accept": "application/openmetrics-text; version=1.0.0", "Accept-Encoding": "gzip"}
    connection = http.client.HTTPConnection("127.0.0.1", exporter.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics", headers=wanted)
        answer = connection.getresponse()
        text = gzip.decompress(answer.read()).decode()
        assert answer.getheader("Content-Type", "").startswith("application/openmetrics-text")
        assert answer.getheader("Content-Encoding") == "gzip"
        families = {one.name for one in openmetrics.text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
        assert {"memleash_agent_up", "process_cpu_seconds"} <= families

        connection.request("HEAD", "/metrics")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        assert int(answer.getheader("Content-Length", "0")) > 1000


def test_the_metrics_may_be_moved(run_exporter: Run) -> None:
    exporter = run_exporter(config(itself()), "--web.telemetry-path", "/probe")
    assert exporter.get("/metrics")[0] == 404
    assert "memleash_agent_up" in exporter.get("/probe")[1]
    assert 'href="/probe"' in exporter.get("/")[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_0_when_told_to(run_exporter: Run, number: signal.Signals) -> None:
    exporter = run_exporter(config(itself()))
    exporter.process.send_signal(number)
    assert exporter.process.wait(60) == 0


def test_a_taken_address_is_an_error(run_exporter: Run, tmp_path: Path) -> None:
    port = run_exporter(config(itself())).port
    file = tmp_path / "exporter.yml"
    finished = program("--config.file", str(file), "--web.listen-address", f"127.0.0.1:{port}")
    assert finished.returncode == 1
    assert "Address already in use" in finished.stderr


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--web.listen-address", "10058"), "'10058' must be host:port or :port"),
        (("--web.listen-address", ":99999"), "':99999' must be host:port or :port"),
        (("--web.telemetry-path", "metrics"), "'metrics' must be a path such as /metrics"),
        (("--web.telemetry-path", "/-/ready"), "'/-/ready' must be a path such as /metrics"),
        (("--log.level", "loud"), "invalid choice: 'loud'"),
        (("--conf", "x"), "unrecognized arguments: --conf x"),
    ],
)
def test_a_bad_flag_is_named(flags: tuple[str, ...], problem: str) -> None:
    finished = program(*flags)
    assert finished.returncode == 2
    assert problem in finished.stderr


def test_check_config_says_ok_and_starts_nothing(tmp_path: Path) -> None:
    file = tmp_path / "exporter.yml"
    complete: dict[str, Any] = {"busy": [{"markers": {}}], "ready": {"tcp": "127.0.0.1:9"}}
    file.write_text(json.dumps(config(itself(**complete), itself("b", **complete))))
    finished = program("--config.file", str(file), "--check-config")
    assert (finished.returncode, finished.stdout) == (0, f"{file}: ok, 2 agents\n")


def test_check_config_warns_of_an_agent_that_nothing_would_restart(tmp_path: Path) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text(json.dumps(config(itself("bare"))))
    finished = program("--config.file", str(file), "--check-config")
    assert finished.returncode == 0
    assert finished.stdout.splitlines() == [
        "warning: bare: no busy source: whether it is busy is unknown, so nothing restarts it",
        "warning: bare: no ready probe: a restart could not be proven, so nothing restarts it",
        f"{file}: ok, 1 agents",
    ]


def test_check_config_reads_the_web_configuration_too(tmp_path: Path) -> None:
    file, web = tmp_path / "exporter.yml", tmp_path / "web.yml"
    file.write_text(json.dumps(config(itself())))
    web.write_text("rate_limit: {burst: 1}")
    finished = program("--config.file", str(file), "--web.config.file", str(web), "--check-config")
    assert finished.returncode == 1
    assert f"memleash-exporter: {web}: rate_limit is part of" in finished.stderr


def test_once_waits_for_the_probes_and_keeps_the_log_apart(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        file = tmp_path / "exporter.yml"
        file.write_text(json.dumps(config(itself(ready={"tcp": address}))))
        finished = program("--config.file", str(file), "--once", "--log.format", "json")
    assert finished.returncode == 0
    assert 'memleash_agent_ready{agent="a"} 1.0\n' in finished.stdout
    assert 'memleash_agent_up{agent="a"} 0.0\n' in finished.stdout
    for line in finished.stderr.splitlines():
        assert json.loads(line)["level"]


class TestReload:
    SUCCESSFUL = "memleash_exporter_config_last_reload_successful"
    SUCCESS_AT = "memleash_exporter_config_last_reload_success_timestamp_seconds"

    def test_a_good_file_is_swapped_in(self, run_exporter: Run, tmp_path: Path) -> None:
        exporter = run_exporter(config(itself()))
        before = exporter.scrape()
        (tmp_path / "exporter.yml").write_text(json.dumps(config(itself("b"))))
        assert exporter.get("/-/reload", method="POST") == (200, "configuration reloaded\n")
        after = exporter.scrape()
        assert "memleash_agent_up{agent=a}" not in after
        assert after["memleash_agent_up{agent=b}"] == 0
        assert after[self.SUCCESS_AT] > before[self.SUCCESS_AT]

    def test_sighup_does_the_same(self, run_exporter: Run, tmp_path: Path) -> None:
        exporter = run_exporter(config(itself()))
        (tmp_path / "exporter.yml").write_text(json.dumps(config(itself("b"))))
        exporter.process.send_signal(signal.SIGHUP)
        wait_until("the new agent", lambda: "memleash_agent_up{agent=b}" in exporter.scrape())

    def test_a_bad_file_leaves_the_old_one_and_says_so(
        self, run_exporter: Run, tmp_path: Path
    ) -> None:
        exporter = run_exporter(config(itself()))
        file = tmp_path / "exporter.yml"
        before = exporter.scrape()
        good = file.read_text()
        file.write_text('{"agents": [{"name": "b"}]}')
        status, text = exporter.get("/-/reload", method="POST")
        assert status == 400
        assert text.startswith(
            f"configuration not reloaded: {file}: agents[0]: discover is missing"
        )
        after = exporter.scrape()
        assert after["memleash_agent_up{agent=a}"] == 0
        assert after[self.SUCCESSFUL] == 0
        assert after[self.SUCCESS_AT] == before[self.SUCCESS_AT]
        assert (
            'level=error logger=memleash_exporter.collector.agents_collector msg="configuration not'
            in exporter.log()
        )
        exporter.process.send_signal(signal.SIGHUP)
        wait_until("SIGHUP's log", lambda: exporter.log().count("configuration not reloaded") == 2)
        file.write_text(good)
        assert exporter.get("/-/reload", method="POST")[0] == 200
        assert exporter.scrape()[self.SUCCESSFUL] == 1

    def test_what_stays_the_same_keeps_its_life_and_its_words(
        self, run_exporter: Run, agents: Any, tmp_path: Path
    ) -> None:
        agents(tmp_path.name)
        agent: dict[str, object] = {
            "name": "a",
            "discover": {"cmdline": f" {tmp_path.name}$"},
            "busy": [{"command": {"argv": ["/bin/true"], "interval": "60s", "max_age": "90s"}}],
        }
        exporter = run_exporter(config(agent))
        busy = "memleash_agent_busy_since_timestamp_seconds{agent=a}"
        before = wait_until("busy", lambda: (s := exporter.scrape()).get(busy) and s)
        (tmp_path / "exporter.yml").write_text(json.dumps(config(agent, itself("b"))))
        exporter.get("/-/reload", method="POST")
        after = exporter.scrape()
        assert after[busy] == before[busy]
        assert exporter.log().count('msg="agent found" agent=a') == 1


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


def test_a_scrape_never_waits_for_what_hangs(run_exporter: Run, black_hole: int) -> None:
    url = f"http://127.0.0.1:{black_hole}/"
    slow = {"timeout": "20s", "interval": "1s", "max_age": "30s"}
    exporter = run_exporter(
        config(
            itself(
                busy=[
                    {"http": {"url": url, **slow}},
                    {"command": {"argv": ["/bin/sleep", "60"], **slow}},
                ],
                ready={"http": {"url": url, **slow}},
            )
        )
    )
    began = time.monotonic()
    for _ in range(5):
        seen = exporter.scrape()
    assert time.monotonic() - began < 60, "each hangs for 20 s"
    assert seen["memleash_agent_busy_source_success{agent=a,source=http}"] == 0
    assert seen["memleash_agent_busy_source_success{agent=a,source=command}"] == 0
    assert not any("memleash_agent_busy{" in name or "ready" in name for name in seen)


def test_scrapes_at_once_are_all_served(run_exporter: Run) -> None:
    exporter = run_exporter(config(*(itself(f"a{number}") for number in range(20))))
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda: seen.append(len(exporter.scrape()))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(seen) == 16
    assert len(set(seen)) == 1


WALK = r"getdents64\(\d+</proc>"


def test_a_found_agent_costs_no_walk_over_proc_and_never_smaps(
    run_exporter: Run, agents: Any, tmp_path: Path
) -> None:
    agent = agents(tmp_path.name)
    trace = tmp_path / "trace"
    exporter = run_exporter(
        config(
            {
                "name": "a",
                "discover": {"cmdline": f" {tmp_path.name}$"},
                "include_children": True,
                "busy": [{"markers": {}}, {"children": {"cmdline": "qemu-img"}}],
            }
        ),
        prefix=(
            "strace",
            "-f",
            "-y",
            "-qq",
            "-o",
            str(trace),
            "-e",
            "trace=openat,getdents64,read",
        ),
    )
    assert exporter.scrape()["memleash_agent_up{agent=a}"] == 1
    searching = trace.read_text()
    assert re.search(WALK, searching), "the trace sees no walk at all"
    found = searching
    while re.search(WALK, found):  # a young agent is searched for again, though not each time
        before = len(trace.read_text())
        exporter.scrape()
        found = trace.read_text()[before:]
    assert f'</proc/{agent.pid}>, "status"' in found or f"</proc/{agent.pid}/status>" in found
    others = set(re.findall(r"/proc/(\d+)", found)) - {str(agent.pid)}
    assert len(others) <= 1, "only the exporter itself besides the agent"
    for word in ("smaps", "pagemap", "maps"):
        assert word not in searching + found


def test_ignored_from_the_start_sigint_ends_nothing_and_sighup_reloads(
    run_exporter: Run, tmp_path: Path
) -> None:
    """As under nohup and in a shell's background job."""
    ignoring = ("sh", "-c", 'trap "" INT HUP; exec "$@"', "sh")
    exporter = run_exporter(config(itself()), prefix=ignoring)
    exporter.process.send_signal(signal.SIGINT)
    (tmp_path / "exporter.yml").write_text(json.dumps(config(itself("b"))))
    exporter.process.send_signal(signal.SIGHUP)
    wait_until("the new agent", lambda: "memleash_agent_up{agent=b}" in exporter.scrape())
    assert exporter.end() == 0


def test_sigint_ends_it_as_sigterm_does(run_exporter: Run) -> None:
    exporter = run_exporter(config(itself()))
    exporter.process.send_signal(signal.SIGINT)
    assert exporter.process.wait(60) == 0
