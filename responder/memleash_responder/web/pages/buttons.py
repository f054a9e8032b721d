"""The pages' buttons: forms that cannot be made by another site or caller, or be sent twice.

A form carries a signature over who it was made for, what it does, and the state that its maker
saw. Once the act is done that state is another, and the same form is refused; so is one that
lay open in a browser while somebody else acted. The key lives in the database, so that every
replica takes every replica's forms.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable

from flask import Blueprint, redirect, request, url_for
from itsdangerous import BadSignature, TimestampSigner
from werkzeug.wrappers import Response

from memleash_responder.core.access import Role
from memleash_responder.core.pauses import DEFAULT
from memleash_responder.usecases.operator import Operator
from memleash_responder.usecases.services import RESUMED, Services
from memleash_responder.web.api.hosts import new_maintenance
from memleash_responder.web.api.parameters import parse_end, parse_name, parse_reason
from memleash_responder.web.api.table import restricted
from memleash_responder.web.request_checks import caller
from memleash_responder.web.responses import Problem

PAUSE, RESUME, APPROVE, DENY = "pause", "resume", "approve", "deny"
RESTART, UNMUTE, RECONNECT, CLEAR = "restart", "unmute", "reconnect", "clear"
DIAGNOSE, MAINTAIN, RETURN, ALLOW = "diagnose", "maintain", "return", "allow"

FORM_KEY = "form_key"
"""The switch that holds the key. Flags are never shown as a whole."""
VALID_SECONDS = 12 * 3600
_SIGNED = b"form"


def seen_of(services: Services, act: str, *about: str) -> str:
    """Return the state that ``act`` changes, in a text that is another one after each change."""
    tables = services.tables
    if act in (PAUSE, RESUME):
        resumed = tables.flags.all().get(RESUMED, ("", 0.0, ""))
        return "/".join(map(repr, [*about, resumed, *tables.pauses.all()]))
    if act in (APPROVE, DENY):
        (restart_id,) = about
        restart = tables.restarts.get(restart_id)
        return f"{restart_id}/{restart.step}/{restart.approval}" if restart else ""
    if act == RESTART:
        host, agent = about
        newest = tables.restart_history.page(host=host, agent=agent, limit=1)
        return "/".join([host, agent, *(f"{one.id}/{one.outcome}" for one in newest)])
    if act == DIAGNOSE:
        host, agent = about
        last = tables.diagnoses.last_of(host, agent)
        return "/".join([host, agent, *([last.id, str(last.outcome)] if last else [])])
    if act == UNMUTE:
        (host,) = about
        claims = sorted(f"{one.claimant}@{one.since!r}" for one in tables.mutes.of_host(host))
        return "/".join([host, *claims])
    if act == RECONNECT:
        (host,) = about
        record = tables.hosts.get(host)
        return f"{host}/{record.state}/{record.changed_at!r}/{record.next_attempt_at!r}"
    if act in (MAINTAIN, RETURN):
        (host,) = about
        return f"{host}/{tables.maintenance.holding(services.clock.now()).get(host)!r}"
    if act == ALLOW:
        host, agent = about
        return f"{host}/{agent}/{tables.denials.all().get((host, agent))!r}"
    host, agent = about
    return f"{host}/{agent}/{tables.quarantine.all().get((host, agent))!r}"


def buttons(services: Services, operator: Operator, forms: Forms) -> Blueprint:
    """Return the routes behind the buttons."""
    blueprint = Blueprint("buttons", __name__)

    def checked(act: str, *about: str) -> str:
        """Return who sent the form, once it is known to be theirs and new."""
        who = caller().name
        forms.check(request.form.get("proof", ""), who, act, seen_of(services, act, *about))
        return who

    @blueprint.post("/pause")
    @restricted(Role.OPERATE)
    def pause() -> Response:
        who, now = checked(PAUSE), services.clock.now()
        name, lasts = (request.form.get(field) or None for field in ("name", "for"))
        try:
            name, reason = parse_name(name or DEFAULT), parse_reason(request.form.get("reason", ""))
            until = parse_end(None, lasts, now)
        except ValueError as error:
            raise Problem(400, "Not paused", str(error)) from error
        operator.pause(who, name, reason, until)
        return _shown(url_for("pages.home"))

    @blueprint.post("/resume")
    @restricted(Role.OPERATE)
    def resume() -> Response:
        operator.resume(checked(RESUME))
        return _shown(url_for("pages.home"))

    @blueprint.post("/pauses/<name>/resume")
    @restricted(Role.OPERATE)
    def resume_one(name: str) -> Response:
        operator.resume(checked(RESUME, name), name)
        return _shown(url_for("pages.home"))

    @blueprint.post("/restarts/<restart_id>/<any(approve, deny):act>")
    @restricted(Role.OPERATE)
    def decide(restart_id: str, act: str) -> Response:
        operator.decide(restart_id, checked(act, restart_id), approve=act == APPROVE)
        return _shown(url_for("pages.restart", restart_id=restart_id))

    @blueprint.post("/hosts/<host>/agents/<agent>/allow")
    @restricted(Role.OPERATE)
    def allow(host: str, agent: str) -> Response:
        operator.allow(host, agent, checked(ALLOW, host, agent))
        return _shown(url_for("pages.host", host=host))

    @blueprint.post("/hosts/<host>/agents/<agent>/restart")
    @restricted(Role.OPERATE)
    def restart(host: str, agent: str) -> Response:
        forced = request.form.get("force") == "yes"
        opened = operator.restart(host, agent, checked(RESTART, host, agent), forced=forced)
        return _shown(url_for("pages.restart", restart_id=opened.id))

    @blueprint.post("/hosts/<host>/agents/<agent>/diagnose")
    @restricted(Role.OPERATE)
    def diagnose(host: str, agent: str) -> Response:
        operator.diagnose(host, agent, checked(DIAGNOSE, host, agent))
        return _shown(url_for("pages.host", host=host, _anchor="reports"))

    @blueprint.post("/hosts/<host>/unmute")
    @restricted(Role.OPERATE)
    def unmute(host: str) -> Response:
        operator.unmute(host, checked(UNMUTE, host))
        return _shown(url_for("pages.host", host=host))

    @blueprint.post("/hosts/<host>/reconnect")
    @restricted(Role.OPERATE)
    def reconnect(host: str) -> Response:
        operator.reconnect_soon(host, checked(RECONNECT, host))
        return _shown(url_for("pages.host", host=host))

    @blueprint.post("/hosts/<host>/maintain")
    @restricted(Role.OPERATE)
    def maintain(host: str) -> Response:
        checked(MAINTAIN, host)
        reason, lasts = request.form.get("reason", ""), request.form.get("for") or None
        new = new_maintenance(reason, None, lasts, services.clock.now())
        operator.begin_maintenance(host, new)
        return _shown(url_for("pages.host", host=host))

    @blueprint.post("/hosts/<host>/return")
    @restricted(Role.OPERATE)
    def return_host(host: str) -> Response:
        operator.end_maintenance(host, checked(RETURN, host))
        return _shown(url_for("pages.host", host=host))

    @blueprint.post("/hosts/<host>/agents/<agent>/clear")
    @restricted(Role.OPERATE)
    def clear(host: str, agent: str) -> Response:
        operator.clear_quarantine(host, agent, checked(CLEAR, host, agent))
        return _shown(url_for("pages.host", host=host))

    return blueprint


def _shown(url: str) -> Response:
    """Send the browser to look at the result by a GET, so that a reload repeats nothing."""
    return redirect(url, 303)


class Forms:
    """Signs and checks."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def sign(self, by: str, act: str, seen: str) -> str:
        """Return the proof for a form that lets ``by`` do ``act`` in the state ``seen``."""
        return self._signer(by, act, seen).sign(_SIGNED).decode()

    def check(self, proof: str, by: str, act: str, seen: str) -> None:
        """Raise Problem 403 unless ``proof`` was signed for just this, and not long ago."""
        try:
            signed = self._signer(by, act, seen).unsign(proof, max_age=VALID_SECONDS)
        except BadSignature:
            signed = b""
        if signed != _SIGNED:
            raise Problem(
                403,
                "This form is out of date",
                "something changed since the page was shown, or the form was sent before;"
                " look at the page again",
            )

    def _signer(self, by: str, act: str, seen: str) -> TimestampSigner:
        purpose = json.dumps([by, act, seen])
        return _Signer(self._key(), purpose, self._services.clock.now)

    def _key(self) -> str:
        flags = self._services.tables.flags
        known = flags.all().get(FORM_KEY)
        if known is None:
            flags.set(FORM_KEY, secrets.token_hex(32), "responder", self._services.clock.now())
            known = flags.all()[FORM_KEY]  # another replica's may have won
        return known[0]


class _Signer(TimestampSigner):
    """A signer for one purpose that goes by the responder's clock, which all replicas share."""

    def __init__(self, key: str, purpose: str, now: Callable[[], float]) -> None:
        super().__init__(key, salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256)
        self._now = now

    def get_timestamp(self) -> int:
        """Return the unix time."""
        return int(self._now())
