"""What the limits are held against."""

from __future__ import annotations

from typing import assert_never

from memleash_exporter.adapters.processes import Usage
from memleash_exporter.settings import LimitsOf


def limited_bytes(of: LimitsOf, usage: Usage, tree_resident_bytes: int | None) -> int | None:
    """Return the memory that ``of`` names, None where a part of it is unknown.

    ``tree_resident_bytes`` is the main process's and all its descendants'.
    """
    match of:
        case LimitsOf.MAIN:
            return usage.resident_bytes
        case LimitsOf.TREE:
            return tree_resident_bytes
        case LimitsOf.ANONYMOUS:
            if usage.swap_bytes is None:
                return None
            return usage.anonymous_bytes + usage.swap_bytes
        case forgotten:
            assert_never(forgotten)
