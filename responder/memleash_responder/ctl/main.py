"""The command line's root: flags, configuration, errors to exit codes, completion."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from memleash_responder.ctl.checks import check
from memleash_responder.ctl.config import load
from memleash_responder.ctl.context import Ctl
from memleash_responder.ctl.diagnoses import diagnose, reports
from memleash_responder.ctl.errors import CtlError, Exit
from memleash_responder.ctl.hosts import (
    controller,
    explain,
    hosts,
    maintenance,
    quarantine,
    reconnect,
    status,
)
from memleash_responder.ctl.output import CannotWrite, abandon_output, complain, flush, plain, say
from memleash_responder.ctl.restarts import restart, restarts, summary
from memleash_responder.ctl.switches import mutes, pause, resume
from memleash_toolkit.addresses import parse_base_url
from memleash_toolkit.settings import ConfigError, show
from memleash_toolkit.values import parse_text

CLOSED_PIPE = 128 + signal.SIGPIPE
"""What a shell sees of a program that writes into a closed pipe."""

PROGRAM, COMPLETE = "memleashctl", "_MEMLEASHCTL_COMPLETE"


@click.group(name=PROGRAM, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config.file",
    "config_file",
    type=click.Path(path_type=Path),
    help="The configuration (default: ~/.config/memleash/ctl.yml, else /etc/memleash/ctl.yml).",
)
@click.option("--url", envvar="MEMLEASH_URL", help="The responder's address.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="MEMLEASH_TOKEN_FILE",
    help="A file with the bearer token.",
)
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), help="The format of the output."
)
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
      2  the command line or the configuration cannot be understood
      3  the responder does not answer, cannot work now, or something else answers
      4  not allowed: no credentials, wrong ones, or too small a role
      5  done, but the output or a file cannot be written
    """
    try:
        config = load(config_file)
        if url is not None:
            config = dataclasses.replace(config, url=_base_url(url))
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
    """Print the completion script, for: source <(memleashctl completion bash)."""
    kind = get_completion_class(shell)
    if kind is None:
        raise CtlError(f"no completion for {shell}", Exit.NO)
    say(kind(cli, {}, PROGRAM, COMPLETE).source())


for _command in (
    *(check, controller, diagnose, explain, hosts, maintenance, mutes, pause),
    *(quarantine, reconnect, reports, restart, restarts, resume, status, summary),
):
    cli.add_command(_command)


def _base_url(text: str) -> str:
    try:
        return parse_base_url(parse_text(text))
    except ValueError as error:
        raise ValueError(f"--url (MEMLEASH_URL) {show(text)} {error}") from error


def run(arguments: Sequence[str] | None = None) -> int:
    """Run memleashctl and return its exit code: the boundary that every error ends at."""
    try:
        code = cli.main(arguments, PROGRAM, COMPLETE, standalone_mode=False)
        flush()
    except CannotWrite as error:
        abandon_output()
        if error.is_closed:
            return CLOSED_PIPE
        return _failed(str(error), Exit.NOT_WRITTEN)
    except CtlError as error:
        return _failed(str(error), error.code)
    except click.exceptions.NoArgsIsHelpError as error:
        complain(error.format_message())
        return Exit.USAGE
    except click.ClickException as error:
        where = getattr(error, "ctx", None)
        hint = f"; see: {where.command_path} --help" if where else ""
        return _failed(f"{error.format_message().rstrip('.')}{hint}", Exit.USAGE)
    except Exception as error:  # noqa: BLE001 - the program's boundary: one line, whatever it was
        problem = f"{type(error).__name__}: {error}"
        return _failed(f"a mistake in memleashctl, please report it: {problem}", Exit.MISTAKE)
    return code if isinstance(code, int) else Exit.DONE


def _failed(problem: str, code: Exit) -> Exit:
    complain(f"{PROGRAM}: {plain(problem)}")
    return code
