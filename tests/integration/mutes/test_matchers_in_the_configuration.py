"""A configuration whose mutes would cover more than a host's pings is refused, with the reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from demo.stack.tools import REPOSITORY
from tests.integration.mutes.nodes import AGENT

pytestmark = pytest.mark.integration


def _checked(folder: Path, **mute: object) -> subprocess.CompletedProcess[str]:
    config = folder / "responder.yml"
    content = {
        "inventory": {"files": [str(folder / "hosts.yml")]},
        "agents": {AGENT: {"restart_command": "false"}},
        "mute": mute,
    }
    (folder / "hosts.yml").write_text("[]")
    config.write_text(yaml.safe_dump(content))
    program = Path(sys.executable).parent / "memleash-responder"
    return subprocess.run(
        [program, f"--config.file={config}", "--check-config"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(REPOSITORY)},
    )


@pytest.mark.parametrize(
    ("matchers", "reason"),
    [
        (['alertname=~".+"'], "would silence AgentMemoryHardLimitExceeded"),
        (['alertname=~"Agent(Busy|Down)"'], "would silence AgentBusy"),
        (['zone="z1"'], "there must be a matcher on alertname"),
        (['alertname="HostPingFailed"', 'host=~".*"'], "a matcher on host is not allowed"),
    ],
    ids=["everything", "a trigger", "a whole zone", "a whole fleet"],
)
def test_matchers_that_cover_too_much_are_refused(
    tmp_path: Path, matchers: list[str], reason: str
) -> None:
    done = _checked(tmp_path, matchers=matchers)
    assert done.returncode == 1
    assert "mute" in done.stderr
    assert reason in done.stderr


def test_matchers_of_pings_alone_are_taken(tmp_path: Path) -> None:
    done = _checked(tmp_path, matchers=['alertname=~"HostPing.*"', 'job="ping"'])
    assert done.returncode == 0, done.stderr
    assert "valid" in done.stdout
