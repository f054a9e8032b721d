"""pause, resume, mutes."""

from __future__ import annotations

import click

from memleash_responder.ctl.answers import HeldMute, Switched
from memleash_responder.ctl.context import Ctl, host_argument, output_option, pass_ctl
from memleash_responder.ctl.output import left, plain, print_json, print_table, say


@click.command()
@output_option
@pass_ctl
def pause(ctl: Ctl) -> None:
    """Stop restarting, within a second; what is past its command goes on to its end."""
    told = ctl.client.post(Switched, "pause")
    ctl.show(told.json, lambda: say("paused: nothing is restarted until you resume"))


@click.command()
@output_option
@pass_ctl
def resume(ctl: Ctl) -> None:
    """Allow restarts again, through a storm too."""
    told = ctl.client.post(Switched, "resume")
    ctl.show(told.json, lambda: say("resumed"))


@click.group(invoke_without_command=True)
@output_option
@click.pass_context
def mutes(context: click.Context) -> None:
    """Show whose pings are muted, or end a mute."""
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
    """End HOST's mute; it stays ended until the agent was idle once."""
    ctl.client.delete("mutes", host)
    if ctl.output == "json":
        print_json({"host": host, "muted": False})
    else:
        say(plain(f"{host} is not muted"))
