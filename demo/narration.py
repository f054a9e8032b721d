"""How the demo tells its story: each event as it comes, with its time, and the table at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from demo.stack.http import CallFailed
from demo.stack.processes import NotInTime, wait_until

T = TypeVar("T")


class StepFailed(Exception):
    """A step of the story did not go as it should: which, what was expected, what was seen."""

    def __init__(self, step: str, expected: str, seen: object) -> None:
        self.step = step
        self.expected = expected
        self.seen = seen
        super().__init__(f"{step}: expected {expected}, seen {seen}")


class Narrator:
    """Prints the story to the terminal and checks it along the way."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._step = "the start"

    def step(self, number: int, title: str) -> None:
        self._step = f"step {number}, {title}"
        print(f"\n{number}. {title}", flush=True)

    def close(self, summary: str) -> None:
        """End the story that was told to its end."""
        print(f"\n{summary}\n\nAll eight steps went as they should.", flush=True)

    def say(self, text: str) -> None:
        elapsed_seconds = time.monotonic() - self._began
        now = datetime.now().astimezone()
        print(f"   {now:%H:%M:%S} {elapsed_seconds:6.1f} s  {text}", flush=True)

    def check(self, expected: str, *, holds: bool, seen: object) -> None:
        """Say ``expected``, or end the story because it does not hold."""
        if not holds:
            raise StepFailed(self._step, expected, seen)
        self.say(expected)

    def expect(
        self,
        expected: str,
        look: Callable[[], T | None],
        *,
        seen: Callable[[], object] = lambda: "nothing",
        timeout_seconds: float = 60.0,
    ) -> T:
        """Wait for ``look`` to return something true; say so and return it, or end the story."""

        def patient() -> T | None:
            try:
                return look()
            except CallFailed:
                return None

        try:
            result = wait_until(
                expected, patient, seen=seen, timeout_seconds=timeout_seconds, every_seconds=0.2
            )
        except NotInTime as error:
            raise StepFailed(self._step, expected, error.seen) from error
        self.say(expected)
        return result

    def hold(self, expected: str, seconds: float, look: Callable[[], object]) -> None:
        """End the story if ``look`` returns something true within ``seconds``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = look()
            if found:
                raise StepFailed(self._step, expected, found)
            time.sleep(0.2)
        self.say(expected)
