"""Windows, and alerts that hold restarts back, of a real responder.

The windows are changed by a reload, not by waiting: the one that is closed opens in 12 hours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from demo.stack.fake_peers import Reply
from demo.stack.http import Json, get, post
from demo.stack.loopback_hosts import Fleet, Member, running
from demo.stack.processes import wait_until
from demo.stack.responder import Responder
from tests.support.windows import ALWAYS, closed, with_windows, write_windows

pytestmark = pytest.mark.integration

SELECTOR = 'severity="critical",team="storage"'
UNHURRIED = {"guards": {"startup_grace": "0s", "idle_interval": "1h", "wait_for_idle": "2h"}}
"""What waits is looked at again when somebody has it looked at, and by no clock."""
MEMBERS = [
    Member("opens"),
    Member("paused", settings=UNHURRIED),
    Member("closes"),
    Member("storage", settings={"block_while_firing": [SELECTOR]}),
]
CLOSE = """
import pathlib, urllib.request
pathlib.Path({new!r}).replace({file!r})
urllib.request.urlopen(urllib.request.Request({url!r} + "/-/reload", method="POST"), timeout=60)
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running(tmp_path_factory.mktemp("windows"), MEMBERS) as fleet:
        fleet.start_agents(fleet.members)
        yield fleet


@pytest.fixture(scope="module")
def responder(fleet: Fleet) -> Iterator[Responder]:
    with fleet.responder("windows") as responder:
        responder.program.start()
        yield responder


def config_file(fleet: Fleet) -> Path:
    return fleet.folder / "responders" / "windows" / "responder.yml"


def reload(fleet: Fleet, responder: Responder, *windows: str) -> None:
    write_windows(config_file(fleet), *windows)
    post(f"{responder.url}/-/reload")


def verdicts(responder: Responder, host: str) -> dict[str, Any]:
    """Return every guard's word and reason now."""
    told = get(f"{responder.url}/api/v1/hosts/{host}/agents/{host}/explain")
    return {one["guard"]: (one["verdict"], one["reason"]) for one in told["guards"]}


def ask(responder: Responder, host: str, **more: Json) -> None:
    """Ask for a restart, as a person."""
    post(f"{responder.url}/api/v1/restarts", {"host": host, "agent": host, **more})


def wait_for(responder: Responder, host: str, word: str) -> Json:
    """Return the newest request of a host once it waits for what ``word`` says."""

    def look() -> Json:
        request = responder.request(host)
        return request if request and request["waits_for"] == word else None

    return wait_until(f"{host} to wait", look, seen=lambda: responder.request(host))


def test_outside_of_its_windows_a_restart_waits_forced_or_not_and_begins_when_one_opens(
    fleet: Fleet, responder: Responder
) -> None:
    window = closed()
    reload(fleet, responder, window, window)
    word, reason = verdicts(responder, "opens")["outside_window"]
    assert word == "outside_window"
    opens = reason.rpartition("the next opens at ")[2]
    assert reason == f"outside of its windows ({window}, {window}); the next opens at {opens}"
    assert datetime.fromisoformat(opens).strftime("%H:%M") == window[:5]

    ask(responder, "opens", force=True)
    assert wait_for(responder, "opens", "outside_window")["reason"] == f"waits: {reason}"
    assert fleet.peers.drained("opens") == set()
    assert responder.state("opens") == "connected"
    reload(fleet, responder, ALWAYS)
    assert responder.finished("opens")["outcome"] == "restarted"
    assert fleet.starts("opens") == 2


def test_a_pause_counts_at_once_for_what_waits(fleet: Fleet, responder: Responder) -> None:
    reload(fleet, responder, closed())
    ask(responder, "paused")
    wait_for(responder, "paused", "outside_window")
    post(f"{responder.url}/api/v1/pause", {"name": "rack-7", "reason": "it moves"})
    ended = responder.finished("paused")
    assert (ended["outcome"], fleet.starts("paused")) == ("paused", 1)
    assert ended["reason"] == "the responder is paused: rack-7 by local: it moves"
    post(f"{responder.url}/api/v1/resume", {"name": "rack-7"})
    reload(fleet, responder, ALWAYS)


def test_a_window_that_closes_before_the_command_is_sent_gives_everything_back(
    fleet: Fleet, responder: Responder, tmp_path: Path
) -> None:
    """It closes while the controllers are asked to drain the host."""
    reload(fleet, responder, ALWAYS)
    new, script = tmp_path / "closed.yml", tmp_path / "close.py"
    new.write_text(with_windows(config_file(fleet), closed()), encoding="utf-8")
    code = CLOSE.format(new=str(new), file=str(config_file(fleet)), url=responder.url)
    script.write_text(code, encoding="utf-8")
    closes = Reply({}, at_once=f"{sys.executable} {script}")
    fleet.peers.faults["mn-1 drain", "closes"] = [closes, Reply({})]

    ask(responder, "closes")
    (wait,) = wait_for(responder, "closes", "outside_window")["facts"]["waits"]
    assert [one["step"] for one in wait["after"]] == ["admit", "hold", "verify"]
    assert responder.state("closes") == "connected"
    assert fleet.peers.drained("closes") == set()
    wait_until("the host to be heard", lambda: not fleet.peers.silenced("closes"))
    assert fleet.starts("closes") == 1

    reload(fleet, responder, ALWAYS)
    assert responder.finished("closes")["outcome"] == "restarted"
    assert fleet.starts("closes") == 2


def test_while_an_alert_fires_a_restart_waits_and_unknown_refuses(
    fleet: Fleet, responder: Responder
) -> None:
    reload(fleet, responder, ALWAYS)
    fleet.peers.faults["alerts", "all"] = [Reply({"status": "error", "error": "x"}, 503)]
    ask(responder, "storage")
    refused = responder.finished("storage")
    assert refused["outcome"] == "facts_unavailable"
    assert "503" in refused["reason"]
    del fleet.peers.faults["alerts", "all"]

    fleet.peers.firing["StorageDown"] = 2
    reason = "until these are resolved: StorageDown x2"
    assert verdicts(responder, "storage")["alerts_firing"] == ("alerts_firing", reason)
    assert verdicts(responder, "opens")["alerts_firing"] == (None, None)
    ask(responder, "storage")
    assert wait_for(responder, "storage", "alerts_firing")["reason"] == f"waits: {reason}"
    assert fleet.starts("storage") == 1
    del fleet.peers.firing["StorageDown"]
    assert responder.finished("storage")["outcome"] == "restarted"
