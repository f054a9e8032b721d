"""A person asks for a diagnosis: by the API and by the button, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from demo.stack.processes import wait_until
from demo.stack.responder_with_peers import AGENT, Face, face, peers
from tests.contract.api.test_tries_to_get_in import proof_on

HOST, OTHER_AGENT = "node-1", "undiagnosed"
SSH = {"user": "nobody", "connect_timeout": "1s", "command_timeout": "1s"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """A responder whose one agent may be diagnosed, on hosts that no SSH session can be had of."""
    diagnose = {"discover": {"pidfile": "/run/agent.pid"}, "max_rss": "1TiB"}
    observed = {"mode": "observe", "restart_command": "false"}
    agents = {AGENT: {**observed, "diagnose": diagnose}, OTHER_AGENT: observed}
    folder = tmp_path_factory.mktemp("asking")
    with peers() as world, face(folder, world, agents=agents, ssh=SSH) as running:
        yield running


def ended(served: Face, path: str) -> Any:
    """Wait until the diagnosis has its word and return it."""

    def told() -> Any:
        answer = served.ask("GET", path).json
        return answer if answer["outcome"] else None

    return wait_until("the diagnosis to end", told)


def test_what_is_asked_for_is_recorded_with_who_asked_and_ends_with_a_word(served: Face) -> None:
    asked = served.ask("POST", "/api/v1/diagnoses", {"host": HOST, "agent": AGENT})

    assert asked.status == 202
    place = asked.headers["location"]
    assert place == f"/api/v1/diagnoses/{asked.json['id']}"
    told = ended(served, place)
    assert told["outcome"] == "ssh_unreachable", "the mode observe does not refuse a person"
    assert told["requested_by"] == "local"
    assert told["pace"].startswith("5 rounds x 5m: ")
    assert told in served.ask("GET", f"/api/v1/diagnoses?host={HOST}").json["diagnoses"]


def test_the_button_asks_once_and_only_where_it_is_configured(served: Face) -> None:
    action = f"/hosts/{HOST}/agents/{AGENT}/diagnose"
    wait_until("the button", lambda: action in served.ask("GET", f"/hosts/{HOST}").text)
    page = served.ask("GET", f"/hosts/{HOST}").text
    before = served.ask("GET", "/api/v1/diagnoses").json["diagnoses"]
    signed = proof_on(page, action)

    answer = served.form(action, f"proof={signed}")

    assert (answer.status, answer.headers["location"]) == (303, f"/hosts/{HOST}#reports")
    assert served.form(action, f"proof={signed}").status == 403
    assert len(served.ask("GET", "/api/v1/diagnoses").json["diagnoses"]) == len(before) + 1
    assert f"/agents/{OTHER_AGENT}/diagnose" not in page


def test_an_agent_without_the_setting_is_refused_with_its_word(served: Face) -> None:
    asked = served.ask("POST", "/api/v1/diagnoses", {"host": "node-2", "agent": OTHER_AGENT})

    assert (asked.status, asked.json["outcome"]) == (202, "not_configured")


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"host": "nowhere", "agent": AGENT}, 404, "not in the inventory"),
        ({"host": HOST, "agent": "nobody"}, 404, "not in the configuration"),
        ({"host": HOST, "agent": AGENT, "force": True}, 400, "unknown ['force']"),
        ({"host": HOST}, 400, "must be text"),
        ({"host": HOST, "agent": ["a"]}, 400, "must be text"),
        ([HOST, AGENT], 400, "must be a JSON object"),
    ],
)
def test_what_cannot_be_asked_for_is_a_problem(
    served: Face, body: Any, status: int, detail: str
) -> None:
    answer = served.ask("POST", "/api/v1/diagnoses", body)

    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json["detail"]


def test_a_diagnosis_that_there_is_none_of_is_404(served: Face) -> None:
    assert served.ask("GET", "/api/v1/diagnoses/x").status == 404
