"""Addresses as people write them: hosts, ports, URLs, and URLs with places to fill in.

They are checked by their form alone; no name is looked up and nobody is asked. Each function
raises ValueError that says what is allowed.
"""

from __future__ import annotations

import re
import socket
import string
from collections.abc import Collection
from dataclasses import dataclass

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_ZONE = re.compile(r"[A-Za-z0-9_.:~-]{1,15}")
_AUTHORITY = r"(?P<host>\[[^\[\]]*\]|[^\[\]:/?#@]*)"
_PORT = r"(?P<port>[0-9]{1,5})"
_TARGET = r"/[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*"
_URL = re.compile(rf"(?P<scheme>https?)://{_AUTHORITY}(?::{_PORT})?(?P<target>{_TARGET})?")
_HOST_AND_PORT = re.compile(rf"{_AUTHORITY}:{_PORT}")

URL_FORM = (
    "must be http(s)://host[:port][/path] with a port from 1 to 65535, and without blanks, "
    "user or password"
)
ADDRESS_FORM = "must be host:port with a port from 1 to 65535; an IPv6 address stands in brackets"
SSH_FORM = (
    "must be a name, an address or an ssh_config alias, with :port if need be, and then an IPv6 "
    "address in brackets"
)


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL, taken apart. It has no place for secrets.

    ``host`` is a name or an address without brackets; an IPv6 address may have a zone, as in
    ``fe80::1%eth0``. ``target`` is the path with its query.
    """

    scheme: str
    host: str
    port: int
    target: str


def parse_url(text: str) -> Url:
    """Return the URL ``text`` taken apart."""
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError(URL_FORM)
    try:
        # In a URL a zone's percent sign may be written out (RFC 6874).
        host = _unbracketed(match["host"].replace("%25", "%"))
        port = parse_port(match["port"] or {"http": 80, "https": 443}[match["scheme"]])
    except ValueError as error:
        raise ValueError(URL_FORM) from error
    return Url(match["scheme"], host, port, (match["target"] or "/").partition("#")[0])


def parse_base_url(text: str) -> str:
    """Return a URL that paths are put after, without a slash at its end."""
    parse_url(text)
    if "?" in text or "#" in text:
        raise ValueError("must end with a host, port or path, since more of a path is put after it")
    return text.rstrip("/")


def parse_url_path(text: str) -> str:
    """Return what follows host and port in a URL, with its query."""
    if re.fullmatch(_TARGET, text) and "#" not in text:
        return text
    raise ValueError("must be a path that begins with /, without blanks and #")


def parse_url_template(text: str, fields: Collection[str]) -> str:
    """Return a URL for ``str.format``, in which only ``fields`` are filled in.

    An attribute, an index, a conversion or a format would reach into what is filled in, or make
    a URL of any length; none is allowed.
    """
    named = " and ".join(f"{{{field}}}" for field in fields)
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"must have no brace but those of {named}: {error}") from error
    for _, field, form, conversion in parts:
        if field is not None and (field not in fields or form or conversion):
            raise ValueError(f"must have nothing in braces but {named}")
    parse_url(text.format(**dict.fromkeys(fields, "filled-in")))
    return text


def parse_port(value: object) -> int:
    """Return ``value``, a number or its digits, as a port that one can connect to."""
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= 65535:
        return number
    raise ValueError("must be a port from 1 to 65535")


def parse_host_and_port(text: str) -> tuple[str, int]:
    """Return ``host:port`` or ``[IPv6]:port`` as its parts, the host without brackets."""
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None:
        raise ValueError(ADDRESS_FORM)
    try:
        return _unbracketed(match["host"]), parse_port(match["port"])
    except ValueError as error:
        raise ValueError(ADDRESS_FORM) from error


def parse_ssh_address(text: str) -> tuple[str, int | None]:
    """Return ``name``, ``name:port``, ``v6`` or ``[v6]:port`` in its parts; port may be None."""
    host, port = text, None
    match = _HOST_AND_PORT.fullmatch(text)
    try:
        if match is not None:
            host, port = match["host"], parse_port(match["port"])
        return (host if _is_ipv6(host) else _unbracketed(host)), port
    except ValueError as error:
        raise ValueError(SSH_FORM) from error


def _unbracketed(host: str) -> str:
    """Return ``host`` without its brackets. Raises ValueError for what can be no host."""
    inner = host[1:-1]
    if host.startswith("[") and host.endswith("]") and _is_ipv6(inner):
        return inner
    if _NAME.fullmatch(host) and len(host) <= 253 and (_is_ipv4(host) or not _all_digits(host)):
        return host
    raise ValueError("neither a name nor an address")


def _all_digits(host: str) -> bool:
    """Return whether ``host`` would be read as an IPv4 address; no domain ends in digits alone."""
    return host.rstrip(".").rpartition(".")[2].isdigit() and "." in host


def _is_ipv4(host: str) -> bool:
    return _is_address(socket.AF_INET, host)


def _is_ipv6(host: str) -> bool:
    address, percent, zone = host.partition("%")
    well_zoned = _ZONE.fullmatch(zone) is not None if percent else True
    return well_zoned and _is_address(socket.AF_INET6, address)


def _is_address(family: socket.AddressFamily, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):  # ValueError: a NUL, or what is not ASCII
        return False
    return True
