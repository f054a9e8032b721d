"""check config, check inventory: what can be wrong, before the responder meets it.

These alone need the responder's settings and its SSH library, which cost more to import than all
else of memleashctl together: they are imported where they are used.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from memleash_responder.ctl.context import Ctl, output_option, pass_ctl
from memleash_responder.ctl.errors import CtlError, Exit
from memleash_responder.ctl.output import plain, say
from memleash_toolkit.settings import ConfigError

_files = click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)


@click.group()
def check() -> None:
    """Check files, without a responder."""


@check.command("config")
@_files
@click.option(
    "--web.config.file",
    "web_config_file",
    type=click.Path(path_type=Path),
    help="Check this web configuration, too.",
)
@output_option
@pass_ctl
def check_config(ctl: Ctl, files: tuple[Path, ...], web_config_file: Path | None) -> None:
    """Check the responder's configuration, with its inventory and its tokens."""
    from memleash_responder import settings  # noqa: PLC0415 - see above
    from memleash_responder.adapters import inventory  # noqa: PLC0415
    from memleash_responder.adapters.ssh import client as ssh  # noqa: PLC0415
    from memleash_responder.controller_settings import warnings  # noqa: PLC0415
    from memleash_responder.web.authentication import Gate  # noqa: PLC0415
    from memleash_toolkit.web_config import WebConfig  # noqa: PLC0415

    checked = []
    for file in files:
        try:
            found = settings.load(file)
            hosts = inventory.load(found.inventory.files)
            Gate(WebConfig(web_config_file), found.access)
        except ConfigError as error:
            raise CtlError(str(error), Exit.NO) from error
        modes = ", ".join(f"{name} ({agent.mode})" for name, agent in found.agents.items())
        result = f"valid: {len(hosts)} hosts, {modes or 'no agents'}"
        checked.append(
            _Checked(str(file), result, [*ssh.warnings(found.ssh), *warnings(found.controllers)])
        )
    _say(ctl, checked)


@check.command("inventory")
@_files
@output_option
@pass_ctl
def check_inventory(ctl: Ctl, files: tuple[Path, ...]) -> None:
    """Check inventory files, read together."""
    from memleash_responder.adapters import inventory  # noqa: PLC0415 - see above

    try:
        hosts = inventory.load(files)
    except ConfigError as error:
        raise CtlError(str(error), Exit.NO) from error
    _say(ctl, [_Checked(", ".join(map(str, files)), f"valid: {len(hosts)} hosts", [])])


@dataclasses.dataclass(frozen=True, slots=True)
class _Checked:
    """What was found in one file."""

    file: str
    result: str
    warnings: list[str]


def _say(ctl: Ctl, checked: list[_Checked]) -> None:
    def table() -> None:
        for one in checked:
            for warning in one.warnings:
                say(plain(f"{one.file}: warning: {warning}"))
            say(plain(f"{one.file}: {one.result}"))

    ctl.show([dataclasses.asdict(one) for one in checked], table)
