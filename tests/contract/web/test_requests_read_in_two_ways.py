"""What a proxy in front might read another way is refused by both programs, and nothing after it
is taken for a request.
"""

from __future__ import annotations

import pytest

from tests.contract.web.conftest import Listener

HIDDEN = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""A request that must never be answered."""

POST = b"POST /-/healthy HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"

IN_TWO_WAYS = {
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n",
    "two lengths alike": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    "two lengths in one": POST + b"Content-Length: 2, 2\r\n\r\nhi",
    "length with a plus": POST + b"Content-Length: +2\r\n\r\nhi",
    "length with an underscore": POST + b"Content-Length: 1_0\r\n\r\n0123456789",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\nhi",
    "empty length": POST + b"Content-Length: \r\n\r\n",
    "length in other digits": POST + "Content-Length: ٢\r\n\r\nhi".encode(),
    "length beyond all numbers": POST + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
    "length and chunks": CHUNKED + b"Content-Length: 2\r\n\r\n0\r\n\r\n",
    "chunks before HTTP/1.1": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n0\r\n\r\n",
    "hexadecimal chunk size": CHUNKED + b"\r\n0x2\r\nhi\r\n0\r\n\r\n",
    "chunk size with a plus": CHUNKED + b"\r\n+2\r\nhi\r\n0\r\n\r\n",
    "chunk size with an underscore": CHUNKED + b"\r\n0_2\r\nhi\r\n0\r\n\r\n",
    "negative chunk size": CHUNKED + b"\r\n-2\r\nhi\r\n0\r\n\r\n",
    "chunk longer than its size": CHUNKED + b"\r\n2\r\nhi!!\r\n0\r\n\r\n",
    "bare line feed after a chunk size": CHUNKED + b"\r\n2\nhi\r\n0\r\n\r\n",
    "folded header": POST + b"X: a\r\n b: c\r\n\r\n",
    "folded by a tab": POST + b"X: a\r\n\tContent-Length: 40\r\n\r\n",
    "bare line feeds": b"GET /-/healthy HTTP/1.1\nHost: localhost\n\n",
    "one bare line feed": POST + b"X: a\nContent-Length: 40\r\n\r\n",
    "bare carriage return": POST + b"X: a\rContent-Length: 40\r\n\r\n",
    "space before the colon": POST + b"Content-Length : 40\r\n\r\n",
    "tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n",
    "space before a name": POST.replace(b"Host", b" Host") + b"\r\n",
    "NUL in a value": POST + b"X: a\x00b\r\n\r\n",
    "NUL in a name": POST + b"X\x00: a\r\n\r\n",
    "no name": POST + b": a\r\n\r\n",
    "no colon": POST + b"nonsense\r\n\r\n",
    "no host": b"GET /-/healthy HTTP/1.1\r\n\r\n",
    "two hosts": POST + b"Host: other\r\n\r\n",
    "two spaces": b"GET  /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no version": b"GET /-/healthy\r\n\r\n",
    "unknown version": b"GET /-/healthy HTTP/9.9.9\r\nHost: localhost\r\n\r\n",
    "another protocol": b"GET /-/healthy SPDY/3\r\nHost: localhost\r\n\r\n",
    "half a whole URL": b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no path": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "nonsense": b"nonsense\r\n\r\n",
}


@pytest.mark.parametrize("sent", IN_TWO_WAYS.values(), ids=IN_TWO_WAYS)
def test_it_is_refused_and_the_connection_closed(plain: Listener, sent: bytes) -> None:
    answer = plain.say(sent + HIDDEN)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1, "what came after it was answered"
    assert b"Connection: close\r\n" in answer
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity", b"xchunked", b"chunked, gzip"])
def test_a_transfer_coding_that_is_not_understood_is_told(plain: Listener, coding: bytes) -> None:
    answer = plain.say(POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n" + HIDDEN)
    assert answer.startswith(b"HTTP/1.1 501 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"0\r\n\n", b"0\r\nX: a\r\n\r\n", b"00;x=y\r\n\r\n"])
def test_nothing_after_chunks_is_taken_for_a_request(plain: Listener, end: bytes) -> None:
    answer = plain.say(CHUNKED + b"\r\n2\r\nhi\r\n" + end + HIDDEN)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close\r\n" in answer


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"identity, gzip", b"x"])
def test_an_encoded_body_is_an_unsupported_medium(plain: Listener, coding: bytes) -> None:
    answer = plain.say(
        POST + b"Content-Encoding: " + coding + b"\r\nContent-Length: 2\r\n\r\nhi" + HIDDEN
    )
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_headers_that_are_too_large_are_told(plain: Listener) -> None:
    answer = plain.say(b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_requests_sent_together_are_answered_in_turn(plain: Listener) -> None:
    last = HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answer = plain.say(HIDDEN + b"HEAD" + HIDDEN[3:] + last)
    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert answer.count(b"Connection: close") == 1


LARGE = b"x" * 8 * 1024**2


TOO_MUCH = {
    "whole": POST + b"Content-Length: %d\r\n\r\n" % len(LARGE) + LARGE,
    "chunked": CHUNKED + b"\r\n%x\r\n" % len(LARGE) + LARGE + b"\r\n0\r\n\r\n",
    "announced": POST + b"Content-Length: 99999999999999\r\n\r\n",
}


@pytest.mark.parametrize("sent", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_client_that_sent_too_much_can_read_that_it_did(plain: Listener, sent: bytes) -> None:
    assert_readable(plain, sent)


@pytest.mark.parametrize("sent", TOO_MUCH.values(), ids=TOO_MUCH)
def test_so_can_one_that_sent_it_encrypted(encrypted: Listener, sent: bytes) -> None:
    assert_readable(encrypted, sent)


def assert_readable(listener: Listener, sent: bytes) -> None:
    """Send all of it before reading, as simple clients do, and see that the answer is there."""
    with listener.connection() as connection:
        connection.sendall(sent)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer


def test_who_asks_first_whether_to_send_is_told(plain: Listener) -> None:
    asking = b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n"
    with plain.connection() as connection:
        connection.sendall(POST + asking % 2)
        assert connection.recv(65536) == b"HTTP/1.1 100 \r\n\r\n"
        connection.sendall(b"hi")
        assert connection.recv(65536).startswith(b"HTTP/1.1 405 ")
    with plain.connection() as connection:
        connection.sendall(POST + asking % len(LARGE))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
