"""The whole chain on real parts, once with each age of Prometheus and Alertmanager."""

from __future__ import annotations

from tests.support.stacks import pace, stack, tools

__all__ = ["pace", "stack", "tools"]
