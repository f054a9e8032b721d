"""An exporter and a Prometheus that tell absurd things: every page and answer says unknown."""

from __future__ import annotations

import pytest

from demo.stack.responder_with_peers import AGENT, MIB, Face, World

HUGE = "9" * 400
PAGES = ("/", "/hosts/node-1", "/api/v1/hosts", "/api/v1/hosts/node-1", "/api/v1/status")


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (f"other_metric {HUGE}", "awaiting_approval"),
        (f"other_metric 1 {HUGE}", "facts_unavailable"),
        (f'memleash_agent_start_time_seconds{{agent="{AGENT}"}} {HUGE}', "facts_unavailable"),
        (f'memleash_agent_resident_memory_bytes{{agent="{AGENT}"}} 1e300', "facts_unavailable"),
        (f'memleash_agent_up{{agent="{AGENT}"}} 1 1700000000000', "facts_unavailable"),
    ],
)
def test_an_absurd_sample_is_unknown_and_no_page_breaks(
    open_face: Face, world: World, monkeypatch: pytest.MonkeyPatch, line: str, verdict: str
) -> None:
    name = line.split("}", maxsplit=1)[0]
    true = "\n".join(one for one in world.exposition().splitlines() if not one.startswith(name))
    monkeypatch.setattr(world, "exposition", lambda: f"{true}\n{line}\n")
    for page in PAGES:
        assert open_face.ask("GET", page).status == 200, page
    told = open_face.ask("GET", f"/api/v1/hosts/node-1/agents/{AGENT}/explain")
    assert (told.status, told.json["verdict"]) == (200, verdict)


def test_what_is_limited_is_shown_with_the_resident_memory_beside_it(
    open_face: Face, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "resident_bytes", 40 * MIB)
    monkeypatch.setattr(world, "limited_bytes", 500 * MIB)
    told = open_face.ask("GET", "/api/v1/hosts/node-1").json["agents"][AGENT]
    assert (told["resident_bytes"], told["limited_bytes"]) == (40 * MIB, 500 * MIB)
    page = open_face.ask("GET", "/hosts/node-1").text
    assert "<strong>500 MiB</strong>" in page
    assert "RSS 40 MiB" in page
    monkeypatch.setattr(world, "limited_bytes", 100 * MIB)
    explained = open_face.ask("GET", f"/api/v1/hosts/node-1/agents/{AGENT}/explain").json
    assert explained["verdict"] == "below_hard_limit"
    assert explained["reason"] == (
        "it holds 100 MiB (RSS 40 MiB), which is not above the hard limit 192 MiB"
    )


def test_an_absurd_overview_is_unknown_and_no_page_breaks(
    open_face: Face, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("resident_bytes", "hard_limit_bytes", "alarm_threshold_bytes", "started_at"):
        monkeypatch.setattr(world, name, 1e300)
    for page in PAGES:
        assert open_face.ask("GET", page).status == 200, page
