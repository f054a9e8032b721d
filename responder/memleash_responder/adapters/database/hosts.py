"""What is remembered of the fleet: host states, mutes, quarantine, switches, replicas, leases."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.schema import (
    flags,
    hosts,
    leases,
    mutes,
    quarantine,
    replicas,
    restarts,
)
from memleash_responder.core.heartbeats import RETIRED
from memleash_responder.core.host_states import HostEvent, after
from memleash_responder.core.mutes import Claim
from memleash_responder.core.outcomes import HostState


@dataclasses.dataclass(frozen=True, slots=True)
class HostRecord:
    """What is remembered of one host; one that was never touched is connected."""

    host: str
    state: HostState = HostState.CONNECTED
    changed_at: float | None = None
    restart_id: str | None = None
    """The request that holds it, or that lost it."""
    agent: str | None = None
    drained: bool = False
    """An undrain is owed to the controllers."""
    vouched_by: str | None = None
    """Who said that a lost host may be taken back without proof of a new life."""
    attempts: int = 0
    """Reconnects tried since it was lost."""
    next_attempt_at: float | None = None


class Hosts:
    """The states of the hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, host: str) -> HostRecord:
        """Return what is remembered of ``host``."""
        with self._database.read() as connection:
            query = sa.select(hosts).where(hosts.c.host == host)
            row = connection.execute(query).mappings().first()
            return _host(row) if row else HostRecord(host)

    def all(self) -> Mapping[str, HostRecord]:
        """Return every host that was ever held."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(hosts)).mappings()
            return {row["host"]: _host(row) for row in rows}

    def in_need(self) -> list[HostRecord]:
        """Return the hosts that are not simply in service: held, lost, or owed an undrain."""
        in_need = sa.or_(hosts.c.state != HostState.CONNECTED, hosts.c.drained)
        with self._database.read() as connection:
            return [
                _host(row) for row in connection.execute(sa.select(hosts).where(in_need)).mappings()
            ]

    def hold(self, host: str, restart_id: str, agent: str, now: float) -> bool:
        """Let an open request hold a connected host; True also when it holds it already."""
        still_open = sa.select(restarts.c.id).where(
            restarts.c.id == restart_id, restarts.c.outcome.is_(None)
        )
        with self._database.write() as connection:
            if connection.execute(still_open).first() is None:
                return False
            note = self._database.insert(hosts).values(**_new_host(host, now))
            connection.execute(note.on_conflict_do_nothing())
            row = connection.execute(
                sa.select(hosts).where(hosts.c.host == host).with_for_update()
            ).one()
            if row.state == HostState.CONNECTING:
                return bool(row.restart_id == restart_id)
            held = after(HostState(row.state), HostEvent.HOLD)
            if held is None:
                return False
            values = {
                "state": held,
                "changed_at": now,
                "restart_id": restart_id,
                "agent": agent,
                "drained": True,
                "vouched_by": None,
            }
            connection.execute(hosts.update().where(hosts.c.host == host).values(values))
            return True

    def change(self, host: str, event: HostEvent, restart_id: str, now: float) -> HostState | None:
        """Apply ``event`` of the request that holds the host.

        Return the new state, or None when the machine does not allow it or another request
        holds the host; then nothing is changed.
        """
        with self._database.write() as connection:
            row = connection.execute(
                sa.select(hosts).where(hosts.c.host == host).with_for_update()
            ).first()
            if row is None or row.restart_id != restart_id:
                return None
            state = after(HostState(row.state), event)
            if state is None:
                return None
            lost = state is HostState.DISCONNECTED
            connection.execute(
                hosts.update()
                .where(hosts.c.host == host)
                .values(
                    state=state,
                    changed_at=now,
                    vouched_by=None,
                    attempts=0,
                    next_attempt_at=now if lost else None,
                )
            )
            return state

    def undrained(self, host: str, restart_id: str | None) -> bool:
        """Remember that the undrain was given; False when another request holds ``host`` by now.

        That one has drained it anew, and owes an undrain of its own.
        """
        mine = sa.and_(hosts.c.host == host, hosts.c.restart_id == restart_id)
        with self._database.write() as connection:
            return connection.execute(hosts.update().where(mine).values(drained=False)).rowcount > 0

    def vouch(self, host: str, by: str) -> None:
        """Remember who takes it upon themselves to have a lost host back."""
        lost = sa.and_(hosts.c.host == host, hosts.c.state == HostState.DISCONNECTED)
        with self._database.write() as connection:
            connection.execute(hosts.update().where(lost).values(vouched_by=by))

    def plan_attempt(self, host: str, attempts: int, next_attempt_at: float) -> None:
        """Remember when a lost host is to be reconnected again."""
        self._update(host, attempts=attempts, next_attempt_at=next_attempt_at)

    def _update(self, host: str, **values: object) -> None:
        with self._database.write() as connection:
            connection.execute(hosts.update().where(hosts.c.host == host).values(values))


def _host(row: sa.RowMapping) -> HostRecord:
    return HostRecord(**{**row, "state": HostState(row["state"])})


class Mutes:
    """The claims on the hosts' silence."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Mapping[str, tuple[Claim, ...]]:
        """Return every claim by host, in one read."""
        claims: dict[str, list[Claim]] = {}
        with self._database.read() as connection:
            for row in connection.execute(sa.select(mutes)):
                claims.setdefault(row.host, []).append(_claim(row))
        return {host: tuple(of_host) for host, of_host in claims.items()}

    def of_host(self, host: str) -> tuple[Claim, ...]:
        """Return the host's claims, in one read."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(mutes).where(mutes.c.host == host))
            return tuple(_claim(row) for row in rows)

    def put(self, host: str, claim: Claim) -> None:
        """Write a claim over its former version."""
        self.change(host, claim.claimant, lambda _: claim)

    def change(
        self, host: str, claimant: str, decide: Callable[[Claim | None], Claim | None]
    ) -> tuple[Claim | None, Claim | None]:
        """Read a claim and write what ``decide`` makes of it (None: forget it), all in one turn.

        Return the claim as it was and as it is. No other replica writes it in between.
        """
        this = sa.and_(mutes.c.host == host, mutes.c.claimant == claimant)
        with self._database.write() as connection:
            self._database.lock(connection, f"mute of {host} by {claimant}")
            row = connection.execute(sa.select(mutes).where(this)).first()
            before = _claim(row) if row else None
            after = decide(before)
            if after is None and before is not None:
                connection.execute(mutes.delete().where(this))
            elif after is not None and after != before:
                self._write(connection, host, after)
            return before, after

    def drop(self, host: str, claimant: str) -> None:
        """Forget a claim."""
        self.change(host, claimant, lambda _: None)

    def drop_host(self, host: str) -> bool:
        """Forget every claim on a host; whether there was one."""
        with self._database.write() as connection:
            return connection.execute(mutes.delete().where(mutes.c.host == host)).rowcount > 0

    def _write(self, connection: sa.Connection, host: str, claim: Claim) -> None:
        values = dataclasses.asdict(claim)
        keys = {"host": host, "claimant": values.pop("claimant")}
        self._database.upsert(connection, mutes, keys, values)


def _claim(row: sa.Row[Any]) -> Claim:
    return Claim(row.claimant, row.since, row.until, row.reason, row.ending)


def _new_host(host: str, now: float) -> dict[str, object]:
    return {
        "host": host,
        "state": HostState.CONNECTED,
        "changed_at": now,
        "drained": False,
        "attempts": 0,
    }


class Quarantine:
    """Agents that a restart did not help."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Mapping[tuple[str, str], tuple[float, str]]:
        """Return (since, reason) by (host, agent)."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(quarantine))
            return {(row.host, row.agent): (row.since, row.reason) for row in rows}

    def add(self, host: str, agent: str, reason: str, now: float) -> None:
        """Quarantine an agent; a second time says why anew."""
        keys = {"host": host, "agent": agent}
        with self._database.write() as connection:
            self._database.upsert(connection, quarantine, keys, {"since": now, "reason": reason})

    def clear(self, host: str, agent: str) -> bool:
        """End a quarantine; whether there was one."""
        with self._database.write() as connection:
            result = connection.execute(
                quarantine.delete().where(quarantine.c.host == host, quarantine.c.agent == agent)
            )
            return result.rowcount > 0


class Flags:
    """Switches that outlive the process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Mapping[str, tuple[str, float, str]]:
        """Return (value, changed at, changed by) by name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(flags))
            return {row.name: (row.value, row.changed_at, row.changed_by) for row in rows}

    def set(self, name: str, value: str, by: str, now: float) -> None:
        """Set a switch; an empty value clears it."""
        with self._database.write() as connection:
            if not value:
                connection.execute(flags.delete().where(flags.c.name == name))
                return
            values = {"value": value, "changed_at": now, "changed_by": by}
            self._database.upsert(connection, flags, {"name": name}, values)


class Replicas:
    """Who is alive, and who does what one does for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, executor_id: str, version: str) -> None:
        """Say that a replica is alive."""
        with self._database.write() as connection:
            values = {"version": version, "beat_at": self._database.now()}
            keys = {"executor_id": executor_id}
            self._database.upsert(connection, replicas, keys, values)

    def versions(self) -> set[str]:
        """Return the versions of all replicas but those that retired or were found dead."""
        there = replicas.c.beat_at != RETIRED
        with self._database.read() as connection:
            return set(connection.scalars(sa.select(replicas.c.version).where(there)))

    def signs(self) -> Mapping[str, float]:
        """Return each replica's last sign of life."""
        query = sa.select(replicas.c.executor_id, replicas.c.beat_at)
        with self._database.read() as connection:
            return {row.executor_id: row.beat_at for row in connection.execute(query)}

    def retire(self, executor_id: str) -> None:
        """Say that a replica stops, so that its work is taken over at once."""
        with self._database.write() as connection:
            mine = replicas.update().where(replicas.c.executor_id == executor_id)
            connection.execute(mine.values(beat_at=RETIRED))

    def forget(self, executor_ids: Iterable[str]) -> None:
        """Forget replicas whose work was taken over."""
        with self._database.write() as connection:
            connection.execute(
                replicas.delete().where(replicas.c.executor_id.in_(list(executor_ids)))
            )

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """Take or keep a lease for ``seconds`` from now; False while another holds it."""
        now = self._database.now()
        with self._database.write() as connection:
            values = {"owner": owner, "until": now + seconds}
            clock_set_back = leases.c.until > now + 2 * seconds
            result = connection.execute(
                self._database.insert(leases)
                .values(name=name, **values)
                .on_conflict_do_update(
                    index_elements=["name"],
                    set_=values,
                    where=sa.or_(leases.c.owner == owner, leases.c.until < now, clock_set_back),
                )
                .returning(leases.c.owner)
            )
            return result.first() is not None
