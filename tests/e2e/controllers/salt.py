"""A real Salt on loopback: a master with salt-api, and a minion. All of it is from PyPI."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
import yaml

from demo.stack.own_programs import listens
from demo.stack.ports import reserve_ports
from demo.stack.processes import Program, wait_until
from memleash_responder.controller_settings import SaltSettings
from memleash_responder.core.facts import Host
from memleash_toolkit.values import Duration
from tests.e2e.conftest import CACHE
from tests.e2e.hosts import documented

BIN = CACHE / "salt/bin"
MINION = "node-1"
USER, ADMIN = "memleash", "admin"
_GRAINS = ("minion_blackout", "minion_blackout_whitelist")
_HANGS_AFTER = Duration(0.5)
_STATE = """\
{name}:
  cmd.run:
    - name: while [ -e {hold} ]; do sleep 0.1; done
"""


class Master:
    """A master and its salt-api. Users have their names as passwords."""

    def __init__(self, folder: Path, ports: list[int], interface: str) -> None:
        publish_port, ret_port, api_port, *self._minion_ports = ports
        self.folder = folder
        self.url = f"http://127.0.0.1:{api_port}"
        self.hold = folder / "hold"
        """While it is there, the states that were applied go on."""
        self._ports = (publish_port, ret_port)
        self._token = ""
        for name in ("states", "pillar"):
            (folder / name).mkdir(parents=True)
        (folder / "users").write_text(f"{USER}:{USER}\n{ADMIN}:{ADMIN}\n", encoding="utf-8")
        config = {
            "user": getpass.getuser(),
            "root_dir": str(folder),
            "interface": interface,
            "publish_port": publish_port,
            "ret_port": ret_port,
            "auto_accept": True,
            "worker_threads": 3,
            "file_roots": {"base": [str(folder / "states")]},
            "pillar_roots": {"base": [str(folder / "pillar")]},
            "external_auth": {
                "file": {
                    "^filename": str(folder / "users"),
                    USER: _documented_rights(),
                    ADMIN: [".*"],
                }
            },
            "netapi_enable_clients": ["local", "local_async"],
            "rest_cherrypy": {"host": "127.0.0.1", "port": api_port, "disable_ssl": True},
        }
        (folder / "master").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.master = self.program("salt-master", folder, lambda: listens(ret_port, interface))
        self.api = self.program("salt-api", folder, self._is_up)

    @staticmethod
    def program(name: str, folder: Path, answers: Callable[[], bool]) -> Program:
        """Return one of Salt's daemons, whose configuration is in ``folder``."""
        argv: list[str | Path] = [BIN / name, "-c", folder, "-l", "warning"]
        return Program(name, argv, folder / f"{name}.log", answers)

    def minion_config(self, root: Path, **changes: object) -> dict[str, Any]:
        """Return the configuration of a minion whose files are in ``root``."""
        publish_port, ret_port = self._ports
        tcp_pub_port, tcp_pull_port, *_ = self._minion_ports
        return {
            "id": MINION,
            "user": getpass.getuser(),
            "root_dir": str(root),
            "master": "127.0.0.1",
            "master_port": ret_port,
            "publish_port": publish_port,
            "ipc_mode": "tcp",  # paths of sockets must be short, and pytest's folders are deep
            "tcp_pub_port": tcp_pub_port,
            "tcp_pull_port": tcp_pull_port,
            **changes,
        }

    def settings(self, **changes: Any) -> SaltSettings:
        """Return those of memleash."""
        password = self.folder / "password"
        password.write_text(USER, encoding="utf-8")
        login = {"username": USER, "password_file": password, "eauth": "file"}
        return SaltSettings("salt", **{"url": self.url, **login, **changes})

    def run(self, function: str, *arguments: object, client: str = "local", **named: object) -> Any:
        """Return what a function gives on the minion, run by an administrator; None: nothing."""
        job = {"client": client, "tgt": MINION, "fun": function, "arg": arguments, "kwarg": named}
        waits = {"timeout": 3, "gather_job_timeout": 3}
        if not self._token:
            self._token = self.log_in(ADMIN)
        (answers,) = self.post("/", [{**job, **waits}], self._token).json()["return"]
        said = answers.get(MINION)
        return None if isinstance(said, str) and said.startswith("Minion did not return") else said

    def log_in(self, user: str) -> str:
        """Return a token."""
        body = {"username": user, "password": user, "eauth": "file"}
        return str(self.post("/login", body).json()["return"][0]["token"])

    def post(self, path: str, body: object, token: str = "") -> requests.Response:
        """Return salt-api's answer."""
        headers = {"Accept": "application/json", "X-Auth-Token": token}
        return requests.post(self.url + path, json=body, headers=headers, timeout=60)

    def expire_tokens(self) -> None:
        """Have the master forget every login."""
        shutil.rmtree(self.folder / "var/cache/salt/master/tokens")
        self._token = ""

    def apply(self, name: str) -> None:
        """Have the minion apply a state that takes until ``hold`` is gone."""
        self.hold.touch()
        state = _STATE.format(name=name, hold=self.hold)
        (self.folder / f"states/{name}.sls").write_text(state, encoding="utf-8")
        self.run("state.apply", name, client="local_async")
        wait_until("the state to be applied", lambda: name in str(self.jobs()))

    def jobs(self) -> Any:
        """Return the jobs that the minion runs."""
        return self.run("saltutil.running")

    def is_in_blackout(self) -> bool:
        """Whether the minion refuses work."""
        said = wait_until("an answer", lambda: self.run("test.echo", "hello"))
        return said != "hello" and "Minion in blackout mode" in said

    def set(self, *values: object) -> None:
        """Set the grains of a blackout, and wait until the minion has read them."""
        self.run("grains.setvals", dict(zip(_GRAINS, values, strict=True)), destructive=True)
        wanted = [value or "" for value in values]
        wait_until("the grains", lambda: list(self.blackout().values()) == wanted)

    def blackout(self) -> dict[str, Any]:
        """Return what the grains say of one; nothing, where the minion does not answer."""
        said = self.run("grains.item", *_GRAINS)
        return said if isinstance(said, dict) else {}

    def _is_up(self) -> bool:
        try:
            self._token = self.log_in(ADMIN)
        except (requests.RequestException, ValueError):
            return False
        return True


def _documented_rights() -> Any:
    """Return what docs/controllers.md gives memleash's user, and no more."""
    settings = yaml.safe_load(documented.block("controllers.md", "external_auth:"))
    return settings["external_auth"]["pam"][USER]


@contextlib.contextmanager
def running_master(folder: Path, interface: str = "127.0.0.1") -> Iterator[Master]:
    """Yield a master that answers, without a minion."""
    with reserve_ports() as ports:
        master = Master(folder, ports, interface)
        try:
            master.master.start()
            master.api.start()
            yield master
        finally:
            master.api.stop()
            master.master.stop()


class SaltDriver:
    """A master with one minion, as the conformance suite needs it."""

    def __init__(self, master: Master) -> None:
        self.master = master
        self.settings = master.settings()
        self.host = Host(MINION, "127.0.0.1:1", MINION, {"host": MINION})
        self.unknown = Host("node-2", "127.0.0.1:1", "node-2", {"host": "node-2"})
        folder = master.folder / "minion"
        folder.mkdir()
        config = yaml.safe_dump(master.minion_config(folder))
        (folder / "minion").write_text(config, encoding="utf-8")
        self.minion = master.program("salt-minion", folder, lambda: master.run("test.ping") is True)

    def reset(self) -> None:
        """Let the minion be as it was at first."""
        os.killpg(self.master.api.pid, signal.SIGCONT)
        self.master.hold.unlink(missing_ok=True)
        top = self.master.folder / "pillar/top.sls"
        if top.exists():
            top.unlink()
            self.master.run("saltutil.refresh_pillar")
            wait_until("no blackout by the pillar", self.master.blackout)
        if not self.minion.running():
            self.minion.start()
        if any(self.master.blackout().values()):
            self.master.set(None, None)
        wait_until("no job", lambda: self.master.jobs() == [])
        self.settings = self.master.settings()

    def run_task(self, name: str) -> None:
        self.master.apply(name)

    def queue_task(self) -> None:
        """Do nothing: what a minion has queued it does not tell of."""

    def is_drained(self) -> bool:
        return self.master.is_in_blackout()

    def drain_by_somebody(self) -> None:
        raise AssertionError("that is maintenance")

    def begin_maintenance(self) -> None:
        self.master.set(True, ["grains.item", "grains.setvals", "saltutil.running"])

    def is_in_maintenance(self) -> bool:
        return self.master.is_in_blackout() and self.master.blackout()["minion_blackout"] is True

    def kill_node(self) -> None:
        self.minion.kill()

    def hang(self) -> None:
        self.settings = dataclasses.replace(self.settings, timeout=_HANGS_AFTER)
        os.killpg(self.master.api.pid, signal.SIGSTOP)

    def slow_down(self) -> None:
        raise AssertionError("the double does")

    def expire_login(self) -> None:
        self.master.expire_tokens()

    def halve_answers(self) -> None:
        raise AssertionError("the double does")

    def take_long(self) -> None:
        raise AssertionError("see the test of a minion that is down")

    def refuse_reconnects(self) -> None:
        raise AssertionError("nothing is asked for")

    def restart_agent_on_reconnect(self) -> None:
        raise AssertionError("nothing is asked for")

    def reconnects(self) -> int:
        return 0
