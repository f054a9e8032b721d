"""Real neighbours for the adapters: sshd, Alertmanager, Prometheus, on free loopback ports."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import paramiko
import pytest
import requests

from responder.core.facts import Host
from responder.settings import Ssh
from toolkit.settings import Duration


def free_port(address: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll for ``condition`` until it holds, or fail with ``what``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def accepts(port: int, address: str = "127.0.0.1") -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
        return True
    return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process group that this test started, and wait for it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


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
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def host(self) -> Host:
        return Host("node-1", "127.0.0.1:1", f"127.0.0.1:{self.port}", {"host": "node-1"})

    def cut(self) -> None:
        """Cut every connection there is, as a host that dies does."""
        for child in children(self.process.pid):
            os.kill(child, signal.SIGKILL)

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
        "UsePAM": "no",
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
    log = folder / "log"
    Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen(
        [_sshd(), "-D", "-f", folder / "sshd_config", "-E", log],
        start_new_session=True,
    )
    stack.callback(end, process)
    until(lambda: accepts(port, address), f"sshd listens; its log: {log}")
    return Sshd(port, host_key, user_key, folder / "known_hosts", log, process)


def _sshd() -> str:
    found = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
    assert found, "openssh-server is not installed"
    return found


NEWEST = Path(__file__).parents[3] / ".cache" / "tools" / "newest" / "usr" / "bin"


def program(name: str, age: str) -> Path:
    """Return a Prometheus program: the distribution's (``stable``) or the newest, or skip."""
    found = shutil.which(name) if age == "stable" else shutil.which(name, path=NEWEST)
    if found is None:
        pytest.skip(f"{age} {name} is not here: run tools/setup test")
    return Path(found)


@dataclasses.dataclass
class Alertmanager:
    """An Alertmanager that can be stopped, and started again with or without its memory."""

    binary: Path
    folder: Path
    port: int
    cluster_port: int
    peer_port: int | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        cluster = f"127.0.0.1:{self.cluster_port}" if self.peer_port else ""
        flags = [
            f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--cluster.listen-address={cluster}",
            "--cluster.gossip-interval=50ms",
            "--cluster.pushpull-interval=1s",
            "--cluster.settle-timeout=1s",
        ]
        if self.peer_port:
            flags.append(f"--cluster.peer=127.0.0.1:{self.peer_port}")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, *flags], stdout=log, stderr=log, start_new_session=True
            )
        until(lambda: _ready(self.url), f"Alertmanager is ready; its log: {self.folder / 'log'}")

    def stop(self, *, forget: bool = False) -> None:
        if self.process is not None:
            end(self.process)
            self.process = None
        if forget:
            shutil.rmtree(self.folder / "data", ignore_errors=True)


def alertmanager(stack: contextlib.ExitStack, folder: Path, age: str, config: str) -> Alertmanager:
    """Return an Alertmanager, not yet started, that ends with ``stack``."""
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(config)
    binary = program("prometheus-alertmanager", age)
    result = Alertmanager(binary, folder, free_port(), free_port())
    stack.callback(result.stop)
    return result


def prometheus(stack: contextlib.ExitStack, folder: Path, age: str, config: str) -> str:
    """Start a Prometheus that ends with ``stack``; return its URL."""
    folder.mkdir()
    (folder / "prometheus.yml").write_text(config)
    url = f"http://127.0.0.1:{free_port()}"
    flags = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program("prometheus", age), *flags], stdout=log, stderr=log, start_new_session=True
        )
    stack.callback(end, process)
    until(lambda: _ready(url), f"Prometheus is ready; its log: {folder / 'log'}", 60)
    return url


def _ready(url: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(requests.get(f"{url}/-/ready", timeout=1).ok)
    return False
