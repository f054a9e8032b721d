"""A diagnosis has its word whatever its host answers, gives way to a restart, and is asked for."""

from __future__ import annotations

import base64
import dataclasses
import functools
import gzip
import io
import json
import shlex
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memleash_responder.adapters.database.diagnoses import Diagnosis
from memleash_responder.adapters.reports import Reports
from memleash_responder.adapters.ssh.client import CommandResult
from memleash_responder.core.diagnosis_rounds import Rounds
from memleash_responder.core.diagnosis_settings import GIB, Diagnose, Discover
from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.policy import Mode
from memleash_responder.usecases import diagnosis_workflow as workflow
from memleash_responder.usecases.diagnosis_requests import DiagnosisRequests
from memleash_responder.usecases.diagnosis_workflow import DiagnosisWorkflow
from tests.unit.usecases.world import AGENT, Inline, World

RUNNING = json.dumps({"state": "running"})
DONE = json.dumps({"state": "done", "outcome": "complete"})
Answers = dict[str, Callable[[], str]]


class TalkingSsh:
    """A host whose diagnoser answers what a test says, by verb."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.told: list[str] = []

    def run(self, _host: object, command: str, **_: object) -> CommandResult:
        words = shlex.split(command)
        verb = next(word for word in words if word in ("start", "status", "read", "stop", "clean"))
        self.told.append(verb)
        return CommandResult(0, self.answers.get(verb, lambda: RUNNING)(), "", False, 0.1)


class Engine:
    """Runs a workflow at once, and records its steps as JSON, as DBOS does."""

    def __init__(self) -> None:
        self.bodies: dict[str, Callable[[str], None]] = {}
        self.lost: set[str] = set()
        self.started: list[str] = []
        self.to_run: list[str] = []

    def workflow(self, name: str, body: Callable[[str], None]) -> None:
        self.bodies[name] = body

    def start(self, _workflow: str, work_id: str) -> None:
        if work_id not in self.started:
            self.started.append(work_id)
            self.to_run.append(work_id)

    def abandoned(self, _workflow: str, ids: list[str], _versions: object) -> set[str]:
        return self.lost & set(ids)

    def run_step(self, _name: str, effect: Callable[..., Any], *args: object) -> Any:
        return json.loads(json.dumps(effect(*args)))


@dataclasses.dataclass
class Site:
    """A world with a growing agent, a host that talks, and the diagnoses of it."""

    world: World
    ssh: TalkingSsh
    engine: Engine
    work: DiagnosisWorkflow

    def run_started(self) -> None:
        """Run what was started, and first what died half-way, as DBOS does."""
        while self.engine.to_run:
            self.engine.bodies[workflow.WORKFLOW](self.engine.to_run[0])
            self.engine.to_run.pop(0)

    def asked(self, by: str = "anna") -> Diagnosis:
        """Ask as a person does, run what was started, and return what became of it."""
        opened = self.work.ask_for_person("node-1", AGENT, by)
        assert opened is not None
        self.run_started()
        found = self.world.services.tables.diagnoses.get(opened.id)
        assert found is not None
        return found


@pytest.fixture
def site(make_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = make_world(agent={"diagnose": Diagnose(Discover(pidfile="/run/a.pid"))})
    made.node.resident_bytes = 3 * GIB
    ssh, engine = TalkingSsh(), Engine()
    object.__setattr__(made.services.outside, "ssh", ssh)
    object.__setattr__(made.services.outside, "reports", Reports(tmp_path, 10, GIB))
    monkeypatch.setattr(workflow, "run_step", engine.run_step)
    work = DiagnosisWorkflow(
        made.services, cast(Any, engine), DiagnosisRequests(made.services), Inline()
    )
    return Site(made, ssh, engine, work)


def report(*names: str) -> str:
    """Return the answer to ``read``: a whole report with files of these names."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        for name in ("report.json", *names):
            archive.addfile(tarfile.TarInfo(name))
    return piece(tar.getvalue())


def piece(content: bytes) -> str:
    data = base64.b64encode(content).decode()
    return json.dumps({"state": "read", "data": data, "bytes": len(content)})


def test_no_more_begin_than_there_are_places_and_the_next_begins_when_one_ends(site: Site) -> None:
    table = site.world.services.tables.diagnoses
    names = [f"d-{number:02}" for number in range(workflow.CONCURRENCY + 2)]
    for number, name in enumerate(names):
        table.open(Diagnosis(name, f"host-{name}", AGENT, requested_at=float(number)))
        table.queue(name)

    site.work.begin_queued()
    assert site.engine.started == names[:-2]

    table.finish(names[3], Outcome.DISK_FULL, "", "", now=99.0)
    site.work.begin_queued()
    assert site.engine.started == names[:-1]


def test_what_a_crash_kept_from_its_start_is_started_and_again_changes_nothing(site: Site) -> None:
    table = site.world.services.tables.diagnoses
    table.open(Diagnosis("d-1", "node-1", AGENT, requested_at=site.world.clock.now()))
    table.queue("d-1")
    assert table.begin_next(places=1) is not None  # and the process dies here
    site.ssh.answers = {"status": lambda: DONE, "read": report}

    site.work.resume_open()
    site.work.resume_open()
    assert site.engine.started == ["d-1"]
    site.run_started()

    ended = table.get("d-1")
    assert ended is not None
    assert ended.outcome is Outcome.DIAGNOSED


def test_a_report_is_fetched_and_the_host_is_cleaned(site: Site) -> None:
    site.ssh.answers = {"status": lambda: DONE, "read": report}

    ended = site.asked()

    assert (ended.outcome, ended.reason) == (Outcome.DIAGNOSED, "")
    assert ended.report
    assert ended.pace.startswith("5 rounds x 5m: ")
    assert site.ssh.told == ["start", "status", "read", "stop", "clean"]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"start": '{"state":"refused","reason":"bored","detail":""}'}, "unknown word 'bored'"),
        ({"start": '{"state":"refused","reason":["x"],"detail":""}'}, "no text as its reason"),
        ({"start": "[" * 100_000}, "nested deeper"),
        ({"start": '{"state":' * 10}, "not valid JSON"),
        ({"start": '{"state": NaN}'}, "no text as its state"),
        ({"start": "null"}, "no object"),
        ({"status": '{"state":"dancing"}'}, "no known state"),
        ({"status": '{"state":"done"}'}, "no text as its outcome"),
        ({"status": '{"state":"done","outcome":1e999}'}, "no text as its outcome"),
        ({"status": ""}, "not valid JSON"),
        ({"status": '{"state":"died"}'}, "state is died"),
        ({"status": DONE, "read": '{"state":"read","data":7,"bytes":1}'}, "cannot be read"),
        ({"status": DONE, "read": '{"state":"read","data":"","bytes":true}'}, "no whole number"),
        ({"status": DONE, "read": f'{{"state":"read","data":"","bytes":{"9" * 400}}}'}, "number"),
        ({"status": DONE, "read": '{"state":"read","data":"QQ==","bytes":99}'}, "in crumbs"),
        ({"status": DONE, "read": '{"state":"unknown"}'}, "unknown instead"),
        ({"status": DONE, "read": report("d/" * 1000 + "f")}, "deeper than 8 levels"),
        ({"status": DONE, "read": report("n" * 5000)}, "longer than"),
        ({"status": DONE, "read": piece(gzip.compress(bytes(10240)))}, "no report.json"),
        ({"status": DONE, "read": piece(gzip.compress(b"x")[:-4])}, "cannot be unpacked"),
    ],
)
def test_whatever_a_host_answers_its_diagnosis_has_its_word_at_once(
    site: Site, answers: dict[str, str], reason: str
) -> None:
    site.ssh.answers = {verb: functools.partial(str, text) for verb, text in answers.items()}

    ended = site.asked()

    assert ended.outcome is Outcome.DIAGNOSER_FAILED
    assert reason in ended.reason
    assert site.ssh.told[-2:] == ["stop", "clean"]
    assert site.ssh.told.count("status") <= workflow.NONSENSE_AT_MOST


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**400)
    | st.text(max_size=20)
    | st.sampled_from(["running", "done", "refused", "read", "complete", "too_large", "cut"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
_FIELDS = st.sampled_from(["state", "reason", "detail", "outcome", "data", "bytes", "error"])
_ANSWERS = (
    st.text(max_size=50)
    | _VALUES.map(json.dumps)
    | st.dictionaries(_FIELDS, _VALUES).map(json.dumps)
    | st.sampled_from([RUNNING, DONE, "[" * 5000, '{"a":' * 5000, report(), report("a/" * 1000)])
    | st.binary(max_size=200).map(piece)
    | st.binary(max_size=200).map(gzip.compress).map(piece)
)


@pytest.mark.one_python
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_rubbish_of_any_kind_ends_with_a_word_and_no_diagnosis_stays_open(
    site: Site, data: st.DataObject
) -> None:
    verbs = ("start", "status", "read", "stop", "clean")
    site.ssh.answers = {verb: functools.partial(data.draw, _ANSWERS, verb) for verb in verbs}
    site.ssh.answers["start"] = lambda: data.draw(st.just(RUNNING) | _ANSWERS, label="start")

    ended = site.asked()

    assert ended.outcome is not None
    assert len(ended.reason) <= 1000
    assert site.world.services.tables.diagnoses.all_open() == []


def test_an_error_that_nobody_foresaw_ends_it_with_a_word(site: Site) -> None:
    def broken() -> str:
        raise RecursionError("too deep")

    site.ssh.answers = {"status": broken}

    ended = site.asked()

    assert ended.outcome is Outcome.DIAGNOSER_FAILED
    assert "RecursionError: too deep" in ended.reason


def test_one_whose_workflow_was_lost_is_closed_by_the_next_sweep(site: Site) -> None:
    opened = site.work.ask_for_person("node-1", AGENT, "anna")
    assert opened is not None
    table = site.world.services.tables.diagnoses
    table.begin(opened.id, 1.0, Rounds(5, 300.0, "no growth"))
    site.engine.lost = {opened.id}

    site.world.clock.advance(workflow.QUIET_SECONDS + 1)
    site.work.resume_open()

    ended = table.get(opened.id)
    assert ended is not None
    assert (ended.outcome, ended.reason) == (Outcome.DIAGNOSER_FAILED, "its workflow was lost")


def test_a_person_may_ask_again_and_in_the_mode_observe(site: Site) -> None:
    site.ssh.answers = {"status": lambda: DONE, "read": report}
    agents = site.world.services.settings.agents
    observing = dataclasses.replace(agents[AGENT], mode=Mode.OBSERVE)
    cast(dict[str, Any], agents)[AGENT] = observing

    ended = [site.asked() for _ in range(2)]

    assert [one.outcome for one in ended] == [Outcome.DIAGNOSED] * 2
    assert {one.requested_by for one in ended} == {"anna"}


def test_a_second_person_joins_the_diagnosis_that_is_open(site: Site) -> None:
    first = site.work.ask_for_person("node-1", AGENT, "anna")
    second = site.work.ask_for_person("node-1", AGENT, "bert")

    assert first is not None
    assert second is not None
    assert second.id == first.id


def test_another_agents_open_diagnosis_is_not_joined(site: Site) -> None:
    assert site.work.ask_for_person("node-1", AGENT, "anna")

    assert site.work.ask_for_person("node-1", "other", "bert") is None


def cut_by_stop(ssh: TalkingSsh) -> str:
    """Return what a diagnoser answers that ends when it is told to stop."""
    return json.dumps({"state": "done", "outcome": "cut"}) if "stop" in ssh.told else RUNNING


def test_a_restart_that_waits_ends_it_and_what_was_found_is_kept(site: Site) -> None:
    site.ssh.answers = {"status": lambda: cut_by_stop(site.ssh), "read": report}
    site.world.requests.ask_for_person("node-1", AGENT, "anna", forced=False)

    ended = site.asked()

    assert (ended.outcome, ended.reason) == (
        Outcome.INCOMPLETE,
        "cut: a restart was asked for",
    )
    assert site.ssh.told[:3] == ["start", "stop", "status"]


def test_with_evidence_required_a_restart_waits_for_so_long_and_no_longer(site: Site) -> None:
    agents = cast(dict[str, Any], site.world.services.settings.agents)
    diagnose = dataclasses.replace(agents[AGENT].diagnose, require_evidence=True)
    agents[AGENT] = dataclasses.replace(agents[AGENT], diagnose=diagnose)
    site.ssh.answers = {"status": lambda: cut_by_stop(site.ssh), "read": report}
    site.world.requests.ask_for_person("node-1", AGENT, "anna", forced=False)
    began = site.world.clock.now()

    ended = site.asked()

    assert ended.outcome is Outcome.INCOMPLETE
    waited_seconds = site.world.clock.now() - began
    assert 0 < waited_seconds - diagnose.before_restart_timeout <= 2 * workflow.POLL_SECONDS
