"""Mutes: busy is read again from the exporter, claims are kept, Alertmanager is made to agree.

Level-triggered: ``synchronize`` compares what is claimed with the silences that Alertmanager
has, found by author and matchers, and mends the difference. A crash, a failed call or an empty
Alertmanager are all the same case: a difference. One replica does it for all (see keeper).
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from responder.adapters.alertmanager import Silence
from responder.core.matchers import Matcher, parse_matcher
from responder.core.mutes import (
    Claim,
    HeldSilence,
    after_look,
    deadline,
    mute_in_force,
    plan_silence,
)
from responder.core.policy import Mute
from responder.errors import AlertmanagerError
from responder.usecases.services import Services
from responder.usecases.situation import read_agent

log = logging.getLogger(__name__)

_BUSY = "busy:"
_RESTART = "restart:"


class Muting:
    """Keeps the hosts' silences as the claims say."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def look(self, host_name: str, agent: str) -> None:
        """Read afresh whether ``agent`` is busy, and claim, renew or end its host's silence."""
        services = self._services
        host = services.outside.inventory.get(host_name)
        if host is None:
            return
        facts = read_agent(services, host, agent)
        now, claimant = services.clock.now(), f"{_BUSY}{agent}"
        claims = services.memory.mutes.of_host(host_name)
        before = next((claim for claim in claims if claim.claimant == claimant), None)
        claim = after_look(before, agent, facts, services.settings.mute, now)
        if claim == before:
            return
        if claim is None:
            services.memory.mutes.drop(host_name, claimant)
        else:
            services.memory.mutes.put(host_name, claim)
        if before is None or claim is None or claim.ending != before.ending:
            log.info(
                "mute" if claim and not claim.ending else "mute ends",
                extra={
                    "host": host_name,
                    "agent": agent,
                    "until": _iso(claim.until) if claim else "now",
                },
            )
        services.mutes_changed.set()

    def renew(self) -> None:
        """Look again at every claim that is held."""
        for host, claims in self._services.memory.mutes.all().items():
            for claim in claims:
                if claim.claimant.startswith(_BUSY):
                    self.look(host, claim.claimant.removeprefix(_BUSY))
                else:
                    self._renew_restart(host, claim.claimant, ending=claim.ending)

    def _renew_restart(self, host: str, claimant: str, *, ending: bool) -> None:
        services = self._services
        now = services.clock.now()
        claim = next(
            (one for one in services.memory.mutes.of_host(host) if one.claimant == claimant), None
        )
        restart = services.memory.requests.get(claimant.removeprefix(_RESTART))
        if claim is None:
            return
        if restart is not None and restart.outcome is None and not ending:
            until = deadline(services.settings.mute, 0, now)
            services.memory.mutes.put(host, dataclasses.replace(claim, until=until))
        elif not claim.in_force(now) or not ending:
            services.memory.mutes.drop(host, claimant)

    def end(self, host: str) -> bool:
        """End a host's mute by hand; whether there was one. A busy agent may mute it again."""
        had = self._services.memory.mutes.drop_host(host)
        self._services.mutes_changed.set()
        return had

    def synchronize(self) -> None:
        """Make Alertmanager's silences agree with the claims. Raises AlertmanagerError."""
        services = self._services
        policy, alertmanager = services.settings.mute, services.outside.alertmanager
        claims = services.memory.mutes.all()
        now = services.clock.now()
        known = services.outside.inventory.hosts()
        ours = _by_host(alertmanager.silences())
        failures: list[str] = []
        for host in sorted({*claims, *ours} & known.keys()):
            try:
                self._agree(host, claims.get(host, ()), ours.get(host, []), policy, now)
            except AlertmanagerError as error:
                failures.append(f"{host}: {error}")
        if failures:
            raise AlertmanagerError("; ".join(failures))

    def _agree(
        self,
        host: str,
        claims: Iterable[Claim],
        held: list[Silence],
        policy: Mute,
        now: float,
    ) -> None:
        alertmanager = self._services.outside.alertmanager
        mute = mute_in_force(claims, now)
        wanted = matchers_of(host, policy)
        right = [silence for silence in held if set(silence.matchers) == set(wanted)]
        plan = plan_silence(
            mute, [HeldSilence(one.id or "", one.ends_at.timestamp()) for one in right]
        )
        if plan.put and mute is not None:
            kept = next((one for one in right if one.id == plan.silence_id), None)
            alertmanager.put(
                Silence(
                    id=plan.silence_id,
                    matchers=wanted,
                    starts_at=kept.starts_at if kept else datetime.fromtimestamp(now, tz=UTC),
                    ends_at=datetime.fromtimestamp(plan.ends_at, tz=UTC),
                    comment=f"memleash: {mute.reason}",
                )
            )
        wrong = [one.id for one in held if one not in right and one.id]
        for silence_id in (*plan.expire, *wrong):
            alertmanager.expire(silence_id)


def matchers_of(host: str, policy: Mute) -> tuple[Matcher, ...]:
    """Return the matchers of the silence for ``host``."""
    return (Matcher("host", host), *(parse_matcher(text) for text in policy.matchers))


def _by_host(silences: Iterable[Silence]) -> dict[str, list[Silence]]:
    by_host: dict[str, list[Silence]] = {}
    for silence in silences:
        for matcher in silence.matchers:
            if matcher.name == "host" and matcher.is_equal and not matcher.is_regex:
                by_host.setdefault(matcher.value, []).append(silence)
    return by_host


def _iso(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, tz=UTC).isoformat().replace("+00:00", "Z")
