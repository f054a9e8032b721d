"""Agents that nobody here wrote, watched by the stack on loopback: no container is needed."""

from __future__ import annotations

from tests.support.stacks import tools

__all__ = ["tools"]
