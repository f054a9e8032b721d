"""What was found when a controller was checked."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One question to a controller, and its answer."""

    check: str
    passes: bool
    said: str
    """The answer, or why there is none."""
    seconds: float
    """How long it took."""
