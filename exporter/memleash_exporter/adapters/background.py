"""Probes that take their time: asked in the background, answered from memory.

A scrape never waits for one. Each probe has a thread of its own, so that one that hangs until
its deadline delays no other; a word that is too old is no word.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from memleash_exporter.errors import ProbeFailed

log = logging.getLogger(__name__)


def seconds_since_boot() -> float:
    """Return the clock that process start times are measured by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe found. ``asked_at`` is in seconds since boot, ``since`` in unix time."""

    word: bool | None
    asked_at: float
    since: float


class BackgroundProbe:
    """Asks ``probe`` every ``interval`` seconds until stopped, and keeps its last answer."""

    def __init__(
        self,
        name: str,
        probe: Callable[[], bool],
        *,
        interval: float,
        max_age: float,
        clock: Callable[[], float] = seconds_since_boot,
    ) -> None:
        self._name = name
        self._probe = probe
        self._interval_seconds = interval
        self._max_age_seconds = max_age
        self._clock = clock
        self._answer: Answer | None = None
        self._answered = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to ask, unless begun."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Ask no more; a question under way ends by its own deadline."""
        self._stopped.set()

    def wait_answered(self, timeout: float) -> bool:
        """Wait until the first answer, good or bad, is there; return whether it is."""
        return self._answered.wait(timeout)

    def latest(self, *, not_before: float) -> Answer | None:
        """Return the last answer, if the probe could tell and it is recent.

        ``not_before`` (seconds since boot) is the start of the life that is asked about: what
        was asked before that was said about another one.
        """
        answer = self._answer  # read once: the other thread replaces it
        if answer is None or answer.word is None:
            return None
        if answer.asked_at < not_before or self._clock() - answer.asked_at > self._max_age_seconds:
            return None
        return answer

    def _run(self) -> None:
        while True:
            self._ask()
            self._answered.set()
            if self._stopped.wait(self._interval_seconds):
                return

    def _ask(self) -> None:
        asked_at = self._clock()
        before, problem = self._answer, ""
        try:
            word: bool | None = self._probe()
        except ProbeFailed as error:
            word, problem = None, str(error)
        except Exception:  # a loop's boundary: this probe must go on asking
            log.exception("probe broke", extra={"probe": self._name})
            word, problem = None, "internal error"
        changed = before is None or before.word is not word
        since = time.time() if before is None or changed else before.since
        self._answer = Answer(word, asked_at, since)
        if changed and problem:
            log.warning("probe failed", extra={"probe": self._name, "problem": problem})
        elif changed:
            log.info("probe answers", extra={"probe": self._name, "word": word})
