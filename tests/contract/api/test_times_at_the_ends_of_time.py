"""An alert of any time, from webhook to page: it is refused with a word, or shown everywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from demo.stack.processes import wait_until
from demo.stack.responder_with_peers import AGENT, Face, World, face

OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda one: timezone(timedelta(minutes=one)))
TIMES = st.datetimes(timezones=OFFSETS).map(lambda when: when.isoformat()) | st.from_regex(
    r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})?\Z"
)
ENDS = [
    ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"),
    ("0000-01-01T00:00:00Z", "2016-12-31T23:59:60Z"),
    ("2016-12-31t23:59:60.999999999z", "2026-01-01T00:00:00"),
]
PAGES = ("/", "/alerts", "/restarts", "/api/v1/alerts", "/api/v1/restarts", "/api/v1/status")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[Face]:
    """Only observed, so that each alert gets its word at once."""
    with face(tmp_path_factory.mktemp("times"), world, mode="observe") as one:
        yield one


def tell(served: Face, number: int, starts_at: str, ends_at: str) -> int:
    labels = {"alertname": "A", "host": "node-1", "agent": AGENT, "remediation": "restart"}
    alert = {"status": "firing", "labels": labels, "startsAt": starts_at, "endsAt": ends_at}
    body = {"version": "4", "alerts": [{**alert, "fingerprint": f"{number:016x}"}]}
    return served.ask("POST", "/api/v1/alertmanager", body).status


def everything_is_handled(served: Face) -> None:
    def handled() -> bool:
        queue = "memleash_responder_queue_length 0.0" in served.ask("GET", "/metrics").text
        return queue and not served.ask("GET", "/api/v1/restarts?outcome=open").json["restarts"]

    wait_until("every alert to have its word", handled, timeout_seconds=60, every_seconds=0.02)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(ENDS)
@given(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=10))
def test_an_alert_of_any_time_is_refused_or_shown_everywhere(
    served: Face, times: list[tuple[str, str]]
) -> None:
    first = time.monotonic_ns()
    statuses = [tell(served, first + at, *pair) for at, pair in enumerate(times)]
    assert set(statuses) <= {202, 400}
    everything_is_handled(served)

    restarts = served.ask("GET", "/api/v1/restarts?limit=20").json["restarts"]
    ours = [f"/restarts/{one['id']}" for one in restarts]
    for path in (*PAGES, *ours, *(f"/api/v1{one}" for one in ours)):
        assert served.ask("GET", path).status == 200, path


def test_the_ends_of_time_are_times_and_are_shown_as_the_ends(served: Face) -> None:
    first = time.monotonic_ns()
    assert [tell(served, first + at, *pair) for at, pair in enumerate(ENDS)] == [202] * len(ENDS)
    everything_is_handled(served)
    told = {
        one["fingerprint"]: one["starts_at"]
        for one in served.ask("GET", "/api/v1/alerts?limit=1000").json["alerts"]
    }
    assert [told[f"{first + at:016x}"] for at in range(len(ENDS))] == [
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1970-01-01T00:00:00Z",
        "2017-01-01T00:00:00.999000Z",
    ]
