"""Controllers of the kind http: JSON over HTTP, for shims of one's own (docs/controllers.md)."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Collection
from typing import Any

from memleash_responder.adapters.controllers.controller import (
    FAILURES,
    NO_HOST,
    CallFailed,
    Target,
    Wait,
    name_there,
    task,
)
from memleash_responder.adapters.http import client as http
from memleash_responder.controller_settings import HttpControllerSettings
from memleash_responder.core.facts import Host, Task
from memleash_responder.core.host_states import HostState

_MOST_ASKED = 200
"""How many hosts a controller is asked about before it counts as one that knows none."""
_TASK_LISTS = {"running", "pending"}
_TRY_AGAIN_SECONDS = 2.0
_SHORTEST_PAUSE_SECONDS = 0.5
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # RFC 3986, section 2
_LONGEST_LOCATION, _SHOWN_OF_LOCATION = 2000, 100


class HttpController:
    """One controller of the kind http; see Controller. What it has no URL for, it is not asked."""

    def __init__(
        self, settings: HttpControllerSettings, hosts: Callable[[], Collection[Host]]
    ) -> None:
        self.settings = settings
        self._hosts = hosts
        self._known = ""
        """A host that the controller knew when it was last asked about it."""
        self._session = http.session(settings.http_config)

    @property
    def knows_tasks(self) -> bool:
        """Whether it can be asked for tasks."""
        return self.settings.tasks_url is not None

    @property
    def knows_states(self) -> bool:
        """Whether it can be asked what it calls a host."""
        return self.settings.state_url is not None

    def state(self, host: Host, wait: Wait) -> HostState | None:
        """Return what it calls ``host``; None: nothing."""
        url = _filled(self.settings.state_url or "", name_there(self.settings, host), "")
        return _state(self._ask("GET", url, wait))

    def drain(self, target: Target, wait: Wait) -> None:
        """Give the host no new tasks."""
        self._tell(self.settings.drain_url, target, wait)

    def undrain(self, target: Target, wait: Wait) -> None:
        """Give the host tasks again; whose drain it was is the shim's to know."""
        self._tell(self.settings.undrain_url, target, wait)

    def _tell(self, template: str | None, target: Target, wait: Wait) -> None:
        if template is None:
            return
        body = self._named(target)
        answer = self._ask("POST", _filled(template, **body), wait, json=body)
        if not answer.ok:
            raise CallFailed(answer.describe())

    def _named(self, target: Target) -> dict[str, str]:
        return {"host": name_there(self.settings, target.host), "agent": target.agent}

    def tasks(self, target: Target, wait: Wait) -> list[Task]:
        """Return what runs on the host.

        A wrong URL is answered 404 as well. So that means a host without tasks only from a
        controller that knows another host at the same time.
        """
        name = name_there(self.settings, target.host)
        running = self._ask_tasks(name, target.agent, wait)
        if running is None:
            self._find_known(target.agent, wait)
            return []
        self._known = name
        return [_task(one) for one in running]

    def doubt(self, agent: str, wait: Wait) -> str | None:
        """Return why ``tasks_url`` may be wrong, or None."""
        self._find_known(agent, wait)
        if self._ask_tasks(NO_HOST, agent, wait) is not None:
            return f"it has an answer for {NO_HOST}, too, which does not exist"
        return None

    def _find_known(self, agent: str, wait: Wait) -> None:
        """Find a host that the controller knows. Raises when there is none.

        What goes wrong about one host is gone past: another may be known.
        """
        names = sorted(self._names())
        spread = names[:: len(names) // _MOST_ASKED + 1]
        asked, trouble = 0, None
        for name in dict.fromkeys([self._known, *spread] if self._known else spread):
            try:
                if self._ask_tasks(name, agent, wait) is not None:
                    self._known = name
                    return
            except FAILURES as error:
                trouble = trouble or error
            asked += 1
        raise trouble or CallFailed(
            f"GET {self.settings.tasks_url}: answered 404 for each of {asked} hosts of the"
            " inventory: it must know one of them, or it cannot be told from a wrong URL"
        )

    def _names(self) -> list[str]:
        label = self.settings.host_label
        names = [host.name if label is None else host.labels.get(label) for host in self._hosts()]
        return [name for name in names if name]

    def _ask_tasks(self, name: str, agent: str, wait: Wait) -> list[Any] | None:
        """Return what runs on a host; None: 404, never heard of it."""
        answer = self._ask("GET", _filled(self.settings.tasks_url or "", name, agent), wait)
        return None if answer.status == 404 else _listed(answer)

    def reconnect(
        self,
        target: Target,
        wait: Wait,
        *,
        restart_libvirtd: bool,
        life: float | None,  # noqa: ARG002 - the shim's to know
    ) -> None:
        """Post, and poll where the answer points to, until the host is connected.

        A lost connection is tried again: to reconnect twice is to reconnect. The first answer may
        take until the deadline, since a controller may well answer when it is done.
        """
        if self.settings.reconnect_url is None:
            return
        named = self._named(target)
        url = _filled(self.settings.reconnect_url, **named)
        body = {**named, "restart_libvirtd": restart_libvirtd}
        answer = self._insist("POST", url, wait, json=body)
        if answer.status == 202:
            place = _place_to_poll(url, answer)
            while answer.status == 202:
                wait.pause(_retry_after_seconds(answer))
                answer = self._insist("GET", place, wait)
        if not answer.ok:
            raise CallFailed(answer.describe())

    def _insist(self, method: str, url: str, wait: Wait, **arguments: Any) -> http.Answer:
        """Ask until there is an answer, whichever it is."""
        while True:
            try:
                seconds = wait.remaining_seconds()
                return http.request(
                    self._session, method, url, timeout_seconds=seconds, **arguments
                )
            except http.HttpError as error:
                last = error
            try:
                wait.pause(_TRY_AGAIN_SECONDS)
            except CallFailed as error:
                raise CallFailed(f"{error}; last: {last}") from last

    def _ask(self, method: str, url: str, wait: Wait, **arguments: Any) -> http.Answer:
        seconds = wait.remaining_seconds()
        return http.request(self._session, method, url, timeout_seconds=seconds, **arguments)


def _filled(template: str, host: str, agent: str) -> str:
    return template.format(
        host=urllib.parse.quote(host, safe=""), agent=urllib.parse.quote(agent, safe="")
    )


def _listed(answer: http.Answer) -> list[Any]:
    """Return the running tasks in a controller's answer. Raises CallFailed."""
    body = answer.json_object()
    listed = body.get("running")
    if listed is None:
        if body.keys() <= _TASK_LISTS:
            return []
        raise CallFailed(
            f"{answer.asked}: the answer has no running, but other keys: {answer.excerpt()}"
        )
    if not isinstance(listed, list):
        raise CallFailed(f"{answer.asked}: running is not a list: {answer.excerpt()}")
    return listed


def _state(answer: http.Answer) -> HostState | None:
    """Return the state in a controller's answer. Raises CallFailed."""
    body = answer.json_object()
    word = body.get("state")
    if word is None and body.keys() <= {"state"}:
        return None
    if word not in tuple(HostState):
        raise CallFailed(
            f"{answer.asked}: state is none of {', '.join(HostState)}: {answer.excerpt()}"
        )
    return HostState(word)


def _task(raw: object) -> Task:
    """Return a task; one without an id or a name still runs."""
    about = raw if isinstance(raw, dict) else {"id": raw}
    return task(about.get("id"), about.get("name"))


def _place_to_poll(url: str, answer: http.Answer) -> str:
    """Return the URL that a 202 points to. Raises CallFailed.

    Absolute or relative, it must be a URL, and at the origin of ``url``: our credentials go to
    the controller alone.
    """
    location = answer.headers.get("Location")
    if not location:
        raise CallFailed(f"{answer.asked}: answered 202 without a Location to poll")
    problem = f"{answer.asked}: answered 202 with a Location"
    if len(location) > _LONGEST_LOCATION or not _URL.fullmatch(location):
        raise CallFailed(f"{problem} that is not a URL: {location[:_SHOWN_OF_LOCATION]!r}")
    try:
        place, _ = urllib.parse.urldefrag(urllib.parse.urljoin(url, location))
        is_ours = _origin(place) == _origin(url)
    except ValueError as error:  # a port that is no number, an address that is none
        raise CallFailed(
            f"{problem} that is not a URL: {location[:_SHOWN_OF_LOCATION]!r}: {error}"
        ) from error
    if not is_ours:
        raise CallFailed(f"{problem} elsewhere: {location[:_SHOWN_OF_LOCATION]!r}")
    return place


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port. Raises ValueError."""
    parts = urllib.parse.urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _retry_after_seconds(answer: http.Answer) -> float:
    wanted = answer.headers.get("Retry-After", "")
    seconds = float(wanted) if wanted.isdecimal() else _TRY_AGAIN_SECONDS
    return min(60.0, max(_SHORTEST_PAUSE_SECONDS, seconds))
