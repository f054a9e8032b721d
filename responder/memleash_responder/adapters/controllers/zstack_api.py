"""ZStack's REST API: signed requests, sessions, and jobs that are polled until they end.

Facts are those of zstack's own RestServer.java and MysqlAsyncRestStore.java: a synchronous call is
answered 200, or 503 with an ``error``; an asynchronous one 202 with the place of its job in the
body. The place may name an address that only the management nodes reach, so that nothing but the
job's id is taken from it. ``X-Job-UUID`` gives a job its id; one that was used before is refused.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from memleash_responder.adapters.controllers.controller import CallFailed, Wait
from memleash_responder.adapters.controllers.login import Login
from memleash_responder.adapters.http import client as http
from memleash_responder.controller_settings import ZstackSettings
from memleash_responder.core.untrusted import line
from memleash_responder.http_settings import HttpConfig

_FIRST_POLL_SECONDS = 0.1
_POLL_SECONDS = 2.0
_INVALID_SESSION = "ID.1001"
_JOB = re.compile(r"/api-jobs/([0-9a-f]{32})$")


class ZstackApi:
    """One ZStack. Every call raises CallFailed, or HttpError."""

    def __init__(self, settings: ZstackSettings) -> None:
        self._settings = settings
        self._session = http.session(HttpConfig(tls_config=settings.tls_config))
        self._login = Login(self._log_in)

    def get(self, path: str, wait: Wait, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return what a synchronous call says."""
        return _good(self._ask("GET", path, wait, params=params)).json_object()

    def do(
        self, method: str, path: str, wait: Wait, body: object = None, job_id: str | None = None
    ) -> dict[str, Any]:
        """Have something done, wait for its end, and return its result.

        A ``job_id`` that was used before is a call that came twice: its job is waited for. One
        that failed, or is forgotten, is done anew. One that ended well may have done so long ago,
        so look whether what was asked for is so.
        """
        if job_id is not None:
            ended, is_repeat = self._run(method, path, wait, body, job_id)
            if ended.status == 200 or not is_repeat:
                return _result(ended)
        ended, _ = self._run(method, path, wait, body, uuid.uuid4().hex)
        return _result(ended)

    def _run(
        self, method: str, path: str, wait: Wait, body: object, job_id: str
    ) -> tuple[http.Answer, bool]:
        """Return how a job ended, and whether it had been begun before.

        It also had where the answer to its beginning was lost, and it was asked for again.
        """
        begun = self._insist(method, path, wait, body, job_id)
        if begun.status == 400 and b"Duplicate job uuid" in begun.body:
            return self._poll(job_id, wait), True
        if begun.status != 202:
            return begun, False
        location = _object_in(begun).get("location")
        place = _JOB.search(location) if isinstance(location, str) else None
        if place is None:
            raise CallFailed(f"{begun.asked}: answered 202 without a job: {begun.excerpt()}")
        return self._poll(place[1], wait), False

    def _poll(self, job_id: str, wait: Wait) -> http.Answer:
        pause_seconds = _FIRST_POLL_SECONDS
        while True:
            answer = self._insist("GET", f"/api-jobs/{job_id}", wait)
            if answer.status != 202:
                return answer
            wait.pause(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _POLL_SECONDS)

    def _insist(
        self, method: str, path: str, wait: Wait, body: object = None, job_id: str | None = None
    ) -> http.Answer:
        """Ask until there is an answer: the job's id keeps it from being done twice."""
        while True:
            try:
                return self._ask(method, path, wait, body=body, job_id=job_id)
            except http.HttpError as error:
                last = error
            try:
                wait.pause(_POLL_SECONDS)
            except CallFailed as error:
                raise CallFailed(f"{error}; last: {last}") from last

    def _ask(
        self,
        method: str,
        path: str,
        wait: Wait,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        job_id: str | None = None,
    ) -> http.Answer:
        """Return any answer; a session that has expired is renewed, once."""
        job = {} if job_id is None else {"X-Job-UUID": job_id}
        for is_last in (False, True):
            authorization = self._authorization(method, path, wait)
            headers = authorization | job
            answer = self.send(method, path, wait, headers=headers, params=params, json=body)
            if is_last or self._settings.account is None or not _is_expired(answer):
                break
            self._login.forget(authorization["Authorization"])
        return answer

    def _authorization(self, method: str, path: str, wait: Wait) -> dict[str, str]:
        settings = self._settings
        if settings.access_key_file is None:
            return {"Authorization": self._login.token(wait)}
        key_id, _, secret = http.read_secret(settings.access_key_file).partition(":")
        if not secret:
            raise http.NotSent(f"{settings.access_key_file}: must hold one line, ID:SECRET")
        date = _date(time.time(), ZoneInfo(settings.time_zone))
        text = f"{method}\n{date}\n/v1{path}".encode()
        signed = hmac.digest(secret.encode(), text, hashlib.sha1)  # ZStack knows no other
        signature = base64.b64encode(signed).decode()
        return {"Date": date, "Authorization": f"ZStack {key_id}:{signature}"}

    def send(self, method: str, path: str, wait: Wait, **arguments: Any) -> http.Answer:
        """Return the answer to one request, whichever it is."""
        url, seconds = f"{self._settings.url}{path}", wait.remaining_seconds()
        return http.request(self._session, method, url, timeout_seconds=seconds, **arguments)

    def _log_in(self, wait: Wait) -> str:
        """Return what stands in Authorization for a new session of the account."""
        if self._settings.password_file is None:
            raise CallFailed("no account is configured")
        password = http.read_secret(self._settings.password_file).encode()
        # The protocol's own form of it.
        hashed = hashlib.sha512(password).hexdigest()
        body = {"logInByAccount": {"accountName": self._settings.account, "password": hashed}}
        answer = _good(self.send("PUT", "/accounts/login", wait, json=body)).json_object()
        inventory = answer.get("inventory")
        session = inventory.get("uuid") if isinstance(inventory, dict) else None
        if not isinstance(session, str) or not session:
            raise CallFailed("PUT /accounts/login: the answer has no session")
        return f"OAuth {session}"


def job_id(restart_id: str, *what: object) -> str | None:
    """Return the id of the job that does ``what`` for a restart; None where none asks for it."""
    if not restart_id:
        return None
    return uuid.uuid5(uuid.NAMESPACE_URL, "/".join(["memleash", restart_id, *map(str, what)])).hex


def _date(at: float, zone: ZoneInfo) -> str:
    """Return a time as ``EEE, dd MMM yyyy HH:mm:ss z``: its zone as GMT and an offset."""
    local = datetime.datetime.fromtimestamp(at, zone)
    offset = f"{local:%z}"
    shown = "GMT" if offset == "+0000" else f"GMT{offset[:3]}:{offset[3:5]}"
    return f"{local:%a, %d %b %Y %H:%M:%S} {shown}"


def _good(answer: http.Answer) -> http.Answer:
    """Return an answer of 200. Raises CallFailed with what ZStack says of any other."""
    if answer.status == 200:
        return answer
    error = _error_in(answer)
    if error is None:
        raise CallFailed(answer.describe())
    said = (error.get("code"), error.get("description"), error.get("details"))
    text = ": ".join(one for one in said if isinstance(one, str) and one)
    raise CallFailed(f"{answer.asked}: answered {answer.status}: {line(text)}")


def _result(ended: http.Answer) -> dict[str, Any]:
    """Return what a job gave; one that has nothing to give has no body."""
    return _good(ended).json_object() if ended.status != 200 or ended.body else {}


def _is_expired(answer: http.Answer) -> bool:
    error = _error_in(answer)
    return answer.status == 503 and error is not None and error.get("code") == _INVALID_SESSION


def _error_in(answer: http.Answer) -> dict[str, Any] | None:
    """Return the ``error`` in an answer; None: it has none."""
    error = _object_in(answer).get("error")
    return error if isinstance(error, dict) else None


def _object_in(answer: http.Answer) -> dict[str, Any]:
    """Return the object that a body is; an empty one for text, as ZStack answers with, too."""
    try:
        body = answer.json()
    except http.HttpError:
        return {}
    return body if isinstance(body, dict) else {}
