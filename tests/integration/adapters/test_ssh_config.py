"""What ssh_config and ssh-agent have a say in: aliases, jump hosts, proxies, keys."""

from __future__ import annotations

import dataclasses
import functools
import getpass
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.stack.processes import ENDING_WITH_US, wait_until
from memleash_responder.adapters.ssh.client import SshClient
from memleash_responder.core.facts import Host
from memleash_responder.errors import HostKeyMismatch, SshAuthFailed, SshUnreachable
from memleash_responder.settings import Ssh
from memleash_toolkit.values import Duration
from tests.integration.adapters.neighbours import Sshd, children, keygen
from tests.support.clean_environment import has_ipv6

pytestmark = pytest.mark.integration
ALIAS = Host("node-1", "127.0.0.1:1", "node-1-alias", {"host": "node-1"})
StartSshd = Callable[..., Sshd]


def configured(sshd: Sshd, text: str, **changes: object) -> Ssh:
    sshd.known_hosts.with_name("ssh_config").write_text(text)
    return sshd.settings(**changes)


def target(sshd: Sshd) -> str:
    return f"Host node-1-alias\n  HostName 127.0.0.1\n  Port {sshd.port}\n"


def sessions(sshd: Sshd) -> int:
    return len(re.findall("Accepted publickey", sshd.program.log.read_text()))


def trust_all(first: Sshd, *others: Sshd) -> None:
    """Have every sshd take the first one's user key, and know every host's key."""
    for other in others:
        key = first.user_key.with_suffix(".pub").read_text()
        other.known_hosts.with_name("authorized_keys").write_text(key)
    first.known_hosts.write_text("".join(one.known_hosts.read_text() for one in (first, *others)))


def test_an_alias_of_ssh_config_may_be_the_address(sshd: Sshd) -> None:
    user = getpass.getuser()
    text = f"{target(sshd)}  User {user}\n  IdentityFile {sshd.user_key}\n  IdentitiesOnly yes\n"
    settings = configured(sshd, text, user=None, identity_file=None)
    assert SshClient(settings).run(ALIAS, "echo ok").stdout == "ok\n"


def test_match_blocks_are_honoured(sshd: Sshd) -> None:
    text = f"Match originalhost node-1-alias\n  HostName 127.0.0.1\n  Port {sshd.port}\n"
    assert SshClient(configured(sshd, text)).run(ALIAS, "true").exit_code == 0


def test_a_certificate_beside_the_key_is_offered(start_sshd: StartSshd, tmp_path: Path) -> None:
    authority = keygen(tmp_path / "ca")
    options = {"TrustedUserCAKeys": f"{authority}.pub", "AuthorizedKeysFile": "none"}
    sshd = start_sshd(options=options)
    with pytest.raises(SshAuthFailed):
        SshClient(sshd.settings()).run(sshd.host, "true")
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "memleash", "-n", getpass.getuser()]
    subprocess.run([*sign, f"{sshd.user_key}.pub"], check=True)
    assert SshClient(sshd.settings()).run(sshd.host, "true").exit_code == 0


def test_our_user_wins_over_ssh_configs(sshd: Sshd) -> None:
    settings = configured(sshd, f"{target(sshd)}  User no-such-user\n")
    assert SshClient(settings).run(ALIAS, "true").exit_code == 0


def test_our_port_wins_over_ssh_configs(sshd: Sshd) -> None:
    text = "Host node-1-alias\n  HostName 127.0.0.1\n  Port 1\n"
    settings = configured(sshd, text, port=sshd.port)
    assert SshClient(settings).run(ALIAS, "true").exit_code == 0


@pytest.mark.skipif(not has_ipv6(), reason="not run: this machine has no IPv6")
@pytest.mark.parametrize("form", ["[::1]:{port}", "::1"])
def test_an_ipv6_address_is_reached(start_sshd: StartSshd, form: str) -> None:
    sshd = start_sshd(address="::1")
    host = dataclasses.replace(sshd.host, ssh_address=form.format(port=sshd.port))
    assert SshClient(sshd.settings(port=sshd.port)).run(host, "true").exit_code == 0


def test_a_missing_key_of_ssh_config_does_not_hide_the_next(sshd: Sshd, tmp_path: Path) -> None:
    text = f"{target(sshd)}  IdentityFile {tmp_path}/none\n  IdentityFile {sshd.user_key}\n"
    settings = configured(sshd, text, identity_file=None)
    assert SshClient(settings).run(ALIAS, "true").exit_code == 0


def test_a_host_key_alias_is_the_name_in_known_hosts(sshd: Sshd) -> None:
    key = sshd.known_hosts.read_text().split(" ", 1)[1]
    sshd.known_hosts.write_text(f"the-real-node {key}")
    settings = configured(sshd, f"{target(sshd)}  HostKeyAlias the-real-node\n")
    assert SshClient(settings).run(ALIAS, "true").exit_code == 0


def test_known_hosts_may_be_hashed(sshd: Sshd) -> None:
    command = ["ssh-keygen", "-q", "-H", "-f", str(sshd.known_hosts)]
    subprocess.run(command, check=True, capture_output=True)
    assert "127.0.0.1" not in sshd.known_hosts.read_text()
    assert SshClient(sshd.settings()).run(sshd.host, "true").exit_code == 0


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A real ssh-agent, with no keys yet."""
    socket = tmp_path / "agent.sock"
    process = subprocess.Popen(
        [*ENDING_WITH_US, "ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL
    )
    try:
        wait_until("ssh-agent to listen", socket.exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        monkeypatch.setenv("HOME", str(tmp_path))
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("agent")
def test_a_key_of_the_agent_is_offered(sshd: Sshd, tmp_path: Path) -> None:
    for key in (keygen(tmp_path / "stranger"), sshd.user_key):
        subprocess.run(["ssh-add", "-q", key], check=True)
    settings = sshd.settings(identity_file=None)
    assert SshClient(settings).run(sshd.host, "true").exit_code == 0


@pytest.mark.usefixtures("agent")
def test_the_agent_is_left_alone_where_an_identity_file_is_set(sshd: Sshd, tmp_path: Path) -> None:
    subprocess.run(["ssh-add", "-q", sshd.user_key], check=True)
    settings = sshd.settings(identity_file=keygen(tmp_path / "stranger"))
    with pytest.raises(SshAuthFailed, match=r"refused 1 key\(s\)"):
        SshClient(settings).run(sshd.host, "true")


def test_jump_hosts_are_visited_in_the_order_given(start_sshd: StartSshd) -> None:
    end, first, second = (start_sshd(options={"LogLevel": "DEBUG1"}) for _ in range(3))
    trust_all(end, first, second)
    jumps = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
    settings = configured(end, f"{target(end)}  ProxyJump {jumps}\n")
    assert SshClient(settings).run(ALIAS, "echo through").stdout == "through\n"
    assert [sessions(one) for one in (first, second, end)] == [1, 1, 1]
    assert asked_to_open(first) == [second.port]
    assert asked_to_open(second) == [end.port]
    for one in (first, second, end):
        wait_until("every session is ended", functools.partial(ended, one))


def asked_to_open(sshd: Sshd) -> list[int]:
    """Return the ports that sshd's log says it was asked to connect to."""
    log = sshd.program.log.read_text()
    return [int(port) for port in re.findall(r"direct_tcpip: .* target \S+ port (\d+)", log)]


def ended(sshd: Sshd) -> bool:
    return not children(sshd.program.pid)


def test_a_jump_host_may_be_an_alias_with_its_own_jump_host(start_sshd: StartSshd) -> None:
    end, near, far = start_sshd(), start_sshd(), start_sshd()
    trust_all(end, near, far)
    text = (
        f"{target(end)}  ProxyJump far\n"
        f"Host far\n  HostName 127.0.0.1\n  Port {far.port}\n  ProxyJump near\n"
        f"Host near\n  HostName 127.0.0.1\n  Port {near.port}\n"
    )
    assert SshClient(configured(end, text)).run(ALIAS, "true").exit_code == 0
    assert [sessions(one) for one in (near, far, end)] == [1, 1, 1]


def test_a_jump_host_that_the_wildcard_names_too_is_not_its_own_jump_host(
    start_sshd: StartSshd,
) -> None:
    end, jump = start_sshd(), start_sshd()
    trust_all(end, jump)
    text = (
        f"{target(end)}Host jump\n  HostName 127.0.0.1\n  Port {jump.port}\n"
        "Host *\n  ProxyJump jump\n"
    )
    assert SshClient(configured(end, text)).run(ALIAS, "true").exit_code == 0
    assert sessions(jump) == 1


def test_a_jump_host_may_allow_no_more_than_the_way_through(start_sshd: StartSshd) -> None:
    end, jump = start_sshd(), start_sshd()
    trust_all(end, jump)
    authorized = jump.known_hosts.with_name("authorized_keys")
    allowed = f'restrict,port-forwarding,permitopen="127.0.0.1:{end.port}" '
    authorized.write_text(allowed + authorized.read_text())
    settings = configured(end, f"{target(end)}  ProxyJump 127.0.0.1:{jump.port}\n")
    assert SshClient(settings).run(ALIAS, "true").exit_code == 0


def test_proxy_jump_none_is_no_host(sshd: Sshd) -> None:
    settings = configured(sshd, f"{target(sshd)}  ProxyJump none\nHost *\n  ProxyJump nowhere\n")
    assert SshClient(settings).run(ALIAS, "true").exit_code == 0


def test_the_jump_hosts_key_is_checked_too(start_sshd: StartSshd) -> None:
    end, jump = start_sshd(), start_sshd()
    trust_all(end, jump)
    lines = end.known_hosts.read_text().splitlines(keepends=True)
    end.known_hosts.write_text(lines[0])
    settings = configured(end, f"{target(end)}  ProxyJump 127.0.0.1:{jump.port}\n")
    with pytest.raises(HostKeyMismatch, match=rf"has no key for \[127.0.0.1\]:{jump.port}"):
        SshClient(settings).run(ALIAS, "true")
    assert sessions(jump) == 0


def test_a_jump_host_that_cannot_reach_the_host_is_unreachable(start_sshd: StartSshd) -> None:
    end, jump = start_sshd(), start_sshd()
    trust_all(end, jump)
    text = f"{target(end)}  ProxyJump 127.0.0.1:{jump.port}\n".replace(f"Port {end.port}", "Port 1")
    with pytest.raises(SshUnreachable, match="no SSH session"):
        SshClient(configured(end, text)).run(ALIAS, "true")


RELAY = """\
import os, socket, sys, threading
open(sys.argv[1], "w").write(str(os.getpid()))
peer = socket.create_connection((sys.argv[2], int(sys.argv[3])))
def to_peer():
    while data := os.read(0, 65536):
        peer.sendall(data)
threading.Thread(target=to_peer, daemon=True).start()
while data := peer.recv(65536):
    os.write(1, data)
"""


@pytest.fixture
def relay(tmp_path: Path) -> str:
    """A ProxyCommand that carries bytes and leaves its process id."""
    script = tmp_path / "relay.py"
    script.write_text(RELAY)
    return f"{sys.executable} {script} {tmp_path / 'relay.pid'}"


def alive(pidfile: Path) -> bool:
    return Path(f"/proc/{pidfile.read_text()}").exists()


def test_a_proxy_command_carries_the_session_and_is_ended(
    sshd: Sshd, relay: str, tmp_path: Path
) -> None:
    settings = configured(sshd, f"{target(sshd)}  ProxyCommand {relay} %h %p\n")
    assert SshClient(settings).run(ALIAS, "echo through").stdout == "through\n"
    assert not alive(tmp_path / "relay.pid")


def test_a_proxy_command_is_told_the_port_that_the_inventory_gives(sshd: Sshd, relay: str) -> None:
    settings = configured(sshd, f"Host *\n  ProxyCommand {relay} %h %p\n")
    assert SshClient(settings).run(sshd.host, "echo through").stdout == "through\n"


def test_a_proxy_command_that_ends_is_unreachable_at_once(sshd: Sshd) -> None:
    settings = configured(sshd, f"{target(sshd)}  ProxyCommand false\n")
    with pytest.raises(SshUnreachable):
        SshClient(settings).run(ALIAS, "true")


def test_a_proxy_command_that_hangs_is_unreachable_at_the_deadline_and_ended(
    sshd: Sshd, tmp_path: Path
) -> None:
    pidfile = tmp_path / "pid"
    proxy = tmp_path / "proxy"
    proxy.write_text(f"echo $$ >{pidfile}\nexec sleep 60\n")
    text = f"{target(sshd)}  ProxyCommand sh {proxy}\n"
    settings = configured(sshd, text, connect_timeout=Duration(0.7))
    with pytest.raises(SshUnreachable):
        SshClient(settings).run(ALIAS, "true")
    assert not Path(f"/proc/{pidfile.read_text().strip()}").exists()


def test_fabric_is_kept_from_reading_programs_as_its_configuration(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".fabric.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    assert SshClient(sshd.settings()).run(sshd.host, "true").exit_code == 0
    assert not (tmp_path / "ran").exists()
