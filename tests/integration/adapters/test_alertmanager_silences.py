"""Silences in a real Alertmanager, old and new: never twice, never lost, never someone else's."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.stack.processes import wait_until
from memleash_responder.adapters.alertmanager import AlertmanagerClient, Silence
from memleash_responder.core.matchers import Matcher
from memleash_responder.errors import AlertmanagerError
from memleash_responder.settings import Alertmanager as Settings
from memleash_toolkit.values import Duration
from tests.contract.adapters.peer import Asked, Peer, Raw, Reply
from tests.integration.adapters import neighbours
from tests.integration.adapters.neighbours import Alertmanager

pytestmark = pytest.mark.integration
CONFIG = """\
route:
  receiver: people
  routes:
    - {receiver: 'memleash (a+b)', matchers: ['remediation!=""'], continue: true}
    - {receiver: people}
receivers: [{name: people}, {name: 'memleash (a+b)'}]
"""


@pytest.fixture
def am(stack: contextlib.ExitStack, tmp_path: Path, age: str) -> Alertmanager:
    result = neighbours.alertmanager(stack, tmp_path / "am", age, CONFIG)
    result.start()
    return result


def client(*urls: str, timeout_seconds: float = 5) -> AlertmanagerClient:
    return AlertmanagerClient(Settings(urls=urls, timeout=Duration(timeout_seconds)))


def mute(host: str = "node-1", minutes: float = 5) -> Silence:
    now = datetime.now(UTC)
    return Silence(
        id=None,
        matchers=(Matcher("alertname", "HostPingFailed"), Matcher("host", host)),
        starts_at=now,
        ends_at=now + timedelta(minutes=minutes),
        comment=f"kvm on {host} is busy",
    )


def made(alertmanager: AlertmanagerClient, wanted: Silence | None = None) -> Silence:
    """Create a silence, and return it as it is listed then."""
    silence_id = alertmanager.put(wanted or mute())
    return next(one for one in alertmanager.silences() if one.id == silence_id)


def longer(silence: Silence, minutes: float = 5) -> Silence:
    return dataclasses.replace(silence, ends_at=silence.ends_at + timedelta(minutes=minutes))


def states(am: Alertmanager) -> dict[str, str]:
    """Return every silence's state, by Alertmanager's own word."""
    listed = requests.get(f"{am.url}/api/v2/silences", timeout=60).json()
    return {one["id"]: one["status"]["state"] for one in listed}


def test_a_silence_is_created_and_listed_as_it_was_wanted(am: Alertmanager) -> None:
    wanted = mute()
    silence_id = client(am.url).put(wanted)
    (listed,) = client(am.url).silences()
    assert listed.id == silence_id
    assert set(listed.matchers) == set(wanted.matchers)
    assert (listed.comment, listed.created_by) == (wanted.comment, "memleash")
    assert abs(listed.ends_at - wanted.ends_at) <= timedelta(milliseconds=1)
    assert states(am) == {silence_id: "active"}


@pytest.mark.parametrize(
    "matcher",
    [
        Matcher("host", 'quo"te \\ back\nslash {} é', is_regex=False),
        Matcher("host", "a|b.*", is_regex=True),
        Matcher("host", "a", is_equal=False),
        Matcher("host", "a.*", is_regex=True, is_equal=False),
    ],
    ids=["odd text", "=~", "!=", "!~"],
)
def test_every_kind_of_matcher_comes_back_as_it_went(am: Alertmanager, matcher: Matcher) -> None:
    wanted = dataclasses.replace(mute(), matchers=(Matcher("alertname", "X"), matcher))
    client(am.url).put(wanted)
    (listed,) = client(am.url).silences()
    assert set(listed.matchers) == set(wanted.matchers)


def test_silences_of_people_and_ended_ones_are_not_listed(am: Alertmanager) -> None:
    alertmanager = client(am.url)
    alertmanager.put(dataclasses.replace(mute(), created_by="ops@example.org"))
    ended = alertmanager.put(mute("node-2"))
    alertmanager.expire(ended)
    pending = dataclasses.replace(
        mute("node-3"), starts_at=datetime.now(UTC) + timedelta(minutes=1)
    )
    silence_id = alertmanager.put(pending)
    assert [one.id for one in alertmanager.silences()] == [silence_id]


def test_a_silence_is_renewed_in_place_under_the_same_id(am: Alertmanager) -> None:
    alertmanager = client(am.url)
    silence = made(alertmanager)
    for minutes in (10, 20):
        assert alertmanager.put(longer(silence, minutes)) == silence.id
    (listed,) = alertmanager.silences()
    expected = silence.ends_at + timedelta(minutes=20)
    assert abs(listed.ends_at - expected) <= timedelta(milliseconds=1)
    assert states(am) == {silence.id: "active"}


@pytest.mark.parametrize(
    "changes",
    [
        {"matchers": mute("node-2").matchers},
        {"starts_at": datetime.now(UTC) - timedelta(hours=1)},
    ],
    ids=["other matchers", "another start"],
)
def test_a_silence_that_cannot_be_renewed_in_place_is_replaced(
    am: Alertmanager, changes: dict[str, Any]
) -> None:
    alertmanager = client(am.url)
    old = made(alertmanager)
    new = alertmanager.put(dataclasses.replace(longer(old), **changes))
    assert states(am) == {old.id: "expired", new: "active"}


def test_an_unknown_id_is_created_anew(am: Alertmanager) -> None:
    silence_id = client(am.url).put(dataclasses.replace(mute(), id=str(uuid.uuid4())))
    assert states(am) == {silence_id: "active"}


def test_an_expired_id_is_created_anew(am: Alertmanager) -> None:
    alertmanager = client(am.url)
    old = made(alertmanager)
    alertmanager.expire(old.id or "")
    new = alertmanager.put(longer(old))
    assert states(am) == {old.id: "expired", new: "active"}


def test_an_alertmanager_that_forgot_everything_gets_it_anew(am: Alertmanager) -> None:
    alertmanager = client(am.url)
    old = made(alertmanager)
    am.stop(forget=True)
    with pytest.raises(AlertmanagerError, match="no Alertmanager took it"):
        alertmanager.put(longer(old))
    am.start()
    new = alertmanager.put(longer(old))
    assert states(am) == {new: "active"}


def test_a_silence_survives_a_restart_and_is_renewed_in_place(am: Alertmanager) -> None:
    alertmanager = client(am.url)
    silence = made(alertmanager)
    am.program.stop()  # it writes its silences when it is asked to end
    am.start()
    assert alertmanager.put(longer(silence)) == silence.id


def test_expiring_is_fine_once_twice_and_for_what_never_was(am: Alertmanager) -> None:
    alertmanager = client(am.url)
    silence_id = alertmanager.put(mute())
    for gone in (silence_id, silence_id, str(uuid.uuid4())):
        alertmanager.expire(gone)
    assert states(am) == {silence_id: "expired"}


def test_what_alertmanager_refuses_is_said_with_its_words_and_posted_once(
    am: Alertmanager, proxy: Proxy
) -> None:
    with pytest.raises(AlertmanagerError, match=r"answered 400: .*start time must be before end"):
        client(proxy.url).put(mute(minutes=-1))
    assert proxy.posts() == 1


class Proxy:
    """Stands before an Alertmanager and spoils the answers to what it did."""

    def __init__(self, peer: Peer, am: Alertmanager) -> None:
        self._peer = peer
        self._am = am
        self.url = peer.url
        self.spoilt: list[Reply | Raw] = []
        """What the next POSTs and DELETEs are answered, after they were passed on."""
        peer.answer = self._answer

    def posts(self) -> int:
        return sum(one.method == "POST" for one in self._peer.asked)

    def _answer(self, asked: Asked) -> Reply | Raw:
        real = requests.request(
            asked.method,
            self._am.url + asked.path,
            data=asked.body,
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        if asked.method != "GET" and self.spoilt:
            return self.spoilt.pop(0)
        return Reply(real.status_code, real.content)


@pytest.fixture
def proxy(am: Alertmanager) -> Iterator[Proxy]:
    with Peer().running() as peer:
        yield Proxy(peer, am)


SPOILT = {
    "cut": Raw(),
    "cut in the body": Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
    "500": Reply(500, b"oops"),
    "timeout": Raw(hang=True),
    "no id in it": Reply(200, b"{}"),
}


@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT.keys())
def test_a_post_whose_answer_is_lost_makes_one_silence(
    am: Alertmanager, proxy: Proxy, spoilt: Reply | Raw
) -> None:
    proxy.spoilt = [spoilt]
    silence_id = client(proxy.url, timeout_seconds=1).put(mute())
    assert states(am) == {silence_id: "active"}
    assert proxy.posts() == 1


@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT.keys())
def test_a_renewal_whose_answer_is_lost_is_found_in_place(
    am: Alertmanager, proxy: Proxy, spoilt: Reply | Raw
) -> None:
    silence = made(client(am.url))
    proxy.spoilt = [spoilt]
    assert client(proxy.url, timeout_seconds=1).put(longer(silence)) == silence.id
    assert states(am) == {silence.id: "active"}
    assert proxy.posts() == 1


def test_a_post_that_was_not_heard_is_posted_again(am: Alertmanager) -> None:
    answers: list[Reply | Raw] = [Raw()]
    with Peer().running() as peer:
        proxy = Proxy(peer, am)
        passed_on = peer.answer
        peer.answer = lambda asked: (
            answers.pop() if asked.method == "POST" and answers else passed_on(asked)
        )
        silence_id = client(proxy.url).put(mute())
    assert states(am) == {silence_id: "active"}
    assert proxy.posts() == 2


@pytest.mark.parametrize("spoilt", [Raw(), Reply(500, b"oops")], ids=["cut", "500"])
def test_an_expiry_whose_answer_is_lost_is_done(
    am: Alertmanager, proxy: Proxy, spoilt: Reply | Raw
) -> None:
    silence_id = client(am.url).put(mute())
    proxy.spoilt = [spoilt]
    with contextlib.suppress(AlertmanagerError):
        client(proxy.url).expire(silence_id)
    assert states(am) == {silence_id: "expired"}


@pytest.fixture
def cluster(
    stack: contextlib.ExitStack, tmp_path: Path, age: str
) -> tuple[Alertmanager, Alertmanager]:
    first = neighbours.alertmanager(stack, tmp_path / "first", age, CONFIG)
    second = neighbours.alertmanager(stack, tmp_path / "second", age, CONFIG)
    first.peer_port, second.peer_port = second.cluster_port, first.cluster_port
    first.start()
    second.start()
    wait_until("the two find each other", lambda: peers(first) == peers(second) == 2)
    return first, second


def peers(am: Alertmanager) -> int:
    status = requests.get(f"{am.url}/api/v2/status", timeout=60).json()
    return len(status["cluster"]["peers"])


def test_a_cluster_is_told_once_and_goes_on_when_one_is_down(
    cluster: tuple[Alertmanager, Alertmanager],
) -> None:
    first, second = cluster
    alertmanager = client(first.url, second.url)
    silence = made(alertmanager)
    silence_id = silence.id or ""
    wait_until("the second hears of it", lambda: states(second) == {silence_id: "active"})
    first.stop()
    assert alertmanager.put(longer(silence)) == silence_id
    first.start()
    ends = longer(silence).ends_at.isoformat()[:19]
    wait_until("the first hears of the renewal", lambda: ends in raw_silences(first))
    assert states(first) == states(second) == {silence_id: "active"}
    alertmanager.expire(silence_id)
    wait_until("both end it", lambda: states(first) == states(second) == {silence_id: "expired"})


def raw_silences(am: Alertmanager) -> str:
    return requests.get(f"{am.url}/api/v2/silences", timeout=60).text


def test_an_answer_lost_with_its_peer_is_found_at_the_other(
    cluster: tuple[Alertmanager, Alertmanager],
) -> None:
    first, second = cluster
    with Peer().running() as peer:
        proxy = Proxy(peer, first)
        pass_on = peer.answer

        def dies_after_the_post(asked: Asked) -> Reply | Raw:
            pass_on(asked)
            if asked.method == "POST":
                wait_until("the second hears of it", lambda: len(states(second)) == 1)
                first.stop()
            return Raw()

        peer.answer = dies_after_the_post
        silence_id = client(proxy.url, second.url).put(mute())
    assert states(second) == {silence_id: "active"}


def test_a_peer_that_is_black_holed_costs_its_timeout_and_no_more(
    am: Alertmanager, silent_port: int
) -> None:
    alertmanager = client(f"http://127.0.0.1:{silent_port}", am.url, timeout_seconds=0.5)
    silence_id = alertmanager.put(mute())
    assert [one.id for one in alertmanager.silences()] == [silence_id]


def test_with_every_peer_down_each_is_named(refusing_port: int) -> None:
    url = f"http://127.0.0.1:{refusing_port}"
    for call in (
        lambda: client(url).silences(),
        lambda: client(url).put(mute()),
        lambda: client(url).expire("x"),
        lambda: client(url).alerts(),
    ):
        with pytest.raises(AlertmanagerError, match=f"no Alertmanager took it: .*{url}"):
            call()


def post_alerts(am: Alertmanager, *labels: dict[str, str]) -> None:
    body = [{"labels": one} for one in labels]
    requests.post(f"{am.url}/api/v2/alerts", json=body, timeout=60).raise_for_status()
    there = f"{am.url}/api/v2/alerts"
    wait_until(
        "the alerts are there", lambda: len(requests.get(there, timeout=60).json()) == len(body)
    )


@pytest.fixture
def hosts_of(am: Alertmanager) -> Callable[..., set[str]]:
    """The hosts of the alerts that a question brings."""
    odd = 'a"b\\c\nd'
    common = {"alertname": "AgentMemoryHardLimitExceeded", "remediation": "restart"}
    post_alerts(
        am,
        {**common, "host": "node-1", "zone": odd},
        {**common, "host": "node-2", "zone": "z2"},
        {"alertname": "HostPingFailed", "host": "node-3", "zone": odd},
    )

    def hosts(receiver: str | None = None, **labels: str) -> set[str]:
        alerts = client(am.url).alerts(receiver=receiver, labels=labels)
        return {one["labels"]["host"] for one in alerts}

    return hosts


def test_alerts_are_those_of_a_receiver_with_a_groups_labels(
    hosts_of: Callable[..., set[str]],
) -> None:
    assert hosts_of() == {"node-1", "node-2", "node-3"}
    assert hosts_of("memleash (a+b)") == {"node-1", "node-2"}
    assert hosts_of("memleash") == set()
    assert hosts_of("memleash (a+b)", zone='a"b\\c\nd') == {"node-1"}
    assert hosts_of(alertname="HostPingFailed", zone='a"b\\c\nd') == {"node-3"}


def test_silenced_alerts_are_left_out_as_from_notifications(
    am: Alertmanager, hosts_of: Callable[..., set[str]]
) -> None:
    client(am.url).put(mute("node-3"))
    wait_until("the silence takes effect", lambda: hosts_of() == {"node-1", "node-2"})
