"""``memleash-responder``: its flags, and what it does with them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from memleash_responder import settings
from memleash_responder.adapters.database.check import check
from memleash_responder.adapters.ssh import client as ssh
from memleash_responder.controller_settings import warnings
from memleash_responder.errors import DatabaseUnavailable
from memleash_responder.process import Responder
from memleash_responder.usecases.services import Outside
from memleash_responder.web.listening import Listening
from memleash_toolkit import VERSION, logs
from memleash_toolkit.flags import listen_address
from memleash_toolkit.settings import ConfigError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the responder; the exit code is 1 when it cannot start."""
    flags = _flags().parse_args(arguments)
    logs.configure(flags.log_level, flags.log_format)
    try:
        outside = Outside.of(settings.load(flags.config_file))
        access = outside.settings.access
        listening = Listening.of(flags.web_listen_address, flags.web_config_file, access)
    except ConfigError as error:
        sys.stderr.write(f"memleash-responder: {error}\n")
        return 1
    if flags.check_config:
        configured = outside.settings
        for warning in (*ssh.warnings(configured.ssh), *warnings(configured.controllers)):
            sys.stdout.write(f"warning: {warning}\n")
        sys.stdout.write(f"{flags.config_file}: valid\n")
        return 0
    try:
        if flags.check_database:
            sys.stdout.write(f"{check(outside.settings.database)}\n")
            return 0
        return Responder(flags.config_file, outside, listening).run()
    except (ConfigError, DatabaseUnavailable, OSError) as error:
        sys.stderr.write(f"memleash-responder: {error}\n")
        return 1


def _flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="memleash-responder", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"memleash-responder {VERSION}")
    parser.add_argument(
        "--config.file",
        dest="config_file",
        type=Path,
        default=Path("/etc/memleash/responder.yml"),
        help="the configuration (%(default)s)",
    )
    parser.add_argument(
        "--web.listen-address",
        dest="web_listen_address",
        type=listen_address,
        default=":10059",
        help="where to listen, host:port (%(default)s); without any access configured, on loopback",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config_file",
        type=Path,
        help="TLS, client certificates and basic authentication, in exporter-toolkit's schema",
    )
    parser.add_argument(
        "--log.level", dest="log_level", choices=logs.LEVELS, default="info", help="(%(default)s)"
    )
    parser.add_argument(
        "--log.format",
        dest="log_format",
        choices=logs.FORMATS,
        default="logfmt",
        help="(%(default)s)",
    )
    parser.add_argument(
        "--check-config",
        dest="check_config",
        action="store_true",
        help="check the configuration and exit",
    )
    parser.add_argument(
        "--check-database",
        dest="check_database",
        action="store_true",
        help="say what a start would do with the database, change nothing, and exit",
    )
    return parser
