"""What a host's state and its labels mean for real restarts: a host for each case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.stack.fleet import PATIENT, Fleet, Member, running
from demo.stack.http import Json, get
from demo.stack.responder import Responder
from demo.stack.stand_ins import CONTROLLERS

pytestmark = pytest.mark.integration

MEMBERS = [
    Member("of-old-cluster", labels={"cluster": "old"}),
    Member("for-itself", labels={"cluster": "old", "restart_libvirtd": "Off"}),
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running(tmp_path_factory.mktemp("states"), MEMBERS, patience=PATIENT) as fleet:
        fleet.start_agents(fleet.members)
        yield fleet


@pytest.fixture(scope="module")
def responder(fleet: Fleet) -> Iterator[Responder]:
    controllers = fleet.responder_config(fleet.folder / "unused.db")["controllers"]
    for controller in controllers[:2]:
        controller["restart_libvirtd"] = ['cluster="old"']
    with fleet.responder("states", controllers=controllers) as responder:
        responder.become("tests.support.hurried_responder")
        responder.program.start()
        yield responder


def explained(responder: Responder, host: str) -> Json:
    return get(f"{responder.url}/api/v1/hosts/{host}/agents/{host}/explain")


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("of-old-cluster", {"mn-1": True, "mn-2": True, "mn-3": False}),
        ("for-itself", dict.fromkeys(CONTROLLERS, False)),
    ],
)
def test_each_controller_is_told_of_libvirtd_what_explain_shows(
    fleet: Fleet, responder: Responder, host: str, told: dict[str, bool]
) -> None:
    shown = explained(responder, host)["facts"]["reconnect"]
    assert {name: one["restart_libvirtd"] for name, one in shown.items()} == told
    responder.alert(host)
    assert responder.finished(host)["outcome"] == "restarted"
    bodies = [(by, body) for by, body in fleet.peers.reconnects if body["host"] == host]
    assert {by: body["restart_libvirtd"] for by, body in bodies} == told
