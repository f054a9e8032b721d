"""What is hidden of environments, command lines and free text, and what stays readable."""

from __future__ import annotations

import pytest

from memleash_diagnoser import redact


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("DB_PASSWORD", True),
        ("PGPASSWORD", True),
        ("API_TOKEN", True),
        ("aws_secret_access_key", True),
        ("sshKey", True),
        ("authToken", True),
        ("SESSION_COOKIES", True),
        ("OPENAI_API_KEY", True),
        ("PATH", False),
        ("HOME", False),
        ("KEYBOARD", False),
        ("MONKEY_COUNT", False),
        ("AUTHOR", False),
    ],
)
def test_a_name_tells_whether_its_value_is_a_secret(name: str, secret: bool) -> None:
    assert redact.is_secret(name) is secret


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["agent", "--password=hunter2", "-v"], ["agent", "--password=<redacted>", "-v"]),
        (["agent", "--api-key", "hunter2", "run"], ["agent", "--api-key", "<redacted>", "run"]),
        (["agent", "--token", "--verbose"], ["agent", "--token", "--verbose"]),
        (["agent", "postgres://me:hunter2@db/x"], ["agent", "postgres://me:<redacted>@db/x"]),
        (["agent", "password=hunter2"], ["agent", "password=<redacted>"]),
        (["agent", "--config", "/etc/agent.yml"], ["agent", "--config", "/etc/agent.yml"]),
    ],
)
def test_a_command_line_keeps_its_words_and_loses_its_secrets(
    words: list[str], shown: list[str]
) -> None:
    assert redact.command_line("\0".join(words) + "\0") == shown


def test_an_environment_keeps_its_names() -> None:
    block = "HOME=/root\0DB_PASSWORD=hunter2\0URL=https://me:hunter2@example.org/\0broken\0"

    assert redact.environment(block) == {
        "HOME": "/root",
        "DB_PASSWORD": "<redacted>",
        "URL": "https://me:<redacted>@example.org/",
    }


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer abcdefgh.hunter2",
        'password: "hunter2"',
        "token = hunter2hunter2",
        "eyJhbGciOi.hunter2.hunter2",
        "ghp_hunter2hunter2hunter2",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_free_text_loses_what_looks_like_a_secret(line: str) -> None:
    assert "hunter2" not in redact.text(f"before\n{line}\nafter")


def test_free_text_without_secrets_is_left_as_it_is() -> None:
    text = 'Thread 1 (idle): "MainThread"\n    wait (threading.py:320)\n'

    assert redact.text(text) == text
