"""Every command against servers that are not the responder: one line and a documented code."""

from __future__ import annotations

import datetime
import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from memleash_responder.ctl import answers
from memleash_responder.ctl.answers import NotUnderstood, understood
from memleash_responder.ctl.errors import Exit
from memleash_responder.ctl.main import CLOSED_PIPE, cli, run
from memleash_responder.usecases import overview
from memleash_responder.usecases.shown_steps import StepProgress
from memleash_responder.web.api import models
from memleash_responder.web.api.json_schema import components
from tests.contract.ctl.server import Server, http

DOCS = Path(__file__).parents[3] / "docs/memleashctl.md"
LOGIN = b"<!DOCTYPE html><html><form action=/login>\xff</form></html>"
PROBLEM = json.dumps({"title": "no", "status": 503, "detail": "the database is gone"}).encode()
KEYS = ("hosts", "mutes", "quarantine", "restarts", "reports", "pauses", "id")
JSON = "Content-Type: application/json\r\n"


def leaves(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that can be given, with its words."""
    for name, command in group.commands.items():
        if not isinstance(command, click.Group):
            yield (*path, name), command
            continue
        if command.invoke_without_command:
            yield (*path, name), command
        yield from leaves(command, *path, name)


COMMANDS = {" ".join(words): (words, command) for words, command in leaves(cli)}
VALUES = {"shell": "bash", "time": "20260101T000000Z", "files": "/dev/null"}


def line_of(name: str) -> list[str]:
    """Return the command with a value for each argument that it requires."""
    words, command = COMMANDS[name]
    required = [one for one in command.params if one.required]
    options = [f"{one.opts[0]}=x1" for one in required if isinstance(one, click.Option)]
    arguments = [one for one in required if isinstance(one, click.Argument)]
    return [*words, *options, *(VALUES.get(str(one.name), "x1") for one in arguments)]


STRANGERS = {
    "a login page": http(LOGIN),
    "nothing in 200": http(b""),
    "JSON null": http(b"null", head=JSON),
    "JSON text": http(b'"ok"', head=JSON),
    "a JSON number of many digits": http(b"9" * 5000, head=JSON),
    "a JSON list": http(b"[]", head=JSON),
    "a JSON object": http(b'{"status": "ok", "error": null}', head=JSON),
    "odd values": http(json.dumps({key: [7] for key in KEYS}).encode(), head=JSON),
    "nested JSON": http(b'{"a":' * 100_000, head=JSON),
    "a redirect": http(b"", "302 Found", "Location: http://127.0.0.1:1/login\r\n"),
    "a redirect to no URL": http(b"", "302 Found", "Location: http://[::1\r\n"),
    "a redirect to no text": http(b"", "302 Found")[:-2] + b"Location: /\xff\r\n\r\n",
    "a page not found": http(LOGIN, "404 Not Found"),
    "a proxy's error": http(LOGIN, "502 Bad Gateway"),
    "a responder without a database": http(PROBLEM, "503 Service Unavailable", JSON),
    "half an answer": http(b"{" + b" " * 1000)[:-500],
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a closed connection": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
    "chunks that are none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
}


@pytest.fixture(scope="module", params=STRANGERS)
def stranger(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(STRANGERS[request.param]).running() as server:
        yield server


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was complained, which is one line and the only thing said."""
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("memleashctl: ")
    assert line.isprintable()
    assert said.out == ""
    return line


def run_in(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, *words: str) -> int:
    monkeypatch.chdir(folder)
    config = folder / "ctl.yml"
    config.write_text("timeout: 20s", encoding="utf-8")
    return run(["--config.file", str(config), "--url", url, *words])


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_not_the_responder_is_3_and_one_line(
    stranger: Server,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = stranger.asked
    code = run_in(tmp_path, monkeypatch, stranger.url, *line_of(name))
    if stranger.asked == before:  # it needs no responder
        assert name.startswith(("check", "completion"))
        assert code in (Exit.DONE, Exit.NO)
        return
    assert code == Exit.UNREACHABLE
    assert stranger.url in one_line(capsys)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_what_is_not_allowed_is_4(
    name: str,
    status: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Server(http(LOGIN, status)).running() as server:
        code = run_in(tmp_path, monkeypatch, server.url, *line_of(name))
    if server.asked:
        assert code == Exit.NOT_ALLOWED
        assert "answered 40" in one_line(capsys)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_the_responder_refuses_is_1(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refusal = json.dumps({"title": "no", "status": 404, "detail": "no such\nthing"}).encode()
    with Server(http(refusal, "404 Not Found")).running() as server:
        code = run_in(tmp_path, monkeypatch, server.url, *line_of(name))
    if server.asked:
        assert code == Exit.NO
        assert one_line(capsys) == "memleashctl: no such\\nthing"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_responder_that_hangs_is_3_within_the_timeout(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("memleash_responder.ctl.hosts._RECONNECT_SECONDS", 0.2)
    config = tmp_path / "ctl.yml"
    config.write_text("timeout: 200ms", encoding="utf-8")
    with Server(None).running() as server:
        code = run(["--config.file", str(config), "--url", server.url, *line_of(name)])
    if server.asked:
        assert code == Exit.UNREACHABLE
        assert "no whole answer within 0.2 s" in one_line(capsys)


def test_a_login_page_is_no_json_to_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(http(b"{}")).running() as server:
        assert run_in(tmp_path, monkeypatch, server.url, "-o", "json", "status") == 3
    assert "version is missing in the answer" in one_line(capsys)


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_beyond_the_calendar_is_3(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = {"since": end, "total": 0, "restarts": [], "observed": [], "bought": []}
    with Server(http(json.dumps(summary).encode(), head=JSON)).running() as server:
        assert run_in(tmp_path, monkeypatch, server.url, "summary") == Exit.UNREACHABLE
    assert "since in the answer is no time" in one_line(capsys)


def test_pages_without_end_are_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(http(b'{"hosts": [], "next_offset": 0}')).running() as server:
        assert run_in(tmp_path, monkeypatch, server.url, "hosts") == Exit.UNREACHABLE
    assert "its pages have no end" in one_line(capsys)


def test_an_expired_certificate_is_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = trustme.CA()
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=yesterday).configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    config = tmp_path / "ctl.yml"
    config.write_text("tls_config: {ca_file: ca.pem}", encoding="utf-8")
    with Server(b"", tls).running() as server:
        code = run(["--config.file", str(config), "--url", server.url, "status"])
    assert code == Exit.UNREACHABLE
    assert "certificate has expired" in one_line(capsys)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_argument_that_is_not_utf_8_is_2(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = [word.replace("x1", "\udcff") for word in line_of(name)]
    if line == line_of(name):
        return
    with Server(http(LOGIN)).running() as server:
        code = run_in(tmp_path, monkeypatch, server.url, *line)
    assert (code, server.asked) == (Exit.USAGE, 0)
    assert "not UTF-8" in one_line(capsys)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["nonsense"], "No such command"),
        (["explain"], "Missing argument"),
        (["hosts", "--nope"], "No such option"),
        (["--url", "http://h:99999", "status"], "--url (MEMLEASH_URL) 'http://h:99999' must be"),
        (["--url", "\udcff", "status"], "--url (MEMLEASH_URL) '\\udcff' must be"),
        (["--config.file", "/none", "status"], "/none: cannot be read"),
        (["restart", "h", "a", "--timeout", "5"], "must be a duration"),
    ],
)
def test_a_mistake_of_the_command_line_is_2(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == Exit.USAGE
    assert problem in one_line(capsys)


def test_a_mistake_in_memleashctl_is_70_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("memleash_responder.ctl.main.load", broken)
    assert run(["status"]) == Exit.MISTAKE
    assert "please report it: KeyError: 'a bug'" in one_line(capsys)


def test_the_docs_list_every_exit_code() -> None:
    table = set(map(int, re.findall(r"^\| (\d+) \|", DOCS.read_text("utf-8"), re.MULTILINE)))
    assert table == {*map(int, Exit), 130, CLOSED_PIPE}


SHAPES = [
    one
    for one in vars(answers).values()
    if isinstance(one, type) and hasattr(one, "__dataclass_fields__") and one.__doc__
]


@given(
    raw=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda below: (
            st.lists(below, max_size=3)
            | st.dictionaries(
                st.sampled_from(["host", "agents", "until", "facts", "command", "pauses", "id"]),
                below,
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_is_a_shape_or_not_understood(raw: Any) -> None:
    for shape in SHAPES:
        try:
            found: object = understood(shape, raw)
        except NotUnderstood:
            continue
        assert isinstance(found, shape)


@pytest.mark.parametrize(
    ("shape", "model"),
    [
        (answers.Status, overview.Status),
        (answers.Host, models.Host),
        (answers.Agent, models.Agent),
        (answers.Explanation, models.Explanation),
        (answers.Guard, models.GuardVerdict),
        (answers.Restart, models.Restart),
        (answers.Step, StepProgress),
        (answers.Summary, overview.Summary),
        (answers.Counted, overview.Counted),
        (answers.Observed, overview.Observed),
        (answers.Quarantined, overview.QuarantinedAgent),
        (answers.HeldMute, overview.HeldMute),
        (answers.Report, models.Report),
        (answers.Diagnosis, models.Diagnosis),
        (answers.Switched, models.Switched),
        (answers.Problem, models.Problem),
    ],
)
def test_what_is_read_is_what_the_api_documents(shape: type, model: type) -> None:
    (documented,) = [one for name, one in components([model]).items() if name == model.__name__]
    fields = set(shape.__dataclass_fields__)  # type: ignore[attr-defined]
    assert fields <= set(documented["required"])


@pytest.mark.parametrize(
    ("target", "code", "problem"),
    [
        ("there", Exit.NO, "there is there already"),
        ("nowhere/report", Exit.NOT_WRITTEN, "nowhere/report cannot be written: No such file"),
    ],
)
def test_a_report_that_cannot_be_saved_has_its_code(
    target: str,
    code: Exit,
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "there").write_bytes(b"before")
    with Server(http(b"\x1f\x8b report")).running() as server:
        words = ("reports", "get", "h", "a", "20260101T000000Z", "--to", target)
        assert run_in(tmp_path, monkeypatch, server.url, *words) == code
    assert problem in one_line(capsys)
    assert (tmp_path / "there").read_bytes() == b"before"
