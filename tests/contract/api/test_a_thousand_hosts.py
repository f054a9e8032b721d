"""1,000 hosts: the page stays quick, asks no exporter, and says what it does not know."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack.processes import wait_until
from demo.stack.responder_with_peers import AGENT, MIB, Face, World, configured, face, peers

HOSTS = [f"node-{number:04}" for number in range(1000)]
QUICK_SECONDS = 2.0
"""Measured on an idle machine with two cores: 0.2 s. Test machines are not idle."""


@pytest.fixture(scope="module")
def crowd() -> Iterator[World]:
    with peers(hosts=HOSTS) as world:
        yield world


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, crowd: World) -> Iterator[Face]:
    with face(tmp_path_factory.mktemp("large"), crowd) as served:
        served.ask("GET", "/")  # the first view reads the inventory and compiles the templates
        yield served


def seconds_for(served: Face, path: str) -> float:
    """Return the best of a few: what it costs, not what else the machine does."""
    taken = []
    for _ in range(5):
        began = time.monotonic()
        assert served.ask("GET", path).status == 200
        taken.append(time.monotonic() - began)
    return min(taken)


@pytest.mark.parametrize(
    "path", ["/", "/?show=over&offset=950", "/?search=node-0999", "/api/v1/hosts", "/metrics"]
)
def test_a_thousand_hosts_are_quick(large: Face, path: str) -> None:
    assert seconds_for(large, path) < QUICK_SECONDS


def test_the_page_shows_fifty_and_how_many_there_are(large: Face) -> None:
    page = large.ask("GET", "/").text

    assert page.count('data-name="Memory"') == 50
    assert "1 to 50 of 1000 agents" in page
    assert len(page) < 200_000


def asked_for(world: World, served: Face, path: str) -> list[int]:
    """Return the number of series of each answer that a request needs of Prometheus."""
    scrapes, asked = world.scrapes, len(world.queries)
    assert served.ask("GET", path).status == 200
    assert world.scrapes == scrapes, "no exporter is asked about the fleet"
    rounds = ("ALERTS", "vector(1)")  # the responder's own look at pings
    return [n for query, n in world.queries[asked:] if not all(one in query for one in rounds)]


FIGURES = 9
"""What is shown of an agent, and follows from it."""


def test_a_list_asks_prometheus_about_the_hosts_that_it_shows(large: Face, crowd: World) -> None:
    assert asked_for(crowd, large, "/api/v1/hosts?limit=10&offset=300") == [10 * FIGURES]
    assert asked_for(crowd, large, "/api/v1/hosts?search=node-0717") == [FIGURES]
    assert asked_for(crowd, large, "/api/v1/hosts?search=nowhere") == []
    assert asked_for(crowd, large, "/api/v1/hosts?limit=600&offset=400") == [
        *[250 * FIGURES] * 2,
        100 * FIGURES,
    ]


def test_the_page_asks_for_the_order_of_all_and_the_rest_of_what_it_shows(
    large: Face, crowd: World
) -> None:
    order, page = len(HOSTS), 50 * FIGURES
    assert asked_for(crowd, large, "/?offset=250") in ([page], [order, page])
    assert asked_for(crowd, large, "/?search=node-012") in ([10 * FIGURES], [order, 10 * FIGURES])
    assert asked_for(crowd, large, "/?show=muted") in ([], [order])


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/sd/ping-targets", "/api/v1/status"])
def test_what_the_database_knows_asks_nobody(large: Face, crowd: World, path: str) -> None:
    assert asked_for(crowd, large, path) == []


@pytest.mark.parametrize("path", ["/hosts/node-1", "/api/v1/hosts/node-1"])
def test_a_host_is_shown_by_one_scrape_however_many_agents_it_has(
    path: str, tmp_path: Path
) -> None:
    agents = {name: {"restart_command": "false"} for name in (AGENT, "second", "third")}
    with peers() as world, face(tmp_path, world, agents=agents) as served:
        before = world.scrapes
        page = served.ask("GET", path).text
        assert world.scrapes == before + 1
    assert "300" in page or str(300 * MIB) in page
    assert page.count("publishes no agent") >= 2


def test_a_host_that_prometheus_does_not_know_is_unknown_and_last(
    large: Face, crowd: World
) -> None:
    def unknown() -> str:
        page = large.ask("GET", "/?show=unknown").text
        return page if "unknown<small>Prometheus has no sample of it" in page else ""

    crowd.hosts = HOSTS[1:]
    try:
        page = wait_until("the unknown host", unknown)
        assert "node-0000" in page
        assert "facts_unavailable" in page
        assert "node-0000" in large.ask("GET", "/?offset=950").text
    finally:
        crowd.hosts = HOSTS


def test_the_list_of_the_api_comes_in_pages(large: Face) -> None:
    first = large.ask("GET", "/api/v1/hosts?limit=600").json
    second = large.ask("GET", "/api/v1/hosts?limit=600&offset=600").json

    assert (first["next_offset"], second["next_offset"]) == (600, None)
    assert [host["host"] for host in first["hosts"] + second["hosts"]] == HOSTS


def test_figures_are_old_and_said_to_be_when_prometheus_is_gone(
    tmp_path: Path,
) -> None:
    gone = {"url": "http://127.0.0.1:9"}
    with peers() as world, face(tmp_path, world, prometheus=gone) as served:
        page = served.ask("GET", "/").text
    assert "The figures are missing" in page
    assert "Connection refused" in page


def test_figures_that_were_shown_stay_when_prometheus_is_gone_and_are_said_to_be_old(
    large: Face, crowd: World
) -> None:
    def old() -> str:
        page = large.ask("GET", "/?search=node-033").text
        return page if "The figures are old" in page else ""

    assert "300 MiB" in large.ask("GET", "/?search=node-033").text
    crowd.prometheus_answers = False
    try:
        page = wait_until("old figures", old)
        assert "300 MiB" in page
        assert "answered 503" in page
    finally:
        crowd.prometheus_answers = True

    def fresh() -> bool:
        return "The figures are" not in large.ask("GET", "/?search=node-033").text

    wait_until("fresh figures", fresh)


def test_a_host_that_comes_or_goes_is_on_every_list_and_page(tmp_path: Path) -> None:
    with peers(hosts=["h-stays", "h-goes"]) as world, face(tmp_path, world) as served:

        def listed(path: str) -> set[str]:
            text = served.ask("GET", path).text
            return {host for host in ("h-stays", "h-goes", "h-comes") if host in text}

        paths = ("/", "/api/v1/hosts", "/metrics", "/api/v1/sd/ping-targets")
        assert [listed(path) for path in paths] == [{"h-stays", "h-goes"}] * 4
        world.hosts = ["h-stays", "h-comes"]
        configured(tmp_path, world)
        for path in paths:
            wait_until(path, lambda of=path: listed(of) == {"h-stays", "h-comes"})  # type: ignore[misc]
        shown = wait_until("its figures", lambda: "300 MiB" in served.ask("GET", "/").text)
        assert shown


def test_whoever_polls_is_told_that_nothing_changed(large: Face, crowd: World) -> None:
    assert crowd.resident_bytes == 300 * MIB
    tag = large.ask("GET", "/api/v1/mutes").headers["etag"]
    answer = large.ask("GET", "/api/v1/mutes", headers={"If-None-Match": tag})

    assert (answer.status, answer.body) == (304, b"")
