"""What `KEEP=1 make demo` prints to try: each command reaches a part that knows what it asks."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from demo import agent, controller
from demo.__main__ import things_to_try
from demo.stack.layout import Layout, Ports
from memleash_responder.ctl.main import cli

LAYOUT = Layout(Path("/run"), Ports(*range(1, 10)))
COMMANDS = [shlex.split(command) for command in things_to_try(LAYOUT).values()]
CURLS = [words for words in COMMANDS if words[0] == "curl"]
CTL = [words for words in COMMANDS if words[0] != "curl"]


@pytest.mark.parametrize("words", CURLS, ids=" ".join)
def test_a_request_is_one_that_the_part_documents(words: list[str]) -> None:
    method = words[2] if words[1] == "-X" else "POST"
    address, path = words[-1].removeprefix("http://").split("/", 1)
    part = agent if address == LAYOUT.address("agent") else controller
    documented = path.replace(LAYOUT.host, "{host}").replace("t1", "{id}")
    assert part.__doc__
    assert any(line.split()[:2] == [method, f"/{documented}"] for line in part.__doc__.splitlines())


@pytest.mark.parametrize("words", CTL, ids=lambda words: words[3])
def test_a_command_of_memleashctl_is_one_that_it_has(words: list[str]) -> None:
    assert Path(words[0]).exists()
    assert words[1:3] == ["--url", LAYOUT.url("responder")]
    assert CliRunner().invoke(cli, [words[3], "--help"]).exit_code == 0
