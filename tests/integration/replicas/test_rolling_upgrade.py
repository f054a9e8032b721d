"""Two releases side by side, with other steps and other tables: nothing is carried on by guess."""

from __future__ import annotations

import pytest

from demo.stack.processes import ProgramFailed, wait_until
from demo.stack.replicas import Site, final_words, halted_in_a_restart, is_restarted_once
from demo.stack.responder import alert

pytestmark = pytest.mark.integration


def age_seconds(site: Site) -> float:
    """Return how long ago the request was made."""
    query = "SELECT extract(epoch FROM now()) - requested_at FROM memleash_restarts"
    return float(site.postgres.query(query))


def is_released(site: Site, by: str) -> None:
    """Wait until the host is connected, not drained and not muted, as replica ``by`` shows it."""
    replica = site.replicas[by]
    host = site.stack.layout.host
    wait_until(
        "the host to be connected",
        lambda: replica.get(f"/api/v1/hosts/{host}")["state"] == "connected",
    )
    wait_until("the undrain", lambda: site.observer.controller_calls()[-1] == "undrain")
    wait_until("no mute", lambda: not replica.get(f"/api/v1/hosts/{host}/mute")["muted"])


def test_what_the_old_release_began_it_ends_while_it_lives(site: Site) -> None:
    halted_in_a_restart(site, "after:step:hold", second="tests.support.next_release")
    wait_until("the new release to have swept", lambda: age_seconds(site) > 6)
    assert site.outcomes() == ["open"]
    site.go.touch()
    is_restarted_once(site)


def test_the_new_release_restarts_beside_the_old_one(site: Site) -> None:
    site.replica("first")
    second = site.replica("second", module="tests.support.next_release")
    site.over_the_limit()
    told = alert(1, host=site.stack.layout.host, agent=site.stack.layout.agent)
    assert second.tell(told) == 202
    is_restarted_once(site)


def test_the_old_release_goes_on_with_newer_tables_but_does_not_start_on_them(site: Site) -> None:
    first = site.replica("first")
    site.replica("second", module="tests.support.next_release")
    site.over_the_limit()
    assert first.tell(alert(1, host=site.stack.layout.host, agent=site.stack.layout.agent)) == 202
    is_restarted_once(site)
    with pytest.raises(ProgramFailed, match="a newer release has upgraded it"):
        site.replica("third")


def test_what_a_dead_one_of_the_old_release_left_is_ended_by_another_of_it(site: Site) -> None:
    """Seen: the new release took over only what had its own steps, and forgot the dead one."""
    first, _ = halted_in_a_restart(site, "after:step:hold")
    site.replica("next", module="tests.support.next_release")
    first.program.kill()
    is_restarted_once(site)


@pytest.mark.parametrize(
    ("point", "word", "starts"),
    [("after:step:hold", "facts_unavailable", 1), ("before:step:ready", "command_failed", 2)],
    ids=["before the command", "after the command"],
)
def test_what_nobody_can_go_on_with_releases_its_host_and_not_restarted(
    site: Site, point: str, word: str, starts: int
) -> None:
    first, _ = halted_in_a_restart(site, point, second="tests.support.next_release")
    first.program.kill()
    assert final_words(site) == [word]
    is_released(site, "second")
    assert site.starts() == starts
