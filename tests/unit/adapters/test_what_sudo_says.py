"""What sudo says is told apart in the languages of hosts: the words are of its own catalogs."""

from __future__ import annotations

import pytest

from memleash_responder.adapters.ssh.client import CommandResult


def lacked_terminal(*, stdout: str = "", stderr: str = "") -> bool:
    result = CommandResult(1, stdout, stderr, truncated=False, duration_seconds=0.1)
    return result.lacked_terminal


@pytest.mark.parametrize(
    "said",
    [
        "sudo: sorry, you must have a tty to run sudo",
        "sudo: Sie müssen ein TTY haben, um sudo zu verwenden",
        "sudo: désolé, vous devez avoir un terminal tty pour exécuter sudo",
        "sudo: ho sentim, heu de tenir una terminal per executar sudo",
        "sudo: sorry, u moet een terminal hebben om sudo te gebruiken",
        "sudo: 残念ですが、sudo を実行するには tty が必要です",
        "sudo: 抱歉，您必须拥有一个终端来执行 sudo",  # noqa: RUF001
        "sudo: 抱歉，您必須先要有終端才能執行 sudo",  # noqa: RUF001
        "sudo: извините, морате имати конзолу да покренете судо",
    ],
)
def test_a_sudo_that_wants_a_terminal_is_known_in_its_languages(said: str) -> None:
    assert lacked_terminal(stderr=f"Warning: Permanently added.\n{said}\n")
    assert lacked_terminal(stdout=f"{said}\r\n", stderr="something else")


@pytest.mark.parametrize(
    "said",
    [
        "sudo: a password is required",
        "sudo: no tty present and no askpass program specified",
        "sudo: a terminal is required to read the password; either use the -S option to read from"
        " standard input or configure an askpass helper",
        "sudo: a terminal is required to read the password; either use ssh's -t option or configure"
        " an askpass helper",
        "sudo: do odczytu hasła wymagany jest terminal; należy użyć opcji -S, aby czytać ze"
        " standardowego wejścia, lub skonfigurować program pytający o hasło",
        "Job for getty@tty1.service failed. See 'systemctl status getty@tty1.service'.",
    ],
)
def test_a_terminal_would_not_help_whoever_is_asked_for_a_password(said: str) -> None:
    assert not lacked_terminal(stderr=said)
