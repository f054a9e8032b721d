"""Nova's REST API: who asks, in which version, and lists that come in pages.

See https://docs.openstack.org/api-ref/compute/. Keystone is asked by keystoneauth1, whose requests
go the way of all others here: with a deadline, a largest answer, and no redirects.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import requests

from memleash_responder.adapters.controllers.controller import CallFailed, Wait
from memleash_responder.adapters.controllers.login import Login
from memleash_responder.adapters.http import client as http
from memleash_responder.controller_settings import NovaSettings
from memleash_responder.core.untrusted import line
from memleash_responder.http_settings import HttpConfig

if TYPE_CHECKING:  # an extra: imported where there is a Keystone to log in at
    from keystoneauth1.access.access import AccessInfo

_MICROVERSION = "compute 2.53"
"""Of Pike, 2017: the first in which a service is called by its UUID."""
_PAGE_SIZE = 100
"""Servers whose metadata is as large as it may be still fit into one answer then."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Access:
    """A token, and where nova takes it."""

    token: str = dataclasses.field(repr=False)
    endpoint: str
    info: AccessInfo | None = dataclasses.field(default=None, repr=False)
    """What Keystone said of it; None: it did not come from there."""

    @property
    def ends_soon(self) -> bool:
        """Whether it expires within half a minute."""
        return self.info is not None and self.info.will_expire_soon()


class NovaApi:
    """One nova. Every call raises CallFailed, or HttpError."""

    def __init__(self, settings: NovaSettings) -> None:
        self._settings = settings
        self._session = http.session(HttpConfig(tls_config=settings.tls_config))
        self._login = Login(self._log_in, lambda access: access.ends_soon)

    def get(self, path: str, wait: Wait, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the object that is at ``path``."""
        return self._ask("GET", path, wait, params=params)

    def put(self, path: str, wait: Wait, body: object) -> dict[str, Any]:
        """Change what is at ``path``, and return it."""
        return self._ask("PUT", path, wait, json=body)

    def all_pages(self, path: str, wait: Wait, params: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the whole list at ``path``, which is called as its last part, or the one before.

        A page says that another one follows, and nova's own limit may make it shorter than asked
        for. The link itself may name an address that only nova's side reaches.
        """
        key = path.split("/")[1]
        found: list[dict[str, Any]] = []
        marker: dict[str, str] = {}
        while True:
            asked = {**params, **marker, "limit": str(_PAGE_SIZE)}
            answer = self.get(path, wait, asked)
            page = objects_in(answer, key)
            found += page
            links = objects_in(answer, f"{key}_links", missing=[])
            if not any(one.get("rel") == "next" for one in links):
                return found
            last = page[-1].get("id") if page else None
            if not isinstance(last, str) or marker == {"marker": last}:
                raise CallFailed(f"{path}: a page that is not the last has no last entry")
            marker = {"marker": last}

    def _ask(self, method: str, path: str, wait: Wait, **arguments: Any) -> dict[str, Any]:
        """Return what nova says; a token that it does not take any more is renewed, once."""
        for is_last in (False, True):
            access = self._login.token(wait)
            headers = {"X-Auth-Token": access.token, "OpenStack-API-Version": _MICROVERSION}
            answer = http.request(
                self._session,
                method,
                f"{access.endpoint}{path}",
                timeout_seconds=wait.remaining_seconds(),
                headers=headers,
                **arguments,
            )
            if is_last or answer.status != 401:
                break
            self._login.forget(access)
        return answer.json_object()

    def _log_in(self, wait: Wait) -> _Access:
        """Log in at Keystone and find nova in its catalog, unless a token is configured."""
        settings = self._settings
        if settings.token_file is not None and settings.endpoint is not None:
            return _Access(http.read_secret(settings.token_file), settings.endpoint)
        from keystoneauth1.exceptions import ClientException  # noqa: PLC0415 - an extra
        from keystoneauth1.session import Session  # noqa: PLC0415

        keystone = Session(session=cast(Any, _Requests(self._session, wait)), redirect=False)
        try:
            info = _login(settings).get_access(keystone)
            endpoint = settings.endpoint or info.service_catalog.url_for(
                "compute", interface=settings.interface.value, region_name=settings.region_name
            )
            token, _ = info.auth_token, info.expires  # read at each use, which must not fail
        except ClientException as error:
            raise CallFailed(f"Keystone at {settings.auth_url}: {line(str(error))}") from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # it reads any answer
            raise CallFailed(
                f"Keystone at {settings.auth_url}: half an answer: {error!r}"
            ) from error
        if not isinstance(token, str) or not isinstance(endpoint, str) or not token:
            raise CallFailed(f"Keystone at {settings.auth_url}: half an answer")
        return _Access(token, endpoint.rstrip("/"), info)


def _login(settings: NovaSettings) -> Any:
    """Return the plug-in of keystoneauth1, with the secret as it is in its file now."""
    from keystoneauth1.identity import v3  # noqa: PLC0415 - an extra

    url = str(settings.auth_url)
    auth_url = url if url.endswith("/v3") else f"{url}/v3"
    if settings.application_credential_secret_file is not None:
        return v3.ApplicationCredential(
            auth_url,
            application_credential_secret=http.read_secret(
                settings.application_credential_secret_file
            ),
            application_credential_id=settings.application_credential_id,
        )
    if settings.password_file is None:
        raise CallFailed("no login is configured")
    return v3.Password(
        auth_url,
        username=settings.username,
        password=http.read_secret(settings.password_file),
        user_domain_name=settings.user_domain_name,
        project_name=settings.project_name,
        project_domain_name=settings.project_domain_name,
    )


class _Requests:
    """What keystoneauth1 takes for a session of requests: it ends with ``wait``."""

    def __init__(self, session: requests.Session, wait: Wait) -> None:
        self._session = session
        self._wait = wait

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        data: object = None,
        **_how: object,
    ) -> requests.Response:
        """Return the whole answer; how to speak TLS is the session's to know."""
        answer = http.request(
            self._session,
            method,
            url,
            timeout_seconds=self._wait.remaining_seconds(),
            headers=headers,
            data=data,
        )
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.raw = io.BytesIO(answer.body)
        response.url = url
        return response


def objects_in(
    answer: Mapping[str, Any], key: str, missing: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Return the list of objects at ``key``. Raises CallFailed for half an answer."""
    listed = answer.get(key, missing)
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise CallFailed(f"the answer has no list of {key}")
    return listed
