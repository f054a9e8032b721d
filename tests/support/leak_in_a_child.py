"""The story of an agent that leaks in a child of its main process, told on the whole stack.

    with watched(tools, folder, lambda layout, leak: command) as stack:
        tell(stack)

The agent leaks while the file ``leak`` exists, and listens on the layout's port of the agent.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from demo.stack import configs
from demo.stack.layout import Layout
from demo.stack.observer import Observer
from demo.stack.processes import wait_until
from demo.stack.stack import Stack, prepared
from demo.stack.tools import Tools

BY_MAIN = "by-main"
"""The same process, watched as an agent whose limits are of its main process."""
_PARTS = ("exporter", "alertmanager", "prometheus", "sshd", "responder")
_PATIENCE_SECONDS = 180


@contextmanager
def watched(tools: Tools, folder: Path, command: Callable[[Layout, Path], str]) -> Iterator[Stack]:
    """Watch ``command(layout, leak)`` as the stack's service; controllers are left out."""
    with prepared(tools, folder) as stack:
        layout = stack.layout
        line = command(layout, _leak(layout))
        (layout.service / "command").write_text(line, encoding="utf-8")
        _change(layout.folder / "exporter.yml", lambda config: _watch_tree_and_main(config, layout))
        _change(layout.folder / "responder.yml", lambda config: _restart_alone(config, layout))
        start = (configs.SERVICE_SCRIPT, layout.service, "start")
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
        for part in _PARTS:
            stack.programs[part].start()
        yield stack


def tell(stack: Stack) -> None:
    """Let the child leak over the hard limit: only the tree shows it, and it is restarted once."""
    layout, observer = stack.layout, Observer(stack.layout)
    limit = layout.pace.hard_limit_bytes

    def limited(agent: str) -> float:
        return observer.query(f'memleash:agent_limited_memory_bytes{{agent="{agent}"}}') or 0

    _until("the agent to be ready", lambda: observer.agent_metric("ready") == 1, stack)
    _leak(layout).touch()
    _until("its tree to pass the limit", lambda: limited(layout.agent) > limit, stack)
    _leak(layout).unlink()
    assert 0 < limited(BY_MAIN) < layout.pace.alarm_threshold_bytes

    restart = _until("the restart", lambda: observer.restart_with("restarted"), stack)
    facts = restart["facts"]
    assert facts["resident_bytes"] < layout.pace.alarm_threshold_bytes
    assert facts["new_limited_bytes"] < limit < facts["limited_bytes"]
    assert len(observer.starts()) == 2
    assert observer.host_state() == "connected"
    _until("its tree to be small", lambda: 0 < limited(layout.agent) < limit, stack)
    over = 'AgentMemoryHardLimitExceeded",alertstate="firing",agent="'
    assert observer.query(f'max_over_time(ALERTS{{alertname="{over}{layout.agent}"}}[1h])') == 1
    assert observer.query(f'max_over_time(ALERTS{{alertname="{over}{BY_MAIN}"}}[1h])') is None


def _leak(layout: Layout) -> Path:
    return layout.folder / "leak"


def _until(what: str, condition: Callable[[], Any], stack: Stack) -> Any:
    log = stack.layout.service / "agent.log"
    return wait_until(
        what,
        condition,
        timeout_seconds=_PATIENCE_SECONDS,
        seen=lambda: log.read_text(encoding="utf-8")[-1000:],
    )


def _change(file: Path, change: Callable[[Any], None]) -> None:
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(config)
    file.write_text(yaml.safe_dump(config), encoding="utf-8")


def _watch_tree_and_main(config: Any, layout: Layout) -> None:
    (agent,) = config["agents"]
    tcp = {"address": layout.address("agent"), "timeout": "1s", "interval": "1s", "max_age": "3s"}
    agent |= {"busy": [{"markers": {}}], "ready": {"tcp": tcp}}
    by_main = agent | {"name": BY_MAIN, "limits": agent["limits"] | {"of": "main"}}
    agent["limits"]["of"] = "tree"
    config["agents"].append(by_main)


def _restart_alone(config: Any, layout: Layout) -> None:
    del config["controllers"], config["agents"][layout.agent]["diagnose"]
