"""Controllers of the kind http: JSON over HTTP, for shims of one's own (docs/controllers.md)."""

from __future__ import annotations

import re
import time
import urllib.parse
from collections.abc import Callable, Collection
from typing import Any

import requests

from memleash_responder.adapters.controllers.controller import Wait
from memleash_responder.adapters.http import client as http
from memleash_responder.core.facts import ControllerTasks, Host, Task, Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.core.untrusted import NAME_CHARACTERS, line, number
from memleash_responder.http_settings import Authorization, HttpConfig
from memleash_responder.settings import Controller

NO_HOST = "memleash-asks.invalid"
"""A host that does not exist (RFC 6761): no controller knows it."""

_TASKS_KEPT = 100
_MOST_ASKED = 200
"""How many hosts a controller is asked about before it counts as one that knows none."""
_TASK_LISTS = {"running", "pending"}
_TRY_AGAIN_SECONDS = 2.0
_SHORTEST_PAUSE_SECONDS = 0.5
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # RFC 3986, section 2
_LONGEST_LOCATION, _SHOWN_OF_LOCATION = 2000, 100


class HttpController:
    """One controller of the kind http; see Controller."""

    def __init__(self, settings: Controller, names: Callable[[], Collection[str]]) -> None:
        self._settings = settings
        self._names = names
        self._known = ""
        """A host that the controller knew when it was last asked about it."""
        self._session = _session(settings)

    @property
    def name(self) -> str:
        """Its name in messages and history."""
        return self._settings.name

    @property
    def knows_tasks(self) -> bool:
        """Whether it can be asked for tasks."""
        return self._settings.tasks_url is not None

    @property
    def knows_states(self) -> bool:
        """Whether it can be asked what it calls a host."""
        return self._settings.state_url is not None

    def state(self, host: Host) -> HostState | Unknown | None:
        """Return what it calls ``host``; None: nothing; Unknown where it cannot tell."""
        try:
            answer = self._ask("GET", _filled(self._settings.state_url or "", host.name, ""))
            return _state(answer)
        except http.HttpError as error:
            return Unknown(str(error))

    def drain(self, host: Host, agent: str) -> None:
        """Give ``host`` no new tasks."""
        self._tell(self._settings.drain_url, host, agent)

    def undrain(self, host: Host, agent: str) -> None:
        """Give ``host`` tasks again."""
        self._tell(self._settings.undrain_url, host, agent)

    def _tell(self, template: str | None, host: Host, agent: str) -> None:
        if template is None:
            return
        answer = self._ask("POST", _filled(template, host.name, agent), json=_named(host, agent))
        if not answer.ok:
            raise http.HttpError(answer.describe())

    def tasks(self, host: Host, agent: str) -> ControllerTasks:
        """Return what runs on ``host``; Unknown where it cannot tell."""
        try:
            running = self._running(host.name, agent)
        except http.HttpError as error:
            return ControllerTasks(self._settings.name, Unknown(str(error)))
        first = tuple(_task(one) for one in running[:_TASKS_KEPT])
        return ControllerTasks(self._settings.name, first, more=len(running) - len(first))

    def doubt(self, agent: str) -> str | None:
        """Return why ``tasks_url`` may be wrong, or None."""
        try:
            self._find_known(agent)
            if self._ask_tasks(NO_HOST, agent) is not None:
                return f"it has an answer for {NO_HOST}, too, which does not exist"
        except http.HttpError as error:
            return str(error)
        return None

    def _running(self, name: str, agent: str) -> list[Any]:
        """Return what runs on a host. Raises http.HttpError.

        A wrong URL is answered 404 as well. So that means a host without tasks only from a
        controller that knows another host at the same time.
        """
        running = self._ask_tasks(name, agent)
        if running is None:
            self._find_known(agent)
            return []
        self._known = name
        return running

    def _find_known(self, agent: str) -> None:
        """Find a host that the controller knows. Raises http.HttpError when there is none.

        What goes wrong about one host is gone past: another may be known.
        """
        names = sorted(self._names())
        spread = names[:: len(names) // _MOST_ASKED + 1]
        deadline = time.monotonic() + self._settings.timeout
        asked, trouble = 0, None
        for name in dict.fromkeys([self._known, *spread] if self._known else spread):
            try:
                if self._ask_tasks(name, agent) is not None:
                    self._known = name
                    return
            except http.HttpError as error:
                trouble = error
            asked += 1
            if time.monotonic() > deadline:
                break
        raise trouble or http.HttpError(
            f"GET {self._settings.tasks_url}: answered 404 for each of {asked} hosts of the"
            " inventory: it must know one of them, or it cannot be told from a wrong URL"
        )

    def _ask_tasks(self, name: str, agent: str) -> list[Any] | None:
        """Return what runs on a host; None: 404, never heard of it. Raises http.HttpError."""
        answer = self._ask("GET", _filled(self._settings.tasks_url or "", name, agent))
        return None if answer.status == 404 else _listed(answer)

    def reconnect(self, host: Host, agent: str, wait: Wait, *, restart_libvirtd: bool) -> None:
        """Post, and poll where the answer points to, until the host is connected.

        A lost connection is tried again: to reconnect twice is to reconnect. The first answer may
        take until the deadline, since a controller may well answer when it is done.
        """
        if self._settings.reconnect_url is None:
            return
        url = _filled(self._settings.reconnect_url, host.name, agent)
        body = {**_named(host, agent), "restart_libvirtd": restart_libvirtd}
        answer = self._insist("POST", url, wait, json=body)
        if answer.status == 202:
            place = _place_to_poll(url, answer)
            while answer.status == 202:
                wait.pause(_retry_after_seconds(answer))
                answer = self._insist("GET", place, wait)
        if not answer.ok:
            raise http.HttpError(answer.describe())

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
            except http.HttpError as error:
                raise http.HttpError(f"{error}; last: {last}") from last

    def _ask(self, method: str, url: str, **arguments: Any) -> http.Answer:
        seconds = self._settings.timeout
        return http.request(self._session, method, url, timeout_seconds=seconds, **arguments)


def _session(settings: Controller) -> requests.Session:
    if settings.bearer_token_file is None:
        return http.session(settings)
    bearer = Authorization(credentials_file=settings.bearer_token_file)
    return http.session(HttpConfig(authorization=bearer, tls_config=settings.tls_config))


def _named(host: Host, agent: str) -> dict[str, object]:
    return {"host": host.name, "agent": agent}


def _filled(template: str, host: str, agent: str) -> str:
    return template.format(
        host=urllib.parse.quote(host, safe=""), agent=urllib.parse.quote(agent, safe="")
    )


def _object(answer: http.Answer) -> dict[str, Any]:
    """Return the JSON object that an answer is. Raises http.HttpError."""
    if answer.status != 200:
        raise http.HttpError(answer.describe())
    body = answer.json()
    if not isinstance(body, dict):
        raise http.HttpError(f"{answer.asked}: the answer is not an object: {answer.excerpt()}")
    return body


def _listed(answer: http.Answer) -> list[Any]:
    """Return the running tasks in a controller's answer. Raises http.HttpError."""
    body = _object(answer)
    listed = body.get("running")
    if listed is None:
        if body.keys() <= _TASK_LISTS:
            return []
        raise http.HttpError(
            f"{answer.asked}: the answer has no running, but other keys: {answer.excerpt()}"
        )
    if not isinstance(listed, list):
        raise http.HttpError(f"{answer.asked}: running is not a list: {answer.excerpt()}")
    return listed


def _state(answer: http.Answer) -> HostState | None:
    """Return the state in a controller's answer. Raises http.HttpError."""
    body = _object(answer)
    word = body.get("state")
    if word is None and body.keys() <= {"state"}:
        return None
    if word not in tuple(HostState):
        raise http.HttpError(
            f"{answer.asked}: state is none of {', '.join(HostState)}: {answer.excerpt()}"
        )
    return HostState(word)


def _task(raw: object) -> Task:
    """Return a task; one without an id or a name still runs."""
    about = raw if isinstance(raw, dict) else {"id": raw}
    task_id = _text(about.get("id")) or "?"
    return Task(id=task_id, name=_text(about.get("name")) or task_id)


def _text(raw: object) -> str:
    """Return an id or a name: text, or a number."""
    return line(str(raw) if number(raw) is not None else raw, NAME_CHARACTERS) if raw else ""


def _place_to_poll(url: str, answer: http.Answer) -> str:
    """Return the URL that a 202 points to. Raises http.HttpError.

    Absolute or relative, it must be a URL, and at the origin of ``url``: our credentials go to
    the controller alone.
    """
    location = answer.headers.get("Location")
    if not location:
        raise http.HttpError(f"{answer.asked}: answered 202 without a Location to poll")
    problem = f"{answer.asked}: answered 202 with a Location"
    if len(location) > _LONGEST_LOCATION or not _URL.fullmatch(location):
        raise http.HttpError(f"{problem} that is not a URL: {location[:_SHOWN_OF_LOCATION]!r}")
    try:
        place, _ = urllib.parse.urldefrag(urllib.parse.urljoin(url, location))
        is_ours = _origin(place) == _origin(url)
    except ValueError as error:  # a port that is no number, an address that is none
        raise http.HttpError(
            f"{problem} that is not a URL: {location[:_SHOWN_OF_LOCATION]!r}: {error}"
        ) from error
    if not is_ours:
        raise http.HttpError(f"{problem} elsewhere: {location[:_SHOWN_OF_LOCATION]!r}")
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
