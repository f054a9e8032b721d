"""The claims on the hosts' silence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.schema import mutes
from memleash_responder.core.mutes import Claim


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

        Return the claim as it was and as it is. No other replica writes it in between. ``decide``
        may be asked twice: where it leaves a claim as it is, there is no transaction at all.
        """
        this = sa.and_(mutes.c.host == host, mutes.c.claimant == claimant)
        with self._database.read() as connection:
            before = _first(connection, this)
        if decide(before) == before:
            return before, before
        with self._database.write() as connection:
            self._database.lock(connection, f"mute of {host} by {claimant}")
            before = _first(connection, this)
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


def _first(connection: sa.Connection, this: sa.ColumnElement[bool]) -> Claim | None:
    row = connection.execute(sa.select(mutes).where(this)).first()
    return _claim(row) if row else None


def _claim(row: sa.Row[Any]) -> Claim:
    return Claim(row.claimant, row.since, row.until, row.reason, row.ending)
