"""An sshd of our own on loopback: own host key, own login key, the current user, nothing else."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from demo.stack.processes import Program

_CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {host_key}
AuthorizedKeysFile {authorized_keys}
PidFile none
StrictModes no
UsePAM {use_pam}
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
LogLevel VERBOSE
"""


@dataclass(frozen=True, slots=True)
class Sshd:
    """The server's program, and what a client needs to log in to it."""

    program: Program
    port: int
    user: str
    identity_file: Path
    known_hosts_file: Path
    log: Path


def configure(sshd: Path, folder: Path, port: int) -> Sshd:
    """Write keys and configuration into ``folder`` and return the server, not yet started."""
    folder.mkdir(parents=True)
    host_key, identity = folder / "host_key", folder / "login_key"
    for key in (host_key, identity):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True
        )
    authorized_keys = folder / "authorized_keys"
    authorized_keys.write_bytes(identity.with_suffix(".pub").read_bytes())
    public = host_key.with_suffix(".pub").read_text(encoding="ascii").strip()
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {public}\n", encoding="ascii")
    config = folder / "sshd_config"
    config.write_text(
        _CONFIG.format(
            port=port,
            host_key=host_key,
            authorized_keys=authorized_keys,
            use_pam="yes" if root_is_locked() else "no",
        ),
        encoding="utf-8",
    )
    make_confinement()
    log = folder / "sshd.log"
    program = Program("sshd", [sshd, "-D", "-e", "-f", config], log, lambda: _greets(port))
    return Sshd(program, port, getpass.getuser(), identity, known_hosts, log)


def make_confinement() -> None:
    """Make the folder where root's sshd confines its unprivileged half, as its service would."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)


def root_is_locked() -> bool:
    """Whether this is a root with a locked password, whom sshd lets in only when PAM decides."""
    try:
        lines = Path("/etc/shadow").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.startswith("root:!") for line in lines)


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
