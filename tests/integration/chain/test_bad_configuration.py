"""A mistake in a configuration ends each program before it starts, with one message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.integration

EXPORTER = {"agents": [{"name": "a1", "discover": {"pidfile": "/run/a1.pid"}}]}
RESPONDER = {
    "inventory": {"files": ["hosts.yml"]},
    "agents": {"a1": {"restart_command": "true"}},
}
HOSTS = [{"targets": ["127.0.0.1:1"], "labels": {"host": "h1"}}]

MISTAKES: list[tuple[str, Any, list[str]]] = [
    ("exporter", EXPORTER | {"agent": []}, ["agent", "unknown key", "agents"]),
    ("exporter", {"agents": "all"}, ["agents", "'all'", "must be a list"]),
    (
        "exporter",
        {"agents": [{**EXPORTER["agents"][0], "limits": {"hard_limit": "5GX"}}]},
        ["agents[0].limits.hard_limit", "'5GX'", "GiB"],
    ),
    ("responder", RESPONDER | {"databse": "x"}, ["databse", "unknown key", "database"]),
    (
        "responder",
        RESPONDER | {"mute": {"base": 5}},
        ["mute.base", "5", "a duration such as"],
    ),
    (
        "responder",
        RESPONDER | {"mute": {"step_bytes": "5GX"}},
        ["mute.step_bytes", "'5GX'", "GiB"],
    ),
    (
        "responder",
        RESPONDER | {"agents": {"a1": {"restart_command": "true", "mode": "yes"}}},
        ["agents.a1.mode", "'yes'", "observe, approve, enforce"],
    ),
    (
        "responder",
        RESPONDER | {"inventory": {"files": ["elsewhere.yml"]}},
        ["elsewhere.yml"],
    ),
]


def _run(program: str, config: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).parent / f"memleash-{program}"
    return subprocess.run(
        [command, f"--config.file={config}", "--web.listen-address=127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("program", "content", "named"), MISTAKES)
def test_a_mistake_is_one_message_that_names_file_path_value_and_what_is_allowed(
    program: str, content: Any, named: list[str], tmp_path: Path
) -> None:
    config = tmp_path / f"{program}.yml"
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(HOSTS), encoding="utf-8")
    done = _run(program, config)
    assert done.returncode == 1
    (message,) = done.stderr.splitlines()
    for word in [str(tmp_path), *named]:
        assert word in message
    assert not done.stdout


@pytest.mark.parametrize("program", ["exporter", "responder"])
def test_a_missing_file_is_named(program: str, tmp_path: Path) -> None:
    done = _run(program, tmp_path / "none.yml")
    assert done.returncode == 1
    (message,) = done.stderr.splitlines()
    assert f"{tmp_path}/none.yml" in message
    assert "No such file" in message
