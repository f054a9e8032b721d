"""The tree of commands: each has help, and the docs name it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from memleash_responder.ctl.main import cli

DOCS = Path(__file__).parents[3] / "docs/memleashctl.md"


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command."""
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


ALL = sorted(commands(cli))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli, [*words, "--help"])

    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 4


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_the_docs_name_every_command(words: tuple[str, ...]) -> None:
    assert f"memleashctl {' '.join(words)}" in DOCS.read_text(encoding="utf-8")


def test_these_are_the_commands() -> None:
    assert {words[0] for words in ALL} == {
        *("check", "completion", "controller", "diagnose", "explain", "hosts", "maintenance"),
        *(
            "mutes",
            "pause",
            "quarantine",
            "reconnect",
            "reports",
            "restart",
            "restarts",
            "resume",
            "status",
            "summary",
        ),
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed_for(shell: str) -> None:
    shown = CliRunner().invoke(cli, ["completion", shell])

    assert shown.exit_code == 0
    assert "_MEMLEASHCTL_COMPLETE" in shown.output


def test_check_config_warns_of_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("- {targets: ['127.0.0.1:1'], labels: {host: h1}}")
    file = tmp_path / "responder.yml"
    file.write_text(
        "{inventory: {files: [hosts.yml]}, agents: {}, ssh: {identity_file: key}, controllers:"
        " [{name: c, bearer_token_file: token, tls_config: {ca_file: hosts.yml}},"
        " {name: d, tls_config: {ca_file: ca.pem}}]}"
    )
    shown = CliRunner().invoke(cli, ["check", "config", str(file)])

    assert shown.exit_code == 0
    assert shown.output.splitlines() == [
        f"{file}: warning: ssh.identity_file: {tmp_path}/key is not there: no host can be reached",
        f"{file}: warning: controllers: c: bearer_token_file: {tmp_path}/token is not there:"
        " it cannot be asked",
        f"{file}: warning: controllers: d: tls_config.ca_file: {tmp_path}/ca.pem is not there:"
        " it cannot be asked",
        f"{file}: valid: 1 hosts, no agents",
    ]
