"""The sample agent under its service script: real processes, real memory."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.stack.http import CallFailed, answers, get, post
from demo.stack.ports import reserve_ports
from demo.stack.processes import wait_until
from demo.stack.tools import REPOSITORY

MIB = 1024 * 1024


@dataclass(frozen=True)
class Service:
    folder: Path
    url: str

    def __call__(self, action: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [REPOSITORY / "demo/service", self.folder, action],
            text=True,
            capture_output=True,
            check=False,
        )

    @property
    def pid(self) -> int:
        return int((self.folder / "agent.pid").read_text(encoding="ascii"))

    def started(self) -> list[str]:
        return (self.folder / "service.log").read_text(encoding="utf-8").splitlines()

    def wait_ready(self) -> None:
        wait_until("the agent to answer", lambda: answers(f"{self.url}/host/echo"))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with reserve_ports() as ports:
        # A blank in the folder's name: nothing on the way may take it for two words.
        folder = tmp_path / "the service"
        folder.mkdir()
        agent = [sys.executable, "-m", "demo.agent", f"--listen=127.0.0.1:{ports[0]}"]
        agent += [f"--busy-directory={tmp_path / 'busy'}", "--name=a1", "--start-delay=0.3"]
        agent += [f"--end-with={os.getpid()}"]  # a run that is killed leaves no agent behind
        command = shlex.join(["env", f"PYTHONPATH={REPOSITORY}", *agent])
        (folder / "command").write_text(command, encoding="utf-8")
        service = Service(folder, f"http://127.0.0.1:{ports[0]}")
        yield service
        assert service("stop").returncode == 0


def test_the_agent_is_not_ready_at_once(service: Service) -> None:
    service("start")
    assert not answers(f"{service.url}/host/echo")
    service.wait_ready()


def test_memory_grows_to_what_was_asked_and_is_really_resident(service: Service) -> None:
    service("start")
    service.wait_ready()
    post(f"{service.url}/grow", {"to_mib": 60})
    statm = Path(f"/proc/{service.pid}/statm").read_text(encoding="ascii")
    resident_bytes = int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert 60 * MIB <= resident_bytes < 64 * MIB


def test_memory_grows_by_itself_at_the_rate_asked(service: Service) -> None:
    service("start")
    service.wait_ready()
    before = get(f"{service.url}/status")["resident_bytes"]
    post(f"{service.url}/grow", {"mib_per_second": 50})
    wait_until(
        "10 MiB more", lambda: get(f"{service.url}/status")["resident_bytes"] > before + 10 * MIB
    )


def test_a_dump_answers_nothing_and_a_marker_says_why_until_the_signal(
    service: Service, tmp_path: Path
) -> None:
    service("start")
    service.wait_ready()
    post(f"{service.url}/dump", {"seconds": 60})
    (marker,) = (tmp_path / "busy/a1").glob("[!.]*")
    content = json.loads(marker.read_text(encoding="utf-8"))
    assert (content["reason"], content["pid"]) == ("dump", service.pid)
    assert not answers(f"{service.url}/host/echo")

    os.kill(service.pid, signal.SIGUSR1)
    service.wait_ready()
    assert not marker.exists()
    assert get(f"{service.url}/status")["busy"] is False


def test_a_task_that_answers_is_busy_in_the_status_alone(service: Service, tmp_path: Path) -> None:
    service("start")
    service.wait_ready()
    post(f"{service.url}/dump", {"seconds": 60, "quiet": False})
    assert get(f"{service.url}/status")["busy"] is True
    assert not (tmp_path / "busy").exists()


@pytest.mark.parametrize("body", [{"to_mib": -1}, {"to_mib": "much"}, [1]])
def test_a_bad_request_is_refused(service: Service, body: object) -> None:
    service("start")
    service.wait_ready()
    with pytest.raises(CallFailed, match="400"):
        post(f"{service.url}/grow", body)


def test_each_start_is_one_line_of_the_services_log(service: Service) -> None:
    service("start")
    first = service.pid
    assert "already running" in service("start").stdout
    service("restart")
    assert service.pid != first
    assert [line.split()[-1] for line in service.started()] == [
        f"pid={first}",
        f"pid={service.pid}",
    ]


def test_a_stopped_service_says_so_and_its_process_is_gone(service: Service) -> None:
    service("start")
    pid = service.pid
    assert service("status").returncode == 0
    service("stop")
    wait_until("the process to be gone", lambda: not Path(f"/proc/{pid}").exists())
    assert service("status").returncode == 3


def test_an_agent_runs_also_between_two_programs_of_its_process(service: Service) -> None:
    """Seen: after exec, a process has no environment and no command line for a moment."""
    again = service.folder / "again"
    again.write_text(f'kill -0 {os.getpid()} && exec sh "$0"', encoding="utf-8")
    (service.folder / "command").write_text(shlex.join(["sh", str(again)]), encoding="utf-8")
    service("start")
    assert {service("status").returncode for _ in range(50)} == {0}


def test_a_pidfile_of_another_process_is_not_believed(service: Service) -> None:
    (service.folder / "agent.pid").write_text(str(os.getpid()), encoding="ascii")
    assert service("status").returncode == 3
    service("start")
    assert service.pid != os.getpid()


def test_an_agent_told_so_ends_with_another_process(service: Service) -> None:
    other = subprocess.Popen(["sleep", "600"])
    command = service.folder / "command"
    told = f"{command.read_text(encoding='utf-8')} --end-with {other.pid}"
    command.write_text(told, encoding="utf-8")
    service("start")
    service.wait_ready()
    other.kill()
    other.wait()
    wait_until("the agent to be gone", lambda: service("status").returncode == 3)
