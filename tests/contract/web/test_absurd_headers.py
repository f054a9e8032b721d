"""Headers that a library behind the server stumbles over are no errors of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.web.conftest import Listener, listening

OPENMETRICS = b"application/openmetrics-text; version="


@pytest.mark.parametrize(
    "accept",
    [
        OPENMETRICS + b"abc",
        OPENMETRICS + b"1.x.0",
        OPENMETRICS + "1.0.0.\u0663".encode(),
        OPENMETRICS + b"1.0.0.\xb2",
        b"text/plain; version=x",
        b"text/plain; q=a; version=;;=,,",
    ],
)
def test_an_odd_accept_gets_the_metrics(plain: Listener, accept: bytes) -> None:
    answer = asked(plain, b"GET /metrics", b"Accept: " + accept)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"# TYPE memleash_" in answer


@pytest.fixture(scope="module")
def responder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    with listening("responder", tmp_path_factory.mktemp("responder-alone")) as port:
        yield Listener(port)


BEYOND = b"Mon, 01 Jan 99999999999999999999 00:00:00 GMT"


@pytest.mark.parametrize(
    "header",
    [
        b"If-Modified-Since: " + BEYOND,
        b"If-Unmodified-Since: " + BEYOND,
        b"Range: bytes=0-1\r\nIf-Range: " + BEYOND,
    ],
)
@pytest.mark.parametrize("path", [b"/static/style.css", b"/api/v1/hosts", b"/"])
def test_a_date_at_no_time_changes_nothing(responder: Listener, path: bytes, header: bytes) -> None:
    status = asked(responder, b"GET " + path, header)[:13]
    assert status in (b"HTTP/1.1 200 ", b"HTTP/1.1 206 ")


def test_an_origin_that_is_no_url_is_another_site(responder: Listener) -> None:
    answer = asked(responder, b"POST /pause", b"Origin: http://[\r\nContent-Length: 0")
    assert answer.startswith(b"HTTP/1.1 403 ")


def asked(listener: Listener, what: bytes, header: bytes) -> bytes:
    return listener.say(
        what + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + header + b"\r\n\r\n"
    )
