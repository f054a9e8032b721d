"""The server on real sockets: who is answered, who is hung up on, and when."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from memleash_toolkit.http_connection import Patience
from memleash_toolkit.http_exchange import Sizes
from memleash_toolkit.http_server import HttpServer, Limits
from memleash_toolkit.web_config import WebConfig
from memleash_toolkit.wsgi import CERTIFICATE
from tests.support.clean_environment import has_ipv6

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

LONG = Patience(*[60.0] * 6)
REQUIRED = "RequireAndVerifyClientCert"
LIMITS = Limits(sizes=Sizes(body=100_000), patience=LONG, threads=2)


UNSENDABLE = {"/forged": "a\nb", "/foreign": "ÿ"}
"""Values of a header that break an answer, by path."""


class Application:
    """Echoes what it is sent; ``/wait`` answers once ``released`` is set."""

    def __init__(self) -> None:
        self.waiting = threading.Semaphore(0)
        self.released = threading.Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/wait":
            self.waiting.release()
            assert self.released.wait(60)
        if path == "/break":
            raise RuntimeError("a bug")
        headers = [("X", value)] if (value := UNSENDABLE.get(path)) else []
        start_response("200 OK", headers)
        if path == "/large":
            return [b"x" * 32 * 1024**2]
        if path == "/who":
            return [repr(environ[CERTIFICATE]).encode()]
        return [environ["wsgi.input"].read()]


@contextlib.contextmanager
def running(
    limits: Limits = LIMITS, file: Path | None = None, host: str = "127.0.0.1"
) -> Iterator[tuple[int, Application]]:
    application = Application()
    server = HttpServer(application, (host, 0), WebConfig(file), limits)
    server.serve()
    try:
        yield server.port, application
    finally:
        application.released.set()
        server.stop()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def asked(connection: socket.socket, body: bytes, path: bytes = b"/") -> bytes:
    """Send a request and return the answer up to its body, which is the request's."""
    connection.sendall(
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (path, len(body), body)
    )
    said = b""
    while not said.endswith(b"\r\n\r\n" + body):
        part = connection.recv(65536)
        if not part:
            break
        said += part
    return said


def test_a_client_of_the_standard_library_is_content_over_one_connection() -> None:
    with running() as (port, _):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        sockets = set()
        for method, body in [("POST", b"one"), ("HEAD", b""), ("PUT", b"two"), ("GET", b"")]:
            client.request(method, "/", body)
            sockets.add(client.sock)
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, body)
        assert len(sockets) == 1
        client.close()


@pytest.mark.parametrize("path", ["/break", "/forged", "/foreign"])
def test_a_bug_is_a_500_that_tells_nothing_and_the_next_is_served(path: str) -> None:
    with running() as (port, _):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        client.request("GET", path)
        answer = client.getresponse()
        assert answer.status == 500
        assert b"a bug" not in answer.read()
        client.request("POST", "/", b"hello")
        assert client.getresponse().read() == b"hello"
        client.close()


def test_only_who_has_a_whole_request_takes_a_thread() -> None:
    with running() as (port, _), contextlib.ExitStack() as stack:
        for begun in (b"", b"G", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12"):
            for _ in range(10):
                stack.enter_context(connected(port)).sendall(begun)
        assert b"hello" in asked(stack.enter_context(connected(port)), b"hello")


@pytest.mark.parametrize(
    ("begun", "patience", "told"),
    [
        (b"", replace(LONG, head=0.2), b""),
        (b"GET / HT", replace(LONG, head=0.2), b"HTTP/1.1 408 "),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12",
            replace(LONG, body=0.2),
            b"HTTP/1.1 408 ",
        ),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", replace(LONG, idle=0.2), b"HTTP/1.1 200 "),
        (b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", replace(LONG, answer=0.2), None),
    ],
    ids=["silent", "half a head", "half a body", "idle", "not reading"],
)
def test_every_wait_for_a_client_has_an_end(
    begun: bytes, patience: Patience, told: bytes | None
) -> None:
    """What a client sends while it is not reading tells when it was hung up on."""
    with running(replace(LIMITS, patience=patience)) as (port, _), connected(port) as connection:
        connection.sendall(begun)
        if told is None:
            with pytest.raises(OSError, match=r"reset|Broken"):
                send_for_ever(connection)
        else:
            assert received(connection).startswith(told)


def send_for_ever(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65536)


def received(connection: socket.socket) -> bytes:
    said = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            said += part
    return said


def test_dripping_does_not_help() -> None:
    patience = replace(LONG, head=0.3, linger=0.1)
    with running(replace(LIMITS, patience=patience)) as (port, _), connected(port) as connection:
        connection.settimeout(0.02)
        said = b""
        while not said:
            connection.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                said = connection.recv(65536)
    assert said.startswith(b"HTTP/1.1 408 ")


def test_when_it_is_full_who_waited_longest_goes() -> None:
    with running(replace(LIMITS, connections=3)) as (port, _), contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(connected(port)) for _ in range(3))
        assert b"a" in asked(first, b"a"), "now the second has waited longest"
        fourth = stack.enter_context(connected(port))
        assert second.recv(1) == b""
        for connection in (first, third, fourth):
            assert b"b" in asked(connection, b"b")


def test_the_address_with_the_most_connections_goes_first() -> None:
    with running(replace(LIMITS, connections=3)) as (port, _), contextlib.ExitStack() as stack:
        alone = stack.enter_context(
            socket.create_connection(("127.0.0.1", port), 30, ("127.0.0.2", 0))
        )
        greedy, other, last = (stack.enter_context(connected(port)) for _ in range(3))
        assert greedy.recv(1) == b""
        for connection in (alone, other, last):
            assert b"b" in asked(connection, b"b")


def test_who_is_being_answered_is_never_hung_up_on() -> None:
    limits = replace(LIMITS, connections=2)
    with running(limits) as (port, application), contextlib.ExitStack() as stack:
        busy = [stack.enter_context(connected(port)) for _ in range(2)]
        for connection in busy:
            connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            assert application.waiting.acquire(timeout=30)
        with connected(port) as extra:
            assert received(extra) == b""
        application.released.set()
        for connection in busy:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_bodies_that_never_end_do_not_fill_the_memory() -> None:
    begun = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + b"x" * 80_000
    limits = replace(LIMITS, held_bytes=200_000)
    with running(limits) as (port, _), contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(port)) for _ in range(3)]
        for connection in slow:
            connection.sendall(begun)
        assert received(slow[0]) == b"", "the oldest of three that hold too much"
        assert b"hello" in asked(stack.enter_context(connected(port)), b"hello")


def test_stopping_lets_a_request_end_and_hangs_up_on_the_idle() -> None:
    application = Application()
    server = HttpServer(application, ("127.0.0.1", 0), WebConfig(None), LIMITS)
    server.serve()
    with connected(server.port) as idle, connected(server.port) as busy:
        busy.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert application.waiting.acquire(timeout=30)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert received(idle) == b""
        application.released.set()
        answer = received(busy)
        stopping.join(30)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in answer
    with pytest.raises(OSError, match="refused"):
        connected(server.port)


def test_an_address_that_is_taken_is_an_error_at_once() -> None:
    with running() as (port, _), pytest.raises(OSError, match="in use"):
        HttpServer(Application(), ("127.0.0.1", port), WebConfig(None))


def test_without_a_host_both_families_are_served() -> None:
    addresses = ["127.0.0.1"] + (["::1"] if has_ipv6() else [])
    with running(host="") as (port, _):
        for address in addresses:
            with socket.create_connection((address, port), timeout=30) as connection:
                assert b"hello" in asked(connection, b"hello")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def file(tmp_path: Path, authority: trustme.CA) -> Path:
    """TLS that takes client certificates."""
    issue(tmp_path, authority)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    made = tmp_path / "web.yml"
    made.write_text(
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_ca_file: ca.pem,"
        " client_auth_type: VerifyClientCertIfGiven}\n"
    )
    return made


def issue(folder: Path, authority: trustme.CA) -> None:
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@contextlib.contextmanager
def encrypted(port: int, context: ssl.SSLContext) -> Iterator[socket.socket]:
    with (
        connected(port) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        yield connection


def test_tls_is_spoken_and_the_application_told_who_came(file: Path, authority: trustme.CA) -> None:
    context = trusting(authority)
    authority.issue_cert("alice.example.com", common_name="alice").configure_cert(context)
    who = b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n"
    with running(file=file) as (port, _):
        with encrypted(port, context) as connection:
            for _ in range(2):
                connection.sendall(who)
                assert b"('alice', 'alice.example.com')" in connection.recv(65536)
        with encrypted(port, trusting(authority)) as connection:
            connection.sendall(who)
            assert connection.recv(65536).endswith(b"()")


def test_a_renewed_certificate_is_shown_to_the_next_connection(
    file: Path, authority: trustme.CA
) -> None:
    renewed = trustme.CA()
    with running(file=file) as (port, _):
        with encrypted(port, trusting(authority)) as connection:
            assert b"kept" in asked(connection, b"kept")
            issue(file.parent, renewed)
            assert asked(connection, b"kept") == b""
        with encrypted(port, trusting(renewed)) as connection:
            assert b"new" in asked(connection, b"new")


def test_a_certificate_of_an_authority_that_was_taken_out_gets_no_answer_any_more(
    file: Path, authority: trustme.CA
) -> None:
    file.write_text(file.read_text().replace("VerifyClientCertIfGiven", REQUIRED))
    context = trusting(authority)
    authority.issue_cert("alice.example.com").configure_cert(context)
    with running(file=file) as (port, _), encrypted(port, context) as kept:
        assert b"hello" in asked(kept, b"hello")
        trustme.CA().cert_pem.write_to_path(file.parent / "ca.pem")
        assert asked(kept, b"hello") == b""


def test_a_handshake_that_stalls_holds_up_nobody_and_has_an_end(
    file: Path, authority: trustme.CA
) -> None:
    limits = replace(LIMITS, patience=replace(LONG, handshake=0.5))
    with running(limits, file) as (port, _), contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(connected(port)) for _ in range(8)]
        for connection in stalled:
            connection.sendall(b"\x16\x03\x01")  # the first bytes of a ClientHello, and no more
        with encrypted(port, trusting(authority)) as connection:
            assert b"hello" in asked(connection, b"hello")
        for connection in stalled:
            assert received(connection) == b""


def test_who_speaks_no_tls_gets_no_answer(file: Path, authority: trustme.CA) -> None:
    with running(file=file) as (port, _):
        with connected(port) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP" not in received(connection)
        with encrypted(port, trusting(authority)) as connection:
            assert b"hello" in asked(connection, b"hello")
