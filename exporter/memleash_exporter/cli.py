"""``memleash-exporter``: flags in, exit code out."""

from __future__ import annotations

import argparse
import gc
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from memleash_exporter.adapters.unit_pids import CGROUPFS
from memleash_exporter.collector.agents_collector import PROCFS, AgentsCollector, Host
from memleash_exporter.settings import CONFIG_FILE
from memleash_exporter.web import routes
from memleash_toolkit import VERSION, logs
from memleash_toolkit.flags import listen_address
from memleash_toolkit.http_server import HttpServer
from memleash_toolkit.settings import ConfigError
from memleash_toolkit.termination import ending_signals
from memleash_toolkit.web_config import WebConfig

_ONCE_WAIT_SECONDS = 10.0

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the exporter. Returns 0 after SIGTERM or SIGINT, 1 for a mistake in configuration."""
    flags = _flags(arguments)
    logs.configure(flags.log_level, flags.log_format)
    try:
        web = WebConfig(flags.web_config_file)
        collector = AgentsCollector(flags.config_file, Host(flags.path_procfs, flags.path_cgroupfs))
    except ConfigError as error:
        print(f"memleash-exporter: {error}", file=sys.stderr)  # noqa: T201 - before logging matters
        return 1
    if flags.check_config:
        ok = f"{flags.config_file}: ok, {len(collector.agent_names())} agents"
        print(*(f"warning: {one}" for one in collector.warnings()), ok, sep="\n")  # noqa: T201 - the flag's purpose
        return 0
    if flags.once:
        collector.start()
        collector.wait_answered(_ONCE_WAIT_SECONDS)
        sys.stdout.buffer.write(collector.scrape())
        return 0
    return _serve(collector, web, flags)


def _serve(collector: AgentsCollector, web: WebConfig, flags: argparse.Namespace) -> int:
    """Serve until told to end.

    1. Listens; an address that cannot be used is an error before anything starts.
    2. Starts the background probes and the server's threads.
    3. Waits for signals: SIGHUP reloads, even where nohup ignored it; the others end.
    """
    host, port = flags.web_listen_address
    application = routes.application(collector, flags.web_telemetry_path, web.allows)
    try:
        server = HttpServer(application, (host, port), web)
    except OSError as error:
        log.error("cannot listen", extra={"address": f"{host}:{port}", "problem": error})  # noqa: TRY400
        return 1
    signals = _signals(signal.SIGHUP, *ending_signals())
    collector.start()
    gc.freeze()  # what start-up made stays: no collection need look at it again
    server.serve()
    log.info(
        "listening",
        extra={"host": host, "port": server.port, "version": VERSION, "tls": web.uses_tls},
    )
    while signals.recv(1)[0] == signal.SIGHUP:
        _reload(collector)
    server.stop()
    log.info("ended")
    return 0


def _signals(*numbers: signal.Signals) -> socket.socket:
    """Return a socket that each of these signals writes its number to.

    The interpreter writes it in the signal handler itself. A handler in Python would run when the
    main thread comes to it: one that came just before the thread fell asleep, only at the next.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return reader


def _reload(collector: AgentsCollector) -> None:
    try:
        collector.reload()
    except ConfigError:
        log.debug("the former configuration stays in force")


def _flags(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="memleash-exporter",
        description="Exports the memory, busyness and readiness of this host's agents.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--config.file",
        dest="config_file",
        type=Path,
        default=CONFIG_FILE,
        metavar="FILE",
        help="configuration file (default: %(default)s)",
    )
    add(
        "--web.listen-address",
        dest="web_listen_address",
        type=listen_address,
        default=":10058",
        metavar="[HOST]:PORT",
        help="address to listen on (default: %(default)s)",
    )
    add(
        "--web.telemetry-path",
        dest="web_telemetry_path",
        type=_telemetry_path,
        default="/metrics",
        metavar="PATH",
        help="path of the metrics (default: %(default)s)",
    )
    add(
        "--web.config.file",
        dest="web_config_file",
        type=Path,
        metavar="FILE",
        help="TLS and basic auth, in the exporter-toolkit's format",
    )
    add(
        "--path.procfs",
        dest="path_procfs",
        type=Path,
        default=PROCFS,
        metavar="DIR",
        help="where the host's /proc is mounted (default: %(default)s)",
    )
    add(
        "--path.cgroupfs",
        dest="path_cgroupfs",
        type=Path,
        default=CGROUPFS,
        metavar="DIR",
        help="where the host's control groups are mounted (default: %(default)s)",
    )
    add("--log.level", dest="log_level", choices=logs.LEVELS, default="info")
    add("--log.format", dest="log_format", choices=logs.FORMATS, default="logfmt")
    add("--check-config", action="store_true", help="check the configuration and exit")
    add("--once", action="store_true", help="print one scrape and exit")
    add("--version", action="version", version=f"memleash-exporter {VERSION}")
    return parser.parse_args(arguments)


def _telemetry_path(text: str) -> str:
    if not text.startswith("/") or text == "/" or text.startswith("/-/"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a path such as /metrics")
    return text
