"""Whatever happens, in whatever order: hypothesis plays the alerts, the people, the faults, the
crashes and the clock, and the invariants of a guarded restart hold.

The use cases are the real ones, on a real database; time is the world's. What is checked at the
moment a command is sent is the truth about the host, not what the responder believes.
"""

from __future__ import annotations

import dataclasses
import tempfile
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from memleash_responder.core.facts import Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.core.policy import Fleet, Guards, Mode
from memleash_responder.core.reconnects import MOST_CHANGES
from memleash_responder.core.restarts import AWAITING_APPROVAL, Restart
from memleash_responder.core.waiting import waited_seconds
from memleash_responder.usecases import host_recovery
from memleash_responder.usecases import restart_looks as looks
from memleash_responder.usecases import restart_workflow as workflow
from memleash_responder.usecases.storm_breaker import standing_storm
from memleash_toolkit.values import Duration
from tests.unit.usecases.outside import LARGE, LIMIT, SMALL, Node
from tests.unit.usecases.random_conditions import HOSTS, OBSTACLES, Conditions, Obstacle
from tests.unit.usecases.world import Killed, World

pytestmark = pytest.mark.one_python

GUARDS = Guards(
    startup_grace=Duration(60),
    cooldown=Duration(600),
    max_restarts=2,
    per=Duration(3600),
    wait_for_idle=Duration(60),
)
FLEET = Fleet(max_concurrent_restarts=2, max_restarts_per_hour=3, storm_least=2)
KILLS = st.one_of(st.none(), st.integers(0, 80))
"""At which boundary from now the process dies, if it does."""
FAULTS = st.sampled_from(
    [
        *(("ssh", how) for how in ("refused", "lost_just_before", "lost_before", "fails")),
        *(("ssh", how) for how in ("lost_after", "lost_late", "has_none")),
        ("leaves_several", True),
        *((name, False) for name in ("exporter_answers", "controller_answers", "reconnects")),
        *((name, False) for name in ("becomes_ready", "comes_up", "prometheus")),
        *(("busy_for", seconds) for seconds in (5, 45, 100)),
        *(("fires_for", seconds) for seconds in (5, 100)),
        *(("busy_once_drained", seconds) for seconds in (5, 45, 100)),
        ("busy", Unknown("no source could tell")),
        ("task", True),
        ("second_controller_dead", True),
        *(("reconnect_restarts", how) for how in ("and succeeds", "in vain", "in vain")),
        ("fresh_bytes", LARGE),
        ("resident_bytes", LIMIT),
        *(("limited_bytes", held) for held in (LIMIT, LARGE, Unknown("a hidden descendant"))),
        *(("fresh_limited_bytes", held) for held in (LARGE, Unknown("a hidden descendant"))),
    ]
)


class Restarts(Conditions):
    """Two hosts, or two agents on one, and everything that can come between them."""

    @initialize(
        mode=st.sampled_from([Mode.ENFORCE, Mode.ENFORCE, Mode.APPROVE, Mode.OBSERVE]),
        storm_fraction=st.sampled_from([1.0, 1.0, 0.9]),
        shared=st.booleans(),
    )
    def begin(self, mode: Mode, storm_fraction: float, shared: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.patch = pytest.MonkeyPatch()
        self.world = World(
            Path(self.folder.name),
            hosts=2,
            guards=GUARDS,
            fleet=dataclasses.replace(FLEET, storm_fraction=storm_fraction),
            agent={"mode": mode, "block_while_firing": ('team="storage"',)},
            shared=shared,
        )
        self.mode = mode
        self.begin_conditions()
        self.patch.setattr(looks, "read_situation", self.look)
        self.patch.setattr(host_recovery, "known_hosts", self.look_at_hosts)
        self.patch.setattr(workflow, "run_step", self.world.engine.run_step)
        self.world.check_before_command = self.check_command  # type: ignore[method-assign]
        self.world.check_while_waiting = self.check_waiting  # type: ignore[method-assign]
        self.world.check_before_reconnect = self.check_reconnect  # type: ignore[method-assign]
        self.violations: list[str] = []
        self.commands: list[tuple[str, str, float]] = []
        """Request, host and uptime of every command that was sent."""
        self.reconnected: dict[str | None, list[float]] = {}
        """The lives at which a lost host was asked for, by the request that lost it."""
        self.process = self.world.services
        self.told: dict[str, list[dict[str, Any]]] = {name: [] for name in self.world.nodes}

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.settle()
            self.world.services.tables.database.close()
            self.patch.undo()
            self.folder.cleanup()

    # -- what must be so whenever a command is sent -------------------------------------------

    def check_command(self, node: Node) -> None:
        now = self.world.clock.uptime_seconds
        place = self.world.place(node.name)
        host = self.world.nodes[place[0]]
        (request,) = (one for one in self.world.history(node.name) if one.outcome is None)
        mine = self.sent_by_others(request.id, node.name)
        everyone = self.sent_by_others(request.id, None)
        begun = [at for sent_id, _, at in self.commands if sent_id == request.id]
        tables = self.world.services.tables
        storm = standing_storm(tables.flags.all())
        holds = {
            "never where it is only observed": self.mode is not Mode.OBSERVE,
            "never in a storm": storm is None,
            "never while quarantined": place not in tables.quarantine.all(),
            "never while busy": request.forced or node.busy is False,
            "never with a running task": request.forced or not host.running,
            "never while new work may begin": (
                host.drained or (request.forced and not host.controller_answers)
            ),
            "never but while connecting": self.world.state(node.name) == "connecting",
            "never below the limit": isinstance(node.limited, int) and node.limited > LIMIT,
            "never while an alert fires": not self.world.firing,
            "never unasked": request.approval == "approved" or self.mode is Mode.ENFORCE,
            "never for an alert that resolved": not request.resolved,
            "never twice in a cooldown": all(now - at >= GUARDS.cooldown for at in mine),
            "never over the agent's budget": (
                sum(now - at < GUARDS.per for at in mine) < GUARDS.max_restarts
            ),
            "never over the fleet's rate": (
                sum(now - at < 3600 for at in everyone) < FLEET.max_restarts_per_hour
            ),
            "never twice": not [at for at in node.starts if begun and at >= begun[0]],
            **self.conditions_of_command(request),
        }
        # Not raised here: what a step raises is the request's word, not the test's.
        self.violations += [f"{node.name}: {rule}" for rule, held in holds.items() if not held]
        self.commands.append((request.id, node.name, now))

    def check_waiting(self, restart: Restart) -> None:
        node, host = self.world.nodes[restart.host], restart.host
        owed = self.world.services.tables.hosts.get(host).drained  # the controller did not answer
        holds = {
            "no host held while it waits": self.world.state(host) != "connecting",
            "no host drained while it waits": not node.drained or owed,
            "never waiting once its command is sent": restart.command_sent is None,
            "never waiting for longer than it may": (
                waited_seconds(restart, self.world.clock.stamp()) <= GUARDS.wait_for_idle
            ),
        }
        self.violations += [f"{host}: {rule}" for rule, held in holds.items() if not held]

    def check_reconnect(self, node: Node) -> None:
        """Of lost hosts; for a loop counts only what is asked for without a person's word."""
        world = self.world
        (host, _) = world.place(node.name)
        record = world.services.tables.hosts.get(host)
        if record.state is not HostState.DISCONNECTED:
            return
        if host in self.out_of_service:
            self.violations.append(f"{host}: never taken back in maintenance")
        if record.vouched_by is not None:
            return
        if self.process is not world.services:
            # The one before may have been killed between its note and its question.
            self.process = world.services
            self.reconnected.clear()
        lives = self.reconnected.setdefault(record.restart_id, [])
        lives.append(node.life)
        if len(lives) > MOST_CHANGES and len({*lives[-MOST_CHANGES - 1 :]}) > MOST_CHANGES:
            rule = "never reconnected where each one restarts the agent"
            self.violations.append(f"{node.name}: {rule}")

    def sent_by_others(self, restart_id: str, host: str | None) -> list[float]:
        return [
            at
            for sent_id, name, at in self.commands
            if sent_id != restart_id and (host is None or name == host)
        ]

    def most_starts_of_a_request(self, host: str) -> int:
        """Return how many restarts that of the requests brought about that has the most."""
        mine = [(at, sent_id) for sent_id, name, at in self.commands if name == host]
        of = [max(one for one in mine if one[0] <= at)[1] for at in self.world.nodes[host].starts]
        return max((of.count(sent_id) for sent_id in of), default=0)

    # -- what can happen ----------------------------------------------------------------------

    @rule(
        host=HOSTS,
        later=st.sampled_from([1, 700, 4000, 4000]),
        age=st.sampled_from([1.0, 60.0, 7200.0]),
        fault=st.one_of(st.none(), FAULTS),
        obstacle=st.one_of(st.none(), OBSTACLES),
        kill=KILLS,
    )
    def leaks_and_fires(
        self,
        host: str,
        later: int,
        age: float,
        fault: tuple[str, Any] | None,
        obstacle: Obstacle | None,
        kill: int | None,
    ) -> None:
        self.world.clock.advance(later)
        self.world.nodes[host].resident_bytes = LARGE
        if fault:
            self.breaks(host, fault)
        if obstacle:
            self.is_obstructed(host, obstacle)
        self.world.alert(host, age=age)
        self.told[host].append(self.world.last_alert)
        self.runs(kill)

    @rule(interrupt=st.integers(0, 120), newest_first=st.booleans(), kill=KILLS)
    def both_leak_and_fire(self, interrupt: int, newest_first: bool, kill: int | None) -> None:
        """In the middle of one's restart the other's goes on, as on another thread."""
        for host, node in self.world.nodes.items():
            node.resident_bytes = LARGE
            self.world.alert(host)
            self.told[host].append(self.world.last_alert)
        self.world.engine.newest_first = newest_first
        self.world.interrupt_at = len(self.world.boundaries) + interrupt
        self.runs(kill)

    @rule(host=HOSTS, status=st.sampled_from(["firing", "resolved"]), kill=KILLS)
    def is_told_again(self, host: str, status: str, kill: int | None) -> None:
        for payload in self.told[host][-1:]:
            (alert,) = payload["alerts"]
            self.world.tell({**payload, "alerts": [{**alert, "status": status}]})
        self.runs(kill)

    @rule(host=HOSTS, seconds=st.sampled_from([1, 5, 40]))
    def will_resolve(self, host: str, seconds: int) -> None:
        """While something waits, or is about to be sent."""
        for payload in self.told[host][-1:]:
            self.world.later(seconds, partial(self.resolve_now, payload))

    def resolve_now(self, payload: dict[str, Any]) -> None:
        (alert,) = payload["alerts"]
        starts_at = datetime.fromisoformat(alert["startsAt"]).timestamp()
        self.world.services.tables.restarts.resolve(alert["fingerprint"], starts_at)

    @rule(host=HOSTS, forced=st.booleans(), kill=KILLS)
    def is_asked_for_by_a_person(self, host: str, forced: bool, kill: int | None) -> None:
        self.world.nodes[host].resident_bytes = LARGE
        self.kill_after(kill)
        place = self.world.place(host)
        self.person(lambda: self.world.requests.ask_for_person(*place, "ann", forced=forced))
        self.world.run()

    @rule(host=HOSTS, word=st.sampled_from(["approve", "approve", "deny"]), kill=KILLS)
    def is_decided(self, host: str, word: str, kill: int | None) -> None:
        self.kill_after(kill)
        for one in self.world.history(host):
            if one.step == AWAITING_APPROVAL and one.outcome is None:
                self.person(lambda one=one: getattr(self.world.requests, word)(one.id, "ann"))
        self.world.run()

    def person(self, act: Any) -> None:
        """A person's call of the API, in which the process may die."""
        try:
            act()
        except Killed:
            self.world.services.tables.database.close()
            self.world.start()

    @rule(host=HOSTS, fault=FAULTS)
    def breaks(self, host: str, fault: tuple[str, Any]) -> None:
        name, value = fault
        is_of_host = name == "second_controller_dead"
        node = self.world.nodes[self.world.place(host)[0] if is_of_host else host]
        if name == "prometheus":
            self.world.prometheus_answers = value
        elif name == "fires_for":
            self.world.firing = ("StorageDown",)
            self.world.later(value, lambda: setattr(self.world, "firing", ()))
        elif name == "busy_for":
            node.busy = True
            self.world.later(value, lambda: setattr(node, "busy", False))
        elif name == "task":
            node.running = [] if node.drained else ["task"]
        elif name == "reconnect_restarts":
            node.reconnect_restarts, node.reconnects = True, value == "and succeeds"
        else:
            setattr(node, name, value)

    @rule(host=HOSTS)
    def is_mended(self, host: str) -> None:
        node = self.world.nodes[host]
        self.world.prometheus_answers = True
        node.busy, node.running, node.ssh, node.fresh_bytes = False, [], "good", SMALL
        node.exporter_answers = node.controller_answers = node.reconnects = True
        node.second_controller_dead = node.reconnect_restarts = node.ping_alert_fires = False
        node.comes_up = node.becomes_ready = True
        node.several = node.leaves_several = False
        node.limited_bytes = node.fresh_limited_bytes = None
        if node.state is not HostState.MAINTENANCE:
            node.state = None
        if not (node.up and node.ready):
            node.up = node.ready = True
            node.life, node.resident_bytes = self.world.clock.now(), SMALL

    @rule(host=HOSTS)
    def has_its_quarantine_cleared(self, host: str) -> None:
        self.world.kill_at = None
        self.world.services.tables.quarantine.clear(*self.world.place(host))

    @rule(kill=KILLS)
    def runs(self, kill: int | None) -> None:
        self.kill_after(kill)
        self.world.run()

    def kill_after(self, boundaries: int | None) -> None:
        if boundaries is not None:
            self.world.kill_at = len(self.world.boundaries) + boundaries

    @rule(seconds=st.sampled_from([1, 30, 300, 700, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @rule(kill=KILLS)
    def an_hour_passes(self, kill: int | None) -> None:
        """In which whatever is asked for again and again is."""
        for _ in range(MOST_CHANGES + 1):
            self.world.clock.advance(1000)
            self.runs(kill)

    @rule(seconds=st.sampled_from([-86_400, -3600, 3600, 86_400]))
    def the_wall_clock_is_set(self, seconds: int) -> None:
        """Every clock of the fleet is: start times are told by the same wall."""
        self.world.clock.wall_offset += seconds
        for node in self.world.nodes.values():
            node.life += seconds

    def all_are_vouched_for(self) -> None:
        """Have a person take lost hosts back; only what was sent a command may need that."""
        sent = {self.world.place(name)[0] for _, name, _ in self.commands}
        for host in {self.world.place(name)[0] for name in self.world.nodes}:
            if self.world.state(host) == "disconnected":
                assert host in sent
                self.world.services.tables.hosts.vouch(host, "ann")
                self.reconnected.clear()

    # -- what must be so always ---------------------------------------------------------------

    @invariant()
    def nothing_was_done_that_never_may_be(self) -> None:
        assert not getattr(self, "violations", [])

    @invariant()
    def an_agent_has_at_most_one_open_request(self) -> None:
        if hasattr(self, "world"):
            of = [(one.host, one.agent) for one in self.world.services.tables.restarts.all_open()]
            assert len(of) == len({*of})

    def settle(self) -> None:
        """All faults end, nobody kills anything any more: everything must come to its end."""
        world = self.world
        self.end_conditions()
        world.prometheus_answers = True
        for host in world.nodes:
            self.is_mended(host)
        world.run()
        for host in world.nodes:
            self.is_decided(host, "deny", None)
        for look in range(6):
            if look == 3:  # nothing more comes by itself: a person looks at what is still lost
                self.all_are_vouched_for()
            world.clock.advance(1000)
            world.run()
        assert not self.violations
        for host, node in world.nodes.items():
            assert "open" not in world.outcomes(host), "always ends, with one final word"
            assert world.state(host) == "connected"
            assert not node.drained, "controllers have their host back"
            assert not world.muted(host), "people hear of the host again"
            assert len(node.starts) <= len(node.commands)
            restarted = [one for one in world.history(host) if one.outcome == "restarted"]
            assert len(restarted) <= len(node.starts), "never told without being so"
            assert self.most_starts_of_a_request(host) <= 1


TestRandomSequences = Restarts.TestCase
TestRandomSequences.settings = settings(
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
