"""The eight steps of `make demo`, each checked: how a leaking, dumping agent fares."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta

from demo.agent import END_OF_DUMP, Reply
from demo.narration import Narrator
from demo.restart_timing import Stages
from demo.stack.http import Json, call, post
from demo.stack.layout import MIB
from demo.stack.observer import Observer
from demo.stack.stack import Stack
from memleash_toolkit.units import format_size

_RESIDENT = "resident_memory_bytes"
_OVER_THRESHOLD_MIB = 110
_LEAK_MIB_PER_SECOND = 0.5  # little enough for the mute's formula to see _OVER_THRESHOLD_MIB
_OVER_LIMIT_MIB = 210
_MEMORY_ALERTS = {"AgentMemoryAboveThreshold", "AgentMemoryHardLimitExceeded"}
_LEAKED = Reply.__qualname__
_MUTED_SECONDS = 10  # longer than HostPingFailed's `for` takes at the stack's pace
_TASK = {"id": "task-7", "name": "migrate a volume"}


class Story:
    """Tells the story on a stack that was started; ``tell`` raises StepFailed where it breaks."""

    def __init__(self, stack: Stack, narrator: Narrator) -> None:
        self._stack = stack
        self._layout = stack.layout
        self._observer = Observer(stack.layout)
        self._narrator = narrator
        self._stages = Stages()

    def tell(self) -> None:
        """Tell the steps in order, and end with the table of the stages."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("everything is up, and the limits are known", self._everything_is_up),
            ("the agent passes its alarm threshold", self._threshold_is_passed),
            ("it leaks, and a person asks what", self._leak_is_diagnosed),
            ("the agent is busy and stops answering", self._agent_is_busy),
            ("busy ends", self._busy_ends),
            ("the hard limit is passed in the middle of a task", self._limit_is_passed_in_a_task),
            ("the task ends, and the agent is restarted", self._task_ends),
            ("all is well again", self._all_is_well),
        ]
        for number, (title, tell) in enumerate(steps, start=1):
            self._narrator.step(number, title)
            tell()
        self._narrator.close(self._stages.table())

    def _everything_is_up(self) -> None:
        expect, observer = self._narrator.expect, self._observer
        resident = expect("the agent is scraped", lambda: observer.agent_metric(_RESIDENT))
        self._narrator.say(f"it holds {format_size(resident)}, pid {observer.agent_pid()}")
        threshold = expect(
            "the alarm threshold in force is known",
            lambda: observer.query("memleash:agent_memory_alarm_threshold_bytes"),
        )
        hard_limit = expect(
            "the hard limit in force is known",
            lambda: observer.query("memleash:agent_memory_hard_limit_bytes"),
        )
        self._narrator.say(
            f"alarm above {format_size(threshold)}, restart above {format_size(hard_limit)}"
        )
        expect("the host answers its pings", lambda: observer.query("probe_success") == 1)
        expect("the host is connected", lambda: observer.host_state() == "connected")

    def _threshold_is_passed(self) -> None:
        self._grow_to(_OVER_THRESHOLD_MIB)
        self._expect_firing("AgentMemoryAboveThreshold")
        page = self._narrator.expect(
            "the pager got it",
            lambda: next(iter(self._observer.pages("AgentMemoryAboveThreshold")), None),
        )
        self._narrator.say(f"it reads: {page['annotations']['description']}")
        self._check_starts("nothing was restarted for that", 1)

    def _leak_is_diagnosed(self) -> None:
        expect, observer = self._narrator.expect, self._observer
        self._stack.agent_does("grow", mib_per_second=_LEAK_MIB_PER_SECOND)
        asked = {"host": self._layout.host, "agent": self._layout.agent}
        opened = post(self._layout.url("responder", "/api/v1/diagnoses"), asked)
        self._narrator.say(
            f"it leaks {_LEAK_MIB_PER_SECOND} MiB a second; a diagnosis is asked for"
        )
        ended = expect(
            "the report is here",
            lambda: self._with_report(observer.diagnosis(opened["id"])),
            seen=lambda: observer.diagnosis(opened["id"]),
        )
        self._narrator.say(f"it took {ended['pace']}")
        self._stack.agent_does("grow", mib_per_second=0)
        suspect = observer.first_suspect(ended["report"])
        self._narrator.check(
            f"the report says first: {suspect.removeprefix('- ')}",
            holds=_LEAKED in suspect,
            seen=suspect,
        )
        expect("the silence of its pings is gone", lambda: not observer.silences())
        self._check_starts("the agent never stopped", 1)

    @staticmethod
    def _with_report(diagnosis: Json) -> Json:
        return diagnosis if diagnosis["outcome"] == "diagnosed" else None

    def _agent_is_busy(self) -> None:
        expect, observer = self._narrator.expect, self._observer
        self._stack.agent_does("dump", seconds=120)
        self._narrator.say("the agent dumps: from now on it answers nothing at all")
        self._expect_firing("AgentBusy")
        silence = expect("a silence for this host's HostPingFailed", observer.ping_silence)
        self._check_deadline(silence)
        expect("/api/v1/sd/ping-targets is empty", lambda: observer.ping_targets() == [])
        expect("a ping by hand, muted by nobody, fails", lambda: observer.ping_by_hand() == 0)
        self._narrator.hold(
            f"{_MUTED_SECONDS} s on, and the pager got no HostPingFailed",
            _MUTED_SECONDS,
            lambda: observer.pages("HostPingFailed"),
        )

    def _busy_ends(self) -> None:
        expect, observer = self._narrator.expect, self._observer
        os.kill(observer.agent_pid(), END_OF_DUMP)
        self._narrator.say("the dump is over, the agent answers again")
        expect("the silence is gone", lambda: not observer.silences(), seen=observer.silences)
        expect("the host is a ping target again", observer.ping_targets)
        expect("it answers its pings", lambda: observer.query("probe_success") == 1)
        self._narrator.check(
            "in all this the pager got no HostPingFailed",
            holds=not observer.pages("HostPingFailed"),
            seen=observer.pages("HostPingFailed"),
        )

    def _limit_is_passed_in_a_task(self) -> None:
        observer = self._observer
        post(self._layout.url("controller", f"/hosts/{self._layout.host}/tasks"), _TASK)
        self._narrator.say(f"the controller runs {_TASK['id']}, {_TASK['name']}, on the host")
        self._grow_to(_OVER_LIMIT_MIB)
        self._stages.reached("limit passed")
        self._stages.take_alert(self._expect_firing("AgentMemoryHardLimitExceeded"))
        refused = self._narrator.expect(
            "the responder refuses a restart: tasks_running",
            lambda: observer.restart_with("tasks_running"),
            seen=observer.restarts,
        )
        self._stages.take_refusal(refused)
        self._narrator.say(f"its reason: {refused['reason']}")
        self._check_starts("the agent was left alone", 1)

    def _task_ends(self) -> None:
        observer, old_pid = self._observer, self._observer.agent_pid()
        task = f"/hosts/{self._layout.host}/tasks/{_TASK['id']}"
        call("DELETE", self._layout.url("controller", task))
        self._stages.reached("task ended")
        self._narrator.say(f"{_TASK['id']} has ended")
        self._narrator.expect(
            "the restart command ran over SSH",
            lambda: len(observer.starts()) == 2,
            seen=observer.restarts,
        )
        self._narrator.say(f"pid {old_pid} is gone, pid {observer.agent_pid()} lives")
        restart = self._narrator.expect(
            "its outcome: restarted",
            lambda: observer.restart_with("restarted"),
            seen=observer.restarts,
        )
        self._stages.take_restart(restart, observer.starts()[-1])
        self._narrator.check(
            "the controller was asked to take the host back",
            holds="reconnect" in observer.controller_calls(),
            seen=observer.controller_calls(),
        )
        self._narrator.check(
            "the host is connected",
            holds=observer.host_state() == "connected",
            seen=observer.host_state(),
        )

    def _all_is_well(self) -> None:
        expect, observer = self._narrator.expect, self._observer
        threshold = self._layout.pace.alarm_threshold_bytes
        expect(
            "the agent holds less than its alarm threshold",
            lambda: (observer.agent_metric(_RESIDENT) or threshold) < threshold,
        )
        expect(
            "the memory alerts have ended",
            lambda: not observer.firing().keys() & _MEMORY_ALERTS,
            seen=observer.firing,
        )
        expect(
            "the pager was told so",
            lambda: observer.pages("AgentMemoryHardLimitExceeded", "resolved"),
        )
        expect("no silence is left", lambda: not observer.silences(), seen=observer.silences)
        self._check_starts("the service's own log shows exactly one restart", 2)

    def _grow_to(self, mib: int) -> None:
        resident = self._stack.agent_does("grow", to_mib=mib)["resident_bytes"]
        self._narrator.say(f"the agent has grown to {format_size(resident)}")

    def _expect_firing(self, alertname: str) -> Json:
        return self._narrator.expect(
            f"{alertname} fires",
            lambda: self._observer.firing().get(alertname),
            seen=self._observer.firing,
        )

    def _check_starts(self, expected: str, count: int) -> None:
        starts = self._observer.starts()
        self._narrator.check(expected, holds=len(starts) == count, seen=starts)

    def _check_deadline(self, silence: Json) -> None:
        """Hold the silence's end against the formula: base x (floor(RSS / step) + 1)."""
        pace = self._layout.pace
        steps = _OVER_THRESHOLD_MIB * MIB // pace.mute_step_bytes + 1
        right = timedelta(seconds=pace.mute_base_seconds * steps)
        begun, ends = (datetime.fromisoformat(silence[key]) for key in ("updatedAt", "endsAt"))
        self._narrator.check(
            f"it ends {right.seconds} s after its last renewal: {pace.mute_base_seconds} s x"
            f" (floor({_OVER_THRESHOLD_MIB} MiB / {format_size(pace.mute_step_bytes)}) + 1)",
            # The responder counts whole seconds upwards, and renews some time after it has looked.
            holds=timedelta(seconds=-5) <= ends - begun - right <= timedelta(seconds=2),
            seen=f"{ends - begun}",
        )
