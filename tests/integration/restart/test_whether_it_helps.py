"""An agent that leaks faster after each restart: what people are told, and where it ends.

One running responder is asked in every way there is, after an agent was restarted until that was
seen to help less and less. The times are those of real commands, and of alerts that say when the
limit was passed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median

import pytest

from demo.stack.http import Json, get
from demo.stack.loopback_hosts import OVER_MIB, PATIENT, QUICK, Fleet, Member, running
from demo.stack.processes import wait_until
from demo.stack.responder import Responder, over_limit
from memleash_toolkit.units import format_duration
from tests.support.memleashctl import memleashctl

pytestmark = pytest.mark.integration

LEAKS, WATCHED = "leaks-faster", "only-watched"
A_LITTLE_SECONDS = 0.2
FIRST_TIMES = 10
"""How many times as much the first restart buys as one after which the limit is passed at once: a
slow machine makes both longer."""
MEMBERS = [
    Member(LEAKS, settings={"guards": {**QUICK, "cooldown": "0s", "max_restarts": 99}}),
    Member(WATCHED, settings={"mode": "observe"}),
]


@dataclass(frozen=True)
class Told:
    """All that was done."""

    fleet: Fleet
    responder: Responder
    requests: list[Json]
    """Those of the agent that leaks: restarts, and one that met the quarantine."""

    @property
    def bought(self) -> list[float]:
        """How many seconds each restart bought: from its command until the next alert began."""
        return [
            moment(after, "alert_started_at") - moment(restart, "command_sent_at")
            for restart, after in pairwise(self.requests)
        ]

    @property
    def why(self) -> str:
        """Why the agent is quarantined. The last time that was bought became known only later."""
        first, *three = [
            format_duration(round(one)) for one in (self.bought[0], *self.bought[-4:-1])
        ]
        return f"restarts help less and less: one bought {first}, the last three {', '.join(three)}"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("helps") / "fleet"
    with running(folder, MEMBERS, patience=PATIENT) as fleet, fleet.responder("helps") as responder:
        fleet.start_agents(fleet.members)
        responder.start()
        passes_its_limit(fleet, responder, WATCHED, time.time())
        yield Told(fleet, responder, restarted_until_refused(fleet, responder))


def restarted_until_refused(fleet: Fleet, responder: Responder) -> list[Json]:
    """Have the agent pass its limit soon after each restart but the first; return its requests.

    A restart that the machine was slow with buys more, so as many follow as it takes.
    """
    requests = [passes_its_limit(fleet, responder, LEAKS, time.time())]
    sent = moment(requests[0], "command_sent_at")
    much = FIRST_TIMES * (just_after(requests[0]) - sent)
    wait_until("the first to have bought much", lambda: time.time() > sent + much)
    requests.append(passes_its_limit(fleet, responder, LEAKS, time.time()))
    while requests[-1]["outcome"] == "restarted" and len(requests) < 20:
        requests.append(passes_its_limit(fleet, responder, LEAKS, just_after(requests[-1])))
    return requests


def just_after(request: Json) -> float:
    """Return a moment at which the process that a restart made has just started."""
    new_life: float = request["facts"]["new_life"]
    return max(moment(request, "command_sent_at"), new_life) + A_LITTLE_SECONDS


def passes_its_limit(fleet: Fleet, responder: Responder, host: str, began: float) -> Json:
    """Have an agent over its limit and tell the alert; return the request once it has its word."""
    before = responder.at(host, "id")
    fleet.agent_does(host, "grow", to_mib=OVER_MIB)
    starts_at = datetime.fromtimestamp(began, UTC).isoformat()
    responder.alert_of(over_limit(host) | {"startsAt": starts_at})

    def look() -> Json:
        request = responder.request(host)
        is_new = request and request["id"] != before
        return request if is_new and request["outcome"] else None

    return wait_until("the alert's request to end", look, seen=responder.program.log_end)


def moment(request: Json, name: str) -> float:
    return datetime.fromisoformat(request[name]).timestamp()


def test_the_agent_is_restarted_until_its_quarantine_refuses(told: Told) -> None:
    *restarts, refused = told.requests
    assert {one["outcome"] for one in restarts} == {"restarted"}
    assert len(restarts) >= 5, "the first, three that bought less, and one that ended the third"
    assert refused["outcome"] == "quarantined"
    assert told.fleet.starts(LEAKS) == 1 + len(restarts)


def test_the_quarantine_and_its_reason_are_told_everywhere(told: Told) -> None:
    responder = told.responder
    (listed,) = responder.get("/api/v1/quarantine")["quarantine"]
    assert (listed["host"], listed["agent"], listed["reason"]) == (LEAKS, LEAKS, told.why)
    agent = responder.get(f"/api/v1/hosts/{LEAKS}")["agents"][LEAKS]
    assert (agent["quarantined"], agent["verdict"]) == (told.why, "quarantined")
    assert f"<strong>In quarantine</strong>: {told.why}." in page(told)
    (line,) = responder.samples("memleash_responder_quarantined")
    assert f'host="{LEAKS}"' in line
    assert told.why in memleashctl("--url", responder.url, "quarantine").out


def test_the_time_bought_is_in_api_metrics_and_on_the_page(told: Told) -> None:
    agent = told.responder.get(f"/api/v1/hosts/{LEAKS}")["agents"][LEAKS]
    assert agent["times_bought_seconds"] == pytest.approx(told.bought, abs=0.001)
    (line,) = told.responder.samples("memleash_responder_restart_time_bought_seconds")
    assert f'agent="{LEAKS}",host="{LEAKS}"' in line
    assert float(line.split()[-1]) == pytest.approx(told.bought[-1], abs=0.001)
    said = ", then ".join(format_duration(int(one)) for one in told.bought[-5:])
    assert f"Its restarts bought it {said} below its limit." in page(told)


def test_the_summary_has_what_was_done_what_would_have_been_and_the_time_bought(told: Told) -> None:
    summary = told.responder.get("/api/v1/summary")
    (bought,) = summary["bought"]
    assert (bought["agent"], bought["restarts"]) == (LEAKS, len(told.bought))
    seconds = [bought[f"{which}_seconds"] for which in ("shortest", "median", "longest")]
    assert seconds == pytest.approx(shortest_median_longest(told), abs=0.001)
    assert summary["total"] == len(told.requests) + 1


def test_memleashctl_prints_the_summary_as_tables(told: Told) -> None:
    first, *rest = memleashctl("--url", told.responder.url, "summary").out.splitlines()
    assert first.startswith(f"{len(told.requests) + 1} requests since 2")
    restarts, times = len(told.bought), map(round, shortest_median_longest(told))
    assert [" ".join(line.split()) for line in rest] == [
        "AGENT OUTCOME REQUESTS HOSTS",
        f"{LEAKS} quarantined 1 1",
        f"{LEAKS} restarted {restarts} 1",
        f"{WATCHED} observe_mode 1 1",
        "",
        "In observe mode, which does nothing, these would have been:",
        "AGENT OUTCOME REQUESTS HOSTS",
        f"{WATCHED} restarted 1 1",
        "",
        "Restarts kept agents below their limits for:",
        "AGENT RESTARTS SHORTEST MEDIAN LONGEST",
        f"{LEAKS} {restarts} {' '.join(map(format_duration, times))}",
    ]


def shortest_median_longest(told: Told) -> list[float]:
    return [min(told.bought), median(told.bought), max(told.bought)]


def page(told: Told) -> str:
    return str(get(f"{told.responder.url}/hosts/{LEAKS}", timeout_seconds=60))
