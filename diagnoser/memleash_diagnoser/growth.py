"""Which things grew in every round: pure decisions on what was counted.

A busy agent's counts go up and down; a leak's go up each time. So a name is kept only when it
is larger after every round than before it, and by enough in all to be worth a person's time.
"""

import typing

Counts = typing.Mapping[str, typing.Sequence[int]]
"""Name to (count, bytes), as one look found them."""


class Grown(typing.NamedTuple):
    """Something that grew in every round; the lists have one figure more than there are rounds."""

    name: str
    counts: typing.List[int]
    sizes_bytes: typing.List[int]

    @property
    def growth_bytes(self) -> int:
        """How much it grew in all."""
        return self.sizes_bytes[-1] - self.sizes_bytes[0]


class GrownContainer(typing.NamedTuple):
    """A list, dict, set or deque that got longer in every round."""

    id: str
    type: str
    lengths: typing.List[int]

    @property
    def growth(self) -> int:
        """By how many elements it grew in all."""
        return self.lengths[-1] - self.lengths[0]


def grown(looks: typing.Sequence[Counts], least_bytes: int) -> typing.List[Grown]:
    """Return what was larger in every look than in the one before, the largest growth first.

    What a look does not name was not there: zero. Two looks are the least that show anything.
    """
    if len(looks) < 2:
        return []
    found = []
    for name in looks[-1]:
        counts = [look[name][0] if name in look else 0 for look in looks]
        sizes = [look[name][1] if name in look else 0 for look in looks]
        entry = Grown(name, counts, sizes)
        if _rises(sizes) and entry.growth_bytes >= least_bytes:
            found.append(entry)
    return sorted(found, key=lambda entry: entry.growth_bytes, reverse=True)


def grown_containers(
    looks: typing.Sequence[typing.Mapping[str, typing.Sequence[typing.Any]]], least: int
) -> typing.List[GrownContainer]:
    """Return the containers (id to (type, length)) that got longer in every look they were in.

    One that became large enough to be listed late counts from then on, but must have been seen in
    two thirds of the looks, and in four at least: a busy agent puts one dict after another at the
    same address, and of three lengths every sixth row rises by chance.
    """
    if len(looks) < 2:
        return []
    enough = min(len(looks), max(4, -(-2 * len(looks) // 3)))
    found = []
    for key, (kind, _) in looks[-1].items():
        lengths: typing.List[int] = []
        for look in reversed(looks):
            if key not in look or look[key][0] != kind:
                break
            lengths.insert(0, int(look[key][1]))
        entry = GrownContainer(key, kind, lengths)
        if len(lengths) >= enough and _rises(lengths) and entry.growth >= least:
            found.append(entry)
    return sorted(found, key=lambda entry: entry.growth, reverse=True)


def _rises(figures: typing.Sequence[int]) -> bool:
    return all(later > earlier for earlier, later in zip(figures, figures[1:]))
