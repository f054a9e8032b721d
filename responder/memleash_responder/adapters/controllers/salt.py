"""Controllers of the kind salt: a Salt master, whose agent is salt-minion.

Salt is asked by salt-api: each question is a function that the minion itself runs. A drain is a
blackout of the minion by its grains, which it keeps through a restart. Salt looks only whether
``minion_blackout`` is true, and any text is: so the mark is its value, and whoever sets a blackout
of their own takes it over.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from memleash_responder.adapters.controllers.controller import (
    MARK,
    CallFailed,
    Target,
    Wait,
    is_ours,
    mark,
    name_there,
    task,
)
from memleash_responder.adapters.controllers.login import Login
from memleash_responder.adapters.http import client as http
from memleash_responder.controller_settings import SaltSettings
from memleash_responder.core.facts import Host, Task
from memleash_responder.core.host_states import HostState
from memleash_responder.core.untrusted import NAMES_LISTED, line, number
from memleash_responder.http_settings import HttpConfig

_POLL_SECONDS = 1.0
_CLOCK_SECONDS = 2.0
"""By how much two start times of processes on one host may differ and be the same."""
_HOSTS_DOUBTED = 20
"""Of how many hosts it is asked whether Salt knows them."""
_BLACKOUT, _WHITELIST = "minion_blackout", "minion_blackout_whitelist"
_IN_BLACKOUT = "Minion in blackout mode"
_NO_RETURN = "no_return"
_READS = frozenset(
    ["test.ping", "grains.item", "ps.proc_info", "saltutil.running", "saltutil.find_job"]
)
"""What memleash asks of a minion, and how the master asks whether a job still runs: a restart in
the middle of one breaks nothing, whoever asked."""
ALLOWED = (*sorted(_READS), "grains.setvals")
"""What a minion may run in a blackout of ours."""


class _NotKnown(CallFailed):
    """Salt knows no such minion."""


class _Silent(CallFailed):
    """The minion did not answer: it is down, or cannot be reached."""


class _InBlackout(CallFailed):
    """The minion refused: a blackout of somebody else does not allow what was asked."""


@dataclasses.dataclass(frozen=True, slots=True)
class Blackout:
    """What a minion's grains say of a blackout."""

    value: object
    """Empty where there is none."""
    whitelist: tuple[object, ...]
    """The functions that it allows."""

    @property
    def is_ours(self) -> bool:
        """Whether it is a drain of memleash's."""
        return isinstance(self.value, str) and is_ours(self.value)

    @property
    def is_somebodys(self) -> bool:
        """Whether it is one, and not ours."""
        return bool(self.value) and not self.is_ours

    @property
    def others_whitelist(self) -> tuple[object, ...]:
        """Return what stood in the whitelist before ours, which begins with the mark."""
        others = self.whitelist
        return others[: others.index(MARK)] if MARK in others else others


def blackout_of(grains: object) -> Blackout:
    """Return the blackout that grains.item told of. Raises CallFailed for half an answer."""
    if not isinstance(grains, dict) or not {_BLACKOUT, _WHITELIST} <= grains.keys():
        raise CallFailed("grains.item: half an answer")
    whitelist = grains[_WHITELIST] or []
    if not isinstance(whitelist, list):
        raise CallFailed(f"grains.item: {_WHITELIST} is no list")
    return Blackout(grains[_BLACKOUT], tuple(whitelist))


def jobs_of(running: object) -> list[Task]:
    """Return the jobs that saltutil.running told of, without those that only read.

    Raises CallFailed for half an answer.
    """
    if not isinstance(running, list) or not all(isinstance(one, dict) for one in running):
        raise CallFailed("saltutil.running: half an answer")
    return [task(job.get("jid"), _name(job)) for job in running if not _only_reads(job)]


def _only_reads(job: dict[str, Any]) -> bool:
    functions = job.get("fun")
    listed = functions if isinstance(functions, list) else [functions]
    return bool(listed) and all(isinstance(one, str) and one in _READS for one in listed)


def _name(job: dict[str, Any]) -> str:
    """Return the function, with the states that it applies. Other arguments may be secrets."""
    functions, arguments = job.get("fun"), job.get("arg")
    name = ", ".join(map(str, functions)) if isinstance(functions, list) else str(functions or "")
    first = arguments[0] if isinstance(arguments, list) and arguments else None
    states = f" {first}" if name in ("state.apply", "state.sls") and isinstance(first, str) else ""
    return f"{name}{states}"


def returned(answers: dict[str, Any], minion: str, function: str) -> Any:
    """Return what ``function`` gave on ``minion``, of the answers by minion.

    Raises CallFailed unless it ended well; what it is tells why it was not run.
    """
    answer = answers.get(minion)
    if answer is None:
        raise _NotKnown(f"Salt knows no minion {line(minion)}")
    if not isinstance(answer, dict) or "ret" not in answer or number(answer.get("retcode")) is None:
        raise CallFailed(f"{function}: half an answer")
    if answer.get("out") == _NO_RETURN:
        raise _Silent(f"minion {line(minion)} did not answer {function}")
    if answer["retcode"] != 0:
        said = str(answer["ret"])
        if _IN_BLACKOUT in said:
            raise _InBlackout(f"minion {line(minion)} is in maintenance: a blackout of somebody's")
        raise CallFailed(f"{function}: {line(said)}")
    return answer["ret"]


class SaltController:
    """One controller of the kind salt; see Controller."""

    knows_tasks = True
    knows_states = True

    def __init__(self, settings: SaltSettings, hosts: Callable[[], Collection[Host]]) -> None:
        self.settings = settings
        self._hosts = hosts
        self._session = http.session(HttpConfig(tls_config=settings.tls_config))
        self._login = Login(self._log_in)

    def state(self, host: Host, wait: Wait) -> HostState | None:
        """Return whether the minion answers. A blackout of somebody else is maintenance."""
        minion = name_there(self.settings, host)
        try:
            blackout = self._blackout(minion, wait)
        except _Silent:
            return HostState.DISCONNECTED
        except _InBlackout:
            return HostState.MAINTENANCE
        return HostState.MAINTENANCE if blackout.is_somebodys else HostState.CONNECTED

    def drain(self, target: Target, wait: Wait) -> None:
        """Begin a blackout of the minion, and wait until it is in force."""
        minion = name_there(self.settings, target.host)
        there = self._blackout(minion, wait)
        if there.is_somebodys:
            raise CallFailed(f"minion {line(minion)} is in maintenance: a blackout of somebody's")
        if not there.is_ours:
            whitelist = (*there.others_whitelist, MARK, *ALLOWED)
            self._set(minion, Blackout(mark(target.restart_id), whitelist), wait)

    def undrain(self, target: Target, wait: Wait) -> None:
        """End the blackout of the minion where it is ours."""
        minion = name_there(self.settings, target.host)
        there = self._blackout(minion, wait)
        if there.is_ours:
            self._set(minion, Blackout("", there.others_whitelist), wait)

    def tasks(self, target: Target, wait: Wait) -> Sequence[Task]:
        """Return the jobs that the minion runs: a restart ends them all."""
        return jobs_of(self._run(name_there(self.settings, target.host), wait, "saltutil.running"))

    def reconnect(
        self,
        target: Target,
        wait: Wait,
        *,
        restart_libvirtd: bool,  # noqa: ARG002 - Salt knows nothing of it
        life: float | None,
    ) -> None:
        """Wait until the new minion answers: it connects by itself, nothing is asked for."""
        minion = name_there(self.settings, target.host)
        while True:
            try:
                started = self._started(minion, self._short(wait))
                if life is None or started >= life - _CLOCK_SECONDS:
                    return
                found = f"minion {line(minion)} was started at {started:.0f}, before the restart"
            except (CallFailed, http.HttpError) as error:
                found = str(error)
            try:
                wait.pause(_POLL_SECONDS)
            except CallFailed as late:
                raise CallFailed(f"{late}: {found}") from late

    def doubt(self, agent: str, wait: Wait) -> str | None:
        """Return which hosts of the inventory Salt does not know; ask for the jobs of one.

        Each is asked about by itself, as long as there is time: among others, one that is not
        known looks like one that is down.
        """
        unknown, answering = [], None
        for host in list(self._hosts())[:_HOSTS_DOUBTED]:
            if wait.remaining_seconds() < self.settings.timeout / 2:
                break
            minion = name_there(self.settings, host)
            try:
                self._run(minion, wait, "test.ping", patience_seconds=1)
                answering = answering or host
            except _NotKnown:
                unknown.append(line(minion))
            except (_Silent, _InBlackout):
                continue
        if unknown:
            return f"it does not know {', '.join(unknown[:NAMES_LISTED])}"
        if answering is None:
            return "no minion of its own answered"
        self.tasks(Target(answering, agent, ""), wait)
        return None

    def _short(self, wait: Wait) -> Wait:
        """Return a wait for one of many calls: what is sent to a minion that is away is lost."""
        return Wait.of(min(self.settings.timeout, wait.remaining_seconds()))

    def _blackout(self, minion: str, wait: Wait) -> Blackout:
        return blackout_of(self._run(minion, wait, "grains.item", _BLACKOUT, _WHITELIST))

    def _set(self, minion: str, wanted: Blackout, wait: Wait) -> None:
        """Write the grains, both at once, and wait until the minion itself has read them."""
        grains = {_BLACKOUT: wanted.value or None, _WHITELIST: list(wanted.whitelist) or None}
        self._run(minion, wait, "grains.setvals", grains, destructive=True, refresh_pillar=False)
        while self._blackout(minion, wait) != wanted:
            wait.pause(_POLL_SECONDS)

    def _started(self, minion: str, wait: Wait) -> float:
        """Return when the minion's process began, unix time by its host's own clock."""
        grains = self._run(minion, wait, "grains.item", "pid")
        pid = number(grains.get("pid")) if isinstance(grains, dict) else None
        if pid is None:
            raise CallFailed("grains.item: half an answer")
        process = self._run(minion, wait, "ps.proc_info", int(pid), ["create_time"])
        started = number(process.get("create_time")) if isinstance(process, dict) else None
        if started is None:
            raise CallFailed("ps.proc_info: half an answer")
        return started

    def _run(
        self,
        minion: str,
        wait: Wait,
        function: str,
        *arguments: object,
        patience_seconds: int | None = None,
        **named: object,
    ) -> Any:
        """Return what a function gave on a minion. Raises CallFailed unless it ended well.

        Salt waits ``patience_seconds`` for the answer, asks whether the job still runs, and waits
        as long for that; None: two thirds of what is left.
        """
        seconds = patience_seconds or max(1, int(wait.remaining_seconds() / 3))
        job = {
            "client": "local",
            "tgt": [minion],
            "tgt_type": "list",
            "fun": function,
            "arg": arguments,
            "kwarg": named,
            "full_return": True,
            "timeout": seconds,
            "gather_job_timeout": seconds,
        }
        answer = self._ask("/", [job], wait).json_object()
        match answer.get("return"):
            case [dict() as answers]:
                return returned(answers, minion, function)
        raise CallFailed(f"{function}: half an answer")

    def _ask(self, path: str, body: object, wait: Wait) -> http.Answer:
        """Return an answer of 200; a login that has expired is renewed, once."""
        for is_last in (False, True):
            token = self._login.token(wait)
            answer = self._post(path, body, wait, {"X-Auth-Token": token})
            if answer.status != 401 or is_last:
                break
            self._login.forget(token)
        return _good(answer)

    def _log_in(self, wait: Wait) -> str:
        settings = self.settings
        password = http.read_secret(settings.password_file)
        body = {"username": settings.username, "password": password, "eauth": settings.eauth}
        answer = _good(self._post("/login", body, wait, {})).json_object()
        match answer.get("return"):
            case [{"token": str(token)}] if token.isascii() and token.isprintable() and token:
                return token
        raise CallFailed("POST /login: the answer has no token")

    def _post(self, path: str, body: object, wait: Wait, headers: dict[str, str]) -> http.Answer:
        return http.request(
            self._session,
            "POST",
            self.settings.url + path,
            timeout_seconds=wait.remaining_seconds(),
            headers={"Accept": "application/json", **headers},
            json=body,
        )


def _good(answer: http.Answer) -> http.Answer:
    """Return an answer of 200. Raises CallFailed with the one paragraph of any other, in HTML."""
    if answer.status == 200:
        return answer
    said = re.search(r"<p>(.*?)</p>", answer.body[:4000].decode("utf-8", "replace"), re.DOTALL)
    if said is None:
        raise CallFailed(answer.describe())
    raise CallFailed(f"{answer.asked}: answered {answer.status}: {line(said[1])}")
