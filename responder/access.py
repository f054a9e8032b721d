"""Who may do what: the ``access`` section of the configuration, and the roles it hands out.

Nothing here reads a credential: see web.identity. A role is also what a route asks for.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from pathlib import Path
from typing import Literal

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


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

    name: str
    """What the history shows of whoever used it: ``token:<name>``."""
    role: Role
    file: Path

    def __post_init__(self) -> None:
        _check_name(self.name)


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """Who is let in beyond what ``--web.config.file`` says, and in which role."""

    tokens: tuple[Token, ...] = ()
    users: dict[str, Role] | None = None
    """Roles of the web configuration's users. Absent: each of them may do everything."""
    certificates: dict[str, Role] | None = None
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
    """Where the pages link to: addresses as people's browsers reach them. Absent: no link."""

    grafana: str | None = None
    prometheus: str | None = None
    alertmanager: str | None = None

    def __post_init__(self) -> None:
        for name in ("grafana", "prometheus", "alertmanager"):
            url = getattr(self, name)
            if url is not None and not url.startswith(("http://", "https://")):
                raise ValueError(f"{name}: {url!r} must begin with http:// or https://")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"name {name!r} must be 1 to 64 letters, digits, '.', '_', '@' or '-'")
