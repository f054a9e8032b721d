"""What can go wrong while looking at a host.

ExporterError
├── ProcessGone     the process is over: look for its successor
├── CannotTell      the host does not let us know: no sample, and success 0
│   └── SeveralAgents   more than one process may be the agent
└── ProbeFailed     a busy source gave no usable word: unknown until it does
"""

from __future__ import annotations


class ExporterError(Exception):
    """Base of the exporter's own errors. Its text is for logs, never for labels."""


class ProcessGone(ExporterError):
    """The process has ended, or is a zombie, or its pid belongs to another by now."""


class CannotTell(ExporterError):
    """Neither yes nor no can be said honestly (no permission, two candidates, no systemd)."""


class SeveralAgents(CannotTell):
    """More than one process may be the agent: which one is meant, nobody can say."""


class ProbeFailed(ExporterError):
    """A probe got no usable answer in time."""
