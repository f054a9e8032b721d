"""What a host's state and its labels mean for real restarts: a host for each case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.stack.fake_peers import CONTROLLERS, Reply
from demo.stack.http import CallFailed, Json, call, get, post
from demo.stack.loopback_hosts import PATIENT, Fleet, Member, running
from demo.stack.processes import wait_until
from demo.stack.responder import Responder, over_limit

pytestmark = pytest.mark.integration

MEMBERS = [
    Member("of-old-cluster", labels={"cluster": "old"}),
    Member("for-itself", labels={"cluster": "old", "restart_libvirtd": "Off"}),
    Member("labelled", labels={"maintenance": "Yes"}),
    Member("by-hand", settings={"diagnose": {"discover": {"cmdline": "demo.agent"}}}),
    Member("by-controller"),
    Member("cannot-say"),
    Member("pinged-in-vain"),
    Member("restarted-by-reconnects"),
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running(tmp_path_factory.mktemp("states"), MEMBERS, patience=PATIENT) as fleet:
        fleet.start_agents(fleet.members)
        yield fleet


@pytest.fixture(scope="module")
def responder(fleet: Fleet) -> Iterator[Responder]:
    controllers = fleet.controllers(with_states=True)
    for controller in controllers[:2]:
        controller["restart_libvirtd"] = ['cluster="old"']
    with fleet.responder("states", controllers=controllers) as responder:
        responder.become("tests.support.hurried_responder")
        responder.program.start()
        yield responder


def busy(host: str) -> Json:
    """Return the alert that the host's agent is busy."""
    alert = over_limit(host)
    labels = {**alert["labels"], "alertname": "AgentBusy", "remediation": "mute"}
    return {**alert, "labels": labels, "fingerprint": f"busy-{host}"}


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


def pinged(responder: Responder) -> set[str]:
    """Return the hosts that Prometheus is told to ping."""
    return {one["labels"]["host"] for one in responder.get("/api/v1/sd/ping-targets")}


def is_in_maintenance(fleet: Fleet, responder: Responder, host: str) -> None:
    """Wait until ``host`` is in maintenance for everybody who asks, and is left alone."""
    wait_until(f"{host} to be in maintenance", lambda: responder.state(host) == "maintenance")
    wait_until(f"a silence for {host}", lambda: fleet.peers.silenced(host))
    assert host not in pinged(responder)
    mute = responder.get(f"/api/v1/hosts/{host}/mute")
    assert mute["muted"]
    assert mute["reason"].startswith("maintenance: ")
    assert responder.metric(f'memleash_responder_host_state{{host="{host}",state="maintenance"}}')
    assert host in responder.get("/api/v1/status")["maintenance"]
    (listed,) = responder.get(f"/api/v1/hosts?search={host}&state=maintenance")["hosts"]
    assert listed["host"] == host
    shown = explained(responder, host)
    assert (shown["verdict"], shown["facts"]["host_state"]) == ("maintenance", "maintenance")
    assert "In maintenance" in str(get(f"{responder.url}/hosts/{host}"))
    restart = {"host": host, "agent": host, "force": True}
    post(f"{responder.url}/api/v1/restarts", restart)
    assert responder.finished(host)["outcome"] == "maintenance"
    assert fleet.starts(host) == 1


def is_back_in_service(fleet: Fleet, responder: Responder, host: str) -> None:
    wait_until(f"{host} to be in service", lambda: responder.state(host) == "connected")
    wait_until(f"{host} to be pinged", lambda: host in pinged(responder))
    wait_until(f"no silence for {host}", lambda: not fleet.peers.silenced(host))
    responder.alert(host)
    wait_until(f"{host} to be restarted", lambda: responder.at(host, "outcome") == "restarted")


def test_a_label_puts_a_host_in_maintenance(fleet: Fleet, responder: Responder) -> None:
    is_in_maintenance(fleet, responder, "labelled")
    assert responder.get("/api/v1/hosts/labelled")["state_since"] is None
    with pytest.raises(CallFailed, match="the inventory's label says maintenance"):
        call("DELETE", f"{responder.url}/api/v1/hosts/labelled/maintenance")
    with pytest.raises(CallFailed, match="end the maintenance first"):
        call("DELETE", f"{responder.url}/api/v1/mutes/labelled")


def test_a_person_puts_a_host_in_maintenance_and_back(fleet: Fleet, responder: Responder) -> None:
    url = f"{responder.url}/api/v1/hosts/by-hand/maintenance"
    with pytest.raises(CallFailed, match="would end before it begins"):
        call("PUT", url, {"reason": "new disks", "until": "2020-01-01T00:00:00Z"})
    until = "2099-01-31T12:00:00Z"
    begun = call("PUT", url, {"reason": "new racks", "until": "2099-01-31T13:00:00+01:00"})
    assert (begun["reason"], begun["until"]) == ("new racks", until)
    shown = responder.get("/api/v1/hosts/by-hand")
    assert shown["maintenance"]["until"] == until
    assert shown["state_reason"] == f"local: new racks, until {until}"
    begun = call("PUT", url, {"reason": "new disks", "for": "2h"})
    assert (begun["by"], begun["reason"]) == ("local", "new disks")
    is_in_maintenance(fleet, responder, "by-hand")
    assert responder.get("/api/v1/hosts/by-hand")["state_since"] == begun["since"]
    asked = post(f"{responder.url}/api/v1/diagnoses", {"host": "by-hand", "agent": "by-hand"})
    wait_until(
        "the diagnosis to be refused",
        lambda: responder.get(f"/api/v1/diagnoses/{asked['id']}")["outcome"] == "maintenance",
    )
    call("DELETE", url)
    is_back_in_service(fleet, responder, "by-hand")
    call("PUT", url, {"reason": "once more", "for": "1s"})
    wait_until(
        "the maintenance to end by itself", lambda: responder.state("by-hand") == "connected"
    )
    log = responder.program.log
    wait_until(
        "a word of it", lambda: "maintenance ended by itself" in log.read_text(encoding="utf-8")
    )


def test_a_controller_puts_a_host_in_maintenance(fleet: Fleet, responder: Responder) -> None:
    fleet.peers.faults["mn-2 state", "by-controller"] = [Reply({"state": "maintenance"})]
    is_in_maintenance(fleet, responder, "by-controller")
    fleet.peers.faults["mn-2 state", "by-controller"] = [Reply({"state": "disconnected"})]
    responder.alert("by-controller")
    wait_until(
        "a refusal",
        lambda: (
            responder.at("by-controller", "reason") == "the host is disconnected: mn-2 says"
            " disconnected"
        ),
    )
    assert responder.at("by-controller", "outcome") == "host_not_connected"
    wait_until("the word to be seen", lambda: responder.state("by-controller") == "disconnected")
    fleet.peers.faults.pop(("mn-2 state", "by-controller"))
    is_back_in_service(fleet, responder, "by-controller")


def test_force_goes_past_a_controller_that_cannot_say_a_state(
    fleet: Fleet, responder: Responder
) -> None:
    fleet.peers.faults["mn-3 state", "cannot-say"] = [Reply(status=500)]
    responder.alert("cannot-say")
    assert responder.finished("cannot-say")["outcome"] == "controller_unreachable"
    restart = {"host": "cannot-say", "agent": "cannot-say", "force": True}
    post(f"{responder.url}/api/v1/restarts", restart)
    wait_until("a restart", lambda: responder.at("cannot-say", "outcome") == "restarted")
    past = responder.at("cannot-say", "facts")["verify"]["gone_past"]
    assert [one["outcome"] for one in past] == ["controller_unreachable"]
    assert past[0]["reason"].startswith("mn-3: ")


def test_a_host_whose_pings_fail_is_not_restarted(fleet: Fleet, responder: Responder) -> None:
    host = "pinged-in-vain"
    fleet.peers.failing_pings.add(host)
    wait_until("the state to follow", lambda: responder.state(host) == "disconnected")
    listed = responder.get(f"/api/v1/hosts/{host}")
    assert listed["state_reason"] == "its pings fail: their alert fires, unmuted"
    post(f"{responder.url}/api/v1/restarts", {"host": host, "agent": host, "force": True})
    refused = responder.finished(host)
    assert refused["outcome"] == "host_not_connected"
    assert refused["reason"].startswith("the host is disconnected: its pings fail")
    marker = fleet.mark_busy(host)
    responder.tell(busy(host))
    wait_until("a mute", lambda: responder.get(f"/api/v1/hosts/{host}/mute")["muted"])
    assert responder.state(host) == "connected"
    marker.unlink()
    fleet.peers.failing_pings.discard(host)
    is_back_in_service(fleet, responder, host)


def test_a_reconnect_that_restarts_the_agent_each_time_is_left_to_a_person(
    fleet: Fleet, responder: Responder
) -> None:
    host = "restarted-by-reconnects"
    again = fleet.filled_in("{service} restart", host)
    fleet.peers.faults["mn-1 reconnect", host] = [
        # Starts less than a second apart count as one life: a clock may have been adjusted between.
        Reply(status=502, delay=1.2),
        Reply(status=502, at_once=again),
    ]
    responder.alert(host)
    assert responder.finished(host)["outcome"] == "reconnect_failed"

    def is_left_to_a_person() -> bool:
        reason = responder.get(f"/api/v1/hosts/{host}")["state_reason"] or ""
        return "until a person reconnects the host" in reason

    wait_until("a person to be wanted", is_left_to_a_person, seen=responder.program.log_end)
    assert responder.state(host) == "disconnected"
    assert responder.get(f"/api/v1/hosts/{host}")["next_reconnect_at"] is None
    assert "until a person reconnects the host" in str(get(f"{responder.url}/hosts/{host}"))
    assert "until a person reconnects" in responder.program.log.read_text(encoding="utf-8")
    asked = [by for by, body in fleet.peers.reconnects if body["host"] == host and by == "mn-1"]
    assert len(asked) == 1 + 2  # the restart's own, and two in a row
    assert fleet.starts(host) == 2 + 2

    fleet.peers.faults["mn-1 reconnect", host] = [Reply(at_once=again)]
    reconnected = post(f"{responder.url}/api/v1/hosts/{host}/reconnect", timeout_seconds=120)
    assert reconnected["state"] == "connected"
    assert fleet.starts(host) == 2 + 3
