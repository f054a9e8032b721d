"""One tiny file for each mistake in the responder's or memleashctl's configuration.

They stand in ``mistakes``: a line of the file, and below it the message. Those of the exporter
stand in tests/unit/exporter/bad_config.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from memleash_responder import settings
from memleash_responder.adapters.ssh.client import warnings
from memleash_responder.ctl import config
from memleash_toolkit.settings import ConfigError

REQUIRED = {
    "inventory": "inventory: {files: [hosts.yml]}",
    "agents": "agents: {a1: {restart_command: x}}",
}


def mistakes(program: str) -> list[tuple[str, str]]:
    """Return the mistakes as pairs of text and message."""
    text = (Path(__file__).parent / f"mistakes/{program}.txt").read_text(encoding="utf-8")
    pairs = [pair.split("\n", 1) for pair in text.strip().split("\n\n")]
    return [(mistake, message.strip()) for mistake, message in pairs]


def message_of(load: Callable[[Path], object], file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file)
    return str(caught.value)


def is_told(message: str, expected: str) -> bool:
    """Compare; the list of the keys that are allowed is long, and told elsewhere."""
    if expected.endswith("allowed here:"):
        return message.startswith(f"{expected} ")
    return message == expected


@pytest.mark.parametrize(("mistake", "message"), mistakes("responder"))
def test_a_mistake_in_the_responders_file(tmp_path: Path, mistake: str, message: str) -> None:
    file = tmp_path / "responder.yml"
    given = mistake.partition(":")[0]
    rest = [line for key, line in REQUIRED.items() if key != given]
    said = message_of(settings.load, file, "\n".join([*rest, mistake]))
    assert is_told(said, f"{file}: {message}"), said


@pytest.mark.parametrize(("mistake", "message"), mistakes("memleashctl"))
def test_a_mistake_in_memleashctls_file(tmp_path: Path, mistake: str, message: str) -> None:
    file = tmp_path / "ctl.yml"
    said = message_of(config.load, file, mistake)
    assert is_told(said, f"{file}: {message}"), said


def test_what_may_be_none_at_all(tmp_path: Path) -> None:
    file = tmp_path / "responder.yml"
    guards = "{startup_grace: 0s, cooldown: 0s, wait_for_idle: 0s, retry_after: 0s}"
    file.write_text(
        "{inventory: {files: [x]}, mute: {tail: 0s}, database: 'postgresql://u:p@[::1]:5432/d',"
        f" agents: {{a: {{restart_command: x, guards: {guards}}}}}}}",
        encoding="utf-8",
    )
    loaded = settings.load(file)
    assert not loaded.agents["a"].guards.cooldown
    assert not loaded.mute.tail


def test_ssh_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    ssh = settings.Ssh(identity_file=tmp_path / "key", known_hosts_file=tmp_path / "known")
    (warning,) = warnings(ssh)
    assert warning == f"ssh.known_hosts_file: {tmp_path}/known is not there: no host can be reached"
