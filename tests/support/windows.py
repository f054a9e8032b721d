"""Restart windows of a real responder: changed in its file, and not by waiting for them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import yaml

ALWAYS = "00:00-24:00 Europe/Berlin"


def closed() -> str:
    """Return a window that is closed for hours before and after now."""
    begins = (datetime.now(UTC).hour + 12) % 24
    return f"{begins:02}:00-{(begins + 1) % 24:02}:00 UTC"


def with_windows(config_file: Path, *windows: str) -> str:
    """Return what a responder's ``config_file`` is with these windows for the fleet."""
    config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    config["fleet"]["windows"] = list(windows)
    return yaml.safe_dump(config)


def write_windows(config_file: Path, *windows: str) -> None:
    """Give the fleet these windows in a responder's ``config_file``, whole at every moment."""
    new = config_file.with_suffix(".new")
    new.write_text(with_windows(config_file, *windows), encoding="utf-8")
    new.replace(config_file)
