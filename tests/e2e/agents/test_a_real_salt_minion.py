"""A salt-minion from PyPI: its main process only keeps its child alive, and the child leaks.

It runs without a master, and its own scheduler calls a module that keeps what it makes.
"""

from __future__ import annotations

import getpass
import shlex
from pathlib import Path

import pytest
import yaml

from demo.stack.layout import Layout
from demo.stack.tools import Tools
from tests.e2e.conftest import CACHE
from tests.support.leak_in_a_child import tell, watched

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_LEAK = """\
import builtins, pathlib

def grow():
    held = builtins.__dict__.setdefault("held", [])
    if pathlib.Path({leak!r}).exists() and len(held) < 64:
        held.append(bytearray(b"x" * (8 << 20)))
    return len(held)
"""


@pytest.mark.parametrize("tools", ["stable"], indirect=True)
def test_a_salt_minion_whose_child_leaks_is_restarted(tools: Tools, tmp_path: Path) -> None:
    with watched(tools, tmp_path / "stack", _salt_minion) as stack:
        tell(stack)


def _salt_minion(site: Layout, leak: Path) -> str:
    """Configure a minion; return the command that runs it."""
    root = site.folder / "salt"
    modules = root / "modules"
    modules.mkdir(parents=True)
    (modules / "leak.py").write_text(_LEAK.format(leak=str(leak)), encoding="utf-8")
    config = {
        "id": site.host,
        "user": getpass.getuser(),
        "root_dir": str(root),
        "module_dirs": [str(modules)],
        "master_type": "disable",
        "file_client": "local",
        "multiprocessing": False,
        "ipc_mode": "tcp",
        "tcp_pub_port": site.ports.agent,
        "tcp_pull_port": site.ports.controller,
        "schedule": {"leak": {"function": "leak.grow", "seconds": 1, "maxrunning": 1}},
    }
    (root / "minion").write_text(yaml.safe_dump(config), encoding="utf-8")
    return shlex.join([str(CACHE / "salt/bin/salt-minion"), "-c", str(root), "-l", "warning"])
