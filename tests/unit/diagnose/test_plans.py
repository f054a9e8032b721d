"""What plans the diagnoser accepts, and how it is sent to a host."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile

import pytest

from memleash_diagnoser import plan
from memleash_responder.adapters import diagnoser_program as shipping

GOOD = {"run": "r1", "agent": "a", "discover": "pid", "target": "1"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"run": "../r"}, "run"),
        ({"run": ""}, "run"),
        ({"run": ".r"}, "run"),
        ({"agent": "a/b"}, "agent"),
        ({"agent": ".."}, "agent"),
        ({"profile": "java"}, "profile"),
        ({"kinds": ["types", "all"]}, "kinds"),
        ({"rounds": -1}, "rounds"),
        ({"shell": "rm"}, "unknown keys: shell"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        plan.parse(json.dumps({**GOOD, **changes}))


def test_an_order_and_a_plan_have_the_same_keys() -> None:
    keys = [field.name for field in dataclasses.fields(shipping.Plan)]

    assert sorted(keys) == sorted(plan.Plan._fields)


def test_the_package_holds_every_module_of_the_diagnoser_and_is_the_same_each_time() -> None:
    with zipfile.ZipFile(io.BytesIO(shipping.packed())) as archive:
        names = archive.namelist()

    assert {
        "__main__.py",
        "memleash_diagnoser/detached_runs.py",
        "memleash_diagnoser/hook.py",
        "memleash_diagnoser/collect.py",
    } <= set(names)
    shipping.packed.cache_clear()
    assert shipping.packed() == shipping.packed()
