"""From the alert to the report: real exporter, Prometheus, Alertmanager, sshd and responder."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.stack.configs import SERVICE_SCRIPT
from demo.stack.http import get, post
from demo.stack.leaking_agents import AGENTS
from demo.stack.observer import Observer
from demo.stack.processes import wait_until
from demo.stack.stack import Stack, prepared
from memleash_responder.adapters.database.diagnoses import Diagnoses, Diagnosis
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.reports import Report, Reports
from memleash_responder.core.outcomes import Outcome
from tests.support.stacks import find_or_skip

pytestmark = pytest.mark.integration


class Site:
    """A stack whose agent leaks and is diagnosed in seconds, and what became of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.folder = stack.layout.folder
        self.host, self.agent = stack.layout.host, stack.layout.agent
        self.observer = Observer(stack.layout)

    def leak(self) -> None:
        """Put in the leaking agent; before the stack starts."""
        argv = [sys.executable, AGENTS / "serves_and_leaks.py", self.stack.layout.address("agent")]
        (self.stack.layout.service / "command").write_text(shlex.join(map(str, argv)))

    def configure(self, **more: object) -> None:
        """Have the agent diagnosed in short rounds; before the stack starts."""
        config = yaml.safe_load((self.folder / "responder.yml").read_text())
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        config["agents"][self.agent]["diagnose"] = {
            "discover": {"pidfile": str(self.stack.layout.service / "agent.pid")},
            "rounds": 5,
            "interval": "1s",
            "work_folder": str(self.folder / "work"),
            "busy_folder": str(self.stack.layout.busy),
            "min_free_disk": 1,
            "python": f"env PATH={path} {sys.executable}",
            **more,
        }
        config["reports"] = {"folder": str(self.folder / "reports")}
        (self.folder / "responder.yml").write_text(yaml.safe_dump(config))

    def alert(self) -> None:
        """Tell the responder what Alertmanager would, that memory grows."""
        now = datetime.now(UTC).isoformat()
        labels = {
            "alertname": "AgentMemoryGrowing",
            "host": self.host,
            "agent": self.agent,
            "remediation": "diagnose",
        }
        alert = {
            "status": "firing",
            "labels": labels,
            "annotations": {},
            "startsAt": now,
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": "f00d",
            "generatorURL": "",
        }
        body: dict[str, Any] = {
            "version": "4",
            "groupKey": "g",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "responder",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "",
            "alerts": [alert],
        }
        post(self.stack.layout.url("responder", "/api/v1/alertmanager"), body)

    def diagnoses(self) -> list[Diagnosis]:
        database = Database(f"sqlite:///{self.folder / 'responder.db'}")
        try:
            return Diagnoses(database).page()
        finally:
            database.close()

    def ended(self, count: int = 1) -> Diagnosis:
        def last() -> Diagnosis | None:
            found = self.diagnoses()
            return found[0] if len(found) == count and found[0].outcome else None

        ended: Diagnosis = wait_until(f"{count} diagnoses end", last, timeout_seconds=90)
        return ended

    def start_agent(self) -> None:
        """Start the agent's service again, as a person or systemd would."""
        subprocess.run([SERVICE_SCRIPT, self.stack.layout.service, "start"], check=True)

    def told_again(self, last: Diagnosis) -> bool:
        """Tell of the alert once more; whether it has opened a diagnosis after ``last``."""
        self.alert()
        return self.diagnoses()[0].id != last.id

    def at_work(self) -> None:
        wait_until("the busy marker", self.markers)

    def restarted(self) -> dict[str, Any]:
        """Wait for a restart that ended well."""

        def ended_well() -> Any:
            return self.observer.restart_with("restarted")

        return dict(wait_until("the agent is restarted", ended_well, timeout_seconds=90))

    def markers(self) -> list[Path]:
        return list((self.stack.layout.busy / self.agent).glob("diagnose-*"))

    def stored(self) -> list[Report]:
        return Reports(self.folder / "reports", 9, 2**30).all(self.host, self.agent)

    def reports(self) -> list[dict[str, Any]]:
        return [json.loads((one.folder / "report.json").read_text()) for one in self.stored()]


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Site]:
    """A site that is not started yet, with the stack's own agent."""
    with prepared(find_or_skip("stable"), tmp_path / "stack") as stack:
        yield Site(stack)


@pytest.fixture
def site(quiet: Site) -> Site:
    quiet.leak()
    quiet.configure()
    quiet.stack.start()
    return quiet


def test_the_agent_is_busy_and_its_pings_are_muted_until_the_report_is_here(quiet: Site) -> None:
    site = quiet
    site.leak()
    site.configure(interval="2s")
    site.stack.start()
    site.alert()
    site.at_work()
    wait_until("the host's pings are muted", site.observer.silences)

    ended = site.ended()

    assert (ended.outcome, ended.reason) == (Outcome.DIAGNOSED, "")
    (report,) = site.reports()
    assert report["containers"][0]["name"] == "__main__.KEPT"
    assert report["outcome"] == "complete"
    assert site.markers() == []
    assert not (site.folder / "work").exists()
    wait_until("the mute ends with the marker", lambda: not site.observer.silences())
    site.alert()
    assert site.diagnoses() == [ended]


def test_with_the_connection_cut_and_the_responder_killed_one_report_still_comes(
    site: Site,
) -> None:
    responder, sshd = site.stack.programs["responder"], site.stack.programs["sshd"]
    site.alert()
    site.at_work()

    responder.kill()
    sshd.kill()
    sshd.start()
    responder.start()

    assert site.ended().outcome is Outcome.DIAGNOSED
    assert [one["containers"][0]["name"] for one in site.reports()] == ["__main__.KEPT"]
    assert site.markers() == []


def test_a_killed_agent_leaves_no_marker_and_its_next_life_is_diagnosed_again(site: Site) -> None:
    site.alert()
    site.at_work()

    os.kill(site.observer.agent_pid(), signal.SIGKILL)

    first = site.ended()
    assert (first.outcome, first.reason) == (Outcome.INCOMPLETE, "gone")
    assert site.markers() == []
    site.start_agent()
    wait_until("the alert opens a diagnosis", lambda: site.told_again(first), timeout_seconds=30)
    second = site.ended(count=2)
    assert second.outcome is Outcome.DIAGNOSED
    assert second.life != first.life


def test_a_person_asks_again_and_again_and_the_record_says_who_and_how_often(site: Site) -> None:
    site.alert()
    first = site.ended()

    asked = post(
        site.stack.layout.url("responder", "/api/v1/diagnoses"),
        {"host": site.host, "agent": site.agent},
    )
    second = site.ended(count=2)

    assert (first.requested_by, first.outcome) == ("alert", Outcome.DIAGNOSED)
    assert (second.id, second.outcome) == (asked["id"], Outcome.DIAGNOSED)
    told = get(site.stack.layout.url("responder", f"/api/v1/diagnoses/{second.id}"))
    assert told["requested_by"] == asked["requested_by"] != "alert"
    assert second.life == first.life
    assert told["pace"].startswith("5 rounds x 1s: ")
    assert told["report"] in [one.time for one in site.stored()]
    site.alert()
    assert len(site.diagnoses()) == 2


def test_a_restart_that_is_due_ends_a_diagnosis_whose_report_is_kept(quiet: Site) -> None:
    quiet.configure(interval="1m")
    quiet.stack.start()
    quiet.alert()
    quiet.at_work()

    quiet.stack.agent_does("grow", to_mib=210)

    ended = quiet.ended()
    assert (ended.outcome, ended.reason) == (Outcome.INCOMPLETE, "cut: a restart was asked for")
    quiet.restarted()
    assert len(quiet.reports()) == 1
    assert quiet.markers() == []


def test_where_evidence_is_required_a_restart_takes_it_first_with_rounds(quiet: Site) -> None:
    quiet.configure(require_evidence=True)
    quiet.stack.start()

    quiet.stack.agent_does("grow", to_mib=210)

    restart = quiet.restarted()
    assert restart["facts"]["evidence"] == quiet.stored()[0].time
    (report,) = quiet.reports()
    assert (report["outcome"], report["rounds"]) == ("complete", 5)


def test_a_life_that_has_its_report_is_not_waited_for(quiet: Site) -> None:
    quiet.configure(require_evidence=True)
    quiet.stack.start()
    quiet.alert()
    ended = quiet.ended()

    quiet.stack.agent_does("grow", to_mib=210)

    restart = quiet.restarted()
    assert restart["facts"]["evidence"] == ended.report
    assert len(quiet.stored()) == 1


def test_before_a_restart_stacks_and_facts_are_taken_where_configured(quiet: Site) -> None:
    quiet.configure(before_restart=True)
    quiet.stack.start()

    quiet.stack.agent_does("grow", to_mib=210)

    quiet.restarted()
    (report,) = quiet.reports()
    assert (report["outcome"], report["rounds"]) == ("complete", 0)
    assert report["files"] == ["raw/stacks-python.txt"]
    assert quiet.diagnoses() == []
    assert not (quiet.folder / "work").exists()


def test_a_restart_does_not_fail_for_want_of_evidence(quiet: Site) -> None:
    quiet.configure(before_restart=True, python="no-such-python")
    quiet.stack.start()

    quiet.stack.agent_does("grow", to_mib=210)

    restart = quiet.restarted()
    assert "no-such-python" in restart["facts"]["evidence"]
    assert quiet.reports() == []
