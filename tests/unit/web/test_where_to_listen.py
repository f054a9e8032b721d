"""The address: what is reachable must be protected."""

from __future__ import annotations

import argparse

import pytest

from memleash_responder.web.listening import bind_address, is_loopback
from memleash_toolkit.flags import listen_address
from memleash_toolkit.settings import ConfigError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":10059", ("", 10059)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("node.example.com:65535", ("node.example.com", 65535)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert listen_address(text) == address


@pytest.mark.parametrize("text", ["10059", "host", "host:", "host:x", ":65536", "host:-1"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="host:port"):
        listen_address(text)


@pytest.mark.parametrize(
    ("address", "protected", "bound"),
    [
        (("", 1), True, ("0.0.0.0", 1)),
        (("10.0.0.1", 1), True, ("10.0.0.1", 1)),
        (("", 1), False, ("127.0.0.1", 1)),
        (("127.0.0.1", 1), False, ("127.0.0.1", 1)),
        (("::1", 1), False, ("::1", 1)),
        (("localhost", 1), False, ("localhost", 1)),
    ],
)
def test_without_protection_it_is_loopback(
    address: tuple[str, int], protected: bool, bound: tuple[str, int]
) -> None:
    assert bind_address(address, protected=protected) == bound


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "node.example.com", "localhost."])
def test_an_address_that_others_reach_needs_protection(host: str) -> None:
    with pytest.raises(ConfigError, match="no access is configured"):
        bind_address((host, 1), protected=False)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.9.9.9", True), ("LOCALHOST", True), ("localhost.evil.example", False), ("", False)],
)
def test_loopback_is_told_from_what_looks_like_it(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
