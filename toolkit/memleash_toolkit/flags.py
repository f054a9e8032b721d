"""What the flags of both programs take."""

from __future__ import annotations

import argparse


def listen_address(text: str) -> tuple[str, int]:
    """Return ``host:port`` or ``:port`` (host empty) as a pair, for argparse."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} must be host:port or :port")
    return host.strip("[]"), int(port)
