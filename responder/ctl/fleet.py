"""status, hosts, explain, quarantine, reconnect."""

from __future__ import annotations

from typing import Any

import click

from responder.ctl.context import Ctl, agent_argument, host_argument, output_option, pass_ctl
from responder.ctl.output import ago, left, plain, print_json, print_table, size, truth

_RECONNECT_SECONDS = 1900.0


@click.command()
@output_option
@pass_ctl
def status(ctl: Ctl) -> None:
    """Show whether restarts are allowed now, and what needs a person."""
    told = ctl.client.get("status")

    def table() -> None:
        paused = f"paused by {told['changed_by']}, {ago(told['changed_at'])}"
        lines = {
            "restarts": paused if told["paused"] else told["storm"] or "allowed",
            "open": told["open_restarts"],
            "awaiting approval": told["awaiting_approval"],
            "muted hosts": told["muted_hosts"],
            "quarantined": told["quarantined"],
            "disconnected": ", ".join(told["disconnected"]) or "none",
            "version": told["version"],
        }
        for name, value in lines.items():
            click.echo(f"{name + ':':<19}{plain(value)}")

    ctl.show(told, table)


@click.command()
@click.argument("search", required=False)
@click.option("--state", type=click.Choice(["connected", "connecting", "disconnected"]))
@output_option
@pass_ctl
def hosts(ctl: Ctl, search: str | None, state: str | None) -> None:
    """List the fleet, or the hosts whose name or label contains SEARCH."""
    found = ctl.client.every("hosts", "hosts", search=search, state=state)
    ctl.show(found, lambda: _hosts_table(found))


def _hosts_table(found: list[Any]) -> None:
    print_table(
        ["HOST", "AGENT", "RSS", "ALARM", "LIMIT", "WORK", "STATE", "MUTED", "RESTART?"],
        [
            [
                host["host"],
                name,
                size(agent["resident_bytes"]),
                size(agent["alarm_threshold_bytes"]),
                size(agent["hard_limit_bytes"]),
                truth(agent["busy"], "busy", "idle"),
                host["state"],
                left(host["mute"]["until"]) or "no",
                "yes" if agent["would_restart"] else f"no: {agent['verdict']}",
            ]
            for host in found
            for name, agent in host["agents"].items()
        ],
    )


@click.command()
@host_argument
@agent_argument
@output_option
@pass_ctl
def explain(ctl: Ctl, host: str, agent: str) -> None:
    """Say why AGENT on HOST would or would not be restarted now: every guard, read afresh."""
    told = ctl.client.get("hosts", host, "agents", agent, "explain")

    def table() -> None:
        answer = "yes" if told["would_restart"] else f"no, {told['verdict']}: {told['reason']}"
        click.echo(plain(f"would {agent} on {host} be restarted now? {answer}\n".rstrip()))
        click.echo()
        print_table(
            ["GUARD", "VERDICT", "REASON"],
            [
                [one["guard"], "passes" if one["passes"] else "refuses", one["reason"] or ""]
                for one in told["guards"]
            ],
        )

    ctl.show(told, table)


@click.command()
@host_argument
@output_option
@pass_ctl
def reconnect(ctl: Ctl, host: str) -> None:
    """Have the controllers take a disconnected HOST back now, and wait for it."""
    told = ctl.client.post("hosts", host, "reconnect", timeout_seconds=_RECONNECT_SECONDS)
    ctl.show(told, lambda: click.echo(plain(f"{told['host']} is {told['state']}")))


@click.group(invoke_without_command=True)
@output_option
@click.pass_context
def quarantine(context: click.Context) -> None:
    """Show what is in quarantine, or clear it."""
    if context.invoked_subcommand is None:
        context.invoke(quarantine_list)


@quarantine.command("list")
@output_option
@pass_ctl
def quarantine_list(ctl: Ctl) -> None:
    """List the agents that a restart did not help."""
    found = ctl.client.get("quarantine")["quarantine"]
    rows = [[one["host"], one["agent"], ago(one["since"]), one["reason"]] for one in found]
    ctl.show(found, lambda: print_table(["HOST", "AGENT", "SINCE", "REASON"], rows))


@quarantine.command("clear")
@host_argument
@agent_argument
@output_option
@pass_ctl
def quarantine_clear(ctl: Ctl, host: str, agent: str) -> None:
    """Allow AGENT on HOST to be restarted again."""
    ctl.client.delete("quarantine", host, agent)
    if ctl.output == "json":
        print_json({"host": host, "agent": agent, "quarantined": False})
    else:
        click.echo(plain(f"{agent} on {host} is no longer in quarantine"))
