"""A pause holds on the replicas of the release before, too."""

from __future__ import annotations

import pytest

from memleash_responder.adapters.database.cluster import Flags
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.pauses import FORMER_SWITCH, Pauses
from memleash_responder.core.pauses import Pause

pytestmark = pytest.mark.integration


def test_the_former_release_is_paused_as_long_as_any_pause_stands(database: Database) -> None:
    pauses, flags = Pauses(database), Flags(database)
    pauses.put(Pause("storage", "ann", "new switches", 1.0, None))
    assert flags.all()[FORMER_SWITCH] == ("new switches", 1.0, "ann")
    pauses.put(Pause("network", "bob", "", 2.0, 3.0))
    assert flags.all()[FORMER_SWITCH] == ("yes", 2.0, "bob")
    assert pauses.end("storage")
    assert FORMER_SWITCH in flags.all()
    assert pauses.forget(Pause("network", "bob", "", 2.0, 3.0))
    assert FORMER_SWITCH not in flags.all()
    assert pauses.all() == []
