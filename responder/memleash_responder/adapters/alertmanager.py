"""Silences and alerts of one Alertmanager cluster, over its API v2.

Silences are told from those of people by their author. One peer is asked, the one that answered
last; the next when it does not. What a peer was told, the others hear from it.
Protocol: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from memleash_responder.adapters.http import client as http
from memleash_responder.core.matchers import Matcher
from memleash_responder.core.moments import as_datetime, parse
from memleash_responder.errors import AlertmanagerError
from memleash_responder.settings import Alertmanager

AUTHOR = "memleash"
_LIVE = ("active", "pending")
_SAME_END = timedelta(milliseconds=1)  # the API speaks in milliseconds

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Silence:
    """A silence as it is, or, with no id, as it is wanted."""

    id: str | None
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    comment: str
    created_by: str = AUTHOR


class _PeerDown(AlertmanagerError):
    """A peer could not be asked: the next one may know."""


class _Unclear(_PeerDown):
    """A peer may have done what it was asked, or not."""


class AlertmanagerClient:
    """Speaks to the first peer of the cluster that answers."""

    def __init__(self, settings: Alertmanager) -> None:
        self._settings = settings
        self._session = http.session(settings)
        self._last_good = settings.urls[0]

    def silences(self) -> tuple[Silence, ...]:
        """Return memleash's own silences that are active or pending. Raises AlertmanagerError."""
        return self._first(self._silences)

    def put(self, silence: Silence) -> str:
        """Create ``silence``, or renew it in place when it has an id; return the id it has then.

        1. An id that is gone or expired is created anew.
        2. When it stays unclear whether a peer took it, it is looked for before it is posted again,
           there or at another peer.

        Alertmanager renews in place what has the start and the matchers that it listed; else it
        ends the old one and gives another id. Raises AlertmanagerError.
        """
        unclear = False

        def put(peer: str) -> str:
            nonlocal unclear
            for _ in range(2):
                if unclear:
                    found = _same(silence, self._silences(peer))
                    if found is not None:
                        return found
                try:
                    return self._put(peer, silence)
                except _Unclear as error:
                    unclear = True
                    last = error
            raise last

        return self._first(put)

    def expire(self, silence_id: str) -> None:
        """End a silence now; one that is unknown or over is fine. Raises AlertmanagerError."""

        def expire(peer: str) -> None:
            answer = self._ask(peer, "DELETE", f"silence/{silence_id}")
            if answer.ok or answer.status == 404:
                return
            if self._is_live(peer, silence_id):
                raise _refused(answer)  # 0.25 answers 500 for one that is over, too

        self._first(expire)

    def alerts(
        self, *, receiver: str | None = None, labels: Mapping[str, str] | None = None
    ) -> tuple[dict[str, Any], ...]:
        """Return the firing alerts, as the API gives them, that ``receiver`` is told of.

        ``labels`` (a notification's group labels) must all be theirs. Silenced and inhibited ones
        are left out, as they are from notifications; resolved ones are not kept by Alertmanager.
        Raises AlertmanagerError.
        """
        parameters: dict[str, Any] = {
            "silenced": "false",
            "inhibited": "false",
            "filter": [f"{name}={_quoted(value)}" for name, value in (labels or {}).items()],
        }
        if receiver is not None:
            parameters["receiver"] = re.escape(receiver)

        def alerts(peer: str) -> tuple[dict[str, Any], ...]:
            listed = self._get(peer, "alerts", parameters)
            if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
                raise AlertmanagerError(f"{peer}: the answer is not a list of alerts")
            return tuple(listed)

        return self._first(alerts)

    def _first(self, ask: Callable[[str], T]) -> T:
        """Return what the first peer says that can be asked."""
        peers = sorted(self._settings.urls, key=lambda url: url != self._last_good)
        problems = []
        for peer in peers:
            try:
                answer = ask(peer)
            except _PeerDown as error:
                problems.append(error)
                continue
            self._last_good = peer
            return answer
        raise AlertmanagerError(
            f"no Alertmanager took it: {'; '.join(map(str, problems))}"
        ) from problems[-1]

    def _silences(self, peer: str) -> tuple[Silence, ...]:
        listed = self._get(peer, "silences")
        try:
            # All or nothing: who takes an odd list for an empty one makes every silence anew.
            return tuple(
                _silence(one)
                for one in _typed(list, listed)
                if one["createdBy"] == AUTHOR and one["status"]["state"] in _LIVE
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise AlertmanagerError(f"{peer}: the answer is not a list of silences") from error

    def _put(self, peer: str, silence: Silence) -> str:
        """Post once; an id that the peer does not know, once more without it."""
        answer = self._ask(peer, "POST", "silences", json=_body(silence))
        if answer.status == 404 and silence.id is not None:
            created = dataclasses.replace(silence, id=None)
            answer = self._ask(peer, "POST", "silences", json=_body(created))
        if not answer.ok:
            raise _refused(answer)
        try:
            return _typed(str, answer.json()["silenceID"])
        except (http.HttpError, LookupError, TypeError) as error:
            raise _Unclear(f"{peer}: no silenceID in the answer: {answer.excerpt()}") from error

    def _is_live(self, peer: str, silence_id: str) -> bool:
        """Return whether the silence is active or pending."""
        answer = self._ask(peer, "GET", f"silence/{silence_id}")
        if answer.status == 404:
            return False
        if not answer.ok:
            raise _refused(answer)
        try:
            return answer.json()["status"]["state"] in _LIVE
        except (http.HttpError, LookupError, TypeError) as error:
            raise AlertmanagerError(f"{peer}: the answer is not a silence") from error

    def _get(self, peer: str, path: str, parameters: Mapping[str, Any] | None = None) -> Any:
        answer = self._ask(peer, "GET", path, params=parameters)
        if not answer.ok:
            raise _refused(answer)
        try:
            return answer.json()
        except http.HttpError as error:
            raise _PeerDown(str(error)) from error

    def _ask(self, peer: str, method: str, path: str, **arguments: Any) -> http.Answer:
        url = f"{peer.rstrip('/')}/api/v2/{path}"
        seconds = self._settings.timeout
        try:
            return http.request(self._session, method, url, timeout_seconds=seconds, **arguments)
        except http.NotSent as error:
            raise _PeerDown(str(error)) from error
        except http.HttpError as error:
            raise _Unclear(str(error)) from error


def _refused(answer: http.Answer) -> AlertmanagerError:
    """Return the error for an answer that is not 2xx: only 5xx is worth another peer."""
    if answer.status >= 500:
        return _Unclear(answer.describe())
    return AlertmanagerError(answer.describe())


def _same(wanted: Silence, silences: tuple[Silence, ...]) -> str | None:
    """Return the id of the silence that says what ``wanted`` says, whenever it was begun."""
    for one in silences:
        if (
            set(one.matchers) == set(wanted.matchers)
            and one.comment == wanted.comment
            and abs(one.ends_at - wanted.ends_at) <= _SAME_END
        ):
            return one.id
    return None


def _silence(raw: Mapping[str, Any]) -> Silence:
    """Return a silence as the API writes it. Raises LookupError, TypeError, ValueError."""
    return Silence(
        id=_typed(str, raw["id"]),
        matchers=tuple(
            Matcher(
                _typed(str, one["name"]),
                _typed(str, one["value"]),
                _typed(bool, one["isRegex"]),
                _typed(bool, one.get("isEqual", True)),
            )
            for one in _typed(list, raw["matchers"])
        ),
        starts_at=as_datetime(parse(raw["startsAt"])),
        ends_at=as_datetime(parse(raw["endsAt"])),
        comment=_typed(str, raw["comment"]),
        created_by=_typed(str, raw["createdBy"]),
    )


def _typed(kind: type[T], raw: Any) -> T:
    """Return ``raw`` if it is of its ``kind``. Raises TypeError."""
    if not isinstance(raw, kind):
        raise TypeError(f"{type(raw).__name__} in place of {kind.__name__}")
    return raw


def _body(silence: Silence) -> dict[str, object]:
    body: dict[str, object] = {
        "matchers": [
            {
                "name": one.name,
                "value": one.value,
                "isRegex": one.is_regex,
                "isEqual": one.is_equal,
            }
            for one in silence.matchers
        ],
        "startsAt": silence.starts_at.isoformat(),
        "endsAt": silence.ends_at.isoformat(),
        "createdBy": silence.created_by,
        "comment": silence.comment,
    }
    return body if silence.id is None else {**body, "id": silence.id}


def _quoted(value: str) -> str:
    """Return ``value`` as a matcher's text, in the escapes that every version reads."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
