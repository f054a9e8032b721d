"""Alertmanager is made to agree with the claims on the hosts' silence.

Level-triggered: what is claimed is compared with the silences that Alertmanager has, found by
author and matchers, and the difference is mended. A crash, a failed call or an empty Alertmanager
are all the same case: a difference. Where there is none, the one list is all that is asked for.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from memleash_responder.adapters.alertmanager import Silence
from memleash_responder.core.matchers import Matcher, parse_matcher
from memleash_responder.core.moments import SKEW_SECONDS
from memleash_responder.core.mutes import (
    Claim,
    HeldSilence,
    SilencePlan,
    mute_in_force,
    plan_silence,
)
from memleash_responder.core.policy import Mute
from memleash_responder.errors import AlertmanagerError, DatabaseUnavailable
from memleash_responder.usecases.host_states import claims_of_maintenance, known_hosts
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)


def synchronize(services: Services) -> None:
    """Make Alertmanager's silences agree with the claims. Raises AlertmanagerError."""
    silences = services.outside.alertmanager.silences()
    ours = _by_host(silences)
    stored = known_hosts(services)
    in_maintenance = claims_of_maintenance(services, stored)
    claimed, known = stored.claims.keys() | in_maintenance.keys(), stored.inventory.keys()
    failures: list[str] = []
    for silence in silences:
        if host_of(silence) is None:  # no memleash writes such a one
            failures += _failure(str(silence.id), _expire_changed, services, silence)
    # A silence of a host that is neither known nor claimed may be another memleash's.
    for host in sorted((claimed | ours.keys()) & known | (claimed - known)):
        held = ours.get(host, [])
        if host not in known:
            failures += _failure(host, _give_up, services, host, held)
            continue
        derived = in_maintenance.get(host, ())
        claims = (*stored.claims.get(host, ()), *derived)
        if _difference(services, host, held, claims) is not None:
            failures += _failure(host, _agree_on, services, host, held, derived)
    if failures:
        more = f"; and {len(failures) - 3:,} more" if len(failures) > 3 else ""
        raise AlertmanagerError("; ".join(failures[:3]) + more)


@dataclasses.dataclass(frozen=True, slots=True)
class _Difference:
    """What a host's silences should be, and are not."""

    mute: Claim | None
    plan: SilencePlan
    kept: Silence | None
    """The silence to renew in place."""
    wrong: tuple[Silence, ...]
    """Those that are not as memleash writes them."""


def _difference(
    services: Services, host: str, held: list[Silence], claims: Iterable[Claim]
) -> _Difference | None:
    """Compare the silences ``held`` for a host with its claims; None when they agree."""
    now, policy = services.clock.now(), services.settings.mute
    mute, wanted = mute_in_force(claims, now), matchers_of(host, policy)
    right = {one.id: one for one in held if _is_as_written(one, wanted, now)}
    plan = plan_silence(
        mute, [HeldSilence(one.id or "", one.ends_at.timestamp()) for one in right.values()]
    )
    wrong = tuple(one for one in held if one.id not in right)
    if not (plan.put or plan.expire or wrong):
        return None
    return _Difference(mute, plan, right.get(plan.silence_id), wrong)


def _agree_on(
    services: Services, host: str, held: list[Silence], derived: tuple[Claim, ...]
) -> None:
    """Write, renew and expire silences until the host has exactly the one it should have.

    ``derived`` are claims that are not stored. Those that are stored are read again: a round in
    which many hosts differ takes its time.
    """
    claims = (*services.tables.mutes.of_host(host), *derived)
    difference = _difference(services, host, held, claims)
    if difference is None:
        return
    alertmanager, now = services.outside.alertmanager, services.clock.now()
    plan, mute, kept = difference.plan, difference.mute, difference.kept
    if plan.put and mute is not None:
        alertmanager.put(
            Silence(
                id=plan.silence_id,
                matchers=matchers_of(host, services.settings.mute),
                starts_at=kept.starts_at if kept else datetime.fromtimestamp(now, tz=UTC),
                ends_at=datetime.fromtimestamp(plan.ends_at, tz=UTC),
                comment=f"memleash: {mute.reason}",
            )
        )
    for silence_id in plan.expire:
        alertmanager.expire(silence_id)
    for silence in difference.wrong:
        _expire_changed(services, silence)


def _expire_changed(services: Services, silence: Silence) -> None:
    """End a silence that bears our name and is not as we write it: too wide, or too narrow.

    Somebody edited it in Alertmanager, or ``mute.matchers`` was another when it was made.
    What has to be silent has a silence of its own by now.
    """
    services.outside.alertmanager.expire(silence.id or "")
    services.telemetry.silences_corrected.inc()
    log.warning(
        "silence expired: its author is memleash, but it is not as memleash writes it",
        extra={"silence": silence.id, "matchers": ", ".join(map(str, silence.matchers))},
    )


def _give_up(services: Services, host: str, held: list[Silence]) -> None:
    """End the silences of a host that left the inventory, then forget why it had them."""
    for silence in held:
        services.outside.alertmanager.expire(silence.id or "")
    services.tables.mutes.drop_host(host)
    log.info("mute ends: the host left the inventory", extra={"host": host})


def _failure(about: str, work: Callable[..., None], *args: object) -> list[str]:
    """Do ``work`` for one silence or host, so that none stops the others; return why it failed."""
    try:
        work(*args)
    except DatabaseUnavailable:
        raise
    except Exception as error:  # the boundary of one item
        log.debug("silence not agreed on", extra={"about": about}, exc_info=True)
        return [f"{about}: {error}"]
    return []


def matchers_of(host: str, policy: Mute) -> tuple[Matcher, ...]:
    """Return the matchers of the silence for ``host``."""
    return (Matcher("host", host), *(parse_matcher(text) for text in policy.matchers))


def host_of(silence: Silence) -> str | None:
    """Return the one host that a silence of ours is for; None when it is for no one host."""
    named = {
        matcher.value if matcher.is_equal and not matcher.is_regex else ""
        for matcher in silence.matchers
        if matcher.name == "host"
    }
    return named.pop() or None if len(named) == 1 else None


def _is_as_written(silence: Silence, wanted: tuple[Matcher, ...], now: float) -> bool:
    """Whether a silence says what is ``wanted``, and says it already."""
    has_begun = silence.starts_at.timestamp() <= now + SKEW_SECONDS
    return has_begun and set(silence.matchers) == set(wanted)


def _by_host(silences: Iterable[Silence]) -> dict[str, list[Silence]]:
    by_host: dict[str, list[Silence]] = {}
    for silence in silences:
        host = host_of(silence)
        if host is not None:
            by_host.setdefault(host, []).append(silence)
    return by_host
