"""One HTTP exchange: its deadline, its size, its credentials, and where it never goes."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from demo.http_server import as_json, serving
from memleash_responder.adapters.http import client as http
from memleash_responder.http_settings import (
    Authorization,
    BasicAuth,
    HttpConfig,
    HttpHeader,
    TlsConfig,
)
from tests.contract.adapters.peer import Peer, Raw, Reply

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\n\r\n"


def get(url: str, config: HttpConfig | None = None, timeout_seconds: float = 5) -> http.Answer:
    with http.session(config or HttpConfig()) as session:
        return http.request(session, "GET", url, timeout_seconds=timeout_seconds, max_bytes=1000)


def test_an_answer_is_handed_back_whole_whatever_its_status(peer: Peer) -> None:
    peer.answer = lambda _: Reply(418, b'{"a": 1}', {"X-Seen": "yes"})
    answer = get(f"{peer.url}/x?y=z")
    assert (answer.status, answer.json(), answer.headers["x-seen"]) == (418, {"a": 1}, "yes")
    assert not answer.ok
    assert answer.describe() == f'GET {peer.url}/x?y=z: answered 418: {{"a": 1}}'


@pytest.mark.parametrize(
    "answer",
    [
        Raw(hang=True),
        Raw(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000, every_seconds=0.02),
        Raw(HEAD, hang=True),
        Raw(HEAD + b"x" * 900, every_seconds=0.02),
        Raw(STREAM + b"x" * 900, every_seconds=0.02),
    ],
    ids=["says nothing", "drips headers", "stops after headers", "drips a body", "drips a stream"],
)
def test_one_deadline_covers_the_whole_answer(peer: Peer, answer: Raw) -> None:
    peer.answer = lambda _: answer
    began = time.monotonic()
    with pytest.raises(http.HttpError, match=r"no whole answer within 0\.7 s") as caught:
        get(peer.url, timeout_seconds=0.7)
    assert 0.6 < time.monotonic() - began < 15, "the whole takes 18 s"
    assert not isinstance(caught.value, http.NotSent)


def test_a_port_that_answers_nothing_is_not_waited_for(silent_port: int) -> None:
    with pytest.raises(http.NotSent, match=r"no connection within 0\.5 s"):
        get(f"http://127.0.0.1:{silent_port}/", timeout_seconds=0.5)


def test_a_refused_connection_was_surely_not_heard(refusing_port: int) -> None:
    with pytest.raises(http.NotSent, match="Connection refused"):
        get(f"http://127.0.0.1:{refusing_port}/")


def test_a_name_that_does_not_exist_was_surely_not_heard() -> None:
    with pytest.raises(http.NotSent, match="the name cannot be resolved"):
        get("http://nowhere.invalid/")


@pytest.mark.parametrize(
    "answer",
    [Raw(), Raw(HEAD[:10]), Raw(HEAD + b"half"), Raw(b"SSH-2.0-OpenSSH\r\n")],
    ids=["nothing", "half a status line", "half a body", "another protocol"],
)
def test_a_cut_answer_is_an_error_that_may_have_been_heard(peer: Peer, answer: Raw) -> None:
    peer.answer = lambda _: answer
    with pytest.raises(http.HttpError) as caught:
        get(peer.url)
    assert not isinstance(caught.value, http.NotSent)
    assert str(caught.value).startswith(f"GET {peer.url}: ")


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, b"x" * 1001),
        Raw(STREAM + b"x" * 100_000, hang=True),
        Reply(200, gzip.compress(b"x" * 1_000_000), {"Content-Encoding": "gzip"}),
    ],
    ids=["announced", "streamed", "compressed"],
)
def test_a_body_over_the_cap_is_refused_before_it_is_all_read(
    peer: Peer, answer: Reply | Raw
) -> None:
    peer.answer = lambda _: answer
    with pytest.raises(http.HttpError, match="larger than 1000 bytes"):
        get(peer.url)


def test_a_redirect_is_not_followed_and_said_where_to(
    peer: Peer, start_peer: Callable[[], Peer]
) -> None:
    elsewhere = start_peer()
    peer.answer = lambda _: Reply(302, b"", {"Location": elsewhere.url})
    basic = HttpConfig(basic_auth=BasicAuth("user", password="secret"))
    answer = get(peer.url, basic)
    assert not answer.ok
    assert f"answered 302 to '{elsewhere.url}'; redirects are not followed" in answer.describe()
    assert elsewhere.asked == []


def test_environment_netrc_and_cookies_are_not_believed(
    peer: Peer, start_peer: Callable[[], Peer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = start_peer()
    monkeypatch.setenv("http_proxy", proxy.url)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password stolen\n")
    monkeypatch.setenv("NETRC", str(netrc))
    peer.answer = lambda _: Reply(200, b"", {"Set-Cookie": "tracked=1; Path=/"})
    with http.session(HttpConfig()) as session:
        for _ in range(2):
            http.request(session, "GET", peer.url, timeout_seconds=5)
    assert proxy.asked == []
    assert all("Authorization" not in asked.headers for asked in peer.asked)
    assert all("Cookie" not in asked.headers for asked in peer.asked)


def test_a_rotated_token_is_used_from_the_next_request_on(peer: Peer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    config = HttpConfig(authorization=Authorization(credentials_file=token))
    with http.session(config) as session:
        for secret in ("first", "second"):
            token.write_text(secret + "\n")
            http.request(session, "GET", peer.url, timeout_seconds=5)
    assert [one.headers["Authorization"] for one in peer.asked] == ["Bearer first", "Bearer second"]


def test_headers_are_sent_as_configured_beside_credentials(peer: Peer, tmp_path: Path) -> None:
    file = tmp_path / "tenant"
    file.write_text("c\n")
    header = HttpHeader(values=("a",), secrets=("b",), files=(file,))
    config = HttpConfig(Authorization(credentials="t"), http_headers={"X-Scope-OrgID": header})
    get(peer.url, config)
    headers = peer.asked[0].headers
    assert (headers["X-Scope-OrgID"], headers["Authorization"]) == ("a, b, c", "Bearer t")
    file.unlink()
    with pytest.raises(http.NotSent, match="tenant: the credentials cannot be read"):
        get(peer.url, config)


@pytest.mark.parametrize("name", ["Authorization", "host", "Content-Length", "connection"])
def test_headers_of_http_itself_cannot_be_set(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} cannot be set"):
        HttpConfig(http_headers={name: HttpHeader(values=("x",))})


def test_basic_auth_takes_any_text(peer: Peer, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("pass:word\n")
    get(peer.url, HttpConfig(basic_auth=BasicAuth("jürgen", password_file=secret)))
    assert peer.asked[0].headers["Authorization"] == "Basic asO8cmdlbjpwYXNzOndvcmQ="


@pytest.mark.parametrize("content", [None, b"", b"two\nlines", b"\xff\xfe", "gehéim".encode()])
def test_credentials_that_cannot_be_used_send_nothing_and_do_not_show(
    peer: Peer, tmp_path: Path, content: bytes | None
) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    config = HttpConfig(authorization=Authorization(credentials_file=token))
    with pytest.raises(http.NotSent, match="the credentials") as caught:
        get(peer.url, config)
    assert str(token) in str(caught.value)
    assert "lines" not in str(caught.value)
    assert peer.asked == []


def test_a_user_in_the_url_is_not_shown(refusing_port: int) -> None:
    with pytest.raises(http.NotSent) as caught:
        get(f"http://user:secret@127.0.0.1:{refusing_port}/")
    assert "secret" not in str(caught.value)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return ca


@pytest.fixture
def tls_peer(peer: Peer, authority: trustme.CA) -> Peer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    peer.use_tls(context)
    return peer


def test_a_certificate_of_the_given_authority_is_accepted_with_a_deadline(
    tls_peer: Peer, tmp_path: Path
) -> None:
    tls = HttpConfig(tls_config=TlsConfig(ca_file=tmp_path / "ca.pem"))
    assert get(tls_peer.url, tls).ok
    tls_peer.answer = lambda _: Raw(HEAD + b"x" * 900, every_seconds=0.02)
    with pytest.raises(http.HttpError, match="no whole answer"):
        get(tls_peer.url, tls, timeout_seconds=0.7)


def test_a_certificate_of_another_authority_is_refused(tls_peer: Peer) -> None:
    with pytest.raises(http.HttpError, match="certificate"):
        get(tls_peer.url)
    assert tls_peer.asked == []


def test_verification_can_be_switched_off_by_config(tls_peer: Peer) -> None:
    assert get(tls_peer.url, HttpConfig(tls_config=TlsConfig(insecure_skip_verify=True))).ok


def test_many_threads_share_a_session(peer: Peer) -> None:
    peer.answer = lambda asked: Reply(200, asked.path.encode())
    seen: dict[int, bytes] = {}
    with http.session(HttpConfig()) as session:

        def ask(number: int) -> None:
            url = f"{peer.url}/{number}"
            seen[number] = http.request(session, "GET", url, timeout_seconds=10).body

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == {number: f"/{number}".encode() for number in range(40)}


def test_a_peer_that_closes_without_a_word_is_not_sent_the_next_request() -> None:
    """Seen: it does as it was asked, and a request that was sent meanwhile got no answer."""
    silent = serving(lambda asked: as_json(asked.path), keeps_connections=True)
    with silent as served, http.session(HttpConfig()) as session:
        for number in range(300):
            url = f"{served.url}/{number}"
            assert http.request(session, "GET", url, timeout_seconds=10).json() == f"/{number}"


@pytest.mark.parametrize("timeout_seconds", [0, -1])
def test_a_timeout_that_leaves_no_time_is_an_error_like_any_other(
    peer: Peer, timeout_seconds: float
) -> None:
    """Seen: a ValueError went through to whoever asked, and left a host drained."""
    with pytest.raises(http.HttpError, match="less than or equal to 0"):
        get(peer.url, timeout_seconds=timeout_seconds)
    assert peer.asked == []


def test_a_body_is_not_unpacked_whatever_it_says_it_is(peer: Peer) -> None:
    packed = gzip.compress(bytes(200_000))
    peer.answer = lambda _: Reply(200, packed, {"Content-Encoding": "gzip"})
    assert get(peer.url).body == packed
