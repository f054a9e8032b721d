"""The steps of a guarded restart."""

from __future__ import annotations

import enum


class Step(enum.StrEnum):
    """The steps of a guarded restart, in order."""

    ADMIT = "admit"
    """May this request be acted on at all?"""
    HOLD = "hold"
    """Take the host out of service, so that no new work begins."""
    VERIFY = "verify"
    """Is it still over the limit, the same life, idle, without tasks?"""
    DIAGNOSE = "diagnose"
    """Take evidence, where configured."""
    RESTART = "restart"
    """Run the command."""
    READY = "ready"
    """Wait for a new life that answers."""
    RECONNECT = "reconnect"
    """Have the controllers take the host back."""
    RELEASE = "release"
    """Give everything back and judge whether it helped."""
