"""Reading processes: odd names, zombies, kernel threads, and processes that end meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from memleash_exporter.adapters.processes import Processes, Usage
from memleash_exporter.errors import CannotTell, ProcessGone

REAL = Path("/proc")


@pytest.mark.parametrize(
    "name",
    [b"plain", b"with space", b") S 1 2 3 (", b"(((", b"new\nline", b"\xff\xfe", b"", b"a) R (b"],
)
def test_a_name_of_any_kind_leaves_the_numbers_right(fake_procfs: Any, name: bytes) -> None:
    fake_procfs.add(7, name=name, parent=3, start_ticks=99, threads=4)
    process = fake_procfs.processes().get(7)
    assert (process.parent_pid(), process.start_ticks()) == (3, 99)
    assert (process.usage().cpu_seconds, process.usage().threads) == (2.0, 4)


def test_memory_is_told_in_bytes(fake_procfs: Any) -> None:
    fake_procfs.add(7, rss_kib=2048)
    told = Usage(2048 * 1024, 512 * 1024, 0, 2.0, threads=1, open_fds=0)
    assert fake_procfs.processes().get(7).usage() == told
    assert fake_procfs.processes().get(7).resident_bytes() == 2048 * 1024


def test_our_own_usage_is_what_the_kernel_says() -> None:
    usage = Processes(REAL).get(os.getpid()).usage()
    status = (REAL / "self" / "status").read_text()
    for name, value in (
        ("VmRSS", usage.resident_bytes),
        ("RssAnon", usage.anonymous_bytes),
        ("VmSwap", usage.swap_bytes),
    ):
        said = int(status.split(f"{name}:")[1].split()[0]) * 1024
        assert value == pytest.approx(said, abs=2 * 1024**2), name


def test_a_kernel_that_does_not_tell_swap_is_not_zero(fake_procfs: Any) -> None:
    (fake_procfs.add(7) / "status").write_bytes(b"Name:\tagent\nVmRSS:\t4 kB\nThreads:\t1\n")
    assert fake_procfs.processes().get(7).usage().swap_bytes is None


def test_a_kernel_thread_has_no_memory_rather_than_none_used(fake_procfs: Any) -> None:
    fake_procfs.add(7, rss_kib=None, cmdline=b"")
    with pytest.raises(CannotTell, match="kernel thread"):
        fake_procfs.processes().get(7).usage()


@pytest.mark.parametrize("state", [b"Z", b"X"])
def test_a_zombie_is_gone(fake_procfs: Any, state: bytes) -> None:
    fake_procfs.add(7, state=state, rss_kib=None)
    process = fake_procfs.processes().get(7)
    for read in (process.check, process.start_ticks, process.usage):
        with pytest.raises(ProcessGone):
            read()


def test_a_process_whose_first_thread_ended_lives_on(fake_procfs: Any) -> None:
    fake_procfs.add(7, state=b"Z", threads=3, rss_kib=None)
    process = fake_procfs.processes().get(7)
    process.check()
    with pytest.raises(CannotTell):
        process.usage()


def test_a_process_that_ends_between_two_reads_is_gone(fake_procfs: Any) -> None:
    directory = fake_procfs.add(7)
    process = fake_procfs.processes().get(7)
    process.check()
    shutil.rmtree(directory)
    reads = (
        process.check,
        process.check_pid,
        process.usage,
        process.resident_bytes,
        process.start_ticks,
        process.command_line,
        lambda: fake_procfs.processes().descendants(7),
        lambda: fake_procfs.processes().get(7),
    )
    for read in reads:
        with pytest.raises(ProcessGone):
            read()


def test_a_life_is_over_when_its_pid_is_anothers(fake_procfs: Any) -> None:
    fake_procfs.add(7, start_ticks=100)
    process = fake_procfs.processes().get(7)
    fake_procfs.add(7, start_ticks=101)
    process.usage()  # psutil reads by number
    for check in (process.check, process.check_pid):
        with pytest.raises(ProcessGone, match="another's"):
            check()


def test_what_is_torn_is_not_guessed(fake_procfs: Any) -> None:
    directory = fake_procfs.add(7)
    process = fake_procfs.processes().get(7)
    (directory / "stat").write_bytes(b"7 (agent) S 1")
    for read in (process.usage, process.start_ticks, process.check):
        with pytest.raises(CannotTell, match="not as expected"):
            read()


def test_a_command_line_keeps_every_byte(fake_procfs: Any) -> None:
    fake_procfs.add(7, cmdline=b"a b\0\xff\0\n\0")
    assert fake_procfs.processes().get(7).command_line() == "a b \udcff \n"


@pytest.mark.parametrize("words", [["a", "b c", ""], ["ü", "\n"], ["x" * 100_000, "end"]])
def test_a_command_line_read_here_is_psutils(words: list[str]) -> None:
    """Read here because it takes a third of the time; a walk reads that of each process."""
    script = "import sys; print('runs', flush=True); sys.stdin.read()"
    argv = [sys.executable, "-S", "-c", script, *words]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"runs\n"  # Popen returns before /proc has the words
        line = Processes(REAL).get(process.pid).command_line()
        assert line == " ".join(psutil.Process(process.pid).cmdline())
        assert (process.pid, line) in Processes(REAL).command_lines()
        process.kill()


def test_a_walk_keeps_nothing_of_what_it_passes_by(fake_procfs: Any) -> None:
    """Seen: psutil's process_iter kept an object for each process, 7 MiB at 8,000 of them."""
    for pid in range(100, 110):
        fake_procfs.add(pid)
    assert len(list(fake_procfs.processes().command_lines())) == 11
    assert not vars(psutil)["_pmap"]


def test_the_start_does_not_move_with_the_clock_as_psutils_does(fake_procfs: Any) -> None:
    fake_procfs.add(7, start_ticks=100)
    processes = fake_procfs.processes()
    before = psutil.Process(7).create_time()
    (fake_procfs.root / "stat").write_text("btime 99999\n")
    assert psutil.Process(7).create_time() != before
    assert processes.get(7).start_ticks() == 100


def test_descendants_are_found_from_parent_to_child(fake_procfs: Any) -> None:
    fake_procfs.add(7, children=(8, 9))
    fake_procfs.add(8, parent=7, children=(10,))
    fake_procfs.add(9, parent=7)
    fake_procfs.add(10, parent=8, children=(11,))  # 11 has ended since
    assert sorted(fake_procfs.processes().descendants(7)) == [8, 9, 10, 11]


def test_descendants_are_found_without_reading_the_other_processes(fake_procfs: Any) -> None:
    fake_procfs.add(7, children=(8,))
    fake_procfs.add(8, parent=7)
    stranger = fake_procfs.add(9)
    (stranger / "stat").unlink()
    (stranger / "stat").mkdir()  # whoever reads that breaks
    assert fake_procfs.processes().descendants(7) == [8]
    with pytest.raises(OSError, match="Is a directory"):
        psutil.Process(7).children(recursive=True)


def test_more_children_than_the_kernel_tells_in_one_read_are_all_found() -> None:
    script = (
        "import os, signal, sys\n"
        "for _ in range(600):\n"
        "    if os.fork() == 0: signal.pause()\n"
        "print('forked', flush=True)\n"
        "sys.stdin.read()\n"
        "os.killpg(0, signal.SIGKILL)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-S", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert len(Processes(REAL).descendants(parent.pid)) == 600


def test_a_kernel_that_does_not_tell_children_is_not_a_childless_agent(fake_procfs: Any) -> None:
    (fake_procfs.add(7) / "task" / "7" / "children").unlink()
    with pytest.raises(CannotTell, match="children"):
        fake_procfs.processes().descendants(7)


def test_descriptors_are_counted_also_where_the_kernel_does_not(fake_procfs: Any) -> None:
    directory = fake_procfs.add(7)
    for number in range(5):
        (directory / "fd" / str(number)).touch()
    assert fake_procfs.processes().get(7).usage().open_fds == 5


def test_our_own_descriptors_are_counted_right() -> None:
    process = Processes(REAL).get(os.getpid())
    before = process.usage().open_fds
    assert before is not None
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(7)]
    try:
        assert process.usage().open_fds == before + 7
    finally:
        for descriptor in opened:
            os.close(descriptor)


@pytest.mark.skipif(os.geteuid() != 0, reason="wants to become another user")
def test_another_users_descriptors_are_counted_where_psutil_is_refused() -> None:
    script = (
        "import os, sys, psutil\n"
        "from pathlib import Path\n"
        "from memleash_exporter.adapters.processes import Processes\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "pid = int(sys.argv[1])\n"
        "print(Processes(Path('/proc')).get(pid).usage().open_fds)\n"
        "try: psutil.Process(pid).num_fds()\n"
        "except psutil.AccessDenied: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(os.getpid())],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    counted, said = done.stdout.split()
    assert said == "refused"
    sized = (REAL / "self" / "fd").stat().st_size > 0  # Linux 6.2 and later
    assert counted.isdigit() if sized else counted == "None"


def test_hidden_processes_are_noticed(fake_procfs: Any) -> None:
    assert fake_procfs.processes().shows_all_processes()
    shutil.rmtree(fake_procfs.root / "1")
    assert not fake_procfs.processes().shows_all_processes()


def test_a_procfs_that_is_none_cannot_tell(tmp_path: Path) -> None:
    processes = Processes(tmp_path / "nowhere")
    for read in (lambda: list(processes.command_lines()), processes.boot_time, processes.uptime):
        with pytest.raises(CannotTell):
            read()
