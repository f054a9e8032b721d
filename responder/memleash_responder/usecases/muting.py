"""Mutes: busy is read again from the exporter, claims are kept, Alertmanager is made to agree.

Level-triggered: ``synchronize`` compares what is claimed with the silences that Alertmanager
has, found by author and matchers, and mends the difference. A crash, a failed call or an empty
Alertmanager are all the same case: a difference. One replica does it for all (see keeper).
What waits for exporters and Alertmanager is done in workers, so that the keeper goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, wait
from datetime import UTC, datetime

from memleash_responder.adapters.alertmanager import Silence
from memleash_responder.adapters.telemetry import Part
from memleash_responder.core.matchers import Matcher, parse_matcher
from memleash_responder.core.moments import SKEW_SECONDS
from memleash_responder.core.mutes import (
    ENDED_BY_HAND,
    Claim,
    HeldSilence,
    after_look,
    after_restart_look,
    ended_by_hand,
    mute_in_force,
    plan_silence,
)
from memleash_responder.core.policy import Mute
from memleash_responder.errors import AlertmanagerError, DatabaseUnavailable
from memleash_responder.usecases.agent_facts import read_agent
from memleash_responder.usecases.host_states import claims_of_maintenance, known_hosts
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 0.5
"""How long the keeper waits for Alertmanager to agree before it goes on with its other duties."""

_BUSY = "busy:"
_RESTART = "restart:"


class Muting:
    """Keeps the hosts' silences as the claims say."""

    def __init__(self, services: Services, renewers: Executor, agreer: Executor) -> None:
        """``renewers`` look at claims again; ``agreer`` does one piece of work at a time."""
        self._services = services
        self._turns: dict[tuple[str, str], threading.Lock] = {}
        self._renewers = renewers
        self._renewing: set[tuple[str, str]] = set()
        self._agreer = agreer
        self._agreeing: Future[None] | None = None

    def look(self, host_name: str, agent: str) -> None:
        """Read afresh whether ``agent`` is busy, and claim, renew or end its host's silence.

        Looks at one agent take turns, so that what was read last is also written last.
        """
        claimant = f"{_BUSY}{agent}"
        if self._services.outside.inventory.get(host_name) is None:
            return
        with self._turns.setdefault((host_name, claimant), threading.Lock()):
            self._look(host_name, agent, claimant)

    def _look(self, host_name: str, agent: str, claimant: str) -> None:
        services = self._services
        host = services.outside.inventory.get(host_name)
        if host is None:
            return
        facts = read_agent(services, host, agent)
        policy, now = services.settings.mute, services.clock.now()
        before, claim = services.tables.mutes.change(
            host_name, claimant, lambda before: after_look(before, agent, facts, policy, now)
        )
        if claim == before:
            return
        if _is_plain_renewal(before, claim):
            return  # Alertmanager hears of it in its turn
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
        """Begin to look again at every claim that is held and not being looked at."""
        for host, claims in self._services.tables.mutes.all().items():
            for claim in claims:
                key = (host, claim.claimant)
                if key not in self._renewing:
                    self._renewing.add(key)
                    self._renewers.submit(self._renew, host, claim.claimant)

    def _renew(self, host: str, claimant: str) -> None:
        try:
            if claimant == ENDED_BY_HAND:
                self._forget_if_over(host, claimant)
            elif claimant.startswith(_RESTART):
                self._renew_restart(host, claimant)
            elif claimant.removeprefix(_BUSY) in self._services.settings.agents:
                self.look(host, claimant.removeprefix(_BUSY))
            else:
                self._services.tables.mutes.drop(host, claimant)
        except Exception as error:  # a worker's boundary: the claim is looked at again
            self._services.telemetry.failures.labels(Part.RENEW_MUTES).inc()
            log.warning("mute not renewed", extra={"host": host, "reason": str(error)})
            log.debug("mute not renewed", exc_info=True)
        finally:
            self._renewing.discard((host, claimant))

    def _renew_restart(self, host: str, claimant: str) -> None:
        services = self._services
        restart = services.tables.restarts.get(claimant.removeprefix(_RESTART))
        goes_on = restart is not None and restart.outcome is None
        policy, now = services.settings.mute, services.clock.now()
        services.tables.mutes.change(
            host, claimant, lambda claim: after_restart_look(claim, policy, now, goes_on=goes_on)
        )

    def _forget_if_over(self, host: str, claimant: str) -> None:
        now = self._services.clock.now()
        self._services.tables.mutes.change(
            host, claimant, lambda claim: claim if claim and claim.in_force(now) else None
        )

    def end(self, host: str) -> bool:
        """End a host's mute by hand; whether there was one.

        What mutes it now does so no more. A stretch that begins later mutes it again: the agent
        was idle once, or is a new process, or another restart begins.
        """
        services = self._services
        now, claims = services.clock.now(), services.tables.mutes.of_host(host)
        if mute_in_force(claims, now) is None:
            return False
        services.tables.mutes.put(host, ended_by_hand(claims, services.settings.mute, now))
        services.mutes_changed.set()
        return True

    def synchronize(self) -> None:
        """Make Alertmanager's silences agree with the claims. Raises AlertmanagerError.

        An Alertmanager that is slow is left to a worker, and seen to at the keeper's next tick.
        """
        was_begun = self._agreeing is not None
        agreeing = self._agreeing or self._agreer.submit(self._agree)
        wait([agreeing], timeout=PATIENCE_SECONDS)
        self._agreeing = None if agreeing.done() else agreeing
        if self._agreeing is None:
            agreeing.result()
        if was_begun or self._agreeing is not None:  # what changed meanwhile was not looked at
            self._services.mutes_changed.set()

    def _agree(self) -> None:
        services = self._services
        silences = services.outside.alertmanager.silences()
        ours = _by_host(silences)
        stored = known_hosts(services)
        in_maintenance = claims_of_maintenance(services, stored)
        claimed, known = stored.claims.keys() | in_maintenance.keys(), stored.inventory.keys()
        failures: list[str] = []
        for silence in silences:
            if host_of(silence) is None:  # no memleash writes such a one
                failures += _failure(str(silence.id), self._expire_changed, silence)
        # A silence of a host that is neither known nor claimed may be another memleash's.
        for host in sorted((claimed | ours.keys()) & known | (claimed - known)):
            held = ours.get(host, [])
            if host in known:
                derived = in_maintenance.get(host, ())
                failures += _failure(host, self._agree_on, host, held, derived)
            else:
                failures += _failure(host, self._give_up, host, held)
        if failures:
            more = f"; and {len(failures) - 3:,} more" if len(failures) > 3 else ""
            raise AlertmanagerError("; ".join(failures[:3]) + more)

    def _agree_on(self, host: str, held: list[Silence], derived: tuple[Claim, ...]) -> None:
        """Write, renew and expire silences until the host has exactly the one it should have.

        ``derived`` are claims that are not stored.
        """
        services = self._services
        alertmanager, now = services.outside.alertmanager, services.clock.now()
        mute = mute_in_force((*services.tables.mutes.of_host(host), *derived), now)
        wanted = matchers_of(host, services.settings.mute)
        right = [silence for silence in held if _is_as_written(silence, wanted, now)]
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
        for silence_id in plan.expire:
            alertmanager.expire(silence_id)
        for silence in held:
            if silence not in right:
                self._expire_changed(silence)

    def _expire_changed(self, silence: Silence) -> None:
        """End a silence that bears our name and is not as we write it: too wide, or too narrow.

        Somebody edited it in Alertmanager, or ``mute.matchers`` was another when it was made.
        What has to be silent has a silence of its own by now.
        """
        self._services.outside.alertmanager.expire(silence.id or "")
        self._services.telemetry.silences_corrected.inc()
        log.warning(
            "silence expired: its author is memleash, but it is not as memleash writes it",
            extra={"silence": silence.id, "matchers": ", ".join(map(str, silence.matchers))},
        )

    def _give_up(self, host: str, held: list[Silence]) -> None:
        """End the silences of a host that left the inventory, then forget why it had them."""
        for silence in held:
            self._services.outside.alertmanager.expire(silence.id or "")
        self._services.tables.mutes.drop_host(host)
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


def _is_plain_renewal(before: Claim | None, claim: Claim | None) -> bool:
    """Whether a claim was only made longer."""
    if before is None or claim is None:
        return False
    same_stretch = (before.since, before.ending) == (claim.since, claim.ending)
    return same_stretch and claim.until >= before.until


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


def _iso(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, tz=UTC).isoformat().replace("+00:00", "Z")
