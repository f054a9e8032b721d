"""Marker files on disk: which count, and what must not lead us astray."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from memleash_exporter.adapters.marker_files import MarkerFiles, busy_since
from memleash_exporter.decisions import markers
from memleash_exporter.errors import CannotTell

NOW = 1_000_000.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "agent"
    made.mkdir()
    return made


def put(file: Path, content: object = "", age: float = 10.0) -> Path:
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    os.utime(file, (NOW - age, NOW - age))
    return file


def test_no_directory_is_no_marker(fake_procfs: Any, tmp_path: Path) -> None:
    assert busy_since(MarkerFiles(tmp_path / "none"), fake_procfs.processes(), NOW) is None


def test_an_empty_directory_is_no_marker(fake_procfs: Any, directory: Path) -> None:
    assert busy_since(MarkerFiles(directory), fake_procfs.processes(), NOW) is None


def test_the_oldest_of_two_markers_says_since_when(fake_procfs: Any, directory: Path) -> None:
    put(directory / "a", age=10)
    put(directory / "b", {"reason": "dump"}, age=20)
    assert busy_since(MarkerFiles(directory), fake_procfs.processes(), NOW) == NOW - 20


def test_busy_until_the_last_of_two_markers_ends(fake_procfs: Any, directory: Path) -> None:
    first, second = put(directory / "a", age=20), put(directory / "b", age=10)
    first.unlink()
    assert busy_since(MarkerFiles(directory), fake_procfs.processes(), NOW) == NOW - 10
    second.unlink()
    assert busy_since(MarkerFiles(directory), fake_procfs.processes(), NOW) is None


@pytest.mark.parametrize(
    ("content", "age"),
    [
        ({"pid": 77}, 10),
        ({"pid": 7, "pid_start_ticks": 101}, 10),
        ({"expires_at": NOW}, 10),
        ({}, 3601),
        ("not understood", 3601),
    ],
)
def test_a_dead_marker_does_not_count(
    fake_procfs: Any, directory: Path, content: object, age: float
) -> None:
    fake_procfs.add(7, start_ticks=100)
    put(directory / "a", content, age)
    assert busy_since(MarkerFiles(directory), fake_procfs.processes(), NOW) is None


@pytest.mark.parametrize(
    "content",
    [
        {"pid": 7},
        {"pid": 7, "pid_start_ticks": 100},
        {"expires_at": NOW + 1},
        "not understood",
        "[",
    ],
)
def test_a_live_marker_counts(fake_procfs: Any, directory: Path, content: object) -> None:
    fake_procfs.add(7, start_ticks=100)
    put(directory / "a", content)
    assert busy_since(MarkerFiles(directory), fake_procfs.processes(), NOW) == NOW - 10


def test_a_zombie_does_not_hold_its_marker(fake_procfs: Any, directory: Path) -> None:
    fake_procfs.add(7, state=b"Z")
    put(directory / "a", {"pid": 7})
    assert busy_since(MarkerFiles(directory), fake_procfs.processes(), NOW) is None


def test_an_unfinished_marker_does_not_count(fake_procfs: Any, directory: Path) -> None:
    put(directory / ".unfinished")
    assert busy_since(MarkerFiles(directory), fake_procfs.processes(), NOW) is None


def test_a_marker_of_the_future_counts_from_now(fake_procfs: Any, directory: Path) -> None:
    put(directory / "a", age=-86400)
    assert busy_since(MarkerFiles(directory), fake_procfs.processes(), NOW) == NOW


def test_a_process_that_may_be_hidden_is_not_known_to_be_over(
    fake_procfs: Any, directory: Path
) -> None:
    put(directory / "a", {"pid": 77})
    shutil.rmtree(fake_procfs.root / "1")
    assert busy_since(MarkerFiles(directory), fake_procfs.processes(), NOW) == NOW - 10


def test_a_process_that_cannot_be_read_holds_its_marker(fake_procfs: Any, directory: Path) -> None:
    stat = fake_procfs.add(7) / "stat"
    stat.write_text("7 (agent) nonsense")
    put(directory / "a", {"pid": 7, "pid_start_ticks": 100})
    assert busy_since(MarkerFiles(directory), fake_procfs.processes(), NOW) == NOW - 10


def test_a_directory_that_is_a_link_to_nowhere_cannot_tell(
    fake_procfs: Any, tmp_path: Path
) -> None:
    (tmp_path / "agent").symlink_to("nowhere")
    with pytest.raises(CannotTell, match="a link that leads nowhere"):
        busy_since(MarkerFiles(tmp_path / "agent"), fake_procfs.processes(), NOW)


def test_a_directory_that_cannot_be_listed_cannot_tell(fake_procfs: Any, directory: Path) -> None:
    file = put(directory / "a")
    with pytest.raises(CannotTell, match="Not a directory"):
        busy_since(MarkerFiles(file), fake_procfs.processes(), NOW)


def jobs(directory: Path) -> MarkerFiles:
    return MarkerFiles(directory, "job-*", markers.parse_job_file, max_age_seconds=600)


def test_files_of_an_agent_count_by_their_name_and_age(fake_procfs: Any, directory: Path) -> None:
    put(directory / "other")
    put(directory / ".job-hidden")
    put(directory / "job-old", age=601)
    assert busy_since(jobs(directory), fake_procfs.processes(), NOW) is None
    put(directory / "job-new", "anything", age=600)
    assert busy_since(jobs(directory), fake_procfs.processes(), NOW) == NOW - 600


@pytest.mark.parametrize(
    "content",
    [
        b"7\n",
        b"  7",
        b"\x83\xa3pid\x07\xa3fun\xa9test.ping\xa3jid\xa11",
        b"\xde\x00\x10\xa3pid\xcd\x00\x07",
        b"\x8f\xa3pid\xce\x00\x00\x00\x07",
    ],
)
def test_a_file_that_names_a_process_ends_with_it(
    fake_procfs: Any, directory: Path, content: bytes
) -> None:
    file = put(directory / "job-1")
    file.write_bytes(content)
    os.utime(file, (NOW - 10, NOW - 10))
    assert busy_since(jobs(directory), fake_procfs.processes(), NOW) is None, "it is over"
    fake_procfs.add(7)
    assert busy_since(jobs(directory), fake_procfs.processes(), NOW) == NOW - 10


@pytest.mark.parametrize(
    "content",
    [b"0", b"9" * 5000, b"4194305", b"pid 7", b"\x81\xa3pid\xc0", b"\x81\xa3fun\xa3pid\x07"],
)
def test_a_file_that_names_no_process_counts_by_being_there(
    fake_procfs: Any, directory: Path, content: bytes
) -> None:
    file = put(directory / "job-1")
    file.write_bytes(content)
    os.utime(file, (NOW - 10, NOW - 10))
    assert busy_since(jobs(directory), fake_procfs.processes(), NOW) == NOW - 10
