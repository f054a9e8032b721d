"""The seven steps of `make demo`, each checked: how a leaking, dumping agent fares."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from demo.agent import END_OF_DUMP
from demo.narration import Narrator, table
from demo.stack.http import Json, call, get, post
from demo.stack.site import MIB
from demo.stack.stack import Stack
from toolkit.units import format_size

_OVER_THRESHOLD_MIB = 120
_OVER_LIMIT_MIB = 210
_MEMORY_ALERTS = {"AgentMemoryAboveThreshold", "AgentMemoryHardLimitExceeded"}


class Story:
    """Tells the story on a stack that was started; ``tell`` raises StepFailed where it breaks."""

    def __init__(self, stack: Stack, narrator: Narrator) -> None:
        self._stack = stack
        self._site = stack.site
        self._say = narrator.say
        self._narrator = narrator
        self._stages: dict[str, datetime] = {}

    def tell(self) -> None:
        steps: list[tuple[str, Callable[[], None]]] = [
            ("everything is up, and the limits are known", self._everything_is_up),
            ("the agent passes its alarm threshold", self._threshold_is_passed),
            ("the agent is busy and stops answering", self._agent_is_busy),
            ("busy ends", self._busy_ends),
            ("the hard limit is passed in the middle of a task", self._limit_is_passed_in_a_task),
            ("the task ends, and the agent is restarted", self._task_ends),
            ("all is well again", self._all_is_well),
        ]
        for number, (title, tell) in enumerate(steps, start=1):
            self._narrator.step(number, title)
            tell()
        print("\n" + self._table())

    # -- the steps --------------------------------------------------------------------------

    def _everything_is_up(self) -> None:
        expect = self._narrator.expect
        expect("the agent is scraped", lambda: self._agent_metric("resident_memory_bytes"))
        resident = self._agent_metric("resident_memory_bytes") or 0
        self._say(f"it holds {format_size(resident)}, pid {self._stack.agent_pid()}")
        for limit in ("memory_alarm_threshold_bytes", "memory_hard_limit_bytes"):
            in_force = expect(f"the {limit} in force are known", lambda: self._limit(limit))  # noqa: B023
            self._say(f"{limit} = {format_size(in_force)}")
        expect("the host answers its pings", lambda: self._stack.query("probe_success") == 1)
        expect("the responder counts the host as connected", lambda: self._state() == "connected")

    def _threshold_is_passed(self) -> None:
        self._grow_to(_OVER_THRESHOLD_MIB)
        self._expect_firing("AgentMemoryAboveThreshold")
        self._expect_page("AgentMemoryAboveThreshold")
        self._narrator.check(
            "nothing was restarted for that",
            holds=len(self._stack.starts()) == 1,
            seen=self._stack.starts(),
        )

    def _agent_is_busy(self) -> None:
        self._stack.agent_does("dump", seconds=120)
        self._say("the agent dumps: from now on it answers nothing at all")
        self._expect_firing("AgentBusy")
        silence = self._narrator.expect(
            "a silence for this host's HostPingFailed alone", self._ping_silence
        )
        self._check_deadline(silence)
        self._narrator.expect(
            "the host is gone from /api/v1/sd/ping-targets", lambda: self._ping_targets() == []
        )
        self._narrator.expect(
            "a ping that nobody muted fails now: probe_success 0", self._ping_by_hand_fails
        )
        self._narrator.hold("10 s of silence, and the pager got no HostPingFailed", 10, self._paged)

    def _busy_ends(self) -> None:
        os.kill(self._stack.agent_pid(), END_OF_DUMP)
        self._say("the dump is over, the agent answers again")
        self._narrator.expect(
            "the silence is gone", lambda: not self._stack.silences(), seen=self._stack.silences
        )
        self._narrator.expect("the host is a ping target again", self._ping_targets)
        self._narrator.expect(
            "and answers its pings", lambda: self._stack.query("probe_success") == 1
        )
        self._narrator.check(
            "in all this the pager got no HostPingFailed",
            holds=not self._paged(),
            seen=self._paged(),
        )

    def _limit_is_passed_in_a_task(self) -> None:
        tasks = self._site.url("controller", f"/hosts/{self._site.host}/tasks")
        post(tasks, {"id": "task-7", "name": "migrate a volume"})
        self._say("the controller runs task-7, migrate a volume, on the host")
        self._grow_to(_OVER_LIMIT_MIB)
        self._stages["limit passed"] = datetime.now(UTC)
        self._expect_firing("AgentMemoryHardLimitExceeded")
        refused = self._narrator.expect(
            "the responder refuses to restart it: tasks_running",
            lambda: self._restart_with("tasks_running"),
            seen=self._restarts,
        )
        self._say(f"its reason: {refused['reason']}")
        self._narrator.check(
            "the agent was left alone",
            holds=len(self._stack.starts()) == 1,
            seen=self._stack.starts(),
        )

    def _task_ends(self) -> None:
        old_pid = self._stack.agent_pid()
        task = self._site.url("controller", f"/hosts/{self._site.host}/tasks/task-7")
        call("DELETE", task)
        self._stages["task ended"] = datetime.now(UTC)
        self._say("task-7 has ended")
        self._narrator.expect(
            "the restart command ran over SSH",
            lambda: len(self._stack.starts()) == 2,
            seen=self._restarts,
        )
        self._say(f"pid {old_pid} is now pid {self._stack.agent_pid()}")
        restart = self._narrator.expect(
            "the restart's outcome: restarted",
            lambda: self._restart_with("restarted"),
            seen=self._restarts,
        )
        self._take_stages(restart)
        self._narrator.check(
            "the controllers took the host back: connected",
            holds=self._state() == "connected" and "reconnect" in self._controller_calls(),
            seen=(self._state(), self._controller_calls()),
        )

    def _all_is_well(self) -> None:
        self._narrator.expect(
            "the agent holds less than its threshold",
            lambda: (
                (self._agent_metric("resident_memory_bytes") or 1e18)
                < self._site.pace.alarm_threshold_bytes
            ),
        )
        self._narrator.expect(
            "the memory alerts are resolved",
            lambda: not self._stack.firing() & _MEMORY_ALERTS,
            seen=self._stack.firing,
        )
        self._narrator.expect(
            "the pager was told so",
            lambda: self._stack.pages("AgentMemoryHardLimitExceeded", "resolved"),
        )
        self._narrator.expect(
            "no silence is left", lambda: not self._stack.silences(), seen=self._stack.silences
        )
        self._narrator.check(
            "the service's own log shows exactly one restart",
            holds=len(self._stack.starts()) == 2,
            seen=self._stack.starts(),
        )

    # -- what is looked at ------------------------------------------------------------------

    def _agent_metric(self, name: str) -> float | None:
        return self._stack.query(f'memleash_agent_{name}{{agent="{self._site.agent}"}}')

    def _limit(self, name: str) -> float | None:
        return self._stack.query(f"memleash:agent_{name}")

    def _state(self) -> str:
        return str(get(self._site.url("responder", f"/api/v1/hosts/{self._site.host}"))["state"])

    def _grow_to(self, mib: int) -> None:
        resident = self._stack.agent_does("grow", to_mib=mib)["resident_bytes"]
        self._say(f"the agent has grown to {format_size(resident)}")

    def _expect_firing(self, alertname: str) -> None:
        self._narrator.expect(
            f"{alertname} fires",
            lambda: alertname in self._stack.firing(),
            seen=self._stack.firing,
        )

    def _expect_page(self, alertname: str) -> None:
        page = self._narrator.expect(
            "the pager got it", lambda: next(iter(self._stack.pages(alertname)), None)
        )
        self._say(f"it reads: {page['annotations']['description']}")

    def _ping_silence(self) -> Json:
        for silence in self._stack.silences():
            matchers = {each["name"]: each["value"] for each in silence["matchers"]}
            if matchers == {"alertname": "HostPingFailed", "host": self._site.host}:
                return silence
        return None

    def _check_deadline(self, silence: Json) -> None:
        """Hold the silence's end against the formula: base x (floor(RSS / step) + 1)."""
        pace = self._site.pace
        steps = _OVER_THRESHOLD_MIB * MIB // pace.mute_step_bytes + 1
        right = timedelta(seconds=pace.mute_base_seconds * steps)
        given = _time(silence["endsAt"]) - _time(silence["updatedAt"])
        self._narrator.check(
            f"its deadline is {right.total_seconds():.0f} s ahead:"
            f" {pace.mute_base_seconds} s x (floor({_OVER_THRESHOLD_MIB} MiB /"
            f" {pace.mute_step_bytes // MIB} MiB) + 1), renewed while the agent is busy",
            holds=right - timedelta(seconds=2) <= given <= right + timedelta(seconds=3),
            seen=f"{given.total_seconds():.1f} s",
        )

    def _ping_targets(self) -> Json:
        return get(self._site.url("responder", "/api/v1/sd/ping-targets"))

    def _ping_by_hand_fails(self) -> bool:
        target = self._site.url("agent", "/host/echo")
        probe = get(self._site.url("blackbox", f"/probe?module=http_agent&target={target}"))
        return "\nprobe_success 0" in str(probe)

    def _paged(self) -> list[Json]:
        return self._stack.pages("HostPingFailed")

    def _restarts(self) -> list[Json]:
        """Return the responder's record of restarts, newest first."""
        return list(get(self._site.url("responder", "/api/v1/restarts"))["restarts"])

    def _restart_with(self, outcome: str) -> Json:
        return next((each for each in self._restarts() if each["outcome"] == outcome), None)

    def _controller_calls(self) -> list[str]:
        return [each["call"] for each in get(self._site.url("controller", "/calls"))]

    # -- the table --------------------------------------------------------------------------

    def _take_stages(self, restart: Json) -> None:
        """Note when each stage of the way from the limit to connected was reached."""
        (alert,) = (
            alert
            for alert in get(self._site.url("prometheus", "/api/v1/alerts"))["data"]["alerts"]
            if alert["labels"]["alertname"] == "AgentMemoryHardLimitExceeded"
        )
        self._stages["alert"] = _time(alert["activeAt"])

    def _table(self) -> str:
        first = min(self._stages.values())
        rows = [
            (stage, f"{at.astimezone():%H:%M:%S.%f}"[:-3], f"{(at - first).total_seconds():.2f} s")
            for stage, at in sorted(self._stages.items(), key=lambda item: item[1])
        ]
        return table(("stage", "at", "after the limit"), rows)


def _time(text: str) -> datetime:
    """Return an RFC 3339 time of Go's programs, which may have more than six decimals."""
    return datetime.fromisoformat(text)
