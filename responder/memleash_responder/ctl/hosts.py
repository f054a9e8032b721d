"""status, hosts, explain, controller, maintenance, quarantine, reconnect."""

from __future__ import annotations

import click

from memleash_responder.ctl.answers import (
    ControllerCheck,
    Explanation,
    Host,
    HostState,
    Maintenance,
    Quarantined,
    Status,
)
from memleash_responder.ctl.context import (
    Ctl,
    agent_argument,
    complete_hosts,
    end_options,
    host_argument,
    output_option,
    pass_ctl,
)
from memleash_responder.ctl.errors import Exit
from memleash_responder.ctl.output import (
    ago,
    left,
    plain,
    print_json,
    print_table,
    say,
    size,
    truth,
)
from memleash_responder.ctl.switches import who_paused

_RECONNECT_SECONDS = 1900.0
_STATES = ["connected", "connecting", "disconnected", "maintenance"]


@click.command()
@output_option
@pass_ctl
def status(ctl: Ctl) -> None:
    """Show whether restarts are allowed now, and what needs a person."""
    answer = ctl.client.get(Status, "status")

    def table() -> None:
        now = answer.shape
        lines = {
            "restarts": who_paused(now.pauses) or now.storm or "allowed",
            "open": now.open_restarts,
            "awaiting approval": now.awaiting_approval,
            "muted hosts": now.muted_hosts,
            "quarantined": now.quarantined,
            "disconnected": ", ".join(now.disconnected) or "none",
            "in maintenance": ", ".join(now.maintenance) or "none",
            "version": now.version,
        }
        say("\n".join(f"{name + ':':<19}{plain(value)}" for name, value in lines.items()))

    ctl.show(answer.json, table)


@click.command()
@click.argument("search", required=False)
@click.option("--state", type=click.Choice(_STATES))
@output_option
@pass_ctl
def hosts(ctl: Ctl, search: str | None, state: str | None) -> None:
    """List the fleet, or the hosts whose name or label contains SEARCH."""
    found = ctl.client.every(Host, "hosts", "hosts", search=search, state=state)
    ctl.show(found.json, lambda: _hosts_table(found.shape))


def _hosts_table(found: list[Host]) -> None:
    print_table(
        ["HOST", "AGENT", "MEMORY", "ALARM", "LIMIT", "WORK", "STATE", "MUTED", "RESTART?"],
        [
            [
                host.host,
                name,
                size(agent.limited_bytes),
                size(agent.alarm_threshold_bytes),
                size(agent.hard_limit_bytes),
                truth(agent.busy, "busy", "idle"),
                host.state,
                left(host.mute.until) or "no",
                "yes" if agent.would_restart else f"no: {agent.verdict}",
            ]
            for host in found
            for name, agent in host.agents.items()
        ],
    )


@click.command()
@host_argument
@agent_argument
@output_option
@pass_ctl
def explain(ctl: Ctl, host: str, agent: str) -> None:
    """Say why AGENT on HOST would or would not be restarted now: every guard, read afresh."""
    answer = ctl.client.get(Explanation, "hosts", host, "agents", agent, "explain")

    def table() -> None:
        now = answer.shape
        verdict = "yes" if now.would_restart else f"no, {now.verdict}: {now.reason}"
        say(plain(f"would {agent} on {host} be restarted now? {verdict}\n".rstrip()))
        say()
        print_table(
            ["GUARD", "VERDICT", "REASON"],
            [
                [one.guard, "passes" if one.passes else "refuses", one.reason or ""]
                for one in now.guards
            ],
        )
        say()
        say(
            f"{now.storm.over} of {now.storm.hosts} hosts over their hard limit;"
            f" {now.storm.storm_from} or more at once are a storm"
        )

    ctl.show(answer.json, table)


@click.command()
@host_argument
@output_option
@pass_ctl
def reconnect(ctl: Ctl, host: str) -> None:
    """Have the controllers take a disconnected HOST back now, and wait for it."""
    answer = ctl.client.post(
        HostState, "hosts", host, "reconnect", timeout_seconds=_RECONNECT_SECONDS
    )
    ctl.show(answer.json, lambda: say(plain(f"{answer.shape.host} is {answer.shape.state}")))


@click.group()
def controller() -> None:
    """Check the controllers, which give agents tasks."""


@controller.command("check")
@click.argument("name")
@click.option("--host", required=True, shell_complete=complete_hosts, help="Ask about this host.")
@output_option
@pass_ctl
def controller_check(ctl: Ctl, name: str, host: str) -> int:
    """Ask the controller NAME everything that a restart asks it, and change nothing.

    It leaves with 1 when an answer cannot be used: a restart would be refused.
    """
    answer = ctl.client.get(ControllerCheck, "hosts", host, "controllers", name, "check")

    def table() -> None:
        print_table(
            ["CHECK", "RESULT", "SECONDS", "ANSWER"],
            [
                [one.check, "passes" if one.passes else "fails", f"{one.seconds:.1f}", one.said]
                for one in answer.shape.checks
            ],
        )

    ctl.show(answer.json, table)
    return Exit.DONE if answer.shape.passes else Exit.NO


@click.group(invoke_without_command=True)
@output_option
@click.pass_context
def maintenance(context: click.Context) -> None:
    """Show which hosts are out of service, take one out, or put it back."""
    if context.invoked_subcommand is None:
        context.invoke(maintenance_list)


@maintenance.command("list")
@output_option
@pass_ctl
def maintenance_list(ctl: Ctl) -> None:
    """List the hosts in maintenance."""
    found = ctl.client.every(Host, "hosts", "hosts", state="maintenance")
    rows = [[one.host, one.state_reason or ""] for one in found.shape]
    ctl.show(found.json, lambda: print_table(["HOST", "WHY"], rows))


@maintenance.command("on")
@host_argument
@click.option("--reason", required=True, help="Why, in a few words.")
@end_options
@output_option
@pass_ctl
def maintenance_on(ctl: Ctl, host: str, reason: str, lasts: str | None, until: str | None) -> None:
    """Take HOST out of service: it is not pinged, not restarted, not diagnosed."""
    body = {"reason": reason, "for": lasts, "until": until}
    answer = ctl.client.put(Maintenance, "hosts", host, "maintenance", body=body)
    end = f"for {left(answer.shape.until)}" if answer.shape.until else "until you end it"
    ctl.show(answer.json, lambda: say(plain(f"{host} is in maintenance, {end}")))


@maintenance.command("off")
@host_argument
@output_option
@pass_ctl
def maintenance_off(ctl: Ctl, host: str) -> None:
    """Put HOST back into service."""
    ctl.client.delete("hosts", host, "maintenance")
    if ctl.output == "json":
        print_json({"host": host, "maintenance": False})
    else:
        say(plain(f"{host} is not in maintenance"))


@click.group(invoke_without_command=True)
@output_option
@click.pass_context
def quarantine(context: click.Context) -> None:
    """List the agents in quarantine, or clear one."""
    if context.invoked_subcommand is None:
        context.invoke(quarantine_list)


@quarantine.command("list")
@output_option
@pass_ctl
def quarantine_list(ctl: Ctl) -> None:
    """List the agents that a restart did not help."""
    found = ctl.client.all_of(Quarantined, "quarantine", "quarantine")
    rows = [[one.host, one.agent, ago(one.since), one.reason] for one in found.shape]
    ctl.show(found.json, lambda: print_table(["HOST", "AGENT", "SINCE", "REASON"], rows))


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
        say(plain(f"{agent} on {host} is no longer in quarantine"))
