"""A PostgreSQL server of a test's own: a fresh cluster on loopback, stopped and removed with it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.stack.processes import Program


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server, whose roles are trusted on loopback.

    ``memleash`` owns the database of the same name; statements of the test's own run as
    ``postgres``, whom no limit holds back.
    """

    port: int
    program: Program

    @property
    def url(self) -> str:
        """The URL of the database ``memleash``."""
        return f"postgresql://memleash@127.0.0.1:{self.port}/memleash"

    def query(self, statement: str) -> str:
        """Run ``statement`` in the database and return what psql prints of its rows."""
        url = self.url.replace("memleash@", "postgres@")
        command = (_binary("psql"), "-X", "-q", "-A", "-t", "-c", statement, url)
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def cut_connections(self) -> None:
        """End every other session, as a failover does."""
        self.query(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


@contextmanager
def running_postgres(folder: Path, *, max_connections: int = 100) -> Iterator[Postgres]:
    """Make a cluster below ``folder`` and run it; nothing of it runs when this is left."""
    owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    as_owner = owner if os.getuid() == 0 else []  # PostgreSQL refuses to run as root
    folder.mkdir(parents=True)
    data = folder / "data"
    data.mkdir(mode=0o700)
    if as_owner:
        _reachable(folder)
        user = pwd.getpwnam("postgres")
        for path in (folder, data):
            os.chown(path, user.pw_uid, user.pw_gid)
    make = [str(_binary("initdb")), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync"]
    subprocess.run([*as_owner, *make], check=True, capture_output=True, cwd="/")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "max_connections": max_connections,
        "unix_socket_directories": "",
        "fsync": "off",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    ready = (_binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port))
    program = Program(
        "postgres",
        [*as_owner, _binary("postgres"), "-D", data, *options],
        folder / "postgres.log",
        lambda: subprocess.run(ready, check=False).returncode == 0,
    )
    program.start()
    try:
        admin = ("-h", "127.0.0.1", "-p", str(port), "-U", "postgres")
        subprocess.run([_binary("createuser"), *admin, "memleash"], check=True)
        subprocess.run([_binary("createdb"), *admin, "-O", "memleash", "memleash"], check=True)
        yield Postgres(port, program)
    finally:
        program.stop()


def _reachable(folder: Path) -> None:
    """Let PostgreSQL's user pass through pytest's folders, which are its maker's alone."""
    for parent in folder.parents:
        if parent.is_relative_to(tempfile.gettempdir()) and parent.stat().st_uid == os.getuid():
            parent.chmod(parent.stat().st_mode | 0o011)


def _binary(name: str) -> Path:
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(newest[-1]) if newest else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not here; tools/setup test installs PostgreSQL")
    return Path(found)
