"""Which lines of known_hosts count for a host, compared with ssh-keygen where it has a say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import paramiko
import pytest

from memleash_responder.adapters.ssh.known_hosts import entry_name, lookup

KEYS = {
    name: paramiko.ECDSAKey.generate(bits=bits)
    for name, bits in {"one": 256, "two": 256, "long": 521}.items()
}


def line(names: str, key: str = "one", marker: str = "") -> str:
    shown = KEYS[key]
    return f"{marker} {names} {shown.get_name()} {shown.get_base64()} a comment\n".lstrip()


def found(tmp_path: Path, text: str, name: str) -> list[str]:
    file = tmp_path / "known_hosts"
    file.write_text(text)
    keys = lookup([file], name)
    return [label for label, key in KEYS.items() if key in keys]


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [("Node-1", 22, "node-1"), ("Node-1", 2222, "[node-1]:2222"), ("::1", 22, "::1")],
)
def test_a_host_is_named_with_its_port_unless_it_is_22(host: str, port: int, name: str) -> None:
    assert entry_name(host, port) == name


@pytest.mark.parametrize(
    ("names", "name", "counts"),
    [
        ("node-1", "node-1", True),
        ("NODE-1", "node-1", True),
        ("other,node-1", "node-1", True),
        ("node-1", "node-10", False),
        ("node-1", "[node-1]:2222", False),
        ("[node-1]:2222", "[node-1]:2222", True),
        ("*.example.org", "a.example.org", True),
        ("node-?", "node-1", True),
        ("*.example.org,!bad.example.org", "bad.example.org", False),
        ("!bad.example.org,*.example.org", "good.example.org", True),
        ("[*]:2222", "[node-1]:2222", True),
        ("node.1", "node-1", False),
    ],
)
def test_names_and_patterns_match_as_sshd_8_says(
    tmp_path: Path, names: str, name: str, counts: bool
) -> None:
    assert found(tmp_path, line(names), name) == (["one"] if counts else [])


@pytest.mark.parametrize("name", ["node-1", "[node-1]:2222"])
def test_names_that_ssh_keygen_hashed_match(tmp_path: Path, name: str) -> None:
    file = tmp_path / "hashed"
    file.write_text(line(name) + line("other", "two"))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert "node-1" not in file.read_text()
    assert lookup([file], name) == (KEYS["one"],)


def test_a_host_may_have_several_keys_of_one_type(tmp_path: Path) -> None:
    text = line("node-1") + line("node-1", "two") + line("node-1", "long")
    assert found(tmp_path, text, "node-1") == ["one", "two", "long"]


def test_a_revoked_key_does_not_count_even_where_it_is_listed(tmp_path: Path) -> None:
    text = line("node-1") + line("node-1", "two") + line("*", "one", marker="@revoked")
    assert found(tmp_path, text, "node-1") == ["two"]


def test_a_certificate_authority_is_not_a_host_key(tmp_path: Path) -> None:
    assert found(tmp_path, line("*", marker="@cert-authority"), "node-1") == []


def test_lines_that_cannot_be_read_hide_no_others(tmp_path: Path) -> None:
    broken = (
        "# node-1 ssh-rsa AAAA\n\nnode-1\nnode-1 ssh-ed25519 %%%\nnode-1 ssh-ed25519 AAAA\n"
        "node-1 sk-ssh-ed25519@openssh.com AAAA\n|1|x node-1 y\n|1|%|% ssh-ed25519 AAAA\n\xff\n"
    )
    assert found(tmp_path, broken + line("node-1"), "node-1") == ["one"]


def test_files_that_are_not_there_hold_no_keys(tmp_path: Path) -> None:
    assert lookup([tmp_path / "none"], "node-1") == ()


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        lookup([tmp_path], "node-1")
