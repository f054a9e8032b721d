"""Which of several processes is the agent: the root of the one tree they form."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def roots(candidates: Collection[int], ancestors: Mapping[int, Sequence[int]]) -> list[int]:
    """Return the candidates that descend from no other candidate, lowest pid first.

    ``ancestors`` gives each candidate's line upwards, parent first; processes that are no
    candidates may stand in between (an agent that starts its workers through a shell).
    """
    known = set(candidates)
    return sorted(pid for pid in known if known.isdisjoint(ancestors.get(pid, ())))
