"""Alertmanager is down, slow, forgetful, or its answers are lost: one silence, none left behind."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from demo.stack.processes import wait_until
from tests.contract.adapters.peer import Raw, Reply
from tests.integration.adapters import neighbours
from tests.integration.adapters.neighbours import Alertmanager
from tests.integration.mutes.nodes import GIB
from tests.integration.mutes.site import ALERTMANAGER_CONFIG, QUICK, Json, Site
from tests.support.stacks import ONE_AGE

pytestmark = pytest.mark.integration

INTERVAL_SECONDS = 1.0
FAILURES = 'memleash_responder_failures_total{part="synchronize_mutes"}'


@pytest.fixture
def down(site: Site) -> Iterator[Alertmanager]:
    """Alertmanager has gone; it is back after the test at the latest."""
    site.alertmanager.stop()
    yield site.alertmanager
    if not site.alertmanager.program.running():
        site.alertmanager.start()


def _failures(site: Site) -> float:
    metrics = requests.get(f"{site.responder.url}/metrics", timeout=60).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in metrics if line.startswith(FAILURES))


def _by_someone(host: str, author: str = "ops@example.org") -> dict[str, Any]:
    now = datetime.now(UTC)
    matchers = {"alertname": "HostPingFailed", "host": host}
    return {
        "matchers": [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in matchers.items()
        ],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=5)).isoformat(),
        "createdBy": author,
        "comment": "by hand",
    }


def _post(site: Site, silence: dict[str, Any]) -> str:
    url = f"{site.alertmanager.url}/api/v2/silences"
    return str(requests.post(url, json=silence, timeout=60).json()["silenceID"])


def _state(site: Site, silence_id: str) -> str:
    url = f"{site.alertmanager.url}/api/v2/silence/{silence_id}"
    return str(requests.get(url, timeout=60).json()["status"]["state"])


@ONE_AGE
def test_a_mute_that_could_not_be_told_is_tried_with_growing_waits_until_it_is(
    site: Site, down: Alertmanager
) -> None:
    node = site.add(busy=1)
    site.tell(node)
    wait_until("the mute", lambda: site.mute(node)["muted"])
    targets = site.responder.get("/api/v1/sd/ping-targets")
    assert node.name not in [one["labels"]["host"] for one in targets], "pings need no Alertmanager"
    failed = [_next_failure(site) for _ in range(3)]
    waits = [after - one for one, after in itertools.pairwise(failed)]
    assert waits[-1] > 2 * INTERVAL_SECONDS, waits
    down.start()
    site.one_silence(node)
    assert len(site.silences(node, "active", "expired")) == 1


def _next_failure(site: Site) -> float:
    """Return when the next try fails, of time.monotonic."""
    before = _failures(site)
    wait_until("a try that fails", lambda: _failures(site) > before)
    return time.monotonic()


@ONE_AGE
def test_a_mute_that_ended_while_alertmanager_was_down_leaves_no_silence(site: Site) -> None:
    node = site.add()
    site.gets_busy(node)
    _stop_politely(site.alertmanager)
    node.busy = 0
    site.tell(node, "resolved")
    wait_until("the end of the mute", lambda: not site.mute(node)["muted"])
    site.alertmanager.start()
    site.no_silence(node)


def _stop_politely(alertmanager: Alertmanager) -> None:
    """Have it write its silences and end."""
    alertmanager.program.stop()


def test_an_alertmanager_that_forgot_everything_is_told_anew(site: Site) -> None:
    node = site.add()
    first = site.gets_busy(node)
    site.alertmanager.stop(forget=True)
    site.alertmanager.start()
    again = site.one_silence(node)
    assert again["id"] != first["id"]
    assert len(site.silences(node, "active", "expired")) == 1


SPOILT = {
    "cut": Raw(),
    "500": Reply(500, b"oops"),
    "no answer in time": Raw(hang=True),
}


@ONE_AGE
@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT.keys())
def test_a_silence_that_was_made_and_not_heard_of_is_not_made_twice(
    site: Site, spoilt: Reply | Raw
) -> None:
    node = site.add()
    site.proxy.spoilt = [spoilt]
    silence = site.gets_busy(node)
    wait_until("it is spoilt", lambda: not site.proxy.spoilt)
    node.resident_bytes = 4 * GIB
    wait_until("a renewal", lambda: site.one_silence(node)["endsAt"] > silence["endsAt"])
    assert [one["id"] for one in site.silences(node, "active", "expired")] == [silence["id"]]


def test_two_silences_of_ours_become_one(site: Site) -> None:
    node = site.add()
    silence = site.gets_busy(node)
    other = _post(site, _by_someone(node.name, "memleash"))
    wait_until("one silence", lambda: len(site.silences(node)) == 1)
    kept, dropped = sorted((silence["id"], other), key=lambda one: _state(site, one))
    assert (_state(site, kept), _state(site, dropped)) == ("active", "expired")


def test_silences_of_people_are_left_alone(site: Site) -> None:
    node = site.add()
    by_hand = _post(site, _by_someone(node.name))
    site.gets_busy(node)
    assert site.unmute(node) == 204
    site.no_silence(node)
    assert _state(site, by_hand) == "active"


def _edited(site: Site, silence: Json, **changes: Any) -> str:
    """Edit a silence as Alertmanager's own page does: everything but the changes stays."""
    return _post(site, {**{name: silence[name] for name in _EDITABLE}, **changes})


_EDITABLE = ("id", "matchers", "startsAt", "endsAt", "createdBy", "comment")


def _matcher(name: str, value: str, **kind: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "isRegex": False, "isEqual": True, **kind}


@pytest.mark.parametrize(
    "edit",
    [
        lambda _: {"matchers": [_matcher("alertname", ".+", isRegex=True)]},
        lambda _: {"matchers": [_matcher("host", "node-.*", isRegex=True)]},
        lambda host: {"matchers": [_matcher("host", host, isEqual=False)]},
        lambda host: {"matchers": [_matcher("host", host)]},
        lambda host: {
            "matchers": [
                _matcher("host", host),
                _matcher("alertname", "HostPingFailed"),
                _matcher("severity", "critical"),
            ]
        },
        lambda _: {"startsAt": (datetime.now(UTC) + timedelta(minutes=4)).isoformat()},
    ],
    ids=["every alert", "every host", "every other host", "the host", "fewer pings", "later"],
)
def test_a_silence_of_ours_that_somebody_edited_is_put_right_and_it_is_said(
    site: Site, edit: Callable[[str], dict[str, Any]]
) -> None:
    """Seen: one that was widened to every alert stayed, since it named no host any more."""
    node = site.add()
    silence = site.gets_busy(node)
    before = site.responder.metric("memleash_responder_silences_corrected_total")
    edited = _edited(site, silence, **edit(node.name))

    def is_right() -> bool:
        live = site.silences(None, "active", "pending")
        written = {"host": node.name, "alertname": "HostPingFailed"}
        return _state(site, edited) == "expired" and [
            {one["name"]: one["value"] for one in silence["matchers"]} for silence in live
        ] == [written]

    wait_until("the one right silence", is_right, seen=lambda: site.silences(None))
    assert site.responder.metric("memleash_responder_silences_corrected_total") == before + 1
    assert edited in site.responder.program.log.read_text(encoding="utf-8")


@ONE_AGE
def test_an_alertmanager_that_hangs_does_not_hold_up_the_renewals(site: Site) -> None:
    node = site.add()
    site.gets_busy(node)
    site.proxy.hangs = True
    asked = site.proxy.asked("GET")
    wait_until("it to hang", lambda: site.proxy.asked("GET") > asked)
    changes: list[float] = []
    deadlines = {site.until(node)}
    node.resident_bytes += 4 * GIB

    def look() -> bool:
        until = site.until(node)
        if until not in deadlines:
            deadlines.add(until)
            changes.append(time.monotonic())
            node.resident_bytes += 4 * GIB
        return len(changes) >= 6

    wait_until("six renewals", look, seen=lambda: changes)
    gaps = [later - one for one, later in itertools.pairwise(changes)]
    assert sorted(gaps)[len(gaps) // 2] < 8, "one that hangs would cost 10 s each time"


@ONE_AGE
def test_a_host_that_leaves_the_inventory_leaves_no_silence(site: Site) -> None:
    leaves, stays = site.add(), site.add()
    site.gets_busy(leaves)
    kept = site.gets_busy(stays)
    del site.nodes[leaves.name]
    site.write_inventory()
    site.no_silence(leaves)

    def listed() -> list[str]:
        return [one["host"] for one in site.responder.get("/api/v1/mutes")["mutes"]]

    wait_until("it to be listed no more", lambda: leaves.name not in listed(), seen=listed)
    assert stays.name in listed()
    assert site.one_silence(stays)["id"] == kept["id"]


def test_a_silence_of_another_memleashs_host_is_left_alone(site: Site) -> None:
    theirs = _post(site, _by_someone("a-host-of-another-zone", "memleash"))
    site.gets_busy(site.add())
    assert _state(site, theirs) == "active"
    requests.delete(f"{site.alertmanager.url}/api/v2/silence/{theirs}", timeout=60)


def test_other_matchers_in_the_configuration_replace_the_silence(site: Site) -> None:
    node = site.add()
    first = site.gets_busy(node)
    site.use({**QUICK, "matchers": ['alertname="HostPingFailed"', 'job="ping"']})

    def is_replaced() -> bool:
        ids = [one["id"] for one in site.silences(node)]  # for a moment both are there
        return len(ids) == 1 and ids != [first["id"]]

    wait_until("the new silence", is_replaced)
    assert _state(site, first["id"]) == "expired"


def test_a_cluster_with_one_down_has_one_silence_and_none_in_the_end(
    site: Site, age: str, tmp_path: Any
) -> None:
    second = neighbours.alertmanager(site.cleanup, tmp_path / "second", age, ALERTMANAGER_CONFIG)
    first = neighbours.alertmanager(site.cleanup, tmp_path / "first", age, ALERTMANAGER_CONFIG)
    first.peer_port, second.peer_port = second.cluster_port, first.cluster_port
    first.start()
    second.start()
    wait_until("a cluster", lambda: _peers(first) == _peers(second) == 2)
    alone = site.config["alertmanager"]
    _use_alertmanagers(site, {**alone, "urls": [first.url, second.url]})
    try:
        node = site.add(busy=1)
        site.tell(node)
        (silence_id,) = wait_until("the silence in both", lambda: _both(first, second, "active"))
        first.stop()
        end = _ends(second)[silence_id]
        node.resident_bytes = 4 * GIB
        wait_until("a renewal at the other", lambda: _ends(second)[silence_id] > end)
        first.start()
        site.unmute(node)
        wait_until(
            "its end in both",
            lambda: _both(first, second, "expired"),
            seen=lambda: (_states(first), _states(second)),
        )
        assert _states(first) == _states(second) == {silence_id: "expired"}
    finally:
        _use_alertmanagers(site, alone)
        first.stop()
        second.stop()


def _use_alertmanagers(site: Site, settings: dict[str, Any]) -> None:
    mute = site.config["mute"]
    site.config.update(alertmanager=settings, mute=None)
    site.use(mute)


def _peers(alertmanager: Alertmanager) -> int:
    status = requests.get(f"{alertmanager.url}/api/v2/status", timeout=60).json()
    return len(status["cluster"]["peers"])


def _listed(alertmanager: Alertmanager) -> Json:
    return json.loads(requests.get(f"{alertmanager.url}/api/v2/silences", timeout=60).text)


def _states(alertmanager: Alertmanager) -> dict[str, str]:
    return {one["id"]: one["status"]["state"] for one in _listed(alertmanager)}


def _ends(alertmanager: Alertmanager) -> dict[str, str]:
    return {one["id"]: one["endsAt"] for one in _listed(alertmanager)}


def _both(first: Alertmanager, second: Alertmanager, state: str) -> set[str] | None:
    """Return the one silence that both know, once it is in ``state`` with both."""
    states = _states(first), _states(second)
    alike = states[0] == states[1] and len(states[0]) == 1
    return set(states[0]) if alike and set(states[0].values()) == {state} else None
