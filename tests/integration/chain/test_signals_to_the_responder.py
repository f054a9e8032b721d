"""Which signals end a responder, and which it inherited ignored."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack.ports import reserve_ports
from demo.stack.processes import wait_until
from demo.stack.responder import Responder, lonely, responder

pytestmark = [pytest.mark.integration, pytest.mark.executed]

RELOADED_AT = "memleash_responder_config_last_reload_success_timestamp_seconds"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Responder]:
    """A responder that a test starts."""
    with reserve_ports() as ports:
        config = lonely(tmp_path, f"sqlite:///{tmp_path / 'responder.db'}")
        made = responder(tmp_path, ports[0], config)
        yield made
        made.program.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told(one: Responder, number: signal.Signals) -> None:
    one.program.start()
    os.kill(one.program.pid, number)
    wait_until("the responder to end", lambda: not one.program.running())
    assert "msg=stopping" in one.program.log.read_text()


def test_ignored_from_the_start_sigint_ends_nothing_and_sighup_reloads(one: Responder) -> None:
    """As under nohup and in a shell's background job."""
    program = one.program
    program.argv = ["sh", "-c", 'trap "" INT HUP; exec "$@"', "sh", *program.argv]
    program.start()
    before = one.metric(RELOADED_AT)
    os.kill(program.pid, signal.SIGINT)
    os.kill(program.pid, signal.SIGHUP)
    wait_until("the configuration to be read", lambda: one.metric(RELOADED_AT) > before)
    assert "msg=stopping" not in program.log.read_text()
    os.kill(program.pid, signal.SIGTERM)
    wait_until("the responder to end", lambda: not program.running())
