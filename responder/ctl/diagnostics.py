"""diagnostics: the reports that were fetched from hosts."""

from __future__ import annotations

from pathlib import Path

import click

from responder.ctl.client import CtlError, Exit
from responder.ctl.context import Ctl, agent_argument, host_argument, output_option, pass_ctl
from responder.ctl.output import ago, plain, print_json, print_table, size


@click.group(invoke_without_command=True)
@output_option
@click.pass_context
def diagnostics(context: click.Context) -> None:
    """Show the reports that were taken of agents, or fetch one."""
    if context.invoked_subcommand is None:
        context.invoke(diagnostics_list)


@diagnostics.command("list")
@click.option("--host", help="Only of this host.")
@click.option("--agent", help="Only of this agent.")
@output_option
@pass_ctl
def diagnostics_list(ctl: Ctl, host: str | None = None, agent: str | None = None) -> None:
    """List reports, the newest first."""
    found = ctl.client.every("diagnostics", "diagnostics", host=host, agent=agent)
    rows = [
        [one["host"], one["agent"], one["time"], ago(one["taken_at"]), size(one["size_bytes"])]
        for one in found
    ]
    ctl.show(found, lambda: print_table(["HOST", "AGENT", "TIME", "TAKEN", "SIZE"], rows))


@diagnostics.command("get")
@host_argument
@agent_argument
@click.argument("time")
@click.option(
    "--to", "target", type=click.Path(path_type=Path), help="The file (report-TIME.tar.gz)."
)
@output_option
@pass_ctl
def diagnostics_get(ctl: Ctl, host: str, agent: str, time: str, target: Path | None) -> None:
    """Fetch the report of AGENT on HOST taken at TIME (see list), as a tar.gz."""
    if not time.isalnum():
        raise CtlError(f"{time!r} is not a report's time; see: diagnostics list", Exit.USAGE)
    content = ctl.client.download("diagnostics", host, agent, time)
    file = target or Path(f"report-{time}.tar.gz")
    try:
        with file.open("xb") as saved:  # never over something that is there
            saved.write(content)
    except OSError as error:
        raise CtlError(f"{file} cannot be written: {error.strerror}", Exit.NO) from error
    if ctl.output == "json":
        print_json({"file": str(file), "size_bytes": len(content)})
    else:
        click.echo(plain(f"{file}: {size(len(content))}"))
