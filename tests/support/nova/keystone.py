"""The Keystone of a nova for tests: it gives tokens for a password or an application credential.

Answers are those of its API reference, POST /v3/auth/tokens.
"""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from demo.http_server import Reply, as_json

USER, PASSWORD, PROJECT = "memleash", "a password", "service"
CREDENTIAL_ID, CREDENTIAL_SECRET = "21dced0fd20347869b93710d2b98aae0", "a secret"
REGION = "RegionOne"

Json = dict[str, Any]


class Keystone:
    """Knows one user, in the domain Default, and its application credential."""

    def __init__(self) -> None:
        self.logins = 0
        self.token_seconds = 3600.0
        self.halves: set[str] = set()
        """Parts of an answer that are left out: ``token``, ``expires_at``, ``catalog``, or
        ``X-Subject-Token``."""
        self._tokens: set[str] = set()

    def expire_tokens(self) -> None:
        """Revoke all: what they say of their end is wrong from now on."""
        self._tokens.clear()

    def takes(self, token: str | None) -> bool:
        return token in self._tokens

    def log_in(self, body: Json, url: str) -> Reply:
        """Answer a login; nova's public endpoint is below ``url``."""
        auth = body.get("auth", {})
        if not _is_right(auth.get("identity", {}), auth.get("scope")):
            error = {"code": 401, "message": "The request you have made requires authentication."}
            return as_json({"error": {**error, "title": "Unauthorized"}}, 401)
        self.logins += 1
        token = uuid.uuid4().hex
        self._tokens.add(token)
        now = datetime.datetime.now(datetime.UTC)
        ends = now + datetime.timedelta(seconds=self.token_seconds)
        said = {
            "methods": auth["identity"]["methods"],
            "user": {"id": "0" * 32, "name": USER, "domain": {"id": "default", "name": "Default"}},
            "issued_at": f"{now:%Y-%m-%dT%H:%M:%S.%f}Z",
            "expires_at": f"{ends:%Y-%m-%dT%H:%M:%S.%f}Z",
            "catalog": [
                {
                    "id": "1" * 32,
                    "type": "compute",
                    "name": "nova",
                    "endpoints": [
                        endpoint("public", f"{url}/v2.1"),
                        endpoint("internal", f"{url}/internal/v2.1"),
                        {**endpoint("public", "http://127.0.0.1:1/"), "region": "RegionTwo"},
                    ],
                }
            ],
        }
        kept = {key: one for key, one in said.items() if key not in self.halves}
        headers = {"X-Subject-Token": token} if "X-Subject-Token" not in self.halves else {}
        return as_json({} if "token" in self.halves else {"token": kept}, 201, **headers)


def endpoint(interface: str, url: str) -> Json:
    return {
        "id": uuid.uuid4().hex,
        "interface": interface,
        "region": REGION,
        "region_id": REGION,
        "url": url,
    }


def _is_right(identity: Json, scope: object) -> bool:
    if identity.get("methods") == ["application_credential"]:
        credential = {"id": CREDENTIAL_ID, "secret": CREDENTIAL_SECRET}
        return identity.get("application_credential") == credential and scope is None
    domain = {"name": "Default"}
    user = {"name": USER, "domain": domain, "password": PASSWORD}
    project = {"project": {"name": PROJECT, "domain": domain}}
    right = {"methods": ["password"], "password": {"user": user}}
    return identity == right and scope == project
