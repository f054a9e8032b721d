"""Real neighbours for the adapters: sshd, Alertmanager, Prometheus, on free loopback ports."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import paramiko
import pytest

from demo.stack.http import answers
from demo.stack.own_programs import listens
from demo.stack.ports import free_port
from demo.stack.processes import Program
from demo.stack.sshd import make_confinement, root_is_locked
from memleash_responder.core.facts import Host
from memleash_responder.settings import Ssh
from memleash_toolkit.values import Duration
from tests.support.stacks import find_or_skip


def keygen(file: Path, kind: str = "ed25519") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file], check=True)
    return file


@dataclasses.dataclass(frozen=True)
class Sshd:
    """A running sshd, and how to reach it."""

    port: int
    host_key: Path
    user_key: Path
    known_hosts: Path
    program: Program

    @property
    def host(self) -> Host:
        return Host("node-1", "127.0.0.1:1", f"127.0.0.1:{self.port}", {"host": "node-1"})

    def cut(self) -> None:
        """Cut every connection there is, as a host that dies does."""
        sessions = children(self.program.pid)
        halves = [child for session in sessions for child in children(session)]
        for process in (*halves, *sessions):  # a session may be two processes, one in the other
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if Path(f"/proc/{process}/comm").read_text().startswith("sshd"):
                    os.kill(process, signal.SIGKILL)

    def settings(self, **changes: object) -> Ssh:
        given: dict[str, object] = {
            "user": getpass.getuser(),
            "identity_file": self.user_key,
            "known_hosts_file": self.known_hosts,
            "config_file": self.known_hosts.with_name("ssh_config"),
            "connect_timeout": Duration(5),
            "command_timeout": Duration(10),
        }
        return Ssh(**{**given, **changes})  # type: ignore[arg-type]


def open_sessions() -> list[paramiko.Transport]:
    """Return the SSH sessions of this process that are up."""
    threads = [one for one in threading.enumerate() if isinstance(one, paramiko.Transport)]
    return [one for one in threads if one.is_active() and not one.server_mode]


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def start_sshd(
    stack: contextlib.ExitStack,
    tmp_path: Path,
    options: Mapping[str, str] | None = None,
    host_key_type: str = "ed25519",
    address: str = "127.0.0.1",
) -> Sshd:
    """Start an sshd that ends with ``stack``."""
    port = free_port(address)
    folder = tmp_path / f"sshd-{port}"
    folder.mkdir(mode=0o700)
    host_key = keygen(folder / "host_key", host_key_type)
    user_key = keygen(folder / "user_key")
    authorized = folder / "authorized_keys"
    authorized.write_bytes(user_key.with_suffix(".pub").read_bytes())
    config = {
        "ListenAddress": f"[{address}]:{port}",
        "HostKey": str(host_key),
        "AuthorizedKeysFile": str(authorized),
        "PidFile": "none",
        "UsePAM": "yes" if root_is_locked() else "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "yes",
        "Subsystem": "sftp internal-sftp",
        **(options or {}),
    }
    lines = "".join(f"{name} {value}\n" for name, value in config.items())
    (folder / "sshd_config").write_text(lines)
    (folder / "ssh_config").write_text("")
    public = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[{address}]:{port} {public}\n")
    make_confinement()
    argv: list[str | Path] = [_sshd(), "-D", "-e", "-f", folder / "sshd_config"]
    program = Program("sshd", argv, folder / "log", lambda: listens(port, address))
    stack.callback(program.stop)
    program.start()
    return Sshd(port, host_key, user_key, folder / "known_hosts", program)


def sudo_with_requiretty(folder: Path) -> str:
    """Return the real sudo, in mounts of its own where sudoers has requiretty.

    Where the kernel lets us have none, the test is not run.
    """
    assert shutil.which("sudo"), "sudo is not installed; run make setup"
    sudoers, program = folder / "sudoers", folder / "sudo"
    sudoers.write_text("Defaults requiretty\nroot ALL=(ALL) NOPASSWD: ALL\n")
    sudoers.chmod(0o440)
    as_root = "" if os.geteuid() == 0 else "sudo -n "
    inside = f"chown 0 {sudoers} && mount --bind {sudoers} /etc/sudoers && exec "
    own_mounts = f"exec {as_root}unshare --mount sh -c '{inside} \"$@\"' sh"
    program.write_text(f'#!/bin/sh\n{own_mounts} env LC_ALL=C sudo -n "$@"\n')
    program.chmod(0o755)
    tried = subprocess.run(["sh", "-c", f"{own_mounts} true"], check=False, capture_output=True)
    if tried.returncode != 0:
        pytest.skip(f"not run: no mounts of its own here: {tried.stderr.decode().strip()}")
    return str(program)


def _sshd() -> str:
    found = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
    assert found, "openssh-server is not installed"
    return found


@dataclasses.dataclass
class Alertmanager:
    """An Alertmanager that can be stopped, and started again with or without its memory."""

    binary: Path
    folder: Path
    port: int
    cluster_port: int
    peer_port: int | None = None

    def __post_init__(self) -> None:
        """Prepare the program; its flags are made when it starts."""
        log = self.folder / "log"
        self.program = Program("alertmanager", [], log, lambda: answers(f"{self.url}/-/ready"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        cluster = f"127.0.0.1:{self.cluster_port}" if self.peer_port else ""
        self.program.argv = [
            self.binary,
            f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--cluster.listen-address={cluster}",
            "--cluster.gossip-interval=50ms",
            "--cluster.pushpull-interval=1s",
            "--cluster.settle-timeout=1s",
            *([f"--cluster.peer=127.0.0.1:{self.peer_port}"] if self.peer_port else []),
        ]
        self.program.start()

    def stop(self, *, forget: bool = False) -> None:
        """End it at once, as a power cut does; ``program.stop`` lets it write its silences."""
        self.program.kill()
        if forget:
            shutil.rmtree(self.folder / "data", ignore_errors=True)


def alertmanager(stack: contextlib.ExitStack, folder: Path, age: str, config: str) -> Alertmanager:
    """Return an Alertmanager, not yet started, that ends with ``stack``."""
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(config)
    binary = find_or_skip(age).alertmanager
    result = Alertmanager(binary, folder, free_port(), free_port())
    stack.callback(result.stop)
    return result


def prometheus(
    stack: contextlib.ExitStack, folder: Path, age: str, config: str, port: int | None = None
) -> str:
    """Start a Prometheus that ends with ``stack``; return its URL."""
    folder.mkdir()
    (folder / "prometheus.yml").write_text(config)
    url = f"http://127.0.0.1:{port or free_port()}"
    argv: list[str | Path] = [
        find_or_skip(age).prometheus,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    program = Program("prometheus", argv, folder / "log", lambda: answers(f"{url}/-/ready"))
    stack.callback(program.stop)
    program.start()
    return url
