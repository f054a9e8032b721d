"""memleashctl's configuration file, and which one counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from memleash_responder.ctl import config
from memleash_toolkit.settings import ConfigError


def test_without_a_file_it_is_the_responder_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(config, "FILES", (tmp_path / "none.yml",))

    assert config.load(None).url == "http://127.0.0.1:10059"


def test_a_persons_file_counts_before_the_machines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own, machines = tmp_path / "own.yml", tmp_path / "machines.yml"
    machines.write_text("url: http://machines", encoding="utf-8")
    monkeypatch.setattr(config, "FILES", (own, machines))

    assert config.load(None).url == "http://machines"
    own.write_text("{url: http://own, output: json}", encoding="utf-8")
    assert (config.load(None).url, config.load(None).output) == ("http://own", "json")


def test_the_token_file_is_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "ctl.yml"
    file.write_text("token_file: token", encoding="utf-8")
    http = config.load(file).http

    assert http.authorization is not None
    assert http.authorization.credentials_file == tmp_path / "token"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("url: 127.0.0.1:10059", "url: '127.0.0.1:10059' must be http"),
        ("url: 'http://h/?a=b'", "must end with a host, port or path"),
        ("timeout: 0s", "timeout: '0s' must be over 0"),
        ("output: yaml", "table, json"),
        ("uri: http://x", "unknown key 'uri'"),
        ("{token_file: t, basic_auth: {username: a, password: b}}", "give one of token_file"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "ctl.yml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=message):
        config.load(file)
