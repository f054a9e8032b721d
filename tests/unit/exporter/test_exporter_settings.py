"""Each mistake in a configuration, and the exact message that answers it.

One tiny file per mistake in ``bad_config``; its first line is the message.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from memleash_exporter.cli import main
from memleash_exporter.settings import (
    MIB,
    ActiveState,
    CommandReady,
    FilesBusy,
    Limits,
    Settings,
    SystemdReady,
    UnixReady,
)
from memleash_toolkit.settings import ConfigError, load
from memleash_toolkit.values import Duration, Size


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    """Undo what the program does to logging when it is run in this process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


BAD_FILES = sorted((Path(__file__).parent / "bad_config").glob("*.yml"))


@pytest.mark.parametrize("file", BAD_FILES, ids=lambda file: file.stem)
def test_a_mistake_is_answered_with_its_message(file: Path) -> None:
    message = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# error: ")
    with pytest.raises(ConfigError) as caught:
        load(Settings, file)
    assert str(caught.value) == f"{file}: {message}"


def test_a_mistake_ends_the_program_with_1_before_anything_starts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = BAD_FILES[0]
    for mode in ([], ["--check-config"], ["--once"]):
        assert main(["--config.file", str(file), *mode]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith(f"memleash-exporter: {file}: ")
        assert captured.err.count("\n") == 1


def test_the_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text(
        """
agents:
  - name: zstack-kvmagent
    discover: {systemd_unit: zstack-kvmagent.service}
    limits: {of: main, alarm_threshold: 2GiB, hard_limit: 10GiB}
    include_children: false
    busy:
      - markers: {}
      - http: {url: http://127.0.0.1:7070/status, field: busy, timeout: 2s}
      - children: {cmdline: 'qemu-img (convert|commit)'}
      - command: {argv: [/usr/libexec/agent-busy], timeout: 2s}
      - http: {url: "http://[::1]:7071/"}
    ready: {http: {url: http://127.0.0.1:7070/host/echo}}
  - name: other
    discover: {pidfile: other.pid}
    ready: {tcp: "127.0.0.1:22"}
"""
    )
    agent, other = load(Settings, file).agents
    assert [name for name, _ in agent.named_sources()] == [
        "markers",
        "http",
        "children",
        "command",
        "http_2",
    ]
    assert agent.limits.hard_limit == 10 * 1024**3
    assert other.discover.pidfile == tmp_path / "other.pid"
    assert other.ready is not None
    assert other.ready.tcp is not None
    assert other.ready.tcp.address == "127.0.0.1:22"


@pytest.mark.parametrize(
    ("ready", "given"),
    [
        ("{unix: run/agent.sock}", UnixReady(Path("run/agent.sock"))),
        (
            "{unix: {path: run/agent.sock, interval: 1s}}",
            UnixReady(Path("run/agent.sock"), interval=Duration(1)),
        ),
        ("{command: {argv: [/bin/true]}}", CommandReady(("/bin/true",))),
        ("{systemd: active}", SystemdReady(ActiveState.ACTIVE)),
        ("{alive_for: 30s}", 30.0),
    ],
)
def test_an_agent_that_listens_on_nothing_has_a_readiness_too(
    tmp_path: Path, ready: str, given: object
) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text(
        "agents: [{name: a, discover: {systemd_unit: a.service},\n"
        f"          busy: [{{files: {{glob: '/x/*', max_age: 2h}}}}], ready: {ready}}}]"
    )
    (agent,) = load(Settings, file).agents
    assert agent.busy[0].given == FilesBusy(Path("/x/*"), Duration(7200))
    assert agent.ready is not None
    if isinstance(given, UnixReady):
        given = dataclasses.replace(given, path=tmp_path / given.path)
    assert agent.ready.given == given


@pytest.mark.parametrize(
    ("limits", "warnings"),
    [
        (Limits(alarm_threshold=Size(2 * MIB), hard_limit=Size(3 * MIB)), []),
        (Limits(alarm_threshold=Size(0), hard_limit=Size(0)), []),
        (Limits(hard_limit=Size(10)), ["hard_limit 10 is under 1MiB: was a unit forgotten?"]),
        (
            Limits(alarm_threshold=Size(3 * MIB), hard_limit=Size(2 * MIB)),
            ["alarm_threshold is over hard_limit: the alarm is at hard_limit"],
        ),
    ],
)
def test_limits_that_are_hardly_meant_are_told(limits: Limits, warnings: list[str]) -> None:
    assert limits.warnings() == warnings
