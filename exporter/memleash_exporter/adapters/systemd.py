"""Systemd's own word on a unit: which process is its main one.

The control group alone cannot tell: with KillMode=process a unit's leftover children (a virtual
machine, say) live on in it without any main process. Asking costs a process and a bus call, so
it is done only while searching, and not again for a while after systemd did not answer.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

from memleash_exporter.errors import CannotTell

TIMEOUT_SECONDS = 1.0
"""How long a search waits for systemd."""

_PAUSE_AFTER_FAILURE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class UnitState:
    """``main_pid`` is None while the unit has none; ``is_active`` is systemd's ActiveState."""

    main_pid: int | None
    is_active: bool


class Systemctl:
    """Asks systemd through ``systemctl show``, which needs no privilege."""

    def __init__(self, program: str = "systemctl") -> None:
        self._program = program
        self._silent_until = 0.0

    def unit_state(self, unit: str, timeout: float = TIMEOUT_SECONDS) -> UnitState | None:
        """Return the state of ``unit``, None where there is no systemctl to ask.

        Raises CannotTell when it does not answer.
        """
        if time.monotonic() < self._silent_until:
            raise CannotTell("systemctl did not answer lately")
        argv = [self._program, "show", "--property=MainPID,ActiveState", "--", unit]
        try:
            answer = subprocess.run(  # noqa: S603 - a fixed command, the unit's name is checked
                argv, capture_output=True, text=True, timeout=timeout, check=True
            )
        except FileNotFoundError:
            return None
        except (OSError, subprocess.SubprocessError) as error:
            self._silent_until = time.monotonic() + _PAUSE_AFTER_FAILURE_SECONDS
            said = " ".join((getattr(error, "stderr", None) or str(error)).split())
            raise CannotTell(f"systemctl did not answer: {said}") from error
        facts = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
        pid = facts.get("MainPID", "")
        return UnitState(
            main_pid=int(pid) if pid.isdigit() and int(pid) > 0 else None,
            is_active=facts.get("ActiveState") in ("active", "reloading"),
        )
