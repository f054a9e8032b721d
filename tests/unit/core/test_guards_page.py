"""The operators' page names every guard, outcome and step there is, as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memleash_responder.core.guards import GUARDS, Guard, Wish
from memleash_responder.core.outcomes import RESTART_OUTCOMES, Outcome
from memleash_responder.core.steps import Step

PAGE = (Path(__file__).parents[3] / "docs/guards.md").read_text(encoding="utf-8")
TABLE = PAGE.split("## Guards")[1].split("## Host states")[0]
ROWS = {line.split("|")[1].strip(): line for line in TABLE.splitlines() if line.startswith("| `")}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_stands_there_with_its_steps_and_what_force_does(guard: Guard) -> None:
    cells = [cell.strip() for cell in ROWS[f"`{guard.name}`"].split("|")]
    refuses, looks, force = cells[2:5]
    assert looks == ", ".join(step for step in Step if step in guard.steps)
    assert force == ("yes" if guard.gone_past_by is Wish.FORCE else "no")
    word = re.search(r"\(outcome: `(\w+)`\)", refuses)
    assert (word[1] if word else guard.name) in set(RESTART_OUTCOMES)


def test_the_guards_stand_there_in_their_order() -> None:
    assert list(ROWS) == [f"`{guard.name}`" for guard in GUARDS]


@pytest.mark.parametrize("outcome", RESTART_OUTCOMES)
def test_an_outcome_stands_there(outcome: Outcome) -> None:
    described = PAGE[PAGE.index("## Outcomes") :]
    assert f"`{outcome}`" in described


@pytest.mark.parametrize("step", Step)
def test_a_step_stands_there(step: Step) -> None:
    assert f"\n| `{step}` |" in PAGE
