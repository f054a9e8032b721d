"""In which format metrics are given, as whoever scrapes them accepts it."""

from __future__ import annotations

from prometheus_client.exposition import choose_encoder


def accepted(accept: str | None) -> str:
    """Return the Accept header as prometheus_client can follow it; empty: its plain text.

    The library raises for a version that is no number, and writes the one it was given into the
    answer's Content-Type, which takes ASCII alone.
    """
    try:
        _, content_type = choose_encoder(accept or "")
    except (TypeError, ValueError):
        return ""
    return accept or "" if content_type.isascii() else ""
