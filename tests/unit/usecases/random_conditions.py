"""What speaks against a restart beside its agent: people, controllers, pings and hours, at random.

Each begins and ends at any time, in the middle of a restart too. What was really so at each look
of a request is kept: its guards have to go by that, whatever changes until they look again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from memleash_responder.core.facts import Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.pauses import Pause
from memleash_responder.core.restarts import Restart
from memleash_responder.core.situation import Situation
from memleash_responder.core.steps import Step
from memleash_responder.usecases.host_states import KnownHosts, known_hosts
from memleash_responder.usecases.restart_situation import read_situation
from memleash_responder.usecases.services import Services
from tests.unit.usecases.world import World

HOSTS = st.sampled_from(["node-1", "node-2"])
PAUSES = st.sampled_from(["default", "rack-7"])
WHO = ("a person", "the inventory", "a controller")
MOMENTS = (
    "after the record of admit",
    "after the record of hold",
    "before the record of verify",
    "before the session",
    "after the command",
    "before reconnect",
    "after undrain",
)
WHEN = st.sampled_from([*[None] * 4, 1, 5, 40, *MOMENTS])
"""At once, in so many seconds, or at a boundary of the next restart that comes there."""
FACTS: Mapping[str, tuple[str, object, object]] = {
    "failing pings": ("ping_alert_fires", True, False),
    "a connecting host": ("state", HostState.CONNECTING, None),
    "a disconnected host": ("state", HostState.DISCONNECTED, None),
    "an unknown state": ("state", Unknown("500"), None),
    "a silent controller": ("second_controller_dead", True, False),
    "an unknown busy": ("busy", Unknown("no source could tell"), False),
    "a silent exporter": ("exporter_answers", False, True),
}
"""By its name, what of a host is how in the meantime, and how again afterwards."""
OBSTACLES = st.tuples(
    st.sampled_from([*WHO, "windows", *FACTS]), st.sampled_from([5, 45, 100]), WHEN
)
"""What speaks against a restart, for how many seconds, and from when on."""
Obstacle = tuple[str, int, float | str | None]
LOOKS = (Step.ADMIT, Step.VERIFY, Step.RESTART)


@dataclasses.dataclass(frozen=True, slots=True)
class Truth:
    """What was really so about a host at one look."""

    in_maintenance: bool
    in_window: bool
    pings_fail: bool
    """Their alert fires, unmuted."""
    state: HostState | Unknown | None
    """What its controller calls it."""
    memory_is_told: bool
    """By its exporter, and by Prometheus its limit."""
    tasks_are_told: bool
    """By all of its controllers."""


class Conditions(RuleBasedStateMachine):
    """Whether restarts may begin: what happens to that, and what was so at each look."""

    world: World

    def begin_conditions(self) -> None:
        """Begin with nothing that speaks against a restart."""
        self.pauses: dict[str, float | None] = {}
        """The end of each pause that was begun and not resumed."""
        self.maintenance: dict[str, float] = {}
        """The end of each host's maintenance that a person began and did not end before."""
        self.window: tuple[int, int] | None = None
        """The hours of the one window, if there is one."""
        self.looks: dict[tuple[str, Step | None], Truth] = {}
        """By request and step, what was so at its last look."""
        self.out_of_service: set[str] = set()
        """The hosts in maintenance at the last look at lost ones, by people and the inventory."""

    # -- what is so ---------------------------------------------------------------------------

    def look(
        self, services: Services, restart: Restart, step: Step | None, *args: Any, **options: Any
    ) -> Situation:
        """Stand in for the reading of a situation: keep what is so, and read."""
        self.looks[restart.id, step] = self.truth(restart.host, restart.agent)
        return read_situation(services, restart, step, *args, **options)

    def look_at_hosts(self, services: Services) -> KnownHosts:
        """Stand in for the reading of the hosts before lost ones are taken back."""
        self.out_of_service = {host for host in self.world.nodes if self.is_said_to_be_out(host)}
        return known_hosts(services)

    def is_said_to_be_out(self, host: str) -> bool:
        """Whether a person or the inventory says that a host is in maintenance."""
        is_held = self.world.clock.now() < self.maintenance.get(host, 0.0)
        return is_held or host in self.world.labels

    def truth(self, host: str, agent: str) -> Truth:
        now, node = self.world.clock.now(), self.world.nodes[host]
        process = self.world.node_of(host, agent)
        hour = now // 3600 % 24
        is_out = self.is_said_to_be_out(host) or node.state is HostState.MAINTENANCE
        return Truth(
            in_maintenance=is_out,
            in_window=self.window is None or self.window[0] <= hour < self.window[1],
            pings_fail=node.ping_alert_fires and not self.world.muted(host),
            state=node.state,
            memory_is_told=(
                self.world.prometheus_answers
                and process.exporter_answers
                and not process.several
                and not isinstance(process.limited, Unknown)
            ),
            tasks_are_told=node.controller_answers and not node.second_controller_dead,
        )

    def conditions_of_command(self, request: Restart) -> dict[str, bool]:
        """Return what must have been so at the looks of a request whose command is sent."""
        looks = [self.looks[request.id, at] for at in LOOKS if (request.id, at) in self.looks]
        states = [one.state for one in looks]
        return {
            "never without a look at every step": len(looks) == len(LOOKS),
            "never in maintenance": not any(one.in_maintenance for one in looks),
            "never outside of its windows": all(one.in_window for one in looks),
            "never with failing pings": not any(one.pings_fail for one in looks[:1]),
            "never where its controller does not count on it": (
                not {HostState.CONNECTING, HostState.DISCONNECTED} & {*states[:1]}
            ),
            "never where its controller cannot tell": (
                request.forced or not any(isinstance(one, Unknown) for one in states)
            ),
            "never while its memory is unknown": all(one.memory_is_told for one in looks),
            "never while its tasks are unknown": (
                request.forced or self.looks[request.id, Step.VERIFY].tasks_are_told
            ),
            "never while paused": not self.a_pause_holds(),
        }

    # -- what can happen ----------------------------------------------------------------------

    def happens(self, when: float | str | None, act: Callable[[], None]) -> None:
        self.world.kill_at = None
        if when is None:
            act()
        elif isinstance(when, str):
            self.world.at_boundary[when] = act
        else:
            self.world.later(when, act)

    @rule(name=PAUSES, seconds=st.sampled_from([None, 30, 700]))
    def is_paused(self, name: str, seconds: int | None) -> None:
        self.world.kill_at = None
        now = self.world.clock.now()
        self.pauses[name] = None if seconds is None else now + seconds
        self.world.services.tables.pauses.put(Pause(name, "ann", "", now, self.pauses[name]))

    @rule(name=PAUSES)
    def is_resumed(self, name: str) -> None:
        self.world.kill_at = None
        self.pauses.pop(name, None)
        self.world.services.tables.pauses.end(name)

    def a_pause_holds(self) -> bool:
        now = self.world.clock.now()
        return any(until is None or now < until for until in self.pauses.values())

    @rule(host=HOSTS, obstacle=OBSTACLES)
    def is_obstructed(self, host: str, obstacle: Obstacle) -> None:
        kind, seconds, when = obstacle
        (place, _) = self.world.place(host)
        self.happens(when, partial(self.obstruct, place, kind, seconds))

    def obstruct(self, host: str, kind: str, seconds: int) -> None:
        """Begin what ends by itself after so many seconds."""
        if kind in WHO:
            self.take_out_of_service(host, kind, seconds)
        elif kind == "windows":
            self.close_for(seconds)
        else:
            node, (name, meanwhile, afterwards) = self.world.nodes[host], FACTS[kind]
            setattr(node, name, meanwhile)
            self.world.later(seconds, lambda: setattr(node, name, afterwards))

    def take_out_of_service(self, host: str, who: str, seconds: int) -> None:
        """What a person says ends by itself, what others say is taken back."""
        if who == "a person":
            self.maintenance.pop(host, None)  # killed in between, nobody knows which one is told
            now = self.world.clock.now()
            told = Maintenance("ann", "new disks", now, now + seconds)
            self.world.services.tables.maintenance.begin(host, told)
            self.maintenance[host] = now + seconds
            return
        if who == "the inventory":
            self.world.labels[host] = {"maintenance": "Yes"}
        else:
            self.world.nodes[host].state = HostState.MAINTENANCE
        self.world.later(seconds, partial(self.put_back_into_service, host, who))

    @rule(host=HOSTS, who=st.sampled_from(WHO), when=WHEN)
    def is_put_back_into_service(self, host: str, who: str, when: float | str | None) -> None:
        (place, _) = self.world.place(host)
        self.happens(when, partial(self.put_back_into_service, place, who))

    def put_back_into_service(self, host: str, who: str) -> None:
        if who == "a person":
            self.maintenance.pop(host, None)
            self.world.services.tables.maintenance.end(host)
        elif who == "the inventory":
            self.world.labels.pop(host, None)
        elif self.world.nodes[host].state is HostState.MAINTENANCE:
            self.world.nodes[host].state = None

    def close_for(self, seconds: int) -> None:
        """By a reload, as they open again: what waits would wait for half a day otherwise."""
        begins = int(self.world.clock.now() // 3600 + 12) % 24
        self.window = (begins, begins + 1)
        self.world.open_in(f"{begins:02}:00-{begins + 1:02}:00 UTC")
        self.world.later(seconds, self.open)

    def open(self) -> None:
        self.window = None
        self.world.open_in()

    def end_conditions(self) -> None:
        """Have nothing speak against a restart any more, and nothing still to come that does."""
        self.world.kill_at = None
        self.world.at_boundary.clear()
        self.world.clock.advance(100)
        for name in list(self.pauses):
            self.is_resumed(name)
        for host in self.world.nodes:
            for who in WHO:
                self.put_back_into_service(host, who)
        self.open()
