"""The command line's root: flags, configuration, errors to exit codes, completion."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from responder.ctl.checks import check
from responder.ctl.client import CtlError, Exit
from responder.ctl.config import load
from responder.ctl.context import Ctl
from responder.ctl.diagnostics import diagnose, diagnostics
from responder.ctl.fleet import explain, hosts, quarantine, reconnect, status
from responder.ctl.output import plain
from responder.ctl.restarts import report, restart, restarts
from responder.ctl.switches import mutes, pause, resume
from toolkit.settings import ConfigError

PROGRAM, COMPLETE = "memleashctl", "_MEMLEASHCTL_COMPLETE"


@click.group(name=PROGRAM, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config.file",
    "config_file",
    type=click.Path(path_type=Path),
    help="The configuration (~/.config/memleash/ctl.yml, else /etc/memleash/ctl.yml).",
)
@click.option("--url", envvar="MEMLEASH_URL", help="The responder's address.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="MEMLEASH_TOKEN_FILE",
    help="A file with the bearer token.",
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), help="How to print.")
@click.version_option(package_name="memleash", prog_name=PROGRAM)
@click.pass_context
def cli(
    context: click.Context,
    config_file: Path | None,
    url: str | None,
    token_file: Path | None,
    output: str | None,
) -> None:
    """Look at memleash's responder and tell it what to do.

    \b
    Exit codes:
      0  done
      1  the responder, a check or the restart said no, or there is no such thing
      2  the command line cannot be understood
      3  the responder does not answer, or cannot work now
      4  not allowed: no credentials, wrong ones, or too small a role
    """
    try:
        config = load(config_file)
        if url is not None:
            config = dataclasses.replace(config, url=url)
        if token_file is not None:
            config = dataclasses.replace(
                config, token_file=token_file, authorization=None, basic_auth=None
            )
    except (ConfigError, ValueError) as error:
        raise CtlError(str(error), Exit.USAGE) from error
    context.obj = Ctl(config, output or config.output)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script, to be sourced: source <(memleashctl completion bash)."""
    kind = get_completion_class(shell)
    if kind is None:
        raise CtlError(f"no completion for {shell}", Exit.NO)
    click.echo(kind(cli, {}, PROGRAM, COMPLETE).source())


for _command in (
    *(check, diagnose, diagnostics, explain, hosts, mutes, pause, quarantine),
    *(reconnect, report, restart, restarts, resume, status),
):
    cli.add_command(_command)


def main() -> None:
    """Run memleashctl and leave with its exit code."""
    try:
        cli.main(prog_name=PROGRAM, complete_var=COMPLETE, standalone_mode=False)
    except CtlError as error:
        click.echo(f"{PROGRAM}: {plain(error)}", err=True)
        sys.exit(error.code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(Exit.USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
