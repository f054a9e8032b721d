"""A year of alerts and requests, pruned every day: rows and file stay bounded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from memleash_responder.adapters.database.diagnoses import Diagnoses, Diagnosis
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.inbox import AlertRecord
from memleash_responder.adapters.database.migrations import upgrade
from memleash_responder.adapters.database.restart_history import RestartHistory
from memleash_responder.adapters.database.restarts import Restarts, new_id
from memleash_responder.core.alerts import Alert
from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.restarts import Restart

pytestmark = pytest.mark.one_python

DAY = 86400.0
RESTARTS_A_DAY, ALERTS_A_DAY = 20, 60
KEEP_DAYS, KEEP_RESTARTS, KEEP_ALERTS = 90, 1000, 5000


def test_a_years_work_stays_bounded(tmp_path: Path) -> None:
    file = tmp_path / "responder.db"
    database = Database(f"sqlite:///{file}")
    upgrade(database)
    requests, history = Restarts(database), RestartHistory(database)
    alerts = AlertRecord(database)
    sizes = []
    for day in range(365):
        now = day * DAY
        requests.open_all([_ended(day, number, now) for number in range(RESTARTS_A_DAY)])
        told = [(_alert(day, number, now), None) for number in range(ALERTS_A_DAY)]
        alerts.record(told, now)
        history.prune(
            before=now - KEEP_DAYS * DAY, keep=KEEP_RESTARTS, counted_since=now - 6 * 3600
        )
        alerts.prune(before=now - KEEP_DAYS * DAY, keep=KEEP_ALERTS)
        sizes.append(file.stat().st_size)
    kept = history.page(limit=10_000)
    assert len(kept) == KEEP_RESTARTS
    assert kept[0].requested_at == 364 * DAY
    assert len(alerts.page(limit=10_000)) <= KEEP_ALERTS
    assert sizes[364] <= 1.2 * sizes[182]
    database.close()


def test_an_open_request_is_never_pruned(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'responder.db'}")
    upgrade(database)
    requests = Restarts(database)
    waiting = Restart(
        id="waiting",
        host="node-1",
        agent="agent",
        requested_at=0.0,
        requested_by="alert",
        forced=False,
        step="awaiting_approval",
    )
    assert requests.open(waiting)[1]
    RestartHistory(database).prune(before=1e9, keep=0, counted_since=1e9)
    assert requests.get("waiting") is not None
    database.close()


def test_repeats_of_a_refusal_go_before_anything_else(tmp_path: Path) -> None:
    """Seen: an alert that was refused every 5 minutes for a week left no room for the others."""
    database = Database(f"sqlite:///{tmp_path / 'responder.db'}")
    upgrade(database)
    requests, history = Restarts(database), RestartHistory(database)
    others = [_ended(day=0, number=number, now=float(number)) for number in range(10)]
    repeats = [
        dataclasses.replace(_ended(day=1, number=0, now=DAY), id=new_id(), requested_at=DAY + again)
        for again in range(100)
    ]
    requests.open_all([*others, *repeats])
    history.prune(before=0.0, keep=20, counted_since=1e9)
    kept = {one.id for one in history.page(limit=1000)}
    assert kept == {one.id for one in (*others, *repeats[-10:])}
    database.close()


def test_diagnoses_go_when_they_are_old_and_open_ones_never(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'responder.db'}")
    upgrade(database)
    diagnoses = Diagnoses(database)
    for day in range(3):
        one = Diagnosis(f"day-{day}", f"node-{day}", "agent", day * DAY)
        assert diagnoses.open(one)
    for day in range(2):
        assert diagnoses.finish(f"day-{day}", Outcome.DIAGNOSED, "", "", day * DAY)
    diagnoses.prune(before=DAY)
    assert {one.id for one in diagnoses.page()} == {"day-1", "day-2"}
    database.close()


def _ended(day: int, number: int, now: float) -> Restart:
    return Restart(
        id=new_id(),
        host=f"node-{number}",
        agent="agent",
        requested_at=now,
        requested_by="alert",
        forced=False,
        step="requested",
        fingerprint=f"{day}-{number}",
        alert_started_at=now,
        outcome=Outcome.COOLDOWN,
        reason="restarted 3m ago; cooldown ends in 27m",
        finished_at=now,
        facts={"request": {"agent": {"resident_bytes": 1 << 34}}},
    )


def _alert(day: int, number: int, now: float) -> Alert:
    labels = {"alertname": "AgentBusy", "host": f"node-{number}", "agent": "agent"}
    return Alert(
        fingerprint=f"{day}-{number}", firing=True, labels=labels, starts_at=now, ends_at=None
    )
