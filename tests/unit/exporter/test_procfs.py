"""Reading processes: odd names, zombies, kernel threads, and processes that end meanwhile."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from exporter.adapters.procfs import Memory, Procfs, Stat
from exporter.errors import CannotTell, ProcessGone


@pytest.mark.parametrize(
    "name",
    [b"plain", b"with space", b") S 1 2 3 (", b"(((", b"new\nline", b"\xff\xfe", b"", b"a) R (b"],
)
def test_a_name_of_any_kind_leaves_the_numbers_right(fake_procfs: Any, name: bytes) -> None:
    fake_procfs.add(7, name=name, parent=3, start_ticks=99, threads=4)
    with fake_procfs.open().open(7) as process:
        assert process.stat() == Stat(parent_pid=3, cpu_seconds=2.0, threads=4, start_ticks=99)


def test_memory_is_told_in_bytes(fake_procfs: Any) -> None:
    fake_procfs.add(7, rss_kib=2048)
    with fake_procfs.open().open(7) as process:
        assert process.memory() == Memory(2048 * 1024, 512 * 1024, 0)


def test_an_old_kernel_that_tells_less_is_not_zero(fake_procfs: Any) -> None:
    (fake_procfs.add(7) / "status").write_bytes(b"Name:\tagent\nVmRSS:\t4 kB\n")
    with fake_procfs.open().open(7) as process:
        assert process.memory() == Memory(4096, None, None)


def test_a_kernel_thread_has_no_memory_rather_than_none_used(fake_procfs: Any) -> None:
    fake_procfs.add(7, rss_kib=None, cmdline=b"")
    with fake_procfs.open().open(7) as process, pytest.raises(CannotTell, match="kernel thread"):
        process.memory()


@pytest.mark.parametrize("state", [b"Z", b"X"])
def test_a_zombie_is_gone(fake_procfs: Any, state: bytes) -> None:
    fake_procfs.add(7, state=state, rss_kib=None)
    with fake_procfs.open().open(7) as process:
        with pytest.raises(ProcessGone):
            process.stat()
        with pytest.raises(ProcessGone):
            process.memory()


def test_a_process_whose_first_thread_ended_lives_on(fake_procfs: Any) -> None:
    fake_procfs.add(7, state=b"Z", threads=3, rss_kib=None)
    with fake_procfs.open().open(7) as process:
        assert process.stat().threads == 3
        with pytest.raises(CannotTell):
            process.memory()


def test_a_process_that_ends_between_two_reads_is_gone(fake_procfs: Any) -> None:
    directory = fake_procfs.add(7)
    with fake_procfs.open().open(7) as process:
        process.stat()
        shutil.rmtree(directory)
        for read in (process.stat, process.memory, process.open_fds, process.children):
            with pytest.raises(ProcessGone):
                read()
    with pytest.raises(ProcessGone):
        fake_procfs.open().open(7)


def test_what_is_torn_is_not_guessed(fake_procfs: Any) -> None:
    (fake_procfs.add(7) / "stat").write_bytes(b"7 (agent) S 1")
    with fake_procfs.open().open(7) as process, pytest.raises(CannotTell, match="not as expected"):
        process.stat()


def test_a_command_line_keeps_every_byte(fake_procfs: Any) -> None:
    fake_procfs.add(7, cmdline=b"a b\0\xff\0\n\0")
    with fake_procfs.open().open(7) as process:
        assert process.command_line() == "a b \udcff \n"


def test_descendants_are_found_from_parent_to_child(fake_procfs: Any) -> None:
    fake_procfs.add(7, children=(8, 9))
    fake_procfs.add(8, parent=7, children=(10,))
    fake_procfs.add(9, parent=7)
    fake_procfs.add(10, parent=8, children=(11,))  # 11 has ended since
    assert sorted(fake_procfs.open().descendants(7)) == [8, 9, 10, 11]


def test_a_kernel_that_does_not_tell_children_is_not_a_childless_agent(fake_procfs: Any) -> None:
    (fake_procfs.add(7) / "task" / "7" / "children").unlink()
    with pytest.raises(CannotTell, match="children"):
        fake_procfs.open().descendants(7)


def test_descriptors_are_counted_also_where_the_kernel_does_not(fake_procfs: Any) -> None:
    directory = fake_procfs.add(7)
    for number in range(5):
        (directory / "fd" / str(number)).touch()
    with fake_procfs.open().open(7) as process:
        assert process.open_fds() == 5


def test_our_own_descriptors_are_counted_right() -> None:
    real = Path("/proc")
    with Procfs(real).open(os.getpid()) as process:
        before = process.open_fds()
        assert before is not None
        opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(7)]
        try:
            assert process.open_fds() == before + 7
        finally:
            for descriptor in opened:
                os.close(descriptor)


def test_hidden_processes_are_noticed(fake_procfs: Any) -> None:
    assert fake_procfs.open().shows_all_processes()
    shutil.rmtree(fake_procfs.root / "1")
    assert not fake_procfs.open().shows_all_processes()


def test_a_procfs_that_is_none_cannot_tell(tmp_path: Path) -> None:
    procfs = Procfs(tmp_path / "nowhere")
    for read in (procfs.pids, procfs.boot_time, procfs.uptime):
        with pytest.raises(CannotTell):
            read()
