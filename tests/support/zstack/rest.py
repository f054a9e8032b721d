"""The REST server of a ZStack for tests: who may ask, what is answered how, and jobs.

See server.py for what it serves, and for where it was read.
"""

from __future__ import annotations

import abc
import base64
import contextlib
import dataclasses
import datetime
import hashlib
import hmac
import json
import re
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from demo.http_server import Raw, Reply, Request, serving

CONTEXT = "/zstack"
KEY_ID, KEY_SECRET = "Vt4CMkGBGGLdkTMtVJ0q", "2JsiMkvzgBBhMVLTbYyEpTjGYoyBMcLmaDQmBJZr"
ACCOUNT, PASSWORD = "memleash", "a password"
UNREACHABLE = "http://172.31.255.254:8080"
"""The address of its own that it puts into the places of jobs."""
SKEW = datetime.timedelta(minutes=15)
_DATE = re.compile(r"(\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d) (GMT|UTC)?(?:([+-]\d\d):(\d\d))?")
_JOB = re.compile(r"/v1/api-jobs/([^/]+)")

Json = dict[str, Any]
LOGIN = ("PUT", "/v1/accounts/login")


@dataclasses.dataclass(slots=True)
class Faults:
    """What it does wrong, by default nothing."""

    errors: set[str] = dataclasses.field(default_factory=set)
    """Beginnings of ``METHOD path`` that are answered 503."""
    halves: set[str] = dataclasses.field(default_factory=set)
    """Keys that are left out of every answer, wherever they stand."""
    hang: bool = False
    seconds: float = 0.0
    """How long each answer takes."""
    cut: int = 0
    """So many answers to what is not GET are lost, after what was asked for has begun."""
    reconnect_error: str = ""
    """What a reconnect fails with."""
    job_polls: int = 1
    """How often a job is asked for before it is done."""


class Refusal(Exception):
    """An answer that is an error: JSON for 503, text for any other."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body


@dataclasses.dataclass(slots=True)
class Job:
    """Something asynchronous; ``finish`` gives its result, or raises Refusal."""

    finish: Callable[[], Json]
    polls: int
    is_due: Callable[[], bool] = lambda: True
    """Whether it can be finished, once it was asked for often enough."""
    reply: Reply | None = None


class Rest(abc.ABC):
    """Answers requests by the routes of its subclass."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.clock_offset = datetime.timedelta()
        """By how much its wall clock is ahead of UTC: its time zone, and what it is wrong by."""
        self.checks_time_zone = False
        self.asked: list[str] = []
        self.logins = 0
        self._sessions: set[str] = set()
        self._jobs: dict[str, Job] = {}

    @abc.abstractmethod
    def routes(self) -> Mapping[tuple[str, str], Callable[..., Json | Job]]:
        """Return what serves each method and path."""

    def expire_sessions(self) -> None:
        self._sessions.clear()

    def forget_jobs(self) -> None:
        self._jobs.clear()

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Serve it on a free port; yield the URL of its REST API."""
        with serving(self.answer) as served:
            yield f"{served.url}{CONTEXT}/v1"

    def answer(self, request: Request) -> Reply | Raw:
        path = urllib.parse.unquote(request.route).removeprefix(CONTEXT)
        self.asked.append(f"{request.method} {path.removeprefix('/v1')}")
        if self.faults.hang:
            return Raw(hang=True)
        time.sleep(self.faults.seconds)
        try:
            reply = self._routed(request, path)
        except Refusal as refusal:
            reply = _reply(refusal.status, refusal.body)
        if self.faults.cut and request.method != "GET" and path != "/v1/accounts/login":
            self.faults.cut -= 1
            return Raw()
        return reply

    def _routed(self, request: Request, path: str) -> Reply:
        if match := _JOB.fullmatch(path):
            return self._job(request.method, match[1])
        for (method, pattern), handle in {**self.routes(), LOGIN: self._log_in}.items():
            found = re.fullmatch(pattern, path)
            if found and method == request.method:
                if path != "/v1/accounts/login":
                    self._authenticate(request, path)
                failing = f"{method} {path.removeprefix('/v1')}"
                if any(failing.startswith(one) for one in self.faults.errors):
                    raise error("SYS.1000", "An internal error happened in system", failing)
                return self._handled(handle, request, found.groupdict())
        raise Refusal(404, f"no api mapping to {path}")

    def _handled(
        self, handle: Callable[..., Json | Job], request: Request, names: dict[str, str]
    ) -> Reply:
        query = urllib.parse.parse_qs(request.query)
        body = request.json() if request.body else {}
        job_id = request.headers.get("X-Job-UUID")
        if job_id is not None and request.method != "GET":
            if len(job_id) != 32:
                raise Refusal(
                    400, "Invalid header[X-Job-UUID], it must be a UUID with '-' stripped"
                )
            if job_id in self._jobs:
                raise Refusal(400, f"Duplicate job uuid[{job_id}]")
        done = handle(body=body, query=query, **names)
        if isinstance(done, Job):
            job_id = job_id or uuid.uuid4().hex
            self._jobs[job_id] = done
            place = f"{UNREACHABLE}{CONTEXT}/v1/api-jobs/{job_id}"
            return _reply(202, self._halved({"location": place, "apiTimeout": 1_800_000}))
        return _reply(200, self._halved(done))

    def _job(self, method: str, job_id: str) -> Reply:
        if method != "GET":
            raise Refusal(405, "only GET method is allowed for querying job status")
        job = self._jobs.get(job_id)
        if job is None:
            raise Refusal(404, "the job has been expired")
        job.polls -= 1
        if job.reply is None and (job.polls >= 0 or not job.is_due()):
            return _reply(202, {})
        if job.reply is None:
            try:
                job.reply = _reply(200, self._halved(job.finish()))
            except Refusal as refusal:
                job.reply = _reply(refusal.status, refusal.body)
        return job.reply

    def _halved(self, value: Any) -> Any:
        if isinstance(value, dict):
            kept = {key: one for key, one in value.items() if key not in self.faults.halves}
            return {key: self._halved(one) for key, one in kept.items()}
        return [self._halved(one) for one in value] if isinstance(value, list) else value

    # -- authentication ---------------------------------------------------------------------------

    def _authenticate(self, request: Request, path: str) -> None:
        authorization = request.headers.get("Authorization")
        if authorization is None:
            raise Refusal(400, "missing header 'Authorization'")
        if authorization.startswith("OAuth"):
            if authorization.removeprefix("OAuth").strip() not in self._sessions:
                raise error("ID.1001", "Session expired", "Session expired")
        elif authorization.startswith("ZStack"):
            self._check_signature(request, path, authorization.removeprefix("ZStack").strip())
        else:
            raise Refusal(400, "Authorization type must be 'OAuth'")

    def _check_signature(self, request: Request, path: str, given: str) -> None:
        date = request.headers.get("Date")
        if date is None:
            raise Refusal(400, "'Date' must be incuded in request header")
        match = _DATE.fullmatch(date)
        if match is None:
            raise Refusal(
                400, "'Date' format error, correct format is 'EEE, dd MMM yyyy HH:mm:ss z'"
            )
        told = datetime.datetime.strptime(match[1], "%a, %d %b %Y %H:%M:%S")  # noqa: DTZ007
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        if self.checks_time_zone:
            told -= datetime.timedelta(hours=int(match[3] or 0), minutes=int(match[4] or 0))
        else:
            now += self.clock_offset
        if abs(told - now) > SKEW:
            raise Refusal(403, "requestTimeTooSkewed")
        parts = given.split(":")
        if len(parts) != 2:
            raise Refusal(400, "accessKey format is 'ZStack AccessKeyId:Signature'")
        text = f"{request.method}\n{date}\n{path}".encode()
        signature = base64.b64encode(hmac.digest(KEY_SECRET.encode(), text, hashlib.sha1)).decode()
        if parts != [KEY_ID, signature]:
            raise error("ID.1000", "Authentication failed", "wrong access key or signature")

    def _log_in(self, body: Json, **_: object) -> Json:
        login = body.get("logInByAccount", {})
        hashed = hashlib.sha512(PASSWORD.encode()).hexdigest()
        if (login.get("accountName"), login.get("password")) != (ACCOUNT, hashed):
            raise error("ID.1000", "Authentication failed", "wrong account name or password")
        self.logins += 1
        session = uuid.uuid4().hex
        self._sessions.add(session)
        return {
            "inventory": {
                "uuid": session,
                "accountUuid": uuid.uuid5(uuid.NAMESPACE_DNS, ACCOUNT).hex,
                "userUuid": uuid.uuid5(uuid.NAMESPACE_DNS, ACCOUNT).hex,
                "expiredDate": "Nov 27, 2026 4:25:31 PM",
                "createDate": "Nov 27, 2026 2:25:31 PM",
            }
        }


def error(code: str, description: str, details: str) -> Refusal:
    """Return an answer of 503, as ErrorCode is written."""
    body = {"code": code, "description": description, "details": details, "elaboration": ""}
    return Refusal(503, {"error": body})


def _reply(status: int, body: object) -> Reply:
    if status == 200 and body == {}:
        return Reply(200)  # what has no field is not written as JSON
    if isinstance(body, str):
        return Reply(status, body.encode(), {"Content-Type": "text/plain"})
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
