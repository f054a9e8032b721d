"""A tool that is missing or was refused says in one line what to install or set."""

from __future__ import annotations

import pytest

from memleash_diagnoser import tools


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("eu-stack: dwfl_linux_proc_attach pid 1: Operation not permitted", "CAP_SYS_PTRACE"),
        ("Error: Permission denied (os error 13)", "refused"),
        ("line one\nlast line\n\n", "eu-stack failed: last line"),
        ("", "eu-stack failed: it said nothing"),
    ],
)
def test_a_failed_tool_says_why_and_what_to_do(output: str, told: str) -> None:
    assert told in tools.explain("eu-stack", output)


def test_a_missing_tool_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(tools, "EXTRA_FOLDERS", ())

    with pytest.raises(tools.Refused, match="py-spy is missing: install py-spy"):
        tools.find("py-spy")
