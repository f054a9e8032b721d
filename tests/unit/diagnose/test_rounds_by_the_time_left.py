"""How often is looked, as a table of sizes and growths."""

from __future__ import annotations

import dataclasses

import pytest

from memleash_responder.core.diagnosis_rounds import rounds_for
from memleash_responder.core.diagnosis_settings import GIB, MIB, Diagnose, Discover
from memleash_responder.core.facts import Process, Unknown
from memleash_toolkit.values import Duration

SETTINGS = Diagnose(Discover(systemd_unit="agent.service"))


@pytest.mark.parametrize(
    ("resident", "limited", "growth", "hard_limit", "told"),
    [
        (2 * GIB, 2 * GIB, 0.1 * MIB, 10 * GIB, "5 rounds x 5m: 102 KiB/s, 4 GiB in 5h41m"),
        (2 * GIB, 2 * GIB, 1 * MIB, 10 * GIB, "5 rounds x 5m: 1 MiB/s, 4 GiB in 34m"),
        (2656 * MIB, 2656 * MIB, 12 * MIB, 10 * GIB, "5 rounds x 20s: 12 MiB/s, 4 GiB in 2m"),
        (3 * GIB, 3 * GIB, 50 * MIB, 10 * GIB, "3 rounds x 5s: 50 MiB/s, 4 GiB in 20s"),
        (4 * GIB, 4 * GIB, 50 * MIB, 10 * GIB, "3 rounds x 5s: 50 MiB/s, 4 GiB in 0s"),
        (500 * MIB, 500 * MIB, 1 * MIB, GIB, "5 rounds x 1m27s: 1 MiB/s, 1 GiB in 9m"),
        (500 * MIB, 500 * MIB, 1 * MIB, 0, "5 rounds x 5m: 1 MiB/s, 4 GiB in 1h"),
        (3900 * MIB, 3900 * MIB, 0.0, 10 * GIB, "5 rounds x 5m: no growth"),
        (3900 * MIB, 3900 * MIB, -1.0, 10 * GIB, "5 rounds x 5m: no growth"),
        (3900 * MIB, 3900 * MIB, Unknown("refused"), 10 * GIB, "5 rounds x 5m: growth unknown"),
        (
            2 * GIB,
            2 * GIB,
            20 * MIB,
            Unknown("refused"),
            "5 rounds x 17s: 20 MiB/s, 4 GiB in 1m42s",
        ),
        (100 * MIB, 2 * GIB, 10 * MIB, 3 * GIB, "5 rounds x 17s: 10 MiB/s, 3 GiB in 1m42s"),
        (3 * GIB, GIB, 10 * MIB, 3 * GIB, "5 rounds x 17s: 10 MiB/s, 4 GiB in 1m42s"),
    ],
)
def test_rounds_are_shortened_when_there_is_less_time(
    resident: int, limited: int, growth: float | Unknown, hard_limit: int | Unknown, told: str
) -> None:
    process = Process(1.0, resident, limited)
    assert str(rounds_for(SETTINGS, process, growth, hard_limit)) == told


def test_fewer_and_shorter_rounds_than_the_least_are_kept_where_configured() -> None:
    short = dataclasses.replace(SETTINGS, rounds=2, interval=Duration(2.0))

    assert str(rounds_for(short, Process(1.0, 4 * GIB, 4 * GIB), 50 * MIB, 0)).startswith(
        "2 rounds x 2s: "
    )
