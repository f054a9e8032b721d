"""A salt-api with one minion, for what a real one cannot be made to do: it answers as 3008 does."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from demo.http_server import Raw, Reply, Request, as_json

USER, PASSWORD = "memleash", "a-secret"
MINION = "node-1"
_HTML = """<!DOCTYPE html PUBLIC
"-//W3C//DTD XHTML 1.0 Transitional//EN">
<html>
    <head><title>{status}</title></head>
    <body>
        <h2>{status}</h2>
        <p>{message}</p>
    </body>
</html>
"""
_NO_RETURN = "Minion did not return. [No response]\nThe minions may not have all finished running"
_IN_BLACKOUT = "ERROR executing '{}': Minion in blackout mode. Set 'minion_blackout' to False"

Json = dict[str, Any]


@dataclasses.dataclass
class Faults:
    """What it does wrong."""

    hang: bool = False
    seconds: float = 0
    """Before each answer."""
    halves: bool = False
    """Whether answers lack what matters in them."""
    html: tuple[int, str] | None = None
    """The status and message that every call but a login is answered with."""
    silent: bool = False
    """Whether the minion is down."""
    lag: int = 0
    """How many reads it takes until grains that were set are in force."""
    deaf: bool = False
    """Whether grains that are set never come into force."""


class SaltApi:
    """The state of it all, and what answers."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.grains: Json = {"pid": 4242}
        self.pillar_allows: list[str] | None = None
        """The whitelist of a blackout by the pillar; None: there is none."""
        self.jobs: list[Json] = []
        self.started = time.time()
        """When the minion's process was."""
        self.is_running = True
        """Whether there is a process of the pid that the minion has told."""
        self.logins = 0
        self.calls: list[Json] = []
        self._tokens: set[str] = set()
        self._coming: Json | None = None
        self._reads_left = 0

    def run(self, function: str | list[str], *arguments: object, **changes: object) -> None:
        """Let a job run on the minion."""
        jid = f"2026112718233{len(self.jobs):07}"
        job = {"pid": 2838, "fun": function, "arg": list(arguments), "jid": jid, "user": "root"}
        self.jobs.append({**job, "tgt": MINION, "tgt_type": "glob", "ret": "", **changes})

    def expire_tokens(self) -> None:
        self._tokens.clear()

    def answer(self, asked: Request) -> Reply | Raw:
        """Answer one request."""
        if self.faults.hang:
            return Raw(hang=True)
        time.sleep(self.faults.seconds)
        if asked.route == "/login":
            return self._log_in(asked.json())
        if asked.headers.get("X-Auth-Token") not in self._tokens:
            return _refusal(401, "No permission -- see authorization schemes")
        if self.faults.html is not None:
            return _refusal(*self.faults.html)
        (call,) = asked.json()
        self.calls.append(call)
        if self.faults.halves:
            return as_json({"return": [{MINION: {"jid": "1"}}]})
        return as_json({"return": [{MINION: self._run(call)} if MINION in call["tgt"] else {}]})

    def _log_in(self, body: Json) -> Reply:
        self.logins += 1
        if body != {"username": USER, "password": PASSWORD, "eauth": "pam"}:
            return _refusal(401, "Could not authenticate using provided credentials")
        token = f"{self.logins:040}"
        self._tokens.add(token)
        return as_json({"return": [{"token": token, "user": USER, "eauth": "pam", "perms": []}]})

    def _run(self, call: Json) -> Json:
        function = call["fun"]
        if self.faults.silent:
            return {"out": "no_return", "ret": _NO_RETURN, "retcode": 1}
        if not self._allows(function):
            return _ended(_IN_BLACKOUT.format(function), 1)
        match function, call["arg"]:
            case "test.ping", []:
                return _ended(True)
            case "saltutil.running", []:
                return _ended(self.jobs)
            case "grains.item", names:
                self._read()
                return _ended({name: self.grains.get(name, "") for name in names})
            case "grains.setvals", [values]:
                assert call["kwarg"] == {"destructive": True, "refresh_pillar": False}
                self._set(values)
                return _ended(values)
            case "ps.proc_info", [pid, ["create_time"]]:
                known = self.is_running and pid == self.grains["pid"]
                gone = _ended(f"ERROR: process PID not found (pid={pid})", 1)
                return _ended({"create_time": self.started}) if known else gone
        return _ended(f"'{function}' is not available.", 254)

    def _allows(self, function: str) -> bool:
        by_grains = not self.grains.get("minion_blackout") or (
            function in self.grains.get("minion_blackout_whitelist", [])
        )
        return by_grains and (self.pillar_allows is None or function in self.pillar_allows)

    def _set(self, values: Json) -> None:
        changed = {**self.grains, **values}
        self._coming = {name: value for name, value in changed.items() if value is not None}
        self._reads_left = self.faults.lag

    def _read(self) -> None:
        """Have grains that were set come into force, once they were read often enough."""
        if self._coming is None or self.faults.deaf:
            return
        if self._reads_left:
            self._reads_left -= 1
            return
        self.grains, self._coming = self._coming, None


def _ended(ret: object, retcode: int = 0) -> Json:
    return {"ret": ret, "retcode": retcode, "jid": "20261127182333272090"}


def _refusal(status: int, message: str) -> Reply:
    body = _HTML.format(status=status, message=message).encode()
    return Reply(status, body, {"Content-Type": "text/html;charset=utf-8"})
