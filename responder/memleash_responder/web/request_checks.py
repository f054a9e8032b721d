"""What every request passes: who calls, whether they may, from where; and what every answer says.

1. A request that came through another site's page is refused, whoever it seems to be from.
2. Without any access control the responder listens on loopback, and answers only to loopback's
   names, so that no name of an attacker's can be pointed at it (DNS rebinding).
3. Views that do not say who may call them are for operators.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from flask import Flask, Response, g, request

from memleash_responder.core.access import Role
from memleash_responder.usecases.services import Services
from memleash_responder.web.api.table import SMALL_BODY_BYTES
from memleash_responder.web.authentication import Caller, Gate, NotKnown
from memleash_responder.web.listening import is_loopback
from memleash_responder.web.responses import Problem
from memleash_toolkit.wsgi import CERTIFICATE

log = logging.getLogger(__name__)

_CHALLENGES = (
    ("WWW-Authenticate", 'Basic realm="memleash", charset="UTF-8"'),
    ("WWW-Authenticate", "Bearer"),
)
"""Each in a header of its own: browsers do not find Basic among others in one."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""No Strict-Transport-Security: it would hold for every port of the host, the exporter's too."""


def caller() -> Caller:
    """Return who makes the current request."""
    who: Caller = g.caller
    return who


def protect(app: Flask, services: Services, gate: Gate) -> None:
    """Have every request to ``app`` checked, and every answer carry HEADERS."""

    @app.before_request
    def check() -> None:
        view = app.view_functions.get(request.endpoint or "")
        needs: Role | None = getattr(view, "needs", Role.OPERATE)
        request.max_content_length = getattr(view, "body_bytes", SMALL_BODY_BYTES)
        _check_host(services, gate)
        if request.method not in _SAFE:
            _check_origin()
        g.caller = None
        if view is not None and needs is None:
            return
        g.caller = who = _who(services, gate)
        if view is not None and needs not in who.may:
            log.warning("not allowed", extra={"by": who.name, "needs": needs, **_asked()})
            raise Problem(403, "Not allowed", f"{who.name} may not do this; it takes {needs}")

    @app.after_request
    def harden(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _who(services: Services, gate: Gate) -> Caller:
    certificate = request.environ.get(CERTIFICATE, ())
    authorization = request.headers.get("Authorization")
    try:
        return gate.caller(services.settings.access, authorization, certificate)
    except NotKnown as error:
        if authorization:
            log.warning("credentials refused", extra={"reason": str(error), **_asked()})
        raise Problem(
            401,
            "Who are you?",
            str(error),
            _CHALLENGES,
        ) from error


def _check_host(services: Services, gate: Gate) -> None:
    if gate.closed(services.settings.access):
        return
    name = urlsplit(f"//{request.host}").hostname or ""
    if not is_loopback(name):
        raise Problem(
            403,
            "Not allowed",
            f"no access is configured, so that only this machine is served, not {name[:100]!r}",
        )


def _check_origin() -> None:
    """Refuse what another site's page had a browser send. Programs send neither header."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    from_elsewhere = site is not None and site not in ("same-origin", "none")
    if origin is not None and _host_in(origin) != request.host:
        from_elsewhere = True
    if from_elsewhere:
        log.warning("request from another site", extra={"origin": origin, **_asked()})
        raise Problem(403, "Not allowed", "the request came from another site's page")


def _host_in(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # http://[
        return None


def _asked() -> dict[str, str | None]:
    return {
        "method": request.method,
        "path": request.path[:200],
        "client": request.remote_addr,
    }
