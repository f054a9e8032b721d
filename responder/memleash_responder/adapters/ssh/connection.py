"""An authenticated SSH session with a host, through jump hosts if need be, within deadlines.

Fabric reads ssh_config, follows its jump hosts and connects; what it leaves open is closed here:
1. Its connect timeout is none by default, and whole seconds: it is set on every hop.
2. It accepts any host key: every hop's key must stand in known_hosts, and only kinds of key that
   stand there are asked for.
3. Opening a channel may wait an hour: set on every hop.
4. It visits ``ProxyJump a,b`` in the wrong order and takes ``none`` for a host's name.
5. Its ProxyCommand spins at the end of the stream and leaves a zombie: here it has a real socket.
6. A session that failed halfway leaves its thread: every transport is closed, always.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fabric
import paramiko
from paramiko.auth_strategy import AuthFailure

from memleash_responder.adapters.ssh import known_hosts
from memleash_responder.adapters.ssh.keys import OfferKeys, explained
from memleash_responder.core.facts import Host
from memleash_responder.errors import HostKeyMismatch, SshAuthFailed, SshUnreachable
from memleash_responder.settings import Ssh
from memleash_toolkit.addresses import parse_ssh_address

_CONFIG_FILES = (Path("~/.ssh/config"), Path("/etc/ssh/ssh_config"))
_KNOWN_HOSTS_FILES = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


@contextlib.contextmanager
def connected(
    settings: Ssh, host: Host, runner: Callable[..., fabric.runners.Remote]
) -> Iterator[fabric.Connection]:
    """Hold an open connection to ``host``, whose commands ``runner`` runs; close every hop of it.

    Raises SshUnreachable, SshAuthFailed, HostKeyMismatch.
    """
    hops = _hops(settings, host, runner)
    try:
        for hop in reversed(hops):
            _open(hop, settings, where=f"{host.name} ({hop.user}@{hop.host}:{hop.port})")
        yield hops[0]
    finally:
        for hop in hops:
            hop.client.close()  # Fabric's own close passes over a session that is not up
            hop.end_proxy()


@contextlib.contextmanager
def closing_after(
    seconds: float, transport: Callable[[], paramiko.Transport | None]
) -> Iterator[None]:
    """Close ``transport()`` after ``seconds``: what waits on it without a deadline wakes up."""

    def close() -> None:
        current = transport()
        if current is not None:
            current.close()

    timer = threading.Timer(seconds, close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class _Hop(fabric.Connection):  # type: ignore[misc]  # Fabric ships no types
    """A Fabric connection that visits jump hosts in ssh's order and owns its ProxyCommand."""

    proxy: subprocess.Popen[bytes] | None = None

    def get_gateway(self) -> Any:
        """Return the last jump host, the ProxyCommand, or None."""
        jumps = self.ssh_config.get("proxyjump", "none")
        if jumps.lower() == "none":
            return self.ssh_config.get("proxycommand")
        gateway = None
        for jump in jumps.split(","):
            if self.derive_shorthand(jump)["host"] == self.original_host:
                return None  # ``Host *`` names the jump host itself, too
            gateway = _Hop(jump.strip(), config=self.config, gateway=gateway)
        return gateway

    def open_gateway(self) -> Any:
        """Return the socket to speak through: the jump host's channel or the ProxyCommand."""
        if not isinstance(self.gateway, str):
            return super().open_gateway()
        ours, theirs = socket.socketpair()
        with theirs:
            self.proxy = subprocess.Popen(  # noqa: S603 - the operator's own ssh_config
                ["/bin/sh", "-c", f"exec {self.gateway}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return ours

    def end_proxy(self) -> None:
        """End the ProxyCommand, if there is one."""
        if self.proxy is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.proxy.pid, signal.SIGKILL)
            self.proxy.wait()


class _KnownKeysOnly(paramiko.MissingHostKeyPolicy):
    """Accepts a key that stands in known_hosts and no other.

    All keys come here, since paramiko's own check knows one key of a type for a host.
    """

    def __init__(self, name: str, keys: tuple[paramiko.PKey, ...], file: Path, where: str) -> None:
        self._name = name
        self._keys = keys
        self._file = file
        self._where = where

    def missing_host_key(
        self,
        client: object,  # noqa: ARG002 - paramiko's signature
        hostname: str,  # noqa: ARG002
        key: paramiko.PKey,
    ) -> None:
        """Raise HostKeyMismatch unless ``key`` is known."""
        if key in self._keys:
            return
        shown = f"{self._where}: the host shows {key.get_name()} {key.fingerprint}"
        if self._keys:
            known = ", ".join(f"{one.get_name()} {one.fingerprint}" for one in self._keys)
            raise HostKeyMismatch(
                f"{shown}, {self._file} has {known} for {self._name}; "
                "find out why before anything else, then replace the line"
            )
        raise HostKeyMismatch(
            f"{shown}, {self._file} has no key for {self._name}; compare the fingerprint with "
            "`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` on the host, then add the key: "
            f"{_keyscan(self._name, key)} >> {self._file}"
        )


def _keyscan(name: str, key: paramiko.PKey) -> str:
    kind = key.get_name().removeprefix("ssh-").split("-")[0]
    match = re.fullmatch(r"\[(.+)\]:(\d+)", name)
    host, port = match.groups() if match else (name, "22")
    return f"ssh-keyscan -p {port} -t {kind} {host}"


def _hops(settings: Ssh, host: Host, runner: Callable[..., fabric.runners.Remote]) -> list[_Hop]:
    """Return the connections to make: the host's own first, the nearest jump host last."""
    try:
        address, port = parse_ssh_address(host.ssh_address)
    except ValueError as error:
        raise SshUnreachable(f"{host.name}: ssh_address {host.ssh_address!r}: {error}") from error
    ssh_config = _ssh_config(settings, address, port or settings.port)
    overrides: dict[str, Any] = {"user": settings.user} if settings.user else {}
    overrides["runners"] = {"remote": runner}
    # Lazy, since Fabric would else read /etc/fabric.py and ~/.fabric.py, which are programs.
    config = fabric.Config(overrides=overrides, ssh_config=ssh_config, lazy=True)
    try:
        hops = [_Hop(address, config=config)]
        while isinstance(hops[-1].gateway, _Hop):
            hops.append(hops[-1].gateway)
    except (paramiko.SSHException, ValueError) as error:
        raise SshUnreachable(f"{host.name}: ssh_config cannot be used: {error}") from error
    return hops


def _ssh_config(settings: Ssh, address: str, port: int | None) -> paramiko.SSHConfig:
    """Return ssh_config with our own settings first, as ``ssh -l user -p port`` puts them."""
    ours = [f"Host {address}"]
    ours += [f"  User {settings.user}"] if settings.user else []
    ours += [f"  Port {port}"] if port else []
    config = paramiko.SSHConfig()
    config.parse(io.StringIO("\n".join(ours) + "\n"))
    for file in [settings.config_file] if settings.config_file else _CONFIG_FILES:
        try:
            config.parse(io.StringIO(file.expanduser().read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            if settings.config_file:
                raise SshUnreachable(f"ssh.config_file {file} is not there") from error
        except (OSError, ValueError, paramiko.SSHException) as error:
            raise SshUnreachable(f"{file} cannot be used: {error}") from error
    return config


def _open(hop: _Hop, settings: Ssh, where: str) -> None:
    """Connect and authenticate one hop; the hops before it are open."""
    seconds = settings.connect_timeout
    hop.connect_timeout = seconds
    try:
        keys = _expect_known_key(hop, settings, where)
        hop.connect_kwargs = {
            "banner_timeout": seconds,
            "auth_timeout": seconds,
            "channel_timeout": seconds,
            "auth_strategy": OfferKeys(hop.user, settings.identity_file, hop.ssh_config, seconds),
            "transport_factory": _transport_for(keys, seconds),
        }
        with closing_after(4 * seconds, hop.client.get_transport):
            hop.open()
        if not hop.transport.is_authenticated():
            raise SshAuthFailed(f"{where}: sshd wants more than a key; allow publickey alone")
    except AuthFailure as error:
        raise explained(error, where) from error
    except (paramiko.SSHException, OSError, EOFError, UnicodeError) as error:
        reason = str(error) or type(error).__name__
        raise SshUnreachable(f"{where}: no SSH session, {seconds:g} s a phase: {reason}") from error


def _expect_known_key(hop: _Hop, settings: Ssh, where: str) -> tuple[paramiko.PKey, ...]:
    name = hop.ssh_config.get("hostkeyalias") or known_hosts.entry_name(hop.host, hop.port)
    given = settings.known_hosts_file
    files = [given] if given else [file.expanduser() for file in _KNOWN_HOSTS_FILES]
    keys = known_hosts.lookup(files, name)
    hop.client.set_missing_host_key_policy(_KnownKeysOnly(name, keys, files[0], where))
    return keys


def _transport_for(
    keys: tuple[paramiko.PKey, ...], seconds: float
) -> Callable[..., paramiko.Transport]:
    """Return a factory of transports that ask for the kinds of host key that are known."""
    kinds = [kind for key in keys for kind in _signatures(key)]

    def transport(*args: Any, **kwargs: Any) -> paramiko.Transport:
        result = paramiko.Transport(*args, **kwargs)
        result.handshake_timeout = seconds  # its timer's thread outlives a failed handshake
        options = result.get_security_options()
        usable = [kind for kind in options.key_types if kind in kinds]
        if usable:
            options.key_types = usable
        return result

    return transport


def _signatures(key: paramiko.PKey) -> tuple[str, ...]:
    return _RSA_SIGNATURES if key.get_name() == "ssh-rsa" else (key.get_name(),)
