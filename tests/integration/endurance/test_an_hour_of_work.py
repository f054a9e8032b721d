"""An hour of mixed work in a minute: one process, and it does not grow.

One notification a second, a scrape every 15 s, a page and a look at a host every 10 s: as many
of each as an hour has, as fast as they are answered.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.stack.ports import reserve_ports
from demo.stack.processes import wait_until
from demo.stack.responder import (
    AGENT,
    HOST,
    Responder,
    alert,
    lonely,
    notification,
    responder,
)
from memleash_responder.process import WEB_THREADS
from memleash_responder.usecases import slow_work
from tests.support.usage import usage

pytestmark = [pytest.mark.integration, pytest.mark.executed]

SECONDS = 3600
PAYLOADS = 10_000
AT_ONCE = 20
POOLS = WEB_THREADS + slow_work.THREADS
"""A slow moment fills pools that had not all their threads. A thread that each piece of work left
behind would be hundreds."""


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Responder]:
    with reserve_ports() as ports:
        config = lonely(tmp_path, f"sqlite:///{tmp_path / 'responder.db'}")
        config["retention"] = {"restarts": 100, "alerts": 500}
        made = responder(tmp_path, ports[0], config)
        made.program.start()
        yield made
        made.program.stop()


class Client:
    """One kept connection to a responder."""

    def __init__(self, one: Responder) -> None:
        self._address = one.url.removeprefix("http://")
        self._connection = HTTPConnection(self._address, timeout=60)

    def close(self) -> None:
        self._connection.close()

    def __call__(self, method: str, path: str, body: bytes | None = None) -> int:
        headers = {"Content-Type": "application/json"} if body else {}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def work(ask: Client, seconds: range) -> None:
    """Do what comes in these seconds of an hour."""
    kinds = itertools.cycle(
        [
            alert(1, host="unknown"),
            alert(2),
            alert(2, status="resolved"),
            alert(3, alertname="AgentBusy", remediation="mute"),
            alert(4, alertname="HostPingFailed", remediation=""),
        ]
    )
    for second in seconds:
        told = next(kinds) | {"fingerprint": f"{second % 600:x}"}
        assert ask("POST", "/api/v1/alertmanager", notification(told)) == 202
        if second % 15 == 0:
            assert ask("GET", "/metrics") == 200
        if second % 10 == 0:
            assert ask("GET", "/") == 200
            assert ask("GET", f"/api/v1/hosts/{HOST}/mute") == 200
            assert ask("GET", "/api/v1/restarts") == 200
        if second % 300 == 0:
            assert ask("GET", f"/api/v1/hosts/{HOST}/agents/{AGENT}/explain") == 200


def is_handled(one: Responder) -> None:
    wait_until(
        "every notification to be handled",
        lambda: one.metric("memleash_responder_queue_length") == 0,
    )


def test_an_hour_of_mixed_work_does_not_let_the_responder_grow(one: Responder) -> None:
    ask = Client(one)
    work(ask, range(SECONDS // 3))
    is_handled(one)
    before = usage(one.program.pid)
    work(ask, range(SECONDS // 3, SECONDS))
    is_handled(one)
    after = usage(one.program.pid)
    ask.close()
    assert after.has_not_grown(since=before, new_threads=POOLS), (before, after)


TEXTS = st.text(max_size=30) | st.sampled_from(["$(reboot)", "`id`", "a\nb", '"', HOST, AGENT])
LABELS = st.dictionaries(
    st.sampled_from(["alertname", "host", "agent", "remediation", "severity"]) | TEXTS,
    TEXTS | st.integers() | st.none(),
    max_size=5,
)
ALERTS = st.fixed_dictionaries(
    {
        "labels": LABELS,
        "status": st.sampled_from(["firing", "resolved", "odd"]),
        "startsAt": st.sampled_from(["2026-11-22T00:00:00Z", "yesterday", ""]),
    },
    optional={"fingerprint": TEXTS, "endsAt": TEXTS, "annotations": LABELS},
)
BODIES = (
    st.fixed_dictionaries(
        {"alerts": st.lists(ALERTS, max_size=4)},
        optional={"version": TEXTS | st.just("4"), "truncatedAlerts": st.integers(max_value=0)},
    ).map(lambda payload: json.dumps(payload).encode())
    | st.binary(max_size=60)
    | st.recursive(st.none() | TEXTS | st.floats(), lambda below: st.lists(below, max_size=3)).map(
        lambda tree: json.dumps(tree).encode()
    )
)


def test_ten_thousand_made_up_payloads_cause_no_error_no_action_and_no_growth(
    one: Responder, tmp_path: Path
) -> None:
    ask = Client(one)
    answers: dict[int, int] = {}

    @settings(
        max_examples=PAYLOADS // AT_ONCE,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(BODIES, min_size=AT_ONCE, max_size=AT_ONCE))
    def deliver(bodies: list[bytes]) -> None:
        for body in bodies:
            status = ask("POST", "/api/v1/alertmanager", body)
            answers[status] = answers.get(status, 0) + 1
            assert status in (202, 400)

    work(ask, range(300))
    is_handled(one)
    before = usage(one.program.pid)
    deliver()
    is_handled(one)
    after = usage(one.program.pid)
    ask.close()
    assert sum(answers.values()) >= PAYLOADS
    assert min(answers.get(202, 0), answers.get(400, 0)) > PAYLOADS / 50  # both kinds were met
    assert after.has_not_grown(since=before, new_threads=POOLS), (before, after)
    with closing(sqlite3.connect(tmp_path / "responder.db")) as connection:
        query = "SELECT count(*) FROM memleash_restarts WHERE command_sent_at IS NOT NULL"
        assert connection.execute(query).fetchone() == (0,)
