"""diagnose, reports: ask for evidence, and the reports that were fetched from hosts."""

from __future__ import annotations

import time
from pathlib import Path

import click

from memleash_responder.ctl.answers import Answered, Diagnosis, Report
from memleash_responder.ctl.context import (
    Ctl,
    agent_argument,
    host_argument,
    output_option,
    pass_ctl,
)
from memleash_responder.ctl.errors import CtlError, Exit
from memleash_responder.ctl.output import ago, plain, print_json, print_table, say, size
from memleash_toolkit.units import parse_duration

_LOOK_EVERY_SECONDS = 0.5
_WITH_REPORT = ("diagnosed", "incomplete")


@click.command()
@host_argument
@agent_argument
@click.option("--no-wait", is_flag=True, help="Request it and exit.")
@click.option("--timeout", default="1h", show_default=True, help="The longest time to wait.")
@output_option
@pass_ctl
def diagnose(ctl: Ctl, host: str, agent: str, *, no_wait: bool, timeout: str) -> None:
    """Request a diagnosis of AGENT on HOST, wait for it, and say where its report is.

    It may be asked for again for the same process, and in the mode observe.
    """
    try:
        patience_seconds = parse_duration(timeout)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timeout") from error
    answer = ctl.client.post(Diagnosis, "diagnoses", body={"host": host, "agent": agent})
    if not no_wait:
        answer = _follow(ctl, answer, time.monotonic() + patience_seconds)
    ctl.show(answer.json, lambda: _say(answer.shape))
    if answer.shape.outcome not in (None, *_WITH_REPORT):
        raise CtlError(f"no diagnosis: {answer.shape.outcome}", Exit.NO)


def _follow(ctl: Ctl, answer: Answered[Diagnosis], deadline: float) -> Answered[Diagnosis]:
    """Print each step as it begins, until the diagnosis has its word."""
    printed = ""
    while answer.shape.outcome is None:
        now = answer.shape
        if ctl.output == "table" and now.step != printed:
            printed = now.step
            say(plain(f"{printed:<11}{now.pace or ''}".rstrip()))
        if time.monotonic() >= deadline:
            raise CtlError(f"still at {now.step}; it goes on: {now.id}", Exit.NO)
        time.sleep(_LOOK_EVERY_SECONDS)
        answer = ctl.client.get(Diagnosis, "diagnoses", now.id)
    return answer


def _say(asked: Diagnosis) -> None:
    say(plain(f"{asked.id}  {asked.outcome or asked.step}  {asked.reason}".rstrip()))
    if asked.report:
        say(plain(f"memleashctl reports get {asked.host} {asked.agent} {asked.report}"))


@click.group(invoke_without_command=True)
@output_option
@click.pass_context
def reports(context: click.Context) -> None:
    """List the reports of diagnoses, or save one."""
    if context.invoked_subcommand is None:
        context.invoke(reports_list)


@reports.command("list")
@click.option("--host", help="Only this host.")
@click.option("--agent", help="Only this agent.")
@output_option
@pass_ctl
def reports_list(ctl: Ctl, host: str | None = None, agent: str | None = None) -> None:
    """List reports, the newest first."""
    found = ctl.client.every(Report, "reports", "reports", host=host, agent=agent)
    rows = [
        [one.host, one.agent, one.time, ago(one.taken_at), size(one.size_bytes)]
        for one in found.shape
    ]
    ctl.show(found.json, lambda: print_table(["HOST", "AGENT", "TIME", "TAKEN", "SIZE"], rows))


@reports.command("get")
@host_argument
@agent_argument
@click.argument("time")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    help="Where to save it (default: report-TIME.tar.gz).",
)
@output_option
@pass_ctl
def reports_get(ctl: Ctl, host: str, agent: str, time: str, target: Path | None) -> None:
    """Save the report of AGENT on HOST taken at TIME (see list), as a tar.gz."""
    if not time.isalnum():
        raise CtlError(f"{time!r} is not a report's time; see: reports list", Exit.USAGE)
    content = ctl.client.download("reports", host, agent, time)
    file = target or Path(f"report-{time}.tar.gz")
    _save(content, file)
    if ctl.output == "json":
        print_json({"file": str(file), "size_bytes": len(content)})
    else:
        say(plain(f"{file}: {size(len(content))}"))


def _save(content: bytes, file: Path) -> None:
    """Write ``content``, whole or not at all, and never over something that is there."""
    try:
        with file.open("xb") as saved:
            try:
                saved.write(content)
                saved.flush()
            except OSError:
                file.unlink(missing_ok=True)
                raise
    except FileExistsError as error:
        raise CtlError(f"{file} is there already; name another with --to", Exit.NO) from error
    except OSError as error:
        raise CtlError(f"{file} cannot be written: {error.strerror}", Exit.NOT_WRITTEN) from error
