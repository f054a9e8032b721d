"""Without tools, without rights, on an agent of endless words: a shorter report, a living agent."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.stack.leaking_agents import PYTHONS_2
from demo.stack.processes import wait_until
from memleash_responder.adapters.diagnoser import Diagnoser, DiagnoserError
from memleash_responder.adapters.diagnoser_program import Verb
from memleash_responder.adapters.ssh.client import SshClient
from memleash_responder.core.diagnosis_settings import AgentSignal
from tests.integration.adapters import neighbours
from tests.integration.diagnose.conftest import Agent, Diagnosis, Heart
from tests.integration.diagnose.test_leaks_are_named import diagnosed, first_suspect

pytestmark = pytest.mark.integration

Diagnoses = Callable[..., Diagnosis]
AS_ROOT = () if os.geteuid() == 0 else ("sudo", "-n")
NOBODY = (*AS_ROOT, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
ROOT_THAT_MAY_NOT_TRACE = (*AS_ROOT, "setpriv", "--bounding-set=-sys_ptrace", "--")
"""As in a container. Yama's ptrace_scope 3 is tried in a machine of its own (tools/machines)."""


@pytest.fixture
def no_tools(tmp_path: Path) -> str:
    """A PATH with nothing on it: no gdb, no eu-stack, no py-spy."""
    (tmp_path / "no-tools").mkdir()
    return str(tmp_path / "no-tools")


@pytest.mark.heartbeat
def test_without_any_tool_growth_is_named_all_the_same(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart, no_tools: str
) -> None:
    diagnosis = diagnosis_of(agent("leaks_a_list.py").pid, native_stacks=True)
    diagnosis.path = no_tools

    report = diagnosed(diagnosis)

    assert first_suspect(report).startswith("- list `__main__.SESSIONS` grew by ")
    assert any("py-spy is missing" in note for note in report["notes"])
    assert heart.goes_on()


@pytest.mark.heartbeat
@pytest.mark.parametrize(
    ("user", "advice"),
    [
        (NOBODY, "run the diagnoser as root through sudo"),
        (ROOT_THAT_MAY_NOT_TRACE, "not even root may trace here"),
    ],
    ids=["nobody", "root"],
)
def test_a_user_without_rights_gets_the_facts_and_a_line_for_all_else(
    agent: Agent, heart: Heart, diagnosis_of: Diagnoses, user: tuple[str, ...], advice: str
) -> None:
    child = agent("leaks_a_list.py")
    wait_until("the agent works", lambda: heart.beats() > 20)
    plan = dataclasses.replace(
        diagnosis_of(child.pid, native_stacks=True).plan,
        marker_root="",
        work_root=f"/var/tmp/memleash-test-{child.pid}",
    )
    diagnosis = Diagnosis(plan, python=" ".join([*user, "/usr/bin/python3"]))

    try:
        diagnosis.tell(Verb.START)
        assert diagnosis.ended() == {"state": "done", "outcome": "complete"}
        report = diagnosis.report()
    finally:
        subprocess.run([*AS_ROOT, "rm", "-rf", plan.work_root], check=True)

    assert report["facts"]["status"]["Name"].startswith("python")
    assert report["facts"]["identity"]["command_line"][1].endswith("leaks_a_list.py")
    notes = "\n".join(report["notes"])
    for what in ("stacks-python: ", "stacks-native: ", "growth: "):
        assert what in notes
    assert advice in notes
    assert "CAP_SYS_PTRACE" in notes
    who_may = "program, maps, open_fds cannot be read: only the agent's own user may, and root"
    assert (who_may in notes) == (user == NOBODY)
    assert heart.goes_on()


def test_where_its_memory_may_not_be_read_a_c_programs_mappings_are_told_all_the_same(
    agent: Agent, heart: Heart, diagnosis_of: Diagnoses, leaking_c: Path
) -> None:
    plan = dataclasses.replace(
        diagnosis_of(agent(leaking_c).pid, profile="native").plan,
        interval_seconds=1.0,  # a program that gets no CPU for a round does not grow in it
        marker_root="",
        work_root=f"/var/tmp/memleash-test-native-{os.getpid()}",
    )
    diagnosis = Diagnosis(plan, python=" ".join([*ROOT_THAT_MAY_NOT_TRACE, "/usr/bin/python3"]))

    try:
        report = diagnosed(diagnosis)
    finally:
        subprocess.run([*AS_ROOT, "rm", "-rf", plan.work_root], check=True)

    assert [one["name"] for one in report["grown"]["mappings"]] == ["[heap] rw-p"]
    (chunks,) = (note for note in report["notes"] if note.startswith("chunks: "))
    assert "the agent's memory may not be read: not even root may trace here" in chunks


def test_a_sudo_that_wants_a_terminal_is_told_what_to_set(
    diagnosis_of: Diagnoses, tmp_path: Path
) -> None:
    """No terminal here, whatever ssh.pty says: the program comes over standard input."""
    python = f"{neighbours.sudo_with_requiretty(tmp_path)} python3"
    with contextlib.ExitStack() as stack:
        sshd = neighbours.start_sshd(stack, tmp_path)
        diagnoser = Diagnoser(SshClient(sshd.settings(pty=True)))
        with pytest.raises(DiagnoserError, match="requiretty, and a diagnosis never has"):
            diagnoser.tell(sshd.host, Verb.START, diagnosis_of(1).plan, python)


@pytest.mark.parametrize("python", PYTHONS_2)
def test_an_agent_of_python_2_has_stacks_a_census_and_its_own_dump(
    agent: Agent, diagnosis_of: Diagnoses, tmp_path: Path, python: str
) -> None:
    log = tmp_path / "agent.log"
    child = agent("leaks_on_python_2.py", log, python=python)
    wait_until("the agent works", log.exists)

    report = diagnosed(diagnosis_of(child.pid, signal=AgentSignal("USR2", str(log))))

    assert report["way"] == "census"
    assert report["grown"]["types"][0]["name"] in ("__main__.Session", "builtins.dict")
    assert "leaks_on_python_2.py" in report["texts"]["raw/stacks-python.txt"]
    assert report["texts"]["raw/signal-last.txt"].endswith(" sessions\n")
