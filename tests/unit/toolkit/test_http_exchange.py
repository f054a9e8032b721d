"""An exchange: bytes in, a request or a refusal, and the bytes of the answer."""

from __future__ import annotations

import pytest

from memleash_toolkit.http_exchange import Exchange, Refused, Request, Response, Sizes

HEAD = b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Name: v\r\nContent-Length: 2\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZES = Sizes(head=200, body=10)


def received(*parts: bytes, sizes: Sizes = SIZES) -> Exchange:
    exchange = Exchange(sizes)
    for part in parts:
        exchange.receive(part)
    return exchange


def test_a_request_is_the_same_however_it_comes() -> None:
    whole = Request(
        "POST", "/a?b=c", [("host", "x"), ("x-name", "v"), ("content-length", "2")], b"hi"
    )
    assert received(HEAD + b"hi").request == whole
    assert received(*(bytes([byte]) for byte in HEAD + b"hi")).request == whole
    assert received(HEAD, b"h").request is None


def test_what_came_is_told_step_by_step() -> None:
    exchange = Exchange(SIZES)
    assert (exchange.begun, exchange.head_came, exchange.held_bytes) == (False, False, 0)
    exchange.receive(HEAD[:1])
    assert (exchange.begun, exchange.head_came, exchange.held_bytes) == (True, False, 1)
    exchange.receive(HEAD[1:])
    assert (exchange.head_came, exchange.request) == (True, None)
    exchange.receive(b"hi")
    assert exchange.held_bytes == len(HEAD) + 2


def test_what_comes_behind_a_request_is_the_beginning_of_the_next() -> None:
    exchange = received(HEAD + b"hi" + HEAD)
    exchange.answer(Response(200))
    assert exchange.reusable
    assert exchange.rest == HEAD


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        (b"http://host/metrics", "host", "/metrics"),
        (b"HTTPS://host:10058/a?b=http://c", "host:10058", "/a?b=http://c"),
        (b"http://[::1]:80", "[::1]:80", "/"),
        (b"http://host?b", "host", "/?b"),
        (b"//host/a", "x", "//host/a"),
    ],
)
def test_a_whole_url_is_understood_and_its_host_counts(target: bytes, host: str, path: str) -> None:
    """RFC 9112, section 3.2.2: a server must accept the absolute form, and ignore Host then."""
    request = received(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n").request
    assert request is not None
    assert (request.target, dict(request.headers)) == (path, {"host": host, "a": "b"})


@pytest.mark.parametrize(
    "target",
    [b"*", b"host:80", b"ftp://host/", b"http:///a", b"http://user@host/", b"http://a#b", b"a"],
)
def test_a_target_that_is_no_path_and_no_url_of_ours_is_refused(target: bytes) -> None:
    with pytest.raises(Refused, match="must be a path"):
        received(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([HEAD[:-1] + b"x"], 400),
        ([HEAD[:-2], b"\n"], 400),
        ([b"GET / HTTP/1.1\r\nX: a\r", b"b"], 400),
        ([b"GET / HTTP/1.1\r\nX: a\r\n", b" b"], 400),
        ([b"\n"], 400),
        ([b"\x16\x03\x01\x00"], 400),  # TLS to who speaks none
        ([HEAD, b""], 400),
        ([b"GET", b""], 400),
        ([b"GET / HTTP/1.1\r\nX: " + b"x" * 200], 431),
        ([HEAD.replace(b": 2", b": 11")], 413),
        ([HEAD.replace(b"HTTP/1.1", b"HTTP/2.0")], 505),
        ([HEAD.replace(b"Content-Length: 2", b"Transfer-Encoding: x")], 501),
        ([HEAD.replace(b"X-Name: v", b"Content-Encoding: gzip")], 415),
    ],
)
def test_what_cannot_be_taken_is_refused(parts: list[bytes], status: int) -> None:
    with pytest.raises(Refused) as caught:
        received(*parts)
    assert caught.value.status == status


def test_chunks_are_put_together_and_counted() -> None:
    chunked = HEAD.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")
    request = received(chunked, b"2\r\nhi\r\n3\r\nho!\r\n", b"0\r\n\r\n").request
    assert request is not None
    assert request.body == b"hiho!"
    with pytest.raises(Refused) as caught:
        received(chunked, b"6\r\n123456\r\n", b"6\r\n123456\r\n")
    assert caught.value.status == 413


@pytest.mark.parametrize("keep", [True, False])
def test_an_answer_says_how_long_it_is_and_whether_it_was_the_last(keep: bool) -> None:
    exchange = received(HEAD + b"hi")
    headers = [("Content-Type", "text/plain"), ("Content-Length", "99"), ("X", "y")]
    answer = exchange.answer(Response(200, headers, b"hello"), keep=keep)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"hello"
    assert head.count(b"Content-Length: 5") == 1
    assert b"99" not in head
    assert (b"Connection: close" in head) is not keep
    assert exchange.reusable is keep


@pytest.mark.parametrize(
    ("method", "status", "length"), [("HEAD", 200, b"5"), ("POST", 204, None), ("POST", 304, None)]
)
def test_an_answer_without_a_body_has_none(method: str, status: int, length: bytes | None) -> None:
    exchange = received(HEAD.replace(b"POST", method.encode()) + b"hi")
    answer = exchange.answer(Response(status, (), b"hello"))
    assert answer.endswith(b"\r\n\r\n")
    assert (b"Content-Length: %b" % (length or b"") in answer) is (length is not None)
    assert exchange.reusable


def test_a_refusal_can_be_answered_before_anything_was_understood() -> None:
    exchange = Exchange(SIZES)
    with pytest.raises(Refused) as caught:
        exchange.receive(b"\0")
    answer = exchange.answer(caught.value.response(), keep=False)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert not exchange.reusable


def test_a_body_in_crumbs_is_refused_before_it_takes_the_loops_time() -> None:
    """A thousand small chunks are taken; beyond them, each has to hold something."""
    exchange = received(CHUNKED, b"1\r\nx\r\n" * 1000, sizes=Sizes())
    with pytest.raises(Refused, match="too many small chunks"):
        exchange.receive(b"1\r\nx\r\n" * 10)
    usual = received(CHUNKED, *[b"100\r\n%b\r\n" % (b"x" * 256)] * 2000, sizes=Sizes(body=10**6))
    usual.receive(b"0\r\n\r\n")
    assert usual.request is not None
    assert len(usual.request.body) == 512_000
