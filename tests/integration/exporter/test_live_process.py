"""A live agent that grows, forks, execs and is restarted, seen through the running exporter."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stack.processes import wait_until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
MIB = 1024 * 1024
RSS = "memleash_agent_resident_memory_bytes{agent=a}"
TREE = "memleash_agent_tree_resident_memory_bytes{agent=a}"
START = "memleash_agent_start_time_seconds{agent=a}"
UP = "memleash_agent_up{agent=a}"
SUCCESS = "memleash_agent_sample_success{agent=a}"


def config(name: str, **more: object) -> dict[str, object]:
    return {"agents": [{"name": "a", "discover": {"cmdline": f" {name}$"}, **more}]}


def test_growth_is_seen_at_once_and_no_other_life_is_made_up(
    agents: Any, run_exporter: Callable[..., Any], tmp_path: Path
) -> None:
    agent = agents(tmp_path.name)
    exporter = run_exporter(config(tmp_path.name))
    before = exporter.scrape()
    agent.tell("grow 64")
    after = exporter.scrape()
    assert 63 * MIB < after[RSS] - before[RSS] < 70 * MIB
    assert after[START] == before[START]
    status = Path(f"/proc/{agent.pid}/status").read_text()
    assert after[RSS] == int(status.split("VmRSS:")[1].split()[0]) * 1024


def test_an_exec_is_the_same_life_with_fresh_memory(
    agents: Any, run_exporter: Callable[..., Any], tmp_path: Path
) -> None:
    agent = agents(tmp_path.name)
    exporter = run_exporter(config(tmp_path.name))
    agent.tell("grow 64")
    before = exporter.scrape()
    agent.tell("exec", answer="ready")
    after = exporter.scrape()
    assert after[START] == before[START]
    assert after[RSS] < before[RSS] - 60 * MIB


def test_children_count_in_the_tree_alone_and_show_as_busy(
    agents: Any, run_exporter: Callable[..., Any], tmp_path: Path
) -> None:
    agent = agents(tmp_path.name)
    exporter = run_exporter(
        config(
            tmp_path.name,
            include_children=True,
            busy=[{"children": {"cmdline": "^qemu-img convert "}}],
        )
    )
    agent.tell("grow 32")
    before = exporter.scrape()
    assert before["memleash_agent_busy{agent=a}"] == 0
    agent.tell("fork qemu-img convert")
    newborn = exporter.scrape()
    assert newborn[TREE] < before[TREE] + 16 * MIB, "a newborn child shows as its parent's double"

    def grown() -> bool:
        now = exporter.scrape()
        return bool(now[TREE] > now[RSS] and now["memleash_agent_busy{agent=a}"] == 1)

    from_start = newborn[RSS]
    wait_until("the child to count in the tree and as busy", grown)
    assert exporter.scrape()[RSS] == pytest.approx(from_start, abs=MIB)


def test_a_leak_in_a_child_is_seen_where_the_limits_are_of_the_tree(
    agents: Any, run_exporter: Callable[..., Any], tmp_path: Path
) -> None:
    agent = agents(tmp_path.name)
    discover = {"cmdline": f" {tmp_path.name}$"}
    kinds = ("main", "tree", "anonymous")
    exporter = run_exporter(
        {"agents": [{"name": of, "discover": discover, "limits": {"of": of}} for of in kinds]}
    )

    def limited() -> dict[str, float]:
        seen = exporter.scrape()
        return {of: seen[f"memleash_agent_limited_memory_bytes{{agent={of}}}"] for of in kinds}

    def settled() -> dict[str, float]:
        """Return what is held once the child has given back what its start took."""
        last = limited()

        def same() -> bool:
            nonlocal last
            before, last = last, limited()
            return before == last

        wait_until("the child to settle", same)
        return last

    before = limited()
    assert before["anonymous"] < before["main"] == before["tree"]
    agent.tell("leak 64")
    wait_until("the child to count", lambda: limited()["tree"] > before["tree"] + 64 * MIB)
    after = settled()
    for of in ("main", "anonymous"):
        assert after[of] == pytest.approx(before[of], abs=MIB), of
    agent.tell("grow 32")
    grown = limited()
    for of in kinds:
        assert 31 * MIB < grown[of] - after[of] < 40 * MIB, of


def test_a_restarted_agent_is_another_life_in_the_next_scrape(
    agents: Any, run_exporter: Callable[..., Any], tmp_path: Path
) -> None:
    first = agents(tmp_path.name)
    exporter = run_exporter(config(tmp_path.name))
    before = exporter.scrape()
    first.end()
    down = exporter.scrape()
    assert (down[UP], down[SUCCESS]) == (0, 1)
    assert RSS not in down
    assert START not in down
    agents(tmp_path.name)
    after = exporter.scrape()
    assert after[UP] == 1
    assert after[START] > before[START]


def test_two_separate_agents_of_one_description_are_an_error_that_names_both(
    agents: Any, run_exporter: Callable[..., Any], tmp_path: Path
) -> None:
    pids = sorted([agents(tmp_path.name).pid, agents(tmp_path.name).pid])
    exporter = run_exporter(config(tmp_path.name))
    seen = exporter.scrape()
    assert seen[SUCCESS] == 0
    assert UP not in seen
    assert f"2 separate process trees match, with roots {pids[0]}, {pids[1]}" in exporter.log()


def test_a_second_agent_that_comes_up_beside_the_first_makes_both_unknown(
    agents: Any, run_exporter: Callable[..., Any], tmp_path: Path
) -> None:
    """Seen: of two agents that a restart left, the one found first counted as the agent."""
    agents(tmp_path.name)
    exporter = run_exporter(config(tmp_path.name))
    assert exporter.scrape()[UP] == 1
    second = agents(tmp_path.name)
    wait_until("the first is not known any more", lambda: UP not in exporter.scrape())
    both = exporter.scrape()
    assert (START in both, both[SUCCESS]) == (False, 0)
    second.end()
    assert exporter.scrape()[UP] == 1


def pidfile_of(agent: Any, folder: Path) -> Path:
    """Let a pidfile name an agent, as the agent itself does when it starts."""
    pidfile = folder / "agent.pid"
    pidfile.write_text(str(agent.pid))
    return pidfile


def test_a_pidfile_that_comes_to_name_another_process_while_the_first_lives_is_unknown(
    agents: Any, run_exporter: Callable[..., Any], tmp_path: Path
) -> None:
    first = agents("first")
    pidfile = pidfile_of(first, tmp_path)
    exporter = run_exporter({"agents": [{"name": "a", "discover": {"pidfile": str(pidfile)}}]})
    before = exporter.scrape()
    second = agents("second")
    pidfile_of(second, tmp_path)
    both = exporter.scrape()
    assert (UP in both, both[SUCCESS]) == (False, 0)
    assert f"process {first.pid} still runs beside {second.pid}" in exporter.log()
    first.end()
    after = exporter.scrape()
    assert after[UP] == 1
    assert after[START] > before[START]


def test_an_older_process_like_the_one_in_the_pidfile_makes_both_unknown(
    agents: Any, run_exporter: Callable[..., Any], tmp_path: Path
) -> None:
    """Seen: a pidfile names one of the two agents that a restart left, and it counted as alone."""
    left_behind = agents(tmp_path.name)
    pidfile = pidfile_of(agents(tmp_path.name), tmp_path)
    agents("another")
    exporter = run_exporter({"agents": [{"name": "a", "discover": {"pidfile": str(pidfile)}}]})
    both = exporter.scrape()
    assert (UP in both, both[SUCCESS]) == (False, 0)
    assert f"process {left_behind.pid}, like " in exporter.log()
    left_behind.end()
    assert exporter.scrape()[UP] == 1
    agents(tmp_path.name)
    assert exporter.scrape()[UP] == 1, "a younger one may be the agent's own, detached from it"


def test_two_instances_of_one_daemon_each_with_its_pidfile_are_both_told(
    agents: Any, run_exporter: Callable[..., Any], tmp_path: Path
) -> None:
    watched = []
    for name in ("younger", "older"):
        (tmp_path / name).mkdir()
        pidfile = tmp_path / name / "agent.pid"
        watched.append({"name": name, "discover": {"pidfile": str(pidfile)}})
    pidfile_of(agents("agent"), tmp_path / "older")
    pidfile_of(agents("agent"), tmp_path / "younger")
    exporter = run_exporter({"agents": watched})
    exporter.scrape()  # which of them is looked at first is the configuration's choice
    seen = exporter.scrape()
    for name in ("younger", "older"):
        assert seen[f"memleash_agent_up{{agent={name}}}"] == 1, name


def test_a_zombie_is_down(run_exporter: Callable[..., Any], tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        pidfile = tmp_path / "zombie.pid"
        pidfile.write_text(str(zombie.pid))
        exporter = run_exporter({"agents": [{"name": "a", "discover": {"pidfile": str(pidfile)}}]})
        seen = exporter.scrape()
    assert (seen[UP], seen[SUCCESS]) == (0, 1)


NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that everybody may enter; every run of pytest closes those of its user."""
    with tempfile.TemporaryDirectory(prefix="memleash-exporter-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def as_nobody() -> tuple[str, ...]:
    """Return what to put before a command so that it runs without any privilege."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root, to become somebody else")
    if subprocess.run([*NOBODY, sys.executable, "-c", ""], check=False).returncode != 0:
        pytest.skip("this Python cannot be run by nobody")
    return NOBODY


@pytest.fixture
def hidden_procfs(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a procfs that hides other users' processes as hidepid=1 or 2 does."""
    mounted: list[Path] = []

    def mount(hidepid: str) -> Path:
        folder = tmp_path / "proc"
        folder.mkdir()
        options = f"hidepid={hidepid}"
        argv = ["mount", "-t", "proc", "-o", options, "proc", str(folder)]
        if subprocess.run(argv, check=False, capture_output=True).returncode != 0:
            pytest.skip("this kernel cannot mount one procfs with hidepid")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_an_exporter_without_privilege_reads_another_users_agent(
    agents: Any, run_exporter: Callable[..., Any], as_nobody: tuple[str, ...], tmp_path: Path
) -> None:
    agent = agents(tmp_path.name)
    exporter = run_exporter(config(tmp_path.name), prefix=as_nobody)
    seen = exporter.scrape()
    assert (seen[UP], seen[SUCCESS]) == (1, 1)
    status = Path(f"/proc/{agent.pid}/status").read_text()
    assert seen[RSS] == int(status.split("VmRSS:")[1].split()[0]) * 1024


def test_a_pidfile_that_may_not_be_read_is_unknown_not_down(
    agents: Any, run_exporter: Callable[..., Any], as_nobody: tuple[str, ...], tmp_path: Path
) -> None:
    pidfile = tmp_path / "agent.pid"
    pidfile.write_text(str(agents(tmp_path.name).pid))
    pidfile.chmod(0o600)
    exporter = run_exporter(
        {"agents": [{"name": "a", "discover": {"pidfile": str(pidfile)}}]}, prefix=as_nobody
    )
    seen = exporter.scrape()
    assert seen[SUCCESS] == 0
    assert UP not in seen
    assert RSS not in seen
    assert f"{pidfile} cannot be read: Permission denied" in exporter.log()


@pytest.mark.parametrize("hidden", ["pidfile, 1", "pidfile, 2", "cmdline, 1", "cmdline, 2"])
def test_a_hidden_agent_is_unknown_not_down_and_not_0_bytes(
    agents: Any,
    run_exporter: Callable[..., Any],
    as_nobody: tuple[str, ...],
    hidden_procfs: Callable[[str], Path],
    tmp_path: Path,
    hidden: str,
) -> None:
    by, hidepid = hidden.split(", ")
    pidfile = tmp_path / "agent.pid"
    pidfile.write_text(str(agents(tmp_path.name).pid))
    discover = {"pidfile": str(pidfile)} if by == "pidfile" else {"cmdline": f" {tmp_path.name}$"}
    procfs = hidden_procfs(hidepid)
    exporter = run_exporter(
        {"agents": [{"name": "a", "discover": discover}]},
        *("--path.procfs", str(procfs)),
        prefix=as_nobody,
    )
    seen = exporter.scrape()
    assert seen[SUCCESS] == 0
    assert UP not in seen
    assert RSS not in seen


def _owner_of(pidfile: Path) -> int | None:
    """Return the user of the process in ``pidfile``, None before one has written it."""
    pid = pidfile.read_text().strip() if pidfile.exists() else ""
    return Path(f"/proc/{pid}/cmdline").stat().st_uid if pid else None


@pytest.mark.parametrize("hidepid", ["1", "2"])
def test_a_hidden_descendant_makes_its_tree_unknown_and_never_less(
    run_exporter: Callable[..., Any],
    as_nobody: tuple[str, ...],
    hidden_procfs: Callable[[str], Path],
    tmp_path: Path,
    hidepid: str,
) -> None:
    """Seen: under hidepid=2 a child of another user counted as one that has ended."""
    pidfile, procfs = tmp_path / "agent.pid", hidden_procfs(hidepid)
    reader, writer = os.pipe()
    child, then_nobody = f"read line <&{reader} &", f"exec {shlex.join(as_nobody)} cat <&{reader}"
    orphan = f"({child} echo $BASHPID >{pidfile}; {then_nobody}) &"
    subprocess.run(["bash", "-c", orphan], pass_fds=[reader], stdout=subprocess.DEVNULL, check=True)
    os.close(reader)
    try:
        wait_until("it to be nobody's", lambda: _owner_of(pidfile) == 65534)
        watched = {
            "name": "a",
            "discover": {"pidfile": str(pidfile)},
            "limits": {"of": "tree"},
            "busy": [{"children": {"cmdline": "qemu-img"}}],
        }
        exporter = run_exporter(
            {"agents": [watched]}, "--path.procfs", str(procfs), prefix=as_nobody
        )
        seen = exporter.scrape()
    finally:
        os.close(writer)
    assert (seen[UP], seen[SUCCESS]) == (1, 0)
    assert RSS in seen
    for unknown in ("limited_memory_bytes", "tree_resident_memory_bytes", "busy"):
        assert f"memleash_agent_{unknown}{{agent=a}}" not in seen, unknown


def test_a_thousand_restarts_under_one_pid_never_mix_two_lives(tmp_path: Path) -> None:
    """See ``same_pid_restarts.py``, which runs in a pid namespace of its own."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    if os.geteuid() != 0:
        unshare.insert(1, "--map-root-user")
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no pid namespaces for us here")
    finished = subprocess.run(
        [*unshare, sys.executable, str(Path(__file__).with_name("same_pid_restarts.py")), "1000"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    result = json.loads(finished.stdout)
    assert result["lives"] == 1000
    assert result["lives_sampled"] > 500
    assert result["mixed"] == []
