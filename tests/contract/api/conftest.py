"""Responders with every kind of access, each a real process, shared by the tests of a module."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import trustme

from demo.stack.responder_with_peers import Face, World, face, peers

WEBHOOK, READ, OPERATE = "webhook-" + "w" * 32, "read-" + "r" * 32, "operate-" + "o" * 32
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with peers() as said:
        yield said


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("face")


@pytest.fixture(scope="module")
def open_face(folder: Path, world: World) -> Iterator[Face]:
    """No access configured: loopback alone."""
    with face(folder / "open", world) as served:
        yield served


@pytest.fixture(scope="module")
def guarded(folder: Path, world: World) -> Iterator[Face]:
    """Tokens of all three roles, and users of the web configuration."""
    own = folder / "guarded"
    own.mkdir()
    tokens = {"webhook": WEBHOOK, "read": READ, "operate": OPERATE}
    for role, secret in tokens.items():
        (own / f"{role}.token").write_text(secret + "\n", encoding="ascii")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    access = {
        "tokens": [{"name": f"t-{role}", "role": role, "file": f"{role}.token"} for role in tokens],
        "users": {"alice": "operate", "bob": "read"},
    }
    users = {"basic_auth_users": dict.fromkeys(("alice", "bob", "carol"), hashed)}
    with face(own, world, access=access, web_config=users) as served:
        yield served


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def mutual(folder: Path, world: World, authority: trustme.CA) -> Iterator[Face]:
    """TLS that wants client certificates; one of the names they may bear has a role."""
    own = folder / "mutual"
    own.mkdir()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(own / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(own / "cert.pem")
    authority.cert_pem.write_to_path(own / "ca.pem")
    tls = {
        "tls_server_config": {
            "cert_file": "cert.pem",
            "key_file": "key.pem",
            "client_ca_file": "ca.pem",
            "client_auth_type": "RequireAndVerifyClientCert",
        }
    }
    access = {"certificates": {"alice.example.com": "operate"}}
    context = client_context(authority, authority, "alice.example.com")
    with face(own, world, access=access, web_config=tls, tls=context) as served:
        yield served


def client_context(
    server_authority: trustme.CA, own_authority: trustme.CA | None, name: str = ""
) -> ssl.SSLContext:
    """Return a client's side of TLS, with a certificate for ``name`` of ``own_authority``."""
    context = ssl.create_default_context()
    server_authority.configure_trust(context)
    if own_authority is not None:
        own_authority.issue_cert(name).configure_cert(context)
    return context
