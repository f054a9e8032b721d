"""A guarded restart from alert to word: force, waiting, and what was found elsewhere."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from memleash_responder import settings
from memleash_responder.core.facts import Unknown
from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.pauses import Pause
from memleash_responder.core.policy import Guards
from memleash_responder.core.steps import Step
from memleash_responder.settings import Readiness
from memleash_responder.usecases.explain import explain
from memleash_toolkit.values import Duration
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE, LIMIT, SMALL
from tests.unit.usecases.world import AGENT, World, leak_and_fire, resolved


def test_a_controller_that_restarts_the_agent_once_more_is_a_success_told_as_such(
    world: World,
) -> None:
    leak_and_fire(world)
    controllers: Any = world.services.outside.controllers
    reconnect = controllers.reconnect

    def reconnect_and_restart(*args: Any, **how: Any) -> None:
        reconnect(*args, **how)
        world.clock.advance(30)
        world.restart_agent(world.node)
        world.node.ready = False
        world.later(5, lambda: setattr(world.node, "ready", True))

    controllers.reconnect = reconnect_and_restart
    world.run()
    (request,) = world.history()
    assert (request.outcome, world.state()) == ("restarted", "connected")
    assert "restarted once more before the end" in request.reason
    assert request.facts["new_life"] == world.node.life


def test_a_process_that_is_gone_at_the_end_is_no_success(make_world: MakeWorld) -> None:
    world = make_world(agent={"readiness": Readiness(probes=5, interval=Duration(1))})
    leak_and_fire(world)
    controllers: Any = world.services.outside.controllers
    reconnect = controllers.reconnect

    def reconnect_and_stop(*args: Any, **how: Any) -> None:
        reconnect(*args, **how)
        world.node.up = False

    controllers.reconnect = reconnect_and_stop
    world.run()
    (request,) = world.history()
    assert (request.outcome, world.state()) == ("not_ready", "disconnected")
    assert request.reason.startswith("the new process was gone again before the end")


# -- what was found in the system that this one learned from ------------------------------------


def test_finding_2_probes_that_are_used_up_fail_and_nothing_is_reconnected(
    make_world: MakeWorld,
) -> None:
    """Found: success was told though the agent never became ready, the reconnect already sent."""
    world = make_world(agent={"readiness": Readiness(probes=5, interval=Duration(1))})
    leak_and_fire(world, becomes_ready=False)
    began = world.clock.uptime_seconds
    world.run()
    (request,) = world.history()
    assert (request.outcome, world.reconnects) == ("not_ready", [])
    assert request.reason == "after 5 probes: the new process does not answer ready"
    assert world.clock.uptime_seconds - began == 4


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (
            {"ssh": "has_none"},
            "the old process is still running: it started at 2027-01-14T08:00:00Z",
        ),
        ({"leaves_several": True}, "that it is the only one"),
    ],
)
def test_a_command_that_returns_0_and_leaves_no_single_new_process_is_not_ready(
    world: World, fault: dict[str, Any], why: str
) -> None:
    leak_and_fire(world, **fault)
    world.run()
    (request,) = world.history()
    assert (request.outcome, world.state()) == ("not_ready", "disconnected")
    assert why in request.reason
    assert request.facts["ready"]["agent"]["busy"] is False, "what was seen is in the record"
    assert not world.reconnects


def test_finding_2_the_reconnect_is_awaited_and_its_error_is_the_error(world: World) -> None:
    leak_and_fire(world, reconnects=False)
    world.run()
    (request,) = world.history()
    assert request.outcome == "reconnect_failed"
    assert "mn-1: refused" in request.reason
    assert world.state() == "disconnected", "a failed reconnect does not roll back to connected"


def test_finding_2_the_reconnect_waits_until_the_agent_is_ready(world: World) -> None:
    leak_and_fire(world, becomes_ready=False)
    world.clock.on_advance.append(lambda: setattr(world.node, "ready", True))
    controllers: Any = world.services.outside.controllers
    reconnect, ready_then = controllers.reconnect, []

    def reconnect_and_look(*args: Any, **how: Any) -> None:
        ready_then.append(world.node.ready)
        reconnect(*args, **how)

    controllers.reconnect = reconnect_and_look
    world.run()
    assert ready_then == [True]
    assert world.outcomes() == ["restarted"]


def test_finding_5_a_policy_cannot_be_changed_and_so_not_left_changed() -> None:
    """Found: a test changed global limits and left them."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Guards().cooldown = Duration(0)  # type: ignore[misc]


# -- before the command --------------------------------------------------------------------------


def test_connecting_and_drain_come_before_the_tasks_are_looked_at(world: World) -> None:
    leak_and_fire(world)
    controllers: Any = world.services.outside.controllers
    tasks, seen = controllers.tasks, []

    def look(*args: Any) -> Any:
        seen.append((world.state(), world.node.drained))
        return tasks(*args)

    controllers.tasks = look
    world.run()
    assert seen == [("connecting", True)]


def test_an_agent_that_is_busy_is_looked_at_again_every_30_s_and_restarted_when_idle(
    world: World,
) -> None:
    leak_and_fire(world, busy=True)
    began = world.clock.uptime_seconds
    world.later(70, lambda: setattr(world.node, "busy", False))
    world.run()
    assert world.outcomes() == ["restarted"]
    assert world.node.commands == [began + 90]


def test_an_agent_that_stays_busy_is_refused_after_wait_for_idle_and_not_later(
    make_world: MakeWorld,
) -> None:
    world = make_world(guards=Guards(wait_for_idle=Duration(100)))
    leak_and_fire(world, busy=True)
    began = world.clock.uptime_seconds
    world.run()
    assert world.outcomes() == ["busy"]
    assert world.clock.uptime_seconds - began == 100
    assert (world.state(), world.node.drained, world.muted()) == ("connected", False, False)


def test_found_busy_behind_the_drain_it_gives_all_back_and_waits_again(world: World) -> None:
    leak_and_fire(world, busy_once_drained=45)
    held: list[tuple[str, bool, bool]] = []
    world.check_while_waiting = lambda _: held.append(  # type: ignore[assignment, method-assign]
        (world.state(), world.node.drained, world.muted())
    )
    world.run()
    assert set(held) == {("connected", False, False)}
    (request,) = world.history()
    assert (request.outcome, request.attempt) == ("restarted", 1)
    assert [one["step"] for one in request.facts["waits"][0]["after"]] == [
        "admit",
        "hold",
        "verify",
    ]


@pytest.mark.parametrize("what", ["resolved", "paused"])
def test_who_waits_for_idle_hears_of_a_pause_or_the_alerts_end_within_a_second(
    world: World, what: str
) -> None:
    leak_and_fire(world, busy=True)
    began = world.clock.uptime_seconds

    def end() -> None:
        if what == "paused":
            world.services.tables.pauses.put(
                Pause("rack-7", "ann", "it moves", world.clock.now(), None)
            )
            world.requests.look_at_waiting(at_once=True)
        else:
            world.tell(resolved(world))
            (notification,) = world.services.tables.inbox.waiting(before=float("inf"))
            world.intake.handle(notification)

    world.later(10, end)
    world.run()
    assert world.outcomes() == [what]
    assert world.clock.uptime_seconds - began <= 11
    assert (world.state(), world.node.drained) == ("connected", False)


def test_a_task_that_ends_before_the_next_alert_is_what_a_refusal_waits_for(world: World) -> None:
    leak_and_fire(world, running=["task-7"])
    world.run()
    world.node.running = []
    world.tell(world.last_alert)
    world.run()
    assert world.outcomes() == ["tasks_running"], "a duplicate within retry_after"
    world.clock.advance(240)
    world.tell(world.last_alert)
    world.run()
    assert world.outcomes() == ["tasks_running", "restarted"]


@pytest.mark.parametrize(
    ("obstacle", "word"),
    [
        ({"busy": True}, "restarted"),
        ({"busy": None}, "restarted"),
        ({"running": ["task-7"]}, "restarted"),
        ({"resident_bytes": LIMIT}, "below_hard_limit"),
        ({"exporter_answers": False}, "facts_unavailable"),
        ({"controller_answers": False}, "reconnect_failed"),
        ({"ssh": "refused"}, "ssh_unreachable"),
    ],
)
def test_force_goes_past_busy_tasks_and_dead_controllers_and_nothing_else(
    world: World, obstacle: dict[str, Any], word: str
) -> None:
    world.node.resident_bytes = LARGE
    for name, value in obstacle.items():
        setattr(world.node, name, value)
    request = world.requests.ask_for_person("node-1", AGENT, "ann", forced=True)
    world.requests.consider(request.id)
    world.run()
    assert world.outcomes() == [word]


def test_what_force_goes_past_is_in_the_record(world: World) -> None:
    world.node.resident_bytes, world.node.busy, world.node.controller_answers = LARGE, True, False
    controllers: Any = world.services.outside.controllers
    reconnect = controllers.reconnect

    def answer_again(*args: Any, **how: Any) -> None:
        world.node.controller_answers = True
        reconnect(*args, **how)

    controllers.reconnect = answer_again
    request = world.requests.ask_for_person("node-1", AGENT, "ann", forced=True)
    world.requests.consider(request.id)
    world.run()
    (request,) = world.history()
    assert request.outcome == "restarted"
    past = {
        step: [one["outcome"] for one in request.facts[step]["gone_past"]]
        for step in ("admit", "hold", "verify", "restart")
    }
    assert past == {
        "admit": ["busy"],
        "hold": ["controller_unreachable"],
        "verify": ["busy", "controller_unreachable"],
        "restart": ["busy"],
    }


def test_a_controller_that_could_not_be_drained_refuses_without_force(world: World) -> None:
    leak_and_fire(world, controller_answers=False)
    world.run()
    (request,) = world.history()
    assert request.outcome == "controller_unreachable"
    assert "gone_past" not in request.facts["admit"]


def test_not_even_force_goes_round_a_host_that_is_not_connected(world: World) -> None:
    leak_and_fire(world, reconnects=False)
    world.run()
    world.node.resident_bytes = LARGE
    request = world.requests.ask_for_person("node-1", AGENT, "ann", forced=True)
    world.requests.consider(request.id)
    assert world.outcomes() == ["reconnect_failed", "host_not_connected"]


# -- what the command came to --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ssh", "word", "state", "starts"),
    [
        ("refused", "ssh_unreachable", "connected", 0),
        ("lost_just_before", "ssh_unreachable", "connected", 0),
        ("fails", "command_failed", "disconnected", 0),
        ("lost_before", "command_failed", "disconnected", 0),
        ("lost_after", "restarted", "connected", 1),
        ("lost_late", "restarted", "connected", 1),
    ],
)
def test_a_session_that_breaks_ends_in_its_word(
    world: World, ssh: str, word: str, state: str, starts: int
) -> None:
    leak_and_fire(world, ssh=ssh, reconnects=word == "restarted")
    world.run()
    assert (world.outcomes(), world.state(), len(world.node.starts)) == ([word], state, starts)
    assert world.node.drained is (state == "disconnected")


def test_a_fresh_process_above_the_futile_ratio_is_quarantined_until_a_person_clears_it(
    make_world: MakeWorld,
) -> None:
    world = make_world(
        guards=Guards(startup_grace=Duration(0), cooldown=Duration(0), retry_after=Duration(0))
    )
    leak_and_fire(world, fresh_bytes=int(0.7 * LIMIT) + 1)
    world.run()
    assert world.outcomes() == ["restarted"]
    world.clock.advance(60)
    leak_and_fire(world)
    world.run()
    assert world.outcomes()[1:] == ["quarantined"]
    assert world.services.tables.quarantine.clear("node-1", AGENT)
    leak_and_fire(world, fresh_bytes=int(0.7 * LIMIT))
    world.run()
    assert world.outcomes()[2:] == ["restarted"]
    assert not world.services.tables.quarantine.all(), "just at the ratio is not above it"


def test_an_agent_that_left_the_configuration_meanwhile_has_its_word(world: World) -> None:
    """Seen: a KeyError, told as an unexpected error."""
    leak_and_fire(world, busy=True)
    changed = dataclasses.replace(world.settings, agents={})
    world.later(5, lambda: object.__setattr__(world.services.outside, "settings", changed))
    world.run()
    assert world.outcomes() == ["unknown_agent"]
    assert (world.state(), world.node.drained) == ("connected", False)


def test_an_error_that_nobody_thought_of_still_ends_in_a_word(world: World) -> None:
    leak_and_fire(world)
    controllers: Any = world.services.outside.controllers
    controllers.tasks = lambda *_: 1 / 0
    world.run()
    (request,) = world.history()
    assert request.outcome == "facts_unavailable"
    assert "ZeroDivisionError" in request.reason
    assert (world.state(), world.node.drained) == ("connected", False)


# -- the fleet, and what people see --------------------------------------------------------------


def test_no_number_of_refusals_makes_a_cooldown_forgotten(make_world: MakeWorld) -> None:
    """Seen: of 10,000 requests kept, an observing fleet of 1000 fills 10,000 within the hour."""
    world = make_world(guards=Guards(startup_grace=Duration(0), retry_after=Duration(0)))
    leak_and_fire(world)
    world.run()
    for _ in range(3):
        world.clock.advance(60)
        leak_and_fire(world)
        world.run()
    now = world.clock.now()
    counted = settings.counted_seconds(world.settings)
    world.services.tables.restart_history.prune(before=now - 1, keep=1, counted_since=now - counted)
    assert world.outcomes() == ["restarted", "cooldown"]
    leak_and_fire(world)
    world.run()
    assert world.outcomes()[-1] == "cooldown"


def test_what_is_limited_decides_and_not_the_resident_memory(world: World) -> None:
    """A salt-minion leaks in a child: its limits are of the tree."""
    leak_and_fire(world, resident_bytes=SMALL, limited_bytes=LARGE, fresh_limited_bytes=SMALL)
    world.run()
    assert world.outcomes() == ["restarted"]
    facts = world.history()[0].facts
    assert (facts["resident_bytes"], facts["limited_bytes"]) == (SMALL, LARGE)
    assert (facts["new_limited_bytes"], world.services.tables.quarantine.all()) == (SMALL, {})


def test_what_is_limited_decides_whether_a_restart_helped(world: World) -> None:
    leak_and_fire(world, limited_bytes=LARGE, fresh_limited_bytes=LARGE - 1)
    world.run()
    assert world.outcomes() == ["restarted"]
    assert ("node-1", AGENT) in world.services.tables.quarantine.all()


def test_a_restart_is_no_success_while_what_it_holds_is_unknown(world: World) -> None:
    leak_and_fire(world, fresh_limited_bytes=Unknown("a descendant cannot be read"))
    world.run()
    assert world.outcomes() == ["not_ready"]
    reason = world.history()[0].reason
    assert "whether it helped cannot be told: a descendant cannot be read" in str(reason)


def test_explain_runs_the_same_table_and_asks_for_the_tasks(world: World) -> None:
    world.node.resident_bytes = LARGE
    world.node.running = ["task-7"]
    told = explain(world.services, "node-1", AGENT)
    refused = {one.guard: one.refusal.outcome for one in told.verdicts if one.refusal}
    assert refused == {"tasks_running": Outcome.TASKS_RUNNING}
    assert not world.history(), "it changes nothing"


def test_the_history_tells_what_was_seen_and_how_long_each_step_took(world: World) -> None:
    leak_and_fire(world)
    life = world.node.life
    world.run()
    (request,) = world.history()
    assert [one["step"] for one in request.steps] == [str(step) for step in Step]
    facts = request.facts
    assert (facts["life"], facts["new_life"]) == (life, world.node.life)
    assert (facts["resident_bytes"], facts["hard_limit_bytes"]) == (LARGE, LIMIT)
    assert facts["verify"]["tasks"] == [{"controller": "mn-1", "running": [], "more": 0}]
    assert facts["command"]["exit_code"] == 0
    assert (request.requested_by, request.command_sent is not None) == ("alert", True)
