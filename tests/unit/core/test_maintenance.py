"""When a person's maintenance ends, and how long a host in it stays muted."""

from __future__ import annotations

from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.mutes import ended_by_hand, maintenance_claim, mute_in_force
from memleash_responder.core.policy import Mute

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def test_maintenance_holds_until_its_end_and_not_at_it() -> None:
    ending = Maintenance("ann", "new disks", NOW, NOW + 10)
    assert ending.holds(NOW + 9.9)
    assert not ending.holds(NOW + 10)
    assert Maintenance("ann", "new disks", NOW, None).holds(NOW + 1e9)
    assert str(ending) == "ann: new disks, until 2027-01-15T08:00:10Z"


def test_the_deadline_of_a_host_in_maintenance_moves_on_once_in_each_base() -> None:
    policy = Mute()
    deadlines = [maintenance_claim(policy, "x", NOW + s).until for s in range(0, 900, 15)]
    assert deadlines == sorted(deadlines)
    assert len(set(deadlines)) == 3
    for seconds, until in zip(range(0, 900, 15), deadlines, strict=True):
        assert policy.base <= until - (NOW + seconds) <= 2 * policy.base


def test_a_person_who_ends_a_mute_does_not_end_that_of_maintenance() -> None:
    before = maintenance_claim(Mute(), "x", NOW)
    word = ended_by_hand([before], Mute(), NOW)
    later = NOW + 1
    assert mute_in_force([maintenance_claim(Mute(), "x", later), word], later) is not None
