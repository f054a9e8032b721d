"""The gate, as a table: configuration and credentials in, caller or refusal out."""

from __future__ import annotations

import base64
from pathlib import Path

import bcrypt
import pytest
import yaml

from memleash_responder.core.access import EVERYTHING, ROLES, Access, Role, Token
from memleash_responder.web.authentication import Gate, NotKnown
from memleash_toolkit.settings import ConfigError, build
from memleash_toolkit.web_config import WebConfig

SECRET = "s" * 32


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def token(tmp_path: Path) -> Token:
    file = tmp_path / "token"
    file.write_text(SECRET + "\n", encoding="ascii")
    return Token("on-call", Role.OPERATE, file)


@pytest.fixture
def users(tmp_path: Path) -> WebConfig:
    hashed = bcrypt.hashpw(b"alice's", bcrypt.gensalt(4)).decode()
    file = tmp_path / "web.yml"
    file.write_text(yaml.safe_dump({"basic_auth_users": {"alice": hashed}}), encoding="utf-8")
    return WebConfig(file)


def test_without_any_access_everybody_is_local_and_may_do_everything() -> None:
    caller = Gate(WebConfig(None), Access()).caller(Access(), "Bearer whatever", ())

    assert (caller.name, caller.may) == ("local", EVERYTHING)


@pytest.mark.parametrize("header", [f"Bearer {SECRET}", f"bearer  {SECRET} "])
def test_a_token_has_its_role(token: Token, header: str) -> None:
    access = Access(tokens=(token,))
    caller = Gate(WebConfig(None), access).caller(access, header, ())

    assert (caller.name, caller.may) == ("token:on-call", ROLES[Role.OPERATE])


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer x", f"Bearer {SECRET}x", basic("alice", SECRET), "Basic ?"],
)
def test_anything_else_is_not_known(token: Token, header: str | None) -> None:
    access = Access(tokens=(token,))

    with pytest.raises(NotKnown):
        Gate(WebConfig(None), access).caller(access, header, ())


def test_users_may_do_everything_unless_access_gives_them_roles(users: WebConfig) -> None:
    header = basic("alice", "alice's")
    named, others = Access(users={"alice": Role.READ}), Access(users={"bob": Role.READ})

    assert Gate(users, Access()).caller(Access(), header, ()).may == EVERYTHING
    assert Gate(users, named).caller(named, header, ()).may == ROLES[Role.READ]
    assert Gate(users, others).caller(others, header, ()).may == frozenset()


def test_anonymous_read_is_for_those_who_show_nothing_not_for_wrong_credentials() -> None:
    access = Access(anonymous="read")
    gate = Gate(WebConfig(None), access)

    assert gate.caller(access, None, ()).may == ROLES[Role.READ]
    with pytest.raises(NotKnown):
        gate.caller(access, "Bearer wrong", ())


def test_a_certificate_without_a_role_is_worth_nothing_beside_tokens(token: Token) -> None:
    access = Access(tokens=(token,))

    with pytest.raises(NotKnown):
        Gate(WebConfig(None), access).caller(access, None, ("alice.example.com",))


def test_what_is_configured_later_counts_at_once(token: Token) -> None:
    gate = Gate(WebConfig(None), Access())
    assert gate.caller(Access(), None, ()).name == "local"

    with pytest.raises(NotKnown):
        gate.caller(Access(tokens=(token,)), None, ())


def test_what_is_taken_away_later_closes_the_door(token: Token) -> None:
    gate = Gate(WebConfig(None), Access(tokens=(token,)))

    with pytest.raises(NotKnown):
        gate.caller(Access(), None, ())


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot be read"), ("", "shorter than 16"), ("short", "shorter than 16")],
)
def test_a_token_that_cannot_be_used_stops_the_start_and_is_not_shown(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content, encoding="ascii")

    with pytest.raises(ConfigError, match=problem) as raised:
        Gate(WebConfig(None), Access(tokens=(Token("t", Role.READ, file),)))
    assert not content or content not in str(raised.value).replace("shorter", "")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"tokens": [{"name": "a b", "role": "read", "file": "x"}]}, "letters, digits"),
        ({"tokens": [{"name": "a", "role": "root", "file": "x"}]}, "webhook, read, operate"),
        ({"tokens": [{"name": "a", "role": "read"}]}, "file is missing"),
        ({"tokens": [{"name": "a", "role": "read", "file": "x"}] * 2}, "names must differ"),
        ({"users": {"alice": "admin"}}, "webhook, read, operate"),
        ({"anonymous": "operate"}, "nobody, read"),
        ({"password": "x"}, "allowed here: tokens, users, certificates, anonymous"),
    ],
)
def test_a_mistake_in_access_is_named(tmp_path: Path, raw: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(Access, raw, tmp_path / "responder.yml", "access")


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_at_least_what_it_is_called(role: Role) -> None:
    assert role in ROLES[role]


def test_a_webhook_may_neither_read_nor_operate() -> None:
    assert ROLES[Role.WEBHOOK] == {Role.WEBHOOK}
