"""The web configuration: exporter-toolkit's schema, served on real sockets."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest
import trustme

from memleash_toolkit.settings import ConfigError
from memleash_toolkit.web_config import WebConfig

HASH = bcrypt.hashpw(b"pw", bcrypt.gensalt(4)).decode()


@dataclass(frozen=True)
class Pki:
    """A CA, a server's files signed by it, and a way to make clients."""

    folder: Path
    ca: trustme.CA

    def issue(self, name: str) -> None:
        certificate = self.ca.issue_cert(name)
        certificate.cert_chain_pems[0].write_to_path(self.folder / f"{name}.crt")
        certificate.private_key_pem.write_to_path(self.folder / f"{name}.key")

    def client(self, name: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if name:
            self.issue(name)
            context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        return context


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    made = Pki(tmp_path, trustme.CA())
    made.ca.cert_pem.write_to_path(tmp_path / "ca.crt")
    made.issue("localhost")
    return made


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        file = tmp_path / "web.yml"
        fresh = tmp_path / "web.yml.new"
        fresh.write_text(text)
        fresh.replace(file)  # as editors and configuration management do it: a new inode
        return file

    return write


TLS = "tls_server_config: {cert_file: localhost.crt, key_file: localhost.key%s}\n"
MUTUAL = TLS % ", client_ca_file: ca.crt, client_auth_type: RequireAndVerifyClientCert"


def encrypted(web: WebConfig, connection: socket.socket) -> socket.socket:
    """Return ``connection`` as a server speaks on it. Raises OSError."""
    encryption = web.encryption()
    if encryption is None:
        return connection
    wrapped = encryption.context.wrap_socket(connection, server_side=True)
    try:
        encryption.names(wrapped)
    except OSError:
        wrapped.close()
        raise
    return wrapped


def talk(web: WebConfig, client: ssl.SSLContext | None) -> tuple[bytes, str]:
    """Return what a client hears from a server that says hello, and the server's error."""
    ours, theirs = socket.socketpair()
    errors: list[str] = []

    def serve() -> None:
        ours.settimeout(5)
        try:
            with encrypted(web, ours) as connection:
                connection.sendall(b"hello")
        except OSError as error:
            errors.append(str(error))
            ours.close()

    server = threading.Thread(target=serve)
    server.start()
    heard = b""
    try:
        theirs.settimeout(5)
        connection = client.wrap_socket(theirs, server_hostname="localhost") if client else theirs
        with connection:
            heard = connection.recv(100)
    except OSError:
        theirs.close()
    server.join(60)
    return heard, "".join(errors)


def test_without_a_file_all_is_plain_and_everybody_allowed() -> None:
    web = WebConfig(None)
    assert not web.uses_tls
    assert not web.asks_for_password
    assert web.allows(None)
    assert web.user("Basic x") is None
    assert talk(web, None) == (b"hello", "")


def test_an_empty_file_is_the_same(write: Callable[[str], Path]) -> None:
    assert WebConfig(write("")).allows(None)


def test_tls_is_spoken_with_the_certificate(pki: Pki, write: Callable[[str], Path]) -> None:
    assert talk(WebConfig(write(TLS % "")), pki.client()) == (b"hello", "")


def test_a_client_certificate_is_asked_for(pki: Pki, write: Callable[[str], Path]) -> None:
    web = WebConfig(write(MUTUAL))
    assert talk(web, pki.client("prometheus")) == (b"hello", "")
    heard, error = talk(web, pki.client())
    assert heard == b""
    assert "peer did not return a certificate" in error


def test_a_client_certificate_of_another_authority_is_refused(
    pki: Pki, write: Callable[[str], Path]
) -> None:
    web = WebConfig(write(MUTUAL))
    other = Pki(pki.folder, trustme.CA()).client("eve")
    pki.ca.configure_trust(other)
    heard, error = talk(web, other)
    assert heard == b""
    assert "certificate verify failed" in error


def test_an_optional_client_certificate_is_optional(pki: Pki, write: Callable[[str], Path]) -> None:
    web = WebConfig(
        write(TLS % ", client_ca_file: ca.crt, client_auth_type: VerifyClientCertIfGiven")
    )
    assert talk(web, pki.client()) == (b"hello", "")
    assert talk(web, pki.client("prometheus")) == (b"hello", "")


def test_only_the_listed_names_are_let_in(pki: Pki, write: Callable[[str], Path]) -> None:
    web = WebConfig(write(MUTUAL.replace("}", ", client_allowed_sans: [prometheus]}")))
    assert talk(web, pki.client("prometheus")) == (b"hello", "")
    heard, error = talk(web, pki.client("grafana"))
    assert heard == b""
    assert "no allowed subject alternative name" in error


def test_an_old_protocol_is_refused(pki: Pki, write: Callable[[str], Path]) -> None:
    client = pki.client()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert talk(WebConfig(write(TLS % "")), client)[0] == b"hello"
    assert talk(WebConfig(write(TLS % ", min_version: TLS13")), client)[0] == b""


def test_a_renewed_certificate_is_shown_to_the_next_connection(
    pki: Pki, write: Callable[[str], Path]
) -> None:
    web = WebConfig(write(TLS % ""))
    client = pki.client()
    assert talk(web, client)[0] == b"hello"
    renewed = Pki(pki.folder, trustme.CA())
    renewed.issue("localhost")
    assert talk(web, client)[0] == b""
    assert talk(web, renewed.client())[0] == b"hello"


def test_users_are_read_again_when_the_file_changes(write: Callable[[str], Path]) -> None:
    authorization = "Basic " + base64.b64encode(b"ann:pw").decode()
    web = WebConfig(write(f"basic_auth_users: {{ann: '{HASH}'}}"))
    assert web.asks_for_password
    assert web.user(authorization) == "ann"
    assert not web.allows(None)
    write(f"basic_auth_users: {{bob: '{HASH}'}}")
    assert not web.allows(authorization)


def test_a_change_that_cannot_be_used_leaves_the_former_and_is_logged_once(
    write: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    web = WebConfig(write(f"basic_auth_users: {{ann: '{HASH}'}}"))
    file = write("nonsense: 1")
    for _ in range(3):
        assert not web.allows(None)
    assert [record.message for record in caplog.records] == ["web configuration not reloaded"]
    assert "unknown key 'nonsense'" in str(vars(caplog.records[0])["problem"])
    file.unlink()
    assert not web.allows(None)
    write(f"basic_auth_users: {{bob: '{HASH}'}}")
    assert web.allows("Basic " + base64.b64encode(b"bob:pw").decode())


USERS = f"basic_auth_users: {{ann: '{HASH}'}}\n"


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [
        (USERS, "", "passwords"),
        (TLS % "", "", "TLS"),
        (USERS + TLS % "", "", "passwords and TLS"),
        (USERS + TLS % "", TLS % "", "passwords"),
        (MUTUAL, TLS % "", "client certificates"),
        (MUTUAL.replace("}", ", client_allowed_sans: [x]}"), MUTUAL, "client_allowed_sans"),
    ],
    ids=["passwords", "TLS", "both", "passwords alone", "client certificates", "names"],
)
def test_what_is_taken_out_while_it_runs_opens_no_door(
    write: Callable[[str], Path],
    pki: Pki,
    caplog: pytest.LogCaptureFixture,
    before: str,
    after: str,
    gone: str,
) -> None:
    """A file that is written in place is empty for a moment, or ends in the middle."""
    assert pki.folder
    web = WebConfig(write(before))
    encryption, asks_for_password = web.encryption(), web.asks_for_password
    write(after)
    assert web.encryption() is encryption
    assert web.asks_for_password == asks_for_password
    assert f": {gone} would be gone" in str(vars(caplog.records[0])["problem"])


def test_a_certificate_that_comes_after_its_configuration_is_found(
    pki: Pki, write: Callable[[str], Path]
) -> None:
    web = WebConfig(write(TLS % ""))
    write(TLS.replace("localhost", "later") % "")
    assert talk(web, pki.client())[0] == b"hello"
    pki.issue("later")
    assert web.uses_tls
    heard, _ = talk(web, pki.client())
    assert heard == b""  # it shows the name "later" now, and we ask for "localhost"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tls: {}", "tls: unknown key 'tls'; allowed here: tls_server_config, http_server_config"),
        ("tls_server_config: {}", "tls_server_config: cert_file and key_file are both required"),
        (
            "tls_server_config: {cert: x, key: y}",
            "tls_server_config: cert is part of exporter-toolkit's schema but not supported: "
            "name a file in cert_file",
        ),
        (
            TLS % ", cipher_suites: [TLS_AES_128_GCM_SHA256]",
            "tls_server_config: cipher_suites is part of exporter-toolkit's schema but not "
            "supported: OpenSSL's own defaults are used",
        ),
        (
            TLS % ", client_auth_type: RequireAnyClientCert",
            "tls_server_config.client_auth_type: 'RequireAnyClientCert' must be one of "
            "NoClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert",
        ),
        (
            TLS % ", client_auth_type: RequireAndVerifyClientCert",
            "tls_server_config: client_auth_type RequireAndVerifyClientCert needs a client_ca_file",
        ),
        (
            TLS % ", client_ca_file: ca.crt",
            "tls_server_config: client_ca_file needs client_auth_type: RequireAndVerifyClientCert",
        ),
        (
            TLS % ", client_allowed_sans: [x]",
            "tls_server_config: client_allowed_sans needs client_auth_type: "
            "RequireAndVerifyClientCert",
        ),
        (
            TLS % ", min_version: TLS10",
            "tls_server_config.min_version: 'TLS10' must be one of TLS12, TLS13",
        ),
        (
            TLS % ", min_version: TLS13, max_version: TLS12",
            "tls_server_config: min_version TLS13 is above max_version",
        ),
        (
            "http_server_config: {http2: true}",
            "http_server_config: http2: true is not supported; leave it out",
        ),
        (
            "http_server_config: {headers: {}}",
            "http_server_config: headers is part of exporter-toolkit's schema but not supported: "
            "put a proxy in front to add some",
        ),
        (
            "rate_limit: {burst: 1}",
            "rate_limit is part of exporter-toolkit's schema but not supported: "
            "put a proxy in front to limit requests",
        ),
        (
            "basic_auth_users: {ann: hunter2}",
            "basic_auth_users: the password of 'ann' must be a bcrypt hash (htpasswd -nBC 10 ann)",
        ),
        ("basic_auth_users: {ann: 1234}", "basic_auth_users: the password of 'ann' must be a"),
        ("basic_auth_users: [ann]", "basic_auth_users: ['ann'] must be a mapping"),
    ],
)
def test_what_cannot_be_done_is_an_error_that_says_so(
    write: Callable[[str], Path], text: str, message: str
) -> None:
    file = write(text)
    with pytest.raises(ConfigError) as caught:
        WebConfig(file)
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "hunter2" not in str(caught.value)
    assert "1234" not in str(caught.value)


def test_files_that_cannot_be_used_are_named(pki: Pki, write: Callable[[str], Path]) -> None:
    folder = pki.folder
    (folder / "garbage").write_text("no certificate")
    cases = {
        TLS.replace("localhost.crt", "none.crt") % "": (
            f"tls_server_config.cert_file: {folder}/none.crt and key_file {folder}/localhost.key "
            "cannot be used together: No such file or directory"
        ),
        MUTUAL.replace("ca.crt", "none.crt"): (
            f"tls_server_config.client_ca_file: {folder}/none.crt cannot be used: "
            "No such file or directory"
        ),
        MUTUAL.replace("ca.crt", "garbage"): (
            f"tls_server_config.client_ca_file: {folder}/garbage cannot be used: "
        ),
    }
    for text, message in cases.items():
        file = write(text)
        with pytest.raises(ConfigError) as caught:
            WebConfig(file)
        assert str(caught.value).startswith(f"{file}: {message}")
