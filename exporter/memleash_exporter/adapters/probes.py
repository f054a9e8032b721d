"""The questions asked in the background: over HTTP, by a socket, by a command, of systemd.

Each returns its word or raises ProbeFailed, within its deadline whatever the other side does.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
from pathlib import Path

from memleash_exporter.adapters import http_get
from memleash_exporter.adapters.systemd import Systemctl
from memleash_exporter.errors import CannotTell, ProbeFailed
from memleash_toolkit.addresses import Url


def http_busy(url: Url, field: str, timeout: float) -> bool:
    """Return whether ``field`` of the JSON at ``url`` says busy."""
    status, body = http_get.get(url, timeout)
    if status != 200:
        raise ProbeFailed(f"status {status}")
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProbeFailed("the body is not JSON") from error
    for key in field.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ProbeFailed(f"the body has no field {field}")
        value = value[key]
    if isinstance(value, bool | int | float) and 0 <= value < math.inf:
        return value > 0
    raise ProbeFailed(f"field {field} is neither true, false nor a number from 0 on")


def http_ready(url: Url, timeout: float) -> bool:
    """Return whether ``url`` answers with a status of 200 to 299; no answer is a no."""
    try:
        status, _ = http_get.get(url, timeout, with_body=False)
    except ProbeFailed:
        return False
    return 200 <= status <= 299


def tcp_ready(address: tuple[str, int], timeout: float) -> bool:
    """Return whether ``address`` accepts a connection; no answer is a no."""
    try:
        socket.create_connection(address, timeout=timeout).close()
    except OSError:
        return False
    return True


def unix_ready(path: Path, timeout: float) -> bool:
    """Return whether the stream socket at ``path`` accepts a connection; no answer is a no.

    Raises ProbeFailed where this user may not connect to it.
    """
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(timeout)
        try:
            line.connect(str(path))
        except PermissionError as error:
            raise ProbeFailed(f"{path} may not be connected to by this user") from error
        except OSError:
            return False
    return True


def systemd_ready(systemctl: Systemctl, unit: str, timeout: float) -> bool:
    """Return whether systemd calls ``unit`` active."""
    try:
        state = systemctl.unit_state(unit, timeout)
    except CannotTell as error:
        raise ProbeFailed(str(error)) from error
    if state is None:
        raise ProbeFailed("there is no systemctl here")
    return state.is_active


def command_says_yes(argv: tuple[str, ...], timeout: float) -> bool:
    """Return whether ``argv`` exits 0 (yes) or 1 (no). Its output is not looked at.

    At the deadline it is killed with everything it started.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own words, and no shell
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ProbeFailed(f"{argv[0]} cannot be run: {error.strerror}") from error
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired as error:
        raise ProbeFailed(f"{argv[0]} did not end in time") from error
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code in (0, 1):
        return code == 0
    raise ProbeFailed(f"{argv[0]} exited with {code}")
