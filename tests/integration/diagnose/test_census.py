"""The census of CPython's objects, read from outside, against agents of every version at hand."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack.leaking_agents import LATER_3_13, PYENV, PYTHON_3_14, PYTHONS
from demo.stack.processes import wait_until
from memleash_diagnoser import growth, process, tools
from memleash_diagnoser.census import Census, Look
from tests.integration.diagnose.conftest import Agent, Heart

pytestmark = pytest.mark.integration

ALL_PYTHONS = [
    python
    for python in map(
        str, (*PYTHONS, LATER_3_13, "/usr/bin/python3", *PYENV.glob("[23].*/bin/python"))
    )
    if Path(python).exists()
]
"""From 2.7 to 3.14, as far as they are here: pyenv's are libraries, Debian's is one program."""


@pytest.fixture(params=sorted(set(ALL_PYTHONS)))
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Still = tuple[Census, dict[str, list[int]]]


@pytest.fixture
def still(agent: Agent, python: str, tmp_path: Path) -> Iterator[Still]:
    """A sleeping agent's census, and what it said itself: count and bytes by type."""
    told = tmp_path / "told"
    child = agent("census_truth.py", str(told), python=python)
    wait_until("the agent has counted itself", told.exists)
    truth = {}
    for line in told.read_text().splitlines():
        name, count, size = line.rsplit(" ", 2)
        truth[name.replace("__builtin__.", "builtins.")] = [int(count), int(size)]
    census = Census(process.find(child.pid))
    yield census, truth
    census.close()


OWN_WORK = {"builtins." + name for name in ("frame", "list", "listiterator", "tuple")}
"""What the counting itself needs in Python 2.7 to 3.7."""


def test_a_still_agent_is_counted_exactly(still: Still) -> None:
    census, truth = still
    own_work = OWN_WORK if before_3_8(census) else set()

    look = census.look(30.0)

    counted = {name: count for name, (count, _) in look.types.items() if name not in own_work}
    assert counted == {name: count for name, (count, _) in truth.items() if name not in own_work}
    for name in own_work & truth.keys():
        assert look.types.get(name, [0])[0] == pytest.approx(truth[name][0], abs=2)
    assert (look.is_sure, look.notes) == (True, [])


def test_containers_take_what_the_agent_says_they_take(still: Still) -> None:
    census, truth = still

    types = census.look(30.0).types

    for name in ("builtins.set", "collections.deque", "__main__.Slotted", "__main__.OwnTuple"):
        assert types[name] == truth[name]
    for name in ("builtins.list", "builtins.dict"):
        assert types[name][1] == pytest.approx(truth[name][1], rel=0.01)


def test_long_containers_are_named_by_who_holds_them(still: Still) -> None:
    census, _ = still
    found = census.look(30.0).containers

    names = census.names(list(found), 30.0)

    assert {names[key][0]: (kind, length) for key, (kind, length) in found.items()}.items() >= {
        "__main__.LONG_LIST": ("list", 900),
        "__main__.LONG_SET": ("set", 800),
        "__main__.LONG_DEQUE": ("deque", 999),
        "__main__.LONG_DICT": ("dict", 700),
        "Plain.held": ("list", 600),
        "Plain.SHARED": ("list", 601),
        "Slotted.left": ("list", 602),
        "OldStyle.late": ("list", 603),
        "__main__.BY_USER[...]": ("OwnList", 604),
    }.items()
    elements = {names[key][0]: names[key][1] for key in found}
    assert elements["__main__.LONG_DICT"] == "list"
    assert elements["__main__.LONG_DEQUE"] == "int"
    assert elements["__main__.BY_USER[...]"] == "Plain"


def before_3_8(census: Census) -> bool:
    return tuple(map(int, census.version.split(".")[:2])) < (3, 8)


def looks_at(child: subprocess.Popen[bytes], heart: Heart, count: int) -> list[Look]:
    """Look so often, with some beats of the agent between two looks."""
    with contextlib.closing(Census(process.find(child.pid))) as census:
        looks = [census.look(30.0)]
        for _ in range(count - 1):
            assert heart.goes_on()
            looks.append(census.look(30.0))
        return looks


@pytest.mark.heartbeat
@pytest.mark.parametrize("green", ["eventlet", "gevent"])
def test_green_threads_are_counted_like_others(agent: Agent, heart: Heart, green: str) -> None:
    child = agent("leaks_under_green_threads.py", green)
    wait_until("the agent works", lambda: heart.beats() > 20)

    looks = looks_at(child, heart, 5)

    grown = growth.grown([look.types for look in looks], 16 * 1024)
    assert {found.name for found in grown[:2]} == {"__main__.Job", "builtins.list"}
    longer = growth.grown_containers([look.containers for look in looks], 50)
    with contextlib.closing(Census(process.find(child.pid))) as census:
        names = census.names([longer[0].id], 30.0)
    assert names[longer[0].id][:2] == ["Queue.done", "Job"]


def holds_a_list(pid: int) -> bool:
    """Return whether a census of ``pid`` finds the list of HOLDS_A_LIST and names it."""
    try:
        counted = Census(process.find(pid))
    except tools.Refused:  # it is not up yet
        return False
    with contextlib.closing(counted) as census:
        found = census.look(30.0).containers
        names = census.names(list(found), 30.0)
    return ["list", 4321, "__main__.HELD"] in [[*found[key], names[key][0]] for key in found]


HOLDS_A_LIST = "import time; HELD = [()] * 4321; time.sleep(1000)"


def test_an_agent_whose_files_are_gone_is_counted(agent: Agent, tmp_path: Path) -> None:
    program = tmp_path / "python3"
    shutil.copyfile("/usr/bin/python3", program)
    program.chmod(0o755)
    child = agent(program, "-c", HOLDS_A_LIST)
    wait_until("the agent works", lambda: holds_a_list(child.pid))

    program.unlink()

    assert str(Path(f"/proc/{child.pid}/exe").readlink()).endswith(" (deleted)")
    assert holds_a_list(child.pid)


@pytest.mark.parametrize("tree", [PYTHON_3_14.parent] if PYTHON_3_14.exists() else [])
def test_an_agent_in_a_container_is_counted(agent: Agent, tree: Path) -> None:
    """It has a root, mounts and pids of its own; its interpreter is started by a loader."""
    loader = next(iter(tree.glob("usr/lib*/ld-linux-*.so.*"))).relative_to(tree)
    libraries = next(iter(tree.glob("usr/lib/*-linux-gnu"))).relative_to(tree)
    user = ["--user", "--map-root-user"] if os.geteuid() else []
    container = ["unshare", *user, "--mount", "--pid", "--fork", "--kill-child"]
    words = [f"/{loader}", "--library-path", f"/{libraries}", "/usr/bin/python3.14", "-c"]
    first = agent(*container, "env", "PYTHONHOME=/usr", "chroot", tree, *words, HOLDS_A_LIST)
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children")
    pid = int(wait_until("the container has a process", children.read_text))

    wait_until("the list is found", lambda: holds_a_list(pid))


def test_what_is_no_cpython_is_refused_with_a_reason(
    agent: Agent, heart: Heart, leaking_c: Path
) -> None:
    child = agent(leaking_c)
    wait_until("the agent works", lambda: heart.beats() > 0)

    with pytest.raises(tools.Refused, match="it is no CPython"):
        Census(process.find(child.pid))


@pytest.mark.heartbeat
@pytest.mark.parametrize("python", PYTHONS)
def test_a_hundred_looks_leave_the_heart_as_it_was(agent: Agent, heart: Heart, python: str) -> None:
    child = agent("is_busy.py", python=python)
    wait_until("the agent works", lambda: heart.beats() > 20)

    with contextlib.closing(Census(process.find(child.pid))) as census:
        looks = [census.look(30.0) for _ in range(100)]

    assert all(look.objects > 1000 for look in looks)
    assert heart.goes_on()
