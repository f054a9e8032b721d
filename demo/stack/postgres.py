"""A PostgreSQL server of a test's own: a fresh cluster on loopback, stopped and removed with it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.stack.ports import free_port
from demo.stack.processes import ENDING_WITH_US, Program, wait_until


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

    def query(self, statement: str, *, database: str = "memleash") -> str:
        """Run ``statement`` in ``database`` and return what psql prints of its rows."""
        url = f"postgresql://postgres@127.0.0.1:{self.port}/{database}"
        command = (_binary("psql"), "-X", "-q", "-A", "-t", "-c", statement, url)
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def stop(self) -> None:
        """End the server without waiting for its clients, as its init script does."""
        if self.program.running():
            os.kill(self.program.pid, signal.SIGINT)
            wait_until("PostgreSQL to end", lambda: not self.program.running())
            self.program.stop()

    def cut_connections(self) -> None:
        """End every other session, as a failover does."""
        self.query(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


@contextmanager
def running_postgres(*, max_connections: int = 100) -> Iterator[Postgres]:
    """Make a cluster and run it; nothing of it is left when this is."""
    # PostgreSQL refuses to run as root. Who becomes another user is no longer ended along with us
    # (prctl(2), PR_SET_PDEATHSIG), so that is asked for once more.
    owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    as_owner = [*owner, *ENDING_WITH_US[1:]] if os.getuid() == 0 else []
    # Not in pytest's folders, nor in a TMPDIR of root's: those are closed to other users.
    with tempfile.TemporaryDirectory(prefix="memleash-postgres-", dir="/tmp") as scratch:
        folder, data = Path(scratch), Path(scratch) / "data"
        data.mkdir(mode=0o700)
        if as_owner:
            folder.chmod(0o711)
            user = pwd.getpwnam("postgres")
            os.chown(data, user.pw_uid, user.pw_gid)
        make = [str(_binary("initdb")), "-D", str(data), "-U", "postgres", "--auth=trust"]
        subprocess.run([*as_owner, *make, "--no-sync"], check=True, capture_output=True, cwd="/")
        with _server(folder, as_owner, data, max_connections) as server:
            yield server


@contextmanager
def _server(
    folder: Path, as_owner: list[str], data: Path, max_connections: int
) -> Iterator[Postgres]:
    port = free_port()
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
        Postgres(port, program).stop()


def _binary(name: str) -> Path:
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(newest[-1]) if newest else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not here; tools/setup test installs PostgreSQL")
    return Path(found)
