"""Who may do what: the ``access`` section of the configuration, and the roles it hands out.

Nothing here reads a credential: see web.authentication. A role is also what a route asks for.
"""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Literal

from memleash_toolkit.values import BaseUrl, Line, Name


class Role(enum.StrEnum):
    """What a caller may do."""

    WEBHOOK = "webhook"
    """Deliver alerts, nothing else."""
    READ = "read"
    """See everything, change nothing."""
    OPERATE = "operate"
    """Read, and pause, approve, deny, restart, unmute, reconnect, clear a quarantine."""


EVERYTHING = frozenset(Role)

ROLES: dict[Role, frozenset[Role]] = {
    Role.WEBHOOK: frozenset({Role.WEBHOOK}),
    Role.READ: frozenset({Role.READ}),
    Role.OPERATE: frozenset({Role.READ, Role.OPERATE}),
}
"""What each role lets a caller do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """A bearer token. Its file is read again when it changes."""

    name: Name
    """What the history shows of whoever used it: ``token:<name>``."""
    role: Role
    file: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """Who is let in beyond what ``--web.config.file`` says, and in which role."""

    tokens: tuple[Token, ...] = ()
    users: dict[Line, Role] | None = None
    """Roles of the web configuration's users. Absent: each of them may do everything."""
    certificates: dict[Line, Role] | None = None
    """Roles of verified client certificates, by common or subject alternative name. Absent:
    each may do everything, unless there are tokens or users to tell people apart by."""
    anonymous: Literal["nobody", "read"] = "nobody"
    """What those may do who show no credentials at all."""

    def __post_init__(self) -> None:
        names = [token.name for token in self.tokens]
        if len(set(names)) != len(names):
            raise ValueError(f"tokens: names must differ: {', '.join(names)}")


@dataclasses.dataclass(frozen=True, slots=True)
class Links:
    """Where pages and alerts link to, as people's browsers reach it. Absent: no link."""

    responder: BaseUrl | None = None
    """The responder's own pages; alerts link to the page of their host there."""
    grafana: BaseUrl | None = None
    prometheus: BaseUrl | None = None
    alertmanager: BaseUrl | None = None
