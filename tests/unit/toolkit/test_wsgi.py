"""WSGI: what an application is given, and what is made of its answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.validate import validator

import pytest

from memleash_toolkit.http_exchange import Request, Response
from memleash_toolkit.wsgi import CERTIFICATE, Peer, environment, run

PEER = Peer(("10.0.0.7", 1234), ("10.0.0.1", 443), encrypted=True, certificate=("alice",))


def test_an_environment_is_what_the_request_said() -> None:
    headers = [
        ("host", "x"),
        ("content-type", "text/plain"),
        ("content-length", "2"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("accept", "a"),
        ("accept", "b"),
        ("x_real_ip", "forged"),
    ]
    environ = environment(Request("POST", "/a%20b%C3%A9?c=%20", headers, b"hi"), PEER)
    assert environ["PATH_INFO"] == "/a bé".encode().decode("latin-1")
    assert environ["QUERY_STRING"] == "c=%20"
    assert environ["CONTENT_LENGTH"] == "2"
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_ACCEPT"] == "a, b"
    assert environ["REMOTE_ADDR"] == "10.0.0.7"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ[CERTIFICATE] == ("alice",)
    assert "HTTP_X_REAL_IP" not in environ
    assert environ["wsgi.input"].read() == b"hi"


def test_the_standards_own_checks_are_content() -> None:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("201 Created", [("Content-Type", "text/plain")])
        return [environ["wsgi.input"].read(2), b"!"]

    environ = environment(Request("POST", "/", [("host", "x")], b"hi"), PEER)
    assert run(validator(application), environ) == Response(
        201, [("Content-Type", "text/plain")], b"hi!"
    )


def test_what_is_written_comes_before_what_is_returned_and_the_rest_is_closed() -> None:
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"returned"

        def close(self) -> None:
            closed.append(True)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Body:
        start_response("200 OK", [])(b"written, ")
        return Body()

    assert run(application, {}).body == b"written, returned"
    assert closed == [True]


def test_a_later_status_wins() -> None:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        start_response("500 Internal Server Error", [], (None, None, None))
        return []

    assert run(application, {}).status == 500


def test_an_application_that_raises_is_not_hidden() -> None:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run(application, {})
