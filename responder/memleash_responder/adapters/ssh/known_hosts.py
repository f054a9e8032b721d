"""Which keys a host may show, from OpenSSH's known_hosts files.

paramiko's own reader keeps one key of a type for a host, stops at a line it cannot decode, and
passes over patterns and ``@revoked``. Format: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. Not
supported: ``@cert-authority`` (such lines never match).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import paramiko
from paramiko.pkey import UnknownKeyType


def entry_name(host: str, port: int) -> str:
    """Return how known_hosts names ``host``: ``[host]:port`` unless the port is 22."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def lookup(files: Iterable[Path], name: str) -> tuple[paramiko.PKey, ...]:
    """Return the keys that ``name`` may show; files that do not exist hold none.

    Raises OSError for a file that is there and cannot be read.
    """
    accepted: list[paramiko.PKey] = []
    revoked: list[paramiko.PKey] = []
    for file in files:
        for marker, names, key_type, key in _entries(file):
            if marker in _MARKERS and _matches(names, name):
                decoded = _decoded(key_type, key)
                if decoded is not None:
                    (revoked if marker else accepted).append(decoded)
    return tuple(key for key in accepted if key not in revoked)


_MARKERS = ("", "@revoked")


def _entries(file: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield marker, names, key type and key of each line that has them."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) >= 3 and not fields[0].startswith("#"):
            yield marker, fields[0], fields[1], fields[2]


def _matches(names: str, name: str) -> bool:
    if names.startswith("|"):
        return _hash_matches(names, name)
    matched = False
    for pattern in names.lower().split(","):
        if _pattern_matches(pattern.removeprefix("!"), name):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _pattern_matches(pattern: str, name: str) -> bool:
    if "*" not in pattern and "?" not in pattern:  # nearly all of them, and there may be thousands
        return pattern == name
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, name) is not None


def _hash_matches(names: str, name: str) -> bool:
    """Whether ``|1|salt|hash`` is HMAC-SHA1(salt, name)."""
    try:
        _, version, salt, digest = names.split("|")
        wanted = base64.b64decode(digest)
        shown = hmac.digest(base64.b64decode(salt), name.encode(), hashlib.sha1)
    except (ValueError, binascii.Error):
        return False
    return version == "1" and hmac.compare_digest(wanted, shown)


def _decoded(key_type: str, key: str) -> paramiko.PKey | None:
    try:
        return paramiko.PKey.from_type_string(key_type, base64.b64decode(key))
    except (ValueError, UnknownKeyType, paramiko.SSHException):
        return None  # a kind of key that we cannot check: OpenSSH passes over it, too
