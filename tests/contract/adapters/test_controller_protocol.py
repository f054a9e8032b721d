"""The controller protocol but for the reconnect: docs/controllers.md, held line by line."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.controller_settings import HttpControllerSettings
from memleash_responder.core.facts import Task, Unknown
from memleash_responder.core.host_states import ControllerState, HostState
from memleash_responder.core.outcomes import Outcome
from memleash_responder.errors import ControllerError
from memleash_toolkit.values import Duration
from tests.contract.adapters.controllers import (
    AGENT,
    ENCODED,
    HOST,
    RESTART,
    StartPeer,
    clients,
    settings,
)
from tests.contract.adapters.peer import Asked, Peer, Raw, Reply, as_json


def test_names_are_percent_encoded_into_urls_and_told_plainly_in_the_body(peer: Peer) -> None:
    controllers = clients(peer.url)
    controllers.drain(HOST, AGENT, RESTART)
    controllers.undrain(HOST, AGENT, RESTART)
    controllers.tasks(HOST, AGENT)
    assert peer.paths() == [
        f"POST /hosts/{ENCODED}/drain?agent=kvm%26agent",
        f"POST /hosts/{ENCODED}/undrain",
        f"GET /hosts/{ENCODED}/tasks",
    ]
    assert peer.asked[0].json() == {"host": "node 1/é", "agent": "kvm&agent"}


def test_a_bearer_token_is_read_at_each_use(peer: Peer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    controllers = clients(peer.url, bearer_token_file=token)
    for secret in ("first", "second"):
        token.write_text(secret)
        controllers.drain(HOST, AGENT, RESTART)
    assert [one.headers["Authorization"] for one in peer.asked] == ["Bearer first", "Bearer second"]


def test_without_controllers_there_are_no_tasks_and_nobody_to_tell() -> None:
    none = clients()
    none.drain(HOST, AGENT, RESTART)
    none.undrain(HOST, AGENT, RESTART)
    none.reconnect(HOST, AGENT, RESTART, timeout_seconds=1)
    assert none.tasks(HOST, AGENT) == ()


def test_a_controller_is_asked_only_for_what_it_has_urls_for(peer: Peer) -> None:
    controllers = ControllerClients((HttpControllerSettings(name="mn-1", tasks_url=peer.url),))
    controllers.drain(HOST, AGENT, RESTART)
    controllers.reconnect(HOST, AGENT, RESTART, timeout_seconds=1)
    assert peer.asked == []


@pytest.mark.parametrize("whose", [{"hosts": ('zone="b"',)}, {"agents": ("another",)}])
def test_a_controller_is_not_asked_about_what_does_not_concern_it(
    peer: Peer, whose: dict[str, Any]
) -> None:
    controllers = ControllerClients((settings(peer.url, **whose),))
    controllers.drain(HOST, AGENT, RESTART)
    controllers.undrain(HOST, AGENT, RESTART)
    controllers.reconnect(HOST, AGENT, RESTART, timeout_seconds=1)
    assert controllers.tasks(HOST, AGENT) == ()
    assert peer.asked == []


def test_a_host_is_called_by_its_label(peer: Peer) -> None:
    labelled = dataclasses.replace(HOST, labels={"host": HOST.name, "uuid": "u-1"})
    controllers = clients(peer.url, host_label="uuid")
    controllers.drain(labelled, AGENT, RESTART)
    assert peer.paths() == ["POST /hosts/u-1/drain?agent=kvm%26agent"]
    assert peer.asked[0].json()["host"] == "u-1"


def test_a_host_without_its_label_cannot_be_asked_about(peer: Peer) -> None:
    controllers = clients(peer.url, host_label="uuid")
    with pytest.raises(ControllerError, match="has no label uuid in the inventory"):
        controllers.drain(HOST, AGENT, RESTART)
    (said,) = controllers.tasks(HOST, AGENT)
    assert isinstance(said.running, Unknown)
    assert peer.asked == []


RUNNING = [{"id": "7", "name": "migrate"}]


@pytest.mark.parametrize(
    ("answer", "running"),
    [
        (as_json({"running": RUNNING, "pending": []}), (Task("7", "migrate"),)),
        (as_json({"running": [], "pending": RUNNING}), ()),
        (as_json({"pending": RUNNING}), ()),
        (as_json({"running": None}), ()),
        (as_json({}), ()),
        (as_json({"running": [{"id": 7}]}), (Task("7", "7"),)),
        (as_json({"running": [{"name": "dump"}]}), (Task("?", "dump"),)),
        (as_json({"running": [{}]}), (Task("?", "?"),)),
        (as_json({"running": ["vm-1"]}), (Task("vm-1", "vm-1"),)),
        (as_json({"running": [None]}), (Task("?", "?"),)),
        (
            as_json({"running": [{"id": {"a": []}, "name": "a\0\ud800\nb"}]}),
            (Task("dict", "a\ufffd\ufffd b"),),
        ),
    ],
    ids=[
        "running",
        "only pending",
        "no running key",
        "null list",
        "empty object",
        "no name",
        "no id",
        "neither still runs",
        "text",
        "null still runs",
        "odd id and name",
    ],
)
def test_running_tasks_are_what_the_controller_lists(
    peer: Peer, answer: Reply, running: tuple[Task, ...]
) -> None:
    peer.answer = lambda _: answer
    (said,) = clients(peer.url).tasks(HOST, AGENT)
    assert (said.controller, said.running) == ("mn-1", running)


@pytest.mark.parametrize("word", HostState)
def test_a_controllers_word_for_a_host_is_its_state(peer: Peer, word: HostState) -> None:
    peer.answer = lambda _: as_json({"state": word, "since": 7})
    assert clients(peer.url).states(HOST) == (ControllerState("mn-1", word),)
    assert peer.paths() == [f"GET /hosts/{ENCODED}/state"]


@pytest.mark.parametrize("answer", [{}, {"state": None}])
def test_a_controller_says_nothing_of_a_host_that_is_not_its_own(peer: Peer, answer: Any) -> None:
    peer.answer = lambda _: as_json(answer)
    assert clients(peer.url).states(HOST) == ()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Reply(404, b"no such host"), "answered 404"),
        (Reply(500, b"boom"), "answered 500: boom"),
        (as_json({"state": "Maintenance"}), "state is none of connected, connecting"),
        (as_json({"state": ["maintenance"]}), "state is none of connected, connecting"),
        (as_json({"error": "no database"}), "state is none of connected, connecting"),
        (as_json([]), "is not an object"),
        (Raw(), "GET "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_any_other_answer_about_a_state_is_unknown(
    peer: Peer, answer: Reply | Raw, why: str
) -> None:
    peer.answer = lambda _: answer
    (said,) = clients(peer.url).states(HOST)
    assert isinstance(said.state, Unknown)
    assert why in said.state.why


def test_each_controller_that_knows_of_states_can_be_asked_alone(peer: Peer) -> None:
    peer.answer = lambda _: as_json({"state": "maintenance"})
    ask = clients(peer.url, "http://127.0.0.1:1").states_by_controller
    assert ask["mn-1"](HOST) is HostState.MAINTENANCE
    assert isinstance(ask["mn-2"](HOST), Unknown)
    assert not clients(peer.url, state_url=None).states_by_controller


def test_of_very_many_tasks_the_first_are_named_and_all_are_counted(peer: Peer) -> None:
    running = [{"id": str(number), "name": "x" * 50} for number in range(100_000)]
    peer.answer = lambda _: as_json({"running": running})
    (said,) = clients(peer.url).tasks(HOST, AGENT)
    assert isinstance(said.running, tuple)
    assert len(said.running) + said.more == 100_000
    assert len(said.running) <= 100


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Reply(500, b"boom"), "answered 500: boom"),
        (Reply(401), "answered 401"),
        (Reply(204), "answered 204"),
        (Reply(302, b"", {"Location": "/login"}), "redirects are not followed"),
        (Reply(200, b"<html>"), "the answer is not JSON"),
        (Reply(200, b""), "the answer is not JSON"),
        (as_json([]), "is not an object"),
        (as_json(None), "is not an object"),
        (as_json({"error": "no database"}), "the answer has no running, but other keys"),
        (as_json({"running": None, "error": "x"}), "the answer has no running, but other keys"),
        (as_json({"pending": [], "hosts": {}}), "the answer has no running, but other keys"),
        (as_json({"running": {"7": "x"}}), "running is not a list"),
        (as_json({"running": 0}), "running is not a list"),
        (Raw(), "GET "),
        (Raw(hang=True), "no whole answer within 1 s"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_controller_that_cannot_be_understood_is_unknown_and_never_idle(
    peer: Peer, answer: Reply | Raw, why: str
) -> None:
    peer.answer = lambda _: answer
    (said,) = clients(peer.url).tasks(HOST, AGENT)
    assert isinstance(said.running, Unknown)
    assert why in said.running.why


def knows(*names: str) -> Callable[[Asked], Reply]:
    """Answer as a controller that knows these hosts, without tasks."""
    paths = {f"/hosts/{name}/tasks" for name in names}
    return lambda asked: as_json({}) if asked.path in paths else Reply(404, b"no such host")


def said_by(controllers: ControllerClients) -> tuple[Task, ...] | Unknown:
    (said,) = controllers.tasks(HOST, AGENT)
    return said.running


def test_a_host_that_is_unknown_to_a_controller_that_knows_another_has_no_tasks(peer: Peer) -> None:
    peer.answer = knows("zone-b-1")
    controllers = clients(peer.url, hosts=("zone-a-1", HOST.name, "zone-b-1"))
    assert said_by(controllers) == ()
    asked = len(peer.asked)
    assert said_by(controllers) == ()
    assert peer.paths()[asked:] == [f"GET /hosts/{ENCODED}/tasks", "GET /hosts/zone-b-1/tasks"]


def test_404_for_every_host_may_be_a_wrong_url_and_is_unknown(peer: Peer) -> None:
    """Seen: a tasks_url with a slip in it read as a fleet without tasks."""
    peer.answer = knows()
    controllers = clients(peer.url, hosts=("node-2", HOST.name))
    said = said_by(controllers)
    assert isinstance(said, Unknown)
    assert "answered 404 for each of 2 hosts of the inventory" in said.why


def test_a_controller_that_forgot_every_host_since_is_not_believed(peer: Peer) -> None:
    controllers = clients(peer.url, hosts=("node-2", HOST.name))
    peer.answer = knows("node-2")
    assert said_by(controllers) == ()
    peer.answer = knows()
    assert isinstance(said_by(controllers), Unknown)


def test_another_host_that_cannot_be_asked_about_proves_nothing(peer: Peer) -> None:
    peer.answer = lambda asked: Reply(404 if ENCODED in asked.path else 500)
    said = said_by(clients(peer.url, hosts=("node-2", HOST.name)))
    assert isinstance(said, Unknown)
    assert "answered 500" in said.why


def test_a_large_inventory_is_asked_about_in_a_sample_from_end_to_end(peer: Peer) -> None:
    peer.answer = knows()
    names = tuple(f"node-{number:05}" for number in range(1000))
    assert isinstance(said_by(clients(peer.url, hosts=names, timeout=Duration(60))), Unknown)
    others = [one.path for one in peer.asked[1:]]
    assert 150 <= len(others) <= 200
    assert ("node-00000" in others[0], "node-0099" in others[-1]) == (True, True)


@pytest.mark.parametrize(
    ("answer", "doubt"),
    [
        (knows("node-2", ENCODED), None),
        (knows(), "answered 404 for each of 2 hosts of the inventory"),
        (lambda _: as_json({"error": "x"}), "the answer has no running, but other keys"),
        (lambda _: as_json({}), "it has an answer for memleash-asks.invalid, too"),
        (lambda _: Reply(500), "answered 500"),
    ],
    ids=["knows them", "404 for all", "an error", "the same for all", "500"],
)
def test_an_invented_host_and_real_ones_are_told_apart(
    peer: Peer, answer: Callable[[Asked], Reply], doubt: str | None
) -> None:
    peer.answer = answer
    (told,) = clients(peer.url, hosts=("node-2", HOST.name)).doubts(AGENT).values()
    assert told is None if doubt is None else doubt in str(told)


def test_one_unreachable_controller_of_three_is_unknown_and_the_others_speak(
    start_peer: StartPeer, refusing_port: int
) -> None:
    first, third = start_peer(), start_peer()
    first.answer = lambda _: as_json({"running": RUNNING})
    third.answer = lambda _: as_json({})
    asked = clients(first.url, f"http://127.0.0.1:{refusing_port}", third.url)
    said = {one.controller: one.running for one in asked.tasks(HOST, AGENT)}
    assert said["mn-1"] == (Task("7", "migrate"),)
    assert isinstance(said["mn-2"], Unknown)
    assert said["mn-3"] == ()


def test_two_controllers_are_asked_at_a_time(start_peer: StartPeer) -> None:
    lock = threading.Lock()
    now = 0
    most = 0
    both = threading.Barrier(2)

    def answer(_: Asked) -> Reply:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        both.wait(60)  # passes only when a second one is asked meanwhile
        with lock:
            now -= 1
        return as_json({})

    peers = [start_peer() for _ in range(4)]
    for peer in peers:
        peer.answer = answer
    assert len(clients(*(peer.url for peer in peers)).tasks(HOST, AGENT)) == 4
    assert most == 2


@pytest.mark.parametrize("what", ["drain", "undrain"])
def test_all_are_told_and_the_failed_ones_named(
    start_peer: StartPeer, refusing_port: int, what: str
) -> None:
    first, third = start_peer(), start_peer()
    first.answer = lambda _: Reply(409, b"in maintenance")
    asked = clients(first.url, f"http://127.0.0.1:{refusing_port}", third.url)
    with pytest.raises(ControllerError) as caught:
        getattr(asked, what)(HOST, AGENT, RESTART)
    assert str(caught.value).startswith(f"{what} of node 1/é: mn-1: POST ")
    assert "answered 409: in maintenance; mn-2: POST " in str(caught.value)
    assert "mn-3" not in str(caught.value)
    assert len(third.asked) == 1
    assert caught.value.outcome is Outcome.CONTROLLER_UNREACHABLE
