"""Finding the agent: pidfile, command line, systemd unit, and when nobody can say."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from memleash_exporter.adapters import discovery, unit_pids
from memleash_exporter.adapters.discovery import Walk
from memleash_exporter.adapters.systemd import TIMEOUT_SECONDS, Systemctl, UnitState
from memleash_exporter.errors import CannotTell, SeveralAgents


@pytest.fixture
def pidfile(tmp_path: Path) -> Path:
    return tmp_path / "agent.pid"


def written(pidfile: Path, content: str, at: float) -> Path:
    pidfile.write_text(content)
    os.utime(pidfile, (at, at))
    return pidfile


class TestPidfile:
    def test_names_the_process(self, fake_procfs: Any, pidfile: Path) -> None:
        fake_procfs.add(7, start_ticks=100)  # started at 1001
        assert discovery.by_pidfile(fake_procfs.processes(), written(pidfile, "7\n", 1002)) == 7

    def test_absent_is_down(self, fake_procfs: Any, pidfile: Path) -> None:
        assert discovery.by_pidfile(fake_procfs.processes(), pidfile) is None

    def test_of_a_dead_process_is_down(self, fake_procfs: Any, pidfile: Path) -> None:
        assert discovery.by_pidfile(fake_procfs.processes(), written(pidfile, "7", 1002)) is None

    def test_of_a_zombie_is_down(self, fake_procfs: Any, pidfile: Path) -> None:
        fake_procfs.add(7, state=b"Z")
        assert discovery.by_pidfile(fake_procfs.processes(), written(pidfile, "7", 1002)) is None

    def test_older_than_its_process_is_not_believed(self, fake_procfs: Any, pidfile: Path) -> None:
        fake_procfs.add(7, start_ticks=1000)  # started at 1010
        assert discovery.by_pidfile(fake_procfs.processes(), written(pidfile, "7", 1008.1)) == 7
        with pytest.raises(CannotTell, match="stale pidfile"):
            discovery.by_pidfile(fake_procfs.processes(), written(pidfile, "7", 1007.9))

    @pytest.mark.parametrize("content", ["", "agent", "-7", "0", "7 8", "7.5"])
    def test_without_a_pid_cannot_tell(self, fake_procfs: Any, pidfile: Path, content: str) -> None:
        with pytest.raises(CannotTell, match="holds no pid"):
            discovery.by_pidfile(fake_procfs.processes(), written(pidfile, content, 1002))

    def test_that_is_no_file_cannot_tell(self, fake_procfs: Any, tmp_path: Path) -> None:
        with pytest.raises(CannotTell, match="cannot be read"):
            discovery.by_pidfile(fake_procfs.processes(), tmp_path)


class TestCommandLine:
    def find(self, fake_procfs: Any, pattern: str) -> int | None:
        procfs = fake_procfs.processes()
        return discovery.by_command_line(procfs, Walk(procfs), pattern)

    def test_is_searched_in_the_arguments_joined_by_spaces(self, fake_procfs: Any) -> None:
        fake_procfs.add(7, cmdline=b"/usr/bin/python3\0-m\0kvm agent\0")
        fake_procfs.add(8, cmdline=b"/bin/other\0")
        assert self.find(fake_procfs, r"python3 -m kvm agent$") == 7

    def test_without_a_match_is_down(self, fake_procfs: Any) -> None:
        assert self.find(fake_procfs, "nothing") is None

    def test_takes_the_root_of_one_tree_over_a_shell_in_between(self, fake_procfs: Any) -> None:
        fake_procfs.add(7, cmdline=b"agent\0")
        fake_procfs.add(8, parent=7, cmdline=b"sh\0")
        fake_procfs.add(9, parent=8, cmdline=b"agent\0worker\0")
        assert self.find(fake_procfs, "^agent") == 7

    def test_names_both_of_two_trees_instead_of_guessing(self, fake_procfs: Any) -> None:
        fake_procfs.add(7, cmdline=b"agent\0")
        fake_procfs.add(9, cmdline=b"agent\0")
        with pytest.raises(CannotTell, match="2 separate process trees match, with roots 7, 9"):
            self.find(fake_procfs, "^agent")

    def test_never_matches_kernel_threads_and_zombies(self, fake_procfs: Any) -> None:
        fake_procfs.add(7, cmdline=b"", name=b"agent")
        assert self.find(fake_procfs, "agent") is None

    def test_never_matches_the_exporter_itself(self, fake_procfs: Any) -> None:
        fake_procfs.add(os.getpid(), cmdline=b"memleash-exporter\0")
        assert self.find(fake_procfs, "memleash-exporter") is None

    def test_finds_bytes_that_are_not_utf8(self, fake_procfs: Any) -> None:
        fake_procfs.add(7, cmdline=b"agent\xff\nx\0")
        assert self.find(fake_procfs, r"^agent.\nx$") == 7

    def test_is_read_once_for_all_agents(self, fake_procfs: Any) -> None:
        fake_procfs.add(7, cmdline=b"one\0")
        fake_procfs.add(8, cmdline=b"two\0")
        walk = Walk(fake_procfs.processes(), ["one", "two"])
        assert walk.matching("one") == [7]
        shutil.rmtree(fake_procfs.root / "8")
        assert walk.matching("two") == [8]
        assert walk.matching("three|two") == [], "what was not announced is walked for"

    def test_hidden_cannot_tell(self, fake_procfs: Any) -> None:
        directory = fake_procfs.add(7)
        (directory / "cmdline").unlink()
        (directory / "cmdline").mkdir()  # even root cannot read that
        with pytest.raises(CannotTell, match="1 command lines cannot be read"):
            self.find(fake_procfs, "other")


class TestAlone:
    def test_an_older_process_of_the_same_command_line_is_named(self, fake_procfs: Any) -> None:
        fake_procfs.add(7, start_ticks=100)
        fake_procfs.add(8, start_ticks=200)
        with pytest.raises(SeveralAgents, match="process 7, like 8 and older, still runs"):
            discovery.check_alone(fake_procfs.processes(), [], 8)
        discovery.check_alone(fake_procfs.processes(), [], 7)

    def test_an_older_process_that_is_another_agent_was_not_left_behind(
        self, fake_procfs: Any
    ) -> None:
        """Seen: of two instances of one daemon, each with its pidfile, the younger was unknown."""
        fake_procfs.add(7, start_ticks=100)
        fake_procfs.add(8, start_ticks=200)
        discovery.check_alone(fake_procfs.processes(), [7, 8], 8)


class Answers(Systemctl):
    """A systemctl with a ready answer that counts how often it is asked."""

    def __init__(self, state: UnitState | None) -> None:
        super().__init__()
        self._state = state
        self.asked = 0

    def unit_state(self, unit: str, timeout: float = TIMEOUT_SECONDS) -> UnitState | None:
        self.asked += 1
        return self._state


class TestSystemdUnit:
    @pytest.fixture(params=["", "unified", "systemd"])
    def slice_(self, request: Any, tmp_path: Path) -> Path:
        made = tmp_path / "cgroup" / request.param / "system.slice"
        made.mkdir(parents=True)
        return Path(made)

    def unit(self, slice_: Path, *pids: int, name: str = "a.service") -> None:
        (slice_ / name).mkdir(parents=True)
        (slice_ / name / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))

    def find(self, fake_procfs: Any, tmp_path: Path, systemctl: Systemctl) -> int | None:
        return discovery.by_systemd_unit(
            fake_procfs.processes(), tmp_path / "cgroup", systemctl, "a.service"
        )

    def test_is_what_systemd_says(self, fake_procfs: Any, tmp_path: Path, slice_: Path) -> None:
        self.unit(slice_, 7, 8)
        systemctl = Answers(UnitState(main_pid=8, is_active=True))
        assert self.find(fake_procfs, tmp_path, systemctl) == 8

    @pytest.mark.parametrize("group", ["none", "empty"])
    def test_without_a_process_is_down_and_systemd_not_bothered(
        self, fake_procfs: Any, tmp_path: Path, slice_: Path, group: str
    ) -> None:
        if group == "empty":
            self.unit(slice_)
        systemctl = Answers(UnitState(main_pid=8, is_active=True))
        assert self.find(fake_procfs, tmp_path, systemctl) is None
        assert systemctl.asked == 0

    def test_whose_leftover_child_lives_on_is_down(
        self, fake_procfs: Any, tmp_path: Path, slice_: Path
    ) -> None:
        fake_procfs.add(8, cmdline=b"qemu\0")
        self.unit(slice_, 8)
        assert self.find(fake_procfs, tmp_path, Answers(UnitState(None, is_active=False))) is None

    @pytest.mark.parametrize("state", [UnitState(None, is_active=True), None])
    def test_without_a_main_process_or_anyone_to_ask_is_the_root_of_its_tree(
        self, fake_procfs: Any, tmp_path: Path, slice_: Path, state: UnitState | None
    ) -> None:
        fake_procfs.add(7)
        fake_procfs.add(8, parent=7)
        self.unit(slice_, 8, 7)
        assert self.find(fake_procfs, tmp_path, Answers(state)) == 7

    def test_in_a_slice_of_its_own_is_found(
        self, fake_procfs: Any, tmp_path: Path, slice_: Path
    ) -> None:
        fake_procfs.add(7)
        self.unit(slice_.parent / "agents.slice" / "agents-one.slice", 7)
        assert self.find(fake_procfs, tmp_path, Answers(None)) == 7

    def test_with_groups_of_its_own_below_is_found(
        self, fake_procfs: Any, tmp_path: Path, slice_: Path
    ) -> None:
        fake_procfs.add(7)
        self.unit(slice_)
        self.unit(slice_ / "a.service", 7, name="payload")
        assert self.find(fake_procfs, tmp_path, Answers(None)) == 7

    def test_without_systemd_cannot_tell(self, tmp_path: Path) -> None:
        with pytest.raises(CannotTell, match="systemd is not in charge here"):
            unit_pids.unit_pids(tmp_path, "a.service")


class TestSystemctl:
    def program(self, tmp_path: Path, text: str) -> str:
        file = tmp_path / "systemctl"
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return str(file)

    @pytest.mark.parametrize(
        ("answer", "state"),
        [
            ("MainPID=42\\nActiveState=active", UnitState(42, is_active=True)),
            ("MainPID=0\\nActiveState=active", UnitState(None, is_active=True)),
            ("MainPID=0\\nActiveState=failed", UnitState(None, is_active=False)),
            ("MainPID=42\\nActiveState=deactivating", UnitState(42, is_active=False)),
            ("", UnitState(None, is_active=False)),
        ],
    )
    def test_is_understood(self, tmp_path: Path, answer: str, state: UnitState) -> None:
        said = Systemctl(self.program(tmp_path, f"printf '{answer}\\n'")).unit_state("a.service")
        assert said == state

    def test_is_asked_about_the_unit_and_no_option(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        Systemctl(self.program(tmp_path, f'echo "$@" > {log}')).unit_state("-H.service")
        assert log.read_text() == "show --property=MainPID,ActiveState -- -H.service\n"

    def test_that_is_not_there_is_nobody_to_ask(self, tmp_path: Path) -> None:
        assert Systemctl(str(tmp_path / "none")).unit_state("a.service") is None

    @pytest.mark.parametrize("text", ["exit 1", "exec sleep 60"])
    def test_that_fails_or_hangs_is_left_alone_for_a_while(self, tmp_path: Path, text: str) -> None:
        log = tmp_path / "log"
        systemctl = Systemctl(self.program(tmp_path, f"echo asked >> {log}; {text}"))
        for _ in range(3):
            with pytest.raises(CannotTell, match="did not answer"):
                systemctl.unit_state("a.service")
        assert log.read_text() == "asked\n"

    def test_says_what_it_complains_of(self, tmp_path: Path) -> None:
        complaint = "echo 'Failed to connect to bus:' >&2; echo 'Host is down' >&2; exit 1"
        with pytest.raises(CannotTell) as told:
            Systemctl(self.program(tmp_path, complaint)).unit_state("a.service")
        assert str(told.value) == "systemctl did not answer: Failed to connect to bus: Host is down"
