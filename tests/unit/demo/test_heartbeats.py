"""What an agent of the diagnoser's tests takes for a stall: being held, not waiting for a CPU."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from types import ModuleType

import pytest

from demo.stack.leaking_agents import AGENTS

BEAT = 0.01


class Machine:
    """A clock, and what its one thread had to wait for a CPU."""

    def __init__(self) -> None:
        self.now = self.waited = 0.0
        self.held_while_reading = self.waits_while_reading = 0.0

    def waits(self) -> dict[str, float]:
        """Read them, which may take time."""
        self.now += self.held_while_reading + self.waits_while_reading
        self.waited += self.waits_while_reading
        self.held_while_reading = self.waits_while_reading = 0.0
        return {"1": self.waited}


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def heart(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("HEART", str(tmp_path / "heart"))
    spec = importlib.util.spec_from_file_location("heart", AGENTS / "heart.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(time, "monotonic", lambda: machine.now)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_waited_for_a_cpu", machine.waits)
    beat(module, machine)
    return module


def beat(heart: ModuleType, machine: Machine) -> float:
    """Let time pass until the next beat, and return the longest stall so far."""
    machine.now += BEAT
    heart._heart.beat(BEAT)
    return float(heart._heart.longest)


def test_a_wait_for_a_cpu_is_no_stall_wherever_it_falls(
    heart: ModuleType, machine: Machine
) -> None:
    machine.now += 0.3
    machine.waited += 0.3
    assert beat(heart, machine) == pytest.approx(0.0)

    machine.waits_while_reading = 0.3
    beat(heart, machine)
    assert beat(heart, machine) == pytest.approx(0.0)


@pytest.mark.parametrize("moment", ["in a pause", "while the waits are read"])
def test_being_held_is_a_stall_wherever_it_falls(
    heart: ModuleType, machine: Machine, moment: str
) -> None:
    if moment == "in a pause":
        machine.now += 0.3
    else:
        machine.held_while_reading = 0.3
    beat(heart, machine)

    assert beat(heart, machine) == pytest.approx(0.3)
