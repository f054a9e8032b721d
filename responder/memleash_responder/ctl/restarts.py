"""restart, restarts, summary."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta

import click

from memleash_responder.ctl.answers import Answered, Bought, Restart, Summary
from memleash_responder.ctl.context import (
    Ctl,
    agent_argument,
    end_options,
    host_argument,
    output_option,
    pass_ctl,
)
from memleash_responder.ctl.errors import CtlError, Exit
from memleash_responder.ctl.output import ago, moment, plain, print_json, print_table, say
from memleash_toolkit.units import format_duration, parse_duration

_LOOK_EVERY_SECONDS = 0.5
WAITING = "waiting"
BEGIN_OF_ID = re.compile(r"[0-9a-f-]{4,35}")
"""What is understood as the begin of a request's id, which has 36 characters."""
MOST_LOOKED_AT = 1000
"""Among how many requests, the newest, it is looked for."""
_SHOWN = ("running", "done", "refused", "failed")


@click.command()
@host_argument
@agent_argument
@click.option("--force", is_flag=True, help="Skip the busy and task checks, nothing else.")
@click.option("--reason", help="Restart it below its hard limit, too; say why.")
@click.option("--at", help="Begin at this time: 02:00 (local), or RFC 3339.")
@click.option(
    "--wait", is_flag=True, help="Wait and print each step. Exit 1 if the agent was not restarted."
)
@click.option("--timeout", default="1h", show_default=True, help="The longest time to wait.")
@output_option
@pass_ctl
def restart(  # noqa: PLR0913 - one for each option
    ctl: Ctl,
    host: str,
    agent: str,
    *,
    force: bool,
    reason: str | None,
    at: str | None,
    wait: bool,
    timeout: str,
) -> None:
    """Ask for a restart of AGENT on HOST. Every guard still has to pass.

    With --reason the agent need not be over its hard limit. With --at the request waits for that
    time, and for the agent's windows.
    """
    try:
        patience_seconds = parse_duration(timeout)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timeout") from error
    try:
        begins = None if at is None else next_moment(at, datetime.now().astimezone())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from error
    body = {"host": host, "agent": agent, "force": force, "reason": reason, "at": begins}
    answer = ctl.client.post(Restart, "restarts", body=body)
    if wait:
        answer = _follow(ctl, answer, time.monotonic() + patience_seconds)
    ctl.show(answer.json, lambda: _say(answer.shape))
    if answer.shape.outcome not in (None, "restarted"):
        raise CtlError(f"not restarted: {answer.shape.outcome}", Exit.NO)


def _follow(ctl: Ctl, answer: Answered[Restart], deadline: float) -> Answered[Restart]:
    """Print each step as it begins and ends, until the request has its word."""
    printed: set[tuple[str, str]] = set()
    while True:
        now = answer.shape
        if ctl.output == "table" and now.step == WAITING and (WAITING, now.reason) not in printed:
            printed.add((WAITING, now.reason))
            say(plain(now.reason))
        for step in now.progress:
            key = (step.step, step.state)
            if ctl.output == "table" and step.state in _SHOWN and key not in printed:
                printed.add(key)
                took = f"  {step.seconds:.1f} s" if step.seconds is not None else ""
                say(f"{step.step:<10}{step.state}{took}")
        if now.outcome is not None:
            return answer
        if time.monotonic() >= deadline:
            raise CtlError(
                f"still at {now.step}; it goes on, see: memleashctl restarts show {now.id}",
                Exit.NO,
            )
        time.sleep(_LOOK_EVERY_SECONDS)
        answer = ctl.client.get(Restart, "restarts", now.id)


def _say(restart: Restart) -> None:
    word = restart.outcome or restart.step
    say(plain(f"{restart.id}  {word}  {restart.reason}".rstrip()))


@click.group(invoke_without_command=True)
@output_option
@click.pass_context
def restarts(context: click.Context) -> None:
    """Show requests for a restart, approve or deny them."""
    if context.invoked_subcommand is None:
        context.invoke(restarts_list)


@restarts.command("list")
@click.option("--host", help="Only this host.")
@click.option("--agent", help="Only this agent.")
@click.option("--outcome", help="Only this outcome; open lists those under way.")
@click.option("--since", help="A duration such as 7d, or an RFC 3339 time.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@output_option
@pass_ctl
def restarts_list(
    ctl: Ctl,
    host: str | None = None,
    agent: str | None = None,
    outcome: str | None = None,
    since: str | None = None,
    limit: int = 50,
) -> None:
    """List requests, the newest first."""
    found = ctl.client.every(
        Restart,
        "restarts",
        "restarts",
        limit=limit,
        host=host,
        agent=agent,
        outcome=outcome,
        since=since,
    )
    ctl.show(
        found.json,
        lambda: print_table(
            ["ID", "ASKED", "BY", "HOST", "AGENT", "OUTCOME", "REASON"],
            [
                [
                    one.id,
                    ago(one.requested_at),
                    one.requested_by,
                    one.host,
                    one.agent,
                    one.outcome or f"({one.step})",
                    one.reason,
                ]
                for one in found.shape
            ],
        ),
    )


def whole_id(ctl: Ctl, given: str) -> str:
    """Return the id that begins as ``given`` does, of the requests that are kept."""
    if not BEGIN_OF_ID.fullmatch(given):
        return given
    found = ctl.client.every(Restart, "restarts", "restarts", limit=MOST_LOOKED_AT).shape
    ids = [one.id for one in found if one.id.startswith(given)]
    if len(ids) == 1:
        return ids[0]
    newest = f"of the newest {MOST_LOOKED_AT} requests"
    why = f"{len(ids)} {newest} begin so" if ids else f"none {newest} begins so"
    raise CtlError(f"{given}: {why}", Exit.NO)


@restarts.command("show")
@click.argument("restart_id", metavar="ID")
@output_option
@pass_ctl
def restarts_show(ctl: Ctl, restart_id: str) -> None:
    """Show one request: its steps, and what came back over SSH."""
    answer = ctl.client.get(Restart, "restarts", whole_id(ctl, restart_id))
    ctl.show(answer.json, lambda: _details(answer.shape))


def _details(restart: Restart) -> None:
    lines = {
        "id": restart.id,
        "host": restart.host,
        "agent": restart.agent,
        "asked": f"{moment(restart.requested_at)} by {restart.requested_by}",
        "forced": "yes" if restart.forced else None,
        "purpose": restart.purpose or None,
        "planned for": restart.not_before and moment(restart.not_before),
        restart.approval or "approval": restart.approval_by and f"by {restart.approval_by}",
        "command sent": restart.command_sent_at and moment(restart.command_sent_at),
        "word": restart.outcome or f"open, at {restart.step}",
        "reason": restart.reason or None,
    }
    for name, value in lines.items():
        if value is not None:
            say(f"{name + ':':<14}{plain(value)}")
    say()
    print_table(
        ["STEP", "STATE", "SECONDS"],
        [
            [step.step, step.state, "" if step.seconds is None else step.seconds]
            for step in restart.progress
        ],
    )
    command = restart.facts.command
    if command is not None:
        say(f"\nexit code {command.exit_code} of the command, over SSH")
        for name, text in (("stdout", command.stdout), ("stderr", command.stderr)):
            for line in (text or "").splitlines():
                say(f"{name}: {plain(line)}")


def next_moment(at: str, now: datetime) -> str:
    """Return the RFC 3339 time that ``at`` means: an RFC 3339 time, or the next such time of day.

    ``now`` has a zone, which a time of day is in. Raises ValueError.
    """
    try:
        if re.fullmatch(r"\d\d:\d\d", at):
            of_day = time.strptime(at, "%H:%M")
            today = now.replace(hour=of_day.tm_hour, minute=of_day.tm_min, second=0, microsecond=0)
            return (today if today > now else today + timedelta(days=1)).isoformat()
        moment_of = datetime.fromisoformat(at)
    except ValueError as error:
        raise ValueError("must be a time such as 02:00 or 2026-01-31T02:00:00Z") from error
    if moment_of.tzinfo is None:
        raise ValueError("must have a zone, such as 2026-01-31T02:00:00Z")
    return moment_of.isoformat()


@restarts.command()
@click.argument("restart_id", metavar="ID")
@output_option
@pass_ctl
def approve(ctl: Ctl, restart_id: str) -> None:
    """Approve a request that waits for a person."""
    answer = ctl.client.post(Restart, "restarts", whole_id(ctl, restart_id), "approve")
    ctl.show(answer.json, lambda: _decided("approved", answer.shape))


@restarts.command()
@click.argument("restart_id", metavar="ID")
@end_options
@output_option
@pass_ctl
def deny(ctl: Ctl, restart_id: str, lasts: str | None, until: str | None) -> None:
    """Deny a request that has not begun, and further ones.

    The denial holds for as long as the agent's process lives, or as --for or --until says.
    "memleashctl restarts allow" takes it back.
    """
    body = {"for": lasts, "until": until}
    answer = ctl.client.post(Restart, "restarts", whole_id(ctl, restart_id), "deny", body=body)
    ctl.show(answer.json, lambda: _decided("denied", answer.shape))


def _decided(done: str, one: Restart) -> None:
    say(plain(f"{done}: {one.agent} on {one.host}"))


@restarts.command()
@host_argument
@agent_argument
@output_option
@pass_ctl
def allow(ctl: Ctl, host: str, agent: str) -> None:
    """Take a denial back: AGENT on HOST may be restarted again."""
    ctl.client.delete("denials", host, agent)
    if ctl.output == "json":
        print_json({"host": host, "agent": agent, "denied": False})
    else:
        say(plain(f"{agent} on {host} may be restarted"))


@click.command()
@click.option(
    "--since", default="7d", show_default=True, help="A duration such as 7d, or an RFC 3339 time."
)
@output_option
@pass_ctl
def summary(ctl: Ctl, since: str) -> None:
    """Count what was done, and what would have been done in observe mode, by outcome."""
    answer = ctl.client.get(Summary, "summary", since=since)

    def table() -> None:
        now = answer.shape
        say(plain(f"{now.total} requests since {moment(now.since)}\n".rstrip()))
        print_table(
            ["AGENT", "OUTCOME", "REQUESTS", "HOSTS"],
            [[one.agent, one.outcome or "(open)", one.requests, one.hosts] for one in now.restarts],
        )
        if now.observed:
            say("\nIn observe mode, which does nothing, these would have been:")
            print_table(
                ["AGENT", "OUTCOME", "REQUESTS", "HOSTS"],
                [[one.agent, one.would_be, one.requests, one.hosts] for one in now.observed],
            )
        if now.bought:
            say("\nRestarts kept agents below their limits for:")
            print_table(
                ["AGENT", "RESTARTS", "SHORTEST", "MEDIAN", "LONGEST"],
                [_bought(one) for one in now.bought],
            )

    ctl.show(answer.json, table)


def _bought(one: Bought) -> list[object]:
    times = (one.shortest_seconds, one.median_seconds, one.longest_seconds)
    return [one.agent, one.restarts, *(format_duration(round(seconds)) for seconds in times)]
