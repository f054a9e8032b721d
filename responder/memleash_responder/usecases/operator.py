"""What a person can do, once for the API and for the page: each act is logged with who did it."""

from __future__ import annotations

import logging
import threading

from memleash_responder.adapters.database.diagnoses import Diagnosis
from memleash_responder.core.facts import Host
from memleash_responder.core.host_states import HostState
from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.moments import rfc3339
from memleash_responder.core.pauses import DEFAULT, Pause
from memleash_responder.core.restarts import Restart
from memleash_responder.core.storms import IGNORED
from memleash_responder.errors import Conflict, NotFound, PeerRefused
from memleash_responder.usecases.diagnosis_workflow import DiagnosisWorkflow
from memleash_responder.usecases.host_recovery import reconnect
from memleash_responder.usecases.host_states import known_hosts
from memleash_responder.usecases.muting import Muting
from memleash_responder.usecases.restart_requests import RestartRequests
from memleash_responder.usecases.services import RESUMED, Services
from memleash_responder.usecases.storm_breaker import STORM, standing_storm

log = logging.getLogger(__name__)

RECONNECTS = 4
"""People who wait for controllers at once: each holds a thread that answers requests."""


class Operator:
    """What a person can do. Each act takes ``by``, who does it, and raises NotPossible."""

    def __init__(
        self,
        services: Services,
        requests: RestartRequests,
        muting: Muting,
        diagnosis: DiagnosisWorkflow,
    ) -> None:
        self._services, self._requests, self._muting = services, requests, muting
        self._diagnosis = diagnosis
        self._reconnecting = threading.BoundedSemaphore(RECONNECTS)

    def pause(
        self, by: str, name: str = DEFAULT, reason: str = "", until: float | None = None
    ) -> None:
        """Stop restarting; what is past its command goes on to its end.

        A pause of the same ``name`` is replaced. ``until`` is unix time; None: for ever.
        """
        now = self._services.clock.now()
        pause = Pause(name, by, reason, now, until)
        if not pause.holds(now):
            raise Conflict(
                "Over already",
                f"the pause would end at {rfc3339(until or 0.0)}, and it is {rfc3339(now)}",
            )
        self._services.tables.pauses.put(pause)
        self._requests.look_at_waiting(at_once=True)
        ends = rfc3339(until) if until is not None else None
        log.warning("paused", extra={"by": by, "pause": name, "reason": reason, "until": ends})

    def resume(self, by: str, name: str = DEFAULT) -> None:
        """End the pause called ``name``; others go on. Without a name, a storm is passed over, too.

        Who finds the default pause ended already has what they wanted.
        """
        flags, now = self._services.tables.flags, self._services.clock.now()
        if not self._services.tables.pauses.end(name) and name != DEFAULT:
            raise NotFound("Not paused", f"there is no pause called {name!r}")
        flags.set(RESUMED, "yes", by, now)
        if name == DEFAULT and standing_storm(flags.all()) is not None:
            flags.set(STORM, IGNORED, by, now)
        log.warning("resumed", extra={"by": by, "pause": name})

    def restart(
        self,
        host: str,
        agent: str,
        by: str,
        *,
        forced: bool = False,
        purpose: str = "",
        not_before: float | None = None,
    ) -> Restart:
        """Ask for a restart, or join the one that is under way.

        With a ``purpose`` the agent need not be above its hard limit. It begins at ``not_before``
        (unix time), or now.
        """
        known_agent(self._services, host, agent)
        opened = self._requests.ask_for_person(
            host, agent, by, forced=forced, purpose=purpose, not_before=not_before
        )
        self._requests.consider(opened.id)
        return known_restart(self._services, opened.id)

    def diagnose(self, host: str, agent: str, by: str) -> Diagnosis:
        """Ask for a diagnosis, or join the one of the same agent that is under way."""
        known_agent(self._services, host, agent)
        opened = self._diagnosis.ask_for_person(host, agent, by)
        if opened is None:
            raise Conflict("Not now", f"another agent on {host} is being diagnosed")
        log.info("diagnosis asked for", extra={"host": host, "agent": agent, "by": by})
        return known_diagnosis(self._services, opened.id)

    def decide(
        self, restart_id: str, by: str, *, approve: bool, until: float | None = None
    ) -> Restart:
        """Approve a request that waits for a person, or deny one that has not begun.

        A denial holds for the agent ``until`` then (unix time), or while its process lives.
        """
        known_restart(self._services, restart_id)
        if approve and not self._requests.approve(restart_id, by):
            raise Conflict("Not waiting", "the request does not wait for an approval")
        if not approve and not self._requests.deny(restart_id, by, until):
            raise Conflict("Too late", "the restart has begun, or is over")
        return known_restart(self._services, restart_id)

    def unmute(self, host: str, by: str) -> None:
        """End a host's mute; it stays ended until the agent was idle once."""
        known_host(self._services, host)
        standing = known_hosts(self._services, host).standing(host)
        if standing.state is HostState.MAINTENANCE:
            raise Conflict("In maintenance", f"end the maintenance first ({standing.reason})")
        if self._muting.end(host):
            log.info("mute ended by hand", extra={"host": host, "by": by})

    def reconnect(self, host: str, by: str) -> None:
        """Have the controllers take a lost host back, and wait for what they say.

        The person's word stands in for the proof that the restart command has struck. Controllers
        that are asked already are not asked a second time: the word counts once they have answered.
        """
        self._must_be_lost(host)
        if not self._reconnecting.acquire(blocking=False):
            raise Conflict("Not now", f"{RECONNECTS} reconnects are waited for already")
        try:
            why_not = self._reconnect(host, by)
        finally:
            self._reconnecting.release()
        if why_not is not None:
            raise PeerRefused("Not reconnected", why_not)

    def _reconnect(self, host: str, by: str) -> str | None:
        services = self._services
        begins = services.tables.hosts.begin_attempt(host, services.executor_id, by)
        log.info("reconnect asked for", extra={"host": host, "by": by})
        if begins:
            return reconnect(services, host)
        services.tables.hosts.vouch(host, by)
        raise Conflict(
            "Being reconnected",
            f"the controllers are being asked to take {host} back; if that does not bring it back,"
            " they are asked again at once, with your word",
        )

    def reconnect_soon(self, host: str, by: str) -> None:
        """Make the next attempt to take a lost host back due now, and wait for nothing."""
        self._must_be_lost(host)
        self._services.tables.hosts.vouch(host, by)
        log.info("reconnect asked for", extra={"host": host, "by": by})

    def _must_be_lost(self, host: str) -> None:
        known_host(self._services, host)
        known = known_hosts(self._services, host)
        record, standing = known.record(host), known.standing(host)
        if standing.state is HostState.MAINTENANCE or record.state is not HostState.DISCONNECTED:
            why = f"{host} is {standing.state}"
            why += f": {standing.reason}" if standing.reason else ""
            raise Conflict("Not lost by a restart", why)

    def begin_maintenance(self, host: str, new: Maintenance) -> None:
        """Take a host out of service: it is not pinged, not restarted, not diagnosed."""
        known_host(self._services, host)
        if not new.holds(self._services.clock.now()):
            raise Conflict("Over already", "the maintenance would end before it begins")
        self._services.tables.maintenance.begin(host, new)
        log.info("maintenance", extra={"host": host, "by": new.by, "reason": str(new)})
        self._services.mutes_changed.set()

    def end_maintenance(self, host: str, by: str) -> None:
        """Put a host back into service, as far as a person had taken it out."""
        known_host(self._services, host)
        known = known_hosts(self._services, host)
        if host not in known.maintenance:
            standing = known.standing(host)
            why = standing.reason if standing.state is HostState.MAINTENANCE else "it is in service"
            raise Conflict("Not in maintenance by a person", f"{host}: {why}")
        self._services.tables.maintenance.end(host)
        log.info("maintenance ends", extra={"host": host, "by": by})
        self._services.mutes_changed.set()

    def allow(self, host: str, agent: str, by: str) -> None:
        """Take a denial back."""
        if not self._services.tables.denials.clear(host, agent):
            raise NotFound("Not denied", f"nobody denied restarts of {agent} on {host}")
        log.info("denial taken back", extra={"host": host, "agent": agent, "by": by})

    def clear_quarantine(self, host: str, agent: str, by: str) -> None:
        """Allow an agent to be restarted again."""
        if not self._services.tables.quarantine.clear(host, agent):
            raise NotFound("Not quarantined", f"{agent} on {host} is not quarantined")
        log.info("quarantine cleared", extra={"host": host, "agent": agent, "by": by})


def known_host(services: Services, host: str) -> Host:
    """Return the host of the inventory. Raises NotFound."""
    known = services.outside.inventory.get(host)
    if known is None:
        raise NotFound("Unknown host", f"{host!r} is not in the inventory")
    return known


def known_agent(services: Services, host: str, agent: str) -> Host:
    """Return the host, which is known as the agent is. Raises NotFound."""
    known = known_host(services, host)
    if agent not in services.settings.agents:
        raise NotFound("Unknown agent", f"{agent!r} is not in the configuration")
    return known


def known_restart(services: Services, restart_id: str) -> Restart:
    """Return a request of the record. Raises NotFound."""
    restart = services.tables.restarts.get(restart_id)
    if restart is None:
        raise NotFound("Unknown restart", f"there is no restart {restart_id!r}")
    return restart


def known_diagnosis(services: Services, diagnosis_id: str) -> Diagnosis:
    """Return a diagnosis of the record. Raises NotFound."""
    diagnosis = services.tables.diagnoses.get(diagnosis_id)
    if diagnosis is None:
        raise NotFound("Unknown diagnosis", f"there is no diagnosis {diagnosis_id!r}")
    return diagnosis
