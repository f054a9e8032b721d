"""What a process inherits from whoever starts it, and the values that every test gets instead.

Tests and the programs that they start must not feel whether the run was started by nohup, by a
cron job, behind a proxy or with a strict umask. ``settle`` is called once, when pytest comes to
``tests/conftest.py``; what it sets is inherited by xdist's processes and by every program.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

KEPT = ("LD_LIBRARY_PATH", "GOLDEN")
"""Where libraries are, and what a person asks of the tests."""

KEPT_PREFIXES = ("PYTEST_", "DOCKER_", "MEMLEASH_TEST_", "MEMLEASH_E2E", "MEMLEASH_SCREENSHOTS")

SET = {"HOME": "/proc/nonexistent", "LANG": "C.UTF-8", "TZ": "UTC"}
"""A test that needs a home makes one, and no program can make this one, not even root's (Chromium
tries). The rest of the environment (proxies, SSH_AUTH_SOCK, PG*, GIT_*, PYTHON*, MEMLEASH_*) is
gone."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""At the end of every PATH: a user's own often lacks the folders where sshd and ip are."""

PLAIN_PATH = re.compile(r"/[\w./-]{1,40}", re.ASCII)
"""A TMPDIR that is kept: one with a blank would have to be quoted in the configurations of a dozen
programs, and in a long one no socket can be made."""

OPEN_FILES = 4096
"""The largest tests need about a thousand."""

IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}
"""The interpreter ignores these itself, and subprocess gives programs the default back."""


def settle() -> None:
    """Give this process, and so all that it starts, the same surroundings everywhere.

    1. The environment is a short list, the time zone UTC and the umask 022. Temporary files go
       to TMPDIR where its path is plain.
    2. A signal that was ignored (nohup, a shell's background job) goes on having no effect here,
       but by a handler: those are not inherited, so programs begin with the default.
    3. No signal is blocked.
    4. There are enough open files, as far as the hard limit, our rights or sudo go.
    """
    given = environment(os.environ)
    os.environ.clear()
    os.environ.update(given)
    time.tzset()
    tempfile.tempdir = None  # pytest has asked for it by now
    os.umask(0o022)
    for number in signal.valid_signals() - IGNORED_BY_PYTHON:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _raise_open_files()


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the tests for an inherited one."""
    kept = {
        name: value
        for name, value in inherited.items()
        if name in KEPT or name.startswith(KEPT_PREFIXES)
    }
    if PLAIN_PATH.fullmatch(inherited.get("TMPDIR", "")):
        kept["TMPDIR"] = inherited["TMPDIR"]
    own = Path(sys.executable).parent
    path = f"{own}:{inherited.get('PATH', '')}:{SYSTEM_PATH}".split(":")
    return {**kept, **SET, "PATH": ":".join(dict.fromkeys(filter(None, path)))}


def has_ipv6() -> bool:
    """Return whether this machine has an IPv6 loopback, which no test can give it."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= OPEN_FILES:
        return
    if hard < OPEN_FILES and (_raised_by_us() or _raised_by_sudo()):
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, OPEN_FILES), hard))


def _raised_by_us() -> bool:
    """Raise this process's hard limit, as root may, if its container lets it."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    except ValueError:
        return False
    return True


def _raised_by_sudo() -> bool:
    """Have this process's hard limit raised where sudo asks no password."""
    limit = f"--nofile={OPEN_FILES}:{OPEN_FILES}"
    command = ("sudo", "-n", "prlimit", f"--pid={os.getpid()}", limit)
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
