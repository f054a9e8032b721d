"""The controller protocol's reconnect: docs/controllers.md, held line by line."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from memleash_responder.core.outcomes import Outcome
from memleash_responder.errors import ReconnectFailed
from tests.contract.adapters.controllers import AGENT, HOST, RESTART, StartPeer, clients
from tests.contract.adapters.peer import Asked, Peer, Raw, Reply


def test_a_reconnect_asks_for_the_host_and_leaves_libvirtd_alone(peer: Peer) -> None:
    clients(peer.url).reconnect(HOST, AGENT, RESTART, timeout_seconds=5)
    assert peer.paths() == ["POST /reconnect"]
    body = {"host": "node 1/é", "agent": "kvm&agent", "restart_libvirtd": False}
    assert peer.asked[0].json() == body


def test_the_controllers_that_are_named_are_told_to_restart_libvirtd(
    start_peer: StartPeer,
) -> None:
    first, second = start_peer(), start_peer()
    asked = clients(first.url, second.url)
    asked.reconnect(HOST, AGENT, RESTART, timeout_seconds=5, restart_libvirtd={"mn-2"})
    assert first.asked[0].json()["restart_libvirtd"] is False
    assert second.asked[0].json()["restart_libvirtd"] is True


def test_a_controller_may_answer_only_when_it_is_done(peer: Peer) -> None:
    done = threading.Event()

    def answer(_: Asked) -> Reply:
        done.wait(2)  # longer than the controller's own timeout of 1 s
        return Reply(204)

    peer.answer = answer
    clients(peer.url).reconnect(HOST, AGENT, RESTART, timeout_seconds=20)
    assert len(peer.asked) == 1


@pytest.mark.parametrize("location", ["/jobs/1", "jobs/1", "/a/../jobs/1#progress", "absolute"])
def test_a_202_is_polled_until_it_is_another_2xx(peer: Peer, location: str) -> None:
    place = f"{peer.url}/jobs/1" if location == "absolute" else location
    pending = iter([202, 202, 200])

    def answer(asked: Asked) -> Reply:
        if asked.method == "POST":
            return Reply(202, b"", {"Location": place, "Retry-After": "0"})
        return Reply(next(pending), b"", {"Retry-After": "0"})

    peer.answer = answer
    clients(peer.url).reconnect(HOST, AGENT, RESTART, timeout_seconds=20)
    assert peer.paths() == ["POST /reconnect"] + ["GET /jobs/1"] * 3


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, "answered 202 without a Location to poll"),
        ({"Location": "http://evil.example/jobs/1"}, "with a Location elsewhere"),
        ({"Location": "//evil.example/jobs/1"}, "with a Location elsewhere"),
        ({"Location": "https://127.0.0.1/jobs/1"}, "with a Location elsewhere"),
        ({"Location": "http://127.0.0.1:1/jobs/1"}, "with a Location elsewhere"),
        ({"Location": "file:///etc/passwd"}, "with a Location elsewhere"),
        ({"Location": "javascript:alert(1)"}, "with a Location elsewhere"),
        ({"Location": "http://127.0.0.1:99999/"}, "is not a URL"),
        ({"Location": "http://127.0.0.1:port/"}, "is not a URL"),
        ({"Location": "http://[::1/jobs"}, "is not a URL"),
        ({"Location": "http://[not an address]/"}, "is not a URL"),
        ({"Location": "//[v1.x"}, "is not a URL"),
        ({"Location": "/jobs/a b"}, "is not a URL"),
        ({"Location": "/jobs/\u00e9"}, "is not a URL"),
        ({"Location": "/jobs/\x00"}, "is not a URL"),
        ({"Location": "/" + "j" * 10_000}, "is not a URL"),
    ],
    ids=lambda value: str(value.get("Location", "none"))[:30] if isinstance(value, dict) else "",
)
def test_a_202_that_leads_elsewhere_or_nowhere_is_not_followed(
    peer: Peer, headers: dict[str, str], why: str
) -> None:
    """Seen: an address that is none was an unexpected ValueError, and the host was lost by it."""
    peer.answer = lambda _: Reply(202, b"", headers)
    with pytest.raises(ReconnectFailed, match=why) as caught:
        clients(peer.url).reconnect(HOST, AGENT, RESTART, timeout_seconds=5)
    assert len(peer.asked) == 1
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("status", [400, 404, 409, 500, 503, 302])
def test_an_explicit_refusal_is_the_error_and_not_tried_again(peer: Peer, status: int) -> None:
    peer.answer = lambda _: Reply(status, b"agent down")
    with pytest.raises(ReconnectFailed, match=f"mn-1: POST .* answered {status}") as caught:
        clients(peer.url).reconnect(HOST, AGENT, RESTART, timeout_seconds=20)
    assert len(peer.asked) == 1
    assert caught.value.outcome is Outcome.RECONNECT_FAILED


def test_a_refusal_while_polling_is_the_error(peer: Peer) -> None:
    peer.answer = lambda asked: (
        Reply(202, b"", {"Location": "/j", "Retry-After": "0"})
        if asked.method == "POST"
        else Reply(502, b"agent down")
    )
    with pytest.raises(ReconnectFailed, match=r"GET .* answered 502: agent down"):
        clients(peer.url).reconnect(HOST, AGENT, RESTART, timeout_seconds=20)


def test_a_lost_connection_is_tried_again_until_it_is_answered(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memleash_responder.adapters.controllers.http._TRY_AGAIN_SECONDS", 0.01)
    answers: Iterator[Reply | Raw] = iter([Raw(), Raw(b"HTTP/1.1"), Reply(200)])
    peer.answer = lambda _: next(answers)
    clients(peer.url).reconnect(HOST, AGENT, RESTART, timeout_seconds=20)
    assert peer.paths() == ["POST /reconnect"] * 3


def test_a_hanging_reconnect_ends_at_the_deadline(peer: Peer) -> None:
    peer.answer = lambda _: Raw(hang=True)
    began = time.monotonic()
    with pytest.raises(ReconnectFailed, match="was not connected in time; last: POST"):
        clients(peer.url).reconnect(HOST, AGENT, RESTART, timeout_seconds=0.5)
    assert time.monotonic() - began < 30, "it hangs for a minute"


def test_an_unreachable_controller_is_tried_until_the_deadline(
    refusing_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memleash_responder.adapters.controllers.http._TRY_AGAIN_SECONDS", 0.05)
    asked = clients(f"http://127.0.0.1:{refusing_port}")
    with pytest.raises(ReconnectFailed, match=r"in time; last: .*Connection refused"):
        asked.reconnect(HOST, AGENT, RESTART, timeout_seconds=0.4)


def test_every_controller_must_take_the_host_back(start_peer: StartPeer) -> None:
    first, second = start_peer(), start_peer()
    second.answer = lambda _: Reply(500, b"no")
    with pytest.raises(ReconnectFailed) as caught:
        clients(first.url, second.url).reconnect(HOST, AGENT, RESTART, timeout_seconds=5)
    assert "mn-2: POST" in str(caught.value)
    assert "mn-1" not in str(caught.value)
    assert len(first.asked) == 1
