"""Tries to get in: forged and replayed forms, other sites, tricks in names, hostile labels."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest
from itsdangerous.encoding import base64_decode, base64_encode, bytes_to_int, int_to_bytes

from demo.stack.ports import free_port
from demo.stack.processes import wait_until
from demo.stack.responder import responder
from demo.stack.responder_with_peers import AGENT, Face, World, configured
from tests.contract.api.conftest import OPERATE, PASSWORD, READ, WEBHOOK

RESTART = f"/hosts/node-1/agents/{AGENT}/restart"


def proof_on(page: str, action: str) -> str:
    """Return the proof in the form of ``page`` that posts to ``action``."""
    found = re.search(
        rf'<form method="post" action="{re.escape(action)}"[^>]*>\s*'
        r'<input type="hidden" name="proof" value="([^"]+)">',
        page,
    )
    assert found, f"no form for {action}"
    return found[1]


def operator_page(served: Face, path: str = "/") -> str:
    return served.ask("GET", path, token=OPERATE).text


def test_a_form_of_the_page_works_once_and_a_replay_is_refused(guarded: Face) -> None:
    guarded.ask("POST", "/api/v1/resume", token=OPERATE)
    proof = proof_on(operator_page(guarded), "/pause")

    first = guarded.form("/pause", f"proof={proof}", token=OPERATE)
    again = guarded.form("/pause", f"proof={proof}", token=OPERATE)
    guarded.ask("POST", "/api/v1/resume", token=OPERATE)
    later = guarded.form("/pause", f"proof={proof}", token=OPERATE)

    assert (first.status, first.headers["location"]) == (303, "/")
    assert again.status == 403
    assert later.status == 403
    assert guarded.ask("GET", "/api/v1/status", token=READ).json["paused"] is False


def test_a_restart_form_cannot_be_sent_again(guarded: Face) -> None:
    proof = proof_on(operator_page(guarded, "/hosts/node-1"), RESTART)

    assert guarded.form(RESTART, f"proof={proof}", token=OPERATE).status == 303
    assert guarded.form(RESTART, f"proof={proof}", token=OPERATE).status == 403


@pytest.mark.parametrize("proof", ["", "1.abc", "x", "99999999999999.", "-1." + "0" * 64])
def test_a_forged_form_is_refused(guarded: Face, proof: str) -> None:
    assert guarded.form("/pause", f"proof={proof}", token=OPERATE).status == 403


def test_a_form_made_for_another_person_or_another_act_is_refused(guarded: Face) -> None:
    page = operator_page(guarded)
    proof = proof_on(page, "/pause")

    assert guarded.form("/pause", f"proof={proof}", user=("alice", PASSWORD)).status == 403
    assert guarded.form("/hosts/node-1/unmute", f"proof={proof}", token=OPERATE).status == 403


def test_a_form_whose_time_was_changed_is_refused(guarded: Face) -> None:
    signed, made_at, signature = proof_on(operator_page(guarded), "/pause").split(".")
    later = base64_encode(int_to_bytes(bytes_to_int(base64_decode(made_at)) + 1)).decode()

    proof = f"{signed}.{later}.{signature}"
    assert guarded.form("/pause", f"proof={proof}", token=OPERATE).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/pause", "/api/v1/pause", "/api/v1/alertmanager"])
def test_what_another_site_sends_is_refused(
    guarded: Face, path: str, headers: dict[str, str]
) -> None:
    answer = guarded.ask("POST", path, headers=headers, token=OPERATE)

    assert answer.status == 403
    assert "another site" in answer.text


@pytest.mark.parametrize("host", ["evil.example", "memleash.evil.example:10059", "10.0.0.1"])
def test_without_access_only_loopbacks_names_are_served(open_face: Face, host: str) -> None:
    for path in ("/", "/api/v1/status"):
        assert open_face.ask("GET", path, headers={"Host": host}).status == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:10059", "[::1]:10059"])
def test_loopbacks_names_are_served(open_face: Face, host: str) -> None:
    assert open_face.ask("GET", "/api/v1/status", headers={"Host": host}).status == 200


NAMES = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "node-1%2f..%2fnode-2",
    "node-1%00",
    "node-1%0d%0aX-Evil:%201",
    "%ff%fe",
    "-oProxyCommand=id",
    "$(id)",
    "'; DROP TABLE memleash_restarts; --",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "%7b%7bself%7d%7d",
    "a" * 5000,
    "\u202enode",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_tricks_in_host_names_find_nothing(open_face: Face, name: str) -> None:
    path = name if "%" in name or name == ".." else quote(name, safe="")
    for method, route in [
        ("GET", f"/api/v1/hosts/{path}"),
        ("GET", f"/api/v1/hosts/{path}/mute"),
        ("GET", f"/api/v1/hosts/{path}/agents/{AGENT}/explain"),
        ("GET", f"/api/v1/reports/{path}/{AGENT}/20260101T000000Z"),
        ("GET", f"/hosts/{path}"),
        ("GET", f"/static/{path}"),
        ("DELETE", f"/api/v1/mutes/{path}"),
        ("POST", f"/api/v1/hosts/{path}/reconnect"),
    ]:
        answer = open_face.ask(method, route, headers={"Accept": "text/html"})
        assert answer.status in (400, 404, 405), route
        assert "x-evil" not in answer.headers
        if answer.headers["content-type"] != "application/problem+json":
            assert "<script>" not in answer.text
        assert "49" not in answer.text or "7*7" in answer.text


@pytest.mark.parametrize(
    ("host", "agent", "status"),
    [("nowhere", AGENT, 404), ("node-1", "unheard-of", 404), ("", AGENT, 404)],
)
def test_a_restart_of_what_is_not_in_the_inventory_is_refused(
    open_face: Face, host: str, agent: str, status: int
) -> None:
    before = open_face.ask("GET", "/api/v1/restarts").json
    answer = open_face.ask("POST", "/api/v1/restarts", {"host": host, "agent": agent})

    assert answer.status == status
    assert open_face.ask("GET", "/api/v1/restarts").json == before


HOSTILE = "<img src=x onerror=alert(1)>\"'&\x1b[31m\u202e"


def tell(served: Face, **labels: str) -> None:
    alert = {
        "status": "firing",
        "labels": {"alertname": HOSTILE, "remediation": "restart", **labels},
        "startsAt": "2026-01-01T00:00:00Z",
        "fingerprint": "f00d",
    }
    answer = served.ask("POST", "/api/v1/alertmanager", {"version": "4", "alerts": [alert]})
    assert answer.status == 202


def test_html_and_ansi_in_labels_reach_neither_page_nor_log(open_face: Face) -> None:
    tell(open_face, host=HOSTILE, agent=HOSTILE)

    wait_until("the alert", lambda: open_face.ask("GET", "/api/v1/alerts").json["alerts"])
    (recorded,) = open_face.ask("GET", "/api/v1/alerts?refused=unknown_host").json["alerts"]
    page = open_face.ask("GET", "/alerts").text
    log = open_face.program.log.read_text(encoding="utf-8")
    assert recorded["host"] == HOSTILE
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert "\x1b" not in log
    assert "alert refused" in log


def test_every_answer_carries_the_security_headers(open_face: Face) -> None:
    for method, path in [
        ("GET", "/"),
        ("GET", "/static/style.css"),
        ("GET", "/api/v1/status"),
        ("GET", "/api/v1/hosts/nowhere"),
        ("POST", "/pause"),
        ("GET", "/metrics"),
    ]:
        headers = open_face.ask(method, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


def test_the_pages_have_nothing_inline(open_face: Face) -> None:
    for path in ("/", "/restarts", "/alerts", "/hosts/node-1"):
        page = open_face.ask("GET", path).text
        assert not re.search(r"<style|<[^>]*\s(style|on\w+)=|<[^>]*javascript:", page), path
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page)), path


def test_a_body_that_is_too_large_is_refused_unread(open_face: Face) -> None:
    with socket.create_connection(("127.0.0.1", open_face.port), timeout=60) as connection:
        connection.sendall(
            b"POST /api/v1/alertmanager HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        answer = connection.recv(65536)

    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"application/problem+json" in answer


def test_a_large_body_for_a_small_route_is_refused(open_face: Face) -> None:
    body = json.dumps({"host": "x" * 100_000, "agent": AGENT}).encode()
    headers = {"Content-Type": "application/json"}

    assert open_face.ask("POST", "/api/v1/restarts", body, headers=headers).status == 413


def test_headers_that_are_too_large_are_refused(open_face: Face) -> None:
    answer = open_face.ask("GET", "/api/v1/status", headers={"X-Long": "x" * 100_000})

    assert answer.status in (400, 413, 431)


def test_a_length_and_chunks_together_are_refused(open_face: Face) -> None:
    """Two readings of one request are how one request is smuggled behind another."""
    with socket.create_connection(("127.0.0.1", open_face.port), timeout=60) as connection:
        connection.sendall(
            b"POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        answer = connection.recv(65536)

    assert b" 400 " in answer.split(b"\r\n")[0]


def test_an_address_that_others_reach_is_refused_without_access(folder: Path, world: World) -> None:
    own = folder / "exposed"
    own.mkdir()
    port = free_port()
    one = responder(own, port, configured(own, world, mode="observe"))
    done = subprocess.run(
        [*one.program.argv, f"--web.listen-address=0.0.0.0:{port}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "no access is configured" in done.stderr
    assert "listen on 127.0.0.1" in done.stderr


@pytest.mark.parametrize(
    ("path", "token"), [("/api/v1/alertmanager", WEBHOOK), ("/api/v1/restarts", OPERATE)]
)
@pytest.mark.parametrize(
    "body",
    [
        "[" * 30_000,
        '{"a":' * 10_000,
        '{"a": %s}' % ("[" * 700 + "]" * 700),
        '{"alerts": [{"labels": {"a": %s}}]}' % ("[" * 700 + "]" * 700),
    ],
    ids=["brackets", "objects", "deep", "deep label"],
)
def test_a_body_nested_deeper_than_anybody_writes_is_the_senders_mistake(
    guarded: Face, path: str, token: str, body: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = guarded.ask("POST", path, body, token=token, headers=headers)
    assert answer.status == 400
    assert answer.json["status"] == 400
