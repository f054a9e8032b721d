"""Files over a real sshd's SFTP."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from responder.adapters.ssh import FetchResult, SshClient
from responder.errors import SshError
from tests.integration.adapters.neighbours import Sshd

pytestmark = pytest.mark.integration


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    file = tmp_path / "report with spaces; $(id)"
    file.write_bytes(bytes(range(256)) * 1000)
    return file


def test_a_file_comes_over_byte_for_byte(sshd: Sshd, remote: Path, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_text("an older one")
    client = SshClient(sshd.settings())
    result = client.fetch(sshd.host, str(remote), local, max_bytes=256_000, timeout_seconds=20)
    assert result == FetchResult(256_000, truncated=False)
    assert local.read_bytes() == remote.read_bytes()


def test_a_larger_file_is_cut_at_the_cap(sshd: Sshd, remote: Path, tmp_path: Path) -> None:
    local = tmp_path / "local"
    client = SshClient(sshd.settings())
    result = client.fetch(sshd.host, str(remote), local, max_bytes=100_001, timeout_seconds=20)
    assert result == FetchResult(100_001, truncated=True)
    assert local.read_bytes() == remote.read_bytes()[:100_001]


@pytest.mark.parametrize("path", ["/nowhere", "/", "/dev/zero"])
def test_what_is_no_file_is_an_error_and_leaves_nothing(
    sshd: Sshd, tmp_path: Path, path: str
) -> None:
    local = tmp_path / "local"
    with pytest.raises(SshError, match=f"{path} was not fetched"):
        SshClient(sshd.settings()).fetch(sshd.host, path, local, max_bytes=1000, timeout_seconds=20)
    assert [file.name for file in tmp_path.glob("local*")] == []


def test_a_pipe_is_not_waited_for(sshd: Sshd, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    with pytest.raises(SshError, match="not a regular file"):
        SshClient(sshd.settings()).fetch(
            sshd.host, str(tmp_path / "pipe"), tmp_path / "local", max_bytes=9, timeout_seconds=20
        )
    assert time.monotonic() - began < 10
