"""pause, resume, mutes."""

from __future__ import annotations

import click

from memleash_responder.ctl.answers import HeldMute, Pause, Switched
from memleash_responder.ctl.context import Ctl, end_options, host_argument, output_option, pass_ctl
from memleash_responder.ctl.output import ago, left, moment, plain, print_json, print_table, say


@click.command()
@click.argument("name", required=False)
@click.option("--reason", help="Why, for people who look at the pause.")
@end_options
@output_option
@pass_ctl
def pause(
    ctl: Ctl, name: str | None, reason: str | None, lasts: str | None, until: str | None
) -> None:
    """Stop restarts within a second. A restart that sent its command still finishes.

    Several pauses hold side by side, each with its NAME; the same name again replaces it.
    """
    body = {"name": name, "reason": reason, "for": lasts, "until": until}
    answer = ctl.client.post(Switched, "pause", body=body)
    now = who_paused(answer.shape.pauses) or "the pause is over"
    ctl.show(answer.json, lambda: say(plain(now)))


@click.command()
@click.argument("name", required=False)
@output_option
@pass_ctl
def resume(ctl: Ctl, name: str | None) -> None:
    """End the pause NAME. Without NAME, end the pause without a name, and go through a storm."""
    answer = ctl.client.post(Switched, "resume", body={"name": name})
    still = who_paused(answer.shape.pauses)
    ctl.show(answer.json, lambda: say(plain(f"resumed; still {still}" if still else "resumed")))


def who_paused(pauses: list[Pause]) -> str:
    """Return who paused and why, on one line; empty while no pause holds."""
    return "; ".join(
        f"paused by {one.by}, {ago(one.since)} ({one.name})"
        + (f" until {moment(one.until)}" if one.until else "")
        + (f": {one.reason}" if one.reason else "")
        for one in pauses
    )


@click.group(invoke_without_command=True)
@output_option
@click.pass_context
def mutes(context: click.Context) -> None:
    """List the hosts whose pings are muted, or end a mute."""
    if context.invoked_subcommand is None:
        context.invoke(mutes_list)


@mutes.command("list")
@output_option
@pass_ctl
def mutes_list(ctl: Ctl) -> None:
    """List the hosts whose pings are muted now."""
    found = ctl.client.all_of(HeldMute, "mutes", "mutes")
    rows = [[one.host, left(one.until), one.reason] for one in found.shape]
    ctl.show(found.json, lambda: print_table(["HOST", "LEFT", "REASON"], rows))


@mutes.command("expire")
@host_argument
@output_option
@pass_ctl
def mutes_expire(ctl: Ctl, host: str) -> None:
    """End HOST's mute. It does not come back until the agent was idle once."""
    ctl.client.delete("mutes", host)
    if ctl.output == "json":
        print_json({"host": host, "muted": False})
    else:
        say(plain(f"{host} is not muted"))
