"""The page's order, filters and figures, by what a real Prometheus, old and new, answers."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from demo.stack.processes import wait_until
from demo.stack.responder_with_peers import AGENT, Face, face, peers
from tests.integration.adapters.neighbours import prometheus

pytestmark = pytest.mark.integration

GIB = 1024**3
HOSTS = {
    "n.1": (5 * GIB, 10 * GIB, 0),
    "nx1": (12 * GIB, 10 * GIB, 1),
    "n-2": (1 * GIB, 0, 0),
}
"""Limited memory, hard limit, busy. The first two are one to a pattern that is not quoted."""
NOWHERE, SILENT = "a-nowhere", "b-silent"
STARTED_AT = 1_700_000_000


def series(name: str, host: str, value: float, **labels: str) -> dict[str, Any]:
    about = {"host": host, "agent": AGENT, **labels}
    return {"record": name, "expr": f"vector({value})", "labels": about}


def rules() -> list[dict[str, Any]]:
    """Return rules that make a fleet's series; n.1 is scraped by two, as with two Prometheis."""
    found = [series("memleash:agent_limited_memory_bytes", SILENT, 9 * GIB)]
    for host, (limited, limit, busy) in HOSTS.items():
        for replica in ("a", "b") if host == "n.1" else ("a",):
            values = {
                "memleash_agent_up": 1,
                "memleash_agent_start_time_seconds": STARTED_AT,
                "memleash_agent_resident_memory_bytes": limited,
                "memleash_agent_busy": busy,
                "memleash_agent_ready": 1,
                "memleash:agent_limited_memory_bytes": limited,
                "memleash:agent_memory_alarm_threshold_bytes": 2 * GIB,
                "memleash:agent_memory_hard_limit_bytes": limit,
            }
            found += [series(name, host, value, replica=replica) for name, value in values.items()]
    return found


@pytest.fixture(scope="module", params=["stable", "newest"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Face]:
    folder = tmp_path_factory.mktemp("fleet")
    file = folder / "rules.yml"
    group = {"name": "fleet", "interval": "1s", "rules": rules()}
    file.write_text(json.dumps({"groups": [group]}), encoding="utf-8")
    names = [*HOSTS, NOWHERE, SILENT]
    with contextlib.ExitStack() as stack, peers(hosts=names) as world:
        config = json.dumps({"rule_files": [str(file)]})
        url = prometheus(stack, folder / "prometheus", request.param, config)
        one = stack.enter_context(face(folder / "own", world, prometheus={"url": url}))
        wait_until("all figures", lambda: "5 GiB" in one.ask("GET", "/").text)
        yield one


def shown(served: Face, path: str) -> list[str]:
    """Return the hosts of the table's rows, in their order."""
    page = served.ask("GET", path).text
    return re.findall(r'data-name="Host"><a href="[^"]*">([^<]+)</a>', page)


def test_the_fullest_come_first_and_the_unknown_last(served: Face) -> None:
    ordered = ["nx1", "n.1", "n-2", NOWHERE, SILENT]
    assert shown(served, "/") == ordered
    assert shown(served, "/?limit=2&offset=1") == ordered[1:3]


@pytest.mark.parametrize(
    ("show", "hosts"),
    [
        ("over", ["nx1"]),
        ("busy", ["nx1"]),
        ("unknown", [NOWHERE, SILENT]),
        ("muted", []),
        ("connected", ["nx1", "n.1", "n-2", NOWHERE, SILENT]),
        ("maintenance", []),
    ],
)
def test_a_filter_shows_what_it_says(served: Face, show: str, hosts: list[str]) -> None:
    assert shown(served, f"/?show={show}") == hosts


def test_a_host_has_its_own_figures_and_no_namesakes(served: Face) -> None:
    (host,) = served.ask("GET", "/api/v1/hosts?search=n.1").json["hosts"]
    agent = host["agents"][AGENT]
    assert (host["host"], agent["limited_bytes"], agent["resident_bytes"]) == (
        "n.1",
        5 * GIB,
        5 * GIB,
    )
    assert (agent["alarm_threshold_bytes"], agent["hard_limit_bytes"]) == (2 * GIB, 10 * GIB)
    assert (agent["up"], agent["busy"], agent["ready"]) == (True, False, True)
    assert agent["started_at"] == "2023-11-14T22:13:20Z"
    assert agent["seen_at"] is not None


def test_of_a_silent_exporter_nothing_is_shown_that_a_rule_remembers(served: Face) -> None:
    (host,) = served.ask("GET", f"/api/v1/hosts?search={SILENT}").json["hosts"]
    assert host["agents"][AGENT]["limited_bytes"] is None
    assert host["agents"][AGENT]["verdict"] == "facts_unavailable"


@pytest.mark.parametrize("span", ["", "?range=24h", "?range=7d"])
def test_a_hosts_page_draws_what_its_agent_held(served: Face, span: str) -> None:
    def drawn() -> str | None:
        page = served.ask("GET", f"/hosts/nx1{span}")
        assert page.status == 200
        found = re.search(r'<path class="held" d="M([^"]+)"', page.text)
        return page.text if found else None

    text = wait_until("a line", drawn)
    assert "at most 12 GiB; the hard limit is 10 GiB; 0 new processes." in text
    assert 'class="limit"' in text
    assert 'class="busy"' in text, "it was busy all the time"
    assert "<td>12 GiB</td>" in text, "the same as a table"


def test_what_prometheus_does_not_have_is_said_and_not_drawn(served: Face) -> None:
    text = served.ask("GET", f"/hosts/{NOWHERE}").text
    assert "Prometheus has no value of its memory in this time." in text
    assert 'class="held" d=' not in text
    assert served.ask("GET", "/hosts/nx1?range=1y").status == 400
