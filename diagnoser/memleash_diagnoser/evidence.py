"""What one diagnosis has found so far; filled in as it goes, so that a cut-off run keeps it."""

import typing

from .facts import bounded
from .growth import Grown, GrownContainer


class Evidence:
    """The content of report.json, in the order in which it is taken."""

    def __init__(self, agent: str, profile: str, rounds: int, interval_seconds: float) -> None:
        self.agent = agent
        self.profile = profile
        self.rounds = rounds
        self.interval_seconds = interval_seconds
        self.host = ""
        self.taken_at = 0.0
        self.finished_at = 0.0
        self.outcome = "cut"
        """complete, cut (by a deadline or a signal), gone (the process ended), failed."""
        self.notes: typing.List[str] = []
        self.started_at = 0.0
        self.facts: typing.Dict[str, typing.Any] = {}
        self.memory: typing.List[typing.Dict[str, float]] = []
        """VmRSS and the like at each look, bytes, with the seconds since the first."""
        self.way = ""
        """How what lives in the agent was counted."""
        self.looks_seconds: typing.List[float] = []
        """How long each look took."""
        self.unsure_looks = 0
        """How many of them could not count all, since it changed meanwhile."""
        self.grown: typing.Dict[str, typing.List[Grown]] = {}
        """By kind: types, sites (Python), chunks, mappings (native)."""
        self.containers: typing.List[GrownContainer] = []
        self.names: typing.Dict[str, typing.List[typing.Any]] = {}
        """Container id to (holder, type of its elements, their mean bytes)."""
        self.heap: typing.Dict[str, int] = {}
        self.files: typing.List[str] = []

    def note(self, line: str) -> None:
        """Add a line for people: what could not be had, and what to do about it."""
        self.notes.append(line)

    def plain(self) -> typing.Dict[str, typing.Any]:
        """Return it as JSON's own types."""
        content = dict(vars(self), version=1)
        content["grown"] = {
            kind: [dict(entry._asdict(), growth_bytes=entry.growth_bytes) for entry in entries]
            for kind, entries in self.grown.items()
        }
        content["containers"] = [
            dict(entry._asdict(), growth=entry.growth, name=self.names.get(entry.id, [""])[0])
            for entry in self.containers
        ]
        del content["names"]
        return typing.cast(typing.Dict[str, typing.Any], bounded(content))
