"""memleashctl against a real stack."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.stack.http import call, post
from demo.stack.observer import Observer
from demo.stack.processes import wait_until
from demo.stack.stack import Stack
from tests.support.memleashctl import Ran

pytestmark = pytest.mark.integration

Ctl = Callable[..., Ran]


def test_a_forced_restart_is_followed_step_by_step_to_its_end(stack: Stack, ctl: Ctl) -> None:
    site = stack.layout
    post(site.url("controller", f"/hosts/{site.host}/tasks"), {"id": "t", "name": "migrate"})
    stack.agent_does("grow", to_mib=210)
    wait_until(
        "the leak to wait for a person",
        lambda: ctl("-o", "json", "status").json["awaiting_approval"],
    )
    (waiting,) = ctl("-o", "json", "restarts", "list", "--outcome", "open").json
    begin = waiting["id"][:8]
    assert ctl("restarts", "show", begin).out.startswith(f"id:           {waiting['id']}")
    assert "none of the newest" in ctl("restarts", "show", "0000-0000").err
    assert ctl("restarts", "deny", begin).out == f"denied: {site.agent} on {site.host}\n"

    denied = ctl("restart", site.host, site.agent, "--wait")
    assert denied.code == 1
    assert "for as long as this process lives; a person can allow them again" in denied.out
    allowed = ctl("restarts", "allow", site.host, site.agent)
    assert allowed.out == f"{site.agent} on {site.host} may be restarted\n"
    assert ctl("restarts", "allow", site.host, site.agent).code != 0, "it is allowed already"

    refused = ctl("restart", site.host, site.agent, "--wait")
    assert refused.code == 1
    assert "tasks_running" in refused.err
    assert "verify    refused" in refused.out

    forced = ctl("restart", site.host, site.agent, "--force", "--wait")
    call("DELETE", site.url("controller", f"/hosts/{site.host}/tasks/t"))
    assert forced.code == 0, forced
    steps = [line.split()[0] for line in forced.out.splitlines() if " done " in line]
    assert [step for step in steps if step != "diagnose"] == [
        *("admit", "hold", "verify", "restart", "ready", "reconnect", "release")
    ]
    assert "restarted" in forced.out.splitlines()[-1]
    assert len(Observer(site).starts()) == 2

    newest = ctl("-o", "json", "restarts", "list", "--limit", "1").json[0]
    shown = ctl("restarts", "show", newest["id"]).out
    assert "by token:on-call" in shown
    assert "forced:       yes" in shown
    assert "exit code 0 of the command" in shown


def test_the_report_counts_what_was_done(stack: Stack, ctl: Ctl) -> None:
    told = ctl("-o", "json", "summary", "--since", "1h").json
    counted = {one["outcome"]: one["requests"] for one in told["restarts"]}

    assert counted["restarted"] == 1
    assert counted["tasks_running"] == 1
    assert counted["denied"] >= 1
    assert "restarted" in ctl("summary").out


def test_the_fleet_is_listed_and_explained(stack: Stack, ctl: Ctl) -> None:
    wait_until(
        "the fresh process to be seen below its limit",
        lambda: "below_hard_limit" in ctl("hosts").out,
    )
    line = ctl("hosts", "DEMO").out.splitlines()[1]
    assert stack.layout.host in line
    assert "192 MiB" in line
    assert ctl("hosts", "no-such").out.splitlines()[1:] == []

    told = ctl("explain", stack.layout.host, stack.layout.agent)
    assert told.code == 0
    assert "no, below_hard_limit" in told.out
    assert "tasks_running" in told.out


def test_a_controller_is_checked(stack: Stack, ctl: Ctl) -> None:
    told = ctl("controller", "check", "mn-1", "--host", stack.layout.host)
    assert told.code == 1, "the sample controller has an answer for every host"
    assert "none is running" in told.out
    assert "memleash-asks.invalid" in told.out
    assert ctl("controller", "check", "another", "--host", stack.layout.host).code == 1


def test_pause_resume_and_status(ctl: Ctl) -> None:
    assert ctl("pause").code == 0
    assert "paused by token:on-call" in ctl("status").out
    named = ctl("pause", "rack-7", "--reason", "the rack moves", "--for", "4h")
    assert named.code == 0
    assert "paused by token:on-call, " in named.out
    assert " ago (rack-7) until 2" in named.out
    assert "(rack-7)" in ctl("resume").out
    assert ctl("resume", "rack-8").code == 1
    assert ": the rack moves" in ctl("status").out
    assert ctl("resume", "rack-7").out == "resumed\n"
    assert "allowed" in ctl("status").out


def test_mutes_are_listed_and_expired(stack: Stack, ctl: Ctl) -> None:
    wait_until("no mute", lambda: not ctl("-o", "json", "mutes").json)
    stack.agent_does("dump", seconds=20)
    wait_until("a mute", lambda: ctl("-o", "json", "mutes").json)
    assert stack.layout.host in ctl("mutes", "list").out
    assert ctl("mutes", "expire", stack.layout.host).code == 0
    wait_until("no mute", lambda: not ctl("-o", "json", "mutes").json)


def test_a_host_is_taken_out_of_service_listed_and_put_back(stack: Stack, ctl: Ctl) -> None:
    host, agent = stack.layout.host, stack.layout.agent
    begun = ctl("maintenance", "on", host, "--reason", "new disks", "--for", "2h")
    assert begun.code == 0, begun
    assert begun.out.startswith(f"{host} is in maintenance, for ")
    assert (
        ctl("maintenance", "list")
        .out.splitlines()[1]
        .startswith(f"{host}  token:on-call: new disks, until 2")
    )

    until = ("--until", "2099-01-31T12:00:00Z")
    again = ctl("-o", "json", "maintenance", "on", host, "--reason", "and fans", *until)
    assert again.json["until"] == "2099-01-31T12:00:00Z"
    why = "token:on-call: and fans, until 2099-01-31T12:00:00Z"
    assert [line.split(maxsplit=1) for line in ctl("maintenance").out.splitlines()] == [
        ["HOST", "WHY"],
        [host, why],
    ]
    assert f"in maintenance:    {host}\n" in ctl("status").out
    assert f"no, maintenance: {why}" in ctl("explain", host, agent).out
    refused = ctl("restart", host, agent, "--force", "--wait")
    assert (refused.code, "maintenance" in refused.err) == (1, True), refused

    assert ctl("maintenance", "off", host).out == f"{host} is not in maintenance\n"
    assert ctl("maintenance").out.split() == ["HOST", "WHY"]
    assert host in ctl("hosts", "--state", "connected").out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["on", "{host}"], 2, "Missing option '--reason'"),
        (["on", "nowhere", "--reason", "x"], 1, "nowhere"),
        (
            ["on", "{host}", "--reason", "x", "--for", "2h", "--until", "2099-01-31T12:00:00Z"],
            1,
            "give one of until and for",
        ),
        (["on", "{host}", "--reason", "x", "--for", "soon"], 1, "for must be a duration"),
        (
            ["on", "{host}", "--reason", "x", "--until", "2020-01-01T00:00:00Z"],
            1,
            "before it begins",
        ),
        (["off", "{host}"], 1, "it is in service"),
    ],
)
def test_a_maintenance_that_cannot_be_is_refused(
    stack: Stack, ctl: Ctl, words: list[str], code: int, told: str
) -> None:
    ran = ctl("maintenance", *(word.format(host=stack.layout.host) for word in words))
    assert (ran.code, ran.out) == (code, ""), ran
    assert told in ran.err
    assert ctl("maintenance").out.split() == ["HOST", "WHY"]


def test_what_is_not_there_is_a_no(stack: Stack, ctl: Ctl) -> None:
    host, agent = stack.layout.host, stack.layout.agent
    for words in (
        ("explain", "nowhere", agent),
        ("explain", "..", agent),
        ("restart", host, "unheard-of"),
        ("reconnect", host),
        ("restarts", "show", "x"),
        ("restarts", "approve", "x"),
        ("quarantine", "clear", host, agent),
        ("reports", "get", host, agent, "20260101T000000Z"),
        ("mutes", "expire", "../x"),
    ):
        ran = ctl(*words)
        assert (ran.code, ran.out) == (1, ""), words
        assert ran.err.startswith("memleashctl: "), words


def test_a_wrong_token_and_a_responder_that_is_not_there_have_codes(
    stack: Stack, ctl: Ctl, tmp_path: Path
) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("w" * 40, encoding="ascii")
    webhook = stack.layout.folder / "webhook.token"

    assert ctl("--token-file", str(wrong), "status").code == 4
    assert ctl("--token-file", str(webhook), "pause").code == 4
    assert ctl("--url", "http://127.0.0.1:9", "status").code == 3
    assert ctl("restarts", "list", "--limit", "0").code == 2
    assert "w" * 40 not in ctl("--token-file", str(wrong), "status").err


def test_configuration_and_inventory_are_checked(stack: Stack, ctl: Ctl, tmp_path: Path) -> None:
    folder = stack.layout.folder
    bad = tmp_path / "hosts.yml"
    bad.write_text("- {targets: ['x:1'], labels: {}}", encoding="utf-8")

    assert "valid: 1 hosts" in ctl("check", "config", str(folder / "responder.yml")).out
    assert "valid: 1 hosts" in ctl("check", "inventory", str(stack.layout.inventory)).out
    refused = ctl("check", "inventory", str(bad))
    assert refused.code == 1
    assert f"{bad}: [0].labels.host: is missing" in refused.err


def test_a_diagnosis_is_asked_for_followed_and_its_report_fetched(
    stack: Stack, ctl: Ctl, tmp_path: Path
) -> None:
    host, agent = stack.layout.host, stack.layout.agent

    begun = ctl("-o", "json", "diagnose", host, agent, "--no-wait").json
    asked = ctl("diagnose", host, agent, "--timeout", "5m")

    assert begun["requested_by"] == "token:on-call"
    assert asked.code == 0, asked
    assert any("3 rounds x 2s: " in line for line in asked.out.splitlines())
    word, fetch = asked.out.splitlines()[-2:]
    assert word.startswith(f"{begun['id']}  diagnosed"), "the second one joins the first"
    program, *words = fetch.split()
    assert program == "memleashctl"
    target = tmp_path / "report.tar.gz"
    assert ctl(*words, "--to", str(target)).code == 0
    with tarfile.open(target) as archive:
        assert {"report.json", "report.md"} <= set(archive.getnames())


def test_a_report_of_a_host_is_listed_and_fetched_whole(
    stack: Stack, ctl: Ctl, tmp_path: Path
) -> None:
    host, agent, time = stack.layout.host, stack.layout.agent, "20260102T030405Z"
    place = stack.layout.folder / "reports" / host / agent / time
    place.mkdir(parents=True)
    (place / "report.json").write_text("{}", encoding="utf-8")
    target = tmp_path / "report.tar.gz"

    found = ctl("-o", "json", "reports", "list", "--host", host).json
    (listed,) = [one for one in found if one["time"] == time]
    assert listed["taken_at"] == "2026-01-02T03:04:05Z"
    assert ctl("reports", "get", host, agent, time, "--to", str(target)).code == 0
    with tarfile.open(target) as archive:
        assert archive.getnames() == ["report.json"]
    again = ctl("reports", "get", host, agent, time, "--to", str(target))
    assert again.code == 1, "a file that is there is never written over"
