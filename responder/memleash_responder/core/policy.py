"""The numbers behind the decisions, with their defaults. The configuration file fills them in."""

from __future__ import annotations

import dataclasses
import enum

from memleash_responder.core.matchers import check_mute_matchers, parse_matcher
from memleash_responder.core.own_alerts import TRIGGERS
from memleash_responder.core.restart_windows import Window
from memleash_responder.core.values import AlertSelector, MatcherText, WindowText
from memleash_toolkit.values import Count, Duration, DurationOrZero, Share, Size

GIB = 1024**3


class Mode(enum.StrEnum):
    """What the responder may do about an agent."""

    OBSERVE = "observe"
    """Only say what would be done."""
    APPROVE = "approve"
    """Restart after a person approved."""
    ENFORCE = "enforce"
    """Restart when every guard passes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Guards:
    """An agent's guards."""

    startup_grace: DurationOrZero = Duration(300)
    """A process younger than this is not restarted."""
    cooldown: DurationOrZero = Duration(1800)
    """The least time between two restarts of one agent on one host."""
    max_restarts: Count = 3
    per: Duration = Duration(6 * 3600)
    """No more than max_restarts of one agent on one host in this window."""
    wait_for_idle: DurationOrZero = Duration(1800)
    """How long a request waits for a busy agent before it is refused."""
    idle_interval: Duration = Duration(30)
    """How often a busy agent is looked at again."""
    futile_ratio: Share = 0.7
    """A fresh process above this share of the hard limit quarantines the agent."""
    shrinking_ratio: Share = 0.5
    """Three restarts in a row that each bought less than this share of the first's time do, too."""
    retry_after: DurationOrZero = Duration(240)
    """A refused alert that is told again this long after the refusal is looked at again."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fleet:
    """Limits over all hosts."""

    max_concurrent_restarts: Count = 1
    max_restarts_per_hour: Count = 20
    storm_fraction: Share = 0.2
    """More than this share of the inventory's hosts over the limit is a storm."""
    storm_least: Count = 3
    """Fewer hosts than these are none, however small the fleet; one alone never is."""
    storm_window: Duration = Duration(660)
    """Twice as long as Alertmanager takes to tell an alert again: none drops out in between."""
    windows: tuple[WindowText, ...] = ()
    """When restarts may begin; none: at any time. An agent's own stand in the place of these."""
    block_while_firing: tuple[AlertSelector, ...] = ()
    """Nothing is restarted while an alert fires that one of these matches; agents may add some."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mute:
    """How long pings stay silent."""

    base: Duration = Duration(300)
    step_bytes: Size = Size(4 * GIB)
    longest: Duration = Duration(3600)
    """The most that one renewal gives."""
    max_hold: Duration = Duration(4 * 3600)
    """The most that one stretch of being busy gets, renewals included."""
    tail: DurationOrZero = Duration(60)
    """What is left of a mute once the agent is idle again."""
    interval: Duration = Duration(15)
    """How often busy is read again while a mute is held."""
    matchers: tuple[MatcherText, ...] = ('alertname="HostPingFailed"',)
    """Which alerts of the host are silenced, in amtool's notation."""

    def __post_init__(self) -> None:
        if self.base < 2 * self.interval:
            raise ValueError("base must be at least twice interval, or mutes end between renewals")
        if self.longest < self.base:
            raise ValueError("longest must be at least base")
        check_mute_matchers((parse_matcher(text) for text in self.matchers), TRIGGERS)


@dataclasses.dataclass(frozen=True, slots=True)
class RestartPolicy:
    """All that the guards of one agent go by."""

    mode: Mode
    guards: Guards
    fleet: Fleet
    windows: tuple[Window, ...] = ()
    block_while_firing: tuple[str, ...] = ()
    """The fleet's, and the agent's own."""
