"""Each way SSH can fail, its error, and whether the command was sent."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from demo.stack.processes import wait_until
from memleash_responder.adapters.ssh.client import SshClient
from memleash_responder.core.facts import Host
from memleash_responder.core.outcomes import Outcome
from memleash_responder.errors import (
    CommandLost,
    HostKeyMismatch,
    SshAuthFailed,
    SshUnreachable,
)
from memleash_responder.settings import Ssh
from memleash_toolkit.values import Duration
from tests.integration.adapters.fake_sshd import FakeSshd
from tests.integration.adapters.neighbours import Sshd, keygen

pytestmark = pytest.mark.integration
SHORT = Duration(0.7)


def at(port: int) -> Host:
    return Host("node-1", "127.0.0.1:1", f"127.0.0.1:{port}", {"host": "node-1"})


def never_looked() -> None:
    raise AssertionError("there must be no last look where there is no session")


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    """After each fault: no thread, no socket, no session of ours."""
    files_before = open_files()
    yield
    wait_until(f"threads end: {threading.enumerate()}", lambda: threading.active_count() == 1)
    wait_until("file descriptors are closed", lambda: open_files() <= files_before)


@pytest.fixture
def settings(tmp_path: Path) -> Ssh:
    """Settings without an sshd behind them."""
    config = tmp_path / "ssh_config"
    config.touch()
    return Ssh(
        user="nobody",
        identity_file=keygen(tmp_path / "key"),
        known_hosts_file=tmp_path / "known_hosts",
        config_file=config,
        connect_timeout=SHORT,
        command_timeout=Duration(5),
    )


@pytest.fixture
def start_fake(
    tmp_path: Path, settings: Ssh, stack: contextlib.ExitStack
) -> Callable[[str], tuple[FakeSshd, Host]]:
    def start(silent_at: str) -> tuple[FakeSshd, Host]:
        host_key = keygen(tmp_path / "fake_host_key")
        fake = FakeSshd(host_key, silent_at)
        port = stack.enter_context(fake.running())
        public = host_key.with_suffix(".pub").read_text()
        assert settings.known_hosts_file
        settings.known_hosts_file.write_text(f"[127.0.0.1]:{port} {public}")
        return fake, at(port)

    return start


def refused(settings: Ssh, host: Host) -> Exception:
    """Return the error of a run that must end in good time and without a last look."""
    began = time.monotonic()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - who calls looks at it
        SshClient(settings).run(host, "true", before_command=never_looked)
    assert time.monotonic() - began < 30, "the other side keeps silent for a minute"
    return caught.value


def test_the_fake_itself_runs_a_command(
    settings: Ssh, start_fake: Callable[[str], tuple[FakeSshd, Host]]
) -> None:
    fake, host = start_fake("")
    assert SshClient(settings).run(host, "true").stdout == "done\n"
    assert fake.commands == [b"true"]


def test_a_refused_connection_is_unreachable(settings: Ssh) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = refused(settings, at(taken.getsockname()[1]))
    assert isinstance(error, SshUnreachable)
    assert "node-1 (nobody@127.0.0.1:" in str(error)
    assert "Unable to connect" in str(error)


def test_a_black_holed_host_is_unreachable_within_the_deadline(settings: Ssh) -> None:
    with contextlib.ExitStack() as full:
        listener = full.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = full.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        error = refused(settings, at(listener.getsockname()[1]))
    assert isinstance(error, SshUnreachable)
    assert "timed out" in str(error)


def test_a_name_that_does_not_exist_is_unreachable(settings: Ssh) -> None:
    error = refused(settings, Host("node-1", "x:1", "nowhere.invalid", {}))
    assert isinstance(error, SshUnreachable)


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..b"])
def test_a_name_that_cannot_be_a_name_is_unreachable(settings: Ssh, name: str) -> None:
    assert isinstance(refused(settings, Host("node-1", "x:1", name, {})), SshUnreachable)


@pytest.mark.parametrize(
    "line", [b"", b"220 mail.example ESMTP\r\n", b"SSH-2.0-half\r\n"], ids=repr
)
def test_a_banner_that_never_comes_is_unreachable_within_the_deadline(
    settings: Ssh, line: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted = []

        def serve() -> None:
            connection, _ = listener.accept()
            accepted.append(connection)
            with contextlib.suppress(OSError):
                connection.sendall(line)

        thread = threading.Thread(target=serve)
        thread.start()
        error = refused(settings, at(listener.getsockname()[1]))
        thread.join()
        for connection in accepted:
            connection.close()
    assert isinstance(error, SshUnreachable)


def test_another_host_key_is_a_mismatch_that_shows_both(sshd: Sshd, tmp_path: Path) -> None:
    other = keygen(tmp_path / "other").with_suffix(".pub").read_text()
    sshd.known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {other}")
    error = refused(sshd.settings(connect_timeout=SHORT), sshd.host)
    assert isinstance(error, HostKeyMismatch)
    assert error.outcome is Outcome.HOST_KEY_MISMATCH
    assert fingerprint(sshd.host_key) in str(error)
    assert fingerprint(tmp_path / "other") in str(error)
    assert "find out why before anything else" in str(error)


def fingerprint(key: Path) -> str:
    return paramiko.PKey.from_path(key).fingerprint


def test_an_unknown_host_key_is_a_mismatch_and_the_message_tells_how_to_add_it(
    sshd: Sshd,
) -> None:
    sshd.known_hosts.unlink()
    error = refused(sshd.settings(), sshd.host)
    assert isinstance(error, HostKeyMismatch)
    assert fingerprint(sshd.host_key) in str(error)
    told = re.search(r"(ssh-keyscan .+) >> (\S+)$", str(error))
    assert told is not None
    added = subprocess.run(shlex.split(told[1]), check=True, capture_output=True).stdout
    Path(told[2]).write_bytes(added)
    assert SshClient(sshd.settings()).run(sshd.host, "true").exit_code == 0


def test_only_known_kinds_of_host_key_are_asked_for(
    start_sshd: Callable[..., Sshd], tmp_path: Path
) -> None:
    """An sshd that prefers a key of a kind that known_hosts has not is no mismatch."""
    known = keygen(tmp_path / "rsa", "rsa")
    sshd = start_sshd(options={"HostKey": str(known)})
    with_both = start_sshd(
        options={"HostKey": f"{sshd.host_key}\nHostKey {known}", "PidFile": "none"}
    )
    public = known.with_suffix(".pub").read_text()
    with_both.known_hosts.write_text(f"[127.0.0.1]:{with_both.port} {public}")
    assert SshClient(with_both.settings()).run(with_both.host, "true").exit_code == 0


def test_a_revoked_host_key_is_refused(sshd: Sshd) -> None:
    text = sshd.known_hosts.read_text()
    sshd.known_hosts.write_text(text + f"@revoked * {text.split(' ', 1)[1]}")
    assert isinstance(refused(sshd.settings(), sshd.host), HostKeyMismatch)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_a_refused_key_of_any_kind_is_auth_failed(sshd: Sshd, tmp_path: Path, kind: str) -> None:
    stranger = keygen(tmp_path / "stranger", kind)
    error = refused(sshd.settings(identity_file=stranger), sshd.host)
    assert isinstance(error, SshAuthFailed)
    assert error.outcome is Outcome.SSH_AUTH_FAILED
    assert "sshd refused 1 key(s): Authentication failed" in str(error)


def test_an_account_that_does_not_exist_is_auth_failed(sshd: Sshd) -> None:
    assert isinstance(refused(sshd.settings(user="no-such-user"), sshd.host), SshAuthFailed)


def test_an_sshd_that_wants_a_password_is_auth_failed(
    start_sshd: Callable[..., Sshd],
) -> None:
    sshd = start_sshd(options={"PubkeyAuthentication": "no", "PasswordAuthentication": "yes"})
    assert isinstance(refused(sshd.settings(), sshd.host), SshAuthFailed)


def test_an_sshd_that_wants_a_key_and_a_password_is_auth_failed(
    start_sshd: Callable[..., Sshd],
) -> None:
    sshd = start_sshd(
        options={
            "AuthenticationMethods": "publickey,password",
            "PasswordAuthentication": "yes",
        }
    )
    error = refused(sshd.settings(), sshd.host)
    assert isinstance(error, SshAuthFailed)
    assert "sshd wants more than a key" in str(error)


def test_no_key_at_all_is_auth_failed(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    error = refused(sshd.settings(identity_file=None), sshd.host)
    assert isinstance(error, SshAuthFailed)
    assert "no key to offer; set ssh.identity_file or run ssh-agent" in str(error)


@pytest.mark.parametrize("kind", ["missing", "encrypted", "not a key"])
def test_an_identity_file_that_cannot_be_used_is_named(
    sshd: Sshd, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "identity"
    if kind == "encrypted":
        subprocess.run(["ssh-keygen", "-q", "-N", "secret", "-f", file], check=True)
    elif kind == "not a key":
        file.write_text("hello\n")
    error = refused(sshd.settings(identity_file=file), sshd.host)
    assert isinstance(error, SshAuthFailed)
    assert f"identity_file {file} cannot be used" in str(error)


def test_an_authentication_that_is_not_answered_is_unreachable(
    settings: Ssh, start_fake: Callable[[str], tuple[FakeSshd, Host]]
) -> None:
    _, host = start_fake("auth")
    error = refused(settings, host)
    assert isinstance(error, SshUnreachable)
    assert "no answer to the authentication" in str(error)


def test_an_sshd_that_allows_no_session_is_unreachable(start_sshd: Callable[..., Sshd]) -> None:
    sshd = start_sshd(options={"MaxSessions": "0"})
    error = refused(sshd.settings(), sshd.host)
    assert isinstance(error, SshUnreachable)
    assert "sshd opened no channel" in str(error)


def test_a_channel_that_never_opens_is_unreachable_within_the_deadline(
    settings: Ssh, start_fake: Callable[[str], tuple[FakeSshd, Host]]
) -> None:
    _, host = start_fake("channel")
    error = refused(settings, host)
    assert isinstance(error, SshUnreachable)
    assert "sshd opened no channel within 0.7 s: Timeout opening channel." in str(error)


def test_a_command_whose_request_is_not_answered_is_lost_at_its_deadline(
    settings: Ssh, start_fake: Callable[[str], tuple[FakeSshd, Host]]
) -> None:
    fake, host = start_fake("exec")
    began = time.monotonic()
    with pytest.raises(CommandLost):
        SshClient(settings).run(host, "restart", timeout_seconds=0.5)
    assert time.monotonic() - began < 30, "it is not answered for a minute"
    assert fake.commands == [b"restart"]


def ended(pidfile: Path) -> None:
    """End what a lost command left running."""
    wait_until("the command writes its id", lambda: pidfile.exists() and bool(pidfile.read_text()))
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pidfile.read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    "command", ["exec sleep 60", "exec yes", "exec >&- 2>&-; exec sleep 60"], ids=str
)
def test_a_command_that_does_not_end_is_lost_at_its_deadline(
    sshd: Sshd, tmp_path: Path, command: str
) -> None:
    pidfile = tmp_path / "pid"
    began = time.monotonic()
    try:
        with pytest.raises(CommandLost, match="its end not seen within 1 s") as caught:
            SshClient(sshd.settings()).run(
                sshd.host, f"echo $$ >{pidfile}; {command}", timeout_seconds=1
            )
        assert time.monotonic() - began < 30, "it runs for a minute"
        assert caught.value.outcome is Outcome.COMMAND_FAILED
    finally:
        ended(pidfile)


def test_a_connection_closed_in_the_middle_of_a_read_is_a_lost_command(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found: a reader that asked for more just then ended the whole run by an error of its own."""
    receive = paramiko.Channel.recv
    reads = 0

    def closed_meanwhile(channel: paramiko.Channel, size: int) -> bytes:
        nonlocal reads
        reads += 1
        if reads > 2:
            channel.get_transport().close()
            raise EOFError
        return bytes(receive(channel, size))

    monkeypatch.setattr(paramiko.Channel, "recv", closed_meanwhile)
    with pytest.raises(CommandLost, match="its end not seen"):
        SshClient(sshd.settings()).run(sshd.host, "exec yes", timeout_seconds=20)
    assert reads > 2


def test_a_connection_cut_after_the_command_took_effect_is_lost(sshd: Sshd, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(CommandLost, match="without an exit status"):
        SshClient(sshd.settings()).run(sshd.host, f"touch {marker}; kill -9 $PPID; sleep 1")
    assert marker.exists()


def test_a_connection_cut_before_the_command_took_effect_is_lost(
    sshd: Sshd, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(CommandLost, match="it may still run: look at the host"):
        SshClient(sshd.settings()).run(sshd.host, f"kill -9 $PPID; exit; touch {marker}")
    assert not marker.exists()


def test_a_command_that_is_killed_is_lost(sshd: Sshd) -> None:
    with pytest.raises(CommandLost, match="or it was killed"):
        SshClient(sshd.settings()).run(sshd.host, "kill -9 $$")


def test_a_config_file_that_is_not_there_is_named(sshd: Sshd, tmp_path: Path) -> None:
    error = refused(sshd.settings(config_file=tmp_path / "none"), sshd.host)
    assert isinstance(error, SshUnreachable)
    assert f"ssh.config_file {tmp_path / 'none'} is not there" in str(error)
