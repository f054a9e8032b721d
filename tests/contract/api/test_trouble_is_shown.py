"""What needs a person, on the page and in the API: a lost host, a quarantine, a storm."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack.processes import wait_until
from demo.stack.responder_with_peers import AGENT, Face, World, face, peers
from memleash_responder.adapters.database.cluster import Flags
from memleash_responder.adapters.database.denials import Denials
from memleash_responder.adapters.database.diagnoses import Diagnoses, Diagnosis
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.hosts import Hosts, Quarantine
from memleash_responder.adapters.database.restarts import Restarts
from memleash_responder.core.denials import Denial
from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.restarts import Restart
from memleash_responder.usecases.storm_breaker import STORM
from tests.contract.api.test_tries_to_get_in import proof_on

LOST, STILL_WELL = "node-1", "node-2"


@pytest.fixture(scope="module")
def ill() -> Iterator[World]:
    """A fleet whose agents do not answer ready, so that nothing mends itself."""
    with peers(ready=0) as world:
        yield world


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory, ill: World) -> Iterator[Face]:
    with face(tmp_path_factory.mktemp("troubled"), ill) as served:
        yield served


@pytest.fixture(scope="module")
def database(troubled: Face) -> Iterator[Database]:
    file = Path(troubled.program.log).parent / "responder.db"
    opened = Database(f"sqlite:///{file}")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def lost(database: Database) -> None:
    now = time.time()
    hosts, requests = Hosts(database), Restarts(database)
    requests.open(Restart("r-1", LOST, AGENT, now, "alert", False, "ready"))
    assert hosts.hold(LOST, "r-1", AGENT, now)
    requests.finish("r-1", Outcome.NOT_READY, "after 60 probes: not ready", now)


@pytest.mark.usefixtures("lost")
def test_a_lost_host_is_on_top_with_a_button_that_waits_for_nothing(troubled: Face) -> None:
    def planned() -> str | None:
        when = troubled.ask("GET", f"/api/v1/hosts/{LOST}").json["next_reconnect_at"]
        return str(when) if when else None

    def proof() -> str:
        return proof_on(troubled.ask("GET", "/").text, f"/hosts/{LOST}/reconnect")

    wait_until("the host", lambda: "is disconnected" in troubled.ask("GET", "/").text)
    wait_until("a plan", lambda: planned() and "The next attempt is in" in home(troubled))
    before = planned()
    signed = proof()
    began = time.monotonic()
    answer = troubled.form(f"/hosts/{LOST}/reconnect", f"proof={signed}")

    assert (answer.status, answer.headers["location"]) == (303, f"/hosts/{LOST}")
    assert time.monotonic() - began < 5
    assert troubled.form(f"/hosts/{LOST}/reconnect", f"proof={signed}").status == 403
    wait_until("a try that failed again", lambda: planned() not in (None, before))


def home(served: Face) -> str:
    return served.ask("GET", "/").text


@pytest.mark.usefixtures("lost")
def test_the_api_waits_and_says_why_not(troubled: Face) -> None:
    answer = troubled.ask("POST", f"/api/v1/hosts/{LOST}/reconnect")

    assert answer.status == 502
    assert "ready" in answer.json["detail"]


def test_a_host_that_is_connected_is_not_reconnected(troubled: Face) -> None:
    assert troubled.ask("POST", f"/api/v1/hosts/{STILL_WELL}/reconnect").status == 409


@pytest.mark.usefixtures("lost")
def test_status_and_filters_name_the_lost_host(troubled: Face) -> None:
    told = troubled.ask("GET", "/api/v1/hosts?state=disconnected").json["hosts"]

    assert [host["host"] for host in told] == [LOST]
    assert troubled.ask("GET", "/api/v1/status").json["disconnected"] == [LOST]
    assert "1 to 1 of 1 agent" in troubled.ask("GET", "/?show=disconnected").text


def test_a_quarantine_is_shown_cleared_and_gone(troubled: Face, database: Database) -> None:
    Quarantine(database).add(STILL_WELL, AGENT, "it <b>leaks</b> at once", time.time())
    page = home(troubled)
    action = f"/hosts/{STILL_WELL}/agents/{AGENT}/clear"
    (listed,) = troubled.ask("GET", "/api/v1/quarantine").json["quarantine"]

    assert "is in quarantine" in page
    assert "it &lt;b&gt;leaks&lt;/b&gt; at once" in page
    assert (listed["host"], listed["agent"]) == (STILL_WELL, AGENT)
    assert troubled.form(action, f"proof={proof_on(page, action)}").status == 303
    assert troubled.ask("GET", "/api/v1/quarantine").json["quarantine"] == []
    gone = troubled.ask("DELETE", f"/api/v1/quarantine/{STILL_WELL}/{AGENT}")
    assert gone.status == 404


def test_a_denial_is_on_the_hosts_page_and_taken_back_there(
    troubled: Face, database: Database
) -> None:
    now = time.time()
    Denials(database).put(STILL_WELL, AGENT, Denial("<ann>", now, now + 8 * 3600, None))
    page = troubled.ask("GET", f"/hosts/{STILL_WELL}").text
    action = f"/hosts/{STILL_WELL}/agents/{AGENT}/allow"
    assert "Restarts are denied</strong>: denied by &lt;ann&gt; until " in page
    assert troubled.form(action, f"proof={proof_on(page, action)}").status == 303
    assert "Restarts are denied" not in troubled.ask("GET", f"/hosts/{STILL_WELL}").text
    assert troubled.form(action, f"proof={proof_on(page, action)}").status == 403, "it was sent"
    assert troubled.ask("DELETE", f"/api/v1/denials/{STILL_WELL}/{AGENT}").status == 404


def test_what_restarts_bought_is_on_the_hosts_page_and_in_the_api(
    troubled: Face, database: Database
) -> None:
    began = time.time() - 20_000

    def restarted(name: str, alerted: float, sent: float) -> Restart:
        """Return a restart by how long after the beginning its alert and its command came."""
        request = Restart(name, STILL_WELL, AGENT, began + alerted, step="release")
        return dataclasses.replace(
            request,
            fingerprint=name,
            alert_started_at=began + alerted,
            command_sent=Stamp(began + sent, "a boot", 1.0),
            outcome=Outcome.RESTARTED,
            finished_at=began + sent,
        )

    Restarts(database).open_all(
        [restarted("a", 0, 600), restarted("b", 7800, 9000), restarted("c", 12_600, 13_000)]
    )
    page = troubled.ask("GET", f"/hosts/{STILL_WELL}").text
    assert "Its restarts bought it 2h, then 1h below its limit." in page
    told = troubled.ask("GET", f"/api/v1/hosts/{STILL_WELL}").json["agents"][AGENT]
    assert [round(one) for one in told["times_bought_seconds"]] == [7200, 3600]
    (bought,) = troubled.ask("GET", "/api/v1/summary").json["bought"]
    assert (bought["agent"], bought["restarts"]) == (AGENT, 2)
    assert round(bought["median_seconds"]) == 5400


def test_a_quarantine_of_a_host_that_left_is_no_alarm_and_can_be_cleared(
    troubled: Face, database: Database
) -> None:
    Quarantine(database).add("left-long-ago", AGENT, "it leaked", time.time())
    assert "left-long-ago" not in troubled.ask("GET", "/metrics").text
    cleared = troubled.ask("DELETE", f"/api/v1/quarantine/left-long-ago/{AGENT}")
    assert cleared.status == 204
    assert Quarantine(database).all() == {}


def test_a_storm_is_told_and_a_person_may_go_through_it(troubled: Face, database: Database) -> None:
    storm = "9 of 10 hosts are over their hard limit"

    def told() -> str:
        """The responder counts for itself every 15 s, and finds no storm."""
        Flags(database).set(STORM, storm, "test", time.time())
        page = home(troubled)
        in_api = troubled.ask("GET", "/api/v1/status").json["storm"] == storm
        return page if storm in page and in_api else ""

    page = wait_until("the storm on the page and in the API", told)
    assert troubled.form("/resume", f"proof={proof_on(page, '/resume')}").status == 303
    assert troubled.ask("GET", "/api/v1/status").json["storm"] is None


def test_a_diagnosis_under_way_is_on_its_hosts_page(troubled: Face, database: Database) -> None:
    diagnoses = Diagnoses(database)
    now = time.time()
    assert diagnoses.open(Diagnosis("d-1", STILL_WELL, AGENT, now, step="collect"))
    page = troubled.ask("GET", f"/hosts/{STILL_WELL}").text
    assert f"A diagnosis of {AGENT} is under way" in page
    diagnoses.finish("d-1", Outcome.DIAGNOSED, "the report is here", "", now)
    page = troubled.ask("GET", f"/hosts/{STILL_WELL}").text
    assert "is under way" not in page
    assert "the report is here" in page
