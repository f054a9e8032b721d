"""Who may write next, when many want to."""

from __future__ import annotations

import threading

from demo.stack.processes import wait_until
from responder.adapters.database.turns import IN_A_ROW, WriterTurns


def queue_up(turns: WriterTurns, wanted: list[str], order: list[str]) -> list[threading.Thread]:
    """Start a writer for each name of ``wanted``; ``u…`` is urgent."""

    def write(name: str) -> None:
        with turns.turn(urgent=name.startswith("u")):
            order.append(name)

    threads = [threading.Thread(target=write, args=(name,)) for name in wanted]
    for thread in threads:
        thread.start()
    wait_until(
        "every writer to wait",
        lambda: turns._urgent_waiting + turns._others_waiting == len(wanted),
    )
    return threads


def written(wanted: list[str]) -> list[str]:
    """Return the order in which writers that all wait get their turns."""
    turns, order = WriterTurns(), list[str]()
    with turns.turn(urgent=False):
        threads = queue_up(turns, wanted, order)
    for thread in threads:
        thread.join(10)
    return order


def test_urgent_writers_go_before_those_that_waited_longer() -> None:
    assert written(["other", "u1", "u2"])[2] == "other"


def test_after_a_few_urgent_ones_another_has_its_turn() -> None:
    order = written(["other", *(f"u{number}" for number in range(IN_A_ROW + 3))])
    assert order.index("other") == IN_A_ROW


def test_nobody_writes_at_the_same_time() -> None:
    turns, inside, most = WriterTurns(), [0], [0]

    def write(*, urgent: bool) -> None:
        for _ in range(50):
            with turns.turn(urgent=urgent):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=write, kwargs={"urgent": n % 2 == 0}) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1]
