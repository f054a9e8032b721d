"""A mailbox is in the agent's hands: whatever stands there, nothing else is touched."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memleash_diagnoser import process, tools
from memleash_diagnoser.hook import REQUEST_BYTES
from memleash_diagnoser.mailbox import Answer, Mailbox, Request, find

NAME = "memleash-hostile"


@pytest.fixture
def memfd() -> Iterator[int]:
    fd = os.memfd_create(NAME)
    yield fd
    os.close(fd)


@pytest.fixture
def mailbox(memfd: int) -> Iterator[Mailbox]:
    found = find(process.find(os.getpid()), NAME)
    assert found is not None
    found.ask(Request(1, ("types",)))
    yield found
    found.close()


def answered(memfd: int, mailbox: Mailbox, **changes: Any) -> Answer | None:
    """Have the agent answer what was asked, with ``changes``; return what the diagnoser reads."""
    run = json.loads(os.pread(memfd, REQUEST_BYTES, 0))["run"]
    answer = {"run": run, "round": 1, "seconds": 0.5, "notes": [], **changes}
    os.pwrite(memfd, json.dumps(answer).encode() + b"\n", REQUEST_BYTES)
    return mailbox.answer(1)


def test_an_honest_answer_is_read(memfd: int, mailbox: Mailbox) -> None:
    answer = answered(memfd, mailbox, types={"a.B": [2, 96]})
    assert answer is not None
    assert answer["types"] == {"a.B": [2, 96]}


@pytest.mark.parametrize(
    "changes",
    [
        {"seconds": float("inf")},
        {"seconds": float("nan")},
        {"seconds": "1"},
        {"round": "1"},
        {"types": {"a": [10**300, 1]}},
        {"types": {"a": ["1", 1]}},
        {"types": {"a": [float("nan"), 1]}},
        {"containers": {"1f": ["list", 10**300]}},
        {"names": {"1f": ["a", "b", "9" * 1000]}},
        {"more": 10**1000},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_numbers_that_nobody_counted_are_refused(
    memfd: int, mailbox: Mailbox, changes: dict[str, Any]
) -> None:
    with pytest.raises(tools.Refused, match="cannot be understood"):
        answered(memfd, mailbox, **changes)


@pytest.mark.parametrize("content", [b"[" * 10**6, b"\0" * 100, b'{"a":' * 10**5, b"\xff"])
def test_nonsense_is_refused(memfd: int, mailbox: Mailbox, content: bytes) -> None:
    os.pwrite(memfd, content + b"\n", REQUEST_BYTES)
    with pytest.raises(tools.Refused, match="cannot be understood"):
        mailbox.answer(1)


@pytest.mark.parametrize("size", [0, 1, REQUEST_BYTES, 1 << 40])
def test_a_mailbox_cut_short_or_without_end_has_no_answer(
    memfd: int, mailbox: Mailbox, size: int
) -> None:
    os.ftruncate(memfd, size)
    assert mailbox.answer(1) is None


def test_a_file_put_in_its_place_is_not_written_into(
    memfd: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent swaps the files at the worst moment: once the diagnoser has looked."""
    victim = tmp_path / "passwd"
    victim.write_text("root")
    look = os.readlink

    def looked_then_swapped(path: str) -> str:
        target = look(path)
        if target.startswith("/memfd:"):
            fd = os.open(victim, os.O_RDONLY)
            os.dup2(fd, memfd)
            os.close(fd)
        return target

    monkeypatch.setattr(os, "readlink", looked_then_swapped)
    found = find(process.find(os.getpid()), NAME)
    assert found is not None
    found.ask(Request(1, ("types",)))
    found.close()
    assert victim.read_text() == "root"
