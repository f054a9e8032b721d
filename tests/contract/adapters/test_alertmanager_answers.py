"""Answers that a real Alertmanager gives rarely, or that are not an Alertmanager's at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from memleash_responder.adapters.alertmanager import AlertmanagerClient, Silence
from memleash_responder.core.matchers import Matcher
from memleash_responder.errors import AlertmanagerError
from memleash_responder.settings import Alertmanager
from memleash_toolkit.values import Duration
from tests.contract.adapters.peer import Asked, Peer, Raw, Reply, as_json

START = datetime(2025, 1, 1, tzinfo=UTC)
STORED = {
    "id": "s-1",
    "status": {"state": "active"},
    "matchers": [{"name": "host", "value": "a", "isRegex": False}],
    "startsAt": "2025-01-01T00:00:00.123456789Z",
    "endsAt": "2025-01-01T00:05:00.000Z",
    "createdBy": "memleash",
    "comment": "busy",
}
WANTED = Silence("s-1", (Matcher("host", "a"),), START, START + timedelta(minutes=9), "busy")


def client(*peers: Peer) -> AlertmanagerClient:
    urls = tuple(peer.url for peer in peers)
    return AlertmanagerClient(Alertmanager(urls=urls, timeout=Duration(1)))


def test_a_silence_that_has_gone_since_it_was_listed_is_created_anew(peer: Peer) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(404) if "id" in asked.json() else as_json({"silenceID": "s-2"})

    peer.answer = answer
    assert client(peer).put(WANTED) == "s-2"
    assert peer.paths() == ["POST /api/v2/silences"] * 2


def test_a_renewal_is_one_request_with_the_listed_start_and_every_field(peer: Peer) -> None:
    peer.answer = lambda asked: as_json([STORED] if asked.method == "GET" else {"silenceID": "s-1"})
    alertmanager = client(peer)
    (listed,) = alertmanager.silences()
    alertmanager.put(dataclasses.replace(listed, ends_at=WANTED.ends_at))
    assert peer.paths() == ["GET /api/v2/silences", "POST /api/v2/silences"]
    assert peer.asked[-1].json() == {
        "id": "s-1",
        "matchers": [{"name": "host", "value": "a", "isRegex": False, "isEqual": True}],
        "startsAt": "2025-01-01T00:00:00.123456+00:00",
        "endsAt": "2025-01-01T00:09:00+00:00",
        "createdBy": "memleash",
        "comment": "busy",
    }


@pytest.mark.parametrize(
    "answer", [Raw(), Reply(503, b"no"), as_json({})], ids=["cut", "503", "{}"]
)
def test_an_alertmanager_that_never_confirms_is_asked_twice_and_no_more(
    peer: Peer, answer: Reply | Raw
) -> None:
    peer.answer = lambda asked: as_json([]) if asked.method == "GET" else answer
    with pytest.raises(AlertmanagerError, match="no Alertmanager took it"):
        client(peer).put(Silence(None, WANTED.matchers, START, WANTED.ends_at, "busy"))
    assert peer.paths() == [
        "POST /api/v2/silences",
        "GET /api/v2/silences",
        "POST /api/v2/silences",
    ]


def test_the_peer_that_answered_last_is_asked_first(start_peer: Callable[[], Peer]) -> None:
    first, second = start_peer(), start_peer()
    first.answer = lambda _: Reply(502)
    second.answer = lambda _: as_json([])
    alertmanager = client(first, second)
    for _ in range(3):
        alertmanager.silences()
    assert (len(first.asked), len(second.asked)) == (1, 3)


def test_a_refusal_is_not_taken_to_the_next_peer(start_peer: Callable[[], Peer]) -> None:
    first, second = start_peer(), start_peer()
    first.answer = lambda _: Reply(401, b"who are you?")
    with pytest.raises(AlertmanagerError, match=r"answered 401: who are you\?"):
        client(first, second).silences()
    assert second.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, b"<html>"),
        as_json({"data": []}),
        as_json([{}]),
        as_json([None]),
        as_json(None),
        as_json([{**STORED, "endsAt": "soon"}]),
        as_json([{**STORED, "matchers": None}]),
        as_json([{**STORED, "matchers": [{"name": ["host"], "value": "a", "isRegex": False}]}]),
        as_json([{**STORED, "matchers": [{"name": "host", "value": "a", "isRegex": "no"}]}]),
        as_json([{**STORED, "matchers": ["host"]}]),
        as_json([{**STORED, "comment": {"a": 10**400}}]),
    ],
    ids=range(11),
)
def test_a_list_that_is_no_list_of_silences_is_an_error(peer: Peer, answer: Reply) -> None:
    peer.answer = lambda _: answer
    with pytest.raises(AlertmanagerError):
        client(peer).silences()


@pytest.mark.parametrize("answer", [Reply(200, b"<html>"), as_json({}), as_json([1])], ids=range(3))
def test_a_list_that_is_no_list_of_alerts_is_an_error(peer: Peer, answer: Reply) -> None:
    peer.answer = lambda _: answer
    with pytest.raises(AlertmanagerError):
        client(peer).alerts()


@pytest.mark.parametrize("state", ["active", "expired"])
def test_a_500_on_expiry_is_fine_only_for_a_silence_that_is_over(peer: Peer, state: str) -> None:
    stored = {**STORED, "status": {"state": state}}
    peer.answer = lambda asked: (
        as_json(stored) if asked.method == "GET" else Reply(500, b"already expired")
    )
    if state == "expired":
        client(peer).expire("s-1")
    else:
        with pytest.raises(AlertmanagerError, match="answered 500: already expired"):
            client(peer).expire("s-1")


def test_a_prefix_in_the_url_is_kept(peer: Peer) -> None:
    peer.answer = lambda _: as_json([])
    settings = Alertmanager(urls=(f"{peer.url}/alertmanager/",))
    AlertmanagerClient(settings).silences()
    assert peer.paths() == ["GET /alertmanager/api/v2/silences"]
