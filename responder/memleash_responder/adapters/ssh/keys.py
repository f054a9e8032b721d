"""Which private keys are offered to sshd, and what its answers mean.

This is a strategy of paramiko's newer authentication, since the older one reports a refused RSA
key as an unreadable Ed25519 key, and stops at the first key file of ssh_config that is missing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import paramiko
from paramiko.auth_strategy import AuthFailure, AuthSource, AuthStrategy, InMemoryPrivateKey
from paramiko.pkey import UnknownKeyType

from memleash_responder.errors import SshAuthFailed, SshError, SshUnreachable

_DEFAULT_FILES = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
_UNUSABLE = (OSError, ValueError, TypeError, UnknownKeyType, paramiko.SSHException)


class OfferKeys(AuthStrategy):
    """Offers ``identity_file`` alone or, without one, what ssh would: config, agent, defaults."""

    def __init__(
        self,
        user: str,
        identity_file: Path | None,
        ssh_config: paramiko.SSHConfigDict,
        timeout_seconds: float,
    ) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())
        self._user = user
        self._identity_file = identity_file
        self._ssh_config = ssh_config
        self._timeout_seconds = timeout_seconds

    def get_sources(self) -> Iterator[AuthSource]:
        """Yield the keys to offer, for no longer than the deadline. Raises SshAuthFailed."""
        deadline = time.monotonic() + self._timeout_seconds
        with contextlib.closing(self._keys()) as keys:
            for key in keys:
                yield InMemoryPrivateKey(self._user, key)
                if time.monotonic() >= deadline:
                    return

    def _keys(self) -> Generator[paramiko.PKey]:
        if self._identity_file is not None:
            yield _required_key(self._identity_file)
            return
        yield from _usable_keys(self._ssh_config.get("identityfile", ()))
        if self._ssh_config.get("identitiesonly", "no") == "yes":
            return
        yield from _agent_keys()
        yield from _usable_keys(_DEFAULT_FILES)


def _required_key(file: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(str(file))
    except _UNUSABLE as error:
        raise SshAuthFailed(
            f"identity_file {file} cannot be used: {error}; give a private key without a "
            "passphrase that the responder may read, or leave it out and use ssh-agent"
        ) from error


def _usable_keys(files: Iterable[str]) -> Iterator[paramiko.PKey]:
    for file in files:
        with contextlib.suppress(*_UNUSABLE):  # as ssh does: the next one may serve
            yield paramiko.PKey.from_path(Path(file).expanduser())


def _agent_keys() -> Iterator[paramiko.PKey]:
    try:
        agent = paramiko.Agent()
    except (OSError, paramiko.SSHException):
        return  # a dead agent has no keys
    try:
        yield from agent.get_keys()
    finally:
        agent.close()


def explained(failure: AuthFailure, where: str) -> SshError:
    """Return what the failed offers mean: sshd refused the keys, or did not answer."""
    answers = [str(offer.result) for offer in failure.result]
    if not answers:
        return SshAuthFailed(f"{where}: no key to offer; set ssh.identity_file or run ssh-agent")
    refusals = [text for text in answers if "timeout" not in text and "EOF" not in text]
    if not refusals:
        return SshUnreachable(f"{where}: no answer to the authentication: {answers[-1]}")
    return SshAuthFailed(
        f"{where}: sshd refused {len(refusals)} key(s): {refusals[-1]}; "
        "add the responder's public key to the user's authorized_keys"
    )
