"""Commands over a real sshd: what comes back, and when the last look is taken."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.stack.processes import wait_until
from memleash_responder.adapters.ssh.client import SshClient
from memleash_responder.errors import SshUnreachable
from memleash_toolkit.values import Duration
from tests.integration.adapters.neighbours import (
    Sshd,
    children,
    open_sessions,
    sudo_with_requiretty,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def client(sshd: Sshd) -> SshClient:
    return SshClient(sshd.settings())


def test_output_and_exit_code_come_back_apart(client: SshClient, sshd: Sshd) -> None:
    result = client.run(sshd.host, "echo out; echo err >&2; exit 3")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert not result.truncated
    assert 0 < result.duration_seconds < 60


def test_a_command_that_is_not_there_is_a_result_and_no_exception(
    client: SshClient, sshd: Sshd
) -> None:
    result = client.run(sshd.host, "no-such-command-here")
    assert result.exit_code == 127
    assert "no-such-command-here" in result.stderr


def test_ten_megabytes_of_each_stream_are_read_and_64_kib_kept(
    client: SshClient, sshd: Sshd
) -> None:
    noise = "head -c 10000000 /dev/zero | tr '\\0' "
    result = client.run(sshd.host, f"{noise} o; {noise} e >&2; exit 1", timeout_seconds=60)
    assert result.exit_code == 1
    assert result.stdout == "o" * 65536
    assert result.stderr == "e" * 65536
    assert result.truncated


def test_exactly_64_kib_are_not_truncated(client: SshClient, sshd: Sshd) -> None:
    result = client.run(sshd.host, "head -c 65536 /dev/zero | tr '\\0' o")
    assert len(result.stdout) == 65536
    assert not result.truncated


def test_bytes_that_are_no_text_do_no_harm(client: SshClient, sshd: Sshd) -> None:
    result = client.run(sshd.host, r"printf 'a\377\000b'")
    assert result.stdout == "a\ufffd\ufffdb"


def test_stdin_reaches_the_command_and_ends(client: SshClient, sshd: Sshd) -> None:
    assert client.run(sshd.host, "cat", stdin=b"x" * 50_000).stdout == "x" * 50_000


def test_a_command_reads_nothing_where_no_stdin_is_given(client: SshClient, sshd: Sshd) -> None:
    assert client.run(sshd.host, "cat").exit_code == 0


def test_stdin_that_nobody_reads_is_no_error(client: SshClient, sshd: Sshd) -> None:
    assert client.run(sshd.host, "exit 4", stdin=b"x" * 1_000_000).exit_code == 4


def test_a_child_that_keeps_the_output_open_is_not_waited_for(
    client: SshClient, sshd: Sshd, tmp_path: Path
) -> None:
    pidfile = tmp_path / "pid"
    try:
        result = client.run(sshd.host, f"sleep 60 & echo $! >{pidfile}; echo started")
        assert (result.exit_code, result.stdout) == (0, "started\n")
        assert result.duration_seconds < 30
    finally:
        os.kill(int(pidfile.read_text()), 9)


def test_a_command_that_closes_its_output_is_still_waited_for(
    client: SshClient, sshd: Sshd
) -> None:
    result = client.run(sshd.host, "exec >&- 2>&-; sleep 0.5; exit 5")
    assert result.exit_code == 5
    assert result.duration_seconds > 0.4


def test_the_last_look_comes_after_the_session_and_before_the_command(
    client: SshClient, sshd: Sshd, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"

    def look() -> None:
        assert children(sshd.program.pid), "there must be a session"
        assert not marker.exists(), "the command must not have run"
        marker.touch()

    assert client.run(sshd.host, f"test -e {marker}", before_command=look).exit_code == 0


@pytest.mark.parametrize(("pty", "exit_code"), [(False, 1), (True, 0)])
def test_a_command_gets_a_terminal_where_one_is_asked_for(
    sshd: Sshd, pty: bool, exit_code: int
) -> None:
    result = SshClient(sshd.settings(pty=pty)).run(sshd.host, "tty; test -t 0 && test -t 1")
    assert result.exit_code == exit_code
    assert result.stdout.startswith("/dev/" if pty else "not a tty")


def test_a_sudo_with_requiretty_runs_on_a_terminal_alone(sshd: Sshd, tmp_path: Path) -> None:
    command = f"{sudo_with_requiretty(tmp_path)} echo ran"
    refused = SshClient(sshd.settings()).run(sshd.host, command)
    assert refused.exit_code == 1
    assert refused.stderr == "sudo: sorry, you must have a tty to run sudo\n"
    assert refused.lacked_terminal
    ran = SshClient(sshd.settings(pty=True)).run(sshd.host, command)
    assert (ran.exit_code, ran.stdout) == (0, "ran\r\n")
    assert not ran.lacked_terminal


def test_what_is_sent_to_a_command_never_passes_a_terminal(sshd: Sshd) -> None:
    binary = bytes(range(256)) * 100
    result = SshClient(sshd.settings(pty=True)).run(sshd.host, "cksum", stdin=binary)
    own = subprocess.run(["cksum"], input=binary, capture_output=True, check=True)
    assert result.stdout == own.stdout.decode()


def test_a_terminal_that_the_key_may_not_have_is_unreachable_and_named(sshd: Sshd) -> None:
    authorized = sshd.known_hosts.with_name("authorized_keys")
    authorized.write_text(f"restrict {authorized.read_text()}")
    with pytest.raises(SshUnreachable, match="give a key with `restrict` also `pty`"):
        SshClient(sshd.settings(pty=True)).run(sshd.host, "true")


class SecondThought(Exception):
    pass


def test_a_second_thought_goes_through_and_nothing_is_sent(
    client: SshClient, sshd: Sshd, tmp_path: Path
) -> None:
    def refuse() -> None:
        raise SecondThought

    with pytest.raises(SecondThought):
        client.run(sshd.host, f"touch {tmp_path / 'marker'}", before_command=refuse)
    wait_until("the session ends", lambda: not children(sshd.program.pid))
    assert not (tmp_path / "marker").exists()


def test_a_connection_lost_during_the_last_look_sends_nothing(
    client: SshClient, sshd: Sshd, tmp_path: Path
) -> None:
    def die() -> None:
        sshd.cut()
        wait_until("the client sees that the connection is cut", lambda: not open_sessions())

    with pytest.raises(SshUnreachable, match="the connection was lost before the command"):
        client.run(sshd.host, f"touch {tmp_path / 'marker'}", before_command=die)
    assert not (tmp_path / "marker").exists()


def test_many_threads_run_commands_at_once(sshd: Sshd) -> None:
    client = SshClient(sshd.settings(connect_timeout=Duration(30)))
    said: dict[int, str] = {}

    def run(number: int) -> None:
        said[number] = client.run(sshd.host, f"echo {number}", timeout_seconds=60).stdout

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: f"{number}\n" for number in range(8)}


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_every_kind_of_host_key_is_checked_and_accepted(
    start_sshd: Callable[..., Sshd], kind: str
) -> None:
    sshd = start_sshd(host_key_type=kind)
    assert SshClient(sshd.settings()).run(sshd.host, "true").exit_code == 0


def test_the_documented_forced_command_knows_its_words_and_no_others(
    start_sshd: Callable[..., Sshd], tmp_path: Path
) -> None:
    page = Path(__file__).parents[3] / "docs" / "ssh.md"
    documented = re.search(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    assert documented
    forced = program(tmp_path / "memleash-restart", documented[1])
    program(tmp_path / "sudo", '#!/bin/sh\necho "sudo $*"\n')
    sshd = start_sshd(options={"SetEnv": f"PATH={tmp_path}:/usr/bin:/bin"})
    authorized = sshd.known_hosts.with_name("authorized_keys")
    authorized.write_text(f'restrict,command="{forced}" {authorized.read_text()}')
    client = SshClient(sshd.settings())
    allowed = client.run(sshd.host, "restart zstack-kvmagent")
    assert allowed.stdout == "sudo -n systemctl restart zstack-kvmagent.service\n"
    for other in ("id", "restart zstack-kvmagent; id", "restart other"):
        refused = client.run(sshd.host, other)
        assert (refused.exit_code, refused.stderr) == (126, f"refused: {other}\n")


def program(file: Path, text: str) -> Path:
    file.write_text(text)
    file.chmod(0o755)
    return file
