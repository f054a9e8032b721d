"""The page as a person on call meets it: a real browser on a real stack."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from demo.agent import END_OF_DUMP
from demo.stack.http import call, post
from demo.stack.observer import Observer
from demo.stack.processes import wait_until
from demo.stack.stack import Stack
from tests.integration.face.conftest import Visit, keep, serious
from tests.support.memleashctl import Ran

pytestmark = pytest.mark.integration

OVER_LIMIT_MIB = 210
STEPS = ["admit", "hold", "verify", "restart", "ready", "reconnect", "release"]
PATIENCE = 60_000
"""Milliseconds; the machine that tests run on may be busy."""

expect.set_options(timeout=PATIENCE)


@pytest.fixture(autouse=True)
def calm(stack: Stack, ctl: Callable[..., Ran]) -> Iterator[None]:
    """Leave an agent of its usual size behind, with nothing open or paused."""
    yield
    ctl("resume")
    for one in ctl("-o", "json", "restarts", "list", "--outcome", "open").json:
        ctl("restarts", "deny", one["id"])
        ctl("restarts", "allow", one["host"], one["agent"])
    wait_until(
        "no restart to be open",
        lambda: not ctl("-o", "json", "restarts", "list", "--outcome", "open").json,
    )


def test_a_leak_is_refused_then_approved_and_every_step_is_seen(stack: Stack, visit: Visit) -> None:
    site = stack.layout
    page = visit.page()
    expect(page.get_by_role("link", name=site.host).first).to_be_visible()
    expect(page.locator("#fleet")).to_contain_text("below_hard_limit")
    keep(page, "fleet")

    post(site.url("controller", f"/hosts/{site.host}/tasks"), {"id": "t", "name": "migrate"})
    stack.agent_does("grow", to_mib=OVER_LIMIT_MIB)
    approve = page.get_by_role("button", name="Approve")
    expect(approve).to_be_visible()  # the page renewed itself
    expect(page.locator("#approvals")).to_contain_text(f"{site.agent} on {site.host}")
    keep(page, "approval")
    approve.click()
    expect(page.locator("#restart")).to_contain_text("tasks_running")
    expect(page.locator("#restart")).to_contain_text("migrate")
    expect(page.locator("li.refused")).to_contain_text("verify")
    keep(page, "refused")

    call("DELETE", site.url("controller", f"/hosts/{site.host}/tasks/t"))
    page.get_by_role("link", name="Fleet").click()
    approve.click()
    expect(page.locator("li.running")).to_have_count(1)
    other = visit.page()
    expect(other.locator("#going-on li.running")).to_have_count(1)
    expect(other.locator("#fleet .pill.mute")).to_contain_text("muted")
    keep(other, "restarting")
    expect(page.locator("#restart .pill")).to_have_text("restarted")
    for step in STEPS:
        expect(page.locator("li.done", has_text=step)).to_have_count(1)
    expect(page.locator("#facts")).to_contain_text("by token:on-call")
    expect(page.locator("#facts")).to_contain_text("Exit code 0")
    keep(page, "restarted")
    expect(other.locator("#fleet .pill.mute")).to_have_count(0)
    assert len(Observer(stack.layout).starts()) == 2


def test_a_mute_comes_and_goes_with_the_agents_work(stack: Stack, visit: Visit) -> None:
    page = visit.page()
    expect(page.locator("#fleet .pill.mute")).to_have_count(0)

    stack.agent_does("dump", seconds=120)
    expect(page.locator("#fleet .pill.mute")).to_contain_text("muted")
    expect(page.locator("#mutes")).to_contain_text(f"{stack.layout.agent} is busy")
    expect(page.locator("#fleet")).to_contain_text("busy")
    keep(page, "muted")
    os.kill(Observer(stack.layout).agent_pid(), END_OF_DUMP)

    expect(page.locator("#fleet .pill.mute")).to_have_count(0)
    expect(page.locator("#fleet")).to_contain_text("idle")


def test_pause_and_resume_are_one_button_away(visit: Visit, ctl: Callable[..., Ran]) -> None:
    page = visit.page()
    page.get_by_role("button", name="Pause all restarts").click()
    expect(page.locator("#state")).to_contain_text("Paused.")
    expect(page.locator("#state")).to_contain_text("token:on-call paused it")
    assert ctl("-o", "json", "status").json["paused"] is True
    keep(page, "paused")

    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#state")).to_contain_text("On watch.")
    assert ctl("-o", "json", "status").json["paused"] is False


def test_pauses_have_names_and_are_resumed_one_by_one(
    visit: Visit, ctl: Callable[..., Ran]
) -> None:
    ctl("pause", "upgrade", "--reason", "the new release", "--until", "2099-01-01T00:00:00Z")
    page = visit.page()
    page.get_by_text("Pause with a name or an end").click()
    page.get_by_label("Name of the pause").fill("rack-7")
    page.get_by_label("Why").fill("the rack moves")
    page.get_by_label("How long").select_option("4h")
    page.locator("#pause-with-name").click()
    told = page.locator("#state")
    expect(told).to_contain_text("paused it as rack-7")
    expect(told).to_contain_text("the rack moves")
    expect(told).to_contain_text("paused it as upgrade")
    expect(told).to_contain_text("until 2099-01-01 00:00:00 UTC: the new release")
    keep(page, "pauses")

    page.get_by_role("button", name="Resume upgrade").click()
    expect(told).not_to_contain_text("upgrade")
    page.get_by_role("button", name="Resume rack-7").click()
    expect(told).to_contain_text("On watch.")


def test_a_host_is_taken_out_of_service_and_put_back_on_its_page(
    stack: Stack, visit: Visit, ctl: Callable[..., Ran]
) -> None:
    page = visit.page(f"/hosts/{stack.layout.host}")
    page.get_by_label("Why it is taken out of service").fill("new disks")
    page.get_by_label("For how long").fill("2h")
    page.get_by_role("button", name="Begin maintenance").click()
    host = page.locator("#host")
    expect(host).to_contain_text("In maintenance: token:on-call: new disks, until 2")
    expect(host.locator(".state")).to_have_text("maintenance")
    expect(page.locator("#agents")).to_contain_text("maintenance token:on-call: new disks")
    expect(page.get_by_role("button", name="Begin maintenance")).to_have_count(0)
    assert ctl("-o", "json", "status").json["maintenance"] == [stack.layout.host]
    assert not serious(page)
    keep(page, "maintenance")
    fleet = visit.page("/?show=maintenance")
    expect(fleet.locator("#fleet .state")).to_have_text("maintenance")

    page.get_by_role("button", name="End the maintenance").click()
    expect(page.get_by_role("button", name="Begin maintenance")).to_be_visible()
    expect(host).not_to_contain_text("In maintenance")
    assert ctl("-o", "json", "status").json["maintenance"] == []


def test_the_page_tells_when_the_responder_is_gone(stack: Stack, visit: Visit) -> None:
    page = visit.page()
    expect(page.locator("#stale")).to_be_hidden()

    stack.programs["responder"].kill()
    expect(page.locator("#stale")).to_be_visible()
    stack.programs["responder"].start()
    expect(page.locator("#stale")).to_be_hidden()


def test_a_button_is_reached_and_pressed_by_keyboard_alone(visit: Visit) -> None:
    page = visit.page()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.get_by_role("button", name="Pause all restarts").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("Paused.")


def test_without_javascript_everything_is_there_and_renews_itself(
    visit: Visit, stack: Stack
) -> None:
    page = visit.page(java_script_enabled=False)
    expect(page.get_by_role("link", name=stack.layout.host).first).to_be_visible()
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1 or (
        page.locator("meta[http-equiv=refresh]").count() == 1
    )

    page.get_by_role("button", name="Pause all restarts").click()
    expect(page.locator("#state")).to_contain_text("Paused.")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#state")).to_contain_text("On watch.")


LOOKED_AT_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
"""A page that is looked at again renews itself at once."""


def test_what_is_typed_and_opened_survives_a_renewal(
    stack: Stack, visit: Visit, ctl: Callable[..., Ran]
) -> None:
    page = visit.page(f"/hosts/{stack.layout.host}")
    page.locator("#guards-1").evaluate("details => { details.open = false }")
    for _ in range(2):
        with page.expect_response(lambda answer: answer.url.endswith(stack.layout.host)):
            page.evaluate(LOOKED_AT_AGAIN)
    assert page.locator("#guards-1").evaluate("details => details.open") is False

    why, force = (
        page.get_by_label(of) for of in ("Why it is taken out of service", "though it is busy")
    )
    why.fill("new disks")
    force.check()
    page.get_by_role("button", name="Begin maintenance").focus()
    page.locator("#host").evaluate("section => { section.dataset.before = 'renewed' }")
    ctl("pause")  # a guard refuses now: both sections have something new
    page.evaluate(LOOKED_AT_AGAIN)
    expect(page.locator("#agents .fails", has_text="paused")).to_have_count(1)
    expect(page.locator("#host[data-before]")).to_have_count(0)
    expect(why).to_have_value("new disks")
    expect(force).to_be_checked()
    expect(page.get_by_role("button", name="Begin maintenance")).to_be_focused()
    assert page.locator("#guards-1").evaluate("details => details.open") is False


LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}
PAGES = {
    "home": "/",
    "restarts": "/restarts",
    "alerts": "/alerts",
    "missing": "/hosts/nowhere",
}


def test_axe_finds_nothing_serious_on_any_page(
    stack: Stack, visit: Visit, ctl: Callable[..., Ran]
) -> None:
    newest = ctl("-o", "json", "restarts", "list").json[0]["id"]
    pages = PAGES | {"host": f"/hosts/{stack.layout.host}", "one": f"/restarts/{newest}"}
    found = {}
    for name, look in LOOKS.items():
        context = visit.context(**look)
        page = context.new_page()
        for title, path in pages.items():
            page.goto(path)
            keep(page, f"{title}-{name}")
            found[title, name] = serious(page)
            assert fits(page, look), (title, name)
        context.close()
    assert not any(found.values()), found


def test_axe_finds_nothing_serious_while_things_happen(stack: Stack, visit: Visit) -> None:
    """An approval that waits, a host that is muted, and the responder paused, all at once."""
    stack.agent_does("grow", to_mib=OVER_LIMIT_MIB)
    pages = {name: visit.page(**look) for name, look in LOOKS.items()}
    for page in pages.values():
        expect(page.get_by_role("button", name="Approve").first).to_be_visible()
    stack.agent_does("dump", seconds=120)
    found = {}
    for name, page in pages.items():
        expect(page.locator("#fleet .pill.mute")).to_be_visible()
        keep(page, f"night-{name}")
        found["muted", name] = serious(page)
    pages["light"].get_by_role("button", name="Pause all restarts").click()
    for name, page in pages.items():
        expect(page.locator("#state")).to_contain_text("Paused.")
        keep(page, f"paused-{name}")
        found["paused", name] = serious(page)
        assert fits(page, LOOKS[name]), name
    os.kill(Observer(stack.layout).agent_pid(), END_OF_DUMP)
    expect(pages["light"].locator("#fleet .pill.mute")).to_have_count(0)
    assert not any(found.values()), found
    for page in pages.values():
        page.context.close()


def fits(page: Page, look: dict[str, Any]) -> bool:
    """Whether the page needs no scrolling sideways."""
    width = look.get("viewport", {"width": 1280})["width"]
    return bool(page.evaluate("document.documentElement.scrollWidth") <= width)
