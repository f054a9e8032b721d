"""Roles: every operation of the document, as nobody, and as each kind of caller."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from demo.stack.responder_with_peers import AGENT, Face
from tests.contract.api.conftest import OPERATE, PASSWORD, READ, WEBHOOK, client_context

WRITES = {
    "POST /api/v1/restarts",
    "POST /api/v1/diagnoses",
    "POST /api/v1/restarts/{id}/approve",
    "POST /api/v1/restarts/{id}/deny",
    "POST /api/v1/hosts/{host}/reconnect",
    "PUT /api/v1/hosts/{host}/maintenance",
    "DELETE /api/v1/hosts/{host}/maintenance",
    "DELETE /api/v1/mutes/{host}",
    "DELETE /api/v1/quarantine/{host}/{agent}",
    "DELETE /api/v1/denials/{host}/{agent}",
    "POST /api/v1/pause",
    "POST /api/v1/resume",
    "POST /-/reload",
}
PAGES = ("/", "/restarts", "/alerts", "/hosts/node-1")
BUTTONS = (
    "/pause",
    "/resume",
    "/pauses/rack-7/resume",
    "/restarts/x/approve",
    "/restarts/x/deny",
    f"/hosts/node-1/agents/{AGENT}/restart",
    f"/hosts/node-1/agents/{AGENT}/diagnose",
    f"/hosts/node-1/agents/{AGENT}/clear",
    f"/hosts/node-1/agents/{AGENT}/allow",
    "/hosts/node-1/unmute",
    "/hosts/node-1/reconnect",
    "/hosts/node-1/maintain",
    "/hosts/node-1/return",
)
WEBHOOK_ROUTE = "POST /api/v1/alertmanager"
NOTIFICATION = {"version": "4", "alerts": []}


def operations(served: Face, token: str) -> Iterator[tuple[str, str, str]]:
    """Yield (route, method, path with values) of all that wants somebody known."""
    document = served.ask("GET", "/api/v1/openapi.json", token=token).json
    values = {
        "host": "node-1",
        "agent": AGENT,
        "id": "x",
        "time": "20260101T000000Z",
        "controller": "mn-1",
    }
    for path, item in document["paths"].items():
        for method in item:
            filled = re.sub(r"{(\w+)}", lambda match: values[match[1]], path)
            yield f"{method.upper()} {path}", method.upper(), filled
    yield "POST /-/reload", "POST", "/-/reload"


def body_of(route: str) -> Any:
    if route in ("POST /api/v1/restarts", "POST /api/v1/diagnoses"):
        return {"host": "nowhere", "agent": AGENT}
    return NOTIFICATION if route == WEBHOOK_ROUTE else None


def test_without_credentials_nothing_is_served(guarded: Face) -> None:
    for route, method, path in operations(guarded, READ):
        answer = guarded.ask(method, path, body_of(route))
        assert answer.status == 401, route
        assert answer.headers["content-type"] == "application/problem+json", route
        assert answer.headers["www-authenticate"] == 'Basic realm="memleash", charset="UTF-8"', (
            route
        )
    for page in PAGES:
        assert guarded.ask("GET", page).status == 401, page
    for button in BUTTONS:
        assert guarded.form(button, "").status == 401, button


def test_even_what_is_not_there_wants_credentials(guarded: Face) -> None:
    assert guarded.ask("GET", "/nowhere").status == 401


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/-/ready"])
def test_health_and_metrics_are_everybodys(guarded: Face, path: str) -> None:
    assert guarded.ask("GET", path).status == 200


@pytest.mark.parametrize(
    "how",
    [
        {"token": "x" * 40},
        {"token": ""},
        {"token": OPERATE[:-1]},
        {"token": OPERATE + "x"},
        {"token": "\u00ff" * 40},
        {"user": ("alice", "wrong")},
        {"user": ("nobody", PASSWORD)},
        {"user": ("t-read", OPERATE)},
        {"user": ("", OPERATE)},
        {"headers": {"Authorization": "Basic !!!"}},
        {"headers": {"Authorization": "Bearer"}},
        {"headers": {"Authorization": f"Digest {OPERATE}"}},
        {"headers": {"Authorization": OPERATE}},
    ],
)
def test_wrong_credentials_open_nothing(guarded: Face, how: dict[str, Any]) -> None:
    answer = guarded.ask("GET", "/api/v1/status", **how)

    assert answer.status == 401
    assert "wrong" not in answer.text
    assert PASSWORD not in answer.text


def test_a_webhook_token_delivers_alerts_and_nothing_else(guarded: Face) -> None:
    for route, method, path in operations(guarded, READ):
        answer = guarded.ask(method, path, body_of(route), token=WEBHOOK)
        assert answer.status == (202 if route == WEBHOOK_ROUTE else 403), route
    for page in PAGES:
        assert guarded.ask("GET", page, token=WEBHOOK).status == 403, page
    for button in BUTTONS:
        assert guarded.form(button, "", token=WEBHOOK).status == 403, button


def test_a_read_token_sees_everything_and_changes_nothing(guarded: Face) -> None:
    for route, method, path in operations(guarded, READ):
        answer = guarded.ask(method, path, body_of(route), token=READ)
        if route in WRITES or route == WEBHOOK_ROUTE:
            assert answer.status == 403, route
        else:
            assert answer.status in (200, 404), route
    for page in PAGES:
        answer = guarded.ask("GET", page, token=READ)
        assert answer.status == 200, page
        assert "<button id=" not in answer.text, "a button for one who may not"
    for button in BUTTONS:
        assert guarded.form(button, "", token=READ).status == 403, button


def test_an_operate_token_does_everything_but_deliver_alerts(guarded: Face) -> None:
    for route, method, path in operations(guarded, READ):
        answer = guarded.ask(method, path, body_of(route), token=OPERATE)
        assert (answer.status == 403) == (route == WEBHOOK_ROUTE), route
        assert answer.status < 500, route


@pytest.mark.parametrize(
    ("user", "status"), [("alice", 200), ("bob", 403), ("carol", 403)], ids=str
)
def test_a_user_has_the_role_that_access_gives(guarded: Face, user: str, status: int) -> None:
    assert guarded.ask("POST", "/api/v1/resume", user=(user, PASSWORD)).status == status


def test_a_user_without_a_role_sees_nothing(guarded: Face) -> None:
    assert guarded.ask("GET", "/api/v1/hosts", user=("carol", PASSWORD)).status == 403


def test_a_browser_may_give_a_token_as_a_password(guarded: Face) -> None:
    answer = guarded.ask("GET", "/", user=("t-operate", OPERATE))

    assert answer.status == 200
    assert "token:t-operate" in answer.text


def test_the_history_names_who_did_it(guarded: Face) -> None:
    guarded.ask("POST", "/api/v1/pause", user=("alice", PASSWORD))
    paused = guarded.ask("GET", "/api/v1/status", token=READ).json
    guarded.ask("POST", "/api/v1/resume", token=OPERATE)
    resumed = guarded.ask("GET", "/api/v1/status", token=READ).json
    asked = {"host": "node-1", "agent": AGENT, "force": True}
    forced = guarded.ask("POST", "/api/v1/restarts", asked, token=OPERATE).json

    assert (paused["paused"], paused["changed_by"]) == (True, "user:alice")
    assert (resumed["paused"], resumed["changed_by"]) == (False, "token:t-operate")
    assert (forced["requested_by"], forced["forced"]) == ("token:t-operate", True)


def test_a_new_token_counts_at_once_and_the_old_one_no_more(guarded: Face) -> None:
    file = Path(guarded.program.log).parent / "read.token"
    fresh = "fresh-" + "f" * 32
    try:
        file.write_text(fresh, encoding="ascii")
        assert guarded.ask("GET", "/api/v1/status", token=fresh).status == 200
        assert guarded.ask("GET", "/api/v1/status", token=READ).status == 401
        file.unlink()
        assert guarded.ask("GET", "/api/v1/status", token=fresh).status == 401
    finally:
        file.write_text(READ, encoding="ascii")
    assert guarded.ask("GET", "/api/v1/status", token=READ).status == 200


def test_no_secret_is_in_the_log(guarded: Face) -> None:
    guarded.ask("GET", "/api/v1/status", token="a-secret-that-is-wrong-" + "z" * 20)
    log = guarded.program.log.read_text(encoding="utf-8")

    assert "credentials refused" in log
    for secret in (WEBHOOK, READ, OPERATE, PASSWORD, "a-secret-that-is-wrong", "fresh-"):
        assert secret not in log


def test_a_certificate_with_a_role_may_operate_and_is_named(mutual: Face) -> None:
    answer = mutual.ask("POST", "/api/v1/pause")
    told = mutual.ask("GET", "/api/v1/status").json

    assert answer.status == 200
    assert told["changed_by"] == "certificate:alice.example.com"


def test_a_certificate_without_a_role_is_nobody(mutual: Face, authority: trustme.CA) -> None:
    stranger = client_context(authority, authority, "mallory.example.com")

    assert replace(mutual, tls=stranger).ask("GET", "/api/v1/status").status == 401


@pytest.mark.parametrize("name", ["none", "of another authority"])
def test_a_wrong_certificate_gets_no_connection(
    mutual: Face, authority: trustme.CA, name: str
) -> None:
    other = None if name == "none" else trustme.CA()
    context = client_context(authority, other, "alice.example.com")

    with pytest.raises((ssl.SSLError, ConnectionError)):
        replace(mutual, tls=context).ask("GET", "/-/healthy")


def test_plain_http_gets_nothing_from_a_tls_listener(mutual: Face) -> None:
    plain = Face(mutual.program, mutual.port)

    with pytest.raises(ConnectionError):
        plain.ask("GET", "/-/healthy")
