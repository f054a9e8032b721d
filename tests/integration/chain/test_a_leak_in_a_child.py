"""A keepalive parent whose child leaks, as salt-minion's does; tests/e2e/agents has a real one."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from demo.stack.layout import Layout
from demo.stack.tools import Tools
from tests.support.leak_in_a_child import tell, watched

pytestmark = pytest.mark.integration

_AGENT = """
import os, pathlib, signal, socket, sys, time
port, leak = int(sys.argv[1]), pathlib.Path(sys.argv[2])
parent, child = os.getpid(), os.fork()
if child:
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    sys.exit(os.waitpid(child, 0)[1])
listening = socket.create_server(("127.0.0.1", port))
held = []
while os.getppid() == parent:
    time.sleep(0.1)
    if leak.exists() and len(held) < 64:
        held.append(bytearray(b"x" * (8 << 20)))
"""


@pytest.mark.parametrize("tools", ["stable"], indirect=True)
def test_an_agent_that_leaks_in_a_child_is_restarted_where_its_limits_are_of_the_tree(
    tools: Tools, tmp_path: Path
) -> None:
    def keepalive(site: Layout, leak: Path) -> str:
        return shlex.join([sys.executable, "-c", _AGENT, str(site.ports.agent), str(leak)])

    with watched(tools, tmp_path / "stack", keepalive) as stack:
        tell(stack)
