"""Messages through the real Apprise, to a webhook that answers well, badly, or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memleash_responder.adapters.notifier import send
from memleash_responder.errors import NoticeNotSent
from tests.contract.adapters.peer import Peer, Raw, Reply

pytestmark = pytest.mark.integration


@pytest.fixture
def webhook() -> Iterator[Peer]:
    with Peer().running() as peer:
        yield peer


def url_file(folder: Path, url: str) -> Path:
    file = folder / "oncall.url"
    file.write_text(f"{url}\nand a comment\n")
    return file


def test_a_message_arrives(webhook: Peer, tmp_path: Path) -> None:
    file = url_file(tmp_path, f"json://user:s3cr3t@127.0.0.1:{webhook.port}/hook")
    send(file, "memleash: failed", "über\nzwei Zeilen", 10)
    (asked,) = webhook.asked
    told = json.loads(asked.body)
    assert (asked.method, asked.path) == ("POST", "/hook")
    assert (told["title"], told["message"]) == ("memleash: failed", "über\nzwei Zeilen")


def test_a_webhook_that_refuses_is_an_error_that_hides_the_url(
    webhook: Peer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.answer = lambda _: Reply(503)
    file = url_file(tmp_path, f"json://user:s3cr3t@127.0.0.1:{webhook.port}/hook")
    with pytest.raises(NoticeNotSent) as caught:
        send(file, "t", "b", 10)
    assert "s3cr3t" not in str(caught.value) + caplog.text


def test_a_webhook_that_hangs_holds_nobody_up_for_long(webhook: Peer, tmp_path: Path) -> None:
    webhook.answer = lambda _: Raw(b"", hang=True)
    file = url_file(tmp_path, f"json://127.0.0.1:{webhook.port}/")
    began = time.monotonic()
    with pytest.raises(NoticeNotSent):
        send(file, "t", "b", 0.5)
    assert time.monotonic() - began < 50


@pytest.mark.parametrize("url", ["", "nonsense", "gopher://x/", "json://"])
def test_what_is_no_url_is_an_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(NoticeNotSent, match="is no Apprise URL"):
        send(url_file(tmp_path, url), "t", "b", 1)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoticeNotSent, match="cannot be read"):
        send(tmp_path / "none", "t", "b", 1)
