"""Files that no person writes: each program says what is wrong with them, and ends by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from demo.stack.responder_with_peers import face, peers
from tests.unit.toolkit.test_documents import LAUGHS

PROGRAMS = {
    "memleash-exporter": (["--check-config", "--config.file={}"], 1),
    "memleash-responder": (["--check-config", "--config.file={}"], 1),
    "memleashctl": (["--config.file={}", "hosts"], 2),
}
"""The arguments, with the file filled in, and the exit code."""

DOCUMENTS = {
    "brackets": "[" * 100_000,
    "braces": "{a: " * 100_000,
    "dashes": "- " * 100_000,
    "laughs": LAUGHS,
    "itself": "&a [*a]",
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_names_the_file_and_ends_by_itself(
    tmp_path: Path, program: str, document: str
) -> None:
    file = tmp_path / "config.yml"
    file.write_text(document)
    arguments, exit_code = PROGRAMS[program]
    ended = subprocess.run(
        [Path(sys.executable).parent / program, *(one.format(file) for one in arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (exit_code, "")
    (line,) = ended.stderr.splitlines()
    assert f"{file}: " in line


@pytest.mark.parametrize("name", ["hosts.yml", "hosts.json"])
def test_an_inventory_of_brackets_leaves_the_hosts_and_is_told(tmp_path: Path, name: str) -> None:
    with peers() as world, face(tmp_path, world, inventory={"files": ["hosts*"]}) as served:
        before = served.ask("GET", "/api/v1/hosts").json
        assert "inventory_last_reload_successful 1.0" in served.ask("GET", "/metrics").text

        (tmp_path / name).write_text("[" * 100_000)

        assert served.ask("GET", "/api/v1/hosts").json == before
        assert "inventory_last_reload_successful 0.0" in served.ask("GET", "/metrics").text
        log = (tmp_path / "responder.log").read_text()
        assert "inventory is not valid, the old one stays" in log
        assert "nested deeper than 64 levels" in log
